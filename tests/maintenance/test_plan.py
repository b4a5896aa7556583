"""What a maintenance would do to the files beside a store: archives, expiry, backups, the disk budget, and what nobody may touch."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from sessionlab.entry import SessionSummary
from sessionlab.maintenance.files import session_files
from sessionlab.maintenance.plan import MaintenancePlan, plan_maintenance
from sessionlab.maintenance.policy import PROFILES, Policy, Profile
from sessionlab.maintenance.protection import NO_TRAITS, Traits
from sessionlab.settings import MaintenanceSettings
from sessionlab.units import MS_PER_DAY

NOW_MS = 1_795_132_800_000
STORE = "sessions.json"


def file(folder: Path, name: str, *, size: int = 100, days: float = 0) -> Path:
    path = folder / name
    path.write_bytes(b"x" * size)
    seconds = NOW_MS / 1000 - days * 86_400
    os.utime(path, (seconds, seconds))
    return path


def entry(key: str, days: float, session_id: str | None = None, **more: Any) -> SessionSummary:
    return SessionSummary(key=key, session_id=session_id or key, updated_ms=NOW_MS - round(days * MS_PER_DAY), **more)


def planned(
    folder: Path,
    entries: list[SessionSummary],
    *,
    profile: Profile = "2026.3",
    store_bytes: int = 1_000,
    active: str | None = None,
    traits: Mapping[str, Traits] = NO_TRAITS,
    **limits: Any,
) -> MaintenancePlan:
    rules = Policy(limits=MaintenanceSettings(mode="enforce", **limits), profile=profile)
    files = session_files(folder, store_names=[STORE])
    return plan_maintenance(entries, rules, now_ms=NOW_MS, files=files, store_bytes=store_bytes, active_key=active, traits=traits)


def fates(plan: MaintenancePlan) -> dict[str, str]:
    return {one.name: one.action for one in plan.files}


def test_transcripts_of_removed_entries_are_archived(tmp_path: Path) -> None:
    """D.17, D.18, D.20: of stale and of capped entries, each topic and fork that has the session's id, and what the entry names."""
    folder = tmp_path / "main/sessions"
    folder.mkdir(parents=True)
    for name in ("old.jsonl", "old-topic-7.jsonl", "named.jsonl", "young.jsonl", "capped.jsonl", STORE):
        file(folder, name)
    entries = [
        entry("old", 40, session_file="/home/claw/.openclaw/agents/main/sessions/named.jsonl"),
        entry("young", 1),
        entry("capped", 2),
        entry("lost", 50),
    ]
    plan = planned(folder, entries, max_entries=1)
    assert fates(plan) == dict.fromkeys(["old.jsonl", "old-topic-7.jsonl", "named.jsonl", "capped.jsonl"], "archive")
    assert {one.key for one in plan.files} == {"old", "capped"}
    assert (plan.before.sessions, plan.after.sessions) == (4, 1)
    assert plan.before.file_bytes == plan.after.file_bytes == 500


def test_transcript_that_another_entry_refers_to_is_kept(tmp_path: Path) -> None:
    """D.21: by its id, or by its file."""
    for name in ("shared.jsonl", "forked.jsonl", "own.jsonl"):
        file(tmp_path, name)
    entries = [
        entry("gone-1", 40, "shared"),
        entry("kept-1", 1, "shared"),
        entry("gone-2", 40, "forked"),
        entry("kept-2", 1, "other", session_file="forked.jsonl"),
        entry("gone-3", 40, "own"),
    ]
    assert fates(planned(tmp_path, entries)) == {"own.jsonl": "archive"}


def test_nothing_outside_of_the_folder_and_no_link_is_touched(tmp_path: Path) -> None:
    """D.21."""
    folder = tmp_path / "sessions"
    (folder / "old.jsonl").parent.mkdir()
    file(tmp_path, "old.jsonl")
    (folder / "old.jsonl").symlink_to(tmp_path / "old.jsonl")
    (folder / "other.jsonl").mkdir()
    assert planned(folder, [entry("old", 40, session_file=str(tmp_path / "old.jsonl")), entry("other", 40)]).files == ()


def archived(days: float) -> str:
    moment = dt.datetime.fromtimestamp(NOW_MS / 1000 - days * 86_400, tz=dt.UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z").replace(":", "-")


def test_archives_expire_and_three_backups_stay(tmp_path: Path) -> None:
    """D.4, D.22: exactly at the boundary stays; what counts is since when it is an archive, not when it was last written."""
    for days in (29, 30, 31):
        file(tmp_path, f"a{days}.jsonl.deleted.{archived(days)}", days=90 - days)
    file(tmp_path, f"r.jsonl.reset.{archived(90)}.zst", days=1)
    file(tmp_path, "odd.jsonl.deleted.2026-02-31T13-14-31.436Z", days=31)
    file(tmp_path, f"copy.jsonl.bak.{archived(90)}", days=90)
    for number in range(5):
        file(tmp_path, f"sessions.json.bak.{1_795_000_000_000 + number}", days=90)
    plan = planned(tmp_path, [entry("young", 1)])
    assert fates(plan) == {
        f"a31.jsonl.deleted.{archived(31)}": "expire",
        f"r.jsonl.reset.{archived(90)}.zst": "expire",
        "odd.jsonl.deleted.2026-02-31T13-14-31.436Z": "expire",
        "sessions.json.bak.1795000000000": "drop-backup",
        "sessions.json.bak.1795000000001": "drop-backup",
    }
    assert plan.after.file_bytes == plan.before.file_bytes - 500
    kept = planned(tmp_path, [entry("young", 1)], reset_archive_retention_ms=None)
    assert {one.action for one in kept.files} == {"drop-backup"}


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("retention_days", [None, 20, 60])
@pytest.mark.parametrize("stale", [False, True])
def test_archives_of_a_reset_have_a_retention_of_their_own(
    tmp_path: Path, profile: Profile, retention_days: int | None, *, stale: bool
) -> None:
    """D.22: up to 2026.4, those of removed sessions go by `pruneAfter`, if it is on or anything is archived; in 2026.9 it is for both."""
    for reason in ("deleted", "reset"):
        for days in (10, 40, 70):
            file(tmp_path, f"{reason}{days}.jsonl.{reason}.{archived(days)}")
    file(tmp_path, "old.jsonl")
    retention_ms = None if retention_days is None else retention_days * MS_PER_DAY
    key = "agent:main:hook:old" if stale else "agent:main:direct:young"
    plan = planned(tmp_path, [entry(key, 40 if stale else 1, "old")], profile=profile, reset_archive_retention_ms=retention_ms)
    resets = {days for days in (10, 40, 70) if retention_days is not None and days > retention_days}
    deleted = resets if profile == "2026.9" else {40, 70} if retention_days is not None or stale else set()
    names = {f"reset{days}" for days in resets} | {f"deleted{days}" for days in deleted}
    assert {one.name.partition(".")[0] for one in plan.files if one.action == "expire"} == names


@pytest.mark.parametrize("profile", PROFILES)
def test_backups_of_the_store_are_dropped_only_by_the_version_that_makes_them(tmp_path: Path, profile: Profile) -> None:
    """D.4."""
    for number in range(5):
        file(tmp_path, f"sessions.json.bak.{1_795_000_000_000 + number}", days=90)
    assert len(planned(tmp_path, [entry("young", 1)], profile=profile).files) == (2 if profile == "2026.3" else 0)


def test_budget_of_2026_9_takes_archives_then_history_then_what_the_cap_archived(tmp_path: Path) -> None:
    """D.50: and no other session, however far above the budget that leaves it."""
    for name, days in {"orphan.jsonl": 90, "put-away.jsonl": 50, "hook.jsonl": 40, "young.jsonl": 1}.items():
        file(tmp_path, name, days=days)
    file(tmp_path, f"x.jsonl.deleted.{archived(2)}", days=2)
    entries = [
        entry("put-away", 50, archived=True),
        entry("agent:main:hook:1", 40, "hook"),
        entry("young", 1),
        entry("by-hand", 9, archived=True),
    ]
    traits = {"put-away": Traits(is_archived=True, archived_ms=NOW_MS - MS_PER_DAY, is_of_cap=True), "by-hand": Traits(is_archived=True)}
    steps = [[], ["x.jsonl"], ["x.jsonl", "hook.jsonl"], ["x.jsonl", "hook.jsonl", "orphan.jsonl"]]
    steps.append([*steps[-1], "put-away.jsonl"])
    whole = 500 + 1_000 - 250  # the hook's entry goes for its age
    for number, gone in enumerate(steps):
        high_water = whole - 100 * number if number < 4 else 1
        plan = planned(
            tmp_path,
            entries,
            profile="2026.9",
            traits=traits,
            reset_archive_retention_ms=None,
            max_disk_bytes=whole - 1 if number else whole,
            high_water_bytes=high_water,
        )
        assert {one.name.partition(".deleted")[0] for one in plan.files if one.action == "evict"} == set(gone)
        assert {one.key for one in plan.entries if one.action == "evict-budget"} == ({"put-away"} if number == 4 else set())


@pytest.mark.parametrize(("budget", "gone"), [(None, []), (1_500, []), (1_499, ["arch", "orphan"]), (1_300, ["arch", "orphan", "s3"])])
def test_budget_takes_archives_and_orphans_before_sessions(tmp_path: Path, budget: int | None, gone: list[str]) -> None:
    """D.50: the oldest first, down to the high water, never the active session."""
    names = {"arch": "arch.jsonl.deleted.2026-11-20T13-14-31.436Z", "orphan": "orphan.jsonl", "s3": "s3.jsonl"}
    file(tmp_path, names["arch"], days=9)
    file(tmp_path, names["orphan"], days=8)
    for number in (1, 2, 3):
        file(tmp_path, f"s{number}.jsonl", days=number)
    entries = [entry("s4", 9), *(entry(f"s{number}", number) for number in (1, 2, 3))]
    plan = planned(tmp_path, entries, active="s4", max_disk_bytes=budget, high_water_bytes=budget and budget - 199)
    assert fates(plan) == {names[name]: "evict" for name in gone}
    assert [one.key for one in plan.removed] == [name for name in gone if name == "s3"]
    assert not plan.is_over_budget
    if "s3" in gone:
        assert next(one.why for one in plan.entries if one.key == "s4") == "active session"
        assert (plan.after.store_bytes, plan.after.bytes) == (750, 950)


def test_budget_counts_a_shared_transcript_once_its_last_session_goes(tmp_path: Path) -> None:
    """D.50."""
    file(tmp_path, "shared.jsonl", size=1_000)
    entries = [entry("a", 1, "shared"), entry("b", 2, "shared"), entry("c", 3, "alone")]
    plan = planned(tmp_path, entries, store_bytes=300, max_disk_bytes=1_250, high_water_bytes=1_150)
    assert ([one.key for one in plan.removed], fates(plan)) == (["b", "c"], {})
    plan = planned(tmp_path, entries, store_bytes=300, max_disk_bytes=1_050, high_water_bytes=1_000)
    assert ([one.key for one in plan.removed], fates(plan)) == (["a", "b", "c"], {"shared.jsonl": "evict"})


def test_what_was_archived_a_moment_ago_is_the_budgets_as_well(tmp_path: Path) -> None:
    file(tmp_path, "old.jsonl", size=5_000, days=40)
    plan = planned(tmp_path, [entry("old", 40), entry("young", 1)], max_disk_bytes=2_000, high_water_bytes=1_600)
    assert [(one.name, one.action, one.key) for one in plan.files] == [("old.jsonl", "evict", "old")]
