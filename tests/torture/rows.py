"""The table that `./run torture` prints: one row for each sort of accident, on each store or move."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

from tests.torture.kill import Tally

Work = Callable[[Path], tuple[int, str, list[str]]]
"""Works in an empty folder; returns the number of accidents, what came of them, and what went wrong."""


class Row(NamedTuple):
    """One line of the table."""

    subject: str
    operation: str
    accident: str
    points: int
    result: str
    failures: list[str]


class Rows(list[Row]):
    """All lines so far."""

    def __init__(self, console: Console) -> None:
        """Begin with none; the console is told what is done."""
        super().__init__()
        self._console = console

    def add(self, subject: str, operation: str, accident: str, work: Work) -> None:
        """Do the work, in a folder of its own, and note what came of it."""
        begun = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="torture-") as folder:
            try:
                points, result, failures = work(Path(folder))
            except Exception as error:  # noqa: BLE001 - the table is to be complete
                points, result, failures = 0, "", [f"{type(error).__name__}: {error}"]
        self.append(Row(subject, operation, accident, points, result, failures))
        self._console.print(f"{subject}: {operation}, {accident}: {points:,}, {len(failures)} failures, {time.monotonic() - begun:,.0f} s")

    def table(self) -> Table:
        """Return the table."""
        table = Table("store", "operation", "accident", "points", "came of it", "failures")
        for column in (3, 5):
            table.columns[column].justify = "right"
        for row in self:
            values = (row.subject, row.operation, row.accident, f"{row.points:,}", row.result, str(len(row.failures)))
            table.add_row(*values, style="bold red" if row.failures else "")
        return table


def worded(counts: Mapping[str, int]) -> str:
    """Return counts as they stand in the table."""
    return ", ".join(f"{number:,} {what}" for what, number in counts.items() if number)


def counted(work: Callable[[Path], Tally]) -> Work:
    """Return work of which a tally comes, as the table has it."""

    def done(folder: Path) -> tuple[int, str, list[str]]:
        tally = work(folder)
        return sum(tally.counts.values()), worded(tally.counts), tally.failures

    return done


def counted_twice(work: Callable[[Path], tuple[int, Tally]]) -> Work:
    """Return work that is done on what accidents leave, as the table has it."""

    def done(folder: Path) -> tuple[int, str, list[str]]:
        accidents, tally = work(folder)
        return sum(tally.counts.values()), f"after {accidents} sorts of kills", tally.failures

    return done


def reported(work: Callable[[Path], dict[str, Any]]) -> Work:
    """Return work that reports `counts` and what is `wrong`, as the table has it."""

    def done(folder: Path) -> tuple[int, str, list[str]]:
        report = work(folder)
        return sum(report["counts"].values()), worded(report["counts"]), report["wrong"]

    return done
