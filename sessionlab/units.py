"""Durations, sizes, counts, money and epoch times: how text becomes a number and a number becomes text.

Sizes are 1024-based everywhere, as OpenClaw counts them: "1 KB" is 1024 bytes, "1.2 MB" is 1.2 x 1024 x 1024.
Times are epoch milliseconds in UTC; money is integer micro-dollars. Nothing here reads a clock, a time zone or a locale.
"""

from __future__ import annotations

import datetime as dt
import re
from decimal import ROUND_HALF_UP, Decimal
from typing import Final, Literal

from sessionlab.errors import UsageError

DurationUnit = Literal["ms", "s", "m", "h", "d"]

MS_PER_SECOND: Final = 1000
MS_PER_MINUTE: Final = 60 * MS_PER_SECOND
MS_PER_HOUR: Final = 60 * MS_PER_MINUTE
MS_PER_DAY: Final = 24 * MS_PER_HOUR

_DURATION_MS: Final[dict[str, int]] = {"ms": 1, "s": MS_PER_SECOND, "m": MS_PER_MINUTE, "h": MS_PER_HOUR, "d": MS_PER_DAY}
_SIZE_BYTES: Final[dict[str, int]] = {
    "": 1,
    "b": 1,
    **dict.fromkeys(("k", "kb"), 1024),
    **dict.fromkeys(("m", "mb"), 1024**2),
    **dict.fromkeys(("g", "gb"), 1024**3),
    **dict.fromkeys(("t", "tb"), 1024**4),
}
_NUMBER: Final = r"(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)"
_BARE: Final = re.compile(_NUMBER)
_PART: Final = re.compile(rf"({_NUMBER})(ms|s|m|h|d)")
_PARTS: Final = re.compile(rf"(?:{_NUMBER}(?:ms|s|m|h|d))+")
_SIZE: Final = re.compile(rf"({_NUMBER})\s*(b|kb?|mb?|gb?|tb?)?")

# The largest integer that survives a trip through a JSON number; also keeps a text of thousands of digits cheap.
_MAX: Final = 2**53 - 1
_MAX_TEXT: Final = 64
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def parse_duration_ms(text: str, *, default_unit: DurationUnit) -> int:
    """Read a duration such as `30d`, `1.5h`, `1h30m` or `90` and return milliseconds.

    Follows OpenClaw's grammar: a number and one of ms, s, m, h, d, several of them in a row, decimals allowed,
    surrounding blanks and letter case ignored. A bare number takes `default_unit`. Rounded to the millisecond, halves up.

    Raises:
        UsageError: The text has another form or a sign, is not zero but rounds to zero, or is beyond 2^53 - 1 ms.
    """
    wanted = f"{text[:_MAX_TEXT]!r} is not a duration; write a number and ms, s, m, h or d, such as 30d or 1h30m"
    plain = text.strip().lower()
    if len(plain) > _MAX_TEXT:
        raise UsageError(wanted)
    if _BARE.fullmatch(plain):
        exact = Decimal(plain) * _DURATION_MS[default_unit]
    elif _PARTS.fullmatch(plain):
        exact = sum((Decimal(number) * _DURATION_MS[unit] for number, unit in _PART.findall(plain)), Decimal(0))
    else:
        raise UsageError(wanted)
    return _whole(exact, text, kind="duration", smallest="1ms")


def parse_size_bytes(text: str) -> int:
    """Read a size such as `10mb`, `1.5 GB` or `4096` and return bytes; 1024-based, a bare number is bytes.

    Raises:
        UsageError: The text has another form or a sign, is not zero but rounds to zero, or is beyond 2^53 - 1 bytes.
    """
    plain = text.strip().lower()
    match = _SIZE.fullmatch(plain) if len(plain) <= _MAX_TEXT else None
    if match is None:
        raise UsageError(f"{text[:_MAX_TEXT]!r} is not a size; write a number and b, kb, mb, gb or tb (1024-based), such as 10mb")
    return _whole(Decimal(match[1]) * _SIZE_BYTES[match[2] or ""], text, kind="size", smallest="1b")


def _whole(exact: Decimal, text: str, *, kind: str, smallest: str) -> int:
    whole = int(exact.to_integral_value(ROUND_HALF_UP))
    if whole == 0 and exact != 0:
        raise UsageError(f"{text!r} is too small a {kind}; write 0 or at least {smallest}")
    if whole > _MAX:
        raise UsageError(f"{text!r} is too large a {kind}; the largest is {_MAX} {smallest[1:]}")
    return whole


def format_bytes(n: float) -> str:
    """Write a number of bytes for people: `0 B`, `1023 B`, `1.0 KB`, `41.9 MB`; 1024-based, one decimal from KB up."""
    if round(abs(n)) < 1024:
        return f"{round(n)} B"
    value = n / 1024
    for unit in ("KB", "MB", "GB"):
        # 1023.96 would print as "1024.0": move on to the next unit where one decimal rounds up to it.
        if abs(round(value, 1)) < 1024:
            return f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:,.1f} TB"


def format_count(n: int) -> str:
    """Write a count with thousands separators: `1,234,567`."""
    return f"{n:,}"


def format_measured_ms(ms: float) -> str:
    """Write a measured time with two digits, or whole milliseconds from a hundred on: `0.29 ms`, `3.1 ms`, `1,240 ms`."""
    return f"{ms:,.0f} ms" if ms >= 99.5 else f"{ms:.2g} ms"


def format_usd(microusd: int) -> str:
    """Write micro-dollars as dollars: cents from one cent up (`$1,234.50`), every digit below (`$0.0012`)."""
    sign = "-" if microusd < 0 else ""
    amount = Decimal(abs(microusd)) / 1_000_000
    if amount == 0 or abs(microusd) >= 10_000:
        return f"{sign}${amount.quantize(Decimal('0.01'), ROUND_HALF_UP):,}"
    return f"{sign}${amount:f}"


def format_ms_utc(ms: int) -> str:
    """Write epoch milliseconds as `2026-11-20 00:00 UTC`, cut to the minute; outside the years 1 to 9999 as the bare number."""
    try:
        moment = _EPOCH + dt.timedelta(milliseconds=ms)
    except OverflowError:
        # Entries with an absurd clock exist and have to be shown, so that somebody can mend them.
        return f"{ms} ms"
    return f"{moment.replace(tzinfo=None).isoformat(' ', 'minutes')} UTC"


def format_age_ms(ms: int) -> str:
    """Write an age in its largest fitting unit, cut off: `45 s`, `12 min`, `47 h`, `3 d`; a negative age as `in 3 d`."""
    if ms < 0:
        return f"in {format_age_ms(-ms)}"
    if ms < MS_PER_MINUTE:
        return f"{ms // MS_PER_SECOND} s"
    if ms < MS_PER_HOUR:
        return f"{ms // MS_PER_MINUTE} min"
    if ms < 2 * MS_PER_DAY:
        return f"{ms // MS_PER_HOUR} h"
    return f"{ms // MS_PER_DAY:,} d"
