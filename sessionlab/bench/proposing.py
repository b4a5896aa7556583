"""`python -m sessionlab.bench.proposing`: one fresh process that loads a store, lists it, and updates it, and what that took (B.5)."""

from __future__ import annotations

import logging
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from sessionlab.bench.measure import timed_ms
from sessionlab.bench.naive import NaiveStore
from sessionlab.bench.scope import NOW_MS, StoreKind
from sessionlab.bench.writer import open_writable
from sessionlab.entry import Entry
from sessionlab.stores.sqlite_opening import Durability

_LISTINGS = 3


class Proposed(msgspec.Struct, frozen=True, kw_only=True):
    """What a process is to do: open the store, list it, and update one session after the other. `store` is `None` for the naive one."""

    store: StoreKind | None
    path: str
    durability: Durability | None
    keys: tuple[str, ...]
    updates: int


class Took(msgspec.Struct, frozen=True, kw_only=True):
    """What that took: times in ms, and by how many MB of 10**6 bytes the process grew at most after its imports.

    `load_ms` is from nothing to the first list of all sessions, `list_ms` another such list, `update_ms` the median update, `cpu_ms` what
    the processors did for one.
    """

    load_ms: float
    list_ms: float
    update_ms: float
    cpu_ms: float
    peak_mb: float


def go(task: Proposed) -> Took:
    """Do it."""
    before = _peak_mb()
    start = time.perf_counter()
    with _opened(task) as store:
        kept = list(store.summaries())
        load_ms = (time.perf_counter() - start) * 1000
        list_ms = statistics.median(timed_ms(lambda: list(store.summaries())) for _ in range(_LISTINGS))
        del kept
        cpu = time.process_time()
        times = [timed_ms(_update(store, task.keys[turn % len(task.keys)], turn)) for turn in range(task.updates)]
        cpu_ms = (time.process_time() - cpu) * 1000 / task.updates
    update_ms = statistics.median(times)
    return Took(load_ms=load_ms, list_ms=list_ms, update_ms=update_ms, cpu_ms=cpu_ms, peak_mb=_peak_mb() - before)


def _opened(task: Proposed) -> Any:
    return NaiveStore(Path(task.path)) if task.store is None else open_writable(task.store, Path(task.path), task.durability)


def _update(store: Any, key: str, turn: int) -> Callable[[], object]:
    def change(_entry: Entry) -> Entry:
        return {"label": f"turn {turn} " + "x" * (turn * 37 % 97), "totalTokens": turn}

    return lambda: store.update(key, change, now_ms=NOW_MS + turn)


def _peak_mb() -> float:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) * 1024 / 1e6


def main(arguments: Sequence[str]) -> None:
    """Be that process."""
    logging.disable(logging.WARNING)
    click.echo(msgspec.json.encode(go(msgspec.json.decode(arguments[0], type=Proposed))))


if __name__ == "__main__":
    main(sys.argv[1:])
