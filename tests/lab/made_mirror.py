"""Mirrors made by hand for the tests of the analysis half: the real schema, rows that a test states, no loader."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Sequence
from importlib import resources
from typing import Any

import duckdb

DAY_MS = 86_400_000
NOW_MS = 1_795_132_800_000  # 2026-11-20T00:00:00Z
TODAY = dt.date(2026, 11, 20)

_DEFAULTS: dict[str, dict[str, Any]] = {
    "agents": {
        "agent_id": "main",
        "store_kind": "json",
        "store_path": "/state/agents/main/sessions/sessions.json",
        "store_bytes": 0,
        "sessions": 0,
        "transcripts": 0,
        "transcript_bytes": 0,
        "archives": 0,
        "archive_bytes": 0,
        "fingerprint": "0:",
        "snapshot_method": "read in place",
    },
    "sessions": {
        "agent_id": "main",
        "kind": "direct",
        "created_from": "transcript",
        "entry_bytes": 0,
        "skills_snapshot_bytes": 0,
        "system_prompt_report_bytes": 0,
        "acp_bytes": 0,
        "other_bytes": 0,
        "transcript_bytes": 0,
        "transcript_events": 0,
        "cost_microusd": 0,
        "is_transcript_missing": False,
        "is_archived": False,
    },
    "transcripts": {
        "agent_id": "main",
        "source": "live",
        "is_in_store": False,
        "bytes": 0,
        "mtime_ns": 0,
        "events": 0,
        "bad_lines": 0,
        "is_orphan": False,
    },
    "event_rows": {"seq": 0, "bytes": 0, "is_copy": False},
    "event_labels": {"type": "message"},
    "storage": {"agent_id": "main", "detail": "", "files": 1},
    "problems": {"severity": "warning", "message": "something is odd", "advice": "", "count": 1},
}


def day_of(ms: int) -> dt.date:
    return dt.date(1970, 1, 1) + dt.timedelta(days=ms // DAY_MS)


def make(**tables: Sequence[dict[str, Any]]) -> duckdb.DuckDBPyConnection:
    """Return an in-memory mirror of these rows; a column not stated takes a quiet default, days follow their times."""
    con = duckdb.connect()
    con.execute((resources.files("sessionlab.lab") / "schema.sql").read_text(encoding="utf-8"))
    stated = {name: rows for name, rows in tables.items() if name not in ("events", "fields")}
    if "events" in tables:
        stated |= _events_taken_apart(tables["events"])
    for table, listed in stated.items():
        rows: list[dict[str, Any]] = []
        for number, stated in enumerate(listed):
            row = _DEFAULTS[table] | stated
            if table == "sessions":
                row.setdefault("session_key", f"agent:{row['agent_id']}:{row['kind']}:{number}")
                row.setdefault("session_id", f"id-{number}")
                row["session_number"] = number
            if table == "transcripts":
                row.setdefault("path", f"/state/{row['transcript_id']}.jsonl")
            for time, day in (("created_ms", "created_day"), ("updated_ms", "updated_day")):
                if row.get(time) is not None:
                    row.setdefault(day, day_of(row[time]))
            rows.append(row)
        # Many rows a statement: one at a time is forty times as slow.
        columns = sorted({column for row in rows for column in row})
        for start in range(0, len(rows), 200):
            some = rows[start : start + 200]
            marks = ", ".join(f"({', '.join('?' * len(columns))})" for _ in some)
            values = [row.get(column) for row in some for column in columns]
            con.execute(f"INSERT INTO {table} ({', '.join(columns)}) VALUES {marks}", values)
    _insert_fields(con, tables.get("fields", ()))
    return con


def _insert_fields(con: duckdb.DuckDBPyConnection, fields: Sequence[dict[str, Any]]) -> None:
    """Insert rows of the tables that the view `fields` is made of; each session must have been stated."""
    known = con.execute("SELECT agent_id, session_key, session_number FROM sessions").fetchall()
    numbers = {(agent, key): number for agent, key, number in known}
    names = {name: number for number, name in enumerate(dict.fromkeys(row["field"] for row in fields))}
    if fields:
        con.executemany("INSERT INTO field_names VALUES (?, ?)", [(number, name) for name, number in names.items()])
        rows = [(numbers[row.get("agent_id", "main"), row["session_key"]], names[row["field"]], row["bytes"]) for row in fields]
        marks = ", ".join("(?, ?, ?)" for _ in rows)
        con.execute(f"INSERT INTO field_rows VALUES {marks}", [value for row in rows for value in row])


def _events_taken_apart(events: Sequence[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Return rows of the tables that the view `events` is made of; the agent and the session are the transcript's."""
    names = ("type", "role", "provider", "model", "tool", "is_error")
    labels: dict[tuple[Any, ...], int] = {}
    rows = []
    for event in events:
        label = labels.setdefault(tuple(event.get(name) for name in names), len(labels))
        rows.append({name: value for name, value in event.items() if name not in names} | {"label": label})
    texts = [
        {name: part for name, part in zip(names, label, strict=True) if part is not None} | {"label": code}
        for label, code in labels.items()
    ]
    return {"event_labels": texts, "event_rows": rows}


def make_lively(*, seed: int = 1, shuffle: int = 0) -> duckdb.DuckDBPyConnection:
    """Return a mirror with 240 sessions of 3 agents over 90 days in which every query has rows; `shuffle` reorders the rows only."""
    # One generator for the content and one for the order: the same content comes in any order.
    chance, order = random.Random(seed), random.Random(shuffle)
    sessions, transcripts, events, fields = [], [], [], []
    kinds = ["main", "direct", "group", "thread", "cron", "cron-run", "cron-run", "cron-run", "subagent", "hook", "other"]
    models = [("anthropic", "claude-sonnet-4-6", 9), ("openai", "gpt-5.4", 5), ("ollama", "qwen3:32b", 0), (None, None, None)]
    for number in range(240):
        agent, kind = ("main", "work", "home")[number % 3], kinds[chance.randrange(len(kinds))]
        job = f"job-{chance.randrange(11)}" if kind.startswith("cron") else None
        created = NOW_MS - int(90 * DAY_MS * chance.random() ** 1.3)
        updated = min(NOW_MS, created + chance.randrange(20 * DAY_MS))
        undated = number % 60 == 7
        key = f"agent:{agent}:{kind}:{number:04d}"
        sizes = {
            "skillsSnapshot": chance.randrange(20_000),
            "systemPromptReport": chance.randrange(25_000),
            "acp": chance.randrange(900) if kind == "subagent" else 0,
            "origin": chance.randrange(400),
            "deliveryContext": chance.randrange(300),
            "(key and punctuation)": 120,
        }
        sessions.append(
            {
                "agent_id": agent,
                "kind": kind,
                "session_key": key,
                "session_id": f"id-{number}",
                "cron_job_id": job,
                "created_ms": None if undated else created,
                "created_from": "unknown" if undated else "transcript",
                "updated_ms": None if undated else updated,
                "entry_bytes": sum(sizes.values()),
                "skills_snapshot_bytes": sizes["skillsSnapshot"],
                "system_prompt_report_bytes": sizes["systemPromptReport"],
                "acp_bytes": sizes["acp"],
                "other_bytes": sizes["origin"] + sizes["deliveryContext"] + 120,
                "transcript_bytes": 40_000,
                "is_transcript_missing": number % 50 == 3,
            }
        )
        fields += [{"agent_id": agent, "session_key": key, "field": name, "bytes": size} for name, size in sizes.items() if size]
        archived, orphan = number % 25 == 4, number % 40 == 9
        transcripts.append(
            {
                "transcript_id": number,
                "agent_id": agent,
                "session_key": None if archived or orphan else key,
                "session_id": f"id-{number}",
                "source": "archive-reset" if archived else "live",
                "bytes": 40_000,
                "events": 12,
                "bad_lines": 1 if number == 17 else 0,
                "is_orphan": orphan,
            }
        )
        for seq in range(12):
            provider, model, price = models[chance.randrange(len(models))]
            call = seq % 3 == 1
            tokens = chance.randrange(50, 4000)
            events.append(
                {
                    "transcript_id": number,
                    "seq": seq,
                    "time_ms": None if seq == 0 else created + seq * (updated - created) // 12,
                    "role": ("user", "assistant", "toolResult")[seq % 3],
                    "provider": provider if call else None,
                    "model": model if call else None,
                    "input_tokens": tokens if call else None,
                    "output_tokens": tokens // 5 if call else None,
                    "cache_read_tokens": 9 * tokens if call else None,
                    "cache_write_tokens": tokens if call else None,
                    "total_tokens": 11 * tokens + tokens // 5 if call else None,
                    "cost_microusd": tokens * price if call and price is not None else None,
                    "bytes": 300 + tokens % 700,
                    "is_copy": number % 30 == 5 and seq < 6,
                }
            )
    agents = [{"agent_id": name, "store_bytes": 3_000_000, "sessions": 80} for name in ("main", "work", "home")]
    parts = ("store file", "store backups", "transcripts", "transcript archives", "import archive", "other files")
    storage = [{"agent_id": name, "part": part, "bytes": 1000 * len(part) ** 3} for name in ("main", "work", "home") for part in parts]
    storage += [{"agent_id": "work", "part": "inside the store", "detail": detail, "bytes": 9000} for detail in ("entries", "transcripts")]
    problems = [
        {"severity": "error", "code": "bad_line", "path": "/state/17.jsonl", "line": 9, "agent_id": "main"},
        {"severity": "warning", "code": "non_canonical_key", "session_key": "Agent:Main:X", "agent_id": "main", "count": 2},
        {"severity": "info", "code": "legacy_field", "count": 40},
    ]
    rows: dict[str, list[dict[str, Any]]] = {
        "agents": agents,
        "sessions": sessions,
        "transcripts": transcripts,
        "events": events,
        "fields": fields,
        "storage": storage,
        "problems": problems,
    }
    if shuffle:
        for listed in rows.values():
            order.shuffle(listed)
    return make(**rows)
