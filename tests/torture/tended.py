"""What is maintained when maintenance is put to the torture: by which command, on which kind of store, and what lies there.

Every reason to remove something is met, and every reason to leave it: entries that are stale, too many, without a transcript or too much
for the disk; a transcript that two entries share, one of a topic, an archive that is too old and one that is not, five backups.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from sessionlab.entry import Entry
from sessionlab.maintenance.run_folder import maintenance_runs
from sessionlab.maintenance.run_records import archive_stamp
from sessionlab.runs import RUNS
from sessionlab.settings import StoreType
from sessionlab.stores import open_for_writing
from sessionlab.units import MS_PER_DAY
from tests.torture.command_line import tried
from tests.torture.trips import place

NOW_MS: Final = 1_795_000_000_000
Deed = Literal["maintain", "maintain, little room", "mark as archived", "reap", "undo", "save"]

BORN: Final = "agent:main:born:between"
LATER: Final = "agent:main:born:later"
"""Sessions that are written between a maintenance and its undoing, and after the accident."""

USED_AGAIN: Final = "agent:main:old:1"
"""A session that is removed, and written anew after that."""

NEWER: Final[Entry] = {"sessionId": "s-newer", "updatedAt": NOW_MS, "label": "newer than what was removed"}
REAPED_AGAIN: Final = "agent:main:cron:job:run:11111111-1111-4111-8111-111111111111"
_ALWAYS: Final = 4_000_000_000_000
"""Later than every clock: a session of that time is never stale."""


@dataclass(frozen=True)
class Task:
    """One maintenance of one kind of store: what is done, and whether it was undone before."""

    kind: StoreType
    deed: Deed

    def __str__(self) -> str:
        return f"{self.deed}, {self.kind}"

    @property
    def arguments(self) -> list[str]:
        """The command, as a person gives it; STATE stands for the state folder. None for a save, which is a program's."""
        common = ["STATE", "--now-ms", str(NOW_MS)]
        kept = ["--archive-retention", "50d"]
        match self.deed:
            case "maintain" | "undo":
                cap, disk = ["--max-entries", "4", "--fix-missing"], ["--max-disk", "300kb", "--high-water", "280kb"]
                return ["maintain", *common, "--enforce", "--profile", "2026.4", "--prune-after", "30d", *cap, *disk, *kept]
            case "maintain, little room":
                cap, disk = ["--max-entries", "5"], ["--max-disk", "150kb", "--high-water", "140kb"]
                return ["maintain", *common, "--enforce", "--profile", "2026.4", "--prune-after", "30d", *cap, *disk, *kept]
            case "mark as archived":
                return ["maintain", *common, "--enforce", "--profile", "2026.9", "--prune-after", "30d", "--max-disk", "off"]
            case "reap":
                return ["reap", *common, "--force", "--retention", "24h"]
            case "save":
                return []

    @property
    def again(self) -> str:
        """A key that is removed, and may be used again."""
        return REAPED_AGAIN if self.deed == "reap" else USED_AGAIN

    @property
    def store_name(self) -> str:
        """The name of the store in the sessions folder."""
        return place(Path(), self.kind).name


KINDS: Final[tuple[StoreType, ...]] = ("json", "sqlite", "directory")
DEEDS: Final[tuple[Deed, ...]] = ("maintain", "maintain, little room", "mark as archived", "reap", "undo")
TASKS: Final = (*(Task(kind, deed) for deed in DEEDS for kind in KINDS), Task("json", "save"))


def make(task: Task, state: Path) -> None:
    """Make the state folder that a task begins in."""
    (state / "agents").mkdir(parents=True)
    with open_for_writing(state, store_type=task.kind) as store:
        store.save(_entries(task.deed))
    folder = place(state, task.kind).parent
    for number, (name, data) in enumerate(_files(task).items()):
        path = folder / name
        path.write_bytes(data)
        os.utime(path, (number, number))
    # What nobody may touch: beside the store, below it, behind a link, and in the agent's own folder.
    (folder / "notes.md").write_text("mine\n")
    (folder / "kept").mkdir()
    (folder / "kept" / "s-old1.jsonl").write_text("of somebody else\n")
    (state / "elsewhere.jsonl").write_text("linked to\n")
    (folder / "s-cap-topic-2.jsonl").symlink_to("../../../elsewhere.jsonl")
    (folder.parent / "agent").mkdir()
    (folder.parent / "agent" / "auth.json").write_text('{"key": "secret"}\n')
    (state / "openclaw.json").write_text(json.dumps({"session": {"maintenance": {"mode": "warn", "maxEntries": 400}}}))


def make_undoable(task: Task, state: Path, program: Path) -> None:
    """Maintain that, let a session be born, and let one that was removed be used again."""
    outcome = tried(program, state)
    assert outcome.code == 0, outcome.errors
    with open_for_writing(state) as store:
        store.put(BORN, NEWER | {"sessionId": "s-born"})
        store.put(task.again, NEWER)


def undoing(state: Path) -> list[str]:
    """Return the command that undoes the maintenance of such a state folder."""
    (run,) = maintenance_runs(state)
    return ["undo", f"STATE/{RUNS}/{run.path.name}"]


SAVED: Final = "agent:main:saved"
SAVED_ENTRY: Final[Entry] = {"sessionId": "s-saved", "updatedAt": _ALWAYS, "text": "x" * 2_000}

_SAVING: Final = """
import time
from pathlib import Path
from sessionlab.errors import SessionLabError
from sessionlab.maintenance.on_save import maintain_on_save
from sessionlab.maintenance.policy import Policy
from sessionlab.settings import MaintenanceSettings
from sessionlab.stores import locate
from sessionlab.stores.json_store import JSONStore
def save():
    (location,) = locate(Path(state))
    limits = MaintenanceSettings(mode="enforce", prune_after_ms=30 * 86_400_000, max_entries=5, rotate_bytes=1)
    with JSONStore(location.path) as store:
        clock = lambda: time.time_ns() // 1_000_000
        maintain_on_save(store, location, Policy(limits=limits, profile="2026.3"), clock=clock, root=Path(state))
        store.put({key!r}, {entry!r})
def main():
    try:
        save()
    except SessionLabError as error:
        print(f"sessionlab: {{error}}", file=sys.stderr)
        sys.exit(error.exit_code)
"""
SAVING: Final = _SAVING.format(key=SAVED, entry=SAVED_ENTRY)
"""Python of a program that saves a session in a store which is maintained with every save; it defines `main`."""


def _entries(deed: Deed) -> dict[str, Entry]:
    long = 20_000 if deed == "maintain, little room" else 0

    def entry(days: float, session_id: str, **more: Any) -> Entry:
        updated_ms = NOW_MS - round(days * MS_PER_DAY)
        if deed == "save":
            updated_ms = _ALWAYS - round(days) if days < 30 else 1_700_000_000_000 - round(days)
        return {"sessionId": session_id, "updatedAt": updated_ms, "text": "é" * long, "tag": {"unknown": [1, None, 0.5]}, **more}

    if deed == "reap":
        return {
            "agent:main:main": entry(0, "s-main"),
            "agent:main:cron:job": entry(9, "s-job"),
            REAPED_AGAIN: entry(8, "s-old1"),
            "agent:main:cron:job:run:22222222-2222-4222-8222-222222222222": entry(2, "s-shared"),
            "agent:main:cron:job:run:33333333-3333-4333-8333-333333333333": entry(1.5, "s-cap"),
            "agent:main:cron:job:run:44444444-4444-4444-8444-444444444444": entry(0.5, "s-one"),
            "agent:main:heir": entry(2, "s-shared"),
        }
    return {
        "agent:main:main": entry(0, "s-main"),
        "agent:main:telegram:direct:1": entry(1, "s-one", provider="telegram", room="lobby"),
        '../../etc/passwd "\\ café': entry(2, "s-hostile", sessionFile="/home/of/another/machine/s-hostile.jsonl"),
        "agent:main:heir": entry(3, "s-shared"),
        "agent:main:too:many": entry(4, "s-cap"),
        "agent:main:without:transcript": entry(5, "s-missing"),
        USED_AGAIN: entry(40, "s-old1"),
        "agent:main:old:shared": entry(41, "s-shared"),
        "agent:main:old:2": entry(42, "s-old2"),
    }


def stamp_days_ago(days: int) -> str:
    """Return the time so many days before the clock's as it is part of an archive's name."""
    return archive_stamp(NOW_MS - days * MS_PER_DAY)


PAST, BIG, RECENT = 60, 20, 10
"""How many days ago the transcripts were archived that are archives already."""


def _files(task: Task) -> dict[str, bytes]:
    """Return the files beside the store, in the order in which they were last written."""
    names = ["s-old2", "s-old1", "s-old1-topic-7", "s-cap", "s-shared", "s-hostile", "s-one-topic-5", "s-main", "s-nobody"]
    archives = {
        f"s-big.jsonl.reset.{stamp_days_ago(BIG)}": b"big\n" * 75_000,
        f"s-past.jsonl.deleted.{stamp_days_ago(PAST)}": b"past\n" * 90,
    }
    backups = {f"sessions.json.bak.{number}": b"{}" * number for number in range(1, 6)} if task.kind == "json" else {}
    live = {f"{name}.jsonl": f'{{"type": "session", "name": "{name}"}}\n'.encode() * 20 for name in names}
    return archives | backups | live | {f"s-young.jsonl.deleted.{stamp_days_ago(RECENT)}": b"young\n" * 9}
