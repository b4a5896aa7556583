"""What becomes of a store that grows: large listings, and what an update costs in a store a hundred times the size.

These stores hold small entries (`content.small_entries`): with large ones they would need 4 GB to 40 GB, and neither a listing nor an
update of another session touches the big fields.
"""

from __future__ import annotations

import itertools
import random
import shutil
import sqlite3
import sys
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from sessionlab.bench import children, memory
from sessionlab.bench.content import changing_fields, small_entries
from sessionlab.bench.measure import Measurement, medians_ms
from sessionlab.bench.scope import NOW_MS, Scope
from sessionlab.bench.writer import open_writable
from sessionlab.stores.sqlite import SQLiteStore
from sessionlab.stores.sqlite_schema import SELECT_SUMMARIES
from sessionlab.stores.writing import WritableStore

_FILL: Final = "import sys; from sessionlab.bench.large_stores import fill; fill(sys.argv[1], sys.argv[2], int(sys.argv[3]))"


def measure_sqlite(folder: Path, scope: Scope) -> list[Measurement]:
    """Measure SQLite stores of many small sessions; `folder` is empty."""
    rows = []
    for count in scope.listed_sizes:
        path = _made("sqlite", folder / f"{count}.sqlite", count)
        rows += _listing(path, count, scope)
    return rows + _growth(folder, scope, "sqlite")


def measure_directory(folder: Path, scope: Scope) -> list[Measurement]:
    """Measure directory stores of many small sessions; `folder` is empty."""
    return _growth(folder, scope, "directory")


def fill(kind: str, path: str, count: int) -> None:
    """Make a store of small sessions, in one save."""
    import gc

    gc.disable()  # a million dictionaries that all stay
    with _opened(kind, Path(path)) as store:
        store.save(small_entries(count))


def _listing(path: Path, count: int, scope: Scope) -> list[Measurement]:
    bare = sqlite3.connect(path)
    with SQLiteStore(path) as store:
        times = medians_ms(
            {
                "fetch": lambda: _consume(bare.execute(SELECT_SUMMARIES)),
                "list": lambda: _consume(store.summaries()),
            },
            runs=3 if count > 200_000 else scope.slow_rounds,
        )
    bare.close()
    row = Measurement(
        store="sqlite",
        operation="list summaries, rows not kept",
        median_ms=times["list"],
        floor_ms=times["fetch"],
        floor="bare cursor of the same columns, plainly iterated",
        bound=1.25,
        sessions=count,
        conditions=_in_words(count),
    )
    return [row, memory.of_listing("sqlite", path, sessions=count, is_kept=False, bound=40, conditions=_in_words(count))]


def _growth(folder: Path, scope: Scope, kind: str) -> list[Measurement]:
    """Compare updates of sessions drawn at random in a small and in a large store."""
    few, many = scope.sessions, scope.grown_size(kind)  # type: ignore[arg-type]
    suffix = {"sqlite": ".sqlite", "directory": ".d"}[kind]
    small, large = _made(kind, folder / f"{few}{suffix}", few), _made(kind, folder / f"{many}{suffix}", many)
    with _opened(kind, small) as first, _opened(kind, large) as second:
        times = medians_ms({"few": _updating(first, few), "many": _updating(second, many)}, runs=3 * scope.fast_rounds)
    if kind == "directory":
        shutil.rmtree(large)
    return [
        Measurement(
            store=kind,
            operation="update one, any of many",
            median_ms=times["many"],
            floor_ms=times["few"],
            floor=f"the same in a store of {few:,}",
            bound=1.3,
            sessions=many,
            durability="commit",
            conditions=_in_words(many),
        )
    ]


def _updating(store: WritableStore, count: int) -> Callable[[], object]:
    keys, change = random.Random(1).sample(list(small_entries(count)), k=min(count, 1000)), changing_fields("run")  # noqa: S311  # no secret
    turns = itertools.cycle(keys)
    return lambda: store.update(next(turns), lambda _entry: next(change), now_ms=NOW_MS)


def _made(kind: str, path: Path, count: int) -> Path:
    """Make a store in a process of its own, whose memory is then free again; what is there already is used again."""
    if not path.exists():
        children.output_of([sys.executable, "-c", _FILL, kind, str(path), str(count)], what="the process that makes a large store")
    return path


def _opened(kind: str, path: Path) -> WritableStore:
    return open_writable(kind, path, "commit")  # type: ignore[arg-type]


def _consume(rows: Iterable[object]) -> None:
    deque(rows, maxlen=0)


def _in_words(count: int) -> str:
    return f"{count:,} small sessions of 0.7 KB"
