"""`transform(spelled=True)`: sessions are stored as they are spelled, nothing else goes for it, and a `sessions.d` knows what it holds."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from sessionlab.entry import Entry
from sessionlab.errors import UncertainWriteError, UnreadableError, UnwritableError
from sessionlab.stores.directory import DirectoryStore
from sessionlab.stores.directory_change import NEW_ENTRY, NEW_JOURNAL
from sessionlab.stores.directory_folder import JOURNAL, Folder
from sessionlab.stores.json_store import JSONStore
from sessionlab.stores.snapshot import Snapshot
from sessionlab.stores.writing import WritableStore, Written
from tests.stores.directory_files import entry_file, replace, write

OLD, NEW, OTHER = "agent:main:A", "agent:main:a", "agent:main:b"


def _entry(updated_ms: int, session_id: str) -> Entry:
    return {"sessionId": session_id, "updatedAt": updated_ms}


TWINS = {OLD: _entry(9, "newer"), NEW: _entry(3, "older")}


def _json_twins(folder: Path) -> JSONStore:
    (folder / "sessions.json").write_text(json.dumps(TWINS))
    return JSONStore(folder / "sessions.json")


def _directory_twins(folder: Path) -> DirectoryStore:
    store = DirectoryStore(folder / "sessions.d")
    store.put(NEW, TWINS[NEW])
    replace(entry_file(store.path, OLD), json.dumps({"sessionKey": OLD, "entry": TWINS[OLD]}).encode())
    write(store.path, {})
    return store


twins = pytest.mark.parametrize("made", [_json_twins, _directory_twins], ids=["json", "directory"])


@twins
@pytest.mark.parametrize("key", [NEW, OLD])
def test_changing_one_spelling_leaves_the_others(tmp_path: Path, made: Callable[[Path], WritableStore], key: str) -> None:
    """What another program stored meanwhile under the other one may be the newer session."""

    def change(draft: Snapshot) -> None:
        draft[key]["label"] = "changed"

    with made(tmp_path) as store:
        shown = store.transform(change, spelled=True)
        assert dict(store.items()) == dict(shown) == TWINS | {key: TWINS[key] | {"label": "changed"}}


@twins
@pytest.mark.parametrize("key", [NEW, OLD])
def test_removing_one_spelling_leaves_the_others(tmp_path: Path, made: Callable[[Path], WritableStore], key: str) -> None:
    with made(tmp_path) as store:
        store.transform(lambda draft: draft.__delitem__(key), spelled=True)
        assert dict(store.items()) == {one: entry for one, entry in TWINS.items() if one != key}
    with made(tmp_path) as store:  # and without it, as ever, both are one session
        store.transform(lambda draft: draft.__delitem__(NEW))
        assert dict(store.items()) == {}


def test_store_that_is_founded_with_other_spellings_says_so(tmp_path: Path) -> None:
    with DirectoryStore(tmp_path / "sessions.d") as store:
        store.transform(lambda draft: draft.update({OLD: _entry(9, "old")}), spelled=True)
        assert store.get(NEW) == _entry(9, "old")
        store.put(NEW, _entry(10, "new"))
        assert dict(store.items()) == {NEW: _entry(10, "new")}


@pytest.mark.parametrize("brought", [{OLD: _entry(9, "old")}, TWINS], ids=["one", "several"])
def test_that_there_are_other_spellings_is_on_the_disk_before_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, brought: dict[str, Entry]
) -> None:
    """A loss of power may keep what was forced to disk and lose what was written before it: then nobody would look for them."""
    with DirectoryStore(tmp_path / "sessions.d") as store:
        store.put(OTHER, _entry(1, "b"))
        state = store.path / "state.json"
        on_disk = state.read_bytes()
        seen = []
        fsync, rename = os.fsync, os.rename

        def noted_fsync(descriptor: int) -> None:
            nonlocal on_disk
            fsync(descriptor)
            if os.fstat(descriptor).st_ino == state.stat().st_ino:
                on_disk = state.read_bytes()

        def noted_rename(old: str, new: str, *, src_dir_fd: int, dst_dir_fd: int) -> None:
            if old in (NEW_ENTRY, NEW_JOURNAL) or new == JOURNAL:
                seen.append(on_disk[-1:])
            rename(old, new, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)

        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", noted_fsync)
            patch.setattr(os, "rename", noted_rename)
            store.transform(lambda draft: draft.update(brought), spelled=True)
        assert seen
        assert set(seen) <= {b"\t", b"\r"}


def test_refusal_of_the_note_that_there_are_other_spellings_leaves_the_store_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is said as what it is: nothing has happened."""
    with DirectoryStore(tmp_path / "sessions.d") as store:
        store.put(OTHER, _entry(1, "b"))

        def refused(_descriptor: int) -> None:
            raise OSError(5, "Input/output error")

        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", refused)
            with pytest.raises(UnwritableError) as caught:
                store.transform(lambda draft: draft.update(TWINS), spelled=True)
        assert not isinstance(caught.value, UncertainWriteError)
        assert dict(store.items()) == {OTHER: _entry(1, "b")}
        store.put(NEW, _entry(2, "a"))
        assert dict(store.items()) == {NEW: _entry(2, "a"), OTHER: _entry(1, "b")}


@pytest.mark.parametrize("spelled", [True, False])
@twins
def test_what_was_changed_and_cannot_be_read_again_is_said_to_be_uncertain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made: Callable[[Path], WritableStore], *, spelled: bool
) -> None:
    """Another error would say that the store is as it was."""

    def refuse(*_: object) -> None:
        raise UnreadableError(tmp_path, "cannot be read")

    def change(draft: Snapshot) -> None:
        draft[NEW]["label"] = "changed"

    with made(tmp_path) as store:
        name = "_apply_spelled" if spelled else "_apply"
        apply = getattr(store, name)

        def apply_and_fall_blind(written: dict[str, Written], removed: frozenset[str]) -> None:
            apply(written, removed)
            monkeypatch.setattr(type(store), "_load", refuse)
            monkeypatch.setattr(Folder, "stamp", refuse)

        monkeypatch.setattr(store, name, apply_and_fall_blind)
        if spelled and store.kind == "json":
            assert store.transform(change, spelled=True)[NEW]["label"] == "changed"  # nothing is read for it
        else:
            with pytest.raises(UncertainWriteError):
                store.transform(change, spelled=spelled)
        monkeypatch.undo()
        found = store.get(NEW)
        assert found is not None
        assert found["label"] == "changed"
