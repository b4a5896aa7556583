"""How the store grows, in sentences: over the days shown, in its busiest week, and where it leads."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from sessionlab.lab.figures.forecast import crossing_sentence
from sessionlab.lab.findings.words import count, day, name, percent
from sessionlab.lab.forecast import ASSUMES, COMPARED, DEFAULT_LIMITS_BYTES, FAR_DAYS, GOOD, ROTATE_BYTES, STALLS_BYTES, first_crossing
from sessionlab.units import format_bytes

if TYPE_CHECKING:
    import pandas as pd

    from sessionlab.lab.forecast import Backtest, Crossing, Forecast

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
        text += f"; most sessions are of the kind {name(top)}: {percent(int(parts[top]), added)}."
    return text


def activity(created: pd.DataFrame, active: pd.DataFrame) -> str:
    """Say how many sessions are new and how many are used; the answers of `growth_daily` and `activity_daily`."""
    if active.empty:
        return "No dated event lies in these days: nothing says which sessions were used."
    used = active.groupby("day")["active_sessions"].sum()
    peak = max(used.index, key=lambda when: (int(used[when]), when))
    text = (
        f"Sessions were used on {count(len(used), 'day')}: {count(int(used[peak]), 'session')} on the busiest ({day(peak)}), "
        f"{int(used.median()):,} on the median of these days."
    )
    if not created.empty and len(daily := created.groupby("day")["created"].sum()):
        busiest = max(daily.index, key=lambda when: (int(daily[when]), when))
        text += f" The most sessions were created on {day(busiest)}: {int(daily[busiest]):,}."
    return text


def forecast_words(forecast: Forecast, tested: Backtest, *, stores: int = 1) -> str:
    """Say how fast it grows and when each limit is reached, by which model, and how good that would have been.

    Of several stores together no limit is named: a limit is that of one store.

    Args:
        forecast: Of the store, or of all stores together.
        tested: The backtest on the same history.
        stores: How many stores that are.
    """
    many = stores > 1
    rate = ""
    if forecast.weekly_bytes is not None:
        grow = "they are" if many else "it is"
        rate = f", and {grow} expected to grow by about **{format_bytes(forecast.weekly_bytes)} a week** over the next four weeks"
    who = f"The {stores:,} stores together take" if many else "The store takes"
    head = f"{who} {format_bytes(forecast.level_bytes)} now{rate}."
    if forecast.reason:
        head += f" No forecast: {forecast.reason}."
    # A limit is that of one store.
    limits = [] if many else [f"- {crossing_sentence(crossing, forecast.today)}" for crossing in forecast.crossings]
    return "\n\n".join(part for part in (head, "\n".join(limits), model_words(forecast, tested)) if part)


def model_words(forecast: Forecast, tested: Backtest) -> str:
    """Say which model made the forecast, what it assumes, and how well it would have done, here and elsewhere."""
    if forecast.reason:
        return ASSUMES
    verdict = f" This is {tested.verdict}." if tested.verdict else ""
    return (
        f"The model takes the bytes added in each of the {forecast.weeks:,} full weeks so far: half of the weight lies on the last week, "
        f"a quarter on the one before, and so on; a trend in them is carried on, and fades. {ASSUMES}\n\n"
        f"{tested.facts}{verdict} {COMPARED}"
    )


def limits_words(limit_bytes: int) -> str:
    """Say what the limits are limits of, and where they come from; `limit_bytes` is the reader's own."""
    own = "" if limit_bytes in DEFAULT_LIMITS_BYTES else f", and {format_bytes(limit_bytes)} is the parameter `limit_bytes`"
    return (
        f"A limit is that of one store, the file that an agent has to itself. {format_bytes(ROTATE_BYTES)} is where OpenClaw up to 2026.4 "
        f"rotates sessions.json (`session.maintenance.rotateBytes`); from {format_bytes(STALLS_BYTES)} on its users reported gateways that "
        f"stall (openclaw/openclaw 12899 and 12920){own}."
    )


def rough_words(tested: Backtest, crossing: Crossing | None, today: dt.date | None) -> str:
    """Say why a forecast is rough, "" where it can be planned by: the backtest, or a day far ahead."""
    if not tested.verdict:
        return "Take it as rough: the history is too short to try the model on its last third."
    if tested.verdict != GOOD:
        return f"Take it as rough: on the last third of this history the model was {tested.verdict}."
    far = crossing is not None and crossing.expected is not None and today is not None and (crossing.expected - today).days > FAR_DAYS
    return "Take it as rough: months ahead the interval is too narrow." if far else ""


def agents_words(forecasts: Mapping[str, Forecast]) -> str:
    """Say whose store reaches a limit first; each agent's store is a file of its own."""
    if not forecasts:
        return "There is no agent."
    over = [(crossing.limit_bytes, agent, crossing) for agent, made in forecasts.items() for crossing in made.crossings if crossing.reached]
    said = []
    if over:
        limit, agent, crossing = max(over, key=lambda found: found[:2])
        said.append(f"The store of {name(agent)} has been at {format_bytes(limit)} or more since {crossing.reached}.")
    first = first_crossing(forecasts)
    if first is not None:
        when = crossing_sentence(first[1], forecasts[first[0]].today)
        said.append(f"The store of {name(first[0])} reaches {'the next' if over else 'a'} limit first: {when}")
    elif not all(made.reason for made in forecasts.values()):
        smallest = min((c.limit_bytes for made in forecasts.values() for c in made.crossings if not c.reached), default=0)
        if smallest:
            said.append(f"No agent's store is expected to reach {'another limit' if over else format_bytes(smallest)} within 2 years.")
    else:
        said.append("There is too little history for a forecast of any agent's store.")
    return " ".join(said)
