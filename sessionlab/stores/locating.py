"""Finding stores: what lies at a path, be it a store, a sessions folder, an agent's folder or a whole state folder.

An agent's stores lie beside one another; `authority` says which of them counts.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sessionlab import keys, layout
from sessionlab.errors import CorruptStoreError, NoStoreError, SettingsError, StoreError, UnreadableError, UsageError
from sessionlab.stores.authority import authority
from sessionlab.stores.location import StoreKind, StoreLocation
from sessionlab.stores.looking import head, is_a, listed, may_exist

if TYPE_CHECKING:
    from sessionlab.settings import StoreSettings

_SQLITE_MAGIC: Final = b"SQLite format 3\0"
_IN_DIRECTORY_STORE: Final = frozenset({"state.json", "entries"})
_HEADER_BYTES: Final = 72
_APPLICATION_ID: Final = slice(68, 72)


def find_state_dir(state_dir: Path | None = None) -> Path:
    """Return the state folder to look at: the one given, else `$OPENCLAW_STATE_DIR`, else `~/.openclaw`.

    Raises:
        NoStoreError: It does not exist, or is not a folder.
        UnreadableError: The system does not let us list it.
    """
    if state_dir is not None:
        folder = layout.expanded(state_dir)
        listed(folder)
        return folder
    folder, variable = layout.default_state_dir(), f"${layout.STATE_DIR_VARIABLE}"
    try:
        listed(folder)
    except (NoStoreError, UnreadableError) as error:
        is_named = os.environ.get(layout.STATE_DIR_VARIABLE, "").strip()
        advice = f"it is what {variable} names" if is_named else f"name another with --state-dir or {variable}"
        raise type(error)(folder, error.reason, advice=advice) from error
    return folder


def locate(path: Path, *, settings: StoreSettings | None = None) -> tuple[StoreLocation, ...]:
    """Find the stores at a path, ordered by agent.

    Args:
        path: A store, be it a file or a folder; a folder that holds one; an agent's folder; or a state folder, in which every agent is
            looked for.
        settings: What `settings_of(path)` returned to who asked it before (B.41); by default that is read here, where it matters.

    Raises:
        NoStoreError: There is none.
        UnreadableError: The system does not let us look.
        SettingsError: A state folder's `openclaw.json` cannot be read; it may move the stores elsewhere.
    """
    path = layout.expanded(path)
    if is_a(stat.S_ISREG, path):
        return (_at_file(path),)
    names = {entry.name for entry in listed(path)}
    if path.name == layout.DIRECTORY_SESSIONS or names >= _IN_DIRECTORY_STORE:
        return (_at_folder(path),)
    if "agents" in names:
        return _in_state_dir(path, settings)
    found = _in_agent_folder(path, settings) if names & {"sessions", "agent"} else _in_plain_folder(path, names)
    if found is None:
        raise NoStoreError(path, "holds no session store", advice="give a state folder (it has agents/), an agent's folder or a store file")
    return (found,)


def agents_of(state_dir: Path) -> tuple[str, ...]:
    """Return the agents of a state folder, ordered, whether they have a store or not; a path that is no state folder has none.

    Raises:
        UnreadableError: The system does not let us look.
    """
    state_dir = layout.expanded(state_dir)
    if not is_a(stat.S_ISDIR, layout.agents_dir(state_dir)):
        return ()
    return tuple(sorted(folder.name for folder in _agent_folders(state_dir)))


def agents_without_store(state_dir: Path) -> tuple[str, ...]:
    """Return the agents of a state folder, ordered, that have transcripts but no store: it was lost, or set aside by hand.

    A path that is no state folder has none.

    Raises:
        UnreadableError: The system does not let us look.
        SettingsError: As for `locate`.
    """
    state_dir = layout.expanded(state_dir)
    if not is_a(stat.S_ISDIR, layout.agents_dir(state_dir)):
        return ()
    settings = _settings(state_dir)
    agents = [layout.AgentFolder(folder.name, folder) for folder in _agent_folders(state_dir)]
    return tuple(sorted(agent.agent_id for agent in agents if _of_agent(agent, settings) is None and _has_transcripts(agent)))


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


def json_store_of(path: Path, *, agent: str | None) -> Path:
    """Return where the JSON store of a folder lies, or would lie; our other stores lie beside it.

    Args:
        path: A state folder, an agent's folder, or the folder of a store itself; it need not exist.
        agent: Which agent's, of a state folder; by default the default agent's.

    Raises:
        UsageError: The agent's name is none that a folder may have.
        SettingsError: As for `locate`.
    """
    agent_id = keys.DEFAULT_AGENT if agent is None else agent
    if not keys.is_agent_id(agent_id):
        raise UsageError(f"agent {agent_id!r}: is no agent's name; they are made of letters, digits, - and _")
    names = {entry.name for entry in listed(path)} if is_a(stat.S_ISDIR, path) else set()
    if path.parent.name == "agents":
        folder = layout.AgentFolder(path.name, path)
    elif names & {"agents", layout.CONFIG_NAME} or path == layout.default_state_dir():
        folder = layout.AgentFolder(agent_id, layout.agents_dir(path) / agent_id)
    elif names & {"sessions", "agent"}:
        folder = layout.AgentFolder(agent_id, path)
    else:
        return path / layout.JSON_STORE
    return _configured(folder, settings_of(folder.root)) or folder.json_store


def settings_of(path: Path) -> StoreSettings:
    """Return what the configuration of the state folder at or above a path says of its stores; the defaults without one.

    Raises:
        SettingsError: As for `locate`.
    """
    root = agent_root(path / "x") if not is_a(stat.S_ISDIR, layout.agents_dir(path)) else None  # a state folder may lie in any folder
    return _settings(root.parent.parent if root is not None else path)


def refuse_configuration(path: Path) -> None:
    """Raise when a path names OpenClaw's configuration, which is JSON as well: its sections would pass for sessions.

    Raises:
        NoStoreError: It does, be it through a link.
    """
    if layout.CONFIG_NAME in (path.name, os.path.basename(os.path.realpath(path))):  # noqa: PTH119 - of a text
        advice = f"name the state folder {path.parent}, or a store in it"
        raise NoStoreError(path, "is OpenClaw's configuration, not a session store", advice=advice)


def _at_file(path: Path) -> StoreLocation:
    refuse_configuration(path)
    agent_id = layout.agent_id_of(path) or keys.DEFAULT_AGENT
    root = agent_root(path)
    kind = _kind_of_file(path)
    sessions_dir = (root or path.parent) / "sessions" if kind == "openclaw" else path.parent
    return StoreLocation(agent_id, kind, path, sessions_dir, root)


def _kind_of_file(path: Path) -> StoreKind:
    """Tell a store by its first bytes, whatever its name; by its name where they say nothing."""
    first = head(path, _HEADER_BYTES)
    if first.startswith(_SQLITE_MAGIC) or path.name in (layout.SQLITE_STORE, layout.SQLITE_SESSIONS):
        is_ours = int.from_bytes(first[_APPLICATION_ID], "big") == layout.SQLITE_APPLICATION_ID or path.name == layout.SQLITE_SESSIONS
        return "sqlite" if is_ours else "openclaw"
    if first and path.suffix in (".sqlite", ".db"):
        raise CorruptStoreError(path, "is not a SQLite database")
    return "json"


def _at_folder(path: Path) -> StoreLocation:
    return StoreLocation(layout.agent_id_of(path) or keys.DEFAULT_AGENT, "directory", path, path.parent, agent_root(path))


def _in_state_dir(state_dir: Path, settings: StoreSettings | None) -> tuple[StoreLocation, ...]:
    settings = _settings(state_dir) if settings is None else settings
    folders = _agent_folders(state_dir)
    by_file: dict[str, StoreLocation] = {}
    for folder in folders:
        location = _of_agent(layout.AgentFolder(folder.name, folder), settings)
        if location is None:
            continue
        file = os.path.realpath(location.path)
        first = by_file.setdefault(file, location)
        # One place configured for all agents is as it should be; two names for one file deserve a word.
        if first.path != location.path:
            by_file[file] = replace(first, note=_joined(first.note, f"agent {folder.name} has the same store through a link: counted once"))
    locations = tuple(sorted(by_file.values(), key=lambda location: location.agent_id))
    if not locations:
        none = f"none of its {len(folders)} agents has a session store" if len(folders) > 1 else "its only agent has no session store"
        raise NoStoreError(
            state_dir, none if folders else "has no agents", advice="is this the state folder of a machine that ran OpenClaw?"
        )
    return locations


def _in_agent_folder(folder: Path, settings: StoreSettings | None) -> StoreLocation | None:
    state_dir = folder.parent.parent if folder.parent.name == "agents" else None
    settings = _settings(state_dir) if settings is None else settings
    return _of_agent(layout.AgentFolder(layout.agent_id_of(folder / "x") or keys.DEFAULT_AGENT, folder), settings)


def _in_plain_folder(folder: Path, names: set[str]) -> StoreLocation | None:
    if layout.SQLITE_STORE in names:
        return _at_file(folder / layout.SQLITE_STORE)
    agent = layout.AgentFolder(layout.agent_id_of(folder / "x") or keys.DEFAULT_AGENT, agent_root(folder / "x") or folder)
    return authority([replace(one, root=agent_root(one.path)) for one in _beside(agent, folder / layout.JSON_STORE)])


def _of_agent(agent: layout.AgentFolder, settings: StoreSettings) -> StoreLocation | None:
    """Return where the store of an agent lies that counts; OpenClaw's database only if it has a table of sessions (since 2026.8)."""
    found = _beside(agent, _configured(agent, settings) or agent.json_store)
    if may_exist(agent.sqlite_store) and _may_hold_sessions(agent.sqlite_store):
        found.append(StoreLocation(agent.agent_id, "openclaw", agent.sqlite_store, agent.sessions_dir, agent.root))
    return authority(found)


def _beside(agent: layout.AgentFolder, json_store: Path) -> list[StoreLocation]:
    """Return the stores that lie where the JSON store is, or would be. Of a folder that we may not look into, it is that one."""
    found: list[tuple[StoreKind, Path]] = []
    if may_exist(json_store):
        found.append(("json", json_store))
    database, folder = layout.sqlite_beside(json_store), layout.directory_beside(json_store)
    if os.path.lexists(database):
        found.append(("sqlite", database))
    if os.path.lexists(folder) and not _is_empty(folder):
        found.append(("directory", folder))
    return [StoreLocation(agent.agent_id, kind, path, json_store.parent, agent.root) for kind, path in found]


def beside(location: StoreLocation) -> tuple[StoreLocation, ...]:
    """Return where the other stores of an agent would lie, ours and the JSON store, whether they are there or not."""
    others = [(kind, path) for kind, path in places(location).items() if path != location.path]
    return tuple(StoreLocation(location.agent_id, kind, path, path.parent, location.root) for kind, path in others)


def openclaw_beside(location: StoreLocation) -> tuple[StoreLocation, ...]:
    """Return where OpenClaw's own database would lie, of a JSON store in a state folder: its import moves that one there."""
    root = location.root or agent_root(location.path)
    if root is None or location.kind != "json":
        return ()
    agent = layout.AgentFolder(location.agent_id, root)
    return (StoreLocation(location.agent_id, "openclaw", agent.sqlite_store, agent.sessions_dir, root),)


def is_store(location: StoreLocation) -> bool:
    """Say whether what lies at a location is to be reckoned with: OpenClaw's database only if it has a table of sessions (since 2026.8)."""
    return location.kind != "openclaw" or _may_hold_sessions(location.path)


def places(location: StoreLocation) -> dict[StoreKind, Path]:
    """Return where the stores lie that may take the place of one another: kind -> path."""
    json_store = location.path if location.kind == "json" else location.path.with_suffix(".json")
    return {"json": json_store, "sqlite": layout.sqlite_beside(json_store), "directory": layout.directory_beside(json_store)}


def _is_empty(folder: Path) -> bool:
    """Say whether this is an empty folder, which is no store and hides none."""
    try:
        return not folder.is_symlink() and not listed(folder)
    except StoreError:
        return False


def _agent_folders(state_dir: Path) -> list[Path]:
    folders = [entry for entry in listed(layout.agents_dir(state_dir)) if not entry.name.startswith(".") and is_a(stat.S_ISDIR, entry)]
    # Where two agents share a store it counts once: as that of a folder rather than of a link to it, then as the default agent's.
    return sorted(folders, key=lambda folder: (folder.is_symlink(), folder.name != keys.DEFAULT_AGENT, folder.name))


def _settings(state_dir: Path | None) -> StoreSettings:
    """Return what a state folder's configuration says of its stores; the defaults without one."""
    from sessionlab.settings import StoreSettings, load_store_settings  # a store that is named by its path needs none

    return load_store_settings(state_dir) if state_dir is not None else StoreSettings()


def _may_hold_sessions(sqlite_store: Path) -> bool:
    from sessionlab.stores.openclaw import holds_sessions  # sqlite3 is only loaded for a SQLite store

    try:
        return holds_sessions(sqlite_store)
    except StoreError:
        return True


def _configured(agent: layout.AgentFolder, settings: StoreSettings) -> Path | None:
    """Return the place that `session.store` gives; the home folder is only asked for where it matters."""
    home = Path()
    if settings.store is not None and settings.store.startswith("~"):
        try:
            home = Path.home()
        except RuntimeError as error:
            config = agent.root.parent.parent / layout.CONFIG_NAME
            raise SettingsError("session.store", "starts with ~, but this user has no home folder: set HOME", path=config) from error
    return settings.store_path(agent.agent_id, home=home)


def _has_transcripts(agent: layout.AgentFolder) -> bool:
    if not is_a(stat.S_ISDIR, agent.sessions_dir):
        return False
    return any(layout.part_of(entry.name) in ("transcripts", "transcript archives") for entry in listed(agent.sessions_dir))


def _joined(*notes: str) -> str:
    return "; ".join(note for note in notes if note)


def agent_root(path: Path) -> Path | None:
    """Return the agent's folder above a store file: the one that lies in `agents/`."""
    return next((parent for parent in path.parents if parent.parent.name == "agents"), None)
