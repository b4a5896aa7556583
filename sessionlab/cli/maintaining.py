"""What the commands that keep stores in bounds share: how a plan, and what came of it, is shown. Never a value of an entry but times."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from sessionlab.cli.asked import on_one_line
from sessionlab.cli.moving import counted, echo_facts, shown_key
from sessionlab.cli.output import command_line, echo_table
from sessionlab.cli.plan_words import action_counts, not_simply_kept, reason, totals_line, warning_line
from sessionlab.units import format_bytes, format_count, format_ms_utc

if TYPE_CHECKING:
    from sessionlab.maintenance.apply import MaintenanceReport
    from sessionlab.maintenance.plan import FileAction, MaintenancePlan, Totals
    from sessionlab.maintenance.run_folder import MaintenanceRun
    from sessionlab.stores.location import StoreLocation

_SHOWN: Final = 20
_OF_FILES: Final[dict[FileAction, tuple[str, str]]] = {
    "archive": ("transcript", "renamed to NAME.jsonl.deleted.TIME"),
    "expire": ("archive", "removed for good: too old"),
    "evict": ("file", "removed for good: the disk budget"),
    "drop-backup": ("backup", "of the store removed for good: there are newer ones"),
}


def root_folder(location: StoreLocation) -> Path:
    """Return the folder that has the settings for a store and, below `.sessionlab`, its runs: the state folder, or the store's own."""
    from sessionlab.migration.places import root_of

    return root_of(location)


def has_work(plan: MaintenancePlan) -> bool:
    """Say whether a plan changes anything at all."""
    return bool(plan.files or plan.old_runs) or any(one.action != "keep" for one in plan.entries)


def would_empty(plan: MaintenancePlan) -> bool:
    """Say whether a plan leaves no session of those that there are."""
    return bool(plan.before.sessions) and not plan.after.sessions


def echo_plan(plan: MaintenancePlan, *, done: MaintenanceReport | None = None, after: Totals | None = None) -> None:
    """Print a plan, indented: entries that do not simply stay, counts, files, and sizes.

    Args:
        plan: The plan.
        done: What came of it, when it was carried out: others may have been at work meanwhile.
        after: What there is since.
    """
    _echo_entries(plan)
    entries = ", ".join(f"{format_count(number)} {action}" for action, number in action_counts(plan).items()) or "none"
    is_otherwise = done is not None and bool(done.kept_since or done.gone_since)
    budget = plan.policy.limits.max_disk_bytes
    echo_facts(
        [
            ("entries", f"{entries}, as planned" if is_otherwise else entries),
            *(("files", line) for line in _file_lines(plan, done)),
            ("before", totals_line(plan.before)),
            ("after", totals_line(after) if after is not None else f"{totals_line(plan.after)}, as expected"),
            *([("over budget", f"more than {format_bytes(budget)} all the same")] if budget is not None and plan.is_over_budget else []),
            *([("warning", warning_line(plan.warning, plan))] if plan.warning is not None else []),
            *(("note", note) for note in plan.policy.notes),
        ]
    )


def _echo_entries(plan: MaintenancePlan) -> None:
    rows = [
        [
            one.action,
            format_ms_utc(one.updated_ms).removesuffix(" UTC") if one.updated_ms is not None else "",
            reason(one, plan),
            shown_key(one.key),
        ]
        for one in not_simply_kept(plan)
    ]
    if rows:
        echo_table([["action", "updated (UTC)", "why", "key"], *rows], indent="  ")


def _file_lines(plan: MaintenancePlan, done: MaintenanceReport | None) -> list[str]:
    lines = []
    left = frozenset(done.left_alone) if done is not None else frozenset[str]()
    for action, (noun, fate) in _OF_FILES.items():
        planned = [one for one in plan.files if one.action == action]
        sizes = [one.bytes for one in planned if one.name not in left]
        if planned:
            number = counted(len(planned), noun)
            if len(sizes) < len(planned):
                number = f"{format_count(len(sizes))} of {number}"
            lines.append(f"{number} ({format_bytes(sum(sizes))}) {fate}")
    if plan.old_runs:
        size = format_bytes(sum(size for _, size in plan.old_runs))
        lines.append(f"{counted(len(plan.old_runs), 'archive')} of earlier maintenances ({size}) removed for good: too old to be undone")
    gone = [one for one in plan.files if one.action != "archive" and one.name not in left]
    lines += [f"{one.action} {one.name} ({format_bytes(one.bytes)})" for one in gone[:_SHOWN]]
    if len(gone) > _SHOWN:
        lines.append(f"and {format_count(len(gone) - _SHOWN)} more; all of them are in --json")
    return lines


def echo_report(report: MaintenanceReport, run_dir: Path) -> None:
    """Print what a run did that its plan does not say, and its way back."""
    left = [on_one_line(name) for name in report.left_alone]
    echo_facts(
        [
            *([("kept since", f"{counted(report.kept_since, 'entry')} changed since the plan was made")] if report.kept_since else []),
            *([("gone since", f"{counted(report.gone_since, 'entry')} removed by another program since")] if report.gone_since else []),
            *(("left alone", f"{name}: changed, gone or referred to since, or cannot be renamed") for name in left[:_SHOWN]),
            *([("", f"and {format_count(len(left) - _SHOWN)} more; all of them are in --json")] if len(left) > _SHOWN else []),
            ("time", f"{report.seconds:g} s"),
            ("run", str(run_dir)),
        ]
    )
    lost = _removed_for_good(report)
    click.echo(f"To undo, but for {lost}: {way_back(run_dir)}" if lost else f"To undo: {way_back(run_dir)}")


def _removed_for_good(report: MaintenanceReport) -> str:
    """Return what no undo brings back; "" for nothing."""
    lost = [
        *([f"{counted(report.deleted, 'file')} ({format_bytes(report.freed_bytes)})"] if report.deleted else []),
        *([f"{counted(report.forgotten, 'archive')} of earlier maintenances"] if report.forgotten else []),
    ]
    return f"{' and '.join(lost)} removed for good" if lost else ""


class Watched:
    """Runs of one store that begin while something is done: where that fails on its way, the way back of what was done is still said."""

    def __init__(self, root: Path, location: StoreLocation) -> None:
        """Look at the runs that there are."""
        self._root, self._path = root, str(location.path)
        self._known = {run.path for run in self._runs()}

    def tell(self) -> None:
        """Say on stderr how to undo what began since."""
        for run in self._runs():
            if run.path not in self._known and run.head().store_path == self._path:
                where = "after its end" if run.has_ended() else "on its way"
                some = ", but for files that are removed for good," if any(one.action != "archive" for one in run.files()) else ""
                click.echo(f"sessionlab: stopped {where}; what was removed by then{some} comes back with: {way_back(run.path)}", err=True)

    def _runs(self) -> list[MaintenanceRun]:
        from sessionlab.maintenance.run_folder import maintenance_runs

        return maintenance_runs(self._root)


def way_back(run_dir: Path) -> str:
    """Return the command that undoes a run, from wherever it is called."""
    return command_line("undo", run_dir)
