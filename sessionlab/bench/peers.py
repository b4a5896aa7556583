"""The programs that our stores are compared with, and by how much ours are better.

Their figures are those of the real programs with 1,000 sessions of 42 KB: what `data/benchmarks/` has (`bench.peers_recorded`), and here
what was measured elsewhere only. They are absolute times of another run: good for orders of magnitude, not for percents.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from sessionlab.bench.measure import Measurement
from sessionlab.bench.scope import ENTRY_BYTES, QUOTED_SESSIONS

CONDITIONS: Final = (
    f"peers: the real OpenClaw, {QUOTED_SESSIONS:,} sessions of {ENTRY_BYTES // 1000} KB unless said, as recorded in data/benchmarks or "
    "measured elsewhere: absolute times of another run; its lists give entries, ours summaries"
)
FACTOR: Final = 10
"""How many times better than the best peer a store is to be."""
DURABLE_FACTOR: Final = 6
"""The same for an update that is forced to disk, because the best peer's is not."""


class Peer(msgspec.Struct, frozen=True, kw_only=True):
    """What one program needs: times in ms, memory of the whole process in MB; `None` where it was not measured.

    Attributes:
        sessions: How many its store held.
        import_ms: Moving them from JSON to SQLite.
        import_memory_mb: The memory of the process that does.
    """

    name: str
    cold_list_ms: float | None = None
    warm_list_ms: float | None = None
    get_ms: float | None = None
    update_ms: float | None = None
    is_synced: bool = False
    memory_mb: float | None = None
    sessions: int = QUOTED_SESSIONS
    import_ms: float | None = None
    import_memory_mb: float | None = None


PEERS: Final = (
    Peer(name="OpenClaw 2026.3.31, JSON", cold_list_ms=1542, update_ms=1314, is_synced=True, memory_mb=927),
    Peer(name="OpenClaw 2026.7.1-2, JSON"),
    Peer(name="OpenClaw 2026.9.6, SQLite"),
)
"""The versions that are compared, oldest first; the figures are those of another machine, where no record replaces them."""
GOALS: Final = Peer(name="goals of openclaw#58550", cold_list_ms=15, warm_list_ms=20, update_ms=5, memory_mb=2)
"""What the proposal of a SQLite store wants of it: load, list, update, memory."""
IMPORTS: Final = (
    Peer(name="OpenClaw 2026.9.6, import", import_ms=18_600, import_memory_mb=534),
    Peer(name="OpenClaw 2026.9.6, import", import_ms=50_700, import_memory_mb=1_800, sessions=10 * QUOTED_SESSIONS),
)

_ROWS: Final = {
    "list summaries, opened anew": "cold_list_ms",
    "list summaries": "warm_list_ms",
    "get one": "get_ms",
    "update one, a small field changed": "update_ms",
}
"""Our operation -> what it is compared with."""
_MOVES: Final = {"json to sqlite": "import_ms", "json to sqlite: the whole process": "import_memory_mb"}


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """One figure of ours beside the best peer's, which is its `field`.

    Attributes:
        factor: How many times better ours is.
        wanted: The least that is asked for; `None` where that is said in seconds and MB, not as a factor.
    """

    store: str
    operation: str
    sessions: int
    durability: str | None
    field: str
    ours: float
    peer: str
    theirs: float
    goal: float | None
    unit: str
    factor: float
    wanted: float | None

    @property
    def is_met(self) -> bool | None:
        """Whether it is as much better as was asked for; `None` when nothing was."""
        return None if self.wanted is None else self.factor >= self.wanted


def compare(rows: Iterable[Measurement], known: Sequence[Peer]) -> list[Comparison]:
    """Compare what has the size that the peers were measured with: SQLite and directory stores, and moves from JSON to SQLite.

    Args:
        rows: Our figures.
        known: What the peers need; see `peers_recorded`. Of their imports this module knows.
    """
    found = []
    for row in rows:
        field = (_MOVES if row.store == "migration" else _ROWS if row.store in ("sqlite", "directory") else {}).get(row.operation, "")
        if (row.store, field) == ("directory", "warm_list_ms"):
            continue  # ours is of a store in which nothing has changed, which it answers from memory
        alike = [peer for peer in (*known, *IMPORTS) if peer.sessions == row.sessions]
        theirs = [(value, peer.name) for peer in alike if (value := getattr(peer, field, None)) is not None]
        if theirs:
            found.append(_comparison(row, alike[0].sessions, field, *min(theirs)))
    return found


def _comparison(row: Measurement, sessions: int, field: str, theirs: float, peer: str) -> Comparison:
    ours = row.median_ms if row.median_ms is not None else row.peak_mb or 0.0
    is_durable_write = field == "update_ms" and row.durability == "commit"
    return Comparison(
        store=row.store,
        operation=row.operation,
        sessions=sessions,
        durability=row.durability,
        field=field,
        ours=ours,
        peer=peer,
        theirs=theirs,
        goal=getattr(GOALS, field),
        unit="MB" if field.endswith("_mb") else "ms",
        factor=theirs / ours,
        wanted=None if field in _MOVES.values() else DURABLE_FACTOR if is_durable_write else FACTOR,
    )
