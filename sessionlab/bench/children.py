"""The processes of a measurement: what one tells, or one error that says why it does not.

Most are a module of ours, `python -m PROGRAM TASK`, which gets its task as JSON and tells what it saw as JSON, a line for each answer.
"""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Final, TypeVar

import msgspec

from sessionlab.bench import workplace
from sessionlab.errors import SessionLabError, UnwritableError, exit_code_of

LONGEST_S: Final = 3600
"""Longer than any process of a measurement takes whose work is not for its caller to choose."""
_SHOWN: Final = 300
_OURS: Final = re.compile(r"sessionlab(?:\.\w+)*\.(?P<name>\w+Error): (?P<message>.+)")
_MORE_MEMORY: Final = "the system does that when memory is short: end other programs, or measure less"
_AGAIN: Final = "run it again; if it fails again, that is a defect of sessionlab"

Answer = TypeVar("Answer")


class ChildFailedError(SessionLabError):
    """A process of a measurement did not tell what it was to: it failed, was ended, took too long, or told something else.

    Its exit code is that of the error which ended it, where that is one of ours.
    """

    def __init__(self, what: str, reason: str, *, advice: str = "", exit_code: int = 1) -> None:
        self.what, self.reason, self.advice, self.exit_code = what, reason, advice, exit_code
        super().__init__(f"{what} {reason}" + (f"; {advice}" if advice else ""))


def answer(program: str, task: msgspec.Struct, kind: type[Answer]) -> Answer:
    """Carry out a task in a process of its own and return the one thing that it tells; see `answers`."""
    return only(program, answers(program, task, kind))


def answers(
    program: str,
    task: msgspec.Struct,
    kind: type[Answer],
    *,
    environment: Mapping[str, str] | None = None,
    timeout_s: float | None = LONGEST_S,
) -> list[Answer]:
    """Carry out a task in a process of its own.

    Args:
        program: The module that is the process.
        task: What it is given.
        kind: What each line is that it tells.
        environment: All of it; ours if `None`.
        timeout_s: When it is ended; `None` for never.

    Returns:
        What it told, in its order.

    Raises:
        ChildFailedError: It failed, or told something else.
    """
    said = output_of(command(program, task), what=named(program), environment=environment, timeout_s=timeout_s)
    return told(program, said, kind)


def command(program: str, task: msgspec.Struct) -> list[str]:
    """Return the command line of such a process."""
    return [sys.executable, "-m", program, msgspec.json.encode(task).decode()]


def named(program: str) -> str:
    """Return what such a process is called in an error."""
    return f"a process of the measurement ({program})"


def told(program: str, said: bytes, kind: type[Answer]) -> list[Answer]:
    """Decode what such a process said.

    Raises:
        ChildFailedError: It is something else.
    """
    try:
        return [msgspec.json.decode(line, type=kind) for line in said.splitlines()]
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise nonsense(named(program), str(error)) from None


def only(program: str, found: Sequence[Answer]) -> Answer:
    """Return the one thing that such a process told.

    Raises:
        ChildFailedError: It told none, or several.
    """
    if len(found) != 1:
        raise nonsense(named(program), f"{len(found)} answers instead of one")
    return found[0]


def output_of(
    words: Sequence[str],
    *,
    what: str,
    environment: Mapping[str, str] | None = None,
    timeout_s: float | None = LONGEST_S,
    is_kept: bool = True,
) -> bytes:
    """Run a process and return what it printed. What it says on stderr is shown only as the reason why it failed.

    Args:
        words: The command.
        what: What it is called in an error.
        environment: All of it; ours if `None`.
        timeout_s: When it is ended; `None` for never.
        is_kept: Otherwise its output goes nowhere, and nothing is returned.

    Raises:
        ChildFailedError: It could not be started, failed, or did not end in time.
    """
    stdout = subprocess.PIPE if is_kept else subprocess.DEVNULL
    try:
        done = subprocess.run(words, stdout=stdout, stderr=subprocess.PIPE, env=environment, timeout=timeout_s, check=False)
    except subprocess.TimeoutExpired:
        raise late(what, timeout_s or 0.0) from None
    except OSError as error:
        raise ChildFailedError(what, f"could not be started ({error.strerror or error})", advice=_MORE_MEMORY) from error
    if done.returncode:
        raise failure(what, done.returncode, done.stderr)
    return done.stdout or b""


def failure(what: str, status: int, stderr: bytes) -> ChildFailedError:
    """Word how a process ended that did not end well.

    Args:
        what: What it is called.
        status: As `subprocess` has it: negative for a signal.
        stderr: What it said; the last line is the reason.
    """
    lines = [line.strip() for line in stderr.decode(errors="replace").splitlines() if line.strip()]
    last = lines[-1] if lines else ""
    ours = _OURS.fullmatch(last)
    said = ours["message"] if ours else last
    is_full = workplace.says_no_room(said)
    if is_full:
        said = said.partition("; free")[0]  # a store's advice is about the disk that it is on, ours about another place, too
    reason = f"{_ended(status)}{f': {said[:_SHOWN]}' if said else ''}"
    code = exit_code_of(ours["name"]) if ours else 1
    if is_full:
        return ChildFailedError(what, reason, advice=workplace.advice(), exit_code=UnwritableError.exit_code)
    if status == -signal.SIGKILL or said.startswith("MemoryError"):
        return ChildFailedError(what, reason, advice=_MORE_MEMORY)
    return ChildFailedError(what, reason, advice="" if ours else _AGAIN, exit_code=code)


def late(what: str, timeout_s: float) -> ChildFailedError:
    """Word that a process had not ended in time."""
    reason = f"was still running after {timeout_s:,.0f} s, and was ended"
    return ChildFailedError(what, reason, advice="end other programs, or measure less")


def nonsense(what: str, why: str) -> ChildFailedError:
    """Word that a process told something else than it was to."""
    return ChildFailedError(what, f"told something that cannot be read ({why.splitlines()[0][:_SHOWN]})", advice=_AGAIN)


def _ended(status: int) -> str:
    if status >= 0:
        return f"ended with {status}"
    known = {int(one): one.name for one in signal.Signals}
    return f"was ended by {known.get(-status, f'signal {-status}')}"
