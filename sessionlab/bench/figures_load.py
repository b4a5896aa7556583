"""Figures of recorded measurements under load: many writers on one store, and stores that grow."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from sessionlab.bench.figures import COLOURS, LOG, NAMES, number, rounded
from sessionlab.lab.figures import style

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

    from sessionlab.bench.evidence import Recorded, Records

_APART: Final = 0.14
_WORDS: Final = {
    "list": "Open the store and list it",
    "get": "Get one session",
    "update": "Update one session",
    "put new": "Put a new session",
}


def backends(rows: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield each backend of the contention's table with its rows, by the number of writers."""
    for store in rows["store"].unique():
        own = rows[rows["store"] == store]
        for durability in own["durability"].unique():
            key = f"{store}, process" if store != "naive" and durability == "process" else store
            yield key, own[own["durability"] == durability].sort_values("writers")


def throughput(record: Recorded) -> go.Figure:
    """Draw how many updates a second all writers make together; `record` is "contention"."""
    import plotly.graph_objects as go

    rows = record.frame("writers")
    found = dict(backends(rows))
    most = int(rows["writers"].max())
    last = {name: float(own[own["writers"] == most]["updates_per_s"].iloc[0]) for name, own in found.items()}
    best, worst = max(last, key=lambda name: last[name]), min(last, key=lambda name: last[name])
    return style.figure(
        [
            go.Scatter(
                x=style.whole(own["writers"]),
                y=rounded(own["updates_per_s"].clip(lower=0.01)),
                name=NAMES.get(name, name),
                mode="lines+markers",
                line={"color": COLOURS[name], "width": 2},
                hovertemplate=f"%{{x}} writers: %{{y:,.3~f}} a second<extra>{NAMES.get(name, name)}</extra>",
            )
            for name, own in found.items()
        ],
        title="Updates a second by all writers together",
        alt=f"With {most} writers {NAMES.get(best, best)} makes the most, {number(last[best])} updates a second, and "
        f"{NAMES.get(worst, worst)} the fewest, {number(last[worst])}.",
        caption="Each writer begins its next update when the last one is done; both axes are logarithmic.",
        x_title="Writers at once (logarithmic)",
        y_title="Updates a second (logarithmic)",
        xaxis={**LOG, "tickvals": sorted({int(count) for count in rows["writers"]})},
        yaxis=LOG,
        showlegend=True,
        height=400,
    )


def waits(record: Recorded) -> go.Figure:
    """Draw how long an update takes its caller: from the median over the 99th percentile to the longest; `record` is "contention"."""
    import plotly.graph_objects as go

    rows = record.frame("writers")
    found = dict(backends(rows))
    counts = sorted({int(count) for count in rows["writers"]})
    traces: list[Any] = []
    for position, (name, own) in enumerate(found.items()):
        shown = NAMES.get(name, name)
        x = [round(counts.index(int(one)) + (position - (len(found) - 1) / 2) * _APART, 3) for one in own["writers"]]
        said = [
            f"{int(row.writers)} writers: median {number(row.p50_ms)}, 99 % {number(row.p99_ms)}, longest {number(row.max_ms)} ms"
            for row in own.itertuples()
        ]
        same: dict[str, Any] = {"x": x, "legendgroup": name, "name": shown, "customdata": said, "mode": "markers"}
        hover = f"%{{customdata}}<extra>{shown}</extra>"
        traces.append(
            go.Scatter(
                y=rounded(own["p50_ms"]),
                error_y={
                    "type": "data",
                    "symmetric": False,
                    "array": rounded(own["max_ms"] - own["p50_ms"]),
                    "arrayminus": [0] * len(own),
                    "width": 0,
                    "thickness": 2,
                },
                marker={"color": COLOURS[name], "size": 8},
                hovertemplate=hover,
                **same,
            )
        )
        flat = {"symbol": "line-ew-open", "size": 10, "color": COLOURS[name], "line": {"width": 3, "color": COLOURS[name]}}
        traces.append(go.Scatter(y=rounded(own["p99_ms"]), marker=flat, showlegend=False, hovertemplate=hover, **same))
    longest = rows.loc[rows["max_ms"].idxmax()]
    return style.figure(
        traces,
        title="How long an update takes its caller",
        alt=f"The longest is {number(longest['max_ms'])} ms, {longest['store']} with {int(longest['writers'])} writers.",
        caption="Point: the median. Flat mark: 99 % take no longer. End of the line: the longest. With the waiting; a logarithmic axis.",
        x_title="Writers at once",
        y_title="Milliseconds (logarithmic)",
        xaxis={"tickmode": "array", "tickvals": list(range(len(counts))), "ticktext": [str(count) for count in counts], "zeroline": False},
        yaxis=LOG,
        showlegend=True,
        height=440,
    )


def live(records: Records) -> list[go.Figure]:
    """Draw what was measured just now under load; nothing when nothing was."""
    return [throughput(records["contention"]), waits(records["contention"])] if "contention" in list(records) else []


def growth(record: Recorded, operation: str) -> go.Figure:
    """Draw what an operation takes as sessions grow, with the fitted power laws and the limit of what is comfortable; "scale"."""
    import plotly.graph_objects as go

    points, fits = record.frame("points"), record.frame("fits")
    points = points[(points["grows"] == "sessions") & (points["operation"] == operation)]
    fits = fits[(fits["grows"] == "sessions") & (fits["operation"] == operation)]
    limits = record.frame("comfortable")
    limit = float(limits[limits["operation"] == operation]["limit_ms"].iloc[0])
    traces: list[Any] = []
    exponents = dict(zip(fits["store"], fits["exponent"], strict=True))
    for store in points["store"].unique():
        own = points[points["store"] == store].sort_values("sessions")
        name, sizes, costs = NAMES.get(store, store), own["sessions"].tolist(), own["median_ms"].tolist()
        traces.append(
            go.Scatter(
                x=style.whole(sizes),
                y=rounded(costs),
                name=name,
                legendgroup=store,
                mode="markers",
                marker={"color": COLOURS[store], "size": 9},
                hovertemplate=f"%{{x:,}} sessions: %{{y:.3g}} ms<extra>{name}</extra>",
            )
        )
        if store in exponents:
            ends = [sizes[0], sizes[-1]]
            traces.append(
                go.Scatter(
                    x=style.whole(ends),
                    y=rounded(_line(sizes, costs, float(exponents[store]), ends)),
                    name=name,
                    legendgroup=store,
                    showlegend=False,
                    mode="lines",
                    line={"color": COLOURS[store], "width": 2, "dash": "dash"},
                    hovertemplate=f"grows as sessions to the power of {exponents[store]:.2f}<extra>{name}</extra>",
                )
            )
    least, most = int(points["sessions"].min()), int(points["sessions"].max())
    traces.append(
        go.Scatter(
            x=[least, most],
            y=[limit, limit],
            name=f"comfortable: {limit:g} ms",
            mode="lines",
            line={"color": style.TEXT, "dash": "dot"},
            hovertemplate=f"{limit:g} ms<extra>comfortable</extra>",
        )
    )
    said = ", ".join(f"{NAMES.get(str(store), str(store))} {exponent:.2f}" for store, exponent in exponents.items())
    return style.figure(
        traces,
        title=f"{_WORDS[operation]}, as sessions grow",
        alt=f"From {least:,} to {most:,} sessions; exponents: {said}.",
        caption="Points: medians, sessions of 0.7 KB. Dashes: the fitted power laws. Where a program ends early it took too long to go on.",
        x_title="Sessions (logarithmic)",
        y_title="Milliseconds (logarithmic)",
        xaxis=LOG,
        yaxis=LOG,
        showlegend=True,
        height=420,
    )


def _line(sizes: list[float], costs: list[float], exponent: float, ends: list[float]) -> list[float]:
    """Return the fitted costs at the ends: least squares on logarithms go through the middle of all points."""
    middle = math.fsum(map(math.log, sizes)) / len(sizes)
    level = math.fsum(map(math.log, costs)) / len(costs)
    return [math.exp(level + exponent * (math.log(end) - middle)) for end in ends]
