"""The rows of a shared memory as records, and the statements that read and write them. Every value is bound (A.47)."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterable, Mapping
from operator import attrgetter
from typing import Any, Final

import msgspec

from sessionlab.errors import UsageError
from sessionlab.parallel import foreign
from sessionlab.parallel.foreign import Column
from sessionlab.parallel.records import ActionItem, Change, Knowledge, Memory, Person, Session, State
from sessionlab.parallel.schema import RECORDS, part_of

_NAMES: Final = {
    "channel_memory": "session_key channel_id memory_type content importance created_ms expires_ms promoted",
    "global_knowledge": "category content source_channel source_session_key confidence created_ms updated_ms",
    "action_items": "session_key channel_id description status priority due_ms created_ms completed_ms",
    "person_context": "canonical_id display_name relationship notes preferences first_seen_ms last_seen_ms channel_ids",
    "session_state": "session_key channel_id chat_id peer_id status created_ms last_activity_ms message_count",
}
"""Of each table what a record has, in its order, id and version left out. Columns have the same names, but for those of times."""
_OTHER_NAMES: Final = {"promoted": "promoted_to_global"}


_SORTS: Final[dict[str, Column]] = {
    column.name: column
    for column in (
        *(Column(name, "text", "") for name in ("memory_type", "content", "category", "description", "canonical_id")),
        Column("status", "text", "open"),
        *(Column(f"{name}_ms", "whole", 0) for name in ("created", "updated", "last_activity", "first_seen", "last_seen")),
        *(Column(f"{name}_ms", "whole", is_optional=True) for name in ("expires", "due", "completed")),
        *(Column(name, "whole", 5) for name in ("importance", "priority")),
        *(Column(name, "whole", 0) for name in ("promoted", "message_count")),
        Column("confidence", "number", 0.5),
        Column("preferences", "object"),
        Column("channel_ids", "texts"),
    )
}
"""Of what a record has what it should be; all else is a text or nothing."""


def _columns(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(_OTHER_NAMES.get(name, name.replace("_ms", "_at")) for name in names)


FIELDS: Final = {table: tuple(names.split()) for table, names in _NAMES.items()}
COLUMNS: Final = {table: _columns(names) for table, names in FIELDS.items() if table != "session_state"}
"""Of each table with ids the columns that a record is made from, the id left out."""
_READ: Final = {
    table: foreign.Reading(_SORTS.get(name, Column(name, "text", is_optional=True)) for name in names) for table, names in FIELDS.items()
}
_WHOLE: Final = {table: (*names, "id", "version", "unread") for table, names in FIELDS.items()}
_VALUES: Final = {table: attrgetter(*names) for table, names in FIELDS.items()}


def fields(table: str) -> str:
    """Return what is selected for a record: id, columns, version."""
    version = f"(SELECT seq FROM sessionlab_changes WHERE part = {part_of(table)} AND row = {table}.id)"
    return f"id, {', '.join(COLUMNS[table])}, {version}"


def place(table: str, column: str) -> int:
    """Return where a column is among the `fields`."""
    return 1 + COLUMNS[table].index(column)


MEMORIES, KNOWLEDGE, ACTIONS, PERSONS = (f"SELECT {fields(table)} FROM {table}" for table in COLUMNS)
_SESSION: Final = ", ".join((*_columns(FIELDS["session_state"]), "context_json"))
_SELECT_SESSION: Final = f"SELECT {_SESSION.replace('context_json', 'CAST(context_json AS BLOB)')}"
"""The context byte for byte, whatever it is."""
SESSIONS: Final = f"{_SELECT_SESSION} FROM session_state"
_STORE_SESSION: Final = f"""
    INSERT INTO session_state ({_SESSION}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, CAST(? AS TEXT)) ON CONFLICT (session_key) DO UPDATE SET
    {", ".join(f"{name} = excluded.{name}" for name in _SESSION.split(", ")[1:])}
"""
_DELETE_SESSION: Final = "DELETE FROM session_state WHERE session_key = ?"
_KEEP_WOKEN: Final = f"INSERT OR REPLACE INTO sessionlab_woken ({_SESSION}) SELECT {_SESSION} FROM session_state WHERE session_key = ?"
WOKEN: Final = f"{_SELECT_SESSION} FROM sessionlab_woken"
_FORGET_WOKEN: Final = "DELETE FROM sessionlab_woken WHERE session_key = ?"
COUNTS: Final = """
    SELECT (SELECT count(*) FROM channel_memory), (SELECT count(*) FROM global_knowledge),
        (SELECT count(*) FROM action_items WHERE status = 'open'), (SELECT count(*) FROM person_context),
        (SELECT count(*) FROM session_state), (SELECT count(*) FROM sessionlab_woken)
"""
_INSERT: Final = {
    table: f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})" for table, names in COLUMNS.items()
}
_INSERT_AT: Final = {
    table: f"INSERT INTO {table} (id, {', '.join(names)}) VALUES (?, {', '.join('?' * len(names))})" for table, names in COLUMNS.items()
}
_UPDATE: Final = {
    table: f"UPDATE {table} SET {', '.join(f'{name} = ?' for name in names)} WHERE id = ?" for table, names in COLUMNS.items()
}
_FORGOTTEN: Final = "forgotten"


def ranked(value: Any) -> tuple[int, Any]:
    """Return a value as SQLite compares it, whatever another program has put there: nothing, numbers, texts, bytes."""
    return (0, 0) if value is None else (1, value) if isinstance(value, int | float) else (2 if isinstance(value, str) else 3, value)


def memory(row: tuple[Any, ...]) -> Memory:
    """Return a row of `MEMORIES` as a record."""
    found = _values("channel_memory", row)
    found["promoted"] = bool(found["promoted"])
    return Memory(**found)


def knowledge(row: tuple[Any, ...]) -> Knowledge:
    """Return a row of `KNOWLEDGE` as a record."""
    return Knowledge(**_values("global_knowledge", row))


def action(row: tuple[Any, ...]) -> ActionItem:
    """Return a row of `ACTIONS` as a record."""
    return ActionItem(**_values("action_items", row))


def person(row: tuple[Any, ...]) -> Person:
    """Return a row of `PERSONS` as a record."""
    return Person(**_values("person_context", row))


def _values(table: str, row: tuple[Any, ...]) -> dict[str, Any]:
    values, unread = _READ[table].read(row[1:-1])
    return dict(zip(_WHOLE[table], (*values, row[0], row[-1] or 0, unread), strict=True))


def session(row: tuple[Any, ...]) -> State:
    """Return a row of `SESSIONS` as a record, and what was stored beside it; see `foreign.Unreadable`."""
    values, _ = _READ["session_state"].read(row[:-1])
    found = dict(zip(FIELDS["session_state"], values, strict=True))
    found |= {name: max(0, found[name]) for name in ("created_ms", "last_activity_ms", "message_count")}  # that it may be stored again
    return Session(**found), foreign.context(row[-1])


def of_memory(one: Memory) -> tuple[Any, ...]:
    """Return a memory as a row, its id and version left out."""
    return _VALUES["channel_memory"](one)


def of_knowledge(one: Knowledge) -> tuple[Any, ...]:
    """Return knowledge as a row, its id and version left out."""
    return _VALUES["global_knowledge"](one)


def of_action(one: ActionItem) -> tuple[Any, ...]:
    """Return an action item as a row, its id and version left out."""
    return _VALUES["action_items"](one)


def of_person(one: Person) -> tuple[Any, ...]:
    """Return a person as a row, the id and version left out."""
    found = dict(zip(FIELDS["person_context"], _VALUES["person_context"](one), strict=True))
    return tuple((found | {name: as_json(name, found[name]) for name in ("preferences", "channel_ids")}).values())


def of_session(one: Session, context: Mapping[str, Any] | None) -> tuple[Any, ...]:
    """Return a session's state as a row; a context that was stored and is as it was, byte for byte."""
    if isinstance(context, foreign.Kept) and context.is_unchanged():
        return (*_VALUES["session_state"](one), context.raw)
    return (*_VALUES["session_state"](one), of_context(context) if context is not None else None)


def of_context(context: object) -> str:
    """Return the context of a session as JSON; raises `UsageError` for what is no JSON object."""
    if not isinstance(context, Mapping):  # whoever stores it need not keep to its type
        raise UsageError(f"context: must be a JSON object, not of type {type(context).__name__}")
    return as_json("context", context)


def as_json(name: str, value: object) -> str:
    """Return a value as JSON.

    Raises:
        UsageError: JSON cannot hold it.
    """
    try:
        found = msgspec.json.encode(value).decode()
    except (TypeError, ValueError, RecursionError, msgspec.MsgspecError) as error:
        raise UsageError(f"{name}: is nothing that JSON can hold ({error})") from error
    if "null" in found and _has_no_number(value):  # which would come back as nothing
        raise UsageError(f"{name}: holds NaN or an infinite number, which JSON cannot")
    return found


def _has_no_number(value: object) -> bool:
    if isinstance(value, float):
        return not math.isfinite(value)
    if isinstance(value, Mapping):
        return any(map(_has_no_number, value.values()))
    return isinstance(value, list | tuple | set | frozenset) and any(map(_has_no_number, value))


def insert(connection: sqlite3.Connection, table: str, row: tuple[Any, ...], *, number: int | None = None) -> int | None:
    """Insert a row, under a number of one's own if that is given, and return its number; `None` when a trigger has prevented it."""
    cursor = connection.execute(_INSERT[table], row) if number is None else connection.execute(_INSERT_AT[table], (number, *row))
    return cursor.lastrowid if cursor.rowcount > 0 else None


def store_session(connection: sqlite3.Connection, one: Session, context: Mapping[str, Any] | None) -> None:
    """Write a session's state in place of what is stored of it."""
    connection.execute(_STORE_SESSION, of_session(one, context))
    connection.execute(_FORGET_WOKEN, (one.session_key,))


def delete_session(connection: sqlite3.Connection, key: str) -> bool:
    """Remove all that is stored of a session; say whether it was asleep."""
    connection.execute(_FORGET_WOKEN, (key,))
    return connection.execute(_DELETE_SESSION, (key,)).rowcount > 0


def wake_session(connection: sqlite3.Connection, key: str) -> State | None:
    """Return a session's state, which is not stored any more; the copy that stays is for who finds that its holder died awake."""
    connection.execute(_KEEP_WOKEN, (key,))
    connection.execute(_DELETE_SESSION, (key,))
    row = connection.execute(f"{WOKEN} WHERE session_key = ?", (key,)).fetchone()
    return None if row is None else session(row)


def update(connection: sqlite3.Connection, table: str, row: tuple[Any, ...], number: int) -> bool:
    """Write a row anew; say whether there was one."""
    return connection.execute(_UPDATE[table], (*row, number)).rowcount > 0


def version(connection: sqlite3.Connection, table: str, number: int) -> int:
    """Return the version of a record; 0 when there is none, whatever the list of changes says."""
    query = f"SELECT seq FROM {table} AS found LEFT JOIN sessionlab_changes ON part = ? AND row = found.id WHERE found.id = ?"
    found = connection.execute(query, (part_of(table), number)).fetchone()
    return int(found[0] or 0) if found else 0


def latest(connection: sqlite3.Connection) -> int:
    """Return the number of the latest change that was ever made."""
    found = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'sessionlab_changes'").fetchone()
    return int(found[0]) if found else 0


def changes(connection: sqlite3.Connection, since: int, limit: int) -> list[Change] | None:
    """Return what was changed after a change, in order; `None` when deletions after it are forgotten."""
    try:
        connection.execute("BEGIN")
        forgotten = connection.execute("SELECT value FROM sessionlab_meta WHERE name = ?", (_FORGOTTEN,)).fetchone()
        if forgotten and since < forgotten[0] and since > 0:
            return None
        query = "SELECT seq, part, row, is_deleted, at FROM sessionlab_changes WHERE seq > ? ORDER BY seq LIMIT ?"
        found = connection.execute(query, (since, limit)).fetchall()
    finally:
        connection.rollback()
    return [
        Change(seq=seq, table=RECORDS[part], row=row, act="deleted" if is_deleted else "written", at_ms=at_ms)
        for seq, part, row, is_deleted, at_ms in found
    ]


def forget_deletions(connection: sqlite3.Connection, *, before_ms: int) -> None:
    """Forget which records were deleted before a time, and note up to which change that is so."""
    (last,) = connection.execute("SELECT max(seq) FROM sessionlab_changes WHERE is_deleted AND at < ?", (before_ms,)).fetchone()
    if last is not None:
        connection.execute("DELETE FROM sessionlab_changes WHERE is_deleted AND seq <= ?", (last,))
        connection.execute("INSERT OR REPLACE INTO sessionlab_meta (name, value) VALUES (?, ?)", (_FORGOTTEN, last))
