"""The settings of parallel sessions, and the manager that they make."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sessionlab import layout
from sessionlab.errors import NoStoreError, SettingsError, StoreError, UsageError
from sessionlab.parallel import SharedMemory, open_manager
from sessionlab.parallel.reading import private_copy_of
from sessionlab.settings import ParallelSessionsSettings, Settings, load_settings, parse_settings

FULL: dict[str, Any] = {
    "enabled": True,
    "isolation": "per-peer",
    "maxConcurrent": 50,
    "idleTimeoutMs": 10_000,
    "memory": {"backend": "memory", "dbPath": "/x/m.db", "enableWAL": False, "autoPromoteThreshold": 1, "defaultTTLMs": 5},
    "briefing": {"enabled": False, "maxChannelMemories": 50, "maxGlobalKnowledge": 0, "minImportance": 10, "minConfidence": 1.0},
    "autoSave": {"summaries": False, "decisions": False, "preferences": False, "actionItems": False},
    "workExecutor": {"enabled": True, "pollIntervalMs": 60_000, "maxConcurrent": 10, "executionTimeoutMs": 10_000},
}


def configured(folder: Path, **settings: object) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "openclaw.json").write_text(json.dumps({"agent": {"parallelSessions": settings}}))
    return folder


def parallel(settings: object) -> ParallelSessionsSettings:
    return parse_settings({"agent": {"parallelSessions": settings}}).parallel_sessions


def test_nothing_gives_every_default_and_everything_is_taken_as_it_is() -> None:
    """A.1: the defaults come back unchanged, and so does what names every key."""
    defaults: dict[str, Any] = {
        "enabled": False,
        "isolation": "per-channel",
        "maxConcurrent": 5,
        "idleTimeoutMs": 300_000,
        "memory": {"backend": "sqlite", "dbPath": None, "enableWAL": True, "autoPromoteThreshold": 8, "defaultTTLMs": 0},
        "briefing": {"enabled": True, "maxChannelMemories": 10, "maxGlobalKnowledge": 5, "minImportance": 5, "minConfidence": 0.7},
        "autoSave": {"summaries": True, "decisions": True, "preferences": True, "actionItems": True},
        "workExecutor": {"enabled": False, "pollIntervalMs": 5_000, "maxConcurrent": 1, "executionTimeoutMs": 300_000},
    }
    assert msgspec.to_builtins(parallel({})) == defaults
    assert msgspec.to_builtins(parallel(FULL)) == FULL
    del defaults["memory"]["dbPath"]
    assert parallel(defaults) == ParallelSessionsSettings()


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"maxConcurrent": 0}, "maxConcurrent"),
        ({"maxConcurrent": 51}, "maxConcurrent"),
        ({"isolation": "per-moon"}, "isolation"),
        ({"idleTimeoutMs": 9_999}, "idleTimeoutMs"),
        ({"memory": {"autoPromoteThreshold": 0}}, "memory.autoPromoteThreshold"),
        ({"memory": {"autoPromoteThreshold": 11}}, "memory.autoPromoteThreshold"),
        ({"memory": {"defaultTTLMs": -1}}, "memory.defaultTTLMs"),
        ({"briefing": {"maxChannelMemories": 51}}, "briefing.maxChannelMemories"),
        ({"briefing": {"maxGlobalKnowledge": 21}}, "briefing.maxGlobalKnowledge"),
        ({"briefing": {"minImportance": 0}}, "briefing.minImportance"),
        ({"briefing": {"minConfidence": -0.1}}, "briefing.minConfidence"),
        ({"autoSave": {"facts": True}}, "autoSave.facts"),
    ],
)
def test_what_is_out_of_bounds_is_refused(settings: dict[str, Any], field: str) -> None:
    """A.2."""
    with pytest.raises(SettingsError, match=rf"agent\.parallelSessions\.{field}"):
        parallel(settings)


def test_no_default_path_is_of_the_old_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A.3."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv(layout.STATE_DIR_VARIABLE, raising=False)
    assert layout.shared_memory(layout.default_state_dir()) == tmp_path / ".openclaw/data/shared-memory.db"
    assert ".clawdbot" not in repr(Settings())


def test_group_that_is_given_in_part_keeps_the_rest(tmp_path: Path) -> None:
    """A.4, A.5: the manager takes the validated settings, groups merged deeply."""
    folder = configured(tmp_path / "state", memory={"autoPromoteThreshold": 5}, maxConcurrent=2)
    with open_manager(folder) as manager:
        assert manager.settings == load_settings(folder).parallel_sessions
        assert (manager.settings.memory.backend, manager.settings.memory.auto_promote_threshold) == ("sqlite", 5)
        manager.save_memory("s", "fact", "known to all", importance=5, channel_id="c")
        assert manager.stats().global_knowledge_count == 1


@pytest.mark.parametrize(("enable_wal", "mode"), [(True, "wal"), (False, "delete")])
def test_database_lies_and_is_kept_as_configured(tmp_path: Path, enable_wal: bool, mode: str) -> None:  # noqa: FBT001
    """A.6: dbPath and enableWAL are read, as every key that is declared."""
    folder = configured(tmp_path / "state", memory={"dbPath": str(tmp_path / "else/m.db"), "enableWAL": enable_wal})
    with open_manager(folder) as manager:
        manager.get_or_create_session("a")
    with contextlib.closing(sqlite3.connect(tmp_path / "else/m.db")) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == (mode,)
        assert connection.execute("SELECT status FROM session_state").fetchall() == [("hibernated",)]
    assert not (folder / "data").exists()


def test_backend_memory_makes_no_file(tmp_path: Path) -> None:
    """A.6."""
    folder = configured(tmp_path / "state", memory={"backend": "memory"})
    with open_manager(folder) as manager:
        manager.save_memory("s", "fact", "x", channel_id="c")
        assert manager.stats().total_memories == 1
    assert [path.name for path in folder.iterdir()] == ["openclaw.json"]
    with pytest.raises(UsageError, match="no database"), open_manager(folder, scope="database"):
        pass


@pytest.mark.parametrize(
    ("settings", "field"), [({"memory": {"backend": "lancedb"}}, "memory.backend"), ({"workExecutor": {"enabled": True}}, "workExecutor")]
)
def test_what_is_not_supported_is_refused_before_anything_is_made(tmp_path: Path, settings: dict[str, Any], field: str) -> None:
    """A.6."""
    folder = configured(tmp_path / "state", **settings)
    with pytest.raises(SettingsError, match=field), open_manager(folder):
        pass
    assert [path.name for path in folder.iterdir()] == ["openclaw.json"]


def test_manager_is_made_where_the_state_folder_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = configured(tmp_path / "state")
    monkeypatch.setenv(layout.STATE_DIR_VARIABLE, str(folder))
    with open_manager() as manager:
        assert manager.get_or_create_session("a").is_new
    with open_manager(folder, scope="database") as manager:
        assert not manager.get_or_create_session("a").is_new
        assert manager.memory is not None
        manager.memory.delete_session("a")
    with pytest.raises(UsageError, match="not initialized"):
        manager.memory.stats()
    memory = SharedMemory(folder / "data/shared-memory.db")
    memory.initialize(create=False)
    assert [one.channel_id for one in memory.sessions()] == ["a"]
    memory.close()


@pytest.mark.parametrize("way", ["default", "variable", "named"])
def test_new_user_needs_no_state_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    """It is made with what the memory needs in it, private."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv(layout.STATE_DIR_VARIABLE, raising=False)
    if way == "variable":
        monkeypatch.setenv(layout.STATE_DIR_VARIABLE, "~/.openclaw")
    with open_manager(Path("~/.openclaw") if way == "named" else None) as manager:
        assert manager.get_or_create_session("a").is_new
        assert manager.settings == ParallelSessionsSettings()
    folder = tmp_path / ".openclaw"
    assert {path.stat().st_mode & 0o777 for path in (folder, folder / "data")} == {0o700}
    assert {path.stat().st_mode & 0o777 for path in (folder / "data").iterdir()} == {0o600}
    assert [path.name for path in folder.iterdir()] == ["data"]


def test_what_is_no_state_folder_is_refused_without_a_word_of_the_command_line(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for place in (file, file / "below", tmp_path / "link"):
        with pytest.raises(StoreError) as refused, open_manager(place):
            pass
        assert str(place) in str(refused.value)
        assert "--" not in str(refused.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "link"]


def test_example_of_the_readme_runs_in_an_empty_home(tmp_path: Path) -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    example = readme.partition("\n## Parallel sessions\n")[2].partition("```python\n")[2].partition("```")[0]
    environment = {name: value for name, value in os.environ.items() if name != layout.STATE_DIR_VARIABLE}
    program = [sys.executable, "-c", example]
    done = subprocess.run(program, env=environment | {"HOME": str(tmp_path)}, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "## Global Knowledge\n- [decision] deploys are on Fridays\n"


def test_missing_shared_memory_is_told_of_without_a_word_of_the_command_line(tmp_path: Path) -> None:
    memory = SharedMemory(tmp_path / "none.db")
    with pytest.raises(NoStoreError, match="there is no shared memory; name the file") as missing:
        memory.initialize(create=False)
    with pytest.raises(NoStoreError, match="there is no shared memory; name the file") as uncopied, private_copy_of(tmp_path / "none.db"):
        pass
    assert not any("--" in str(error.value) for error in (missing, uncopied))
