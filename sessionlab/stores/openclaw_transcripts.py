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

import hashlib
import json
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

MAX_EVENT_BYTES: Final = 4 << 20
"""Largest event that the schema lets be compressed; a stored size beyond it is not believed."""

MAX_COLD_BYTES: Final = 64 << 20
"""Largest cold transcript, decompressed; OpenClaw itself reads no more."""

MAX_ARCHIVE_BYTES: Final = 256 << 20
"""Largest archived transcript, decompressed, that is held in memory."""

_BLANKS: Final = re.compile(r"[ \t\r\n]*")
_COLD_NAME: Final = re.compile(r"[a-f0-9]{64}\.jsonl\.zst")


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


class _UnreadableEventError(ValueError):
    """Why one event or archive cannot be turned into lines."""


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
            try:
                raw_lines = read()
            except _UnreadableEventError as error:
                code = "cold_transcript_unreadable" if transcript.source == "cold" else "archive_unreadable"
                problem = self._problem(code, f"{transcript.name}: {error}", transcript)
                yield replace(transcript, bytes=0, events=0, problems=(*transcript.problems, problem)), b""
                continue
            lines, problems = self._lines(((line, None, None) for line in raw_lines), transcript)
            yield self._filled(transcript, lines, [*transcript.problems, *problems])

    def lines_of(self, transcript: StoredTranscript) -> Iterator[bytes | Problem]:
        """Yield the events of one live transcript in order, as JSON bytes; one that cannot be read is yielded as its problem.

        For cold storage and archives use `buffers`.
        """
        sql = f"SELECT {self._event_columns()} FROM transcript_events WHERE session_id = ? ORDER BY seq"
        for place, row in enumerate(self._db.execute(sql, (transcript.session_id,)), start=1):
            try:
                yield _line(*row[2:])
            except _UnreadableEventError as error:
                yield self._problem("event_unreadable", str(error), transcript, line=place)

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
                lines.append(_line(*row))
            except _UnreadableEventError as error:
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
        _verify_sha256(blob, self.sha256)
        return _split_lines(_unpack(blob, MAX_ARCHIVE_BYTES) if self.encoding == "zstd" else blob)


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
        _verify_sha256(packed, self.sha256)
        try:
            records = [_COLD_DECODER.decode(line) for line in _unpack(packed, MAX_COLD_BYTES).splitlines() if line.strip()]
            lines = [record.row.event_json.encode() for record in records if record.kind == "event"]
        except (msgspec.DecodeError, UnicodeError) as error:
            raise _UnreadableEventError(f"is not a cold transcript ({error})") from error
        if not records or (records[0].kind, records[0].session_id, records[0].generation) != ("header", self.session_id, self.generation):
            raise _UnreadableEventError("belongs to another session: its header does not match")
        if len(lines) != self.events:
            raise _UnreadableEventError(f"holds {len(lines)} events where the store says {self.events}")
        return lines

    def _packed(self) -> bytes:
        if self.folder is None:
            sql = "SELECT archive_blob FROM session_transcript_cold_archives WHERE rowid = ?"
            return bytes(self.db.execute(sql, (self.rowid,)).fetchone()[0] or b"")
        if _COLD_NAME.fullmatch(self.name) is None:
            raise _UnreadableEventError("is not a name of a cold transcript")
        try:
            return (self.folder / self.name).read_bytes()
        except FileNotFoundError as error:
            raise _UnreadableEventError(f"is missing in {self.folder}") from error
        except OSError as error:
            raise _UnreadableEventError(f"cannot be read ({error.strerror})") from error


def columns_of(connection: sqlite3.Connection, table: str) -> frozenset[str]:
    """Return the names of a real table's columns; empty when there is no such table (a view or virtual table does not count)."""
    sql = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ? AND sql NOT LIKE 'CREATE VIRTUAL%'"
    if connection.execute(sql, (table,)).fetchone() is None:
        return frozenset()
    return frozenset(name for (name,) in connection.execute("SELECT name FROM pragma_table_xinfo(?)", (table,)))


def _line(text: bytes | None, packed: bytes | None, size_bytes: int | None) -> bytes:
    """Return one event's JSON as one line."""
    if text is None:
        if packed is None:
            raise _UnreadableEventError("the event has neither event_json nor event_zstd")
        text = _unpack_event(packed, size_bytes)
    elif packed is not None:
        raise _UnreadableEventError("the event has both event_json and event_zstd; which one is true is unknown")
    return text if b"\n" not in text else _compact(text)


def _compact(text: bytes) -> bytes:
    """Take the line breaks out of pretty-printed JSON; inside a string they would be escaped."""
    try:
        line = msgspec.json.format(text, indent=-1)
    except msgspec.DecodeError as error:
        raise _UnreadableEventError(f"the event spans lines and is not JSON ({error})") from error
    if b"\n" in line:
        raise _UnreadableEventError("the event holds a line break inside a string")
    return line


def _unpack_event(packed: bytes, size_bytes: int | None) -> bytes:
    if size_bytes is None or not 1 <= size_bytes <= MAX_EVENT_BYTES:
        raise _UnreadableEventError(f"the compressed event says it has {size_bytes} bytes, which the format does not allow")
    text = _unpack(packed, size_bytes)
    if len(text) != size_bytes:
        raise _UnreadableEventError(f"the compressed event has {len(text)} bytes where the store says {size_bytes}")
    return text


def _unpack(packed: bytes, limit_bytes: int) -> bytes:
    """Decompress one zstd frame of at most `limit_bytes`, whatever size its header claims."""
    import zstandard

    try:
        claimed = zstandard.frame_content_size(packed)
        if claimed > limit_bytes:
            raise _UnreadableEventError(f"its zstd frame claims {claimed} bytes, more than the {limit_bytes} allowed")
        if claimed >= 0:
            return zstandard.ZstdDecompressor().decompress(packed, allow_extra_data=False)
        with zstandard.ZstdDecompressor().stream_reader(packed) as stream:
            text = stream.read(limit_bytes + 1)
    except zstandard.ZstdError as error:
        raise _UnreadableEventError(f"zstd does not decode it ({error})") from error
    if len(text) > limit_bytes:
        raise _UnreadableEventError(f"it decompresses to more than the {limit_bytes} bytes allowed")
    return text


def _verify_sha256(blob: bytes, expected: str) -> None:
    if hashlib.sha256(blob).hexdigest() != expected:
        raise _UnreadableEventError("its SHA-256 is not the one that the store recorded")


def _split_lines(text: bytes) -> list[bytes]:
    """Cut an archive into events: lines, except where an event was kept pretty-printed over several."""
    lines = [line for line in text.split(b"\n") if line.strip()]
    if all(line.startswith(b"{") and line.rstrip().endswith(b"}") for line in lines):
        return lines
    whole = text.decode("utf-8", "surrogateescape")
    scan, events, place = json.JSONDecoder().raw_decode, [], _skip_blanks(whole, 0)
    while place < len(whole):
        try:
            end = scan(whole, place)[1]
        except (ValueError, RecursionError):
            # Not framed as JSON from here on: leave the lines as they are, the transcript reader sets the bad ones aside.
            events += [line for line in whole[place:].split("\n") if line.strip()]
            break
        events.append(whole[place:end])
        place = _skip_blanks(whole, end)
    return [event.encode("utf-8", "surrogateescape") for event in events]


def _skip_blanks(text: str, place: int) -> int:
    found = _BLANKS.match(text, place)
    return found.end() if found else place
