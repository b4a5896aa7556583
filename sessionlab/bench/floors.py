"""The least that reading and writing can cost: what a store adds to its promises is measured against these."""

from __future__ import annotations

import hashlib
import mmap
import os
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

import msgspec

from sessionlab import codec
from sessionlab.entry import Entry
from sessionlab.stores.sqlite_opening import Durability
from sessionlab.stores.sqlite_schema import COLUMNS, SCHEMA, SELECT_SUMMARIES, columns_of

_UPSERT_ROW: Final = f"""
    INSERT INTO sessions (session_key, {", ".join(COLUMNS)}) VALUES (?{", ?" * len(COLUMNS)})
    ON CONFLICT (session_key) DO UPDATE SET {", ".join(f"{name} = excluded.{name}" for name in COLUMNS)} RETURNING id
"""
_UPSERT_DOCUMENT: Final = "INSERT INTO documents VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET entry_json = excluded.entry_json"
_UPDATE_DOCUMENT: Final = "UPDATE documents SET entry_json = ? WHERE id = 1"
_UPDATE_HOT: Final = "UPDATE sessions SET updated_at = ?, input_tokens = ?, output_tokens = ?, total_tokens = ? WHERE session_key = ?"
_SELECT: Final = "SELECT entry_json FROM documents JOIN sessions USING (id) WHERE session_key = ?"


SYNCHRONOUS: Final[Mapping[Durability, str]] = {"commit": "FULL", "process": "NORMAL"}


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


def decode_file_strictly(path: Path) -> object:
    """Open, read and decode one file, refusing what parsers read differently (a name written twice, NaN, ...)."""
    with path.open("rb", buffering=0) as file:
        return codec.decode_document(file.read(), path=path)


def list_files(folder: Path) -> list[object]:
    """Read the index of every file in a folder."""
    rows: list[object] = []
    with os.scandir(folder) as listing:
        for found in listing:
            with open(found.path, "rb", buffering=0) as file:  # noqa: PTH123  # a floor does without Path
                rows.append(_DOCUMENT.decode(file.read()))
    return rows


def read_and_hash(*places: Path) -> list[bytes]:
    """Read every file at some places, folders with all that lies in them, and take its SHA-256: the least that proves what it holds."""
    digests = []
    for place in places:
        for path in [place] if place.is_file() else sorted(path for path in place.rglob("*") if path.is_file()):
            with path.open("rb", buffering=0) as file:
                digests.append(hashlib.file_digest(file, "sha256").digest())
    return digests


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


class Encoded(NamedTuple):
    """An entry made ready: nothing is left to do but to store it."""

    columns: tuple[Any, ...]
    text: str

    @classmethod
    def of(cls, key: str, entry: Entry) -> Self:
        """Make an entry ready."""
        return cls(columns_of(key, entry), codec.encode_compact(entry).decode())


class BareDatabase:
    """The tables that a listing and a document need, on a plain connection: no lock, no check, no promise but SQLite's own."""

    def __init__(self, path: Path, entries: Mapping[str, Entry] | None = None, *, synchronous: str) -> None:
        """Make the database and store the entries; without any, open one that was made so."""
        self.connection = sqlite3.connect(path, isolation_level=None)
        for pragma in ("journal_mode=WAL", f"synchronous={synchronous}", "cache_size=-16000"):
            self.connection.execute(f"PRAGMA {pragma}")
        if entries is not None:
            self._fill(entries)

    def _fill(self, entries: Mapping[str, Entry]) -> None:
        self.connection.execute("BEGIN")
        for statement in SCHEMA:
            self.connection.execute(statement)
        for key, entry in entries.items():
            self._upsert(key, Encoded.of(key, entry))
        self.connection.execute("COMMIT")

    def upsert(self, key: str, encoded: Encoded) -> None:
        """Store an entry: its index row and its document, in one transaction."""
        self.connection.execute("BEGIN IMMEDIATE")
        self._upsert(key, encoded)
        self.connection.execute("COMMIT")

    def update_document(self, encoded: Encoded) -> None:
        """Store nothing but the document of the first entry."""
        self.connection.execute(_UPDATE_DOCUMENT, (encoded.text,))

    def update_hot(self, key: str, fields: Mapping[str, int], updated_ms: int) -> None:
        """Store nothing but what `content.hot_fields` changes."""
        self.connection.execute(_UPDATE_HOT, (updated_ms, *fields.values(), key))

    def list(self) -> list[tuple[Any, ...]]:
        """Return the columns that a listing shows, of every session, newest first."""
        return self.connection.execute(SELECT_SUMMARIES).fetchall()

    def select(self, key: str) -> str:
        """Return the document of an entry."""
        text: str = self.connection.execute(_SELECT, (key,)).fetchone()[0]
        return text

    def close(self) -> None:
        """Close it."""
        self.connection.close()

    def _upsert(self, key: str, encoded: Encoded) -> None:
        (number,) = self.connection.execute(_UPSERT_ROW, (key, *encoded.columns)).fetchone()
        self.connection.execute(_UPSERT_DOCUMENT, (number, encoded.text))
