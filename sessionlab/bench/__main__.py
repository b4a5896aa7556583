"""`python -m sessionlab.bench`: all measurements, each figure beside what it is held against."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from pathlib import Path

import click

from sessionlab.bench import maintenance, migrations, mirror, parallel, startup, stores, table
from sessionlab.bench.content import make_content
from sessionlab.bench.scope import Scope
from sessionlab.bench.stores import Findings
from sessionlab.bench.workplace import workplace


@click.command()
@click.option("--quick", is_flag=True, help="A tenth of the size: to try the measurements, not to quote them.")
@click.option("--large", is_flag=True, help="Stores of a million sessions, too: some minutes and 2 GB more.")
@click.option("--json", "output", metavar="FILE", help="Write the figures to FILE, too.")
def main(*, quick: bool, large: bool, output: str | None) -> None:
    """Measure speed and memory; takes about nine minutes and 2 GB below $TMPDIR.

    The stores alone: sessionlab bench stores; and so on: migrations, maintenance, parallel.
    """
    part = 10 if quick else 1
    scope = Scope(sessions=1000 // part, is_quick=quick, is_large=large)
    with workplace() as folder:
        for name in ("content", "out", "stores", "migrations", "maintenance", "parallel", "mirror"):
            (folder / name).mkdir()
        content = make_content(folder / "content", sessions=scope.sessions)
        rows = startup.measure(folder / "out", content.path)
        _show(table.table(rows))
        findings = stores.measure(folder / "stores", scope, content=content)
        _show(table.lines_of(findings))
        shutil.rmtree(folder / "stores")
        moves = migrations.measure(folder / "migrations", scope, content=content)
        _show(table.lines_of(moves))
        upkeep = maintenance.measure(folder / "maintenance", scope, content=content)
        _show(table.lines_of(upkeep))
        sessions = parallel.measure(folder / "parallel", scope)
        _show(table.lines_of(sessions))
        loads = mirror.measure(folder / "mirror", sessions=10_000 // part)
        _show(table.table(loads))
    found = Findings(
        (*rows, *findings.rows, *moves.rows, *upkeep.rows, *sessions.rows, *loads),
        findings.contentions,
        (*findings.conditions, *moves.conditions),
    )
    _show(["", table.summary_line(found.rows, found.comparisons)])
    if output is not None:
        document = found.document()
        Path(output).write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def _show(lines: Iterable[str]) -> None:
    for line in lines:
        click.echo(line)


if __name__ == "__main__":
    main()
