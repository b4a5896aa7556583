"""T4 for maintenance: the disk fills up when it has begun. Nothing is lost; with room, the same command again ends with everything done."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.torture.maintenance import UNREMOVED, Tended
from tests.torture.small_disk import at_each_filling, on_small_disk
from tests.torture.tended import Task
from tests.torture.tracing import Outcome


def fill_the_disk_of_a_maintenance(task: Task, folder: Path, *, pages: tuple[int, ...]) -> dict[str, Any]:
    """Maintain a store on a small disk of its own, each time with another number of free pages.

    Args:
        task: The maintenance.
        folder: An empty folder.
        pages: How many pages are free, one number for each time.

    Returns:
        `counts` ("refused", "done, with an error" and "done" -> how often), `wrong` (what should not have been).
    """
    return on_small_disk(fill, folder, repr(task), repr(pages))


def fill(task: Task, pages: tuple[int, ...], *, disk: Path, temporary: Path) -> dict[str, Any]:
    """Do that, on a disk that is there; private copies of the store lie elsewhere."""
    (disk / "scene").mkdir()
    scene = Tended(task, disk / "scene", temporary=temporary / "tmp")

    def looked_at(scene: Tended, state: Path, outcome: Outcome) -> str:
        which = scene.judged(state, outcome)
        with scene.copy_of(state) as other:
            scene.undone(other)
        scene.finished(state, may_stay=UNREMOVED)
        return which

    return at_each_filling(disk, ((free, scene) for free in pages), looked_at)
