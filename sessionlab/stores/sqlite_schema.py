"""The format of `sessions.sqlite`: tables, version, and how a file is recognised, made and upgraded. After openclaw#58550.

The `sessions` table has that proposal's columns and indexes, and those that a listing needs besides: `started_at`, `ended_at`, `chat_type`,
`context_tokens`, `compaction_count`, `parent_key`, `session_file`. Where it differs:

- `entry_json` lies in `documents`, and big fields of it in `big_fields`, so that a listing reads neither, and changing one field does not
  write the others.
- Columns are an index only, made from the entry, which alone is the truth (B.5); except that hot fields, as `hot` says of each session,
  are in their columns and nowhere else, so that what changes with every message is written without reading the entry.
- `updated_at` may be NULL: an entry need not say. `created_at` is what the entry says, not `startedAt`, which has a column of its own.
- `session_key` is one spelling by constraint: what SQLite can tell (spaces, ASCII letters) no program can store twice.
  Nor can it store a reserved key.
- `meta` has what concerns the store as a whole: the record of its promotion, see `promotion`.

A big field has a CRC-32, by which damage is told at half the price of a SHA-256; whether two values are equal, their bytes say.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from sessionlab.entry import last_route, summary_of
from sessionlab.errors import CorruptStoreError, UnsupportedSchemaError
from sessionlab.layout import SQLITE_APPLICATION_ID

VERSION: Final = 1

TRUTH: Final = "sessionlab_truth"
"""The name under which Python's sqlite3 makes `True` of 1, in what declares it."""

SCHEMA: Final = (
    """
    CREATE TABLE sessions (
        id INTEGER PRIMARY KEY,
        session_key TEXT NOT NULL UNIQUE
            CHECK (session_key = lower(trim(session_key)) AND session_key NOT IN ('__proto__', 'prototype', 'constructor')),
        session_id TEXT NOT NULL,
        updated_at INTEGER,
        created_at INTEGER,
        started_at INTEGER,
        ended_at INTEGER,
        status TEXT,
        chat_type TEXT,
        channel TEXT,
        label TEXT,
        display_name TEXT,
        model_provider TEXT,
        model TEXT,
        input_tokens INTEGER,
        output_tokens INTEGER,
        total_tokens INTEGER,
        context_tokens INTEGER,
        compaction_count INTEGER,
        parent_key TEXT,
        session_file TEXT,
        last_thread_id TEXT,
        archived INTEGER NOT NULL DEFAULT 0,
        last_channel TEXT,
        last_to TEXT,
        last_account_id TEXT,
        message_count INTEGER,
        hot INTEGER NOT NULL DEFAULT 0
    )
    """,
    "CREATE INDEX idx_sessions_updated_at ON sessions (updated_at DESC, session_key)",
    "CREATE INDEX idx_sessions_channel ON sessions (channel)",
    "CREATE INDEX idx_sessions_status ON sessions (status)",
    "CREATE INDEX idx_sessions_last_channel ON sessions (last_channel)",
    "CREATE INDEX idx_sessions_archived ON sessions (archived)",
    "CREATE TABLE documents (id INTEGER PRIMARY KEY REFERENCES sessions ON DELETE CASCADE, entry_json TEXT NOT NULL)",
    """
    CREATE TABLE big_fields (
        session INTEGER NOT NULL REFERENCES documents ON DELETE CASCADE,
        place INTEGER NOT NULL,
        name TEXT NOT NULL,
        crc32 INTEGER NOT NULL,
        value TEXT NOT NULL
    )
    """,
    "CREATE UNIQUE INDEX idx_big_fields_session ON big_fields (session, place)",
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
)
UPGRADES: Mapping[int, Sequence[str]] = {}
"""Version -> the statements that lead from it to the next one."""

COLUMNS: Final = (
    *("session_id", "updated_at", "created_at", "started_at", "ended_at", "status", "chat_type", "channel", "label", "display_name"),
    *("model_provider", "model", "input_tokens", "output_tokens", "total_tokens", "context_tokens", "compaction_count", "parent_key"),
    *("session_file", "last_thread_id", "archived", "last_channel", "last_to", "last_account_id"),
)
"""The columns that are made from an entry, in the order of `columns_of`; those up to `archived` make a summary."""

HOT_COLUMNS: Final = ("updated_at", "input_tokens", "output_tokens", "total_tokens", "context_tokens", "compaction_count")
"""The columns of `sqlite_document.HOT_FIELDS`, in their order."""

_SUMMARY: Final = ("session_key", *COLUMNS[: COLUMNS.index("archived")], f'archived AS "archived [{TRUTH}]"')
SELECT_SUMMARIES: Final = (
    f"SELECT {', '.join(_SUMMARY)} FROM sessions INDEXED BY idx_sessions_updated_at ORDER BY updated_at DESC, session_key"
)
"""Its rows are the fields of a `SessionSummary`, in their order."""

# Bound methods of built-in types: no Python runs for a row.
sqlite3.register_converter(TRUTH, b"1".__eq__)


def columns_of(key: str, entry: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return what the columns say of an entry."""
    one = summary_of(key, entry)
    return (
        *(one.session_id, one.updated_ms, one.created_ms, one.started_ms, one.ended_ms, one.status, one.chat_type, one.channel, one.label),
        *(one.display_name, one.model_provider, one.model, one.input_tokens, one.output_tokens, one.total_tokens, one.context_tokens),
        *(one.compaction_count, one.parent_key, one.session_file, one.thread_id, int(one.archived), *last_route(entry)),
    )


def recognise(connection: sqlite3.Connection, path: Path) -> int:
    """Return the format version of a database, reading only.

    Raises:
        CorruptStoreError: It is not one of ours, or was never finished.
        UnsupportedSchemaError: It is newer than this sessionlab.
        sqlite3.Error: It cannot be read.
    """
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application == version == 0 and not connection.execute("PRAGMA page_count").fetchone()[0]:
        raise CorruptStoreError(path, "is empty: it has no bytes, not even those of a database", advice="move it away, or restore a backup")
    if application != SQLITE_APPLICATION_ID:
        raise CorruptStoreError(path, "is a database, but not a session store of sessionlab", advice="move it away, or name another file")
    if version > VERSION:
        raise UnsupportedSchemaError(path, found=version, supported=f"1 to {VERSION}")
    if version < 1:
        raise CorruptStoreError(path, "has no format version: it was never finished", advice="restore it from a backup")
    return int(version)


def define(connection: sqlite3.Connection) -> None:
    """Make the tables in an empty database, in one transaction."""
    connection.execute("BEGIN IMMEDIATE")
    for statement in SCHEMA:
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {SQLITE_APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {VERSION}")
    connection.execute("COMMIT")


def upgrade(connection: sqlite3.Connection, path: Path) -> None:
    """Bring a database to today's version inside the transaction that is open; none is written when it has it."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > VERSION:
        raise UnsupportedSchemaError(path, found=version, supported=f"1 to {VERSION}")
    while version < VERSION:
        for statement in UPGRADES[version]:
            connection.execute(statement)
        version += 1
        connection.execute(f"PRAGMA user_version = {version}")
