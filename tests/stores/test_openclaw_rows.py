"""Damaged pages and hostile rows in OpenClaw's table of sessions: told, never passed over."""

from __future__ import annotations

import json
import os
import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from sessionlab.errors import CorruptStoreError, InvalidJSONError
from sessionlab.stores.openclaw import OpenClawStore
from tests.fixture_states import STORE, own_state
from tests.stores.changed_database import Change, change, checked


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
