"""`sessionlab report`: reports as HTML files."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from sessionlab import layout
from sessionlab.cli.output import agent_option, echo_json, json_option, now_option, progress
from sessionlab.errors import UsageError
from sessionlab.units import format_bytes, parse_size_bytes


@click.group("report", invoke_without_command=True)
@click.pass_context
def command(ctx: click.Context) -> None:
    """Make a report as one HTML file that opens offline; 'sessionlab report' alone makes the growth report of the sample."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(growth)


@command.command("growth")
@click.option("--state-dir", metavar="DIR", help="State folder, agent's folder or store. Default: $OPENCLAW_STATE_DIR, else the sample.")
@click.option("--sample", is_flag=True, help="The bundled sample, whatever the environment says.")
@click.option("-o", "--output", default="growth.html", show_default=True, metavar="FILE", help="The HTML file.")
@agent_option
@click.option("--since", metavar="DAY", help="First UTC day shown, such as 2026-09-01.")
@click.option("--until", metavar="DAY", help="Last UTC day shown.")
@click.option("--limit", metavar="SIZE", help="The store size you worry about, such as 200mb; the forecast says when it is reached.")
@now_option
@click.option("-p", "--param", "params", multiple=True, metavar="NAME=VALUE", help="Any other parameter of the notebook; repeatable.")
@click.option("--keep-notebook", metavar="FILE", help="Keep the executed notebook, too.")
@json_option
def growth(
    *,
    state_dir: str | None = None,
    sample: bool = False,
    output: str = "growth.html",
    agent: str | None = None,
    since: str | None = None,
    until: str | None = None,
    limit: str | None = None,
    now_ms: int = 0,
    params: tuple[str, ...] = (),
    keep_notebook: str | None = None,
    as_json: bool = False,
) -> None:
    """Show how a session store grows, what makes it big, and what to do about it."""
    from sessionlab.lab.session import chosen_path
    from sessionlab.reports.growth import growth_report

    if sample and state_dir is not None:
        raise UsageError("give either --sample or --state-dir, not both")
    named = "" if sample else state_dir or os.environ.get(layout.STATE_DIR_VARIABLE, "").strip()
    source = chosen_path(named)
    values = _parameters(params)
    given = {"agent": agent, "since": since, "until": until, "now_ms": now_ms or None}
    values |= {name: value for name, value in given.items() if value is not None}
    if limit is not None:
        values["limit_bytes"] = parse_size_bytes(limit)
    with progress() as on_stage:
        report = growth_report(
            source,
            Path(output),
            parameters=values,
            keep_notebook=Path(keep_notebook).absolute() if keep_notebook is not None else None,
            on_progress=_cells(on_stage),
            generated_ms=time.time_ns() // 1_000_000,
        )
    if as_json:
        facts = {"path": str(report.html.path), "bytes": report.html.bytes, "figures": report.html.figures, "source": str(source)}
        echo_json(facts | {"record": dict(report.record)})
        return
    if not named:
        click.echo("No state folder named: this is the bundled sample. For your own: sessionlab report growth --state-dir ~/.openclaw")
    click.echo(f"{report.html.path}: {report.html.figures} figures, {format_bytes(report.html.bytes)}; open it in a browser")


def _parameters(params: tuple[str, ...]) -> dict[str, object]:
    """Take NAME=VALUE texts apart; the notebook's own declarations decide their types."""
    values: dict[str, object] = {}
    for text in params:
        name, sign, value = text.partition("=")
        if not sign or not name:
            raise UsageError(f"-p {text}: write NAME=VALUE")
        values[name] = value
    return values


def _cells(on_stage: Callable[[str, int, int], None] | None) -> Any:
    """Return a cell-by-cell progress callback for the runner, or `None` without a terminal."""
    if on_stage is None:
        return None
    return lambda step: on_stage(f"{step.notebook}: {step.title}"[:60], step.cell - 1, step.cells)
