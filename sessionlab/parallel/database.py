"""The SQLite file of a shared memory: a connection for each thread, one writer at a time across all processes, durable commits.

`synchronous=FULL`: what was acknowledged survives a loss of power. Writers stand in line for a lock of the kernel's before they begin, so
that none of them ever meets "database is locked"; other programs that do not know of it are waited for by SQLite's own means.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from sessionlab.errors import NoStoreError, UncertainWriteError, UnwritableError, UsageError
from sessionlab.parallel import schema
from sessionlab.storage.files import PRIVATE_FILE, make_folder, not_made
from sessionlab.storage.kernel_lock import DEFAULT_TIMEOUT_MS, KernelLock
from sessionlab.stores.sqlite_opening import refusal

_CACHE_KB: Final = 16_000


class _Connection(sqlite3.Connection):
    """One that can be referred to weakly, and knows whose it is."""

    process = 0
    inode = 0


class Database:
    """A shared memory's file, for any number of threads and processes. Nothing is opened before `initialize`."""

    def __init__(self, path: Path, *, enable_wal: bool | None = True, timeout_ms: float = DEFAULT_TIMEOUT_MS) -> None:
        """Name a database.

        Args:
            path: Its file; it and its folder are made when they are missing, private.
            enable_wal: Keep a write-ahead log, so that reading goes on while somebody writes; `None` leaves that as it is.
            timeout_ms: How long a writer waits for the others; 0 or infinite for ever.
        """
        self.path = path
        self._enable_wal, self._timeout_ms = enable_wal, timeout_ms
        self._lock = KernelLock(path.with_name(f"{path.name}.lock"), timeout_ms)
        self._local = threading.local()
        self._all: weakref.WeakSet[_Connection] = weakref.WeakSet()
        self._is_open = False
        self._initializing = threading.Lock()
        self._initializer = 0

    def initialize(self, *, create: bool = True) -> None:
        """Make what is missing: folders, file, tables. Twice does no harm.

        Args:
            create: Whether there need not be a shared memory yet.

        Raises:
            NoStoreError: There has to be one, and there is none.
            UnwritableError: The system refuses.
            StoreLockedError: Others write all the time.
            CorruptStoreError: The file is no shared memory.
            UnsupportedSchemaError: It is of a newer version.
        """
        with self._initializing:
            if not self._is_open:
                self._initialize(create=create)

    def _initialize(self, *, create: bool) -> None:
        if create:
            self._make_file()
        elif not self.path.is_file():
            raise NoStoreError(self.path, "there is no shared memory", advice="name its file with --db, or the state folder")
        self._initializer = threading.get_ident()  # others have to wait until the tables are there
        try:
            if not create:
                with self.reading() as connection:
                    schema.refuse_empty(connection, self.path)
            with self.writing() as connection:
                schema.define(connection, self.path)
            self._is_open = True
        except BaseException:
            self.close()
            raise
        finally:
            self._initializer = 0

    def _make_file(self) -> None:
        make_folder(self.path.parent)
        with contextlib.suppress(FileExistsError):
            try:
                os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE_FILE))
            except FileExistsError:
                raise
            except OSError as error:
                raise not_made(self.path, error) from error

    def close(self) -> None:
        """Close every connection. Twice does no harm; `initialize` opens again."""
        self._is_open = False
        self._local = threading.local()
        for connection in list(self._all):
            self._all.discard(connection)
            if connection.process == os.getpid():
                with contextlib.suppress(sqlite3.Error):
                    connection.close()
        self._lock.close()

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Give this thread's connection, for questions; several of them see one state only inside `BEGIN`.

        Raises:
            UsageError: The database is not initialized.
            StoreError: SQLite refuses; see `refusal`.
        """
        try:
            yield self._connection()
        except sqlite3.Error as error:
            raise refusal(self.path, error) from error

    @contextlib.contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Give this thread's connection with a transaction begun, as the only writer; commit at the end, or undo what was done.

        Raises:
            UsageError: The database is not initialized.
            StoreLockedError: The lock was not had in time; nothing was done.
            UncertainWriteError: It may not be on the disk.
            StoreError: SQLite refuses; nothing was done.
        """
        connection = self._connection()
        with self._lock.held():
            if connection.inode != _inode(self.path):
                raise UnwritableError(self.path, "was replaced while it was open; nothing was written", advice="open it again")
            try:
                connection.execute("BEGIN IMMEDIATE")
                yield connection
            except BaseException as error:
                with contextlib.suppress(sqlite3.Error):
                    connection.rollback()
                if isinstance(error, sqlite3.Error):
                    raise refusal(self.path, error, is_write=True) from error
                raise
            self._commit(connection)

    def _commit(self, connection: _Connection) -> None:
        try:
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            with contextlib.suppress(sqlite3.Error):
                connection.rollback()
            raise refusal(self.path, error, is_write=True, is_commit=True) from error
        if connection.inode != _inode(self.path):
            raise UncertainWriteError(self.path, "was replaced while it was written", advice="read it again before going on")

    def _connection(self) -> _Connection:
        if not self._is_open and self._initializer != threading.get_ident():
            raise UsageError(f"{self.path}: the shared memory is not initialized; call initialize() first")
        found: _Connection | None = getattr(self._local, "connection", None)
        if found is None or found.process != os.getpid():
            found = self._local.connection = self._connect()
        return found

    def _connect(self) -> _Connection:
        try:
            connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, factory=_Connection)
            try:
                connection.process, connection.inode = os.getpid(), _inode(self.path)
                wait_ms = 2**31 - 1 if not 0 < self._timeout_ms < 2**31 else int(self._timeout_ms)
                connection.execute(f"PRAGMA busy_timeout = {wait_ms:d}")
                schema.refuse_others(connection, self.path)  # before anything is set: another's database stays as it is
                wanted = "wal" if self._enable_wal else "delete"
                if self._enable_wal is not None and connection.execute("PRAGMA journal_mode").fetchone() != (wanted,):
                    with self._lock.held():
                        connection.execute(f"PRAGMA journal_mode = {wanted}")
                connection.execute("PRAGMA synchronous = FULL")
                connection.execute(f"PRAGMA cache_size = -{_CACHE_KB:d}")
            except BaseException:
                connection.close()
                raise
        except sqlite3.Error as error:
            raise refusal(self.path, error) from error
        self._all.add(connection)
        return connection


def _inode(path: Path) -> int:
    try:
        return os.stat(path).st_ino  # noqa: PTH116 - on every write; pathlib takes as long again
    except FileNotFoundError:
        return 0
