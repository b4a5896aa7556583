"""An output that cannot be written: one line and one exit code for every command, and no word when only the reader went away."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.program import ROOT, SAMPLE

COMMANDS: tuple[tuple[str | Path, ...], ...] = (
    ("--help",),
    ("list", SAMPLE),
    ("info", SAMPLE, "--json"),
    ("check", SAMPLE),
    ("store-info", SAMPLE, "--agent", "ops"),
    ("get", "agent:ops:main", SAMPLE),
    ("query", "overview", "--sample", "--csv"),
    ("verify", SAMPLE, SAMPLE),
    ("migrate", SAMPLE, "--agent", "ops", "--to", "sqlite", "--dry-run"),
    ("list", "/nope", "--json"),
)
NAMES = [" ".join(map(str, command)).replace(str(SAMPLE), "SAMPLE") for command in COMMANDS]


def with_output(redirection: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a command as a shell does that is told where its output goes."""
    script = f'exec "$@" {redirection}'
    command = ["bash", "-c", script, "bash", sys.executable, "-m", "sessionlab", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("arguments", COMMANDS, ids=NAMES)
def test_output_that_cannot_be_written_is_one_line_and_exit_code_two(arguments: tuple[str | Path, ...]) -> None:
    done = with_output("> /dev/full", *arguments)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == "sessionlab: cannot write the output: No space left on device"
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("arguments", COMMANDS[:2] + COMMANDS[-3:], ids=NAMES[:2] + NAMES[-3:])
def test_reader_that_went_away_ends_the_program_as_sigpipe_would_without_a_word(arguments: tuple[str | Path, ...]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "sessionlab", *map(str, arguments)]
    with subprocess.Popen(command, cwd=ROOT, stdout=writing, stderr=subprocess.PIPE, text=True) as program:
        os.close(writing)
        _, errors = program.communicate(timeout=60)
    assert program.returncode == 141
    assert [line for line in errors.splitlines() if not line.startswith("sessionlab: /nope")] == []


def test_reader_that_took_its_part_has_it() -> None:
    """More than a pipe holds, so that the program still writes when the reader has enough."""
    script = f"{sys.executable} -m sessionlab list {SAMPLE} --json | head -n 1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("{\n141\n", "")


def test_output_that_is_closed_cannot_be_written_either() -> None:
    done = with_output(">&-", "list", SAMPLE)
    assert (done.returncode, done.stderr) == (2, "sessionlab: cannot write the output: Bad file descriptor\n")


@pytest.mark.parametrize("redirection", ["2> /dev/full", "2>&-"])
def test_what_is_only_told_may_be_lost(redirection: str) -> None:
    done = with_output(redirection, "list", SAMPLE, "--limit", "1")
    assert (done.returncode, len(done.stdout.splitlines())) == (0, 2)
    assert with_output(redirection, "info", "/nope").returncode == 10


INTERRUPTED_OFTEN = """
import random, signal, sys
from sessionlab.cli import streams
class Stop(BaseException): pass
def stop(*_): raise Stop
streams.watch()
signal.signal(signal.SIGALRM, stop)
number = 0
for _ in range(1_000):
    try:
        signal.setitimer(signal.ITIMER_REAL, 1e-6 + random.random() * 60e-6)
        while True:
            number += 1
            sys.stdout.write(f"{number}\\n")
            sys.stdout.flush()
    except Stop:
        pass
signal.setitimer(signal.ITIMER_REAL, 0)
streams.flush()
"""


def test_line_that_was_written_when_a_signal_came_is_not_written_again() -> None:
    """A record of a run that appears twice would be counted twice; of a thousand signals hundreds come just then."""
    done = subprocess.run([sys.executable, "-c", INTERRUPTED_OFTEN], cwd=ROOT, capture_output=True, text=True, check=True)
    lines = done.stdout.split()
    assert len(lines) > 1_000
    assert len(set(lines)) == len(lines)
