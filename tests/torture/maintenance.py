"""A maintenance that is put to the torture: how it is made, and how a state folder has to look after an accident.

What is run is the command line itself, as by a person, and run again after the accident; only a save is a program's.
"""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path
from typing import Final

from sessionlab.entry import Entry
from sessionlab.maintenance.finishing import finish_stopped
from sessionlab.maintenance.run_folder import maintenance_runs
from sessionlab.maintenance.undo import undo
from sessionlab.stores import locate, open_for_writing
from tests.torture.command_line import difference, program
from tests.torture.holding import Holding, holding, is_there, names, session_of, stamped, write
from tests.torture.scene import Scene, left_over, or_stale_lock, refuse_difference
from tests.torture.tended import LATER, NEWER, SAVED, SAVING, Task, make, make_undoable, undoing
from tests.torture.tracing import Outcome
from tests.torture.trips import place

UNREMOVED: Final = r"\.(lock|tmp)$|-(wal|shm)$"
"""What a call was to remove that failed."""

_OF_LOCK: Final = re.compile(r"sessions\.json\.lock\.[^/]*\.tmp$")
_BACKUPS: Final = 3
_EXIT_CODES: Final = frozenset({1, 3, 10, 11})
"""Of what the system refuses, as the commands' help has them."""

# That not everything comes back, because something newer is in its place, is no failure of an undo: it says so with 1, as with an error.
_WATCH: Final = """\
from sessionlab.maintenance import undo as way
undone, said = way.undo, []
def watched(*arguments, **options):
    report = undone(*arguments, **options)
    said.append(report)
    return report
way.undo = watched
"""
_JUDGE: Final = "if code == 1 and said: code = 0\n"


class Tended(Scene):
    """A state folder in which something is maintained, as often as wanted, and what it has to look like afterwards."""

    entries: dict[str, Entry]
    """What was in the store before anything was removed."""

    old: Holding
    new: Holding
    moves: dict[str, str]
    """Files that get another name -> that name."""

    for_good: set[str]
    """Files that are removed and cannot be brought back."""

    _names: set[str]

    def __init__(
        self,
        task: Task,
        folder: Path,
        *,
        original: Path | None = None,
        first: Tended | None = None,
        prelude: str = "",
        temporary: Path | None = None,
    ) -> None:
        """Make the state folder once, in `folder`, which is this scene's own.

        Args:
            task: What is done there.
            folder: An empty folder.
            original: A state folder to begin with, as an accident left it; by default it is made as `task` says.
            first: The scene of that accident.
            prelude: Python that is run before the command line, to break it.
            temporary: Where the program's temporary files lie; by default in `folder`.
        """
        super().__init__(folder)
        self.task = task
        self._temporary = temporary or folder / "tmp"
        self._temporary.mkdir()
        if original is None:
            make(task, self._original)
        else:
            self._begin_with(original)
        if task.deed == "undo" and original is None:
            before = holding(self._original, task)
            self.program.write_text(program(task.arguments, temporary=self._temporary), encoding="utf-8")
            make_undoable(task, self._original, self.program)
            self.entries = before.entries
        self.program.write_text(self._program(prelude), encoding="utf-8")
        self.old = holding(self._original, task)
        self._is_later = first is not None
        self._store = place(self._original, task.kind).read_bytes() if task.deed == "save" else b""
        if first is not None:
            self.entries, self.old, self._store = first.entries, first.old, first._store
            self.new, self.moves, self.for_good, self._names = first.new, first.moves, first.for_good, first._names
            return
        if task.deed != "undo":
            self.entries = self.old.entries
        with self.copy() as calm:
            self._run(calm)
            self.new = holding(calm, task)
            self.moves = self._moves(calm)
            self.for_good = {one.name for run in maintenance_runs(calm) for one in run.files() if one.action != "archive"}
            self._names = names(calm)
            if not prelude:
                assert self._left_over(calm) == ""
                self._undo(calm, is_written=False)

    def _moves(self, calm: Path) -> dict[str, str]:
        """Return which files get another name, and what it is."""
        records = (one for run in maintenance_runs(calm) for one in run.files() if one.action == "archive")
        pairs = [(one.name, self._shown(one.renamed_to)) for one in records]
        if self.task.deed == "undo":
            pairs = [(renamed_to, name) for name, renamed_to in pairs]
        return {old: new for old, new in pairs if old in self.old.files and new in self.new.files}

    def _shown(self, name: str) -> str:
        """Return a file's name as it is the same in every run."""
        return stamped(name) if self.task.deed == "save" else name

    def _program(self, prelude: str) -> str:
        """Return the program that does the task in the state folder named by its first argument."""
        if self.task.deed == "undo":
            return program(undoing(self._original), temporary=self._temporary, prelude=_WATCH + prelude, judging=_JUDGE)
        if self.task.deed == "save":
            text = program([], temporary=self._temporary, prelude=prelude)
            return text.replace("from sessionlab.cli import main\n", SAVING)
        return program(self.task.arguments, temporary=self._temporary, prelude=prelude)

    def judged(self, state: Path, outcome: Outcome) -> str:
        """Look at a state folder after a task during which something failed.

        Returns:
            "refused", "done, with an error" or "done".

        Raises:
            AssertionError: The folder is not what the program's end promises, or that was no orderly one: a line that says what failed,
                and perhaps one that says how to undo what was done by then.
        """
        assert "Traceback" not in outcome.errors, outcome.errors.strip()[-900:]
        is_save = self.task.deed == "save"  # once that is done, what cannot be done for the files is told, and left to the next run
        which = self.looked_at(state, acknowledged=outcome.acknowledged and not is_save)
        if outcome.code == 0:
            assert which == "new", "acknowledged, and not done"
            return "done"
        said = outcome.errors.splitlines()
        is_orderly = 1 <= len(said) <= 2 and all(line.startswith("sessionlab: ") for line in said)
        assert is_orderly, f"ends with {outcome.code} and says {outcome.errors[-500:]!r}"
        assert outcome.code in _EXIT_CODES, f"ends with {outcome.code}: {outcome.errors[-300:]!r}"
        return "refused" if which == "old" else "done, with an error"

    def looked_at(self, state: Path, *, acknowledged: bool) -> str:
        """Look at a state folder after an accident, and change nothing.

        The store opens and has no errors; it holds what it held before the task or what it holds after it; every entry of before is in it
        or in the archive of a run; every file has its old name, or the one that it gets, unless it is one that is removed for good, and
        nothing became of any while its entry is in the store; nothing else has changed.

        Returns:
            "old" or "new": what the store holds.

        Raises:
            AssertionError: Something of that is not so; or the task was acknowledged, and not everything is done.
        """
        found = holding(state, self.task)
        assert found.entries in (self.old.entries, self.new.entries), f"holds neither: {difference(self.old.entries, found.entries)}"
        is_new = found.entries == self.new.entries
        put_by: defaultdict[str, list[Entry]] = defaultdict(list)
        for run in maintenance_runs(state):
            for key, entry in run.removed():
                put_by[key].append(entry)
        nowhere = [key for key, entry in self.entries.items() if not is_there(entry, found.entries.get(key)) and entry not in put_by[key]]
        assert not nowhere, f"neither in the store nor in an archive: {nowhere}"
        self._look_at_files(found, is_new=is_new)
        assert found.rest == self.old.rest, f"changed what is not its own: {difference(self.old.rest, found.rest)}"
        if acknowledged:
            assert is_new, "acknowledged, and not done"
        if acknowledged and not (self.task.deed == "save" and self._is_later):  # a save that changes nothing leaves what was stopped
            files = self._without_spared(found)
            assert files == self.new.files, f"acknowledged, and not all files: {difference(self.new.files, files)}"
        return "new" if is_new else "old"

    def _look_at_files(self, found: Holding, *, is_new: bool) -> None:
        if self.task.deed == "undo" and is_new:
            assert found.files == self.new.files, f"entries came before their files: {difference(self.new.files, found.files)}"
        if self.task.deed not in ("undo", "mark as archived") and not is_new:  # the latter leaves the entries where they are
            assert found.files == self.old.files, f"files changed before the entries: {difference(self.old.files, found.files)}"
        for name, data in self.old.files.items():
            moved = self.moves.get(name)
            is_kept = found.files.get(name) == data or (moved is not None and found.files.get(moved) == data)
            assert is_kept or name in self.for_good, f"lost: {name}"
        in_use = {entry["sessionId"] for entry in found.entries.values()}
        taken = [name for name in self.old.files if session_of(name) in in_use and name not in found.files]
        assert not taken, f"took transcripts away that are in use: {taken}"
        more = found.files.keys() - self.old.files.keys() - {*self.moves.values()}
        assert not more, f"made files: {sorted(more)}"
        if self.task.deed == "save":
            newest = max(self.old.backups)
            assert len(found.backups) >= _BACKUPS, f"has only {len(found.backups)} backups"
            assert found.backups.get(newest) == self.old.backups[newest], "has lost the newest of the old backups"
            assert {*found.backups.values()} <= {*self.old.backups.values(), self._store}, "has a backup of nothing that there was"

    def _without_spared(self, found: Holding) -> dict[str, bytes]:
        """Return the files without those that may be there or not."""
        return {name: data for name, data in found.files.items() if name in self.new.files or not self._may_stay(name)}

    def _may_stay(self, name: str) -> bool:
        """Say whether a file may be there although it was to go for good.

        What was to make room need not go where there is room enough by now, and what a save was to clear away, the next one does.
        """
        kept = {"maintain, little room": ("s-young.", "s-nobody."), "save": ("s-past.",)}.get(self.task.deed, ())
        return name.startswith(kept) and name in self.old.files

    def undone(self, state: Path, *, is_written: bool = False) -> None:
        """Undo every run that there is after an accident, twice, and look whether all is as it was before the task.

        Args:
            state: The state folder.
            is_written: Whether somebody writes in between: a session is born, and one that was removed is used again; both stay.

        Raises:
            AssertionError: Something has not come back, but for files that were removed for good by then; or what was written is gone.
        """
        if self.task.deed == "undo":
            self.finished(state, is_written=is_written)
        else:
            self._undo(state, is_written=is_written)

    def _undo(self, state: Path, *, is_written: bool) -> None:
        if self.task.deed == "undo":
            return
        found = holding(state, self.task)
        runs = maintenance_runs(state)
        wanted = self.old.entries | {key: entry for key, entry in found.entries.items() if key == SAVED}
        if is_written:
            wanted |= write(state, self.task)
        files = {name: data for name, data in self.old.files.items() if name in found.files or name not in self.for_good}
        if is_written:  # what belongs to an entry in whose place there is a newer one stays in the archive, as that does
            again = {one.name: self._shown(one.renamed_to) for run in runs for one in run.files() if one.key == self.task.again}
            files = {again[name] if again.get(name) in found.files else name: data for name, data in files.items()}
        for times in range(2):
            for run in reversed(runs):
                report = undo(run)
                assert not times or not (report.restored or report.renamed or report.unmarked), f"undone twice, it does more: {report}"
                assert not report.unstorable, f"does not bring back {report.unstorable}"
        after = holding(state, self.task)
        assert after.entries == wanted, f"undone, it holds something else: {difference(wanted, after.entries)}"
        assert after.files == files, f"undone, there are other files: {difference(files, after.files)}"
        assert after.rest == self.old.rest, f"undone, something else has changed: {difference(self.old.rest, after.rest)}"

    def finished(self, state: Path, *, is_written: bool = False, may_stay: str = "") -> None:
        """Do the task again after an accident, look whether everything is in its place then, and undo it; see `Scene.finished`."""
        wanted = dict(self.new.entries)
        may_stay = or_stale_lock(may_stay, is_all_ended=all(run.has_ended() for run in maintenance_runs(state)))
        if is_written:
            with open_for_writing(state) as store:
                store.put(LATER, NEWER)
            wanted[LATER] = NEWER
        self._run(state)
        if self.task.deed == "save":  # nobody is asked for anything with the next save that changes nothing: it is done by hand
            (location,) = locate(state)
            finish_stopped(location, root=state)
        found = holding(state, self.task)
        refuse_difference(wanted, found.entries)
        files = self._without_spared(found)
        assert files == self.new.files, f"after the next run there are other files: {difference(self.new.files, files)}"
        assert found.rest == self.old.rest, f"after the next run something else has changed: {difference(self.old.rest, found.rest)}"
        wrong = self._left_over(state, may_stay=may_stay)
        assert not wrong, wrong
        if not is_written:
            self._undo(state, is_written=False)

    def _left_over(self, state: Path, *, may_stay: str = "") -> str:
        """Say what a task that is done has left over, or ""."""
        unfinished = [run.path.name for run in maintenance_runs(state) if not run.has_ended()]
        left = {name for name in names(state) - self._names if not self._may_stay(Path(name).name)}
        if self._is_later and any(map(_OF_LOCK.search, left)):  # goes with the next save that changes something
            with open_for_writing(state) as store:
                store.put(LATER, NEWER)
                store.delete(LATER)
            left &= names(state)
        return f"a run is still unfinished: {unfinished}" if unfinished else left_over(left, may_stay)
