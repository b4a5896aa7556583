"""The tables of a shared memory (openclaw#22962, A.3), and what sessionlab adds to them: which records changed, and where words stand.

The six tables are version 1 of that schema, column for column, so that other programs that know it read and write them as well; some of
its indexes have more columns here. What is ours has names that begin with `sessionlab_`; see `listing` for the triggers among it.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Final

from sessionlab.errors import CorruptStoreError, UnsupportedSchemaError
from sessionlab.parallel import foreign, listing
from sessionlab.parallel.listing import RECORDS, part_of

__all__ = ["RECORDS", "SHARED_TABLES", "VERSION", "define", "part_of", "refuse_empty", "refuse_others"]

VERSION: Final = 1
SHARED_TABLES: Final = """
CREATE TABLE IF NOT EXISTS channel_memory (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    session_key TEXT NOT NULL,
    channel_id TEXT NOT NULL,
    memory_type TEXT NOT NULL CHECK (memory_type IN ('decision', 'preference', 'summary', 'fact', 'action')),
    content TEXT NOT NULL,
    importance INTEGER DEFAULT 5 CHECK (importance BETWEEN 1 AND 10),
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    promoted_to_global INTEGER DEFAULT 0,
    embedding_id TEXT
);
CREATE INDEX IF NOT EXISTS idx_channel_memory_session ON channel_memory (session_key);
CREATE INDEX IF NOT EXISTS idx_channel_memory_channel ON channel_memory (channel_id);
CREATE INDEX IF NOT EXISTS idx_channel_memory_type ON channel_memory (memory_type);
CREATE INDEX IF NOT EXISTS idx_channel_memory_importance ON channel_memory (importance DESC);
CREATE TABLE IF NOT EXISTS global_knowledge (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    category TEXT NOT NULL,
    content TEXT NOT NULL,
    source_channel TEXT,
    source_session_key TEXT,
    confidence REAL DEFAULT 0.5 CHECK (confidence BETWEEN 0 AND 1),
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    embedding_id TEXT
);
CREATE INDEX IF NOT EXISTS idx_global_knowledge_category ON global_knowledge (category);
CREATE INDEX IF NOT EXISTS idx_global_knowledge_confidence ON global_knowledge (confidence DESC);
CREATE TABLE IF NOT EXISTS action_items (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    session_key TEXT,
    channel_id TEXT,
    description TEXT NOT NULL,
    status TEXT DEFAULT 'open' CHECK (status IN ('open', 'in_progress', 'completed', 'cancelled')),
    priority INTEGER DEFAULT 5 CHECK (priority BETWEEN 1 AND 10),
    due_at INTEGER,
    created_at INTEGER NOT NULL,
    completed_at INTEGER
);
CREATE INDEX IF NOT EXISTS idx_action_items_status ON action_items (status);
CREATE INDEX IF NOT EXISTS idx_action_items_channel ON action_items (channel_id);
CREATE TABLE IF NOT EXISTS person_context (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    canonical_id TEXT UNIQUE NOT NULL,
    display_name TEXT,
    relationship TEXT,
    notes TEXT,
    preferences TEXT,
    first_seen_at INTEGER,
    last_seen_at INTEGER,
    channel_ids TEXT
);
CREATE INDEX IF NOT EXISTS idx_person_context_name ON person_context (display_name);
CREATE TABLE IF NOT EXISTS session_state (
    session_key TEXT PRIMARY KEY,
    channel_id TEXT NOT NULL,
    chat_id TEXT,
    peer_id TEXT,
    status TEXT NOT NULL,
    message_count INTEGER DEFAULT 0,
    context_json TEXT,
    created_at INTEGER NOT NULL,
    last_activity_at INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL);
"""
_OURS: Final = """
CREATE TABLE IF NOT EXISTS sessionlab_leases (session_key TEXT PRIMARY KEY, owner TEXT NOT NULL, expires_at INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sessionlab_woken (
    session_key TEXT PRIMARY KEY,
    channel_id TEXT NOT NULL,
    chat_id TEXT,
    peer_id TEXT,
    status TEXT NOT NULL,
    message_count INTEGER,
    context_json TEXT,
    created_at INTEGER NOT NULL,
    last_activity_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sessionlab_meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
"""
_ORDERS: Final = {
    "idx_channel_memory_session": "channel_memory (session_key, importance DESC, created_at DESC, id DESC)",
    "idx_channel_memory_channel": "channel_memory (channel_id, importance DESC, created_at DESC, id DESC)",
    "idx_channel_memory_importance": "channel_memory (importance DESC, created_at DESC, id DESC)",
    "idx_global_knowledge_confidence": "global_knowledge (confidence DESC, updated_at DESC, id DESC)",
}
"""Indexes that go on to the order of answers: as good for what they were made for, and cheaper to keep than another beside each."""


def define(connection: sqlite3.Connection, path: Path) -> None:
    """Make what is not there yet, in the transaction that the caller has begun. Doing it again does nothing.

    Raises:
        UnsupportedSchemaError: The database is of a newer version.
        CorruptStoreError: It holds something else under these names.
    """
    refuse_others(connection, path)
    is_new = not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'sessionlab_changes'").fetchone()
    for statement in (*_split(SHARED_TABLES), *_split(_OURS), *_split(listing.DEFINITION)):
        connection.execute(statement)
    for name, columns in _ORDERS.items():
        statement = f"CREATE INDEX {name} ON {columns}"
        if connection.execute("SELECT sql FROM sqlite_master WHERE name = ?", (name,)).fetchone() != (statement,):
            connection.execute(f"DROP INDEX IF EXISTS {name}")
            connection.execute(statement)
    # A bound parameter, and only when absent: two that initialise at once leave one row (A.40).
    connection.execute("INSERT INTO schema_version SELECT ? WHERE NOT EXISTS (SELECT 1 FROM schema_version)", (VERSION,))
    listing.mend(connection, is_new=is_new)


def refuse_empty(connection: sqlite3.Connection, path: Path) -> None:
    """Raise `CorruptStoreError` when nothing was ever defined in a database: whoever only looks must not take it for an empty one."""
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'schema_version'").fetchone():
        raise CorruptStoreError(path, "is empty: there never was a shared memory in it, or it was cut", advice="restore it from a backup")


def refuse_others(connection: sqlite3.Connection, path: Path) -> None:
    """Raise when a database is of a newer version, or of something else; see `define`. Reads only.

    From here on the connection gives every text that another program has stored, also what is no UTF-8; see `foreign.text`.
    """
    connection.text_factory = foreign.text
    names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if "schema_version" not in names:
        if names - {"sqlite_sequence"}:
            reason = f"is a database of something else: it has a table {min(names)!r}, and no schema_version"
            raise CorruptStoreError(path, reason, advice="name another file")
        return
    versions = [row[0] for row in connection.execute("SELECT version FROM schema_version")]
    if not all(isinstance(version, int) for version in versions):
        raise CorruptStoreError(path, "has a schema version that is no number", advice="restore it from a backup")
    if max(versions, default=VERSION) > VERSION:
        raise UnsupportedSchemaError(path, found=max(versions), supported=str(VERSION))


def _split(script: str) -> list[str]:
    return [statement for part in script.split(";") if (statement := part.strip())]
