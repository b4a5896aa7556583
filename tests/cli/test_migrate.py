"""`sessionlab migrate`: what it prints where, what it exits with, and that a dry run writes nothing."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from sessionlab.cli.moving import with_rate
from sessionlab.stores import open_store
from tests.cli.made_states import KINDS, made_state, some_sessions, store_path
from tests.cli.program import ROOT, one_line_error, printed_json, sessionlab
from tests.cli.test_store_info import COUNTING_READS, WITHOUT_DRIVER, configured, sessionlab_after
from tests.fixture_states import SQLITE_STATES, own_state, photo

PAIRS = [(old, new) for old in KINDS for new in KINDS if old != new]
LABELS = {"json": "JSON", "sqlite": "SQLite", "directory": "Directory"}
SECRET = "sk-planted-0123456789"
INTERRUPTED_AT_MOVED = """
from sessionlab.migration import startup
real = startup.migrate_one
def interrupted(location, *arguments, **options):
    if location.agent_id == "moved":
        raise KeyboardInterrupt
    return real(location, *arguments, **options)
startup.migrate_one = interrupted
"""


def content(state: Path, agent: str = "main") -> tuple[str, dict[str, Any]]:
    with open_store(state, agent=agent) as store:
        return store.kind, dict(store.items())


def three_agents(state: Path) -> Path:
    """Make a state folder with a store that moves, one that holds nothing, one that is moved, and one that cannot be."""
    made_state(state, "json", some_sessions())
    made_state(state, "json", {}, agent="empty")
    made_state(state, "sqlite", some_sessions(agent="moved", count=2), agent="moved")
    made_state(state, "json", {}, agent="torn")
    store_path(state, "json", agent="torn").write_text('{"agent:torn:a": {"sessionId"')
    return state


@pytest.mark.parametrize(("old", "new"), PAIRS)
def test_sessions_are_moved_and_the_lines_say_so(tmp_path: Path, old: str, new: str) -> None:
    """B.32, B.34, B.36: heading, label, closing lines, tip and the way back."""
    state = made_state(tmp_path, old, some_sessions())
    done = sessionlab("migrate", state, "--to", new)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == "Session Store Migration"
    assert "MIGRATED  main: Migrated 3 sessions" in lines
    assert "Migrated 3 sessions across 1 agent(s)." in lines
    assert any("session.storeType" in line for line in lines) == (new != "json")
    assert any("OpenClaw itself does not read" in line for line in lines) == (old == "json")
    (run,) = (state / ".sessionlab" / "runs").iterdir()
    assert lines[-1] == f"To roll back: sessionlab rollback {run}"
    assert content(state) == (new, some_sessions())


@pytest.mark.parametrize(("old", "new", "option"), [*((*pair, "--dry-run") for pair in PAIRS), ("json", "sqlite", "--rehearse")])
def test_dry_run_and_rehearsal_write_nothing(tmp_path: Path, old: str, new: str, option: str) -> None:
    """B.38: no database, no directory, no mode change. B.34: what it would do."""
    state = made_state(tmp_path, old, some_sessions())
    before = photo(tmp_path)
    done = sessionlab("migrate", state, "--to", new, option)
    assert (done.returncode, done.stderr) == (0, "")
    assert photo(tmp_path) == before
    source, target = store_path(state, old), store_path(state, new)
    assert f"SKIPPED   main: Would migrate sessions from {source} to {target}\n" in done.stdout
    assert "  sessions      3 from 3 entries: 3 move\n" in done.stdout
    assert "needed at most" in done.stdout
    assert done.stdout.endswith(f"Skipped 1 agent(s) ({LABELS[new]} already populated or dry-run mode).\n")
    assert ("rolled back in" in done.stdout and "the same sessions came back" in done.stdout) == (option == "--rehearse")


def test_json_has_the_documented_names_and_ours(tmp_path: Path) -> None:
    """B.33, B.35."""
    state = made_state(tmp_path, "json", some_sessions())
    planned = printed_json(sessionlab("migrate", state, "--to", "sqlite", "--dry-run", "--json"))
    (result,) = planned["results"]
    documented = ["agentId", "jsonPath", "sqlitePath", "status", "migratedCount", "existingSqliteCount", "message"]
    assert list(result)[: len(documented)] == documented
    assert (result["status"], result["migratedCount"], planned["success"], planned["dryRun"]) == ("skipped", 0, True, True)
    assert result["plan"]["actions"] == {"move": 3}
    assert result["plan"]["retiredPath"] == result["jsonPath"]
    done = printed_json(sessionlab("migrate", state, "--to", "sqlite", "--json"))
    (result,) = done["results"]
    assert {name: result[name] for name in documented} == {
        "agentId": "main",
        "jsonPath": str(store_path(state, "json")),
        "sqlitePath": str(store_path(state, "sqlite")),
        "status": "migrated",
        "migratedCount": 3,
        "existingSqliteCount": 0,
        "message": "Migrated 3 sessions",
    }
    with open_store(state) as store:
        assert result["sha256"] == store.fingerprint().sha256
    assert result["wayBack"] == f"sessionlab rollback {result['runDir']}"
    assert (Path(result["runDir"]) / "report.json").is_file()
    again = printed_json(sessionlab("migrate", state, "--to", "sqlite", "--json"))["results"][0]
    assert (again["status"], again["existingSqliteCount"], again["message"]) == ("skipped", 3, "SQLite store already has 3 sessions")
    rehearsed = printed_json(sessionlab("migrate", state, "--to", "directory", "--rehearse", "--json"))["results"][0]
    assert rehearsed["rehearsal"]["comesBack"]
    assert rehearsed["rehearsal"]["sha256"] == result["sha256"]


def test_all_agents_are_moved_each_for_itself(tmp_path: Path) -> None:
    """B.32, B.36, B.37, C.41: the one that fails is told on stderr, and keeps its exit code."""
    state = three_agents(tmp_path)
    torn = store_path(state, "json", agent="torn")
    done = sessionlab("migrate", state, "--to", "sqlite", "--all-agents")
    assert done.returncode == 3
    assert done.stderr.startswith(f"sessionlab: {torn}: ")
    assert len(done.stderr.splitlines()) == 1
    lines = done.stdout.splitlines()
    for line in (
        "NO_DATA   empty: No sessions to migrate",
        "MIGRATED  main: Migrated 3 sessions",
        "SKIPPED   moved: SQLite store already has 2 sessions",
        "Migrated 3 sessions across 1 agent(s).",
        "Skipped 1 agent(s) (SQLite already populated or dry-run mode).",
        "1 agent(s) had no sessions to migrate.",
        "1 agent(s) failed to migrate.",
    ):
        assert line in lines
    assert f"FAILED    torn: {torn}: " in done.stdout
    summary = next(line for line in lines if line.startswith("session-store migration summary: "))
    assert "inspected=4 migrated=1 already_sqlite=1 skipped_empty=1 skipped_invalid=1 missing=0 failed=0; issues: " in summary
    found = sessionlab("migrate", state, "--to", "sqlite", "--all-agents", "--json")
    document = json.loads(found.stdout)
    assert (found.returncode, document["success"]) == (3, False)
    assert [one["status"] for one in document["results"]] == ["no_data", "skipped", "skipped", "failed"]
    assert document["results"][3]["error"]["exit_code"] == 3


def test_whoever_interrupts_is_told_what_was_done(tmp_path: Path) -> None:
    state = three_agents(tmp_path)
    done = sessionlab_after(INTERRUPTED_AT_MOVED, "migrate", state, "--to", "directory", "--all-agents")
    assert done.returncode == 130
    assert "MIGRATED  main: Migrated 3 sessions\n" in done.stdout
    assert "To roll back: sessionlab rollback " in done.stdout
    assert (content(state)[0], content(state, "moved")[0]) == ("directory", "sqlite")


def test_default_target_is_the_default_agent(tmp_path: Path) -> None:
    """B.32."""
    state = made_state(made_state(tmp_path, "json", some_sessions()), "json", some_sessions(agent="ops"), agent="ops")
    sessionlab("migrate", state, "--to", "sqlite")
    assert (content(state)[0], content(state, "ops")[0]) == ("sqlite", "json")
    done = sessionlab("migrate", state, "--to", "directory", "--dry-run")
    assert "Other agents were left alone: ops. --all-agents moves theirs, too.\n" in done.stdout
    assert sessionlab("migrate", state, "--to", "directory", "--agent", "ops").returncode == 0
    assert (content(state)[0], content(state, "ops")[0]) == ("sqlite", "directory")
    assert "has no store of agent 'nobody'" in one_line_error(sessionlab("migrate", state, "--to", "json", "--agent", "nobody"), 10)


def test_kind_is_that_of_the_configuration_unless_it_is_given(tmp_path: Path) -> None:
    """B.41: the configuration is read once."""
    state = made_state(tmp_path, "json", some_sessions())
    assert "say what to move to with --to" in one_line_error(sessionlab("migrate", state), 2)
    configured(state, '{"session": {"storeType": "directory"}}')
    for more in ([], ["--all-agents"]):
        done = sessionlab_after(COUNTING_READS, "migrate", state, "--dry-run", *more)
        assert done.stderr == "read\n"
        assert f"to {store_path(state, 'directory')}\n" in done.stdout
    done = sessionlab("migrate", state)
    assert "Tip" not in done.stdout
    assert content(state)[0] == "directory"
    assert "Tip" in sessionlab("migrate", state, "--to", "sqlite").stdout


@pytest.mark.parametrize(
    "more",
    [["--store", "x", "--agent", "a"], ["--store", "x", "--all-agents"], ["--store", "x", "."], ["--store", "x", "--state-dir", "."]],
    ids=lambda more: more[-1] if isinstance(more, list) else "",
)
def test_store_excludes_what_else_names_one(more: list[str]) -> None:
    """B.32."""
    assert "leave PATH, --state-dir, --agent and --all-agents out" in one_line_error(sessionlab("migrate", "--to", "json", *more), 2)


def test_options_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    state = made_state(tmp_path, "json", some_sessions())
    assert "only one of" in one_line_error(sessionlab("migrate", state, "--to", "sqlite", "--agent", "a", "--all-agents"), 2)
    assert "only one of" in one_line_error(sessionlab("migrate", state, "--to", "sqlite", "--dry-run", "--rehearse"), 2)
    assert "is not one of" in one_line_error(sessionlab("migrate", state, "--to", "openclaw"), 2)
    assert "give it as PATH" in one_line_error(sessionlab("migrate", "--store", state, "--to", "sqlite"), 2)
    assert "--store is blank" in one_line_error(sessionlab("migrate", "--store", " ", "--to", "sqlite"), 2)
    assert "there is no such" in one_line_error(sessionlab("migrate", tmp_path / "gone", "--to", "sqlite"), 10)


def test_store_may_be_named_by_the_file_that_it_was(tmp_path: Path) -> None:
    state = made_state(tmp_path, "json", some_sessions())
    file = store_path(state, "json")
    assert sessionlab("migrate", "--store", file, "--to", "directory").returncode == 0
    assert "already has 3 sessions" in sessionlab("migrate", "--store", file, "--to", "directory").stdout
    assert sessionlab("migrate", "--store", file, "--to", "sqlite").returncode == 0
    assert content(state) == ("sqlite", some_sessions())


def test_file_that_does_not_count_is_never_moved(tmp_path: Path) -> None:
    """B.30: an older source never goes over newer rows."""
    state = made_state(tmp_path, "json", some_sessions())
    file = store_path(state, "json")
    assert sessionlab("migrate", state, "--to", "sqlite").returncode == 0
    before = photo(state)
    for place in (["--store", file], [file]):
        line = one_line_error(sessionlab("migrate", *place, "--to", "directory"), 2)
        assert f"{file}: does not count, {store_path(state, 'sqlite')} does" in line
    file.write_text(json.dumps(some_sessions(count=1)))
    done = sessionlab("migrate", state, "--to", "directory")
    assert (done.returncode, "FAILED    main: " in done.stdout) == (4, True)
    assert "two stores hold sessions" in done.stderr
    assert {name: seen for name, seen in photo(state).items() if name != str(file.relative_to(state))} == {
        name: seen for name, seen in before.items() if name != str(file.relative_to(state))
    }


def test_entry_that_cannot_be_read_stops_all_unless_it_is_set_aside(tmp_path: Path) -> None:
    """B.37: exit code 3, and the entry is named by key, line and reason; never by its value."""
    state = made_state(tmp_path, "json", {})
    text = f'{{\n  "agent:main:good": {{"sessionId": "g", "token": "{SECRET}"}},\n  "agent:main:bad": {{"token": "{SECRET}", "x": NaN}}\n}}'
    store_path(state, "json").write_text(text)
    before = photo(state)
    done = sessionlab("migrate", state, "--to", "sqlite")
    assert done.returncode == 3
    assert "FAILED    main: " in done.stdout
    assert "'agent:main:bad'" in done.stderr
    assert "--set-aside" in done.stderr
    assert photo(state) == before
    planned = sessionlab("migrate", state, "--to", "sqlite", "--set-aside", "--dry-run")
    assert planned.returncode == 0
    assert "  set-aside     line 3: agent:main:bad: " in planned.stdout
    moved = sessionlab("migrate", state, "--to", "sqlite", "--set-aside")
    assert moved.returncode == 3
    assert "MIGRATED  main: Migrated 1 session\n" in moved.stdout
    assert "  set-aside     line 3: agent:main:bad: " in moved.stdout
    assert list(content(state)[1]) == ["agent:main:good"]
    runs = b"".join(path.read_bytes() for path in (state / ".sessionlab").rglob("*") if path.is_file())
    printed = "".join(one.stdout + one.stderr for one in (done, planned, moved))
    assert SECRET not in printed + runs.decode()


@pytest.mark.parametrize("text", ["", " \n", "{}"])
def test_without_sessions_there_is_nothing_to_do(tmp_path: Path, text: str) -> None:
    """B.25, B.34."""
    state = made_state(tmp_path, "json", {})
    store_path(state, "json").write_text(text)
    before = photo(state)
    done = sessionlab("migrate", state, "--to", "sqlite")
    assert done.returncode == 0
    assert "NO_DATA   main: No sessions to migrate\n" in done.stdout
    assert done.stdout.endswith("1 agent(s) had no sessions to migrate.\n")
    assert photo(state) == before


@pytest.mark.parametrize("text", ['{"a": {"sessionId"', "[]", "7"])
def test_file_that_is_no_store_is_an_error_and_not_no_data(tmp_path: Path, text: str) -> None:
    """B.26."""
    state = made_state(tmp_path, "json", {})
    store_path(state, "json").write_text(text)
    before = photo(state)
    done = sessionlab("migrate", state, "--to", "sqlite")
    assert (done.returncode, "FAILED    main: " in done.stdout) == (3, True)
    assert photo(state) == before


def test_without_a_driver_it_says_so(tmp_path: Path) -> None:
    """B.35."""
    state = made_state(tmp_path, "json", some_sessions())
    before = photo(state)
    done = sessionlab_after(WITHOUT_DRIVER, "migrate", state, "--to", "sqlite", "--json")
    document = json.loads(done.stdout)
    assert (done.returncode, document["success"]) == (1, False)
    assert "has no sqlite3" in document["error"]["message"]
    assert "has no sqlite3" in done.stderr
    assert photo(state) == before


def test_openclaws_own_database_is_not_moved(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    state = own_state(SQLITE_STATES[0], tmp_path_factory, tmp_path)
    before = photo(state)
    done = sessionlab("migrate", state, "--to", "sqlite")
    assert done.returncode == 2
    assert "is OpenClaw's own database, which is only read" in done.stderr
    assert photo(state) == before


def test_progress_is_shown_on_a_terminal_and_nowhere_else(tmp_path: Path) -> None:
    state = made_state(tmp_path, "json", {f"agent:main:{number}": {"sessionId": str(number)} for number in range(2000)})
    controller, terminal = pty.openpty()
    command = [sys.executable, "-m", "sessionlab", "migrate", str(state), "--to", "directory"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=terminal) as running:
        os.close(terminal)
        pieces = []
        try:
            while piece := os.read(controller, 65536):
                pieces.append(piece)
        except OSError:  # Linux says so when the other side has closed
            pass
    os.close(controller)
    shown = b"".join(pieces)
    assert running.returncode == 0
    assert b"\x1b[" in shown  # a bar that paints over itself; what it says depends on how fast the machine is
    assert b"%" in shown


def test_progress_names_the_rate_of_what_is_being_done(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = iter([10.0, 10.5, 20.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(seconds))
    told: list[tuple[str, int, int]] = []
    tell = with_rate(lambda *said: told.append(said))
    assert tell is not None
    tell("stage", 0, 2000)
    tell("stage", 1000, 2000)
    tell("verify", 0, 2000)
    assert told == [("stage", 0, 2000), ("stage 2,000 sessions/s", 1000, 2000), ("verify", 0, 2000)]
    assert with_rate(None) is None
