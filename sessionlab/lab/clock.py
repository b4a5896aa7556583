"""The moment that ages are taken against. It imports next to nothing: a listing asks for it, too."""

from __future__ import annotations

import contextlib
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sessionlab import layout
from sessionlab.errors import UsageError
from sessionlab.units import format_ms_utc

_LEAST_GIVEN_MS: Final = 978_307_200_000
"""2001 begins. Seconds of our days, taken for milliseconds, are of January 1970."""


@dataclass(frozen=True, slots=True)
class Clock:
    """The moment that ages are taken against, and where it comes from."""

    now_ms: int
    origin: str

    def __str__(self) -> str:
        return f"{format_ms_utc(self.now_ms)} ({self.origin})"


def clock_of(path: Path, now_ms: int = 0) -> Clock:
    """Return the clock for what lies at `path`: the one given, a synthetic folder's own, else now.

    Raises:
        UsageError: A clock before 1970 or beyond the year 9999, or one before 2001, which is more likely in seconds.
    """
    if now_ms:
        if not _is_time(now_ms):
            raise UsageError(f"now_ms={now_ms} is no time between 1970 and 9999; give epoch milliseconds, such as 1795132800000")
        if now_ms < _LEAST_GIVEN_MS:
            raise UsageError(f"now_ms={now_ms} is before 2001; give epoch milliseconds, not seconds, such as 1795132800000")
        return Clock(now_ms, "as given")
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
        file = path / layout.SYNTH_MARKER
        marker = json.loads(file.read_bytes() if file.is_file() else b"null")  # a pipe would be waited for, for ever
        if marker["format"] == layout.SYNTH_FORMAT and _is_time(marker["now_ms"]):
            return Clock(marker["now_ms"], "the synthetic folder's own clock")
    return Clock(time.time_ns() // 1_000_000, "now")


def _is_time(value: object) -> bool:
    """Say whether a value is a whole number of milliseconds between 1970 and 9999."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < 253_402_300_800_000
