"""An entry without a transcript that 2026.9 would never touch: the plan removes it when asked to, and so does its execution."""

from __future__ import annotations

from pathlib import Path

import pytest

from sessionlab.entry import Entry
from sessionlab.maintenance.apply import apply_plan
from sessionlab.maintenance.judging_again import JudgingAgain
from sessionlab.maintenance.planning import plan_store
from sessionlab.maintenance.policy import Policy, Profile
from sessionlab.settings import MaintenanceSettings
from sessionlab.stores import locate
from tests.maintenance.test_apply import NOW_MS, entry
from tests.maintenance.test_spellings import ids, planted

PROTECTED = {
    "agent:main:main": entry(1, "a"),
    "agent:main:telegram:group:-1": entry(1, "b"),
    "agent:main:x": entry(1, "c", status="running"),
    "agent:main:y": entry(1, "d", chatType="group"),
    "agent:main:z": entry(1, "e", pinnedAt=5),
}


@pytest.mark.parametrize("profile", ["2026.4", "2026.7", "2026.9"])
def test_what_is_protected_goes_when_its_transcript_is_not_there_as_the_plan_says(tmp_path: Path, profile: Profile) -> None:
    path = planted(tmp_path, PROTECTED | {"agent:main:there": entry(1, "there")})
    (path.parent / "there.jsonl").write_text("{}\n")
    (location,) = locate(tmp_path)
    policy = Policy(limits=MaintenanceSettings(mode="enforce"), profile=profile)
    plan = plan_store(location, policy, now_ms=NOW_MS, fix_missing=True)
    assert {one.key for one in plan.removed} == PROTECTED.keys()
    report = apply_plan(plan, location, root=tmp_path)
    assert (report.removed, report.kept_since) == ({"prune-missing": len(PROTECTED)}, 0)
    assert ids(path) == {"agent:main:there": "there"}


@pytest.mark.parametrize(
    ("change", "still"),
    [
        ({}, True),
        ({"status": "done", "chatType": "direct"}, True),
        ({"status": " running "}, False),
        ({"status": "Running"}, True),
        ({"chatType": "GROUP"}, False),
        ({"chatType": " channel"}, False),
        ({"chatType": "thread"}, False),
        ({"chatType": 5, "status": None}, True),
        ({"pinnedAt": 5}, False),
        ({"lastInteractionAt": 5}, False),
        ({"delivery": {"kind": "external"}}, False),
        ({"delivery": "external", "origin": 5}, True),
    ],
)
def test_each_thing_that_the_rules_go_by_is_looked_at_again(tmp_path: Path, change: Entry, still: bool) -> None:  # noqa: FBT001
    key = "agent:main:explorer"
    planted(tmp_path, {key: entry(90, "a")})
    (location,) = locate(tmp_path)
    policy = Policy(limits=MaintenanceSettings(mode="enforce"), profile="2026.9")
    plan = plan_store(location, policy, now_ms=NOW_MS)
    assert [one.action for one in plan.entries] == ["archive"]
    assert JudgingAgain(plan, location).still_holds(key, entry(90, "a") | change) is still
