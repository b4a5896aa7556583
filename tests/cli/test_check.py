"""`sessionlab check`: what is found, in which order, and the exit code that says how bad it is."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from sessionlab.stores import locate, open_at
from tests.cli.made_states import KINDS, made_state, some_sessions, store_path
from tests.cli.program import SAMPLE, one_line_error, printed_json, sessionlab
from tests.fixture_states import SQLITE_STATES, STATES, STORE, own_state, photo, shared_state

BIG = '{"agent:main:a": {"sessionId": "a", "updatedAt": 1, "n": 123456789012345678901234567890}}'


def checked(code: int, *arguments: str | Path) -> dict[str, Any]:
    """Return what `check --json` says, after making sure of its exit code."""
    done = sessionlab("check", *arguments, "--json")
    assert done.returncode == code, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    assert document["is_sound"] == (code == 0)
    return document


@pytest.mark.parametrize("kind", KINDS)
def test_sound_store_says_how_much_was_read_and_is_left_as_it_is(kind: str, tmp_path: Path) -> None:
    state = made_state(tmp_path, kind, some_sessions())
    before = photo(state)
    fingerprint = printed_json(sessionlab("info", state, "--json"))["fingerprint"]
    done = sessionlab("check", state)
    path = store_path(state, kind)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{path} (agent main)\n  3 sessions read, sound; fingerprint {fingerprint}\n"
    (store,) = checked(0, path)["stores"]
    assert store == {
        "agent": "main",
        "kind": kind,
        "path": str(path),
        "is_sound": True,
        "sessions": 3,
        "fingerprint": fingerprint,
        "problems": [],
        "errors": [],
    }
    assert photo(state) == before


@pytest.mark.parametrize("name", STATES)
def test_everything_that_the_store_finds_is_listed_the_worst_first(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    state = shared_state(name, tmp_path_factory)
    before = photo(state)
    (location,) = locate(state)
    with open_at(location) as store:
        problems = store.check()
    (found,) = checked(1, state)["stores"]
    assert [(row["severity"], row["code"], row["message"]) for row in found["problems"]] == [
        (problem.severity, problem.code, problem.message) for problem in problems
    ]
    lines = sessionlab("check", state).stdout.splitlines()
    severities = [line.split()[0] for line in lines if line.startswith(("  error ", "  warning ", "  info "))]
    assert severities == sorted(severities, key=["error", "warning", "info"].index)
    assert len(severities) == len(problems)
    # Advice that several share is said once, after the last of them.
    assert sum(line.lstrip().startswith("-> ") for line in lines) == len({(p.severity, p.code, p.advice) for p in problems if p.advice})
    assert photo(state) == before


def test_infos_are_no_fault(tmp_path: Path) -> None:
    state = made_state(tmp_path, "json", {"agent:main:main": {"sessionId": "a", "updatedAt": 1, "provider": "slack"}})
    done = sessionlab("check", state)
    assert done.returncode == 0
    assert "  info     entries with the old field name 'provider'\n" in done.stdout
    assert "1 session read, sound; fingerprint " in done.stdout


def test_warning_and_broken_entry_exit_with_one_and_say_where(tmp_path: Path) -> None:
    state = made_state(tmp_path, "json", {"agent:main:main": {"sessionId": "a"}})
    done = sessionlab("check", state)
    assert done.returncode == 1
    assert "  warning  agent:main:main: the entry has no updatedAt: its age is unknown\n" in done.stdout
    assert "1 session read, 1 warning; fingerprint " in done.stdout
    store_path(state, "json").write_text(BIG)
    done = sessionlab("check", state)
    assert done.returncode == 1
    assert "  error    line 1: agent:main:a: integer of 30 digits is out of range\n" in done.stdout
    assert "\n  1 session: 1 error\n" in done.stdout
    assert "fingerprint" not in done.stdout


@pytest.mark.parametrize(("text", "words"), [('{"a": 1', "truncated"), ("[]", "an array"), ('{"a": {"b": NaN}}', "NaN")])
def test_file_that_is_no_store_exits_with_three(text: str, words: str, tmp_path: Path) -> None:
    state = made_state(tmp_path, "json", {})
    store_path(state, "json").write_text(text)
    done = sessionlab("check", state)
    assert done.returncode == 3
    assert "  error    line 1: " in done.stdout
    assert words in done.stdout
    assert "\n  unreadable: 1 error\n" in done.stdout
    (store,) = checked(3, state)["stores"]
    assert (store["sessions"], store["fingerprint"], store["is_sound"]) == (None, None, False)


DAMAGE: dict[str, tuple[str, bytes, str, str]] = {
    "truncated": (
        "json",
        b'{"a": {\n"b": 1',
        "line 2: ends in the middle of the document (truncated)",
        "restore a backup: the rest is not",
    ),
    "garbage": ("json", b"\x00\xff\xfe" * 400, "line 1: byte 1 is not UTF-8", "restore a backup: this is not text"),
    "array": ("json", b"[]", "line 1: the document is an array, not an object", "restore a backup: a store begins with a brace"),
    "duplicate key": (
        "json",
        b'{"a": {}, "a": {}}',
        "line 1: key 'a' is written twice in one object",
        "keep the one of the two",
    ),
    "NaN": ("json", b'{"a": {"b": NaN}}', "line 1: NaN is not JSON", "put null or the right number in its place"),
    "BOM": ("json", b'\xef\xbb\xbf{"a": {}}', "line 1: starts with a byte order mark", "save it as UTF-8 without a byte order mark"),
    "no database": ("sqlite", b"SQLite format 3\0" + b"x" * 4080, "SQLite cannot read it (", "restore it from a backup"),
    "empty database": ("sqlite", b"", "is an empty file (0 bytes), not a database", "restore it from a backup"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_stdout_alone_says_what_is_wrong_and_what_to_do_next(damage: str, tmp_path: Path) -> None:
    kind, content, words, advice = DAMAGE[damage]
    state = made_state(tmp_path, "json", {})
    path = store_path(state, kind)
    store_path(state, "json").unlink()
    path.write_bytes(content)
    done = sessionlab("check", state)
    head, what, next_step, verdict = done.stdout.splitlines()
    assert (done.returncode, done.stderr) == (3, "")
    assert head == f"{path} (agent main)"
    assert what.startswith(f"  error    {words}")
    assert next_step.startswith("           -> ")
    assert advice in next_step
    assert verdict == "  unreadable: 1 error"


@pytest.mark.parametrize("name", SQLITE_STATES)
def test_damaged_database_exits_with_three(name: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    state = own_state(name, tmp_path_factory, tmp_path)
    with sqlite3.connect(state / STORE) as con:
        con.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (root,) = con.execute("SELECT rootpage FROM sqlite_master WHERE name = 'session_nodes'").fetchone()
        (page,) = con.execute("PRAGMA page_size").fetchone()
    con.close()
    with (state / STORE).open("r+b") as file:
        file.seek((root - 1) * page)
        file.write(b"\xff" * page)
    before = photo(state)
    done = sessionlab("check", state)
    assert done.returncode == 3
    assert str(STORE) in done.stdout
    assert "read, sound" not in done.stdout
    assert photo(state) == before


def test_unknown_version_keeps_its_code(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    state = own_state("sqlite-2026.9", tmp_path_factory, tmp_path)
    with sqlite3.connect(state / STORE) as con:
        con.execute("PRAGMA user_version = 99")
        con.execute("UPDATE schema_meta SET schema_version = 99")
    con.close()
    done = sessionlab("check", state)
    assert done.returncode == 12
    assert done.stderr == ""
    assert "  error    store schema version 99 is not one of those this sessionlab reads " in done.stdout
    assert "\n           -> install a newer sessionlab, " in done.stdout
    assert "  unreadable: 1 error\n" in done.stdout


def test_two_stores_of_one_agent_exit_with_four_and_are_both_named(tmp_path: Path) -> None:
    made_state(tmp_path, "json", some_sessions())
    made_state(tmp_path, "sqlite", some_sessions(count=2))
    before = photo(tmp_path)
    done = sessionlab("check", tmp_path)
    assert done.returncode == 4
    assert done.stderr == ""
    first, second = store_path(tmp_path, "json"), store_path(tmp_path, "sqlite")
    assert f"  error    two stores hold sessions: {first} (3) and {second} (2)\n" in done.stdout
    assert f"\n           -> compare them: sessionlab verify {first} {second}; then " in done.stdout
    assert "3 sessions read, 1 error; fingerprint " in done.stdout
    (store,) = checked(4, tmp_path)["stores"]
    assert "two stores hold sessions" in store["errors"][0]
    assert photo(tmp_path) == before


def test_store_that_cannot_be_read_beside_another_is_said_once(tmp_path: Path) -> None:
    made_state(tmp_path, "json", some_sessions())
    made_state(tmp_path, "directory", some_sessions(count=2))
    broken = store_path(tmp_path, "directory") / "state.json"
    broken.write_text("{")
    done = sessionlab("check", tmp_path)
    assert done.returncode == 3
    assert done.stderr == ""
    assert done.stdout.count("  error    ") == 1
    assert f"  error    {broken}: " in done.stdout


def test_one_bad_agent_hides_no_other_and_the_highest_code_counts(tmp_path: Path) -> None:
    state = Path(shutil.copytree(SAMPLE, tmp_path / "state"))
    assert [len(store["problems"]) > 0 for store in checked(1, state)["stores"]] == [True, False, False]
    store_path(state, "json", agent="ops").write_text('{"a": 1')
    stores = checked(3, state)["stores"]
    assert [store["sessions"] for store in stores] == [90, None, 49]
    assert checked(0, state, "--agent", "research")["stores"] == stores[2:]
    research = store_path(state, "json", agent="research")
    research.unlink()
    research.symlink_to("nowhere")
    done = sessionlab("check", state)
    assert done.returncode == 10
    assert done.stderr == ""
    gone = "  error    is a link to nowhere, which does not exist\n           -> mend the link, or put the store's file in its place\n"
    assert done.stdout.endswith(f"\n\n{research} (agent research)\n{gone}  unreadable: 1 error\n")
    assert checked(10, state)["stores"][2]["errors"] == [f"{research}: is a link to nowhere, which does not exist"]
    # As many as lines: one of them is about two spellings.
    assert done.stdout.count("  warning  ") == 4
    assert "90 sessions read, 4 warnings" in done.stdout


def test_agent_that_lost_its_store_is_an_error(tmp_path: Path) -> None:
    state = Path(shutil.copytree(SAMPLE, tmp_path / "state"))
    store_path(state, "json", agent="main").unlink()
    assert (
        checked(1, state)["agents_without_store"] == printed_json(sessionlab("info", state, "--json"))["agents_without_store"] == ["main"]
    )
    done = sessionlab("check", state)
    where = f"{state / 'agents/main'}: agent main has transcripts and no session store"
    assert f"  error    {where}\n           -> restore its sessions.json or database from a backup\n" in done.stdout
    assert sessionlab("check", state, "--agent", "ops").returncode == 0


def test_no_store_and_a_wrong_question_are_one_line(tmp_path: Path) -> None:
    assert "holds no session store" in one_line_error(sessionlab("check", tmp_path), 10)
    assert "there are main, ops, research" in one_line_error(sessionlab("check", SAMPLE, "--agent", "nobody"), 10)
    assert "PATH is blank" in one_line_error(sessionlab("check", ""), 2)
    assert json.loads(sessionlab("check", tmp_path, "--json").stdout)["error"]["exit_code"] == 10


def test_text_of_a_store_cannot_command_the_terminal(tmp_path: Path) -> None:
    state = made_state(tmp_path, "json", {"agent:main:\x1b[31mred\nx": {"sessionId": "a", "updatedAt": 1, "model": 5}})
    done = sessionlab("check", state)
    assert "\x1b" not in done.stdout
    assert "  warning  agent:main:\\x1b[31mred\\nx: model holds a number: 5; counted as absent\n" in done.stdout
