"""`sessionlab report`: reports as HTML files."""

from __future__ import annotations

import time

import click

from sessionlab.cli.careful import disagreements, echo_warnings
from sessionlab.cli.output import (
    agent_option,
    cell_progress,
    echo_json,
    json_option,
    named_source,
    notebook_parameters,
    now_option,
    output_files,
    progress,
    sample_option,
    source_option,
)
from sessionlab.errors import UsageError
from sessionlab.units import format_bytes, parse_size_bytes


class _Reports(click.Group):
    """The reports by name; options without a name are those of the growth report."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the name in where none is given."""
        own = next((place for place, arg in enumerate(args) if arg != "--json"), len(args))
        first = args[own] if own < len(args) else ""
        if first not in ctx.help_option_names and (not first or first.startswith("-")):
            args = [*args[:own], "growth", *args[own:]]
        return super().parse_args(ctx, args)


@click.group("report", cls=_Reports)
@json_option
def command(*, as_json: bool) -> None:  # passed on
    """Make a report as one HTML file that opens offline. Without a name it is growth, with the options of that."""


@command.command("growth")
@source_option
@sample_option
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
    state_dir: str | None,
    sample: bool,
    output: str,
    agent: str | None,
    since: str | None,
    until: str | None,
    limit: str | None,
    now_ms: int,
    params: tuple[str, ...],
    keep_notebook: str | None,
    as_json: bool,
) -> None:
    """Show how a session store grows, what makes it big, and what to do about it."""
    from sessionlab.lab.session import chosen_path

    files = output_files(("-o", output), ("--keep-notebook", keep_notebook))
    page, kept = files["-o"], files.get("--keep-notebook")
    values = notebook_parameters(params)
    if "state_dir" in values:
        raise UsageError("-p state_dir: name the folder with --state-dir")
    source = chosen_path(named_source(state_dir, sample=sample))
    given = {"agent": agent, "since": since, "until": until, "now_ms": now_ms or None}
    values |= {name: value for name, value in given.items() if value is not None}
    if limit is not None:
        values["limit_bytes"] = parse_size_bytes(limit)
    from sessionlab.reports.growth import growth_report  # takes a second or two, which a mistake need not

    with progress() as on_stage:
        report = growth_report(
            source,
            page,
            parameters=values,
            keep_notebook=kept,
            on_progress=cell_progress(on_stage),
            generated_ms=time.time_ns() // 1_000_000,
        )
    warnings = disagreements(source, agent or None)
    if as_json:
        facts = {"path": str(report.html.path), "bytes": report.html.bytes, "figures": report.html.figures, "source": str(source)}
        echo_json(facts | {"record": dict(report.record), "warnings": warnings})
        return
    click.echo(f"{report.html.path}: {report.html.figures} figures, {format_bytes(report.html.bytes)}; open it in a browser")
    echo_warnings(warnings)
