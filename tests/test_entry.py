"""The session entry: index columns of every OpenClaw version, legacy names, sizes of fields."""

from __future__ import annotations

import copy
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionlab import codec
from sessionlab.entry import (
    REST_FIELD,
    Entry,
    IndexFields,
    SessionSummary,
    copied,
    encode,
    field_sizes,
    has_lost_route,
    legacy_fields,
    merge,
    normalise_legacy,
    summarise,
    summary_of,
)
from sessionlab.errors import InvalidEntryError

VALUES: st.SearchStrategy[Any] = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.text(max_size=8)
    | st.just([])
    | st.just({})
)
FIELD_NAMES = st.sampled_from(
    ["provider", "channel", "lastProvider", "lastChannel", "room", "groupChannel", "model", "modelProvider", "updatedAt", "delivery", "x"]
)
ENTRIES = st.dictionaries(FIELD_NAMES, VALUES)

LEGACY: list[tuple[Entry, Entry]] = [
    ({"provider": "telegram"}, {"channel": "telegram"}),
    ({"lastProvider": "slack"}, {"lastChannel": "slack"}),
    ({"room": "general"}, {"groupChannel": "general"}),
    ({"provider": "telegram", "channel": "slack"}, {"provider": "telegram", "channel": "slack"}),
    ({"provider": "telegram", "channel": ""}, {"provider": "telegram", "channel": ""}),
    ({"provider": "telegram", "channel": None}, {"channel": "telegram"}),
    ({"provider": "telegram", "channel": 5}, {"channel": "telegram"}),
    ({"provider": 5}, {"provider": 5}),
    ({"room": "general", "groupChannel": "other"}, {"groupChannel": "other"}),
    ({"room": 5}, {}),
    ({"model": " opus ", "modelProvider": " anthropic "}, {"model": "opus", "modelProvider": "anthropic"}),
    ({"model": " ", "modelProvider": "anthropic"}, {}),
    ({"model": "opus", "modelProvider": "\t"}, {"model": "opus"}),
    ({"modelProvider": ""}, {}),
    ({"model": None}, {"model": None}),
    ({"counter": 3, "tag": {"a": [1]}}, {"counter": 3, "tag": {"a": [1]}}),
    ({}, {}),
]


@pytest.mark.parametrize(("entry", "expected"), LEGACY, ids=[codec.encode_compact(row[0]).decode() for row in LEGACY])
def test_legacy_names_become_todays(entry: Entry, expected: Entry) -> None:
    before = copy.deepcopy(entry)
    assert normalise_legacy(entry) == expected
    assert entry == before


def test_field_order_is_kept_and_moved_fields_come_last() -> None:
    entry = {"sessionId": "a", "provider": "telegram", "channel": None, "zeta": 1, "room": "r", "alpha": 2}
    assert list(normalise_legacy(entry)) == ["sessionId", "zeta", "alpha", "channel", "groupChannel"]


@given(ENTRIES)
def test_normalising_twice_changes_nothing_more(entry: Entry) -> None:
    once = normalise_legacy(entry)
    assert normalise_legacy(once) == once
    assert list(normalise_legacy(once)) == list(once)


def test_legacy_names_in_use_are_listed_in_a_fixed_order() -> None:
    assert legacy_fields({"room": "r", "lastProvider": 5, "provider": "p"}) == ("provider", "room")
    assert legacy_fields({"channel": "telegram"}) == ()


@pytest.mark.parametrize(
    ("entry", "lost"),
    [
        ({"provider": "telegram", "delivery": {"kind": "none"}}, True),
        ({"lastProvider": "telegram", "delivery": {"kind": "none"}}, True),
        ({"room": "r", "delivery": {"kind": "none"}}, False),
        ({"provider": "telegram", "delivery": {"kind": "external"}}, False),
        ({"provider": "telegram"}, False),
        ({"delivery": {"kind": "none"}}, False),
        ({"provider": "telegram", "delivery": "none"}, False),
    ],
)
def test_lost_route_is_one_that_stands_under_old_names_only(entry: Entry, lost: bool) -> None:  # noqa: FBT001 - a column of the table
    assert has_lost_route(entry) is lost


FULL: Entry = {
    "sessionId": " s1 ",
    "updatedAt": 2000.0,
    "sessionStartedAt": 1000,
    "startedAt": 1100,
    "endedAt": 1900,
    "status": "done",
    "chatType": "group",
    "channel": "telegram",
    "label": "A",
    "displayName": "B",
    "modelProvider": "anthropic",
    "model": "opus",
    "inputTokens": 1,
    "outputTokens": 2,
    "totalTokens": 3,
    "contextTokens": 4,
    "compactionCount": 5,
    "parentSessionKey": "agent:main:main",
    "sessionFile": "s1.jsonl",
    "lastThreadId": 17,
    "archivedAt": 1950,
    "skillsSnapshot": {"prompt": "x" * 100},
}


def test_every_index_column_is_taken_from_its_field() -> None:
    assert summary_of("k", FULL) == SessionSummary(
        key="k",
        session_id="s1",
        updated_ms=2000,
        created_ms=1000,
        started_ms=1100,
        ended_ms=1900,
        status="done",
        chat_type="group",
        channel="telegram",
        label="A",
        display_name="B",
        model_provider="anthropic",
        model="opus",
        input_tokens=1,
        output_tokens=2,
        total_tokens=3,
        context_tokens=4,
        compaction_count=5,
        parent_key="agent:main:main",
        session_file="s1.jsonl",
        thread_id="17",
        archived=True,
    )


def test_an_empty_entry_says_nothing() -> None:
    assert summary_of("k", {}) == SessionSummary(key="k", session_id=None, updated_ms=None)


def test_skipping_decoder_and_decoded_entry_give_the_same_summary() -> None:
    raw = codec.encode_indented(FULL)
    assert summarise("k", msgspec.json.decode(raw, type=IndexFields)) == summary_of("k", FULL)


ROUTES: list[tuple[str, Entry, Entry, tuple[str | None, str | None]]] = [
    # JSON era, the same session after OpenClaw's import, (channel, thread)
    (
        "group topic",
        {"channel": "telegram", "lastChannel": "telegram", "lastThreadId": 17, "deliveryContext": {"channel": "telegram", "threadId": 17}},
        {"delivery": {"kind": "external", "route": {}, "context": {"channel": "telegram", "to": "-1", "threadId": 17}}},
        ("telegram", "17"),
    ),
    (
        "slack thread",
        {"lastChannel": "slack", "lastThreadId": "1699.22"},
        {"delivery": {"kind": "external", "context": {"channel": "slack", "threadId": "1699.22"}}},
        ("slack", "1699.22"),
    ),
    ("web chat", {"lastChannel": "webchat"}, {"delivery": {"kind": "internal"}}, ("webchat", None)),
    ("none", {}, {"delivery": {"kind": "none"}}, (None, None)),
    (
        "blank thread",
        {"channel": "slack", "lastThreadId": ""},
        {"delivery": {"context": {"channel": " slack ", "threadId": ""}}},
        ("slack", None),
    ),
    ("legacy", {"lastProvider": "signal"}, {"lastProvider": "signal", "delivery": {"kind": "none"}}, ("signal", None)),
    (
        "legacy provider first",
        {"provider": "signal", "lastChannel": "x"},
        {"provider": "signal", "delivery": {"kind": "none"}},
        ("signal", None),
    ),
]


@pytest.mark.parametrize(("old", "new", "expected"), [row[1:] for row in ROUTES], ids=[row[0] for row in ROUTES])
def test_route_is_read_alike_before_and_after_openclaws_import(old: Entry, new: Entry, expected: tuple[str | None, str | None]) -> None:
    before, after = summary_of("k", old), summary_of("k", new)
    assert (before.channel, before.thread_id) == (after.channel, after.thread_id) == expected


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("updatedAt", "yesterday"),
        ("updatedAt", 1e300),
        ("updatedAt", 2**53 + 1),
        ("updatedAt", True),
        ("updatedAt", None),
        ("updatedAt", [1]),
        ("sessionId", 5),
        ("sessionId", "  "),
        ("channel", {}),
        ("delivery", "telegram"),
        ("delivery", {"context": "telegram"}),
        ("delivery", {"context": {"channel": 5, "threadId": True}}),
        ("lastThreadId", 1.5),
        ("modelProvider", "anthropic"),
    ],
)
def test_value_of_the_wrong_type_counts_as_absent(field: str, value: Any) -> None:
    assert summary_of("k", {field: value}) == SessionSummary(key="k", session_id=None, updated_ms=None)


@pytest.mark.parametrize(("value", "expected"), [(0, 0), (-5, -5), (5.9, 5), (2**53, 2**53), (-(2**53), -(2**53))])
def test_number_in_javascripts_range_is_taken(value: float, expected: int) -> None:
    assert summary_of("k", {"updatedAt": value}).updated_ms == expected


def test_parent_falls_back_on_who_spawned_it_and_creation_on_created_at() -> None:
    summary = summary_of("k", {"spawnedBy": "agent:main:main", "createdAt": 7})
    assert (summary.parent_key, summary.created_ms) == ("agent:main:main", 7)


@given(ENTRIES)
def test_any_entry_has_a_summary(entry: Entry) -> None:
    assert summary_of("k", entry).key == "k"


@given(st.dictionaries(st.text() | st.just(REST_FIELD), VALUES), st.sampled_from([codec.encode_compact, codec.encode_indented]))
def test_sizes_of_fields_add_up_to_the_entry(entry: Entry, encode: Any) -> None:
    raw = encode(entry)
    sizes = field_sizes(raw)
    assert sum(sizes.values()) == len(raw)
    assert list(sizes) == [*(name for name in entry if name != REST_FIELD), REST_FIELD]


def test_size_of_a_field_is_its_value_as_written() -> None:
    raw = '{ "a" : "é" , "b":{ "c": 1 },"a2":[]}'.encode()
    assert field_sizes(raw) == {"a": 4, "b": 10, "a2": 2, REST_FIELD: len(raw) - 16}
    assert field_sizes(memoryview(raw)) == field_sizes(raw)


@pytest.mark.parametrize("raw", [b"", b"null", b"[]", b"{", b'{"a":}'])
def test_only_an_object_has_field_sizes(raw: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        field_sizes(raw)


# --- merge and encode


NOW_MS = 1_795_132_800_000


@pytest.mark.parametrize(
    ("existing", "patch", "expected"),
    [
        ({"sessionId": "a", "updatedAt": 5, "x": 1}, {"y": None}, {"sessionId": "a", "updatedAt": NOW_MS, "x": 1, "y": None}),
        ({"sessionId": "a", "updatedAt": NOW_MS + 9}, {}, {"sessionId": "a", "updatedAt": NOW_MS + 9}),
        ({"sessionId": "a"}, {"updatedAt": NOW_MS + 1, "sessionId": "b"}, {"sessionId": "b", "updatedAt": NOW_MS + 1}),
        ({"sessionId": "a", "x": {"y": 1}}, {"x": msgspec.UNSET, "z": msgspec.UNSET}, {"sessionId": "a", "updatedAt": NOW_MS}),
        (
            {"sessionId": "a", "model": "m", "modelProvider": "p"},
            {"model": " n "},
            {"sessionId": "a", "model": "n", "updatedAt": NOW_MS},
        ),
        (
            {"sessionId": "a", "model": "m", "modelProvider": "p"},
            {"model": "m"},
            {"sessionId": "a", "model": "m", "modelProvider": "p", "updatedAt": NOW_MS},
        ),
        (
            {"sessionId": "a", "model": "m", "modelProvider": "p"},
            {"model": "n", "modelProvider": " q "},
            {"sessionId": "a", "model": "n", "modelProvider": "q", "updatedAt": NOW_MS},
        ),
        ({"sessionId": "a", "model": "m", "modelProvider": "p"}, {"model": "  "}, {"sessionId": "a", "updatedAt": NOW_MS}),
        (
            {"sessionId": "a", "model": "m", "modelProvider": "p"},
            {"modelProvider": ""},
            {"sessionId": "a", "model": "m", "updatedAt": NOW_MS},
        ),
    ],
)
def test_merge_lays_a_patch_over_an_entry(existing: Entry, patch: dict[str, Any], expected: Entry) -> None:
    before, given_patch = copied(existing), dict(patch)
    merged = merge(existing, patch, now_ms=NOW_MS)
    assert merged == expected
    assert (existing, patch) == (before, given_patch)


def test_merge_gives_a_new_session_an_id() -> None:
    first, second = merge(None, {"label": "x"}, now_ms=NOW_MS), merge({"sessionId": " "}, {}, now_ms=NOW_MS)
    assert first | {"sessionId": ""} == {"label": "x", "sessionId": "", "updatedAt": NOW_MS}
    assert len(first["sessionId"]) == len(second["sessionId"]) == 36
    assert first["sessionId"] != second["sessionId"]


def test_merge_can_leave_the_activity_as_it_is() -> None:
    assert merge({"sessionId": "a", "updatedAt": 5}, {"updatedAt": 9}, now_ms=NOW_MS, keep_activity=True)["updatedAt"] == 5
    assert merge({"sessionId": "a"}, {}, now_ms=NOW_MS, keep_activity=True)["updatedAt"] == NOW_MS


def test_a_copy_is_independent() -> None:
    entry: Entry = {"a": {"b": [{"c": 1}]}}
    copy = copied(entry)
    copy["a"]["b"][0]["c"] = 2
    copy["a"]["b"].append(3)
    assert entry == {"a": {"b": [{"c": 1}]}}


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ([1], "is an array, not an object"),
        (None, "is null, not an object"),
        ({"updatedAt": 1}, "has no sessionId"),
        ({"sessionId": " "}, "has no sessionId"),
        ({"sessionId": 5}, "has no sessionId"),
        ({"sessionId": "x", "v": float("nan")}, "would give back as something else"),
        ({"sessionId": "x", "v": float("inf")}, "would give back as something else"),
        ({"sessionId": "x", "v": (1,)}, "would give back as something else"),
        ({"sessionId": "x", "v": {5: 1}}, "would give back as something else"),
        ({"sessionId": "x", "v": b"x"}, "would give back as something else"),
        ({"sessionId": "x", "v": "\ud800"}, "cannot be written as JSON"),
        ({"sessionId": "x", "v": object()}, "cannot be written as JSON"),
        ({"sessionId": "x", "v": 2**64}, "integer of 20 digits is out of range"),
    ],
)
def test_an_entry_that_would_not_survive_is_refused(entry: Any, reason: str) -> None:
    with pytest.raises(InvalidEntryError, match=reason) as caught:
        encode("agent:main:main", entry)
    assert str(caught.value).startswith("entry of 'agent:main:main': ")
    assert caught.value.exit_code == 2


def test_an_entry_that_survives_is_encoded_as_it_is() -> None:
    entry = {"sessionId": "x", "unknown": {"é": [None, True, 1.5, 2.0, -(2**63), 2**64 - 1]}, "": ""}
    expected = '{"sessionId":"x","unknown":{"é":[null,true,1.5,2,-9223372036854775808,18446744073709551615]},"":""}'
    assert encode("k", entry) == expected.encode()
