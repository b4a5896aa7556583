"""Planning for a store on disk: reads what the pure plan needs, and nothing more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from sessionlab import layout
from sessionlab.configuration import read_configuration
from sessionlab.errors import UsageError
from sessionlab.maintenance.decisions import Decision
from sessionlab.maintenance.missing import Missing, missing
from sessionlab.maintenance.neighbours import files_beside
from sessionlab.maintenance.old_runs import old_runs
from sessionlab.maintenance.plan import MaintenancePlan, Totals, plan_maintenance
from sessionlab.maintenance.policy import PROFILES, Policy, Profile
from sessionlab.maintenance.protection import NO_TRAITS, traits_of
from sessionlab.settings import parse_settings
from sessionlab.stores.authority import refuse_split
from sessionlab.stores.base import SessionStore
from sessionlab.stores.location import StoreLocation, open_at


def configured_policy(
    state_dir: Path, profile: Profile, *, over: Mapping[str, object] | None = None, document: object | None = None
) -> Policy:
    """Return the policy that `openclaw.json` gives, with the defaults of one OpenClaw version for what it does not say.

    Args:
        state_dir: The state folder.
        profile: That version.
        over: As for `load_settings`: what is said elsewhere, and wins.
        document: What `openclaw.json` holds, for whoever has read it already.

    Raises:
        SettingsError: As for `load_settings`.
        UnreadableError: As for `load_settings`.
    """
    path, defaults = state_dir / layout.CONFIG_NAME, PROFILES[profile]
    document = read_configuration(path) if document is None else document
    return Policy(limits=parse_settings(document, path=path, maintenance=defaults, over=over).maintenance, profile=profile)


def plan_store(
    location: StoreLocation,
    policy: Policy,
    *,
    now_ms: int,
    active_key: str | None = None,
    fix_missing: bool = False,
    root: Path | None = None,
) -> MaintenancePlan:
    """Plan the maintenance of a store. Reads only: its summaries, and of the files beside it the names, sizes and times.

    Entries themselves are read only when there is more than the disk budget allows, as it then has to be known how large each is, and for
    a policy that protects sessions, which goes by fields that are in no summary.

    Args:
        location: The store that counts.
        policy: The rules.
        now_ms: The clock, epoch ms.
        active_key: The session that is being talked in, normalised.
        fix_missing: Remove entries whose transcript is not there; not those of which nobody can tell, which are named.
        root: As for `apply_plan`; with it, archives of earlier maintenances that are too old are part of the plan.

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
        files = files_beside(location)
        most = policy.limits.max_disk_bytes
        sizes = None
        if most is not None and store_bytes + files.total_bytes > most:
            sizes = {key: len(raw) for key, raw in store.raw_items()}
        traits = traits_of(store.raw_items()) if policy.protects else NO_TRAITS
    lost = missing(summaries, files) if fix_missing else Missing()
    plan = plan_maintenance(
        summaries,
        policy,
        now_ms=now_ms,
        files=files,
        store_bytes=store_bytes,
        active_key=active_key,
        missing=lost.gone,
        undoable=True,
        entry_bytes=sizes,
        traits=traits,
    )
    if lost.unreachable:
        entries = (one._replace(why="not reachable") if _is_plain(one) and one.key in lost.unreachable else one for one in plan.entries)
        plan = replace(plan, entries=tuple(entries))
    return plan if root is None else replace(plan, old_runs=old_runs(location, policy, root=root, now_ms=now_ms))


def _is_plain(one: Decision) -> bool:
    """Say whether no rule is about an entry."""
    return one.action == "keep" and not one.why


def totals_of(location: StoreLocation) -> Totals:
    """Measure how much there is now: sessions, the store's own bytes, and those of the files beside it.

    Raises:
        StoreError: As for `plan_store`.
    """
    with open_at(location) as store:
        files = files_beside(location)
        return Totals(sessions=store.count(), store_bytes=_used_bytes(store), file_bytes=files.total_bytes)


def _used_bytes(store: SessionStore) -> int:
    """Return how much of a store's files is in use. A database does not shrink when sessions go: no more have to go for that."""
    stats = store.stats()
    return stats.store_bytes - stats.free_bytes
