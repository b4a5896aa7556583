"""Putting columns into the mirror's tables: arrays and lists in, one INSERT out.

Text travels as integer codes into a list of words that DuckDB joins back: object arrays cost three times as much, and DuckDB guesses
their type from a sample, wrongly when that is all NULL.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from sessionlab.lab.columns import ABSENT, Column, EventBatch, Label

if TYPE_CHECKING:
    import duckdb

TextColumn = Sequence[str | None]
NumberColumn = Sequence[int | None]

_LAST_DAY_MS: Final = 253_402_300_800_000  # 10000-01-01: what Python's dates cannot show is no date


def create_tables(con: duckdb.DuckDBPyConnection) -> None:
    """Create the mirror's empty tables."""
    con.execute((resources.files("sessionlab.lab") / "schema.sql").read_text(encoding="utf-8"))


def insert_rows(
    con: duckdb.DuckDBPyConnection,
    table: str,
    *,
    text: Mapping[str, TextColumn],
    numbers: Mapping[str, NumberColumn],
    derived: Mapping[str, str] | None = None,
) -> None:
    """Insert rows given as columns of equal length.

    Args:
        con: The mirror, writable.
        table: One of the schema's tables.
        text: Text columns.
        numbers: Integer, boolean (0 and 1) columns.
        derived: Further columns as SQL over the numbers.
    """
    codes: dict[str | None, int] = {}
    data: dict[str, Column] = {}
    for name, values in text.items():
        for word in dict.fromkeys(values):
            codes.setdefault(word, len(codes))
        data[name] = np.fromiter(map(codes.__getitem__, values), np.int32, len(values))
    for name, numeric in numbers.items():
        data[name] = np.array([ABSENT if value is None else value for value in numeric] if None in numeric else numeric, np.int64)
    _insert(con, table, data, list(codes), text_columns=list(text), derived=dict(derived or {}))


def insert_arrays(con: duckdb.DuckDBPyConnection, table: str, data: Mapping[str, Column]) -> None:
    """Insert rows given as arrays of equal length, `ABSENT` standing for NULL."""
    data = dict(data)  # by this name DuckDB finds it
    con.execute(f'INSERT INTO "{table}" BY NAME SELECT {", ".join(map(_number, data))} FROM data')


def insert_events(con: duckdb.DuckDBPyConnection, batches: Sequence[EventBatch], labels: dict[Label, int]) -> None:
    """Insert batches of events.

    Args:
        con: The mirror, writable.
        batches: One or more.
        labels: The codes of the labels that the mirror holds already, from 0 on without a gap; new ones are added.
    """
    known = len(labels)
    own = [np.array([labels.setdefault(label, len(labels)) for label in batch.labels] or [0], np.int32) for batch in batches]
    data: dict[str, Column] = {
        name: np.concatenate([batch.columns[name] for batch in batches]) for name in batches[0].columns if name != "label"
    }
    data["label"] = np.concatenate([places[batch.columns["label"]] for places, batch in zip(own, batches, strict=True)])
    con.execute(f"INSERT INTO event_rows BY NAME SELECT {', '.join(map(_number, data))}, FALSE AS is_copy FROM data")
    _insert_labels(con, list(labels)[known:], first=known)


def day_of(column: str) -> str:
    """Return the SQL for the UTC day of a column of epoch milliseconds, NULL for what no calendar shows."""
    days = f"DATE '1970-01-01' + CAST(FLOOR({column} / 86400000.0) AS INTEGER)"
    return f"CASE WHEN {column} >= 0 AND {column} < {_LAST_DAY_MS} THEN {days} END"


def shown_path(path: str, root: Path) -> str:
    """Return a path as people read it: relative to the folder that was loaded, where it lies in it."""
    return path.removeprefix(f"{root}{os.sep}")


def _insert(
    con: duckdb.DuckDBPyConnection,
    table: str,
    data: dict[str, Column],
    words: list[str | None],
    *,
    text_columns: Sequence[str],
    derived: dict[str, str],
) -> None:
    if not len(next(iter(data.values()))):
        return
    chosen = [_number(name) for name in data if name not in text_columns]
    chosen += [f'{_alias(name)}.word AS "{name}"' for name in text_columns]
    chosen += [f'{sql} AS "{name}"' for name, sql in derived.items()]
    _register_words(con, words)
    con.execute(f'INSERT INTO "{table}" BY NAME SELECT {", ".join(chosen)} FROM data {_joins(text_columns)}')


def _insert_labels(con: duckdb.DuckDBPyConnection, labels: list[Label], *, first: int) -> None:
    rows = [(first + place, *(encodable(part) if isinstance(part, str) else part for part in label)) for place, label in enumerate(labels)]
    if rows:
        con.executemany("INSERT INTO event_labels VALUES (?, ?, ?, ?, ?, ?, ?)", rows)


def _register_words(con: duckdb.DuckDBPyConnection, words: list[str | None]) -> None:
    con.execute(
        "CREATE OR REPLACE TEMP TABLE words AS "
        "SELECT unnest(CAST($words AS VARCHAR[])) AS word, unnest(range(0, CAST($count AS BIGINT))) AS code",
        {"words": [encodable(word) for word in words], "count": len(words)},
    )


def encodable(word: str | None) -> str | None:
    """Return a word as DuckDB takes it: half a surrogate pair, as in a file name that is not UTF-8, is spelt out."""
    return word if word is None or word.isascii() else word.encode("utf-8", "backslashreplace").decode("utf-8")


def _joins(text_columns: Sequence[str]) -> str:
    return " ".join(f'JOIN words AS {_alias(name)} ON {_alias(name)}.code = data."{name}"' for name in text_columns)


def _alias(name: str) -> str:
    return f'"word of {name}"'


def _number(name: str) -> str:
    return f'NULLIF(data."{name}", {ABSENT}) AS "{name}"'
