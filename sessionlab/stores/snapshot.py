"""A whole store as it was loaded: entries are decoded when they are looked at, and it is known which of them the caller changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from typing import Self

import msgspec

from sessionlab.codec import copied
from sessionlab.entry import Entry

Stored = bytes | msgspec.Raw
Decode = Callable[[str, bytes], Entry]


class Snapshot(MutableMapping[str, Entry]):
    """Every session of a store, key -> entry, in the store's order. It belongs to the caller, who may change it and its entries.

    Loading decodes nothing: an entry is decoded when it is first asked for, and only those can have been changed. That is what makes
    loading, changing one entry and saving cheap, and a save without a change free (E.20 to E.29).

    Attributes:
        origin: The store's own note of the state that this shows, by which it tells later whether that is still what is stored.
    """

    def __init__(
        self,
        stored: Mapping[str, Stored],
        *,
        decode: Decode,
        origin: object,
        entries: Mapping[str, Entry] | None = None,
        removed: Iterable[str] = (),
    ) -> None:
        """Take over what a store holds.

        Args:
            stored: Key -> the entry's JSON as stored. It must not change any more.
            decode: Turns a key and its JSON into an entry, or raises `CorruptStoreError`.
            origin: See the attribute.
            entries: What the caller has looked at, changed or added already.
            removed: What the caller has removed already.
        """
        self.origin = origin
        self._stored = stored
        self._decode = decode
        self._entries = dict(entries or {})
        self._removed = set(removed)

    def __getitem__(self, key: str) -> Entry:
        if key in self._entries:
            return self._entries[key]
        if key in self._removed:
            raise KeyError(key)
        entry = self._entries[key] = self._decode(key, bytes(self._stored[key]))
        return entry

    def __setitem__(self, key: str, entry: Entry) -> None:
        self._entries[key] = entry
        self._removed.discard(key)

    def __delitem__(self, key: str) -> None:
        if key not in self:
            raise KeyError(key)
        self._entries.pop(key, None)
        if key in self._stored:
            self._removed.add(key)

    def __contains__(self, key: object) -> bool:
        return key in self._entries or (key in self._stored and key not in self._removed)

    def __iter__(self) -> Iterator[str]:
        yield from [key for key in self._stored if key not in self._removed]
        yield from [key for key in self._entries if key not in self._stored]

    def __len__(self) -> int:
        return len(self._stored) - len(self._removed) + sum(key not in self._stored for key in self._entries)

    def __repr__(self) -> str:
        return f"<{len(self)} sessions, as loaded from {self.origin}>"

    def changed(self) -> dict[str, Entry]:
        """Return the entries that are new, or differ from what was loaded."""
        return {
            key: entry
            for key, entry in self._entries.items()
            if key not in self._stored or self._decode(key, bytes(self._stored[key])) != entry
        }

    def removed(self) -> frozenset[str]:
        """Return the keys that were loaded and are no more."""
        return frozenset(self._removed)

    def draft(self) -> Self:
        """Return a copy to change: independent of this one, though nothing is decoded for it."""
        entries = {key: copied(entry) for key, entry in self._entries.items()}
        return type(self)(self._stored, decode=self._decode, origin=self.origin, entries=entries, removed=self._removed)

    def again(self) -> Self:
        """Return what was loaded, without what the caller changed since; the bytes are shared."""
        return type(self)(self._stored, decode=self._decode, origin=self.origin)

    def accept(self, written: Mapping[str, Stored], removed: frozenset[str], *, origin: object) -> None:
        """Note that the store now holds these entries and no longer those keys, and is otherwise as it was loaded."""
        stored = dict(self._stored)
        for key in removed:
            stored.pop(key, None)
        stored.update(written)
        self._stored = stored
        for key in [key for key in self._entries if key in written or key in removed]:
            del self._entries[key]
        self._removed = set()
        self.origin = origin
