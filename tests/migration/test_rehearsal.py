"""A rehearsal does everything on a private copy, there and back, and leaves no trace."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest

from sessionlab import codec
from sessionlab.errors import CorruptStoreError, SplitStoreError, StalePlanError, UnwritableError
from sessionlab.migration import rehearsal
from sessionlab.migration.rehearsal import rehearse
from sessionlab.settings import StoreType
from sessionlab.stores import locate, open_for_writing
from tests.fixture_states import photo
from tests.migration.test_execute import ENTRIES, NOW_MS, PAIRS, content, filled, migrated, sessions_dir
from tests.stores.sample_entries import small_store


@pytest.fixture(autouse=True)
def own_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.mark.parametrize("pair", PAIRS, ids=str)
def test_rehearsal_goes_there_and_back_and_the_store_is_untouched(
    tmp_path: Path, pair: tuple[StoreType, StoreType], own_temporary_folder: Path
) -> None:
    old, new = pair
    state = filled(tmp_path / "state", old, dict(ENTRIES))
    (sessions_dir(state) / "a-transcript.jsonl").write_text("{}\n")
    before = photo(state)
    (location,) = locate(state)
    found = rehearse(location, new, now_ms=NOW_MS)
    assert photo(state) == before
    assert list(own_temporary_folder.iterdir()) == []
    assert found.comes_back
    assert found.report.is_complete
    assert found.folder == own_temporary_folder
    assert str(location.path) == found.plan.source.path
    real = migrated(state, new)
    assert (real.sessions, real.sha256, real.actions) == (found.report.sessions, found.report.sha256, found.report.actions)


def test_what_lies_beside_the_store_is_rehearsed_too(tmp_path: Path) -> None:
    state = filled(tmp_path / "state", "json", small_store())
    migrated(state, "sqlite")  # leaves sessions.json in its place
    before = photo(state)
    found = rehearse(locate(state)[0], "json", now_ms=NOW_MS + 1)
    assert photo(state) == before
    assert found.comes_back
    assert found.plan.displaced_path.endswith("sessions.json")


def test_rehearsal_fails_as_the_migration_would(tmp_path: Path, own_temporary_folder: Path) -> None:
    state = filled(tmp_path / "state", "json", {})
    file = sessions_dir(state) / "sessions.json"
    file.write_bytes(b'{\n  "agent:main:good": {"sessionId": "g"},\n  "agent:main:bad": 7\n}')
    (location,) = locate(state)
    with pytest.raises(CorruptStoreError, match="--set-aside"):
        rehearse(location, "sqlite", now_ms=NOW_MS)
    found = rehearse(location, "sqlite", now_ms=NOW_MS, set_aside=True)
    assert found.report.has_loss
    assert found.comes_back
    migrated(state, "sqlite", set_aside=True)
    file.write_bytes(codec.encode_indented(small_store()))
    with pytest.raises(SplitStoreError):
        rehearse(locate(state)[0], "directory", now_ms=NOW_MS)
    assert list(own_temporary_folder.iterdir()) == []


def test_store_that_is_written_meanwhile_is_said_to_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_temporary_folder: Path) -> None:
    state = filled(tmp_path / "state", "json", small_store())
    copied = rehearsal.copy_store

    def written_before(*args: object) -> object:
        with open_for_writing(state) as store:
            store.put("agent:main:new", {"sessionId": "new", "updatedAt": NOW_MS})
        return copied(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(rehearsal, "copy_store", written_before)
    with pytest.raises(StalePlanError, match="was written while it was copied"):
        rehearse(locate(state)[0], "directory", now_ms=NOW_MS)
    assert content(state)[0] == "json"
    assert list(own_temporary_folder.iterdir()) == []


def test_no_room_for_the_copy_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_temporary_folder: Path) -> None:
    state = filled(tmp_path / "state", "json", small_store())

    def full(*_args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", full)
    before = photo(state)
    with pytest.raises(UnwritableError, match=r"no room for a copy of sessions\.json .*; set TMPDIR"):
        rehearse(locate(state)[0], "sqlite", now_ms=NOW_MS)
    assert photo(state) == before
    assert list(own_temporary_folder.iterdir()) == []
