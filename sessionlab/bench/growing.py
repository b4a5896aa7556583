"""What one operation costs in stores of growing size: more sessions, larger ones, more transcripts beside them."""

from __future__ import annotations

import itertools
import random
import shutil
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from sessionlab.bench.content import changing_fields, sized_entries, small_entries, small_key
from sessionlab.bench.measure import medians_ms, timed_ms
from sessionlab.bench.scope import NAMES, NOW_MS
from sessionlab.bench.writer import Kind, open_updatable
from sessionlab.stores.sqlite_opening import Durability

Growth = Literal["sessions", "entry_bytes", "transcripts"]
SMALL_BYTES: Final = 700
"""About what a session without big fields has."""
SLOW_MS: Final = 2_000
"""An operation that takes longer ends the growth of its backend."""

_FILL: Final = (
    "import gc, logging, sys; gc.disable(); logging.disable(logging.WARNING); from sessionlab.bench.growing import fill; "
    "fill(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))"
)
_IN_PROCESS_BYTES: Final = 5_000_000
_MOST_ROUNDS: Final = 9
_DRAWN: Final = 200


class Size(msgspec.Struct, frozen=True):
    """How large a store is: its sessions, the bytes of each, the transcripts in its folder."""

    sessions: int
    entry_bytes: int = SMALL_BYTES
    transcripts: int = 0


class Point(msgspec.Struct, frozen=True):
    """What an operation takes at a size.

    Attributes:
        grows: Which of the three numbers grows from point to point.
        store: "naive" for the baseline.
        durability: What an acknowledged write survives.
        sessions: In the store.
        entry_bytes: Of each, about.
        transcripts: Beside the store.
        made_s: How long making the store took, in seconds.
        operation: "list", which opens the store anew; "list again", in a store that stays open and was changed; "get", "update", "put new".
        median_ms: What it takes.
        rounds: Of how many that is the median.
        note: Why this is the last size of its backend, where it was not to be.
    """

    grows: Growth
    store: Kind
    durability: Durability
    sessions: int
    entry_bytes: int
    transcripts: int
    made_s: float
    operation: str
    median_ms: float
    rounds: int
    note: str | None = None

    @property
    def size(self) -> int:
        """The number that grows."""
        found: int = getattr(self, self.grows)
        return found


class Patience(msgspec.Struct, frozen=True):
    """For how long is measured: making a store at the most, and the rounds of its operations at each size."""

    making_s: float
    rounds_ms: float


def grow(folder: Path, kind: Kind, grows: Growth, sizes: Sequence[Size], patience: Patience) -> list[Point]:
    """Measure a backend at one size after the other, until one is too large for it.

    Args:
        folder: Empty; each store is made in it and removed.
        kind: The backend.
        grows: What grows.
        sizes: In that order.
        patience: When a store takes too long to make. Whether the next one would is foretold from the last.
    """
    points: list[Point] = []
    for number, size in enumerate(sizes):
        place = folder / str(number)
        place.mkdir()
        points += (latest := list(_points(place, kind, grows, size, patience)))
        shutil.rmtree(place)
        if number + 1 < len(sizes) and (reason := _reason_to_stop(latest, getattr(sizes[number + 1], grows), patience)):
            points[-len(latest) :] = [msgspec.structs.replace(point, note=reason) for point in latest]
            break
    return points


def fill(kind: Kind, path: str, sessions: int, entry_bytes: int) -> None:
    """Make a store, in one save."""
    with open_updatable(kind, Path(path), "commit") as store:
        store.save(small_entries(sessions) if entry_bytes == SMALL_BYTES else sized_entries(sessions, entry_bytes))


def _reason_to_stop(points: Sequence[Point], next_size: int, patience: Patience) -> str | None:
    """Say why a backend does not grow any more, if it does not."""
    slowest = max(points, key=lambda point: point.median_ms)
    if slowest.median_ms > SLOW_MS:
        return f"the last: {slowest.operation} took {slowest.median_ms / 1000:.1f} s, more than {SLOW_MS / 1000:g}"
    foretold_s = slowest.made_s * next_size / slowest.size
    if foretold_s > patience.making_s:
        return f"the last: making the next would take some {foretold_s:.0f} s, more than {patience.making_s:g}"
    return None


def _points(place: Path, kind: Kind, grows: Growth, size: Size, patience: Patience) -> Iterator[Point]:
    path = place / ("sessions.json" if kind == "naive" else NAMES[kind])
    made_s = timed_ms(lambda: _make(path, kind, size)) / 1000
    with ExitStack() as stack:
        operations = _operations(stack, path, kind, size.sessions)
        times = {name: timed_ms(act) for name, act in operations.items()}
        slow = [name for name, took in times.items() if took > SLOW_MS]
        times |= {name: min(times[name], timed_ms(operations[name])) for name in slow}  # once may be chance
        rounds = 1
        if max(times.values()) <= SLOW_MS:  # else these are all that there is time for
            rounds = max(1, min(_MOST_ROUNDS, int(patience.rounds_ms / sum(times.values()))))
            times = medians_ms(operations, runs=rounds)
    for operation, median_ms in times.items():
        yield Point(
            grows=grows,
            store=kind,
            durability="process" if kind == "naive" else "commit",
            made_s=round(made_s, 2),
            operation=operation,
            median_ms=round(median_ms, 4),
            rounds=rounds,
            **msgspec.structs.asdict(size),
        )


def _make(path: Path, kind: Kind, size: Size) -> None:
    """Make a store; a large one in a process of its own, whose memory is then free again."""
    if size.sessions * size.entry_bytes < _IN_PROCESS_BYTES:
        fill(kind, str(path), size.sessions, size.entry_bytes)
    else:
        subprocess.run([sys.executable, "-c", _FILL, kind, str(path), str(size.sessions), str(size.entry_bytes)], check=True)
    for number in range(size.transcripts):
        path.with_name(f"{number:08x}.jsonl").write_text('{"type":"session","version":3}\n' * 8, encoding="utf-8")


def _operations(stack: ExitStack, path: Path, kind: Kind, sessions: int) -> dict[str, Callable[[], Any]]:
    """Return what is measured, on a store that stays open, but for the listing; sessions are drawn at random."""
    store = open_updatable(kind, path, "commit")
    stack.enter_context(store)
    turns = itertools.cycle(random.Random(1).sample(range(sessions), k=min(sessions, _DRAWN)))  # noqa: S311  # no secret
    change, new = changing_fields("run"), itertools.count(sessions)
    sample = store.get(small_key(sessions // 2)) or {}

    def list_anew() -> None:
        with open_updatable(kind, path, "commit") as opened:
            deque(opened.summaries(), maxlen=0)

    def put_new() -> None:
        number = next(new)
        store.put(small_key(number), sample | {"sessionId": f"{number:08x}-0000-4000-8000-000000000000"})

    return {
        "list": list_anew,
        "list again": lambda: deque(store.summaries(), maxlen=0),
        "get": lambda: store.get(small_key(next(turns))),
        "update": lambda: store.update(small_key(next(turns)), lambda _entry: next(change), now_ms=NOW_MS),
        "put new": put_new,
    }
