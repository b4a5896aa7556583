"""What lies at a path: state folders, agents, sessions folders and files; two stores are never chosen between in silence."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from sessionlab import codec, resources
from sessionlab.errors import CorruptStoreError, NoStoreError, SettingsError, SplitStoreError, StoreError, UnreadableError
from sessionlab.stores import StoreLocation, find_state_dir, locate, open_at, open_store
from sessionlab.stores.locating import agents_without_store
from tests.fixture_states import SQLITE_STATES, STORE, own_state, photo, shared_state

SOUND = {"sessionId": "s1", "updatedAt": 1000}


def json_store(path: Path, number: int = 1) -> Path:
    """Write a `sessions.json` with as many sessions."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(codec.encode_indented({f"agent:main:direct:{place}": SOUND for place in range(number)}))
    return path


def agent_store(state: Path, agent: str, number: int = 1) -> Path:
    return json_store(state / "agents" / agent / "sessions" / "sessions.json", number)


def sessionless_database(path: Path) -> Path:
    """Write the agent database as 2026.5.30-beta to 2026.7 keep it: without sessions."""
    path.parent.mkdir(parents=True, exist_ok=True)
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE schema_meta (role TEXT, schema_version INTEGER)")
    database.execute("CREATE TABLE agent_notes (note TEXT)")
    database.commit()
    database.close()
    return path


def rivals(location: StoreLocation) -> list[Path]:
    return [rival.path for rival in location.rivals]


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Return a state folder with the agents main and ops."""
    agent_store(tmp_path / "state", "ops", 2)
    agent_store(tmp_path / "state", "main", 3)
    return tmp_path / "state"


def test_state_folder_holds_the_stores_of_all_agents(state: Path) -> None:
    (state / "agents" / "idle").mkdir()
    (state / "agents" / ".trash" / "sessions").mkdir(parents=True)
    (state / "agents" / "notes.txt").touch()
    locations = locate(state)
    assert [location.agent_id for location in locations] == ["main", "ops"]
    assert locations[0] == StoreLocation(
        "main",
        "json",
        state / "agents/main/sessions/sessions.json",
        state / "agents/main/sessions",
        state / "agents/main",
    )


@pytest.mark.parametrize("below", ["agents/ops", "agents/ops/sessions", "agents/ops/sessions/sessions.json"])
def test_folder_and_file_of_one_agent_lead_to_the_same_store(state: Path, below: str) -> None:
    (location,) = locate(state / below)
    assert location == locate(state)[1]
    with open_store(state / below) as store:
        assert (store.agent_id, store.kind, store.count()) == ("ops", "json", 2)


def test_sample_holds_its_three_agents() -> None:
    assert [location.agent_id for location in locate(resources.sample_dir())] == ["main", "ops", "research"]


@pytest.mark.parametrize("name", SQLITE_STATES)
def test_migrated_state_opens_its_database(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    state = shared_state(name, tmp_path_factory)
    before = photo(state)
    for path in (state, state / "agents/main", state / "agents/main/agent", state / STORE):
        (location,) = locate(path)
        assert (location.agent_id, location.kind, location.path) == ("main", "openclaw", state / STORE)
        assert location.sessions_dir == state / "agents/main/sessions"
        assert location.rivals == ()
        with open_store(path) as store:
            assert (store.kind, store.count()) == ("openclaw", 65)
    assert photo(state) == before


def test_store_outside_a_state_folder_belongs_to_main(tmp_path: Path) -> None:
    path = json_store(tmp_path / "backup" / "old-sessions.json")
    (location,) = locate(path)
    assert (location.agent_id, location.root, location.sessions_dir) == ("main", None, path.parent)
    json_store(tmp_path / "copy" / "sessions.json", 2)
    with open_store(tmp_path / "copy") as store:
        assert (store.agent_id, store.count()) == ("main", 2)
    json_store(tmp_path / "agent-copy" / "sessions" / "sessions.json", 4)
    with open_store(tmp_path / "agent-copy") as store:
        assert (store.agent_id, store.count()) == ("main", 4)


def test_relative_path_and_home_are_understood(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(state)
    assert locate(Path("agents/ops/sessions")) == locate(state / "agents/ops/sessions")
    monkeypatch.setenv("HOME", str(state))
    assert locate(Path("~/agents/ops")) == locate(state / "agents/ops")


def test_linked_state_folder_is_followed(state: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(state)
    assert [location.path for location in locate(link)] == [
        link / "agents" / agent / "sessions" / "sessions.json" for agent in ("main", "ops")
    ]


def test_default_state_folder_is_openclaws(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENCLAW_STATE_DIR", str(state))
    assert find_state_dir() == state
    assert find_state_dir(state / "agents") == state / "agents"
    monkeypatch.delenv("OPENCLAW_STATE_DIR")
    monkeypatch.setenv("HOME", str(state))
    with pytest.raises(NoStoreError, match=r"there is no such file or folder; name another with --state-dir or [$]OPENCLAW_STATE_DIR"):
        find_state_dir()
    (state / ".openclaw").mkdir()
    assert find_state_dir() == state / ".openclaw"


def test_configured_place_of_the_stores_is_followed(state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    moved = json_store(tmp_path / "elsewhere" / "ops" / "store.json", 5)
    (state / "openclaw.json").write_text("{ session: { store: '~/elsewhere/{agentId}/store.json' } } // JSON5")
    (location,) = locate(state)
    assert (location.agent_id, location.path, location.sessions_dir) == ("ops", moved, moved.parent)
    assert location.root == state / "agents/ops"
    assert locate(state / "agents/ops") == (location,)
    with open_store(state) as store:
        assert (store.agent_id, store.count()) == ("ops", 5)
    with pytest.raises(NoStoreError, match="holds no session store"):
        locate(state / "agents/main")


def test_one_store_configured_for_all_agents_counts_once(state: Path, tmp_path: Path) -> None:
    shared = json_store(tmp_path / "shared.json", 4)
    (state / "agents" / "aide").mkdir()
    (state / "openclaw.json").write_text(f'{{"session": {{"store": "{shared}"}}}}')
    (location,) = locate(state)
    assert (location.agent_id, location.path) == ("main", shared)
    with open_store(state) as store:
        assert store.count() == 4


@pytest.mark.parametrize("text", ["{", '{"session": {"store": 5}}', '{"session": {"store": "/x/{agent}"}}', "[]"])
def test_broken_configuration_is_an_error_and_not_the_default(state: Path, text: str) -> None:
    (state / "openclaw.json").write_text(text)
    for path in (state, state / "agents/main"):
        with pytest.raises(SettingsError) as caught:
            locate(path)
        assert str(caught.value).startswith(f"{state / 'openclaw.json'}: ")
        assert caught.value.exit_code == 2
    assert locate(state / "agents/main/sessions/sessions.json")


def test_database_without_sessions_does_not_hide_the_json_store(state: Path) -> None:
    sessionless_database(state / STORE)
    location = locate(state)[0]
    assert (location.agent_id, location.kind, location.rivals) == ("main", "json", ())
    with open_store(state, agent="main") as store:
        assert store.count() == 3


def test_database_without_sessions_alone_is_no_store(tmp_path: Path) -> None:
    sessionless_database(tmp_path / STORE)
    with pytest.raises(NoStoreError, match="its only agent has no session store"):
        locate(tmp_path)


def test_two_stores_with_sessions_are_refused_naming_both(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> None:
    state = own_state("sqlite-2026.9", tmp_path_factory, tmp_path)
    left = agent_store(state, "main", 2)
    (location,) = locate(state)
    assert (location.kind, rivals(location)) == ("openclaw", [left])
    with pytest.raises(SplitStoreError) as caught:
        open_store(state)
    assert caught.value.exit_code == 4
    assert str(caught.value) == (
        f"{state / 'agents/main'}: two stores hold sessions: {state / STORE} (65) and {left} (2); name the one you mean"
    )
    with open_store(left) as first, open_store(state / STORE) as second:
        assert (first.count(), second.count()) == (2, 65)


@pytest.mark.parametrize("rest", [b"{}", b"", b" \n", b'{"agent:main:main": null, "__proto__": {}}'])
def test_left_over_store_without_sessions_is_no_rival(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path, rest: bytes) -> None:
    state = own_state("sqlite-2026.9", tmp_path_factory, tmp_path)
    json_store(state / "agents/main/sessions/sessions.json").write_bytes(rest)
    with open_store(state) as store:
        assert (store.kind, store.count()) == ("openclaw", 65)


def test_left_over_store_that_cannot_be_read_is_not_passed_over(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> None:
    state = own_state("sqlite-2026.9", tmp_path_factory, tmp_path)
    json_store(state / "agents/main/sessions/sessions.json").write_bytes(b'{"agent:main:main": {')
    with pytest.raises(CorruptStoreError, match="truncated"):
        open_store(state)


def test_one_of_several_agents_has_to_be_named(state: Path) -> None:
    with pytest.raises(NoStoreError, match="holds 2 stores; name one agent of main, ops"):
        open_store(state)
    with pytest.raises(NoStoreError, match="has no store of agent 'nobody'; there are main, ops"):
        open_store(state, agent="nobody")
    with open_store(state, agent="ops") as store:
        assert store.count() == 2


def no_store(path: Path) -> str:
    with pytest.raises(NoStoreError) as caught:
        locate(path)
    assert caught.value.exit_code == 10
    return str(caught.value).removeprefix(f"{path}: ")


def test_nothing_there_is_no_store(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "empty").mkdir()
    (tmp_path / "fresh" / "agents").mkdir(parents=True)
    (tmp_path / "idle" / "agents" / "main" / "sessions").mkdir(parents=True)
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "agents").touch()
    assert no_store(tmp_path / "missing").startswith("there is no such file or folder")
    assert no_store(tmp_path / "fifo") == "is not a folder"
    assert no_store(tmp_path / "empty").startswith("holds no session store; give a state folder")
    assert no_store(tmp_path / "fresh").startswith("has no agents; is this the state folder")
    assert no_store(tmp_path / "idle").startswith("its only agent has no session store")
    assert no_store(tmp_path / "idle" / "agents" / "main").startswith("holds no session store")
    assert no_store(tmp_path / "odd") == str(tmp_path / "odd" / "agents: is not a folder")


def test_file_in_place_of_the_state_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NoStoreError, match="is not a folder"):
        find_state_dir(tmp_path / "file")


def test_folder_in_place_of_a_store_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "agents/main/sessions/sessions.json").mkdir(parents=True)
    (location,) = locate(tmp_path)
    with pytest.raises(NoStoreError, match="is not a regular file"):
        open_at(location)


def test_database_is_recognised_by_its_bytes_under_any_name(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> None:
    copy = Path(shutil.copy(shared_state("sqlite-2026.9", tmp_path_factory) / STORE, tmp_path / "backup.bin"))
    (location,) = locate(copy)
    assert (location.kind, location.agent_id, location.root) == ("openclaw", "main", None)
    with open_store(copy) as store:
        assert store.count() == 65


@pytest.mark.parametrize("name", ["a.sqlite", "a.db"])
def test_file_named_as_a_database_that_is_none_is_corrupt(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"{}")
    with pytest.raises(CorruptStoreError, match="is not a SQLite database"):
        locate(tmp_path / name)


@pytest.mark.parametrize("size", [0, 10, 4096])
def test_torn_database_of_a_migrated_agent_is_an_error_even_beside_a_json_store(tmp_path: Path, size: int) -> None:
    agent_store(tmp_path, "main", 2)
    (tmp_path / STORE).parent.mkdir(parents=True)
    (tmp_path / STORE).write_bytes(b"\x01" * size)
    with pytest.raises(StoreError):
        open_store(tmp_path)


def test_opening_a_json_store_loads_no_database_driver(state: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from sessionlab.stores import open_store; "
        "open_store(Path(sys.argv[1])).count(); print(sorted({'sqlite3', 'duckdb', 'pandas', 'plotly'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", script, str(state / "agents/ops")]
    assert subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout == "[]\n"


def emptied(database: Path) -> Path:
    """Take every session out of a database, which is how OpenClaw 2026.8+ leaves it until its import ran."""
    with sqlite3.connect(database, isolation_level=None) as connection:
        connection.execute("PRAGMA foreign_keys=OFF")
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f'DROP TRIGGER "{name}"')
        for table in ("transcript_events", "session_windows", "session_nodes"):
            connection.execute(f"DELETE FROM {table}")
    connection.close()
    return database


def test_empty_database_does_not_hide_the_sessions_that_its_import_has_yet_to_move(
    tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    state = own_state("sqlite-2026.9", tmp_path_factory, tmp_path)
    database = emptied(state / STORE)
    with open_store(state) as store:
        assert (store.kind, store.count()) == ("openclaw", 0)
    left = agent_store(state, "main", 3)
    (location,) = locate(state)
    assert (location.kind, location.path, rivals(location)) == ("json", left, [database])
    assert location.note.startswith(f"the SQLite store {database} is still empty")
    with open_store(state) as store:
        assert (store.kind, store.count()) == ("json", 3)
    left.write_bytes(b"{}")
    (location,) = locate(state)
    assert (location.kind, rivals(location), location.note) == ("openclaw", [left], "")


def test_agent_folder_that_is_a_link_counts_once_as_the_real_one(state: Path) -> None:
    (state / "agents" / "alias").symlink_to("main")
    locations = locate(state)
    assert [(location.agent_id, location.note) for location in locations] == [
        ("main", "agent alias has the same store through a link: counted once"),
        ("ops", ""),
    ]


def test_agents_that_lost_their_store_are_named(state: Path) -> None:
    lost = state / "agents" / "lost" / "sessions"
    lost.mkdir(parents=True)
    assert agents_without_store(state) == ()
    (lost / "a.jsonl").touch()
    assert agents_without_store(state) == ("lost",)
    assert [location.agent_id for location in locate(state)] == ["main", "ops"]
    assert agents_without_store(state / "agents" / "main") == ()


def test_link_that_leads_nowhere_is_not_taken_for_no_store(state: Path, tmp_path: Path) -> None:
    store = state / "agents/main/sessions/sessions.json"
    store.unlink()
    store.symlink_to(tmp_path / "gone.json")
    assert [location.agent_id for location in locate(state)] == ["main", "ops"]
    with pytest.raises(UnreadableError, match=f"is a link to {tmp_path / 'gone.json'}, which does not exist"):
        open_store(state, agent="main")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(UnreadableError, match=r"is a link to .*nowhere, which does not exist"):
        locate(tmp_path / "link")


def test_one_agent_that_cannot_be_read_does_not_hide_where_the_others_lie(state: Path) -> None:
    (state / "agents/ops/agent").mkdir()
    (state / "agents/ops/agent/openclaw-agent.sqlite").write_bytes(b"no database")
    assert [(location.agent_id, location.kind) for location in locate(state)] == [("main", "json"), ("ops", "openclaw")]
    with pytest.raises(CorruptStoreError):
        open_store(state, agent="ops")


def test_pipe_in_place_of_a_file_is_refused_at_once(state: Path, tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    os.mkfifo(tmp_path / "plain" / "sessions.json")
    with pytest.raises(NoStoreError, match="is not a regular file"):
        open_store(tmp_path / "plain")
    os.mkfifo(state / "openclaw.json")
    with pytest.raises(UnreadableError, match="is not a regular file"):
        locate(state)


def test_path_that_no_system_takes_is_unreadable(tmp_path: Path) -> None:
    with pytest.raises(UnreadableError, match="cannot be looked at"):
        locate(tmp_path / ("x/" * 2500))


def test_home_folder_is_only_asked_for_where_the_configuration_names_it(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", no_home)
    assert len(locate(state)) == 2
    (state / "openclaw.json").write_text('{"session": {"store": "~/x.json"}}')
    with pytest.raises(SettingsError, match="HOME"):
        locate(state)


def test_configuration_of_other_things_does_not_keep_anyone_from_reading(state: Path) -> None:
    (state / "openclaw.json").write_text('{"session": {"maintenance": {"frob": 1}}, "cron": 5, "agent": []}')
    assert len(locate(state)) == 2
