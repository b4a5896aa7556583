"""What lies beside a store and is not its own: files of other agents' stores, stores that were left behind, copies of transcripts."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sessionlab.errors import InvalidJSONError
from sessionlab.maintenance.apply import apply_plan
from sessionlab.maintenance.neighbours import neighbours
from sessionlab.maintenance.planning import plan_store
from sessionlab.maintenance.policy import Policy
from sessionlab.migration.startup import migrate_one
from sessionlab.settings import MaintenanceSettings, StoreType
from sessionlab.stores import locate, open_for_writing, open_store
from sessionlab.stores.location import StoreLocation
from tests.maintenance.test_apply import NOW_MS, entry, every_kind


def enforced(**limits: Any) -> Policy:
    return Policy(limits=MaintenanceSettings(mode="enforce", **limits))


def shared(state: Path, *, name: str = "{agentId}.json") -> dict[str, StoreLocation]:
    """Make two agents whose stores lie in one folder, each with ten sessions of forty days and their transcripts."""
    stores = state / "stores"
    stores.mkdir(parents=True)
    (state / "openclaw.json").write_text(json.dumps({"session": {"store": str(stores / name)}}))
    for agent in ("main", "ops"):
        (state / "agents" / agent).mkdir(parents=True)
        entries = {f"agent:{agent}:k:{number}": entry(40 if agent == "main" else 1, f"{agent}{number}") for number in range(10)}
        (stores / name.replace("{agentId}", agent)).write_text(json.dumps(entries))
        for one in entries.values():
            (stores / f"{one['sessionId']}.jsonl").write_bytes(b"x" * 5_000)
    return {one.agent_id: one for one in locate(state)}


@pytest.mark.parametrize("name", ["{agentId}.json", "sessions-{agentId}.json", "{agentId}.store", "{agentId}", "{agentId}.json5"])
def test_disk_budget_of_one_store_takes_nothing_of_another_in_its_folder(tmp_path: Path, name: str) -> None:
    """Its live transcripts are no orphans, and no session goes for their sake; whatever the stores are called."""
    found = shared(tmp_path, name=name)
    (tmp_path / "stores/nobody.jsonl").write_bytes(b"x" * 5_000)
    plan = plan_store(found["main"], enforced(prune_after_ms=10**13, max_disk_bytes=60_000, high_water_bytes=60_000), now_ms=NOW_MS)
    assert [one.name for one in plan.files if one.action == "evict" and not one.key] == ["nobody.jsonl"]
    assert len(plan.removed) == 0
    assert plan.is_over_budget
    assert not [one.name for one in plan.files if one.name.startswith("ops")]


def test_transcript_that_a_session_of_another_store_refers_to_stays(tmp_path: Path) -> None:
    """D.21, over all stores of the folder; also when that session came after the plan."""
    found = shared(tmp_path)
    rules = enforced()
    with open_for_writing(found["ops"].path) as store:
        store.put("agent:ops:k:10", entry(1, "main3"))
    plan = plan_store(found["main"], rules, now_ms=NOW_MS)
    assert "main3.jsonl" not in {one.name for one in plan.files}
    with open_for_writing(found["ops"].path) as store:
        store.put("agent:ops:k:11", entry(1, "main4"))
    report = apply_plan(plan, found["main"], root=tmp_path, allow_empty=True)
    assert report.left_alone == ("main4.jsonl",)
    left = {path.name for path in (tmp_path / "stores").glob("main*.jsonl")}
    assert left == {"main3.jsonl", "main4.jsonl"}


def test_store_of_another_agent_that_cannot_be_read_keeps_the_files_of_the_folder(tmp_path: Path) -> None:
    found = shared(tmp_path)
    found["ops"].path.write_text('{"a": 1')
    with pytest.raises(InvalidJSONError, match=r"ops\.json"):
        plan_store(found["main"], enforced(), now_ms=NOW_MS)


def test_agents_have_a_folder_each_as_openclaw_lays_it_out(tmp_path: Path) -> None:
    for agent in ("main", "ops"):
        (tmp_path / "agents" / agent / "sessions").mkdir(parents=True)
        (tmp_path / "agents" / agent / "sessions/sessions.json").write_text("{}")
    assert [neighbours(one) for one in locate(tmp_path)] == [(), ()]


@pytest.mark.parametrize("kind", ["sqlite", "directory"])
def test_no_session_goes_for_a_store_that_a_migration_left_behind(tmp_path: Path, kind: StoreType) -> None:
    (tmp_path / "agents").mkdir()
    with open_for_writing(tmp_path, store_type="json") as store:
        store.save({f"agent:main:k:{number}": entry(1, f"s{number}", text="x" * 2_000) for number in range(50)})
    (old,) = locate(tmp_path)
    assert migrate_one(old, kind, now_ms=NOW_MS).result == "migrated"
    (location,) = locate(tmp_path)
    with open_store(location.path) as store:
        used = store.stats().store_bytes
    most = used + 10_000
    plan = plan_store(location, enforced(max_disk_bytes=most, high_water_bytes=most), now_ms=NOW_MS)
    assert (len(plan.removed), plan.is_over_budget) == (0, True)
    plan = plan_store(location, enforced(max_disk_bytes=used // 2, high_water_bytes=used // 2), now_ms=NOW_MS)
    assert 0 < len(plan.removed) < 50


@every_kind
def test_copies_of_transcripts_cost_no_session(tmp_path: Path, kind: StoreType) -> None:
    (tmp_path / "agents").mkdir()
    with open_for_writing(tmp_path, store_type=kind) as store:
        store.save({f"agent:main:k:{number}": entry(1, f"s{number}") for number in range(5)})
    (location,) = locate(tmp_path)
    (location.sessions_dir / "s0.trajectory.jsonl").write_bytes(b"x" * 100_000)
    with open_store(location.path) as store:
        most = store.stats().store_bytes + 1_000
    plan = plan_store(location, enforced(max_disk_bytes=most, high_water_bytes=most), now_ms=NOW_MS)
    assert (len(plan.removed), plan.is_over_budget) == (0, True)


@every_kind
def test_transcript_is_missing_only_where_there_is_none(tmp_path: Path, kind: StoreType) -> None:
    """A link, a compressed one, and one in another folder are transcripts, too."""
    (tmp_path / "agents").mkdir()
    elsewhere = tmp_path / "elsewhere.jsonl"
    elsewhere.write_text("{}\n")
    entries = {
        "linked": entry(1, "linked"),
        "compressed": entry(1, "compressed"),
        "below": entry(1, "below", sessionFile="sub/below-it.jsonl"),
        "elsewhere": entry(1, "e", sessionFile=str(elsewhere)),
        "none": entry(1, "none"),
        "gone": entry(1, "gone", sessionFile=str(tmp_path / "gone.jsonl")),
    }
    with open_for_writing(tmp_path, store_type=kind) as store:
        store.save({f"agent:main:{name}": one for name, one in entries.items()})
    (location,) = locate(tmp_path)
    folder = location.sessions_dir
    (folder / "linked.jsonl").symlink_to(elsewhere)
    (folder / "compressed.jsonl.zst").write_bytes(b"z")
    (folder / "sub").mkdir()
    (folder / "sub/below-it.jsonl").write_text("{}\n")
    plan = plan_store(location, enforced(), now_ms=NOW_MS, fix_missing=True)
    assert {one.key for one in plan.removed} == {"agent:main:none", "agent:main:gone"}


@every_kind
@pytest.mark.parametrize("state", ["absent", "empty", "there"])
def test_transcript_on_a_volume_that_is_not_mounted_is_not_missing(tmp_path: Path, kind: StoreType, state: str) -> None:
    """D.51: nobody can tell now; where the volume is there, it is missed as any other."""
    (tmp_path / "agents").mkdir()
    volume = tmp_path / "volume"
    if state != "absent":
        volume.mkdir()
    if state == "there":
        (volume / "other.jsonl").write_text("{}\n")
    away = str(volume / "a.jsonl")
    entries = {
        "away": entry(1, "away", sessionFile=away),
        "stale": entry(40, "stale", sessionFile=away),
        "below": entry(1, "below", sessionFile="volume/b.jsonl"),
        "windows": entry(1, "windows", sessionFile="D:\\volume\\c.jsonl"),
        "copied": entry(1, "copied", sessionFile="/home/else/.openclaw/agents/main/sessions/copied.jsonl"),
    }
    with open_for_writing(tmp_path, store_type=kind) as store:
        store.save({f"agent:main:{name}": one for name, one in entries.items()})
    (location,) = locate(tmp_path)
    (location.sessions_dir / "volume").symlink_to(volume)
    plan = plan_store(location, enforced(), now_ms=NOW_MS, fix_missing=True)
    found = {one.key.rpartition(":")[2]: (one.action, one.why) for one in plan.entries}
    unknown, lost = ("keep", "not reachable"), ("prune-missing", "")
    there = {"away": lost, "stale": lost, "below": lost}
    apart = {"away": unknown, "stale": ("prune-stale", ""), "below": unknown}
    assert found == (there if state == "there" else apart) | {"windows": unknown, "copied": lost}
    plan = plan_store(location, enforced(), now_ms=NOW_MS)
    assert {one.why for one in plan.entries} == {""}


def test_folder_that_we_may_not_look_into_is_not_reachable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "agents").mkdir()
    with open_for_writing(tmp_path, store_type="json") as store:
        store.save({"agent:main:away": entry(1, "away", sessionFile=str(tmp_path / "closed/a.jsonl"))})
    (tmp_path / "closed").mkdir()
    (tmp_path / "closed/b.jsonl").touch()
    (location,) = locate(tmp_path)
    scandir = os.scandir

    def refused(path: Path) -> Iterator[os.DirEntry[str]]:
        if Path(path).name == "closed":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refused)
    assert plan_store(location, enforced(), now_ms=NOW_MS, fix_missing=True).removed == ()


@every_kind
def test_session_whose_transcript_lies_elsewhere_takes_no_namesake_along(tmp_path: Path, kind: StoreType) -> None:
    """F.20: a `sessionFile` in another folder is ignored. Under the session's own id it is the store that was copied from elsewhere."""
    (tmp_path / "agents").mkdir()
    with open_for_writing(tmp_path, store_type=kind) as store:
        store.save(
            {
                "agent:main:young": entry(1, "young"),
                "agent:main:away": entry(40, "away", sessionFile="/elsewhere/other.jsonl"),
                "agent:main:here": entry(40, "here", sessionFile="named.jsonl"),
                "agent:main:copied": entry(40, "copied", sessionFile="/elsewhere/copied.jsonl"),
            }
        )
    (location,) = locate(tmp_path)
    for name in ("other", "named", "copied"):
        (location.sessions_dir / f"{name}.jsonl").write_text("{}\n")
    plan = plan_store(location, enforced(), now_ms=NOW_MS)
    assert {one.name for one in plan.files} == {"named.jsonl", "copied.jsonl"}
