"""Memory and time of a process that loads and updates a store for long: the stress test of openclaw#51567 (E.33 to E.36)."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from sessionlab.bench import children
from sessionlab.bench.cycling import KB, Cycling, Loop, Sample, make
from sessionlab.bench.measure import Measurement
from sessionlab.bench.results import Results
from sessionlab.bench.scope import NAMES, STORES, StoreKind
from sessionlab.bench.stores import Progress
from sessionlab.bench.surroundings import QUICK, load_in_words, sync_in_words, undisturbed
from sessionlab.stores.json_cache import LIMIT_VARIABLE, TTL_VARIABLE

PEAK_MB: Final[dict[StoreKind, float]] = {"json": 64, "sqlite": 32, "directory": 32}
"""The most that a process may ever have, in MB of 2**20 bytes."""
LOADING: Final = "load"
"""How the name of a run begins that loads every session."""
CYCLE_MS: Final[dict[StoreKind, float | None]] = {"json": 25, "sqlite": None, "directory": None}
QUOTED_KB: Final = 7_600
QUOTED_BYTES: Final = 2_048
"""The size that was published, and that the bounds are for: as sessions.json, and of each session's text."""
QUOTED_CYCLES: Final = 50
_AROUND_BYTES: Final = 150
"""What an entry takes in the file besides its payload, about."""
_CACHED_BYTES: Final = 1 << 40


class Published(msgspec.Struct, frozen=True):
    """One row of the published table: a store of 7.6 MB, 50 cycles, Node; MB of 2**20 bytes."""

    run: str
    cycle: int
    rss_mb: float
    heap_mb: float
    external_mb: float
    elapsed_ms: float
    store_kb: int


PUBLISHED: Final = (
    Published("before", 0, 668.7, 221.3, 21.4, 15181, 7601),
    Published("before", 10, 877.6, 236.3, 20.1, 15760, 7602),
    Published("before", 20, 1004.7, 236.3, 20.1, 16318, 7603),
    Published("before", 30, 1109.8, 236.3, 20.1, 16873, 7604),
    Published("before", 40, 1214.1, 236.3, 20.1, 17433, 7605),
    Published("before", 50, 1236.6, 236.3, 20.1, 17987, 7605),
    Published("after", 0, 662.1, 221.3, 12.6, 15115, 7601),
    Published("after", 10, 740.7, 236.3, 27.5, 15561, 7602),
    Published("after", 20, 778.6, 236.3, 27.5, 16001, 7603),
    Published("after", 30, 815.9, 236.3, 27.5, 16430, 7604),
    Published("after", 40, 853.2, 236.3, 27.5, 16862, 7605),
    Published("after", 50, 890.5, 236.3, 27.5, 17297, 7605),
)
"""As openclaw#51567 has it; "before" ran without the reuse of snapshots, on which tree is not said."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be measured, as the flags of the published script name it.

    Attributes:
        target_kb: Size of the `sessions.json` that the sessions would make, in KB of 2**10 bytes; the other stores hold the same sessions.
        payload_size: Bytes of each session's text.
        cache_ttl_ms: For how long the object cache answers; its own default when `None`.
        reuse_loaded_store: Only the runs that update from what was loaded.
    """

    target_kb: int = QUOTED_KB
    cycles: int = 300
    sample_every: int = 25
    payload_size: int = QUOTED_BYTES
    unique_touches: int = 400
    cache_ttl_ms: int | None = None
    reuse_loaded_store: bool = False
    stores: tuple[StoreKind, ...] = STORES

    @property
    def sessions(self) -> int:
        """How many sessions make a file of that size, about."""
        return max(1, self.target_kb * KB // (self.payload_size + _AROUND_BYTES))

    @property
    def is_quoted(self) -> bool:
        """Whether the stores have the size that the bounds are for."""
        return (self.target_kb, self.payload_size) == (QUOTED_KB, QUOTED_BYTES)

    @property
    def is_quick(self) -> bool:
        """Whether it is less than what was published."""
        return self.target_kb < QUOTED_KB or self.cycles < QUOTED_CYCLES


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One process and what it looked like, cycle by cycle."""

    task: Cycling
    samples: tuple[Sample, ...]

    @property
    def in_words(self) -> str:
        """What it did."""
        if self.task.loop == "summaries":
            return "go through summaries, update one"
        how = "from what was loaded" if self.task.is_reusing else "reading again"
        loads = "load and decode all" if self.task.loop == "decode" else "load"
        return f"{loads}, update one {how}{', object cache' if self.task.is_cached else ''}"

    @property
    def peak_mb(self) -> float:
        """The most memory that it ever had, MB of 2**20 bytes."""
        return self.samples[-1].peak_mb

    @property
    def cycle_ms(self) -> float:
        """What a cycle took, the making of the store left out: the mean from the first look to the last."""
        first, last = self.samples[0], self.samples[-1]
        return (last.elapsed_ms - first.elapsed_ms) / max(1, last.cycle - first.cycle)

    def rows(self) -> list[dict[str, Any]]:
        """Return what it looked like, a row for each look, in the columns of the published table and ours."""
        return [{"store": self.task.store, "run": self.in_words, **msgspec.to_builtins(sample)} for sample in self.samples]

    def figures(self, *, is_judged: bool) -> list[Measurement]:
        """Return it as figures, with their bounds where it is to be judged by them; what decodes everything has none."""
        is_judged = is_judged and self.task.loop != "decode"
        same: dict[str, Any] = {"store": self.task.store, "sessions": self.task.sessions}
        peak, whole = PEAK_MB[self.task.store] if is_judged else None, "all that is in the process; MB of 2**20 bytes"
        mean = "mean of all cycles, each with a garbage collection of what it made"
        return [
            Measurement(operation=f"{self.in_words}: peak memory", peak_mb=self.peak_mb, bound=peak, floor=whole, **same),
            Measurement(
                operation=f"{self.in_words}: a cycle",
                median_ms=self.cycle_ms,
                limit_ms=CYCLE_MS[self.task.store] if is_judged else None,
                floor=mean,
                durability="commit",
                **same,
            ),
        ]


def measure(folder: Path, asked: Asked, *, on_progress: Progress | None = None) -> Results:
    """Run every store's loops, each in a process of its own on a store that another has made.

    Args:
        folder: Empty; ten times `target_kb` at a time.
        asked: How much.
        on_progress: Called with (what, done, total).

    Raises:
        SessionLabError: There is no room, or a process failed.
    """
    load = load_in_words()
    runs = []
    tasks = list(_tasks(folder, asked))
    with undisturbed():
        for number, task in enumerate(tasks):
            if on_progress is not None:
                on_progress(f"{task.store}: {task.loop}", number, len(tasks))
            place = Path(task.path).parent
            place.mkdir()
            make(task)
            runs.append(Run(task=task, samples=tuple(_run(task, cache_ttl_ms=asked.cache_ttl_ms))))
            shutil.rmtree(place)
    return Results(
        "rss",
        figures=[figure for run in runs for figure in run.figures(is_judged=asked.is_quoted)],
        tables={"samples": [row for run in runs for row in run.rows()], "published": PUBLISHED},
        conditions=[
            *([QUICK] if asked.is_quick else []),
            *([] if asked.is_quoted else [f"no bound is judged: they are for {QUOTED_KB:,} KB, in texts of {QUOTED_BYTES:,} bytes"]),
            *(["only what updates from what was loaded (--reuse-loaded-store)"] if asked.reuse_loaded_store else []),
            f"{asked.sessions:,} sessions with a text of {asked.payload_size:,} bytes each, some {asked.target_kb:,} KB as sessions.json",
            f"{asked.cycles} cycles; {min(asked.unique_touches, asked.sessions)} sessions are updated in turn; every update is synced",
            "heap: what is the process's own (RssAnon); external: mapped files (RssFile, RssShmem); peak: VmHWM",
            "published: openclaw#51567, a store of 7.6 MB in Node, whose load decodes everything; ours in Python, another machine",
            "a load of ours decodes an entry when it is looked at: one way decodes all, without a bound",
            load,
            sync_in_words(folder),
        ],
        verdicts=list(_verdicts(runs)),
    )


def _verdicts(runs: Sequence[Run]) -> Iterator[str]:
    """Say how the worst run of each store stands beside the published ones."""
    worst, best = (max(row.rss_mb for row in PUBLISHED if row.run == run) for run in ("before", "after"))
    for store in STORES:
        found = [run for run in runs if run.task.store == store]
        if found:
            peak = max(run.peak_mb for run in found)
            cycle = ", ".join(f"{run.cycle_ms:.0f} ms ({run.in_words})" for run in found)
            yield (
                f"{store}: at most {peak:.0f} MB where {worst:,.0f} and {best:,.0f} MB were published, {worst / peak:.0f} and "
                f"{best / peak:.0f} times less{_growth(found)}; a cycle takes {cycle}, where {_CYCLES_MS} ms were published"
            )


def cycle_ms(run: str) -> float:
    """Return what a cycle of a published run took: the mean from its first look to its last."""
    rows = [row for row in PUBLISHED if row.run == run]
    return (rows[-1].elapsed_ms - rows[0].elapsed_ms) / (rows[-1].cycle - rows[0].cycle)


_CYCLES_MS: Final = " and ".join(f"{cycle_ms(run):.0f}" for run in ("before", "after"))


def _growth(runs: Sequence[Run]) -> str:
    """Say how much memory came after the first look that followed a cycle, beside the same of the published runs; "" with one look."""
    if any(len(run.samples) < 3 for run in runs):
        return ""
    grown = max(run.samples[-1].rss_mb - run.samples[1].rss_mb for run in runs)
    known = [[row.rss_mb for row in PUBLISHED if row.run == run] for run in ("before", "after")]
    theirs = " and ".join(f"{values[-1] - values[1]:.0f}" for values in known)
    return f"; from cycle {runs[0].samples[1].cycle} on it grew by {max(grown, 0):.1f} MB ({theirs} published, from cycle 10)"


def _tasks(folder: Path, asked: Asked) -> Iterator[Cycling]:
    number = itertools.count()
    for store in asked.stores:
        ways: list[tuple[Loop, bool, bool]] = [("load", False, False), ("load", True, False)]
        ways += [("load", False, True), ("load", True, True)] if store == "json" else []
        for loop, is_reusing, is_cached in [*ways, ("decode", True, False), ("summaries", False, False)]:
            if asked.reuse_loaded_store and not is_reusing:
                continue
            yield Cycling(
                store=store,
                path=str(folder / str(next(number)) / NAMES[store]),
                sessions=asked.sessions,
                payload_bytes=asked.payload_size,
                touches=min(asked.unique_touches, asked.sessions),
                cycles=asked.cycles,
                sample_every=asked.sample_every,
                loop=loop,
                is_reusing=is_reusing,
                is_cached=is_cached,
            )


def _run(task: Cycling, *, cache_ttl_ms: int | None) -> list[Sample]:
    around = {**os.environ, LIMIT_VARIABLE: str(_CACHED_BYTES if task.is_cached else 0)}
    if cache_ttl_ms is not None:
        around[TTL_VARIABLE] = str(cache_ttl_ms)
    # Never ended for being long: how many cycles there are is for the caller to say.
    return children.answers("sessionlab.bench.cycling", task, Sample, environment=around, timeout_s=None)
