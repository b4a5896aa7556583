"""What happens to sessions and memories, told to whoever listens (A.13 to A.28). A listener that raises is logged, and stops nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final, Literal, NamedTuple

from sessionlab.parallel.forks import step_lock
from sessionlab.parallel.records import Knowledge, Memory, Session

EventName = Literal[
    "session:created",
    "session:reactivated",
    "session:idle",
    "session:hibernated",
    "memory:saved",
    "knowledge:promoted",
    "shutdown",
]
_LOGGER: Final = logging.getLogger("sessions/parallel")


class Event(NamedTuple):
    """One thing that has happened, and what it happened to."""

    name: EventName
    session: Session | None = None
    memory: Memory | None = None
    knowledge: Knowledge | None = None


Listener = Callable[[Event], object]


class Listeners:
    """Those who listen, for any number of threads."""

    def __init__(self) -> None:
        """Begin with none."""
        self._all: tuple[tuple[Listener], ...] = ()
        self._lock = step_lock()

    def add(self, listener: Listener) -> Callable[[], None]:
        """Tell somebody of everything from now on, in the order in which it happens in a thread; return how to stop that."""
        added = (listener,)  # one of its own, though somebody may be told twice
        with self._lock:
            self._all = (*self._all, added)

        def remove() -> None:
            with self._lock:
                self._all = tuple(one for one in self._all if one is not added)

        return remove

    def tell(self, *events: Event) -> None:
        """Tell everybody. What they do is not part of what happened: it is done, and stays so."""
        for event in events:
            for (listener,) in self._all:
                try:
                    listener(event)
                except Exception:
                    _LOGGER.exception("a listener to %s failed", event.name)
