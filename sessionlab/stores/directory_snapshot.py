"""A directory store as it was at one moment: read once, then asked as often as one likes. What is written meanwhile does not show."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Self

import msgspec

from sessionlab import codec, keys
from sessionlab.entry import Entry, SessionSummary, canonical_digest, summary_of
from sessionlab.errors import NoStoreError
from sessionlab.stores.base import Fingerprint, Problem, SessionStore, StoreStats, closed, fingerprint_of, newest_first
from sessionlab.stores.checks import entry_problems, worst_first
from sessionlab.stores.directory import DirectoryStore
from sessionlab.stores.directory_checks import folder_problems
from sessionlab.stores.directory_folder import Folder
from sessionlab.stores.directory_spool import Spool
from sessionlab.stores.writing import age_ms


class DirectorySnapshot(SessionStore):
    """One version of a `sessions.d`, for reading only; see `SessionStore` for the contract."""

    kind = "directory"
    snapshot_method = "every session's file read once, one version of the folder"

    def __init__(self, store: DirectoryStore, spool: Spool) -> None:
        """Read a store into an empty spool; use `open`."""
        self.path = store.path
        self.agent_id = store.agent_id
        self._spool = spool
        self._found = {key: spool.put(memoryview(raw)) for key, raw in store.raw_items()}
        self._is_closed = False
        self._stats = msgspec.structs.replace(store.stats(), sessions=len(self._found))
        folder = Folder.open(self.path)
        with folder or contextlib.nullcontext():
            self._around = () if folder is None else tuple(folder_problems(folder))

    @classmethod
    def open(cls, path: Path, *, agent_id: str | None = None) -> Self:
        """Read a store.

        Raises:
            NoStoreError: There is none.
            CorruptStoreError: It is no active store, or a file in it holds no session.
            UnreadableError: The system does not let us read it, or there is no room for what was read.
        """
        if not os.path.lexists(path):
            raise NoStoreError(path, "there is no such folder")
        with contextlib.ExitStack() as stack:
            snapshot = cls(DirectoryStore(path, agent_id=agent_id), stack.enter_context(Spool()))
            stack.pop_all()
        return snapshot

    def get(self, key: str) -> Entry | None:
        spelling = self._spelled(key)
        return None if spelling is None else self._decode(spelling, self._spool.take(self._places[spelling]))

    def raw(self, key: str) -> bytes | None:
        """Return a session's entry as JSON, as stored and not decoded; `None` when there is no such session. The key: as for `get`."""
        spelling = self._spelled(key)
        return None if spelling is None else self._spool.take(self._places[spelling])

    def summaries(self) -> Iterator[SessionSummary]:
        return newest_first(summary_of(key, entry) for key, entry in self.items())

    def items(self) -> Iterator[tuple[str, Entry]]:
        for key, raw in self.raw_items():
            yield key, self._decode(key, raw)

    def raw_items(self) -> Iterator[tuple[str, bytes]]:
        for key, place in self._places.items():
            yield key, self._spool.take(place)

    def keys(self) -> tuple[str, ...]:
        """Return the keys, ordered."""
        return tuple(self._places)

    def count(self) -> int:
        return len(self._places)

    def stats(self) -> StoreStats:
        return msgspec.structs.replace(self._stats, sessions=self.count())

    def check(self) -> tuple[Problem, ...]:
        return worst_first([*self._around, *entry_problems(self.items(), path=self.path)])

    def fingerprint(self) -> Fingerprint:
        return fingerprint_of((key, canonical_digest(entry)) for key, entry in self.items())

    def close(self) -> None:
        self._is_closed = True
        self._spool.close()

    @property
    def _places(self) -> Mapping[str, tuple[int, int]]:
        """Key -> its entry's place in the spool."""
        if self._is_closed:
            raise closed(self.path)
        return self._found

    def _spelled(self, key: str) -> str | None:
        """Return the key under which a session is stored; of several spellings as the contract says."""
        normal, places = keys.normalise(key), self._places
        if key in places:
            return key
        spellings = [stored for stored in places if keys.normalise(stored) == normal]
        if len(spellings) < 2:
            return spellings[0] if spellings else None
        return max(spellings, key=lambda one: age_ms(one, self._decode(one, self._spool.take(places[one]))))

    def _decode(self, key: str, raw: bytes) -> Entry:
        return codec.decode_entry(raw, path=self.path, key=key)
