"""Several chat sessions of one agent at once (openclaw#22962 as repaired by #23179, A.7 to A.39): live, idle, or put to sleep on disk.

What is decided here, one thing at a time under one lock: which session a message belongs to, and which have to sleep so that never more
than `maxConcurrent` are active, whether a session is made, woken, or was idle (A.16, A.20, A.21). A session's state is on disk before it
counts as asleep (A.17).

Deviations: a session that sleeps in the database is known again after a restart, and is not new (A.22); idle sessions are put to sleep
with the others at the end (A.25); listeners are told when it is done, outside of the lock, and what they raise is logged.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import cached_property
from types import TracebackType
from typing import Any, Final, Literal, Self

import msgspec

from sessionlab import keys
from sessionlab.errors import NoRoomError, SettingsError, UsageError
from sessionlab.parallel.events import Event, Listener, Listeners
from sessionlab.parallel.isolation import session_key
from sessionlab.parallel.leases import LEASE_MS
from sessionlab.parallel.records import Memory, MemoryType, Session
from sessionlab.parallel.remembering import Remembering
from sessionlab.parallel.shared_memory import SharedMemory, wall_clock_ms
from sessionlab.parallel.timer import Timer
from sessionlab.settings import ParallelSessionsSettings
from sessionlab.units import MS_PER_MINUTE

Scope = Literal["process", "database"]
CHECK_IDLE_EVERY_MS: Final = MS_PER_MINUTE
_LOGGER: Final = logging.getLogger("sessions/parallel")


@dataclass(frozen=True)
class Opened:
    """The session of a message. `briefing` is made when it is first asked for: what the session is told of its channel and of all."""

    session_key: str
    is_new: bool
    _brief: Callable[[str], str] = field(repr=False, compare=False)

    @cached_property
    def briefing(self) -> str:
        """What the session is to know, as Markdown; "" when there is nothing, or briefings are switched off."""
        return self._brief(self.session_key)


class Stats(msgspec.Struct, frozen=True, kw_only=True):
    """How much there is (A.26): sessions that this manager knows, and memories and knowledge, on disk if there is a database."""

    total_sessions: int
    active_sessions: int
    idle_sessions: int
    hibernated_sessions: int
    total_memories: int
    global_knowledge_count: int
    memories_in_process: int
    knowledge_in_process: int


class SessionManager:
    """The sessions of an agent, for any number of threads. As a context it starts, and shuts down at the end."""

    def __init__(
        self,
        settings: ParallelSessionsSettings | None = None,
        *,
        memory: SharedMemory | None = None,
        scope: Scope = "process",
        clock: Callable[[], int] = wall_clock_ms,
    ) -> None:
        """Make a manager that does nothing yet.

        Args:
            settings: `agent.parallelSessions`; its defaults when not given.
            memory: The database, for the backend `sqlite`; without one, nothing outlives the process. Initialized at the start if need be;
                who made it closes it.
            scope: Whether `maxConcurrent` counts the sessions of this process, or of all that use the database; there a session is awake
                in one of them at a time.
            clock: Gives the time, epoch ms.

        Raises:
            SettingsError: A setting is not supported.
            UsageError: The scope is the database, and there is none.
        """
        self.settings = settings or ParallelSessionsSettings()
        _refuse_unsupported(self.settings)
        if self.settings.memory.backend == "memory" and memory is not None:
            raise UsageError("the backend is 'memory', which keeps everything in the process; it takes no database")
        if scope == "database" and memory is None:
            raise UsageError("scope='database': there is no database that processes could share")
        self.memory = memory
        self._leases = memory.leases(places=self.settings.max_concurrent) if memory is not None and scope == "database" else None
        self._remembering = Remembering(self.settings, memory, clock=clock)
        self.recent = self._remembering.recent
        self._clock = clock
        self._sessions: dict[str, Session] = {}
        self._contexts: dict[str, dict[str, Any]] = {}
        """What was stored beside sessions that are awake: it is stored again when they sleep."""
        self._lock = threading.RLock()
        self._listeners = Listeners()
        self._timer = Timer(self.check_idle, every_ms=CHECK_IDLE_EVERY_MS)
        self._heartbeat = Timer(self.renew, every_ms=LEASE_MS // 3)

    def start(self) -> None:
        """Open the database, and look for idle sessions from now on if parallel sessions are enabled (A.23). Twice does no harm."""
        if self.memory is not None:
            self.memory.initialize()
        if self.settings.enabled:
            self._timer.start()
        if self._leases is not None:
            self._heartbeat.start()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.shutdown()

    def on_event(self, listener: Listener) -> Callable[[], None]:
        """Tell somebody what happens from now on; return how to stop that."""
        return self._listeners.add(listener)

    # -- sessions

    def get_or_create_session(
        self, channel_id: str, *, chat_id: str | None = None, peer_id: str | None = None, agent_id: str = keys.DEFAULT_AGENT
    ) -> Opened:
        """Return the session that a message belongs to, awake: the one that there is, or a new one (A.12 to A.16).

        Raises:
            UsageError: The channel is blank.
            NoRoomError: Other processes have all places, or this very session awake; see `scope`.
            StoreError: The database refuses; nothing has changed.
        """
        key = session_key(self.settings.isolation, channel_id=channel_id, chat_id=chat_id, peer_id=peer_id, agent_id=agent_id)
        events: list[Event] = []
        try:
            with self._lock:
                now_ms = self._clock()
                session = self._sessions.get(key)
                is_new = False
                if session is not None and session.status == "active":
                    self._sessions[key] = msgspec.structs.replace(session, last_activity_ms=now_ms)
                else:
                    fresh = Session(
                        session_key=key,
                        channel_id=channel_id.strip().lower(),
                        chat_id=chat_id,
                        peer_id=peer_id,
                        created_ms=now_ms,
                        last_activity_ms=now_ms,
                    )
                    self._make_room(key, events)
                    woken, is_new = self._woken(session, fresh)
                    self._sessions[key] = woken
                    if session is None or session.status == "hibernated":
                        events.append(Event("session:created" if is_new else "session:reactivated", session=woken))
        finally:
            self._listeners.tell(*events)  # of one that was put to sleep also when waking the other failed
        return Opened(key, is_new, self.briefing)

    def _woken(self, session: Session | None, fresh: Session) -> tuple[Session, bool]:
        """Return a session as it is when it is awake, and whether it is new; what is stored of it is not stored any more (A.14)."""
        found = session
        if self.memory is not None and (session is None or session.status == "hibernated"):
            try:
                stored = self.memory.take_session(fresh.session_key)
            except BaseException:
                if self._leases is not None:
                    self._leases.give_back(fresh.session_key)
                raise
            found = stored[0] if stored is not None else session
            if stored is not None and stored[1] is not None:
                self._contexts[fresh.session_key] = stored[1]
        if found is None:
            return fresh, True
        return msgspec.structs.replace(found, status="active", last_activity_ms=fresh.last_activity_ms), False

    def _make_room(self, key: str, events: list[Event]) -> None:
        """Put active sessions to sleep, the one that was used longest ago first, until one more may be active (A.19)."""
        while True:
            awake = [one for one in self._sessions.values() if one.status != "hibernated" and one.session_key != key]
            candidates = [one for one in awake if one.status == "active"]
            if len(candidates) < self.settings.max_concurrent:
                answer = self._leases.take(key) if self._leases is not None else "taken"
                if answer == "taken":
                    return
                if answer == "elsewhere":
                    raise NoRoomError(f"session {key!r} is awake in another process; it can be had when that has put it to sleep")
                candidates = awake  # an idle one has a place among those that processes share
            if not candidates:
                raise NoRoomError(f"all {self.settings.max_concurrent} places for awake sessions are taken by other processes")
            self._put_to_sleep(min(candidates, key=lambda one: one.last_activity_ms), events)

    def _put_to_sleep(self, session: Session, events: list[Event]) -> None:
        asleep = msgspec.structs.replace(session, status="hibernated")
        if self.memory is not None:
            self.memory.save_session(asleep, self._contexts.get(session.session_key))  # first: what cannot be written stays awake (A.17)
        self._sessions[session.session_key] = asleep
        self._contexts.pop(session.session_key, None)
        events.append(Event("session:hibernated", session=asleep))
        if self._leases is not None:
            self._leases.give_back(session.session_key)

    def renew(self) -> list[Session]:
        """Tell the other processes that this one lives; return the sessions that were lost to them because it had seemed dead.

        Those sleep from now on: what this process knew of them since they were woken is gone, as it would be if it had died.
        """
        lost: list[Session] = []
        with self._lock:
            if self._leases is not None:
                awake = [key for key, one in self._sessions.items() if one.status != "hibernated"]
                lost = [msgspec.structs.replace(self._sessions[key], status="hibernated") for key in sorted(self._leases.renew(awake))]
                self._sessions |= {one.session_key: one for one in lost}
        self._listeners.tell(*(Event("session:hibernated", session=one) for one in lost))
        return lost

    def hibernate_session(self, key: str) -> bool:
        """Put a session to sleep; say whether there was one that was awake (A.17).

        Raises:
            StoreError: The database refuses; the session is awake as it was.
        """
        events: list[Event] = []
        with self._lock:
            session = self._sessions.get(key)
            if session is not None and session.status != "hibernated":
                self._put_to_sleep(session, events)
        self._listeners.tell(*events)
        return bool(events)

    def check_idle(self) -> list[Session]:
        """Mark active sessions as idle that were not used for longer than `idleTimeoutMs`, and return them (A.23)."""
        with self._lock:
            latest_ms = self._clock() - self.settings.idle_timeout_ms
            found = [
                msgspec.structs.replace(one, status="idle")
                for one in self._sessions.values()
                if one.status == "active" and one.last_activity_ms < latest_ms
            ]
            self._sessions |= {one.session_key: one for one in found}
        self._listeners.tell(*(Event("session:idle", session=one) for one in found))
        return found

    def count_message(self, key: str, number: int = 1) -> Session:
        """Count messages of a session that is awake, and return it; it counts as used now.

        Raises:
            UsageError: There is no such session, or it sleeps.
        """
        with self._lock:
            session = self._sessions.get(key)
            if session is None or session.status == "hibernated":
                raise UsageError(f"session {key!r}: is not awake; get it first")
            counted = msgspec.structs.replace(session, message_count=session.message_count + number, last_activity_ms=self._clock())
            self._sessions[key] = counted
            return counted

    def session(self, key: str) -> Session | None:
        """Return a session that this manager knows."""
        return self._sessions.get(key)

    def active_sessions(self) -> list[Session]:
        """Return the sessions that are active, in the order in which they became known (A.26)."""
        with self._lock:
            return [one for one in self._sessions.values() if one.status == "active"]

    def shutdown(self) -> None:
        """Stop looking for idle sessions, and put all that are awake to sleep (A.25). Twice does no harm.

        Raises:
            StoreError: The database refuses; those that could not be written are awake as they were.
        """
        self._timer.stop()
        self._heartbeat.stop()
        events: list[Event] = []
        try:
            with self._lock:
                for session in list(self._sessions.values()):
                    if session.status != "hibernated":
                        self._put_to_sleep(session, events)
                events.append(Event("shutdown"))
        finally:
            self._listeners.tell(*events)

    # -- memories

    def save_memory(
        self,
        key: str,
        memory_type: MemoryType,
        content: str,
        *,
        importance: int = 5,
        channel_id: str | None = None,
        expires_ms: int | None = None,
        is_automatic: bool = False,
    ) -> Memory | None:
        """Remember something, and let all channels know of it if it is important enough (A.27 to A.30).

        Args:
            key: The session that it comes from.
            memory_type: What it is.
            content: The text.
            importance: 1 to 10; from `autoPromoteThreshold` on all channels get to know.
            channel_id: The channel; by default that of the session.
            expires_ms: Until when it holds; by default `defaultTTLMs` from now, or for ever when that is 0.
            is_automatic: Nobody asked for it: it is remembered only if `autoSave` has its sort.

        Returns:
            The memory as it is stored; `None` when `autoSave` does not have it.

        Raises:
            UsageError: It may not be stored, or there is no such session and no channel; nothing was remembered.
            StoreError: The database refuses; nothing was remembered.
        """
        session = self._sessions.get(key)
        channel = channel_id if channel_id is not None else session.channel_id if session is not None else None
        if channel is None:
            raise UsageError(f"session {key!r}: is not known here; name the channel of the memory")
        memory, knowledge = self._remembering.save(
            Memory(
                session_key=key,
                channel_id=channel,
                memory_type=memory_type,
                content=content,
                importance=importance,
                created_ms=self._clock(),
                expires_ms=expires_ms,
            ),
            is_automatic=is_automatic,
        )
        if memory is None:
            return None
        events = [Event("memory:saved", memory=memory)]
        if knowledge is not None:
            events.append(Event("knowledge:promoted", memory=memory, knowledge=knowledge))
        self._listeners.tell(*events)
        return memory

    def search_memory(
        self,
        query: str,
        *,
        session_key: str | None = None,
        channel_id: str | None = None,
        types: Collection[MemoryType] | None = None,
        limit: int = 10,
    ) -> list[Memory]:
        """Return memories that hold a text, whatever its case, and are not expired, the most important first (A.39)."""
        return self._remembering.search(query, session_key=session_key, channel_id=channel_id, types=types, limit=limit)

    def briefing(self, key: str) -> str:
        """Return what a session is to know of its channel and of all, as Markdown; "" for a session that is not known (A.34 to A.38)."""
        session = self._sessions.get(key)
        return "" if session is None else self._remembering.briefing(session)

    def stats(self) -> Stats:
        """Count everything (A.26)."""
        with self._lock:
            statuses = [one.status for one in self._sessions.values()]
        stored = self.memory.stats() if self.memory is not None else None
        return Stats(
            total_sessions=len(statuses),
            active_sessions=statuses.count("active"),
            idle_sessions=statuses.count("idle"),
            hibernated_sessions=statuses.count("hibernated"),
            total_memories=stored.channel_memory_count if stored else self.recent.memory_count,
            global_knowledge_count=stored.global_knowledge_count if stored else self.recent.knowledge_count,
            memories_in_process=self.recent.memory_count,
            knowledge_in_process=self.recent.knowledge_count,
        )


def _refuse_unsupported(settings: ParallelSessionsSettings) -> None:
    where = "agent.parallelSessions"
    if settings.memory.backend == "lancedb":
        raise SettingsError(f"{where}.memory.backend", "lancedb is not supported; use sqlite, or memory for what need not be kept")
    if settings.work_executor.enabled:
        raise SettingsError(f"{where}.workExecutor.enabled", "a background worker is not supported; switch it off")
