"""The number grammars at their edges, and what people read at the rounding boundaries."""

from __future__ import annotations

import pytest

from sessionlab.errors import UsageError
from sessionlab.units import (
    DurationUnit,
    format_age_ms,
    format_bytes,
    format_count,
    format_measured_ms,
    format_ms_utc,
    format_usd,
    parse_duration_ms,
    parse_size_bytes,
)

HOUR = 3_600_000
DAY = 24 * HOUR


@pytest.mark.parametrize(
    ("text", "unit", "ms"),
    [
        ("30d", "h", 30 * DAY),
        ("24", "h", DAY),
        ("30", "d", 30 * DAY),
        ("250", "ms", 250),
        ("0", "d", 0),
        ("0ms", "d", 0),
        ("1h30m", "d", 90 * 60_000),
        ("1d2h3m4s5ms", "h", DAY + 2 * HOUR + 3 * 60_000 + 4005),
        ("1.5h", "d", 90 * 60_000),
        (".5s", "d", 500),
        ("  2H \n", "d", 2 * HOUR),
        ("1M", "d", 60_000),
        ("0.4999s", "d", 500),
        ("0.5ms", "d", 1),
        ("1.4999ms", "d", 1),
        ("0.1s0.2s", "d", 300),
        ("9007199254740991ms", "d", 2**53 - 1),
    ],
)
def test_duration_is_read(text: str, unit: DurationUnit, ms: int) -> None:
    assert parse_duration_ms(text, default_unit=unit) == ms


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "d",
        "-1d",
        "+1d",
        "1w",
        "1 d",
        "1h 30m",
        "1h30",
        "1,5h",
        "1e3",
        "5.",
        "1..5s",
        "٣d",
        "nan",
        "inf",
        "1h-30m",
        "0x10",
        "1" * 5000,
    ],
)
def test_bad_duration_says_what_to_write(text: str) -> None:
    with pytest.raises(UsageError, match=r"write a number and ms, s, m, h or d, such as 30d or 1h30m") as caught:
        parse_duration_ms(text, default_unit="d")
    assert len(str(caught.value)) < 300


def test_duration_that_vanishes_in_rounding_is_refused() -> None:
    with pytest.raises(UsageError, match="too small a duration; write 0 or at least 1ms"):
        parse_duration_ms("0.4ms", default_unit="d")


def test_duration_beyond_the_exact_integers_is_refused() -> None:
    with pytest.raises(UsageError, match="too large a duration"):
        parse_duration_ms("9007199254740992ms", default_unit="d")


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("100b", 100),
        ("4096", 4096),
        ("1k", 1024),
        ("1kb", 1024),
        ("5MB", 5 * 1024**2),
        (" 5 mb ", 5 * 1024**2),
        ("1.5g", 3 * 1024**3 // 2),
        ("10gb", 10 * 1024**3),
        ("2t", 2 * 1024**4),
        ("1tb", 1024**4),
        ("0.5b", 1),
        ("0.001k", 1),
    ],
)
def test_size_is_read(text: str, size: int) -> None:
    assert parse_size_bytes(text) == size


@pytest.mark.parametrize("text", ["", "mb", "-1mb", "1mib", "1p", "1kb2b", "1,5mb", "1e3", "1mb!", "5.mb", "9" * 5000])
def test_bad_size_says_what_to_write(text: str) -> None:
    with pytest.raises(UsageError, match=r"write a number and b, kb, mb, gb or tb"):
        parse_size_bytes(text)


def test_size_out_of_range_is_refused() -> None:
    with pytest.raises(UsageError, match="too small a size"):
        parse_size_bytes("0.4b")
    with pytest.raises(UsageError, match="too large a size"):
        parse_size_bytes("8192tb")


@pytest.mark.parametrize(
    ("n", "text"),
    [
        (0, "0 B"),
        (1, "1 B"),
        (1023, "1023 B"),
        (1024, "1.0 KB"),
        (1024**2 - 1, "1.0 MB"),
        (1024**2 - 52_429, "972.8 KB"),
        (1024**2, "1.0 MB"),
        (1_258_291, "1.2 MB"),
        (1024**3 - 1, "1.0 GB"),
        (1024**4, "1.0 TB"),
        (1024**5, "1,024.0 TB"),
        (1023.6, "1.0 KB"),
        (-2048, "-2.0 KB"),
    ],
)
def test_bytes_for_people(n: float, text: str) -> None:
    assert format_bytes(n) == text


@pytest.mark.parametrize(
    ("microusd", "text"),
    [
        (0, "$0.00"),
        (1, "$0.000001"),
        (1200, "$0.0012"),
        (9_999, "$0.009999"),
        (10_000, "$0.01"),
        (14_999, "$0.01"),
        (15_000, "$0.02"),
        (1_234_500_000, "$1,234.50"),
        (-2_500_000, "-$2.50"),
    ],
)
def test_money_for_people(microusd: int, text: str) -> None:
    assert format_usd(microusd) == text


def test_measured_times_are_readable_at_any_size() -> None:
    assert [format_measured_ms(ms) for ms in (0.0094, 0.29, 9.96, 99.4, 99.6, 1_240.4)] == [
        *("0.0094 ms", "0.29 ms", "10 ms", "99 ms", "100 ms", "1,240 ms"),
    ]


def test_count_for_people() -> None:
    assert [format_count(n) for n in (0, 999, 1000, 1234567)] == ["0", "999", "1,000", "1,234,567"]


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (0, "1970-01-01 00:00 UTC"),
        (59_999, "1970-01-01 00:00 UTC"),
        (60_000, "1970-01-01 00:01 UTC"),
        (-1, "1969-12-31 23:59 UTC"),
        (1_795_132_800_000, "2026-11-20 00:00 UTC"),
        (-62_135_596_800_000, "0001-01-01 00:00 UTC"),
        (10**18, "1000000000000000000 ms"),
    ],
)
def test_instant_for_people(ms: int, text: str) -> None:
    assert format_ms_utc(ms) == text


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (0, "0 s"),
        (59_999, "59 s"),
        (60_000, "1 min"),
        (HOUR - 1, "59 min"),
        (HOUR, "1 h"),
        (2 * DAY - 1, "47 h"),
        (2 * DAY, "2 d"),
        (1000 * DAY, "1,000 d"),
        (-3 * DAY, "in 3 d"),
    ],
)
def test_age_for_people(ms: int, text: str) -> None:
    assert format_age_ms(ms) == text
