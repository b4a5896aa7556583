"""The way back: the same trip in reverse, from what the store holds now, so that sessions born after the move come along.

What was left behind is not put back as it is: it would be as old as the move. But it must still be what it was then: if somebody wrote
it since, nobody knows which of the two is right, and nothing is done.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from sessionlab.errors import NoStoreError, StalePlanError, UsageError
from sessionlab.migration.places import runs_of
from sessionlab.migration.plan import plan_from
from sessionlab.migration.reading import fingerprint
from sessionlab.migration.records import Plan
from sessionlab.migration.run_folder import RunFolder, runs
from sessionlab.runs import RUNS
from sessionlab.stores.authority import promotion_of, refuse_split
from sessionlab.stores.locating import agent_root, locate, only
from sessionlab.stores.location import StoreLocation
from sessionlab.stores.promotion import Promotion


def plan_rollback(run: RunFolder, *, now_ms: int, set_aside: bool = False) -> Plan:
    """Plan to undo a run: the sessions go back to a store of the kind, and in the place, that they came from.

    Args:
        run: The folder of the run.
        now_ms: The clock, epoch ms.
        set_aside: As for `plan_migration`.

    Raises:
        UsageError: The run moved nothing that could be moved back, or its store has been moved on since.
        StalePlanError: What it left behind has changed since.
        CorruptStoreError: The run's folder, or an entry of the store, cannot be read.
    """
    done = run.plan()
    if done.operation == "export":
        raise UsageError(f"{run.path.name}: was an export, which leaves everything where it is: there is nothing to roll back")
    source = Path(done.source.path)
    location = only(locate(source.parent), source.parent, agent=None)
    if (location.kind, str(location.path)) != (done.target_kind, done.target_path):
        raise UsageError(f"{run.path.name}: its sessions are not in {done.target_path} any more: {location.path} counts now")
    refuse_split(location)
    _refuse_changed(done, Path(done.retired_path or done.source.path), promotion_of(location))
    plan = plan_from(location, done.source.kind, now_ms=now_ms, set_aside=set_aside, operation="rollback")
    return _with_left_out(plan, done)


def plan_store_rollback(path: Path, *, agent: str | None = None, now_ms: int, set_aside: bool = False) -> Plan | None:
    """Plan to make a store `sessions.json` again, with or without a run that is known (C.46).

    Args:
        path: As for `stores.locate`.
        agent: Which agent's, when the path holds several.
        now_ms: The clock, epoch ms.
        set_aside: As for `plan_migration`.

    Returns:
        `None` when it is one already: there is nothing to do.

    Raises:
        StoreError: As for `plan_migration`, and as for `plan_rollback`.
    """
    location = only(locate(path), path, agent=agent)
    if location.kind == "json":
        return None
    if location.kind == "openclaw":
        raise UsageError(f"{location.path}: is OpenClaw's own database: 'sessionlab export openclaw' makes files of it")
    refuse_split(location)
    return plan_from(location, "json", now_ms=now_ms, set_aside=set_aside, operation="rollback")


def led_on(run: RunFolder) -> Plan | None:
    """Return the plan of the first later run, beside this one or its store, that moved what it made; `None` when there is none.

    Raises:
        CorruptStoreError: The folder of one cannot be read.
    """
    done = run.head()
    target = Path(done.target_path)
    known = runs_of(StoreLocation(done.agent_id, done.target_kind, target, target.parent, agent_root(target)))
    for other in {one.path.name: one for one in (*runs(run.path.absolute().parents[2]), *known)}.values():
        plan, events = other.head(), other.events()
        is_later = plan.created_ms >= done.created_ms and plan.run_id != done.run_id
        if is_later and plan.source.path == done.target_path and events and events[-1].act == "done":
            return plan
    return None


def find_run(name: str, places: list[Path]) -> RunFolder:
    """Return a run by its folder, or by its name in one of the folders that hold runs.

    Raises:
        NoStoreError: There is none of that name; naming those that there are.
    """
    path = Path(name).expanduser()
    if path.is_dir():
        return RunFolder.open(path)
    known = [run for place in places for run in runs(place)]
    found = [run for run in known if run.path.name == name]
    if found:
        return found[0]
    names = ", ".join(run.path.name for run in known[-3:]) or "none"
    raise NoStoreError(places[0] / RUNS if places else path, f"has no run {name!r}", advice=f"the latest are {names}")


def _with_left_out(plan: Plan, done: Plan) -> Plan:
    """Name what the run had left out because it could not be read: it does not come back, and lies where the old store does."""
    keys = tuple(one.key for one in done.set_aside)
    if not keys:
        return plan
    where = plan.displaced_to or done.retired_path or done.source.path
    warning = f"entries that the run had left out, and that do not come back: {len(keys)} ({keys[0][:80]!r}, ...); they lie in {where}"
    return msgspec.structs.replace(
        plan, displaced_sessions=tuple(dict.fromkeys((*plan.displaced_sessions, *keys))), warnings=(*plan.warnings, warning)
    )


def _refuse_changed(done: Plan, old: Path, record: Promotion | None) -> None:
    """Raise when what a run left behind is not what it was.

    Of a plain file, size and time tell that it was not written, as they do whenever the store is opened; else what it holds is compared.
    """
    if not old.exists():
        raise StalePlanError(old, "which the run left behind, is gone", advice="roll back with --store, which does not ask for it")
    if not done.source.sha256:  # it could not be read then, either
        return
    if done.source.kind == "json" and record is not None:
        found = old.stat()
        known = {(one.sha256, one.size_bytes, one.mtime_ns) for one in record.left if one.kind == "json"}
        if (done.source.sha256, found.st_size, found.st_mtime_ns) in known:
            return
    if fingerprint(StoreLocation(done.agent_id, done.source.kind, old, old.parent)) != done.source.sha256:
        advice = "find out what wrote it; 'sessionlab verify' shows what differs, --store rolls back all the same"
        raise StalePlanError(old, "which the run left behind, has been written since", advice=advice)
