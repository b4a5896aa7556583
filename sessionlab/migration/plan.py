"""Planning: what a migration would do, entry by entry, before anything is done. Reads only, and printing the plan is the dry run."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from sessionlab.errors import CorruptStoreError, StoreError, UnwritableError, UsageError
from sessionlab.migration.reading import Read, fingerprint_of_pairs, read_all
from sessionlab.migration.records import EntryPlan, Operation, Plan, StoreIdentity
from sessionlab.runs import run_name
from sessionlab.stores.authority import refuse_split, split_rivals
from sessionlab.stores.locating import locate, only, places
from sessionlab.stores.location import StoreKind, StoreLocation, open_at
from sessionlab.stores.writing import age_ms
from sessionlab.units import format_bytes

MIGRATABLE: Final[tuple[StoreKind, ...]] = ("json", "sqlite", "directory")
_BYTES_PER_SECOND: Final = 40e6
"""Of a whole run, verification included, on the machine of the benchmarks; only for the estimate."""
_OVERHEAD: Final = 1.3
"""What a staged store and the run's records may take, in sizes of the entries as the source has them."""


def plan_migration(
    path: Path, to: StoreKind, *, agent: str | None = None, now_ms: int, set_aside: bool = False, operation: Operation = "migrate"
) -> Plan:
    """Plan to move the one store at a path to another kind, in the same place.

    Args:
        path: As for `stores.locate`.
        to: "json", "sqlite" or "directory".
        agent: Which agent's, when the path holds several.
        now_ms: The clock, epoch ms; part of names.
        set_aside: Leave out entries that cannot be read, instead of refusing.
        operation: What it is for.

    Raises:
        NoStoreError: There is none.
        SplitStoreError: Two stores both hold sessions: nobody knows which to move.
        UsageError: The store is of that kind already, or cannot become one.
        StoreError: It is a symbolic link.
        CorruptStoreError: An entry cannot be read, and may not be set aside; naming the first, and how many there are.
        UnwritableError: There is not room enough.
    """
    if to not in MIGRATABLE:
        raise UsageError(f"a store cannot be moved to {to!r}: choose {', '.join(MIGRATABLE)}")
    location = only(locate(path), path, agent=agent)
    refuse_split(location)
    if location.kind == to:
        raise UsageError(f"{location.path}: is a store of type {to} already; there is nothing to move")
    if location.kind not in MIGRATABLE:
        raise UsageError(f"{location.path}: is OpenClaw's own database, which is only read: 'sessionlab export openclaw' makes files of it")
    return plan_from(location, to, now_ms=now_ms, set_aside=set_aside, operation=operation)


def plan_from(location: StoreLocation, to: StoreKind, *, now_ms: int, set_aside: bool, operation: Operation) -> Plan:
    """Plan to move the store at a location; see `plan_migration`."""
    if location.path.is_symlink():  # moving the link would leave the store where nobody looks for it (C.36)
        raise StoreError(location.path, "is a symbolic link", advice="put the store itself in its place")
    entries, identity = _entries(location)
    bad = [one for one in entries if one.action == "set-aside"]
    if bad and not set_aside:
        first = bad[0]
        more = f" (and {len(bad) - 1} more)" if len(bad) > 1 else ""
        reason = f"the entry of {first.key[:80]!r} cannot be moved: {first.reason}{more}"
        raise CorruptStoreError(location.path, reason, advice="mend it, or give --set-aside to leave it out and have it reported")
    target = target_path(location, to)
    needed, free = _room(location.path, identity, target)
    run_id = run_name(now_ms, operation)
    displaced = target if os.path.lexists(target) else None
    only_there = _only_in(location, target) if displaced is not None else ()
    return Plan(
        run_id=run_id,
        operation=operation,
        agent_id=location.agent_id,
        created_ms=now_ms,
        source=identity,
        target_kind=to,
        target_path=str(target),
        retired_path="" if (location.kind, to) == ("json", "sqlite") else f"{location.path}.bak.{now_ms}",
        displaced_path=str(displaced or ""),
        displaced_to=f"{displaced}.{_displaced_as(location, to)}.{now_ms}" if displaced is not None else "",
        displaced_sessions=only_there,
        entries=entries,
        bytes_needed=needed,
        bytes_free=free,
        seconds_expected=round(sum(one.bytes for one in entries) / _BYTES_PER_SECOND + 0.1, 1),
        warnings=tuple(_warnings(location, target, entries, only_there)),
    )


def target_path(location: StoreLocation, to: StoreKind) -> Path:
    """Return where the store of another kind lies that takes a store's place."""
    return places(location)[to]


def _entries(location: StoreLocation) -> tuple[tuple[EntryPlan, ...], StoreIdentity]:
    by_key: dict[str, list[Read]] = {}
    digests: list[tuple[str, str]] = []
    for number, one in enumerate(read_all(location)):
        by_key.setdefault(one.key if one.entry is not None else f"\0{number}", []).append(bare(one))
        digests.append((one.spelling, one.source_digest))
    entries = tuple(entry_plan(key, found, normalised="old field names, or a blank model, became today's") for key, found in by_key.items())
    identity = StoreIdentity(
        kind=location.kind,
        path=str(location.path),
        sessions=len(digests),
        store_bytes=_size(location),
        sha256=fingerprint_of_pairs(digests),
    )
    return entries, identity


def _size(location: StoreLocation) -> int:
    """Return the bytes of a store's files; of a JSON file that cannot be read whole, too."""
    if location.kind == "json":
        return location.path.stat().st_size
    with open_at(location) as store:
        return store.stats().store_bytes


def bare(one: Read) -> Read:
    """Return an entry without its contents, but for what telling the newest needs."""
    entry = one.entry and {name: one.entry[name] for name in ("sessionId", "updatedAt") if name in one.entry}
    return one._replace(entry=entry, data=b"", size=len(one.data) or one.size)


def entry_plan(key: str, found: Iterable[Read], *, normalised: str) -> EntryPlan:
    """Return what becomes of one session.

    Args:
        key: The key it is to have.
        found: Its spellings, in the source's order; of one that cannot be moved, only that.
        normalised: What is done to an entry that does not stay as it is, in words.
    """
    spelled = list(found)
    newest = spelled[0]
    for one in spelled[1:]:
        if one.entry is not None and newest.entry is not None and age_ms(key, one.entry) >= age_ms(key, newest.entry):
            newest = one
    if newest.entry is None:
        return EntryPlan(key=newest.spelling, action="set-aside", digest="", bytes=newest.size, reason=newest.reason, line=newest.line)
    spellings = tuple(one.spelling for one in spelled)
    reasons = []
    if len(set(spellings)) < len(spelled):
        reasons.append(f"written {len(spelled)} times in the source: {_chosen(key, spelled, newest)}")
    elif len(spelled) > 1:
        reasons.append(f"{len(spelled)} spellings of one key: {_chosen(key, spelled, newest)}, {newest.spelling[:80]!r}")
    elif newest.spelling != key:
        reasons.append(f"the key is spelled {newest.spelling[:80]!r} in the source")
    if newest.is_normalised:
        reasons.append(normalised)
    return EntryPlan(
        key=key,
        action="merge" if len(spelled) > 1 else "normalise" if reasons else "move",
        digest=newest.digest,
        bytes=newest.size,
        reason="; ".join(reasons),
        source_digests=tuple(one.source_digest for one in spelled),
        spellings=spellings if spellings != (key,) else (),
    )


def _chosen(key: str, spelled: list[Read], newest: Read) -> str:
    """Say why one of several spellings was chosen."""
    ages = [age_ms(key, one.entry) for one in spelled if one.entry is not None and newest.entry is not None]
    return "the newest counts" if ages.count(max(ages)) == 1 else "of equally new ones the last counts"


def _displaced_as(location: StoreLocation, to: StoreKind) -> str:
    """Return what a thing in the target's place becomes: a backup of what was left behind once, else an orphan (C.32)."""
    return "bak" if to == "json" and location.is_promoted else "orphan"


def _room(source: Path, identity: StoreIdentity, target: Path) -> tuple[int, int]:
    needed = int(identity.store_bytes * _OVERHEAD) + (1 << 20)
    free = shutil.disk_usage(target.parent).free
    if needed > free:
        reason = f"there is not room enough to move {source.name}: {format_bytes(needed)} needed, {format_bytes(free)} free"
        raise UnwritableError(target.parent, reason, advice="free some space, then run it again")
    return needed, free


def _only_in(location: StoreLocation, target: Path) -> tuple[str, ...]:
    """Return the keys of sessions that only what lies in the target's place holds, or holds newer: somebody went on writing it."""
    rival = next((one for one, _ in split_rivals(location) if one.path == target), None)
    if rival is None:
        return ()
    own = {one.key: (one.digest, age_ms(one.key, one.entry)) for one in read_all(location) if one.entry is not None}
    found = []
    for one in read_all(rival):
        digest, age = own.get(one.key, ("", 0))
        if one.entry is None or not digest or (one.digest != digest and age_ms(one.key, one.entry) > age):
            found.append(one.key)
    return tuple(dict.fromkeys(found))


def _warnings(location: StoreLocation, target: Path, entries: tuple[EntryPlan, ...], only_there: tuple[str, ...]) -> Iterable[str]:
    merged = sum(one.action == "merge" for one in entries)
    if merged:
        yield f"sessions with several spellings, of which the newest counts: {merged}; the others are named in the manifest"
    normalised = sum("field names" in one.reason for one in entries)
    if normalised:
        yield f"entries with old field names, which become today's: {normalised}"
    aside = sum(one.action == "set-aside" for one in entries)
    if aside:
        yield f"entries that cannot be read and are left out: {aside}"
    if only_there:
        named = ", ".join([*(repr(key[:80]) for key in only_there[:3]), *(["..."] if len(only_there) > 3 else [])])
        yield f"sessions that only {target.name}, which is moved out of the way, holds, or holds newer: {len(only_there)} ({named})"
    beside = [str(rival.path) for rival in location.rivals if rival.path != target]
    if beside:
        yield f"beside it lies {', '.join(beside)}"
    if not os.access(target.parent, os.W_OK | os.X_OK):
        yield f"{target.parent} may not be written by this user: the move itself would be refused"
