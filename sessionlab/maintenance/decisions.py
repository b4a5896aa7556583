"""Which entries of a store a policy removes, and why each one stays or goes. Pure: summaries, a policy and a clock in, decisions out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import Literal, NamedTuple

from sessionlab import keys
from sessionlab.entry import SessionSummary
from sessionlab.maintenance.policy import Policy
from sessionlab.maintenance.protection import (
    NO_TRAITS,
    PLAIN,
    Protection,
    Traits,
    is_archived,
    is_dashboard,
    is_model_run,
    judged,
    last_active_ms,
)

Action = Literal["keep", "prune-missing", "prune-stale", "cap-overflow", "evict-budget", "archive"]
"""openclaw's `sessions cleanup` (D.51); `archive` is what 2026.9 does to people's sessions: they stay, marked as archived."""

ArchiveReason = Literal["age-retention", "stale-dashboard", "active-session-cap"]
"""Why 2026.9 archives a session, as it writes it into the entry."""

Why = (
    Literal["", "active session", "archived already", "has a newer spelling", "has an older spelling", "not reachable", "no way back"]
    | ArchiveReason
    | Protection
)


class Decision(NamedTuple):
    """What becomes of one entry.

    Attributes:
        key: Its key.
        session_id: Whose transcript it names.
        updated_ms: When it was last updated, epoch ms; `None` when it does not say. An entry that was updated since is left alone.
        action: See `Action`.
        why: Why it stays although a rule would remove it, or what it is archived for; "" when no rule is about it, or when it is removed.
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
    undoable: bool = False,
    traits: Mapping[str, Traits] = NO_TRAITS,
) -> list[Decision]:
    """Decide on every entry: first those without a transcript, if asked for, then stale ones (D.1), then those beyond the cap (D.2, D.6).

    Deviation (D.15): the active session is never removed, as OpenClaw itself does it since 2026.4; it takes a place under the cap. So do
    those that 2026.7 and 2026.9 never touch. Spellings of one key go together, or none of them; to OpenClaw each is a session of its own.

    Args:
        summaries: Of the whole store, in any order. Of entries updated at the same time those that come first are kept first.
        policy: The rules; whether they are enforced is not asked here.
        now_ms: The clock, epoch ms.
        active_key: The session that is being talked in, normalised.
        missing: Keys of entries whose transcript is not there, and that are to go for that.
        on_save: As for `Policy.is_over_cap`.
        undoable: Leave alone what could not be brought back, though OpenClaw would remove or archive it; none goes in its place.
        traits: Key -> what 2026.9 looks at besides.

    Returns:
        A decision for each entry, latest update first, those without one last: the order in which the cap counts. 2026.9 takes what was
        last done in a session for that.
    """
    rules = _Rules(policy, now_ms, active_key, traits, undoable=undoable)
    held = rules.in_order(summaries)
    put_away = {one.key for one in held if is_archived(one, traits)} if policy.archives_in_place else frozenset()
    rules.removes_model_runs = policy.protects and policy.is_over_cap(len(held) - len(put_away), on_save=on_save)
    decided = []
    counted = 0
    for one in held:
        action: Action = "keep"
        why: Why = ""
        if one.key in missing:
            stays = rules.stays(one)
            action, why = ("keep", stays) if stays else ("prune-missing", "")
        elif one.key in put_away:
            why = "archived already"
        elif (reason := rules.by_age(one)) is not None:
            action, why = rules.fate(one, "prune-stale", reason)
        counted += action == "keep" and why not in ("archived already", "no way back")
        decided.append(Decision(one.key, one.session_id, one.updated_ms, action, why))
    if policy.is_over_cap(counted, on_save=on_save):
        _cap(held, decided, rules, counted - policy.limits.max_entries)
    return with_all_spellings(decided)


class _Rules:
    """What a policy says about one session at a time."""

    def __init__(
        self, policy: Policy, now_ms: int, active_key: str | None, traits: Mapping[str, Traits], *, undoable: bool = False
    ) -> None:
        self.removes_model_runs = False
        self._undoable = undoable
        self._policy, self._now_ms, self._active_key, self._traits = policy, now_ms, active_key, traits
        limits, archives = policy.limits, policy.archives_in_place
        # To 2026.9, no time at all is for ever.
        self._stale_ms = now_ms - limits.prune_after_ms if limits.prune_after_ms or not archives else None
        self._dashboard_ms = now_ms - limits.archive_dashboard_after_ms if archives and limits.archive_dashboard_after_ms else None

    def in_order(self, summaries: Iterable[SessionSummary]) -> list[SessionSummary]:
        """Return sessions, those first that are kept first."""
        if self._traits and self._policy.archives_in_place:
            return sorted(summaries, key=lambda one: -last_active_ms(one, self._traits) or float("inf"))
        return sorted(summaries, key=lambda one: -one.updated_ms if one.updated_ms is not None else float("inf"))

    def by_age(self, one: SessionSummary) -> ArchiveReason | None:
        """Return for what a session has to go for its age; `None` when it need not."""
        updated_ms = one.updated_ms
        if self._dashboard_ms is not None and is_dashboard(one.key) and 0 < last_active_ms(one, self._traits) < self._dashboard_ms:
            return "stale-dashboard"
        if updated_ms is None:
            return None
        if self._stale_ms is not None and updated_ms < self._stale_ms:
            return "age-retention"
        is_old_run = self.removes_model_runs and updated_ms < self._now_ms - self._policy.model_run_ms and is_model_run(one.key)
        return "age-retention" if is_old_run else None

    def stays(self, one: SessionSummary) -> Why:
        """Return why a session is left alone under every policy; "" when it is not."""
        if is_active(one.key, self._active_key):
            return "active session"
        return "no way back" if self._undoable and has_no_way_back(one) else ""

    def fate(self, one: SessionSummary, removal: Action, reason: ArchiveReason) -> tuple[Action, Why]:
        """Return what becomes of a session that has to go: it is removed, or archived, or stays all the same."""
        stays = self.stays(one)
        if stays:
            return "keep", stays
        if not self._policy.protects:
            return removal, ""
        found = judged(one, self._policy, self._traits, now_ms=self._now_ms)
        if found == "disposable":
            return removal, ""
        return ("archive", reason) if found is None else ("keep", found)


def _cap(held: list[SessionSummary], decided: list[Decision], rules: _Rules, overflow: int) -> None:
    """Decide on what is beyond the cap: those without a time first, then the oldest (D.2), but for those that have to stay."""
    for place in range(len(decided) - 1, -1, -1):
        if overflow <= 0:
            return
        one = decided[place]
        if one.action == "keep" and not one.why:
            action, why = rules.fate(held[place], "cap-overflow", "active-session-cap")
            decided[place] = one._replace(action=action, why=why)
            overflow -= action != "keep" or why == "no way back"


def evictable(
    decided: list[Decision],
    by_key: Mapping[str, SessionSummary],
    policy: Policy,
    *,
    now_ms: int,
    active_key: str | None = None,
    undoable: bool = False,
    traits: Mapping[str, Traits] = NO_TRAITS,
) -> list[int]:
    """Return which entries the disk budget may remove, in that order, as places in `decided` (D.50).

    Up to 2026.4 that is all that are left, the oldest first, the active session included: whoever evicts says that it stays. 2026.7 leaves
    out what it never touches. 2026.9 removes only what was archived because there were too many, what has been archived longest first.
    """
    rules = _Rules(policy, now_ms, active_key, traits, undoable=undoable)
    if not policy.archives_in_place:
        left = [place for place in range(len(decided) - 1, -1, -1) if not decided[place].is_removed]
        if undoable:
            left = [place for place in left if not has_no_way_back(by_key[decided[place].key])]
        if not policy.protects:
            return left
        return [place for place in left if judged(by_key[decided[place].key], policy, traits, now_ms=now_ms) == "disposable"]
    found = []
    for place, one in enumerate(decided):
        own = traits.get(one.key, PLAIN)
        is_new = one.action == "archive" and one.why == "active-session-cap"
        if is_new or (
            one.action == "keep" and own.is_of_cap and rules.fate(by_key[one.key], "evict-budget", "active-session-cap")[0] != "keep"
        ):
            since_ms = now_ms if is_new else own.archived_ms
            found.append((float("inf") if since_ms is None else since_ms, one.key, place))
    return [place for _, _, place in sorted(found)]


def is_active(key: str, active_key: str | None) -> bool:
    """Say whether an entry is that of the active session, in whatever spelling it lies in the store."""
    return key == active_key or (active_key is not None and keys.normalise(key) == active_key)


def has_no_way_back(one: SessionSummary) -> bool:
    """Say whether no store takes an entry, as another program may have written it: what is removed of such, no undo brings back."""
    return not one.session_id or keys.refusal(keys.normalise(one.key)) is not None


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
