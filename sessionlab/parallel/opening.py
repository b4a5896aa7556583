"""A session manager as a state folder's `openclaw.json` has it: `agent.parallelSessions`, every key of it (A.1)."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from sessionlab import layout
from sessionlab.parallel.manager import Scope, SessionManager
from sessionlab.parallel.shared_memory import SharedMemory, wall_clock_ms
from sessionlab.settings import ParallelSessionsSettings, load_settings
from sessionlab.stores.looking import listed


def database_path(settings: ParallelSessionsSettings, state_dir: Path) -> Path:
    """Return where the shared memory lies: at `memory.dbPath`, else in `data/shared-memory.db` of the state folder."""
    named = settings.memory.db_path
    return layout.expanded(Path(named)) if named else layout.shared_memory(state_dir)


@contextlib.contextmanager
def open_manager(
    state_dir: Path | None = None, *, scope: Scope = "process", clock: Callable[[], int] = wall_clock_ms
) -> Iterator[SessionManager]:
    """Give the manager that a state folder configures, started, with its shared memory; both are closed at the end.

    Args:
        state_dir: The state folder; by default `$OPENCLAW_STATE_DIR`, else `~/.openclaw`. It need not be there: all is as by default then,
            and it is made for the shared memory, for its owner alone.
        scope: What `maxConcurrent` counts; see `SessionManager`.
        clock: Gives the time, epoch ms.

    Raises:
        SettingsError: A setting is not valid, or not supported.
        StoreError: There is no folder in its place, it cannot be read or made, or the shared memory cannot be opened.
    """
    folder = layout.default_state_dir() if state_dir is None else layout.expanded(state_dir)
    if os.path.lexists(folder):
        listed(folder)
    settings = load_settings(folder).parallel_sessions
    memory = None
    if settings.memory.backend == "sqlite":
        memory = SharedMemory(database_path(settings, folder), enable_wal=settings.memory.enable_wal, clock=clock)
    manager = SessionManager(settings, memory=memory, scope=scope, clock=clock)
    try:
        with manager:
            yield manager
    finally:
        if memory is not None:
            memory.close()
