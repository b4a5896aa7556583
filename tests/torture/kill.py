"""T1: a process that writes is killed before every system call that touches the store. The store holds the old or the new state."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from itertools import pairwise
from os import cpu_count
from pathlib import Path
from typing import Final, TypeVar

from tests.torture import tracing
from tests.torture.backends import Backend
from tests.torture.operations import Operation, Stage
from tests.torture.tracing import ACKNOWLEDGED, Point

_PROGRAM: Final = """
{body}
print({acknowledged!r}, flush=True)
store.close()
"""
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


@dataclass
class Tally:
    """What came of the accidents of one sort, on one backend and operation."""

    backend: str
    operation: str
    sort: str
    points: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    def add(self, other: Tally, *, after: str) -> None:
        """Count what came of further accidents, which had this before them."""
        self.points += other.points
        for what, times in other.counts.items():
            self.counts[what] = self.counts.get(what, 0) + times
        self.failures += [f"{after}: {failure}" for failure in other.failures]


def kill_everywhere(
    backend: Backend, operation: Operation, folder: Path, *, sample: int | None = None, original: Path | None = None
) -> Tally:
    """Kill the operation before each of its calls, or before about `sample` of them, evenly spread, always the same.

    Args:
        backend: The store.
        operation: What is being done when the process dies.
        folder: An empty folder to work in.
        sample: How many points at most; `None` for all.
        original: A folder that holds the store already; by default it is made as `operation` says.
    """
    stage = Stage(backend, operation, folder, original=original)
    program = program_of(backend, operation, folder)
    with stage.copy() as copy:
        found = tracing.points(program, copy / backend.file_name, tracing.CHANGING)
        assert found, "the program touches no file of the store"
        assert stage.inspect(copy, acknowledged=True) == "new"
    tally = Tally(backend.name, operation.name, "kill", points=len(found), counts={"old": 0, "new": 0})

    def killed(copy: Path, point: Point) -> str:
        outcome = tracing.kill(program, copy / backend.file_name, point)
        return stage.inspect(copy, acknowledged=outcome.acknowledged)

    at_each(tally, sampled(found, sample, seed=f"{backend.name} {operation.name}"), stage.copy, killed)
    return tally


def program_of(backend: Backend, operation: Operation, folder: Path) -> Path:
    """Write the program that does an operation and says so."""
    program = folder / "program.py"
    program.write_text(backend.script(_PROGRAM.format(body=operation.body, acknowledged=ACKNOWLEDGED)), encoding="utf-8")
    return program


def sampled(items: Sequence[_Item], number: int | None, *, seed: str) -> list[_Item]:
    """Return that many items, one by chance out of each of as many equal parts; all of them for `None`, or when there are no more."""
    if number is None or len(items) <= number:
        return list(items)
    chance = random.Random(seed)
    edges = [round(place * len(items) / number) for place in range(number + 1)]
    return [items[chance.randrange(low, high)] for low, high in pairwise(edges)]


def at_once(work: Callable[[_Item], _Result], items: Sequence[_Item]) -> list[_Result]:
    """Do the work for every item, as many at a time as there are processors."""
    with ThreadPoolExecutor(cpu_count() or 1) as pool:
        return list(pool.map(work, items))


def at_each(
    tally: Tally,
    chosen: Sequence[Point],
    copy: Callable[[], AbstractContextManager[Path]],
    accident: Callable[[Path, Point], str],
    *,
    words: Callable[[Point], str] = "killed before {}".format,
) -> None:
    """Let an accident happen at each of these calls, and count what came of it.

    Args:
        tally: Where it is counted.
        chosen: The calls.
        copy: Gives a folder for one accident.
        accident: Lets it happen there, and returns what came of it; whatever it raises is a failure of what is put to the torture.
        words: What is said of the accident.
    """

    def one(point: Point) -> tuple[str, str]:
        with copy() as place:
            try:
                return accident(place, point), ""
            except Exception as error:  # noqa: BLE001 - whatever is raised after an accident is a failure
                return "failed", f"{words(point)}: {type(error).__name__}: {error}"

    for what, failure in at_once(one, chosen):
        tally.counts[what] = tally.counts.get(what, 0) + 1
        if failure:
            tally.failures.append(failure)
