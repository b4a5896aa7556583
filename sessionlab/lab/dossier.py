"""The dossier of a migration: what an auditor asks about one run, be it done, stopped, undone, or only tried on a private copy.

Opening one reads only. A dry run does everything on a copy that goes away with the dossier; only who asks for no dry run moves sessions.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import weakref
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

from sessionlab import keys, layout, resources, scratch
from sessionlab.errors import CorruptStoreError, NoStoreError, UsageError
from sessionlab.lab.clock import Clock, clock_of
from sessionlab.lab.session import SAMPLE_NAME, chosen_path
from sessionlab.migration.audit import Audit, audit_run
from sessionlab.migration.execute import execute, location_of
from sessionlab.migration.places import named_store, root_of, runs_of
from sessionlab.migration.plan import MIGRATABLE, plan_from
from sessionlab.migration.records import Plan
from sessionlab.migration.rehearsal import copy_store
from sessionlab.migration.run_folder import RunFolder
from sessionlab.migration.startup import migrate_one
from sessionlab.runs import MANIFEST, PLAN, RUNS, Event
from sessionlab.stores.authority import refuse_split
from sessionlab.stores.locating import agent_root, locate, only
from sessionlab.stores.location import StoreKind, StoreLocation

Standing = Literal["holds", "changed", "elsewhere", "rolled-back", "gone", "contradictory", "abandoned", "unfinished"]
"""All that was moved is there as it was moved; some of it is not any more; another store counts, or none; the sessions were led back; the
folder's files do not agree; nothing was moved; the run has no end."""

_STAGE: Final = re.compile(r"\.staging-\d+-\d+")


class PrivateFolder:
    """A folder below `TMPDIR` that goes away with this object, and with the process at the latest."""

    def __init__(self) -> None:
        """Make it."""
        self.path = scratch.make_folder("dossier")
        self.remove = weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dossier:
    """One run and what can be said of it. Close it when it was opened on a private copy.

    Attributes:
        source: What it is about, in words; machine independent for the bundled sample.
        clock: The moment it was opened, or the one given.
        run: The run's folder.
        plan: What was planned; its entries are missing where the run was stopped before it had written them down.
        events: What was done.
        audit: What an audit found; `None` of a run that did not come to its end.
        standing: See `Standing`.
        back: The plan of the run that led back, if one did.
        old: Where the store lies that the sessions came from; `None` when it is gone.
        new: Where the store lies that they went to; `None` when it is gone.
        is_dry_run: Whether it was only tried, on a copy.
        is_move: Whether opening it moved the sessions.
        private: The copy, if there is one.
        names: (folder of the copy, what to call it).
    """

    source: str
    clock: Clock
    run: RunFolder
    plan: Plan
    events: tuple[Event, ...]
    audit: Audit | None
    standing: Standing
    back: Plan | None
    old: StoreLocation | None
    new: StoreLocation | None
    is_dry_run: bool = False
    is_move: bool = False
    private: PrivateFolder | None = None
    names: tuple[str, str] = ("", "")

    @property
    def manifest_sha256(self) -> str:
        """The digest of the manifest's bytes: what `sha256sum manifest.jsonl` prints. "" when there is none."""
        path = self.run.path / MANIFEST
        return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""

    def shown(self, text: str | Path) -> str:
        """Return a path, or a text with paths, as a reader knows it: those of a private copy as of what was copied."""
        if self.private is None:
            return str(text)
        old, new = self.names
        return _STAGE.sub(".staging-…", str(text).replace(f"{old}/", f"{new}/").replace(f"{self.private.path}/", ""))

    def close(self) -> None:
        """Remove the private copy. Calling it again does nothing."""
        if self.private is not None:
            self.private.remove()


def open_dossier(
    run_dir: str | Path = "",
    *,
    source: str | Path = "",
    target: str = "sqlite",
    agent: str = "",
    dry_run: bool = True,
    set_aside: bool = False,
    now_ms: int = 0,
) -> Dossier:
    """Open the dossier of a run, or try a migration, or carry one out.

    Args:
        run_dir: The folder of a run; then nothing else may be given but the clock.
        source: A store, an agent's folder or a state folder; "" for the bundled sample, of which a copy is taken whatever is asked for.
        target: "json", "sqlite" or "directory".
        agent: Whose store, when the source has several; "" for the only one, else that of the default agent.
        dry_run: Try it on a private copy, and only read the source; entries that cannot be read are left out there, and named.
        set_aside: Without a dry run: leave out entries that cannot be read, instead of refusing.
        now_ms: The clock, epoch ms; 0 for a synthetic folder's own, else for now.

    Raises:
        UsageError: What is asked for makes no sense.
        NoStoreError: There is no such run, or no store.
        StoreError: What the migration itself would raise; the store is as it was.
    """
    if str(run_dir):
        if str(source):
            raise UsageError("give either run_dir or source: a run knows what it moved")
        return _of_run(layout.expanded(Path(run_dir)), now_ms)
    path = chosen_path(source)
    location = _location(path, agent)
    kind = _checked(location, target)
    clock, name = clock_of(path, now_ms), SAMPLE_NAME if not str(source) else str(path)
    if dry_run:
        return _tried(location, kind, clock, name)
    return _moved(location, kind, clock, name, set_aside=set_aside)


def dossier_of(run: RunFolder, *, source: str, clock: Clock) -> Dossier:
    """Return the dossier of a run.

    Raises:
        StoreError: The run's folder, or the store, cannot be read.
    """
    events = run.events()
    last = events[-1].act if events else ""
    try:
        plan = run.plan()
    except CorruptStoreError:
        if any(event.act == "promote" for event in events):
            raise
        plan = run.head()  # it was stopped while it wrote its manifest: nothing was moved
    audit = audit_run(run.path) if last == "done" else None
    back = _way_back(run, plan)
    old, new = Path(plan.retired_path or plan.source.path), Path(plan.target_path)
    if back is not None:
        old = Path(back.displaced_to) if back.displaced_path == str(old) else old
        new = Path(back.retired_path or back.source.path)
    base = location_of(plan)
    return Dossier(
        source=source,
        clock=clock,
        run=run,
        plan=plan,
        events=events,
        audit=audit,
        standing=_standing(plan, audit, back, last),
        back=back,
        old=replace(base, path=old) if old.exists() else None,
        new=replace(base, kind=plan.target_kind, path=new) if new.exists() and last == "done" else None,
    )


def _of_run(folder: Path, now_ms: int) -> Dossier:
    if not folder.is_dir():
        raise NoStoreError(folder, "there is no such folder", advice="give that of a run, which 'sessionlab migrate' prints")
    return dossier_of(RunFolder.open(folder), source=str(folder), clock=clock_of(folder, now_ms))


def _standing(plan: Plan, audit: Audit | None, back: Plan | None, last: str) -> Standing:
    if audit is None:
        return "abandoned" if last == "abandoned" else "unfinished"
    if audit.verdict in ("contradictory", "gone", "holds"):
        return audit.verdict
    if audit.counts_now == plan.target_path:
        return "changed"
    return "rolled-back" if back is not None and audit.counts_now == plan.source.path else "elsewhere"


def _way_back(run: RunFolder, plan: Plan) -> Plan | None:
    """Return the plan of the first run after this one that led back."""
    store = Path(plan.source.path)
    beside = (RunFolder(folder) for folder in sorted(run.path.absolute().parent.iterdir()) if (folder / PLAN).is_file())
    known = runs_of(replace(location_of(plan), root=agent_root(store)))
    for other in {one.path.name: one for one in (*beside, *known)}.values():
        head, events = other.head(), other.events()
        is_later = head.created_ms >= plan.created_ms and head.run_id != plan.run_id
        if is_later and head.operation == "rollback" and head.source.path == plan.target_path and events and events[-1].act == "done":
            return head
    return None


def _location(path: Path, agent: str) -> StoreLocation:
    found = locate(path)
    location = only(found, path, agent=agent or (keys.DEFAULT_AGENT if len(found) > 1 else None))
    return named_store(path) if location.path == path else location


def _checked(location: StoreLocation, target: str) -> StoreKind:
    kind = next((kind for kind in MIGRATABLE if kind == target), None)
    if kind is None:
        raise UsageError(f'target="{target}" is no kind of store; give {", ".join(MIGRATABLE)}')
    if location.kind == kind:
        raise UsageError(f"{location.path}: is a store of type {kind} already; choose another target")
    if location.kind not in MIGRATABLE:
        raise UsageError(f"{location.path}: is OpenClaw's own database, which is only read: 'sessionlab export' writes files of it")
    refuse_split(location)
    return kind


def _tried(location: StoreLocation, kind: StoreKind, clock: Clock, name: str) -> Dossier:
    """Carry a migration out on a private copy."""

    def run(copy: StoreLocation) -> Path:
        plan = plan_from(copy, kind, now_ms=clock.now_ms, set_aside=True, operation="migrate")
        if plan.entries and not plan.moved:
            raise CorruptStoreError(location.path, "not one of its entries can be moved", advice="mend it first")
        root = root_of(copy)
        return root / RUNS / execute(plan, root=root, now_ms=clock.now_ms).run_id

    return replace(_on_a_copy(location, run, clock, name), is_dry_run=True)


def _moved(location: StoreLocation, kind: StoreKind, clock: Clock, name: str, *, set_aside: bool) -> Dossier:
    """Carry a migration out; of the bundled sample on a copy of it."""

    def run(place: StoreLocation) -> Path:
        outcome = migrate_one(place, kind, now_ms=clock.now_ms, set_aside=set_aside)
        if outcome.error is not None:
            raise outcome.error
        if outcome.run_dir is None:
            raise UsageError(f"{location.path}: holds no session; there is nothing to move")
        return outcome.run_dir

    if location.path.is_relative_to(resources.sample_dir()):
        return replace(_on_a_copy(location, run, clock, name), is_move=True)
    return replace(dossier_of(RunFolder.open(run(location)), source=name, clock=clock), is_move=True)


def _on_a_copy(location: StoreLocation, run: Callable[[StoreLocation], Path], clock: Clock, name: str) -> Dossier:
    """Return the dossier of what `run` does to a private copy, and leaves in the run's folder that it returns."""
    private = PrivateFolder()
    copy = copy_store(location, private.path)
    made = dossier_of(RunFolder.open(run(copy)), source=name, clock=clock)
    sample, place = resources.sample_dir(), location.path.parent
    called = place.relative_to(sample) if place.is_relative_to(sample) else place
    return replace(made, private=private, names=(str(copy.path.parent), str(called)))
