"""Many writers and one store: the report that 1,159 sessions and a file lock made in three hours 25 timeouts and 157 stuck sessions (D.4).

It is replayed as a load, as hard as it goes: each writer begins its next update when the last one is done, a few sessions get most of them,
and every session has 42 KB. First for the naive `sessions.json` with a lock file, where the trouble shows, then for each store.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sessionlab.bench.content import make_content
from sessionlab.bench.crowd import run_together
from sessionlab.bench.many_writers import PUBLISHED, STUCK_MS, Round, Row, median_alone_ms, row_of, verdicts
from sessionlab.bench.results import Results
from sessionlab.bench.scope import NAMES, STORES
from sessionlab.bench.stores import Progress
from sessionlab.bench.surroundings import QUICK, load_in_words, sync_in_words, undisturbed
from sessionlab.bench.writer import COUNTER, Kind, Task, open_updatable
from sessionlab.stores.sqlite_opening import Durability

KINDS: Final[tuple[Kind, ...]] = ("naive", *STORES)
WRITERS: Final = (1, 2, 4, 8, 16)
QUICK_WRITERS: Final = (1, 4)
SESSIONS: Final = 1_159
TIMEOUT_MS: Final = 10_000
"""How long every backend waits for a lock, which is the default of all of them."""

_SECONDS: Final[dict[Kind, float]] = {"naive": 1.0, "json": 0.8, "sqlite": 0.6, "directory": 0.6}
"""For how long updates are begun in a round. One of the naive file takes longer than its second, and many of them until the timeout."""
_QUICK_SECONDS: Final = 0.3
_ROUNDS: Final = 3
_SPREAD_S: Final = 0.2
"""Over how long the writers of a round begin: users do not come in the same instant, which only a lock file's first moment is bad for."""
_DRAWN: Final = 500
_SKEW: Final = 1.0


@dataclass(frozen=True, slots=True)
class Asked:
    """How much is to be measured.

    Attributes:
        kinds: Which backends.
        sessions: Of 42 KB in each.
        writers: How many at once; each number has its rounds, by turns with the others.
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

    @property
    def rounds(self) -> int:
        """How many for each number of writers."""
        return 1 if self.is_quick else _ROUNDS

    def seconds(self, kind: Kind) -> float:
        """Return for how long updates are begun in a round."""
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
            # One alone is what all are held against.
            found: dict[int, list[Round]] = {writers: [] for writers in (1, *asked.writers)}
            turns = list(found) * asked.rounds
            before = 0
            for turn, writers in enumerate(turns):
                if on_progress is not None:
                    on_progress(f"{kind}: {writers} writers", number * len(turns) + turn, len(backends) * len(turns))
                tasks = _tasks(kind, path, durability, list(content.entries), writers=writers, turn=turn, seconds=asked.seconds(kind))
                outcomes, counted = run_together(tasks), _counted(kind, path, durability)
                found[writers].append(Round(outcomes, counted - before))
                before = counted
            lone = median_alone_ms(found[1])
            rows += [row_of(kind, durability, found[writers], lone_ms=lone) for writers in asked.writers]
            shutil.rmtree(place)
    rounds = ", ".join(f"{kind} {asked.seconds(kind):g}" for kind in asked.kinds)
    return Results(
        "contention",
        tables={"writers": rows, "published": PUBLISHED},
        conditions=[
            *([QUICK] if asked.is_quick else []),
            f"{content.in_words}, {len(content.data) / 1e6:.0f} MB as sessions.json; every writer is a process of its own",
            f"rounds for each number of writers: {asked.rounds}, the numbers by turns; medians of the rounds, counts of all together",
            f"writers begin within {_SPREAD_S:g} s, and each its next update when the last one is done; what is begun is finished",
            f"updates are begun for so many seconds in a round: {rounds}",
            "the session is drawn at random (seeded), the n-th most used n times less often than the first (Zipf); an update counts in it",
            f"times: whole updates, with the waiting; every lock is waited for {TIMEOUT_MS // 1000} s",
            "p99 of a round with fewer than a hundred updates is its longest",
            f"stuck: an update that took over {STUCK_MS:,} ms longer than the median of a lone writer of the same store (lone_ms)",
            "updates a second: acknowledged, and in the store in the end; what was lost does not count",
            "naive: standard library, the whole file for every update, a lock file asked for again and again as OpenClaw's was, no sync",
            "naive, too: who finds a lock file that is still empty takes it for left behind, as published; that is how updates get lost",
            "[commit]: what is acknowledged survives a power cut; [process]: the end of the process",
            "published: one program under its users' load for three hours, another machine; its stuck are sessions, ours are updates",
            load,
            sync_in_words(folder),
        ],
        verdicts=list(verdicts(rows)),
    )


def losses(found: Results) -> tuple[int, int]:
    """Return how many updates our stores lost, and how many they refused for another reason than a lock; the baseline does not count."""
    rows = [row for row in found.tables["writers"] if isinstance(row, Row) and row.store != "naive"]
    return sum(abs(row.lost) for row in rows), sum(row.refused for row in rows)


def drawn(keys: Sequence[str], *, seed: int, count: int = _DRAWN) -> tuple[str, ...]:
    """Return keys drawn at random, the n-th `1 / n` as often as the first; equal for equal seeds."""
    weights = [1 / rank**_SKEW for rank in range(1, len(keys) + 1)]
    return tuple(random.Random(seed).choices(keys, weights, k=count))  # noqa: S311  # no secret


def _tasks(kind: Kind, path: Path, durability: Durability, keys: Sequence[str], *, writers: int, turn: int, seconds: float) -> list[Task]:
    """Return what each of so many writers is to do: as much as it can, on sessions that it draws on its own, a little after the last."""
    tasks = []
    for number in range(writers):
        later_s = min(_SPREAD_S, seconds / 2) * number / writers
        seed = (turn * 1_000 + writers) * 1_000 + number
        sessions = drawn(keys, seed=seed)
        tasks.append(Task(kind, str(path), durability, sessions, updates=1 << 30, seconds=seconds - later_s, later_s=later_s))
    return tasks


def _counted(kind: Kind, path: Path, durability: Durability) -> int:
    """Return how many updates are in a store."""
    with open_updatable(kind, path, durability) as store:
        return sum(entry.get(COUNTER, 0) for _, entry in store.items())
