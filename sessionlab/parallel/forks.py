"""Locks of short steps in memory that a fork waits for: a child would wait for ever for a thread that it does not have.

What they keep is whole in the child, and nobody holds them there.
"""

from __future__ import annotations

import os
import threading
import weakref
from typing import Final

_WAIT_S: Final = 1.0
"""How long a fork waits for each; longer than any such step takes."""
_all: weakref.WeakSet[threading.Lock] = weakref.WeakSet()
_adding: Final = threading.Lock()
_had: list[threading.Lock] = []
"""By the thread that forks."""


def step_lock() -> threading.Lock:
    """Return a lock for steps that neither wait for anything nor call what others wrote; a thread that holds it must not fork."""
    lock = threading.Lock()
    with _adding:
        _all.add(lock)
    return lock


def _before() -> None:
    if _adding.acquire(timeout=_WAIT_S):
        _had.append(_adding)
    _had.extend(lock for lock in list(_all) if lock.acquire(timeout=_WAIT_S))


def _after() -> None:
    while _had:
        _had.pop().release()


os.register_at_fork(before=_before, after_in_parent=_after, after_in_child=_after)
