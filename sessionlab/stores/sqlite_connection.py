"""The connections of one SQLite store: one for each thread, more for what is streamed; none outlives its thread, a fork, or the file.

A database at rest (no `-wal` beside it) is read as immutable, which writes nothing and takes no locks, and what was read counts only if the
file is still the same afterwards. As soon as somebody writes, `-wal` and `-shm` are there, and reading goes through them as SQLite does.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, TypeVar

from sessionlab.errors import CorruptStoreError, UnreadableError, UnwritableError
from sessionlab.storage import files
from sessionlab.stores import sqlite_schema
from sessionlab.stores.base import closed
from sessionlab.stores.sqlite_opening import Durability, FileState, Opened, inode_of, open_file, refusal

_SETTLE_S: Final = 0.02
"""A file written longer ago than this has another mtime after the next write: file systems count in steps of up to 10 ms."""

_MOST_TRIES: Final = 20
_FOR_EVER_MS: Final = (1 << 31) - 1
_Answer = TypeVar("_Answer")


class Connections:
    """The connections of a store object to one database file."""

    def __init__(self, path: Path, *, file: Path, timeout_ms: float, durability: Durability) -> None:
        """Open nothing yet.

        Args:
            path: The store, for messages.
            file: The database, links followed.
            timeout_ms: How long to wait for writers that do not take the store's lock; 0 or infinite for ever.
            durability: "commit" forces every commit to disk, "process" leaves that to the system.
        """
        self.path = path
        self.file = file
        self._log = f"{file}-wal"
        self._file_name = str(file)
        self._busy_ms = int(timeout_ms) if 0 < timeout_ms < _FOR_EVER_MS else _FOR_EVER_MS
        self._durability: Durability = durability
        self._local = threading.local()
        self._idle: list[Opened] = []
        self.name_count = 1
        """How many names the file had when it was last looked at."""
        self.guard: Callable[[], None] | None = None
        """Asked where there is no file: raises when the sessions have moved. To ask before every question would cost a tenth of a `get`."""
        self.original: str | None = None
        """What `file` is a private copy of; when that is gone, the sessions have moved."""
        self.is_shut = False
        """Whether the private copy is gone."""
        self._all: weakref.WeakSet[Opened] = weakref.WeakSet()

    def close(self) -> None:
        """Close every connection, those of other threads included. The next question opens another.

        Those of other threads are only let go of: one that is not in use closes itself at once, one that is when that is done with it.
        To close it meanwhile would end the process.
        """
        self._idle.clear()
        self._local = threading.local()
        others = {thread.ident for thread in threading.enumerate()} - {threading.get_ident()}
        for opened in self._listed():
            self._all.discard(opened)
            if opened.thread not in others and opened.in_use.acquire(blocking=False):
                try:
                    opened.close()
                finally:
                    opened.in_use.release()

    def ask(self, question: Callable[[Opened | None], _Answer]) -> _Answer:
        """Return what a question finds in one committed state of the database; it gets `None` when there is no file.

        Raises: see `refusal`.
        """
        if self.original is not None:
            self._look_at(self.original)
        for attempt in range(_MOST_TRIES):
            opened = self.current(live=attempt == _MOST_TRIES - 1)
            try:
                if opened is not None and opened.is_live:  # what SQLite itself reads is one committed state
                    with opened.in_use:
                        return question(opened)
                with opened.in_use if opened else contextlib.nullcontext():
                    answer = question(opened)
            except sqlite3.Error as error:
                if not (opened is not None and opened.is_closed) and self._still_counts(opened):  # closed by another thread just then
                    raise refusal(self.path, error) from error
            except CorruptStoreError:
                if self._still_counts(opened):
                    raise
            else:
                if self._still_counts(opened):
                    return answer
        raise UnreadableError(self.path, "kept changing while it was read", advice="try again")

    def stream(self, query: str, *, batch: int, largest_at_rest: int) -> Iterator[list[tuple[Any, ...]]]:
        """Yield the rows of a query in lists, all of one committed state. The connection is not shared meanwhile.

        Args:
            query: The statement, without parameters.
            batch: Rows in a list.
            largest_at_rest: Up to this size, in bytes, a file at rest is read at once, writing nothing beside it.
        """
        if self.original is not None:
            self._look_at(self.original)
        state = self._state()
        if state is None:
            return
        if state.size <= largest_at_rest:
            rows = self.ask(lambda opened: opened.connection.execute(query).fetchall() if opened else [])
            yield from (rows[place : place + batch] for place in range(0, len(rows), batch))
            return
        opened = self._borrowed(state)
        try:
            with opened.in_use, opened.passing_through():
                cursor = opened.connection.execute(query)
                while rows := cursor.fetchmany(batch):
                    if not self._still_counts(opened):
                        raise UnreadableError(self.path, "was changed while it was read", advice="try again")
                    yield rows
                cursor.close()
        except sqlite3.Error as error:
            raise refusal(self.path, error) from error
        else:
            if opened in self._all:  # and nobody has closed the store
                self._idle.append(opened)

    def current(self, *, live: bool = False) -> Opened | None:
        """Return this thread's connection to the file that is there now; `None` when there is none.

        Args:
            live: Open it as writers do.
        """
        opened: Opened | None = getattr(self._local, "opened", None)
        if opened is not None and opened.is_live and self._leads_there(opened):
            return opened
        state = self._state()
        if state is None:
            self._local.opened = None
            return None
        live = live or inode_of(self._log) is not None
        if opened is not None and not live and self._is_usable_at_rest(opened, state):
            return opened
        self._local.opened = None
        self._local.opened = self._open(state, live=live)
        return self._local.opened  # type: ignore[no-any-return]  # a thread's own

    def roll_back(self) -> None:
        """End the transaction of this thread's connection, if one is still open, without its changes."""
        opened: Opened | None = getattr(self._local, "opened", None)
        try:
            if opened is not None and opened.process == os.getpid() and opened.connection.in_transaction:
                opened.connection.execute("ROLLBACK")
        except sqlite3.Error:
            self._local.opened = None  # closing it ends the transaction as well

    def forget(self) -> None:
        """Open this thread's connection anew when it is next needed."""
        self.roll_back()
        self._local.opened = None

    def has_kept_log(self, opened: Opened) -> bool:
        """Say whether a commit is where others see it; see `_drop_stale`."""
        return opened.log_inode == inode_of(self._log)

    def size(self) -> int:
        """Return the bytes of the database and its log."""
        total = 0
        for name in (self._file_name, self._log):
            with contextlib.suppress(FileNotFoundError):
                total += Path(name).stat().st_size
        return total

    def is_at_rest_as(self, origin: object) -> bool:
        """Say whether nothing was committed since a file at rest was read; `origin` is what `Opened.origin` returned then."""
        if not isinstance(origin, FileState) or self._state() != origin:
            return False
        try:
            return Path(self._log).stat().st_size == 0
        except FileNotFoundError:
            return True

    def make(self) -> Opened:
        """Make the database where there is none, whole or not at all, and return this thread's connection. Only under the store's lock."""
        files.make_folder(self.file.parent)
        files.remove_leftovers(self.file, of=(self.file.name,))
        temporary = files.temporary_path(self.file)
        try:
            os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, files.PRIVATE_FILE))
            temporary.chmod(files.PRIVATE_FILE)
            connection = sqlite3.connect(temporary, isolation_level=None)
            try:
                connection.execute("PRAGMA journal_mode = MEMORY")
                sqlite_schema.define(connection)
                connection.execute("PRAGMA journal_mode = WAL")
            finally:
                connection.close()
            temporary.rename(self.file)
        except OSError as error:
            raise files.refused(self.path, error) from error
        except sqlite3.Error as error:
            raise refusal(self.path, error, is_write=True) from error
        finally:
            for suffix in ("", "-wal", "-shm", "-journal"):
                with contextlib.suppress(OSError):
                    Path(f"{temporary}{suffix}").unlink()
        files.fsync_folder(self.file.parent, written=self.path)
        opened = self.current(live=True)
        if opened is None:
            raise UnwritableError(self.path, "disappeared while it was being made", advice="find out who removes it")
        return opened

    def _state(self) -> FileState | None:
        """Look at the file; `None` when there is none.

        Raises:
            StoreMovedError: Another store counts now.
            CorruptStoreError: There is a log without a database.
            UnreadableError: The system refuses, or a link leads nowhere.
        """
        try:
            found = os.stat(self._file_name)  # noqa: PTH116 - on every path; pathlib takes as long again
        except FileNotFoundError:
            if self.guard is not None:
                self.guard()
            if self.path.is_symlink():
                raise UnreadableError(self.path, "is a link that leads nowhere", advice="remove it, or restore what it led to") from None
            if inode_of(self._log) is not None:
                reason = f"is gone, but its log {self._log} is there, which may hold sessions"
                raise CorruptStoreError(self.path, reason, advice="restore the database from a backup, or move the log away") from None
            return None
        except OSError as error:
            raise UnreadableError(self.path, f"cannot be read ({error.strerror})") from error
        self.name_count = found.st_nlink
        return FileState(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)

    def _listed(self) -> list[Opened]:
        while True:
            with contextlib.suppress(RuntimeError):  # another thread has just opened one
                return list(self._all)

    def _look_at(self, original: str) -> None:
        """Raise when the copy is gone, or what the file is a copy of has moved."""
        if self.is_shut:
            raise closed(self.path)
        if self.guard is None:
            return
        try:
            os.lstat(original)
        except OSError:
            self.guard()

    def _is_usable_at_rest(self, opened: Opened, state: FileState) -> bool:
        """Say whether a connection is this process's, open, and to the file at rest that is there, unchanged."""
        return opened.process == os.getpid() and not opened.is_closed and not opened.is_live and opened.state == state

    def _leads_there(self, opened: Opened) -> bool:
        """Say whether a live connection is this process's, open, and to the files that are there: on every path, two looks and no more."""
        if opened.process != os.getpid() or opened.is_closed:
            return False
        try:
            file, log = os.stat(self._file_name), os.stat(self._log)  # noqa: PTH116
        except OSError:
            return False
        self.name_count = file.st_nlink
        return file.st_ino == opened.state.inode and file.st_dev == opened.state.device and log.st_ino == opened.log_inode

    def _still_counts(self, opened: Opened | None) -> bool:
        """Say whether what was read is one committed state: always, except of a file at rest that has been written since."""
        return opened is None or opened.is_live or self._state() == opened.state

    def _borrowed(self, state: FileState) -> Opened:
        """Return a connection for one stream."""
        while self._idle:
            opened = self._idle.pop()
            if opened.is_live and self._leads_there(opened):
                return opened
        try:
            return self._open(state, live=True)
        except UnreadableError:
            if inode_of(self._log) is not None:
                raise
            return self._open(state, live=False)  # a folder that we may not write in: it stays at rest, or `stream` notices

    def _open(self, state: FileState, *, live: bool) -> Opened:
        if not live:
            while 0 <= time.time() - state.mtime_ns / 1e9 < _SETTLE_S:
                time.sleep(_SETTLE_S / 4)
        try:
            opened = open_file(self.path, self.file, state, live=live, busy_ms=self._busy_ms, durability=self._durability)
        except sqlite3.Error as error:
            raise refusal(self.path, error) from error
        self._all.add(opened)
        return opened
