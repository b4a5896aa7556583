"""The order among processes that wait for one lock: one at a time is the next, and is told when the lock is free; the others look seldom.

Looking is work. Eight who look all the time take the processors away from the one who holds the lock, and whoever asks at the right moment
has it, the last holder before all others. This is for order only, and promises nothing; what excludes others is the lock.

For locks whose file is another one each time; where it stays, `kernel_lock` keeps the order with the file itself.
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import os
import sys
import time
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from sessionlab.storage.kernel_lock import LONG_PAUSE_S, SHORT_PAUSE_S
from sessionlab.storage.turns import Deadline

if TYPE_CHECKING:
    import socket

HAS_LINES: Final = sys.platform.startswith("linux")

SELDOM_S: Final = 0.002
"""Between two tries to become the next."""
PATIENCE_S: Final = 0.02
"""For so long one who is not the next does not look at the lock at all: the next one may not be able to take it."""
COURTESY_S: Final = 0.0005
"""What one who comes anew leaves to the next, who has waited; it needs a fifth of that."""

_kept: set[socket.socket] = set()
_rope: socket.socket | None = None


class Line:
    """A place in the line of those who wait for one lock.

    The next one is who has a socket of the name that belongs to the lock, of which nothing is seen or left in the file system; and there it
    hears `call_next`. The name is one per machine (and network namespace). Where there are no such names everyone is the next.
    """

    def __init__(self, path: Path) -> None:
        """Come to the line.

        Args:
            path: The lock file, absolute; it need not exist.
        """
        self._name = _name(path)
        self._ear: socket.socket | None = None
        self._next_since: float | None = None

    def is_next(self) -> bool:
        """Say whether nobody comes before us. Who is the next remains it until leaving."""
        if self._next_since is None:
            try:
                self._take_the_name()
            except OSError as error:
                if error.errno == errno.EADDRINUSE:
                    return False
            self._next_since = time.monotonic()
        return True

    def _take_the_name(self) -> None:
        if self._ear is None:
            if not HAS_LINES:
                return
            import socket  # 3 ms that reading need not pay

            ear = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            _kept.add(ear)
            self._ear = ear
        self._ear.bind(self._name)

    def give_way(self, deadline: Deadline) -> None:
        """Let the next one, if it is not us, go first."""
        if not self.is_next():
            time.sleep(min(COURTESY_S, deadline.left_s()))

    def wait(self, deadline: Deadline) -> None:
        """Wait until it is time for another look at the lock, or the deadline has come."""
        if not self.is_next():
            end = time.monotonic() + PATIENCE_S
            while (left_s := min(end - time.monotonic(), deadline.left_s())) > 0 and not self.is_next():
                time.sleep(min(SELDOM_S, left_s))
        elif self._ear is None:
            waited_s = time.monotonic() - (self._next_since or 0.0)
            time.sleep(min(max(SHORT_PAUSE_S, waited_s / 50), LONG_PAUSE_S, deadline.left_s()))
        elif (left_s := deadline.left_s()) > 0:
            self._ear.settimeout(min(LONG_PAUSE_S, left_s))
            with contextlib.suppress(OSError):
                self._ear.recv(1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the line, and let another be the next."""
        if self._ear is not None:
            _kept.discard(self._ear)
            self._ear.close()
            self._ear = None


def call_next(path: Path) -> None:
    """Tell who is the next, if anybody is, that the lock is free. Never fails."""
    global _rope  # noqa: PLW0603 - one for the process, made when it is first needed
    if not HAS_LINES:
        return
    try:
        if _rope is None:
            import socket

            _rope = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
            atexit.register(_rope.close)
        _rope.sendto(b"", _name(path))
    except OSError:  # nobody is there, or there are no sockets here
        return


def _name(path: Path) -> bytes:
    return b"\0sessionlab-line-%08x" % zlib.crc32(os.fsencode(path))


def _close_in_child() -> None:
    """Close what a forked process inherited: it would be the next for ever."""
    for ear in _kept:
        with contextlib.suppress(OSError):
            ear.close()
    _kept.clear()


os.register_at_fork(after_in_child=_close_in_child)
