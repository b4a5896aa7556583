"""A small disk of our own, on which somebody leaves only so many pages free."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final, TypeVar

from tests.torture.backends import program_paths
from tests.torture.scene import Scene
from tests.torture.tracing import Outcome

SIZE: Final = "4m"
PAGE: Final = 4096
"""Of the disk: a file takes whole ones."""

_Scene = TypeVar("_Scene", bound=Scene)

_PROGRAM: Final = """\
import json, sys
sys.path[:0] = {paths!r}
from pathlib import Path
from tests.torture.tended import Task
from tests.torture.trips import Trip
from {module} import {name}
print(json.dumps({name}({arguments}disk=Path(sys.argv[1]), temporary=Path({temporary!r}))))
"""


def on_small_disk(work: Callable[..., dict[str, Any]], folder: Path, *arguments: str) -> dict[str, Any]:
    """Work on a small disk, in a program of its own.

    Args:
        work: A function of a module; its arguments are these, `disk`, where the disk is, and `temporary`, an empty folder elsewhere.
        folder: An empty folder.
        arguments: As Python.

    Returns:
        What it returns.
    """
    disk, program = folder / "disk", folder / "program.py"
    disk.mkdir()
    text = _PROGRAM.format(
        paths=program_paths(),
        module=work.__module__,
        name=work.__name__,
        arguments="".join(f"{one}, " for one in arguments),
        temporary=str(folder),
    )
    program.write_text(text, encoding="utf-8")
    inside = 'mount -t tmpfs -o size="$1" none "$2" && exec "$3" -B -I "$4" "$2"'
    command = ["unshare", "-Urm", "sh", "-c", inside, "sh", SIZE, str(disk), sys.executable, str(program)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, f"ended with {done.returncode}: {done.stderr.strip()[-900:]}"
    report: dict[str, Any] = json.loads(done.stdout)
    return report


@contextlib.contextmanager
def filled(disk: Path, pages: int) -> Iterator[None]:
    """Leave so many pages of a disk free."""
    free = os.statvfs(disk).f_bavail - pages
    filler = disk / "filler"
    filler.write_bytes(bytes(free * PAGE))
    try:
        assert os.statvfs(disk).f_bavail == pages, "the disk is of another kind than expected"
        yield
    finally:
        filler.unlink()


def at_each_filling(disk: Path, scenes: Iterable[tuple[int, _Scene]], looked_at: Callable[[_Scene, Path, Outcome], str]) -> dict[str, Any]:
    """Let each scene's program run while so many pages of the disk are free, and look at what that leaves when there is room again.

    Returns:
        `counts` (what `looked_at` returned -> how often), `wrong` (what it raised, and with how many free pages).
    """
    counts: Counter[str] = Counter()
    wrong = []
    for free, scene in scenes:
        with scene.copy() as state:
            try:
                with filled(disk, free):
                    outcome = scene.tried(state)
                counts[looked_at(scene, state, outcome)] += 1
            except Exception as error:  # noqa: BLE001 - whatever is raised after an accident is a failure
                wrong.append(f"with {free} free pages: {type(error).__name__}: {error}")
    return {"counts": counts, "wrong": wrong}
