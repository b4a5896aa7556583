"""Many processes that save memories at once, against as many that make bare inserts: what waiting in line costs, and what it spares."""

from __future__ import annotations

import contextlib
import sqlite3
import statistics
from pathlib import Path
from typing import Final, NamedTuple

from sessionlab.bench.crowd import run_together
from sessionlab.bench.measure import Measurement
from sessionlab.bench.parallel_content import BareMemory
from sessionlab.bench.parallel_writer import Task, Way
from sessionlab.bench.scope import Scope
from sessionlab.errors import SessionLabError
from sessionlab.parallel import SharedMemory

_SAVES: Final = 1_000
_WAYS: Final[tuple[Way, ...]] = ("shared memory", "bare")


class _Round(NamedTuple):
    """What the processes of one round saw, in ms: from the first begin to the last end, and the longest save."""

    total_ms: float
    worst_ms: float


def many_processes(folder: Path, *, scope: Scope, bound: float) -> list[Measurement]:
    """Measure processes that save at once, the ways by turns, each time into an empty database.

    Raises:
        SessionLabError: A save into shared memory was refused, or is not there afterwards.
    """
    saves = 20 if scope.is_quick else _SAVES
    rounds: dict[Way, list[_Round]] = {way: [] for way in _WAYS}
    for turn in range(scope.long_rounds):
        for way in _WAYS:
            rounds[way].append(_round(folder / f"{way} {turn}.db", way, writers=scope.writers, saves=saves))
    total = {way: statistics.median(one.total_ms for one in found) for way, found in rounds.items()}
    worst = {way: max(one.worst_ms for one in found) for way, found in rounds.items()}
    name = f"{scope.writers} processes, {saves:,} saves each"
    floor = "as many that make bare inserts and wait by busy_timeout"
    return [
        Measurement(
            store="memory",
            operation=f"{name}, time for all",
            median_ms=total["shared memory"],
            floor_ms=total["bare"],
            floor=floor,
            bound=bound,
            durability="commit",
        ),
        Measurement(
            store="memory",
            operation=f"{name}, worst wait of {scope.long_rounds} rounds",
            median_ms=worst["shared memory"],
            floor_ms=worst["bare"],
            floor="theirs",
            durability="commit",
        ),
    ]


def _round(path: Path, way: Way, *, writers: int, saves: int) -> _Round:
    """Let the processes save, and count what is there afterwards."""
    (BareMemory(path) if way == "bare" else _made(path)).close()
    outcomes = run_together([Task(way, str(path), saves, number) for number in range(writers)], program="sessionlab.bench.parallel_writer")
    errors = sum(one.errors for one in outcomes)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        (found,) = connection.execute("SELECT count(*) FROM channel_memory").fetchone()
    if errors or found != writers * saves:
        raise SessionLabError(f"{way}: of {writers * saves:,} saves {errors:,} were refused, and {found:,} are there")
    elapsed_ms = max(one.end_ms for one in outcomes) - min(one.start_ms for one in outcomes)
    return _Round(elapsed_ms, max(one.worst_ms for one in outcomes))


def _made(path: Path) -> SharedMemory:
    memory = SharedMemory(path)
    memory.initialize()
    return memory
