"""Making a directory store where there is none: staged whole beside its place, then given its name by one rename (C.31, C.33).

Nobody can hold the lock of a store that does not exist: founders hold one on the folder that it will lie in.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from sessionlab.errors import StoreLockedError
from sessionlab.storage.files import PRIVATE_FOLDER, fsync_folder, make_folder, refused
from sessionlab.storage.kernel_lock import wait_for_kernel
from sessionlab.storage.turns import Deadline, turn
from sessionlab.stores.directory_change import open_folder, remove_tree
from sessionlab.stores.directory_folder import ENTRIES, OPEN_FOLDER
from sessionlab.stores.directory_state import STATE_NAME, State
from sessionlab.stores.directory_writing import write_all, write_new

SUFFIX: Final = ".founding"


@contextlib.contextmanager
def founding(path: Path, *, timeout_ms: float) -> Iterator[None]:
    """Hold the right to found a store at a path. The folder that it will lie in is made when it is missing.

    Raises:
        StoreLockedError: It was not had in time.
        UnwritableError: The folder cannot be made or opened.
    """
    deadline = Deadline(timeout_ms)
    make_folder(path.parent)
    try:
        descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise refused(path.parent, error) from error
    try:
        with turn(path.parent.resolve() / path.name, deadline, store=path):
            if not wait_for_kernel(descriptor, deadline, path=path.parent):
                raise StoreLockedError(path, f"session store locked (timeout {timeout_ms:.0f}ms): another process is founding it")
            try:
                yield
            finally:
                fcntl.flock(descriptor, fcntl.LOCK_UN)  # closing is not enough when a process was forked off meanwhile
    finally:
        os.close(descriptor)


def found(path: Path, files: Mapping[str, bytes], *, is_normal: bool = True) -> None:
    """Make a store of version 1 that holds these files. It is there whole or not at all. `is_normal` as of `State`.

    Raises:
        UnwritableError: The system refuses; there is no store.
        UncertainWriteError: It is there, but may not survive a loss of power.
    """
    staging = path.name + SUFFIX
    state = State(1, time.time_ns() // 1_000_000, is_changing=False, is_normal=is_normal)
    try:
        parent = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise refused(path, error) from error
    try:
        _clear(staging, parent)
        os.mkdir(staging, PRIVATE_FOLDER, dir_fd=parent)
        with open_folder(staging, parent) as folder:
            os.mkdir(ENTRIES, PRIVATE_FOLDER, dir_fd=folder)
            with open_folder(ENTRIES, folder) as entries:
                write_all(entries, files)
                os.fsync(entries)
            write_new(folder, STATE_NAME, state.text())
            os.fsync(folder)
        os.rename(staging, path.name, src_dir_fd=parent, dst_dir_fd=parent)
    except BaseException as error:
        with contextlib.suppress(OSError):
            _clear(staging, parent)
        if isinstance(error, OSError):
            raise refused(path, error) from error
        raise
    finally:
        os.close(parent)
    fsync_folder(path.parent, written=path)


def _clear(staging: str, parent: int) -> None:
    """Remove what a founder that died left."""
    try:
        descriptor = os.open(staging, OPEN_FOLDER, dir_fd=parent)
    except FileNotFoundError:
        return
    try:
        remove_tree(ENTRIES, descriptor)
    finally:
        os.close(descriptor)
    remove_tree(staging, parent)
