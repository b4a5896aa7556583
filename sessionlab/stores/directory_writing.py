"""Writing a directory store's files: each is new, private, and on disk before anything leads to it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Final

from sessionlab.storage.files import PRIVATE_FILE

if TYPE_CHECKING:
    from concurrent.futures import Executor

BATCH: Final = 64
"""So many files are open at a time."""
FEW: Final = 16
"""So many files are written one after the other."""
_AT_ONCE: Final = 16

_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def write_new(folder: int, name: str, data: bytes) -> None:
    """Write a private file that is not there yet into an open folder, and force it to disk."""
    descriptor = _written(folder, name, data)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_all(folder: int, files: Mapping[str, bytes]) -> None:
    """Do so with several files.

    Many are forced to disk at once: the disk needs for sixteen hardly more time than for one. When this returns or raises, nothing
    goes on.
    """
    if len(files) <= FEW:
        for name, data in files.items():
            write_new(folder, name, data)
        return
    from concurrent.futures import ThreadPoolExecutor  # 5 ms that a listing need not pay

    waiting = iter(files.items())
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        while batch := list(islice(waiting, BATCH)):
            descriptors: list[int] = []
            try:
                for name, data in batch:
                    descriptors.append(_written(folder, name, data))
                _force(descriptors, pool)
            finally:
                for descriptor in descriptors:
                    os.close(descriptor)


def _written(folder: int, name: str, data: bytes) -> int:
    """Write a new file and return it, open."""
    descriptor = os.open(name, _NEW, PRIVATE_FILE, dir_fd=folder)
    try:
        waiting = memoryview(data)
        while waiting:
            waiting = waiting[os.write(descriptor, waiting) :]
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _force(descriptors: Sequence[int], pool: Executor) -> None:
    """Force open files to disk; when this raises, none is being forced any more."""
    forced = []
    try:
        for descriptor in descriptors:
            forced.append(pool.submit(os.fsync, descriptor))  # noqa: PERF401 - those before an error are waited for, too
    except RuntimeError:  # no thread can be started, as when the interpreter ends
        for descriptor in descriptors:
            os.fsync(descriptor)
    errors = [error for one in forced if (error := one.exception()) is not None]
    if errors:
        raise errors[0]
