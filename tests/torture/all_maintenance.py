"""All of the torture of maintenance, as rows of the table."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tests.torture import tracing
from tests.torture.failing import ERRORS
from tests.torture.full_disk import refusal_of_namespaces
from tests.torture.full_disk_maintenance import fill_the_disk_of_a_maintenance
from tests.torture.kill import Tally
from tests.torture.rows import Rows, Work, worded
from tests.torture.stopped_maintenance import fail_maintenance, kill_maintenance, kill_next_maintenance
from tests.torture.tended import TASKS, Task

_PAGES: Final = (*range(0, 16, 2), *range(16, 280, 24))
"""Free on the disk: from where nothing can be begun to where all fits."""

_SAMPLE: Final = 120
"""Of the points of one task: a database is written page by page, and one page more makes no other accident."""

_CHANGING: Final = tuple(call for call in ERRORS if call not in (*tracing.READS, *tracing.OPENS))


def add_maintenance(rows: Rows) -> None:
    """Put every maintenance to all of the torture."""
    for task in TASKS:
        rows.add(task.kind, task.deed, "killed", _killed(task))
    for task in TASKS:
        rows.add(task.kind, task.deed, "killed twice", _killed_twice(task))
    for task in TASKS:
        rows.add(task.kind, task.deed, "call fails", _failing(task))
    if (reason := refusal_of_namespaces()) is not None:
        rows.add("all", "maintenance", "disk full", lambda _: (0, f"not done: {reason}", []))
        return
    for task in TASKS:
        rows.add(task.kind, task.deed, "disk full", _full_disk(task))


def _killed(task: Task) -> Work:
    return lambda folder: _counted(kill_maintenance(task, folder, sample=_SAMPLE if task.deed == "maintain, little room" else None))


def _killed_twice(task: Task) -> Work:
    def work(folder: Path) -> tuple[int, str, list[str]]:
        accidents, tally = kill_next_maintenance(task, folder, first=16, accidents=4, sample=8)
        return sum(tally.counts.values()), f"after {accidents} sorts of kills", tally.failures

    return work


def _failing(task: Task) -> Work:
    # What is read, and how, is the same for all that is removed.
    calls = tuple(ERRORS) if task.deed in ("maintain", "undo", "save") else _CHANGING
    return lambda folder: _counted(fail_maintenance(task, folder, calls=calls, sample=_SAMPLE))


def _counted(tally: Tally) -> tuple[int, str, list[str]]:
    return sum(tally.counts.values()), worded(tally.counts), tally.failures


def _full_disk(task: Task) -> Work:
    def work(folder: Path) -> tuple[int, str, list[str]]:
        report = fill_the_disk_of_a_maintenance(task, folder, pages=_PAGES)
        return sum(report["counts"].values()), worded(report["counts"]), report["wrong"]

    return work
