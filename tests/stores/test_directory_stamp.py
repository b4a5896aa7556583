"""The directory store's version, what caches make of it, and what a crash between two steps leaves (C.11, C.14 to C.21)."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sessionlab.entry import Entry
from sessionlab.stores import directory_state
from sessionlab.stores.directory import DirectoryStore
from sessionlab.stores.directory_folder import Folder
from sessionlab.stores.directory_reading import PASSES, read_state
from sessionlab.stores.directory_state import TRAILERS, State
from tests.stores.directory_files import entry_file, state_of, version_of, write
from tests.stores.sample_entries import ALPHA, BETA, GAMMA, NOW_MS, session, small_store
from tests.torture.backends import DIRECTORY

_events: list[tuple[str, str]] | None = None


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    if _events is not None and event in ("open", "os.scandir", "os.listdir"):
        _events.append((event, str(arguments[0])))


sys.addaudithook(_note)


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    """Return a store with three sessions."""
    made = DirectoryStore(tmp_path / "sessions.d")
    made.save(small_store())
    return made


def noted(work: Callable[[], Any]) -> list[tuple[str, str]]:
    """Return what was opened and listed meanwhile: (event, name)."""
    global _events  # noqa: PLW0603 - an audit hook cannot be taken away again
    _events = []
    try:
        work()
    finally:
        seen, _events = _events, None
    return seen


def touch(draft: Any) -> None:
    """Change two sessions, add one and remove one."""
    draft[ALPHA]["counter"] += 1
    draft[BETA]["counter"] += 1
    draft["agent:main:new"] = session(4)
    draft.pop(GAMMA, None)


def touched() -> dict[str, Entry]:
    """Return what a store holds after `touch`."""
    content = small_store()
    touch(content)
    return content


# -- the version


def test_each_change_is_one_version(store: DirectoryStore) -> None:
    """C.14: a write, a removal, a save of several sessions, one that founds a store; and whatever the number of digits."""
    assert version_of(store.path) == 1
    changes: list[Callable[[], Any]] = [
        lambda: store.put(ALPHA, session()),
        lambda: store.update(ALPHA, lambda _: {"counter": 1}, now_ms=NOW_MS),
        lambda: store.delete(GAMMA),
        lambda: store.transform(touch),
        lambda: store.save({}),
        lambda: store.save(small_store()),
    ]
    for version in range(2, 110):
        before = state_of(store.path)["updatedAt"]
        changes[(version - 2) % len(changes)]()
        state = state_of(store.path)
        assert state["version"] == version
        assert isinstance(state["updatedAt"], int)
        assert state["updatedAt"] >= before  # type: ignore[operator]
        assert list(state) == ["kind", "layoutVersion", "version", "updatedAt"]


def test_what_changes_nothing_is_no_version(store: DirectoryStore) -> None:
    """C.15: not even the order of an entry's fields."""
    before = (store.path / "state.json").read_bytes()
    reordered = {key: dict(reversed(entry.items())) for key, entry in small_store().items()}
    assert not store.save(reordered)
    assert not store.save(store.load())
    assert not store.delete("agent:main:absent")
    store.update(ALPHA, lambda _: None, now_ms=NOW_MS)
    store.transform(lambda draft: draft.update(reordered))
    assert (store.path / "state.json").read_bytes() == before


@pytest.mark.parametrize("trailer", TRAILERS, ids=repr)
def test_state_is_read_as_it_was_written(trailer: bytes) -> None:
    """C.1: any JSON parser reads the four fields, whatever our own character behind them."""
    state = State(12, 1_780_000_000_000, *TRAILERS[trailer])
    text = state.text()
    assert directory_state.parse(text, store=Path()) == state
    assert text[-1:] == trailer
    assert text[:-1] == json.dumps(json.loads(text), indent=2).encode()
    assert json.loads(text)["version"] == 12
    assert len(text) < 512, "a disk writes no more than this whole or not at all"


def test_state_is_written_in_place_and_renamed_only_for_another_digit(store: DirectoryStore) -> None:
    inodes = {}
    for version in range(2, 14):
        store.put(ALPHA, session())
        inodes[version] = (store.path / "state.json").stat().st_ino, (store.path / "state.json").stat().st_size
    assert len({inodes[version] for version in range(2, 10)}) == 1
    assert len({inodes[version] for version in range(10, 14)}) == 1
    assert inodes[9][1] + 1 == inodes[10][1]


# -- caches


def test_listing_of_the_same_version_opens_no_session(store: DirectoryStore) -> None:
    """C.16: known by the version alone; an older one is never shown."""
    rows = list(store.summaries())
    opened = noted(lambda: list(store.summaries()))
    assert [name for event, name in opened if name.startswith("session-") or event != "open"] == []
    DirectoryStore(store.path).update(ALPHA, lambda _: {"label": "by another"}, now_ms=NOW_MS + 1)
    assert next(store.summaries()).label == "by another"
    write(store.path, {ALPHA: json.dumps(session(0, label="by OpenClaw", updatedAt=NOW_MS + 1)).encode()})
    assert next(store.summaries()).label == "by OpenClaw"
    assert len(rows) == 3


def test_change_of_another_process_shows_at_once(store: DirectoryStore) -> None:
    """C.16."""
    worker = DIRECTORY.start(
        store.path, 'for line in sys.stdin: store.put("k", {"sessionId": "k", "label": line.strip()}); print("done", flush=True)'
    )
    assert worker.stdin is not None
    assert worker.stdout is not None
    try:
        for label in ("one", "two", "six", "ten"):
            worker.stdin.write(f"{label}\n")
            worker.stdin.flush()
            assert worker.stdout.readline() == "done\n", worker.communicate()[1]
            assert {row.label for row in store.summaries() if row.key == "k"} == {label}
            assert (store.get("k") or {})["label"] == store.load()["k"]["label"] == label
    finally:
        worker.communicate()


def test_snapshot_of_an_older_version_is_not_trusted(store: DirectoryStore) -> None:
    """C.16, E.27: also when time and size of the files do not tell."""
    base = store.load()
    DirectoryStore(store.path).update(ALPHA, lambda _: {"counter": 1}, now_ms=1)
    assert store.transform(lambda draft: draft[BETA].update(counter=1), base=base) is not base
    assert (store.get(ALPHA) or {})["counter"] == 1


# -- no listing on the way to one session


def test_one_session_is_read_and_written_without_listing(store: DirectoryStore) -> None:
    """C.19, C.20, C.21: one file, no listing of the sessions; nothing is called for one that is missing."""
    one, absent = entry_file(store.path, ALPHA).name, "agent:main:absent"
    for work, files in (
        (lambda: store.updated_at(ALPHA.upper()), {one}),
        (lambda: store.get(ALPHA), {one}),
        (lambda: store.update(ALPHA, lambda _: {"lastTo": "12345"}, now_ms=NOW_MS), {one}),
        (lambda: store.update(ALPHA, lambda _: None, now_ms=NOW_MS), {one}),
        (lambda: store.put(ALPHA, session()), {one}),
        (lambda: store.put(absent, session()), {entry_file(store.path, absent).name}),
        (lambda: store.delete(absent), {entry_file(store.path, absent).name}),
        (lambda: store.update(absent, lambda _: pytest.fail("called"), now_ms=NOW_MS), {entry_file(store.path, absent).name}),
        (lambda: store.get(absent), {entry_file(store.path, absent).name}),
    ):
        seen = noted(work)
        assert {name for event, name in seen if name.startswith("session-")} == files
        assert [name for event, name in seen if event == "os.scandir"] == []


def test_store_of_another_program_is_listed_for_spellings_until_there_are_none(store: DirectoryStore) -> None:
    """C.6, F.14: every spelling is found, at the cost of a listing for each version, and only while there may be one."""
    write(store.path, {"K": b'{"sessionId":"k","updatedAt":5}', "X" * 200: b'{"sessionId":"x"}'})
    assert (store.get("k"), store.get("x" * 200)) == ({"sessionId": "k", "updatedAt": 5}, {"sessionId": "x"})
    assert "os.scandir" not in {event for event, _ in noted(lambda: store.get("k"))}
    store.put(ALPHA, session())
    assert "os.scandir" in {event for event, _ in noted(lambda: store.get("k"))}
    store.put("k", session(1))
    assert store.delete("x" * 200)
    assert [store.get("k"), store.get("x" * 200)] == [session(1), None]
    assert (store.path / "state.json").read_bytes()[-1:] == b"\n"
    assert "os.scandir" not in {event for event, _ in noted(lambda: DirectoryStore(store.path).get("k"))}


# -- one state for readers


def test_reader_takes_the_lock_among_writers_that_never_pause(store: DirectoryStore) -> None:
    """C.11, which returns the last of two readings: here none is taken that saw a change."""
    passes = locks = 0

    def make(name: str, data: bytes) -> bytes:
        nonlocal passes
        if locks == 0 and name == entry_file(store.path, ALPHA).name:
            passes += 1
            write(store.path, {})
        return data

    @contextlib.contextmanager
    def lock() -> Iterator[None]:
        nonlocal locks
        locks += 1
        yield

    folder = Folder.open(store.path)
    assert folder is not None
    with folder:
        state = read_state(folder, make, known={}, lock=lock)
        assert state.stamp == folder.stamp()
    assert (passes, locks, len(state.files)) == (PASSES, 1, 3)


SAVES = """
for counter in range(1, 101):
    store.transform(lambda draft: [draft[f"k{number}"].update(counter=counter) for number in range(12)] and None)
    print(counter, flush=True)
"""


def test_reader_never_sees_half_of_a_save(tmp_path: Path) -> None:
    """C.11, D.46: twelve sessions are saved together again and again; who reads meanwhile sees them equal, and never older than noted."""
    store = DirectoryStore(tmp_path / "sessions.d")
    store.save({f"k{number}": {"sessionId": "k", "counter": 0} for number in range(12)})
    ways: list[Callable[[], Iterable[Entry | None]]] = [
        lambda: store.load().values(),
        lambda: [entry for _, entry in store.items()],
        lambda: [store.get("k11"), store.get("k0"), store.get("k6")],
    ]
    writer = DIRECTORY.start(store.path, SAVES)
    assert writer.stdout is not None
    os.set_blocking(writer.stdout.fileno(), False)
    at_least, notes = 0, b""
    while writer.poll() is None:
        with contextlib.suppress(BlockingIOError):
            notes += os.read(writer.stdout.fileno(), 1 << 16)
        at_least = max(at_least, *map(int, notes.split(b"\n")[:-1]), 0)
        for way in ways:
            found = [-1 if entry is None else entry["counter"] for entry in way()]
            assert len(found) in (12, 3)
            assert min(found) >= at_least
            assert found == sorted(found), "sessions that are read one after the other only get newer"
            assert len(set(found)) == 1 or len(found) == 3, found
            at_least = found[-1]
    assert writer.communicate()[1] == ""
    assert version_of(store.path) == 101
    assert at_least > 20


# -- crashes

DIES = """
import os, signal
from sessionlab.stores import directory_change
real, calls = os.{call}, 0
def fatal(*arguments, **named):
    global calls
    calls += 1
    if calls == {number}:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*arguments, **named)
os.{call} = fatal
def touch(draft):
    draft["agent:main:main"]["counter"] += 1
    draft[{beta!r}]["counter"] += 1
    draft["agent:main:new"] = {new!r}
    del draft[{gamma!r}]
"""
POINTS = [("rename", 8), ("unlink", 8), ("pwrite", 8), ("rmdir", 4), ("mkdir", 4)]


def dies(path: Path, call: str, number: int, body: str) -> bool:
    """Run a writer that is killed just before its n-th call of a function; say whether it got that far."""
    preamble = DIES.format(call=call, number=number, beta=BETA, gamma=GAMMA, new=session(4))
    writer = DIRECTORY.start(path, preamble + body)
    errors = writer.communicate(timeout=60)[1]
    assert writer.returncode in (0, -signal.SIGKILL), errors
    return writer.returncode != 0


@pytest.mark.parametrize(
    ("body", "old", "new"),
    [
        pytest.param("store.transform(touch)", small_store(), touched(), id="save"),
        pytest.param(
            f"store.update({ALPHA!r}, lambda _: {{'counter': 5}}, now_ms=1)",
            small_store(),
            small_store() | {ALPHA: small_store()[ALPHA] | {"counter": 5}},
            id="update",
        ),
        pytest.param(f"store.delete({BETA!r})", small_store(), {k: e for k, e in small_store().items() if k != BETA}, id="delete"),
    ],
)
def test_crash_between_two_steps_hides_nothing_from_readers_and_leaves_nothing(
    tmp_path: Path, body: str, old: dict[str, Entry], new: dict[str, Entry]
) -> None:
    """C.17, G: old or new, whole, and what was read before is not believed when it is no longer so; the next write clears up."""
    states = set()
    for call, most in POINTS:
        for number in range(1, most + 1):
            path = tmp_path / "sessions.d"
            shutil.rmtree(path, ignore_errors=True)
            store = DirectoryStore(path)
            store.save(small_store())
            base, rows = store.load(), list(store.summaries())
            if not dies(path, call, number, body):
                break
            for _ in range(2):
                found = dict(store.items())
                assert found in (old, new), (call, number)
                assert found == dict(store.load()) == dict(DirectoryStore(path).items())
                assert {row.key: row.updated_ms for row in store.summaries()} == {k: e.get("updatedAt") for k, e in found.items()}
                assert {key: store.get(key) for key in found} == found
                assert all(store.get(key) is None for key in (old.keys() | new.keys()) - found.keys())
                assert (store.count(), store.check(), store.stats().sessions) == (len(found), (), len(found))
            states.add(found == new)
            assert (store.transform(lambda _: None, base=base) is base) <= (found == old), (call, number)
            store.put("agent:main:next", session(5))
            assert dict(store.items()) == found | {"agent:main:next": session(5)}
            assert {file.name for file in path.iterdir()} == {"state.json", "entries", "lock"}, (call, number)
            assert len(list((path / "entries").iterdir())) == len(found) + 1
            assert version_of(path) in (2, 3, 4)
            assert (path / "state.json").read_bytes()[-1:] == b"\n"
            assert rows
    assert states == {True, False}


def test_crash_before_the_stamp_does_not_hide_the_change(store: DirectoryStore) -> None:
    """C.17: the entry is there and the version is still the old one; a listing made before does not stand in its way."""
    before = {row.key: row.updated_ms for row in store.summaries()}
    assert dies(store.path, "pwrite", 2, f"store.update({ALPHA!r}, lambda _: {{'label': 'new'}}, now_ms={NOW_MS})")
    assert version_of(store.path) == 1
    assert before[ALPHA] != NOW_MS
    assert {row.key: row.updated_ms for row in store.summaries()}[ALPHA] == NOW_MS
    store.put(BETA, session(1))
    assert version_of(store.path) == 3, "one for the change that was not noted, one for this"
