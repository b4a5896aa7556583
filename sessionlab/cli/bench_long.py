"""`sessionlab bench proposal`, `rss`, `cache`: the tables that were published, measured again with our stores."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sessionlab.cli.output import echo_json, json_option, progress

if TYPE_CHECKING:
    from sessionlab.bench.results import Results


def store_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the option that says which stores are measured."""
    return click.option(
        "--store",
        "stores",
        type=click.Choice(["json", "sqlite", "directory"]),
        multiple=True,
        help="Only this one; repeatable. Default: all three.",
    )(command)


@click.command("rss")
@store_option
@click.option("--target-kb", type=click.IntRange(min=1), default=7_600, show_default=True, help="Size as one sessions.json, KB.")
@click.option("--cycles", type=click.IntRange(min=1), default=300, show_default=True, help="How often to load and update.")
@click.option("--sample-every", type=click.IntRange(min=1), default=25, show_default=True, help="Look at the memory after so many cycles.")
@click.option("--payload-size", type=click.IntRange(min=1), default=2_048, show_default=True, help="Bytes of text of each session.")
@click.option("--unique-touches", type=click.IntRange(min=1), default=400, show_default=True, help="How many are updated, in turn.")
@click.option("--cache-ttl-ms", type=click.IntRange(min=0), help="For how long the object cache answers; 0 for never.")
@click.option("--reuse-loaded-store", is_flag=True, help="Only the runs that update from what was loaded, not those that read again.")
@json_option
def rss(*, stores: tuple[str, ...], as_json: bool, **asked: Any) -> None:
    """Measure memory and time of a process that loads and updates one store for long.

    The stress test of openclaw#51567, with its flags and columns, beside its published table: 50 cycles, a look every 10. JSON with and
    without the reuse of what was loaded, and the object cache; SQLite and directory; and what a program does that does not load everything.
    """
    from sessionlab.bench.rss import Asked, measure
    from sessionlab.bench.scope import STORES

    chosen = tuple(store for store in STORES if store in stores or not stores)
    wanted = Asked(stores=chosen, **asked)
    show(lambda folder, on_progress: measure(folder, wanted, on_progress=on_progress), as_json=as_json)


@click.command("cache")
@click.option("--quick", is_flag=True, help="Only the two smallest files.")
@json_option
def cache(*, quick: bool, as_json: bool) -> None:
    """Measure what keeping a sessions.json in memory costs and spares: 100 to 2,000 sessions of 2 KB.

    The measuring script of openclaw#51567, with its columns; its own figures were never published. About half a minute.
    """
    from sessionlab.bench.cache import COUNTS, measure

    counts = COUNTS[:2] if quick else COUNTS
    show(lambda folder, on_progress: measure(folder, counts, on_progress=on_progress), as_json=as_json)


@click.command("proposal")
@click.option("--quick", is_flag=True, help="Small stores and one process each: shows that it works, gives no figure to quote.")
@json_option
def proposal(*, quick: bool, as_json: bool) -> None:
    """Measure the table of the proposal of a SQLite store (openclaw#58550), which held expectations.

    Load, single update, list, memory and CPU of a naive sessions.json and of our stores, 100 to 100,000 sessions. About six minutes, and
    1.2 GB below $TMPDIR.
    """
    _print(measure_proposal(quick=quick), as_json=as_json)


def measure_proposal(*, quick: bool) -> Results:
    """Measure that table and return it."""
    from sessionlab.bench.proposal import LARGE, SMALL, measure

    large, small, rounds = ((20,), (200,), 1) if quick else (LARGE, SMALL, 3)
    return _measured(lambda folder, on_progress: measure(folder, large, small, rounds=rounds, on_progress=on_progress))


def show(measure: Callable[[Path, Any], Results], *, as_json: bool) -> Results:
    """Measure in a folder that goes away, print what was found, and return it."""
    found = _measured(measure)
    _print(found, as_json=as_json)
    return found


def _measured(measure: Callable[[Path, Any], Results]) -> Results:
    from sessionlab.bench.workplace import workplace

    with workplace() as folder, progress() as on_progress:
        return measure(folder, on_progress)


def _print(found: Results, *, as_json: bool) -> None:
    from sessionlab.bench.table import lines_of_results

    if as_json:
        echo_json(found.document())
    else:
        for line in lines_of_results(found):
            click.echo(line)
