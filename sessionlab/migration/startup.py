"""Moving every agent's store of a state folder, as a program does when it starts: one failure never keeps the others back.

What came of each store is an outcome in the words of openclaw#51946 (C.29), and of all of them one line (C.41). Deviations: a store of more
than 64 MiB is moved, too, because those are the ones that hurt; OpenClaw's own database is skipped as invalid, because it is only read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, Literal

from sessionlab import layout
from sessionlab.errors import CorruptStoreError, NoStoreError, SessionLabError, StoreError, UsageError
from sessionlab.migration.execute import Progress, execute
from sessionlab.migration.inspect import inspect
from sessionlab.migration.places import named_store, root_of
from sessionlab.migration.plan import MIGRATABLE, plan_from
from sessionlab.migration.records import Plan
from sessionlab.migration.report import Report
from sessionlab.migration.resuming import resume, unfinished
from sessionlab.migration.run_folder import RunFolder
from sessionlab.runs import RUNS
from sessionlab.settings import StoreSettings
from sessionlab.stores.authority import refuse_split
from sessionlab.stores.locating import agents_of, locate
from sessionlab.stores.location import StoreKind, StoreLocation, open_at

Result = Literal["migrated", "planned", "already", "skipped_empty", "skipped_invalid", "missing", "failed"]
Level = Literal["info", "warning"]
_COUNTED: Final[tuple[Result, ...]] = ("migrated", "already", "skipped_empty", "skipped_invalid", "missing", "failed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of one agent's store.

    Attributes:
        agent_id: The agent.
        store_path: The store that counted before; where the JSON store would lie when there is none.
        kind: What that was; "" for none.
        to: What was wanted.
        result: What came of it; "already" when it was of that kind before, "planned" when only that was asked for.
        legacy_entries: Entries in the store before, spellings counted each; of "already" the sessions in it.
        migrated_entries: Sessions that the new store was verified to hold.
        plan: What would be, or was, done.
        report: What was done.
        run_dir: The folder that tells of it.
        is_resumed: Whether it finished a run that had been stopped.
        warnings: What its owner should know.
        error: Why it failed.
    """

    agent_id: str
    store_path: Path
    kind: StoreKind | Literal[""]
    to: StoreKind
    result: Result
    legacy_entries: int = 0
    migrated_entries: int = 0
    plan: Plan | None = None
    report: Report | None = None
    run_dir: Path | None = None
    is_resumed: bool = False
    warnings: tuple[str, ...] = ()
    error: SessionLabError | None = None

    @property
    def backup_path(self) -> Path | None:
        """Where the old store lies now; `None` when nothing was moved."""
        return Path(self.report.retired_path) if self.report is not None else None


@dataclass(frozen=True, slots=True)
class Summary:
    """What came of all stores of a state folder.

    Attributes:
        to: What was wanted.
        outcomes: One for each agent, by name.
    """

    to: StoreKind
    outcomes: tuple[Outcome, ...]

    def count(self, result: Result) -> int:
        """Return how many stores came to a result."""
        return sum(one.result == result for one in self.outcomes)

    @property
    def line(self) -> str:
        """The one line that a program logs (C.41); "" when there was nothing to look at."""
        if not self.outcomes:
            return ""
        names = {"already": f"already_{self.to}"}
        counts = " ".join(f"{names.get(result, result)}={self.count(result)}" for result in _COUNTED)
        issues = "; ".join(f"{path} ({reason})" for path, reason in self._issues())
        line = f"session-store migration summary: inspected={len(self.outcomes)} {counts}" + (f"; issues: {issues}" if issues else "")
        return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in line)  # a path may hold anything

    @property
    def level(self) -> Level:
        """How loudly to log it: an empty or missing store is as it should be (C.42)."""
        return "warning" if self.count("skipped_invalid") or self.count("failed") else "info"

    def _issues(self) -> Iterator[tuple[Path, str]]:
        for one in self.outcomes:
            if one.result == "skipped_invalid":
                yield one.store_path, "invalid legacy store"
            for warning in one.warnings:
                yield one.store_path, warning


def migrate_all(
    state_dir: Path,
    to: StoreKind,
    *,
    now_ms: int,
    set_aside: bool = False,
    is_dry_run: bool = False,
    on_progress: Progress | None = None,
    on_outcome: Callable[[Outcome], object] | None = None,
    settings: StoreSettings | None = None,
) -> Summary:
    """Move the stores of every agent to another kind, each in its place.

    Args:
        state_dir: The state folder; any other place that `stores.locate` knows will do.
        to: "json", "sqlite" or "directory".
        now_ms: The clock, epoch ms.
        set_aside: As for `plan_migration`.
        is_dry_run: Plan only, and write nothing.
        on_progress: As for `execute`.
        on_outcome: Told of each store as soon as it is done: whoever is interrupted wants to know.
        settings: As for `stores.locate`.

    Returns:
        What came of each. A store that fails is an outcome; it is as it was, and the others are moved.

    Raises:
        UsageError: No store can be moved to that kind.
        UnreadableError: The system does not let us look.
        SettingsError: As for `stores.locate`.
    """
    agents = agents_of(state_dir)
    try:
        located = {one.agent_id: one for one in locate(state_dir, settings=settings)}
    except NoStoreError:
        located = {}
    outcomes = []
    for agent_id in sorted({*located, *agents}):
        if agent_id in located:
            one = migrate_one(
                located[agent_id],
                to,
                now_ms=now_ms,
                set_aside=set_aside,
                is_dry_run=is_dry_run,
                on_progress=_named(agent_id, on_progress),
            )
        else:
            place = layout.AgentFolder(agent_id, layout.agents_dir(layout.expanded(state_dir)) / agent_id).json_store
            one = Outcome(agent_id=agent_id, store_path=place, kind="", to=to, result="missing")
        outcomes.append(one)
        if on_outcome is not None:
            on_outcome(one)
    return Summary(to, tuple(outcomes))


def migrate_one(
    location: StoreLocation,
    to: StoreKind,
    *,
    now_ms: int,
    set_aside: bool = False,
    is_dry_run: bool = False,
    on_progress: Progress | None = None,
) -> Outcome:
    """Move one store to another kind, in its place; what fails is an outcome, too, and leaves the store as it was.

    A run that was stopped is finished first, if its new store has its name already (see `execute.finish`).

    Args:
        location: The store that counts, with its rivals.
        to: "json", "sqlite" or "directory".
        now_ms: The clock, epoch ms.
        set_aside: As for `plan_migration`.
        is_dry_run: Plan only, and write nothing.
        on_progress: As for `execute`.

    Raises:
        UsageError: No store can be moved to that kind.
    """
    if to not in MIGRATABLE:
        raise UsageError(f"a store cannot be moved to {to!r}: choose {', '.join(MIGRATABLE)}")

    def outcome(result: Result, **more: object) -> Outcome:
        facts = {"agent_id": location.agent_id, "store_path": location.path, "kind": location.kind, "to": to, "result": result}
        return Outcome(**{**facts, **more})  # type: ignore[arg-type]

    plan = None
    try:
        if location.kind not in MIGRATABLE:
            reason = f"{location.path}: is OpenClaw's own database, which is only read: 'sessionlab export openclaw' makes files of it"
            return outcome("skipped_invalid", error=UsageError(reason), warnings=("is OpenClaw's own database, which is only read",))
        refuse_split(location)
        if is_dry_run:
            stopped = tuple(f"the run {run.path.name} was stopped: it is finished or cleaned up first" for run in unfinished(location))
        else:
            stopped = ()
            if unfinished(location):
                finished = resume(location, to=to)
                location = named_store(location.path)  # who was waited for may have moved it, too
                if finished and location.kind == to:
                    run, report = finished[0]
                    return outcome("migrated", report=report, is_resumed=True, **_done(report, run.path))
        if location.kind == to:
            with open_at(location) as store:
                return outcome("already", legacy_entries=store.count(), warnings=stopped)

        planned = partial(plan_from, location, to, now_ms=now_ms, set_aside=set_aside, operation="migrate")
        plan = planned()
        if not plan.entries:
            return outcome("skipped_empty", warnings=stopped)
        if not plan.moved:
            raise CorruptStoreError(location.path, "not one of its entries can be moved", advice="mend it first")
        if is_dry_run:
            return outcome("planned", plan=plan, legacy_entries=plan.source.sessions, warnings=(*plan.warnings, *stopped))
        root = root_of(location)
        report = execute(plan, root=root, now_ms=now_ms, on_progress=on_progress, replan=planned)
        run = RunFolder(root / RUNS / report.run_id)
        return outcome("migrated", plan=run.plan(), report=report, **_done(report, run.path))
    except SessionLabError as error:
        is_invalid = plan is None and isinstance(error, StoreError) and _is_invalid(location, to)
        why = (error.reason if isinstance(error, StoreError) else str(error)) if is_invalid else f"Migration failed: {error}"
        return outcome("skipped_invalid" if is_invalid else "failed", error=error, warnings=(why,), plan=plan)


def _done(report: Report, run_dir: Path) -> dict[str, object]:
    return {
        "legacy_entries": report.source.sessions,
        "migrated_entries": report.sessions,
        "run_dir": run_dir,
        "warnings": report.warnings,
    }


def _is_invalid(location: StoreLocation, to: StoreKind) -> bool:
    """Say whether a store that could not be planned for is one that never can be as it is (C.27)."""
    try:
        return inspect(location.path, to=to)[0].status == "invalid_legacy"
    except SessionLabError:
        return False


def _named(agent_id: str, on_progress: Progress | None) -> Callable[[str, int, int], None] | None:
    """Name the agent in what is told of the progress."""
    if on_progress is None:
        return None
    return lambda what, done, total: on_progress(f"{agent_id}: {what}", done, total)
