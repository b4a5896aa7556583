"""The warning that the active session would be removed, by its age or by the cap, which OpenClaw gives instead (D.11 to D.14)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sessionlab.entry import SessionSummary
from sessionlab.maintenance.decisions import is_active
from sessionlab.maintenance.policy import Policy
from sessionlab.maintenance.protection import NO_TRAITS, Traits, is_archived, judged


@dataclass(frozen=True, slots=True, kw_only=True)
class EvictionWarning:
    """That the active session would be removed (D.12)."""

    active_key: str
    active_updated_ms: int | None
    total_entries: int
    prune_after_ms: int
    max_entries: int
    would_prune: bool
    would_cap: bool


def eviction_warning(
    summaries: Collection[SessionSummary],
    policy: Policy,
    *,
    now_ms: int,
    active_key: str | None,
    traits: Mapping[str, Traits] = NO_TRAITS,
) -> EvictionWarning | None:
    """Return the warning that the active session would be pruned or is beyond the cap; `None` when it would not be (D.11, D.12)."""
    active = next((one for one in summaries if is_active(one.key, active_key)), None)
    if active is None:
        return None
    is_put_away = policy.archives_in_place and is_archived(active, traits)
    if is_put_away or judged(active, policy, traits, now_ms=now_ms) not in (None, "disposable"):
        return None
    updated_ms = active.updated_ms
    would_prune = updated_ms is not None and updated_ms < now_ms - policy.limits.prune_after_ms
    newer = sum(1 for one in summaries if one is not active and _is_before(one.updated_ms, updated_ms))
    would_cap = newer >= policy.limits.max_entries
    if not (would_prune or would_cap):
        return None
    return EvictionWarning(
        active_key=active.key,
        active_updated_ms=updated_ms,
        total_entries=len(summaries),
        prune_after_ms=policy.limits.prune_after_ms,
        max_entries=policy.limits.max_entries,
        would_prune=would_prune,
        would_cap=would_cap,
    )


def _is_before(one: int | None, other: int | None) -> bool:
    """Say whether something of the one time is kept before something of the other."""
    return one is not None and (other is None or one > other)
