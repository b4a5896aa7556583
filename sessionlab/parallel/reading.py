"""Looking into a shared memory without touching it: a private copy is asked, and goes away."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from sessionlab.errors import CorruptStoreError, NoStoreError, UnsupportedSchemaError
from sessionlab.parallel.shared_memory import SharedMemory, wall_clock_ms
from sessionlab.stores.sqlite_opening import private_copy


@contextlib.contextmanager
def private_copy_of(path: Path, *, clock: Callable[[], int] = wall_clock_ms) -> Iterator[SharedMemory]:
    """Give a private copy of a shared memory, of one committed state; what is written to it is gone afterwards.

    Raises:
        NoStoreError: There is none.
        CorruptStoreError: It is none, or damaged.
        UnsupportedSchemaError: It is of a newer version.
        UnreadableError: The system refuses.
    """
    try:
        copy = private_copy(path)
    except NoStoreError as error:
        raise NoStoreError(path, "there is no shared memory", advice="name its file with --db, or the state folder") from error
    with copy:
        (place,) = (row[2] for row in copy.connection.execute("PRAGMA database_list") if row[1] == "main")
        memory = SharedMemory(Path(place), clock=clock)
        try:
            memory.initialize(create=False)
        except UnsupportedSchemaError as error:
            raise UnsupportedSchemaError(path, found=error.found, supported=error.supported) from error
        except CorruptStoreError as error:
            raise CorruptStoreError(path, error.reason, advice=error.advice) from error
        try:
            yield memory
        finally:
            memory.close()
