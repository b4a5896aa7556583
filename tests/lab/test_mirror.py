"""The mirror: right about what a source holds, and never a writer of it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import duckdb
import pytest

from sessionlab import synth
from sessionlab.errors import UsageError
from sessionlab.lab import queries
from sessionlab.lab.connection import connect
from sessionlab.lab.mirror import load, load_into
from sessionlab.lab.session import open_lab
from tests.fixture_states import SQLITE_STATES, STATES, own_state, shared_state
from tests.lab.loaded_mirror import NOW_MS, SAMPLE, contents, from_scratch, loaded, look, scalar, sessions
from tests.lab.states import write_store


@pytest.fixture(scope="module")
def sample() -> Any:
    con = connect()
    load_into(con, SAMPLE, now_ms=NOW_MS)
    yield con
    con.close()


def test_the_samples_sessions_are_those_that_were_made(sample: duckdb.DuckDBPyConnection) -> None:
    truth = synth.read_truth(SAMPLE)
    kinds = sample.execute("SELECT agent_id, kind, count(*) FROM sessions GROUP BY ALL").fetchall()
    assert {agent: {k: n for a, k, n in kinds if a == agent} for agent in truth.agents} == {a: t.kinds for a, t in truth.agents.items()}
    agents = sample.execute(
        "SELECT agent_id, sessions, store_bytes, transcripts, transcript_bytes, archives, archive_bytes FROM agents"
    ).fetchall()
    assert sorted(agents) == sorted(
        (name, one.sessions, one.store_bytes, one.live.files, one.live.bytes, one.archives.files, one.archives.bytes)
        for name, one in truth.agents.items()
    )
    assert scalar(sample, "SELECT count(*) FROM transcripts WHERE is_orphan") == truth.orphans
    assert scalar(sample, "SELECT count(*) FROM sessions WHERE is_transcript_missing") == truth.missing_transcripts
    backups = sample.execute("SELECT sum(files), sum(bytes) FROM storage WHERE part = 'store backups'").fetchone()
    assert backups == (truth.backups, truth.backup_bytes)
    for days, expected in ((30, truth.stale_30d), (60, truth.stale_60d)):
        assert scalar(sample, "SELECT count(*) FROM sessions WHERE updated_ms < ?", NOW_MS - days * 86_400_000) == expected


@pytest.mark.parametrize("part", ["live", "archives", "everything"])
def test_the_samples_events_and_usage_are_those_that_were_made(sample: duckdb.DuckDBPyConnection, part: str) -> None:
    truth = getattr(synth.read_truth(SAMPLE), part)
    chosen = {"live": "source = 'live'", "archives": "source LIKE 'archive%'", "everything": "TRUE"}[part]
    events = f"(SELECT events.* FROM events JOIN transcripts USING (transcript_id) WHERE {chosen})"
    assert dict(sample.execute(f"SELECT type, count(*) FROM {events} GROUP BY 1").fetchall()) == truth.by_type
    assert dict(sample.execute(f"SELECT role, count(*) FROM {events} WHERE role IS NOT NULL GROUP BY 1").fetchall()) == truth.by_role
    sums = "sum(input_tokens), sum(output_tokens), sum(cache_read_tokens), sum(cache_write_tokens), sum(total_tokens), sum(cost_microusd)"
    call = "role = 'assistant' AND provider <> 'openclaw'"
    for usage, counted_once in ((truth.usage, True), (truth.naive_usage, False)):
        once = "AND NOT is_copy" if counted_once else ""
        row = sample.execute(f"SELECT {sums} FROM {events} WHERE {call} {once}").fetchone()
        assert row == (usage.input, usage.output, usage.cache_read, usage.cache_write, usage.total, usage.cost_microusd)
    assert scalar(sample, f"SELECT count(*) FROM {events}") == truth.events
    assert scalar(sample, f"SELECT count(*) FROM {events} WHERE {call} AND NOT is_copy") == truth.calls
    assert scalar(sample, f"SELECT count(*) FROM {events} WHERE is_copy") == truth.copied_events
    assert scalar(sample, f"SELECT count(*) FROM {events} WHERE {call} AND is_copy") == truth.copied_calls
    assert scalar(sample, f"SELECT count(*) FROM {events} WHERE provider = 'openclaw'") == truth.mirrors
    assert scalar(sample, f"SELECT count(*) FROM {events} WHERE is_error") == truth.tool_errors
    assert (
        scalar(sample, f"SELECT count(*) FROM {events} WHERE {call} AND cost_microusd IS NULL AND NOT is_copy") == truth.calls_without_cost
    )
    assert scalar(sample, f"SELECT coalesce(sum(bad_lines), 0) FROM transcripts WHERE {chosen}") == truth.bad_lines
    by_model = sample.execute(
        f"SELECT provider || '/' || model, count(*), {sums} FROM {events} WHERE {call} AND NOT is_copy GROUP BY 1"
    ).fetchall()
    assert {name: tuple(row) for name, *row in by_model} == {
        name: (m.calls, m.tokens.input, m.tokens.output, m.tokens.cache_read, m.tokens.cache_write, m.tokens.total, m.tokens.cost_microusd)
        for name, m in truth.by_model.items()
    }


def test_the_samples_flaws_are_its_problems(sample: duckdb.DuckDBPyConnection) -> None:
    flaws = synth.read_truth(SAMPLE).flaws
    rows = sample.execute("SELECT code, path, line, session_key, count FROM problems").fetchall()
    for code, name in (("bad_line", "bad_line"), ("unfinished_line", "unfinished_line")):
        found = [(path, line) for row_code, path, line, _, _ in rows if row_code == code]
        assert found == [(flaw.path, flaw.line) for flaw in flaws[name]]
    counts = {code: sum(count for row, *_, count in rows if row == code) for code in ("orphan_transcript", "missing_transcript")}
    assert counts == {"orphan_transcript": 3, "missing_transcript": 2}
    future = {key for code, _, _, key, _ in rows if code == "updated_in_future"}
    assert future == {key for flaw in flaws["future_updated_at"] for key in flaw.keys}


@pytest.mark.parametrize("name", [*STATES, "sample"])
def test_nothing_of_the_source_is_touched(name: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    state = SAMPLE if name == "sample" else shared_state(name, tmp_path_factory)
    before = look(state)
    for _ in range(2):
        loaded(state, tmp_path / "m.duckdb")
    with connect() as con:
        load_into(con, state, now_ms=NOW_MS)
    with open_lab(state, now_ms=NOW_MS) as lab:
        for query in queries.names():
            required = [param.name for param in queries.describe(query).params if param.required and param.name != "now_ms"]
            assert required == []
            lab.query(query)
    assert look(state) == before


def test_the_same_store_loaded_by_another_path_shows_its_paths_from_there(state: Path, tmp_path: Path) -> None:
    target = tmp_path / "m.duckdb"
    load(state, target, agent="main", now_ms=NOW_MS)
    agent_folder = state / "agents" / "main"
    load(agent_folder, target, now_ms=NOW_MS)
    with connect(target) as con:
        assert contents(con) == from_scratch(agent_folder)
        assert scalar(con, "SELECT path FROM problems WHERE code = 'bad_line'") == "sessions/x.jsonl"


def test_only_the_agent_asked_for_is_loaded(state: Path, tmp_path: Path) -> None:
    assert load(state, tmp_path / "m.duckdb", agent="ops", now_ms=NOW_MS).sessions == 2
    with pytest.raises(UsageError, match="there are main, ops"):
        load(state, tmp_path / "m.duckdb", agent="nobody", now_ms=NOW_MS)


@pytest.mark.parametrize("name", SQLITE_STATES)
def test_files_beside_a_database_that_hold_the_same_transcripts_count_once(
    name: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    state = own_state(name, tmp_path_factory, tmp_path)
    json_era = shared_state("json-2026.3", tmp_path_factory)
    for path in sessions(json_era).glob("*.jsonl"):
        shutil.copy(path, sessions(state))
    with connect() as con:
        load_into(con, state, now_ms=NOW_MS)
        assert scalar(con, "SELECT sum(cost_microusd) FROM events WHERE NOT is_copy") == 33_043_184
        assert scalar(con, "SELECT count FROM problems WHERE code = 'leftover_transcript'") == 60


@pytest.mark.parametrize("name", SQLITE_STATES)
def test_sessions_in_a_json_store_beside_the_database_are_reported_not_counted(
    name: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    state = own_state(name, tmp_path_factory, tmp_path)
    write_store(state, "main", {f"agent:main:direct:{n}": {"sessionId": f"n{n}"} for n in range(3)})
    with connect() as con:
        load_into(con, state, now_ms=NOW_MS)
        assert con.execute("SELECT severity, count FROM problems WHERE code = 'split_store'").fetchall() == [("error", 3)]
        assert scalar(con, "SELECT count(*) FROM sessions") == 65


def test_an_agent_whose_store_is_gone_is_a_problem_and_no_silence(tmp_path: Path) -> None:
    state = Path(shutil.copytree(SAMPLE, tmp_path / "state"))
    made = tmp_path / "m.duckdb"
    load(state, made, now_ms=NOW_MS)
    (state / "agents" / "ops" / "sessions" / "sessions.json").unlink()
    assert not load(state, made, now_ms=NOW_MS).is_unchanged
    with connect(made) as con:
        assert con.execute("SELECT agent_id, severity FROM problems WHERE code = 'agent_without_store'").fetchall() == [("ops", "error")]
        assert con.execute("SELECT count(*) FROM sessions WHERE agent_id = 'ops'").fetchall() == [(0,)]
