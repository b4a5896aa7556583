"""A maintenance in words: its policy, why an entry goes or stays, how much there is. Never a value of an entry but times."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from sessionlab.cli.moving import counted, shown_key
from sessionlab.units import MS_PER_DAY, MS_PER_HOUR, MS_PER_MINUTE, MS_PER_SECOND, format_age_ms, format_bytes, format_count

if TYPE_CHECKING:
    from sessionlab.maintenance.decisions import Decision, Why
    from sessionlab.maintenance.plan import MaintenancePlan, Totals
    from sessionlab.maintenance.policy import Policy
    from sessionlab.maintenance.warning import EvictionWarning

WARNING: Final = "session maintenance would evict active session; skipping enforcement"
"""OpenClaw's own words (D.13)."""
_UNITS: Final = ((MS_PER_DAY, "d"), (MS_PER_HOUR, "h"), (MS_PER_MINUTE, "min"), (MS_PER_SECOND, "s"))
_WHY_KEPT: Final[dict[Why, str]] = {
    "active session": "is the active session",
    "has a newer spelling": "another spelling of its key stays",
    "has an older spelling": "another spelling of its key stays",
    "not reachable": "its transcript is said to lie in a folder that is not there, or is empty: is a volume not mounted?",
    "no way back": "left: no store takes it, without a session id or with such a key, so that it could not be brought back",
    "main session": "is a main session, which OpenClaw never touches",
    "conversation": "is a conversation in a chat, which OpenClaw never touches",
    "pinned": "is pinned",
    "model locked": "has a locked model",
    "running": "is running",
    "recently active": "was active lately, as preserveRecent has it",
}


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
