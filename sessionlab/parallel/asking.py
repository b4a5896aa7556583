"""What records are asked for, and in which order they come: parts of SQL of which every column is ours and every value is bound (A.47)."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from sessionlab.errors import UsageError
from sessionlab.parallel.records import MemoryType, checked_text, is_storable

BY_IMPORTANCE: Final = " ORDER BY importance DESC, created_at DESC, id DESC"
BY_CONFIDENCE: Final = " ORDER BY confidence DESC, updated_at DESC, id DESC"
BY_PRIORITY: Final = " ORDER BY priority DESC, created_at, id"
BY_NAME: Final = " ORDER BY display_name, canonical_id"
BY_ACTIVITY: Final = " ORDER BY last_activity_at DESC, session_key"
_MOST: Final = 1 << 63


class Where:
    """A condition in the making: columns are ours, values are bound."""

    def __init__(self) -> None:
        """Ask for nothing yet."""
        self._parts: list[str] = []
        self.values: list[object] = []

    @property
    def text(self) -> str:
        """The condition, as it stands behind the tables; "" for none."""
        return f" WHERE {' AND '.join(self._parts)}" if self._parts else ""

    @property
    def more(self) -> str:
        """The condition, as it stands behind another."""
        return "".join(f" AND {part}" for part in self._parts)

    def equal(self, column: str, value: str | None) -> None:
        """Ask for one text; for any, when it is `None`. Raises `UsageError` for what is no text."""
        if value is not None:
            self.one_of(column, [checked_text(column, value)])

    def at_least(self, column: str, value: float | None) -> None:
        """Ask for no less than a number; for any, when it is `None`. Raises `UsageError` for what is no number."""
        if value is None:
            return
        number: object = value  # whoever asks need not keep to the types
        if isinstance(number, bool) or not isinstance(number, int | float) or not abs(number) < _MOST:
            raise UsageError(f"min_{column}: must be a number, and not out of all bounds")
        self.add(f"{column} >= ?", value)

    def one_of(self, column: str, values: Collection[str] | None) -> None:
        """Ask for one of some texts; for any, when it is `None`. What no record can hold is asked for in vain."""
        if values is not None:
            texts = [text for text in values if is_storable(text)]
            self.add(f"{column} IN ({', '.join('?' * len(texts))})" if texts else "0", *texts)

    def unexpired(self, now_ms: int) -> None:
        """Ask for what is not expired; see `Memory.is_expired`."""
        self.add("(expires_at IS NULL OR expires_at > ?)", now_ms)

    def add(self, condition: str, *values: object) -> None:
        """Ask for something else besides."""
        self._parts.append(condition)
        self.values += values


def checked_types(types: Collection[MemoryType] | None) -> Collection[MemoryType] | None:
    """Return sorts of memories that may be asked for; raises `UsageError` for one text, which is a collection of letters."""
    given: object = types  # whoever asks need not keep to the types
    if given is None:
        return None
    if isinstance(given, str | bytes) or not isinstance(given, Collection):
        raise UsageError(f"types: must be a collection of texts, not of type {type(given).__name__}")
    for one in given:
        checked_text("types", one)
    return types
