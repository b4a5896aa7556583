"""The lock on a store that OpenClaw writes, too: its own lock file `<store>.lock` (D.38), held with a kernel lock as well.

OpenClaw takes a lock by making the file and gives it back by removing it. Where its holder crashes, the others guess: the process is dead,
or the file is older than 30 seconds. A holder of ours has the kernel's lock on the file as well, so that no guess is needed: while it lives
the lock is its own, however slow it is, and when it dies the lock is free at once.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import errno
import fcntl
import json
import os
import time
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Final, NamedTuple

from sessionlab.errors import StoreLockedError
from sessionlab.storage.files import is_alive, refused, temporary_path
from sessionlab.storage.kernel_lock import DEFAULT_TIMEOUT_MS, has_kernel_lock, leads_to, open_lock_file, release
from sessionlab.storage.line import Line, call_next
from sessionlab.storage.turns import Deadline, turn

BEING_WRITTEN_S: Final = 2.0
"""A lock file without a readable content that is younger than this is just being written."""
FOREIGN_PAUSE_S: Final = 0.05
_NO_LINKS: Final = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)


class Holder(NamedTuple):
    """What a lock file says about who holds it: the process, and when that was started, in the kernel's ticks since it was."""

    pid: int
    start_time: int | None


class StoreLock:
    """The lock on one store, for any number of threads and processes, those of OpenClaw among them.

    - In front stands the queue of `turns`. A thread that holds the lock cannot take it again; several objects for one store exclude each
      other as well.
    - A holder of ours is never robbed while it lives, and is followed at once when it dies, by exactly one of those who wait.
    - A holder without kernel lock (OpenClaw) is waited for while its process lives. Its age alone does not count (D.39 takes a lock
      that is older than 30 s; D.40 says why not: a slow holder would lose its updates). An unreadable lock file is broken when it is
      older than `BEING_WRITTEN_S`.
    - OpenClaw itself may take a lock of ours after 30 s. `is_ours` tells that before anything is written; and only the file that we made
      is removed in the end.
    """

    def __init__(self, store: Path, timeout_ms: float = DEFAULT_TIMEOUT_MS) -> None:
        """Name a lock; nothing is opened yet.

        Args:
            store: The store; the lock file lies beside it. Its folder must exist when the lock is taken.
            timeout_ms: How long to wait, for the queue and the other processes together; 0 or infinite for ever.
        """
        self.store = store
        self.timeout_ms = timeout_ms
        self.path = store.parent.resolve() / f"{store.name}.lock"
        self._descriptor = -1

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lock. A process forked off meanwhile does not hold it, and leaving this in there frees nothing.

        Raises:
            StoreLockedError: It was not had in time; nothing will happen later.
            UnwritableError: The lock file cannot be made, or is a link or no file.
        """
        deadline = Deadline(self.timeout_ms)
        with turn(self.path, deadline, store=self.store):
            descriptor = self._take(deadline)
            self._descriptor, process = descriptor, os.getpid()
            try:
                yield
            finally:
                self._descriptor = -1
                if os.getpid() == process:
                    self._free(descriptor)

    def is_ours(self) -> bool:
        """Say whether the lock that this object holds still stands, which another program may have ended by removing the file."""
        return self._descriptor >= 0 and leads_to(self.path, self._descriptor)

    def _take(self, deadline: Deadline) -> int:
        """Put our lock file in place, waiting for others to remove theirs; return its descriptor, locked.

        It is made before the waiting, so that a lock that gets free is taken with one call.
        """
        own = _OwnFile(self.path)
        try:
            with Line(self.path) as line:
                line.give_way(deadline)
                while not own.put_in_place():
                    if deadline.is_over():
                        raise self._locked_out(deadline)
                    self._wait_for_holder(deadline, line)
                    own.tell_the_time()
                return own.keep()
        finally:
            own.discard()

    def _wait_for_holder(self, deadline: Deadline, line: Line) -> None:
        """Wait until the lock file that is there now is gone, or remove it when nobody holds it."""
        try:
            descriptor = open_lock_file(self.path, os.O_RDWR)
        except FileNotFoundError:
            return
        is_foreign = False
        try:
            while not has_kernel_lock(descriptor, path=self.path):
                if deadline.is_over():
                    raise self._locked_out(deadline)
                line.wait(deadline)
            if leads_to(self.path, descriptor):
                # Its kernel lock is ours now, and nobody removes a file without it, but for programs that know no kernel locks.
                is_foreign = not is_stale(descriptor)
                if not is_foreign:
                    self.path.unlink(missing_ok=True)
        finally:
            release(descriptor)
        if is_foreign:
            time.sleep(min(FOREIGN_PAUSE_S, deadline.left_s()))

    def _locked_out(self, deadline: Deadline) -> StoreLockedError:
        try:
            holder = holder_of(self.path.read_bytes())
        except OSError:
            holder = None
        who = f"pid={holder.pid}" if holder else "pid=unknown"
        return StoreLockedError(self.store, f"session file locked (timeout {deadline.timeout_ms:.0f}ms): {who} {self.path}")

    def _free(self, descriptor: int) -> None:
        """Remove our lock file, and no other's; then let the kernel lock go."""
        try:
            if leads_to(self.path, descriptor):
                self.path.unlink()
        except OSError:
            pass  # whoever comes next finds it without a kernel lock, and with our number or a dead one
        finally:
            release(descriptor)
            call_next(self.path)


class _OwnFile:
    """Our lock file, written and locked under another name, so that it appears in its place at once, complete and held."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._make()

    def _make(self) -> None:
        self._temporary = temporary_path(self._path)
        self._descriptor = open_lock_file(self._temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL)
        self._fill()

    def _fill(self) -> None:
        """Lock the open file and write into it who we are."""
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)  # nobody keeps it: at most somebody looks whether it is held
            os.pwrite(self._descriptor, _content(), 0)
        except OSError as error:
            self.discard()
            raise refused(self._path, error) from error

    def tell_the_time(self) -> None:
        """Write into the file that it is of now: OpenClaw takes the age of a lock for that of its holder's work (D.39)."""
        try:
            os.pwrite(self._descriptor, _content(), 0)
        except OSError as error:
            raise refused(self._path, error) from error

    def put_in_place(self) -> bool:
        """Give the file its name, unless another has it; say whether it has it now."""
        try:
            os.link(self._temporary, self._path)
        except FileExistsError:
            return False
        except FileNotFoundError:
            self.discard()  # somebody cleaned up who does not see this process, from within a container
            self._make()
            return False
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise refused(self._path, error) from error
            return self._make_in_place()
        return True

    def _make_in_place(self) -> bool:
        """Do the same on a file system without hard links, where for a moment the file is there without its content."""
        try:
            descriptor = open_lock_file(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL)
        except FileExistsError:
            return False
        release(self._descriptor)
        self._descriptor = descriptor
        self._fill()
        return True

    def keep(self) -> int:
        """Hand the descriptor over, which `discard` then leaves alone."""
        descriptor, self._descriptor = self._descriptor, -1
        return descriptor

    def discard(self) -> None:
        """Remove the other name, and close the file if it was not handed over."""
        with contextlib.suppress(OSError):
            self._temporary.unlink()
        if self._descriptor >= 0:
            release(self._descriptor)
            self._descriptor = -1


def holder_of(content: bytes) -> Holder | None:
    """Return what a lock file says about its holder, `None` when it says nothing that can be read."""
    try:
        said = json.loads(content)
    except ValueError:
        return None
    pid = said.get("pid") if isinstance(said, dict) else None
    if not isinstance(pid, int) or isinstance(pid, bool) or pid <= 0:
        return None
    start_time = said.get("starttime")
    return Holder(pid, start_time if isinstance(start_time, int) else None)


def is_stale(descriptor: int) -> bool:
    """Say whether nobody holds a lock file on which there is no kernel lock but the one that the caller has just got."""
    holder = holder_of(os.pread(descriptor, 4096, 0))
    if holder is None:
        return abs(time.time() - os.fstat(descriptor).st_mtime) > BEING_WRITTEN_S
    if holder.pid == os.getpid():
        return True  # a thread of ours would hold the kernel lock: this was left behind, by us or by a process of our number
    return not is_alive(holder.pid) or holder.start_time not in (None, start_time_of(holder.pid) or holder.start_time)


def start_time_of(pid: int) -> int | None:
    """Return when a process was started, as `/proc` says it (field 22 of its stat); `None` where there is no `/proc`."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return None


def _content() -> bytes:
    now = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    said: dict[str, int | str] = {"pid": os.getpid(), "createdAt": now}
    if (start_time := _own_start_time(os.getpid())) is not None:
        said["starttime"] = start_time
    return json.dumps(said, indent=2).encode()


@lru_cache(maxsize=1)
def _own_start_time(pid: int) -> int | None:
    """Return the start time of this process; it has another number when it was forked off."""
    return start_time_of(pid)
