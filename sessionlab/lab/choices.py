"""What the reader of a notebook may choose, checked before anything is loaded: days, a limit, ages, how many rows or rounds.

Each mistake is one line that names the parameter and says what to write instead. Knows no store and no query.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Final

from sessionlab.errors import UsageError
from sessionlab.lab.forecast import DEFAULT_LIMITS_BYTES

MAX_ROWS: Final = 200
MAX_DAYS: Final = 3650
MAX_ROUNDS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Choices:
    """Checked choices. `since` and `until` are UTC days, both inclusive; `None` is the beginning, or the end, of the history."""

    since: dt.date | None
    until: dt.date | None
    limit_bytes: int
    stale_days: int
    top: int
    rounds: int

    @property
    def days(self) -> dict[str, dt.date | None]:
        """The two days as parameters of a query that can be asked for a range."""
        return {"since_day": self.since, "until_day": self.until}

    @property
    def limits_bytes(self) -> tuple[int, ...]:
        """The sizes that the forecast looks for: the customary ones and the reader's own, ascending, each once."""
        return tuple(sorted({*DEFAULT_LIMITS_BYTES, self.limit_bytes}))

    def __str__(self) -> str:
        if self.since is None and self.until is None:
            return "the whole history"
        if self.until is None:
            return f"{self.since} and later"
        return f"{self.since} to {self.until}" if self.since is not None else f"up to {self.until}"


def checked(
    *,
    since: str = "",
    until: str = "",
    limit_bytes: int = DEFAULT_LIMITS_BYTES[0],
    stale_days: int = 30,
    top: int = 15,
    rounds: int = 20,
) -> Choices:
    """Return a notebook's parameters as choices.

    Args:
        since: First UTC day shown, as ISO text; "" for the beginning.
        until: Last UTC day shown; "" for the end.
        limit_bytes: The size of one store that the reader wants a forecast for.
        stale_days: Days without an update after which a session counts as stale.
        top: How many rows the lists of the biggest have.
        rounds: How often something is measured.

    Raises:
        UsageError: A value makes no sense.
    """
    first, last = _day("since", since), _day("until", until)
    if first is not None and last is not None and first > last:
        raise UsageError(f"since={since} is after until={until}; give an earlier first day, or leave one of them empty")
    return Choices(
        since=first,
        until=last,
        limit_bytes=_within("limit_bytes", limit_bytes, 2**50, unit="bytes"),
        stale_days=_within("stale_days", stale_days, MAX_DAYS, unit="days"),
        top=_within("top", top, MAX_ROWS, unit="rows"),
        rounds=_within("rounds", rounds, MAX_ROUNDS, unit="rounds"),
    )


def _day(name: str, text: str) -> dt.date | None:
    if not text:
        return None
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise UsageError(f'{name}="{text}" is no day; write it like 2026-11-20, or "" for all') from None


def _within(name: str, value: int, most: int, *, unit: str) -> int:
    if not 1 <= value <= most:
        raise UsageError(f"{name}={value} makes no sense; give 1 to {most:,} {unit}")
    return value
