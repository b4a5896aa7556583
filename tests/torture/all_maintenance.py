"""All of the torture of maintenance, as rows of the table."""

from __future__ import annotations

from typing import Final

from tests.torture import tracing
from tests.torture.failing import ERRORS
from tests.torture.full_disk import refusal_of_namespaces
from tests.torture.full_disk_maintenance import fill_the_disk_of_a_maintenance
from tests.torture.rows import Rows, Work, counted, counted_twice, reported
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
    return counted(lambda folder: kill_maintenance(task, folder, sample=_SAMPLE if task.deed == "maintain, little room" else None))


def _killed_twice(task: Task) -> Work:
    return counted_twice(lambda folder: kill_next_maintenance(task, folder, first=16, accidents=4, sample=8))


def _failing(task: Task) -> Work:
    # What is read, and how, is the same for all that is removed.
    calls = tuple(ERRORS) if task.deed in ("maintain", "undo", "save") else _CHANGING
    return counted(lambda folder: fail_maintenance(task, folder, calls=calls, sample=_SAMPLE))


def _full_disk(task: Task) -> Work:
    return reported(lambda folder: fill_the_disk_of_a_maintenance(task, folder, pages=_PAGES))
