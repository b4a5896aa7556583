"""`python -m sessionlab.bench.parallel_writer`: one of the processes that save memories at the same time, and what it tells of it.

It opens the database, says `ready` and waits for a line before it goes on: all begin together, with everything loaded.
"""

from __future__ import annotations

import sqlite3
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import click
import msgspec

from sessionlab.bench.parallel_content import BareMemory, memories
from sessionlab.bench.writer import Outcome
from sessionlab.errors import SessionLabError
from sessionlab.parallel import Memory, SharedMemory

Way = Literal["shared memory", "bare"]


class Task(msgspec.Struct, frozen=True):
    """What a process is to do: save so many memories, made from a number that no other process has."""

    way: Way
    path: str
    saves: int
    seed: int


def save(task: Task, saving: Callable[[Memory], object]) -> Outcome:
    """Do it."""
    wanted = list(memories(task.saves, seed=task.seed))
    errors, worst_ms = 0, 0.0
    click.echo("ready")
    sys.stdin.readline()
    start_ms = before_ms = time.perf_counter() * 1000
    for one in wanted:
        try:
            saving(one)
        except (SessionLabError, sqlite3.Error):
            errors += 1
        now_ms = time.perf_counter() * 1000
        worst_ms, before_ms = max(worst_ms, now_ms - before_ms), now_ms
    return Outcome(start_ms, before_ms, errors, worst_ms)


def main(arguments: Sequence[str]) -> None:
    """Be one of them."""
    task = msgspec.json.decode(arguments[0], type=Task)
    if task.way == "bare":
        bare = BareMemory(Path(task.path))
        outcome = save(task, bare.insert)
        bare.close()
    else:
        memory = SharedMemory(Path(task.path))
        memory.initialize()
        outcome = save(task, memory.save_memory)
        memory.close()
    click.echo(msgspec.json.encode(outcome))


if __name__ == "__main__":
    main(sys.argv[1:])
