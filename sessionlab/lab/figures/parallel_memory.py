"""Figures of what parallel sessions remember in a day: how much there is, and which channel hears of which."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from sessionlab.lab.figures import style
from sessionlab.lab.figures.parallel import over_the_day, times
from sessionlab.parallel.process_memory import MOST_KNOWLEDGE, MOST_MEMORIES
from sessionlab.units import format_count

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from sessionlab.lab.parallel_day import LivedDay

What = Literal["memories", "knowledge"]

_SCALE: Final = ((0.0, "#FFFFFF"), (0.5, "#BFDDF0"), (1.0, style.SKY))
"""None of it so dark that the numbers on it have to be light."""
_COLUMNS: Final[dict[What, tuple[str, str, str, int]]] = {
    "memories": ("acknowledged", "stored", "in_process", MOST_MEMORIES),
    "knowledge": ("promoted", "known", "known_in_process", MOST_KNOWLEDGE),
}
_WITH: Final = (
    "Counted every ten minutes. The process is only a shortcut: what its cap drops, and what a restart forgets, is in the database."
)
_WITHOUT: Final = "Counted every ten minutes. There is no database: what the cap drops, or a restart forgets, is gone."


def memory_growth(lived: LivedDay, *, what: What = "memories") -> go.Figure:
    """Draw how many memories, or how much knowledge, there was: acknowledged, in the database, and in the process with its cap."""
    import plotly.graph_objects as go

    acknowledged, stored, in_process, cap = _COLUMNS[what]
    growth = lived.growth
    title = "Memories" if what == "memories" else "What all channels know"
    if not int(growth[acknowledged].max()):
        return style.no_data(title, "nothing was remembered" if what == "memories" else "nothing was important enough to be promoted")
    x = times(growth["at_ms"])
    lines = [
        (acknowledged, "acknowledged so far", {"color": style.GREY, "width": 1.5, "dash": "dot"}),
        (stored, "in the database", {"color": style.BLUE, "width": 5}),
        (in_process, "in the process", {"color": style.ORANGE, "width": 2}),
    ]
    traces = [
        go.Scatter(
            x=x, y=style.whole(growth[column]), name=name, mode="lines", line=line, hovertemplate=f"%{{y:,.0f}}<extra>{name}</extra>"
        )
        for column, name, line in lines
        if column != stored or lived.settings.memory.backend != "memory"
    ]
    traces.append(
        go.Scatter(
            x=[x[0], x[-1]],
            y=[cap, cap],
            name=f"most in a process, {cap}",
            mode="lines",
            line={"color": style.VERMILLION, "width": 1.5, "dash": "longdashdot"},
            hovertemplate=f"{cap}<extra>most in a process</extra>",
        )
    )
    last = growth.iloc[-1]
    return style.figure(
        traces,
        title=title,
        alt=f"{format_count(int(last[acknowledged]))} are acknowledged over the day, {format_count(int(last[stored]))} are in the database "
        f"at its end; the process never has more than {format_count(int(growth[in_process].max()))}, with a cap of {cap}.",
        caption=_WITHOUT if lived.settings.memory.backend == "memory" else _WITH,
        y_title="Memories" if what == "memories" else "Entries",
        **over_the_day(lived),
        hovermode="x unified",
        showlegend=True,
        height=360,
    )


def shared_across_channels(lived: LivedDay) -> go.Figure:
    """Draw how much of what one channel learned was told to the sessions of another."""
    import plotly.graph_objects as go

    title = "Whose knowledge is told to whom"
    shown = lived.briefings[lived.briefings["block"] == "global"]
    if shown.empty:
        return style.no_data(title, "no briefing held anything that all channels know")
    channels = list(dict.fromkeys(one.channel for one in sorted(lived.messages, key=lambda one: one.channel)))
    distinct = shown.groupby(["source", "channel"])["content"].nunique().to_dict()
    rows = [[int(distinct.get((source, channel), 0)) for channel in channels] for source in channels]
    elsewhere = shown[shown["source"] != shown["channel"]]
    trace = go.Heatmap(
        x=channels,
        y=channels,
        z=rows,
        zmin=0,
        zmax=max(map(max, rows)),
        colorscale=[list(stop) for stop in _SCALE],
        showscale=False,
        xgap=2,
        ygap=2,
        text=[[format_count(number) for number in row] for row in rows],
        texttemplate="%{text}",
        textfont={"color": "#000000"},
        hovertemplate="%{text} entries from %{y} told to %{x}<extra></extra>",
    )
    return style.figure(
        [trace],
        title=title,
        alt=f"{shown['content'].nunique()} entries from {shown['source'].nunique()} channels were told, "
        f"{elsewhere['content'].nunique()} of them also to another channel than their own.",
        caption="Different entries under “Global Knowledge” in the briefings of the day; the diagonal is a channel's own.",
        xaxis={"type": "category", "showgrid": False, "title": {"text": "told to"}, "tickangle": -45},
        yaxis={"type": "category", "showgrid": False, "autorange": "reversed", "title": {"text": "learned on", "standoff": 20}},
        height=170 + 32 * len(channels),
    )
