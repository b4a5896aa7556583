"""The session manager: which session a message belongs to, how many are awake, and what outlives a restart (A.7 to A.25)."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from sessionlab.errors import UnwritableError, UsageError
from sessionlab.parallel import Session, rows
from sessionlab.parallel.events import Event
from sessionlab.parallel.isolation import session_key
from sessionlab.parallel.timer import Timer
from tests.parallel.clock import NOW_MS, Clock
from tests.parallel.managers import Make, either, heard, names

# -- keys


@pytest.mark.parametrize(
    ("isolation", "asked", "key"),
    [
        ("per-channel", {"channel_id": "Telegram", "chat_id": "7"}, "agent:main:parallel:telegram"),
        ("per-chat", {"channel_id": "telegram", "chat_id": "Room", "peer_id": "ada"}, "agent:main:parallel:telegram:room"),
        ("per-chat", {"channel_id": "telegram", "peer_id": "Ada"}, "agent:main:parallel:telegram:ada"),
        ("per-chat", {"channel_id": "telegram"}, "agent:main:parallel:telegram:default"),
        ("per-peer", {"channel_id": "telegram", "peer_id": "Ada"}, "agent:main:parallel:peer:ada"),
        ("per-peer", {"channel_id": "telegram"}, "agent:main:parallel:peer:default"),
        ("main", {"channel_id": "telegram", "chat_id": "7"}, "agent:main:parallel:main"),
        ("per-channel", {"channel_id": "x", "agent_id": "Ops"}, "agent:Ops:parallel:x"),
    ],
)
def test_key_of_a_message(isolation: Any, asked: dict[str, str], key: str) -> None:
    """A.7 to A.10: one peer has one session on all channels, two chats of a channel have two."""
    assert session_key(isolation, **asked) == key


def test_blank_channel_is_refused(make: Make) -> None:
    with pytest.raises(UsageError, match="channel_id"):
        make().get_or_create_session("  ")


# -- life


@either
def test_second_message_has_the_same_session(make: Make, clock: Clock, disk: bool) -> None:  # noqa: FBT001
    """A.12, A.13, A.15."""
    manager = make(disk=disk)
    events = heard(manager)
    first = manager.get_or_create_session("telegram")
    clock.now_ms += 5
    second = manager.get_or_create_session("TELEGRAM ")
    assert (first.is_new, second.is_new, second.session_key) == (True, False, first.session_key)
    session = manager.session(first.session_key)
    assert session is not None
    assert (session.status, session.created_ms, session.last_activity_ms, session.message_count) == ("active", NOW_MS, NOW_MS + 5, 0)
    assert names(events) == ["session:created"]


@either
def test_oldest_sleeps_when_there_is_no_room(make: Make, clock: Clock, disk: bool) -> None:  # noqa: FBT001
    """A.19, A.20: limit 3, the fourth; ties go to the one that came first. One that wakes needs room as well (A.14)."""
    manager = make(disk=disk, maxConcurrent=3)
    events = heard(manager)
    for channel in "abc":
        manager.get_or_create_session(channel)
    clock.now_ms += 1
    manager.get_or_create_session("a")
    manager.get_or_create_session("d")
    assert [one.channel_id for one in manager.active_sessions()] == ["a", "c", "d"]
    assert not manager.get_or_create_session("b").is_new
    assert [one.channel_id for one in manager.active_sessions()] == ["a", "b", "d"]
    assert names(events)[3:] == ["session:hibernated", "session:created", "session:hibernated", "session:reactivated"]
    if manager.memory is not None:
        assert [one.channel_id for one in manager.memory.sessions()] == ["c"]


@either
def test_sleep_keeps_the_count_of_messages(make: Make, disk: bool) -> None:  # noqa: FBT001
    """A.14, A.17, A.18: of a session that is not known nothing is done."""
    manager = make(disk=disk)
    key = manager.get_or_create_session("a", chat_id="7", peer_id="ada").session_key
    assert manager.count_message(key, 3).message_count == 3
    events = heard(manager)
    assert manager.hibernate_session(key)
    assert not manager.hibernate_session(key)
    assert not manager.hibernate_session("nobody")
    with pytest.raises(UsageError, match="is not awake"):
        manager.count_message(key)
    (event,) = events
    assert event.session is not None
    assert (event.session.status, event.session.message_count) == ("hibernated", 3)
    assert not manager.get_or_create_session("a").is_new
    found = manager.session(key)
    assert found is not None
    assert (found.status, found.message_count, found.chat_id) == ("active", 3, "7")
    if manager.memory is not None:
        assert manager.memory.load_session(key) is None


def test_session_that_cannot_be_written_stays_awake(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """A.17."""
    manager = make(maxConcurrent=1)
    key = manager.get_or_create_session("a").session_key

    def refuse(*_: object) -> None:
        raise UnwritableError(Path("x"), "is full")

    with monkeypatch.context() as patched:
        patched.setattr("sessionlab.parallel.rows.store_session", refuse)
        for put_to_sleep in (lambda: manager.hibernate_session(key), lambda: manager.get_or_create_session("b"), manager.shutdown):
            with pytest.raises(UnwritableError):
                put_to_sleep()
            assert [one.channel_id for one in manager.active_sessions()] == ["a"]
    manager.get_or_create_session("b")
    assert [one.channel_id for one in manager.active_sessions()] == ["b"]


def test_shutdown_stores_all_that_can_be_stored(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """A.25: one that cannot keeps no other from it."""
    manager = make()
    store = rows.store_session

    def refuse_a(connection: Any, one: Session, context: Any) -> None:
        if one.channel_id == "a":
            raise UnwritableError(Path("x"), "is full")
        store(connection, one, context)

    for channel in "abc":
        manager.get_or_create_session(channel)
    with monkeypatch.context() as patched:
        patched.setattr("sessionlab.parallel.rows.store_session", refuse_a)
        with pytest.raises(UnwritableError):
            manager.shutdown()
    assert [one.channel_id for one in manager.active_sessions()] == ["a"]
    assert manager.memory is not None
    assert {one.channel_id for one in manager.memory.sessions()} == {"b", "c"}


def test_session_of_a_process_that_died_awake_is_as_it_was_when_it_woke(make: Make) -> None:
    """A.14, A.22: its row is gone while it is awake, and what was stored beside it is not."""
    first = make()
    key = first.get_or_create_session("a").session_key
    first.count_message(key, 5)
    assert first.memory is not None
    first.hibernate_session(key)
    stored = first.memory.load_session(key)
    assert stored is not None
    first.memory.save_session(stored[0], {"draft": "kept"})
    first.get_or_create_session("a")
    assert first.memory.load_session(key) is None
    assert first.memory.woken_sessions() == [(stored[0], {"draft": "kept"})]
    assert (first.memory.stats().session_count, first.memory.stats().woken_count) == (0, 1)
    second = make()  # the first has died: it puts nothing to sleep
    assert second.memory is not None
    assert not second.get_or_create_session("a").is_new
    assert second.count_message(key).message_count == 6
    second.hibernate_session(key)
    stored = second.memory.load_session(key)
    assert stored is not None
    assert stored[1] == {"draft": "kept"}
    second.memory.delete_session(key)
    assert make().get_or_create_session("a").is_new, "deleted is deleted, the copy too"


def test_idle_session_that_is_used_is_active_again_and_needs_room(make: Make, clock: Clock) -> None:
    """A.16, A.23: strictly longer than the timeout; once."""
    manager = make(maxConcurrent=2, idleTimeoutMs=60_000)
    events = heard(manager)
    for channel in "ab":
        manager.get_or_create_session(channel)
    clock.now_ms += 60_000
    assert manager.check_idle() == []
    clock.now_ms += 1
    assert [one.channel_id for one in manager.check_idle()] == ["a", "b"]
    assert manager.check_idle() == []
    assert manager.stats().idle_sessions == 2
    manager.get_or_create_session("c")
    manager.get_or_create_session("d")
    assert names(events)[2:] == ["session:idle", "session:idle", "session:created", "session:created"]
    clock.now_ms += 1
    assert not manager.get_or_create_session("a").is_new
    assert [one.channel_id for one in manager.active_sessions()] == ["a", "d"]
    assert names(events)[-1] == "session:hibernated"


@either
def test_idle_session_whose_messages_are_counted_is_active_again_and_needs_room(make: Make, clock: Clock, *, disk: bool) -> None:
    """A.16."""
    manager = make(disk=disk, maxConcurrent=1, idleTimeoutMs=60_000)
    key = manager.get_or_create_session("a").session_key
    clock.now_ms += 60_001
    manager.check_idle()
    manager.get_or_create_session("b")
    assert [one.channel_id for one in manager.active_sessions()] == ["b"]
    counted = manager.count_message(key, 3)
    assert (counted.status, counted.message_count, counted.last_activity_ms) == ("active", 3, clock.now_ms)
    assert [one.channel_id for one in manager.active_sessions()] == ["a"]


def test_listener_that_is_added_twice_is_told_twice_and_removed_once(make: Make) -> None:
    manager = make(disk=False)
    events: list[Event] = []
    remove, _ = manager.on_event(events.append), manager.on_event(events.append)
    manager.get_or_create_session("a")
    remove()
    remove()
    manager.get_or_create_session("b")
    assert names(events) == ["session:created"] * 3


def test_timer_looks_for_idle_sessions_whatever_a_listener_raises(make: Make, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """A.23, A.24."""
    monkeypatch.setattr("sessionlab.parallel.manager.CHECK_IDLE_EVERY_MS", 10)
    manager = make(enabled=True, idleTimeoutMs=10_000)
    seen = threading.Event()

    def listen(event: Event) -> None:
        if event.name == "session:idle":
            if event.session is not None and event.session.channel_id == "b":
                seen.set()
            raise RuntimeError("a listener of no use")

    manager.on_event(listen)
    manager.get_or_create_session("a")
    clock.now_ms += 10_001
    manager.get_or_create_session("b")
    time.sleep(0.05)
    clock.now_ms += 10_001
    assert seen.wait(10)
    manager.shutdown()
    assert not any(thread.name == "sessionlab timer" for thread in threading.enumerate())


def test_timer_goes_on_when_its_work_raises() -> None:
    """A.24."""
    calls = threading.Semaphore(0)

    def work() -> None:
        calls.release()
        raise OSError("no")

    timer = Timer(work, every_ms=1)
    timer.start()
    timer.start()
    assert all(calls.acquire(timeout=10) for _ in range(3))
    timer.stop()
    timer.stop()
    assert not timer.is_running


def test_timer_runs_only_when_parallel_sessions_are_enabled(make: Make) -> None:
    """A.23."""
    manager = make()
    assert not any(thread.name == "sessionlab timer" for thread in threading.enumerate())
    manager.shutdown()


def test_shutdown_keeps_everything_and_a_new_manager_knows_it(make: Make, clock: Clock) -> None:
    """A.22, A.25, A.38, A.50: idle sessions too; three sessions leave three rows."""
    manager = make(idleTimeoutMs=10_000)
    for channel in "abc":
        manager.count_message(manager.get_or_create_session(channel).session_key)
        clock.now_ms += 6_000
    manager.check_idle()
    events = heard(manager)
    manager.save_memory("agent:main:parallel:a", "fact", "the door is blue", importance=9)
    manager.shutdown()
    manager.shutdown()
    assert names(events) == ["memory:saved", "knowledge:promoted", *["session:hibernated"] * 3, "shutdown"]
    again = make()
    assert again.memory is not None
    assert len(again.memory.sessions()) == 3
    opened = again.get_or_create_session("a")
    assert not opened.is_new
    assert "the door is blue" in opened.briefing
    session = again.session(opened.session_key)
    assert session is not None
    assert session.message_count == 1
    assert len(again.memory.sessions()) == 2


def test_never_more_are_awake_than_may_be_whoever_asks_at_once(make: Make) -> None:
    """A.20, A.21, A.49: 16 threads; none is made twice."""
    manager = make(maxConcurrent=3)
    most = 0
    created: list[str] = []

    def listen(event: Event) -> None:
        nonlocal most
        most = max(most, len(manager.active_sessions()))
        if event.name == "session:created" and event.session is not None:
            created.append(event.session.channel_id)

    manager.on_event(listen)
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda number: manager.get_or_create_session(f"c{number % 10}"), range(200)))
    assert most == 3
    assert sorted(created) == [f"c{number}" for number in range(10)]
    assert manager.stats().total_sessions == 10


def test_manager_is_a_context(make: Make) -> None:
    manager = make()
    with manager as found:
        found.get_or_create_session("a")
    assert manager.active_sessions() == []


def test_what_was_stored_beside_a_session_is_there_when_it_sleeps_again(make: Make) -> None:
    manager = make()
    key = manager.get_or_create_session("a").session_key
    manager.hibernate_session(key)
    assert manager.memory is not None
    stored = manager.memory.load_session(key)
    assert stored is not None
    manager.memory.save_session(stored[0], {"notes": ["x"]})
    manager.get_or_create_session("a")
    manager.hibernate_session(key)
    found = manager.memory.load_session(key)
    assert found is not None
    assert found[1] == {"notes": ["x"]}
