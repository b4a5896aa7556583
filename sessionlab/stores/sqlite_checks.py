"""What can be wrong with a `sessions.sqlite`: the file itself, rows that do not belong together, columns that say something else."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sessionlab.entry import Entry
from sessionlab.errors import CorruptStoreError, StoreError
from sessionlab.stores import sqlite_rows
from sessionlab.stores.base import Problem
from sessionlab.stores.checks import entry_problems, worst_first
from sessionlab.stores.sqlite_connection import Connections
from sessionlab.stores.sqlite_opening import Opened
from sessionlab.stores.sqlite_schema import COLUMNS, columns_of

_SELECT_KEYS = "SELECT session_key FROM sessions ORDER BY id"
_RESTORE = "restore it from a backup"


def check_store(connections: Connections, *, path: Path) -> tuple[Problem, ...]:
    """Read everything strictly, in one transaction, and return what is wrong, worst first.

    Raises:
        UnreadableError: The system refuses.
        StoreLockedError: Another program has locked it.
    """
    try:
        return connections.ask(lambda opened: () if opened is None else _check(opened, path))
    except CorruptStoreError as error:
        return (_damage(path, error.reason),)


def _check(opened: Opened, path: Path) -> tuple[Problem, ...]:
    connection = opened.connection
    with opened.reading():
        try:
            found = [_damage(path, line) for (line,) in connection.execute("PRAGMA integrity_check") if line != "ok"]
            orphans = [row[0] for row in connection.execute("PRAGMA foreign_key_check")]
            found += [_orphan(path, table, orphans.count(table)) for table in sorted(set(orphans))]
            found += entry_problems(_sound(connection, path, found), path=path)
        except sqlite3.DatabaseError as error:
            found = [_damage(path, str(error))]
    return worst_first(found)


def _sound(connection: sqlite3.Connection, path: Path, found: list[Problem]) -> Iterator[tuple[str, Entry]]:
    """Yield the entries that can be read, and note those that cannot, and what their columns say wrongly."""
    for (key,) in connection.execute(_SELECT_KEYS).fetchall():
        try:
            row = sqlite_rows.find(connection, key, path)
            if row is None:
                continue
            entry = sqlite_rows.read_big(connection, row).entry(key, path)
        except StoreError as error:
            message = error.reason
            found.append(Problem(code="bad_entry", severity="error", message=message, path=str(path), key=key, advice=_RESTORE))
            continue
        found += _wrong_columns(key, row.columns, entry, path)
        yield key, entry


def _wrong_columns(key: str, columns: tuple[Any, ...], entry: Entry, path: Path) -> list[Problem]:
    wanted = columns_of(key, entry)
    wrong = [name for name, old, new in zip(COLUMNS, columns, wanted, strict=True) if (old, type(old)) != (new, type(new))]
    message = f"the index says something else than the entry: {', '.join(wrong)}"
    advice = "store this session again"
    return [Problem(code="wrong_index", severity="error", message=message, path=str(path), key=key, advice=advice)] if wrong else []


def _damage(path: Path, message: str) -> Problem:
    return Problem(code="damaged_database", severity="error", message=message, path=str(path), advice=_RESTORE)


def _orphan(path: Path, table: str, count: int) -> Problem:
    message = f"rows of {table} that belong to no session"
    return Problem(code="orphaned_rows", severity="error", message=message, path=str(path), advice=_RESTORE, count=count)
