"""Figures of a maintenance that is only thought of: what goes, under which version's rules, and how much the limits matter."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal

from sessionlab.lab.figures import style
from sessionlab.lab.what_if_outcome import Group, Share, added
from sessionlab.lab.what_if_policy import shown_duration
from sessionlab.units import format_bytes, format_count, format_usd

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

    from sessionlab.lab.what_if_outcome import Outcome

Measure = Literal["Sessions", "Bytes", "Cost"]
By = Literal["kind", "agent"]

STAY, ASIDE, GO = "stay", "put aside", "go"
_COLOURS: Final = {STAY: style.SKY, ASIDE: style.YELLOW, GO: style.VERMILLION}
_NOTHING: Final = "the stores hold no session"
_NO_COST: Final = "no transcript records a cost"
_CAPTIONS: Final[dict[Measure, str]] = {
    "Sessions": "Entries of the stores. Put aside: stays in the store, marked as archived, as OpenClaw 2026.9 does it.",
    "Bytes": "Entries and transcripts. Put aside: transcripts renamed to archives, which stay on the disk for a time, and entries marked "
    "as archived.",
    "Cost": "As recorded in the transcripts; what a fork repeats counts for its parent. Put aside: in transcripts renamed to archives, "
    "which count until they expire.",
}
# White to blue, none of it so dark that the numbers on it have to be light.
_SCALE: Final = ((0.0, "#FFFFFF"), (0.5, "#BFDDF0"), (1.0, style.SKY))


def what_goes(outcome: Outcome, *, measure: Measure = "Sessions", by: By = "kind") -> go.Figure:
    """Draw what stays, is put aside and goes.

    Args:
        outcome: What comes of a policy.
        measure: What the bars are long by.
        by: One bar for each kind of session, or for each agent.
    """
    import plotly.graph_objects as go

    title = f"{measure} that would go, by {by}"
    shares = _rows(outcome.groups, by, measure)
    if not shares:
        return style.no_data(title, _NO_COST if measure == "Cost" and outcome.before.sessions else _NOTHING)
    divisor, unit = _unit(measure, [_value(measure, held) for held, _, _ in shares.values()])
    names = list(shares)
    parts = {
        GO: [_value(measure, gone) for _, _, gone in shares.values()],
        ASIDE: [_value(measure, aside) for _, aside, _ in shares.values()],
    }
    parts[STAY] = [
        max(_value(measure, held) - one - other, 0)
        for (held, _, _), one, other in zip(shares.values(), parts[GO], parts[ASIDE], strict=True)
    ]
    shown = {name: numbers for name, numbers in parts.items() if any(numbers) or name == GO}
    total = {name: sum(numbers) for name, numbers in parts.items()}
    whole = sum(total.values())
    put = f", {_text(measure, total[ASIDE])} would be put aside" if total[ASIDE] else ""
    return style.figure(
        [
            go.Bar(
                x=style.scaled(numbers, divisor),
                y=names,
                orientation="h",
                name=name,
                marker={"color": _COLOURS[name]},
                customdata=[_text(measure, number) for number in numbers],
                hovertemplate="%{y}: %{customdata} " + name + "<extra></extra>",
            )
            for name, numbers in shown.items()
        ],
        title=title,
        alt=f"{_text(measure, total[GO])} of {_text(measure, whole)} would go{put}.",
        caption=_CAPTIONS[measure],
        x_title=unit,
        barmode="stack",
        showlegend=True,
        yaxis={"autorange": "reversed", "title": {"text": ""}},
        height=170 + 26 * len(names),
    )


def versions_compared(outcomes: Sequence[Outcome]) -> go.Figure:
    """Draw what each version of OpenClaw would do to the sessions, one bar for each."""
    import plotly.graph_objects as go

    title = "Sessions under the rules of four versions"
    if not outcomes or not outcomes[0].before.sessions:
        return style.no_data(title, _NOTHING)
    names = [f"{one.policy.profile} " for one in outcomes]  # the blank keeps it from being a number on the axis
    parts = {
        "too old": ([one.actions.get("prune-stale", 0) for one in outcomes], style.VERMILLION),
        "over the cap": ([one.actions.get("cap-overflow", 0) for one in outcomes], style.ORANGE),
        "for the disk budget": ([one.actions.get("evict-budget", 0) for one in outcomes], style.PURPLE),
        "marked as archived": ([one.aside.sessions for one in outcomes], style.YELLOW),
        "stay as they are": ([one.after.sessions - one.aside.sessions for one in outcomes], style.SKY),
    }
    words = [f"{one.policy.profile}: {format_count(one.gone.sessions)} go, {format_count(one.aside.sessions)} marked" for one in outcomes]
    return style.figure(
        [
            go.Bar(
                x=numbers,
                y=names,
                orientation="h",
                name=name,
                marker={"color": colour},
                hovertemplate="OpenClaw %{y}: %{x:,.0f} " + name + "<extra></extra>",
            )
            for name, (numbers, colour) in parts.items()
            if any(numbers)
        ],
        title=title,
        alt=f"Of {format_count(outcomes[0].before.sessions)} sessions, {'; '.join(words)}.",
        caption="As each would do it if it enforced its rules, with what openclaw.json and this notebook's parameters say.",
        x_title="Sessions",
        barmode="stack",
        showlegend=True,
        yaxis={"autorange": "reversed", "type": "category", "title": {"text": ""}},
        height=270,
    )


def sensitivity(grid: pd.DataFrame) -> go.Figure:
    """Draw how many sessions go for each age and cap; `grid` is of `WhatIf.grid`. The policy's own point has a frame."""
    import plotly.graph_objects as go

    marks = "archived" in grid and bool(grid["archived"].any())
    title = f"Sessions that go{' or are archived' if marks else ''}, by age and cap"
    if grid.empty or not int(grid["sessions"].iloc[0]):
        return style.no_data(title, _NOTHING)
    ages, caps = (list(dict.fromkeys(style.whole(grid[name]))) for name in ("prune_after_ms", "max_entries"))
    touched = grid["removed"] + grid["archived"]
    rows = [style.whole(touched[grid["prune_after_ms"] == age]) for age in ages]
    sizes = [[format_bytes(size) for size in grid["bytes_after"][grid["prune_after_ms"] == age].tolist()] for age in ages]
    total = int(grid["sessions"].iloc[0])
    own = next(((row.prune_after_ms, row.max_entries) for row in grid.itertuples() if row.is_own), (ages[0], caps[0]))
    x, y = caps.index(int(own[1])), ages.index(int(own[0]))
    here = rows[y][x]
    trace = go.Heatmap(
        x=[format_count(cap) for cap in caps],
        y=[shown_duration(age) for age in ages],
        z=rows,
        zmin=0,
        zmax=total,
        colorscale=[list(stop) for stop in _SCALE],
        showscale=False,
        xgap=2,
        ygap=2,
        text=[[format_count(number) for number in row] for row in rows],
        texttemplate="%{text}",
        textfont={"color": "#000000"},
        customdata=sizes,
        hovertemplate="older than %{y}, cap %{x}: %{text} of " + format_count(total) + ", %{customdata} stay on disk<extra></extra>",
    )
    return style.figure(
        [trace],
        title=title,
        alt=f"Of {format_count(total)} sessions {format_count(here)} at {shown_duration(ages[y])} and a cap of {format_count(caps[x])}; "
        f"from {format_count(min(map(min, rows)))} to {format_count(max(map(max, rows)))} over the limits shown.",
        caption="The frame marks the limits that were asked for; caps are those of one store, an agent's. Everything else stays as it is.",
        x_title="Most entries in a store",
        y_title="Prune after",
        xaxis={"type": "category", "showgrid": False, "title": {"text": "Most entries in a store"}},
        yaxis={"type": "category", "showgrid": False, "title": {"text": "Prune after", "standoff": 20}},
        shapes=[
            {
                "type": "rect",
                "x0": x - 0.48,
                "x1": x + 0.48,
                "y0": y - 0.48,
                "y1": y + 0.48,
                "line": {"color": style.VERMILLION, "width": 3},
            }
        ],
        height=150 + 38 * len(ages),
    )


def _rows(groups: Sequence[Group], by: By, measure: Measure) -> dict[str, tuple[Share, Share, Share]]:
    """Return (held, aside, gone) by kind or agent, in the order of every legend; those with nothing to measure are left out."""
    members: dict[str, list[Group]] = {}
    for group in groups:
        members.setdefault(group.kind if by == "kind" else group.agent, []).append(group)
    ordered = style.in_kind_order(members) if by == "kind" else sorted(members)
    found = {
        name: (
            added(one.held for one in members[name]),
            added(one.aside for one in members[name]),
            added(one.gone for one in members[name]),
        )
        for name in ordered
    }
    return {name: shares for name, shares in found.items() if _value(measure, shares[0])}


_VALUES: Final[dict[Measure, Callable[[Share], int]]] = {
    "Sessions": lambda share: share.sessions,
    "Bytes": lambda share: share.bytes,
    "Cost": lambda share: share.cost_microusd,
}
_TEXTS: Final[dict[Measure, Callable[[int], str]]] = {"Sessions": format_count, "Bytes": format_bytes, "Cost": format_usd}


def _value(measure: Measure, share: Share) -> int:
    return _VALUES[measure](share)


def _text(measure: Measure, number: Any) -> str:
    return _TEXTS[measure](int(number))


def _unit(measure: Measure, numbers: Sequence[int]) -> tuple[int, str]:
    if measure == "Bytes":
        return style.byte_unit(max(numbers))
    return (1_000_000, "US dollars") if measure == "Cost" else (1, "Sessions")
