"""The stores' figures as the tables of the README."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sessionlab.bench import peers
from sessionlab.bench.measure import Measurement
from sessionlab.bench.stores import Findings
from sessionlab.bench.table import against, bound, measured, number

_OPERATIONS = {
    "cold_list_ms": ("list 1,000, opened anew", "ms"),
    "warm_list_ms": ("list 1,000 again", "ms"),
    "get_ms": ("get one", "ms"),
    "update_ms": ("update one", "ms"),
    "memory_mb": ("memory of the whole process", "MB"),
}


def tables(stores: Findings, migrations: Findings | None = None) -> Iterator[str]:
    """Yield both tables, an empty line between them: figures that have a bound, and what other programs need beside our stores."""
    yield "| store | operation | sessions | measured | held against | at most | |"
    yield "|---|---|--:|--:|---|--:|---|"
    for row in (*stores.rows, *(migrations.rows if migrations is not None else ())):
        if row.most is not None:
            verdict = "" if row.is_met else "missed"
            sessions = f"{row.sessions:,}" if row.sessions is not None else ""
            yield f"| {row.store} | {row.in_words} | {sessions} | {measured(row)} | {against(row).strip()} | {bound(row)} | {verdict} |"
    yield ""
    yield from _beside_others(stores.rows)


def _beside_others(rows: Sequence[Measurement]) -> Iterator[str]:
    """Yield a table of programs and operations; in our columns the factor to the best of the others stands beside the figure."""
    programs = (*peers.PEERS, peers.GOALS)
    found = peers.compare(rows)
    yield f"| | {' | '.join(one.name for one in programs)} | our SQLite | our directory |"
    yield f"|---|{'--:|' * (len(programs) + 2)}"
    for field, (operation, unit) in _OPERATIONS.items():
        theirs = [getattr(one, field) for one in programs]
        cells = ["" if value is None else f"{value:,g}{_synced(one, field)}" for one, value in zip(programs, theirs, strict=True)]
        for store in ("sqlite", "directory"):
            ours = [one for one in found if one.store == store and one.field == field]
            cells.append("; ".join(f"{number(one.ours)}{_form(one)} ({one.factor:.3g} x)" for one in ours))
        yield f"| {operation}, {unit} | {' | '.join(cells)} |"


def _synced(peer: peers.Peer, field: str) -> str:
    return " (synced)" if field == "update_ms" and peer.is_synced else ""


def _form(one: peers.Comparison) -> str:
    if one.field == "update_ms":
        return " synced" if one.durability == "commit" else " not synced"
    return " not decoded" if one.operation.endswith("not decoded") else ""
