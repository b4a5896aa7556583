"""The limit over several managers and processes, and the manager under asyncio."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sessionlab.errors import NoRoomError, UnwritableError, UsageError
from sessionlab.parallel import SessionManager, SharedMemory
from sessionlab.parallel.asynchronous import AsyncSessionManager
from sessionlab.parallel.places import LEASE_MS
from sessionlab.settings import ParallelSessionsSettings
from tests.parallel.clock import Clock

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def clock() -> Clock:
    return Clock()


def manager(path: Path, clock: Clock, *, most: int = 2, **more: Any) -> SessionManager:
    """Make one of several managers that share a database and its places, each as in a process of its own; no heart beats by itself."""
    memory = SharedMemory(path / "m.db", clock=clock)
    memory.initialize()
    return SessionManager(
        msgspec.convert({"maxConcurrent": most} | more, ParallelSessionsSettings), memory=memory, scope="database", clock=clock
    )


def awake(*managers: SessionManager) -> list[str]:
    return sorted(one.channel_id for manager in managers for one in manager.active_sessions())


def test_places_are_shared_and_each_puts_only_its_own_to_sleep(tmp_path: Path, clock: Clock) -> None:
    first, second = manager(tmp_path, clock), manager(tmp_path, clock)
    first.get_or_create_session("a")
    second.get_or_create_session("b")
    clock.now_ms += 1
    second.get_or_create_session("c")
    assert awake(first, second) == ["a", "c"]
    third = manager(tmp_path, clock)
    with pytest.raises(NoRoomError, match="all 2 places"):
        third.get_or_create_session("d")
    first.shutdown()
    assert third.get_or_create_session("d").is_new
    assert not third.get_or_create_session("a").is_new, "what another has put to sleep is woken, not made anew"
    assert awake(second, third) == ["a", "c"]


def test_session_is_awake_in_one_of_them_at_a_time(tmp_path: Path, clock: Clock) -> None:
    first, second = manager(tmp_path, clock, most=5), manager(tmp_path, clock, most=5)
    key = first.get_or_create_session("a").session_key
    first.count_message(key, 7)
    with pytest.raises(NoRoomError, match="awake in another process"):
        second.get_or_create_session("a")
    first.hibernate_session(key)
    assert not second.get_or_create_session("a").is_new
    found = second.session(key)
    assert found is not None
    assert found.message_count == 7
    with pytest.raises(NoRoomError, match="awake in another process"):
        first.get_or_create_session("a")


def test_idle_session_gives_its_place_when_one_is_wanted(tmp_path: Path, clock: Clock) -> None:
    one = manager(tmp_path, clock, idleTimeoutMs=10_000)
    for channel in "ab":
        one.get_or_create_session(channel)
    clock.now_ms += 10_001
    assert len(one.check_idle()) == 2
    one.renew()
    one.get_or_create_session("c")
    assert awake(one) == ["c"]
    assert one.stats().idle_sessions == 1
    assert not one.get_or_create_session("b").is_new
    assert awake(one) == ["b", "c"]


@pytest.mark.parametrize(("by", "is_free"), [(-1, False), (0, True), (1, True)])
def test_places_of_a_process_that_died_are_free_after_a_while(tmp_path: Path, clock: Clock, by: int, is_free: bool) -> None:  # noqa: FBT001
    dead, other = manager(tmp_path, clock), manager(tmp_path, clock)
    for channel in "ab":
        dead.get_or_create_session(channel)
    clock.now_ms += LEASE_MS + by
    if is_free:
        assert other.get_or_create_session("c").is_new
    else:
        with pytest.raises(NoRoomError):
            other.get_or_create_session("c")


def test_who_seemed_dead_learns_that_its_sessions_are_lost(tmp_path: Path, clock: Clock) -> None:
    slow, other = manager(tmp_path, clock), manager(tmp_path, clock)
    slow.get_or_create_session("a")
    slow.get_or_create_session("b")
    clock.now_ms += LEASE_MS // 2
    assert slow.renew() == []
    clock.now_ms += LEASE_MS + 1
    other.get_or_create_session("a")
    assert [one.channel_id for one in slow.renew()] == ["a"]
    assert (awake(slow), awake(other)) == (["b"], ["a"])
    clock.now_ms += LEASE_MS + 1
    assert slow.renew() == []  # nobody wanted its place meanwhile


def test_who_seemed_dead_writes_no_old_state_over_a_newer_one(tmp_path: Path, clock: Clock) -> None:
    slow, other = manager(tmp_path, clock), manager(tmp_path, clock)
    key = slow.get_or_create_session("a").session_key
    slow.count_message(key, 3)
    slow.hibernate_session(key)
    slow.get_or_create_session("a")
    slow.count_message(key)
    clock.now_ms += LEASE_MS
    assert not other.get_or_create_session("a").is_new
    other.count_message(key, 7)
    with pytest.raises(NoRoomError, match="awake in another process"):
        slow.get_or_create_session("a")  # no lease is trusted whose time is over
    other.hibernate_session(key)
    assert not slow.hibernate_session(key), "it sleeps, and nothing is stored of it"
    assert other.memory is not None
    stored = other.memory.load_session(key)
    assert stored is not None
    assert stored[0].message_count == 3 + 7
    slow.get_or_create_session("a")
    assert slow.count_message(key).message_count == 11


@pytest.mark.parametrize("has_died", [False, True])
def test_who_seemed_dead_counts_no_message_of_a_session_that_another_had(tmp_path: Path, clock: Clock, has_died: bool) -> None:  # noqa: FBT001
    slow, other = manager(tmp_path, clock), manager(tmp_path, clock)
    key = slow.get_or_create_session("a").session_key
    clock.now_ms += LEASE_MS
    assert slow.count_message(key).message_count == 1, "nobody wanted it"
    clock.now_ms += LEASE_MS
    other.get_or_create_session("a")
    if has_died:
        clock.now_ms += LEASE_MS
    else:
        other.shutdown()
    with pytest.raises(UsageError, match="is not awake"):
        slow.count_message(key)


def test_who_is_crowded_out_keeps_what_it_knows(tmp_path: Path, clock: Clock) -> None:
    slow, other = manager(tmp_path, clock), manager(tmp_path, clock)
    for channel in "ab":
        slow.count_message(slow.get_or_create_session(channel).session_key, ord(channel))
        clock.now_ms += 1
    clock.now_ms += LEASE_MS
    other.get_or_create_session("c")
    assert [one.channel_id for one in slow.renew()] == ["a"], "the one that was used longest ago"
    assert (awake(slow), awake(other)) == (["b"], ["c"])
    other.shutdown()
    key = slow.get_or_create_session("a").session_key
    assert slow.count_message(key).message_count == ord("a") + 1


def test_nobody_sleeps_for_a_session_that_cannot_be_had(tmp_path: Path, clock: Clock) -> None:
    one, other = manager(tmp_path, clock), manager(tmp_path, clock)
    one.get_or_create_session("a")
    other.get_or_create_session("b")
    with pytest.raises(NoRoomError, match="awake in another process"):
        one.get_or_create_session("b")
    assert awake(one) == ["a"]


def test_nothing_changes_when_a_session_cannot_be_woken(tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = manager(tmp_path, clock, most=2), manager(tmp_path, clock, most=2)
    for channel in "ab":
        one.get_or_create_session(channel)

    def refuse(*_: object) -> None:
        raise UnwritableError(Path("x"), "is full")

    with monkeypatch.context() as patched:
        patched.setattr("sessionlab.parallel.rows.wake_session", refuse)
        with pytest.raises(UnwritableError):
            one.get_or_create_session("c")
    assert awake(one) == ["a", "b"]
    with pytest.raises(NoRoomError):
        other.get_or_create_session("c")


def test_scope_of_the_database_needs_one() -> None:
    with pytest.raises(UsageError, match="no database"):
        SessionManager(scope="database")


_PROGRAM = """
import sys
from pathlib import Path
from sessionlab.errors import NoRoomError
from sessionlab.parallel import SessionManager, SharedMemory
from sessionlab.settings import ParallelSessionsSettings
path, number, times = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
memory = SharedMemory(path)
found = most = refused = 0
with SessionManager(ParallelSessionsSettings(max_concurrent=3), memory=memory, scope="database") as manager:
    places = memory.shared_places(3)
    for time in range(times):
        manager.save_memory("s", "fact", f"{number} {time}", channel_id="c", importance=9 if time % 10 == 0 else 1)
        try:
            manager.get_or_create_session(f"c{(number + time) % 7}")
            most = max(most, places.count())
        except NoRoomError:
            refused += 1
memory.close()
print(most, refused)
"""


def test_eight_processes_lose_no_memory_and_wake_no_session_too_many(tmp_path: Path) -> None:
    """A.49: every memory is there, and no 'database is locked' reaches anybody."""
    path, times = tmp_path / "data/m.db", 50
    words = [sys.executable, "-c", _PROGRAM, str(path)]
    running = [
        subprocess.Popen([*words, str(number), str(times)], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for number in range(8)
    ]
    answers = [(process.communicate(timeout=120), process.returncode) for process in running]
    assert [(code, errors) for (_, errors), code in answers] == [(0, "")] * 8
    assert max(int(out.split()[0]) for (out, _), _ in answers) <= 3
    memory = SharedMemory(path)
    memory.initialize()
    contents = {one.content for one in memory.memories(limit=10_000)}
    assert contents == {f"{number} {time}" for number in range(8) for time in range(times)}
    assert memory.stats().global_knowledge_count == 8 * 5
    assert memory.shared_places(3).count() == 0
    memory.close()


def test_asyncio_has_the_same_manager(tmp_path: Path) -> None:
    """A.20, A.21: fifty tasks at once."""

    async def run() -> tuple[int, str, list[str], int]:
        memory = SharedMemory(tmp_path / "m.db")
        plain = SessionManager(ParallelSessionsSettings(max_concurrent=3), memory=memory)
        most = 0
        plain.on_event(lambda _: None)
        async with AsyncSessionManager(plain) as manager:
            opened = await asyncio.gather(*(manager.get_or_create_session(f"c{number % 8}") for number in range(50)))
            most = max(most, len(plain.active_sessions()))
            await asyncio.gather(*(manager.save_memory(opened[0].session_key, "fact", f"m{number}", importance=9) for number in range(10)))
            brief = (await manager.get_or_create_session("c0")).briefing
            found = [one.content for one in await manager.search_memory("M3")]
            assert (await manager.stats()).total_memories == 10
            assert await manager.hibernate_session(opened[0].session_key)
            assert await manager.check_idle() == []
            assert await manager.briefing("nobody") == ""
        left = len(memory.sessions())
        memory.close()
        return most, brief, found, left

    most, brief, found, left = asyncio.run(run())
    assert most == 3
    assert brief.startswith("## Channel Context\n- [fact] m")
    assert (found, left) == (["m3"], 8)
