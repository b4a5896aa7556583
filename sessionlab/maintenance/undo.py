"""Undoing a maintenance: entries and transcripts come back, unless newer ones took their place. What was removed for good stays gone."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec

from sessionlab import keys
from sessionlab.entry import Entry, encode
from sessionlab.errors import InvalidEntryError
from sessionlab.maintenance.apply import LOCK_TIMEOUT_MS
from sessionlab.maintenance.run_folder import MaintenanceRun
from sessionlab.storage.files import fsync_folder, refused
from sessionlab.stores.location import StoreLocation, open_for_writing_at
from sessionlab.stores.snapshot import Snapshot


class UndoReport(msgspec.Struct, frozen=True, kw_only=True):
    """What came of undoing a maintenance.

    Attributes:
        run_id: Of the maintenance.
        restored: Entries that are in the store again.
        newer: Keys under which there is another entry by now; what was removed is still in the run's folder.
        unstorable: Keys of entries that no store takes, as another program may have written them (without a session id); they are still
            there, too.
        unmarked: Entries that are not marked as archived any more.
        renamed: Transcripts that have their name back.
        occupied: Transcripts whose name another file has by now, or that are gone from the archive.
        gone: Files that were removed for good, and their bytes.
        gone_bytes: The bytes of those.
    """

    run_id: str
    restored: int
    newer: tuple[str, ...]
    unstorable: tuple[str, ...]
    unmarked: int
    renamed: int
    occupied: tuple[str, ...]
    gone: int
    gone_bytes: int


def undo(run: MaintenanceRun, location: StoreLocation | None = None, *, timeout_ms: float = LOCK_TIMEOUT_MS) -> UndoReport:
    """Bring back what a maintenance removed. Doing it twice does no harm; what is there already is left as it is.

    Args:
        run: The run's folder. One that was stopped on the way can be undone as well.
        location: Where the store lies now, if not where the maintenance found it.
        timeout_ms: How long to wait for the store's lock.

    Raises:
        CorruptStoreError: The run's folder, or the store, cannot be read.
        StoreLockedError: Somebody else writes the store all the time; nothing was changed.
        UnwritableError: The system refuses.
    """
    head = run.head()
    place = location or head.location
    removed = dict(run.removed())
    marked = {one.key: one.updated_ms for one in run.entries() if one.action == "archive"}
    restored: list[str] = []
    newer: list[str] = []
    unstorable: list[str] = []
    occupied: list[str] = []
    renamed = unmarked = 0

    def bring_back(draft: Snapshot) -> None:
        nonlocal renamed, occupied, unmarked
        # Before the entries: who sees one of those is to find its transcript, and not to begin another under its name.
        renamed, occupied = _renamed_back(run, Path(place.sessions_dir))
        taken = {keys.normalise(key) for key in draft}
        for key, entry in removed.items():
            if keys.normalise(key) not in taken and _is_storable(key, entry):
                draft[key] = entry
                taken.add(keys.normalise(key))  # of several spellings, which all went, the newest comes first
                restored.append(key)
            elif keys.normalise(key) not in taken:
                unstorable.append(key)
            elif draft.get(key) != entry:
                newer.append(key)
        for key, updated_ms in marked.items():
            found: dict[str, Any] | None = draft.get(key)
            if found is not None and found.get("archivedAt") == head.created_ms and found.get("updatedAt") == updated_ms:
                del found["archivedAt"]
                unmarked += 1

    with open_for_writing_at(place, durability="commit", timeout_ms=timeout_ms) as store:
        store.transform(bring_back)
    if not run.has_ended():
        run.end("undone")  # what it had left to do, the next maintenance need not do
    files = [one for one in run.files() if one.action != "archive" and not os.path.lexists(place.sessions_dir / one.name)]
    return UndoReport(
        run_id=head.run_id,
        restored=len(restored),
        newer=tuple(newer),
        unstorable=tuple(unstorable),
        unmarked=unmarked,
        renamed=renamed,
        occupied=tuple(occupied),
        gone=len(files),
        gone_bytes=sum(one.bytes for one in files),
    )


def _is_storable(key: str, entry: Entry) -> bool:
    try:
        encode(key, entry)
    except InvalidEntryError:
        return False
    return keys.refusal(keys.normalise(key)) is None


def _renamed_back(run: MaintenanceRun, folder: Path) -> tuple[int, list[str]]:
    renamed, occupied = 0, []
    for one in run.files():
        if one.action != "archive":
            continue
        path, archived = folder / one.name, folder / one.renamed_to
        if not os.path.lexists(archived):
            if not os.path.lexists(path):
                occupied.append(one.name)
            continue
        if os.path.lexists(path):
            occupied.append(one.name)
            continue
        try:
            archived.rename(path)
        except OSError as error:
            raise refused(archived, error) from error
        renamed += 1
    if renamed:
        fsync_folder(folder, written=folder)
    return renamed, occupied
