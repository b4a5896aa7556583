"""Maintenance with every save of a `sessions.json`: what goes, what is put by, how a store is rotated, and when nothing is looked at."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from sessionlab.maintenance import on_save
from sessionlab.maintenance.decisions import decide
from sessionlab.maintenance.on_save import maintain_on_save
from sessionlab.maintenance.policy import Policy, Profile
from sessionlab.maintenance.run_folder import maintenance_runs
from sessionlab.maintenance.run_records import archive_stamp
from sessionlab.maintenance.undo import undo
from sessionlab.maintenance.warning import EvictionWarning
from sessionlab.settings import MaintenanceSettings
from sessionlab.stores.json_store import JSONStore
from sessionlab.stores.location import StoreLocation
from sessionlab.units import MS_PER_DAY
from tests.maintenance.test_apply import FRESH, NOW_MS, STALE, content, entry, made, mixed


class Clock:
    now_ms = NOW_MS

    def __call__(self) -> int:
        return self.now_ms


def maintained(
    state: Path, location: StoreLocation, *, profile: Profile = "2026.3", mode: Any = "enforce", clock: Clock | None = None, **more: Any
) -> JSONStore:
    """Open the store as one that is maintained with every save."""
    options = {name: more.pop(name) for name in ("active_key", "on_warn") if name in more}
    policy = Policy(limits=MaintenanceSettings(mode=mode, **more), profile=profile)
    store = JSONStore(location.path)
    maintain_on_save(store, location, policy, clock=clock or Clock(), root=state, **options)
    return store


def test_every_kind_of_save_prunes_and_archives(tmp_path: Path) -> None:
    """D.6, D.7, D.17."""
    for number, save in enumerate(("put", "update", "save", "transform", "delete")):
        state = tmp_path / save
        location = made(state, "json", mixed(), transcripts=("o0", "y0"))
        with maintained(state, location) as store:
            if save == "put":
                store.put(FRESH.format(9), entry(0, "new"))
            elif save == "update":
                store.update(FRESH.format(0), lambda _entry: {"label": "x"}, now_ms=NOW_MS)
            elif save == "save":
                store.save({**store.load(), FRESH.format(9): entry(0, "new")})
            elif save == "delete":
                store.delete(FRESH.format(1))
            else:
                base = store.load()
                after = store.transform(lambda draft: draft.update({FRESH.format(9): entry(0, "new")}), base=base)
                assert after is base
                assert list(after) == list(store.load())
        assert not [key for key in content(location) if ":old:" in key], save
        assert (location.sessions_dir / f"o0.jsonl.deleted.{archive_stamp(NOW_MS)}").exists()
        assert (location.sessions_dir / "y0.jsonl").exists()
        (run,) = maintenance_runs(state)
        assert undo(run).restored == 3
        assert len(content(location)) == 5 + (number not in (1, 4)) - (save == "delete")


def test_save_leaves_what_could_not_be_brought_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is the store looked through for it with each save."""
    location = made(tmp_path, "json", {STALE.format(0): entry(40, "o"), FRESH.format(0): entry(0, "y")})
    strange = {"agent:main:strange": {"updatedAt": 1}}
    location.path.write_text(json.dumps(json.loads(location.path.read_text()) | strange))
    with maintained(tmp_path, location) as store:
        store.put(FRESH.format(1), entry(0, "new"))
        assert set(json.loads(location.path.read_text())) == {"agent:main:strange", FRESH.format(0), FRESH.format(1)}
        store.put(FRESH.format(2), entry(0, "newer"))
        monkeypatch.setattr(on_save, "decide", None)
        store.put(FRESH.format(3), entry(0, "newest"))
    assert json.loads(location.path.read_text())["agent:main:strange"] == {"updatedAt": 1}


def test_saves_of_one_object_share_a_run(tmp_path: Path) -> None:
    location = made(tmp_path, "json", mixed(old=0, young=1))
    location.path.write_text("{}")
    with maintained(tmp_path, location, max_entries=2) as store:
        for number in range(6):
            store.put(FRESH.format(number), entry(10 - number, f"y{number}"))
            (location.sessions_dir / f"y{number}.jsonl").write_text("{}\n")
    assert list(content(location)) == [FRESH.format(4), FRESH.format(5)]
    (run,) = maintenance_runs(tmp_path)
    assert [key for key, _ in run.removed()] == [FRESH.format(number) for number in range(4)]
    assert {one.action for one in run.entries()} == {"cap-overflow"}
    undone = undo(run)
    assert (undone.restored, undone.renamed) == (4, 4)


def test_nothing_is_done_while_it_is_skipped_or_only_warned_of(tmp_path: Path) -> None:
    """D.7, D.10."""
    location = made(tmp_path, "json", mixed())
    with maintained(tmp_path, location, rotate_bytes=1) as store, store.skip_maintenance():
        store.put(FRESH.format(8), entry(0, "a"))
    with maintained(tmp_path, location, mode="warn", rotate_bytes=1) as store:
        store.put(FRESH.format(9), entry(0, "b"))
    assert len(content(location)) == 7
    assert {path.name for path in location.sessions_dir.iterdir()} == {"sessions.json"}
    assert maintenance_runs(tmp_path) == []


def test_warning_comes_once_for_each_case(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """D.11, D.13, D.14: how it reaches the session is up to whoever is called; it comes once for each distinct case."""
    location = made(tmp_path, "json", mixed())
    told: list[EvictionWarning] = []
    with (
        caplog.at_level(logging.WARNING),
        maintained(tmp_path, location, mode="warn", active_key=STALE.format(1), on_warn=told.append) as store,
    ):
        for number in range(3):
            store.update(FRESH.format(0), lambda _entry, number=number: {"label": f"{number}"}, now_ms=NOW_MS)  # type: ignore[misc]
        assert len(told) == 1
        store.put(STALE.format(1), entry(0, "o1"))
    assert len(told) == 1
    assert (told[0].active_key, told[0].would_prune, told[0].would_cap) == (STALE.format(1), True, False)
    assert caplog.text.count("session maintenance would evict active session; skipping enforcement") == 1


def test_store_is_rotated_and_is_there_at_every_moment(tmp_path: Path) -> None:
    """D.3, D.4, D.5, E.21: strictly larger; three backups; a save that changes nothing rotates nothing.

    Deviation (D.5): the old file gets a second name and is then replaced, instead of being renamed away.
    """
    location = made(tmp_path, "json", mixed(old=0))
    size = location.path.stat().st_size
    clock = Clock()
    with maintained(tmp_path, location, rotate_bytes=size, clock=clock) as store:
        store.put(FRESH.format(0), entry(0, "y0", label="longer"))
    assert [path.name for path in location.sessions_dir.iterdir()] == ["sessions.json"]
    with maintained(tmp_path, location, rotate_bytes=size, clock=clock) as store:
        seen = []
        for number in range(5):
            before = location.path.read_bytes()
            clock.now_ms += 1
            store.put(FRESH.format(0), entry(0, "y0", label=f"longer {number}"))
            backup = location.path.with_name(f"sessions.json.bak.{clock.now_ms}")
            assert backup.read_bytes() == before
            assert location.path.read_bytes() != before
            seen.append(backup.name)
        store.put(FRESH.format(0), entry(0, "y0", label="longer 4"))
    assert sorted(path.name for path in location.sessions_dir.iterdir()) == ["sessions.json", *seen[-3:]]
    with maintained(tmp_path, location, rotate_bytes=1, profile="2026.4", clock=clock) as store:
        store.put(FRESH.format(0), entry(0, "y0", label="no rotation any more"))
    assert len(list(location.sessions_dir.glob("*.bak.*"))) == 3


def test_nothing_is_looked_through_before_something_can_be_stale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    location = made(tmp_path, "json", mixed(old=0, young=3))
    looked: list[int] = []
    real = decide

    def counted(held: Any, *arguments: Any, **options: Any) -> Any:
        looked.append(len(held))
        return real(held, *arguments, **options)

    monkeypatch.setattr(on_save, "decide", counted)
    clock = Clock()
    with maintained(tmp_path, location, clock=clock, max_entries=4) as store:
        for number in range(5):
            store.update(FRESH.format(0), lambda _entry, number=number: {"label": f"{number}"}, now_ms=clock.now_ms)  # type: ignore[misc]
        assert looked == [3]
        clock.now_ms += 28 * MS_PER_DAY  # the oldest is 2 days old now
        store.update(FRESH.format(0), lambda _entry: {"label": "in time"}, now_ms=clock.now_ms)
        assert looked == [3]
        clock.now_ms += 1
        store.update(FRESH.format(0), lambda _entry: {"label": "too late"}, now_ms=clock.now_ms)
        assert looked == [3, 3]
        with JSONStore(location.path) as other:
            other.put(STALE.format(0), entry(40, "o0"))
        store.update(FRESH.format(0), lambda _entry: {"label": "somebody else wrote"}, now_ms=clock.now_ms)
    assert looked == [3, 3, 3]
    assert set(content(location)) == {FRESH.format(0), FRESH.format(1)}


def test_save_fails_when_nothing_can_be_put_by(tmp_path: Path) -> None:
    location = made(tmp_path, "json", mixed())
    (tmp_path / ".sessionlab").write_text("in the way")
    before = location.path.read_bytes()
    with maintained(tmp_path, location) as store, pytest.raises(Exception, match="sessionlab"):
        store.put(FRESH.format(9), entry(0, "new"))
    assert location.path.read_bytes() == before


def test_transcript_that_cannot_be_renamed_makes_no_save_fail(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """D.22: it is saved by then. The name that it would get is too long for the disk."""
    long = f"o0-topic-{'x' * 220}"
    location = made(tmp_path, "json", mixed(), transcripts=(long, "o1"))
    with maintained(tmp_path, location) as store:
        store.put(FRESH.format(9), entry(0, "new"))
        store.put(FRESH.format(9), entry(0, "new", label="once more"))
    assert set(content(location)) == {FRESH.format(number) for number in (0, 1, 9)}
    assert (location.sessions_dir / f"{long}.jsonl").exists()
    assert "transcripts of removed sessions were not archived" in caplog.text
    (run,) = maintenance_runs(tmp_path)
    assert undo(run).restored == 3


def test_budget_is_kept_by_a_save_that_removes_something(tmp_path: Path) -> None:
    """D.6, D.22, D.50: archives and transcripts of nobody first, then the oldest entries, not the active one; the entries come back."""
    entries = mixed(old=1, young=4)
    location = made(tmp_path, "json", entries, transcripts=("o0", "y0", "y1", "y2", "y3", "nobody"))
    (location.sessions_dir / f"x.jsonl.deleted.{archive_stamp(NOW_MS - 40 * MS_PER_DAY)}").write_text("x" * 50)
    (location.sessions_dir / f"y.jsonl.deleted.{archive_stamp(NOW_MS - 20 * MS_PER_DAY)}").write_text("y" * 50)
    with maintained(tmp_path, location, active_key=FRESH.format(3), max_disk_bytes=400, high_water_bytes=250) as store:
        store.put(FRESH.format(0), entry(0, "y0", label="x"))
    left = set(content(location))
    assert left == {FRESH.format(0), FRESH.format(3)}
    assert {path.name for path in location.sessions_dir.glob("*.jsonl*")} == {"y0.jsonl", "y3.jsonl"}
    (run,) = maintenance_runs(tmp_path)
    assert {key for key, _ in run.removed()} == set(entries) - left
    assert {one.action for one in run.entries()} == {"prune-stale", "evict-budget", "keep"}
    undone = undo(run)
    assert (undone.restored, undone.newer) == (3, ())
    assert set(content(location)) == set(entries)


def test_active_session_stays(tmp_path: Path) -> None:
    """D.15."""
    location = made(tmp_path, "json", mixed())
    with maintained(tmp_path, location, active_key=STALE.format(2), max_entries=2) as store:
        store.put(FRESH.format(0), entry(0, "y0", label="x"))
        store.put(FRESH.format(0), entry(0, "y0", label="y"))
    assert set(content(location)) == {FRESH.format(0), STALE.format(2)}
    assert json.loads(location.path.read_text())[STALE.format(2)]["sessionId"] == "o2"


def test_backup_that_cannot_be_dropped_makes_no_save_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """D.4: the next rotation drops it."""
    location = made(tmp_path, "json", mixed(old=0))
    for number in range(4):
        location.path.with_name(f"sessions.json.bak.{number}").write_text("{}")

    def refuse(_folder: Path) -> None:
        raise PermissionError(13, "Permission denied")

    with maintained(tmp_path, location, rotate_bytes=1) as store:
        with monkeypatch.context() as patched:
            patched.setattr(Path, "iterdir", refuse)
            store.put(FRESH.format(7), entry(0, "a"))
        assert len(list(location.sessions_dir.glob("*.bak.*"))) == 5
    with maintained(tmp_path, location, rotate_bytes=1, clock=later()) as store:
        store.put(FRESH.format(8), entry(0, "b"))
    assert len(list(location.sessions_dir.glob("*.bak.*"))) == 3
    assert {FRESH.format(7), FRESH.format(8)} <= content(location).keys()


def later() -> Clock:
    clock = Clock()
    clock.now_ms += 1
    return clock
