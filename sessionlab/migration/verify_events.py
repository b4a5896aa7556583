"""Comparing two transcripts event by event, wherever each of them lies: in a file, a compressed archive or a database.

As long as both go on in step, a line at a time is held. From the first place at which they do not, the rest of the two is matched by the
events' ids, so that one event that is lost does not make all after it look changed.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final, NamedTuple

import msgspec

from sessionlab.migration.compare import canonical, decoded_event, differing_paths, is_same


class Line(NamedTuple):
    """One line of a transcript: its 1-based place, and its bytes, or why they cannot be had."""

    number: int
    data: bytes
    reason: str = ""


_SKIMMED: Final = msgspec.json.Decoder(msgspec.Raw)
Rewritten = Callable[[Any, Any], tuple[Any, tuple[str, ...]]]
"""Of an event before and after: gives the one before with those documented rewrites that the one after shows, and their names."""


@dataclass(slots=True)
class Events:
    """What came of comparing the transcript A with B.

    Attributes:
        equal: Events that are equal as JSON.
        rewritten: Name of a documented rewrite -> events that differ by it and nothing else.
        missing: Places in A of events that B does not have.
        changed: Places in A of events that differ, with the paths.
        extra: Events that only B has.
        unreadable_a: Lines of A that are no events, with the reason.
        unreadable_b: The same of B.
        is_reordered: Whether the events stand in another order in B.
        has_grown: Whether what only B has stands behind everything that A has.
    """

    equal: int = 0
    rewritten: Counter[str] = field(default_factory=Counter)
    missing: list[int] = field(default_factory=list)
    changed: list[tuple[int, tuple[str, ...]]] = field(default_factory=list)
    extra: int = 0
    unreadable_a: list[tuple[int, str]] = field(default_factory=list)
    unreadable_b: list[tuple[int, str]] = field(default_factory=list)
    is_reordered: bool = False
    has_grown: bool = True

    @property
    def is_kept(self) -> bool:
        """Whether every readable event of A is in B, rewritten as documented at most, and in order."""
        return not (self.missing or self.changed or self.unreadable_b or self.is_reordered)


def compare_events(a: Iterator[Line], b: Iterator[Line], *, rewritten: Rewritten | None = None) -> Events:
    """Compare two transcripts.

    Args:
        a: The lines of one, in order; blank lines are passed over.
        b: Those of the other.
        rewritten: What may have been done to every event on the way from A to B.
    """
    found = Events()
    a, b = _filled(a), _filled(b)
    while True:
        one, other = next(a, None), next(b, None)
        if one is None or other is None:
            _rest(found, one, a, other, b)
            return found
        if one.data == other.data and not one.reason and not other.reason:
            found.equal += is_json(one.data)  # the same garbage on both sides is the same, and no event
        elif not _in_step(found, one, other, rewritten):
            _match(found, [one, *a], [other, *b], rewritten)
            return found


def is_json(data: bytes) -> bool:
    """Say whether a line is JSON, building nothing."""
    try:
        _SKIMMED.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return not _read(Line(0, data))[1]
    return True


def _filled(lines: Iterator[Line]) -> Iterator[Line]:
    return (line for line in lines if line.reason or line.data.strip())


def _rest(found: Events, one: Line | None, a: Iterator[Line], other: Line | None, b: Iterator[Line]) -> None:
    """Take in what follows when one of the two has come to its end."""
    for line in _with(one, a):
        event, reason = _read(line)
        if reason or event is None:
            found.unreadable_a.append((line.number, reason))
        else:
            found.missing.append(line.number)
    for line in _with(other, b):
        if line.reason:
            found.unreadable_b.append((line.number, line.reason))
        found.extra += 1


def _with(first: Line | None, rest: Iterable[Line]) -> Iterator[Line]:
    if first is not None:
        yield first
        yield from rest


def _in_step(found: Events, one: Line, other: Line, rewritten: Rewritten | None) -> bool:
    """Compare two lines at the same place; say whether they are the same event, or one that cannot be read."""
    before, reason_a = _read(one)
    after, reason_b = _read(other)
    if reason_b and not reason_a:
        if other.reason:  # the place is known, only what stands there is not
            found.unreadable_b.append((other.number, reason_b))
            return True
        return False
    if reason_a:
        return False
    if _equal(found, before, after, rewritten):
        return True
    if _identity(before) != _identity(after):
        return False
    _note_changed(found, one.number, before, after, rewritten)
    return True


def _equal(found: Events, before: Any, after: Any, rewritten: Rewritten | None) -> bool:
    """Count two events that are equal, or differ by what is documented."""
    if is_same(before, after):
        found.equal += 1
        return True
    if rewritten is not None:
        expected, names = rewritten(before, after)
        if names and is_same(expected, after):
            found.rewritten.update(names)
            return True
    return False


def _note_changed(found: Events, number: int, before: Any, after: Any, rewritten: Rewritten | None) -> None:
    expected = before if rewritten is None else rewritten(before, after)[0]
    found.changed.append((number, differing_paths(expected, after)))


def _read(line: Line) -> tuple[Any, str]:
    """Return (the event, why it cannot be read)."""
    if line.reason:
        return None, line.reason
    try:
        event = decoded_event(line.data)
    except ValueError:
        return None, "is not JSON"
    return (event, "") if isinstance(event, dict) else (None, "is not a JSON object")


def _match(found: Events, a: list[Line], b: list[Line], rewritten: Rewritten | None) -> None:
    """Match what is left of two transcripts by the events' identities."""
    waiting: defaultdict[object, deque[tuple[int, Line]]] = defaultdict(deque)
    last_a = -1
    for place, line in enumerate(b):
        event, reason = _read(line)
        if reason:
            found.unreadable_b.append((line.number, reason))
        else:
            waiting[_identity(event)].append((place, line))
    order: list[int] = []
    for line in a:
        event, reason = _read(line)
        if reason:
            found.unreadable_a.append((line.number, reason))
            continue
        same = waiting.get(_identity(event))
        if not same:
            found.missing.append(line.number)
            continue
        place, other = same.popleft()
        order.append(place)
        last_a = max(last_a, place)
        after, _ = _read(other)
        if not _equal(found, event, after, rewritten):
            _note_changed(found, line.number, event, after, rewritten)
    found.is_reordered = order != sorted(order)
    left = [place for same in waiting.values() for place, _ in same]
    found.extra += len(left)
    found.has_grown = all(place > last_a for place in left)


def _identity(event: dict[str, Any]) -> object:
    """Return by what an event is known again: its id; the header's is the session's. Without one, its contents."""
    if event.get("type") == "session":
        return "session"
    name = event.get("id")
    return ("id", name) if isinstance(name, str) and name else canonical(event)


def named(places: list[int]) -> str:
    """Return places in words, folded: "12, 13 and 40 more"."""
    shown = [str(place) for place in islice(places, 5)]
    return ", ".join(shown) + (f" and {len(places) - len(shown)} more" if len(places) > len(shown) else "")
