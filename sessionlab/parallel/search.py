"""Searching shared memory for a text, whatever its case: through an index of all places of three letters, or by looking at every row.

Both give the same answers; the index only says where to look. It is SQLite's own (FTS5, trigram), which not every SQLite has; what another
program has written meanwhile is taken in before it is asked. Case is folded as Unicode has it, by Python, in the index as in the answers.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, Literal

import msgspec

from sessionlab.errors import UsageError
from sessionlab.parallel import rows
from sessionlab.parallel.database import Database
from sessionlab.parallel.records import Knowledge, Memory
from sessionlab.parallel.schema import part_of

Scope = Literal["channel", "global", "all"]
SCOPES: Final = frozenset({"channel", "global", "all"})
_SHORTEST: Final = 3
"""Letters that the index knows a place by."""
_MOST_PARTS: Final = 12
"""Of a text that the index is asked for: what has them is looked at anyway."""
_FEW: Final = 1_000
"""With no more rows than this, looking at each is faster than going by importance until there are enough."""
_TAKEN_IN: Final = "taken in"
_DEFINE: Final = """
    CREATE VIRTUAL TABLE IF NOT EXISTS sessionlab_words USING fts5(text, detail = 'none', tokenize = 'trigram case_sensitive 1')
"""
_SOURCES: Final = (("channel_memory", "content"), ("global_knowledge", "content"))
_FACTOR: Final = len(_SOURCES)


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What holds a text: memories by importance and age, knowledge by certainty and age."""

    memories: tuple[Memory, ...] = ()
    knowledge: tuple[Knowledge, ...] = ()


@dataclass(frozen=True, slots=True)
class _Sort:
    """One sort of record that is searched: how it is read, in which order, and what remains of its places in the index."""

    query: str
    order: str
    remainder: int


_MEMORIES: Final = _Sort(rows.MEMORIES, rows.BY_IMPORTANCE, 0)
_KNOWLEDGE: Final = _Sort(rows.KNOWLEDGE, rows.BY_CONFIDENCE, 1)


class Searching:
    """Searches in one database."""

    def __init__(self, database: Database, *, use_index: bool = True) -> None:
        """Take a database; without `use_index` every row is looked at."""
        self._database, self._use_index = database, use_index

    def search(
        self, query: str, *, scope: Scope, where: Mapping[str, str | None], types: Collection[str] | None, limit: int, now_ms: int
    ) -> Found:
        """Return what holds a text, each sort in its order, up to `limit` of each. Every character of the text means itself.

        Args:
            query: The text; an empty one is in everything.
            scope: Whether memories, knowledge or both are looked through.
            where: Column -> value that memories must have; `None` for any.
            types: Sorts of memories; `None` for all.
            limit: How many at most.
            now_ms: The clock, epoch ms.
        """
        if scope not in SCOPES:
            raise UsageError(f"scope={scope!r}: must be one of {', '.join(sorted(SCOPES))}")
        text = fold(query)
        is_indexed = self._use_index and len(text) >= _SHORTEST and "\0" not in text and self._is_taken_in()
        with self._database.reading() as connection:
            connection.create_function("sessionlab_holds", 1, lambda content: text in fold(content), deterministic=True)
            places = _places(connection, text) if is_indexed else None
            memories: list[Any] = []
            knowledge: list[Any] = []
            if scope != "global":
                condition = rows.Where()
                for column, value in where.items():
                    condition.equal(column, value)
                condition.one_of("memory_type", types)
                condition.unexpired(now_ms)
                memories = _matching(connection, _MEMORIES, condition, places, limit)
            if scope != "channel":
                knowledge = _matching(connection, _KNOWLEDGE, rows.Where(), places, limit)
        return Found(memories=tuple(map(rows.memory, memories)), knowledge=tuple(map(rows.knowledge, knowledge)))

    def _is_taken_in(self) -> bool:
        """Bring the index up to date; say whether there is one."""
        if not index_is_possible():
            return False
        with self._database.reading() as connection:
            is_up_to_date = _taken_in(connection) == rows.latest(connection)
        if not is_up_to_date:
            with self._database.writing() as connection:
                connection.execute(_DEFINE)
                _take_in(connection)
        return True


@cache
def index_is_possible() -> bool:
    """Say whether this SQLite has the index."""
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        try:
            connection.execute(_DEFINE)
        except sqlite3.OperationalError:
            return False
    return True


def fold(text: str) -> str:
    """Return a text as it is compared: without difference of case, as Unicode has it."""
    return text.casefold()


def _places(connection: sqlite3.Connection, text: str) -> list[int] | None:
    """Return where the index has a text; `None` when that is in too many places to be of use."""
    last = len(text) - _SHORTEST
    places = (*range(0, last, max(_SHORTEST, last // _MOST_PARTS)), last)
    every = " AND ".join('"{}"'.format(text[place : place + _SHORTEST].replace('"', '""')) for place in places)
    query = "SELECT rowid FROM sessionlab_words WHERE sessionlab_words MATCH ? LIMIT ?"
    found = [place for (place,) in connection.execute(query, (every, _FEW + 1))]
    return found if len(found) <= _FEW else None


def _matching(
    connection: sqlite3.Connection, sort: _Sort, condition: rows.Where, places: list[int] | None, limit: int
) -> list[tuple[Any, ...]]:
    if places is not None:
        condition.one_of("id", [place // _FACTOR for place in places if place % _FACTOR == sort.remainder])
    condition.add("sessionlab_holds(content)")
    return connection.execute(f"{sort.query}{condition.text}{sort.order} LIMIT ?", (*condition.values, limit)).fetchall()


def _taken_in(connection: sqlite3.Connection) -> int:
    found = connection.execute("SELECT value FROM sessionlab_meta WHERE name = ?", (_TAKEN_IN,)).fetchone()
    return int(found[0]) if found else -1


def _take_in(connection: sqlite3.Connection) -> None:
    """Index what was written since it was last done, and drop what is gone."""
    since, last = _taken_in(connection), rows.latest(connection)
    for remainder, (table, column) in enumerate(_SOURCES):
        query = f"""
            SELECT changed.row, found.{column} FROM sessionlab_changes AS changed LEFT JOIN {table} AS found ON found.id = changed.row
            WHERE changed.part = ? AND changed.seq > ?
        """
        for number, text in connection.execute(query, (part_of(table), since)).fetchall():
            place = number * _FACTOR + remainder
            connection.execute("DELETE FROM sessionlab_words WHERE rowid = ?", (place,))
            if text is not None:
                connection.execute("INSERT INTO sessionlab_words (rowid, text) VALUES (?, ?)", (place, fold(text)))
    connection.execute("INSERT OR REPLACE INTO sessionlab_meta (name, value) VALUES (?, ?)", (_TAKEN_IN, last))
