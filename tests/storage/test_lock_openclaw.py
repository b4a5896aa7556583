"""OpenClaw's lock file where OpenClaw holds it: without a kernel lock (D.38 to D.41)."""

from __future__ import annotations

import datetime as dt
import json
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sessionlab.errors import StoreLockedError
from sessionlab.storage import lock as lock_module
from sessionlab.storage.lock import StoreLock, start_time_of
from tests.storage.lock_files import is_free, lock_file, payload, plant


def test_openclaw_is_waited_for_while_it_lives(store: Path, living: int) -> None:
    """D.39, D.40, D.41: an hour old is not dead; it goes on at once when the file goes."""
    file = plant(store, payload(living, starttime=start_time_of(living)), age_s=3_600)
    with pytest.raises(StoreLockedError, match=rf"session file locked \(timeout 120ms\): pid={living}"), StoreLock(store, 120).held():
        pytest.fail("took the lock of a living process")
    assert json.loads(file.read_bytes())["pid"] == living
    threading.Timer(0.05, file.unlink).start()
    assert is_free(store, 10_000)


def test_openclaw_of_another_user_lives(store: Path) -> None:
    plant(store, payload(1))
    assert not is_free(store)


def now_dead(_living: int, dead: int) -> object:
    return payload(dead)


def recycled(living: int, _dead: int) -> object:
    return payload(living, starttime=(start_time_of(living) or 0) - 1)


def our_own(_living: int, _dead: int) -> object:
    return payload(os.getpid())


@pytest.mark.parametrize("content", [now_dead, recycled, our_own])
def test_lock_of_a_process_that_is_no_more_is_broken_at_once(
    store: Path, content: Callable[[int, int], object], living: int, dead: int
) -> None:
    """D.39: dead, its number given to another process, or left behind by this very one."""
    plant(store, content(living, dead))
    assert is_free(store)
    assert list(store.parent.iterdir()) == [store]


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b"\xff", b'{"pid": "5"}', b'{"pid": true}', b'{"pid": 0}', b'{"pid": -1}', b'{"createdAt": "x"}'],
)
def test_unreadable_lock_is_being_written_then_broken(store: Path, content: bytes) -> None:
    """D.39: one that was made a moment ago is not yet stale."""
    plant(store, content)
    assert not is_free(store)
    assert lock_file(store).read_bytes() == content
    plant(store, content, age_s=lock_module.BEING_WRITTEN_S + 0.1)
    assert is_free(store)


def test_unreadable_lock_of_the_future_is_broken(store: Path) -> None:
    """A clock that was put back must not keep a store locked for ever."""
    plant(store, b"", age_s=-3_600)
    assert is_free(store)


def test_age_of_a_lock_is_that_of_its_holding(store: Path, living: int) -> None:
    """D.39: OpenClaw breaks a lock by the age that it shows; the waiting for it, before, does not count."""
    file = plant(store, payload(living))
    waited_ms = 300
    threading.Timer(waited_ms / 1_000, file.unlink).start()
    before = dt.datetime.now(dt.UTC)
    with StoreLock(store).held():
        made = dt.datetime.fromisoformat(json.loads(lock_file(store).read_bytes())["createdAt"])
        assert made - before >= dt.timedelta(milliseconds=waited_ms - 5)
        assert lock_file(store).stat().st_mtime - before.timestamp() >= (waited_ms - 20) / 1_000


def test_waiting_for_openclaw_counts_for_those_behind(store: Path, living: int) -> None:
    """D.34: each thread is refused at its own time, by the queue or by the file."""
    file = plant(store, payload(living))
    refused: list[str] = []

    def attempt() -> None:
        try:
            StoreLock(store, 100).held().__enter__()
        except StoreLockedError as error:
            refused.append(str(error))

    threads = [threading.Thread(target=attempt) for _ in range(3)]
    begun = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert time.monotonic() - begun < 10
    assert len(refused) == 3
    file.unlink()
    assert is_free(store)
