"""OpenClaw's `sessions.json`, written as OpenClaw writes it; `json_file` is the reading half.

A change rewrites the whole file: that is its nature, and the reason why there are other stores. But only the entries that change are
decoded and encoded, the bytes of the others are carried over; and a change that changes nothing writes nothing.

Deviations from OpenClaw, where it would lose something (requirements of the specification in brackets):

- A file that cannot be read as a store is never overwritten: every operation raises (D.47 takes it for empty).
- A live holder of the lock is never robbed because of its age (D.39, D.40); see `storage.lock`.
- Nothing that was changed behind the lock's back is overwritten: the write is refused.
- A write through a link replaces what it leads to, and both places are locked.
- Legacy field names are kept as they are (D.48): reading them is the summaries' matter, and a write elsewhere does not touch them.
- A whole folder that has vanished is made again for the next write; one that vanishes during a write makes it fail (D.49 ignores it).
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import threading
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import ClassVar, Final

from sessionlab import codec, keys, layout
from sessionlab.entry import Entry, SessionSummary
from sessionlab.errors import InvalidJSONError, NoStoreError, StoreLockedError, UnreadableError, UnwritableError, UsageError
from sessionlab.storage.files import make_folder, remove_leftovers, replace_file
from sessionlab.storage.kernel_lock import DEFAULT_TIMEOUT_MS
from sessionlab.storage.lock import StoreLock
from sessionlab.stores.base import Fingerprint, Problem, StoreStats, fingerprint_of
from sessionlab.stores.json_cache import StateCache
from sessionlab.stores.json_file import JSONFileStore
from sessionlab.stores.json_state import Identity, State, indented, pieces
from sessionlab.stores.snapshot import Snapshot
from sessionlab.stores.upkeep import Upkeep
from sessionlab.stores.writing import WritableStore, Written, age_ms

_COMPARED_BYTES: Final = 256 * 1024
"""Of a file that is compared so much is in memory at a time: a second copy of it would have to be made room for first."""
_NOTHING: Final = State({}, None)
_MOST_REMEMBERED: Final = 16


class JSONStore(WritableStore):
    """A `sessions.json`, for any number of threads and processes at once, OpenClaw's among them; see `WritableStore` for the contract.

    A missing file is an empty store, made by the first write; so is a blank one. Members that are no objects, and names that JavaScript
    reserves, are not sessions: `check()` reports them, and every write carries them over.
    """

    kind = "json"
    snapshot_method = "read in place, as it is at every question"
    holds_spellings = True
    _latest: ClassVar[tuple[Identity, ...]] = ()
    """What this process has written last, whichever object did: with a time to the nanosecond, so that identity proves what it holds."""

    def __init__(self, path: Path, *, agent_id: str | None = None, durable: bool = True, timeout_ms: float = DEFAULT_TIMEOUT_MS) -> None:
        """Name a store; nothing is opened yet.

        Args:
            path: The file, whatever its name.
            agent_id: The agent it belongs to; by default read off the path (`agents/<id>/...`), else "main".
            durable: Whether a write that was acknowledged survives a loss of power, or only the end of this process.
            timeout_ms: How long a write waits for others; 0 or infinite for ever.

        Raises:
            UsageError: The path is empty (D.37).
        """
        if not path.name:
            raise UsageError("a store's path must not be empty")
        self.path = path
        self.agent_id = agent_id or layout.agent_id_of(path.absolute()) or keys.DEFAULT_AGENT
        self.durable = durable
        self._lock = StoreLock(path, timeout_ms)
        self._cache = StateCache(path)
        self._writer = 0  # the thread that holds the lock through this object
        self._held: State | None = None  # what that thread knows to be stored
        self._own: Identity | None = None  # the file that was written last
        self._is_swept = False
        self.upkeep: Upkeep | None = None

    def summaries(self) -> Iterator[SessionSummary]:
        with self._reader() as reader:
            if reader is not None:
                yield from reader.summaries()

    def items(self) -> Iterator[tuple[str, Entry]]:
        with self._reader() as reader:
            if reader is not None:
                yield from reader.items()

    def raw_items(self) -> Iterator[tuple[str, bytes]]:
        with self._reader() as reader:
            if reader is not None:
                yield from reader.raw_items()

    def count(self) -> int:
        with self._reader() as reader:
            return 0 if reader is None else reader.count()

    def stats(self) -> StoreStats:
        with self._reader() as reader:
            return StoreStats(kind=self.kind, path=str(self.path), sessions=0, store_bytes=0) if reader is None else reader.stats()

    def check(self) -> tuple[Problem, ...]:
        with self._reader() as reader:
            return () if reader is None else reader.check()

    def examine(self) -> tuple[Fingerprint, tuple[Problem, ...]]:
        with self._reader() as reader:
            return (fingerprint_of(()), ()) if reader is None else reader.examine()

    def fingerprint(self) -> Fingerprint:
        with self._reader() as reader:
            return fingerprint_of(()) if reader is None else reader.fingerprint()

    def close(self) -> None:
        self._cache.drop()

    @contextlib.contextmanager
    def _reader(self) -> Iterator[JSONFileStore | None]:
        """Open the file for a question, as it is now; `None` when there is none."""
        with self._opened() as reader:
            self._refuse_moved(reader)
            yield reader

    def _refuse_moved(self, found: object) -> None:
        """Raise when another store counts now: the file may keep its name when that takes its place. Under the lock that is known."""
        guard = self.guard
        if guard is None or self._is_writing():
            return
        if found is None:
            guard()
        else:
            guard.glance()

    @contextlib.contextmanager
    def _opened(self) -> Iterator[JSONFileStore | None]:
        """Open the file as it is now; `None` when there is none."""
        try:
            reader = JSONFileStore.open(self.path, agent_id=self.agent_id)
        except NoStoreError:
            if self.path.exists() and not self.path.is_file():
                raise
            reader = None
        try:
            yield reader
        finally:
            if reader is not None:
                reader.close()

    def _identity(self) -> Identity | None:
        """Return which file is there now; `None` for none."""
        try:
            return Identity.of(self.path.stat())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise UnreadableError(self.path, f"cannot be read ({error.strerror})") from error

    def _state(self) -> State:
        """Return what is stored now, from memory if the file is still the same."""
        return self._state_of(self._identity())

    def _state_of(self, identity: Identity | None) -> State:
        if self._is_writing() and self._held is not None:
            return self._held  # what the change is based on; `_replace` makes sure that it is still there
        state = self._cache.get(identity) or self._read()
        if self._is_writing():
            self._held = state
        return state

    def _read(self) -> State:
        """Read the file, and keep it if it may be kept."""
        with self._opened() as reader:
            if reader is None:
                return _NOTHING
            identity = Identity.of(reader.found)
            is_certain = self._is_certain(identity)  # before reading: what changes meanwhile may not show
            state = State.of_file(reader.content(), identity, is_certain=is_certain, path=self.path)
        self._cache.put(state)
        return state

    def _is_certain(self, identity: Identity) -> bool:
        """Say whether a change of this file from now on would show in its identity."""
        return identity in JSONStore._latest or identity.is_settled()

    def _get(self, key: str, *, spelling: str = "") -> Entry | None:
        identity = self._identity()
        self._refuse_moved(identity)
        if identity is None:
            return None
        if self._is_writing() or self._cache.takes(identity.size):
            found = self._state_of(identity).sessions_of(key)
        else:
            with self._opened() as reader:  # in one pass that keeps nothing of the others
                found = {} if reader is None else reader.spellings(key)
        if spelling in found:
            return self._decode(spelling, found[spelling])
        newest: Entry | None = None
        for stored, raw in found.items():
            entry = self._decode(stored, raw)
            if newest is None or age_ms(key, entry) >= age_ms(key, newest):
                newest = entry
        return newest

    def _spellings_of(self, key: str) -> Collection[str]:
        return (self._held or self._state()).spellings_of(key)

    def _stored_under(self, spellings: Collection[str]) -> Iterator[tuple[str, Entry]]:
        sessions = self._state().sessions
        return ((key, self._decode(key, bytes(sessions[key]))) for key in spellings if key in sessions)

    def _load(self) -> Snapshot:
        identity = self._identity()
        self._refuse_moved(identity)
        state = self._state_of(identity)
        return Snapshot(state.sessions, decode=self._decode, origin=state)

    def _decode(self, key: str, raw: bytes) -> Entry:
        """Decode one entry; an error names the line in the file, if the file still holds it."""
        try:
            return codec.decode_entry(raw, path=self.path, key=key)
        except InvalidJSONError:
            with self._opened() as reader:
                if reader is not None:
                    reader.get(key)
            raise

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        if not self.path.parent.exists():
            make_folder(self.path.parent)
        with contextlib.ExitStack() as stack:
            stack.enter_context(self._lock.held())
            if self.path.is_symlink():
                target = Path(os.path.realpath(self.path))
                if target.is_symlink():
                    raise UnreadableError(self.path, "is a link that leads in a circle")
                stack.enter_context(StoreLock(target, self._lock.timeout_ms).held())  # others may know the store by its own name
            if self.guard is not None:
                self.guard()
            self._writer = threading.get_ident()
            try:
                yield
            finally:
                self._writer, self._held = 0, None

    def _is_writing(self) -> bool:
        return self._writer == threading.get_ident()

    def _still_holds(self, snapshot: Snapshot) -> bool:
        known, identity = snapshot.origin, self._identity()
        if not isinstance(known, State) or (known.identity is None) != (identity is None):
            return False
        if known.identity != identity or not known.is_certain:
            # Touched, or replaced by its equal, or too young for its time to tell: then the bytes decide.
            with self._opened() as reader:
                if reader is None:
                    return False
                found = Identity.of(reader.found)
                is_certain = self._is_certain(found)
                if not known.is_written_as(reader.pieces(_COMPARED_BYTES)):
                    return False
            known = snapshot.origin = dataclasses.replace(known, identity=found, is_certain=is_certain)
        self._held = known
        return True

    def _apply(self, written: Mapping[str, Written], removed: frozenset[str]) -> bool:
        state = self._state()
        gone = {spelling for key in removed for spelling in (key, *state.sessions_of(key)) if spelling in state.sessions}
        gone |= {spelling for key in written for spelling in state.sessions_of(key) if spelling != key}
        return self._change(state, written, gone)

    def _apply_spelled(self, written: Mapping[str, Written], removed: frozenset[str]) -> None:
        state = self._state()
        self._change(state, written, {key for key in removed if key in state.sessions})

    def _change(self, state: State, written: Mapping[str, Written], gone: set[str]) -> bool:
        """Write these members and leave out those, which are there; say whether that changed anything."""
        new = {key: indented(one.data) for key, one in written.items()}
        if not gone and all(key in state.members and bytes(state.members[key]) == data for key, data in new.items()):
            return False
        after = State(state.replaced(new, frozenset(gone)), None)
        upkeep = self.upkeep
        self._besides = frozenset()
        if upkeep is not None:
            changed = {key: one.entry for key, one in written.items()}
            self._besides = upkeep.before_save(after.sessions, changed, is_own=state.identity is not None and state.identity == self._own)
            if self._besides:
                after = State(after.replaced({}, self._besides), None)
        self._replace(state, after)
        if upkeep is not None:
            upkeep.after_save(self._besides)
        return True

    @contextlib.contextmanager
    def skip_maintenance(self) -> Iterator[None]:
        """Let what is saved meanwhile be saved without maintenance, whatever this object was given for it (D.7)."""
        upkeep, self.upkeep = self.upkeep, None
        try:
            yield
        finally:
            self.upkeep = upkeep

    def _replace(self, before: State, after: State) -> None:
        """Write a new state over the one that was read."""
        if not self._is_swept:
            name = Path(os.path.realpath(self.path)).name
            remove_leftovers(self.path, of=(name, f"{name}.lock"))
            self._is_swept = True
        if not self._lock.is_ours():
            raise StoreLockedError(self.path, "the lock was taken by another program meanwhile; nothing was written", advice="run it again")
        if self._identity() != before.identity:
            reason = "was changed by a program that does not take the lock; nothing was written"
            raise UnwritableError(self.path, reason, advice="find out which one it is, then run it again")
        if self.upkeep is not None:
            self.upkeep.before_replace()
        found = replace_file(self.path, pieces(after.members), durable=self.durable)
        self._own = Identity.of(found)
        JSONStore._latest = (*JSONStore._latest[1 - _MOST_REMEMBERED :], self._own)
        self._held = State(after.members, self._own)
        self._cache.put(self._held)
