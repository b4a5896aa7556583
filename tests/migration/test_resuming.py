"""Migrations that are stopped at each rename, before it and after it: the next one finishes or starts anew, and nothing is lost."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import subprocess
import sys
import threading
import uuid
from pathlib import Path
from typing import Any

import pytest

from sessionlab.errors import SplitStoreError, UncertainWriteError
from sessionlab.migration.audit import audit_run
from sessionlab.migration.execute import _Execution, execute, finish
from sessionlab.migration.plan import plan_migration
from sessionlab.migration.records import Plan
from sessionlab.migration.resuming import resume, unfinished
from sessionlab.migration.rollback import plan_rollback
from sessionlab.migration.run_folder import runs
from sessionlab.migration.stage import Stage
from sessionlab.migration.startup import Outcome, migrate_one
from sessionlab.settings import StoreType
from sessionlab.stores import locate, open_for_writing
from tests.fixture_states import photo
from tests.migration.test_execute import NAMES, NOW_MS, PAIRS, content, filled, sessions_dir
from tests.stores.sample_entries import small_store

BORN = {"sessionId": "later", "updatedAt": NOW_MS}


class Killed(BaseException):
    """Stands for the end of the process: nothing of ours catches it, and a stage stays where it is."""


def killed(state: Path, to: StoreType, monkeypatch: pytest.MonkeyPatch, *, at: int, is_after: bool) -> bool:
    """Migrate, and stop at a rename of a store, before or after it; say whether there was one so late."""
    return stopped(plan_migration(state, to, now_ms=NOW_MS), state, monkeypatch, at=at, is_after=is_after)


def stopped(plan: Plan, state: Path, monkeypatch: pytest.MonkeyPatch, *, at: int, is_after: bool) -> bool:
    """Execute a plan, and do the same."""
    calls = 0
    rename = _Execution._rename

    def counted(self: _Execution, old: Path, new: Path) -> None:
        nonlocal calls
        calls += old.exists()
        if calls == at and not is_after:
            raise Killed
        rename(self, old, new)
        if calls == at:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(_Execution, "_rename", counted)
        patch.setattr(Stage, "discard", lambda _self: None)
        try:
            execute(plan, root=state, now_ms=NOW_MS)
        except Killed:
            return True
    return False


def again(state: Path, to: StoreType) -> Outcome:
    (location,) = locate(state)
    return migrate_one(location, to, now_ms=NOW_MS + 5)


POINTS = [(at, when) for at in (1, 2, 3) for when in ("before", "after")]


@pytest.mark.parametrize("point", POINTS, ids=str)
@pytest.mark.parametrize("pair", PAIRS, ids=str)
def test_stopped_migration_is_finished_or_done_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pair: tuple[StoreType, StoreType], point: tuple[int, str]
) -> None:
    """B.29, C.31, C.33: whatever is left, exactly one store counts, and the next migration ends with everything in its place."""
    (old, new), (at, when) = pair, point
    is_after = when == "after"
    entries = small_store()
    state = filled(tmp_path, old, entries)
    if not killed(state, new, monkeypatch, at=at, is_after=is_after):
        assert at > 1
        return
    kind, found = content(state)
    assert found == entries
    outcome = again(state, new)
    assert (outcome.error, outcome.result, outcome.migrated_entries) == (None, "migrated", len(entries))
    assert content(state) == (new, entries)
    names = sorted(path.name for path in sessions_dir(state).iterdir() if not path.name.endswith(".lock"))
    assert not [name for name in names if "staging" in name]
    assert NAMES[new] in names
    assert (NAMES[old] in names) == ((old, new) == ("json", "sqlite"))
    ends = [run.events()[-1].act for run in runs(state)]
    assert ends == (["done"] if outcome.is_resumed else ["abandoned", "done"])
    assert outcome.is_resumed == (kind == new or at == 2 or is_after)
    assert outcome.run_dir is not None
    assert audit_run(outcome.run_dir).verdict == "holds"
    assert unfinished(locate(state)[0]) == ()
    assert again(state, new).result == "already"


def test_sessions_born_after_the_stop_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for old, new in PAIRS:
        state = filled(tmp_path / f"{old}-{new}", old, small_store())
        last = 1 if (old, new) == ("json", "sqlite") else 2
        assert killed(state, new, monkeypatch, at=last, is_after=last == 1)  # the new store has its name, the old one, too
        with open_for_writing(state) as store:
            store.put("agent:main:born:later", BORN)
        assert again(state, new).result == "migrated"
        assert content(state) == (new, {**small_store(), "agent:main:born:later": BORN})


@pytest.mark.parametrize("is_written", [False, True], ids=["quiet", "written"])
@pytest.mark.parametrize("point", POINTS, ids=str)
@pytest.mark.parametrize("pair", PAIRS, ids=str)
def test_way_back_that_was_stopped_can_be_gone_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pair: tuple[StoreType, StoreType], point: tuple[int, str], *, is_written: bool
) -> None:
    """C.46, C.47: what the way back had moved out of its way is in its place again when it has not come to its end."""
    (old, new), (at, when) = pair, point
    state = filled(tmp_path, old, small_store())
    assert again(state, new).result == "migrated"
    (run,) = runs(state)
    if not stopped(plan_rollback(run, now_ms=NOW_MS + 9), state, monkeypatch, at=at, is_after=when == "after"):
        assert at > 1
        return
    wanted = small_store()
    if is_written:
        wanted["agent:main:born:later"] = BORN
        with open_for_writing(state) as store:
            store.put("agent:main:born:later", BORN)
    (location,) = locate(state)
    resume(location, to=old)
    (location,) = locate(state)
    if location.kind != old:
        execute(plan_rollback(run, now_ms=NOW_MS + 19), root=state, now_ms=NOW_MS + 19)
    assert content(state) == (old, wanted)
    assert unfinished(locate(state)[0]) == ()


def test_old_store_that_was_written_after_the_new_one_counts_is_not_retired(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """C.34: neither chosen nor merged in silence."""
    state = filled(tmp_path, "json", small_store())
    assert killed(state, "directory", monkeypatch, at=2, is_after=False)
    file = sessions_dir(state) / "sessions.json"
    file.write_bytes(file.read_bytes().replace(b'"sessionId": "', b'"sessionId": "x', 1))
    before = photo(sessions_dir(state))
    (run,) = runs(state)
    with pytest.raises(SplitStoreError, match="two stores hold sessions"):
        finish(run)
    after: dict[str, Any] = photo(sessions_dir(state))
    assert {name: found for name, found in after.items() if name in before and name != "."} == {
        name: found for name, found in before.items() if name != "."
    }


def test_run_that_was_stopped_while_it_was_prepared_hinders_nobody(tmp_path: Path) -> None:
    state = filled(tmp_path, "json", small_store())
    assert again(state, "sqlite").result == "migrated"
    (run,) = runs(state)
    for name in ("events.jsonl", "manifest.jsonl", "report.json"):
        (run.path / name).unlink()
    assert again(state, "directory").result == "migrated"
    assert [len(one.events()) > 0 for one in runs(state)] == [True, True]
    assert runs(state)  # the first is told to be abandoned
    assert run.events()[-1].act == "abandoned"


def test_report_that_is_missing_is_written_by_the_next_migration(tmp_path: Path) -> None:
    state = filled(tmp_path, "json", small_store())
    assert again(state, "directory").result == "migrated"
    (run,) = runs(state)
    written = run.report()
    (run.path / "report.json").unlink()
    assert audit_run(run.path).verdict == "contradictory"
    assert again(state, "directory").result == "already"
    assert run.report() == written
    assert audit_run(run.path).verdict == "holds"


def test_temporary_files_of_processes_that_are_no_more_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """C.33: those of the old store's lock, of a run's folder, of one that has no plan yet, and of the record that knows the new store."""
    (gone := subprocess.Popen([sys.executable, "-c", ""])).wait()
    left = f"{gone.pid}.{uuid.uuid4()}.tmp"
    state = filled(tmp_path, "json", small_store())
    folder, unborn = sessions_dir(state), state / ".sessionlab" / "runs" / "unborn"
    assert killed(state, "directory", monkeypatch, at=2, is_after=True)
    (run,) = runs(state)
    unborn.mkdir()
    litter = [folder / f"sessions.json.lock.{left}", run.path / f"manifest.jsonl.{left}", unborn / f"plan.json.{left}"]
    for path in litter:
        path.write_bytes(b"{}")
    (folder / "sessions.json.lock").write_bytes(json.dumps({"pid": gone.pid}).encode())
    own = run.path / f"report.json.{os.getpid()}.{uuid.uuid4()}.tmp"
    own.write_bytes(b"{}")
    assert again(state, "directory").is_resumed
    assert [path for path in (*litter, unborn, folder / "sessions.json.lock") if path.exists()] == []
    assert own.exists()
    record = folder / "sessions.d" / f"promotion.json.{left}"
    record.write_bytes(b"{}")
    assert again(state, "json").result == "migrated"
    assert list(folder.rglob(record.name)) == []


@pytest.mark.parametrize("pair", PAIRS, ids=str)
@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), FileNotFoundError(2, "No such file or directory")], ids=["io", "gone"])
def test_failure_after_the_promotion_says_that_the_run_only_has_to_be_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pair: tuple[StoreType, StoreType], error: OSError
) -> None:
    old, new = pair
    state = filled(tmp_path, old, small_store())

    def fail(_self: _Execution) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(_Execution, "_retire", fail)
        outcome = again(state, new)
    assert isinstance(outcome.error, UncertainWriteError)
    assert "is in its place, whole and verified" in str(outcome.error)
    assert content(state)[1] == small_store()
    assert again(state, new).is_resumed
    assert content(state) == (new, small_store())


def test_torn_last_event_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = filled(tmp_path, "json", small_store())
    assert killed(state, "directory", monkeypatch, at=2, is_after=False)
    (run,) = runs(state)
    with (run.path / "events.jsonl").open("ab") as file:
        file.write(b'{"act": "ren')
    outcome = again(state, "directory")
    assert outcome.is_resumed
    assert run.events()[-1].act == "done"


def test_dry_run_names_the_stopped_run_and_leaves_it_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = filled(tmp_path, "directory", small_store())
    assert killed(state, "json", monkeypatch, at=2, is_after=False)
    before = photo(state)
    (location,) = locate(state)
    outcome = migrate_one(location, "json", now_ms=NOW_MS, is_dry_run=True)
    assert photo(state) == before
    assert "was stopped: it is finished or cleaned up first" in outcome.warnings[-1]


def test_log_that_a_kill_left_is_not_taken_for_that_of_the_new_database(tmp_path: Path) -> None:
    other = filled(tmp_path / "other", "sqlite", {"agent:main:stranger": BORN})
    state = filled(tmp_path / "state", "json", small_store())
    with contextlib.closing(sqlite3.connect(sessions_dir(other) / "sessions.sqlite")) as reader:
        reader.execute("SELECT count(*) FROM sessions").fetchone()  # the log stays as long as somebody has it open
        with open_for_writing(other) as store:
            store.put("agent:main:stranger:2", BORN)
        log = (sessions_dir(other) / "sessions.sqlite-wal").read_bytes()
    assert log
    (sessions_dir(state) / "sessions.sqlite-wal").write_bytes(log)
    assert again(state, "sqlite").result == "migrated"
    assert content(state) == ("sqlite", small_store())
    assert (sessions_dir(state) / f"sessions.sqlite.orphan.{NOW_MS + 5}-wal").read_bytes() == log


@pytest.mark.parametrize("pair", PAIRS, ids=str)
def test_migrations_at_once_move_everything_once(tmp_path: Path, pair: tuple[StoreType, StoreType]) -> None:
    """The later ones wait for the first, and find nothing to do, or say that the store has changed; nothing is lost."""
    old, new = pair
    state = filled(tmp_path, old, small_store())
    (location,) = locate(state)
    found: list[Outcome] = []

    def migrate(now_ms: int) -> None:
        found.append(migrate_one(location, new, now_ms=now_ms))

    threads = [threading.Thread(target=migrate, args=(NOW_MS + number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert [one.result for one in found].count("migrated") == 1, [one.error for one in found]
    assert len(found) == 3
    assert {one.error.exit_code for one in found if one.error is not None} <= {1, 4, 10, 11}
    assert content(state) == (new, small_store())
