"""Rehearsing a migration: everything is done on a private copy, there and back, and the copy is thrown away. The store itself is only read.

Transcripts are not copied: these migrations do not touch them.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from dataclasses import dataclass, replace
from pathlib import Path

from sessionlab.errors import CorruptStoreError, NoStoreError, StalePlanError, UnwritableError
from sessionlab.migration.execute import Progress, execute
from sessionlab.migration.plan import plan_from
from sessionlab.migration.records import Plan
from sessionlab.migration.report import Report
from sessionlab.scratch import make_folder
from sessionlab.stores.authority import refuse_split
from sessionlab.stores.location import StoreKind, StoreLocation


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal:
    """How a migration would go.

    Attributes:
        plan: What would be done to the store itself.
        report: What was done to the copy; its paths are those of the copy, which is gone.
        comes_back: Whether rolling the copy back gave the same sessions.
        copy_seconds: How long copying took.
        migrate_seconds: How long planning and moving took, verification included.
        rollback_seconds: How long the way back took.
        folder: Where the copy lay: the time is that of its file system.
    """

    plan: Plan
    report: Report
    comes_back: bool
    copy_seconds: float
    migrate_seconds: float
    rollback_seconds: float
    folder: Path


def rehearse(
    location: StoreLocation, to: StoreKind, *, now_ms: int, set_aside: bool = False, on_progress: Progress | None = None
) -> Rehearsal:
    """Migrate a private copy of a store, roll it back, and say how both went.

    Args:
        location: The store that counts, with its rivals.
        to: "json", "sqlite" or "directory".
        now_ms: The clock, epoch ms.
        set_aside: As for `plan_migration`.
        on_progress: As for `execute`.

    Raises:
        StalePlanError: The store was written while it was copied.
        UnwritableError: There is no room for the copy below `TMPDIR`.
        StoreError: What the migration itself would raise.
    """
    refuse_split(location)
    plan = plan_from(location, to, now_ms=now_ms, set_aside=set_aside, operation="migrate")
    folder = _scratch(location)
    try:
        started = time.monotonic()
        copy = copy_store(location, folder)
        copied = time.monotonic()
        try:
            own = plan_from(copy, to, now_ms=now_ms, set_aside=set_aside, operation="migrate")
        except CorruptStoreError as error:  # the store itself could be read a moment ago
            raise _busy(location) from error
        if own.entries != plan.entries:
            raise _busy(location)
        report = execute(own, root=folder, now_ms=now_ms, on_progress=on_progress)
        moved = time.monotonic()
        there = replace(copy, kind=to, path=Path(own.target_path), rivals=(), is_promoted=to != "json")
        back = execute(
            plan_from(there, location.kind, now_ms=now_ms + 1, set_aside=False, operation="rollback"), root=folder, now_ms=now_ms + 1
        )
        ended = time.monotonic()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return Rehearsal(
        plan=plan,
        report=report,
        comes_back=(back.sessions, back.sha256) == (report.sessions, report.sha256),
        copy_seconds=round(copied - started, 3),
        migrate_seconds=round(moved - copied, 3),
        rollback_seconds=round(ended - moved, 3),
        folder=folder.parent,
    )


def _scratch(location: StoreLocation) -> Path:
    try:
        return make_folder("rehearsal")
    except OSError as error:
        raise UnwritableError(location.path, f"cannot be copied: there is no temporary folder ({error.strerror})") from error


def copy_store(location: StoreLocation, folder: Path) -> StoreLocation:
    """Copy a store, and the rivals that lie beside it, into a state folder of its own; transcripts are left out.

    Args:
        location: The store.
        folder: The state folder: it is there, private and empty.

    Returns:
        Where the store lies there.

    Raises:
        StalePlanError: It was written meanwhile.
        UnwritableError: There is no room.
    """
    root = folder / "agents" / location.agent_id
    place = root / "sessions"
    place.mkdir(parents=True, mode=0o700)
    try:
        for one in (location, *location.rivals):
            if one.kind != "openclaw":
                _copy(one, place / one.path.name)
    except (FileNotFoundError, NoStoreError, shutil.Error) as error:
        raise _busy(location) from error
    except OSError as error:
        reason = f"there is no room for a copy of {location.path.name} ({error.strerror})"
        raise UnwritableError(folder.parent, reason, advice="set TMPDIR to a folder with room") from error
    rivals = tuple(
        replace(one, path=place / one.path.name, sessions_dir=place, root=root, rivals=())
        for one in location.rivals
        if one.kind != "openclaw"
    )
    return replace(location, path=place / location.path.name, sessions_dir=place, root=root, rivals=rivals)


def _copy(location: StoreLocation, to: Path) -> None:
    if location.kind == "directory":
        shutil.copytree(location.path, to, symlinks=True, ignore=shutil.ignore_patterns("*.lock"))
    elif location.kind == "sqlite":
        import sqlite3  # only for a SQLite store

        from sessionlab.stores.sqlite_snapshot import take_snapshot

        with take_snapshot(location.path) as snapshot, contextlib.closing(sqlite3.connect(to)) as copy:
            snapshot.connection.backup(copy)
        to.chmod(0o600)
    else:
        shutil.copyfile(location.path, to)
        to.chmod(0o600)
        found = location.path.stat()
        os.utime(to, ns=(found.st_atime_ns, found.st_mtime_ns))


def _busy(location: StoreLocation) -> StalePlanError:
    return StalePlanError(location.path, "was written while it was copied; nothing was done", advice="rehearse again, when it is quiet")
