"""The differences that a dossier lists: sessions that did not simply move, and those that have changed since; each with its place.

A place is the line of the old JSON file, and the JSON paths at which the entry differs. Never what stands there: values may be secrets.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from sessionlab import codec
from sessionlab.entry import Entry, canonical_digest, normalise_legacy
from sessionlab.errors import InvalidJSONError, StoreError
from sessionlab.lab.dossier import Dossier
from sessionlab.migration.audit import Change
from sessionlab.migration.compare import differing_paths
from sessionlab.migration.places import named_store
from sessionlab.migration.reading import raw_entries
from sessionlab.migration.records import EntryPlan
from sessionlab.stores.location import StoreLocation, open_at

What = Literal["set aside", "merged", "normalised", "changed since", "gone since", "added since"]
_WORDS: Final[Mapping[str, What]] = {"set-aside": "set aside", "merge": "merged", "normalise": "normalised"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One session that is not simply where it was moved to, as it was.

    Attributes:
        what: What became of it.
        key: Its session key.
        lines: Where its spellings begin in the old JSON file, 1-based.
        paths: Where the entry differs, as JSON paths; `...` last when there are more.
        why: In words.
        then: SHA-256 of the canonical entry that the run moved, hex; "" for none.
        now: The same of what the store holds now; "" for none, or where it is what the run moved.
    """

    what: What
    key: str
    lines: tuple[int, ...] = ()
    paths: tuple[str, ...] = ()
    why: str = ""
    then: str = ""
    now: str = ""


@dataclass(frozen=True, slots=True)
class _Old:
    line: int | None
    entry: Entry | None
    digest: str


def differences(dossier: Dossier, *, most: int = 200) -> tuple[Difference, ...]:
    """Return the differences, what the run did first; of each kind in the store's order.

    Args:
        dossier: Of the run.
        most: How many to return; `count_differences` tells how many there are.

    Raises:
        StoreError: The store that counts now cannot be read.
    """
    own = [one for one in dossier.plan.entries if one.action != "move"][:most]
    since = list(_since(dossier))[: most - len(own)]
    wanted = {spelling for one in own for spelling, _ in one.in_source()}
    wanted |= {spelling for one in dossier.plan.entries if one.key in {c.key for _, c in since} for spelling, _ in one.in_source()}
    old = _old_entries(dossier, wanted)
    new = _entries_of(dossier.new, [one.key for one in own if one.digest]) if dossier.plan.operation == "export" else {}
    found = [_of_plan(one, old, new.get(one.key)) for one in own]
    return (*found, *_changes(dossier, since, old))


def count_differences(dossier: Dossier) -> int:
    """Return how many differences there are."""
    return sum(one.action != "move" for one in dossier.plan.entries) + sum(1 for _ in _since(dossier))


def _since(dossier: Dossier) -> Iterator[tuple[What, Change]]:
    if dossier.audit is not None:
        yield from (("changed since", one) for one in dossier.audit.changed)
        yield from (("gone since", one) for one in dossier.audit.removed)
        yield from (("added since", one) for one in dossier.audit.added)


def _old_entries(dossier: Dossier, wanted: set[str]) -> dict[str, list[_Old]]:
    """Return what the old store holds under some spellings; nothing when it is gone or cannot be read any more."""
    found: dict[str, list[_Old]] = {}
    if dossier.old is None or not wanted:
        return found
    try:
        for spelling, raw, line in raw_entries(dossier.old):
            if spelling in wanted:
                found.setdefault(spelling, []).append(_old(raw, spelling, line))
    except StoreError:
        return found
    return found


def _old(raw: bytes, spelling: str, line: int | None) -> _Old:
    try:
        entry = codec.decode_entry(raw, path=Path(), key=spelling)
    except InvalidJSONError:
        return _Old(line, None, "")
    return _Old(line, entry, canonical_digest(entry).hex())


def _of_plan(one: EntryPlan, old: dict[str, list[_Old]], new: Entry | None) -> Difference:
    """Return the difference of one session; `new` is what the new store holds, of an export, which does more than giving new names."""
    # What has been written since is not what was moved: its lines and paths would mislead.
    held = [kept for spelling, digest in one.in_source() for kept in old.get(spelling, ()) if kept.digest == digest]
    lines = [one.line] if one.line is not None else [kept.line for kept in held if kept.line is not None]
    modern = [(kept, normalise_legacy(kept.entry)) for kept in held if kept.entry is not None]
    moved = next((entry for entry in (new, *(entry for _, entry in modern)) if entry and canonical_digest(entry).hex() == one.digest), None)
    paths = [path for kept, _ in modern if moved is not None for path in differing_paths(kept.entry, moved)]
    return Difference(
        what=_WORDS[one.action],
        key=one.key,
        lines=tuple(dict.fromkeys(lines)),
        paths=tuple(dict.fromkeys(paths)),
        why=one.reason,
        then=one.digest,
    )


def _changes(dossier: Dossier, since: list[tuple[What, Change]], old: dict[str, list[_Old]]) -> Iterator[Difference]:
    planned = {one.key: one for one in dossier.plan.moved}
    changed = [change.key for what, change in since if what == "changed since"]
    now = _now_entries(dossier, changed)
    for what, change in since:
        one = planned.get(change.key)
        held = [kept for spelling, _ in (one.in_source() if one is not None else ()) for kept in old.get(spelling, ())]
        moved = [kept for kept in held if kept.entry is not None and canonical_digest(normalise_legacy(kept.entry)).hex() == change.then]
        paths: tuple[str, ...] = ()
        if moved and change.key in now:
            paths = differing_paths(normalise_legacy(moved[0].entry or {}), now[change.key])
        yield Difference(
            what=what,
            key=change.key,
            lines=tuple(kept.line for kept in moved if kept.line is not None),
            paths=paths,
            why=_WHY[what],
            then=change.then,
            now=change.now,
        )


_WHY: Final[Mapping[str, str]] = {
    "changed since": "written after the run",
    "gone since": "deleted after the run",
    "added since": "born after the run",
}


def _now_entries(dossier: Dossier, wanted: list[str]) -> dict[str, Entry]:
    if not wanted or dossier.audit is None or not dossier.audit.counts_now:
        return {}
    return _entries_of(named_store(Path(dossier.audit.counts_now)), wanted)


def _entries_of(location: StoreLocation | None, wanted: list[str]) -> dict[str, Entry]:
    if location is None or not wanted:
        return {}
    with open_at(location) as store:
        return {key: entry for key in wanted if (entry := store.get(key)) is not None}
