"""`sessionlab verify`: whether one store, or state folder, holds all that another one holds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Final

import click
import msgspec

from sessionlab import layout
from sessionlab.cli.asked import on_one_line
from sessionlab.cli.output import agent_option, echo_json, json_option, not_blank
from sessionlab.migration.verify import verify
from sessionlab.migration.verify_result import Difference, Verification
from sessionlab.units import format_count

_OPENCLAW: Final = "openclaw"
_SHOWN: Final = 8
"""Differences of one kind that are printed by name."""
_SHOWN_PATHS: Final = 12


@click.command("verify")
@click.argument("a")
@click.argument("b")
@agent_option
@json_option
def command(*, a: str, b: str, agent: str | None, as_json: bool) -> None:
    """Say whether B holds all that A holds: session by session, and transcript by transcript.

    A and B are stores of any kind, or folders that hold them: of an agent, or whole state folders. Between two folders the transcripts are
    compared, too, event by event: a .jsonl file equals the same events in a database, or in an archive ending in .zst. Copies that
    OpenClaw makes of them (backups, checkpoints, trajectories) are left out. Keys are compared as OpenClaw does, upper case and blanks
    aside; other spellings are said. What differs is named by key and JSON path, never by value.

    'verify openclaw STATE_DIR' compares the originals that OpenClaw's import into SQLite set aside with what its database holds now, and
    tells what was rewritten as documented from what was lost. (A folder of that name: ./openclaw.)

    Nothing is written. Exit code: 0 equal (of an import: nothing lost), 1 differences that lose nothing (of an import: documented losses
    only), 3 something of A is missing, changed or cannot be read in B, 4 two stores of one agent that both hold sessions, 10 no store.
    """
    if a == _OPENCLAW:
        from sessionlab.cli.verify_openclaw import verify_import

        verify_import(layout.expanded(Path(not_blank(b, "STATE_DIR"))), agent, as_json=as_json)
    found = verify(Path(not_blank(a, "A")), Path(not_blank(b, "B")), agent=agent)
    if as_json:
        loss = {"is_equal": found.is_equal, "has_loss": found.has_loss}
        echo_json({**loss, **msgspec.to_builtins(found)})
    else:
        echo_verification(found)
    raise click.exceptions.Exit(found.exit_code)


def echo_verification(found: Verification) -> None:
    """Print what came of a comparison: the counts, what differs, and last the verdict."""
    click.echo(f"A  {on_one_line(found.a)}\nB  {on_one_line(found.b)}")
    click.echo(f"  sessions     {_of(found.equal_sessions, found.sessions)} equal")
    if found.has_transcripts:
        click.echo(f"  transcripts  {_of(found.equal_transcripts, found.transcripts)} equal, with {format_count(found.events)} events")
    else:
        click.echo("  transcripts  not compared: give two folders for that")
    ordered = sorted(found.differences, key=lambda one: (one.subject, one.what))
    for (subject, what), group in groupby(ordered, key=lambda one: (one.subject, one.what)):
        click.echo(f"  {subject}s {what}: {format_count(found.counts[f'{subject} {what}'])}")
        echo_folded([_worded(one, is_one_agent=len(found.agents) < 2) for one in group], found.counts[f"{subject} {what}"])
    if found.paths:
        click.echo("  where they differ:")
        of = {"session": "sessions", "transcript": "events"}
        rows = [f"{one.path} ({of[one.subject]}: {format_count(one.count)})" for one in found.paths[:_SHOWN_PATHS]]
        echo_folded(rows, len(found.paths), shown=_SHOWN_PATHS)
    click.echo(_verdict(found))


def echo_folded(rows: Sequence[str], count: int, *, shown: int = _SHOWN) -> None:
    """Print the first of some rows, and how many more there are."""
    for row in rows[:shown]:
        click.echo(f"    {on_one_line(row)}")
    if count > shown:
        click.echo(f"    ... and {format_count(count - shown)} more")


def _of(some: int, all_: int) -> str:
    return f"{format_count(some)} of {format_count(all_)}"


def _worded(one: Difference, *, is_one_agent: bool) -> str:
    name = one.name if is_one_agent else f"{one.agent_id}: {one.name}"
    paths = ", ".join([*one.paths[:6], *(["..."] if len(one.paths) > 6 else [])])
    return ": ".join(_filled([name, paths, one.reason]))


def _filled(texts: Iterable[str]) -> list[str]:
    return [text for text in texts if text]


def _verdict(found: Verification) -> str:
    if found.is_equal:
        return "equal"
    if found.has_loss:
        return "LOSS: B does not hold all that A holds"
    return "nothing of A is lost, but B is not the same"
