"""The folder of a maintenance, which is its archive as well: `removed.jsonl` holds the entries that were removed, whole.

`plan.json` says by what rules, `manifest.jsonl` what was decided on every entry that does not simply stay, `files.jsonl` on files beside
the store. Entries hold secrets: the folder is as private as the store (0700, its files 0600), and no other file of it has their values.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Final, Self

import msgspec

from sessionlab import codec
from sessionlab.entry import Entry
from sessionlab.errors import CorruptStoreError
from sessionlab.maintenance.plan import MaintenancePlan
from sessionlab.maintenance.run_place import folder_id
from sessionlab.maintenance.run_records import OPERATION, EntryRecord, FileRecord, Head, entry_records, file_records, is_a_transcripts
from sessionlab.runs import EVENTS, FILES, MANIFEST, PLAN, REPORT, RUNS, Event, Run, readable, remove_unborn, run_folders, run_name
from sessionlab.storage.files import PRIVATE_FILE, fsync_folder, make_folder, refused
from sessionlab.stores.location import StoreLocation

REMOVED: Final = "removed.jsonl"


class _Removed(msgspec.Struct, frozen=True):
    key: str
    entry: msgspec.Raw


ENDS: Final = frozenset({"done", "finished", "undone"})
"""The acts after which nothing more has to be done for a run: it did all itself, a later one did the rest, or it was undone."""

_ENCODER: Final = msgspec.json.Encoder()
_REMOVED: Final = msgspec.json.Decoder(_Removed)


class MaintenanceRun(Run):
    """The folder of one maintenance."""

    @classmethod
    def create(cls, plan: MaintenancePlan, location: StoreLocation, *, root: Path, active_key: str | None) -> Self:
        """Make the folder of a new run, with what is planned. Only for the holder of the store's lock: see `remove_if_idle`."""
        remove_unborn(root / RUNS)
        run_id = run_name(plan.now_ms, OPERATION)
        run = cls(root / RUNS / run_id)
        make_folder(run.path)
        head = Head(
            run_id=run_id,
            agent_id=location.agent_id,
            created_ms=plan.now_ms,
            root=str(root.absolute()),
            kind=location.kind,
            store_path=str(location.path),
            sessions_dir=str(location.sessions_dir),
            policy=plan.policy,
            active_key=active_key or "",
            before=plan.before,
            after=plan.after,
            root_id=folder_id(root),
        )
        run.write(PLAN, msgspec.json.format(msgspec.json.encode(head), indent=2))
        run.write(MANIFEST, _lines(entry_records(plan)))
        run.write(FILES, _lines(file_records(plan)))
        return run

    def head(self) -> Head:
        """Return what the run was for, with the paths that they are where its folder lies now.

        Raises:
            CorruptStoreError: That cannot be read.
        """
        made, root = self.made(), self.root
        return made.at(str(root)) if root is not None else made

    def made(self) -> Head:
        """Return what the run was for, with the paths as they were when it was made. Raises `CorruptStoreError` as `head` does."""
        return self.decoded(PLAN, Head)

    @property
    def root(self) -> Path | None:
        """The folder that its own lies in, below `.sessionlab/runs`; `None` for one that was copied elsewhere alone."""
        here = self.path.absolute()
        return here.parents[2] if here.parent.parts[-2:] == RUNS.parts else None

    def entries(self) -> tuple[EntryRecord, ...]:
        """Return what was decided on entries that did not simply stay, the latest update first.

        Whoever was killed before that was written down has done nothing.
        """
        return tuple(readable(self.each(MANIFEST, EntryRecord)))

    def files(self) -> tuple[FileRecord, ...]:
        """Return what was decided on files, by name.

        Raises:
            CorruptStoreError: That cannot be read, or a name leads elsewhere.
        """
        return tuple(readable(self.each_file()))

    def each_file(self, events: Iterable[Event] = ()) -> Iterator[FileRecord | CorruptStoreError]:
        """Do as `files`, but yield what is wrong where it is, and go on; at the end, that there are fewer than these events tell of."""
        number = 0
        for one in self.each(FILES, FileRecord):
            number += isinstance(one, FileRecord)
            if isinstance(one, FileRecord) and not is_a_transcripts(one):
                yield CorruptStoreError(self.path / FILES, f"names what is no file beside the store: {one.name[:80]!r}")
            else:
                yield one
        promised = max(self._numbers(events, "files"), default=0)  # of those that were looked after at once
        if number < promised:
            yield CorruptStoreError(self.path / FILES, f"holds {number} of the {promised} files that were looked after")

    def has_ended(self) -> bool:
        """Say whether nothing more has to be done for this run: it is done, finished by a later one, or undone.

        Raises:
            CorruptStoreError: Its events cannot be read.
        """
        events = self.events()
        return bool(events) and events[-1].act in ENDS

    def end(self, act: str, *, detail: str = "") -> None:
        """Note the end of a run that was stopped; see `ENDS`."""
        self.cut_torn_event()
        self.note(act, seconds=0.0, detail=detail)

    def _numbers(self, events: Iterable[Event], act: str) -> list[int]:
        """Return how many things each of these acts was about."""
        words = [event.detail.partition(" ")[0] for event in events if event.act == act]
        if not all(word.isdecimal() for word in words):
            raise CorruptStoreError(self.path / EVENTS, f"does not say how many it was that {act!r} was about")
        return [int(word) for word in words]

    def add(self, plan: MaintenancePlan) -> None:
        """Write down a further plan of a run that goes on, as that of a store which is maintained with every save."""
        for name, records in ((MANIFEST, entry_records(plan)), (FILES, file_records(plan))):
            self.write(name, self.read(name) + _lines(records))

    def discard(self) -> None:
        """Remove the folder of a run that failed, or was killed, before anything was removed. Only for the holder of the store's lock."""
        with contextlib.suppress(OSError):
            (self.path / REMOVED).unlink(missing_ok=True)
        self.remove_if_idle()

    def remove_if_idle(self) -> None:
        """Remove the folder of a run that came to nothing: it has not even begun its archive.

        Only for the holder of the store's lock. A run is made under it, so that one which is idle then was killed.
        """
        if (self.path / REMOVED).exists():
            return
        self.remove_leftovers()
        with contextlib.suppress(OSError):
            self.remove()

    def remove(self) -> None:
        """Remove the folder with all that a run writes. Raises `OSError` where there is more in it, or the system refuses."""
        for name in (PLAN, MANIFEST, FILES, EVENTS, REMOVED, REPORT):  # without its plan it is no run any more, wherever this is stopped
            (self.path / name).unlink(missing_ok=True)
        self.path.rmdir()

    def archive(self, removed: Iterator[tuple[str, Entry]]) -> int:
        """Write down entries that are about to be removed, force them to disk, and return how many they are."""
        path, number = self.path / REMOVED, 0
        try:
            with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, PRIVATE_FILE), "r+b") as file:
                file.truncate(_end_of_lines(file))  # what a write that failed has left is of entries that were not removed
                file.seek(0, os.SEEK_END)
                for key, entry in removed:
                    file.write(_ENCODER.encode({"key": key, "entry": entry}) + b"\n")
                    number += 1
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise refused(path, error) from error
        fsync_folder(self.path, written=path)
        return number

    def removed(self) -> Iterator[tuple[str, Entry]]:
        """Yield (key, entry) of what was removed. An unfinished last line is none: whoever was killed then had not removed anything yet.

        Raises:
            CorruptStoreError: It cannot be read.
        """
        return readable(self.examined(self.events()))

    def examined(self, events: Iterable[Event]) -> Iterator[tuple[str, Entry] | CorruptStoreError]:
        """Do as `removed`, but yield what is wrong with the archive where it is, and go on; at the end, that entries are missing.

        Args:
            events: What was done, as far as it can be read.

        Raises:
            CorruptStoreError: The system does not let us read it.
        """
        path, number = self.path / REMOVED, 0
        try:
            with path.open("rb") as file:
                for line in file:
                    if line.endswith(b"\n"):
                        number += 1
                        yield self._put_by(line, number)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise CorruptStoreError(path, f"cannot be read ({error.strerror})") from error
        promised = sum(self._numbers(events, "remove"))
        if number < promised:
            yield CorruptStoreError(path, f"holds {number} of the {promised} entries that were removed")

    def _put_by(self, line: bytes, number: int) -> tuple[str, Entry] | CorruptStoreError:
        path = self.path / REMOVED
        try:
            one = _REMOVED.decode(line)
            return one.key, codec.decode_entry(bytes(one.entry), path=path, key=one.key, line=number)
        except CorruptStoreError as error:
            return error
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return CorruptStoreError(path, f"is not what a run writes in line {number} ({error})")


def maintenance_runs(root: Path) -> list[MaintenanceRun]:
    """Return the maintenances below a state folder or a sessions folder, the oldest first; known by their names, so that they are not read.

    Raises:
        UnreadableError: The system does not let us look.
    """
    return [MaintenanceRun(path) for path in run_folders(root) if f"-{OPERATION}-" in path.name]


def _end_of_lines(file: BinaryIO) -> int:
    """Return where the last whole line of a file ends."""
    end = file.seek(0, os.SEEK_END)
    while end > 0:
        size = min(end, 1 << 16)
        file.seek(end - size)
        place = file.read(size).rfind(b"\n")
        if place >= 0:
            return end - size + place + 1
        end -= size
    return 0


def _lines(records: Iterable[msgspec.Struct]) -> bytes:
    return b"".join(_ENCODER.encode(one) + b"\n" for one in records)
