"""What transcripts beside a store cost: operations by turns on equal stores that have more and more of them, round by round.

The stores are equally large, so a difference between them is small, and must not be the machine's: all are made first, every round has
every size, and a difference is told only where the rounds agree that there is one.
"""

from __future__ import annotations

import shutil
import statistics
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from sessionlab.bench.growing import Operations, Point, Size, make, operations_on, place_of, told
from sessionlab.bench.measure import timed_ms
from sessionlab.bench.writer import Kind, Updatable, open_updatable
from sessionlab.maintenance.files import file_name, session_files

UNREFERENCED: Final = "find unreferenced"
"""The operation that reads the folder: which transcripts no session refers to, as every maintenance asks before it does anything."""


class Difference(msgspec.Struct, frozen=True):
    """What more transcripts beside a store do to an operation.

    Attributes:
        store: "naive" for the baseline.
        operation: As in `growing.Point`.
        least: The fewest transcripts.
        most: The most.
        least_ms: What it takes beside the fewest, the median of the rounds.
        most_ms: Beside the most.
        times: How many times as long it takes beside the most as beside the fewest, in the median of the rounds.
        low: What a tenth of the rounds is not above.
        high: What nine tenths of them are not above.
        rounds: How many; each has both, one soon after the other.
    """

    store: Kind
    operation: str
    least: int
    most: int
    least_ms: float
    most_ms: float
    times: float
    low: float
    high: float
    rounds: int

    @property
    def is_noise(self) -> bool:
        """Whether the rounds do not agree that there is a difference."""
        return self.low <= 1 <= self.high


def grow_by_turns(folder: Path, kind: Kind, sizes: Sequence[Size], *, rounds: int) -> tuple[list[Point], list[Difference]]:
    """Measure a backend with more and more transcripts beside it: every size in every round, the sizes in another order each time.

    Args:
        folder: Empty; the stores are made in it and removed.
        kind: The backend.
        sizes: Of equally many sessions, two at least; from the fewest transcripts to the most.
        rounds: Besides a first one, which only makes ready.
    """
    stores: list[Operations] = []
    made_s: list[float] = []
    with ExitStack() as stack:
        for number, size in enumerate(sizes):
            path = place_of(folder / str(number), kind)
            made_s.append(timed_ms(partial(make, path, kind, size)) / 1000)
            store = open_updatable(kind, path, "commit")
            stack.enter_context(store)
            stores.append(_operations(store, path, kind, size.sessions))
        times: list[dict[str, list[float]]] = [{name: [] for name in operations} for operations in stores]
        for turn in range(-1, rounds):
            for name in stores[0]:
                for step in range(len(sizes)):
                    number = (turn + step) % len(sizes)
                    took = timed_ms(stores[number][name])
                    if turn >= 0:
                        times[number][name].append(took)
    for number in range(len(sizes)):
        shutil.rmtree(folder / str(number))
    points = [point for size, s, took in zip(sizes, made_s, times, strict=True) for point in told(kind, "transcripts", size, s, took)]
    return points, [_difference(kind, name, sizes, times[0][name], times[-1][name]) for name in stores[0]]


def _operations(store: Updatable, path: Path, kind: Kind, sessions: int) -> Operations:
    """Return what is measured, in an order in which whatever lists the sessions comes after a change."""
    found = operations_on(store, path, kind, sessions)
    last = found.popitem()
    return found | {UNREFERENCED: partial(_unreferenced, store, path)} | dict([last])


def _unreferenced(store: Updatable, path: Path) -> int:
    """List the sessions, look through the folder, and return how many transcripts none of them refers to."""
    referred = [row.get("sessionFile") if isinstance(row, dict) else row.session_file for row in store.summaries()]
    found = session_files(path.parent, store_names=(path.name, f"{path.name}-wal", f"{path.name}-shm", f"{path.name}.lock"))
    return len(found.orphans([file_name(name) for name in referred if name]))


def _difference(kind: Kind, operation: str, sizes: Sequence[Size], fewest_ms: Sequence[float], most_ms: Sequence[float]) -> Difference:
    """Compare, round by round, what an operation took beside the fewest and beside the most transcripts."""
    times = [later / first for first, later in zip(fewest_ms, most_ms, strict=True)]
    tenths = statistics.quantiles(times, n=10, method="inclusive")
    return Difference(
        store=kind,
        operation=operation,
        least=sizes[0].transcripts,
        most=sizes[-1].transcripts,
        least_ms=round(statistics.median(fewest_ms), 4),
        most_ms=round(statistics.median(most_ms), 4),
        times=round(statistics.median(times), 3),
        low=round(tenths[0], 3),
        high=round(tenths[-1], 3),
        rounds=len(times),
    )
