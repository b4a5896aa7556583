"""Places for awake sessions that several processes share: each is leased for a while, and free again when its holder died.

A session is awake in one process at a time, and never more of them than there are places, over all processes that use the database.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from typing import Final, Literal

from sessionlab.parallel.database import Database
from sessionlab.units import MS_PER_SECOND

LEASE_MS: Final = 30 * MS_PER_SECOND
"""How long a place stays taken after its holder was last heard of."""
Answer = Literal["taken", "full", "elsewhere"]
"""The place is the caller's; all are taken; or the session is awake in another process."""

_EXPIRE: Final = "DELETE FROM sessionlab_leases WHERE expires_at <= ?"
_TAKE: Final = "INSERT OR REPLACE INTO sessionlab_leases (session_key, owner, expires_at) VALUES (?, ?, ?)"


class Leases:
    """The places that one manager holds. Every method is one durable transaction; raises what `Database.writing` raises."""

    def __init__(self, database: Database, *, places: int, clock: Callable[[], int], lease_ms: int = LEASE_MS) -> None:
        """Hold none yet.

        Args:
            database: The one that the processes share.
            places: How many there are.
            clock: Gives the time, epoch ms; the processes' clocks should agree to much less than a lease.
            lease_ms: How long a lease holds.
        """
        self._database, self._places, self._clock, self._lease_ms = database, places, clock, lease_ms
        self.owner = secrets.token_hex(8)

    def take(self, key: str) -> Answer:
        """Take a place for a session, or keep the one that it has."""
        now_ms = self._clock()
        with self._database.writing() as connection:
            connection.execute(_EXPIRE, (now_ms,))
            held = dict(connection.execute("SELECT session_key, owner FROM sessionlab_leases"))
            if held.get(key, self.owner) != self.owner:
                return "elsewhere"
            if key not in held and len(held) >= self._places:
                return "full"
            connection.execute(_TAKE, (key, self.owner, now_ms + self._lease_ms))
        return "taken"

    def renew(self, keys: Iterable[str]) -> set[str]:
        """Keep the places of sessions; return those that are lost: nobody had heard of us for too long, and others took them."""
        wanted = set(keys)
        now_ms = self._clock()
        with self._database.writing() as connection:
            connection.execute(_EXPIRE, (now_ms,))
            held = dict(connection.execute("SELECT session_key, owner FROM sessionlab_leases"))
            lost = set()
            for key in sorted(wanted):
                if held.get(key, self.owner) == self.owner and (key in held or len(held) < self._places):
                    connection.execute(_TAKE, (key, self.owner, now_ms + self._lease_ms))
                    held[key] = self.owner
                else:
                    lost.add(key)
        return lost

    def give_back(self, key: str) -> None:
        """Free the place of a session, if it is ours."""
        with self._database.writing() as connection:
            connection.execute("DELETE FROM sessionlab_leases WHERE session_key = ? AND owner = ?", (key, self.owner))

    def count(self) -> int:
        """Return how many places are taken, by whomever."""
        with self._database.reading() as connection:
            row = connection.execute("SELECT count(*) FROM sessionlab_leases WHERE expires_at > ?", (self._clock(),)).fetchone()
        return int(row[0])
