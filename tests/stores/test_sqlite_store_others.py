"""The SQLite store among other threads, other processes, and programs that go past it."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from sessionlab.errors import UnwritableError
from sessionlab.stores.sqlite import SQLiteStore
from tests.stores.sample_entries import ALPHA, BETA, GAMMA, NOW_MS, session, small_store
from tests.stores.sqlite_files import entries, plain
from tests.torture.backends import SQLITE


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sessions.sqlite"


READER = """
import time
known, rounds = 0, 0
print("ready", flush=True)
while known < int(sys.argv[2]):
    entries = dict(store.items())
    assert len(entries) == 40, len(entries)
    for entry in entries.values():
        assert entry["both"] == [entry["counter"]] * 300, entry["counter"]
    assert len(list(store.summaries())) == store.count() == len(store.load()) == 40
    newest = store.get("agent:main:0")["counter"]
    assert newest >= known, (newest, known)
    known, rounds = newest, rounds + 1
print(rounds, flush=True)
"""


def test_reader_in_another_process_never_sees_half_an_update_or_an_older_one(path: Path) -> None:
    """B.12, B.19, T5: 2,000 updates over 40 sessions, whose big field and counter always agree."""
    updates = 2_000
    with SQLiteStore(path, durability="process") as store:
        store.save({f"agent:main:{number}": session(number, counter=0, both=[0] * 300) for number in range(40)})
        reader = SQLITE.start(path, READER, str(updates))
        assert reader.stdout is not None
        assert reader.stdout.readline() == "ready\n", reader.communicate()[1]
        for counter in range(1, updates + 1):
            for key in {"agent:main:0", f"agent:main:{counter % 40}"}:
                store.update(key, lambda _: {"counter": counter, "both": [counter] * 300}, now_ms=NOW_MS)  # noqa: B023 - called at once
        output, errors = reader.communicate(timeout=60)
    assert (errors, reader.returncode) == ("", 0)
    assert int(output) > 3


def test_threads_have_connections_of_their_own_that_end_with_them(path: Path) -> None:
    """B.10."""
    found: list[Any] = []
    with SQLiteStore(path) as store:
        store.put(ALPHA, session())
        for _ in range(3):
            thread = threading.Thread(target=lambda: found.append(store._connections.current()))
            thread.start()
            thread.join()
        assert len({id(opened) for opened in [*found, store._connections.current()]}) == 4
        assert len(store._connections._all) == 4
        found.clear()
        assert len(store._connections._all) == 1
        thread = threading.Thread(target=lambda: found.append(store._connections.current()))
        thread.start()
        thread.join()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        found[0].connection.execute("SELECT 1")


def test_store_may_be_used_again_after_close(path: Path) -> None:
    """B.10."""
    store = SQLiteStore(path)
    store.put(ALPHA, session())
    store.close()
    assert store.get(ALPHA) == session()
    store.put(BETA, session(2))
    store.close()
    assert store.count() == 2
    store.close()


CLOSING = """
import sys, threading, time
from pathlib import Path
from sessionlab.stores.sqlite import SQLiteStore
store, failed, is_over = SQLiteStore(Path(sys.argv[1])), [], threading.Event()
expected = dict(store.items())
key = next(iter(expected))

def work(number):
    while not is_over.is_set():
        try:
            assert store.get(key) == expected[key]
            assert len(store.load()) == store.count() == len(expected)
            assert sum(1 for _ in store.summaries()) == len(expected)
            if number:
                store.update(key, lambda _: {"label": expected[key].get("label")} , now_ms=1)
        except BaseException as error:
            failed.append(repr(error))
            is_over.set()

threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
for thread in threads:
    thread.start()
for _ in range(400):
    store.close()
    time.sleep(0.001)
is_over.set()
for thread in threads:
    thread.join()
print(failed)
"""


def test_store_may_be_closed_while_other_threads_use_it(path: Path) -> None:
    """Neither they nor the process come to harm; what they have open they close themselves."""
    with SQLiteStore(path) as store:
        store.save({f"agent:main:{number}": session(number, label="same") for number in range(50)})
    command = [sys.executable, "-c", CLOSING, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
    assert (done.returncode, done.stdout, done.stderr) == (0, "[]\n", "")
    assert not Path(f"{path}-wal").exists(), "the last connection was closed"


def test_forked_process_opens_its_own(path: Path) -> None:
    """Both go on writing; neither a lock nor a log is lost when the child ends."""
    with SQLiteStore(path) as store:
        store.put(ALPHA, session())
        mine = store._connections.current()
        child = os.fork()
        if child == 0:
            try:
                store.update(ALPHA, lambda entry: {"counter": entry["counter"] + 1}, now_ms=1)
                assert store._connections.current() is not mine
                store.close()
                os._exit(0)
            finally:
                os._exit(1)
        assert os.waitpid(child, 0)[1] == 0
        assert store._connections.current() is mine
        store.update(ALPHA, lambda entry: {"counter": entry["counter"] + 1}, now_ms=1)
        assert (store.get(ALPHA) or {})["counter"] == 2
    with SQLiteStore(path) as again:
        assert (again.get(ALPHA) or {})["counter"] == 2


def test_reading_the_file_past_the_store_loses_no_later_write(path: Path) -> None:
    """Closing a plain descriptor drops the process's locks; whoever then closes last removes the log that we still write to."""
    bump = "store.update(sys.argv[2], lambda entry: {'counter': entry['counter'] + 1}, now_ms=1)\nstore.close()"
    with SQLiteStore(path) as store, SQLiteStore(path) as second:
        store.put(ALPHA, session())
        assert second.count() == 1
        path.read_bytes()
        assert SQLITE.start(path, bump, ALPHA).communicate(timeout=30) == ("", "")
        store.update(ALPHA, lambda entry: {"counter": entry["counter"] + 1}, now_ms=1)
        assert (second.get(ALPHA) or {})["counter"] == 2
        assert SQLITE.start(path, bump, ALPHA).communicate(timeout=30) == ("", "")
        second.update(ALPHA, lambda entry: {"counter": entry["counter"] + 1}, now_ms=1)
    assert json.loads(entries(path)[ALPHA])["counter"] == 4


def test_snapshot_is_used_again_only_while_nothing_was_written_past_it(path: Path) -> None:
    """E.22 to E.29, also against writers that do not know of the store."""
    with SQLiteStore(path) as store:
        store.save(small_store())
        store.close()
        base = store.load()  # at rest
        assert store.transform(lambda _: None, base=base) is base
        assert store.transform(lambda draft: draft[ALPHA].update(counter=1), base=base) is base
        assert store.transform(lambda draft: draft[ALPHA].update(counter=2), base=base) is base
        with plain(path) as other:
            other.execute("DELETE FROM sessions WHERE session_key = ?", (BETA,))
        assert store.transform(lambda _: None, base=base) is not base
        assert store.count() == 2


def test_a_write_refused_once_is_no_reason_to_refuse_the_next(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite opens a file that it may not write for reading, and the connection stays like that."""
    with SQLiteStore(path) as store:
        store.put(ALPHA, session(1))
    connect = sqlite3.connect
    with SQLiteStore(path) as store:
        with monkeypatch.context() as patch:
            patch.setattr(sqlite3, "connect", lambda place, **options: connect(place.replace("mode=rw", "mode=ro"), **options))
            with pytest.raises(UnwritableError, match="readonly"):
                store.put(BETA, session(2))
        store.put(GAMMA, session(3))
        assert [key for key, _ in store.items()] == [ALPHA, GAMMA]
