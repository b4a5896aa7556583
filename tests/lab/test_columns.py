"""Events as columns: times like Python's, money to the micro-dollar, and no value so odd that another one is lost."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionlab import transcripts
from sessionlab.lab.columns import ABSENT, LABEL_COLUMNS, NUMBER_COLUMNS, EventBatch, ParseJob, event_times, parse

USUAL = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z")
MOMENTS = st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(9999, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001  # the zone is beside it


def parsed(*lines: bytes | dict[str, Any]) -> EventBatch:
    data = b"".join((line if isinstance(line, bytes) else json.dumps(line).encode()) + b"\n" for line in lines)
    return parse([ParseJob(1, "t.jsonl", len(data), data)])


def usage(**fields: Any) -> dict[str, Any]:
    return {"type": "message", "timestamp": "2026-11-20T00:00:00.000Z", "message": {"role": "assistant", "usage": fields}}


def numbers(batch: EventBatch, name: str) -> list[int | None]:
    return [None if value == ABSENT else value for value in batch.columns[name].tolist()]


def texts(batch: EventBatch, name: str) -> list[str | None]:
    return [batch.labels[code][LABEL_COLUMNS.index(name)] for code in batch.columns["label"].tolist()]


def by_python(stamp: str | None) -> int:
    """Return the same by the plain way."""
    try:
        moment = datetime.fromisoformat(stamp or "")
    except ValueError:
        return ABSENT
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return round((moment - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(milliseconds=1))


@given(st.lists(MOMENTS, min_size=1, max_size=30))
def test_every_moment_in_the_usual_form_is_read_exactly(moments: list[datetime]) -> None:
    stamps = [f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z".rjust(24, "0") for moment in moments]
    assert event_times(stamps).tolist() == [by_python(stamp) for stamp in stamps]


def test_every_day_from_1970_to_2400_and_the_ends_of_months_to_9999() -> None:
    days = [datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=number) for number in range(157_000)]
    days += [datetime(year, month, 1, tzinfo=UTC) - timedelta(milliseconds=1) for year in range(2401, 10_000, 7) for month in (1, 3, 12)]
    stamps = [day.isoformat(timespec="milliseconds").replace("+00:00", "Z") for day in days]
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    assert event_times(stamps).tolist() == [(day - epoch) // timedelta(milliseconds=1) for day in days]


ODD = st.one_of(
    st.none(),
    st.text(st.characters(exclude_characters="\0"), max_size=30),
    # The usual form with figures that no calendar and no clock has.
    st.from_regex(USUAL, fullmatch=True),
    st.builds(
        lambda moment, spec: moment.isoformat(timespec=spec),
        st.datetimes(timezones=st.none() | st.builds(lambda minutes: timezone(timedelta(minutes=minutes)), st.integers(-800, 800))),
        st.sampled_from(["hours", "minutes", "seconds", "milliseconds"]),
    ),
    st.sampled_from(
        ["2026-11-20T08:15:30Z", "2026-11-20", "20261120T081530Z", "2026-11-20T08:15:30.123ZZ", "\uff12026-11-20T08:15:30.123Z", " "]
    ),
)


@given(st.lists(ODD, max_size=20))
def test_odd_times_are_what_python_says_or_none(stamps: list[str | None]) -> None:
    assert event_times(stamps).tolist() == [by_python(stamp) for stamp in stamps]


def test_no_times_are_no_times() -> None:
    assert event_times([]).tolist() == []
    assert event_times([None, "", "\ud83d", "0000-01-01T00:00:00.000Z"]).tolist() == [ABSENT] * 4


def test_every_column_has_one_value_an_event() -> None:
    batch = parsed({"type": "session"}, usage(input=1), {"type": "custom"})
    assert set(batch.columns) == {*NUMBER_COLUMNS}
    assert {len(column) for column in batch.columns.values()} == {3}
    assert batch.columns["seq"].tolist() == [0, 1, 2]
    assert texts(batch, "type") == ["session", "message", "custom"]
    assert texts(batch, "role") == [None, "assistant", None]


def test_no_jobs_and_empty_transcripts_give_empty_columns() -> None:
    assert all(len(column) == 0 for column in parse([]).columns.values())
    batch = parse([ParseJob(number, "t", 0, b"") for number in (4, 5)])
    assert [(facts.transcript_id, facts.events, facts.first_ms) for facts in batch.facts] == [(4, 0, None), (5, 0, None)]


def test_dollars_become_micro_dollars_by_rounding_each_message_once() -> None:
    batch = parsed(*[usage(cost={"total": total}) for total in (0.1 + 0.2, 0.0000004, 0.0000006, 1.1, 2.675, 0)])
    assert numbers(batch, "cost_microusd") == [300_000, 0, 1, 1_100_000, 2_675_000, 0]


@given(st.lists(st.integers(0, 10**12), max_size=20))
def test_micro_dollars_survive_the_way_through_dollars(amounts: list[int]) -> None:
    assert numbers(parsed(*[usage(cost={"total": amount / 1_000_000}) for amount in amounts]), "cost_microusd") == amounts


def test_a_missing_price_is_absent_and_a_price_of_nothing_is_nothing() -> None:
    batch = parsed(usage(input=1), usage(cost={}), usage(cost={"total": None}), usage(cost={"total": 0}))
    assert numbers(batch, "cost_microusd") == [None, None, None, 0]


WILD = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=3), st.just([]), st.just({})
)


def is_count(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 10**12


@given(st.lists(WILD, min_size=1, max_size=10))
def test_wild_counts_never_crash_never_touch_their_neighbours_and_are_reported(values: list[Any]) -> None:
    batch = parsed(*[usage(input=value, output=7, totalTokens=9) for value in values])
    assert numbers(batch, "input_tokens") == [int(value) if is_count(value) else None for value in values]
    assert numbers(batch, "output_tokens") == [7] * len(values)
    assert numbers(batch, "total_tokens") == [9] * len(values)
    odd = sum(value is not None and not (is_count(value) and isinstance(value, int)) for value in values)
    assert batch.facts[0].odd_lines == odd
    assert batch.facts[0].bad_lines == 0


def test_not_a_number_in_a_line_sets_the_line_aside_and_the_others_count() -> None:
    batch = parsed(usage(input=1), b'{"type":"message","message":{"usage":{"input":NaN}}}', usage(input=2))
    assert numbers(batch, "input_tokens") == [1, 2]
    assert [(bad.number, batch.facts[0].bad_lines) for bad in batch.facts[0].bad] == [(2, 1)]


def test_more_words_than_a_small_integer_holds_stay_apart() -> None:
    batch = parsed(*[{"type": "message", "message": {"toolName": f"tool {number}"}} for number in range(70_000)])
    assert texts(batch, "tool") == [f"tool {number}" for number in range(70_000)]


def test_first_and_last_time_are_the_headers_and_the_latest() -> None:
    batch = parsed(
        {"type": "session", "timestamp": "2026-11-20T00:00:01.000Z"},
        {"type": "a", "timestamp": "2026-11-20T00:00:09.000Z"},
        {"type": "b", "timestamp": "2026-11-20T00:00:00.000Z"},
        {"type": "c", "timestamp": "yesterday"},
    )
    (facts,) = batch.facts
    start = by_python("2026-11-20T00:00:00.000Z")
    assert (facts.first_ms, facts.last_ms, facts.untimed, facts.events) == (start + 1000, start + 9000, 1, 4)
    (headless,) = parsed({"type": "session"}, {"type": "a", "timestamp": "2026-11-20T00:00:09.000Z"}).facts
    assert (headless.first_ms, headless.untimed) == (start + 9000, 1)


def test_only_the_first_hundred_bad_lines_are_kept_and_all_are_counted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(transcripts, "CHUNK_BYTES", 64)
    path = tmp_path / "t.jsonl"
    path.write_bytes(b"{oops}\n" * 250 + b'{"type":"session"}\n{"un')
    (facts,) = parse([ParseJob(1, str(path), path.stat().st_size)]).facts
    assert (len(facts.bad), facts.bad_lines, facts.events) == (100, 250, 1)
    assert [bad.number for bad in facts.bad] == list(range(1, 101))


def test_a_transcript_that_cannot_be_read_gives_facts_with_the_reason_and_the_others_are_read(tmp_path: Path) -> None:
    (tmp_path / "folder.jsonl").mkdir()
    good = tmp_path / "good.jsonl"
    good.write_bytes(b'{"type":"session"}\n')
    batch = parse(
        [ParseJob(1, str(tmp_path / "gone.jsonl"), 5), ParseJob(2, str(tmp_path / "folder.jsonl"), 5), ParseJob(3, str(good), 99)]
    )
    assert [(facts.transcript_id, facts.events, facts.error is None) for facts in batch.facts] == [
        (1, 0, False),
        (2, 0, False),
        (3, 1, True),
    ]
    assert batch.columns["transcript_id"].tolist() == [3]


def test_columns_of_several_pieces_are_those_of_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_bytes(b"".join(json.dumps(usage(input=number, output=number % 3 or None)).encode() + b"\n" for number in range(60)))
    job = ParseJob(1, str(path), path.stat().st_size)
    at_once = parse([job])
    monkeypatch.setattr(transcripts, "CHUNK_BYTES", 150)
    in_pieces = parse([job, job])
    for name in NUMBER_COLUMNS:
        assert np.array_equal(in_pieces.columns[name], np.tile(at_once.columns[name], 2))
