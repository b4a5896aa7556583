"""The column dictionary in data/README.md: every table and column of the mirror, with its type, and none that is not there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from sessionlab import synth
from sessionlab.lab.connection import connect
from sessionlab.lab.insert import create_tables
from sessionlab.lab.mirror import load_into
from sessionlab.units import format_bytes
from tests.fixture_states import STATES, shared_state

DATA = Path(__file__).parents[2] / "data"
TEXT = (DATA / "README.md").read_text(encoding="utf-8")
HEAD = "| column | type | meaning | unit | NULL when |"

Column = tuple[str, str, str, str, str]


def documented() -> dict[str, list[Column]]:
    """Return table -> (column, type, meaning, unit, when NULL), as the dictionary lists them."""
    found: dict[str, list[Column]] = {}
    for section in re.split(r"^## ", TEXT, flags=re.MULTILINE)[1:]:
        name, _, body = section.partition("\n")
        if HEAD not in body:
            continue
        rows = [line for line in body.partition(HEAD)[2].splitlines() if line.startswith("| ")]
        found[name] = []
        for row in rows:
            column, kind, meaning, unit, null = (cell.strip() for cell in row.strip("|").split("|"))
            found[name].append((column, kind, meaning, unit, null))
    return found


@pytest.fixture(scope="module")
def tables() -> Iterator[duckdb.DuckDBPyConnection]:
    with connect() as con:
        create_tables(con)
        yield con


def columns(con: duckdb.DuckDBPyConnection) -> dict[str, list[tuple[str, str, bool]]]:
    """Return table -> (column, type, whether it may be NULL) of the real tables, in their order."""
    rows = con.execute(
        "SELECT table_name, column_name, data_type, is_nullable FROM duckdb_columns() WHERE NOT internal ORDER BY table_oid, column_index"
    ).fetchall()
    found: dict[str, list[tuple[str, str, bool]]] = {}
    for table, column, kind, nullable in rows:
        found.setdefault(table, []).append((column, kind, nullable))
    return found


def test_every_table_and_column_is_documented_in_order_with_its_type_and_no_other(tables: duckdb.DuckDBPyConnection) -> None:
    real = {table: [(column, kind) for column, kind, _ in found] for table, found in columns(tables).items()}
    assert {table: [(column, kind) for column, kind, *_ in found] for table, found in documented().items()} == real


def test_every_column_has_a_meaning_and_every_number_a_unit() -> None:
    for table, found in documented().items():
        for column, kind, meaning, unit, null in found:
            assert meaning, f"{table}.{column}"
            assert null, f"{table}.{column}"
            is_number = kind in ("BIGINT", "DATE") and column != "line"
            assert bool(unit) == is_number, f"{table}.{column}"
            if column.endswith("_ms"):
                assert unit == "epoch ms"
            if column.endswith("bytes"):
                assert unit == "bytes"
            if column.endswith("_tokens"):
                assert unit == "tokens"


def test_never_null_is_what_the_table_enforces_or_what_the_real_mirrors_show(
    tables: duckdb.DuckDBPyConnection, tmp_path_factory: pytest.TempPathFactory
) -> None:
    nullable = {(table, column) for table, found in columns(tables).items() for column, _, may_be in found if may_be}
    promised = {(table, column) for table, found in documented().items() for column, *_, null in found if null.startswith("never")}
    for table, column in {(table, name) for table, found in documented().items() for name, *_ in found} - promised:
        assert (table, column) in nullable, f"{table}.{column} is documented as sometimes NULL but never is"
    for state in [DATA / "sample", *(shared_state(name, tmp_path_factory) for name in STATES)]:
        with connect() as con:
            load_into(con, state, now_ms=synth.DEFAULT_NOW_MS)
            for table, column in promised:
                assert con.execute(f"SELECT count(*) FROM {table} WHERE {column} IS NULL").fetchone() == (0,), f"{table}.{column}"


def test_the_notes_on_the_sample_are_true() -> None:
    notes = re.sub(r"\s+", " ", TEXT.partition("## The sample")[2].partition("\n## ")[0])
    truth = synth.read_truth(DATA / "sample")
    files = [path for path in (DATA / "sample").rglob("*") if path.is_file()]
    assert f"{truth.sessions} sessions" in notes
    assert f"{len(files)} files, {format_bytes(sum(path.stat().st_size for path in files))}" in notes
    assert f"{truth.live.usage.cost_microusd / 1e6:.6f} USD over {truth.live.calls:,} calls in the live transcripts" in notes
    assert f"{truth.everything.usage.cost_microusd / 1e6:.6f} USD with the {truth.archives.files} archives" in notes
    copied = truth.live.naive_usage.cost_microusd - truth.live.usage.cost_microusd
    assert f"({truth.live.copied_calls} calls, {copied / 1e6:.6f} USD" in notes
    assert f"`now_ms` {truth.now_ms}" in notes
    for name, agent in truth.agents.items():
        sizes = f"{format_bytes(agent.store_bytes)} | {agent.live.files}, {format_bytes(agent.live.bytes)} |"
        assert re.search(rf"\| {name} \| {agent.sessions} \|[^|]*\| {re.escape(sizes)}", notes), name
    for kind, count in truth.kinds.items():
        assert f"{kind} {count}" in notes
