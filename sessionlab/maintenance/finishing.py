"""Runs that were stopped: the next maintenance of the store does what they had left to do to the files beside it.

Whoever is killed after entries were removed leaves their transcripts under the names that they had: nobody refers to them any more, and no
later plan is about them. What was decided on them stands in the run's folder.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sessionlab.errors import CorruptStoreError
from sessionlab.maintenance.apply import LOCK_TIMEOUT_MS, Caretaker
from sessionlab.maintenance.neighbours import summaries_beside
from sessionlab.maintenance.plan import FileDecision
from sessionlab.maintenance.run_folder import REMOVED, MaintenanceRun, maintenance_runs
from sessionlab.stores.location import StoreLocation, open_for_writing_at
from sessionlab.stores.writing import WritableStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """What was left to do for a run that was stopped: transcripts that were archived now, files that were removed for good."""

    run: MaintenanceRun
    renamed: int
    deleted: int


def stopped_runs(location: StoreLocation, *, root: Path) -> list[MaintenanceRun]:
    """Return the maintenances of a store that have no end, the oldest first. One of them may be going on right now. Reads only.

    One that cannot be read is none of them: it is no reason to keep others back, and what it archived is where it was.

    Args:
        location: The store that counts.
        root: As for `apply_plan`.
    """
    return [run for run in maintenance_runs(root) if _is_stopped(run, str(location.path))]


def _is_stopped(run: MaintenanceRun, store_path: str) -> bool:
    try:
        return run.head().store_path == store_path and not run.has_ended()
    except CorruptStoreError:
        return False


def finish_stopped(location: StoreLocation, *, root: Path, timeout_ms: float = LOCK_TIMEOUT_MS) -> tuple[Finished, ...]:
    """Do what maintenances of a store that were stopped had left to do: to the transcripts of entries that they removed.

    Archives and backups that they were to remove for good are left to the plan of the next one. A transcript whose entry is in the store,
    or that another entry refers to by now, stays.

    Args:
        location: The store that counts.
        root: As for `apply_plan`.
        timeout_ms: How long to wait for the store's lock.

    Returns:
        Those runs for which something was done, the oldest first.

    Raises:
        StoreError: As for `apply_plan`.
    """
    if not stopped_runs(location, root=root):
        return ()
    found = []
    with open_for_writing_at(location, durability="commit", timeout_ms=timeout_ms) as store, store.held():
        for run in stopped_runs(location, root=root):
            run.remove_leftovers()
            if (run.path / REMOVED).exists():
                found.append(_finished(run, location, store))
            else:
                run.remove_if_idle()
    return tuple(one for one in found if one.renamed or one.deleted)


def _finished(run: MaintenanceRun, location: StoreLocation, store: WritableStore) -> Finished:
    run.cut_torn_event()
    summaries = list(store.summaries())
    session_ids = {one.key: one.session_id for one in summaries}
    # Under a key that was used again lies another session.
    gone = {key for key, entry in run.removed() if key not in session_ids or session_ids[key] != entry.get("sessionId")}
    left = [FileDecision(one.name, one.bytes, one.action, one.key) for one in run.files() if one.key in gone]
    caretaker = Caretaker(location.sessions_dir, run)
    caretaker.look_after(left, gone, (*summaries, *summaries_beside(location)))
    run.end("finished", detail=f"{caretaker.renamed + caretaker.deleted} files")
    return Finished(run=run, renamed=caretaker.renamed, deleted=caretaker.deleted)
