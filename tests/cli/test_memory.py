"""`sessionlab memory`: what the shared memory holds is shown from a private copy; only `expire` writes."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from pathlib import Path

import msgspec
import pytest

from sessionlab.parallel import ActionItem, Knowledge, Memory, Person, Session, SessionManager, SharedMemory, text_index
from sessionlab.parallel import search as searching
from sessionlab.settings import ParallelSessionsSettings
from tests.cli.in_process import Call, caller
from tests.cli.program import one_line_error, printed_json
from tests.fixture_states import photo

NOW_MS = 1_795_000_000_000
WHEN = ("--now-ms", NOW_MS)


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Call:
    return caller(capsys)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Make a state folder with a shared memory."""
    folder = tmp_path / "state"
    memory = SharedMemory(folder / "data/shared-memory.db", clock=lambda: NOW_MS)
    memory.initialize()
    for content, importance, expires_ms in (("Tea at five", 9, None), ("no\ntea", 3, None), ("over", 9, NOW_MS)):
        memory.save_memory(
            Memory(
                session_key="agent:main:parallel:a",
                channel_id="a",
                memory_type="fact",
                content=content,
                importance=importance,
                expires_ms=expires_ms,
            )
        )
    memory.save_knowledge(Knowledge(category="fact", content="TEA is green", confidence=0.9))
    memory.save_action(ActionItem(description="buy tea"))
    memory.put_person(Person(canonical_id="ada"))
    memory.save_session(Session(session_key="agent:main:parallel:a", channel_id="a", status="hibernated"), {"draft": 1})
    memory.save_session(Session(session_key="agent:main:parallel:b", channel_id="b", status="hibernated"), {"x": 2})
    SessionManager(memory=memory).get_or_create_session("b")  # and this process dies
    memory.close()
    return folder


def test_everything_is_counted(state: Path, call: Call) -> None:
    done = call("memory", "stats", "--state-dir", state, *WHEN)
    assert "memories      3, 1 of them expired" in done.stdout
    assert "sessions      1 asleep, 1 awake again" in done.stdout
    found = printed_json(call("memory", "stats", "--db", state / "data/shared-memory.db", "--json", *WHEN))
    assert (found["channel_memory_count"], found["expired"], found["action_items_open"], found["person_count"]) == (3, 1, 1, 1)


def test_text_is_found_whatever_its_case(state: Path, call: Call) -> None:
    done = call("memory", "search", "tEa", "--state-dir", state, *WHEN)
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["weight", "9/10", "3/10", "90%"]
    found = printed_json(call("memory", "search", "tea", "--scope", "channel", "--limit", "1", "--json", "--state-dir", state, *WHEN))
    assert [one["content"] for one in found["memories"]] == ["Tea at five"]
    assert found["knowledge"] == []
    nothing = call("memory", "search", "coffee", "--state-dir", state)
    assert (nothing.returncode, nothing.stdout, nothing.stderr) == (1, "", "nothing found\n")


def test_one_search_makes_no_index(state: Path, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would be gone afterwards, and takes ten times as long as looking at every row; where it is up to date, it is asked."""

    def take_in(_: object) -> None:
        raise AssertionError("an index is made")

    monkeypatch.setattr(text_index, "take_in", take_in)
    before = call("memory", "search", "tea", "--state-dir", state, *WHEN)
    monkeypatch.undo()
    memory = SharedMemory(state / "data/shared-memory.db", clock=lambda: NOW_MS)
    memory.initialize()
    memory.search("tea")
    memory.close()

    def one_by_one(*_: object) -> None:
        raise AssertionError("every row is looked at")

    monkeypatch.setattr(searching, "_one_by_one", one_by_one)
    after = call("memory", "search", "tea", "--state-dir", state, *WHEN)
    assert (after.returncode, after.stdout) == (before.returncode, before.stdout) == (0, before.stdout)


def test_channels_are_named_as_sessions_name_them(state: Path, call: Call) -> None:
    """A.8: lower case."""
    found = printed_json(call("memory", "search", "tea", "--channel", " A ", "--json", "--state-dir", state, *WHEN))
    assert [one["channel_id"] for one in found["memories"]] == ["a", "a"]
    told = printed_json(call("memory", "briefing", "x", "--channel", " A ", "--json", "--state-dir", state, *WHEN))
    assert (told["session_key"], told["channel"]) == ("x", "a")
    assert "- [fact] Tea at five" in told["briefing"]
    for words in (("search", "tea"), ("briefing", "x")):
        assert "--channel is blank: name a channel" in one_line_error(call("memory", *words, "--channel", " ", "--state-dir", state), 2)


def test_what_would_write_on_the_terminal_is_shown_as_codes(tmp_path: Path, call: Call) -> None:
    """Contents, channels and sorts come from whoever writes to a channel."""
    folder = tmp_path / "st\x1b[1mate"
    memory = SharedMemory(folder / "data/shared-memory.db", clock=lambda: NOW_MS)
    memory.initialize()
    key = "agent:main:parallel:a\x9b1m"
    content = "tea \x1b]0;title\x07\nsecond \x1b[31mline\u2028third"
    memory.save_memory(Memory(session_key=key, channel_id="c\x1b[1m", memory_type="fact", content=content, importance=9))
    memory.save_knowledge(Knowledge(category="cat\x1b[7m", content="tea\x1b[2J", confidence=0.9))
    memory.close()
    for words in (("stats",), ("search", "tea"), ("search", "nothing"), ("briefing", key), ("briefing", key, "--channel", "c\x1b[1m")):
        done = call("memory", *words, "--state-dir", folder, *WHEN)
        shown = done.stdout + done.stderr
        assert all(line.isprintable() for line in shown.split("\n")), words
    told = call("memory", "briefing", key, "--channel", "c\x1b[1m", "--state-dir", folder, *WHEN).stdout
    assert told == (
        "## Channel Context\n- [fact] tea \\x1b]0;title\\x07\n  second \\x1b[31mline\n  third\n\n"
        "## Global Knowledge\n- [cat\\x1b[7m] tea\\x1b[2J\n"
    )
    as_it_is = printed_json(call("memory", "search", "tea", "--json", "--state-dir", folder, *WHEN))
    assert as_it_is["memories"][0]["content"] == content


def test_values_of_other_programs_are_shown_whatever_they_are(state: Path, call: Call) -> None:
    """SQLite keeps in a column what it is given."""
    with contextlib.closing(sqlite3.connect(state / "data/shared-memory.db", isolation_level=None)) as connection:
        connection.execute("PRAGMA ignore_check_constraints = 1")
        connection.execute("UPDATE channel_memory SET importance = 've\x1bry', created_at = 'late', channel_id = x'1b'")
        connection.execute("UPDATE global_knowledge SET confidence = 'sure', updated_at = x'00', category = x'1b'")
    done = call("memory", "search", "tea", "--state-dir", state, *WHEN)
    assert (done.returncode, done.stderr) == (0, "")
    assert all(word in done.stdout for word in ("5/10", "1970-01-01", "50%", "\\x1b", "Tea at five", "TEA is green"))
    told = call("memory", "briefing", "agent:main:parallel:a", "--state-dir", state, *WHEN)
    assert (told.returncode, told.stderr) == (0, "")
    assert "TEA is green" in told.stdout


def test_briefing_of_a_session_that_is_awake_is_that_of_its_channel(state: Path, call: Call) -> None:
    """The key of a session by peer names no channel; what is known of it since it woke does."""
    key = "agent:main:parallel:peer:ada"
    assert "name it with --channel" in one_line_error(call("memory", "briefing", key, "--state-dir", state, *WHEN), 2)
    memory = SharedMemory(state / "data/shared-memory.db", clock=lambda: NOW_MS)
    memory.initialize()
    memory.save_session(Session(session_key=key, channel_id="a", peer_id="ada", status="hibernated"))
    asleep = call("memory", "briefing", key, "--state-dir", state, *WHEN)
    manager = SessionManager(msgspec.convert({"isolation": "per-peer"}, ParallelSessionsSettings), memory=memory)
    assert manager.get_or_create_session("a", peer_id="ada").session_key == key
    assert memory.load_session(key) is None
    awake = call("memory", "briefing", key, "--state-dir", state, *WHEN)
    memory.close()
    assert "- [fact] Tea at five" in awake.stdout
    assert (awake.returncode, awake.stdout) == (asleep.returncode, asleep.stdout)


def test_briefing_of_a_session_by_the_settings_of_its_folder(state: Path, call: Call) -> None:
    key = "agent:main:parallel:a"
    assert call("memory", "briefing", key, "--state-dir", state, *WHEN).stdout == (
        "## Channel Context\n- [fact] Tea at five\n\n## Global Knowledge\n- [fact] TEA is green\n"
    )
    assert "- [fact] TEA" in call("memory", "briefing", "agent:main:parallel:b", "--state-dir", state, *WHEN).stdout
    assert "name it with --channel" in one_line_error(call("memory", "briefing", "x", "--state-dir", state), 2)
    (state / "openclaw.json").write_text("{agent: {parallelSessions: {briefing: {enabled: false}}}}")
    done = call("memory", "briefing", key, "--state-dir", state)
    assert (done.returncode, done.stdout) == (1, "")
    assert "enabled is off" in done.stderr


def test_everything_is_exported(state: Path, call: Call, tmp_path: Path) -> None:
    found = printed_json(call("memory", "export", "--state-dir", state, *WHEN))
    assert {name: len(found[name]) for name in ("memories", "knowledge", "actions", "persons", "sessions")} == {
        "memories": 3,
        "knowledge": 1,
        "actions": 1,
        "persons": 1,
        "sessions": 1,
    }
    assert found["sessions"][0]["context"] == {"draft": 1}
    assert [(one["session_key"], one["context"]) for one in found["awake"]] == [("agent:main:parallel:b", {"x": 2})]
    file = tmp_path / "all.json"
    done = call("memory", "export", "--state-dir", state, "-o", file, *WHEN)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", f"3 memories and all else written to {file}\n")
    assert json.loads(file.read_bytes())["memories"] == found["memories"]
    assert file.stat().st_mode & 0o777 == 0o600


def test_reading_changes_not_a_byte(state: Path, call: Call) -> None:
    before = photo(state)
    for words in (("stats",), ("search", "tea"), ("briefing", "agent:main:parallel:a"), ("export",)):
        assert call("memory", *words, "--state-dir", state, *WHEN).returncode == 0
    assert photo(state) == before


def test_expired_memories_are_removed(state: Path, call: Call) -> None:
    before = photo(state)
    assert call("memory", "expire", "--dry-run", "--state-dir", state, *WHEN).stdout == "1 memory would be removed, 2 left\n"
    assert photo(state) == before
    assert call("memory", "expire", "--state-dir", state, *WHEN).stdout == "1 memory removed, 2 left\n"
    assert printed_json(call("memory", "expire", "--state-dir", state, "--json", *WHEN))["removed"] == 0


def test_removing_leaves_the_journal_as_it_is(tmp_path: Path, call: Call) -> None:
    memory = SharedMemory(tmp_path / "m.db", enable_wal=False)
    memory.initialize()
    memory.close()
    assert call("memory", "expire", "--db", tmp_path / "m.db").returncode == 0
    with contextlib.closing(sqlite3.connect(tmp_path / "m.db")) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)


@pytest.mark.parametrize("words", [("stats",), ("search", "x"), ("export",), ("expire", "--dry-run"), ("expire",)])
def test_empty_file_is_no_shared_memory(tmp_path: Path, call: Call, words: tuple[str, ...]) -> None:
    file = tmp_path / "m.db"
    file.touch()
    assert "is empty: there" in (error := one_line_error(call("memory", *words, "--db", file), 3)) or "is an empty file" in error
    assert file.stat().st_size == 0
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA user_version = 7")
        connection.execute("VACUUM")
    before = file.read_bytes()
    assert "there never was a shared memory in it" in one_line_error(call("memory", *words, "--db", file), 3)
    assert before
    assert file.read_bytes() == before


def test_file_that_the_configuration_names_counts(state: Path, call: Call, tmp_path: Path) -> None:
    (state / "data/shared-memory.db").rename(tmp_path / "elsewhere.db")
    (state / "openclaw.json").write_text(
        json.dumps({"agent": {"parallelSessions": {"memory": {"dbPath": str(tmp_path / "elsewhere.db")}}}})
    )
    assert str(tmp_path / "elsewhere.db") in call("memory", "stats", "--state-dir", state).stdout


@pytest.mark.parametrize("words", [("stats",), ("search", "x"), ("briefing", "agent:main:parallel:a"), ("export",), ("expire",)])
def test_what_is_no_shared_memory_is_refused_in_one_line(call: Call, tmp_path: Path, words: tuple[str, ...]) -> None:
    missing = tmp_path / "none.db"
    error = one_line_error(call("memory", *words, "--db", missing), 10)
    assert "there is no shared memory; name its file with --db, or the state folder with --state-dir" in error
    assert not missing.exists()
    missing.write_text("no database, but a text that is longer than a header\n" * 20)
    assert str(missing) in one_line_error(call("memory", *words, "--db", missing), 3)
    assert "give either --db or --state-dir" in one_line_error(call("memory", *words, "--db", missing, "--state-dir", tmp_path), 2)
