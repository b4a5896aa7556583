"""Executing a plan: stage, verify, promote, record, retire; whatever happens, exactly one store counts at every moment.

The moment at which the new store begins to count is one rename. Which one depends on the order of authority (`stores.authority`): a store
that outranks the old one counts as soon as it has its name; one that does not, as soon as the old one has lost its own. In both cases the
store that counts carries a record that knows the other, so that nobody who opens the folder in between sees two that disagree.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

import msgspec

from sessionlab.entry import canonical_digest
from sessionlab.errors import MigrationFailedError, StalePlanError, StoreError, UncertainWriteError
from sessionlab.migration.reading import read_all, sessions_in
from sessionlab.migration.records import Plan
from sessionlab.migration.report import Report, write_report
from sessionlab.migration.run_folder import RunFolder
from sessionlab.migration.stage import Stage, begin, remove_abandoned
from sessionlab.runs import ENDS, remove_unborn
from sessionlab.storage.files import fsync_folder, refused, remove_leftovers
from sessionlab.storage.kernel_lock import KernelLock
from sessionlab.stores import promotion as promotions
from sessionlab.stores.authority import authority, promotion_of, refuse_split
from sessionlab.stores.base import Fingerprint, fingerprint_of
from sessionlab.stores.directory import DirectoryStore
from sessionlab.stores.location import StoreKind, StoreLocation, open_for_writing_at
from sessionlab.stores.promotion import LeftBehind, Promotion
from sessionlab.stores.sqlite import SQLiteStore
from sessionlab.stores.writing import WritableStore

Progress = Callable[[str, int, int], None]
"""Told what is being done, how many sessions of it are done, and of how many."""

_RANK: Final[dict[StoreKind, int]] = {"directory": 3, "sqlite": 2, "openclaw": 1, "json": 0}
LOCK_TIMEOUT_MS: Final = 30_000


def execute(
    plan: Plan,
    *,
    root: Path,
    now_ms: int,
    on_progress: Progress | None = None,
    timeout_ms: float = LOCK_TIMEOUT_MS,
    replan: Callable[[], Plan] | None = None,
) -> Report:
    """Carry out a plan.

    Until the new store is promoted, the old one is as it was, and counts; afterwards the new one does. A process that is killed leaves one
    of these two states, and at most a stage, which the next run removes.

    Args:
        plan: What `plan_migration` returned; it is used once.
        root: The state folder or sessions folder that the run's own folder is made in, below `.sessionlab/runs`.
        now_ms: The clock, epoch ms.
        on_progress: Told how the work goes on.
        timeout_ms: How long to wait for the store's lock.
        replan: Makes the plan anew when the store was written after it was made. Called under the lock, so that a store which is written
            all the time is moved, too; the run's folder then holds the new plan. Without it such a plan is stale.

    Raises:
        StalePlanError: The store is not what it was when the plan was made; nothing was changed.
        StoreLockedError: Somebody else writes the store all the time; nothing was changed.
        UnwritableError: The system refuses; the old store counts.
        UncertainWriteError: The system refuses when the new store has its place already: the next run finishes this one.
        MigrationFailedError: What was staged is not what it should be; the old store counts.
    """
    return _Execution(plan, root=root, now_ms=now_ms, on_progress=on_progress).run(timeout_ms, replan)


def finish(run: RunFolder, *, to: StoreKind | None = None, timeout_ms: float = LOCK_TIMEOUT_MS) -> Report | None:
    """Finish a run that was stopped, if its new store has its name already: retire the old one, and complete the run's folder.

    One that never came so far, or whose old store still counts and has been written since, is noted as abandoned: plan anew. A run that
    another process is busy with is waited for, because that one holds the store's lock.

    Args:
        run: The folder of the run.
        to: What is wanted now. Where the old store still counts and something else is wanted, the run is abandoned.
        timeout_ms: How long to wait for the store's lock.

    Returns:
        The report; `None` when there was nothing to finish.

    Raises:
        SplitStoreError: The new store counts, and the old one has been written since.
        StoreError: As for `execute`.
    """
    plan = run.head()  # of a run that was stopped early that may be all there is
    return _Execution(plan, root=run.path, now_ms=plan.created_ms, on_progress=None).finish(run, to, timeout_ms)


class _Execution:
    """One run. The order of its steps is what makes it safe; each is noted before it is done."""

    def __init__(self, plan: Plan, *, root: Path, now_ms: int, on_progress: Progress | None) -> None:
        self.plan = plan
        self.source = location_of(plan)
        self.target = replace(self.source, kind=plan.target_kind, path=Path(plan.target_path))
        self._root = root
        self._now_ms = now_ms
        self._started = time.monotonic()
        self._tell = on_progress or (lambda _what, _done, _total: None)
        self._outranks = _RANK[self.target.kind] > _RANK[self.source.kind]

    def run(self, timeout_ms: float, replan: Callable[[], Plan] | None) -> Report:
        store = open_for_writing_at(self.source, durability="commit", timeout_ms=timeout_ms)
        self._tell("wait for the store's lock", 0, len(self.plan.moved))
        with store, store.held():
            self._refuse_stale()
            self._folder = RunFolder.create(self.plan, root=self._root)
            self._note("locked", self.plan.source.path)
            self._tidy()
            for left in remove_abandoned(self.target.path):
                self._note("removed an abandoned stage", str(left))
            try:
                stage, staged = self._staged()
            except StalePlanError:
                if replan is None:
                    raise
                self._take(replan())
                stage, staged = self._staged()
            try:
                self._note("promote", self.plan.target_path)
                if not self._outranks:
                    self._introduce(store, stage.path, staged)
                self._displace()
                self._rename(stage.path, self.target.path)
            except BaseException as error:
                stage.discard()
                if isinstance(error, OSError):  # what was to be renamed has vanished
                    raise refused(self.target.path, error) from error
                raise
            try:
                store.close()
                self._retire()
                return self._completed()
            except (StoreError, OSError) as error:
                reason = f"is in its place, whole and verified, but the run could not be ended ({error})"
                raise UncertainWriteError(self.target.path, reason, advice="run it again, which ends it") from error

    def finish(self, run: RunFolder, to: StoreKind | None, timeout_ms: float) -> Report | None:
        self._folder = run
        with self._held(timeout_ms):
            self._tidy()
            events = run.events()
            if events and events[-1].act in ENDS:  # somebody else was quicker, or only the report is missing
                if not run.has_ended():
                    write_report(self._folder)
                return None
            run.cut_torn_event()
            if events:
                self._started -= events[-1].seconds
            if not any(one.act == "promote" for one in events) or not self._may_be_retired(to):
                for left in remove_abandoned(self.target.path):
                    self._note("removed an abandoned stage", str(left))
                if any(one.act == "promote" for one in events):
                    self._put_back()
                self._note("abandoned")
                return None
            self._note("finish", self.plan.target_path)
            if os.path.lexists(self.source.path):
                self._retire()
            elif self.plan.retired_path:
                self._move_logs(self.source, Path(self.plan.retired_path))
            return self._completed()

    @contextlib.contextmanager
    def _held(self, timeout_ms: float) -> Iterator[None]:
        """Hold the old store's lock, also where the store has lost its name already: whoever took that may not be done yet."""
        path = self.source.path
        if self.source.kind == "directory" and not os.path.lexists(path):
            path = Path(self.plan.retired_path or path)  # its lock lies in it, and went along
        if self.source.kind == "sqlite" and not os.path.lexists(path):
            lock = KernelLock(path.with_name(f"{path.name}.lock"), timeout_ms)
            with contextlib.closing(lock), lock.held():
                yield
        elif self.source.kind == "directory" and not os.path.lexists(path):
            yield
        else:
            store = open_for_writing_at(replace(self.source, path=path), durability="commit", timeout_ms=timeout_ms)
            with store, store.held():
                store.close()
                yield

    def _may_be_retired(self, to: StoreKind | None) -> bool:
        """Say whether the new store has its name, and holds what the old one does: only then may that lose its own."""
        if not os.path.lexists(self.target.path):
            return False
        if not os.path.lexists(self.source.path):
            return not self.plan.retired_path or os.path.lexists(self.plan.retired_path)
        counts = authority([self.source, self.target])
        if counts is None or counts.path != (self.target if self._outranks else self.source).path:
            return False
        if self._outranks:
            record = promotion_of(self.target)
            is_ours = record is not None and any(
                (one.kind, one.sha256) == (self.plan.source.kind, self.plan.source.sha256) for one in record.left
            )
            if is_ours:
                refuse_split(counts)
            return is_ours
        if to not in (None, self.target.kind):
            return False
        if not self._target_holds_what_was_moved():
            return False
        held = {(one.spelling, one.source_digest) for one in read_all(self.source)}
        return held == {pair for one in self._folder.plan().entries for pair in one.in_source()}

    def _target_holds_what_was_moved(self) -> bool:
        moved = {one.key: one.digest for one in self._folder.plan().moved}
        return {key: canonical_digest(entry).hex() for key, entry in sessions_in(self.target)} == moved

    def _put_back(self) -> None:
        """Give its place back to what was moved out of the way of a new store that never came to count."""
        displaced = replace(self.target, path=Path(self.plan.displaced_to))
        if not self.plan.displaced_to or not os.path.lexists(displaced.path):
            return
        if os.path.lexists(self.target.path):
            if self._outranks or not self._target_holds_what_was_moved():
                return  # somebody's
            self._move(self.target, Path(f"{self.target.path}.orphan.{self.plan.created_ms + 1}"))  # the other may be called so without 1
        self._move(displaced, self.target.path)

    def _tidy(self) -> None:
        """Remove the temporary files that killed runs left: nobody else knows their names."""
        self._folder.remove_leftovers()
        remove_unborn(self._folder.path.parent)
        if self.source.kind == "json":
            remove_leftovers(self.source.path, of=(f"{self.source.path.name}.lock",))

    def _completed(self) -> Report:
        self._note("done")
        return write_report(self._folder)

    def _take(self, plan: Plan) -> None:
        """Go on with a plan that was made under the lock: nobody writes the store any more."""
        self.plan = msgspec.structs.replace(plan, run_id=self.plan.run_id, root=str(self._root.absolute()))
        self._note("plan anew: the store was written meanwhile", self.plan.source.path)
        self._folder.write_plan(self.plan)

    def _staged(self) -> tuple[Stage, Fingerprint]:
        """Make the whole new store beside its place, and verify it."""
        self._note("stage", self.plan.target_path)
        stage = begin(self.target.kind, self.target.path, now_ms=self._now_ms)
        try:
            return stage, self._filled(stage)
        except BaseException:
            stage.discard()
            raise

    def _filled(self, stage: Stage) -> Fingerprint:
        """Fill the stage, finish it and verify it."""
        self._fill(stage)
        record = None
        if self.target.kind != "json":
            order = tuple(one.key for one in self.plan.moved) if self.target.kind == "directory" else ()
            record = Promotion(promoted_at=self._now_ms, left=(*self._left_by_source(), *self._inherited()), order=order)
        stage.finish(record)
        self._note("verify", str(stage.path))
        return self._verified(stage.path)

    def _fill(self, stage: Stage) -> None:
        """Write every session that the plan moves, and make sure that the source still holds what it held then."""
        wanted = {one.key: one for one in self.plan.moved}
        arrived: set[str] = set()
        seen = 0
        for one in read_all(self.source):
            seen += 1
            planned = wanted.get(one.key)
            if one.entry is None or planned is None or one.digest != planned.digest or one.key in arrived:
                continue
            stage.add(one.key, one.entry, one.data)
            arrived.add(one.key)
            if not len(arrived) % 100:
                self._tell("stage", len(arrived), len(wanted))
        if arrived != wanted.keys() or seen != self.plan.source.sessions:
            raise StalePlanError(self.source.path, "changed after the plan was made; nothing was moved", advice="plan again")

    def _verified(self, staged: Path) -> Fingerprint:
        """Read the stage as a store, and compare it with the plan, session by session."""
        wanted = {one.key: one.digest for one in self.plan.moved}
        digests: list[tuple[str, bytes]] = []
        wrong: list[str] = []
        try:
            for key, entry in sessions_in(replace(self.target, path=staged)):
                digest = canonical_digest(entry)
                digests.append((key, digest))
                if wanted.pop(key, None) != digest.hex():
                    wrong.append(key)
                if not len(digests) % 100:
                    self._tell("verify", len(digests), len(self.plan.moved))
        except StoreError as error:
            raise MigrationFailedError(staged, f"what was staged cannot be read: {error.reason}", advice="run it again") from error
        if wrong or wanted:
            named = next(iter([*wrong, *wanted]))
            reason = f"{len(wrong)} sessions staged are not what they should be, {len(wanted)} are missing; the first is {named[:80]!r}"
            raise MigrationFailedError(staged, reason, advice="nothing was promoted: report this, with the run's folder")
        return fingerprint_of(digests)

    def _left_by_source(self) -> tuple[LeftBehind, ...]:
        if not self._outranks:
            return ()
        plan = self.plan.source
        held = Fingerprint(plan.sessions, plan.sha256)
        found = self.source.path.stat()
        return (promotions.identity(plan.kind, self.source.path, held, folder=self.target.path.parent, found=found),)

    def _inherited(self) -> tuple[LeftBehind, ...]:
        """Return what the source itself left behind: it may still lie there."""
        record = promotion_of(self.source)
        return record.left if record is not None else ()

    def _introduce(self, store: WritableStore, staged: Path, fingerprint: Fingerprint) -> None:
        """Let the source know the new store, which has its name before the source has lost its own."""
        folder = self.source.path.parent
        known = promotions.identity(self.target.kind, self.target.path, fingerprint, folder=folder, found=staged.stat())
        before = promotion_of(self.source) or Promotion(promoted_at=self._now_ms)
        record = Promotion(promoted_at=self._now_ms, left=(known, *before.left), order=before.order)
        self._note("introduce the new store to the old one", self.plan.source.path)
        if not isinstance(store, SQLiteStore | DirectoryStore):
            raise TypeError(f"{store.kind} keeps no record of a promotion")
        store.promote(record, is_held=True)

    def _displace(self) -> None:
        """Move what lies in the new store's place out of the way."""
        if os.path.lexists(self.target.path):
            if not self.plan.displaced_to:
                raise StalePlanError(self.target.path, "came into being after the plan was made; nothing was moved", advice="plan again")
            self._move(self.target, Path(self.plan.displaced_to))
        else:  # a log without its database, which a kill may leave: it would be taken for that of the new one
            self._move_logs(self.target, Path(f"{self.target.path}.orphan.{self.plan.created_ms}"))

    def _retire(self) -> None:
        """Take the old store's name away, by its rule."""
        if self.plan.retired_path:
            self._move(self.source, Path(self.plan.retired_path))

    def _move(self, location: StoreLocation, to: Path) -> None:
        """Rename a store; a database's log goes with it."""
        self._note("rename", f"{location.path} -> {to}")
        self._rename(location.path, to)
        self._move_logs(location, to)

    def _move_logs(self, location: StoreLocation, to: Path) -> None:
        if location.kind == "sqlite":
            for suffix in ("-wal", "-shm"):
                log = Path(f"{location.path}{suffix}")
                with contextlib.suppress(FileNotFoundError):
                    self._rename(log, Path(f"{to}{suffix}"))

    def _rename(self, old: Path, new: Path) -> None:
        try:
            old.rename(new)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise refused(old, error) from error
        fsync_folder(new.parent, written=new)

    def _refuse_stale(self) -> None:
        """Raise when the new store counts already: somebody else has moved the sessions meanwhile."""
        found = [one for one in (self.source, self.target) if os.path.lexists(one.path)]
        counts = authority(found)
        if counts is None or counts.path != self.source.path:
            raise StalePlanError(self.source.path, "does not count any more; nothing was moved", advice="plan again")

    def _note(self, act: str, detail: str = "") -> None:
        self._folder.note(act, seconds=time.monotonic() - self._started, detail=detail)


def location_of(plan: Plan) -> StoreLocation:
    """Return where a plan's source lies, or lay."""
    path = Path(plan.source.path)
    return StoreLocation(plan.agent_id, plan.source.kind, path, path.parent)
