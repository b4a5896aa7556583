"""Saves of the JSON store that need not write, and updates with a base, which need not read (E.20 to E.32)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from sessionlab import codec
from sessionlab.stores.json_cache import LIMIT_VARIABLE, TTL_VARIABLE
from sessionlab.stores.json_file import JSONFileStore
from sessionlab.stores.json_state import Identity, State
from sessionlab.stores.json_store import JSONStore
from sessionlab.stores.snapshot import Snapshot
from tests.stores.json_files import LARGE, Counts, changed_in_place, settled
from tests.stores.sample_entries import ALPHA, BETA, GAMMA, NOW_MS, session, small_store

pytestmark = pytest.mark.usefixtures("usual_cache_settings")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sessions.json"


@pytest.fixture
def store(path: Path) -> JSONStore:
    return JSONStore(path, durable=False)


# -- saves without a difference


def photo(path: Path) -> tuple[int, int, int, bytes]:
    found = path.stat()
    return found.st_ino, found.st_mtime_ns, found.st_ctime_ns, path.read_bytes()


@pytest.mark.parametrize("content", [small_store(), LARGE], ids=["small", "oversized"])
def test_save_without_a_difference_writes_nothing(store: JSONStore, content: dict[str, Any]) -> None:
    """E.20: for oversized stores as well, and from whatever the caller holds."""
    store.save(content)
    before = photo(store.path)
    loaded = store.load()
    assert loaded[next(iter(loaded))]
    for same in (loaded, dict(loaded), dict(content), JSONStore(store.path).load()):
        assert not store.save(same)
    for key in list(content)[:2]:
        store.put(key, content[key])
    assert photo(store.path) == before


def test_save_of_what_was_stored_before_another_program_wrote_is_a_write(store: JSONStore, path: Path) -> None:
    """E.21 (a): what is kept in memory is not trusted without a look at the file."""
    store.save(small_store())
    loaded = store.load()
    path.write_bytes(codec.encode_indented({GAMMA: session(8)}))
    assert store.save(loaded)
    assert dict(JSONStore(path).items()) == small_store()


def test_snapshot_of_a_file_that_was_only_touched_is_used(store: JSONStore, path: Path, counts: Counts) -> None:
    """E.20, E.23: the bytes decide; and they are compared once, not every time."""
    for content in (small_store(), LARGE):
        store.save(content)
        for loaded in (store.load(), JSONStore(path).load()):
            os.utime(path, (1_000_000, 1_000_000))
            settled(path)
            assert counts.during(lambda base=loaded: store.save(base)) == (1, 0)  # type: ignore[misc]
            assert counts.during(lambda base=loaded: store.save(base)) == (0, 0)  # type: ignore[misc]


# -- updates with a base


def touch(draft: Snapshot) -> None:
    key = next(iter(draft))
    draft[key]["counter"] = draft[key].get("counter", 0) + 1


@pytest.mark.parametrize("content", [small_store(), LARGE], ids=["small", "oversized"])
def test_updates_in_a_row_with_one_base_parse_nothing(store: JSONStore, content: dict[str, Any], counts: Counts) -> None:
    """E.25, E.31."""
    store.save(content)
    base = store.load()
    for _ in range(3):
        assert counts.during(lambda: store.transform(touch, base=base)) == (0, 0)
    assert next(iter(base.values()))["counter"] == next(iter(content.values())).get("counter", 0) + 3
    assert store.path.read_bytes() == codec.encode_indented(dict(base)) == codec.encode_indented(dict(JSONStore(store.path).items()))


def test_what_the_caller_still_holds_is_not_read_again(store: JSONStore, counts: Counts) -> None:
    """As E.25, without a base; and it is when nobody holds it any more."""
    store.save(LARGE)
    held = store.load()
    for _ in range(2):
        assert counts.during(lambda: store.transform(touch)) == (0, 0)
        held = store.load()
    del held
    reads, parses = counts.during(lambda: store.transform(touch))
    assert reads > 0
    assert parses > 0
    assert next(iter(dict(JSONStore(store.path).items()).values()))["counter"] == 3


@pytest.mark.parametrize("content", [small_store(), LARGE], ids=["small", "oversized"])
def test_file_is_the_same_whatever_is_kept(tmp_path: Path, content: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """E.32: neither limit, nor age, nor a base has a say in the bytes."""

    def outcome(name: str, *, with_base: bool) -> list[bytes]:
        store, found = JSONStore(tmp_path / name, durable=False), []
        store.save(content)
        base = store.load() if with_base else None
        for change in (touch, lambda draft: draft.pop(next(iter(draft))), lambda draft: draft.update({"new": session()}), touch):
            store.transform(change, base=base)
            found.append(store.path.read_bytes())
        store.update("new", lambda _: {"label": "x"}, now_ms=NOW_MS)
        return [*found, store.path.read_bytes()]

    usual = outcome("usual", with_base=False)
    assert usual[-1] == codec.encode_indented(dict(JSONStore(tmp_path / "usual").items()))
    assert outcome("base", with_base=True) == usual
    for variable in (LIMIT_VARIABLE, TTL_VARIABLE):
        with monkeypatch.context() as here:
            here.setenv(variable, "0")
            assert outcome(f"{variable}-base", with_base=True) == outcome(variable, with_base=False) == usual


def test_base_of_a_file_just_written_by_another_program_is_compared_not_parsed(store: JSONStore, counts: Counts) -> None:
    """E.23 (a)."""
    store.path.write_bytes(codec.encode_indented(LARGE))
    base = store.load()
    reads, parses = counts.during(lambda: store.transform(touch, base=base))
    assert reads <= 1
    assert parses == 0


def test_base_of_a_file_just_written_by_another_object_of_this_process_is_not_even_compared(store: JSONStore, counts: Counts) -> None:
    JSONStore(store.path).save(LARGE)
    base = store.load()
    assert counts.during(lambda: store.transform(touch, base=base)) == (0, 0)
    JSONStore(store.path).save({**LARGE, ALPHA: session(counter=7)})
    assert store.transform(touch, base=base) is not base
    assert (store.get(ALPHA) or {})["counter"] == 7


def test_concurrent_change_on_disk_survives(store: JSONStore, path: Path) -> None:
    """E.24: by another program, of the same size, in the same moment."""
    store.save({ALPHA: session(counter=0), BETA: session(counter=0)})
    base = store.load()
    path.write_bytes(path.read_bytes()[::-1].replace(b'0 :"retnuoc"', b'7 :"retnuoc"', 1)[::-1])
    found = store.transform(touch, base=base)
    assert found is not base
    assert {key: entry["counter"] for key, entry in store.items()} == {ALPHA: 1, BETA: 7}


def test_draft_of_a_base_whose_spellings_were_merged_is_loaded_anew(store: JSONStore, path: Path) -> None:
    """E.27: a store that a save normalises is not what the draft shows."""
    path.write_bytes(codec.encode_indented({"A:B:C": session(1), "a:b:c": session(2)}))
    base = store.load()
    found = store.transform(lambda draft: draft["a:b:c"].update(counter=9, updatedAt=NOW_MS), base=base)
    assert found is not base
    assert dict(found) == dict(store.items()) == {"a:b:c": session(2, counter=9, updatedAt=NOW_MS)}
    assert store.transform(touch, base=found) is found
    assert dict(store.items()) == dict(found)


def test_snapshot_shows_itself_in_a_line(store: JSONStore) -> None:
    assert repr(store.load()) == "<0 sessions, as loaded from no file>"
    store.save(LARGE)
    assert repr(store.load()).startswith("<320 sessions, as loaded from inode ")
    assert len(repr(store.load())) < 100


def test_file_that_changes_while_it_is_read_is_not_taken_for_certain(store: JSONStore, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading may take longer than a step of the clock: what counts is how old the file was before."""
    path.write_bytes(codec.encode_indented({ALPHA: session(counter=1)}))
    read = JSONFileStore.content

    def slow(reader: JSONFileStore) -> bytes:
        data = read(reader)
        settled(path)
        return data

    monkeypatch.setattr(JSONFileStore, "content", slow)
    origin = store.load().origin
    assert isinstance(origin, State)
    assert not origin.is_certain


def test_base_is_compared_while_the_clock_stands_still(store: JSONStore, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """E.23, E.24: a change in place, of the same size and in the same step of the clock, shows in nothing but the bytes."""
    monkeypatch.setattr(Identity, "of", lambda found: Identity(1, 1, found.st_size, 1, 1))
    monkeypatch.setattr(Identity, "is_settled", lambda _: False)
    path.write_bytes(codec.encode_indented({ALPHA: session(counter=0), BETA: session(counter=0)}))
    base = store.load()
    changed_in_place(path, codec.encode_indented({ALPHA: session(counter=0), BETA: session(counter=7)}))
    assert store.transform(touch, base=base) is not base
    assert {key: entry["counter"] for key, entry in store.items()} == {ALPHA: 1, BETA: 7}
