"""How the SQLite store writes: what differs and nothing else, whole or not at all, and seen by every other connection."""

from __future__ import annotations

import json
import os
import signal
import zlib
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sessionlab import codec
from sessionlab.entry import Entry, summary_of
from sessionlab.errors import CorruptStoreError, StoreLockedError, UnwritableError
from sessionlab.stores import sqlite_document
from sessionlab.stores.memory import MemoryStore
from sessionlab.stores.sqlite import SQLiteStore
from tests.stores.sample_entries import ALPHA, BETA, ENTRIES, GAMMA, NOW_MS, session, small_store
from tests.stores.sqlite_files import MARK, entries, plain
from tests.torture.backends import SQLITE, SQLITE_PROCESS

BIG = {"prompt": "é" * 2_000, "skills": [{"name": f"s{place}"} for place in range(9)]}
REPORT = [["report", number, 1.5, None] for number in range(200)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sessions.sqlite"


def full(number: int = 1) -> Entry:
    """Return an entry with two big fields, in the middle and at the end."""
    return {"sessionId": f"id-{number}", "skillsSnapshot": BIG, "updatedAt": NOW_MS, "tag": [], "systemPromptReport": REPORT}


def rows(path: Path) -> dict[str, list[Any]]:
    """Return table -> its rows."""
    with plain(path) as connection:
        return {table: connection.execute(f"SELECT * FROM {table}").fetchall() for table in ("sessions", "documents", "big_fields")}


# -- an entry in parts

SMALL: st.SearchStrategy[Any] = st.one_of(
    *(st.integers(-(2**63), 2**64 - 1), st.floats(-1e15, 1e15), st.text(max_size=9), st.booleans()),
    st.sampled_from([None, [], {}, [[]], "[\n]", "null", "", 0, -0.0, 1e21, 2**53 + 1]),
)
BIG_VALUES: st.SearchStrategy[Any] = st.one_of(
    st.text(min_size=1, max_size=9).map(lambda text: text * 1_100),
    st.lists(SMALL, min_size=1, max_size=4).map(lambda some: some * 600),
    st.dictionaries(st.text(max_size=5), SMALL.map(lambda value: [value] * 600), min_size=1, max_size=3),
)
WITH_BIG = st.tuples(ENTRIES, st.dictionaries(st.text(max_size=9), BIG_VALUES, max_size=3), st.randoms()).map(
    lambda parts: shuffled(parts[1] | parts[0], parts[2])
)


def shuffled(entry: Entry, chance: Any) -> Entry:
    names = list(entry)
    chance.shuffle(names)
    return {name: entry[name] for name in names}


@settings(max_examples=80, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(entry=WITH_BIG)
def test_any_entry_is_put_together_byte_for_byte(entry: Entry) -> None:
    """B.5: order of fields, types, nulls, absent and empty values, numbers of every kind, unknown fields."""
    data = codec.encode_compact(entry)
    document = sqlite_document.split(data, entry)
    values = [entry.get(name) for name in sqlite_document.HOT_FIELDS]
    slim = sqlite_document.filled(document.slim, document.hot, values)
    assert slim is not None
    assert sqlite_document.joined(slim, [one.value for one in document.big]) == data
    decoded = json.loads(document.slim)
    assert list(decoded) == list(json.loads(data))
    assert sqlite_document.fill(decoded, document.slim, document.hot, values)
    assert summary_of("k", decoded) == summary_of("k", json.loads(data))
    assert document.slim.count(MARK) == len(document.big)


def test_any_sequence_of_writes_ends_as_in_the_oracle(path: Path) -> None:
    """B.5, B.7: put, update and touch with any fields, big ones coming, going, and changing their places."""
    with SQLiteStore(path, durability="process") as store:
        oracle = MemoryStore()

        @settings(max_examples=50, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(first=WITH_BIG, second=WITH_BIG, removed=st.randoms(), way=st.sampled_from(["touch", "update"]))
        def agree(first: Entry, second: Entry, removed: Any, way: str) -> None:
            patch: dict[str, Any] = dict(second)
            patch |= {name: msgspec.UNSET for name in first if name not in second and removed.random() < 0.3}
            for one in (store, oracle):
                one.put(ALPHA, first)
                if way == "touch":
                    assert one.touch(ALPHA, patch, now_ms=5)
                else:
                    assert one.update(ALPHA, lambda _: patch, now_ms=5) == one.get(ALPHA)
            expected = dict(oracle.raw_items())
            assert dict(store.raw_items()) == expected == entries(path)
            assert store.raw(ALPHA) == expected[ALPHA]
            assert json.dumps(store.get(ALPHA)) == json.dumps(json.loads(expected[ALPHA]))
            assert list(store.summaries()) == list(oracle.summaries())
            assert [problem for problem in store.check() if problem.severity == "error"] == []

        agree()


HOT: st.SearchStrategy[dict[str, Any]] = st.dictionaries(
    st.sampled_from([*sqlite_document.HOT_FIELDS, "label"]),
    st.integers(0, 9) | st.sampled_from([2**53, 2**53 + 1, -(2**53) - 1, -5, 2.0, 1.5, None, True, "7", [0], [], {}, msgspec.UNSET]),
)


def test_touching_hot_fields_ends_as_in_the_oracle(path: Path) -> None:
    """B.5: whatever they were before, in whatever order, and whether their values are in columns only or not."""
    with SQLiteStore(path, durability="process") as store:
        oracle = MemoryStore()

        @settings(max_examples=150, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(first=HOT, patches=st.lists(st.tuples(HOT, st.integers(0, 9)), min_size=1, max_size=3))
        def agree(first: Entry, patches: list[tuple[Entry, int]]) -> None:
            first = {name: value for name, value in first.items() if value is not msgspec.UNSET} | {"sessionId": "id"}
            for one in (store, oracle):
                one.put(ALPHA, first)
                for patch, now_ms in patches:
                    assert one.touch(ALPHA, patch, now_ms=now_ms)
            expected = dict(oracle.raw_items())
            assert dict(store.raw_items()) == expected == entries(path)
            assert store.raw(ALPHA) == expected[ALPHA]
            assert json.dumps(store.get(ALPHA)) == json.dumps(oracle.get(ALPHA))
            assert store.updated_at(ALPHA) == oracle.updated_at(ALPHA)
            assert list(store.summaries()) == list(oracle.summaries())
            assert [problem for problem in store.check() if problem.severity == "error"] == []

        agree()


def test_touching_hot_fields_reads_and_writes_the_index_only(path: Path) -> None:
    """The cheap write: the session's document is not even looked at."""
    with SQLiteStore(path) as store:
        store.save({ALPHA: full(1) | {"totalTokens": 1}, BETA: full(2)})
        with plain(path) as connection:
            (slim,) = connection.execute("SELECT entry_json FROM documents WHERE id = 1").fetchone()
            connection.execute("UPDATE documents SET entry_json = '{' WHERE id = 1")
            connection.execute("CREATE TRIGGER no_document BEFORE UPDATE ON documents BEGIN SELECT RAISE(ABORT, 'no'); END")
        assert store.touch(ALPHA, {"totalTokens": 5, "updatedAt": NOW_MS + 9}, now_ms=NOW_MS + 1)
        with pytest.raises(CorruptStoreError):
            store.touch(ALPHA, {"inputTokens": 5}, now_ms=NOW_MS + 1)
        with plain(path) as connection:
            connection.execute("DROP TRIGGER no_document")
            connection.execute("UPDATE documents SET entry_json = ? WHERE id = 1", (slim,))
        assert store.get(ALPHA) == full(1) | {"totalTokens": 5, "updatedAt": NOW_MS + 9}


def test_put_tells_values_of_one_checksum_apart(path: Path) -> None:
    """The checksum tells damage, not equality."""
    ours, twin = ("x" * 2_000 + end for end in ("plumless", "buckeroo"))
    with SQLiteStore(path) as store:
        for text in (ours, twin):
            assert zlib.crc32(json.dumps(text).encode()) == zlib.crc32(json.dumps(ours).encode())
            store.put(ALPHA, session(1, note=text))
            assert store.get(ALPHA) == session(1, note=text)


def test_touch_writes_neither_big_fields_nor_other_sessions(path: Path) -> None:
    """B.7, B.13."""
    with SQLiteStore(path) as store:
        store.save({ALPHA: full(1), BETA: full(2)})
        with plain(path) as connection:  # whoever writes these rows fails
            for table in ("big_fields", "sessions", "documents"):
                for act in ("INSERT", "UPDATE", "DELETE"):
                    other = "" if table == "big_fields" else f" WHEN {'NEW' if act == 'INSERT' else 'OLD'}.id <> 1"
                    connection.execute(f"CREATE TRIGGER {act}_{table} BEFORE {act} ON {table}{other} BEGIN SELECT RAISE(ABORT, 'no'); END")
        assert store.touch(ALPHA, {"totalTokens": 5, "lastTo": "x", "tag": []}, now_ms=NOW_MS + 1)
        store.update(ALPHA, lambda _: {"totalTokens": 6, "skillsSnapshot": BIG}, now_ms=NOW_MS + 2)
        store.put(ALPHA, full(1) | {"label": "put"})
        assert store.save({ALPHA: full(1) | {"label": "saved"}, BETA: full(2)})
        with pytest.raises(CorruptStoreError, match="no"):
            store.touch(BETA, {"totalTokens": 5}, now_ms=NOW_MS)
        with pytest.raises(CorruptStoreError, match="no"):
            store.touch(ALPHA, {"systemPromptReport": REPORT[:100]}, now_ms=NOW_MS)
        assert dict(store.items()) == {ALPHA: full(1) | {"label": "saved"}, BETA: full(2)}


def test_touch_of_an_absent_session_is_no_session(path: Path) -> None:
    with SQLiteStore(path) as store:
        assert not store.touch(ALPHA, {"a": 1}, now_ms=1)
        assert not path.exists()
        store.put(BETA, session())
        assert not store.touch(ALPHA, {"a": 1}, now_ms=1)
        assert dict(store.items()) == {BETA: session()}


def test_delete_leaves_no_row_behind(path: Path) -> None:
    """B.7."""
    with SQLiteStore(path) as store:
        store.save({ALPHA: full(1), BETA: full(2)})
        assert store.delete(ALPHA)
        assert not store.delete(ALPHA)
        assert [len(found) for found in rows(path).values()] == [1, 1, 2]
        assert store.delete(BETA)
    assert rows(path) == {"sessions": [], "documents": [], "big_fields": []}


@pytest.mark.parametrize(("durability", "synchronous"), [("commit", 2), ("process", 1)])
def test_pragmas_are_those_that_are_promised(path: Path, durability: Any, synchronous: int) -> None:
    """B.1, B.12: WAL, FULL by default, and the caches."""
    with SQLiteStore(path, durability=durability, timeout_ms=1_234) as store:
        store.put(ALPHA, session())
        opened = store._connections.current()
        assert opened is not None
        found = {name: opened.connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous", "cache_size")}
        assert found == {"journal_mode": "wal", "synchronous": synchronous, "cache_size": -16_000}
        found = {name: opened.connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("temp_store", "busy_timeout", "foreign_keys")}
        assert found == {"temp_store": 2, "busy_timeout": 1_234, "foreign_keys": 1}


def test_going_through_the_whole_store_keeps_no_pages(path: Path) -> None:
    """Each page is needed once: 16 MB of them would be half of what such a process takes."""
    with SQLiteStore(path) as store:
        store.put(ALPHA, session())
        opened = store._connections.current()
        assert opened is not None
        statements: list[str] = []
        opened.connection.set_trace_callback(statements.append)
        store.load()
        opened.connection.set_trace_callback(None)
        sizes = [place for place, one in enumerate(statements) if one.startswith("PRAGMA cache_size")]
        (select,) = (place for place, one in enumerate(statements) if one.startswith("SELECT"))
        assert len(sizes) == 2
        assert sizes[0] < select < sizes[1]
        assert opened.connection.execute("PRAGMA cache_size").fetchone() == (-16_000,)


# -- when it fails


def test_full_disk_leaves_the_store_as_it_was(path: Path) -> None:
    """B.6, B.18, T4: raised, nothing half, nothing written to the JSON store beside it, and the next write that fits works."""
    beside = path.with_name("sessions.json")
    beside.write_bytes(b"{}")
    with SQLiteStore(path) as store:
        store.save(small_store())
        opened = store._connections.current(live=True)
        assert opened is not None
        opened.connection.execute("PRAGMA max_page_count = 30")
        noise = {f"agent:main:{number}": session(number, noise=os.urandom(20_000).hex()) for number in range(5)}
        for attempt in (
            lambda: store.save(noise),
            lambda: store.put(ALPHA, session(1, noise="x" * 200_000)),
            lambda: store.touch(ALPHA, {"noise": "x" * 200_000}, now_ms=1),
        ):
            with pytest.raises(UnwritableError, match="full"):
                attempt()
            assert dict(store.items()) == small_store()
            assert not opened.connection.in_transaction
        store.put(ALPHA, session(5))
        assert entries(path)[ALPHA] == codec.encode_compact(session(5))
    assert beside.read_bytes() == b"{}"


def test_database_locked_past_the_timeout_is_an_error_and_the_old_state_stays(path: Path) -> None:
    """B.20: another program that does not take the store's lock; readers go on (B.12)."""
    with SQLiteStore(path, timeout_ms=100) as store:
        store.save(small_store())
        with plain(path) as other:
            other.execute("BEGIN IMMEDIATE")
            other.execute("UPDATE sessions SET label = 'half'")
            for attempt in (lambda: store.save({}), lambda: store.put(ALPHA, session(7)), lambda: store.delete(ALPHA)):
                with pytest.raises(StoreLockedError) as caught:
                    attempt()
                assert caught.value.exit_code == 11
                assert dict(store.load()) == small_store()
                assert {row.label for row in store.summaries()} == {None}
            other.execute("ROLLBACK")
        assert store.delete(ALPHA)


KILLED = """
import os, signal
from sessionlab.stores import sqlite_rows
def stop(*_):
    print("in the middle", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
if sys.argv[2] == "commit":
    store._connections.has_kept_log = stop
else:
    write, calls = sqlite_rows.write, []
    def stopping(*arguments, **more):
        write(*arguments, **more)
        calls.append(1)
        if len(calls) == 2:
            stop()
    sqlite_rows.write = stopping
store.save({f"agent:main:{number}": {"sessionId": "killed", "noise": "x" * 500_000} for number in range(4)})
"""


@pytest.mark.parametrize(("moment", "is_there"), [("row", False), ("commit", True)])
@pytest.mark.parametrize("backend", [SQLITE, SQLITE_PROCESS], ids=lambda backend: backend.name)
def test_writer_killed_in_the_middle_leaves_the_old_state_and_after_its_commit_the_new(
    path: Path,
    backend: Any,
    moment: str,
    is_there: bool,  # noqa: FBT001 - pytest's
) -> None:
    """B.6, B.29: never half of it, and the next writer goes on."""
    with backend.make(path) as store:
        store.save(small_store())
    process = backend.start(path, KILLED, moment)
    assert process.communicate(timeout=60)[0] == "in the middle\n"
    assert process.returncode == -signal.SIGKILL
    with backend.make(path) as store:
        expected = {f"agent:main:{number}" for number in range(4)} if is_there else small_store().keys()
        assert {key for key, _ in store.items()} == expected
        assert [problem for problem in store.check() if problem.severity == "error"] == []
        store.put(GAMMA, session(4))
        assert store.get(GAMMA) == session(4)
