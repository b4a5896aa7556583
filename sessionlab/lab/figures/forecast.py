"""The figure of the forecast: history, interval, limits, and what the model would have said of the last third."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sessionlab.lab.figures import style
from sessionlab.lab.forecast import INTERVAL_PERCENT, MODEL, TOO_SLOW, Backtest, Crossing, Forecast
from sessionlab.units import format_bytes

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

_BAND: Final = "rgba(0,114,178,0.3)"
_BACKTEST_BAND: Final = "rgba(230,159,0,0.3)"


def size_forecast(history: pd.DataFrame, forecast: Forecast, backtest: Backtest | None = None) -> go.Figure:
    """Draw the size of the store so far, its forecast with the interval, the limits in reach, and the backtest.

    `history` is the answer of `store_bytes_daily` that `forecast` and `backtest` were made from.
    """
    import plotly.graph_objects as go

    title = "When the store reaches its limits"
    if history.empty:
        return style.no_data(title, "the store holds no session in this selection")
    ahead = forecast.days
    reach = max(int(history["cumulative_bytes"].max()), int(ahead["high_bytes"].max()) if len(ahead) else 0)
    # A limit far above everything would press the curve flat; the words above the figure have all of them.
    limits = [crossing for crossing in forecast.crossings if crossing.limit_bytes <= 1.3 * reach]
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
    sentences = [crossing_sentence(crossing) for crossing in forecast.crossings]
    rate = "" if forecast.weekly_bytes is None else f", growing by {format_bytes(forecast.weekly_bytes)} a week"
    caption = [MODEL if not forecast.reason else f"No forecast: {forecast.reason}."]
    if backtest is not None and backtest.verdict:
        caption.append(f"Tried on the last third of this history, it was {backtest.verdict}.")
    return style.figure(
        traces,
        title=title,
        alt=f"The store takes {format_bytes(forecast.level_bytes)} now{rate}. {' '.join(sentences)}".strip(),
        caption=" ".join(caption),
        x_title="Day (UTC)",
        y_title=f"Size of the store ({unit})",
        yaxis={"rangemode": "tozero", "title": {"text": f"Size of the store ({unit})"}},
        showlegend=True,
        height=460,
    )


def crossing_sentence(crossing: Crossing) -> str:
    """Say in one sentence when a limit is reached, or why no day is given."""
    limit = format_bytes(crossing.limit_bytes)
    if crossing.reached is not None:
        return f"{limit} is already reached, since {crossing.reached.isoformat()}."
    if crossing.expected is None:
        early = f", at the earliest on {crossing.earliest.isoformat()}" if crossing.earliest is not None else ""
        return f"{limit}: no day expected ({crossing.reason}){early}."
    early = crossing.earliest.isoformat() if crossing.earliest is not None else "today"
    late = crossing.latest.isoformat() if crossing.latest is not None else "more than 2 years from now"
    return f"{limit} is expected on {crossing.expected.isoformat()} ({INTERVAL_PERCENT} % interval: {early} to {late})."


def crossing_cell(crossing: Crossing) -> str:
    """Say in a few words when a limit is reached: `2027-02-22 (2026-12-30 to later)`."""
    if crossing.reached is not None:
        return f"since {crossing.reached.isoformat()}"
    early = crossing.earliest.isoformat() if crossing.earliest is not None else ""
    if crossing.expected is None:
        why = "not within 2 years" if crossing.reason == TOO_SLOW else crossing.reason
        return f"{why} ({early} at the earliest)" if early else why
    late = crossing.latest.isoformat() if crossing.latest is not None else "later than 2 years"
    return f"{crossing.expected.isoformat()} ({early} to {late})"


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
