"""What the torture of moves and that of maintenance share: the command line in a program of its own, and copies of a state folder."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from sessionlab.runs import RUNS
from sessionlab.stores.base import SessionStore
from tests.torture import tracing
from tests.torture.backends import program_paths
from tests.torture.tracing import ACKNOWLEDGED, REAL_PYTHON, Outcome, Point

_PROGRAM: Final = """\
import os, sys
sys.path[:0] = {paths!r}
os.environ["TMPDIR"] = {temporary!r}
state = sys.argv[1]
{prelude}
from sessionlab.cli import main
sys.argv = ["sessionlab", *(part.replace("STATE", state) for part in {arguments!r})]
code = None
try:
    main()
except SystemExit as end:
    code = end.code
{judging}
if code:
    sys.exit(code)
print({acknowledged!r}, flush=True)
"""


def program(arguments: list[str], *, temporary: Path, prelude: str = "", judging: str = "") -> str:
    """Return a program that runs the command line: on the state folder that its first argument names, where STATE stands for it.

    Args:
        arguments: Of the command line.
        temporary: Where its temporary files lie.
        prelude: Python that is run before it, to break it or to watch it.
        judging: Python that is run after it, and may change its exit `code`.
    """
    return _PROGRAM.format(
        paths=program_paths(),
        temporary=str(temporary),
        prelude=prelude,
        arguments=arguments,
        judging=judging,
        acknowledged=ACKNOWLEDGED,
    )


def tried(program: Path, state: Path) -> Outcome:
    """Run such a program without an accident, and say how that ended."""
    command = [REAL_PYTHON, "-B", "-S", "-I", str(program), str(state)]
    done = subprocess.run(command, cwd="/", capture_output=True, text=True, check=False, timeout=120)
    return Outcome(None, done.returncode, done.stdout, done.stderr)


@contextlib.contextmanager
def copy_of(state: Path, folder: Path) -> Iterator[Path]:
    """Give a copy of a state folder, somewhere in `folder`; it goes afterwards."""
    place = Path(tempfile.mkdtemp(prefix="copy-", dir=folder))
    try:
        yield relocated(state, place / "state")
    finally:
        shutil.rmtree(place)


def relocated(state: Path, to: Path) -> Path:
    """Copy a state folder, so that the runs in the copy tell of the copy."""
    shutil.copytree(state, to, symlinks=True)
    for path in (to / RUNS).rglob("*"):
        if path.is_file():
            path.write_bytes(path.read_bytes().replace(os.fsencode(state), os.fsencode(to)))
    return to


def refuse_findings(store: SessionStore) -> None:
    """Look for errors in a store.

    Raises:
        AssertionError: There are some.
    """
    errors = [problem.message for problem in store.check() if problem.severity == "error"]
    assert not errors, f"check finds {errors}"


def difference(wanted: Mapping[str, object], found: Mapping[str, object]) -> str:
    """Return in words which names have something else, or nothing, or should have nothing."""
    changed = [key for key in found if key in wanted and found[key] != wanted[key]]
    return f"changed {changed}; more {[key for key in found if key not in wanted]}; missing {[key for key in wanted if key not in found]}"


def changes_something(point: Point) -> bool:
    """Say whether the disk is another one after this call: not after one that fails, nor after opening what is there."""
    is_opened = point.name in tracing.OPENS and "O_CREAT" not in point.line and "O_TRUNC" not in point.line
    return not is_opened and " = -1 " not in point.line
