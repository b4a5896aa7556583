"""What a shared memory holds, looked at with plain SQLite and without the code that is put to the torture."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import sqlite3
import tempfile
from pathlib import Path
from typing import Final

Looks = list[tuple[str, str, int]]
Rows = dict[str, list[tuple[object, ...]]]
"""Table, or "schema" -> its rows."""

_BY_CHANCE: Final = {"sessionlab_changes": ("at", "seq"), "sessionlab_leases": ("owner",)}
"""Columns that are others every time, or when the same was done in another order."""


def snapshot(path: Path) -> Rows:
    """Return what a shared memory holds, its schema included; nothing for none. Of an index of texts only that it is whole.

    Raises:
        AssertionError: It is damaged.
    """
    if not path.exists():
        return {}
    with contextlib.closing(sqlite3.connect(path, timeout=5)) as connection:
        found = [row[0] for row in connection.execute("PRAGMA integrity_check")]
        assert found == ["ok"], f"is damaged: {found}"
        schema = connection.execute("SELECT type, name, sql FROM sqlite_master ORDER BY type, name").fetchall()
        tables = [name for kind, name, _ in schema if kind == "table"]
        indexes = [name for _, name, sql in schema if (sql or "").startswith("CREATE VIRTUAL TABLE")]
        for index in indexes:
            connection.execute(f"INSERT INTO {index} ({index}) VALUES ('integrity-check')")  # raises if it is not; changes nothing
        connection.rollback()
        content = {name: _rows(connection, name) for name in tables if not any(f"{name}_".startswith(f"{index}_") for index in indexes)}
    return {"schema": schema} | content if schema else {}


def snapshot_of_copy(path: Path) -> Rows:
    """Return the same, and leave the recovery of what lies there to others."""
    with tempfile.TemporaryDirectory(prefix="look-", dir=path.parent.parent) as place:
        for file in path.parent.glob(f"{path.name}*") if path.parent.is_dir() else ():
            shutil.copy(file, place)
        return snapshot(Path(place) / path.name)


def digest_of(rows: Rows) -> str:
    """Return a digest of it."""
    return hashlib.sha256(repr(rows).encode()).hexdigest()


def difference(wanted: Rows, found: Rows) -> str:
    """Return in words which tables differ, and in how many rows."""
    tables = sorted(table for table in wanted.keys() | found.keys() if wanted.get(table) != found.get(table))
    return ", ".join(f"{table} ({len(wanted.get(table, ()))} rows wanted, {len(found.get(table, ()))} found)" for table in tables)


def _rows(connection: sqlite3.Connection, table: str) -> list[tuple[object, ...]]:
    names = [row[1] for row in connection.execute(f"PRAGMA table_info({table})") if row[1] not in _BY_CHANCE.get(table, ())]
    return sorted(connection.execute(f"SELECT {', '.join(names)} FROM {table}"), key=repr)
