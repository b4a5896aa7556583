"""A clock that tests move."""

from __future__ import annotations

NOW_MS = 1_795_000_000_000


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now_ms = NOW_MS

    def __call__(self) -> int:
        return self.now_ms
