"""Undoing a maintenance: entries and transcripts come back, unless newer ones took their place. What was removed for good stays gone."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from sessionlab import keys
from sessionlab.entry import Entry, encode
from sessionlab.errors import CorruptStoreError, InvalidEntryError
from sessionlab.maintenance.apply import LOCK_TIMEOUT_MS
from sessionlab.maintenance.run_folder import MaintenanceRun, maintenance_runs
from sessionlab.maintenance.run_place import refuse_of_the_original
from sessionlab.maintenance.run_reading import read
from sessionlab.maintenance.run_records import EntryRecord, FileRecord
from sessionlab.storage.files import fsync_folder, refused
from sessionlab.stores.location import StoreLocation, open_for_writing_at
from sessionlab.stores.snapshot import Snapshot


class UndoReport(msgspec.Struct, frozen=True, kw_only=True):
    """What came of undoing a maintenance.

    Attributes:
        run_id: Of the maintenance.
        restored: Entries that are in the store again.
        newer: Keys under which there is another entry by now; what was removed stays in the archive, and so do the transcripts of another
            session than the one that is there.
        unstorable: Keys of entries that no store takes, as another program may have written them (without a session id); they are still
            there, too.
        unreadable: What is wrong with the archive, where it was used all the same.
        unmarked: Entries that are not marked as archived any more.
        renamed: Transcripts that have their name back.
        occupied: Transcripts whose name another file has by now.
        lost: Transcripts that are gone from the archive, and nobody told us of it.
        gone: Files that were removed for good, by this maintenance or by a later one.
        gone_bytes: The bytes of those.
    """

    run_id: str
    restored: int
    newer: tuple[str, ...]
    unstorable: tuple[str, ...]
    unreadable: tuple[str, ...]
    unmarked: int
    renamed: int
    occupied: tuple[str, ...]
    lost: tuple[str, ...]
    gone: int
    gone_bytes: int


def undo(
    run: MaintenanceRun, location: StoreLocation | None = None, *, partly: bool = False, timeout_ms: float = LOCK_TIMEOUT_MS
) -> UndoReport:
    """Bring back what a maintenance removed. Doing it twice does no harm; what is there already is left as it is.

    Args:
        run: The run's folder. One that was stopped on the way can be undone as well.
        location: The store, if not that which lies where the maintenance found it.
        partly: Bring back what can be read of an archive that is damaged.
        timeout_ms: How long to wait for the store's lock.

    Raises:
        UsageError: The run lies in a copy of the folder that it was made in, and its store outside; nothing was changed.
        CorruptStoreError: The run's folder, or the store, cannot be read; nothing was changed.
        StoreLockedError: Somebody else writes the store all the time; nothing was changed.
        UnwritableError: The system refuses.
    """
    head = run.head()
    place = location or head.location
    if location is None and run.root is not None:
        refuse_of_the_original(run.made(), run.root, place)
    found = read(run)
    if found.wrong and not partly:
        raise CorruptStoreError(
            found.wrong[0].path, found.wrong[0].reason, advice="'sessionlab undo --partly' brings back what can be read"
        )
    entries, renaming = _Entries(), _Renaming(Path(place.sessions_dir))

    def bring_back(draft: Snapshot) -> None:
        entries.bring_back(draft, found.removed, several=store.holds_spellings)
        entries.unmark(draft, found.marked, archived_ms=head.created_ms)
        # Before the entries are stored: who sees one of them is to find its transcript, and not to begin another under its name.
        renaming.do(one for one in found.files if one.action == "archive" and keys.normalise(one.key) in entries.there)

    with open_for_writing_at(place, durability="commit", timeout_ms=timeout_ms) as store:
        store.transform(bring_back, spelled=True)
    if found.has_all_events and not run.has_ended():
        run.end("undone")  # what it had left to do, the next maintenance need not do
    expired = _removed_later(run, {one.renamed_to for one in renaming.missing})
    gone = [one for one in found.files if one.action != "archive" and not os.path.lexists(place.sessions_dir / one.name)]
    gone += [one for one in renaming.missing if one.renamed_to in expired]
    return UndoReport(
        run_id=head.run_id,
        restored=len(entries.restored),
        newer=tuple(entries.newer),
        unstorable=tuple(entries.unstorable),
        unreadable=tuple(f"{error.path.name} {error.reason}" for error in found.wrong),
        unmarked=entries.unmarked,
        renamed=renaming.renamed,
        occupied=tuple(renaming.occupied),
        lost=tuple(one.name for one in renaming.missing if one.renamed_to not in expired),
        gone=len(gone),
        gone_bytes=sum(one.bytes for one in gone),
    )


@dataclass(slots=True)
class _Entries:
    """What becomes of the entries; `there` are the normalised keys under which the store then has the session that was removed."""

    restored: list[str] = field(default_factory=list)
    newer: list[str] = field(default_factory=list)
    unstorable: list[str] = field(default_factory=list)
    there: set[str] = field(default_factory=set)
    unmarked: int = 0

    def bring_back(self, draft: Snapshot, removed: dict[str, Entry], *, several: bool) -> None:
        """Bring entries back; `several` says whether the store can hold more than one spelling of a key, as another program has written."""
        taken = {keys.normalise(key) for key in draft}
        for key, entry in removed.items():
            normal = keys.normalise(key)
            spelling = key if several and keys.refusal(key) is None else normal
            if normal in taken or spelling in draft:
                found = _stored(draft, key)
                if found is not None and found.get("sessionId") == entry.get("sessionId"):
                    self.there.add(normal)
                if found != entry:
                    self.newer.append(key)
            elif _is_storable(key, entry):
                draft[spelling] = entry  # of several that come to the same, which all went, the newest comes first
                self.restored.append(key)
                self.there.add(normal)
            else:
                self.unstorable.append(key)

    def unmark(self, draft: Snapshot, marked: Iterable[EntryRecord], *, archived_ms: int) -> None:
        for one in marked:
            found: dict[str, Any] | None = _stored(draft, one.key)
            if found is not None and found.get("archivedAt") == archived_ms and found.get("updatedAt") == one.updated_ms:
                del found["archivedAt"]
                if found.get("archiveReason") == one.why:
                    del found["archiveReason"]
                self.unmarked += 1


def _stored(draft: Snapshot, key: str) -> Entry | None:
    """Return what is stored under a key, or under the spelling that a write has given it since."""
    return draft[key] if key in draft else draft.get(keys.normalise(key))


def _is_storable(key: str, entry: Entry) -> bool:
    try:
        encode(key, entry)
    except InvalidEntryError:
        return False
    return keys.refusal(keys.normalise(key)) is None


@dataclass(slots=True)
class _Renaming:
    """What becomes of the archived transcripts; `missing` are neither in the archive nor where they were."""

    folder: Path
    renamed: int = 0
    occupied: list[str] = field(default_factory=list)
    missing: list[FileRecord] = field(default_factory=list)

    def do(self, wanted: Iterable[FileRecord]) -> None:
        for one in wanted:
            path, archived = self.folder / one.name, self.folder / one.renamed_to
            is_there = os.path.lexists(path)
            if not os.path.lexists(archived):
                self.missing += [] if is_there else [one]
            elif is_there:
                self.occupied.append(one.name)
            else:
                try:
                    archived.rename(path)
                except OSError as error:
                    raise refused(archived, error) from error
                self.renamed += 1
        if self.renamed:
            fsync_folder(self.folder, written=self.folder)


def _removed_later(run: MaintenanceRun, archives: Collection[str]) -> set[str]:
    """Return which of these archives a later maintenance of ours removed for good: those were told of then."""
    found: set[str] = set()
    for later in maintenance_runs(Path(run.head().root)) if archives else ():
        if later.path.name > run.path.name:
            told = (one for one in later.each_file() if not isinstance(one, CorruptStoreError))  # what is wrong there is another's matter
            found.update(one.name for one in told if one.action in ("expire", "evict") and one.name in archives)
    return found
