"""A shared memory and managers to test with, and their clock."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sessionlab.parallel import SessionManager, SharedMemory
from sessionlab.settings import ParallelSessionsSettings
from tests.parallel.clock import Clock
from tests.parallel.managers import Make


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


@pytest.fixture
def make(tmp_path: Path, clock: Clock) -> Iterator[Make]:
    """Give a maker of managers that share a database; `disk=False` has none."""
    made: list[SharedMemory] = []

    def manager(*, disk: bool = True, **settings: Any) -> SessionManager:
        memory = SharedMemory(tmp_path / "data/shared-memory.db", clock=clock) if disk else None
        if memory is not None:
            made.append(memory)
        wanted = msgspec.convert(settings, ParallelSessionsSettings)
        found = SessionManager(wanted, memory=memory, clock=clock)
        found.start()
        return found

    yield manager
    for memory in made:
        memory.close()
