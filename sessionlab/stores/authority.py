"""Which store of an agent counts when there are several (the one authority), and when that cannot be said.

In this order: a directory store that is active, our SQLite store that records its promotion, OpenClaw's own database, `sessions.json`;
then what nobody has promoted. Where no record decides, a store without sessions does not hide one with them. Whatever else lies there is a
rival, unless the record of the store that counts knows it as left behind, and it has not changed since.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sessionlab.errors import SplitStoreError, StoreError
from sessionlab.stores.location import StoreKind, StoreLocation, open_at
from sessionlab.stores.promotion import Promotion

_NOT_PROMOTED = {"sqlite": "was never promoted", "directory": "is not active"}
_ORDER: tuple[StoreKind, ...] = ("openclaw", "json", "sqlite", "directory")
"""Where no record decides: from what OpenClaw itself would read, to what nobody has promoted."""


def authority(found: Sequence[StoreLocation]) -> StoreLocation | None:
    """Choose the store that counts among those of one agent; the others become its rivals. `None` when there are none.

    A store that cannot be read is chosen all the same: opening it says what is wrong.
    """
    promoted = [one for one in found if one.kind == "directory" and _is_active(one)]
    if not promoted:
        promoted = [one for one in found if one.kind == "sqlite" and _has_record(one)]
    if promoted:
        chosen = replace(promoted[0], is_promoted=True)
        return _with_rivals(chosen, found)
    ordered = sorted(found, key=lambda one: _ORDER.index(one.kind))
    if len(ordered) < 2:
        return ordered[0] if ordered else None
    with_sessions = next((one for one in ordered if _may_hold_sessions(one)), ordered[0])
    return _with_rivals(replace(with_sessions, note=_note(with_sessions, ordered[0])), found)


def refuse_split(location: StoreLocation) -> None:
    """Raise when a rival holds sessions nobody has accounted for, and so does the store, or it is promoted.

    Raises:
        SplitStoreError: Naming both, with their counts.
        StoreError: One of them cannot be read.
    """
    for rival, second in split_rivals(location):
        with open_at(location) as store:
            first = store.count()
        if first or location.is_promoted:
            folder = location.root or location.path.parent
            raise SplitStoreError(folder, first=location.path, first_count=first, second=rival.path, second_count=second)


def split_rivals(location: StoreLocation) -> tuple[tuple[StoreLocation, int], ...]:
    """Return the rivals that hold sessions nobody has accounted for, each with their number; for those who report it and go on.

    Raises:
        StoreError: A rival cannot be read.
    """
    found = []
    record = promotion_of(location) if location.rivals else None
    for rival in location.rivals:
        with open_at(rival) as store:
            if record is not None and record.knows(store, folder=location.path.parent):
                continue
            count = store.count()
            if count:
                found.append((rival, count))
    return tuple(found)


def promotion_of(location: StoreLocation) -> Promotion | None:
    """Return a store's record of its promotion; `None` when it has none, or is of a kind that keeps none.

    Raises:
        StoreError: It cannot be read.
    """
    if location.kind == "sqlite":
        from sessionlab.stores.sqlite import SQLiteStore  # sqlite3 is only loaded for a SQLite store

        with SQLiteStore(location.path, agent_id=location.agent_id) as database:
            return database.promotion()
    if location.kind == "directory":
        from sessionlab.stores.directory import DirectoryStore

        with DirectoryStore(location.path, agent_id=location.agent_id) as folder:
            return folder.promotion()
    return None


def _with_rivals(chosen: StoreLocation, found: Sequence[StoreLocation]) -> StoreLocation:
    return replace(chosen, rivals=tuple(one for one in found if one.path != chosen.path))


def _is_active(location: StoreLocation) -> bool:
    from sessionlab.stores.directory_folder import is_active

    try:
        return is_active(location.path)
    except StoreError:
        return True


def _has_record(location: StoreLocation) -> bool:
    try:
        return promotion_of(location) is not None
    except StoreError:
        return False  # nothing says that it counts; as a rival it is opened, and says what is wrong


def _may_hold_sessions(location: StoreLocation) -> bool:
    try:
        with open_at(location) as store:
            return store.count() > 0
    except StoreError:
        return True


def _note(chosen: StoreLocation, first: StoreLocation) -> str:
    """Word why the store that usually counts was passed over."""
    if chosen.path == first.path:
        return ""
    if first.kind == "openclaw" and chosen.kind == "json":
        return f"the SQLite store {first.path} is still empty, so {chosen.path.name} was read; OpenClaw's import has yet to move it"
    why = f", which {_NOT_PROMOTED[chosen.kind]}," if chosen.kind in _NOT_PROMOTED else ""
    return f"{first.path} holds no sessions, so {chosen.path.name}{why} was read"
