"""The line of those who wait for a lock: one at a time is the next, and nobody depends on it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from sessionlab.storage.line import Line, call_next
from sessionlab.storage.lock import StoreLock
from sessionlab.storage.turns import Deadline
from tests.storage.processes import Other

STAND = """
from sessionlab.storage.line import Line
line = Line(path).__enter__()
tell(line.is_next())
wait()
tell(line.is_next())
"""

TAKE = """
tell("ready")
for _ in range(2):
    wait()
    with StoreLock(path, 30_000).held():
        tell("had")
"""


def test_one_at_a_time_is_the_next(tmp_path: Path) -> None:
    with Line(tmp_path) as first:
        assert first.is_next()
        assert first.is_next()
        with Line(tmp_path) as second:
            assert not second.is_next()
            with Other(STAND, tmp_path) as other:
                assert other.says() == "False"
                first.__exit__()
                other.go_on()
                assert other.says() == "True"
            assert second.is_next()  # the other has ended
    assert list(tmp_path.iterdir()) == []


def test_next_who_is_killed_makes_room(tmp_path: Path) -> None:
    with Other(STAND, tmp_path) as other, Line(tmp_path) as line:
        assert other.says() == "True"
        assert not line.is_next()
        other.kill()
        assert line.is_next()


def test_forked_process_does_not_stay_the_next(tmp_path: Path) -> None:
    body = """
from sessionlab.storage.line import Line
with Line(path) as line:
    tell(line.is_next())
    child = os.fork()
    if child == 0:
        tell("child is there")
        wait()
        os._exit(0)
    wait()
tell("parent has left")
wait()
"""
    with Other(body, tmp_path) as other, Line(tmp_path) as line:
        assert {other.says(), other.says()} == {"True", "child is there"}
        assert not line.is_next()
        other.kill()
        try:
            assert line.is_next()
        finally:
            other.go_on()


def test_where_there_is_no_line_everyone_is_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sessionlab.storage.line.HAS_LINES", False)  # as on other systems than Linux
    store = tmp_path / "sessions.json"
    with Line(tmp_path) as line, Line(tmp_path) as other:
        assert line.is_next()
        assert other.is_next()
    with Other(TAKE, store) as writer:
        assert writer.says() == "ready"
        with StoreLock(store).held():
            writer.go_on()
            time.sleep(0.01)
        assert writer.says() == "had"


def test_next_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sessionlab.storage.line.LONG_PAUSE_S", 60.0)
    call_next(tmp_path)  # nobody is there
    with Line(tmp_path) as line:
        assert line.is_next()
        for _ in range(3):
            call_next(tmp_path)
            begun = time.monotonic()
            line.wait(Deadline(60_000))
            assert time.monotonic() - begun < 30


def test_different_locks_have_lines_of_their_own(tmp_path: Path) -> None:
    """D.30."""
    with Line(tmp_path / "a.lock") as one, Line(tmp_path / "b.lock") as other:
        assert one.is_next()
        assert other.is_next()


def test_waiting_ends_with_the_deadline(tmp_path: Path) -> None:
    with Line(tmp_path) as first, Line(tmp_path) as second:
        assert first.is_next()
        for line in (first, second):
            deadline = Deadline(30)
            while not deadline.is_over():
                line.wait(deadline)
            begun = time.monotonic()
            line.wait(deadline)
            assert time.monotonic() - begun < 1


def test_nobody_depends_on_the_one_who_is_next(tmp_path: Path) -> None:
    """Neither a lock that is free nor one that gets free: it may be stopped, or in another container, or no program of ours at all."""
    store = tmp_path / "sessions.json"
    with Line(store.with_name("sessions.json.lock")) as idle, Other(TAKE, store) as other:
        assert idle.is_next()
        assert other.says() == "ready"
        other.go_on()
        assert other.says() == "had"
        with StoreLock(store).held():
            other.go_on()
            time.sleep(0.01)
        assert other.says() == "had"
