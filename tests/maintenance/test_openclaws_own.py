"""The tests that OpenClaw has of its maintenance and its reaper (D.3 of the stores' specification), on every kind of store.

OpenClaw prunes and caps with every save of its one kind of store. Here a maintenance is planned and carried out by hand on every kind, and
with every save of a `sessions.json` (test_on_save.py).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sessionlab.maintenance import reaper
from sessionlab.maintenance.on_save import maintain_on_save
from sessionlab.maintenance.planning import configured_policy, plan_store
from sessionlab.maintenance.policy import Policy
from sessionlab.maintenance.reaper import SWEEP_EVERY_MS, reap
from sessionlab.settings import MaintenanceSettings, StoreType, parse_settings
from sessionlab.stores import locate, open_for_writing
from sessionlab.stores.json_store import JSONStore
from sessionlab.stores.location import StoreLocation
from sessionlab.units import MS_PER_DAY, MS_PER_HOUR
from tests.cli.made_states import made_state
from tests.maintenance.test_apply import NOW_MS, STAMP, carried_out, content, entry, every_kind, made, planned

HOUR = 1 / 24
NEVER: int = 10**6
"""So many entries, or days, that no rule is met."""


@pytest.fixture(autouse=True)
def _forgotten() -> None:
    reaper.forget()


def silent(session_id: str) -> dict[str, Any]:
    """Return an entry that does not say when it was updated."""
    return {key: value for key, value in entry(0, session_id).items() if key != "updatedAt"}


def sessions(**days: float | None) -> dict[str, dict[str, Any]]:
    """Return sessions by name, so many days old."""
    return {f"agent:main:{name}": silent(name) if age is None else entry(age, name) for name, age in days.items()}


def names(location: StoreLocation) -> set[str]:
    return {key.rpartition(":")[2] for key in content(location)}


def removed(state: Path, location: StoreLocation, **limits: Any) -> int:
    """Carry a maintenance out, and return how many entries it removed."""
    plan = planned(location, **{"prune_after_ms": NEVER * MS_PER_DAY, "max_entries": NEVER} | limits)
    report, _ = carried_out(state, location, plan, allow_empty=True)
    assert report.before_count - report.after_count == sum(report.removed.values())
    return sum(report.removed.values())


PRUNE: dict[str, tuple[dict[str, float | None], set[str]]] = {
    "older removed": ({"old": 31, "new": 1}, {"new"}),
    "newer kept": ({"a": 1, "b": 29}, {"a", "b"}),
    "no updatedAt kept": ({"old": 31, "silent": None}, {"silent"}),
    "empty": ({}, set()),
    "all stale": ({"a": 31, "b": 90}, set()),
    "count": ({"a": 31, "b": 32, "c": 33, "d": 1}, {"d"}),
    "boundary": ({"at": 30, "beyond": 30 + 1 / MS_PER_DAY, "before": 30 - 1 / MS_PER_DAY}, {"at", "before"}),
}


@every_kind
@pytest.mark.parametrize("name", PRUNE)
def test_prune(tmp_path: Path, kind: StoreType, name: str) -> None:
    """B.9, D.1: how many were removed is returned, and the store has the others."""
    days, kept = PRUNE[name]
    location = made(tmp_path, kind, {"agent:main:last": entry(0, "last")} | sessions(**days))
    with open_for_writing(tmp_path) as store:
        store.delete("agent:main:last")  # a store that was never written would be none
    assert removed(tmp_path, location, prune_after_ms=30 * MS_PER_DAY) == len(days) - len(kept)
    assert names(location) == kept


@every_kind
def test_prune_after_30_days_unless_the_configuration_says_something_else(tmp_path: Path, kind: StoreType) -> None:
    """D.1, D.8."""
    made(tmp_path, kind, sessions(old=31, at=30, new=29))
    (location,) = locate(tmp_path)
    for config, kept in (("{}", 2), ('{"session": {"maintenance": {"pruneDays": 29}}}', 1)):
        (tmp_path / "openclaw.json").write_text(config)
        plan = plan_store(location, configured_policy(tmp_path, "2026.3"), now_ms=NOW_MS)
        assert (plan.policy.is_enforced, plan.after.sessions) == (False, kept)


CAP: dict[str, tuple[dict[str, float | None], int, set[str]]] = {
    "over": ({"a": 1, "b": 2, "c": 3}, 2, {"a", "b"}),
    "under": ({"a": 1, "b": 2}, 3, {"a", "b"}),
    "exactly": ({"a": 1, "b": 2}, 2, {"a", "b"}),
    "no updatedAt first": ({"a": 1, "silent": None, "c": 3}, 2, {"a", "c"}),
    "count": ({"a": 5, "b": 4, "c": 3, "d": 2, "e": 1}, 1, {"e"}),
    "empty": ({}, 1, set()),
}


@every_kind
@pytest.mark.parametrize("name", CAP)
def test_cap(tmp_path: Path, kind: StoreType, name: str) -> None:
    """B.9, D.2: how many were removed is returned, 0 when there are no more than allowed."""
    days, most, kept = CAP[name]
    location = made(tmp_path, kind, {"agent:main:last": entry(0, "last")} | sessions(**days))
    with open_for_writing(tmp_path) as store:
        store.delete("agent:main:last")
    assert removed(tmp_path, location, max_entries=most) == len(days) - len(kept)
    assert names(location) == kept


@every_kind
def test_cap_is_500_unless_the_configuration_says_something_else(tmp_path: Path, kind: StoreType) -> None:
    """D.2, D.8: 501 become 500."""
    location = made(tmp_path, kind, sessions(**{f"s{number}": number / 1_000 for number in range(501)}))
    plan = plan_store(location, configured_policy(tmp_path, "2026.3", over={"mode": "enforce"}), now_ms=NOW_MS)
    assert [one.key for one in plan.removed] == ["agent:main:s500"]
    report, _ = carried_out(tmp_path, location, plan)
    assert (report.after_count, len(content(location))) == (500, 500)


def saved(state: Path, location: StoreLocation, change: Callable[[JSONStore], object], *, mode: Any = "enforce", **limits: Any) -> None:
    """Save once with maintenance."""
    limits = {"prune_after_ms": NEVER * MS_PER_DAY, "max_entries": NEVER} | limits
    with JSONStore(location.path) as store:
        maintain_on_save(store, location, Policy(limits=MaintenanceSettings(mode=mode, **limits)), clock=lambda: NOW_MS, root=state)
        change(store)


INTEGRATION: dict[str, tuple[dict[str, float | None], dict[str, Any], set[str]]] = {
    "prune": ({"old": 11, "new": 1}, {"prune_after_ms": 10 * MS_PER_DAY}, {"new"}),
    "cap": ({f"s{number}": number for number in range(10)}, {"max_entries": 5}, {f"s{number}" for number in range(5)}),
    "both": (
        {"a": 20, "b": 15, "c": 4, "d": 3, "e": 2, "f": 1},
        {"prune_after_ms": 10 * MS_PER_DAY, "max_entries": 3},
        {"d", "e", "f"},
    ),
    "warn": ({"old": 99, "new": 1}, {"mode": "warn", "prune_after_ms": MS_PER_DAY, "max_entries": 1}, {"old", "new"}),
}


@pytest.mark.parametrize("name", INTEGRATION)
def test_a_save_of_a_json_store_maintains_it(tmp_path: Path, name: str) -> None:
    """D.6, D.7, D.9, D.10: with a save that changes something, and in one step with it."""
    days, limits, kept = INTEGRATION[name]
    location = made(tmp_path, "json", sessions(**days))
    saved(
        tmp_path,
        location,
        lambda store: store.put("agent:main:f0", entry(0, "f0")),
        **limits | {"max_entries": limits.get("max_entries", 9) + 1},
    )
    assert names(location) == kept | {"f0"}


@every_kind
@pytest.mark.parametrize("name", INTEGRATION)
def test_maintenance_by_hand_comes_to_the_same(tmp_path: Path, kind: StoreType, name: str) -> None:
    """D.9, D.10."""
    days, limits, kept = INTEGRATION[name]
    location = made(tmp_path, kind, sessions(**days))
    if limits.get("mode") != "warn":
        removed(tmp_path, location, **limits)
    assert names(location) == kept


ROTATE: dict[str, tuple[int | None, int]] = {"under": (1, 0), "exactly": (0, 0), "over": (-1, 1), "missing": (None, 0)}


@pytest.mark.parametrize("name", ROTATE)
def test_rotate(tmp_path: Path, name: str) -> None:
    """D.3: strictly larger; a missing file is not. Only a `sessions.json` is one file that is written anew and could be put aside."""
    more, backups = ROTATE[name]
    location = made(tmp_path, "json", sessions(a=1))
    before = location.path.read_bytes()
    if more is None:
        location.path.unlink()
    saved(tmp_path, location, lambda store: store.put("agent:main:b", entry(0, "b")), rotate_bytes=len(before) + (more or 0))
    found = [path for path in location.sessions_dir.iterdir() if path.name != "sessions.json"]
    assert [(path.name, path.read_bytes()) for path in found] == [(f"sessions.json.bak.{NOW_MS}", before)] * backups
    assert "agent:main:b" in content(location)


def test_rotate_keeps_three_of_five(tmp_path: Path) -> None:
    """D.4: the newest by the number in their names."""
    location = made(tmp_path, "json", sessions(a=1))
    for number in (9, 10, 200, 3_000):
        location.path.with_name(f"sessions.json.bak.{number}").write_text("{}")
    saved(tmp_path, location, lambda store: store.put("agent:main:b", entry(0, "b")), rotate_bytes=1)
    found = {path.name.rpartition(".")[2] for path in location.sessions_dir.glob("sessions.json.bak.*")}
    assert found == {"200", "3000", str(NOW_MS)}


CONFIGURED: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "defaults": ({}, {"mode": "warn", "prune_after_ms": 30 * MS_PER_DAY, "max_entries": 500, "rotate_bytes": 10_485_760}),
    "reads": (
        {"mode": "enforce", "pruneAfter": "7d", "maxEntries": 100, "rotateBytes": "5mb"},
        {"mode": "enforce", "prune_after_ms": 7 * MS_PER_DAY, "max_entries": 100, "rotate_bytes": 5 << 20},
    ),
    "pruneDays": ({"pruneDays": 14}, {"prune_after_ms": 14 * MS_PER_DAY}),
    "pruneAfter wins": ({"pruneDays": 14, "pruneAfter": "3d"}, {"prune_after_ms": 3 * MS_PER_DAY}),
}


@pytest.mark.parametrize("name", CONFIGURED)
def test_configuration(name: str) -> None:
    """D.8."""
    given, wanted = CONFIGURED[name]
    found = parse_settings({"session": {"maintenance": given}}).maintenance
    assert {field: getattr(found, field) for field in wanted} == wanted


RUN = "agent:main:cron:job:run:{}"


def reaped(state: Path, location: StoreLocation, config: dict[str, Any], *, now_ms: int = NOW_MS) -> reaper.Sweep:
    """Sweep as a configuration says."""
    settings = parse_settings(config)
    retention_ms, hook_ms = settings.cron_session_retention_ms, settings.hook_session_retention_ms
    return reap(location, retention_ms=retention_ms, hook_retention_ms=hook_ms, now_ms=now_ms, root=state)


SWEEPS: dict[str, tuple[dict[str, Any], bool, set[str]]] = {
    "25 hours of 24": ({}, True, {"1h", "23h", "job", "hook"}),
    "custom": ({"cron": {"sessionRetention": "1h"}}, True, {"1h", "job", "hook"}),
    "disabled": ({"cron": {"sessionRetention": False}}, False, {"1h", "23h", "25h", "job", "hook"}),
    "hooks": ({"hooks": {"sessionRetention": "30m"}}, True, {"1h", "23h", "job"}),
    "hooks alone": ({"cron": {"sessionRetention": False}, "hooks": {"sessionRetention": "30m"}}, True, {"1h", "23h", "25h", "job"}),
}


@every_kind
@pytest.mark.parametrize("name", SWEEPS)
def test_sweep(tmp_path: Path, kind: StoreType, name: str) -> None:
    """D.23, D.24, D.26, D.29: the transcripts of what is swept are archived, one that lies elsewhere is left alone."""
    config, is_swept, kept = SWEEPS[name]
    elsewhere = tmp_path / "elsewhere.jsonl"
    elsewhere.write_text('{"type": "session"}\n')
    entries = {RUN.format(f"{hours}h"): entry(hours * HOUR, f"run-{hours}") for hours in (1, 23, 25)}
    entries[RUN.format("25h")]["sessionFile"] = str(elsewhere)
    entries |= {"agent:main:cron:job": entry(90, "job"), "agent:main:hook": entry(90, "no hook"), "agent:main:hook:1": entry(1, "hook")}
    state = tmp_path / "state"
    location = made(state, kind, entries, transcripts=("run-1", "run-23", "run-25", "job", "hook"))
    found = reaped(state, location, config)
    left = {"hook" if ":hook:" in key else key.rpartition(":")[2] for key in content(location) if key != "agent:main:hook"}
    assert (found.swept, found.pruned, left) == (is_swept, 5 - len(kept), kept)
    archived = {path.name for path in location.sessions_dir.glob("*.deleted.*")}
    gone = {"run-23": "23h", "run-25": "25h", "hook": "hook"}
    assert archived == {f"{name}.jsonl.deleted.{STAMP}" for name, key in gone.items() if key not in kept}
    assert elsewhere.is_file()


@every_kind
def test_sweep_is_throttled_for_each_store(tmp_path: Path, kind: StoreType) -> None:
    """D.25, D.27: whoever calls it on a timer goes through the agents; the stores of several do not share their five minutes."""
    for agent in ("main", "ops"):
        made_state(
            tmp_path, kind, {f"agent:{agent}:cron:job:run:{days}": entry(days, f"{agent}-{days}") for days in (2, 0.9999)}, agent=agent
        )
    first, second = locate(tmp_path)
    assert [reaped(tmp_path, one, {}).pruned for one in (first, second)] == [1, 1]
    again = NOW_MS + SWEEP_EVERY_MS - 1
    assert [reaped(tmp_path, one, {}, now_ms=again).swept for one in (first, second)] == [False, False]
    assert [reaped(tmp_path, one, {}, now_ms=again + MS_PER_HOUR).pruned for one in (first, second)] == [1, 1]


@every_kind
def test_updated_session_is_kept_as_the_active_one(tmp_path: Path, kind: StoreType) -> None:
    """C.22, D.15: with at most one entry it is the updated one that stays, even if it is the oldest.

    Deviation: an update writes that one entry and nothing else in either mode. Whoever updates has the store maintained afterwards, with
    the same key as active; only a `sessions.json` is maintained by its own saves.
    """
    location = made(tmp_path, kind, sessions(a=1, b=2, updated=3))
    for mode in ("warn", "enforce"):
        with open_for_writing(tmp_path) as store:
            store.update("agent:main:updated", lambda _entry: {"label": "x"}, now_ms=0)
        assert len(content(location)) == 3
        plan = planned(location, mode=mode, max_entries=1, active="agent:main:updated")
        if plan.policy.is_enforced:
            carried_out(tmp_path, location, plan, active_key="agent:main:updated")
    assert names(location) == {"updated"}
