"""Other processes for the tests of locks: each runs a few lines with a lock at hand, and answers line by line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

ROOT = Path(__file__).resolve().parents[2]
_BEGINNING = f"""
import os, sys, time
sys.path.insert(0, {str(ROOT)!r})
from pathlib import Path
from sessionlab.errors import StoreLockedError
from sessionlab.storage.kernel_lock import KernelLock
from sessionlab.storage.lock import StoreLock
path = Path(sys.argv[1])
def tell(word):
    print(word, flush=True)
def wait():
    sys.stdin.readline()
"""


class Other:
    """Another process that runs `_BEGINNING` and a body, with a path as argument."""

    def __init__(self, body: str, path: Path) -> None:
        pipe = subprocess.PIPE
        self.process = subprocess.Popen([sys.executable, "-c", _BEGINNING + body, str(path)], stdin=pipe, stdout=pipe, text=True)

    def says(self) -> str:
        """Wait for its next line."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def go_on(self) -> None:
        """Let it go on from its `wait()`."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def kill(self) -> None:
        """End it as `kill -9` does, and collect it."""
        self.process.kill()
        self.process.wait(30)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.process.kill()
        self.process.communicate()
