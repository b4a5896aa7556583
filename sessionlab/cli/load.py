"""`sessionlab load`: stores and transcripts into a DuckDB file."""

from __future__ import annotations

import contextlib
from collections import Counter
from pathlib import Path

import click

from sessionlab.cli.careful import disagreements, echo_warnings
from sessionlab.cli.output import agent_option, command_line, echo_json, json_option, not_blank, now_option, output_file, progress
from sessionlab.units import format_count


@click.command("load")
@click.argument("path")
@click.option("-o", "--output", required=True, metavar="FILE", help="The mirror, e.g. mirror.duckdb. Replaced in one step when it exists.")
@agent_option
@now_option
@json_option
def command(*, path: str, output: str, agent: str | None, now_ms: int, as_json: bool) -> None:
    """Load the stores at PATH, with all transcripts, into a DuckDB file.

    PATH is a store file, an agent's folder or a state folder; it is only read. Loading again reads only transcripts that changed. The
    tables are described in data/README.md.
    """
    from sessionlab.lab.mirror import load
    from sessionlab.lab.session import chosen_path, clock_of

    mirror = output_file(output, "-o")
    source = chosen_path(not_blank(path, "PATH"))
    with progress() as on_progress:
        result = load(source, mirror, agent=agent, now_ms=clock_of(source, now_ms).now_ms, on_progress=on_progress)
    if as_json:
        facts = {name: getattr(result, name) for name in result.__slots__} | {"path": str(result.path)}
        echo_json({**facts, "warnings": disagreements(source, agent)})
        return
    if result.is_unchanged:
        click.echo(f"{result.path}: nothing changed since it was made")
    else:
        click.echo(
            f"{result.path}: made; {format_count(result.transcripts_read)} of {format_count(result.transcripts)} transcripts were read"
        )
    click.echo(
        f"{format_count(result.agents)} agents, {format_count(result.sessions)} sessions, {format_count(result.events)} events, "
        f"{_problems(mirror) if result.problems else 'no problems'}"
    )
    echo_warnings(disagreements(source, agent))
    if result.problems:
        click.echo(f"\nWhat the problems are:\n  {command_line('query', 'problems', '--mirror', mirror)}")


def _problems(mirror: Path) -> str:
    """Return how many problems a mirror lists, by severity, the worst first."""
    from sessionlab.lab import queries
    from sessionlab.lab.connection import connect

    counts: Counter[str] = Counter()
    with contextlib.closing(connect(mirror)) as con:
        for row in queries.as_rows(con, "problems"):
            counts[row["severity"]] += row["count"]
    words = (f"{format_count(count)} {severity}{'' if count == 1 or severity == 'info' else 's'}" for severity, count in counts.items())
    return f"problems: {', '.join(words)}"
