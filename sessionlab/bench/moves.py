"""Moving a store to another kind and back, verified: each beside reading and hashing the same bytes once.

A move reads its source twice, to plan and to stage, and what it staged once more, to verify it.
"""

from __future__ import annotations

import contextlib
import itertools
import shutil
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from sessionlab.bench import floors
from sessionlab.bench.content import Content, write_content
from sessionlab.bench.measure import Measurement, cost_of, timed_ms
from sessionlab.bench.moving import move, roll_back
from sessionlab.bench.scope import ENTRY_BYTES, NAMES, NOW_MS, STORES, Scope, StoreKind
from sessionlab.bench.writer import open_writable
from sessionlab.storage.files import fsync_folder, fsync_path

FLOOR: Final = "read + SHA-256 of the same files"
_LIMIT_MS: Final[dict[StoreKind, float]] = {"sqlite": 1_500, "directory": 3_000}
"""Of a move from JSON to it, and of the way back."""
_PEAK_MB: Final = 200
_SESSIONS: Final = Path("agents") / "main" / "sessions"
_MOVE: Final = "from sessionlab.bench.moving import move; move(sys.argv[1], sys.argv[2], int(sys.argv[3]))"
_BACK: Final = "from sessionlab.bench.moving import roll_back; roll_back(sys.argv[1], int(sys.argv[3]))"


@dataclass(slots=True)
class _Times:
    """What one move took and what its floor took, ms, round by round."""

    moved: list[float] = field(default_factory=list)
    floor: list[float] = field(default_factory=list)

    def take(self, source: Path, act: Callable[[], object]) -> None:
        """Measure a move, and right before it its floor."""
        self.floor.append(timed_ms(lambda: floors.read_and_hash(source)))
        self.moved.append(timed_ms(act))


def measure(folder: Path, content: Content, scope: Scope) -> list[Measurement]:
    """Measure every move between two kinds of stores, and the ways back to JSON; `folder` is empty."""
    for kind in STORES:
        _make(kind, folder / kind, content)
    taken: defaultdict[str, _Times] = defaultdict(_Times)
    limits: dict[str, float] = {}
    for _ in range(scope.long_rounds):
        for source, target in itertools.permutations(STORES, 2):
            with _copied(folder / source, folder / "work") as sessions:
                old, new = sessions / NAMES[source], sessions / NAMES[target]
                name = f"{source} to {target}"
                taken[name].take(old, partial(move, old, target, NOW_MS))
                if source == "json":
                    back = f"{name}, rolled back"
                    taken[back].take(new, partial(roll_back, new, NOW_MS + 1))
                    limits |= {name: _LIMIT_MS[target], back: _LIMIT_MS[target]}
    return [
        Measurement(
            store="migration",
            operation=name,
            median_ms=statistics.median(times.moved),
            floor_ms=statistics.median(times.floor),
            floor=FLOOR,
            limit_ms=limits.get(name) if scope.is_quoted else None,
            sessions=len(content.entries),
            durability="commit",
            conditions=content.in_words,
        )
        for name, times in taken.items()
    ]


def measure_streamed(folder: Path, sessions: int) -> list[Measurement]:
    """Measure what the moves of a large store take in fresh processes, and their memory; `folder` is empty. Takes three times its size."""
    old = write_content(folder, sessions=sessions)
    conditions = f"{sessions:,} sessions of {ENTRY_BYTES // 1000} KB, {old.stat().st_size / 1e6:.0f} MB, in a fresh process"
    rows: list[Measurement] = []
    for target in _LIMIT_MS:
        new = old.with_name(NAMES[target])
        for name, source, statement in ((f"json to {target}", old, _MOVE), (f"json to {target}, rolled back", new, _BACK)):
            floor_ms = timed_ms(partial(floors.read_and_hash, source))
            cost = cost_of("", statement, arguments=[str(source), target, str(NOW_MS + len(rows))])
            rows += [
                Measurement(
                    store="migration",
                    operation=name,
                    median_ms=cost.ms,
                    floor_ms=floor_ms,
                    floor=FLOOR,
                    sessions=sessions,
                    durability="commit",
                    conditions=conditions,
                ),
                Measurement(
                    store="migration",
                    operation=f"{name}: the whole process",
                    peak_mb=cost.peak_mb,
                    floor="above bare Python",
                    bound=_PEAK_MB,
                    sessions=sessions,
                    durability="commit",
                    conditions=conditions,
                ),
            ]
        _remove_leftovers(folder, keep=old)
    return rows


def _make(kind: StoreKind, state: Path, content: Content) -> None:
    """Make a state that holds the content in a store of a kind."""
    sessions = state / _SESSIONS
    sessions.mkdir(parents=True)
    if kind == "json":
        (sessions / NAMES[kind]).write_bytes(content.data)
        return
    with open_writable(kind, sessions / NAMES[kind], "commit") as store:
        store.save(content.entries)


@contextlib.contextmanager
def _copied(state: Path, to: Path) -> Iterator[Path]:
    """Copy a state for one move, and give its sessions folder. The copy is on disk: the move must not pay for that."""
    shutil.copytree(state, to)
    for path in to.rglob("*"):
        if path.is_file():
            fsync_path(path)
    fsync_folder(to, written=to)
    try:
        yield to / _SESSIONS
    finally:
        shutil.rmtree(to)


def _remove_leftovers(state: Path, *, keep: Path) -> None:
    """Remove what runs left in a state, but for one store."""
    for path in (*state.iterdir(), *keep.parent.iterdir()):
        if path != keep and path not in keep.parents:
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
