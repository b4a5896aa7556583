"""What a state folder holds before and after a maintenance, looked at without the code that is put to the torture, and without a change."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sessionlab.entry import Entry
from sessionlab.errors import SessionLabError
from sessionlab.layout import parse_transcript_name
from sessionlab.maintenance.run_folder import maintenance_runs
from sessionlab.stores import open_for_writing, open_store
from tests.torture.command_line import refuse_findings
from tests.torture.tended import LATER, NEWER, PAST, RECENT, Task, stamp_days_ago
from tests.torture.trips import place

_RUN: Final = re.compile(r"\d{4}-\d\d-\d\dT[\d.-]+Z-maintain-[0-9a-f]{8}")
_BACKUP: Final = re.compile(r"sessions\.json\.bak\.\d+")
_ENTRY: Final = re.compile(r"session-[\w-]*\.json\Z")
_CHANCE: Final = re.compile(r"\d+\.[0-9a-f-]{36}|sessions-[0-9a-z_]{8}")
_STAMP: Final = re.compile(r"(\.jsonl\.deleted\.)(?!{})[-0-9T.]+Z".format("|".join(map(stamp_days_ago, (PAST, RECENT)))))
"""Of what was archived just now; a save goes by the clock."""

_PASSING: Final = re.compile(r"\.(tmp|lock)$|-(wal|shm)$")
_MARKS: Final = ("archivedAt", "archiveReason")


@dataclass(frozen=True)
class Holding:
    """What there is: entries in the store, plain files beside it and their bytes, backups of it, and all the rest of the state folder."""

    entries: dict[str, Entry]
    files: dict[str, bytes]
    backups: dict[str, bytes]
    rest: dict[str, tuple[int, bytes]]


def holding(state: Path, task: Task) -> Holding:
    """Look at what there is, and change nothing.

    Raises:
        AssertionError: The store cannot be read, or has errors.
    """
    store_path = place(state, task.kind)
    folder = store_path.parent
    try:
        with open_store(store_path) as store:
            refuse_findings(store)
            entries = dict(store.items())
    except SessionLabError as error:
        raise AssertionError(f"the store cannot be read: {type(error).__name__}: {error}") from error
    files: dict[str, bytes] = {}
    backups: dict[str, bytes] = {}
    rest: dict[str, tuple[int, bytes]] = {}
    for path in state.rglob("*"):
        name = str(path.relative_to(state))
        is_own = path == store_path or store_path in path.parents or name.split("/", 1)[0] == ".sessionlab"
        if is_own or (path.parent == folder and path.is_file() and not path.is_symlink() and _PASSING.search(name)):
            continue
        if path.is_symlink():
            rest[name] = (0, bytes(path.readlink()))
        elif path.is_dir():
            rest[name] = (path.stat().st_mode, b"")
        elif path.parent != folder:
            rest[name] = (path.stat().st_mode, path.read_bytes())
        elif task.deed == "save" and _BACKUP.fullmatch(path.name):
            backups[path.name] = path.read_bytes()
        else:
            files[stamped(path.name) if task.deed == "save" else path.name] = path.read_bytes()
    return Holding(entries, files, backups, rest)


def write(state: Path, task: Task) -> dict[str, Entry]:
    """Let a session be born, and one that was removed, or is to be, be used anew; return both."""
    with open_for_writing(state) as store:
        store.put(LATER, NEWER)
        store.put(task.again, NEWER)
    return {LATER: NEWER, task.again: NEWER}


def names(state: Path) -> set[str]:
    """Return the names of everything in a state folder, as they are when nothing is told of times and runs; of each run once.

    Entries have none, in whatever kind of store.
    """
    found = (str(path.relative_to(state)) for path in state.rglob("*") if not _ENTRY.match(path.name))
    return {_RUN.sub("RUN", _BACKUP.sub("sessions.json.bak.*", stamped(name))) for name in found}


def appearance(state: Path) -> object:
    """Return what tells one leaving of an accident from another: which files there are, by whatever process, and what its runs had done."""
    acts = tuple(event.act for run in maintenance_runs(state) for event in run.events())
    return acts, frozenset(_CHANCE.sub("*", name) for name in names(state))


def stamped(name: str) -> str:
    """Return a file's name with what it tells of the clock left out."""
    return _STAMP.sub(r"\1*", name)


def session_of(name: str) -> str:
    """Return whose live transcript a file is, if it is one."""
    parsed = parse_transcript_name(name)
    return parsed.session_id if parsed is not None and parsed.source == "live" else ""


def is_there(entry: Entry, found: Entry | None) -> bool:
    """Say whether an entry is in the store as it was, but that it may be marked as archived."""
    return found is not None and (found == entry or {key: value for key, value in found.items() if key not in _MARKS} == entry)
