"""OpenClaw's SQLite store, read from files that the real program wrote and from what accidents make of them."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import zstandard

from sessionlab.errors import CorruptStoreError, InvalidJSONError, NoStoreError, UnsupportedSchemaError
from sessionlab.stores.base import Problem
from sessionlab.stores.json_file import JSONFileStore
from sessionlab.stores.openclaw import OpenClawStore, holds_sessions
from sessionlab.stores.openclaw_transcripts import StoredTranscript
from tests.fixture_states import SQLITE_STATES, STORE, expected, own_state, photo, shared_state, truth

Change = Callable[[sqlite3.Connection], object]
LEGACY_KEYS = {
    "agent:main:Telegram:Group:-1000",
    "agent:main:Telegram:Group:-1003",
    "agent:main:discord:channel:leg1",
    "agent:main:discord:channel:leg4",
    "agent:main:slack:channel:Leg2",
}


@pytest.fixture(params=SQLITE_STATES)
def state(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return one of the two SQLite states, shared: not to be written."""
    return shared_state(request.param, tmp_path_factory)


@pytest.fixture
def store(state: Path) -> Iterator[OpenClawStore]:
    with OpenClawStore.open(state / STORE) as opened:
        yield opened


@pytest.fixture
def own(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> Path:
    """Return the 2026.9 database in a state folder of this test's own."""
    return own_state("sqlite-2026.9", tmp_path_factory, tmp_path) / STORE


def change(path: Path, *changes: str | Change) -> Path:
    """Change a database as a hand with the sqlite3 shell would: no trigger fires, no constraint holds."""
    db = sqlite3.connect(path, isolation_level=None)
    db.create_function("octet_length", 1, lambda value: None if value is None else len(str(value).encode()), deterministic=True)
    db.execute("PRAGMA ignore_check_constraints=ON")
    db.execute("PRAGMA foreign_keys=OFF")
    for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        db.execute(f'DROP TRIGGER "{name}"')
    for one in changes:
        if callable(one):
            one(db)
        else:
            db.execute(one)
    db.close()
    return path


def checked(path: Path) -> dict[str, list[Problem]]:
    """Return what `check()` finds, by code."""
    found: dict[str, list[Problem]] = {}
    with OpenClawStore.open(path) as opened:
        for problem in opened.check():
            found.setdefault(problem.code, []).append(problem)
    return found


def buffers(path: Path) -> dict[str, tuple[StoredTranscript, bytes]]:
    """Return every transcript with its lines, by name."""
    with OpenClawStore.open(path) as opened:
        return {transcript.name: (transcript, lines) for transcript, lines in opened.iter_transcript_buffers()}


# --- the real files -----------------------------------------------------------------------------------------------------------------


def test_real_stores_hold_what_was_imported(store: OpenClawStore, state: Path) -> None:
    stats = store.stats()
    version, app_version = {"sqlite-2026.8": (19, "2026.8.1"), "sqlite-2026.9": (23, "2026.9.6")}[state.name]
    assert (stats.kind, stats.sessions, stats.schema_version, stats.app_version) == ("openclaw", 65, version, app_version)
    assert stats.store_bytes == (state / STORE).stat().st_size
    assert store.agent_id == "main"
    assert store.snapshot_method.startswith("private copy of the database")
    assert store.count() == len(list(store.items())) == len(list(store.raw_items())) == 65


def test_both_versions_hold_equal_contents(tmp_path_factory: pytest.TempPathFactory) -> None:
    fingerprints = set()
    for name in SQLITE_STATES:
        with OpenClawStore.open(shared_state(name, tmp_path_factory) / STORE) as opened:
            fingerprints.add(opened.fingerprint())
    assert len(fingerprints) == 1
    assert fingerprints.pop().count == 65


def test_transcripts_add_up_to_the_truth(store: OpenClawStore, tmp_path_factory: pytest.TempPathFactory) -> None:
    true = truth(tmp_path_factory)
    totals: Counter[str] = Counter()
    for transcript, lines in store.iter_transcript_buffers():
        assert transcript.problems == ()
        assert transcript.source == "live"
        assert lines.endswith(b"\n")
        assert lines.count(b"\n") == transcript.events
        assert len(lines) == transcript.bytes
        totals["transcripts"] += 1
        totals["events"] += transcript.events
        for line in lines.splitlines():
            event = json.loads(line)
            totals["compactions"] += event["type"] == "compaction"
            message = event.get("message", {})
            totals[message.get("role", "")] += 1
            usage = message.get("usage")
            if usage:
                for name in ("input", "output", "cacheRead", "cacheWrite"):
                    totals[name] += usage[name]
                totals["cost_micro"] += round(usage["cost"]["total"] * 1e6)
    names = ("transcripts", "events", "compactions", "user", "assistant", "input", "output", "cacheRead", "cacheWrite", "cost_micro")
    assert {name: totals[name] for name in names} == {name: true[name] for name in names}
    assert totals["toolResult"] == true["toolResults"]


def test_compressed_events_read_like_plain_ones(tmp_path_factory: pytest.TempPathFactory) -> None:
    # The one thing that 2026.9's import rewrites in a transcript, and 2026.8's does not.
    renamed = ((b'"openai-codex"', b'"openai"'), (b'"openai-codex-responses"', b'"openai-chatgpt-responses"'))
    events: dict[str, dict[str, list[Any]]] = {name: {} for name in SQLITE_STATES}
    for name in SQLITE_STATES:
        for transcript, lines in buffers(shared_state(name, tmp_path_factory) / STORE).values():
            text = lines
            for old, new in renamed:
                text = text.replace(old, new)
            plain, changed = ([json.loads(line) for line in one.splitlines()] for one in (lines, text))
            is_message = [event["type"] == "message" for event in plain]
            events[name][transcript.name] = [new if so else old for old, new, so in zip(plain, changed, is_message, strict=True)]
    assert events["sqlite-2026.8"] == events["sqlite-2026.9"]
    with sqlite3.connect(f"file:{shared_state('sqlite-2026.9', tmp_path_factory) / STORE}?immutable=1", uri=True) as db:
        assert db.execute("SELECT count(event_zstd), count(event_json) FROM transcript_events").fetchone() == (463, 3573 - 463)
    db.close()


def test_transcript_listing_agrees_with_what_is_read(store: OpenClawStore) -> None:
    listed = list(store.transcripts())
    assert listed == [transcript for transcript, _ in store.iter_transcript_buffers()]
    windows = {summary.session_id: summary.key for summary in store.summaries()}
    assert all(windows[one.session_id] == one.session_key for one in listed)


def test_lines_of_one_transcript_are_those_of_its_buffer(store: OpenClawStore) -> None:
    for transcript, lines in store.iter_transcript_buffers():
        assert list(store.transcript_lines(transcript)) == lines.splitlines()


def test_summaries_agree_with_the_json_era(store: OpenClawStore, tmp_path_factory: pytest.TempPathFactory) -> None:
    same = ("key", "session_id", "updated_ms", "status", "chat_type", "channel", "label", "model_provider", "model", "total_tokens")
    original = shared_state("json-2026.3", tmp_path_factory) / "agents/main/sessions/sessions.json"
    with JSONFileStore.open(original) as before:
        assert [[getattr(one, name) for name in same] for one in store.summaries()] == [
            [getattr(one, name) for name in same] for one in before.summaries()
        ]
    listed = expected("openclaw-2026.3.31-sessions.json")["sessions"]
    assert [(one.key, one.updated_ms) for one in store.summaries()] == [(one["key"], one["updatedAt"]) for one in listed]


def test_created_is_the_first_event_and_nothing_for_imports_without_one(store: OpenClawStore) -> None:
    first = {one.session_id: json.loads(text.splitlines()[0])["timestamp"] for one, text in store.iter_transcript_buffers()}
    for summary in store.summaries():
        if summary.key in LEGACY_KEYS:
            assert summary.created_ms is None
            continue
        assert summary.session_id is not None
        stamp = sqlite3.connect(":memory:")
        (seconds,) = stamp.execute("SELECT strftime('%s', ?)", (first[summary.session_id],)).fetchone()
        stamp.close()
        assert summary.created_ms is not None
        assert summary.created_ms // 1000 == int(seconds)
        assert summary.updated_ms is not None
        assert summary.created_ms < summary.updated_ms


def test_check_tells_what_the_import_did(store: OpenClawStore) -> None:
    found = store.check()
    codes = {problem.code: problem for problem in found}
    assert {p.key for p in found if p.code == "non_canonical_key"} == {key for key in LEGACY_KEYS if key != key.lower()}
    assert all(p.severity == "error" and "doctor --fix" in p.advice for p in found if p.code == "non_canonical_key")
    assert (codes["route_lost"].severity, codes["route_lost"].count) == ("warning", 5)
    assert (codes["memory_flush_rewritten"].severity, codes["memory_flush_rewritten"].count) == ("info", 29)
    assert (codes["delivery_rewritten"].severity, codes["delivery_rewritten"].count) == ("info", 65)
    assert (codes["window_without_events"].severity, codes["window_without_events"].count) == ("info", 5)
    rank = ["error", "warning", "info"]
    assert [rank.index(p.severity) for p in found] == sorted(rank.index(p.severity) for p in found)
    assert set(codes) == {
        "non_canonical_key",
        "route_lost",
        "memory_flush_rewritten",
        "delivery_rewritten",
        "window_without_events",
        "legacy_field",
    }
    # What OpenClaw itself said: nothing at import, an error afterwards.
    assert "telegram:group:-1000" in expected("openclaw-2026.9.6-sessions.json")["error"]["message"]
    assert all(target["issues"] == [] for target in expected("import-2026.9.6.json")["targets"])


def test_storage_parts_add_up(store: OpenClawStore, state: Path) -> None:
    parts = dict(store.storage_parts())
    assert sum(parts.values()) == (state / STORE).stat().st_size
    assert list(parts.values()) == sorted(parts.values(), reverse=True)
    assert parts["transcript events"] > parts["other indexes"] > parts["search index"] > parts["entries"] > parts["event identities"] > 0


def test_nothing_is_written_by_any_method(state: Path) -> None:
    before = photo(state)
    assert holds_sessions(state / STORE)
    with OpenClawStore.open(state / STORE) as opened:
        for read in (
            opened.summaries,
            opened.items,
            opened.raw_items,
            opened.transcripts,
            opened.iter_transcript_buffers,
            opened.storage_parts,
        ):
            assert len(list(read())) > 0
            assert photo(state) == before, read
        transcript = next(opened.transcripts())
        for answer in (
            opened.get("agent:main:main"),
            opened.count(),
            opened.stats(),
            opened.fingerprint(),
            opened.check(),
            list(opened.transcript_lines(transcript)),
        ):
            assert answer
            assert photo(state) == before
    assert photo(state) == before


def test_get(store: OpenClawStore) -> None:
    entry = store.get("agent:main:main")
    assert entry is not None
    assert entry["sessionId"] == "d86bb32f-14b9-4257-9266-ef64311275fc"
    for absent in ("agent:main:nobody", "", "__proto__", "agent:main:MAIN", "\ud800"):
        assert store.get(absent) is None


def test_importing_the_reader_stays_light() -> None:
    script = (
        "import sys, sessionlab.stores.openclaw; "
        "heavy = {'zstandard', 'duckdb', 'pandas', 'numpy', 'plotly', 'papermill', 'json5'} & set(sys.modules); assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


# --- what it is -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [18, 24])
def test_unknown_version_is_refused(own: Path, version: int) -> None:
    change(own, f"PRAGMA user_version={version}", f"UPDATE schema_meta SET schema_version = {version}")
    with pytest.raises(UnsupportedSchemaError, match=f"version {version} ") as caught:
        OpenClawStore.open(own)
    assert (caught.value.exit_code, caught.value.found) == (12, version)


def test_versions_between_the_two_known_ones_are_read(own: Path) -> None:
    change(own, "PRAGMA user_version=21", "UPDATE schema_meta SET schema_version = 21", "DROP TABLE session_transcript_cold_archives")
    with OpenClawStore.open(own) as opened:
        assert opened.stats().schema_version == 21
        assert sum(transcript.events for transcript in opened.transcripts()) == 3573


def test_interrupted_upgrade_is_corrupt(own: Path) -> None:
    with pytest.raises(CorruptStoreError, match="22 in schema_meta and 23 in user_version"):
        OpenClawStore.open(change(own, "UPDATE schema_meta SET schema_version = 22"))


def test_missing_column_is_named(own: Path) -> None:
    with pytest.raises(CorruptStoreError, match=r"session_nodes\.entry_json, session_nodes\.session_key"):
        OpenClawStore.open(
            change(
                own,
                "DROP TABLE session_nodes",
                "CREATE TABLE session_nodes (current_session_id TEXT, updated_at INTEGER)",
            )
        )


def test_view_or_virtual_table_in_place_of_a_table_is_refused(own: Path) -> None:
    change(own, "ALTER TABLE session_nodes RENAME TO hidden", "CREATE VIEW session_nodes AS SELECT * FROM hidden")
    with pytest.raises(CorruptStoreError, match="session_nodes"):
        OpenClawStore.open(own)


def test_database_of_another_kind_is_no_store(own: Path, tmp_path: Path) -> None:
    with pytest.raises(NoStoreError, match="'state'"):
        OpenClawStore.open(change(own, "UPDATE schema_meta SET role = 'state'"))
    foreign = tmp_path / "foreign.sqlite"
    change(foreign, "CREATE TABLE session_nodes (session_key)")
    with pytest.raises(NoStoreError, match="schema_meta"):
        OpenClawStore.open(foreign)
    with pytest.raises(NoStoreError):
        OpenClawStore.open(tmp_path / "none.sqlite")


def test_agent_is_named_by_the_caller_then_the_database_then_the_path(own: Path) -> None:
    change(own, "UPDATE schema_meta SET agent_id = 'helper'")
    with OpenClawStore.open(own) as opened:
        assert opened.agent_id == "helper"
    with OpenClawStore.open(own, agent_id="asked") as opened:
        assert opened.agent_id == "asked"
    with OpenClawStore.open(change(own, "UPDATE schema_meta SET agent_id = NULL")) as opened:
        assert opened.agent_id == "main"


def test_holds_sessions(own: Path, tmp_path: Path) -> None:
    assert holds_sessions(own)
    assert not holds_sessions(tmp_path / "none.sqlite")
    assert holds_sessions(change(own, "DELETE FROM session_nodes"))
    before_sessions = tmp_path / "2026.6.sqlite"
    change(before_sessions, "CREATE TABLE schema_meta (role)", "CREATE TABLE auth_profile_store (id)")
    assert not holds_sessions(before_sessions)
    assert holds_sessions(change(before_sessions, "CREATE TABLE session_entries (session_key)"))
    (tmp_path / "empty.sqlite").touch()
    with pytest.raises(CorruptStoreError, match="empty file"):
        holds_sessions(tmp_path / "empty.sqlite")
    (tmp_path / "text.sqlite").write_text("no database " * 50)
    with pytest.raises(CorruptStoreError, match="not a database"):
        holds_sessions(tmp_path / "text.sqlite")


def test_table_of_sessions_that_is_only_in_the_log_counts(tmp_path: Path) -> None:
    path = tmp_path / "new.sqlite"
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("CREATE TABLE session_nodes (session_key)")
    assert path.with_name("new.sqlite-wal").stat().st_size > 0
    assert holds_sessions(path)
    db.close()


def test_commits_that_are_only_in_the_log_are_read(own: Path) -> None:
    change(own)
    script = (
        "import os, signal, sqlite3, sys; db = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "db.execute('PRAGMA wal_autocheckpoint=0')\n"
        "db.execute('''INSERT INTO session_nodes (session_key, current_session_id, entry_json, entry_valid, updated_at) "
        "VALUES ('agent:main:late', 'late', '{\"sessionId\":\"late\",\"updatedAt\":1795132800000}', 1, 1795132800000)''')\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", script, str(own)], check=False)
    log_bytes = own.with_name(own.name + "-wal").stat().st_size
    assert log_bytes > 0
    before = photo(own.parent)
    with OpenClawStore.open(own) as opened:
        assert next(opened.summaries()).key == "agent:main:late"
        assert opened.count() == 66
        assert opened.stats().store_bytes == own.stat().st_size + log_bytes
        assert "write-ahead log" in opened.snapshot_method
        assert dict(opened.storage_parts())["write-ahead log"] == log_bytes
    assert photo(own.parent) == before


# --- damage and hostile rows --------------------------------------------------------------------------------------------------------


def test_damaged_page_is_an_error_not_an_empty_answer(own: Path) -> None:
    with sqlite3.connect(f"file:{own}?immutable=1", uri=True) as db:
        pages = [page for (page,) in db.execute("SELECT pageno FROM dbstat WHERE name = 'session_nodes' AND pagetype = 'leaf'")]
        (page_bytes,) = db.execute("PRAGMA page_size").fetchone()
    db.close()
    with own.open("r+b") as file:
        file.seek((pages[3] - 1) * page_bytes)
        file.write(os.urandom(page_bytes))
    with OpenClawStore.open(own) as opened:
        for read in (opened.summaries, opened.items, opened.raw_items):
            with pytest.raises(CorruptStoreError, match="cannot read all of it"):
                list(read())
        with pytest.raises(CorruptStoreError):
            opened.fingerprint()
        codes = Counter(problem.code for problem in opened.check())
    assert codes["damaged_pages"] + codes["damaged_database"] > 0
    assert codes["window_without_events"] == 1  # the other checks still ran


@pytest.mark.parametrize("text", ["", "nonsense", "[]", '{"sessionId":"x","sessionId":"y"}', '{"n":NaN}', '{"a":' * 5000])
def test_entry_that_is_not_strict_json(own: Path, text: str) -> None:
    change(own, lambda db: db.execute("UPDATE session_nodes SET entry_json = ? WHERE session_key = 'agent:main:main'", (text,)))
    with OpenClawStore.open(own) as opened:
        assert len(list(opened.summaries())) == opened.count() == 65
        with pytest.raises(InvalidJSONError, match="agent:main:main"):
            opened.get("agent:main:main")
        with pytest.raises(InvalidJSONError, match="agent:main:main"):
            list(opened.items())
    (problem,) = checked(own)["bad_entry"]
    assert (problem.severity, problem.key) == ("error", "agent:main:main")


def test_rows_that_openclaw_marks_as_needing_repair(own: Path) -> None:
    marks = "UPDATE session_nodes SET entry_valid = CASE rowid WHEN 1 THEN 0 ELSE -1 END WHERE rowid <= 2"
    (problem,) = checked(change(own, marks))["entry_needs_repair"]
    assert (problem.severity, problem.count) == ("error", 2)
    assert "agent:main:main" in problem.message


def test_row_and_entry_that_disagree(own: Path) -> None:
    change(
        own,
        "UPDATE session_nodes SET updated_at = updated_at + 1 WHERE session_key = 'agent:main:main'",
        "UPDATE session_nodes SET current_session_id = 'gone' WHERE session_key = 'agent:main:discord:channel:leg1'",
    )
    found = checked(own)
    assert found["index_differs"][0].count == 2
    assert (found["no_current_window"][0].key, found["no_current_window"][0].severity) == ("agent:main:discord:channel:leg1", "warning")
    with OpenClawStore.open(own) as opened:
        summary = next(one for one in opened.summaries() if one.key == "agent:main:main")
        entry = opened.get("agent:main:main")
    assert entry is not None
    assert summary.updated_ms == entry["updatedAt"] + 1


def test_archived_and_created_columns_are_read(own: Path) -> None:
    change(own, "UPDATE session_nodes SET archived_at = 1, created_at = 1700000000000 WHERE session_key = 'agent:main:main'")
    with OpenClawStore.open(own) as opened:
        summaries = {one.key: one for one in opened.summaries()}
    assert [key for key, one in summaries.items() if one.archived] == ["agent:main:main"]
    assert summaries["agent:main:main"].created_ms == 1_700_000_000_000


def insert_session(key: str | bytes, **fields: Any) -> Change:
    entry = json.dumps({"sessionId": "s", "updatedAt": 5, **fields})

    def run(db: sqlite3.Connection) -> None:
        db.execute("INSERT INTO session_nodes (session_key, current_session_id, entry_json, entry_valid, updated_at) "
                   "VALUES (CAST(? AS TEXT), 's', ?, 1, 5)", (key, entry))  # fmt: skip

    return run


def test_hostile_keys(own: Path) -> None:
    long_key = "agent:main:" + "x" * 10_000
    change(
        own,
        insert_session(b"agent:main:\xff\xfe"),
        insert_session("__proto__"),
        insert_session("agent:main:with\0nul"),
        insert_session("agent:main:../../etc"),
        insert_session(long_key),
        insert_session("agent:main:Main"),
    )
    with OpenClawStore.open(own) as opened:
        keys = {summary.key for summary in opened.summaries()}
        assert opened.count() == len(keys) == 65 + 5
        assert {key for key, _ in opened.items()} == keys
        assert "__proto__" not in keys
        assert {"agent:main:\\xff\\xfe", "agent:main:with\0nul", "agent:main:../../etc", long_key} < keys
        assert opened.get("agent:main:with\0nul") is not None
        opened.fingerprint()
    found = checked(own)
    assert found["key_not_utf8"][0].severity == "error"
    assert found["blocked_key"][0].key == "__proto__"
    assert len(found["odd_key"]) == 2
    assert found["case_variant_keys"][0].count == 2


# --- events -------------------------------------------------------------------------------------------------------------------------

WINDOW = "d86bb32f-14b9-4257-9266-ef64311275fc"
"""The transcript of agent:main:main."""


def set_event(seq: int, *, text: str | None = None, packed: bytes | None = None, size: int | None = None) -> Change:
    sql = "UPDATE transcript_events SET event_json = ?, event_zstd = ?, event_utf8_bytes = ? WHERE session_id = ? AND seq = ?"
    return lambda db: db.execute(sql, (text, packed, size, WINDOW, seq))


GOOD = zstandard.compress(b'{"type":"custom","n":1}')


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        ({}, "neither event_json nor event_zstd"),
        ({"text": "{}", "packed": GOOD, "size": 23}, "both event_json and event_zstd"),
        ({"packed": b"no zstd frame at all", "size": 23}, "zstd does not decode it"),
        ({"packed": GOOD[:-4], "size": 23}, "zstd does not decode it"),
        ({"packed": GOOD + b"more", "size": 23}, "zstd does not decode it"),
        ({"packed": b"", "size": 23}, "zstd does not decode it"),
        ({"packed": GOOD, "size": 24}, "23 bytes where the store says 24"),
        ({"packed": GOOD, "size": 22}, "claims 23 bytes, more than the 22 allowed"),
        ({"packed": GOOD}, "says it has None bytes"),
        ({"packed": GOOD, "size": 1 << 40}, "which the format does not allow"),
        ({"packed": zstandard.ZstdCompressor(write_content_size=False).compress(b"0" * (1 << 26)), "size": 100}, "more than the 100 bytes"),
        ({"text": '{"a":"x\ny"}'}, "is not JSON"),
    ],
)
def test_event_that_cannot_be_read_is_a_problem_and_the_others_are_read(own: Path, event: dict[str, Any], reason: str) -> None:
    before = buffers(own)[f"{WINDOW}.jsonl"][1].splitlines()
    change(own, set_event(4, **event))
    transcript, lines = buffers(own)[f"{WINDOW}.jsonl"]
    (problem,) = transcript.problems
    assert reason in problem.message
    assert (problem.code, problem.severity, problem.line, problem.key) == ("event_unreadable", "error", 5, "agent:main:main")
    assert lines.splitlines() == [*before[:4], b"", *before[5:]]
    assert transcript.events == len(before)
    with OpenClawStore.open(own) as opened:
        answers = list(opened.transcript_lines(transcript))
    assert answers == [*before[:4], problem, *before[5:]]
    assert problem in checked(own)["event_unreadable"]


def test_pretty_printed_event_becomes_one_line(own: Path) -> None:
    change(own, set_event(4, text='{\n  "type": "custom",\n  "text": "two\\nlines",\n  "n": 1.50\n}'))
    transcript, lines = buffers(own)[f"{WINDOW}.jsonl"]
    assert transcript.problems == ()
    assert lines.splitlines()[4] == b'{"type":"custom","text":"two\\nlines","n":1.50}'


def test_event_without_content_size_is_read(own: Path) -> None:
    packed = zstandard.ZstdCompressor(write_content_size=False).compress(b'{"type":"custom"}')
    change(own, set_event(4, packed=packed, size=17))
    assert buffers(own)[f"{WINDOW}.jsonl"][1].splitlines()[4] == b'{"type":"custom"}'


def test_orphans_are_told(own: Path) -> None:
    change(
        own,
        f"DELETE FROM session_windows WHERE session_id = '{WINDOW}'",
        "DELETE FROM session_nodes WHERE session_key = 'agent:main:discord:channel:leg1'",
    )
    transcript, lines = buffers(own)[f"{WINDOW}.jsonl"]
    assert transcript.session_key is None
    assert lines
    found = checked(own)
    assert (found["orphan_events"][0].severity, found["orphan_events"][0].count) == ("warning", 1)
    assert found["orphan_window"][0].count == 1
    assert found["no_current_window"][0].key == "agent:main:main"


# --- archives -----------------------------------------------------------------------------------------------------------------------

ARCHIVED = b'{"type":"session","id":"old"}\n{"type":"message","id":"a"}\n'


def archive(
    name: str, blob: bytes, *, encoding: str, reason: str = "deleted", sha256: str | None = None, published: bool = False
) -> Change:
    sql = (
        "INSERT INTO session_transcript_archives (session_id, generation, session_key, reason, encoding, archive_blob, archive_sha256, "
        "archive_name, created_at, published_at) VALUES (?, 'g', 'agent:main:gone', ?, ?, ?, ?, ?, 1795000000000, ?)"
    )
    digest = sha256 or hashlib.sha256(blob).hexdigest()
    return lambda db: db.execute(sql, (f"session-{name}", reason, encoding, blob, digest, name, 7 if published else None))


def test_archives_of_deleted_and_reset_sessions(own: Path) -> None:
    pretty = json.dumps({"type": "message", "text": "a\nb"}, indent=2).encode()
    stream = zstandard.ZstdCompressor(write_content_size=False).compress(ARCHIVED)
    change(
        own,
        archive("plain.jsonl.reset.x", ARCHIVED, encoding="identity", reason="reset", published=True),
        archive("packed.jsonl.deleted.x.zst", stream, encoding="zstd"),
        archive("pretty.jsonl.deleted.x", ARCHIVED + pretty, encoding="identity"),
        archive("broken.jsonl.deleted.x", ARCHIVED + b'{"type":\n{"type":"message"}\n', encoding="identity"),
    )
    found = buffers(own)
    plain, lines = found["plain.jsonl.reset.x"]
    assert (plain.source, plain.session_key, plain.is_published, plain.events) == ("archive-reset", "agent:main:gone", True, 2)
    assert lines == ARCHIVED
    packed, lines = found["packed.jsonl.deleted.x.zst"]
    assert (packed.source, packed.is_published, lines) == ("archive-deleted", False, ARCHIVED)
    assert found["pretty.jsonl.deleted.x"][1] == ARCHIVED + b'{"type":"message","text":"a\\nb"}\n'
    assert found["broken.jsonl.deleted.x"][1] == ARCHIVED + b'{"type":\n{"type":"message"}\n'
    assert "archive_unreadable" not in checked(own)
    with OpenClawStore.open(own) as opened:
        assert [one.name for one in opened.transcripts()] == list(found)
        for transcript in opened.transcripts():
            assert list(opened.transcript_lines(transcript)) == found[transcript.name][1].splitlines()


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"blob": ARCHIVED, "encoding": "identity", "sha256": "0" * 64}, "SHA-256"),
        ({"blob": b"not zstd", "encoding": "zstd"}, "zstd does not decode it"),
        ({"blob": zstandard.compress(ARCHIVED)[:-3], "encoding": "zstd"}, "zstd does not decode it"),
    ],
)
def test_archive_that_cannot_be_read_is_a_problem(own: Path, row: dict[str, Any], reason: str) -> None:
    change(own, archive("bad.jsonl.deleted.x", **row))
    transcript, lines = buffers(own)["bad.jsonl.deleted.x"]
    (problem,) = transcript.problems
    assert (lines, transcript.events, transcript.bytes) == (b"", 0, 0)
    assert reason in problem.message
    assert checked(own)["archive_unreadable"] == [problem]
    with OpenClawStore.open(own) as opened:
        assert list(opened.transcript_lines(transcript)) == [problem]


def freeze(path: Path, *, into: str, damage: Callable[[bytes], bytes] = bytes, events: int | None = None, keep_live: bool = False) -> Path:
    """Move the main session's events into cold storage, as OpenClaw's maintenance does, and return the cold file."""
    lines = buffers(path)[f"{WINDOW}.jsonl"][1].splitlines()
    records: list[dict[str, Any]] = [{"kind": "header", "version": 1, "sessionId": WINDOW, "generation": "g"}]
    records += [{"kind": "event", "row": {"seq": n, "event_json": line.decode(), "created_at": 5}} for n, line in enumerate(lines)]
    records.append({"kind": "identity", "row": {"event_id": "a", "seq": 0, "event_type": None, "parent_id": None, "created_at": 5}})
    records.append({"kind": "fts", "row": {"text": None, "message_id": None, "role": None, "timestamp": None}})
    blob = zstandard.compress(b"".join(json.dumps(record).encode() + b"\n" for record in records))
    digest = hashlib.sha256(blob).hexdigest()
    cold = path.parent.parent / "sessions" / "cold" / f"{digest}.jsonl.zst"
    if into == "file":
        cold.parent.mkdir()
        cold.write_bytes(damage(blob))
    row = (
        WINDOW,
        cold.name,
        digest,
        len(lines) if events is None else events,
        sum(map(len, lines)) + len(lines) - 1,
        len(blob),
        len(lines),
    )
    change(
        path,
        lambda db: db.execute(
            "INSERT INTO session_transcript_cold_archives (session_id, generation, archive_name, archive_sha256, event_count, raw_bytes, "
            "archive_bytes, last_seq, archived_at, storage, archive_blob) VALUES (?, 'g', ?, ?, ?, ?, ?, ?, 9, ?, ?)",
            (*row, into, damage(blob) if into == "sqlite" else None),
        ),
        *([] if keep_live else [f"DELETE FROM transcript_events WHERE session_id = '{WINDOW}'"]),
    )
    return cold


@pytest.mark.parametrize("into", ["file", "sqlite"])
def test_cold_transcript_reads_like_the_live_one(own: Path, into: str) -> None:
    live, lines = buffers(own)[f"{WINDOW}.jsonl"]
    cold = freeze(own, into=into)
    found = buffers(own)
    assert f"{WINDOW}.jsonl" not in found
    transcript, cold_lines = found[cold.name]
    assert cold_lines == lines
    assert (transcript.source, transcript.session_key, transcript.problems) == ("cold", "agent:main:main", ())
    assert (transcript.events, transcript.bytes) == (live.events, live.bytes)
    with OpenClawStore.open(own) as opened:
        assert transcript in opened.transcripts()
        assert list(opened.transcript_lines(transcript)) == lines.splitlines()
    codes = checked(own)
    assert "cold_transcript_unreadable" not in codes
    assert codes["window_without_events"][0].count == 5


@pytest.mark.parametrize("into", ["file", "sqlite"])
def test_damaged_cold_transcript_is_a_problem(own: Path, into: str) -> None:
    cold = freeze(own, into=into, damage=lambda blob: blob[:-1] + b"?")
    transcript, lines = buffers(own)[cold.name]
    assert lines == b""
    assert "SHA-256" in transcript.problems[0].message
    assert checked(own)["cold_transcript_unreadable"][0].key == "agent:main:main"


def test_missing_cold_file_is_a_problem(own: Path) -> None:
    cold = freeze(own, into="file")
    cold.unlink()
    (problem,) = checked(own)["cold_transcript_unreadable"]
    assert "is missing in" in problem.message
    assert (problem.severity, problem.key) == ("error", "agent:main:main")


def test_cold_transcript_with_another_number_of_events_is_a_problem(own: Path) -> None:
    cold = freeze(own, into="sqlite", events=3)
    assert "events where the store says 3" in buffers(own)[cold.name][0].problems[0].message


def test_cold_name_cannot_lead_out_of_its_folder(own: Path) -> None:
    cold = freeze(own, into="file")
    (own.parent.parent / "sessions" / "secret.jsonl.zst").write_bytes(cold.read_bytes())
    change(own, "UPDATE session_transcript_cold_archives SET archive_name = '../secret.jsonl.zst'")
    (problem,) = checked(own)["cold_transcript_unreadable"]
    assert "is not a name of a cold transcript" in problem.message


def test_session_that_is_live_and_cold_counts_once(own: Path) -> None:
    live = buffers(own)[f"{WINDOW}.jsonl"]
    cold = freeze(own, into="sqlite", keep_live=True)
    found = buffers(own)
    assert found[f"{WINDOW}.jsonl"] == live
    assert (found[cold.name][0].events, found[cold.name][1]) == (0, b"")
    assert checked(own)["cold_transcript_also_live"][0].severity == "warning"


@pytest.mark.parametrize("value", ["'yesterday'", "1e300", "x'00ff'", "NULL"])
@pytest.mark.parametrize("column", ["updated_at", "created_at"])
def test_a_time_of_the_wrong_type_in_a_table_that_is_not_strict_is_no_time(
    column: str, value: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = own_state("sqlite-2026.9", tmp_path_factory, tmp_path) / STORE
    db = sqlite3.connect(path)
    db.execute("PRAGMA writable_schema = on")
    db.execute("UPDATE sqlite_master SET sql = replace(replace(sql, ') STRICT', ')'), 'NOT NULL', '') WHERE name = 'session_nodes'")
    db.commit()
    db.close()
    db = sqlite3.connect(path)
    db.create_function("octet_length", 1, lambda _: 1, deterministic=True)
    db.execute("PRAGMA ignore_check_constraints = on")
    db.execute(f"UPDATE session_nodes SET {column} = {value} WHERE session_key = 'agent:main:main'")
    db.commit()
    db.close()
    with OpenClawStore.open(path) as store:
        (main,) = [summary for summary in store.summaries() if summary.key == "agent:main:main"]
    assert column != "updated_at" or main.updated_ms is None
    assert main.created_ms is None or isinstance(main.created_ms, int)
