"""`python -m sessionlab.bench.cycling`: one process that loads and updates a store again and again, and looks at its own memory.

The loop of the stress script of openclaw#51567 (E.33 to E.36): load everything, update one of some sessions in turn, collect garbage. Or
what a program does that need not have everything at once: go through the summaries, and update one session.
"""

from __future__ import annotations

import collections
import gc
import logging
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from sessionlab.bench.scope import NOW_MS, StoreKind
from sessionlab.bench.writer import open_writable
from sessionlab.stores.snapshot import Snapshot
from sessionlab.stores.writing import WritableStore

Loop = Literal["load", "decode", "summaries"]
KB: Final = 1024
MB: Final = 1024**2


class Cycling(msgspec.Struct, frozen=True, kw_only=True):
    """What a process is to do.

    Attributes:
        path: The store; made before, by another process.
        sessions: How many it holds.
        payload_bytes: Of each.
        touches: How many of them are updated, in turn.
        cycles: How often.
        sample_every: After how many cycles memory is looked at; it is before the first, and after the last.
        loop: Whether a cycle loads every session, which decodes none yet; loads and decodes them; or goes through their summaries.
        is_reusing: Whether an update of what was loaded starts from that (`baseStore`), or reads again.
        is_cached: Whether loads may be answered by the object cache; else each opens the store anew (`skipCache`).
    """

    store: StoreKind
    path: str
    sessions: int
    payload_bytes: int
    touches: int
    cycles: int
    sample_every: int
    loop: Loop = "load"
    is_reusing: bool = False
    is_cached: bool = False


class Sample(msgspec.Struct, frozen=True):
    """What a process looked like after a cycle: MB of 2**20 and KB of 2**10 bytes, as the published table has them.

    `heap_mb` is what is its own (RssAnon), `external_mb` what is mapped from files (RssFile and RssShmem): Python has no such heap as
    Node's. `peak_mb` is the most that it ever had (VmHWM), `elapsed_ms` is counted from before the store was opened.
    """

    cycle: int
    rss_mb: float
    heap_mb: float
    external_mb: float
    peak_mb: float
    store_kb: int
    elapsed_ms: float
    cpu_ms: float


def make(task: Cycling) -> None:
    """Make the store, in time that grows as its size does: everything is stored at once, not the whole again for each session."""
    with open_writable(task.store, Path(task.path), "commit") as store:
        store.save(entries(task))


def entries(task: Cycling) -> dict[str, dict[str, Any]]:
    """Return what the store holds: `session:<n>`, the payload as display name (E.36)."""
    return {
        f"session:{number}": {
            "sessionId": f"session-{number}",
            "updatedAt": NOW_MS + number,
            "displayName": f"{number:06d}" + "x" * max(task.payload_bytes - 6, 0),
            "label": f"session {number}",
        }
        for number in range(task.sessions)
    }


def samples(task: Cycling) -> Iterator[Sample]:
    """Go round, and yield what is seen."""
    start = time.perf_counter()
    path = Path(task.path)
    with open_writable(task.store, path, "commit") as store:
        gc.collect()
        yield _seen(task, 0, start)
        for cycle in range(1, task.cycles + 1):
            _cycle(store, task, cycle)
            gc.collect()
            if cycle % task.sample_every == 0 or cycle == task.cycles:
                yield _seen(task, cycle, start)


def _cycle(store: WritableStore, task: Cycling, cycle: int) -> None:
    key = f"session:{(cycle - 1) % task.touches}"
    patch = {"updatedAt": NOW_MS + task.sessions + cycle, "lastTo": f"user-{cycle}", "label": f"cycle {cycle}"}
    if task.is_cached:
        _load_and_update(store, task, key, patch)
    else:
        with open_writable(task.store, Path(task.path), "commit") as anew:
            _load_and_update(anew, task, key, patch)


def _load_and_update(store: WritableStore, task: Cycling, key: str, patch: dict[str, Any]) -> None:
    def change(draft: Snapshot) -> None:
        draft[key].update(patch)

    if task.loop == "summaries":
        collections.deque(store.summaries(), maxlen=0)
        store.update(key, lambda _entry: patch, now_ms=patch["updatedAt"])
        return
    loaded = store.load()
    if task.loop == "decode":
        collections.deque(loaded.values(), maxlen=0)
    store.transform(change, base=loaded if task.is_reusing else None)


def _seen(task: Cycling, cycle: int, start: float) -> Sample:
    took_ms, cpu_ms = (time.perf_counter() - start) * 1000, time.process_time() * 1000
    status = _status()
    path = Path(task.path)
    files = path.rglob("*") if path.is_dir() else [path, path.with_name(f"{path.name}-wal")]
    size = sum(file.stat().st_size for file in files if file.is_file())
    return Sample(
        cycle=cycle,
        rss_mb=status("VmRSS"),
        heap_mb=status("RssAnon"),
        external_mb=round(status("RssFile") + status("RssShmem"), 1),
        peak_mb=status("VmHWM"),
        store_kb=size // KB,
        elapsed_ms=round(took_ms),
        cpu_ms=round(cpu_ms),
    )


def _status() -> Callable[[str], float]:
    text = Path("/proc/self/status").read_text(encoding="ascii")
    known = dict(line.split(":", 1) for line in text.splitlines())
    return lambda name: round(int(known[name].split()[0]) * KB / MB, 1)


def main(arguments: Sequence[str]) -> None:
    """Be that process, and print a line for each look."""
    logging.disable(logging.WARNING)  # that a file is too large to be kept in memory
    gc.freeze()  # each cycle collects what it made; what was imported stays anyway
    for sample in samples(msgspec.json.decode(arguments[0], type=Cycling)):
        sys.stdout.write(f"{msgspec.json.encode(sample).decode()}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
