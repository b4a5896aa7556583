"""Listing a directory store: its rows are kept in memory, and only files that are new since the last time are read (C.16)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

from sessionlab.entry import SessionSummary
from sessionlab.errors import CorruptStoreError
from sessionlab.stores import directory_documents as documents
from sessionlab.stores.base import newest_first
from sessionlab.stores.directory_folder import Folder, Stamp
from sessionlab.stores.directory_reading import Seen, read_state


class Listing(NamedTuple):
    """What a listing came to: of which state, what each file gave, and the rows in order, the latest update first."""

    stamp: Stamp
    files: Mapping[str, Seen[SessionSummary | CorruptStoreError]]
    rows: tuple[SessionSummary, ...]
    bad: tuple[CorruptStoreError, ...]


class Listings:
    """The last listing of one store object, from which the next one is made. It takes about 1 kB of memory for each session."""

    def __init__(self, entries: Path) -> None:
        """Begin without one; `entries` is the folder of the sessions' files, for messages."""
        self._entries = entries
        self._last: Listing | None = None

    def now(self, folder: Folder, *, lock: Callable[[], AbstractContextManager[None]] | None) -> Listing:
        """Return one consistent state of the store; `lock` as of `directory_reading.read_state`.

        Of a file that holds no session there is the error in place of a row.
        """
        last = self._last
        if last is not None and last.stamp.is_settled and folder.stamp() == last.stamp:
            return last
        state = read_state(folder, self._row, known=last.files if last is not None else {}, lock=lock)
        values = [seen.value for seen in state.files.values()]
        bad = tuple(value for value in values if isinstance(value, CorruptStoreError))
        rows = tuple(newest_first(value for value in values if isinstance(value, SessionSummary)))
        listing = self._last = Listing(state.stamp, state.files, rows, bad)
        return listing

    def clear(self) -> None:
        """Forget it."""
        self._last = None

    def _row(self, name: str, data: bytes) -> SessionSummary | CorruptStoreError:
        try:
            return documents.summary(name, data, path=self._entries / name)
        except CorruptStoreError as error:
            return error
