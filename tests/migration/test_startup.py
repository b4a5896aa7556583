"""Moving every agent's store at start-up: each failure for itself, and one line that tells of them all."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sessionlab import codec
from sessionlab.errors import UsageError
from sessionlab.migration.startup import Outcome, Summary, migrate_all
from sessionlab.settings import StoreType
from sessionlab.stores import locate, open_for_writing, open_store
from tests.fixture_states import own_state, photo
from tests.migration.test_execute import NOW_MS
from tests.stores.sample_entries import small_store

SOUND = codec.encode_indented(small_store())


def store(state: Path, agent: str, data: bytes) -> Path:
    path = state / "agents" / agent / "sessions" / "sessions.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(data)
    return path


def mixed(state: Path) -> Path:
    """Make agents whose stores come to every result."""
    store(state, "a-sound", SOUND)
    store(state, "b-sound", SOUND)
    store(state, "blank", b" \n")
    store(state, "array", b"[]")
    store(state, "entry", b'{\n  "agent:entry:good": {"sessionId": "g"},\n  "agent:entry:bad": 7\n}')
    (state / "agents" / "none").mkdir()
    with open_for_writing(state, agent="moved", store_type="directory") as moved:
        moved.put("agent:moved:a", {"sessionId": "1"})
    return state


def results(summary: Summary) -> dict[str, str]:
    return {one.agent_id: one.result for one in summary.outcomes}


def test_every_store_is_moved_and_each_failure_stays_its_own(tmp_path: Path) -> None:
    """C.25, C.29: a store that fails is as it was, and keeps no other back."""
    state = mixed(tmp_path)
    before = {agent: photo(state / "agents" / agent) for agent in ("blank", "array", "none", "moved")}
    text = (state / "agents/entry/sessions/sessions.json").read_bytes()
    summary = migrate_all(state, "directory", now_ms=NOW_MS)
    assert results(summary) == {
        "a-sound": "migrated",
        "array": "skipped_invalid",
        "b-sound": "migrated",
        "blank": "skipped_empty",
        "entry": "failed",
        "moved": "already",
        "none": "missing",
    }
    assert {agent: photo(state / "agents" / agent) for agent in before} == before
    assert (state / "agents/entry/sessions/sessions.json").read_bytes() == text
    by_agent = {one.agent_id: one for one in summary.outcomes}
    sound = by_agent["a-sound"]
    assert (sound.legacy_entries, sound.migrated_entries) == (len(small_store()), len(small_store()))
    assert sound.backup_path is not None
    assert sound.backup_path.read_bytes() == SOUND
    assert sound.run_dir is not None
    assert (sound.run_dir / "report.json").is_file()
    failed = by_agent["entry"]
    assert "Migration failed: " in failed.warnings[0]
    assert failed.error is not None
    assert failed.error.exit_code == 3
    for agent in ("a-sound", "b-sound"):
        with open_store(state, agent=agent) as moved:
            assert (moved.kind, dict(moved.items())) == ("directory", small_store())


def test_summary_is_exactly_one_line_that_names_what_is_wrong(tmp_path: Path) -> None:
    """C.41, C.42: invalid or failed stores make it a warning."""
    summary = migrate_all(mixed(tmp_path), "directory", now_ms=NOW_MS)
    counts = "inspected=7 migrated=2 already_directory=1 skipped_empty=1 skipped_invalid=1 missing=1 failed=1"
    line, issues = summary.line.split("; issues: ")
    assert line == f"session-store migration summary: {counts}"
    array, entry = (tmp_path / f"agents/{name}/sessions/sessions.json" for name in ("array", "entry"))
    assert issues.startswith(f"{array} (invalid legacy store); {array} (")
    assert re.search(rf"; {re.escape(str(entry))} \(Migration failed: .*'agent:entry:bad'", issues)
    assert "\n" not in summary.line
    assert summary.level == "warning"


def test_empty_missing_and_moved_stores_are_as_they_should_be(tmp_path: Path) -> None:
    """C.40, C.42."""
    store(tmp_path, "blank", b"{}")
    store(tmp_path, "sound", SOUND)
    (tmp_path / "agents/none").mkdir()
    first = migrate_all(tmp_path, "directory", now_ms=NOW_MS)
    before = photo(tmp_path)
    second = migrate_all(tmp_path, "directory", now_ms=NOW_MS + 1)
    assert photo(tmp_path) == before
    head = "session-store migration summary: inspected=3 "
    assert first.line == head + "migrated=1 already_directory=0 skipped_empty=1 skipped_invalid=0 missing=1 failed=0"
    assert second.line == head + "migrated=0 already_directory=1 skipped_empty=1 skipped_invalid=0 missing=1 failed=0"
    assert (first.level, second.level) == ("info", "info")


def test_without_agents_there_is_no_line(tmp_path: Path) -> None:
    """C.41."""
    (tmp_path / "agents").mkdir()
    assert migrate_all(tmp_path, "directory", now_ms=NOW_MS) == Summary("directory", ())
    assert Summary("directory", ()).line == ""


@pytest.mark.parametrize("to", ["json", "sqlite"])
def test_line_names_the_kind_that_was_wanted(tmp_path: Path, to: StoreType) -> None:
    store(tmp_path, "main", SOUND)
    summary = migrate_all(tmp_path, to, now_ms=NOW_MS)
    counts = "migrated=0 already_json=1" if to == "json" else "migrated=1 already_sqlite=0"
    assert summary.line.startswith(f"session-store migration summary: inspected=1 {counts} skipped_empty=0")
    assert locate(tmp_path)[0].kind == to


def test_warnings_about_what_was_moved_are_in_the_line_and_the_level_stays(tmp_path: Path) -> None:
    """C.30, C.42: spellings of one key."""
    path = store(tmp_path, "main", codec.encode_indented({"agent:main:A": {"sessionId": "1"}, "agent:main:a": {"sessionId": "2"}}))
    summary = migrate_all(tmp_path, "directory", now_ms=NOW_MS)
    assert f"; issues: {path} (" in summary.line
    assert "sessions with several spellings, of which the newest counts: 1" in summary.line
    assert summary.level == "info"


def test_dry_run_writes_nothing(tmp_path: Path) -> None:
    """B.38."""
    state = mixed(tmp_path)
    before = photo(state)
    summary = migrate_all(state, "directory", now_ms=NOW_MS, is_dry_run=True)
    assert photo(state) == before
    assert results(summary)["a-sound"] == "planned"
    assert summary.count("migrated") == 0


def test_openclaws_own_database_is_left_alone(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    state = own_state("sqlite-2026.9", tmp_path_factory, tmp_path)
    before = photo(state)
    summary = migrate_all(state, "sqlite", now_ms=NOW_MS)
    assert photo(state) == before
    assert set(results(summary).values()) == {"skipped_invalid"}
    assert "is OpenClaw's own database" in summary.line


def test_symbolic_link_in_the_stores_place_is_not_moved(tmp_path: Path) -> None:
    """C.27, C.36: in both places."""
    elsewhere = tmp_path / "elsewhere.json"
    elsewhere.write_bytes(SOUND)
    path = store(tmp_path / "state", "main", b"")
    path.unlink()
    path.symlink_to(elsewhere)
    before = photo(tmp_path)
    summary = migrate_all(tmp_path / "state", "directory", now_ms=NOW_MS)
    assert results(summary) == {"main": "skipped_invalid"}
    assert "symbolic link" in summary.line
    assert photo(tmp_path) == before


def test_what_lies_in_the_new_stores_place_is_moved_aside_or_refused(tmp_path: Path) -> None:
    """C.32, deviating: an empty folder becomes an orphan; one that holds files of sessions is refused."""
    empty, files, link = (store(tmp_path, agent, SOUND).parent / "sessions.d" for agent in ("empty", "files", "link"))
    empty.mkdir()
    (files / "entries").mkdir(parents=True)
    (files / "entries" / "session-YTpi.json").write_text('{"sessionKey": "a:b", "entry": {"sessionId": "x"}}')
    (tmp_path / "elsewhere").mkdir()
    link.symlink_to(tmp_path / "elsewhere")
    before = {path: photo(path.parent) for path in (files, link)}
    summary = migrate_all(tmp_path, "directory", now_ms=NOW_MS)
    assert results(summary) == {"empty": "migrated", "files": "failed", "link": "failed"}
    assert (empty.parent / f"sessions.d.orphan.{NOW_MS}").is_dir()
    assert {path: photo(path.parent) for path in (files, link)} == before
    assert f"{files}: is no session store: it has no state.json" in summary.line
    assert f"{link}: is a symbolic link" in summary.line


def test_progress_names_the_agent(tmp_path: Path) -> None:
    store(tmp_path, "main", codec.encode_indented({f"agent:main:{number}": {"sessionId": str(number)} for number in range(250)}))
    told: list[tuple[str, int, int]] = []
    migrate_all(tmp_path, "sqlite", now_ms=NOW_MS, on_progress=lambda *step: told.append(step))
    assert ("main: stage", 200, 250) in told
    assert ("main: verify", 200, 250) in told


def test_line_is_one_line_whatever_a_folder_is_called(tmp_path: Path) -> None:
    """C.41."""
    store(tmp_path, "a\nb\x1b[31m", b"[]")
    assert "/agents/a\\nb\\x1b[31m/sessions/sessions.json (invalid legacy store)" in migrate_all(tmp_path, "directory", now_ms=NOW_MS).line


def test_only_our_kinds_can_be_wanted(tmp_path: Path) -> None:
    store(tmp_path, "main", SOUND)
    with pytest.raises(UsageError, match="choose json, sqlite, directory"):
        migrate_all(tmp_path, "openclaw", now_ms=NOW_MS)


def test_what_was_wanted_may_be_put_into_a_table() -> None:
    one = Outcome(agent_id="main", store_path=Path("/s/sessions.json"), kind="", to="sqlite", result="missing")
    assert one.backup_path is None
    assert Summary("sqlite", (one,)).count("missing") == 1
