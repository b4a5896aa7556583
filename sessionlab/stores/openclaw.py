"""OpenClaw's own per-agent SQLite store, as 2026.8 and 2026.9 write it (agent schema 19 to 23), read and never written.

Owns: recognising such a database, and its sessions behind the store contract. Transcripts are read by `openclaw_transcripts`, the checks
stand in `openclaw_checks`. Must not: read sessions from the original (see `sqlite_snapshot`; only `holds_sessions` looks into it, as
immutable, which touches nothing), or ask for one exact layout: columns that are needed are looked for, others are ignored.

The layout in short: `session_nodes` has one row per session key with the whole entry as `entry_json`; `session_windows` one row per
transcript generation; `transcript_events` the transcripts. Prompts that 2026.5+ moved to `skills-prompts/` files are not resolved.

What `created_ms` may claim: OpenClaw's import sets a window's `created_at` to the entry's `updatedAt` (or `startedAt`), which is when the
session was last used. Only the transcript's first event tells when an imported session began. So: the entry's own word, else the row's
`created_at` (set by 2026.8+ for sessions that it created itself), else the earliest of the first events and windows; and nothing at all
when there is no event and the earliest window has the time that the import would give it.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Self, TypeVar
from urllib.parse import quote

import msgspec

from sessionlab import codec, keys, layout
from sessionlab.entry import Entry, IndexFields, SessionSummary, canonical_digest, summarise
from sessionlab.errors import CorruptStoreError, NoStoreError, UnreadableError, UnsupportedSchemaError
from sessionlab.stores.base import Fingerprint, Problem, StoreStats, closed, fingerprint_of
from sessionlab.stores.openclaw_transcripts import TranscriptReader, columns_of
from sessionlab.stores.sqlite_snapshot import SnapshotResult, take_snapshot
from sessionlab.stores.transcript_store import StoredTranscript, TranscriptStore

SUPPORTED_VERSIONS: Final = range(19, 24)
"""Agent schema versions that this reader was tried on: 19 (2026.8.1) to 23 (2026.9.6)."""

_NEEDED_COLUMNS: Final = {
    "session_nodes": {"session_key", "current_session_id", "entry_json", "updated_at"},
    "session_windows": {"session_id", "session_key", "created_at"},
    "transcript_events": {"session_id", "seq", "event_json", "created_at"},
}
_SESSION_TABLES: Final = ("session_nodes", "session_entries")
_BLOCKED: Final = ", ".join(f"'{key}'" for key in sorted(keys.BLOCKED_KEYS))
_SESSIONS: Final = f"session_nodes WHERE lower(trim(session_key)) NOT IN ({_BLOCKED})"
_INDEX: Final = msgspec.json.Decoder(IndexFields)

_Item = TypeVar("_Item")


class OpenClawStore(TranscriptStore):
    """One agent's SQLite store, opened for reading; see `SessionStore` and `TranscriptStore` for the contract.

    All answers are about the state that was committed when the store was opened. The store's own order is that of insertion.
    """

    kind = "openclaw"

    def __init__(self, path: Path, snapshot: SnapshotResult, *, agent_id: str | None) -> None:
        """Take over a snapshot; use `open`."""
        self.path = path
        self.snapshot_method = snapshot.method
        self._snapshot = snapshot
        self._is_closed = False
        self.schema_version, stored_agent_id, self.app_version = _identify(path, self._db)
        _require_columns(path, self._db)
        self.agent_id = agent_id or stored_agent_id or layout.agent_id_of(path.absolute()) or keys.DEFAULT_AGENT
        folder = snapshot.source.parent
        self._sessions_folder = folder.parent / "sessions" if folder.name == "agent" else folder

    @classmethod
    def open(cls, path: Path, *, agent_id: str | None = None) -> Self:
        """Take a private copy of the database and open that.

        Args:
            path: `.../agents/<id>/agent/openclaw-agent.sqlite`, or a copy of such a file with its `-wal` beside it.
            agent_id: The agent; by default the one that the database names.

        Raises:
            NoStoreError: Nothing there, or a database that is not an agent's session store.
            UnreadableError: The system does not let us read or copy it.
            CorruptStoreError: Not a database, damaged, or without a table or column that its version has.
            UnsupportedSchemaError: A schema version outside 19 to 23.
        """
        snapshot = take_snapshot(path)
        snapshot.connection.text_factory = _text
        try:
            return cls(path, snapshot, agent_id=agent_id)
        except sqlite3.DatabaseError as error:
            snapshot.close()
            raise _damaged(path, error) from error
        except BaseException:
            snapshot.close()
            raise

    def get(self, key: str) -> Entry | None:
        normal = keys.normalise(key)
        if normal in keys.BLOCKED_KEYS:
            return None
        query = "SELECT CAST(entry_json AS BLOB) FROM session_nodes WHERE session_key = ?"
        try:
            row = self._db.execute(query, (key,)).fetchone()
            if row is None:
                # SQLite's own lower() knows ASCII only.
                newest_first = self._db.execute("SELECT session_key FROM session_nodes ORDER BY updated_at DESC")
                key = next((stored for (stored,) in newest_first if keys.normalise(stored) == normal), "")
                row = self._db.execute(query, (key,)).fetchone() if key else None
        except UnicodeEncodeError:  # half a surrogate pair: nothing can be stored under it
            return None
        except sqlite3.DatabaseError as error:
            raise _damaged(self.path, error) from error
        return None if row is None else codec.decode_entry(row[0], path=self.path, key=key)

    def summaries(self) -> Iterator[SessionSummary]:
        """Yield one summary per session, newest first, from the index columns and the entry's small fields.

        `updated_ms` is the row's column, which OpenClaw sorts by; `created_ms`: see the module. An entry that is not JSON is listed with
        what its row says; `check()` reports it.
        """
        return self._guarded(self._summaries())

    def items(self) -> Iterator[tuple[str, Entry]]:
        for key, raw in self.raw_items():
            yield key, codec.decode_entry(raw, path=self.path, key=key)

    def raw_items(self) -> Iterator[tuple[str, bytes]]:
        return self._guarded(self._db.execute(f"SELECT session_key, CAST(entry_json AS BLOB) FROM {_SESSIONS} ORDER BY rowid"))

    def count(self) -> int:
        (number,) = next(self._guarded(self._db.execute(f"SELECT count(*) FROM {_SESSIONS}")))
        return int(number)

    def stats(self) -> StoreStats:
        return StoreStats(
            kind=self.kind,
            path=str(self.path),
            sessions=self.count(),
            store_bytes=self._snapshot.source_bytes,
            schema_version=self.schema_version,
            app_version=self.app_version,
        )

    def check(self) -> tuple[Problem, ...]:
        from sessionlab.stores.openclaw_checks import check_store

        return check_store(self._db, self.path, reader=self._reader(), schema_version=self.schema_version)

    def examine(self) -> tuple[Fingerprint, tuple[Problem, ...]]:
        from sessionlab.stores.openclaw_checks import check_store

        return self.fingerprint(), check_store(self._db, self.path, reader=None, schema_version=self.schema_version)

    def fingerprint(self) -> Fingerprint:
        return fingerprint_of((key, canonical_digest(entry)) for key, entry in self.items())

    def transcripts(self) -> Iterator[StoredTranscript]:
        return self._guarded(self._reader().transcripts())

    def transcript_lines(self, transcript: StoredTranscript) -> Iterator[bytes | Problem]:
        return self._guarded(self._reader().lines_of(transcript))

    def iter_transcript_buffers(self) -> Iterator[tuple[StoredTranscript, bytes]]:
        """Yield every transcript with all its lines, one transcript in memory at a time; see `TranscriptReader.buffers`."""
        return self._guarded(self._reader().buffers())

    def storage_parts(self) -> Iterator[tuple[str, int]]:
        """Yield (part, bytes) of the database, largest first, adding up to its pages and the write-ahead log.

        Parts: "entries", "transcript events", "search index", "event identities", "other indexes", "archives", "free pages", "other",
        "write-ahead log". They come from SQLite's `dbstat` table; where this SQLite was built without it, only "database file",
        "write-ahead log" and "free pages" are told apart. Empty parts are left out.
        """
        from sessionlab.stores.openclaw_checks import storage_parts

        return self._guarded(storage_parts(self._db, wal_bytes=self._snapshot.wal_bytes))

    def close(self) -> None:
        self._is_closed = True
        self._snapshot.close()

    @property
    def _db(self) -> sqlite3.Connection:
        if self._is_closed:
            raise closed(self.path)
        return self._snapshot.connection

    def _reader(self) -> TranscriptReader:
        return TranscriptReader(self._db, self.path, sessions_folder=self._sessions_folder)

    def _summaries(self) -> Iterator[SessionSummary]:
        present = columns_of(self._db, "session_nodes")
        own_created, archived = (f"n.{name}" if name in present else "NULL" for name in ("created_at", "archived_at"))
        cursor = self._db.execute(
            f"SELECT n.session_key, n.current_session_id, n.updated_at, {own_created}, "
            "(SELECT min(w.created_at) FROM session_windows AS w WHERE w.session_key = n.session_key), "
            "(SELECT min((SELECT e.created_at FROM transcript_events AS e WHERE e.session_id = w.session_id ORDER BY e.seq LIMIT 1)) "
            "FROM session_windows AS w WHERE w.session_key = n.session_key), "
            f"{archived}, CAST(n.entry_json AS BLOB) FROM (SELECT * FROM {_SESSIONS}) AS n ORDER BY n.updated_at DESC, n.session_key"
        )
        for key, session_id, *times, archived_ms, raw in cursor:
            updated_ms, created_ms, window_ms, first_event_ms = (_whole(time) for time in times)
            try:
                fields = _INDEX.decode(raw)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                fields = IndexFields()
            summary = summarise(key, fields)
            yield msgspec.structs.replace(
                summary,
                session_id=summary.session_id or (session_id if isinstance(session_id, str) else None),
                updated_ms=updated_ms,
                created_ms=summary.created_ms or created_ms or _first_ms(window_ms, first_event_ms, summary, updated_ms),
                archived=summary.archived or archived_ms is not None,
            )

    def _guarded(self, rows: Iterator[_Item]) -> Iterator[_Item]:
        """Pass rows on, turning SQLite's complaint about damaged pages into ours."""
        try:
            yield from rows
        except sqlite3.DatabaseError as error:
            raise _damaged(self.path, error) from error


def holds_sessions(path: Path) -> bool:
    """Say whether the database at `path` has a table of sessions, be it empty.

    False for a missing file, and for the agent database of 2026.5.30-beta to 2026.7, which exists while the sessions still lie in
    `sessions.json`. True also for the betas' `session_entries`, so that opening refuses their version instead of passing them over.

    Raises:
        UnreadableError: The system does not let us read it.
        CorruptStoreError: It is no database or a damaged one.
    """
    try:
        size_bytes = path.stat().st_size
        has_log = path.resolve().with_name(path.resolve().name + "-wal").exists()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise UnreadableError(path, error.strerror or str(error)) from error
    if size_bytes and not has_log:
        # With no log the file alone is the truth, and reading it as immutable touches nothing: no copy needed.
        try:
            connection = sqlite3.connect(f"file:{quote(os.fsencode(path.absolute()))}?immutable=1", uri=True)
            try:
                return _has_session_table(connection)
            finally:
                connection.close()
        except sqlite3.DatabaseError:
            pass  # perhaps caught in the middle of a write: the snapshot below tells, or words what is wrong
    with take_snapshot(path) as snapshot:
        return _has_session_table(snapshot.connection)


def _has_session_table(connection: sqlite3.Connection) -> bool:
    return any(columns_of(connection, table) for table in _SESSION_TABLES)


def _identify(path: Path, connection: sqlite3.Connection) -> tuple[int, str | None, str | None]:
    """Return (schema version, agent id, app version), or refuse what is no agent database of a known version."""
    if not {"role", "schema_version"} <= columns_of(connection, "schema_meta"):
        raise NoStoreError(path, "is a SQLite database, but not one of OpenClaw's (it has no schema_meta)")
    rows = connection.execute("SELECT * FROM schema_meta ORDER BY role = 'agent' DESC LIMIT 1")
    meta = dict(zip((column[0] for column in rows.description), rows.fetchone() or (), strict=False))
    if meta.get("role") != "agent":
        raise NoStoreError(path, f"is OpenClaw's database for {meta.get('role')!r}, not an agent's session store")
    (user_version,) = connection.execute("PRAGMA user_version").fetchone()
    if meta["schema_version"] != user_version:
        raise CorruptStoreError(
            path,
            f"says schema version {meta['schema_version']} in schema_meta and {user_version} in user_version",
            advice="an upgrade was interrupted; run 'openclaw doctor --fix' on a backup",
        )
    if user_version not in SUPPORTED_VERSIONS:
        raise UnsupportedSchemaError(path, found=user_version, supported=f"{SUPPORTED_VERSIONS[0]} to {SUPPORTED_VERSIONS[-1]}")
    (encoding,) = connection.execute("PRAGMA encoding").fetchone()
    if encoding != "UTF-8":
        raise CorruptStoreError(path, f"keeps text as {encoding}; OpenClaw writes UTF-8")
    return user_version, meta.get("agent_id"), meta.get("app_version")


def _require_columns(path: Path, connection: sqlite3.Connection) -> None:
    missing = [
        f"{table}.{column}" for table, needed in _NEEDED_COLUMNS.items() for column in sorted(needed - columns_of(connection, table))
    ]
    if missing:
        raise CorruptStoreError(path, f"lacks what its schema version has: {', '.join(missing)}", advice="restore it from a backup")


def _first_ms(window_ms: int | None, first_event_ms: int | None, summary: SessionSummary, updated_ms: int | None) -> int | None:
    """Return the earliest sign of the session; a window without events that has the import's time is no sign."""
    if first_event_ms is not None:
        return first_event_ms if window_ms is None else min(window_ms, first_event_ms)
    return None if window_ms in (updated_ms, summary.started_ms) else window_ms


def _whole(value: object) -> int | None:
    """Return a time as the store's tables want it; `None` for anything else, which only a table that is not STRICT can hold."""
    return value if isinstance(value, int) else None


def _text(data: bytes) -> str:
    """Decode a text column; bytes that are not UTF-8 are spelled out in hex instead of making the row unreadable."""
    return data.decode("utf-8", "backslashreplace")


def _damaged(path: Path, error: sqlite3.DatabaseError) -> CorruptStoreError:
    return CorruptStoreError(
        path, f"SQLite cannot read all of it ({error})", advice="restore it from a backup, or recover a copy with 'sqlite3 .recover'"
    )
