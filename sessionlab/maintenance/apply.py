"""Carrying out a plan: entries are put by, then removed, then their transcripts renamed. A kill in between duplicates and never loses.

An entry that was updated since the plan was made stays, and so does a transcript that an entry refers to by now: what is decided again,
under the store's lock, is only whether to leave something alone.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final

import msgspec

from sessionlab.entry import Entry, SessionSummary
from sessionlab.errors import UsageError
from sessionlab.maintenance.files import session_files
from sessionlab.maintenance.plan import FileDecision, MaintenancePlan
from sessionlab.maintenance.run_folder import FileRecord, MaintenanceRun
from sessionlab.storage.files import fsync_folder, refused
from sessionlab.stores.location import StoreLocation, open_for_writing_at
from sessionlab.stores.snapshot import Snapshot
from sessionlab.stores.writing import WritableStore

LOCK_TIMEOUT_MS: Final = 30_000


class MaintenanceReport(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a maintenance (D.16).

    Attributes:
        run_id: Which run.
        agent_id: Whose sessions.
        before_count: Sessions in the store before.
        after_count: Afterwards.
        removed: Action -> how many entries were removed for it.
        archived: Entries that were marked as archived, and stay.
        kept_since: Entries that stay because they were updated after the plan was made.
        renamed: Transcripts that were archived.
        deleted: Files that were removed for good.
        freed_bytes: Of those.
        left_alone: Files that stay because something has changed since.
        seconds: From the lock to the end.
    """

    run_id: str
    agent_id: str
    before_count: int
    after_count: int
    removed: dict[str, int]
    archived: int
    kept_since: int
    renamed: int
    deleted: int
    freed_bytes: int
    left_alone: tuple[str, ...]
    seconds: float


def apply_plan(
    plan: MaintenancePlan,
    location: StoreLocation,
    *,
    root: Path,
    active_key: str | None = None,
    allow_empty: bool = False,
    timeout_ms: float = LOCK_TIMEOUT_MS,
) -> MaintenanceReport:
    """Carry out a plan.

    Args:
        plan: What `plan_maintenance` returned for this store; its policy has to be one that is enforced.
        location: The store that counts.
        root: The state folder or sessions folder that the run's own folder is made in, below `.sessionlab/runs`.
        active_key: As it was given for the plan.
        allow_empty: Remove even all entries of a store.
        timeout_ms: How long to wait for the store's lock.

    Raises:
        UsageError: The policy only warns, or would empty the store.
        StoreLockedError: Somebody else writes the store all the time; nothing was changed.
        UnwritableError: The system refuses. What is gone from the store by then is in the run's folder.
        StoreError: The store cannot be read.
    """
    if not plan.policy.is_enforced:
        raise UsageError("the policy only warns; enforce it to have anything removed")
    if plan.before.sessions and not plan.after.sessions and not allow_empty:
        reason = f"would remove all {plan.before.sessions} sessions of {location.path}"
        raise UsageError(f"the policy {reason}; if that is meant, allow an empty store by name")
    run = MaintenanceRun.create(plan, location, root=root, active_key=active_key)
    with open_for_writing_at(location, durability="commit", timeout_ms=timeout_ms) as store:
        return _Maintenance(plan, location, store, run).carry_out()


class _Maintenance:
    """One run on one store."""

    def __init__(self, plan: MaintenancePlan, location: StoreLocation, store: WritableStore, run: MaintenanceRun) -> None:
        self._plan, self._location, self._store, self._run = plan, location, store, run
        self._started = time.monotonic()
        self._renamed = self._deleted = self._freed = 0
        self._left_alone: list[str] = []

    def carry_out(self) -> MaintenanceReport:
        actions = {one.key: one.action for one in self._plan.removed}
        wanted = {one.key: one.updated_ms for one in self._plan.removed}
        self._note("archive", str(self._location.path))
        gone = self._store.take_out(wanted, keep=self._put_by, then=self._look_after_files)
        archived = self._mark_archived()
        self._note("done")
        counts: dict[str, int] = {}
        for key in gone:
            counts[actions[key]] = counts.get(actions[key], 0) + 1
        report = MaintenanceReport(
            run_id=self._run.path.name,
            agent_id=self._location.agent_id,
            before_count=self._plan.before.sessions,
            after_count=self._store.count(),
            removed=counts,
            archived=archived,
            kept_since=len(wanted) - len(gone),
            renamed=self._renamed,
            deleted=self._deleted,
            freed_bytes=self._freed,
            left_alone=tuple(self._left_alone),
            seconds=round(time.monotonic() - self._started, 3),
        )
        self._run.write_report(msgspec.json.format(msgspec.json.encode(report), indent=2))
        return report

    def _put_by(self, entries: Iterator[tuple[str, Entry]]) -> None:
        number = self._run.archive(entries)
        self._note("remove", f"{number} entries")

    def _look_after_files(self, gone: tuple[str, ...]) -> None:
        """Rename and remove files, under the store's lock: nobody can come to refer to one meanwhile."""
        if not self._plan.files:
            return
        folder = self._location.sessions_dir
        referred = _referred(self._store.summaries(), self._plan, folder, store=self._location.path)
        records = {one.name: one for one in self._run.files()}
        removed = set(gone)
        for one in self._plan.files:
            if one.name in referred or (one.key and one.key not in removed):
                self._left_alone.append(one.name)
                continue
            self._note(one.action, one.name)
            if not self._done(one, records[one.name], folder):
                self._left_alone.append(one.name)
        fsync_folder(folder, written=folder)

    def _done(self, one: FileDecision, record: FileRecord, folder: Path) -> bool:
        """Do it; say whether the file was still what it was, and there."""
        path = folder / one.name
        try:
            if path.is_symlink() or not path.is_file() or (one.action != "archive" and path.stat().st_size != one.bytes):
                return False
            if one.action == "archive":
                to = folder / record.renamed_to
                if os.path.lexists(to):
                    return False
                path.rename(to)
                self._renamed += 1
            else:
                path.unlink()
                self._deleted += 1
                self._freed += one.bytes
        except FileNotFoundError:
            return False
        except OSError as error:
            raise refused(path, error) from error
        return True

    def _mark_archived(self) -> int:
        """Mark stale entries as archived, those that were not updated since, in one step."""
        wanted = {one.key: one.updated_ms for one in self._plan.entries if one.action == "archive"}
        marked = 0

        def mark(draft: Snapshot) -> None:
            nonlocal marked
            for key, updated_ms in wanted.items():
                with contextlib.suppress(KeyError):
                    entry = draft[key]
                    if entry.get("updatedAt") == updated_ms and "archivedAt" not in entry:
                        entry["archivedAt"] = self._plan.now_ms
                        marked += 1

        if wanted:
            self._note("mark as archived", f"{len(wanted)} entries")
            self._store.transform(mark)
        return marked

    def _note(self, act: str, detail: str = "") -> None:
        self._run.note(act, seconds=time.monotonic() - self._started, detail=detail)


def _referred(summaries: Iterator[SessionSummary], plan: MaintenancePlan, folder: Path, *, store: Path) -> Collection[str]:
    """Return the names of those of the plan's files that an entry refers to now."""
    names = {one.name for one in plan.files}
    files = session_files(folder, store_names=[store.name])
    return {file.name for one in summaries for file in files.of(one) if file.name in names}
