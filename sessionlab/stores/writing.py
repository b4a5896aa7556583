"""The writing half of the store contract, and the guards that every backend shares.

Keys are trimmed and lower-cased on every path (F.14, C.6) and refused when hostile; entries are refused when JSON would not give them back.
What a backend adds is how its bytes are laid out, and the lock: the methods whose names begin with an underscore.
"""

from __future__ import annotations

import contextlib
import weakref
from abc import abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any, ClassVar, NamedTuple

import msgspec

from sessionlab import entry as entries
from sessionlab import keys
from sessionlab.entry import Entry
from sessionlab.errors import StoreError, UncertainWriteError
from sessionlab.stores.base import SessionStore
from sessionlab.stores.snapshot import Snapshot

Patch = Mapping[str, Any]
"""Fields to set in an entry; one whose value is `msgspec.UNSET` is removed."""


class Written(NamedTuple):
    """An entry that may be stored, and the same as compact JSON."""

    entry: Entry
    data: bytes


class WritableStore(SessionStore):
    """A session store that is written to, by any number of threads and processes at once.

    Every reading method answers from what is stored at that moment. Every writing method works on one consistent state under the store's
    lock. When it returns, what it did is as durable as the store promises; when it raises, the store is as it was. A store that cannot be
    read is never overwritten: writing raises `CorruptStoreError`, too.

    Raises, besides what reading raises: `InvalidKeyError` and `InvalidEntryError` for what may not be stored; `StoreLockedError` when the
    lock is not had in time; `UnwritableError` when the system refuses.

    Where another program has stored several spellings of one key, they are one session to whoever writes (F.14): `update`, `touch`, `save`
    and `transform` go by the newest, and every write removes the others. Reading leaves them apart, as `SessionStore` says.

    `close` frees what is held between two operations, no more: the next one opens anew what it needs.
    """

    holds_spellings: ClassVar[bool] = False
    """Whether `transform` can store a session under another spelling of its key than the normalised one; see there."""

    _besides: frozenset[str] = frozenset()
    """The keys that the last `_apply` removed although nobody had asked for it, but for the store's upkeep."""

    _last: Callable[[], Snapshot | None] = staticmethod(lambda: None)
    """What was loaded last, while somebody has it."""

    def get(self, key: str) -> Entry | None:
        return self._get(keys.normalise(key), spelling=key)

    def updated_at(self, key: str) -> int | None:
        """Return when a session was last updated, epoch ms, `None` for none or one that does not say. Reads one entry, lists nothing.

        The key is looked up as by `get`.
        """
        entry = self.get(key)
        return None if entry is None else entries.updated_ms_of(entry)

    def update(self, key: str, change: Callable[[Entry], Patch | None], *, now_ms: int) -> Entry | None:
        """Read, change and write one entry under the lock.

        Args:
            key: The session.
            change: Called at most once, with a copy of the entry. What it returns is laid over the entry by `entry.merge`; for `None`
                nothing is written.
            now_ms: The clock, whole ms; `updatedAt` becomes this unless it is later already.

        Returns:
            The entry as it is stored now. `None`, and `change` is not called, when there is no such session.
        """
        key = keys.checked(keys.normalise(key))
        with self._locked():
            before = self._get(key)
            if before is None:
                return None
            patch = change(entries.copied(before))
            if patch is None:
                return before
            after = entries.merge(before, patch, now_ms=now_ms)
            self._apply({key: Written(after, entries.encode(key, after))}, frozenset())
            return after

    def touch(self, key: str, fields: Patch, *, now_ms: int) -> bool:
        """Lay fields over one entry that exists, as `update` does with a patch known beforehand; say whether there is such a session.

        The cheap way to write what changes with every message: a backend need not read the fields that are not named.
        """
        return self.update(key, lambda _entry: fields, now_ms=now_ms) is not None

    def put(self, key: str, entry: Entry) -> None:
        """Store an entry under a key, whole, in place of the one that may be there. What is read back equals it, field for field."""
        key = keys.checked(keys.normalise(key))
        written = Written(entry, entries.encode(key, entry))
        with self._locked():
            self._apply({key: written}, frozenset())

    def delete(self, key: str) -> bool:
        """Remove a session, in all its spellings; say whether there was one."""
        with self._locked():
            return self._apply({}, frozenset({keys.normalise(key)}))

    def take_out(
        self,
        wanted: Mapping[str, int | None],
        *,
        still: Callable[[str, Entry], bool] | None = None,
        keep: Callable[[Iterator[tuple[str, Entry]]], None],
        then: Callable[[tuple[str, ...]], None] | None = None,
    ) -> tuple[str, ...]:
        """Remove sessions after what is stored of them was put by elsewhere, all under the lock: at no moment are they nowhere.

        Args:
            wanted: Key, as it is stored -> the `updatedAt` that its entry has. One that says another time by now was used since, and stays;
                so does one that has another spelling by now, which would go with it.
            still: Called with key, as it is stored, and entry of those that say that time; one of which it says no stays as well.
            keep: Called once, with (key, entry) of those that go. It has to take all of them, and to return only when they are safe: when
                it raises, nothing is removed.
            then: Called with the keys that are gone, while the lock is still held.

        Returns:
            Those keys, in the order in which they were put by.
        """
        taken: list[str] = []

        def is_as_wanted(key: str, entry: Entry) -> bool:
            return key in wanted and entries.updated_ms_of(entry) == wanted[key] and (still is None or still(key, entry))

        def going() -> Iterator[tuple[str, Entry]]:
            for key, entry in self._stored_under(wanted):
                if is_as_wanted(key, entry) and not self._has_another(key, is_as_wanted):
                    taken.append(key)
                    yield key, entry

        with self._locked():
            keep(going())
            if taken:
                self._apply({}, frozenset(taken))
            if then is not None:
                then(tuple(taken))
        return tuple(taken)

    def load(self) -> Snapshot:
        """Return every session of one consistent state; what the caller changes in it is not stored until it is saved."""
        return self._noted(self._load())

    def save(self, content: Mapping[str, Entry]) -> bool:
        """Make the store hold exactly these sessions; say whether that changed anything. Without a difference nothing is written.

        Keys that differ in spelling only are one session: the newest entry counts, the last of equally old ones. Sessions keep their
        places in the store, new ones come last; another order alone is no difference.
        """
        with self._locked():
            if isinstance(content, Snapshot) and self._still_holds(content):
                changed, removed = content.changed(), content.removed()
            else:
                stored = self._load_again()
                wanted = normalised(content)
                changed = {key: entry for key, entry in wanted.items() if key not in stored or stored[key] != entry}
                removed = frozenset(key for key in stored if key not in wanted)
            return self._write(changed, removed) is not None

    def transform(self, change: Callable[[Snapshot], None], *, base: Snapshot | None = None, spelled: bool = False) -> Snapshot:
        """Let `change` alter a copy of the whole store in place, and save that, all under the lock.

        Args:
            change: Gets every session. When it, or the save, raises, neither the store nor `base` has changed.
            base: What the caller loaded before. It is used in place of loading when it is still what is stored and the caller has changed
                nothing in it, and is then brought up to date; the outcome on disk is the same with and without it (E.22 to E.29).
            spelled: Store or remove every session under the very spelling that `change` gives it, where the backend can, and leave other
                spellings as they are: only for bringing back what another program had stored so.

        Returns:
            What the store holds now; `base` itself when it was used.
        """
        with self._locked():
            usable = base is not None and self._still_holds(base) and not base.changed() and not base.removed()
            current = base if base is not None and usable else self._noted(self._load_again())
            draft = current.draft()
            change(draft)
            removed = draft.removed()
            spelled = spelled and self.holds_spellings
            written = self._write(draft.changed(), removed, spelled=spelled)
            if written is None:
                return current
            try:
                if not spelled and not keys.are_normal((*written, *current)):
                    return self._load()  # spellings were merged: what is stored is not what the draft shows
                kept = {key: one.data for key, one in written.items() if key not in self._besides}
                current.accept(kept, removed | self._besides, origin=self._state())
            except StoreError as error:
                reason = f"was changed, but cannot be read again ({error.reason})"
                raise UncertainWriteError(error.path, reason, advice="read the store again before going on") from error
            return current

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Keep every writer away while several things are done that belong together. Reading goes on, through this object or others.

        The writing methods of this object raise `StoreLockedError` meanwhile: they would wait for themselves.
        """
        with self._locked():
            yield

    def _noted(self, snapshot: Snapshot) -> Snapshot:
        self._last = weakref.ref(snapshot)
        return snapshot

    def _load_again(self) -> Snapshot:
        """Load under the lock: what somebody still has of the same state is not read, and not held in memory, a second time."""
        last = self._last()
        if last is not None and self._still_holds(again := last.again()):
            return again
        return self._load()

    def _write(self, changed: Mapping[str, Entry], removed: frozenset[str], *, spelled: bool = False) -> dict[str, Written] | None:
        """Check and write a difference under the lock; `None` when there was nothing to write."""
        wanted = {keys.checked(key): entry for key, entry in changed.items()} if spelled else normalised(changed)
        written = {key: Written(entry, entries.encode(key, entry)) for key, entry in wanted.items()}
        if not written and not removed:
            return None
        if spelled:
            self._apply_spelled(written, removed)
        else:
            self._apply(written, removed)
        return written

    @abstractmethod
    def _locked(self) -> AbstractContextManager[None]:
        """Hold the store's lock: one writer at a time, first come, first served.

        Raises:
            StoreLockedError: It was not had in time.
        """

    @abstractmethod
    def _get(self, key: str, *, spelling: str = "") -> Entry | None:
        """Return the entry of a normalised key: what is stored under this very spelling if there is such, else the newest of all."""

    def _has_another(self, key: str, is_as_wanted: Callable[[str, Entry], bool]) -> bool:
        """Say whether a spelling of a key is stored that was not thought of, or changed since: removing one removes them all."""
        others = [spelling for spelling in self._spellings_of(keys.normalise(key)) if spelling != key]
        found = self._stored_under(others) if others else ()
        return not all(is_as_wanted(spelling, entry) for spelling, entry in found)

    def _spellings_of(self, key: str) -> Collection[str]:
        """Return the spellings in which a normalised key may be stored, for a backend that can hold several; under the lock."""
        return (key,)

    @abstractmethod
    def _stored_under(self, spellings: Collection[str]) -> Iterator[tuple[str, Entry]]:
        """Yield (key, entry) of the keys that are stored in these very spellings, read strictly, in any order; under the lock."""

    @abstractmethod
    def _load(self) -> Snapshot:
        """Return every session, with `_state()` of what was read as its origin."""

    @abstractmethod
    def _state(self) -> object:
        """Return a note of the state that is stored now, for `_still_holds`."""

    @abstractmethod
    def _still_holds(self, snapshot: Snapshot) -> bool:
        """Say, under the lock, whether what is stored is still what the snapshot was loaded from. When in doubt, no."""

    @abstractmethod
    def _apply(self, written: Mapping[str, Written], removed: frozenset[str]) -> bool:
        """Write these entries and remove those keys in one durable step, under the lock; say whether anything was changed.

        Args:
            written: Normalised key -> entry; other spellings of these keys that are stored are removed.
            removed: Keys to remove, with the other spellings of those that are normalised. Removing what is not there writes nothing.
        """

    def _apply_spelled(self, written: Mapping[str, Written], removed: frozenset[str]) -> None:
        """Do as `_apply`, but by the very spellings that are given, for a backend that `holds_spellings`: no other one is removed."""
        raise NotImplementedError(f"a {self.kind} store holds no spellings")


def normalised(content: Mapping[str, Entry]) -> dict[str, Entry]:
    """Return sessions under their normalised keys; of several spellings of one key the newest entry counts, the last of equally old ones.

    Raises:
        InvalidKeyError: A key may not be stored.
    """
    result: dict[str, Entry] = {}
    for spelling, entry in content.items():
        key = keys.checked(keys.normalise(spelling))
        if key not in result or age_ms(key, entry) >= age_ms(key, result[key]):
            result[key] = entry
    return result


def age_ms(key: str, entry: Entry) -> int:
    """Return when an entry was last updated, for telling the newer of two; one that does not say is older than all others."""
    try:
        updated_ms = entries.summary_of(key, entry).updated_ms
    except msgspec.ValidationError:
        updated_ms = None  # no entry at all: refused later, with a reason
    return updated_ms if updated_ms is not None else -(1 << 62)
