"""The rows of one session in `sessions.sqlite`: reading them as an entry, and writing what differs and nothing else."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from sessionlab import codec
from sessionlab.entry import Entry
from sessionlab.errors import CorruptStoreError
from sessionlab.stores import sqlite_document
from sessionlab.stores.sqlite_document import BigField, Document
from sessionlab.stores.sqlite_schema import COLUMNS, columns_of

_PARTS: Final = "CAST(documents.entry_json AS BLOB), big_fields.name, big_fields.digest, CAST(big_fields.value AS BLOB)"
_TABLES: Final = "sessions LEFT JOIN documents ON documents.id = sessions.id LEFT JOIN big_fields ON big_fields.session = sessions.id"
SELECT_ONE: Final = f"SELECT {_PARTS} FROM {_TABLES} WHERE sessions.session_key = ? ORDER BY big_fields.place"
SELECT_ALL: Final = f"SELECT sessions.session_key, {_PARTS} FROM {_TABLES} ORDER BY sessions.id, big_fields.place"
_SELECT_RAW: Final = f"""
    SELECT CAST(documents.entry_json AS BLOB), CAST(big_fields.value AS BLOB) FROM {_TABLES} WHERE session_key = ? ORDER BY place
"""
_SELECT_SLIM: Final = f"""
    SELECT sessions.id, CAST(documents.entry_json AS BLOB), {", ".join(COLUMNS)}
    FROM sessions LEFT JOIN documents ON documents.id = sessions.id WHERE session_key = ?
"""
_INSERT_SESSION: Final = f"INSERT INTO sessions (session_key, {', '.join(COLUMNS)}) VALUES (?{', ?' * len(COLUMNS)})"
_INSERT_BIG: Final = "INSERT INTO big_fields VALUES (?, ?, ?, ?, CAST(? AS TEXT))"
_UPDATE_BIG: Final = "UPDATE big_fields SET digest = ?, value = CAST(? AS TEXT) WHERE session = ? AND place = ?"
_DECODER: Final = msgspec.json.Decoder()


class Row(NamedTuple):
    """What is stored of a session, its big values apart."""

    number: int
    slim: bytes
    columns: tuple[Any, ...]


class Stored(NamedTuple):
    """A session as it is stored, not decoded."""

    slim: bytes
    big: tuple[BigField, ...]

    def entry(self, key: str, path: Path, *, is_verified: bool = False) -> Entry:
        """Decode it, strictly unless that was done before.

        A big value was found to be strict JSON when it was written: that it has its digest still takes a sixth of finding that out again.

        Raises:
            CorruptStoreError: It cannot be read, or is not what was written.
        """
        entry = codec.decode_entry(self.slim, path=path, key=key)
        if sqlite_document.mark_count(self.slim) != len(self.big):
            raise _not_as_written(key, path)
        for name, digest, value in self.big:
            if entry.get(name) != [] or not (is_verified or sqlite_document.digest_of(value) == digest):
                raise _not_as_written(key, path)
            entry[name] = _DECODER.decode(value)
        return entry

    def raw(self, key: str, path: Path) -> bytes:
        """Return its JSON, byte for byte as it was stored.

        Raises:
            CorruptStoreError: A part is missing.
        """
        data = sqlite_document.joined(self.slim, [one.value for one in self.big])
        if data is None:
            raise _not_as_written(key, path)
        return data


def read(connection: sqlite3.Connection, key: str, path: Path) -> Stored | None:
    """Return one session; `None` when there is none.

    Raises:
        CorruptStoreError: Its entry is missing.
    """
    try:
        rows = connection.execute(SELECT_ONE, (key,)).fetchall()
    except UnicodeEncodeError:  # half a surrogate pair: nothing can be stored under it
        return None
    return _stored(rows, key, path) if rows else None


def read_raw(connection: sqlite3.Connection, key: str, path: Path) -> bytes | None:
    """Return one session's JSON as it was stored; `None` when there is none.

    Raises:
        CorruptStoreError: A part of it is missing.
    """
    try:
        rows = connection.execute(_SELECT_RAW, (key,)).fetchall()
    except UnicodeEncodeError:  # half a surrogate pair: nothing can be stored under it
        return None
    if not rows:
        return None
    values = [value for _, value in rows if value is not None]
    data = sqlite_document.joined(rows[0][0] or sqlite_document.MARK, values)
    if data is None:
        raise _not_as_written(key, path)
    return data


def grouped(batches: Iterable[list[tuple[Any, ...]]], path: Path) -> Iterator[tuple[str, Stored]]:
    """Yield the sessions in rows of `SELECT_ALL`.

    Raises:
        CorruptStoreError: At the first whose entry is missing.
    """
    key: str | None = None
    waiting: list[tuple[Any, ...]] = []
    for rows in batches:
        for row in rows:
            if row[0] != key:
                if key is not None:
                    yield key, _stored(waiting, key, path)
                key, waiting = row[0], []
            waiting.append(row[1:])
    if key is not None:
        yield key, _stored(waiting, key, path)


def find(connection: sqlite3.Connection, key: str, path: Path) -> Row | None:
    """Return what is stored of a session without its big values; `None` when there is none."""
    row = connection.execute(_SELECT_SLIM, (key,)).fetchone()
    if row is None:
        return None
    if row[1] is None:
        raise _no_entry(key, path)
    return Row(row[0], row[1], row[2:])


def write(connection: sqlite3.Connection, key: str, entry: Entry, document: Document, *, before: Row | None) -> None:
    """Store a session inside the open transaction. Of one that is there, only what differs is written.

    Args:
        connection: The connection.
        key: The session, normalised.
        entry: Its fields; big ones need not have their values.
        document: The entry, taken apart.
        before: What is stored of it.
    """
    columns = columns_of(key, entry)
    if before is None:
        number = connection.execute(_INSERT_SESSION, (key, *columns)).lastrowid or 0
        connection.execute("INSERT INTO documents VALUES (?, CAST(? AS TEXT))", (number, document.slim))
        _insert_big(connection, number, document.big)
        return
    if columns != before.columns:
        changes = [(name, new) for name, old, new in zip(COLUMNS, before.columns, columns, strict=True) if new != old]
        names = ", ".join(f"{name} = ?" for name, _ in changes)
        connection.execute(f"UPDATE sessions SET {names} WHERE id = ?", (*(value for _, value in changes), before.number))
    if document.slim != before.slim:
        connection.execute("UPDATE documents SET entry_json = CAST(? AS TEXT) WHERE id = ?", (document.slim, before.number))
    if document.has_fresh_values() or len(document.big) != sqlite_document.mark_count(before.slim):
        _write_big(connection, before.number, document.big)


def remove(connection: sqlite3.Connection, key: str) -> bool:
    """Remove a session inside the open transaction; say whether there was one."""
    try:
        return connection.execute("DELETE FROM sessions WHERE session_key = ?", (key,)).rowcount > 0
    except UnicodeEncodeError:
        return False


def _write_big(connection: sqlite3.Connection, number: int, big: Sequence[BigField]) -> None:
    """Make a session's big fields these."""
    stored = connection.execute("SELECT place, name, digest FROM big_fields WHERE session = ? ORDER BY place", (number,)).fetchall()
    if [name for _, name, _ in stored] == [new.name for new in big]:
        for (place, _, digest), new in zip(stored, big, strict=True):
            if new.value and new.digest != digest:
                connection.execute(_UPDATE_BIG, (new.digest, new.value, number, place))
        return
    rows = connection.execute("SELECT name, digest, CAST(value AS BLOB) FROM big_fields WHERE session = ?", (number,)).fetchall()
    kept = {row[0]: BigField(*row) for row in rows}
    connection.execute("DELETE FROM big_fields WHERE session = ?", (number,))
    _insert_big(connection, number, [new if new.value else kept[new.name] for new in big])


def _insert_big(connection: sqlite3.Connection, number: int, big: Sequence[BigField]) -> None:
    for place, (name, digest, value) in enumerate(big):
        connection.execute(_INSERT_BIG, (number, place, name, digest, value))


def _stored(rows: Sequence[tuple[Any, ...]], key: str, path: Path) -> Stored:
    slim = rows[0][0]
    if slim is None:
        raise _no_entry(key, path)
    return Stored(slim, tuple(BigField(*row[1:]) for row in rows) if rows[0][1] is not None else ())


def _no_entry(key: str, path: Path) -> CorruptStoreError:
    return CorruptStoreError(path, f"the entry of {key[:80]!r} is missing", advice="restore it from a backup")


def _not_as_written(key: str, path: Path) -> CorruptStoreError:
    reason = f"the entry of {key[:80]!r} is not what was written: a big field is missing or damaged"
    return CorruptStoreError(path, reason, advice="restore it from a backup")
