"""The files of an agent's sessions as one look at its folders shows them: which there are, how large, when changed.

Looks at names and sizes only; opens nothing. Links to files count as the file that they lead to; links to folders are not followed.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import msgspec

from sessionlab import layout
from sessionlab.errors import UnreadableError
from sessionlab.stores.location import StoreLocation


class SeenFile(msgspec.Struct, frozen=True, gc=False):
    """A file as a folder listing showed it; `device` and `inode` say which file it really is, whatever its path."""

    path: str
    part: layout.FilePart
    bytes: int
    mtime_ns: int
    ctime_ns: int
    device: int
    inode: int

    @property
    def name(self) -> str:
        """The file's name."""
        return self.path.rpartition(os.sep)[2]

    @property
    def identity(self) -> tuple[int, int] | str:
        """What two paths to one file have in common; the path itself where the file system numbers no files."""
        return (self.device, self.inode) if self.inode else self.path


def scan_files(location: StoreLocation) -> list[SeenFile]:
    """List every file that belongs to an agent's sessions, ordered by path: store, transcripts, archives, backups, import archive.

    Raises:
        UnreadableError: A folder cannot be listed. What is not looked at must not look like nothing.
    """
    found = [*_store_files(location)]
    seen = {file.path for file in found}
    found += [file for file in _walk(location.sessions_dir, is_own=_is_own(location)) if file.path not in seen]
    if location.root is not None:
        found += _walk(location.root / layout.IMPORT_ARCHIVE, is_own=True, part="import archive")
    return sorted(found, key=lambda file: file.path)


def scan_folder(folder: Path) -> list[SeenFile]:
    """List what lies on the first level of a folder and is, by its name, of OpenClaw's sessions; nothing when there is no such folder.

    Raises:
        UnreadableError: It cannot be listed.
    """
    return sorted(_walk(folder, is_own=False), key=lambda file: file.path)


def is_transcript(file: SeenFile) -> bool:
    """Say whether a file is a transcript whose events count, in use or archived; its name says so."""
    return file.part in ("transcripts", "transcript archives")


def _is_own(location: StoreLocation) -> bool:
    """Say whether the folder of the transcripts is the agent's own: beside a store that lies elsewhere there may be anything."""
    return location.kind == "openclaw" or location.sessions_dir.name == "sessions"


def _store_files(location: StoreLocation) -> Iterator[SeenFile]:
    """Yield the files of the store and of others beside it; a write-ahead log lies beside the real file."""
    parts: list[tuple[Path, layout.FilePart]] = []
    for store in (location, *location.rivals):
        if store.kind == "directory":
            yield from _walk(store.path, is_own=True, part="store file")
        else:
            # Not strict: what cannot be looked at is found out right below.
            parts += [(store.path, "store file"), (Path(os.path.realpath(store.path) + "-wal"), "write-ahead log")]
    for path, part in parts:
        try:
            found = path.stat()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise UnreadableError(path, f"cannot be looked at ({error.strerror})") from error
        yield _seen(str(path), part, found)


def _walk(folder: Path, *, is_own: bool, part: layout.FilePart | None = None) -> Iterator[SeenFile]:
    """Yield the files under a folder that need not exist.

    Of a folder that is not the agent's own only those on its first level whose name says that they are of OpenClaw's sessions.
    """
    waiting: list[str] = [str(folder)]
    while waiting:
        current = waiting.pop()
        try:
            with os.scandir(current) as listing:
                for entry in listing:
                    if entry.is_dir(follow_symlinks=False):
                        if is_own:
                            waiting.append(entry.path)
                        continue
                    named = part or (layout.part_of(entry.name) if current == str(folder) else "other files")
                    if not is_own and named == "other files":
                        continue
                    found = _looked_at(entry)
                    if found is not None:
                        yield _seen(entry.path, named, found)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise UnreadableError(Path(current), f"cannot be listed ({error.strerror})") from error


def _looked_at(entry: os.DirEntry[str]) -> os.stat_result | None:
    """Return what a regular file, or a link, leads to; of a link that leads nowhere, itself, so that reading it says what is wrong."""
    try:
        found = entry.stat()
    except FileNotFoundError:
        if not entry.is_symlink():
            return None  # removed since it was listed
        return entry.stat(follow_symlinks=False)
    except OSError:
        if not entry.is_symlink():
            raise
        return entry.stat(follow_symlinks=False)
    return found if stat.S_ISREG(found.st_mode) else None


def _seen(path: str, part: layout.FilePart, found: os.stat_result) -> SeenFile:
    return SeenFile(path, part, found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_dev, found.st_ino)
