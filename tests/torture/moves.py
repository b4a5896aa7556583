"""A move that is put to the torture: how it is made, and how a state folder has to look after an accident.

What is run is the command line itself, as by a person, and run again after the accident.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Final

from sessionlab.entry import Entry
from sessionlab.errors import SessionLabError
from sessionlab.migration.audit import audit_run
from sessionlab.migration.resuming import unfinished
from sessionlab.migration.run_folder import runs
from sessionlab.runs import RUNS
from sessionlab.stores import locate, open_for_writing, open_store
from tests.torture.command_line import difference, program, refuse_findings
from tests.torture.scene import Scene, left_over, or_stale_lock, refuse_difference
from tests.torture.tracing import Outcome
from tests.torture.trips import BORN, ENTRY, LATER, SOURCE, TARGET, TWINS, Trip, make, place

SET_ASIDE: Final = r"\.(bak|orphan)\.\*"
"""Names of stores that were moved out of the way, as `names` gives them: one that came too late, when somebody wrote in between."""

LOGS: Final = r"\.bak\.\*-(wal|shm)$"
"""A database's log that its closing could not put away: it goes with the database."""

UNREMOVED: Final = rf"{LOGS}|\.(lock|tmp)$"
"""That, and what a call was to remove that failed."""

_TIME: Final = re.compile(r"\.(bak|orphan)\.\d+")
_RUN: Final = re.compile(r"\d{4}-\d\d-\d\dT[\d.-]+Z-(migrate|rollback)-[0-9a-f]{8}")
_CHANCE: Final = re.compile(r"\d+\.[0-9a-f-]{36}|staging-\d+-\d+")
# Somebody else writes, once, between the plan and the lock.
_BUSY: Final = f"""\
from pathlib import Path
from sessionlab.migration import execute, startup
from sessionlab.stores import open_for_writing
def busy(plan, **more):
    with open_for_writing(Path(state)) as store:
        store.put({BORN!r}, {ENTRY!r})
    return execute.execute(plan, **more)
startup.execute = busy
"""


class Moved(Scene):
    """A state folder in which a trip is made, as often as wanted, and what it has to look like afterwards."""

    def __init__(
        self,
        trip: Trip,
        folder: Path,
        *,
        original: Path | None = None,
        is_moved: bool = False,
        prelude: str = "",
        temporary: Path | None = None,
    ) -> None:
        """Make the state folder once, in `folder`, which is this scene's own.

        Args:
            trip: What is done there.
            folder: An empty folder.
            original: A state folder to begin with, as an accident left it; by default it is made as `trip` says.
            is_moved: Whether the new store counts already in that.
            prelude: Python that is run before the command line, to break it.
            temporary: Where the program's temporary files lie; by default in `folder`.
        """
        super().__init__(folder)
        self.trip, self._is_moved = trip, is_moved
        if original is None:
            make(trip, self._original)
        else:
            self._begin_with(original)
        before = TARGET | {BORN: ENTRY} if trip.is_back else SOURCE | TWINS if trip.old == "json" else SOURCE
        self.old = (before, before | {BORN: ENTRY}) if trip.is_busy else (before,)
        self.new = TARGET | {BORN: ENTRY} if trip.is_back or trip.is_busy else TARGET
        self._bytes = {} if is_moved else bytes_of(place(self._original, trip.old))
        self.program.write_text(self._program(_BUSY + prelude if trip.is_busy else prelude, temporary or folder / "tmp"), encoding="utf-8")
        with self.copy() as calm:
            self._run(calm)
            self._left = names(calm)
            write(calm)
            self._left_written = names(calm)

    def _program(self, prelude: str, temporary: Path) -> str:
        """Return the program that makes the trip in the state folder named by its first argument."""
        temporary.mkdir()
        arguments = ["migrate", "STATE", "--to", self.trip.new, "--json"]
        if self.trip.is_back:
            run = next(run.path.name for run in runs(self._original) if "-migrate-" in run.path.name)
            arguments = ["rollback", f"STATE/{RUNS}/{run}", "--json"]
        return program(arguments, temporary=temporary, prelude=prelude)

    def judged(self, state: Path, outcome: Outcome, *, may_leave_stage: bool = False) -> str:
        """Look at a state folder after a trip during which something failed.

        Returns:
            "refused", "moved, with an error" or "done".

        Raises:
            AssertionError: The folder is not what the program's end promises, or that was no orderly one.
        """
        assert "Traceback" not in outcome.errors, outcome.errors.strip()[-900:]
        which = self.looked_at(state, acknowledged=outcome.acknowledged)
        stages = [path.name for path in state.rglob("*.staging-*")]
        assert may_leave_stage or not stages, f"a stage is left: {stages}"
        if outcome.code == 0:
            return "done"
        assert outcome.errors.startswith("sessionlab: "), f"ends with {outcome.code} and says {outcome.errors[-300:]!r}"
        return "refused" if which == "old" else "moved, with an error"

    def looked_at(self, state: Path, *, acknowledged: bool) -> str:
        """Look at a state folder after an accident, and change nothing.

        Returns:
            "old" or "new": which store counts.

        Raises:
            AssertionError: Neither does, or what it holds is not what it held; or the move was acknowledged, and did not come about.
        """
        kind, found = content(state)
        assert kind in (self.trip.old, self.trip.new), f"a store of type {kind} counts"
        wanted = (self.new,) if kind == self.trip.new else self.old
        assert found in wanted, f"the {kind} store counts, and holds something else: {difference(wanted[0], found)}"
        is_moved = kind == self.trip.new
        assert is_moved or not acknowledged, "acknowledged, and not moved"
        assert is_moved or not self._is_moved, "was moved before the accident, and is not after it"
        is_introduced = any(event.act.startswith("introduce") for run in runs(state) for event in run.events())
        if not (is_moved or is_introduced or self.trip.is_busy):  # who writes, changes more than a session's bytes
            assert bytes_of(place(state, self.trip.old)) == self._bytes, f"the {kind} store counts, and its bytes have changed"
        return "new" if is_moved else "old"

    def finished(self, state: Path, *, is_written: bool = False, may_stay: str = "") -> None:
        """Make the trip again after an accident, and look whether everything is in its place then; see `Scene.finished`."""
        wanted = dict(self.new)
        may_stay = or_stale_lock(may_stay, is_all_ended=all(run.has_ended() for run in runs(state)))
        if is_written:
            wanted |= write(state)
        self._run(state)
        kind, found = content(state)
        assert kind == self.trip.new, f"after the next run a store of type {kind} counts"
        refuse_difference(wanted, found)
        (location,) = locate(state)
        assert unfinished(location) == (), "a run is still unfinished"
        last = next(run for run in reversed([*runs(state)]) if run.events()[-1].act == "done")
        verdict = audit_run(last.path)
        assert verdict.verdict == "holds", f"the audit of the run that finished says: {verdict.verdict}, {verdict.contradictions}"
        left = names(state)
        assert not self._left - left, f"missing: {sorted(self._left - left)}"
        wrong = left_over(left - (self._left_written if is_written else self._left), may_stay)
        assert not wrong, wrong


def content(state: Path) -> tuple[str, dict[str, Entry]]:
    """Return the kind of the store that counts, and what it holds.

    Raises:
        AssertionError: None does, or two do, or it has findings.
    """
    try:
        with open_store(state) as store:
            refuse_findings(store)
            return store.kind, dict(store.items())
    except SessionLabError as error:
        raise AssertionError(f"no store counts: {type(error).__name__}: {error}") from error


def write(state: Path) -> dict[str, Entry]:
    """Write a session into whatever store counts, and return it."""
    with open_for_writing(state) as store:
        store.put(LATER, ENTRY)
    return {LATER: ENTRY}


def names(state: Path) -> set[str]:
    """Return the names of everything in a state folder, as they are when nothing is told of times and runs; of each run once."""
    found = (str(path.relative_to(state)) for path in state.rglob("*"))
    return {_RUN.sub("RUN", _TIME.sub(r".\1.*", name)) for name in found}


def appearance(state: Path) -> object:
    """Return what tells one leaving of an accident from another: which files there are, by whatever process, and what its runs had done."""
    acts = tuple(event.act for run in runs(state) for event in run.events())
    return acts, frozenset(_CHANCE.sub("*", name) for name in names(state))


def bytes_of(store: Path) -> dict[str, str]:
    """Return the digests of a store's own files; not of its locks, nor of what knows its successor."""
    files = [path for path in store.rglob("*") if path.is_file()] if store.is_dir() else [store]
    return {
        str(path.relative_to(store)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
        if path.name not in ("lock", "promotion.json") and not path.name.endswith(".tmp")
    }
