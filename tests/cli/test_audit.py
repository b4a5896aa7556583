"""`sessionlab audit`: verdict and exit code, by key and digest only, and nothing is written."""

from __future__ import annotations

import json
from pathlib import Path

from sessionlab.entry import canonical_digest
from sessionlab.stores import open_for_writing
from tests.cli.made_states import some_sessions, store_path
from tests.cli.program import one_line_error, printed_json, sessionlab
from tests.cli.test_rollback import moved
from tests.fixture_states import photo

SECRET = {"sessionId": "later", "updatedAt": 1_795_132_900_000, "token": "sk-planted-0123456789"}


def test_run_that_holds_is_zero(tmp_path: Path) -> None:
    run = moved(tmp_path, "json", "sqlite")
    before = photo(tmp_path)
    done = sessionlab("audit", run)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0].startswith("HOLDS: every session")
    assert "  now           3 sessions: 0 added, 0 changed, 0 removed" in lines
    assert lines[-1] == f"To roll back: sessionlab rollback {run}"
    found = printed_json(sessionlab("audit", run.name, "--state-dir", tmp_path, "--json"))
    assert (found["holds"], found["verdict"], found["contradictions"]) == (True, "holds", [])
    assert found["report"]["sessions"] == 3
    assert photo(tmp_path) == before


def test_session_that_was_added_is_listed_and_the_run_still_holds(tmp_path: Path) -> None:
    run = moved(tmp_path, "json", "directory")
    with open_for_writing(tmp_path) as store:
        store.put("agent:main:later", SECRET)
    before = photo(tmp_path)
    done = sessionlab("audit", run)
    assert done.returncode == 0
    assert f"  added         agent:main:later  {canonical_digest(SECRET).hex()}\n" in done.stdout
    assert "sk-planted" not in done.stdout
    assert photo(tmp_path) == before


def test_store_that_has_moved_on_is_one(tmp_path: Path) -> None:
    run = moved(tmp_path, "json", "sqlite")
    first, second, _ = some_sessions()
    with open_for_writing(tmp_path) as store:
        store.put(first, SECRET)
        store.delete(second)
    done = sessionlab("audit", run, "--json")
    found = json.loads(done.stdout)
    assert (done.returncode, found["holds"], found["verdict"]) == (1, False, "moved-on")
    assert ([one["key"] for one in found["changed"]], [one["key"] for one in found["removed"]]) == ([first], [second])
    assert "sk-planted" not in done.stdout
    assert sessionlab("rollback", run).returncode == 0
    back = sessionlab("audit", run)
    assert back.returncode == 1
    assert f"{store_path(tmp_path, 'json')} counts now" in back.stdout
    assert "To roll back" not in back.stdout


def test_folder_that_contradicts_itself_is_three(tmp_path: Path) -> None:
    run = moved(tmp_path, "json", "sqlite")
    report = run / "report.json"
    report.write_text(report.read_text().replace('"sessions": 3', '"sessions": 4'))
    done = sessionlab("audit", run)
    assert done.returncode == 3
    assert done.stdout.startswith("DOES NOT HOLD")
    assert "contradicts   report.json: " in done.stdout
    (run / "manifest.jsonl").write_text("{")
    assert "ends in the middle of a line" in one_line_error(sessionlab("audit", run), 3)


def test_no_such_run_is_ten(tmp_path: Path) -> None:
    assert "has no run 'nonsense'" in one_line_error(sessionlab("audit", "nonsense", "--state-dir", tmp_path), 10)
    assert "is no run folder" in one_line_error(sessionlab("audit", tmp_path), 10)
    assert "Missing argument" in one_line_error(sessionlab("audit"), 2)
    assert "RUN is blank" in one_line_error(sessionlab("audit", " "), 2)
