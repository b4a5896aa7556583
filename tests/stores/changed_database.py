"""OpenClaw's databases changed by hand or as its maintenance does, and all that the reader then gives."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import zstandard

from sessionlab.stores.base import Problem
from sessionlab.stores.openclaw import OpenClawStore
from sessionlab.stores.transcript_store import StoredTranscript

Change = Callable[[sqlite3.Connection], object]
WINDOW = "d86bb32f-14b9-4257-9266-ef64311275fc"
"""The transcript of agent:main:main."""


def change(path: Path, *changes: str | Change) -> Path:
    """Change a database as a hand with the sqlite3 shell would: no trigger fires, no constraint holds."""
    db = sqlite3.connect(path, isolation_level=None)
    db.create_function("octet_length", 1, lambda value: None if value is None else len(str(value).encode()), deterministic=True)
    db.execute("PRAGMA ignore_check_constraints=ON")
    db.execute("PRAGMA foreign_keys=OFF")
    for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        db.execute(f'DROP TRIGGER "{name}"')
    for one in changes:
        if callable(one):
            one(db)
        else:
            db.execute(one)
    db.close()
    return path


def checked(path: Path) -> dict[str, list[Problem]]:
    """Return what `check()` finds, by code."""
    found: dict[str, list[Problem]] = {}
    with OpenClawStore.open(path) as opened:
        for problem in opened.check():
            found.setdefault(problem.code, []).append(problem)
    return found


def buffers(path: Path) -> dict[str, tuple[StoredTranscript, bytes]]:
    """Return every transcript with its lines, by name."""
    with OpenClawStore.open(path) as opened:
        return {transcript.name: (transcript, lines) for transcript, lines in opened.iter_transcript_buffers()}


def freeze(path: Path, *, into: str, damage: Callable[[bytes], bytes] = bytes, events: int | None = None, keep_live: bool = False) -> Path:
    """Move the main session's events into cold storage, as OpenClaw's maintenance does, and return the cold file."""
    lines = buffers(path)[f"{WINDOW}.jsonl"][1].splitlines()
    records: list[dict[str, Any]] = [{"kind": "header", "version": 1, "sessionId": WINDOW, "generation": "g"}]
    records += [{"kind": "event", "row": {"seq": n, "event_json": line.decode(), "created_at": 5}} for n, line in enumerate(lines)]
    records.append({"kind": "identity", "row": {"event_id": "a", "seq": 0, "event_type": None, "parent_id": None, "created_at": 5}})
    records.append({"kind": "fts", "row": {"text": None, "message_id": None, "role": None, "timestamp": None}})
    blob = zstandard.compress(b"".join(json.dumps(record).encode() + b"\n" for record in records))
    digest = hashlib.sha256(blob).hexdigest()
    cold = path.parent.parent / "sessions" / "cold" / f"{digest}.jsonl.zst"
    if into == "file":
        cold.parent.mkdir()
        cold.write_bytes(damage(blob))
    row = (
        WINDOW,
        cold.name,
        digest,
        len(lines) if events is None else events,
        sum(map(len, lines)) + len(lines) - 1,
        len(blob),
        len(lines),
    )
    change(
        path,
        lambda db: db.execute(
            "INSERT INTO session_transcript_cold_archives (session_id, generation, archive_name, archive_sha256, event_count, raw_bytes, "
            "archive_bytes, last_seq, archived_at, storage, archive_blob) VALUES (?, 'g', ?, ?, ?, ?, ?, ?, 9, ?, ?)",
            (*row, into, damage(blob) if into == "sqlite" else None),
        ),
        *([] if keep_live else [f"DELETE FROM transcript_events WHERE session_id = '{WINDOW}'"]),
    )
    return cold
