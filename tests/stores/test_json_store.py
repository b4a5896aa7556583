"""The JSON store keeps the whole contract; what is its own is in `test_json_store_*`."""

from __future__ import annotations

import codecs
import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from sessionlab.stores.json_store import JSONStore
from sessionlab.stores.writing import WritableStore
from tests.stores.sample_entries import HOSTILE_BYTES
from tests.stores.store_contract import Damage, StoreContract
from tests.torture.backends import JSON

NO_OBJECTS = ("array", "text", "number")
"""Members that are no sessions here: `test_json_store_bytes` says what becomes of them."""


def into_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


class TestJSONStore(StoreContract):
    kind = "json"
    backend = JSON

    def impatient(self, path: Path, *, timeout_ms: int) -> WritableStore:
        return JSONStore(path, timeout_ms=timeout_ms)

    def read(self, path: Path) -> dict[str, bytes]:
        """Cut by the indentation alone: a member's first line is the only one that begins with two spaces and a quote."""
        found = {}
        for member in path.read_bytes().removeprefix(b"{").removesuffix(b"\n}").split(b'\n  "')[1:]:
            key, _, value = member.removesuffix(b",").partition(b'": ')
            found[json.loads(b'"' + key + b'"')] = value
        return found

    def plant(self, path: Path, entries: Mapping[str, bytes]) -> None:
        members = {key: raw for key, raw in self.read(path).items() if key not in entries} | dict(entries)
        path.write_bytes(b"{\n  " + b",\n  ".join(json.dumps(key).encode() + b": " + raw for key, raw in members.items()) + b"\n}")

    def files(self, path: Path) -> list[Path]:
        return [path]

    def damages(self) -> Mapping[str, Damage]:
        return {
            "truncated": lambda path: path.write_bytes(path.read_bytes()[:-20]) and None,
            "array": lambda path: path.write_bytes(b"[]") and None,
            "null": lambda path: path.write_bytes(b"null") and None,
            "mark": lambda path: path.write_bytes(codecs.BOM_UTF8 + path.read_bytes()) and None,
            "twice": lambda path: path.write_bytes(path.read_bytes()[:-2] + b"," + path.read_bytes()[1:]) and None,
            "foreign": lambda path: path.write_bytes(b"SQLite format 3\0") and None,
            "folder": into_a_folder,
        }

    @pytest.mark.parametrize("name", [name for name in HOSTILE_BYTES if name not in NO_OBJECTS])
    def test_entry_that_is_no_json_object_raises_and_stays(self, filled: WritableStore, name: str) -> None:
        super().test_entry_that_is_no_json_object_raises_and_stays(filled, name)
