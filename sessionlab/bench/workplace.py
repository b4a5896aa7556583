"""Where a measurement works: a folder below `TMPDIR` that goes away, and what is said when there is no room in it."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from sessionlab.errors import SessionLabError, UnwritableError
from sessionlab.scratch import make_folder

_NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_WORDS: Final = (*map(os.strerror, _NO_ROOM), "disk is full", "disk I/O error")
"""How the system says so, and SQLite, which has the last for a log or an index that cannot grow."""


@contextlib.contextmanager
def workplace() -> Iterator[Path]:
    """Give an empty folder to measure in, which goes away whatever happens.

    Raises:
        UnwritableError: It cannot be made, or there is no room in it.
    """
    try:
        folder = make_folder("bench")
    except OSError as error:
        raise _full(error) from error
    try:
        yield folder
    except Exception as error:
        if _no_room(error) is None:
            raise
        raise _full(error) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def says_no_room(text: str) -> bool:
    """Say whether a message is about a disk that has no room."""
    return any(word in text for word in _WORDS)


def advice() -> str:
    """Say what to do then."""
    return f"what is measured lies below TMPDIR ({_temporary_folder()}): free some space there, or set it to a folder with more room"


def _no_room(error: Exception) -> str | None:
    """Return what says that there is no room; `None` for an error of another kind, or one that says already what to do about it."""
    import sqlite3  # which no command line needs that only lists what it can do

    if isinstance(error, SessionLabError):
        said = str(error)
        return None if "TMPDIR" in said else next((word for word in _WORDS if word in said), None)
    if isinstance(error, OSError):
        return error.strerror if error.errno in _NO_ROOM else None
    if isinstance(error, sqlite3.Error):
        return str(error) if getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR) else None
    return None


def _full(error: Exception) -> UnwritableError:
    reason = _no_room(error) or getattr(error, "strerror", None) or str(error)
    return UnwritableError(Path(_temporary_folder()), f"cannot be written ({reason})", advice=advice())


def _temporary_folder() -> str:
    return tempfile.tempdir or os.environ.get("TMPDIR", "the temporary folder")
