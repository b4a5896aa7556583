"""Transcripts that left OpenClaw's table of events: archives of ended sessions, and cold storage."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import zstandard

from sessionlab.stores.openclaw import OpenClawStore
from tests.stores.changed_database import WINDOW, Change, buffers, change, checked, freeze

ARCHIVED = b'{"type":"session","id":"old"}\n{"type":"message","id":"a"}\n'


def archive(
    name: str, blob: bytes, *, encoding: str, reason: str = "deleted", sha256: str | None = None, published: bool = False
) -> Change:
    sql = (
        "INSERT INTO session_transcript_archives (session_id, generation, session_key, reason, encoding, archive_blob, archive_sha256, "
        "archive_name, created_at, published_at) VALUES (?, 'g', 'agent:main:gone', ?, ?, ?, ?, ?, 1795000000000, ?)"
    )
    digest = sha256 or hashlib.sha256(blob).hexdigest()
    return lambda db: db.execute(sql, (f"session-{name}", reason, encoding, blob, digest, name, 7 if published else None))


def test_archives_of_deleted_and_reset_sessions(own: Path) -> None:
    pretty = json.dumps({"type": "message", "text": "a\nb"}, indent=2).encode()
    stream = zstandard.ZstdCompressor(write_content_size=False).compress(ARCHIVED)
    change(
        own,
        archive("plain.jsonl.reset.x", ARCHIVED, encoding="identity", reason="reset", published=True),
        archive("packed.jsonl.deleted.x.zst", stream, encoding="zstd"),
        archive("pretty.jsonl.deleted.x", ARCHIVED + pretty, encoding="identity"),
        archive("broken.jsonl.deleted.x", ARCHIVED + b'{"type":\n{"type":"message"}\n', encoding="identity"),
    )
    found = buffers(own)
    plain, lines = found["plain.jsonl.reset.x"]
    assert (plain.source, plain.session_key, plain.is_published, plain.events) == ("archive-reset", "agent:main:gone", True, 2)
    assert lines == ARCHIVED
    packed, lines = found["packed.jsonl.deleted.x.zst"]
    assert (packed.source, packed.is_published, lines) == ("archive-deleted", False, ARCHIVED)
    assert found["pretty.jsonl.deleted.x"][1] == ARCHIVED + b'{"type":"message","text":"a\\nb"}\n'
    assert found["broken.jsonl.deleted.x"][1] == ARCHIVED + b'{"type":\n{"type":"message"}\n'
    assert "archive_unreadable" not in checked(own)
    with OpenClawStore.open(own) as opened:
        assert [one.name for one in opened.transcripts()] == list(found)
        for transcript in opened.transcripts():
            assert list(opened.transcript_lines(transcript)) == found[transcript.name][1].splitlines()


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"blob": ARCHIVED, "encoding": "identity", "sha256": "0" * 64}, "SHA-256"),
        ({"blob": b"not zstd", "encoding": "zstd"}, "zstd does not decode it"),
        ({"blob": zstandard.compress(ARCHIVED)[:-3], "encoding": "zstd"}, "zstd does not decode it"),
    ],
)
def test_archive_that_cannot_be_read_is_a_problem(own: Path, row: dict[str, Any], reason: str) -> None:
    change(own, archive("bad.jsonl.deleted.x", **row))
    transcript, lines = buffers(own)["bad.jsonl.deleted.x"]
    (problem,) = transcript.problems
    assert (lines, transcript.events, transcript.bytes) == (b"", 0, 0)
    assert reason in problem.message
    assert checked(own)["archive_unreadable"] == [problem]
    with OpenClawStore.open(own) as opened:
        assert list(opened.transcript_lines(transcript)) == [problem]


@pytest.mark.parametrize("into", ["file", "sqlite"])
def test_cold_transcript_reads_like_the_live_one(own: Path, into: str) -> None:
    live, lines = buffers(own)[f"{WINDOW}.jsonl"]
    cold = freeze(own, into=into)
    found = buffers(own)
    assert f"{WINDOW}.jsonl" not in found
    transcript, cold_lines = found[cold.name]
    assert cold_lines == lines
    assert (transcript.source, transcript.session_key, transcript.problems) == ("cold", "agent:main:main", ())
    assert (transcript.events, transcript.bytes) == (live.events, live.bytes)
    with OpenClawStore.open(own) as opened:
        assert transcript in opened.transcripts()
        assert list(opened.transcript_lines(transcript)) == lines.splitlines()
    codes = checked(own)
    assert "cold_transcript_unreadable" not in codes
    assert codes["window_without_events"][0].count == 5


@pytest.mark.parametrize("into", ["file", "sqlite"])
def test_damaged_cold_transcript_is_a_problem(own: Path, into: str) -> None:
    cold = freeze(own, into=into, damage=lambda blob: blob[:-1] + b"?")
    transcript, lines = buffers(own)[cold.name]
    assert lines == b""
    assert "SHA-256" in transcript.problems[0].message
    assert checked(own)["cold_transcript_unreadable"][0].key == "agent:main:main"


def test_missing_cold_file_is_a_problem(own: Path) -> None:
    cold = freeze(own, into="file")
    cold.unlink()
    (problem,) = checked(own)["cold_transcript_unreadable"]
    assert "is missing in" in problem.message
    assert (problem.severity, problem.key) == ("error", "agent:main:main")


def test_cold_transcript_with_another_number_of_events_is_a_problem(own: Path) -> None:
    cold = freeze(own, into="sqlite", events=3)
    assert "events where the store says 3" in buffers(own)[cold.name][0].problems[0].message


def test_cold_name_cannot_lead_out_of_its_folder(own: Path) -> None:
    cold = freeze(own, into="file")
    (own.parent.parent / "sessions" / "secret.jsonl.zst").write_bytes(cold.read_bytes())
    change(own, "UPDATE session_transcript_cold_archives SET archive_name = '../secret.jsonl.zst'")
    (problem,) = checked(own)["cold_transcript_unreadable"]
    assert "is not a name of a cold transcript" in problem.message


def test_session_that_is_live_and_cold_counts_once(own: Path) -> None:
    live = buffers(own)[f"{WINDOW}.jsonl"]
    cold = freeze(own, into="sqlite", keep_live=True)
    found = buffers(own)
    assert found[f"{WINDOW}.jsonl"] == live
    assert (found[cold.name][0].events, found[cold.name][1]) == (0, b"")
    assert checked(own)["cold_transcript_also_live"][0].severity == "warning"
