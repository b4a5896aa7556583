"""The one table of the README, from the recorded measurements: what waits, what is written, what is taken, by whom."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from sessionlab.bench import readme_costs
from sessionlab.bench.many_writers import PUBLISHED as LOCK_STORY
from sessionlab.bench.peers_recorded import PREFIX, Beside, recorded_peers
from sessionlab.bench.recorded import Document, read
from sessionlab.bench.rss import LOADING, cycle_ms
from sessionlab.bench.rss import PUBLISHED as STRESS
from sessionlab.errors import UsageError

_BEGIN: Final = "<!-- {}: from here to the end mark written by `python -m sessionlab.bench.record --readme` -->"
_END: Final = "<!-- {}: end -->"
NEEDED: Final = ("proposal", "contention", "rss")
PROGRAMS: Final = ("naive", "json", "sqlite", "directory")
_HEADS: Final = {"naive": "naive file", "json": "JSON store", "sqlite": "SQLite store", "directory": "directory store"}
_LARGE_KB: Final = 10
_WIDTH: Final = 138
_MOST_WRITERS: Final = 8

Row = Mapping[str, Any]


class Theirs(NamedTuple):
    """The two kinds of OpenClaw that the table has, and what our stores took beside the newer one: operation -> store -> the figure."""

    json: Beside
    sqlite: Beside
    ours: Mapping[str, Mapping[str, float]]


def theirs_of(peers: Sequence[Beside], records: Iterable[Document]) -> Theirs:
    """Return the newest OpenClaw of each kind.

    Args:
        peers: All that are known, oldest first.
        records: Those of the peers, `peers-VERSION`.
    """
    newest = {kind: next(one for one in reversed(peers) if one.name.endswith(kind)) for kind in ("JSON", "SQLite")}
    ours: dict[str, dict[str, float]] = {}
    for record in records:
        if record.name.removeprefix(PREFIX) in newest["SQLite"].name:
            for row in record.tables["beside"]:
                if row["durability"] != "process":
                    ours.setdefault(row["operation"], {})[row["program"]] = row["ours"]
    return Theirs(newest["JSON"], newest["SQLite"], ours)


def refresh(readme: Path, folder: Path) -> bool:
    """Write the README's tables anew from the records in `folder`, and say whether that changed it.

    Raises:
        UsageError: A record is missing or foreign, or the README has no place for a table.
    """
    before = readme.read_text(encoding="utf-8")
    after = with_tables(before, folder)
    if after != before:
        readme.write_text(after, encoding="utf-8", newline="\n")
    return after != before


def known(folder: Path) -> Theirs:
    """Return what the records in a folder know of OpenClaw."""
    return theirs_of(recorded_peers(folder), [read(folder, path.stem) for path in sorted(folder.glob(f"{PREFIX}*.json"))])


def with_tables(text: str, folder: Path) -> str:
    """Return a README whose tables are those of the records in a folder.

    Raises:
        UsageError: A record is missing or foreign, or the README has not both marks of a table, in their order.
    """
    text = between(text, "benchmarks", lines({name: read(folder, name) for name in NEEDED}, known(folder)))
    for name, table in readme_costs.TABLES.items():
        text = between(text, name, table(read(folder, name)))
    return text


def marks(name: str) -> tuple[str, str]:
    """Return what stands before a table and behind it."""
    return _BEGIN.format(name), _END.format(name)


def between(text: str, name: str, made: Iterable[str]) -> str:
    """Return a text with these lines between the marks of a table.

    Raises:
        UsageError: It has not both, in their order.
    """
    begin, end = marks(name)
    head, first, rest = text.partition(begin)
    _, last, tail = rest.partition(end)
    if not first or not last:
        raise UsageError(f"README.md: the marks of the table are missing; put {begin} and {end} where it is to stand")
    table = "\n".join(made)
    return f"{head}{begin}\n\n{table}\n\n{end}{tail}"


def lines(records: Mapping[str, Document], theirs: Theirs) -> Iterator[str]:
    """Yield the table and what its reader must know."""
    heads = " | ".join((theirs.json.name, theirs.sqlite.name, *(_HEADS[one] for one in PROGRAMS)))
    yield f"| | {heads} |"
    yield f"|---|{'--:|' * (len(PROGRAMS) + 2)}"
    for what, cells in (*_of_sizes(records["proposal"], theirs), *_of_writers(records["contention"]), *_of_cycles(records["rss"])):
        yield f"| {what} | {' | '.join(cells.get(one, '') for one in ('OpenClaw, JSON', 'OpenClaw, SQLite', *PROGRAMS))} |"
    yield ""
    yield from _notes(records, theirs)


Line = tuple[str, Mapping[str, str]]
"""What, and what each program has."""


def _of_sizes(document: Document, theirs: Theirs) -> Iterator[Line]:
    """Yield lists, get, update, CPU and memory at the largest number of large sessions."""
    large = [row for row in document.tables["proposal"] if row["entry_kb"] > _LARGE_KB]
    most = max(row["sessions"] for row in large)
    rows = [row for row in large if row["sessions"] == most]
    found = {row["program"]: row for row in rows if row["program"] == "naive" or row["durability"] == "commit"}
    weaker = {row["program"]: row for row in rows if row["durability"] == "process"}

    def cells(metric: str, field: str = "") -> dict[str, str]:
        return _fields(theirs, field) | {program: _number(row[metric]) for program, row in found.items()}

    def beside(operation: str) -> dict[str, str]:
        return {program: _number(value) for program, value in theirs.ours.get(operation, {}).items()}

    yield f"first list of {most:,} sessions of 42 KB, ms", cells("load_ms", "cold_list_ms")
    yield "list again, after a change, ms", cells("list_ms", "warm_list_ms")
    yield "the same with whole entries, ms", _fields(theirs, "warm_list_ms") | beside("list again (whole entries)")
    yield "get one, ms", _fields(theirs, "get_ms") | beside("get one")
    updates = cells("update_ms", "update_ms")
    for program in found:
        updates[program] += "" if program == "naive" else " synced"
        if program != "naive" and program in weaker:
            updates[program] += f"; {_number(weaker[program]['update_ms'])}"
    yield "update one, ms", updates
    yield "processor time of an update, ms", cells("cpu_ms")
    yield "memory of that process, MB", cells("process_mb", "memory_mb")


def _fields(theirs: Theirs, field: str) -> dict[str, str]:
    """Return what each OpenClaw has there."""
    both = {"OpenClaw, JSON": theirs.json, "OpenClaw, SQLite": theirs.sqlite}
    return {name: _number(value) for name, one in both.items() if field and (value := getattr(one, field)) is not None}


def _of_writers(document: Document) -> Iterator[Line]:
    """Yield what many writers at once wait for."""
    rows = document.tables["writers"]
    writers = max(row["writers"] for row in rows if row["writers"] <= _MOST_WRITERS)
    found = {row["store"]: row for row in rows if row["writers"] == writers and (row["store"] == "naive" or row["durability"] == "commit")}
    yield f"{writers} writers, all they can: updates a second", _each(found, lambda row: _number(row["updates_per_s"]))
    yield "an update then takes, ms: median; longest", _each(found, lambda row: f"{_number(row['p50_ms'])}; {_number(row['max_ms'])}")
    yield "timeouts; stuck; lost", _each(found, lambda row: f"{row['timeouts']}; {row['stuck']}; {row['lost']}")


def _of_cycles(document: Document) -> Iterator[Line]:
    """Yield peak memory and time of the stress test: of each store the best and the worst of its ways to load everything."""
    peaks: dict[str, dict[str, float]] = {}
    cycles: dict[str, list[float]] = {}
    for row in document.tables["samples"]:
        if row["run"].startswith(LOADING):
            peaks.setdefault(row["store"], {})[row["run"]] = row["peak_mb"]
    for row in document.rows:
        if row["median_ms"] is not None and row["operation"].startswith(LOADING):
            cycles.setdefault(row["store"], []).append(row["median_ms"])
    published = [max(row.rss_mb for row in STRESS if row.run == run) for run in ("before", "after")]
    published_ms = [cycle_ms(run) for run in ("before", "after")]
    last = max(row["cycle"] for row in document.tables["samples"])
    kb = max(row["store_kb"] for row in document.tables["samples"] if row["store"] == "json")
    theirs = {"OpenClaw, JSON": "; ".join(map(_number, published))}
    what = f"load all and update one, {last} times, {kb / 1024:.1f} MB: peak, MB"
    yield what, theirs | {store: _range(found.values()) for store, found in peaks.items()}
    theirs = {"OpenClaw, JSON": "; ".join(map(_number, published_ms))}
    yield "a cycle of it, ms", theirs | {store: _range(found) for store, found in cycles.items()}


def _notes(records: Mapping[str, Document], theirs: Theirs) -> Iterator[str]:
    """Yield what a reader must know: when and where, what is the same work and what not, what the others' numbers are."""
    dates = sorted({records[name].date for name in NEEDED} | {one.date for one in (theirs.json, theirs.sqlite)} - {""})
    when = dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
    where = "; ".join(dict.fromkeys(records[name].machine.in_words for name in NEEDED))
    versions = dict.fromkeys(
        f"Python {one.versions['python']}, SQLite {one.versions['sqlite']}" for one in map(records.__getitem__, NEEDED)
    )
    timeouts, stuck = LOCK_STORY[0].count, LOCK_STORY[1]
    said = (
        f"Recorded {when} on {where}; {'; '.join(versions)}. *Naive* is a `sessions.json` that the standard library reads and writes whole "
        "for every update, not synced. Our lists are of summaries; OpenClaw and the naive file list entries, they have no other, so ours "
        "of whole entries stand below. OpenClaw is the real program, with the same sessions, by turns with ours, from whose run our gets "
        "and whole entries are; it syncs no update. Two numbers of ours: synced, and not. Memory: the whole process. *Stuck*: took a "
        "second longer than without other writers. The report that this load follows, three hours of use, had "
        f"{timeouts} timeouts and {stuck.count} sessions stuck for {_number(stuck.mean_s or 0)} s on average. Cycles: OpenClaw's as "
        "openclaw#51567 published them, without and with reuse, all decoded; ours over the ways to load, the most decoding all. "
        "All figures and conditions: `notebooks/07_benchmarks`; the numbers: `data/benchmarks/`."
    )
    if any(records[name].is_quick for name in NEEDED):
        said = f"**A quick run: no figures to quote.** {said}"
    yield from textwrap.wrap(said, _WIDTH, break_long_words=False, break_on_hyphens=False)


def _each(rows: Mapping[str, Row], cell: Callable[[Row], str]) -> dict[str, str]:
    return {program: cell(row) for program, row in rows.items()}


def _range(values: Iterable[float]) -> str:
    least, most = _number(min(values := list(values))), _number(max(values))
    return least if least == most else f"{least} to {most}"


def _number(value: float) -> str:
    """Write a number with some two or three digits."""
    return f"{value:,.0f}" if value >= 10 else f"{value:.3g}" if value >= 1 else f"{value:.2g}"
