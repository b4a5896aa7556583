"""Figures of a day of parallel sessions: who writes, and who is awake."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from sessionlab.lab.figures import style
from sessionlab.lab.parallel_day import DAY_END_MS
from sessionlab.synth.day import DAY_START_MS
from sessionlab.units import MS_PER_DAY, MS_PER_HOUR, format_count

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from sessionlab.lab.parallel_day import LivedDay

COLOURS: Final = {"active": style.BLUE, "idle": style.SKY, "hibernated": style.FRAME}
_TIME: Final = "Time (UTC)"
_HIGHEST: Final = 6
"""How many times the limit the sessions may be that are drawn on top of the active ones."""
_OTHERS: Final = "(other channels)"
_MOST_CHANNELS: Final = style.MAX_SERIES


def traffic(lived: LivedDay) -> go.Figure:
    """Draw how many messages came in each hour, by channel."""
    import plotly.graph_objects as go

    counts: dict[str, list[int]] = {}
    for one in lived.messages:
        hours = counts.setdefault(one.channel, [0] * (MS_PER_DAY // MS_PER_HOUR))
        hours[(one.at_ms - DAY_START_MS) // MS_PER_HOUR] += 1
    ordered = sorted(counts, key=lambda channel: (-sum(counts[channel]), channel))
    shown = {channel: counts[channel] for channel in ordered[: _MOST_CHANNELS - (len(ordered) > _MOST_CHANNELS)]}
    if rest := ordered[len(shown) :]:
        shown[_OTHERS] = [sum(numbers) for numbers in zip(*(counts[channel] for channel in rest), strict=True)]
    totals = [sum(numbers) for numbers in zip(*counts.values(), strict=True)]
    busiest = totals.index(max(totals))
    return style.figure(
        [
            go.Bar(
                x=[f"{hour:02d}" for hour in range(len(hours))],
                y=hours,
                name=channel,
                marker={"color": style.GREY if channel == _OTHERS else style.series_colour(position)},
                hovertemplate=f"%{{x}} h: %{{y:,.0f}} by {channel}<extra></extra>",
            )
            for position, (channel, hours) in enumerate(shown.items())
        ],
        title="Messages in each hour, by channel",
        alt=f"{format_count(len(lived.messages))} messages by {len(counts)} channels; most of them, {format_count(totals[busiest])}, in "
        f"the hour from {busiest:02d}:00.",
        caption="The day as it was drawn: conversations by day, and two moments at which all channels are written to.",
        x_title="Hour (UTC)",
        y_title="Messages",
        barmode="stack",
        xaxis={"type": "category", "title": {"text": "Hour (UTC)"}},
        showlegend=True,
        height=340,
    )


def awake_and_asleep(lived: LivedDay) -> go.Figure:
    """Draw how many sessions were active, idle and asleep at every moment, with the limit of active ones.

    Those that would press the active ones flat are left out, and the caption says so.
    """
    import plotly.graph_objects as go

    changes, limit = lived.changes, lived.settings.max_concurrent
    x = times(changes["at_ms"])
    heights = changes[list(COLOURS)].iloc[:-1].cumsum(axis="columns").max()
    drawn = [standing for standing in COLOURS if standing == "active" or int(heights[standing]) <= _HIGHEST * limit]
    left_out = [f"{standing} ones, up to {int(changes[standing].iloc[:-1].max())}" for standing in COLOURS if standing not in drawn]
    traces: list[Any] = [
        go.Scatter(
            x=x,
            y=style.whole(changes[standing]),
            name=standing,
            mode="lines",
            stackgroup="all",
            line={"width": 0.5, "color": COLOURS[standing], "shape": "hv"},
            fillcolor=COLOURS[standing],
            hovertemplate=f"%{{y:,.0f}}<extra>{standing}</extra>",
        )
        for standing in drawn
    ]
    traces.append(
        go.Scatter(
            x=[x[0], x[-1]],
            y=[limit, limit],
            name=f"limit of active ones, {limit}",
            mode="lines",
            line={"color": style.VERMILLION, "width": 2, "dash": "dash"},
            hovertemplate=f"{limit}<extra>limit of active ones</extra>",
        )
    )
    asleep = int(changes["hibernated"].iloc[:-1].max())
    return style.figure(
        traces,
        title="Sessions awake and asleep over the day",
        alt=f"At most {lived.most_active} sessions are active at once, with a limit of {limit}; at most {int(changes['idle'].max())} are "
        f"idle and at most {asleep} asleep.",
        caption="Active ones lie at the bottom, so that they can be held against the limit; idle ones do not count for it."
        + (f" Not drawn, being far more: {' and '.join(left_out)}." if left_out else ""),
        y_title="Sessions",
        **over_the_day(lived),
        hovermode="x unified",
        showlegend=True,
        height=380,
    )


def session_lives(lived: LivedDay, *, top: int = 20) -> go.Figure:
    """Draw when each session was active, idle and asleep; of many, those with the most messages, in the order in which they came."""
    import plotly.graph_objects as go

    busiest = set(lived.sessions.sort_values("messages", ascending=False, kind="stable")["session"].head(top))
    shown = [key for key in lived.sessions["session"] if key in busiest]
    labels = {key: _label(key) for key in shown}
    traces = []
    for standing, colour in COLOURS.items():
        rows = lived.stretches[(lived.stretches["standing"] == standing) & lived.stretches["session"].isin(busiest)]
        traces.append(
            go.Bar(
                x=style.whole(rows["to_ms"] - rows["from_ms"]),
                base=times(rows["from_ms"]),
                y=[labels[key] for key in rows["session"]],
                orientation="h",
                name=standing,
                marker={"color": colour, "line": {"width": 0}},
                customdata=[f"{_clock(one.from_ms)} to {_clock(one.to_ms)}" for one in rows.itertuples()],
                hovertemplate=f"%{{y}}, %{{customdata}}: {standing}<extra></extra>",
            )
        )
    asleep = lived.stretches[lived.stretches["standing"] == "hibernated"]
    most = lived.sessions.loc[lived.sessions["messages"].idxmax()]
    whose = "Each session" if len(shown) == len(lived.sessions) else f"The {len(shown)} busiest sessions"
    return style.figure(
        [trace for trace in traces if len(trace.y)],
        title=f"{whose}, hour by hour",
        alt=f"{len(shown)} of {len(lived.sessions)} sessions; {_label(str(most['session']))} has the most messages, "
        f"{format_count(int(most['messages']))}. All together were put to sleep {format_count(len(asleep))} times before the end.",
        caption="In the order in which they came. Where a row is empty the session was not there yet, or lost with the process.",
        **over_the_day(lived),
        barmode="overlay",
        bargap=0.25,
        yaxis={"autorange": "reversed", "type": "category", "title": {"text": ""}},
        showlegend=True,
        height=150 + 22 * len(shown),
    )


def times(column: Iterable[Any]) -> list[str]:
    """Turn a column of epoch milliseconds into ISO texts, to the second, in UTC."""
    return [f"{dt.datetime.fromtimestamp(int(ms) // 1000, dt.UTC):%Y-%m-%d %H:%M:%S}" for ms in column]


def over_the_day(lived: LivedDay) -> dict[str, Any]:
    """Return the axis of a figure over the day, with a mark where the manager was started anew."""
    ends = times((DAY_START_MS, DAY_END_MS))
    layout: dict[str, Any] = {
        "xaxis": {"type": "date", "range": ends, "tickformat": "%H:%M", "title": {"text": _TIME}, "dtick": 4 * MS_PER_HOUR}
    }
    if lived.restart is not None:
        (at,) = times((lived.restart.at_ms,))
        layout["shapes"] = [
            {
                "type": "line",
                "x0": at,
                "x1": at,
                "y0": 0,
                "y1": 1,
                "yref": "paper",
                "line": {"color": style.TEXT, "width": 1, "dash": "dot"},
            }
        ]
        layout["annotations"] = [
            {
                "x": at,
                "y": 1,
                "yref": "paper",
                "yanchor": "bottom",
                "showarrow": False,
                "text": "crash" if lived.restart.is_crash else "restart",
            }
        ]
    return layout


def _clock(ms: Any) -> str:
    return f"{dt.datetime.fromtimestamp(int(ms) // 1000, dt.UTC):%H:%M:%S}"


def _label(key: str) -> str:
    return style.short(key.partition(":parallel:")[2], 28)
