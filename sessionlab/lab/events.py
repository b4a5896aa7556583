"""The transcripts' events in the mirror: taken over from the old mirror where nothing changed, read where something did.

Each event of a conversation counts once: a fork begins with verbatim copies of its parent's events, and those are marked.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from sessionlab.errors import StoreError
from sessionlab.lab.collect import AgentSnapshot, TranscriptSource
from sessionlab.lab.columns import LABEL_COLUMNS, EventBatch, Label, ParseJob, TranscriptFacts, parse
from sessionlab.lab.copies import mark_copies
from sessionlab.lab.insert import insert_events, insert_rows, shown_path
from sessionlab.lab.load_plan import ReadingPlan
from sessionlab.lab.transcript_problems import transcript_problems
from sessionlab.lab.workers import parse_all
from sessionlab.stores.base import Problem, SessionStore
from sessionlab.stores.transcript_store import StoredTranscript, TranscriptStore
from sessionlab.transcripts import Event, decode, read

if TYPE_CHECKING:
    import duckdb

_STORED_BATCH_BYTES: Final = 24 << 20
_INSERT_ROWS: Final = 60_000
"""How many events are collected for one INSERT: each statement costs as much as some ten thousand rows, and the last one is waited for."""

_WHAT_READING_SHOWS: Final = ("events", "bad_lines", "first_ms", "last_ms", "parent_session")
"""The columns of `transcripts` that are not known before."""


@dataclass(slots=True)
class LoadedEvents:
    """What loading the events showed.

    Attributes:
        problems: What is wrong with transcripts, by agent.
        transcripts_read: How many were read, the others having been taken over.
    """

    problems: dict[str, list[Problem]] = field(default_factory=dict)
    transcripts_read: int = 0


@dataclass(frozen=True, slots=True)
class _Numbered:
    """A source with its number in the mirror, and where its agent's bytes are."""

    transcript_id: int
    agent_id: str
    source: TranscriptSource
    store: SessionStore


def load_events(
    con: duckdb.DuckDBPyConnection,
    snapshots: Sequence[tuple[AgentSnapshot, SessionStore]],
    *,
    plan: ReadingPlan,
    early: Iterator[EventBatch],
    root: Path,
    has_old: bool,
    racy_after_ns: int,
    on_progress: Callable[[str, int, int], None] | None,
) -> LoadedEvents:
    """Fill `transcripts` and `events`.

    Args:
        con: The mirror; with `has_old` the old one is attached as `old`.
        snapshots: Every agent with its open store.
        plan: The transcript files' numbers, and which of them are being read already.
        early: The batches of those.
        root: The folder that is loaded; the old mirror shows the paths of its problems relative to it.
        has_old: Whether there is an old mirror to take unchanged transcripts from.
        racy_after_ns: Files changed later than this are read again next time, whatever their time says then.
        on_progress: Called with the bytes read so far.
    """
    further = itertools.count(len(plan.numbers) + 1)
    sources = [
        _Numbered(plan.numbers.get(source.path) or next(further), snapshot.location.agent_id, source, store)
        for snapshot, store in snapshots
        for source in snapshot.sources
    ]
    _note_sources(con, sources, root)
    result = LoadedEvents(problems={snapshot.location.agent_id: [] for snapshot, _ in snapshots})
    reused = _take_over(con, result) if has_old else set()
    fresh = [one for one in sources if one.transcript_id not in reused]
    result.transcripts_read = len(fresh)
    facts: dict[int, TranscriptFacts] = {}
    done, total = 0, sum(one.source.bytes for one in fresh)
    by_id = {one.transcript_id: one for one in fresh}
    waiting: list[EventBatch] = []
    labels = _labels(con)
    late = [one for one in fresh if one.transcript_id not in plan.started]
    for batch in itertools.chain(early, _batches(late, snapshots, result)):
        waiting.append(batch)
        if sum(len(one.columns["seq"]) for one in waiting) >= _INSERT_ROWS:
            insert_events(con, waiting, labels)
            waiting = []
        for found in batch.facts:
            facts[found.transcript_id] = found
            done += by_id[found.transcript_id].source.bytes if found.transcript_id in by_id else 0
        if on_progress is not None:
            on_progress("reading transcripts", done, total)
    if waiting:
        insert_events(con, waiting, labels)
    # A time that may still change must not look settled to the next load, nor must a transcript that could not be read: one in
    # cold storage may be put back without a change of the database.
    broken = {problem.path for problems in result.problems.values() for problem in problems if problem.severity == "error"}
    unsettled = {
        one.transcript_id
        for one in fresh
        if one.source.mtime_ns > racy_after_ns or one.source.path in broken or facts[one.transcript_id].error is not None
    }
    _insert_transcripts(con, [facts[one.transcript_id] for one in fresh], unsettled=unsettled)
    for one in fresh:
        result.problems[one.agent_id] += transcript_problems(one.source, facts[one.transcript_id])
    mark_copies(con, reused=reused, has_old=has_old, events_of=_reader(sources))
    return result


def _labels(con: duckdb.DuckDBPyConnection) -> dict[Label, int]:
    """Return the codes of the labels that the mirror holds."""
    columns = ", ".join(LABEL_COLUMNS)
    return {tuple(label): code for code, *label in con.execute(f"SELECT label, {columns} FROM event_labels").fetchall()}


def _note_sources(con: duckdb.DuckDBPyConnection, sources: Sequence[_Numbered], root: Path) -> None:
    """Make the temporary table of all that is known of the transcripts before they are read, and how their paths are shown."""
    known = f"* EXCLUDE ({', '.join(_WHAT_READING_SHOWS)})"
    con.execute(f"CREATE OR REPLACE TEMP TABLE seen_transcripts AS SELECT {known}, path AS shown FROM transcripts")
    insert_rows(
        con,
        "seen_transcripts",
        text={
            "agent_id": [one.agent_id for one in sources],
            "session_key": [one.source.session_key for one in sources],
            "session_id": [one.source.session_id for one in sources],
            "source": [one.source.source for one in sources],
            "path": [one.source.path for one in sources],
            "shown": [shown_path(one.source.path, root) for one in sources],
        },
        numbers={
            "transcript_id": [one.transcript_id for one in sources],
            "bytes": [one.source.bytes for one in sources],
            "mtime_ns": [one.source.mtime_ns for one in sources],
            "is_orphan": [one.source.is_orphan for one in sources],
            "is_in_store": [one.source.in_store for one in sources],
        },
    )


def _take_over(con: duckdb.DuckDBPyConnection, result: LoadedEvents) -> set[int]:
    """Copy unchanged transcripts from the old mirror, with their events and problems; return their numbers."""
    con.execute(
        """
        CREATE OR REPLACE TEMP TABLE reused AS
        SELECT seen.transcript_id, previous.transcript_id AS old_id, previous.agent_id AS old_agent_id,
               seen.agent_id, seen.session_key, seen.path, seen.shown, seen.is_orphan
        FROM seen_transcripts AS seen JOIN old.transcripts AS previous USING (path, bytes, mtime_ns)
        WHERE mtime_ns > 0
        """
    )
    con.execute(
        """
        INSERT INTO transcripts BY NAME
        SELECT previous.* REPLACE (
          reused.transcript_id AS transcript_id, reused.agent_id AS agent_id, reused.session_key AS session_key,
          reused.is_orphan AS is_orphan)
        FROM reused JOIN old.transcripts AS previous ON previous.transcript_id = reused.old_id
        """
    )
    con.execute(
        """
        INSERT INTO event_rows BY NAME
        SELECT previous.* REPLACE (reused.transcript_id AS transcript_id)
        FROM reused JOIN old.event_rows AS previous ON previous.transcript_id = reused.old_id
        """
    )
    con.execute("INSERT INTO event_labels FROM old.event_labels")
    rows = con.execute(
        """
        SELECT reused.agent_id, severity, code, message, reused.path, line, reused.session_key, advice, count
        FROM old.problems AS problems JOIN reused ON problems.agent_id = reused.old_agent_id AND problems.path = reused.shown
        """
    ).fetchall()
    for agent_id, severity, code, message, path, line, key, advice, count in rows:
        problem = Problem(code=code, severity=severity, message=message, path=path, line=line, key=key, advice=advice, count=count)
        result.problems[agent_id].append(problem)
    return {transcript_id for (transcript_id,) in con.execute("SELECT transcript_id FROM reused").fetchall()}


def _batches(
    late: Sequence[_Numbered], snapshots: Sequence[tuple[AgentSnapshot, SessionStore]], result: LoadedEvents
) -> Iterator[EventBatch]:
    """Yield the events of the transcripts that are not being read yet: files, then what lies inside databases."""
    files = [one for one in late if not one.source.in_store]
    yield from parse_all([ParseJob(one.transcript_id, one.source.path, one.source.bytes) for one in files])
    for snapshot, store in snapshots:
        stored = {one.source.path: one for one in late if one.source.in_store and one.store is store}
        if stored:
            yield from _stored_batches(snapshot, store, stored, result)


def _stored_batches(
    snapshot: AgentSnapshot, store: SessionStore, stored: dict[str, _Numbered], result: LoadedEvents
) -> Iterator[EventBatch]:
    """Yield the events that lie in one database."""
    if not isinstance(store, TranscriptStore):
        raise TypeError(f"{store.kind} holds no transcripts")
    jobs: list[ParseJob] = []
    room = _STORED_BATCH_BYTES
    for transcript, data in store.iter_transcript_buffers():
        one = stored.pop(f"{snapshot.location.path}#{transcript.name}", None)
        if one is None:
            continue
        result.problems[one.agent_id] += [msgspec.structs.replace(problem, path=one.source.path) for problem in transcript.problems]
        jobs.append(ParseJob(one.transcript_id, one.source.path, len(data), data))
        room -= len(data)
        if room <= 0:
            yield parse(jobs)
            jobs, room = [], _STORED_BATCH_BYTES
    # Listed but not delivered: an empty one.
    jobs += [ParseJob(one.transcript_id, one.source.path, 0, b"") for one in stored.values()]
    yield parse(jobs)


def _insert_transcripts(con: duckdb.DuckDBPyConnection, found: Collection[TranscriptFacts], *, unsettled: set[int]) -> None:
    """Insert the transcripts that were read; the next load reads those again whose number is in `unsettled`."""
    if not found:
        return
    columns = ", ".join(("transcript_id", "mtime_ns AS unsettled", *_WHAT_READING_SHOWS))
    con.execute(f"CREATE OR REPLACE TEMP TABLE read_transcripts AS SELECT {columns} FROM transcripts WHERE FALSE")
    insert_rows(
        con,
        "read_transcripts",
        text={"parent_session": [facts.parent_session for facts in found]},
        numbers={
            "transcript_id": [facts.transcript_id for facts in found],
            "unsettled": [facts.transcript_id in unsettled for facts in found],
            "events": [facts.events for facts in found],
            "bad_lines": [facts.bad_lines for facts in found],
            "first_ms": [facts.first_ms for facts in found],
            "last_ms": [facts.last_ms for facts in found],
        },
    )
    con.execute(
        """
        INSERT INTO transcripts BY NAME
        SELECT seen.* EXCLUDE (shown) REPLACE (CASE WHEN unsettled = 1 THEN 0 ELSE mtime_ns END AS mtime_ns),
               events, bad_lines, first_ms, last_ms, parent_session
        FROM seen_transcripts AS seen JOIN read_transcripts USING (transcript_id) ORDER BY transcript_id
        """
    )


def _reader(sources: Sequence[_Numbered]) -> Callable[[int], Iterator[Event]]:
    """Return what reads one transcript's events again by its number: only families of forks need it."""
    by_number = {one.transcript_id: one for one in sources}
    listed: dict[int, dict[str, StoredTranscript]] = {}

    def events_of(transcript_id: int) -> Iterator[Event]:
        one = by_number[transcript_id]
        return _stored_events(one, listed) if one.source.in_store else _file_events(one.source)

    return events_of


def _file_events(source: TranscriptSource) -> Iterator[Event]:
    try:
        for piece in read(Path(source.path), limit_bytes=source.bytes):
            yield from piece.events
    except StoreError:
        return  # reported when it was read for its events


def _stored_events(one: _Numbered, listed: dict[int, dict[str, StoredTranscript]]) -> Iterator[Event]:
    """Read one transcript of a database; `listed` keeps each database's list, as making it reads every row."""
    if not isinstance(one.store, TranscriptStore):
        return
    if id(one.store) not in listed:
        listed[id(one.store)] = {transcript.name: transcript for transcript in one.store.transcripts()}
    transcript = listed[id(one.store)].get(one.source.path.rpartition("#")[2])
    if transcript is not None:
        lines = [line if isinstance(line, bytes) else b"" for line in one.store.transcript_lines(transcript)]
        yield from decode(b"\n".join([*lines, b""])).events
