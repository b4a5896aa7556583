"""Maintenances with one mistake each, of the kinds that are made: the torture has to find every one of them.

Each is a prelude for a program: it changes maintenance in that process before the command line runs.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sessionlab.entry import Entry
from sessionlab.maintenance import apply, finishing, plan
from sessionlab.maintenance.apply import Caretaker, _Maintenance
from sessionlab.maintenance.run_folder import MaintenanceRun
from sessionlab.stores.writing import WritableStore


def prelude(name: str) -> str:
    """Return the Python that makes one of these mistakes."""
    return f"from tests.torture import broken_maintenance\nbroken_maintenance.{name}()\n"


def _put(where: object, name: str, what: object) -> None:
    setattr(where, name, what)


def removes_before_archiving() -> None:
    """Take entries out of the store, and put them by afterwards."""
    take_out = WritableStore.take_out

    def taken_out(
        self: WritableStore,
        wanted: dict[str, int | None],
        *,
        still: Callable[[str, Entry], bool],
        keep: Callable[[Iterator[tuple[str, Entry]]], None],
        then: Callable[[tuple[str, ...]], None],
    ) -> tuple[str, ...]:
        seen: list[tuple[str, Entry]] = []
        gone = take_out(self, wanted, still=still, keep=seen.extend)
        keep(iter(seen))
        then(gone)
        return gone

    _put(WritableStore, "take_out", taken_out)


def syncs_no_archive() -> None:
    """Remove entries before what was put by of them is on the disk."""
    archive = MaintenanceRun.archive

    def archived(self: MaintenanceRun, removed: Iterator[tuple[str, Entry]]) -> int:
        fsync = os.fsync
        _put(os, "fsync", lambda _descriptor: None)
        try:
            return archive(self, removed)
        finally:
            _put(os, "fsync", fsync)

    _put(MaintenanceRun, "archive", archived)


def renames_first() -> None:
    """Archive transcripts while their entries are still in the store."""
    put_by = _Maintenance._put_by

    def renamed(self: _Maintenance, entries: Iterator[tuple[str, Entry]]) -> None:
        held = list(entries)
        put_by(self, iter(held))
        self._files.look_after(self._plan.files, {key for key, _ in held}, ())

    _put(_Maintenance, "_put_by", renamed)
    _put(_Maintenance, "_look_after_files", lambda _self, _gone: None)


def archives_what_is_in_use() -> None:
    """Archive a transcript that another entry refers to."""
    look_after = Caretaker.look_after
    _put(plan, "Counter", lambda _names: {})
    _put(Caretaker, "look_after", lambda self, decided, gone, _summaries: look_after(self, decided, gone, ()))


def forgets_renames() -> None:
    """Say that it is done before new names are on the disk."""
    _put(apply, "fsync_folder", lambda _folder, **_: None)


def finishes_nothing() -> None:
    """Leave what stopped runs had left to do."""
    _put(finishing, "stopped_runs", lambda _location, **_: [])


def swallows_errors() -> None:
    """Go on when entries cannot be put by."""
    archive = MaintenanceRun.archive

    def archived(self: MaintenanceRun, removed: Iterator[tuple[str, Entry]]) -> int:
        held = list(removed)
        try:
            return archive(self, iter(held))
        except Exception:  # noqa: BLE001 - this is the mistake
            return len(held)

    _put(MaintenanceRun, "archive", archived)


def touches_other_files() -> None:
    """Remove a file that nobody decided on."""
    look_after = Caretaker.look_after

    def looked_after(self: Caretaker, *arguments: Any, **options: Any) -> None:
        Path(self._folder, "notes.md").unlink(missing_ok=True)
        look_after(self, *arguments, **options)

    _put(Caretaker, "look_after", looked_after)
