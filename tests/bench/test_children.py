"""Processes of a measurement that fail, and disks that are full: one error that says why and what to do, and nothing left behind."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from sessionlab.bench import cache, children, crowd, measure, record, rss, workplace
from sessionlab.bench.caching import Loaded
from sessionlab.bench.children import ChildFailedError
from sessionlab.bench.content import small_entries, small_key
from sessionlab.bench.cycling import Cycling, Sample
from sessionlab.bench.writer import Kind, Outcome, Task, open_updatable
from sessionlab.errors import CorruptStoreError, StoreLockedError, UnwritableError, UsageError
from tests.cli.in_process import Call, caller
from tests.cli.program import ROOT, one_line_error

FULL = os.strerror(errno.ENOSPC)


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Call:
    return caller(capsys)


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Take temporary folders from an empty one."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


@contextlib.contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Let no file grow beyond a size, here and in processes that are started, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def failed(code: str) -> ChildFailedError:
    """Run a process that fails, and return the error."""
    with pytest.raises(ChildFailedError) as raised:
        children.output_of([sys.executable, "-S", "-c", code], what="a process", timeout_s=0.3)
    assert "\n" not in str(raised.value)
    return raised.value


def test_process_that_ends_well_is_asked_for_what_it_printed(capfd: pytest.CaptureFixture[str]) -> None:
    words = [sys.executable, "-S", "-c", "import os; print(os.environ['A']); os.write(2, b'said beside')"]
    assert children.output_of(words, what="a process", environment={"A": "b"}) == b"b\n"
    assert children.output_of(words, what="a process", environment={"A": "b"}, is_kept=False) == b""
    assert capfd.readouterr() == ("", "")


def test_process_that_fails_is_one_line() -> None:
    assert str(failed("print('no'); raise ValueError('so it is')")) == (
        "a process ended with 1: ValueError: so it is; run it again; if it fails again, that is a defect of sessionlab"
    )
    assert str(failed("import os; os.kill(os.getpid(), 9)")).startswith("a process was ended by SIGKILL; the system does that when memory")
    assert str(failed("import time; time.sleep(60)")).startswith("a process was still running after 0 s, and was ended; ")
    with pytest.raises(ChildFailedError, match="could not be started"):
        children.output_of(["/no/such/program"], what="a process")


@pytest.mark.parametrize(
    ("said", "code", "told"),
    [
        (
            f"OSError: [Errno 28] {FULL}: '/t/x'",
            10,
            f"p ended with 1: OSError: [Errno 28] {FULL}: '/t/x'; what is measured lies below TMPDIR ",
        ),
        ("sqlite3.OperationalError: database or disk is full", 10, "is full; what is measured lies below TMPDIR "),
        (
            f"sessionlab.errors.UnwritableError: /s: cannot be written ({FULL}); free some",
            10,
            f"1: /s: cannot be written ({FULL}); what is",
        ),
        ("sessionlab.errors.CorruptStoreError: /s: broken", CorruptStoreError.exit_code, "p ended with 1: /s: broken"),
        ("sessionlab.errors.StoreLockedError: /s: is locked; wait", StoreLockedError.exit_code, "p ended with 1: /s: is locked; wait"),
        ("MemoryError", 1, "MemoryError; the system does that when memory is short"),
        ("", 1, "p ended with 1; run it again"),
    ],
)
def test_last_line_is_the_reason_and_decides_what_to_do(said: str, code: int, told: str) -> None:
    error = children.failure("p", 1, f"Traceback (most recent call last):\n  File x\n{said}\n\n".encode() if said else b"")
    assert told in str(error)
    assert error.exit_code == code
    assert str(children.failure("p", -40, b"\xff")).startswith("p was ended by signal 40: \ufffd;")
    assert len(str(children.failure("p", 1, b"x" * 10_000))) < 500


def test_what_a_process_tells_is_decoded_or_refused() -> None:
    assert children.told("m", b"[1,2]\n[3]\n", list[int]) == [[1, 2], [3]]
    assert children.only("m", [7]) == 7
    for said in (b"nonsense\n", b'["a"]\n', b"\xff\n", b"[1]\n[2"):
        with pytest.raises(ChildFailedError, match=r"a process of the measurement \(m\) told something that cannot be read"):
            children.told("m", said, list[int])
    for found in ([], [1, 2]):
        with pytest.raises(ChildFailedError, match=f"{len(found)} answers instead of one"):
            children.only("m", found)


def test_memory_of_a_process_that_fails_is_an_error() -> None:
    with pytest.raises(ChildFailedError, match="a process whose memory is measured ended with 1: NameError"):
        measure.peak_mb("", "nothing", arguments=[])
    with pytest.raises(ChildFailedError, match="told something that cannot be read"):
        measure.peak_mb("", "print('beside')", arguments=[])
    with pytest.raises(ChildFailedError, match=r"-c 'raise SystemExit\(3\)' ended with 3"):
        measure.command_ms({"one": [sys.executable, "-S", "-c", "raise SystemExit(3)"]}, runs=1)


# Writers that fail


def _tasks(kind: Kind, path: Path) -> list[Task]:
    with open_updatable(kind, path, "commit") as store:
        store.save(small_entries(40))
    return [Task(kind, str(path), "commit", (small_key(number),), 1 << 30, seconds=2.0) for number in range(2)]


@pytest.mark.parametrize("kind", ["naive", "json"])
def test_full_disk_ends_the_writers_and_is_not_counted(tmp_path: Path, kind: Kind, capfd: pytest.CaptureFixture[str]) -> None:
    tasks = _tasks(kind, tmp_path / "sessions.json")
    with files_of_at_most(8_192), pytest.raises(ChildFailedError) as raised:
        crowd.run_together(tasks)
    assert os.strerror(errno.EFBIG) in str(raised.value)
    assert "TMPDIR" in str(raised.value)
    assert raised.value.exit_code == 10
    assert capfd.readouterr() == ("", "")


class Wanted(msgspec.Struct):
    """What `_Told` is to say."""

    first: str
    then: str
    status: int = 0


PROGRAM = """import json, sys
task = json.loads(sys.argv[1])
print(task["first"], flush=True)
sys.stdin.readline()
print(task["then"])
sys.exit(task["status"])
"""


def test_writer_that_tells_nonsense_or_dies_or_hangs_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "told_writer.py").write_text(PROGRAM, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    good = Wanted("ready", msgspec.json.encode(Outcome(1, 2, 0, 3)).decode())

    def together(*tasks: Wanted) -> list[Outcome]:
        return crowd.run_together(tasks, program="told_writer")

    assert together(good, good) == [Outcome(1, 2, 0, 3)] * 2
    for bad, why in (
        (Wanted("ready", "nonsense"), "told something that cannot be read"),
        (Wanted("ready", ""), "told something that cannot be read"),
        (Wanted("ready", good.then, 3), r"\(told_writer\) ended with 3"),
        (Wanted("steady", good.then), "steady.*instead of ready"),
    ):
        with pytest.raises(ChildFailedError, match=why):
            together(good, bad)
    monkeypatch.setattr(crowd, "_LONGEST_S", 0.0)
    with pytest.raises(ChildFailedError, match="was still running after 0 s"):
        together(good)
    with pytest.raises(ChildFailedError, match=r"ended with 1: .*No module named no_writer"):
        crowd.run_together([good], program="no_writer")


def _children(parent: int) -> int:
    """Count the processes that a process has started, and that are still there."""
    found = 0
    for place in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended since then
            found += int(place.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[1]) == parent
    return found


def test_interrupted_writers_are_one_line(temporary: Path) -> None:
    words = [sys.executable, "-m", "sessionlab", "bench", "contention", "--quick", "--store", "naive", "--writers", "4", "--sessions", "20"]
    with subprocess.Popen(
        words,
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as program:
        while not (_children(program.pid) == 4 and list(temporary.rglob("*.lock"))):  # all are there, and one of them writes
            assert program.poll() is None
            time.sleep(0.002)
        os.killpg(program.pid, signal.SIGINT)  # as the terminal does: the writers get it, too
        out, err = program.communicate()
    assert (program.returncode, out, err.strip()) == (130, "", "sessionlab: interrupted")
    assert not list(temporary.iterdir())


# What the stores say while they are made


def test_stores_that_are_large_on_purpose_are_not_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    made: list[str] = []

    def make(task: Cycling) -> None:
        made.append(task.path)
        Path(task.path).touch()
        logging.getLogger("sessions/store").warning("session object cache disabled for large store")

    look = Sample(cycle=0, rss_mb=1, heap_mb=1, external_mb=1, peak_mb=1, store_kb=1, elapsed_ms=1, cpu_ms=1)
    monkeypatch.setattr(children, "answers", lambda *_, **__: [look])
    monkeypatch.setattr(children, "answer", lambda *_: Loaded(1, 1, 1))
    for module in (rss, cache):
        monkeypatch.setattr(module, "make", make)
    (tmp_path / "rss").mkdir()
    rss.measure(tmp_path / "rss", rss.Asked(stores=("sqlite",)))
    (tmp_path / "cache").mkdir()
    monkeypatch.setattr(cache, "_verdicts", lambda _rows: ())
    cache.measure(tmp_path / "cache", (100,))
    assert {Path(path).name for path in made} == {"sessions.sqlite", "100.json"}
    assert caplog.records == []


# Full disks where the stores are made


@pytest.mark.parametrize(
    "words",
    [
        ("rss", "--store", "json", "--target-kb", "40"),
        ("rss", "--store", "sqlite", "--target-kb", "40"),
        ("contention", "--quick", "--store", "naive", "--sessions", "2"),
        ("stores", "--quick", "--sessions", "20", "--store", "json"),
    ],
)
def test_store_that_has_no_room_is_one_line(call: Call, temporary: Path, words: tuple[str, ...]) -> None:
    with files_of_at_most(20_000):
        done = call("bench", *words)
    said = one_line_error(done, UnwritableError.exit_code)
    assert f"what is measured lies below TMPDIR ({temporary}): free some space there, or set it to a folder with more room" in said
    assert not list(temporary.iterdir())


def _measured_with(error: BaseException) -> None:
    with workplace.workplace() as folder:
        (folder / "file").touch()
        raise error


def test_only_what_is_for_want_of_room_is_worded_so(temporary: Path) -> None:
    full = sqlite3.OperationalError("database or disk is full")
    full.sqlite_errorcode = sqlite3.SQLITE_FULL
    for error in (OSError(errno.ENOSPC, FULL), OSError(errno.EDQUOT, "quota"), full, UsageError(f"/x: {FULL}; choose")):
        with pytest.raises(UnwritableError, match="TMPDIR"):
            _measured_with(error)
    child = ChildFailedError("p", FULL, advice=workplace.advice())
    for other in (OSError(errno.ENOENT, "gone"), sqlite3.OperationalError("no such table"), UsageError("no"), child, KeyboardInterrupt()):
        with pytest.raises(type(other)) as raised:
            _measured_with(other)
        assert raised.value is other
    assert not list(temporary.iterdir())


def test_temporary_folder_that_cannot_be_used_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, call: Call) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "none"))
    assert f"{tmp_path / 'none'}: cannot be written (No such file" in one_line_error(call("bench", "cache", "--quick"), 10)


def test_folder_for_records_that_cannot_be_is_one_line() -> None:
    done = CliRunner().invoke(record.main, ["--quick", "--folder", "/proc/records"])
    assert (done.exit_code, len(done.output.splitlines())) == (2, 1)
    assert "/proc/records: cannot be written (No such file or directory); name another one with --folder" in done.output
