"""A shared memory that is put to the torture: how it is made, and how it has to look after an accident."""

from __future__ import annotations

import contextlib
import json
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Literal

from sessionlab.errors import SessionLabError
from tests.torture.command_line import copy_of
from tests.torture.deeds import LATER_MS, NEXT, PLACE, Crew, Deed, program_of
from tests.torture.operations import listing
from tests.torture.remembered import Looks, Rows, difference, digest_of, snapshot, snapshot_of_copy
from tests.torture.scene import Scene, left_over
from tests.torture.tracing import Outcome


@dataclass(frozen=True)
class Known:
    """What there is between two steps.

    Attributes:
        done: The number of the last step that is done, -1 for none.
        rows: What the database holds.
        seen: The sessions as the process sees them that does it.
        state: A state folder that is so.
    """

    done: int
    rows: Rows
    seen: Looks
    state: Path


@dataclass(frozen=True)
class After:
    """What there is when everything was done again: rows, the sessions as that process sees them, and the names of all files."""

    rows: Rows
    seen: Looks
    names: list[str]


class Remembering(Scene):
    """A shared memory on which a deed is done, as often as wanted, and what there has to be afterwards."""

    def __init__(
        self,
        deed: Deed,
        folder: Path,
        *,
        original: Path | None = None,
        prelude: str = "",
        when_refused: Literal["stop", "again"] = "stop",
        elsewhere: Path | None = None,
    ) -> None:
        """Make the shared memory once, in `folder`, which is this scene's own.

        Args:
            deed: What is done.
            folder: An empty folder.
            original: A state folder to begin with, as an accident left it; by default it is made as `deed` says.
            prelude: Python that is run before the deed, to break what is put to the torture.
            when_refused: See `deeds.play`.
            elsewhere: Where is kept what there has to be; by default in `folder`.
        """
        super().__init__(folder)
        self.deed, self._elsewhere = deed, elsewhere or folder
        self.program.write_text(program_of(deed, prelude=prelude, when_refused=when_refused), encoding="utf-8")
        if original is not None:
            self._begin_with(original)
        else:
            self._original.mkdir(parents=True)
            if deed.before is not None:
                crew = Crew(self._original, deed.scope)
                crew.memory.initialize()
                deed.before(crew)
                crew.memory.close()
        self._last = len(deed.all_steps) - 1
        self.known = self._calm()
        self._after: dict[tuple[int, bool], After] = {}
        self._lock = threading.Lock()

    def _calm(self) -> list[Known]:
        """Do the deed without an accident, and return what there may be in between; at the end of the list, what there is at its end."""
        steps = self.deed.all_steps
        known: list[Known] = []
        with self._calm_crew() as (state, crew):
            self._note(known, -1, state, crew)
            for number, step in enumerate(steps):
                step(crew)
                self._note(known, number, state, crew)
        parts = self.deed.last
        for some in (some for number in range(1, len(parts)) for some in combinations(parts, number)):
            with self._calm_crew() as (state, crew):
                for step in (*steps[:-1], *some):
                    step(crew)
                self._note(known, self._last - 1, state, crew)
        return sorted(known, key=lambda one: one.done)

    @contextlib.contextmanager
    def _calm_crew(self) -> Iterator[tuple[Path, Crew]]:
        with self.copy() as state:
            crew = Crew(state, self.deed.scope)
            try:
                yield state, crew
            finally:
                crew.memory.close()

    def _note(self, known: list[Known], done: int, state: Path, crew: Crew) -> None:
        kept = Path(shutil.copytree(state, self._elsewhere / "known" / str(len(known)) / "state"))
        known.append(Known(done, snapshot_of_copy(kept / PLACE), crew.seen(), kept))

    def looked_at(self, state: Path, *, acknowledged: bool) -> str:
        """Look at a state folder after an accident, and change nothing; see `Scene.looked_at`."""
        return "new" if self.found(state, done=self._last if acknowledged else None).done == self._last else "old"

    def found(self, state: Path, *, done: int | None) -> Known:
        """Return what there is after an accident.

        Args:
            state: The state folder.
            done: The number of the step that was acknowledged last; `None` when that is not known.

        Raises:
            AssertionError: It is damaged, or half of a step is done; or what was acknowledged is not, or what nobody asked for is.
        """
        rows = snapshot_of_copy(state / PLACE)
        found = [known for known in self.known if known.rows == rows]
        assert found, "half of a step is done: " + "; or ".join(difference(known.rows, rows) for known in self.known)
        # What cannot be read of an index is passed by, and the next search makes it anew: only the answer counts, which the step looks at.
        late = int(self.deed.makes_index and done == self._last)
        fitting = [known for known in found if done is None or done - late <= known.done <= done + 1]
        assert fitting, f"step {done} was acknowledged last, and {[known.done for known in found]} is the last that is done"
        return fitting[-1]

    def inspect(self, state: Path, outcome: Outcome, *, is_written: bool) -> str:
        """Look at what an accident has left, and go on with it at once; return "old" or "new". Raises `AssertionError` as `finished`."""
        found = self.found(state, done=last_done(outcome.output))
        self._finish(state, found, is_written=is_written)
        return "new" if found.done == self._last else "old"

    def finished(self, state: Path, *, is_written: bool = False, may_stay: str = "") -> None:
        """Do the deed again in another process after an accident, when leases are over; see `Scene.finished`."""
        self._finish(state, self.found(state, done=None), is_written=is_written, may_stay=may_stay)

    def _finish(self, state: Path, found: Known, *, is_written: bool, may_stay: str = "") -> None:
        wanted = self._wanted(found, is_written=is_written)
        after = self._done_again(state, is_written=is_written)
        assert after.rows == wanted.rows, f"after the next run there is something else: {difference(wanted.rows, after.rows)}"
        assert after.seen == wanted.seen, f"after the next run it sees {after.seen}, not {wanted.seen}"
        missing = {*wanted.names} - {*after.names}
        assert not missing, f"missing: {sorted(missing)}"
        wrong = left_over({*after.names} - {*wanted.names}, may_stay)
        assert not wrong, wrong

    def _wanted(self, found: Known, *, is_written: bool) -> After:
        """Return what doing it again has to lead to: what it leads to without an accident."""
        key = self.known.index(found), is_written
        with self._lock:
            if key not in self._after:
                with copy_of(found.state, self._elsewhere) as state:
                    self._after[key] = self._done_again(state, is_written=is_written)
            return self._after[key]

    def _done_again(self, state: Path, *, is_written: bool) -> After:
        for deed in (NEXT, self.deed) if is_written else (self.deed,):
            crew = Crew(state, deed.scope, now_ms=LATER_MS)
            try:
                for step in deed.all_steps:
                    step(crew)
                seen = crew.seen()
            except SessionLabError as error:
                raise AssertionError(f"the next run fails: {type(error).__name__}: {error}") from error
            finally:
                crew.memory.close()
        return After(snapshot(state / PLACE), seen, listing(state))

    def judged(self, state: Path, outcome: Outcome) -> str:
        """Say what came of a deed during which something failed, by what its program said; look at the database if that did not.

        Returns:
            "refused", "uncertain" or "done".

        Raises:
            AssertionError: The database, or the process that goes on, is not what its error, or its silence, promises.
        """
        assert outcome.code == 0, f"ended with {outcome.code}: {outcome.errors.strip()[-900:]}"
        lines = outcome.output.splitlines()
        refused = next(((number, json.loads(line)) for number, line in enumerate(lines) if line.startswith("{")), None)
        if refused is None:
            assert outcome.acknowledged, f"said {lines}"
            return "done"
        number, said = refused
        assert "\n" not in said["says"], f"says more than a line: {said['says']!r}"
        done = last_done("\n".join(lines[:number]))
        rows = said["digest"] or digest_of(snapshot_of_copy(state / PLACE))
        fitting = [known for known in self.known if digest_of(known.rows) == rows and done <= known.done <= done + 1]
        assert fitting, f"{said['name']}, and half of step {done + 1} is done"
        if said["name"] == "UncertainWriteError":
            return "uncertain"
        assert fitting[0].done == done, f"{said['name']}, and yet step {done + 1} is done"
        seen = [tuple(one) for one in said["seen"]]
        assert any(seen == known.seen for known in fitting), f"{said['name']}, and now it sees {seen}, not {fitting[0].seen}"
        return "refused"


def last_done(output: str) -> int:
    """Return the number of the step that a program acknowledged last; -1 for none."""
    return max((int(line.split()[1]) for line in output.splitlines() if line.startswith("done ")), default=-1)
