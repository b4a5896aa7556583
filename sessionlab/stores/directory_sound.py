"""Which files of a directory store are known to be sound, because these very bytes were read strictly or written a while ago.

Reading strictly costs twice what reading costs, and a session that is at work is read and written again and again.
"""

from __future__ import annotations

import threading
from typing import Final

MOST_BYTES: Final = 1_000_000
"""How much is remembered, as OpenClaw's object cache does by default: some twenty sessions at work."""


class SoundFiles:
    """The latest files, name -> content, up to a number of bytes. For any number of threads."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        """Remember nothing yet."""
        self._most_bytes = most_bytes
        self._bytes = 0
        self._files: dict[str, bytes] = {}
        self._lock = threading.Lock()

    def knows(self, name: str, data: bytes) -> bool:
        """Say whether a file is known with exactly this content."""
        return self._files.get(name) == data

    def note(self, name: str, data: bytes) -> None:
        """Remember that a file with this content is sound; the one that was noted first is forgotten for it."""
        with self._lock:
            self._bytes += len(data) - len(self._files.pop(name, b""))
            self._files[name] = data
            while self._bytes > self._most_bytes:
                self._bytes -= len(self._files.pop(next(iter(self._files))))

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._files.clear()
            self._bytes = 0
