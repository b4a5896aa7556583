"""All of the torture of moves, as rows of the table."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from sessionlab.settings import StoreType
from tests.torture import tracing
from tests.torture.crowded_moves import ROUND, move_among_writers
from tests.torture.failing import ERRORS
from tests.torture.full_disk import refusal_of_namespaces
from tests.torture.full_disk_moves import fill_the_disk_of_a_move
from tests.torture.rows import Rows, Work, counted, counted_twice, reported, worded
from tests.torture.stopped_moves import fail_move, kill_move, kill_next_move
from tests.torture.trips import BACK, BUSY, THERE, Trip

_PAGES: Final = range(26)
"""Free on the disk: from where nothing can be begun to where all fits."""

_CHANGING: Final = tuple(call for call in ERRORS if call not in (*tracing.READS, *tracing.OPENS))
"""On the way back the reading calls are those of the way there, which all fail once there."""

_CROWDS: Final[tuple[tuple[str, dict[str, Any]], ...]] = (
    ("2 writers, 1 reader", {"kinds": (*ROUND, *ROUND[1:], *ROUND[1:])}),
    ("4 writers, slowed", {"writers": 4, "delay_us": 50_000}),
)
_FROM_JSON: Final[tuple[StoreType, ...]] = ("sqlite", "directory")


def add_moves(rows: Rows) -> None:
    """Put every move to all of the torture."""
    for trip in (*THERE, *BACK, *BUSY):
        rows.add(str(trip), trip.operation, "killed", _killed(trip))
    for trip in (*THERE, BACK[0]):
        rows.add(str(trip), trip.operation, "killed twice", _killed_twice(trip))
    for trip in (*THERE, *BACK):
        rows.add(str(trip), trip.operation, "call fails", _failing(trip))
    if (reason := refusal_of_namespaces()) is not None:
        rows.add("all", "move", "disk full", lambda _: (0, f"not done: {reason}", []))
    else:
        for trip in (*THERE, *BACK):
            rows.add(str(trip), trip.operation, "disk full", _full_disk(trip))
    for name, settings in _CROWDS:
        rows.add("all", name, "race", _crowded(**settings))
    for kind in _FROM_JSON:
        rows.add(
            f"json to {kind}", "OpenClaw writes", "race", _crowded(kinds=("json", kind), writers=1, with_openclaw=True, delay_us=20_000)
        )


def _killed(trip: Trip) -> Work:
    return counted(lambda folder: kill_move(trip, folder))


def _killed_twice(trip: Trip) -> Work:
    return counted_twice(lambda folder: kill_next_move(trip, folder, first=16, accidents=5, sample=8))


def _failing(trip: Trip) -> Work:
    return counted(lambda folder: fail_move(trip, folder, calls=_CHANGING if trip.is_back else tuple(ERRORS)))


def _full_disk(trip: Trip) -> Work:
    pages = tuple(_PAGES[:: 3 if trip.is_back else 1])
    return reported(lambda folder: fill_the_disk_of_a_move(trip, folder, pages=pages))


def _crowded(**settings: Any) -> Work:
    def work(folder: Path) -> tuple[int, str, list[str]]:
        counts, failures = move_among_writers(folder, **settings)
        return counts.pop("moves"), worded(counts), failures

    return work
