"""Many files of a directory store at once: all are on disk before the store leads to them, and one that fails makes all fail."""

from __future__ import annotations

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NoReturn

import pytest

from sessionlab.errors import UnwritableError
from sessionlab.stores.directory import DirectoryStore
from sessionlab.stores.directory_writing import BATCH
from tests.fixture_states import photo
from tests.stores.sample_entries import session
from tests.torture.backends import DIRECTORY

MANY = {f"agent:main:{number}": session(number) for number in range(2 * BATCH + 5)}
CHANGED = {key: entry | {"counter": 1} for key, entry in MANY.items()}

SAVE_FOR_EVER = """
keys = list(store.load())
print("ready", flush=True)
for number in range(1, 1_000):
    store.save({key: {"sessionId": key, "updatedAt": 1, "counter": number} for key in keys})
    print(number, flush=True)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sessions.d"


@pytest.mark.parametrize("before", [{}, MANY], ids=["founded", "changed"])
def test_every_file_is_on_disk_before_its_folder_gets_its_name(path: Path, before: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    with DirectoryStore(path) as store:
        store.save(before)
        forced: set[int] = set()
        decided: list[set[int]] = []
        fsync, rename = os.fsync, os.rename

        def noted_fsync(descriptor: int) -> None:
            fsync(descriptor)
            forced.add(os.fstat(descriptor).st_ino)

        def noted_rename(*arguments: Any, **more: Any) -> None:
            decided.append(set(forced))
            rename(*arguments, **more)

        monkeypatch.setattr(os, "fsync", noted_fsync)
        monkeypatch.setattr(os, "rename", noted_rename)
        store.save(CHANGED)
    entries = {file.stat().st_ino for file in (path / "entries").iterdir()}
    assert len(entries) == len(CHANGED)
    assert entries <= decided[0]


@pytest.mark.parametrize("before", [{}, MANY], ids=["founded", "changed"])
def test_one_file_that_cannot_be_forced_to_disk_makes_all_of_it_fail(
    path: Path, before: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """B.6, C.24: the store is as it was, and works."""
    with DirectoryStore(path) as store:
        store.save(before)
        state = photo(path.parent)
        fsync = os.fsync
        calls: list[int] = []

        def fail_once(descriptor: int) -> None:
            calls.append(descriptor)
            if len(calls) == BATCH + 7:
                raise OSError(errno.EIO, "Input/output error")
            fsync(descriptor)

        monkeypatch.setattr(os, "fsync", fail_once)
        with pytest.raises(UnwritableError, match="Input/output error"):
            store.save(CHANGED)
        monkeypatch.undo()
        assert dict(store.items()) == before
        assert {file for file in photo(path.parent) if file not in state} <= {"sessions.d/lock"}
        store.save(CHANGED)
        assert dict(store.items()) == CHANGED
        assert store.check() == ()


def test_where_no_thread_can_be_started_one_does_it_all(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> NoReturn:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(ThreadPoolExecutor, "submit", refuse)
    with DirectoryStore(path) as store:
        store.save(MANY)
        assert dict(store.items()) == MANY


def test_save_of_many_that_is_killed_is_all_or_nothing(path: Path) -> None:
    """T1 at any moment: the counters are all the same, and at least what was acknowledged."""
    DirectoryStore(path).save(MANY)
    for _ in range(6):
        writer = DIRECTORY.start(path, SAVE_FOR_EVER)
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
        assert writer.stdout.readline() == "1\n"
        writer.kill()
        acknowledged = int((["1", *writer.stdout.read().split()])[-1])  # communicate() passes over what readline() has read beyond its line
        writer.communicate()
        with DirectoryStore(path, timeout_ms=2_000) as store:
            counters = {entry["counter"] for _, entry in store.items()}
            assert counters in ({acknowledged}, {acknowledged + 1})
            assert (store.count(), store.check()) == (len(MANY), ())
            store.save(MANY)
        assert {file.name for file in path.iterdir()} == {"state.json", "entries", "lock"}
