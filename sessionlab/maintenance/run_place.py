"""Whether a run lies where it was made: in a copy of a state folder, what lies outside of it is still the original's.

`session.store` may name a place anywhere. A state folder that was copied with its runs, as a backup is, names it too, and so do they.
"""

from __future__ import annotations

import os
from pathlib import Path

from sessionlab.errors import UsageError
from sessionlab.maintenance.run_records import Head
from sessionlab.stores.location import StoreLocation


def folder_id(folder: Path) -> str:
    """Return what tells a folder from every other of this machine, a copy of it as well, and what stays when it is moved; "" for none."""
    try:
        status = folder.stat()
    except OSError:
        return ""
    return f"{status.st_dev}:{status.st_ino}"


def refuse_of_the_original(made: Head, root: Path, location: StoreLocation) -> None:
    """Refuse to act on a store outside of a state folder that is a copy, or that nobody can tell from one.

    Args:
        made: What the run says, with the paths as they were when it was made.
        root: The folder that it lies in now, below `.sessionlab/runs`.
        location: The store that it means.

    Raises:
        UsageError: It is such a store; naming what to do.
    """
    was_inside = Path(made.store_path).is_relative_to(made.root)
    is_inside = Path(os.path.realpath(location.path)).is_relative_to(os.path.realpath(root))
    if (was_inside and is_inside) or _is_the_same(made, root):
        return
    reason = f"the run was made in {made.root}, of which this may be a copy, and its store {location.path} lies outside of both"
    raise UsageError(f"{root}: {reason}; name the store that is meant with --store")


def _is_the_same(made: Head, root: Path) -> bool:
    """Say whether a folder is that in which a run was made: by its path, be it through a link, or as it was moved since."""
    here = folder_id(root)
    return str(root) == made.root or here in (folder_id(Path(made.root)), made.root_id)
