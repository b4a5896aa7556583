"""What can be wrong with a directory store: files that hold no session, files that are none, and folders that others may write in."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

import msgspec

from sessionlab.entry import Entry, canonical_digest
from sessionlab.errors import CorruptStoreError
from sessionlab.stores import directory_documents as documents
from sessionlab.stores import directory_names as names
from sessionlab.stores.base import Problem
from sessionlab.stores.checks import blocked_key_problem, entry_problems, worst_first
from sessionlab.stores.directory_change import NEW_ENTRY, NEW_JOURNAL, NEW_STATE, USUAL
from sessionlab.stores.directory_folder import ENTRIES, JOURNAL, Folder, listed, unsafe
from sessionlab.stores.directory_reading import read_state
from sessionlab.stores.directory_spool import Spool

_OURS: Final = USUAL | {JOURNAL, NEW_ENTRY, NEW_JOURNAL, NEW_STATE}
"""Names that lie in the folder of a store, if only while it is changed."""


def examine_store(
    folder: Folder, digests: list[tuple[str, bytes]], *, lock: Callable[[], AbstractContextManager[None]] | None
) -> tuple[Problem, ...]:
    """Read one state of a store strictly; return what is wrong, worst first.

    Args:
        folder: The store.
        digests: Gets (key, digest of the canonical entry) of every session that can be read.
        lock: As of `directory_reading.read_state`.
    """
    found = [*folder_problems(folder)]
    with Spool() as spool:
        state = read_state(folder, lambda _name, data: spool.put(memoryview(data)), known={}, lock=lock)

        def sound() -> Iterator[tuple[str, Entry]]:
            for name in sorted(state.files):
                path = folder.path / ENTRIES / name
                try:
                    key, entry = documents.decode(name, spool.take(state.files[name].value), path=path)
                except CorruptStoreError as error:
                    reason, line = documents.problem_of(error)
                    advice = "mend it or move it away by hand, or restore a backup"
                    bad = Problem(code="bad_entry", severity="error", message=reason, path=str(path), line=line, advice=advice)
                    found.append(msgspec.structs.replace(bad, key=names.decode(name)))
                else:
                    digests.append((key, canonical_digest(entry)))
                    yield key, entry

        odd = entry_problems(sound(), path=folder.path)
    return worst_first([*found, *odd])


def folder_problems(folder: Folder) -> Iterator[Problem]:
    """Yield what is wrong around the sessions: who else may write there, and what lies there that is no session."""
    for descriptor, path in ((folder.descriptor, folder.path), (folder.entries, folder.path / ENTRIES)):
        reason = unsafe(os.fstat(descriptor))
        if reason is not None:
            yield Problem(
                code="unsafe_folder",
                severity="warning",
                message=f"{reason}: nothing is written there",
                path=str(path),
                advice="make it yours alone: chown, chmod 700",
            )
    yield from _odd_files(folder)


def _odd_files(folder: Folder) -> Iterator[Problem]:
    """Yield what lies in a store and is no part of it."""
    for name in sorted(set(listed(folder.descriptor)) - _OURS):
        yield _odd(folder.path / name, "is no part of a session store")
    with os.scandir(folder.entries) as listing:
        for file in sorted(listing, key=lambda file: file.name):
            path = folder.path / ENTRIES / file.name
            try:
                mode = file.stat(follow_symlinks=False).st_mode
            except FileNotFoundError:
                continue
            if not names.is_entry(file.name):
                yield _odd(path, "has no name of a session's file: not loaded")
            elif not stat.S_ISREG(mode):
                what = "a symbolic link" if stat.S_ISLNK(mode) else "a folder" if stat.S_ISDIR(mode) else "no regular file"
                yield _odd(path, f"is {what}, not a session's file: not loaded")
            elif names.is_blocked(file.name):
                yield blocked_key_problem(names.decode(file.name) or "", path)


def _odd(path: Path, message: str) -> Problem:
    return Problem(code="odd_file", severity="warning", message=message, path=str(path), advice="move it away: it is not used")
