"""Small state folders of the JSON era made by hand, with files old enough that no clock tick is in doubt."""

from __future__ import annotations

import itertools
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_steps = itertools.count(1)
_FIRST_NS = 1_700_000_000_000_000_000


def write_store(state: Path, agent: str, store: dict[str, Any]) -> Path:
    """Write an agent's `sessions.json` in place."""
    folder = state / "agents" / agent / "sessions"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "sessions.json"
    path.write_text(json.dumps(store), encoding="utf-8")
    return path


def header(session_id: str, **fields: Any) -> dict[str, Any]:
    """Return a transcript's first line."""
    return {"type": "session", "version": 3, "id": session_id, "timestamp": "2026-11-01T00:00:00.000Z", **fields}


def event(event_id: str, *, cost: float) -> dict[str, Any]:
    """Return an assistant message of this many dollars; the same id is the same event."""
    usage = {"input": 10, "output": 5, "cacheRead": 100, "cacheWrite": 1, "totalTokens": 116, "cost": {"total": cost}}
    message = {"role": "assistant", "provider": "openai", "model": "m1", "content": [], "usage": usage}
    return {"type": "message", "id": event_id, "timestamp": "2026-11-02T12:00:00.500Z", "message": message}


def write_transcript(state: Path, agent: str, name: str, lines: Sequence[dict[str, Any] | bytes]) -> Path:
    """Write a transcript file; bytes are lines as they are."""
    path = state / "agents" / agent / "sessions" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join((line if isinstance(line, bytes) else json.dumps(line).encode()) + b"\n" for line in lines))
    return path


def long_ago(path: Path, *, seconds: int) -> None:
    """Date a file long before now: another time for another `seconds`."""
    stamp = _FIRST_NS + seconds * 1_000_000_000
    os.utime(path, ns=(stamp, stamp))


def settle(state: Path, *, only_new: bool = False) -> None:
    """Date every file, or every one changed lately, long before now, each call later than the one before."""
    step = next(_steps)
    recently = time.time_ns() - 3_600_000_000_000
    for path in state.rglob("*"):
        if path.is_file() and (not only_new or path.stat().st_mtime_ns > recently):
            long_ago(path, seconds=1000 + step)
