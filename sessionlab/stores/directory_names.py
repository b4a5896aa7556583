"""File names of the directory store: session key -> name and back (C.1 to C.5, openclaw#51946). Text only, no files.

A key of up to 120 bytes is in its file's name, as unpadded base64url; a longer one is there as its SHA-256 and is read from the document.
No text begins with the bytes that base64 writes as `hash-`, so the two forms never meet. base64 tells capitals apart: the store needs a
file system that does so, too.
"""

from __future__ import annotations

import base64
import binascii
import functools
from typing import Final

from sessionlab import keys

PREFIX: Final = "session-"
HASH_PREFIX: Final = "session-hash-"
SUFFIX: Final = ".json"
MAX_INLINE_BYTES: Final = 120
"""Longest key, in UTF-8 bytes, that a file name carries itself."""

_LONGEST_BLOCKED: Final = 64
_HASHED_LENGTH: Final = len(HASH_PREFIX) + 43 + len(SUFFIX)


@functools.lru_cache(1024)
def encode(key: str) -> str:
    """Return the file name of a key, which is taken as it is: trimmed and lower-cased is for the caller to make it.

    Raises:
        UnicodeEncodeError: The key holds half a surrogate pair, which no file can carry.
    """
    data = key.encode("utf-8")
    if len(data) <= MAX_INLINE_BYTES:
        return f"{PREFIX}{_base64url(data)}{SUFFIX}"
    import hashlib  # loads OpenSSL, for the rare long key only

    return f"{HASH_PREFIX}{_base64url(hashlib.sha256(data).digest())}{SUFFIX}"


def decode(name: str) -> str | None:
    """Return the key that a name carries; `None` for a hashed name, and for every name that `encode` does not give to a key."""
    if not is_entry(name) or name.startswith(HASH_PREFIX):
        return None
    payload = name[len(PREFIX) : -len(SUFFIX)]
    try:
        key = base64.b64decode(payload + "=" * (-len(payload) % 4), altchars=b"-_", validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        return None
    return key if key and encode(key) == name else None


def is_entry(name: str) -> bool:
    """Say whether a file of this name is meant to hold a session, whether or not it is one that `encode` gives."""
    return name.startswith(PREFIX) and name.endswith(SUFFIX)


def is_hashed(name: str) -> bool:
    """Say whether the name has the form of those of long keys, whose key is in the document only."""
    return name.startswith(HASH_PREFIX) and len(name) == _HASHED_LENGTH and name.endswith(SUFFIX)


def is_blocked(name: str) -> bool:
    """Say whether the name carries a key that JavaScript reserves, in any spelling: such a file is never loaded (C.10)."""
    if len(name) > _LONGEST_BLOCKED:
        return False
    try:
        data = binascii.a2b_base64(name[len(PREFIX) : -len(SUFFIX)].replace("-", "+").replace("_", "/") + "==")
    except ValueError:
        return False
    # Looking at every name of a large store, this is three times as fast as decoding it.
    return keys.normalise(data.decode("utf-8", "replace")) in keys.BLOCKED_KEYS


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
