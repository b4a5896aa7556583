"""OpenClaw's SQLite store, read from files that the real program wrote."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sessionlab.stores.json_file import JSONFileStore
from sessionlab.stores.openclaw import OpenClawStore, holds_sessions
from tests.fixture_states import SQLITE_STATES, STORE, expected, photo, shared_state, truth
from tests.stores.changed_database import buffers

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
    assert store.get(" agent:main:MAIN") == entry
    for absent in ("agent:main:nobody", "", "__proto__", "\ud800"):
        assert store.get(absent) is None


def test_importing_the_reader_stays_light() -> None:
    script = (
        "import sys, sessionlab.stores.openclaw; "
        "heavy = {'zstandard', 'duckdb', 'pandas', 'numpy', 'plotly', 'papermill', 'json5'} & set(sys.modules); assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
