"""How the process that frees a lock wakes the one that is next: with a datagram to a name that belongs to the lock file.

A hint and nothing more: what counts is the lock, and who waits looks at it now and then all the same. For that reason it may be lost (a
holder that is killed, another network namespace) and may be false (anybody may send one). Looking often instead costs a machine with two
processors half of what it writes when eight processes wait. Linux only, whose names of that kind leave no file behind.
"""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket

HAS_BELLS = sys.platform.startswith("linux")
_rope: socket.socket | None = None


class Bell:
    """Whoever waits at a lock file hears it; one at a time."""

    def __init__(self, lock: os.stat_result) -> None:
        """Put it up.

        Args:
            lock: The lock file.
        """
        import socket  # 3 ms that reading need not pay

        self._ear = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        with contextlib.suppress(OSError):  # somebody has taken the name: nothing will be heard
            self._ear.bind(_name(lock))

    def wait(self, most_s: float) -> None:
        """Wait until it rings, but not for longer than that."""
        self._ear.settimeout(most_s)
        with contextlib.suppress(OSError):
            self._ear.recv(1)

    def close(self) -> None:
        """Take it down."""
        self._ear.close()


def ring(lock: os.stat_result) -> None:
    """Wake whoever waits at a lock file, if anybody does."""
    global _rope  # noqa: PLW0603 - one for the process, made when it is first needed
    if _rope is None:
        import socket

        _rope = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    try:
        _rope.sendto(b"", _name(lock))
    except OSError:  # nobody is there
        return


def _name(lock: os.stat_result) -> bytes:
    return b"\0sessionlab-lock-%d-%d" % (lock.st_dev, lock.st_ino)
