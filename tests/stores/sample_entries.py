"""Entries and keys that a store must give back exactly, and such as it must refuse."""

from __future__ import annotations

import codecs
import math
import string
from collections.abc import Callable
from typing import Any, Final

from hypothesis import strategies as st

from sessionlab.entry import Entry

NOW_MS: Final = 1_780_000_000_000

ALPHA: Final = "agent:main:main"
BETA: Final = "agent:main:telegram:direct:12345"
GAMMA: Final = "agent:main:cron:job-1:run:0f8fad5b-d9cb-469f-a165-70867728950e"


def session(number: int = 1, **fields: Any) -> Entry:
    """Return a small entry with an unknown field, a null and an empty text."""
    plain: Entry = {
        "sessionId": f"id-{number}",
        "updatedAt": NOW_MS - 1_000 * number,
        "counter": 0,
        "tag": {"unknown": [1, None, "x"]},
        "label": "",
        "status": None,
    }
    return plain | fields


def small_store() -> dict[str, Entry]:
    """Return three sessions, the oldest first, with every sort of index column in use."""
    return {
        GAMMA: session(9, model="gpt-5", modelProvider="openai", inputTokens=1, outputTokens=2, totalTokens=3, status="done"),
        ALPHA: session(2, channel="webchat", chatType="direct", displayName="Zoë 🦞", lastThreadId=12345, contextTokens=0),
        BETA: session(
            1,
            delivery={"context": {"channel": "telegram", "threadId": "77"}},
            skillsSnapshot={"prompt": "é" * 500, "skills": [{"name": f"s{place}"} for place in range(9)]},
            sessionFile="/home/x/id-1.jsonl",
            archivedAt=NOW_MS,
        ),
    }


# B.5: nulls, zeros, blanks and numbers in place of texts; F.4: unknown fields; F.10: what JavaScript writes in another way than Python.
EXACT: Final[dict[str, Entry]] = {
    "nulls-zeros-and-blanks": session(lastThreadId=None, label="", channel="", totalTokens=0, archivedAt=None, model=None),
    "numeric-thread-id": session(lastThreadId=12345),
    "text-thread-id": session(lastThreadId="12345"),
    "absent-updated-at": {"sessionId": "id"},
    "ill-typed-columns": session(updatedAt="yesterday", channel=5, label=[1], model={"a": 1}, totalTokens="many", archivedAt=True),
    "fields-named-like-columns": session(session_key="k", entry_json="{}", sessionKey="x", entry={"sessionId": 1}, version=7, kind="?"),
    "field-order": {"zebra": 1, "sessionId": "id", "apple": {"y": 1, "x": 2}, "updatedAt": 5, "": "blank name", "10": 1, "9": 2},
    "unicode": session(label="\x7f\u2028\u2029 \u00e9 e\u0301 \U0001f99e \ufeff \uffff", displayName='"\\/\b\f\n\r\t\x00\x1f'),
    "numbers": session(numbers=[0, -1, 1.5, 0.1, 1e-7, 5e-324, 1e16, 1e21, 1.7976931348623157e308, 2**53 + 1, 2**63, 2**64 - 1, -(2**63)]),
    "whole-floats": session(numbers=[1.0, -0.0, 1e19, 5.0]),
    "booleans-are-no-numbers": session(flags=[True, False, 1, 0], archived=False),
    "empty-containers": session(a={}, b=[], c=[[], {}, [{}]]),
    "prototype-field": session(__proto__={"polluted": True}, constructor=1),
    "nested": session(deep=eval("[" * 150 + "]" * 150)),
    "large": session(skillsSnapshot={"prompt": string.printable * 3_000}),
}

# Keys that are odd, and kept: each is another session.
KEPT_KEYS: Final = (
    "../x",
    "../../etc/passwd",
    "/absolute",
    ".hidden",
    "a:b",
    "a--b",
    "a/b",
    "a\\b",
    "a+b",
    "a%2fb",
    "a b",
    "agent:main:caf\u00e9",
    "agent:main:cafe\u0301",
    "\U0001f99e",
    "'; drop table sessions; --",
    '{"a": 1}',
    "%",
    "_",
    "null",
    "state",
    "session-hash-x",
    "x" * 120,
    "x" * 121,
    "x" * 255,
    "\u00e9" * 60,
    "\u00e9" * 61,
    "y" * 4096,
)
REFUSED_KEYS: Final = {
    "empty": "",
    "blank": " \t ",
    "proto": "__proto__",
    "proto-in-capitals": " __PROTO__ ",
    "prototype": "prototype",
    "constructor": "Constructor",
    "nul": "agent:main:\0x",
    "newline": "agent:main:a\nb",
    "escape": "\x1b[31m",
    "ten-kilobytes": "x" * 10_000,
    "just-too-long": "x" * 4097,
}


def _cycle() -> Entry:
    entry = session()
    entry["self"] = entry
    return entry


def _nested(depth: int) -> list[Any]:
    nested: list[Any] = []
    for _ in range(depth):
        nested = [nested]
    return nested


# Each is made anew: a test must not hand the next one what it changed.
REFUSED_ENTRIES: Final[dict[str, Callable[[], Any]]] = {
    "nan": lambda: session(x=math.nan),
    "infinity": lambda: session(x=[-math.inf]),
    "half-surrogate": lambda: session(x="\ud800"),
    "half-surrogate-in-a-name": lambda: session(**{"\udfff": 1}),
    "no-session-id": lambda: {"updatedAt": 1},
    "null-session-id": lambda: {"sessionId": None},
    "blank-session-id": lambda: {"sessionId": " "},
    "numeric-session-id": lambda: {"sessionId": 7},
    "null": lambda: None,
    "array": lambda: [session()],
    "text": lambda: "text",
    "empty": dict,
    "tuple": lambda: session(x=(1, 2)),
    "set": lambda: session(x={1}),
    "bytes": lambda: session(x=b"1"),
    "numeric-name": lambda: session(x={1: 1}),
    "huge-integer": lambda: session(x=2**64),
    "five-thousand-digits": lambda: session(x=[10**5_000]),
    "huge-whole-float": lambda: session(x=1e20),  # JavaScript writes it in digits, as an integer beyond 64 bits
    "object": lambda: session(x=object()),
    "too-deep": lambda: session(x=_nested(300)),
    "far-too-deep": lambda: session(x=_nested(100_000)),
    "cycle": _cycle,
}

# What lies in a store as the bytes of an entry and must not be read as one (RELIABILITY.md, T8).
HOSTILE_BYTES: Final[dict[str, bytes]] = {
    "truncated": b'{"sessionId":"id","updat',
    "not-utf-8": b'{"sessionId":"id","x":"\xff\xfe"}',
    "mark": codecs.BOM_UTF8 + b'{"sessionId":"id"}',
    "utf-16": '{"sessionId":"id"}'.encode("utf-16"),
    "duplicate-name": b'{"sessionId":"id","x":1,"x":2}',
    "duplicate-name-inside": b'{"sessionId":"id","x":{"y":1,"y":2}}',
    "nan": b'{"sessionId":"id","x":NaN}',
    "infinity": b'{"sessionId":"id","x":-Infinity}',
    "out-of-range": b'{"sessionId":"id","x":1e999}',
    "long-number": b'{"sessionId":"id","x":' + b"9" * 5_000 + b"}",
    "half-surrogate": b'{"sessionId":"id","x":"\\ud800"}',
    "too-deep": b'{"sessionId":"id","x":' + b"[" * 5_000 + b"]" * 5_000 + b"}",
    "trailing-comma": b'{"sessionId":"id",}',
    "array": b"[]",
    "text": b'"text"',
    "number": b"7",
}

TEXT: Final = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
JSON: Final = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(-1e15, 1e15) | st.floats(1e21, 1e300) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
_COLUMNS: Final = st.fixed_dictionaries(
    {},
    optional={
        "updatedAt": st.integers(0, 2**53) | st.none() | TEXT,
        "lastThreadId": st.integers(-9, 9) | TEXT | st.none(),
        "label": TEXT | st.none(),
        "channel": TEXT | st.none(),
        "model": TEXT | st.none(),
        "totalTokens": st.integers(0, 9) | st.none(),
        "archivedAt": st.integers(0, 9) | st.none() | st.booleans(),
        "delivery": JSON,
    },
)
ENTRIES: Final = st.builds(
    lambda unknown, columns, name: {**unknown, **columns, "sessionId": f"id{name}"}, st.dictionaries(TEXT, JSON, max_size=4), _COLUMNS, TEXT
)
