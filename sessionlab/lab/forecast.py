"""When will the store reach a size: a stated model, its interval, and how well it would have done on the last third.

The model is a random walk with drift on weekly sums. Everything is plain Python on integers and floats: no randomness and no
numerics library, so that the same history gives the same numbers on every machine. Nothing here reads the mirror or a clock.
"""

from __future__ import annotations

import datetime as dt
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from sessionlab.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd

INTERVAL_PERCENT: Final = 80
HORIZON_DAYS: Final = 730
MIN_WEEKS: Final = 3
USABLE_MAPE_PERCENT: Final = 20
USABLE_END_PERCENT: Final = 30
USABLE_INSIDE_PERCENT: Final = 50
NOTABLE_END_PERCENT: Final = 10
DEFAULT_LIMITS_BYTES: Final = (10 * 1024**2, 50 * 1024**2)

# Student's t, 0.9 quantile (80 % two-sided), for 1 to 9 degrees of freedom; from 10 on the expansion below is exact to 4 digits.
_T90: Final = (3.0777, 1.8856, 1.6377, 1.5332, 1.4759, 1.4398, 1.4149, 1.3968, 1.3830)


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
    is too short; then `reason` says so and `weekly_bytes` is None.
    """

    model: str
    level_bytes: int
    weekly_bytes: int | None
    weeks: int
    days: pd.DataFrame
    crossings: tuple[Crossing, ...]
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Backtest:
    """How the model, fitted on the first two thirds of the history, would have forecast the last third.

    `days` holds one row per UTC day of the last third, ascending. Columns: `day` (datetime64), `actual_bytes`, `low_bytes`,
    `expected_bytes`, `high_bytes` (int64, bytes). The errors are None, and `days` is empty, when there is too little history.
    `naive_mape_percent` is the error of the guess that nothing grows.
    """

    train_days: int
    test_days: int
    days: pd.DataFrame
    mape_percent: float | None
    end_error_percent: float | None
    inside_percent: float | None
    naive_mape_percent: float | None
    verdict: str


@dataclass(frozen=True, slots=True)
class _Fit:
    """Sum, number and sample deviation of the weekly sums; `floor_bytes` is what the store cannot fall below."""

    level_bytes: int
    weeks_sum: int
    weeks: int
    deviation: float
    floor_bytes: int

    def at(self, day: int) -> tuple[int, int, int]:
        """Return (low, expected, high) `day` days after the level."""
        # Whole-number arithmetic: a store that grows by the same bytes every day reaches a limit on exactly the right day.
        expected = self.level_bytes + self.weeks_sum * day // (7 * self.weeks)
        horizon = day / 7
        half = round(student_t90(self.weeks - 1) * self.deviation * math.sqrt(horizon + horizon * horizon / self.weeks))
        return min(expected, max(self.floor_bytes, expected - half)), expected, expected + half


def forecast(
    history: pd.DataFrame, limits_bytes: Sequence[int] = DEFAULT_LIMITS_BYTES, *, window_days: int = 56, show_days: int = 180
) -> Forecast:
    """Forecast when the store reaches each limit.

    The first day of the history is a level, not growth: what has no date counts there.

    Args:
        history: The answer of the query `store_bytes_daily`: columns `day` and `added_bytes`, ascending, without gaps.
        limits_bytes: Sizes to look for, in bytes, each above 0; returned ascending, each once.
        window_days: How much of the recent history the model looks at, in days; whole weeks of it are used, at least 3.
        show_days: How many days the frame `days` covers, at most 730.

    Raises:
        UsageError: The history has gaps, a limit is not above 0, or a number of days is out of range.
    """
    if any(limit <= 0 for limit in limits_bytes):
        raise UsageError("a forecast's limits are sizes above 0 bytes")
    if window_days < 7 * MIN_WEEKS:
        raise UsageError(f"a forecast looks at {MIN_WEEKS} weeks at least: window_days={window_days} is below {7 * MIN_WEEKS}")
    if not 1 <= show_days <= HORIZON_DAYS:
        raise UsageError(f"show_days={show_days} is not between 1 and {HORIZON_DAYS}")
    days, added = _history(history)
    level = sum(added)
    fit = _fit(added, window_days)
    cumulative = _running(added)
    if isinstance(fit, str):
        reached = (_reached(limit, days, cumulative) or Crossing(limit, reason=fit) for limit in sorted(set(limits_bytes)))
        return Forecast(_model_text(window_days), level, None, 0, _frame([], []), tuple(reached), fit)
    path = [fit.at(day) for day in range(HORIZON_DAYS + 1)]
    crossings = tuple(_reached(limit, days, cumulative) or _crossing(limit, days[-1], path, fit) for limit in sorted(set(limits_bytes)))
    shown = [days[-1] + dt.timedelta(days=day) for day in range(show_days + 1)]
    weekly = round(fit.weeks_sum / fit.weeks)
    return Forecast(_model_text(7 * fit.weeks), level, weekly, fit.weeks, _frame(shown, path[: show_days + 1]), crossings)


def backtest(history: pd.DataFrame, *, window_days: int = 56) -> Backtest:
    """Fit the model on the first two thirds of the history and compare its forecast with the last third.

    Args and Raises as in `forecast`.
    """
    days, added = _history(history)
    train = 2 * len(added) // 3
    fit = _fit(added[:train], window_days) if train else "not enough history: no day"
    if isinstance(fit, str):
        verdict = f"No backtest: {fit} in the first two thirds ({train} days)."
        return Backtest(train, len(added) - train, _frame([], [], actual=[]), None, None, None, None, verdict)
    actual = _running(added)[train:]
    path = [fit.at(day) for day in range(1, len(actual) + 1)]
    expected = [middle for _, middle, _ in path]
    mape, naive = _mape(actual, expected), _mape(actual, [fit.level_bytes] * len(actual))
    end = 100 * (expected[-1] - actual[-1]) / actual[-1] if actual[-1] else 0.0
    inside = 100 * sum(low <= real <= high for real, (low, _, high) in zip(actual, path, strict=True)) / len(actual)
    verdict = _verdict(train, len(actual), mape=mape, naive=naive, end=end, inside=inside)
    frame = _frame(days[train:], path, actual=actual)
    return Backtest(train, len(actual), frame, round(mape, 2), round(end, 2), round(inside, 1), round(naive, 2), verdict)


def student_t90(freedom: int) -> float:
    """Return the 0.9 quantile of Student's t for `freedom` >= 1 degrees of freedom, good to 4 digits."""
    if freedom <= len(_T90):
        return _T90[freedom - 1]
    # Cornish-Fisher expansion around the normal quantile (Abramowitz and Stegun, 26.7.5).
    z = 1.2815515655446004
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / freedom + second / freedom**2 + third / freedom**3


def _history(history: pd.DataFrame) -> tuple[list[dt.date], list[int]]:
    days = [stamp.date() for stamp in history["day"].tolist()]
    added = [int(value) for value in history["added_bytes"].tolist()]
    if any(later - earlier != dt.timedelta(days=1) for earlier, later in pairwise(days)):
        raise UsageError("a forecast's history has one row per day, ascending, without gaps; use the query store_bytes_daily")
    return days, added


def _fit(added: Sequence[int], window_days: int) -> _Fit | str:
    growth = added[1:]
    weeks = min(window_days, len(growth)) // 7
    if weeks < MIN_WEEKS:
        return f"not enough history: {weeks} full week{'' if weeks == 1 else 's'}, the model needs {MIN_WEEKS}"
    recent = growth[len(growth) - 7 * weeks :]
    sums = [sum(recent[7 * week : 7 * week + 7]) for week in range(weeks)]
    level = sum(added)
    # A history that only adds cannot forecast a fall: nothing in it says that anything is ever removed.
    floor = level if min(recent) >= 0 else 0
    return _Fit(level, sum(sums), weeks, statistics.stdev(sums), floor)


def _reached(limit: int, days: Sequence[dt.date], cumulative: Sequence[int]) -> Crossing | None:
    if not cumulative or cumulative[-1] < limit:
        return None
    # The day since which it has been at the limit or above, in case it had fallen below again.
    below = [index for index, size in enumerate(cumulative) if size < limit]
    return Crossing(limit, reached=days[below[-1] + 1 if below else 0])


def _crossing(limit: int, last_day: dt.date, path: Sequence[tuple[int, int, int]], fit: _Fit) -> Crossing:
    def first(which: int) -> dt.date | None:
        day = next((day for day, sizes in enumerate(path) if sizes[which] >= limit), None)
        return None if day is None else last_day + dt.timedelta(days=day)

    latest, expected, earliest = first(0), first(1), first(2)
    reason = ""
    if expected is None:
        reason = "shrinking" if fit.weeks_sum < 0 else "no growth" if fit.weeks_sum == 0 else "not within 2 years at this rate"
    elif latest is None:
        reason = "not within 2 years at the slow end of the interval"
    return Crossing(limit, expected=expected, earliest=earliest, latest=latest, reason=reason)


def _model_text(window_days: int) -> str:
    return (
        f"Random walk with drift on weekly sums of added bytes, last {window_days // 7} full weeks; "
        f"{INTERVAL_PERCENT} % interval from the weekly variance and the uncertainty of the drift (Student t). "
        "It counts what is still in the store, at today's size, and assumes that nothing will be removed."
    )


def _running(added: Sequence[int]) -> list[int]:
    total, sums = 0, []
    for value in added:
        total += value
        sums.append(total)
    return sums


def _mape(actual: Sequence[int], guessed: Sequence[int]) -> float:
    errors = [abs(guess - real) / real for real, guess in zip(actual, guessed, strict=True) if real > 0]
    return 100 * sum(errors) / len(errors) if errors else 0.0


def _verdict(train: int, test: int, *, mape: float, naive: float, end: float, inside: float) -> str:
    facts = (
        f"Fitted on the first {train} days, the model missed the last {test} days by {mape:.1f} % on average "
        f"({end:+.1f} % on the last day); assuming no growth would have missed by {naive:.1f} %. "
        f"{inside:.0f} % of the days lay inside the {INTERVAL_PERCENT} % interval."
    )
    if mape >= naive and mape > 0:
        judgement = "That is no better than assuming no growth: do not plan by it."
    elif mape > USABLE_MAPE_PERCENT or abs(end) > USABLE_END_PERCENT:
        judgement = "That is better than assuming no growth, but too far off to plan by."
    elif inside < USABLE_INSIDE_PERCENT:
        judgement = "The middle line is usable, but the interval was too narrow: allow for more than it shows."
    else:
        judgement = "Good enough to plan by."
    if abs(end) <= NOTABLE_END_PERCENT:
        return f"{facts} {judgement}"
    turn = "Growth sped up after the fit: limits come earlier" if end < 0 else "Growth slowed down after the fit: limits come later"
    return f"{facts} {judgement} {turn} than such a forecast says."


def _frame(days: Sequence[dt.date], path: Sequence[tuple[int, int, int]], *, actual: Sequence[int] | None = None) -> pd.DataFrame:
    import pandas as pd

    columns: dict[str, pd.Series] = {"day": pd.Series(list(days), dtype="datetime64[us]")}
    if actual is not None:
        columns["actual_bytes"] = pd.Series(list(actual), dtype="int64")
    for which, name in enumerate(("low_bytes", "expected_bytes", "high_bytes")):
        columns[name] = pd.Series([sizes[which] for sizes in path], dtype="int64")
    return pd.DataFrame(columns)
