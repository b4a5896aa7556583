"""What the folder of a maintenance says: what it was for, and what was decided on entries and on files. Formats only; nothing is read here.

A name that a record gives is only taken for that of a file beside the store: the folder of a run may be anybody's.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal

import msgspec

from sessionlab.layout import parse_transcript_name
from sessionlab.maintenance.decisions import Action, Why
from sessionlab.maintenance.plan import FileAction, MaintenancePlan, Totals
from sessionlab.maintenance.policy import Policy
from sessionlab.stores.location import StoreKind, StoreLocation

OPERATION: Final = "maintain"


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """What a maintenance was for.

    Attributes:
        run_id: The name of its folder.
        operation: "maintain".
        agent_id: Whose sessions.
        created_ms: The plan's clock, epoch ms; part of the names that archived transcripts get.
        kind: Of the store.
        root: The folder that the run's own was made in, below `.sessionlab/runs`, absolute: a copy of it elsewhere is not this store's.
        store_path: Absolute.
        root_id: What tells that folder from a copy of it; see `run_place.folder_id`. "" in runs of earlier versions.
        sessions_dir: The folder beside whose files it looked after, absolute.
        policy: The rules.
        active_key: The session that was not to be removed; "" for none.
        before: What there was.
        after: What was to be left.
    """

    run_id: str
    operation: Literal["maintain"] = OPERATION
    agent_id: str
    created_ms: int
    root: str
    kind: StoreKind
    store_path: str
    sessions_dir: str
    policy: Policy
    active_key: str
    before: Totals
    after: Totals
    root_id: str = ""

    def at(self, root: str) -> Head:
        """Return what it says where its root is called so by now: in a folder that was moved, or copied, a run means what lies there."""

        def there(path: str) -> str:
            inside = path.removeprefix(f"{self.root}/")
            return path if inside == path else f"{root}/{inside}"

        return msgspec.structs.replace(self, root=root, store_path=there(self.store_path), sessions_dir=there(self.sessions_dir))

    @property
    def location(self) -> StoreLocation:
        """Where the store lies, or lay."""
        return StoreLocation(self.agent_id, self.kind, Path(self.store_path), Path(self.sessions_dir))


class EntryRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was decided on one entry; see `Decision`."""

    key: str
    action: Action
    session_id: str | None = None
    updated_ms: int | None = None
    why: Why = ""


class FileRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was decided on one file; see `FileDecision`. `renamed_to` is its name afterwards, if it was archived."""

    name: str
    bytes: int
    action: FileAction
    key: str = ""
    renamed_to: str = ""


def entry_records(plan: MaintenancePlan) -> Iterator[EntryRecord]:
    """Yield what was decided on entries that do not simply stay."""
    for one in plan.entries:
        if one.action != "keep" or one.why:
            yield EntryRecord(key=one.key, action=one.action, session_id=one.session_id, updated_ms=one.updated_ms, why=one.why)


def file_records(plan: MaintenancePlan) -> Iterator[FileRecord]:
    """Yield what was decided on files, with the names that archived transcripts get."""
    stamp = archive_stamp(plan.now_ms)
    for one in plan.files:
        renamed_to = f"{one.name}.deleted.{stamp}" if one.action == "archive" else ""
        yield FileRecord(name=one.name, bytes=one.bytes, action=one.action, key=one.key, renamed_to=renamed_to)


def is_a_transcripts(one: FileRecord) -> bool:
    """Say whether a record names files beside a store, and for one that was archived a transcript's name and its archive's: no others."""
    if set(f"{one.name}{one.renamed_to}") & {"/", "\0"} or one.name in ("", ".", ".."):
        return False
    parsed = parse_transcript_name(one.name)
    is_live = parsed is not None and parsed.source == "live"
    return one.action != "archive" or (is_live and one.renamed_to.startswith(f"{one.name}.deleted."))


def archive_stamp(now_ms: int) -> str:
    """Return the time as it is part of an archived transcript's name: ISO, UTC, `-` for `:` (D.17)."""
    import datetime as dt

    moment = dt.datetime.fromtimestamp(now_ms / 1000, tz=dt.UTC)
    return f"{moment:%Y-%m-%dT%H-%M-%S}.{now_ms % 1000:03d}Z"
