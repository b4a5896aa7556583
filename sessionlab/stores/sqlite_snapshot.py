"""A consistent private copy of a SQLite database that another program may be writing.

Owns: copying the file and its write-ahead log without touching them, and knowing when such a copy is one committed state.
Must not: open the original with SQLite unless nothing else works (that writes `-shm` and takes locks), or know what the tables mean.

Why not simply open it: `mode=ro` still writes `-shm`, `immutable=1` does not see commits that are only in the write-ahead log.
A caveat of POSIX locks: a process that holds the same database open through SQLite itself loses its locks when this module closes its
own handle of that file. sessionlab opens an original through SQLite only as `immutable=1`, which takes no locks, or for that backup.
"""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
import stat
import tempfile
import time
import weakref
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple, Self
from urllib.parse import quote

from sessionlab import scratch
from sessionlab.errors import CorruptStoreError, NoStoreError, StoreError, UnreadableError

COPY_WITH_LOG: Final = "private copy of the database and its write-ahead log; the original was not opened"
COPY_WITH_JOURNAL: Final = "private copy of the database and its rollback journal; the original was not opened"
COPY_ALONE: Final = "private copy of the database; the original was not opened"
ONLINE_BACKUP: Final = "online backup inside one read transaction, because the database kept changing while it was copied"

ATTEMPTS: Final = 4
"""Copies that may turn out inconsistent before the online backup is used."""

_MTIME_SETTLE_S: Final = 0.05
"""A second write within one tick of the file system's clock leaves the mtime as it is; a file that rested this long has left that tick."""

_BUSY_TIMEOUT_S: Final = 5.0
_WAL_HEADER_BYTES: Final = 32


class _Identity(NamedTuple):
    inode: int
    size: int
    mtime_ns: int


class _Sources(NamedTuple):
    """What the original's files looked like at one moment; `None` for a file that is not there."""

    database: _Identity
    wal: _Identity | None
    wal_header: bytes
    journal: _Identity | None
    looked_ns: int


class SnapshotResult:
    """One committed state of a database, in a private folder that goes away with this object.

    A context manager. The folder (mode 0700) is removed by `close()`, when the object is collected, and when the interpreter exits.

    Attributes:
        source: The original, links followed.
        connection: A connection to the copy, for queries only; closed with the snapshot.
        method: How the copy was made, in words for a report.
        database_bytes: Size of the original's database file.
        wal_bytes: Size of the original's write-ahead log, 0 without one.
    """

    def __init__(self, source: Path, folder: Path, *, method: str, database_bytes: int, wal_bytes: int) -> None:
        """Take over a filled private folder; use `take_snapshot`."""
        self.source = source
        self.method = method
        self.database_bytes = database_bytes
        self.wal_bytes = wal_bytes
        self._remove = weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        copy = quote(os.fsencode(folder / source.name))
        self.connection = sqlite3.connect(f"file:{copy}?mode=rw", uri=True, isolation_level=None)

    @property
    def source_bytes(self) -> int:
        """Bytes of the original's database file and write-ahead log together."""
        return self.database_bytes + self.wal_bytes

    def close(self) -> None:
        """Close the connection and remove the private folder. Calling it again does nothing."""
        # In this order: SQLite does not fold the log into a database whose file is gone, which would be work for nothing.
        self._remove()
        self.connection.close()

    def __enter__(self) -> Self:
        """Return the snapshot itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Close."""
        self.close()


def take_snapshot(path: Path, *, attempts: int = ATTEMPTS) -> SnapshotResult:
    """Copy the committed state of the database at `path` into a private folder below `TMPDIR`.

    First choice is a plain copy of the database and its log: no lock, no `-shm`, no byte, time or mode of the original changes. It counts
    when the database file kept its inode, size and mtime meanwhile and the log was not started over; commits appended to the log during
    the copy are in it or not, a torn last one is dropped by its checksum. After `attempts` unlucky copies the online backup is used,
    which opens the original read-only (SQLite then maintains `-shm`).

    Args:
        path: The database file, or a symbolic link to it.
        attempts: Plain copies to try; 0 goes straight to the online backup.

    Raises:
        NoStoreError: Nothing there, or something that is not a file.
        UnreadableError: No permission, no room for the copy, or locked throughout.
        CorruptStoreError: Not a SQLite database, or a damaged one.
    """
    source = _locate(path)
    try:
        folder = scratch.make_folder("snapshot")
    except OSError as error:
        raise _no_room(path, error) from error
    try:
        method, before = _fill(path, source, folder, attempts=attempts)
        wal_bytes = before.wal.size if before.wal else 0
        snapshot = SnapshotResult(source, folder, method=method, database_bytes=before.database.size, wal_bytes=wal_bytes)
    except OSError as error:  # of the private folder: those of the original have been worded
        shutil.rmtree(folder, ignore_errors=True)
        raise _no_room(path, error) from error
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    try:
        _verify(path, snapshot)
    except BaseException:
        snapshot.close()
        raise
    return snapshot


def _fill(path: Path, source: Path, folder: Path, *, attempts: int) -> tuple[str, _Sources]:
    """Put the copy into `folder`; return how it was made and what the original looked like."""
    before = _look(path, source)
    if before.database.size == 0:
        raise CorruptStoreError(path, "is an empty file (0 bytes), not a database", advice="restore it from a backup")
    for _ in range(attempts):
        before = _look(path, source)
        if not _is_settled(before):
            time.sleep(_MTIME_SETTLE_S)
            before = _look(path, source)
            if not _is_settled(before):
                continue
        _copy(path, source, folder, before)
        if _is_same_state(before, _look(path, source)):
            return _method_of(before), before
    _backup(path, source, folder / source.name)
    return ONLINE_BACKUP, before


def _locate(path: Path) -> Path:
    """Follow links to the real file, because SQLite keeps the log beside that one; refuse what is not a regular file."""
    try:
        real = path.resolve(strict=True)
        mode = real.stat().st_mode
    except FileNotFoundError:
        if path.is_symlink():
            raise NoStoreError(path, f"is a symbolic link to {path.readlink()}, which does not exist") from None
        raise NoStoreError(path, "no such file") from None
    except (OSError, RuntimeError) as error:  # RuntimeError: a loop of links
        raise UnreadableError(path, _reason(error)) from error
    if stat.S_ISDIR(mode):
        raise NoStoreError(path, "is a folder, not a database file")
    if not stat.S_ISREG(mode):
        raise NoStoreError(path, "is not a regular file")
    return real


def _beside(source: Path, suffix: str) -> Path:
    return source.with_name(source.name + suffix)


def _identity(file: Path) -> _Identity | None:
    try:
        found = file.stat()
    except FileNotFoundError:
        return None
    return _Identity(found.st_ino, found.st_size, found.st_mtime_ns)


def _look(path: Path, source: Path) -> _Sources:
    """Stat the three files and read the log's header, whose salts change when the log starts over."""
    wal = _beside(source, "-wal")
    looked_ns = time.time_ns()
    try:
        database = _identity(source)
        if database is None:
            raise NoStoreError(path, "disappeared while it was being read")
        try:
            with wal.open("rb", buffering=0) as stream:
                header = stream.read(_WAL_HEADER_BYTES) or b""
        except FileNotFoundError:
            header = b""
        return _Sources(database, _identity(wal), header, _identity(_beside(source, "-journal")), looked_ns)
    except OSError as error:
        raise UnreadableError(path, _reason(error)) from error


def _is_settled(sources: _Sources) -> bool:
    """Tell whether the last write is so long ago that another one, from now on, must show in the mtime."""
    written = [one.mtime_ns for one in (sources.database, sources.journal) if one is not None]
    return not any(-_MTIME_SETTLE_S / 10 <= (sources.looked_ns - mtime_ns) / 1e9 < _MTIME_SETTLE_S for mtime_ns in written)


def _is_same_state(before: _Sources, after: _Sources) -> bool:
    """Tell whether nothing but appended log frames happened between the two looks."""
    if after.database != before.database or after.journal != before.journal or after.wal_header != before.wal_header:
        return False
    if before.wal is None or after.wal is None:
        return before.wal is after.wal
    return after.wal.inode == before.wal.inode and after.wal.size >= before.wal.size


def _copy(path: Path, source: Path, folder: Path, sources: _Sources) -> None:
    """Copy the database, then its log: commits that arrive in between then lie in the log and are complete."""
    for leftover in folder.iterdir():
        leftover.unlink()
    wanted = [""] + (["-wal"] if sources.wal else []) + (["-journal"] if sources.journal else [])
    for suffix in wanted:
        target = folder / (source.name + suffix)
        try:
            shutil.copyfile(_beside(source, suffix), target)
        except FileNotFoundError:
            if not suffix:
                raise NoStoreError(path, "disappeared while it was being read") from None
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise _no_room(path, error) from error
            raise UnreadableError(path, _reason(error)) from error


def _method_of(sources: _Sources) -> str:
    if sources.wal is not None and sources.wal.size > 0:
        return COPY_WITH_LOG
    if sources.journal is not None and sources.journal.size > 0:
        return COPY_WITH_JOURNAL
    return COPY_ALONE


def _backup(path: Path, source: Path, target: Path) -> None:
    """Copy page by page through SQLite, inside one read transaction, so that the writer cannot make it start over."""
    for leftover in target.parent.iterdir():
        leftover.unlink()
    try:
        origin = sqlite3.connect(f"file:{quote(os.fsencode(source))}?mode=ro", uri=True, isolation_level=None, timeout=_BUSY_TIMEOUT_S)
        copy = sqlite3.connect(target, isolation_level=None)
        try:
            origin.execute("BEGIN")
            origin.execute("SELECT count(*) FROM sqlite_master").fetchone()
            origin.backup(copy)
            origin.execute("COMMIT")
        finally:
            copy.close()
            origin.close()
    except sqlite3.Error as error:
        raise _sqlite_refusal(path, error) from error


def _verify(path: Path, snapshot: SnapshotResult) -> None:
    """Make SQLite read the copy's header and schema once, so that a damaged file is refused here and not later."""
    try:
        snapshot.connection.execute("PRAGMA query_only=ON")
        snapshot.connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.Error as error:
        raise _sqlite_refusal(path, error) from error


def _sqlite_refusal(path: Path, error: sqlite3.Error) -> StoreError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
        return _no_room(path, OSError(errno.EIO, str(error)))
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return UnreadableError(path, "stayed locked by another program", advice="try again when it is idle")
    if code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_READONLY):
        return UnreadableError(path, f"SQLite cannot open it ({error})")
    return CorruptStoreError(path, f"SQLite cannot read it ({error})", advice="restore it from a backup")


def _no_room(path: Path, error: OSError) -> UnreadableError:
    return UnreadableError(
        path,
        f"no private copy could be made in the temporary folder {_temporary_folder()} ({_reason(error)})",
        advice="free some space there, or set TMPDIR to a folder with more room",
    )


def _temporary_folder() -> str:
    return tempfile.tempdir or os.environ.get("TMPDIR", "(none that can be used)")


def _reason(error: BaseException) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
