"""From OpenClaw's SQLite store back to files: all sessions and events, as the JSON era has them, in a new folder or not at all."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sessionlab import codec
from sessionlab.errors import CorruptStoreError, MigrationFailedError, NoStoreError, StalePlanError, UnwritableError, UsageError
from sessionlab.lab import mirror
from sessionlab.lab.connection import connect
from sessionlab.migration import export as exporting
from sessionlab.migration import export_folder
from sessionlab.migration.audit import audit_run
from sessionlab.migration.export import plan_export
from sessionlab.migration.export_entries import json_era
from sessionlab.migration.export_folder import ExportReport, export_openclaw
from sessionlab.migration.rollback import plan_rollback
from sessionlab.migration.run_folder import RunFolder
from sessionlab.migration.verify import verify
from sessionlab.migration.verify_transcripts import Held
from tests.fixture_states import SQLITE_STATES, STORE, own_state, photo, shared_state
from tests.stores.changed_database import change, freeze

NOW_MS = 1_795_132_800_000
SESSIONS = "agents/main/sessions"
MAIN_ID = "d86bb32f-14b9-4257-9266-ef64311275fc"
TELEGRAM = "agent:main:telegram:direct:3702576996"
ROUTE = ("channel", "lastChannel", "lastTo", "lastAccountId", "lastThreadId", "deliveryContext")


def exported(state: Path, to: Path, **options: Any) -> ExportReport:
    """Export, and make sure that the source was not touched and nothing else is left."""
    before, beside = photo(state), set(to.parent.iterdir())
    report = export_openclaw(plan_export(state, to, now_ms=NOW_MS, **options))
    assert photo(state) == before
    assert set(to.parent.iterdir()) == beside | {to}
    return report


def entries_of(folder: Path) -> dict[str, Any]:
    entries: dict[str, Any] = json.loads((folder / SESSIONS / "sessions.json").read_text(encoding="utf-8"))
    return entries


@pytest.fixture
def state(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> Path:
    return own_state("sqlite-2026.9", tmp_path_factory, tmp_path)


@pytest.mark.parametrize("name", SQLITE_STATES)
def test_real_store_is_exported_whole(name: str, tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> None:
    state, to = shared_state(name, tmp_path_factory), tmp_path / "out"
    report = exported(state, to)
    assert (report.sessions, report.live_events, report.events, report.transcripts) == (65, 3_573, 3_669, 64)
    assert (report.exit_code, report.agents) == (0, ("main",))
    con = connect()
    mirror.load_into(con, to, now_ms=NOW_MS)
    with_archives = con.execute("SELECT sum(cost_microusd) FROM events WHERE NOT is_copy").fetchone()
    live = con.execute(
        "SELECT sum(cost_microusd), count(*) FROM events JOIN transcripts USING (transcript_id) WHERE source = 'live'"
    ).fetchone()
    assert (with_archives, live) == ((33_043_184,), (31_959_292, 3_573))
    assert con.execute("SELECT count(*) FROM transcripts WHERE is_orphan AND source = 'live'").fetchone() == (0,)
    con.close()
    found = verify(state, to)
    assert (found.exit_code, found.equal_transcripts, found.counts) == (1, 64, {"session extended": 60, "session renamed": 5})


def test_exported_folder_is_as_openclaw_of_the_json_era_writes_it(
    state: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    to = tmp_path / "out"
    exported(state, to)
    file = to / SESSIONS / "sessions.json"
    entries = entries_of(to)
    assert file.read_bytes() == codec.encode_indented(entries)
    assert all(path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600) for path in [to, *to.rglob("*")])
    then = json.loads((shared_state("json-2026.3", tmp_path_factory) / SESSIONS / "sessions.json").read_text(encoding="utf-8"))
    assert list(entries) == [key.lower() for key in then]
    for key, old in then.items():
        new = entries[key.lower()]
        routed = {"provider": "channel", "lastProvider": "lastChannel"}
        for name, value in old.items():
            if name in ROUTE and "provider" not in old and key != "agent:main:main":
                assert new[name] == value, (key, name)
            elif name in routed:
                assert new[routed[name]] == value
        assert {"delivery", "sessionId", "updatedAt"} <= set(new)
        assert new.get("memoryFlushCompactionCount") == old.get("memoryFlushCompactionCount")
        if "sessionFile" in new:
            assert (file.parent / new["sessionFile"]).is_file()
    assert {path.name for path in file.parent.iterdir() if "deleted" in path.name or "reset" in path.name} == {
        path.name for path in (state / SESSIONS).iterdir() if ".bak." not in path.name
    }


def test_export_leaves_a_run_that_can_be_audited(state: Path, tmp_path: Path) -> None:
    to = tmp_path / "out"
    (folder,) = exported(state, to).runs
    found = audit_run(Path(folder))
    assert (found.verdict, found.files, found.files_changed, found.contradictions) == ("holds", 64, (), ())
    assert (found.report.operation, found.report.sessions, found.report.source.sessions) == ("export", 65, 65)
    assert sum(found.report.actions.values()) == 65
    with pytest.raises(UsageError, match="was an export"):
        plan_rollback(RunFolder.open(Path(folder)), now_ms=NOW_MS)
    transcript = to / SESSIONS / f"{MAIN_ID}.jsonl"
    transcript.write_bytes(transcript.read_bytes()[:-1])
    found = audit_run(Path(folder))
    assert (found.verdict, found.files_changed) == ("moved-on", (f"{SESSIONS}/{MAIN_ID}.jsonl",))
    transcript.unlink()
    assert audit_run(Path(folder)).files_changed == (f"{SESSIONS}/{MAIN_ID}.jsonl",)


def test_prompts_that_entries_refer_to_come_along(state: Path, tmp_path: Path) -> None:
    prompt = b"You are a careful agent. " * 40
    name, lost = hashlib.sha256(prompt).hexdigest(), "0" * 64
    file = state / SESSIONS / "skills-prompts" / "sha256" / name[:2] / f"{name}.txt"
    file.parent.mkdir(parents=True)
    file.write_bytes(prompt)
    for key, one in ((TELEGRAM, name), ("agent:main:main", name), ("agent:main:discord:channel:leg1", lost)):
        reference = json.dumps({"prompt": "", "promptRef": {"version": 1, "algorithm": "sha256", "hash": one, "bytes": len(prompt)}})
        entry = f"json_set(entry_json, '$.skillsSnapshot', json('{reference}'))"
        change(state / STORE, f"UPDATE session_nodes SET entry_json = {entry} WHERE session_key = '{key}'")
    report = exported(state, tmp_path / "out")
    assert report.prompts == 1
    assert (tmp_path / "out" / file.relative_to(state)).read_bytes() == prompt
    assert report.warnings == ("prompts that entries refer to and that skills-prompts/ does not hold: 1",)
    assert audit_run(Path(report.runs[0])).files == 65


def test_session_born_after_the_import_is_exported(state: Path, tmp_path: Path) -> None:
    with sqlite3.connect(state / STORE) as connection:
        columns = [name for _, name, *_ in connection.execute("PRAGMA table_info(session_nodes)")]
    connection.close()
    values = ", ".join({"session_key": "'agent:main:new'"}.get(name, name) for name in columns)
    change(state / STORE, f"INSERT INTO session_nodes SELECT {values} FROM session_nodes WHERE session_key = '{TELEGRAM}'")
    assert exported(state, tmp_path / "out").sessions == 66
    assert "agent:main:new" in entries_of(tmp_path / "out")


def test_plan_writes_nothing_and_is_a_value(state: Path, tmp_path: Path) -> None:
    before = photo(tmp_path)
    plan = plan_export(state, tmp_path / "out", now_ms=NOW_MS)
    assert photo(tmp_path) == before
    assert msgspec.json.decode(msgspec.json.encode(plan), type=type(plan)) == plan
    (agent,) = plan.agents
    assert (len(agent.plan.entries), len(agent.transcripts), agent.prompts) == (65, 64, ())
    assert agent.changes == {"keys in lower case": 3, "routes back in channel and last*": 30}


def test_only_a_new_folder_outside_of_the_source_is_made(state: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    full, file, link = tmp_path / "full", tmp_path / "file", tmp_path / "link"
    full.mkdir()
    (full / "x").touch()
    file.touch()
    link.symlink_to(tmp_path / "elsewhere")
    for to, words in (
        (full, "holds something"),
        (file, "is there"),
        (link, "is there"),
        (state / "out", "lies in"),
        (full / "a" / "b", "parent"),
    ):
        with pytest.raises(UsageError, match=words):
            plan_export(state, to, now_ms=NOW_MS)
    (tmp_path / "empty").mkdir()
    assert export_openclaw(plan_export(state, tmp_path / "empty", now_ms=NOW_MS)).sessions == 65
    with pytest.raises(NoStoreError, match="but json"):
        plan_export(shared_state("json-2026.3", tmp_path_factory), tmp_path / "out", now_ms=NOW_MS)


def test_folder_that_comes_into_being_meanwhile_is_left_alone(state: Path, tmp_path: Path) -> None:
    to = tmp_path / "out"
    plan = plan_export(state, to, now_ms=NOW_MS)
    to.mkdir()
    (to / "theirs").touch()
    with pytest.raises(UsageError):
        export_openclaw(plan)
    assert [path.name for path in to.iterdir()] == ["theirs"]


CHANGES = {
    "changed": "UPDATE session_nodes SET entry_json = json_set(entry_json, '$.label', 'x')",
    "bad": "UPDATE session_nodes SET entry_json = '{'",
    "gone": "DELETE FROM session_nodes",
    "new": "INSERT INTO session_nodes (session_key, current_session_id, entry_json, updated_at) "
    "SELECT 'agent:main:new', current_session_id, entry_json, 1 FROM session_nodes",
}


@pytest.mark.parametrize("sql", [pytest.param(sql, id=name) for name, sql in CHANGES.items()])
def test_plan_of_a_store_that_has_changed_since_is_stale(sql: str, state: Path, tmp_path: Path) -> None:
    plan = plan_export(state, tmp_path / "out", now_ms=NOW_MS)
    change(state / STORE, f"{sql} WHERE session_key = '{TELEGRAM}'")
    with pytest.raises(StalePlanError):
        export_openclaw(plan)
    assert [path.name for path in tmp_path.iterdir()] == ["sqlite-2026.9"]


def test_what_cannot_be_read_stops_the_export_or_is_set_aside_and_reported(state: Path, tmp_path: Path) -> None:
    change(state / STORE, f"UPDATE session_nodes SET entry_json = '{{\"sessionId\": 1,' WHERE session_key = '{TELEGRAM}'")
    with pytest.raises(CorruptStoreError, match=f"the entry of '{TELEGRAM}' cannot be exported"):
        plan_export(state, tmp_path / "out", now_ms=NOW_MS)
    report = exported(state, tmp_path / "out", set_aside=True)
    assert ([one.name for one in report.set_aside], report.sessions, report.exit_code) == ([TELEGRAM], 64, 3)


def test_event_that_cannot_be_read_stops_the_export_or_is_set_aside_and_reported(state: Path, tmp_path: Path) -> None:
    one = "SELECT max(rowid) FROM transcript_events WHERE event_zstd IS NOT NULL"
    change(state / STORE, f"UPDATE transcript_events SET event_zstd = x'00' WHERE rowid = ({one})")
    with pytest.raises(CorruptStoreError, match="1 events cannot be read"):
        export_openclaw(plan_export(state, tmp_path / "out", now_ms=NOW_MS))
    assert [path.name for path in tmp_path.iterdir()] == ["sqlite-2026.9"]
    report = exported(state, tmp_path / "out", set_aside=True)
    assert (len(report.set_aside), report.live_events, report.exit_code) == (1, 3_572, 3)


def test_event_that_is_no_json_is_left_out_only_when_that_is_allowed(state: Path, tmp_path: Path) -> None:
    one = "SELECT max(rowid) FROM transcript_events WHERE event_json IS NOT NULL"
    change(state / STORE, f"UPDATE transcript_events SET event_json = '{{' WHERE rowid = ({one})")
    with pytest.raises(CorruptStoreError, match="is not JSON; 1 events cannot be read"):
        export_openclaw(plan_export(state, tmp_path / "out", now_ms=NOW_MS))
    report = exported(state, tmp_path / "out", set_aside=True)
    assert (len(report.set_aside), report.live_events, report.exit_code) == (1, 3_572, 3)


def test_exported_folder_can_be_carried_elsewhere(state: Path, tmp_path: Path) -> None:
    (folder,) = exported(state, tmp_path / "out").runs
    (tmp_path / "out").rename(tmp_path / "carried")
    found = audit_run(Path(folder.replace("/out/", "/carried/")))
    assert (found.verdict, found.files_changed) == ("holds", ())


def test_cold_transcript_is_exported_as_a_live_one(state: Path, tmp_path: Path) -> None:
    freeze(state / STORE, into="file")
    assert exported(state, tmp_path / "out").live_events == 3_573
    assert (tmp_path / "out" / SESSIONS / f"{MAIN_ID}.jsonl").is_file()


def test_hostile_name_of_a_transcript_leads_nowhere(state: Path, tmp_path: Path) -> None:
    change(state / STORE, f"UPDATE transcript_events SET session_id = '../../../x' WHERE session_id = '{MAIN_ID}'")
    with pytest.raises(CorruptStoreError, match="none that a file may have"):
        export_openclaw(plan_export(state, tmp_path / "out", now_ms=NOW_MS))
    assert [path.name for path in tmp_path.iterdir()] == ["sqlite-2026.9"]


def test_spellings_of_one_key_become_the_newest(state: Path, tmp_path: Path) -> None:
    change(
        state / STORE,
        f"UPDATE session_nodes SET session_key = 'agent:main:TELEGRAM:group:-1000', entry_json = json_set(entry_json, '$.updatedAt', 9) "
        f"WHERE session_key = '{TELEGRAM}'",
    )
    report = exported(state, tmp_path / "out")
    assert (report.sessions, report.changes["merged spellings"]) == (64, 1)
    assert entries_of(tmp_path / "out")["agent:main:telegram:group:-1000"]["updatedAt"] == 1_795_129_200_000


def test_disk_that_is_full_leaves_nothing_behind(state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = plan_export(state, tmp_path / "out", now_ms=NOW_MS)

    def full(_source: Path, _file: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(export_folder, "_copy", full)
    with pytest.raises(UnwritableError, match="No space left"):
        export_openclaw(plan)
    assert [path.name for path in tmp_path.iterdir()] == ["sqlite-2026.9"]


def test_entry_that_arrives_otherwise_stops_the_export(state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = exporting.exported_entries

    def wrong(*arguments: Any) -> Iterator[tuple[str, Any, bytes]]:
        for key, entry, data in real(*arguments):
            yield key, entry, data.replace(b'"telegram"', b'"telegran"') if key == TELEGRAM else data

    monkeypatch.setattr(export_folder, "exported_entries", wrong)
    with pytest.raises(MigrationFailedError, match=TELEGRAM):
        export_openclaw(plan_export(state, tmp_path / "out", now_ms=NOW_MS))
    assert [path.name for path in tmp_path.iterdir()] == ["sqlite-2026.9"]


def test_event_that_does_not_arrive_stops_the_export(state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Held.lines

    def short(held: Held, store: Any) -> Iterator[Any]:
        lines = list(real(held, store))
        is_written = store is not None and held.session_id == MAIN_ID and not seen
        seen.append(held.name) if held.session_id == MAIN_ID else None
        yield from lines[:-1] if is_written else lines

    seen: list[str] = []
    monkeypatch.setattr(Held, "lines", short)
    with pytest.raises(MigrationFailedError, match=f"{MAIN_ID}.jsonl"):
        export_openclaw(plan_export(state, tmp_path / "out", now_ms=NOW_MS))
    assert [path.name for path in tmp_path.iterdir()] == ["sqlite-2026.9"]


def test_remains_of_a_killed_export_are_removed(state: Path, tmp_path: Path) -> None:
    left = tmp_path / "out.staging-999999999-5"
    (left / "agents").mkdir(parents=True)
    export_openclaw(plan_export(state, tmp_path / "out", now_ms=NOW_MS))
    assert {path.name for path in tmp_path.iterdir()} == {"out", "sqlite-2026.9"}


def test_fields_that_are_there_already_are_left_as_they_are() -> None:
    delivery = {
        "kind": "external",
        "context": {"channel": "slack", "to": "a", "threadId": 0, "accountId": ["odd"]},
        "origin": {"label": "x"},
    }
    entry = {"sessionId": "s", "channel": "mine", "delivery": delivery, "memoryFlush": {"compactionCount": 0}, "unknown": [1]}
    made = json_era(entry, session_file="s.jsonl")
    assert made == {
        **entry,
        "lastChannel": "slack",
        "lastTo": "a",
        "lastThreadId": 0,
        "deliveryContext": delivery["context"],
        "origin": {"label": "x"},
        "memoryFlushCompactionCount": 0,
        "sessionFile": "s.jsonl",
    }
    assert json_era({"sessionId": "s", "delivery": {"kind": "none"}}, session_file=None) == {"sessionId": "s", "delivery": {"kind": "none"}}
    assert json_era({"delivery": "odd", "memoryFlush": 1}, session_file=None) == {"delivery": "odd", "memoryFlush": 1}
