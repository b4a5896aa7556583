"""Where sessions are awake, and how one wakes and others make room for it: all of it in one step, on disk before anybody is told.

The limit holds in a process (`Places`), or over all processes that use a database (`SharedPlaces`). What was stored of a session that
wakes is not stored any more (A.14), but a copy stays until it sleeps again: of a process that dies nothing is lost but what it had not
yet stored. What another program has stored of a session while it was awake is not overwritten by its sleep, but added to.
"""

from __future__ import annotations

import contextlib
import secrets
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import msgspec

from sessionlab.errors import NoRoomError
from sessionlab.parallel import rows
from sessionlab.parallel.database import Database
from sessionlab.parallel.records import Session, State, checked_session
from sessionlab.units import MS_PER_SECOND

LEASE_MS: Final = 30 * MS_PER_SECOND
"""How long a place stays taken after its holder was last heard of."""
_LEASES: Final = "SELECT session_key, owner, expires_at > ? FROM sessionlab_leases"
_LEASE: Final = "INSERT OR REPLACE INTO sessionlab_leases (session_key, owner, expires_at) VALUES (?, ?, ?)"
_END_LEASE: Final = "DELETE FROM sessionlab_leases WHERE session_key = ?"
_STORED: Final = f"{rows.SESSIONS} WHERE session_key = ?"
_KEPT: Final = f"{rows.WOKEN} WHERE session_key = ?"


@dataclass(slots=True)
class Held:
    """A session that is awake here.

    Attributes:
        session: As it is now.
        context: What is to be stored beside it.
        is_context_new: Whether that was set since it woke.
        counted_before: Its messages when it woke.
        tried: As it was to be stored last; whether it was, nobody may have been told.
    """

    session: Session
    context: dict[str, Any] | None = None
    is_context_new: bool = False
    counted_before: int = 0
    tried: Session | None = None


class Woken(NamedTuple):
    """What came of waking a session: what was stored of it; those that went to sleep for it, and those that were found to be lost."""

    stored: State | None
    slept: tuple[Session, ...] = ()
    lost: tuple[Session, ...] = ()


class Renewed(NamedTuple):
    """Sessions that are no longer awake here: stored, for others have the places; or lost, for another process has woken them."""

    slept: tuple[Session, ...] = ()
    lost: tuple[Session, ...] = ()


class Places:
    """Places for the active sessions of one process; what sleeps is in a database, if there is one.

    Every method is one durable transaction: it is done, or it raises what `Database.writing` raises and nothing has changed.
    """

    def __init__(self, database: Database | None, *, number: int) -> None:
        """Take a database, or none, and how many sessions may be active."""
        self._database, self._number = database, number

    def wake(self, key: str, *, is_asleep: bool, awake: Sequence[Held]) -> Woken:
        """Make room for a session, and return what is stored of it.

        Args:
            key: The session that is to be awake.
            is_asleep: Whether the caller does not have it awake, so that what is stored of it, or was when it woke, is all there is.
            awake: The caller's other sessions that are awake, in the order in which they should sleep.

        Raises:
            NoRoomError: All places are taken by others, or the session is awake elsewhere.
        """
        active = [held for held in awake if held.session.status == "active"]
        sleepy = active[: max(0, len(active) - self._number + 1)]
        if self._database is None or not (sleepy or is_asleep):
            return Woken(None, tuple(map(_asleep, sleepy)))
        with self._database.writing() as connection:
            slept = tuple(_put_to_sleep(connection, held) for held in sleepy)
            return Woken(rows.wake_session(connection, key) if is_asleep else None, slept)

    def sleep(self, held: Held) -> Session | None:
        """Store a session that was awake, and return it as it is now; `None` when another process has it, and nothing was stored."""
        if self._database is None:
            return _asleep(held)
        with self._database.writing() as connection:
            return _put_to_sleep(connection, held)

    def renew(self, awake: Iterable[Held]) -> Renewed:  # noqa: ARG002 - nobody else takes these places
        """Keep the places of sessions that are awake."""
        return Renewed()

    @property
    def are_stored(self) -> bool:
        """Whether what sleeps is in a database."""
        return self._database is not None

    def is_certain(self, key: str) -> bool:  # noqa: ARG002 - as above
        """Say whether a session that was awake is so still, without asking anybody."""
        return True


class SharedPlaces(Places):
    """Places that the processes on one database share: a session is awake in one of them at a time, active or idle.

    Each place is leased for a while, and free again when its holder was not heard of. A holder that was silent for longer still has its
    sessions as long as nobody else woke them, for the lease says who had one last.
    """

    def __init__(self, database: Database, *, number: int, clock: Callable[[], int], lease_ms: int = LEASE_MS) -> None:
        """Hold none yet.

        Args:
            database: The one that the processes share.
            number: How many places there are.
            clock: Gives the time, epoch ms; the processes' clocks should agree to much less than a lease.
            lease_ms: How long a lease holds.
        """
        super().__init__(database, number=number)
        self._shared, self._clock, self._lease_ms = database, clock, lease_ms
        self._owner = secrets.token_hex(8)
        self._until_ms: dict[str, int] = {}

    def wake(self, key: str, *, is_asleep: bool, awake: Sequence[Held]) -> Woken:
        """Lease a place for a session, of which the caller's other sessions make one if need be; see `Places.wake`."""
        now_ms = self._clock()
        known, self._until_ms = self._until_ms, {}  # first: if we are not told how it ended, nothing is certain
        with self._restored_if_refused(known), self._shared.writing() as connection:
            leases = _Leases(connection, self._owner, now_ms)
            is_had = leases.is_ours(key) and not is_asleep
            if key in leases.live and not leases.is_ours(key):
                raise NoRoomError(f"session {key!r} is awake in another process; it can be had when that has put it to sleep")
            ours = [held for held in awake if leases.is_ours(held.session.session_key)]
            lost = tuple(_asleep(held) for held in awake if not leases.is_ours(held.session.session_key))
            slept = []
            while not leases.has_room(key, self._number):
                if not ours:
                    raise NoRoomError(f"all {self._number} places for awake sessions are taken by other processes")
                slept.append(_put_to_sleep(connection, ours.pop(0)))
                leases.end(slept[-1].session_key)
            leases.take(key, now_ms + self._lease_ms)
            stored = None if is_had else rows.wake_session(connection, key)
        gone = {session.session_key for session in (*slept, *lost)}
        self._until_ms = {one: until_ms for one, until_ms in known.items() if one not in gone} | {key: now_ms + self._lease_ms}
        return Woken(stored, tuple(slept), lost)

    def sleep(self, held: Held) -> Session | None:
        """Store a session and give its place back; see `Places.sleep`."""
        asleep, key = None, held.session.session_key
        self._until_ms.pop(key, None)  # first, as in `wake`
        with self._shared.writing() as connection:
            leases = _Leases(connection, self._owner, self._clock())
            if leases.is_ours(key):
                asleep = _put_to_sleep(connection, held)
                leases.end(key)
        return asleep

    def renew(self, awake: Iterable[Held]) -> Renewed:
        """Keep the places of sessions; those for which there is no place any more are stored."""
        now_ms = self._clock()
        slept, lost, kept = [], [], []
        self._until_ms = {}  # first, as in `wake`
        with self._shared.writing() as connection:
            leases = _Leases(connection, self._owner, now_ms)
            for held in awake:
                key = held.session.session_key
                if not leases.is_ours(key):
                    lost.append(_asleep(held))
                elif key in leases.live or leases.has_room(key, self._number):
                    leases.take(key, now_ms + self._lease_ms)
                    kept.append(key)
                else:
                    slept.append(_put_to_sleep(connection, held))
                    leases.end(key)
        self._until_ms = dict.fromkeys(kept, now_ms + self._lease_ms)
        return Renewed(tuple(slept), tuple(lost))

    @contextlib.contextmanager
    def _restored_if_refused(self, known: dict[str, int]) -> Iterator[None]:
        try:
            yield
        except NoRoomError:
            self._until_ms = known  # nothing was done
            raise

    def is_certain(self, key: str) -> bool:
        """Say whether the lease of a session is certain to hold; see `Places.is_certain`."""
        return self._until_ms.get(key, 0) > self._clock()

    def count(self) -> int:
        """Return how many places are taken, by whomever."""
        with self._shared.reading() as connection:
            return sum(is_live for _, _, is_live in connection.execute(_LEASES, (self._clock(),)))


class _Leases:
    """The leases as they stand in a transaction that is going on."""

    def __init__(self, connection: sqlite3.Connection, owner: str, now_ms: int) -> None:
        found = connection.execute(_LEASES, (now_ms,)).fetchall()
        self.owners = {key: owner for key, owner, _ in found}
        self.live = {key for key, _, is_live in found if is_live}
        self._connection, self._owner = connection, owner

    def is_ours(self, key: str) -> bool:
        """Whether we were the last to have a session awake; the time of the lease may be over."""
        return self.owners.get(key) == self._owner

    def has_room(self, key: str, number: int) -> bool:
        return len(self.live - {key}) < number

    def take(self, key: str, until_ms: int) -> None:
        self._connection.execute(_LEASE, (key, self._owner, until_ms))
        self.owners[key] = self._owner
        self.live.add(key)

    def end(self, key: str) -> None:
        self._connection.execute(_END_LEASE, (key,))
        self.live.discard(key)


def _asleep(held: Held) -> Session:
    return msgspec.structs.replace(held.session, status="hibernated")


def _put_to_sleep(connection: sqlite3.Connection, held: Held) -> Session:
    """Store a session, together with what another program has stored of it since it woke."""
    asleep, context = _asleep(held), held.context
    row = connection.execute(_STORED, (asleep.session_key,)).fetchone()
    if row is None:  # what was stored since may have been woken again; usually it is what we have woken ourselves
        row = connection.execute(_KEPT, (asleep.session_key,)).fetchone()
    if row is not None:
        stored, beside = rows.session(row)
        counted_before = stored.message_count if stored == held.tried else held.counted_before  # it may be what we have stored ourselves
        asleep = msgspec.structs.replace(
            asleep,
            created_ms=min(stored.created_ms, asleep.created_ms),
            last_activity_ms=max(stored.last_activity_ms, asleep.last_activity_ms),
            message_count=stored.message_count + asleep.message_count - counted_before,
        )
        context = context if held.is_context_new or beside is None else beside
    held.tried = asleep
    rows.store_session(connection, checked_session(asleep), context)
    return asleep
