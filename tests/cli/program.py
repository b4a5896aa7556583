"""The command line in a process of its own: what the tests of it share."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sessionlab.resources import sample_dir
from tests.cli.forking import forked, starts_alike

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = sample_dir()


def sessionlab(*arguments: str | Path, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own, with a home of its own.

    It is forked from one that has imported everything, unless it measures itself, or Python would start otherwise.
    """
    words, there = [*map(str, arguments)], {**os.environ, **environment}
    if words[:1] != ["bench"] and starts_alike(there):
        return forked(words, cwd=cwd or ROOT, environment=there)
    return started(words, cwd=cwd or ROOT, environment=there)


def started(arguments: list[str], *, cwd: Path, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process that Python starts."""
    command = [sys.executable, "-m", "sessionlab", *arguments]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


def one_line_error(done: subprocess.CompletedProcess[str], code: int) -> str:
    """Check that a command failed with one clear line on stderr and nothing else, and return the line."""
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("sessionlab: ")
    return lines[0]


def printed_json(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    assert document["schema_version"] == 1
    return document
