"""Events as columns: decoded transcript lines to arrays that DuckDB takes over without a row ever being built.

Owns the hot path of a load. What an event says in words becomes one small code, for there are few combinations; absent numbers become
`ABSENT`.
It reads transcripts and nothing else, so that a worker process can run it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from sessionlab.errors import StoreError
from sessionlab.transcripts import BadLine, Decoded, Event, decode, decode_plain, line_sizes, read

Column = npt.NDArray[np.int64] | npt.NDArray[np.int32]
Label = tuple[str, str | None, str | None, str | None, str | None, bool | None]

ABSENT: Final[int] = -(1 << 63)
"""Stands for NULL in integer columns."""

_LATEST: Final[int] = (1 << 63) - 1

LABEL_COLUMNS: Final = ("type", "role", "provider", "model", "tool", "is_error")
"""What a label is made of, in this order; all text but the last, which is a boolean."""

NUMBER_COLUMNS: Final = (
    "label",
    "transcript_id",
    "seq",
    "time_ms",
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "total_tokens",
    "cost_microusd",
    "bytes",
)
_USAGE: Final = ("input", "output", "cache_read", "cache_write", "total")
_STAMP_BYTES: Final = 24  # YYYY-MM-DDTHH:MM:SS.mmmZ
_MAX_BAD_LINES: Final = 100
_SMALL_BYTES: Final = 1 << 20
_TOGETHER_BYTES: Final = 512 << 10
"""Small transcripts are decoded by the half megabyte: calls are saved, and what is built still lies in the cache when it is taken apart."""


class ParseJob(msgspec.Struct, frozen=True, gc=False):
    """One transcript to read: either a file, of which `limit_bytes` were there when it was looked at, or bytes at hand."""

    transcript_id: int
    path: str
    limit_bytes: int
    data: bytes | None = None


@dataclass(slots=True)
class TranscriptFacts:
    """What reading one transcript showed.

    Attributes:
        transcript_id: The job's.
        events: How many events were read.
        first_ms: Time of the first event (the header: when the session was born), or of the earliest one when that has none.
        last_ms: Time of the latest event.
        bad: The first `_MAX_BAD_LINES` lines set aside.
        bad_lines: How many lines were set aside; an unfinished last line is not one of them.
        odd_lines: How many events hold a field of the wrong type.
        untimed: How many events have no readable time.
        parent_session: The parent that the header names, for a fork.
        error: Why the transcript could not be read at all, or to its end.
    """

    transcript_id: int
    events: int = 0
    first_ms: int | None = None
    last_ms: int | None = None
    bad: list[BadLine] = field(default_factory=list)
    bad_lines: int = 0
    odd_lines: int = 0
    untimed: int = 0
    parent_session: str | None = None
    error: str | None = None


@dataclass(slots=True)
class EventBatch:
    """The events of several transcripts, one array for each of `NUMBER_COLUMNS`; `label` holds places in `labels`."""

    columns: dict[str, Column]
    labels: list[Label]
    facts: list[TranscriptFacts]


class _Codes(dict[Label, int]):
    """Label -> code, growing."""

    def __missing__(self, label: Label) -> int:
        code = len(self)
        self[label] = code
        return code


def parse(jobs: Iterable[ParseJob]) -> EventBatch:
    """Read transcripts into one batch, in the order of `jobs`. One that cannot be read gives facts with an error, never an exception."""
    builder = _Builder()
    together = _Together()
    for job in jobs:
        if together.is_full:
            together.pour(builder)
        if not together.take(job):
            together.pour(builder)
            builder.add_job(job)
    together.pour(builder)
    return builder.batch()


class _Together:
    """Small transcripts that are decoded in one call, behind one another in a buffer that is used again and again."""

    def __init__(self) -> None:
        self._buffer = bytearray(_TOGETHER_BYTES + _SMALL_BYTES)
        self._room = memoryview(self._buffer)
        self._used = 0
        self._taken: list[tuple[ParseJob, int]] = []

    @property
    def is_full(self) -> bool:
        return self._used >= _TOGETHER_BYTES

    def take(self, job: ParseJob) -> bool:
        """Read a transcript into the buffer when it is worth it: a plain small file, as far as a look tells."""
        if job.data is not None or job.limit_bytes > _SMALL_BYTES or not job.path.endswith(".jsonl"):
            return False
        try:
            descriptor = os.open(job.path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                size = os.readv(descriptor, [self._room[self._used : self._used + job.limit_bytes]])
            finally:
                os.close(descriptor)
        except OSError:
            return False  # met again, and worded, by who reads it alone
        end = self._used + size
        if size == 0 or self._buffer[end - 1] != ord("\n"):
            return False
        self._used = end
        self._taken.append((job, end))
        return True

    def pour(self, builder: _Builder) -> None:
        """Give the builder all that was taken."""
        if self._taken:
            builder.add_together(self._room[: self._used], self._taken)
        self._used, self._taken = 0, []


def event_times(stamps: Sequence[str | None]) -> npt.NDArray[np.int64]:
    """Return the epoch milliseconds of ISO 8601 UTC times; `ABSENT` for what is none.

    The usual form, `2026-11-20T08:15:30.123Z`, is taken apart for all at once; others one by one.
    """
    if not stamps:
        return np.empty(0, np.int64)
    try:
        text = np.array([stamp or "" for stamp in stamps], dtype="S25")  # one longer, so that a longer text does not look like the form
    except UnicodeEncodeError:
        text = np.array([(stamp or "").encode("utf-8", "replace") for stamp in stamps], dtype="S25")
    codes = text.view(np.uint8).reshape(len(stamps), _STAMP_BYTES + 1)
    digits = codes - np.uint8(ord("0"))  # below "0" wraps around to more than 9
    usual = codes[:, _STAMP_BYTES] == 0
    for place, character in enumerate("dddd-dd-ddTdd:dd:dd.dddZ"):
        usual &= digits[:, place] <= 9 if character == "d" else codes[:, place] == ord(character)
    year = _number(digits, 0, 2) * 100 + _number(digits, 2, 2)
    month, day, hour, minute, second = (_number(digits, place, 2) for place in (5, 8, 11, 14, 17))
    usual &= (
        (year >= 1)
        & (month >= 1)
        & (month <= 12)
        & (day >= 1)
        & (day <= _days_in(year, month))
        & (hour < 24)
        & (minute < 60)
        & (second < 60)
    )
    seconds = (hour * 60 + minute) * 60 + second
    days = np.asarray(_days_from_civil(year, month, day), np.int64)
    times = np.asarray((days * 86_400 + seconds) * 1000 + _number(digits, 20, 3), np.int64)
    for place in np.flatnonzero(~usual).tolist():
        times[place] = _time_of(stamps[place])
    return times


class _Builder:
    """Collects plain lists transcript by transcript, while the structs are in cache, and makes arrays of all of them once at the end."""

    def __init__(self) -> None:
        self.codes = _Codes()
        self.facts: list[TranscriptFacts] = []
        self.starts: list[int] = []
        self.stamps: list[str | None] = []
        self.sizes: list[npt.NDArray[np.int64]] = []
        self.labels: list[int] = []
        self.usage_places: list[int] = []
        self.usages: list[list[int]] = [[] for _ in _USAGE]
        self.costs: list[int] = []

    def add_job(self, job: ParseJob) -> None:
        """Read and append one transcript, however large or damaged."""
        facts = self._open(job)
        try:
            for piece in (decode(job.data),) if job.data is not None else read(Path(job.path), limit_bytes=job.limit_bytes):
                self._add(piece, facts)
        except StoreError as error:
            facts.error = error.reason

    def add_together(self, data: memoryview, jobs: list[tuple[ParseJob, int]]) -> None:
        """Append several small transcripts, decoded in one call; one by one when any of their lines is not beyond doubt.

        Args:
            data: All of them.
            jobs: Each with the place where it ends.
        """
        plain = decode_plain(data)
        if plain is None:
            start = 0
            for job, end in jobs:
                self._add(decode(bytes(data[start:end])), self._open(job))
                start = end
            return
        events, ends = plain
        first = 0
        for (job, _), last in zip(jobs, np.searchsorted(ends, [end for _, end in jobs]).tolist(), strict=True):
            facts = self._open(job, after=first)
            facts.events = last - first
            facts.parent_session = events[first].parent_session
            first = last
        self._add_events(events)
        self.sizes.append(line_sizes(ends))

    def _open(self, job: ParseJob, *, after: int = 0) -> TranscriptFacts:
        """Begin the next transcript, `after` so many events that are still to be added."""
        facts = TranscriptFacts(job.transcript_id)
        self.facts.append(facts)
        self.starts.append(len(self.stamps) + after)
        return facts

    def _add(self, piece: Decoded, facts: TranscriptFacts) -> None:
        """Append the current transcript's next piece."""
        events = piece.events
        facts.bad += piece.bad[: _MAX_BAD_LINES - len(facts.bad)]
        facts.bad_lines += sum(not line.is_unfinished for line in piece.bad)
        facts.odd_lines += len(piece.odd)
        if not events:
            return
        if facts.events == 0:
            facts.parent_session = events[0].parent_session
        facts.events += len(events)
        self._add_events(events)
        self.sizes.append(np.asarray(piece.sizes, np.int64))

    def batch(self) -> EventBatch:
        """Return everything collected as arrays."""
        count = len(self.stamps)
        times = event_times(self.stamps)
        starts = np.array(self.starts, np.int64)
        lengths = np.diff(starts, append=count)
        _add_times([facts for facts, length in zip(self.facts, lengths.tolist(), strict=True) if length], starts[lengths > 0], times)
        usage_places = np.array(self.usage_places, np.int64)
        ids = np.array([facts.transcript_id for facts in self.facts], np.int64)
        columns: dict[str, Column] = {
            "label": np.array(self.labels, np.int32),
            "transcript_id": np.repeat(ids, lengths),
            "seq": np.arange(count, dtype=np.int64) - np.repeat(starts, lengths),
            "time_ms": times,
            **{f"{name}_tokens": _spread(values, usage_places, count) for name, values in zip(_USAGE, self.usages, strict=True)},
            "cost_microusd": _spread(self.costs, usage_places, count),
            "bytes": np.concatenate(self.sizes) if self.sizes else np.empty(0, np.int64),
        }
        return EventBatch(columns, list(self.codes), self.facts)

    def _add_events(self, events: list[Event]) -> None:
        codes = self.codes
        base = len(self.stamps)
        self.stamps += [event.timestamp for event in events]
        self.labels += [
            codes[event.type, message.role, message.provider, message.model, message.tool_name, message.is_error]
            if (message := event.message) is not None
            else codes[event.type, None, None, None, None, None]
            for event in events
        ]
        used = [
            (base + place, usage.input, usage.output, usage.cache_read, usage.cache_write, usage.total, usage.cost)
            for place, event in enumerate(events)
            if (message := event.message) is not None and (usage := message.usage) is not None
        ]
        if not used:
            return
        places, *counts, costs = zip(*used, strict=True)
        self.usage_places += places
        for column, values in zip(self.usages, counts, strict=True):
            column.extend([ABSENT if value is None else value for value in values] if None in values else values)
        totals = [cost.total if cost is not None else None for cost in costs]
        self.costs += [ABSENT if total is None else round(total * 1_000_000) for total in totals]


def _add_times(transcripts: list[TranscriptFacts], starts: npt.NDArray[np.int64], times: npt.NDArray[np.int64]) -> None:
    """Fill in what the event times say of transcripts that have events; each begins at its place of `starts`."""
    if not transcripts:
        return
    is_absent = times == ABSENT
    untimed = np.add.reduceat(is_absent, starts, dtype=np.int64).tolist()
    first = np.where(is_absent[starts], np.minimum.reduceat(np.where(is_absent, _LATEST, times), starts), times[starts]).tolist()
    last = np.maximum.reduceat(times, starts).tolist()  # nothing is less than ABSENT
    for facts, *found in zip(transcripts, untimed, first, last, strict=True):
        facts.untimed, facts.first_ms, facts.last_ms = found
        if facts.last_ms == ABSENT:
            facts.first_ms = facts.last_ms = None


def _spread(values: list[int], places: npt.NDArray[np.int64], count: int) -> npt.NDArray[np.int64]:
    """Return a column of `count` values that holds `values` at `places` and `ABSENT` elsewhere."""
    column = np.full(count, ABSENT, np.int64)
    column[places] = values
    return column


def _time_of(stamp: str | None) -> int:
    """Return the epoch milliseconds of one ISO time in any form that Python reads; without a zone it is UTC."""
    if not stamp:
        return ABSENT
    try:
        moment = datetime.fromisoformat(stamp)
    except ValueError:
        return ABSENT
    moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1000)


def _number(digits: npt.NDArray[np.uint8], place: int, length: int) -> npt.NDArray[np.int32]:
    """Return the decimal numbers that stand at `place` of each row."""
    value = digits[:, place].astype(np.int32)
    for next_place in range(place + 1, place + length):
        value = value * 10 + digits[:, next_place]
    return value


def _days_in(year: npt.NDArray[np.int32], month: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    leap = ((year % 4 == 0) & (year % 100 != 0)) | (year % 400 == 0)
    lengths = np.array([0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31], np.int32)
    return np.asarray(lengths[np.minimum(month, 12)] + ((month == 2) & leap), np.int32)


def _days_from_civil(year: npt.NDArray[np.int32], month: npt.NDArray[np.int32], day: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """Return days since 1970-01-01 of proleptic Gregorian dates, counting years from March so that leap days come last."""
    shifted = year - (month <= 2)
    day_of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    return np.asarray(shifted * 365 + shifted // 4 - shifted // 100 + shifted // 400 + day_of_year - 719_468, np.int32)
