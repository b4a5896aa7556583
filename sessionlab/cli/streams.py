"""The program's own stdout and stderr: what happens when what is printed cannot be written, in one place for all commands.

An error of the output is neither an error of a store nor a defect, and only the stream itself knows which one it is: a command that meets
a full disk elsewhere raises the same `OSError`.
"""

from __future__ import annotations

import io
import os
import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class OutputLostError(Exception):
    """What is printed cannot be written. Not an `OSError`, so that nothing between here and `main` takes it for its own.

    Attributes:
        reason: What the system says.
        is_unread: Whether it is only that the reader went away (`sessionlab list | head`).
    """

    def __init__(self, error: OSError) -> None:
        self.reason = error.strerror or str(error)
        self.is_unread = isinstance(error, BrokenPipeError)
        super().__init__(self.reason)


class _Stream(io.FileIO):
    """A file descriptor that says once that it cannot be written to, and swallows what comes after that."""

    def __init__(self, descriptor: int, *, is_needed: bool) -> None:
        super().__init__(descriptor, "wb", closefd=False)
        self._is_needed = is_needed
        self._is_lost = False

    def write(self, data: ReadableBuffer, /) -> int:
        size = memoryview(data).nbytes
        if self._is_lost:
            return size
        try:
            return super().write(data)
        except OSError as error:
            self._is_lost = True
            if self._is_needed:
                raise OutputLostError(error) from error
            return size


def watch() -> None:
    """Let stdout raise `OutputLostError` when it cannot be written, and stderr, which only tells people, go on in silence.

    A file name need not be UTF-8, and a terminal need not have every letter: such text is shown escaped, never a crash. JSON stays valid.
    """
    sys.stdout = _watched(sys.stdout, is_needed=True)
    sys.stderr = _watched(sys.stderr, is_needed=False)


def flush() -> None:
    """Write what is still kept back.

    Raises:
        OutputLostError: It cannot be written.
    """
    sys.stdout.flush()
    sys.stderr.flush()


def _watched(stream: TextIO | None, *, is_needed: bool) -> TextIO:
    if stream is None:
        # Closed by who started the program. Its number would be that of the next file that is opened, so something has to have it.
        raw = _Stream(os.open(os.devnull, os.O_RDONLY), is_needed=is_needed)  # to write to it is the error that the closed one would give
        return io.TextIOWrapper(io.BufferedWriter(raw), encoding="utf-8", errors="backslashreplace")
    if not isinstance(stream, io.TextIOWrapper):
        return stream
    try:
        raw = _Stream(stream.fileno(), is_needed=is_needed)
    except OSError:
        return stream  # no file
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=stream.encoding,
        errors="backslashreplace",
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )
