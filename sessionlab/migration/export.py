"""From OpenClaw's own SQLite store back to files: a new folder that a JSON-era OpenClaw lists, and that the program itself cannot make.

`agents/<id>/sessions/` gets a `sessions.json`, and a `.jsonl` for each transcript; archives keep their names, decompressed. The folder is
made beside its place under another name, forced to disk, compared with the store, and only then given its name. The source is only read.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from sessionlab import codec, keys, layout
from sessionlab import entry as entries
from sessionlab.entry import Entry, canonical_digest
from sessionlab.errors import (
    CorruptStoreError,
    InvalidEntryError,
    InvalidJSONError,
    NoStoreError,
    StalePlanError,
    UnwritableError,
    UsageError,
)
from sessionlab.migration.export_entries import is_routed_anew, json_era
from sessionlab.migration.verify_transcripts import Held, held_transcripts
from sessionlab.stores.authority import refuse_split
from sessionlab.stores.base import fingerprint_of
from sessionlab.stores.locating import locate, only
from sessionlab.stores.location import StoreLocation
from sessionlab.stores.openclaw import OpenClawStore
from sessionlab.stores.transcript_store import StoredTranscript
from sessionlab.stores.writing import age_ms
from sessionlab.units import format_bytes

_OVERHEAD: Final = 1.3
_PACKED: Final = 8
"""How many times its size a compressed archive may take, for the estimate."""


class SetAside(msgspec.Struct, frozen=True, kw_only=True):
    """Something that cannot be read and is left out: a session's entry, or events of a transcript."""

    agent_id: str
    name: str
    reason: str


class ExportedEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One session that is exported.

    Attributes:
        key: The key in the exported store.
        spelling: The key in the source.
        digest: SHA-256 of the canonical entry that the exported store is to hold, hex.
        bytes: Of that entry as compact JSON.
    """

    key: str
    spelling: str
    digest: str
    bytes: int


class AgentExport(msgspec.Struct, frozen=True, kw_only=True):
    """What is exported of one agent.

    Attributes:
        agent_id: Whose.
        source: The database.
        source_sha256: What `source_fingerprint` made of the rows in it when the plan was made.
        entries: The sessions, in the source's order.
        transcripts: File names of the transcripts, archives included.
        changes: What is done to entries -> to how many.
    """

    agent_id: str
    source: str
    source_sha256: str
    entries: tuple[ExportedEntry, ...]
    transcripts: tuple[str, ...]
    changes: dict[str, int]


class ExportPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What an export would do.

    Attributes:
        source: The state folder, agent's folder or database.
        target: The folder that is to be made, absolute.
        created_ms: When the plan was made, epoch ms.
        agents: What of each agent.
        set_aside: Entries that are left out; only when that was allowed.
        may_set_aside: Whether events that cannot be read may be left out, too; they are found when it is carried out.
        bytes_needed: Of disk space, roughly.
        bytes_free: On the target's file system.
        warnings: What its owner should know before saying yes.
    """

    source: str
    target: str
    created_ms: int
    agents: tuple[AgentExport, ...]
    set_aside: tuple[SetAside, ...]
    may_set_aside: bool
    bytes_needed: int
    bytes_free: int
    warnings: tuple[str, ...]


def plan_export(path: Path, target: Path, *, agent: str | None = None, now_ms: int, set_aside: bool = False) -> ExportPlan:
    """Plan to export OpenClaw's SQLite stores to a new folder. Reads only.

    Args:
        path: As for `stores.locate`.
        target: The folder to be made; it must not exist, or be empty.
        agent: Only this agent.
        now_ms: The clock, epoch ms; part of a name.
        set_aside: Leave out what cannot be read, instead of refusing.

    Raises:
        NoStoreError: There is no SQLite store of OpenClaw.
        UsageError: The target holds something, lies in the source, or its parent does not exist.
        CorruptStoreError: An entry cannot be read, and may not be set aside.
        UnwritableError: There is not room enough.
        StoreError: The store cannot be read.
    """
    path, target = layout.expanded(path), layout.expanded(target)
    found = locate(path)
    found = found if agent is None else (only(found, path, agent=agent),)
    locations = [one for one in found if one.kind == "openclaw"]
    if not locations:
        kinds = ", ".join(sorted({one.kind for one in found}))
        raise NoStoreError(path, f"holds no SQLite store of OpenClaw, but {kinds}", advice="'sessionlab migrate' moves the other kinds")
    check_target(target, path)
    agents, aside, warnings, size = [], [], [], 0
    for location in locations:
        refuse_split(location)
        with OpenClawStore.open(location.path, agent_id=location.agent_id) as store:
            planned, bad, more = _planned(location, store)
            size += sum(one.bytes for one in planned.entries) + _transcript_bytes(held_transcripts(location, store))
        agents.append(planned)
        aside += bad
        warnings += more
    if aside and not set_aside:
        more_words = f" (and {len(aside) - 1} more)" if len(aside) > 1 else ""
        reason = f"the entry of {aside[0].name[:80]!r} cannot be exported: {aside[0].reason}{more_words}"
        raise CorruptStoreError(locations[0].path, reason, advice="give --set-aside to leave it out and have it reported")
    needed, free = int(size * _OVERHEAD) + (1 << 20), shutil.disk_usage(target.parent).free
    if needed > free:
        reason = f"there is not room enough: {format_bytes(needed)} needed, {format_bytes(free)} free"
        raise UnwritableError(target.parent, reason, advice="free some space, or export to another place")
    return ExportPlan(
        source=str(path),
        target=str(target),
        created_ms=now_ms,
        agents=tuple(agents),
        set_aside=tuple(aside),
        may_set_aside=set_aside,
        bytes_needed=needed,
        bytes_free=free,
        warnings=tuple(warnings),
    )


def check_target(target: Path, source: Path) -> None:
    """Make sure that a folder may be made.

    Raises:
        UsageError: It holds something, is something else, lies in the source, or its parent does not exist.
    """
    if target.is_symlink() or (os.path.lexists(target) and not target.is_dir()):
        raise UsageError(f"{target}: is there already; name a new folder with --to")
    try:
        if target.is_dir() and any(target.iterdir()):
            raise UsageError(f"{target}: holds something already; name a new folder with --to")
    except OSError as error:
        raise UsageError(f"{target}: cannot be looked at ({error.strerror}); name another folder with --to") from error
    if not target.parent.is_dir():
        raise UsageError(f"{target}: its parent folder does not exist; make it first, or name another folder with --to")
    real, inside = Path(os.path.realpath(target)), Path(os.path.realpath(source))
    if real == inside or inside in real.parents:
        raise UsageError(f"{target}: lies in what is exported, which is only read; name a folder elsewhere with --to")


def _planned(location: StoreLocation, store: OpenClawStore) -> tuple[AgentExport, list[SetAside], list[str]]:
    if not keys.is_agent_id(location.agent_id):
        raise CorruptStoreError(location.path, f"belongs to {location.agent_id[:80]!r}, which is no agent's name")
    held = held_transcripts(location, store)
    rows: list[tuple[str, bytes]] = []
    chosen: dict[str, tuple[int, ExportedEntry]] = {}
    aside: list[SetAside] = []
    changes: Counter[str] = Counter()
    prompts = 0
    for spelling, raw in store.raw_items():
        rows.append((spelling, raw_digest(raw)))
        try:
            key, entry, exported, data = exported_entry(spelling, raw, location.path, held)
        except (InvalidJSONError, InvalidEntryError) as error:
            aside.append(SetAside(agent_id=location.agent_id, name=spelling, reason=error.reason))
            continue
        age = age_ms(key, exported)
        if key in chosen:
            changes["merged spellings"] += 1
            if age < chosen[key][0]:
                continue
        changes["keys in lower case"] += key != spelling
        changes["routes back in channel and last*"] += is_routed_anew(entry, exported)
        prompts += isinstance(entry.get("skillsSnapshot"), dict) and "promptRef" in entry["skillsSnapshot"]
        chosen[key] = age, ExportedEntry(key=key, spelling=spelling, digest=canonical_digest(exported).hex(), bytes=len(data))
    warnings = [f"{prompts} entries refer to skills-prompts/, which is not exported: copy that folder, too"] if prompts else []
    planned = AgentExport(
        agent_id=location.agent_id,
        source=str(location.path),
        source_sha256=source_fingerprint(rows),
        entries=tuple(one for _, one in chosen.values()),
        transcripts=tuple(held),
        changes={what: number for what, number in sorted(changes.items()) if number},
    )
    return planned, aside, warnings


def raw_digest(raw: bytes) -> bytes:
    """Return the digest of a row's entry, byte for byte."""
    return hashlib.sha256(raw).digest()


def source_fingerprint(rows: list[tuple[str, bytes]]) -> str:
    """Return by what the sessions of a store are known again: their keys and the bytes of their entries, unreadable ones included."""
    return fingerprint_of(rows).sha256


def exported_entry(spelling: str, raw: bytes, path: Path, held: dict[str, Held]) -> tuple[str, Entry, Entry, bytes]:
    """Return (key, entry as stored, entry as exported, that as compact JSON).

    Raises:
        InvalidJSONError, InvalidEntryError: It cannot be read, or is no entry.
    """
    key = keys.normalise(spelling)
    reason = keys.refusal(key)
    if reason is not None:
        raise InvalidEntryError(spelling, f"its key {reason}")
    entry = codec.decode_entry(raw, path=path, key=spelling)
    session_id = entry.get("sessionId")
    name = f"{session_id}.jsonl" if isinstance(session_id, str) else ""
    exported = json_era(entry, session_file=name if name in held else None)
    return key, entry, exported, entries.encode(key, exported)


def exported_entries(store: OpenClawStore, plan: AgentExport, held: dict[str, Held]) -> Iterator[tuple[str, Entry, bytes]]:
    """Yield (key, entry, that as compact JSON) of what the exported store is to hold.

    Raises:
        StalePlanError: At the end, or before: the store does not hold what it held when the plan was made.
    """
    wanted = {one.spelling for one in plan.entries}
    rows: list[tuple[str, bytes]] = []
    advice = "run it again: OpenClaw writes the store"
    try:
        for spelling, raw in store.raw_items():
            rows.append((spelling, raw_digest(raw)))
            if spelling in wanted:
                key, _, exported, data = exported_entry(spelling, raw, store.path, held)
                yield key, exported, data
    except (InvalidJSONError, InvalidEntryError) as error:
        raise StalePlanError(store.path, "changed after the plan was made; nothing was exported", advice=advice) from error
    if source_fingerprint(rows) != plan.source_sha256:
        raise StalePlanError(store.path, "changed after the plan was made; nothing was exported", advice=advice)


def _transcript_bytes(held: dict[str, Held]) -> int:
    size = 0
    for one in held.values():
        if isinstance(one.where, StoredTranscript):
            size += one.where.bytes * (_PACKED if one.source != "live" else 1)
        else:
            size += one.where.stat().st_size * (_PACKED if one.where.suffix == ".zst" else 1)
    return size
