"""What the growth gate allows: rates, sizes and parts of a hundred, read from what people write, and written as they read them.

A limit is written exactly; what was found with as many digits as it takes to be on its side of the limit.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from typing import Final

from sessionlab.errors import UsageError
from sessionlab.units import MS_PER_DAY, format_bytes, format_count, parse_duration_ms, parse_size_bytes

_PERIODS: Final = {"day": 1, "week": 7, "month": 30, "year": 365}
_RATE: Final = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*%\s*(?:/|\bper\b)\s*(\S+)\s*", re.IGNORECASE)
_PERCENT: Final = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*%?\s*")
_MAX_TEXT: Final = 64
_DIGITS: Final = 2
_MOST_DIGITS: Final = 20


@dataclass(frozen=True, slots=True)
class Rate:
    """So many percent in a period; `text` is how it was written."""

    percent: Fraction
    period_ms: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GrowthLimits:
    """What is allowed of each store; `None` allows anything.

    Attributes:
        growth: How much the sessions, and their bytes, may have grown in the last period.
        store_bytes: How large the store's own files may be.
        disk_bytes: How large they and the files beside them may be.
        stale_percent: Which part of the sessions that are not archived may be stale.
        stale_after_ms: From which age on a session is stale: strictly older, as for pruning (D.1).
    """

    growth: Rate | None = None
    store_bytes: int | None = None
    disk_bytes: int | None = None
    stale_percent: Fraction | None = None
    stale_after_ms: int = 30 * MS_PER_DAY

    def allowed(self) -> dict[str, str]:
        """Return limit -> what is allowed, in words, of those that are set, in the order in which they are judged."""
        given = {
            "max-growth": None if self.growth is None else self.growth.text,
            "max-store": None if self.store_bytes is None else size_limit(self.store_bytes),
            "max-disk": None if self.disk_bytes is None else size_limit(self.disk_bytes),
            "max-stale": None if self.stale_percent is None else percent_limit(self.stale_percent),
        }
        return {name: text for name, text in given.items() if text is not None}


def parse_rate(text: str) -> Rate:
    """Read a rate such as `20%/week`, `5% per day` or `10%/90d`; a month is 30 days, a year 365.

    Raises:
        UsageError: It has another form.
    """
    match = _RATE.fullmatch(text) if len(text) <= _MAX_TEXT else None
    wanted = f"{text[:_MAX_TEXT]!r} is no rate; write percent and a period, such as 20%/week, 5%/day or 10%/90d"
    if match is None:
        raise UsageError(wanted)
    word = match[2].lower()
    try:
        period_ms = _PERIODS[word] * MS_PER_DAY if word in _PERIODS else parse_duration_ms(word, default_unit="d")
    except UsageError as error:
        raise UsageError(wanted) from error
    if not period_ms:
        raise UsageError(wanted)
    return Rate(Fraction(match[1]), period_ms, f"{match[1]}%/{word}")


def parse_percent(text: str) -> Fraction:
    """Read a part of a hundred, such as `50%` or `50`.

    Raises:
        UsageError: It has another form.
    """
    match = _PERCENT.fullmatch(text) if len(text) <= _MAX_TEXT else None
    if match is None:
        raise UsageError(f"{text[:_MAX_TEXT]!r} is no percentage; write one such as 50%")
    return Fraction(match[1])


def percent_limit(value: Fraction) -> str:
    """Write a percentage exactly, as whoever set it did."""
    return f"{(Decimal(value.numerator) / value.denominator).normalize():f}%"


def percent_found(value: Fraction, limit: Fraction) -> str:
    """Write a percentage with two digits, or with more where it would look like its limit and is not."""
    return next(text for rounded, text in _rounded(value) if _side(rounded, limit) == _side(value, limit))


def size_limit(size: int) -> str:
    """Write a size for people where that is exact, else in bytes."""
    text = format_bytes(size)
    return text if _bytes(text) == size else f"{format_count(size)} B"


def size_found(size: int, limit: int) -> str:
    """Write a size for people, or in bytes where it would look like its limit and is not."""
    text = format_bytes(size)
    is_true = _side(_bytes(text), limit) == _side(size, limit)
    return text if is_true else f"{format_count(size)} B"


def _rounded(value: Fraction) -> Iterator[tuple[Fraction, str]]:
    for digits in range(_DIGITS, _MOST_DIGITS):
        scale: int = 10**digits
        number = (Decimal(value.numerator * scale) / value.denominator).to_integral_value(ROUND_HALF_UP) / scale
        yield Fraction(number), f"{number.normalize():f}%"
    yield value, f"{float(value)}%"


def _bytes(text: str) -> int:
    return parse_size_bytes(text.replace(",", ""))


def _side(value: Fraction | int, limit: Fraction | int) -> int:
    return (value > limit) - (value < limit)
