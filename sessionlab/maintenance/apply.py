"""Carrying out a plan: entries are put by, then removed, then their transcripts renamed. A kill in between duplicates and never loses.

An entry that changed since the plan was made stays, and so does a transcript that an entry refers to by now: what is decided again,
under the store's lock, is only whether to leave something alone.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Final

import msgspec

from sessionlab import keys
from sessionlab.entry import Entry, SessionSummary
from sessionlab.errors import UsageError
from sessionlab.layout import parse_transcript_name
from sessionlab.maintenance.files import file_name, plain_names
from sessionlab.maintenance.judging_again import JudgingAgain
from sessionlab.maintenance.neighbours import summaries_beside
from sessionlab.maintenance.old_runs import OldRun, forget
from sessionlab.maintenance.plan import FileDecision, MaintenancePlan
from sessionlab.maintenance.run_folder import MaintenanceRun
from sessionlab.storage.files import fsync_folder, refused
from sessionlab.stores.location import StoreLocation, open_for_writing_at
from sessionlab.stores.snapshot import Snapshot
from sessionlab.stores.writing import WritableStore

LOCK_TIMEOUT_MS: Final = 30_000
_OF_ONE_FILE: Final = frozenset({errno.ENAMETOOLONG, errno.EPERM})
"""What the system says of one file, and will say again: it stays as it is, and keeps no other back."""


class MaintenanceReport(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a maintenance (D.16).

    Attributes:
        run_id: Which run.
        agent_id: Whose sessions.
        before_count: Sessions in the store before.
        after_count: Afterwards.
        removed: Action -> how many entries were removed for it.
        archived: Entries that were marked as archived, and stay.
        kept_since: Entries that stay as they are because they changed after the plan was made: they were updated, pinned, talked in.
        gone_since: Entries that somebody else removed after the plan was made.
        renamed: Transcripts that were archived.
        deleted: Files that were removed for good.
        freed_bytes: Of those.
        left_alone: Files that stay because something has changed since.
        forgotten: Archives of earlier maintenances that were removed for good.
        seconds: From the lock to the end.
    """

    run_id: str
    agent_id: str
    before_count: int
    after_count: int
    removed: dict[str, int]
    archived: int
    kept_since: int
    gone_since: int = 0
    renamed: int
    deleted: int
    freed_bytes: int
    left_alone: tuple[str, ...]
    forgotten: int = 0
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

    def begin() -> MaintenanceRun:
        return MaintenanceRun.create(plan, location, root=root, active_key=active_key)

    with open_for_writing_at(location, durability="commit", timeout_ms=timeout_ms) as store:
        return _Maintenance(plan, location, store, begin).carry_out()


class Caretaker:
    """Does to the files beside a store what was planned. Only for the holder of its lock: nobody can come to refer to one meanwhile.

    Attributes:
        renamed: How many transcripts were archived.
        deleted: How many files were removed for good.
        freed_bytes: Of those.
        left_alone: Names of files that something has changed about since.
    """

    def __init__(self, folder: Path, run: MaintenanceRun, *, started: float | None = None) -> None:
        """Do nothing yet; `started` is when the run was, by the monotonic clock."""
        self.renamed = self.deleted = self.freed_bytes = 0
        self.left_alone: list[str] = []
        self._folder, self._run = folder, run
        self._started = time.monotonic() if started is None else started

    def look_after(self, decided: Iterable[FileDecision], gone: Collection[str], summaries: Iterable[SessionSummary]) -> None:
        """Rename and remove files.

        Args:
            decided: What is to become of which; known to the run's folder.
            gone: The keys that have left the store.
            summaries: Of what is in it now.
        """
        wanted = {one.name: one for one in decided}
        if not wanted:
            return
        referred = _referred(wanted, summaries)
        renamed_to = {one.name: one.renamed_to for one in self._run.files()}
        # They are all named in the run's folder already, and forced to disk: one line for each would be a sync for each.
        self._run.note("files", seconds=time.monotonic() - self._started, detail=f"{len(wanted)} files")
        there = plain_names(self._folder)
        for one in wanted.values():
            is_in_use = one.name in referred or (one.key and one.key not in gone)
            if is_in_use or not self._done(one, renamed_to[one.name], there):
                self.left_alone.append(one.name)
        fsync_folder(self._folder, written=self._folder)

    def _done(self, one: FileDecision, renamed_to: str, there: Collection[str]) -> bool:
        """Do it; say whether the file was still what it was, and there. Nobody but this process renames anything here now."""
        path = f"{self._folder}{os.sep}{one.name}"  # for thousands of files, pathlib takes longer than the system
        if one.name not in there or renamed_to in there:
            return False
        try:
            if one.action != "archive" and os.lstat(path).st_size != one.bytes:
                return False
            if one.action == "archive":
                os.rename(path, f"{self._folder}{os.sep}{renamed_to}")  # noqa: PTH104
                self.renamed += 1
            else:
                os.unlink(path)  # noqa: PTH108
                self.deleted += 1
                self.freed_bytes += one.bytes
        except FileNotFoundError:
            return False
        except OSError as error:
            if error.errno in _OF_ONE_FILE:
                return False
            raise refused(Path(path), error) from error
        return True


def _referred(names: Iterable[str], summaries: Iterable[SessionSummary]) -> set[str]:
    """Return which of these names are transcripts of the sessions that there are; see `SessionFiles.of`."""
    live = {name: parsed.session_id for name in names if (parsed := parse_transcript_name(name)) is not None and parsed.source == "live"}
    own: defaultdict[str, list[str]] = defaultdict(list)
    for name, session_id in live.items():
        own[session_id].append(name)
    found: set[str] = set()
    for one in summaries:
        found.update(own.get(one.session_id or "", ()))
        if one.session_file and (name := file_name(one.session_file)) in live:
            found.add(name)
    return found


class _Maintenance:
    """One run on one store."""

    def __init__(self, plan: MaintenancePlan, location: StoreLocation, store: WritableStore, begin: Callable[[], MaintenanceRun]) -> None:
        self._plan, self._location, self._store, self._begin = plan, location, store, begin
        self._again = JudgingAgain(plan, location)
        self._unmarked = 0

    def carry_out(self) -> MaintenanceReport:
        actions = {one.key: one.action for one in self._plan.removed}
        wanted = {one.key: one.updated_ms for one in self._plan.removed}
        gone = self._store.take_out(wanted, still=self._again.still_holds, keep=self._put_by, then=self._look_after_files)
        archived = self._mark_archived()
        forgotten = self._forget_old_runs()
        passed = wanted.keys() - gone
        kept = passed & {one.key for one in self._store.summaries()} if passed else passed
        report = MaintenanceReport(
            run_id=self._run.path.name,
            agent_id=self._location.agent_id,
            before_count=self._plan.before.sessions,
            after_count=self._store.count(),
            removed=dict(Counter[str](actions[key] for key in gone)),
            archived=archived,
            kept_since=len(kept) + self._unmarked,
            gone_since=len(passed) - len(kept),
            renamed=self._files.renamed,
            deleted=self._files.deleted,
            freed_bytes=self._files.freed_bytes,
            left_alone=tuple(self._files.left_alone),
            forgotten=forgotten,
            seconds=round(time.monotonic() - self._started, 3),
        )
        self._run.write_report(msgspec.json.format(msgspec.json.encode(report), indent=2))
        self._note("done")
        return report

    def _put_by(self, entries: Iterator[tuple[str, Entry]]) -> None:
        self._started = time.monotonic()
        self._run = self._begin()
        self._files = Caretaker(self._location.sessions_dir, self._run, started=self._started)
        try:
            self._note("archive", str(self._location.path))
            number = self._run.archive(entries)
            self._note("remove", f"{number} entries")
        except BaseException:
            self._run.discard()  # nothing was removed yet
            raise

    def _look_after_files(self, gone: tuple[str, ...]) -> None:
        if self._plan.files:
            self._files.look_after(self._plan.files, frozenset(gone), chain(self._store.summaries(), summaries_beside(self._location)))

    def _mark_archived(self) -> int:
        """Mark entries as archived, with the reason, those that were not updated since, in one step."""
        wanted = {one.key: one for one in self._plan.entries if one.action == "archive"}
        marked = 0

        def mark(draft: Snapshot) -> None:
            nonlocal marked
            spellings = Counter(map(keys.normalise, draft))
            for key, one in wanted.items():
                with contextlib.suppress(KeyError):
                    entry = draft[key]
                    is_as_planned = entry.get("updatedAt") == one.updated_ms and "archivedAt" not in entry
                    # One that got another spelling since stays unmarked: writing it would remove the other.
                    if is_as_planned and spellings[keys.normalise(key)] == 1 and self._again.still_holds(key, entry):
                        entry["archivedAt"] = self._plan.now_ms
                        entry.setdefault("archiveReason", one.why)  # what the disk budget goes by later
                        marked += 1
                    else:
                        self._unmarked += 1

        if wanted:
            self._note("mark as archived", f"{len(wanted)} entries")
            self._store.transform(mark)
        return marked

    def _forget_old_runs(self) -> int:
        old = [OldRun(*one) for one in self._plan.old_runs]
        if old:
            self._note("forget", f"{len(old)} earlier runs")
        return forget(old, root=self._run.path.parents[2])

    def _note(self, act: str, detail: str = "") -> None:
        self._run.note(act, seconds=time.monotonic() - self._started, detail=detail)
