"""T1 and T3 for moves: killed before each system call that changes something, killed again in the next run, and each call failing once."""

from __future__ import annotations

from pathlib import Path

from tests.torture import tracing
from tests.torture.command_line import changes_something
from tests.torture.failing import ERRORS, failing
from tests.torture.kill import Tally, at_each, sampled
from tests.torture.moves import LOGS, SET_ASIDE, UNREMOVED, Moved, appearance
from tests.torture.order import unsafe_renames
from tests.torture.stopped import Leaving, kill_again, leavings, points
from tests.torture.tracing import Point
from tests.torture.trips import Trip


def kill_move(
    trip: Trip,
    folder: Path,
    *,
    sample: int | None = None,
    calls: tuple[str, ...] = tracing.CHANGING,
    prelude: str = "",
    original: Path | None = None,
    is_moved: bool = False,
) -> Tally:
    """Kill a move before each of its calls, or before about `sample` of them, evenly spread, always the same.

    After each kill one store counts and holds what it held; the same command once more ends with everything in its place, also when
    somebody has written a session in between. (Of a sample, it is one or the other in turns.) Without a kill, nothing is renamed before it
    is on the disk.

    Args:
        trip: The move.
        folder: An empty folder to work in.
        sample: How many points at most; `None` for all.
        calls: Before which ones.
        prelude: Python that breaks the mover.
        original: A state folder to begin with, as an accident left it.
        is_moved: Whether the new store counts already in that.
    """
    scene = Moved(trip, folder, original=original, prelude=prelude, is_moved=is_moved)
    every = points(scene, tracing.CHANGING)
    found = [point for point in every if point.name in calls and changes_something(point)]
    tally = Tally(str(trip), trip.operation, "kill", points=len(found), counts={"old": 0, "new": 0})
    tally.failures += unsafe_renames(every)

    def killed(state: Path, point: Point) -> str:
        outcome = tracing.kill(scene.program, state, point)
        which = scene.looked_at(state, acknowledged=outcome.acknowledged)
        if sample is None or point.number % 2:
            with scene.copy_of(state) as other:
                scene.finished(other, is_written=True, may_stay=SET_ASIDE)
        if sample is None or not point.number % 2:
            scene.finished(state)
        return which

    at_each(tally, sampled(found, sample, seed=f"{trip} {trip.operation}"), scene.copy, killed)
    return tally


def kill_next_move(
    trip: Trip, folder: Path, *, first: int | None = None, accidents: int | None = None, sample: int | None = None
) -> tuple[int, Tally]:
    """Kill a move; then, on everything different that this leaves, kill the next run likewise, before about `sample` of its calls.

    Returns:
        On how many leavings it was tried, and what came of it; see `leavings` for `first` and `accidents`.
    """
    total = Tally(str(trip), trip.operation, "kill in the next run", counts={"old": 0, "new": 0})
    begun = folder / "first"
    begun.mkdir()
    scene = Moved(trip, begun)
    left = leavings(scene, folder, appearance, first=first, accidents=accidents, seed=str(trip))

    def again(leaving: Leaving, second: Path) -> Tally:
        return kill_move(trip, second, sample=sample, original=leaving.state, is_moved=leaving.which == "new")

    return kill_again(total, left, folder, again), total


def fail_move(trip: Trip, folder: Path, *, sample: int | None = None, calls: tuple[str, ...] = tuple(ERRORS), prelude: str = "") -> Tally:
    """Let each of the move's calls fail once, or about `sample` of them; arguments as of `kill_move`.

    Either it ends with an error of ours, and the old store counts as it was, or the new one does; or with none, and everything is done.
    The same command once more ends with everything in its place.
    """
    scene = Moved(trip, folder, prelude=prelude)
    found = points(scene, calls)
    tally = Tally(str(trip), trip.operation, "fail", points=len(found), counts={"refused": 0, "moved, with an error": 0, "done": 0})

    def failed(state: Path, point: Point) -> str:
        outcome = tracing.fail(scene.program, state, point, ERRORS[point.name])
        which = scene.judged(state, outcome, may_leave_stage="unlink" in point.name)
        assert which != "done" or not is_vital(point), "acknowledged although the disk refused it"
        scene.finished(state, may_stay=UNREMOVED if "unlink" in point.name else LOGS)
        return which

    at_each(tally, sampled(found, sample, seed=f"{trip} {trip.operation}"), scene.copy, failed, words=failing)
    return tally


def is_vital(point: Point) -> bool:
    """Say whether no move is durable without this call: what is staged, what is renamed, and what is recorded of it."""
    if point.name not in (*tracing.SYNCS, *tracing.WRITES, *tracing.RENAMES) or " = -1 " in point.line:
        return False
    return ".staging-" in point.line or "/.sessionlab/" in point.line or point.name in tracing.RENAMES
