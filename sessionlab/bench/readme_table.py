"""The one table of the README, from the recorded measurements: what waits, what is written, what is taken, by whom."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from sessionlab.bench.lock_story import PUBLISHED as LOCK_STORY
from sessionlab.bench.peers_recorded import Beside, recorded_peers
from sessionlab.bench.recorded import Document, read
from sessionlab.bench.rss import PUBLISHED as STRESS
from sessionlab.errors import UsageError

BEGIN: Final = "<!-- benchmarks: from here to the end mark written by `python -m sessionlab.bench.record --readme` -->"
END: Final = "<!-- benchmarks: end -->"
NEEDED: Final = ("proposal", "contention", "rss")
PROGRAMS: Final = ("naive", "json", "sqlite", "directory")
_HEADS: Final = {"naive": "naive file", "json": "JSON store", "sqlite": "SQLite store", "directory": "directory store"}
_LARGE_KB: Final = 10
_MISSING: Final = "?"
_WIDTH: Final = 138
_MOST_WRITERS: Final = 8

Row = Mapping[str, Any]


def refresh(readme: Path, folder: Path) -> bool:
    """Write the README's table anew from the records in `folder`, and say whether that changed it.

    Raises:
        UsageError: A record is missing or foreign, or the README has no place for the table.
    """
    before = readme.read_text(encoding="utf-8")
    after = with_table(before, {name: read(folder, name) for name in NEEDED}, recorded_peers(folder))
    if after != before:
        readme.write_text(after, encoding="utf-8", newline="\n")
    return after != before


def with_table(text: str, records: Mapping[str, Document], peers: Sequence[Beside]) -> str:
    """Return a README whose table is that of the records.

    Raises:
        UsageError: It has not both marks, in their order.
    """
    head, begin, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise UsageError(f"README.md: the marks of the table are missing; put {BEGIN} and {END} where it is to stand")
    table = "\n".join(lines(records, peers))
    return f"{head}{BEGIN}\n\n{table}\n\n{END}{tail}"


def lines(records: Mapping[str, Document], peers: Sequence[Beside]) -> Iterator[str]:
    """Yield the table and what its reader must know."""
    heads = " | ".join(_HEADS[one] for one in PROGRAMS)
    yield f"| | OpenClaw, recorded | {heads} |"
    yield f"|---|{'--:|' * (len(PROGRAMS) + 1)}"
    for what, theirs, ours in (*_of_sizes(records["proposal"], peers), *_of_writers(records["contention"]), *_of_cycles(records["rss"])):
        yield f"| {what} | {theirs} | {' | '.join(ours.get(one, '') for one in PROGRAMS)} |"
    yield ""
    yield from _notes(records, peers)


Line = tuple[str, str, Mapping[str, str]]
"""What, as OpenClaw had it, as each program has it."""


def _of_sizes(document: Document, peers: Sequence[Beside]) -> Iterator[Line]:
    """Yield load, list, update, memory and CPU at the largest number of large sessions."""
    large = [row for row in document.tables["proposal"] if row["entry_kb"] > _LARGE_KB]
    most = max(row["sessions"] for row in large)
    rows = [row for row in large if row["sessions"] == most]
    found = {row["program"]: row for row in rows if row["program"] == "naive" or row["durability"] == "commit"}
    weaker = {row["program"]: row for row in rows if row["durability"] == "process"}

    def cells(metric: str) -> dict[str, str]:
        return {program: _number(row[metric]) for program, row in found.items()}

    def theirs(field: str) -> str:
        values = [getattr(peer, field) for peer in peers]
        return "; ".join(_MISSING if value is None else _number(value) for value in values)

    yield f"load {most:,} sessions of 42 KB, ms", theirs("cold_list_ms"), cells("load_ms")
    yield "list them again, ms", theirs("warm_list_ms"), cells("list_ms")
    synced = "; ".join(
        _MISSING if one.update_ms is None else f"{_number(one.update_ms)}{' synced' if one.is_synced else ''}" for one in peers
    )
    updates = cells("update_ms")
    for program in updates:
        updates[program] += "" if program == "naive" else " synced"
        if program != "naive" and program in weaker:
            updates[program] += f"; {_number(weaker[program]['update_ms'])}"
    yield "update one, ms", synced, updates
    yield "peak memory of that, MB", f"{theirs('memory_mb')} in all", cells("peak_mb")
    yield "CPU with an update a second", "", {program: f"{_number(row['cpu_percent'])} %" for program, row in found.items()}


def _of_writers(document: Document) -> Iterator[Line]:
    """Yield what many writers at once wait for."""
    rows = document.tables["writers"]
    writers = max(row["writers"] for row in rows if row["writers"] <= _MOST_WRITERS)
    found = {row["store"]: row for row in rows if row["writers"] == writers and (row["store"] == "naive" or row["durability"] == "commit")}
    timeouts, stuck = LOCK_STORY[0].count, LOCK_STORY[1]
    yield f"{writers} writers, all they can: updates a second", "", _each(found, lambda row: _number(row["updates_per_s"]))
    waits = _each(found, lambda row: f"{_number(row['p50_ms'])}; {_number(row['max_ms'])}")
    yield "an update then waits, ms: median; longest", f"{_MISSING}; {_number((stuck.max_s or 0) * 1000)}", waits
    counts = _each(found, lambda row: f"{row['timeouts']}; {row['stuck']}; {row['lost']}")
    yield "timeouts; stuck over 1 s; lost", f"{timeouts}; {stuck.count}; {_MISSING}", counts


def _of_cycles(document: Document) -> Iterator[Line]:
    """Yield peak memory and time of the stress test: of each store the worst and the best of its ways."""
    peaks: dict[str, dict[str, float]] = {}
    cycles: dict[str, list[float]] = {}
    for row in document.tables["samples"]:
        peaks.setdefault(row["store"], {})[row["run"]] = row["peak_mb"]
    for row in document.rows:
        if row["median_ms"] is not None:
            cycles.setdefault(row["store"], []).append(row["median_ms"])
    worst, best = (max(row.rss_mb for row in STRESS if row.run == run) for run in ("before", "after"))
    last = max(row["cycle"] for row in document.tables["samples"])
    kb = max(row["store_kb"] for row in document.tables["samples"] if row["store"] == "json")
    what = f"load and update {last} times, {kb / 1024:.1f} MB: peak, MB"
    yield what, f"{_number(worst)}; {_number(best)}", {store: _range(found.values()) for store, found in peaks.items()}
    theirs = "; ".join(_number(_published_cycle_ms(run)) for run in ("before", "after"))
    yield "a cycle of it, ms", theirs, {store: _range(found) for store, found in cycles.items()}


def _notes(records: Mapping[str, Document], peers: Sequence[Beside]) -> Iterator[str]:
    """Yield what a reader must know: when and where, what naive is, what the others' numbers are."""
    proposal = records["proposal"]
    dates = sorted({records[name].date for name in NEEDED})
    when = dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
    names = "; ".join(f"{one.name.removeprefix('OpenClaw ')} ({'beside ours' if one.date else 'on another machine'})" for one in peers)
    said = (
        f"Recorded {when} on {proposal.machine.in_words}; Python {proposal.versions['python']}, SQLite {proposal.versions['sqlite']}. "
        "*Naive* is a `sessions.json` that the standard library reads and writes whole for every update, not synced; two numbers of an "
        "update are with and without sync. Memory is what comes on top of the imports, in the rows with cycles the whole process; ranges "
        "are over the ways to load. OpenClaw: "
        f"{names}, in this order, the real programs with 1,000 sessions of 42 KB, memory of the whole process; writers: a report of three "
        "hours under its users' load; cycles: as published, without and with reuse. All figures and conditions: `notebooks/07_benchmarks`; "
        "the numbers: `data/benchmarks/`."
    )
    if any(records[name].is_quick for name in NEEDED):
        said = f"**A quick run: no figures to quote.** {said}"
    yield from textwrap.wrap(said, _WIDTH, break_long_words=False, break_on_hyphens=False)


def _each(rows: Mapping[str, Row], cell: Callable[[Row], str]) -> dict[str, str]:
    return {program: cell(row) for program, row in rows.items()}


def _published_cycle_ms(run: str) -> float:
    found = [row for row in STRESS if row.run == run]
    return (found[-1].elapsed_ms - found[0].elapsed_ms) / (found[-1].cycle - found[0].cycle)


def _range(values: Iterable[float]) -> str:
    least, most = _number(min(values := list(values))), _number(max(values))
    return least if least == most else f"{least} to {most}"


def _number(value: float) -> str:
    """Write a number with some two or three digits."""
    return f"{value:,.0f}" if value >= 10 else f"{value:.3g}" if value >= 1 else f"{value:.2g}"
