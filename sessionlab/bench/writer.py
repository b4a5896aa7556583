"""`python -m sessionlab.bench.writer`: one of the processes that write to a store at the same time, and what it tells of it.

It opens the store, writes once, says `ready` and waits for a line before it goes on: all begin together, with everything loaded.
One that is to write for a time, not for a number of updates, reads once instead: nobody waits for others before it begins.
"""

from __future__ import annotations

import logging
import math
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec

from sessionlab.bench.naive import NaiveStore
from sessionlab.bench.scope import NOW_MS, StoreKind
from sessionlab.entry import Entry
from sessionlab.errors import SessionLabError, StoreLockedError, UnwritableError
from sessionlab.stores.directory import DirectoryStore
from sessionlab.stores.json_store import JSONStore
from sessionlab.stores.sqlite import SQLiteStore
from sessionlab.stores.sqlite_opening import Durability
from sessionlab.stores.writing import WritableStore

COUNTER = "benchCount"

Kind = StoreKind | Literal["naive"]
"""What is written to: a store, or the baseline."""
Updatable = WritableStore | NaiveStore


class Task(msgspec.Struct, frozen=True):
    """What a writer is to do: `updates` increments of the `keys` in turn, besides one before it is ready.

    With `seconds` it is none before, and none is begun when that time is over. It begins `later_s` seconds after it was let go.
    """

    store: Kind
    path: str
    durability: Durability | None
    keys: tuple[str, ...]
    updates: int
    seconds: float | None = None
    later_s: float = 0.0


class Outcome(msgspec.Struct, frozen=True):
    """What a writer saw.

    Attributes:
        start_ms: When it began, ms of the system's clock.
        end_ms: When it ended.
        errors: How many updates failed.
        worst_ms: The longest one.
        timeouts: How many of those that failed did not get the lock in time.
        waits_ms: How long each took, in their order, whatever came of it: waiting for the others, and the work.
    """

    start_ms: float
    end_ms: float
    errors: int
    worst_ms: float
    timeouts: int = 0
    waits_ms: tuple[float, ...] = ()


def open_writable(kind: StoreKind, path: Path, durability: Durability | None) -> WritableStore:
    """Return a store to write to."""
    if kind == "json":
        return JSONStore(path)
    if kind == "directory":
        return DirectoryStore(path)
    return SQLiteStore(path, durability=durability or "commit")


def open_updatable(kind: Kind, path: Path, durability: Durability | None) -> Updatable:
    """Return a store to write to, or the baseline."""
    return NaiveStore(path) if kind == "naive" else open_writable(kind, path, durability)


def increment(store: Updatable, key: str, turn: int) -> None:
    """Count one more in an entry, whose size changes by that."""

    def change(entry: Entry) -> Entry:
        return {COUNTER: entry.get(COUNTER, 0) + 1, "label": f"run {turn} " + "x" * (turn % 97)}

    store.update(key, change, now_ms=NOW_MS)


def write(task: Task, store: Updatable) -> Outcome:
    """Do it.

    Raises:
        UnwritableError: The store cannot be written at all.
    """
    errors, timeouts = 0, 0
    waits_ms: list[float] = []
    start_ms = before_ms = time.perf_counter() * 1000
    end_ms = math.inf if task.seconds is None else start_ms + task.seconds * 1000
    for turn in range(task.updates):
        if before_ms >= end_ms:
            break
        try:
            increment(store, task.keys[turn % len(task.keys)], turn)
        except StoreLockedError:
            errors += 1
            timeouts += 1
        except UnwritableError:
            raise  # a full disk: what comes after it measures nothing
        except SessionLabError:
            errors += 1
        now_ms = time.perf_counter() * 1000
        waits_ms.append(round(now_ms - before_ms, 3))
        before_ms = now_ms
    return Outcome(start_ms, before_ms, errors, max(waits_ms, default=0.0), timeouts, tuple(waits_ms))


def main(arguments: Sequence[str]) -> None:
    """Be one writer."""
    logging.disable(logging.WARNING)  # that a file is too large to be kept in memory
    task = msgspec.json.decode(arguments[0], type=Task)
    with open_updatable(task.store, Path(task.path), task.durability) as store:
        if task.seconds is None:
            increment(store, task.keys[0], 0)
        elif task.store != "naive":  # which keeps nothing that a first read would make ready
            store.get(task.keys[0])
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        sys.stdin.readline()
        time.sleep(task.later_s)
        sys.stdout.write(f"{msgspec.json.encode(write(task, store)).decode()}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
