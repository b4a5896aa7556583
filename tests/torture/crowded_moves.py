"""T5 for moves: the sessions are moved from kind to kind while others write and read them. Nothing that was acknowledged is lost."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from sessionlab.settings import StoreType
from sessionlab.stores import open_for_writing
from tests.torture import tracing
from tests.torture.backends import program_paths
from tests.torture.command_line import program
from tests.torture.moves import content
from tests.torture.tracing import REAL_PYTHON, Outcome
from tests.torture.trips import SOURCE, TARGET

ROUND: Final[tuple[StoreType, ...]] = ("json", "sqlite", "directory", "json", "directory", "sqlite", "json")
"""Every ordered pair of kinds once, from a `sessions.json` on."""

_SLOWED: Final = ("rename", "fsync")
_KEYS: Final = 7
"""Of each writer: it writes them in turns, each time with a higher counter."""

_START: Final = """\
import json, select, sys
sys.path[:0] = {paths!r}
from pathlib import Path
state = Path(sys.argv[1])

def is_over():
    return bool(select.select([sys.stdin], [], [], 0)[0])

print("ready", flush=True)
"""

# Keeps its store open until it is told that the sessions have moved, or finds it locked for too long.
_WRITER: Final = """\
from collections import Counter
from sessionlab.errors import StoreLockedError, StoreMovedError
from sessionlab.stores import open_for_writing
own = sys.argv[2]
acknowledged, refused, number = {}, Counter(), 0
while not is_over():
    try:
        with open_for_writing(state) as store:
            while not is_over():
                number += 1
                key = f"agent:main:{own}:{number % KEYS}"
                store.put(key, {"sessionId": key, "updatedAt": number, "text": "x" * 300})
                acknowledged[key] = number
    except (StoreLockedError, StoreMovedError) as error:
        refused[type(error).__name__] += 1
print(json.dumps({"acknowledged": acknowledged, "refused": refused, "times": number}))
"""

# Sees every session that was there before, in every state, and no counter that falls.
_READER: Final = """\
from collections import Counter
from sessionlab.errors import StoreMovedError
from sessionlab.stores import open_store
always, highest, kinds = set(json.loads(sys.argv[2])), {}, Counter()
while not is_over():
    try:
        with open_store(state) as store:
            kind, found = store.kind, {key: entry["updatedAt"] for key, entry in store.items()}
    except StoreMovedError:
        continue
    assert always <= found.keys(), f"{sorted(always - found.keys())} are missing in the {kind} store"
    fallen = [key for key, number in highest.items() if found.get(key, -1) < number and key not in always]
    assert not fallen, f"{fallen} fell in the {kind} store"
    highest |= found
    kinds[kind] += 1
print(json.dumps({"kinds": kinds}))
"""

# As OpenClaw writes: it makes the lock file, and removes it afterwards. It ends when another store is there.
_OPENCLAW: Final = """\
import os, time
own = sys.argv[2]
store = state / "agents" / "main" / "sessions" / "sessions.json"
lock, acknowledged, number = store.with_name("sessions.json.lock"), {}, 0
while not is_over():
    try:
        descriptor = os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    except FileExistsError:
        time.sleep(0.025)
        continue
    os.write(descriptor, json.dumps({"pid": os.getpid(), "createdAt": time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())}).encode())
    os.close(descriptor)
    try:
        if any(store.with_suffix(suffix).exists() for suffix in (".sqlite", ".d")):
            break
        number += 1
        key = f"agent:main:{own}:{number % KEYS}"
        content = json.loads(store.read_bytes())
        content[key] = {"sessionId": key, "updatedAt": number}
        temporary = store.with_name(f"sessions.json.{os.getpid()}.{number}.tmp")
        temporary.write_text(json.dumps(content, indent=2))
        os.replace(temporary, store)
        acknowledged[key] = number
    finally:
        lock.unlink()
print(json.dumps({"acknowledged": acknowledged, "refused": {}, "times": number}))
"""


def move_among_writers(
    folder: Path, *, kinds: Sequence[StoreType] = ROUND, writers: int = 2, with_openclaw: bool = False, delay_us: int = 0
) -> tuple[dict[str, int], list[str]]:
    """Move a store from kind to kind while others write into it, and one reads.

    Args:
        folder: An empty folder.
        kinds: The kind that the store has at first, and those that it is moved to.
        writers: How many processes write through `open_for_writing`.
        with_openclaw: Whether another one writes as OpenClaw does; for a first move away from `sessions.json`.
        delay_us: How long each rename and each sync of the mover is held up, in µs.

    Returns:
        How many "moves" there were, "writes" that were acknowledged, writes "refused" and "readings"; and what went wrong.
    """
    state = folder / "state"
    (state / "agents").mkdir(parents=True)
    with open_for_writing(state, store_type=kinds[0]) as store:
        store.save(SOURCE)
    bodies = [(_WRITER, f"writer-{number}") for number in range(writers)] + ([(_OPENCLAW, "openclaw")] if with_openclaw else [])
    others = [_started(state, body, own) for body, own in bodies]
    reader = _started(state, _READER, json.dumps(sorted(SOURCE)))
    failures = []
    for kind in kinds[1:]:
        outcome = _moved(state, kind, folder, delay_us)
        if outcome.code:
            failures.append(f"moving to {kind} ends with {outcome.code}: {outcome.errors.strip()[-600:]}")
    counts = Counter({"moves": len(kinds) - 1})
    acknowledged: dict[str, int] = {}
    for process in (*others, reader):
        said, wrong = _stopped(process)
        failures += wrong
        acknowledged |= said.get("acknowledged", {})
        counts["writes"] += said.get("times", 0)
        counts["refused"] += sum(said.get("refused", {}).values())
        counts["readings"] += sum(said.get("kinds", {}).values())
    last, found = content(state)
    if last != kinds[-1]:
        failures.append(f"a store of type {last} counts, not {kinds[-1]}")
    failures += [
        f"{key}: {number} was acknowledged, {found.get(key, {}).get('updatedAt')} is stored"
        for key, number in acknowledged.items()
        if found.get(key, {}).get("updatedAt", -1) < number
    ]
    failures += [f"{key} is not what it was" for key, entry in TARGET.items() if found.get(key) != entry]
    if not acknowledged:
        failures.append("nobody has written anything")
    return dict(counts), failures


def _moved(state: Path, kind: StoreType, folder: Path, delay_us: int) -> Outcome:
    """Run `sessionlab migrate` in a process of its own."""
    place = folder / f"migrate-{kind}.py"
    (folder / "tmp").mkdir(exist_ok=True)
    place.write_text(program(["migrate", "STATE", "--to", kind, "--json"], temporary=folder / "tmp"), encoding="utf-8")
    command = [*(tracing.slow(_SLOWED, delay_us) if delay_us else []), REAL_PYTHON, "-B", "-S", "-I", str(place), str(state)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    return Outcome(None, done.returncode, done.stdout, done.stderr)


def _started(state: Path, body: str, argument: str) -> subprocess.Popen[str]:
    text = f"{_START.format(paths=program_paths())}KEYS = {_KEYS}\n{body}"
    command = [REAL_PYTHON, "-B", "-S", "-I", "-c", text, str(state), argument]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n", process.communicate()[1]
    return process


def _stopped(process: subprocess.Popen[str]) -> tuple[dict[str, Any], list[str]]:
    """Stop a process; return what it said, and what went wrong."""
    try:
        output, errors = process.communicate("stop\n", timeout=120)
    except BrokenPipeError:
        output, errors = process.communicate(timeout=120)
    if process.returncode:
        return {}, [f"one of the others ended with {process.returncode}: {errors.strip()[-6000:]}"]
    said: dict[str, Any] = json.loads(output)
    return said, []
