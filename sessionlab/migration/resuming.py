"""Runs that were stopped: finished when their new store has its name already, else abandoned, so that the next one starts anew."""

from __future__ import annotations

from sessionlab.migration.execute import finish
from sessionlab.migration.places import runs_of
from sessionlab.migration.report import Report
from sessionlab.migration.run_folder import RunFolder
from sessionlab.stores.locating import places
from sessionlab.stores.location import StoreKind, StoreLocation


def unfinished(location: StoreLocation) -> tuple[RunFolder, ...]:
    """Return the runs of a store that have no end, the newest first. One of them may be going on right now. Reads only.

    Raises:
        CorruptStoreError: The folder of one cannot be read.
    """
    own = {str(path) for path in places(location).values()}
    found = [run for run in runs_of(location) if not run.has_ended() and run.head().source.path in own]
    return tuple(reversed(found))


def resume(location: StoreLocation, *, to: StoreKind) -> tuple[tuple[RunFolder, Report], ...]:
    """Finish or abandon the runs of a store that were stopped.

    Args:
        location: Where it lies, whichever of its kinds counts.
        to: What is wanted now; see `execute.finish`.

    Returns:
        Those that were finished, with their reports, the newest first. The store has to be looked for again when there is one.

    Raises:
        StoreError: As for `execute.finish`.
    """
    return tuple((run, report) for run in unfinished(location) if (report := finish(run, to=to)) is not None)
