"""`sessionlab check-growth`: a gate for continuous integration that fails when stores grow faster or larger than they may."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click
import msgspec

from sessionlab.cli.asked import asked_place, asked_stores, end_with, on_one_line, path_argument
from sessionlab.cli.moving import counted
from sessionlab.cli.next_step import with_next_step
from sessionlab.cli.output import agent_option, echo_json, echo_table, json_option, now_option, output_files, state_dir_option
from sessionlab.errors import SessionLabError, UsageError
from sessionlab.lab.clock import clock_of
from sessionlab.units import parse_duration_ms, parse_size_bytes

if TYPE_CHECKING:
    from sessionlab.cli.gate_files import Checked
    from sessionlab.maintenance.growth import Finding, Measured
    from sessionlab.maintenance.growth_limits import GrowthLimits
    from sessionlab.stores.location import StoreLocation

_Value = TypeVar("_Value")
_BREACH: Final = 1
_WORDS: Final = {"ok": "ok", "breach": "BREACH", "unknown": "unknown"}


@click.command("check-growth")
@path_argument
@state_dir_option
@agent_option
@click.option("--max-growth", metavar="RATE", help="How much sessions and their bytes may grow: 20%/week, 5%/day, 10%/90d.")
@click.option("--max-store", metavar="SIZE", help="How large a store's own files may be: 50mb, 2gb.")
@click.option("--max-disk", metavar="SIZE", help="How large the store and all files beside it may be.")
@click.option("--max-stale", metavar="PERCENT", help="Which part of the sessions may be stale: 50%.")
@click.option("--stale-after", default="30d", show_default=True, metavar="TIME", help="When a session is stale: not updated for longer.")
@click.option("--junit", metavar="FILE", help="Write JUnit's XML: one test case for each limit and agent.")
@click.option("--summary", metavar="FILE.md", help="Write a Markdown job summary; $GITHUB_STEP_SUMMARY is written on.")
@now_option
@json_option
def command(
    *,
    path: str | None,
    state_dir: str | None,
    agent: str | None,
    max_growth: str | None,
    max_store: str | None,
    max_disk: str | None,
    max_stale: str | None,
    stale_after: str,
    junit: str | None,
    summary: str | None,
    now_ms: int,
    as_json: bool,
) -> None:
    """Fail when stores grow faster, or are larger or staler, than they may: a gate for continuous integration.

    PATH is a store, an agent's folder or a state folder, of which every agent is checked; nothing in it is written. Growth is that of the
    last period against what there was before it. A store does not remember its past: a session is new when it began in the period, by its
    entry's own time or else by the first line of its transcript. A chat that was started anew counts as new, and what was removed meanwhile
    does not count at all, so the figure errs upwards. Its bytes are those of its entry and its transcripts, be these files or rows of
    OpenClaw's own database, there as long as they would be as files. The answer is "unknown", which
    is no breach, where every session is new, so that there is nothing to compare with, and where sessions of which nothing says when they
    began would make the difference. What is exactly at a limit keeps it.

    Exit codes: 0 every limit is kept; 1 one is not; 2 usage; 3 a store cannot be read; 4 two stores disagree; 10 no store; of several the
    highest.
    """
    from sessionlab.cli import gate_files

    limits = _limits(max_growth, max_store, max_disk, max_stale, stale_after)
    files = output_files(("--junit", junit), ("--summary", summary))
    place = asked_place(path, state_dir)
    clock_ms = clock_of(place, now_ms).now_ms
    stores: list[Checked] = []
    sizes: list[Measured] = []
    errors: list[SessionLabError] = []
    for location in asked_stores(place, agent):
        checked, measured, error = _checked(location, limits, clock_ms)
        stores.append(checked)
        sizes += [measured] if measured is not None else []
        errors += [error] if error is not None else []
    verdict = _verdict(stores)
    for name, file in files.items():
        is_junit = name == "--junit"
        data = gate_files.junit(stores, limits.allowed(), now_ms=clock_ms) if is_junit else gate_files.markdown(stores, verdict)
        gate_files.write(file, data)
    is_breached = any(finding.verdict == "breach" for store in stores for finding in store.findings)
    if as_json:
        echo_json(_facts(place, clock_ms, stores, sizes, is_ok=not (is_breached or errors)))
    else:
        _echo(stores, verdict)
    if errors or is_breached:
        end_with(errors, code=_BREACH if is_breached else 0)


def _checked(location: StoreLocation, limits: GrowthLimits, now_ms: int) -> tuple[Checked, Measured | None, SessionLabError | None]:
    """Measure and judge one store; what keeps it from being read is part of the answer."""
    from sessionlab.cli.gate_files import Checked
    from sessionlab.maintenance.growth import judge, measure_store

    began = time.monotonic()
    try:
        measured = measure_store(location, limits, now_ms=now_ms)
    except SessionLabError as error:
        seconds = time.monotonic() - began
        told = Checked(location.agent_id, location.path, error=with_next_step(error), error_type=type(error).__name__, seconds=seconds)
        return told, None, error
    findings = judge(measured, limits)
    return Checked(location.agent_id, location.path, findings, seconds=time.monotonic() - began), measured, None


def _limits(max_growth: str | None, max_store: str | None, max_disk: str | None, max_stale: str | None, stale_after: str) -> GrowthLimits:
    """Return what is allowed.

    Raises:
        UsageError: Nothing is limited, or an option is not of its form; naming it.
    """
    from sessionlab.maintenance.growth_limits import GrowthLimits, parse_percent, parse_rate

    if all(text is None for text in (max_growth, max_store, max_disk, max_stale)):
        raise UsageError("say what to check: --max-growth, --max-store, --max-disk or --max-stale")
    return GrowthLimits(
        growth=_parsed("--max-growth", max_growth, parse_rate),
        store_bytes=_parsed("--max-store", max_store, parse_size_bytes),
        disk_bytes=_parsed("--max-disk", max_disk, parse_size_bytes),
        stale_percent=_parsed("--max-stale", max_stale, parse_percent),
        stale_after_ms=_parsed("--stale-after", stale_after, partial(parse_duration_ms, default_unit="d")) or 0,
    )


def _parsed(option: str, text: str | None, parse: Callable[[str], _Value]) -> _Value | None:
    try:
        return parse(text) if text is not None else None
    except UsageError as error:
        raise UsageError(f"{option}: {error}") from error


def _verdict(stores: Sequence[Checked]) -> str:
    """Return in one line what came of it all."""
    findings = [finding for store in stores for finding in store.findings]
    broken = sum(finding.verdict == "breach" for finding in findings)
    unknown = sum(finding.verdict == "unknown" for finding in findings)
    unread = sum(bool(store.error) for store in stores)
    parts = [
        f"{broken} of {counted(len(findings), 'limit')} broken" if broken else f"{counted(len(findings) - unknown, 'limit')} kept",
        *([f"{unknown} cannot be told"] if unknown else []),
        *([f"{counted(unread, 'store')} cannot be read"] if unread else []),
    ]
    return ", ".join(parts)


def _echo(stores: Sequence[Checked], verdict: str) -> None:
    findings: list[Finding] = [finding for store in stores for finding in store.findings]
    rows = [[_WORDS[one.verdict], one.agent_id, one.limit, one.allowed, one.found] for one in findings]
    if rows:
        echo_table([["", "agent", "limit", "allowed", "found"], *rows])
    for one in findings:
        if one.verdict != "ok":
            click.echo(on_one_line(f"  {one.agent_id}, {one.limit}: {one.detail}"))
    click.echo(verdict)


def _facts(place: Path, now_ms: int, stores: Sequence[Checked], sizes: Sequence[Measured], *, is_ok: bool) -> dict[str, Any]:
    return {
        "path": str(place),
        "now_ms": now_ms,
        "is_ok": is_ok,
        "findings": [msgspec.to_builtins(finding) for store in stores for finding in store.findings],
        "stores": [msgspec.to_builtins(one) for one in sizes],
        "errors": [store.error for store in stores if store.error],
    }
