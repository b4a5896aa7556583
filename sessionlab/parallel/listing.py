"""The list of changes: one line for each record that there is or was, its latest change, whose number is the record's version as well.

Triggers keep it, whoever writes. They are gone when another program makes a table anew, or drops them; what was written without them is
known by nothing, so that every record then counts as changed. Whoever makes a table anew may make its triggers again, as SQLite advises:
that is known by where the table begins in the file, which VACUUM changes as well.
"""

from __future__ import annotations

import sqlite3
from typing import Final

RECORDS: Final = ("channel_memory", "global_knowledge", "action_items", "person_context")
"""The tables of records that have versions, and whose changes are listed; the state of a session is its manager's own affair."""
TAKEN_IN: Final = "texts taken in"
"""In `sessionlab_meta`: the latest change that is in the index of texts; nothing while there is no index."""
_TEXTS: Final = ("sessionlab_texts", "sessionlab_text_places")
_BEGINS: Final = "first page of "
"""In `sessionlab_meta`, before the name of each table of records: where it began when it was looked at last."""
_TABLES: Final = ("sessionlab_changes", "sessionlab_replaced", "sessionlab_meta", "sessionlab_leases", "sessionlab_woken", *RECORDS)

DEFINITION: Final = """
CREATE TABLE IF NOT EXISTS sessionlab_changes (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    part INTEGER NOT NULL,
    row INTEGER NOT NULL,
    is_deleted INTEGER NOT NULL,
    at INTEGER NOT NULL,
    UNIQUE (part, row)
);
CREATE TABLE IF NOT EXISTS sessionlab_replaced (row INTEGER PRIMARY KEY);
"""
_NOW: Final = "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)"
# Not "INSERT OR REPLACE": what an outer statement says of conflicts, such as OR IGNORE, would hold in here as well.
_LISTED: Final = """
    DELETE FROM sessionlab_changes WHERE part = {part} AND row = {row};
    INSERT INTO sessionlab_changes (part, row, is_deleted, at) VALUES ({part}, {row}, {is_deleted}, {now});
"""
_EVENTS: Final = (
    ("INSERT", "INSERT", "", "new.rowid", 0),
    ("UPDATE", "UPDATE", "", "new.rowid", 0),
    ("DELETE", "DELETE", "", "old.rowid", 1),
    ("MOVE", "UPDATE", " WHEN old.rowid <> new.rowid", "old.rowid", 1),
)
# A person in whose place another is put (OR REPLACE) goes without a trigger of deletion: it is noted who might, and looked at afterwards.
_MAY_GO: Final = """CREATE TRIGGER sessionlab_person_context_{event}_FIRST BEFORE {event} ON person_context
WHEN EXISTS (SELECT 1 FROM person_context WHERE canonical_id = new.canonical_id AND id <> {self}) BEGIN
    DELETE FROM sessionlab_replaced;
    INSERT INTO sessionlab_replaced (row) SELECT id FROM person_context WHERE canonical_id = new.canonical_id AND id <> {self};
END"""
_IS_GONE: Final = """CREATE TRIGGER sessionlab_person_context_{event}_LAST AFTER {event} ON person_context
WHEN EXISTS (SELECT 1 FROM sessionlab_replaced) BEGIN
    DELETE FROM sessionlab_replaced WHERE row IN (SELECT id FROM person_context);
    DELETE FROM sessionlab_changes WHERE part = {part} AND row IN (SELECT row FROM sessionlab_replaced);
    INSERT INTO sessionlab_changes (part, row, is_deleted, at) SELECT {part}, row, 1, {now} FROM sessionlab_replaced;
    DELETE FROM sessionlab_replaced;
END"""


def part_of(table: str) -> int:
    """Return the number by which the list of changes knows a table."""
    return RECORDS.index(table)


def _triggers() -> dict[str, str]:
    found = {}
    for part, table in enumerate(RECORDS):
        for name, event, condition, row, is_deleted in _EVENTS:
            body = _LISTED.format(part=part, row=row, is_deleted=is_deleted, now=_NOW)
            trigger = f"sessionlab_{table}_{name}"
            found[trigger] = f"CREATE TRIGGER {trigger} AFTER {event} ON {table}{condition} BEGIN{body}END"
    for event, self in (("INSERT", "-1"), ("UPDATE", "old.id")):
        part = part_of("person_context")
        found[f"sessionlab_person_context_{event}_FIRST"] = _MAY_GO.format(event=event, self=self)
        found[f"sessionlab_person_context_{event}_LAST"] = _IS_GONE.format(event=event, part=part, now=_NOW)
    return found


_TRIGGERS: Final = _triggers()


def is_whole(connection: sqlite3.Connection) -> bool:
    """Say whether all is there that has to be: tables, triggers as they were made, and the index of texts if there was one. Reads only."""
    found = dict(connection.execute("SELECT name, sql FROM sqlite_master WHERE type IN ('table', 'trigger')"))
    if not set(_TABLES) <= found.keys() or _TRIGGERS.items() - found.items():
        return False
    if _begins(connection) != _noted(connection) or _is_behind(connection):
        return False
    return set(_TEXTS) <= found.keys() or not connection.execute("SELECT 1 FROM sessionlab_meta WHERE name = ?", (TAKEN_IN,)).fetchone()


def mend(connection: sqlite3.Connection, *, is_new: bool) -> None:
    """Make the triggers that are missing and list what was written without them; an index of texts that has lost a part is to be made anew.

    Args:
        connection: In a transaction; the tables are there.
        is_new: There was no list until now: when its records were written is not known.
    """
    found = dict(connection.execute("SELECT name, sql FROM sqlite_master WHERE type IN ('table', 'trigger')"))
    if not set(_TEXTS) <= found.keys():
        connection.execute("DELETE FROM sessionlab_meta WHERE name = ?", (TAKEN_IN,))
        for table in found.keys() & set(_TEXTS):
            connection.execute(f"DROP TABLE {table}")
    lost = [name for name, trigger in _TRIGGERS.items() if found.get(name) != trigger]
    for name in lost:
        connection.execute(f"DROP TRIGGER IF EXISTS {name}")
        connection.execute(_TRIGGERS[name])
    begins, noted = _begins(connection), _noted(connection)
    is_other = any(noted.get(table, page) != page for table, page in begins.items())
    if lost or is_new or is_other or _is_behind(connection):
        _list_anew(connection, at="0" if is_new else _NOW)
    places = ((f"{_BEGINS}{table}", page) for table, page in begins.items() - noted.items())
    connection.executemany("INSERT OR REPLACE INTO sessionlab_meta (name, value) VALUES (?, ?)", places)


def _begins(connection: sqlite3.Connection) -> dict[str, int]:
    """Return where each table of records begins in the file."""
    query = f"SELECT name, rootpage FROM sqlite_master WHERE type = 'table' AND name IN ({', '.join('?' * len(RECORDS))})"
    return dict(connection.execute(query, RECORDS))


def _noted(connection: sqlite3.Connection) -> dict[str, int]:
    """Return where they began when they were looked at last."""
    query = "SELECT substr(name, ?), value FROM sessionlab_meta WHERE substr(name, 1, ?) = ?"
    return dict(connection.execute(query, (len(_BEGINS) + 1, len(_BEGINS), _BEGINS)))


def _is_behind(connection: sqlite3.Connection) -> bool:
    """Say whether the index has seen a change that is not made yet: the list was emptied, and its numbers begin anew."""
    query = "SELECT 1 FROM sessionlab_meta WHERE name = ? AND value > ifnull((SELECT seq FROM sqlite_sequence WHERE name = ?), 0)"
    return connection.execute(query, (TAKEN_IN, "sessionlab_changes")).fetchone() is not None


def _list_anew(connection: sqlite3.Connection, *, at: str) -> None:
    # Greater numbers than ever, also when the list itself was dropped: the index, and whoever watches, have seen those.
    query = "SELECT ifnull(max(value), 0) FROM sessionlab_meta WHERE substr(name, 1, ?) <> ?"
    (last,) = connection.execute(query, (len(_BEGINS), _BEGINS)).fetchone()
    (now,) = connection.execute("SELECT ifnull(max(seq), 0) FROM sqlite_sequence WHERE name = 'sessionlab_changes'").fetchone()
    if last > now:
        connection.execute("DELETE FROM sqlite_sequence WHERE name = 'sessionlab_changes'")
        connection.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('sessionlab_changes', ?)", (last,))
    insert = "INSERT OR REPLACE INTO sessionlab_changes (part, row, is_deleted, at)"
    for part, table in enumerate(RECORDS):
        is_gone = f"part = {part} AND NOT is_deleted AND row NOT IN (SELECT rowid FROM {table})"
        connection.execute(f"{insert} SELECT part, row, 1, {at} FROM sessionlab_changes WHERE {is_gone}")
        connection.execute(f"{insert} SELECT {part}, rowid, 0, {at} FROM {table}")
