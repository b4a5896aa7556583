"""A lock across processes that the kernel keeps: it is free at once when its holder dies, and cannot be taken from one who lives.

For sessionlab's own store formats. Where OpenClaw writes, too, its lock file is what counts: see `lock`.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Final

from sessionlab.errors import StoreLockedError, UnwritableError
from sessionlab.storage.turns import Deadline, turn

SHORT_PAUSE_S: Final = 0.0001
"""Between two looks of the one who waits for a lock: most holders need less than a millisecond."""
MEDIUM_PAUSE_S: Final = 0.0005
"""Between two looks of those who wait for being the next."""
LONG_PAUSE_S: Final = 0.005
"""Between two looks when the holder has turned out to be slow."""
DEFAULT_TIMEOUT_MS: Final = 10_000

_kept: set[int] = set()
"""Descriptors through which this process holds, or may come to hold, kernel locks."""


class KernelLock:
    """The lock on one lock file, for any number of threads and processes. The file is made when it is missing, and stays.

    In front of it stands the queue of `turns`: first come, first served within a process. A thread that holds it cannot take it again.
    Objects are cheap; several for one file exclude each other as well.
    """

    def __init__(self, path: Path, timeout_ms: float = DEFAULT_TIMEOUT_MS) -> None:
        """Name a lock; nothing is opened yet.

        Args:
            path: The lock file. Its folder must exist when the lock is taken.
            timeout_ms: How long to wait, for the queue and the other processes together; 0 or infinite for ever.
        """
        self.path = path
        self.timeout_ms = timeout_ms
        self._place = path.parent.resolve() / path.name
        self._name = str(self._place)
        self._descriptor = -1
        self._process = 0
        self._is_held = self._is_closed = False

    def held(self) -> Held:
        """Hold the lock, as a context. A process forked off meanwhile does not hold it, and leaving this in there frees nothing.

        Entering raises:
            StoreLockedError: It was not had in time; nothing will happen later.
            UnwritableError: The lock file cannot be made, or is a link or no file.
        """
        deadline = Deadline(self.timeout_ms)
        return Held(turn(self._place, deadline, store=self.path), lambda: self._take(deadline), self._free)

    @property
    def is_open(self) -> bool:
        """Whether the lock file was opened, and its folder was there."""
        return self._descriptor >= 0

    def close(self) -> None:
        """Give up the descriptor that is kept open between uses, when the lock is not held any more. It can be taken again afterwards."""
        self._is_closed = True
        if not self._is_held:
            self._give_up()

    def __del__(self, is_ending: Callable[[], bool] = sys.is_finalizing) -> None:
        if getattr(self, "_descriptor", -1) >= 0 and not is_ending():  # then the system closes it, and our modules may be gone
            self._give_up()

    def _wait(self, deadline: Deadline) -> bool:
        """Wait for the lock of the open file, in two steps: first for being the next in line; say whether it was had in time.

        Whoever waits looks every now and then, and would hardly ever find the lock free while another process takes it again and again:
        half a second has been seen among eight writers. So only one at a time waits for the lock itself, and looks often. This is for
        order only; what excludes others is the lock. Elsewhere than on Linux the two kinds of kernel lock get into each other's way.
        """
        descriptor = self._descriptor
        if not sys.platform.startswith("linux"):
            return wait_for_kernel(descriptor, deadline, path=self._place)
        if not _is_next(descriptor) and not _wait_for_being_next(descriptor, deadline):
            return False
        try:
            return has_kernel_lock(descriptor, path=self._place) or wait_for_kernel(descriptor, deadline, path=self._place)
        finally:
            with contextlib.suppress(OSError):  # see `_is_next`
                fcntl.lockf(descriptor, fcntl.LOCK_UN)

    def _give_up(self) -> None:
        if self._descriptor >= 0 and self._process == os.getpid():
            release(self._descriptor)
        self._descriptor = -1

    def _take(self, deadline: Deadline) -> None:
        """Get the kernel lock on the file that the path leads to now."""
        while True:
            if self._descriptor < 0 or self._process != os.getpid():
                self._descriptor, self._process = open_lock_file(self._place, os.O_RDWR | os.O_CREAT), os.getpid()
                self._file = os.fstat(self._descriptor)
            if not self._wait(deadline):
                raise StoreLockedError(self.path, f"session file locked (timeout {deadline.timeout_ms:.0f}ms) by another process")
            if self._is_in_place():
                self._is_held, self._is_closed = True, False
                return
            self._give_up()  # somebody removed the file: holding what it was excludes nobody

    def _is_in_place(self) -> bool:
        """Say what `leads_to` says, in half the time."""
        try:
            found = os.lstat(self._name)  # pathlib takes longer
        except FileNotFoundError:
            return False
        return found.st_ino == self._file.st_ino and found.st_dev == self._file.st_dev

    def _free(self, process: int) -> None:
        """Let the next process have it, if this is the one that holds it."""
        self._is_held = False
        if os.getpid() == process:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)
            if self._is_closed:
                self._give_up()


class Held:
    """A lock while it is held. A class, because a generator costs a hot path twice as much."""

    __slots__ = ("_free", "_process", "_take", "_turn")

    def __init__(self, turn: turn, take: Callable[[], None], free: Callable[[int], None]) -> None:
        """Note how it is had and freed."""
        self._turn = turn
        self._take = take
        self._free = free

    def __enter__(self) -> None:
        """Wait for the lock."""
        self._turn.__enter__()
        try:
            self._take()
            self._process = os.getpid()
        except BaseException:
            self._turn.__exit__(None, None, None)
            raise

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Free it."""
        try:
            self._free(self._process)
        finally:
            self._turn.__exit__(kind, error, trace)


def open_lock_file(path: Path, flags: int) -> int:
    """Open a lock file, never through a link, and note the descriptor so that forked processes close it.

    Raises:
        FileNotFoundError: There is none, and the flags do not ask for making it.
        FileExistsError: There is one, and the flags ask for a new one.
        UnwritableError: Any other reason.
    """
    try:
        descriptor = os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
    except FileNotFoundError as error:
        if flags & os.O_CREAT:
            raise UnwritableError(path, f"cannot be made: there is no folder {path.parent}") from error
        raise
    except FileExistsError:
        raise
    except OSError as error:
        reason = "is a link" if error.errno == errno.ELOOP else f"cannot be opened ({error.strerror})"
        raise UnwritableError(path, reason, advice="remove it, or mend its permissions: it is only a lock file") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise UnwritableError(path, "is not a regular file", advice="remove it: a lock file is to be in its place")
    _kept.add(descriptor)
    return descriptor


def release(descriptor: int) -> None:
    """Close a descriptor of `open_lock_file`, which frees the kernel lock it holds."""
    _kept.discard(descriptor)
    os.close(descriptor)


def wait_for_kernel(descriptor: int, deadline: Deadline, *, path: Path) -> bool:
    """Wait for the kernel lock of an open file; say whether it was had in time."""
    return wait_until(lambda: has_kernel_lock(descriptor, path=path), deadline)


def wait_until(is_had: Callable[[], bool], deadline: Deadline, *, pause_s: float = SHORT_PAUSE_S) -> bool:
    """Ask again and again, in longer and longer intervals; say whether the answer was yes in time.

    The kernel's own waiting cannot be given a time limit within a thread.
    """
    if is_had():
        return True
    start = time.monotonic()
    while (left_s := deadline.left_s()) > 0:
        waited_s = time.monotonic() - start
        time.sleep(min(max(pause_s, waited_s / 50), LONG_PAUSE_S, left_s))
        if is_had():
            return True
    return False


def _wait_for_being_next(descriptor: int, deadline: Deadline) -> bool:
    """Wait until `_is_next`; say whether that was in time.

    The pauses grow only when the holder is slow, after a tenth of a second. If they grew as in `wait_until`, who came last would look most
    often: with eight writers that is a tenth less written, and half as long again the worst wait.
    """
    start = time.monotonic()
    while (left_s := deadline.left_s()) > 0:
        waited_s = time.monotonic() - start
        time.sleep(min(max(MEDIUM_PAUSE_S, waited_s / 200), LONG_PAUSE_S, left_s))
        if _is_next(descriptor):
            return True
    return False


def _is_next(descriptor: int) -> bool:
    """Try to become the one who waits for the lock itself."""
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in (errno.EACCES, errno.EAGAIN)  # a file system without these locks has no order
    return True


def has_kernel_lock(descriptor: int, *, path: Path) -> bool:
    """Try to get the kernel lock of an open file; say whether it is ours now.

    Raises:
        UnwritableError: The file system has no such locks.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise UnwritableError(path, f"cannot be locked ({error.strerror})", advice="keep the store on a file system with locks") from error
    return True


def leads_to(path: Path, descriptor: int) -> bool:
    """Say whether a path leads to the file that is open, and not to another, or to none."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return False
    return os.path.samestat(found, os.fstat(descriptor))


def _close_in_child() -> None:
    """Close what was inherited: an open copy would keep the parent's locks held after the parent has died."""
    for descriptor in _kept:
        with contextlib.suppress(OSError):
            os.close(descriptor)
    _kept.clear()


os.register_at_fork(after_in_child=_close_in_child)
