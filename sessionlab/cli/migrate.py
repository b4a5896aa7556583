"""`sessionlab migrate`: sessions into a store of another kind (openclaw#58550, B.32 to B.38).

Deviations from that proposal: a dry run really writes nothing, a move works between all kinds, and an error that has an exit code of its
own keeps it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from sessionlab import keys, layout
from sessionlab.cli.asked import asked_place, end_with, on_one_line, path_argument
from sessionlab.cli.moving import (
    Tell,
    counted,
    echo_differences,
    echo_facts,
    echo_plan,
    echo_report,
    openclaw_note,
    plan_facts,
    way_back,
    with_rate,
)
from sessionlab.cli.next_step import with_next_step
from sessionlab.cli.output import echo_json, json_option, not_blank, progress, state_dir_option
from sessionlab.errors import SessionLabError, UsageError
from sessionlab.settings import StoreType
from sessionlab.stores.locating import locate, only, places, settings_of
from sessionlab.stores.location import StoreKind, StoreLocation

if TYPE_CHECKING:
    from sessionlab.migration.rehearsal import Rehearsal
    from sessionlab.migration.startup import Outcome, Result, Summary
    from sessionlab.settings import StoreSettings

_NAMES: Final[dict[StoreKind, str]] = {"json": "JSON", "sqlite": "SQLite", "directory": "Directory", "openclaw": "OpenClaw"}
_STATUS: Final[dict[Result, str]] = {
    "migrated": "migrated",
    "planned": "skipped",
    "already": "skipped",
    "skipped_empty": "no_data",
    "missing": "no_data",
    "skipped_invalid": "failed",
    "failed": "failed",
}
_ABOUT: Final = "session.storeType of the configuration"


@dataclass(frozen=True, slots=True)
class _Asked:
    place: Path
    settings: StoreSettings
    to: StoreKind
    agent: str | None
    is_all: bool
    is_store: bool
    is_dry_run: bool
    set_aside: bool
    is_rehearsal: bool


@click.command("migrate")
@path_argument
@state_dir_option
@click.option("--store", "store_file", metavar="FILE", help="This store, instead of PATH and the agents.")
@click.option("--to", type=click.Choice(["json", "sqlite", "directory"]), help=f"The kind to move to. Default: {_ABOUT}.")
@click.option("--agent", metavar="ID", help="This agent's store. Default: the only one, else that of the default agent, main.")
@click.option("--all-agents", is_flag=True, help="The stores of all agents; one that fails keeps no other back.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, entry by entry, and write nothing at all.")
@click.option("--set-aside", is_flag=True, help="Leave out entries that cannot be read, and report each; exit code 3.")
@click.option("--rehearse", is_flag=True, help="Do it on a private copy, there and back, and say how it went.")
@json_option
def command(
    *,
    path: str | None,
    state_dir: str | None,
    store_file: str | None,
    to: StoreType | None,
    agent: str | None,
    all_agents: bool,
    dry_run: bool,
    set_aside: bool,
    rehearse: bool,
    as_json: bool,
) -> None:
    """Move sessions to a store of another kind, and prove that every one arrived.

    PATH is a store, an agent's folder or a state folder. The new store is made beside the old one, read back and compared with it entry by
    entry, and takes its place by one rename; until then the old one counts, and nothing of it has changed. sessions.json stays where it is
    when it becomes a database; any other old store is renamed to NAME.bak.TIME. Transcripts are not touched. What was done is kept in
    .sessionlab/runs of the state folder. A run that was stopped is finished or cleaned up by the next one.

    OpenClaw itself reads neither sessions.sqlite nor sessions.d: they are for programs that open them through sessionlab. Stop OpenClaw
    before its store is moved, and roll back before it starts again.

    Exit codes: 0 done, or nothing to do; 3 an entry was left out or cannot be read; 4 the store changed meanwhile, or two stores disagree;
    10 no store, or no room; 11 locked; 1 any other failure.
    """
    if store_file is not None and not (path is None and state_dir is None and agent is None and not all_agents):
        raise UsageError("--store names the one store: leave PATH, --state-dir, --agent and --all-agents out")
    if agent is not None and all_agents:
        raise UsageError("give only one of --agent and --all-agents")
    if dry_run and rehearse:
        raise UsageError("give only one of --dry-run and --rehearse")
    place = layout.expanded(Path(not_blank(store_file, "--store"))) if store_file is not None else asked_place(path, state_dir)
    settings = settings_of(place)
    kind = to or settings.store_type
    if kind is None:
        raise UsageError(f"say what to move to with --to json, sqlite or directory: {_ABOUT} says nothing")
    asked = _Asked(
        place,
        settings,
        kind,
        agent,
        is_all=all_agents,
        is_store=store_file is not None,
        is_dry_run=dry_run or rehearse,
        set_aside=set_aside,
        is_rehearsal=rehearse,
    )
    try:
        _run(asked, as_json=as_json)
    except ImportError as error:
        if error.name not in ("sqlite3", "_sqlite3"):
            raise
        message = "this Python has no sqlite3, which a SQLite store needs; use a Python that has it"
        if as_json:
            echo_json({"success": False, "error": {"type": "ImportError", "message": message, "exit_code": 1}})
        click.echo(f"sessionlab: {message}", err=True)
        raise click.exceptions.Exit(1) from error


def _run(asked: _Asked, *, as_json: bool) -> None:
    from sessionlab.migration.startup import Summary, migrate_all, migrate_one  # what a mistake need not load

    now_ms = time.time_ns() // 1_000_000
    rehearsals: dict[str, Rehearsal] = {}
    others: tuple[str, ...] = ()
    done: list[Outcome] = []
    try:
        with progress() as tell:
            told = with_rate(tell)
            if asked.is_all:
                summary = migrate_all(
                    asked.place,
                    asked.to,
                    now_ms=now_ms,
                    set_aside=asked.set_aside,
                    is_dry_run=asked.is_dry_run,
                    on_progress=told,
                    on_outcome=done.append,
                    settings=asked.settings,
                )
            else:
                target, others = _target(asked)
                one = migrate_one(target, asked.to, now_ms=now_ms, set_aside=asked.set_aside, is_dry_run=asked.is_dry_run, on_progress=told)
                summary = Summary(asked.to, (one,))
            if asked.is_rehearsal:
                summary, rehearsals = _rehearsed(asked, summary, now_ms, told)
    except KeyboardInterrupt:
        if done:  # what was done is done, and has a way back
            _echo(asked, Summary(asked.to, tuple(done)), {}, (), as_json=as_json)
        raise
    _echo(asked, summary, rehearsals, others, as_json=as_json)
    errors = [one.error for one in summary.outcomes if one.error is not None]
    has_loss = any(one.report is not None and one.report.has_loss for one in summary.outcomes)
    if errors or has_loss or not all(one.comes_back for one in rehearsals.values()):
        end_with(errors, code=1 if errors and not has_loss else 3)


def _target(asked: _Asked) -> tuple[StoreLocation, tuple[str, ...]]:
    """Return the one store that is meant, that which counts, and the other agents that have one.

    Raises:
        NoStoreError: There is none.
        UsageError: It was named by its file, and another one counts.
    """
    from sessionlab.migration.places import named_store

    if asked.is_store and asked.place.is_dir() and asked.place.suffix != ".d":
        raise UsageError(f"--store {asked.place}: is a folder that holds a store; give it as PATH")
    others: tuple[str, ...] = ()
    if asked.is_store:
        location = named_store(asked.place)
    else:
        found = locate(asked.place, settings=asked.settings)
        agent = keys.DEFAULT_AGENT if asked.agent is None and len(found) > 1 else asked.agent
        location = only(found, asked.place, agent=agent)
        others = tuple(one.agent_id for one in found if asked.agent is None and one.agent_id != location.agent_id)
        if location.path == asked.place:
            location = named_store(asked.place)
    if asked.place.is_file() and location.path != asked.place and location.kind != asked.to:
        raise UsageError(f"{asked.place}: does not count, {location.path} does; name that one, if it is meant")
    return location, others


def _rehearsed(asked: _Asked, summary: Summary, now_ms: int, told: Tell | None) -> tuple[Summary, dict[str, Rehearsal]]:
    """Rehearse what is planned."""
    from dataclasses import replace

    from sessionlab.migration.places import named_store
    from sessionlab.migration.rehearsal import rehearse

    rehearsals: dict[str, Rehearsal] = {}
    outcomes: list[Outcome] = []
    for one in summary.outcomes:
        outcomes.append(one)
        if one.result != "planned":
            continue
        try:
            rehearsals[one.agent_id] = rehearse(
                named_store(one.store_path), asked.to, now_ms=now_ms, set_aside=asked.set_aside, on_progress=told
            )
        except SessionLabError as error:
            outcomes[-1] = replace(one, result="failed", error=error)
    return replace(summary, outcomes=tuple(outcomes)), rehearsals


def _echo(asked: _Asked, summary: Summary, rehearsals: dict[str, Rehearsal], others: Sequence[str], *, as_json: bool) -> None:
    if as_json:
        echo_json(
            {
                "success": not any(_STATUS[one.result] == "failed" for one in summary.outcomes),
                "to": asked.to,
                "dryRun": asked.is_dry_run,
                "results": [_facts(one, rehearsals.get(one.agent_id)) for one in summary.outcomes],
                **({"summary": summary.line} if asked.is_all else {"otherAgents": list(others)}),
            }
        )
        return
    click.echo("Session Store Migration\n")
    for one in summary.outcomes:
        _echo_outcome(one, rehearsals.get(one.agent_id), is_dry_run=asked.is_dry_run)
    _echo_closing(asked, summary, others)


def _facts(one: Outcome, rehearsal: Rehearsal | None) -> dict[str, Any]:
    """Return what is said of one target, in the names of B.33, and ours after them."""
    where = _places(one)
    facts = {
        "agentId": one.agent_id,
        "jsonPath": str(where["json"]),
        "sqlitePath": str(where["sqlite"]),
        "status": _STATUS[one.result],
        "migratedCount": one.migrated_entries,
        "existingSqliteCount": one.legacy_entries if (one.result, one.to) == ("already", "sqlite") else 0,
        "message": _message(one),
        "outcome": f"already_{one.to}" if one.result == "already" else one.result,
        "sourcePath": str(one.store_path),
        "targetPath": str(where[one.to]),
        "targetKind": one.to,
        "existingCount": one.legacy_entries if one.result == "already" else 0,
        "warnings": list(one.warnings),
    }
    if one.plan is not None:
        facts["plan"] = plan_facts(one.plan)
    if one.report is not None and one.run_dir is not None:
        facts |= {
            "isResumed": one.is_resumed,
            "runDir": str(one.run_dir),
            "sha256": one.report.sha256,
            "retiredPath": one.report.retired_path,
            "seconds": one.report.seconds,
            "wayBack": way_back(one.run_dir),
        }
    if rehearsal is not None:
        facts["rehearsal"] = {
            "sessions": rehearsal.report.sessions,
            "sha256": rehearsal.report.sha256,
            "comesBack": rehearsal.comes_back,
            "copySeconds": rehearsal.copy_seconds,
            "migrateSeconds": rehearsal.migrate_seconds,
            "rollbackSeconds": rehearsal.rollback_seconds,
        }
    if one.error is not None:
        facts["error"] = {"type": type(one.error).__name__, "message": str(one.error), "exit_code": one.error.exit_code}
    return facts


def _places(one: Outcome) -> dict[StoreKind, Path]:
    if one.kind == "openclaw":
        json_store = one.store_path.parent.parent / "sessions" / layout.JSON_STORE
        return places(StoreLocation(one.agent_id, "json", json_store, json_store.parent))
    return places(StoreLocation(one.agent_id, one.kind or "json", one.store_path, one.store_path.parent))


def _message(one: Outcome) -> str:
    """Word what came of a store (B.34)."""
    match one.result:
        case "migrated":
            return f"Migrated {counted(one.migrated_entries, 'session')}" + (", finishing a run that was stopped" if one.is_resumed else "")
        case "planned":
            return f"Would migrate sessions from {one.store_path} to {_places(one)[one.to]}"
        case "already":
            return f"{_NAMES[one.to]} store already has {counted(one.legacy_entries, 'session')}"
        case "skipped_empty" | "missing":
            return "No sessions to migrate"
        case _:
            return with_next_step(one.error) if one.error is not None else ""


def _echo_outcome(one: Outcome, rehearsal: Rehearsal | None, *, is_dry_run: bool) -> None:
    click.echo(f"{_STATUS[one.result].upper():<8}  {one.agent_id}: {on_one_line(_message(one))}")
    if one.report is not None and one.run_dir is not None:
        echo_report(one.report, one.run_dir)
        if one.plan is not None:
            echo_differences(one.plan.entries)
    elif one.plan is not None and is_dry_run:
        echo_plan(one.plan)
        echo_facts(("warning", text) for text in one.warnings if text not in one.plan.warnings and one.error is None)
    elif one.error is None:
        echo_facts(("warning", text) for text in one.warnings)
    if rehearsal is not None:
        rate = round(rehearsal.report.sessions / max(rehearsal.migrate_seconds, 0.001))
        back = "the same sessions came back" if rehearsal.comes_back else "OTHER SESSIONS CAME BACK"
        echo_facts(
            [
                ("rehearsed", f"copied in {rehearsal.copy_seconds:g} s to {rehearsal.folder}"),
                ("", f"moved and verified in {rehearsal.migrate_seconds:g} s, {counted(rate, 'session')} a second"),
                ("", f"rolled back in {rehearsal.rollback_seconds:g} s: {back}"),
                ("sha256", rehearsal.report.sha256),
            ]
        )
    click.echo("")


def _echo_closing(asked: _Asked, summary: Summary, others: Sequence[str]) -> None:
    """Print the closing lines (B.36); the last says how to roll back."""
    by_status: dict[str, list[Outcome]] = {}
    for one in summary.outcomes:
        by_status.setdefault(_STATUS[one.result], []).append(one)
    migrated = by_status.get("migrated", [])
    if migrated:
        total = sum(one.migrated_entries for one in migrated)
        click.echo(f"Migrated {counted(total, 'session')} across {len(migrated)} agent(s).")
    if skipped := by_status.get("skipped"):
        click.echo(f"Skipped {len(skipped)} agent(s) ({_NAMES[asked.to]} already populated or dry-run mode).")
    if empty := by_status.get("no_data"):
        click.echo(f"{len(empty)} agent(s) had no sessions to migrate.")
    if failed := by_status.get("failed"):
        click.echo(f"{len(failed)} agent(s) failed to migrate.")
    if asked.is_all and summary.line:
        click.echo(on_one_line(summary.line))
    if others:
        click.echo(f"Other agents were left alone: {', '.join(others)}. --all-agents moves theirs, too.")
    if any(one.kind == "json" for one in migrated) and asked.to != "json":
        click.echo(f"Note: {openclaw_note(asked.to)}")
    if migrated and (asked.settings.store_type or "json") != asked.to:
        click.echo(
            f'Tip: session.storeType "{asked.to}" in {layout.CONFIG_NAME} lets sessionlab make new stores of that kind, too. '
            "Only where OpenClaw does not read that file: it refuses keys that it does not know."
        )
    for one in migrated:
        if one.run_dir is not None:
            click.echo(f"To roll back{f' {one.agent_id}' if len(migrated) > 1 else ''}: {way_back(one.run_dir)}")
