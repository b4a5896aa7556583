"""`python -m sessionlab.bench`: run the measurements and print each figure beside what it is held against."""

from __future__ import annotations

import dataclasses
import json
import platform
import tempfile
from pathlib import Path

import click

from sessionlab.bench import mirror, startup, stores, summaries
from sessionlab.bench.measure import Measurement


@click.command()
@click.option("--quick", is_flag=True, help="A tenth of the size: to try the measurements, not to quote them.")
@click.option("--json", "output", metavar="FILE", help="Write the figures to FILE, too.")
def main(*, quick: bool, output: str | None) -> None:
    """Measure speed and memory; takes about two minutes and 2 GB below $TMPDIR."""
    part = 10 if quick else 1
    found: list[Measurement] = []
    with tempfile.TemporaryDirectory(prefix="sessionlab-bench-") as place:
        folder = Path(place)
        (folder / "out").mkdir()
        (folder / "mirror").mkdir()
        found += _shown(summaries.measure(folder / "store", sessions=1000 // part))
        store = folder / "store" / "agents" / "main" / "sessions" / "sessions.json"
        found += _shown(startup.measure(folder / "out", store))
        (folder / "stores").mkdir()
        found += _shown(stores.measure(folder / "stores", store))
        found += _shown(mirror.measure(folder / "mirror", sessions=10_000 // part))
    missed = [row for row in found if row.is_met is False]
    click.echo(f"\n{len(found)} figures, {len(missed)} beyond their limit, on {platform.platform()}, Python {platform.python_version()}")
    if output is not None:
        rows = [{**dataclasses.asdict(row), "ratio": row.ratio, "is_met": row.is_met} for row in found]
        Path(output).write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


def _shown(rows: list[Measurement]) -> list[Measurement]:
    """Print measurements as they come in, and return them."""
    group = ""
    for row in rows:
        if group != (group := f"{row.benchmark}: {row.conditions}"):
            click.echo(f"\n{group}")
        against = f"{row.ratio:5.2f} x {row.reference_name} ({_number(row.reference)} {row.unit})" if row.ratio is not None else ""
        limit = "" if row.limit is None else f"limit {row.limit:g}{' x' if row.ratio is not None else f' {row.unit}'}"
        verdict = {None: "", True: "ok", False: "MISSED"}[row.is_met]
        click.echo(f"  {row.what:44} {_number(row.value):>9} {row.unit:3} {against:58} {limit:12} {verdict}".rstrip())
    return rows


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}" if value >= 10 else f"{value:.3f}"


if __name__ == "__main__":
    main()
