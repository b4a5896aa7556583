"""The table of the proposal of a SQLite store (openclaw#58550, B.5), which held expectations, as a measurement."""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from sessionlab.bench.content import small_entries, write_content
from sessionlab.bench.naive import NaiveStore
from sessionlab.bench.proposing import Proposed, Took
from sessionlab.bench.results import Results
from sessionlab.bench.scope import NAMES, StoreKind
from sessionlab.bench.stores import Progress
from sessionlab.bench.surroundings import load_in_words, sync_in_words
from sessionlab.bench.writer import open_writable
from sessionlab.entry import Entry
from sessionlab.stores.json_file import JSONFileStore
from sessionlab.stores.sqlite_opening import Durability

LARGE: Final = (100, 1_000)
"""Numbers of sessions of 42 KB."""
SMALL: Final = (10_000, 100_000)
"""Numbers of sessions of 0.7 KB."""
_MOST_IN_FOLDER: Final = 10_000
"""A directory of 100,000 files takes a minute to make."""
_UPDATES: Final[Mapping[str, int]] = {"naive": 3, "json": 5, "sqlite": 50, "directory": 50}
_EVERY_MS: Final = 1_000


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


def measure(
    folder: Path,
    large: Sequence[int] = LARGE,
    small: Sequence[int] = SMALL,
    *,
    rounds: int = 3,
    on_progress: Progress | None = None,
) -> Results:
    """Measure the naive store and ours at each size, each in fresh processes by turns.

    Args:
        folder: Empty; the stores are made in it: 200 MB for 1,000 sessions of 42 KB, 700 MB for 100,000 small ones.
        large: Numbers of sessions of 42 KB.
        small: Numbers of sessions of 0.7 KB.
        rounds: How many processes each.
        on_progress: Called with (what, done, total).
    """
    load = load_in_words()
    sizes = [(count, True) for count in large] + [(count, False) for count in small]
    rows: list[Row] = []
    for number, (count, is_large) in enumerate(sizes):
        if on_progress is not None:
            on_progress(f"{count:,} sessions", number, len(sizes))
        place = folder / str(number)
        place.mkdir()
        entries = _large(place, count) if is_large else small_entries(count)
        rows += _measured(place, entries, rounds=rounds)
        shutil.rmtree(place)
    return Results(
        "proposal",
        tables={"proposal": rows, "expected": EXPECTED},
        conditions=[
            f"medians of {rounds} fresh processes each, the programs by turns; sessions of 42 KB, from {min(small):,} on of 0.7 KB",
            "load: from nothing to the first list of all sessions; list: the same again; memory: the peak above the imports, 10**6 bytes",
            f"CPU: of one processor, with an update every {_EVERY_MS / 1000:g} s",
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


def _measured(place: Path, entries: Mapping[str, Entry], *, rounds: int) -> Iterator[Row]:
    keys = tuple(entries)
    size = sum(len(msgspec.json.encode(entry)) for entry in entries.values()) / len(entries) / 1000
    tasks = dict(_tasks(place, keys))
    for task in {task.path: task for task in tasks.values()}.values():
        _make(task, entries)
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
        )


def _tasks(place: Path, keys: tuple[str, ...]) -> Iterator[tuple[tuple[str, str], Proposed]]:
    step = max(1, len(keys) // 50)
    kinds: list[tuple[str, StoreKind | None, Durability]] = [("naive", None, "process"), ("json", "json", "commit")]
    kinds += [("sqlite", "sqlite", "commit"), ("sqlite", "sqlite", "process")]
    kinds += [("directory", "directory", "commit")] if len(keys) <= _MOST_IN_FOLDER else []
    for program, store, durability in kinds:
        path = place / program / (NAMES[store] if store else "sessions.json")
        yield (
            (program, durability),
            Proposed(store=store, path=str(path), durability=durability, keys=keys[::step], updates=_UPDATES[program]),
        )


def _make(task: Proposed, entries: Mapping[str, Entry]) -> None:
    path = Path(task.path)
    path.parent.mkdir()
    if task.store is None:
        NaiveStore(path).save(entries)
        return
    with open_writable(task.store, path, task.durability) as store:
        store.save(entries)


def _run(task: Proposed) -> Took:
    command = [sys.executable, "-m", "sessionlab.bench.proposing", msgspec.json.encode(task).decode()]
    return msgspec.json.decode(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout, type=Took)


def _verdicts(rows: Sequence[Row], *, sessions: int) -> Iterator[str]:
    """Say for each expectation whether it held, for an update that survives a power cut, where the program holds its store open."""
    quoted = [row for row in rows if row.sessions == sessions]
    found: dict[str, Any] = {row.program: row for row in quoted if row.program == "naive" or row.durability == "commit"}
    for one in EXPECTED if {"naive", "sqlite"} <= found.keys() else ():
        ours, naive = getattr(found["sqlite"], one.metric), getattr(found["naive"], one.metric)
        verdict = "holds" if ours <= one.sqlite else "does not hold"
        name, _, unit = one.metric.partition("_")
        said = f"{one.json:g} -> {one.sqlite:g} {unit}"
        yield f"{name}: expected {said}; measured {naive:.3g} -> {ours:.3g} {unit}, {naive / max(ours, 1e-3):.0f} times less: {verdict}"
