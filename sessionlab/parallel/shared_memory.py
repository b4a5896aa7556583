"""Shared memory in SQLite (openclaw#22962, repaired by #23179; A.3 and A.40 to A.50): what sessions remember and all of them may know.

Deviations: a row that is not written is an error, never an id; `%` and `_` in a search mean themselves, and what is expired is in no
answer (A.44); something expires at the millisecond it names, for whoever reads or removes (A.46); an importance that the database would
refuse is refused before anything is done (A.33a).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from sessionlab.errors import UsageError
from sessionlab.parallel import asking, rows
from sessionlab.parallel.database import Database
from sessionlab.parallel.places import Places, SharedPlaces
from sessionlab.parallel.recording import Recording
from sessionlab.parallel.records import (
    ActionItem,
    ActionStatus,
    Change,
    Knowledge,
    Memory,
    MemoryType,
    Person,
    Session,
    State,
    checked_action,
    checked_knowledge,
    checked_memory,
    checked_number,
    checked_person,
    checked_session,
    checked_text,
    is_storable,
)
from sessionlab.parallel.search import Found, Scope, Searching
from sessionlab.storage.kernel_lock import DEFAULT_TIMEOUT_MS
from sessionlab.units import MS_PER_DAY

DEFAULT_LIMIT: Final = 50
TOMBSTONES_KEPT_MS: Final = 30 * MS_PER_DAY
"""How long it is known that a record was deleted."""


class Stats(msgspec.Struct, frozen=True, kw_only=True):
    """How much there is: unexpired and expired memories alike, knowledge, open action items, persons, sessions asleep, and those woken."""

    channel_memory_count: int
    global_knowledge_count: int
    action_items_open: int
    person_count: int
    session_count: int
    woken_count: int


def wall_clock_ms() -> int:
    """Return the time, epoch ms."""
    return time.time_ns() // 1_000_000


class SharedMemory:
    """A shared memory, for any number of threads and processes at once. `initialize` comes first; closing may be repeated.

    Every writing method is one durable transaction: when it returns, what it did survives a loss of power. Raises, besides what is said:
    `UsageError` for what may not be stored and when it is not initialized, `StoreLockedError` when others write all the time,
    `UnwritableError` when the system refuses, `CorruptStoreError` when the file is not what it was.
    """

    def __init__(
        self,
        path: Path,
        *,
        enable_wal: bool | None = True,
        clock: Callable[[], int] = wall_clock_ms,
        timeout_ms: float = DEFAULT_TIMEOUT_MS,
    ) -> None:
        """Name a shared memory.

        Args:
            path: Its SQLite file.
            enable_wal: See `Database`.
            clock: Gives the time, epoch ms.
            timeout_ms: How long a writer waits for the others; 0 or infinite for ever.
        """
        self.path = path
        self._clock = clock
        self._database = Database(path, enable_wal=enable_wal, timeout_ms=timeout_ms)
        self._records = Recording(self._database)
        self._searching = Searching(self._database)

    def initialize(self, *, create: bool = True) -> None:
        """Open the file, or make it if that may be: folders, tables, version. Twice does no harm (A.40); see `Database.initialize`."""
        self._records.look_again()
        self._database.initialize(create=create)

    def close(self) -> None:
        """Close the file; any number of times (A.41)."""
        self._database.close()

    # -- memories

    def save_memory(self, memory: Memory) -> int:
        """Store a new memory and return its id (A.42). Without a time of its own it was made now."""
        return self._records.insert("channel_memory", rows.of_memory(self._dated(checked_memory(memory))))

    def put_memory(self, memory: Memory, *, expect_version: int | None = None) -> Memory:
        """Store a memory in place of the one with its id, or as a new one when it has none, and return it as it is stored.

        Args:
            memory: The memory, whole.
            expect_version: The version that the stored one must have, 0 for none at all; `None` overwrites whatever there is.

        Raises:
            VersionConflictError: Somebody else has written it since, or removed it; nothing was done.
        """
        row = rows.of_memory(self._dated(checked_memory(memory)))
        number, version = self._records.put("channel_memory", row, memory.id, expect_version)
        return rows.memory((number, *row, version))

    def memories(
        self,
        *,
        session_key: str | None = None,
        channel_id: str | None = None,
        types: Collection[MemoryType] | None = None,
        min_importance: int | None = None,
        exclude_expired: bool = True,
        limit: int = DEFAULT_LIMIT,
    ) -> list[Memory]:
        """Return memories that fit all that is given, the most important first, of equally important ones the newest (A.43)."""
        where = asking.Where()
        where.equal("session_key", session_key)
        where.equal("channel_id", channel_id)
        where.one_of("+memory_type", asking.checked_types(types))  # "+": by the index of the order, not by that of the type
        where.at_least("importance", min_importance)
        if exclude_expired:
            where.unexpired(self._clock())
        return [rows.memory(row) for row in self._records.select(rows.MEMORIES, where, asking.BY_IMPORTANCE, limit)]

    def memory(self, number: int) -> Memory | None:
        """Return one memory by its id, expired or not."""
        return next((rows.memory(row) for row in self._records.by_id(rows.MEMORIES, number)), None)

    def delete_memory(self, number: int) -> bool:
        """Remove a memory; say whether there was one."""
        with self._records.writing() as connection:
            return connection.execute("DELETE FROM channel_memory WHERE id = ?", (checked_number("id", number),)).rowcount > 0

    # -- knowledge

    def save_knowledge(self, knowledge: Knowledge) -> int:
        """Store new knowledge and return its id (A.42)."""
        return self._records.insert("global_knowledge", rows.of_knowledge(self._dated_knowledge(checked_knowledge(knowledge))))

    def put_knowledge(self, knowledge: Knowledge, *, expect_version: int | None = None) -> Knowledge:
        """Store knowledge in place of what has its id, or as new; otherwise as `put_memory`."""
        row = rows.of_knowledge(self._dated_knowledge(checked_knowledge(knowledge)))
        number, version = self._records.put("global_knowledge", row, knowledge.id, expect_version)
        return rows.knowledge((number, *row, version))

    def promote(self, memory: Memory, knowledge: Knowledge) -> tuple[int, int]:
        """Store a new memory as promoted, and what all channels are to know of it, in one step; return both ids (A.28, A.30)."""
        kept = rows.of_memory(msgspec.structs.replace(self._dated(checked_memory(memory)), promoted=True))
        known = rows.of_knowledge(self._dated_knowledge(checked_knowledge(knowledge)))
        with self._records.writing() as connection:
            return (
                self._records.inserted(connection, "channel_memory", kept),
                self._records.inserted(connection, "global_knowledge", known),
            )

    def knowledge(self, *, category: str | None = None, min_confidence: float | None = None, limit: int = DEFAULT_LIMIT) -> list[Knowledge]:
        """Return knowledge that fits, the most certain first, of equally certain the latest (A.43)."""
        where = asking.Where()
        where.equal("category", category)
        where.at_least("confidence", min_confidence)
        return [rows.knowledge(row) for row in self._records.select(rows.KNOWLEDGE, where, asking.BY_CONFIDENCE, limit)]

    def search(self, query: str, *, scope: Scope = "all", channel_id: str | None = None, limit: int = 20) -> Found:
        """Return what holds a text, whatever its case: memories that are not expired, and knowledge (A.44); see `Searching.search`."""
        return self._search(query, scope=scope, where={"channel_id": channel_id}, types=None, limit=limit)

    def search_memories(
        self,
        query: str,
        *,
        session_key: str | None = None,
        channel_id: str | None = None,
        types: Collection[MemoryType] | None = None,
        limit: int = 10,
    ) -> list[Memory]:
        """Return memories that hold a text and fit all that is given, the most important first (A.39)."""
        where = {"session_key": session_key, "channel_id": channel_id}
        found = self._search(query, scope="channel", where=where, types=asking.checked_types(types), limit=limit)
        return list(found.memories)

    def _search(self, query: str, *, scope: Scope, where: dict[str, str | None], types: Collection[str] | None, limit: int) -> Found:
        checked_text("query", query)
        checked_number("limit", limit, 0)
        asked = {column: checked_text(column, value) for column, value in where.items() if value is not None}
        if not all(map(is_storable, asked.values())):
            asked, types = {}, []
        sorts = list(filter(is_storable, types)) if types is not None else None
        searching = self._searching if self._records.mend() else Searching(self._database, use_index=False)
        return searching.search(query, scope=scope, where=asked, types=sorts, limit=limit, now_ms=self._clock())

    # -- action items and persons

    def save_action(self, action: ActionItem) -> int:
        """Store a new action item and return its id."""
        return self._records.insert("action_items", rows.of_action(self._dated_action(checked_action(action))))

    def put_action(self, action: ActionItem, *, expect_version: int | None = None) -> ActionItem:
        """Store an action item in place of the one with its id, or as a new one; otherwise as `put_memory`."""
        row = rows.of_action(self._dated_action(checked_action(action)))
        number, version = self._records.put("action_items", row, action.id, expect_version)
        return rows.action((number, *row, version))

    def actions(self, *, status: ActionStatus | None = None, channel_id: str | None = None, limit: int = DEFAULT_LIMIT) -> list[ActionItem]:
        """Return action items that fit, the most urgent first, of equally urgent ones the oldest."""
        where = asking.Where()
        where.equal("status", status)
        where.equal("channel_id", channel_id)
        return [rows.action(row) for row in self._records.select(rows.ACTIONS, where, asking.BY_PRIORITY, limit)]

    def put_person(self, person: Person, *, expect_version: int | None = None) -> Person:
        """Store what is known of a person, in place of what has the same canonical id; otherwise as `put_memory`."""
        checked_person(person)
        now_ms = self._clock()
        first_ms, last_ms = person.first_seen_ms or now_ms, person.last_seen_ms or now_ms
        row = rows.of_person(msgspec.structs.replace(person, first_seen_ms=first_ms, last_seen_ms=last_ms))
        with self._records.writing() as connection:
            found = connection.execute("SELECT id FROM person_context WHERE canonical_id = ?", (person.canonical_id,)).fetchone()
            number, version = self._records.written(connection, "person_context", row, found[0] if found else None, expect_version)
        return rows.person((number, *row, version))

    def person(self, canonical_id: str) -> Person | None:
        """Return what is known of a person; `None` for nothing."""
        where = asking.Where()
        where.equal("canonical_id", checked_text("canonical_id", canonical_id))
        return next((rows.person(row) for row in self._records.select(rows.PERSONS, where, "", 1)), None)

    def persons(self, *, limit: int = DEFAULT_LIMIT) -> list[Person]:
        """Return the persons that are known, by name."""
        return [rows.person(row) for row in self._records.select(rows.PERSONS, asking.Where(), asking.BY_NAME, limit)]

    # -- sessions

    def save_session(self, session: Session, context: Mapping[str, Any] | None = None) -> None:
        """Store the state of a session in place of what is stored of it, with anything that JSON can hold beside it (A.45)."""
        with self._records.writing() as connection:
            rows.store_session(connection, checked_session(session), context)

    def load_session(self, session_key: str) -> State | None:
        """Return a session that is stored, and what was stored beside it; `None` when there is none, or it is awake."""
        where = asking.Where()
        where.equal("session_key", checked_text("session_key", session_key))
        return next((rows.session(row) for row in self._records.select(rows.SESSIONS, where, "", 1)), None)

    def delete_session(self, session_key: str) -> bool:
        """Remove a session's state; say whether there was one."""
        if not is_storable(checked_text("session_key", session_key)):
            return False
        with self._records.writing() as connection:
            return rows.delete_session(connection, session_key)

    def sessions(self) -> list[Session]:
        """Return every session whose state is stored, the latest used first."""
        return [rows.session(row)[0] for row in self._records.select(rows.SESSIONS, asking.Where(), asking.BY_ACTIVITY, -1)]

    def woken_sessions(self) -> list[State]:
        """Return every session that was asleep and is awake, as it was when it woke; also of processes that died. The latest used first."""
        return [rows.session(row) for row in self._records.select(rows.WOKEN, asking.Where(), asking.BY_ACTIVITY, -1)]

    # -- the whole

    def places(self, number: int) -> Places:
        """Return places for the active sessions of this process."""
        return Places(self._database, number=number)

    def shared_places(self, number: int) -> SharedPlaces:
        """Return this process's part in the places for awake sessions that all processes share."""
        return SharedPlaces(self._database, number=number, clock=self._clock)

    def expire(self) -> int:
        """Remove memories whose time is over, and return how many (A.46); and forget of deletions what is known for too long."""
        now_ms = self._clock()
        with self._records.writing() as connection:
            number = connection.execute("DELETE FROM channel_memory WHERE expires_at <= ?", (now_ms,)).rowcount
            rows.forget_deletions(connection, before_ms=now_ms - TOMBSTONES_KEPT_MS)
        return number

    def stats(self) -> Stats:
        """Count everything (A.46)."""
        with self._database.reading() as connection:
            memories, knowledge, actions, persons, sessions, woken = connection.execute(rows.COUNTS).fetchone()
        return Stats(
            channel_memory_count=memories,
            global_knowledge_count=knowledge,
            action_items_open=actions,
            person_count=persons,
            session_count=sessions,
            woken_count=woken,
        )

    def latest(self) -> int:
        """Return the number of the latest change: where to `watch` from for what comes next."""
        with self._database.reading() as connection:
            return rows.latest(connection)

    def watch(self, since: int = 0, *, limit: int = 10_000) -> Iterator[Change]:
        """Yield what was changed after a change, by whichever process, in order; of several changes of one record the latest.

        Records are memories, knowledge, action items and persons.

        Args:
            since: The number of the change that was seen last; see `latest`.
            limit: How many at most; the next call goes on after them.

        Raises:
            UsageError: Deletions after that change are forgotten: read everything anew, and watch from `latest`.
        """
        checked_number("since", since), checked_number("limit", limit)
        self._records.mend()
        with self._database.reading() as connection:
            found = rows.changes(connection, since, limit)
        if found is None:
            raise UsageError(f"since={since}: deletions after that are forgotten; read everything again, and watch from the latest change")
        yield from found

    def _dated(self, memory: Memory) -> Memory:
        return memory if memory.created_ms else msgspec.structs.replace(memory, created_ms=self._clock())

    def _dated_knowledge(self, one: Knowledge) -> Knowledge:
        now_ms = self._clock()
        return msgspec.structs.replace(one, created_ms=one.created_ms or now_ms, updated_ms=one.updated_ms or now_ms)

    def _dated_action(self, one: ActionItem) -> ActionItem:
        return one if one.created_ms else msgspec.structs.replace(one, created_ms=self._clock())
