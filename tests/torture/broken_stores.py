"""Stores with one mistake each, of the kinds that are made: the torture has to find every one of them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping

from sessionlab import codec
from tests.torture.plain_store import PlainStore


def joined(content: Mapping[str, bytes]) -> bytes:
    """Return the store as one JSON document."""
    return b"{" + b",".join(codec.encode_compact(key) + b":" + raw for key, raw in content.items()) + b"}"


class InPlaceStore(PlainStore):
    """Writes into the file itself: whoever is killed in the middle leaves half a store."""

    def _replace(self, content: Mapping[str, bytes]) -> None:
        self.path.write_bytes(joined(content))


class LitteringStore(PlainStore):
    """Never looks for what one before it left behind."""

    def _tidy(self) -> None:
        pass


class CarelessStore(PlainStore):
    """Cleans up by writing the store anew, into the file itself."""

    def _tidy(self) -> None:
        data = self._read()
        if data is not None and any(self.path.parent.glob("*.tmp")):
            self.path.write_bytes(data)
        super()._tidy()


class TrustingStore(PlainStore):
    """Takes a failed sync for a done one."""

    def _sync(self, file: int) -> None:
        with contextlib.suppress(OSError):
            os.fsync(file)


class HastyStore(PlainStore):
    """Says that it is done, and writes when it is closed."""

    _waiting: Mapping[str, bytes] | None = None

    def _replace(self, content: Mapping[str, bytes]) -> None:
        self._waiting = content

    def _read(self) -> bytes | None:
        return super()._read() if self._waiting is None else joined(self._waiting)

    def close(self) -> None:
        if self._waiting is not None:
            super()._replace(self._waiting)
            self._waiting = None


class UnlockedStore(PlainStore):
    """Locks nothing."""

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        yield


class StaleStore(PlainStore):
    """Remembers what it has read, whatever others write meanwhile."""

    _remembered: bytes | None = None
    _is_writing = False

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        with super()._locked():
            self._is_writing = True
            try:
                yield
            finally:
                self._is_writing = False

    def _read(self) -> bytes | None:
        if self._is_writing or self._remembered is None:
            self._remembered = super()._read()
        return self._remembered


class EmptyStore(PlainStore):
    """Takes a store that cannot be read for an empty one."""

    def _read(self) -> bytes | None:
        try:
            return super()._read()
        except Exception:  # noqa: BLE001 - that is the mistake
            return None
