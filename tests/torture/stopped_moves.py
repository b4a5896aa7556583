"""T1 and T3 for moves: killed before each system call that changes something, killed again in the next run, and each call failing once."""

from __future__ import annotations

from pathlib import Path

from tests.torture import tracing
from tests.torture.command_line import changes_something, relocated
from tests.torture.failing import ERRORS
from tests.torture.kill import Tally, at_once, count, sampled
from tests.torture.moves import LOGS, SET_ASIDE, UNREMOVED, Scene, appearance
from tests.torture.order import unsafe_renames
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
    scene = Scene(trip, folder, original=original, prelude=prelude, is_moved=is_moved)
    every = _points(scene, tracing.CHANGING)
    found = [point for point in every if point.name in calls and changes_something(point)]
    tally = Tally(str(trip), trip.operation, "kill", points=len(found), counts={"old": 0, "new": 0})
    tally.failures += unsafe_renames(every)

    def one(point: Point) -> tuple[str, str]:
        with scene.copy() as state:
            try:
                outcome = tracing.kill(scene.program, state, point)
                which = scene.looked_at(state, acknowledged=outcome.acknowledged)
                if sample is None or point.number % 2:
                    with scene.copy_of(state) as other:
                        scene.finished(other, is_written=True, may_stay=SET_ASIDE)
                if sample is None or not point.number % 2:
                    scene.finished(state)
            except Exception as error:  # noqa: BLE001 - whatever is raised after an accident is a failure of the mover
                return "failed", f"killed before {point}: {type(error).__name__}: {error}"
            return which, ""

    count(tally, at_once(one, sampled(found, sample, seed=f"{trip} {trip.operation}")))
    return tally


def kill_next_move(
    trip: Trip, folder: Path, *, first: int | None = None, accidents: int | None = None, sample: int | None = None
) -> tuple[int, Tally]:
    """Kill a move; then, on everything different that this leaves, kill the next run likewise.

    Args:
        trip: The move.
        folder: An empty folder to work in.
        first: Before how many calls at most the first kill comes; `None` for all.
        accidents: On how many of the leavings at most; `None` for all.
        sample: Before how many calls at most the second kill comes, on each of them; `None` for all.

    Returns:
        On how many leavings it was tried, and what came of it.
    """
    total = Tally(str(trip), trip.operation, "kill in the next run", counts={"old": 0, "new": 0})
    begun = folder / "first"
    begun.mkdir()
    scene = Scene(trip, begun)
    points = [point for point in _points(scene, tracing.CHANGING) if changes_something(point)]
    left: dict[object, tuple[Point, Path, bool]] = {}
    for number, point in enumerate(sampled(points, first, seed=f"{trip} first")):
        with scene.copy() as state:
            tracing.kill(scene.program, state, point)
            kept = relocated(state, folder / f"left-{number}" / "state")
            is_moved = scene.looked_at(state, acknowledged=False) == "new"
            left.setdefault(appearance(kept), (point, kept, is_moved))
    chosen = sampled(list(left.values()), accidents, seed=f"{trip} accidents")
    for number, (point, kept, is_moved) in enumerate(chosen):
        second = folder / f"second-{number}"
        second.mkdir()
        tally = kill_move(trip, second, sample=sample, original=kept, is_moved=is_moved)
        total.add(tally, after=f"after a kill before {point}")
    return len(chosen), total


def fail_move(trip: Trip, folder: Path, *, sample: int | None = None, calls: tuple[str, ...] = tuple(ERRORS), prelude: str = "") -> Tally:
    """Let each of the move's calls fail once, or about `sample` of them; arguments as of `kill_move`.

    Either it ends with an error of ours, and the old store counts as it was, or the new one does; or with none, and everything is done.
    The same command once more ends with everything in its place.
    """
    scene = Scene(trip, folder, prelude=prelude)
    found = _points(scene, calls)
    tally = Tally(str(trip), trip.operation, "fail", points=len(found), counts={"refused": 0, "moved, with an error": 0, "done": 0})

    def one(point: Point) -> tuple[str, str]:
        with scene.copy() as state:
            try:
                outcome = tracing.fail(scene.program, state, point, ERRORS[point.name])
                which = scene.judged(state, outcome, may_leave_stage="unlink" in point.name)
                assert which != "done" or not is_vital(point), "acknowledged although the disk refused it"
                scene.finished(state, may_stay=UNREMOVED if "unlink" in point.name else LOGS)
            except Exception as error:  # noqa: BLE001 - whatever is raised after an accident is a failure of the mover
                return "failed", f"{ERRORS[point.name]} of {point}: {type(error).__name__}: {error}"
            return which, ""

    count(tally, at_once(one, sampled(found, sample, seed=f"{trip} {trip.operation}")))
    return tally


def _points(scene: Scene, calls: tuple[str, ...]) -> list[Point]:
    with scene.copy() as state:
        found = tracing.points(scene.program, state, calls)
        assert found, "the program touches nothing in the state folder"
        assert scene.looked_at(state, acknowledged=True) == "new"
        return found


def is_vital(point: Point) -> bool:
    """Say whether no move is durable without this call: what is staged, what is renamed, and what is recorded of it."""
    if point.name not in (*tracing.SYNCS, *tracing.WRITES, *tracing.RENAMES) or " = -1 " in point.line:
        return False
    return ".staging-" in point.line or "/.sessionlab/" in point.line or point.name in tracing.RENAMES
