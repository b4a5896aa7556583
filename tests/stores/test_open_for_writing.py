"""Opening for writing: what is there stays what it is, and what is made follows the configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sessionlab.errors import NoStoreError, SettingsError, SplitStoreError, UnreadableError, UnwritableError, UsageError
from sessionlab.settings import StoreType
from sessionlab.stores import locate, open_for_writing, open_store
from sessionlab.stores.sqlite import SQLiteStore
from sessionlab.stores.sqlite_opening import Durability
from tests.fixture_states import STORE, own_state

KEY = "agent:main:main"
ENTRY = {"sessionId": "s1", "updatedAt": 1000}
NAMES: dict[StoreType, str] = {"json": "sessions.json", "sqlite": "sessions.sqlite", "directory": "sessions.d"}


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Return a state folder that nothing was ever stored in."""
    (tmp_path / "state" / "agents").mkdir(parents=True)
    return tmp_path / "state"


def configure(state: Path, text: str) -> None:
    (state / "openclaw.json").write_text(text)


@pytest.mark.parametrize("kind", NAMES)
def test_configuration_says_what_is_made(state: Path, kind: StoreType) -> None:
    """B.14: `session.storeType` is json, sqlite or directory."""
    configure(state, f"{{ session: {{ storeType: '{kind}' }} }}")
    with open_for_writing(state, agent="ops") as store:
        assert (store.kind, store.agent_id, store.count()) == (kind, "ops", 0)
        assert not (state / "agents/ops").exists()
        store.put(KEY, ENTRY)
    assert (state / "agents/ops/sessions" / NAMES[kind]).exists()
    with open_store(state) as read:
        assert (read.kind, read.get(KEY)) == (kind, ENTRY)


def test_without_a_store_type_everything_stays_json(state: Path) -> None:
    """B.22: JSON mode is unchanged when storeType is absent."""
    for path in (state, state / "agents/main", state / "agents/main/sessions"):
        with open_for_writing(path) as store:
            assert (store.kind, store.path) == ("json", state / "agents/main/sessions/sessions.json")


def test_other_store_type_is_refused(state: Path) -> None:
    """B.14: another value is an error; B.17 would make it json."""
    configure(state, '{"session": {"storeType": "redis"}}')
    with pytest.raises(SettingsError, match="write json, sqlite or directory"):
        open_for_writing(state)


@pytest.mark.parametrize("there", NAMES)
@pytest.mark.parametrize("wanted", NAMES)
def test_store_that_is_there_stays_what_it_is(state: Path, there: StoreType, wanted: StoreType) -> None:
    """B.18: no second store is begun beside the one that has the sessions, whatever the configuration says later."""
    with open_for_writing(state, store_type=there) as store:
        store.put(KEY, ENTRY)
    configure(state, f'{{"session": {{"storeType": "{wanted}"}}}}')
    with open_for_writing(state) as store:
        assert store.kind == there
        store.put("agent:main:other", ENTRY)
    assert [path.name for path in (state / "agents/main/sessions").iterdir() if path.name in NAMES.values()] == [NAMES[there]]


@pytest.mark.parametrize(("name", "kind"), [("x.json", "json"), ("x.sqlite", "sqlite"), ("sessions.d", "directory"), ("folder", "json")])
def test_name_says_what_is_made(tmp_path: Path, name: str, kind: str) -> None:
    with open_for_writing(tmp_path / name) as store:
        assert (store.kind, store.agent_id) == (kind, "main")
        store.put(KEY, ENTRY)
    with open_store(tmp_path / name) as read:
        assert (read.kind, read.count()) == (kind, 1)


def test_name_and_wish_that_contradict_one_another_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is the name of a store of type json, not sqlite"):
        open_for_writing(tmp_path / "sessions.json", store_type="sqlite")


def test_path_may_be_a_text(tmp_path: Path) -> None:
    with open_for_writing(str(tmp_path / "sessions.sqlite")) as store:
        assert store.path == tmp_path / "sessions.sqlite"
        store.put(KEY, ENTRY)
    for path in (str(tmp_path), str(tmp_path / "sessions.sqlite")):
        with open_store(path) as read:
            assert (read.kind, read.get(KEY)) == ("sqlite", ENTRY)


def test_configuration_is_no_store(state: Path) -> None:
    """It is JSON as well: its sections would be sessions, and a write would add one to it."""
    text = '{"session": {"storeType": "json"}, "agents": {}, "gateway": {"port": 1}}'
    configure(state, text)
    (state / "agents/main").mkdir()
    (state / "link.json").symlink_to(state / "openclaw.json")
    for path in (state / "openclaw.json", state / "link.json"):
        for refuse in (open_store, open_for_writing, locate):
            with pytest.raises(
                NoStoreError, match=rf"{path.name}: is OpenClaw's configuration, not a session store; name the state folder"
            ):
                refuse(path)
    assert (state / "openclaw.json").read_text() == text
    (state / "openclaw.json").unlink()
    with pytest.raises(NoStoreError, match="is OpenClaw's configuration"):
        open_for_writing(state / "openclaw.json")


@pytest.mark.parametrize("name", ["x.txt", "sessions.jsom", "sessions.JSON", "store.db", "folder.v2"])
def test_name_that_is_no_store_s_founds_none(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=r"is not there, and \.\w+ is the end of no store's name \(\.json, \.sqlite, \.d\)"):
        open_for_writing(tmp_path / name)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / name).mkdir()
    with open_for_writing(tmp_path / name) as store:
        assert store.path == tmp_path / name / "sessions.json"


def test_unknown_store_type_or_durability_is_refused_with_the_choices(state: Path) -> None:
    unknown: Any = "mysql"
    with pytest.raises(UsageError, match="store_type='mysql': is not known; write None, 'json', 'sqlite', 'directory'"):
        open_for_writing(state, store_type=unknown)
    with open_for_writing(state) as store:
        store.put(KEY, ENTRY)
    for more in ({"store_type": unknown}, {"durability": unknown}):
        with pytest.raises(UsageError, match="='mysql': is not known; write"):
            open_for_writing(state, **more)


@pytest.mark.parametrize("name", ["sessions.json", "sessions.sqlite", "sessions.d"])
def test_file_that_is_another_agent_s_is_refused(tmp_path: Path, name: str) -> None:
    with open_for_writing(tmp_path / name) as store:
        store.put(KEY, ENTRY)
    for refuse in (open_store, open_for_writing):
        with pytest.raises(NoStoreError, match="has no store of agent 'ops'; there are main"):
            refuse(tmp_path / name, agent="ops")


def test_configured_place_is_where_it_is_made(state: Path, tmp_path: Path) -> None:
    configure(state, f'{{"session": {{"store": "{tmp_path}/all/{{agentId}}.json", "storeType": "sqlite"}}}}')
    with open_for_writing(state, agent="ops") as store:
        assert (store.kind, store.path, store.agent_id) == ("sqlite", tmp_path / "all/ops.sqlite", "ops")


def test_default_agent_s_store_is_opened_beside_those_of_others_when_it_is_named(state: Path) -> None:
    for agent in ("main", "ops"):
        with open_for_writing(state, agent=agent) as store:
            store.put(KEY, {**ENTRY, "label": agent})
    with pytest.raises(NoStoreError, match="name one agent of main, ops"):
        open_for_writing(state)
    with open_for_writing(state, agent="ops") as store:
        assert store.get(KEY) == {**ENTRY, "label": "ops"}


@pytest.mark.parametrize("agent", ["..", "a/b", "", " ", "a\0b"])
def test_hostile_agent_is_refused(state: Path, agent: str) -> None:
    with pytest.raises(UsageError):
        open_for_writing(state, agent=agent)


def test_openclaw_s_database_is_not_written(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> None:
    state = own_state("sqlite-2026.9", tmp_path_factory, tmp_path)
    for path in (state, state / STORE):
        with pytest.raises(UnwritableError, match="OpenClaw's own database, which sessionlab only reads"):
            open_for_writing(path)


def test_two_stores_with_sessions_are_refused(state: Path) -> None:
    with open_for_writing(state) as store:
        store.put(KEY, ENTRY)
    with SQLiteStore(state / "agents/main/sessions/sessions.sqlite") as second:
        second.put(KEY, ENTRY)
    with pytest.raises(SplitStoreError):
        open_for_writing(state)


def test_what_is_no_store_is_not_written_over(state: Path, tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "sessions.json")
    with pytest.raises(NoStoreError, match="is not a folder"):
        open_for_writing(tmp_path / "sessions.json")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(UnreadableError, match="which does not exist"):
        open_for_writing(tmp_path / "link")
    assert state.is_dir()


@pytest.mark.parametrize(("durability", "synchronous"), [("commit", 2), ("process", 1)])
def test_durability_reaches_the_database(tmp_path: Path, durability: Durability, synchronous: int) -> None:
    with open_for_writing(tmp_path / "a.sqlite", durability=durability) as store:
        assert isinstance(store, SQLiteStore)
        store.put(KEY, ENTRY)
        opened = store._connections.current(live=True)
        assert opened is not None
        assert opened.connection.execute("PRAGMA synchronous").fetchone() == (synchronous,)
