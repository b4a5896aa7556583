"""`sessionlab rollback`: the way back of a migration (openclaw#51946, C.46 to C.48).

Deviations from that script: what the old store holds is written anew from what the store holds now, so that no session born after the
migration is lost; without a store named nothing happens unless --all-agents is given; and an error is one line that begins with
`sessionlab:`, like every other command's, and has its own exit code.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sessionlab import layout
from sessionlab.cli.asked import end_with, on_one_line
from sessionlab.cli.moving import Tell, asked_run, echo_facts, echo_plan, echo_report, plan_facts, with_rate
from sessionlab.cli.output import command_line, echo_json, json_option, not_blank, progress, state_dir_option
from sessionlab.errors import CorruptStoreError, NoStoreError, SessionLabError, SplitStoreError, UsageError
from sessionlab.stores.locating import find_state_dir, locate

if TYPE_CHECKING:
    from sessionlab.migration.records import Plan
    from sessionlab.migration.report import Report
    from sessionlab.stores.location import StoreLocation


@dataclass(frozen=True, slots=True)
class _Way:
    """What came of one store: `plan` is `None` when there was nothing to do, with the reason, `report` when nothing was done."""

    path: Path
    reason: str = ""
    plan: Plan | None = None
    report: Report | None = None
    run_dir: Path | None = None
    error: SessionLabError | None = None


@click.command("rollback")
@click.argument("run", required=False)
@state_dir_option
@click.option(
    "--store", "stores", multiple=True, metavar="PATH", help="Make this store sessions.json again, whatever run moved it; repeatable."
)
@click.option("--all-agents", is_flag=True, help="Make the stores of all agents of the state folder sessions.json again.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and write nothing at all.")
@click.option("--set-aside", is_flag=True, help="Leave out entries that cannot be read, and report each; exit code 3.")
@json_option
def command(
    *, run: str | None, state_dir: str | None, stores: tuple[str, ...], all_agents: bool, dry_run: bool, set_aside: bool, as_json: bool
) -> None:
    """Undo a migration, from what the store holds now: sessions born after it come back, too.

    RUN is the folder of a run, or its name in .sessionlab/runs of the state folder; 'sessionlab migrate' prints it. It is refused when
    what the run left behind has been written since. Nothing is thrown away: the store that is rolled back is renamed to NAME.bak.TIME.

    Exit codes: 0 done, or nothing to do; 3 an entry was left out or cannot be read; 4 a store changed meanwhile, or two disagree; 10 no
    such run or store; 11 locked; 1 any other failure.
    """
    if (run is not None) + bool(stores) + all_agents != 1:
        raise UsageError("say what to roll back: a RUN, or --store PATH, or --all-agents")
    if stores and state_dir is not None:
        raise UsageError("--store names the stores: leave --state-dir out")
    places = [layout.expanded(Path(not_blank(store, "--store"))) for store in stores]
    with progress() as tell:
        job = _Job(time.time_ns() // 1_000_000, is_dry_run=dry_run, set_aside=set_aside, tell=with_rate(tell))
        if run is not None:
            ways = [job.of_run(run, state_dir)]
        elif all_agents:
            ways = list(job.of_all(find_state_dir(Path(not_blank(state_dir, "--state-dir")) if state_dir is not None else None)))
        else:
            ways = [job.of_store(place) for place in places]
    _echo(ways, is_dry_run=dry_run, as_json=as_json)
    errors = [way.error for way in ways if way.error is not None]
    has_loss = any(way.report is not None and way.report.has_loss for way in ways)
    if errors or has_loss:
        end_with(errors, code=3 if has_loss else 1)


@dataclass(frozen=True, slots=True)
class _Job:
    """How to roll back."""

    now_ms: int
    is_dry_run: bool
    set_aside: bool
    tell: Tell | None

    def of_run(self, name: str, state_dir: str | None) -> _Way:
        """Roll a run back. What makes no sense is raised."""
        from sessionlab.migration.execute import location_of
        from sessionlab.migration.places import named_store
        from sessionlab.migration.resuming import resume, unfinished
        from sessionlab.migration.rollback import led_on, plan_rollback
        from sessionlab.stores.authority import refuse_split

        run = asked_run(name, state_dir)
        done = run.head()
        source = location_of(done)
        location = named_store(Path(done.target_path))
        if not self.is_dry_run and unfinished(location):
            finished = resume(location, to=done.source.kind)
            location = named_store(location.path)
            if finished and location.path == source.path:  # it was this way back that had been stopped
                back, report = finished[0]
                return _Way(source.path, plan=back.plan(), report=report, run_dir=back.path)
        if location.path == source.path and done.operation != "export":
            if not os.path.lexists(done.target_path) and led_on(run) is None:
                reason = "which the run made, is gone, and no later run has moved it: there is nothing to roll back"
                raise CorruptStoreError(Path(done.target_path), reason, advice="restore it from a backup")
            refuse_split(location)  # it may count only because the other one cannot be read
            return _Way(source.path, f"the sessions are there already: the run {run.path.name} has been rolled back")
        try:
            return self._carried_out(partial(plan_rollback, run, now_ms=self.now_ms, set_aside=self.set_aside), location)
        except SplitStoreError as error:
            raise _with_way_out(error) from error

    def of_all(self, state_dir: Path) -> Iterator[_Way]:
        """Roll every store of a state folder back, each for itself."""
        try:
            located = locate(state_dir)
        except NoStoreError:
            return
        for location in located:
            if location.kind == "openclaw":
                yield _Way(location.path, "is OpenClaw's own database: 'sessionlab export openclaw' makes files of it")
            else:
                yield self._of(location)

    def of_store(self, path: Path) -> _Way:
        """Roll one store back, named by its own path or by that of its `sessions.json`."""
        from sessionlab.migration.places import named_store

        try:
            location = named_store(path)
        except SessionLabError as error:
            return _Way(path, error=error)
        return self._of(location, is_named=path == location.path)

    def _of(self, location: StoreLocation, *, is_named: bool = False) -> _Way:
        """Roll a store back. Who names it by its own path has decided between it and what else lies there."""
        from sessionlab.migration.places import named_store
        from sessionlab.migration.plan import plan_from
        from sessionlab.migration.resuming import resume, unfinished
        from sessionlab.stores.authority import refuse_split

        try:
            if not is_named:
                refuse_split(location)
            if not self.is_dry_run and unfinished(location):
                resume(location, to="json")
                location = named_store(location.path)
            if location.kind == "json":
                return _Way(location.path, f"is {layout.JSON_STORE} already")
            if location.kind == "openclaw":
                raise UsageError(f"{location.path}: is OpenClaw's own database: 'sessionlab export openclaw' makes files of it")
            planned = partial(plan_from, location, "json", now_ms=self.now_ms, set_aside=self.set_aside, operation="rollback")
            return self._carried_out(planned, location)
        except SplitStoreError as error:
            return _Way(location.path, error=_with_way_out(error))
        except SessionLabError as error:
            return _Way(location.path, error=error)

    def _carried_out(self, planned: Callable[[], Plan], location: StoreLocation) -> _Way:
        from sessionlab.migration.execute import execute
        from sessionlab.migration.places import root_of
        from sessionlab.migration.run_folder import RunFolder
        from sessionlab.runs import RUNS

        plan = planned()
        path = Path(plan.target_path)
        if self.is_dry_run:
            return _Way(path, plan=plan)
        root = root_of(location)
        report = execute(plan, root=root, now_ms=self.now_ms, on_progress=self.tell, replan=planned)
        done = RunFolder(root / RUNS / report.run_id)
        return _Way(path, plan=done.plan(), report=report, run_dir=done.path)


def _with_way_out(error: SplitStoreError) -> SplitStoreError:
    """Return the error with what to do about it here: nothing is decided in silence, but it can be decided."""
    command = command_line("rollback", "--store", error.first)
    return SplitStoreError(
        error.path,
        first=error.first,
        first_count=error.first_count,
        second=error.second,
        second_count=error.second_count,
        advice=f"'{command}' goes by the first, names what only the other holds, and keeps it as a backup",
    )


def _echo(ways: list[_Way], *, is_dry_run: bool, as_json: bool) -> None:
    """Print a line for each store, and how many there were of each (C.48)."""
    sound = [way for way in ways if way.error is None]
    restored = sum(way.plan is not None for way in sound)
    skipped = len(sound) - restored
    if as_json:
        results = [_facts(way, is_dry_run=is_dry_run) for way in ways]
        counts = {"success": len(sound) == len(ways), "dryRun": is_dry_run, "restored": restored, "skipped": skipped}
        echo_json({**counts, "results": results})
        return
    if not ways:
        click.echo("No session stores found.")
        return
    for way in sound:
        click.echo(on_one_line(f"{_verb(way, is_dry_run=is_dry_run)} {way.path}"))
        if way.report is not None and way.run_dir is not None:
            echo_report(way.report, way.run_dir)
        elif way.plan is not None:
            echo_plan(way.plan)
        else:
            echo_facts([("reason", way.reason)])
    click.echo(f"Summary: restored {restored}, skipped {skipped}")


def _verb(way: _Way, *, is_dry_run: bool) -> str:
    if is_dry_run:
        return "would restore" if way.plan is not None else "would skip"
    return "restored" if way.plan is not None else "skipped"


def _facts(way: _Way, *, is_dry_run: bool) -> dict[str, Any]:
    facts: dict[str, Any] = {"path": str(way.path), "status": "failed" if way.error is not None else _verb(way, is_dry_run=is_dry_run)}
    if way.plan is not None:
        facts["plan"] = plan_facts(way.plan)
    elif way.reason:
        facts["reason"] = way.reason
    if way.report is not None:
        facts |= {"runDir": str(way.run_dir), "sessions": way.report.sessions, "sha256": way.report.sha256}
    if way.error is not None:
        facts["error"] = {"type": type(way.error).__name__, "message": str(way.error), "exit_code": way.error.exit_code}
    return facts
