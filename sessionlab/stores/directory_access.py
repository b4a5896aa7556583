"""The way into a directory store: its folder, opened for one operation, and its lock."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from sessionlab.errors import UnreadableError, UnwritableError
from sessionlab.storage.kernel_lock import KernelLock
from sessionlab.stores.base import closed
from sessionlab.stores.directory_change import LOCK_NAME, Change
from sessionlab.stores.directory_folder import Folder, Journal
from sessionlab.stores.directory_founding import founding


@dataclass(slots=True)
class Held:
    """The lock, while a thread of this process has it.

    Attributes:
        thread: Who has it.
        folder: The store; `None` when there is none yet.
        change: Its one change, in which nothing has happened yet; `None` when there is no store.
        sound: Names of files that were read strictly under this lock.
    """

    thread: int
    folder: Folder | None
    change: Change | None
    sound: set[str] = field(default_factory=set)


class Access:
    """How one store object comes to its folder. One thread at a time has the lock; any number read."""

    def __init__(self, path: Path, *, timeout_ms: float) -> None:
        """Name a store; nothing is opened yet. A writer waits so long for the lock."""
        self.path = path
        self.timeout_ms = timeout_ms
        self._lock = KernelLock(path / LOCK_NAME, timeout_ms)
        self._held: Held | None = None
        self.guard: Callable[[], None] | None = None
        """Asked under the lock, and where there is no folder: raises when the sessions have moved."""
        self.is_shut = False
        """Whether nothing is read any more."""

    def close(self) -> None:
        """Let go of the lock file; it is opened again when it is needed."""
        self._lock.close()

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock of the store that the path leads to, what a program that died left there finished; or the right to found one."""
        while True:
            with contextlib.ExitStack() as stack:
                folder = Folder.open(self.path)
                if folder is None:
                    stack.enter_context(founding(self.path, timeout_ms=self.timeout_ms))
                    if os.path.lexists(self.path):
                        continue
                else:
                    stack.enter_context(folder)
                    folder.refuse_unsafe()
                    try:
                        stack.enter_context(self._lock.held())
                    except UnwritableError:
                        if folder.is_current():
                            raise
                        continue
                    if not folder.is_current():
                        continue  # moved away, or replaced, while we waited
                self._refuse_moved()
                change = None if folder is None else stack.enter_context(Change(folder))
                self._held = Held(threading.get_ident(), folder, change)
                try:
                    yield
                finally:
                    self._held = None
                return

    def mine(self) -> Held | None:
        """Return the lock when it is this thread that has it."""
        held = self._held
        return held if held is not None and held.thread == threading.get_ident() else None

    def opened(self) -> AbstractContextManager[Folder | None]:
        """Give the folder as it is now; the one that is locked, to the thread that holds the lock. `None` when there is none."""
        held = self.mine()
        if held is not None and held.folder is not None:
            return contextlib.nullcontext(held.folder)
        if self.is_shut:
            raise closed(self.path)
        folder = Folder.open(self.path)
        if folder is None:
            self._refuse_moved()
            return contextlib.nullcontext()
        return folder

    @contextlib.contextmanager
    def reading_lock(self) -> Iterator[None]:
        """Keep writers away while the store is read, unless this thread does that already. Nothing is made for it."""
        if self.mine() is not None:
            yield
            return
        if not (self.path / LOCK_NAME).exists():
            self._refuse_moved()
            raise UnreadableError(self.path, "is changed all the time by a program that is not sessionlab", advice="stop it, or try again")
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(self._lock.held())
            except UnwritableError:
                self._refuse_moved()  # the lock's file went with the folder
                raise
            yield

    def _refuse_moved(self) -> None:
        if self.guard is not None:
            self.guard()

    def is_normal(self, folder: Folder) -> bool:
        """Say whether every key in the store is trimmed and lower-cased."""
        held = self.mine()
        if held is not None and held.change is not None and held.folder is folder:
            return held.change.state.is_normal
        return folder.state().is_normal

    def journal(self, folder: Folder) -> AbstractContextManager[Journal | None]:
        """Give what `Folder.journal` gives; under the lock there is none, because taking it has finished what was left."""
        held = self.mine()
        return contextlib.nullcontext() if held is not None and held.folder is folder else folder.journal()
