"""The command line called in this process: for tests that call it many times, and do not ask how a process ends."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from sessionlab.cli import _run

Call = Callable[..., subprocess.CompletedProcess[str]]


def caller(capsys: pytest.CaptureFixture[str]) -> Call:
    """Return what runs a command and returns its exit code, and what it has printed."""

    def call(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        capsys.readouterr()
        words = [*map(str, arguments)]
        code = _run(words)
        out, err = capsys.readouterr()
        return subprocess.CompletedProcess(words, code, out, err)

    return call
