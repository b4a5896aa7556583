"""How things are measured: interleaved runs, medians, peak memory in fresh processes, and one record for every figure."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


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
    peak_mb: float | None = None
    sessions: int | None = None
    durability: str | None = None
    conditions: str = ""

    @property
    def ratio(self) -> float | None:
        """The median over its floor."""
        return self.median_ms / self.floor_ms if self.median_ms is not None and self.floor_ms else None

    @property
    def is_met(self) -> bool | None:
        """Whether the bound is kept; `None` without one."""
        held = next((value for value in (self.ratio, self.median_ms, self.peak_mb) if value is not None), None)
        return None if self.bound is None or held is None else held <= self.bound

    @property
    def in_words(self) -> str:
        """What was done, and what an acknowledged write survives."""
        return self.operation if self.durability is None else f"{self.operation} [{self.durability}]"

    def row(self) -> dict[str, Any]:
        """Return it as a row of the JSON; what does not apply is `None`."""
        names = ("store", "operation", "sessions", "durability", "median_ms", "floor_ms", "ratio", "bound", "peak_mb")
        return {name: getattr(self, name) for name in names}


def medians_ms(functions: Mapping[str, Callable[[], object]], *, runs: int) -> dict[str, float]:
    """Return each function's median time in milliseconds over `runs` rounds; a round runs each once, so that drift hits all alike."""
    times: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(runs):
        for name, function in functions.items():
            start = time.perf_counter()
            function()
            times[name].append((time.perf_counter() - start) * 1000)
    return {name: statistics.median(values) for name, values in times.items()}


def peak_mb(setup: str, statement: str, *, arguments: Sequence[str]) -> float:
    """Return by how many MB the peak memory of a fresh interpreter grows from after `setup` to after `statement`.

    Both are Python source; `arguments` are in `sys.argv[1:]`. Mapped files count, as they do for the operating system.
    Linux only: it reads `/proc`.
    """
    # Not getrusage: its peak begins with that of the process which started this one.
    peak = "int(next(line for line in open('/proc/self/status') if line.startswith('VmHWM')).split()[1])"
    code = f"import sys\n{setup}\nbefore = {peak}\n{statement}\nprint({peak} - before)"
    done = subprocess.run([sys.executable, "-c", code, *arguments], check=True, capture_output=True, text=True)
    return int(done.stdout) * 1024 / 1e6


def command_ms(commands: Mapping[str, Sequence[str]], *, runs: int) -> dict[str, float]:
    """Return each command's median time in milliseconds, start of the process included, runs interleaved."""

    def call(command: Sequence[str]) -> Callable[[], object]:
        return lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    return medians_ms({name: call(command) for name, command in commands.items()}, runs=runs)
