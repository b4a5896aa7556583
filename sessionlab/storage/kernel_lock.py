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
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Final

from sessionlab.errors import StoreLockedError, UnwritableError
from sessionlab.storage.files import not_made
from sessionlab.storage.turns import Deadline, turn

SHORT_PAUSE_S: Final = 0.0001
"""Between the first two looks of somebody who waits; the pauses grow with the waiting."""
LONG_PAUSE_S: Final = 0.005
"""Between two looks at a lock that stays held for long."""
_TURN_S: Final = 0.012
"""How long a process may take a lock again before those who wait for it."""
_FIRST_PAUSE_S: Final = 0.001
"""Between two looks of the first in line. Looking more often takes time from the holder, and cuts turns short."""
_LINE_PAUSE_S: Final = 0.004
"""Between two looks of the others in line."""
_PLACES: Final = 64
"""In line. When all are taken, who comes later waits for the last one."""
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
        self._is_closed = False
        self._right = [True]
        """Popped by who uses the descriptor: one at a time. A lock would stay locked in a process that is forked off."""
        self._turn_end_s = 0.0

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
        try:
            self._right.pop()
        except IndexError:
            return  # whoever holds the lock gives it up then
        try:
            self._give_up()
        finally:
            self._right[:] = [True]

    def __del__(self, is_ending: Callable[[], bool] = sys.is_finalizing) -> None:
        if getattr(self, "_descriptor", -1) >= 0 and not is_ending():  # then the system closes it, and our modules may be gone
            self._give_up()

    def _wait(self, deadline: Deadline) -> bool:
        """Wait for the lock of the open file; say whether it was had in time.

        Processes wait in a line, first come, first served, which is kept by locks on single bytes of the file: who has byte n waits for
        byte n - 1, and who has byte 0 for the lock itself. Who has had it so may take it again past the line until its turn is over: when
        every write went to another process, each would wait for a process to wake up, and read anew what that one changed. Without a
        line, who waits would hardly ever find it free while others take it again and again.

        All this is for order only; what excludes others is the lock. On other systems than Linux the two kinds get into each other's way.
        """
        descriptor = self._descriptor
        if not sys.platform.startswith("linux"):
            return wait_for_kernel(descriptor, deadline, path=self._place)
        start_s = time.monotonic()
        if start_s < self._turn_end_s and has_kernel_lock(descriptor, path=self._place):
            return True
        self._turn_end_s = 0.0
        try:
            if not _takes(descriptor, 0, _PLACES) and not _wait_in_line(descriptor, deadline):
                return False
            look = partial(has_kernel_lock, descriptor, path=self._place)
            if not look():
                _leaves(descriptor, 1, _PLACES - 1)
                if not wait_until(look, deadline, since_s=start_s, longest_s=_FIRST_PAUSE_S):
                    return False
        finally:
            _leaves(descriptor, 0, _PLACES)
        self._turn_end_s = time.monotonic() + _TURN_S
        return True

    def _give_up(self) -> None:
        if self._descriptor >= 0 and self._process == os.getpid():
            release(self._descriptor)
        self._descriptor = -1

    def _take(self, deadline: Deadline) -> None:
        """Get the kernel lock on the file that the path leads to now."""
        try:
            self._reserve()
            self._take_file(deadline)
        except BaseException:
            self._unlock()  # whoever is interrupted may have it already, and then nobody would free it
            raise

    def _unlock(self) -> None:
        """Free the kernel lock, had or not, and let others use the descriptor. Twice does no harm."""
        try:
            if self._descriptor >= 0 and self._process == os.getpid():
                fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        finally:
            self._right[:] = [True]

    def _reserve(self) -> None:
        """Become the only one who uses the descriptor. It is this thread's turn: nobody else does, but for a moment who closes it."""
        if self._process != os.getpid():
            self._right = [True]
        while True:
            try:
                self._right.pop()
            except IndexError:
                time.sleep(SHORT_PAUSE_S)
            else:
                return

    def _take_file(self, deadline: Deadline) -> None:
        while True:
            if self._descriptor < 0 or self._process != os.getpid():
                self._descriptor, self._process = open_lock_file(self._place, os.O_RDWR | os.O_CREAT), os.getpid()
                self._file = os.fstat(self._descriptor)
            if not self._wait(deadline):
                raise StoreLockedError(self.path, f"session file locked (timeout {deadline.timeout_ms:.0f}ms) by another process")
            if self._is_in_place():
                self._is_closed = False
                return
            self._give_up()  # somebody removed the file: holding what it was excludes nobody

    def _is_in_place(self) -> bool:
        """Say what `leads_to` says, in half the time."""
        try:
            found = os.lstat(self._name)  # pathlib takes longer
        except (FileNotFoundError, NotADirectoryError):
            return False
        return found.st_ino == self._file.st_ino and found.st_dev == self._file.st_dev

    def _free(self, process: int) -> None:
        """Let the next process have it, if this is the one that holds it."""
        if os.getpid() != process:
            return
        try:
            if self._is_closed:
                self._give_up()
        finally:
            self._unlock()


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
        self._process = os.getpid()
        self._turn.__enter__()
        try:
            self._take()
        except BaseException:
            self._turn.__exit__(None, None, None)
            raise

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Free it."""
        try:
            self._free(self._process)
        except BaseException:
            self._free(self._process)  # whoever is interrupted here must not keep it for ever
            raise
        finally:
            self._turn.__exit__(kind, error, trace)


def open_lock_file(path: Path, flags: int) -> int:
    """Open a lock file, never through a link, and note the descriptor so that forked processes close it.

    Raises:
        FileNotFoundError: There is none, and the flags do not ask for making it.
        FileExistsError: There is one, and the flags ask for a new one.
        UnwritableError: Any other reason; where a new file may not be made, it names the folder.
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
        if flags & os.O_CREAT and not os.path.lexists(path):
            raise not_made(path, error) from error
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
    look = partial(has_kernel_lock, descriptor, path=path)
    return look() or wait_until(look, deadline, since_s=time.monotonic(), longest_s=LONG_PAUSE_S)


def wait_until(is_had: Callable[[], bool], deadline: Deadline, *, since_s: float, longest_s: float) -> bool:
    """Ask again and again, after pauses that grow with the waiting; say whether the answer was yes in time.

    The kernel's own waiting cannot be given a time limit within a thread.

    The waiting began at `since_s` of the monotonic clock; no pause is longer than `longest_s`.
    """
    while (left_s := deadline.left_s()) > 0:
        waited_s = time.monotonic() - since_s
        time.sleep(min(max(SHORT_PAUSE_S, waited_s), longest_s, left_s))
        if is_had():
            return True
    return False


def _wait_in_line(descriptor: int, deadline: Deadline) -> bool:
    """Take the last place in line, and wait until it is the first; say whether that was in time."""
    place = _PLACES

    def comes_up() -> bool:
        nonlocal place
        while place > 0 and _takes(descriptor, place - 1, 1):
            _leaves(descriptor, place, 1)
            place -= 1
        return place == 0

    return comes_up() or wait_until(comes_up, deadline, since_s=time.monotonic(), longest_s=_LINE_PAUSE_S)


def _takes(descriptor: int, place: int, count: int) -> bool:
    """Try to take places in line."""
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, count, place)
    except OSError as error:
        return error.errno not in (errno.EACCES, errno.EAGAIN)  # a file system without these locks has no order
    return True


def _leaves(descriptor: int, place: int, count: int) -> None:
    """Leave places in line, if they were taken."""
    with contextlib.suppress(OSError):  # see `_takes`
        fcntl.lockf(descriptor, fcntl.LOCK_UN, count, place)


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
