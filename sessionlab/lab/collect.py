"""What one agent contributes to the mirror: its files, its sessions, the transcripts to read, and what is wrong with any of it.

Reads; knows nothing of DuckDB. Each transcript is found once: a file that an import already took into the database, a published archive
that lies in both places, and checkpoints are recognised, so that no usage is counted twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec

from sessionlab import keys, layout
from sessionlab.entry import BIG_FIELDS, REST_FIELD, SessionSummary, field_sizes
from sessionlab.lab.files import SeenFile, is_transcript, scan_folder
from sessionlab.stores.authority import split_rivals
from sessionlab.stores.base import Fingerprint, Problem, SessionStore, StoreStats
from sessionlab.stores.location import StoreLocation
from sessionlab.stores.transcript_store import TranscriptStore

_NAMES_SHOWN: Final = 3
_SHOWN_AS: Final = {"json": "sessions.json", "openclaw": "the SQLite store", "sqlite": "sessions.sqlite", "directory": "sessions.d"}
_SPLIT_ADVICE: Final = "import the file, or set it aside: an older OpenClaw ran after the move, and 2026.8+ reads the SQLite store only"
_OWN_SPLIT_ADVICE: Final = (
    "compare the two with 'sessionlab verify', find out what wrote to both, and move the one that does not count out of the folder"
)
_MOST_AROUND: Final = 16
"""Bytes around an entry in a deeply indented file; what lies in a file beyond that belongs to no entry."""


class TranscriptSource(msgspec.Struct, frozen=True, gc=False):
    """One transcript to be counted.

    Attributes:
        path: Where it lies, for people: a file, or `<database>#<archive or session>`.
        session_key: The session that it belongs to, when one refers to it.
        session_id: As its name or row says.
        source: Where its events come from.
        bytes: Its size as last seen, uncompressed unless it is a compressed file.
        mtime_ns: The file's modification time; inside a database, that of the database.
        in_store: Whether it lies inside the store's database.
        identity: Which file it really is; `None` inside a database.
    """

    path: str
    session_key: str | None
    session_id: str | None
    source: layout.Source
    bytes: int
    mtime_ns: int
    in_store: bool = False
    identity: tuple[int, int] | str | None = None

    @property
    def is_orphan(self) -> bool:
        """Whether it is in use, by its name, but no session refers to it."""
        return self.session_key is None and self.source in ("live", "cold")


@dataclass(slots=True)
class AgentSnapshot:
    """One agent's sessions and the sizes of everything around them, as read from one consistent state of its store.

    `sizes` and `fields` are keyed by session key: the entry's bytes, and its bytes by top-level field.
    """

    location: StoreLocation
    stats: StoreStats
    fingerprint: Fingerprint
    snapshot_method: str
    files: list[SeenFile] = field(default_factory=list)
    summaries: list[SessionSummary] = field(default_factory=list)
    fields: dict[str, dict[str, int]] = field(default_factory=dict)
    sources: list[TranscriptSource] = field(default_factory=list)
    missing: set[str] = field(default_factory=set)
    storage: list[tuple[str, str, int, int]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def snapshot_agent(store: SessionStore, location: StoreLocation, files: list[SeenFile]) -> AgentSnapshot:
    """Read an agent's sessions and match its transcripts to them.

    Args:
        store: The agent's store, open.
        location: Where it lies.
        files: What `scan_files` saw just before the store was opened.

    Raises:
        StoreError: The store cannot be read.
    """
    fingerprint, problems = store.examine()
    snapshot = AgentSnapshot(location, store.stats(), fingerprint, store.snapshot_method, files=files, problems=list(problems))
    snapshot.summaries = list(store.summaries())
    for key, raw in store.raw_items():
        sizes = field_sizes(raw)
        sizes[REST_FIELD] += len(key.encode())
        snapshot.fields[key] = sizes
    if location.kind == "json":
        _add_bytes_around(snapshot)
    transcripts = [file for file in files if is_transcript(file)]
    if isinstance(store, TranscriptStore):
        _match_stored(snapshot, store, transcripts, stamp_ns=_stamp_ns(files))
    else:
        _match_files(snapshot, transcripts)
    snapshot.storage = _inside(store)
    snapshot.problems += _rival_problems(location, files)
    return snapshot


def share_out(snapshots: Sequence[AgentSnapshot]) -> None:
    """Give each real file to one agent, and word what is wrong with what each then has.

    Agents may share a folder, and one folder may have two names. A transcript goes to the agent that has a session for it, another file to
    the agent whose store it is, and what nobody claims to the first.
    """
    kept: dict[tuple[int, int] | str, TranscriptSource] = {}
    for snapshot in snapshots:
        for source in snapshot.sources:
            if source.identity is not None:
                other = kept.get(source.identity)
                if other is None or (other.session_key is None and source.session_key is not None):
                    kept[source.identity] = source
    holder: dict[tuple[int, int] | str, tuple[int, AgentSnapshot, SeenFile]] = {}
    for snapshot in snapshots:
        snapshot.sources = [source for source in snapshot.sources if source.identity is None or kept[source.identity] is source]
        paths = {source.path for source in snapshot.sources} | {str(snapshot.location.path)}
        for file in snapshot.files:
            rank = int(file.path in paths)
            if file.identity not in holder or rank > holder[file.identity][0]:
                holder[file.identity] = rank, snapshot, file
    held: dict[int, list[SeenFile]] = {}
    for _, snapshot, file in holder.values():
        held.setdefault(id(snapshot), []).append(file)
    for snapshot in snapshots:
        snapshot.storage = [*_storage(held.get(id(snapshot), [])), *snapshot.storage]
        snapshot.problems += _source_problems(snapshot)


def _add_bytes_around(snapshot: AgentSnapshot) -> None:
    """Share out what a JSON file holds around keys and values (quotes, indentation, commas), so that the entries add up to the file."""
    if not snapshot.fields:
        return
    inside = sum(sum(sizes.values()) for sizes in snapshot.fields.values())
    around = (snapshot.stats.store_bytes - 2 - inside) // len(snapshot.fields)
    for sizes in snapshot.fields.values():
        sizes[REST_FIELD] += max(0, min(around, _MOST_AROUND))


def big_field_bytes(sizes: dict[str, int]) -> tuple[int, ...]:
    """Return (bytes of each of `BIG_FIELDS`, bytes of all other fields) of one entry; they add up to the entry."""
    big = [sizes.get(name, 0) for name in BIG_FIELDS]
    return (*big, sum(sizes.values()) - sum(big))


def _match_files(snapshot: AgentSnapshot, transcripts: Iterable[SeenFile]) -> None:
    """Match the JSON era's transcript files to sessions: by the entry's `sessionFile`, its topic, its session id."""
    by_name = {file.name: file for file in _one_per_name(transcripts)}
    owner: dict[str, str] = {}
    by_session_id: dict[str, str] = {}
    for summary in snapshot.summaries:
        candidates = layout.transcript_candidates(summary.session_id, session_file=summary.session_file, thread_id=summary.thread_id)
        name = next((name for name in candidates if name in by_name), None)
        if name is None:
            snapshot.missing.add(summary.key)
        else:
            owner.setdefault(name, summary.key)
        if summary.session_id:
            by_session_id.setdefault(summary.session_id, summary.key)
    for name, file in by_name.items():
        parsed = layout.parse_transcript_name(name)
        if parsed is None:
            continue
        key = owner.get(name) or by_session_id.get(parsed.session_id)
        snapshot.sources.append(_of_file(file, parsed, key))


def _match_stored(snapshot: AgentSnapshot, store: TranscriptStore, transcripts: list[SeenFile], *, stamp_ns: int) -> None:
    """Take the transcripts that lie in the database, and of the files beside it only those that do not lie in both places.

    `stamp_ns` stands for the time of change of what lies in the database: its files' latest.
    """
    stored_events: dict[str, int] = {}
    archived: set[str] = set()
    with_events: set[str] = set()
    current = {summary.session_id: summary.key for summary in snapshot.summaries}
    present = set(current.values())
    for stored in store.transcripts():
        key = stored.session_key if stored.session_key in present else None
        if stored.source in ("live", "cold"):
            stored_events[stored.session_id] = max(stored.events, stored_events.get(stored.session_id, 0))
            if key is not None:
                with_events.add(key)
        else:
            archived |= {stored.session_id, stored.name.removesuffix(".zst")}
        path = f"{snapshot.location.path}#{stored.name}"
        snapshot.sources.append(TranscriptSource(path, key, stored.session_id, stored.source, stored.bytes, stamp_ns, in_store=True))
    snapshot.missing = present - with_events
    leftovers, grown = [], []
    for file in _one_per_name(transcripts):
        parsed = layout.parse_transcript_name(file.name)
        if parsed is None:
            continue
        if parsed.source == "live" and parsed.session_id in stored_events:
            leftovers.append(file.name)
            further = _lines(file) - stored_events[parsed.session_id]
            if further > 0:
                grown.append((file, further))
        elif file.name.removesuffix(".zst") in archived or (parsed.source == "live" and parsed.session_id in archived):
            leftovers.append(file.name)
        else:
            snapshot.sources.append(_of_file(file, parsed, current.get(parsed.session_id)))
    snapshot.problems += _leftover_problems(snapshot, leftovers, grown)


def _leftover_problems(snapshot: AgentSnapshot, leftovers: list[str], grown: list[tuple[SeenFile, int]]) -> Iterator[Problem]:
    """Word what lies beside the database as well as in it, and what lies beside it only."""
    if leftovers:
        yield Problem(
            code="leftover_transcript",
            severity="info",
            message=f"transcript files that are in the database, too, and counted there only: {_some(leftovers)}",
            path=str(snapshot.location.sessions_dir),
            count=len(leftovers),
        )
    for file, further in grown:
        yield Problem(
            code="leftover_grown",
            severity="warning",
            message=f"lines that a transcript file has more than the database has events of it, not counted: {file.name}",
            path=file.path,
            advice="keep the file: an older OpenClaw wrote on after the import, or the import stopped at a bad line",
            count=further,
        )


def _of_file(file: SeenFile, parsed: layout.TranscriptName, key: str | None) -> TranscriptSource:
    return TranscriptSource(file.path, key, parsed.session_id, parsed.source, file.bytes, file.mtime_ns, identity=file.identity)


def _one_per_name(transcripts: Iterable[SeenFile]) -> list[SeenFile]:
    """Leave out the compressed form of a file that lies there plain as well, or the plain one when it is empty."""
    chosen: dict[str, SeenFile] = {}
    for file in transcripts:
        other = chosen.get(file.name.removesuffix(".zst"))
        if other is None or (file.bytes and not other.bytes):
            chosen[file.name.removesuffix(".zst")] = file
    return list(chosen.values())


def _lines(file: SeenFile) -> int:
    """Count a file's lines, empty ones left out; none when it cannot be read."""
    try:
        with Path(file.path).open("rb") as lines:
            return sum(1 for line in lines if line.strip())
    except OSError:
        return 0


def _source_problems(snapshot: AgentSnapshot) -> Iterator[Problem]:
    """Word what the matching showed: transcripts that no session refers to, and sessions without one."""
    orphans = [Path(source.path).name for source in snapshot.sources if source.is_orphan]
    where = str(snapshot.location.sessions_dir)
    if orphans:
        yield Problem(
            code="orphan_transcript",
            severity="warning",
            message=f"transcripts that belong to no session: {_some(orphans)}",
            path=where,
            advice="archive them when nobody needs them; their usage is counted",
            count=len(orphans),
        )
    if snapshot.missing:
        yield Problem(
            code="missing_transcript",
            severity="warning",
            message=f"sessions without a transcript: {_some(sorted(snapshot.missing))}",
            path=where,
            advice="remove the entries with 'openclaw sessions cleanup --fix-missing'; their history is gone",
            count=len(snapshot.missing),
        )


def _rival_problems(location: StoreLocation, files: list[SeenFile]) -> Iterator[Problem]:
    """Word how the store was chosen, and what lies beside it: a second store with sessions, and the originals of an import."""
    if location.note:
        yield Problem(code="store_choice", severity="warning", message=location.note, path=str(location.path))
    for rival, count in split_rivals(location):
        yield Problem(
            code="split_store",
            severity="error",
            message=f"two stores disagree: {_SHOWN_AS[location.kind]} was read, the sessions of {rival.path.name} are not counted",
            path=str(rival.path),
            advice=_SPLIT_ADVICE if location.kind == "openclaw" else _OWN_SPLIT_ADVICE,
            count=count,
        )
    usual = location.root / "sessions" if location.root is not None else location.sessions_dir
    if usual.resolve() != location.sessions_dir.resolve():
        left = [file for file in scan_folder(usual) if is_transcript(file) or file.name == layout.JSON_STORE]
        if left:
            yield Problem(
                code="usual_folder_ignored",
                severity="warning",
                message=f"files in the usual folder, not counted, as session.store names another: {_some([file.name for file in left])}",
                path=str(usual),
                advice="move them, or set them aside: they are from before the setting, or it is wrong",
                count=len(left),
            )
    archive = [file for file in files if file.part == "import archive"]
    if archive:
        yield Problem(
            code="import_archive",
            severity="info",
            message="original files of the SQLite import, kept beside the store; what they hold is counted in the store only",
            path=str(Path(archive[0].path).parent),
            advice="remove them only when you are sure that you will not go back: they are the way",
            count=len(archive),
        )


def _stamp_ns(files: Iterable[SeenFile]) -> int:
    """Return when the store's own files were last changed."""
    return max((file.mtime_ns for file in files if file.part in ("store file", "write-ahead log")), default=0)


def _storage(files: Iterable[SeenFile]) -> list[tuple[str, str, int, int]]:
    """Return (part, "", files, bytes) by part of the disk space."""
    counts: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    for file in files:
        counts[file.part] += 1
        sizes[file.part] += file.bytes
    return [(part, "", counts[part], sizes[part]) for part in sorted(counts)]


def _inside(store: SessionStore) -> list[tuple[str, str, int, int]]:
    """Return ("inside the store", table group, 0, bytes) for a database."""
    if not isinstance(store, TranscriptStore):
        return []
    return [("inside the store", group, 0, size_bytes) for group, size_bytes in store.storage_parts()]


def session_kind(key: str) -> tuple[str, str | None, str | None]:
    """Return (kind, channel named by the key, cron job id) of a session key, as the mirror's columns want them."""
    parsed = keys.parse(key)
    return parsed.kind, parsed.channel, parsed.cron_job_id


def _some(names: list[str]) -> str:
    """Name the first few of a list."""
    shown = ", ".join(names[:_NAMES_SHOWN])
    return f"{shown}, ..." if len(names) > _NAMES_SHOWN else shown
