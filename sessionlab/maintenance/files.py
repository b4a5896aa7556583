"""The files beside a store that maintenance looks after: transcripts, their archives, and backups of the store. Reads only.

Only what lies in the sessions folder itself is seen (D.21), and only what is a plain file: nothing that a link leads to is ever touched.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from operator import attrgetter
from pathlib import Path
from typing import Final

from sessionlab import layout
from sessionlab.entry import SessionSummary
from sessionlab.errors import UnreadableError
from sessionlab.storage.files import is_temporary


@dataclass(frozen=True, slots=True)
class File:
    """A file in the sessions folder: its name, its size, when it was last written (epoch ms), and whose transcript it is, if any."""

    name: str
    bytes: int
    written_ms: int
    session_id: str = ""


OLDEST_FIRST: Final = attrgetter("written_ms", "name")
"""Sorts files by when they were last written."""


@dataclass(frozen=True, slots=True)
class SessionFiles:
    """What lies beside a store.

    Attributes:
        folder: The sessions folder.
        transcripts: Session id -> the live transcripts of it, by name: one for each topic.
        archives: Archived transcripts, oldest first.
        backups: Backups of `sessions.json`, oldest first.
        total_bytes: Of all files in the folder, those of the store left out.
        of_others: Live transcripts that sessions of another store refer to, whose files lie in the same folder.
    """

    folder: Path
    transcripts: dict[str, tuple[File, ...]]
    archives: tuple[File, ...]
    backups: tuple[File, ...]
    total_bytes: int
    of_others: frozenset[str] = field(default=frozenset(), kw_only=True)

    @property
    def removable_bytes(self) -> int:
        """Of what maintenance may remove: transcripts and archives. What is left is none of a session's doing."""
        live = sum(file.bytes for files in self.transcripts.values() for file in files if file.name not in self.of_others)
        return live + sum(file.bytes for file in self.archives)

    def of(self, one: SessionSummary) -> tuple[File, ...]:
        """Return the transcripts of a session (D.18): those of its id, and that which its entry names, if it lies here."""
        own = self.transcripts.get(one.session_id or "", ())
        name = file_name(one.session_file or "")
        if not name or any(file.name == name for file in own):
            return own
        parsed = layout.parse_transcript_name(name)
        others = self.transcripts.get(parsed.session_id, ()) if parsed is not None else ()
        return (*own, *(file for file in others if file.name == name))

    def archived_with(self, one: SessionSummary) -> tuple[File, ...]:
        """Return those of its transcripts that go with a session: not what only has the name of a file in another folder (F.20)."""
        is_here = self.is_here(one.session_file or "")
        return tuple(file for file in self.of(one) if file.name not in self.of_others and (is_here or file.session_id == one.session_id))

    def is_here(self, session_file: str) -> bool:
        """Say whether an entry's `sessionFile` is in this folder: a store that was copied names it as its own machine calls it."""
        folder = session_file.replace("\\", "/").rpartition("/")[0]
        return folder in ("", ".", str(self.folder)) or tuple(folder.split("/")[-2:]) == self.folder.parts[-2:]

    def orphans(self, referred: Iterable[str]) -> tuple[File, ...]:
        """Return the live transcripts that no session refers to, oldest first; `referred` are the names that one of this store does."""
        names = {*referred, *self.of_others}
        found = (file for files in self.transcripts.values() for file in files if file.name not in names)
        return tuple(sorted(found, key=OLDEST_FIRST))


def session_files(folder: Path, *, store_names: Iterable[str], others: Iterable[SessionSummary] = ()) -> SessionFiles:
    """Look at the files beside a store.

    Args:
        folder: The sessions folder; one that is not there has no files.
        store_names: Names that belong to the store itself.
        others: The sessions of other stores in the folder.

    Raises:
        UnreadableError: The system does not let us look.
    """
    transcripts: defaultdict[str, list[File]] = defaultdict(list)
    archives: list[File] = []
    backups: list[File] = []
    own = set(store_names)
    total = 0
    for name, status in _plain_files(folder):
        if name in own or is_temporary(name, of=own):  # what a killed process left of the store goes with the next write
            continue
        total += status.st_size
        parsed = layout.parse_transcript_name(name)
        file = File(name, status.st_size, status.st_mtime_ns // 1_000_000, parsed.session_id if parsed is not None else "")
        if parsed is not None and parsed.source == "live":
            transcripts[parsed.session_id].append(file)
        elif parsed is not None:
            archives.append(file)
        elif layout.part_of(name) == "store backups":
            backups.append(file)
    found = SessionFiles(
        folder=folder,
        transcripts={session_id: tuple(sorted(files, key=lambda file: file.name)) for session_id, files in transcripts.items()},
        archives=tuple(sorted(archives, key=OLDEST_FIRST)),
        backups=tuple(sorted(backups, key=lambda file: file.name)),
        total_bytes=total,
    )
    of_others = frozenset(file.name for one in others for file in found.of(one))
    return replace(found, of_others=of_others) if of_others else found


def file_name(path: str) -> str:
    """Return the last part of a path, on whichever system it was written."""
    return path.replace("\\", "/").rpartition("/")[2]


def plain_names(folder: Path) -> set[str]:
    """Return the names of the plain files in a folder; of one that is not there, none.

    Raises:
        UnreadableError: The system does not let us look.
    """
    return {entry.name for entry in _listed(folder) if entry.is_file(follow_symlinks=False)}


def _plain_files(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    for entry in _listed(folder):
        with contextlib.suppress(FileNotFoundError):  # gone since it was listed
            status = entry.stat(follow_symlinks=False)
            if stat.S_ISREG(status.st_mode):
                yield entry.name, status


def _listed(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as listing:
            return list(listing)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise UnreadableError(folder, f"cannot be listed ({error.strerror})") from error
