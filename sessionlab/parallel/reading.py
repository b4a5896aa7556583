"""Looking into a shared memory without touching it: a private copy is asked, and goes away."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from sessionlab.errors import NoStoreError
from sessionlab.parallel.search import Searching
from sessionlab.parallel.shared_memory import SharedMemory, wall_clock_ms
from sessionlab.stores.sqlite_opening import private_copy


class _Copy(SharedMemory):
    """A private copy. What is wrong with it is wrong with the original, and that is what can be restored: its errors name that."""

    def __init__(self, file: Path, *, original: Path, clock: Callable[[], int]) -> None:
        super().__init__(file, clock=clock)
        self.path = self._database.path = original
        self._searching = Searching(self._database, may_write=False)  # an index made here would be gone after one search


@contextlib.contextmanager
def private_copy_of(path: Path, *, clock: Callable[[], int] = wall_clock_ms) -> Iterator[SharedMemory]:
    """Give a private copy of a shared memory, of one committed state; what is written to it is gone afterwards.

    Its `path` is the original's. This process may have that open: the copy is then made through SQLite, and the locks on the original stay.

    Raises:
        NoStoreError: There is none.
        CorruptStoreError: It is none, or damaged.
        UnsupportedSchemaError: It is of a newer version.
        UnreadableError: The system refuses.
    """
    try:
        copy = private_copy(path)
    except NoStoreError as error:
        raise NoStoreError(path, "there is no shared memory", advice="name the file that it is in, or the state folder") from error
    with copy:
        (place,) = (row[2] for row in copy.connection.execute("PRAGMA database_list") if row[1] == "main")
        memory = _Copy(Path(place), original=path, clock=clock)
        try:
            memory.initialize(create=False)
            yield memory
        finally:
            memory.close()
