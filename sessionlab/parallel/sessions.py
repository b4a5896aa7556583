"""The sessions that a process knows, and what becomes of them: made, woken, idle, asleep (A.12 to A.25). One thing at a time, under a lock.

Whether a session may be awake, and who sleeps for it, is asked of `Places`; a session's state is on disk before it counts as asleep
(A.17). Listeners are told when it is done, outside of the lock.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from sessionlab.errors import SessionLabError, UsageError
from sessionlab.parallel.events import Event, Listeners
from sessionlab.parallel.places import Places
from sessionlab.parallel.records import Session, State


class Sessions:
    """Sessions, awake or asleep, for any number of threads."""

    def __init__(self, places: Places, listeners: Listeners, *, clock: Callable[[], int]) -> None:
        """Know none yet."""
        self._places, self._listeners, self._clock = places, listeners, clock
        self._all: dict[str, Session] = {}
        self._contexts: dict[str, dict[str, Any]] = {}
        """What was stored beside sessions that are awake: it is stored again when they sleep."""
        self._lock = threading.RLock()

    def get(self, key: str) -> Session | None:
        """Return a session that is known."""
        return self._all.get(key)

    def all(self) -> list[Session]:
        """Return all, in the order in which they became known."""
        with self._lock:
            return list(self._all.values())

    def open(self, key: str, channel_id: str, *, chat_id: str | None, peer_id: str | None) -> bool:
        """Have a session awake, used now; say whether it is a new one (A.12 to A.16). Raises as `Places.wake`."""
        events: list[Event] = []
        with self._lock:
            now_ms = self._clock()
            session = self._all.get(key)
            if session is not None and session.status == "active" and self._places.is_certain(key):
                self._all[key] = msgspec.structs.replace(session, last_activity_ms=now_ms)
                return False
            is_asleep = session is None or session.status == "hibernated"
            found = self._woken(key, events, is_asleep=is_asleep) or session
            is_new = found is None
            if found is None:
                found = Session(session_key=key, channel_id=channel_id, chat_id=chat_id, peer_id=peer_id, created_ms=now_ms)
            self._all[key] = msgspec.structs.replace(found, status="active", last_activity_ms=now_ms)
            if is_asleep:
                events.append(Event("session:created" if is_new else "session:reactivated", session=self._all[key]))
        self._listeners.tell(*events)
        return is_new

    def _woken(self, key: str, events: list[Event], *, is_asleep: bool) -> Session | None:
        """Have a place for a session, the ones that were used longest ago going to sleep (A.19); return what was stored of it."""
        woken = self._places.wake(key, is_asleep=is_asleep, awake=[state for state in self._awake() if state[0].session_key != key])
        self._are_asleep((*woken.slept, *woken.lost), events)
        if woken.stored is None:
            return None
        session, context = woken.stored
        self._contexts.pop(key, None)
        if context is not None:
            self._contexts[key] = context
        return session

    def _awake(self) -> list[State]:
        """Return the sessions that are awake, the one that was used longest ago first; ties go to the one that came first (A.19)."""
        awake = sorted((one for one in self._all.values() if one.status != "hibernated"), key=lambda one: one.last_activity_ms)
        return [self._state(one) for one in awake]

    def _state(self, session: Session) -> State:
        return session, self._contexts.get(session.session_key)

    def _are_asleep(self, sessions: Iterable[Session], events: list[Event]) -> None:
        for session in sessions:
            self._all[session.session_key] = session
            self._contexts.pop(session.session_key, None)
            events.append(Event("session:hibernated", session=session))

    def renew(self) -> list[Session]:
        """Keep the places of those that are awake; return the sessions that sleep since, because this process had seemed dead.

        Of those that another process has woken meanwhile, what was not stored is gone here, as it would be if this one had died; those
        whose places others have are stored. Raises as `Places.renew`.
        """
        events: list[Event] = []
        with self._lock:
            renewed = self._places.renew(reversed(self._awake()))
            self._are_asleep((*renewed.slept, *renewed.lost), events)
        self._listeners.tell(*events)
        return [*renewed.slept, *renewed.lost]

    def hibernate(self, *keys: str) -> int:
        """Put sessions to sleep, and return how many were awake (A.17).

        Raises:
            StoreError: The database refuses some of them; those are awake as they were, the others sleep.
        """
        events: list[Event] = []
        failure: SessionLabError | None = None
        with self._lock:
            for key in keys:
                session = self._all.get(key)
                if session is None or session.status == "hibernated":
                    continue
                try:
                    stored = self._places.sleep(self._state(session))  # first: what cannot be stored stays awake
                except SessionLabError as error:
                    failure = failure or error
                else:
                    self._are_asleep([stored or msgspec.structs.replace(session, status="hibernated")], events)
        self._listeners.tell(*events)
        if failure is not None:
            raise failure
        return len(events)

    def check_idle(self, timeout_ms: int) -> list[Session]:
        """Mark active sessions as idle that were not used for longer than a time, and return them (A.23)."""
        with self._lock:
            latest_ms = self._clock() - timeout_ms
            found = [
                msgspec.structs.replace(one, status="idle")
                for one in self._all.values()
                if one.status == "active" and one.last_activity_ms < latest_ms
            ]
            self._all |= {one.session_key: one for one in found}
        self._listeners.tell(*(Event("session:idle", session=one) for one in found))
        return found

    def count_message(self, key: str, number: int) -> Session:
        """Count messages of a session that is awake, and return it; it counts as used now.

        Raises:
            UsageError: There is no such session, or it sleeps.
        """
        if not self._places.is_certain(key):
            self.renew()
        with self._lock:
            session = self._all.get(key)
            if session is None or session.status == "hibernated":
                raise UsageError(f"session {key!r}: is not awake; get it first")
            counted = msgspec.structs.replace(session, message_count=session.message_count + number, last_activity_ms=self._clock())
            self._all[key] = counted
            return counted
