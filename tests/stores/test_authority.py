"""Which of several stores counts: one that says so itself, else the one OpenClaw would read; two that disagree are refused."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from sessionlab import codec
from sessionlab.errors import CorruptStoreError, NoStoreError, SplitStoreError, StoreError
from sessionlab.stores import StoreLocation, authority, locate, open_at, open_store
from sessionlab.stores.authority import promotion_of
from sessionlab.stores.base import SessionStore
from sessionlab.stores.directory import DirectoryStore
from sessionlab.stores.json_store import JSONStore
from sessionlab.stores.location import StoreKind
from sessionlab.stores.promotion import Promotion, left_behind
from sessionlab.stores.sqlite import SQLiteStore
from sessionlab.stores.writing import WritableStore
from tests.fixture_states import photo

NOW_MS = 1_795_000_000_000
MAIN = "agent:main:main"


def filled(store: WritableStore, number: int) -> WritableStore:
    """Put as many sessions into a store, each with an id of its own kind."""
    store.save({f"agent:main:direct:{place}": {"sessionId": f"{store.kind}-{place}", "updatedAt": place} for place in range(number)})
    store.close()
    return store


def promote(store: SQLiteStore | DirectoryStore, *left: Path) -> None:
    """Record that a store took the place of others beside it."""
    records = []
    for path in left:
        (location,) = locate(path)
        with open_at(location) as other:
            records.append(left_behind(other, folder=store.path.parent))
    store.promote(Promotion(promoted_at=NOW_MS, left=tuple(records)))
    store.close()


@pytest.fixture
def sessions(tmp_path: Path) -> Path:
    folder = tmp_path / "state" / "agents" / "ops" / "sessions"
    folder.mkdir(parents=True)
    return folder


def opened(path: Path) -> tuple[str, int]:
    """Return (kind, sessions) of the one store at a path, which opening must not change."""
    before = photo(path)
    with open_store(path) as store:
        found = store.kind, store.count()
    assert photo(path) == before
    return found


def around(sessions: Path) -> list[Path]:
    """Return every folder by which the store may be asked for."""
    return [sessions, sessions.parent, sessions.parents[2]]


@pytest.mark.parametrize(("kind", "name"), [("json", "sessions.json"), ("sqlite", "sessions.sqlite"), ("directory", "sessions.d")])
def test_store_of_each_kind_is_found_by_folder_and_by_name(sessions: Path, kind: StoreKind, name: str) -> None:
    stores = {"json": JSONStore, "sqlite": SQLiteStore, "directory": DirectoryStore}
    filled(stores[kind](sessions / name), 3)
    for path in (*around(sessions), sessions / name):
        (location,) = locate(path)
        assert replace(location, is_promoted=False) == StoreLocation("ops", kind, sessions / name, sessions, sessions.parent)
        assert opened(path) == (kind, 3)


def test_active_directory_counts_before_all_else_and_knows_what_it_left(sessions: Path) -> None:
    """C.7, C.12: every reader finds the directory once it is active."""
    filled(JSONStore(sessions / "sessions.json"), 2)
    store = DirectoryStore(sessions / "sessions.d")
    filled(store, 3)
    promote(store, sessions / "sessions.json")
    for path in around(sessions):
        (location,) = locate(path)
        assert (location.kind, location.is_promoted) == ("directory", True)
        assert opened(path) == ("directory", 3)
    assert opened(sessions / "sessions.json") == ("json", 2)


def test_sqlite_store_counts_only_once_it_records_its_promotion(sessions: Path) -> None:
    """B.18: once migrated, the SQLite file is the only authority."""
    filled(JSONStore(sessions / "sessions.json"), 2)
    store = SQLiteStore(sessions / "sessions.sqlite")
    filled(store, 3)
    (location,) = locate(sessions)
    assert (location.kind, [rival.kind for rival in location.rivals]) == ("json", ["sqlite"])
    with pytest.raises(SplitStoreError, match=r"sessions\.json \(2\) and .*sessions\.sqlite \(3\)"):
        open_store(sessions)
    promote(store, sessions / "sessions.json")
    for path in around(sessions):
        assert opened(path) == ("sqlite", 3)
    record = promotion_of(locate(sessions)[0])
    assert record is not None
    assert [(left.kind, left.path, left.sessions) for left in record.left] == [("json", "sessions.json", 2)]


@pytest.mark.parametrize("kind", ["sqlite", "directory"])
def test_store_left_behind_that_was_written_since_is_refused(sessions: Path, kind: str) -> None:
    """C.34: an entry that an old program brings back is neither merged nor passed over in silence."""
    old = JSONStore(sessions / "sessions.json")
    filled(old, 2)
    store = SQLiteStore(sessions / "sessions.sqlite") if kind == "sqlite" else DirectoryStore(sessions / "sessions.d")
    filled(store, 2)
    promote(store, sessions / "sessions.json")
    assert opened(sessions) == (kind, 2)
    shutil.copy(sessions / "sessions.json", sessions / "copy")  # another time, the same content
    (sessions / "copy").replace(sessions / "sessions.json")
    assert opened(sessions) == (kind, 2)
    old.put(MAIN, {"sessionId": "new", "updatedAt": NOW_MS})
    with pytest.raises(SplitStoreError, match=r"\(2\) and .*sessions\.json \(3\); name the one you mean"):
        open_store(sessions)
    store.save({})
    store.close()
    with pytest.raises(SplitStoreError, match=r"\(0\) and .*sessions\.json \(3\)"):
        open_store(sessions)
    old.save({})
    assert opened(sessions) == (kind, 0)


def test_rewritten_within_size_and_second_is_still_noticed(sessions: Path) -> None:
    old = JSONStore(sessions / "sessions.json")
    old.put(MAIN, {"sessionId": "a", "updatedAt": 1})
    store = DirectoryStore(sessions / "sessions.d")
    filled(store, 1)
    promote(store, sessions / "sessions.json")
    old.put(MAIN, {"sessionId": "b", "updatedAt": 1})
    os.utime(sessions / "sessions.json")
    with pytest.raises(SplitStoreError):
        open_store(sessions)


def test_store_without_sessions_hides_none_that_has_some(sessions: Path) -> None:
    filled(SQLiteStore(sessions / "sessions.sqlite"), 3)
    (sessions / "sessions.json").write_bytes(b"{}")
    (location,) = locate(sessions)
    assert (location.kind, location.note) == (
        "sqlite",
        f"{sessions / 'sessions.json'} holds no sessions, so sessions.sqlite, which was never promoted, was read",
    )
    assert opened(sessions) == ("sqlite", 3)


def test_empty_folder_in_a_store_s_place_is_no_store(sessions: Path) -> None:
    filled(JSONStore(sessions / "sessions.json"), 1)
    (sessions / "sessions.d").mkdir()
    assert locate(sessions)[0].rivals == ()
    assert opened(sessions) == ("json", 1)


def test_directory_that_is_not_active_is_not_passed_over(sessions: Path) -> None:
    """C.7: the JSON file would be used; but what lies in the folder may be newer, so that its owner must look."""
    filled(JSONStore(sessions / "sessions.json"), 1)
    filled(DirectoryStore(sessions / "sessions.d"), 2)
    (sessions / "sessions.d" / "state.json").write_bytes(b"{")
    (location,) = locate(sessions)
    assert (location.kind, [rival.kind for rival in location.rivals]) == ("json", ["directory"])
    with pytest.raises(CorruptStoreError, match=r"state\.json"):
        open_store(sessions)
    (sessions / "sessions.json").unlink()
    assert locate(sessions)[0].kind == "directory"
    with pytest.raises(CorruptStoreError, match=r"state\.json"):
        open_store(sessions)


def test_linked_directory_is_refused(sessions: Path, tmp_path: Path) -> None:
    filled(DirectoryStore(tmp_path / "sessions.d"), 2)
    (sessions / "sessions.d").symlink_to(tmp_path / "sessions.d")
    with pytest.raises(StoreError, match="symbolic link"):
        open_store(sessions)


def test_foreign_database_in_the_place_of_ours_is_named(sessions: Path) -> None:
    import sqlite3

    filled(JSONStore(sessions / "sessions.json"), 1)
    database = sqlite3.connect(sessions / "sessions.sqlite")
    database.execute("CREATE TABLE sessions (session_key TEXT PRIMARY KEY)")
    database.commit()
    database.close()
    with pytest.raises(CorruptStoreError, match="not a session store of sessionlab"):
        open_store(sessions)
    assert opened(sessions / "sessions.json") == ("json", 1)


def test_damaged_record_of_a_promotion_is_an_error(sessions: Path) -> None:
    filled(JSONStore(sessions / "sessions.json"), 1)
    store = DirectoryStore(sessions / "sessions.d")
    filled(store, 1)
    promote(store, sessions / "sessions.json")
    (sessions / "sessions.d" / "promotion.json").write_bytes(b'{"promotedAt": "then"}')
    with pytest.raises(CorruptStoreError, match=r"promotion\.json: the record of its promotion cannot be read"):
        open_store(sessions)


def test_record_survives_writing_and_is_no_odd_file(sessions: Path) -> None:
    for store in (SQLiteStore(sessions / "sessions.sqlite"), DirectoryStore(sessions / "sessions.d")):
        promote(store)
        store.put(MAIN, {"sessionId": "a", "updatedAt": 1})
        store.save({})
        assert store.promotion() == Promotion(promoted_at=NOW_MS)
        assert store.check() == ()
        store.close()


def test_stores_of_a_configured_place_are_named_after_its_file(sessions: Path, tmp_path: Path) -> None:
    """B.1: `.json` becomes `.sqlite`, and a name without it gets `.sqlite` appended."""
    (tmp_path / "elsewhere").mkdir()
    for name, database, folder in (("store.json", "store.sqlite", "store.d"), ("plain", "plain.sqlite", "plain.d")):
        (tmp_path / "state" / "openclaw.json").write_bytes(codec.encode_indented({"session": {"store": f"{tmp_path}/elsewhere/{name}"}}))
        filled(SQLiteStore(tmp_path / "elsewhere" / database), 2)
        assert opened(tmp_path / "state") == ("sqlite", 2)
        filled(DirectoryStore(tmp_path / "elsewhere" / folder), 1)
        (tmp_path / "elsewhere" / database).unlink()
        assert opened(tmp_path / "state") == ("directory", 1)
    assert sessions.is_dir()


def test_rival_that_goes_just_then_and_comes_back_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A migration displaces what was left behind, and puts another file in its place: whoever opens in between looks again."""
    store = filled(JSONStore(tmp_path / "sessions.json"), 2)
    database = SQLiteStore(tmp_path / "sessions.sqlite")
    filled(database, 2)
    promote(database, store.path)
    looks = 0

    def absent_once(location: StoreLocation) -> SessionStore:
        nonlocal looks
        if location.kind == "json":
            looks += 1
            if looks == 1:
                raise NoStoreError(location.path, "there is no such file")
        return open_at(location)

    monkeypatch.setattr(authority, "open_at", absent_once)
    with open_store(tmp_path) as found:
        assert (found.kind, looks) == ("sqlite", 2)
