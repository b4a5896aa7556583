"""What one operation costs in stores of growing size: more sessions or larger ones, one store after the other until one is too large."""

from __future__ import annotations

import itertools
import random
import shutil
import statistics
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from sessionlab.bench import children
from sessionlab.bench.content import changing_fields, sized_entries, small_entries, small_key
from sessionlab.bench.measure import timed_ms
from sessionlab.bench.scope import NAMES, NOW_MS
from sessionlab.bench.writer import Kind, Updatable, open_updatable
from sessionlab.stores.sqlite_opening import Durability

Growth = Literal["sessions", "entry_bytes", "transcripts"]
SMALL_BYTES: Final = 700
"""About what a session without big fields has."""
SLOW_MS: Final = 5_000
"""An operation that would take longer at the next size ends the growth of its backend; one that does is measured once."""

_FILL: Final = (
    "import gc, logging, sys; gc.disable(); logging.disable(logging.WARNING); from sessionlab.bench.growing import fill; "
    "fill(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))"
)
_IN_PROCESS_BYTES: Final = 5_000_000
_LEAST_ROUNDS: Final = 3
_MOST_ROUNDS: Final = 9
_WARM_MS: Final = 250
"""A first call that takes longer is one of the rounds: there is no time for one that only makes ready, and a median bears one odd round."""
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
        operation: "list", which opens the store anew; "list again", in a store that stays open and was changed; "get", "update", "put new";
            where transcripts grow "find unreferenced", which lists the sessions and looks through the folder.
        median_ms: What it takes, the median of the rounds; of one round, what it took.
        rounds: How many there were.
        least_ms: The shortest of them.
        most_ms: The longest.
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
    least_ms: float
    most_ms: float
    note: str | None = None

    @property
    def size(self) -> int:
        """The number that grows."""
        found: int = getattr(self, self.grows)
        return found


class Patience(msgspec.Struct, frozen=True):
    """For how long is measured.

    Attributes:
        making_s: Making a store, at the most.
        rounds_ms: The rounds at each size, about; there are 3 at the least.
    """

    making_s: float
    rounds_ms: float

    def rounds(self, times: Mapping[str, float]) -> int:
        """Return how many rounds there is time for, of operations that take so many milliseconds each."""
        return max(_LEAST_ROUNDS, min(_MOST_ROUNDS, int(self.rounds_ms / sum(times.values()))))


Operations = dict[str, Callable[[], Any]]


def grow(folder: Path, kind: Kind, grows: Growth, sizes: Sequence[Size], patience: Patience) -> list[Point]:
    """Measure a backend at one size after the other, until one is too large for it.

    Args:
        folder: Empty; each store is made in it and removed.
        kind: The backend.
        grows: What grows.
        sizes: In that order.
        patience: When a store takes too long to make. Whether the next one would is foretold from the last, as if it grew with the size.
    """
    points: list[Point] = []
    for number, size in enumerate(sizes):
        place = folder / str(number)
        points += (latest := _points(place, kind, grows, size, patience))
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
    slowest = max(points, key=lambda point: point.least_ms)  # not the median: what else the machine did once is no reason
    times = next_size / slowest.size
    if slowest.least_ms * times > SLOW_MS:
        return f"the last: at the next size {slowest.operation} would take some {slowest.least_ms * times / 1000:.1f} s"
    if slowest.made_s * times > patience.making_s:
        return f"the last: making the next would take some {slowest.made_s * times:.0f} s, more than {patience.making_s:g}"
    return None


def _points(place: Path, kind: Kind, grows: Growth, size: Size, patience: Patience) -> list[Point]:
    """Measure one size: whatever takes less than `SLOW_MS` several times, in rounds that run each operation once."""
    path = place_of(place, kind)
    made_s = timed_ms(lambda: make(path, kind, size)) / 1000
    with open_updatable(kind, path, "commit") as store:
        operations = operations_on(store, path, kind, size.sessions)
        first = {name: timed_ms(act) for name, act in operations.items()}
        times = {name: [took] if took > min(_WARM_MS, SLOW_MS) else [] for name, took in first.items()}
        for turn in range(patience.rounds(first)):
            for name, act in operations.items():
                if first[name] < SLOW_MS and not (turn == 0 and times[name]):
                    times[name].append(timed_ms(act))
    return list(told(kind, grows, size, made_s, times))


def told(kind: Kind, grows: Growth, size: Size, made_s: float, times: Mapping[str, Sequence[float]]) -> Iterator[Point]:
    """Yield the points of a size, from how many milliseconds each operation took in each round."""
    for operation, took in times.items():
        yield Point(
            grows=grows,
            store=kind,
            durability="process" if kind == "naive" else "commit",
            made_s=round(made_s, 2),
            operation=operation,
            median_ms=round(statistics.median(took), 4),
            rounds=len(took),
            least_ms=round(min(took), 4),
            most_ms=round(max(took), 4),
            **msgspec.structs.asdict(size),
        )


def place_of(folder: Path, kind: Kind) -> Path:
    """Return the path of a backend's store in a folder."""
    return folder / ("sessions.json" if kind == "naive" else NAMES[kind])


def make(path: Path, kind: Kind, size: Size) -> None:
    """Make a store in its folder; a large one in a process of its own, whose memory is then free again."""
    path.parent.mkdir(exist_ok=True)
    if size.sessions * size.entry_bytes < _IN_PROCESS_BYTES:
        fill(kind, str(path), size.sessions, size.entry_bytes)
    else:
        words = [sys.executable, "-c", _FILL, kind, str(path), str(size.sessions), str(size.entry_bytes)]
        children.output_of(words, what="a process that makes a store")
    for number in range(size.transcripts):
        path.with_name(f"{number:08x}.jsonl").write_text('{"type":"session","version":3}\n' * 8, encoding="utf-8")


def operations_on(store: Updatable, path: Path, kind: Kind, sessions: int) -> Operations:
    """Return what is measured on a store of so many sessions that stays open, but for the listing; sessions are drawn at random.

    A listing returns how many sessions it lists, "get" and "update" the entry.
    """
    turns = itertools.cycle(random.Random(1).sample(range(sessions), k=min(sessions, _DRAWN)))  # noqa: S311  # no secret
    change, new = changing_fields("run"), itertools.count(sessions)
    sample = store.get(small_key(sessions // 2)) or {}

    def list_anew() -> int:
        with open_updatable(kind, path, "commit") as opened:
            return sum(1 for _ in opened.summaries())

    def put_new() -> None:
        number = next(new)
        store.put(small_key(number), sample | {"sessionId": f"{number:08x}-0000-4000-8000-000000000000"})

    return {
        "list": list_anew,
        "list again": lambda: sum(1 for _ in store.summaries()),
        "get": lambda: store.get(small_key(next(turns))),
        "update": lambda: store.update(small_key(next(turns)), lambda _entry: next(change), now_ms=NOW_MS),
        "put new": put_new,
    }
