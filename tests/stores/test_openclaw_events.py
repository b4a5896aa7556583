"""The events of OpenClaw's live transcripts: plain, compressed, unreadable, and without a session."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import zstandard

from sessionlab.stores.openclaw import OpenClawStore
from tests.stores.changed_database import WINDOW, Change, buffers, change, checked


def set_event(seq: int, *, text: str | None = None, packed: bytes | None = None, size: int | None = None) -> Change:
    sql = "UPDATE transcript_events SET event_json = ?, event_zstd = ?, event_utf8_bytes = ? WHERE session_id = ? AND seq = ?"
    return lambda db: db.execute(sql, (text, packed, size, WINDOW, seq))


GOOD = zstandard.compress(b'{"type":"custom","n":1}')


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        ({}, "neither event_json nor event_zstd"),
        ({"text": "{}", "packed": GOOD, "size": 23}, "both event_json and event_zstd"),
        ({"packed": b"no zstd frame at all", "size": 23}, "zstd does not decode it"),
        ({"packed": GOOD[:-4], "size": 23}, "zstd does not decode it"),
        ({"packed": GOOD + b"more", "size": 23}, "zstd does not decode it"),
        ({"packed": b"", "size": 23}, "zstd does not decode it"),
        ({"packed": GOOD, "size": 24}, "23 bytes where the store says 24"),
        ({"packed": GOOD, "size": 22}, "claims 23 bytes, more than the 22 allowed"),
        ({"packed": GOOD}, "says it has None bytes"),
        ({"packed": GOOD, "size": 1 << 40}, "which the format does not allow"),
        ({"packed": zstandard.ZstdCompressor(write_content_size=False).compress(b"0" * (1 << 26)), "size": 100}, "more than the 100 bytes"),
        ({"text": '{"a":"x\ny"}'}, "is not JSON"),
    ],
)
def test_event_that_cannot_be_read_is_a_problem_and_the_others_are_read(own: Path, event: dict[str, Any], reason: str) -> None:
    before = buffers(own)[f"{WINDOW}.jsonl"][1].splitlines()
    change(own, set_event(4, **event))
    transcript, lines = buffers(own)[f"{WINDOW}.jsonl"]
    (problem,) = transcript.problems
    assert reason in problem.message
    assert (problem.code, problem.severity, problem.line, problem.key) == ("event_unreadable", "error", 5, "agent:main:main")
    assert lines.splitlines() == [*before[:4], b"", *before[5:]]
    assert transcript.events == len(before)
    with OpenClawStore.open(own) as opened:
        answers = list(opened.transcript_lines(transcript))
    assert answers == [*before[:4], problem, *before[5:]]
    assert problem in checked(own)["event_unreadable"]


def test_pretty_printed_event_becomes_one_line(own: Path) -> None:
    change(own, set_event(4, text='{\n  "type": "custom",\n  "text": "two\\nlines",\n  "n": 1.50\n}'))
    transcript, lines = buffers(own)[f"{WINDOW}.jsonl"]
    assert transcript.problems == ()
    assert lines.splitlines()[4] == b'{"type":"custom","text":"two\\nlines","n":1.50}'


def test_event_without_content_size_is_read(own: Path) -> None:
    packed = zstandard.ZstdCompressor(write_content_size=False).compress(b'{"type":"custom"}')
    change(own, set_event(4, packed=packed, size=17))
    assert buffers(own)[f"{WINDOW}.jsonl"][1].splitlines()[4] == b'{"type":"custom"}'


def test_orphans_are_told(own: Path) -> None:
    change(
        own,
        f"DELETE FROM session_windows WHERE session_id = '{WINDOW}'",
        "DELETE FROM session_nodes WHERE session_key = 'agent:main:discord:channel:leg1'",
    )
    transcript, lines = buffers(own)[f"{WINDOW}.jsonl"]
    assert transcript.session_key is None
    assert lines
    found = checked(own)
    assert (found["orphan_events"][0].severity, found["orphan_events"][0].count) == ("warning", 1)
    assert found["orphan_window"][0].count == 1
    assert found["no_current_window"][0].key == "agent:main:main"
