"""What keeping a `sessions.json` in memory costs and spares: the script of openclaw#51567 (E.37, E.38); it published no figures."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from sessionlab.bench import children
from sessionlab.bench.caching import MODES, Loaded, Loading, Mode
from sessionlab.bench.cycling import KB, Cycling, make
from sessionlab.bench.results import Results
from sessionlab.bench.stores import Progress
from sessionlab.bench.surroundings import QUICK, load_in_words, undisturbed

COUNTS: Final = (100, 250, 500, 1_000, 2_000)
PAYLOAD_BYTES: Final = 2_048
_SAMPLES: Final = 3


class Row(msgspec.Struct, frozen=True):
    """One row of the table, in the columns of the published script: medians; KB of 2**10 bytes."""

    mode: Mode
    entries: int
    file_kb: int
    first_load_ms: float
    second_load_ms: float
    retained_heap_delta_kb: float


def measure(folder: Path, counts: Sequence[int] = COUNTS, *, on_progress: Progress | None = None) -> Results:
    """Load files of some sizes twice in each mode, each sample in a process of its own.

    Args:
        folder: Empty; the files are made in it, 10 MB.
        counts: How many sessions each file holds.
        on_progress: Called with (what, done, total).

    Raises:
        SessionLabError: There is no room, or a process failed.
    """
    load = load_in_words()
    rows: list[Row] = []
    with undisturbed():
        for number, count in enumerate(counts):
            if on_progress is not None:
                on_progress(f"{count:,} sessions", number, len(counts))
            path = folder / f"{count}.json"
            task = Cycling(store="json", path=str(path), sessions=count, payload_bytes=PAYLOAD_BYTES, touches=1, cycles=0, sample_every=1)
            make(task)
            rows += _rows(path, count)
    return Results(
        "cache",
        tables={"cache": rows},
        conditions=[
            *([QUICK] if max(counts) < max(COUNTS) else []),
            f"median of {_SAMPLES} processes each; a text of {PAYLOAD_BYTES:,} bytes in each session",
            "full-cache: the store keeps the file's bytes and where each session lies in them; no decoded object is kept in any mode",
            "serialized-retained: no cache, but the caller keeps the snapshot it has loaded; no-cache: nobody keeps anything",
            "retained: what Python's allocators had given out more than before (tracemalloc), in processes that are not timed",
            load,
        ],
        verdicts=list(_verdicts(rows)),
    )


def _rows(path: Path, count: int) -> Iterator[Row]:
    found: dict[Mode, list[Loaded]] = {mode: [] for mode in MODES}
    for _ in range(_SAMPLES):
        for mode in MODES:  # in turns: what drifts hits all alike
            found[mode].append(_run(Loading(path=str(path), mode=mode, is_traced=False)))
    for mode, samples in found.items():
        retained = _run(Loading(path=str(path), mode=mode, is_traced=True)).retained_kb
        yield Row(
            mode=mode,
            entries=count,
            file_kb=path.stat().st_size // KB,
            first_load_ms=round(statistics.median(one.first_load_ms for one in samples), 2),
            second_load_ms=round(statistics.median(one.second_load_ms for one in samples), 2),
            retained_heap_delta_kb=round(retained or 0.0, 1),
        )


def _verdicts(rows: Iterable[Row]) -> Iterator[str]:
    """Say what the cache costs and spares in the largest file."""
    most = max(row.entries for row in rows)
    by_mode = {row.mode: row for row in rows if row.entries == most}
    full, none = by_mode["full-cache"], by_mode["no-cache"]
    second, kept_kb = f"{full.second_load_ms:.1f} ms with the cache, {none.second_load_ms:.1f} without", full.retained_heap_delta_kb
    kept = f"it keeps {kept_kb:,.0f} KB, {kept_kb / full.file_kb:.2f} times the file"
    yield f"{most:,} sessions, {full.file_kb:,} KB: a second load takes {second}; {kept}"


def _run(task: Loading) -> Loaded:
    return children.answer("sessionlab.bench.caching", task, Loaded)
