"""Looking at paths without opening what lies there; a refusal of the system is never taken for a no."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

from sessionlab.errors import NoStoreError, UnreadableError


def is_a(kind: Callable[[int], bool], path: Path) -> bool:
    """Say whether there is something of this kind; `Path.is_file` and the like take a refusal for a no since Python 3.14."""
    try:
        return kind(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise UnreadableError(path, f"cannot be looked at ({error.strerror})") from error


def may_exist(path: Path) -> bool:
    """Say whether anything lies there, be it a link that leads nowhere or something we may not look at: opening it says so."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def listed(folder: Path) -> list[Path]:
    """Return what lies in a folder.

    Raises:
        NoStoreError: There is no such folder.
        UnreadableError: The system does not let us list it, or it is a link that leads nowhere.
    """
    try:
        return list(folder.iterdir())
    except FileNotFoundError as error:
        if folder.is_symlink():
            raise UnreadableError(folder, f"is a link to {folder.readlink()}, which does not exist") from error
        raise NoStoreError(folder, "there is no such file or folder") from error
    except NotADirectoryError as error:
        raise NoStoreError(folder, "is not a folder") from error
    except OSError as error:
        raise UnreadableError(folder, f"cannot be listed ({error.strerror})") from error


def head(path: Path, size: int) -> bytes:
    """Return a file's first bytes. A pipe in its place is refused: reading it would wait for ever."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise NoStoreError(path, "is not a regular file")
            return os.pread(descriptor, size, 0)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise UnreadableError(path, f"cannot be read ({error.strerror})") from error
