"""The questions the lab can ask the mirror: one SQL file per question, in `sql/`, run by name.

Each file opens with a header that states its question, parameters, columns and order; `describe` reads it, and a test holds
that it tells the truth. Nothing here builds SQL text or writes to the mirror; pandas is imported only where a frame is made.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import operator
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

from sessionlab.errors import UsageError

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

_PARAM: Final = re.compile(r"\$(?P<name>\w+) (?P<type>[A-Z]+) (?P<need>required|optional) - (?P<meaning>.+)")
_COLUMN: Final = re.compile(r"(?P<name>\w+) (?P<type>[A-Z]+) (?P<unit>\S+) - (?P<meaning>.+)")
_END_OF_TIME_MS: Final = 253_402_300_800_000
_HEADER: Final = re.compile(r"-- (question|params|columns|order): (.*)")


@dataclass(frozen=True, slots=True)
class Param:
    """A parameter of a query: `type` is the SQL type (VARCHAR, BIGINT, DATE); one that is not required defaults to NULL."""

    name: str
    type: str
    required: bool
    meaning: str


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a query's answer, with its SQL type and its unit (`bytes`, `sessions`, `day`, `ratio`, ...)."""

    name: str
    type: str
    unit: str
    meaning: str


@dataclass(frozen=True, slots=True)
class QueryInfo:
    """What a query answers: its question, parameters, columns, the order of its rows, and the SQL text."""

    name: str
    question: str
    params: tuple[Param, ...]
    columns: tuple[Column, ...]
    order: str
    sql: str


@cache
def names() -> tuple[str, ...]:
    """Return the names of all queries, in alphabetical order."""
    folder = resources.files("sessionlab.lab") / "sql"
    return tuple(sorted(file.name.removesuffix(".sql") for file in folder.iterdir() if file.name.endswith(".sql")))


@cache
def describe(name: str) -> QueryInfo:
    """Return the header of the query `name`.

    Raises:
        UsageError: There is no such query; the message names those there are.
    """
    if name not in names():
        raise UsageError(f"no query {name!r}; there are {', '.join(names())}")
    return parse(name, (resources.files("sessionlab.lab") / "sql" / f"{name}.sql").read_text(encoding="utf-8"))


def parse(name: str, sql: str) -> QueryInfo:
    """Read the header off a query's SQL text; the header is the run of comment lines that the file opens with.

    Raises:
        UsageError: A header line is not of the documented form, or the question or the order is missing.
    """
    found: dict[str, list[str]] = {"question": [], "params": [], "columns": [], "order": []}
    for line in sql.splitlines():
        if not line.startswith("--"):
            break
        match = _HEADER.fullmatch(line)
        if match is None:
            raise UsageError(f"query {name}: header line {line!r} is none of question, params, columns, order")
        found[match[1]].append(match[2])
    if len(found["question"]) != 1 or len(found["order"]) != 1 or not found["columns"]:
        raise UsageError(f"query {name}: the header needs one question, one order and at least one column")
    params = tuple(
        Param(name=m["name"], type=m["type"], required=m["need"] == "required", meaning=m["meaning"])
        for m in (_matched(_PARAM, text, name) for text in found["params"])
    )
    columns = tuple(
        Column(name=m["name"], type=m["type"], unit=m["unit"], meaning=m["meaning"])
        for m in (_matched(_COLUMN, text, name) for text in found["columns"])
    )
    return QueryInfo(name, found["question"][0], params, columns, found["order"][0], sql)


def run(con: duckdb.DuckDBPyConnection, name: str, **params: object) -> pd.DataFrame:
    """Answer the query `name` on the mirror behind `con` as a DataFrame, rows in the query's declared order.

    Column types are the declared ones, whatever the rows hold: VARCHAR `str`, BIGINT `int64` (`Int64` when a value is
    missing), DOUBLE `float64`, BOOLEAN `bool`, DATE `datetime64[us]`.

    Args:
        con: A connection to the mirror.
        name: One of `names()`.
        params: Values by parameter name, without the `$`. A DATE may be a `date` or ISO text. `None` is "not given".

    Raises:
        UsageError: Unknown query or parameter, a missing required one, or a value of the wrong type; or `con` is no connection to a mirror.
    """
    info = describe(name)
    values = _bind(info, params)
    with _worded(info):
        frame = con.execute(info.sql, values).df()
    return frame.astype({column.name: _dtype(column, missing=bool(frame[column.name].isna().any())) for column in info.columns})


def as_rows(con: duckdb.DuckDBPyConnection, name: str, **params: object) -> list[dict[str, Any]]:
    """Answer the query `name` as a list of JSON-ready dicts (days as ISO text), without pandas. Otherwise as `run`."""
    info = describe(name)
    values = _bind(info, params)
    with _worded(info):
        rows = con.execute(info.sql, values).fetchall()
    return [
        {column.name: value.isoformat() if isinstance(value, dt.date) else value for column, value in zip(info.columns, row, strict=True)}
        for row in rows
    ]


@contextlib.contextmanager
def _worded(info: QueryInfo) -> Iterator[None]:
    """Turn what DuckDB says about a database that is no mirror, or about a value, into one line."""
    import duckdb

    try:
        yield
    except (duckdb.InterruptException, duckdb.ConnectionException):  # not about the question
        raise
    except (duckdb.CatalogException, duckdb.BinderException) as error:
        raise UsageError(f"query {info.name}: the file is no mirror of this version; make it anew with 'sessionlab load'") from error
    except duckdb.Error as error:
        raise UsageError(f"query {info.name}: {str(error).splitlines()[0][:200]}") from error


def _matched(pattern: re.Pattern[str], text: str, name: str) -> re.Match[str]:
    match = pattern.fullmatch(text)
    if match is None:
        raise UsageError(f"query {name}: header text {text!r} is not of the form 'name TYPE unit-or-need - meaning'")
    return match


def _bind(info: QueryInfo, given: Mapping[str, object]) -> dict[str, object]:
    known = {param.name for param in info.params}
    unknown = sorted(given.keys() - known)
    if unknown:
        raise UsageError(f"query {info.name} has no parameter {unknown[0]!r}; it has {', '.join(sorted(known)) or 'none'}")
    missing = [param.name for param in info.params if param.required and given.get(param.name) is None]
    if missing:
        raise UsageError(f"query {info.name} needs the parameter {missing[0]!r}; give {missing[0]}=...")
    return {param.name: _value(info, param, given.get(param.name)) for param in info.params}


def _value(info: QueryInfo, param: Param, value: object) -> object:
    if value is None:
        return None
    if param.type == "VARCHAR" and isinstance(value, str):
        return value
    if param.type == "BIGINT" and not isinstance(value, bool) and hasattr(value, "__index__"):
        number = operator.index(value)
        if param.name == "now_ms" and not 0 < number < _END_OF_TIME_MS:
            raise UsageError(f"query {info.name}: now_ms={number} is no time between 1970 and 9999; give epoch milliseconds")
        if not -(1 << 63) <= number < 1 << 63:
            raise UsageError(f"query {info.name}: {param.name}={number} is beyond 64 bits")
        return number
    if param.type == "DATE":
        # A datetime is a date to isinstance, but whether its day is the UTC day is anybody's guess.
        if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
            return value
        if isinstance(value, str):
            try:
                return dt.date.fromisoformat(value)
            except ValueError:
                pass
    wanted = {"VARCHAR": "text", "BIGINT": "a whole number", "DATE": "a date or ISO text such as 2026-11-20"}[param.type]
    raise UsageError(f"query {info.name}: parameter {param.name} is {wanted}, not {value!r}")


def _dtype(column: Column, *, missing: bool) -> str:
    if column.type == "BIGINT":
        return "Int64" if missing else "int64"
    return {"VARCHAR": "str", "DOUBLE": "float64", "BOOLEAN": "boolean" if missing else "bool", "DATE": "datetime64[us]"}[column.type]
