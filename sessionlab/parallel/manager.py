"""Several chat sessions of one agent at once (openclaw#22962 as repaired by #23179, A.7 to A.39): live, idle, or put to sleep on disk.

The parts in one place: which session a message belongs to (`isolation`), what becomes of sessions (`sessions`), how many may be awake
(`places`), what they remember and are told (`remembering`).

Deviations: a session that sleeps in the database is known again after a restart, and is not new (A.22), so is one whose process died; idle
sessions are put to sleep with the others at the end (A.25); listeners are told when it is done, and what they raise is logged.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import TracebackType
from typing import Any, Final, Literal, Self

import msgspec

from sessionlab import keys
from sessionlab.errors import SettingsError, UsageError
from sessionlab.parallel.events import Event, Listener, Listeners
from sessionlab.parallel.isolation import normal_channel, session_key
from sessionlab.parallel.places import LEASE_MS, Places
from sessionlab.parallel.records import Memory, MemoryType, Session, shortened
from sessionlab.parallel.remembering import Remembering
from sessionlab.parallel.sessions import Sessions
from sessionlab.parallel.shared_memory import SharedMemory, wall_clock_ms
from sessionlab.parallel.timer import Timer
from sessionlab.settings import ParallelSessionsSettings
from sessionlab.units import MS_PER_MINUTE

Scope = Literal["process", "database"]
CHECK_IDLE_EVERY_MS: Final = MS_PER_MINUTE


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
            scope: Whether `maxConcurrent` counts the sessions of this manager, or of all that use the database: there a session is awake in
                one of them at a time. With "process", several managers on one database may have one session awake, each; what they count
                is added up when they sleep.
            clock: Gives the time, epoch ms.

        Raises:
            SettingsError: A setting is not supported.
            UsageError: The scope is the database, and there is none.
        """
        self.settings = settings or ParallelSessionsSettings()
        _refuse_unsupported(self.settings)
        if self.settings.memory.backend == "memory" and memory is not None:
            raise UsageError("the backend is 'memory', which keeps everything in the process; it takes no database")
        self.memory = memory
        self._is_shared = scope == "database"
        self._remembering = Remembering(self.settings, memory, clock=clock)
        self.recent = self._remembering.recent
        self._clock = clock
        self._listeners = Listeners()
        self._sessions = Sessions(_places(memory, scope, self.settings.max_concurrent), self._listeners, clock=clock)
        self._timer = Timer(self.check_idle, every_ms=CHECK_IDLE_EVERY_MS)
        self._heartbeat = Timer(self.renew, every_ms=LEASE_MS // 3)

    def start(self) -> None:
        """Open the database, and look for idle sessions from now on if parallel sessions are enabled (A.23). Twice does no harm."""
        if self.memory is not None:
            self.memory.initialize()
        self._sessions.begin()
        if self.settings.enabled:
            self._timer.start()
        if self._is_shared:
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
        is_new = self._sessions.open(key, normal_channel(channel_id), chat_id=chat_id, peer_id=peer_id)
        return Opened(key, is_new, self.briefing)

    def hibernate_session(self, key: str) -> bool:
        """Put a session to sleep; say whether there was one that was awake here, and is stored if there is a database (A.17).

        Raises:
            StoreError: The database refuses; the session is awake as it was.
        """
        return self._sessions.hibernate(key) > 0

    def check_idle(self) -> list[Session]:
        """Mark active sessions as idle that were not used for longer than `idleTimeoutMs`, and return them (A.23)."""
        return self._sessions.check_idle(self.settings.idle_timeout_ms)

    def renew(self) -> list[Session]:
        """Tell the other processes that this one lives, which the heartbeat does by itself; see `Sessions.renew`."""
        return self._sessions.renew()

    def count_message(self, key: str, number: int = 1) -> Session:
        """Count messages of a session that is awake, and return it; it counts as used now, and one that was idle is active again (A.16).

        Raises:
            UsageError: There is no such session, or it sleeps; or the number is negative.
            NoRoomError: As `get_or_create_session`, for a session that was idle.
            StoreError: As above.
        """
        return self._sessions.count_message(key, number)

    def context(self, key: str) -> dict[str, Any]:
        """Return what is stored beside a session that is awake, when it sleeps; see `Sessions.context`."""
        return self._sessions.context(key)

    def set_context(self, key: str, context: Mapping[str, Any]) -> None:
        """Set what is to be stored beside a session that is awake, when it sleeps; see `Sessions.set_context`."""
        self._sessions.set_context(key, context)

    def session(self, key: str) -> Session | None:
        """Return a session that this manager knows."""
        return self._sessions.get(key)

    def active_sessions(self) -> list[Session]:
        """Return the sessions that are active, in the order in which they became known (A.26)."""
        return [one for one in self._sessions.all() if one.status == "active"]

    def shutdown(self) -> None:
        """Stop looking for idle sessions, and put all that are awake to sleep (A.25). Twice does no harm; none is opened before a `start`.

        Raises:
            StoreError: The database refuses some of them; those are awake as they were, the others sleep.
        """
        self._timer.stop()
        self._heartbeat.stop()
        if self._sessions.end():
            self._listeners.tell(Event("shutdown"))

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
        channel = normal_channel(channel_id) if channel_id is not None else session.channel_id if session is not None else None
        if channel is None:
            raise UsageError(f"session {shortened(key)}: is not known here; name the channel of the memory")
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
        channel = normal_channel(channel_id) if channel_id is not None else None
        return self._remembering.search(query, session_key=session_key, channel_id=channel, types=types, limit=limit)

    def briefing(self, key: str) -> str:
        """Return what a session is to know of its channel and of all, as Markdown; "" for a session that is not known (A.34 to A.38)."""
        session = self._sessions.get(key)
        return "" if session is None else self._remembering.briefing(session)

    def stats(self) -> Stats:
        """Count everything (A.26)."""
        statuses = [one.status for one in self._sessions.all()]
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


def _places(memory: SharedMemory | None, scope: Scope, number: int) -> Places:
    if scope == "process":
        return memory.places(number) if memory is not None else Places(None, number=number)
    if memory is None:
        raise UsageError("scope='database': there is no database that processes could share")
    return memory.shared_places(number)


def _refuse_unsupported(settings: ParallelSessionsSettings) -> None:
    where = "agent.parallelSessions"
    if settings.memory.backend == "lancedb":
        raise SettingsError(f"{where}.memory.backend", "lancedb is not supported; use sqlite, or memory for what need not be kept")
    if settings.work_executor.enabled:
        raise SettingsError(f"{where}.workExecutor.enabled", "a background worker is not supported; switch it off")
