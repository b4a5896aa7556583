"""Where sessions are awake, and how one wakes and others make room for it: all of it in one step, on disk before anybody is told.

The limit holds in a process (`Places`), or over all processes that use a database (`SharedPlaces`). What was stored of a session that
wakes is not stored any more (A.14), but a copy stays until it sleeps again: of a process that dies nothing is lost but what it had not
yet stored.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

import msgspec

from sessionlab.errors import NoRoomError
from sessionlab.parallel import rows
from sessionlab.parallel.database import Database
from sessionlab.parallel.records import Session, State, checked_session
from sessionlab.units import MS_PER_DAY, MS_PER_SECOND

LEASE_MS: Final = 30 * MS_PER_SECOND
"""How long a place stays taken after its holder was last heard of."""
_LEASES_KEPT_MS: Final = MS_PER_DAY
"""How long it is known who had a session awake last: who was silent for longer has lost it for certain."""

_LEASES: Final = "SELECT session_key, owner, expires_at > ? FROM sessionlab_leases"
_LEASE: Final = "INSERT OR REPLACE INTO sessionlab_leases (session_key, owner, expires_at) VALUES (?, ?, ?)"
_END_LEASE: Final = "DELETE FROM sessionlab_leases WHERE session_key = ?"
_FORGET_LEASES: Final = "DELETE FROM sessionlab_leases WHERE expires_at <= ?"


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

    def wake(self, key: str, *, is_asleep: bool, awake: Sequence[State]) -> Woken:
        """Make room for a session, and return what is stored of it.

        Args:
            key: The session that is to be awake.
            is_asleep: Whether something may be stored of it that is newer than what the caller knows.
            awake: The caller's other sessions that are awake, in the order in which they should sleep.

        Raises:
            NoRoomError: All places are taken by others, or the session is awake elsewhere.
        """
        active = [state for state in awake if state[0].status == "active"]
        sleepy = active[: max(0, len(active) - self._number + 1)]
        if self._database is None or not (sleepy or is_asleep):
            return Woken(None, tuple(map(_asleep, sleepy)))
        with self._database.writing() as connection:
            slept = tuple(_put_to_sleep(connection, state) for state in sleepy)
            return Woken(rows.wake_session(connection, key) if is_asleep else None, slept)

    def sleep(self, state: State) -> Session | None:
        """Store a session that was awake, and return it as it is now; `None` when another process has it, and nothing was stored."""
        if self._database is None:
            return _asleep(state)
        with self._database.writing() as connection:
            return _put_to_sleep(connection, state)

    def renew(self, awake: Iterable[State]) -> Renewed:  # noqa: ARG002 - nobody else takes these places
        """Keep the places of sessions that are awake."""
        return Renewed()

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

    def wake(self, key: str, *, is_asleep: bool, awake: Sequence[State]) -> Woken:  # noqa: ARG002 - the lease tells
        """Lease a place for a session, of which the caller's other sessions make one if need be; see `Places.wake`."""
        now_ms = self._clock()
        with self._shared.writing() as connection:
            leases = _Leases(connection, self._owner, now_ms)
            was_ours = leases.is_ours(key)
            if key in leases.live and not was_ours:
                raise NoRoomError(f"session {key!r} is awake in another process; it can be had when that has put it to sleep")
            ours = [state for state in awake if leases.is_ours(state[0].session_key)]
            lost = tuple(_asleep(state) for state in awake if not leases.is_ours(state[0].session_key))
            slept = []
            while not leases.has_room(key, self._number):
                if not ours:
                    raise NoRoomError(f"all {self._number} places for awake sessions are taken by other processes")
                slept.append(_put_to_sleep(connection, ours.pop(0)))
                leases.end(slept[-1].session_key)
            leases.take(key, now_ms + self._lease_ms)
            stored = None if was_ours else rows.wake_session(connection, key)
            connection.execute(_FORGET_LEASES, (now_ms - _LEASES_KEPT_MS,))
        self._until_ms[key] = now_ms + self._lease_ms
        self._forget(*slept, *lost)
        return Woken(stored, tuple(slept), lost)

    def sleep(self, state: State) -> Session | None:
        """Store a session and give its place back; see `Places.sleep`."""
        with self._shared.writing() as connection:
            leases = _Leases(connection, self._owner, self._clock())
            is_ours = leases.is_ours(state[0].session_key)
            if is_ours:
                _put_to_sleep(connection, state)
                leases.end(state[0].session_key)
        asleep = _asleep(state)
        self._forget(asleep)
        return asleep if is_ours else None

    def renew(self, awake: Iterable[State]) -> Renewed:
        """Keep the places of sessions; those for which there is no place any more are stored."""
        now_ms = self._clock()
        slept, lost, kept = [], [], []
        with self._shared.writing() as connection:
            leases = _Leases(connection, self._owner, now_ms)
            for state in awake:
                key = state[0].session_key
                if not leases.is_ours(key):
                    lost.append(_asleep(state))
                elif key in leases.live or leases.has_room(key, self._number):
                    leases.take(key, now_ms + self._lease_ms)
                    kept.append(key)
                else:
                    slept.append(_put_to_sleep(connection, state))
                    leases.end(key)
        self._until_ms |= dict.fromkeys(kept, now_ms + self._lease_ms)
        self._forget(*slept, *lost)
        return Renewed(tuple(slept), tuple(lost))

    def is_certain(self, key: str) -> bool:
        """Say whether the lease of a session is certain to hold; see `Places.is_certain`."""
        return self._until_ms.get(key, 0) > self._clock()

    def count(self) -> int:
        """Return how many places are taken, by whomever."""
        with self._shared.reading() as connection:
            return sum(is_live for _, _, is_live in connection.execute(_LEASES, (self._clock(),)))

    def _forget(self, *sessions: Session) -> None:
        for session in sessions:
            self._until_ms.pop(session.session_key, None)


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


def _asleep(state: State) -> Session:
    return msgspec.structs.replace(state[0], status="hibernated")


def _put_to_sleep(connection: sqlite3.Connection, state: State) -> Session:
    asleep = _asleep(state)
    rows.store_session(connection, checked_session(asleep), state[1])
    return asleep
