"""Changing a directory store, under its lock: a crash anywhere leaves the old state or the new one, and no cache believes the other.

One session: its new file is written and forced to disk, the stamp says that a change is going on, one rename makes it the session's, the
folder is forced to disk, the stamp gets its next version. That the mark comes first is the answer to C.17: who finds it does not trust
what it remembers, and whoever takes the lock after a crash gives the store its next version.

Several sessions: a journal. All new files are written into a folder, with a note of what is to be removed, and forced to disk; one rename
of that folder decides. From then on every reader looks there first, the files move to their places, and whoever takes the lock after a
crash moves the rest.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from types import TracebackType
from typing import Final, Self

import msgspec

from sessionlab.errors import StoreError, UncertainWriteError
from sessionlab.storage.files import PRIVATE_FOLDER, refused
from sessionlab.stores import directory_state
from sessionlab.stores.directory_folder import ENTRIES, JOURNAL, MANIFEST, OPEN_FOLDER, READ_AND_WRITE, Folder, Journal, listed
from sessionlab.stores.directory_state import STATE_NAME, State
from sessionlab.stores.directory_writing import write_all, write_new
from sessionlab.stores.promotion import RECORD_NAME

LOCK_NAME: Final = "lock"
NEW_ENTRY: Final = "entry.new"
NEW_STATE: Final = "state.new"
NEW_JOURNAL: Final = "journal.new"
USUAL: Final = frozenset({STATE_NAME, ENTRIES, LOCK_NAME, RECORD_NAME})
"""What lies in the folder of a store that nobody is changing."""

_ADVICE: Final = "read the store again before going on"


class Change:
    """One change of an open store. Making it finishes what a program that died left half done; then `apply` is called once."""

    def __init__(self, folder: Folder) -> None:
        """Begin.

        Raises:
            UnwritableError: The system refuses; the store is as it was.
        """
        self.folder = folder
        self.state: State
        self._state_file = self._length = -1
        self._is_in_place = False
        with self._refusing():
            try:
                self._open_state()
                self._recover()
            except BaseException:
                self._close_state()
                raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._close_state()

    def apply(self, files: Mapping[str, bytes], removed: AbstractSet[str], *, is_normal: bool) -> None:
        """Make these files the sessions' of their names, and remove those, in one step.

        Args:
            files: Name -> content.
            removed: Names of files that are there.
            is_normal: Whether every key in the store is trimmed and lower-cased afterwards.

        Raises:
            UnwritableError: The system refuses; the store is as it was.
            UncertainWriteError: It refused so late that the store may hold the new state, whole.
        """
        with self._refusing():
            self._look_again()
            if self.state.is_normal and not is_normal:
                self._announce_spellings()
        if len(files) + len(removed) == 1:
            self._apply_one(files, removed)
            with self._deciding():
                os.fsync(self.folder.entries)
                self._bump(self.state.version + 1, is_normal=is_normal)
        else:
            version = self.state.version + 1
            self._decide(files, removed, version)
            # All of it is on disk, and every reader sees it. When the system refuses to move it now, the next writer does.
            with self._deciding(), self.folder.journal() as journal:
                if journal is not None:
                    self._arrive(journal, is_normal=is_normal)
        if not self.folder.is_current():
            reason = "was moved away while it was written, and what is in its place now is not what was written"
            raise UncertainWriteError(self.folder.path, reason, advice=_ADVICE)

    def _announce_spellings(self) -> None:
        """Say that there are other spellings, on the disk, before there are: nobody looks for them otherwise.

        Whoever finishes this change for a program that died goes by what the state says; and after a loss of power, which may keep the
        entries, it is all that tells. Nothing else of the state need survive that.
        """
        self._bump(self.state.version + 1, is_normal=False)
        os.fsync(self._state_file)

    def _apply_one(self, files: Mapping[str, bytes], removed: AbstractSet[str]) -> None:
        """Do what has become visible when this returns, and has not happened when it raises."""
        folder = self.folder
        with self._refusing(), _gone_after_error(folder.descriptor, NEW_ENTRY):
            for name, data in files.items():
                write_new(folder.descriptor, NEW_ENTRY, data)
                with self._marked():
                    os.rename(NEW_ENTRY, name, src_dir_fd=folder.descriptor, dst_dir_fd=folder.entries)
            for name in removed:
                with self._marked():
                    os.unlink(name, dir_fd=folder.entries)

    def _decide(self, files: Mapping[str, bytes], removed: AbstractSet[str], version: int) -> None:
        """Write the journal of a change and give it its name, by which the change is made."""
        folder = self.folder.descriptor
        with self._refusing():
            try:
                os.mkdir(NEW_JOURNAL, PRIVATE_FOLDER, dir_fd=folder)
                with open_folder(NEW_JOURNAL, folder) as journal:
                    write_all(journal, files)
                    write_new(journal, MANIFEST, msgspec.json.encode({"version": version, "removed": sorted(removed)}))
                    os.fsync(journal)
                with self._marked():
                    os.rename(NEW_JOURNAL, JOURNAL, src_dir_fd=folder, dst_dir_fd=folder)
            except BaseException:
                with contextlib.suppress(OSError):
                    remove_tree(NEW_JOURNAL, folder)
                raise
        with self._deciding():
            os.fsync(folder)

    def _arrive(self, journal: Journal, *, is_normal: bool) -> None:
        """Move what a journal holds to its place, and remove what it says. Done twice it does the same.

        The version goes up before the journal goes, so that no reader finds things as they were before it came.
        """
        folder = self.folder
        for name in journal.removed:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name, dir_fd=folder.entries)
        for name in sorted(journal.waiting):
            os.rename(name, name, src_dir_fd=journal.descriptor, dst_dir_fd=folder.entries)
        os.fsync(folder.entries)
        os.fsync(journal.descriptor)
        self._bump(max(journal.version, self.state.version + 1), is_normal=is_normal)
        self._remove_journal()

    def _remove_journal(self) -> None:
        """Remove a journal that has nothing left to move, for good: it must not come back and remove a session that was put since."""
        folder = self.folder.descriptor
        with open_folder(JOURNAL, folder) as journal, contextlib.suppress(FileNotFoundError):
            os.unlink(MANIFEST, dir_fd=journal)
        os.rmdir(JOURNAL, dir_fd=folder)
        os.fsync(folder)

    def _recover(self) -> None:
        """Finish or clear away what a program that died left."""
        folder = self.folder
        left = set(listed(folder.descriptor)) - USUAL
        if JOURNAL in left:
            with folder.journal() as journal:
                if journal is not None and (journal.waiting or journal.version > self.state.version):
                    if not self.state.is_changing:
                        self._set(self.state._replace(is_changing=True))
                    self._arrive(journal, is_normal=self.state.is_normal)
                else:
                    self._remove_journal()
        for name in left & {NEW_ENTRY, NEW_STATE}:
            os.unlink(name, dir_fd=folder.descriptor)
        if NEW_JOURNAL in left:
            remove_tree(NEW_JOURNAL, folder.descriptor)
        if self.state.is_changing:
            self._bump(self.state.version + 1, is_normal=self.state.is_normal)

    @contextlib.contextmanager
    def _marked(self) -> Iterator[None]:
        """Say in the stamp that a change is going on; take that back when it has not happened."""
        before = self.state
        self._set(before._replace(is_changing=True))
        try:
            yield
        except OSError:
            with contextlib.suppress(OSError):
                self._set(self.state._replace(is_changing=False))
            raise

    def _bump(self, version: int, *, is_normal: bool) -> None:
        """Give the store a version. The mark goes last, by a write of one byte, which no reader sees half."""
        self._set(State(version, time.time_ns() // 1_000_000, is_changing=True, is_normal=is_normal))
        self._set(self.state._replace(is_changing=False))

    def _set(self, state: State) -> None:
        """Write the state file: in place where that is safe (see `directory_state`), else as a new file."""
        text = state.text()
        is_mark = (state.version, state.updated_ms, state.is_normal) == (self.state.version, self.state.updated_ms, self.state.is_normal)
        if self._is_in_place and len(text) == self._length:
            piece = text[-1:] if is_mark else text
            if os.pwrite(self._state_file, piece, self._length - len(piece)) != len(piece):
                raise OSError(errno.EIO, "a state file was written in part")
        else:
            folder = self.folder.descriptor
            with contextlib.suppress(FileNotFoundError):
                os.unlink(NEW_STATE, dir_fd=folder)
            with _gone_after_error(folder, NEW_STATE):
                write_new(folder, NEW_STATE, text)
                os.rename(NEW_STATE, STATE_NAME, src_dir_fd=folder, dst_dir_fd=folder)
            os.fsync(folder)
            self._close_state()
            self._open_state()
            return
        self.state, self._raw = state, text

    def _open_state(self) -> None:
        self._state_file, found = self.folder.open_state(READ_AND_WRITE)
        raw = os.pread(self._state_file, directory_state.MAX_BYTES, 0)
        self._length, self._raw, self._inode = len(raw), raw, found.st_ino
        self.state = directory_state.parse(raw, store=self.folder.path)
        # One that has a second name is not written in place: what lies under that name is not ours.
        self._is_in_place = self.state.is_own and found.st_nlink == 1

    def _look_again(self) -> None:
        """Open the state file anew when a program that does not mind the lock has written it since it was opened."""
        found = os.stat(STATE_NAME, dir_fd=self.folder.descriptor, follow_symlinks=False)
        if found.st_ino != self._inode or found.st_nlink != 1 or os.pread(self._state_file, directory_state.MAX_BYTES, 0) != self._raw:
            self._close_state()
            self._open_state()

    def _close_state(self) -> None:
        descriptor, self._state_file = self._state_file, -1
        if descriptor >= 0:
            os.close(descriptor)

    @contextlib.contextmanager
    def _refusing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise refused(self.folder.path, error) from error

    @contextlib.contextmanager
    def _deciding(self) -> Iterator[None]:
        try:
            yield
        except (OSError, StoreError) as error:
            why = error.strerror if isinstance(error, OSError) else error.reason
            reason = f"was changed, but the disk refused something afterwards ({why}): the change may not survive a loss of power"
            raise UncertainWriteError(self.folder.path, reason, advice=_ADVICE) from error


@contextlib.contextmanager
def open_folder(name: str, parent: int) -> Iterator[int]:
    """Open a real folder inside an open one."""
    descriptor = os.open(name, OPEN_FOLDER, dir_fd=parent)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def remove_tree(name: str, parent: int) -> None:
    """Remove a folder of files inside an open one; nothing when it is not there. A folder in it makes this fail."""
    try:
        with open_folder(name, parent) as folder:
            for file in listed(folder):
                os.unlink(file, dir_fd=folder)
        os.rmdir(name, dir_fd=parent)
    except FileNotFoundError:
        pass


@contextlib.contextmanager
def _gone_after_error(folder: int, name: str) -> Iterator[None]:
    """Remove a temporary file when what it was for raises."""
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name, dir_fd=folder)
        raise
