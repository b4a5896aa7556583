"""Private folders for what a process needs for a while, below `TMPDIR`; what a killed process left there is swept up."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
import time
from pathlib import Path
from typing import Final

_LEFT_BEHIND_S: Final = 3600
"""A folder this old whose process is gone is nobody's. A younger one may belong to a process that cannot be seen, in a container."""


def make_folder(purpose: str) -> Path:
    """Make a folder (mode 0700) that the caller removes; those of the same purpose that killed processes left are removed first.

    Raises:
        OSError: There is no temporary folder, or no room in it.
    """
    prefix = f"sessionlab-{purpose}-"
    _sweep(Path(tempfile.gettempdir()), prefix)
    return Path(tempfile.mkdtemp(prefix=f"{prefix}{os.getpid()}-"))


def _sweep(temporary: Path, prefix: str) -> None:
    for folder in temporary.glob(f"{prefix}*-*"):
        pid = folder.name.removeprefix(prefix).partition("-")[0]
        try:
            found = folder.lstat()
            is_ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()
            if not pid.isdecimal() or not is_ours or time.time() - found.st_mtime < _LEFT_BEHIND_S:
                continue
            os.kill(int(pid), 0)
        except ProcessLookupError:
            shutil.rmtree(folder, ignore_errors=True)
        except (OSError, OverflowError):
            continue  # gone meanwhile, or somebody else's process
