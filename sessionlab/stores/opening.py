"""Opening the one store that counts at a path, for reading or for writing; two that disagree are never chosen between in silence."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from sessionlab import keys, layout
from sessionlab.errors import NoStoreError, StoreError, UsageError
from sessionlab.storage.kernel_lock import DEFAULT_TIMEOUT_MS
from sessionlab.stores.authority import refuse_split
from sessionlab.stores.base import SessionStore
from sessionlab.stores.guard import Guard
from sessionlab.stores.locating import beside, json_store_of, locate, only, openclaw_beside, places, refuse_configuration, settings_of
from sessionlab.stores.location import KIND_OF_SUFFIX, StoreLocation, open_at, open_for_writing_at
from sessionlab.stores.looking import may_exist

if TYPE_CHECKING:
    from sessionlab.settings import StoreType
    from sessionlab.stores.sqlite_opening import Durability
    from sessionlab.stores.writing import WritableStore

_MOST_LOOKS: Final = 5
"""For a store that is moved on and on."""
_Found = TypeVar("_Found")
_Opened = TypeVar("_Opened")


def open_store(path: str | Path, *, agent: str | None = None) -> SessionStore:
    """Open the one store at a path, for reading. When another store takes its place later, asking this one raises `StoreMovedError`.

    Args:
        path: As for `locate`.
        agent: Which agent's, when the path holds several.

    Raises:
        NoStoreError: None there, or none of that agent; or several and no agent named.
        SplitStoreError: Two stores of the agent both hold sessions.
        StoreError: As the store's own `open`.
    """
    path = Path(path)

    def opened(location: StoreLocation) -> SessionStore:
        refuse_split(location)
        store = open_at(location)
        _watch(store, location, path)
        return store

    return _unmoved(lambda: only(locate(path), path, agent=agent), opened)


def open_for_writing(
    path: str | Path,
    *,
    agent: str | None = None,
    store_type: StoreType | None = None,
    durability: Durability = "commit",
    timeout_ms: float = DEFAULT_TIMEOUT_MS,
) -> WritableStore:
    """Open the one store at a path, for reading and writing. Where there is none, the first write makes it; nothing is made before.

    Args:
        path: As for `locate`; or where a store is to be: a file or folder named as one (`sessions.json`, `sessions.sqlite`, `sessions.d`),
            a sessions folder, an agent's folder, or a state folder.
        agent: Which agent's, when the path is a state folder; "main" where that has no store yet.
        store_type: What is made when there is nothing; by default what `session.storeType` says in the state folder's `openclaw.json`,
            else "json". A store that is there stays what it is, whatever is asked for or configured (B.14, B.22).
        durability: "commit" or "process"; see `SQLiteStore`. A directory store always is as "commit".
        timeout_ms: How long a write waits for others; 0 or infinite for ever.

    Raises:
        UsageError: What is asked for and the path's name contradict one another, or is nothing that there is; an agent's name that no
            folder may have; a file that is not there and has a name of no store's.
        NoStoreError: The path is that of OpenClaw's configuration; or its store is another agent's.
        SplitStoreError: Two stores of the agent both hold sessions.
        UnwritableError: It is OpenClaw's own database, which is only read.
        StoreError: What lies there is no store, or cannot be read.
    """
    _refuse_unknown("store_type", store_type, (None, *KIND_OF_SUFFIX.values()))
    _refuse_unknown("durability", durability, ("commit", "process"))
    path = layout.expanded(Path(path))

    def opened(found: StoreLocation | None) -> WritableStore:
        location = found or _new(path, agent, store_type)
        if found is not None:
            refuse_split(found)
        store = open_for_writing_at(location, durability=durability, timeout_ms=timeout_ms)
        _watch(store, location, path, is_new=found is None)
        return store

    return _unmoved(lambda: _existing(path, agent) or _existing(path, agent), opened)


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


def _unmoved(look: Callable[[], _Found], opened: Callable[[_Found], _Opened]) -> _Opened:
    """Look for a store and open it; where that fails because a migration moves the store just then, look again.

    Looking takes several steps, too: in between, a store may go where was looked already.
    """
    for _ in range(_MOST_LOOKS):
        try:
            found = look()
        except NoStoreError:
            found = look()
        try:
            return opened(found)
        except NoStoreError:  # what was there went, and another of its name may have come since: that tells nothing
            continue
        except StoreError:
            if look() == found:
                raise
    return opened(look())


def _watch(store: SessionStore, location: StoreLocation, path: Path, *, is_new: bool = False) -> None:
    """Let a store that was just opened notice when another takes its place, be it since the path was looked at.

    Whoever names one of several stores by its own path means that one. OpenClaw's database gives its place to none of ours.
    """
    if location.kind == "openclaw":
        return
    is_named = location.path == layout.expanded(path)
    others = (*beside(location), *openclaw_beside(location))
    rivals = [one for one in others if os.path.lexists(one.path)] if is_named else location.rivals
    there = [*rivals] if is_new else [location, *rivals]
    store.watch(Guard(location, others, known=[one.path for one in there]))


def _refuse_unknown(name: str, value: object, choices: Sequence[str | None]) -> None:
    if value not in choices:
        raise UsageError(f"{name}={value!r}: is not known; write {', '.join(repr(choice) for choice in choices)}")


def _existing(path: Path, agent: str | None) -> StoreLocation | None:
    """Return the store that lies there; `None` when there is none, and one may be made."""
    try:
        found = locate(path)
    except NoStoreError:
        if may_exist(path) and not path.is_dir():
            raise
        return None
    if agent is not None and agent not in {one.agent_id for one in found} and may_exist(layout.agents_dir(path)):
        return None  # an agent of this state folder that has no store yet
    return only(found, path, agent=agent)


def _new(path: Path, agent: str | None, store_type: StoreType | None) -> StoreLocation:
    """Return where a store is to be made."""
    refuse_configuration(path)
    if path.suffix and path.suffix not in KIND_OF_SUFFIX and not may_exist(path):
        reason = f"is not there, and {path.suffix} is the end of no store's name ({', '.join(KIND_OF_SUFFIX)})"
        raise UsageError(f"{path}: {reason}; if a folder is meant, make it first")
    named = KIND_OF_SUFFIX.get(path.suffix) if not path.is_dir() or path.name == layout.DIRECTORY_SESSIONS else None
    if named is not None:
        if store_type not in (None, named):
            raise UsageError(f"{path}: is the name of a store of type {named}, not {store_type}: give the folder it is to lie in")
        return StoreLocation(agent or layout.agent_id_of(path) or keys.DEFAULT_AGENT, named, path, path.parent)
    json_store = json_store_of(path, agent=agent)
    kind = store_type or settings_of(path).store_type or "json"
    place = places(StoreLocation("", "json", json_store, json_store.parent))[kind]
    agent_id = agent or layout.agent_id_of(place) or keys.DEFAULT_AGENT
    return replace(StoreLocation(agent_id, kind, place, json_store.parent))
