"""What every store that lies in files promises many who use it at once: threads, processes, and those who wait for its lock."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from sessionlab.entry import Entry
from sessionlab.errors import StoreLockedError
from sessionlab.stores.writing import WritableStore
from tests.stores.file_contract import FileContract
from tests.stores.sample_entries import ALPHA, BETA, NOW_MS, session, small_store

INCREMENT = """
print("ready", flush=True)
sys.stdin.readline()
key, times = sys.argv[2], int(sys.argv[3])
for _ in range(times):
    assert store.update(key, lambda entry: {"counter": entry["counter"] + 1}, now_ms=1) is not None
"""
HOLD = """
def change(entry):
    print("held", flush=True)
    sys.stdin.readline()
    return {"counter": 1}
store.update(sys.argv[2], change, now_ms=1)
"""


class CrowdContract(FileContract):
    """Nothing is lost, and nobody waits for longer than was said."""

    # -- many at once

    @pytest.mark.parametrize("shared", [True, False], ids=["one-object", "ten-objects"])
    def test_ten_threads_lose_no_update(self, store: WritableStore, shared: bool) -> None:  # noqa: FBT001 - pytest's
        """D.30, D.36: 10 threads, 50 increments each, on one entry and on an entry each."""
        store.save({ALPHA: session(1)} | {f"agent:main:{number}": session(1) for number in range(10)})

        def work(number: int) -> None:
            with contextlib.nullcontext(store) if shared else self.make(store.path) as mine:
                for _ in range(25):
                    mine.update(ALPHA, lambda entry: {"counter": entry["counter"] + 1}, now_ms=1)
                    mine.update(f"agent:main:{number}", lambda entry: {"counter": entry["counter"] + 1}, now_ms=1)

        with ThreadPoolExecutor(10) as pool:
            list(pool.map(work, range(10)))
        with self.make(store.path) as again:
            counters = {key: entry["counter"] for key, entry in again.items()}
        assert counters == {ALPHA: 250} | {f"agent:main:{number}": 25 for number in range(10)}

    def test_three_patches_at_once_all_survive(self, filled: WritableStore) -> None:
        """D.36."""
        meeting = threading.Barrier(3)

        def patch(name: str) -> None:
            meeting.wait()
            filled.update(ALPHA, lambda _: {name: name}, now_ms=NOW_MS)

        with ThreadPoolExecutor(3) as pool:
            list(pool.map(patch, ("one", "two", "three")))
        assert (filled.get(ALPHA) or {}).items() >= {"one": "one", "two": "two", "three": "three"}.items()

    @pytest.mark.parametrize("one_entry", [True, False], ids=["one-entry", "an-entry-each"])
    def test_eight_processes_lose_no_update(self, store: WritableStore, one_entry: bool) -> None:  # noqa: FBT001 - pytest's
        """D.38 and the lost-update freedom of section G: 8 processes, 50 increments each."""
        keys = [ALPHA if one_entry else f"agent:main:{number}" for number in range(8)]
        store.save({key: session(1) for key in keys})
        processes = [self.backend.start(store.path, INCREMENT, key, "50") for key in keys]
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n", process.communicate()[1]
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        ends = [(process.communicate(timeout=120)[1], process.returncode) for process in processes]
        assert ends == [("", 0)] * 8
        assert [entry["counter"] for _, entry in store.items()] == ([400] if one_entry else [50] * 8)
        assert {key: entry["counter"] for key, entry in self.content(store.path).items()} == dict.fromkeys(keys, 400 if one_entry else 50)

    # -- the lock

    @contextlib.contextmanager
    def held(self, path: Path) -> Iterator[Any]:
        """Let another process hold the store's lock, in the middle of an update of ALPHA that sets its counter to 1."""
        holder = self.backend.start(path, HOLD, ALPHA)
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n", holder.communicate()[1]
        try:
            yield holder
        finally:
            holder.kill()
            holder.communicate()

    def test_lock_that_is_not_had_in_time_is_an_error_and_nothing_is_done_later(self, filled: WritableStore) -> None:
        """D.33, D.34, B.20: after about the time that was set, for every way to write; readers go on meanwhile."""
        late: list[Any] = []
        with self.impatient(filled.path, timeout_ms=150) as store, self.held(filled.path) as holder:
            before = self.bytes_of(filled.path)
            for attempt in (
                lambda: store.update(ALPHA, late.append, now_ms=NOW_MS),
                lambda: store.put("agent:main:late", session()),
                lambda: store.delete(BETA),
                lambda: store.save({}),
                lambda: store.transform(lambda draft: late.append(dict(draft))),
            ):
                begun = time.monotonic()
                with pytest.raises(StoreLockedError) as caught:
                    attempt()
                assert 0.1 < time.monotonic() - begun < 5
                assert str(filled.path) in str(caught.value)
            assert dict(store.items()) == small_store()
            assert self.bytes_of(filled.path) == before
            assert holder.communicate("go on\n", timeout=30) == ("", "")
            assert holder.returncode == 0
            store.put("agent:main:new", session())
        assert late == []
        held = small_store()[ALPHA] | {"counter": 1}
        assert self.content(filled.path) == small_store() | {ALPHA: held, "agent:main:new": session()}

    def test_lock_held_by_a_thread_is_waited_for_in_time_only(self, filled: WritableStore) -> None:
        """D.34, D.35: what has begun is not interrupted, what waits in vain never runs."""
        late: list[Any] = []
        begun, go_on = threading.Event(), threading.Event()

        def slow(_: Entry) -> dict[str, Any]:
            begun.set()
            assert go_on.wait(30)
            return {"counter": 1}

        with self.impatient(filled.path, timeout_ms=100) as store, ThreadPoolExecutor(4) as pool:
            holder = pool.submit(store.update, ALPHA, slow, now_ms=NOW_MS)
            assert begun.wait(30)
            try:
                waiting = [pool.submit(store.update, BETA, late.append, now_ms=NOW_MS) for _ in range(3)]
                for one in waiting:
                    assert isinstance(one.exception(30), StoreLockedError)
                with self.impatient(filled.path, timeout_ms=100) as other, pytest.raises(StoreLockedError):
                    other.put(BETA, session())
            finally:
                go_on.set()
            assert (holder.result(30) or {})["counter"] == 1
            store.put("agent:main:new", session())
        assert late == []
        assert self.content(filled.path)[BETA] == small_store()[BETA]

    def test_lock_of_a_holder_that_died_is_free(self, filled: WritableStore) -> None:
        """D.39, D.40: whoever is killed in the middle of an update leaves no lock and no half of it."""
        for _ in range(2):
            with self.held(filled.path) as holder:
                holder.kill()
                holder.wait()
                with self.impatient(filled.path, timeout_ms=2_000) as store:
                    self.unchanged(store, small_store())

    def test_stores_in_different_places_do_not_wait_for_each_other(self, filled: WritableStore, tmp_path: Path) -> None:
        """D.30."""
        with self.held(filled.path), self.impatient(tmp_path / "other" / self.backend.file_name, timeout_ms=100) as other:
            other.put(ALPHA, session())
            assert other.count() == 1
