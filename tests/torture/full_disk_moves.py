"""T4 for moves: the disk fills up when the move has begun. The old store counts as it was, or the new one; with room, all is well."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from tests.torture.moves import LOGS, Moved
from tests.torture.small_disk import at_each_filling, on_small_disk
from tests.torture.tracing import Outcome
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
    scenes = []
    for name, prelude in (("honest", ""), ("lied-to", _LIE)):
        (disk / name).mkdir()
        scenes.append(Moved(trip, disk / name, prelude=prelude, temporary=temporary / f"tmp-{name}"))
    honest, lied_to = scenes

    def looked_at(scene: Moved, state: Path, outcome: Outcome) -> str:
        which = scene.judged(state, outcome)
        assert scene is lied_to or "there is not room enough" in outcome.errors, f"without room it says {outcome.errors!r}"
        scene.finished(state, may_stay=LOGS)
        return which

    return at_each_filling(disk, [(0, honest), *((free, lied_to) for free in pages)], looked_at)
