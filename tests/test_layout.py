"""Names of files and folders, taken apart as OpenClaw puts them together."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionlab import layout
from sessionlab.layout import AgentFolder, FilePart, TranscriptName

ID = "0f8fad5b-d9cb-469f-a165-70867728950e"
TIME = "2026-11-20T13-14-31.436Z"

TRANSCRIPTS: list[tuple[str, TranscriptName | None, FilePart]] = [
    (f"{ID}.jsonl", TranscriptName(ID, ID, None, "live", compressed=False), "transcripts"),
    (f"{ID}-topic-17.jsonl", TranscriptName(f"{ID}-topic-17", ID, "17", "live", compressed=False), "transcripts"),
    (f"{ID}-topic-a%2Fb.jsonl", TranscriptName(f"{ID}-topic-a%2Fb", ID, "a/b", "live", compressed=False), "transcripts"),
    (
        f"2026-10-15T07-14-47-964Z_{ID}.jsonl",
        TranscriptName(f"2026-10-15T07-14-47-964Z_{ID}", ID, None, "live", compressed=False),
        "transcripts",
    ),
    (f"{ID}.jsonl.deleted.{TIME}", TranscriptName(ID, ID, None, "archive-deleted", compressed=False), "transcript archives"),
    (f"{ID}.jsonl.deleted.2026-11-20T13-14-31Z", TranscriptName(ID, ID, None, "archive-deleted", compressed=False), "transcript archives"),
    (f"{ID}.jsonl.deleted.{TIME}.zst", TranscriptName(ID, ID, None, "archive-deleted", compressed=True), "transcript archives"),
    (
        f"{ID}-topic-17.jsonl.reset.{TIME}",
        TranscriptName(f"{ID}-topic-17", ID, "17", "archive-reset", compressed=False),
        "transcript archives",
    ),
    (f"{ID}.jsonl.bak.{TIME}", None, "transcript copies"),
    (f"{ID}.jsonl.deleted.yesterday", None, "other files"),
    (f"{ID}.jsonl.deleted.2026-11-20T13:14:31.436Z", None, "other files"),
    (f"{ID}.jsonl.deleted.2026-11-20", None, "other files"),
    (f"{ID}.jsonl.lost.{TIME}", None, "other files"),
    (f"{ID}.checkpoint.{ID}.jsonl", None, "transcript copies"),
    (f"{ID}.trajectory.jsonl", None, "transcript copies"),
    (f"{ID}.trajectory.jsonl.deleted.{TIME}", None, "transcript copies"),
    (f"{ID}.checkpoint.{ID}.jsonl.reset.{TIME}.zst", None, "transcript copies"),
    (f"{ID}.trajectory-path.json", None, "other files"),
    (f"{ID}.jsonl.lock", None, "other files"),
    (f".{ID}.jsonl", None, "other files"),
    ("sessions.json", None, "store file"),
    ("sessions.json.bak.1763640871436", None, "store backups"),
    ("sessions.json.bak.old", None, "other files"),
    (f"sessions.json.{ID}.tmp", None, "other files"),
    ("sessions.json.lock", None, "other files"),
    ("notes.txt", None, "other files"),
    ("", None, "other files"),
]


@pytest.mark.parametrize(("name", "expected", "part"), TRANSCRIPTS, ids=[row[0] or "empty" for row in TRANSCRIPTS])
def test_file_name_says_what_it_is(name: str, expected: TranscriptName | None, part: FilePart) -> None:
    assert layout.parse_transcript_name(name) == expected
    assert layout.part_of(name) == part


@given(st.text())
def test_any_name_is_taken_apart_without_raising(name: str) -> None:
    parsed = layout.parse_transcript_name(name)
    part = layout.part_of(name)
    assert (part in ("transcripts", "transcript archives")) == (parsed is not None)


@pytest.mark.parametrize(
    ("session_id", "session_file", "thread_id", "expected"),
    [
        (ID, None, None, (f"{ID}.jsonl",)),
        (ID, None, "17", (f"{ID}-topic-17.jsonl", f"{ID}.jsonl")),
        (ID, f"/home/op/.openclaw/agents/main/sessions/{ID}.jsonl", None, (f"{ID}.jsonl",)),
        (ID, "other.jsonl", None, ("other.jsonl", f"{ID}.jsonl")),
        (ID, "C:\\Users\\op\\sessions\\other.jsonl", None, ("other.jsonl", f"{ID}.jsonl")),
        (ID, "../../../etc/x.jsonl", None, ("x.jsonl", f"{ID}.jsonl")),
        (ID, "/etc/passwd", None, (f"{ID}.jsonl",)),
        (ID, "folder/", None, (f"{ID}.jsonl",)),
        (ID, "a\0b.jsonl", None, (f"{ID}.jsonl",)),
        (ID, None, "a/b ä", (f"{ID}-topic-a%2Fb%20%C3%A4.jsonl", f"{ID}.jsonl")),
        (ID, None, "!~*'()-_.", (f"{ID}-topic-!~*'()-_..jsonl", f"{ID}.jsonl")),
        ("../evil", None, "1", ()),
        ("", "kept.jsonl", None, ("kept.jsonl",)),
        (None, None, None, ()),
    ],
)
def test_transcript_is_looked_for_inside_the_folder_only(
    session_id: str | None, session_file: str | None, thread_id: str | None, expected: tuple[str, ...]
) -> None:
    assert layout.transcript_candidates(session_id, session_file=session_file, thread_id=thread_id) == expected


@given(st.text(), st.text(), st.text())
def test_no_candidate_leads_out_of_the_folder(session_id: str, session_file: str, thread_id: str) -> None:
    for name in layout.transcript_candidates(session_id, session_file=session_file, thread_id=thread_id):
        assert "/" not in name
        assert "\0" not in name
        assert name.endswith(".jsonl")


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1))
def test_topic_comes_back_from_the_name_it_gave(topic: str) -> None:
    first = layout.transcript_candidates(ID, session_file=None, thread_id=topic)[0]
    parsed = layout.parse_transcript_name(first)
    assert parsed is not None
    assert (parsed.session_id, parsed.topic) == (ID, topic)


@pytest.mark.parametrize("text", ["a", "A1", ID, "a.b_c-d", "x" * 128])
def test_session_id_may_be_part_of_a_file_name(text: str) -> None:
    assert layout.is_session_id(text)


@pytest.mark.parametrize("text", ["", ".a", "-a", "a/b", "../a", "a b", "a\n", "ä", "x" * 129])
def test_other_texts_are_no_session_ids(text: str) -> None:
    assert not layout.is_session_id(text)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"OPENCLAW_STATE_DIR": "/srv/claw"}, Path("/srv/claw")),
        ({"OPENCLAW_STATE_DIR": " /srv/claw "}, Path("/srv/claw")),
        ({"OPENCLAW_STATE_DIR": "  "}, Path("~/.openclaw").expanduser()),
        ({"OPENCLAW_STATE_DIR": "~/claw"}, Path("~/claw").expanduser()),
        ({}, Path("~/.openclaw").expanduser()),
    ],
)
def test_state_folder_is_openclaws_own_choice(environment: dict[str, str], expected: Path) -> None:
    assert layout.default_state_dir(environment) == expected


def test_state_folder_follows_the_real_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENCLAW_STATE_DIR", "/srv/real")
    assert layout.default_state_dir() == Path("/srv/real")


@pytest.mark.parametrize(
    ("path", "agent"),
    [
        ("/s/agents/main/sessions/sessions.json", "main"),
        ("/s/agents/ops", "ops"),
        ("/home/agents/bob/.openclaw/agents/ops/agent/x.sqlite", "ops"),
        ("/s/agents", None),
        ("/s/sessions.json", None),
        ("sessions.json", None),
    ],
)
def test_agent_is_read_off_the_path(path: str, agent: str | None) -> None:
    assert layout.agent_id_of(Path(path)) == agent


def test_agent_folder_has_the_places_of_every_version() -> None:
    agent = AgentFolder("ops", layout.agents_dir(Path("/s")) / "ops")
    assert agent.json_store == Path("/s/agents/ops/sessions/sessions.json")
    assert agent.sqlite_store == Path("/s/agents/ops/agent/openclaw-agent.sqlite")
    assert agent.import_archive == Path("/s/agents/ops/session-sqlite-import-archive")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (f"{ID}.jsonl.deleted.{TIME}", 1_795_180_471_436),
        (f"{ID}.jsonl.reset.2026-11-20T13-14-31Z.zst", 1_795_180_471_000),
        (f"{ID}.jsonl.deleted.2026-02-31T13-14-31.436Z", None),
        (f"{ID}.jsonl.deleted.yesterday", None),
        (f"{ID}.jsonl", None),
    ],
)
def test_name_of_an_archive_says_since_when_it_is_one(name: str, expected: int | None) -> None:
    assert layout.archived_ms(name) == expected
