"""A directory store that was opened for reading: it answers from what is stored at that moment, and writes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn, Self

from sessionlab.errors import NoStoreError, UnwritableError
from sessionlab.stores.directory import DirectoryStore
from sessionlab.stores.directory_folder import Folder


class DirectoryReader(DirectoryStore):
    """A `sessions.d` for reading; every answer is about one version of it. `DirectorySnapshot` gives all of them about the same."""

    @classmethod
    def open(cls, path: Path, *, agent_id: str | None = None) -> Self:
        """Make sure that there is a store.

        Raises:
            NoStoreError: There is no such folder.
            CorruptStoreError: It is no active store.
            UnreadableError: The system does not let us read it.
        """
        folder = Folder.open(path)
        if folder is None:
            raise NoStoreError(path, "there is no such folder")
        with folder:
            folder.state()
        return cls(path, agent_id=agent_id)

    def close(self) -> None:
        """Be at the end: nothing more is answered."""
        super().close()
        self._access.is_shut = True

    def _locked(self) -> NoReturn:
        raise UnwritableError(self.path, "was opened for reading only", advice="open it for writing")
