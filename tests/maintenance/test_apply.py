"""Carrying a maintenance out, and undoing it, on every kind of store: nothing is lost on the way, and nothing that is in use is removed."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sessionlab.errors import StoreLockedError, UnwritableError, UsageError
from sessionlab.maintenance.apply import MaintenanceReport, apply_plan
from sessionlab.maintenance.files import session_files
from sessionlab.maintenance.finishing import finish_stopped
from sessionlab.maintenance.plan import MaintenancePlan, plan_maintenance
from sessionlab.maintenance.planning import plan_store
from sessionlab.maintenance.policy import PROFILES, Policy, Profile
from sessionlab.maintenance.run_folder import MaintenanceRun, maintenance_runs
from sessionlab.maintenance.run_records import archive_stamp
from sessionlab.maintenance.undo import undo
from sessionlab.migration.resuming import unfinished
from sessionlab.settings import MaintenanceSettings, StoreType
from sessionlab.stores import locate, open_for_writing, open_store
from sessionlab.stores.location import StoreLocation
from sessionlab.units import MS_PER_DAY
from tests.fixture_states import photo

NOW_MS = 1_795_132_800_000
KINDS: tuple[StoreType, ...] = ("json", "sqlite", "directory")
STAMP = archive_stamp(NOW_MS)
every_kind = pytest.mark.parametrize("kind", KINDS)


def entry(days: float, session_id: str, **more: Any) -> dict[str, Any]:
    return {"sessionId": session_id, "updatedAt": NOW_MS - round(days * MS_PER_DAY), "secret": f"sk-{session_id}", **more}


STALE, FRESH = "agent:main:old:{}", "agent:main:young:{}"


def made(state: Path, kind: StoreType, entries: dict[str, dict[str, Any]], *, transcripts: tuple[str, ...] = ()) -> StoreLocation:
    """Make a state folder with a store of a kind and transcripts beside it."""
    (state / "agents").mkdir(parents=True, exist_ok=True)
    with open_for_writing(state, store_type=kind) as store:
        store.save(entries)
    (location,) = locate(state)
    for name in transcripts:
        (location.sessions_dir / f"{name}.jsonl").write_text('{"type": "session"}\n')
    return location


def planned(
    location: StoreLocation, *, profile: Profile = "2026.3", mode: Any = "enforce", active: str | None = None, **limits: Any
) -> MaintenancePlan:
    rules = Policy(limits=MaintenanceSettings(mode=mode, **limits), profile=profile)
    with open_store(location.path) as store:
        return plan_maintenance(
            store.summaries(),
            rules,
            now_ms=NOW_MS,
            files=session_files(location.sessions_dir, store_names=[location.path.name]),
            store_bytes=store.stats().store_bytes,
            active_key=active,
        )


def carried_out(state: Path, location: StoreLocation, plan: MaintenancePlan, **options: Any) -> tuple[MaintenanceReport, MaintenanceRun]:
    report = apply_plan(plan, location, root=state, **options)
    return report, maintenance_runs(state)[-1]


def content(location: StoreLocation) -> dict[str, Any]:
    with open_store(location.path) as store:
        assert [one for one in store.check() if one.severity == "error"] == []
        return dict(store.items())


def mixed(old: int = 3, young: int = 2) -> dict[str, dict[str, Any]]:
    stale = {STALE.format(number): entry(40 + number, f"o{number}") for number in range(old)}
    return stale | {FRESH.format(number): entry(number, f"y{number}") for number in range(young)}


@every_kind
def test_stale_entries_go_with_their_transcripts_and_come_back(tmp_path: Path, kind: StoreType) -> None:
    """D.16, D.17: archived, not deleted; `undo` brings back what was removed, the name of each transcript too."""
    entries = mixed()
    location = made(tmp_path, kind, entries, transcripts=("o0", "o1-topic-5", "y0"))
    before = {path.name: path.read_bytes() for path in location.sessions_dir.glob("*.jsonl")}
    report, run = carried_out(tmp_path, location, planned(location))
    assert (report.before_count, report.after_count, report.removed) == (5, 2, {"prune-stale": 3})
    assert content(location) == {key: value for key, value in entries.items() if key.startswith("agent:main:young")}
    names = {path.name for path in location.sessions_dir.iterdir() if ".jsonl" in path.name}
    assert names == {f"o0.jsonl.deleted.{STAMP}", f"o1-topic-5.jsonl.deleted.{STAMP}", "y0.jsonl"}
    assert (report.renamed, report.left_alone, run.has_ended()) == (2, (), True)
    undone = undo(run)
    assert (undone.restored, undone.renamed, undone.newer, undone.occupied, undone.gone) == (3, 2, (), (), 0)
    assert content(location) == entries
    assert {path.name: path.read_bytes() for path in location.sessions_dir.glob("*.jsonl")} == before
    again = undo(run)
    assert (again.restored, again.renamed, again.newer) == (0, 0, ())
    assert content(location) == entries


SINCE: dict[str, dict[str, Any]] = {
    "pinned": {"pinnedAt": NOW_MS},
    "locked": {"modelSelectionLocked": True},
    "talked in": {"lastInteractionAt": NOW_MS - 1},
    "running": {"status": "running"},
    "of a group": {"chatType": "group"},
    "outside": {"delivery": {"kind": "external"}},
    "archived": {"archivedAt": NOW_MS - 5},
}


@every_kind
@pytest.mark.parametrize("since", SINCE)
def test_entry_that_changed_since_is_judged_again(tmp_path: Path, kind: StoreType, since: str) -> None:
    """What 2026.9 goes by is not all in `updatedAt`: removed or marked is only what is as the plan saw it."""
    removed, marked = "agent:main:subagent:{}", "agent:main:dashboard:{}"
    entries = {one.format(number): entry(40, f"{one[11]}{number}") for one in (removed, marked) for number in range(2)}
    location = made(tmp_path, kind, entries, transcripts=("s0", "s1"))
    plan = plan_store(location, Policy(limits=PROFILES["2026.9"], profile="2026.9"), now_ms=NOW_MS)
    assert {one.action for one in plan.entries} == {"prune-stale", "archive"}
    changed = [one.format(0) for one in (removed, marked)]
    with open_for_writing(tmp_path) as store:
        for key in changed:
            store.put(key, entries[key] | SINCE[since])
    report, run = carried_out(tmp_path, location, plan)
    # A pin counts for nothing on a subagent, and a dashboard that runs, or is of a group, is kept as a subagent is not.
    spared = 2 if since not in ("pinned", "of a group") else 1
    assert (report.kept_since, report.gone_since) == (spared, 0)
    assert (sum(report.removed.values()), report.archived) == (3 - spared, 1)
    found = content(location)
    assert found[changed[1]] == entries[changed[1]] | SINCE[since]
    assert (location.sessions_dir / "s0.jsonl").exists() is (spared == 2)
    undo(run)
    assert content(location) == entries | {key: entries[key] | SINCE[since] for key in changed}


def test_spelling_that_was_locked_since_keeps_the_others(tmp_path: Path) -> None:
    """Removing one of them would remove it as well."""
    entries = {"agent:main:subagent:a": entry(50, "a"), "agent:main:subagent:A": entry(40, "b")}
    location = made(tmp_path, "json", {"agent:main:main": entry(1, "m")})
    location.path.write_text(json.dumps(entries))
    plan = plan_store(location, Policy(limits=PROFILES["2026.9"], profile="2026.9"), now_ms=NOW_MS)
    assert len(plan.removed) == 2
    entries["agent:main:subagent:A"]["modelSelectionLocked"] = True
    location.path.write_text(json.dumps(entries))
    report, _ = carried_out(tmp_path, location, plan, allow_empty=True)
    assert (report.kept_since, json.loads(location.path.read_text())) == (2, entries)


@every_kind
def test_transcript_that_came_since_keeps_its_entry(tmp_path: Path, kind: StoreType) -> None:
    """D.51: or was written by somebody who has just begun to."""
    entries = {f"agent:main:{name}": entry(1, name) for name in ("a", "b", "c")}
    location = made(tmp_path, kind, entries, transcripts=("c",))
    plan = plan_store(location, Policy(limits=MaintenanceSettings(mode="enforce")), now_ms=NOW_MS, fix_missing=True)
    assert {one.key for one in plan.removed} == {"agent:main:a", "agent:main:b"}
    (location.sessions_dir / "a.jsonl").write_text("{}\n")
    report, _ = carried_out(tmp_path, location, plan)
    assert (report.removed, report.kept_since) == ({"prune-missing": 1}, 1)
    assert set(content(location)) == {"agent:main:a", "agent:main:c"}


@every_kind
def test_entry_that_was_used_since_stays_with_its_transcript(tmp_path: Path, kind: StoreType) -> None:
    location = made(tmp_path, kind, mixed(), transcripts=("o0", "o1"))
    plan = planned(location)
    with open_for_writing(tmp_path) as store:
        store.update(STALE.format(0), lambda _entry: {"label": "back again"}, now_ms=NOW_MS)
        store.delete(STALE.format(2))
    report, _ = carried_out(tmp_path, location, plan)
    assert (report.removed, report.left_alone) == ({"prune-stale": 1}, ("o0.jsonl",))
    assert (report.kept_since, report.gone_since) == (1, 1)  # the one that was used, and the one that somebody else removed
    assert content(location)[STALE.format(0)]["label"] == "back again"
    assert (location.sessions_dir / "o0.jsonl").exists()


@every_kind
def test_transcript_that_is_referred_to_by_now_stays(tmp_path: Path, kind: StoreType) -> None:
    """D.21."""
    location = made(tmp_path, kind, mixed(), transcripts=("o0",))
    plan = planned(location)
    with open_for_writing(tmp_path) as store:
        store.put("agent:main:heir", entry(0, "o0"))
    report, _ = carried_out(tmp_path, location, plan)
    assert (report.removed, report.left_alone, report.renamed) == ({"prune-stale": 3}, ("o0.jsonl",), 0)


@every_kind
def test_undo_leaves_what_took_the_place_alone(tmp_path: Path, kind: StoreType) -> None:
    location = made(tmp_path, kind, mixed(), transcripts=("o0", "o1"))
    _, run = carried_out(tmp_path, location, planned(location))
    newer = entry(0, "o0", label="newer")
    with open_for_writing(tmp_path) as store:
        store.put(STALE.format(0), newer)
    (location.sessions_dir / "o0.jsonl").write_text("newer\n")
    (location.sessions_dir / f"o1.jsonl.deleted.{STAMP}").unlink()
    undone = undo(run)
    assert (undone.restored, undone.newer, undone.renamed) == (2, (STALE.format(0),), 0)
    assert (undone.occupied, undone.lost) == (("o0.jsonl",), ("o1.jsonl",))
    assert content(location)[STALE.format(0)] == newer
    assert (location.sessions_dir / "o0.jsonl").read_text() == "newer\n"


@every_kind
def test_2026_9_marks_stale_entries_in_place(tmp_path: Path, kind: StoreType) -> None:
    entries = mixed()
    location = made(tmp_path, kind, entries, transcripts=("o0",))
    report, run = carried_out(tmp_path, location, planned(location, profile="2026.9"))
    assert (report.removed, report.archived, report.after_count, report.renamed) == ({}, 3, 5, 0)
    found = content(location)
    marks = {key: (value.pop("archivedAt", None), value.pop("archiveReason", None)) for key, value in found.items()}
    assert marks == {key: (NOW_MS, "age-retention") if ":old:" in key else (None, None) for key in entries}
    assert found == entries
    assert planned(location, profile="2026.9").entries[-1].why == "archived already"
    assert undo(run).unmarked == 3
    assert content(location) == entries


def test_what_only_warns_or_would_empty_the_store_is_refused(tmp_path: Path) -> None:
    """D.10, D.19: nothing is removed or archived by a policy that only warns."""
    location = made(tmp_path, "json", mixed(young=0), transcripts=("o0",))
    before = photo(tmp_path)
    with pytest.raises(UsageError, match="only warns"):
        apply_plan(planned(location, mode="warn"), location, root=tmp_path)
    with pytest.raises(UsageError, match="would remove all 3 sessions"):
        apply_plan(planned(location), location, root=tmp_path)
    assert photo(tmp_path) == before
    report, run = carried_out(tmp_path, location, planned(location), allow_empty=True)
    assert (report.after_count, content(location)) == (0, {})
    undo(run)
    assert content(location) == mixed(young=0)


@every_kind
def test_run_that_waits_for_the_lock_in_vain_leaves_nothing(tmp_path: Path, kind: StoreType) -> None:
    location = made(tmp_path, kind, mixed(), transcripts=("o0",))
    plan = planned(location)
    with open_for_writing(tmp_path) as store, store._locked(), ThreadPoolExecutor() as other:
        waiting = other.submit(apply_plan, plan, location, root=tmp_path, timeout_ms=50)
        assert isinstance(waiting.exception(timeout=30), StoreLockedError)
    assert maintenance_runs(tmp_path) == []
    assert not (tmp_path / ".sessionlab").exists()
    assert content(location) == mixed()


def test_archives_beyond_their_time_are_removed_for_good_and_told(tmp_path: Path) -> None:
    """D.22."""
    location = made(tmp_path, "json", mixed(old=0))
    old = archive_stamp(NOW_MS - 31 * MS_PER_DAY)
    archive = location.sessions_dir / f"x.jsonl.deleted.{old}"
    archive.write_bytes(b"x" * 7)
    changed = location.sessions_dir / f"z.jsonl.deleted.{old}"
    changed.write_bytes(b"z" * 7)
    plan = planned(location)
    changed.write_bytes(b"longer now")
    report, run = carried_out(tmp_path, location, plan)
    assert (report.deleted, report.freed_bytes, report.left_alone) == (1, 7, (changed.name,))
    assert not archive.exists()
    undone = undo(run)
    assert (undone.gone, undone.gone_bytes) == (1, 7)


def test_transcript_that_was_archived_a_moment_ago_does_not_expire_with_the_next_maintenance(tmp_path: Path) -> None:
    """D.22: it is as old as its session, but not yet an old archive."""
    location = made(tmp_path, "json", mixed(), transcripts=("o0",))
    os.utime(location.sessions_dir / "o0.jsonl", (0, 0))
    carried_out(tmp_path, location, planned(location))
    assert (location.sessions_dir / f"o0.jsonl.deleted.{STAMP}").exists()
    assert planned(location).files == ()


def test_run_folder_keeps_secrets_in_the_archive_only_and_is_none_of_the_migrations(tmp_path: Path) -> None:
    location = made(tmp_path, "json", mixed(), transcripts=("o0",))
    report, run = carried_out(tmp_path, location, planned(location))
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in run.path.iterdir())
    assert {path.name for path in run.path.iterdir() if b"sk-o" in path.read_bytes()} == {"removed.jsonl"}
    assert [json.loads(line)["act"] for line in (run.path / "events.jsonl").read_text().splitlines()] == [
        "archive",
        "remove",
        "files",
        "done",
    ]
    assert msgspec.json.decode(run.report() or b"", type=MaintenanceReport) == report
    assert run.head().before.sessions == 5
    assert unfinished(location) == ()


@pytest.mark.parametrize("torn", [0, 1, 20, -1])
def test_run_that_was_killed_while_it_put_entries_by_can_be_undone(tmp_path: Path, torn: int) -> None:
    location = made(tmp_path, "json", mixed())
    _, run = carried_out(tmp_path, location, planned(location))
    with open_for_writing(tmp_path) as store:
        store.save(mixed())
    archive = run.path / "removed.jsonl"
    archive.write_bytes(archive.read_bytes()[:torn])
    events = run.path / "events.jsonl"
    events.write_bytes(events.read_bytes().splitlines(keepends=True)[0])  # nothing was said of removing yet
    undone = undo(run)
    assert (undone.restored, undone.newer) == (0, ())
    assert content(location) == mixed()


@every_kind
def test_transcripts_are_there_before_the_entries_that_name_them(tmp_path: Path, kind: StoreType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever sees an entry again finds its transcript: an agent that found none would begin another one under its name."""
    location = made(tmp_path, kind, mixed(), transcripts=("o0",))
    _, run = carried_out(tmp_path, location, planned(location))
    left = content(location)

    def refuse(_path: Path, _to: Path) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", refuse)
        with pytest.raises(UnwritableError, match="Permission denied"):
            undo(run, location)
    assert content(location) == left
    report = undo(run, location)
    assert (report.restored, report.renamed) == (3, 1)
    assert (location.sessions_dir / "o0.jsonl").exists()


@every_kind
def test_disk_budget_that_is_kept_removes_nothing_more(tmp_path: Path, kind: StoreType) -> None:
    """D.50: a database that does not shrink when sessions go is no reason to remove others."""
    entries = {f"agent:main:k:{number}": entry(number, f"s{number}", text="x" * 30_000) for number in range(8)}
    location = made(tmp_path, kind, entries)
    limits = MaintenanceSettings(mode="enforce", max_disk_bytes=160_000, high_water_bytes=150_000)
    policy = Policy(limits=limits, profile="2026.4")
    plan = plan_store(location, policy, now_ms=NOW_MS)
    assert {one.action for one in plan.removed} == {"evict-budget"}
    apply_plan(plan, location, root=tmp_path)
    assert content(location)
    assert plan_store(location, policy, now_ms=NOW_MS).removed == ()


def test_what_a_killed_process_left_of_the_store_makes_no_session_go(tmp_path: Path) -> None:
    """D.50: it goes with the next write, and is no part of the disk budget."""
    location = made(tmp_path, "json", mixed(old=0, young=3))
    left = location.path.with_name("sessions.json.999999999.00000000-0000-0000-0000-000000000000.tmp")
    left.write_bytes(bytes(200_000))
    policy = Policy(limits=MaintenanceSettings(mode="enforce", max_disk_bytes=100_000, high_water_bytes=90_000), profile="2026.4")
    assert plan_store(location, policy, now_ms=NOW_MS).removed == ()
    (location.sessions_dir / "large.md").write_bytes(bytes(200_000))
    plan = plan_store(location, policy, now_ms=NOW_MS)  # what is nobody's counts, but no session goes for it
    assert (plan.removed, plan.is_over_budget) == ((), True)


@every_kind
def test_transcript_that_cannot_be_renamed_keeps_no_other_back(tmp_path: Path, kind: StoreType) -> None:
    """Its name is too long for `.deleted.TIME`: it stays as it is, and is named; so it does for the next maintenance."""
    long = "o" * 240
    location = made(tmp_path, kind, {STALE.format(1): entry(40, long), STALE.format(2): entry(41, "p"), FRESH.format(1): entry(1, "y")})
    for name in (long, "p"):
        (location.sessions_dir / f"{name}.jsonl").write_text("{}\n")
    report, run = carried_out(tmp_path, location, planned(location))
    assert (report.renamed, report.left_alone) == (1, (f"{long}.jsonl",))
    assert finish_stopped(location, root=tmp_path) == ()
    assert undo(run).restored == 2
