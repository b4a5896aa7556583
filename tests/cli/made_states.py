"""State folders made for a test: one agent's store of a kind, with given sessions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from sessionlab.stores.directory import DirectoryStore
from sessionlab.stores.sqlite import SQLiteStore

KINDS: Final = ("json", "sqlite", "directory")
NAMES: Final = {"json": "sessions.json", "sqlite": "sessions.sqlite", "directory": "sessions.d"}


def store_path(state: Path, kind: str, *, agent: str = "main") -> Path:
    """Return where an agent's store of a kind lies in a state folder."""
    return state / "agents" / agent / "sessions" / NAMES[kind]


def made_state(state: Path, kind: str, sessions: Mapping[str, Any], *, agent: str = "main") -> Path:
    """Write an agent's store into a state folder, and return the folder."""
    path = store_path(state, kind, agent=agent)
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "json":
        path.write_text(json.dumps(sessions, indent=2), encoding="utf-8")
        return state
    with SQLiteStore(path) if kind == "sqlite" else DirectoryStore(path) as store:
        store.save(sessions)
    return state


def some_sessions(*, agent: str = "main", count: int = 3) -> dict[str, Any]:
    """Return sessions of a minute each, the last the newest."""
    return {
        f"agent:{agent}:telegram:direct:{number}": {"sessionId": f"{agent}-{number}", "updatedAt": 1_795_132_800_000 + number * 60_000}
        for number in range(count)
    }
