"""Searching shared memory for a text, whatever its case: through the index of texts, or by looking at every row.

Both give the same answers. What another program has written meanwhile is taken into the index before it is asked. Where that may not be
written, or others keep the lock, every row is looked at: who asks does not wait long for those who write. Case is folded as Unicode has it,
by Python, in the index as in the answers.
"""

from __future__ import annotations

import contextlib
import itertools
import sqlite3
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, Literal

import msgspec

from sessionlab.errors import CorruptStoreError, StoreError, StoreLockedError, UsageError
from sessionlab.parallel import asking, rows, text_index
from sessionlab.parallel.database import Database
from sessionlab.parallel.records import Knowledge, Memory, shortened
from sessionlab.parallel.text_index import KNOWLEDGE, MEMORIES, Question, Sort, fold

__all__ = ["SCOPES", "Found", "Scope", "Searching", "fold"]

Scope = Literal["channel", "global", "all"]
SCOPES: Final = frozenset({"channel", "global", "all"})
_DAMAGES: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_ERROR)
"""What SQLite says of an index that is damaged, or that is something else."""
_LOOKS, _LOOK_MS = 25, 10
"""How often, and how long each time, a search looks whether a lock comes free: in all as long as looking at some 100,000 rows takes."""


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What holds a text: memories by importance and age, knowledge by certainty and age."""

    memories: tuple[Memory, ...] = ()
    knowledge: tuple[Knowledge, ...] = ()


class Searching:
    """Searches in one database."""

    def __init__(self, database: Database, *, use_index: bool = True, may_write: bool = True) -> None:
        """Take a database.

        Args:
            database: Where to search.
            use_index: Ask the index; else every row is looked at.
            may_write: Bring the index up to date before it is asked. Else it is asked only when it is: making it for one search, in a copy
                that goes away, takes longer than looking at every row.
        """
        self._database, self._use_index, self._may_write = database, use_index, may_write

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
        if scope not in tuple(SCOPES):  # which need not be a text
            raise UsageError(f"scope={shortened(scope)}: must be one of {', '.join(sorted(SCOPES))}")
        asked: dict[str, Collection[str]] = {column: [value] for column, value in where.items() if value is not None}
        if types is not None:
            asked["memory_type"] = types
        condition = asking.Where()
        for column, values in asked.items():
            condition.one_of(column, values)
        condition.unexpired(now_ms)
        text = fold(query)
        questions = []
        if scope != "global":
            questions.append((MEMORIES, Question(text, condition, asked)))
        if scope != "channel":
            questions.append((KNOWLEDGE, Question(text, asking.Where())))
        found = self._by_index(questions, limit) if self._is_indexed(text) else None
        if found is None:
            with self._database.reading() as connection:
                found = {sort: _one_by_one(connection, sort, question, limit) for sort, question in questions}
        memories, knowledge = map(rows.memory, found.get(MEMORIES, ())), map(rows.knowledge, found.get(KNOWLEDGE, ()))
        return Found(memories=tuple(memories), knowledge=tuple(knowledge))

    def _by_index(self, questions: Sequence[tuple[Sort, Question]], limit: int) -> dict[Sort, list[tuple[Any, ...]]] | None:
        """Ask the index, all of one state; `None` when it is gone, or damaged: then it is made anew by the next search."""
        with self._database.reading() as connection:
            try:
                connection.execute("BEGIN")
                since = text_index.taken_in(connection)
                return {sort: _by_index(connection, sort, question, limit, since) for sort, question in questions} if since >= 0 else None
            except sqlite3.DatabaseError as error:
                if error.sqlite_errorcode & 0xFF not in _DAMAGES:
                    raise
            finally:
                connection.rollback()
        if self._may_write:
            with contextlib.suppress(StoreError), self._database.writing() as connection:
                text_index.forget(connection)
        return None

    def _is_indexed(self, text: str) -> bool:
        """Say whether the index can be asked for a text; take everything in that was there when it was called, if so."""
        if not self._use_index or not text_index.is_text(text) or not text_index.is_possible():
            return False
        with self._database.reading() as connection:
            wanted, found = rows.latest(connection), text_index.taken_in(connection)
            if found < wanted and not (self._may_write and _is_writable(connection)):
                return False
        try:
            while found < wanted:  # not what others write meanwhile: they might not stop
                with self._database.writing() as connection:
                    text_index.take_in(connection)
                    found = text_index.taken_in(connection)
        except (StoreLockedError, CorruptStoreError):  # what is damaged besides the index is met by who looks at every row
            return False
        return True


def _is_writable(connection: sqlite3.Connection) -> bool:
    """Say whether standing in line for writing is worth it: another program may hold the lock for as long as it likes.

    It is when the lock is free, or when those who have it come to an end with what they write.
    """
    (wait_ms,) = connection.execute("PRAGMA busy_timeout").fetchone()
    before = connection.execute("PRAGMA data_version").fetchone()
    connection.execute(f"PRAGMA busy_timeout = {_LOOK_MS:d}")
    try:
        return any(_is_free(connection) or connection.execute("PRAGMA data_version").fetchone() != before for _ in range(_LOOKS))
    except sqlite3.OperationalError as error:  # without a log, not even that can be read while somebody commits
        if not _is_busy(error):
            raise
        return False
    finally:
        connection.execute(f"PRAGMA busy_timeout = {wait_ms:d}")


def _is_free(connection: sqlite3.Connection) -> bool:
    try:
        connection.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        return not _is_busy(error)  # whoever writes is told what it is
    finally:
        connection.rollback()  # also of what was interrupted: nobody could write any more
    return True


def _is_busy(error: sqlite3.Error) -> bool:
    return error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY


def _holds(content: object, text: str) -> bool:
    return isinstance(content, str) and text in fold(content)


def _one_by_one(connection: sqlite3.Connection, sort: Sort, question: Question, limit: int) -> list[tuple[Any, ...]]:
    """Look at every record, in the order of answers."""
    query = f"SELECT {rows.fields(sort.table)} FROM {sort.table}{question.condition.text}{sort.order}"
    content = rows.place(sort.table, "content")
    # Closed, also when this is interrupted: the state that it reads is the one that its connection sees as long as it is open.
    with contextlib.closing(connection.execute(query, question.condition.values)) as found:
        return list(itertools.islice((row for row in found if _holds(row[content], question.text)), limit))


def _by_index(connection: sqlite3.Connection, sort: Sort, question: Question, limit: int, since: int) -> list[tuple[Any, ...]]:
    """Look at the records that the index names, until there are enough, and at those that its order cannot tell from the last.

    It knows the changes up to `since`; records that somebody has changed meanwhile are looked at without it.
    """
    content, rank, time = (rows.place(sort.table, name) for name in ("content", sort.rank, sort.time))
    if not limit or not all(question.asked.values()):
        return []
    later = text_index.changed(connection, sort, since)
    found = (
        [row for row in text_index.changed_records(connection, sort, question, since) if _holds(row[content], question.text)]
        if later
        else []
    )
    left, last = limit, text_index.NO_GROUP
    with contextlib.closing(text_index.candidates(connection, sort, question)) as candidates:
        for place, *row in candidates:
            group = text_index.group(place)
            if left <= 0 and group != last:
                break
            if row[0] not in later and _holds(row[content], question.text):
                found.append(tuple(row))
                left -= group != text_index.NO_GROUP
            last = group
    found.sort(key=lambda row: (rows.ranked(row[rank]), rows.ranked(row[time]), row[0]), reverse=True)
    return found[:limit]
