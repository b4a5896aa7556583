"""What one OpenClaw and our stores took, side by side: rows of both, what they say, and how far its processes were apart."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from sessionlab.bench.peers_openclaw.ours import Seen, Task
from sessionlab.bench.scope import STORES

_UPDATE: Final = "update one"
_BEFORE: Final = "memory before the first list"
_SIZE: Final = "size of a listed entry as JSON"
_ALIKE: Final = 1.05
"""What is not better or worse by more than this factor is called about the same."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One operation, ours beside theirs.

    Attributes:
        durability: What an update of ours survives: "commit" a power cut, "process" the end of the process; `None` for what only reads.
        factor: How many times better ours is; below 1 it is worse; `None` where that is no question.
    """

    program: str
    durability: str | None
    operation: str
    sessions: int
    unit: str
    ours: float
    theirs: float
    factor: float | None


OPERATIONS: Final[tuple[tuple[str, str, str, str], ...]] = (
    ("first list", "cold_list_ms", "cold_list_ms", "ms"),
    ("list again", "warm_list_ms", "warm_list_ms", "ms"),
    ("list again (whole entries)", "whole_list_ms", "warm_list_ms", "ms"),
    ("get one", "get_ms", "get_ms", "ms"),
    (_UPDATE, "update_ms", "update_ms", "ms"),
    ("memory", "peak_mb", "peak_mb", "MB"),
    (_BEFORE, "base_mb", "base_mb", "MB"),
    (_SIZE, "entry_kb", "entry_kb", "KB"),
)
"""What it is called, which figure of ours, which of theirs, unit."""


def _medians(seen: Sequence[Seen], name: str) -> float | None:
    values = [value for one in seen if (value := getattr(one, name)) is not None]
    return statistics.median(values) if values else None


def rows_of(task: Task, ours: Sequence[Seen], theirs: Sequence[Seen], sessions: int) -> Iterator[Row]:
    """Yield one store of ours beside the program: a row for each operation, of the medians of the processes."""
    for operation, mine, other, unit in OPERATIONS:
        is_update = operation == _UPDATE
        if task.durability == "process" and not is_update:
            continue  # reads the same, whatever a write survives
        own, their_value = _medians(ours, mine), _medians(theirs, other)
        if own is not None and their_value is not None:
            yield Row(
                program=task.store,
                durability=task.durability if is_update else None,
                operation=operation,
                sessions=sessions,
                unit=unit,
                ours=round(own, 4),
                theirs=round(their_value, 4),
                factor=None if operation == _SIZE else round(their_value / own, 3),
            )


def spread(program: str, theirs: Sequence[Seen], import_ms: float | None, sessions: int) -> Iterator[Mapping[str, Any]]:
    """Yield what was measured of it: the medians of the processes, the least and the most of them."""
    found = {name: ([getattr(one, field) for one in theirs], unit) for name, mine, field, unit in OPERATIONS if mine == field}
    if import_ms is not None:
        found["import of the sessions.json, its own command, the whole process"] = ([import_ms], "ms")
    for operation, (values, unit) in found.items():
        yield {
            "program": program,
            "operation": operation,
            "sessions": sessions,
            "unit": unit,
            "median": round(statistics.median(values), 4),
            "least": round(min(values), 4),
            "most": round(max(values), 4),
            "processes": len(values),
        }


def verdicts(program: str, rows: Sequence[Row]) -> Iterator[str]:
    """Yield a sentence for each store of ours: in what it is better, in what worse, and by how many times."""
    for store in STORES:
        found: dict[str, list[str]] = {"better": [], "about the same": [], "worse": []}
        for row in rows:
            if row.program == store and row.factor and row.operation != _BEFORE:
                what = f"{row.operation}{f' [{row.durability}]' if row.durability else ''}"
                by = max(row.factor, 1 / row.factor)
                word = "about the same" if by < _ALIKE else "better" if row.factor > 1 else "worse"
                found[word].append(what if by < _ALIKE else f"{what} {by:,.1f} times")
        said = [f"{word}: {', '.join(what)}" for word, what in found.items() if what]
        if said:
            yield f"{store} beside {program}: {'; '.join(said)}"
