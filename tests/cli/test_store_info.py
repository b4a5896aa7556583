"""`sessionlab store-info`: what is configured, what lies there, and that the two are never mixed up in silence."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.made_states import KINDS, NAMES, made_state, some_sessions, store_path
from tests.cli.program import ROOT, SAMPLE, one_line_error, printed_json, sessionlab
from tests.fixture_states import SQLITE_STATES, STORE, photo, shared_state

WITHOUT_DRIVER = "import sys; sys.modules['sqlite3'] = sys.modules['_sqlite3'] = None"
COUNTING_READS = (
    "import sys; sys.addaudithook(lambda name, of: name == 'open' and 'openclaw.json' in str(of[0]) and print('read', file=sys.stderr))"
)


def sessionlab_after(statements: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the command line in an interpreter that something was done to before."""
    code = f"{statements}\nfrom sessionlab.cli import main; main()"
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def configured(state: Path, text: str) -> Path:
    (state / "openclaw.json").write_text(text, encoding="utf-8")
    return state


@pytest.mark.parametrize("kind", KINDS)
def test_lines_say_what_is_configured_and_what_lies_where(kind: str, tmp_path: Path) -> None:
    """B.39: the options and the lines. What lies there is found, whatever is configured."""
    state = configured(made_state(tmp_path, kind, some_sessions()), '{"session": {"storeType": "directory"}}')
    before = photo(state)
    done = sessionlab("store-info", state)
    folder = state / "agents/main/sessions"
    absent = {one: "" if one == kind else " (not there)" for one in KINDS}
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "Agent             main",
        "Configured Type   directory",
        f"Effective Type    {kind}",
        "SQLite Available  yes",
        "Session Count     3",
        f"JSON Path         {folder / 'sessions.json'}{absent['json']}",
        f"SQLite Path       {folder / 'sessions.sqlite'}{absent['sqlite']}",
        f"Directory Path    {folder / 'sessions.d'}{absent['directory']}",
    ]
    for place in (["--state-dir", state], [state, "--agent", "main"], ["--store", store_path(state, kind)], [folder.parent]):
        assert sessionlab("store-info", *place).stdout == done.stdout
    assert photo(state) == before


@pytest.mark.parametrize("kind", KINDS)
def test_json_has_the_documented_names_and_counts_in_every_mode(kind: str, tmp_path: Path) -> None:
    """B.40: the names; the sessions of a JSON store are counted, too; a SQLite path only when that is what lies there."""
    state = made_state(tmp_path, kind, some_sessions())
    folder = state / "agents/main/sessions"
    own = {f"{kind}Path": str(folder / NAMES[kind])}
    assert printed_json(sessionlab("store-info", state, "--json")) == {
        "schema_version": 1,
        "agentId": "main",
        "storeType": "json",
        "effectiveStoreType": kind,
        "sqliteAvailable": True,
        "sessionCount": 3,
        "jsonPath": str(folder / "sessions.json"),
        **own,
    }
    assert "Configured Type   json (by default)\n" in sessionlab("store-info", state).stdout


@pytest.mark.parametrize("name", SQLITE_STATES)
def test_openclaws_own_database_is_named_as_such(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    state = shared_state(name, tmp_path_factory)
    before = photo(state)
    found = printed_json(sessionlab("store-info", state, "--json"))
    assert (found["effectiveStoreType"], found["sessionCount"], found["openclawPath"]) == ("openclaw", 65, str(state / STORE))
    assert found["jsonPath"] == str(state / "agents/main/sessions/sessions.json")
    assert "sqlitePath" not in found
    assert f"OpenClaw Path     {state / STORE}\n" in sessionlab("store-info", state).stdout
    assert photo(state) == before


@pytest.mark.parametrize("place", ["", "agents/main", "agents/main/sessions", "agents/main/sessions/sessions.json"])
@pytest.mark.parametrize("option", [[], ["--json"]], ids=["text", "json"])
def test_configuration_is_read_once(place: str, option: list[str], tmp_path: Path) -> None:
    """B.41: once per command, counted by the interpreter itself."""
    state = configured(made_state(tmp_path, "json", some_sessions()), '{"session": {"storeType": "sqlite"}}')
    done = sessionlab_after(COUNTING_READS, "store-info", state / place, *option)
    assert (done.returncode, done.stderr) == (0, "read\n")
    assert "sqlite" in done.stdout.splitlines()[3 if option else 1]


def test_sqlite_is_available_when_its_driver_can_be_imported(tmp_path: Path) -> None:
    """B.15: the driver is really imported, as the stores import it."""
    state = made_state(tmp_path, "json", some_sessions())
    assert "SQLite Available  yes\n" in sessionlab_after("pass", "store-info", state).stdout
    assert "SQLite Available  no\n" in sessionlab_after(WITHOUT_DRIVER, "store-info", state).stdout
    broken = "import sqlite3; sqlite3.connect = lambda *_: (_ for _ in ()).throw(sqlite3.OperationalError('no'))"
    assert "SQLite Available  no\n" in sessionlab_after(broken, "store-info", state).stdout


def test_without_a_driver_the_effective_type_stays_that_of_what_lies_there(tmp_path: Path) -> None:
    """B.16, deviating: nothing falls back to JSON in silence. A SQLite store without a driver is an error, never another store."""
    state = configured(made_state(tmp_path / "a", "json", some_sessions()), '{"session": {"storeType": "sqlite"}}')
    done = sessionlab_after(WITHOUT_DRIVER, "store-info", state, "--json")
    found = json.loads(done.stdout)
    assert done.returncode == 0
    assert (found["storeType"], found["effectiveStoreType"], found["sqliteAvailable"], found["sessionCount"]) == (
        "sqlite",
        "json",
        False,
        3,
    )
    state = made_state(tmp_path / "b", "sqlite", some_sessions())
    line = one_line_error(sessionlab_after(WITHOUT_DRIVER, "store-info", state), 10)
    assert line.endswith("holds a SQLite store, and this Python has no sqlite3; use a Python that has it")
    broken = sessionlab_after("import sys; sys.modules['sessionlab.stores.sqlite'] = None", "store-info", state)
    assert "holds a SQLite store" not in broken.stderr


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "is not JSON5"),
        ('{"session": {"storeType": "postgres"}}', "session.storeType: Invalid enum value 'postgres': write json, sqlite or directory"),
        ('{"session": []}', "session: must be an object"),
    ],
)
@pytest.mark.parametrize("place", ["", "agents/main/sessions/sessions.json"])
def test_broken_configuration_is_an_error(text: str, words: str, place: str, tmp_path: Path) -> None:
    """B.17, deviating: what cannot be read is not taken for json."""
    state = configured(made_state(tmp_path, "json", some_sessions()), text)
    line = one_line_error(sessionlab("store-info", state / place), 2)
    assert str(state / "openclaw.json") in line
    assert words in line


def test_two_stores_that_hold_sessions_are_one_line_that_names_both(tmp_path: Path) -> None:
    made_state(tmp_path, "json", some_sessions())
    made_state(tmp_path, "sqlite", some_sessions(count=2))
    before = photo(tmp_path)
    line = one_line_error(sessionlab("store-info", tmp_path), 4)
    assert f"two stores hold sessions: {store_path(tmp_path, 'json')} (3) and {store_path(tmp_path, 'sqlite')} (2); name the one" in line
    one = printed_json(sessionlab("store-info", "--store", store_path(tmp_path, "sqlite"), "--json"))
    assert (one["effectiveStoreType"], one["sessionCount"]) == ("sqlite", 2)
    assert photo(tmp_path) == before


def test_one_agent_is_asked_for(tmp_path: Path) -> None:
    asked = one_line_error(sessionlab("store-info", SAMPLE), 2)
    assert asked.endswith("holds the stores of 3 agents; name one with --agent: main, ops, research")
    assert printed_json(sessionlab("store-info", SAMPLE, "--agent", "ops", "--json"))["sessionCount"] == 161
    assert "there is no such file" in one_line_error(sessionlab("store-info", "--store", tmp_path / "gone"), 10)


@pytest.mark.parametrize("other", [[SAMPLE], ["--agent", "ops"], ["--state-dir", SAMPLE]], ids=["PATH", "--agent", "--state-dir"])
def test_store_excludes_what_else_names_one(other: list[str | Path]) -> None:
    file = store_path(SAMPLE, "json", agent="ops")
    assert "leave PATH, --state-dir and --agent out" in one_line_error(sessionlab("store-info", "--store", file, *other), 2)


def test_store_is_no_folder_of_stores() -> None:
    assert "give it as PATH" in one_line_error(sessionlab("store-info", "--store", SAMPLE / "agents/ops"), 2)
    assert "--store is blank" in one_line_error(sessionlab("store-info", "--store", " "), 2)


def test_place_that_is_configured_elsewhere_is_named(tmp_path: Path) -> None:
    made_state(tmp_path / "elsewhere", "json", some_sessions())
    store = store_path(tmp_path / "elsewhere", "json")
    (tmp_path / "state/agents/main").mkdir(parents=True)
    state = configured(tmp_path / "state", json.dumps({"session": {"store": str(store)}}))
    assert printed_json(sessionlab("store-info", state, "--json"))["jsonPath"] == str(store)


def test_state_folder_below_a_folder_called_agents_has_its_own_configuration(tmp_path: Path) -> None:
    outer = configured(tmp_path, '{"session": {"storeType": "directory"}}')
    state = configured(made_state(outer / "agents/a/state", "json", some_sessions()), '{"session": {"storeType": "sqlite"}}')
    assert printed_json(sessionlab("store-info", state, "--json"))["storeType"] == "sqlite"
