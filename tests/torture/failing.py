"""T3: one system call after the other fails. The caller gets an error of ours and the store is as it was, or the write is done for good."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from sessionlab.entry import Entry
from sessionlab.stores.memory import MemoryStore
from tests.torture import tracing
from tests.torture.backends import Backend
from tests.torture.kill import Tally, at_each, sampled
from tests.torture.operations import Operation, Stage
from tests.torture.tracing import ACKNOWLEDGED, Point

ERRORS: Final[Mapping[str, str]] = (
    dict.fromkeys(tracing.SYNCS, "EIO")
    | dict.fromkeys(tracing.WRITES, "ENOSPC")
    | dict.fromkeys(tracing.RENAMES, "EIO")
    | dict.fromkeys(tracing.OPENS, "EACCES")
    | dict.fromkeys(tracing.READS, "EIO")
    | dict.fromkeys(("ftruncate", "unlink", "unlinkat"), "EIO")
    | dict.fromkeys(("mkdir", "mkdirat"), "EACCES")
)

# After an error the same store object must go on: what it says of the store, and the operation once more.
_PROGRAM: Final = """
from sessionlab.errors import SessionLabError

def operate():
{body}

try:
    operate()
except SessionLabError as error:
    with opened() as other:
        print("error", type(error).__name__, other.fingerprint().sha256, flush=True)
    operate()
    print("again", flush=True)
else:
    print({acknowledged!r}, flush=True)
try:
    store.close()
except SessionLabError:
    pass
"""


def fail_everywhere(backend: Backend, operation: Operation, folder: Path, *, sample: int | None = None) -> Tally:
    """Let each of the operation's calls fail once, or about `sample` of them; arguments as of `kill_everywhere`."""
    stage = Stage(backend, operation, folder)
    body = "\n".join(f"    {line}" for line in operation.body.strip().splitlines())
    program = folder / "program.py"
    program.write_text(backend.script(_PROGRAM.format(body=body, acknowledged=ACKNOWLEDGED)), encoding="utf-8")
    with stage.copy() as copy:
        found = tracing.points(program, copy / backend.file_name, tuple(ERRORS))
    tally = Tally(backend.name, operation.name, "fail", points=len(found), counts={"refused": 0, "uncertain": 0, "done": 0})

    def failed(copy: Path, point: Point) -> str:
        outcome = tracing.fail(program, copy / backend.file_name, point, ERRORS[point.name])
        assert outcome.code == 0, f"ended with {outcome.code}: {outcome.errors.strip()[-600:]}"
        what = judged(stage, outcome.output)
        assert what != "done" or not is_vital(backend, point), "acknowledged although the disk refused it"
        stage.inspect(copy, acknowledged=True)
        return what

    at_each(tally, sampled(found, sample, seed=f"{backend.name} {operation.name}"), stage.copy, failed, words=failing)
    return tally


def failing(point: Point) -> str:
    """Say which call fails, and how."""
    return f"{ERRORS[point.name]} of {point}"


def judged(stage: Stage, output: str) -> str:
    """Return "refused", "uncertain" or "done".

    Raises:
        AssertionError: What the program said of the store is not what its error, or its silence, promises.
    """
    lines = output.splitlines()
    if lines[:1] == [ACKNOWLEDGED]:
        return "done"
    assert len(lines) == 2, f"said {lines}"
    assert lines[1] == "again", f"said {lines}"
    _, name, fingerprint = lines[0].split()
    old, new = (digest_of(content) for content in (stage.old, stage.new))
    if name == "UncertainWriteError":
        assert fingerprint in (old, new), "neither the old nor the new state"
        return "uncertain"
    assert fingerprint == old, f"{name}, and yet the store has changed"
    return "refused"


def is_vital(backend: Backend, point: Point) -> bool:
    """Say whether no store can be durable without this call: a sync, a write or a rename of its content, before it acknowledged.

    Not so what only moves to its place what is durable already: SQLite's pages from the log into the database, the directory store's
    entries out of its journal. Nor what goes into a lock file.
    """
    if point.acknowledged or point.name not in (*tracing.SYNCS, *tracing.WRITES, *tracing.RENAMES):
        return False
    is_checkpoint = backend.name.startswith("sqlite") and f"{backend.file_name}-wal" not in point.line
    is_moved = point.name in tracing.RENAMES and "/journal>" in point.line and "/entries>" in point.line
    return not is_checkpoint and not is_moved and ".lock" not in point.line


def digest_of(content: Mapping[str, Entry]) -> str:
    """Return the fingerprint of such a store."""
    oracle = MemoryStore()
    oracle.save(content)
    return oracle.fingerprint().sha256
