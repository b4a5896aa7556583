"""`verify`: whether B holds what A holds, session by session and event by event, whatever each of them is.

Reads only. Of a store only keys and digests are held; entries that differ are read a second time, some at a time, to say where they do.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from sessionlab import codec, keys, layout
from sessionlab.entry import Entry, canonical_digest, normalise_legacy
from sessionlab.errors import CorruptStoreError, InvalidJSONError
from sessionlab.migration.compare import differing_paths, is_within
from sessionlab.migration.json_stream import members
from sessionlab.migration.reading import found_in
from sessionlab.migration.verify_result import Tally, Verification
from sessionlab.migration.verify_transcripts import compare_transcripts
from sessionlab.stores.authority import refuse_split
from sessionlab.stores.base import SessionStore
from sessionlab.stores.json_state import is_session
from sessionlab.stores.locating import agents_without_store, locate, only
from sessionlab.stores.location import StoreLocation, open_at, snapshot_at
from sessionlab.stores.writing import age_ms

_AT_A_TIME: Final = 128
"""Entries that are held at once to say where they differ; each may take 100 KB."""
_DETAILED: Final = 1_024
"""Changed sessions of which it is said where they differ, between two JSON stores."""


class _Seen(NamedTuple):
    """One entry of a side: its key as spelled there, its digest, that under today's field names, its age, and why it cannot be read."""

    spelling: str
    digest: bytes
    modern: bytes
    age_ms: float = 0
    reason: str = ""


_Held = dict[str, list[_Seen]]


class _Place(NamedTuple):
    """Where one agent's sessions lie on one side."""

    location: StoreLocation
    has_store: bool = True


_Places = dict[str, _Place]


class Side(NamedTuple):
    """One agent's store on one side, opened; `None` where there is none."""

    location: StoreLocation | None
    store: SessionStore | None


def verify(a: Path, b: Path, *, agent: str | None = None) -> Verification:
    """Compare what lies at two places.

    Transcripts are compared when both are folders: of an agent, or of a whole state.

    Args:
        a: As for `stores.locate`: what should be there.
        b: The same: what is there.
        agent: Only this agent.

    Raises:
        NoStoreError: There is no store at one of them.
        SplitStoreError: Two stores of an agent both hold sessions.
        StoreError: One of the stores cannot be read.
    """
    a, b = layout.expanded(a), layout.expanded(b)
    places_a, places_b = _places(a, agent), _places(b, agent)
    agents = list(_paired(places_a, places_b, is_by_name=_is_state(a) and _is_state(b)))
    has_transcripts = _is_folder(a, places_a) and _is_folder(b, places_b)
    tally = Tally()
    for agent_id, one, other in agents:
        with contextlib.ExitStack() as stack:
            before, after = _opened(stack, one), _opened(stack, other)
            compare_sessions(tally, agent_id, before, after)
            if has_transcripts:
                compare_transcripts(tally, agent_id, before, after)
    return tally.result(str(a), str(b), tuple(agent_id for agent_id, _, _ in agents), has_transcripts=has_transcripts)


def _places(path: Path, agent: str | None) -> dict[str, _Place]:
    """Return what lies at a path by agent; of an agent that lost its store the transcripts count, too."""
    found = locate(path)
    if agent is not None:
        return {agent: _Place(only(found, path, agent=agent))}
    places = {one.agent_id: _Place(one) for one in found}
    for agent_id in agents_without_store(path) if path.is_dir() else ():
        folder = layout.AgentFolder(agent_id, layout.agents_dir(path) / agent_id)
        lost = StoreLocation(agent_id, "json", folder.json_store, folder.sessions_dir, folder.root)
        places[agent_id] = _Place(lost, has_store=False)
    return places


def _paired(a: _Places, b: _Places, *, is_by_name: bool) -> Iterator[tuple[str, _Place | None, _Place | None]]:
    """Pair the stores by agent; a store that is named itself is compared with the other one, whatever their agents are called."""
    if len(a) == len(b) == 1 and not is_by_name:
        ((agent_id, one),), (other,) = a.items(), b.values()
        yield agent_id, one, other
        return
    for agent_id in sorted({*a, *b}):
        yield agent_id, a.get(agent_id), b.get(agent_id)


def _is_state(path: Path) -> bool:
    return layout.agents_dir(path).is_dir()


def _is_folder(path: Path, places: _Places) -> bool:
    """Say whether a path is a folder of stores and transcripts, rather than a store itself."""
    return path.is_dir() and all(place.location.path != path for place in places.values())


def _opened(stack: contextlib.ExitStack, place: _Place | None) -> Side:
    if place is None or not place.has_store:
        return Side(place.location if place is not None else None, None)
    refuse_split(place.location)
    return Side(place.location, stack.enter_context(_store(place.location)))


def _store(location: StoreLocation) -> SessionStore:
    try:
        return snapshot_at(location)
    except CorruptStoreError:
        if location.kind != "directory":
            raise
        return open_at(location)  # one with a file that holds no session is looked at as it is, file by file


def compare_sessions(tally: Tally, agent_id: str, a: Side, b: Side) -> None:
    """Compare the sessions of one agent on both sides and note what differs."""
    held_a, held_b = _held(a), _held(b)
    changed: list[tuple[str, str, str]] = []
    for key, before in held_a.items():
        tally.sessions += 1
        after = held_b.pop(key, None)
        if after is None:
            _note_missing(tally, agent_id, before)
        else:
            _note(tally, agent_id, before, after, changed)
    for after in held_b.values():
        tally.add(agent_id, "session", "extra", after[0].spelling)
    reasons = {(one, other): reason for one, other, reason in changed}
    for one, other, entry_a, entry_b in _both(a, b, list(reasons)):
        reason = reasons.pop((one, other))
        paths = differing_paths(entry_a, entry_b)
        is_kept = is_within(entry_a, entry_b) or is_within(normalise_legacy(entry_a), entry_b)
        tally.add(agent_id, "session", "extended" if is_kept else "changed", one, paths=paths, reason=reason)
    for (one, _), reason in reasons.items():
        tally.add(agent_id, "session", "changed", one, reason=reason)


def _note_missing(tally: Tally, agent_id: str, before: list[_Seen]) -> None:
    first = before[0]
    if keys.normalise(first.spelling) in keys.BLOCKED_KEYS:
        tally.add(agent_id, "session", "unreadable before", first.spelling, reason=first.reason)
    else:
        tally.add(agent_id, "session", "missing", first.spelling, reason=first.reason and f"it cannot be read in A, either: {first.reason}")


def _note(tally: Tally, agent_id: str, before: list[_Seen], after: list[_Seen], changed: list[tuple[str, str, str]]) -> None:
    """Note what became of one session, which both sides have."""
    twice = [one for one in after if sum(other.spelling == one.spelling for other in after) > 1]
    if twice:  # only a file can hold that, and no store reads it
        tally.add(agent_id, "session", "unreadable", twice[0].spelling, reason="it is written twice in B")
        return
    bad = [one for one in after if one.reason]
    digests, known = {one.digest for one in after}, {one.digest for one in before}
    spellings = [sorted(one.spelling for one in side) for side in (before, after)]
    first = before[0]
    if bad and not all(one.digest in known for one in bad):
        tally.add(agent_id, "session", "unreadable", bad[0].spelling, reason=bad[0].reason)
    elif any(one.reason and one.digest not in digests for one in before):
        reason = next(one.reason for one in before if one.reason)
        tally.add(agent_id, "session", "unreadable before", first.spelling, reason=reason)
    elif known <= digests:
        if bad:
            tally.add(agent_id, "session", "unreadable", bad[0].spelling, reason=f"{bad[0].reason}, as in A")
        elif spellings[0] != spellings[1]:
            tally.add(agent_id, "session", "spelling", first.spelling, reason=f"B spells it {_quoted(spellings[1])}")
        else:
            tally.equal_sessions += 1
    elif {one.modern for one in before} == {one.modern for one in after}:
        tally.add(agent_id, "session", "renamed", first.spelling, reason="old field names, or a blank model, became today's")
    elif len(before) > 1 and _newest(before).modern in {one.modern for one in after}:
        tally.add(agent_id, "session", "merged", first.spelling, reason=f"A spells it {_quoted(spellings[0])}, B {_quoted(spellings[1])}")
    else:
        other = next((one for one in after if one.spelling == first.spelling), after[0])
        reason = f"A spells it {_quoted(spellings[0])}, B {_quoted(spellings[1])}" if spellings[0] != spellings[1] else ""
        changed.append((first.spelling, other.spelling, reason))


def _newest(spellings: list[_Seen]) -> _Seen:
    """Return the newest of several spellings, the last of equally old ones: that is what a migration takes."""
    return max(reversed(spellings), key=lambda one: one.age_ms)


def _quoted(spellings: Iterable[str]) -> str:
    return ", ".join(repr(spelling[:120]) for spelling in spellings)


def _held(side: Side) -> _Held:
    """Return what a side holds by normalised key, every spelling of one."""
    held: _Held = {}
    for one in found_in(side.location) if side.location is not None and side.store is not None else ():
        seen = _seen(one.spelling, one.raw)
        if one.error is not None:
            seen = _Seen(one.spelling, seen.digest, seen.digest, reason=one.error.reason)
        held.setdefault(keys.normalise(one.spelling), []).append(seen)
    return held


def _seen(spelling: str, raw: bytes) -> _Seen:
    reason = ""
    if not is_session(spelling, raw):
        reason = "its key is a name that JavaScript reserves" if keys.normalise(spelling) in keys.BLOCKED_KEYS else "it is no object"
    else:
        try:
            entry = codec.decode_entry(raw, path=Path(), key=spelling)
        except InvalidJSONError as error:
            reason = error.reason
        else:
            digest, modern = canonical_digest(entry), normalise_legacy(entry)
            return _Seen(spelling, digest, digest if modern == entry else canonical_digest(modern), age_ms(spelling, entry))
    digest = hashlib.sha256(raw).digest()
    return _Seen(spelling, digest, digest, reason=reason)


def _both(a: Side, b: Side, changed: list[tuple[str, str]]) -> Iterator[tuple[str, str, Entry, Entry]]:
    """Yield sessions that differ, (key in A, key in B, entry of A, entry of B), holding few at a time.

    A JSON store can only be read from its beginning. Of two, not more than the first `_DETAILED` are yielded.
    """
    if _is_json(a) and _is_json(b):
        for place in range(0, min(len(changed), _DETAILED), _AT_A_TIME):
            some = changed[place : place + _AT_A_TIME]
            found = dict(_entries(a, dict(some)))
            known = {other: one for one, other in some if one in found}
            for other, entry in _entries(b, known):
                yield known[other], other, found[known[other]], entry
    elif _is_json(b):
        of_b = {other: one for one, other in changed}
        for other, entry in _entries(b, of_b):
            for one, before in _entries(a, (of_b[other],)):
                yield one, other, before, entry
    else:
        of_a = dict(changed)
        for one, entry in _entries(a, of_a):
            for other, after in _entries(b, (of_a[one],)):
                yield one, other, entry, after


def _is_json(side: Side) -> bool:
    return side.location is not None and side.location.kind == "json"


def _entries(side: Side, wanted: Collection[str]) -> Iterator[tuple[str, Entry]]:
    """Yield some entries of a side by their spelling there; what cannot be read is left out."""
    if side.location is None or side.store is None:
        return
    if not _is_json(side):
        for spelling in wanted:
            with contextlib.suppress(InvalidJSONError):
                entry = side.store.get(spelling)
                if entry is not None:
                    yield spelling, entry
        return
    seen: set[str] = set()
    for member in members(side.location.path):
        if member.key in wanted and member.key not in seen and is_session(member.key, member.raw):
            seen.add(member.key)
            with contextlib.suppress(InvalidJSONError):
                yield member.key, codec.decode_entry(member.raw, path=side.location.path, key=member.key)
