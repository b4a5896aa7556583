"""The private copy: complete, consistent, and without a trace on the original. The writers are real processes."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sessionlab.errors import CorruptStoreError, NoStoreError, UnreadableError
from sessionlab.stores.sqlite_snapshot import COPY_ALONE, COPY_WITH_JOURNAL, COPY_WITH_LOG, ONLINE_BACKUP, take_snapshot
from tests.fixture_states import photo

CRASHING_WRITER = """
import os, signal, sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("PRAGMA wal_autocheckpoint=0")
db.execute("PRAGMA cache_size=5")
for n in range(50):
    db.execute("BEGIN")
    db.execute("INSERT INTO left_side VALUES (?, ?)", (n, os.urandom(900)))
    db.execute("INSERT INTO right_side VALUES (?)", (n,))
    db.execute("COMMIT")
if "unfinished" in sys.argv:
    db.execute("BEGIN")
    for n in range(50, 200):
        db.execute("INSERT INTO left_side VALUES (?, ?)", (n, os.urandom(900)))
os.kill(os.getpid(), signal.SIGKILL)
"""

BUSY_WRITER = """
import os, sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("PRAGMA synchronous=OFF")
db.execute(f"PRAGMA wal_autocheckpoint={sys.argv[2]}")
n = 0
while True:
    db.execute("BEGIN IMMEDIATE")
    db.execute("INSERT INTO left_side VALUES (?, ?)", (n, os.urandom(900)))
    db.execute("INSERT INTO right_side VALUES (?)", (n,))
    if n % 3 == 0:
        db.execute("DELETE FROM left_side WHERE n = ?", (n // 2,))
        db.execute("DELETE FROM right_side WHERE n = ?", (n // 2,))
    db.execute("COMMIT")
    n += 1
    if n == 20:
        print("ready", flush=True)
"""


def make_store(folder: Path, *, journal_mode: str = "WAL") -> Path:
    folder.mkdir(mode=0o700)
    path = folder / "store.sqlite"
    db = sqlite3.connect(path, isolation_level=None)
    db.execute(f"PRAGMA journal_mode={journal_mode}")
    db.execute("CREATE TABLE left_side (n INTEGER, filler BLOB)")
    db.execute("CREATE TABLE right_side (n INTEGER)")
    db.close()
    return path


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return make_store(tmp_path / "store")


@pytest.fixture
def private_tmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder that snapshots are made in, for this test alone."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def crash(path: Path, *arguments: str) -> None:
    done = subprocess.run([sys.executable, "-c", CRASHING_WRITER, str(path), *arguments], check=False)
    assert done.returncode == -signal.SIGKILL


def sides(path: Path, **options: int) -> tuple[int, int, str]:
    """Return the two tables' numbers of rows, which are equal in every committed state, and how they were read."""
    with take_snapshot(path, **options) as snapshot:
        rows = [snapshot.connection.execute(f"SELECT count(*) FROM {side}_side").fetchone()[0] for side in ("left", "right")]
        (answer,) = snapshot.connection.execute("PRAGMA integrity_check").fetchone()
        assert answer == "ok"
        return rows[0], rows[1], snapshot.method


@contextlib.contextmanager
def writer(path: Path, *, checkpoint_pages: int) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen([sys.executable, "-c", BUSY_WRITER, str(path), str(checkpoint_pages)], stdout=subprocess.PIPE, text=True)
    with process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


def test_copy_of_a_stopped_store_touches_nothing(store: Path) -> None:
    crash(store)
    sqlite3.connect(store).close()  # recovers nothing yet
    db = sqlite3.connect(store)
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    before = photo(store.parent)
    assert sides(store) == (50, 50, COPY_ALONE)
    assert photo(store.parent) == before


def test_commits_that_are_only_in_the_log_of_a_crashed_writer_are_seen(store: Path) -> None:
    crash(store)
    (store.parent / "store.sqlite-shm").unlink()  # the copy must neither need nor make one
    before = photo(store.parent)
    assert sides(store) == (50, 50, COPY_WITH_LOG)
    assert photo(store.parent) == before


def test_uncommitted_frames_in_the_log_are_not_seen(store: Path) -> None:
    crash(store, "unfinished")
    before = photo(store.parent)
    assert sides(store) == (50, 50, COPY_WITH_LOG)
    assert photo(store.parent) == before


def test_torn_last_frame_drops_only_its_commit(store: Path) -> None:
    crash(store)
    log = store.with_name("store.sqlite-wal")
    os.truncate(log, log.stat().st_size - 10)
    left, right, _ = sides(store)
    assert left == right == 49


def test_hot_rollback_journal_of_a_crashed_writer_is_rolled_back(tmp_path: Path) -> None:
    store = make_store(tmp_path / "old", journal_mode="DELETE")
    crash(store, "unfinished")
    assert store.with_name("store.sqlite-journal").stat().st_size > 0
    before = photo(store.parent)
    assert sides(store) == (50, 50, COPY_WITH_JOURNAL)
    assert photo(store.parent) == before


@pytest.mark.parametrize("checkpoint_pages", [0, 40, 1000], ids=["log only grows", "constant checkpoints", "SQLite's default"])
def test_snapshots_of_a_busy_store_are_committed_states(store: Path, checkpoint_pages: int) -> None:
    names = {"store.sqlite", "store.sqlite-wal", "store.sqlite-shm"}
    with writer(store, checkpoint_pages=checkpoint_pages) as process:
        newest = []
        for _ in range(6):
            with take_snapshot(store) as snapshot:
                db = snapshot.connection
                left, right = (db.execute(f"SELECT group_concat(n) FROM {side}_side").fetchone()[0] for side in ("left", "right"))
                assert left == right
                assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
                newest.append(db.execute("SELECT max(n) FROM left_side").fetchone()[0])
                if checkpoint_pages == 0:
                    assert snapshot.method == COPY_WITH_LOG
            assert {path.name for path in store.parent.iterdir()} == names
        assert process.poll() is None
    assert newest == sorted(newest)
    assert newest[0] >= 19
    assert newest[-1] > newest[0]


class Meddler:
    """A writer that acts between the copy of the database and that of its log, the first `times` times."""

    def __init__(self, store: Path, monkeypatch: pytest.MonkeyPatch, *, statement: str, times: int) -> None:
        self._db = sqlite3.connect(store, isolation_level=None)
        self._statement = statement
        self._copyfile = shutil.copyfile
        self._left = times
        self.copies = 0
        monkeypatch.setattr(shutil, "copyfile", self._copy)

    def _copy(self, source: Path, target: Path) -> None:
        self._copyfile(source, target)
        if source.name != "store.sqlite":
            return
        self.copies += 1
        if self._left:
            self._left -= 1
            self._db.execute(self._statement)
            self._db.executescript("BEGIN; INSERT INTO left_side VALUES (0, ''); INSERT INTO right_side VALUES (0); COMMIT;")

    def close(self) -> None:
        self._db.close()


@pytest.mark.parametrize(
    ("times", "method", "copies"),
    [(1, COPY_WITH_LOG, 2), (3, COPY_WITH_LOG, 4), (9, ONLINE_BACKUP, 4)],
)
def test_copy_that_a_checkpoint_fell_into_is_taken_again(
    store: Path, monkeypatch: pytest.MonkeyPatch, times: int, method: str, copies: int
) -> None:
    crash(store)
    with contextlib.closing(Meddler(store, monkeypatch, statement="PRAGMA wal_checkpoint(RESTART)", times=times)) as meddler:
        left, right, used = sides(store)
    assert (used, meddler.copies) == (method, copies)
    assert left == right == 50 + min(times, copies)


def test_copy_during_which_the_log_started_over_is_taken_again(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crash(store)
    with contextlib.closing(sqlite3.connect(store, isolation_level=None)) as idle:
        idle.execute("PRAGMA wal_checkpoint(FULL)")  # all is in the database, the next commit writes the log from its start
        with contextlib.closing(Meddler(store, monkeypatch, statement="SELECT 1", times=1)) as meddler:
            assert sides(store) == (51, 51, COPY_WITH_LOG)
            assert meddler.copies == 2


def test_copy_during_which_a_database_without_a_log_was_written_is_taken_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = make_store(tmp_path / "old", journal_mode="DELETE")
    with contextlib.closing(Meddler(store, monkeypatch, statement="SELECT 1", times=1)) as meddler:
        assert sides(store) == (1, 1, COPY_ALONE)
        assert meddler.copies == 2


def test_commits_appended_during_the_copy_do_no_harm(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crash(store)
    with contextlib.closing(Meddler(store, monkeypatch, statement="SELECT 1", times=9)) as meddler:
        assert sides(store) == (51, 51, COPY_WITH_LOG)
        assert meddler.copies == 1


def test_online_backup_sees_the_same_state_and_leaves_database_and_log_alone(store: Path) -> None:
    crash(store)
    before = photo(store.parent)
    assert sides(store, attempts=0) == (50, 50, ONLINE_BACKUP)
    after = photo(store.parent)
    for name in ("store.sqlite", "store.sqlite-wal"):
        assert after[name] == before[name]


def test_online_backup_is_used_when_the_database_never_rests(store: Path) -> None:
    script = "import os, sys, time\nwhile True:\n    os.utime(sys.argv[1])\n    time.sleep(0.002)\n"
    with subprocess.Popen([sys.executable, "-c", script, str(store)]) as restless:
        try:
            began_ns = store.stat().st_mtime_ns
            while store.stat().st_mtime_ns == began_ns:
                time.sleep(0.005)
            assert sides(store) == (0, 0, ONLINE_BACKUP)
        finally:
            restless.kill()


def test_copy_waits_until_a_fresh_write_can_be_told_from_the_next(store: Path) -> None:
    os.utime(store)
    began = time.monotonic()
    assert sides(store) == (0, 0, COPY_ALONE)
    assert time.monotonic() - began >= 0.05


def test_private_folder_is_private_and_goes_away(store: Path, private_tmp: Path) -> None:
    with take_snapshot(store):
        (folder,) = private_tmp.iterdir()
        assert folder.stat().st_mode & 0o777 == 0o700
    assert list(private_tmp.iterdir()) == []


def test_private_folder_goes_away_when_nobody_closes_it(store: Path, tmp_path: Path) -> None:
    folder = tmp_path / "tmp"
    folder.mkdir()
    script = (
        "import sys; from pathlib import Path; from sessionlab.stores.sqlite_snapshot import take_snapshot\n"
        "kept = take_snapshot(Path(sys.argv[1])); assert any(Path(sys.argv[2]).iterdir())"
    )
    subprocess.run([sys.executable, "-c", script, str(store), str(folder)], check=True, env={**os.environ, "TMPDIR": str(folder)})
    assert list(folder.iterdir()) == []


def test_closing_twice_is_fine(store: Path) -> None:
    snapshot = take_snapshot(store)
    snapshot.close()
    snapshot.close()


def test_copy_cannot_be_written(store: Path) -> None:
    with take_snapshot(store) as snapshot, pytest.raises(sqlite3.OperationalError, match="readonly"):
        snapshot.connection.execute("INSERT INTO right_side VALUES (1)")


def test_link_to_the_database_finds_the_log_beside_the_real_file(store: Path, tmp_path: Path) -> None:
    crash(store)
    link = tmp_path / "link.sqlite"
    link.symlink_to(store)
    assert sides(link) == (50, 50, COPY_WITH_LOG)


def test_name_with_reserved_characters(tmp_path: Path) -> None:
    store = make_store(tmp_path / "a?b#c%20d")
    assert sides(store) == (0, 0, COPY_ALONE)
    assert sides(store, attempts=0) == (0, 0, ONLINE_BACKUP)


def test_nothing_there(tmp_path: Path, private_tmp: Path) -> None:
    with pytest.raises(NoStoreError, match="no such file"):
        take_snapshot(tmp_path / "none.sqlite")
    with pytest.raises(NoStoreError, match="is a folder"):
        take_snapshot(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(NoStoreError, match="not a regular file"):
        take_snapshot(tmp_path / "pipe")
    (tmp_path / "dangling").symlink_to("gone.sqlite")
    with pytest.raises(NoStoreError, match=r"symbolic link to gone\.sqlite, which does not exist"):
        take_snapshot(tmp_path / "dangling")
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(UnreadableError, match="loop"):
        take_snapshot(tmp_path / "loop")
    assert list(private_tmp.iterdir()) == []


@pytest.mark.parametrize("attempts", [4, 0])
def test_files_that_are_no_databases(tmp_path: Path, private_tmp: Path, attempts: int) -> None:
    store = make_store(tmp_path / "store")
    whole = store.read_bytes()
    for name, content, reason in (
        ("empty", b"", "empty file"),
        ("text", b"not a database, but long enough to have a header" * 100, "not a database"),
        ("truncated", whole[: len(whole) // 2], "malformed"),
        ("stub", whole[:60], "malformed"),
    ):
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(CorruptStoreError, match=reason) as caught:
            take_snapshot(path, attempts=attempts)
        assert caught.value.path == path
        assert "\n" not in str(caught.value)
    assert list(private_tmp.iterdir()) == []


@contextlib.contextmanager
def without_rights(path: Path) -> Iterator[None]:
    """Take away the right to read `path`; root becomes somebody else for that."""
    path.chmod(0)
    if os.geteuid() == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        if os.getuid() == 0:
            os.seteuid(0)
        path.chmod(0o600)


def test_unreadable_database(store: Path) -> None:
    with without_rights(store), pytest.raises(UnreadableError, match="Permission denied"):
        take_snapshot(store)


def test_no_room_in_the_temporary_folder(store: Path, private_tmp: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(UnreadableError, match="TMPDIR") as caught:
            take_snapshot(store)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert str(private_tmp) in str(caught.value)
    assert list(private_tmp.iterdir()) == []


def test_temporary_folder_that_cannot_be_listed(store: Path, private_tmp: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_path: Path) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "iterdir", refuse)
        with pytest.raises(UnreadableError, match="TMPDIR"):
            take_snapshot(store)
    assert list(private_tmp.iterdir()) == []


def test_no_temporary_folder_at_all(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(UnreadableError, match=r"gone.*TMPDIR"):
        take_snapshot(store)


def test_copies_of_killed_processes_are_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    names = [f"sessionlab-snapshot-{ended.pid}-old", f"sessionlab-snapshot-{ended.pid}-young", f"sessionlab-snapshot-{os.getpid()}-mine"]
    for name in [*names, "sessionlab-snapshot-x-y", f"other-{ended.pid}-z"]:
        (tmp_path / name).mkdir()
        (tmp_path / name / "copy").touch()
        if not name.endswith("young"):
            os.utime(tmp_path / name, (1_000_000_000, 1_000_000_000))
    database = tmp_path / "a.sqlite"
    with contextlib.closing(sqlite3.connect(database)) as db:
        db.execute("CREATE TABLE t (x)")
    with take_snapshot(database):
        assert [path for path in tmp_path.iterdir() if path.name == names[0]] == []
        assert len([path for path in tmp_path.iterdir() if path.is_dir()]) == 5
        assert len(list(tmp_path.glob(f"sessionlab-snapshot-{os.getpid()}-*"))) == 2
