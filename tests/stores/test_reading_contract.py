"""OpenClaw's own stores hold what every store promises its readers."""

from __future__ import annotations

import json
import shutil
import sqlite3
import tempfile
from pathlib import Path
from typing import Any, ClassVar

import pytest

from sessionlab import resources
from sessionlab.stores import SessionStore
from tests.fixture_states import STORE, own_state, shared_state
from tests.stores.reading_contract import Raw, ReadingContract


class JSONContract(ReadingContract):
    kind = "json"

    def path(self, folder: Path) -> Path:
        return folder / "agents/main/sessions/sessions.json"

    def oracle(self, path: Path) -> Raw:
        text = path.read_text(encoding="utf-8")
        scanner, found, place = json.JSONDecoder(), [], text.index("{") + 1
        for key in json.loads(text):
            place = text.index(json.dumps(key, ensure_ascii=False) + ": {", place) + len(json.dumps(key, ensure_ascii=False)) + 2
            end = scanner.raw_decode(text, place)[1]
            found.append((key, text[place:end].encode("utf-8")))
            place = end
        return found


class SQLiteContract(ReadingContract):
    kind = "openclaw"
    errors = frozenset({"non_canonical_key"})  # one such key, and OpenClaw 2026.8+ lists no session at all
    name: ClassVar[str]
    findings = frozenset(
        {
            "non_canonical_key",
            "legacy_field",
            "route_lost",
            "delivery_rewritten",
            "memory_flush_rewritten",
            "window_without_events",
        }
    )

    def folder(self, factory: pytest.TempPathFactory) -> Path:
        return shared_state(self.name, factory)

    def path(self, folder: Path) -> Path:
        return folder / STORE

    def query(self, path: Path, sql: str) -> list[tuple[Any, ...]]:
        connection = sqlite3.connect(f"file:{path}?immutable=1", uri=True)
        try:
            return connection.execute(sql).fetchall()
        finally:
            connection.close()

    def oracle(self, path: Path) -> Raw:
        rows = self.query(path, "SELECT session_key, entry_json FROM session_nodes ORDER BY rowid")
        return [(key, text.encode("utf-8")) for key, text in rows]

    def oracle_updated(self, path: Path) -> dict[str, Any]:
        return dict(self.query(path, "SELECT session_key, updated_at FROM session_nodes"))


class TestJSON(JSONContract):
    findings = frozenset({"non_canonical_key", "legacy_field"})

    def folder(self, factory: pytest.TempPathFactory) -> Path:
        return shared_state("json-2026.3", factory)


class TestSample(JSONContract):
    findings = frozenset({"case_variant_keys", "no_updated_at", "non_canonical_key", "legacy_field"})

    def folder(self, factory: pytest.TempPathFactory) -> Path:  # noqa: ARG002 - lies in the checkout
        return resources.sample_dir()


class TestSQLite8(SQLiteContract):
    name = "sqlite-2026.8"


class TestSQLite9(SQLiteContract):
    name = "sqlite-2026.9"


class TestSQLiteWithLog(SQLiteContract):
    """The database while OpenClaw runs: what was committed last lies in the write-ahead log only."""

    name = "sqlite-2026.9"

    def folder(self, factory: pytest.TempPathFactory) -> Path:
        original = own_state(self.name, factory, factory.mktemp("original"))
        writer = sqlite3.connect(original / STORE, isolation_level=None)
        try:
            writer.execute("PRAGMA journal_mode=WAL")
            writer.execute("PRAGMA wal_autocheckpoint=0")
            for (trigger,) in writer.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
                writer.execute(f'DROP TRIGGER "{trigger}"')
            writer.execute(
                "UPDATE session_nodes SET entry_json = json_set(entry_json, '$.counter', 7) WHERE session_key = 'agent:main:main'"
            )
            # Copied while the writer still holds it: closing would move the log into the database.
            state = Path(shutil.copytree(original, factory.mktemp("running") / self.name))
            Path(f"{state / STORE}-shm").unlink()
            return state
        finally:
            writer.close()

    def query(self, path: Path, sql: str) -> list[tuple[Any, ...]]:
        with tempfile.TemporaryDirectory() as folder:
            for name in (path.name, f"{path.name}-wal"):
                shutil.copy(path.with_name(name), folder)
            connection = sqlite3.connect(Path(folder) / path.name)
            try:
                return connection.execute(sql).fetchall()
            finally:
                connection.close()

    def store_bytes(self, path: Path) -> int:
        return path.stat().st_size + Path(f"{path}-wal").stat().st_size

    def test_what_lies_in_the_log_only_is_read(self, store: SessionStore) -> None:
        entry = store.get("agent:main:main")
        assert entry is not None
        assert entry["counter"] == 7
