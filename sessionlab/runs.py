"""The folder that a run leaves, be it a migration, an export or a maintenance: what was planned, what was done and when, what came of it.

`plan.json` is written first, and says what the run was for; `events.jsonl` gets a line, forced to disk, before each act; `report.json` is
written last. What else there is, the kinds of runs say.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, Self, TypeVar

import msgspec

from sessionlab.errors import CorruptStoreError, NoStoreError, UnreadableError
from sessionlab.storage.files import PRIVATE_FILE, fsync_folder, refused, remove_leftovers, replace_file

RUNS: Final = Path(".sessionlab") / "runs"
PLAN, EVENTS, MANIFEST, REPORT, FILES = "plan.json", "events.jsonl", "manifest.jsonl", "report.json", "files.jsonl"
_Record = TypeVar("_Record")

ENDS: Final = frozenset({"done", "abandoned"})
"""The acts after which nothing more comes of a run, but for the report of one that is done."""


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One act, noted before it is done. `seconds` are since the run began."""

    act: str
    seconds: float
    detail: str = ""


class _Purpose(msgspec.Struct, frozen=True):
    operation: str


class Run:
    """The folder of one run. Writing raises `UnwritableError` when the system refuses."""

    def __init__(self, path: Path) -> None:
        """Name a folder; see `open`."""
        self.path = path

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open the folder of a run that was made before.

        Raises:
            NoStoreError: It is none.
        """
        if not (path / PLAN).is_file():
            raise NoStoreError(path, f"is no run folder: it has no {PLAN}")
        return cls(path)

    def operation(self) -> str:
        """Return what the run was for.

        Raises:
            CorruptStoreError: The plan cannot be read.
        """
        return self.decoded(PLAN, _Purpose).operation

    def note(self, act: str, *, seconds: float, detail: str = "") -> None:
        """Write down what is done next, so that it survives a loss of power."""
        line = msgspec.json.encode(Event(act=act, seconds=round(seconds, 3), detail=detail)) + b"\n"
        path = self.path / EVENTS
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, PRIVATE_FILE)
            try:
                written = os.write(descriptor, line)
                if written < len(line):  # a disk that is nearly full; half a line would spoil the one after it
                    os.ftruncate(descriptor, os.fstat(descriptor).st_size - written)
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise refused(path, error) from error

    def cut_torn_event(self) -> None:
        """Remove the unfinished last line that a loss of power may have left, before another one is written after it."""
        path = self.path / EVENTS
        data = self.read(EVENTS) if path.exists() else b""
        if not data.endswith(b"\n") and data:
            os.truncate(path, data.rfind(b"\n") + 1)

    def remove_leftovers(self) -> None:
        """Remove the temporary files that killed processes left here. Only for the holder of the store's lock."""
        remove_leftovers(self.path / PLAN, of=(PLAN, MANIFEST, FILES, REPORT))

    def write_report(self, data: bytes) -> None:
        """Write the report."""
        self.write(REPORT, data)

    def report(self) -> bytes | None:
        """Return the report as it was written; `None` before the run's end."""
        return self.read(REPORT) if (self.path / REPORT).exists() else None

    def events(self) -> tuple[Event, ...]:
        """Return what was done, in order; an unfinished last line, which a crash may leave, is none."""
        return tuple(readable(self.each(EVENTS, Event)))

    def has_ended(self) -> bool:
        """Say whether nothing more has to be done for this run: it was abandoned, or is done and has its report.

        Raises:
            CorruptStoreError: Its events cannot be read.
        """
        events = self.events()
        last = events[-1].act if events else ""
        return last in ENDS and (last != "done" or (self.path / REPORT).exists())

    def write(self, name: str, data: bytes) -> None:
        """Write a file of the folder, whole or not at all, and force it to disk."""
        replace_file(self.path / name, [data])
        fsync_folder(self.path, written=self.path / name)

    def read(self, name: str) -> bytes:
        """Return a file of the folder.

        Raises:
            CorruptStoreError: It cannot be read.
        """
        try:
            return (self.path / name).read_bytes()
        except OSError as error:
            raise CorruptStoreError(self.path / name, f"cannot be read ({error.strerror})") from error

    def lines(self, name: str, kind: type[_Record]) -> Iterator[_Record]:
        """Yield the records of a file that has one in each line.

        Raises:
            CorruptStoreError: It cannot be read, or a line is none.
        """
        yield from readable(self._each(name, kind))

    def each(self, name: str, kind: type[_Record]) -> Iterator[_Record | CorruptStoreError]:
        """Do as `lines`, but yield what is wrong with a line in its place, and go on. A file that is not there has no lines.

        Raises:
            CorruptStoreError: The system does not let us read it.
        """
        return self._each(name, kind) if (self.path / name).exists() else iter(())

    def _each(self, name: str, kind: type[_Record]) -> Iterator[_Record | CorruptStoreError]:
        *lines, rest = self.read(name).split(b"\n")
        if rest and name != EVENTS:
            yield CorruptStoreError(self.path / name, "ends in the middle of a line", advice="the run was stopped while it was prepared")
        for line in lines:
            try:
                yield self._decoded(name, line, kind)
            except CorruptStoreError as error:
                yield error

    def decoded(self, name: str, kind: type[_Record]) -> _Record:
        """Return the one record that a file is.

        Raises:
            CorruptStoreError: It cannot be read, or is none.
        """
        return self._decoded(name, self.read(name), kind)

    def _decoded(self, name: str, data: bytes, kind: type[_Record]) -> _Record:
        try:
            return msgspec.json.decode(data, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise CorruptStoreError(self.path / name, f"is not what a run writes ({error})") from error


def readable(found: Iterable[_Record | CorruptStoreError]) -> Iterator[_Record]:
    """Yield records up to what is none, and raise that."""
    for one in found:
        if isinstance(one, CorruptStoreError):
            raise one
        yield one


def run_name(now_ms: int, operation: str) -> str:
    """Return a new name of a run: UTC time, operation, and something that no other run has."""
    import datetime as dt
    import secrets

    moment = dt.datetime.fromtimestamp(now_ms / 1000, tz=dt.UTC)
    return f"{moment:%Y-%m-%dT%H-%M-%S}.{now_ms % 1000:03d}Z-{operation}-{secrets.token_hex(4)}"


def run_folders(root: Path) -> list[Path]:
    """Return the folders of the runs below a state folder or a sessions folder, the oldest first.

    Raises:
        UnreadableError: The system does not let us look.
    """
    folder = root / RUNS
    try:
        names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
        return [folder / name for name in names if (folder / name / PLAN).is_file()]
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
                Run(unborn).remove_leftovers()
                unborn.rmdir()
