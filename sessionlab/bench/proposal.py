"""The table of the proposal of a SQLite store (openclaw#58550, B.5), which held expectations, as a measurement."""

from __future__ import annotations

import shutil
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from sessionlab.bench import children
from sessionlab.bench.content import small_entries, write_content
from sessionlab.bench.floors import SYNCHRONOUS, BareDatabase
from sessionlab.bench.proposing import Program, Proposed, Took
from sessionlab.bench.results import Results
from sessionlab.bench.scope import NAMES, QUOTED_SESSIONS
from sessionlab.bench.stores import Progress
from sessionlab.bench.surroundings import QUICK, load_in_words, sync_in_words
from sessionlab.bench.table import number
from sessionlab.bench.writer import open_updatable
from sessionlab.entry import Entry
from sessionlab.stores.directory_reading import SETTLED_NS
from sessionlab.stores.json_file import JSONFileStore
from sessionlab.stores.sqlite_opening import Durability

LARGE: Final = (100, 1_000)
"""Numbers of sessions of 42 KB."""
SMALL: Final = (100, 1_000, 10_000, 100_000)
"""Numbers of sessions of 0.7 KB."""
REST_S: Final = SETTLED_NS / 1e9
"""A directory store takes no file for known that is younger; in use hardly one is."""
_UPDATES: Final[Mapping[str, int]] = {"naive": 3, "json": 5, "sqlite": 50, "directory": 50, "bare": 50}
_EVERY_MS: Final = 1_000
_ROUNDS: Final = 3


class Expected(msgspec.Struct, frozen=True):
    """One row of the proposal's table, 1,000 sessions, 42 MB: what JSON takes, and what was expected of SQLite. CPU in percent."""

    metric: str
    json: float
    sqlite: float


EXPECTED: Final = (
    Expected("load_ms", 800, 15),
    Expected("update_ms", 800, 5),
    Expected("list_ms", 800, 20),
    Expected("peak_mb", 42, 2),
    Expected("cpu_percent", 100, 5),
)
"""As openclaw#58550 has them: "expectations", of which a reviewer says that nobody had verified them."""


_NAMES: Final[Mapping[str, tuple[str, str]]] = {
    "load_ms": ("load", "ms"),
    "update_ms": ("update", "ms"),
    "list_ms": ("list", "ms"),
    "peak_mb": ("memory", "MB"),
    "cpu_percent": ("CPU", "%"),
}
"""How the verdicts call a metric, and its unit."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One program and size: medians over fresh processes, by turns. `cpu_percent` is of one processor, with an update every second."""

    program: str
    sessions: int
    entry_kb: float
    durability: str
    load_ms: float
    list_ms: float
    update_ms: float
    cpu_ms: float
    cpu_percent: float
    peak_mb: float
    process_mb: float


class Compared(Row, frozen=True, kw_only=True):
    """The same, and how many times the floor that is: what the table "floors" has of that size and durability."""

    load_ratio: float
    list_ratio: float
    update_ratio: float


def measure(
    folder: Path,
    large: Sequence[int] = LARGE,
    small: Sequence[int] = SMALL,
    *,
    rounds: int = _ROUNDS,
    rest_s: float = REST_S,
    on_progress: Progress | None = None,
) -> Results:
    """Measure the naive store and ours at each size, each in fresh processes by turns.

    Args:
        folder: Empty; the stores are made in it: 200 MB for 1,000 sessions of 42 KB, 700 MB for 100,000 small ones.
        large: Numbers of sessions of 42 KB.
        small: Numbers of sessions of 0.7 KB.
        rounds: How many processes each.
        rest_s: How old the stores are, at least, when they are measured.
        on_progress: Called with (what, done, total).
    """
    load = load_in_words()
    sizes = [(count, True) for count in large] + [(count, False) for count in small]
    rows: list[Compared] = []
    floors: list[Row] = []
    for place_number, (count, is_large) in enumerate(sizes):
        if on_progress is not None:
            on_progress(f"{count:,} sessions", place_number, len(sizes))
        place = folder / str(place_number)
        place.mkdir()
        entries = _large(place, count) if is_large else small_entries(count)
        found = {(row.program, row.durability): row for row in _measured(place, entries, rounds=rounds, rest_s=rest_s)}
        floor: dict[str, Row] = {durability: found.pop(("bare", durability)) for durability in SYNCHRONOUS}
        floors += floor.values()
        rows += [_beside(row, floor[row.durability]) for row in found.values()]
        shutil.rmtree(place)
    return Results(
        "proposal",
        tables={"proposal": rows, "floors": floors, "expected": EXPECTED},
        conditions=[
            *([QUICK] if rounds < _ROUNDS or max(large) < QUOTED_SESSIONS else []),
            f"medians of {rounds} fresh processes each, the programs by turns",
            f"sessions of 42 KB (as indented JSON) up to {max(large):,}, of 0.7 KB up to {max(small):,}",
            "load: from nothing to the first list of all sessions; list: such a list after a change",
            "memory: the peak above the imports, MB of 10**6 bytes",
            "floor: a plain SQLite connection to tables like ours, which lists the same columns and upserts what was encoded before",
            f"cpu_ms: of an update; cpu_percent: of a processor with one every {_EVERY_MS / 1000:g} s; beyond 100 it cannot keep up",
            "files are in the system's cache: the first list of a store on a cold disk takes longer",
            "naive: for each update the whole file is read, decoded, encoded by Python's json and written, as without a store",
            "[commit]: what is acknowledged survives a power cut; [process]: the end of the process",
            load,
            sync_in_words(folder),
        ],
        verdicts=list(_verdicts(rows, sessions=max(large))),
    )


def _large(place: Path, count: int) -> dict[str, Entry]:
    with JSONFileStore.open(write_content(place / "content", sessions=count)) as store:
        return dict(store.items())


def _measured(place: Path, entries: Mapping[str, Entry], *, rounds: int, rest_s: float) -> Iterator[Row]:
    keys = tuple(entries)
    size = sum(len(msgspec.json.encode(entry)) for entry in entries.values()) / len(entries) / 1000
    tasks = dict(_tasks(place, keys))
    for task in {task.path: task for task in tasks.values()}.values():
        _make(task, entries)
    time.sleep(rest_s)
    found: dict[tuple[str, str], list[Took]] = {name: [] for name in tasks}
    for _ in range(rounds):
        for name, task in tasks.items():
            found[name].append(_run(task))
    for (program, durability), samples in found.items():

        def median(value: Callable[[Took], float], samples: Sequence[Took] = samples) -> float:
            return round(statistics.median(map(value, samples)), 3)

        cpu_ms = median(lambda one: one.cpu_ms)
        yield Row(
            program=program,
            sessions=len(entries),
            entry_kb=round(size, 1),
            durability=durability,
            load_ms=median(lambda one: one.load_ms),
            list_ms=median(lambda one: one.list_ms),
            update_ms=median(lambda one: one.update_ms),
            cpu_ms=cpu_ms,
            cpu_percent=round(100 * cpu_ms / _EVERY_MS, 2),
            peak_mb=median(lambda one: one.peak_mb),
            process_mb=median(lambda one: one.process_mb),
        )


def _tasks(place: Path, keys: tuple[str, ...]) -> Iterator[tuple[tuple[str, str], Proposed]]:
    step = max(1, len(keys) // 50)
    kinds: list[tuple[Program, Durability]] = [("naive", "process"), ("json", "commit"), ("sqlite", "commit"), ("sqlite", "process")]
    for program, durability in (*kinds, ("directory", "commit"), ("bare", "commit"), ("bare", "process")):
        path = place / program / ("sessions.json" if program == "naive" else NAMES["sqlite" if program == "bare" else program])
        yield (
            (program, durability),
            Proposed(program=program, path=str(path), durability=durability, keys=keys[::step], updates=_UPDATES[program]),
        )


def _make(task: Proposed, entries: Mapping[str, Entry]) -> None:
    path = Path(task.path)
    path.parent.mkdir()
    if task.program == "bare":
        BareDatabase(path, entries, synchronous=SYNCHRONOUS[task.durability]).close()
        return
    with open_updatable(task.program, path, task.durability) as store:
        store.save(entries)


def _beside(row: Row, floor: Row) -> Compared:
    return Compared(
        **msgspec.structs.asdict(row),
        load_ratio=round(row.load_ms / floor.load_ms, 2),
        list_ratio=round(row.list_ms / floor.list_ms, 2),
        update_ratio=round(row.update_ms / floor.update_ms, 2),
    )


def _run(task: Proposed) -> Took:
    return children.answer("sessionlab.bench.proposing", task, Took)


def _verdicts(rows: Sequence[Row], *, sessions: int) -> Iterator[str]:
    """Say for each expectation whether it held, for an update that survives a power cut, where the program holds its store open.

    Only of as many sessions as it was expected of; of another number what was measured is said, and nothing judged.
    """
    quoted = [row for row in rows if row.sessions == sessions]
    quoted = [row for row in quoted if row.entry_kb == max(one.entry_kb for one in quoted)]  # not the small ones of that number
    found: dict[str, Any] = {row.program: row for row in quoted if row.program == "naive" or row.durability == "commit"}
    for one in EXPECTED if {"naive", "sqlite"} <= found.keys() else ():
        ours, naive = getattr(found["sqlite"], one.metric), getattr(found["naive"], one.metric)
        held = "holds" if ours <= one.sqlite else "does not hold"
        verdict = held if sessions == QUOTED_SESSIONS else f"not judged, for that was of {QUOTED_SESSIONS:,} sessions, not {sessions:,}"
        name, unit = _NAMES[one.metric]
        said = f"expected {one.json:g} -> {one.sqlite:g} {unit}; measured {number(naive)} -> {number(ours)} {unit}"
        rate = f" (with an update every {_EVERY_MS / 1000:g} s, which the naive file cannot keep up with)" if naive > 100 else ""
        yield f"{name}: {said}, {number(naive / max(ours, 1e-3))} times less: {verdict}{rate if unit == '%' else ''}"
