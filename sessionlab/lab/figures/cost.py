"""Figures of use: tokens and cost per day and model."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from sessionlab.lab.figures import style
from sessionlab.units import format_count, format_usd

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

_CAPTION: Final = "Every recorded call is counted once: archived transcripts are included, copies in forked sessions are not"


def tokens_by_day(tokens: pd.DataFrame) -> go.Figure:
    """Draw tokens per day, stacked by model; `tokens` is the answer of `tokens_daily`."""
    title = "Tokens per day, by model"
    if tokens.empty:
        return style.no_data(title, "no dated model call with usage in this selection")
    total = int(tokens["total_tokens"].sum())
    return _stacked(
        tokens,
        value="total_tokens",
        title=title,
        y_title="Tokens per day",
        hover="%{y:,.0f} tokens",
        convert=int,
        amount=lambda value: f"{format_count(value)} tokens",
        caption=f"{_CAPTION}. Input, output, cache reads and cache writes, {format_count(total)} tokens in all.",
        axis={"tickformat": "~s"},
    )


def cost_by_day(tokens: pd.DataFrame) -> go.Figure:
    """Draw cost per day in US dollars, stacked by model; `tokens` is the answer of `tokens_daily`."""
    title = "Cost per day, by model"
    if tokens.empty:
        return style.no_data(title, "no dated model call with usage in this selection")
    if int(tokens["cost_microusd"].sum()) == 0:
        return style.no_data(title, "no call in this selection has a recorded cost above zero")
    unpriced = int(tokens["missing_cost_entries"].sum())
    missing = f" {unpriced:,} call{' has' if unpriced == 1 else 's have'} no recorded cost: the true cost is higher." if unpriced else ""
    return _stacked(
        tokens,
        value="cost_microusd",
        title=title,
        y_title="Cost per day (USD)",
        hover="$%{y:,.4f}",
        convert=lambda value: round(value / 1_000_000, 6),
        amount=format_usd,
        caption=f"{_CAPTION}. Cost as recorded when the call was made.{missing}",
        axis={"tickprefix": "$"},
    )


def _stacked(
    tokens: pd.DataFrame,
    *,
    value: str,
    title: str,
    y_title: str,
    hover: str,
    convert: Callable[[int], float],
    amount: Callable[[int], str],
    caption: str,
    axis: dict[str, str],
) -> go.Figure:
    import plotly.graph_objects as go

    frame = tokens.assign(series=tokens["provider"] + "/" + tokens["model"])
    totals = frame.groupby("series")[value].sum()
    ranked = sorted(totals.index, key=lambda name: (-int(totals[name]), name))
    # Colour by rank in tokens, so that a model keeps its colour in the picture of tokens and in that of cost.
    by_tokens = frame.groupby("series")["total_tokens"].sum()
    colours = {name: style.series_colour(at) for at, name in enumerate(sorted(by_tokens.index, key=lambda n: (-int(by_tokens[n]), n)))}
    named = [name for name in ranked if totals[name] > 0][: style.MAX_SERIES]
    rest = [name for name in ranked if name not in named and totals[name] > 0]
    table = frame.pivot_table(index="day", columns="series", values=value, aggfunc="sum", fill_value=0)
    x = style.days(table.index.to_series())
    columns = [(name, table[name], colours[name]) for name in named]
    if rest:
        columns.append((f"{len(rest)} other models", table[rest].sum(axis=1), style.GREY))
    traces = [
        go.Bar(
            x=x,
            y=[convert(number) for number in style.whole(column)],
            name=name,
            marker={"color": colour, "line": {"width": 0}},
            hovertemplate=f"{hover}<extra>{name}</extra>",
        )
        for name, column, colour in columns
    ]
    daily = table.sum(axis=1)
    peak = style.days(table.index.to_series())[int(daily.to_numpy().argmax())]
    all_of_it = int(totals.sum())
    top = f"; {named[0]} has the largest part, {amount(int(totals[named[0]]))}" if named else ""
    return style.figure(
        traces,
        title=title,
        alt=f"{amount(all_of_it)} from {x[0]} to {x[-1]}, most on {peak} ({amount(int(daily.max()))}){top}.",
        caption=caption,
        x_title="Day (UTC)",
        y_title=y_title,
        barmode="stack",
        hovermode="x unified",
        yaxis={"title": {"text": y_title}, **axis},
        xaxis={"type": "date", "title": {"text": "Day (UTC)"}},
        showlegend=True,
    )
