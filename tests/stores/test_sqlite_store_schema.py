"""The format of `sessions.sqlite`: tables by their names, its version, and every file that is not one of ours."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from sessionlab import layout
from sessionlab.errors import CorruptStoreError, UnsupportedSchemaError
from sessionlab.stores import sqlite_schema
from sessionlab.stores.sqlite import SQLiteStore
from tests.stores.sample_entries import ALPHA, BETA, NOW_MS, session, small_store
from tests.stores.sqlite_files import plain

COLUMNS = {
    *("session_key", "session_id", "updated_at", "created_at", "channel", "last_channel", "last_to", "last_account_id", "last_thread_id"),
    *("label", "display_name", "status", "model", "model_provider", "total_tokens", "input_tokens", "output_tokens", "message_count"),
    "archived",
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a store with three sessions, closed."""
    path = tmp_path / "sessions.sqlite"
    with SQLiteStore(path) as store:
        store.save(small_store())
    return path


def test_columns_and_indexes_have_the_names_of_the_proposal(path: Path) -> None:
    """B.1, first part: table and index names; the entry lies in a table of its own."""
    with plain(path) as connection:
        columns = {row[1] for row in connection.execute("PRAGMA table_info(sessions)")}
        indexes = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL")}
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)  # B.12
    assert columns >= COLUMNS
    assert {f"idx_sessions_{name}" for name in ("updated_at", "channel", "status", "last_channel", "archived")} <= indexes
    assert "entry_json" not in columns


def test_index_says_what_the_entry_says(tmp_path: Path) -> None:
    """B.1, B.5: numbers stay numbers in the entry, whatever the column's type; reserved columns stay NULL."""
    route = {"lastChannel": "telegram", "lastTo": "+1", "lastAccountId": "a", "lastThreadId": 77}
    entry = session(1, **route, startedAt=5, sessionStartedAt=4, archivedAt=9, model="m", modelProvider="p", totalTokens=3)
    with SQLiteStore(tmp_path / "sessions.sqlite") as store:
        store.put(ALPHA, entry)
        assert store.get(ALPHA) == entry
    with plain(store.path) as connection:
        connection.row_factory = sqlite3.Row
        row = dict(connection.execute("SELECT * FROM sessions").fetchone())
    assert (row["session_key"], row["session_id"], row["updated_at"], row["archived"]) == (ALPHA, "id-1", entry["updatedAt"], 1)
    assert (row["created_at"], row["started_at"], row["model"], row["model_provider"], row["total_tokens"]) == (4, 5, "m", "p", 3)
    route_columns = ("channel", "last_channel", "last_to", "last_account_id", "last_thread_id")
    assert [row[name] for name in route_columns] == ["telegram", "telegram", "+1", "a", "77"]
    assert (row["message_count"], row["label"]) == (None, None)


@pytest.mark.parametrize("key", ["Agent:Main:X", " agent:main:x", "__proto__", "prototype", "constructor"])
def test_schema_itself_refuses_second_spellings_and_reserved_keys(path: Path, key: str) -> None:
    """F.14, F.15: so that no other program can store what this store would not find."""
    with plain(path) as connection, pytest.raises(sqlite3.IntegrityError):
        connection.execute("INSERT INTO sessions (session_key, session_id) VALUES (?, 'x')", (key,))


@pytest.mark.parametrize("version", [2, 99])
def test_newer_version_is_refused(path: Path, version: int) -> None:
    with plain(path) as connection:
        connection.execute(f"PRAGMA user_version = {version}")
    before = path.read_bytes()
    with SQLiteStore(path) as store:
        for attempt in (store.count, lambda: store.put(ALPHA, session()), store.check):
            with pytest.raises(UnsupportedSchemaError) as caught:
                attempt()
            assert caught.value.exit_code == 12
            assert str(version) in str(caught.value)
    assert path.read_bytes() == before


def test_store_that_becomes_newer_while_it_is_open_is_not_written(path: Path) -> None:
    with SQLiteStore(path) as store:
        store.put(ALPHA, session())
        with plain(path) as connection:
            connection.execute("PRAGMA user_version = 2")
        with pytest.raises(UnsupportedSchemaError):
            store.put(ALPHA, session(2))
        with plain(path) as connection:
            connection.execute("PRAGMA user_version = 1")
        assert store.get(ALPHA) == session()


def test_older_version_is_upgraded_by_the_first_write_and_whole_or_not_at_all(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    upgrade = ["ALTER TABLE sessions ADD COLUMN mood TEXT", "UPDATE sessions SET mood = 'fine'"]
    monkeypatch.setattr(sqlite_schema, "VERSION", 2)
    for fails in (True, False):
        monkeypatch.setattr(sqlite_schema, "UPGRADES", {1: [*upgrade, "no statement"] if fails else upgrade})
        with SQLiteStore(path) as store:
            assert dict(store.items()) == small_store(), "reading upgrades nothing"
            if fails:
                with pytest.raises(CorruptStoreError):
                    store.put(ALPHA, session(5))
            else:
                store.put(ALPHA, session(5))
            assert store.stats().schema_version == (1 if fails else 2)
            assert dict(store.items()) == (small_store() if fails else small_store() | {ALPHA: session(5)})
    with plain(path) as connection:
        assert connection.execute("SELECT session_key FROM sessions WHERE mood = 'fine'").fetchall() == [(key,) for key in small_store()]


def unfinished(path: Path) -> None:
    with plain(path) as connection:
        connection.execute(f"PRAGMA application_id = {layout.SQLITE_APPLICATION_ID}")
        connection.execute("CREATE TABLE sessions (id INTEGER)")


def foreign(path: Path) -> None:
    with plain(path) as connection:
        connection.execute("CREATE TABLE sessions (session_key TEXT PRIMARY KEY, entry_json TEXT)")
        connection.execute("PRAGMA user_version = 1")


@pytest.mark.parametrize(
    "make", [unfinished, foreign, lambda path: path.write_bytes(b""), lambda path: path.write_bytes(b"SQLite format 3\0")]
)
def test_what_is_not_ours_or_was_never_finished_is_refused_and_left_alone(tmp_path: Path, make: object) -> None:
    """B.21: an empty file is no empty store: ours are made whole."""
    path = tmp_path / "sessions.sqlite"
    make(path)  # type: ignore[operator]
    before = path.read_bytes()
    with SQLiteStore(path) as store:
        for attempt in (store.count, lambda: store.put(ALPHA, session()), lambda: store.delete(ALPHA), lambda: store.save({})):
            with pytest.raises(CorruptStoreError):
                attempt()
    assert path.read_bytes() == before
    assert {file.name for file in tmp_path.iterdir()} <= {path.name, f"{path.name}.lock"}


def test_making_a_store_that_fails_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """B.3, B.29: the database appears whole, by one rename."""
    monkeypatch.setattr(sqlite_schema, "SCHEMA", (*sqlite_schema.SCHEMA, "no statement"))
    with SQLiteStore(tmp_path / "sessions.sqlite") as store:
        with pytest.raises(CorruptStoreError):
            store.put(ALPHA, session())
        assert [file.name for file in tmp_path.iterdir()] == ["sessions.sqlite.lock"]
        monkeypatch.undo()
        store.put(BETA, session())
        assert store.get(BETA) == session()


def test_log_without_its_database_is_no_empty_store(path: Path) -> None:
    """B.19: a new database would be filled from the old log."""
    with SQLiteStore(path) as store:
        store.put(ALPHA, session())
        Path(f"{path}-wal").rename(path.with_name("kept"))
        path.unlink()
        path.with_name("kept").rename(f"{path}-wal")
        with SQLiteStore(path) as again:
            for attempt in (again.count, lambda: again.put(BETA, session()), lambda: again.get(ALPHA)):
                with pytest.raises(CorruptStoreError, match="log"):
                    attempt()
    assert not path.exists()


def test_store_that_is_replaced_is_noticed_at_once(path: Path, tmp_path: Path) -> None:
    """One authority: a migration renames its result into place, and nothing may still go into the file that was there."""
    with SQLiteStore(tmp_path / "other.sqlite") as other:
        other.put(BETA, session(7))
    with SQLiteStore(path) as store:
        store.update(ALPHA, lambda _: {"counter": 1}, now_ms=NOW_MS)
        with SQLiteStore(path) as second:
            assert second.count() == 3
        store.close()
        other.path.rename(path)
        assert dict(store.items()) == {BETA: session(7)}
        store.put(ALPHA, session(8))
    with SQLiteStore(path) as again:
        assert dict(again.items()) == {BETA: session(7), ALPHA: session(8)}
