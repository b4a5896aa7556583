"""An index of all places of three letters in what is remembered and known, kept in the order in which answers are given.

It only says where to look; what it names is looked at. SQLite's own trigrams (FTS5), so that not every SQLite has it. A record's number in
the index, its place, is made from what answers are ordered by: asking for a text yields the most important first, without reading those
that will not be in the answer. Channel, session and sort of a memory are in it too, each as three characters that no text has.
"""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
from collections.abc import Collection, Generator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from sessionlab.parallel import asking, rows
from sessionlab.parallel.schema import part_of

SHORTEST: Final = 3
"""Letters that the index knows a place by."""
_MOST_PARTS: Final = 4
"""Of a text that the index is asked for: what has them is looked at anyway."""
_AT_ONCE: Final = 5_000
"""Changes that are taken in by one transaction, some tenths of a second."""
_TAKEN_IN: Final = "texts taken in"
_DEFINE: Final = (
    """
    CREATE VIRTUAL TABLE IF NOT EXISTS sessionlab_texts USING fts5(
        text, channel, session, sort, detail = 'none', tokenize = 'trigram case_sensitive 1'
    )
    """,
    """
    CREATE TABLE IF NOT EXISTS sessionlab_text_places (
        place INTEGER PRIMARY KEY, part INTEGER NOT NULL, row INTEGER NOT NULL, UNIQUE (part, row)
    )
    """,
)
_DROP: Final = ("DROP TABLE IF EXISTS sessionlab_texts", "DROP TABLE IF EXISTS sessionlab_text_places")
_IS_TAKEN_IN: Final = """
    SELECT value FROM sessionlab_meta WHERE name = ?
    AND (SELECT count(*) FROM sqlite_master WHERE name IN ('sessionlab_texts', 'sessionlab_text_places')) = 2
"""
_EXTENTS: Final = """
    SELECT (SELECT min(id) FROM sessionlab_texts_docsize) IS (SELECT min(place) FROM sessionlab_text_places)
        AND (SELECT max(id) FROM sessionlab_texts_docsize) IS (SELECT max(place) FROM sessionlab_text_places)
"""
"""Whether the index and its places are of one kind: another program may have emptied one of them, or made it anew."""
_FILTERS: Final = ("channel_id", "session_key", "memory_type")
_TIES, _SECONDS, _RANKS = 21, 33, 8
"""Bits of a place: for the record's id, for its time, and for how important or certain it is; one more says which sort of record it is."""
NO_GROUP: Final = -1
_LEAST: Final = -(1 << 63)
_MARKS: Final = 0xF0000
"""Where the characters begin that stand for channels and the like: no letter has ever been there."""
_CHANGED: Final = """
    SELECT changed.row, at.place, {columns} FROM sessionlab_changes AS changed
    LEFT JOIN sessionlab_text_places AS at ON at.part = changed.part AND at.row = changed.row
    LEFT JOIN {table} AS found ON found.id = changed.row WHERE changed.part = ? AND changed.seq > ? AND changed.seq <= ?
"""


@dataclass(frozen=True, slots=True)
class Sort:
    """One sort of record that is searched.

    Attributes:
        number: 0 or 1.
        table: Its table.
        order: The order of answers.
        rank: The column that they are ordered by first, from 0 to less than 128 steps.
        time: The column that they are ordered by next, epoch ms.
        steps: How many steps of the rank are 1; records on a step have places in the order of their time.
        filters: Columns that may be asked for.
    """

    number: int
    table: str
    order: str
    rank: str
    time: str
    steps: int
    filters: tuple[str, ...] = ()

    @property
    def first(self) -> int:
        """The first place."""
        return self.number << _TIES + _SECONDS + _RANKS

    @property
    def last(self) -> int:
        """The last place."""
        return (self.number + 1 << _TIES + _SECONDS + _RANKS) - 1

    def place(self, number: int, rank: object, time_ms: object) -> int | None:
        """Return where a record stands; `None` for one whose order no place can tell, which another program may have written."""
        if not isinstance(rank, int | float) or not isinstance(time_ms, int) or not 0 <= rank * self.steps < 1 << _RANKS - 1:
            return None
        step, second = round(rank * self.steps), time_ms // 1000
        if not 0 <= second < 1 << _SECONDS:
            return None
        step -= step / self.steps > rank
        is_between = step / self.steps != rank  # those between two steps have one group, whatever their time
        place = self.number
        for bits, value in (
            (_RANKS, 2 * step + is_between),
            (_SECONDS, 0 if is_between else second),
            (_TIES, number % (1 << _TIES)),
        ):
            place = place << bits | (1 << bits) - 1 - value  # the greatest first
        return place


MEMORIES: Final = Sort(0, "channel_memory", asking.BY_IMPORTANCE, "importance", "created_at", 1, _FILTERS)
KNOWLEDGE: Final = Sort(1, "global_knowledge", asking.BY_CONFIDENCE, "confidence", "updated_at", 100)


def group(place: int) -> int:
    """Return what places have in common whose order tells nothing: those of equal rank and second, and all that have no order."""
    return place >> _TIES if place >= 0 else NO_GROUP


@cache
def is_possible() -> bool:
    """Say whether this SQLite has the index."""
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        try:
            connection.execute(_DEFINE[0])
        except sqlite3.OperationalError:
            return False
    return True


def is_text(text: str) -> bool:
    """Say whether the index can be asked for a text: without half surrogate pairs, which no record has, and NUL, which another's may."""
    try:
        return b"\0" not in text.encode()
    except UnicodeEncodeError:
        return False


def fold(text: str) -> str:
    """Return a text as it is compared: without difference of case, as Unicode has it."""
    return text.casefold()


class Question(NamedTuple):
    """What is asked for: a folded text, what records must fulfil, and column -> values for what the index knows of that."""

    text: str
    condition: asking.Where
    asked: Mapping[str, Collection[str]] = MappingProxyType({})

    def of_index(self) -> Mapping[str, str]:
        """Return condition -> value for the index: each is fulfilled by all records that fulfil the question."""
        last = len(self.text) - SHORTEST
        places = (*range(0, last, max(SHORTEST, -(-last // _MOST_PARTS))), last) if last >= 0 else ()
        parts = [_quoted(self.text[place : place + SHORTEST]) for place in places]
        parts += [f"({' OR '.join(_quoted(_mark(column, value)) for value in sorted(values))})" for column, values in self.asked.items()]
        found = {"sessionlab_texts MATCH ?": " AND ".join(parts)} if parts else {}
        return found | {"instr(texts.text, ?)": self.text} if self.text and not places else found


def candidates(connection: sqlite3.Connection, sort: Sort, question: Question) -> Generator[tuple[Any, ...], None, None]:
    """Yield records that may hold a text, all that do among them, in the order of their places; see `group`.

    Each is the place, and what `rows.fields` names. The index has to be up to date.
    """
    asked = question.of_index()
    query = f"""
        SELECT texts.rowid, {rows.fields(sort.table)} FROM sessionlab_texts AS texts
        CROSS JOIN sessionlab_text_places AS at ON at.place = texts.rowid CROSS JOIN {sort.table} ON id = at.row
        WHERE {"".join(f"{condition} AND " for condition in asked)}texts.rowid BETWEEN ? AND ? AND at.part = ?{question.condition.more}
        ORDER BY texts.rowid
    """
    for first, last in ((_LEAST, NO_GROUP), (sort.first, sort.last)):
        values = (*asked.values(), first, last, part_of(sort.table), *question.condition.values)
        with contextlib.closing(connection.execute(query, values)) as found:
            yield from found


def changed(connection: sqlite3.Connection, sort: Sort, since: int) -> frozenset[int]:
    """Return the ids of records that were changed after a change, those that are gone as well."""
    # "+": by the number of the change, of which there are few, not by the table, of which there may be 100,000.
    query = "SELECT row FROM sessionlab_changes WHERE seq > ? AND +part = ?"
    return frozenset(row for (row,) in connection.execute(query, (since, part_of(sort.table))).fetchall())


def changed_records(connection: sqlite3.Connection, sort: Sort, question: Question, since: int) -> list[tuple[Any, ...]]:
    """Return the records that were changed after a change and fulfil the condition, as `rows.fields` names them."""
    query = f"""
        SELECT {rows.fields(sort.table)} FROM {sort.table}
        WHERE id IN (SELECT row FROM sessionlab_changes WHERE seq > ? AND +part = ?){question.condition.more}
    """
    return connection.execute(query, (since, part_of(sort.table), *question.condition.values)).fetchall()


def taken_in(connection: sqlite3.Connection) -> int:
    """Return the number of the latest change that is in the index; -1 when there is none yet, or not any more."""
    found: tuple[Any, ...] | None = connection.execute(_IS_TAKEN_IN, (_TAKEN_IN,)).fetchone()
    return int(found[0]) if found and _is_one(connection) else -1


def _is_one(connection: sqlite3.Connection) -> bool:
    try:
        (found,) = connection.execute(_EXTENTS).fetchone()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_ERROR:
            raise
        return False  # under its name is something else
    return bool(found)


def forget(connection: sqlite3.Connection) -> None:
    """Let the index be made anew when it is next wanted."""
    connection.execute("DELETE FROM sessionlab_meta WHERE name = ?", (_TAKEN_IN,))


def take_in(connection: sqlite3.Connection) -> None:
    """Index what was written since it was last done, by whomever, and drop what is gone; in the transaction that the caller has begun.

    Of many changes only the first: nobody should wait for long who wants to write.
    """
    since = taken_in(connection)
    for statement in _DEFINE if since >= 0 else (*_DROP, *_DEFINE):  # half an index is none
        connection.execute(statement)
    next_part = "SELECT seq FROM sessionlab_changes WHERE seq > ? ORDER BY seq LIMIT 1 OFFSET ?"
    (last,) = connection.execute(next_part, (since, _AT_ONCE - 1)).fetchone() or (rows.latest(connection),)
    gone: list[tuple[int]] = []
    come: list[tuple[int | None, int, int, str, tuple[str, ...]]] = []
    for sort in (MEMORIES, KNOWLEDGE):
        columns = ", ".join(f"found.{name}" for name in (sort.rank, sort.time, "content", *sort.filters))
        query = _CHANGED.format(columns=columns, table=sort.table)
        for number, place, rank, time_ms, text, *values in connection.execute(query, (part_of(sort.table), since, last)):
            if place is not None:
                gone.append((place,))
            if text is not None:
                marks = tuple(_mark(*one) for one in zip(sort.filters, values, strict=True))
                come.append((sort.place(number, rank, time_ms), part_of(sort.table), number, _indexed(text), marks))
    # In their order: what comes before the last one makes FTS5 write a piece of its own.
    connection.executemany("DELETE FROM sessionlab_texts WHERE rowid = ?", sorted(gone))
    connection.executemany("DELETE FROM sessionlab_text_places WHERE place = ?", sorted(gone))
    _insert(connection, come)
    connection.execute("INSERT OR REPLACE INTO sessionlab_meta (name, value) VALUES (?, ?)", (_TAKEN_IN, last))


def _insert(connection: sqlite3.Connection, come: Collection[tuple[int | None, int, int, str, tuple[str, ...]]]) -> None:
    """Give each record its place, or one before all others when that is none or taken, and index its text and marks."""
    (before,) = connection.execute("SELECT min(0, ifnull(min(place), 0)) FROM sessionlab_text_places").fetchone()
    texts = []
    insert = "INSERT OR IGNORE INTO sessionlab_text_places (place, part, row) VALUES (?, ?, ?)"
    for wanted, part, number, text, marks in come:
        place = wanted
        if place is None or not connection.execute(insert, (place, part, number)).rowcount:
            place = before = before - 1
            connection.execute(insert, (place, part, number))
        texts.append((place, text, *marks, *[""] * (len(_FILTERS) - len(marks))))
    texts.sort()
    connection.executemany("INSERT INTO sessionlab_texts (rowid, text, channel, session, sort) VALUES (?, ?, ?, ?, ?)", texts)


def _indexed(text: object) -> str:
    """Return a text as the index has it. It would not see what stands behind a NUL: that is a line end there."""
    return fold(text).replace("\0", "\n") if isinstance(text, str) else ""


@lru_cache(maxsize=10_000)
def _mark(column: str, value: str) -> str:
    """Return three characters that stand for a value; another value may have the same, once in 2 ** 48."""
    digest = hashlib.blake2b(f"{column} {value}".encode(), digest_size=6).digest()
    return "".join(chr(_MARKS + int.from_bytes(digest[place : place + 2])) for place in (0, 2, 4))


def _quoted(text: str) -> str:
    return '"{}"'.format(text.replace('"', '""'))
