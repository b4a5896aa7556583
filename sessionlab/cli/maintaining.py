"""What the commands that keep stores in bounds share: how a plan, and what came of it, is shown. Never a value of an entry but times."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from sessionlab.cli.asked import on_one_line
from sessionlab.cli.moving import counted, echo_facts, shown_key
from sessionlab.cli.output import command_line, echo_table
from sessionlab.units import MS_PER_DAY, MS_PER_HOUR, MS_PER_MINUTE, MS_PER_SECOND, format_age_ms, format_bytes, format_count, format_ms_utc

if TYPE_CHECKING:
    from sessionlab.maintenance.apply import MaintenanceReport
    from sessionlab.maintenance.decisions import Decision, Why
    from sessionlab.maintenance.plan import EvictionWarning, FileAction, MaintenancePlan, Totals
    from sessionlab.maintenance.policy import Policy
    from sessionlab.maintenance.run_folder import MaintenanceRun
    from sessionlab.stores.location import StoreLocation

WARNING: Final = "session maintenance would evict active session; skipping enforcement"
"""OpenClaw's own words (D.13)."""

_SHOWN: Final = 20
_UNITS: Final = ((MS_PER_DAY, "d"), (MS_PER_HOUR, "h"), (MS_PER_MINUTE, "min"), (MS_PER_SECOND, "s"))
_WHY_KEPT: Final[dict[Why, str]] = {
    "active session": "is the active session",
    "has a newer spelling": "another spelling of its key stays",
    "has an older spelling": "another spelling of its key stays",
    "main session": "is a main session, which OpenClaw never touches",
    "conversation": "is a conversation in a chat, which OpenClaw never touches",
    "pinned": "is pinned",
    "model locked": "has a locked model",
    "running": "is running",
    "recently active": "was active lately, as preserveRecent has it",
}
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


def duration(ms: int) -> str:
    """Write a duration exactly, in the largest unit of which it is a whole number: `30 d`, `24 h`, `90 min`."""
    for unit_ms, name in _UNITS:
        if ms >= unit_ms * (2 if name == "d" else 1) and ms % unit_ms == 0:
            return f"{format_count(ms // unit_ms)} {name}"
    return f"{format_count(ms)} ms"


def policy_line(policy: Policy, *, told: str = "") -> str:
    """Return a policy in words; `told` is how it is known whose it is."""
    limits = policy.limits
    fate = "mark as archived or, what automation left, prune" if policy.archives_in_place else "prune"
    most, high = limits.max_disk_bytes, limits.high_water_bytes
    kept = {source: _kept(policy.archive_limit_ms(source, has_removed=True)) for source in ("archive-deleted", "archive-reset")}
    archives = f"archives kept{kept['archive-deleted']}"
    if kept["archive-reset"] != kept["archive-deleted"]:
        archives += f", those of a reset{kept['archive-reset'] or ' for good'}"
    budget = "no disk budget" if most is None else f"at most {format_bytes(most)} on disk (then down to {format_bytes(high or most)})"
    cap = f"at most {counted(limits.max_entries, 'entry')}"
    version = f"{policy.profile} ({told})" if told else policy.profile
    return f"as OpenClaw {version}, {limits.mode}: {fate} after {duration(limits.prune_after_ms)}, {cap}, {archives}, {budget}"


def _kept(retention_ms: int | None) -> str:
    return "" if retention_ms is None else f" for {duration(retention_ms)}"


def has_work(plan: MaintenancePlan) -> bool:
    """Say whether a plan changes anything at all."""
    return bool(plan.files or plan.old_runs) or any(one.action != "keep" for one in plan.entries)


def would_empty(plan: MaintenancePlan) -> bool:
    """Say whether a plan leaves no session of those that there are."""
    return bool(plan.before.sessions) and not plan.after.sessions


def action_counts(plan: MaintenancePlan) -> dict[str, int]:
    """Return how many entries each action is for, by its name."""
    return dict(sorted(Counter[str](one.action for one in plan.entries).items()))


def reason(one: Decision, plan: MaintenancePlan) -> str:
    """Return in words why an entry goes, or stays all the same."""
    limits = plan.policy.limits
    is_silent = "does not say when it was updated"
    age = is_silent
    if one.updated_ms is not None:
        age_ms, limit_ms = plan.now_ms - one.updated_ms, plan.policy.limit_ms(one.key)
        if one.action == "prune-stale" and age_ms <= limit_ms:  # a model run, of which there are too many
            limit_ms = plan.policy.model_run_ms
        age = f"not updated for {format_age_ms(age_ms)}, limit {duration(limit_ms)}"
    match one.action:
        case "prune-missing":
            return "its transcript is not there"
        case "prune-stale":
            return age
        case "archive":
            return f"{_why_archived(one, age, plan)}; stays, marked as archived"
        case "cap-overflow":
            return f"not among the {format_count(limits.max_entries)} newest" + (f": {is_silent}" if one.updated_ms is None else "")
        case "evict-budget":
            return f"to come down to {format_bytes(limits.high_water_bytes or limits.max_disk_bytes or 0)}"
        case _:
            return _WHY_KEPT.get(one.why, "")


def _why_archived(one: Decision, age: str, plan: MaintenancePlan) -> str:
    limits = plan.policy.limits
    if one.why == "stale-dashboard":
        return f"of the dashboard, nothing done in it for longer than {duration(limits.archive_dashboard_after_ms or 0)}"
    return f"not among the {format_count(limits.max_entries)} last active" if one.why == "active-session-cap" else age


def not_simply_kept(plan: MaintenancePlan) -> list[Decision]:
    """Return the decisions that are worth a line: all but those on entries that stay as they are."""
    return [one for one in plan.entries if one.action != "keep" or one.why not in ("", "archived already")]


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


def totals_line(totals: Totals) -> str:
    """Return how much there is, in words."""
    return (
        f"{counted(totals.sessions, 'session')}, {format_bytes(totals.bytes)}: "
        f"store {format_bytes(totals.store_bytes)}, files beside it {format_bytes(totals.file_bytes)}"
    )


def warning_line(warning: EvictionWarning, plan: MaintenancePlan) -> str:
    """Return the warning about the active session, with the age and the number that it is about (D.12 to D.14)."""
    whys = []
    if warning.would_prune and warning.active_updated_ms is not None:
        age = format_age_ms(plan.now_ms - warning.active_updated_ms)
        whys.append(f"was not updated for {age} (limit {duration(warning.prune_after_ms)})")
    if warning.would_cap:
        whys.append(f"is not among the {format_count(warning.max_entries)} newest of {counted(warning.total_entries, 'entry')}")
    stays = "it is kept all the same" if plan.policy.is_enforced else "maintenance is warn-only"
    return f"{WARNING}: {shown_key(warning.active_key)} {' and '.join(whys)}; {stays}"


def echo_report(report: MaintenanceReport, run_dir: Path) -> None:
    """Print what a run did that its plan does not say, and its way back."""
    left = [on_one_line(name) for name in report.left_alone]
    echo_facts(
        [
            *([("kept since", f"{counted(report.kept_since, 'entry')} updated since the plan was made")] if report.kept_since else []),
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


def plan_facts(plan: MaintenancePlan) -> dict[str, Any]:
    """Return a plan for JSON: every entry that does not simply stay, every file that does not, and how much there is.

    All but `wouldMutate`, which is what the version does by itself, is as if the rules were enforced.
    """
    counts = action_counts(plan)
    return {
        "mode": plan.policy.limits.mode,
        "profile": plan.policy.profile,
        "policy": _policy_facts(plan.policy),
        "notes": list(plan.policy.notes),
        "nowMs": plan.now_ms,
        "beforeCount": plan.before.sessions,
        "afterCount": plan.after.sessions,
        "missing": counts.get("prune-missing", 0),
        "pruned": counts.get("prune-stale", 0),
        "capped": counts.get("cap-overflow", 0),
        "evicted": counts.get("evict-budget", 0),
        "archived": counts.get("archive", 0),
        "diskBudget": _budget_facts(plan),
        "wouldMutate": plan.policy.is_enforced and has_work(plan),
        "wouldMutateEnforced": has_work(plan),
        "needsAllowEmpty": would_empty(plan),
        "actions": counts,
        "entries": [
            {
                "key": one.key,
                "sessionId": one.session_id,
                "updatedAt": one.updated_ms,
                "action": one.action,
                "reason": reason(one, plan),
            }
            for one in not_simply_kept(plan)
        ],
        "files": [{"name": one.name, "bytes": one.bytes, "action": one.action, "key": one.key or None} for one in plan.files],
        "oldRuns": [{"name": name, "bytes": size} for name, size in plan.old_runs],
        "before": totals_facts(plan.before),
        "after": totals_facts(plan.after),
        "warning": _warning_facts(plan),
    }


def totals_facts(totals: Totals) -> dict[str, int]:
    """Return how much there is, for JSON."""
    return {
        "sessions": totals.sessions,
        "bytes": totals.bytes,
        "storeBytes": totals.store_bytes,
        "fileBytes": totals.file_bytes,
    }


def report_facts(report: MaintenanceReport, run_dir: Path) -> dict[str, Any]:
    """Return what a run did, for JSON."""
    return {
        "runDir": str(run_dir),
        "wayBack": way_back(run_dir),
        "removed": report.removed,
        "markedArchived": report.archived,
        "keptSince": report.kept_since,
        "goneSince": report.gone_since,
        "renamedFiles": report.renamed,
        "deletedFiles": report.deleted,
        "freedBytes": report.freed_bytes,
        "leftAlone": list(report.left_alone),
        "forgottenRuns": report.forgotten,
        "seconds": report.seconds,
    }


def _policy_facts(policy: Policy) -> dict[str, Any]:
    limits = policy.limits
    return {
        "pruneAfterMs": limits.prune_after_ms,
        "maxEntries": limits.max_entries,
        "resetArchiveRetentionMs": limits.reset_archive_retention_ms,
        "maxDiskBytes": limits.max_disk_bytes,
        "highWaterBytes": limits.high_water_bytes,
        "archiveDashboardAfterMs": limits.archive_dashboard_after_ms,
        "preserveRecentMs": limits.preserve_recent_ms,
    }


def _budget_facts(plan: MaintenancePlan) -> dict[str, Any] | None:
    """Return what the disk budget comes to, in the names of D.50; `None` without one."""
    limits = plan.policy.limits
    if limits.max_disk_bytes is None:
        return None
    evicted: Sequence[int] = [one.bytes for one in plan.files if one.action == "evict"]
    return {
        "totalBytesBefore": plan.before.bytes,
        "totalBytesAfter": plan.after.bytes,
        "removedFiles": len(evicted),
        "removedEntries": sum(one.action == "evict-budget" for one in plan.entries),
        "freedBytes": plan.before.bytes - plan.after.bytes,
        "maxBytes": limits.max_disk_bytes,
        "highWaterBytes": limits.high_water_bytes,
        "overBudget": plan.is_over_budget,
    }


def _warning_facts(plan: MaintenancePlan) -> dict[str, Any] | None:
    """Return the warning about the active session, in the names of D.12, and its text."""
    warning = plan.warning
    if warning is None:
        return None
    return {
        "activeSessionKey": warning.active_key,
        "activeUpdatedAt": warning.active_updated_ms,
        "totalEntries": warning.total_entries,
        "pruneAfterMs": warning.prune_after_ms,
        "maxEntries": warning.max_entries,
        "wouldPrune": warning.would_prune,
        "wouldCap": warning.would_cap,
        "text": warning_line(warning, plan),
    }
