"""How the store grows, in sentences: over the days shown, in its busiest week, and where it leads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sessionlab.lab.figures.forecast import crossing_sentence
from sessionlab.lab.findings.words import count, day, name, percent
from sessionlab.units import format_bytes

if TYPE_CHECKING:
    import pandas as pd

    from sessionlab.lab.forecast import Crossing, Forecast

NOTHING: Final = "There is no session in this selection, so there is no growth to show."


def growth(frame: pd.DataFrame) -> str:
    """Say how sessions and bytes grew; `frame` is the answer of `growth_daily`."""
    if frame.empty:
        return NOTHING
    daily = frame.groupby("day")[["created", "created_bytes", "cumulative_sessions", "cumulative_bytes"]].sum()
    first, last = daily.iloc[0], daily.iloc[-1]
    before = int(first["cumulative_sessions"] - first["created"])
    added, added_bytes = int(daily["created"].sum()), int(daily["created_bytes"].sum())
    start = f"on top of the {before:,} that were there before" if before else "from nothing"
    text = (
        f"From {day(daily.index[0])} to {day(daily.index[-1])} the store gained **{count(added, 'session')}** "
        f"({format_bytes(added_bytes)} of entries), {start}, and reached {count(int(last['cumulative_sessions']), 'session')} "
        f"and {format_bytes(int(last['cumulative_bytes']))}."
    )
    half = len(daily) // 2
    if half >= 7 and added:
        late = int(daily["created"].iloc[len(daily) - half :].sum())
        text += f" {percent(late, added)} of these sessions came in the second half of that time"
        parts = frame.groupby("kind")["created"].sum()
        top = max(parts.index, key=lambda kind: (int(parts[kind]), str(kind)))
        text += f"; the largest part of all, {percent(int(parts[top]), added)}, are of the kind {name(top)}."
    return text


def activity(created: pd.DataFrame, active: pd.DataFrame) -> str:
    """Say how many sessions are new and how many are used; the answers of `growth_daily` and `activity_daily`."""
    if active.empty:
        return "No dated event lies in these days: nothing says which sessions were used."
    used = active.groupby("day")["active_sessions"].sum()
    peak = max(used.index, key=lambda when: (int(used[when]), when))
    text = (
        f"Sessions were used on {count(len(used), 'day')}: {int(used[peak]):,} at most (on {day(peak)}), "
        f"{int(used.median()):,} on the median of these days."
    )
    if not created.empty and len(daily := created.groupby("day")["created"].sum()):
        busiest = max(daily.index, key=lambda when: (int(daily[when]), when))
        text += f" The most sessions were created on {day(busiest)}: {int(daily[busiest]):,}."
    return text


def forecast_words(forecast: Forecast) -> str:
    """Say how fast it grows and when each limit is reached; the figure below says from which model, and how good that is."""
    rate = "" if forecast.weekly_bytes is None else f", and it grows by about **{format_bytes(forecast.weekly_bytes)} a week**"
    head = f"The store takes {format_bytes(forecast.level_bytes)} now{rate}."
    if forecast.reason:
        head += f" No forecast: {forecast.reason}."
    return "\n".join([f"{head}\n", *(f"- {limit_words(crossing)}" for crossing in forecast.crossings)])


def limit_words(crossing: Crossing) -> str:
    """Say in one sentence when a limit is reached, or that it is not in sight and why."""
    if crossing.reached is None and crossing.expected is None:
        early = f", at the very earliest on {crossing.earliest.isoformat()}" if crossing.earliest is not None else ""
        return f"{format_bytes(crossing.limit_bytes)} is not in sight: {crossing.reason}{early}."
    return crossing_sentence(crossing)
