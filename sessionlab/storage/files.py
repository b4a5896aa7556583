"""Files that are replaced whole or not at all.

New content goes into a temporary file beside the target, is forced to disk, and is renamed over it: whoever reads meanwhile has the old
file or the new one, and so has whoever comes after a crash.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import re
import time
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Final

from sessionlab.codec import Buffer
from sessionlab.errors import UncertainWriteError, UnwritableError

PRIVATE_FILE: Final = 0o600
PRIVATE_FOLDER: Final = 0o700
_MANY: Final = 32
_AT_ONCE: Final = 16
"""Of many files, so many are forced to disk at a time."""

_MOST_PIECES: Final = min(os.sysconf("SC_IOV_MAX"), 1024)
_TEMPORARY: Final = re.compile(r"(?P<name>.+)\.(?P<pid>\d+)\.[0-9a-f-]{36}\.tmp\Z")
_ADVICE: Final = {
    errno.ENOSPC: "free some space on the disk, then run it again",
    errno.EDQUOT: "free some of your quota, then run it again",
    errno.EROFS: "the file system is read-only: copy the store to another place",
    errno.EACCES: "make the folder and the file writable for this user",
    errno.EPERM: "make the folder and the file writable for this user",
    errno.EIO: "the disk reports an error: copy the store to another one",
}

_FOLDER_S_FAULT: Final = (errno.EACCES, errno.EPERM, errno.EROFS)


def replace_file(path: Path, pieces: Iterable[Buffer], *, durable: bool = True) -> os.stat_result:
    """Make a file hold exactly these bytes; its mode is 0600 afterwards, as OpenClaw leaves it (D.43). Its folder must exist.

    Where the path is a link, what it leads to is replaced and the link stays. OpenClaw's rename puts a file in the link's place (so its
    users lose the place that they chose for the store, and the old content lives on there unnoticed): a deviation.

    The new file's time is the clock's to the nanosecond. The kernel's own comes in steps of milliseconds, so that two files written in
    one step could be taken for one another by whoever compares inode, size and time: inodes are used again at once.

    Args:
        path: The file; it need not exist.
        pieces: The content, to be joined. Nothing of it is copied.
        durable: Force file and folder to disk, so that the new content survives a loss of power. Otherwise only a crash of this process.

    Returns:
        What the system says about the new file in its place.

    Raises:
        UnwritableError: The system refused; the old file is as it was and the temporary one is gone.
        UncertainWriteError: The new file is in place, but it is not certain that it stays there through a loss of power.
    """
    target = Path(os.path.realpath(path))
    temporary = temporary_path(target)
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, PRIVATE_FILE)
        try:
            _keep_owner(descriptor, target)
            _write_all(descriptor, pieces)
            now_ns = time.time_ns()
            os.utime(descriptor, ns=(now_ns, now_ns))
            if durable:
                os.fsync(descriptor)
            temporary.rename(target)
            found = os.fstat(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        _remove(temporary)
        raise refused(path, error) from error
    except BaseException:
        _remove(temporary)
        raise
    if durable:
        fsync_folder(target.parent, written=path)
    return found


def fsync_folder(folder: Path, *, written: Path) -> None:
    """Force to disk which files a folder has, so that a file that was renamed into it stays there.

    Args:
        folder: The folder.
        written: What was written, for the message.

    Raises:
        UncertainWriteError: It failed.
    """
    try:
        fsync_path(folder)
    except OSError as error:
        reason = f"was written, but may not survive a loss of power: its folder cannot be forced to disk ({error.strerror})"
        raise UncertainWriteError(written, reason, advice="read the store again before going on") from error


def fsync_path(path: Path) -> None:
    """Force a file or a folder to disk that was written before.

    Raises:
        OSError: It failed.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def fsync_files(files: Sequence[Path]) -> None:
    """Force files to disk that were written before; many of them several at a time: one after the other takes longer than writing them.

    Raises:
        UnwritableError: The system refused; naming the first.
    """
    if len(files) < _MANY:
        errors = list(map(_fsync_error, files))
    else:
        from concurrent.futures import ThreadPoolExecutor  # 5 ms that a single write need not pay

        with ThreadPoolExecutor(_AT_ONCE) as pool:
            errors = list(pool.map(_fsync_error, files))
    for file, error in zip(files, errors, strict=True):
        if error is not None:
            raise refused(file, error) from error


def _fsync_error(file: Path) -> OSError | None:
    try:
        fsync_path(file)
    except OSError as error:
        return error
    return None


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, where they are missing, all of mode 0700, so that they survive a loss of power.

    Raises:
        UnwritableError: The system refused, or something else is in its place.
        UncertainWriteError: They are there, but may not survive.
    """
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    try:
        for place in (*reversed(missing[1:]), folder):  # one by one: Python makes parents with the user's usual mode
            place.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)
    except OSError as error:
        raise refused(folder, error) from error
    for place in missing:
        fsync_folder(place.parent, written=place)


def temporary_path(target: Path) -> Path:
    """Return a new name beside a file for what will become that file: `<name>.<pid>.<uuid>.tmp`, as OpenClaw names them (F.24)."""
    import uuid  # 10 ms that a listing need not pay

    return target.with_name(f"{target.name}.{os.getpid()}.{uuid.uuid4()}.tmp")


def is_temporary(name: str, *, of: Collection[str]) -> bool:
    """Say whether a file's name is one that `temporary_path` gives for what is to become a file of one of these names."""
    match = _TEMPORARY.match(name) if name.endswith(".tmp") else None
    return match is not None and match["name"] in of


def remove_leftovers(path: Path, *, of: Sequence[str]) -> None:
    """Remove temporary files that processes which are no more left beside a store. Only for the holder of the store's lock.

    Args:
        path: The store; links are followed as `replace_file` does.
        of: The names of the files that they were to become.
    """
    folder = Path(os.path.realpath(path)).parent
    with contextlib.suppress(OSError), os.scandir(folder) as found:
        for item in found:
            match = _TEMPORARY.match(item.name) if item.name.endswith(".tmp") else None
            if match is not None and match["name"] in of and not is_alive(int(match["pid"])):
                _remove(Path(item.path))


def is_alive(pid: int) -> bool:
    """Say whether a process of that number is at work, of whatever user; one that has ended and is not collected yet is not."""
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] not in (b"Z", b"X")
    except (OSError, IndexError):
        return True  # no /proc, or none that shows it


def refused(path: Path, error: OSError) -> UnwritableError:
    """Word the system's refusal to write a file."""
    if error.errno in _FOLDER_S_FAULT and not os.path.lexists(path):
        return not_made(path, error)
    advice = _ADVICE.get(error.errno or 0, "see to the folder and the file, then run it again")
    return UnwritableError(path, f"cannot be written ({error.strerror}); it is as it was", advice=advice)


def not_made(path: Path, error: OSError) -> UnwritableError:
    """Word the system's refusal to make a file or a folder: what is to be seen to is the folder that there is."""
    folder = next((place for place in path.parents if os.path.exists(place)), path.parent)  # noqa: PTH110 - a refusal is a no here
    advice = _ADVICE.get(error.errno or 0, "see to the folder, then run it again").replace("the folder and the file", "this folder")
    return UnwritableError(folder, f"no file can be made in this folder ({error.strerror})", advice=advice)


def _write_all(descriptor: int, pieces: Iterable[Buffer]) -> None:
    """Write everything, as many pieces at a time as the system takes."""
    coming = iter(pieces)
    while some := list(itertools.islice(coming, _MOST_PIECES)):
        written = os.writev(descriptor, some)
        if written < sum(map(len, some)):
            _write_rest(descriptor, some, written)


def _write_rest(descriptor: int, pieces: Sequence[Buffer], written: int) -> None:
    """Write on where the system took less than it was given: so many bytes of these pieces."""
    for piece in pieces:
        rest = memoryview(piece)[written:]
        written = max(written - len(piece), 0)
        while rest:
            rest = rest[os.write(descriptor, rest) :]


def _keep_owner(descriptor: int, target: Path) -> None:
    """Give the new file the old one's owner, where we may: a store that root has written must stay its user's."""
    os.fchmod(descriptor, PRIVATE_FILE)  # whatever the umask takes away
    with contextlib.suppress(FileNotFoundError, PermissionError):
        old, new = target.stat(), os.fstat(descriptor)
        if (old.st_uid, old.st_gid) != (new.st_uid, new.st_gid):
            os.fchown(descriptor, old.st_uid, old.st_gid)


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()
