"""Walking through every entry of one state of a directory store, without decoding them or holding them all in memory."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

from sessionlab import keys
from sessionlab.errors import CorruptStoreError
from sessionlab.stores import directory_documents as documents
from sessionlab.stores import directory_names as names
from sessionlab.stores.directory_folder import ENTRIES, Folder
from sessionlab.stores.directory_reading import list_names, read_state
from sessionlab.stores.directory_spool import Spool

Lock = Callable[[], AbstractContextManager[None]] | None
"""As of `directory_reading.read_state`."""


def spooled(folder: Folder, spool: Spool, *, lock: Lock) -> dict[str, tuple[int, int]]:
    """Put the bytes of every entry into a spool; return key -> place in it.

    Raises:
        CorruptStoreError: At the first file that holds no session.
    """

    def keep(name: str, data: bytes) -> tuple[str, tuple[int, int]]:
        key, raw = documents.split(name, data, path=folder.path / ENTRIES / name)
        return key, spool.put(memoryview(raw))

    return dict(seen.value for seen in read_state(folder, keep, known={}, lock=lock).files.values())


def other_spellings(folder: Folder, *, lock: Lock) -> dict[str, tuple[str, ...]]:
    """Return normalised key -> its other spellings in a store. Reads every name, and the files whose names do not tell."""
    found: dict[str, tuple[str, ...]] = {}
    with folder.journal() as journal:
        for name in sorted(list_names(folder, lock=lock)):
            key = names.decode(name)
            if key is None:
                read = folder.read(name, journal)
                with contextlib.suppress(CorruptStoreError):  # no spelling of anything; whoever reads it says so
                    key = documents.split(name, read[0], path=folder.path / ENTRIES / name)[0] if read is not None else None
            if key is not None and key != keys.normalise(key):
                found[keys.normalise(key)] = (*found.get(keys.normalise(key), ()), key)
    return found


def examined(folder: Folder, *, lock: Lock) -> Iterator[tuple[str, bytes, CorruptStoreError | None]]:
    """Yield (key, the entry's JSON bytes as stored, None) of one state of a store, in any order.

    Of a file that holds no session: the key that its name stands for, or the name; all that is in it; and what is wrong.
    """
    with Spool() as spool:
        state = read_state(folder, lambda _name, data: spool.put(memoryview(data)), known={}, lock=lock)
        for name, seen in state.files.items():
            data = spool.take(seen.value)
            try:
                key, raw = documents.split(name, data, path=folder.path / ENTRIES / name)
            except CorruptStoreError as error:
                yield names.decode(name) or name, data, error
            else:
                yield key, bytes(raw), None
