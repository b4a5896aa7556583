"""Many processes that write to one store at once, against one process that makes as many updates: what waiting for each other costs."""

from __future__ import annotations

import contextlib
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from sessionlab.bench.content import Content
from sessionlab.bench.measure import Measurement
from sessionlab.bench.scope import NAMES, Scope, StoreKind
from sessionlab.bench.writer import COUNTER, Outcome, Task, open_writable
from sessionlab.errors import SessionLabError
from sessionlab.stores.sqlite_opening import Durability

_LONGEST_S: Final = 300


class Contention(msgspec.Struct, frozen=True):
    """What many writers left of one store: `lost` is how many updates that returned are not in it."""

    store: str
    durability: str | None
    writers: int
    updates: int
    errors: int
    lost: int
    worst_wait_ms: float

    def in_words(self) -> str:
        """Say it in one line."""
        name = f"{self.store}, {self.durability}" if self.durability else self.store
        told = f"{self.errors} refused, {self.lost} lost, worst wait {self.worst_wait_ms:.0f} ms"
        return f"{name}: {self.updates:,} updates, by one process and by {self.writers} by turns: {told}"


def measure(folder: Path, content: Content, scope: Scope, store: StoreKind) -> tuple[list[Measurement], list[Contention]]:
    """Measure processes that increment counters in a store; `folder` is empty.

    Every other update of each process is of one session that all share, the rest of its own.
    """
    rows, found = [], []
    durabilities: tuple[Durability, ...] = ("commit", "process") if store == "sqlite" else ("commit",)
    for durability in durabilities:
        path = folder / durability / NAMES[store]
        path.parent.mkdir()
        with open_writable(store, path, durability) as opened:
            opened.save(content.entries)
        one, many = [], []
        for _ in range(1 if scope.is_quick else 3):
            one.append(_run(store, path, durability, content, writers=1, updates=scope.updates(store)))
            many.append(_run(store, path, durability, content, writers=scope.writers, updates=scope.updates(store)))
        contention = _contention(store, path, durability, list(content.entries), one=one, many=many)
        found.append(contention)
        rows += _rows(contention, content, one, many, is_bound=store == "sqlite")
    return rows, found


def _rows(contention: Contention, content: Content, one: Sequence[_Round], many: Sequence[_Round], *, is_bound: bool) -> list[Measurement]:
    same: dict[str, Any] = {
        "store": contention.store,
        "sessions": len(content.entries),
        "durability": contention.durability,
        "conditions": content.in_words,
    }
    return [
        Measurement(
            operation=f"{contention.writers} processes updating, time for each update",
            median_ms=statistics.median(done.ms_each for done in many),
            floor_ms=statistics.median(done.ms_each for done in one),
            floor="one process making as many",
            bound=1 / 0.75 if is_bound else None,
            **same,
        ),
        Measurement(
            operation=f"{contention.writers} processes updating, worst wait",
            median_ms=contention.worst_wait_ms,
            floor="the longest of all rounds",
            bound=150 if is_bound else None,
            **same,
        ),
    ]


class _Round(msgspec.Struct, frozen=True):
    """What the writers of one round saw. `ms_each` is from the first begin to the last end, divided by the updates."""

    writers: int
    ms_each: float
    worst_ms: float
    errors: int
    updates: int


def _run(store: StoreKind, path: Path, durability: Durability, content: Content, *, writers: int, updates: int) -> _Round:
    keys = list(content.entries)
    outcomes = run_together(
        [Task(store, str(path), durability, (keys[0], keys[1 + number % (len(keys) - 1)]), updates // writers) for number in range(writers)]
    )
    elapsed_ms = max(one.end_ms for one in outcomes) - min(one.start_ms for one in outcomes)
    total = updates // writers * writers
    return _Round(writers, elapsed_ms / total, max(one.worst_ms for one in outcomes), sum(one.errors for one in outcomes), total + writers)


def run_together(tasks: Sequence[msgspec.Struct], *, program: str = "sessionlab.bench.writer") -> list[Outcome]:
    """Carry out each task in a process of its own; they begin when all are ready.

    Args:
        tasks: What the processes are given.
        program: The module that is one such process: it says `ready`, waits for a line, and tells its outcome.

    Raises:
        SessionLabError: One of them did not get ready.
    """
    with contextlib.ExitStack() as stack:
        processes = []
        for task in tasks:
            command = [sys.executable, "-m", program, msgspec.json.encode(task).decode()]
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            stack.enter_context(process)
            stack.callback(process.kill)  # only what is still there when something went wrong
            processes.append(process)
        for process in processes:
            if process.stdout is None or process.stdout.readline() != "ready\n":
                raise SessionLabError("a process that was to write did not get ready: see what it says above")
        for process in processes:
            if process.stdin is not None:
                process.stdin.write("go\n")
                process.stdin.flush()
        return [msgspec.json.decode(process.communicate(timeout=_LONGEST_S)[0], type=Outcome) for process in processes]


def _contention(
    store: StoreKind, path: Path, durability: Durability, keys: Sequence[str], *, one: Sequence[_Round], many: Sequence[_Round]
) -> Contention:
    """Count what is in the store, and compare it with what the writers were told."""
    writers = max(done.writers for done in many)
    updates, errors = sum(done.updates for done in (*one, *many)), sum(done.errors for done in (*one, *many))
    with open_writable(store, path, durability) as opened:
        counted = sum((opened.get(key) or {}).get(COUNTER, 0) for key in keys[: writers + 1])
    return Contention(
        store=store,
        durability=durability,
        writers=writers,
        updates=updates,
        errors=errors,
        lost=updates - errors - counted,
        worst_wait_ms=max(done.worst_ms for done in many),
    )
