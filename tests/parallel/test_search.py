"""Searching shared memory: the same answers with and without the index, whatever the text."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from sessionlab.errors import StoreError, StoreLockedError, UnwritableError, UsageError
from sessionlab.parallel import Found, SharedMemory, rows, text_index
from sessionlab.parallel import search as searching
from sessionlab.parallel.records import MemoryType
from sessionlab.parallel.search import Searching, fold
from tests.parallel.clock import Clock
from tests.parallel.samples import bare, known, remembered


def plainly(
    memory: SharedMemory, query: str, *, limit: int = 20, where: Mapping[str, str] | None = None, types: list[MemoryType] | None = None
) -> Found:
    """Search without the index."""
    plain = Searching(memory._database, use_index=False)
    return plain.search(query, scope="all", where=where or {}, types=types, limit=limit, now_ms=Clock().now_ms)


def test_both_tables_or_one_are_searched(memory: SharedMemory) -> None:
    """A.44: two memories and one thing known."""
    memory.save_memory(remembered("Deploy on Friday", channel_id="a"))
    memory.save_memory(remembered("never deploy", channel_id="b", importance=9))
    memory.save_knowledge(known("DEPLOY key is in the safe"))
    found = memory.search("deploy")
    assert ([one.content for one in found.memories], len(found.knowledge)) == (["never deploy", "Deploy on Friday"], 1)
    assert (len(memory.search("deploy", scope="channel").knowledge), len(memory.search("deploy", scope="global").memories)) == (0, 0)
    assert [one.channel_id for one in memory.search("deploy", channel_id="a").memories] == ["a"]
    assert len(memory.search("deploy", limit=1).memories) == 1
    assert memory.search("deploy", limit=0) == Found()
    with pytest.raises(UsageError, match="scope"):
        memory.search("x", scope="everywhere")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="limit"):
        memory.search("x", limit=-1)


@pytest.mark.parametrize("query", ["\ud800", "tea \ud800", "\0", "tea\0 at five"])
def test_what_is_no_text_is_in_nothing(memory: SharedMemory, query: str) -> None:
    memory.save_memory(remembered("tea at five"))
    assert memory.search(query) == plainly(memory, query) == Found()


def test_memories_alone_are_searched_with_filters(memory: SharedMemory) -> None:
    """A.39: memories only, not knowledge."""
    memory.save_memory(remembered("tea at five", session_key="s1", memory_type="preference"))
    memory.save_memory(remembered("tea is out", session_key="s2", importance=8))
    memory.save_knowledge(known("tea"))
    assert [one.content for one in memory.search_memories("TEA")] == ["tea is out", "tea at five"]
    assert [one.content for one in memory.search_memories("tea", types=["preference"])] == ["tea at five"]
    assert [one.content for one in memory.search_memories("tea", session_key="s2")] == ["tea is out"]
    for number in range(12):
        memory.save_memory(remembered(f"tea {number}"))
    assert len(memory.search_memories("tea")) == 10


@pytest.mark.parametrize("query", ["100%", "_x_", 'say "hi"', "a\\b", "' OR 1=1 --", "é", "STRASSE", "ǅ", "日本語", "   ", "a AND b", "*"])
def test_every_character_means_itself(memory: SharedMemory, query: str) -> None:
    """A.44, A.47: wildcards of SQL and operators of the index are text; case is folded as Unicode has it."""
    memory.save_memory(remembered(f"before {query} after"))
    memory.save_memory(remembered("1000 xxx say hi a/b or 1=1 e strase"))
    for found in (memory.search(query), plainly(memory, query)):
        assert [one.content for one in found.memories if query in one.content] == [f"before {query} after"]
        assert all(fold(query) in fold(one.content) for one in found.memories)


_INSERT = "INSERT INTO channel_memory (session_key, channel_id, memory_type, content, importance, created_at)"
_TEXTS = st.text(st.sampled_from('aAbB%_ "ßsé\u0130\n'), min_size=1, max_size=12)
_TIMES = st.sampled_from([1, 2, 999, 1000, 1_795_000_000_000, 1_795_000_000_999, 1_795_000_001_000, -5, 1 << 60])
"""Epoch ms: several within one second, and some of which the index's places cannot tell the order."""
_CERTAIN = st.sampled_from([0, 0.29, 0.291, 0.2999, 0.3, 0.57, 1, 1.0])
_SORTS: tuple[list[MemoryType] | None, ...] = (None, ["fact", "decision"], ["decision"], [])
_RECORDS = st.lists(st.tuples(_TEXTS, st.integers(1, 10), _CERTAIN, _TIMES, st.sampled_from("ab"), st.sampled_from("ab")), max_size=12)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(records=_RECORDS, query=_TEXTS, limit=st.integers(0, 5))
@example(records=[("ßßß", 1, 0.5, 1, "a", "a")], query="sss", limit=5)
@example(records=[("aab", 5, 0.291, 9_000_000, "a", "a"), ("aab", 5, 0.2999, 1, "a", "a")], query="aab", limit=1)
@example(records=[("aab", 5, 0.5, 1_795_000_000_999, "a", "a"), ("aab", 5, 0.5, 1_795_000_000_000, "a", "a")], query="aab", limit=1)
@example(records=[("aab", 5, 0.29, 1, "a", "a"), ("aab", 5, 0.291, 1000, "a", "a"), ("aab", 5, 0.3, -5, "a", "a")], query="aab", limit=1)
def test_index_gives_the_answers_of_looking_at_every_row(
    records: list[tuple[str, int, float, int, str, str]], query: str, limit: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A.44: the same records in the same order, whatever they are ordered by, and after each was changed."""
    found = SharedMemory(tmp_path_factory.mktemp("memory") / "m.db", clock=Clock())
    found.initialize()
    with sqlite3.connect(found.path) as connection:  # one transaction for all: each that waits for the disk takes long
        for content, importance, confidence, time_ms, channel, session in records:
            memory = remembered(content, importance=importance, created_ms=time_ms, channel_id=channel, session_key=session)
            rows.insert(connection, "channel_memory", rows.of_memory(memory))
            rows.insert(connection, "global_knowledge", rows.of_knowledge(known(content, confidence=confidence, updated_ms=time_ms)))
    for _ in range(2):
        assert found.search(query, limit=limit) == plainly(found, query, limit=limit)
        for asked in ({}, {"channel_id": "a"}, {"session_key": "b"}, {"channel_id": "b", "session_key": "a"}):
            for types in _SORTS:
                memories = found.search_memories(query, **asked, types=types, limit=limit)
                assert memories == list(plainly(found, query, limit=limit, where=asked, types=types).memories)
        with sqlite3.connect(found.path) as connection:
            connection.execute("UPDATE channel_memory SET importance = 11 - importance, content = content || 'aab'")
            connection.execute("UPDATE global_knowledge SET confidence = 1 - confidence, updated_at = updated_at / 2")
            connection.execute("DELETE FROM global_knowledge WHERE id % 3 = 0")
    found.close()


def test_index_has_the_order_of_whatever_another_program_writes(memory: SharedMemory) -> None:
    """SQLite keeps in a column what it is given: parts of a step, texts, nothing."""
    insert = f"{_INSERT} VALUES ('s', 'c', 'fact', 'tea', ?, ?)"
    with sqlite3.connect(memory.path) as connection:
        connection.executemany(insert, [(one, at) for one in (None, 5, 5.5, 6) for at in (7, 7.5, "late", b"raw", 1 << 62, -1)])
        connection.execute(
            "INSERT INTO channel_memory (session_key, channel_id, memory_type, content, created_at) VALUES ('s','c','fact',x'74',1)"
        )
    found = memory.search("tea", limit=100)
    assert len(found.memories) == 24
    for limit in range(25):
        assert memory.search("tea", limit=limit) == plainly(memory, "tea", limit=limit) == Found(memories=found.memories[:limit])
        assert memory.search("te", limit=limit).memories == found.memories[:limit]


def test_places_that_are_taken_do_not_change_the_order(memory: SharedMemory) -> None:
    """Two ids may have one place; the later one is then looked at always."""
    insert = "INSERT INTO channel_memory (id, session_key, channel_id, memory_type, content, created_at) VALUES (?,'s','c','fact','tea',5)"
    with sqlite3.connect(memory.path) as connection:
        connection.executemany(insert, [((part << 21) + 7,) for part in (3, 1, 2, 0)] + [(8,)])
    for limit in range(6):
        assert [one.id for one in memory.search("tea", limit=limit).memories] == [(3 << 21) + 7, (2 << 21) + 7, (1 << 21) + 7, 8, 7][:limit]


def test_common_text_is_not_looked_for_in_every_row(memory: SharedMemory) -> None:
    """The index yields the most important first, and only as many as are wanted: of one channel and sort as of all."""
    row = "SELECT 's', 'c' || (value % 3), 'fact', 'tea', 1 + value % 10, 1000 * value FROM series"
    with sqlite3.connect(memory.path) as connection:
        connection.execute(f"WITH series (value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM series WHERE value < 900) {_INSERT} {row}")
    for asked in ({}, {"channel_id": "c1"}, {"types": ["fact"]}, {"channel_id": "c2", "types": ["fact"]}):
        looked_at = 0

        def fold_and_count(text: str) -> str:
            nonlocal looked_at
            looked_at += 1
            return fold(text)

        memory.search("tea")
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(searching, "fold", fold_and_count)
            assert len(memory.search_memories("tea", **asked, limit=5)) == 5
        assert looked_at == 6, asked


def test_index_knows_what_was_changed_and_removed_by_whomever(memory: SharedMemory) -> None:
    one = memory.put_memory(remembered("violet"))
    assert len(memory.search("violet").memories) == 1
    with sqlite3.connect(memory.path, isolation_level=None) as connection:
        connection.execute("UPDATE channel_memory SET content = 'orange' WHERE id = ?", (one.id,))
        connection.execute("INSERT INTO global_knowledge (category, content, created_at, updated_at) VALUES ('x', 'orange too', 1, 1)")
    assert (len(memory.search("violet").memories), len(memory.search("orange").memories), len(memory.search("orange").knowledge)) == (
        0,
        1,
        1,
    )
    assert one.id is not None
    memory.delete_memory(one.id)
    assert memory.search("orange").memories == ()


def test_sqlite_without_the_index_gives_the_same_answers(memory: SharedMemory, monkeypatch: pytest.MonkeyPatch) -> None:
    assert text_index.is_possible(), "this machine's SQLite has no FTS5 with trigrams, so that only one way is tested"
    memory.save_memory(remembered("violet"))
    with_it = memory.search("violet")
    monkeypatch.setattr(text_index, "is_possible", lambda: False)
    assert memory.search("violet") == with_it != Found()


def test_many_changes_are_taken_in_by_parts_between_which_others_write(memory: SharedMemory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for long; and who searches does not wait for those who write all the time."""
    for number in range(7):
        memory.save_memory(remembered(f"tea no. {number}"))
        memory.save_knowledge(known(f"tea no. {number}"))
    memory.delete_memory(3)
    other, writing, turns = SharedMemory(memory.path), memory._database.writing, 0
    other.initialize()

    def writing_after_another() -> AbstractContextManager[sqlite3.Connection]:
        nonlocal turns
        turns += 1
        assert turns < 50
        other.save_memory(remembered("tea of another"))
        return writing()

    monkeypatch.setattr(memory._database, "writing", writing_after_another)
    monkeypatch.setattr(text_index, "_AT_ONCE", 1)
    found = memory.search("tea no.", limit=100)
    assert (turns, len(found.memories), len(found.knowledge)) == (14, 6, 7)
    monkeypatch.undo()
    assert len(memory.search("tea", limit=100).memories) == 20
    other.close()


def test_index_that_is_not_to_be_written_is_asked_only_when_it_is_up_to_date(memory: SharedMemory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy that goes away afterwards: making its index takes ten times as long as looking at every row."""
    memory.save_memory(remembered("violet"))
    looking = Searching(memory._database, may_write=False)
    by_index, asked = text_index.candidates, 0

    def candidates(*question: Any) -> Iterator[tuple[Any, ...]]:
        nonlocal asked
        asked += 1
        return by_index(*question)

    def found() -> list[str]:
        before = asked
        memories = looking.search("violet", scope="channel", where={}, types=None, limit=9, now_ms=Clock().now_ms).memories
        return ["by index" if asked > before else "one by one", *(one.content for one in memories)]

    monkeypatch.setattr(text_index, "candidates", candidates)
    assert found() == ["one by one", "violet"]
    with contextlib.closing(bare(memory)) as connection:
        assert not connection.execute("SELECT name FROM sqlite_master WHERE name LIKE 'sessionlab_text%'").fetchall()
    memory.search("violet")
    assert found() == ["by index", "violet"]
    memory.save_memory(remembered("violet, too", importance=1))
    assert found() == ["one by one", "violet", "violet, too"]


def test_search_does_not_wait_for_a_program_that_keeps_the_lock(memory: SharedMemory) -> None:
    """Reading never fails because somebody writes: what is not in the index is then looked for in every row."""
    memory.save_memory(remembered("violet"))
    with contextlib.closing(bare(memory)) as other:
        other.execute("BEGIN IMMEDIATE")
        start_s = time.monotonic()
        assert [one.content for one in memory.search("violet").memories] == ["violet"]
        assert time.monotonic() - start_s < 5  # not the 10 s that a writer waits
        other.rollback()
        assert not other.execute("SELECT name FROM sqlite_master WHERE name = 'sessionlab_texts'").fetchall()
    assert len(memory.search("violet").memories) == 1
    memory.save_memory(remembered("orange"))  # and a writer waits as long as ever
    with contextlib.closing(bare(memory)) as connection:
        assert connection.execute("SELECT count(*) FROM sessionlab_texts").fetchone() == (1,)
    assert memory._database._timeout_ms == 10_000
    with memory._database.reading() as connection:
        assert connection.execute("PRAGMA busy_timeout").fetchone() == (10_000,)


def test_search_stands_in_line_with_those_who_come_to_an_end(memory: SharedMemory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who saves all the time holds the lock whenever one looks, but lets others in: the index is brought up to date between them."""
    memory.save_memory(remembered("violet"))
    with contextlib.closing(bare(memory)) as other:
        other.execute("BEGIN IMMEDIATE")

        def busy_and_done(connection: sqlite3.Connection) -> bool:
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                connection.execute("BEGIN IMMEDIATE")
            other.execute("INSERT INTO action_items (description, created_at) VALUES ('another', 1)")
            other.commit()
            return False

        monkeypatch.setattr(searching, "_is_free", busy_and_done)
        assert [one.content for one in memory.search("violet").memories] == ["violet"]
        assert other.execute("SELECT count(*) FROM sessionlab_texts").fetchone() == (1,)


def test_index_is_not_asked_when_the_line_of_writers_is_long(memory: SharedMemory, monkeypatch: pytest.MonkeyPatch) -> None:
    """That is no reason to find nothing. What the disk refuses is told of, as whatever is not written."""
    memory.save_memory(remembered("violet"))
    error: StoreError = StoreLockedError(memory.path, "is locked by another program")

    def refused() -> AbstractContextManager[sqlite3.Connection]:
        raise error

    monkeypatch.setattr(memory._database, "writing", refused)
    assert [one.content for one in memory.search("violet").memories] == ["violet"]
    error = UnwritableError(memory.path, "cannot be written")
    with pytest.raises(UnwritableError):
        memory.search("violet")


@pytest.mark.parametrize("query", ["violet", "vi", "\0violet", "red\0vio", "red\nvio", "d\0", "red"])
def test_what_stands_behind_a_nul_is_found_with_and_without_the_index(memory: SharedMemory, query: str) -> None:
    """Only another program stores such texts."""
    with contextlib.closing(bare(memory)) as connection:
        for content in ("red\0violet", "\0violet", "violet"):
            connection.execute(f"{_INSERT} VALUES ('s', 'c', 'fact', ?, 5, 7)", (content,))
    found = memory.search(query)
    assert [query in one.content for one in found.memories] == [True] * len(found.memories)
    assert found == plainly(memory, query)
    assert bool(found.memories) == ("\n" not in query)


@pytest.mark.parametrize("gone", [["sessionlab_texts"], ["sessionlab_text_places"], ["sessionlab_texts", "sessionlab_text_places"]])
def test_index_that_somebody_dropped_is_made_anew(memory: SharedMemory, gone: list[str]) -> None:
    memory.save_memory(remembered("violet"))
    memory.save_knowledge(known("violet"))
    found = memory.search("violet")
    assert (len(found.memories), len(found.knowledge)) == (1, 1)
    with contextlib.closing(bare(memory)) as connection:
        for table in gone:
            connection.execute(f"DROP TABLE {table}")
    assert memory.search("violet") == found
    memory.save_memory(remembered("violet, too"))
    assert len(memory.search("violet").memories) == 2


def test_what_others_change_while_somebody_searches_is_in_the_answer_once(memory: SharedMemory, monkeypatch: pytest.MonkeyPatch) -> None:
    """The index is brought up to date, then asked: it does not know what comes between."""
    for number in range(1, 5):
        memory.save_memory(remembered(f"alpha {number}", importance=number))
    memory.save_memory(remembered("beta"))
    memory.search("alpha")
    is_indexed = Searching._is_indexed

    def then_changed(searching: Searching, text: str) -> bool:
        found = is_indexed(searching, text)
        with bare(memory) as other:
            other.execute("UPDATE channel_memory SET importance = 10 WHERE content = 'alpha 1'")
            other.execute("UPDATE channel_memory SET content = 'gamma' WHERE content = 'alpha 3'")
            other.execute("UPDATE channel_memory SET content = 'alpha 5', importance = 9 WHERE content = 'beta'")
            other.execute("DELETE FROM channel_memory WHERE content = 'alpha 4'")
        return found

    for limit in (1, 2, 3, 10):
        with monkeypatch.context() as patched:
            patched.setattr(Searching, "_is_indexed", then_changed)
            found = [one.content for one in memory.search("alpha", limit=limit).memories]
        assert found == ["alpha 1", "alpha 5", "alpha 2"][:limit]
        with bare(memory) as other:
            other.execute("UPDATE channel_memory SET content = 'alpha 3' WHERE content = 'gamma'")
            other.execute("UPDATE channel_memory SET content = 'beta', importance = 5 WHERE content = 'alpha 5'")
            other.execute("UPDATE channel_memory SET importance = 1 WHERE content = 'alpha 1'")
        memory.save_memory(remembered("alpha 4", importance=4))
