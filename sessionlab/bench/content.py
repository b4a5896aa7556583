"""What the measured stores hold, and what is written into them: never the same bytes twice.

A database does not write a page that is equal to the old one, and would look five times as fast.
"""

from __future__ import annotations

import base64
import itertools
import random
import string
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sessionlab import codec
from sessionlab.bench.scope import ENTRY_BYTES, NOW_MS
from sessionlab.entry import Entry
from sessionlab.stores.json_file import JSONFileStore
from sessionlab.synth import write_state

VARIANTS: Final = 25
"""How many different forms of an entry are written before the first comes again."""


@dataclass(frozen=True, slots=True)
class Content:
    """The sessions of one large `sessions.json`, and the file itself."""

    path: Path
    data: bytes
    entries: dict[str, Entry]

    @property
    def middle(self) -> str:
        """The key of a session in the middle of the store."""
        return list(self.entries)[len(self.entries) // 2]

    @property
    def in_words(self) -> str:
        """What it is."""
        return f"{len(self.entries):,} sessions of {len(self.data) / len(self.entries) / 1000:.0f} KB"


def write_content(folder: Path, *, sessions: int) -> Path:
    """Write a `sessions.json` of synthetic sessions of `ENTRY_BYTES` into a new state in `folder`, which is empty, and return it."""
    write_state(folder, seed=1, sessions=sessions, entry_bytes=ENTRY_BYTES, agents=("main",), transcripts=False, flaws=False)
    return folder / "agents" / "main" / "sessions" / "sessions.json"


def make_content(folder: Path, *, sessions: int) -> Content:
    """Write such sessions into `folder`, which is empty, and read them."""
    path = write_content(folder, sessions=sessions)
    with JSONFileStore.open(path) as store:
        return Content(path, path.read_bytes(), dict(store.items()))


def small_entries(count: int) -> dict[str, Entry]:
    """Return sessions of about 700 bytes, without the big fields, in an order that is not that of their times."""
    route = {"channel": "telegram", "to": "telegram:4711", "accountId": "default"}
    model = {"modelProvider": "anthropic", "model": "claude-sonnet-4-5", "contextTokens": 200_000}
    same = {"systemSent": True, "chatType": "direct", "channel": "telegram", "deliveryContext": route, "lastChannel": "telegram", **model}
    return {
        small_key(number): {
            "sessionId": f"{number:08x}-5ca1-4b1e-8000-{number * 2654435761 % (1 << 48):012x}",
            "updatedAt": NOW_MS - number * 7919 % 1_000_000_007,
            **same,
            "displayName": f"telegram:job {number % 97}, run {number}",
            "inputTokens": number % 1000,
            "outputTokens": number % 3000,
            "totalTokens": number % 4000,
            "compactionCount": 0,
            "sessionFile": f"/home/claw/.openclaw/agents/main/sessions/{number:08x}.jsonl",
            "lastError": "The tool did not answer in time. " * (number % 9),
        }
        for number in range(count)
    }


def small_key(number: int) -> str:
    """Return the key of the session of that number."""
    return f"agent:main:cron:job-{number % 97}:run:{number:08d}"


def sized_entries(count: int, entry_bytes: int) -> dict[str, Entry]:
    """Return such sessions filled up with a big field, one of another text each, to so many bytes of compact JSON."""
    texts, entries = random.Random(1), small_entries(count)  # noqa: S311  # no secret
    for entry in entries.values():
        if (missing := entry_bytes - len(codec.encode_compact(entry)) - len(',"skillsSnapshot":{"prompt":""}')) > 0:
            entry["skillsSnapshot"] = {"prompt": base64.b64encode(texts.randbytes(missing * 3 // 4 + 3))[:missing].decode()}
    return entries


def changing_entries(entry: Entry) -> Iterator[Entry]:
    """Yield an entry without end, every text and number in it another than in the one before, and its size too."""
    letters = string.ascii_lowercase
    turned = []
    for turn in range(1, VARIANTS + 1):
        table = str.maketrans(letters, letters[turn:] + letters[:turn])
        turned.append({name: _turned(value, table, turn) for name, value in entry.items()} | {"label": "x" * (turn * 37 % 97)})
    return itertools.cycle(turned)


def changing_fields(word: str) -> Iterator[dict[str, Any]]:
    """Yield one small field, changing in content and size. Writers of one store need words of their own: equal bytes are not written."""
    return ({"label": f"{word} {number} " + "x" * (number % 97)} for number in itertools.count())


def hot_fields() -> Iterator[tuple[dict[str, Any], int]]:
    """Yield what changes with every message: the token counters, and the clock that `updatedAt` follows."""
    return (
        ({"inputTokens": number, "outputTokens": 7 * number, "totalTokens": 8 * number}, NOW_MS + 1000 * number)
        for number in itertools.count(1)
    )


def _turned(value: Any, table: dict[int, int], step: int) -> Any:
    """Return a JSON value with other letters and numbers."""
    if isinstance(value, str):
        return value.translate(table)
    if isinstance(value, dict):
        return {name: _turned(inner, table, step) for name, inner in value.items()}
    if isinstance(value, list):
        return [_turned(inner, table, step) for inner in value]
    return value + step if isinstance(value, int | float) and not isinstance(value, bool) else value
