"""An audit says whether what a run proved still holds, from the run's folder and the store alone."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from sessionlab.entry import canonical_digest
from sessionlab.errors import CorruptStoreError, NoStoreError
from sessionlab.migration.audit import Change, audit_run
from sessionlab.migration.execute import execute
from sessionlab.migration.rollback import plan_rollback
from sessionlab.migration.run_folder import RunFolder
from sessionlab.runs import RUNS
from sessionlab.settings import StoreType
from sessionlab.stores import open_for_writing
from tests.fixture_states import photo
from tests.migration.test_execute import ENTRIES, NAMES, NOW_MS, PAIRS, content, filled, migrated, sessions_dir
from tests.stores.sample_entries import small_store

NEW = {"sessionId": "new", "updatedAt": NOW_MS, "apiKey": "sk-planted-value"}


def moved(state: Path, old: StoreType = "json", new: StoreType = "sqlite") -> Path:
    filled(state, old, dict(ENTRIES) if old == "json" else small_store())
    return state / RUNS / migrated(state, new).run_id


@pytest.mark.parametrize("pair", PAIRS, ids=str)
def test_run_holds_and_nothing_is_written(tmp_path: Path, pair: tuple[StoreType, StoreType]) -> None:
    run = moved(tmp_path, *pair)
    before = photo(tmp_path)
    found = audit_run(run)
    assert photo(tmp_path) == before
    assert (found.verdict, found.contradictions, found.notes) == ("holds", (), ())
    assert found.sessions_now == found.report.sessions
    assert found.counts_now == found.store_path


def test_sessions_that_were_added_are_named_and_do_not_count(tmp_path: Path) -> None:
    run = moved(tmp_path)
    with open_for_writing(tmp_path) as store:
        store.put("agent:main:new", NEW)
    found = audit_run(run)
    assert found.verdict == "holds"
    assert found.added == (Change(key="agent:main:new", now=canonical_digest(NEW).hex()),)
    assert "sk-planted" not in repr(found)


def test_sessions_that_changed_or_went_are_named_by_key_and_digest(tmp_path: Path) -> None:
    run = moved(tmp_path)
    changed, removed, *_ = ENTRIES
    with open_for_writing(tmp_path) as store:
        store.put(changed, NEW)
        store.delete(removed)
    found = audit_run(run)
    assert found.verdict == "moved-on"
    then = canonical_digest(ENTRIES[changed]).hex()
    assert found.changed == (Change(key=changed, then=then, now=canonical_digest(NEW).hex()),)
    assert [one.key for one in found.removed] == [removed]
    assert "sk-planted" not in repr(found)


def test_store_that_was_moved_on_is_named(tmp_path: Path) -> None:
    run = moved(tmp_path)
    migrated(tmp_path, "directory", now_ms=NOW_MS + 1)
    found = audit_run(run)
    assert found.verdict == "moved-on"
    assert found.notes[0].startswith(f"{sessions_dir(tmp_path) / 'sessions.d'} counts now, not ")
    assert (found.changed, found.removed) == ((), ())


def test_store_that_is_gone_has_lost_everything(tmp_path: Path) -> None:
    run = moved(tmp_path, "sqlite", "directory")
    for path in sessions_dir(tmp_path).iterdir():
        path.rename(tmp_path / path.name)
    found = audit_run(run)
    assert (found.verdict, found.sessions_now, found.counts_now) == ("gone", None, "")
    assert len(found.removed) == len(small_store())
    assert "is gone" in found.notes[0]


def test_what_was_left_behind_is_looked_at_as_well(tmp_path: Path) -> None:
    run = moved(tmp_path, "json", "directory")
    (old,) = sessions_dir(tmp_path).glob("sessions.json.bak.*")
    text = old.read_bytes()
    old.write_bytes(text.replace(b'"sessionId": "', b'"sessionId": "x', 1))
    found = audit_run(run)
    note = f"{old}, which the run left behind, has been written since: 'sessionlab verify' shows what it holds besides"
    assert (found.notes, found.verdict, found.can_go_back) == ((note,), "holds", False)
    old.write_bytes(b"[]")
    assert "cannot be read any more" in audit_run(run).notes[0]
    old.unlink()
    assert audit_run(run).notes == (f"{old}, which the run left behind, is gone",)
    assert audit_run(run).verdict == "holds"


def edited(name: str, change: Callable[[str], str]) -> Callable[[Path], None]:
    def edit(run: Path) -> None:
        path = run / name
        text = path.read_text()
        path.write_text(change(text))
        assert path.read_text() != text

    return edit


CONTRADICTIONS: dict[str, tuple[Callable[[Path], None], str]] = {
    "report says more": (edited("report.json", lambda text: text.replace('"sessions": ', '"sessions": 9', 1)), "report.json: "),
    "report is gone": (lambda run: (run / "report.json").unlink(), "there is no report.json"),
    "report is torn": (edited("report.json", lambda text: text[:50]), "report.json is not what a run writes"),
    "line of the manifest is gone": (edited("manifest.jsonl", lambda text: text.partition("\n")[2]), "the manifest tells of"),
    "digest in the manifest": (edited("manifest.jsonl", lambda text: text.replace('"digest":"', '"digest":"00', 1)), "with another digest"),
    "key in the manifest": (edited("manifest.jsonl", lambda text: text.replace('"key":"', '"key":"x', 1)), "the source's fingerprint"),
    "plan": (edited("plan.json", lambda text: text.replace('"agent_id": "main"', '"agent_id": "x"')), "report.json: agent_id"),
    "no end": (edited("events.jsonl", lambda text: text.rpartition('{"act":"done"')[0]), "did not come to its end: the last it did was"),
    "nothing was done": (lambda run: (run / "events.jsonl").unlink(), "the last it did was 'nothing'"),
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_folder_that_contradicts_itself_is_found_out(tmp_path: Path, name: str) -> None:
    run = moved(tmp_path)
    edit, words = CONTRADICTIONS[name]
    edit(run)
    found = audit_run(run)
    assert found.verdict == "contradictory"
    assert any(words in text for text in found.contradictions), found.contradictions


def test_folder_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    run = moved(tmp_path)
    edited("manifest.jsonl", lambda text: text.replace('"digest":"', '"digest":"x', 1))(run)
    with pytest.raises(CorruptStoreError, match="holds a digest that is none"):
        audit_run(run)
    (run / "manifest.jsonl").write_text('{"key": 7}\n')
    with pytest.raises(CorruptStoreError, match="is not what a run writes"):
        audit_run(run)
    (run / "plan.json").unlink()
    with pytest.raises(NoStoreError, match="is no run folder"):
        audit_run(run)


def test_store_that_was_rolled_back_is_not_what_was_left_behind(tmp_path: Path) -> None:
    run = moved(tmp_path)
    with open_for_writing(tmp_path) as store:
        store.put("agent:main:new", NEW)
    execute(plan_rollback(RunFolder.open(run), now_ms=NOW_MS + 1), root=tmp_path, now_ms=NOW_MS + 1)
    found = audit_run(run)
    assert (found.verdict, len(found.notes)) == ("moved-on", 1)
    assert "the sessions were moved on, or rolled back" in found.notes[0]


def test_what_was_left_out_is_said(tmp_path: Path) -> None:
    state = filled(tmp_path, "json", {})
    text = json.dumps({"agent:main:good": {"sessionId": "g"}, "agent:main:bad": 7})
    (sessions_dir(state) / "sessions.json").write_text(text)
    found = audit_run(state / RUNS / migrated(state, "directory", set_aside=True).run_id)
    assert found.verdict == "holds"
    assert "were left out: 1; they lay in" in found.notes[0]


@pytest.mark.parametrize("pair", PAIRS, ids=str)
def test_run_in_a_folder_that_was_moved_or_copied_means_what_lies_there(tmp_path: Path, pair: tuple[StoreType, StoreType]) -> None:
    """Never the original: an auditor's copy must neither be judged by it, nor change it."""
    state, copy = tmp_path / "state", tmp_path / "copy"
    run = moved(state, *pair)
    shutil.copytree(state, copy)
    there = copy / RUNS / run.name
    assert (audit_run(there).verdict, audit_run(there).store_path) == ("holds", str(sessions_dir(copy) / NAMES[pair[1]]))
    with open_for_writing(copy) as store:
        store.delete(next(iter(small_store())))
    before = photo(state)
    assert (audit_run(there).verdict, audit_run(run).verdict) == ("moved-on", "holds")
    execute(plan_rollback(RunFolder.open(there), now_ms=NOW_MS + 1), root=copy, now_ms=NOW_MS + 1)
    assert photo(state) == before
    assert content(copy)[0] == pair[0]
    shutil.rmtree(state)
    assert audit_run(there).report.source.path == str(sessions_dir(copy) / NAMES[pair[0]])


def test_store_that_vanished_is_not_taken_for_one_that_was_rolled_back(tmp_path: Path) -> None:
    run = moved(tmp_path, "json", "sqlite")
    for path in sessions_dir(tmp_path).glob("sessions.sqlite*"):
        path.unlink()
    found = audit_run(run)
    assert (found.verdict, found.can_go_back) == ("gone", False)
    assert found.notes[0].endswith("what came since the move is nowhere else")


@pytest.mark.parametrize("damage", ["digests", "path"])
def test_damaged_records_are_named(tmp_path: Path, damage: str) -> None:
    run = moved(tmp_path, "json", "sqlite")
    if damage == "path":
        plan = json.loads((run / "plan.json").read_text())
        (run / "plan.json").write_text(json.dumps({**plan, "target_path": ""}))
    else:
        text = (run / "manifest.jsonl").read_text().replace('"source_digests":[', '"source_digests":["00",', 1)
        (run / "manifest.jsonl").write_text(text)
    with pytest.raises(CorruptStoreError, match="names a path that is none" if damage == "path" else "not as many digests as spellings"):
        audit_run(run)
