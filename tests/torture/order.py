"""What no kill shows, because the system goes on: whether everything is on the disk before something is renamed that rests on it.

A loss of power may keep a rename and lose what was written before it. So whatever is renamed was forced to disk, and so was the folder
that something was renamed in before the next rename.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Literal

from tests.torture import tracing
from tests.torture.tracing import Point

_DESCRIPTOR: Final = re.compile(r"\d+<([^>]*)>")
_NAME: Final = re.compile(r'(?:<([^>]*)>, )?"([^"]*)"')
_MADE: Final = re.compile(r"\.staging-|/\.sessionlab/|/promotion\.json")
"""What the mover itself writes; what lies in the old store, its backend forces to disk as it needs."""

_OF_RUN: Final = "/.sessionlab/"

_LOG: Final = re.compile(r"-(wal|shm)$")
"""A database's log, which goes with the database."""


@dataclass(frozen=True)
class _Step:
    """What a call that succeeded did: to the file or folder at `path`, which a rename gave the name `new`."""

    point: Point
    act: Literal["sync", "write", "create", "rename", "else"]
    path: str
    new: str = ""


def unsafe_renames(points: Iterable[Point]) -> list[str]:
    """Return which renames came too early, and which are not on the disk at the end."""
    files: set[str] = set()
    folders: set[str] = set()
    found = []
    for step in _steps(points):
        path = step.path
        if step.act == "sync":
            files.discard(path)
            folders.discard(path)
        elif step.act in ("write", "create"):
            if _MADE.search(path):
                files.add(path)
        elif step.act == "rename" and not _LOG.search(path):
            moved = {file for file in files if file == path or file.startswith(f"{path}/")}
            found += [f"{file} was not on the disk before {step.point}" for file in sorted(moved)]
            found += [f"a rename in {folder} was not on the disk before {step.point}" for folder in sorted(folders)]
            files -= moved
            folders.add(_folder(step.new))
    return found + _not_at_the_end(folders)


def unsafe_removals(points: Iterable[Point]) -> list[str]:
    """Return what became of a store or of the files beside it before a run's folder was on the disk as far as it was written.

    Whatever a loss of power leaves, what is gone is in the run's archive, and what has another name stands in its list of files. Renames
    of transcripts, too, are on the disk when the program ends.
    """
    waiting: set[str] = set()
    renamed: set[str] = set()
    found = []
    for step in _steps(points):
        path, too_early = step.path, [f"{file} was not on the disk before {step.point}" for file in sorted(waiting)]
        if step.act == "sync":
            waiting.discard(path)
            renamed.discard(path)
        elif step.act == "rename" and _OF_RUN in step.new:
            found += [f"{path} was not on the disk before {step.point}"] if path in waiting else []
            waiting = (waiting - {path}) | {_folder(step.new)}
        elif step.act == "rename":
            found += too_early
            renamed |= {_folder(step.new)} if ".jsonl" in step.new else set()
        elif _OF_RUN in path:
            if step.act == "write":
                waiting.add(path)
            elif step.act == "create" and not path.endswith(("/events.jsonl", ".tmp")):
                waiting |= {path, _folder(path)}
        elif step.act == "write" and ".lock" not in step.point.line:
            found += too_early
    return found + _not_at_the_end(renamed)


def _steps(points: Iterable[Point]) -> Iterator[_Step]:
    for point in points:
        if " = -1 " in point.line:
            continue
        if point.name in tracing.RENAMES:
            old, new = (os.path.join(folder, name) for folder, name in _NAME.findall(point.line))  # noqa: PTH118 - texts of strace's
            yield _Step(point, "rename", old, new)
        elif point.name in tracing.OPENS:
            opened = point.line.rpartition("<")[2].rpartition(">")[0]
            yield _Step(point, "create" if "O_CREAT" in point.line else "else", opened)
        else:
            of_descriptor = _DESCRIPTOR.search(point.line)
            act: Literal["sync", "write", "else"] = "sync" if point.name in tracing.SYNCS else "else"
            if point.name in tracing.WRITES:
                act = "write"
            yield _Step(point, act, of_descriptor[1] if of_descriptor is not None else "")


def _folder(path: str) -> str:
    return os.path.dirname(path)  # noqa: PTH120 - a text of strace's


def _not_at_the_end(folders: Iterable[str]) -> list[str]:
    return [f"a rename in {folder} was not on the disk at the end" for folder in sorted(folders)]
