"""A state as OpenClaw's import into SQLite leaves it, made of synthetic sessions: a database with the originals beside it.

It holds the tables that reading sessions and transcripts needs, with the columns and keys that 2026.9 gives them; the search index and
the like, which only make the file larger, are left out. What the import rewrites is rewritten here: the route becomes `delivery`, the
memory flush `memoryFlush`, the provider openai-codex openai; long events are compressed. The model is a state that 2026.9.6 wrote.
"""

from __future__ import annotations

import datetime as dt
import json
import re
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
import zstandard

from sessionlab import layout
from sessionlab.bench.scope import NOW_MS
from sessionlab.entry import Entry
from sessionlab.migration.verify_openclaw_entries import ROUTE_FIELDS
from sessionlab.synth import write_state

AGENT: Final = "main"
_VERSION: Final = 23
_PACKED_FROM: Final = 1_800
"""Bytes of an event from which on it is compressed, roughly as OpenClaw does."""
_FLUSH: Final = ("memoryFlushAt", "memoryFlushCompactionCount")
_GONE: Final = frozenset((*ROUTE_FIELDS, *_FLUSH, "sessionFile"))
_RENAMED: Final = (
    (b'"provider":"openai-codex"', b'"provider":"openai"'),
    (b'"api":"openai-codex-responses"', b'"api":"openai-chatgpt-responses"'),
)
_ODD: Final = re.compile(r"[^A-Za-z0-9._-]")

TABLES: Final = """
CREATE TABLE schema_meta (
  meta_key TEXT NOT NULL PRIMARY KEY, role TEXT NOT NULL, schema_version INTEGER NOT NULL, agent_id TEXT, app_version TEXT,
  created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL
) STRICT;
CREATE TABLE session_nodes (
  session_key TEXT NOT NULL PRIMARY KEY, current_session_id TEXT NOT NULL, entry_json TEXT NOT NULL, legacy_acp_migration_json TEXT,
  entry_valid INTEGER NOT NULL DEFAULT 0, updated_at INTEGER NOT NULL, status TEXT, created_at INTEGER, created_via TEXT,
  created_actor_type TEXT, created_actor_id TEXT, owner_actor_type TEXT, owner_actor_id TEXT, owner_assigned_by_type TEXT,
  owner_assigned_by_id TEXT, owner_assigned_at INTEGER, project_id TEXT, parent_session_key TEXT, spawned_by TEXT,
  fork_source_session_key TEXT, fork_source_session_id TEXT, fork_source_entry_id TEXT, label TEXT, display_name TEXT, category TEXT,
  icon TEXT, pinned_at INTEGER, archived_at INTEGER, last_read_at INTEGER, last_interaction_at INTEGER, last_activity_at INTEGER
) STRICT;
CREATE TABLE session_windows (
  session_id TEXT NOT NULL PRIMARY KEY, session_key TEXT NOT NULL, previous_session_id TEXT, reason TEXT,
  session_scope TEXT NOT NULL DEFAULT 'conversation', created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
  transcript_updated_at INTEGER DEFAULT NULL, transcript_observed_at INTEGER DEFAULT NULL,
  session_entry_provenance INTEGER NOT NULL DEFAULT 0, acp_owned INTEGER NOT NULL DEFAULT 0, plugin_owner_id TEXT,
  hook_external_content_source TEXT, started_at INTEGER, ended_at INTEGER, status TEXT, chat_type TEXT, channel TEXT, account_id TEXT,
  primary_conversation_id TEXT, model_provider TEXT, model TEXT, agent_harness_id TEXT, parent_session_key TEXT, spawned_by TEXT,
  display_name TEXT
) STRICT;
CREATE TABLE transcript_events (
  session_id TEXT NOT NULL, seq INTEGER NOT NULL, event_json TEXT, created_at INTEGER NOT NULL, event_zstd BLOB,
  event_utf8_bytes INTEGER, navigation_json TEXT, PRIMARY KEY (session_id, seq)
) STRICT;
"""
_NODE: Final = "INSERT INTO session_nodes (session_key, current_session_id, entry_json, entry_valid, updated_at) VALUES (?, ?, ?, 1, ?)"
_WINDOW: Final = "INSERT INTO session_windows (session_id, session_key, created_at, updated_at) VALUES (?, ?, ?, ?)"
_EVENT: Final = "INSERT INTO transcript_events VALUES (?, ?, ?, ?, ?, ?, ?)"


class _Time(msgspec.Struct):
    """The part of an event that has a column of its own."""

    timestamp: dt.datetime


_TIME: Final = msgspec.json.Decoder(_Time)


@dataclass(frozen=True, slots=True)
class ImportedState:
    """What was made.

    Attributes:
        database: OpenClaw's database.
        archive: The folder of the originals.
        events: How many events these hold.
        original_bytes: Their size.
    """

    database: Path
    archive: Path
    events: int
    original_bytes: int


def make_imported_state(folder: Path, *, sessions: int, transcript_bytes: int) -> ImportedState:
    """Write a state of the JSON era into `folder`, which is empty, and import it.

    Args:
        folder: The state folder.
        sessions: How many.
        transcript_bytes: Mean size of a transcript.
    """
    write_state(folder, seed=1, sessions=sessions, agents=(AGENT,), flaws=False, transcript_bytes=transcript_bytes)
    agent = layout.AgentFolder(AGENT, layout.agents_dir(folder) / AGENT)
    agent.sqlite_store.parent.mkdir()
    agent.import_archive.mkdir()
    events = size = 0
    with _database(agent.sqlite_store) as db:
        for key, entry in json.loads(agent.json_store.read_bytes()).items():
            session_id, updated_ms = entry["sessionId"], entry["updatedAt"]
            db.execute(_NODE, (key, session_id, msgspec.json.encode(_imported(entry)).decode(), updated_ms))
            db.execute(_WINDOW, (session_id, key, updated_ms, updated_ms))
            file = agent.sessions_dir / Path(entry["sessionFile"]).name
            lines = file.read_bytes().splitlines()
            db.executemany(_EVENT, _rows(session_id, lines))
            events += len(lines)
            size += file.stat().st_size
            file.rename(agent.import_archive / f"{_ODD.sub('_', key)}.{file.name}.imported-{NOW_MS}")
        size += agent.json_store.stat().st_size
        agent.json_store.rename(agent.import_archive / f"legacy-store.{layout.JSON_STORE}.imported-{NOW_MS}")
        db.execute("COMMIT")
    db.close()
    return ImportedState(agent.sqlite_store, agent.import_archive, events, size)


def _database(path: Path) -> sqlite3.Connection:
    """Make the database, and begin to write."""
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA auto_vacuum = INCREMENTAL")
    db.execute("PRAGMA journal_mode = WAL")
    db.executescript(TABLES)
    db.execute(f"PRAGMA user_version = {_VERSION}")
    db.execute("BEGIN")
    values = ("primary", "agent", _VERSION, AGENT, "2026.9.6", NOW_MS, NOW_MS)
    db.execute("INSERT INTO schema_meta VALUES (?, ?, ?, ?, ?, ?, ?)", values)
    return db


def _imported(entry: Entry) -> Entry:
    """Return an entry as the import writes it."""
    live = {name: value for name, value in entry.items() if name not in _GONE}
    if "skillsSnapshot" in live:
        live["skillsSnapshot"] = {name: value for name, value in live["skillsSnapshot"].items() if name != "resolvedSkills"}
    live["delivery"] = _delivery(entry)
    if _FLUSH[0] in entry:
        live["memoryFlush"] = {"kind": "succeeded", "compactionCount": entry[_FLUSH[1]]}
    return live


def _delivery(entry: Entry) -> dict[str, Any]:
    if "deliveryContext" not in entry:
        return {"kind": "none"}
    context: dict[str, Any] = entry["deliveryContext"]
    if context["channel"] == "webchat":
        return {"kind": "internal"}
    thread = {"threadId": context["threadId"]} if "threadId" in context else {}
    route = {"channel": context["channel"], "accountId": context["accountId"], "target": {"to": context["to"]}}
    if thread:
        route["thread"] = {"id": context["threadId"]}
    return {"kind": "external", "route": route, "context": context, "origin": {**entry["origin"], **thread}}


def _rows(session_id: str, lines: list[bytes]) -> Iterator[tuple[object, ...]]:
    """Yield the rows of one transcript."""
    packer = zstandard.ZstdCompressor(level=1, write_checksum=True)
    for seq, original in enumerate(lines):
        line = original
        for old, new in _RENAMED:
            line = line.replace(old, new)
        created_ms = int(_TIME.decode(line).timestamp.timestamp() * 1000)
        if len(line) < _PACKED_FROM:
            yield session_id, seq, line.decode(), created_ms, None, len(line), None
        else:
            yield session_id, seq, None, created_ms, packer.compress(line), len(line), '{"version":1}'
