"""Figures of age: how long ago sessions were last updated, and which part of each kind is stale."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sessionlab.lab.figures import style
from sessionlab.units import format_bytes, format_count

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

_EMPTY: Final = "the store holds no session in this selection"


def age_distribution(ages: pd.DataFrame, stale_days: int = 30) -> go.Figure:
    """Draw sessions by days since their last update, stale ones marked; `ages` is the answer of `age_distribution`."""
    import plotly.graph_objects as go

    title = f"Days since the last update (stale after {stale_days})"
    if ages.empty or int(ages["sessions"].sum()) == 0:
        return style.no_data(title, _EMPTY)
    buckets = [str(bucket) for bucket in ages["bucket"].tolist()]
    counts, bulk = style.whole(ages["sessions"]), style.whole(ages["entry_bytes"])
    absent = ages["from_days"].isna().tolist()
    starts = [None if missing else int(start) for start, missing in zip(ages["from_days"].tolist(), absent, strict=True)]
    groups = [_group(starts, index, stale_days) for index in range(len(starts))]
    colours = {"fresh": style.BLUE, "partly stale": style.ORANGE, "stale": style.VERMILLION, "no usable time": style.GREY}
    # Buckets nobody is in are kept on the axis unless they say "something is wrong here", which would be untrue.
    kept = [index for index, group in enumerate(groups) if group != "no usable time" or counts[index]]
    traces = [
        go.Bar(
            x=[buckets[index] for index in kept if groups[index] == group],
            y=[counts[index] for index in kept if groups[index] == group],
            name=group,
            marker={"color": colour},
            text=[format_count(counts[index]) for index in kept if groups[index] == group],
            textposition="auto",
            customdata=[format_bytes(bulk[index]) for index in kept if groups[index] == group],
            hovertemplate="%{x}: %{y:,.0f} sessions, %{customdata} of entries<extra></extra>",
        )
        for group, colour in colours.items()
        if any(groups[index] == group for index in kept)
    ]
    stale = sum(count for count, group in zip(counts, groups, strict=True) if group == "stale")
    start = next((bucket for bucket, group in zip(buckets, groups, strict=True) if group == "stale"), None)
    words = f"{stale:,} of {sum(counts):,} sessions were last updated more than {stale_days} days ago"
    if start is None or "partly stale" in groups:
        words = f"{stale:,} of {sum(counts):,} sessions lie in the buckets that are wholly beyond {stale_days} days"
    return style.figure(
        traces,
        title=title,
        alt=f"{words}.",
        caption="A session without an update time, or with one in the future, is counted apart and never as stale.",
        x_title="Days since the last update",
        y_title="Sessions",
        barmode="overlay",
        xaxis={"type": "category", "categoryorder": "array", "categoryarray": [buckets[index] for index in kept]},
        showlegend=True,
    )


def stale_share(stale: pd.DataFrame, stale_days: int = 30) -> go.Figure:
    """Draw the stale part of each kind; `stale` is the answer of `stale_share`, asked with the same `stale_days`."""
    import plotly.graph_objects as go

    title = f"Part of each kind not updated for {stale_days} days"
    if stale.empty:
        return style.no_data(title, _EMPTY)
    table = stale.groupby("kind")[["sessions", "stale_sessions", "stale_bytes"]].sum()
    kinds = style.in_kind_order(table.index)
    table = table.loc[kinds]
    counts, old, bulk = style.whole(table["sessions"]), style.whole(table["stale_sessions"]), style.whole(table["stale_bytes"])
    bar = go.Bar(
        x=[round(100 * part / count, 2) for part, count in zip(old, counts, strict=True)],
        y=kinds,
        orientation="h",
        marker=style.kind_marks(kinds),
        text=[f"{part:,} of {count:,}" for part, count in zip(old, counts, strict=True)],
        textposition="outside",
        customdata=[format_bytes(size) for size in bulk],
        hovertemplate="%{y}: %{x:.1f} % stale (%{text}), %{customdata}<extra></extra>",
    )
    return style.figure(
        [bar],
        title=title,
        alt=f"{sum(old):,} of {sum(counts):,} sessions are stale; their entries take {format_bytes(sum(bulk))}.",
        caption="Stale sessions are what session.maintenance.pruneAfter would remove or archive.",
        x_title="Stale sessions (% of the kind)",
        yaxis={"autorange": "reversed", "title": {"text": ""}},
        xaxis={"range": [0, 120], "tickvals": list(range(0, 101, 20)), "title": {"text": "Stale sessions (% of the kind)"}},
        height=140 + 26 * len(kinds),
    )


def _group(starts: list[int | None], index: int, stale_days: int) -> str:
    start = starts[index]
    if start is None:
        return "no usable time"
    if start >= stale_days:
        return "stale"
    following = starts[index + 1] if index + 1 < len(starts) else None
    return "partly stale" if following is None or following > stale_days else "fresh"
