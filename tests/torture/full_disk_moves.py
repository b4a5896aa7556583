"""T4 for moves: the disk fills up when the move has begun. The old store counts as it was, or the new one; with room, all is well."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from tests.torture.backends import program_paths
from tests.torture.moves import LOGS, Scene
from tests.torture.trips import Trip

SIZE: Final = "4m"
PAGE: Final = 4096
"""Of the disk: a file takes whole ones."""

# Who plans is told that there is room: the disk fills up afterwards.
_LIE: Final = """\
import shutil
usage = shutil.disk_usage
shutil.disk_usage = lambda path: usage(path)._replace(free=1 << 40)
"""
_PROGRAM: Final = """\
import json, sys
sys.path[:0] = {paths!r}
from pathlib import Path
from tests.torture.full_disk_moves import fill
from tests.torture.trips import Trip
print(json.dumps(fill({trip!r}, Path(sys.argv[1]), {pages!r}, temporary=Path({temporary!r}))))
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
    disk, program = folder / "disk", folder / "program.py"
    disk.mkdir()
    program.write_text(_PROGRAM.format(paths=program_paths(), trip=trip, pages=pages, temporary=str(folder)), encoding="utf-8")
    inside = 'mount -t tmpfs -o size="$1" none "$2" && exec "$3" -B -I "$4" "$2"'
    command = ["unshare", "-Urm", "sh", "-c", inside, "sh", SIZE, str(disk), sys.executable, str(program)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, f"ended with {done.returncode}: {done.stderr.strip()[-900:]}"
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def fill(trip: Trip, disk: Path, pages: tuple[int, ...], *, temporary: Path) -> dict[str, Any]:
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
                with _filled(disk, free):
                    outcome = scene.tried(state)
                which = scene.judged(state, outcome)
                assert number or "there is not room enough" in outcome.errors, f"without room it says {outcome.errors!r}"
                scene.finished(state, may_stay=LOGS)
                counts[which] += 1
            except Exception as error:  # noqa: BLE001 - whatever is raised after an accident is a failure of the mover
                wrong.append(f"with {free} free pages: {type(error).__name__}: {error}")
    return {"counts": counts, "wrong": wrong}


@contextlib.contextmanager
def _filled(disk: Path, pages: int) -> Iterator[None]:
    """Leave so many pages of a disk free."""
    free = os.statvfs(disk).f_bavail - pages
    filler = disk / "filler"
    filler.write_bytes(bytes(free * PAGE))
    try:
        assert os.statvfs(disk).f_bavail == pages, "the disk is of another kind than expected"
        yield
    finally:
        filler.unlink()
