"""The part of the contract that only a store has which holds transcripts as well as sessions."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

from sessionlab.layout import Source
from sessionlab.stores.base import Problem, SessionStore


@dataclass(frozen=True, slots=True)
class StoredTranscript:
    """One transcript held by the database.

    Attributes:
        session_id: The transcript generation ("session window") it belongs to.
        session_key: The session that owns it; `None` when no window row names it (an orphan).
        source: Live events, cold storage, or an archive of a deleted or reset session.
        name: The archive's file name; for live events `<session_id>.jsonl`, as the JSON era called them.
        reason: Why the window or the archive began ("initial", "reset", "deleted", ...), when the store says so.
        events: Rows or lines, unreadable ones included; 0 for an archive that was not opened.
        bytes: UTF-8 bytes of the events with one newline each, which is the size of the same transcript as a `.jsonl` file;
            for an archive that was not opened, its stored size.
        created_ms: When the window or archive was made, by the store's own clock.
        is_published: Whether an archive was also written as a file of this `name` into the sessions folder.
        problems: What could not be read; `line` is the event's 1-based place.
    """

    session_id: str
    session_key: str | None
    source: Source
    name: str
    reason: str | None
    events: int
    bytes: int
    created_ms: int | None
    is_published: bool = False
    problems: tuple[Problem, ...] = ()


class TranscriptStore(SessionStore):
    """A session store with the transcripts inside it. Generators raise as `SessionStore` says while they are consumed."""

    @abstractmethod
    def transcripts(self) -> Iterator[StoredTranscript]:
        """Yield every transcript in the store: live ones by session id, then cold ones, then archives. Reads no archive."""

    @abstractmethod
    def transcript_lines(self, transcript: StoredTranscript) -> Iterator[bytes | Problem]:
        """Yield the events of one transcript in order as JSON bytes, an unreadable one as its problem; lazy for live ones."""

    @abstractmethod
    def iter_transcript_buffers(self) -> Iterator[tuple[StoredTranscript, bytes]]:
        """Yield every transcript with all its lines, one transcript in memory at a time."""

    @abstractmethod
    def storage_parts(self) -> Iterator[tuple[str, int]]:
        """Yield (part, bytes) of what fills the store, largest first; empty parts are left out."""
