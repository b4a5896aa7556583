"""How things are measured: interleaved runs, medians, peak memory in fresh processes, and one record for every figure."""

from __future__ import annotations

import shlex
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from sessionlab.bench import children

Unit = Literal["x", "ms", "MB"]
"""Of what a bound is: times the floor, milliseconds, MB of 10**6 bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One figure and what it is held against.

    Attributes:
        store: "json", "sqlite" or "directory"; of what is no store, what it is ("query", "command line", ...).
        operation: What was done.
        median_ms: The median; with a worst wait, the worst.
        floor_ms: The median of the least that the same thing can cost, or of a peer, in the same run.
        floor: What that is, in words.
        bound: The most that is accepted: of the ratio if there is one, else of `median_ms`, else of `peak_mb`.
        limit_ms: The most that is accepted of `median_ms` where the ratio only stands beside it; instead of `bound`.
        peak_mb: By how many MB (10**6 bytes) the memory of a fresh process grew at most.
        sessions: How many the store held.
        durability: What an acknowledged write survives: "commit" a power cut, "process" the end of the process. `None` for what only reads.
        conditions: What else a reader must know.
    """

    store: str
    operation: str
    median_ms: float | None = None
    floor_ms: float | None = None
    floor: str = ""
    bound: float | None = None
    limit_ms: float | None = None
    peak_mb: float | None = None
    sessions: int | None = None
    durability: str | None = None
    conditions: str = ""

    @property
    def ratio(self) -> float | None:
        """The median over its floor."""
        return self.median_ms / self.floor_ms if self.median_ms is not None and self.floor_ms else None

    @property
    def most(self) -> float | None:
        """The most that is accepted, in `unit`; `None` when anything is."""
        return self.bound if self.limit_ms is None else self.limit_ms

    @property
    def unit(self) -> Unit:
        """Of what that is."""
        if self.ratio is not None and self.limit_ms is None:
            return "x"
        return "MB" if self.median_ms is None else "ms"

    @property
    def is_met(self) -> bool | None:
        """Whether the bound is kept; `None` without one."""
        held = {"x": self.ratio, "ms": self.median_ms, "MB": self.peak_mb}[self.unit]
        return None if self.most is None or held is None else held <= self.most

    @property
    def in_words(self) -> str:
        """What was done, and what an acknowledged write survives."""
        return self.operation if self.durability is None else f"{self.operation} [{self.durability}]"

    def row(self) -> dict[str, Any]:
        """Return it as a row of the JSON; what does not apply is `None`. `bound` is in `unit`."""
        names = ("store", "operation", "sessions", "durability", "median_ms", "floor_ms", "ratio", "bound", "peak_mb")
        return {name: self.most if name == "bound" else getattr(self, name) for name in names}


def medians_ms(functions: Mapping[str, Callable[[], object]], *, runs: int) -> dict[str, float]:
    """Return each function's median time in milliseconds over `runs` rounds; a round runs each once, so that drift hits all alike."""
    times: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(runs):
        for name, function in functions.items():
            times[name].append(timed_ms(function))
    return {name: statistics.median(values) for name, values in times.items()}


def timed_ms(function: Callable[[], object]) -> float:
    """Return how long one call takes, in milliseconds."""
    start = time.perf_counter()
    function()
    return (time.perf_counter() - start) * 1000


class Cost(NamedTuple):
    """What a statement took in a fresh process: by how many MB (10**6 bytes) its peak memory grew, and how long, in ms."""

    peak_mb: float
    ms: float


def peak_mb(setup: str, statement: str, *, arguments: Sequence[str]) -> float:
    """Return by how many MB the peak memory of a fresh process grows; see `cost_of`."""
    return cost_of(setup, statement, arguments=arguments).peak_mb


def cost_of(setup: str, statement: str, *, arguments: Sequence[str]) -> Cost:
    """Return what a statement costs in a fresh interpreter: by how much its peak memory grows after `setup`, and the time.

    Both are Python source; `arguments` are in `sys.argv[1:]`. Mapped files count, as they do for the operating system.
    Linux only: it reads `/proc`.

    Raises:
        ChildFailedError: It failed.
    """
    # Not getrusage: its peak begins with that of the process which started this one.
    peak = "int(next(line for line in open('/proc/self/status') if line.startswith('VmHWM')).split()[1])"
    timed = f"start = time.perf_counter()\n{statement}\ntook = time.perf_counter() - start"
    code = f"import sys, time\n{setup}\nbefore = {peak}\n{timed}\nprint({peak} - before, took)"
    what = "a process whose memory is measured"
    said = children.output_of([sys.executable, "-c", code, *arguments], what=what)
    try:
        grown, took = said.split()
        return Cost(int(grown) * 1024 / 1e6, float(took) * 1000)
    except ValueError as error:
        raise children.nonsense(what, str(error)) from None


def command_ms(commands: Mapping[str, Sequence[str]], *, runs: int) -> dict[str, float]:
    """Return each command's median time in milliseconds, start of the process included, runs interleaved.

    Raises:
        ChildFailedError: One failed.
    """

    def call(command: Sequence[str]) -> Callable[[], object]:
        return lambda: children.output_of(command, what=shlex.join(command), is_kept=False)

    return medians_ms({name: call(command) for name, command in commands.items()}, runs=runs)
