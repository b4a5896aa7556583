"""What is taken from an agent's folders: every real file once, and every change of one noticed."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from pathlib import Path
from typing import Any

import pytest

from sessionlab import synth
from sessionlab.lab import mirror
from sessionlab.lab.mirror import connect, load, load_into
from tests.fixture_states import STORE, own_state
from tests.lab.states import event, header, long_ago, settle, write_store, write_transcript

NOW_MS = synth.DEFAULT_NOW_MS


def rows(state: Path, sql: str) -> list[tuple[Any, ...]]:
    """Return what a new mirror of the state answers."""
    with connect() as con:
        load_into(con, state, now_ms=NOW_MS)
        return con.execute(sql).fetchall()


def cost_usd(state: Path) -> float:
    ((total,),) = rows(state, "SELECT coalesce(sum(cost_microusd), 0) / 1e6 FROM events WHERE NOT is_copy")
    return float(total)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Make a state folder with one session, one transcript and one dollar."""
    folder = tmp_path / "state"
    write_store(folder, "main", {"agent:main:main": {"sessionId": "a", "updatedAt": NOW_MS - 5000}})
    write_transcript(folder, "main", "a.jsonl", [header("a"), event("1", cost=1)])
    settle(folder)
    return folder


def test_a_transcript_that_could_not_be_read_is_read_as_soon_as_it_can_be(state: Path, tmp_path: Path) -> None:
    target = tmp_path / "later.jsonl"
    (state / "agents/main/sessions/b.jsonl").symlink_to(target)
    first = load(state, tmp_path / "m.duckdb", now_ms=NOW_MS)
    assert not load(state, tmp_path / "m.duckdb", now_ms=NOW_MS).is_unchanged
    with connect(tmp_path / "m.duckdb") as con:
        assert con.execute("SELECT path FROM problems WHERE code = 'unreadable_transcript'").fetchall() == [
            ("agents/main/sessions/b.jsonl",)
        ]
    target.write_bytes((state / "agents/main/sessions/a.jsonl").read_bytes())
    long_ago(target, seconds=5)
    assert load(state, tmp_path / "m.duckdb", now_ms=NOW_MS).events == 2 * first.events


def test_a_file_in_anothers_place_is_noticed_though_size_and_time_are_the_same(state: Path, tmp_path: Path) -> None:
    load(state, tmp_path / "m.duckdb", now_ms=NOW_MS)
    assert load(state, tmp_path / "m.duckdb", now_ms=NOW_MS).is_unchanged
    store = state / "agents/main/sessions/sessions.json"
    before = store.stat()
    other = store.with_name("other")
    other.write_bytes(store.read_bytes().replace(b'"a"', b'"b"'))
    os.utime(other, ns=(before.st_mtime_ns, before.st_mtime_ns))
    other.replace(store)
    assert not load(state, tmp_path / "m.duckdb", now_ms=NOW_MS).is_unchanged


def test_a_mirror_of_another_version_of_this_program_is_built_anew(state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load(state, tmp_path / "m.duckdb", now_ms=NOW_MS)
    monkeypatch.setattr(mirror, "__version__", "99.0")
    result = load(state, tmp_path / "m.duckdb", now_ms=NOW_MS)
    assert (result.is_unchanged, result.transcripts_read) == (False, 1)


def test_a_second_store_elsewhere_is_part_of_what_is_watched(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    state = own_state("sqlite-2026.9", tmp_path_factory, tmp_path)
    elsewhere = tmp_path / "elsewhere.json"
    elsewhere.write_text("{}", encoding="utf-8")
    (state / "openclaw.json").write_text(f'{{"session": {{"store": "{elsewhere}"}}}}', encoding="utf-8")
    settle(state)
    long_ago(elsewhere, seconds=1)
    load(state, tmp_path / "m.duckdb", now_ms=NOW_MS)
    assert load(state, tmp_path / "m.duckdb", now_ms=NOW_MS).is_unchanged
    elsewhere.write_text('{"agent:main:main": {"sessionId": "a", "updatedAt": 1}}', encoding="utf-8")
    long_ago(elsewhere, seconds=2)
    load(state, tmp_path / "m.duckdb", now_ms=NOW_MS)
    with connect(tmp_path / "m.duckdb") as con:
        assert con.execute("SELECT count FROM problems WHERE code = 'split_store'").fetchall() == [(1,)]


def test_the_log_of_a_linked_database_is_watched(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    state = own_state("sqlite-2026.9", tmp_path_factory, tmp_path)
    real = tmp_path / "disk.sqlite"
    (state / STORE).replace(real)
    (state / STORE).symlink_to(real)
    settle(tmp_path)
    database = sqlite3.connect(real, isolation_level=None)
    database.execute("PRAGMA journal_mode = wal")
    database.execute("PRAGMA wal_autocheckpoint = 0")
    database.execute("UPDATE session_windows SET created_at = created_at + 1")
    parts = rows(state, "SELECT part FROM storage WHERE part = 'write-ahead log'")
    database.close()
    assert parts == [("write-ahead log",)]


def test_beside_a_store_in_a_folder_of_anything_only_that_level_is_looked_at(state: Path) -> None:
    folder = state.parent / "documents"
    (state / "agents/main/sessions").rename(folder)
    (folder / "photos" / "2026").mkdir(parents=True)
    (folder / "photos" / "2026" / "deep.jsonl").write_text("{}", encoding="utf-8")
    (folder / "letter.txt").write_text("Dear", encoding="utf-8")
    assert rows(folder / "sessions.json", "SELECT part, files FROM storage ORDER BY part") == [("store file", 1), ("transcripts", 1)]
    assert cost_usd(folder / "sessions.json") == 1
    settle(folder)


def test_folders_nested_deeper_than_calls_may_be_are_walked(state: Path) -> None:
    home = Path.cwd()
    try:
        os.chdir(state / "agents/main/sessions")
        for _ in range(1200):
            Path("d").mkdir()
            os.chdir("d")
        os.chdir(home)
        assert cost_usd(state) == 1
    finally:
        os.chdir(home)
        # Deeper than Python's own removal goes, with which the temporary folders are cleaned.
        subprocess.run(["rm", "-rf", str(state)], check=True)
