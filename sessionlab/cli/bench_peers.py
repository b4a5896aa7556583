"""`sessionlab bench peers`: an installed OpenClaw measured beside our stores, on the same sessions."""

from __future__ import annotations

from pathlib import Path

import click

from sessionlab.cli.bench_long import show, store_option
from sessionlab.cli.output import json_option
from sessionlab.errors import UsageError


@click.command("peers")
@store_option
@click.option(
    "--openclaw",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Where OpenClaw is installed, 2026.3 to 2026.9: the folder of its package, or the one above node_modules.",
)
@click.option("--node", metavar="FILE", default="node", show_default=True, help="The node that runs it.")
@click.option("--sessions", type=click.IntRange(min=20), default=1000, show_default=True, help="How many sessions of 42 KB.")
@click.option("--quick", is_flag=True, help="One process each, few repeats: shows that it works, gives no figure to quote.")
@json_option
def peers(*, folder: Path | None, stores: tuple[str, ...], node: str, sessions: int, quick: bool, as_json: bool) -> None:
    """Measure a real, installed OpenClaw beside our stores; without --openclaw, print what was measured of it before.

    Both work on the same generated sessions, in fresh processes in turns: list, get, update, memory. OpenClaw is run by its own public
    functions, with a home of its own that goes away, and without a network; one that keeps sessions in a database fills it by its own
    import. With 1,000 sessions about three minutes, and 0.4 GB below $TMPDIR. What cannot be compared is an error (exit code 1).
    """
    if folder is None:
        _show_recorded(as_json=as_json)
        return
    from sessionlab.bench.peers_openclaw.installed import find
    from sessionlab.bench.peers_openclaw.measuring import Asked, measure
    from sessionlab.bench.scope import STORES

    if not folder.is_dir():
        raise UsageError(f"{folder}: there is no such folder; give the one that npm made, node_modules/openclaw")
    openclaw = find(folder, node)
    chosen = tuple(store for store in STORES if store in stores or not stores)
    asked = Asked.quick(sessions, chosen) if quick else Asked(sessions=sessions, stores=chosen)
    show(lambda place, on_progress: measure(place, openclaw, asked, on_progress=on_progress), as_json=as_json)


def _show_recorded(*, as_json: bool) -> None:
    from sessionlab.bench.peers import CONDITIONS, IMPORTS
    from sessionlab.bench.peers_recorded import recorded_peers
    from sessionlab.bench.results import Results
    from sessionlab.resources import benchmarks_dir

    recorded = Results(
        "peers",
        tables={"recorded": recorded_peers(benchmarks_dir()), "imports": IMPORTS},
        conditions=[
            CONDITIONS,
            "date: of the record, whose conditions data/benchmarks/peers-VERSION.json has; without one it was measured on another machine",
            "nothing was measured now: --openclaw DIR measures an installed one",
        ],
    )
    show(lambda _place, _on_progress: recorded, as_json=as_json)
