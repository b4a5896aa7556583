"""Every SQL file states truly what it asks, takes and answers, and stays inside the portable subset."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import resources
from typing import Any

import duckdb
import pytest

from sessionlab.errors import UsageError
from sessionlab.lab import queries
from tests.lab.made_mirror import NOW_MS, make_lively

NAMES = queries.names()
EXPECTED = {
    "activity_daily",
    "age_distribution",
    "biggest_sessions",
    "bytes_by_field",
    "bytes_by_kind",
    "cron_jobs",
    "cron_runs_daily",
    "growth_daily",
    "orphans_and_missing",
    "overview",
    "problems",
    "size_distribution",
    "size_tree",
    "sources",
    "stale_share",
    "storage_parts",
    "store_bytes_daily",
    "tokens_by_model",
    "tokens_daily",
    "transcript_costs",
    "transcripts_by_source",
    "usage_totals",
}
# What only DuckDB has, or what engines do differently; the same text must run on a cluster engine later.
BANNED = re.compile(
    r"\b(time_bucket|quantile\w*|median|epoch\w*|make_timestamp|asof|pivot|unpivot|qualify|list\w*\(|unnest|struct\w*|map\(|range\(|"
    r"generate_series|read_\w+|glob|parquet_\w+|arg_max|arg_min|any_value|columns\(|exclude|ifnull|now\(\)|current_date|random|"
    r"group by all|order by all|using sample|ilike|strftime|date_diff|log2|limit)\b|::|\[|\bUNION BY\b",
    re.IGNORECASE,
)


@pytest.fixture(scope="module")
def lively() -> Iterator[duckdb.DuckDBPyConnection]:
    with make_lively() as con:
        yield con


def body(sql: str) -> str:
    """Return SQL without its comments and quoted texts."""
    return re.sub(r"'[^']*'", "''", "\n".join(line for line in sql.splitlines() if not line.strip().startswith("--")))


def arguments(name: str) -> dict[str, Any]:
    return {param.name: NOW_MS for param in queries.describe(name).params if param.name == "now_ms"}


def order_columns(info: queries.QueryInfo) -> list[str]:
    return [part.split()[0] for part in info.order.split(", ")]


def test_the_promised_queries_are_there() -> None:
    assert set(NAMES) == EXPECTED


@pytest.mark.parametrize("name", NAMES)
def test_declared_parameters_are_those_used(name: str) -> None:
    info = queries.describe(name)
    assert sorted(param.name for param in info.params) == sorted(set(re.findall(r"\$(\w+)", body(info.sql))))
    assert {param.type for param in info.params} <= {"VARCHAR", "BIGINT", "DATE"}


@pytest.mark.parametrize("name", NAMES)
def test_declared_columns_are_those_answered(name: str, lively: duckdb.DuckDBPyConnection) -> None:
    info = queries.describe(name)
    real = lively.execute(f"DESCRIBE {info.sql}", {param.name: None for param in info.params}).fetchall()
    assert [(column.name, column.type) for column in info.columns] == [(row[0], row[1]) for row in real]
    assert {column.type for column in info.columns} <= {"VARCHAR", "BIGINT", "DATE", "DOUBLE", "BOOLEAN"}


@pytest.mark.parametrize("name", NAMES)
def test_sql_is_portable(name: str) -> None:
    found = BANNED.findall(re.sub(r"\$\w+|AS listed\(", "", body(queries.describe(name).sql)))
    assert not found


@pytest.mark.parametrize("text", ["SELECT x::BIGINT", "SELECT median(x)", "QUALIFY 1 = 1", "FROM read_csv(f)", "SELECT l[1]"])
def test_the_ban_bites(text: str) -> None:
    assert BANNED.search(text)


@pytest.mark.parametrize("name", NAMES)
def test_declared_order_is_the_order_of_the_sql(name: str) -> None:
    info = queries.describe(name)
    written = " ".join(body(info.sql).rsplit("ORDER BY", 1)[1].split())
    if name == "problems":
        assert written.startswith("CASE severity")
        written = "severity, " + written.split("END, severity, ")[1]
    assert written == info.order


@pytest.mark.parametrize("name", NAMES)
def test_order_is_total(name: str, lively: duckdb.DuckDBPyConnection) -> None:
    rows = queries.as_rows(lively, name, **arguments(name))
    assert rows
    keys = [tuple(row[column] for column in order_columns(queries.describe(name))) for row in rows]
    assert len(set(keys)) == len(keys)


def test_answers_do_not_depend_on_the_order_of_the_rows_or_on_threads(lively: duckdb.DuckDBPyConnection) -> None:
    with make_lively(shuffle=7) as shuffled:
        shuffled.execute("SET threads = 1")
        for name in NAMES:
            assert queries.as_rows(shuffled, name, **arguments(name)) == queries.as_rows(lively, name, **arguments(name)), name


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_mirror_is_no_error(name: str) -> None:
    with duckdb.connect() as con:
        con.execute((resources.files("sessionlab.lab") / "schema.sql").read_text(encoding="utf-8"))
        rows = queries.as_rows(con, name, **arguments(name))
    assert len(rows) == {"overview": 1, "usage_totals": 3, "age_distribution": 8}.get(name, 0)
    assert all(value in (0, None) for row in rows for value in row.values() if not isinstance(value, str) and name == "overview")


@pytest.mark.parametrize(
    "header",
    [
        "-- question: q\n-- columns: a BIGINT bytes - x\nSELECT 1",
        "-- question: q\n-- order: a\nSELECT 1",
        "-- question: q\n-- columns: a BIGINT\n-- order: a\nSELECT 1",
        "-- question: q\n-- params: agent VARCHAR optional - x\n-- columns: a BIGINT bytes - x\n-- order: a\nSELECT 1",
        "-- question: q\n-- remark: r\nSELECT 1",
    ],
)
def test_a_header_of_another_form_is_refused(header: str) -> None:
    with pytest.raises(UsageError):
        queries.parse("made_up", header)
