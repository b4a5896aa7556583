"""The sessions that a process knows, and what becomes of them: made, woken, idle, asleep (A.12 to A.25). One thing at a time, under a lock.

Whether a session may be awake, and who sleeps for it, is asked of `Places`; a session's state is on disk before it counts as asleep
(A.17). Listeners are told when it is done, outside of the lock.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import msgspec

from sessionlab.errors import SessionLabError, UsageError
from sessionlab.parallel import foreign, rows
from sessionlab.parallel.events import Event, Listeners
from sessionlab.parallel.places import Held, Places
from sessionlab.parallel.records import Session, checked_number, checked_text, shortened


class Sessions:
    """Sessions, awake or asleep, for any number of threads of one process. Every method raises `UsageError` in a fork of it."""

    def __init__(self, places: Places, listeners: Listeners, *, clock: Callable[[], int]) -> None:
        """Know none yet."""
        self._places, self._listeners, self._clock = places, listeners, clock
        self._asleep: dict[str, Session] = {}
        self._contexts: dict[str, dict[str, Any] | None] = {}
        """Of those asleep, when there is no database that has them."""
        self._awake: dict[str, Held] = {}
        self._order: dict[str, None] = {}
        self._lock, self._process = threading.RLock(), os.getpid()
        self._is_over = False

    def get(self, key: str) -> Session | None:
        """Return a session that is known; raises `UsageError` for a key that is no text."""
        checked_text("session_key", key)
        held = self._awake.get(key)
        return held.session if held is not None else self._asleep.get(key)

    def all(self) -> list[Session]:
        """Return all, in the order in which they became known."""
        with self._own():
            return [found for key in self._order if (found := self.get(key)) is not None]

    def begin(self) -> None:
        """Let sessions be opened, after an `end` too."""
        with self._own():
            self._is_over = False

    def end(self) -> bool:
        """Let no session be opened any more, and put all that are awake to sleep; say whether that was not done before.

        Raises:
            StoreError: As `hibernate`; sessions can be opened as before.
        """
        with self._own():
            was_over, self._is_over = self._is_over, True
            keys = list(self._awake)
        try:
            self.hibernate(*keys)
        except BaseException:
            self._is_over = was_over
            raise
        return not was_over

    def open(self, key: str, channel_id: str, *, chat_id: str | None, peer_id: str | None) -> bool:
        """Have a session awake, used now; say whether it is a new one (A.12 to A.16). Raises as `Places.wake`."""
        events: list[Event] = []
        with self._own():
            if self._is_over:
                raise UsageError(f"session {key!r}: the manager was shut down; start it again first")
            now_ms, held = self._clock(), self._awake.get(key)
            if held is not None and held.session.status == "active" and self._places.is_certain(key):
                held.session = msgspec.structs.replace(held.session, last_activity_ms=now_ms)
                return False
            is_new = self._wake(key, events)
            if is_new:
                made = Session(session_key=key, channel_id=channel_id, chat_id=chat_id, peer_id=peer_id, created_ms=now_ms)
                self._awake[key] = Held(made)
            woken = self._awake[key]
            woken.session = msgspec.structs.replace(woken.session, status="active", last_activity_ms=now_ms)
            self._order.setdefault(key)
            if held is None:
                events.append(Event("session:created" if is_new else "session:reactivated", session=woken.session))
        self._listeners.tell(*events)
        return is_new

    def _wake(self, key: str, events: list[Event]) -> bool:
        """Have a place for a session, the ones that were used longest ago going to sleep (A.19); say whether nothing is known of it."""
        held = self._awake.get(key)
        woken = self._places.wake(key, is_asleep=held is None, awake=[one for one in self._in_line() if one.session.session_key != key])
        self._are_asleep((*woken.slept, *woken.lost), events)
        if woken.stored is not None:
            session, context = woken.stored
            self._awake[key] = Held(session, context, counted_before=session.message_count)
        elif held is None and key in self._asleep:
            self._awake[key] = Held(self._asleep[key], self._contexts.get(key), counted_before=self._asleep[key].message_count)
        self._asleep.pop(key, None)
        self._contexts.pop(key, None)
        return key not in self._awake

    def _in_line(self) -> list[Held]:
        """Return the sessions that are awake, the one that was used longest ago first; ties go to the one that came first (A.19)."""
        return sorted((self._awake[key] for key in self._order if key in self._awake), key=lambda one: one.session.last_activity_ms)

    def _are_asleep(self, sessions: Iterable[Session], events: list[Event]) -> None:
        for session in sessions:
            self._asleep[session.session_key] = session  # first: who looks meanwhile finds it in one of the two
            held = self._awake.pop(session.session_key, None)
            if held is not None and not self._places.are_stored:
                self._contexts[session.session_key] = held.context
            events.append(Event("session:hibernated", session=session))

    def renew(self) -> list[Session]:
        """Keep the places of those that are awake; return the sessions that sleep since, because this process had seemed dead.

        Of those that another process has woken meanwhile, what was not stored is gone here, as it would be if this one had died; those
        whose places others have are stored. Raises as `Places.renew`.
        """
        events: list[Event] = []
        with self._own():
            renewed = self._places.renew(reversed(self._in_line()))
            self._are_asleep((*renewed.slept, *renewed.lost), events)
        self._listeners.tell(*events)
        return [*renewed.slept, *renewed.lost]

    def hibernate(self, *keys: str) -> int:
        """Put sessions to sleep, and return how many were stored (A.17); those that another process has woken meanwhile are not.

        Raises:
            StoreError: The database refuses some of them; those are awake as they were, the others sleep.
        """
        events: list[Event] = []
        stored = 0
        failure: SessionLabError | None = None
        with self._own():
            for key in keys:
                checked_text("session_key", key)
                held = self._awake.get(key)
                if held is None:
                    continue
                try:
                    asleep = self._places.sleep(held)  # first: what cannot be stored stays awake
                except SessionLabError as error:
                    failure = failure or error
                else:
                    stored += asleep is not None
                    self._are_asleep([asleep or msgspec.structs.replace(held.session, status="hibernated")], events)
        self._listeners.tell(*events)
        if failure is not None:
            raise failure
        return stored

    def check_idle(self, timeout_ms: int) -> list[Session]:
        """Mark active sessions as idle that were not used for longer than a time, and return them (A.23)."""
        with self._own():
            latest_ms = self._clock() - timeout_ms
            late = [
                held
                for key in self._order
                if (held := self._awake.get(key)) and held.session.status == "active" and held.session.last_activity_ms < latest_ms
            ]
            for held in late:
                held.session = msgspec.structs.replace(held.session, status="idle")
            found = [held.session for held in late]
        self._listeners.tell(*(Event("session:idle", session=one) for one in found))
        return found

    def count_message(self, key: str, number: int) -> Session:
        """Count messages of a session that is awake, and return it; it counts as used now, as with `open`. Raises as that and `context`."""
        checked_number("number", number, 0)
        known = self.get(key)
        if known is not None and known.status == "idle":  # used again, it is active again, and needs a place (A.16)
            self.open(key, known.channel_id, chat_id=known.chat_id, peer_id=known.peer_id)
        with self._awake_here(key) as held:
            counted = checked_number("message_count", held.session.message_count + number)
            held.session = msgspec.structs.replace(held.session, message_count=counted, last_activity_ms=self._clock())
            return held.session

    def context(self, key: str) -> dict[str, Any]:
        """Return what is stored beside a session that is awake, when it sleeps; a copy.

        Raises:
            UsageError: There is no such session, or it sleeps.
        """
        with self._awake_here(key) as held:
            kept = held.context
            return dict((foreign.context(kept.raw) if isinstance(kept, foreign.Kept) else kept) or {})

    def set_context(self, key: str, context: Mapping[str, Any]) -> None:
        """Set what is to be stored beside a session that is awake, when it sleeps.

        Raises:
            UsageError: There is no such session, or it sleeps; or JSON cannot hold it.
        """
        kept = foreign.context(rows.of_context(context).encode())  # as it is now, whatever becomes of it: it has to be stored later
        with self._awake_here(key) as held:
            held.context, held.is_context_new = kept, True

    @contextlib.contextmanager
    def _awake_here(self, key: str) -> Iterator[Held]:
        if not self._places.is_certain(checked_text("session_key", key)):
            self.renew()
        with self._own():
            held = self._awake.get(key)
            if held is None:
                raise UsageError(f"session {shortened(key)}: is not awake; get it first")
            yield held

    @contextlib.contextmanager
    def _own(self) -> Iterator[None]:
        if os.getpid() != self._process:  # before the lock, which another thread may have held when the process was forked
            raise UsageError("the session manager was made in another process; make one in this one")
        with self._lock:
            yield
