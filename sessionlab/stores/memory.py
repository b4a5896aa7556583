"""A session store in memory: the oracle that tests compare the others with. It keeps each entry as the bytes that a file would hold."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from sessionlab import codec, keys
from sessionlab.entry import Entry, SessionSummary, canonical_digest, summary_of
from sessionlab.stores.base import Fingerprint, Problem, StoreStats, fingerprint_of, newest_first
from sessionlab.stores.checks import entry_problems, worst_first
from sessionlab.stores.snapshot import Snapshot
from sessionlab.stores.writing import WritableStore, Written


class MemoryStore(WritableStore):
    """Sessions of this process, for as long as the object lives; see `WritableStore` for the contract."""

    kind = "memory"
    snapshot_method = "in memory"

    def __init__(self, *, agent_id: str = keys.DEFAULT_AGENT) -> None:
        """Make an empty store."""
        self.path = Path(":memory:")
        self.agent_id = agent_id
        self._content: Mapping[str, bytes] = {}  # replaced, never changed in place: readers go on with what they have
        self._lock = threading.RLock()

    def summaries(self) -> Iterator[SessionSummary]:
        return newest_first(summary_of(key, entry) for key, entry in self.items())

    def items(self) -> Iterator[tuple[str, Entry]]:
        for key, raw in self.raw_items():
            yield key, self._decode(key, raw)

    def raw_items(self) -> Iterator[tuple[str, bytes]]:
        yield from self._content.items()

    def count(self) -> int:
        return len(self._content)

    def stats(self) -> StoreStats:
        size = sum(len(key.encode()) + len(raw) for key, raw in self.raw_items())
        return StoreStats(kind=self.kind, path=str(self.path), sessions=self.count(), store_bytes=size)

    def check(self) -> tuple[Problem, ...]:
        return worst_first(entry_problems(self.items(), path=self.path))

    def fingerprint(self) -> Fingerprint:
        return fingerprint_of((key, canonical_digest(entry)) for key, entry in self.items())

    def close(self) -> None:
        """Do nothing: what is in memory stays until the object goes."""

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        with self._lock:
            yield

    def _get(self, key: str, *, spelling: str = "") -> Entry | None:  # noqa: ARG002 - every key is normalised
        raw = self._content.get(key)
        return None if raw is None else self._decode(key, raw)

    def _stored_under(self, spellings: Collection[str]) -> Iterator[tuple[str, Entry]]:
        return ((key, self._decode(key, self._content[key])) for key in spellings if key in self._content)

    def _load(self) -> Snapshot:
        return Snapshot(self._content, decode=self._decode, origin=self._content)

    def _state(self) -> object:
        return self._content

    def _still_holds(self, snapshot: Snapshot) -> bool:
        return snapshot.origin is self._content

    def _apply(self, written: Mapping[str, Written], removed: frozenset[str]) -> bool:
        if not written and removed.isdisjoint(self._content):
            return False
        kept = {key: raw for key, raw in self._content.items() if key not in removed}
        self._content = kept | {key: one.data for key, one in written.items()}
        return True

    def _decode(self, key: str, raw: bytes) -> Entry:
        return codec.decode_entry(raw, path=self.path, key=key)
