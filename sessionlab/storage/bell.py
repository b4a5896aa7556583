"""How the process that frees a lock wakes the one that is next: with a datagram to a name that belongs to the lock file.

A hint and nothing more: what counts is the lock, and who waits looks at it now and then all the same. For that reason it may be lost (a
holder that is killed, another network namespace) and may be false (anybody may send one). Where eight processes write on two processors,
looking often instead takes away a good part of what they could write. Linux only, whose names of that kind leave no file behind.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import socket

HAS_BELLS: Final = sys.platform.startswith("linux")

_DEAF_S: Final = 0.0002
_rope: socket.socket | None = None


class Bell:
    """Whoever waits at a lock file hears it; one at a time."""

    def __init__(self, lock: os.stat_result) -> None:
        """Put it up. Where that cannot be, waiting is a short sleep.

        Args:
            lock: The lock file.
        """
        import socket  # 3 ms that reading need not pay

        self._ear: socket.socket | None = None
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            ear = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
            ear.bind(_name(lock))  # fails when somebody has taken the name
            self._ear = ear
            stack.pop_all()

    def wait(self, most_s: float) -> None:
        """Wait until it rings, but not for longer than that."""
        if self._ear is None:
            time.sleep(min(most_s, _DEAF_S))
            return
        self._ear.settimeout(most_s)
        with contextlib.suppress(OSError):
            self._ear.recv(1)

    def close(self) -> None:
        """Take it down."""
        if self._ear is not None:
            self._ear.close()


def ring(lock: os.stat_result) -> None:
    """Wake whoever waits at a lock file, if anybody does. Never fails."""
    global _rope  # noqa: PLW0603 - one for the process, made when it is first needed
    try:
        if _rope is None:
            import socket

            _rope = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
            atexit.register(_rope.close)
        _rope.sendto(b"", _name(lock))
    except OSError:  # nobody is there, or there are no sockets here
        return


def _name(lock: os.stat_result) -> bytes:
    return b"\0sessionlab-lock-%d-%d" % (lock.st_dev, lock.st_ino)
