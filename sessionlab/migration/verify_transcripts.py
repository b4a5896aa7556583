"""The transcripts of one agent, wherever they lie, and comparing those of two sides.

Files, compressed archives and what lies in a database are all transcripts; an event is the same wherever it lies.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from sessionlab import layout, transcripts
from sessionlab.errors import CorruptStoreError, UnreadableError
from sessionlab.migration.verify_events import Events, Line, compare_events, named
from sessionlab.migration.verify_result import Tally, What
from sessionlab.stores.base import Problem, SessionStore
from sessionlab.stores.location import StoreLocation
from sessionlab.stores.transcript_store import StoredTranscript, TranscriptStore


@dataclass(frozen=True, slots=True)
class Held:
    """One transcript of a side.

    Attributes:
        name: Its file name, without `.zst`; what lies in a database has the name that the JSON era would give it.
        session_id: Whose.
        source: "live", "archive-deleted" or "archive-reset"; what lies in cold storage is live.
        where: The file, or the transcript in the store.
    """

    name: str
    session_id: str
    source: str
    where: Path | StoredTranscript

    def lines(self, store: SessionStore | None) -> Iterator[Line]:
        """Yield its lines; of what cannot be read, why."""
        if isinstance(self.where, Path):
            yield from file_lines(self.where)
        elif isinstance(store, TranscriptStore):
            yield from stored_lines(store, self.where)


def file_lines(path: Path) -> Generator[Line]:
    """Yield the lines of a transcript file; where it cannot be read on, a line that says why."""
    number = 0
    try:
        for data in transcripts.lines(path):
            number += 1
            yield Line(number, data)
    except (CorruptStoreError, UnreadableError) as error:
        yield Line(number + 1, b"", error.reason)


def stored_lines(store: TranscriptStore, transcript: StoredTranscript) -> Iterator[Line]:
    """Yield the lines of a transcript in a database; of an event that cannot be read, why."""
    for number, data in enumerate(store.transcript_lines(transcript), start=1):
        yield Line(number, b"", data.message) if isinstance(data, Problem) else Line(number, data)


def held_transcripts(location: StoreLocation | None, store: SessionStore | None) -> dict[str, Held]:
    """Return the transcripts of one agent by name: those in its database, then the files that do not repeat one of them.

    Copies that OpenClaw makes of a transcript (backups, checkpoints, trajectories) are none.

    Raises:
        UnreadableError: The folder cannot be listed.
        CorruptStoreError: The database cannot be read.
    """
    found: dict[str, Held] = {}
    if isinstance(store, TranscriptStore):
        for one in store.transcripts():
            name = f"{one.session_id}.jsonl" if one.source in ("live", "cold") else one.name.removesuffix(".zst")
            if one.source != "cold" or one.events:  # a cold copy of what is live, too, counts once
                found[name] = Held(name, one.session_id, "live" if one.source == "cold" else one.source, one)
    if location is not None:
        for path in _files(location.sessions_dir):
            parsed = layout.parse_transcript_name(path.name)
            name = path.name.removesuffix(".zst")
            if parsed is not None and name not in found:
                found[name] = Held(name, parsed.session_id, parsed.source, path)
    return found


def _files(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as listing:
            return [Path(entry.path) for entry in sorted(listing, key=lambda entry: entry.name) if entry.is_file()]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise UnreadableError(folder, f"cannot be listed ({error.strerror})") from error


def compare_transcripts(
    tally: Tally, agent_id: str, a: tuple[StoreLocation | None, SessionStore | None], b: tuple[StoreLocation | None, SessionStore | None]
) -> None:
    """Compare the transcripts of one agent on both sides and note what differs."""
    held_a, held_b = held_transcripts(*a), held_transcripts(*b)
    pairs = paired(held_a, held_b)
    tally.transcripts += len(held_a)
    for name, one in held_a.items():
        other = held_b.get(pairs.get(name, ""))
        if other is None:
            tally.add(agent_id, "transcript", "missing", name)
        else:
            _note(tally, agent_id, name, compare_events(one.lines(a[1]), other.lines(b[1])))
    for name in held_b.keys() - set(pairs.values()):
        tally.add(agent_id, "transcript", "extra", name)


def paired(a: Mapping[str, Held], b: Mapping[str, Held]) -> dict[str, str]:
    """Return which transcript of B is which of A: that of the same name, else one of the same session and kind.

    A database knows no topic in a name: `<id>-topic-7.jsonl` is `<id>.jsonl` there.
    """
    pairs = {name: name for name in a if name in b}
    waiting: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for name in sorted(b.keys() - pairs.keys(), reverse=True):
        waiting[b[name].session_id, b[name].source].append(name)
    for name in sorted(a.keys() - pairs.keys()):
        same = waiting.get((a[name].session_id, a[name].source))
        if same:
            pairs[name] = same.pop()
    return pairs


def _note(tally: Tally, agent_id: str, name: str, found: Events) -> None:
    """Note what came of comparing one transcript, the worst first."""
    tally.events += found.equal
    for _, at in found.changed:
        tally.add_paths("transcript", at)
    what: What | None = None
    paths: tuple[str, ...] = ()
    if found.missing or found.changed or found.is_reordered:
        what = "changed"
        paths = tuple(dict.fromkeys(path for _, some in found.changed for path in some))[:12]
    elif found.unreadable_b:
        what = "unreadable"
    elif found.unreadable_a:
        what = "unreadable before"
    elif found.extra:
        what = "longer"
    if what is None:
        tally.equal_transcripts += 1
    else:
        tally.add(agent_id, "transcript", what, name, paths=paths, reason=_reason(found))


def _reason(found: Events) -> str:
    """Word what differs, by the events' places."""
    words = []
    if found.missing:
        words.append(f"{len(found.missing)} events missing (line {named(found.missing)} of A)")
    if found.changed:
        words.append(f"{len(found.changed)} events changed (line {named([number for number, _ in found.changed])} of A)")
    if found.is_reordered:
        words.append("events in another order")
    for side, lines in (("A", found.unreadable_a), ("B", found.unreadable_b)):
        if lines:
            words.append(f"{len(lines)} lines of {side} cannot be read (line {named([number for number, _ in lines])}: {lines[0][1]})")
    if found.extra:
        words.append(f"{found.extra} events only in B" + (", behind the others" if found.has_grown else ", among the others"))
    return "; ".join(words)
