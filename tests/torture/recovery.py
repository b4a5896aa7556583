"""T1 once more, on what a kill leaves: the next write cleans up, and is killed in the middle of that."""

from __future__ import annotations

import hashlib
import re
import shutil
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sessionlab.entry import Entry
from tests.torture import tracing
from tests.torture.backends import Backend
from tests.torture.kill import Tally, at_once, kill_everywhere, program_of, sampled
from tests.torture.operations import Operation, Stage
from tests.torture.stopped import kill_again
from tests.torture.tracing import Point

CLEAN_UP: Final = "store.put('agent:main:cleaned', {'sessionId': 'id-cleaned', 'updatedAt': 2})"
_UUID: Final = re.compile(r"\d+\.[0-9a-f]{8}-[0-9a-f-]{27}")
_TIME: Final = re.compile(rb"\d{13,}")


@dataclass(frozen=True)
class Crash:
    """What a kill left: the folder, and what a reader finds in it."""

    folder: Path
    content: dict[str, Entry]
    point: Point


def kill_recovery(
    backend: Backend, operation: Operation, folder: Path, *, first: int | None = None, crashes: int | None = None, sample: int | None = None
) -> tuple[int, Tally]:
    """Kill an operation before each of its calls; then, on everything different that this leaves, kill the next write likewise.

    What a reader finds after the first kill is what it finds after the second, with or without what was written then, and after that
    writing works and nothing is left over.

    Args:
        backend: The store.
        operation: What is being done when the process dies for the first time.
        folder: An empty folder to work in.
        first: Before how many calls at most the first kill comes; `None` for all.
        crashes: On how many of the leavings at most; `None` for all.
        sample: Before how many calls at most the second kill comes, on each of them; `None` for all.

    Returns:
        On how many leavings it was tried, and what came of it.
    """
    total = Tally(backend.name, operation.name, "kill in recovery", counts={"old": 0, "new": 0})
    chosen = sampled(_leavings(backend, operation, folder / "first", first), crashes, seed=f"{backend.name} {operation.name} crashes")

    def again(crash: Crash, second: Path) -> Tally:
        cleaning = Operation(name=f"recovery of {operation.name}", body=CLEAN_UP, before=crash.content)
        return kill_everywhere(backend, cleaning, second, sample=sample, original=crash.folder)

    return kill_again(total, chosen, folder, again), total


def _leavings(backend: Backend, operation: Operation, folder: Path, first: int | None) -> list[Crash]:
    """Kill the operation everywhere; return what is left, each sort once, in the order of the calls."""
    stage = Stage(backend, operation, folder)
    program = program_of(backend, operation, folder)
    with stage.copy() as copy:
        points = tracing.points(program, copy / backend.file_name, tracing.CHANGING)
    chosen = sampled(points, first, seed=f"{backend.name} {operation.name} first")
    seen: set[bytes] = set()
    lock = threading.Lock()

    def one(numbered: tuple[int, Point]) -> Crash | None:
        number, point = numbered
        with stage.copy() as copy:
            tracing.kill(program, copy / backend.file_name, point)
            looks = _looks(copy)
            with lock:
                if looks in seen:
                    return None
                seen.add(looks)
            kept = shutil.copytree(copy, folder / f"crash-{number}", symlinks=True)
            with backend.make(copy / backend.file_name) as store:  # not in what is kept: SQLite recovers as it reads
                return Crash(Path(kept), dict(store.items()), point)

    return [crash for crash in at_once(one, list(enumerate(chosen))) if crash is not None]


def _looks(folder: Path) -> bytes:
    """Return a digest of a folder's files that is the same for those that differ in processes, names by chance and times only."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*"), key=lambda path: _UUID.sub("*", str(path))):
        digest.update(_UUID.sub("*", str(path.relative_to(folder))).encode() + b"\0")
        if path.is_file():
            data = path.read_bytes()
            digest.update(b"%d\0" % bool(data) if ".lock" in path.name else hashlib.sha256(_TIME.sub(b"*", data)).digest())
    return digest.digest()
