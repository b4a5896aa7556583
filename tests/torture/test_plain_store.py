"""The plainest store keeps the whole contract: so the contract can be kept, and a backend that fails a test of it has an example."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from sessionlab.stores.writing import WritableStore
from tests.stores.store_contract import Damage, StoreContract
from tests.torture.backends import PLAIN


def into_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


class TestPlainStore(StoreContract):
    kind = "plain"
    backend = PLAIN
    plants_spellings = False

    def impatient(self, path: Path, *, timeout_ms: int) -> WritableStore:
        return PLAIN.make(path, timeout_ms=timeout_ms)

    def read(self, path: Path) -> dict[str, bytes]:
        members = json.loads(path.read_bytes())
        return {key: json.dumps(entry, ensure_ascii=False, separators=(",", ":")).encode() for key, entry in members.items()}

    def plant(self, path: Path, entries: Mapping[str, bytes]) -> None:
        members = {key: raw for key, raw in self.read(path).items() if key not in entries} | dict(entries)
        path.write_bytes(b"{" + b",".join(json.dumps(key).encode() + b":" + raw for key, raw in members.items()) + b"}")

    def files(self, path: Path) -> list[Path]:
        return [path]

    def damages(self) -> Mapping[str, Damage]:
        return {
            "truncated": lambda path: path.write_bytes(path.read_bytes()[:-20]) and None,
            "emptied": lambda path: path.write_bytes(b"") and None,
            "array": lambda path: path.write_bytes(b"[]") and None,
            "foreign": lambda path: path.write_bytes(b"SQLite format 3\0") and None,
            "folder": into_a_folder,
        }
