"""Runs a small program under strace: to list the calls that touch a store's folder, to kill it before one of them, to make one fail."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Final

REAL_PYTHON: Final = os.path.realpath(sys.executable)
"""The binary itself: a shim would be traced, and killed, in its place."""

WRITES: Final = ("write", "pwrite64", "writev", "pwritev", "pwritev2", "copy_file_range", "sendfile")
SYNCS: Final = ("fsync", "fdatasync")
RENAMES: Final = ("rename", "renameat", "renameat2")
OPENS: Final = ("open", "openat", "openat2", "creat")
READS: Final = ("read", "pread64")
_OTHERS: Final = ("link", "linkat", "symlink", "symlinkat", "unlink", "unlinkat", "mkdir", "mkdirat", "rmdir", "ftruncate", "truncate")
_MODES: Final = ("fallocate", "chmod", "fchmod", "fchmodat", "fchmodat2", "utimensat", "sync_file_range", "flock")
CHANGING: Final = (*WRITES, *SYNCS, *RENAMES, *OPENS, *_OTHERS, *_MODES)
"""The calls between which the disk changes; what a store looks like after a kill depends on which of them were made."""

ACKNOWLEDGED: Final = "acknowledged"
_CALL: Final = re.compile(r"(?P<thread>\d+)\s+(?P<name>\w+)\(")


@dataclass(frozen=True)
class Point:
    """One call of a program: the `number`-th of that name, counted from 1.

    Attributes:
        name: The call.
        number: Which one of its name in its thread.
        line: What strace shows of it.
        acknowledged: Whether it came after the program had said that the operation was done.
    """

    name: str
    number: int
    line: str
    acknowledged: bool

    def __str__(self) -> str:
        return f"{self.name} no. {self.number}: {self.line}"


@dataclass(frozen=True)
class Outcome:
    """How a program ended: the signal that killed it, if any; its exit code; and what it said."""

    killed_by: int | None
    code: int
    output: str
    errors: str

    @property
    def acknowledged(self) -> bool:
        """Whether the program said that the operation was done."""
        return ACKNOWLEDGED in self.output.splitlines()


def points(program: Path, store: Path, calls: tuple[str, ...]) -> list[Point]:
    """Run the program once and return those of its calls that touch the store's folder, in order."""
    trace = program.with_suffix(".trace")
    outcome = _run(program, store, ["-y", "-s16", "-o", str(trace), "-e", _named("trace", {*calls, "write"})])
    assert outcome.code == 0, f"the program fails without an accident: {outcome.errors}"
    assert outcome.acknowledged, outcome.output
    found, seen, acknowledged = [], Counter[tuple[str, str]](), False
    for line in trace.read_text(encoding="utf-8", errors="replace").splitlines():
        call = _CALL.match(line)
        if call is None:
            continue
        seen[call["thread"], call["name"]] += 1
        if f'"{ACKNOWLEDGED}' in line:
            acknowledged = True
        elif str(store.parent) in line and call["name"] in calls:
            shown = line[call.start("name") :].replace(str(store.parent), "")
            found.append(Point(call["name"], seen[call["thread"], call["name"]], shown, acknowledged))
    return list(dict.fromkeys(found))


def kill(program: Path, store: Path, point: Point) -> Outcome:
    """Run the program and kill it just before a call.

    Raises:
        AssertionError: It was not killed.
    """
    outcome = _run(program, store, _injection(point, "signal=KILL"))
    assert outcome.killed_by == signal.SIGKILL, f"was not killed but ended with {outcome.code}: {outcome.errors}"
    return outcome


def fail(program: Path, store: Path, point: Point, error: str) -> Outcome:
    """Run the program with one call failing, as with `error="EIO"`."""
    return _run(program, store, _injection(point, f"error={error}"))


def slow(calls: tuple[str, ...], delay_us: int) -> list[str]:
    """Return the command that runs a program with each of these calls delayed."""
    return ["strace", "-f", "-qq", "-o", "/dev/null", "-e", _named("trace", set(calls)), "-e", "signal=none"] + [
        part for call in calls for part in ("-e", f"inject=?{call}:delay_enter={delay_us}")
    ]


def _injection(point: Point, what: str) -> list[str]:
    return ["-o", "/dev/null", "-e", f"trace={point.name}", "-e", f"inject={point.name}:{what}:when={point.number}"]


def _named(what: str, calls: set[str]) -> str:
    return f"{what}=" + ",".join(f"?{call}" for call in sorted(calls))  # "?": not every processor has every call


def _run(program: Path, store: Path, options: list[str]) -> Outcome:
    # Never --seccomp-bpf: it silently disables the kill.
    command = ["strace", "-f", "-qq", "-e", "signal=none", *options, REAL_PYTHON, "-B", "-S", "-I", str(program), str(store)]
    done = subprocess.run(command, cwd="/", capture_output=True, text=True, check=False, timeout=120)
    # strace ends by the signal that ended the program.
    return Outcome(-done.returncode if done.returncode < 0 else None, done.returncode, done.stdout, done.stderr)
