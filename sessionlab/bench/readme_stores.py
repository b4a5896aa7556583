"""The README's table of what each store costs, from the record of `sessionlab bench stores`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from sessionlab.bench.recorded import Document

BEGIN: Final = "<!-- stores: from here to the end mark written by `python -m sessionlab.bench.record --readme` -->"
END: Final = "<!-- stores: end -->"
_QUOTED: Final = 1_000


def lines(document: Document) -> Iterator[str]:
    """Yield a row for each figure that has a bound, and how many there are within theirs."""
    rows = [row for row in document.rows if row["bound"] is not None]
    missed = sum(_is_missed(row) for row in rows)
    if document.is_quick:
        yield "**A quick run: no figures to quote.**"
        yield ""
    yield f"Recorded {document.date}: {len(rows) - missed} of {len(rows)} figures keep their bounds."
    yield ""
    yield "| store | what | measured | floor | times that | at most | |"
    yield "|---|---|--:|--:|--:|--:|---|"
    for row in rows:
        is_ratio, value = row["ratio"] is not None, row["median_ms"]
        cells = (
            row["store"],
            _what(row),
            f"{row['peak_mb']:.3g} MB" if value is None else f"{_number(value)} ms",
            f"{_number(row['floor_ms'])} ms" if is_ratio else "",
            f"{row['ratio']:.2f}" if is_ratio else "",
            f"{row['bound']:.3g}" if is_ratio else f"{row['bound']:,.0f} {'MB' if value is None else 'ms'}",
            "*missed*" if _is_missed(row) else "",
        )
        yield f"| {' | '.join(cells)} |"


def _what(row: dict[str, Any]) -> str:
    size = "" if row["sessions"] in (None, _QUOTED) else f", {row['sessions']:,} sessions"
    durability = f" [{row['durability']}]" if row["durability"] else ""
    return f"{row['operation']}{size}{durability}"


def _is_missed(row: dict[str, Any]) -> bool:
    held = row["ratio"] if row["ratio"] is not None else row["median_ms"] if row["median_ms"] is not None else row["peak_mb"]
    return bool(held > row["bound"])


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
