"""Where the runs of a store are kept, and which store is meant by a path that a person names."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from sessionlab import keys, layout
from sessionlab.errors import NoStoreError, UsageError
from sessionlab.migration.run_folder import RunFolder, runs
from sessionlab.stores.authority import authority
from sessionlab.stores.locating import agent_root, beside, locate, only
from sessionlab.stores.location import KIND_OF_SUFFIX, StoreLocation


def root_of(location: StoreLocation) -> Path:
    """Return the folder that the runs of a store are kept in, below `.sessionlab`: the state folder, or the store's own."""
    return location.root.parent.parent if location.root is not None else location.path.parent


def runs_of(location: StoreLocation) -> tuple[RunFolder, ...]:
    """Return the runs that may have to do with a store, the oldest first."""
    places = dict.fromkeys((root_of(location), location.path.parent))
    return tuple(run for place in places for run in runs(place))


def named_store(path: Path) -> StoreLocation:
    """Return the store that counts where a store file or folder lies, or lay: it may have been moved to another kind meanwhile.

    Raises:
        NoStoreError: There is none, nor one of another kind in its place.
        UsageError: It is a folder with several stores.
        StoreError: What lies there is no store, or cannot be read.
    """
    path = layout.expanded(path)
    if os.path.lexists(path):
        try:
            named = only(locate(path), path, agent=None)
        except NoStoreError as error:
            if path.is_dir() and (path / "agents").is_dir():
                raise UsageError(f"{path}: is a state folder, not a store") from error
            raise
    else:
        kind = KIND_OF_SUFFIX.get(path.suffix, "json")
        named = StoreLocation(layout.agent_id_of(path) or keys.DEFAULT_AGENT, kind, path, path.parent, agent_root(path))
    if named.kind == "openclaw":
        return named
    there = [replace(one, rivals=()) for one in (named, *beside(named)) if os.path.lexists(one.path)]
    counts = authority(there)
    if counts is None:
        raise NoStoreError(path, "there is no such store, nor one of another kind in its place")
    return counts
