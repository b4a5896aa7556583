"""Rows that another program has written and that hold what no column of theirs should: what can be read is, and nothing is lost."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from sessionlab.errors import UsageError
from sessionlab.parallel import Person, Session, SharedMemory
from sessionlab.parallel.foreign import UNREADABLE
from tests.cli.in_process import caller
from tests.parallel.clock import NOW_MS
from tests.parallel.managers import Make
from tests.parallel.samples import bare, remembered

_SESSION = (
    "INSERT INTO session_state (session_key, channel_id, status, context_json, created_at, last_activity_at) VALUES (?, 'a', ?, {}, ?, 1)"
)
_CONTEXTS = {
    "a list": ("'[1, 2]'", "[1, 2]"),
    "no JSON": ("'{\"a\": NaN}'", '{"a": NaN}'),
    "a text": ("'half of {'", "half of {"),
    "invalid UTF-8": ("CAST(x'7b22ff227d' AS TEXT)", '{"\\xff"}'),
    "bytes": ("x'00ff'", "\0\\xff"),
    "half a surrogate pair": ('\'{"a": "\\ud800"}\'', '{"a": "\\ud800"}'),
    "too deep": (f"'{'[' * 5000}'", "[" * 5000),
}


def context_bytes(memory: SharedMemory) -> bytes:
    with bare(memory) as connection:
        (found,) = connection.execute("SELECT CAST(context_json AS BLOB) FROM session_state").fetchone()
    assert isinstance(found, bytes)
    return found


@pytest.mark.parametrize("context", _CONTEXTS)
def test_session_with_an_unreadable_context_wakes_and_sleeps_with_every_byte_of_it(make: Make, context: str) -> None:
    manager = make()
    memory = manager.memory
    assert memory is not None
    key = manager.get_or_create_session("a").session_key
    manager.hibernate_session(key)
    statement, shown = _CONTEXTS[context]
    with bare(memory) as connection:
        connection.execute(f"UPDATE session_state SET context_json = {statement}")
    before = context_bytes(memory)
    stored = memory.load_session(key)
    assert stored is not None
    assert stored[1] == {UNREADABLE: shown}
    assert not manager.get_or_create_session("a").is_new
    assert [state[1] for state in memory.woken_sessions()] == [{UNREADABLE: shown}]
    manager.count_message(key)
    assert manager.hibernate_session(key)
    assert context_bytes(memory) == before
    with bare(memory) as connection:
        assert connection.execute("SELECT typeof(context_json) FROM session_state").fetchone() == ("text",)
    (found,) = memory.sessions()
    assert (found.session_key, found.message_count) == (key, 1)


def test_context_that_says_nothing_is_none(memory: SharedMemory) -> None:
    with bare(memory) as connection:
        for number, context in enumerate(("NULL", "''", "'null'", "' null '")):
            connection.execute(_SESSION.format(context), (str(number), "idle", 1))
    assert [state[1] for number in range(4) if (state := memory.load_session(str(number)))] == [None] * 4


def test_session_of_odd_values_wakes_and_sleeps(make: Make) -> None:
    manager = make()
    memory = manager.memory
    assert memory is not None
    key = manager.get_or_create_session("a").session_key
    manager.hibernate_session(key)
    for column, value in (
        ("created_at", "'x'"),
        ("created_at", "-5"),
        ("last_activity_at", "1.5"),
        ("message_count", "x'01'"),
        ("chat_id", "x'ff'"),
    ):
        with bare(memory) as connection:
            connection.execute(f"UPDATE session_state SET {column} = {value}")
        manager.get_or_create_session("a")
        manager.count_message(key)
        assert manager.hibernate_session(key), column
    (found,) = memory.sessions()
    assert (found.created_ms, found.chat_id) == (0, "\N{REPLACEMENT CHARACTER}")


def test_memory_of_odd_values_is_given_with_what_can_be_read_and_the_rest_named(memory: SharedMemory) -> None:
    memory.save_memory(remembered("tea in order", importance=1))
    columns = "(session_key, channel_id, memory_type, content, importance, created_at, expires_at)"
    with bare(memory) as connection:
        for values in (
            "('s', 'telegram', 'fact', CAST(x'74656120ff' AS TEXT), NULL, 'yesterday', 'tomorrow')",
            "('s', 'telegram', 'fact', x'746561', 9, 1.5, NULL)",
            "(CAST(x'ff' AS TEXT), CAST(x'fe' AS TEXT), 'fact', 'tea', 8, 1, NULL)",
        ):
            connection.execute(f"INSERT INTO channel_memory {columns} VALUES {values}")
    for found in (memory.memories(), [one for number in (3, 4, 1, 2) if (one := memory.memory(number))]):
        assert [(one.id, one.content, one.created_ms, one.expires_ms, one.importance, one.unread) for one in found] == [
            (3, "tea", 1, None, 9, ("content", "created_ms")),
            (4, "tea", 1, None, 8, ("session_key", "channel_id")),
            (1, "tea in order", NOW_MS, None, 1, ()),
            (2, "tea \N{REPLACEMENT CHARACTER}", 0, None, 5, ("content", "created_ms", "expires_ms")),
        ]
    assert {one.id for one in memory.search("tea").memories} == {one.id for one in memory.search("te").memories} >= {1, 2, 4}
    odd = memory.memory(2)
    assert odd is not None
    with pytest.raises(UsageError, match="content, created_ms, expires_ms: cannot be read"):
        memory.put_memory(odd)
    whole = memory.put_memory(msgspec.structs.replace(odd, unread=()))
    assert memory.memory(2) == whole


def test_knowledge_and_actions_of_odd_values_are_given(memory: SharedMemory) -> None:
    with bare(memory) as connection:
        connection.execute(
            "INSERT INTO global_knowledge (category, content, source_channel, confidence, created_at, updated_at)"
            " VALUES ('fact', CAST(x'ff' AS TEXT), x'61', NULL, 1, 'x')"
        )
        connection.execute(
            "INSERT INTO action_items (description, status, priority, due_at, created_at) VALUES (x'61', NULL, NULL, 'x', 'x')"
        )
    (known,), (todo,) = memory.knowledge(), memory.actions()
    assert (known.content, known.source_channel, known.confidence, known.updated_ms) == ("\N{REPLACEMENT CHARACTER}", "a", 0.5, 0)
    assert known.unread == ("content", "source_channel", "updated_ms")
    assert (todo.description, todo.status, todo.priority, todo.due_ms, todo.created_ms) == ("a", "open", 5, None, 0)
    assert todo.unread == ("description", "due_ms", "created_ms")


@pytest.mark.parametrize("preferences", ["'no json'", "'[1]'", "CAST(x'7bff' AS TEXT)"])
def test_what_is_known_of_a_person_is_not_overwritten_unread(memory: SharedMemory, preferences: str) -> None:
    with bare(memory) as connection:
        connection.execute(f"INSERT INTO person_context (canonical_id, preferences, channel_ids) VALUES ('ada', {preferences}, '[1]')")
    memory.put_person(Person(canonical_id="bob"))
    ada = memory.person("ada")
    assert ada is not None
    assert (ada.preferences, ada.channel_ids, ada.unread) == ({}, (), ("preferences", "channel_ids"))
    assert len(memory.persons()) == 2
    with pytest.raises(UsageError, match="preferences, channel_ids: cannot be read"):
        memory.put_person(msgspec.structs.replace(ada, notes="x"))
    assert memory.person("ada") == ada


def test_all_that_is_odd_is_exported(memory: SharedMemory, capsys: pytest.CaptureFixture[str]) -> None:
    call = caller(capsys)
    memory.save_session(Session(session_key="b", channel_id="c"), {"draft": 1})
    with bare(memory) as connection:
        connection.execute("INSERT INTO person_context (canonical_id, preferences, channel_ids) VALUES ('p', 'not json', 'x')")
        connection.execute(_SESSION.format("'[1,2]'"), ("a", "hibernated", 1))
        connection.execute(
            "INSERT INTO channel_memory (session_key, channel_id, memory_type, content, created_at)"
            " VALUES ('k', 'c', 'fact', CAST(x'ff616263' AS TEXT), 'x'), ('k', 'c', 'fact', x'ff616263', 1)"
        )
    memory.close()
    found: Any = json.loads(call("memory", "export", "--db", memory.path, "--json").stdout)
    assert {one["session_key"]: one["context"] for one in found["sessions"]} == {"a": {UNREADABLE: "[1,2]"}, "b": {"draft": 1}}
    assert [one["unread"] for one in found["persons"]] == [["preferences", "channel_ids"]]
    assert [one["content"] for one in found["memories"]] == ["\N{REPLACEMENT CHARACTER}abc"] * 2
    assert call("memory", "search", "abc", "--db", memory.path).returncode == 0
    assert call("memory", "briefing", "k", "--channel", "c", "--db", memory.path).returncode == 0
