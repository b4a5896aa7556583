"""Moving sessions between every two kinds of store: what arrives, what stays behind, and which store counts afterwards."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sessionlab import codec
from sessionlab.errors import CorruptStoreError, SplitStoreError, StalePlanError, UsageError
from sessionlab.migration.audit import audit_run
from sessionlab.migration.execute import execute
from sessionlab.migration.inspect import inspect
from sessionlab.migration.plan import plan_from, plan_migration
from sessionlab.migration.report import Report
from sessionlab.migration.rollback import plan_rollback
from sessionlab.migration.run_folder import RunFolder
from sessionlab.settings import StoreType
from sessionlab.stores import locate, open_for_writing, open_store
from tests.fixture_states import photo
from tests.stores.sample_entries import EXACT, KEPT_KEYS, session, small_store

NOW_MS = 1_795_000_000_000
ENTRIES: dict[str, Any] = {
    **small_store(),
    **{f"agent:main:exact:{name}": entry for name, entry in EXACT.items()},
    **{key: session(number) for number, key in enumerate(KEPT_KEYS, 1)},
}
KINDS: tuple[StoreType, ...] = ("json", "sqlite", "directory")
PAIRS = [(old, new) for old in KINDS for new in KINDS if old != new]
NAMES: dict[StoreType, str] = {"json": "sessions.json", "sqlite": "sessions.sqlite", "directory": "sessions.d"}


def sessions_dir(state: Path) -> Path:
    return state / "agents" / "main" / "sessions"


def filled(state: Path, kind: StoreType, entries: dict[str, Any]) -> Path:
    """Make a state folder whose store is of a kind."""
    (state / "agents").mkdir(parents=True, exist_ok=True)
    with open_for_writing(state, store_type=kind) as store:
        store.save(entries)
    if not entries and kind == "json":
        sessions_dir(state).mkdir(parents=True, exist_ok=True)
        (sessions_dir(state) / "sessions.json").write_bytes(b"{}")
    return state


def migrated(state: Path, to: StoreType, now_ms: int = NOW_MS, **options: Any) -> Report:
    return execute(plan_migration(state, to, now_ms=now_ms, **options), root=state, now_ms=now_ms)


def content(state: Path) -> tuple[str, dict[str, Any]]:
    with open_store(state) as store:
        assert [problem for problem in store.check() if problem.severity == "error"] == []
        return store.kind, dict(store.items())


@pytest.mark.parametrize(("old", "new"), PAIRS)
@pytest.mark.parametrize("number", [1, 40])
def test_every_session_arrives_and_the_new_store_counts(tmp_path: Path, old: StoreType, new: StoreType, number: int) -> None:
    entries = dict(list(ENTRIES.items())[:number]) if number < len(ENTRIES) else dict(ENTRIES)
    state = filled(tmp_path, old, entries)
    with open_store(state) as store:
        before = store.fingerprint()
    report = migrated(state, new)
    assert report.is_complete
    assert (report.sessions, report.sha256) == (before.count, before.sha256)
    assert content(state) == (new, entries)
    (location,) = locate(state)
    assert location.kind == new
    names = sorted(path.name for path in sessions_dir(state).iterdir() if not path.name.endswith(".lock"))
    kept = [NAMES["json"]] if (old, new) == ("json", "sqlite") else [f"{NAMES[old]}.bak.{NOW_MS}"]
    assert names == sorted([NAMES[new], *kept])


def test_chain_through_every_kind_gives_the_same_bytes_back(tmp_path: Path) -> None:
    state = filled(tmp_path, "json", dict(ENTRIES))
    file = sessions_dir(state) / "sessions.json"
    before = file.read_bytes()
    for step, kind in enumerate(("sqlite", "directory", "json")):
        migrated(state, kind, now_ms=NOW_MS + step)  # type: ignore[arg-type]
        assert content(state) == (kind, dict(ENTRIES))
    assert file.read_bytes() == before


def test_store_can_be_written_after_each_move(tmp_path: Path) -> None:
    state = filled(tmp_path, "json", dict(ENTRIES))
    for step, kind in enumerate(("directory", "sqlite", "json", "sqlite", "directory", "json")):
        migrated(state, kind, now_ms=NOW_MS + step)  # type: ignore[arg-type]
        with open_for_writing(state) as store:
            assert store.kind == kind
            store.put(f"agent:main:step:{step}", {"sessionId": f"s{step}", "updatedAt": step})
    kind, entries = content(state)
    assert kind == "json"
    assert len(entries) == len(ENTRIES) + 6


def test_json_is_kept_byte_for_byte_beside_sqlite(tmp_path: Path) -> None:
    """B.24."""
    state = filled(tmp_path, "json", dict(ENTRIES))
    file = sessions_dir(state) / "sessions.json"
    before = file.read_bytes(), file.stat().st_mtime_ns, file.stat().st_ino
    migrated(state, "sqlite")
    assert (file.read_bytes(), file.stat().st_mtime_ns, file.stat().st_ino) == before


def test_spellings_are_merged_by_the_newest_and_reported(tmp_path: Path) -> None:
    """C.30."""
    state = filled(tmp_path, "json", {})
    raw = {
        "agent:main:A": {"sessionId": "old", "updatedAt": 1},
        "agent:main:a": {"sessionId": "new", "updatedAt": 3},
        " Agent:Main:a ": {"sessionId": "mid", "updatedAt": 2},
        "agent:main:b": {"sessionId": "b", "updatedAt": 1},
    }
    (sessions_dir(state) / "sessions.json").write_bytes(codec.encode_indented(raw))
    report = migrated(state, "directory")
    assert content(state)[1] == {"agent:main:a": raw["agent:main:a"], "agent:main:b": raw["agent:main:b"]}
    assert report.actions == {"merge": 1, "move": 1}
    (one,) = report.differences
    assert one.spellings == ("agent:main:A", "agent:main:a", " Agent:Main:a ")
    assert "3 spellings of one key: the newest counts, 'agent:main:a'" in one.reason
    assert not report.has_loss


def test_key_that_is_written_twice_is_merged_and_reported(tmp_path: Path) -> None:
    state = filled(tmp_path, "json", {})
    text = b'{\n  "agent:main:a": {"sessionId": "1", "updatedAt": 9},\n  "agent:main:a": {"sessionId": "2", "updatedAt": 2}\n}'
    (sessions_dir(state) / "sessions.json").write_bytes(text)
    report = migrated(state, "directory")
    assert content(state)[1] == {"agent:main:a": {"sessionId": "1", "updatedAt": 9}}
    assert report.differences[0].action == "merge"


def test_legacy_fields_become_todays(tmp_path: Path) -> None:
    """B.27."""
    old = {"sessionId": "s", "updatedAt": 1, "provider": "telegram", "lastProvider": "telegram", "room": "x", "model": " m "}
    state = filled(tmp_path, "json", {"agent:main:a": old})
    report = migrated(state, "sqlite")
    new = {"sessionId": "s", "updatedAt": 1, "model": "m", "channel": "telegram", "lastChannel": "telegram", "groupChannel": "x"}
    assert content(state)[1] == {"agent:main:a": new}
    assert report.actions == {"normalise": 1}


@pytest.mark.parametrize("bad", [b'{"sessionId": "x", "updatedAt": NaN}', b"null", b'{"updatedAt": 1}', b'{"sessionId": "\\ud800"}'])
def test_entry_that_cannot_be_moved_stops_before_anything_or_is_set_aside_and_reported(tmp_path: Path, bad: bytes) -> None:
    state = filled(tmp_path, "json", {})
    text = b'{\n  "agent:main:good": {"sessionId": "g", "updatedAt": 1},\n  "agent:main:bad": ' + bad + b"\n}"
    (sessions_dir(state) / "sessions.json").write_bytes(text)
    before = photo(state)
    with pytest.raises(CorruptStoreError, match=r"the entry of 'agent:main:bad' cannot be moved: .*--set-aside"):
        plan_migration(state, "directory", now_ms=NOW_MS)
    assert photo(state) == before
    report = migrated(state, "directory", set_aside=True)
    assert report.has_loss
    assert [(one.key, one.action, one.line) for one in report.differences] == [("agent:main:bad", "set-aside", 3)]
    assert list(content(state)[1]) == ["agent:main:good"]


def test_plan_reads_only(tmp_path: Path) -> None:
    """B.38: `--dry-run` writes nothing: no database, no directory, no mode change."""
    for kind in KINDS:
        state = filled(tmp_path / kind, kind, dict(ENTRIES))
        before = photo(state)
        for to in KINDS:
            if to != kind:
                plan = plan_migration(state, to, now_ms=NOW_MS)
                assert len(plan.entries) == len(ENTRIES)
        assert photo(state) == before


def test_plan_whose_store_has_changed_is_stale(tmp_path: Path) -> None:
    for kind in KINDS:
        state = filled(tmp_path / kind, kind, dict(ENTRIES))
        to: StoreType = "sqlite" if kind != "sqlite" else "json"
        for change in ("new", "changed", "removed"):
            plan = plan_migration(state, to, now_ms=NOW_MS)
            with open_for_writing(state) as store:
                first = min(dict(store.items()))
                if change == "removed":
                    store.delete(first)
                else:
                    key = first if change == "changed" else "agent:main:brand:new"
                    store.put(key, {"sessionId": "changed", "updatedAt": 5})
            before = content(state)
            with pytest.raises(StalePlanError):
                execute(plan, root=state, now_ms=NOW_MS)
            assert content(state) == before
            assert not [path for path in sessions_dir(state).iterdir() if "staging" in path.name]


@pytest.mark.parametrize(("old", "new"), PAIRS)
def test_store_that_was_written_after_the_plan_is_planned_for_anew_under_the_lock(tmp_path: Path, old: StoreType, new: StoreType) -> None:
    state = filled(tmp_path, old, dict(ENTRIES))
    plan = plan_migration(state, new, now_ms=NOW_MS)
    born = {"agent:main:born:meanwhile": {"sessionId": "born", "updatedAt": NOW_MS}}
    with open_for_writing(state) as store:
        store.put(*next(iter(born.items())))
    report = execute(plan, root=state, now_ms=NOW_MS, replan=lambda: plan_migration(state, new, now_ms=NOW_MS))
    assert content(state) == (new, {**ENTRIES, **born})
    assert (report.run_id, report.sessions, report.source.sessions) == (plan.run_id, len(ENTRIES) + 1, len(ENTRIES) + 1)
    run = RunFolder.open(state / ".sessionlab" / "runs" / report.run_id)
    assert [one.act for one in run.events()].count("stage") == 2
    assert {one.key for one in run.plan().moved} == {*ENTRIES, *born}
    assert audit_run(run.path).verdict == "holds"
    assert not [path for path in sessions_dir(state).iterdir() if "staging" in path.name]


def test_plan_is_used_once(tmp_path: Path) -> None:
    for kind, to in PAIRS:
        state = filled(tmp_path / f"{kind}-{to}", kind, dict(ENTRIES))
        plan = plan_migration(state, to, now_ms=NOW_MS)
        execute(plan, root=state, now_ms=NOW_MS)
        with pytest.raises(StalePlanError):
            execute(plan, root=state, now_ms=NOW_MS)
        assert content(state) == (to, dict(ENTRIES))


def test_what_makes_no_sense_is_refused(tmp_path: Path) -> None:
    state = filled(tmp_path, "json", dict(ENTRIES))
    with pytest.raises(UsageError, match="is a store of type json already"):
        plan_migration(state, "json", now_ms=NOW_MS)
    with pytest.raises(UsageError, match="choose json, sqlite, directory"):
        plan_migration(state, "openclaw", now_ms=NOW_MS)
    migrated(state, "sqlite")
    (sessions_dir(state) / "sessions.json").write_bytes(codec.encode_indented({"agent:main:x": {"sessionId": "x"}}))
    with pytest.raises(SplitStoreError):
        plan_migration(state, "directory", now_ms=NOW_MS)


def test_run_folder_tells_the_whole_story(tmp_path: Path) -> None:
    state = filled(tmp_path, "json", dict(ENTRIES))
    report = migrated(state, "sqlite")
    folder = state / ".sessionlab" / "runs" / report.run_id
    assert {path.name for path in folder.iterdir()} == {"plan.json", "events.jsonl", "manifest.jsonl", "report.json"}
    acts = [json.loads(line)["act"] for line in (folder / "events.jsonl").read_text().splitlines()]
    assert acts == ["locked", "stage", "verify", "promote", "done"]
    assert len((folder / "manifest.jsonl").read_text().splitlines()) == len(ENTRIES)
    assert json.loads((folder / "report.json").read_text())["sessions"] == len(ENTRIES)
    assert all((path.stat().st_mode & 0o777) == 0o600 for path in folder.iterdir())


@pytest.mark.parametrize(("old", "new"), PAIRS)
def test_rollback_brings_back_what_the_store_holds_now(tmp_path: Path, old: StoreType, new: StoreType) -> None:
    """C.46: sessions born after the move come along."""
    state = filled(tmp_path, old, dict(ENTRIES))
    run = RunFolder.open(state / ".sessionlab" / "runs" / migrated(state, new).run_id)
    with open_for_writing(state) as store:
        store.put("agent:main:born:later", {"sessionId": "later", "updatedAt": NOW_MS})
    report = execute(plan_rollback(run, now_ms=NOW_MS + 9), root=state, now_ms=NOW_MS + 9)
    assert report.operation == "rollback"
    assert content(state) == (old, {**ENTRIES, "agent:main:born:later": {"sessionId": "later", "updatedAt": NOW_MS}})
    with pytest.raises(UsageError, match=r"are not in .* any more"):
        plan_rollback(run, now_ms=NOW_MS)


def test_rollback_is_refused_when_the_old_file_has_changed(tmp_path: Path) -> None:
    for new in ("sqlite", "directory"):
        state = filled(tmp_path / new, "json", dict(ENTRIES))
        report = migrated(state, new)
        old = Path(report.retired_path)
        old.write_bytes(old.read_bytes().replace(b'"sessionId": "id-1"', b'"sessionId": "id-x"'))
        run = RunFolder.open(state / ".sessionlab" / "runs" / report.run_id)
        before = photo(state)
        with pytest.raises((StalePlanError, SplitStoreError)):
            plan_rollback(run, now_ms=NOW_MS)
        assert photo(state) == before


def test_key_that_is_written_twice_does_not_block_the_way_back(tmp_path: Path) -> None:
    state = filled(tmp_path, "json", {})
    text = b'{"agent:main:a": {"sessionId": "1", "updatedAt": 9}, "agent:main:a": {"sessionId": "2", "updatedAt": 2}}'
    (sessions_dir(state) / "sessions.json").write_bytes(text)
    report = migrated(state, "directory")
    assert report.differences[0].reason == "written 2 times in the source: the newest counts"
    run = RunFolder.open(state / ".sessionlab" / "runs" / report.run_id)
    Path(report.retired_path).touch()
    assert audit_run(run.path).notes == ()
    execute(plan_rollback(run, now_ms=NOW_MS + 1), root=state, now_ms=NOW_MS + 1)
    assert content(state) == ("json", {"agent:main:a": {"sessionId": "1", "updatedAt": 9}})


def test_sessions_that_only_the_replaced_store_holds_are_named(tmp_path: Path) -> None:
    state = filled(tmp_path, "json", dict(ENTRIES))
    migrated(state, "sqlite")
    first, second, third = list(ENTRIES)[:3]
    with open_for_writing(state) as store:
        store.delete(third)
    file = sessions_dir(state) / "sessions.json"
    old = json.loads(file.read_bytes())
    old["agent:main:theirs"] = {"sessionId": "t", "updatedAt": 5}
    old[first]["updatedAt"] += 1
    old[second]["updatedAt"] -= 1
    file.write_bytes(codec.encode_indented(old))
    (location,) = locate(state)
    plan = plan_from(location, "json", now_ms=NOW_MS, set_aside=False, operation="rollback")
    assert set(plan.displaced_sessions) == {"agent:main:theirs", first, third}
    assert any("holds newer: 3 (" in text for text in plan.warnings)
    report = execute(plan, root=state, now_ms=NOW_MS)
    assert report.has_loss
    assert json.loads(Path(report.displaced_to).read_bytes()) == old
    run = state / ".sessionlab" / "runs" / report.run_id
    assert (audit_run(run).verdict, audit_run(run).report) == ("holds", report)


def test_inspection_says_what_could_be_moved(tmp_path: Path) -> None:
    """C.26, C.27, C.28."""
    agents = tmp_path / "agents"

    def store(agent: str, data: bytes) -> Path:
        path = agents / agent / "sessions" / "sessions.json"
        path.parent.mkdir(parents=True)
        path.write_bytes(data)
        return path

    store("ready", codec.encode_indented({"agent:ready:A": {"sessionId": "1"}, "agent:ready:a": {"sessionId": "2"}}))
    store("blank", b" ")
    store("empty", b"{}")
    store("array", b"[]")
    store("torn", b'{"a": {"sessionId')
    store("link", b"{}").rename(tmp_path / "elsewhere.json")
    (agents / "link" / "sessions" / "sessions.json").symlink_to(tmp_path / "elsewhere.json")
    (agents / "none").mkdir()
    with open_for_writing(tmp_path, agent="moved", store_type="directory") as moved:
        moved.put("agent:moved:a", {"sessionId": "1"})
    before = photo(tmp_path)
    found = {one.agent_id: one for one in inspect(tmp_path, to="directory")}
    assert photo(tmp_path) == before
    assert {agent: one.status for agent, one in found.items()} == {
        "ready": "ready_to_migrate",
        "blank": "empty_legacy",
        "empty": "empty_legacy",
        "array": "invalid_legacy",
        "torn": "invalid_legacy",
        "link": "invalid_legacy",
        "none": "missing",
        "moved": "already_directory",
    }
    ready = found["ready"]
    assert (ready.legacy_entry_count, ready.normalized_entry_count, ready.preview) == (2, 1, ("agent:ready:a",))
    assert ready.warnings == ("1 other spelling of a key that is there already: the newest counts",)
    assert "symbolic link" in found["link"].warnings[0]
    assert found["moved"].directory_active
