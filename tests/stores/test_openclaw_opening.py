"""What is opened as an OpenClaw database: a known version, a whole schema, sessions, also those that are only in the log."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from sessionlab.errors import CorruptStoreError, NoStoreError, UnsupportedSchemaError
from sessionlab.stores.openclaw import OpenClawStore, holds_sessions
from tests.fixture_states import photo
from tests.stores.changed_database import change


@pytest.mark.parametrize("version", [18, 24])
def test_unknown_version_is_refused(own: Path, version: int) -> None:
    change(own, f"PRAGMA user_version={version}", f"UPDATE schema_meta SET schema_version = {version}")
    with pytest.raises(UnsupportedSchemaError, match=f"version {version} ") as caught:
        OpenClawStore.open(own)
    assert (caught.value.exit_code, caught.value.found) == (12, version)


def test_versions_between_the_two_known_ones_are_read(own: Path) -> None:
    change(own, "PRAGMA user_version=21", "UPDATE schema_meta SET schema_version = 21", "DROP TABLE session_transcript_cold_archives")
    with OpenClawStore.open(own) as opened:
        assert opened.stats().schema_version == 21
        assert sum(transcript.events for transcript in opened.transcripts()) == 3573


def test_interrupted_upgrade_is_corrupt(own: Path) -> None:
    with pytest.raises(CorruptStoreError, match="22 in schema_meta and 23 in user_version"):
        OpenClawStore.open(change(own, "UPDATE schema_meta SET schema_version = 22"))


def test_missing_column_is_named(own: Path) -> None:
    with pytest.raises(CorruptStoreError, match=r"session_nodes\.entry_json, session_nodes\.session_key"):
        OpenClawStore.open(
            change(
                own,
                "DROP TABLE session_nodes",
                "CREATE TABLE session_nodes (current_session_id TEXT, updated_at INTEGER)",
            )
        )


def test_view_or_virtual_table_in_place_of_a_table_is_refused(own: Path) -> None:
    change(own, "ALTER TABLE session_nodes RENAME TO hidden", "CREATE VIEW session_nodes AS SELECT * FROM hidden")
    with pytest.raises(CorruptStoreError, match="session_nodes"):
        OpenClawStore.open(own)


def test_database_of_another_kind_is_no_store(own: Path, tmp_path: Path) -> None:
    with pytest.raises(NoStoreError, match="'state'"):
        OpenClawStore.open(change(own, "UPDATE schema_meta SET role = 'state'"))
    foreign = tmp_path / "foreign.sqlite"
    change(foreign, "CREATE TABLE session_nodes (session_key)")
    with pytest.raises(NoStoreError, match="schema_meta"):
        OpenClawStore.open(foreign)
    with pytest.raises(NoStoreError):
        OpenClawStore.open(tmp_path / "none.sqlite")


def test_agent_is_named_by_the_caller_then_the_database_then_the_path(own: Path) -> None:
    change(own, "UPDATE schema_meta SET agent_id = 'helper'")
    with OpenClawStore.open(own) as opened:
        assert opened.agent_id == "helper"
    with OpenClawStore.open(own, agent_id="asked") as opened:
        assert opened.agent_id == "asked"
    with OpenClawStore.open(change(own, "UPDATE schema_meta SET agent_id = NULL")) as opened:
        assert opened.agent_id == "main"


def test_holds_sessions(own: Path, tmp_path: Path) -> None:
    assert holds_sessions(own)
    assert not holds_sessions(tmp_path / "none.sqlite")
    assert holds_sessions(change(own, "DELETE FROM session_nodes"))
    before_sessions = tmp_path / "2026.6.sqlite"
    change(before_sessions, "CREATE TABLE schema_meta (role)", "CREATE TABLE auth_profile_store (id)")
    assert not holds_sessions(before_sessions)
    assert holds_sessions(change(before_sessions, "CREATE TABLE session_entries (session_key)"))
    (tmp_path / "empty.sqlite").touch()
    with pytest.raises(CorruptStoreError, match="empty file"):
        holds_sessions(tmp_path / "empty.sqlite")
    (tmp_path / "text.sqlite").write_text("no database " * 50)
    with pytest.raises(CorruptStoreError, match="not a database"):
        holds_sessions(tmp_path / "text.sqlite")


def test_table_of_sessions_that_is_only_in_the_log_counts(tmp_path: Path) -> None:
    path = tmp_path / "new.sqlite"
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("CREATE TABLE session_nodes (session_key)")
    assert path.with_name("new.sqlite-wal").stat().st_size > 0
    assert holds_sessions(path)
    db.close()


def test_commits_that_are_only_in_the_log_are_read(own: Path) -> None:
    change(own)
    script = (
        "import os, signal, sqlite3, sys; db = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "db.execute('PRAGMA wal_autocheckpoint=0')\n"
        "db.execute('''INSERT INTO session_nodes (session_key, current_session_id, entry_json, entry_valid, updated_at) "
        "VALUES ('agent:main:late', 'late', '{\"sessionId\":\"late\",\"updatedAt\":1795132800000}', 1, 1795132800000)''')\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", script, str(own)], check=False)
    log_bytes = own.with_name(own.name + "-wal").stat().st_size
    assert log_bytes > 0
    before = photo(own.parent)
    with OpenClawStore.open(own) as opened:
        assert next(opened.summaries()).key == "agent:main:late"
        assert opened.count() == 66
        assert opened.stats().store_bytes == own.stat().st_size + log_bytes
        assert "write-ahead log" in opened.snapshot_method
        assert dict(opened.storage_parts())["write-ahead log"] == log_bytes
    assert photo(own.parent) == before
