"""T4 for moves: the disk fills up when the move has begun. The old store counts as it was, or the new one; with room, all is well."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any, Final

from tests.torture.moves import LOGS, Scene
from tests.torture.small_disk import filled, on_small_disk
from tests.torture.trips import Trip

# Who plans is told that there is room: the disk fills up afterwards.
_LIE: Final = """\
import shutil
usage = shutil.disk_usage
shutil.disk_usage = lambda path: usage(path)._replace(free=1 << 40)
"""


def fill_the_disk_of_a_move(trip: Trip, folder: Path, *, pages: tuple[int, ...]) -> dict[str, Any]:
    """Make a trip on a small disk of its own, each time with another number of free pages.

    Args:
        trip: The move.
        folder: An empty folder.
        pages: How many pages are free, one number for each time.

    Returns:
        `counts` ("refused", "moved, with an error" and "done" -> how often), `wrong` (what should not have been).
    """
    return on_small_disk(fill, folder, repr(trip), repr(pages))


def fill(trip: Trip, pages: tuple[int, ...], *, disk: Path, temporary: Path) -> dict[str, Any]:
    """Do that, on a disk that is there; the private copies of the mover lie elsewhere. The first time the mover is not lied to."""
    counts: Counter[str] = Counter()
    wrong = []
    scenes = []
    for name, prelude in (("honest", ""), ("lied-to", _LIE)):
        (disk / name).mkdir()
        scenes.append(Scene(trip, disk / name, prelude=prelude, temporary=temporary / f"tmp-{name}"))
    for number, free in enumerate((0, *pages)):
        scene = scenes[number > 0]
        with scene.copy() as state:
            try:
                with filled(disk, free):
                    outcome = scene.tried(state)
                which = scene.judged(state, outcome)
                assert number or "there is not room enough" in outcome.errors, f"without room it says {outcome.errors!r}"
                scene.finished(state, may_stay=LOGS)
                counts[which] += 1
            except Exception as error:  # noqa: BLE001 - whatever is raised after an accident is a failure of the mover
                wrong.append(f"with {free} free pages: {type(error).__name__}: {error}")
    return {"counts": counts, "wrong": wrong}
