"""Sessions whose transcript is not there, and those of which nobody can tell now. Reads only: names.

`sessionFile` may lie anywhere. Where a volume is not mounted its folder is not there, or an empty one is, and the transcript is not gone.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import NamedTuple

from sessionlab import layout
from sessionlab.entry import SessionSummary
from sessionlab.maintenance.files import SessionFiles


class Missing(NamedTuple):
    """Keys of entries: of those whose transcript is not there, and of those whose transcript lies where nobody can look."""

    gone: frozenset[str] = frozenset()
    unreachable: frozenset[str] = frozenset()


def missing(summaries: Iterable[SessionSummary], files: SessionFiles) -> Missing:
    """Tell which entries name a transcript that is not there, wherever it would be. An entry without a session id misses nothing."""
    gone: set[str] = set()
    unreachable: set[str] = set()
    holds_anything = cache(_holds_anything)  # most of them name the same folder
    for one in summaries:
        if not one.session_id or files.of(one) or _is_somewhere(one, files.folder):
            continue
        folder = _elsewhere(one, files)
        (gone if folder is None or holds_anything(folder) else unreachable).add(one.key)
    return Missing(frozenset(gone), frozenset(unreachable))


def _is_somewhere(one: SessionSummary, folder: Path) -> bool:
    """Say whether there is a transcript that is no plain file of the folder: in another one, compressed, or a link."""
    names = layout.transcript_candidates(one.session_id, session_file=one.session_file, thread_id=one.thread_id)
    places = [folder / f"{name}{suffix}" for name in names for suffix in ("", ".zst")]
    if one.session_file and "\0" not in one.session_file:
        places.append(folder / one.session_file)
    return any(os.path.lexists(place) for place in places)


def _elsewhere(one: SessionSummary, files: SessionFiles) -> Path | None:
    """Return the folder that a transcript is said to lie in; `None` for that of the store, as this or another machine calls it."""
    if not one.session_file or "\0" in one.session_file or files.is_here(one.session_file):
        return None
    return files.folder / one.session_file.replace("\\", "/").rpartition("/")[0]


def _holds_anything(folder: Path) -> bool:
    try:
        with os.scandir(folder) as found:
            return next(found, None) is not None
    except OSError:
        return False
