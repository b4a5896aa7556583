"""Figures as lines of text: each beside its floor and its bound, and beside other programs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from sessionlab.bench.measure import Measurement
from sessionlab.bench.peers import CONDITIONS, Comparison
from sessionlab.bench.results import Results
from sessionlab.bench.scope import QUOTED_SESSIONS
from sessionlab.bench.stores import Findings
from sessionlab.bench.surroundings import versions

_VERDICTS = {None: "", True: "ok", False: "MISSED"}


def lines_of(findings: Findings) -> Iterator[str]:
    """Yield everything that was found about the stores."""
    yield from table(findings.rows)
    if findings.contentions:
        yield "\nmany writers"
        yield from (f"  {one.in_words()}" for one in findings.contentions)
    yield from comparison_table(findings.comparisons)
    yield "\nconditions"
    yield from (f"  {sentence}" for sentence in (*findings.conditions, *([CONDITIONS] if findings.comparisons else [])))


def lines_of_results(results: Results) -> Iterator[str]:
    """Yield everything that a measurement left: its tables, its figures, what they say, and the conditions."""
    for name, rows in results.tables.items():
        found = [msgspec.to_builtins(row) for row in rows]
        if found:
            cells = [list(found[0]), *([_cell(value) for value in row.values()] for row in found)]
            widths = [max(len(row[place]) for row in cells) for place in range(len(cells[0]))]
            yield f"\n{name}"
            yield from ("  " + "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in cells)
    yield from table(results.figures)
    for heading, sentences in (("what it says", results.verdicts), ("conditions", results.conditions)):
        if sentences:
            yield f"\n{heading}"
            yield from (f"  {sentence}" for sentence in sentences)


def _cell(value: object) -> str:
    return "" if value is None else f"{value:,.1f}" if isinstance(value, float) else f"{value:,}" if type(value) is int else str(value)


def table(rows: Iterable[Measurement]) -> Iterator[str]:
    """Yield the figures, a heading above those of one store and size."""
    heading = ""
    for row in rows:
        found = f"\n{row.store}{f', {row.conditions}' if row.conditions else ''}"
        if found != heading:
            heading = found
            yield heading
        yield f"  {row.in_words:58} {measured(row):>10}  {against(row):<72} {bound(row):<16} {_VERDICTS[row.is_met]}".rstrip()


def comparison_table(comparisons: Sequence[Comparison]) -> Iterator[str]:
    """Yield the figures beside those of the best of the other programs."""
    if comparisons:
        goals = ", and the goals of openclaw#58550" if any(one.goal is not None for one in comparisons) else ""
        yield f"\nbeside the best of the other programs{goals}"
    for one in comparisons:
        size = f", {one.sessions:,} sessions" if one.sessions != QUOTED_SESSIONS else ""
        name = f"{one.store}{f', {one.durability}' if one.durability else ''}: {one.operation}{size}"
        goal = "" if one.goal is None else f"goal {one.goal:g} {one.unit}"
        wanted = "" if one.wanted is None else f"at least {one.wanted:g}"
        theirs = f"{number(one.theirs)} {one.unit} {one.peer}"
        yield (
            f"  {name:56} {number(one.ours):>6} {one.unit}  {one.factor:6.1f} times better than {theirs:36} {goal:12} "
            f"{wanted}  {_VERDICTS[one.is_met]}"
        ).rstrip()


def summary_line(rows: Sequence[Measurement], comparisons: Sequence[Comparison] = ()) -> str:
    """Say how many figures there are, how many miss their bound, and what was measured on."""
    missed = sum(row.is_met is False for row in rows)
    few = sum(one.is_met is False for one in comparisons)
    beside = f"; {few} of {len(comparisons)} not as much better than other programs as wanted" if comparisons else ""
    known = versions()
    place = f"Python {known['python']}, SQLite {known['sqlite']}, {known['processors']} processors, {known['platform']}"
    return f"{len(rows)} figures, {missed} beyond their bound{beside}\n{place}"


def measured(row: Measurement) -> str:
    """Return the figure with its unit."""
    return f"{number(row.median_ms)} ms" if row.median_ms is not None else f"{number(row.peak_mb or 0)} MB"


def against(row: Measurement) -> str:
    """Return what it is held against, the ratio first."""
    if row.ratio is None or row.floor_ms is None:
        return row.floor
    return f"{row.ratio:5.2f} x {row.floor} ({number(row.floor_ms)} ms)"


def bound(row: Measurement) -> str:
    """Return the most that is accepted."""
    return "" if row.most is None else f"at most {f'{row.most:,.2f}'.rstrip('0').rstrip('.')} {row.unit}"


def number(value: float) -> str:
    """Return a number with some three digits."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.1f}" if value >= 10 else f"{value:.3f}"
