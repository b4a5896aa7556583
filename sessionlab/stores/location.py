"""Where one agent's store lies, of which kind it is, and opening what lies there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from sessionlab.errors import UnwritableError
from sessionlab.stores.base import SessionStore
from sessionlab.stores.json_file import JSONFileStore

if TYPE_CHECKING:
    from sessionlab.stores.sqlite_opening import Durability
    from sessionlab.stores.writing import WritableStore

# Formats other than JSON are imported where they are opened: sqlite3, and what writing needs, are only loaded for who needs them.

StoreKind = Literal["json", "openclaw", "sqlite", "directory"]
"""`sessions.json`; OpenClaw's own SQLite store of 2026.8+; our `sessions.sqlite`; our `sessions.d`."""

KIND_OF_SUFFIX: Final[dict[str, StoreKind]] = {".json": "json", ".sqlite": "sqlite", ".d": "directory"}
"""What a store is meant to be that is not there, by the end of its name."""


@dataclass(frozen=True, slots=True)
class StoreLocation:
    """Where one agent's store lies.

    Attributes:
        agent_id: The agent.
        kind: What it is.
        path: The store's file, or its folder.
        sessions_dir: The folder of the agent's transcript files; it need not exist.
        root: The agent's folder, when the path lies in one.
        rivals: Other stores of the same agent that must not be forgotten: they may hold sessions, too.
        is_promoted: Whether the store itself says that it counts, whatever lies beside it.
        note: What its owner should know about how this store was chosen, in one line; mostly "".
    """

    agent_id: str
    kind: StoreKind
    path: Path
    sessions_dir: Path
    root: Path | None = None
    rivals: tuple[StoreLocation, ...] = ()
    is_promoted: bool = False
    note: str = ""


def open_at(location: StoreLocation) -> SessionStore:
    """Open the store at a location, for reading: every answer is about one state of it.

    Raises:
        StoreError: As the store's own opening; a store that is not there is no empty one.
    """
    match location.kind:
        case "json":
            return JSONFileStore.open(location.path, agent_id=location.agent_id)
        case "openclaw":
            from sessionlab.stores.openclaw import OpenClawStore

            return OpenClawStore.open(location.path, agent_id=location.agent_id)
        case "sqlite":
            from sessionlab.stores.sqlite import SQLiteStore

            return SQLiteStore.open_snapshot(location.path, agent_id=location.agent_id)
        case "directory":
            from sessionlab.stores.directory_reader import DirectoryReader

            return DirectoryReader.open(location.path, agent_id=location.agent_id)


def snapshot_at(location: StoreLocation) -> SessionStore:
    """Open the store at a location, for reading: all answers are about the one state in which it was opened.

    Raises:
        StoreError: As for `open_at`; a directory store with a file that holds no session is refused, too.
    """
    if location.kind != "directory":
        return open_at(location)  # one open file, or a private copy
    from sessionlab.stores.directory_snapshot import DirectorySnapshot

    return DirectorySnapshot.open(location.path, agent_id=location.agent_id)


def open_for_writing_at(location: StoreLocation, *, durability: Durability, timeout_ms: float) -> WritableStore:
    """Open the store at a location for reading and writing; one that is not there is made by the first write.

    Raises:
        UnwritableError: It is OpenClaw's own database.
    """
    match location.kind:
        case "json":
            from sessionlab.stores.json_store import JSONStore

            return JSONStore(location.path, agent_id=location.agent_id, durable=durability == "commit", timeout_ms=timeout_ms)
        case "sqlite":
            from sessionlab.stores.sqlite import SQLiteStore

            return SQLiteStore(location.path, agent_id=location.agent_id, durability=durability, timeout_ms=timeout_ms)
        case "directory":
            from sessionlab.stores.directory import DirectoryStore

            return DirectoryStore(location.path, agent_id=location.agent_id, timeout_ms=timeout_ms)
        case "openclaw":
            raise UnwritableError(location.path, "is OpenClaw's own database, which sessionlab only reads", advice="let OpenClaw write it")
