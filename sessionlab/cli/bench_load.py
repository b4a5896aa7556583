"""`sessionlab bench contention`, `scale`: what the stores do under load, by many writers and as they grow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from sessionlab.cli.bench_long import show
from sessionlab.cli.output import json_option
from sessionlab.errors import UsageError


def backend_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the option that says which backends are measured, the baseline among them."""
    return click.option(
        "--store",
        "stores",
        type=click.Choice(["naive", "json", "sqlite", "directory"]),
        multiple=True,
        help="Only this one; repeatable. Default: all, and naive, which is a whole sessions.json for every update.",
    )(command)


@click.command("contention")
@backend_option
@click.option("--sessions", type=click.IntRange(min=2), help="How many sessions of 42 KB. Default: the 1,159 of the report.")
@click.option("--writers", type=click.IntRange(min=1, max=256), multiple=True, help="Processes; repeatable. Default: 1, 2, 4, 8 and 16.")
@click.option("--quick", is_flag=True, help="Small stores and short rounds: shows that it works, gives no figure to quote.")
@json_option
def contention(*, stores: tuple[str, ...], sessions: int | None, writers: tuple[int, ...], quick: bool, as_json: bool) -> None:
    """Measure many writers on one store: how many updates, and how long each waits.

    The report of 1,159 sessions behind a file lock, 25 timeouts and 157 stuck sessions in three hours, replayed as a load: sessions of 42
    KB, a few of which get most updates. Three rounds, four minutes, 150 MB below $TMPDIR, up to 16 processes at once. Timeouts are what is
    measured. An update that was acknowledged by one of our stores and then lost is an error (exit code 3), and so is one that was refused
    for another reason (1).
    """
    from sessionlab.bench.contention import KINDS, QUICK_WRITERS, SESSIONS, WRITERS, Asked, losses, measure

    asked = Asked(
        kinds=tuple(kind for kind in KINDS if kind in stores or not stores),
        sessions=sessions or (100 if quick else SESSIONS),
        writers=tuple(sorted(set(writers))) or (QUICK_WRITERS if quick else WRITERS),
        is_quick=quick,
    )
    found = show(lambda folder, on_progress: measure(folder, asked, on_progress=on_progress), as_json=as_json)
    lost, refused = losses(found)
    if lost or refused:
        click.echo(f"sessionlab: of the updates by many writers {lost} were lost and {refused} refused", err=True)
        raise click.exceptions.Exit(3 if lost else 1)


@click.command("scale")
@backend_option
@click.option("--quick", is_flag=True, help="Small stores and few rounds: shows that it works, gives no figure to quote.")
@click.option("--large", is_flag=True, help="Up to a million sessions, where a backend gets there: some minutes and 2 GB more.")
@json_option
def scale(*, stores: tuple[str, ...], quick: bool, large: bool, as_json: bool) -> None:
    """Measure how cost grows with the work, and where each store stops being comfortable.

    100 to 100,000 sessions; sessions of 1 to 100 KB; 100 to 10,000 transcripts beside them. List, get, update, put a new one; exponents
    fitted on the logarithms; and the size from which a listing takes more than 250 ms, or another operation more than 50, on this machine.
    What transcripts do is told where it is more than the noise; finding those that no session refers to looks at each. A backend that
    would need five seconds for one operation grows no more. Three to four minutes, and 300 MB below $TMPDIR.
    """
    from sessionlab.bench.contention import KINDS
    from sessionlab.bench.scale import Asked, measure

    if quick and large:
        raise UsageError("give only one of --quick and --large")
    asked = Asked(kinds=tuple(kind for kind in KINDS if kind in stores or not stores), is_quick=quick, is_large=large)
    show(lambda folder, on_progress: measure(folder, asked, on_progress=on_progress), as_json=as_json)
