"""Figures of recorded measurements by the number of sessions: what a load, an update, a list takes, and memory; our stores and others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sessionlab.bench.peers import GOALS, PEERS, Peer
from sessionlab.bench.rss import PEAK_MB
from sessionlab.lab.figures import style

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

    from sessionlab.bench.evidence import Recorded, Records

COLOURS: Final[Mapping[str, str]] = {
    "naive": style.VERMILLION,
    "json": style.ORANGE,
    "sqlite": style.BLUE,
    "sqlite, process": style.SKY,
    "directory": style.GREEN,
}
NAMES: Final[Mapping[str, str]] = {"naive": "naive file", "sqlite, process": "sqlite, not synced"}
LOG: Final = {"type": "log", "dtick": 1, "minor": {"ticks": ""}, "exponentformat": "none", "separatethousands": True}
LARGE_KB: Final = 10
"""An entry of more is one of the large ones, 42 KB; the others have 0.7 KB."""
_SYMBOLS: Final = ("diamond", "square", "triangle-up", "pentagon")


class Metric(NamedTuple):
    """One column of the proposal's table: how it is called, its unit, what the others call it, and whether the proposal has a goal."""

    title: str
    unit: str
    peer: str
    has_goal: bool = True


METRICS: Final[Mapping[str, Metric]] = {
    "load_ms": Metric("Load: from nothing to the first list", "ms", "cold_list_ms"),
    "update_ms": Metric("Update of one session", "ms", "update_ms"),
    "list_ms": Metric("List all sessions after a change", "ms", "warm_list_ms"),
    "process_mb": Metric("Memory of a process that does all that", "MB", "memory_mb", has_goal=False),
}


def programs(rows: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield each program of the proposal's table with its rows; an update that is not synced is a program of its own."""
    for program in ("naive", "json", "sqlite", "directory"):
        own = rows[rows["program"] == program]
        for durability in own["durability"].unique():
            key = f"{program}, process" if program != "naive" and durability == "process" else program
            yield key, own[own["durability"] == durability].sort_values("sessions")


def by_sessions(record: Recorded, metric: str, *, peers: Sequence[Peer] = PEERS) -> go.Figure:
    """Draw one column of the proposal's table by the number of sessions, both axes logarithmic, beside OpenClaw's recorded figures.

    Args:
        record: "proposal".
        metric: One of `METRICS`.
        peers: OpenClaw's figures.
    """
    asked, rows = METRICS[metric], record.frame("proposal")
    traces = [*_lines(rows, metric), *_floors(record, metric), *_others(asked, peers)]
    large = rows[rows["entry_kb"] > LARGE_KB]
    most = int(large["sessions"].max())
    at = large[(large["sessions"] == most) & ((large["program"] == "naive") | (large["durability"] == "commit"))]
    least, worst = at.loc[at[metric].idxmin()], at.loc[at[metric].idxmax()]
    unit = asked.unit
    return style.figure(
        traces,
        title=asked.title,
        alt=f"At {most:,} sessions of 42 KB {least['program']} takes the least, {number(least[metric])} {unit}, and {worst['program']} the "
        f"most, {number(worst[metric])} {unit}.",
        caption="Filled points and lines: sessions of 42 KB; open points and dashes: sessions of 0.7 KB. Both axes are logarithmic."
        " The dotted floor is a plain SQLite connection, measured by turns with them."
        + (" OpenClaw lists entries, ours summaries." if metric in ("load_ms", "list_ms") and peers else ""),
        x_title="Sessions (logarithmic)",
        y_title=f"{'Milliseconds' if unit == 'ms' else 'MB'} (logarithmic)",
        xaxis=LOG,
        yaxis=LOG,
        showlegend=True,
        height=460,
    )


def _lines(rows: pd.DataFrame, metric: str) -> Iterator[Any]:
    import plotly.graph_objects as go

    for program, own in programs(rows):
        if metric != "update_ms" and program == "sqlite, process":
            continue  # it reads as the other does
        name = NAMES.get(program, program)
        for is_large in (True, False):
            part = own[(own["entry_kb"] > LARGE_KB) == is_large]
            if not part.empty:
                yield go.Scatter(
                    x=style.whole(part["sessions"]),
                    y=rounded(part[metric]),
                    name=name,
                    legendgroup=program,
                    showlegend=is_large,
                    mode="lines+markers",
                    line={"color": COLOURS[program], "width": 2, "dash": "solid" if is_large else "dash"},
                    marker={"symbol": "circle" if is_large else "circle-open", "size": 8},
                    hovertemplate=f"%{{x:,}} sessions of {'42' if is_large else '0.7'} KB: %{{y:.3g}} {METRICS[metric].unit}"
                    f"<extra>{name}</extra>",
                )


def _floors(record: Recorded, metric: str) -> Iterator[Any]:
    """Yield the floor that was measured by turns with the stores, synced, of large sessions and of small ones."""
    import plotly.graph_objects as go

    floors = record.frame("floors")
    floors = floors[floors["durability"] == "commit"]
    for is_large in (True, False):
        part = floors[(floors["entry_kb"] > LARGE_KB) == is_large].sort_values("sessions")
        if not part.empty:
            yield go.Scatter(
                x=style.whole(part["sessions"]),
                y=rounded(part[metric]),
                name="floor",
                legendgroup="floor",
                showlegend=is_large,
                mode="lines+markers",
                line={"color": style.TEXT, "width": 1, "dash": "dot"},
                marker={"symbol": "line-ew-open", "size": 14, "color": style.TEXT, "line": {"width": 2, "color": style.TEXT}},
                hovertemplate=f"%{{y:.3g}} {METRICS[metric].unit}: a plain SQLite connection<extra>floor</extra>",
            )


def _others(asked: Metric, peers: Sequence[Peer]) -> Iterator[Any]:
    import plotly.graph_objects as go

    for position, peer in enumerate((*peers, GOALS) if asked.has_goal else peers):
        value = getattr(peer, asked.peer)
        if value is not None:
            is_goal = peer is GOALS
            name = "goal of the proposal" if is_goal else peer.name
            synced = " synced" if asked.peer == "update_ms" and peer.is_synced else ""
            yield go.Scatter(
                x=[peer.sessions],
                y=[value],
                name=name,
                mode="markers",
                marker={
                    "symbol": "star-open" if is_goal else _SYMBOLS[position % len(_SYMBOLS)],
                    "size": 11,
                    "color": style.TEXT if is_goal else style.PURPLE,
                },
                hovertemplate=f"%{{x:,}} sessions of 42 KB: %{{y:,.3~f}} {asked.unit}{synced}<extra>{name}</extra>",
            )


def memory_over_cycles(record: Recorded) -> go.Figure:
    """Draw the memory of a process that loads and updates for long, cycle by cycle, beside the published runs; `record` is "rss"."""
    import plotly.graph_objects as go

    traces: list[Any] = []
    published = record.frame("published")
    for run, dash in (("before", "dot"), ("after", "dash")):
        own = published[published["run"] == run]
        traces.append(
            go.Scatter(
                x=style.whole(own["cycle"]),
                y=rounded(own["rss_mb"]),
                name=f"OpenClaw, {'without' if run == 'before' else 'with'} reuse",
                mode="lines+markers",
                line={"color": style.PURPLE, "width": 2, "dash": dash},
                hovertemplate="cycle %{x}: %{y:,.0f} MB<extra>published</extra>",
            )
        )
    samples = record.frame("samples")
    for store in samples["store"].unique():
        for position, (run, own) in enumerate(samples[samples["store"] == store].groupby("run", sort=False)):
            traces.append(
                go.Scatter(
                    x=style.whole(own["cycle"]),
                    y=rounded(own["peak_mb"]),
                    name=store,
                    legendgroup=store,
                    showlegend=position == 0,
                    mode="lines",
                    line={"color": COLOURS[store], "width": 2},
                    hovertemplate=f"cycle %{{x}}: %{{y:,.1f}} MB<extra>{store}: {run}</extra>",
                )
            )
    last = int(samples["cycle"].max())
    for position, bound in enumerate(sorted(set(PEAK_MB.values()))):
        stores = " and ".join(store for store, value in PEAK_MB.items() if value == bound)
        traces.append(
            go.Scatter(
                x=[0, last],
                y=[bound, bound],
                name="our bounds",
                legendgroup="our bounds",
                showlegend=position == 0,
                mode="lines",
                line={"color": style.TEXT, "width": 1, "dash": "dot"},
                hovertemplate=f"{bound:g} MB: the most of {stores}<extra>our bounds</extra>",
            )
        )
    most = samples.loc[samples["peak_mb"].idxmax()]
    return style.figure(
        traces,
        title="Memory of a process that loads and updates",
        alt=f"The most that a process of ours has is {number(most['peak_mb'])} MB, {most['store']}; the published runs end at "
        f"{' and '.join(number(published[published['run'] == run]['rss_mb'].max()) for run in ('before', 'after'))} MB.",
        caption="The whole process: what the published one had after each look, the most that ours ever had until then; a line for each "
        "way to load. MB of 1024 x 1024 bytes; a logarithmic axis.",
        x_title="Cycle: load, update one",
        y_title="MB (logarithmic)",
        yaxis=LOG,
        showlegend=True,
        height=420,
    )


_MODES: Final = {"no-cache": style.VERMILLION, "serialized-retained": style.ORANGE, "full-cache": style.BLUE}


def cached_loads(record: Recorded, column: str = "second_load_ms") -> go.Figure:
    """Draw what a second load takes in each mode of the cache, or what is kept ("retained_heap_delta_kb"); `record` is "cache"."""
    import plotly.graph_objects as go

    rows = record.frame("cache")
    is_time = column.endswith("_ms")
    unit = "ms" if is_time else "KB"
    traces: list[Any] = []
    for mode, own in rows.groupby("mode", sort=False):
        traces.append(
            go.Scatter(
                x=style.whole(own["entries"]),
                y=rounded(own[column].clip(lower=0.01 if is_time else 1)),
                name=mode,
                mode="lines+markers",
                line={"color": _MODES.get(str(mode), style.GREY), "width": 2},
                hovertemplate=f"%{{x:,}} sessions: %{{y:,.3~f}} {unit}<extra>{mode}</extra>",
            )
        )
    if not is_time:
        own = rows.drop_duplicates("entries")
        traces.append(
            go.Scatter(
                x=style.whole(own["entries"]),
                y=style.whole(own["file_kb"]),
                name="the file",
                mode="lines",
                line={"color": style.TEXT, "dash": "dash"},
                hovertemplate="%{x:,} sessions: %{y:,} KB<extra>the file</extra>",
            )
        )
    most = rows[rows["entries"] == rows["entries"].max()]
    said = "; ".join(f"{row.mode} {number(getattr(row, column))} {unit}" for row in most.itertuples())
    return style.figure(
        traces,
        title="Second load of a sessions.json" if is_time else "Memory kept after loading a sessions.json",
        alt=f"At {int(most['entries'].iloc[0]):,} sessions: {said}.",
        caption="Sessions of 2 KB; both axes are logarithmic." + ("" if is_time else " What is less than 1 KB is drawn at 1 KB."),
        x_title="Sessions (logarithmic)",
        y_title=f"{'Milliseconds' if is_time else 'KB'} (logarithmic)",
        xaxis={**LOG, "tickvals": sorted({int(entries) for entries in rows["entries"]})},
        yaxis=LOG,
        showlegend=True,
        height=360,
    )


def live(records: Records) -> list[go.Figure]:
    """Draw what was measured just now by the number of sessions, and by cycles; nothing when nothing was."""
    drawn = [by_sessions(records["proposal"], metric) for metric in METRICS] if "proposal" in list(records) else []
    return [*drawn, memory_over_cycles(records["rss"])] if "rss" in list(records) else drawn


def rounded(values: Any) -> list[float]:
    """Turn numbers into plain ones with four decimals, which a diff can be read of."""
    return [round(float(value), 4) for value in values]


def number(value: float) -> str:
    """Write a number with two or three digits."""
    return f"{value:,.0f}" if value >= 99.5 else f"{value:.3g}" if value >= 10 else f"{value:.2g}"
