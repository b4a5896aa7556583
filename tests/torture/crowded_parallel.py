"""T5 for parallel sessions: many processes share a few places, and one after the other is killed in the middle of whatever it does.

Never more sessions are awake than there are places, none is awake in two processes, and what was acknowledged is there at the end: a
session that two had awake would lose the messages of one of them. Clocks run fast, so that places of the dead are soon free again, and
that one who lives is now and then taken for dead.
"""

from __future__ import annotations

import contextlib
import random
import select
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Final

import msgspec

from sessionlab.errors import NoRoomError, UsageError
from sessionlab.parallel import SessionManager, SharedMemory
from sessionlab.parallel.places import LEASE_MS
from sessionlab.settings import ParallelSessionsSettings
from tests.torture.backends import program_paths
from tests.torture.remembered import snapshot

_SPEED: Final = 60
"""How much faster than others' these clocks run."""

_CHANNELS: Final = tuple("abcdefghij")
# How many sessions were awake when a lease was taken or kept: those whose leases were not over by the clock of who wrote this one.
_WATCH: Final = f"""\
CREATE TABLE torture_awake (awake INTEGER NOT NULL);
CREATE TRIGGER torture_watch AFTER INSERT ON sessionlab_leases BEGIN
    INSERT INTO torture_awake SELECT count(*) FROM sessionlab_leases WHERE expires_at > new.expires_at - {LEASE_MS};
END;
"""
_PATIENCE_S: Final = 120
_PROGRAM: Final = """\
import sys
sys.path[:0] = {paths!r}
{prelude}
from pathlib import Path
from tests.torture import crowded_parallel
crowded_parallel.work(Path(sys.argv[1]), int(sys.argv[2]), places={places})
"""


def crowd(folder: Path, *, processes: int, places: int = 4, times: int, kills: int, prelude: str = "") -> tuple[dict[str, int], list[str]]:
    """Let processes use sessions and save memories for a while; kill one of them so often, and start another in its place.

    Args:
        folder: An empty folder.
        processes: How many.
        places: How many sessions may be awake.
        times: Until they have noted so much, all together: tries, and what was acknowledged.
        kills: How many are killed meanwhile.
        prelude: Python that breaks the processes.

    Returns:
        How often what was done ("kills", "messages" and "memories" stored, "leases" taken or kept), and what went wrong.
    """
    path = folder / "shared-memory.db"
    _Crew(path, places=places).memory.close()
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript(_WATCH)
    program = folder / "program.py"
    program.write_text(_PROGRAM.format(paths=program_paths(), prelude=prelude, places=places), encoding="utf-8")
    chance = random.Random(7)
    numbers = iter(range(processes + kills))
    crew = [_start(program, path, next(numbers)) for _ in range(processes)]
    failures: list[str] = []
    try:
        for process in crew:  # else the first one could do it all before the last one has begun
            assert process.stdout is not None
            process.stdout.readline()
        for process in crew:
            _let_go(process)
        for number in range(kills):
            _wait_for(crew, folder, round((number + chance.random()) * times / kills))
            victim = crew.pop(chance.randrange(len(crew)))
            victim.kill()
            errors = victim.communicate()[1]
            failures += [f"ended with {victim.returncode}: {errors[-600:]}"] if victim.returncode != -signal.SIGKILL else []
            crew.append(_start(program, path, next(numbers)))
            _let_go(crew[-1])
        _wait_for(crew, folder, times)
    finally:
        for process in crew:
            errors = process.communicate(timeout=120)[1]
            failures += [f"ended with {process.returncode}: {errors[-600:]}"] if process.returncode else []
    counts, wrong = _judged(path, places)
    return {"kills": kills} | counts, failures + wrong


def work(path: Path, seed: int, *, places: int) -> None:
    """Be one of the processes, until nobody is at the other end; note before what is tried, and afterwards what was acknowledged."""
    chance = random.Random(seed)
    crew = _Crew(path, places=places)
    manager = crew.manager
    with path.with_name(f"notes-{seed}").open("ab", buffering=0) as notes:

        def note(what: str, where: str, number: int) -> None:
            notes.write(f"{what} {where} {number}\n".encode())

        print("ready", flush=True)  # noqa: T201 - a program's output
        sys.stdin.readline()
        times = 0
        while not select.select([sys.stdin], [], [], 0)[0]:
            times += 1
            used: dict[str, tuple[str, int, int]] = {}
            for channel in chance.sample(_CHANNELS, chance.randint(1, 2)):
                since_ms, messages = clock(), chance.randint(1, 9)
                with contextlib.suppress(NoRoomError, UsageError):  # others have all places, or we were taken for dead
                    key = manager.get_or_create_session(channel).session_key
                    note("tries", channel, messages)
                    manager.count_message(key, messages)
                    used[channel] = key, messages, since_ms
            time.sleep(chance.uniform(0, 0.01))  # else all that is done for them fits into one's turn at the lock
            if times % 4 == 0:
                content = f"{seed}-{times}"
                manager.save_memory("nobody", "fact", content, channel_id="a", importance=chance.choice((5, 9)))
                note("saved", content, 1)
            for channel, (key, messages, since_ms) in used.items():
                was_awake = manager.hibernate_session(key)
                if was_awake and clock() - since_ms < LEASE_MS:  # nobody can have taken it
                    note("done", channel, messages)
            if not used:
                time.sleep(chance.uniform(0, 0.02))
    manager.shutdown()
    crew.memory.close()


def clock() -> int:
    """Return the time, epoch ms, as it passes here."""
    return time.time_ns() // 1_000_000 * _SPEED


class _Crew:
    """A manager on the database."""

    def __init__(self, path: Path, *, places: int, ahead_ms: int = 0) -> None:
        self.memory = SharedMemory(path, clock=lambda: clock() + ahead_ms)
        self.memory.initialize()
        settings = msgspec.convert({"maxConcurrent": places}, ParallelSessionsSettings)
        self.manager = SessionManager(settings, memory=self.memory, scope="database", clock=lambda: clock() + ahead_ms)


def _start(program: Path, path: Path, seed: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-B", "-S", "-I", str(program), str(path), str(seed)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)


def _let_go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError):  # it has ended, and is asked why later
        process.stdin.write("go\n")
        process.stdin.flush()


def _wait_for(crew: list[subprocess.Popen[str]], folder: Path, times: int) -> None:
    """Wait until so many things are noted, or one has ended that should not."""
    end_s = time.monotonic() + _PATIENCE_S
    while sum(notes.read_bytes().count(b"\n") for notes in folder.glob("notes-*")) < times:
        if any(process.poll() is not None for process in crew):
            return
        assert time.monotonic() < end_s, f"nothing goes on: not {times} things were done in {_PATIENCE_S} s"
        time.sleep(0.003)


def _judged(path: Path, places: int) -> tuple[dict[str, int], list[str]]:
    """Compare what was noted with what there is when everybody is gone; return how much there is, and what is wrong."""
    snapshot(path)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        leases, most = connection.execute("SELECT count(*), max(awake) FROM torture_awake").fetchone()
    noted: dict[str, Counter[str]] = {what: Counter() for what in ("tries", "done", "saved")}
    for notes in path.parent.glob("notes-*"):
        for line in notes.read_text(encoding="utf-8").splitlines():
            what, where, number = line.split()
            noted[what][where] += int(number)
    crew = _Crew(path, places=places, ahead_ms=LEASE_MS + 1)
    failures = [f"{most} sessions were awake at once, with {places} places"] if most > places else []
    for channel in noted["tries"]:
        found = crew.manager.session(crew.manager.get_or_create_session(channel).session_key)
        messages = found.message_count if found is not None else 0
        if not noted["done"][channel] <= messages <= noted["tries"][channel]:
            failures.append(f"{channel}: {noted['done'][channel]} to {noted['tries'][channel]} messages, {messages} are known")
    kept = crew.memory.memories(limit=1_000_000)
    lost = noted["saved"].keys() - {one.content for one in kept}
    failures += [f"saved, and lost: {sorted(lost)}"] if lost else []
    promoted = sorted(one.content for one in kept if one.promoted)
    if promoted != sorted(one.content for one in crew.memory.knowledge(limit=1_000_000)):
        failures.append("not all that is promoted is known, or the other way round")
    crew.memory.close()
    return {"messages": noted["done"].total(), "memories": len(kept), "leases": leases}, failures
