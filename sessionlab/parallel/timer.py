"""Something that is done again and again in a thread of its own, whatever becomes of it (A.23, A.24)."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Final

from sessionlab.units import MS_PER_SECOND

_LOGGER: Final = logging.getLogger("sessions/parallel")


class Timer:
    """Calls something in a fixed interval; what it raises is logged, and the next call comes all the same."""

    def __init__(self, work: Callable[[], object], *, every_ms: int) -> None:
        """Begin with `start`."""
        self._work, self._every_s = work, every_ms / MS_PER_SECOND
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def is_running(self) -> bool:
        """Whether calls are to come."""
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> None:
        """Begin; the first call comes after one interval. Twice does no harm."""
        if self.is_running:
            return
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(self._stopping,), name="sessionlab timer", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End, and wait for a call that goes on. Twice does no harm."""
        self._stopping.set()
        thread, self._thread = self._thread, None
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def _run(self, stopping: threading.Event) -> None:
        while not stopping.wait(self._every_s):
            try:
                self._work()
            except Exception:
                _LOGGER.exception("what is done every %g s failed", self._every_s)
