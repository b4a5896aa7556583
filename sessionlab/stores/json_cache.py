"""What a JSON store keeps in memory between two looks at its file, and how much (E.1 to E.19)."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from sessionlab.stores.json_state import Identity, State

LIMIT_VARIABLE: Final = "OPENCLAW_SESSION_OBJECT_CACHE_MAX_BYTES"
TTL_VARIABLE: Final = "OPENCLAW_SESSION_CACHE_TTL_MS"
DEFAULT_LIMIT_BYTES: Final = 1_000_000
DEFAULT_TTL_MS: Final = 45_000

_log: Final = logging.getLogger("sessions/store")
_warned: set[Path] = set()


class StateCache:
    """The last state of one store file, for as long as the file is the same, small enough and looked at recently enough.

    It holds the file's bytes, which makes the limit exact, and no decoded entry, which makes every load independent (E.2). It never
    answers without the file's identity, so a limit or an age is a matter of speed and memory only, not of what is read.
    """

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Start empty.

        Args:
            path: The store, for the warning.
            clock: Seconds, never going back.
        """
        self._path = path
        self._clock = clock
        self._kept: tuple[State, float] | None = None

    def get(self, identity: Identity | None) -> State | None:
        """Return the state of that file if it is kept and may be; what is kept of another is dropped (E.1, E.4, E.7, E.14)."""
        kept = self._kept  # once: another thread may replace it
        if kept is None:
            return None
        state, since = kept
        if identity is None or state.identity != identity or not self.takes(identity.size) or self._clock() - since > ttl_ms() / 1000:
            self._kept = None
            return None
        return state

    def put(self, state: State) -> None:
        """Keep a state in place of the last, if it may be kept."""
        identity = state.identity
        may_keep = identity is not None and self.takes(identity.size) and state.is_certain
        self._kept = (state, self._clock()) if may_keep else None

    def takes(self, size_bytes: int) -> bool:
        """Say whether a file of this size is kept; warn once when its size is all that is against it (E.7, E.15 to E.17)."""
        limit_bytes = limit()
        if limit_bytes == 0 or ttl_ms() == 0:
            return False
        if size_bytes <= limit_bytes:
            return True
        if self._path not in _warned:
            _warned.add(self._path)
            fields = {"storePath": str(self._path), "sizeBytes": size_bytes, "limitBytes": limit_bytes, "envVar": LIMIT_VARIABLE}
            _log.warning("session object cache disabled for large store", extra=fields)
        return False

    def drop(self) -> None:
        """Keep nothing."""
        self._kept = None


def limit() -> int:
    """Return the largest file that is kept, in bytes; 0 for keeping none."""
    return _whole(LIMIT_VARIABLE, DEFAULT_LIMIT_BYTES)


def ttl_ms() -> int:
    """Return for how long a file is kept, in ms; 0 for not at all."""
    return _whole(TTL_VARIABLE, DEFAULT_TTL_MS)


def forget_warnings() -> None:
    """Let every store be warned about once more; for tests (E.17)."""
    _warned.clear()


def _whole(variable: str, default: int) -> int:
    """Read a setting now, not at import (E.5); what is no whole number counts as not set."""
    text = os.environ.get(variable, "").strip()
    return int(text) if text.isascii() and text.isdecimal() else default
