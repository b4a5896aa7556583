"""What the tortures of moves and of maintenance have in common: a state folder, made once, in which the command line does one thing."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

from sessionlab.entry import Entry
from tests.torture.command_line import copy_of, difference, relocated, tried
from tests.torture.tracing import Outcome

STALE_LOCK: Final = r"/sessions\.json\.lock$"
"""The lock of a process that was killed when all was done but freeing it. Who locks next, be it one of ours or OpenClaw, takes it."""


class Scene(ABC):
    """A state folder in which something is done, as often as wanted, and what it has to look like afterwards.

    Attributes:
        program: Does it, in the state folder that its first argument names.
    """

    def __init__(self, folder: Path) -> None:
        """Take an empty folder, which is this scene's own."""
        self._folder = folder
        self._original = folder / "original" / "state"
        self.program = folder / "program.py"

    def _begin_with(self, original: Path) -> None:
        """Begin in a state folder as an accident left it."""
        relocated(original, self._original)

    def copy(self) -> AbstractContextManager[Path]:
        """Give a state folder to do it in; it goes afterwards."""
        return self.copy_of(self._original)

    def copy_of(self, state: Path) -> AbstractContextManager[Path]:
        """Give a copy of a state folder; it goes afterwards."""
        return copy_of(state, self._folder)

    def tried(self, state: Path) -> Outcome:
        """Do it, and say how that ended."""
        return tried(self.program, state)

    def _run(self, state: Path) -> None:
        """Do it without an accident; after one it is what a person does: the same once more."""
        outcome = self.tried(state)
        assert outcome.code == 0, f"without an accident it fails with {outcome.code}: {outcome.errors.strip()[-600:]}"

    @abstractmethod
    def looked_at(self, state: Path, *, acknowledged: bool) -> str:
        """Look at a state folder after an accident, and change nothing.

        Returns:
            "old" or "new": whether it is as before, or it is done.

        Raises:
            AssertionError: It is neither; or it was acknowledged, and is not done.
        """

    @abstractmethod
    def finished(self, state: Path, *, is_written: bool = False, may_stay: str = "") -> None:
        """Do it again after an accident, and look whether everything is in its place then.

        Args:
            state: The state folder.
            is_written: Whether somebody writes a session in between.
            may_stay: A pattern of names that may be left over.

        Raises:
            AssertionError: The next run fails, something is missing, or something is left over.
        """


def refuse_difference(wanted: Mapping[str, Entry], found: Mapping[str, Entry]) -> None:
    """Look whether a store holds, after the next run, what it should; raises `AssertionError`."""
    assert found == wanted, f"after the next run it holds something else: {difference(wanted, found)}"


def or_stale_lock(may_stay: str, *, is_all_ended: bool) -> str:
    """Return the pattern of names that may be left over: a stale lock too when all runs had ended, for the next has nothing to lock for."""
    return "|".join(filter(None, (may_stay, STALE_LOCK if is_all_ended else "")))


def left_over(names: Iterable[str], may_stay: str) -> str:
    """Say which names do not fit the pattern of those that may be left over, or ""."""
    left = sorted(name for name in names if not (may_stay and re.search(may_stay, name)))
    return f"left over: {left}" if left else ""
