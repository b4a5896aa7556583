"""Which store lies at a path, and opening it: a store file, a sessions folder, an agent's folder or a whole state folder.

A folder is opened by what lies in it. Exactly one store of an agent may hold sessions; when two do, nothing is chosen in silence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from sessionlab import keys, layout
from sessionlab.errors import CorruptStoreError, NoStoreError, SplitStoreError, UnreadableError
from sessionlab.settings import Settings, load_settings
from sessionlab.stores.base import SessionStore
from sessionlab.stores.json_file import JSONFileStore

StoreKind = Literal["json", "openclaw"]
_SQLITE_MAGIC: Final = b"SQLite format 3\0"


@dataclass(frozen=True, slots=True)
class StoreLocation:
    """Where one agent's store lies.

    Attributes:
        agent_id: The agent.
        kind: "json" (`sessions.json`) or "openclaw" (the SQLite store of 2026.8+).
        path: The store file.
        sessions_dir: The folder of the agent's transcript files; it need not exist.
        root: The agent's folder, when the path lies in one.
        rival: A second store of the same agent that must not be forgotten: it may hold sessions, too.
    """

    agent_id: str
    kind: StoreKind
    path: Path
    sessions_dir: Path
    root: Path | None = None
    rival: Path | None = None


def find_state_dir(state_dir: Path | None = None) -> Path:
    """Return the state folder to look at: the one given, else `$OPENCLAW_STATE_DIR`, else `~/.openclaw`.

    Raises:
        NoStoreError: It does not exist, or is not a folder.
        UnreadableError: The system does not let us list it.
    """
    folder = layout.expanded(state_dir) if state_dir is not None else layout.default_state_dir()
    _list(folder)
    return folder


def locate(path: Path) -> tuple[StoreLocation, ...]:
    """Find the stores at a path, ordered by agent.

    Args:
        path: A store file; a folder that holds one; an agent's folder; or a state folder, in which every agent is looked for.

    Raises:
        NoStoreError: There is none.
        UnreadableError: The system does not let us look.
        SettingsError: A state folder's `openclaw.json` cannot be read; it may move the stores elsewhere.
    """
    path = layout.expanded(path)
    try:
        is_file = path.is_file()
    except OSError as error:
        raise UnreadableError(path, f"cannot be looked at ({error.strerror})") from error
    if is_file:
        return (_at_file(path),)
    names = {entry.name for entry in _list(path)}
    if "agents" in names:
        return _in_state_dir(path)
    found = _in_agent_folder(path) if names & {"sessions", "agent"} else _in_plain_folder(path, names)
    if found is None:
        raise NoStoreError(path, "holds no session store", advice="give a state folder (it has agents/), an agent's folder or a store file")
    return (found,)


def open_at(location: StoreLocation) -> SessionStore:
    """Open the store at a location, for reading.

    Raises:
        StoreError: As the store's own `open`.
    """
    if location.kind == "json":
        return JSONFileStore.open(location.path, agent_id=location.agent_id)
    from sessionlab.stores.openclaw import OpenClawStore  # sqlite3 is only loaded for a SQLite store

    return OpenClawStore.open(location.path, agent_id=location.agent_id)


def open_store(path: Path, *, agent: str | None = None) -> SessionStore:
    """Open the one store at a path, for reading.

    Args:
        path: As for `locate`.
        agent: Which agent's, when the path holds several.

    Raises:
        NoStoreError: None there, or none of that agent; or several and no agent named.
        SplitStoreError: Two stores of the agent both hold sessions.
        StoreError: As the store's own `open`.
    """
    location = only(locate(path), path, agent=agent)
    refuse_split(location)
    return open_at(location)


def only(locations: Sequence[StoreLocation], path: Path, *, agent: str | None) -> StoreLocation:
    """Return the one location that is meant.

    Raises:
        NoStoreError: There is not exactly one; the message names the agents there are.
    """
    names = ", ".join(location.agent_id for location in locations)
    meant = [location for location in locations if agent is None or location.agent_id == agent]
    if len(meant) == 1:
        return meant[0]
    if agent is not None:
        raise NoStoreError(path, f"has no store of agent {agent!r}", advice=f"there are {names}")
    raise NoStoreError(path, f"holds {len(locations)} stores", advice=f"name one agent of {names}")


def refuse_split(location: StoreLocation) -> None:
    """Raise when the store and its rival both hold sessions.

    Raises:
        SplitStoreError: Naming both, with their counts.
    """
    if location.rival is None:
        return
    with JSONFileStore.open(location.rival) as rival:
        second = rival.count()
    if second == 0:
        return
    with open_at(location) as store:
        first = store.count()
    if first:
        folder = location.root or location.path.parent
        raise SplitStoreError(folder, first=location.path, first_count=first, second=location.rival, second_count=second)


def _at_file(path: Path) -> StoreLocation:
    try:
        with path.open("rb") as file:
            head = file.read(len(_SQLITE_MAGIC))
    except OSError as error:
        raise UnreadableError(path, f"cannot be read ({error.strerror})") from error
    agent_id = layout.agent_id_of(path) or keys.DEFAULT_AGENT
    root = _agent_root(path)
    if head == _SQLITE_MAGIC or path.name == layout.SQLITE_STORE:
        return StoreLocation(agent_id, "openclaw", path, (root or path.parent) / "sessions", root)
    if head and path.suffix in (".sqlite", ".db"):
        raise CorruptStoreError(path, "is not a SQLite database")
    return StoreLocation(agent_id, "json", path, path.parent, root)


def _in_state_dir(state_dir: Path) -> tuple[StoreLocation, ...]:
    settings = load_settings(state_dir)
    folders = sorted(entry for entry in _list(layout.agents_dir(state_dir)) if entry.is_dir() and not entry.name.startswith("."))
    # A `session.store` without {agentId} is one store for all agents: it counts once, as the default agent's where there is one.
    folders.sort(key=lambda folder: folder.name != keys.DEFAULT_AGENT)
    by_path: dict[Path, StoreLocation] = {}
    for folder in folders:
        location = _of_agent(layout.AgentFolder(folder.name, folder), settings)
        if location is not None:
            by_path.setdefault(location.path, location)
    locations = tuple(sorted(by_path.values(), key=lambda location: location.agent_id))
    if not locations:
        reason = f"none of its {len(folders)} agents has a session store" if folders else "has no agents"
        raise NoStoreError(state_dir, reason, advice="is this the state folder of a machine that ran OpenClaw?")
    return locations


def _in_agent_folder(folder: Path) -> StoreLocation | None:
    state_dir = folder.parent.parent if folder.parent.name == "agents" else None
    settings = load_settings(state_dir) if state_dir is not None else Settings()
    return _of_agent(layout.AgentFolder(layout.agent_id_of(folder / "x") or keys.DEFAULT_AGENT, folder), settings)


def _of_agent(agent: layout.AgentFolder, settings: Settings) -> StoreLocation | None:
    """Return where an agent's store lies: the SQLite store as soon as it has a table of sessions, else the JSON file (2026.8 moved)."""
    json_store = settings.store_path(agent.agent_id, home=Path.home()) or agent.json_store
    has_json = _exists(json_store)
    if _exists(agent.sqlite_store):
        from sessionlab.stores.openclaw import holds_sessions  # sqlite3 is only loaded for a SQLite store

        if holds_sessions(agent.sqlite_store):
            rival = json_store if has_json else None
            return StoreLocation(agent.agent_id, "openclaw", agent.sqlite_store, agent.sessions_dir, agent.root, rival)
    return StoreLocation(agent.agent_id, "json", json_store, json_store.parent, agent.root) if has_json else None


def _in_plain_folder(folder: Path, names: set[str]) -> StoreLocation | None:
    for name in (layout.SQLITE_STORE, layout.JSON_STORE):
        if name in names:
            return _at_file(folder / name)
    return None


def _agent_root(path: Path) -> Path | None:
    """Return the agent's folder above a store file: the one that lies in `agents/`."""
    return next((parent for parent in path.parents if parent.parent.name == "agents"), None)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError as error:
        raise UnreadableError(path, f"cannot be looked at ({error.strerror})") from error


def _list(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except FileNotFoundError as error:
        raise NoStoreError(
            folder, "there is no such folder", advice=f"name one with --state-dir or ${layout.STATE_DIR_VARIABLE}"
        ) from error
    except NotADirectoryError as error:
        raise NoStoreError(folder, "is not a folder") from error
    except OSError as error:
        raise UnreadableError(folder, f"cannot be listed ({error.strerror})") from error
