"""Reading every session of a directory store in one consistent state, without writing anything and mostly without its lock.

A pass reads what is new since the pass before. When the stamp is the same before and after a pass, what was read is one state: a version
goes up with every change, and a change of several sessions is seen whole through its journal. After some passes among busy writers the lock
is taken for one more (C.11, which returns the last result instead, whatever it mixes).
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Final, Generic, NamedTuple, TypeVar

from sessionlab.errors import UnreadableError
from sessionlab.stores import directory_names as names
from sessionlab.stores.directory_folder import ENTRIES, Folder, Identity, Journal, Stamp

PASSES: Final = 3
"""Passes without the lock."""

SETTLED_NS: Final = 2_000_000_000
"""A file that was written this short a time before it was read might be written again without showing: same size, same tick of the clock,
and an inode number that was free again. It is read again next time."""

Value = TypeVar("Value")


class Seen(NamedTuple, Generic[Value]):
    """What a pass made of one file. `identity` is `None` for one that must be read again."""

    identity: Identity | None
    value: Value


class State(NamedTuple, Generic[Value]):
    """One consistent state: its stamp, and what was made of each file, by name."""

    stamp: Stamp
    files: Mapping[str, Seen[Value]]


Make = Callable[[str, bytes], Value]


def read_state(
    folder: Folder, make: Make[Value], *, known: Mapping[str, Seen[Value]], lock: Callable[[], AbstractContextManager[None]] | None
) -> State[Value]:
    """Read every session's file in one consistent state.

    Args:
        folder: The store.
        make: Turns (name, bytes) of a file into what is to be kept of it; what it raises is raised.
        known: What was made of files before; those that did not change meanwhile are not read again.
        lock: Holds the store's lock; `None` when it is held already.
    """
    for _ in range(PASSES if lock is not None else 0):
        before = folder.stamp()
        known = _pass(folder, make, known)
        if folder.stamp() == before:
            return State(before, known)
    with lock() if lock is not None else contextlib.nullcontext():
        stamp = folder.stamp()
        return State(stamp, _pass(folder, make, known))


def _pass(folder: Folder, make: Make[Value], known: Mapping[str, Seen[Value]]) -> dict[str, Seen[Value]]:
    """Look at every file once; read those that are not known as they are now."""
    started_ns = time.time_ns()
    with folder.journal() as journal:
        looked: dict[str, Seen[Value] | None] = {}
        for name in journal.waiting if journal is not None else ():
            looked[name] = _look(folder, name, journal, make, started_ns)
        try:
            with os.scandir(folder.entries) as listing:
                for file in listing:
                    name = file.name
                    if not names.is_entry(name) or name in looked or not file.is_file(follow_symlinks=False):
                        continue
                    before = known.get(name)
                    is_known = before is not None and before.identity is not None and journal is None and _identity(file) == before.identity
                    looked[name] = before if is_known else _look(folder, name, journal, make, started_ns)
        except OSError as error:
            raise UnreadableError(folder.path / ENTRIES, f"cannot be listed ({error.strerror})") from error
    return {name: seen for name, seen in looked.items() if seen is not None}


def _look(folder: Folder, name: str, journal: Journal | None, make: Make[Value], started_ns: int) -> Seen[Value] | None:
    """Read one file; `None` for one that is gone meanwhile, or may not be loaded."""
    read = None if names.is_blocked(name) else folder.read(name, journal)
    if read is None:
        return None
    data, identity = read
    is_sure = journal is None and identity.size == len(data) and identity.mtime_ns < started_ns - SETTLED_NS
    return Seen(identity if is_sure else None, make(name, data))


def _identity(file: os.DirEntry[str]) -> Identity | None:
    try:
        found = file.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None
    return Identity(found.st_ino, found.st_size, found.st_mtime_ns)


def list_names(folder: Folder, *, lock: Callable[[], AbstractContextManager[None]] | None) -> frozenset[str]:
    """Return the names of all files that are meant for a session, in one consistent state; none is opened. `lock` as of `read_state`."""
    for _ in range(PASSES if lock is not None else 0):
        before = folder.stamp()
        found = _names(folder)
        if folder.stamp() == before:
            return found
    with lock() if lock is not None else contextlib.nullcontext():
        return _names(folder)


def _names(folder: Folder) -> frozenset[str]:
    with folder.journal() as journal:
        first: frozenset[str] = frozenset() if journal is None else journal.waiting
        removed: frozenset[str] = frozenset() if journal is None else journal.removed
        try:
            with os.scandir(folder.entries) as listing:
                arrived = [file.name for file in listing if names.is_entry(file.name) and file.is_file(follow_symlinks=False)]
        except OSError as error:
            raise UnreadableError(folder.path / ENTRIES, f"cannot be listed ({error.strerror})") from error
    return frozenset(name for name in first.union(arrived) - removed if not names.is_blocked(name))
