"""All measurements of the writing stores, each against the least that the same thing can cost in the same run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from sessionlab.bench import crowd, directory_store, json_store, large_stores, peers, sqlite_store
from sessionlab.bench.content import Content, make_content
from sessionlab.bench.crowd import Contention
from sessionlab.bench.measure import Measurement
from sessionlab.bench.peers import Comparison
from sessionlab.bench.peers_recorded import Beside, recorded_peers
from sessionlab.bench.scope import Scope
from sessionlab.bench.surroundings import QUICK, load_in_words, sync_in_words, undisturbed, versions
from sessionlab.resources import benchmarks_dir

Progress = Callable[[str, int, int], None]
Found = tuple[list[Measurement], list[Contention]]

_TRUTHS: Final = (
    "floor and figure are interleaved in one run; other work on the machine moves both, so ratios count",
    "every write changes content and size: a database does not write a page that is equal to the old one",
    "[commit]: what is acknowledged survives a power cut (SQLite's FULL); [process]: the end of the process (NORMAL)",
    "the bare upsert writes the index row and the whole document, encoded before, in one transaction of a plain connection",
    "touch is held against that bare upsert, not against the store's own put, which costs more",
    "listings of many sessions do not keep their rows, and neither does the bare cursor, which is iterated plainly",
    "memory is the peak (VmHWM) of a fresh process; MB are 10**6 bytes",
)


@dataclass(frozen=True, slots=True)
class Findings:
    """What was measured.

    Attributes:
        rows: The figures.
        contentions: What many writers left of each store.
        conditions: What a reader must know, a sentence each.
    """

    rows: tuple[Measurement, ...]
    contentions: tuple[Contention, ...]
    conditions: tuple[str, ...]

    @property
    def comparisons(self) -> list[Comparison]:
        """The figures beside those of other programs."""
        return peers.compare(self.rows, recorded_peers(benchmarks_dir()))

    @property
    def lost(self) -> int:
        """How many updates that were acknowledged are not in a store."""
        return sum(abs(one.lost) for one in self.contentions)

    def document(self) -> dict[str, Any]:
        """Return everything as JSON-able values."""
        return {
            "rows": [row.row() for row in self.rows],
            "missed": [f"{row.store}: {row.in_words}" for row in self.rows if row.is_met is False],
            "contention": msgspec.to_builtins(self.contentions),
            "peers": msgspec.to_builtins((*recorded_peers(benchmarks_dir()), Beside(**msgspec.structs.asdict(peers.GOALS)))),
            "factors": msgspec.to_builtins(self.comparisons),
            "conditions": list(self.conditions),
            "versions": versions(),
        }


def measure(folder: Path, scope: Scope, *, content: Content | None = None, on_progress: Progress | None = None) -> Findings:
    """Measure the stores of a scope.

    Args:
        folder: Empty; the stores are made in it. 0.5 GB for 1,000 sessions, 2.5 GB with the largest stores.
        scope: How much.
        content: What the stores are to hold; made when not given.
        on_progress: Called with (what, done, total).
    """
    load = load_in_words()
    content = content or make_content(folder / "content", sessions=scope.sessions)
    rows: list[Measurement] = []
    contentions: list[Contention] = []
    steps = list(_steps(folder, content, scope))
    with undisturbed():
        for number, (what, step) in enumerate(steps):
            if on_progress is not None:
                on_progress(what, number, len(steps))
            found = step()
            rows += found[0]
            contentions += found[1]
    conditions = [
        f"stores of {content.in_words} (as indented JSON); those of another size hold small entries",
        *_TRUTHS,
        load,
        sync_in_words(folder),
    ]
    if scope.is_quick:
        conditions.insert(0, QUICK)
    return Findings(tuple(rows), tuple(contentions), tuple(conditions))


def _steps(folder: Path, content: Content, scope: Scope) -> Iterator[tuple[str, Callable[[], Found]]]:
    """Yield what is to be done, each step with a folder of its own."""

    def place(name: str) -> Path:
        made = folder / name
        made.mkdir(parents=True)
        return made

    if "json" in scope.stores:
        yield "JSON store", lambda: (json_store.measure(place("json"), content, scope), [])
    if "sqlite" in scope.stores:
        yield "SQLite store", lambda: (sqlite_store.measure(place("sqlite"), content, scope), [])
        yield "large SQLite stores", lambda: (large_stores.measure_sqlite(place("large-sqlite"), scope), [])
    if "directory" in scope.stores:
        yield "directory store", lambda: (directory_store.measure(place("directory"), content, scope), [])
        yield "large directory stores", lambda: (large_stores.measure_directory(place("large-directory"), scope), [])
    for store in scope.stores:
        yield f"many writers: {store}", lambda store=store: crowd.measure(place(f"many-{store}"), content, scope, store)  # type: ignore[misc]
