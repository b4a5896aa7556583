"""The machinery of the queries: names, parameters, types and frames, whatever is asked."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import duckdb
import pandas as pd
import pytest

from sessionlab.errors import UsageError
from sessionlab.lab import queries
from tests.lab.made_mirror import NOW_MS, make_lively


@pytest.fixture(scope="module")
def lively() -> Iterator[duckdb.DuckDBPyConnection]:
    with make_lively() as con:
        yield con


def test_an_unknown_query_names_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"no query 'growht'; there are .*growth_daily"):
        queries.describe("growht")


def test_an_unknown_parameter_names_the_known_ones(lively: duckdb.DuckDBPyConnection) -> None:
    with pytest.raises(UsageError, match="no parameter 'agnet'; it has agent, kind"):
        queries.run(lively, "bytes_by_field", agnet="main")


@pytest.mark.parametrize("given", [{}, {"now_ms": None}])
def test_a_missing_required_parameter_is_refused(given: dict[str, Any], lively: duckdb.DuckDBPyConnection) -> None:
    with pytest.raises(UsageError, match="stale_share needs the parameter 'now_ms'"):
        queries.as_rows(lively, "stale_share", **given)


@pytest.mark.parametrize(
    "given",
    [{"agent": 3}, {"limit": "5"}, {"limit": True}, {"limit": 2.5}],
)
def test_a_value_of_another_type_is_refused(given: dict[str, Any], lively: duckdb.DuckDBPyConnection) -> None:
    with pytest.raises(UsageError, match="biggest_sessions: parameter"):
        queries.run(lively, "biggest_sessions", **given)


@pytest.mark.parametrize("day", ["yesterday", 20_000, dt.datetime(2026, 11, 20, tzinfo=dt.UTC)])
def test_what_is_no_day_is_refused(day: object, lively: duckdb.DuckDBPyConnection) -> None:
    with pytest.raises(UsageError, match="since_day is a date"):
        queries.run(lively, "activity_daily", since_day=day)


@pytest.mark.parametrize("name", queries.names())
def test_frames_have_the_declared_types_with_and_without_rows(name: str, lively: duckdb.DuckDBPyConnection) -> None:
    info = queries.describe(name)
    given = {param.name: NOW_MS for param in info.params if param.name == "now_ms"}
    allowed = {
        "VARCHAR": {"str"},
        "BIGINT": {"int64", "Int64"},
        "DOUBLE": {"float64"},
        "BOOLEAN": {"bool", "boolean"},
        "DATE": {"datetime64[us]"},
    }
    for frame in (queries.run(lively, name, **given), queries.run(lively, name, **given, agent="nobody")):
        assert list(frame.columns) == [column.name for column in info.columns]
        assert all(str(frame[column.name].dtype) in allowed[column.type] for column in info.columns)


def test_frame_and_rows_hold_the_same(lively: duckdb.DuckDBPyConnection) -> None:
    for name in ("biggest_sessions", "problems", "storage_parts"):
        frame = queries.run(lively, name)
        listed = [
            {
                key: None if pd.isna(value) else value.date().isoformat() if isinstance(value, pd.Timestamp) else value
                for key, value in row.items()
            }
            for row in frame.to_dict("records")
        ]
        assert listed == queries.as_rows(lively, name)


def test_a_query_leaves_the_connection_free(lively: duckdb.DuckDBPyConnection) -> None:
    queries.as_rows(lively, "overview")
    queries.run(lively, "overview")
    lively.register("something", pd.DataFrame({"x": [1]}))
    lively.unregister("something")


@pytest.mark.parametrize("now_ms", [0, -5, 999_999_999_999_999_999, 1 << 70])
def test_a_clock_that_is_no_time_is_refused(now_ms: int, lively: duckdb.DuckDBPyConnection) -> None:
    with pytest.raises(UsageError, match="is no time between 1970 and 9999"):
        queries.as_rows(lively, "growth_daily", now_ms=now_ms)


def test_a_number_beyond_64_bits_is_refused(lively: duckdb.DuckDBPyConnection) -> None:
    with pytest.raises(UsageError, match="beyond 64 bits"):
        queries.as_rows(lively, "biggest_sessions", limit=1 << 70)


def test_a_database_that_is_no_mirror_is_refused_in_one_line() -> None:
    with duckdb.connect() as con:
        for ask in (queries.as_rows, queries.run):
            with pytest.raises(UsageError, match="is no mirror of this version") as caught:
                ask(con, "overview")
            assert "\n" not in str(caught.value)
