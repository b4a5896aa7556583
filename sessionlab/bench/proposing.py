"""`python -m sessionlab.bench.proposing`: one fresh process that loads a store, lists it, and updates it, and what that took (B.5)."""

from __future__ import annotations

import contextlib
import logging
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from sessionlab.bench.floors import SYNCHRONOUS, BareDatabase, Encoded
from sessionlab.bench.measure import timed_ms
from sessionlab.bench.scope import NOW_MS
from sessionlab.bench.writer import Kind, open_updatable
from sessionlab.entry import Entry, merge
from sessionlab.stores.sqlite_opening import Durability

_LISTINGS: Final = 3

Listing = Callable[[], list[Any]]
Update = Callable[[str, int], Callable[[], object]]
"""Makes ready what stores a change, of a key and in a turn."""


Program = Kind | Literal["bare"]
"""A store, the baseline, or the floor: a plain connection to tables like our SQLite store's, which stores what was made ready before."""


class Proposed(msgspec.Struct, frozen=True, kw_only=True):
    """What a process is to do: open the store, list it, and update one session after the other."""

    program: Program
    path: str
    durability: Durability
    keys: tuple[str, ...]
    updates: int


class Took(msgspec.Struct, frozen=True, kw_only=True):
    """What that took: times in ms, by how many MB of 10**6 bytes the process grew at most after its imports, and its memory in all.

    `load_ms` is from nothing to the first list of all sessions, `list_ms` such a list after one was changed, `update_ms` the median update,
    `cpu_ms` what the processors did for one.
    """

    load_ms: float
    list_ms: float
    update_ms: float
    cpu_ms: float
    peak_mb: float
    process_mb: float


def go(task: Proposed) -> Took:
    """Do it."""
    before = _peak_mb()
    start = time.perf_counter()
    with contextlib.ExitStack() as stack:
        listing, update = _bare(task, stack) if task.program == "bare" else _store(task, task.program, stack)
        kept = listing()
        load_ms = (time.perf_counter() - start) * 1000
        del kept
        lists = []
        for turn in range(_LISTINGS):
            update(task.keys[turn % len(task.keys)], task.updates + turn)()
            lists.append(timed_ms(listing))
        ready = [update(task.keys[turn % len(task.keys)], turn) for turn in range(task.updates)]
        cpu = time.process_time()
        times = [timed_ms(one) for one in ready]
        cpu_ms = (time.process_time() - cpu) * 1000 / task.updates
    return Took(
        load_ms=load_ms,
        list_ms=statistics.median(lists),
        update_ms=statistics.median(times),
        cpu_ms=cpu_ms,
        peak_mb=_peak_mb() - before,
        process_mb=_peak_mb(),
    )


def _store(task: Proposed, kind: Kind, stack: contextlib.ExitStack) -> tuple[Listing, Update]:
    store = open_updatable(kind, Path(task.path), task.durability)
    stack.enter_context(store)

    def update(key: str, turn: int) -> Callable[[], object]:
        return lambda: store.update(key, lambda _entry: _patch(turn), now_ms=NOW_MS + turn)

    return lambda: list(store.summaries()), update


def _bare(task: Proposed, stack: contextlib.ExitStack) -> tuple[Listing, Update]:
    bare = BareDatabase(Path(task.path), synchronous=SYNCHRONOUS[task.durability])
    stack.callback(bare.close)

    def update(key: str, turn: int) -> Callable[[], object]:
        ready = Encoded.of(key, merge(msgspec.json.decode(bare.select(key)), _patch(turn), now_ms=NOW_MS + turn))
        return lambda: bare.upsert(key, ready)

    return bare.list, update


def _patch(turn: int) -> Entry:
    return {"label": f"turn {turn} " + "x" * (turn * 37 % 97), "totalTokens": turn}


def _peak_mb() -> float:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) * 1024 / 1e6


def main(arguments: Sequence[str]) -> None:
    """Be that process."""
    logging.disable(logging.WARNING)
    sys.stdout.write(msgspec.json.encode(go(msgspec.json.decode(arguments[0], type=Proposed))).decode())


if __name__ == "__main__":
    main(sys.argv[1:])
