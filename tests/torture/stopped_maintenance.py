"""T1 and T3 for maintenance: killed before each system call that changes something, killed again in the next run, each call failing."""

from __future__ import annotations

from pathlib import Path

from tests.torture import tracing
from tests.torture.command_line import changes_something
from tests.torture.failing import ERRORS, failing
from tests.torture.holding import appearance
from tests.torture.kill import Tally, at_each, sampled
from tests.torture.maintenance import UNREMOVED, Tended
from tests.torture.order import unsafe_removals
from tests.torture.stopped import Leaving, kill_again, leavings, points
from tests.torture.tended import Task
from tests.torture.tracing import Point


def kill_maintenance(
    task: Task,
    folder: Path,
    *,
    sample: int | None = None,
    calls: tuple[str, ...] = tracing.CHANGING,
    prelude: str = "",
    original: Path | None = None,
    first: Tended | None = None,
) -> Tally:
    """Kill a maintenance before each of its calls, or before about `sample` of them, evenly spread, always the same.

    After each kill nothing is lost (see `Tended.looked_at`). Two ways lead on: undoing every run that is there, after somebody has written,
    gives back what was there before; and the same command once more ends with everything in its place, which can be undone. (Of a sample,
    it is one or the other in turns.) Without a kill, nothing is removed before what was put by of it is on the disk.

    Args:
        task: The maintenance.
        folder: An empty folder to work in.
        sample: How many points at most; `None` for all.
        calls: Before which ones.
        prelude: Python that breaks it.
        original: A state folder to begin with, as an accident left it.
        first: The scene of that accident.
    """
    scene = Tended(task, folder, original=original, first=first, prelude=prelude)
    every = points(scene, tracing.CHANGING, may_do_nothing=first is not None)
    found = [point for point in every if point.name in calls and changes_something(point)]
    tally = Tally(task.kind, task.deed, "kill", points=len(found), counts={"old": 0, "new": 0})
    tally.failures += unsafe_removals(every)

    def killed(state: Path, point: Point) -> str:
        outcome = tracing.kill(scene.program, state, point)
        which = scene.looked_at(state, acknowledged=outcome.acknowledged)
        if sample is None or point.number % 2:
            with scene.copy_of(state) as other:
                scene.undone(other, is_written=point.number % 4 > 1)
        if sample is None or not point.number % 2:
            scene.finished(state)
        return which

    at_each(tally, sampled(found, sample, seed=str(task)), scene.copy, killed)
    return tally


def kill_next_maintenance(
    task: Task, folder: Path, *, first: int | None = None, accidents: int | None = None, sample: int | None = None
) -> tuple[int, Tally]:
    """Kill a maintenance; then, on everything different that this leaves, kill the next run likewise, before about `sample` of its calls.

    Returns:
        On how many leavings it was tried, and what came of it; see `leavings` for `first` and `accidents`.
    """
    total = Tally(task.kind, task.deed, "kill in the next run", counts={"old": 0, "new": 0})
    begun = folder / "first"
    begun.mkdir()
    scene = Tended(task, begun)
    left = leavings(scene, folder, appearance, first=first, accidents=accidents, seed=str(task))

    def again(leaving: Leaving, second: Path) -> Tally:
        return kill_maintenance(task, second, sample=sample, original=leaving.state, first=scene)

    return kill_again(total, left, folder, again), total


def fail_maintenance(
    task: Task, folder: Path, *, sample: int | None = None, calls: tuple[str, ...] = tuple(ERRORS), prelude: str = ""
) -> Tally:
    """Let each of the maintenance's calls fail once, or about `sample` of them; arguments as of `kill_maintenance`.

    Either it ends with an error of ours in one line, and nothing is lost; or with none, and everything is done. The same command once more
    ends with everything in its place, which can be undone.
    """
    scene = Tended(task, folder, prelude=prelude)
    found = points(scene, calls)
    tally = Tally(task.kind, task.deed, "fail", points=len(found), counts={"refused": 0, "done, with an error": 0, "done": 0})

    def failed(state: Path, point: Point) -> str:
        outcome = tracing.fail(scene.program, state, point, ERRORS[point.name])
        which = scene.judged(state, outcome)
        assert which != "done" or not is_vital(point, task), "acknowledged although the disk refused it"
        scene.finished(state, may_stay=UNREMOVED if "unlink" in point.name else "")
        return which

    at_each(tally, sampled(found, sample, seed=str(task)), scene.copy, failed, words=failing)
    return tally


def is_vital(point: Point, task: Task) -> bool:
    """Say whether no maintenance is done for good without this call: what is recorded of it, and what is renamed.

    What goes into the store is the stores' own torture; of a save, nothing is vital that comes after it.
    """
    if task.deed == "save":
        return "/removed.jsonl" in point.line and point.name in (*tracing.SYNCS, *tracing.WRITES)
    if point.name not in (*tracing.SYNCS, *tracing.WRITES, *tracing.RENAMES) or " = -1 " in point.line:
        return False
    return "/.sessionlab/" in point.line or (point.name in tracing.RENAMES and ".jsonl.deleted." in point.line)
