"""What recorded measurements say, in sentences: every number is read from the records, also where ours is the slower one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sessionlab.bench.figures import LARGE_KB, METRICS, number
from sessionlab.bench.peers import GOALS, PEERS, Peer
from sessionlab.bench.peers_recorded import PREFIX
from sessionlab.lab.findings.words import listing, plain

if TYPE_CHECKING:
    import pandas as pd

    from sessionlab.bench.evidence import Recorded, Records


def answer(records: Records) -> str:
    """Answer the notebook's question: the largest quoted size, many writers, and memory, each in a sentence."""
    rows = _largest(records["proposal"].frame("proposal"))
    most = int(rows["sessions"].iloc[0])
    costs = [f"`{row.program}` {_ms(row.load_ms)} and {_ms(row.update_ms)}" for row in rows.itertuples()]
    writers = records["contention"].frame("writers")
    last = _synced(writers[writers["writers"] == writers["writers"].max()], "store")
    busiest, laziest = last.loc[last["updates_per_s"].idxmax()], last.loc[last["updates_per_s"].idxmin()]
    ratio = _ratio(float(busiest["updates_per_s"]), float(laziest["updates_per_s"]))
    return (
        f"{_warning(records)}With {most:,} sessions of 42 KB, a load and an update (durable, but for `naive`) take {listing(costs)}. "
        f"With {int(last['writers'].iloc[0])} writers at once `{busiest['store']}` makes {number(busiest['updates_per_s'])} updates a "
        f"second, {ratio} times those of `{laziest['store']}`. {_comfort(records['scale'])}"
    )


def _comfort(record: Recorded) -> str:
    """Say up to how many sessions each store is comfortable."""
    parts = []
    rows = record.frame("comfortable")
    rows = rows[rows["grows"] == "sessions"]
    for store, own in rows.groupby("store", sort=False):
        ending = own.dropna(subset="size")
        if ending.empty:
            parts.append(f"`{store}` beyond {int(own['most'].max()):,}")
        else:
            first = ending.loc[ending["size"].idxmin()]
            never = "not even " if first["how"].startswith("at the") else ""
            guess = ", extrapolated" if first["how"] == "extrapolated" else ""
            parts.append(f"`{store}` {never}to {number(first['size'])} ({first['operation']}{guess})")
    return f"On that machine small sessions stay comfortable: {listing(parts)}."


def machine(records: Records) -> str:
    """Say where and when the records were made."""
    machines = list(dict.fromkeys(records[name].document.machine.in_words for name in records))
    dates = sorted({records[name].date for name in records})
    when = dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
    return f"Recorded {when} on {'; '.join(plain(one) for one in machines)}. Absolute times are that machine's; ratios travel better."


def sizes(record: Recorded, metric: str, peers: Sequence[Peer] = PEERS) -> str:
    """Say what one column of the proposal's table shows: who is fastest, who slowest, and OpenClaw beside them."""
    asked, rows = METRICS[metric], _largest(record.frame("proposal"))
    unit, most = asked.unit, int(rows["sessions"].iloc[0])
    ordered = rows.sort_values(metric)
    costs = listing([f"`{row.program}` {number(getattr(row, metric))}" for row in ordered.itertuples()])
    ours = ordered[ordered["program"] != "naive"].iloc[0]
    naive = rows[rows["program"] == "naive"].iloc[0]
    said = f"{most:,} sessions of 42 KB, {unit}: {costs}. "
    said += f"`{ours['program']}` takes {_than(float(naive[metric]), float(ours[metric]))} the naive file"
    theirs = [
        (value, f"{peer.name}{_unsynced(peer, metric)}")
        for peer in peers
        if peer.sessions == most and (value := getattr(peer, asked.peer)) is not None
    ]
    if theirs and unit == "MB":
        value, peer = min(theirs)
        said += f"; OpenClaw takes at least {number(value)} MB ({peer})"
    elif theirs:
        value, peer = min(theirs)
        work = ", which lists entries, not summaries" if metric in ("load_ms", "list_ms") else ""
        said += f", and {_than(value, float(ours[metric]))} the best OpenClaw recorded ({number(value)} {unit}, {peer}{work})"
    goal = getattr(GOALS, asked.peer) if asked.has_goal else None
    if goal is not None:
        said += f"; the proposal's goal of {goal:g} {unit} is {'met' if float(ours[metric]) <= goal else 'missed'}"
    return f"{said}.{_growth(record, metric)}"


def _unsynced(peer: Peer, metric: str) -> str:
    return ", not synced" if metric == "update_ms" and not peer.is_synced else ""


def _growth(record: Recorded, metric: str) -> str:
    """Say what ten times as many small sessions do to the cost, where it was measured."""
    rows = record.frame("proposal")
    small = rows[(rows["entry_kb"] <= LARGE_KB) & ((rows["program"] == "naive") | (rows["durability"] == "commit"))]
    parts = []
    few = many = 0
    for program, own in small.groupby("program", sort=False):
        ordered = own.sort_values("sessions")
        if len(ordered) > 1:
            first, last = ordered.iloc[0], ordered.iloc[-1]
            few, many = int(first["sessions"]), int(last["sessions"])
            parts.append(f"`{program}` {number(float(last[metric]) / max(float(first[metric]), 1e-4))}")
    return f" From {few:,} to {many:,} small sessions, it takes so many times as much: {listing(parts)}." if parts else ""


def beside(records: Records) -> str:
    """Say how our stores stand beside each OpenClaw that was measured with them, the newest first: a page folds what comes last."""
    found = [records[name] for name in reversed(list(records)) if name.startswith(PREFIX)]
    if not found:
        return "No installed OpenClaw was measured beside our stores: its points are those of an earlier measurement on another machine."
    return "\n".join(_list(one) for one in found)


def cycles(record: Recorded) -> str:
    """Say how the stress test's worst runs stand beside the published ones and their bounds."""
    missed = []
    for row in record.rows("figures"):
        value = row["peak_mb"] if row["peak_mb"] is not None else row["median_ms"]
        if row["bound"] is not None and value > row["bound"]:
            missed.append(f"`{row['store']}`")
    figures = "1 figure is beyond its bound" if len(missed) == 1 else f"{len(missed)} figures are beyond their bounds"
    bounds = f"**{figures}**, of {listing(sorted(set(missed)))}: see the table."
    return f"{_list(record)}\n\n{bounds if missed else 'Every run keeps its bounds.'}"


def cached(record: Recorded) -> str:
    """Say what the cache spares and what it keeps."""
    return _sentences(record)


def contention(record: Recorded) -> str:
    """Say what became of each backend as writers grew more, a line each."""
    return _list(record)


def scale(record: Recorded) -> str:
    """Say how each backend's cost grows and where it stops being comfortable, a line each."""
    return _list(record)


def conditions(records: Records, *names: str) -> str:
    """List what a reader must know of these measurements."""
    return "\n\n".join(f"**{name}**\n\n" + "\n".join(f"- {plain(sentence)}" for sentence in records[name].conditions) for name in names)


def here(live: Records) -> str:
    """Say what was measured on this machine."""
    if not len(live):
        return "Nothing was measured here: `measure` is off."
    first = live["proposal"]
    size = "small sizes and few rounds, no figures to quote" if first.is_quick else "at full size"
    return f"Measured just now, {size}: {listing(list(live))}; {plain(first.document.machine.in_words)}."


def _warning(records: Records) -> str:
    quick = [name for name in records if records[name].is_quick]
    return f"**Recorded in a quick run, not to be quoted**: {listing(quick)}. " if quick else ""


def _sentences(record: Recorded) -> str:
    return " ".join(f"{plain(one)[:1].upper()}{plain(one)[1:]}." for one in record.verdicts)


def _list(record: Recorded) -> str:
    return "\n".join(f"- {plain(one)}" for one in record.verdicts)


def _largest(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the most large sessions: the naive file, and what is synced of ours."""
    large = rows[rows["entry_kb"] > LARGE_KB]
    return _synced(large[large["sessions"] == large["sessions"].max()], "program")


def _synced(rows: pd.DataFrame, column: str) -> pd.DataFrame:
    return rows[(rows[column] == "naive") | (rows["durability"] == "commit")]


def _than(theirs: float, ours: float) -> str:
    """Say how one cost compares with another: `12 times less than`, `1.4 times more than`."""
    if theirs >= ours:
        return f"{_ratio(theirs, ours)} times less than"
    return f"{_ratio(ours, theirs)} times more than"


def _ratio(more: float, less: float) -> str:
    return number(more / max(less, 1e-4))


def _ms(value: Any) -> str:
    return f"{number(float(value))} ms"
