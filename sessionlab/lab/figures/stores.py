"""Figures of stores side by side: what one update writes, what a program waits for, what it takes of memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sessionlab.lab.figures import style
from sessionlab.units import format_bytes, format_measured_ms

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

_NOTHING: Final = "the stores hold no session"
_LOG_AXIS: Final = {"type": "log", "dtick": 1, "minor": {"ticks": ""}}


def bytes_per_update(writes: pd.DataFrame) -> go.Figure:
    """Draw what changing one small field of one session writes, by store; `writes` is of `bench.side_by_side`."""
    import plotly.graph_objects as go

    title = "Bytes written by one small update"
    if writes.empty:
        return style.no_data(title, _NOTHING)
    sizes, names = style.whole(writes["written_bytes"]), writes["store"].tolist()
    trace = go.Bar(
        x=[max(size, 1) for size in sizes],
        y=names,
        orientation="h",
        marker={"color": [style.series_colour(position) for position in range(len(names))]},
        text=[format_bytes(size) for size in sizes],
        textposition="auto",
        hovertemplate="%{y}: %{text}<extra></extra>",
    )
    least, most = min(sizes), max(sizes)
    first, last = names[sizes.index(most)], names[sizes.index(least)]
    return style.figure(
        [trace],
        title=title,
        alt=f"{first} writes the most, {format_bytes(most)}; {last} the least, {format_bytes(least)}.",
        caption="One label of one session was changed; a logarithmic axis, each step is ten times as much.",
        x_title="Bytes written (logarithmic)",
        xaxis=_LOG_AXIS,
        yaxis={"autorange": "reversed", "title": {"text": ""}},
        height=260,
        showlegend=False,
    )


def operation_times(times: pd.DataFrame) -> go.Figure:
    """Draw the median time of each operation, by store; `times` is of `bench.side_by_side`."""
    import plotly.graph_objects as go

    title = "What a program waits for"
    if times.empty:
        return style.no_data(title, _NOTHING)
    stores = list(dict.fromkeys(times["store"].tolist()))
    traces = []
    for position, store in enumerate(stores):
        own = times[times["store"] == store]
        medians = [round(float(value), 4) for value in own["median_ms"].tolist()]
        traces.append(
            go.Bar(
                x=own["operation"].tolist(),
                y=medians,
                name=store,
                marker={"color": style.series_colour(position)},
                text=[format_measured_ms(value).removesuffix(" ms") for value in medians],
                hovertemplate="%{x}: %{y:.3g} ms<extra>" + store + "</extra>",
            )
        )
    slowest = times.loc[times["median_ms"].idxmax()]
    return style.figure(
        traces,
        title=title,
        alt=f"The slowest is {slowest['operation']} in {slowest['store']}, {format_measured_ms(float(slowest['median_ms']))}.",
        caption="Medians on this machine, the stores in turns; a logarithmic axis. A program that keeps its stores open.",
        y_title="Milliseconds (logarithmic)",
        yaxis=_LOG_AXIS,
        barmode="group",
    )


def listing_memory(memory: pd.DataFrame) -> go.Figure:
    """Draw the peak memory of a listing, by store; `memory` is of `bench.side_by_side`."""
    import plotly.graph_objects as go

    title = "Peak memory of listing every session"
    if memory.empty:
        return style.no_data(title, _NOTHING)
    sizes, names = [round(float(value), 2) for value in memory["peak_mb"].tolist()], memory["store"].tolist()
    trace = go.Bar(
        x=sizes,
        y=names,
        orientation="h",
        marker={"color": [style.series_colour(position) for position in range(len(names))]},
        text=[f"{size:.1f} MB" for size in sizes],
        hovertemplate="%{y}: %{text}<extra></extra>",
    )
    return style.figure(
        [trace],
        title=title,
        alt=f"{names[sizes.index(max(sizes))]} takes the most, {max(sizes):.1f} MB.",
        caption="Growth of a fresh process above its imports, on this machine; MB of a million bytes.",
        x_title="MB",
        yaxis={"autorange": "reversed", "title": {"text": ""}},
        height=260,
        showlegend=False,
    )
