"""`sessionlab synth`: a synthetic state folder."""

from __future__ import annotations

from pathlib import Path

import click

from sessionlab.cli.output import command_line, echo_json, json_option, refuse_off_limits
from sessionlab.units import format_bytes, format_count


@click.command("synth")
@click.argument("folder")
@click.option(
    "--sessions", type=click.IntRange(min=1), default=300, show_default=True, help="How many sessions; fewer than 60 only with --no-flaws."
)
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed and options give the same bytes.")
@click.option("--days", type=click.IntRange(min=1), default=90, show_default=True, help="How many days of history.")
@click.option("--entry-bytes", type=click.IntRange(min=1), help="Average size of an entry. Default: a few KB, as varied as in real life.")
@click.option("--transcript-bytes", type=click.IntRange(min=1), help="Average size of a transcript.")
@click.option("--no-transcripts", is_flag=True, help="Write the stores only.")
@click.option("--no-flaws", is_flag=True, help="Leave out bad lines, orphans, legacy fields and the like.")
@json_option
def command(
    *,
    folder: str,
    sessions: int,
    seed: int,
    days: int,
    entry_bytes: int | None,
    transcript_bytes: int | None,
    no_transcripts: bool,
    no_flaws: bool,
    as_json: bool,
) -> None:
    """Write a realistic state folder of OpenClaw's JSON era into FOLDER, which must be empty or not exist.

    synth.json in it holds the seed, its clock and the true totals.
    """
    from sessionlab.synth import write_state

    path = Path(folder).absolute()
    refuse_off_limits(path, "FOLDER", what="folder")
    truth = write_state(
        path,
        seed=seed,
        sessions=sessions,
        days=days,
        entry_bytes=entry_bytes,
        transcript_bytes=transcript_bytes,
        transcripts=not no_transcripts,
        flaws=not no_flaws,
    )
    if as_json:
        echo_json({"path": str(path), "sessions": truth.sessions, "store_bytes": truth.store_bytes, "agents": sorted(truth.agents)})
        return
    click.echo(
        f"{path}: {format_count(truth.sessions)} sessions of {len(truth.agents)} agents, stores of {format_bytes(truth.store_bytes)}"
    )
    click.echo(f"\nNext:\n  {command_line('report', 'growth', '--state-dir', path, '-o', 'growth.html')}")
