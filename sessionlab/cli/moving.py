"""What the commands that move sessions share: how plans and progress are shown. Never a value of an entry."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from sessionlab import layout
from sessionlab.cli.asked import on_one_line
from sessionlab.cli.output import command_line, has_state_dir, not_blank
from sessionlab.errors import NoStoreError, UsageError
from sessionlab.stores.locating import find_state_dir
from sessionlab.units import format_bytes, format_count

if TYPE_CHECKING:
    from sessionlab.maintenance.run_folder import MaintenanceRun
    from sessionlab.migration.records import EntryPlan, Plan
    from sessionlab.migration.report import Report
    from sessionlab.migration.run_folder import RunFolder
    from sessionlab.runs import Run

Tell = Callable[[str, int, int], None]
_SHOWN_KEY: Final = 100


def asked_run(name: str, state_dir: str | None) -> RunFolder:
    """Return the migration or export that is meant: by its folder, or by its name in the state folder, the usual one by default, or here.

    Raises:
        UsageError: The name is blank, or that of a maintenance.
        NoStoreError: There is no such run.
    """
    from sessionlab.maintenance.run_records import OPERATION
    from sessionlab.migration.rollback import find_run

    path, places = _named_run(name, state_dir)
    other = _run_at(path, places)
    if other is not None and other.operation() == OPERATION:
        raise UsageError(f"{other.path}: is the run of a maintenance, not of a migration; 'sessionlab undo' brings back what it removed")
    return find_run(path, places)


def asked_maintenance(name: str, state_dir: str | None) -> MaintenanceRun:
    """Return the maintenance that is meant; named as for `asked_run`.

    Raises:
        UsageError: The name is blank, or that of a migration or an export.
        NoStoreError: There is no such run; naming those that there are.
    """
    from sessionlab.maintenance.run_folder import MaintenanceRun, maintenance_runs
    from sessionlab.maintenance.run_records import OPERATION
    from sessionlab.runs import RUNS

    path, places = _named_run(name, state_dir)
    found = _run_at(path, places)
    if found is None:
        known = [run.path.name for place in places for run in maintenance_runs(place)]
        raise NoStoreError(places[0] / RUNS, f"has no run {name!r}", advice=f"the latest are {', '.join(known[-3:]) or 'none'}")
    operation = found.operation()
    if operation != OPERATION:
        raise UsageError(f"{found.path}: is a run of {operation}, not a maintenance; 'sessionlab rollback' is its way back")
    return MaintenanceRun(found.path)


def _named_run(name: str, state_dir: str | None) -> tuple[str, list[Path]]:
    """Return a run's name, or the path of its folder, and the folders whose runs are looked through."""
    folder = layout.expanded(Path(not_blank(name, "RUN")))
    is_folder = folder.is_dir()
    places = [Path.cwd()]
    if state_dir is not None:
        places = [find_state_dir(Path(not_blank(state_dir, "--state-dir")))]
    elif has_state_dir() and not is_folder:
        places = [find_state_dir(), *places]
    return (str(folder) if is_folder else name), places


def _run_at(path: str, places: list[Path]) -> Run | None:
    """Return the run of whatever kind, if there is one.

    Raises:
        NoStoreError: The path is a folder, but not that of a run.
    """
    from sessionlab.runs import PLAN, RUNS, Run

    if Path(path).is_dir():
        return Run.open(Path(path))
    found = (place / RUNS / path for place in places)
    return next((Run(folder) for folder in found if (folder / PLAN).is_file()), None)


def with_rate(tell: Tell | None) -> Tell | None:
    """Name the rate beside what is being done: the bar itself shows how far it is, and for how long it will go on."""
    if tell is None:
        return None
    began: dict[str, float] = {}

    def told(what: str, done: int, total: int) -> None:
        now = time.monotonic()
        seconds = now - began.setdefault(what, now)
        tell(f"{what} {format_count(round(done / seconds))} sessions/s" if seconds > 0.1 else what, done, total)

    return told


def counted(number: int, noun: str) -> str:
    """Return a number of things in words."""
    plural = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{format_count(number)} {noun if number == 1 else plural}"


def openclaw_note(kind: str) -> str:
    """Return what whoever runs OpenClaw must know of a store that is not `sessions.json`; "" of one that is."""
    if kind == "json":
        return ""
    name = layout.SQLITE_SESSIONS if kind == "sqlite" else layout.DIRECTORY_SESSIONS
    return (
        f"OpenClaw itself does not read {name}, only programs that open it through sessionlab do; what OpenClaw writes to "
        f"{layout.JSON_STORE} after the move is not in it. Stop OpenClaw first, and roll back before it starts again."
    )


def plan_facts(plan: Plan) -> dict[str, Any]:
    """Return a plan for JSON: every entry that does not simply move, and how many do."""
    return {
        "runId": plan.run_id,
        "operation": plan.operation,
        "source": {
            "kind": plan.source.kind,
            "path": plan.source.path,
            "entries": plan.source.sessions,
            "bytes": plan.source.store_bytes,
            "sha256": plan.source.sha256,
        },
        "targetKind": plan.target_kind,
        "targetPath": plan.target_path,
        "retiredPath": plan.retired_path or plan.source.path,
        "displacedPath": plan.displaced_path,
        "displacedTo": plan.displaced_to,
        "displacedSessions": list(plan.displaced_sessions),
        "sessions": len(plan.moved),
        "actions": _actions(plan.entries),
        "bytes": sum(one.bytes for one in plan.moved),
        "bytesNeeded": plan.bytes_needed,
        "bytesFree": plan.bytes_free,
        "secondsExpected": plan.seconds_expected,
        "warnings": list(plan.warnings),
        "differences": [_difference(one) for one in plan.entries if one.action != "move"],
    }


def echo_plan(plan: Plan) -> None:
    """Print a plan, indented."""
    actions = ", ".join(f"{number} {action}" for action, number in _actions(plan.entries).items())
    room = f"{format_bytes(plan.bytes_needed)} needed at most, {format_bytes(plan.bytes_free)} free"
    lines = [
        ("sessions", f"{format_count(len(plan.moved))} from {counted(plan.source.sessions, 'entry')}: {actions or 'none'}"),
        ("bytes", f"{format_bytes(sum(one.bytes for one in plan.moved))} of entries; {room}"),
        ("time", f"about {plan.seconds_expected:g} s"),
        ("from", f"{plan.source.path}, {_fate(plan.retired_path)}"),
        ("to", plan.target_path),
        *([("in its place", f"{plan.displaced_path}, which is moved to {plan.displaced_to}")] if plan.displaced_path else []),
        *(("warning", warning) for warning in plan.warnings),
        *([("note", note)] if plan.source.kind == "json" and (note := openclaw_note(plan.target_kind)) else []),
    ]
    echo_facts(lines)
    echo_differences(plan.entries)


def echo_report(report: Report, run_dir: Path) -> None:
    """Print what a run did, indented."""
    lines = [
        ("from", f"{report.source.path}, which now lies in {report.retired_path}")
        if report.retired_path != report.source.path
        else ("from", f"{report.source.path}, which stays where it is"),
        ("to", report.target_path),
        ("sessions", format_count(report.sessions)),
        ("sha256", report.sha256),
        ("time", f"{report.seconds:g} s, verification included"),
        ("run", str(run_dir)),
        *(("warning", warning) for warning in report.warnings),
        *([("displaced", f"what lay there is {report.displaced_to} now")] if report.displaced_to else []),
    ]
    echo_facts(lines)


def echo_facts(lines: Iterable[tuple[str, str]]) -> None:
    """Print labelled lines, indented."""
    for label, text in lines:
        click.echo(f"  {label:<12}  {on_one_line(text)}")


def echo_differences(entries: Iterable[EntryPlan]) -> None:
    """Print each entry that does not simply move, and why."""
    for one in entries:
        if one.action != "move":
            where = f"line {one.line}: " if one.line is not None else ""
            click.echo(f"  {one.action:<12}  {where}{shown_key(one.key)}: {on_one_line(one.reason)}")


def shown_key(key: str) -> str:
    """Return a key as it can be shown, cut off where it is long."""
    return on_one_line(key if len(key) <= _SHOWN_KEY else f"{key[:_SHOWN_KEY]}...")


def way_back(run_dir: Path) -> str:
    """Return the command that rolls a run back, from wherever it is called."""
    return command_line("rollback", run_dir)


def _actions(entries: Iterable[EntryPlan]) -> dict[str, int]:
    return dict(sorted(Counter[str](one.action for one in entries).items()))


def _difference(one: EntryPlan) -> dict[str, Any]:
    return dict(_named(one))


def _named(one: EntryPlan) -> Iterator[tuple[str, Any]]:
    yield from (("key", one.key), ("action", one.action), ("reason", one.reason), ("digest", one.digest))
    yield "sourceDigests", list(one.source_digests)
    if one.spellings:
        yield "spellings", list(one.spellings)
    if one.line is not None:
        yield "line", one.line


def _fate(retired_path: str) -> str:
    return f"which is moved to {retired_path}" if retired_path else "which stays where it is"
