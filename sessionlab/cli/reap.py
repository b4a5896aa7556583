"""`sessionlab reap`: the sessions that cron runs and webhooks leave are removed after their retention (D.23 to D.29)."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

import click

from sessionlab.cli.asked import asked_place, asked_stores, end_with, on_one_line, path_argument
from sessionlab.cli.calling import as_called
from sessionlab.cli.maintain import OPENCLAW_ONLY
from sessionlab.cli.maintaining import Watched, echo_plan, echo_report, root_folder, way_back
from sessionlab.cli.moving import counted
from sessionlab.cli.next_step import with_next_step
from sessionlab.cli.output import JSON_SCHEMA_VERSION, agent_option, command_line, echo_json, json_option, now_option, state_dir_option
from sessionlab.cli.plan_facts import plan_facts, report_facts
from sessionlab.cli.plan_words import duration
from sessionlab.errors import NoStoreError, SessionLabError, UsageError
from sessionlab.lab.clock import clock_of
from sessionlab.stores.location import StoreLocation
from sessionlab.units import MS_PER_SECOND, DurationUnit, format_ms_utc, parse_duration_ms

if TYPE_CHECKING:
    from sessionlab.maintenance.plan import MaintenancePlan
    from sessionlab.maintenance.reaper import Sweep

_OFF: Final = ("off", "false")
_LEAST_EVERY_MS: Final = MS_PER_SECOND


@dataclass(frozen=True, slots=True)
class _Asked:
    """How to sweep, whatever the store."""

    place: Path
    agent: str | None
    retention: str | None
    hook_retention: str | None
    now_ms: int
    is_dry_run: bool
    force: bool


@dataclass(frozen=True, slots=True)
class _Way:
    """What came of one store: `plan` of a dry run, `sweep` of any other."""

    location: StoreLocation
    retention_ms: int | None = None
    hook_retention_ms: int | None = None
    plan: MaintenancePlan | None = None
    sweep: Sweep | None = None
    skipped: str = ""
    error: SessionLabError | None = None

    @property
    def run_dir(self) -> Path | None:
        from sessionlab.runs import RUNS

        if self.sweep is None or self.sweep.report is None:
            return None
        return root_folder(self.location) / RUNS / self.sweep.report.run_id

    @property
    def noun(self) -> str:
        """What is removed."""
        if self.hook_retention_ms is None:
            return "cron run"
        return "hook session" if self.retention_ms is None else "session"


@click.command("reap")
@path_argument
@state_dir_option
@agent_option
@click.option(
    "--retention", metavar="TIME", help="Keep a cron run's session so long: 24h (or 24), 7d; or off. Default: cron.sessionRetention, 24h."
)
@click.option(
    "--hook-retention",
    metavar="TIME",
    help="Keep what a webhook left so long: 1h (or 1), 7d; or off. Default: hooks.sessionRetention, off.",
)
@click.option("--watch", is_flag=True, help="Go on until Ctrl-C; only says what it does.")
@click.option("--every", default="5m", show_default=True, metavar="TIME", help="How often to look, with --watch; less only with --force.")
@click.option("--dry-run", is_flag=True, help="Say what would be removed, and write nothing at all.")
@click.option("--force", is_flag=True, help="With --watch: look at a store more often than once in five minutes.")
@now_option
@json_option
def command(
    *,
    path: str | None,
    state_dir: str | None,
    agent: str | None,
    retention: str | None,
    hook_retention: str | None,
    watch: bool,
    every: str,
    dry_run: bool,
    force: bool,
    now_ms: int,
    as_json: bool,
) -> None:
    """Remove the sessions that cron runs and webhooks left, of all agents, once their retention is over.

    PATH is a store, an agent's folder or a state folder. Only sessions agent:ID:cron:JOB:run:UUID are taken, never the job's own, and
    agent:ID:hook:UUID, unless their retention is off. What is removed is kept in .sessionlab/runs of the state folder, transcripts are
    renamed to NAME.jsonl.deleted.TIME, and 'sessionlab undo' brings both back. With --watch and --json every sweep that did something is
    one line of JSON; a place, an agent or a configuration that is wrong at the start ends it with its exit code, and so does, with 0, that
    there is nothing to sweep there: retention is off, or OpenClaw keeps the sessions in its own database.

    Exit codes: 0 done, or nothing to do; 3 a store cannot be read; 4 two stores disagree; 10 no store; 11 locked; 130 Ctrl-C; of several
    the highest.
    """
    if watch and (dry_run or now_ms):
        raise UsageError("--watch goes by the real clock and removes for real: leave --dry-run and --now-ms out")
    every_ms = _every_ms(every, force=force) if watch else 0
    _given_ms("--retention", retention)
    _given_ms("--hook-retention", hook_retention)
    # A sweep that fails is told below, in one line like every other error.
    logging.getLogger("sessions/reaper").addHandler(logging.NullHandler())
    asked = _Asked(asked_place(path, state_dir), agent, retention, hook_retention, now_ms, is_dry_run=dry_run, force=force)
    ways = _round(asked)
    if watch and _is_worth_watching(ways):
        _watch(asked, ways, every_ms, as_json=as_json)
    if len(ways) == 1 and ways[0].error is not None:
        raise ways[0].error
    if as_json:
        echo_json({"dryRun": dry_run, "results": [_facts(way) for way in ways]})
    else:
        for way in ways:
            _echo(way)
        _echo_closing(ways, asked)
    errors = [way.error for way in ways if way.error is not None]
    if errors:
        end_with(errors)


def _round(asked: _Asked) -> list[_Way]:
    """Look at every store once. What is wrong with one of them is part of the answer."""
    ways: list[_Way] = []
    now_ms = clock_of(asked.place, asked.now_ms).now_ms
    for location in asked_stores(asked.place, asked.agent):
        try:
            ways.append(_swept(location, asked, now_ms))
        except SessionLabError as error:
            ways.append(_Way(location, error=error))
    return ways


def _swept(location: StoreLocation, asked: _Asked, now_ms: int) -> _Way:
    from sessionlab.maintenance.reaper import plan_sweep, reap

    if location.kind == "openclaw":
        return _Way(location, skipped=OPENCLAW_ONLY)
    root = root_folder(location)
    cron_ms, hook_ms = _retentions_ms(asked, root)
    if cron_ms is None and hook_ms is None:
        return _Way(location, skipped="cron runs and hook sessions are kept for good: their retention is off")
    if asked.is_dry_run:
        plan = plan_sweep(location, retention_ms=cron_ms, hook_retention_ms=hook_ms, now_ms=now_ms)
        return _Way(location, cron_ms, hook_ms, plan=plan)
    watched = Watched(root, location)
    try:
        sweep = reap(location, retention_ms=cron_ms, hook_retention_ms=hook_ms, now_ms=now_ms, root=root, force=asked.force)
    except KeyboardInterrupt:
        watched.tell()
        raise
    if sweep.error is not None:
        watched.tell()
    return _Way(location, cron_ms, hook_ms, sweep=sweep, error=sweep.error)


def _is_worth_watching(ways: Sequence[_Way]) -> bool:
    """Say whether a further look may find more: not where nothing is swept, or what was asked for is wrong and stays so."""
    return any(not way.skipped and not isinstance(way.error, UsageError | NoStoreError) for way in ways)


def _watch(asked: _Asked, ways: Sequence[_Way], every_ms: int, *, as_json: bool) -> NoReturn:
    """Sweep until somebody interrupts, after a first round. What goes wrong is said when it begins, and tried again."""
    said: set[str] = set()
    errors = {with_next_step(way.error) for way in ways if way.error is not None}
    if not as_json:
        click.echo(f"{_clock()} looking at {on_one_line(str(asked.place))} every {duration(every_ms)}; Ctrl-C ends it")
    while True:
        for way in ways:
            if way.run_dir is not None and way.sweep is not None:
                _say(way, way.run_dir, way.sweep, as_json=as_json)
        for text in sorted(errors - said):
            click.echo(f"sessionlab: {_clock()} {as_called(text)}", err=True)
        said = errors
        time.sleep(every_ms / MS_PER_SECOND)
        try:
            ways = _round(asked)
            errors = {with_next_step(way.error) for way in ways if way.error is not None}
        except SessionLabError as error:
            ways, errors = [], {with_next_step(error)}


def _say(way: _Way, run_dir: Path, sweep: Sweep, *, as_json: bool) -> None:
    if as_json:
        line = {"schema_version": JSON_SCHEMA_VERSION, "atMs": time.time_ns() // 1_000_000, **_facts(way)}
        click.echo(json.dumps(line, ensure_ascii=False))
    elif sweep.report is not None:
        left = counted(sweep.report.after_count, "session")
        click.echo(f"{_clock()} {way.location.agent_id}: removed {counted(sweep.pruned, way.noun)}, {left} left; {way_back(run_dir)}")


def _clock() -> str:
    return format_ms_utc(time.time_ns() // 1_000_000)


def _every_ms(text: str, *, force: bool) -> int:
    from sessionlab.maintenance.reaper import SWEEP_EVERY_MS

    every_ms = _parsed("--every", text, "m")
    if every_ms < _LEAST_EVERY_MS:
        raise UsageError(f"--every {text!r}: give one second or more")
    if every_ms < SWEEP_EVERY_MS and not force:
        least = duration(SWEEP_EVERY_MS)
        raise UsageError(f"--every {text!r}: a store is looked at once in {least} at most; give as much, or add --force")
    return every_ms


def _parsed(option: str, text: str, unit: DurationUnit) -> int:
    try:
        return parse_duration_ms(text, default_unit=unit)
    except UsageError as error:
        raise UsageError(f"{option}: {error}") from error


def _given_ms(option: str, text: str | None) -> int | None:
    """Return how long an option says that sessions are kept; `None` for good, or when it is not given."""
    return None if text is None or text.strip().lower() in _OFF else _parsed(option, text, "h")


def _retentions_ms(asked: _Asked, root: Path) -> tuple[int | None, int | None]:
    """Return how long the session of a cron run is kept, and that of a webhook; `None` for good."""
    from sessionlab.settings import load_settings

    cron_ms, hook_ms = _given_ms("--retention", asked.retention), _given_ms("--hook-retention", asked.hook_retention)
    if asked.retention is None or asked.hook_retention is None:
        settings = load_settings(root)
        cron_ms = settings.cron_session_retention_ms if asked.retention is None else cron_ms
        hook_ms = settings.hook_session_retention_ms if asked.hook_retention is None else hook_ms
    return cron_ms, hook_ms


def _echo(way: _Way) -> None:
    if way.skipped:
        _echo_head(way, f"skipped, {way.skipped}")
    elif way.plan is not None:
        removed = len(way.plan.removed)
        _echo_head(way, f"would remove {counted(removed, way.noun)}" if removed else "nothing to do")
        if removed:
            echo_plan(way.plan)
    elif way.sweep is not None and way.error is None:
        _echo_head(way, f"removed {counted(way.sweep.pruned, way.noun)}" if way.sweep.pruned else "nothing to do")
        if way.sweep.report is not None and way.run_dir is not None:
            echo_report(way.sweep.report, way.run_dir)


def _echo_head(way: _Way, text: str) -> None:
    kept = (("cron runs", way.retention_ms), ("hook sessions", way.hook_retention_ms))
    limits = "".join(f", {noun} kept for {duration(kept_ms)}" for noun, kept_ms in kept if kept_ms is not None)
    click.echo(on_one_line(f"{way.location.path} (agent {way.location.agent_id}{limits}): {text}"))


def _echo_closing(ways: Sequence[_Way], asked: _Asked) -> None:
    if any(way.plan is not None and way.plan.removed for way in ways):
        options = (
            ("--agent", asked.agent),
            ("--retention", asked.retention),
            ("--hook-retention", asked.hook_retention),
            ("--now-ms", str(asked.now_ms or "")),
        )
        again = [word for name, value in options if value for word in (name, value)]
        click.echo(f"Nothing was changed: that was asked for. To do it: {command_line('reap', asked.place, *again)}")


def _facts(way: _Way) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "agentId": way.location.agent_id,
        "storePath": str(way.location.path),
        "kind": way.location.kind,
        "retentionMs": way.retention_ms,
        "hookRetentionMs": way.hook_retention_ms,
        "swept": way.sweep is not None and way.sweep.swept,
        "pruned": way.sweep.pruned if way.sweep is not None else 0,
    }
    if way.skipped:
        facts["reason"] = way.skipped
    if way.plan is not None:
        planned = plan_facts(way.plan)
        facts |= {"wouldPrune": len(way.plan.removed), "entries": planned["entries"], "files": planned["files"]}
    if way.sweep is not None and way.sweep.report is not None and way.run_dir is not None:
        facts |= {"afterCount": way.sweep.report.after_count, "run": report_facts(way.sweep.report, way.run_dir)}
    if way.error is not None:
        facts["error"] = {"type": type(way.error).__name__, "message": with_next_step(way.error), "exit_code": way.error.exit_code}
    return facts
