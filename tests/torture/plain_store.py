"""The simplest store that could keep every promise: one JSON file, a kernel lock beside it, replaced as a whole. It proves the tests."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

from sessionlab import codec
from sessionlab.errors import CorruptStoreError, StoreLockedError, UncertainWriteError, UnwritableError
from sessionlab.stores.memory import MemoryStore
from sessionlab.stores.snapshot import Snapshot


class PlainStore(MemoryStore):
    """`MemoryStore` whose content lies in a file; every operation reads the whole of it."""

    kind = "plain"

    def __init__(self, path: Path, *, timeout_ms: int = 30_000) -> None:
        """Open the store at a path, which need not exist."""
        super().__init__()
        self.path = path
        self._timeout_ms = timeout_ms

    @property
    def _content(self) -> Mapping[str, bytes]:
        data = self._read()
        if data is None:
            return {}
        members = {key: bytes(raw) for key, raw in codec.split_members(data, path=self.path).items()}
        for key, raw in members.items():
            self._decode(key, raw)
        return members

    @_content.setter
    def _content(self, content: Mapping[str, bytes]) -> None:
        if hasattr(self, "_timeout_ms"):  # not while the base class makes an empty one
            self._replace(content)

    def _read(self) -> bytes | None:
        try:
            return self.path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise CorruptStoreError(self.path, f"is no file that can be read ({error.strerror})") from error

    def _replace(self, content: Mapping[str, bytes]) -> None:
        if self.path.is_symlink():
            raise UnwritableError(self.path, "is a link")
        data = b"{" + b",".join(codec.encode_compact(key) + b":" + raw for key, raw in content.items()) + b"}"
        staged = self.path.with_name(f".{self.path.name}.{uuid.uuid4()}.tmp")
        with self._refusals():
            file = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            try:
                os.fchmod(file, 0o600)
                place = 0
                while place < len(data):
                    place += os.write(file, data[place:])
                self._sync(file)
            finally:
                os.close(file)
            staged.rename(self.path)
        try:
            folder = os.open(self.path.parent, os.O_RDONLY)
            try:
                self._sync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise UncertainWriteError(self.path, "the folder could not be synced") from error

    def _sync(self, file: int) -> None:
        os.fsync(file)

    def _tidy(self) -> None:
        """Remove what one that was killed has left behind."""
        for staged in self.path.parent.glob(f".{self.path.name}.*.tmp"):
            staged.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _refusals(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            with contextlib.suppress(OSError):
                self._tidy()
            raise UnwritableError(self.path, f"cannot be written ({error.strerror})") from error

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        deadline = time.monotonic() + self._timeout_ms / 1_000
        with self._refusals():
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            file = os.open(f"{self.path}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except OSError as error:
                    if time.monotonic() >= deadline:
                        raise StoreLockedError(self.path, "is locked") from error
                    time.sleep(0.001)
            with self._refusals():
                self._tidy()
            yield
        finally:
            os.close(file)

    def _load(self) -> Snapshot:
        content = self._content
        return Snapshot(content, decode=self._decode, origin=(self.path, content))

    def _state(self) -> object:
        return self.path, self._content

    def _still_holds(self, snapshot: Snapshot) -> bool:
        return snapshot.origin == self._state()
