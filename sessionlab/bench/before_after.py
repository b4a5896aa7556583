"""What a program waits for before a migration and after it: the old and the new store of a run, measured in turns, on copies."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Final

from sessionlab import scratch
from sessionlab.bench.measure import medians_ms
from sessionlab.errors import CorruptStoreError
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
        One row per store and operation. Columns: `store` (str), `operation` (str), `median_ms` (float). No row where there is nothing to
        compare: a store is gone, empty, OpenClaw's own, or holds an entry that cannot be read, so that no program could open it.

    Raises:
        StoreError: A store is written all the time, or there is no room for the copies.
    """
    import pandas as pd

    nothing = pd.DataFrame(columns=_COLUMNS)
    if dossier.old is None or dossier.new is None or dossier.old.kind == "openclaw":
        return nothing
    folder = scratch.make_folder("waits")
    try:
        with ExitStack() as stack:
            stores: dict[str, WritableStore] = {}
            for when, location in (("before", dossier.old), ("after", dossier.new)):
                place = folder / when
                place.mkdir(mode=0o700)
                stores[f"{when}: {location.kind}"] = stack.enter_context(_opened(copy_store(location, place)))
            both = set.intersection(*({key for key, _ in store.items()} for store in stores.values()))
            shared = [one.key for one in dossier.plan.moved if one.key in both]
            times = _measured(stores, shared[len(shared) // 2], dossier.clock.now_ms, rounds=rounds) if shared else []
    except CorruptStoreError:
        return nothing
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return pd.DataFrame(times, columns=_COLUMNS)


def _measured(stores: Mapping[str, WritableStore], key: str, now_ms: int, *, rounds: int) -> list[tuple[str, str, float]]:
    counted = itertools.count()
    operations: dict[str, Callable[[WritableStore], object]] = {
        "list all": lambda store: list(store.summaries()),
        "get one": lambda store: store.get(key),
        "update one": lambda store: store.update(key, lambda _entry: {"label": f"round {next(counted)}"}, now_ms=now_ms),
    }
    calls = {(name, operation): partial(call, store) for operation, call in operations.items() for name, store in stores.items()}
    times = medians_ms({"\0".join(pair): call for pair, call in calls.items()}, runs=rounds)
    return [(name, operation, times[f"{name}\0{operation}"]) for name in stores for operation in operations]


def _opened(location: StoreLocation) -> WritableStore:
    return open_for_writing_at(location, durability="commit", timeout_ms=_TIMEOUT_MS)
