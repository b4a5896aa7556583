"""Ctrl-C, forks, cancelled tasks, clocks that jump, and others who write: nobody loses what was acknowledged, and none is awake twice."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from sessionlab.errors import NoRoomError, UsageError
from sessionlab.parallel import SessionManager, SharedMemory
from sessionlab.parallel.asynchronous import AsyncSessionManager
from sessionlab.parallel.connections import Connection
from sessionlab.parallel.database import Database
from sessionlab.parallel.forks import step_lock
from sessionlab.parallel.places import LEASE_MS
from sessionlab.settings import ParallelSessionsSettings
from sessionlab.units import MS_PER_DAY
from tests.parallel.clock import Clock
from tests.parallel.managers import Make, either, heard, names
from tests.parallel.samples import remembered

ROOT = Path(__file__).resolve().parents[2]
KEY = "agent:main:parallel:a"


def sharing(path: Path, clock: Clock) -> SessionManager:
    """Make one of several managers that share a database, each as in a process of its own; no heart beats by itself."""
    memory = SharedMemory(path / "m.db", clock=clock)
    memory.initialize()
    return SessionManager(ParallelSessionsSettings(max_concurrent=2), memory=memory, scope="database", clock=clock)


def stored_messages(manager: SessionManager) -> int:
    assert manager.memory is not None
    found = manager.memory.load_session(KEY)
    assert found is not None
    return found[0].message_count


def interrupted(act: Callable[[], object]) -> None:
    """Do something that is interrupted right after it was committed, before anybody is told."""
    writing = Database.writing

    @contextlib.contextmanager
    def then_interrupted(database: Database) -> Iterator[Any]:
        with writing(database) as connection:
            yield connection
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Database, "writing", then_interrupted)
        with pytest.raises(KeyboardInterrupt):
            act()


def test_waking_that_was_interrupted_forgets_nothing(tmp_path: Path, clock: Clock) -> None:
    one, other = sharing(tmp_path, clock), sharing(tmp_path, clock)
    other.get_or_create_session("a")
    other.count_message(KEY, 7)
    other.set_context(KEY, {"draft": 1})
    other.shutdown()
    interrupted(lambda: one.get_or_create_session("a"))
    assert not one.get_or_create_session("a").is_new
    assert one.context(KEY) == {"draft": 1}
    assert one.count_message(KEY).message_count == 8


def test_who_slept_for_a_waking_that_was_interrupted_is_not_awake_twice(tmp_path: Path, clock: Clock) -> None:
    one, other = sharing(tmp_path, clock), sharing(tmp_path, clock)
    one.get_or_create_session("a")
    one.count_message(KEY, 7)
    one.get_or_create_session("b")
    clock.now_ms += 1
    one.get_or_create_session("b")
    interrupted(lambda: one.get_or_create_session("c"))
    one.hibernate_session("agent:main:parallel:b")
    other.get_or_create_session("a")
    assert other.count_message(KEY).message_count == 8
    with pytest.raises(NoRoomError):
        one.get_or_create_session("a")


def test_sleep_that_was_interrupted_leaves_nothing_certain(tmp_path: Path, clock: Clock) -> None:
    one, other = sharing(tmp_path, clock), sharing(tmp_path, clock)
    one.get_or_create_session("a")
    one.count_message(KEY, 7)
    interrupted(lambda: one.hibernate_session(KEY))
    other.get_or_create_session("a")
    assert other.count_message(KEY).message_count == 8
    with pytest.raises(NoRoomError, match="awake in another process"):
        one.get_or_create_session("a")
    with pytest.raises(UsageError, match="is not awake"):
        one.count_message(KEY, 1_000)
    assert not one.hibernate_session(KEY)
    other.shutdown()
    assert stored_messages(one) == 8


def test_heartbeat_that_was_interrupted_leaves_nothing_certain(tmp_path: Path, clock: Clock) -> None:
    one, other = sharing(tmp_path, clock), sharing(tmp_path, clock)
    one.get_or_create_session("a")
    one.count_message(KEY, 7)
    clock.now_ms += LEASE_MS
    for channel in "bc":
        other.get_or_create_session(channel)
    interrupted(one.renew)  # which has stored the session, for others have the places
    other.shutdown()
    third = sharing(tmp_path, clock)
    third.get_or_create_session("a")
    assert third.count_message(KEY).message_count == 8
    with pytest.raises(UsageError, match="is not awake"):
        one.count_message(KEY)


def test_sleep_that_was_interrupted_counts_nothing_twice(make: Make) -> None:
    manager = make()
    manager.get_or_create_session("a")
    manager.count_message(KEY, 7)
    interrupted(lambda: manager.hibernate_session(KEY))
    manager.count_message(KEY)
    manager.hibernate_session(KEY)
    assert stored_messages(manager) == 8


@pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("statement", ["BEGIN IMMEDIATE", "BEGIN", "COMMIT"])
@pytest.mark.parametrize("act", ["save", "search", "watch"])
def test_nobody_is_kept_waiting_by_what_was_interrupted(make: Make, act: str, statement: str, is_after: bool) -> None:  # noqa: FBT001
    """Whoever calls may go on, as a notebook does: no lock, and no state of the past, stays with it."""
    manager, other = make(), make()
    memory = manager.memory
    assert memory is not None
    other.save_memory("s", "fact", "tea", channel_id="a")
    acts: dict[str, Callable[[], object]] = {
        "save": lambda: memory.save_memory(remembered("tea")),
        "search": lambda: memory.search("tea"),
        "watch": lambda: list(memory.watch()),
    }
    execute = Connection.execute

    def interrupting(connection: Connection, query: str, *values: Any) -> sqlite3.Cursor:
        if query != statement:
            return execute(connection, query, *values)
        if is_after:
            execute(connection, query, *values)
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patched, contextlib.suppress(KeyboardInterrupt):
        patched.setattr(Connection, "execute", interrupting)
        acts[act]()
    with contextlib.closing(sqlite3.connect(memory.path, isolation_level=None, timeout=0)) as another:
        another.execute(
            "INSERT INTO channel_memory (session_key, channel_id, memory_type, content, created_at) VALUES ('s', 'a', 'fact', 't', 1)"
        )
    assert "t" in {one.content for one in memory.memories()}
    other.save_memory("s", "fact", "tea", channel_id="a")
    for one in acts.values():
        one()


@pytest.mark.parametrize("is_indexed", [True, False])
def test_search_that_was_interrupted_leaves_nobody_in_the_past(make: Make, monkeypatch: pytest.MonkeyPatch, *, is_indexed: bool) -> None:
    """Though what was interrupted is looked at afterwards, and so still there."""
    manager, other = make(), make()
    memory = manager.memory
    assert memory is not None
    for _ in range(3):
        other.save_memory("s", "fact", "tea", channel_id="a")
    memory.search("tea")

    def interrupt(*_: object) -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr("sessionlab.parallel.text_index.is_possible", lambda: is_indexed)
    with monkeypatch.context() as patched:
        patched.setattr("sessionlab.parallel.search._holds", interrupt)
        with pytest.raises(KeyboardInterrupt) as kept:
            memory.search("tea")
    other.save_memory("s", "fact", "new", channel_id="a", importance=10)
    assert memory.memories(limit=1)[0].content == "new"
    memory.save_memory(remembered("newer"))
    assert kept.value is not None


def test_day_without_a_heartbeat_takes_nothing_from_its_own_manager(tmp_path: Path, clock: Clock) -> None:
    one = sharing(tmp_path, clock)
    for channel in "ab":
        one.get_or_create_session(channel)
    one.count_message(KEY, 7)
    clock.now_ms += MS_PER_DAY + 1
    one.get_or_create_session("b")
    assert one.renew() == []
    one.shutdown()
    assert stored_messages(one) == 7


def test_managers_that_do_not_share_places_add_up_what_they_count(make: Make) -> None:
    first, second = make(), make()
    first.get_or_create_session("a")
    first.count_message(KEY, 5)
    first.hibernate_session(KEY)
    for manager, number in ((first, 100), (second, 1)):
        assert not manager.get_or_create_session("a").is_new
        manager.count_message(KEY, number)
    first.shutdown()
    second.shutdown()
    assert stored_messages(first) == 5 + 100 + 1


def test_what_another_manager_has_stored_and_woken_again_is_added_to(make: Make) -> None:
    """Its process may die before it sleeps again: what it had stored is all that tells of it."""
    first, second = make(), make()
    first.get_or_create_session("a")
    first.hibernate_session(KEY)
    for manager in (first, second):
        manager.get_or_create_session("a")
    first.count_message(KEY, 100)
    first.set_context(KEY, {"draft": 1})
    first.hibernate_session(KEY)
    first.get_or_create_session("a")
    second.count_message(KEY, 1)
    second.hibernate_session(KEY)
    assert stored_messages(second) == 101
    first.count_message(KEY, 1_000)
    first.hibernate_session(KEY)
    assert stored_messages(second) == 1_101
    assert second.memory is not None
    found = second.memory.load_session(KEY)
    assert found is not None
    assert found[1] == {"draft": 1}


def test_what_others_store_beside_an_awake_session_stays(make: Make) -> None:
    manager = make()
    manager.get_or_create_session("a")
    session = manager.session(KEY)
    assert manager.memory is not None
    assert session is not None
    manager.memory.save_session(session, {"theirs": 1})
    manager.count_message(KEY)
    manager.hibernate_session(KEY)
    found = manager.memory.load_session(KEY)
    assert found is not None
    assert (found[0].status, found[0].message_count, found[1]) == ("hibernated", 1, {"theirs": 1})
    manager.get_or_create_session("a")
    assert manager.context(KEY) == {"theirs": 1}
    manager.memory.save_session(session, {"theirs": 2})
    manager.set_context(KEY, {"ours": 1})
    manager.hibernate_session(KEY)
    found = manager.memory.load_session(KEY)
    assert found is not None
    assert found[1] == {"ours": 1}, "who has it awake, and says so, has the last word"


def test_context_is_of_a_session_that_is_awake_and_is_json(make: Make) -> None:
    manager = make()
    with pytest.raises(UsageError, match="is not awake"):
        manager.set_context(KEY, {})
    manager.get_or_create_session("a")
    with pytest.raises(UsageError, match="context"):
        manager.set_context(KEY, {"x": object()})
    manager.context(KEY)["x"] = 1
    assert manager.context(KEY) == {}
    manager.set_context(KEY, {"x": 1})
    manager.hibernate_session(KEY)
    manager.get_or_create_session("a")
    assert manager.context(KEY) == {"x": 1}
    assert manager.memory is not None
    manager.memory.delete_session(KEY)
    manager.shutdown()
    found = manager.memory.load_session(KEY)
    assert found is not None
    assert found[1] == {"x": 1}


@either
def test_context_is_as_it_was_when_it_was_set(make: Make, *, disk: bool) -> None:
    """Whatever becomes of it: what could not be stored would keep its place for ever, and with it everybody else from waking."""
    manager = make(disk=disk, maxConcurrent=1)
    manager.get_or_create_session("a")
    mine: dict[str, Any] = {"list": [1], "deep": []}
    for _ in range(500):
        mine["deep"] = [mine["deep"]]
    manager.set_context(KEY, mine)
    mine["list"].append(object())
    manager.context(KEY)["list"].append(2)
    manager.get_or_create_session("b")
    manager.get_or_create_session("a")
    assert manager.context(KEY)["list"] == [1]


_SPELLED = '{"x": 1, "y": 1.10}'


def test_context_of_another_program_sleeps_byte_for_byte_unless_it_is_changed(make: Make) -> None:
    manager = make()
    manager.get_or_create_session("a")
    manager.hibernate_session(KEY)
    assert manager.memory is not None
    with contextlib.closing(sqlite3.connect(manager.memory.path, isolation_level=None)) as other:
        other.execute("UPDATE session_state SET context_json = ?", (_SPELLED,))
        manager.get_or_create_session("a")
        manager.hibernate_session(KEY)
        assert other.execute("SELECT context_json FROM session_state").fetchone() == (_SPELLED,)
        session, context = manager.memory.load_session(KEY) or (None, None)
        assert session is not None
        assert context is not None
        manager.memory.save_session(session, context | {"x": 2})
        context["x"] = True
        manager.memory.save_session(session, context)
        assert other.execute("SELECT context_json FROM session_state").fetchone() == ('{"x":true,"y":1.1}',)


@either
@pytest.mark.parametrize("asked", [{"chat_id": "\ud800"}, {"peer_id": "\0"}, {"chat_id": "x" * (1 << 21)}, {"chat_id": 7}, {"agent_id": 7}])
def test_session_that_could_not_be_stored_is_not_made(make: Make, asked: dict[str, Any], *, disk: bool) -> None:
    """It would be awake for ever, and nobody could have its place."""
    manager = make(disk=disk, maxConcurrent=1)
    with pytest.raises(UsageError, match=next(iter(asked))):
        manager.get_or_create_session("a", **asked)
    assert manager.get_or_create_session("b").is_new
    with pytest.raises(UsageError, match="channel_id"):
        manager.save_memory(KEY, "fact", "tea", channel_id=cast("str", 7))


@pytest.mark.parametrize("number", [-1, 1.5, float("nan"), "x", 1 << 63])
def test_messages_that_could_not_be_stored_are_not_counted(make: Make, number: Any) -> None:
    manager = make(maxConcurrent=1)
    manager.get_or_create_session("a")
    manager.count_message(KEY)
    with pytest.raises(UsageError, match="number"):
        manager.count_message(KEY, number)
    with pytest.raises(UsageError, match="message_count"):
        manager.count_message(KEY, (1 << 63) - 1)
    manager.get_or_create_session("b")
    assert stored_messages(manager) == 1


def test_deleted_session_is_new_even_if_it_was_awake(make: Make) -> None:
    """A.45: what was kept while it was awake goes with it."""
    first = make()
    first.get_or_create_session("a")
    first.hibernate_session(KEY)
    first.get_or_create_session("a")  # and its process dies
    second = make()
    assert second.memory is not None
    second.memory.delete_session(KEY)
    assert second.memory.woken_sessions() == []
    assert second.get_or_create_session("a").is_new


def test_manager_that_was_shut_down_opens_nothing_until_it_is_started(make: Make) -> None:
    manager = make()
    events = heard(manager)
    manager.shutdown()
    with pytest.raises(UsageError, match="was shut down"):
        manager.get_or_create_session("a")
    manager.shutdown()
    manager.start()
    assert manager.get_or_create_session("a").is_new
    assert names(events) == ["shutdown", "session:created"]


def test_nothing_is_awake_after_a_shutdown_whoever_asks_meanwhile(make: Make) -> None:
    manager = make(maxConcurrent=50)
    stopping = threading.Event()

    def ask(number: int) -> None:
        while not stopping.is_set():
            try:
                manager.get_or_create_session(f"c{number}")
            except UsageError:
                return

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    time.sleep(0.05)
    manager.shutdown()
    stopping.set()
    for thread in threads:
        thread.join()
    assert manager.active_sessions() == []
    assert manager.memory is not None
    assert len(manager.memory.sessions()) == manager.stats().total_sessions


def test_channel_is_one_however_it_is_spelled(make: Make) -> None:
    """A.8."""
    manager = make()
    manager.get_or_create_session("telegram")
    manager.save_memory("s", "fact", "tea", channel_id=" Telegram ", importance=7)
    assert [one.channel_id for one in manager.search_memory("tea", channel_id="TELEGRAM")] == ["telegram"]
    assert "tea" in manager.briefing("agent:main:parallel:telegram")


@pytest.mark.parametrize("asked", [{"channel_id": "a:b", "chat_id": "c"}, {"channel_id": "a", "agent_id": "x:parallel"}])
def test_two_chats_cannot_have_one_session(make: Make, asked: dict[str, str]) -> None:
    manager = make(isolation="per-chat")
    assert manager.get_or_create_session("a", chat_id="b:c").session_key == "agent:main:parallel:a:b:c"
    with pytest.raises(UsageError, match="holds a ':'"):
        manager.get_or_create_session(**asked)


_FORK = """
import os, sys
from pathlib import Path
from sessionlab.errors import UsageError
from sessionlab.parallel import SessionManager, SharedMemory
memory = SharedMemory(Path(sys.argv[1]))
memory.initialize()
manager = SessionManager(memory=memory, scope="database")
key = manager.get_or_create_session("a").session_key
manager.count_message(key, 7)
child = os.fork()
if child == 0:
    try:
        manager.count_message(key, 100)
    except UsageError as error:
        print(error, flush=True)
    memory.save_memory
    os._exit(0)
os.waitpid(child, 0)
print(manager.hibernate_session(key), memory.load_session(key)[0].message_count)
"""


def test_child_has_no_session_of_its_parent(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", _FORK, str(tmp_path / "m.db")], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout == "the session manager was made in another process; make one in this one\nTrue 7\n"


def test_fork_catches_no_step_half_done() -> None:
    """A child would wait for ever for a lock of a thread that it does not have."""
    lock, is_had, may_go = step_lock(), threading.Event(), threading.Event()

    def step() -> None:
        with lock:
            is_had.set()
            may_go.wait(10)

    worker = threading.Thread(target=step)
    worker.start()
    is_had.wait(10)
    threading.Timer(0.1, may_go.set).start()
    child = os.fork()
    if child == 0:
        os._exit(0 if lock.acquire(timeout=5) else 1)
    worker.join()
    assert os.waitpid(child, 0)[1] == 0
    assert lock.acquire(timeout=5)


_SAVE_AND_FORK = """
import os, signal, sys, threading, time
from sessionlab.parallel import SessionManager
sys.setswitchinterval(1e-5)
manager = SessionManager()

def save():
    while True:
        manager.save_memory("s", "fact", "tea", channel_id="a", importance=9)
        manager.on_event(len)()

for _ in range(3):
    threading.Thread(target=save, daemon=True).start()
for _ in range(20):
    child = os.fork()
    if child == 0:
        signal.alarm(10)
        manager.save_memory("s", "fact", "tea", channel_id="a")
        manager.on_event(len)
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        sys.exit("a child stood still")
os._exit(0)
"""


def test_child_of_a_process_whose_threads_save_can_save() -> None:
    subprocess.run([sys.executable, "-c", _SAVE_AND_FORK], cwd=ROOT, check=True)


def test_heart_beats_from_start_to_shutdown(tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sessionlab.parallel.manager.LEASE_MS", 30)  # which the heartbeat has a third of
    manager, other = sharing(tmp_path, clock), sharing(tmp_path, clock)
    manager.start()
    manager.get_or_create_session("a")
    until = time.monotonic() + 10
    for _ in range(3):
        clock.now_ms += LEASE_MS * 2 // 3
        seen = clock.now_ms
        while time.monotonic() < until and not _is_renewed(manager, seen):
            time.sleep(0.005)
    with pytest.raises(NoRoomError):
        other.get_or_create_session("a")
    manager.shutdown()
    assert not [thread for thread in threading.enumerate() if thread.name == "sessionlab timer"]


def _is_renewed(manager: SessionManager, since_ms: int) -> bool:
    assert manager.memory is not None
    with contextlib.closing(sqlite3.connect(manager.memory.path)) as connection:
        return bool(connection.execute("SELECT 1 FROM sessionlab_leases WHERE expires_at >= ?", (since_ms + LEASE_MS,)).fetchone())


def test_task_that_is_cancelled_while_it_shuts_down_stores_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = SharedMemory(tmp_path / "m.db")
    plain = SessionManager(memory=memory)

    async def run(is_ready: asyncio.Event) -> None:
        async with AsyncSessionManager(plain) as manager:
            for channel in "abcde":
                await manager.get_or_create_session(channel)
            assert (await manager.count_message(KEY, 3)).message_count == 3
            shutdown = plain.shutdown

            def slowly() -> None:
                time.sleep(0.2)
                shutdown()

            monkeypatch.setattr(plain, "shutdown", slowly)
            is_ready.set()

    async def cancelled() -> None:
        is_ready = asyncio.Event()
        task = asyncio.ensure_future(run(is_ready))
        await is_ready.wait()
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    assert len(memory.sessions()) == 5
    memory.close()


def test_task_that_is_cancelled_while_it_starts_leaves_nothing_running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = SharedMemory(tmp_path / "m.db")
    plain = SessionManager(memory=memory, scope="database")
    start = plain.start

    def slowly() -> None:
        time.sleep(0.1)
        start()

    async def run() -> None:
        async with AsyncSessionManager(plain):
            pytest.fail("it was cancelled before")

    async def cancelled() -> None:
        monkeypatch.setattr(plain, "start", slowly)
        task = asyncio.ensure_future(run())
        await asyncio.sleep(0.03)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    assert not [thread for thread in threading.enumerate() if thread.name == "sessionlab timer"]
    memory.close()
    with pytest.raises(UsageError, match="not initialized"):
        memory.stats()


def test_context_can_be_awaited(make: Make) -> None:
    async def run() -> None:
        async with AsyncSessionManager(make()) as manager:
            await manager.get_or_create_session("a")
            await manager.set_context(KEY, {"draft": 1})
            assert await manager.context(KEY) == {"draft": 1}
            assert [one.session_key for one in await manager.active_sessions()] == [KEY]

    asyncio.run(run())
