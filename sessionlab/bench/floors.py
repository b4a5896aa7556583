"""The least that reading and writing can cost: what a store adds to its promises is measured against these."""

from __future__ import annotations

import mmap
import os
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from sessionlab import codec
from sessionlab.entry import Entry

UPSERT: Final = "INSERT INTO documents VALUES (?, ?) ON CONFLICT (session_key) DO UPDATE SET entry = excluded.entry"
SELECT: Final = "SELECT entry FROM documents WHERE session_key = ?"


class FloorIndex(msgspec.Struct, gc=False, rename="camel"):
    """The twenty fields that a listing shows, as simply typed as they come."""

    session_id: str | None = None
    updated_at: int | None = None
    session_started_at: int | None = None
    started_at: int | None = None
    ended_at: int | None = None
    status: str | None = None
    chat_type: str | None = None
    channel: str | None = None
    last_channel: str | None = None
    last_thread_id: str | int | None = None
    label: str | None = None
    display_name: str | None = None
    model_provider: str | None = None
    model: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    total_tokens: int | None = None
    context_tokens: int | None = None
    compaction_count: int | None = None
    spawned_by: str | None = None
    session_file: str | None = None


class FloorDocument(msgspec.Struct, gc=False):
    """A file of the directory store, as a listing needs it."""

    entry: FloorIndex


_INDEX: Final = msgspec.json.Decoder(dict[str, FloorIndex])
_DOCUMENT: Final = msgspec.json.Decoder(FloorDocument)


def one_pass(path: Path) -> object:
    """Decode the index of a whole `sessions.json` in one pass over the mapped file."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        return _INDEX.decode(mapped)


def decode_file(path: Path) -> object:
    """Open, read and decode one file."""
    with path.open("rb", buffering=0) as file:
        return msgspec.json.decode(file.read())


def list_files(folder: Path) -> list[object]:
    """Read the index of every file in a folder."""
    rows: list[object] = []
    with os.scandir(folder) as listing:
        for found in listing:
            with open(found.path, "rb", buffering=0) as file:  # noqa: PTH123  # a floor does without Path
                rows.append(_DOCUMENT.decode(file.read()))
    return rows


def replace(path: Path, data: bytes) -> None:
    """Do the least that a durable replacement of a file takes."""
    temporary = path.with_suffix(".tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.write(descriptor, data)
    os.fsync(descriptor)
    os.close(descriptor)
    temporary.rename(path)
    descriptor = os.open(path.parent, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def bare_database(path: Path, entries: Mapping[str, Entry], *, synchronous: str) -> sqlite3.Connection:
    """Make a database of keys and documents, and nothing else; every statement on it is a transaction of its own."""
    bare = sqlite3.connect(path, isolation_level=None)
    for pragma in ("journal_mode=WAL", f"synchronous={synchronous}", "cache_size=-16000"):
        bare.execute(f"PRAGMA {pragma}")
    bare.execute("BEGIN")
    bare.execute("CREATE TABLE documents (session_key TEXT PRIMARY KEY, entry TEXT NOT NULL)")
    bare.executemany("INSERT INTO documents VALUES (?, ?)", ((key, codec.encode_compact(one).decode()) for key, one in entries.items()))
    bare.execute("COMMIT")
    return bare
