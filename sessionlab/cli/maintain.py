"""`sessionlab maintain`: a store is kept in bounds, after it was said what goes and why (openclaw `sessions cleanup`, D.50 and D.51).

Deviations: nothing is removed unless the command line says so, whatever the configuration says; the active session is never removed; and
what is removed can be brought back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, get_args

import click

from sessionlab import keys, layout
from sessionlab.cli.active_key import active_keys
from sessionlab.cli.asked import asked_place, end_with, on_one_line, path_argument
from sessionlab.cli.maintaining import Watched, echo_plan, echo_report, has_work, root_folder, would_empty
from sessionlab.cli.moving import counted, echo_facts
from sessionlab.cli.next_step import with_next_step
from sessionlab.cli.output import agent_option, command_line, echo_json, json_option, now_option, state_dir_option
from sessionlab.cli.plan_facts import plan_facts, report_facts, totals_facts
from sessionlab.cli.plan_words import policy_line
from sessionlab.errors import SessionLabError, SettingsError, UsageError
from sessionlab.lab.clock import clock_of
from sessionlab.maintenance.policy import Profile
from sessionlab.stores.locating import locate, only
from sessionlab.stores.location import StoreLocation
from sessionlab.units import parse_duration_ms, parse_size_bytes

if TYPE_CHECKING:
    from sessionlab.maintenance.apply import MaintenanceReport
    from sessionlab.maintenance.finishing import Finished
    from sessionlab.maintenance.plan import MaintenancePlan, Totals
    from sessionlab.maintenance.policy import Policy

OPENCLAW_ONLY: Final = "is OpenClaw's own database, which is only read; OpenClaw maintains it itself"
_OFF: Final = ("off", "false")
_AGAIN_WITHOUT: Final = frozenset({"as_json", "dry_run", "enforce"})


@dataclass(frozen=True, slots=True)
class _Asked:
    """How to go about it, whatever the store."""

    over: Mapping[str, object]
    profile: Profile | None
    is_enforced: bool
    is_dry_run: bool
    allow_empty: bool
    fix_missing: bool
    active_keys: Mapping[StoreLocation, str]
    skip_openclaw: bool
    now_ms: int


@dataclass(frozen=True, slots=True)
class _Way:
    """What came of one store: without a `report` it is as it was. `told` is how it is known whose rules count."""

    location: StoreLocation
    plan: MaintenancePlan | None = None
    told: str = ""
    report: MaintenanceReport | None = None
    run_dir: Path | None = None
    after: Totals | None = None
    finished: tuple[Finished, ...] = ()
    skipped: str = ""
    error: SessionLabError | None = None

    @property
    def status(self) -> str:
        if self.error is not None:
            return "failed"
        if self.plan is None:
            return "skipped"
        if self.report is not None:
            return "maintained"
        return "planned" if has_work(self.plan) else "nothing-to-do"


@click.command("maintain")
@path_argument
@state_dir_option
@agent_option
@click.option("--all-agents", is_flag=True, help="The stores of all agents; one that fails keeps no other back.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, entry by entry, and write nothing at all.")
@click.option("--enforce", is_flag=True, help="Do it. Without this nothing is changed, whatever openclaw.json says.")
@click.option(
    "--profile",
    type=click.Choice(get_args(Profile)),
    help="The rules and defaults of this OpenClaw version. Default: the one that openclaw.json, or what lies beside the store, tells of.",
)
@click.option("--prune-after", metavar="TIME", help="Entries not updated for so long go: 30d (or 30), 12h.")
@click.option("--max-entries", type=click.IntRange(min=1), metavar="N", help="At most N entries stay, the newest.")
@click.option("--max-disk", metavar="SIZE", help="Store and files beside it may take so much (500mb, 10gb), or off.")
@click.option("--high-water", metavar="SIZE", help="How far to come down when they take more. Default: 80 % of it.")
@click.option(
    "--archive-retention", metavar="TIME", help="How long transcripts archived by a reset are kept, with the rules of 2026.9 all, or off."
)
@click.option("--fix-missing", is_flag=True, help="Entries whose transcript is not there go, too.")
@click.option("--active-key", metavar="KEY", help="The session that is being talked in, which has to be there: it is never removed.")
@click.option("--allow-empty", is_flag=True, help="Remove even all entries of a store.")
@now_option
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    *,
    path: str | None,
    state_dir: str | None,
    agent: str | None,
    all_agents: bool,
    dry_run: bool,
    enforce: bool,
    profile: Profile | None,
    prune_after: str | None,
    max_entries: int | None,
    max_disk: str | None,
    high_water: str | None,
    archive_retention: str | None,
    fix_missing: bool,
    active_key: str | None,
    allow_empty: bool,
    now_ms: int,
    as_json: bool,
) -> None:
    """Say which sessions a store could do without, and why; with --enforce, remove them so that they can be brought back.

    PATH is a store, an agent's folder or a state folder. The rules are those of session.maintenance in openclaw.json, with the defaults of
    the OpenClaw version that is told of there or by what lies beside the store, else of 2026.3; --profile names another one, and options
    win over them all. Nothing is changed unless --enforce is given here: what openclaw.json says of the mode is what OpenClaw does by
    itself. Stale entries go first, then those beyond the cap, then what the disk budget asks for. Removed entries are kept in a folder in
    .sessionlab/runs of the state folder, their transcripts are renamed to NAME.jsonl.deleted.TIME, and 'sessionlab undo' brings both back.
    Archives that are too old, and files that the disk budget takes, are removed for good. A key for --active-key may be spelled in any
    case, and without agent:ID: it is one of the store's agent.

    Exit codes: 0 done, only looked at, or nothing to do; 2 it would empty a store, without --allow-empty, there is no session of
    --active-key, or it is OpenClaw's own database, which --all-agents skips; 3 a store cannot be read; 4 two stores disagree; 10 no store;
    11 locked; 1 any other failure.
    """
    if agent is not None and all_agents:
        raise UsageError("give only one of --agent and --all-agents")
    over = _over(prune_after, max_entries, max_disk, high_water, archive_retention) | ({"mode": "enforce"} if enforce else {})
    place = asked_place(path, state_dir)
    found = locate(place)
    meant = found if all_agents else (_one(found, place, agent),)
    asked = _Asked(
        over=over,
        profile=profile,
        is_enforced=enforce and not dry_run,
        is_dry_run=dry_run,
        allow_empty=allow_empty,
        fix_missing=fix_missing,
        active_keys=active_keys(meant, active_key) if active_key is not None else {},
        skip_openclaw=all_agents,
        now_ms=clock_of(place, now_ms).now_ms,
    )
    others = [one.agent_id for one in found if agent is None and one not in meant]
    show = partial(_echo, others=others, again=_again(ctx), asked=asked, as_json=as_json)
    _carry_out(meant, asked, show)


def _carry_out(meant: Sequence[StoreLocation], asked: _Asked, show: Callable[[Sequence[_Way]], None]) -> None:
    ways: list[_Way] = []
    try:
        for location in meant:
            try:
                ways.append(_maintained(location, asked))
            except SessionLabError as error:
                if len(meant) == 1:
                    raise
                ways.append(_Way(location, error=error))
    except KeyboardInterrupt:
        if ways:  # what was done is done, and has a way back
            show(ways)
        raise
    show(ways)
    errors = [way.error for way in ways if way.error is not None]
    if errors:
        end_with(errors)


def _maintained(location: StoreLocation, asked: _Asked) -> _Way:
    from sessionlab.maintenance.apply import apply_plan
    from sessionlab.maintenance.finishing import finish_stopped
    from sessionlab.maintenance.planning import plan_store, totals_of
    from sessionlab.runs import RUNS

    if location.kind == "openclaw" and asked.skip_openclaw:
        return _Way(location, skipped=OPENCLAW_ONLY)
    root, active_key = root_folder(location), asked.active_keys.get(location)
    policy, told = _policy(location, root, asked)
    finished = finish_stopped(location, root=root) if asked.is_enforced else ()
    plan = plan_store(location, policy, now_ms=asked.now_ms, active_key=active_key, fix_missing=asked.fix_missing, root=root)
    if not asked.is_enforced or not has_work(plan):
        return _Way(location, plan, told, finished=finished)
    if would_empty(plan) and not asked.allow_empty:
        number = counted(plan.before.sessions, "session")
        raise UsageError(f"{location.path}: this would remove all of its {number}; if that is meant, add --allow-empty")
    watched = Watched(root, location)
    try:
        report = apply_plan(plan, location, root=root, active_key=active_key, allow_empty=asked.allow_empty)
    except BaseException:
        watched.tell()
        raise
    return _Way(location, plan, told, report, root / RUNS / report.run_id, totals_of(location), finished=finished)


def _policy(location: StoreLocation, root: Path, asked: _Asked) -> tuple[Policy, str]:
    """Return the rules for a store, and how it is known whose they are."""
    from sessionlab.configuration import read_configuration
    from sessionlab.maintenance.planning import configured_policy
    from sessionlab.maintenance.version import Told, profile_of

    document = read_configuration(root / layout.CONFIG_NAME)
    told = Told(asked.profile, "as --profile says") if asked.profile is not None else profile_of(location, root, document=document)
    is_asked = asked.over.get("highWaterBytes") is not None
    try:
        policy = configured_policy(root, told.profile, over=asked.over, document=document)
    except SettingsError as error:
        if is_asked and error.field.endswith(".highWaterBytes"):
            raise UsageError("--high-water: must not be above the disk budget; lower it, or raise --max-disk") from error
        raise
    if is_asked and policy.limits.max_disk_bytes is None:
        raise UsageError("--high-water: there is no disk budget to come down from; give --max-disk, too")
    return policy, told.why


def _over(
    prune_after: str | None, max_entries: int | None, max_disk: str | None, high_water: str | None, archive_retention: str | None
) -> dict[str, object]:
    """Return what the options say, as `session.maintenance` would."""
    over: dict[str, object] = {}
    if prune_after is not None:
        over["pruneAfter"] = _valid("--prune-after", prune_after, partial(parse_duration_ms, default_unit="d"))
    if max_entries is not None:
        over["maxEntries"] = max_entries
    if max_disk is not None:
        over["maxDiskBytes"] = False if _is_off(max_disk) else _valid("--max-disk", max_disk, _some_bytes)
        over["highWaterBytes"] = None  # that of the file belongs to its own budget
    if high_water is not None:
        over["highWaterBytes"] = _valid("--high-water", high_water, _some_bytes)
    if archive_retention is not None:
        parse = partial(parse_duration_ms, default_unit="d")
        over["resetArchiveRetention"] = False if _is_off(archive_retention) else _valid("--archive-retention", archive_retention, parse)
    return over


def _some_bytes(text: str) -> int:
    size = parse_size_bytes(text)
    if not size:
        raise UsageError(f"{text!r} would leave nothing; give more than nothing, or --max-disk off for no disk budget")
    return size


def _is_off(text: str) -> bool:
    return text.strip().lower() in _OFF


def _valid(option: str, text: str, parse: Callable[[str], int]) -> str:
    """Return a text that the settings' grammar takes; the error about another one names the option."""
    try:
        parse(text)
    except UsageError as error:
        raise UsageError(f"{option}: {error}") from error
    return text


def _one(found: Sequence[StoreLocation], place: Path, agent: str | None) -> StoreLocation:
    """Return the one store that is meant: that of the agent named, else the only one, else the default agent's."""
    return only(found, place, agent=keys.DEFAULT_AGENT if agent is None and len(found) > 1 else agent)


def _again(ctx: click.Context) -> list[str]:
    """Return the words that the command was called with, so that it can be called again to do what it has only said."""
    words = ["maintain"]
    for param in ctx.command.params:
        name = param.name or ""
        if ctx.get_parameter_source(name) != click.core.ParameterSource.COMMANDLINE or name in _AGAIN_WITHOUT:
            continue
        value = ctx.params[name]
        is_flag = isinstance(param, click.Option) and param.is_flag
        words += [param.opts[0]] if is_flag else [str(value)] if isinstance(param, click.Argument) else [param.opts[0], str(value)]
    return [*words, "--enforce"]


def _echo(ways: Sequence[_Way], *, others: Sequence[str], again: Sequence[str], asked: _Asked, as_json: bool) -> None:
    if as_json:
        echo_json(
            {
                "success": all(way.error is None for way in ways),
                "dryRun": asked.is_dry_run,
                "enforced": asked.is_enforced,
                "applied": any(way.report is not None for way in ways),
                "results": [_facts(way) for way in ways],
                "otherAgents": list(others),
            }
        )
        return
    for way in ways:
        _echo_way(way)
    if others:
        click.echo(f"Other agents were left alone: {', '.join(others)}. --all-agents looks after theirs, too.")
    if any(way.status == "planned" for way in ways):
        why = "that was asked for" if asked.is_dry_run else "that takes --enforce"
        more = ["--allow-empty"] if not asked.allow_empty and any(way.plan is not None and would_empty(way.plan) for way in ways) else []
        click.echo(f"Nothing was changed: {why}. To do it: {command_line(*again, *more)}")


def _echo_way(way: _Way) -> None:
    head = f"{way.location.path} (agent {way.location.agent_id})"
    if way.plan is None:
        if way.error is None:
            click.echo(on_one_line(f"{head}: skipped, {way.skipped}"))
        return
    click.echo(on_one_line(f"{head}: {_verdict(way, way.plan)}"))
    click.echo(f"  {policy_line(way.plan.policy, told=way.told)}")
    echo_plan(way.plan, done=way.report, after=way.after)
    for one in way.finished:
        done = f"{counted(one.renamed, 'transcript')} renamed, {counted(one.deleted, 'file')} removed for good"
        echo_facts([("finished", f"{done}, as a run that was stopped had decided: {one.run.path}")])
    if way.report is not None and way.run_dir is not None:
        echo_report(way.report, way.run_dir)
    click.echo("")


def _verdict(way: _Way, plan: MaintenancePlan) -> str:
    """Return in one line what was done, or would be."""
    if way.status == "nothing-to-do":
        return f"nothing to do for {counted(plan.before.sessions, 'session')}"
    removed, archived = len(plan.removed), sum(one.action == "archive" for one in plan.entries)
    if way.report is not None:
        removed, archived = sum(way.report.removed.values()), way.report.archived
    acts = [
        *([f"{'removed' if way.report else 'remove'} {removed} of {counted(plan.before.sessions, 'session')}"] if removed else []),
        *([f"{'marked' if way.report else 'mark'} {counted(archived, 'entry')} as archived"] if archived else []),
    ]
    line = " and ".join(acts) or ("looked after files" if way.report else "look after files")
    if way.report is not None:
        is_idle = not (acts or way.report.renamed or way.report.deleted or way.report.forgotten)
        return "did nothing: what was to be done has changed, or was done by another program" if is_idle else line
    if plan.policy.is_enforced:
        return f"would {line}"
    return f"{_who_warns(plan.policy)}: by itself it removes nothing; enforced, it would {line}"


def _who_warns(policy: Policy) -> str:
    """Return why the rules are not followed: it is the version's way, or what is configured."""
    from sessionlab.maintenance.policy import PROFILES

    is_own = PROFILES[policy.profile].mode == "warn"
    return f"OpenClaw {policy.profile} only warns" if is_own else f"OpenClaw {policy.profile} only warns, as configured"


def _facts(way: _Way) -> dict[str, Any]:
    """Return what is said of one store, in the names of D.16, D.50 and D.51, and ours after them."""
    facts: dict[str, Any] = {
        "agentId": way.location.agent_id,
        "storePath": str(way.location.path),
        "kind": way.location.kind,
        "status": way.status,
        "applied": way.report is not None,
    }
    if way.plan is not None:
        facts |= plan_facts(way.plan) | {"profileReason": way.told}
    elif way.skipped:
        facts["reason"] = way.skipped
    if way.report is not None and way.run_dir is not None and way.after is not None:
        facts |= {"afterCount": way.report.after_count, "after": totals_facts(way.after), "run": report_facts(way.report, way.run_dir)}
    if way.finished:
        facts["finished"] = [
            {"runDir": str(one.run.path), "renamedFiles": one.renamed, "deletedFiles": one.deleted} for one in way.finished
        ]
    if way.error is not None:
        facts["error"] = {"type": type(way.error).__name__, "message": with_next_step(way.error), "exit_code": way.error.exit_code}
    return facts
