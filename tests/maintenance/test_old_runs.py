"""Archives of earlier maintenances: they go when the transcripts that were archived with them go, and not before."""

from __future__ import annotations

from pathlib import Path

import pytest

from sessionlab.errors import CorruptStoreError
from sessionlab.maintenance.apply import apply_plan
from sessionlab.maintenance.finishing import finish_stopped
from sessionlab.maintenance.old_runs import old_runs
from sessionlab.maintenance.planning import plan_store
from sessionlab.maintenance.policy import Policy, Profile
from sessionlab.maintenance.run_folder import maintenance_runs
from sessionlab.maintenance.undo import undo
from sessionlab.migration.startup import migrate_one
from sessionlab.settings import MaintenanceSettings, StoreType
from sessionlab.stores import locate, open_for_writing
from sessionlab.stores.location import StoreLocation
from sessionlab.units import MS_PER_DAY
from tests.fixture_states import photo
from tests.maintenance.test_apply import FRESH, NOW_MS, carried_out, content, entry, every_kind, made, mixed, planned

MONTH_MS = 30 * MS_PER_DAY


def later(location: StoreLocation, state: Path, now_ms: int, *, profile: Profile = "2026.3", mode: str = "enforce") -> tuple[str, ...]:
    """Carry a maintenance out at a later time, and return the runs that it removed."""
    rules = Policy(limits=MaintenanceSettings(mode=mode, prune_after_ms=MONTH_MS), profile=profile)  # type: ignore[arg-type]
    plan = plan_store(location, rules, now_ms=now_ms, root=state)
    if mode == "enforce":
        assert apply_plan(plan, location, root=state, allow_empty=True).forgotten == len(plan.old_runs)
    return tuple(name for name, _ in plan.old_runs)


@every_kind
@pytest.mark.parametrize("by", [-1, 0, 1])
def test_run_goes_when_it_is_older_than_archives_get(tmp_path: Path, kind: StoreType, by: int) -> None:
    """One under, at, one over; as for archived transcripts (D.22)."""
    location = made(tmp_path, kind, mixed(), transcripts=("o0",))
    _, run = carried_out(tmp_path, location, planned(location))
    wanted = (run.path.name,) if by > 0 else ()
    before = photo(tmp_path)
    assert later(location, tmp_path, NOW_MS + MONTH_MS + by, mode="warn") == wanted  # a plan changes nothing
    assert photo(tmp_path) == before
    assert later(location, tmp_path, NOW_MS + MONTH_MS + by) == wanted
    assert run.path.exists() == (by <= 0)
    assert not (location.sessions_dir / f"o0.jsonl.deleted.{NOW_MS}").exists()


def test_2026_9_keeps_them_for_good(tmp_path: Path) -> None:
    location = made(tmp_path, "json", mixed())
    _, run = carried_out(tmp_path, location, planned(location))
    rules = Policy(limits=MaintenanceSettings(mode="enforce", reset_archive_retention_ms=None), profile="2026.9")
    assert old_runs(location, rules, root=tmp_path, now_ms=NOW_MS + 1000 * MS_PER_DAY) == ()
    assert run.path.exists()


def test_runs_of_other_stores_and_of_other_kinds_stay(tmp_path: Path) -> None:
    """Those of this store that was moved from another kind are its own; a migration is none of them."""
    location = made(tmp_path, "json", mixed())
    _, run = carried_out(tmp_path, location, planned(location))
    assert migrate_one(location, "sqlite", now_ms=NOW_MS).result == "migrated"
    (moved,) = locate(tmp_path)
    (tmp_path / "agents/ops/sessions").mkdir(parents=True)
    with open_for_writing(tmp_path / "agents/ops/sessions/sessions.json") as store:
        store.save({FRESH.format(0): entry(1, "ops")})
    other = next(one for one in locate(tmp_path) if one.agent_id == "ops")
    assert later(other, tmp_path, NOW_MS + 2 * MONTH_MS, mode="warn") == ()
    assert later(moved, tmp_path, NOW_MS + 2 * MONTH_MS, mode="warn") == (run.path.name,)


def test_what_is_no_file_of_a_run_stays_and_so_does_a_run_that_was_stopped(tmp_path: Path) -> None:
    location = made(tmp_path, "json", mixed())
    _, run = carried_out(tmp_path, location, planned(location))
    (run.path / "notes.txt").write_text("mine\n")
    rules = Policy(limits=MaintenanceSettings(mode="enforce", prune_after_ms=MONTH_MS))
    plan = plan_store(location, rules, now_ms=NOW_MS + 2 * MONTH_MS, root=tmp_path)
    assert apply_plan(plan, location, root=tmp_path, allow_empty=True).forgotten == 0
    assert (run.path / "notes.txt").read_text() == "mine\n"
    events = maintenance_runs(tmp_path)[-1].path / "events.jsonl"
    events.write_bytes(events.read_bytes().splitlines(keepends=True)[0])
    assert old_runs(location, rules, root=tmp_path, now_ms=NOW_MS + 10 * MONTH_MS) == ()


@pytest.mark.parametrize("damage", [b"", b"{", b'{"operation": "maintain"}'])
def test_run_that_cannot_be_read_keeps_nothing_back(tmp_path: Path, damage: bytes) -> None:
    """Not the next maintenance, not the way back of another run, not what was left to do for one that was stopped."""
    location = made(tmp_path, "json", mixed())
    _, run = carried_out(tmp_path, location, planned(location))
    (run.path / "plan.json").write_bytes(damage)
    with open_for_writing(tmp_path) as store:
        store.put("agent:main:late", entry(50, "late"))
    assert finish_stopped(location, root=tmp_path) == ()
    carried_out(tmp_path, location, planned(location))
    (second,) = (one for one in maintenance_runs(tmp_path) if one.path != run.path)
    assert undo(second).restored == 1
    assert "agent:main:late" in content(location)
    with pytest.raises(CorruptStoreError, match=r"plan\.json"):
        undo(run)
