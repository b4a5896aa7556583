"""The reaper of cron runs: which sessions it takes, how often it looks, and what a failure costs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sessionlab.errors import CorruptStoreError
from sessionlab.maintenance import reaper
from sessionlab.maintenance.reaper import SWEEP_EVERY_MS, reap
from sessionlab.maintenance.run_folder import maintenance_runs
from sessionlab.maintenance.undo import undo
from sessionlab.settings import StoreType, parse_settings
from sessionlab.stores.location import StoreLocation
from sessionlab.units import MS_PER_DAY, MS_PER_HOUR
from tests.fixture_states import photo
from tests.maintenance.test_apply import NOW_MS, content, entry, every_kind, made

RUN = "agent:main:cron:job-1:run:{}"
HOUR = 1 / 24


@pytest.fixture(autouse=True)
def _forgotten() -> None:
    reaper.forget()


def swept(state: Path, location: StoreLocation, *, hours: float | None = 24, now_ms: int = NOW_MS, force: bool = False) -> reaper.Sweep:
    retention_ms = None if hours is None else round(hours * MS_PER_HOUR)
    return reap(location, retention_ms=retention_ms, now_ms=now_ms, root=state, force=force)


CONFIGURED = {
    "{}": 24,
    '{"cron": {}}': 24,
    '{"cron": {"sessionRetention": "1h"}}': 1,
    '{"cron": {"sessionRetention": "7d"}}': 168,
    '{"cron": {"sessionRetention": "30m"}}': 0.5,
    '{"cron": {"sessionRetention": 3}}': 3,
    '{"cron": {"sessionRetention": false}}': None,
}


@pytest.mark.parametrize(("text", "hours"), CONFIGURED.items())
def test_retention_is_that_of_the_configuration(text: str, hours: float | None) -> None:
    """D.26; what is no duration is an error instead of 24 hours (D.1's table)."""
    found = parse_settings(json.loads(text)).cron_session_retention_ms
    assert found == (None if hours is None else round(hours * MS_PER_HOUR))


@every_kind
def test_only_runs_whose_retention_is_over_are_taken(tmp_path: Path, kind: StoreType) -> None:
    """D.23, D.24: strictly older; without a time as old as can be; not the job itself, nor what only looks like a run."""
    kept = {
        RUN.format("fresh"): entry(23 * HOUR, "a"),
        RUN.format("at-the-boundary"): entry(24 * HOUR, "b"),
        "agent:main:cron:job-1": entry(90, "c"),
        "cron:job-1:run:x": entry(90, "d"),
        "agent:main:slack:cron:job-1:run:x": entry(90, "e"),
        "agent:main:main": entry(90, "f"),
    }
    silent = entry(0, "h")
    del silent["updatedAt"]
    gone = {RUN.format("expired"): entry(25 * HOUR, "g"), RUN.format("silent"): silent}
    location = made(tmp_path, kind, kept | gone, transcripts=("g", "a"))
    found = swept(tmp_path, location)
    assert (found.swept, found.pruned) == (True, 2)
    assert content(location) == kept
    assert sorted(path.name[:8] for path in location.sessions_dir.glob("*.jsonl*")) == ["a.jsonl", "g.jsonl."]
    (run,) = maintenance_runs(tmp_path)
    undo(run)
    assert content(location) == kept | gone


def test_run_that_could_not_be_brought_back_is_left(tmp_path: Path) -> None:
    location = made(tmp_path, "json", {RUN.format("a"): entry(9, "a")})
    location.path.write_text(json.dumps(json.loads(location.path.read_text()) | {RUN.format("b"): {"updatedAt": 1}}))
    plan = reaper.plan_sweep(location, retention_ms=MS_PER_HOUR, now_ms=NOW_MS)
    assert {one.key: (one.action, one.why) for one in plan.entries} == {
        RUN.format("a"): ("prune-stale", ""),
        RUN.format("b"): ("keep", "no way back"),
    }
    assert swept(tmp_path, location).pruned == 1
    assert set(json.loads(location.path.read_text())) == {RUN.format("b")}


def test_a_store_is_swept_once_in_five_minutes(tmp_path: Path) -> None:
    """D.25: each store for itself; a flag bypasses it."""
    entries = {RUN.format(number): entry(number, f"s{number}") for number in range(1, 4)}
    first, second = (made(tmp_path / name, "json", entries) for name in ("a", "b"))
    assert swept(tmp_path / "a", first, hours=60).pruned == 1
    assert not swept(tmp_path / "a", first, now_ms=NOW_MS + SWEEP_EVERY_MS - 1).swept
    assert swept(tmp_path / "b", second, now_ms=NOW_MS + 1).pruned == 3
    assert swept(tmp_path / "a", first, hours=40, now_ms=NOW_MS + 1, force=True).pruned == 1
    assert swept(tmp_path / "a", first, now_ms=NOW_MS + 1 + SWEEP_EVERY_MS).pruned == 1


def test_nothing_is_swept_where_that_is_off(tmp_path: Path) -> None:
    """D.26."""
    location = made(tmp_path, "json", {RUN.format("old"): entry(90, "a")})
    before = photo(tmp_path)
    assert swept(tmp_path, location, hours=None) == reaper.Sweep(swept=False)
    assert photo(tmp_path) == before


def test_a_sweep_that_fails_is_told_and_tried_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """D.28."""
    location = made(tmp_path, "json", {RUN.format("old"): entry(90, "a")})
    good = location.path.read_bytes()
    location.path.write_bytes(good[:-1])
    failed = swept(tmp_path, location)
    assert not failed.swept
    assert isinstance(failed.error, CorruptStoreError)
    assert "cron-run reaper failed" in caplog.text
    assert location.path.read_bytes() == good[:-1]
    location.path.write_bytes(good)
    assert swept(tmp_path, location, now_ms=NOW_MS + 1).pruned == 1


def test_a_sweep_leaves_archives_and_backups_alone(tmp_path: Path) -> None:
    location = made(tmp_path, "json", {RUN.format("old"): entry(90, "a")})
    for number in range(5):
        (location.sessions_dir / f"sessions.json.bak.{number}").write_text("{}")
    before = {path.name for path in location.sessions_dir.glob("*.bak.*")}
    swept(tmp_path, location, hours=MS_PER_DAY / MS_PER_HOUR)
    assert {path.name for path in location.sessions_dir.glob("*.bak.*")} == before
