"""Stores of other agents that lie in the same folder: what their sessions refer to is theirs, whoever maintains the folder's files.

In a state folder as OpenClaw lays it out there are none: every agent has a folder of its own. Where `session.store` is a place such as
`~/stores/{agentId}.json`, all of them share one.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from sessionlab import layout
from sessionlab.entry import SessionSummary
from sessionlab.errors import NoStoreError
from sessionlab.maintenance.files import SessionFiles, session_files
from sessionlab.stores.locating import locate, places
from sessionlab.stores.location import KIND_OF_SUFFIX, StoreLocation, open_at
from sessionlab.stores.looking import head

_NO_STORES: Final = (".lock", ".tmp", "-wal", "-shm", "-journal", ".jsonl", ".zst", ".gz")
"""How names end of what belongs to a store, or to a session."""


def neighbours(location: StoreLocation) -> tuple[StoreLocation, ...]:
    """Return the stores of other agents in the folder of a store's transcripts.

    Raises:
        StoreError: One of them cannot be read: nobody knows then which files are its.
    """
    folder = location.sessions_dir
    if location.root is not None and folder == location.root / "sessions":
        return ()
    own = {path.name for path in places(location).values()}
    names = sorted(path.name for path in folder.iterdir() if _may_be_a_store(path)) if folder.is_dir() else []
    found: list[StoreLocation] = []
    for name in names:
        if name in own:
            continue
        try:
            found += locate(folder / name)
        except NoStoreError:  # a file of another kind
            continue
    return tuple(found)


def _may_be_a_store(path: Path) -> bool:
    """Say whether this is a store by its name, or, as `session.store` may give it any, by its first bytes."""
    if path.name.startswith(".") or layout.part_of(path.name) not in ("store file", "other files"):
        return False
    if path.suffix in KIND_OF_SUFFIX:
        return True
    if path.name.endswith(_NO_STORES) or not path.is_file():
        return False
    first = head(path, 16).lstrip()
    return first.startswith((b"{", b"SQLite format 3"))


def summaries_beside(location: StoreLocation) -> Iterator[SessionSummary]:
    """Yield the sessions of the other stores in a store's folder.

    Raises:
        StoreError: As for `neighbours`.
    """
    for one in neighbours(location):
        with open_at(one) as store:
            yield from store.summaries()


def files_beside(location: StoreLocation) -> SessionFiles:
    """Look at the files beside a store, and whose they are.

    Raises:
        StoreError: As for `neighbours`.
        UnreadableError: The system does not let us look.
    """
    return session_files(location.sessions_dir, store_names=own_names(location), others=summaries_beside(location))


def own_names(location: StoreLocation) -> tuple[str, ...]:
    """Return the names of the files in the sessions folder that belong to the store itself."""
    name = location.path.name
    return (name, f"{name}-wal", f"{name}-shm", f"{name}.lock")
