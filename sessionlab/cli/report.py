"""`sessionlab report`: reports as HTML files."""

from __future__ import annotations

import time
from pathlib import Path

import click

from sessionlab.cli.output import (
    agent_option,
    cell_progress,
    echo_json,
    json_option,
    named_source,
    notebook_parameters,
    now_option,
    progress,
)
from sessionlab.units import format_bytes, parse_size_bytes


@click.group("report", invoke_without_command=True)
@json_option
@click.pass_context
def command(ctx: click.Context, *, as_json: bool) -> None:
    """Make a report as one HTML file that opens offline; 'sessionlab report' alone makes the growth report of the sample."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(growth, as_json=as_json)
    elif as_json:
        ctx.default_map = {ctx.invoked_subcommand: {"as_json": True}}


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
    from sessionlab.lab.choices import checked
    from sessionlab.lab.session import chosen_path
    from sessionlab.reports.growth import growth_report

    named = named_source(state_dir, sample=sample)
    source = chosen_path(named)
    values = notebook_parameters(params)
    given = {"agent": agent, "since": since, "until": until, "now_ms": now_ms or None}
    values |= {name: value for name, value in given.items() if value is not None}
    if limit is not None:
        values["limit_bytes"] = parse_size_bytes(limit)
    # The notebook checks these, too, but only as a failing cell.
    checked(since=str(values.get("since", "")), until=str(values.get("until", "")))
    with progress() as on_stage:
        report = growth_report(
            source,
            Path(output),
            parameters=values,
            keep_notebook=Path(keep_notebook).absolute() if keep_notebook is not None else None,
            on_progress=cell_progress(on_stage),
            generated_ms=time.time_ns() // 1_000_000,
        )
    if as_json:
        facts = {"path": str(report.html.path), "bytes": report.html.bytes, "figures": report.html.figures, "source": str(source)}
        echo_json(facts | {"record": dict(report.record)})
        return
    if not named:
        click.echo("No state folder named: this is the bundled sample. For your own: sessionlab report growth --state-dir ~/.openclaw")
    click.echo(f"{report.html.path}: {report.html.figures} figures, {format_bytes(report.html.bytes)}; open it in a browser")
