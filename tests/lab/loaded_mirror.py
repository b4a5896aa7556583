"""Mirrors loaded from a state folder, and all that can be seen of one, to compare."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import duckdb

from sessionlab import synth
from sessionlab.lab.connection import connect
from sessionlab.lab.mirror import LoadResult, load, load_into
from tests.lab.states import event

NOW_MS = synth.DEFAULT_NOW_MS
SAMPLE = Path(__file__).parents[2] / "data" / "sample"
TABLES = ("agents", "sessions", "transcripts", "events", "fields", "storage", "problems")


def loaded(state: Path, target: Path) -> LoadResult:
    return load(state, target, now_ms=NOW_MS)


def from_scratch(state: Path) -> dict[str, list[Any]]:
    with connect() as con:
        load_into(con, state, now_ms=NOW_MS)
        return contents(con)


def contents(con: duckdb.DuckDBPyConnection) -> dict[str, list[Any]]:
    """Return every table's rows, ordered, without the numbers that only this mirror gives its transcripts."""
    found = {}
    for table in TABLES:
        names = [
            row[0] for row in con.execute(f"DESCRIBE {table}").fetchall() if row[0] not in ("transcript_id", "session_number", "mtime_ns")
        ]
        chosen = ", ".join(names)
        source = table
        if table == "events":
            source, chosen = "events JOIN transcripts USING (transcript_id)", "path, " + ", ".join(f"events.{name}" for name in names)
        found[table] = sorted(con.execute(f"SELECT {chosen} FROM {source}").fetchall(), key=repr)
    return found


def scalar(con: duckdb.DuckDBPyConnection, sql: str, *values: object) -> Any:
    row = con.execute(sql, list(values)).fetchone()
    assert row is not None
    return row[0]


def look(folder: Path) -> dict[str, tuple[int, int, int, bytes]]:
    """Return (inode, mode, mtime in ns, bytes) of everything below a folder, itself included."""
    return {
        str(path): ((found := path.lstat()).st_ino, found.st_mode, found.st_mtime_ns, path.read_bytes() if path.is_file() else b"")
        for path in [folder, *sorted(folder.rglob("*"))]
    }


def look_inside(folder: Path) -> dict[str, tuple[int, int, int, bytes]]:
    """Return the same without the folder itself, whose time tells of a file that came and went."""
    return {path: found for path, found in look(folder).items() if path != str(folder)}


def sessions(state: Path, agent: str = "main") -> Path:
    return state / "agents" / agent / "sessions"


def append(state: Path) -> None:
    with (sessions(state) / "c.jsonl").open("ab") as file:
        file.write(json.dumps(event("late", cost=8)).encode() + b"\n")
