"""What lies in a directory store: its own files (C.1, C.3), those of others (C.7 to C.10), and what must not be there (C.43 to C.45)."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sessionlab.errors import CorruptStoreError, InvalidEntryError, UncertainWriteError, UnwritableError
from sessionlab.stores.directory import DirectoryStore
from sessionlab.stores.directory_folder import is_active
from sessionlab.stores.directory_sound import SoundFiles
from sessionlab.stores.directory_spool import Spool
from tests.fixture_states import photo
from tests.stores.directory_files import entry_file, file_name, replace, state_of, version_of, write
from tests.stores.sample_entries import ALPHA, BETA, GAMMA, NOW_MS, session, small_store
from tests.torture.backends import DIRECTORY

LONG = "agent:main:" + "x" * 300


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    """Return a store with three sessions."""
    made = DirectoryStore(tmp_path / "sessions.d")
    made.save(small_store())
    return made


def codes(store: DirectoryStore) -> set[str]:
    """Return the codes of all that is wrong."""
    return {problem.code for problem in store.check()}


# -- our own files


def test_files_are_those_of_the_format(tmp_path: Path) -> None:
    """C.1, C.3: names, contents, indentation and modes."""
    store = DirectoryStore(tmp_path / "sessions.d")
    store.put(ALPHA, {"sessionId": "id", "updatedAt": 5, "tags": ["é", {}], "none": []})
    store.put(LONG, {"sessionId": "long"})
    expected = (
        '{\n  "sessionKey": "agent:main:main",\n  "entry": {\n    "sessionId": "id",\n    "updatedAt": 5,\n    "tags": [\n      "é",\n'
    )
    assert entry_file(store.path, ALPHA).read_text() == expected + '      {}\n    ],\n    "none": []\n  }\n}'
    assert file_name(LONG).startswith("session-hash-")
    assert json.loads(entry_file(store.path, LONG).read_bytes())["sessionKey"] == LONG
    assert {path.name for path in store.path.iterdir()} == {"state.json", "entries", "lock"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in (store.path, store.path / "entries")} == {0o700}
    assert {stat.S_IMODE(path.stat().st_mode) for path in store.path.rglob("*") if path.is_file()} == {0o600}
    state = state_of(store.path)
    assert list(state) == ["kind", "layoutVersion", "version", "updatedAt"]
    assert (state["kind"], state["layoutVersion"], state["version"]) == ("openclaw-session-store-directory", 1, 2)
    assert (store.path / "state.json").read_text().rstrip() == json.dumps(state, indent=2)
    assert dict(DirectoryStore(store.path).items()) == {
        ALPHA: {"sessionId": "id", "updatedAt": 5, "tags": ["é", {}], "none": []},
        LONG: {"sessionId": "long"},
    }


def test_first_write_makes_the_store_whole(tmp_path: Path) -> None:
    """C.31: with all its sessions, as version 1, and what a founder that died left goes."""
    left = tmp_path / "sessions.d.founding" / "entries"
    left.mkdir(parents=True)
    (left / file_name(GAMMA)).write_bytes(b"{}")
    store = DirectoryStore(tmp_path / "sessions.d")
    assert not store.delete(ALPHA)
    assert store.update(ALPHA, lambda _: {}, now_ms=1) is None
    assert not store.save({})
    assert {path.name for path in tmp_path.iterdir()} == {"sessions.d.founding"}
    assert store.save(small_store())
    assert {path.name for path in tmp_path.iterdir()} == {"sessions.d"}
    assert version_of(store.path) == 1
    assert dict(store.items()) == small_store()


def test_founders_at_once_make_one_store(tmp_path: Path) -> None:
    """C.31: no session of any of them is lost."""
    path = tmp_path / "agents" / "sessions.d"
    body = 'print("ready", flush=True); sys.stdin.readline(); store.put(sys.argv[2], {"sessionId": sys.argv[2]})'
    processes = [DIRECTORY.start(path, body, f"k{number}") for number in range(8)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n", process.communicate()[1]
    ends = [process.communicate("go\n", timeout=60)[1] for process in processes]
    assert ends == [""] * 8
    assert dict(DirectoryStore(path).items()) == {f"k{number}": {"sessionId": f"k{number}"} for number in range(8)}
    assert version_of(path) == 8


# -- active or not


def test_store_is_active(store: DirectoryStore) -> None:
    """C.7."""
    assert is_active(store.path)
    assert not is_active(store.path.with_name("absent"))


@pytest.mark.parametrize("part", ["state.json", "entries"])
@pytest.mark.parametrize("way", ["missing", "link", "other"])
def test_folder_without_its_parts_is_not_active_and_no_empty_store(store: DirectoryStore, part: str, way: str) -> None:
    """C.7, C.18."""
    place, aside = store.path / part, store.path.with_name("aside")
    place.rename(aside)
    if way == "link":
        place.symlink_to(aside)
    elif way == "other":
        place.mkdir() if part == "state.json" else place.write_bytes(b"")
    assert not is_active(store.path)
    for attempt in (store.count, store.load, lambda: store.get(ALPHA), lambda: store.put(ALPHA, session())):
        with pytest.raises(CorruptStoreError, match=r"sessions\.d"):
            attempt()
    assert codes(store) == {"invalid_store"}


# -- files that are no sessions

HARMLESS: dict[str, Callable[[Path], Any]] = {
    "dotfile": lambda entries: (entries / f".{file_name('k')}").write_bytes(b'{"sessionKey":"k","entry":{"sessionId":"k"}}'),
    "link": lambda entries: (entries / file_name("k")).symlink_to(file_name(ALPHA)),
    "folder": lambda entries: (entries / file_name("k")).mkdir(),
    "pipe": lambda entries: os.mkfifo(entries / file_name("k")),
    "other-name": lambda entries: (entries / "notes.txt").write_bytes(b"notes"),
    "backup": lambda entries: shutil.copy(entries / file_name(ALPHA), entries / f"{file_name(ALPHA)}.bak"),
    "beside": lambda entries: (entries.parent / "notes.txt").write_bytes(b"notes"),
}


@pytest.mark.parametrize("name", HARMLESS)
def test_what_is_no_sessions_file_is_not_loaded_but_reported(store: DirectoryStore, name: str) -> None:
    """C.8."""
    HARMLESS[name](store.path / "entries")
    assert dict(store.items()) == dict(store.load()) == small_store()
    assert [row.key for row in store.summaries()] == [BETA, ALPHA, GAMMA]
    assert (store.count(), store.get("k"), store.delete("k")) == (3, None, False)
    assert codes(store) == {"odd_file"}
    assert store.examine()[0] == store.fingerprint()


BAD = {
    "blank": b" \n",
    "empty": b"",
    "truncated": b'{"sessionKey":"k","entry":{"sess',
    "array": b"[]",
    "entry-null": b'{"sessionKey":"k","entry":null}',
    "entry-array": b'{"sessionKey":"k","entry":[]}',
    "other-key": b'{"sessionKey":"other","entry":{"sessionId":"x"}}',
    "key-no-text": b'{"sessionKey":5,"entry":{"sessionId":"x"}}',
    "two-entries": b'{"sessionKey":"k","entry":{"sessionId":"x"},"entry":{"sessionId":"y"}}',
    "two-keys": b'{"sessionKey":"other","sessionKey":"k","entry":{"sessionId":"x"}}',
    "no-session": b"{}",
    "not-utf-8": b'{"sessionKey":"k","entry":{"sessionId":"\xff"}}',
}


@pytest.mark.parametrize("name", BAD)
def test_bad_file_is_reported_and_never_hides_the_others(store: DirectoryStore, name: str) -> None:
    """C.8: listed are all others, then the error comes; it is counted, raised by whatever needs it, and left alone by the rest."""
    bad = entry_file(store.path, "k")
    replace(bad, BAD[name])
    fresh = DirectoryStore(store.path)
    for each in (store, fresh, fresh):
        with pytest.raises(CorruptStoreError, match=bad.name):
            list(each.summaries())
    for attempt in (
        lambda: dict(store.load()),
        lambda: list(store.items()),
        store.fingerprint,
        lambda: store.get("k"),
        lambda: store.updated_at("k"),
        lambda: store.update("k", lambda _: {"x": 1}, now_ms=1),
    ):
        with pytest.raises(CorruptStoreError, match=bad.name):
            attempt()
    assert store.count() == store.stats().sessions == 4
    [problem] = store.check()
    assert (problem.code, problem.severity, problem.path, problem.key) == ("bad_entry", "error", str(bad), "k")
    with pytest.raises(CorruptStoreError, match=bad.name):
        store.examine()
    store.put(ALPHA, session(9))
    assert store.delete(BETA)
    assert store.get(ALPHA) == session(9)
    assert bad.read_bytes() == BAD[name]


def test_listing_shows_the_others_before_it_raises(store: DirectoryStore) -> None:
    """C.8."""
    replace(entry_file(store.path, "k"), b"")
    replace(entry_file(store.path, "l"), b"{")
    for _ in range(2):
        rows = store.summaries()
        assert [next(rows).key for _ in range(3)] == [BETA, ALPHA, GAMMA]
        with pytest.raises(CorruptStoreError, match="1 more"):
            next(rows)


def test_bad_file_is_neither_overwritten_nor_removed(store: DirectoryStore) -> None:
    """C.8, D.47."""
    bad = entry_file(store.path, "k")
    replace(bad, b'{"sessionKey":"k","entry":{"sess')
    for attempt in (lambda: store.put("k", session()), lambda: store.delete("k"), lambda: store.save(small_store())):
        with pytest.raises(CorruptStoreError):
            attempt()
    assert bad.read_bytes() == b'{"sessionKey":"k","entry":{"sess'
    bad.unlink()
    assert not store.save(small_store())


def test_bare_entry_is_read_by_its_name(store: DirectoryStore) -> None:
    """C.9: the format's first version, and it is written as today's."""
    replace(entry_file(store.path, "k"), json.dumps(session(1)).encode())
    assert store.get("k") == dict(store.items())["k"] == store.load()["k"] == session(1)
    assert {row.key: row.updated_ms for row in store.summaries()}["k"] == store.updated_at("k") == session(1)["updatedAt"]
    assert store.check() == ()
    store.update("k", lambda _: {"x": 1}, now_ms=1)
    assert json.loads(entry_file(store.path, "k").read_bytes()) == {"sessionKey": "k", "entry": session(1) | {"x": 1}}
    replace(entry_file(store.path, LONG), json.dumps(session(1)).encode())
    with pytest.raises(CorruptStoreError):
        store.get(LONG)


@pytest.mark.parametrize("key", ["__proto__", "prototype", "constructor", "__PROTO__"])
def test_blocked_key_is_never_loaded(store: DirectoryStore, key: str) -> None:
    """C.10: planted by hand, it is in no answer, and nothing touches it."""
    write(store.path, {key: b'{"sessionId":"x"}'})
    assert dict(store.items()) == dict(store.load()) == small_store()
    assert (len(list(store.summaries())), store.count(), store.get(key), store.delete(key)) == (3, 3, None, False)
    assert codes(store) == {"blocked_key"}
    assert entry_file(store.path, key).exists()


# -- hardening


@pytest.mark.parametrize("folder", [".", "entries"])
@pytest.mark.parametrize("mode", [0o720, 0o702, 0o777], ids=oct)
def test_folder_that_others_may_write_in_is_refused(store: DirectoryStore, folder: str, mode: int) -> None:
    """C.43: for writing; reading goes on, and check says so."""
    (store.path / folder).chmod(mode)
    before = photo(store.path)
    for attempt in (lambda: store.put(ALPHA, session()), lambda: store.delete(ALPHA), lambda: store.save({})):
        with pytest.raises(UnwritableError, match="refusing writable session-store directory"):
            attempt()
    assert photo(store.path) == before
    assert dict(store.items()) == small_store()
    assert codes(store) == {"unsafe_folder"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
@pytest.mark.parametrize("folder", [".", "entries"])
def test_folder_of_another_user_is_refused(store: DirectoryStore, folder: str) -> None:
    """C.43."""
    os.chown(store.path / folder, 12345, -1)
    with pytest.raises(UnwritableError, match="another user"):
        store.put(ALPHA, session())
    assert codes(store) == {"unsafe_folder"}


@pytest.mark.parametrize("swapped", ["sessions.d", "entries"])
def test_folder_swapped_for_a_link_meanwhile_leads_nobody_out(store: DirectoryStore, tmp_path: Path, swapped: str) -> None:
    """C.44: nothing is written where the link leads, and the writer is told."""
    outside = DirectoryStore(tmp_path / "outside" / "sessions.d")
    outside.save({ALPHA: session(7)})
    place = store.path if swapped == "sessions.d" else store.path / "entries"
    target = outside.path if swapped == "sessions.d" else outside.path / "entries"
    before = photo(tmp_path / "outside")

    def change(_: Any) -> dict[str, Any]:
        place.rename(place.with_name("moved"))
        place.symlink_to(target)
        return {"counter": 9}

    with pytest.raises((UncertainWriteError, UnwritableError)):
        store.update(ALPHA, change, now_ms=NOW_MS)
    assert photo(tmp_path / "outside") == before


@pytest.mark.parametrize("what", ["link", "folder"])
def test_only_regular_files_are_removed_or_replaced(store: DirectoryStore, tmp_path: Path, what: str) -> None:
    """C.45."""
    target = tmp_path / "target"
    target.write_bytes(b"kept")
    place = entry_file(store.path, "k")
    place.symlink_to(target) if what == "link" else place.mkdir()
    assert not store.delete("k")
    with pytest.raises(UnwritableError):
        store.put("k", session())
    assert not store.save(small_store())
    assert place.is_symlink() or place.is_dir()
    assert target.read_bytes() == b"kept"


def test_state_file_with_a_second_name_is_not_written_in_place(store: DirectoryStore, tmp_path: Path) -> None:
    """T8: hard-linked, the other name keeps its content."""
    os.link(store.path / "state.json", tmp_path / "other")
    before = (tmp_path / "other").read_bytes()
    store.put(ALPHA, session())
    assert (tmp_path / "other").read_bytes() == before
    assert version_of(store.path) == 2


def test_spool_gives_back_what_was_put_in_from_memory_and_from_a_file() -> None:
    pieces = [bytes([number]) * number for number in range(20)]
    for memory_bytes in (10, 1 << 20):
        with Spool(memory_bytes) as spool:
            places = [spool.put(memoryview(piece)) for piece in pieces]
            assert [spool.take(place) for place in reversed(places)] == pieces[::-1]


def test_entry_as_deep_as_may_be_stored_comes_back(store: DirectoryStore) -> None:
    """B.5: the file wraps the entry one level deeper, which must not make it too deep to be read."""
    stored = 0
    for depth in range(190, 205):
        nested: list[Any] = []
        for _ in range(depth):
            nested = [nested]
        with contextlib.suppress(InvalidEntryError):
            store.put("k", session(x=nested))
            stored = depth
            assert DirectoryStore(store.path).get("k") == dict(store.items())["k"] == session(x=nested)
            assert store.check() == ()
    assert 190 < stored < 204


def test_file_is_read_strictly_whenever_its_bytes_are_new(store: DirectoryStore) -> None:
    """T8: that a session was read, or written, a moment ago says nothing about what lies there now."""
    place = entry_file(store.path, "k")
    for _ in range(2):
        store.put("k", session(1))
        assert store.get("k") == session(1)
        assert store.updated_at("k") == session(1)["updatedAt"]
        kept = place.read_bytes()
        replace(place, kept.replace(b'"updatedAt"', b'"sessionId": "twice", "updatedAt"'))
        for attempt in (store.get, store.updated_at, lambda key: store.update(key, lambda _: {}, now_ms=1)):
            for _ in range(2):
                with pytest.raises(CorruptStoreError, match="twice"):
                    attempt("k")
        replace(place, kept)


def test_what_is_remembered_is_bounded() -> None:
    sound = SoundFiles(100)
    for number in range(50):
        sound.note(f"name-{number % 7}", bytes(20 + number % 3))
        assert sound.knows(f"name-{number % 7}", bytes(20 + number % 3))
        assert not sound.knows(f"name-{number % 7}", bytes(19))
        assert sum(map(len, sound._files.values())) == sound._bytes <= 100
    sound.note("large", bytes(101))
    assert not sound.knows("large", bytes(101))
    sound.clear()
    assert sound._bytes == 0
