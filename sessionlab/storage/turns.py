"""The queue inside one process: who works on a path, and who waits for it, first come, first served.

The locks across processes stand behind it, so that of one process a single thread at a time asks for them.
"""

from __future__ import annotations

import math
import os
import threading
import time
from collections import deque
from pathlib import Path
from types import TracebackType
from typing import Final

from sessionlab.errors import StoreLockedError

_MOST_SECONDS: Final = threading.TIMEOUT_MAX


class _Waiter:
    """One thread in a queue; `gate` opens when its turn has come."""

    __slots__ = ("gate", "thread")

    def __init__(self) -> None:
        self.thread = threading.get_ident()
        self.gate = threading.Lock()
        self.gate.acquire()


class Deadline:
    """The moment until which something is waited for.

    Args:
        timeout_ms: From now on; 0 or infinite for ever (D.33).
    """

    __slots__ = ("_end", "timeout_ms")

    def __init__(self, timeout_ms: float) -> None:
        self.timeout_ms = timeout_ms if timeout_ms > 0 else math.inf
        self._end = time.monotonic() + self.timeout_ms / 1000

    def left_s(self) -> float:
        """Return the seconds that are left: 0 when the time is over, never more than a thread can be made to wait."""
        return min(max(self._end - time.monotonic(), 0.0), _MOST_SECONDS)

    def is_over(self) -> bool:
        """Say whether the time is over."""
        return time.monotonic() >= self._end


# Path -> the threads there, the one at work first. A path that nobody works on is not in it (D.32).
_queues: dict[Path, deque[_Waiter]] = {}
_queues_lock = threading.Lock()


class turn:  # noqa: N801 - reads like a function, and is a class because a generator costs a hot path twice as much
    """Wait until every thread that asked for `path` before is done, and keep the others waiting meanwhile (D.30 to D.37).

    A thread whose time is over before its turn comes is refused then, and never runs later. One whose turn has come is not interrupted.
    """

    __slots__ = ("_deadline", "_path", "_process", "_store", "_waiter")

    def __init__(self, path: Path, deadline: Deadline, *, store: Path) -> None:
        """Note what is wanted; entering waits for it.

        Args:
            path: What is queued for, absolute.
            deadline: How long.
            store: The store, for messages.
        """
        self._path = path
        self._deadline = deadline
        self._store = store

    def __enter__(self) -> None:
        """Wait.

        Raises:
            StoreLockedError: The turn did not come in time, or this very thread is at work on the path.
        """
        self._waiter, self._process = _Waiter(), os.getpid()
        try:
            self._wait(self._waiter)
        except BaseException:
            self._leave()
            raise

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Let the next one in."""
        try:
            self._leave()
        except BaseException:
            self._leave()  # whoever is interrupted here must not stay in the queue for ever
            raise

    def _wait(self, waiter: _Waiter) -> None:
        with _queues_lock:
            queue = _queues.setdefault(self._path, deque())
            if queue and queue[0].thread == waiter.thread:
                raise StoreLockedError(
                    self._store, "is being changed by this very thread", advice="change a store outside of its own changes"
                )
            queue.append(waiter)
            is_first = queue[0] is waiter
        if not is_first and (not waiter.gate.acquire(timeout=self._deadline.left_s()) or self._deadline.is_over()):
            raise StoreLockedError(self._store, f"timeout waiting for session store lock: {self._store}")

    def _leave(self) -> None:
        if os.getpid() == self._process:  # in a process forked off meanwhile the queues are new
            _leave(self._path, self._waiter)


def _leave(path: Path, waiter: _Waiter) -> None:
    """Take a thread out of its queue, if it is in there; when it was the first, the next one's turn has come."""
    with _queues_lock:
        queue = _queues.get(path)
        if queue is None or waiter not in queue:
            return
        was_first = queue[0] is waiter
        queue.remove(waiter)
        if not queue:
            del _queues[path]
        elif was_first:
            queue[0].gate.release()


def waiting() -> dict[Path, int]:
    """Return how many threads work on, or wait for, each path; empty when all is idle."""
    with _queues_lock:
        return {path: len(queue) for path, queue in _queues.items()}


def _forget() -> None:
    """Start afresh in a forked process: the threads that stood in the queues are not in it, nor is the one that may hold the lock."""
    global _queues_lock  # noqa: PLW0603 - the lock may be held for ever by a thread that does not exist here
    _queues_lock = threading.Lock()
    _queues.clear()


os.register_at_fork(after_in_child=_forget)
