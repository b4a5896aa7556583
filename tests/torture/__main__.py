"""`./run torture`: every point of every operation on every store, and a table of what came of it. Exit code 1 when anything went wrong."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from tests.torture.backends import DIRECTORY, JSON, Backend, available
from tests.torture.failing import fail_everywhere
from tests.torture.full_disk import fill_the_disk, refusal_of_namespaces
from tests.torture.kill import kill_everywhere
from tests.torture.operations import FIRST_WRITE, OPERATIONS, SAVE, Operation
from tests.torture.races import race, read_while_written
from tests.torture.recovery import kill_recovery
from tests.torture.size import many_sessions

Row = tuple[str, str, str, int, str, list[str]]
_RACES: Final[tuple[tuple[str, dict[str, Any]], ...]] = (
    ("8 processes x 500", {"processes": 8, "times": 500}),
    ("8 processes x 20, slowed", {"processes": 8, "times": 20, "delay_us": 50_000}),
)
_UPDATES: Final = 10_000
_MANY: Final = 100_000


def main(names: list[str]) -> int:
    """Run everything for the named backends, or for all of them.

    Returns:
        The exit code.
    """
    chosen = [backend for backend in available() if not names or backend.name in names]
    unknown = set(names) - {backend.name for backend in chosen}
    console = Console(stderr=True)
    if unknown:
        console.print(f"no such store: {', '.join(sorted(unknown))}; there are {', '.join(backend.name for backend in available())}")
        return 2
    begun = time.monotonic()
    rows = [row for backend in chosen for row in rows_of(backend, console)]
    Console().print(table_of(rows))
    for backend, operation, what, _, _, failures in rows:
        for failure in failures:
            print(f"{backend}, {operation}, {what}: {failure}")  # noqa: T201 - a program's output
    accidents = sum(row[3] for row in rows if row[2] not in ("race", "size"))
    console.print(f"{accidents:,} accidents in {time.monotonic() - begun:,.0f} s")
    return 1 if any(row[5] for row in rows) else 0


def rows_of(backend: Backend, console: Console) -> list[Row]:
    """Put one backend to all of the torture."""
    rows: list[Row] = []

    def add(operation: str, what: str, work: Callable[[Path], tuple[int, str, list[str]]]) -> None:
        console.print(f"{backend.name}: {operation}, {what}")
        with tempfile.TemporaryDirectory(prefix="torture-") as folder:
            try:
                points, result, failures = work(Path(folder))
            except Exception as error:  # noqa: BLE001 - the table is to be complete
                points, result, failures = 0, "", [f"{type(error).__name__}: {error}"]
        rows.append((backend.name, operation, what, points, result, failures))

    for operation in OPERATIONS:
        for everywhere in (kill_everywhere, fail_everywhere):

            def accidents(folder: Path, everywhere: Any = everywhere, operation: Any = operation) -> tuple[int, str, list[str]]:
                tally = everywhere(backend, operation, folder)
                result = ", ".join(f"{number} {what}" for what, number in tally.counts.items() if number)
                return tally.points, result, tally.failures

            add(operation.name, "killed" if everywhere is kill_everywhere else "call fails", accidents)
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
    return rows


def _recoveries(backend: Backend, add: Callable[[str, str, Callable[[Path], tuple[int, str, list[str]]]], None]) -> None:
    # SQLite recovers by itself, and has its own tests of that; the plain store is only there for the tests themselves.
    few = {} if backend in (JSON, DIRECTORY) else {"first": 12, "crashes": 2, "sample": 8}
    for operation in (FIRST_WRITE, SAVE):

        def recovered(folder: Path, operation: Operation = operation) -> tuple[int, str, list[str]]:
            crashes, tally = kill_recovery(backend, operation, folder, **few)
            return sum(tally.counts.values()), f"after {crashes} sorts of kills", tally.failures

        add(operation.name, "killed twice", recovered)


def _full_disk(backend: Backend, folder: Path) -> tuple[int, str, list[str]]:
    report = fill_the_disk(backend, folder)
    failures = list(report["wrong"])
    if not report["same"] or report["findings"]:
        failures.append(f"the store is not what was acknowledged: {report}")
    return len(report["refused"]), f"{len(report['refused'])} refused, {report['kept']} kept", failures


def table_of(rows: list[Row]) -> Table:
    """Return the table: one line per backend, operation and accident."""
    table = Table("store", "operation", "accident", "points", "came of it", "failures")
    for column in (3, 5):
        table.columns[column].justify = "right"
    for store, operation, what, points, result, failures in rows:
        table.add_row(store, operation, what, f"{points:,}", result, str(len(failures)), style="bold red" if failures else "")
    return table


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
