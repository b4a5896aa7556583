"""Several spellings of one key, as older programs have left them: they are one session, and whoever removes or writes one removes them all.

So none of them may go while another stays: it would leave the store without being put by.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sessionlab.maintenance.apply import apply_plan
from sessionlab.maintenance.plan import MaintenancePlan
from sessionlab.maintenance.planning import plan_store
from sessionlab.maintenance.policy import Policy, Profile
from sessionlab.maintenance.reaper import reap
from sessionlab.maintenance.run_folder import maintenance_runs
from sessionlab.maintenance.undo import undo
from sessionlab.settings import MaintenanceSettings
from sessionlab.stores import locate
from sessionlab.stores.directory import DirectoryStore
from sessionlab.stores.directory_change import Change
from sessionlab.stores.directory_folder import Journal
from sessionlab.units import MS_PER_DAY
from tests.maintenance.test_apply import NOW_MS, entry

SESSIONS = Path("agents/main/sessions")


def planted(state: Path, entries: dict[str, dict[str, Any]]) -> Path:
    """Write a `sessions.json` as another program does, with keys in any spelling."""
    path = state / SESSIONS / "sessions.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(entries), encoding="utf-8")
    return path


def ids(path: Path) -> dict[str, str]:
    return {key: one["sessionId"] for key, one in json.loads(path.read_bytes()).items()}


def maintained(state: Path, *, profile: Profile = "2026.3", active: str | None = None, **limits: Any) -> MaintenancePlan:
    """Plan and carry out; nothing may leave the store that is not in the run's archive."""
    (location,) = locate(state)
    before = ids(location.path)
    plan = plan_store(
        location, Policy(limits=MaintenanceSettings(mode="enforce", **limits), profile=profile), now_ms=NOW_MS, active_key=active
    )
    apply_plan(plan, location, root=state, active_key=active, allow_empty=True)
    put_by = {one["sessionId"] for run in maintenance_runs(state) for _, one in run.removed()}
    assert set(before.values()) <= set(ids(location.path).values()) | put_by
    return plan


OLD_AND_NEW = [("agent:main:a", "agent:main:A"), ("agent:main:A", "agent:main:a"), (" agent:main:a", "AGENT:main:a")]
either_way = pytest.mark.parametrize(("old", "new"), OLD_AND_NEW, ids=["older plain", "newer plain", "neither plain"])


@either_way
def test_the_budget_takes_all_spellings_or_none(tmp_path: Path, old: str, new: str) -> None:
    """D.50: with the newest of them, in the order of the sessions."""
    big = {"text": "x" * 1_000}
    path = planted(tmp_path, {old: entry(9, "old", **big), new: entry(1, "new", **big), "agent:main:b": entry(2, "b", **big)})
    size = path.stat().st_size
    plan = maintained(tmp_path, max_disk_bytes=size - 1, high_water_bytes=size - 100)
    assert ids(path) == {old: "old", new: "new"}
    assert {one.key: one.why for one in plan.entries if one.why} == {old: "has a newer spelling"}
    plan = maintained(tmp_path, max_disk_bytes=2_000, high_water_bytes=1_500)
    assert ids(path) == {}
    assert {one.action for one in plan.entries} == {"evict-budget"}


@either_way
@pytest.mark.parametrize("days", [1, 80])
def test_none_of_several_is_marked_as_archived(tmp_path: Path, old: str, new: str, days: int) -> None:
    """Marking one would write it, and a write removes the others, newer ones too."""
    path = planted(tmp_path, {old: entry(90, "old"), new: entry(days, "new"), "agent:main:b": entry(90, "b")})
    plan = maintained(tmp_path, profile="2026.9")
    assert ids(path) == {old: "old", new: "new", "agent:main:b": "b"}
    assert {key for key, one in json.loads(path.read_bytes()).items() if "archivedAt" in one} == {"agent:main:b"}
    whys = {one.key: one.why for one in plan.entries if one.why and one.action == "keep"}
    assert whys == {old: "has a newer spelling"} | ({new: "has an older spelling"} if days > 30 else {})


@either_way
def test_a_sweep_takes_all_spellings_or_none(tmp_path: Path, old: str, new: str) -> None:
    """D.23: of a cron run as well."""
    old, new = (key.replace(":a", ":cron:j:run:x").replace(":A", ":cron:J:run:x") for key in (old, new))
    entries = {old: entry(90, "old"), new: entry(0.5, "new")}
    path = planted(tmp_path, entries)
    (location,) = locate(tmp_path)
    assert reap(location, retention_ms=MS_PER_DAY, now_ms=NOW_MS, root=tmp_path, force=True).pruned == 0
    assert json.loads(path.read_bytes()) == entries
    assert reap(location, retention_ms=MS_PER_DAY // 4, now_ms=NOW_MS, root=tmp_path, force=True).pruned == 2
    (run,) = maintenance_runs(tmp_path)
    assert {key: one["sessionId"] for key, one in run.removed()} == {old: "old", new: "new"}
    undo(run)
    assert ids(path) == {old: "old", new: "new"}


def test_spellings_that_a_killed_process_was_bringing_back_are_known_to_the_next_writer(tmp_path: Path) -> None:
    """A `sessions.d` says whether it has any: it has to say so before they are there."""
    old, new, third = "agent:main:A", "agent:main:a", "agent:main:b"
    with DirectoryStore(tmp_path / "sessions.d") as store:
        store.put(third, entry(1, "b"))
        arrive = Change._arrive

        def killed_with_entries(self: Change, journal: Journal, *, is_normal: bool) -> None:
            if journal.waiting:
                raise KeyboardInterrupt
            arrive(self, journal, is_normal=is_normal)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Change, "_arrive", killed_with_entries)
            with pytest.raises(KeyboardInterrupt):
                store.transform(lambda draft: draft.update({old: entry(9, "old"), new: entry(3, "new")}), spelled=True)
    with DirectoryStore(tmp_path / "sessions.d") as store:
        assert set(dict(store.items())) == {old, new, third}
        store.put(new, entry(0, "newest"))
        assert {key: one["sessionId"] for key, one in store.items()} == {third: "b", new: "newest"}


@pytest.mark.parametrize("spelling", ["agent:main:a", "agent:main:A", " Agent:Main:a "])
@pytest.mark.parametrize("limits", [{}, {"max_entries": 1}, {"max_disk_bytes": 1, "high_water_bytes": 1}])
def test_active_session_stays_in_whatever_spelling(tmp_path: Path, spelling: str, limits: dict[str, Any]) -> None:
    """D.15, D.50."""
    path = planted(tmp_path, {spelling: entry(90, "active"), "agent:main:b": entry(40, "b"), "agent:main:c": entry(1, "c")})
    plan = maintained(tmp_path, active="agent:main:a", **limits)
    assert ids(path)[spelling] == "active"
    assert next(one.why for one in plan.entries if one.key == spelling) == "active session"
    assert plan.warning is not None
    assert plan.warning.active_key == spelling


@either_way
def test_spelling_that_came_after_the_plan_keeps_the_others(tmp_path: Path, old: str, new: str) -> None:
    """Removing one would remove it as well, and it was not put by."""
    path = planted(tmp_path, {old: entry(50, "old"), "agent:main:b": entry(50, "b"), "agent:main:young": entry(1, "young")})
    (location,) = locate(tmp_path)
    plan = plan_store(location, Policy(limits=MaintenanceSettings(mode="enforce")), now_ms=NOW_MS)
    assert {one.key for one in plan.removed} == {old, "agent:main:b"}
    path.write_text(json.dumps(json.loads(path.read_bytes()) | {new: entry(0, "new")}), encoding="utf-8")
    apply_plan(plan, location, root=tmp_path)
    assert ids(path) == {old: "old", new: "new", "agent:main:young": "young"}
