"""The transcripts inside an OpenClaw agent database: live events, cold storage, and archives of deleted or reset sessions.

Owns: turning rows and blobs back into transcript lines, one buffer per transcript, bounded by the largest one; telling what could not be
read and why. Must not: interpret a line (that is `sessionlab.transcripts`) or know session entries.

Three places hold transcripts (read off stores that 2026.8.1 and 2026.9.6 wrote, and off the published format):

- `transcript_events`: one row per event, `event_json` or, from schema 23 on, `event_zstd`;
- `session_transcript_cold_archives`: a zstd stream of records, one JSON object per line; those of kind "event" carry the event's text.
  The stream lies in `sessions/cold/<sha256>.jsonl.zst`, or in the row;
- `session_transcript_archives`: the whole transcript as one blob, identity or zstd. Once published, a file of the same name lies in the
  sessions folder too: count one of the two.

Both archives' SHA-256 is taken over the stored (compressed) bytes.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import chain, groupby
from operator import itemgetter
from pathlib import Path
from typing import Final, Literal

import msgspec

from sessionlab.layout import Source
from sessionlab.stores.base import Problem
from sessionlab.stores.openclaw_bytes import (
    MAX_ARCHIVE_BYTES,
    MAX_COLD_BYTES,
    UnreadableEventError,
    event_line,
    split_lines,
    unpack,
    verify_sha256,
)
from sessionlab.stores.transcript_store import StoredTranscript

_COLD_NAME: Final = re.compile(r"[a-f0-9]{64}\.jsonl\.zst")


class _ColdRow(msgspec.Struct):
    seq: int = 0
    event_json: str = ""


class _ColdRecord(msgspec.Struct):
    """One line of a cold transcript; only headers and events are looked at."""

    kind: str
    row: _ColdRow = msgspec.field(default_factory=_ColdRow)
    session_id: str = msgspec.field(default="", name="sessionId")
    generation: str = ""


_COLD_DECODER: Final = msgspec.json.Decoder(_ColdRecord)


class TranscriptReader:
    """Reads every transcript of one agent database.

    Args:
        connection: A connection to a private copy of the database.
        path: The original, for messages.
        sessions_folder: Where the agent's `cold` folder and published archives lie.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path, *, sessions_folder: Path) -> None:
        self._db = connection
        self._path = str(path)
        self._cold_folder = sessions_folder / "cold"
        self._has_zstd = {"event_zstd", "event_utf8_bytes"} <= columns_of(connection, "transcript_events")

    def transcripts(self) -> Iterator[StoredTranscript]:
        """Yield every transcript without reading archives: live ones by session id, then cold ones, then archives by age."""
        windows = self._windows()
        size = "length(CAST(event_json AS BLOB))"
        if self._has_zstd:
            size = f"CASE WHEN event_json IS NULL THEN coalesce(event_utf8_bytes, 0) ELSE {size} END"
        sql = f"SELECT session_id, count(*), sum({size}) FROM transcript_events GROUP BY session_id ORDER BY session_id"
        for session_id, events, size_bytes in self._db.execute(sql):
            yield replace(self._live(session_id, windows), events=events, bytes=size_bytes + events)
        for transcript, _ in self._cold(windows):
            yield transcript
        for transcript, _ in self._archives():
            yield transcript

    def buffers(self) -> Iterator[tuple[StoredTranscript, bytes]]:
        """Yield every transcript with its lines: one ordered scan of the events, then cold storage, then archives.

        In the buffer each event is one line that ends with a newline. An event that cannot be read leaves an empty line, so that line
        numbers stay true, and a row in `problems`. Holds one transcript at a time.
        """
        windows = self._windows()
        for session_id, rows in groupby(self._event_rows(), key=itemgetter(0)):
            lines, problems = self._lines((row[2:] for row in rows), self._live(session_id, windows))
            yield self._filled(self._live(session_id, windows), lines, problems)
        for transcript, read in chain(self._cold(windows), self._archives()):
            yield self._opened(transcript, read)

    def lines_of(self, transcript: StoredTranscript) -> Iterator[bytes | Problem]:
        """Yield the events of one transcript in order, as JSON bytes; one that cannot be read is yielded as its problem."""
        if transcript.source != "live":
            yield from self._archived_lines_of(transcript)
            return
        sql = f"SELECT {self._event_columns()} FROM transcript_events WHERE session_id = ? ORDER BY seq"
        for place, row in enumerate(self._db.execute(sql, (transcript.session_id,)), start=1):
            try:
                yield event_line(*row[2:])
            except UnreadableEventError as error:
                yield self._problem("event_unreadable", str(error), transcript, line=place)

    def _archived_lines_of(self, transcript: StoredTranscript) -> Iterator[bytes | Problem]:
        for candidate, read in chain(self._cold(self._windows()), self._archives()):
            if (candidate.source, candidate.name) == (transcript.source, transcript.name):
                opened, buffer = self._opened(candidate, read)
                at_line = {problem.line: problem for problem in opened.problems}
                if None in at_line:
                    yield at_line[None]
                yield from (at_line.get(place, line) for place, line in enumerate(buffer.splitlines(), start=1))

    def _opened(self, transcript: StoredTranscript, read: Callable[[], list[bytes]]) -> tuple[StoredTranscript, bytes]:
        """Return a cold or archived transcript with its lines; without any, and the reason, when it cannot be read."""
        try:
            raw_lines = read()
        except UnreadableEventError as error:
            code = "cold_transcript_unreadable" if transcript.source == "cold" else "archive_unreadable"
            problem = self._problem(code, f"{transcript.name}: {error}", transcript)
            return replace(transcript, bytes=0, events=0, problems=(*transcript.problems, problem)), b""
        lines, problems = self._lines(((line, None, None) for line in raw_lines), transcript)
        return self._filled(transcript, lines, [*transcript.problems, *problems])

    def _windows(self) -> dict[str, tuple[str, str | None, int | None]]:
        """Return session id -> (session key, reason, created_at) of every window."""
        present = columns_of(self._db, "session_windows")
        reason = "reason" if "reason" in present else "NULL"
        rows = self._db.execute(f"SELECT session_id, session_key, {reason}, created_at FROM session_windows")
        return {session_id: (key, why, created_ms) for session_id, key, why, created_ms in rows}

    def _live(self, session_id: str, windows: dict[str, tuple[str, str | None, int | None]]) -> StoredTranscript:
        key, reason, created_ms = windows.get(session_id, (None, None, None))
        return StoredTranscript(session_id, key, "live", f"{session_id}.jsonl", reason, 0, 0, created_ms)

    def _event_columns(self) -> str:
        packed = "event_zstd, event_utf8_bytes" if self._has_zstd else "NULL, NULL"
        return f"session_id, seq, CAST(event_json AS BLOB), {packed}"

    def _event_rows(self) -> Iterator[tuple[str, int, bytes | None, bytes | None, int | None]]:
        return self._db.execute(f"SELECT {self._event_columns()} FROM transcript_events ORDER BY session_id, seq")

    def _lines(
        self, rows: Iterator[tuple[bytes | None, bytes | None, int | None]], transcript: StoredTranscript
    ) -> tuple[list[bytes], list[Problem]]:
        lines: list[bytes] = []
        problems: list[Problem] = []
        for row in rows:
            try:
                lines.append(event_line(*row))
            except UnreadableEventError as error:
                lines.append(b"")
                problems.append(self._problem("event_unreadable", str(error), transcript, line=len(lines)))
        return lines, problems

    def _filled(self, transcript: StoredTranscript, lines: list[bytes], problems: list[Problem]) -> tuple[StoredTranscript, bytes]:
        lines.append(b"")
        buffer = b"\n".join(lines)
        return replace(transcript, events=len(lines) - 1, bytes=len(buffer), problems=tuple(problems)), buffer

    def _cold(self, windows: dict[str, tuple[str, str | None, int | None]]) -> Iterator[tuple[StoredTranscript, Callable[[], list[bytes]]]]:
        """Yield each cold transcript with the function that reads its lines."""
        if not columns_of(self._db, "session_transcript_cold_archives"):
            return
        sql = (
            "SELECT rowid, session_id, generation, archive_name, archive_sha256, event_count, raw_bytes, archived_at, storage, "
            "EXISTS (SELECT 1 FROM transcript_events AS e WHERE e.session_id = c.session_id) "
            "FROM session_transcript_cold_archives AS c ORDER BY session_id"
        )
        for rowid, session_id, generation, name, sha256, events, raw_bytes, archived_ms, storage, is_live in self._db.execute(sql):
            key, reason, _ = windows.get(session_id, (None, None, None))
            # The store counts the bytes between events, one fewer than a file that ends with a newline.
            transcript = StoredTranscript(session_id, key, "cold", name, reason, events, raw_bytes + 1, archived_ms)
            if is_live:
                message = f"{name}: the session's events lie in the database too; the cold copy is not counted"
                problem = self._problem("cold_transcript_also_live", message, transcript, severity="warning")
                yield replace(transcript, events=0, bytes=0, problems=(problem,)), list
                continue
            folder = self._cold_folder if storage == "file" else None
            yield transcript, _ColdSource(self._db, rowid, folder, name, sha256, session_id, generation, events)

    def _archives(self) -> Iterator[tuple[StoredTranscript, Callable[[], list[bytes]]]]:
        """Yield each archive of a deleted or reset session with the function that reads its lines."""
        if not columns_of(self._db, "session_transcript_archives"):
            return
        sql = (
            "SELECT rowid, session_id, session_key, archive_name, reason, encoding, length(archive_blob), archive_sha256, created_at, "
            "published_at IS NOT NULL FROM session_transcript_archives ORDER BY created_at, session_id, generation"
        )
        for rowid, session_id, key, name, reason, encoding, size_bytes, sha256, created_ms, published in self._db.execute(sql):
            source: Source = "archive-reset" if reason == "reset" else "archive-deleted"
            transcript = StoredTranscript(session_id, key, source, name, reason, 0, size_bytes, created_ms, is_published=bool(published))
            yield transcript, _ArchiveSource(self._db, rowid, sha256, encoding)

    def _problem(
        self,
        code: str,
        message: str,
        transcript: StoredTranscript,
        *,
        line: int | None = None,
        severity: Literal["warning", "error"] = "error",
    ) -> Problem:
        return Problem(
            code=code,
            severity=severity,
            message=message if line is None else f"{transcript.name}: {message}",
            path=self._path,
            line=line,
            key=transcript.session_key,
            advice="the rest of the store was read; restore this transcript from a backup" if severity == "error" else "",
        )


@dataclass(frozen=True, slots=True)
class _ArchiveSource:
    """Reads the lines of one archive when called."""

    db: sqlite3.Connection
    rowid: int
    sha256: str
    encoding: str

    def __call__(self) -> list[bytes]:
        (blob,) = self.db.execute("SELECT archive_blob FROM session_transcript_archives WHERE rowid = ?", (self.rowid,)).fetchone()
        verify_sha256(blob, self.sha256)
        return split_lines(unpack(blob, MAX_ARCHIVE_BYTES) if self.encoding == "zstd" else blob)


@dataclass(frozen=True, slots=True)
class _ColdSource:
    """Reads the lines of one cold transcript when called; `folder` is `None` when its bytes lie in the row."""

    db: sqlite3.Connection
    rowid: int
    folder: Path | None
    name: str
    sha256: str
    session_id: str
    generation: str
    events: int

    def __call__(self) -> list[bytes]:
        packed = self._packed()
        verify_sha256(packed, self.sha256)
        try:
            records = [_COLD_DECODER.decode(line) for line in unpack(packed, MAX_COLD_BYTES).splitlines() if line.strip()]
            lines = [record.row.event_json.encode() for record in records if record.kind == "event"]
        except (msgspec.DecodeError, UnicodeError) as error:
            raise UnreadableEventError(f"is not a cold transcript ({error})") from error
        if not records or (records[0].kind, records[0].session_id, records[0].generation) != ("header", self.session_id, self.generation):
            raise UnreadableEventError("belongs to another session: its header does not match")
        if len(lines) != self.events:
            raise UnreadableEventError(f"holds {len(lines)} events where the store says {self.events}")
        return lines

    def _packed(self) -> bytes:
        if self.folder is None:
            sql = "SELECT archive_blob FROM session_transcript_cold_archives WHERE rowid = ?"
            return bytes(self.db.execute(sql, (self.rowid,)).fetchone()[0] or b"")
        if _COLD_NAME.fullmatch(self.name) is None:
            raise UnreadableEventError("is not a name of a cold transcript")
        try:
            return (self.folder / self.name).read_bytes()
        except FileNotFoundError as error:
            raise UnreadableEventError(f"is missing in {self.folder}") from error
        except OSError as error:
            raise UnreadableEventError(f"cannot be read ({error.strerror})") from error


def columns_of(connection: sqlite3.Connection, table: str) -> frozenset[str]:
    """Return the names of a real table's columns; empty when there is no such table (a view or virtual table does not count)."""
    sql = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ? AND sql NOT LIKE 'CREATE VIRTUAL%'"
    if connection.execute(sql, (table,)).fetchone() is None:
        return frozenset()
    return frozenset(name for (name,) in connection.execute("SELECT name FROM pragma_table_xinfo(?)", (table,)))
