"""Helper processes: the same rows as reading alone, no batch lost, and a clear end when one of them dies."""

from __future__ import annotations

import json
import os
import signal
import stat
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from sessionlab import scratch
from sessionlab.errors import SessionLabError
from sessionlab.lab import workers
from sessionlab.lab.columns import NUMBER_COLUMNS, EventBatch, ParseJob, parse
from sessionlab.lab.workers import WorkerDiedError, parse_all


@pytest.fixture
def jobs(tmp_path: Path) -> list[ParseJob]:
    """Forty small transcripts, some empty, some damaged, one gone."""
    found = []
    for number in range(40):
        lines: list[dict[str, Any]] = (
            [{"type": "session", "timestamp": f"2026-11-{number % 20 + 1:02}T00:00:00.000Z"}] if number % 5 else []
        )
        lines += [
            {"type": "message", "message": {"model": f"m{n % 3}", "usage": {"input": n, "cost": {"total": n / 100}}}} for n in range(number)
        ]
        path = tmp_path / f"{number}.jsonl"
        data = "".join(json.dumps(line) + "\n" for line in lines) + ("{oops}\n" if number % 7 == 0 else "")
        path.write_text(data, encoding="utf-8")
        found.append(ParseJob(number, str(path), len(data)))
    found.append(ParseJob(40, str(tmp_path / "gone.jsonl"), 100))
    found.append(ParseJob(41, str(tmp_path / "at hand"), 19, b'{"type":"session"}\n'))
    return found


def rows(batches: list[EventBatch]) -> tuple[Counter[Any], dict[int, Any]]:
    """Return every event as a row of values, counted, and the facts by transcript."""
    counted: Counter[Any] = Counter()
    facts: dict[int, Any] = {}
    for batch in batches:
        texts = [[batch.labels[code] for code in batch.columns["label"].tolist()]]
        counted.update(zip(*texts, *[batch.columns[name].tolist() for name in NUMBER_COLUMNS if name != "label"], strict=True))
        for one in batch.facts:
            assert one.transcript_id not in facts, "a transcript lies whole in one batch"
            facts[one.transcript_id] = one
    return counted, facts


def children() -> set[int]:
    """Return the process ids of this process's children, the dead ones that nobody waited for included."""
    found = set()
    for task in Path("/proc/self/task").iterdir():
        found |= {int(pid) for pid in (task / "children").read_text().split()}
    return found


@pytest.mark.parametrize("batch_bytes", [1, 700, 5000])
def test_two_helpers_find_what_one_reader_finds(jobs: list[ParseJob], batch_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "BATCH_BYTES", batch_bytes)
    monkeypatch.setattr(workers, "AHEAD", 3)
    assert len(workers._batches(jobs)) > 6  # more batches than helpers and waiting places: each must be handed on
    before = children()
    together = rows(list(parse_all(jobs, processes=2)))
    assert together == rows([parse(jobs)])
    assert together == rows(list(parse_all(jobs, processes=0)))
    assert len(together[1]) == len(jobs)
    assert children() == before


def test_batches_hold_every_job_once_in_order(jobs: list[ParseJob], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "BATCH_BYTES", 2000)
    batches = workers._batches(jobs)
    assert [job for batch in batches for job in batch] == jobs
    assert all(sum(job.limit_bytes for job in batch) <= 2000 or len(batch) == 1 for batch in batches)


def test_nothing_to_read_starts_nothing() -> None:
    assert list(parse_all([], processes=2)) == []


def test_a_small_amount_is_read_in_this_process(jobs: list[ParseJob], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise AssertionError("started a helper")

    monkeypatch.setattr(workers, "_Crew", refuse)
    assert len(list(parse_all(jobs))) == 1


def test_a_killed_helper_is_an_error_in_one_line_and_no_process_is_left(jobs: list[ParseJob], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "BATCH_BYTES", 1)
    before = children()
    batches = parse_all(jobs, processes=2)
    next(batches)
    for pid in children() - before:
        os.kill(pid, signal.SIGKILL)
    with pytest.raises(WorkerDiedError) as caught:
        list(batches)
    assert "\n" not in str(caught.value)
    assert "run it again" in str(caught.value)
    assert children() == before


def test_one_killed_helper_of_two_is_an_error_too(jobs: list[ParseJob], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "BATCH_BYTES", 1)
    before = children()
    batches = parse_all(jobs, processes=2)
    next(batches)
    os.kill(min(children() - before), signal.SIGKILL)
    with pytest.raises(WorkerDiedError):
        list(batches)
    assert children() == before


def test_a_caller_who_stops_early_leaves_no_process(jobs: list[ParseJob], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "BATCH_BYTES", 1)
    before = children()
    batches = parse_all(jobs, processes=2)
    next(batches)
    assert children() != before
    batches.close()  # type: ignore[attr-defined]  # it is a generator
    assert children() == before


def test_helpers_do_not_run_the_callers_program_again(jobs: list[ParseJob], tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    script = tmp_path / "script.py"
    script.write_text(
        f"from pathlib import Path\nwith open({str(marker)!r}, 'a') as f: f.write('x')\n"
        "from sessionlab.lab import workers\nworkers.BATCH_BYTES = 1\n"
        "from sessionlab.lab.columns import ParseJob\n"
        f"jobs = [ParseJob(n, {jobs[1].path!r}, 10**6) for n in range(4)]\n"
        "print(len(list(workers.parse_all(jobs, processes=2))))\n",
        encoding="utf-8",
    )
    import subprocess
    import sys

    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert (done.stdout.strip(), marker.read_text(encoding="utf-8")) == ("4", "x")


def test_stuck_helpers_do_not_keep_the_caller_from_leaving(jobs: list[ParseJob], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "BATCH_BYTES", 1)
    before = children()
    with workers.reading(jobs, processes=2):
        for pid in children() - before:
            os.kill(pid, signal.SIGSTOP)
        begun = time.monotonic()
    assert time.monotonic() - begun < 5
    assert children() == before


def test_helpers_are_out_of_reach_of_the_terminals_interrupt(jobs: list[ParseJob], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "BATCH_BYTES", 1)
    before = children()
    with workers.reading(jobs, processes=2):
        groups = {os.getpgid(pid) for pid in children() - before}
    assert len(groups) == 2
    assert os.getpgid(0) not in groups


def test_helpers_read_ahead_of_a_caller_who_is_busy(jobs: list[ParseJob], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "BATCH_BYTES", 1)
    monkeypatch.setattr(workers, "AHEAD", 9)
    folder = scratch.make_folder("reading")
    monkeypatch.setattr(scratch, "make_folder", lambda _purpose: folder)
    with workers.reading(jobs, processes=2) as batches:
        until = time.monotonic() + 30
        while len(made(folder)) < 9 and time.monotonic() < until:
            time.sleep(0.01)
        time.sleep(0.2)
        assert len(made(folder)) == 9  # and no further: what is read ahead takes room
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        next(batches)
    assert not folder.exists()


def made(folder: Path) -> list[str]:
    """Return the names of the batches that lie in a folder."""
    return [file.name for file in folder.iterdir() if file.name.isdecimal()]


def test_no_room_for_what_helpers_make_is_one_line(jobs: list[ParseJob], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(workers, "BATCH_BYTES", 1)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    before = children()
    with pytest.raises(SessionLabError, match=r"gone: cannot be written .*; free some space there, or set TMPDIR to another folder"):
        list(parse_all(jobs, processes=2))
    assert children() == before


def test_a_helper_that_finds_no_room_says_so_and_the_load_ends(
    jobs: list[ParseJob], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(workers, "BATCH_BYTES", 1)
    (tmp_path / "small").mkdir()
    for number in range(len(jobs)):
        (tmp_path / "small" / str(number)).mkdir()  # a name that is taken stands for a disk that is full
    monkeypatch.setattr(scratch, "make_folder", lambda _purpose: tmp_path / "small")
    with pytest.raises(WorkerDiedError, match="status 1"):
        list(parse_all(jobs, processes=2))
    assert "cannot be written (Is a directory)" in capfd.readouterr().err
