"""When will the store reach a size: a stated model, its interval, and how well it would have done on the last third.

The model is that of `sessionlab.lab.smoothing`, which says what it was compared with. Nothing here reads the mirror or a clock.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from sessionlab.errors import UsageError
from sessionlab.lab.smoothing import MIN_WEEKS, smooth

if TYPE_CHECKING:
    import pandas as pd

INTERVAL_PERCENT: Final = 80
HORIZON_DAYS: Final = 730
USABLE_MAPE_PERCENT: Final = 20
USABLE_END_PERCENT: Final = 30
USABLE_INSIDE_PERCENT: Final = 50
NOTABLE_END_PERCENT: Final = 10
FAR_DAYS: Final = 92
GOOD: Final = "good enough to plan by"
# What OpenClaw's own default says, and where its users reported trouble: openclaw/openclaw#12899 and #12920.
ROTATE_BYTES: Final = 10 * 1024**2
STALLS_BYTES: Final = 50 * 1024**2
DEFAULT_LIMITS_BYTES: Final = (ROTATE_BYTES, STALLS_BYTES)

RATE_DAYS: Final = 28

MODEL: Final = f"Exponential smoothing of weekly growth, with a damped trend; {INTERVAL_PERCENT} % interval from its own errors."
ASSUMES: Final = "It counts what is still in the store, at today's size, and assumes that nothing will be removed."
TOO_SLOW: Final = "not within 2 years at this rate"
COMPARED: Final = (
    "It was chosen among 21 variants by their errors on 43 made histories. On 24 synthetic ones that had no part in the choice it missed "
    "the last third by 21 % on average, with 65 % of the days inside the interval (the mean of the last eight weeks: 25 % and 39 %), "
    "and one month ahead by 11 %, with 88 % inside: far ahead, the interval is too narrow."
)


@dataclass(frozen=True, slots=True)
class Crossing:
    """When the store reaches `limit_bytes`.

    `reached` is the day on which it already had (then the others are None). `expected` is the first day on which the expected
    size is at or above the limit, `earliest` and `latest` the same for the upper and lower end of the interval. A day that is
    None does not come within two years; `reason` says in words why `expected`, or else `latest`, is None (else "").
    """

    limit_bytes: int
    reached: dt.date | None = None
    expected: dt.date | None = None
    earliest: dt.date | None = None
    latest: dt.date | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Forecast:
    """The forecast of a store's size.

    `days` holds one row per UTC day, ascending, the last day of the history first (all three equal there). Columns: `day`
    (datetime64), `low_bytes`, `expected_bytes`, `high_bytes` (int64, bytes; an 80 % interval). It is empty when the history
    is too short; then `reason` says so and `weekly_bytes` is None. `weekly_bytes` is the growth a week that is expected over the
    next four weeks; `weeks` is how many full weeks of history the model saw.
    """

    level_bytes: int
    weekly_bytes: int | None
    weeks: int
    days: pd.DataFrame
    crossings: tuple[Crossing, ...]
    reason: str = ""

    @property
    def today(self) -> dt.date | None:
        """The last day of the history, from which the forecast looks ahead; `None` when there is no forecast."""
        return self.days["day"].iloc[0].date() if len(self.days) else None


@dataclass(frozen=True, slots=True)
class Backtest:
    """How the model, fitted on the first two thirds of the history, would have forecast the last third.

    `days` holds one row per UTC day of the last third, ascending. Columns: `day` (datetime64), `actual_bytes`, `low_bytes`,
    `expected_bytes`, `high_bytes` (int64, bytes). The errors are None, and `days` is empty, when there is too little history.
    `naive_mape_percent` is the error of the guess that nothing grows. `facts` says all this in sentences; `verdict` is what it
    amounts to, in words that go on after "it was", and "" when there is too little history.
    """

    train_days: int
    test_days: int
    days: pd.DataFrame
    mape_percent: float | None
    end_error_percent: float | None
    inside_percent: float | None
    naive_mape_percent: float | None
    facts: str
    verdict: str


def forecast(history: pd.DataFrame, limits_bytes: Sequence[int] = DEFAULT_LIMITS_BYTES, *, show_days: int = 180) -> Forecast:
    """Forecast when the store reaches each limit.

    The first day of the history is a level, not growth: what has no date counts there.

    Args:
        history: The answer of the query `store_bytes_daily`: columns `day` and `added_bytes`, ascending, without gaps.
        limits_bytes: Sizes to look for, in bytes, each above 0; returned ascending, each once.
        show_days: How many days the frame `days` covers, at most 730.

    Raises:
        UsageError: The history has gaps, a limit is not above 0, or a number of days is out of range.
    """
    if any(limit <= 0 for limit in limits_bytes):
        raise UsageError("a forecast's limits are sizes above 0 bytes")
    if not 1 <= show_days <= HORIZON_DAYS:
        raise UsageError(f"show_days={show_days} is not between 1 and {HORIZON_DAYS}")
    days, added = _history(history)
    limits = sorted(set(limits_bytes))
    cumulative = _running(added)
    weekly = _weekly(added)
    path = _path(added, HORIZON_DAYS)
    if isinstance(path, str):
        reached = (_reached(limit, days, cumulative) or Crossing(limit, reason=path) for limit in limits)
        return Forecast(sum(added), None, len(weekly), _frame([], []), tuple(reached), path)
    crossings = tuple(_reached(limit, days, cumulative) or _crossing(limit, days[-1], path) for limit in limits)
    shown = [days[-1] + dt.timedelta(days=day) for day in range(show_days + 1)]
    rate = round(7 * (path[RATE_DAYS][1] - path[0][1]) / RATE_DAYS)
    return Forecast(sum(added), rate, len(weekly), _frame(shown, path[: show_days + 1]), crossings)


def forecast_agents(ask: Callable[..., pd.DataFrame], limits_bytes: Sequence[int] = DEFAULT_LIMITS_BYTES) -> dict[str, Forecast]:
    """Forecast the store of each agent, by its id: every agent has a store file of its own, and that is what gets slow.

    Args:
        ask: Answers a query by name, such as `Lab.query`; asked once for the agents and once for each of them.
        limits_bytes: As in `forecast`.
    """
    agents = [str(agent) for agent in ask("sources")["agent_id"].tolist()]
    return {agent: forecast(ask("store_bytes_daily", agent=agent), limits_bytes) for agent in agents}


def first_crossing(forecasts: Mapping[str, Forecast]) -> tuple[str, Crossing] | None:
    """Return the agent whose store reaches a limit first, and that crossing; `None` when none is expected within two years."""
    ahead = [
        (crossing.expected, agent, crossing)
        for agent, made in sorted(forecasts.items())
        for crossing in made.crossings
        if crossing.expected is not None
    ]
    return min(ahead, key=lambda found: found[:2])[1:] if ahead else None


def backtest(history: pd.DataFrame) -> Backtest:
    """Fit the model on the first two thirds of the history and compare its forecast with the last third.

    Args and Raises as in `forecast`.
    """
    days, added = _history(history)
    train = 2 * len(added) // 3
    fit = _path(added[:train], len(added) - train) if train else "not enough history: no day"
    if isinstance(fit, str):
        why = f"It could not be tried on the past ({train} days, the first two thirds): {fit}."
        return Backtest(train, len(added) - train, _frame([], [], actual=[]), None, None, None, None, why, "")
    actual = _running(added)[train:]
    level, path = fit[0][1], fit[1:]
    expected = [middle for _, middle, _ in path]
    mape, naive = _mape(actual, expected), _mape(actual, [level] * len(actual))
    end = 100 * (expected[-1] - actual[-1]) / actual[-1] if actual[-1] else 0.0
    inside = 100 * sum(low <= real <= high for real, (low, _, high) in zip(actual, path, strict=True)) / len(actual)
    facts = _facts(train, len(actual), mape=mape, naive=naive, end=end, inside=inside)
    verdict = _verdict(mape=mape, naive=naive, end=end, inside=inside)
    frame = _frame(days[train:], path, actual=actual)
    return Backtest(train, len(actual), frame, round(mape, 2), round(end, 2), round(inside, 1), round(naive, 2), facts, verdict)


def _history(history: pd.DataFrame) -> tuple[list[dt.date], list[int]]:
    days = [stamp.date() for stamp in history["day"].tolist()]
    added = [int(value) for value in history["added_bytes"].tolist()]
    if any(later - earlier != dt.timedelta(days=1) for earlier, later in pairwise(days)):
        raise UsageError("a forecast's history has one row per day, ascending, without gaps; use the query store_bytes_daily")
    return days, added


def _weekly(added: Sequence[int]) -> list[int]:
    growth = added[1:]
    weeks = len(growth) // 7
    recent = growth[len(growth) - 7 * weeks :]
    return [sum(recent[7 * week : 7 * week + 7]) for week in range(weeks)]


def _path(added: Sequence[int], days: int) -> list[tuple[int, int, int]] | str:
    """Return (low, expected, high) sizes 0 to `days` days after the history, or why there is no forecast."""
    weekly = _weekly(added)
    if len(weekly) < MIN_WEEKS:
        return f"not enough history: {len(weekly)} full week{'' if len(weekly) == 1 else 's'}, the model needs {MIN_WEEKS}"
    level = sum(added)
    # A store has no negative size.
    return [(min(level + middle, max(0, level + low)), level + middle, level + high) for low, middle, high in smooth(weekly).path(days)]


def _reached(limit: int, days: Sequence[dt.date], cumulative: Sequence[int]) -> Crossing | None:
    if not cumulative or cumulative[-1] < limit:
        return None
    # The day since which it has been at the limit or above, in case it had fallen below again.
    below = [index for index, size in enumerate(cumulative) if size < limit]
    return Crossing(limit, reached=days[below[-1] + 1 if below else 0])


def _crossing(limit: int, last_day: dt.date, path: Sequence[tuple[int, int, int]]) -> Crossing:
    def first(which: int) -> dt.date | None:
        day = next((day for day, sizes in enumerate(path) if sizes[which] >= limit), None)
        return None if day is None else last_day + dt.timedelta(days=day)

    latest, expected, earliest = first(0), first(1), first(2)
    reason = ""
    if expected is None:
        growth = path[-1][1] - path[0][1]
        reason = "shrinking" if growth < 0 else "no growth" if growth == 0 else TOO_SLOW
    elif latest is None:
        reason = "not within 2 years at the slow end of the interval"
    return Crossing(limit, expected=expected, earliest=earliest, latest=latest, reason=reason)


def _running(added: Sequence[int]) -> list[int]:
    total, sums = 0, []
    for value in added:
        total += value
        sums.append(total)
    return sums


def _mape(actual: Sequence[int], guessed: Sequence[int]) -> float:
    errors = [abs(guess - real) / real for real, guess in zip(actual, guessed, strict=True) if real > 0]
    return 100 * sum(errors) / len(errors) if errors else 0.0


def _facts(train: int, test: int, *, mape: float, naive: float, end: float, inside: float) -> str:
    facts = (
        f"Fitted on the first {train} days alone, the model missed the size on the {test} days after them by {mape:.1f} % on average "
        f"({end:+.1f} % on the last day); assuming no growth would have missed by {naive:.1f} %. "
        f"{inside:.0f} % of these days lay inside the {INTERVAL_PERCENT} % interval."
    )
    if abs(end) <= NOTABLE_END_PERCENT:
        return facts
    turn = "Growth sped up after the fit: limits come earlier" if end < 0 else "Growth slowed down after the fit: limits come later"
    return f"{facts} {turn} than such a forecast says."


def _verdict(*, mape: float, naive: float, end: float, inside: float) -> str:
    if mape >= naive and mape > 0:
        return "no better than assuming no growth, so do not plan by it"
    if mape > USABLE_MAPE_PERCENT or abs(end) > USABLE_END_PERCENT:
        return "better than assuming no growth, but too far off to plan by"
    if inside < USABLE_INSIDE_PERCENT:
        return "usable in the middle, but its interval was too narrow"
    return GOOD


def _frame(days: Sequence[dt.date], path: Sequence[tuple[int, int, int]], *, actual: Sequence[int] | None = None) -> pd.DataFrame:
    import pandas as pd

    columns: dict[str, pd.Series] = {"day": pd.Series(list(days), dtype="datetime64[us]")}
    if actual is not None:
        columns["actual_bytes"] = pd.Series(list(actual), dtype="int64")
    for which, name in enumerate(("low_bytes", "expected_bytes", "high_bytes")):
        columns[name] = pd.Series([sizes[which] for sizes in path], dtype="int64")
    return pd.DataFrame(columns)
