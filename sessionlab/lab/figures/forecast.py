"""The figure of the forecast: history, interval, limits, and what the model would have said of the last third."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Final

from sessionlab.lab.figures import style
from sessionlab.lab.forecast import INTERVAL_PERCENT, MODEL, TOO_SLOW, Backtest, Crossing, Forecast
from sessionlab.units import format_bytes

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

_BAND: Final = "rgba(0,114,178,0.3)"
_BACKTEST_BAND: Final = "rgba(230,159,0,0.3)"


def size_forecast(history: pd.DataFrame, forecast: Forecast, backtest: Backtest | None = None, *, stores: int = 1) -> go.Figure:
    """Draw the size of the store so far, its forecast with the interval, the limits in reach, and the backtest.

    `history` is the answer of `store_bytes_daily` that `forecast` and `backtest` were made from. Of several `stores` together no
    limit is drawn: a limit is that of one store.
    """
    import plotly.graph_objects as go

    many = stores > 1
    title = "Size of all stores together, so far and expected" if many else "When the store reaches its limits"
    if history.empty:
        return style.no_data(title, "the store holds no session in this selection")
    ahead = forecast.days
    reach = max(int(history["cumulative_bytes"].max()), int(ahead["high_bytes"].max()) if len(ahead) else 0)
    # A limit far above everything would press the curve flat; the words above the figure have all of them.
    limits = [] if many else [crossing for crossing in forecast.crossings if crossing.limit_bytes <= 1.3 * reach]
    divisor, unit = style.byte_unit(max([reach, *(crossing.limit_bytes for crossing in limits)]))
    hover = "%{y:,.2f} " + unit
    traces = []
    if backtest is not None and len(backtest.days):
        traces += _band(backtest.days, divisor, hover, colour=style.ORANGE, band=_BACKTEST_BAND, name="backtest", dash="dot")
    if len(ahead):
        traces += _band(ahead, divisor, hover, colour=style.BLUE, band=_BAND, name="forecast", dash="dash")
    traces.append(
        go.Scatter(
            x=style.days(history["day"]),
            y=style.scaled(history["cumulative_bytes"], divisor),
            name="so far",
            mode="lines",
            line={"color": style.GREEN, "width": 2.5},
            hovertemplate=f"{hover}<extra>so far</extra>",
        )
    )
    first = style.days(history["day"])[0]
    last = style.days(ahead["day"])[-1] if len(ahead) else style.days(history["day"])[-1]
    traces += [
        go.Scatter(
            x=[first, last],
            y=[round(crossing.limit_bytes / divisor, 4)] * 2,
            name=f"limit {format_bytes(crossing.limit_bytes)}",
            mode="lines",
            line={"color": style.VERMILLION, "width": 1.5, "dash": "longdashdot"},
            hovertemplate=f"{format_bytes(crossing.limit_bytes)}<extra>limit</extra>",
        )
        for crossing in limits
    ]
    sentences = [] if many else [crossing_sentence(crossing, forecast.today) for crossing in forecast.crossings]
    who = "The stores take" if many else "The store takes"
    y_title = f"Size of the store{'s' if many else ''} ({unit})"
    rate = "" if forecast.weekly_bytes is None else f", growing by {format_bytes(forecast.weekly_bytes)} a week"
    caption = [MODEL if not forecast.reason else f"No forecast: {forecast.reason}."]
    if backtest is not None and backtest.verdict:
        caption.append(f"Tried on the last third of this history, it was {backtest.verdict}.")
    return style.figure(
        traces,
        title=title,
        alt=f"{who} {format_bytes(forecast.level_bytes)} now{rate}. {' '.join(sentences)}".strip(),
        caption=" ".join(caption),
        x_title="Day (UTC)",
        y_title=y_title,
        yaxis={"rangemode": "tozero", "title": {"text": y_title}},
        showlegend=True,
        height=460,
    )


def crossing_sentence(crossing: Crossing, today: dt.date | None) -> str:
    """Say in one sentence when a limit is reached, or that it is not in sight and why; `today` is the forecast's."""
    limit = format_bytes(crossing.limit_bytes)
    if crossing.reached is not None:
        return f"{limit} is already reached, since {crossing.reached.isoformat()}."
    early = "" if crossing.earliest is None else roughly(crossing.earliest, today)
    if crossing.expected is None:
        why = "within 2 years" if crossing.reason == TOO_SLOW else f"({crossing.reason})"
        end = f"; the early end of the {INTERVAL_PERCENT} % interval is {early}" if early else ""
        return f"{limit} is not expected {why}{end}."
    late = "more than 2 years from now" if crossing.latest is None else roughly(crossing.latest, today)
    expected = roughly(crossing.expected, today)
    on = "on" if expected == crossing.expected.isoformat() else "in"
    return f"{limit} is expected {on} {expected} ({INTERVAL_PERCENT} % interval: {early} to {late})."


def crossing_cell(crossing: Crossing, today: dt.date | None) -> str:
    """Say in a few words when a limit is reached: `October 2027 (April 2027 to later)`; `today` is the forecast's."""
    if crossing.reached is not None:
        return f"since {crossing.reached.isoformat()}"
    early = "" if crossing.earliest is None else roughly(crossing.earliest, today)
    if crossing.expected is None:
        why = "not within 2 years" if crossing.reason == TOO_SLOW else crossing.reason
        return f"{why} ({early} at the earliest)" if early else why
    late = "later" if crossing.latest is None else roughly(crossing.latest, today)
    return f"{roughly(crossing.expected, today)} ({early} to {late})"


def roughly(day: dt.date, today: dt.date | None) -> str:
    """Write a day as finely as a forecast can mean it: within a month the day, within a year the month, else the year."""
    ahead = 0 if today is None else (day - today).days
    return day.isoformat() if ahead <= 31 else f"{day:%B %Y}" if ahead <= 366 else str(day.year)


def _band(days: pd.DataFrame, divisor: int, hover: str, *, colour: str, band: str, name: str, dash: str) -> list[go.Scatter]:
    import plotly.graph_objects as go

    x = style.days(days["day"])
    common = {"x": x, "mode": "lines"}
    edge = {"width": 0, "color": colour}
    return [
        go.Scatter(
            y=style.scaled(days["low_bytes"], divisor),
            line=edge,
            showlegend=False,
            name=f"{name}, low end",
            hovertemplate=f"{hover}<extra>{name}, low end</extra>",
            **common,
        ),
        go.Scatter(
            y=style.scaled(days["high_bytes"], divisor),
            line=edge,
            fill="tonexty",
            fillcolor=band,
            name=f"{name}: {INTERVAL_PERCENT} % interval",
            hovertemplate=f"{hover}<extra>{name}, high end</extra>",
            **common,
        ),
        go.Scatter(
            y=style.scaled(days["expected_bytes"], divisor),
            line={"width": 2, "color": colour, "dash": dash},
            name=name,
            hovertemplate=f"{hover}<extra>{name}</extra>",
            **common,
        ),
    ]
