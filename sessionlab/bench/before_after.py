"""What a program waits for before a migration and after it: the old and the new store of a run, measured in turns, on copies."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Final

from sessionlab import scratch
from sessionlab.bench.measure import medians_ms
from sessionlab.lab.dossier import Dossier
from sessionlab.migration.rehearsal import copy_store
from sessionlab.stores.location import StoreLocation, open_for_writing_at
from sessionlab.stores.writing import WritableStore

if TYPE_CHECKING:
    import pandas as pd

_COLUMNS: Final = ["store", "operation", "median_ms"]
_TIMEOUT_MS: Final = 30_000


def before_after(dossier: Dossier, *, rounds: int = 10) -> pd.DataFrame:
    """Measure listing, reading and updating in private copies of the old and of the new store.

    Args:
        dossier: Of the run.
        rounds: How often each operation is measured.

    Returns:
        One row per store and operation, none when one of the stores is gone or is OpenClaw's own. Columns: `store` (str), `operation` (str), `median_ms`
        (float).

    Raises:
        StoreError: A store cannot be read, or there is no room for the copies.
    """
    import pandas as pd

    moved = dossier.plan.moved
    if dossier.old is None or dossier.new is None or dossier.old.kind == "openclaw" or not moved:
        return pd.DataFrame(columns=_COLUMNS)
    key, counted, now_ms = moved[len(moved) // 2].key, itertools.count(), dossier.clock.now_ms
    operations: dict[str, Callable[[WritableStore], object]] = {
        "list all": lambda store: list(store.summaries()),
        "get one": lambda store: store.get(key),
        "update one": lambda store: store.update(key, lambda _entry: {"label": f"round {next(counted)}"}, now_ms=now_ms),
    }
    folder = scratch.make_folder("waits")
    try:
        with ExitStack() as stack:
            stores = {}
            for when, location in (("before", dossier.old), ("after", dossier.new)):
                place = folder / when
                place.mkdir(mode=0o700)
                stores[f"{when}: {location.kind}"] = stack.enter_context(_opened(copy_store(location, place)))
            calls = {
                f"{name}\0{operation}": partial(call, store) for operation, call in operations.items() for name, store in stores.items()
            }
            times = medians_ms(calls, runs=rounds)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return pd.DataFrame([(name, operation, times[f"{name}\0{operation}"]) for name in stores for operation in operations], columns=_COLUMNS)


def _opened(location: StoreLocation) -> WritableStore:
    return open_for_writing_at(location, durability="commit", timeout_ms=_TIMEOUT_MS)
