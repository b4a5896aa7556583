"""How much memory the stores take, each measured in a fresh process: one listing above its imports, a whole program above bare Python."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

from sessionlab.bench.content import Content
from sessionlab.bench.measure import Measurement, peak_mb

_IMPORTS: Final = {
    "sqlite": "from pathlib import Path; from sessionlab.stores.sqlite import SQLiteStore as Store",
    "directory": "from pathlib import Path; from sessionlab.stores.directory import DirectoryStore as Store",
}
_OPEN: Final = "store = Store(Path(sys.argv[1]))"
_KEEP: Final = "kept = list(store.summaries())"
_ITERATE: Final = "for row in store.summaries(): pass"
_WORK: Final = "store.get(sys.argv[2]); store.update(sys.argv[2], lambda entry: {'label': 'peak'}, now_ms=1)"


def of_listing(
    store: Literal["sqlite", "directory"], path: Path, *, sessions: int, is_kept: bool, bound: float | None, conditions: str
) -> Measurement:
    """Measure one listing, whose rows are kept, or dropped one by one."""
    return Measurement(
        store=store,
        operation=f"list summaries, {'' if is_kept else 'rows not kept, '}peak memory",
        peak_mb=peak_mb(f"{_IMPORTS[store]}; {_OPEN}", _KEEP if is_kept else _ITERATE, arguments=[str(path)]),
        floor="above a fresh process after its imports",
        bound=bound,
        sessions=sessions,
        conditions=conditions,
    )


def of_program(store: Literal["sqlite", "directory"], path: Path, content: Content) -> Measurement:
    """Measure a whole program that lists the store, reads a session and updates it."""
    program = "; ".join((_IMPORTS[store], _OPEN, _KEEP, _WORK))
    return Measurement(
        store=store,
        operation="list, get, update: the whole process",
        peak_mb=peak_mb("", program, arguments=[str(path), content.middle]),
        floor="above bare Python",
        sessions=len(content.entries),
        durability="commit",
        conditions=content.in_words,
    )
