"""The order among processes that wait for locks in one folder: one at a time is the next, and looks often; the others look seldom.

Looking is work. Eight who look all the time take the processors away from the one who holds the lock, and whoever asks at the right moment
has it, the last holder before all others. This is for order only, and promises nothing; what excludes others is the lock.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from pathlib import Path
from typing import Final, Self

from sessionlab.storage.kernel_lock import LONG_PAUSE_S, SHORT_PAUSE_S
from sessionlab.storage.turns import Deadline

SELDOM_S: Final = 0.002
"""Between two tries to become the next."""
PATIENCE_S: Final = 0.02
"""For so long one who is not the next does not look at the lock at all: the next one may be waiting for another lock of the folder."""
COURTESY_S: Final = 0.0005
"""What one who comes anew leaves to the next, who has waited; it needs a fifth of that."""

_kept: set[int] = set()


class Line:
    """A place in the line of those who wait in a folder.

    The next one is who has the kernel's lock on the folder itself, of which nothing is seen there and nothing is left. Where there are no
    such locks, as on network file systems, everyone is the next.
    """

    def __init__(self, folder: Path) -> None:
        """Come to the line.

        Args:
            folder: Where the locks lie.
        """
        self._next_since: float | None = None
        try:
            self._descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            self._descriptor = -1
        else:
            _kept.add(self._descriptor)

    def is_next(self) -> bool:
        """Say whether nobody comes before us. Who is the next remains it until leaving."""
        if self._next_since is None:
            try:
                if self._descriptor >= 0:
                    fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            except OSError:
                pass
            self._next_since = time.monotonic()
        return True

    def give_way(self, deadline: Deadline) -> None:
        """Let the next one, if it is not us, go first."""
        if not self.is_next():
            time.sleep(min(COURTESY_S, deadline.left_s()))

    def wait(self, deadline: Deadline) -> None:
        """Wait until it is time for another look at the lock, or the deadline has come."""
        if self.is_next():
            waited_s = time.monotonic() - (self._next_since or 0.0)
            time.sleep(min(max(SHORT_PAUSE_S, waited_s / 50), LONG_PAUSE_S, deadline.left_s()))
            return
        end = time.monotonic() + PATIENCE_S
        while (left_s := min(end - time.monotonic(), deadline.left_s())) > 0 and not self.is_next():
            time.sleep(min(SELDOM_S, left_s))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the line, and let another be the next."""
        if self._descriptor in _kept:  # not so in a process forked off meanwhile
            _kept.remove(self._descriptor)
            os.close(self._descriptor)


def _close_in_child() -> None:
    """Close what a forked process inherited: it would stay the next for ever."""
    for descriptor in _kept:
        with contextlib.suppress(OSError):
            os.close(descriptor)
    _kept.clear()


os.register_at_fork(after_in_child=_close_in_child)
