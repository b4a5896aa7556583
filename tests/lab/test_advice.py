"""Advice: each rule at its threshold, its numbers, and the order of what to do."""

from __future__ import annotations

from typing import Any

import pytest

from sessionlab.keys import normalise
from sessionlab.lab import advice as rules
from sessionlab.lab.advice import Advice, advise_mirror
from sessionlab.lab.session import open_lab
from tests.lab.made_mirror import DAY_MS, NOW_MS, make, make_lively

HOUR_MS = DAY_MS // 24


def advise(**tables: list[dict[str, Any]]) -> tuple[Advice, ...]:
    with make(**tables) as con:
        return advise_mirror(con, now_ms=NOW_MS)


def fresh(number: int = 1, **more: Any) -> list[dict[str, Any]]:
    return [{"created_ms": NOW_MS, "updated_ms": NOW_MS, "entry_bytes": 10, **more} for _ in range(number)]


def test_a_sound_small_store_needs_nothing() -> None:
    assert advise(agents=[{"sessions": 3}], sessions=fresh(3), storage=[{"part": "store file", "bytes": 30}]) == ()


def test_an_empty_mirror_needs_nothing() -> None:
    assert advise() == ()


@pytest.mark.parametrize(("size", "speaks"), [(24, False), (25, True)])
def test_prompt_fields_from_a_quarter_of_the_bytes(size: int, speaks: bool) -> None:  # noqa: FBT001 - a table's column
    fields = [
        {"session_key": "a", "field": "skillsSnapshot", "bytes": size - 10},
        {"session_key": "a", "field": "systemPromptReport", "bytes": 10},
        {"session_key": "a", "field": "origin", "bytes": 100 - size},
    ]
    made = advise(sessions=fresh(session_key="a"), fields=fields)
    assert bool(made) == speaks
    if speaks:
        (only,) = made
        assert only.saves_bytes == 25
        assert only.evidence == "skillsSnapshot and systemPromptReport take 25 B, 25.0 % of all entry bytes."


@pytest.mark.parametrize(("old", "speaks"), [(9, False), (10, True)])
def test_cron_runs_from_ten_old_ones(old: int, speaks: bool) -> None:  # noqa: FBT001
    run = {"kind": "cron-run", "cron_job_id": "mail", "updated_ms": NOW_MS - 25 * HOUR_MS}
    made = advise(sessions=[*fresh(old, **run), *fresh(100)])
    assert bool(made) == speaks
    if speaks:
        assert made[0].saves_bytes == 100
        assert "10 run sessions are kept, 10 of them older than a day; the job mail has 10, 9.1 %" in made[0].evidence


@pytest.mark.parametrize(("runs", "others", "speaks"), [(10, 40, True), (10, 41, False), (9, 1, False)])
def test_cron_runs_from_a_fifth_of_the_sessions(runs: int, others: int, speaks: bool) -> None:  # noqa: FBT001
    made = advise(sessions=[*fresh(runs, kind="cron-run", cron_job_id="mail"), *fresh(others)])
    assert bool(made) == speaks
    assert all(one.saves_bytes == 0 for one in made), "none is older than a day: the sweep would free nothing yet"


@pytest.mark.parametrize(("fresh_ones", "speaks"), [(9, True), (10, False)])
def test_stale_sessions_from_a_tenth(fresh_ones: int, speaks: bool) -> None:  # noqa: FBT001
    old = {"updated_ms": NOW_MS - 31 * DAY_MS, "entry_bytes": 7, "transcript_bytes": 2048}
    made = advise(sessions=[*fresh(fresh_ones), *fresh(1, **old)])
    assert bool(made) == speaks
    if speaks:
        assert made[0].saves_bytes == 7
        assert made[0].evidence.startswith("1 of 10 sessions (10.0 %) was not updated for more than 30 days: 7 B of entries, and 2.0 KB")


def test_the_stale_threshold_is_the_callers() -> None:
    with make(sessions=fresh(1, updated_ms=NOW_MS - 20 * DAY_MS)) as con:
        assert advise_mirror(con, now_ms=NOW_MS) == ()
        (only,) = advise_mirror(con, now_ms=NOW_MS, stale_days=10)
    assert 'pruneAfter to "10d"' in only.action


def test_orphans_and_missing_transcripts() -> None:
    made = advise(
        sessions=fresh(1, is_transcript_missing=True),
        transcripts=[{"transcript_id": 1, "is_orphan": True, "bytes": 2048}, {"transcript_id": 2}],
    )
    assert [(one.title, one.saves_bytes) for one in made] == [
        ("Find out where missing transcripts went", 0),
        ("Archive transcripts that no session refers to", 2048),
    ]
    assert made[1].evidence == "1 orphaned transcript, 2.0 KB."


@pytest.mark.parametrize(
    ("part", "size", "other", "saves"),
    [
        ("import archive", 1, 99, 1),
        ("store backups", 1, 99, 1),
        ("store backups", 1, 100, None),
        ("transcript archives", 9, 91, None),
        ("transcript archives", 10, 90, 10),
        ("write-ahead log", rules.LOG_BYTES, rules.LOG_BYTES, rules.LOG_BYTES),
        ("write-ahead log", rules.LOG_BYTES - 1, 1, None),
        ("write-ahead log", rules.LOG_BYTES, rules.LOG_BYTES + 1, None),
    ],
)
def test_files_around_the_store(part: str, size: int, other: int, saves: int | None) -> None:
    made = advise(storage=[{"part": part, "bytes": size}, {"part": "store file", "bytes": other}])
    assert [one.saves_bytes for one in made] == ([] if saves is None else [saves])


def test_what_is_inside_the_store_is_not_taken_for_files() -> None:
    assert advise(storage=[{"part": "inside the store", "detail": "transcript archives", "bytes": 99}]) == ()


@pytest.mark.parametrize(
    ("kind", "size", "sessions", "speaks"),
    [
        ("json", rules.JSON_STORE_BYTES, 500, False),
        ("json", rules.JSON_STORE_BYTES + 1, 1, True),
        ("json", 1, 501, True),
        ("openclaw", rules.JSON_STORE_BYTES + 1, 501, False),
    ],
)
def test_a_json_store_that_is_rewritten_whole(kind: str, size: int, sessions: int, speaks: bool) -> None:  # noqa: FBT001
    made = advise(agents=[{"store_kind": kind, "store_bytes": size, "sessions": sessions}])
    assert bool(made) == speaks
    assert all(one.title == "Move the store of main off one JSON file" for one in made)


def test_the_heavier_matter_comes_first() -> None:
    storage = [{"part": "store file", "bytes": 900}, {"part": "import archive", "bytes": 80}, {"part": "store backups", "bytes": 20}]
    problems = [
        {"severity": "error", "code": "bad_entry"},
        {"severity": "warning", "code": "non_canonical_key", "session_key": "X", "agent_id": "main"},
    ]
    slow = {"sessions": rules.JSON_STORE_SESSIONS + 1}
    made = advise(agents=[slow], storage=storage, problems=problems)
    assert [one.title for one in made] == [
        "Look at the errors first",
        "Put away the originals of the SQLite import",
        "Move the store of main off one JSON file",
        "Mend keys that are not canonical",
        "Drop old backups of the store",
    ]
    assert made[0].evidence == "Found with severity error: 1 (bad_entry)."
    # In a SQLite store the same keys stop OpenClaw today.
    made = advise(agents=[{"store_kind": "openclaw"}], storage=storage, problems=problems[1:])
    assert made[0].title == "Mend keys that are not canonical"


def test_a_key_with_two_spellings_is_counted_once() -> None:
    other = "agent:main:matrix:direct:@azure"
    (only,) = advise(
        problems=[
            {"code": "non_canonical_key", "session_key": "agent:main:Signal:direct:1", "agent_id": "main"},
            {"code": "non_canonical_key", "session_key": other.replace("azure", "Azure"), "agent_id": "main"},
            {"code": "case_variant_keys", "session_key": other, "agent_id": "main", "count": 2},
        ]
    )
    assert only.evidence == "2 session keys are in a form that OpenClaw does not write itself; 1 session has more than one spelling."


def test_the_sample_has_two_such_keys_and_growth_comes_first() -> None:
    with open_lab() as lab:
        made = advise_mirror(lab.con, now_ms=lab.now_ms)
        odd = [key for (key,) in lab.con.execute("SELECT session_key FROM sessions").fetchall() if key != normalise(key)]
    assert len(odd) == 2
    (keys,) = [one for one in made if one.title.startswith("Mend keys")]
    assert keys.evidence.startswith("2 session keys are")
    assert [one.saves_bytes > 0 for one in made[:3]] == [True] * 3


def test_advice_on_keys_fits_the_store_that_holds_them() -> None:
    odd = [{"severity": "error", "code": "non_canonical_key", "session_key": "X", "agent_id": "main"}]
    (old,) = advise(agents=[{"store_kind": "json"}], problems=odd)
    (new,) = advise(agents=[{"store_kind": "openclaw"}], problems=odd)
    assert "Before an upgrade to 2026.8" in old.action
    assert "upgrade" not in new.action
    assert "SQLite store already" in new.action


def test_the_rest_is_ordered_by_what_it_saves() -> None:
    with make_lively() as con:
        made = advise_mirror(con, now_ms=NOW_MS)
        again = advise_mirror(con, now_ms=NOW_MS)
        home = advise_mirror(con, now_ms=NOW_MS, agent="home")
    assert made == again
    assert len(made) >= 8
    growth = [one.saves_bytes for one in made if one.weight != "broken now"]
    growth = growth[: growth.index(0)]
    assert len(growth) >= 4
    assert growth == sorted(growth, reverse=True)
    assert home != made
