"""One writer at a time: the store's lock, and inside it one transaction that is committed whole or not at all."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from sessionlab.errors import StoreError, UncertainWriteError, UnwritableError
from sessionlab.storage.files import make_folder
from sessionlab.storage.kernel_lock import Held, KernelLock
from sessionlab.stores import sqlite_schema
from sessionlab.stores.sqlite_connection import Connections
from sessionlab.stores.sqlite_opening import Opened, refusal


class Writing:
    """The right to write to a store, as a context; one object for all its writers, because one at a time is inside.

    Attributes:
        opened: The writer's connection, with a transaction begun; `None` while there is no database, and outside.
        guard: Called as soon as the lock is held, before anything is begun.
        wording: A context in which what SQLite refuses is worded as the store's errors.
    """

    def __init__(self, connections: Connections, path: Path, *, timeout_ms: float) -> None:
        """Take no lock yet.

        Args:
            connections: Those of the store.
            path: The store, for messages.
            timeout_ms: How long to wait for the lock; 0 or infinite for ever.
        """
        self.opened: Opened | None = None
        self.guard: Callable[[], None] | None = None
        self.wording = Wording(self._refused)
        self._path = path
        self._connections = connections
        self._lock = KernelLock(connections.file.with_name(f"{connections.file.name}.lock"), timeout_ms)
        self._held: Held | None = None

    def __enter__(self) -> None:
        """Wait for the lock, and begin. Never later than reading what the write depends on: two writers would lose an update."""
        if not self._lock.is_open and not self._connections.file.parent.is_dir():
            make_folder(self._connections.file.parent)
        held = self._lock.held()
        held.__enter__()
        self._held, self.opened = held, None  # a forked process has inherited another's
        try:
            if self.guard is not None:
                self.guard()
            opened = self._connections.current(live=True)
            if opened is not None:
                self._begin(opened)
        except BaseException:
            self.__exit__(None, None, None)
            raise

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Drop what was not committed, and free the lock."""
        held, self._held, self.opened = self._held, None, None
        try:
            self._connections.roll_back()
        finally:
            if held is not None:
                held.__exit__(kind, error, trace)

    def database(self) -> Opened:
        """Return the writer's connection; a database that is not there is made."""
        return self.opened or self._begin(self._connections.make())

    def _begin(self, opened: Opened) -> Opened:
        """Begin the transaction, and bring the database to today's version.

        Raises:
            UnwritableError: The file has two names. Whoever made the second one has a copy, which must not change in part.
        """
        if self._connections.name_count > 1:
            reason = f"has {self._connections.name_count} names (hard links), and a database is written in place, under all of them"
            raise UnwritableError(self._path, reason, advice="copy it to a file of its own")
        with self.wording:
            opened.connection.execute("BEGIN IMMEDIATE")
            sqlite_schema.upgrade(opened.connection, self._path)
        self.opened = opened
        return opened

    def commit(self, opened: Opened) -> None:
        """Make what was written last.

        Raises:
            UncertainWriteError: It may not be where others see it, or on the disk.
            StoreError: It was refused; see `refusal`.
        """
        try:
            opened.connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise self._refused(error, is_commit=True) from error
        if not self._connections.has_kept_log(opened):
            raise UncertainWriteError(self._path, "lost its log while it was written", advice="read the store again before going on")

    def _refused(self, error: sqlite3.Error, *, is_commit: bool = False) -> StoreError:
        """Word why a write failed."""
        if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_READONLY:
            self._connections.forget()  # SQLite opens a file for reading where it may not write just then, and would stay like that
        return refusal(self._path, error, is_write=True, is_commit=is_commit)

    def close(self) -> None:
        """Give up the lock file."""
        self._lock.close()


class Wording:
    """A context that turns SQLite's errors into others. A class, because a generator costs a hot path twice as much."""

    __slots__ = ("_refused",)

    def __init__(self, refused: Callable[[sqlite3.Error], StoreError]) -> None:
        """Note into which."""
        self._refused = refused

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Word what was refused."""
        if isinstance(error, sqlite3.Error):
            raise self._refused(error) from error
