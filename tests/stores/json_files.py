"""A JSON store's file as other programs write it, and how often the store reads it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sessionlab.stores.json_state import Identity
from tests.stores.sample_entries import session

LARGE = {f"agent:main:{number}": session(number, payload="x" * 4_096) for number in range(320)}
"""About 1.3 MB, more than the default limit (E.8)."""


class Counts:
    """How often a store file was opened, and how often one was cut into its members."""

    def __init__(self) -> None:
        self.reads = self.parses = 0

    def during(self, act: Callable[[], object]) -> tuple[int, int]:
        """Return (reads, parses) while something is done."""
        self.reads = self.parses = 0
        act()
        return self.reads, self.parses


def settled(path: Path) -> None:
    """Wait until the file's last change is so long ago that its times prove it."""
    while not Identity.of(path.stat()).is_settled():
        time.sleep(0.005)


def stringified(content: Any) -> bytes:
    """Return what `JSON.stringify(content, null, 2)` gives, for content without floats, by a writer that is not ours."""
    return json.dumps(content, ensure_ascii=False, indent=2).encode()


def changed_in_place(path: Path, data: bytes) -> None:
    with path.open("r+b") as file:
        file.write(data)


def replaced(path: Path, data: bytes) -> None:
    other = path.with_name("other")
    other.write_bytes(data)
    other.rename(path)
