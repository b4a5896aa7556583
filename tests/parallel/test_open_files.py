"""What may happen to the file of a shared memory while it is open: closing, forking, copying, replacing, removing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from sessionlab.errors import CorruptStoreError, StoreError, UncertainWriteError, UnreadableError, UnwritableError, UsageError
from sessionlab.parallel import SharedMemory
from sessionlab.parallel.database import Database
from sessionlab.parallel.reading import private_copy_of
from tests.parallel.samples import bare, remembered

ROOT = Path(__file__).parents[2]


def another_program(path: Path, query: str = "SELECT count(*) FROM channel_memory") -> int:
    """Ask as another process does that knows nothing of us, and is gone again."""
    program = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); print(c.execute(sys.argv[2]).fetchone()[0]); c.close()"
    return int(subprocess.run([sys.executable, "-c", program, str(path), query], check=True, capture_output=True, text=True).stdout)


def in_thread(ask: Callable[[], object]) -> object:
    """Return what a new thread is answered, or the error it gets."""
    answers: list[object] = []

    def run() -> None:
        try:
            answers.append(ask())
        except Exception as error:  # noqa: BLE001 - whatever it is, the test looks at it
            answers.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return answers[0]


_CLOSING = """
import collections, sys, threading, time
from pathlib import Path
from sessionlab.parallel import Memory, SharedMemory
memory, acknowledged, errors, is_over = SharedMemory(Path(sys.argv[1])), [], collections.Counter(), threading.Event()
def use():
    while not is_over.is_set():
        try:
            acknowledged.append(memory.save_memory(Memory(session_key="s", channel_id="c", memory_type="fact", content="x" * 200)))
            memory.memories(limit=5)
        except Exception as error:
            errors[f"{type(error).__name__} {'not initialized' in str(error)}"] += 1
            time.sleep(0.001)
memory.initialize()
threads = [threading.Thread(target=use) for _ in range(4)]
for thread in threads: thread.start()
until = time.monotonic() + 2
while time.monotonic() < until:
    time.sleep(0.005)
    memory.close()
    memory.initialize()
is_over.set()
for thread in threads: thread.join()
print(len(acknowledged) - len({one.id for one in memory.memories(limit=1 << 30)} & {*acknowledged}), *errors, sep=", ")
memory.close()
"""


def test_closing_waits_for_other_threads_and_refuses_those_that_come_later(tmp_path: Path) -> None:
    """SQLite itself ends the process when a connection is closed that another thread uses."""
    done = subprocess.run([sys.executable, "-c", _CLOSING, str(tmp_path / "m.db")], capture_output=True, text=True, cwd=ROOT, check=False)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "0, UsageError True", "")


def test_closing_waits_until_a_transaction_is_over(memory: SharedMemory) -> None:
    database = Database(memory.path)
    database.initialize()
    has_begun, closer = threading.Event(), threading.Thread(target=database.close)

    def write() -> None:
        with database.writing() as connection:
            has_begun.set()
            closer.start()
            time.sleep(0.05)
            assert closer.is_alive()
            connection.execute(
                "INSERT INTO channel_memory (session_key,channel_id,memory_type,content,created_at) VALUES('s','c','fact','x',1)"
            )

    assert in_thread(write) is None
    closer.join()
    assert len(memory.memories()) == 1
    with pytest.raises(UsageError, match="not initialized"), database.reading():
        pass


_KILLED = """
import os, sys
from pathlib import Path
from sessionlab.parallel import Memory, SharedMemory
from sessionlab.parallel.reading import private_copy_of
def save(): memory.save_memory(Memory(session_key="s", channel_id="c", memory_type="fact", content="x"))
def tell(): print("", flush=True); sys.stdin.readline()
memory = SharedMemory(Path(sys.argv[1]))
memory.initialize()
save()
if sys.argv[2] == "copied":
    with private_copy_of(memory.path) as copy: copy.stats()
if sys.argv[2] == "read":
    memory.path.read_bytes()
tell()
for _ in range(5): save()
tell()
"""


@pytest.mark.parametrize("how", ["left", "copied", "read"])
def test_what_is_acknowledged_is_there_after_a_copy_was_made(tmp_path: Path, how: str) -> None:
    """Closing a plain descriptor loses the locks: another program then removes the log that is written to. `read` does so past us."""
    path = tmp_path / "m.db"
    command = [sys.executable, "-c", _KILLED, str(path), how]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdout.readline()
        had_log = path.with_name("m.db-wal").exists()
        assert another_program(path) == 1
        assert had_log
        assert path.with_name("m.db-wal").exists() == (how != "read")
        child.stdin.write("\n")
        child.stdin.flush()
        child.stdout.readline()
        with closing(SharedMemory(path)) as other:
            other.initialize()
            other.save_memory(remembered())
        child.kill()
    assert another_program(path) == 7


def write_and(database: Database, act: Callable[[], object]) -> None:
    """Do something between a write and its commit."""
    with database.writing() as connection:
        connection.execute("INSERT INTO schema_version VALUES (1)")
        act()


def test_log_that_is_removed_inside_a_transaction_makes_it_uncertain(memory: SharedMemory) -> None:
    database = Database(memory.path)
    database.initialize()
    with pytest.raises(UncertainWriteError, match="was replaced"):
        write_and(database, Path(f"{memory.path}-wal").unlink)
    database.close()


def test_file_that_is_replaced_inside_a_transaction_makes_it_uncertain(memory: SharedMemory) -> None:
    """Committed, but not where others see it."""
    database = Database(memory.path)
    database.initialize()
    with pytest.raises(UncertainWriteError, match="was replaced"):
        write_and(database, lambda: memory.path.rename(memory.path.with_suffix(".old")))
    database.close()


def test_what_is_acknowledged_survives_a_loss_of_power(memory: SharedMemory) -> None:
    """`FULL`: with `NORMAL`, commits in the log are not forced to disk."""
    database = Database(memory.path)
    database.initialize()
    for ask in (database.reading, database.writing):
        with ask() as connection:
            assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
    database.close()


def test_file_that_was_replaced_is_not_read_either(memory: SharedMemory, tmp_path: Path) -> None:
    memory.save_memory(remembered("old"))
    with closing(SharedMemory(tmp_path / "backup.db")) as backup:
        backup.initialize()
        backup.save_memory(remembered("new"))
    (tmp_path / "backup.db").replace(memory.path)
    for ask in (memory.memories, memory.stats, lambda: memory.search("old")):
        with pytest.raises(UnreadableError, match="was replaced"):
            ask()
        assert "was replaced" in str(in_thread(ask))
    memory.close()
    for suffix in ("-wal", "-shm"):
        Path(f"{memory.path}{suffix}").unlink(missing_ok=True)  # of the old file
    memory.initialize()
    assert [one.content for one in memory.memories()] == ["new"]


def test_file_that_was_removed_is_not_made_anew(memory: SharedMemory) -> None:
    memory.save_memory(remembered())
    memory.path.unlink()
    with pytest.raises(UnreadableError, match="was replaced or removed"):
        memory.stats()
    for found in (in_thread(memory.stats), in_thread(lambda: memory.save_memory(remembered()))):
        assert isinstance(found, UnreadableError | UnwritableError)
        assert "was replaced or removed" in str(found)
    assert not memory.path.exists()


def test_relative_path_means_what_it_meant_when_it_was_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    with closing(SharedMemory(Path("m.db"))) as memory:
        memory.initialize()
        memory.save_memory(remembered())
        monkeypatch.chdir(tmp_path / "elsewhere")
        assert in_thread(lambda: memory.save_memory(remembered())) == 2
        assert len(memory.memories()) == 2
        memory.close()
        memory.initialize()
        assert len(memory.memories()) == 2
    assert not [*(tmp_path / "elsewhere").iterdir()]


def test_link_leads_to_one_file(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    link = tmp_path / "m.db"
    link.symlink_to(tmp_path / "data/real.db")
    with closing(SharedMemory(link)) as memory, closing(SharedMemory(tmp_path / "data/real.db")) as same:
        for one in (memory, same):
            one.initialize()
            one.save_memory(remembered())
        assert len(memory.memories()) == len(same.memories()) == 2
        assert link.is_symlink()
        with private_copy_of(link) as copy:
            assert len(copy.memories()) == 2


@pytest.mark.parametrize("is_open", [True, False])
def test_folder_that_became_a_file_is_an_error_of_ours(tmp_path: Path, *, is_open: bool) -> None:
    memory = SharedMemory(tmp_path / "data/m.db")
    if is_open:
        memory.initialize()
        memory.save_memory(remembered())
        (tmp_path / "data").rename(tmp_path / "moved")
    (tmp_path / "data").write_text("no folder")
    asks: list[Callable[[], object]] = [memory.stats, lambda: memory.save_memory(remembered())]
    for ask in asks if is_open else [memory.initialize, lambda: memory.initialize(create=False)]:
        with pytest.raises(StoreError):
            ask()
    memory.close()


def test_errors_of_a_private_copy_name_the_original(memory: SharedMemory) -> None:
    memory.save_memory(remembered())
    with closing(bare(memory)) as connection:
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'channel_memory'").fetchone()
        (page_bytes,) = connection.execute("PRAGMA page_size").fetchone()
    memory.close()
    with memory.path.open("r+b") as stream:
        stream.seek((page - 1) * page_bytes)
        stream.write(b"\xff" * page_bytes)
    with private_copy_of(memory.path) as copy:
        assert copy.path == memory.path
        with pytest.raises(CorruptStoreError) as caught:
            copy.memories()
        with pytest.raises(UsageError) as closed:
            _closed(copy)
    for error in (caught.value, closed.value):
        assert str(error).startswith(f"{memory.path}: ")
        assert "sessionlab-snapshot" not in str(error)


def _closed(memory: SharedMemory) -> None:
    memory.close()
    memory.stats()


def forked(act: Callable[[], None]) -> int:
    """Return the process in which something is done."""
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        code = 1
        try:
            act()
            code = 0
        finally:
            os._exit(code)
    return child


def test_child_keeps_its_own_locks(memory: SharedMemory) -> None:
    """SQLite counts locks for each process: with the parent's count a child takes none, and others remove the log that it writes."""
    memory.save_memory(remembered())
    ask, told = os.pipe(), os.pipe()

    def save() -> None:
        memory.save_memory(remembered())
        os.write(told[1], b"x")
        os.read(ask[0], 1)
        for _ in range(5):
            memory.save_memory(remembered())
        os.kill(os.getpid(), signal.SIGKILL)

    child = forked(save)
    os.read(told[0], 1)
    memory.close()
    assert another_program(memory.path) == 2
    os.write(ask[1], b"x")
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert another_program(memory.path) == 7


@pytest.mark.parametrize("wal", [True, False])
def test_forks_while_other_threads_save(tmp_path: Path, *, wal: bool) -> None:
    memory = SharedMemory(tmp_path / "m.db", enable_wal=wal)
    memory.initialize()
    is_over = threading.Event()
    saved: list[int] = []
    errors: list[Exception] = []

    def save() -> None:
        while not is_over.is_set():
            try:
                memory.save_memory(remembered())
                saved.append(1)
            except Exception as error:  # noqa: BLE001 - whatever it is, the test fails
                errors.append(error)

    def use() -> None:
        memory.save_memory(remembered("child"))
        assert memory.memories(limit=1)
        memory.close()

    threads = [threading.Thread(target=save) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(15):
            assert os.waitpid(forked(use), 0)[1] == 0
    finally:
        is_over.set()
        for thread in threads:
            thread.join()
    assert errors == []
    memory.close()
    assert another_program(memory.path) == 15 + sum(saved)
    assert another_program(memory.path, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check = 'ok'") == 1


def test_fork_inside_a_transaction_leaves_it_to_the_parent(memory: SharedMemory) -> None:
    database = Database(memory.path)
    database.initialize()

    def write() -> None:
        with database.writing() as connection:
            connection.execute("UPDATE channel_memory SET content = 'child'")
            child = os.fork()
            if child:
                assert os.waitpid(child, 0)[1] == 0

    memory.save_memory(remembered("parent"))
    process, code = os.getpid(), 1
    try:
        write()
    except UsageError:
        code = 0
    finally:
        if os.getpid() != process:
            os._exit(code)
    assert [one.content for one in memory.memories()] == ["child"]
    database.close()


def test_threads_that_notice_at_once_that_the_log_is_gone_do_not_wait_for_each_other(memory: SharedMemory) -> None:
    threads, rounds, failures = 4, 3, list[BaseException]()
    together = threading.Barrier(threads)

    def work(number: int) -> None:
        try:
            memory.save_memory(remembered(f"{number} first"))
            for turn in range(rounds):
                together.wait(10)
                if number == 0:
                    memory.path.read_bytes()  # as a plain file: the system forgets our locks
                    another_program(memory.path)  # which closes last, as it seems, and removes the log
                together.wait(10)
                memory.save_memory(remembered(f"{number} {turn}"))
        except BaseException as error:  # noqa: BLE001 - whatever it is, the test looks at it
            failures.append(error)
            together.abort()

    running = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join(60)
    assert failures == []
    with closing(bare(memory)) as connection:
        assert connection.execute("SELECT count(*) FROM channel_memory").fetchone() == (threads * (rounds + 1),)
