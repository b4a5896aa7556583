"""The file of a shared memory: how it is made, opened, replaced, refused, and opened by many at once (A.3, A.40, A.41)."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from sessionlab.errors import CorruptStoreError, UnsupportedSchemaError, UnwritableError, UsageError
from sessionlab.parallel import SharedMemory
from sessionlab.parallel.schema import RECORDS
from tests.parallel.clock import Clock
from tests.parallel.samples import bare, remembered


def test_only_the_database_of_python_itself_is_used() -> None:
    """A.48."""
    program = (
        f"import sys; sys.path[:] = {sys.path!r}; import sessionlab.parallel; print(*{{name.partition('.')[0] for name in sys.modules}})"
    )
    done = subprocess.run([sys.executable, "-I", "-S", "-c", program], check=True, capture_output=True, text=True)
    found = set(done.stdout.split())
    assert "sqlite3" in found
    assert found - sys.stdlib_module_names <= {"__main__", "sessionlab", "msgspec", "typing_extensions"}


def test_folders_and_tables_are_made_private_with_a_write_ahead_log(memory: SharedMemory) -> None:
    """A.40."""
    with bare(memory) as connection:
        names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        assert names >= {*RECORDS, "session_state", "schema_version"}
        assert connection.execute("SELECT version FROM schema_version").fetchall() == [(1,)]
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert stat.S_IMODE(memory.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(memory.path.parent.stat().st_mode) == 0o700


def test_without_a_log_it_works_as_well(tmp_path: Path) -> None:
    """A.40: unless `enableWAL` is false."""
    found = SharedMemory(tmp_path / "m.db", enable_wal=False)
    found.initialize()
    assert found.save_memory(remembered()) == 1
    with bare(found) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    found.close()


def test_initializing_again_changes_nothing(memory: SharedMemory) -> None:
    """A.40: in this object, in another, and by several at once, there is one version."""
    memory.save_memory(remembered())
    memory.initialize()
    others = [SharedMemory(memory.path) for _ in range(8)]
    threads = [threading.Thread(target=other.initialize) for other in others]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(len(other.memories()) == 1 for other in others)
    with bare(memory) as connection:
        assert connection.execute("SELECT count(*) FROM schema_version").fetchone() == (1,)
    for other in others:
        other.close()


def test_nothing_is_done_before_it_is_initialized_nor_after_it_is_closed(tmp_path: Path) -> None:
    """A.41; closing may be repeated, and opening after it."""
    found = SharedMemory(tmp_path / "data/m.db")
    for ask in (found.memories, found.stats, lambda: found.save_memory(remembered()), lambda: found.search("x"), found.expire):
        with pytest.raises(UsageError, match="not initialized"):
            ask()
    assert not (tmp_path / "data").exists()
    found.initialize()
    found.save_memory(remembered())
    for _ in range(3):
        found.close()
    with pytest.raises(UsageError, match="not initialized"):
        found.memories()
    found.initialize()
    assert len(found.memories()) == 1
    found.close()


def test_newer_version_and_a_database_of_something_else_are_refused_and_left_as_they_are(tmp_path: Path) -> None:
    for name, script, kind in (
        ("newer.db", "CREATE TABLE schema_version (version INTEGER); INSERT INTO schema_version VALUES (2)", UnsupportedSchemaError),
        ("other.db", "CREATE TABLE recipes (name TEXT)", CorruptStoreError),
        ("odd.db", "CREATE TABLE schema_version (version TEXT); INSERT INTO schema_version VALUES ('x')", CorruptStoreError),
    ):
        path = tmp_path / name
        with sqlite3.connect(path) as connection:
            connection.executescript(script)
        with pytest.raises(kind, match=name):
            SharedMemory(path).initialize()
        with sqlite3.connect(path) as connection:
            assert connection.execute("SELECT count(*) FROM sqlite_master WHERE type = 'table'").fetchone() == (1,)
    (tmp_path / "text.db").write_text("no database at all, but a text that is longer than a header\n" * 20)
    with pytest.raises(CorruptStoreError, match=r"text\.db"):
        SharedMemory(tmp_path / "text.db").initialize()


def test_file_that_was_replaced_is_not_written_to(memory: SharedMemory) -> None:
    """What is acknowledged is in the file that others see."""
    memory.save_memory(remembered())
    memory.path.rename(memory.path.with_suffix(".old"))
    with pytest.raises(UnwritableError, match="was replaced"):
        memory.save_memory(remembered("lost?"))
    other = SharedMemory(memory.path)
    other.initialize()
    with pytest.raises(UnwritableError, match="was replaced"):
        memory.save_memory(remembered("lost?"))
    other.close()


def test_database_of_another_program_is_taken_over_with_what_is_in_it(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "theirs.db"
    own = SharedMemory(path, clock=clock)
    own.initialize()
    own.close()
    with sqlite3.connect(path) as connection:  # as it is without what sessionlab adds
        for kind in ("trigger", "index", "table"):
            for (name,) in connection.execute(
                "SELECT name FROM sqlite_master WHERE type = ? AND name LIKE 'sessionlab%'", (kind,)
            ).fetchall():
                connection.execute(f"DROP {kind} {name}")
        connection.execute(
            "INSERT INTO channel_memory (session_key, channel_id, memory_type, content, created_at) VALUES ('s','c','fact','x',1)"
        )
    own.initialize()
    (found,) = own.memories()
    assert (found.content, found.importance, found.version > 0) == ("x", 5, True)
    assert [change.table for change in own.watch()] == ["channel_memory"]
    assert [one.content for one in own.search("X").memories] == ["x"]
    own.close()


def test_fork_has_a_connection_of_its_own(memory: SharedMemory) -> None:
    memory.save_memory(remembered("parent"))
    child = os.fork()
    if child == 0:
        code = 1
        try:
            memory.save_memory(remembered("child"))
            code = 0
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    memory.save_memory(remembered("parent again"))
    assert len(memory.memories()) == 3


def test_database_of_something_else_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE recipes (name TEXT)")
    before = path.read_bytes()
    with pytest.raises(CorruptStoreError):
        SharedMemory(path).initialize()
    assert path.read_bytes() == before


def test_who_initializes_at_the_same_time_finds_the_tables(tmp_path: Path) -> None:
    """One object in several threads."""
    for number in range(10):
        found = SharedMemory(tmp_path / f"{number}.db")
        errors: list[BaseException] = []

        def use(memory: SharedMemory = found, errors: list[BaseException] = errors) -> None:
            try:
                memory.initialize()
                memory.stats()
            except BaseException as error:  # noqa: BLE001 - whatever it is, the test fails
                errors.append(error)

        threads = [threading.Thread(target=use) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert errors == []
        found.close()
