"""Real input: the three states that OpenClaw wrote show one set of facts, those of OpenClaw's own commands, and say how they differ."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import duckdb
import pytest

from sessionlab.lab import mirror, queries
from sessionlab.lab.connection import connect
from tests.fixture_states import STATES, expected, shared_state, truth

NOW_MS: Final = 1_795_132_800_000
JSON, SQLITE_8, SQLITE_9 = STATES
COST_WITH_ARCHIVES: Final = 33_043_184
COST_LIVE: Final = 31_959_292

Mirrors = dict[str, duckdb.DuckDBPyConnection]

SAME: Final = {
    "missing_transcript": ("warning", 1, 5),
    "legacy_field": ("info", 3, 15),
}
"""Code -> severity, rows, findings that every state shows."""

OF_IMPORT: Final = {
    "non_canonical_key": ("error", 3, 3),
    "route_lost": ("warning", 1, 5),
    "delivery_rewritten": ("info", 1, 65),
    "memory_flush_rewritten": ("info", 1, 29),
    "import_archive": ("info", 1, 61),
    "window_without_events": ("info", 1, 5),  # the five that have no transcript, as the database has it
}

PROBLEMS: Final = {
    JSON: {**SAME, "non_canonical_key": ("warning", 3, 3)},
    SQLITE_8: {**SAME, **OF_IMPORT},
    SQLITE_9: {**SAME, **OF_IMPORT},
}


@pytest.fixture(scope="module")
def mirrors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mirrors]:
    found = {}
    for name in STATES:
        found[name] = connect()
        mirror.load_into(found[name], shared_state(name, tmp_path_factory), now_ms=NOW_MS)
    yield found
    for con in found.values():
        con.close()


def answers(mirrors: Mirrors, sql: str) -> list[list[tuple[Any, ...]]]:
    return [con.execute(sql).fetchall() for con in mirrors.values()]


def shared(mirrors: Mirrors, sql: str) -> list[tuple[Any, ...]]:
    """Return the answer that all three give."""
    first, *others = answers(mirrors, sql)
    for name, other in zip(STATES[1:], others, strict=True):
        assert other == first, name
    return first


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT session_key, session_id, kind, created_ms, created_day, created_from, updated_ms, updated_day FROM sessions ORDER BY 1",
        "SELECT session_key, chat_type, status, label, model_provider, model, parent_key, cron_job_id FROM sessions ORDER BY 1",
        "SELECT session_key, input_tokens, output_tokens, total_tokens, context_tokens, compactions FROM sessions ORDER BY 1",
        "SELECT session_key, transcript_events, cost_microusd, is_transcript_missing, is_archived FROM sessions ORDER BY 1",
        "SELECT session_key, skills_snapshot_bytes > 0, system_prompt_report_bytes > 0, acp_bytes > 0 FROM sessions ORDER BY 1",
        "SELECT session_key, session_id, source, events, bad_lines, first_ms, last_ms, is_orphan FROM transcripts ORDER BY ALL",
        "SELECT source, type, role, tool, is_error, count(*) FROM events JOIN transcripts USING (transcript_id) GROUP BY ALL ORDER BY ALL",
        (
            "SELECT transcripts.session_id, source, seq, time_ms, event_day, input_tokens, output_tokens, cache_read_tokens, "
            "cache_write_tokens, total_tokens, cost_microusd, is_copy FROM events JOIN transcripts USING (transcript_id) ORDER BY 1, 2, 3"
        ),
        "SELECT model, count(*), sum(total_tokens), sum(cost_microusd) FROM events GROUP BY 1 ORDER BY 1",
    ],
)
def test_the_three_mirrors_agree(sql: str, mirrors: Mirrors) -> None:
    assert shared(mirrors, sql)


def test_every_sessions_channel_survives_the_rewrite_to_delivery(mirrors: Mirrors) -> None:
    rows = shared(mirrors, "SELECT channel, count(*) FROM sessions GROUP BY 1 ORDER BY 1")
    assert sum(count for _, count in rows) == 65
    assert len(rows) > 3
    shared(mirrors, "SELECT session_key, channel FROM sessions ORDER BY 1")


@pytest.mark.parametrize("name", STATES)
def test_totals_are_those_of_openclaws_own_usage_summary(name: str, mirrors: Mirrors) -> None:
    summary = expected("openclaw-cost-summary.json")["totals"]
    (usage,) = mirrors[name].execute(
        "SELECT sum(input_tokens), sum(output_tokens), sum(cache_read_tokens), sum(cache_write_tokens), sum(total_tokens), "
        "sum(cost_microusd) FROM events WHERE NOT is_copy"
    ).fetchall()  # fmt: skip
    assert usage[:5] == tuple(summary[part] for part in ("input", "output", "cacheRead", "cacheWrite", "totalTokens"))
    assert usage[5] == round(summary["totalCost"] * 1_000_000) == COST_WITH_ARCHIVES


@pytest.mark.parametrize("name", STATES)
def test_totals_without_archives_are_those_of_the_input(name: str, mirrors: Mirrors, tmp_path_factory: pytest.TempPathFactory) -> None:
    true = truth(tmp_path_factory)
    live = "(SELECT events.* FROM events JOIN transcripts USING (transcript_id) WHERE source = 'live')"
    row = mirrors[name].execute(
        "SELECT sum(input_tokens), sum(output_tokens), sum(cache_read_tokens), sum(cache_write_tokens), sum(cost_microusd), count(*), "
        "count(*) FILTER (type = 'message'), count(*) FILTER (role = 'user'), count(*) FILTER (role = 'assistant'), "
        "count(*) FILTER (role = 'toolResult'), count(*) FILTER (is_error), count(*) FILTER (type = 'compaction') "
        f"FROM {live}"
    ).fetchone()  # fmt: skip
    names = ("input", "output", "cacheRead", "cacheWrite", "cost_micro", "events", "messages", "user", "assistant", "toolResults")
    assert row == tuple(true[part] for part in (*names, "toolErrors", "compactions"))
    assert true["cost_micro"] == COST_LIVE
    agent = mirrors[name].execute("SELECT sessions, transcripts, archives FROM agents").fetchone()
    assert agent == (true["sessions"], true["transcripts"], 4)


@pytest.mark.parametrize("name", STATES)
def test_usage_by_model_is_that_of_the_input_but_for_the_provider_that_2026_9_renames(
    name: str, mirrors: Mirrors, tmp_path_factory: pytest.TempPathFactory
) -> None:
    parts = ("calls", "input", "output", "cacheRead", "cacheWrite", "cost_micro")
    wanted = {model: tuple(usage[part] for part in parts) for model, usage in truth(tmp_path_factory)["by_model"].items()}
    if name == SQLITE_9:
        renamed = wanted.pop("openai-codex/gpt-5.4")
        wanted["openai/gpt-5.4"] = tuple(one + other for one, other in zip(wanted["openai/gpt-5.4"], renamed, strict=True))
    rows = mirrors[name].execute(
        "SELECT provider || '/' || model, count(*), sum(input_tokens), sum(output_tokens), sum(cache_read_tokens), "
        "sum(cache_write_tokens), sum(cost_microusd) FROM events JOIN transcripts USING (transcript_id) "
        "WHERE source = 'live' AND role = 'assistant' GROUP BY 1"
    ).fetchall()  # fmt: skip
    assert {model: tuple(usage) for model, *usage in rows} == wanted


def test_bytes_of_the_json_state_are_those_of_its_files(mirrors: Mirrors, tmp_path_factory: pytest.TempPathFactory) -> None:
    true = truth(tmp_path_factory)
    row = mirrors[JSON].execute("SELECT store_bytes, transcript_bytes FROM agents").fetchone()
    assert row == (true["store_bytes"], true["transcript_bytes"])
    folder = shared_state(JSON, tmp_path_factory) / "agents/main/sessions"
    on_disk = sum(path.stat().st_size for path in folder.iterdir())
    assert mirrors[JSON].execute("SELECT sum(bytes) FROM storage").fetchone() == (on_disk,)
    # Entries, keys and punctuation add up to the file, but for its outer braces.
    (entries,) = mirrors[JSON].execute("SELECT sum(entry_bytes) FROM sessions").fetchone() or (0,)
    assert abs(entries - true["store_bytes"]) <= 8


@pytest.mark.parametrize("name", STATES)
def test_bytes_by_field_add_up_to_the_entries(name: str, mirrors: Mirrors) -> None:
    assert mirrors[name].execute(
        "SELECT count(*) FROM sessions JOIN (SELECT session_key, sum(bytes) AS total FROM fields GROUP BY 1) USING (session_key) "
        "WHERE total <> entry_bytes OR entry_bytes <> skills_snapshot_bytes + system_prompt_report_bytes + acp_bytes + other_bytes"
    ).fetchone() == (0,)  # fmt: skip


@pytest.mark.parametrize("name", STATES)
def test_sessions_are_those_that_openclaw_lists(name: str, mirrors: Mirrors) -> None:
    listed = expected("openclaw-2026.3.31-sessions.json")["sessions"]
    rows = (
        mirrors[name]
        .execute("SELECT session_key, updated_ms, session_id, input_tokens, output_tokens, total_tokens FROM sessions")
        .fetchall()
    )
    mine = {key: tuple(values) for key, *values in rows}
    assert mine.keys() == {one["key"] for one in listed}
    for one in listed:
        updated_ms, session_id, *tokens = mine[one["key"]]
        assert (updated_ms, session_id) == (one["updatedAt"], one["sessionId"])
        # OpenClaw lists no total that its entry marks as stale; the mirror keeps what the entry says.
        names = ("inputTokens", "outputTokens", *(("totalTokens",) if one["totalTokensFresh"] else ()))
        assert tokens[: len(names)] == [one.get(name) for name in names], one["key"]


@pytest.mark.parametrize("name", STATES)
def test_problems_say_exactly_what_differs(name: str, mirrors: Mirrors) -> None:
    rows = mirrors[name].execute("SELECT code, severity, count(*), sum(count) FROM problems GROUP BY 1, 2").fetchall()
    assert {code: tuple(found) for code, *found in rows} == PROBLEMS[name]


@pytest.mark.parametrize("name", STATES)
def test_every_problem_names_a_place_in_the_state_and_most_what_to_do(
    name: str, mirrors: Mirrors, tmp_path_factory: pytest.TempPathFactory
) -> None:
    state = shared_state(name, tmp_path_factory)
    for message, path, severity, advice in mirrors[name].execute("SELECT message, path, severity, advice FROM problems").fetchall():
        assert message
        assert "\n" not in message + advice
        assert not Path(path).is_absolute()
        assert (state / path).exists()
        assert advice or severity == "info"


@pytest.mark.parametrize("name", STATES)
@pytest.mark.parametrize("query", queries.names())
def test_every_query_answers_as_it_declares(name: str, query: str, mirrors: Mirrors) -> None:
    info = queries.describe(query)
    params = {param.name: NOW_MS for param in info.params if param.name == "now_ms"}
    frame = queries.run(mirrors[name], query, **params)
    assert list(frame.columns) == [column.name for column in info.columns]
    if query not in ("activity_daily", "orphans_and_missing"):
        assert len(frame)


def test_queries_on_shared_facts_answer_the_same(mirrors: Mirrors) -> None:
    for query in ("tokens_daily", "age_distribution", "stale_share", "cron_jobs", "cron_runs_daily", "usage_totals", "growth_daily"):
        params = {param.name: NOW_MS for param in queries.describe(query).params if param.name == "now_ms"}
        names = [column.name for column in queries.describe(query).columns if column.unit != "bytes"]
        found = [[{name: row[name] for name in names} for row in queries.as_rows(con, query, **params)] for con in mirrors.values()]
        assert found[0], query
        assert found[0] == found[1], query
        if query != "tokens_daily":  # it splits by provider, which 2026.9 renames
            assert found[0] == found[2], query
