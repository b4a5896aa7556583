"""What can be read of a run's folder, and what is wrong with it: `undo` decides whether the former will do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from sessionlab.entry import Entry
from sessionlab.errors import CorruptStoreError
from sessionlab.maintenance.run_folder import MaintenanceRun
from sessionlab.maintenance.run_records import EntryRecord, FileRecord
from sessionlab.runs import EVENTS, MANIFEST, Event

_One = TypeVar("_One")


@dataclass(slots=True)
class Readable:
    """What a run's folder holds that can be read.

    Attributes:
        removed: Key -> the entry that was removed; the latest, where a store that is maintained with every save had two under one key.
        marked: What was decided on entries that were marked as archived.
        files: What was decided on files.
        events: What was done.
        has_all_events: Whether those are all that there are: else nobody knows whether the run has ended.
        wrong: What cannot be read, or is missing.
    """

    removed: dict[str, Entry] = field(default_factory=dict)
    marked: tuple[EntryRecord, ...] = ()
    files: tuple[FileRecord, ...] = ()
    events: tuple[Event, ...] = ()
    has_all_events: bool = True
    wrong: list[CorruptStoreError] = field(default_factory=list)

    def whole(self, found: Callable[[], Iterable[_One | CorruptStoreError]]) -> Iterator[_One]:
        """Yield what can be read, and note what is wrong."""
        try:
            for one in found():
                if isinstance(one, CorruptStoreError):
                    self.wrong.append(one)
                else:
                    yield one
        except CorruptStoreError as error:  # the system does not let us read any of it
            self.wrong.append(error)


def read(run: MaintenanceRun) -> Readable:
    """Read a run's folder, but for what it was for."""
    found = Readable()
    found.events = tuple(found.whole(lambda: run.each(EVENTS, Event)))
    found.has_all_events = not found.wrong
    found.removed = dict(found.whole(lambda: run.examined(found.events)))
    found.files = tuple(found.whole(lambda: run.each_file(found.events)))
    found.marked = tuple(one for one in found.whole(lambda: run.each(MANIFEST, EntryRecord)) if one.action == "archive")
    return found
