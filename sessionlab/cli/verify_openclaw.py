"""The part of `sessionlab verify` that is about OpenClaw's own import into SQLite."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import Final, NoReturn

import click
import msgspec

from sessionlab.cli.asked import on_one_line
from sessionlab.cli.output import echo_json
from sessionlab.migration.verify_openclaw import verify_openclaw
from sessionlab.migration.verify_openclaw_result import ImportVerification, Kind
from sessionlab.units import format_count

_SHOWN: Final = 5
_TITLES: Final[dict[Kind, str]] = {
    "loss": "LOST OR CHANGED, not documented",
    "documented": "documented losses and faults of the import",
    "odd": "to be looked at",
    "rewritten": "rewritten as documented",
    "newer": "after the import",
}
_VERDICTS: Final = {
    0: "nothing is lost",
    1: "nothing is lost but what the import is known to lose, or could not be compared",
    3: "LOSS: the database does not hold all that the originals hold",
}


def verify_import(path: Path, agent: str | None, *, as_json: bool) -> NoReturn:
    """Print what came of comparing an import's originals with the database, and exit with its code."""
    found = verify_openclaw(path, agent=agent)
    if as_json:
        echo_json({"exit_code": found.exit_code, **msgspec.to_builtins(found)})
    else:
        _echo(found)
    raise click.exceptions.Exit(found.exit_code)


def _echo(found: ImportVerification) -> None:
    click.echo(f"{on_one_line(found.path)} (agent {', '.join(found.agents)})")
    sessions, live, events = (format_count(number) for number in (found.sessions, found.live_sessions, found.events))
    click.echo(f"  sessions     {sessions} in the originals, {live} in the database")
    click.echo(f"  transcripts  {format_count(found.transcripts)} in the originals, with {events} events")
    click.echo(f"  events       {format_count(found.equal_events)} equal, {format_count(found.lost_events)} lost")
    for kind, group in groupby(found.findings, key=lambda one: one.kind):
        click.echo(f"  {_TITLES[kind]}:")
        for one in group:
            click.echo(f"    {one.code}: {format_count(one.count)} {one.message}")
            if kind in ("rewritten", "newer"):
                continue
            if one.paths:
                click.echo(f"      at {on_one_line(', '.join(list(one.paths)[:_SHOWN]))}")
            for name in one.names[:_SHOWN]:
                click.echo(f"      {on_one_line(name)}")
            if one.count > _SHOWN < len(one.names):
                click.echo("      ...")
    click.echo(_VERDICTS[found.exit_code])
