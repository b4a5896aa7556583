"""Many writers and one store: the report that 1,159 sessions and a file lock made in three hours 25 timeouts and 157 stuck sessions (D.4).

It is replayed as a load, as hard as it goes: each writer begins its next update when the last one is done, a few sessions get most of them,
and every session has 42 KB. First for the naive `sessions.json` with a lock file, where the trouble shows, then for each store.
"""

from __future__ import annotations

import itertools
import random
import shutil
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from sessionlab.bench.content import make_content
from sessionlab.bench.contention import run_together
from sessionlab.bench.results import Results
from sessionlab.bench.scope import NAMES, STORES
from sessionlab.bench.stores import Progress
from sessionlab.bench.surroundings import QUICK, load_in_words, sync_in_words, undisturbed
from sessionlab.bench.writer import COUNTER, Kind, Outcome, Task, open_updatable
from sessionlab.stores.sqlite_opening import Durability

KINDS: Final[tuple[Kind, ...]] = ("naive", *STORES)
WRITERS: Final = (1, 2, 4, 8, 16)
QUICK_WRITERS: Final = (1, 4)
SESSIONS: Final = 1_159
STUCK_MS: Final = 1_000
"""An update that takes longer is counted as stuck: somebody waits for the reply behind it."""
TIMEOUT_MS: Final = 10_000
"""How long every backend waits for a lock, which is the default of all of them."""

_SECONDS: Final[dict[Kind, float]] = {"naive": 6.0, "json": 3.0, "sqlite": 2.5, "directory": 2.5}
_QUICK_SECONDS: Final = 0.3
_DRAWN: Final = 500
_SKEW: Final = 1.0


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


class Row(msgspec.Struct, frozen=True):
    """What so many writers saw of one backend.

    Attributes:
        store: "naive" for the baseline.
        durability: What an acknowledged update survives.
        writers: Processes.
        seconds: From the first begin to the last end.
        updates: How many were acknowledged.
        updates_per_s: Of these.
        p50_ms: The median time that an update took its caller, waiting included; so the other three.
        p99_ms: All but one of a hundred took less.
        max_ms: The longest.
        timeouts: Updates refused since the lock was not had in time.
        refused: Updates refused for another reason.
        lost: Updates that were acknowledged and are not in the store.
        stuck: Updates that took more than `STUCK_MS`, whatever came of them.
        stuck_mean_ms: What these took.
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

    @property
    def name(self) -> str:
        """The backend, and how durable it is where there is a choice."""
        return f"{self.store}, {self.durability}" if self.store == "sqlite" else self.store


@dataclass(frozen=True, slots=True)
class Asked:
    """How much is to be measured.

    Attributes:
        kinds: Which backends.
        sessions: Of 42 KB in each.
        writers: How many at once, one round for each number.
        is_quick: Short rounds: shows that it works, gives no figure to quote.
    """

    kinds: tuple[Kind, ...] = KINDS
    sessions: int = SESSIONS
    writers: tuple[int, ...] = WRITERS
    is_quick: bool = False

    @property
    def backends(self) -> Iterator[tuple[Kind, Durability]]:
        """Each backend with what its acknowledged updates survive: SQLite both ways, the others as they are."""
        for kind in self.kinds:
            if kind != "naive":
                yield kind, "commit"
            if kind in ("naive", "sqlite"):
                yield kind, "process"

    def seconds(self, kind: Kind) -> float:
        """Return for how long updates are begun."""
        return _QUICK_SECONDS if self.is_quick else _SECONDS[kind]


def measure(folder: Path, asked: Asked, *, on_progress: Progress | None = None) -> Results:
    """Let the writers loose on each backend, one at a time.

    Args:
        folder: Empty; three times 50 MB for 1,159 sessions.
        asked: How much.
        on_progress: Called with (what, done, total).
    """
    load = load_in_words()
    content = make_content(folder / "content", sessions=asked.sessions)
    rows: list[Row] = []
    backends = list(asked.backends)
    with undisturbed():
        for number, (kind, durability) in enumerate(backends):
            place = folder / f"{kind}-{durability}"
            place.mkdir()
            path = place / (f"{kind}.json" if kind == "naive" else NAMES[kind])
            with open_updatable(kind, path, durability) as store:
                store.save(content.entries)
            before = 0
            for step, writers in enumerate(asked.writers):
                if on_progress is not None:
                    on_progress(f"{kind}: {writers} writers", number * len(asked.writers) + step, len(backends) * len(asked.writers))
                tasks = _tasks(kind, path, durability, list(content.entries), writers=writers, seconds=asked.seconds(kind))
                outcomes, counted = run_together(tasks), _counted(kind, path, durability)
                rows.append(row_of(kind, durability, outcomes, counted=counted - before))
                before = counted
            shutil.rmtree(place)
    rounds = ", ".join(f"{kind} {asked.seconds(kind):g}" for kind in asked.kinds)
    return Results(
        "contention",
        tables={"writers": rows, "published": PUBLISHED},
        conditions=[
            *([QUICK] if asked.is_quick else []),
            f"{content.in_words}, {len(content.data) / 1e6:.0f} MB as sessions.json; every writer is a process of its own",
            f"a writer begins its next update when the last one is done; begun for so many seconds: {rounds}; what is begun is finished",
            "the session is drawn at random (seeded), the n-th most used n times less often than the first (Zipf); an update counts in it",
            f"times: whole updates, with the waiting; every lock is waited for {TIMEOUT_MS // 1000} s; stuck: more than {STUCK_MS:,} ms",
            "naive: standard library, the whole file for every update, a lock file asked for again and again as OpenClaw's was, no sync",
            "naive, too: who finds a lock file that is still empty takes it for left behind, as published; that is how updates get lost",
            "[commit]: what is acknowledged survives a power cut; [process]: the end of the process",
            "published: one program under its users' load for three hours, another machine; here as hard as it goes, for seconds",
            load,
            sync_in_words(folder),
        ],
        verdicts=list(_verdicts(rows)),
    )


def losses(found: Results) -> tuple[int, int]:
    """Return how many updates our stores lost, and how many they refused for another reason than a lock; the baseline does not count."""
    rows = [row for row in found.tables["writers"] if isinstance(row, Row) and row.store != "naive"]
    return sum(abs(row.lost) for row in rows), sum(row.refused for row in rows)


def drawn(keys: Sequence[str], *, seed: int, count: int = _DRAWN) -> tuple[str, ...]:
    """Return keys drawn at random, the n-th `1 / n` as often as the first; equal for equal seeds."""
    weights = [1 / rank**_SKEW for rank in range(1, len(keys) + 1)]
    return tuple(random.Random(seed).choices(keys, weights, k=count))  # noqa: S311  # no secret


def _tasks(kind: Kind, path: Path, durability: Durability, keys: Sequence[str], *, writers: int, seconds: float) -> list[Task]:
    """Return what each of so many writers is to do: as much as it can, on sessions that it draws on its own."""
    seeds = range(writers * 1_000, writers * 1_000 + writers)
    return [Task(kind, str(path), durability, drawn(keys, seed=seed), updates=1 << 30, seconds=seconds) for seed in seeds]


def row_of(kind: Kind, durability: Durability, outcomes: Sequence[Outcome], *, counted: int) -> Row:
    """Return what the writers of a round saw, of whose updates the store has `counted`."""
    waits = sorted(wait for one in outcomes for wait in one.waits_ms)
    elapsed_s = (max(one.end_ms for one in outcomes) - min(one.start_ms for one in outcomes)) / 1000
    errors, timeouts = sum(one.errors for one in outcomes), sum(one.timeouts for one in outcomes)
    updates = len(waits) - errors
    stuck = [wait for wait in waits if wait > STUCK_MS]
    return Row(
        store=kind,
        durability=durability,
        writers=len(outcomes),
        seconds=round(elapsed_s, 2),
        updates=updates,
        updates_per_s=round(updates / elapsed_s, 2),
        p50_ms=round(statistics.median(waits), 2),
        p99_ms=round(waits[min(len(waits) - 1, len(waits) * 99 // 100)], 2),
        max_ms=round(waits[-1], 2),
        timeouts=timeouts,
        refused=errors - timeouts,
        lost=updates - counted,
        stuck=len(stuck),
        stuck_mean_ms=round(statistics.fmean(stuck), 1) if stuck else None,
    )


def _counted(kind: Kind, path: Path, durability: Durability) -> int:
    """Return how many updates are in a store."""
    with open_updatable(kind, path, durability) as store:
        return sum(entry.get(COUNTER, 0) for _, entry in store.items())


def _verdicts(rows: Sequence[Row]) -> Iterator[str]:
    """Say what became of each backend from the fewest to the most writers, and of the published trouble."""
    for name, group in itertools.groupby(rows, key=lambda row: row.name):
        found = list(group)
        first, last = found[0], found[-1]
        lost, refused = sum(row.lost for row in found), sum(row.refused for row in found)
        yield (
            f"{name}: {first.updates_per_s:,.1f} updates a second by {_writers(first)}, {last.updates_per_s:,.1f} by {_writers(last)}; an "
            f"update takes {_ms(first.p50_ms)} and {_ms(last.p50_ms)} (median), at most {_ms(max(row.max_ms for row in found))}; "
            f"{sum(row.timeouts for row in found)} timeouts, {sum(row.stuck for row in found)} stuck, {lost} lost"
            f"{f', {refused} refused' if refused else ''}"
        )
    of_most = [row for row in rows if row.writers == max(row.writers for row in rows)]
    naive = [row for row in of_most if row.store == "naive"]
    if naive and naive[0].updates and len(of_most) > 1:
        others = ", ".join(f"{row.name} {row.updates_per_s / naive[0].updates_per_s:,.1f}" for row in of_most if row.store != "naive")
        yield f"{_writers(naive[0])}, updates a second, times those of the naive file: {others}"
    troubled = dict.fromkeys(row.name for row in rows if row.timeouts or row.stuck)
    timeouts, stuck = PUBLISHED[0].count, PUBLISHED[1].count
    yield (
        f"timeouts or stuck updates, of which {timeouts} and {stuck} were published: "
        f"{'; '.join(troubled) if troubled else 'nowhere in this run'}"
    )


def _writers(row: Row) -> str:
    return f"{row.writers} writer{'s' if row.writers != 1 else ''}"


def _ms(value: float) -> str:
    return f"{value:,.0f} ms" if value >= 10 else f"{value:.2f} ms"
