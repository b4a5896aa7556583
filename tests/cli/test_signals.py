"""Ctrl-C and a request to terminate: the command ends soon, says so in one line and leaves nothing half done."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.program import ROOT


def stopped(number: signal.Signals, *arguments: str | Path, when: Callable[[], bool], tmp: Path) -> tuple[int, list[str], float]:
    """Start a command, send it a signal as soon as `when` holds, and return its code, its lines on stderr and the seconds it still took."""
    command = [sys.executable, "-m", "sessionlab", *map(str, arguments)]
    environment = {**os.environ, "TMPDIR": str(tmp)}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as program:
        deadline = time.monotonic() + 60
        while not when():
            assert program.poll() is None, program.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        begun = time.monotonic()
        program.send_signal(number)
        try:
            _, errors = program.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            program.kill()  # leaving the block would wait for it
            raise
        return program.returncode, errors.split("\n"), time.monotonic() - begun


@pytest.mark.parametrize(("number", "word", "code"), [(signal.SIGINT, "interrupted", 130), (signal.SIGTERM, "terminated", 143)])
def test_report_ends_soon_and_leaves_nothing(number: signal.Signals, word: str, code: int, tmp_path: Path) -> None:
    temporary, pages = tmp_path / "tmp", tmp_path / "pages"
    temporary.mkdir()
    pages.mkdir()
    found, lines, seconds = stopped(
        number,
        *("report", "--sample", "-o", pages / "x.html"),
        when=lambda: any(temporary.glob("sessionlab-kernel-*/kernel.json")),
        tmp=temporary,
    )
    assert (found, [line for line in lines if line]) == (code, [f"sessionlab: {word}"])
    assert seconds < 5  # about 1 on an idle machine; the rest of the report would take 10
    assert list(pages.iterdir()) == []
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("is_new", [True, False])
def test_synth_removes_what_it_has_written_and_no_more(is_new: bool, tmp_path: Path) -> None:  # noqa: FBT001
    folder = tmp_path / "state"
    if not is_new:
        folder.mkdir()
    code, lines, _ = stopped(
        signal.SIGINT,
        *("synth", folder, "--sessions", "20000"),
        when=(folder / "agents/main/sessions/sessions.json").exists,
        tmp=tmp_path,
    )
    assert (code, [line for line in lines if line]) == (130, ["sessionlab: interrupted"])
    assert folder.exists() != is_new
    assert list(tmp_path.rglob("state/*")) == []
