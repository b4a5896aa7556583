"""What records are asked for, and in which order they come: parts of SQL of which every column is ours and every value is bound (A.47)."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

BY_IMPORTANCE: Final = " ORDER BY importance DESC, created_at DESC, id DESC"
BY_CONFIDENCE: Final = " ORDER BY confidence DESC, updated_at DESC, id DESC"
BY_PRIORITY: Final = " ORDER BY priority DESC, created_at, id"
BY_NAME: Final = " ORDER BY display_name, canonical_id"
BY_ACTIVITY: Final = " ORDER BY last_activity_at DESC, session_key"


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

    def equal(self, column: str, value: object | None) -> None:
        """Ask for one value; for any, when it is `None`."""
        if value is not None:
            self.add(f"{column} = ?", value)

    def at_least(self, column: str, value: float | None) -> None:
        """Ask for no less than a value; for any, when it is `None`."""
        if value is not None:
            self.add(f"{column} >= ?", value)

    def one_of(self, column: str, values: Collection[object] | None) -> None:
        """Ask for one of some values; for any, when it is `None`."""
        if values is not None:
            self.add(f"{column} IN ({', '.join('?' * len(values))})" if values else "0", *values)

    def unexpired(self, now_ms: int) -> None:
        """Ask for what is not expired; see `Memory.is_expired`."""
        self.add("(expires_at IS NULL OR expires_at > ?)", now_ms)

    def add(self, condition: str, *values: object) -> None:
        """Ask for something else besides."""
        self._parts.append(condition)
        self.values += values
