"""A directory store as it was at one moment: read once, then asked as often as one likes. What is written meanwhile does not show."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import msgspec

from sessionlab import codec
from sessionlab.entry import Entry, SessionSummary, canonical_digest, summary_of
from sessionlab.errors import NoStoreError
from sessionlab.stores.base import Fingerprint, Problem, SessionStore, StoreStats, fingerprint_of, newest_first
from sessionlab.stores.checks import entry_problems, worst_first
from sessionlab.stores.directory import DirectoryStore
from sessionlab.stores.directory_checks import folder_problems
from sessionlab.stores.directory_folder import Folder
from sessionlab.stores.directory_spool import Spool


class DirectorySnapshot(SessionStore):
    """One version of a `sessions.d`, for reading only; see `SessionStore` for the contract."""

    kind = "directory"
    snapshot_method = "every session's file read once, one version of the folder"

    def __init__(self, store: DirectoryStore, spool: Spool) -> None:
        """Read a store into an empty spool; use `open`."""
        self.path = store.path
        self.agent_id = store.agent_id
        self._spool = spool
        self._places = {key: spool.put(memoryview(raw)) for key, raw in store.raw_items()}
        self._stats = msgspec.structs.replace(store.stats(), sessions=len(self._places))
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
        place = self._places.get(key)
        return None if place is None else self._decode(key, self._spool.take(place))

    def raw(self, key: str) -> bytes | None:
        """Return a session's entry as JSON, as stored and not decoded; `None` when there is no such session."""
        place = self._places.get(key)
        return None if place is None else self._spool.take(place)

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
        return self._stats

    def check(self) -> tuple[Problem, ...]:
        return worst_first([*self._around, *entry_problems(self.items(), path=self.path)])

    def fingerprint(self) -> Fingerprint:
        return fingerprint_of((key, canonical_digest(entry)) for key, entry in self.items())

    def close(self) -> None:
        self._spool.close()

    def _decode(self, key: str, raw: bytes) -> Entry:
        return codec.decode_entry(raw, path=self.path, key=key)
