"""Any sequence of what can happen to sessions and memories, beside a plain model of it; and several managers on one database."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Final

import msgspec
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from sessionlab.errors import NoRoomError, UnwritableError, UsageError
from sessionlab.parallel import Event, Memory, SessionManager, SharedMemory
from sessionlab.parallel.places import LEASE_MS
from sessionlab.settings import MemorySettings, ParallelSessionsSettings

CHANNELS: Final = st.sampled_from("abc")  # few, so that they meet
MOST, THRESHOLD, IDLE_MS, START_MS = 2, 8, 10_000, 1_795_000_000_000
SETTINGS: Final = settings(max_examples=25, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck))


@dataclass(frozen=True)
class State:
    """What there is to know of a session."""

    last_ms: int
    created_ms: int
    messages: int = 0
    status: str = "active"


def key_of(channel: str) -> str:
    return f"agent:main:parallel:{channel}"


class LifeMachine(RuleBasedStateMachine):
    """One manager after another on one database, or on none."""

    has_disk: ClassVar = True

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="life-"))
        self.now_ms = START_MS
        self.known: dict[str, State] = {}
        self.stored: dict[str, State] = {}
        self.copies: dict[str, State] = {}
        self.memories: list[Memory] = []
        self.promoted: list[Memory] = []
        self.begin()

    def begin(self) -> None:
        self.memory = SharedMemory(self.folder / "m.db", clock=lambda: self.now_ms) if self.has_disk else None
        backend = MemorySettings(backend="sqlite" if self.has_disk else "memory", auto_promote_threshold=THRESHOLD)
        asked = ParallelSessionsSettings(max_concurrent=MOST, idle_timeout_ms=IDLE_MS, memory=backend)
        self.manager = SessionManager(asked, memory=self.memory, clock=lambda: self.now_ms)
        self.manager.start()
        self.known = {}
        if not self.has_disk:
            self.memories, self.promoted, self.stored = [], [], {}

    def teardown(self) -> None:
        if self.memory is not None:
            self.memory.close()
        shutil.rmtree(self.folder)

    # -- what the model does

    def sleep(self, channel: str) -> None:
        self.known[channel] = replace(self.known[channel], status="hibernated")
        self.stored[channel] = self.known[channel]
        self.copies.pop(channel, None)

    def active(self, *, but: str = "") -> list[str]:
        return [channel for channel, state in self.known.items() if state.status == "active" and channel != but]

    # -- what happens

    @rule(channel=CHANNELS)
    def get(self, channel: str) -> None:
        state = self.known.get(channel)
        if state is None or state.status != "active":
            while len(self.active(but=channel)) >= MOST:
                self.sleep(min(self.active(but=channel), key=lambda one: self.known[one].last_ms))
            if (state is None or state.status == "hibernated") and self.has_disk:
                if channel in self.stored:
                    self.copies[channel] = self.stored.pop(channel)
                state = self.copies.get(channel, state)
        is_new = state is None
        state = state or State(self.now_ms, self.now_ms)
        self.known[channel] = replace(state, status="active", last_ms=self.now_ms)
        assert self.manager.get_or_create_session(channel).is_new == is_new

    @rule(channel=CHANNELS, number=st.integers(1, 3))
    def count(self, channel: str, number: int) -> None:
        state = self.known.get(channel)
        if state is None or state.status == "hibernated":
            with pytest.raises(UsageError, match="is not awake"):
                self.manager.count_message(key_of(channel), number)
        else:
            self.known[channel] = replace(state, messages=state.messages + number, last_ms=self.now_ms)
            self.manager.count_message(key_of(channel), number)

    @rule(channel=CHANNELS)
    def hibernate(self, channel: str) -> None:
        is_awake = channel in self.known and self.known[channel].status != "hibernated"
        if is_awake:
            self.sleep(channel)
        assert self.manager.hibernate_session(key_of(channel)) == is_awake

    @precondition(lambda self: self.has_disk)
    @rule(channel=CHANNELS)
    def be_refused(self, channel: str) -> None:
        """Fill the disk for a moment: nothing changes."""

        def refuse(*_: object) -> None:
            raise UnwritableError(self.folder, "is full")

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr("sessionlab.parallel.rows.store_session", refuse)
            if channel in self.known and self.known[channel].status != "hibernated":
                with pytest.raises(UnwritableError):
                    self.manager.hibernate_session(key_of(channel))
            elif len(self.active()) == MOST:
                with pytest.raises(UnwritableError):
                    self.manager.get_or_create_session(channel)

    @rule(by_ms=st.sampled_from([1, IDLE_MS, IDLE_MS + 1]))
    def wait(self, by_ms: int) -> None:
        self.now_ms += by_ms

    @rule(by_ms=st.sampled_from([0, IDLE_MS + 1]))
    def check_idle(self, by_ms: int) -> None:
        self.now_ms += by_ms
        late = [channel for channel in self.active() if self.now_ms - self.known[channel].last_ms > IDLE_MS]
        for channel in late:
            self.known[channel] = replace(self.known[channel], status="idle")
        assert [one.channel_id for one in self.manager.check_idle()] == late

    @rule(channel=CHANNELS, importance=st.integers(0, 11), holds_ms=st.none() | st.sampled_from([1, IDLE_MS]))
    def save(self, channel: str, importance: int, holds_ms: int | None) -> None:
        expires_ms = None if holds_ms is None else self.now_ms + holds_ms
        memory = Memory(
            session_key=key_of(channel),
            channel_id=channel,
            memory_type="fact",
            content=f"{len(self.memories)} of {channel}",
            importance=importance,
            created_ms=self.now_ms,
            expires_ms=expires_ms,
            promoted=importance >= THRESHOLD,
        )
        words: Any = {"importance": importance, "channel_id": channel, "expires_ms": expires_ms}
        if 1 <= importance <= 10:
            self.manager.save_memory(key_of(channel), "fact", memory.content, **words)
            self.memories.append(memory)
            self.promoted += [memory] if memory.promoted else []
        else:
            with pytest.raises(UsageError, match="importance"):
                self.manager.save_memory(key_of(channel), "fact", memory.content, **words)

    @precondition(lambda self: self.has_disk)
    @rule()
    def expire(self) -> None:
        left = [one for one in self.memories if not one.is_expired(self.now_ms)]
        assert self.memory is not None
        assert self.memory.expire() == len(self.memories) - len(left)
        self.memories = left

    @rule()
    def restart(self) -> None:
        for channel, state in self.known.items():
            if state.status != "hibernated":
                self.sleep(channel)
        self.manager.shutdown()
        if self.memory is not None:
            self.memory.close()
        self.begin()

    @rule()
    def die(self) -> None:
        if self.memory is not None:
            self.memory.close()
        self.begin()

    # -- what must be so

    @invariant()
    def sessions_are_those_of_the_model(self) -> None:
        active = self.manager.active_sessions()
        assert len(active) <= MOST
        assert [one.channel_id for one in active] == self.active()
        for channel in "abc":
            session = self.manager.session(key_of(channel))
            found = None if session is None else State(session.last_activity_ms, session.created_ms, session.message_count, session.status)
            assert found == self.known.get(channel)
        if self.memory is not None:
            asleep = {
                one.channel_id: State(one.last_activity_ms, one.created_ms, one.message_count, one.status) for one in self.memory.sessions()
            }
            assert asleep == self.stored

    @invariant()
    def everything_that_was_acknowledged_is_remembered(self) -> None:
        ranked = sorted(enumerate(self.memories), key=lambda item: (-item[1].importance, -item[1].created_ms, -item[0]))
        live = [one for _, one in ranked if not one.is_expired(self.now_ms)]
        assert [one.content for one in self.manager.search_memory(" of ", limit=1_000)] == [one.content for one in live]
        assert self.manager.stats().total_memories == len(self.memories)
        if self.memory is not None:
            rows = self.memory.memories(exclude_expired=False, limit=1_000)
            assert [msgspec.structs.replace(one, id=None, version=0) for one in rows] == [one for _, one in ranked]

    @invariant()
    def sessions_are_told_what_they_are_to_know(self) -> None:
        ranked = sorted(enumerate(self.memories), key=lambda item: (-item[1].importance, -item[1].created_ms, -item[0]))
        known = sorted(enumerate(self.promoted), key=lambda item: (-item[1].importance, -item[1].created_ms, -item[0]))[:5]
        for channel in self.known:
            mine = [one for _, one in ranked if one.channel_id == channel and one.importance >= 5 and not one.is_expired(self.now_ms)][:10]
            blocks = [("## Channel Context", mine), ("## Global Knowledge", [one for _, one in known])]
            told = "\n\n".join("\n".join([name, *(f"- [fact] {one.content}" for one in those)]) for name, those in blocks if those)
            assert self.manager.briefing(key_of(channel)) == told


class LifeInProcessMachine(LifeMachine):
    """Without a database nothing outlives the manager."""

    has_disk: ClassVar = False


class SharedMachine(RuleBasedStateMachine):
    """Two managers, each as in a process of its own, of which some are silent for too long, and some die."""

    WHO: Final = st.integers(0, 1)

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="life-"))
        self.now_ms = START_MS
        self.holders: dict[str, int] = {}
        """Who woke a session last, and has not put it to sleep since."""
        self.until_ms: dict[str, int] = {}
        self.counts: dict[str, int] = {}
        """Messages of each session, as its holder knows them, or as they are stored."""
        self.stored: dict[str, int] = {}
        self.memory = SharedMemory(self.folder / "m.db", clock=lambda: self.now_ms)
        self.memory.initialize()
        self.places = self.memory.shared_places(MOST)
        self.managers: dict[int, SessionManager] = {}
        for who in range(2):
            self.begin(who)

    def begin(self, who: int) -> None:
        memory = SharedMemory(self.folder / "m.db", clock=lambda: self.now_ms)
        memory.initialize()
        manager = SessionManager(
            ParallelSessionsSettings(max_concurrent=MOST), memory=memory, scope="database", clock=lambda: self.now_ms
        )  # not started: no heart beats by itself
        self.managers[who] = manager
        manager.on_event(lambda event: self.heard(who, event))

    def heard(self, who: int, event: Event) -> None:
        if event.name == "session:hibernated" and event.session is not None and self.holders.get(event.session.channel_id) == who:
            del self.holders[event.session.channel_id]
            self.stored[event.session.channel_id] = event.session.message_count

    def teardown(self) -> None:
        for manager in self.managers.values():
            assert manager.memory is not None
            manager.memory.close()
        self.memory.close()
        shutil.rmtree(self.folder)

    def is_held(self, channel: str) -> bool:
        return channel in self.holders and self.until_ms[channel] > self.now_ms

    @rule(who=WHO, channel=CHANNELS)
    def get(self, who: int, channel: str) -> None:
        is_elsewhere = self.is_held(channel) and self.holders[channel] != who
        others = sum(self.is_held(one) and self.holders[one] != who for one in self.holders if one != channel)
        if is_elsewhere or others >= MOST:
            with pytest.raises(NoRoomError, match="in another process" if is_elsewhere else "all 2 places"):
                self.managers[who].get_or_create_session(channel)
            return
        had, was_held = self.holders.get(channel) == who, self.is_held(channel)
        self.managers[who].get_or_create_session(channel)
        if not (had and was_held):
            self.until_ms[channel] = self.now_ms + LEASE_MS
        self.holders[channel] = who
        session = self.managers[who].session(key_of(channel))
        assert session is not None
        if had or channel in self.stored:
            assert session.message_count == (self.counts[channel] if had else self.stored[channel])
        self.counts[channel] = session.message_count

    @rule(who=WHO, channel=CHANNELS)
    def count(self, who: int, channel: str) -> None:
        is_had = self.holders.get(channel) == who
        is_certain = is_had and self.is_held(channel)
        try:
            found = self.managers[who].count_message(key_of(channel)).message_count
        except UsageError:
            assert self.holders.get(channel) != who  # it was crowded out, then; else it never was there
        else:
            assert is_had, "only who has a session counts its messages"
            self.counts[channel] += 1
            assert found == self.counts[channel]
        if not is_certain:
            self.heartbeat(who)  # it asks for all that it has

    @rule(who=WHO, channel=CHANNELS)
    def hibernate(self, who: int, channel: str) -> None:
        self.managers[who].hibernate_session(key_of(channel))
        assert self.holders.get(channel) != who

    @rule(who=WHO)
    def renew(self, who: int) -> None:
        self.managers[who].renew()
        self.heartbeat(who)

    def heartbeat(self, who: int) -> None:
        self.until_ms |= {channel: self.now_ms + LEASE_MS for channel, holder in self.holders.items() if holder == who}

    @rule(by_ms=st.sampled_from([1, LEASE_MS // 2, LEASE_MS, LEASE_MS]))
    def wait(self, by_ms: int) -> None:
        self.now_ms += by_ms

    @rule(who=WHO)
    def restart(self, who: int) -> None:
        manager = self.managers[who]
        manager.shutdown()
        assert who not in self.holders.values()
        assert manager.memory is not None
        manager.memory.close()
        self.begin(who)

    @rule(who=WHO)
    def die(self, who: int) -> None:
        """Kill one: what it knew is gone, and its leases hold for a while."""
        manager = self.managers[who]
        assert manager.memory is not None
        manager.memory.close()
        self.begin(who)
        for channel, holder in list(self.holders.items()):
            if holder == who:
                self.holders[channel] = -1

    @invariant()
    def no_more_are_awake_than_may_be(self) -> None:
        assert self.places.count() <= MOST
        assert self.places.count() == sum(map(self.is_held, self.holders))

    @invariant()
    def what_is_stored_is_what_its_last_holder_knew(self) -> None:
        found = {one.channel_id: one.message_count for one in self.memory.sessions()}
        assert found == {channel: count for channel, count in self.stored.items() if channel not in self.holders}


TestLife = LifeMachine.TestCase
TestLife.settings = SETTINGS
TestLifeInProcess = LifeInProcessMachine.TestCase
TestLifeInProcess.settings = SETTINGS
TestShared = SharedMachine.TestCase
TestShared.settings = SETTINGS
