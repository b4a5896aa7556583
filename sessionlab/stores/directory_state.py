"""`state.json` of the directory store: the version stamp by which caches know whether they still hold (C.14 to C.17, openclaw#51946).

The document is the format's own, as `JSON.stringify` writes it. Behind it we add one blank character, which no JSON parser minds, and by
which one byte tells readers in other processes two things more (`TRAILERS`): whether a change is going on or was left half noted by a
program that died, and whether every key in the store is trimmed and lower-cased, so that a session is found without a listing.
A file without that character was written by another program: then nothing is known, and a listing tells.

Why the file may be written in place. It is below 512 bytes and begins a block, so that a disk writes it whole or not at all; a new version
has as many digits as the old one, so that a reader who sees some digits old and some new still reads JSON, marked as being changed; a
version with one digit more comes by temporary file and rename. It need not be synced: what the version tells is for the caches of running
programs, and a power cut ends those. Entries never depend on it. Only that there are other spellings is synced, before there are.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, NamedTuple, TypeGuard

from sessionlab import codec
from sessionlab.errors import CorruptStoreError, UnsupportedSchemaError

STATE_NAME: Final = "state.json"
KIND: Final = "openclaw-session-store-directory"
LAYOUT_VERSION: Final = 1
MAX_BYTES: Final = 4096
"""A state file larger than this is none."""

TRAILERS: Final = {b"\n": (False, True), b" ": (True, True), b"\t": (False, False), b"\r": (True, False)}
"""Last byte -> (is being changed, every key is normalised)."""

_TRAILER_OF: Final = {meaning: byte for byte, meaning in TRAILERS.items()}
_TEXT: Final = b'{\n  "kind": "%b",\n  "layoutVersion": %d,\n  "version": %%d,\n  "updatedAt": %%d\n}' % (KIND.encode(), LAYOUT_VERSION)
_OWN: Final = re.compile(
    rb'\{\n  "kind": "openclaw-session-store-directory",\n  "layoutVersion": 1,\n'
    rb'  "version": ([1-9][0-9]{0,15}),\n  "updatedAt": ([0-9]{1,16})\n\}([\n \t\r])\Z'
)


class State(NamedTuple):
    """What a state file says.

    Attributes:
        version: How many changes the store has seen.
        updated_ms: When the last one was, by the machine's clock.
        is_changing: A change is going on, or its program died before it noted the end.
        is_normal: Every key in the store is trimmed and lower-cased.
        is_own: The file has our trailing character.
    """

    version: int
    updated_ms: int
    is_changing: bool
    is_normal: bool
    is_own: bool = True

    def text(self) -> bytes:
        """Return the state as a file."""
        return _TEXT % (self.version, self.updated_ms) + self.trailer()

    def trailer(self) -> bytes:
        """Return the one character behind the document."""
        return _TRAILER_OF[self.is_changing, self.is_normal]


def parse(raw: bytes, *, store: Path) -> State:
    """Read the state file of a store.

    Raises:
        CorruptStoreError: It is not what the format asks for.
        UnsupportedSchemaError: Its layout version is not 1.
    """
    own = _OWN.match(raw)
    if own is not None:
        return State(int(own[1]), int(own[2]), *TRAILERS[own[3]])
    path = store / STATE_NAME
    document = codec.decode_object(raw, path=path)
    if document.get("kind") != KIND:
        raise CorruptStoreError(path, f"is not the state of a session store (kind {str(document.get('kind'))[:40]!r})")
    layout_version = document.get("layoutVersion")
    if not _is_whole(layout_version):
        raise CorruptStoreError(path, "has no layoutVersion")
    if layout_version != LAYOUT_VERSION:
        raise UnsupportedSchemaError(path, found=int(layout_version), supported=str(LAYOUT_VERSION))
    version, updated_ms = document.get("version"), document.get("updatedAt")
    if not _is_whole(version) or not 1 <= version < 1 << 53:
        raise CorruptStoreError(path, "has no version that is a number from 1 on")
    if not isinstance(updated_ms, int | float) or isinstance(updated_ms, bool):
        raise CorruptStoreError(path, "has no updatedAt that is a number")
    return State(int(version), max(int(updated_ms), 0), is_changing=False, is_normal=False, is_own=False)


def _is_whole(value: object) -> TypeGuard[int | float]:
    return not isinstance(value, bool) and (isinstance(value, int) or (isinstance(value, float) and value.is_integer()))
