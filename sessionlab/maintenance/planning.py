"""Planning for a store on disk: reads what the pure plan needs, and nothing more."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from sessionlab.entry import SessionSummary
from sessionlab.errors import UsageError
from sessionlab.maintenance.files import SessionFiles, session_files
from sessionlab.maintenance.plan import MaintenancePlan, Totals, plan_maintenance
from sessionlab.maintenance.policy import PROFILES, Policy, Profile
from sessionlab.settings import load_settings
from sessionlab.stores.authority import refuse_split
from sessionlab.stores.base import SessionStore
from sessionlab.stores.location import StoreLocation, open_at


def configured_policy(state_dir: Path, profile: Profile, *, over: Mapping[str, object] | None = None) -> Policy:
    """Return the policy that `openclaw.json` gives, with the defaults of one OpenClaw version for what it does not say.

    Args:
        state_dir: The state folder.
        profile: That version.
        over: As for `load_settings`: what is said elsewhere, and wins.

    Raises:
        SettingsError: As for `load_settings`.
        UnreadableError: As for `load_settings`.
    """
    return Policy(limits=load_settings(state_dir, maintenance=PROFILES[profile], over=over).maintenance, profile=profile)


def plan_store(
    location: StoreLocation, policy: Policy, *, now_ms: int, active_key: str | None = None, fix_missing: bool = False
) -> MaintenancePlan:
    """Plan the maintenance of a store. Reads only: its summaries, and of the files beside it the names, sizes and times.

    Entries themselves are read only when there is more than the disk budget allows: then it has to be known how large each is.

    Args:
        location: The store that counts.
        policy: The rules.
        now_ms: The clock, epoch ms.
        active_key: The session that is being talked in, normalised.
        fix_missing: Remove entries whose transcript is not there.

    Raises:
        UsageError: It is OpenClaw's own database.
        SplitStoreError: Two stores both hold sessions.
        StoreError: The store or its folder cannot be read.
    """
    if location.kind == "openclaw":
        raise UsageError(f"{location.path}: is OpenClaw's own database, which is only read; OpenClaw maintains it itself")
    refuse_split(location)
    with open_at(location) as store:
        summaries = list(store.summaries())
        store_bytes = _used_bytes(store)
        files = session_files(location.sessions_dir, store_names=own_names(location))
        most = policy.limits.max_disk_bytes
        sizes = None
        if most is not None and store_bytes + files.total_bytes > most:
            sizes = {key: len(raw) for key, raw in store.raw_items()}
    return plan_maintenance(
        summaries,
        policy,
        now_ms=now_ms,
        files=files,
        store_bytes=store_bytes,
        active_key=active_key,
        missing=_missing(summaries, files) if fix_missing else (),
        entry_bytes=sizes,
    )


def totals_of(location: StoreLocation) -> Totals:
    """Measure how much there is now: sessions, the store's own bytes, and those of the files beside it.

    Raises:
        StoreError: As for `plan_store`.
    """
    with open_at(location) as store:
        files = session_files(location.sessions_dir, store_names=own_names(location))
        return Totals(sessions=store.count(), store_bytes=_used_bytes(store), file_bytes=files.total_bytes)


def _used_bytes(store: SessionStore) -> int:
    """Return how much of a store's files is in use. A database does not shrink when sessions go: no more have to go for that."""
    stats = store.stats()
    return stats.store_bytes - stats.free_bytes


def own_names(location: StoreLocation) -> tuple[str, ...]:
    """Return the names of the files in the sessions folder that belong to the store itself."""
    name = location.path.name
    return (name, f"{name}-wal", f"{name}-shm", f"{name}.lock")


def _missing(summaries: list[SessionSummary], files: SessionFiles) -> set[str]:
    """Return the keys of entries that name a transcript which is not there, wherever it would be.

    An entry without a session id, or whose transcript lies in another folder, misses nothing.
    """
    found = set()
    for one in summaries:
        elsewhere = Path(one.session_file) if one.session_file else None
        is_elsewhere = elsewhere is not None and elsewhere.is_absolute() and elsewhere.parent != files.folder and elsewhere.exists()
        if one.session_id and not files.of(one) and not is_elsewhere:
            found.add(one.key)
    return found
