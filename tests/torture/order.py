"""What no kill shows, because the system goes on: whether everything is on the disk before something is renamed that rests on it.

A loss of power may keep a rename and lose what was written before it. So whatever is renamed was forced to disk, and so was the folder
that something was renamed in before the next rename.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import Final

from tests.torture import tracing
from tests.torture.tracing import Point

_DESCRIPTOR: Final = re.compile(r"\d+<([^>]*)>")
_NAME: Final = re.compile(r'(?:<([^>]*)>, )?"([^"]*)"')
_MADE: Final = re.compile(r"\.staging-|/\.sessionlab/|/promotion\.json")
"""What the mover itself writes; what lies in the old store, its backend forces to disk as it needs."""

_OF_RUN: Final = "/.sessionlab/"

_LOG: Final = re.compile(r"-(wal|shm)$")
"""A database's log, which goes with the database."""


def unsafe_renames(points: Iterable[Point]) -> list[str]:
    """Return which renames came too early, and which are not on the disk at the end."""
    files: set[str] = set()
    folders: set[str] = set()
    found = []
    for point in points:
        if " = -1 " in point.line:
            continue
        path = _path(point)
        if point.name in tracing.SYNCS:
            files.discard(path)
            folders.discard(path)
        elif point.name in tracing.WRITES or (point.name in tracing.OPENS and "O_CREAT" in point.line):
            if _MADE.search(path):
                files.add(path)
        elif point.name in tracing.RENAMES:
            old, new = (os.path.join(folder, name) for folder, name in _NAME.findall(point.line))  # noqa: PTH118 - texts of strace's
            if _LOG.search(old):
                continue
            found += [f"{file} was not on the disk before {point}" for file in sorted(files) if file == old or file.startswith(f"{old}/")]
            found += [f"a rename in {folder} was not on the disk before {point}" for folder in sorted(folders)]
            files = {file for file in files if file != old and not file.startswith(f"{old}/")}
            folders.add(os.path.dirname(new))  # noqa: PTH120
    return found + [f"a rename in {folder} was not on the disk at the end" for folder in sorted(folders)]


def _path(point: Point) -> str:
    """Return the file or folder that a call is about."""
    if point.name in tracing.OPENS:
        return point.line.rpartition("<")[2].rpartition(">")[0]
    found = _DESCRIPTOR.search(point.line)
    return found[1] if found is not None else ""


def unsafe_removals(points: Iterable[Point]) -> list[str]:
    """Return what became of a store or of the files beside it before a run's folder was on the disk as far as it was written.

    Whatever a loss of power leaves, what is gone is in the run's archive, and what has another name stands in its list of files. Renames
    of transcripts, too, are on the disk when the program ends.
    """
    waiting: set[str] = set()
    renamed: set[str] = set()
    found = []
    for point in points:
        if " = -1 " in point.line:
            continue
        path = _path(point)
        if point.name in tracing.SYNCS:
            waiting.discard(path)
            renamed.discard(path)
        elif point.name in tracing.RENAMES:
            old, new = (os.path.join(folder, name) for folder, name in _NAME.findall(point.line))  # noqa: PTH118 - texts of strace's
            if _OF_RUN in new:
                found += [f"{old} was not on the disk before {point}"] if old in waiting else []
                waiting = {file for file in waiting if file != old} | {os.path.dirname(new)}  # noqa: PTH120
            else:
                found += [f"{file} was not on the disk before {point}" for file in sorted(waiting)]
                renamed |= {os.path.dirname(new)} if ".jsonl" in new else set()  # noqa: PTH120
        elif _OF_RUN in path:
            if point.name in tracing.WRITES:
                waiting.add(path)
            elif point.name in tracing.OPENS and "O_CREAT" in point.line and not path.endswith(("/events.jsonl", ".tmp")):
                waiting |= {path, os.path.dirname(path)}  # noqa: PTH120
        elif point.name in tracing.WRITES and ".lock" not in point.line:
            found += [f"{file} was not on the disk before {point}" for file in sorted(waiting)]
    return found + [f"a rename in {folder} was not on the disk at the end" for folder in sorted(renamed)]
