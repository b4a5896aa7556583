"""`sessionlab bench`: speed and memory of the stores, of moving, verifying and maintaining them, and of parallel sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from sessionlab.cli.bench_load import contention, scale
from sessionlab.cli.bench_long import cache, measure_proposal, proposal, rss
from sessionlab.cli.bench_peers import peers
from sessionlab.cli.output import echo_json, json_option, progress
from sessionlab.errors import UsageError

if TYPE_CHECKING:
    from sessionlab.bench.results import Results
    from sessionlab.bench.stores import Findings


@click.group("bench")
@json_option
def command(*, as_json: bool) -> None:  # passed on
    """Measure speed and memory here, each figure against a floor in the same run."""


for long in (proposal, rss, cache, contention, scale, peers):
    command.add_command(long)


@command.command("stores")
@click.option(
    "--sessions", type=click.IntRange(min=20), default=1000, show_default=True, help="How many sessions of 42 KB each store holds."
)
@click.option(
    "--store",
    "stores",
    type=click.Choice(["json", "sqlite", "directory"]),
    multiple=True,
    help="Only this one; repeatable. Default: all three.",
)
@click.option("--quick", is_flag=True, help="Few rounds and small stores: shows that it works, gives no figure to quote.")
@click.option("--large", is_flag=True, help="A million sessions in SQLite and 100,000 in a directory, too: three minutes and 2 GB more.")
@click.option("--proposal", "with_proposal", is_flag=True, help="The table of openclaw#58550, too: what `bench proposal` measures.")
@json_option
def stores(*, sessions: int, stores: tuple[str, ...], quick: bool, large: bool, with_proposal: bool, as_json: bool) -> None:
    """Measure what the stores cost to read and to write: JSON, SQLite, directory.

    Every figure stands beside its floor, the least that the same thing can cost, measured in the same run; beside the most that is
    accepted; and beside other programs. With 1,000 sessions it takes about two minutes, 1 GB below $TMPDIR and 8 processes at once. A
    figure beyond its bound is marked and no error: other work on the machine moves it. An update that was acknowledged and then lost is
    one (exit code 3), and so is one that was refused (1).
    """
    from sessionlab.bench.scope import STORES, Scope
    from sessionlab.bench.stores import measure
    from sessionlab.bench.workplace import workplace

    if quick and large:
        raise UsageError("give only one of --quick and --large")
    chosen = tuple(store for store in STORES if store in stores or not stores)
    scope = Scope(sessions=sessions, stores=chosen, is_quick=quick, is_large=large)
    with workplace() as folder, progress() as on_progress:
        found = measure(folder, scope, on_progress=on_progress)
    table = measure_proposal(quick=quick) if with_proposal else None
    _echo(found, as_json=as_json, besides=table)
    errors = sum(one.errors for one in found.contentions)
    if found.lost or errors:
        click.echo(f"sessionlab: of the updates by many writers {found.lost} were lost and {errors} refused", err=True)
        raise click.exceptions.Exit(3 if found.lost else 1)


@command.command("migrations")
@click.option("--sessions", type=click.IntRange(min=20), default=1000, show_default=True, help="How many sessions of 42 KB are moved.")
@click.option("--quick", is_flag=True, help="One round, and no large store: shows that it works, gives no figure to quote.")
@json_option
def migrations(*, sessions: int, quick: bool, as_json: bool) -> None:
    """Measure what moving and verifying costs: all pairs of JSON, SQLite, directory, the ways back, and OpenClaw's import.

    Every figure stands beside its floor, reading the same files and taking their SHA-256 in the same run; beside the most that is
    accepted, in seconds or MB; and beside OpenClaw's own import. With 1,000 sessions it takes about three minutes and 1.6 GB below
    $TMPDIR, most of it for the memory that ten times as many need. A figure beyond its bound is marked and no error: other work on the
    machine moves it. A session or event that is not there afterwards is one.
    """
    from sessionlab.bench.migrations import measure
    from sessionlab.bench.scope import Scope
    from sessionlab.bench.workplace import workplace

    with workplace() as folder, progress() as on_progress:
        found = measure(folder, Scope(sessions=sessions, is_quick=quick), on_progress=on_progress)
    _echo(found, as_json=as_json)


@command.command("maintenance")
@click.option("--quick", is_flag=True, help="Few sessions: shows that it works, gives no figure to quote.")
@click.option("--large", is_flag=True, help="A plan of a million sessions, too.")
@json_option
def maintenance(*, quick: bool, large: bool, as_json: bool) -> None:
    """Measure what a maintenance costs: planning, carrying out and keeping what it removes, and saving with it.

    Every figure stands beside its floor, the bare deletes and renames, or the same save without, in the same run. About two minutes, and
    0.3 GB below $TMPDIR. A figure beyond its bound is marked and no error: other work on the machine moves it.
    """
    from sessionlab.bench.maintenance import measure
    from sessionlab.bench.scope import Scope
    from sessionlab.bench.workplace import workplace

    with workplace() as folder, progress() as on_progress:
        found = measure(folder, Scope(sessions=100 if quick else 1_000, is_quick=quick, is_large=large), on_progress=on_progress)
    _echo(found, as_json=as_json)


@command.command("parallel")
@click.option("--quick", is_flag=True, help="Few memories: shows that it works, gives no figure to quote.")
@json_option
def parallel(*, quick: bool, as_json: bool) -> None:
    """Measure what parallel sessions and their memory cost: at 100,000 memories, and with 8 processes that save at once.

    Every figure stands beside its floor in the same run, a bare insert, upsert or delete that is as durable, or beside its limit. About
    two minutes, and 0.2 GB below $TMPDIR. A figure beyond its bound is marked and no error: other work on the machine moves it. A save
    that is refused, or not there afterwards, is one; so is a search that finds something else than a look at every row.
    """
    from sessionlab.bench.parallel import measure
    from sessionlab.bench.scope import Scope
    from sessionlab.bench.workplace import workplace

    with workplace() as folder, progress() as on_progress:
        found = measure(folder, Scope(is_quick=quick), on_progress=on_progress)
    _echo(found, as_json=as_json)


def _echo(found: Findings, *, as_json: bool, besides: Results | None = None) -> None:
    """Print what was found, and what was measured besides."""
    from sessionlab.bench import table

    if as_json:
        echo_json(found.document() | ({} if besides is None else {besides.name: besides.document()}))
        return
    for line in (*table.lines_of(found), *(() if besides is None else table.lines_of_results(besides))):
        click.echo(line)
    click.echo(f"\n{table.summary_line(found.rows, found.comparisons)}")
