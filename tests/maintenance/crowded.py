"""Stores are maintained, and maintenances undone, while many processes write into them. Nothing that was acknowledged is lost.

`.venv/bin/python -m tests.maintenance.crowded SECONDS` does it for longer than the tests take.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from sessionlab.maintenance.apply import apply_plan
from sessionlab.maintenance.planning import plan_store
from sessionlab.maintenance.policy import Policy
from sessionlab.maintenance.run_folder import MaintenanceRun, maintenance_runs
from sessionlab.maintenance.undo import undo
from sessionlab.runs import RUNS
from sessionlab.settings import MaintenanceSettings, StoreType
from sessionlab.stores import locate, open_for_writing, open_store
from sessionlab.stores.location import StoreLocation
from tests.torture.crowded_moves import _started as started
from tests.torture.crowded_moves import _stopped as stopped

ALL: Final = "agent:main:all"
"""The session that everybody counts up; it is the active one, so that it is never removed."""

SHARED: Final = "agent:main:shared"
"""The session that everybody counts up, or begins anew where maintenance has removed it."""

KINDS: Final[tuple[StoreType, ...]] = ("json", "sqlite", "directory")
PRUNE_AFTER_MS: Final = 40
MOST: Final = 30
POLICY: Final = Policy(limits=MaintenanceSettings(mode="enforce", prune_after_ms=PRUNE_AFTER_MS, max_entries=MOST))

# Only this process writes its own sessions, so that it knows what each has to hold; one that maintenance removed is begun anew.
_WRITER: Final = """\
import contextlib, time, uuid
from collections import Counter
from sessionlab.maintenance.on_save import maintain_on_save
from sessionlab.maintenance.policy import Policy
from sessionlab.settings import MaintenanceSettings
from sessionlab.stores import locate, open_for_writing
own, how, *kinds = sys.argv[2].split()
acknowledged, counted, number = {kind: {} for kind in kinds}, Counter(), 0

def now():
    return time.time_ns() // 1_000_000

def more(entry):
    return {"counter": entry["counter"] + 1}

def count_up(draft):
    fresh = {"sessionId": f"life-{uuid.uuid4()}", "counter": 0}
    draft["agent:main:shared"] = {**draft.get("agent:main:shared", fresh), "updatedAt": now()}
    draft["agent:main:shared"]["counter"] += 1

with contextlib.ExitStack() as opened:
    stores = {kind: opened.enter_context(open_for_writing(state / kind)) for kind in kinds}
    if how == "on-save":
        limits = MaintenanceSettings(mode="enforce", prune_after_ms=PRUNE_AFTER_MS, max_entries=MOST)
        for kind, store in stores.items():
            (place,) = locate(state / kind)
            maintain_on_save(store, place, Policy(limits=limits), clock=now, root=state / kind, active_key="agent:main:all")
    while not is_over():
        number += 1
        for kind, store in stores.items():
            key = f"agent:main:{own}:{number % KEYS}"
            wanted = acknowledged[kind].get(key, 0) + 1
            entry = store.update(key, more, now_ms=now())
            if entry is None:
                store.put(key, {"sessionId": key.rpartition("main:")[2].replace(":", "-"), "updatedAt": now(), "counter": wanted})
            else:
                assert entry["counter"] == wanted, f"{key} in the {kind} store: {wanted} is due, {entry['counter']} was counted"
            acknowledged[kind][key] = wanted
            counted[kind, "again" if entry is None and wanted > 1 else "counted up"] += 1
            assert store.update("agent:main:all", more, now_ms=now()) is not None, f"the active session of the {kind} store is gone"
            if number % 4 == 0:
                store.transform(count_up)
                counted[kind, "shared"] += 1
again = sum(times for (_, what), times in counted.items() if what == "again")
print(json.dumps({
    "acknowledged": acknowledged, "rounds": number, "again": again, "shared": {kind: counted[kind, "shared"] for kind in kinds}
}))
"""


def maintain_among_writers(
    folder: Path, *, kinds: Sequence[StoreType] = KINDS, writers: int = 10, seconds: float = 1.5, on_save: bool = False
) -> tuple[dict[str, int], list[str]]:
    """Maintain stores while others write into them; every second maintenance is undone at once, the others at the end.

    Args:
        folder: An empty folder.
        kinds: A store of each.
        writers: How many processes write, each into all of them.
        seconds: How long it goes on.
        on_save: Whether the writers themselves maintain the stores, with each of their saves; only a JSON store can be.

    Returns:
        How many "maintenances" there were, entries "removed" and "restored", acknowledged "writes", and writes to sessions that had to be
        begun "again"; and what went wrong.
    """
    places = {kind: _made(folder / kind, kind) for kind in kinds}
    how = "on-save" if on_save else "plainly"
    writer = f"PRUNE_AFTER_MS, MOST = {PRUNE_AFTER_MS}, {MOST}\n{_WRITER}"
    others = [started(folder, writer, " ".join([f"writer-{number}", how, *kinds])) for number in range(writers)]
    counts = Counter[str]()
    kept: defaultdict[str, list[MaintenanceRun]] = defaultdict(list)
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        if on_save:
            time.sleep(left)
            break
        for kind, place in places.items():
            plan = plan_store(place, POLICY, now_ms=time.time_ns() // 1_000_000, active_key=ALL)
            report = apply_plan(plan, place, root=folder / kind, active_key=ALL)
            counts.update(maintenances=1, removed=sum(report.removed.values()))
            run = MaintenanceRun(folder / kind / RUNS / report.run_id)
            if counts["maintenances"] // len(places) % 2:
                counts["restored"] += undo(run).restored
            else:
                kept[kind].append(run)
    said: list[dict[str, Any]] = []
    failures: list[str] = []
    for process in others:
        told, wrong = stopped(process)
        said.append(told)
        failures += wrong
    if failures:
        return dict(counts), failures
    for kind, place in places.items():
        failures += _found_wrong(place, folder / kind, kept[kind] if not on_save else None, said)
    if on_save:
        counts["removed"] = sum(1 for kind in kinds for run in maintenance_runs(folder / kind) for _ in run.removed())
    counts["writes"] = sum(one["rounds"] for one in said) * len(places)
    counts["again"] = sum(one["again"] for one in said)
    return dict(counts), failures


def _made(state: Path, kind: StoreType) -> StoreLocation:
    (state / "agents").mkdir(parents=True)
    with open_for_writing(state, store_type=kind) as store:
        store.put(ALL, {"sessionId": "all", "updatedAt": 1, "counter": 0})
    (location,) = locate(state)
    return location


def _found_wrong(place: StoreLocation, state: Path, kept: list[MaintenanceRun] | None, said: list[dict[str, Any]]) -> list[str]:
    """Compare a store, and what its runs put by, with what was acknowledged; then undo all runs, the latest first, and compare again.

    Runs that go on at the same time, as those of several processes do, have no latest one (`kept` is None): they are not undone.
    """
    kind = place.kind
    acknowledged = {key: counter for one in said for key, counter in one["acknowledged"][kind].items()}
    failures = [] if acknowledged else [f"{kind}: nobody has written anything"]
    put_by: defaultdict[str, int] = defaultdict(int)
    lives: defaultdict[str, int] = defaultdict(int)
    for run in maintenance_runs(state):
        for key, entry in run.removed():
            put_by[key] = max(put_by[key], entry["counter"])
            if key == SHARED:
                lives[entry["sessionId"]] = max(lives[entry["sessionId"]], entry["counter"])
    found = _counters(place)
    failures += [
        f"{kind}: {key}: {counter} was acknowledged, {found.get(key)} is stored, {put_by.get(key)} was put by"
        for key, counter in acknowledged.items()
        if found.get(key, put_by.get(key)) != counter
    ]
    with open_store(place.path) as store:
        shared = store.get(SHARED)
    if shared is not None:
        lives[shared["sessionId"]] = max(lives[shared["sessionId"]], shared["counter"])
    times = {ALL: sum(one["rounds"] for one in said), SHARED: sum(one["shared"][kind] for one in said)}
    for key, counted in ((ALL, found.get(ALL)), (SHARED, sum(lives.values()))):
        if counted != times[key]:
            failures.append(f"{kind}: {key} was counted up {times[key]} times, it is at {counted}")
    if kept is None:
        return failures
    for run in reversed(kept):
        undo(run)
    after = _counters(place)
    missing = [key for key, counter in acknowledged.items() if after.get(key) != counter]
    return failures + ([f"{kind}: undoing all of it does not bring back {missing}"] if missing else [])


def _counters(place: StoreLocation) -> dict[str, int]:
    with open_store(place.path) as store:
        assert store.check() == ()
        return {key: entry["counter"] for key, entry in store.items()}


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        totals, problems = maintain_among_writers(Path(temporary), seconds=float(sys.argv[1]))
    sys.stdout.write("\n".join([json.dumps(totals), *problems, ""]))
    sys.exit(bool(problems))
