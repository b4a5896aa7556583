"""Which entries of a store a policy removes, and why each one stays or goes. Pure: summaries, a policy and a clock in, decisions out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from typing import Literal, NamedTuple

from sessionlab import keys
from sessionlab.entry import SessionSummary
from sessionlab.maintenance.policy import Policy

Action = Literal["keep", "prune-missing", "prune-stale", "cap-overflow", "evict-budget", "archive"]
"""openclaw's `sessions cleanup` (D.51); `archive` is what 2026.9 does to a stale entry: it stays, marked as archived."""

Why = Literal["", "active session", "archived already", "has a newer spelling", "has an older spelling"]


class Decision(NamedTuple):
    """What becomes of one entry.

    Attributes:
        key: Its key.
        session_id: Whose transcript it names.
        updated_ms: When it was last updated, epoch ms; `None` when it does not say. An entry that was updated since is left alone.
        action: See `Action`.
        why: Why it stays although a rule would remove it; "" when none would.
    """

    key: str
    session_id: str | None
    updated_ms: int | None
    action: Action
    why: Why = ""

    @property
    def is_removed(self) -> bool:
        """Whether it leaves the store."""
        return self.action not in ("keep", "archive")


def decide(
    summaries: Iterable[SessionSummary],
    policy: Policy,
    *,
    now_ms: int,
    active_key: str | None = None,
    missing: Collection[str] = (),
    on_save: bool = False,
) -> list[Decision]:
    """Decide on every entry: first those without a transcript, if asked for, then stale ones (D.1), then those beyond the cap (D.2, D.6).

    Deviation (D.15): the active session is never removed, as OpenClaw's later disk budget does it; it takes a place under the cap.

    Args:
        summaries: Of the whole store, in any order. Of entries updated at the same time those that come first are kept first.
        policy: The rules; whether they are enforced is not asked here.
        now_ms: The clock, epoch ms.
        active_key: The session that is being talked in, normalised.
        missing: Keys of entries whose transcript is not there, and that are to go for that.
        on_save: As for `Policy.is_over_cap`.

    Returns:
        A decision for each entry, latest update first, those without one last: the order in which the cap counts.
    """
    oldest_ms = now_ms - policy.limits.prune_after_ms
    stale: Action = "archive" if policy.archives_in_place else "prune-stale"
    decided: list[Decision] = []
    kept = 0
    for one in sorted(summaries, key=_latest_first):
        updated_ms = one.updated_ms
        action: Action = "keep"
        why: Why = ""
        if one.key in missing:
            action = "prune-missing"
        elif one.archived and policy.archives_in_place:
            why = "archived already"
        elif updated_ms is not None and updated_ms < oldest_ms:
            action = stale
        if action != "keep" and is_active(one.key, active_key):
            action, why = "keep", "active session"
        kept += action == "keep" and why != "archived already"
        decided.append(Decision(one.key, one.session_id, updated_ms, action, why))
    if policy.is_over_cap(kept, on_save=on_save):
        decided = list(_capped(decided, policy.limits.max_entries, active_key))
    return with_all_spellings(decided)


def is_active(key: str, active_key: str | None) -> bool:
    """Say whether an entry is that of the active session, in whatever spelling it lies in the store."""
    return key == active_key or (active_key is not None and keys.normalise(key) == active_key)


def with_all_spellings(decided: list[Decision]) -> list[Decision]:
    """Keep every spelling of a key of which one is kept: to whoever writes they are one session, and removing one removes them all.

    Nor is one of several marked as archived: whoever writes one removes the others.
    """
    if all(one.key == keys.normalise(one.key) for one in decided):
        return decided
    spellings: defaultdict[str, list[Decision]] = defaultdict(list)
    for one in decided:
        spellings[keys.normalise(one.key)].append(one)
    kept = {key for key, several in spellings.items() if len(several) > 1 and not all(one.is_removed for one in several)}
    newest = {max(spellings[key], key=_age).key for key in kept}
    return [
        one._replace(action="keep", why="has an older spelling" if one.key in newest else "has a newer spelling")
        if one.action != "keep" and keys.normalise(one.key) in kept
        else one
        for one in decided
    ]


def _age(one: Decision) -> float:
    return one.updated_ms if one.updated_ms is not None else float("-inf")


def _capped(decided: list[Decision], most: int, active_key: str | None) -> Iterator[Decision]:
    """Yield the decisions with what is beyond the cap removed: those without a time first, then the oldest (D.2)."""
    places = most - any(one.action == "keep" and is_active(one.key, active_key) for one in decided)
    is_full = False
    for one in decided:
        if one.action != "keep" or one.why == "archived already":
            yield one
        elif is_active(one.key, active_key):
            yield one._replace(why="active session") if is_full else one
        elif places > 0:
            places -= 1
            yield one
        else:
            is_full = True
            yield Decision(one.key, one.session_id, one.updated_ms, "cap-overflow")


def _latest_first(one: SessionSummary) -> float:
    return -one.updated_ms if one.updated_ms is not None else float("inf")
