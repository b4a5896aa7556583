"""`./run torture`: every point of every operation on every store, of every move, every maintenance and of parallel sessions, and a table.

Exit code 1 when anything went wrong.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from tests.torture.all_maintenance import add_maintenance
from tests.torture.all_moves import add_moves
from tests.torture.all_parallel import add_parallel
from tests.torture.backends import DIRECTORY, JSON, Backend, available
from tests.torture.failing import fail_everywhere
from tests.torture.full_disk import fill_the_disk, refusal_of_namespaces
from tests.torture.kill import kill_everywhere
from tests.torture.operations import FIRST_WRITE, OPERATIONS, SAVE
from tests.torture.races import race, read_while_written
from tests.torture.recovery import kill_recovery
from tests.torture.rows import Rows, Work, counted, counted_twice
from tests.torture.size import many_sessions

MOVES: Final = "moves"
MAINTENANCE: Final = "maintenance"
PARALLEL: Final = "parallel"
"""The names that stand for the torture of moves, of maintenance and of parallel sessions among the names of stores."""

_RACES: Final[tuple[tuple[str, dict[str, Any]], ...]] = (
    ("8 processes x 500", {"processes": 8, "times": 500}),
    ("8 processes x 20, slowed", {"processes": 8, "times": 20, "delay_us": 50_000}),
)
_UPDATES: Final = 10_000
_MANY: Final = 100_000


def main(names: list[str]) -> int:
    """Run everything for the named backends, the moves, maintenance and parallel sessions, or for all of them.

    Returns:
        The exit code.
    """
    known = (*(backend.name for backend in available()), MOVES, MAINTENANCE, PARALLEL)
    unknown = set(names) - {*known}
    console = Console(stderr=True)
    if unknown:
        console.print(f"no such store: {', '.join(sorted(unknown))}; there are {', '.join(known)}")
        return 2
    begun = time.monotonic()
    rows = Rows(console)
    for backend in available():
        if not names or backend.name in names:
            add_backend(backend, rows, console)
    if not names or MOVES in names:
        add_moves(rows)
    if not names or MAINTENANCE in names:
        add_maintenance(rows)
    if not names or PARALLEL in names:
        add_parallel(rows)
    Console().print(rows.table())
    for row in rows:
        for failure in row.failures:
            print(f"{row.subject}, {row.operation}, {row.accident}: {failure}")  # noqa: T201 - a program's output
    accidents = sum(row.points for row in rows if row.accident not in ("race", "size"))
    console.print(f"{accidents:,} accidents in {time.monotonic() - begun:,.0f} s")
    return 1 if any(row.failures for row in rows) else 0


def add_backend(backend: Backend, rows: Rows, console: Console) -> None:
    """Put one backend to all of the torture."""

    def add(operation: str, what: str, work: Work) -> None:
        rows.add(backend.name, operation, what, work)

    for operation in OPERATIONS:
        for what, everywhere in (("killed", kill_everywhere), ("call fails", fail_everywhere)):
            add(operation.name, what, counted(partial(everywhere, backend, operation)))
    _recoveries(backend, add)
    for name, settings in _RACES:

        def raced(folder: Path, settings: Any = settings) -> tuple[int, str, list[str]]:
            readings, failures = race(backend, folder, **settings)
            return settings["processes"] * settings["times"] * 2, f"{readings:,} readings", failures

        add(name, "race", raced)

    def read(folder: Path) -> tuple[int, str, list[str]]:
        readings, failures = read_while_written(backend, folder, updates=_UPDATES)
        return _UPDATES, f"{readings:,} readings", failures

    add("update, read elsewhere", "race", read)

    def many(folder: Path) -> tuple[int, str, list[str]]:
        result, failures = many_sessions(backend, folder, number=_MANY)
        return 1, result, failures

    add(f"{_MANY:,} sessions", "size", many)
    if (reason := refusal_of_namespaces()) is None:
        add("put", "disk full", lambda folder: _full_disk(backend, folder))
    else:
        console.print(f"{backend.name}: no full disk: {reason}")


def _recoveries(backend: Backend, add: Callable[[str, str, Work], None]) -> None:
    # SQLite recovers by itself, and has its own tests of that; the plain store is only there for the tests themselves.
    few: dict[str, Any] = {} if backend in (JSON, DIRECTORY) else {"first": 12, "crashes": 2, "sample": 8}
    for operation in (FIRST_WRITE, SAVE):
        add(operation.name, "killed twice", counted_twice(partial(kill_recovery, backend, operation, **few)))


def _full_disk(backend: Backend, folder: Path) -> tuple[int, str, list[str]]:
    report = fill_the_disk(backend, folder)
    failures = list(report["wrong"])
    if not report["same"] or report["findings"]:
        failures.append(f"the store is not what was acknowledged: {report}")
    return len(report["refused"]), f"{len(report['refused'])} refused, {report['kept']} kept", failures


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
