"""What the growth gate measures and judges: rates, boundaries, and what a store's entries cannot tell."""

from __future__ import annotations

import datetime as dt
import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from sessionlab.entry import SessionSummary
from sessionlab.errors import UsageError
from sessionlab.maintenance.growth import Finding, Measured, judge, measure, measure_store
from sessionlab.maintenance.growth_limits import GrowthLimits, parse_percent, parse_rate
from sessionlab.stores import locate
from sessionlab.units import MS_PER_DAY
from tests.fixture_states import STATES, own_state, photo, shared_state
from tests.maintenance.test_apply import NOW_MS, entry, every_kind, made

RATES = {
    "20%/week": (20, 7),
    "5 % per Day": (5, 1),
    "1.5%/month": (1.5, 30),
    "100%/year": (100, 365),
    "10%/90d": (10, 90),
    "10%/90": (10, 90),
    "0%/12h": (0, 0.5),
}


@pytest.mark.parametrize(("text", "expected"), RATES.items())
def test_rate_is_percent_in_a_period(text: str, expected: tuple[float, float]) -> None:
    rate = parse_rate(text)
    assert (float(rate.percent), rate.period_ms / MS_PER_DAY) == expected


@pytest.mark.parametrize(
    "text", ["", "20%", "20/week", "20%/fortnight", "-5%/week", "5%/0d", "5%/week/week", "%/week", "1" * 99 + "%/week"]
)
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is no rate; write percent and a period"):
        parse_rate(text)


def test_percentage_is_taken_with_or_without_its_sign() -> None:
    assert [parse_percent(text) for text in ("50%", " 12.5 % ", "0")] == [50, Fraction(25, 2), 0]
    for text in ("half", "-1%", "50%%", "5" * 99):
        with pytest.raises(UsageError, match="is no percentage"):
            parse_percent(text)


def measured(**figures: int) -> Measured:
    names = [name for name in Measured.__slots__ if name != "agent_id"]
    return Measured(agent_id="main", **(dict.fromkeys(names, 0) | figures))


def verdict(found: Measured, **limits: Any) -> Finding:
    (finding,) = judge(found, GrowthLimits(**limits))
    return finding


WEEKLY = parse_rate("20%/week")


@pytest.mark.parametrize(
    ("figures", "expected", "shown"),
    [
        ({"sessions": 120, "new": 20}, "ok", "+20% sessions, +0% bytes"),
        ({"sessions": 121, "new": 21}, "breach", "+21% sessions, +0% bytes"),
        ({"sessions": 60_001, "new": 10_001}, "breach", "+20.002% sessions, +0% bytes"),
        ({"sessions": 10, "new": 1, "bytes": 120, "new_bytes": 20}, "ok", "+11.11% sessions, +20% bytes"),
        ({"sessions": 10, "new": 1, "bytes": 121, "new_bytes": 21}, "breach", "+11.11% sessions, +21% bytes"),
        ({"sessions": 3, "new": 3}, "unknown", "not known"),
        ({"sessions": 120, "new": 19, "undated": 1}, "ok", "+18.81% sessions, +0% bytes"),
        ({"sessions": 120, "new": 19, "undated": 2}, "unknown", "+18.81% sessions, +0% bytes"),
        ({"sessions": 120, "undated": 1, "bytes": 120, "undated_bytes": 21}, "unknown", "+0% sessions, +0% bytes"),
        ({"sessions": 120, "new": 21, "undated": 99}, "breach", "+21.21% sessions, +0% bytes"),
        ({"sessions": 4, "undated": 4}, "unknown", "+0% sessions, +0% bytes"),
        ({}, "ok", "+0% sessions, +0% bytes"),
    ],
)
def test_growth_is_new_sessions_and_bytes_against_those_before(figures: dict[str, int], expected: str, shown: str) -> None:
    finding = verdict(measured(**figures), growth=WEEKLY)
    assert (finding.verdict, finding.found, finding.allowed) == (expected, shown, "20%/week")


@pytest.mark.parametrize(("size", "expected"), [(1023, "ok"), (1024, "ok"), (1025, "breach")])
def test_sizes_may_be_what_is_allowed_and_no_more(size: int, expected: str) -> None:
    assert verdict(measured(store_bytes=size, disk_bytes=99_999), store_bytes=1024).verdict == expected
    assert verdict(measured(disk_bytes=size), disk_bytes=1024).verdict == expected


@pytest.mark.parametrize(("stale", "active", "expected"), [(1, 3, "ok"), (2, 4, "ok"), (3, 5, "breach"), (0, 0, "ok")])
def test_stale_part_may_be_what_is_allowed_and_no_more(stale: int, active: int, expected: str) -> None:
    assert verdict(measured(stale=stale, active=active), stale_percent=Fraction(50)).verdict == expected


def test_what_is_beyond_a_limit_looks_so() -> None:
    """50% is not more than 50%, nor are 1.0 KB more than 1.0 KB; what is at a limit, or far from it, is as short as ever."""

    def stale(stale: int, active: int, limit: str) -> str:
        finding = verdict(measured(stale=stale, active=active), stale_percent=parse_percent(limit))
        return f"{finding.found} of {finding.allowed}"

    assert stale(10_001, 20_001, "50%") == "50.002% of 50%"
    assert stale(9_999, 20_001, "50%") == "49.99% of 50%"
    assert stale(10_000_000_000, 20_000_000_001, "50%") == "49.999999998% of 50%"
    assert stale(1, 2, "50") == "50% of 50%"
    assert stale(1, 3, "33.33333%") == "33.333333% of 33.33333%"
    assert stale(1, 3, "12.125%") == "33.33% of 12.125%"

    def size(found: int, limit: int) -> str:
        finding = verdict(measured(store_bytes=found), store_bytes=limit)
        return f"{finding.found} of {finding.allowed}"

    assert [size(1025, 1024), size(1024, 1024), size(1023, 1024)] == ["1,025 B of 1.0 KB", "1.0 KB of 1.0 KB", "1023 B of 1.0 KB"]
    assert [size(1080, 1079), size(5000, 1079)] == ["1.1 KB of 1,079 B", "4.9 KB of 1,079 B"]
    assert size((2 << 30) + 1, 2 << 30) == "2,147,483,649 B of 2.0 GB"
    assert size(3 << 50, 1 << 50) == "3,072.0 TB of 1,024.0 TB"


def test_every_limit_has_its_finding_in_a_fixed_order() -> None:
    limits = GrowthLimits(growth=WEEKLY, store_bytes=1, disk_bytes=1, stale_percent=Fraction(1))
    assert [one.limit for one in judge(measured(), limits)] == ["max-growth", "max-store", "max-disk", "max-stale"]
    assert judge(measured(), GrowthLimits()) == ()


def test_boundaries_of_age_and_period() -> None:
    """A session is stale when strictly older, as for pruning (D.1); new when it began in the period, its first moment included."""
    week, month = 7 * MS_PER_DAY, 30 * MS_PER_DAY
    ages = {"fresh": 0, "at": month, "over": month + 1}
    sessions = [SessionSummary(key=name, session_id=name, updated_ms=NOW_MS - age) for name, age in ages.items()]
    sessions += [
        SessionSummary(key="silent", session_id="s", updated_ms=None),
        SessionSummary(key="archived", session_id="a", updated_ms=0, archived=True),
    ]
    found = measure(
        "main",
        sessions,
        GrowthLimits(growth=WEEKLY),
        now_ms=NOW_MS,
        began_ms={"fresh": NOW_MS - week, "at": NOW_MS - week - 1, "silent": None},
        sizes={"fresh": 10, "at": 100, "over": 1000, "silent": 7},
        store_bytes=5_000,
        file_bytes=700,
    )
    assert (found.sessions, found.new, found.undated) == (5, 1, 1)
    assert (found.bytes, found.new_bytes, found.undated_bytes) == (1117, 10, 7)
    assert (found.active, found.stale, found.store_bytes, found.disk_bytes) == (4, 1, 5_000, 5_700)


@every_kind
def test_beginning_is_that_of_the_entry_or_of_the_transcripts_first_line(tmp_path: Path, kind: Any) -> None:
    """Of a session that was not updated in the period nothing is read at all."""
    entries = {
        "agent:main:created": entry(1, "a", createdAt=NOW_MS - 40 * MS_PER_DAY),
        "agent:main:window": entry(1, "b", sessionStartedAt=NOW_MS - MS_PER_DAY),
        "agent:main:header": entry(1, "c"),
        "agent:main:header-old": entry(1, "d"),
        "agent:main:started": entry(1, "e", startedAt=NOW_MS - 9 * MS_PER_DAY),
        "agent:main:started-new": entry(1, "f", startedAt=NOW_MS - 2 * MS_PER_DAY),
        "agent:main:nothing": entry(1, "g"),
        "agent:main:broken": entry(1, "h"),
        "agent:main:still": entry(9, "i"),
    }
    location = made(tmp_path, kind, entries)
    lines = {
        "c": '{"type": "session", "timestamp": "2026-11-19T00:00:00.000Z"}',
        "c-topic-5": '{"type": "session", "timestamp": "2026-11-18T00:00:00+01:00"}',
        "d": '{"type": "session", "timestamp": "2026-09-01T00:00:00"}',
        "h": "no JSON",
        "i": '{"type": "session", "timestamp": "2026-11-19T00:00:00.000Z"}',
    }
    for name, line in lines.items():
        (location.sessions_dir / f"{name}.jsonl").write_text(f"{line}\n")
    before = photo(tmp_path)
    found = measure_store(location, GrowthLimits(growth=WEEKLY), now_ms=NOW_MS)
    assert photo(tmp_path) == before
    assert (found.sessions, found.new, found.undated) == (9, 3, 2)
    sizes = [sum(len(lines[name]) + 1 for name in names) for names in ("c", lines)]
    assert found.new_bytes > sizes[0]
    assert found.bytes > sizes[1] + found.new_bytes - 200
    assert found.disk_bytes - found.store_bytes >= sizes[1]


def counted_by_hand(state: Path, since: str) -> tuple[int, int]:
    """Return how many of the JSON era's sessions began since a day, and of how many that were updated since nothing says so."""
    folder = state / "agents/main/sessions"
    entries = json.loads((folder / "sessions.json").read_text())
    since_ms = dt.datetime.fromisoformat(since).replace(tzinfo=dt.UTC).timestamp() * 1000
    began = []
    for one in entries.values():
        if one["updatedAt"] >= since_ms and one.get("startedAt", since_ms) >= since_ms:
            files = [path for path in folder.glob("*.jsonl") if path.name.startswith(one["sessionId"])]
            began.append(min((json.loads(path.read_text().splitlines()[0])["timestamp"] for path in files), default=""))
    return sum(text >= since for text in began), began.count("")


@pytest.mark.parametrize("name", STATES)
def test_real_states_grow_as_counted_by_hand(name: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Every OpenClaw version's store of the same sessions; the JSON era's says only in the transcripts when they began."""
    (location,) = locate(own_state(name, tmp_path_factory, tmp_path))
    found = measure_store(location, GrowthLimits(growth=WEEKLY, stale_after_ms=20 * MS_PER_DAY), now_ms=NOW_MS)
    new, undated = counted_by_hand(shared_state("json-2026.3", tmp_path_factory), "2026-11-13")
    assert (found.sessions, found.active, found.stale) == (65, 65, 5)
    assert (found.new, found.undated) == (new, undated) == (27, 5)
    # The same transcripts, wherever they lie: an import changes some words in them.
    folder = shared_state("json-2026.3", tmp_path_factory) / "agents/main/sessions"
    transcripts = sum(path.stat().st_size for path in folder.glob("*.jsonl"))
    assert 0.95 < found.bytes / (transcripts + found.store_bytes * ("json" in name)) < 1.3
    assert found.new_bytes > 100_000
