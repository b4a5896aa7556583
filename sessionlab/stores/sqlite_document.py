r"""An entry as the SQLite store keeps it: a slim JSON object, and its big fields apart.

The slim object has every field in its place; a big field's value stands there as `[\n]`, which compact JSON never holds, so that putting
the values back is cutting at that mark. What changes with every message is in the slim part: the big fields need not be read for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain, zip_longest
from typing import Any, Final, NamedTuple

import msgspec

from sessionlab import entry as entries
from sessionlab.entry import INDEX_NAMES, Entry

BIG_BYTES: Final = 1024
"""From this size on a field's value is kept apart, unless the index is made from it."""

MARK: Final = b"[\n]"

_MARK: Final = msgspec.Raw(MARK)
_MEMBERS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ENCODER: Final = msgspec.json.Encoder()


class BigField(NamedTuple):
    """A value that is kept apart, as compact JSON; `digest` is its SHA-256. Both are blank where what is stored is to stay."""

    name: str
    digest: bytes = b""
    value: bytes = b""


class Document(NamedTuple):
    """An entry in two parts.

    Attributes:
        slim: The object with marks.
        big: The values of the marks, in order.
    """

    slim: bytes
    big: tuple[BigField, ...]

    def has_fresh_values(self) -> bool:
        """Say whether a big value is to be written."""
        return any(one.value for one in self.big)


def digest_of(value: bytes) -> bytes:
    """Return the digest by which a value is known."""
    import hashlib  # loads OpenSSL, 4 ms that a listing need not pay

    return hashlib.sha256(value).digest()


def split(data: bytes) -> Document:
    """Take an entry's compact JSON apart."""
    return Document(data, ()) if len(data) < BIG_BYTES else _packed(_MEMBERS.decode(data))


def joined(slim: bytes, values: Sequence[bytes]) -> bytes | None:
    """Return an entry's compact JSON, byte for byte what was taken apart; `None` when the values are not those of the marks."""
    pieces = slim.split(MARK)
    if len(pieces) != len(values) + 1:
        return None
    return b"".join(chain.from_iterable(zip_longest(pieces, values, fillvalue=b""))) if values else slim


def mark_count(slim: bytes) -> int:
    """Return how many values belong into a slim object."""
    return slim.count(MARK)


def patched(key: str, slim: bytes, before: Entry, merged: Mapping[str, Any]) -> Document:
    """Return an entry after a merge, encoding only what the merge brought: other big fields stay as they are stored.

    Args:
        key: The session, for messages.
        slim: The slim object before the merge.
        before: The same, decoded.
        merged: What became of `before`: what was carried over is the same object.

    Raises:
        InvalidEntryError: What the merge brought may not be stored.
    """
    fresh = {name: value for name, value in merged.items() if name not in before or value is not before[name]}
    document = _packed(_MEMBERS.decode(entries.encode(key, {"sessionId": merged.get("sessionId"), **fresh})))
    brought = {one.name: one for one in document.big}
    stored, slim_brought = _MEMBERS.decode(slim), _MEMBERS.decode(document.slim)
    members = {name: slim_brought[name] if name in fresh else stored[name] for name in merged}
    kept = {name for name, value in before.items() if value == [] and name not in fresh and stored[name] == _MARK}
    big = [brought.get(name) or BigField(name) for name in merged if name in brought or name in kept] if brought or kept else ()
    return Document(_ENCODER.encode(members), tuple(big))


def _packed(members: Mapping[str, msgspec.Raw]) -> Document:
    """Put the members that are big apart."""
    slim, big = {}, []
    for name, raw in members.items():
        view = memoryview(raw)
        if len(view) >= BIG_BYTES and name not in INDEX_NAMES:
            value = bytes(view)
            big.append(BigField(name, digest_of(value), value))
            slim[name] = _MARK
        else:
            slim[name] = raw
    return Document(_ENCODER.encode(slim), tuple(big))
