"""The torture in small: some points of each operation on each backend, the same ones every time. `./run torture` takes all of them."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.torture.backends import FINAL, PLAIN, ROOT, SQLITE_PROCESS, Backend, available
from tests.torture.failing import fail_everywhere
from tests.torture.full_disk import fill_the_disk
from tests.torture.kill import kill_everywhere
from tests.torture.operations import OPERATIONS, SAVE, Operation
from tests.torture.races import race, read_while_written
from tests.torture.recovery import kill_recovery
from tests.torture.size import many_sessions

SAMPLE = 5

backends = pytest.mark.parametrize("backend", available(), ids=lambda backend: backend.name)
# What "durability" changes is the syncing of SQLite's log: here one of the two kinds is enough.
disturbed = pytest.mark.parametrize(
    "backend", [backend for backend in available() if backend is not SQLITE_PROCESS], ids=lambda backend: backend.name
)
operations = pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name.replace(" ", "-"))


@disturbed
@operations
@pytest.mark.usefixtures("strace")
def test_writer_that_is_killed_leaves_the_old_or_the_new_state(backend: Backend, operation: Operation, tmp_path: Path) -> None:
    """T1, B.6, C.17, D.46: and nothing that was acknowledged is gone, the next write works, and nothing is left over after it."""
    tally = kill_everywhere(backend, operation, tmp_path, sample=SAMPLE)
    assert tally.failures == []
    assert sum(tally.counts.values()) == min(SAMPLE, tally.points)


@disturbed
@pytest.mark.usefixtures("strace")
def test_writer_that_is_killed_while_it_cleans_up_leaves_the_same_state(backend: Backend, tmp_path: Path) -> None:
    """T1 twice, C.17: what a reader found after the first kill is there after the second."""
    crashes, tally = kill_recovery(backend, SAVE, tmp_path, first=6, crashes=2, sample=3)
    assert tally.failures == []
    assert crashes == 2
    assert sum(tally.counts.values()) == 6


@disturbed
@operations
@pytest.mark.usefixtures("strace")
def test_call_that_fails_is_an_error_and_the_old_state(backend: Backend, operation: Operation, tmp_path: Path) -> None:
    """T3, B.6, B.18, C.24, D.44: or, past the point of no return, an error that says so; nothing is acknowledged that is not durable."""
    tally = fail_everywhere(backend, operation, tmp_path, sample=SAMPLE)
    assert tally.failures == []
    assert sum(tally.counts.values()) == min(SAMPLE, tally.points)


@backends
@pytest.mark.usefixtures("own_disk")
def test_full_disk_refuses_writes_and_loses_nothing(backend: Backend, tmp_path: Path) -> None:
    """T4."""
    report = fill_the_disk(backend, tmp_path)
    assert report["wrong"] == []
    assert report["same"]
    assert report["findings"] == 0
    assert len(report["refused"]) > 5
    assert set(report["refused"]) <= {"UnwritableError", "UncertainWriteError"}


@backends
@pytest.mark.parametrize(("processes", "times", "delay_us"), [(8, 12, 0), (4, 4, 20_000)], ids=["at-once", "in-slow-motion"])
@pytest.mark.usefixtures("strace")
def test_processes_that_write_at_once_lose_nothing(backend: Backend, tmp_path: Path, processes: int, times: int, delay_us: int) -> None:
    """T5, D.36, D.46: and one that reads meanwhile never sees an empty, torn or older store."""
    readings, failures = race(backend, tmp_path, processes=processes, times=times, delay_us=delay_us)
    assert failures == []
    assert readings > 0


@backends
def test_reader_sees_what_was_acknowledged(backend: Backend, tmp_path: Path) -> None:
    """T5, C.16, C.17, D.46."""
    readings, failures = read_while_written(backend, tmp_path, updates=150)
    assert failures == []
    assert readings > 0


@backends
def test_many_sessions_are_saved_listed_and_updated(backend: Backend, tmp_path: Path) -> None:
    """T8."""
    assert many_sessions(backend, tmp_path, number=2_000)[1] == []


# -- the torture itself


def broken(class_name: str) -> Backend:
    return Backend(name=class_name, module="tests.torture.broken_stores", class_name=class_name, file_name=PLAIN.file_name)


@pytest.mark.parametrize(
    ("class_name", "words"),
    [("InPlaceStore", "InvalidJSONError"), ("LitteringStore", "left over"), ("HastyStore", "acknowledged, and lost")],
)
@pytest.mark.usefixtures("strace")
def test_killing_finds_the_store_that_is_broken(class_name: str, words: str, tmp_path: Path) -> None:
    tally = kill_everywhere(broken(class_name), OPERATIONS[1], tmp_path)
    assert tally.failures
    assert any(words in failure for failure in tally.failures), tally.failures


@pytest.mark.usefixtures("strace")
def test_killing_the_recovery_finds_the_store_that_is_broken(tmp_path: Path) -> None:
    _, tally = kill_recovery(broken("CarelessStore"), OPERATIONS[1], tmp_path, first=6, crashes=2)
    assert any("InvalidJSONError" in failure for failure in tally.failures)


@pytest.mark.parametrize(
    ("class_name", "words"),
    [("TrustingStore", "acknowledged although"), ("EmptyStore", "neither the old nor the new"), ("InPlaceStore", "ended")],
)
@pytest.mark.usefixtures("strace")
def test_failing_calls_find_the_store_that_is_broken(class_name: str, words: str, tmp_path: Path) -> None:
    tally = fail_everywhere(broken(class_name), OPERATIONS[2], tmp_path)
    assert any(words in failure for failure in tally.failures), tally.failures


@pytest.mark.usefixtures("strace")
def test_race_finds_the_store_without_a_lock(tmp_path: Path) -> None:
    assert race(broken("UnlockedStore"), tmp_path, processes=4, times=20, delay_us=2_000)[1]


def test_reading_elsewhere_finds_the_store_that_is_behind(tmp_path: Path) -> None:
    failures = read_while_written(broken("StaleStore"), tmp_path, updates=100)[1]
    assert any("was acknowledged" in failure for failure in failures), failures


def test_every_writing_store_is_put_to_the_torture() -> None:
    """A store whose class lies in `sessionlab/stores` is in the registry, under the module that it lies in."""
    registered = {(backend.module, backend.class_name) for backend in available()}
    for path in sorted((ROOT / "sessionlab" / "stores").rglob("*.py")):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and "WritableStore" in {getattr(base, "id", "") for base in node.bases}:
                assert (module, node.name) in registered or node.name == "MemoryStore", f"{node.name} is not in tests/torture/backends.py"


def test_names_of_backends_are_their_own() -> None:
    names = [backend.name for backend in (PLAIN, *FINAL)]
    assert len(set(names)) == len(names)
