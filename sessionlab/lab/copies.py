"""Which events of forks are copies: a fork begins with its parent's events, word for word, and each counts once.

Transcripts that share an ancestor's name make one family, also when the ancestor itself is gone or belongs to another agent. Within a
family, which is ordered from parents to children, the first event of an id and time counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sessionlab import layout
from sessionlab.lab.insert import encodable
from sessionlab.transcripts import Event

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True, slots=True)
class Member:
    """One transcript, as families are made of: its number, path and session id, the parent that its header names, its first time."""

    transcript_id: int
    path: str
    session_id: str | None
    parent: str | None
    first_ms: int | None

    @property
    def names(self) -> set[str]:
        """What a fork's header may call it."""
        return {stem_of(self.path), self.session_id or stem_of(self.path)}


def mark_copies(con: duckdb.DuckDBPyConnection, *, reused: set[int], has_old: bool, events_of: Callable[[int], Iterable[Event]]) -> None:
    """Set `is_copy` in every family of which a transcript is new, changed or gone.

    Args:
        con: The mirror, with its transcripts and events; with `has_old` the old one is attached as `old`.
        reused: The transcripts that were taken over from the old mirror, marks and all.
        has_old: Whether there is an old mirror.
        events_of: Reads the events of a transcript by its number, in order.
    """
    before = {_paths(family) for family in _families(_members(con, "old.transcripts"))} if has_old else set()
    for family in _families(_members(con, "transcripts")):
        if reused.issuperset(member.transcript_id for member in family) and _paths(family) in before:
            continue
        known: set[tuple[str, str | None]] = set()
        for member in _parents_first(family):
            own = [(event.id, event.timestamp, event.type) for event in events_of(member.transcript_id)]
            if member.parent is not None:
                copies = [place for place, (name, time, kind) in enumerate(own) if kind != "session" and (name, time) in known]
                con.execute(
                    "UPDATE event_rows SET is_copy = list_contains(CAST(? AS INTEGER[]), seq) WHERE transcript_id = ?",
                    [copies, member.transcript_id],
                )
            known |= {(name, time) for name, time, _ in own if name is not None}


def stem_of(path: str) -> str:
    """Return the name that a fork's header and a source have in common: the session id, whatever folder and archive suffix it has now."""
    name = path.replace("\\", "/").rpartition("/")[2].rpartition("#")[2]
    parsed = layout.parse_transcript_name(name)
    return encodable(parsed.session_id if parsed is not None else name) or ""


def _members(con: duckdb.DuckDBPyConnection, table: str) -> list[Member]:
    """Return the forks, and every transcript when there are forks."""
    ((forks,),) = con.execute(f"SELECT count(parent_session) FROM {table}").fetchall()
    if not forks:
        return []
    rows = con.execute(f"SELECT transcript_id, path, session_id, parent_session, first_ms FROM {table} ORDER BY path").fetchall()
    return [Member(*row) for row in rows]


def _families(members: Sequence[Member]) -> Iterator[list[Member]]:
    """Yield the families that have a fork."""
    leader: dict[str, str] = {}

    def find(name: str) -> str:
        while (above := leader.setdefault(name, name)) != name:
            leader[name] = leader[above]
            name = above
        return name

    for member in members:
        if member.parent is not None:
            parent = find(stem_of(member.parent))
            for name in member.names:
                leader[find(name)] = parent
    families: dict[str, list[Member]] = {}
    for member in members:
        known = [name for name in sorted(member.names) if name in leader]
        if known:
            families.setdefault(find(known[0]), []).append(member)
    yield from families.values()


def _parents_first(family: list[Member]) -> list[Member]:
    """Order a family by how many ancestors lie in it, then by when each began."""
    parent_of = {name: stem_of(member.parent) for member in family if member.parent is not None for name in member.names}

    def depth(member: Member) -> int:
        seen: set[str] = set()
        name = stem_of(member.parent) if member.parent is not None else None
        while name is not None and name not in seen:
            seen.add(name)
            name = parent_of.get(name)
        return len(seen)

    return sorted(family, key=lambda member: (depth(member), member.first_ms is None, member.first_ms or 0, member.path))


def _paths(family: list[Member]) -> frozenset[str]:
    return frozenset(member.path for member in family)
