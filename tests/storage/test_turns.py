"""The queue inside a process: first come, first served, and whoever waits in vain never runs (D.30 to D.37)."""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sessionlab.errors import StoreLockedError
from sessionlab.storage.turns import Deadline, turn, waiting

PATH = Path("/queue/of/this/test")
LONG_MS = 30_000


class Holder:
    """A thread at work on a path until it is told to end."""

    def __init__(self, pool: ThreadPoolExecutor, path: Path = PATH) -> None:
        self.begun, self.end = threading.Event(), threading.Event()
        self.done = pool.submit(self._work, path)
        assert self.begun.wait(30)

    def _work(self, path: Path) -> None:
        with turn(path, Deadline(LONG_MS), store=path):
            self.begun.set()
            assert self.end.wait(30)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(16) as threads:
        yield threads


def wait_for_queue(length: int, path: Path = PATH) -> None:
    """Wait until so many threads stand in the queue, the one at work among them."""
    end = time.monotonic() + 30
    while waiting().get(path, 0) != length:
        assert time.monotonic() < end
        time.sleep(0.001)


def work(path: Path, log: list[int], number: int, timeout_ms: float = LONG_MS) -> None:
    with turn(path, Deadline(timeout_ms), store=path):
        log.append(number)


def test_first_come_first_served(pool: ThreadPoolExecutor) -> None:
    """D.30: "01234"."""
    holder = Holder(pool)
    log: list[int] = []
    done = []
    for number in range(5):
        done.append(pool.submit(work, PATH, log, number))
        wait_for_queue(number + 2)
    holder.end.set()
    for one in (*done, holder.done):
        one.result(30)
    assert log == [0, 1, 2, 3, 4]


def test_one_at_a_time(pool: ThreadPoolExecutor) -> None:
    """D.30, D.36: ten increments of a counter that is read, waited upon and written end at ten."""
    counter = [0]

    def increment() -> None:
        with turn(PATH, Deadline(LONG_MS), store=PATH):
            value = counter[0]
            time.sleep(0.001)
            counter[0] = value + 1

    for one in [pool.submit(increment) for _ in range(10)]:
        one.result(30)
    assert counter == [10]


def test_different_paths_do_not_wait_for_each_other(pool: ThreadPoolExecutor) -> None:
    """D.30."""
    holder = Holder(pool)
    log: list[int] = []
    work(PATH.with_name("other"), log, 1)
    assert log == [1]
    holder.end.set()


def test_task_that_raises_fails_alone(pool: ThreadPoolExecutor) -> None:
    """D.31: three failures in a row do not poison the queue."""
    holder = Holder(pool)
    log: list[int] = []

    def fail() -> None:
        with turn(PATH, Deadline(LONG_MS), store=PATH):
            raise ZeroDivisionError

    failing = [pool.submit(fail) for _ in range(3)]
    wait_for_queue(4)
    last = pool.submit(work, PATH, log, 1)
    holder.end.set()
    assert [type(one.exception(30)) for one in failing] == [ZeroDivisionError] * 3
    last.result(30)
    assert log == [1]


def test_nothing_is_kept_of_an_idle_queue() -> None:
    """D.32: after success and failure."""

    def fail() -> None:
        with turn(PATH, Deadline(LONG_MS), store=PATH):
            assert waiting() == {PATH: 1}
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert not waiting()
    work(PATH, [], 1)
    assert not waiting()


def test_refusal_names_the_store_and_comes_in_time(pool: ThreadPoolExecutor) -> None:
    """D.33, D.34: at the time that was set, not when the one at work is done; and it never runs later."""
    holder = Holder(pool)
    log: list[int] = []
    begun = time.monotonic()
    with pytest.raises(StoreLockedError) as caught:
        work(PATH, log, 1, timeout_ms=50)
    assert 0.045 < time.monotonic() - begun < 10
    assert not holder.done.done()
    assert f"timeout waiting for session store lock: {PATH}" in str(caught.value)
    assert caught.value.exit_code == 11
    assert waiting() == {PATH: 1}
    holder.end.set()
    holder.done.result(30)
    work(PATH, log, 2)
    assert log == [2]


def test_waiting_in_the_queue_counts(pool: ThreadPoolExecutor) -> None:
    """D.34: the second of two who wait is refused at its own time, though its place has moved up meanwhile."""
    holder = Holder(pool)
    log: list[int] = []
    first = Holder.__new__(Holder)
    first.begun, first.end = threading.Event(), threading.Event()
    first.done = pool.submit(first._work, PATH)
    wait_for_queue(2)
    second = pool.submit(work, PATH, log, 2, 200)
    wait_for_queue(3)
    holder.end.set()
    assert first.begun.wait(30)
    assert isinstance(second.exception(30), StoreLockedError)
    first.end.set()
    first.done.result(30)
    assert log == []


def test_one_who_gives_up_holds_up_nobody(pool: ThreadPoolExecutor) -> None:
    """D.34: those behind move up and keep their order."""
    holder = Holder(pool)
    log: list[int] = []
    first = pool.submit(work, PATH, log, 1)
    wait_for_queue(2)
    given_up = pool.submit(work, PATH, log, 2, 50)
    wait_for_queue(3)
    last = pool.submit(work, PATH, log, 3)
    assert isinstance(given_up.exception(30), StoreLockedError)
    holder.end.set()
    first.result(30)
    last.result(30)
    assert log == [1, 3]


def test_work_that_has_begun_is_not_interrupted() -> None:
    """D.35."""
    with turn(PATH, Deadline(1), store=PATH):
        time.sleep(0.02)


def test_turn_that_comes_when_the_time_is_over_is_not_taken(pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch) -> None:
    """D.34: a thread that the system wakes late finds its turn come and its time over."""
    holder = Holder(pool)
    log: list[int] = []
    monkeypatch.setattr(Deadline, "is_over", lambda _: True)
    late = pool.submit(work, PATH, log, 1)
    wait_for_queue(2)
    holder.end.set()
    assert isinstance(late.exception(30), StoreLockedError)
    assert log == []
    assert PATH not in waiting()


@pytest.mark.parametrize("timeout_ms", [0, -1, math.inf, 1e30])
def test_no_time_limit(pool: ThreadPoolExecutor, timeout_ms: float) -> None:
    """D.33: 0 or infinite means none; nor is a very long time an overflow."""
    assert not Deadline(timeout_ms).is_over()
    holder = Holder(pool)
    log: list[int] = []
    patient = pool.submit(work, PATH, log, 1, timeout_ms)
    wait_for_queue(2)
    holder.end.set()
    patient.result(30)
    assert log == [1]


def test_nested_use_in_one_thread_is_an_error_not_a_deadlock() -> None:
    with turn(PATH, Deadline(0), store=PATH):
        with pytest.raises(StoreLockedError, match="this very thread"), turn(PATH, Deadline(0), store=PATH):
            pytest.fail("got a turn within its own turn")
        assert waiting() == {PATH: 1}
    work(PATH, [], 1)


def test_forked_process_starts_with_empty_queues(pool: ThreadPoolExecutor) -> None:
    """The threads at work and in the queues are not in it: it would wait for them for ever."""
    holder, other = Holder(pool), Holder(pool, PATH.with_name("other"))
    with turn(PATH.with_name("mine"), Deadline(LONG_MS), store=PATH):
        child = os.fork()
        if child == 0:
            log: list[int] = []
            for name in (PATH.name, "other", "mine"):
                work(PATH.with_name(name), log, 1, 5_000)
            os._exit(0 if log == [1, 1, 1] and not waiting() else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert waiting() == {PATH: 1, PATH.with_name("other"): 1, PATH.with_name("mine"): 1}
    holder.end.set()
    other.end.set()
