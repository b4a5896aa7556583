"""Rows of a shared memory: written if they have the version that is expected, and read; what another program removed is made anew."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from typing import Any

from sessionlab.errors import StoreLockedError, UnwritableError, VersionConflictError
from sessionlab.parallel import asking, listing, rows, schema
from sessionlab.parallel.database import Database
from sessionlab.parallel.records import checked_number


class Recording:
    """The rows of one database. Raises what `SharedMemory` says."""

    def __init__(self, database: Database) -> None:
        """Take a database."""
        self._database = database
        self._schema_seen = -1

    def look_again(self) -> None:
        """Look at the tables with the next write or search, whatever was seen before."""
        self._schema_seen = -1

    @contextlib.contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Give a connection to write with, all that has to be there being there; see `Database.writing`."""
        with self._database.writing() as connection:
            self._see_schema(connection, is_writing=True)
            yield connection

    def mend(self) -> bool:
        """Make what another program has removed of what searching and watching need; say whether all is there.

        It is not when somebody else is writing for too long, or nobody may write: whoever only reads goes on without.
        """
        with self._database.reading() as connection:
            is_whole = self._see_schema(connection)
        if not is_whole:
            try:
                with self.writing():
                    is_whole = True
            except (StoreLockedError, UnwritableError):
                pass
        return is_whole

    def _see_schema(self, connection: sqlite3.Connection, *, is_writing: bool = False) -> bool:
        """Say whether all is there; make it, when writing. Only when the tables are others than those that were looked at last."""
        (seen,) = connection.execute("PRAGMA schema_version").fetchone()
        if seen == self._schema_seen:
            return True
        schema.refuse_others(connection, self._database.path)  # a newer program may have made it its own meanwhile
        if listing.is_whole(connection):
            self._schema_seen = seen
            return True
        if is_writing:
            schema.define(connection, self._database.path)  # seen next time, if this is not undone
        return is_writing

    def insert(self, table: str, row: tuple[Any, ...]) -> int:
        """Store a new row in a transaction of its own, and return its id."""
        with self.writing() as connection:
            return self.inserted(connection, table, row)

    def put(self, table: str, row: tuple[Any, ...], number: int | None, expect_version: int | None) -> tuple[int, int]:
        """Write a row in a transaction of its own; see `written`."""
        with self.writing() as connection:
            return self.written(connection, table, row, number, expect_version)

    def written(
        self, connection: sqlite3.Connection, table: str, row: tuple[Any, ...], number: int | None, expect: int | None
    ) -> tuple[int, int]:
        """Write a row under the lock, if it has the version that is expected; return its id and its version now."""
        if expect is not None:
            checked_number("expect_version", expect)
        found = rows.version(connection, table, number) if number is not None else 0
        if expect is not None and expect != found:
            raise VersionConflictError(self._database.path, f"record {number} of {table}", expected=expect, found=found)
        if number is None or not found:
            number = self.inserted(connection, table, row, number=number)
        elif not rows.update(connection, table, row, number):
            raise self._prevented(f"record {number} of {table}")
        return number, rows.version(connection, table, number)

    def inserted(self, connection: sqlite3.Connection, table: str, row: tuple[Any, ...], *, number: int | None = None) -> int:
        """Store a new row in the transaction that goes on, and return its id."""
        stored = rows.insert(connection, table, row, number=number)
        if stored is None:
            raise self._prevented(f"a new record of {table}")
        return stored

    def _prevented(self, what: str) -> UnwritableError:
        reason = f"{what} was not written: a trigger of another program prevents it; all is as it was"
        return UnwritableError(self._database.path, reason, advice="look what triggers the file has")

    def select(self, query: str, where: asking.Where, order: str, limit: int) -> list[tuple[Any, ...]]:
        """Return rows that fit, in an order, up to a number."""
        with self._database.reading() as connection:
            return connection.execute(f"{query}{where.text}{order} LIMIT ?", (*where.values, checked_number("limit", limit))).fetchall()

    def by_id(self, query: str, number: int) -> list[tuple[Any, ...]]:
        """Return the row with an id, or none."""
        where = asking.Where()
        where.add("id = ?", checked_number("id", number))
        return self.select(query, where, "", 1)
