"""OpenClaw's import against its originals: what was rewritten as documented, what is known to be lost, and what must not be."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sessionlab.entry import normalise_legacy
from sessionlab.errors import NoStoreError
from sessionlab.migration.compare import is_within
from sessionlab.migration.export_entries import json_era
from sessionlab.migration.verify_openclaw import verify_openclaw
from sessionlab.migration.verify_openclaw_entries import DOCTORED_FIELDS, ROUTE_FIELDS, judge
from sessionlab.migration.verify_openclaw_result import Finding, ImportVerification
from tests.fixture_states import SQLITE_STATES, STORE, own_state, photo, shared_state

ARCHIVE = "agents/main/session-sqlite-import-archive"
MAIN = "agent:main:main"
MAIN_ID = "d86bb32f-14b9-4257-9266-ef64311275fc"
LEGACY = (
    *("agent:main:Telegram:Group:-1000", "agent:main:discord:channel:leg1", "agent:main:slack:channel:Leg2"),
    *("agent:main:Telegram:Group:-1003", "agent:main:discord:channel:leg4"),
)
BASE = {
    "route_lost": 5,
    "memory_flush_time_lost": 29,
    "web_chat_origin_lost": 1,
    "mixed_case_key": 3,
    "delivery_rewritten": 25,
    "memory_flush_rewritten": 29,
    "resolved_skills_dropped": 60,
    "session_file_dropped": 60,
    "provider_renamed": 315,
}
"""What the import of 2026.9 did to the fixture."""


def verified(state: Path) -> tuple[ImportVerification, dict[str, Finding]]:
    """Verify, and make sure that nothing was touched and no value shows."""
    before = photo(state)
    found = verify_openclaw(state)
    assert photo(state) == before
    said = msgspec.json.encode(found).decode()
    for value in ("#general", "chan:0", "1794082752604", "ledger sensor"):
        assert value not in said
    return found, {one.code: one for one in found.findings}


def changed(state: Path, *statements: tuple[str, tuple[Any, ...]]) -> None:
    """Change a database as nobody should, but it happens."""
    with sqlite3.connect(state / STORE) as connection:
        connection.create_function("octet_length", 1, lambda value: None if value is None else len(value), deterministic=True)
        for sql, values in statements:
            assert connection.execute(sql, values).rowcount > 0
    connection.close()


def edited(state: Path, key: str, edit: Callable[[dict[str, Any]], Any]) -> None:
    with sqlite3.connect(state / STORE) as connection:
        (text,) = connection.execute("SELECT entry_json FROM session_nodes WHERE session_key = ?", (key,)).fetchone()
    connection.close()
    entry = json.loads(text)
    edit(entry)
    changed(state, ("UPDATE session_nodes SET entry_json = ? WHERE session_key = ?", (json.dumps(entry), key)))


def new_codes(found: dict[str, Finding]) -> dict[str, int]:
    """Return what was found beyond what the import did, with its count."""
    return {code: one.count for code, one in found.items() if BASE.get(code) != one.count}


def original(state: Path, session_id: str) -> Path:
    (file,) = (state / ARCHIVE).glob(f"*{session_id}*")
    return file


def legacy_store(state: Path) -> Path:
    (file,) = (state / ARCHIVE).glob("legacy-store*")
    return file


@pytest.fixture
def state(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> Path:
    return own_state("sqlite-2026.9", tmp_path_factory, tmp_path)


@pytest.mark.parametrize("name", SQLITE_STATES)
def test_real_import_lost_five_routes_and_no_event(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    found, by_code = verified(shared_state(name, tmp_path_factory))
    renamed = 315 if name == "sqlite-2026.9" else 0
    assert {code: one.count for code, one in by_code.items()} == {
        code: count for code, count in BASE.items() if code != "provider_renamed" or renamed
    }
    assert (found.exit_code, found.lost_events) == (1, 0)
    assert (found.sessions, found.live_sessions, found.transcripts, found.kept_transcripts) == (65, 65, 60, 60)
    assert (found.events, found.equal_events) == (3_573, 3_573 - renamed)
    assert by_code["route_lost"].names == LEGACY
    assert by_code["mixed_case_key"].names == (LEGACY[0], LEGACY[2], LEGACY[3])
    assert [one.kind for one in found.findings] == ["documented"] * 4 + ["rewritten"] * (5 if renamed else 4)


def test_missing_session_and_transcript_are_losses(state: Path) -> None:
    changed(
        state,
        ("DELETE FROM session_nodes WHERE session_key = ?", (LEGACY[1],)),
        ("DELETE FROM transcript_events WHERE session_id = ?", (MAIN_ID,)),
    )
    found, by_code = verified(state)
    assert new_codes(by_code) == {"session_missing": 1, "transcript_missing": 1, "route_lost": 4}
    assert (by_code["session_missing"].names, by_code["session_missing"].kind) == ((LEGACY[1],), "loss")
    lines = original(state, MAIN_ID).read_bytes().count(b"\n")
    assert (found.exit_code, found.lost_events, found.kept_transcripts) == (3, lines, 59)


FIELDS: list[tuple[str, Callable[[dict[str, Any]], Any], dict[str, int], dict[str, int], int]] = [
    ("gone", lambda entry: entry.pop("chatType"), {"field_lost": 1}, {"$.chatType": 1}, 3),
    ("changed", lambda entry: entry.update(chatType="x"), {"field_changed": 1}, {"$.chatType": 1}, 3),
    ("deep", lambda entry: entry["skillsSnapshot"].update(prompt=[1]), {"field_changed": 1}, {"$.skillsSnapshot.prompt": 1}, 3),
    (
        "no flush",
        lambda entry: entry.pop("memoryFlush"),
        {"field_lost": 1, "memory_flush_time_lost": 28, "memory_flush_rewritten": 28},
        {},
        3,
    ),
    ("used since", lambda entry: entry.update(updatedAt=entry["updatedAt"] + 1, chatType="x"), {"newer_entry": 1}, {}, 1),
    ("new field", lambda entry: entry.update(pinned=True), {}, {}, 1),
]


@pytest.mark.parametrize(("edit", "codes", "paths", "exit_code"), [pytest.param(*rest, id=name) for name, *rest in FIELDS])
def test_changed_field_is_a_loss_unless_the_session_was_used_since(
    edit: Callable[[dict[str, Any]], Any], codes: dict[str, int], paths: dict[str, int], exit_code: int, state: Path
) -> None:
    edited(state, MAIN, edit)
    found, by_code = verified(state)
    assert codes.items() <= new_codes(by_code).items()
    assert found.exit_code == exit_code
    for code in set(codes) & {"field_lost", "field_changed"}:
        assert by_code[code].names == (MAIN,)
        assert paths.items() <= by_code[code].paths.items()


def test_route_that_is_gone_without_old_names_is_a_loss(state: Path) -> None:
    key = "agent:main:telegram:direct:3702576996"
    edited(state, key, lambda entry: entry.update(delivery={"kind": "none"}))
    found, by_code = verified(state)
    assert (by_code["field_lost"].names, found.exit_code) == ((key,), 3)
    assert set(by_code["field_lost"].paths) == {
        f"$.{name}" for name in ("channel", "origin", "deliveryContext", "lastChannel", "lastTo", "lastAccountId")
    }


def test_route_to_somebody_else_is_a_loss(state: Path) -> None:
    edited(state, "agent:main:telegram:direct:3702576996", lambda entry: entry["delivery"]["context"].update(to="telegram:1"))
    found, by_code = verified(state)
    assert (set(by_code["field_lost"].paths), found.exit_code) == ({"$.deliveryContext", "$.lastTo"}, 3)


def test_models_that_the_doctor_removes_are_a_documented_loss(state: Path) -> None:
    def doctored(entry: dict[str, Any]) -> None:
        for name in ("model", "modelProvider", "contextTokens", "systemPromptReport"):
            entry.pop(name, None)
        entry["updatedAt"] += 5

    edited(state, MAIN, doctored)
    found, by_code = verified(state)
    assert (by_code["model_fields_removed"].names, by_code["model_fields_removed"].kind, found.exit_code) == ((MAIN,), "documented", 1)


def test_lost_event_is_found_and_the_others_are_not_taken_for_changed(state: Path) -> None:
    changed(state, ("DELETE FROM transcript_events WHERE session_id = ? AND seq = 3", (MAIN_ID,)))
    found, by_code = verified(state)
    assert new_codes(by_code) == {"event_lost": 1}
    assert by_code["event_lost"].names[0].startswith(original(state, MAIN_ID).name + ", line ")
    assert (found.exit_code, found.lost_events, found.events) == (3, 1, 3_573)


def test_changed_event_is_named_by_its_path(state: Path) -> None:
    with sqlite3.connect(state / STORE) as connection:
        sql = "SELECT seq, event_json FROM transcript_events WHERE session_id = ? AND event_json LIKE '%\"message\"%' ORDER BY seq LIMIT 1"
        seq, text = connection.execute(sql, (MAIN_ID,)).fetchone()
    connection.close()
    event = json.loads(text)
    event["message"]["role"] = "nobody"
    values = (json.dumps(event), MAIN_ID, seq)
    changed(state, ("UPDATE transcript_events SET event_json = ? WHERE session_id = ? AND seq = ?", values))
    found, by_code = verified(state)
    assert (new_codes(by_code), by_code["event_changed"].paths, found.exit_code) == ({"event_changed": 1}, {"$.message.role": 1}, 3)


def test_event_that_cannot_be_read_is_a_loss(state: Path) -> None:
    one = "SELECT max(rowid) FROM transcript_events WHERE event_zstd IS NOT NULL"
    changed(state, (f"UPDATE transcript_events SET event_zstd = x'00' WHERE rowid = ({one})", ()))
    found, by_code = verified(state)
    assert (new_codes(by_code), found.exit_code) == ({"event_unreadable": 1}, 3)


def test_bad_line_of_an_original_is_said_and_what_the_import_dropped_after_it_is_a_loss(state: Path) -> None:
    file = original(state, MAIN_ID)
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join([*lines[:5], b'{"type": \xff\n', *lines[5:]]))
    found, by_code = verified(state)
    assert (new_codes(by_code), found.exit_code) == ({"original_line_unreadable": 1}, 1)
    assert by_code["original_line_unreadable"].names == (f"{file.name}, line 6",)
    sixth = "(SELECT min(seq) + 5 FROM transcript_events WHERE session_id = ?)"
    changed(state, (f"DELETE FROM transcript_events WHERE session_id = ? AND seq >= {sixth}", (MAIN_ID, MAIN_ID)))
    found, by_code = verified(state)
    assert (by_code["event_lost"].count, found.lost_events, found.exit_code) == (len(lines) - 5, len(lines) - 5, 3)


def test_bad_entry_of_an_original_does_not_hide_the_others(state: Path) -> None:
    file = legacy_store(state)
    file.write_text(file.read_text().replace('"updatedAt": 1795125600000', '"updatedAt": 1795125600000,,'))
    found, by_code = verified(state)
    assert by_code["original_unreadable"].names[0].endswith(LEGACY[1])
    assert (found.sessions, found.exit_code) == (64, 1)


def test_what_was_written_after_the_import_is_newer_not_different(state: Path) -> None:
    with sqlite3.connect(state / STORE) as connection:
        (last,) = connection.execute("SELECT max(seq) FROM transcript_events WHERE session_id = ?", (MAIN_ID,)).fetchone()
        columns = [name for _, name, *_ in connection.execute("PRAGMA table_info(session_nodes)")]
    connection.close()
    event = json.dumps({"type": "message", "id": "later", "message": {"role": "user"}})
    names = ", ".join(columns)
    own = {
        "session_key": "'agent:main:new'",
        "current_session_id": "'new'",
        "entry_json": f"json_set(entry_json, '$.updatedAt', {imported_ms(state)})",
    }
    values = ", ".join(own.get(name, name) for name in columns)
    changed(
        state,
        ("INSERT INTO transcript_events (session_id, seq, event_json, created_at) VALUES (?, ?, ?, 1)", (MAIN_ID, last + 1, event)),
        (f"INSERT INTO session_nodes ({names}) SELECT {values} FROM session_nodes WHERE session_key = ?", (MAIN,)),
    )
    found, by_code = verified(state)
    assert (new_codes(by_code), found.exit_code) == ({"newer_session": 1, "newer_event": 1}, 1)


def imported_ms(state: Path) -> int:
    return int(legacy_store(state).name.rpartition("-")[2])


@pytest.mark.parametrize("damage", ["gone", "empty", "cut off"])
def test_original_store_that_is_missing_or_cut_off_is_no_reason_to_call_sessions_newer(state: Path, damage: str) -> None:
    file = legacy_store(state)
    if damage == "gone":
        file.unlink()
    else:
        file.write_bytes(b"" if damage == "empty" else file.read_bytes()[: file.stat().st_size // 2])
    found, by_code = verified(state)
    assert found.exit_code == 3
    assert by_code["original_missing"].count >= 30
    assert "newer_session" not in by_code


def test_transcript_that_is_in_neither_place_is_named(state: Path) -> None:
    original(state, MAIN_ID).unlink()
    changed(state, ("DELETE FROM transcript_events WHERE session_id = ?", (MAIN_ID,)))
    found, by_code = verified(state)
    assert (by_code["transcript_unaccounted"].names, by_code["transcript_unaccounted"].kind) == ((MAIN,), "odd")
    assert found.transcripts == 59


def test_session_that_was_removed_after_the_import_is_looked_for_in_the_archives(state: Path) -> None:
    changed(
        state,
        ("DELETE FROM session_nodes WHERE session_key = ?", (MAIN,)),
        ("DELETE FROM transcript_events WHERE session_id = ?", (MAIN_ID,)),
    )
    shutil.copy(original(state, MAIN_ID), state / f"agents/main/sessions/{MAIN_ID}.jsonl.deleted.2026-11-20T20-00-00.000Z")
    found, by_code = verified(state)
    gone = {"session_removed": 1, "transcript_archived": 1}
    assert gone.items() <= new_codes(by_code).items()
    assert (found.exit_code, found.lost_events, found.kept_transcripts) == (1, 0, 60)


def test_nothing_lost_at_all_exits_with_0(state: Path) -> None:
    """Leave only originals that the import carried over whole."""
    key = "agent:main:telegram:direct:3702576996"
    file = legacy_store(state)
    kept = json.loads(file.read_text())[key]
    file.write_text(json.dumps({key: kept}, indent=2))
    later = f"UPDATE session_nodes SET entry_json = json_set(entry_json, '$.updatedAt', {imported_ms(state)}) WHERE session_key <> ?"
    changed(state, (later, (key,)))
    found, by_code = verified(state)
    assert (found.exit_code, found.sessions, by_code["newer_session"].count) == (0, 1, 64)


def test_of_several_imports_the_latest_counts(state: Path) -> None:
    file = legacy_store(state)
    older = {MAIN: {"sessionId": "other", "updatedAt": 1}, "agent:main:older": {"sessionId": "o", "updatedAt": 1}}
    file.with_name("legacy-store.sessions.json.imported-5").write_text(json.dumps(older, indent=2))
    shutil.copy(original(state, MAIN_ID), file.with_name(f"agent_main_main.{MAIN_ID}.jsonl.imported-5"))
    found, by_code = verified(state)
    assert (new_codes(by_code), by_code["session_missing"].names, found.transcripts) == ({"session_missing": 1}, ("agent:main:older",), 60)


def test_there_must_be_originals(tmp_path_factory: pytest.TempPathFactory, state: Path) -> None:
    with pytest.raises(NoStoreError, match="no SQLite store of OpenClaw"):
        verify_openclaw(shared_state("json-2026.3", tmp_path_factory))
    shutil.rmtree(state / ARCHIVE)
    with pytest.raises(NoStoreError, match="no originals of an import"):
        verify_openclaw(state)


def test_flush_whose_count_differs_is_a_loss() -> None:
    before = {"sessionId": "s", "updatedAt": 1, "memoryFlushAt": 5, "memoryFlushCompactionCount": 2}
    after = {"sessionId": "s", "updatedAt": 1, "memoryFlush": {"kind": "succeeded", "compactionCount": 3}}
    assert judge(before, after).lost == ["$.memoryFlushCompactionCount"]
    assert judge(before, {**after, "memoryFlush": {"compactionCount": 2}}).documented == ["memory_flush_time_lost"]


WORDS = st.sampled_from(["slack", "webchat", "telegram", "openai-codex", "none", "internal", "external", "", " x "])
VALUES = st.recursive(
    WORDS | st.none() | st.integers(0, 3) | st.booleans(),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["kind", "context", "origin", "channel", "to", "threadId", "compactionCount"]), inner)
    ),
    max_leaves=6,
)
OTHERS = ("provider", "lastProvider", "room", "delivery", "memoryFlush", "memoryFlushAt", "memoryFlushCompactionCount")
NAMES = st.sampled_from([*ROUTE_FIELDS, *DOCTORED_FIELDS, *OTHERS, "updatedAt", "sessionFile", "skillsSnapshot", "label"])
ENTRIES = st.dictionaries(NAMES, VALUES, max_size=8)


@given(ENTRIES, ENTRIES)
@settings(max_examples=150)
def test_any_two_entries_are_judged_and_what_is_kept_is_not_called_lost(one: dict[str, Any], other: dict[str, Any]) -> None:
    same = judge(one, dict(one))
    assert (same.lost, same.changed, same.rewritten) == ([], [], [])
    judged = judge(one, other)
    told = {path.removeprefix("$.").partition(".")[0].partition("[")[0] for path in (*judged.lost, *judged.changed)}
    assert told <= set(one)
    assert "label" not in one or one["label"] == other.get("label") or judged.is_newer or "label" in told


@given(ENTRIES)
def test_exported_entry_keeps_every_field_but_the_old_names(entry: dict[str, Any]) -> None:
    made = json_era(entry, session_file="x.jsonl")
    assert is_within(normalise_legacy(entry), made)
    assert "sessionFile" in made
