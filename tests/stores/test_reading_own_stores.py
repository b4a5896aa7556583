"""Our stores hold what every store promises its readers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

import pytest

from sessionlab.stores import SessionStore, locate
from sessionlab.stores.directory import DirectoryStore
from sessionlab.stores.directory_snapshot import DirectorySnapshot
from sessionlab.stores.location import snapshot_at
from sessionlab.stores.sqlite import SQLiteStore
from sessionlab.stores.writing import WritableStore
from tests.fixture_states import shared_state
from tests.stores.reading_contract import Raw, ReadingContract


def moved(store: WritableStore, factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Put the JSON fixture's sessions into a store of ours, and return them as it names them."""
    entries = json.loads((shared_state("json-2026.3", factory) / "agents/main/sessions/sessions.json").read_text(encoding="utf-8"))
    with store:
        store.save(entries)
    return {key.strip().lower(): entry for key, entry in entries.items()}


class OwnContract(ReadingContract):
    """A store of ours, opened as every reader opens it."""

    findings = frozenset({"legacy_field"})
    name: ClassVar[str]

    def make(self, path: Path) -> WritableStore:
        raise NotImplementedError

    def folder(self, factory: pytest.TempPathFactory) -> Path:
        folder = factory.mktemp(self.kind)
        self.moved = moved(self.make(folder / self.name), factory)
        return folder

    def path(self, folder: Path) -> Path:
        return folder / self.name


class TestOurSQLite(OwnContract):
    kind = "sqlite"
    name = "sessions.sqlite"

    def make(self, path: Path) -> WritableStore:
        return SQLiteStore(path)

    def oracle(self, path: Path) -> Raw:  # noqa: ARG002 - what was put; how it lies there is tested elsewhere
        return [(key, json.dumps(entry, separators=(",", ":"), ensure_ascii=False).encode()) for key, entry in self.moved.items()]


class TestDirectory(OwnContract):
    kind = "directory"
    name = "sessions.d"

    def make(self, path: Path) -> WritableStore:
        return DirectoryStore(path)

    def oracle(self, path: Path) -> Raw:
        found = []
        for file in (path / "entries").iterdir():
            text = file.read_text(encoding="utf-8")
            found.append((json.loads(text)["sessionKey"], text.partition('"entry": ')[2].removesuffix("\n}").encode()))
        return sorted(found)

    def store_bytes(self, path: Path) -> int:
        return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


class TestDirectorySnapshot(TestDirectory):
    """The same, read once for all answers."""

    def opened(self, path: Path) -> SessionStore:
        (location,) = locate(path)
        opened = snapshot_at(location)
        assert isinstance(opened, DirectorySnapshot)
        return opened

    def test_what_is_written_later_does_not_show(self, store: SessionStore, file: Path, entries: dict[str, Any]) -> None:
        with DirectoryStore(file) as writer:
            writer.save({})
        assert dict(store.items()) == entries
        assert store.count() == len(entries)
