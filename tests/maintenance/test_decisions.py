"""Which entries a policy removes: boundaries, order, the active session, and the rules of each OpenClaw version."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import msgspec
import pytest

from sessionlab.entry import SessionSummary
from sessionlab.maintenance.decisions import Decision, decide
from sessionlab.maintenance.policy import Policy, Profile
from sessionlab.maintenance.warning import eviction_warning
from sessionlab.settings import MaintenanceSettings
from sessionlab.units import MS_PER_DAY

NOW_MS = 1_795_132_800_000


def summary(key: str, updated_ms: int | None, **more: Any) -> SessionSummary:
    return SessionSummary(key=key, session_id=f"id-{key}", updated_ms=updated_ms, **more)


def policy(*, prune_days: float = 30, most: int = 500, profile: Profile = "2026.3") -> Policy:
    limits = MaintenanceSettings(mode="enforce", prune_after_ms=round(prune_days * MS_PER_DAY), max_entries=most)
    return Policy(limits=limits, profile=profile)


def aged(days: float | None, key: str = "") -> SessionSummary:
    return summary(key or f"{days}", None if days is None else NOW_MS - round(days * MS_PER_DAY))


def actions(found: list[Decision]) -> dict[str, str]:
    return {one.key: one.action for one in found}


def test_only_what_is_strictly_older_is_pruned() -> None:
    """D.1: exactly at the boundary stays, and so does an entry that does not say."""
    boundary = NOW_MS - 30 * MS_PER_DAY
    found = decide(
        [summary("younger", boundary + 1), summary("at", boundary), summary("older", boundary - 1), summary("silent", None)],
        policy(),
        now_ms=NOW_MS,
    )
    assert actions(found) == {"younger": "keep", "at": "keep", "older": "prune-stale", "silent": "keep"}


@pytest.mark.parametrize(("number", "most", "removed"), [(0, 1, 0), (4, 5, 0), (5, 5, 0), (6, 5, 1), (501, 500, 1), (10, 5, 5)])
def test_cap_keeps_the_most_recent(number: int, most: int, removed: int) -> None:
    """D.2: one under, at, one over; the default of 500."""
    summaries = [summary(f"k{place}", NOW_MS - place) for place in range(number)]
    random.Random(5).shuffle(summaries)
    found = decide(summaries, policy(most=most), now_ms=NOW_MS)
    gone = {one.key for one in found if one.is_removed}
    assert gone == {f"k{place}" for place in range(number - removed, number)}
    assert {one.action for one in found if one.is_removed} <= {"cap-overflow"}


def test_cap_removes_those_without_a_time_first() -> None:
    """D.2."""
    found = decide([aged(None, "silent"), aged(1), aged(2), aged(3)], policy(most=3), now_ms=NOW_MS)
    assert [one.key for one in found if one.is_removed] == ["silent"]


def test_prune_comes_before_the_cap() -> None:
    """D.6, D.9: 2 stale and 4 fresh with 10 days and at most 3: the three most recent stay."""
    found = decide([aged(days) for days in (20, 15, 4, 3, 2, 1)], policy(prune_days=10, most=3), now_ms=NOW_MS)
    assert Counter(one.action for one in found) == {"prune-stale": 2, "cap-overflow": 1, "keep": 3}
    assert [one.key for one in found if not one.is_removed] == ["1", "2", "3"]


def test_entry_without_a_transcript_goes_first_when_that_is_asked_for() -> None:
    """D.51."""
    found = decide([aged(1), aged(2), aged(40)], policy(most=1), now_ms=NOW_MS, missing={"1", "40"})
    assert actions(found) == {"1": "prune-missing", "2": "keep", "40": "prune-missing"}


@pytest.mark.parametrize("active", ["1", "2", "3", "40", "None"])
def test_active_session_is_never_removed_and_takes_a_place(active: str) -> None:
    """D.15, as a stated choice."""
    found = decide([aged(1), aged(2), aged(3), aged(40), aged(None)], policy(most=2), now_ms=NOW_MS, active_key=active)
    kept = {one.key: one.why for one in found if not one.is_removed}
    assert kept == {"1": {"1": "", "2": ""}, "2": {"1": "", "2": ""}}.get(active, {"1": "", active: "active session"})


def test_each_version_follows_its_own_rules() -> None:
    summaries = [aged(40), aged(1), summary("put away", NOW_MS - 90 * MS_PER_DAY, archived=True), *(aged(2, f"n{n}") for n in range(27))]
    old, new = (decide(summaries, policy(most=20, profile=one), now_ms=NOW_MS) for one in ("2026.4", "2026.9"))
    assert Counter(one.action for one in old) == {"prune-stale": 2, "cap-overflow": 8, "keep": 20}
    assert Counter((one.action, one.why) for one in new) == {
        ("archive", "age-retention"): 1,
        ("archive", "active-session-cap"): 8,
        ("keep", ""): 20,
        ("keep", "archived already"): 1,
    }
    assert next(one.why for one in new if one.key == "put away") == "archived already"


@pytest.mark.parametrize(
    ("profile", "most", "number", "is_cut"),
    [
        ("2026.4", 501, 551, False),
        ("2026.4", 501, 552, True),
        ("2026.4", 500, 549, False),
        ("2026.4", 500, 550, True),
        ("2026.4", 50, 74, False),
        ("2026.4", 50, 75, True),
        ("2026.4", 49, 50, True),
        ("2026.4", 10, 11, True),
        ("2026.3", 500, 501, True),
    ],
)
def test_a_save_of_2026_4_has_some_slack(profile: Profile, most: int, number: int, *, is_cut: bool) -> None:
    """As 2026.4.29 does: none up to a cap of 49, else a tenth, rounded up, at least 25; it cuts back from there on."""
    summaries = [summary(f"k{place}", NOW_MS - place) for place in range(number)]
    found = decide(summaries, policy(most=most, profile=profile), now_ms=NOW_MS, on_save=True)
    assert sum(one.is_removed for one in found) == (number - most if is_cut else 0)
    assert sum(one.is_removed for one in decide(summaries, policy(most=most, profile=profile), now_ms=NOW_MS)) == number - most


def test_warning_names_what_would_happen_to_the_active_session() -> None:
    """D.11, D.12: only for the active key, when it would be pruned or is beyond the cap."""
    summaries = [aged(1), aged(2), aged(40)]
    rules = policy(most=2)
    assert eviction_warning(summaries, rules, now_ms=NOW_MS, active_key="2") is None
    assert eviction_warning(summaries, rules, now_ms=NOW_MS, active_key=None) is None
    assert eviction_warning(summaries, rules, now_ms=NOW_MS, active_key="nobody") is None
    found = eviction_warning(summaries, rules, now_ms=NOW_MS, active_key="40")
    assert found is not None
    assert (found.active_key, found.total_entries, found.max_entries) == ("40", 3, 2)
    assert (found.would_prune, found.would_cap, found.prune_after_ms) == (True, True, 30 * MS_PER_DAY)
    only_capped = eviction_warning([aged(1), aged(2), aged(3)], rules, now_ms=NOW_MS, active_key="3")
    assert only_capped is not None
    assert (only_capped.would_prune, only_capped.would_cap) == (False, True)


def test_decisions_are_those_of_a_slow_reading_of_the_rules() -> None:
    chance = random.Random(20261121)
    for _ in range(300):
        number = chance.randrange(12)
        summaries = [aged(chance.choice([None, *range(40)]), f"k{place}") for place in range(number)]
        most, days = chance.randrange(1, 12), chance.randrange(1, 40)
        left = {one.key: one.updated_ms for one in summaries}
        order = {one.key: place for place, one in enumerate(summaries)}
        for key, updated_ms in list(left.items()):
            if updated_ms is not None and NOW_MS - updated_ms > days * MS_PER_DAY:
                del left[key]
        while len(left) > most:
            silent = [key for key, updated_ms in left.items() if updated_ms is None]
            candidates = silent or [key for key, updated_ms in left.items() if updated_ms == min(time for time in left.values() if time)]
            del left[max(candidates, key=order.__getitem__)]
        found = decide(summaries, policy(prune_days=days, most=most), now_ms=NOW_MS)
        assert {one.key for one in found if not one.is_removed} == set(left)
        assert len(found) == number


def test_spellings_of_one_key_stay_or_go_together() -> None:
    found = decide(
        [aged(1, "agent:main:A"), aged(40, "agent:main:a"), aged(40, "agent:main:B"), aged(50, " agent:main:b")], policy(), now_ms=NOW_MS
    )
    assert actions(found) == {
        "agent:main:A": "keep",
        "agent:main:a": "keep",
        "agent:main:B": "prune-stale",
        " agent:main:b": "prune-stale",
    }
    assert next(one.why for one in found if one.key == "agent:main:a") == "has a newer spelling"


def test_policy_is_a_value_that_can_be_written_down() -> None:
    assert msgspec.json.decode(msgspec.json.encode(policy(profile="2026.9")), type=Policy) == policy(profile="2026.9")
