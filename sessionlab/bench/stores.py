"""The three writing stores, each against the least that the same thing can cost on the same file system in the same run.

The sessions are those of one large `sessions.json`. Every write differs from the one before in content and size: a database does not write
a page that is equal to the old one, and would look five times as fast.
"""

from __future__ import annotations

import itertools
import mmap
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from sessionlab import codec
from sessionlab.bench.measure import Measurement, medians_ms, peak_bytes
from sessionlab.bench.summaries import FLOOR_INDEX
from sessionlab.entry import Entry
from sessionlab.stores.directory import DirectoryStore
from sessionlab.stores.json_file import JSONFileStore
from sessionlab.stores.json_store import JSONStore
from sessionlab.stores.sqlite import SQLiteStore
from sessionlab.stores.sqlite_opening import Durability
from sessionlab.stores.sqlite_schema import SELECT_SUMMARIES

_NOW_MS: Final = 1795132800000
_SMALL_RUNS: Final = 200
_JSON_SETUP: Final = "from pathlib import Path; from sessionlab.stores.json_store import JSONStore; store = JSONStore(Path(sys.argv[1]))"
_JSON_UPDATE: Final = "store.update(sys.argv[2], lambda entry: {'label': 'peak'}, now_ms=1)"


def measure(folder: Path, source: Path, *, runs: int = 7) -> list[Measurement]:
    """Measure all three stores.

    Args:
        folder: Empty; the stores are made in it.
        source: A `sessions.json`, whose sessions they all hold.
        runs: Rounds of what takes tens of milliseconds; what takes less is measured over `_SMALL_RUNS`.
    """
    with JSONFileStore.open(source) as store:
        entries = dict(store.items())
    data = source.read_bytes()
    conditions = f"{len(entries):,} sessions of {len(data) / len(entries) / 1000:.0f} KB"
    (folder / "json").mkdir()
    return [
        *_json(folder / "json", data, list(entries), conditions, runs=runs),
        *_sqlite(folder / "commit", entries, "commit", conditions),
        *_sqlite(folder / "process", entries, "process", conditions),
        *_directory(folder, entries, conditions),
    ]


def _json(folder: Path, data: bytes, keys: list[str], conditions: str, *, runs: int) -> list[Measurement]:
    path, scratch, other = folder / "sessions.json", folder / "floor.json", folder / "other.json"
    path.write_bytes(data)
    other.write_bytes(data)
    warm, change, key = JSONStore(other), _changes(), keys[len(keys) // 2]
    base = warm.load()

    def durable_write() -> None:
        _replace(scratch, data)

    def mapped_pass() -> object:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            return FLOOR_INDEX.decode(mapped)

    def update_warm() -> None:
        warm.transform(lambda draft: draft[key].update(next(change)), base=base)

    times = medians_ms(
        {
            "pass": mapped_pass,
            "list": lambda: list(JSONStore(path).summaries()),
            "get": lambda: JSONStore(path).get(key),
            "write": durable_write,
            "warm": update_warm,
            "cold": lambda: JSONStore(path).update(key, lambda _entry: next(change), now_ms=_NOW_MS),
            "compare": lambda: scratch.read_bytes() == data,
            "no-op": lambda: warm.save(base),
        },
        runs=runs,
    )
    peak_mb = peak_bytes(_JSON_SETUP, _JSON_UPDATE, arguments=[str(path), key]) / 1e6
    write, one_pass = "write all + fsync + rename + fsync folder", "mmap + one msgspec pass"
    rows = [
        ("list summaries", "list", "pass", one_pass, 1.3),
        ("get one, cold", "get", "pass", one_pass, 1.3),
        ("update one, durable, from a loaded snapshot", "warm", "write", write, 1.3),
        ("update one, durable, cold", "cold", "write", write, 2.5),
        ("save without a change", "no-op", "compare", "read and compare", 1.2),
    ]
    name = "JSON store"
    return [
        *(
            Measurement(name, what, times[mine], "ms", times[floor], against, limit, conditions)
            for what, mine, floor, against, limit in rows
        ),
        Measurement(name, "update one, peak memory", peak_mb, "MB", len(data) / 1e6, "the file's size", 2.2, conditions),
    ]


def _sqlite(folder: Path, entries: dict[str, Entry], durability: Durability, conditions: str) -> list[Measurement]:
    folder.mkdir()
    pragma = {"commit": "FULL", "process": "NORMAL"}[durability]
    store = SQLiteStore(folder / "sessions.sqlite", durability=durability)
    store.save(entries)
    bare = _bare_database(folder / "bare.sqlite", entries, synchronous=pragma)
    index = sqlite3.connect(folder / "sessions.sqlite")
    key = next(iter(entries))
    whole, change = _whole_entries(entries[key]), _changes()

    def write_bare() -> None:
        with bare:
            bare.execute("REPLACE INTO documents VALUES (?, ?)", (key, codec.encode_compact(next(whole)).decode()))

    times = medians_ms(
        {
            "bare": write_bare,
            "put": lambda: store.put(key, next(whole)),
            "touch": lambda: store.touch(key, next(change), now_ms=_NOW_MS),
            "select": lambda: bare.execute("SELECT entry FROM documents WHERE session_key = ?", (key,)).fetchone(),
            "get": lambda: store.raw(key),
        },
        runs=_SMALL_RUNS,
    )
    times |= medians_ms({"fetch": lambda: index.execute(SELECT_SUMMARIES).fetchall(), "list": lambda: list(store.summaries())}, runs=21)
    for database in (store, bare, index):
        database.close()
    name = f"SQLite store, {pragma}"
    return [
        Measurement(name, "put one entry", times["put"], "ms", times["bare"], "prepared upsert of the same entry", 1.3, conditions),
        Measurement(name, "touch", times["touch"], "ms", times["put"], "put", 0.15 if pragma == "NORMAL" else None, conditions),
        Measurement(name, "get one, undecoded", times["get"], "ms", times["select"], "prepared select", 1.5, conditions),
        Measurement(name, "list summaries", times["list"], "ms", times["fetch"], "bare fetch of the same columns", 1.25, conditions),
    ]


def _directory(folder: Path, entries: dict[str, Entry], conditions: str) -> list[Measurement]:
    place = folder / "directory"
    place.mkdir()
    store = DirectoryStore(place / "sessions.d")
    store.save(entries)
    key = next(iter(entries))
    whole, bare = _whole_entries(entries[key]), place / "bare.json"

    def write_bare() -> None:
        _replace(bare, codec.encode_indented({"sessionKey": key, "entry": next(whole)}))

    write_bare()
    times = medians_ms(
        {
            "bare": write_bare,
            "put": lambda: store.put(key, next(whole)),
            "read": lambda: codec.decode_object(bare.read_bytes(), path=bare),
            "get": lambda: store.get(key),
            "updated_at": lambda: store.updated_at(key),
        },
        runs=_SMALL_RUNS,
    )
    name, write, read = "directory store", "write + fsync + rename + fsync folder", "open + read + decode"
    return [
        Measurement(name, "put one entry, durable", times["put"], "ms", times["bare"], write, 1.6, conditions),
        Measurement(name, "get one", times["get"], "ms", times["read"], read, 1.3, conditions),
        Measurement(name, "updated_at", times["updated_at"], "ms", times["read"], read, 1.3, conditions),
    ]


def _changes() -> Iterator[dict[str, str]]:
    """Yield small changes that differ in content and size."""
    return ({"label": f"run {number} " + "x" * (number % 97)} for number in itertools.count())


def _whole_entries(entry: Entry) -> Iterator[Entry]:
    """Yield an entry again and again, its largest field changed every time."""
    largest = max(entry, key=lambda name: len(codec.encode_compact(entry[name])))
    return ({**entry, largest: {"changed": f"{number} " + "y" * (number % 97), "was": entry[largest]}} for number in itertools.count())


def _bare_database(path: Path, entries: dict[str, Entry], *, synchronous: str) -> sqlite3.Connection:
    bare = sqlite3.connect(path)
    for pragma in ("journal_mode=WAL", f"synchronous={synchronous}", "cache_size=-16000"):
        bare.execute(f"PRAGMA {pragma}")
    with bare:
        bare.execute("CREATE TABLE documents (session_key TEXT PRIMARY KEY, entry TEXT NOT NULL)")
        bare.executemany("INSERT INTO documents VALUES (?, ?)", [(key, codec.encode_compact(one).decode()) for key, one in entries.items()])
    return bare


def _replace(path: Path, data: bytes) -> None:
    """Do the least that a durable replacement takes."""
    temporary = path.with_suffix(".tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.write(descriptor, data)
    os.fsync(descriptor)
    os.close(descriptor)
    temporary.rename(path)
    descriptor = os.open(path.parent, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)
