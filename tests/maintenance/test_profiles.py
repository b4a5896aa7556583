"""Each profile does what that version of OpenClaw does: against recorded runs of the program itself, and against its rules read slowly."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from sessionlab.entry import Entry, summary_of
from sessionlab.maintenance.decisions import decide, evictable
from sessionlab.maintenance.on_save import maintain_on_save
from sessionlab.maintenance.planning import plan_store
from sessionlab.maintenance.policy import PROFILES, Policy, Profile
from sessionlab.maintenance.protection import NO_TRAITS, traits_of
from sessionlab.settings import MaintenanceSettings, StoreType, parse_settings
from sessionlab.stores.json_store import JSONStore
from tests.maintenance.slow_2026_9 import DAY_MS, Limits, cleaned
from tests.maintenance.test_apply import carried_out, content, every_kind, made

FIXTURES: Final = Path(__file__).parents[1] / "fixtures"
NOW_MS: Final = 1_795_132_800_000
FIELDS: Final[dict[str, list[Any]]] = {
    "status": ["running", "done"],
    "modelSelectionLocked": [True, False],
    "chatType": ["group", "direct", "Thread"],
    "spawnedBy": ["agent:main:main"],
    "parentSessionKey": ["agent:main:main", "agent:ops:main"],
    "delivery": [{"kind": "external"}, {"kind": "none"}],
}
BECAME: Final = {
    ("prune-stale", ""): "removed for its age",
    ("cap-overflow", ""): "removed for the cap",
    ("archive", "age-retention"): "archived for its age",
    ("archive", "active-session-cap"): "archived for the cap",
    ("archive", "stale-dashboard"): "archived as a dashboard",
}


def became(
    entries: dict[str, Entry], limits: MaintenanceSettings, profile: Profile, *, active: str | None = None, on_save: bool = False
) -> dict[str, str]:
    policy = Policy(limits=limits, profile=profile)
    summaries = [summary_of(key, entry) for key, entry in entries.items()]
    traits = traits_of((key, msgspec.json.encode(entry)) for key, entry in entries.items()) if policy.protects else NO_TRAITS
    decided = decide(summaries, policy, now_ms=NOW_MS, active_key=active, on_save=on_save, traits=traits)
    return {one.key: BECAME[one.action, one.why] for one in decided if one.action != "keep"}


def recorded(version: str) -> list[dict[str, Any]]:
    document = json.loads((FIXTURES / f"maintenance-{version}.json").read_bytes())
    assert (document["version"], document["now"]) == (version, NOW_MS)
    found: list[dict[str, Any]] = document["cases"]
    return found


@pytest.mark.parametrize(("profile", "version"), [("2026.4", "2026.4.29"), ("2026.7", "2026.7.1-2"), ("2026.9", "2026.9.6")])
def test_profile_does_what_the_program_did(profile: Profile, version: str) -> None:
    """Small made-up stores, and what 2026.4.29, 2026.7.1-2 and 2026.9.6 did with them: of every kind of key, at every boundary."""
    cases = recorded(version)
    assert sum(len(case["store"]) for case in cases) > 400
    assert {fate for case in cases for fate in case["became"].values()} == (
        set(BECAME.values()) if profile == "2026.9" else {"removed for its age", "removed for the cap"}
    )
    for case in cases:
        limits = parse_settings({"session": {"maintenance": case["config"]}}, maintenance=PROFILES[profile]).maintenance
        assert became(case["store"], limits, profile, active=case["active"], on_save=case["onSave"]) == case["became"]


def keys_of(chance: random.Random) -> list[str]:
    shapes = {key.replace("agent:main:", "agent:{}:", 1) for case in recorded("2026.9.6") for key in case["store"]}
    return [shape.format(chance.choice(["main", "ops"])) for shape in sorted(shapes)]


def drawn(chance: random.Random, keys: list[str]) -> dict[str, Entry]:
    entries: dict[str, Entry] = {}
    for key in chance.sample(keys, chance.randrange(25)):
        entry: Entry = {"updatedAt": _time(chance)} if chance.random() < 0.9 else {}
        for name in ("lastInteractionAt", "lastActivityAt", "sessionStartedAt", "archivedAt", "pinnedAt"):
            if chance.random() < 0.1:
                entry[name] = _time(chance)
        for name, values in FIELDS.items():
            if chance.random() < 0.08:
                entry[name] = chance.choice(values)
        entries[key] = entry
    return entries


def _time(chance: random.Random) -> int:
    days = chance.choice([1, 2, 7, 30, chance.uniform(0, 45)])
    return NOW_MS - round(days * DAY_MS) + chance.choice([-1, 0, 0, 1])


def test_profile_2026_9_follows_its_rules_read_slowly() -> None:
    """400 stores of all kinds of keys and fields, around every limit."""
    chance = random.Random(9)
    keys = keys_of(chance)
    touched = 0
    for _ in range(400):
        entries = drawn(chance, keys)
        limits = Limits(
            prune_after=chance.choice([1, 7, 30]) * DAY_MS,
            most=chance.randrange(1, 20),
            dashboard_after=chance.choice([None, DAY_MS, 7 * DAY_MS]),
            preserve_recent=chance.choice([None, None, 2 * DAY_MS]),
        )
        active = chance.choice([None, *entries])
        settings = msgspec.structs.replace(
            PROFILES["2026.9"],
            prune_after_ms=limits.prune_after,
            max_entries=limits.most,
            archive_dashboard_after_ms=limits.dashboard_after,
            preserve_recent_ms=limits.preserve_recent,
        )
        expected = cleaned(entries, limits, now_ms=NOW_MS, active=active)
        assert became(entries, settings, "2026.9", active=active) == expected
        touched += len(expected)
    assert touched > 1_000


def test_budget_of_2026_9_removes_only_what_the_cap_archived() -> None:
    """D.50: what has been archived longest first; not what was archived for another reason, nor what is pinned, nor the active one."""
    day = DAY_MS
    cap = {"archiveReason": "active-session-cap", "updatedAt": NOW_MS - day}
    entries: dict[str, Entry] = {
        "agent:main:late": cap | {"archivedAt": NOW_MS - day},
        "agent:main:early": cap | {"archivedAt": NOW_MS - 9 * day},
        "agent:main:active": cap | {"archivedAt": NOW_MS - 9 * day},
        "agent:main:pinned": cap | {"archivedAt": NOW_MS - 9 * day, "pinnedAt": NOW_MS},
        "agent:main:by-hand": cap | {"archivedAt": NOW_MS - 9 * day, "archiveReason": "manual"},
        "agent:main:since-when": cap | {"archivedAt": "?"},
        "agent:main:direct:1": cap | {"archivedAt": NOW_MS - 9 * day},
        "agent:main:young": {"updatedAt": NOW_MS},
        "agent:main:older": {"updatedAt": NOW_MS - 1},
        "agent:main:oldest": {"updatedAt": NOW_MS - 2},
    }
    summaries = [summary_of(key, entry) for key, entry in entries.items()]
    traits = traits_of((key, msgspec.json.encode(entry)) for key, entry in entries.items())
    policy = Policy(limits=msgspec.structs.replace(PROFILES["2026.9"], max_entries=2), profile="2026.9")
    decided = decide(summaries, policy, now_ms=NOW_MS, active_key="agent:main:active", traits=traits)
    by_key = {one.key: one for one in summaries}
    places = evictable(decided, by_key, policy, now_ms=NOW_MS, active_key="agent:main:active", traits=traits)
    assert [decided[place].key.rpartition(":")[2] for place in places] == ["early", "late", "oldest", "since-when"]


@pytest.mark.parametrize(
    ("profile", "config", "said"),
    [
        ("2026.3", {"rotateBytes": "1mb"}, ""),
        ("2026.4", {"rotateBytes": "1mb"}, "rotateBytes: OpenClaw ignores it since 2026.4"),
        ("2026.9", {"rotateBytes": "1mb"}, "rotateBytes: OpenClaw 2026.9 refuses a configuration that has it"),
        ("2026.9", {"coldStorage": {"enabled": True}}, "coldStorage: is not simulated; it compresses"),
        ("2026.9", {"coldStorage": {"enabled": False}, "preserveRecent": "1d"}, ""),
        (
            "2026.4",
            {"preserveRecent": "1d", "archiveDashboardAfter": "9d"},
            "archiveDashboardAfter, preserveRecent: OpenClaw 2026.4 knows no",
        ),
        ("2026.9", {}, ""),
    ],
)
def test_profile_says_what_of_the_configuration_is_not_done(profile: Profile, config: dict[str, object], said: str) -> None:
    limits = parse_settings({"session": {"maintenance": config}}, maintenance=PROFILES[profile]).maintenance
    notes = Policy(limits=limits, profile=profile).notes
    assert len(notes) == bool(said)
    assert said in "".join(notes)


@every_kind
def test_profile_2026_9_sees_in_every_store_what_no_summary_holds(tmp_path: Path, kind: StoreType) -> None:
    """Pins, locks and archives with their reason are fields of the entry; what was archived comes to be what the budget removes."""
    old = {"updatedAt": NOW_MS - 40 * DAY_MS}
    entries: dict[str, Entry] = {
        "agent:main:hook:plain": old | {"sessionId": "1"},
        "agent:main:hook:pinned": old | {"sessionId": "2", "pinnedAt": 1},
        "agent:main:explicit:plain": old | {"sessionId": "3"},
        "agent:main:explicit:locked": old | {"sessionId": "4", "modelSelectionLocked": True},
        "agent:main:explicit:young": {"sessionId": "5", "updatedAt": NOW_MS - DAY_MS},
        "agent:main:explicit:early": {"sessionId": "6", "updatedAt": NOW_MS - 2 * DAY_MS},
        "agent:main:dashboard:1": {"sessionId": "7", "updatedAt": NOW_MS - 8 * DAY_MS},
    }
    location = made(tmp_path, kind, entries)
    policy = Policy(limits=msgspec.structs.replace(PROFILES["2026.9"], max_entries=3), profile="2026.9")
    carried_out(tmp_path, location, plan_store(location, policy, now_ms=NOW_MS))
    found = content(location)
    assert {key.rpartition("main:")[2]: entry.get("archiveReason") for key, entry in found.items()} == {
        "hook:pinned": None,
        "explicit:plain": "age-retention",
        "explicit:locked": None,
        "explicit:young": None,
        "explicit:early": "active-session-cap",
        "dashboard:1": "stale-dashboard",
    }
    tight = Policy(limits=msgspec.structs.replace(policy.limits, max_disk_bytes=1, high_water_bytes=1), profile="2026.9")
    plan = plan_store(location, tight, now_ms=NOW_MS)
    assert {one.key: one.action for one in plan.entries if one.action != "keep"} == {"agent:main:explicit:early": "evict-budget"}


@pytest.mark.parametrize("profile", ["2026.7", "2026.9"])
def test_a_save_leaves_alone_what_the_version_protects(tmp_path: Path, profile: Profile) -> None:
    old = {"updatedAt": NOW_MS - 40 * DAY_MS}
    entries: dict[str, Entry] = {
        "agent:main:hook:plain": old | {"sessionId": "1"},
        "agent:main:hook:pinned": old | {"sessionId": "2", "pinnedAt": 1},
        "agent:main:explicit:from-group": old | {"sessionId": "3", "origin": {"chatType": "group"}},
        "agent:main:slack:channel:1": old | {"sessionId": "4"},
    }
    location = made(tmp_path, "json", entries)
    with JSONStore(location.path) as store:
        maintain_on_save(store, location, Policy(limits=PROFILES[profile], profile=profile), clock=lambda: NOW_MS, root=tmp_path)
        store.put("agent:main:new", {"sessionId": "5", "updatedAt": NOW_MS})
    gone = {"2026.7": {"hook:plain", "hook:pinned"}, "2026.9": {"hook:plain"}}[profile]
    assert set(content(location)) == (set(entries) | {"agent:main:new"}) - {f"agent:main:{name}" for name in gone}
