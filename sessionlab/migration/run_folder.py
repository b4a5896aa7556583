"""The folder that a run leaves: what was planned, what was done and when, what became of every session, and what came of it.

`plan.json` is written first; `events.jsonl` gets a line, forced to disk, before each act; `manifest.jsonl` has a line for each session;
`report.json` is written last. An export, which makes more than a store, has `files.jsonl` besides. Anyone can compute the report again
from plan, events and manifest.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from sessionlab.errors import CorruptStoreError, NoStoreError, UnreadableError
from sessionlab.migration.records import EntryPlan, FileRecord, Plan
from sessionlab.storage.files import PRIVATE_FILE, fsync_folder, make_folder, refused, remove_leftovers, replace_file

RUNS: Final = Path(".sessionlab") / "runs"
_Line = TypeVar("_Line")
PLAN, EVENTS, MANIFEST, REPORT, FILES = "plan.json", "events.jsonl", "manifest.jsonl", "report.json", "files.jsonl"

ENDS: Final = frozenset({"done", "abandoned"})
"""The acts after which nothing more comes of a run, but for the report of one that is done."""


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One act, noted before it is done. `seconds` are since the run began."""

    act: str
    seconds: float
    detail: str = ""


class RunFolder:
    """The folder of one run. Writing raises `UnwritableError` when the system refuses."""

    def __init__(self, path: Path) -> None:
        """Name a folder; see `create` and `open`."""
        self.path = path

    @classmethod
    def create(cls, plan: Plan, *, root: Path) -> RunFolder:
        """Make the folder of a new run below a state folder or a sessions folder, with its plan and manifest."""
        run = cls(root / RUNS / plan.run_id)
        make_folder(run.path)
        run.write_plan(plan)
        return run

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """Open the folder of a run that was made before.

        Raises:
            NoStoreError: It is none.
        """
        if not (path / PLAN).is_file():
            raise NoStoreError(path, f"is no run folder: it has no {PLAN}")
        return cls(path)

    def write_plan(self, plan: Plan) -> None:
        """Write the plan. The sessions have a file of their own: a plan of ten thousand is read by people, too."""
        self._write(PLAN, msgspec.json.format(msgspec.json.encode(msgspec.structs.replace(plan, entries=())), indent=2))
        self._write(MANIFEST, b"".join(msgspec.json.encode(one) + b"\n" for one in plan.entries))

    def write_files(self, files: Iterable[FileRecord]) -> None:
        """Write which files were made."""
        self._write(FILES, b"".join(msgspec.json.encode(one) + b"\n" for one in files))

    def note(self, act: str, *, seconds: float, detail: str = "") -> None:
        """Write down what is done next, so that it survives a loss of power."""
        line = msgspec.json.encode(Event(act=act, seconds=round(seconds, 3), detail=detail)) + b"\n"
        path = self.path / EVENTS
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, PRIVATE_FILE)
            try:
                os.write(descriptor, line)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise refused(path, error) from error

    def cut_torn_event(self) -> None:
        """Remove the unfinished last line that a loss of power may have left, before another one is written after it."""
        path = self.path / EVENTS
        data = self._read(EVENTS) if path.exists() else b""
        if not data.endswith(b"\n") and data:
            os.truncate(path, data.rfind(b"\n") + 1)

    def remove_leftovers(self) -> None:
        """Remove the temporary files that killed processes left here. Only for the holder of the store's lock."""
        remove_leftovers(self.path / PLAN, of=(PLAN, MANIFEST, FILES, REPORT))

    def write_report(self, data: bytes) -> None:
        """Write the report."""
        self._write(REPORT, data)

    def plan(self) -> Plan:
        """Return the plan, its entries included.

        Raises:
            CorruptStoreError: It, or the manifest, cannot be read.
        """
        return msgspec.structs.replace(self.head(), entries=tuple(self._lines(MANIFEST, EntryPlan)))

    def head(self) -> Plan:
        """Return the plan without its entries.

        Raises:
            CorruptStoreError: It cannot be read.
        """
        return self._decoded(PLAN, self._read(PLAN), Plan)

    def files(self) -> tuple[FileRecord, ...]:
        """Return which files were made; none, unless it was an export.

        Raises:
            CorruptStoreError: That cannot be read.
        """
        return tuple(self._lines(FILES, FileRecord)) if (self.path / FILES).exists() else ()

    def events(self) -> tuple[Event, ...]:
        """Return what was done, in order; an unfinished last line, which a crash may leave, is none."""
        return tuple(self._lines(EVENTS, Event)) if (self.path / EVENTS).exists() else ()

    def has_ended(self) -> bool:
        """Say whether nothing more has to be done for this run: it was abandoned, or is done and has its report.

        Raises:
            CorruptStoreError: Its events cannot be read.
        """
        events = self.events()
        last = events[-1].act if events else ""
        return last in ENDS and (last != "done" or (self.path / REPORT).exists())

    def report(self) -> bytes | None:
        """Return the report as it was written; `None` before the run's end."""
        return self._read(REPORT) if (self.path / REPORT).exists() else None

    def _write(self, name: str, data: bytes) -> None:
        replace_file(self.path / name, [data])
        fsync_folder(self.path, written=self.path / name)

    def _read(self, name: str) -> bytes:
        try:
            return (self.path / name).read_bytes()
        except OSError as error:
            raise CorruptStoreError(self.path / name, f"cannot be read ({error.strerror})") from error

    def _lines(self, name: str, kind: type[_Line]) -> Iterator[_Line]:
        *lines, rest = self._read(name).split(b"\n")
        if rest and name != EVENTS:
            raise CorruptStoreError(self.path / name, "ends in the middle of a line", advice="the run was stopped while it was prepared")
        for line in lines:
            yield self._decoded(name, line, kind)

    def _decoded(self, name: str, data: bytes, kind: type[_Line]) -> _Line:
        try:
            return msgspec.json.decode(data, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise CorruptStoreError(self.path / name, f"is not what a run writes ({error})") from error


def runs(root: Path) -> Iterable[RunFolder]:
    """Return the runs below a state folder or a sessions folder, the oldest first.

    Raises:
        UnreadableError: The system does not let us look.
    """
    folder = root / RUNS
    try:
        names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
        return [RunFolder(folder / name) for name in names if (folder / name / PLAN).is_file()]
    except OSError as error:
        raise UnreadableError(folder, f"cannot be read ({error.strerror})") from error


def remove_unborn(folder: Path) -> None:
    """Remove what processes left that were killed while they made the folder of a run: it has no plan, and its run did nothing.

    An empty one stays: it may be somebody's who is at work, for another store.

    Args:
        folder: Where the runs lie.
    """
    with contextlib.suppress(OSError):
        for unborn in [path for path in folder.iterdir() if path.is_dir() and not (path / PLAN).exists()]:
            if any(unborn.iterdir()):
                RunFolder(unborn).remove_leftovers()
                unborn.rmdir()
