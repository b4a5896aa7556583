"""Values that another program has written, of another sort than their column says: what can be read of them, without losing a byte.

SQLite keeps what it is given, and others write the same tables. One row of theirs must not end a search or an export.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, Literal, NamedTuple

import msgspec

UNREADABLE: Final = "sessionlab_unreadable"
"""The one name in the context of a session whose own context cannot be read; beside it stands what is stored, as text."""
_MOST: Final = (1 << 63) - 1
_KINDS: Final[dict[str, tuple[type, ...]]] = {"text": (str,), "whole": (int,), "number": (int, float), "object": (), "texts": ()}


class Garbled(str):
    """A text of SQLite that is not UTF-8, with replacement characters for what is none."""

    __slots__ = ()


def text(raw: bytes) -> str:
    """Return a text of SQLite; for `sqlite3.Connection.text_factory`."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return Garbled(raw.decode(errors="replace"))


class Kept(dict[str, Any]):
    """The context of a session as it was read; `raw` is what is stored again, byte for byte, while nobody has changed it."""

    def __init__(self, raw: bytes, found: dict[str, Any]) -> None:
        """Take what is stored, and what it says."""
        super().__init__(found)
        self.raw = raw

    def is_unchanged(self) -> bool:
        """Say whether it is as it was read. What is nested too deeply to be looked at counts as unchanged."""
        try:
            return msgspec.json.encode(dict(self)) == msgspec.json.encode(msgspec.json.decode(self.raw))
        except RecursionError:
            return True
        except (TypeError, ValueError, msgspec.MsgspecError):
            return False


class Unreadable(Kept):
    """The context of a session that is none: what it holds is for people to see."""

    def __init__(self, raw: bytes) -> None:
        """Take what is stored."""
        super().__init__(raw, {UNREADABLE: raw.decode(errors="backslashreplace")})

    def is_unchanged(self) -> bool:
        """Say that what is stored is to stay."""
        return True


def context(raw: bytes | None) -> dict[str, Any] | None:
    """Return the context of a session: `Kept`, or `Unreadable`; `None` for nothing."""
    if not raw or raw.strip() == b"null":
        return None
    try:
        return Kept(raw, msgspec.json.decode(raw, type=dict[str, Any]))
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return Unreadable(raw)


class Column(NamedTuple):
    """What a column should hold.

    Attributes:
        name: As the record calls it.
        sort: "object" and "texts" are JSON.
        default: What the record has when there is nothing that can be read.
        is_optional: Whether it may have nothing at all.
    """

    name: str
    sort: Literal["text", "whole", "number", "object", "texts"]
    default: str | float | None = None
    is_optional: bool = False

    def has(self, kind: type) -> bool:
        """Say whether a value of that type stands in the record as it is."""
        return kind is not Garbled and issubclass(kind, (*_KINDS[self.sort], *([type(None)] if self.is_optional else [])))

    def read(self, value: Any) -> tuple[Any, bool]:
        """Return what the record has, and whether that is all that is stored."""
        match self.sort:
            case "object":
                return _decoded(value, dict[str, Any])
            case "texts":
                return _decoded(value, tuple[str, ...])
            case "text" if isinstance(value, bytes | str):
                return str(value if isinstance(value, str) else value.decode(errors="replace")), False
            case "whole" if isinstance(value, float) and abs(value) < _MOST:
                return int(value), False
        return self.default, value is None


def _decoded(value: Any, kind: Any) -> tuple[Any, bool]:
    if not value:
        return kind(), True
    try:
        return (msgspec.json.decode(value, type=kind), True) if type(value) is str else (kind(), False)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return kind(), False


class Reading:
    """How the rows of one table are read. What is as it should be is known by the types of its values, looked at once."""

    def __init__(self, columns: Iterable[Column]) -> None:
        """Take the columns in their order."""
        self._columns = tuple(columns)
        self._odd: dict[tuple[type, ...], tuple[int, ...]] = {}

    def read(self, row: tuple[Any, ...]) -> tuple[Sequence[Any], tuple[str, ...]]:
        """Return a row as its record has it, and the names of what could not be read, or not whole."""
        kinds = tuple(map(type, row))
        odd = self._odd.get(kinds)
        if odd is None:
            odd = self._odd[kinds] = tuple(
                place for place, (column, kind) in enumerate(zip(self._columns, kinds, strict=True)) if not column.has(kind)
            )
        if not odd:
            return row, ()
        found, unread = list(row), []
        for place in odd:
            found[place], is_whole = self._columns[place].read(row[place])
            if not is_whole:
                unread.append(self._columns[place].name)
        return found, tuple(unread)
