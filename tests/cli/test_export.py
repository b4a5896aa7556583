"""`sessionlab export`: words, JSON and exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.made_states import made_state, some_sessions
from tests.cli.program import one_line_error, printed_json, sessionlab
from tests.fixture_states import STORE, own_state, photo, shared_state
from tests.stores.changed_database import change


def test_dry_run_says_what_would_be_done_and_writes_nothing(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> None:
    state, to = shared_state("sqlite-2026.9", tmp_path_factory), tmp_path / "out"
    before = photo(state)
    done = sessionlab("export", "openclaw", state, "--to", to, "--dry-run")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[:2] == [f"would export {state} to {to}; nothing was written", "  agent main: 65 sessions, 64 transcripts"]
    document = printed_json(sessionlab("export", "openclaw", state, "--to", to, "--dry-run", "--json"))
    assert (document["dry_run"], document["target"]) == (True, str(to))
    assert [*tmp_path.iterdir()] == []
    assert photo(state) == before


def test_export_says_what_was_compared_and_what_to_do_next(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> None:
    state, to = shared_state("sqlite-2026.9", tmp_path_factory), tmp_path / "out"
    done = sessionlab("export", "openclaw", state, "--to", to)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[:3] == [
        f"exported {state} to {to}",
        "  65 sessions; every entry compared",
        "  64 transcripts with 3,669 events, 3,573 of them outside of archives; every event compared",
    ]
    assert lines[-1] == f"next: sessionlab check {to}"
    assert json.loads(sessionlab("check", to, "--json").stdout)["stores"][0]["sessions"] == 65
    assert "holds something already" in one_line_error(sessionlab("export", "openclaw", state, "--to", to), 2)


def test_what_is_set_aside_is_said_and_exits_with_3(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> None:
    state, to = own_state("sqlite-2026.8", tmp_path_factory, tmp_path), tmp_path / "out"
    key = "agent:main:discord:channel:leg1"
    change(state / STORE, f"UPDATE session_nodes SET entry_json = 'sk-secret' WHERE session_key = '{key}'")
    assert "--set-aside" in one_line_error(sessionlab("export", "openclaw", state, "--to", to), 3)
    assert not to.exists()
    done = sessionlab("export", "openclaw", state, "--to", to, "--set-aside", "--json")
    assert done.returncode == 3
    document = json.loads(done.stdout)
    assert ([one["name"] for one in document["set_aside"]], document["sessions"]) == ([key], 64)
    assert "sk-secret" not in done.stdout


def test_other_stores_are_refused_with_the_command_that_moves_them(tmp_path: Path) -> None:
    state = made_state(tmp_path / "a", "json", some_sessions())
    assert "sessionlab migrate" in one_line_error(sessionlab("export", "openclaw", state, "--to", tmp_path / "out"), 10)
    assert "'json' is not" in one_line_error(sessionlab("export", "json", state, "--to", tmp_path / "out"), 2)
