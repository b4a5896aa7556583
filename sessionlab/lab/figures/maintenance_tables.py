"""Tables of a maintenance that is only thought of: units written out, ready to be shown under a figure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sessionlab.lab.what_if_policy import shown_duration
from sessionlab.units import format_bytes, format_count, format_usd

if TYPE_CHECKING:
    import pandas as pd

    from sessionlab.lab.what_if_outcome import Outcome
    from sessionlab.maintenance.policy import Policy


def losses_table(outcome: Outcome) -> pd.DataFrame:
    """List the groups of which something goes or is put aside, those with the most such sessions first.

    Columns: Agent and kind, Sessions that go, Their entries, Transcripts put aside, Cost put aside, Files removed for good, Cost removed
    for good; and Marked as archived, where that is done.
    """
    import pandas as pd

    touched = [one for one in outcome.groups if one.is_touched]
    touched.sort(key=lambda one: (-one.gone.sessions - one.aside.sessions, one.agent, one.kind))
    columns = {
        "Agent and kind": [f"{one.agent}, {one.kind}" for one in touched],
        "Sessions that go": [_part(one.gone.sessions, one.held.sessions) for one in touched],
        "Marked as archived": [format_count(one.aside.sessions) for one in touched],
        "Their entries": [format_bytes(one.gone.entry_bytes) for one in touched],
        "Transcripts put aside": [format_bytes(one.aside.file_bytes) for one in touched],
        "Cost put aside": [format_usd(one.aside.cost_microusd) for one in touched],
        "Files removed for good": [format_bytes(one.gone.file_bytes) for one in touched],
        "Cost removed for good": [format_usd(one.gone.cost_microusd) for one in touched],
    }
    if not outcome.aside.sessions:
        del columns["Marked as archived"]
    return pd.DataFrame(columns, dtype="str")


def rules_table(outcomes: Sequence[Outcome]) -> pd.DataFrame:
    """Compare the rules of several versions.

    Columns: OpenClaw, Mode, Too old after, What is too old, Most entries in a store, Disk budget of an agent, Archived transcripts.
    """
    import pandas as pd

    policies = [one.policy for one in outcomes]
    kept = [one.archive_limit_ms("archive-deleted", has_removed=True) for one in policies]
    budgets = [one.limits.max_disk_bytes for one in policies]
    return pd.DataFrame(
        {
            "OpenClaw": [one.profile for one in policies],
            "Mode": ["enforces" if one.is_enforced else "only warns" for one in policies],
            "Too old after": [shown_duration(one.limits.prune_after_ms) for one in policies],
            "What is too old": [_stale(one) for one in policies],
            "Most entries in a store": [format_count(one.limits.max_entries) for one in policies],
            "Disk budget of an agent": ["none" if size is None else f"at most {format_bytes(size)}" for size in budgets],
            "Archived transcripts": ["stay for good" if ms is None else f"stay for {shown_duration(ms)}" for ms in kept],
        },
        dtype="str",
    )


def _stale(policy: Policy) -> str:
    if policy.archives_in_place:
        return "is marked as archived; what automation left is removed, conversations stay"
    return "is removed"


def results_table(outcomes: Sequence[Outcome]) -> pd.DataFrame:
    """Compare what comes of the rules of several versions.

    Columns: OpenClaw, Too old, Over the cap, For the budget, Marked as archived, Stay, Stores afterwards, On disk afterwards, Cost put
    aside, Cost removed for good.
    """
    import pandas as pd

    return pd.DataFrame(
        {
            "OpenClaw": [one.policy.profile for one in outcomes],
            "Too old": [format_count(one.actions.get("prune-stale", 0)) for one in outcomes],
            "Over the cap": [format_count(one.actions.get("cap-overflow", 0)) for one in outcomes],
            "For the budget": [format_count(one.actions.get("evict-budget", 0)) for one in outcomes],
            "Marked as archived": [format_count(one.aside.sessions) for one in outcomes],
            "Stay": [format_count(one.after.sessions) for one in outcomes],
            "Stores afterwards": [format_bytes(one.after.store_bytes) for one in outcomes],
            "On disk afterwards": [format_bytes(one.after.bytes) for one in outcomes],
            "Cost put aside": [format_usd(one.aside.cost_microusd) for one in outcomes],
            "Cost removed for good": [format_usd(one.gone.cost_microusd) for one in outcomes],
        },
        dtype="str",
    )


def _part(number: int, whole: int) -> str:
    return f"{format_count(number)} of {format_count(whole)}" if whole else "none"
