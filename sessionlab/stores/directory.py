"""The directory store `sessions.d`: one file per session, so that an update costs the same whatever the store's size (openclaw#51946).

Names: `directory_names`. Stamp: `directory_state`. One file: `directory_documents`. Looking in: `directory_folder`, `directory_reading`,
`directory_listing`. Writing: `directory_change`, `directory_founding`. Here they are put together to the store's contract.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

import msgspec

from sessionlab import codec, keys, layout
from sessionlab.entry import Entry, SessionSummary, canonical_digest, merge, summary_of
from sessionlab.errors import CorruptStoreError, UnsupportedSchemaError, UnwritableError
from sessionlab.storage.files import remove_leftovers, replace_file
from sessionlab.storage.kernel_lock import DEFAULT_TIMEOUT_MS
from sessionlab.stores import directory_documents as documents
from sessionlab.stores import directory_names as names
from sessionlab.stores import promotion as promotions
from sessionlab.stores.base import Fingerprint, Problem, StoreStats, fingerprint_of
from sessionlab.stores.directory_access import Access
from sessionlab.stores.directory_checks import examine_store
from sessionlab.stores.directory_folder import ENTRIES, Folder, Stamp
from sessionlab.stores.directory_founding import found
from sessionlab.stores.directory_listing import Listings
from sessionlab.stores.directory_reading import list_names, read_state
from sessionlab.stores.directory_sound import SoundFiles
from sessionlab.stores.directory_spool import Spool
from sessionlab.stores.directory_state import LAYOUT_VERSION
from sessionlab.stores.directory_walk import examined, other_spellings, spooled
from sessionlab.stores.promotion import Promotion
from sessionlab.stores.snapshot import Snapshot
from sessionlab.stores.writing import Patch, WritableStore, Written, age_ms

if TYPE_CHECKING:
    from sessionlab.stores.guard import Guard

_ADVICE: Final = "mend it or move it away by hand"


class _Found(NamedTuple):
    """A session that was read: its file, and what is in it."""

    name: str
    data: bytes
    key: str
    entry: Entry


_Session = TypeVar("_Session", _Found, documents.Sketch)


class DirectoryStore(WritableStore):
    """A `sessions.d` folder; see `WritableStore` for the contract. POSIX only.

    A missing folder is an empty store, and the first write makes it; a folder that is there but is no active store (C.7) is an error and
    never an empty one. Sessions come in the order of their keys.

    A file that is meant for a session and holds none is reported, never skipped (a deviation from C.8): `items`, `load`, `fingerprint` and
    whatever touches that session raise `CorruptStoreError` with its name. `summaries` lists all other sessions, and raises that then;
    `count` counts it. `check` reports every such file. Changes of other sessions go on and leave it untouched. Links, folders and files of
    other names in `entries` are no sessions, and keys that JavaScript reserves are never loaded: `check` reports them.

    Whole-store saves are one step, for readers too. One consistent state is read without the lock where that is possible.
    A listing keeps its rows in memory, about 1 kB each, and reads only files that are new since the last one of this object; when the
    version has not changed, none (C.16). A program that writes entries must change `state.json` as the format says; the time of the
    folder is looked at besides.
    """

    kind = "directory"
    holds_spellings = True
    snapshot_method = "read in place, one version"

    def __init__(self, path: Path, *, agent_id: str | None = None, timeout_ms: float = DEFAULT_TIMEOUT_MS) -> None:
        """Name a store; nothing is opened yet.

        Args:
            path: The folder `sessions.d`, whatever its name.
            agent_id: The agent it belongs to; by default read off the path (`agents/<id>/...`), else "main".
            timeout_ms: How long a writer waits for the lock.
        """
        self.path = path
        self._entries = path / ENTRIES
        self.agent_id = agent_id or layout.agent_id_of(path.absolute()) or keys.DEFAULT_AGENT
        self.timeout_ms = timeout_ms
        self._access = Access(path, timeout_ms=timeout_ms)
        self._sound = SoundFiles()
        self._listings = Listings(self._entries)
        self._spelled: tuple[Stamp, Mapping[str, tuple[str, ...]]] | None = None

    def watch(self, guard: Guard) -> None:
        super().watch(guard)
        self._access.guard = guard

    def summaries(self) -> Iterator[SessionSummary]:
        """As the contract says; when a file holds no session, all others come first and the error after them."""
        with self._access.opened() as folder:
            if folder is None:
                return
            listing = self._listings.now(folder, lock=self._access.reading_lock)
        yield from listing.rows
        if listing.bad:
            raise documents.all_of(listing.bad)

    def items(self) -> Iterator[tuple[str, Entry]]:
        for key, raw in self.raw_items():
            yield key, self._decode(key, raw)

    def raw_items(self) -> Iterator[tuple[str, bytes]]:
        with Spool() as spool:
            with self._access.opened() as folder:
                stored = {} if folder is None else spooled(folder, spool, lock=self._access.reading_lock)
            for key in sorted(stored):
                yield key, spool.take(stored[key])

    def examined_items(self) -> Iterator[tuple[str, bytes, CorruptStoreError | None]]:
        """As `raw_items`, in any order; a file that holds no session does not end it, see `directory_walk.examined`."""
        with self._access.opened() as folder:
            if folder is not None:
                yield from examined(folder, lock=self._access.reading_lock)

    def count(self) -> int:
        with self._access.opened() as folder:
            return 0 if folder is None else len(list_names(folder, lock=self._access.reading_lock))

    def stats(self) -> StoreStats:
        with self._access.opened() as folder:
            if folder is None:
                return StoreStats(kind=self.kind, path=str(self.path), sessions=0, store_bytes=0)
            size = 0
            for descriptor in (folder.descriptor, folder.entries):
                with os.scandir(descriptor) as listing:
                    for file in listing:
                        with contextlib.suppress(FileNotFoundError):
                            size += file.stat(follow_symlinks=False).st_size if file.is_file(follow_symlinks=False) else 0
            sessions = len(list_names(folder, lock=self._access.reading_lock))
        return StoreStats(kind=self.kind, path=str(self.path), sessions=sessions, store_bytes=size, schema_version=LAYOUT_VERSION)

    def check(self) -> tuple[Problem, ...]:
        return self._examine([])

    def examine(self) -> tuple[Fingerprint, tuple[Problem, ...]]:
        digests: list[tuple[str, bytes]] = []
        problems = self._examine(digests)
        has_bad = any(problem.code in ("bad_entry", "invalid_store") for problem in problems)
        return (self.fingerprint() if has_bad else fingerprint_of(digests)), problems

    def fingerprint(self) -> Fingerprint:
        return fingerprint_of((key, canonical_digest(entry)) for key, entry in self.items())

    def promotion(self) -> Promotion | None:
        """Return the record of having taken another store's place; `None` without one."""
        with self._access.opened() as folder:
            return None if folder is None else folder.promotion()

    def promote(self, promotion: Promotion, *, is_held: bool = False) -> None:
        """Record that this store counts from now on, and what it leaves behind. A store that is not there is made, without sessions.

        With `is_held` it is the caller who holds the lock, by `held`.
        """
        with contextlib.nullcontext() if is_held else self._locked():
            held = self._access.mine()
            if held is not None and held.folder is None:
                found(self.path, {})
            remove_leftovers(self.path / promotions.RECORD_NAME, of=(promotions.RECORD_NAME,))
            replace_file(self.path / promotions.RECORD_NAME, [promotions.encode(promotion)])

    def close(self) -> None:
        """Let go of the lock file and of what listings keep. The store can be used again."""
        self._access.close()
        self._sound.clear()
        self._listings.clear()
        self._spelled = None

    def updated_at(self, key: str) -> int | None:
        found = [
            documents.summary(name, data, path=self._file(name))
            if self._sound.knows(name, data)
            else summary_of(*self._decode_file(name, data))
            for name, data in self._read(keys.normalise(key))
        ]
        spelled = [row for row in found if row.key == key] or found
        return max((row.updated_ms for row in spelled if row.updated_ms is not None), default=None)

    def update(self, key: str, change: Callable[[Entry], Patch | None], *, now_ms: int) -> Entry | None:
        """As the contract says. What the change does not bring is written as it was read, byte for byte."""
        key = keys.checked(keys.normalise(key))
        with self._locked():
            found = self._find(key)
            if found is None:
                return None
            patch = change(msgspec.to_builtins(found.entry))  # a copy
            if patch is None:
                return found.entry
            before = documents.Sketch(found.key, found.entry, documents.written_fields(found.data))
            return self._lay_over(key, before, patch, now_ms=now_ms)

    def touch(self, key: str, fields: Patch, *, now_ms: int) -> bool:
        """As the contract says. Of an entry that was read strictly before, only the fields that a merge looks at are decoded."""
        key = keys.checked(keys.normalise(key))
        with self._locked():
            before = _newest([self._sketch(name, data) for name, data in self._read(key)])
            if before is None:
                return False
            self._lay_over(key, before, fields, now_ms=now_ms)
            return True

    def _lay_over(self, key: str, before: documents.Sketch, patch: Patch, *, now_ms: int) -> Entry:
        """Write a session after a merge and return it, as far as it was built before."""
        after = merge(before.entry, patch, now_ms=now_ms)
        self._write_files({names.encode(key): documents.patched(key, before, after)}, (key,))
        return after

    def _sketch(self, name: str, data: bytes) -> documents.Sketch:
        if not self._sound.knows(name, data):
            self._decode_file(name, data)
        held = self._access.mine()
        if held is not None:
            held.sound.add(name)
        return documents.sketch(name, data, path=self._entries)

    def _get(self, key: str, *, spelling: str = "") -> Entry | None:
        found = self._find(key, spelling)
        return None if found is None else found.entry

    def _find(self, key: str, spelling: str = "") -> _Found | None:
        """Return the session of a normalised key, as `_get` does."""
        return _newest([_Found(name, data, *self._decode_file(name, data)) for name, data in self._read(key)], spelling)

    def _spellings_of(self, key: str) -> Collection[str]:
        with self._access.opened() as folder:
            return () if folder is None else (key, *self._spellings(folder).get(key, ()))

    def _stored_under(self, spellings: Collection[str]) -> Iterator[tuple[str, Entry]]:
        for key in spellings:
            found = self._find(keys.normalise(key), key)
            if found is not None and found.key == key:
                yield key, found.entry

    def _decode_file(self, name: str, data: bytes) -> tuple[str, Entry]:
        """Return (key, entry) of a file, read strictly, unless these very bytes have been before."""
        is_sound, held = self._sound.knows(name, data), self._access.mine()
        try:
            decoded = documents.decode(name, data, path=self._entries, is_sound=is_sound)
        except CorruptStoreError:
            documents.decode(name, data, path=self._file(name))  # says the same of the file; hardly ever is its path needed
            raise
        if not is_sound:
            self._sound.note(name, data)
        if held is not None:
            held.sound.add(name)
        return decoded

    def _load(self) -> Snapshot:
        with self._access.opened() as folder:
            if folder is None:
                return Snapshot({}, decode=self._decode, origin=None)

            def keep(name: str, data: bytes) -> tuple[str, msgspec.Raw]:
                return documents.split(name, data, path=self._file(name))

            state = read_state(folder, keep, known={}, lock=self._access.reading_lock)
        content = dict(sorted(seen.value for seen in state.files.values()))
        return Snapshot(content, decode=self._decode, origin=state.stamp)

    def _state(self) -> object:
        held = self._access.mine()
        if held is not None and held.folder is None:
            return None  # the lock of a store just founded is not ours: another process may have changed it already
        with self._access.opened() as folder:
            return None if folder is None else folder.stamp()

    def _still_holds(self, snapshot: Snapshot) -> bool:
        origin = snapshot.origin
        return isinstance(origin, Stamp) and origin.is_settled and origin == self._state()

    def _apply(self, written: Mapping[str, Written], removed: frozenset[str]) -> bool:
        return self._write_files({names.encode(key): documents.document(key, one.data) for key, one in written.items()}, written, removed)

    def _apply_spelled(self, written: Mapping[str, Written], removed: frozenset[str]) -> None:
        files = {names.encode(key): documents.document(key, one.data) for key, one in written.items()}
        self._write_files(files, written, removed, merges=False)

    def _write_files(self, files: dict[str, bytes], written: Collection[str], removed: Iterable[str] = (), *, merges: bool = True) -> bool:
        """Do what `_apply` says, or without `merges` `_apply_spelled`; `files` are those of the keys that are written."""
        held, is_normal = self._access.mine(), all(key == keys.normalise(key) for key in written)
        if held is None or held.folder is None or held.change is None:
            if files:
                found(self.path, files, is_normal=is_normal)
            return bool(files)
        folder, change = held.folder, held.change
        spellings = self._spellings(folder)
        gone: set[str] = set()
        for key in [*written, *(key for key in removed if keys.normalise(key) not in keys.BLOCKED_KEYS)]:
            with contextlib.suppress(UnicodeEncodeError):  # such a key is nowhere
                gone |= {names.encode(key), *(map(names.encode, spellings.get(key, ())) if merges else ())}
        self._refuse_bad(folder, gone - held.sound, written=files.keys())
        gone = {name for name in gone - files.keys() if folder.holds(name)}
        if not files and not gone:
            return False
        is_normal = is_normal and all(names.encode(spelling) in gone for spelled in spellings.values() for spelling in spelled)
        change.apply(files, gone, is_normal=is_normal)
        held.sound.clear()
        if len(files) == 1:
            self._sound.note(*files.popitem())
        return True

    def _locked(self) -> AbstractContextManager[None]:
        return self._access.locked()

    def _read(self, key: str) -> list[tuple[str, bytes]]:
        """Return (name, content) of the files of a normalised key, in whatever spelling."""
        if key in keys.BLOCKED_KEYS:
            return []
        try:
            wanted = [names.encode(key)]
        except UnicodeEncodeError:
            return []
        with self._access.opened() as folder:
            if folder is None:
                return []
            wanted += [names.encode(spelling) for spelling in self._spellings(folder).get(key, ())]
            with self._access.journal(folder) as journal:
                read = [(name, folder.read(name, journal)) for name in wanted]
        return [(name, found[0]) for name, found in read if found is not None]

    def _spellings(self, folder: Folder) -> Mapping[str, tuple[str, ...]]:
        """Return normalised key -> its other spellings in the store. Only where another program has written this takes a listing."""
        if self._access.is_normal(folder):
            return {}
        stamp = folder.stamp()
        if self._spelled is not None and self._spelled[0] == stamp:
            return self._spelled[1]
        found = other_spellings(folder, lock=self._access.reading_lock)
        if stamp.is_settled:
            self._spelled = stamp, found
        return found

    def _refuse_bad(self, folder: Folder, wanted: set[str], *, written: AbstractSet[str]) -> None:
        """Raise when one of these files is no sound session: nothing is written over it, and it is not removed."""
        for name in wanted:
            read = folder.read(name, None)  # there is no journal under the lock
            if read is None:
                if name in written and folder.is_blocked_up(name):
                    raise UnwritableError(self._file(name), "is no regular file, where a session's file is to be", advice=_ADVICE)
            elif not self._sound.knows(name, read[0]):
                documents.split(name, read[0], path=self._file(name))

    def _examine(self, digests: list[tuple[str, bytes]]) -> tuple[Problem, ...]:
        try:
            with self._access.opened() as folder:
                return () if folder is None else examine_store(folder, digests, lock=self._access.reading_lock)
        except UnsupportedSchemaError:
            raise
        except CorruptStoreError as error:
            reason, line = documents.problem_of(error)
            return (Problem(code="invalid_store", severity="error", message=reason, path=str(error.path), line=line, advice=error.advice),)

    def _decode(self, key: str, raw: bytes) -> Entry:
        return codec.decode_entry(raw, path=self._file(names.encode(key)), key=key)

    def _file(self, name: str) -> Path:
        return self._entries / name


def _newest(found: Sequence[_Session], spelling: str = "") -> _Session | None:
    """Return of several spellings of one key the one asked for, else the session that was updated last; `None` of none."""
    if len(found) > 1:
        return max(found, key=lambda one: (one.key == spelling, age_ms(one.key, one.entry)))
    return found[0] if found else None
