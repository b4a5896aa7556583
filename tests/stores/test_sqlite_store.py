"""The SQLite store keeps the contract; files are looked at by plain `sqlite3`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from sessionlab.stores.sqlite import SQLiteStore
from sessionlab.stores.writing import WritableStore
from tests.stores import sqlite_files
from tests.stores.store_contract import Damage, StoreContract
from tests.torture.backends import SQLITE


def into_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def as_a_foreign_database(path: Path) -> None:
    path.unlink()
    with sqlite_files.plain(path) as connection:
        connection.execute("CREATE TABLE sessions (session_key TEXT PRIMARY KEY, entry_json TEXT)")


def as_a_newer_version(path: Path) -> None:
    with sqlite_files.plain(path) as connection:
        connection.execute("PRAGMA user_version = 2")


def without_its_tables(path: Path) -> None:
    with sqlite_files.plain(path) as connection:
        connection.executescript("DROP TABLE big_fields; DROP TABLE documents; DROP TABLE sessions")


class TestSQLiteStore(StoreContract):
    kind = "sqlite"
    backend = SQLITE
    plants_spellings = False  # the schema refuses them: test_sqlite_store_schema

    def impatient(self, path: Path, *, timeout_ms: int) -> WritableStore:
        return SQLiteStore(path, timeout_ms=timeout_ms)

    def read(self, path: Path) -> dict[str, bytes]:
        return sqlite_files.entries(path)

    def plant(self, path: Path, entries: Mapping[str, bytes]) -> None:
        sqlite_files.plant(path, entries)

    def files(self, path: Path) -> list[Path]:
        return [file for file in (path, Path(f"{path}-wal")) if file.exists()]

    def damages(self) -> Mapping[str, Damage]:
        return {
            "half": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]) and None,
            "short of its last bytes": lambda path: path.write_bytes(path.read_bytes()[:-20]) and None,
            "emptied": lambda path: path.write_bytes(b"") and None,
            "header only": lambda path: path.write_bytes(path.read_bytes()[:100]) and None,
            "overwritten at its start": lambda path: path.write_bytes(b"\xff" * 4096 + path.read_bytes()[4096:]) and None,
            "schema overwritten": lambda path: (
                path.write_bytes(path.read_bytes()[:100] + b"\xff" * 3996 + path.read_bytes()[4096:]) and None
            ),
            "json": lambda path: path.write_bytes(b"{}") and None,
            "zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)) and None,
            "foreign": as_a_foreign_database,
            "newer": as_a_newer_version,
            "no tables": without_its_tables,
            "folder": into_a_folder,
        }
