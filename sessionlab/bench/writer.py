"""`python -m sessionlab.bench.writer`: one of the processes that write to a store at the same time, and what it tells of it.

It opens the store, writes once, says `ready` and waits for a line before it goes on: all begin together, with everything loaded.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import click
import msgspec

from sessionlab.bench.scope import NOW_MS, StoreKind
from sessionlab.entry import Entry
from sessionlab.errors import SessionLabError
from sessionlab.stores.directory import DirectoryStore
from sessionlab.stores.json_store import JSONStore
from sessionlab.stores.sqlite import SQLiteStore
from sessionlab.stores.sqlite_opening import Durability
from sessionlab.stores.writing import WritableStore

COUNTER = "benchCount"


class Task(msgspec.Struct, frozen=True):
    """What a writer is to do: `updates` increments of the `keys` in turn, besides one before it is ready."""

    store: StoreKind
    path: str
    durability: Durability | None
    keys: tuple[str, ...]
    updates: int


class Outcome(msgspec.Struct, frozen=True):
    """What a writer saw: when it began and ended (ms of the system's clock), how many updates failed, the longest one."""

    start_ms: float
    end_ms: float
    errors: int
    worst_ms: float


def open_writable(kind: StoreKind, path: Path, durability: Durability | None) -> WritableStore:
    """Return a store to write to."""
    if kind == "json":
        return JSONStore(path)
    if kind == "directory":
        return DirectoryStore(path)
    return SQLiteStore(path, durability=durability or "commit")


def increment(store: WritableStore, key: str, turn: int) -> None:
    """Count one more in an entry, whose size changes by that."""

    def change(entry: Entry) -> Entry:
        return {COUNTER: entry.get(COUNTER, 0) + 1, "label": f"run {turn} " + "x" * (turn % 97)}

    store.update(key, change, now_ms=NOW_MS)


def write(task: Task, store: WritableStore) -> Outcome:
    """Do it."""
    errors, worst_ms = 0, 0.0
    start_ms = before_ms = time.perf_counter() * 1000
    for turn in range(task.updates):
        try:
            increment(store, task.keys[turn % len(task.keys)], turn)
        except SessionLabError:
            errors += 1
        now_ms = time.perf_counter() * 1000
        worst_ms, before_ms = max(worst_ms, now_ms - before_ms), now_ms
    return Outcome(start_ms, before_ms, errors, worst_ms)


def main(arguments: Sequence[str]) -> None:
    """Be one writer."""
    logging.disable(logging.WARNING)  # that a file is too large to be kept in memory
    task = msgspec.json.decode(arguments[0], type=Task)
    with open_writable(task.store, Path(task.path), task.durability) as store:
        increment(store, task.keys[0], 0)
        click.echo("ready")
        sys.stdin.readline()
        click.echo(msgspec.json.encode(write(task, store)))


if __name__ == "__main__":
    main(sys.argv[1:])
