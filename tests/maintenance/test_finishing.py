"""Maintenances that were stopped on their way: what they had left to do, the next one of the store does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sessionlab.cli import _run
from sessionlab.errors import UnwritableError
from sessionlab.maintenance.apply import Caretaker, apply_plan
from sessionlab.maintenance.finishing import finish_stopped, stopped_runs
from sessionlab.maintenance.reaper import reap
from sessionlab.maintenance.run_folder import MaintenanceRun, maintenance_runs
from sessionlab.maintenance.undo import undo
from sessionlab.settings import StoreType
from sessionlab.stores import open_for_writing
from sessionlab.stores.location import StoreLocation
from tests.fixture_states import photo
from tests.maintenance.test_apply import NOW_MS, STALE, STAMP, content, entry, every_kind, made, mixed, planned


class KilledError(BaseException):
    """What ends a process at once, as far as its own code can see."""


def killed(*_: object, **__: object) -> None:
    raise KilledError


def stopped(state: Path, location: StoreLocation) -> MaintenanceRun:
    """Maintain a store, and stop when the entries are removed and the files are not looked after yet."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Caretaker, "look_after", killed)
        with pytest.raises(KilledError):
            apply_plan(planned(location), location, root=state)
    return maintenance_runs(state)[-1]


def live(location: StoreLocation) -> set[str]:
    return {path.name for path in location.sessions_dir.glob("*.jsonl")}


@every_kind
def test_transcripts_of_a_run_that_was_stopped_are_archived_by_the_next_one(tmp_path: Path, kind: StoreType) -> None:
    """D.17, D.22."""
    location = made(tmp_path, kind, mixed(), transcripts=("o0", "o1", "y0"))
    run = stopped(tmp_path, location)
    assert live(location) == {"o0.jsonl", "o1.jsonl", "y0.jsonl"}
    assert planned(location).files == ()
    assert stopped_runs(location, root=tmp_path)[0].path == run.path
    (finished,) = finish_stopped(location, root=tmp_path)
    assert (finished.run.path, finished.renamed, finished.deleted) == (run.path, 2, 0)
    assert live(location) == {"y0.jsonl"}
    assert (location.sessions_dir / f"o0.jsonl.deleted.{STAMP}").exists()
    assert run.has_ended()
    before = photo(tmp_path)
    assert finish_stopped(location, root=tmp_path) == ()
    assert photo(tmp_path) == before
    assert (undo(run).restored, content(location), len(live(location))) == (3, mixed(), 3)


def test_what_is_in_use_by_now_stays(tmp_path: Path) -> None:
    """D.21: an entry that came back keeps its transcript; under a key that was used again lies another session."""
    location = made(tmp_path, "json", mixed(), transcripts=("o0", "o1", "o2"))
    stopped(tmp_path, location)
    with open_for_writing(tmp_path) as store:
        store.put(STALE.format(0), entry(0, "o0"))
        store.put(STALE.format(1), entry(0, "another"))
        store.put("agent:main:heir", entry(0, "o2"))
    assert [one.renamed for one in finish_stopped(location, root=tmp_path)] == [1]
    assert live(location) == {"o0.jsonl", "o2.jsonl"}


def test_undone_run_has_nothing_left_to_do(tmp_path: Path) -> None:
    location = made(tmp_path, "json", mixed(), transcripts=("o0",))
    run = stopped(tmp_path, location)
    assert undo(run).restored == 3
    assert stopped_runs(location, root=tmp_path) == []
    with open_for_writing(tmp_path) as store:
        store.delete(STALE.format(0))
    assert finish_stopped(location, root=tmp_path) == ()
    assert live(location) == {"o0.jsonl"}


@pytest.mark.parametrize("missing", [("manifest.jsonl", "files.jsonl"), ("files.jsonl",), ()])
def test_run_that_was_killed_before_it_put_anything_by_can_be_undone_and_goes(tmp_path: Path, missing: tuple[str, ...]) -> None:
    location = made(tmp_path, "json", mixed(), transcripts=("o0",))
    run = stopped(tmp_path, location)
    with open_for_writing(tmp_path) as store:
        store.save(mixed())
    for name in ("events.jsonl", "removed.jsonl", *missing):
        (run.path / name).unlink()
    assert undo(MaintenanceRun.open(run.path)).restored == 0
    (run.path / "events.jsonl").unlink()
    (run.path / "plan.json.999999999.00000000-0000-0000-0000-000000000000.tmp").write_text("{")
    assert finish_stopped(location, root=tmp_path) == ()
    assert list(run.path.parent.iterdir()) == []
    assert content(location) == mixed()


@every_kind
def test_run_that_fails_before_anything_is_removed_leaves_nothing(tmp_path: Path, kind: StoreType, monkeypatch: pytest.MonkeyPatch) -> None:
    location = made(tmp_path, kind, mixed(), transcripts=("o0",))
    note = MaintenanceRun.note

    def refused(self: MaintenanceRun, act: str, *, seconds: float, detail: str = "") -> None:
        if act == "remove":
            raise UnwritableError(self.path, "cannot be written")
        note(self, act, seconds=seconds, detail=detail)

    monkeypatch.setattr(MaintenanceRun, "note", refused)
    with pytest.raises(UnwritableError):
        apply_plan(planned(location), location, root=tmp_path)
    assert list((tmp_path / ".sessionlab/runs").iterdir()) == []
    assert (content(location), live(location)) == (mixed(), {"o0.jsonl"})


def test_run_that_cannot_be_read_keeps_no_other_back(tmp_path: Path) -> None:
    location = made(tmp_path, "json", mixed(), transcripts=("o0",))
    run = stopped(tmp_path, location)
    (run.path / "events.jsonl").write_text("damaged\n")
    assert finish_stopped(location, root=tmp_path) == ()
    assert live(location) == {"o0.jsonl"}


@pytest.mark.parametrize("again", ["maintain", "reap"])
def test_commands_finish_what_was_stopped(tmp_path: Path, again: str, capsys: pytest.CaptureFixture[str]) -> None:
    """D.17: though there is nothing left to do for the entries; a dry run only looks."""
    location = made(tmp_path, "json", mixed(), transcripts=("o0",))
    run = stopped(tmp_path, location)
    if again == "reap":
        assert reap(location, retention_ms=1, now_ms=NOW_MS, root=tmp_path, force=True).swept
        assert live(location) == set()
        return
    arguments = ["maintain", str(tmp_path), "--profile", "2026.4", "--now-ms", str(NOW_MS), "--json"]
    assert _run([*arguments, "--dry-run"]) == 0
    capsys.readouterr()
    assert live(location) == {"o0.jsonl"}
    assert _run([*arguments, "--enforce"]) == 0
    (way,) = json.loads(capsys.readouterr().out)["results"]
    assert (way["status"], way["finished"]) == ("nothing-to-do", [{"runDir": str(run.path), "renamedFiles": 1, "deletedFiles": 0}])
    assert live(location) == set()


def test_finished_run_is_told_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    location = made(tmp_path, "json", mixed(), transcripts=("o0",))
    run = stopped(tmp_path, location)
    assert _run(["maintain", str(tmp_path), "--profile", "2026.4", "--now-ms", str(NOW_MS), "--enforce"]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("  finished")]
    assert "1 transcript renamed, 0 files removed for good" in line
    assert str(run.path) in line
