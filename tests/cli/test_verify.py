"""`sessionlab verify`: words, JSON and exit codes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.cli.made_states import made_state, some_sessions
from tests.cli.program import one_line_error, printed_json, sessionlab
from tests.fixture_states import own_state, photo, shared_state


def test_equal_folders_are_said_to_be_and_exit_with_0(tmp_path: Path) -> None:
    a, b = made_state(tmp_path / "a", "json", some_sessions()), made_state(tmp_path / "b", "sqlite", some_sessions())
    before = photo(tmp_path)
    done = sessionlab("verify", a, b)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"A  {a}\nB  {b}\n  sessions     3 of 3 equal\n  transcripts  0 of 0 equal, with 0 events\nequal\n"
    document = printed_json(sessionlab("verify", a, b, "--json"))
    assert (document["is_equal"], document["has_loss"], document["sessions"], document["differences"]) == (True, False, 3, [])
    assert photo(tmp_path) == before


def test_differences_are_named_folded_and_judged(tmp_path: Path) -> None:
    sessions = some_sessions(count=20)
    a = made_state(tmp_path / "a", "json", sessions)
    fewer = {key: {**entry, "label": "sk-secret"} for key, entry in list(sessions.items())[:19]}
    b = made_state(tmp_path / "b", "directory", fewer)
    done = sessionlab("verify", a, b)
    assert done.returncode == 3
    lines = done.stdout.splitlines()
    assert "  sessions extended: 19" in lines
    assert "    agent:main:telegram:direct:0: $.label" in lines
    assert "    ... and 11 more" in lines
    assert "  sessions missing: 1" in lines
    assert "    $.label (sessions: 19)" in lines
    assert lines[-1] == "LOSS: B does not hold all that A holds"
    assert "sk-secret" not in done.stdout
    back = sessionlab("verify", b, a)
    assert (back.returncode, back.stdout.splitlines()[-1]) == (3, "LOSS: B does not hold all that A holds")


def test_what_loses_nothing_exits_with_1(tmp_path: Path) -> None:
    a, b = made_state(tmp_path / "a", "json", some_sessions(count=2)), made_state(tmp_path / "b", "json", some_sessions())
    done = sessionlab("verify", a, b)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (1, "nothing of A is lost, but B is not the same")


def test_stores_named_by_their_files_are_compared_without_transcripts(tmp_path: Path) -> None:
    a, b = made_state(tmp_path / "a", "json", some_sessions()), made_state(tmp_path / "b", "sqlite", some_sessions())
    done = sessionlab("verify", a / "agents/main/sessions/sessions.json", b / "agents/main/sessions/sessions.sqlite")
    assert done.returncode == 0
    assert "  transcripts  not compared: give two folders for that" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("a", ""), 2, "B is blank"),
        (("a", "nowhere"), 10, "nowhere"),
        (("a",), 2, "Missing argument"),
        (("openclaw", "a"), 10, "no SQLite store"),
    ],
)
def test_what_cannot_be_compared_is_one_line(arguments: tuple[str, ...], code: int, words: str, tmp_path: Path) -> None:
    made_state(tmp_path / "a", "json", some_sessions())
    places = [name if name in ("", "openclaw") else tmp_path / name for name in arguments]
    assert words in one_line_error(sessionlab("verify", *places), code)


def test_store_that_cannot_be_read_exits_with_3(tmp_path: Path) -> None:
    a, b = made_state(tmp_path / "a", "json", some_sessions()), made_state(tmp_path / "b", "json", {})
    (b / "agents/main/sessions/sessions.json").write_text('{"agent:main:a": ')
    assert "sessions.json: " in one_line_error(sessionlab("verify", a, b), 3)


def test_import_is_compared_with_its_originals(tmp_path_factory: pytest.TempPathFactory) -> None:
    state = shared_state("sqlite-2026.9", tmp_path_factory)
    before = photo(state)
    done = sessionlab("verify", "openclaw", state)
    assert (done.returncode, done.stderr) == (1, "")
    lines = done.stdout.splitlines()
    assert lines[:4] == [
        f"{state} (agent main)",
        "  sessions     65 in the originals, 65 in the database",
        "  transcripts  60 in the originals, with 3,573 events",
        "  events       3,258 equal, 0 lost",
    ]
    assert any(line.startswith("    route_lost: 5 sessions") for line in lines)
    assert any(line.startswith("    mixed_case_key: 3 keys") for line in lines)
    assert lines[-1] == "nothing is lost but what the import is known to lose, or could not be compared"
    document = json.loads(sessionlab("verify", "openclaw", state, "--json").stdout)
    assert (document["schema_version"], document["exit_code"], document["lost_events"]) == (1, 1, 0)
    assert {one["code"]: one["count"] for one in document["findings"]}["route_lost"] == 5
    assert photo(state) == before


def test_loss_in_an_import_exits_with_3(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> None:
    state = own_state("sqlite-2026.8", tmp_path_factory, tmp_path)
    archive = state / "agents/main/session-sqlite-import-archive"
    file = next(archive.glob("*d86bb32f*"))
    with file.open("a") as opened:
        opened.write('{"type": "message", "id": "unknown"}\n')
    done = sessionlab("verify", "openclaw", state)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (3, "LOSS: the database does not hold all that the originals hold")
    assert "    event_lost: 1 events that the database does not have" in done.stdout
    shutil.rmtree(archive)
    assert "no originals of an import" in one_line_error(sessionlab("verify", "openclaw", state), 10)
