"""Which store lies at a path, and opening it: a store file, a sessions folder, an agent's folder or a whole state folder.

A folder is opened by what lies in it. Exactly one store of an agent may hold sessions; when two do, nothing is chosen in silence.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from sessionlab import keys, layout
from sessionlab.errors import (
    CorruptStoreError,
    NoStoreError,
    SettingsError,
    SplitStoreError,
    StoreError,
    UnreadableError,
    UsageError,
)
from sessionlab.stores.base import SessionStore
from sessionlab.stores.json_file import JSONFileStore

if TYPE_CHECKING:
    from sessionlab.settings import StoreSettings

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
        note: What its owner should know about how this store was chosen, in one line; mostly "".
    """

    agent_id: str
    kind: StoreKind
    path: Path
    sessions_dir: Path
    root: Path | None = None
    rival: Path | None = None
    note: str = ""


def find_state_dir(state_dir: Path | None = None) -> Path:
    """Return the state folder to look at: the one given, else `$OPENCLAW_STATE_DIR`, else `~/.openclaw`.

    Raises:
        NoStoreError: It does not exist, or is not a folder.
        UnreadableError: The system does not let us list it.
    """
    if state_dir is not None:
        folder = layout.expanded(state_dir)
        _list(folder)
        return folder
    folder, variable = layout.default_state_dir(), f"${layout.STATE_DIR_VARIABLE}"
    try:
        _list(folder)
    except (NoStoreError, UnreadableError) as error:
        is_named = os.environ.get(layout.STATE_DIR_VARIABLE, "").strip()
        advice = f"it is what {variable} names" if is_named else f"name another with --state-dir or {variable}"
        raise type(error)(folder, error.reason, advice=advice) from error
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
    if _is(stat.S_ISREG, path):
        return (_at_file(path),)
    names = {entry.name for entry in _list(path)}
    if "agents" in names:
        return _in_state_dir(path)
    found = _in_agent_folder(path) if names & {"sessions", "agent"} else _in_plain_folder(path, names)
    if found is None:
        raise NoStoreError(path, "holds no session store", advice="give a state folder (it has agents/), an agent's folder or a store file")
    return (found,)


def agents_without_store(state_dir: Path) -> tuple[str, ...]:
    """Return the agents of a state folder, ordered, that have transcripts but no store: it was lost, or set aside by hand.

    A path that is no state folder has none.

    Raises:
        UnreadableError: The system does not let us look.
        SettingsError: As for `locate`.
    """
    state_dir = layout.expanded(state_dir)
    if not _is(stat.S_ISDIR, layout.agents_dir(state_dir)):
        return ()
    settings = _settings(state_dir)
    agents = [layout.AgentFolder(folder.name, folder) for folder in _agent_folders(state_dir)]
    return tuple(sorted(agent.agent_id for agent in agents if _of_agent(agent, settings) is None and _has_transcripts(agent)))


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


def refuse_unreadable(path: Path, *, agent: str | None = None) -> None:
    """Raise what loading the stores at a path would raise: for whoever has long work to do before that.

    Args:
        path: As for `locate`.
        agent: Only this agent.

    Raises:
        UsageError: There is no such agent.
        StoreError: No store is there, or one cannot be read.
    """
    locations = locate(path)
    meant = [location for location in locations if agent in (None, location.agent_id)]
    if not meant:
        raise UsageError(f"{path}: has no agent {agent!r}; there are {', '.join(location.agent_id for location in locations)}")
    for location in meant:
        with open_at(location) as store:
            store.count()


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
    head = _head(path)
    agent_id = layout.agent_id_of(path) or keys.DEFAULT_AGENT
    root = _agent_root(path)
    if head == _SQLITE_MAGIC or path.name == layout.SQLITE_STORE:
        return StoreLocation(agent_id, "openclaw", path, (root or path.parent) / "sessions", root)
    if head and path.suffix in (".sqlite", ".db"):
        raise CorruptStoreError(path, "is not a SQLite database")
    return StoreLocation(agent_id, "json", path, path.parent, root)


def _head(path: Path) -> bytes:
    """Return a file's first bytes. A pipe in its place is refused: reading it would wait for ever."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise NoStoreError(path, "is not a regular file")
            return os.pread(descriptor, len(_SQLITE_MAGIC), 0)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise UnreadableError(path, f"cannot be read ({error.strerror})") from error


def _agent_folders(state_dir: Path) -> list[Path]:
    folders = [entry for entry in _list(layout.agents_dir(state_dir)) if not entry.name.startswith(".") and _is(stat.S_ISDIR, entry)]
    # Where two agents share a store it counts once: as that of a folder rather than of a link to it, then as the default agent's.
    return sorted(folders, key=lambda folder: (folder.is_symlink(), folder.name != keys.DEFAULT_AGENT, folder.name))


def _in_state_dir(state_dir: Path) -> tuple[StoreLocation, ...]:
    settings = _settings(state_dir)
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
        reason = f"none of its {len(folders)} agents has a session store" if folders else "has no agents"
        raise NoStoreError(state_dir, reason, advice="is this the state folder of a machine that ran OpenClaw?")
    return locations


def _in_agent_folder(folder: Path) -> StoreLocation | None:
    state_dir = folder.parent.parent if folder.parent.name == "agents" else None
    settings = _settings(state_dir)
    return _of_agent(layout.AgentFolder(layout.agent_id_of(folder / "x") or keys.DEFAULT_AGENT, folder), settings)


def _settings(state_dir: Path | None) -> StoreSettings:
    """Return what a state folder's configuration says of its stores; the defaults without one."""
    from sessionlab.settings import StoreSettings, load_store_settings  # a store that is named by its path needs none

    return load_store_settings(state_dir) if state_dir is not None else StoreSettings()


def _of_agent(agent: layout.AgentFolder, settings: StoreSettings) -> StoreLocation | None:
    """Return where an agent's store lies: the SQLite store as soon as it has a table of sessions, else the JSON file (2026.8 moved).

    A store that cannot be read is located all the same: opening it says what is wrong.
    """
    json_store = _configured(agent, settings) or agent.json_store
    as_json = StoreLocation(agent.agent_id, "json", json_store, json_store.parent, agent.root) if _may_exist(json_store) else None
    if not (_may_exist(agent.sqlite_store) and _may_hold_sessions(agent.sqlite_store)):
        return as_json
    location = StoreLocation(agent.agent_id, "openclaw", agent.sqlite_store, agent.sessions_dir, agent.root)
    if as_json is None:
        return location
    if _is_import_pending(location, as_json):
        note = f"the SQLite store {agent.sqlite_store} is still empty, so {json_store.name} was read; OpenClaw's import has yet to move it"
        return replace(as_json, note=note)
    return replace(location, rival=json_store)


def _may_hold_sessions(sqlite_store: Path) -> bool:
    from sessionlab.stores.openclaw import holds_sessions  # sqlite3 is only loaded for a SQLite store

    try:
        return holds_sessions(sqlite_store)
    except StoreError:
        return True


def _is_import_pending(location: StoreLocation, as_json: StoreLocation) -> bool:
    """Say whether the database is empty beside a JSON store with sessions: OpenClaw 2026.8+ has started but not imported it yet."""
    try:
        with open_at(as_json) as store:
            if store.count() == 0:
                return False
        with open_at(location) as store:
            return store.count() == 0
    except StoreError:
        return False


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
    if not _is(stat.S_ISDIR, agent.sessions_dir):
        return False
    return any(layout.part_of(entry.name) in ("transcripts", "transcript archives") for entry in _list(agent.sessions_dir))


def _joined(*notes: str) -> str:
    return "; ".join(note for note in notes if note)


def _in_plain_folder(folder: Path, names: set[str]) -> StoreLocation | None:
    for name in (layout.SQLITE_STORE, layout.JSON_STORE):
        if name in names:
            return _at_file(folder / name)
    return None


def _agent_root(path: Path) -> Path | None:
    """Return the agent's folder above a store file: the one that lies in `agents/`."""
    return next((parent for parent in path.parents if parent.parent.name == "agents"), None)


def _is(kind: Callable[[int], bool], path: Path) -> bool:
    """Say whether there is something of this kind; `Path.is_file` and the like take a refusal for a no since Python 3.14."""
    try:
        return kind(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise UnreadableError(path, f"cannot be looked at ({error.strerror})") from error


def _may_exist(path: Path) -> bool:
    """Say whether anything lies there, be it a link that leads nowhere or something we may not look at: opening it says so."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def _list(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except FileNotFoundError as error:
        if folder.is_symlink():
            raise UnreadableError(folder, f"is a link to {folder.readlink()}, which does not exist") from error
        raise NoStoreError(folder, "there is no such file or folder") from error
    except NotADirectoryError as error:
        raise NoStoreError(folder, "is not a folder") from error
    except OSError as error:
        raise UnreadableError(folder, f"cannot be listed ({error.strerror})") from error
