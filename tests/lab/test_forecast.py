"""The forecast: exact where the history is regular, honest where it is not."""

from __future__ import annotations

import datetime as dt
from itertools import pairwise

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sessionlab.errors import UsageError
from sessionlab.lab.forecast import Crossing, backtest, forecast
from sessionlab.lab.smoothing import smooth, student_t90

FIRST = dt.date(2026, 1, 1)
MB = 1024**2


def history(added: list[int]) -> pd.DataFrame:
    days = pd.Series([FIRST + dt.timedelta(days=number) for number in range(len(added))], dtype="datetime64[us]")
    return pd.DataFrame({"day": days, "added_bytes": pd.Series(added, dtype="int64")})


def day(number: int) -> dt.date:
    return FIRST + dt.timedelta(days=number)


def test_linear_growth_reaches_a_limit_on_exactly_the_right_day() -> None:
    made = forecast(history([1000] * 60), [100_000, 100_001])
    assert made.crossings[0] == Crossing(100_000, expected=day(99), earliest=day(99), latest=day(99))
    assert made.crossings[1].expected == day(100)
    assert (made.level_bytes, made.weekly_bytes, made.weeks) == (60_000, 7000, 8)


def test_days_start_at_the_level_and_hold_whole_bytes() -> None:
    made = forecast(history([1000] * 60), [MB], show_days=10)
    assert made.days["day"].dt.date.tolist() == [day(59 + number) for number in range(11)]
    assert made.days["expected_bytes"].tolist() == [60_000 + 1000 * number for number in range(11)]
    assert made.days["low_bytes"].tolist() == made.days["high_bytes"].tolist() == made.days["expected_bytes"].tolist()
    assert [str(kind) for kind in made.days.dtypes] == ["datetime64[us]", "int64", "int64", "int64"]


def test_without_growth_no_day_is_expected() -> None:
    made = forecast(history([5000] + [0] * 80), [MB])
    assert made.crossings == (Crossing(MB, reason="no growth"),)
    assert made.days["high_bytes"].unique().tolist() == [5000]


def test_all_in_the_first_day_is_a_level_not_growth() -> None:
    # 22 days are just 3 weeks after the first day; if that day counted as growth there would be a drift.
    assert forecast(history([5 * MB] + [0] * 21), [10 * MB]).crossings[0].reason == "no growth"


def test_one_step_fades_and_leaves_doubt() -> None:
    made = forecast(history([0] * 30 + [70_000] + [0] * 26), [100_000])
    (crossing,) = made.crossings
    assert made.weekly_bytes is not None
    assert 0 <= made.weekly_bytes < 8750, "the mean of the eight weeks"
    assert crossing.earliest is not None
    assert crossing.expected is None or crossing.expected > crossing.earliest
    assert crossing.latest is None
    assert crossing.reason


def test_a_limit_already_reached_says_since_when() -> None:
    made = forecast(history([400] * 40), [4000, 16_000, 16_001])
    assert made.crossings[0] == Crossing(4000, reached=day(9))
    assert made.crossings[1] == Crossing(16_000, reached=day(39))
    assert made.crossings[2].reached is None


def test_slow_growth_is_not_within_two_years() -> None:
    assert forecast(history([1] * 60), [MB]).crossings[0].reason == "not within 2 years at this rate"


def test_a_shrinking_history_is_called_so() -> None:
    made = forecast(history([100_000] + [-100] * 60), [MB])
    assert made.crossings[0].reason == "shrinking"
    assert int(made.days["low_bytes"].min()) >= 0 or made.days["expected_bytes"].iloc[-1] < 0


@pytest.mark.parametrize(("length", "weeks"), [(0, 0), (1, 0), (14, 1), (21, 2)])
def test_too_little_history_is_said_and_never_guessed(length: int, weeks: int) -> None:
    made = forecast(history([100] * length), [50, MB])
    assert made.reason == f"not enough history: {weeks} full week{'' if weeks == 1 else 's'}, the model needs 3"
    assert len(made.days) == 0
    assert made.weekly_bytes is None
    assert made.crossings[1] == Crossing(MB, reason=made.reason)
    assert made.crossings[0].reached == (FIRST if length else None)


def test_the_model_by_hand() -> None:
    # Weekly sums 70, 140, 210 start at 140: guesses 140, 105, 116.9; the last two errors, 35 and 93.1, are judged.
    made = forecast(history([0] + [10] * 7 + [20] * 7 + [30] * 7), [MB], show_days=14)
    level, trend, errors, guesses = 140.0, 0.0, [], []
    for growth in (70, 140, 210):
        guesses.append(level + 0.8 * trend)
        errors.append(growth - guesses[-1])
        level, trend = guesses[-1] + 0.5 * errors[-1], 0.8 * trend + 0.1 * errors[-1]
    variance = (errors[1] ** 2 + errors[2] ** 2) * level / ((guesses[1] + guesses[2]) / 2)
    half = 3.0777 * (variance * (1 + (1 + 0.5 * (1 + 0.2 * 0.8)) ** 2)) ** 0.5
    expected = 420 + 2 * level + trend * (0.8 + 0.8 + 0.64)
    assert made.days["expected_bytes"].iloc[-1] == round(expected)
    assert made.days["high_bytes"].iloc[-1] == pytest.approx(expected + half, abs=1)
    assert made.days["low_bytes"].iloc[-1] == 420


def test_old_weeks_fade() -> None:
    made = forecast(history([10_000] * 100 + [10] * 140), [MB * 9])
    assert made.weeks == 34
    assert made.weekly_bytes == pytest.approx(70, abs=20)


SHAPES = {
    "speeds up": [200 * number for number in range(120)],
    "slows down": [200 * (120 - number) for number in range(120)],
    "a step up": [2000] * 50 + [20_000] * 70,
    "a step down": [20_000] * 50 + [2000] * 70,
    "steady": [5000, 15_000] * 60,
}


@pytest.mark.parametrize("shape", SHAPES)
def test_the_last_third_is_forecast_about_as_well_as_by_the_mean_of_eight_weeks_or_better(shape: str) -> None:
    added = SHAPES[shape]
    made = backtest(history(added))
    level, rate = sum(added[:80]), sum(added[24:80]) / 56
    actual = [level + sum(added[80 : 81 + number]) for number in range(40)]
    drift = 100 * sum(abs(level + rate * (number + 1) - real) / real for number, real in enumerate(actual)) / 40
    assert made.mape_percent is not None
    assert made.inside_percent is not None
    assert made.mape_percent <= max(1, 0.75 * drift)
    assert made.inside_percent >= 60


def test_what_grew_is_off_by_more_than_it_was() -> None:
    steady, grown = smooth([100, 120, 80, 100, 120, 80]), smooth([100, 120, 80, 100, 120, 1000])
    assert grown.deviation > steady.deviation
    assert steady.path(7)[7][0] >= 0


@settings(max_examples=60, deadline=None)
@given(added=st.lists(st.integers(0, 10**9), min_size=22, max_size=120), limit=st.integers(1, 10**12))
def test_the_interval_contains_the_expectation_widens_and_never_falls(added: list[int], limit: int) -> None:
    made = forecast(history(added), [limit], show_days=200)
    low, middle, high = (made.days[name].tolist() for name in ("low_bytes", "expected_bytes", "high_bytes"))
    assert low[0] == middle[0] == high[0] == sum(added)
    assert all(a <= b <= c for a, b, c in zip(low, middle, high, strict=True))
    for path in (low, middle, high):
        assert all(after >= before for before, after in pairwise(path))
    (crossing,) = made.crossings
    known = [found for found in (crossing.earliest, crossing.expected, crossing.latest) if found is not None]
    assert known == sorted(known)
    assert (crossing.reached is not None) == (sum(added) >= limit)
    assert crossing.reached or crossing.latest or crossing.reason


def test_limits_come_back_ascending_and_once() -> None:
    assert [crossing.limit_bytes for crossing in forecast(history([1] * 40), [50 * MB, 10 * MB, 50 * MB]).crossings] == [10 * MB, 50 * MB]


def test_nonsense_is_refused() -> None:
    with pytest.raises(UsageError, match="above 0"):
        forecast(history([1] * 40), [0])
    with pytest.raises(UsageError, match="show_days"):
        forecast(history([1] * 40), [1], show_days=731)
    with pytest.raises(UsageError, match="without gaps"):
        forecast(history([1] * 40).drop(index=7), [1])


def test_the_quantile_agrees_with_published_tables() -> None:
    published = {1: 3.0777, 2: 1.8856, 7: 1.4149, 9: 1.3830, 10: 1.3722, 20: 1.3253, 30: 1.3104, 60: 1.2958, 120: 1.2886}
    assert {freedom: round(student_t90(freedom), 4) for freedom in published} == published


# --- backtest


def test_backtest_of_linear_growth_is_perfect() -> None:
    made = backtest(history([100] * 90))
    assert (made.train_days, made.test_days) == (60, 30)
    assert (made.mape_percent, made.end_error_percent, made.inside_percent) == (0.0, 0.0, 100.0)
    assert made.naive_mape_percent is not None
    assert made.naive_mape_percent > 0
    assert made.verdict == "good enough to plan by"


def test_backtest_by_hand() -> None:
    # 24 days of training at 10 a day (level 240, 70 a week, no deviation); then 12 days at 20 a day.
    made = backtest(history([10] * 24 + [20] * 12))
    actual = [240 + 20 * number for number in range(1, 13)]
    guess = [240 + 10 * number for number in range(1, 13)]
    mape = 100 * sum((real - said) / real for real, said in zip(actual, guess, strict=True)) / 12
    naive = 100 * sum((real - 240) / real for real in actual) / 12
    assert made.days["actual_bytes"].tolist() == actual
    assert made.days["expected_bytes"].tolist() == guess
    assert made.days["day"].dt.date.tolist()[0] == day(24)
    assert (made.mape_percent, made.naive_mape_percent) == (round(mape, 2), round(naive, 2))
    assert (made.end_error_percent, made.inside_percent) == (-25.0, 0.0)
    assert "too narrow" in made.verdict
    assert made.facts.endswith("Growth sped up after the fit: limits come earlier than such a forecast says.")


def test_backtest_says_when_no_growth_would_have_been_the_better_guess() -> None:
    made = backtest(history([100] * 60 + [0] * 30))
    assert made.mape_percent is not None
    assert made.naive_mape_percent == 0.0
    assert made.mape_percent > 0
    assert made.verdict == "no better than assuming no growth, so do not plan by it"
    assert "slowed down" in made.facts


def test_backtest_says_when_it_is_far_off() -> None:
    made = backtest(history([100] * 60 + [5000] * 30))
    assert made.mape_percent is not None
    assert made.mape_percent > 20
    assert "too far off to plan by" in made.verdict


def test_backtest_judges_the_last_day_too() -> None:
    # Slow, then a jump at the very end: small errors on average, a big one where it matters.
    made = backtest(history([100] * 60 + [100] * 28 + [2500, 2500]))
    assert made.mape_percent is not None
    assert made.end_error_percent is not None
    assert made.mape_percent < 20
    assert made.end_error_percent < -30
    assert "too far off to plan by" in made.verdict


@pytest.mark.parametrize("length", [0, 1, 32])
def test_backtest_without_enough_history_says_so(length: int) -> None:
    made = backtest(history([100] * length))
    assert made.mape_percent is None
    assert len(made.days) == 0
    assert made.verdict == ""
    assert made.facts.startswith("It could not be tried on the past (")
