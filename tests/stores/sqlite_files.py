"""A `sessions.sqlite` read, changed and damaged by plain `sqlite3` and `os`, for tests that must not trust the store."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sessionlab.stores.sqlite_schema import COLUMNS, columns_of

MARK = b"[\n]"
HOT = ("updated_at", "input_tokens", "output_tokens", "total_tokens", "context_tokens", "compaction_count")
"""Bit n of `hot` says that the mark `[\\tn]` stands for what the n-th of these columns holds."""


@contextlib.contextmanager
def plain(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a database as the sqlite3 program would."""
    connection = sqlite3.connect(path, isolation_level=None, timeout=10)
    connection.execute("PRAGMA foreign_keys = ON")
    try:
        yield connection
    finally:
        connection.close()


def entries(path: Path) -> dict[str, bytes]:
    """Return key -> entry bytes in the store's order, put together as the schema says and each big value held against its checksum."""
    found = {}
    with plain(path) as connection:
        parts = f"s.id, session_key, CAST(entry_json AS BLOB), hot, {', '.join(HOT)}"
        rows = f"SELECT {parts} FROM sessions s JOIN documents d ON d.id = s.id ORDER BY s.id"
        for number, key, slim, hot, *values in connection.execute(rows).fetchall():
            big = connection.execute("SELECT crc32, CAST(value AS BLOB) FROM big_fields WHERE session = ? ORDER BY place", (number,))
            data = slim
            for place, value in enumerate(values):
                mark = b"[\t%d]" % place
                assert data.count(mark) == hot >> place & 1
                data = data.replace(mark, str(value).encode())
            for checksum, value in big:
                assert zlib.crc32(value) == checksum
                data = data.replace(MARK, value, 1)
            assert MARK not in data
            found[key] = data
    return found


def plant(path: Path, content: Mapping[str, bytes]) -> None:
    """Store these bytes as entries, whole, as another program would; they need not be JSON."""
    with plain(path) as connection:
        connection.execute("BEGIN IMMEDIATE")
        for key, raw in content.items():
            connection.execute("INSERT OR IGNORE INTO sessions (session_key, session_id) VALUES (?, '?')", (key,))
            (number,) = connection.execute("SELECT id FROM sessions WHERE session_key = ?", (key,)).fetchone()
            connection.execute("UPDATE sessions SET hot = 0 WHERE id = ?", (number,))
            connection.execute("DELETE FROM documents WHERE id = ?", (number,))
            connection.execute("INSERT INTO documents VALUES (?, CAST(? AS TEXT))", (number, raw))
            values = _columns(key, raw)
            connection.execute(f"UPDATE sessions SET {' = ?, '.join(COLUMNS)} = ? WHERE id = ?", (*values, number))
        connection.execute("COMMIT")


def _columns(key: str, raw: bytes) -> tuple[Any, ...]:
    try:
        return columns_of(key, json.loads(raw))
    except Exception:  # noqa: BLE001 - the index of what is no entry does not matter
        return columns_of(key, {"sessionId": "?", "updatedAt": 1})
