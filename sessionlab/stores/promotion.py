"""The record that a store carries of having taken another one's place: when, and what exactly was left behind.

A folder may hold more than one store for good reasons: a migration leaves the old file where it was. As long as that file is what the
record says, everybody knows which store counts. When it has changed, somebody went on writing it: nothing may be chosen in silence then.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from sessionlab.errors import CorruptStoreError, UnreadableError

if TYPE_CHECKING:
    from sessionlab.stores.base import Fingerprint, SessionStore

RECORD_NAME: Final = "promotion.json"
"""The record's name where it is a file of its own."""


class LeftBehind(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The identity of a store at the moment when another took its place.

    Attributes:
        kind: As in `StoreLocation.kind`.
        path: Where it lies, relative to the folder of the store that took its place: both may be moved together.
        sessions: How many it held.
        size_bytes: The size of its file.
        mtime_ns: When that was written.
        sha256: Its content's fingerprint, which neither a copy nor another indentation changes.
    """

    kind: str
    path: str
    sessions: int
    size_bytes: int
    mtime_ns: int
    sha256: str


class Promotion(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """The record.

    Attributes:
        promoted_at: Since when the store counts, epoch ms.
        left: Which stores it left behind.
        order: The keys in the order that they had there, for a store that has no order of its own: a way back restores it.
    """

    promoted_at: int
    left: tuple[LeftBehind, ...] = ()
    order: tuple[str, ...] = ()

    def knows(self, store: SessionStore, *, folder: Path) -> bool:
        """Say whether an open store is one that was left behind, and holds now what it held then.

        Args:
            store: What lies beside the promoted store.
            folder: The folder that the promoted store lies in.

        Raises:
            StoreError: It cannot be read.
        """
        path = _relative(store.path, folder)
        return any(one.path == path and one.kind == store.kind and _holds_the_same(store, one) for one in self.left)


def left_behind(store: SessionStore, *, folder: Path) -> LeftBehind:
    """Return the identity of an open store, for the record of the one that takes its place in `folder`.

    Raises:
        StoreError: It cannot be read.
    """
    return identity(store.kind, store.path, store.fingerprint(), folder=folder, found=_stat(store.path))


def identity(kind: str, path: Path, fingerprint: Fingerprint, *, folder: Path, found: os.stat_result) -> LeftBehind:
    """Return the identity of a store by what is known of it.

    Args:
        kind: Its kind.
        path: Where it lies, or will.
        fingerprint: Of its contents.
        folder: The folder of the store whose record it is for.
        found: What the system says about its file.
    """
    return LeftBehind(
        kind=kind,
        path=_relative(path, folder),
        sessions=fingerprint.count,
        size_bytes=found.st_size,
        mtime_ns=found.st_mtime_ns,
        sha256=fingerprint.sha256,
    )


def encode(promotion: Promotion) -> bytes:
    """Return the record as it is stored: JSON."""
    return msgspec.json.format(msgspec.json.encode(promotion), indent=2)


def decode(data: bytes, *, path: Path) -> Promotion:
    """Read a record.

    Raises:
        CorruptStoreError: It is none; naming `path`.
    """
    try:
        return msgspec.json.decode(data, type=Promotion)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CorruptStoreError(path, f"the record of its promotion cannot be read ({error})", advice="restore it from a backup") from error


def _holds_the_same(store: SessionStore, then: LeftBehind) -> bool:
    if store.kind == "json":  # only of a plain file do size and time tell: a database's log may hold more
        found = _stat(store.path)
        if (found.st_size, found.st_mtime_ns) == (then.size_bytes, then.mtime_ns):
            return True
    return store.fingerprint().sha256 == then.sha256


def _stat(path: Path) -> os.stat_result:
    try:
        return path.stat()
    except OSError as error:
        raise UnreadableError(path, f"cannot be looked at ({error.strerror})") from error


def _relative(path: Path, folder: Path) -> str:
    return Path(os.path.relpath(path.absolute(), folder.absolute())).as_posix()
