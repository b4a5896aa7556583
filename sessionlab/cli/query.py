"""`sessionlab query`: one of the lab's questions, answered as a table, CSV or JSON."""

from __future__ import annotations

import contextlib
import csv
import io
from pathlib import Path
from typing import Any

import click

from sessionlab.cli.output import agent_option, echo_json, echo_table, json_option, named_source, now_option, progress
from sessionlab.errors import UsageError


@click.command("query")
@click.argument("name", required=False)
@click.option("--state-dir", metavar="DIR", help="State folder, agent's folder or store. Default: $OPENCLAW_STATE_DIR, else the sample.")
@click.option("--sample", is_flag=True, help="The bundled sample, whatever the environment says.")
@click.option("--mirror", metavar="FILE", help="Ask a mirror made by 'sessionlab load' instead.")
@click.option("-p", "--param", "params", multiple=True, metavar="NAME=VALUE", help="A parameter of the query; repeatable.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
@agent_option
@now_option
@json_option
def command(
    *,
    name: str | None,
    state_dir: str | None,
    sample: bool,
    mirror: str | None,
    params: tuple[str, ...],
    as_csv: bool,
    agent: str | None,
    now_ms: int,
    as_json: bool,
) -> None:
    """Answer the question NAME; without NAME, list the questions."""
    from sessionlab.lab import queries

    if name is None:
        infos = [queries.describe(name) for name in queries.names()]
        if as_json:
            echo_json({"queries": [{"name": info.name, "question": info.question} for info in infos]})
        else:
            echo_table([[info.name, info.question] for info in infos])
        return
    info = queries.describe(name)
    values: dict[str, object] = {}
    types = {param.name: param.type for param in info.params}
    for text in params:
        key, sign, value = text.partition("=")
        if not sign:
            raise UsageError(f"-p {text}: write NAME=VALUE")
        values[key] = _number(key, value) if types.get(key) == "BIGINT" else value
    if agent is not None and "agent" in types:
        values["agent"] = agent
    if mirror is not None and (sample or state_dir is not None):
        raise UsageError("give only one of --state-dir, --sample and --mirror")
    source = named_source(state_dir, sample=sample)
    rows = _rows(name, values, state_dir=source, mirror=mirror, agent=agent, now_ms=now_ms, takes_clock="now_ms" in types)
    columns = [column.name for column in info.columns]
    if as_json:
        echo_json({"query": name, "question": info.question, "columns": columns, "rows": rows})
    elif as_csv:
        buffer = io.StringIO()
        writer = csv.DictWriter(buffer, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        click.echo(buffer.getvalue(), nl=False)
    else:
        right = frozenset(place for place, column in enumerate(info.columns) if column.type in ("BIGINT", "DOUBLE"))
        echo_table([columns, *([_shown(row[column]) for column in columns] for row in rows)], right=right)


def _rows(
    name: str, values: dict[str, object], *, state_dir: str, mirror: str | None, agent: str | None, now_ms: int, takes_clock: bool
) -> list[dict[str, Any]]:
    from sessionlab.lab import queries
    from sessionlab.lab.mirror import connect
    from sessionlab.lab.session import clock_of, open_lab

    if mirror is not None:
        path = Path(mirror).absolute()
        with contextlib.closing(connect(path)) as con:
            clock = {"now_ms": clock_of(path, now_ms).now_ms} if takes_clock else {}
            return queries.as_rows(con, name, **(clock | values))
    with progress() as on_progress, open_lab(state_dir, agent=agent or "", now_ms=now_ms, on_progress=on_progress) as lab:
        clock = {"now_ms": lab.now_ms} if takes_clock else {}
        return queries.as_rows(lab.con, name, **(clock | values))


def _number(key: str, text: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise UsageError(f"-p {key}={text}: is a whole number") from error


def _shown(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
