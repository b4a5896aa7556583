"""Stages that cannot even be begun, and runs that cannot be looked at: an error of ours, and nothing stays. Found by failing calls."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from sessionlab.errors import UnreadableError, UnwritableError
from sessionlab.migration import stage
from sessionlab.migration.run_folder import runs
from sessionlab.runs import RUNS
from sessionlab.stores import sqlite_schema
from sessionlab.stores.location import StoreKind

NOW_MS = 1_795_000_000_000
KINDS: tuple[StoreKind, ...] = ("json", "sqlite", "directory")


def test_database_that_cannot_be_begun_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(db: sqlite3.Connection) -> None:
        db.execute("CREATE TABLE filling (x)")
        db.execute("PRAGMA max_page_count = 2")
        db.execute("INSERT INTO filling VALUES (zeroblob(100000))")

    monkeypatch.setattr(sqlite_schema, "define", full)
    with pytest.raises(UnwritableError, match="is full"):
        stage.begin("sqlite", tmp_path / "sessions.sqlite", now_ms=NOW_MS)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", KINDS)
def test_stage_never_takes_what_is_there(tmp_path: Path, kind: StoreKind) -> None:
    first = stage.begin(kind, tmp_path / "store", now_ms=NOW_MS)
    with pytest.raises(UnwritableError, match="File exists"):
        stage.begin(kind, tmp_path / "store", now_ms=NOW_MS)
    assert [path.name for path in tmp_path.iterdir()] == [first.path.name]
    first.discard()
    assert list(tmp_path.iterdir()) == []


def test_runs_that_cannot_be_listed_are_an_error_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / RUNS).mkdir(parents=True)

    def refuse(_path: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(UnreadableError, match="Permission denied"):
        runs(tmp_path)
