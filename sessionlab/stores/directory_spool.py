"""A place for what was read and is not used yet: in memory as long as it is small, then in a file without a name below `TMPDIR`."""

from __future__ import annotations

from types import TracebackType
from typing import Final, Self

from sessionlab.errors import UnreadableError

MEMORY_BYTES: Final = 64 << 20
"""Beyond this a file is used."""


class Spool:
    """Pieces of bytes that are put in once and taken out by place, in any order."""

    def __init__(self, memory_bytes: int = MEMORY_BYTES) -> None:
        """Make an empty one."""
        import tempfile  # 5 ms that a listing need not pay

        self._file = tempfile.SpooledTemporaryFile(max_size=memory_bytes)  # noqa: SIM115 - closed by `__exit__`
        self._length = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Give up what was put in. Calling it again does nothing."""
        self._file.close()

    def put(self, piece: memoryview) -> tuple[int, int]:
        """Add a piece and return its place.

        Raises:
            UnreadableError: There is no room for it.
        """
        import tempfile
        from pathlib import Path

        try:
            self._file.write(piece)
        except OSError as error:
            advice = "free some space there, or set TMPDIR to a folder with more room"
            raise UnreadableError(Path(tempfile.gettempdir()), f"has no room for what is read ({error.strerror})", advice=advice) from error
        place = self._length, len(piece)
        self._length += len(piece)
        return place

    def take(self, place: tuple[int, int]) -> bytes:
        """Return the piece at a place."""
        self._file.seek(place[0])
        return self._file.read(place[1])
