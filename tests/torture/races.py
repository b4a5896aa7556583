"""T5: many processes write at once, another reads all the while. No update is lost, and no reader sees less than was acknowledged."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Final

from tests.torture import tracing
from tests.torture.backends import Backend

ALL: Final = "agent:main:all"
_SLOWED: Final = ("rename", "renameat", "renameat2", "fdatasync")

_INCREMENT: Final = """
print("ready", flush=True)
sys.stdin.readline()
own, times = sys.argv[2], int(sys.argv[3])
for done in range(1, times + 1):
    for key in {"agent:main:all", own}:
        now = store.update(key, lambda entry: {"counter": entry["counter"] + 1}, now_ms=1)["counter"]
        found = store.get(key)["counter"]
        assert found >= now, f"wrote {now}, then read {found}"
    assert store.get(own)["counter"] == done or own == "agent:main:all"
"""

# Another process reads until it is told to stop. `number` never falls, no session is missing, no counter goes back.
_WATCH: Final = """
import select
print("ready", flush=True)
highest, readings, sessions = {}, 0, int(sys.argv[2])
while not select.select([sys.stdin], [], [], 0)[0]:
    readings += 1
    found = {key: entry["counter"] for key, entry in (store.load() if readings % 2 else dict(store.items())).items()}
    assert len(found) == sessions, f"{len(found)} sessions of {sessions}"
    assert store.count() == sessions
    for key, counter in found.items():
        assert counter >= highest.get(key, 0), f"{key} fell from {highest[key]} to {counter}"
        highest[key] = counter
print(readings)
"""

# One process writes, and notes in shared memory what was acknowledged before each reading begins.
_ACKNOWLEDGE: Final = """
import mmap, struct
noted = open(sys.argv[2], "r+b")
shared = mmap.mmap(noted.fileno(), 8)
print("ready", flush=True)
sys.stdin.readline()
for number in range(1, int(sys.argv[3]) + 1):
    store.update("agent:main:all", lambda _: {"counter": number}, now_ms=1)
    struct.pack_into("q", shared, 0, number)
"""
_CHECK: Final = """
import mmap, select, struct
noted = open(sys.argv[2], "r+b")
shared = mmap.mmap(noted.fileno(), 8)
print("ready", flush=True)
readings = 0
ways = (
    lambda: store.get("agent:main:all")["counter"],
    lambda: dict(store.items())["agent:main:all"]["counter"],
    lambda: store.load()["agent:main:all"]["counter"],
    lambda: sum(1 for _ in store.summaries()) == store.count() == 4 and 1 << 62,
)
while not select.select([sys.stdin], [], [], 0)[0]:
    acknowledged = struct.unpack_from("q", shared, 0)[0]
    found = ways[readings % 4]()
    assert found >= acknowledged, f"{acknowledged} was acknowledged, {found} was read"
    readings += 1
print(readings)
"""


def race(backend: Backend, folder: Path, *, processes: int, times: int, delay_us: int = 0) -> tuple[int, list[str]]:
    """Let processes count up an entry of their own and a common one, while another reads.

    Args:
        backend: The store.
        folder: An empty folder.
        processes: How many write.
        times: How often each counts each of its two entries up.
        delay_us: How long the calls that make a write visible are held up, in µs, to widen the window.

    Returns:
        How often the reader read everything meanwhile, and what went wrong.
    """
    path = folder / backend.file_name
    own = [f"agent:main:{number}" for number in range(processes)]
    with backend.make(path) as store:
        store.save({key: {"sessionId": "id", "updatedAt": 1, "counter": 0, "text": "x" * 500} for key in (ALL, *own)})
    reader = _start([], backend, path, _WATCH, str(len(own) + 1))
    prefix = tracing.slow(_SLOWED, delay_us) if delay_us else []
    failures = _go([_start(prefix, backend, path, _INCREMENT, key, str(times)) for key in own])
    readings, errors = _stop(reader)
    with backend.make(path) as store:
        counters = {key: entry["counter"] for key, entry in store.items()}
        failures += errors + [f"check finds {problem.message}" for problem in store.check()]
    wanted = {ALL: processes * times} | dict.fromkeys(own, times)
    if counters != wanted:
        failures.append(f"counted {counters}, not {wanted}")
    return readings, failures


def read_while_written(backend: Backend, folder: Path, *, updates: int) -> tuple[int, list[str]]:
    """Update one session again and again, and read in another process: it never sees an older state than was acknowledged by then.

    Returns:
        How often was read meanwhile, and what went wrong.
    """
    path, noted = folder / backend.file_name, folder / "acknowledged"
    noted.write_bytes(bytes(8))
    with backend.make(path) as store:
        entry = {"sessionId": "id", "updatedAt": 1, "counter": 0, "text": "x" * 500}
        store.save({ALL: entry} | {f"agent:main:{number}": entry for number in range(3)})
    reader = _start([], backend, path, _CHECK, str(noted))
    failures = _go([_start([], backend, path, _ACKNOWLEDGE, str(noted), str(updates))])
    readings, errors = _stop(reader)
    with backend.make(path) as store:
        counter = (store.get(ALL) or {}).get("counter")
    if counter != updates:
        errors.append(f"{updates} updates were acknowledged, {counter} is stored")
    return readings, failures + errors


def _start(prefix: list[str], backend: Backend, path: Path, body: str, *arguments: str) -> subprocess.Popen[str]:
    """Start a program and wait until it is ready."""
    command = [*prefix, tracing.REAL_PYTHON, "-B", "-S", "-I", "-c", backend.script(body), str(path), *arguments]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
    assert process.stdout is not None
    if process.stdout.readline() != "ready\n":
        raise AssertionError(f"did not start: {process.communicate()[1]}")
    return process


def _go(processes: list[subprocess.Popen[str]]) -> list[str]:
    """Let the processes go at once, and wait for their end; return what went wrong."""
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    ends = [process.communicate(timeout=500)[1] for process in processes]
    return [
        f"a writer ended with {process.returncode}: {end[-600:]}"
        for process, end in zip(processes, ends, strict=True)
        if process.returncode
    ]


def _stop(reader: subprocess.Popen[str]) -> tuple[int, list[str]]:
    """Stop the reader; return how often it read, and what went wrong."""
    try:
        output, errors = reader.communicate("stop\n", timeout=120)
    except BrokenPipeError:
        output, errors = reader.communicate(timeout=120)
    if reader.returncode:
        return 0, [f"a reader ended with {reader.returncode}: {errors[-600:]}"]
    return int(output), []
