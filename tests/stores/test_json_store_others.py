"""The JSON store and what other programs do to its file and its lock meanwhile."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from sessionlab import codec
from sessionlab.errors import StoreError, StoreLockedError, UnwritableError
from sessionlab.storage.lock import StoreLock
from sessionlab.stores.json_store import JSONStore
from tests.stores.json_files import stringified
from tests.stores.sample_entries import ALPHA, BETA, GAMMA, NOW_MS, session, small_store
from tests.torture.backends import JSON


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sessions.json"


def test_change_behind_the_locks_back_is_not_overwritten(path: Path) -> None:
    """A program that takes no lock wrote after we read: its change stays, ours is refused."""
    store = JSONStore(path)
    store.save(small_store())
    theirs = stringified({GAMMA: session(8)})

    def change(_: object) -> dict[str, int]:
        path.write_bytes(theirs)
        return {"x": 1}

    with pytest.raises(UnwritableError, match="does not take the lock"):
        store.update(ALPHA, change, now_ms=NOW_MS)
    assert path.read_bytes() == theirs
    assert store.update(GAMMA, lambda _: {"x": 1}, now_ms=NOW_MS) == session(8, x=1, updatedAt=NOW_MS)


def test_file_that_vanishes_during_an_update_is_not_made_of_old_content(path: Path) -> None:
    store = JSONStore(path)
    store.save(small_store())

    def change(_: object) -> dict[str, int]:
        path.unlink()
        return {"x": 1}

    with pytest.raises(UnwritableError, match="does not take the lock"):
        store.update(ALPHA, change, now_ms=NOW_MS)
    assert store.count() == 0
    assert not path.exists()


def test_lock_that_openclaw_took_away_stops_the_write(path: Path) -> None:
    """D.40: it takes one that is older than 30 s; whoever holds it now must not be overwritten."""
    store = JSONStore(path)
    store.save(small_store())
    before = path.read_bytes()
    lock = path.with_name("sessions.json.lock")

    def change(_: object) -> dict[str, int]:
        lock.unlink()
        lock.write_text(json.dumps({"pid": 1, "createdAt": "2026-01-01T00:00:00.000Z"}), encoding="utf-8")
        return {"x": 1}

    with pytest.raises(StoreLockedError, match="taken by another program"):
        store.update(ALPHA, change, now_ms=NOW_MS)
    assert path.read_bytes() == before
    assert json.loads(lock.read_bytes())["pid"] == 1


def test_openclaws_lock_file_keeps_writers_out_and_readers_not(path: Path) -> None:
    """D.38, D.41."""
    store = JSONStore(path, timeout_ms=50)
    store.save(small_store())
    path.with_name("sessions.json.lock").write_text(json.dumps({"pid": 1}), encoding="utf-8")
    with pytest.raises(StoreLockedError, match=r"session file locked \(timeout 50ms\): pid=1 "):
        store.put(ALPHA, session())
    assert dict(store.items()) == small_store()


def test_store_behind_a_link_is_locked_in_both_places(path: Path) -> None:
    (path.parent / "real").mkdir()
    real_path = path.parent / "real" / "store.json"
    JSONStore(real_path).save(small_store())
    path.symlink_to(real_path)
    store = JSONStore(path, timeout_ms=50)
    with StoreLock(real_path).held(), pytest.raises(StoreLockedError):
        store.put(ALPHA, session())
    store.put(ALPHA, session(9))
    assert path.is_symlink()
    assert JSONStore(real_path).get(ALPHA) == session(9)


def test_change_must_not_write_to_its_own_store(path: Path) -> None:
    store = JSONStore(path)
    store.save(small_store())
    with pytest.raises(StoreLockedError, match="this very thread"):
        store.update(ALPHA, lambda _: store.put(BETA, session(5)), now_ms=NOW_MS)
    assert dict(store.items()) == small_store()


def test_leftovers_of_a_killed_writer_go_with_the_next_write(path: Path) -> None:
    """D.43, F.24."""
    store = JSONStore(path)
    store.save(small_store())
    killed = JSON.start(path, "import os\nprint(os.getpid())")
    pid = killed.communicate()[0].strip()
    left = path.with_name(f"sessions.json.{pid}.01234567-89ab-cdef-0123-456789abcdef.tmp")
    left.write_bytes(path.read_bytes()[:100])
    JSONStore(path).put(ALPHA, session())
    assert not left.exists()


def test_read_only_folder_is_an_error_and_the_store_as_it_was(path: Path) -> None:
    if os.getuid() == 0:
        pytest.skip("root may write everywhere")
    store = JSONStore(path)
    store.save(small_store())
    path.parent.chmod(0o500)
    try:
        with pytest.raises(StoreError) as caught:
            store.put(ALPHA, session())
        assert caught.value.exit_code == 10
        assert dict(store.items()) == small_store()
    finally:
        path.parent.chmod(0o700)


def test_canonical_form_survives_a_hundred_writes(path: Path) -> None:
    """What is carried over stays byte for byte, however often."""
    store = JSONStore(path, durable=False)
    content = small_store()
    store.save(content)
    for number in range(100):
        key = list(content)[number % 3]
        content[key] = content[key] | {"x": "y" * number, "z": [{}] * (number % 4)}
        store.put(key, content[key])
    assert path.read_bytes() == stringified(content) == codec.encode_indented(content)


def test_leftovers_behind_a_link_go_too(path: Path) -> None:
    target = path.parent / "real" / "store.json"
    target.parent.mkdir()
    JSONStore(target).save(small_store())
    path.symlink_to(target)
    killed = JSON.start(path, "import os\nprint(os.getpid())")
    left = target.with_name(f"store.json.{killed.communicate()[0].strip()}.01234567-89ab-cdef-0123-456789abcdef.tmp")
    left.write_bytes(b"half")
    JSONStore(path).put(ALPHA, session(9))
    assert list(target.parent.iterdir()) == [target]
