"""Shared memory: what is stored, found, overwritten only knowingly, watched and expired (A.42 to A.50)."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from sessionlab.errors import UsageError, VersionConflictError
from sessionlab.parallel import ActionItem, Person, Session, SharedMemory
from sessionlab.units import MS_PER_DAY
from tests.parallel.clock import NOW_MS, Clock
from tests.parallel.samples import bare, known, remembered

# -- records


def test_records_come_back_as_they_were_saved(memory: SharedMemory) -> None:
    """A.42: saving returns the row's id; times are given when there are none."""
    one = remembered("é\n'; DROP TABLE channel_memory; --", importance=10, expires_ms=NOW_MS + 1)
    assert memory.save_memory(one) == 1
    assert memory.save_memory(one) == 2  # A.33a: the same content again is another memory
    assert memory.memories()[0] == msgspec.structs.replace(one, id=2, created_ms=NOW_MS, version=memory.memories()[0].version)
    number = memory.save_knowledge(known(confidence=0.75, source_channel="telegram", source_session_key="s1"))
    (found,) = memory.knowledge()
    assert (found.id, found.confidence, found.created_ms, found.updated_ms, found.source_channel) == (
        number,
        0.75,
        NOW_MS,
        NOW_MS,
        "telegram",
    )
    todo = memory.save_action(ActionItem(description="call back", priority=9, due_ms=5))
    assert [(one.id, one.status, one.created_ms) for one in memory.actions()] == [(todo, "open", NOW_MS)]
    person = memory.put_person(Person(canonical_id="ada", display_name="Ada", preferences={"tea": [1, None]}, channel_ids=("a", "b")))
    assert memory.person("ada") == person
    assert person.preferences == {"tea": [1, None]}
    assert memory.person("nobody") is None
    assert [one.canonical_id for one in memory.persons()] == ["ada"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"importance": 0},
        {"importance": 11},
        {"importance": 5.0},
        {"importance": True},
        {"memory_type": "tag"},
        {"content": ""},
        {"content": b"of bytes"},
        {"content": "a\0b"},
        {"content": "\ud800"},
        {"session_key": ""},
    ],
)
def test_memory_that_may_not_be_stored_is_refused_before_anything_is_done(memory: SharedMemory, wrong: dict[str, Any]) -> None:
    """A.33a, A.47. What it says does not repeat a content."""
    with pytest.raises(UsageError) as caught:
        memory.save_memory(remembered(**wrong))
    assert "of bytes" not in str(caught.value)
    assert (memory.memories(), memory.latest()) == ([], 0)


@pytest.mark.parametrize("confidence", [-0.1, 1.1, float("nan"), True, "0.5"])
def test_knowledge_is_as_certain_as_a_part_of_one(memory: SharedMemory, confidence: Any) -> None:
    with pytest.raises(UsageError, match="confidence"):
        memory.save_knowledge(known(confidence=confidence))


def test_filters_and_orders_of_memories(memory: SharedMemory) -> None:
    """A.43."""
    for number, (importance, created_ms) in enumerate([(5, 1), (9, 1), (5, 3), (5, 2), (1, 9)]):
        memory.save_memory(
            remembered(
                str(number),
                importance=importance,
                created_ms=created_ms,
                channel_id="a" if number % 2 else "b",
                session_key=f"s{number}",
                memory_type="decision" if number == 3 else "fact",
            )
        )
    memory.save_memory(remembered("over", importance=10, expires_ms=NOW_MS))

    def contents(**asked: Any) -> str:
        return "".join(one.content[0] for one in memory.memories(**asked))

    assert contents() == "12304"
    assert contents(exclude_expired=False) == "o12304"
    assert contents(channel_id="a") == "13"
    assert contents(session_key="s2") == "2"
    assert contents(types=["decision"]) == "3"
    assert contents(types=[]) == ""
    assert contents(min_importance=5) == "1230"
    assert contents(limit=2) == "12"


def test_filters_and_orders_of_knowledge_and_actions(memory: SharedMemory, clock: Clock) -> None:
    """A.43."""
    for confidence, category in ((0.5, "a"), (0.9, "b"), (0.5, "b")):
        clock.now_ms += 1
        memory.save_knowledge(known(category, category=category, confidence=confidence))
    assert [(one.category, one.confidence) for one in memory.knowledge()] == [("b", 0.9), ("b", 0.5), ("a", 0.5)]
    assert len(memory.knowledge(category="b", min_confidence=0.6)) == 1
    for priority in (1, 9, 5):
        memory.save_action(ActionItem(description=str(priority), priority=priority, channel_id="c"))
    assert [one.priority for one in memory.actions(channel_id="c", status="open")] == [9, 5, 1]
    assert memory.actions(status="completed") == []


def test_session_state_is_replaced_loaded_and_deleted(memory: SharedMemory) -> None:
    """A.45: with anything that JSON can hold beside it."""
    one = Session(session_key="s1", channel_id="c", chat_id="7", status="hibernated", created_ms=1, last_activity_ms=2, message_count=3)
    memory.save_session(one, {"draft": "é", "n": [1]})
    memory.save_session(msgspec.structs.replace(one, message_count=4))
    assert memory.load_session("s1") == (msgspec.structs.replace(one, message_count=4), None)
    memory.save_session(one, {"draft": "é", "n": [1]})
    assert memory.load_session("s1") == (one, {"draft": "é", "n": [1]})
    assert memory.delete_session("s1") is True
    assert memory.load_session("s1") is None
    assert memory.load_session("nobody") is None
    assert memory.delete_session("nobody") is False
    with pytest.raises(UsageError, match="context"):
        memory.save_session(one, {"x": object()})
    assert memory.sessions() == []


def test_expired_is_expired_for_readers_and_for_whoever_removes(memory: SharedMemory, clock: Clock) -> None:
    """A.46: one rule, to the millisecond."""
    for by in (-1, 0, 1):
        memory.save_memory(remembered(f"at {by}", expires_ms=NOW_MS + by))
    memory.save_memory(remembered("at no time"))
    assert {one.content for one in memory.memories()} == {"at 1", "at no time"}
    assert {one.content for one in memory.search("at").memories} == {"at 1", "at no time"}
    assert memory.stats().channel_memory_count == 4
    assert memory.expire() == 2
    assert memory.stats().channel_memory_count == 2
    clock.now_ms += 1
    assert memory.expire() == 1
    assert memory.expire() == 0


def test_everything_survives_closing_and_reopening(memory: SharedMemory) -> None:
    """A.50."""
    memory.save_memory(remembered())
    memory.save_knowledge(known())
    memory.save_session(Session(session_key="s", channel_id="c"))
    memory.close()
    other = SharedMemory(memory.path, clock=Clock())
    other.initialize()
    assert (len(other.memories()), len(other.knowledge()), len(other.sessions())) == (1, 1, 1)
    assert msgspec.to_builtins(other.stats()) == {
        "channel_memory_count": 1,
        "global_knowledge_count": 1,
        "action_items_open": 0,
        "person_count": 0,
        "session_count": 1,
        "woken_count": 0,
    }
    other.close()


def test_promotion_is_one_step_and_reaches_the_database(memory: SharedMemory) -> None:
    """A.28, A.30: the flag is in the row."""
    number, fact = memory.promote(remembered(importance=9), known(confidence=0.9))
    with bare(memory) as connection:
        assert connection.execute("SELECT promoted_to_global FROM channel_memory WHERE id = ?", (number,)).fetchone() == (1,)
    assert [one.id for one in memory.knowledge()] == [fact]
    with pytest.raises(UsageError):
        memory.promote(remembered(), known(confidence=2))
    assert len(memory.memories()) == 1


# -- overwriting knowingly, and watching


def test_two_who_write_the_same_fact_do_not_overwrite_each_other_unseen(memory: SharedMemory) -> None:
    first = memory.put_knowledge(known("port 80"))
    assert first.id is not None
    mine = memory.put_knowledge(msgspec.structs.replace(first, content="port 81"), expect_version=first.version)
    with pytest.raises(VersionConflictError) as caught:
        memory.put_knowledge(msgspec.structs.replace(first, content="port 82"), expect_version=first.version)
    assert (caught.value.expected, caught.value.found) == (first.version, mine.version)
    assert [one.content for one in memory.knowledge()] == ["port 81"]
    memory.put_knowledge(msgspec.structs.replace(first, content="port 83"))  # asked for: whatever there is
    assert [one.content for one in memory.knowledge()] == ["port 83"]


def test_version_tells_of_other_programs_and_of_deletion(memory: SharedMemory) -> None:
    """Triggers keep it, whoever writes."""
    one = memory.put_memory(remembered())
    with bare(memory) as connection:
        connection.execute("UPDATE OR IGNORE channel_memory SET content = 'theirs' WHERE id = ?", (one.id,))
    with pytest.raises(VersionConflictError):
        memory.put_memory(one, expect_version=one.version)
    assert one.id is not None
    assert memory.delete_memory(one.id)
    with pytest.raises(VersionConflictError, match="is not there"):
        memory.put_memory(one, expect_version=one.version)
    again = memory.put_memory(one, expect_version=0)
    assert (again.id, again.version > one.version) == (one.id, True)
    with pytest.raises(VersionConflictError):
        memory.put_memory(one, expect_version=0)


def test_put_returns_what_is_stored(memory: SharedMemory) -> None:
    for put, read in (
        (lambda: memory.put_memory(remembered(importance=3)), lambda: memory.memories()[0]),
        (lambda: memory.put_knowledge(known()), lambda: memory.knowledge()[0]),
        (lambda: memory.put_action(ActionItem(description="x", status="in_progress")), lambda: memory.actions()[0]),
        (lambda: memory.put_person(Person(canonical_id="ada")), lambda: memory.persons()[0]),
    ):
        assert put() == read()


def test_watching_yields_what_others_changed_in_order(memory: SharedMemory) -> None:
    """Of several changes of one record the latest; of one that is gone, that it is."""
    start = memory.latest()
    one, two = memory.put_memory(remembered("1")), memory.put_memory(remembered("2"))
    memory.put_memory(msgspec.structs.replace(one, content="3"))
    with bare(memory) as connection:
        connection.execute("INSERT INTO global_knowledge (category, content, created_at, updated_at) VALUES ('fact', 'x', 1, 1)")
        connection.execute("DELETE FROM channel_memory WHERE id = ?", (two.id,))
    found = list(memory.watch(start))
    assert [(change.table, change.row, change.act) for change in found] == [
        ("channel_memory", one.id, "written"),
        ("global_knowledge", 1, "written"),
        ("channel_memory", two.id, "deleted"),
    ]
    assert list(memory.watch(found[-1].seq)) == []
    assert found[-1].seq == memory.latest()
    assert [change.seq for change in memory.watch(start, limit=1)] == [found[0].seq]


def test_deletions_are_forgotten_after_a_month_and_who_looked_before_is_told(memory: SharedMemory, clock: Clock) -> None:
    first = memory.put_memory(remembered("1"))
    second = memory.put_memory(remembered("2"))
    assert first.id is not None
    memory.delete_memory(first.id)
    clock.now_ms = 4_102_444_800_000 + 31 * MS_PER_DAY  # the list has the machine's own time
    memory.expire()
    with pytest.raises(UsageError, match="are forgotten"):
        list(memory.watch(first.version))
    assert [change.row for change in memory.watch()] == [second.id]
    assert list(memory.watch(memory.latest())) == []
