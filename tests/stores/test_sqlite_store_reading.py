"""How the SQLite store reads: one state for each answer, nothing written beside it, and damage named for what it is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sessionlab.errors import CorruptStoreError, NoStoreError, StoreError, UnwritableError
from sessionlab.stores import sqlite, sqlite_schema
from sessionlab.stores.sqlite import SQLiteStore
from tests.fixture_states import photo
from tests.stores.sample_entries import ALPHA, BETA, GAMMA, NOW_MS, session, small_store
from tests.stores.sqlite_files import plain, plant
from tests.torture.backends import SQLITE

BIG = {"prompt": "p" * 3_000}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a store with three sessions, one of them with a big field, closed."""
    path = tmp_path / "sessions.sqlite"
    with SQLiteStore(path) as store:
        store.save(small_store() | {GAMMA: session(9, skillsSnapshot=BIG)})
    return path


def test_listing_reads_no_document(path: Path) -> None:
    """B.1: a listing is made from the index alone, in the order of its own index (B.11)."""
    with SQLiteStore(path) as store:
        expected = list(store.summaries())
        with plain(path) as connection:
            connection.execute("UPDATE documents SET entry_json = 'no JSON'")
            plan = " ".join(row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sqlite_schema.SELECT_SUMMARIES}"))
        assert "TEMP B-TREE" not in plan
        assert list(store.summaries()) == expected
        assert [row.key for row in expected] == [BETA, ALPHA, GAMMA]
        with pytest.raises(CorruptStoreError):
            list(store.items())


@pytest.mark.parametrize("at_rest_bytes", [0, 4 << 20], ids=["streamed", "at-once"])
@pytest.mark.parametrize("is_live", [True, False], ids=["live", "at-rest"])
def test_answer_is_one_state_whatever_is_written_meanwhile(
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    at_rest_bytes: int,
    is_live: bool,  # noqa: FBT001 - pytest's
) -> None:
    """B.12: by this object, another one, or another process that checkpoints and closes."""
    monkeypatch.setattr(sqlite, "_AT_REST_BYTES", at_rest_bytes)
    monkeypatch.setattr(sqlite, "_BATCH", 7)
    content = {f"agent:main:{number}": session(number, counter=0, big="x" * 5_000) for number in range(100)}
    with SQLiteStore(path) as store:
        store.save(content)
        if not is_live:
            store.close()
        listing, items = store.summaries(), store.items()
        first, (key, entry) = next(listing), next(items)
        assert (first.key, key, entry["counter"]) == ("agent:main:0", "agent:main:0", 0)
        for number in range(50):
            store.update(f"agent:main:{number}", lambda _: {"counter": 1, "big": "y" * 6_000}, now_ms=NOW_MS + 1)
        store.delete("agent:main:99")
        other = SQLITE.start(path, "store.delete('agent:main:98')\nstore.close()")
        assert other.communicate(timeout=30) == ("", "")
        assert [first.key, *(row.key for row in listing)] == list(content)
        assert dict([(key, entry), *items]) == content
        assert store.count() == 98
        assert sum(entry["counter"] for _, entry in store.items()) == 50


def test_large_store_at_rest_leaves_nothing_behind_when_it_was_streamed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """B.38: not a byte of the database changes; what SQLite made beside it for its readers is gone with the store object."""
    monkeypatch.setattr(sqlite, "_AT_REST_BYTES", 0)
    before = {name: seen for name, seen in photo(path.parent).items() if name != "."}
    with SQLiteStore(path) as store:
        assert len(list(store.items())) == len(list(store.summaries())) == 3
    assert {name: seen for name, seen in photo(path.parent).items() if name != "."} == before


def test_snapshot_reads_a_private_copy_and_refuses_to_write(path: Path) -> None:
    """The original is not touched, what it gets later is not shown, and its path is what is named."""
    with SQLiteStore(path) as store:
        store.put(ALPHA, session(5))
        expected = dict(store.items())
        with SQLiteStore.open_snapshot(path) as copy:
            store.put(BETA, session(6))
            assert dict(copy.items()) == expected
            assert (copy.path, copy.count(), copy.check(), copy.agent_id) == (path, 3, (), "main")
            assert "backup" in copy.snapshot_method  # this process has it open: a plain copy would drop its locks
            assert copy.stats().store_bytes > 0
            for attempt in (
                lambda: copy.put(ALPHA, session()),
                lambda: copy.delete(ALPHA),
                lambda: copy.save({}),
                lambda: copy.touch(ALPHA, {}, now_ms=1),
                lambda: copy.update(ALPHA, lambda _: {}, now_ms=1),
            ):
                with pytest.raises(UnwritableError, match="copy"):
                    attempt()
        assert (store.get(BETA) or {})["sessionId"] == "id-6"
    before = photo(path.parent)
    with SQLiteStore.open_snapshot(path) as copy:
        assert dict(copy.items()) == expected | {BETA: session(6)}
        assert "original was not opened" in copy.snapshot_method
    assert photo(path.parent) == before


def test_snapshot_of_nothing_or_of_another_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(NoStoreError):
        SQLiteStore.open_snapshot(tmp_path / "sessions.sqlite")
    with plain(tmp_path / "foreign.sqlite") as connection:
        connection.execute("CREATE TABLE a (b)")
    with pytest.raises(CorruptStoreError):
        SQLiteStore.open_snapshot(tmp_path / "foreign.sqlite")


def run(statement: str) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        with plain(path) as connection:
            connection.execute("PRAGMA foreign_keys = OFF")
            assert connection.execute(statement).rowcount > 0

    return damage


def pages_overwritten(path: Path) -> None:
    data = bytearray(path.read_bytes())
    for start in range(4096, len(data), 4096):
        data[start : start + 64] = b"\xff" * 64
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("damage", "code"),
    [
        pytest.param(run("UPDATE sessions SET label = 'lie' WHERE id = 1"), "wrong_index", id="column"),
        pytest.param(run("UPDATE sessions SET archived = 'soon' WHERE id = 1"), "wrong_index", id="column-type"),
        pytest.param(run("UPDATE sessions SET updated_at = 'soon' WHERE id = 1"), "bad_entry", id="hot-column-type"),
        pytest.param(run("UPDATE sessions SET updated_at = NULL WHERE id = 1"), "bad_entry", id="hot-column-empty"),
        pytest.param(run("UPDATE sessions SET hot = 0 WHERE id = 1"), "bad_entry", id="hot-mask-empty"),
        pytest.param(run("UPDATE sessions SET hot = hot | 16, context_tokens = 5 WHERE id = 1"), "bad_entry", id="hot-mask-too-full"),
        pytest.param(run("UPDATE sessions SET hot = 2, input_tokens = 5 WHERE id = 1"), "bad_entry", id="hot-mask-wrong"),
        pytest.param(run("UPDATE documents SET entry_json = '{' WHERE id = 1"), "bad_entry", id="entry"),
        pytest.param(run("DELETE FROM documents WHERE id = 1"), "bad_entry", id="entry-gone"),
        pytest.param(run("DELETE FROM documents WHERE id = 1"), "orphaned_rows", id="entry-gone-leaves-orphans"),
        pytest.param(run("DELETE FROM sessions WHERE id = 1"), "orphaned_rows", id="session-gone"),
        pytest.param(run("DELETE FROM big_fields"), "bad_entry", id="big-field-gone"),
        pytest.param(run("UPDATE big_fields SET value = replace(value, 'pp', 'qq')"), "bad_entry", id="big-field-changed"),
        pytest.param(run("UPDATE big_fields SET name = 'other'"), "bad_entry", id="big-field-renamed"),
        pytest.param(pages_overwritten, "damaged_database", id="pages"),
        pytest.param(lambda path: path.write_bytes(b"no database at all" * 500), "damaged_database", id="no-database"),
    ],
)
def test_check_names_what_is_wrong(path: Path, damage: Callable[[Path], None], code: str) -> None:
    damage(path)
    with SQLiteStore(path) as store:
        found = {problem.code: problem for problem in store.check()}
        assert code in found
        assert found[code].severity == "error"
        assert found[code].path == str(path)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE big_fields SET value = replace(value, 'pp', 'qq')",
        "UPDATE big_fields SET value = 'x'",
        "DELETE FROM big_fields",
        "UPDATE big_fields SET name = 'tag'",
        "DELETE FROM documents WHERE id = 1",
        "UPDATE documents SET entry_json = CAST(x'ff' AS TEXT) WHERE id = 1",
        "UPDATE sessions SET updated_at = 1.5 WHERE id = 1",
        "UPDATE sessions SET updated_at = 9007199254740993 WHERE id = 1",
        "UPDATE sessions SET hot = 0 WHERE id = 1",
        "UPDATE sessions SET hot = hot | 32, compaction_count = 1 WHERE id = 1",
    ],
)
def test_entry_that_is_not_what_was_written_is_never_given_out(path: Path, statement: str) -> None:
    """B.4, B.21: not as an entry with a hole, not as a null, and an update does not write over it."""
    run(statement)(path)
    before = path.read_bytes()
    with SQLiteStore(path) as store:
        for attempt in (
            lambda: store.get(GAMMA),
            lambda: list(store.items()),
            store.fingerprint,
            lambda: store.update(GAMMA, lambda _: {"a": 1}, now_ms=1),
        ):
            with pytest.raises(CorruptStoreError):
                attempt()
        assert store.get(ALPHA) == small_store()[ALPHA]
    assert path.read_bytes() == before


def test_touch_that_would_move_a_big_field_which_is_gone_is_refused(path: Path) -> None:
    run("DELETE FROM big_fields")(path)
    with SQLiteStore(path) as store:
        raw = path.read_bytes()
        with pytest.raises(CorruptStoreError, match="not what was written"):
            store.touch(GAMMA, {"note": "n" * 2_000}, now_ms=1)
        assert path.read_bytes() == raw


def test_entry_that_another_program_stored_whole_is_taken_as_it_is(path: Path) -> None:
    entry = session(3, skillsSnapshot={"prompt": "q" * 9_000}, note="[\n]")
    plant(path, {ALPHA: json.dumps(entry).encode()})
    with SQLiteStore(path) as store:
        assert store.get(ALPHA) == entry
        assert store.touch(ALPHA, {"counter": 4}, now_ms=entry["updatedAt"])
        assert store.get(ALPHA) == entry | {"counter": 4}
        assert store.check() == ()


READ_ONLY = """
import hashlib, os, sys, uuid
from pathlib import Path
from sessionlab.errors import StoreError
from sessionlab.stores import sqlite
os.setgid(65534); os.setuid(65534)  # who may not even read our packages
path = Path(sys.argv[1])
for size in (0, 4 << 20):
    sqlite._AT_REST_BYTES = size
    store = sqlite.SQLiteStore(path, timeout_ms=200)
    assert (store.count(), len(dict(store.items())), len(list(store.summaries())), len(store.load())) == (3, 3, 3, 3)
    for attempt in (lambda: store.put("agent:main:main", {"sessionId": "x"}), lambda: store.delete("agent:main:main")):
        try:
            attempt()
        except StoreError as error:
            print(type(error).__name__, error.exit_code)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become somebody who may not write")
def test_read_only_folder_is_read_and_not_written(path: Path) -> None:
    """Bad input of the issue: an error that names the file; the store unchanged."""
    for folder in (path.parent, *list(path.parents)[1:3]):
        folder.chmod(0o755)
    path.chmod(0o644)
    Path(f"{path}.lock").unlink()
    before = photo(path.parent)
    done = subprocess.run(
        [sys.executable, "-c", READ_ONLY, str(path)], capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2]
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == ["UnwritableError 10"] * 4
    assert photo(path.parent) == before


def test_file_without_a_byte_is_called_empty(path: Path) -> None:
    """It is no database, and no store without sessions either."""
    path.write_bytes(b"")
    with SQLiteStore(path) as store:
        for attempt in (store.count, lambda: store.get(ALPHA), lambda: store.put(ALPHA, session())):
            with pytest.raises(CorruptStoreError, match=r"sessions\.sqlite: is empty: .*; move it away, or restore a backup"):
                attempt()
    assert path.read_bytes() == b""


def test_folder_in_the_stores_place_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "sessions.sqlite"
    path.mkdir()
    with SQLiteStore(path) as store:
        for attempt in (store.count, lambda: store.put(ALPHA, session())):
            with pytest.raises(StoreError) as caught:
                attempt()
            assert caught.value.exit_code == 10


def test_agent_is_read_off_the_path(tmp_path: Path) -> None:
    """B.2."""
    assert SQLiteStore(tmp_path / "agents" / "ops" / "sessions" / "sessions.sqlite").agent_id == "ops"
    assert SQLiteStore(tmp_path / "sessions.sqlite").agent_id == "main"
    assert SQLiteStore(tmp_path / "sessions.sqlite", agent_id="x").agent_id == "x"
