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
from sessionlab.migration.export_entries import is_routed_anew, json_era, prompt_file, prompt_hash
from sessionlab.migration.plan import bare, entry_plan
from sessionlab.migration.reading import Read, fingerprint_of_pairs
from sessionlab.migration.records import EntryPlan, Plan, StoreIdentity
from sessionlab.migration.verify_transcripts import Held, held_transcripts
from sessionlab.runs import run_name
from sessionlab.stores.authority import refuse_split
from sessionlab.stores.base import fingerprint_of
from sessionlab.stores.locating import locate, only
from sessionlab.stores.location import StoreLocation
from sessionlab.stores.openclaw import OpenClawStore
from sessionlab.stores.transcript_store import StoredTranscript
from sessionlab.units import format_bytes

_OVERHEAD: Final = 1.3
_BYTES_PER_SECOND: Final = 20e6
"""Of a whole export, comparing included; only for the estimate."""
_PACKED: Final = 8
"""How many times its size a compressed archive may take, for the estimate."""


class SetAside(msgspec.Struct, frozen=True, kw_only=True):
    """Something that cannot be read and is left out: a session's entry, or events of a transcript."""

    agent_id: str
    name: str
    reason: str


class AgentExport(msgspec.Struct, frozen=True, kw_only=True):
    """What is exported of one agent.

    Attributes:
        plan: What becomes of the entries, as in every other run; its source is the database, its target the `sessions.json` to be made.
        rows_sha256: What `source_fingerprint` made of the rows in it when the plan was made.
        transcripts: File names of the transcripts, archives included.
        prompts: Files of `skills-prompts/` that the entries refer to, by their hash.
        changes: What is done to entries -> to how many.
    """

    plan: Plan
    rows_sha256: str
    transcripts: tuple[str, ...]
    prompts: tuple[str, ...]
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
    agents: list[AgentExport] = []
    aside: list[SetAside] = []
    warnings: list[str] = []
    size = 0
    for location in locations:
        refuse_split(location)
        with OpenClawStore.open(location.path, agent_id=location.agent_id) as store:
            one = _planned(location, store, target, now_ms=now_ms)
        agents.append(one)
        size += one.plan.bytes_needed
        aside += [SetAside(agent_id=location.agent_id, name=bad.key, reason=bad.reason) for bad in one.plan.set_aside]
        warnings += one.plan.warnings
    if aside and not set_aside:
        more_words = f" (and {len(aside) - 1} more)" if len(aside) > 1 else ""
        reason = f"the entry of {aside[0].name[:80]!r} cannot be exported: {aside[0].reason}{more_words}"
        raise CorruptStoreError(locations[0].path, reason, advice="give --set-aside to leave it out and have it reported")
    needed, free = size + (1 << 20), shutil.disk_usage(target.parent).free
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


def _planned(location: StoreLocation, store: OpenClawStore, target: Path, *, now_ms: int) -> AgentExport:
    if not keys.is_agent_id(location.agent_id):
        raise CorruptStoreError(location.path, f"belongs to {location.agent_id[:80]!r}, which is no agent's name")
    held = held_transcripts(location, store)
    rows: list[tuple[str, bytes]] = []
    by_key: dict[str, list[Read]] = {}
    changes: Counter[str] = Counter()
    hashes: dict[str, None] = {}
    for number, (spelling, raw) in enumerate(store.raw_items()):
        rows.append((spelling, raw_digest(raw)))
        try:
            entry, one = exported_entry(spelling, raw, location.path, held)
        except (InvalidJSONError, InvalidEntryError) as error:
            by_key[f"\0{number}"] = [Read(spelling, spelling, None, b"", "", "", len(raw), error.reason)]
            continue
        by_key.setdefault(one.key, []).append(bare(one))
        changes["keys in lower case"] += one.key != spelling
        changes["routes back in channel and last*"] += is_routed_anew(entry, one.entry or {})
        hashes[prompt_hash(entry)] = None
    hashes.pop("", None)
    planned = tuple(entry_plan(key, found, normalised="with the fields of the JSON era") for key, found in by_key.items())
    changes["merged spellings"] = sum(len(one.spellings) - 1 for one in planned if one.action == "merge")
    there = tuple(one for one in hashes if prompt_file(location.sessions_dir, one).is_file())
    warnings = [f"prompts that entries refer to and that skills-prompts/ does not hold: {len(hashes) - len(there)}"]
    size = sum(one.bytes for one in planned) + _transcript_bytes(held)
    plan = Plan(
        run_id=run_name(now_ms, "export"),
        operation="export",
        agent_id=location.agent_id,
        created_ms=now_ms,
        source=_identity(location, store, planned),
        target_kind="json",
        target_path=str(layout.AgentFolder(location.agent_id, layout.agents_dir(target) / location.agent_id).json_store),
        retired_path="",
        entries=planned,
        bytes_needed=int(size * _OVERHEAD),
        bytes_free=shutil.disk_usage(target.parent).free,
        seconds_expected=round(size / _BYTES_PER_SECOND + 0.1, 1),
        warnings=tuple(warnings if len(there) < len(hashes) else ()),
        root=str(target),
    )
    return AgentExport(
        plan=plan,
        rows_sha256=source_fingerprint(rows),
        transcripts=tuple(held),
        prompts=there,
        changes={what: number for what, number in sorted(changes.items()) if number},
    )


def _identity(location: StoreLocation, store: OpenClawStore, planned: tuple[EntryPlan, ...]) -> StoreIdentity:
    found = [pair for one in planned for pair in one.in_source()]
    return StoreIdentity(
        kind="openclaw",
        path=str(location.path),
        sessions=len(found),
        store_bytes=store.stats().store_bytes,
        sha256=fingerprint_of_pairs(found),
    )


def raw_digest(raw: bytes) -> bytes:
    """Return the digest of a row's entry, byte for byte."""
    return hashlib.sha256(raw).digest()


def source_fingerprint(rows: list[tuple[str, bytes]]) -> str:
    """Return by what the sessions of a store are known again: their keys and the bytes of their entries, unreadable ones included."""
    return fingerprint_of(rows).sha256


def exported_entry(spelling: str, raw: bytes, path: Path, held: dict[str, Held]) -> tuple[Entry, Read]:
    """Return an entry as stored, and as exported.

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
    data = entries.encode(key, exported)
    return entry, Read(spelling, key, exported, data, canonical_digest(exported).hex(), canonical_digest(entry).hex(), len(raw))


def exported_entries(store: OpenClawStore, agent: AgentExport, held: dict[str, Held]) -> Iterator[tuple[str, Entry, bytes]]:
    """Yield (key, entry, that as compact JSON) of what the exported store is to hold.

    Raises:
        StalePlanError: At the end, or before: the store does not hold what it held when the plan was made.
    """
    wanted = {one.key: one.digest for one in agent.plan.moved}
    left_out = {one.key for one in agent.plan.set_aside}
    rows: list[tuple[str, bytes]] = []
    advice = "run it again: OpenClaw writes the store"
    try:
        for spelling, raw in store.raw_items():
            rows.append((spelling, raw_digest(raw)))
            if spelling in left_out:
                continue
            _, one = exported_entry(spelling, raw, store.path, held)
            if wanted.get(one.key) == one.digest and one.entry is not None:
                del wanted[one.key]
                yield one.key, one.entry, one.data
    except (InvalidJSONError, InvalidEntryError) as error:
        raise StalePlanError(store.path, "changed after the plan was made; nothing was exported", advice=advice) from error
    if source_fingerprint(rows) != agent.rows_sha256:
        raise StalePlanError(store.path, "changed after the plan was made; nothing was exported", advice=advice)


def _transcript_bytes(held: dict[str, Held]) -> int:
    size = 0
    for one in held.values():
        if isinstance(one.where, StoredTranscript):
            size += one.where.bytes * (_PACKED if one.source != "live" else 1)
        else:
            size += one.where.stat().st_size * (_PACKED if one.where.suffix == ".zst" else 1)
    return size
