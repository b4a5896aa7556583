"""`python -m sessionlab.bench.peers_openclaw.ours`: one process that lists, gets and updates sessions with a store of ours."""

from __future__ import annotations

import logging
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from sessionlab.bench.measure import timed_ms
from sessionlab.bench.scope import NOW_MS, StoreKind
from sessionlab.bench.writer import open_writable
from sessionlab.stores.sqlite_opening import Durability


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """What a process is to do; `theirs.mjs` does the same.

    Attributes:
        key: The session that is updated.
        word: Begins what is written, another in each process: equal bytes would not be written.
        rounds: How often to list at most, after the first time.
        updates: How often to get, and to update, at most.
        budget_ms: When this time is over, none of these is begun; each is done three times at least.
    """

    store: StoreKind
    path: str
    durability: Durability | None
    key: str
    word: str
    rounds: int
    updates: int
    budget_ms: float


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What it saw: medians in ms, memory (VmHWM) in MB of 10**6 bytes.

    Attributes:
        listed: How many sessions the first list had.
        base_mb: Before that, with everything imported.
        peak_mb: After the updates.
        warm_list_ms: Listing again, after an update each.
        whole_list_ms: Going through whole entries, decoded, after that; `None` where a list is made of them anyway.
        entry_kb: Mean size of an entry as a list of whole entries gives it, as compact JSON, KB of 1000 bytes.
        is_updated: Whether the last update was there when it was read again.
        functions: Which ones were called; empty for ours.
    """

    listed: int
    cold_list_ms: float
    base_mb: float
    warm_list_ms: float = 0.0
    get_ms: float = 0.0
    update_ms: float = 0.0
    peak_mb: float = 0.0
    whole_list_ms: float | None = None
    entry_kb: float = 0.0
    is_updated: bool = False
    functions: tuple[str, ...] = ()


def look(task: Task) -> Seen:
    """Do it."""
    base = _peak_mb()
    start = time.perf_counter()
    with open_writable(task.store, Path(task.path), task.durability) as store:
        listed = [summary.key for summary in store.summaries()]
        cold = (time.perf_counter() - start) * 1000
        label = ""

        def update(turn: int) -> None:
            nonlocal label
            label = f"{task.word} {turn} {'x' * (turn % 97)}"
            store.update(task.key, lambda _entry: {"label": label}, now_ms=NOW_MS)

        warm = _median_ms(task, task.rounds, lambda _turn: [summary.key for summary in store.summaries()], before=update)
        get = _median_ms(task, task.updates, lambda turn: store.get(listed[turn * 7919 % len(listed)]))
        changed = _median_ms(task, task.updates, update)
        entry = store.get(task.key)
        peak = _peak_mb()
        whole = _median_ms(task, task.rounds, lambda _turn: dict(store.items()), before=update)
        sizes = [len(msgspec.json.encode(entry)) for _, entry in store.items()]
    return Seen(
        listed=len(listed),
        cold_list_ms=cold,
        base_mb=base,
        warm_list_ms=warm,
        get_ms=get,
        update_ms=changed,
        peak_mb=peak,
        whole_list_ms=whole,
        entry_kb=statistics.fmean(sizes) / 1000,
        is_updated=entry is not None and entry.get("label") == label,
    )


def _median_ms(task: Task, times: int, call: Callable[[int], object], *, before: Callable[[int], object] = lambda _turn: None) -> float:
    """Call it at least three times, and none is begun when the time for them is over; what is done before each is not timed."""
    taken: list[float] = []
    end = time.perf_counter() + task.budget_ms / 1000
    while len(taken) < 3 or (len(taken) < times and time.perf_counter() < end):
        turn = len(taken)
        before(turn)
        taken.append(timed_ms(lambda: call(turn)))  # noqa: B023
    return statistics.median(taken)


def _peak_mb() -> float:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) * 1024 / 1e6


def main(arguments: Sequence[str]) -> None:
    """Be that process."""
    logging.disable(logging.WARNING)  # that a file is too large to be kept in memory
    sys.stdout.write(msgspec.json.encode(look(msgspec.json.decode(arguments[0], type=Task))).decode())


if __name__ == "__main__":
    main(sys.argv[1:])
