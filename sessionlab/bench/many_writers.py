"""What many writers see of a store that they share: waits, refusals, losses, as one row and in words."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

import msgspec

from sessionlab.bench.writer import Kind, Outcome
from sessionlab.stores.sqlite_opening import Durability

STUCK_MS: Final = 1_000
"""An update that takes so much longer than it would alone is counted as stuck: somebody waits for the reply behind it."""


class Round(NamedTuple):
    """What the writers of one round saw, and how many updates the store holds more than before."""

    outcomes: Sequence[Outcome]
    counted: int

    @property
    def waits_ms(self) -> list[float]:
        """What each update took, the shortest first."""
        return sorted(wait for one in self.outcomes for wait in one.waits_ms)

    @property
    def seconds(self) -> float:
        """From the first begin to the last end."""
        return (max(one.end_ms for one in self.outcomes) - min(one.start_ms for one in self.outcomes)) / 1000

    @property
    def per_s(self) -> float:
        """How many updates a second were made and stayed."""
        return self.counted / self.seconds

    @property
    def p50_ms(self) -> float:
        """The median of the waits."""
        return statistics.median(self.waits_ms)

    @property
    def p99_ms(self) -> float:
        """What all but one of a hundred took less than."""
        waits = self.waits_ms
        return waits[min(len(waits) - 1, len(waits) * 99 // 100)]


class Row(msgspec.Struct, frozen=True):
    """What so many writers saw of one backend, in all rounds.

    Attributes:
        store: "naive" for the baseline.
        durability: What an acknowledged update survives.
        writers: Processes.
        seconds: From the first begin to the last end, of all rounds together.
        updates: How many were acknowledged.
        updates_per_s: Of these, how many a second are in the store: what was lost does not count. The median of the rounds.
        p50_ms: The median time that an update took its caller, waiting included; so the other three. The median of the rounds.
        p99_ms: All but one of a hundred took less; the longest where there are fewer. The median of the rounds.
        max_ms: The longest of all rounds.
        timeouts: Updates refused since the lock was not had in time.
        refused: Updates refused for another reason.
        lost: Updates that were acknowledged and are not in the store.
        stuck: Updates that took over `STUCK_MS` more than `lone_ms`, whatever came of them: a store that is slow alone is not stuck.
        stuck_mean_ms: What these took.
        rounds: How many.
        least_per_s: `updates_per_s` of the slowest round.
        most_per_s: Of the fastest.
        lone_ms: What an update of this store takes a writer who is alone, in the same run: the median of the rounds' medians.
    """

    store: Kind
    durability: Durability
    writers: int
    seconds: float
    updates: int
    updates_per_s: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    timeouts: int
    refused: int
    lost: int
    stuck: int
    stuck_mean_ms: float | None
    rounds: int
    least_per_s: float
    most_per_s: float
    lone_ms: float

    @property
    def name(self) -> str:
        """The backend, and how durable it is where there is a choice."""
        return f"{self.store}, {self.durability}" if self.store == "sqlite" else self.store


class Published(msgspec.Struct, frozen=True):
    """A row of what was published: 1,159 sessions, 3 hours, a file lock. Times in seconds."""

    what: str
    count: int
    max_s: float | None = None
    mean_s: float | None = None


PUBLISHED: Final = (
    Published("lock timeouts", 25),
    Published("stuck sessions", 157, 1_031, 388),
    Published("slow listeners", 39, 265, 70),
)


def median_alone_ms(rounds: Sequence[Round]) -> float:
    """Return what an update takes a writer who is alone, from the rounds that it was alone in."""
    return statistics.median(one.p50_ms for one in rounds)


def row_of(kind: Kind, durability: Durability, rounds: Sequence[Round], *, lone_ms: float) -> Row:
    """Return what equally many writers saw in some rounds."""
    outcomes = [outcome for one in rounds for outcome in one.outcomes]
    waits = [wait for one in rounds for wait in one.waits_ms]
    errors, timeouts = sum(one.errors for one in outcomes), sum(one.timeouts for one in outcomes)
    updates = len(waits) - errors
    stuck = [wait for wait in waits if wait > lone_ms + STUCK_MS]

    def median(value: Callable[[Round], float]) -> float:
        return round(statistics.median(map(value, rounds)), 2)

    return Row(
        store=kind,
        durability=durability,
        writers=len(rounds[0].outcomes),
        seconds=round(sum(one.seconds for one in rounds), 2),
        updates=updates,
        updates_per_s=median(lambda one: one.per_s),
        p50_ms=median(lambda one: one.p50_ms),
        p99_ms=median(lambda one: one.p99_ms),
        max_ms=round(max(waits), 2),
        timeouts=timeouts,
        refused=errors - timeouts,
        lost=updates - sum(one.counted for one in rounds),
        stuck=len(stuck),
        stuck_mean_ms=round(statistics.fmean(stuck), 1) if stuck else None,
        rounds=len(rounds),
        least_per_s=round(min(one.per_s for one in rounds), 2),
        most_per_s=round(max(one.per_s for one in rounds), 2),
        lone_ms=round(lone_ms, 2),
    )


def verdicts(rows: Sequence[Row]) -> Iterator[str]:
    """Say what became of each backend from the fewest to the most writers, and of the published trouble."""
    for name, group in itertools.groupby(rows, key=lambda row: row.name):
        yield _story(name, list(group))
    of_most = [row for row in rows if row.writers == max(row.writers for row in rows)]
    naive = [row for row in of_most if row.store == "naive"]
    if naive and naive[0].updates_per_s and len(of_most) > 1:
        others = ", ".join(f"{row.name} {_times(row.updates_per_s / naive[0].updates_per_s)}" for row in of_most if row.store != "naive")
        yield f"{_writers(naive[0])}, updates a second, in round figures times those of the naive file: {others}"
    timeouts, stuck, _ = PUBLISHED
    yield (
        f"published: {timeouts.count} {timeouts.what} and {stuck.count} sessions reported as stuck, for {stuck.mean_s:g} s in the mean, in "
        f"three hours; here, in seconds: timeouts: {_troubled(rows, lambda row: row.timeouts)}; updates that took over "
        f"{STUCK_MS / 1000:g} s longer than a lone writer's: {_troubled(rows, lambda row: row.stuck)}"
    )


def _story(name: str, rows: Sequence[Row]) -> str:
    """Say what became of one backend."""
    ends = rows if len(rows) == 1 else [rows[0], rows[-1]]
    rates = ", ".join(f"{row.updates_per_s:,.1f}{' updates a second' if row is ends[0] else ''} by {_writers(row)}" for row in ends)
    medians = " and ".join(_ms(row.p50_ms) for row in ends)
    lost, refused = sum(row.lost for row in rows), sum(row.refused for row in rows)
    return (
        f"{name}: {rates}; an update takes {medians} (median), at most {_ms(max(row.max_ms for row in rows))}; "
        f"{sum(row.timeouts for row in rows)} timeouts, {sum(row.stuck for row in rows)} stuck, "
        f"{lost} lost of {sum(row.updates for row in rows):,} acknowledged{f', {refused} refused' if refused else ''}"
    )


def _troubled(rows: Sequence[Row], count: Callable[[Row], int]) -> str:
    """Say which backends have how many of something."""
    counts: dict[str, int] = {}
    for row in rows:
        counts[row.name] = counts.get(row.name, 0) + count(row)
    return ", ".join(f"{name} {found}" for name, found in counts.items() if found) or "none"


def _writers(row: Row) -> str:
    return f"{row.writers} writer{'s' if row.writers != 1 else ''}"


def _times(value: float) -> str:
    """Write a ratio to few updates with the two digits that it has."""
    return f"{float(f'{value:.2g}'):,g}"


def _ms(value: float) -> str:
    return f"{value:,.0f} ms" if value >= 10 else f"{value:.2f} ms"
