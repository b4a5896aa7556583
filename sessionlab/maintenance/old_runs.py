"""Archives of earlier maintenances that are too old: they hold whole entries, and go when the transcripts that were archived with them go.

What is gone for good with them is the way back: `undo` of such a run could bring no transcript back any more.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from sessionlab.errors import CorruptStoreError
from sessionlab.maintenance.policy import Policy
from sessionlab.maintenance.run_folder import MaintenanceRun, maintenance_runs
from sessionlab.runs import RUNS
from sessionlab.stores.locating import places
from sessionlab.stores.location import StoreLocation


class OldRun(NamedTuple):
    """The folder of a maintenance: its name, and the bytes of its files."""

    name: str
    bytes: int


def old_runs(location: StoreLocation, policy: Policy, *, root: Path, now_ms: int) -> tuple[OldRun, ...]:
    """Return the maintenances of a store that have ended and are older than archived transcripts get, the oldest first. Reads only.

    A run that cannot be read stays, whatever is wrong with it.

    Args:
        location: The store that counts; runs on a store that was moved there from another kind are its, too.
        policy: The rules; `archive_limit_ms` says how old.
        root: As for `apply_plan`.
        now_ms: The clock, epoch ms.
    """
    limit_ms = policy.archive_limit_ms("archive-deleted", has_removed=True)
    if limit_ms is None:
        return ()
    own = {str(path) for path in places(location).values()}
    found = (run.path for run in maintenance_runs(root) if _is_old(run, own, now_ms - limit_ms))
    return tuple(OldRun(path.name, sum(file.stat().st_size for file in path.iterdir())) for path in found)


def _is_old(run: MaintenanceRun, own: set[str], before_ms: int) -> bool:
    try:
        head = run.head()
        return head.store_path in own and head.created_ms < before_ms and run.has_ended()
    except CorruptStoreError:
        return False


def forget(runs: Iterable[OldRun], *, root: Path) -> int:
    """Remove the folders of runs for good; return how many there were. What is no file of a run's stays, and its folder with it."""
    number = 0
    for one in runs:
        run = MaintenanceRun(root / RUNS / one.name)
        with contextlib.suppress(OSError):
            run.remove()
            number += 1
    return number
