"""A maintenance for JSON: what was planned and what came of it, by OpenClaw's names where it has any. Of entries no value but times."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sessionlab.cli.maintaining import has_work, way_back, would_empty
from sessionlab.cli.plan_words import action_counts, not_simply_kept, reason, warning_line

if TYPE_CHECKING:
    from sessionlab.maintenance.apply import MaintenanceReport
    from sessionlab.maintenance.plan import MaintenancePlan, Totals
    from sessionlab.maintenance.policy import Policy


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
