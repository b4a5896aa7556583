"""A store that is open while another takes its place refuses to be written: an acknowledged write must be where readers look.

It refuses to be read as well: what it could say is nothing, or what was.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from sessionlab.errors import NoStoreError, StoreMovedError, UnwritableError
from sessionlab.migration.execute import execute
from sessionlab.migration.plan import plan_migration
from sessionlab.settings import StoreType
from sessionlab.stores import SessionStore, locate, open_for_writing, open_store, opening
from sessionlab.stores.authority import refuse_split
from sessionlab.stores.directory import DirectoryStore
from sessionlab.stores.guard import Guard
from sessionlab.stores.locating import beside
from sessionlab.stores.location import StoreLocation
from sessionlab.stores.snapshot import Snapshot
from sessionlab.stores.sqlite import SQLiteStore
from sessionlab.stores.writing import WritableStore
from tests.fixture_states import STORE, own_state

KINDS: tuple[StoreType, ...] = ("json", "sqlite", "directory")
PAIRS = [(old, new) for old in KINDS for new in KINDS if old != new]
KEY = "agent:main:main"


def writes(store: WritableStore, snapshot: Snapshot) -> list[Callable[[], object]]:
    """Return every way to write to a store."""
    return [
        lambda: store.put(KEY, {"sessionId": "lost"}),
        lambda: store.update(KEY, lambda _: {"label": "lost"}, now_ms=1),
        lambda: store.touch(KEY, {"totalTokens": 7}, now_ms=1),
        lambda: store.delete(KEY),
        lambda: store.save({"agent:main:other": {"sessionId": "lost"}}),
        lambda: store.transform(lambda draft: draft.clear(), base=snapshot),
    ]


def reads(store: SessionStore) -> dict[str, Callable[[], object]]:
    """Return every way to read a store, by name."""
    found: dict[str, Callable[[], object]] = {
        "get": lambda: store.get(KEY),
        "get what is not there": lambda: store.get("agent:main:absent"),
        "count": store.count,
        "summaries": lambda: list(store.summaries()),
        "items": lambda: list(store.items()),
        "raw_items": lambda: list(store.raw_items()),
        "stats": store.stats,
        "check": store.check,
        "examine": store.examine,
        "fingerprint": store.fingerprint,
    }
    if isinstance(store, WritableStore):
        found |= {"load": store.load, "updated_at": lambda: store.updated_at(KEY)}
    if isinstance(store, SQLiteStore):
        found |= {"raw": lambda: store.raw(KEY)}
    return found


def move(folder: Path, new: StoreType) -> None:
    """Move the sessions in a folder to a store of another kind."""
    execute(plan_migration(folder, new, now_ms=5), root=folder, now_ms=5)


@pytest.mark.parametrize(("old", "new"), PAIRS)
@pytest.mark.parametrize("is_named", [False, True], ids=["folder", "store"])
def test_store_that_was_moved_from_under_a_program_refuses_every_read(
    tmp_path: Path, old: StoreType, new: StoreType, *, is_named: bool
) -> None:
    """Neither an empty store nor the old contents, whether it was read before or not, opened for writing or for reading."""
    with open_for_writing(tmp_path, store_type=old) as store:
        store.put(KEY, {"sessionId": "old", "updatedAt": 1})
        path = store.path if is_named else tmp_path
    opened: list[SessionStore] = [open_for_writing(path), open_store(path), open_for_writing(path), open_store(path)]
    for one in opened[:2]:
        for read in reads(one).values():
            read()
    move(tmp_path, new)
    with open_for_writing(tmp_path) as moved:
        assert moved.kind == new
        moved.put(KEY, {"sessionId": "new", "updatedAt": 2})
        moved.put("agent:main:two", {"sessionId": "second", "updatedAt": 2})
    for _ in range(2):
        for one in opened:
            for name, read in reads(one).items():
                with pytest.raises(StoreMovedError, match=r"has moved: .* counts now; open the store again"):
                    raise AssertionError(f"{type(one).__name__}.{name} gives {read()!r}")
    for one in opened:
        one.close()
    with open_store(tmp_path) as again:
        assert (again.get(KEY) or {})["sessionId"] == "new"


@pytest.mark.parametrize(("old", "new"), PAIRS)
def test_who_reads_while_the_sessions_move_sees_them_or_is_told(tmp_path: Path, old: StoreType, new: StoreType) -> None:
    """In no moment of a migration does an open store look empty, or damaged."""
    entry = {"sessionId": "s", "updatedAt": 1}
    with open_for_writing(tmp_path, store_type=old) as store:
        store.put(KEY, entry)
        seen: list[object] = []
        is_reading = threading.Event()

        def read() -> None:
            while True:
                try:
                    found = (store.get(KEY), store.count(), store.updated_at(KEY), dict(store.load()))
                except Exception as error:  # noqa: BLE001 - which it is, the test says
                    seen.append(type(error))
                    return
                if found != (entry, 1, 1, {KEY: entry}):
                    seen.append(found)
                    return
                is_reading.set()

        reader = threading.Thread(target=read)
        reader.start()
        is_reading.wait(20)
        move(tmp_path, new)
        reader.join(20)
    assert seen == [StoreMovedError]


@pytest.mark.parametrize("old", KINDS)
@pytest.mark.parametrize("new", KINDS)
def test_what_moved_between_finding_and_opening_a_store_is_noticed(tmp_path: Path, old: StoreType, new: StoreType) -> None:
    with open_for_writing(tmp_path, store_type=old) as store:
        store.put(KEY, {"sessionId": "s", "updatedAt": 1})
    (location,) = locate(tmp_path)
    if new != old:
        move(tmp_path, new)
    guard = Guard(location, beside(location), known=[location.path])
    if new == old:
        guard()
        guard.glance()
        return
    for look in (guard, guard.glance):
        with pytest.raises(StoreMovedError):
            look()


@pytest.mark.parametrize(("old", "new"), PAIRS)
def test_store_that_is_moved_while_it_is_opened_is_found_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: StoreType, new: StoreType
) -> None:
    with open_for_writing(tmp_path, store_type=old) as store:
        store.put(KEY, {"sessionId": "old", "updatedAt": 1})
    waiting = [new]

    def refuse(location: StoreLocation) -> None:
        if waiting:
            move(tmp_path, waiting.pop())
        refuse_split(location)

    monkeypatch.setattr(opening, "refuse_split", refuse)
    if (old, new) == ("json", "sqlite"):  # the file stays in its place
        with open_store(tmp_path) as left, pytest.raises(StoreMovedError):
            left.get(KEY)
    with open_store(tmp_path) as found:
        assert (found.kind, found.count()) == (new, 1)


@pytest.mark.parametrize("new", ["directory", "sqlite"])
def test_named_store_that_moves_away_while_it_is_opened_is_not_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, new: StoreType
) -> None:
    old: StoreType = "directory" if new == "sqlite" else "json"
    with open_for_writing(tmp_path, store_type=old) as store:
        store.put(KEY, {"sessionId": "old", "updatedAt": 1})
        path = store.path
    waiting = [new]

    def refuse(location: StoreLocation) -> None:
        if waiting:
            move(tmp_path, waiting.pop())
        refuse_split(location)

    monkeypatch.setattr(opening, "refuse_split", refuse)
    with open_for_writing(path) as store, pytest.raises(StoreMovedError):
        store.put(KEY, {"sessionId": "lost"})
    assert not path.exists()


def test_who_needs_the_lock_of_a_folder_that_moves_just_then_is_told(tmp_path: Path) -> None:
    with open_for_writing(tmp_path, store_type="directory") as store:
        store.put(KEY, {"sessionId": "old", "updatedAt": 1})
    with open_store(tmp_path) as reader:
        assert isinstance(reader, DirectoryStore)
        with reader._access.opened():
            move(tmp_path, "json")
            with pytest.raises(StoreMovedError), reader._access.reading_lock():
                pytest.fail("it was had")


def test_store_that_was_not_seen_because_it_moved_is_looked_for_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_for_writing(tmp_path, store_type="directory") as store:
        store.put(KEY, {"sessionId": "old", "updatedAt": 1})
    missed: list[Path] = []

    def found(path: Path) -> tuple[StoreLocation, ...]:
        if not missed:
            missed.append(path)
            raise NoStoreError(path, "holds no session store")
        return locate(path)

    monkeypatch.setattr(opening, "locate", found)
    with open_store(tmp_path) as reader:
        assert reader.kind == "directory"
    missed.clear()
    with open_for_writing(tmp_path) as store:
        assert store.kind == "directory"
    assert missed


def test_sessions_that_openclaw_itself_moved_are_missed(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> None:
    """Its import of 2026.8 fills the database, which versions since 2026.5 may have made before, and moves `sessions.json` away."""
    state = own_state("sqlite-2026.9", tmp_path_factory, tmp_path)
    filled = (state / STORE).read_bytes()
    (state / STORE).unlink()
    database = sqlite3.connect(state / STORE)
    database.execute("CREATE TABLE schema_meta (role, schema_version)")
    database.commit()
    database.close()
    sessions = state / "agents/main/sessions"
    sessions.mkdir(exist_ok=True)
    (sessions / "sessions.json").write_bytes(b'{"agent:main:main": {"sessionId": "s", "updatedAt": 1}}')
    with open_for_writing(state) as store, open_store(state) as reader:
        opened: tuple[SessionStore, ...] = (store, reader)
        for one in opened:
            assert (one.kind, one.count(), one.get(KEY)) == ("json", 1, {"sessionId": "s", "updatedAt": 1})
        assert store.touch(KEY, {"totalTokens": 7}, now_ms=1)
        snapshot = store.load()
        (state / STORE).write_bytes(filled)
        (sessions / "sessions.json").rename(sessions / "sessions.json.bak")
        for one in opened:
            for read in reads(one).values():
                with pytest.raises(StoreMovedError, match=r"openclaw-agent\.sqlite counts now"):
                    read()
        for write in writes(store, snapshot):
            with pytest.raises(StoreMovedError):
                write()
    assert not (sessions / "sessions.json").exists()


@pytest.mark.parametrize("kind", KINDS)
def test_store_that_never_was_is_empty(tmp_path: Path, kind: StoreType) -> None:
    with open_for_writing(tmp_path, store_type=kind) as store:
        assert (store.get(KEY), store.count(), store.updated_at(KEY), list(store.items()), store.check()) == (None, 0, None, [], ())
        assert (dict(store.load()), store.stats().sessions, store.fingerprint().count) == ({}, 0, 0)


@pytest.mark.parametrize(("old", "new"), PAIRS)
def test_store_that_was_empty_when_another_was_begun_is_told(tmp_path: Path, old: StoreType, new: StoreType) -> None:
    """Two programs that begin one store with different settings: the one that came second must not see nothing for ever."""
    with open_for_writing(tmp_path, store_type=old) as store, open_for_writing(tmp_path, store_type=new) as other:
        assert store.get(KEY) is None
        other.put(KEY, {"sessionId": "s", "updatedAt": 1})
        for read in reads(store).values():
            with pytest.raises(StoreMovedError):
                read()


@pytest.mark.parametrize("kind", KINDS)
def test_store_opened_for_reading_refuses_to_be_written(tmp_path: Path, kind: StoreType) -> None:
    with open_for_writing(tmp_path, store_type=kind) as store:
        store.put(KEY, {"sessionId": "s", "updatedAt": 1})
    with open_store(tmp_path) as read:
        if isinstance(read, WritableStore):
            for write in writes(read, read.load()):
                with pytest.raises(UnwritableError, match="for reading only"):
                    write()
        assert read.get(KEY) == {"sessionId": "s", "updatedAt": 1}


@pytest.mark.parametrize("kind", KINDS)
def test_store_removed_by_hand_has_not_moved(tmp_path: Path, kind: StoreType) -> None:
    """There is nothing to open again: it is missing, which to a writer is empty."""
    import shutil

    with open_for_writing(tmp_path, store_type=kind) as store:
        store.put(KEY, {"sessionId": "s", "updatedAt": 1})
        shutil.rmtree(tmp_path)
        assert (store.get(KEY), store.count()) == (None, 0)
    with pytest.raises(NoStoreError):
        open_store(tmp_path)


@pytest.mark.parametrize(("old", "new"), PAIRS)
def test_store_that_was_moved_from_under_a_program_refuses_every_write(tmp_path: Path, old: StoreType, new: StoreType) -> None:
    with open_for_writing(tmp_path, store_type=old) as store, open_for_writing(tmp_path, store_type=old) as idle:
        store.put(KEY, {"sessionId": "s", "updatedAt": 1})
        snapshot = store.load()
        execute(plan_migration(tmp_path, new, now_ms=5), root=tmp_path, now_ms=5)
        for one in (store, idle):
            for write in writes(one, snapshot):
                with pytest.raises(StoreMovedError, match=r"has moved: .* counts now; open the store again"):
                    write()
    with open_store(tmp_path) as read:
        assert (read.kind, dict(read.items())) == (new, {KEY: {"sessionId": "s", "updatedAt": 1}})


@pytest.mark.parametrize("kind", KINDS)
def test_store_that_nothing_took_the_place_of_goes_on(tmp_path: Path, kind: StoreType) -> None:
    with open_for_writing(tmp_path, store_type=kind) as store:
        for number in range(3):
            store.put(KEY, {"sessionId": f"s{number}", "updatedAt": number})
        if kind != "json":
            (tmp_path / "sessions.json").write_bytes(b"{}")  # an old program has looked in
        store.put(KEY, {"sessionId": "last", "updatedAt": 9})
        assert store.get(KEY) == {"sessionId": "last", "updatedAt": 9}
