"""What a load is about: the stores at a path, their files as one look at the folders shows them, and what stands for all of that."""

from __future__ import annotations

import dataclasses
import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sessionlab import layout
from sessionlab.errors import UsageError
from sessionlab.lab.files import SeenFile, scan_files
from sessionlab.lab.insert import encodable
from sessionlab.stores.locating import agents_without_store, locate
from sessionlab.stores.location import StoreLocation

_RACY_NS: Final = 100_000_000
"""A file changed less than this before it was looked at may change again within the same tick of the file system's clock."""


@dataclass(frozen=True, slots=True)
class Source:
    """What lies on disk before anything is read.

    Attributes:
        root: The folder that paths are shown relative to.
        files: The files of each store, in the order in which the stores are read.
        signature: Stands for them all; empty when some file may still be changing.
        racy_after_ns: Files changed later than this may change again without another time.
        lost: The agents that have transcripts and no store.
    """

    root: Path
    files: Mapping[StoreLocation, list[SeenFile]]
    signature: str
    racy_after_ns: int
    lost: tuple[str, ...]

    @property
    def shown_root(self) -> str:
        """The root as text that any database takes."""
        return str(self.root).encode("utf-8", "backslashreplace").decode("utf-8")


def look_at(path: Path, *, agent: str | None) -> Source:
    """Look at the stores at `path`; nothing is opened.

    Args:
        path: What `stores.locate` takes: a store, an agent's folder or a state folder.
        agent: Only this agent.

    Raises:
        StoreError: There is no store, or a folder cannot be listed.
        UsageError: There is no such agent.
    """
    lost = tuple(agent_id for agent_id in agents_without_store(path) if agent in (None, agent_id))
    latest = time.time_ns() - _RACY_NS
    files = {location: scan_files(location) for location in _located(path, agent)}
    digest = hashlib.sha256(repr(lost).encode())
    is_racy = False
    for location, seen in files.items():
        digest.update(f"{location}\n".encode())
        for file in seen:
            stamp = f"{file.path}\0{file.bytes}\0{file.mtime_ns}\0{file.ctime_ns}\0{file.inode}\n"
            digest.update(stamp.encode("utf-8", "surrogateescape"))
            is_racy = is_racy or file.mtime_ns > latest
    folder = layout.expanded(path)
    return Source(folder if folder.is_dir() else folder.parent, files, "" if is_racy else digest.hexdigest(), latest, lost)


def _located(path: Path, agent: str | None) -> tuple[StoreLocation, ...]:
    # A folder's name need not be UTF-8, and the mirror's text must be.
    locations = tuple(dataclasses.replace(found, agent_id=encodable(found.agent_id) or "") for found in locate(path))
    if agent is None:
        return locations
    chosen = tuple(location for location in locations if location.agent_id == agent)
    if not chosen:
        raise UsageError(f"{path}: has no agent {agent!r}; there are {', '.join(location.agent_id for location in locations)}")
    return chosen
