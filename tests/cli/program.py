"""The command line in a process of its own: what the tests of it share."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from sessionlab.resources import sample_dir

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = sample_dir()


def sessionlab(*arguments: str | Path, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own, with a home of its own."""
    return subprocess.run(
        [sys.executable, "-m", "sessionlab", *map(str, arguments)],
        cwd=cwd or ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


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
