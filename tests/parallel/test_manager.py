"""The session manager: which session a message belongs to, how many are awake, and what outlives a restart (A.7 to A.39)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sessionlab.errors import SettingsError, UnwritableError, UsageError
from sessionlab.parallel import Session, SharedMemory, rows
from sessionlab.parallel.events import Event
from sessionlab.parallel.isolation import session_key
from sessionlab.parallel.manager import SessionManager
from sessionlab.parallel.timer import Timer
from sessionlab.settings import ParallelSessionsSettings
from tests.parallel.clock import NOW_MS, Clock

Make = Callable[..., SessionManager]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def make(tmp_path: Path, clock: Clock) -> Iterator[Make]:
    """Give a maker of managers that share a database; `disk=False` has none."""
    made: list[SharedMemory] = []

    def manager(*, disk: bool = True, **settings: Any) -> SessionManager:
        memory = SharedMemory(tmp_path / "data/shared-memory.db", clock=clock) if disk else None
        if memory is not None:
            made.append(memory)
        wanted = msgspec.convert(settings, ParallelSessionsSettings)
        found = SessionManager(wanted, memory=memory, clock=clock)
        found.start()
        return found

    yield manager
    for memory in made:
        memory.close()


either = pytest.mark.parametrize("disk", [True, False], ids=["disk", "process"])


def heard(manager: SessionManager) -> list[Event]:
    events: list[Event] = []
    manager.on_event(events.append)
    return events


def names(events: list[Event]) -> list[str]:
    return [event.name for event in events]


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
    assert names(events) == ["memory:saved", "knowledge:promoted", *["session:hibernated"] * 3, "shutdown", "shutdown"]
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


# -- memories


@either
def test_important_memories_become_known_to_all(make: Make, disk: bool) -> None:  # noqa: FBT001
    """A.28, A.29, A.30, A.37: 8 by default, and not 7; with a threshold of 5, 5 is half certain, and too little for a briefing."""
    manager = make(disk=disk)
    events = heard(manager)
    key = manager.get_or_create_session("a").session_key
    assert manager.save_memory(key, "decision", "seven", importance=7) is not None
    eight = manager.save_memory(key, "decision", "eight", importance=8)
    assert eight is not None
    assert eight.promoted
    assert names(events)[1:] == ["memory:saved", "memory:saved", "knowledge:promoted"]
    assert events[-1].knowledge is not None
    assert (events[-1].knowledge.category, events[-1].knowledge.confidence, events[-1].knowledge.source_channel) == ("decision", 0.8, "a")
    assert manager.get_or_create_session("b").briefing == "## Global Knowledge\n- [decision] eight"
    if manager.memory is not None:
        assert [one.promoted for one in manager.memory.memories()] == [True, False]
    low = make(disk=disk, memory={"autoPromoteThreshold": 5})
    events = heard(low)
    low.save_memory(low.get_or_create_session("c").session_key, "fact", "five", importance=5)
    assert events[-1].knowledge is not None
    assert events[-1].knowledge.confidence == 0.5
    assert "five" not in low.get_or_create_session("d").briefing


@either
def test_briefing_has_two_blocks_in_order(make: Make, clock: Clock, disk: bool) -> None:  # noqa: FBT001
    """A.11, A.34 to A.36: chats of a channel share what it remembers."""
    manager = make(disk=disk, isolation="per-chat", briefing={"maxChannelMemories": 3})
    one = manager.get_or_create_session("a", chat_id="1")
    assert (one.briefing, manager.briefing("nobody")) == ("", "")
    for importance, content in ((5, "five"), (9, "nine"), (4, "four"), (6, "six\nwith more"), (7, "seven")):
        clock.now_ms += 1
        manager.save_memory(one.session_key, "fact", content, importance=importance)
    manager.save_memory(one.session_key, "fact", "gone", importance=10, expires_ms=clock.now_ms)
    other = manager.get_or_create_session("a", chat_id="2")
    assert other.briefing == (
        "## Channel Context\n- [fact] nine\n- [fact] seven\n- [fact] six\n  with more\n\n## Global Knowledge\n- [fact] gone\n- [fact] nine"
    )
    assert make(disk=disk, briefing={"enabled": False}).get_or_create_session("a").briefing == ""


@either
def test_memories_are_searched(make: Make, disk: bool) -> None:  # noqa: FBT001
    """A.39: not what all channels know."""
    manager = make(disk=disk)
    key = manager.get_or_create_session("a").session_key
    manager.save_memory(key, "fact", "Tea at five", importance=9)
    manager.save_memory("elsewhere", "preference", "no TEA", channel_id="b")
    assert [one.content for one in manager.search_memory("tea")] == ["Tea at five", "no TEA"]
    assert [one.content for one in manager.search_memory("tea", channel_id="b")] == ["no TEA"]
    assert [one.content for one in manager.search_memory("tea", types=["fact"], session_key=key)] == ["Tea at five"]
    assert manager.search_memory("tea", limit=0) == []


@either
def test_505_memories_are_500_in_the_process_and_505_on_disk(make: Make, clock: Clock, disk: bool) -> None:  # noqa: FBT001
    """A.31, A.32, A.33: the least important go first, of those the oldest; of knowledge the least certain."""
    manager = make(disk=disk)
    key = manager.get_or_create_session("a").session_key
    for number in range(505):
        clock.now_ms += 1
        manager.save_memory(key, "fact", str(number), importance=1 if number in (100, 200, 300) else 2)
    for number in range(103):
        clock.now_ms += 1
        manager.save_memory(key, "fact", f"known {number}", importance=9 if number < 4 else 10)
    stats = manager.stats()
    assert (stats.memories_in_process, stats.knowledge_in_process) == (500, 100)
    assert (stats.total_memories, stats.global_knowledge_count) == ((608, 103) if disk else (500, 100))
    left = {one.content for one in manager.recent.memories(now_ms=clock.now_ms)}
    assert not left & {"100", "200", "300", "0", "1", "104"}
    assert {one.content for one in manager.recent.knowledge()} == {f"known {number}" for number in range(3, 103)}


@either
def test_what_may_not_be_stored_changes_nothing(make: Make, disk: bool) -> None:  # noqa: FBT001
    """A.33a."""
    manager = make(disk=disk)
    events = heard(manager)
    key = manager.get_or_create_session("a").session_key
    for wrong in ({"importance": 11}, {"importance": 0}, {"memory_type": "tag"}, {"content": ""}):
        with pytest.raises(UsageError):
            manager.save_memory(key, **({"memory_type": "fact", "content": "x"} | wrong))
    with pytest.raises(UsageError, match="name the channel"):
        manager.save_memory("nobody", "fact", "x")
    assert (manager.stats().total_memories, manager.stats().memories_in_process, names(events)) == (0, 0, ["session:created"])


# -- settings


def test_memories_expire_after_the_configured_time(make: Make, clock: Clock) -> None:
    """A.6: `defaultTTLMs`; 0 is never, and a time of its own wins."""
    manager = make(memory={"defaultTTLMs": 1_000})
    key = manager.get_or_create_session("a").session_key
    manager.save_memory(key, "fact", "by default")
    manager.save_memory(key, "fact", "own time", expires_ms=clock.now_ms + 5_000)
    clock.now_ms += 1_000
    assert [one.content for one in manager.search_memory("")] == ["own time"]
    forever = make().save_memory("s", "fact", "for ever", channel_id="a")
    assert forever is not None
    assert forever.expires_ms is None


@pytest.mark.parametrize(
    ("switch", "sort"), [("summaries", "summary"), ("decisions", "decision"), ("preferences", "preference"), ("actionItems", "action")]
)
def test_what_nobody_asked_for_is_remembered_only_if_its_sort_is(make: Make, switch: str, sort: Any) -> None:
    """A.6: `autoSave`; what somebody asked for always is."""
    manager = make(autoSave={switch: False})
    key = manager.get_or_create_session("a").session_key
    assert manager.save_memory(key, sort, "automatic", is_automatic=True) is None
    assert manager.save_memory(key, sort, "asked for") is not None
    assert manager.save_memory(key, "fact", "a fact", is_automatic=True) is not None
    assert manager.stats().total_memories == 2


def test_what_is_declared_and_not_supported_is_refused(tmp_path: Path) -> None:
    for given, words in (({"memory": {"backend": "lancedb"}}, "lancedb"), ({"workExecutor": {"enabled": True}}, "workExecutor")):
        with pytest.raises(SettingsError, match=words):
            SessionManager(msgspec.convert(given, ParallelSessionsSettings))
    settings = msgspec.convert({"memory": {"backend": "memory"}}, ParallelSessionsSettings)
    with pytest.raises(UsageError, match="takes no database"):
        SessionManager(settings, memory=SharedMemory(tmp_path / "m.db"))


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
