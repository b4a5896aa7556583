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


class _Output(io.BufferedWriter):
    """What is printed, on its way to a file descriptor: says once that it cannot be written, and swallows what comes after that.

    Not the raw stream below: a signal that arrives just after the system has written would be raised there, and what had been written
    would be taken for not written, and be written again at the end.
    """

    def __init__(self, descriptor: int, *, is_needed: bool) -> None:
        super().__init__(io.FileIO(descriptor, "wb", closefd=False))
        self._is_needed = is_needed
        self._is_lost = False

    def write(self, data: ReadableBuffer, /) -> int:
        if not self._is_lost:
            try:
                return super().write(data)
            except OSError as error:
                self._lose(error)
        return memoryview(data).nbytes

    def flush(self) -> None:
        if not self._is_lost:
            try:
                super().flush()
            except OSError as error:
                self._lose(error)

    def _lose(self, error: OSError) -> None:
        self._is_lost = True
        if self._is_needed:
            raise OutputLostError(error) from error


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
        output = _Output(
            os.open(os.devnull, os.O_RDONLY), is_needed=is_needed
        )  # to write to it is the error that the closed one would give
        return io.TextIOWrapper(output, encoding="utf-8", errors="backslashreplace")
    if not isinstance(stream, io.TextIOWrapper):
        return stream
    try:
        output = _Output(stream.fileno(), is_needed=is_needed)
    except OSError:
        return stream  # no file
    return io.TextIOWrapper(
        output,
        encoding=stream.encoding,
        errors="backslashreplace",
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )
