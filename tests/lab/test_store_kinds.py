"""The same sessions in every kind of store of ours give the same mirror, but for what concerns the store's own files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sessionlab.errors import CorruptStoreError
from sessionlab.stores import locate, open_at
from sessionlab.stores.directory import DirectoryStore
from sessionlab.stores.promotion import Promotion, left_behind
from sessionlab.stores.sqlite import SQLiteStore
from sessionlab.stores.writing import WritableStore
from tests.lab.loaded_mirror import from_scratch, loaded, look
from tests.lab.states import settle

NAMES = {"sqlite": "sessions.sqlite", "directory": "sessions.d"}


def of_kind(kind: str, folder: Path) -> WritableStore:
    return SQLiteStore(folder / NAMES[kind]) if kind == "sqlite" else DirectoryStore(folder / NAMES[kind])


def converted(state: Path, kind: str, *, is_kept: bool = False) -> Path:
    """Move every agent's sessions into a store of another kind; with `is_kept` the old file stays, as the record of the new one says."""
    for location in locate(state):
        with open_at(location) as old, of_kind(kind, location.sessions_dir) as new:
            new.save(dict(old.items()))
            if is_kept:
                assert isinstance(new, SQLiteStore | DirectoryStore)
                new.promote(Promotion(promoted_at=1, left=(left_behind(old, folder=location.sessions_dir),)))
        if not is_kept:
            location.path.unlink()
    settle(state)
    return state


def without_store_files(found: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Leave out what differs for good reasons: the bytes of entries as stored, the store's files, and what they are called."""
    del found["fields"], found["storage"], found["agents"]
    found["sessions"] = [tuple(value for value in row if not isinstance(value, int) or value > 10_000) for row in found["sessions"]]
    return found


@pytest.mark.parametrize("kind", NAMES)
@pytest.mark.parametrize("is_kept", [False, True])
def test_sessions_events_and_problems_are_the_same(state: Path, kind: str, is_kept: bool) -> None:  # noqa: FBT001
    expected = from_scratch(state)
    converted(state, kind, is_kept=is_kept)
    before = look(state)
    found = from_scratch(state)
    assert look(state) == before
    assert [(row[0], row[1]) for row in found["agents"]] == [(row[0], kind) for row in expected["agents"]]
    assert [row for row in found["storage"] if row[1] == "transcripts"] == [row for row in expected["storage"] if row[1] == "transcripts"]
    assert without_store_files(found) == without_store_files(expected)


@pytest.mark.parametrize("kind", NAMES)
def test_reload_sees_a_session_more(state: Path, tmp_path: Path, kind: str) -> None:
    converted(state, kind)
    assert loaded(state, tmp_path / "m.duckdb").sessions == 5
    assert loaded(state, tmp_path / "m.duckdb").is_unchanged
    with of_kind(kind, state / "agents" / "ops" / "sessions") as store:
        store.put("agent:ops:direct:new", {"sessionId": "new", "updatedAt": 5})
        assert loaded(state, tmp_path / "m.duckdb").sessions == 6


@pytest.mark.parametrize("kind", NAMES)
def test_file_that_was_left_behind_and_written_since_is_reported(state: Path, kind: str) -> None:
    converted(state, kind, is_kept=True)
    left = state / "agents" / "main" / "sessions" / "sessions.json"
    left.write_bytes(left.read_bytes().replace(b'"sessionId": "a"', b'"sessionId": "z"'))
    (problem,) = [row for row in from_scratch(state)["problems"] if "split_store" in row]
    assert f"two stores disagree: {NAMES[kind]} was read, the sessions of sessions.json are not counted" in problem


def test_store_that_is_damaged_is_no_empty_one(state: Path) -> None:
    converted(state, "directory")
    next((state / "agents/main/sessions/sessions.d/entries").iterdir()).write_bytes(b"{")
    with pytest.raises(CorruptStoreError):
        from_scratch(state)
