"""Whatever a store holds and whatever a policy asks for: a maintenance loses nothing, and undoing it gives the store back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, event, given, settings
from hypothesis import strategies as st

from sessionlab import keys
from sessionlab.entry import Entry
from sessionlab.maintenance.plan import MaintenancePlan
from sessionlab.maintenance.planning import plan_store
from sessionlab.maintenance.policy import PROFILES, Policy
from sessionlab.maintenance.run_records import archive_stamp
from sessionlab.maintenance.undo import undo
from sessionlab.settings import MaintenanceSettings, StoreType
from sessionlab.stores.location import StoreLocation
from sessionlab.stores.writing import normalised
from sessionlab.units import MS_PER_DAY
from tests.cli.made_states import made_state
from tests.maintenance.test_apply import NOW_MS, STAMP, carried_out, content, every_kind

SESSION_IDS = [f"s{number}" for number in range(5)]
TRANSCRIPTS = [f"{name}{suffix}.jsonl" for name in SESSION_IDS[:4] for suffix in ("", "-topic-7", "-topic-%2B")]
ARCHIVES = [f"gone.jsonl.{reason}.{archive_stamp(NOW_MS - days * MS_PER_DAY)}" for reason in ("deleted", "reset") for days in (1, 45)]


class Asked(NamedTuple):
    """How a maintenance is called."""

    policy: Policy
    active_key: str | None
    fix_missing: bool


class State(NamedTuple):
    """What there is beforehand: entries in any spelling, and the names of files beside the store."""

    entries: dict[str, Entry]
    files: frozenset[str]


@st.composite
def states(draw: st.DrawFn, *, with_spellings: bool) -> State:
    """Draw entries that share sessions, name files here or elsewhere, were archived before, or do not say when they were updated."""
    entries: dict[str, Entry] = {}
    spellings = ["agent:main:k:{}", "Agent:Main:K:{}", " agent:main:k:{}", "AGENT:main:k:{} "]
    for name in draw(st.sets(st.integers(0, 30), min_size=1, max_size=7)):
        shown = draw(st.lists(st.sampled_from(spellings), min_size=1, max_size=3, unique=True)) if with_spellings else spellings[:1]
        for place, spelling in enumerate(shown):
            entry: Entry = {"sessionId": draw(st.sampled_from(SESSION_IDS)), "note": f"{name}/{place}"}
            days = draw(st.integers(0, 60)) if place else draw(st.one_of(st.none(), st.integers(0, 60)))
            if days is not None:
                entry["updatedAt"] = NOW_MS - days * MS_PER_DAY - len(entries)  # no two at the same time: of those either might count
            if draw(st.integers(0, 3)) == 0:
                entry["sessionFile"] = draw(st.sampled_from([*TRANSCRIPTS, "/elsewhere/s0.jsonl", "../s1.jsonl", "C:\\openclaw\\s2.jsonl"]))
            if draw(st.integers(0, 5)) == 0:
                entry["archivedAt"] = NOW_MS - MS_PER_DAY
            entries[spelling.format(name)] = entry
    return State(entries, draw(st.frozensets(st.sampled_from([*TRANSCRIPTS, *ARCHIVES]), min_size=5)))


@st.composite
def questions(draw: st.DrawFn, *, names: list[str]) -> Asked:
    """Draw a policy of any version, with or without a disk budget, and the options of a call."""
    limits = MaintenanceSettings(
        mode="enforce",
        prune_after_ms=draw(st.integers(5, 40)) * MS_PER_DAY,
        max_entries=draw(st.integers(1, 8)),
        reset_archive_retention_ms=draw(st.sampled_from([None, 30 * MS_PER_DAY])),
    )
    budget = draw(st.integers(1, 2_000))
    if draw(st.integers(0, 3)) == 0:
        limits = msgspec.structs.replace(limits, max_disk_bytes=budget, high_water_bytes=budget * 4 // 5)
    profile = draw(st.sampled_from(list(PROFILES)))
    active = draw(st.one_of(st.none(), st.sampled_from([*sorted({keys.normalise(name) for name in names}), "agent:main:nobody"])))
    return Asked(Policy(limits=limits, profile=profile), active, draw(st.integers(0, 3)) == 0)


def made(folder: Path, kind: StoreType, state: State) -> StoreLocation:
    made_state(folder, kind, state.entries)
    sessions = folder / "agents/main/sessions"
    for name in state.files:
        (sessions / name).write_text(json.dumps({"type": "session", "name": name}) + "\n")
    names = {"json": "sessions.json", "sqlite": "sessions.sqlite", "directory": "sessions.d"}
    return StoreLocation("main", kind, sessions / names[kind], sessions)


def transcripts(location: StoreLocation) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in location.sessions_dir.glob("*.jsonl*")}


def check_nothing_is_lost(plan: MaintenancePlan, state: State, found: dict[str, Any], put_by: dict[str, Any]) -> None:
    """Every entry is in the store as it was, marked as archived or not, or in the run's archive, and only as the plan says."""
    gone = {one.key for one in plan.removed}
    marked = {one.key for one in plan.entries if one.action == "archive"}
    assert put_by == {key: entry for key, entry in state.entries.items() if key in gone}
    # What is marked is written, and whatever is written gets the plain spelling.
    left = {keys.normalise(key) if key in marked else key: (key, entry) for key, entry in state.entries.items() if key not in gone}
    assert found.keys() == left.keys()
    for stored, (key, before) in left.items():
        mark = {field: value for field, value in found[stored].items() if field in ("archivedAt", "archiveReason") and field not in before}
        assert found[stored] == before | mark
        assert mark.get("archivedAt") == (NOW_MS if key in marked and "archivedAt" not in before else None)


def test_what_was_marked_in_another_spelling_is_unmarked(tmp_path: Path) -> None:
    """Marking it wrote it, under its plain key; undoing it twice finds nothing newer."""
    old = {"updatedAt": NOW_MS - 90 * MS_PER_DAY}
    state = State({"Agent:Main:K:1": {"sessionId": "s1", **old}, " agent:main:k:2": {"sessionId": "s2", **old}}, frozenset())
    location = made(tmp_path, "json", state)
    plan = plan_store(location, Policy(limits=PROFILES["2026.9"], profile="2026.9"), now_ms=NOW_MS)
    _, run = carried_out(tmp_path, location, plan)
    assert (set(content(location)), undo(run).unmarked) == ({"agent:main:k:1", "agent:main:k:2"}, 2)
    assert content(location) == normalised(state.entries)
    plan = plan_store(location, Policy(limits=MaintenanceSettings(mode="enforce")), now_ms=NOW_MS + 1)
    _, run = carried_out(tmp_path, location, plan, allow_empty=True)
    assert ([undo(run).restored for _ in range(2)], undo(run).newer) == ([2, 0], ())


def check_files(plan: MaintenancePlan, before: dict[str, bytes], after: dict[str, bytes]) -> None:
    """Files are as the plan says: renamed, removed for good, or as they were."""
    fates = {one.name: one.action for one in plan.files}
    wanted = {f"{name}.deleted.{STAMP}" if fates.get(name) == "archive" else name: data for name, data in before.items()}
    assert after == {name: data for name, data in wanted.items() if fates.get(name) not in ("expire", "evict")}


# What fails is small enough to be read as it is; making it smaller takes minutes.
@settings(
    max_examples=25, deadline=None, phases=[Phase.explicit, Phase.generate], suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
@every_kind
def test_undo_of_a_maintenance_gives_the_store_back(tmp_path_factory: pytest.TempPathFactory, kind: StoreType, data: st.DataObject) -> None:
    """Entries all of them; transcripts but for those that the disk budget, or their age as archives, has removed for good.

    A `sessions.json` may hold several spellings of a key, as other programs write them: what comes back is the newest; it is the session.
    """
    state = data.draw(states(with_spellings=kind == "json"))
    asked = data.draw(questions(names=list(state.entries)))
    folder = tmp_path_factory.mktemp("state")
    location = made(folder, kind, state)
    files = transcripts(location)
    plan = plan_store(location, asked.policy, now_ms=NOW_MS, active_key=asked.active_key, fix_missing=asked.fix_missing)
    for action in {one.action for one in plan.entries} | {f"file: {one.action}" for one in plan.files}:
        event(action)
    _, run = carried_out(folder, location, plan, active_key=asked.active_key, allow_empty=True)
    check_nothing_is_lost(plan, state, content(location), dict(run.removed()))
    check_files(plan, files, transcripts(location))
    assert not {one.key for one in plan.removed if keys.normalise(one.key) == asked.active_key}

    undone = undo(run)
    after = content(location)
    assert normalised(after) == normalised(state.entries)
    lost = {one.name for one in plan.files if one.action in ("expire", "evict")}
    assert transcripts(location) == {name: data for name, data in files.items() if name not in lost}
    assert (undone.occupied, undone.unstorable, undone.gone) == ((), (), len(lost))
    undo(run)
    assert content(location) == after
