"""One connection to a `sessions.sqlite`: how it is opened, what it must not outlive, and how SQLite's refusals are worded.

A process must not close a plain descriptor of a database that it has open: the system then forgets the locks by which other processes
know of it (see `_drop_stale`). So nothing here opens the file but SQLite.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import weakref
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, Protocol
from urllib.parse import quote

from sessionlab.errors import CorruptStoreError, StoreError, StoreLockedError, UncertainWriteError, UnreadableError, UnwritableError
from sessionlab.storage import files
from sessionlab.stores import sqlite_schema
from sessionlab.stores.sqlite_snapshot import SnapshotResult, take_snapshot

Durability = Literal["commit", "process"]

_SYNCHRONOUS: Final[dict[Durability, str]] = {"commit": "FULL", "process": "NORMAL"}
_CACHE_KIB: Final = 16_000
_PASSING_KIB: Final = 512
_abandoned: list[Opened] = []
_everywhere: weakref.WeakSet[Opened] = weakref.WeakSet()
_others: weakref.WeakSet[OpenElsewhere] = weakref.WeakSet()
_opening: defaultdict[Path, threading.Lock] = defaultdict(threading.Lock)


class OpenElsewhere(Protocol):
    """A connection to another SQLite file of ours, which `private_copy` has to know of; see `register`."""

    file: Path
    process: int
    is_closed: bool


class FileState(NamedTuple):
    """By what a database file at rest is known again."""

    device: int
    inode: int
    size: int
    mtime_ns: int


class Opened:
    """One connection. It closes itself when nothing refers to it any more, as at the end of its thread."""

    def __init__(self, connection: sqlite3.Connection, file: Path, state: FileState, *, is_live: bool) -> None:
        self.connection = connection
        self.file = file
        self.state = state
        self.is_live = is_live
        self.process = os.getpid()
        self.log_inode = inode_of(f"{file}-wal") if is_live else None
        self.thread = threading.get_ident()
        self.in_use = threading.Lock()
        self.is_closed = False
        self._token = object()  # never equal to another's, as an address might be

    def origin(self) -> object:
        """Return a note by which the state that is read now is known again: by this connection, or, at rest, by any.

        A counter of our own in the file would not notice what other programs write. SQLite counts what others commit, and what we change.
        """
        if not self.is_live:
            return self.state
        (others,) = self.connection.execute("PRAGMA data_version").fetchone()
        return self._token, others, self.connection.total_changes

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """Read one state in several statements."""
        is_outermost = not self.connection.in_transaction
        if is_outermost:
            self.connection.execute("BEGIN")
        try:
            yield
        finally:
            if is_outermost and self.connection.in_transaction:
                self.connection.execute("ROLLBACK")

    @contextlib.contextmanager
    def passing_through(self) -> Iterator[None]:
        """Go through a whole table without keeping its pages: each is needed once, and 16 MB of them would be half of such a process."""
        self.connection.execute(f"PRAGMA cache_size = -{_PASSING_KIB}")
        try:
            yield
        finally:
            self.connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")

    def close(self) -> None:
        """Close. Twice does no harm."""
        self.is_closed = True
        if self.process == os.getpid():
            self.connection.close()
        elif self not in _abandoned:
            _abandoned.append(self)  # a forked process must not touch what it inherited, not even to close it

    def __del__(self) -> None:
        self.close()


def open_file(path: Path, file: Path, state: FileState, *, live: bool, busy_ms: int, durability: Durability) -> Opened:
    """Open a database that exists.

    Args:
        path: The store, for messages.
        file: The database, links followed.
        state: What the file was when it was looked at.
        live: As writers do; otherwise as it lies there, without locks and without its log.
        busy_ms: How long to wait for other programs.
        durability: What a commit is to survive.

    Raises:
        CorruptStoreError: It is not one of our databases.
        UnsupportedSchemaError: It is newer than this sessionlab.
        sqlite3.Error: SQLite refuses.
    """
    with _opening[file]:
        if live:
            _drop_stale(path, file)
        uri = f"file:{quote(os.fsencode(file))}?{'mode=rw' if live else 'immutable=1'}"
        options: dict[str, Any] = {"isolation_level": None, "check_same_thread": False, "detect_types": sqlite3.PARSE_COLNAMES}
        connection = sqlite3.connect(uri, uri=True, **options)
        try:
            connection.execute(f"PRAGMA busy_timeout = {busy_ms}")
            sqlite_schema.recognise(connection, path)  # reading only, before anything is set
            _refuse_truncated(connection, path, state)
            if live:
                _set_up_for_writing(connection, file, durability)
            connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
            connection.execute("PRAGMA temp_store = MEMORY")
        except BaseException:
            connection.close()
            raise
        opened = Opened(connection, file, state, is_live=live)
        _everywhere.add(opened)
        return opened


def _refuse_truncated(connection: sqlite3.Connection, path: Path, state: FileState) -> None:
    (page_bytes,) = connection.execute("PRAGMA page_size").fetchone()
    if state.size % page_bytes:  # SQLite itself would read zeros there
        raise CorruptStoreError(path, "ends in the middle of a page (truncated)", advice="restore it from a backup")


def _set_up_for_writing(connection: sqlite3.Connection, file: Path, durability: Durability) -> None:
    if connection.execute("PRAGMA journal_mode").fetchone() != ("wal",):
        connection.execute("PRAGMA journal_mode = WAL")  # somebody changed it
    connection.execute(f"PRAGMA synchronous = {_SYNCHRONOUS[durability]}")
    connection.execute("PRAGMA foreign_keys = ON")
    for suffix in ("", "-wal", "-shm"):
        private = Path(f"{file}{suffix}")
        with contextlib.suppress(OSError):
            if private.stat().st_mode & 0o077:
                private.chmod(files.PRIVATE_FILE)


def _drop_stale(path: Path, file: Path) -> None:
    """Close this process's connections whose log another process has removed, before there is a new one.

    That happens when anybody in this process opened and closed the database as a plain file: the system then forgets the locks by which
    other processes know that we are there, and the one that closes last removes the log. What a connection writes into such a log is
    lost, and SQLite shares the log's index between a process's connections. All that was committed before is in the database by then.
    """
    log_inode = inode_of(f"{file}-wal")
    for other in list(_everywhere):
        is_ours = other.process == os.getpid() and other.is_live and not other.is_closed and other.file == file
        if not is_ours or other.log_inode == log_inode:
            continue
        if not other.in_use.acquire(blocking=False):
            reason = "has lost its log: this process opened the file past the store while it was in use"
            raise UnreadableError(path, reason, advice="end what reads or writes it, then try again")
        try:
            other.close()
        finally:
            other.in_use.release()


@contextlib.contextmanager
def opening(file: Path) -> Iterator[None]:
    """Keep this process from copying a file as a plain one, until a connection to it is open and registered. Links are followed already."""
    with _opening[file]:
        yield


def register(connection: OpenElsewhere) -> None:
    """Note a connection that something else in this process has opened: its file is not to be opened as a plain one until it is closed."""
    _others.add(connection)


def private_copy(path: Path) -> SnapshotResult:
    """Return a private copy of a database, which may be one that this process has open; see `take_snapshot`.

    One that is open here is copied through SQLite, which keeps its locks.
    """
    file = Path(os.path.realpath(path))
    with _opening[file]:
        mine: list[OpenElsewhere] = [*_everywhere, *_others]
        is_open_here = any(one.process == os.getpid() and one.file == file and not one.is_closed for one in mine)
        return take_snapshot(path, attempts=0) if is_open_here else take_snapshot(path)


def refusal(path: Path, error: sqlite3.Error, *, is_write: bool = False, is_commit: bool = False) -> StoreError:
    """Word what SQLite refuses. What is not known to be harmless counts as damage: it must not look like an empty store.

    Args:
        path: The store.
        error: What SQLite said.
        is_write: Whether writing was asked for.
        is_commit: Whether it was the commit that failed.
    """
    code = getattr(error, "sqlite_errorcode", 0)
    if code in (sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_IOERR_DIR_FSYNC) and is_commit:
        return UncertainWriteError(path, f"the disk did not confirm a write ({error})", advice="read the store again before going on")
    match code & 0xFF:
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return StoreLockedError(path, "is locked by another program", advice="try again when it is idle")
        case sqlite3.SQLITE_FULL:
            return UnwritableError(path, f"cannot be written ({error}); it is as it was", advice="free some space, then run it again")
        case sqlite3.SQLITE_IOERR | sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM if is_write:
            return UnwritableError(path, f"cannot be written ({error}); it is as it was", advice="see to the folder, the file and the disk")
        case sqlite3.SQLITE_IOERR | sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM:
            return UnreadableError(path, f"cannot be opened or read ({error})")
    return CorruptStoreError(path, f"SQLite cannot read it ({error})", advice="restore it from a backup")


def inode_of(path: str) -> int | None:
    """Return a file's inode; `None` when there is none."""
    try:
        return os.stat(path).st_ino  # noqa: PTH116 - on every path; pathlib takes as long again
    except OSError:
        return None


# A lock may be held for ever by a thread that is not in the forked process.
os.register_at_fork(after_in_child=_opening.clear)
