"""How things are measured: interleaved runs, medians, peak memory in fresh processes, and one row per figure."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Measurement:
    """One figure and what it is held against.

    Attributes:
        benchmark: The group it belongs to.
        what: What was done.
        value: The median, in `unit`.
        unit: "ms", "s", "MB" or "ratio".
        reference: The floor's or peer's median in the same run and unit, when there is one.
        reference_name: What that is.
        limit: The most that is accepted: of the ratio when there is a reference, else of the value.
        conditions: Sizes and counts, for the reader.
    """

    benchmark: str
    what: str
    value: float
    unit: str
    reference: float | None = None
    reference_name: str = ""
    limit: float | None = None
    conditions: str = ""

    @property
    def ratio(self) -> float | None:
        """The value over its reference."""
        return self.value / self.reference if self.reference else None

    @property
    def is_met(self) -> bool | None:
        """Whether the limit is kept; `None` without one."""
        if self.limit is None:
            return None
        return (self.ratio if self.ratio is not None else self.value) <= self.limit


def medians_ms(functions: Mapping[str, Callable[[], object]], *, runs: int) -> dict[str, float]:
    """Return each function's median time in milliseconds over `runs` rounds; a round runs each once, so that drift hits all alike."""
    times: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(runs):
        for name, function in functions.items():
            start = time.perf_counter()
            function()
            times[name].append((time.perf_counter() - start) * 1000)
    return {name: statistics.median(values) for name, values in times.items()}


def peak_bytes(setup: str, statement: str, *, arguments: Sequence[str]) -> int:
    """Return by how many bytes the peak memory of a fresh interpreter grows from after `setup` to after `statement`.

    Both are Python source; `arguments` are in `sys.argv[1:]`. Mapped files count, as they do for the operating system.
    Linux only: it reads `/proc`.
    """
    # Not getrusage: its peak begins with that of the process which started this one.
    peak = "int(next(line for line in open('/proc/self/status') if line.startswith('VmHWM')).split()[1])"
    code = f"import sys\n{setup}\nbefore = {peak}\n{statement}\nprint({peak} - before)"
    done = subprocess.run([sys.executable, "-c", code, *arguments], check=True, capture_output=True, text=True)
    return int(done.stdout) * 1024


def command_ms(commands: Mapping[str, Sequence[str]], *, runs: int) -> dict[str, float]:
    """Return each command's median time in milliseconds, start of the process included, runs interleaved."""

    def call(command: Sequence[str]) -> Callable[[], object]:
        return lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    return medians_ms({name: call(command) for name, command in commands.items()}, runs=runs)
