"""What the queries answer, on mirrors small enough to be counted by hand."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import duckdb
import pytest

from sessionlab.lab import queries
from tests.lab.made_mirror import DAY_MS, NOW_MS, TODAY, make, make_lively


@pytest.fixture(scope="module")
def lively() -> Iterator[duckdb.DuckDBPyConnection]:
    with make_lively() as con:
        yield con


def rows(tables: dict[str, Any], name: str, **params: object) -> list[dict[str, Any]]:
    with make(**tables) as con:
        return queries.as_rows(con, name, **params)


def session(days_ago: float | None, size: int, **more: Any) -> dict[str, Any]:
    times = {} if days_ago is None else {"created_ms": int(NOW_MS - days_ago * DAY_MS), "updated_ms": int(NOW_MS - days_ago * DAY_MS)}
    return {"entry_bytes": size, **times, **more}


def call(transcript: int, tokens: int | None, cost: int | None, **more: Any) -> dict[str, Any]:
    counts = {f"{part}_tokens": tokens for part in ("input", "output", "cache_read", "cache_write")}
    total = None if tokens is None else 4 * tokens
    base = {"transcript_id": transcript, "role": "assistant", "provider": "openai", "model": "gpt-5.4", "time_ms": NOW_MS}
    return {**base, **counts, "total_tokens": total, "cost_microusd": cost, **more}


# --- growth


def test_growth_is_dense_and_ends_with_everything() -> None:
    made = {"sessions": [session(4, 10, kind="main"), session(2, 5), session(2, 7), session(0, 1, agent_id="work")]}
    found = rows(made, "growth_daily")
    assert len(found) == 5 * 3
    last = [
        (row["agent_id"], row["kind"], row["cumulative_sessions"], row["cumulative_bytes"]) for row in found if row["day"] == "2026-11-20"
    ]
    assert last == [("main", "direct", 2, 12), ("main", "main", 1, 10), ("work", "direct", 1, 1)]
    assert [row["created"] for row in found if (row["agent_id"], row["kind"]) == ("main", "direct")] == [0, 0, 2, 0, 0]


def test_growth_before_the_first_day_shown_is_not_lost() -> None:
    made = {"sessions": [session(9, 10), session(3, 5), session(1, 2)]}
    found = rows(made, "growth_daily", since_day=TODAY - dt.timedelta(days=4), until_day="2026-11-17")
    assert [(row["day"], row["cumulative_bytes"]) for row in found] == [("2026-11-16", 10), ("2026-11-17", 15)]


def test_growth_runs_up_to_the_clock() -> None:
    found = rows({"sessions": [session(3, 5)]}, "growth_daily", now_ms=NOW_MS)
    assert [row["day"] for row in found] == ["2026-11-17", "2026-11-18", "2026-11-19", "2026-11-20"]
    assert {row["cumulative_bytes"] for row in found} == {5}


def test_history_of_the_store_ends_with_the_stores_bytes() -> None:
    undated = {"entry_bytes": 100, "created_from": "unknown"}
    only_updated = {"entry_bytes": 7, "created_from": "updated", "updated_ms": NOW_MS - DAY_MS}
    future, ancient = session(-400, 30), session(9000, 1000)
    made = {"sessions": [undated, only_updated, future, ancient, session(2, 1)]}
    found = rows(made, "store_bytes_daily", now_ms=NOW_MS)
    assert len(found) == 3653, "ten years at most, whatever the dates say"
    assert (found[0]["added_bytes"], found[0]["added_sessions"]) == (1100, 2)
    assert [row["added_bytes"] for row in found[-3:]] == [1, 7, 30]
    assert found[-1]["cumulative_bytes"] == sum(row["entry_bytes"] for row in made["sessions"]) == 1138


def test_history_of_a_sqlite_store_counts_its_events_and_adds_up_to_its_files() -> None:
    made = {
        "agents": [{"store_kind": "openclaw", "store_bytes": 1000}],
        "sessions": [session(5, 30, session_key="a"), session(1, 70, session_key="b", kind="group")],
        "transcripts": [
            {"transcript_id": 1, "session_key": "a", "is_in_store": True},
            {"transcript_id": 2, "session_key": "b", "is_in_store": False},
            {"transcript_id": 3, "is_in_store": True},
        ],
        "events": [
            {"transcript_id": 1, "time_ms": NOW_MS - 3 * DAY_MS, "bytes": 100},
            {"transcript_id": 3, "time_ms": NOW_MS - 2 * DAY_MS, "bytes": 50},
            {"transcript_id": 2, "time_ms": NOW_MS - 2 * DAY_MS, "bytes": 9999},
        ],
    }
    found = rows(made, "store_bytes_daily", now_ms=NOW_MS)
    # 250 bytes of content in files of 1000: everything counts four times.
    assert [row["added_bytes"] for row in found] == [120, 0, 400, 200, 280, 0]
    assert [row["added_sessions"] for row in found] == [1, 0, 0, 0, 1, 0]
    assert found[-1]["cumulative_bytes"] == 1000
    assert sum(row["added_bytes"] for row in rows(made, "store_bytes_daily", now_ms=NOW_MS, kind="group")) == 280


def test_a_store_without_any_date_is_counted_too() -> None:
    made = {"sessions": [{"entry_bytes": 4, "created_from": "unknown"}]}
    assert rows(made, "store_bytes_daily", now_ms=NOW_MS) == [
        {"day": "2026-11-20", "added_sessions": 1, "added_bytes": 4, "cumulative_bytes": 4}
    ]
    assert [row["cumulative_bytes"] for row in rows(made, "store_bytes_daily")] == [4]


def test_cumulative_totals_agree_across_queries(lively: duckdb.DuckDBPyConnection) -> None:
    (overview,) = queries.as_rows(lively, "overview")
    growth = queries.as_rows(lively, "growth_daily", now_ms=NOW_MS)
    end = [row for row in growth if row["day"] == growth[-1]["day"]]
    history = queries.as_rows(lively, "store_bytes_daily", now_ms=NOW_MS)
    assert sum(row["cumulative_sessions"] for row in end) == overview["sessions"] == 240
    assert sum(row["cumulative_bytes"] for row in end) == history[-1]["cumulative_bytes"] == overview["entry_bytes"]
    for name, column in (("bytes_by_field", "bytes"), ("bytes_by_kind", "entry_bytes"), ("size_tree", "bytes")):
        assert sum(row[column] for row in queries.as_rows(lively, name)) == overview["entry_bytes"], name
    assert sum(row["sessions"] for row in queries.as_rows(lively, "size_distribution")) == 240
    assert sum(row["sessions"] for row in queries.as_rows(lively, "age_distribution", now_ms=NOW_MS)) == 240
    cron = queries.as_rows(lively, "cron_jobs", now_ms=NOW_MS)
    piled = queries.as_rows(lively, "cron_runs_daily", now_ms=NOW_MS, limit=2)
    assert sum(row["runs_kept"] for row in cron) == overview["cron_run_sessions"]
    assert sum(row["cumulative_runs"] for row in piled if row["day"] == piled[-1]["day"]) == overview["cron_run_sessions"]
    assert {row["cron_job_id"] for row in piled} > {"(other jobs)"}


def test_activity_counts_sessions_once_and_no_copies() -> None:
    made = {
        "sessions": [{"session_key": "a", "kind": "group"}, {"session_key": "b", "kind": "group"}],
        "transcripts": [
            {"transcript_id": 1, "session_key": "a"},
            {"transcript_id": 2, "session_key": "a"},
            {"transcript_id": 3, "session_key": "b"},
            {"transcript_id": 4, "session_id": "gone", "source": "archive-reset"},
        ],
        "events": [{"transcript_id": number, "time_ms": NOW_MS, "bytes": 10} for number in (1, 1, 2, 4)]
        + [{"transcript_id": 3, "time_ms": NOW_MS, "bytes": 10, "is_copy": True}, {"transcript_id": 3, "bytes": 10}],
    }
    found = rows(made, "activity_daily")
    assert [(row["kind"], row["active_sessions"], row["events"], row["event_bytes"]) for row in found] == [
        ("(no session)", 1, 1, 10),
        ("group", 1, 3, 30),
    ]
    assert len(rows(made, "activity_daily", kind="group")) == 1


# --- size and age


def test_biggest_sessions_are_ranked_with_ties_by_key() -> None:
    made = {"sessions": [session(1, 5, session_key="b"), session(1, 9, session_key="c"), session(1, 5, session_key="a"), session(1, 1)]}
    found = rows(made, "biggest_sessions", limit=3)
    assert [(row["rank"], row["session_key"], row["share"]) for row in found] == [(1, "c", 0.45), (2, "a", 0.25), (3, "b", 0.25)]


def test_size_buckets_are_half_open_powers_of_two() -> None:
    found = rows({"sessions": [session(1, size) for size in (0, 1, 2, 15, 16, 31)]}, "size_distribution")
    assert [(row["low_bytes"], row["high_bytes"], row["sessions"]) for row in found] == [
        (0, 2, 2),
        (2, 4, 1),
        (4, 8, 0),
        (8, 16, 1),
        (16, 32, 2),
    ]


def test_age_buckets_and_their_bounds() -> None:
    edge = [0, 0.999, 1, 6.999, 7, 29.999, 30, 60, 90, 400, None, -0.001]
    found = rows({"sessions": [session(days, 1) for days in edge]}, "age_distribution", now_ms=NOW_MS)
    assert [row["sessions"] for row in found] == [2, 2, 2, 1, 1, 2, 1, 1]


def test_stale_is_more_than_the_days_and_never_unknown() -> None:
    made = {"sessions": [session(30, 1), session(30.001, 10, transcript_bytes=3), session(None, 100), session(5, 1000)]}
    (row,) = rows(made, "stale_share", now_ms=NOW_MS)
    assert (row["stale_sessions"], row["stale_bytes"], row["stale_transcript_bytes"], row["unknown_sessions"]) == (1, 10, 3, 1)
    assert row["stale_share"] == 0.25
    (row,) = rows(made, "stale_share", now_ms=NOW_MS, stale_days=4)
    assert row["stale_sessions"] == 3


def test_fields_add_up_per_agent_kind_and_field() -> None:
    made = {
        "sessions": [session(1, 9, session_key="a"), session(1, 5, session_key="a", agent_id="work", kind="group")],
        "fields": [
            {"session_key": "a", "field": "acp", "bytes": 6},
            {"session_key": "a", "field": "label", "bytes": 3},
            {"session_key": "a", "field": "acp", "bytes": 5, "agent_id": "work"},
        ],
    }
    tree = rows(made, "size_tree")
    assert [(row["agent_id"], row["kind"], row["field"], row["bytes"]) for row in tree] == [
        ("main", "direct", "acp", 6),
        ("main", "direct", "label", 3),
        ("work", "group", "acp", 5),
    ]
    assert [(row["field"], row["sessions"], row["bytes"]) for row in rows(made, "bytes_by_field")] == [("acp", 2, 11), ("label", 1, 3)]
    assert [row["bytes"] for row in rows(made, "bytes_by_field", kind="group")] == [5]


# --- use


USAGE: dict[str, list[dict[str, Any]]] = {
    "sessions": [{"session_key": "a", "kind": "group"}],
    "transcripts": [
        {"transcript_id": 1, "session_key": "a"},
        {"transcript_id": 2, "source": "cold", "is_orphan": True},
        {"transcript_id": 3, "source": "archive-deleted"},
    ],
    "events": [
        call(1, 10, 5),
        call(1, 10, None),
        call(1, 3, 2, is_copy=True),
        call(1, 0, 0, provider="openclaw", model="delivery-mirror"),
        call(1, None, None),
        {"transcript_id": 1, "role": "user", "time_ms": NOW_MS},
        call(2, 100, 50, provider=None, model=None, time_ms=None),
        call(3, 1000, 500, time_ms=NOW_MS - DAY_MS, total_tokens=None),
    ],
}


def test_usage_totals_count_every_call_once() -> None:
    found = {row["scope"]: row for row in rows(USAGE, "usage_totals")}
    assert {scope: (row["calls"], row["total_tokens"], row["cost_microusd"]) for scope, row in found.items()} == {
        "all": (4, 4480, 555),
        "archives": (1, 4000, 500),
        "transcripts": (3, 480, 55),
    }
    assert found["all"]["input_tokens"] == found["all"]["cache_write_tokens"] == 1120
    assert (found["all"]["missing_cost_entries"], found["all"]["undated_calls"]) == (1, 1)


def test_usage_by_day_and_model_adds_up_to_the_totals() -> None:
    daily, models = rows(USAGE, "tokens_daily"), rows(USAGE, "tokens_by_model")
    assert [(row["day"], row["calls"], row["total_tokens"]) for row in daily] == [("2026-11-19", 1, 4000), ("2026-11-20", 2, 80)]
    assert [(row["provider"], row["model"], row["calls"], row["cost_microusd"]) for row in models] == [
        ("openai", "gpt-5.4", 3, 505),
        ("(unknown)", "(unknown)", 1, 50),
    ]
    assert [row["calls"] for row in rows(USAGE, "tokens_by_model", kind="group")] == [2]
    (overview,) = rows(USAGE, "overview")
    assert (overview["calls"], overview["total_tokens"], overview["cost_microusd"]) == (4, 4480, 555)
    assert (overview["events"], overview["copied_events"]) == (7, 1)


# --- cron, files, problems


def test_cron_jobs_count_runs_not_the_jobs_own_session() -> None:
    run = {"kind": "cron-run", "cron_job_id": "mail"}
    made = {
        "sessions": [
            session(0.5, 1, **run),
            session(3, 10, **run),
            session(9, 100, **run, transcript_bytes=4),
            session(9, 1000, kind="cron", cron_job_id="mail", transcript_bytes=50, cost_microusd=7),
            session(1, 7, kind="main"),
        ]
    }
    (row,) = rows(made, "cron_jobs", now_ms=NOW_MS)
    assert (row["runs_kept"], row["runs_last_7_days"], row["runs_older_than_1_day"], row["bytes_older_than_1_day"]) == (3, 2, 2, 110)
    assert (row["first_run_day"], row["last_run_day"], row["entry_bytes"], row["transcript_bytes"]) == ("2026-11-11", "2026-11-19", 111, 4)
    assert row["cost_microusd"] == 0
    assert row["share_of_sessions"] == 0.6


def test_storage_details_do_not_count_twice() -> None:
    made = {
        "storage": [
            {"part": "store file", "bytes": 75},
            {"part": "transcripts", "bytes": 25, "files": 3},
            {"part": "inside the store", "detail": "events", "bytes": 60},
            {"part": "inside the store", "detail": "entries", "bytes": 15},
        ]
    }
    found = rows(made, "storage_parts")
    assert [(row["part"], row["detail"], row["share"], row["is_detail"]) for row in found] == [
        ("store file", "", 0.75, False),
        ("transcripts", "", 0.25, False),
        ("inside the store", "events", 0.8, True),
        ("inside the store", "entries", 0.2, True),
    ]


def test_orphans_and_missing_are_counted_per_agent() -> None:
    made = {
        "agents": [{"agent_id": "main"}, {"agent_id": "empty"}],
        "sessions": [session(1, 1, is_transcript_missing=True), session(1, 1, session_id=None)],
        "transcripts": [
            {"transcript_id": 1, "is_orphan": True, "bytes": 9},
            {"transcript_id": 2, "bad_lines": 4},
            {"transcript_id": 3, "source": "archive-reset"},
        ],
    }
    empty, main = rows(made, "orphans_and_missing")
    assert (empty["agent_id"], empty["sessions"]) == ("empty", 0)
    assert list(main.values()) == ["main", 2, 1, 1, 2, 1, 9, 1, 4]
    assert [(row["source"], row["transcripts"], row["bad_lines"]) for row in rows(made, "transcripts_by_source")] == [
        ("archive-reset", 1, 0),
        ("live", 2, 4),
    ]


def test_problems_come_worst_first() -> None:
    made = {
        "problems": [
            {"severity": "info", "code": "a"},
            {"severity": "warning", "code": "b", "count": 2},
            {"severity": "warning", "code": "c", "count": 5},
            {"severity": "error", "code": "d", "agent_id": "main"},
        ]
    }
    assert [row["code"] for row in rows(made, "problems")] == ["d", "c", "b", "a"]
    assert [row["code"] for row in rows(made, "problems", severity="warning")] == ["c", "b"]
    assert [row["code"] for row in rows(made, "problems", agent="main")] == ["d"]
