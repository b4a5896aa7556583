"""The reaper: what cron jobs leave, a session for each run, goes after its retention, and what webhooks leave after theirs (D.23 to D.29).

It is meant to be called on a timer, outside of any lock; it throttles itself to one sweep in five minutes for each store. The rules are
those of openclaw#30104: one sweep for both kinds, and a webhook's sessions are kept for good unless their retention is set.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from sessionlab.entry import SessionSummary
from sessionlab.errors import SessionLabError
from sessionlab.maintenance.apply import MaintenanceReport, apply_plan
from sessionlab.maintenance.decisions import Decision, has_no_way_back, with_all_spellings
from sessionlab.maintenance.finishing import finish_stopped
from sessionlab.maintenance.neighbours import files_beside
from sessionlab.maintenance.plan import MaintenancePlan, plan_decided
from sessionlab.maintenance.policy import Policy, Swept, swept_as
from sessionlab.settings import MaintenanceSettings
from sessionlab.stores.authority import refuse_split
from sessionlab.stores.location import StoreLocation, open_at
from sessionlab.units import MS_PER_MINUTE

SWEEP_EVERY_MS: Final = 5 * MS_PER_MINUTE
_LOGGER: Final = logging.getLogger("sessions/reaper")
_swept_ms: Final[dict[str, int]] = {}
"""Store path -> when it was last swept (D.25)."""
_one_at_a_time: Final = threading.Lock()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """What came of a call.

    Attributes:
        swept: Whether the store was looked at: not when it was a moment ago, when sweeping is off, or when it failed.
        pruned: How many sessions were removed.
        report: What was done; `None` when nothing was.
        error: Why it failed; the next call tries again.
    """

    swept: bool
    pruned: int = 0
    report: MaintenanceReport | None = None
    error: SessionLabError | None = None


def is_expired(one: SessionSummary, *, retention_ms: Mapping[Swept, int], now_ms: int) -> bool:
    """Say whether a session is of a kind that is swept, and its retention is over; without a time it is older than all (D.23, D.24)."""
    kind = swept_as(one.key)
    return kind is not None and kind in retention_ms and (one.updated_ms or 0) + retention_ms[kind] < now_ms


def reap(
    location: StoreLocation,
    *,
    retention_ms: int | None,
    hook_retention_ms: int | None = None,
    now_ms: int,
    root: Path,
    force: bool = False,
    active_key: str | None = None,
) -> Sweep:
    """Remove the sessions of cron runs and webhooks whose retention is over, and archive their transcripts; `undo` brings them back.

    Args:
        location: The store that counts.
        retention_ms: How long a cron run's session is kept after its last update; `None` keeps all (D.26).
        hook_retention_ms: How long a webhook's is; `None` keeps all (D.29).
        now_ms: The clock, epoch ms.
        root: As for `apply_plan`.
        force: Sweep even if the last sweep was less than five minutes ago (D.25).
        active_key: A session that is never removed.
    """
    nothing_to_do = retention_ms is None and hook_retention_ms is None
    if nothing_to_do or not _is_due(location.path, now_ms, force=force):
        return Sweep(swept=False)
    try:
        finish_stopped(location, root=root)
        plan = plan_sweep(location, retention_ms=retention_ms, hook_retention_ms=hook_retention_ms, now_ms=now_ms, active_key=active_key)
        report = apply_plan(plan, location, root=root, active_key=active_key, allow_empty=True) if plan.removed else None
    except SessionLabError as error:
        _LOGGER.warning("cron-run reaper failed for %s: %s", location.path, error)
        with _one_at_a_time:
            _swept_ms.pop(str(location.path), None)  # what failed does not use up the five minutes (D.28)
        return Sweep(swept=False, error=error)
    return Sweep(swept=True, pruned=sum(report.removed.values()) if report is not None else 0, report=report)


def plan_sweep(
    location: StoreLocation,
    *,
    retention_ms: int | None,
    hook_retention_ms: int | None = None,
    now_ms: int,
    active_key: str | None = None,
) -> MaintenancePlan:
    """Plan a sweep: the dry run. Reads only.

    Args:
        location: As for `reap`, like the others.
        retention_ms: Of cron runs; `None` keeps all.
        hook_retention_ms: Of webhooks; `None` keeps all.
        now_ms: The clock, epoch ms.
        active_key: A session that is never removed.

    Raises:
        StoreError: As for `plan_store`.
    """
    given: dict[Swept, int | None] = {"cron-run": retention_ms, "hook": hook_retention_ms}
    retention = {kind: kept_ms for kind, kept_ms in given.items() if kept_ms is not None}
    refuse_split(location)
    with open_at(location) as store:
        summaries = list(store.summaries())
        store_bytes = store.stats().store_bytes
    decided = []
    for one in summaries:
        decision = Decision(one.key, one.session_id, one.updated_ms, "keep")
        if is_expired(one, retention_ms=retention, now_ms=now_ms):
            if one.key == active_key:
                decision = decision._replace(why="active session")
            elif has_no_way_back(one):
                decision = decision._replace(why="no way back")
            else:
                decision = decision._replace(action="prune-stale")
        decided.append(decision)
    policy = Policy(limits=MaintenanceSettings(mode="enforce", reset_archive_retention_ms=None), retention_ms=retention)
    files = replace(files_beside(location), archives=(), backups=())  # these are no business of the reaper's
    return plan_decided(summaries, with_all_spellings(decided), policy, now_ms=now_ms, files=files, store_bytes=store_bytes)


def forget() -> None:
    """Forget when stores were swept, as when the process starts."""
    _swept_ms.clear()


def _is_due(path: Path, now_ms: int, *, force: bool) -> bool:
    """Say whether a store may be swept now, and note that it is."""
    with _one_at_a_time:
        last_ms = _swept_ms.get(str(path))
        if not force and last_ms is not None and 0 <= now_ms - last_ms < SWEEP_EVERY_MS:
            return False
        _swept_ms[str(path)] = now_ms
        return True
