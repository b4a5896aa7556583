"""What is moved when moves are put to the torture: from which kind of store to which, and what it holds.

It is small, and awkward: a key that could be a path, an entry under old field names, and in a `sessions.json` one key in two spellings.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sessionlab import layout
from sessionlab.entry import Entry
from sessionlab.migration.startup import migrate_one
from sessionlab.settings import StoreType
from sessionlab.stores import locate, open_for_writing

KINDS: Final[tuple[StoreType, ...]] = ("json", "sqlite", "directory")
NAMES: Final[dict[StoreType, str]] = {"json": layout.JSON_STORE, "sqlite": layout.SQLITE_SESSIONS, "directory": layout.DIRECTORY_SESSIONS}
NOW_MS: Final = 1_795_000_000_000
_TWIN: Final[Entry] = {"sessionId": "id-twin", "updatedAt": 1_780_000_000_009, "text": "é" * 3_000}
_LEGACY: Final[Entry] = {"sessionId": "id-legacy", "updatedAt": 1_780_000_000_002, "provider": "telegram", "room": "lobby"}
SOURCE: Final[dict[str, Entry]] = {
    "agent:main:main": {"sessionId": "id-main", "updatedAt": 1_780_000_000_001, "counter": 0, "tag": {"unknown": [1, None, 0.5]}},
    "agent:main:telegram:direct:1": _LEGACY,
    '../../etc/passwd "\\ café': {"sessionId": "id-hostile", "updatedAt": 1_780_000_000_003, "label": None},
    "agent:main:twin": _TWIN,
}
TARGET: Final[dict[str, Entry]] = SOURCE | {
    "agent:main:telegram:direct:1": {
        "sessionId": "id-legacy",
        "updatedAt": 1_780_000_000_002,
        "channel": "telegram",
        "groupChannel": "lobby",
    }
}
"""What the new store is to hold: no old field names."""

TWINS: Final[dict[str, Entry]] = {"agent:main:Twin": _TWIN | {"updatedAt": 1, "text": "older"}}
"""The key of one entry in another spelling, which only a `sessions.json` can have."""

BORN: Final = "agent:main:born:between"
"""A session that is written between a migration and the way back."""

LATER: Final = "agent:main:born:later"
"""One that is written after the accident."""

ENTRY: Final[Entry] = {"sessionId": "id-born", "updatedAt": 1_780_000_000_010}


@dataclass(frozen=True)
class Trip:
    """One move.

    Attributes:
        old: The kind of the store that counts before.
        new: The kind of the one that is to count afterwards.
        is_back: Whether it undoes a migration from `new` to `old`, after which a session was born.
        is_busy: Whether a session is written between the plan and the lock, so that it is planned anew.
    """

    old: StoreType
    new: StoreType
    is_back: bool = False
    is_busy: bool = False

    def __str__(self) -> str:
        return f"{self.old} to {self.new}" + (", busy" if self.is_busy else "")

    @property
    def operation(self) -> str:
        """What it is called on the command line."""
        return "rollback" if self.is_back else "migrate"


THERE: Final = tuple(Trip(old, new) for old in KINDS for new in KINDS if old != new)
BACK: Final = tuple(Trip(trip.new, trip.old, is_back=True) for trip in THERE)
BUSY: Final = (Trip("json", "sqlite", is_busy=True), Trip("sqlite", "directory", is_busy=True), Trip("directory", "json", is_busy=True))


def make(trip: Trip, state: Path) -> None:
    """Make the state folder that a trip begins in."""
    first = trip.new if trip.is_back else trip.old
    (state / "agents").mkdir(parents=True)
    with open_for_writing(state, store_type=first) as store:
        store.save(SOURCE)
    if first == "json":
        document: dict[str, Any] = json.loads(place(state, first).read_bytes())
        place(state, first).write_text(json.dumps(TWINS | document, indent=2, ensure_ascii=False), encoding="utf-8")
    if trip.is_back:
        (location,) = locate(state)
        outcome = migrate_one(location, trip.old, now_ms=NOW_MS)
        assert outcome.result == "migrated", outcome.error
        with open_for_writing(state) as store:
            store.put(BORN, ENTRY)


def place(state: Path, kind: StoreType) -> Path:
    """Return where the store of a kind lies, or would lie."""
    return state / "agents" / "main" / "sessions" / NAMES[kind]
