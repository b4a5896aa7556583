"""The store contract: what every session store promises, and the records it speaks in.

This is the reading half; `writing` has the other. A store maps a *session key* to a *session entry* (a plain JSON object, unknown fields
kept). Guards and checks that every backend shares live here, so that a backend only says how its bytes are laid out.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, ClassVar, Literal, Self

import msgspec

from sessionlab.entry import Entry, SessionSummary
from sessionlab.errors import StoreError

if TYPE_CHECKING:
    from sessionlab.stores.guard import Guard

__all__ = ["Entry", "Fingerprint", "Problem", "SessionStore", "SessionSummary", "Severity", "StoreStats", "fingerprint_of"]

Severity = Literal["info", "warning", "error"]


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is wrong, odd or lossy, worded for the person who owns the store.

    `code` is a stable snake_case identifier; `path` and `line` say where, `key` which session;
    `advice` what to do next. `count` > 1 folds equal findings into one row.
    """

    code: str
    severity: Severity
    message: str
    path: str | None = None
    line: int | None = None
    key: str | None = None
    advice: str = ""
    count: int = 1


class StoreStats(msgspec.Struct, frozen=True, kw_only=True):
    """How big a store is. `store_bytes` counts the store's own files (with `-wal`), never transcripts beside it.

    `free_bytes` of them hold nothing: pages of a database that are used again before it grows.
    """

    kind: str
    path: str
    sessions: int
    store_bytes: int
    free_bytes: int = 0
    schema_version: int | None = None
    app_version: str | None = None


class Fingerprint(msgspec.Struct, frozen=True):
    """The identity of a store's contents, equal for two stores exactly when their contents are equal.

    `sha256` is the hex SHA-256 over the sequence, ordered by UTF-8 key, of (key, digest of the canonical entry):
    for each session the UTF-8 key, a NUL byte, the 32-byte SHA-256 of the entry's canonical JSON.
    """

    count: int
    sha256: str

    def __str__(self) -> str:
        return f"{self.count}:{self.sha256[:16]}"


class SessionStore(ABC):
    """One session store, opened for reading. Opening and reading never write to the store or its folder.

    Keys: whoever asks for one gets what is stored under exactly that spelling; else what is stored under a spelling that is equal after
    `keys.normalise` (case and blanks around it do not count), of several the newest. So every key that a store lists leads to its own
    entry, and a session is found however it is spelled, in a store of any kind. That holds for `get`, and for `updated_at` and `raw` where
    there are such. What is no text raises `InvalidKeyError`.

    Raises: every method that reads raises `CorruptStoreError` for bytes that are not what they claim to be, with the file and where known
    the line, `UnreadableError` when the system refuses, and `StoreMovedError` when another store has taken this one's place since it was
    opened by `open_store` or `open_for_writing`. Generators raise while they are consumed. Only `check` reports what is wrong inside
    entries instead of raising it.
    """

    kind: ClassVar[str]
    path: Path
    agent_id: str
    snapshot_method: str
    """How the bytes being read were obtained, in words for a report ("read in place", "private copy of db and wal", ...)."""
    guard: Guard | None = None
    """Says whether this store still counts; see `watch`."""

    def watch(self, guard: Guard) -> None:
        """Ask `guard` from now on whether the sessions have moved: under the lock before anything is written, and when reading."""
        self.guard = guard

    @abstractmethod
    def get(self, key: str) -> Entry | None:
        """Return the entry of a session, or `None` when there is none; the class says how keys are looked up.

        Raises:
            CorruptStoreError: The entry, or the store around it, cannot be read.
            InvalidKeyError: The key is no text.
        """

    @abstractmethod
    def summaries(self) -> Iterator[SessionSummary]:
        """Yield one summary per session, newest `updated_ms` first (missing last), then by key. Reads no big field."""

    @abstractmethod
    def items(self) -> Iterator[tuple[str, Entry]]:
        """Yield every (key, entry) in the store's own order, streamed, of one consistent state.

        Raises:
            CorruptStoreError: At the first entry that cannot be read.
        """

    @abstractmethod
    def raw_items(self) -> Iterator[tuple[str, bytes]]:
        """Yield every (key, the entry's JSON bytes as stored) in the store's own order, of one consistent state."""

    @abstractmethod
    def count(self) -> int:
        """Return the number of sessions.

        Raises:
            CorruptStoreError: The store cannot be read; never a count of what happened to be readable.
        """

    @abstractmethod
    def stats(self) -> StoreStats:
        """Return kind, path, sessions, bytes and format version."""

    @abstractmethod
    def check(self) -> tuple[Problem, ...]:
        """Read everything strictly and return what is wrong, worst first; an empty tuple means sound."""

    @abstractmethod
    def fingerprint(self) -> Fingerprint:
        """Return the identity of the contents; reads every entry.

        Raises:
            CorruptStoreError: An entry cannot be read.
        """

    def examine(self) -> tuple[Fingerprint, tuple[Problem, ...]]:
        """Return `fingerprint()` and what `check()` finds in the sessions, which a backend may learn from one reading.

        What is wrong inside transcripts that a store holds is left to who reads those.
        """
        return self.fingerprint(), self.check()

    @abstractmethod
    def close(self) -> None:
        """Release what the store holds (files, private copies). Calling it again does nothing.

        A store that was opened for reading answers nothing more: asking it raises `StoreError`. For a `WritableStore` see there.
        """

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def closed(path: Path) -> StoreError:
    """Word that a store which was opened for reading is closed."""
    return StoreError(path, "is closed", advice="open it again")


def fingerprint_of(digests: Iterable[tuple[str, bytes]]) -> Fingerprint:
    """Return the fingerprint over (key, 32-byte digest of the canonical entry) pairs, in any order."""
    import hashlib  # loads OpenSSL, 4 ms that a listing need not pay

    ordered = sorted((key.encode("utf-8"), digest) for key, digest in digests)
    total = hashlib.sha256()
    for key, digest in ordered:
        total.update(key + b"\0" + digest)
    return Fingerprint(len(ordered), total.hexdigest())


def newest_first(summaries: Iterable[SessionSummary]) -> Iterator[SessionSummary]:
    """Return summaries in the order of every listing: latest update first, those without one last, then by key."""
    return iter(
        sorted(summaries, key=lambda summary: (-(summary.updated_ms if summary.updated_ms is not None else -(1 << 62)), summary.key))
    )
