"""The README's tables of what stores and parallel sessions cost, from the records of `sessionlab bench stores` and `bench parallel`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from sessionlab.bench.recorded import Document

_QUOTED: Final = 1_000
_QUOTED_MEMORIES: Final = 100_000

Row = dict[str, Any]


def stores(document: Document) -> Iterator[str]:
    """Yield a row for each figure of the stores that has a bound, and how many there are within theirs."""
    rows = [row for row in document.rows if row["bound"] is not None]
    yield from _heading(document, rows)
    yield "| store | what | measured | floor | times that | at most | |"
    yield "|---|---|--:|--:|--:|--:|---|"
    for row in rows:
        size = "" if row["sessions"] in (None, _QUOTED) else f", {row['sessions']:,} sessions"
        durability = f" [{row['durability']}]" if row["durability"] else ""
        memory_or_time = "MB" if row["median_ms"] is None else "ms"
        most = f"{row['bound']:.3g}" if row["ratio"] is not None else f"{row['bound']:,.0f} {memory_or_time}"
        yield f"| {' | '.join((row['store'], row['operation'] + size + durability, *_measured(row), most, _verdict(document, row)))} |"


def parallel(document: Document) -> Iterator[str]:
    """Yield a row for each figure of parallel sessions, and how many of those with a bound keep it."""
    yield from _heading(document, [row for row in document.rows if row["bound"] is not None])
    yield "| what | measured | floor | times that | |"
    yield "|---|--:|--:|--:|---|"
    for row in document.rows:
        size = "" if row["sessions"] in (None, _QUOTED_MEMORIES) else f", {row['sessions']:,} memories"
        yield f"| {' | '.join((row['operation'] + size, *_measured(row), _verdict(document, row)))} |"


TABLES: Final[Mapping[str, Callable[[Document], Iterator[str]]]] = {"stores": stores, "parallel": parallel}
"""The record, which the marks in the README are called after -> its table."""


def _heading(document: Document, rows: list[Row]) -> Iterator[str]:
    missed = sum(bool(_verdict(document, row)) for row in rows)
    quick = "**A quick run: no figures to quote.** " if document.is_quick else ""
    yield f"{quick}Recorded {document.date}: {len(rows) - missed} of {len(rows)} figures keep their bounds."
    yield ""


def _measured(row: Row) -> tuple[str, str, str]:
    """Return the figure, its floor and the ratio; the last two blank where there are none."""
    if row["median_ms"] is None:
        return f"{row['peak_mb']:.3g} MB", "", ""
    if row["ratio"] is None:
        return _time(row["median_ms"]), "", ""
    return _time(row["median_ms"]), _time(row["floor_ms"]), f"{row['ratio']:.2f}"


def _verdict(document: Document, row: Row) -> str:
    durability = f" [{row['durability']}]" if row["durability"] else ""
    return "*missed*" if f"{row['store']}: {row['operation']}{durability}" in document.missed else ""


def _time(ms: float) -> str:
    return f"{ms:,.0f} ms" if ms >= 100 else f"{ms:.3g} ms" if ms >= 0.01 else f"{1000 * ms:.2g} us"
