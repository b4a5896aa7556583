"""`sessionlab export`: from OpenClaw's own SQLite store back to files."""

from __future__ import annotations

import time
from pathlib import Path

import click
import msgspec

from sessionlab.cli.asked import on_one_line
from sessionlab.cli.output import agent_option, command_line, echo_json, json_option, not_blank, progress, refuse_off_limits
from sessionlab.migration.export import ExportPlan, plan_export
from sessionlab.migration.export_folder import ExportReport, export_openclaw
from sessionlab.units import format_bytes, format_count


@click.command("export")
@click.argument("what", type=click.Choice(["openclaw"]), metavar="openclaw")
@click.argument("state_dir")
@click.option("--to", "target", metavar="DIR", required=True, help="The folder to make; it must not exist, or be empty.")
@agent_option
@click.option("--set-aside", is_flag=True, help="Leave out what cannot be read, report it and exit with 3, instead of stopping.")
@click.option("--dry-run", is_flag=True, help="Say what would be done; write nothing.")
@json_option
def command(*, what: str, state_dir: str, target: str, agent: str | None, set_aside: bool, dry_run: bool, as_json: bool) -> None:
    """Export OpenClaw's SQLite stores to a new folder that a JSON-era OpenClaw (2026.2 to 2026.7) lists.

    For each agent DIR gets agents/<id>/sessions/ with sessions.json, a .jsonl for each transcript, and the archives under their names.
    Sessions that began after OpenClaw's import are in it, too. 'delivery' is kept and turned back into channel, lastChannel, lastTo,
    lastAccountId and lastThreadId; keys come in lower case. DIR has its name only after everything in it was compared with the store.

    STATE_DIR is only read. Exit code: 0 done, 3 something cannot be read (with --set-aside: was left out), 4 the store was written
    meanwhile, 10 no SQLite store of OpenClaw, or the system refuses.
    """
    del what  # there is only one so far
    now_ms = time.time_ns() // 1_000_000
    source, folder = Path(not_blank(state_dir, "STATE_DIR")), Path(not_blank(target, "--to"))
    refuse_off_limits(folder.absolute(), "--to", what="folder")
    plan = plan_export(source, folder, agent=agent, now_ms=now_ms, set_aside=set_aside)
    if dry_run:
        _echo_plan(plan, as_json=as_json)
        raise click.exceptions.Exit(3 if plan.set_aside else 0)
    with progress() as bar:
        report = export_openclaw(plan, on_progress=bar)
    if as_json:
        echo_json(msgspec.to_builtins(report))
    else:
        _echo(report)
    raise click.exceptions.Exit(report.exit_code)


def _echo_plan(plan: ExportPlan, *, as_json: bool) -> None:
    if as_json:
        echo_json({"dry_run": True, **msgspec.to_builtins(plan)})
        return
    click.echo(f"would export {on_one_line(plan.source)} to {on_one_line(plan.target)}; nothing was written")
    for agent in plan.agents:
        sessions, found = format_count(len(agent.plan.moved)), format_count(len(agent.transcripts))
        click.echo(f"  agent {agent.plan.agent_id}: {sessions} sessions, {found} transcripts")
        _echo_changes(agent.changes)
    click.echo(f"  disk space: {format_bytes(plan.bytes_needed)} needed, {format_bytes(plan.bytes_free)} free")
    _echo_rest(plan)


def _echo(report: ExportReport) -> None:
    click.echo(f"exported {on_one_line(report.source)} to {on_one_line(report.target)}")
    click.echo(f"  {format_count(report.sessions)} sessions; every entry compared")
    live = f"{format_count(report.live_events)} of them outside of archives"
    click.echo(f"  {format_count(report.transcripts)} transcripts with {format_count(report.events)} events, {live}; every event compared")
    if report.prompts:
        click.echo(f"  {format_count(report.prompts)} prompts of skills-prompts/")
    _echo_changes(report.changes)
    click.echo(f"  {format_bytes(report.bytes)}")
    _echo_rest(report)
    for run in report.runs:
        click.echo(on_one_line(f"  run: {run}"))
    click.echo(f"next: {command_line('check', report.target)}")


def _echo_changes(changes: dict[str, int]) -> None:
    for what, number in changes.items():
        click.echo(f"  {what}: {format_count(number)}")


def _echo_rest(found: ExportPlan | ExportReport) -> None:
    for warning in found.warnings:
        click.echo(f"  warning: {warning}")
    for one in found.set_aside[:10]:
        click.echo(f"  left out: {on_one_line(f'{one.name}: {one.reason}')}")
    if len(found.set_aside) > 10:
        click.echo(f"  left out: {format_count(len(found.set_aside) - 10)} more; see --json")
