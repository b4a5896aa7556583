"""The SQLite file of a shared memory: a connection for each thread, one writer at a time across all processes, durable commits.

`synchronous=FULL`: what was acknowledged survives a loss of power. Writers stand in line for a lock of the kernel's before they begin, so
that none of them ever meets "database is locked"; other programs that do not know of it are waited for by SQLite's own means.

Whoever reads or writes looks first whether the file and its log are those that were opened: else it would read what counts no more, and
write what nobody finds.
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
from urllib.parse import quote

from sessionlab.errors import NoStoreError, StoreError, UncertainWriteError, UnreadableError, UnwritableError, UsageError
from sessionlab.parallel import connections, schema
from sessionlab.parallel.connections import Connection, Identity
from sessionlab.storage.files import PRIVATE_FILE, make_folder, not_made
from sessionlab.storage.kernel_lock import DEFAULT_TIMEOUT_MS, KernelLock
from sessionlab.stores import sqlite_opening
from sessionlab.stores.sqlite_opening import refusal

_CACHE_KB: Final = 16_000
_Refused = type[UnreadableError] | type[UnwritableError]


class Database:
    """A shared memory's file, for any number of threads and processes. Nothing is opened before `initialize`.

    A process may be forked at any time: the fork waits until no other thread is in the middle of something, up to 5 s, and then closes
    what is open; both processes go on with connections of their own. A transaction that the forking thread itself is in is the parent's.
    """

    def __init__(self, path: Path, *, enable_wal: bool | None = True, timeout_ms: float = DEFAULT_TIMEOUT_MS) -> None:
        """Name a database.

        Args:
            path: Its file; it and its folder are made when they are missing, private. A relative one is seen from where we are now.
            enable_wal: Keep a write-ahead log, so that reading goes on while somebody writes; `None` leaves that as it is.
            timeout_ms: How long a writer waits for the others; 0 or infinite for ever.
        """
        self.path = path
        """As errors name it."""
        self._place = path.absolute()
        self._file = self._place
        self._identity: Identity | None = None
        self._enable_wal, self._timeout_ms = enable_wal, timeout_ms
        self._lock = KernelLock(path.with_name(f"{path.name}.lock"), timeout_ms)
        self._local = threading.local()
        self._all: weakref.WeakSet[Connection] = weakref.WeakSet()
        self._is_open = False
        self._initializing, self._initializer = threading.Lock(), 0
        self._process = os.getpid()

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
        if self._process != os.getpid():  # whoever was initializing is not in the forked process
            self._initializing, self._initializer, self._process = threading.Lock(), 0, os.getpid()
        with self._initializing:
            if not self._is_open:
                self._initialize(create=create)

    def _initialize(self, *, create: bool) -> None:
        if create:
            make_folder(self._place.parent)
        elif not self._place.is_file():
            raise NoStoreError(self.path, "there is no shared memory", advice="name the file that it is in, or the state folder")
        self._end_all()  # what a `close` that was interrupted has left open
        self._file, self._identity = Path(os.path.realpath(self._place)), None
        if create:
            self._make_file()
        self._initializer = threading.get_ident()  # others have to wait until the tables are there
        try:
            with self.reading() as connection:  # what is something else is refused before there is so much as a lock beside it
                if not create:
                    schema.refuse_empty(connection, self.path)
                (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
            if self._enable_wal is not None and (mode == "wal") != self._enable_wal:
                self._change_journal("wal" if self._enable_wal else "delete")
            with self.writing() as connection:
                schema.define(connection, self.path)
            self._is_open = True
        except BaseException:
            self.close()
            raise
        finally:
            self._initializer = 0

    def _make_file(self) -> None:
        with sqlite_opening.opening(self._file), contextlib.suppress(FileExistsError):
            try:
                os.close(os.open(self._file, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE_FILE))
            except FileExistsError:
                raise
            except OSError as error:
                raise not_made(self.path, error) from error

    def _change_journal(self, mode: str) -> None:
        with self._lock.held(), self.reading() as connection:
            connection.execute(f"PRAGMA journal_mode = {mode}")
        self._end_all()

    def close(self) -> None:
        """Close every connection, when its thread is not using it any more. Twice does no harm; `initialize` opens again."""
        self._is_open = False  # before: who uses a connection looks here when it has it
        self._end_all()
        self._lock.close()

    def _end_all(self) -> None:
        for connection in connections.listed(self._all):
            connection.end()

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Give this thread's connection, for questions; several of them see one state only inside `BEGIN`.

        Raises:
            UsageError: The database is not initialized.
            UnreadableError: The file was replaced or removed since it was initialized.
            StoreError: SQLite refuses; see `refusal`.
        """
        connection = self._held(UnreadableError)
        try:
            yield connection
        except sqlite3.Error as error:
            raise self._refusal(connection, error) from error
        finally:
            connection.let_go()

    @contextlib.contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Give this thread's connection with a transaction begun, as the only writer; commit at the end, or undo what was done.

        Raises:
            UsageError: The database is not initialized.
            StoreLockedError: The lock was not had in time; nothing was done.
            UnwritableError: The file was replaced or removed since it was initialized; nothing was done.
            UncertainWriteError: It may not be on the disk.
            StoreError: SQLite refuses; nothing was done.
        """
        self._refuse_closed()
        with self._lock.held():
            connection = self._held(UnwritableError)
            try:
                try:
                    connection.execute("BEGIN IMMEDIATE")
                    yield connection
                    self._refuse_inherited(connection)
                    self._commit(connection)
                except BaseException as error:
                    _undo(connection)
                    if isinstance(error, sqlite3.Error):
                        raise self._refusal(connection, error, is_write=True) from error
                    raise
            finally:
                connection.let_go()

    def _commit(self, connection: Connection) -> None:
        try:
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise self._refusal(connection, error, is_write=True, is_commit=True) from error
        if self._identity != self._found() or not connection.has_kept_log():
            raise UncertainWriteError(self.path, "was replaced while it was written", advice="read it again before going on")

    def _held(self, refused: _Refused) -> Connection:
        """Return this thread's connection to the files that are there, and keep others from closing it until it is let go."""
        while True:
            self._refuse_closed()
            connection: Connection | None = getattr(self._local, "connection", None)
            if connection is None or connection.is_closed or connection.process != os.getpid():
                connection = self._local.connection = self._connect(refused)
            connection.hold()
            is_kept = False
            try:
                if connection.depth > 1:  # this thread looked when it began
                    is_kept = True
                elif not self._may_use():
                    connection.end()
                elif not connection.is_closed:
                    self._refuse_replaced(refused)
                    is_kept = connection.has_kept_log()
                    if not is_kept:
                        connection.end()  # before it waits for those of others, who may wait for this one
            finally:
                if not is_kept:
                    connection.let_go()
            if is_kept:
                return connection

    def _connect(self, refused: _Refused = UnreadableError) -> Connection:
        uri = f"file:{quote(os.fsencode(self._file))}?mode=rw"
        with sqlite_opening.opening(self._file), connections.opening:
            if self._identity is not None:
                self._refuse_replaced(refused)
            if not connections.end_stale(self._file):
                raise self._lost(refused)
            try:
                connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False, factory=Connection)
                try:
                    self._set_up(connection)
                except BaseException:
                    connection.close()
                    raise
            except sqlite3.Error as error:
                raise refusal(self.path, error) from error
            connection.prepare(self._file)
            self._all.add(connection)
        self._identity = self._identity or self._found()
        return connection

    def _set_up(self, connection: Connection) -> None:
        wait_ms = 2**31 - 1 if not 0 < self._timeout_ms < 2**31 else int(self._timeout_ms)
        connection.execute(f"PRAGMA busy_timeout = {wait_ms:d}")
        schema.refuse_others(connection, self.path)  # before anything is set: another's database stays as it is
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KB:d}")

    def _found(self) -> Identity | None:
        try:
            found = os.stat(self._place)  # noqa: PTH116 - on every use; pathlib takes as long again
        except OSError:
            return None
        return Identity(found.st_dev, found.st_ino)

    def _may_use(self) -> bool:
        return self._is_open or self._initializer == threading.get_ident()

    def _refuse_closed(self) -> None:
        if not self._may_use():
            raise UsageError(f"{self.path}: the shared memory is not initialized; call initialize() first")

    def _refuse_inherited(self, connection: Connection) -> None:
        if connection.process != os.getpid():
            raise UsageError(f"{self.path}: this process was forked off inside a transaction, which is its parent's")

    def _refuse_replaced(self, refused: _Refused) -> None:
        if self._identity != self._found():
            what = "; nothing was written" if refused is UnwritableError else ""
            raise refused(self.path, f"was replaced or removed while it was open{what}", advice="open it again")

    def _lost(self, refused: _Refused) -> StoreError:
        reason = "has lost its log: this process opened the file as a plain one while it was in use"
        return refused(self.path, reason, advice="end what reads or writes it, then try again")

    def _refusal(self, connection: Connection, error: sqlite3.Error, *, is_write: bool = False, is_commit: bool = False) -> Exception:
        if connection.is_closed:
            return UsageError(f"{self.path}: the shared memory was closed meanwhile; nothing was written")
        return refusal(self.path, error, is_write=is_write, is_commit=is_commit)


def _undo(connection: Connection) -> None:
    """End a transaction without its changes. What a forked process inherits is not touched: the log is its parent's."""
    if connection.process == os.getpid():
        with contextlib.suppress(sqlite3.Error):
            connection.rollback()
