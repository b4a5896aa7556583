"""Looking at a state folder before anything is planned: what each agent's store is, and whether it could be moved (C.26 to C.28).

Reads only; a store that cannot be moved is a finding, not an error.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final, Literal

import msgspec

from sessionlab import layout
from sessionlab.errors import NoStoreError, StoreError
from sessionlab.migration.reading import read_all
from sessionlab.stores.authority import refuse_split
from sessionlab.stores.locating import agents_of, locate
from sessionlab.stores.location import StoreKind, StoreLocation
from sessionlab.units import format_bytes

Status = Literal["already_directory", "already_sqlite", "already_json", "ready_to_migrate", "empty_legacy", "invalid_legacy", "missing"]
MAX_LEGACY_BYTES: Final = 64 << 20
"""A JSON store larger than this was not moved by openclaw#51946; here it is a warning, because it is exactly what should be moved."""

_PREVIEWED: Final = 5
_ALREADY: Final[dict[StoreKind, Status]] = {"directory": "already_directory", "sqlite": "already_sqlite", "json": "already_json"}


class Detection(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What was found of one agent's store. Names as in openclaw#51946.

    Attributes:
        agent_id: The agent.
        store_path: The store that counts; where the JSON store would lie when there is none.
        kind: What it is; "" for none.
        status: Whether it can be moved.
        legacy_exists: Whether there is a `sessions.json`.
        directory_active: Whether there is an active `sessions.d`.
        legacy_entry_count: Members in the store that counts, spellings counted each.
        normalized_entry_count: Sessions that would arrive.
        preview: The first of their keys.
        warnings: What is wrong or lossy, in words.
    """

    agent_id: str
    store_path: str
    kind: str
    status: Status
    legacy_exists: bool
    directory_active: bool
    legacy_entry_count: int = 0
    normalized_entry_count: int = 0
    preview: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def inspect(path: Path, *, to: StoreKind, agent: str | None = None) -> tuple[Detection, ...]:
    """Return what a migration to a kind of store would find, ordered by agent; agents without a store are "missing".

    Args:
        path: As for `stores.locate`.
        to: What is to be migrated to.
        agent: Only this agent.

    Raises:
        NoStoreError: There is nothing at the path.
        UnreadableError: The system does not let us look.
        SettingsError: As for `stores.locate`.
    """
    agents = agents_of(path)
    try:
        located = {one.agent_id: one for one in locate(path)}
    except NoStoreError:
        if not agents:
            raise
        located = {}
    found = []
    for agent_id in sorted({*located, *agents}):
        if agent in (None, agent_id):
            location = located.get(agent_id)
            found.append(_missing(path, agent_id) if location is None else _detected(location, to))
    return tuple(found)


def _missing(path: Path, agent_id: str) -> Detection:
    place = layout.AgentFolder(agent_id, layout.agents_dir(layout.expanded(path)) / agent_id).json_store
    return Detection(agent_id=agent_id, store_path=str(place), kind="", status="missing", legacy_exists=False, directory_active=False)


def _detected(location: StoreLocation, to: StoreKind) -> Detection:
    stores = {location.kind: location, **{rival.kind: rival for rival in location.rivals}}
    base = Detection(
        agent_id=location.agent_id,
        store_path=str(location.path),
        kind=location.kind,
        status=_ALREADY[to],
        legacy_exists="json" in stores,
        directory_active=location.kind == "directory",
    )
    if location.kind == to:
        return base
    try:
        refuse_split(location)
        warnings = _odd(location)
        reads = [one._replace(entry=None if one.entry is None else {}, data=b"") for one in read_all(location)]
    except StoreError as error:
        return msgspec.structs.replace(base, status="invalid_legacy", warnings=(error.reason,))
    sound = list(dict.fromkeys(one.key for one in reads if one.entry is not None))
    bad = [one for one in reads if one.entry is None]
    merged = len(reads) - len(bad) - len(sound)
    warnings += [f"the entry of {one.spelling[:80]!r} cannot be moved: {one.reason}" for one in bad]
    if merged:
        plural = "s" if merged > 1 else ""
        warnings.append(f"{merged} other spelling{plural} of a key that is there already: the newest counts")
    return msgspec.structs.replace(
        base,
        status="ready_to_migrate" if sound else "empty_legacy" if not bad else "invalid_legacy",
        legacy_entry_count=len(reads),
        normalized_entry_count=len(sound),
        preview=tuple(sound[:_PREVIEWED]),
        warnings=tuple(warnings),
    )


def _odd(location: StoreLocation) -> list[str]:
    """Return what is odd about a JSON store's file.

    Raises:
        StoreError: It is no regular file.
    """
    if location.kind != "json":
        return []
    found = os.lstat(location.path)
    if stat.S_ISLNK(found.st_mode):
        raise StoreError(location.path, "is a symbolic link", advice="put the file itself in its place")
    if found.st_size > MAX_LEGACY_BYTES:
        return [f"is large: {format_bytes(found.st_size)}"]
    return []
