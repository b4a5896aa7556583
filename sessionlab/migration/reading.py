"""What a store holds, session by session, as a migration sees it: every spelling of a key, and what cannot be read.

Streams. An entry is decoded strictly and its digest taken over the canonical form, so that equal digests mean equal contents in any store.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from sessionlab import codec, keys
from sessionlab import entry as entries
from sessionlab.entry import Entry, canonical_digest, normalise_legacy
from sessionlab.errors import CorruptStoreError, InvalidEntryError, InvalidJSONError, InvalidKeyError, NoStoreError, StoreError
from sessionlab.migration.json_stream import members
from sessionlab.stores.authority import promotion_of
from sessionlab.stores.base import fingerprint_of
from sessionlab.stores.directory import DirectoryStore
from sessionlab.stores.directory_spool import Spool
from sessionlab.stores.json_state import is_session
from sessionlab.stores.location import StoreLocation, open_at


class Read(NamedTuple):
    """One entry of a source.

    Attributes:
        spelling: Its key there.
        key: The key it is to have.
        entry: Under today's field names; `None` when it cannot be moved.
        data: That as compact JSON.
        digest: SHA-256 of the canonical entry that is to be stored, hex.
        source_digest: The same of the entry as it lies in the source; "" when it cannot be read.
        size: Bytes as it lies there.
        reason: Why it cannot be moved; "" when it can.
        line: Where it begins in a JSON file, 1-based.
    """

    spelling: str
    key: str
    entry: Entry | None
    data: bytes
    digest: str
    source_digest: str
    size: int
    reason: str = ""
    line: int | None = None

    @property
    def is_normalised(self) -> bool:
        """Whether moving it changes field names."""
        return self.entry is not None and self.digest != self.source_digest


def read_all(location: StoreLocation) -> Iterator[Read]:
    """Yield every entry of a store in its own order; one that cannot be read or stored, with the reason.

    Members of a JSON store that are no sessions (no object, a reserved name) are such entries, too: they would not arrive.

    Raises:
        StoreError: The store itself cannot be read.
    """
    for one in found_in(location):
        yield _read(one.spelling, one.raw, one.line, location.path) if one.error is None else _unreadable(one)


def sessions_in(location: StoreLocation) -> Iterator[tuple[str, Entry]]:
    """Yield (key, entry) of every session of a store as it lies there, in its order; a JSON store is not held in memory, either.

    Raises:
        StoreError: The store, or an entry, cannot be read.
    """
    if location.kind != "json":
        with open_at(location) as store:
            yield from store.items()
        return
    for member in members(location.path):
        if is_session(member.key, member.raw):
            yield member.key, codec.decode_entry(member.raw, path=location.path, key=member.key, line=member.line)


def fingerprint(location: StoreLocation) -> str:
    """Return the fingerprint of what a store holds, every spelling counted; "" when an entry cannot be read. As `StoreIdentity.sha256`.

    Raises:
        StoreError: The store itself cannot be read.
    """
    return fingerprint_of_pairs((one.spelling, one.source_digest) for one in read_all(location))


def fingerprint_of_pairs(pairs: Iterable[tuple[str, str]]) -> str:
    """Return the fingerprint of (key as spelled, digest in hex); "" when one has none."""
    known = list(pairs)
    return fingerprint_of((key, bytes.fromhex(digest)) for key, digest in known).sha256 if all(digest for _, digest in known) else ""


def raw_entries(location: StoreLocation) -> Iterator[tuple[str, bytes, int | None]]:
    """Yield (key as spelled, bytes as they lie there, 1-based line in a JSON file) of every entry, in the order of `read_all`.

    Raises:
        StoreError: The store itself cannot be read.
    """
    for one in found_in(location):
        yield one.spelling, one.raw if one.error is None else b"", one.line


class Found(NamedTuple):
    """One entry of a source before it is decoded; `error` is of one that lies there in a form that is none."""

    spelling: str
    raw: bytes
    line: int | None = None
    error: CorruptStoreError | None = None


def found_in(location: StoreLocation) -> Iterator[Found]:
    """Yield every entry of a store before it is decoded, in the order of `read_all`; one that is damaged hides no other.

    Raises:
        StoreError: The store itself cannot be read.
    """
    match location.kind:
        case "json":
            yield from (Found(*member) for member in members(location.path))
        case "directory":
            yield from _in_former_order(location)
        case "sqlite":
            from sessionlab.stores.sqlite import SQLiteStore  # sqlite3 is only loaded for a SQLite store

            with SQLiteStore.open_snapshot(location.path, agent_id=location.agent_id) as database:
                for key, found in database.examined_items():
                    yield Found(key, b"", error=found) if isinstance(found, CorruptStoreError) else Found(key, found)
        case "openclaw":
            with open_at(location) as store:
                yield from (Found(key, raw) for key, raw in store.raw_items())


def _in_former_order(location: StoreLocation) -> Iterator[Found]:
    """Yield what a directory store holds: in the order that its sessions had before they were moved there, later ones last, by key."""
    if not os.path.lexists(location.path):
        raise NoStoreError(location.path, "there is no such folder")
    record = promotion_of(location)
    rank = {key: place for place, key in enumerate(record.order)} if record is not None else {}
    with Spool() as spool:
        kept = [
            (key, spool.put(memoryview(raw)), error)
            for key, raw, error in DirectoryStore(location.path, agent_id=location.agent_id).examined_items()
        ]
        for key, place, error in sorted(kept, key=lambda one: (rank.get(one[0], len(rank)), one[0])):
            yield Found(key, spool.take(place), error=error)


def _unreadable(one: Found) -> Read:
    error, words = one.error, ""
    if error is not None:
        line = f"line {error.line}: " if isinstance(error, InvalidJSONError) and error.line is not None else ""
        place = f"{error.path.name}: " if error.path.suffix == ".json" else ""  # of a directory store, the session's own file
        words = f"{place}{line}{error.reason}"
    return Read(one.spelling, keys.normalise(one.spelling), None, b"", "", "", len(one.raw), words)


def _read(spelling: str, raw: bytes, line: int | None, path: Path) -> Read:
    key = keys.normalise(spelling)
    try:
        if not is_session(spelling, raw):
            kind = "a name that JavaScript reserves" if key in keys.BLOCKED_KEYS else "no object"
            raise CorruptStoreError(path, f"the member {spelling[:80]!r} is {kind}")
        found, compact = codec.decode_and_compact(raw, path=path, key=spelling, line=line)
        source = canonical_digest(found).hex()
        entry = normalise_legacy(found)
        data = entries.encode(keys.checked(key), entry, known=compact if entry == found else b"")
    except (StoreError, InvalidKeyError, InvalidEntryError) as error:
        reason = error.reason
        if isinstance(error, InvalidJSONError) and error.line is not None:
            reason = f"line {error.line}: {reason}"
        return Read(spelling, key, None, b"", "", "", len(raw), reason, line)
    digest = source if entry == found else canonical_digest(entry).hex()
    return Read(spelling, key, entry, data, digest, source, len(raw), "", line)
