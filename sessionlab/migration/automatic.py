"""The automatic form: the first access under `session.storeType` moves the sessions to a store of that kind (openclaw#58550, B.23 to B.31).

Deviations from that proposal: whoever cannot migrate gets the error, never the old store in silence; an older store is never moved over a
newer one, because only the store that counts is ever moved; and it works between all kinds.
"""

from __future__ import annotations

import threading
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sessionlab import layout
from sessionlab.errors import NoStoreError, StalePlanError
from sessionlab.migration.execute import LOCK_TIMEOUT_MS, execute
from sessionlab.migration.places import named_store, root_of
from sessionlab.migration.plan import MIGRATABLE, plan_from
from sessionlab.migration.resuming import resume, unfinished
from sessionlab.stores.authority import refuse_split
from sessionlab.stores.locating import locate, only, places, settings_of
from sessionlab.stores.location import StoreLocation, open_at
from sessionlab.stores.opening import open_for_writing

if TYPE_CHECKING:
    from sessionlab.settings import StoreType
    from sessionlab.stores.sqlite_opening import Durability
    from sessionlab.stores.writing import WritableStore

_settled: Final[set[tuple[str, str]]] = set()
"""(JSON path, target path) of the stores that are known to be of the kind that was asked for (B.28)."""
_one_at_a_time: Final = threading.Lock()


def open_migrated(
    path: Path,
    *,
    now_ms: int,
    agent: str | None = None,
    store_type: StoreType | None = None,
    durability: Durability = "commit",
    timeout_ms: float = LOCK_TIMEOUT_MS,
) -> WritableStore:
    """Open the one store at a path for reading and writing, as a store of the kind that is configured.

    Sessions that still lie in a store of another kind are moved there first. That this was done, or found unnecessary, is remembered for as
    long as the process lives; a failure is not, so the next call tries again. A store without sessions stays what it is until it has some.

    Args:
        path: As for `stores.open_for_writing`.
        now_ms: The clock, epoch ms.
        agent: Which agent's, when the path holds several.
        store_type: What is wanted; by default what `session.storeType` says. Where that says nothing, everything stays as it is (B.22).
        durability: As for `stores.open_for_writing`.
        timeout_ms: How long to wait for others that write.

    Raises:
        StoreError: As for `plan_migration`, `execute` and `stores.open_for_writing`; the old store is as it was, and counts.
        SettingsError: The configuration cannot be read.
    """
    path = layout.expanded(path)
    wanted = store_type or settings_of(path).store_type
    if wanted is None:
        return open_for_writing(path, agent=agent, durability=durability, timeout_ms=timeout_ms)
    with _one_at_a_time:
        location = _counting(path, agent)
        if location is not None:
            refuse_split(location)
            path, agent, wanted = _settled_path(location, wanted, now_ms=now_ms, timeout_ms=timeout_ms), None, None
    return open_for_writing(path, agent=agent, store_type=wanted, durability=durability, timeout_ms=timeout_ms)


def forget() -> None:
    """Forget which stores are known to need no migration, as when the process starts."""
    _settled.clear()


def _settled_path(location: StoreLocation, wanted: StoreType, *, now_ms: int, timeout_ms: float) -> Path:
    """Migrate if need be, and return where the sessions lie then.

    What was rolled back after it was migrated stays as it is for as long as the process lives.
    """
    target = places(location)[wanted]
    memo = (str(places(location)["json"]), str(target))
    if memo in _settled or location.kind not in MIGRATABLE:
        return location.path
    if location.kind == wanted:
        resume(location, to=wanted)
    else:
        if not _has_sessions(location):
            return location.path
        try:
            _migrate(location, wanted, now_ms=now_ms, timeout_ms=timeout_ms)
        except StalePlanError:
            if named_store(location.path).kind != wanted:  # else another process was quicker, and has done it
                raise
    _settled.add(memo)
    return target


def _counting(path: Path, agent: str | None) -> StoreLocation | None:
    """Return the store that counts at a path; `None` when there is none yet.

    Raises:
        NoStoreError: There are several.
    """
    if not path.is_dir():
        try:
            return named_store(path)
        except NoStoreError:
            return None
    try:
        found = locate(path)
    except NoStoreError:
        return None
    if agent is not None and agent not in {one.agent_id for one in found}:
        return None
    return only(found, path, agent=agent)


def _has_sessions(location: StoreLocation) -> bool:
    with open_at(location) as store:
        return store.count() > 0


def _migrate(location: StoreLocation, wanted: StoreType, *, now_ms: int, timeout_ms: float) -> None:
    if unfinished(location):
        resume(location, to=wanted)
        location = named_store(location.path)
        if location.kind == wanted:
            return
    planned = partial(plan_from, location, wanted, now_ms=now_ms, set_aside=False, operation="migrate")
    execute(planned(), root=root_of(location), now_ms=now_ms, timeout_ms=timeout_ms, replan=planned)
