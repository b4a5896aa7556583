"""The rows of one session in `sessions.sqlite`: reading them as an entry, and writing what differs and nothing else."""

from __future__ import annotations

import functools
import operator
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from sessionlab import codec
from sessionlab.entry import Entry, summary_of
from sessionlab.errors import CorruptStoreError
from sessionlab.stores import sqlite_document
from sessionlab.stores.sqlite_document import HOT_FIELDS, BigField, Document
from sessionlab.stores.sqlite_schema import COLUMNS, HOT_COLUMNS, columns_of

_hot_values: Final = operator.itemgetter(*map(COLUMNS.index, HOT_COLUMNS))
_BIG: Final = "big_fields.name, big_fields.crc32, CAST(big_fields.value AS BLOB)"
_PARTS: Final = f"CAST(documents.entry_json AS BLOB), {_BIG}, hot, {', '.join(HOT_COLUMNS)}"
_TABLES: Final = "sessions LEFT JOIN documents ON documents.id = sessions.id LEFT JOIN big_fields ON big_fields.session = sessions.id"
_SELECT_ONE: Final = f"SELECT {_PARTS} FROM {_TABLES} WHERE sessions.session_key = ? ORDER BY big_fields.place"
_SELECT_RAW: Final = f"""
    SELECT CAST(documents.entry_json AS BLOB), CAST(big_fields.value AS BLOB), hot, {", ".join(HOT_COLUMNS)}
    FROM {_TABLES} WHERE session_key = ? ORDER BY place
"""
_IN_ORDER: Final = "ORDER BY sessions.id, big_fields.place"
SELECT_ALL: Final = f"SELECT sessions.session_key, {_PARTS} FROM {_TABLES} {_IN_ORDER}"
_SELECT_ROW: Final = f"""
    SELECT sessions.id, CAST(documents.entry_json AS BLOB), hot, {", ".join(COLUMNS)}
    FROM sessions LEFT JOIN documents ON documents.id = sessions.id WHERE session_key = ?
"""
_SELECT_BIG: Final = f"SELECT {_BIG} FROM big_fields WHERE session = ? ORDER BY place"
_INSERT_SESSION: Final = f"INSERT INTO sessions (session_key, hot, {', '.join(COLUMNS)}) VALUES (?, ?{', ?' * len(COLUMNS)})"
_INSERT_BIG: Final = "INSERT INTO big_fields VALUES (?, ?, ?, ?, CAST(? AS TEXT))"
_UPDATE_BIG: Final = """
    UPDATE big_fields SET crc32 = ?1, value = CAST(?2 AS TEXT)
    WHERE session = ?3 AND place = ?4 AND (crc32 <> ?1 OR value <> CAST(?2 AS TEXT))
"""
_WRITTEN: Final = ("hot", *COLUMNS)
_DECODER: Final = msgspec.json.Decoder()


class Stored(NamedTuple):
    """A session as it is stored, not decoded."""

    slim: bytes
    hot: int
    values: tuple[Any, ...]
    """What the columns of the hot fields say."""
    big: tuple[BigField, ...] = ()

    def entry(self, key: str, path: Path) -> Entry:
        """Decode it, strictly.

        A big value was found to be strict JSON when it was written: that it has its checksum still takes a tenth of finding that out again.

        Raises:
            CorruptStoreError: It cannot be read, or is not what was written.
        """
        entry = self.slim_entry(key, path)
        if sqlite_document.mark_count(self.slim) != len(self.big):
            raise _not_as_written(key, path)
        for one in self.big:
            if entry.get(one.name) != [] or not one.is_sound():
                raise _not_as_written(key, path)
            entry[one.name] = _DECODER.decode(one.value)
        return entry

    def slim_entry(self, key: str, path: Path) -> Entry:
        """Decode it strictly, with an empty list in place of each big value.

        Raises:
            CorruptStoreError: It cannot be read, or is not what was written.
        """
        entry = codec.decode_entry(self.slim, path=path, key=key)
        if not sqlite_document.fill(entry, self.slim, self.hot, self.values):
            raise _not_as_written(key, path)
        return entry

    def updated_ms(self, key: str, path: Path) -> int | None:
        """Return when it was last updated, decoding nothing if the column alone says it."""
        if self.hot & 1 and sqlite_document.is_plain(self.values[0]):
            return int(self.values[0])
        return summary_of(key, self.slim_entry(key, path)).updated_ms

    def raw(self, key: str, path: Path) -> bytes:
        """Return its JSON, byte for byte as it was stored.

        Raises:
            CorruptStoreError: A part is missing.
        """
        data = _whole(self.slim, self.hot, self.values, [one.value for one in self.big])
        if data is None:
            raise _not_as_written(key, path)
        return data


class Row(NamedTuple):
    """What is stored of a session, its big values apart."""

    number: int
    slim: bytes
    hot: int
    columns: tuple[Any, ...]

    def stored(self, big: Iterable[BigField] = ()) -> Stored:
        """Return it as what reading gives."""
        return Stored(self.slim, self.hot, _hot_values(self.columns), tuple(big))


class Parts(NamedTuple):
    """A session taken apart, to be written."""

    key: str
    columns: tuple[Any, ...]
    document: Document


def taken_apart(key: str, entry: Entry, data: bytes) -> Parts:
    """Take a session apart, which is also there as compact JSON."""
    return Parts(key, columns_of(key, entry), sqlite_document.split(data, entry))


def read(connection: sqlite3.Connection, key: str, path: Path) -> Stored | None:
    """Return one session; `None` when there is none.

    Raises:
        CorruptStoreError: Its entry is missing.
    """
    try:
        rows = connection.execute(_SELECT_ONE, (key,)).fetchall()
    except UnicodeEncodeError:  # half a surrogate pair: nothing can be stored under it
        return None
    return _stored(rows, key, path) if rows else None


def read_several(connection: sqlite3.Connection, wanted: Sequence[str], path: Path) -> list[tuple[str, Stored]]:
    """Return (key, session) of those keys that there are; SQLite takes some hundred of them at once.

    Raises:
        CorruptStoreError: At the first whose entry is missing.
    """
    places = ", ".join("?" * len(wanted))
    query = f"SELECT sessions.session_key, {_PARTS} FROM {_TABLES} WHERE sessions.session_key IN ({places}) {_IN_ORDER}"
    return list(grouped([connection.execute(query, wanted).fetchall()], path))


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
    slim, value, hot, *values = rows[0]
    if slim is None:
        raise _no_entry(key, path)
    data = _whole(slim, hot, values, [row[1] for row in rows] if value is not None else [])
    if data is None:
        raise _not_as_written(key, path)
    return data


def read_big(connection: sqlite3.Connection, row: Row) -> Stored:
    """Return a session with its big values."""
    return row.stored(map(BigField._make, connection.execute(_SELECT_BIG, (row.number,))))


def grouped(batches: Iterable[list[tuple[Any, ...]]], path: Path) -> Iterator[tuple[str, Stored]]:
    """Yield the sessions in rows of `SELECT_ALL`.

    Raises:
        CorruptStoreError: At the first whose entry is missing.
    """
    for key, rows in _by_key(batches):
        yield key, _stored(rows, key, path)


def examined(batches: Iterable[list[tuple[Any, ...]]], path: Path) -> Iterator[tuple[str, bytes | CorruptStoreError]]:
    """Yield the JSON of the sessions in rows of `SELECT_ALL`, as it was stored; of one that is missing or damaged, why it cannot be had.

    Big values are compared with their checksums, the rest is not decoded.
    """
    for key, rows in _by_key(batches):
        try:
            stored = _stored(rows, key, path)
            raw = stored.raw(key, path)
            if not all(one.is_sound() for one in stored.big):
                raise _not_as_written(key, path)
        except CorruptStoreError as error:
            yield key, error
        else:
            yield key, raw


def _by_key(batches: Iterable[list[tuple[Any, ...]]]) -> Iterator[tuple[str, list[tuple[Any, ...]]]]:
    key: str | None = None
    waiting: list[tuple[Any, ...]] = []
    for rows in batches:
        for row in rows:
            if row[0] != key:
                if key is not None:
                    yield key, waiting
                key, waiting = row[0], []
            waiting.append(row[1:])
    if key is not None:
        yield key, waiting


def find(connection: sqlite3.Connection, key: str, path: Path) -> Row | None:
    """Return what is stored of a session without its big values; `None` when there is none."""
    try:
        row = connection.execute(_SELECT_ROW, (key,)).fetchone()
    except UnicodeEncodeError:  # half a surrogate pair: nothing can be stored under it
        return None
    if row is None:
        return None
    if row[1] is None:
        raise _no_entry(key, path)
    return Row(row[0], row[1], row[2], row[3:])


def touch(connection: sqlite3.Connection, key: str, fields: Mapping[str, int], *, now_ms: int) -> bool:
    """Set hot fields of a session whose values are in columns only, as `entry.merge` would; say whether there is such a session.

    Nothing is read or decoded: that is what the columns are for.
    """
    latest = max(now_ms, fields.get("updatedAt", now_ms))
    others = [name for name in HOT_FIELDS[1:] if name in fields]
    hot = sqlite_document.hot_bits(fields) | 1
    values = [fields[name] for name in others]
    return connection.execute(_touching(tuple(others)), (latest, *values, key, hot, hot)).rowcount > 0


@functools.cache
def _touching(names: tuple[str, ...]) -> str:
    """Return the statement that sets the update time and these fields."""
    columns = "".join(f", {HOT_COLUMNS[HOT_FIELDS.index(name)]} = ?" for name in names)
    return f"""
        UPDATE sessions SET updated_at = max(updated_at, ?){columns}
        WHERE session_key = ? AND hot & ? = ? AND typeof(updated_at) = 'integer'
    """


def write(connection: sqlite3.Connection, session: Parts, path: Path, *, before: Row | None) -> None:
    """Store a session inside the open transaction. Of one that is there, `before`, only what differs is written.

    Raises:
        CorruptStoreError: A value that is to stay is missing.
    """
    key, columns, document = session
    if before is None:
        number = connection.execute(_INSERT_SESSION, (key, document.hot, *columns)).lastrowid or 0
        connection.execute("INSERT INTO documents VALUES (?, CAST(? AS TEXT))", (number, document.slim))
        _insert_big(connection, number, document.big)
        return
    if columns != before.columns or document.hot != before.hot:
        old_and_new = zip(_WRITTEN, (before.hot, *before.columns), (document.hot, *columns), strict=True)
        changes = [(name, new) for name, old, new in old_and_new if new != old]
        names = ", ".join(f"{name} = ?" for name, _ in changes)
        connection.execute(f"UPDATE sessions SET {names} WHERE id = ?", (*(value for _, value in changes), before.number))
    if document.slim != before.slim:
        connection.execute("UPDATE documents SET entry_json = CAST(? AS TEXT) WHERE id = ?", (document.slim, before.number))
    has_other_values = document.has_fresh_values() or len(document.big) != sqlite_document.mark_count(before.slim)
    if has_other_values and not _write_big(connection, before.number, document.big):
        raise _not_as_written(key, path)


def remove(connection: sqlite3.Connection, key: str) -> bool:
    """Remove a session inside the open transaction; say whether there was one."""
    try:
        return connection.execute("DELETE FROM sessions WHERE session_key = ?", (key,)).rowcount > 0
    except UnicodeEncodeError:
        return False


def _write_big(connection: sqlite3.Connection, number: int, big: Sequence[BigField]) -> bool:
    """Make a session's big fields these; say whether all that are to stay are there."""
    stored = connection.execute("SELECT place, name FROM big_fields WHERE session = ? ORDER BY place", (number,)).fetchall()
    if [name for _, name in stored] == [new.name for new in big]:
        for (place, _), new in zip(stored, big, strict=True):
            if new.value:
                connection.execute(_UPDATE_BIG, (new.checksum, new.value, number, place))
        return True
    kept = {one.name: one for one in map(BigField._make, connection.execute(_SELECT_BIG, (number,)))}
    connection.execute("DELETE FROM big_fields WHERE session = ?", (number,))
    whole = [new if new.value else kept.get(new.name, new) for new in big]
    _insert_big(connection, number, whole)
    return all(one.value for one in whole)


def _insert_big(connection: sqlite3.Connection, number: int, big: Sequence[BigField]) -> None:
    for place, (name, checksum, value) in enumerate(big):
        connection.execute(_INSERT_BIG, (number, place, name, checksum, value))


def _stored(rows: Sequence[tuple[Any, ...]], key: str, path: Path) -> Stored:
    first = rows[0]
    if first[0] is None:
        raise _no_entry(key, path)
    big = [BigField(*row[1:4]) for row in rows] if first[1] is not None else ()
    return Stored(first[0], first[4], first[5:], tuple(big))


def _whole(slim: bytes, hot: int, values: Sequence[Any], big: Sequence[bytes]) -> bytes | None:
    filled = sqlite_document.filled(slim, hot, values)
    return None if filled is None else sqlite_document.joined(filled, big)


def _no_entry(key: str, path: Path) -> CorruptStoreError:
    return CorruptStoreError(path, f"the entry of {key[:80]!r} is missing", advice="restore it from a backup")


def _not_as_written(key: str, path: Path) -> CorruptStoreError:
    reason = f"the entry of {key[:80]!r} is not what was written: a part of it is missing or damaged"
    return CorruptStoreError(path, reason, advice="restore it from a backup")
