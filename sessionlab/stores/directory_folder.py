"""The folder of a directory store, opened for one operation: what lies in it, and that it is what it should be (C.7, C.43 to C.45).

Everything is reached from two open folders, never by a path, and no link is followed: who swaps one for a link meanwhile leads nobody out.
Reads only, but for `refuse_unsafe`, which reads, too.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple, Self

from sessionlab import codec
from sessionlab.errors import CorruptStoreError, UnreadableError, UnwritableError
from sessionlab.stores import directory_names as names
from sessionlab.stores import directory_state
from sessionlab.stores.directory_state import STATE_NAME, State
from sessionlab.stores.promotion import RECORD_NAME, Promotion
from sessionlab.stores.promotion import decode as decode_promotion

ENTRIES: Final = "entries"
JOURNAL: Final = "journal"
MANIFEST: Final = "manifest.json"
READ: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
READ_AND_WRITE: Final = READ | os.O_RDWR
OPEN_FOLDER: Final = READ | os.O_DIRECTORY


class Identity(NamedTuple):
    """By what a file is known to be the one that was read before."""

    inode: int
    size: int
    mtime_ns: int


class Stamp(NamedTuple):
    """What tells one state of the store from another: the version (C.16), and besides what shows that somebody did not mind it."""

    raw: bytes
    is_settled: bool
    entries: tuple[int, int, int]
    journal: int | None


class Journal(NamedTuple):
    """A change of several sessions that is decided, though not all of it has arrived in `entries`; see `directory_journal`."""

    descriptor: int
    version: int
    waiting: frozenset[str]
    removed: frozenset[str]


class Folder:
    """A `sessions.d` that is active: both folders are real ones, and `state.json` is a valid file (C.7)."""

    def __init__(self, path: Path, descriptor: int, entries: int) -> None:
        """Take over open folders; use `open`."""
        self.path = path
        self.descriptor = descriptor
        self.entries = entries

    @classmethod
    def open(cls, path: Path) -> Self | None:
        """Open a folder; `None` when there is nothing at the path.

        Raises:
            CorruptStoreError: There is something, but it is no active store. That is never an empty one.
            UnreadableError: The system does not let us read it.
        """
        try:
            descriptor = _open_folder(path, None, path)
        except FileNotFoundError:
            return None
        try:
            entries = _open_folder(ENTRIES, descriptor, path)
        except FileNotFoundError as error:
            os.close(descriptor)
            raise CorruptStoreError(path, f"is no session store: it has no folder {ENTRIES}", advice="move it away by hand") from error
        except BaseException:
            os.close(descriptor)
            raise
        return cls(path, descriptor, entries)

    def close(self) -> None:
        """Close both folders."""
        os.close(self.entries)
        os.close(self.descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def is_current(self) -> bool:
        """Say whether the store's path still leads to the folders that are open here (C.44)."""
        try:
            here = os.path.samestat(self.path.lstat(), os.fstat(self.descriptor))
            inside = os.stat(ENTRIES, dir_fd=self.descriptor, follow_symlinks=False)
            return here and os.path.samestat(inside, os.fstat(self.entries))
        except OSError:
            return False

    def refuse_unsafe(self) -> None:
        """Raise `UnwritableError` when others than the current user could write in either folder (C.43)."""
        for descriptor, part in ((self.descriptor, ""), (self.entries, ENTRIES)):
            reason = unsafe(os.fstat(descriptor))
            if reason is not None:
                raise UnwritableError(self.path / part, f"refusing {reason}", advice="make it yours alone: chown, chmod 700")

    def open_state(self, flags: int = READ) -> tuple[int, os.stat_result]:
        """Open `state.json` and say what it is. To whom wants to write, the system's refusal comes as it is.

        Raises:
            CorruptStoreError: It is missing, or no regular file.
            UnreadableError: The system refuses.
        """
        try:
            descriptor = os.open(STATE_NAME, flags, dir_fd=self.descriptor)
        except FileNotFoundError as error:
            raise CorruptStoreError(self.path, f"is no session store: it has no {STATE_NAME}", advice="restore it from a backup") from error
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise CorruptStoreError(self.path / STATE_NAME, "is a symbolic link, not a file") from error
            if error.errno == errno.EISDIR:
                raise CorruptStoreError(self.path / STATE_NAME, "is not a regular file") from error
            if flags != READ:
                raise
            raise UnreadableError(self.path / STATE_NAME, f"cannot be read ({error.strerror})") from error
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            os.close(descriptor)
            raise CorruptStoreError(self.path / STATE_NAME, "is not a regular file")
        return descriptor, found

    def raw_state(self) -> bytes:
        """Return `state.json` as it is."""
        descriptor, _ = self.open_state()
        try:
            return os.read(descriptor, directory_state.MAX_BYTES)
        except OSError as error:
            raise UnreadableError(self.path / STATE_NAME, f"cannot be read ({error.strerror})") from error
        finally:
            os.close(descriptor)

    def state(self) -> State:
        """Return what `state.json` says.

        Raises:
            CorruptStoreError: It is missing or says nothing.
            UnsupportedSchemaError: It is of another layout.
        """
        return directory_state.parse(self.raw_state(), store=self.path)

    def promotion(self) -> Promotion | None:
        """Return the record of having taken another store's place; `None` without one."""
        found = _read_with_identity(self.descriptor, RECORD_NAME, self.path, "")
        return None if found is None else decode_promotion(found[0], path=self.path / RECORD_NAME)

    def stamp(self) -> Stamp:
        """Return what tells the present state from any other. One that is not settled tells nothing beyond the moment."""
        raw = self.raw_state()
        state = directory_state.parse(raw, store=self.path)
        entries = os.fstat(self.entries)
        try:
            journal = os.stat(JOURNAL, dir_fd=self.descriptor, follow_symlinks=False).st_ino
        except FileNotFoundError:
            journal = None
        is_settled = not state.is_changing and journal is None
        return Stamp(raw, is_settled, (entries.st_dev, entries.st_ino, entries.st_mtime_ns), journal)

    def journal(self) -> AbstractContextManager[Journal | None]:
        """Give the decided change whose files are looked at before those in `entries`; `None` when there is none.

        Raises:
            CorruptStoreError: There is one that cannot be read.
        """
        try:
            descriptor = _open_folder(JOURNAL, self.descriptor, self.path)
        except FileNotFoundError:
            return contextlib.nullcontext()
        return self._journal(descriptor)

    @contextlib.contextmanager
    def _journal(self, descriptor: int) -> Iterator[Journal | None]:
        path = self.path / JOURNAL
        try:
            waiting = frozenset(name for name in listed(descriptor) if names.is_entry(name))
            found = _read_with_identity(descriptor, MANIFEST, self.path, JOURNAL)
            if found is None:  # all of it arrived a moment ago
                yield None
                return
            content = codec.decode_object(found[0], path=path / MANIFEST)
            version, removed = content.get("version"), content.get("removed")
            if not isinstance(version, int) or not isinstance(removed, list):
                raise CorruptStoreError(path / MANIFEST, "is not what it should be", advice="restore the store from a backup")
            yield Journal(descriptor, version, waiting, frozenset(map(str, removed)))
        finally:
            os.close(descriptor)

    def read(self, name: str, journal: Journal | None) -> tuple[bytes, Identity] | None:
        """Return the file of a session and its identity; `None` when there is none, or what is there is no file (C.8).

        A file moves from the journal into `entries` and never back: who looks in this order misses nothing.
        """
        if journal is not None:
            if name in journal.removed:
                return None
            if name in journal.waiting:
                found = _read_with_identity(journal.descriptor, name, self.path, JOURNAL)
                if found is not None:
                    return found
        return _read_with_identity(self.entries, name, self.path, ENTRIES)

    def holds(self, name: str) -> bool:
        """Say whether `entries` has a regular file of this name, which may be removed (C.45)."""
        mode = self._mode(name)
        return mode is not None and stat.S_ISREG(mode)

    def is_blocked_up(self, name: str) -> bool:
        """Say whether `entries` has something of this name that is no regular file."""
        mode = self._mode(name)
        return mode is not None and not stat.S_ISREG(mode)

    def _mode(self, name: str) -> int | None:
        try:
            return os.stat(name, dir_fd=self.entries, follow_symlinks=False).st_mode
        except FileNotFoundError:
            return None


def is_active(path: Path) -> bool:
    """Say whether an active directory store lies at a path (C.7).

    Raises:
        UnreadableError: The system does not let us see it.
        UnsupportedSchemaError: It is one, of a layout that we do not know.
    """
    try:
        folder = Folder.open(path)
        if folder is None:
            return False
        with folder:
            folder.state()
    except CorruptStoreError:
        return False
    return True


def _open_folder(name: Path | str, parent: int | None, store: Path) -> int:
    """Open a real folder; raises `FileNotFoundError` when there is nothing, and an error of ours for all else."""
    try:
        return os.open(name, OPEN_FOLDER, dir_fd=parent)
    except FileNotFoundError:
        raise
    except OSError as error:
        path = store / name
        if error.errno in (errno.ENOTDIR, errno.ELOOP):
            is_link = stat.S_ISLNK(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode)
            what = "a symbolic link" if is_link else "no folder"
            raise CorruptStoreError(path, f"is {what}, where a session store has a real folder") from error
        raise UnreadableError(path, f"cannot be read ({error.strerror})") from error


def listed(folder: int) -> list[str]:
    """Return the names in an open folder."""
    return os.listdir(folder)


def _read_with_identity(folder: int, name: str, store: Path, part: str) -> tuple[bytes, Identity] | None:
    """Return a regular file in an open folder; `None` when there is none. Store and part name the folder in messages only."""
    try:
        descriptor = os.open(name, READ, dir_fd=folder)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):
            return None
        raise UnreadableError(store / part / name, f"cannot be read ({error.strerror})") from error
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            return None
        # One byte more than there should be: the end shows in the same call.
        data = os.read(descriptor, found.st_size + 1)
        if len(data) != found.st_size:
            data += _rest(descriptor)
    except OSError as error:
        raise UnreadableError(store / part / name, f"cannot be read ({error.strerror})") from error
    finally:
        os.close(descriptor)
    return data, Identity(found.st_ino, found.st_size, found.st_mtime_ns)


def _rest(descriptor: int) -> bytes:
    """Return what is left of a file that one call did not give whole (beyond 2 GiB, or written meanwhile by a program in place)."""
    pieces = []
    while piece := os.read(descriptor, 1 << 20):
        pieces.append(piece)
    return b"".join(pieces)


def unsafe(found: os.stat_result) -> str | None:
    """Return what makes a folder unsafe to write in, or `None` (C.43)."""
    if found.st_uid != os.geteuid():
        return f"session-store directory of another user (uid {found.st_uid})"
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return f"writable session-store directory (mode {stat.S_IMODE(found.st_mode):04o})"
    return None
