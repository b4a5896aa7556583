"""Values that no column should have, and questions that SQLite would refuse: a UsageError that names what is wrong, and nothing is done."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, cast

import msgspec
import pytest

from sessionlab.errors import UsageError
from sessionlab.parallel import ActionItem, Person, Session, SessionManager, SharedMemory
from tests.parallel.managers import Make, either
from tests.parallel.samples import known, remembered

_HALF = "\ud800"
_NO_TIMES: dict[str, Any] = {
    "a text": "tomorrow",
    "a number": 1.5,
    "no number": math.nan,
    "a truth": True,
    "past": -1,
    "far": 2**63,
}
_SAVES: dict[str, Callable[[SharedMemory, dict[str, Any]], object]] = {
    "memory created_ms": lambda memory, time: memory.save_memory(remembered(**time)),
    "memory expires_ms": lambda memory, time: memory.put_memory(remembered(**time)),
    "knowledge created_ms": lambda memory, time: memory.save_knowledge(known(**time)),
    "knowledge updated_ms": lambda memory, time: memory.put_knowledge(known(**time)),
    "action created_ms": lambda memory, time: memory.save_action(ActionItem(description="x", **time)),
    "action due_ms": lambda memory, time: memory.put_action(ActionItem(description="x", **time)),
    "action completed_ms": lambda memory, time: memory.save_action(ActionItem(description="x", **time)),
    "person first_seen_ms": lambda memory, time: memory.put_person(Person(canonical_id="ada", **time)),
    "person last_seen_ms": lambda memory, time: memory.put_person(Person(canonical_id="ada", **time)),
    "session created_ms": lambda memory, time: memory.save_session(Session(session_key="s", channel_id="c", **time)),
    "session last_activity_ms": lambda memory, time: memory.save_session(Session(session_key="s", channel_id="c", **time)),
    "session message_count": lambda memory, time: memory.save_session(Session(session_key="s", channel_id="c", **time)),
}


def person(**more: Any) -> Person:
    return Person(**({"canonical_id": "ada"} | more))


@pytest.mark.parametrize("time", _NO_TIMES)
@pytest.mark.parametrize("save", _SAVES)
def test_time_is_a_whole_number_that_a_column_holds(memory: SharedMemory, save: str, time: str) -> None:
    field = save.split()[1]
    with pytest.raises(UsageError, match=field):
        _SAVES[save](memory, {field: _NO_TIMES[time]})
    assert not any(msgspec.to_builtins(memory.stats()).values())


@pytest.mark.parametrize("time", [0, 2**63 - 1])
def test_first_and_last_time_are_times(memory: SharedMemory, time: int) -> None:
    number = memory.save_memory(remembered(expires_ms=time))
    found = memory.memory(number)
    assert found is not None
    assert found.expires_ms == time


@pytest.mark.parametrize(
    ("name", "save"),
    [
        ("promoted", lambda memory: memory.save_memory(remembered(promoted="x"))),
        ("id", lambda memory: memory.put_memory(remembered(id="1"))),
        ("id", lambda memory: memory.put_memory(remembered(id=2**63))),
        ("id", lambda memory: memory.put_knowledge(known(id=1.5))),
        ("id", lambda memory: memory.memory(2**70)),
        ("id", lambda memory: memory.memory("1")),
        ("id", lambda memory: memory.delete_memory(2**70)),
        ("id", lambda memory: memory.delete_memory(math.nan)),
        ("expect_version", lambda memory: memory.put_memory(remembered(), expect_version="0")),
        ("expect_version", lambda memory: memory.put_person(Person(canonical_id="a"), expect_version=math.nan)),
        ("channel_ids", lambda memory: memory.put_person(person(channel_ids="telegram"))),
        ("channel_ids", lambda memory: memory.put_person(person(channel_ids=(1,)))),
        ("preferences", lambda memory: memory.put_person(person(preferences=[1]))),
        ("preferences", lambda memory: memory.put_person(Person(canonical_id="a", preferences={"x": _HALF}))),
        ("preferences", lambda memory: memory.put_person(Person(canonical_id="a", preferences={"x": math.nan}))),
        ("context", lambda memory: memory.save_session(Session(session_key="s", channel_id="c"), [1])),
        ("context", lambda memory: memory.save_session(Session(session_key="s", channel_id="c"), {_HALF: 1})),
    ],
)
def test_what_is_written_is_checked(memory: SharedMemory, name: str, save: Callable[[SharedMemory], object]) -> None:
    with pytest.raises(UsageError, match=name):
        save(memory)
    assert (memory.latest(), memory.sessions()) == (0, [])


@pytest.mark.parametrize(
    ("name", "ask"),
    [
        ("channel_id", lambda memory: memory.memories(channel_id=5)),
        ("session_key", lambda memory: memory.load_session(None)),
        ("canonical_id", lambda memory: memory.person(None)),
        ("types", lambda memory: memory.memories(types="fact")),
        ("types", lambda memory: memory.search_memories("abc", types="fact")),
        ("types", lambda memory: memory.memories(types=[None])),
        ("types", lambda memory: memory.search_memories("abc", types=[1])),
        ("types", lambda memory: memory.memories(types=5)),
        ("min_importance", lambda memory: memory.memories(min_importance="5")),
        ("min_importance", lambda memory: memory.memories(min_importance=2**63)),
        ("min_confidence", lambda memory: memory.knowledge(min_confidence=math.nan)),
        ("limit", lambda memory: memory.memories(limit="x")),
        ("limit", lambda memory: memory.memories(limit=1.0)),
        ("limit", lambda memory: memory.knowledge(limit=2**63)),
        ("limit", lambda memory: memory.actions(limit=None)),
        ("limit", lambda memory: memory.persons(limit=True)),
        ("limit", lambda memory: memory.search("abc", limit="x")),
        ("limit", lambda memory: memory.search("abc", limit=-1)),
        ("limit", lambda memory: memory.search("abc", limit=2**70)),
        ("limit", lambda memory: list(memory.watch(limit="x"))),
        ("since", lambda memory: list(memory.watch(2**70))),
        ("since", lambda memory: list(memory.watch("0"))),
        ("query", lambda memory: memory.search(None)),
        ("query", lambda memory: memory.search_memories(b"abc")),
    ],
)
def test_what_is_asked_for_is_checked(memory: SharedMemory, name: str, ask: Callable[[SharedMemory], object]) -> None:
    memory.save_memory(remembered("abcd"))
    with pytest.raises(UsageError, match=name):
        ask(memory)


def test_half_a_surrogate_pair_is_in_no_record(memory: SharedMemory) -> None:
    """No record can hold one, so that none is found; SQLite is not asked."""
    memory.save_memory(remembered("abcd"))
    odd: Any = [_HALF]
    assert memory.search(f"{_HALF}abc").memories == memory.search("abc", channel_id=_HALF).memories == ()
    assert memory.search_memories("abc", session_key=_HALF) == memory.search_memories("abc", types=odd) == []
    assert memory.memories(channel_id=_HALF) == memory.memories(session_key=_HALF) == memory.memories(types=odd) == []
    assert (memory.knowledge(category=_HALF), memory.actions(channel_id=_HALF)) == ([], [])
    assert (memory.person(_HALF), memory.load_session(_HALF)) == (None, None)
    assert memory.delete_session(_HALF) is False


def test_nothing_may_stand_beside_a_number(memory: SharedMemory) -> None:
    assert memory.put_person(person(preferences={"tea": None, "cups": 1.5})).preferences == {"tea": None, "cups": 1.5}


def test_types_may_be_any_collection(memory: SharedMemory) -> None:
    memory.save_memory(remembered("abcd"))
    collections: Any = (["fact"], ("fact", "decision"), {"fact"}, frozenset({"fact"}), {"fact": 1}.keys())
    for types in collections:
        assert len(memory.memories(types=types)) == len(memory.search_memories("abc", types=types)) == 1
    assert memory.memories(types=set()) == memory.search_memories("abc", types=set()) == []


_MANAGER: dict[str, Callable[[SessionManager, Any], object]] = {
    "session_key to look at": lambda manager, value: manager.session(value),
    "session_key to count": lambda manager, value: manager.count_message(value),
    "session_key to put to sleep": lambda manager, value: manager.hibernate_session(value),
    "session_key of a memory": lambda manager, value: manager.save_memory(value, "fact", "tea", channel_id="a"),
    "memory_type": lambda manager, value: manager.save_memory("s", value, "tea", channel_id="a", is_automatic=True),
    "query": lambda manager, value: manager.search_memory(value),
    "limit": lambda manager, value: manager.search_memory("tea", limit=value),
    "types": lambda manager, value: manager.search_memory("tea", types=value),
    "channel_id": lambda manager, value: manager.search_memory("tea", channel_id=value),
}


@either
@pytest.mark.parametrize("what", _MANAGER)
def test_manager_refuses_what_it_cannot_be_asked_whatever_it_remembers_in(make: Make, what: str, *, disk: bool) -> None:
    manager = make(disk=disk)
    for value in ([["x"]], 1.5):
        with pytest.raises(UsageError, match=what.split(maxsplit=1)[0]):
            _MANAGER[what](manager, value)
    assert manager.stats().total_memories == 0


def test_error_shows_no_more_than_the_beginning_of_what_was_given(memory: SharedMemory) -> None:
    long: Any = "x" * 10_000
    half: Any = _HALF
    acts: tuple[Callable[[], object], ...] = (
        lambda: memory.save_memory(remembered(memory_type=long)),
        lambda: memory.save_knowledge(known(confidence=long)),
        lambda: memory.search("tea", scope=long),
        lambda: memory.search("tea", scope=cast("Any", [])),
        lambda: memory.save_session(Session(session_key="s", channel_id="c", status=half)),
    )
    for act in acts:
        with pytest.raises(UsageError) as refused:
            act()
        assert len(str(refused.value)) < 200
