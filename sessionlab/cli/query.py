"""`sessionlab query`: one of the lab's questions, answered as a table, CSV or JSON."""

from __future__ import annotations

import contextlib
import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sessionlab.cli.careful import disagreements_in, echo_warnings
from sessionlab.cli.output import (
    agent_option,
    echo_json,
    echo_table,
    json_option,
    named_source,
    now_option,
    progress,
    sample_option,
    source_option,
)
from sessionlab.errors import UsageError
from sessionlab.units import format_bytes, format_count, format_usd

if TYPE_CHECKING:
    from sessionlab.lab.queries import Column, QueryInfo


@click.command("query")
@click.argument("name", required=False)
@click.option("--describe", is_flag=True, help="Say which parameters NAME takes and which columns it answers with, and ask nothing.")
@source_option
@sample_option
@click.option("--mirror", metavar="FILE", help="Ask a mirror made by 'sessionlab load' instead.")
@click.option("-p", "--param", "params", multiple=True, metavar="NAME=VALUE", help="A parameter of the query (see --describe); repeatable.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
@agent_option
@now_option
@json_option
def command(
    *,
    name: str | None,
    describe: bool,
    state_dir: str | None,
    sample: bool,
    mirror: str | None,
    params: tuple[str, ...],
    as_csv: bool,
    agent: str | None,
    now_ms: int,
    as_json: bool,
) -> None:
    """Answer the question NAME; without NAME, list the questions, each with its parameters."""
    from sessionlab.lab import queries

    if as_csv and as_json:
        raise UsageError("give only one of --csv and --json")
    if mirror is not None and (sample or state_dir is not None):
        raise UsageError("give only one of --state-dir, --sample and --mirror")
    if name is None:
        _echo_questions([queries.describe(name) for name in queries.names()], as_json=as_json)
        return
    info = queries.describe(name)
    if describe:
        _echo_description(info, as_json=as_json)
        return
    values = _values(info, params, agent)
    source = "" if mirror is not None else named_source(state_dir, sample=sample)
    takes_clock = any(param.name == "now_ms" for param in info.params)
    rows, warnings = _rows(name, values, state_dir=source, mirror=mirror, agent=agent, now_ms=now_ms, takes_clock=takes_clock)
    if as_json:
        columns = [column.name for column in info.columns]
        echo_json({"query": name, "question": info.question, "columns": columns, "rows": rows, "warnings": warnings})
        return
    if as_csv:
        _echo_csv(info, rows)
    else:
        _echo_rows(info, rows)
    echo_warnings(warnings)


def _values(info: QueryInfo, params: Sequence[str], agent: str | None) -> dict[str, object]:
    """Return the parameters' values as the query takes them."""
    types = {param.name: param.type for param in info.params}
    values: dict[str, object] = {}
    for text in params:
        key, sign, value = text.partition("=")
        if not sign:
            raise UsageError(f"-p {text}: write NAME=VALUE")
        values[key] = _number(key, value) if types.get(key) == "BIGINT" else value
    if agent is not None and "agent" in types:
        values["agent"] = agent
    return values


def _rows(
    name: str, values: dict[str, object], *, state_dir: str, mirror: str | None, agent: str | None, now_ms: int, takes_clock: bool
) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the rows, and what has to be said beside them."""
    from sessionlab.lab import queries
    from sessionlab.lab.connection import connect
    from sessionlab.lab.session import clock_of, open_lab

    if mirror is not None:
        path = Path(mirror).absolute()
        with contextlib.closing(connect(path)) as con:
            clock = {"now_ms": clock_of(path, now_ms).now_ms} if takes_clock else {}
            return queries.as_rows(con, name, **(clock | values)), disagreements_in(con)
    with progress() as on_progress, open_lab(state_dir, agent=agent or "", now_ms=now_ms, on_progress=on_progress) as lab:
        clock = {"now_ms": lab.now_ms} if takes_clock else {}
        return queries.as_rows(lab.con, name, **(clock | values)), disagreements_in(lab.con)


def _number(key: str, text: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise UsageError(f"-p {key}={text}: is a whole number") from error


def _echo_questions(infos: Sequence[QueryInfo], *, as_json: bool) -> None:
    if as_json:
        echo_json({"queries": [_as_json(info) for info in infos]})
    else:
        echo_table([[info.name, info.question, " ".join(param.name for param in info.params)] for info in infos])


def _echo_description(info: QueryInfo, *, as_json: bool) -> None:
    if as_json:
        echo_json(_as_json(info))
        return
    types = {"BIGINT": "whole number", "DATE": "day", "VARCHAR": "text"}
    click.echo(f"{info.question}\n\nParameters, -p NAME=VALUE:")
    echo_table([[param.name, types[param.type], param.meaning] for param in info.params], indent="  ")
    click.echo("\nColumns:")
    echo_table([[column.name, column.unit, column.meaning] for column in info.columns], indent="  ")


def _as_json(info: QueryInfo) -> dict[str, Any]:
    params = [{"name": param.name, "type": param.type, "required": param.required, "meaning": param.meaning} for param in info.params]
    columns = [{"name": column.name, "type": column.type, "unit": column.unit, "meaning": column.meaning} for column in info.columns]
    return {"name": info.name, "question": info.question, "parameters": params, "columns": columns}


def _echo_csv(info: QueryInfo, rows: Sequence[dict[str, Any]]) -> None:
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, [column.name for column in info.columns], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    click.echo(buffer.getvalue(), nl=False)


def _echo_rows(info: QueryInfo, rows: Sequence[dict[str, Any]]) -> None:
    """Print a table; a single row, which may have thirty columns, as one line for each."""
    if len(rows) == 1:
        echo_table([[column.name, _with_unit(rows[0][column.name], column)] for column in info.columns])
        return
    names = [column.name for column in info.columns]
    right = frozenset(place for place, column in enumerate(info.columns) if column.type in ("BIGINT", "DOUBLE"))
    echo_table([names, *([_shown(row[name]) for name in names] for row in rows)], right=right)


def _with_unit(value: object, column: Column) -> str:
    """Return a value as a person reads it."""
    if value is None or column.unit in ("text", "day", "flag"):
        return _shown(value)
    if isinstance(value, int) and column.unit == "micro-dollars":
        return format_usd(value)
    number = format_count(value) if isinstance(value, int) else _shown(value)
    unit = column.unit.removesuffix("s") if value == 1 and column.unit != "ms" else column.unit
    return f"{number} {unit}" + (f" ({format_bytes(value)})" if isinstance(value, int) and column.unit == "bytes" else "")


def _shown(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
