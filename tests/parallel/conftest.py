"""A shared memory to test with, and its clock."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sessionlab.parallel import SharedMemory
from tests.parallel.clock import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def memory(tmp_path: Path, clock: Clock) -> Iterator[SharedMemory]:
    """Give a shared memory in a folder that is not there yet."""
    found = SharedMemory(tmp_path / "data" / "shared-memory.db", clock=clock)
    found.initialize()
    yield found
    found.close()
