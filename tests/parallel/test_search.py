"""Searching shared memory: the same answers with and without the index, whatever the text."""

from __future__ import annotations

import sqlite3

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from sessionlab.errors import UsageError
from sessionlab.parallel import Found, SharedMemory
from sessionlab.parallel import search as searching
from sessionlab.parallel.search import Searching, fold, index_is_possible
from tests.parallel.test_shared_memory import Clock, known, memory, remembered

__all__ = ["clock", "memory"]


@pytest.fixture
def clock() -> Clock:
    return Clock()


def plainly(memory: SharedMemory, query: str, *, limit: int = 20) -> Found:
    """Search without the index."""
    plain = Searching(memory._database, use_index=False)
    return plain.search(query, scope="all", where={}, types=None, limit=limit, now_ms=Clock().now_ms)


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


_TEXTS = st.text(st.sampled_from('aAbB%_ "ßsé\u0130\n'), min_size=1, max_size=12)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    contents=st.lists(st.tuples(_TEXTS, st.integers(1, 10)), max_size=12),
    query=_TEXTS,
    limit=st.integers(0, 5),
    few=st.sampled_from([0, 2, 1000]),
)
@example(contents=[("ßßß", 1)], query="sss", limit=5, few=1000)
def test_index_gives_the_answers_of_looking_at_every_row(
    contents: list[tuple[str, int]], query: str, limit: int, few: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A.44: the same records in the same order, also where a text is in so many places that the index is left alone."""
    found = SharedMemory(tmp_path_factory.mktemp("memory") / "m.db", clock=Clock())
    found.initialize()
    for content, importance in contents:
        found.save_memory(remembered(content, importance=importance))
        found.save_knowledge(known(content, confidence=importance / 10))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(searching, "_FEW", few)
        assert found.search(query, limit=limit) == plainly(found, query, limit=limit)
    found.close()


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
    assert index_is_possible(), "this machine's SQLite has no FTS5 with trigrams, so that only one way is tested"
    memory.save_memory(remembered("violet"))
    with_it = memory.search("violet")
    monkeypatch.setattr(searching, "index_is_possible", lambda: False)
    assert memory.search("violet") == with_it != Found()
