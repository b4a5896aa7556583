"""Figures of growth over time: sessions, bytes, and what was created and active on each day."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from sessionlab.lab.figures import style
from sessionlab.units import format_bytes, format_count

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

_STANDING: Final = "Only sessions that are still in the store are counted, on the day they were created"


def sessions_over_time(growth: pd.DataFrame) -> go.Figure:
    """Draw the number of sessions by kind over time, stacked; `growth` is the answer of `growth_daily`."""
    title = "Sessions in the store over time, by kind"
    if growth.empty:
        return style.no_data(title, "the store holds no session in this selection")
    return _stacked(
        growth,
        value="cumulative_sessions",
        by="kind",
        title=title,
        y_title="Sessions",
        divisor=1,
        hover="%{y:,.0f} sessions",
        alt="Sessions grew from {first} to {last} between {start} and {end}; the largest part is {top} with {most}.",
        caption=f"{_STANDING}: what was pruned earlier is not in this picture.",
    )


def bytes_over_time(growth: pd.DataFrame, by: Literal["kind", "agent"] = "kind") -> go.Figure:
    """Draw the entries' bytes by kind or by agent over time, stacked; `growth` is the answer of `growth_daily`."""
    title = f"Size of the session entries over time, by {by}"
    if growth.empty:
        return style.no_data(title, "the store holds no session in this selection")
    column = "agent_id" if by == "agent" else "kind"
    divisor, unit = style.byte_unit(float(growth.groupby("day")["cumulative_bytes"].sum().max()))
    return _stacked(
        growth,
        value="cumulative_bytes",
        by=column,
        title=title,
        y_title=f"Size of entries ({unit})",
        divisor=divisor,
        hover="%{y:,.2f} " + unit,
        alt="Entries grew from {first} to {last} between {start} and {end}; the largest part is {top} with {most}.",
        caption=f"{_STANDING}, with the size they have today. Transcripts are not included.",
    )


def created_and_active(growth: pd.DataFrame, activity: pd.DataFrame) -> go.Figure:
    """Draw sessions created per day (bars) and active per day (line); the answers of `growth_daily` and `activity_daily`."""
    import plotly.graph_objects as go

    title = "Sessions created and active per day"
    if growth.empty and activity.empty:
        return style.no_data(title, "the store holds no session and no dated event in this selection")
    traces = []
    parts = []
    if not growth.empty:
        created = growth.groupby("day", as_index=False)["created"].sum()
        counts = style.whole(created["created"])
        traces.append(
            go.Bar(
                x=style.days(created["day"]),
                y=counts,
                name="created",
                marker={"color": style.SKY},
                hovertemplate="%{y:,.0f} created<extra></extra>",
            )
        )
        parts.append(f"{format_count(sum(counts))} sessions were created, {format_count(max(counts))} on the busiest day")
    if not activity.empty:
        active = activity.groupby("day", as_index=False)["active_sessions"].sum()
        # A day without events is a day without activity, not a point to be drawn through.
        spine = active.set_index("day")["active_sessions"].asfreq("D", fill_value=0).reset_index() if len(active) > 1 else active
        counts = style.whole(spine["active_sessions"])
        traces.append(
            go.Scatter(
                x=style.days(spine["day"]),
                y=counts,
                name="active",
                mode="lines+markers" if len(counts) < 60 else "lines",
                line={"color": style.VERMILLION, "width": 2},
                hovertemplate="%{y:,.0f} active<extra></extra>",
            )
        )
        parts.append(f"at most {format_count(max(counts))} were active on one day")
    return style.figure(
        traces,
        title=title,
        alt=f"Over the days shown {' and '.join(parts)}.",
        caption="Active means at least one transcript event on that UTC day; events copied into forked sessions do not count.",
        x_title="Day (UTC)",
        y_title="Sessions per day",
        hovermode="x unified",
        showlegend=True,
    )


def _stacked(
    frame: pd.DataFrame, *, value: str, by: str, title: str, y_title: str, divisor: int, hover: str, alt: str, caption: str
) -> go.Figure:
    import plotly.graph_objects as go

    table = frame.pivot_table(index="day", columns=by, values=value, aggfunc="sum", fill_value=0)
    x = style.days(table.index.to_series())
    ordered = style.in_kind_order(table.columns) if by == "kind" else sorted(table.columns)
    names = [name for name in ordered if table[name].iloc[-1] > 0]
    traces = []
    for position, name in enumerate(names):
        colour = style.kind_colour(name) if by == "kind" else style.series_colour(position)
        trace = go.Scatter(
            x=x,
            y=style.whole(table[name]) if divisor == 1 else style.scaled(table[name], divisor),
            name=name,
            mode="lines",
            stackgroup="all",
            line={"width": 0.5, "color": colour},
            fillcolor=colour,
            hovertemplate=f"{hover}<extra>{name}</extra>",
        )
        if by == "kind" and style.kind_hatch(name):
            trace.fillpattern = {"shape": style.kind_hatch(name), **style.HATCH}
        traces.append(trace)
    totals = table.sum(axis=1)
    show = format_count if value == "cumulative_sessions" else format_bytes
    top = max(names, key=lambda name: (int(table[name].iloc[-1]), name)) if names else "none"
    most = show(int(table[top].iloc[-1])) if names else show(0)
    words = alt.format(first=show(int(totals.iloc[0])), last=show(int(totals.iloc[-1])), start=x[0], end=x[-1], top=top, most=most)
    return style.figure(
        traces, title=title, alt=words, caption=caption, x_title="Day (UTC)", y_title=y_title, hovermode="x unified", showlegend=True
    )
