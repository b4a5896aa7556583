"""One connection to a shared memory: who uses it, the files it leads to, and what it must not outlive.

SQLite ends the process when a connection is closed that another thread is using: whoever uses one holds it, and whoever closes it waits.
No connection goes through a fork. SQLite counts its locks for each process, and a child that inherits the count takes none of its own: it
would stand before a lock that nobody holds, or write a log that others remove. So they are all closed before, and opened again when they
are next needed, on both sides.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
import weakref
from pathlib import Path
from typing import Final, NamedTuple

from sessionlab.stores import sqlite_opening
from sessionlab.stores.sqlite_opening import inode_of

FORK_WAIT_S: Final = 5.0
"""How long a fork waits for what other threads do in the database; longer than any transaction of ours takes."""
_STALE_WAIT_S: Final = 1.0


class Identity(NamedTuple):
    """By what a database file is known again while it is open."""

    device: int
    inode: int


class Connection(sqlite3.Connection):
    """A connection of one thread."""

    is_closed = False

    def prepare(self, file: Path) -> None:
        """Note whose it is, and what it leads to; afterwards others may close it."""
        self.file, self.process = file, os.getpid()
        self.log = f"{file}-wal"
        self.log_inode = inode_of(self.log)
        self.depth = 0
        """How often its thread uses it just now."""
        self._thread = threading.get_ident()
        self._in_use = threading.RLock()
        _all.add(self)
        sqlite_opening.register(self)

    def hold(self) -> None:
        """Keep others from closing it. Only its own thread asks."""
        self._in_use.acquire()
        self.depth += 1

    def let_go(self) -> None:
        """Undo `hold`."""
        self.depth -= 1
        self._in_use.release()

    def close(self) -> None:
        """Close at once, whoever uses it; see `end`."""
        self.is_closed = True
        super().close()

    def is_used_here(self) -> bool:
        """Say whether the thread that asks is using it."""
        return self.depth > 0 and self._thread == threading.get_ident()

    def end(self, *, within_s: float = -1) -> bool:
        """Close it as soon as its thread does not use it; twice does no harm. One that was inherited is left as it is.

        Args:
            within_s: How long to wait for its thread; negative for ever.

        Returns:
            Whether it is closed, or not ours.
        """
        if self.process != os.getpid():
            return True
        if not self._in_use.acquire(timeout=within_s):
            return False
        try:
            with contextlib.suppress(sqlite3.Error):
                self.close()
        finally:
            self._in_use.release()
        return True

    def has_kept_log(self) -> bool:
        """Say whether what it writes is where others see it; see `end_stale`."""
        if self.log_inode is None:  # there was none, or no log is kept
            self.log_inode = inode_of(self.log)
            return True
        return self.log_inode == inode_of(self.log)


def end_stale(file: Path) -> bool:
    """Close this process's connections to a file whose log another process has removed, before there is a new one; say whether all are.

    That happens when anybody in this process opened and closed the database as a plain file: the system then forgets the locks by which
    other processes know that we are there, and the one that closes last removes the log. What was committed before is in the database by
    then; what would be written to such a log is lost, and SQLite shares the log's index between a process's connections.
    """
    mine = [one for one in listed(_all) if one.file == file and one.process == os.getpid() and not one.is_closed]
    return all(one.end(within_s=_STALE_WAIT_S) for one in mine if not one.has_kept_log())


_all: weakref.WeakSet[Connection] = weakref.WeakSet()
_inherited: list[Connection] = []
"""What a fork did not wait for: to close it would undo what the parent is doing."""


class _Gate:
    """What is held by whoever opens a connection, and by a thread while it forks."""

    def __init__(self) -> None:
        self._lock = threading.RLock()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def before_fork(self) -> None:
        """Close every connection but what this thread is using, and keep others from opening any."""
        end_s = time.monotonic() + FORK_WAIT_S
        self._lock.acquire(timeout=FORK_WAIT_S)
        for one in listed(_all):
            if not one.is_used_here():
                one.end(within_s=max(0.0, end_s - time.monotonic()))

    def after_in_parent(self) -> None:
        """Let others open connections again."""
        with contextlib.suppress(RuntimeError):  # it was not had in time
            self._lock.release()

    def after_in_child(self) -> None:
        """Begin anew: another thread may hold what is inherited."""
        self._lock = threading.RLock()
        _inherited.extend(one for one in listed(_all) if not one.is_closed)


def listed(some: weakref.WeakSet[Connection]) -> list[Connection]:
    """Return the connections of a set to which other threads add."""
    while True:
        with contextlib.suppress(RuntimeError):  # another thread has just opened one
            return list(some)


opening: Final = _Gate()
"""Held while a connection is opened, so that no fork comes between."""
os.register_at_fork(before=opening.before_fork, after_in_parent=opening.after_in_parent, after_in_child=opening.after_in_child)
