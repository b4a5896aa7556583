"""What is taken from an agent's folders: every real file once, and every change of one noticed."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import zstandard

from sessionlab import synth
from sessionlab.errors import UsageError
from sessionlab.lab import mirror
from sessionlab.lab.connection import connect
from sessionlab.lab.mirror import load, load_into
from tests.fixture_states import STORE, own_state
from tests.lab.states import event, header, long_ago, settle, write_store, write_transcript
from tests.stores.changed_database import freeze

NOW_MS = synth.DEFAULT_NOW_MS


def rows(state: Path, sql: str) -> list[tuple[Any, ...]]:
    """Return what a new mirror of the state answers."""
    with connect() as con:
        load_into(con, state, now_ms=NOW_MS)
        return con.execute(sql).fetchall()


def cost_usd(state: Path) -> float:
    ((total,),) = rows(state, "SELECT coalesce(sum(cost_microusd), 0) / 1e6 FROM events WHERE NOT is_copy")
    return float(total)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Make a state folder with one session, one transcript and one dollar."""
    folder = tmp_path / "state"
    write_store(folder, "main", {"agent:main:main": {"sessionId": "a", "updatedAt": NOW_MS - 5000}})
    write_transcript(folder, "main", "a.jsonl", [header("a"), event("1", cost=1)])
    settle(folder)
    return folder


def test_a_transcript_that_could_not_be_read_is_read_as_soon_as_it_can_be(state: Path, tmp_path: Path) -> None:
    target = tmp_path / "later.jsonl"
    (state / "agents/main/sessions/b.jsonl").symlink_to(target)
    first = load(state, tmp_path / "m.duckdb", now_ms=NOW_MS)
    assert not load(state, tmp_path / "m.duckdb", now_ms=NOW_MS).is_unchanged
    with connect(tmp_path / "m.duckdb") as con:
        assert con.execute("SELECT path FROM problems WHERE code = 'unreadable_transcript'").fetchall() == [
            ("agents/main/sessions/b.jsonl",)
        ]
    target.write_bytes((state / "agents/main/sessions/a.jsonl").read_bytes())
    long_ago(target, seconds=5)
    assert load(state, tmp_path / "m.duckdb", now_ms=NOW_MS).events == 2 * first.events


def test_a_file_in_anothers_place_is_noticed_though_size_and_time_are_the_same(state: Path, tmp_path: Path) -> None:
    load(state, tmp_path / "m.duckdb", now_ms=NOW_MS)
    assert load(state, tmp_path / "m.duckdb", now_ms=NOW_MS).is_unchanged
    store = state / "agents/main/sessions/sessions.json"
    before = store.stat()
    other = store.with_name("other")
    other.write_bytes(store.read_bytes().replace(b'"a"', b'"b"'))
    os.utime(other, ns=(before.st_mtime_ns, before.st_mtime_ns))
    other.replace(store)
    assert not load(state, tmp_path / "m.duckdb", now_ms=NOW_MS).is_unchanged


def test_a_mirror_of_another_version_of_this_program_is_built_anew(state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load(state, tmp_path / "m.duckdb", now_ms=NOW_MS)
    monkeypatch.setattr(mirror, "__version__", "99.0")
    result = load(state, tmp_path / "m.duckdb", now_ms=NOW_MS)
    assert (result.is_unchanged, result.transcripts_read) == (False, 1)


def test_a_second_store_elsewhere_is_part_of_what_is_watched(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    state = own_state("sqlite-2026.9", tmp_path_factory, tmp_path)
    elsewhere = tmp_path / "elsewhere.json"
    elsewhere.write_text("{}", encoding="utf-8")
    (state / "openclaw.json").write_text(f'{{"session": {{"store": "{elsewhere}"}}}}', encoding="utf-8")
    settle(state)
    long_ago(elsewhere, seconds=1)
    load(state, tmp_path / "m.duckdb", now_ms=NOW_MS)
    assert load(state, tmp_path / "m.duckdb", now_ms=NOW_MS).is_unchanged
    elsewhere.write_text('{"agent:main:main": {"sessionId": "a", "updatedAt": 1}}', encoding="utf-8")
    long_ago(elsewhere, seconds=2)
    load(state, tmp_path / "m.duckdb", now_ms=NOW_MS)
    with connect(tmp_path / "m.duckdb") as con:
        assert con.execute("SELECT count FROM problems WHERE code = 'split_store'").fetchall() == [(1,)]


def test_the_log_of_a_linked_database_is_watched(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    state = own_state("sqlite-2026.9", tmp_path_factory, tmp_path)
    real = tmp_path / "disk.sqlite"
    (state / STORE).replace(real)
    (state / STORE).symlink_to(real)
    settle(tmp_path)
    database = sqlite3.connect(real, isolation_level=None)
    database.execute("PRAGMA journal_mode = wal")
    database.execute("PRAGMA wal_autocheckpoint = 0")
    database.execute("UPDATE session_windows SET created_at = created_at + 1")
    parts = rows(state, "SELECT part FROM storage WHERE part = 'write-ahead log'")
    database.close()
    assert parts == [("write-ahead log",)]


def test_beside_a_store_in_a_folder_of_anything_only_that_level_is_looked_at(state: Path) -> None:
    folder = state.parent / "documents"
    (state / "agents/main/sessions").rename(folder)
    (folder / "photos" / "2026").mkdir(parents=True)
    (folder / "photos" / "2026" / "deep.jsonl").write_text("{}", encoding="utf-8")
    (folder / "letter.txt").write_text("Dear", encoding="utf-8")
    assert rows(folder / "sessions.json", "SELECT part, files FROM storage ORDER BY part") == [("store file", 1), ("transcripts", 1)]
    assert cost_usd(folder / "sessions.json") == 1
    settle(folder)


def test_folders_nested_deeper_than_calls_may_be_are_walked(state: Path) -> None:
    home = Path.cwd()
    try:
        os.chdir(state / "agents/main/sessions")
        for _ in range(1200):
            Path("d").mkdir()
            os.chdir("d")
        os.chdir(home)
        assert cost_usd(state) == 1
    finally:
        os.chdir(home)
        # Deeper than Python's own removal goes, with which the temporary folders are cleaned.
        subprocess.run(["rm", "-rf", str(state)], check=True)


def test_agents_that_share_a_folder_count_each_transcript_once(tmp_path: Path) -> None:
    state, shared = tmp_path / "state", tmp_path / "shared"
    for agent in ("main", "ops"):
        (state / "agents" / agent / "sessions").mkdir(parents=True)
        folder = write_store(tmp_path, agent, {f"agent:{agent}:main": {"sessionId": f"x{agent}", "updatedAt": 1}}).parent
        write_transcript(tmp_path, agent, f"x{agent}.jsonl", [header(f"x{agent}"), event(f"e{agent}", cost=1)])
        shared.mkdir(exist_ok=True)
        (folder / "sessions.json").replace(shared / f"{agent}.json")
        (folder / f"x{agent}.jsonl").replace(shared / f"x{agent}.jsonl")
    (state / "openclaw.json").write_text(f'{{"session": {{"store": "{shared}/{{agentId}}.json"}}}}', encoding="utf-8")
    settle(tmp_path)
    assert rows(state, "SELECT agent_id, session_key, is_orphan FROM transcripts ORDER BY 1") == [
        ("main", "agent:main:main", False),
        ("ops", "agent:ops:main", False),
    ]
    assert cost_usd(state) == 2
    assert rows(state, "SELECT sum(bytes) FROM storage") == [(sum(file.stat().st_size for file in shared.iterdir()),)]
    for _ in range(2):
        assert load(state, tmp_path / "m.duckdb", now_ms=NOW_MS).events == 4
        (shared / "xops.jsonl").write_bytes((shared / "xops.jsonl").read_bytes())


def test_a_linked_transcript_and_what_it_leads_to_are_one(state: Path) -> None:
    folder = state / "agents/main/sessions"
    (folder / "b.jsonl").symlink_to("a.jsonl")
    os.link(folder / "a.jsonl", folder / "c.jsonl")
    assert rows(state, "SELECT session_key FROM transcripts") == [("agent:main:main",)]


def test_an_archive_that_lies_there_plain_and_compressed_counts_once(state: Path) -> None:
    name = "b.jsonl.deleted.2026-10-01T00-00-00.000Z"
    plain = write_transcript(state, "main", name, [header("b"), event("2", cost=2)])
    plain.with_name(name + ".zst").write_bytes(zstandard.compress(plain.read_bytes()))
    assert cost_usd(state) == 3
    plain.write_bytes(b"")
    assert cost_usd(state) == 3


def test_a_transcript_of_the_sessions_id_is_its_own_though_the_entry_names_another_file(state: Path) -> None:
    write_store(state, "main", {"agent:main:main": {"sessionId": "a", "sessionFile": "a-topic-1.jsonl", "updatedAt": 1}})
    write_transcript(state, "main", "a-topic-1.jsonl", [header("a"), event("2", cost=1)])
    assert rows(state, "SELECT DISTINCT session_key, is_orphan FROM transcripts") == [("agent:main:main", False)]


def test_what_a_session_cost_is_what_its_assistant_messages_cost(state: Path) -> None:
    result = event("3", cost=5)
    result["message"]["role"] = "toolResult"
    write_transcript(state, "main", "a.jsonl", [header("a"), event("1", cost=1), result])
    assert rows(state, "SELECT cost_microusd FROM sessions") == [(1_000_000,)]


@pytest.mark.parametrize("indent", [None, 1, 2, 4])
def test_entries_add_up_to_the_file_however_it_is_indented(tmp_path: Path, indent: int | None) -> None:
    entries = {f"agent:main:k{number}": {"sessionId": str(number), "updatedAt": 1} for number in range(100)}
    file = write_store(tmp_path, "main", entries)
    file.write_text(json.dumps(entries, indent=indent), encoding="utf-8")
    ((total,),) = rows(tmp_path, "SELECT sum(entry_bytes) FROM sessions")
    assert abs(total - file.stat().st_size) <= len(entries) + 2


@pytest.mark.parametrize("published", ["5", "NULL"])
@pytest.mark.parametrize("beside", ["", ".zst", "live", "empty"])
def test_an_archive_in_the_database_counts_once_whatever_lies_beside(
    published: str, beside: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    state = own_state("sqlite-2026.9", tmp_path_factory, tmp_path)
    before = cost_usd(state)
    data = b"".join(json.dumps(line).encode() + b"\n" for line in (header("gone"), event("g1", cost=100)))
    name = "gone.jsonl.deleted.2026-11-20T00-00-00.000Z"
    with closing(sqlite3.connect(state / STORE)) as database:
        database.execute(
            "INSERT INTO session_transcript_archives (session_id, generation, session_key, reason, encoding, archive_blob, "
            "archive_sha256, archive_name, created_at, published_at) "
            f"VALUES ('gone', '1', 'agent:main:gone', 'deleted', 'identity', ?, ?, ?, 5, {published})",
            (data, hashlib.sha256(data).hexdigest(), name),
        )
        database.commit()
    folder = state / "agents/main/sessions"
    folder.mkdir(exist_ok=True)
    file = folder / ("gone.jsonl" if beside == "live" else name + (".zst" if beside == ".zst" else ""))
    file.write_bytes(b"" if beside == "empty" else zstandard.compress(data) if beside == ".zst" else data)
    assert cost_usd(state) - before == pytest.approx(100)
    assert rows(state, "SELECT count FROM problems WHERE code = 'leftover_transcript'") == [(1,)]


def test_a_leftover_file_that_grew_after_the_import_is_a_warning(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    state = own_state("sqlite-2026.9", tmp_path_factory, tmp_path)
    ((session_id, events),) = rows(state, "SELECT session_id, events FROM transcripts WHERE source = 'live' ORDER BY 1 LIMIT 1")
    lines = [event(str(number), cost=1) for number in range(events)]
    write_transcript(state, "main", f"{session_id}.jsonl", lines)
    assert rows(state, "SELECT code FROM problems WHERE code = 'leftover_grown'") == []
    write_transcript(state, "main", f"{session_id}.jsonl", [*lines, event("x", cost=1), event("y", cost=1)])
    assert rows(state, "SELECT severity, count FROM problems WHERE code = 'leftover_grown'") == [("warning", 2)]


def test_events_of_a_window_whose_session_is_gone_are_orphans(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    state = own_state("sqlite-2026.9", tmp_path_factory, tmp_path)
    with closing(sqlite3.connect(state / STORE)) as database:
        database.execute("DELETE FROM session_nodes WHERE session_key = 'agent:main:main'")
        database.commit()
    assert rows(state, "SELECT count(*) > 0 FROM transcripts WHERE is_orphan AND session_key IS NULL") == [(True,)]
    assert rows(state, "SELECT count(*) FROM transcripts WHERE session_key NOT IN (SELECT session_key FROM sessions)") == [(0,)]


def forks(state: Path, *headers: tuple[str, str, str]) -> None:
    """Write (agent, id, parent) forks, each with the same three events of a parent and one of its own, a dollar each."""
    shared = [event(f"a{number}", cost=1) for number in range(3)]
    for agent, name, parent in headers:
        lines = [header(name, parentSession=parent) if parent else header(name), *shared, event(f"{name}1", cost=1)]
        write_transcript(state, agent, f"{name}.jsonl", lines)


@pytest.mark.parametrize(
    ("headers", "true_usd"),
    [
        ([("main", "b", "/x/a.jsonl"), ("main", "c", "/x/a.jsonl")], 5),
        ([("main", "a", ""), ("main", "c", "/x/gone.jsonl"), ("main", "gone", "/x/a.jsonl")], 6),
        ([("main", "b", "/x/gone.jsonl"), ("ops", "c", "/x/gone.jsonl")], 5),
        ([("main", "a", ""), ("ops", "b", "/x/main/sessions/a.jsonl")], 5),
        ([("main", "b", "/x/c.jsonl"), ("main", "c", "/x/b.jsonl")], 5),
    ],
    ids=["of a parent that is gone", "a fork of a fork", "across agents, the parent gone", "across agents", "in a circle"],
)
def test_what_forks_share_counts_once(headers: list[tuple[str, str, str]], true_usd: int, tmp_path: Path) -> None:
    state = tmp_path / "state"
    for agent in {agent for agent, _, _ in headers}:
        write_store(
            state, agent, {f"agent:{agent}:{name}": {"sessionId": name, "updatedAt": 1} for other, name, _ in headers if other == agent}
        )
    forks(state, *headers)
    settle(state)
    assert cost_usd(state) == true_usd
    load(state, tmp_path / "m.duckdb", now_ms=NOW_MS)
    agent, name, _ = headers[0]
    (state / "agents" / agent / "sessions" / f"{name}.jsonl").unlink()
    load(state, tmp_path / "m.duckdb", now_ms=NOW_MS)
    with connect(tmp_path / "m.duckdb") as con:
        assert con.execute("SELECT sum(cost_microusd) / 1e6 FROM events WHERE NOT is_copy").fetchone() == (true_usd - 1,)


def test_a_cold_transcript_that_was_put_back_is_read(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    state = own_state("sqlite-2026.9", tmp_path_factory, tmp_path)
    cold = freeze(state / STORE, into="file")
    kept = cold.read_bytes()
    settle(state)
    whole = load(state, tmp_path / "whole.duckdb", now_ms=NOW_MS).events
    cold.unlink()
    assert load(state, tmp_path / "m.duckdb", now_ms=NOW_MS).events < whole
    cold.write_bytes(kept)
    settle(state, only_new=True)
    assert load(state, tmp_path / "m.duckdb", now_ms=NOW_MS).events == whole


def test_the_mirror_is_for_its_owner_only(state: Path, tmp_path: Path) -> None:
    load(state, tmp_path / "m.duckdb", now_ms=NOW_MS)
    assert (tmp_path / "m.duckdb").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("name", ["state/m.duckdb", "x" * 240, "caf\udce9.duckdb", "nowhere/m.duckdb"])
def test_a_mirror_that_cannot_lie_there_is_refused(name: str, state: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        load(state, tmp_path / name, now_ms=NOW_MS)
    with pytest.raises(UsageError):
        connect(tmp_path / name)


def test_a_mirror_that_duckdb_cannot_write_is_one_line(state: Path) -> None:
    with pytest.raises(UsageError, match="cannot be written"):
        load(state, Path("/proc/m.duckdb"), now_ms=NOW_MS)


def test_leftovers_go_though_the_name_looks_like_a_pattern(state: Path, tmp_path: Path) -> None:
    left = tmp_path / ".m[1].duckdb.999999999.tmp"
    left.write_bytes(b"")
    load(state, tmp_path / "m[1].duckdb", now_ms=NOW_MS)
    assert not left.exists()


def test_an_agent_whose_folder_is_not_utf8_is_loaded(state: Path, tmp_path: Path) -> None:
    (state / "agents/main").rename(os.fsdecode(os.fsencode(state) + b"/agents/caf\xe9"))
    for _ in range(2):
        assert load(state, tmp_path / "m.duckdb", now_ms=NOW_MS).events == 2


def test_what_lies_in_the_usual_folder_though_the_store_is_elsewhere_is_named(state: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (state / "agents/main/sessions/sessions.json").replace(elsewhere / "main.json")
    (state / "openclaw.json").write_text(f'{{"session": {{"store": "{elsewhere}/{{agentId}}.json"}}}}', encoding="utf-8")
    assert rows(state, "SELECT severity, count FROM problems WHERE code = 'usual_folder_ignored'") == [("warning", 1)]


def test_how_a_store_was_chosen_is_told_once(state: Path) -> None:
    (state / "agents" / "other").symlink_to("main")
    found = rows(state, "SELECT severity, message FROM problems WHERE code = 'store_choice'")
    assert found == [("warning", "agent other has the same store through a link: counted once")]
