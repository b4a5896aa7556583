"""T1 and T3 for parallel sessions: killed before each system call, killed again in the next process, and each call failing once."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

from tests.torture import tracing
from tests.torture.command_line import changes_something
from tests.torture.deeds import NEXT, PLACE, Deed
from tests.torture.failing import ERRORS, failing
from tests.torture.kill import Tally, at_each, sampled
from tests.torture.parallel import Remembering
from tests.torture.stopped import Leaving, kill_again, leavings, points
from tests.torture.tracing import Point

SUBJECT: Final = "shared memory"
"""What the table calls it."""


def kill_deed(
    deed: Deed,
    folder: Path,
    *,
    sample: int | None = None,
    calls: tuple[str, ...] = tracing.CHANGING,
    prelude: str = "",
    original: Path | None = None,
) -> Tally:
    """Kill a deed before each of its calls, or before about `sample` of them, evenly spread, always the same.

    After each kill the database is whole and has its schema; every step is done or not, and those that were acknowledged are; another
    process goes on at once, and when it has done the same again, everything is as without an accident. In every other case yet another
    one saves something in between. Without a kill, what is written is forced to disk before it is acknowledged.

    Args:
        deed: What is done.
        folder: An empty folder to work in.
        sample: How many points at most; `None` for all.
        calls: Before which ones.
        prelude: Python that breaks it.
        original: A state folder to begin with, as an accident left it.
    """
    scene = Remembering(deed, folder, original=original, prelude=prelude)
    every = points(scene, tracing.CHANGING)
    found = [point for point in every if point.name in calls and changes_something(point)]
    tally = Tally(SUBJECT, deed.name, "kill", points=len(found), counts={"old": 0, "new": 0}, failures=unsynced(every))

    def killed(state: Path, point: Point) -> str:
        return scene.inspect(state, tracing.kill(scene.program, state, point), is_written=point.number % 2 == 0)

    at_each(tally, sampled(found, sample, seed=deed.name), scene.copy, killed)
    return tally


def kill_next_deed(
    deed: Deed, folder: Path, *, first: int | None = None, accidents: int | None = None, sample: int | None = None
) -> tuple[int, Tally]:
    """Kill a deed; then, on everything different that this leaves, kill the next process, which recovers, before about `sample` calls.

    Returns:
        On how many leavings it was tried, and what came of it; see `leavings` for `first` and `accidents`.
    """
    total = Tally(SUBJECT, deed.name, "kill in recovery", counts={"old": 0, "new": 0})
    begun = folder / "first"
    begun.mkdir()
    left = leavings(Remembering(deed, begun), folder, appearance, first=first, accidents=accidents, seed=deed.name)

    def again(leaving: Leaving, second: Path) -> Tally:
        return kill_deed(NEXT, second, sample=sample, original=leaving.state)

    return kill_again(total, left, folder, again), total


def fail_deed(deed: Deed, folder: Path, *, sample: int | None = None, calls: tuple[str, ...] = tuple(ERRORS), prelude: str = "") -> Tally:
    """Let each of the deed's calls fail once, or about `sample` of them; arguments as of `kill_deed`.

    Either the step ends with an error about the store in one line, and nothing has changed, on the disk or in the process: what was to
    sleep is awake. Then the same process does it once more and goes on. Or it ends with none, and is done.
    """
    scene = Remembering(deed, folder, prelude=prelude, when_refused="again")
    found = points(scene, calls)
    tally = Tally(SUBJECT, deed.name, "fail", points=len(found), counts={"refused": 0, "uncertain": 0, "done": 0})

    def failed(state: Path, point: Point) -> str:
        outcome = tracing.fail(scene.program, state, point, ERRORS[point.name])
        which = scene.judged(state, outcome)
        assert which != "done" or not is_vital(point), "acknowledged although the disk refused it"
        scene.inspect(state, outcome, is_written=point.number % 2 == 0)
        return which

    at_each(tally, sampled(found, sample, seed=deed.name), scene.copy, failed, words=failing)
    return tally


def is_vital(point: Point) -> bool:
    """Say whether nothing is durable without this call: it goes into the log. What moves that to its place later is not."""
    is_writing = point.name in (*tracing.SYNCS, *tracing.WRITES)
    return is_writing and not point.acknowledged and f"{PLACE.name}-wal" in point.line and " = -1 " not in point.line


def unsynced(points: list[Point]) -> list[str]:
    """Say so if what went into the log was not forced to disk before all was acknowledged: no kill shows that, for the system goes on."""
    of_log = [point for point in points if is_vital(point)]
    is_safe = not of_log or of_log[-1].name in tracing.SYNCS
    return [] if is_safe else [f"was not on the disk when it was acknowledged: {of_log[-1]}"]


def appearance(state: Path) -> object:
    """Return what tells one leaving of a kill from another: which files there are, and what is in them; not what is in the log's index."""
    files = sorted(path for path in state.rglob("*") if path.is_file())
    return tuple((path.name, "" if path.name.endswith("-shm") else hashlib.sha256(path.read_bytes()).hexdigest()) for path in files)
