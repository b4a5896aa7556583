"""Many processes that write to one store at once, against one process that makes as many updates: what waiting for each other costs."""

from __future__ import annotations

import contextlib
import os
import statistics
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from sessionlab.bench import children
from sessionlab.bench.content import Content
from sessionlab.bench.measure import Measurement
from sessionlab.bench.scope import NAMES, Scope, StoreKind
from sessionlab.bench.writer import COUNTER, Outcome, Task, open_writable
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
        ChildFailedError: One of them failed; the others are ended, and what they wrote is worth nothing.
    """
    with contextlib.ExitStack() as stack:
        processes = []
        for task in tasks:
            # What they say on stderr is kept for the error: sixteen processes that are interrupted would each print where they were.
            process = subprocess.Popen(
                children.command(program, task), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
            stack.enter_context(process)
            stack.callback(process.kill)  # only what is still there when something went wrong
            processes.append(process)
        for process in processes:
            said = process.stdout.readline() if process.stdout is not None else b""
            if said != b"ready\n":
                raise _not_ready(process, program, said)
        for process in processes:
            if process.stdin is not None:
                with contextlib.suppress(BrokenPipeError):  # one that has ended since then says why, below
                    os.write(process.stdin.fileno(), b"go\n")
        end_s = time.monotonic() + _LONGEST_S
        return [_outcome(process, program, end_s=end_s) for process in processes]


def _not_ready(process: subprocess.Popen[bytes], program: str, said: bytes) -> children.ChildFailedError:
    """Word why a process did not get ready: it says so as it ends, or it says something else."""
    if said:
        return children.nonsense(children.named(program), f"{said!r} instead of ready")
    _, stderr = process.communicate()
    return children.failure(children.named(program), process.returncode, stderr)


def _outcome(process: subprocess.Popen[bytes], program: str, *, end_s: float) -> Outcome:
    """Wait until a process ends, and return what it tells."""
    try:
        said, stderr = process.communicate(timeout=max(0.0, end_s - time.monotonic()))
    except subprocess.TimeoutExpired:
        raise children.late(children.named(program), _LONGEST_S) from None
    if process.returncode:
        raise children.failure(children.named(program), process.returncode, stderr)
    return children.only(program, children.told(program, said, Outcome))


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
