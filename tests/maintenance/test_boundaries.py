"""The boundary of every limit: one under it, at it, one over it, on every kind of store that it applies to.

A limit is always the last value that is still allowed. Times are in ms, sizes in bytes.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import msgspec
import pytest

from sessionlab.maintenance import reaper
from sessionlab.maintenance.on_save import maintain_on_save
from sessionlab.maintenance.plan import MaintenancePlan
from sessionlab.maintenance.planning import plan_store
from sessionlab.maintenance.policy import PROFILES, Policy, Profile
from sessionlab.maintenance.reaper import SWEEP_EVERY_MS, reap
from sessionlab.maintenance.run_records import archive_stamp
from sessionlab.settings import MaintenanceSettings, StoreType
from sessionlab.stores.json_store import JSONStore
from sessionlab.stores.location import StoreLocation
from sessionlab.units import MS_PER_DAY, MS_PER_HOUR
from tests.maintenance.test_apply import NOW_MS, carried_out, content, every_kind, made

SIDES: Final = {"one under": -1, "at": 0, "one over": 1}
every_side = pytest.mark.parametrize("by", SIDES.values(), ids=SIDES)
every_profile = pytest.mark.parametrize("profile", PROFILES)

PRUNE_MS: Final = 7 * MS_PER_DAY + 1
CRON: Final = "agent:main:cron:job:run:1"
HOOK: Final = "agent:main:hook:1"


@pytest.fixture(autouse=True)
def _forgotten() -> None:
    reaper.forget()


def aged(age_ms: int, name: str) -> dict[str, object]:
    return {"sessionId": name, "updatedAt": NOW_MS - age_ms}


def planned(location: StoreLocation, limits: MaintenanceSettings, profile: Profile = "2026.3") -> MaintenancePlan:
    return plan_store(location, Policy(limits=limits, profile=profile), now_ms=NOW_MS)


def enforced(**limits: int) -> MaintenanceSettings:
    return msgspec.structs.replace(MaintenanceSettings(mode="enforce"), **limits)


@every_kind
@every_profile
@every_side
def test_age(tmp_path: Path, kind: StoreType, profile: Profile, by: int) -> None:
    """D.1: strictly older goes; 2026.9 marks it."""
    location = made(tmp_path, kind, {"agent:main:a": aged(PRUNE_MS + by, "a"), "agent:main:b": aged(0, "b")})
    plan = planned(location, enforced(prune_after_ms=PRUNE_MS), profile)
    carried_out(tmp_path, location, plan)
    found = content(location)
    is_over = by > 0
    assert ("agent:main:a" in found) == (not is_over or profile == "2026.9")
    assert ("archivedAt" in found.get("agent:main:a", {})) == (is_over and profile == "2026.9")
    assert found["agent:main:b"] == aged(0, "b")


@every_kind
@every_profile
@every_side
def test_cap(tmp_path: Path, kind: StoreType, profile: Profile, by: int) -> None:
    """D.2: so many entries are allowed, and of one more the oldest goes; 2026.9 marks it."""
    most = 4
    location = made(tmp_path, kind, {f"agent:main:{number}": aged(number, f"s{number}") for number in range(most + by)})
    report, _ = carried_out(tmp_path, location, planned(location, enforced(max_entries=most), profile))
    left = {key for key, entry in content(location).items() if "archivedAt" not in entry}
    assert left == {f"agent:main:{number}" for number in range(min(most, most + by))}
    assert report.after_count == (most + by if profile == "2026.9" else min(most, most + by))


@every_kind
@every_side
def test_budget(tmp_path: Path, kind: StoreType, by: int) -> None:
    """D.50: as much as the budget is allowed; of one byte more, everything comes down to the high water."""
    location = made(tmp_path, kind, {"agent:main:a": aged(0, "a")}, transcripts=("a",))
    orphan = location.sessions_dir / "nobody.jsonl"
    orphan.write_bytes(b"x" * 100)
    total = planned(location, enforced(max_disk_bytes=1 << 40)).before.bytes
    plan = planned(location, enforced(max_disk_bytes=total - by, high_water_bytes=total - by))
    carried_out(tmp_path, location, plan)
    assert orphan.exists() == (by <= 0)
    assert set(content(location)) == {"agent:main:a"}
    assert (plan.before.bytes, plan.is_over_budget) == (total, False)


@every_kind
@every_side
def test_high_water(tmp_path: Path, kind: StoreType, by: int) -> None:
    """D.50: no more goes than is needed to come down to it; a byte below that is a file more."""
    location = made(tmp_path, kind, {"agent:main:a": aged(0, "a")}, transcripts=("a",))
    for number in range(3):
        path = location.sessions_dir / f"nobody-{number}.jsonl"
        path.write_bytes(b"x" * 100)
        os.utime(path, (number, number))
    total = planned(location, enforced(max_disk_bytes=1 << 40)).before.bytes
    carried_out(tmp_path, location, planned(location, enforced(max_disk_bytes=total - 1, high_water_bytes=total - 100 - by)))
    assert [path.name for path in sorted(location.sessions_dir.glob("nobody*"))] == [
        f"nobody-{n}.jsonl" for n in range(1 if by <= 0 else 2, 3)
    ]
    assert set(content(location)) == {"agent:main:a"}


@every_kind
@every_profile
@every_side
def test_archive_retention(tmp_path: Path, kind: StoreType, profile: Profile, by: int) -> None:
    """D.22: strictly older goes for good; up to 2026.4, what was removed goes by `pruneAfter`, only what a reset archived by its own."""
    location = made(tmp_path, kind, {"agent:main:a": aged(0, "a")})
    deleted_ms = MS_PER_DAY if profile == "2026.9" else PRUNE_MS
    ages = {"deleted": deleted_ms + by, "reset": MS_PER_DAY + by}
    names = [f"x.jsonl.{reason}.{archive_stamp(NOW_MS - age_ms)}" for reason, age_ms in ages.items()]
    for name in names:
        (location.sessions_dir / name).write_text("{}\n")
    limits = enforced(prune_after_ms=PRUNE_MS, reset_archive_retention_ms=MS_PER_DAY)
    report, _ = carried_out(tmp_path, location, planned(location, limits, profile))
    assert {path.name for path in location.sessions_dir.glob("x.jsonl.*")} == (set() if by > 0 else set(names))
    assert report.deleted == (2 if by > 0 else 0)


@every_profile
@every_side
def test_rotation(tmp_path: Path, profile: Profile, by: int) -> None:
    """D.3: a `sessions.json` that is strictly larger is rotated, by the rules of 2026.3; the other kinds never are."""
    location = made(tmp_path, "json", {"agent:main:a": aged(0, "a")})
    limits = enforced(rotate_bytes=location.path.stat().st_size - by)
    with JSONStore(location.path) as store:
        maintain_on_save(store, location, Policy(limits=limits, profile=profile), clock=lambda: NOW_MS, root=tmp_path)
        store.put("agent:main:b", aged(0, "b"))
    assert len(list(location.sessions_dir.glob("*.bak.*"))) == (profile == "2026.3" and by > 0)


def swept(state: Path, location: StoreLocation, now_ms: int = NOW_MS) -> int:
    """Sweep cron runs after an hour, webhooks after two, and return how many sessions went; -1 when it was too early."""
    found = reap(location, retention_ms=MS_PER_HOUR, hook_retention_ms=2 * MS_PER_HOUR, now_ms=now_ms, root=state)
    return found.pruned if found.swept else -1


@every_kind
@every_side
@pytest.mark.parametrize(("key", "hours"), [(CRON, 1), (HOOK, 2)], ids=["cron", "hook"])
def test_reaper_retention(tmp_path: Path, kind: StoreType, by: int, key: str, hours: int) -> None:
    """D.24, D.29: strictly older goes, each kind after its own retention."""
    sessions = {key: aged(hours * MS_PER_HOUR + by, "a"), "agent:main:main": aged(9 * MS_PER_DAY, "b")}
    location = made(tmp_path, kind, sessions)
    assert swept(tmp_path, location) == (by > 0)
    assert set(content(location)) == set(sessions) - ({key} if by > 0 else set())


@every_kind
@every_side
def test_throttle(tmp_path: Path, kind: StoreType, by: int) -> None:
    """D.25: five minutes after a sweep the next one is due, not a moment earlier; a clock that was set back does not stop it."""
    location = made(tmp_path, kind, {CRON: aged(MS_PER_HOUR, "a"), HOOK: aged(2 * MS_PER_HOUR, "b")})
    assert swept(tmp_path, location) == 0
    assert swept(tmp_path, location, NOW_MS + SWEEP_EVERY_MS + by) == (-1 if by < 0 else 2)
    assert swept(tmp_path, location, NOW_MS - 1) == 0
    assert len(content(location)) == (2 if by < 0 else 0)
