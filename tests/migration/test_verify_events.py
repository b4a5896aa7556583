"""Comparing documents and transcripts, whatever they hold: nothing lost is overlooked, nothing kept is called lost."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from sessionlab import codec
from sessionlab.migration.compare import MAX_PATHS, canonical, differing_paths, is_same, is_within
from sessionlab.migration.verify_events import Events, Line, compare_events

LEAVES = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([0.0, 1.0, 0.5]) | st.text(max_size=2)
DOCUMENTS = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3))
EVENTS = st.lists(
    st.builds(lambda number, data: {"type": "message", "id": str(number), "data": data}, st.integers(0, 99), DOCUMENTS), max_size=9
)

FEW = settings(max_examples=50)


def lines(events: list[dict[str, Any]], *, is_loose: bool = False) -> list[Line]:
    encoded = (json.dumps(one).encode() if is_loose else codec.encode_compact(one) for one in events)
    return [Line(number, data) for number, data in enumerate(encoded, 1)]


def compared(a: list[Line], b: list[Line]) -> Events:
    return compare_events(iter(a), iter(b))


def by_id(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Leave one event of each id."""
    return list({one["id"]: one for one in events}.values())


@FEW
@given(DOCUMENTS, DOCUMENTS)
def test_paths_are_told_exactly_when_documents_differ(one: Any, other: Any) -> None:
    paths = differing_paths(one, other)
    assert bool(paths) == (canonical(one) != canonical(other)) == (not is_same(one, other))
    assert len(paths) <= MAX_PATHS + 1
    assert all(path.startswith("$") for path in paths if path != "...")
    assert differing_paths(one, json.loads(json.dumps(one))) == ()


@FEW
@given(st.dictionaries(st.text(max_size=2), DOCUMENTS, max_size=4), st.dictionaries(st.text(min_size=3, max_size=4), DOCUMENTS, max_size=2))
def test_document_is_within_one_that_has_more(document: dict[str, Any], more: dict[str, Any]) -> None:
    assert is_within(document, {**more, **document})
    assert is_within({**more, **document}, document) == (not more)


def test_numbers_are_those_of_javascript_and_true_is_none() -> None:
    assert differing_paths({"a": 1.0, "b": [0]}, {"b": [0.0], "a": 1}) == ()
    assert differing_paths([1], [True]) == ("$[0]",)
    assert differing_paths([], {}) == ("$",)
    assert differing_paths({"a": None}, {}) == ("$.a",)


@FEW
@given(EVENTS)
def test_events_that_are_written_otherwise_are_equal(events: list[dict[str, Any]]) -> None:
    found = compared(lines(events), [Line(1, b" "), *lines(events, is_loose=True)])
    assert found == Events(equal=len(events))


@FEW
@given(EVENTS, st.sets(st.integers(0, 8)), st.lists(st.integers(100, 120), max_size=3, unique=True))
def test_exactly_what_is_gone_is_missing_and_what_comes_behind_is_growth(
    events: list[dict[str, Any]], gone: set[int], later: list[int]
) -> None:
    events = by_id(events)
    kept = [one for place, one in enumerate(events) if place not in gone]
    new = [{"type": "message", "id": str(number)} for number in later]
    found = compared(lines(events), lines([*kept, *new]))
    assert found.missing == [place + 1 for place in range(len(events)) if place in gone]
    assert (found.equal, found.changed, found.extra, found.is_reordered, found.has_grown) == (len(kept), [], len(new), False, True)


@FEW
@given(EVENTS, st.integers(0, 8), DOCUMENTS)
def test_changed_event_is_found_at_its_place(events: list[dict[str, Any]], place: int, data: Any) -> None:
    events = by_id(events)
    if place >= len(events):
        return
    after = [*events[:place], {**events[place], "data": data}, *events[place + 1 :]]
    found = compared(lines(events), lines(after))
    wanted = [] if is_same(events[place]["data"], data) else [place + 1]
    assert [number for number, _ in found.changed] == wanted
    assert all(path.startswith("$.data") for _, paths in found.changed for path in paths)
    assert (found.missing, found.extra) == ([], 0)


@FEW
@given(EVENTS, EVENTS)
def test_every_event_of_a_is_accounted_for(a: list[dict[str, Any]], b: list[dict[str, Any]]) -> None:
    found = compared(lines(a), lines(b))
    assert found.equal + len(found.missing) + len(found.changed) == len(a)
    assert found.equal + len(found.changed) + found.extra == len(b)


def test_place_that_cannot_be_read_in_b_takes_nothing_else_along() -> None:
    a = lines([{"type": "message", "id": str(number)} for number in range(5)])
    b = [*a[:2], Line(3, b"", "the checksum is wrong"), *a[3:]]
    found = compared(a, b)
    assert (found.equal, found.unreadable_b, found.missing, found.is_kept) == (4, [(3, "the checksum is wrong")], [], False)
