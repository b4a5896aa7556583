r"""An entry as the SQLite store keeps it: a slim JSON object, its hot fields in columns, and its big fields apart.

The slim object has every field in its place. Of a hot field, a counter that changes with every message, the value stands in the column of
its name and nowhere else; of a big field, in a row of its own. In their places the slim object has marks (`[\t0]` for the first hot field,
`[\n]` for every big one) which compact JSON never holds, so that putting the values back is cutting at the marks.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from sessionlab import entry as entries
from sessionlab.entry import INDEX_NAMES, Entry

BIG_BYTES: Final = 1024
"""From this size on a field's value is kept apart, unless the index is made from it."""

MARK: Final = b"[\n]"

HOT_FIELDS: Final = ("updatedAt", "inputTokens", "outputTokens", "totalTokens", "contextTokens", "compactionCount")
"""The fields whose values are in columns only, when they are plain integers. Bit n of an entry's mask says so of the n-th."""

_HOT_BITS: Final = {name: 1 << place for place, name in enumerate(HOT_FIELDS)}
_HOT_MARKS: Final = tuple(b"[\t%d]" % place for place in range(len(HOT_FIELDS)))
_RAW_HOT: Final = {name: msgspec.Raw(mark) for name, mark in zip(HOT_FIELDS, _HOT_MARKS, strict=True)}
_HOT_START: Final = b"[\t"
_HOT_PLACES: Final = {b"%d]" % place: place for place in range(len(HOT_FIELDS))}
_MOST: Final = 1 << 53
"""Larger numbers are not what JavaScript counts with, and the index does not take them."""

_MARK: Final = msgspec.Raw(MARK)
_MEMBERS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ENCODER: Final = msgspec.json.Encoder()


class BigField(NamedTuple):
    """A value that is kept apart, as compact JSON, and its CRC-32, which tells damage. Both are blank where what is stored is to stay."""

    name: str
    checksum: int = 0
    value: bytes = b""

    def is_sound(self) -> bool:
        """Say whether the value is what was written."""
        return zlib.crc32(self.value) == self.checksum


class Document(NamedTuple):
    """An entry in parts.

    Attributes:
        slim: The object with marks.
        hot: Which fields are in columns only.
        big: The values of the marks for big fields, in order.
    """

    slim: bytes
    hot: int
    big: tuple[BigField, ...]

    def has_fresh_values(self) -> bool:
        """Say whether a big value is to be written."""
        return any(one.value for one in self.big)


def hot_bits(fields: Mapping[str, Any]) -> int:
    """Return which of the fields may be in columns only."""
    bits = 0
    for name, bit in _HOT_BITS.items():
        if name in fields and is_plain(fields[name]):
            bits |= bit
    return bits


def are_hot(fields: Mapping[str, Any]) -> bool:
    """Say whether all fields may be in columns only."""
    return hot_bits(fields).bit_count() == len(fields)


def is_plain(value: object) -> bool:
    """Say whether a column gives a number back as it was."""
    return type(value) is int and -_MOST <= value <= _MOST


def split(data: bytes, entry: Mapping[str, Any]) -> Document:
    """Take an entry apart, which is also there as compact JSON."""
    return _packed(_MEMBERS.decode(data), hot_bits(entry))


def filled(slim: bytes, hot: int, values: Sequence[Any]) -> bytes | None:
    """Return a slim object with its hot values in place; `None` when the marks are not those of the values.

    Args:
        slim: The object with marks.
        hot: Which values are in columns only.
        values: What the columns say, in the order of `HOT_FIELDS`.
    """
    pieces = iter(slim.split(_HOT_START))
    parts = [next(pieces)]
    for piece in pieces:
        place = _HOT_PLACES.get(piece[:2], len(HOT_FIELDS))
        if not (hot >> place & 1 and is_plain(values[place])):
            return None
        parts += (b"%d" % values[place], piece[2:])
    return b"".join(parts) if len(parts) == 1 + 2 * hot.bit_count() else None


def fill(entry: Entry, slim: bytes, hot: int, values: Sequence[Any]) -> bool:
    """Do the same to the decoded object; say whether the marks are those of the values."""
    if slim.count(_HOT_START) != hot.bit_count():
        return False
    for place, name in enumerate(HOT_FIELDS):
        if hot >> place & 1:
            if entry.get(name) != [place] or not is_plain(values[place]):
                return False
            entry[name] = values[place]
    return True


def joined(slim: bytes, values: Sequence[bytes]) -> bytes | None:
    """Return a slim object with its big values in place; `None` when the values are not those of the marks."""
    pieces = slim.split(MARK)
    if len(pieces) != len(values) + 1:
        return None
    parts = [b""] * (2 * len(values) + 1)
    parts[::2], parts[1::2] = pieces, values
    return b"".join(parts)


def mark_count(slim: bytes) -> int:
    """Return how many big values belong into a slim object."""
    return slim.count(MARK)


def patched(key: str, slim: bytes, before: Entry, merged: Mapping[str, Any]) -> Document:
    """Return an entry after a merge, encoding only what the merge brought: other big fields stay as they are stored.

    Args:
        key: The session, for messages.
        slim: The slim object before the merge.
        before: The same, decoded, with its hot values.
        merged: What became of `before`: what was carried over is the same object.

    Raises:
        InvalidEntryError: What the merge brought may not be stored.
    """
    fresh = {name: value for name, value in merged.items() if name not in before or value is not before[name]}
    document = _packed(_MEMBERS.decode(entries.encode(key, {"sessionId": merged.get("sessionId"), **fresh})), hot_bits(fresh))
    brought = {one.name: one for one in document.big}
    stored, slim_brought = _MEMBERS.decode(slim), _MEMBERS.decode(document.slim)
    members = {name: slim_brought[name] if name in fresh else stored[name] for name in merged}
    hot = document.hot | sum(_HOT_BITS[name] for name, raw in _RAW_HOT.items() if name not in fresh and members.get(name) == raw)
    kept = {name for name, value in before.items() if value == [] and name not in fresh and stored[name] == _MARK}
    big = [brought.get(name) or BigField(name) for name in merged if name in brought or name in kept] if brought or kept else ()
    return Document(_ENCODER.encode(members), hot, tuple(big))


def _packed(members: dict[str, msgspec.Raw], hot: int) -> Document:
    """Put the members that are big or hot apart."""
    big = []
    for name, raw in members.items():
        if len(view := memoryview(raw)) >= BIG_BYTES and name not in INDEX_NAMES:
            value = bytes(view)
            big.append(BigField(name, zlib.crc32(value), value))
    for field in big:
        members[field.name] = _MARK
    for name, bit in _HOT_BITS.items():
        if hot & bit:
            members[name] = _RAW_HOT[name]
    return Document(_ENCODER.encode(members), hot, tuple(big))
