"""One session of a directory store is changed: what is written anew, and what another program or a crash did meanwhile (C.14 to C.23)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sessionlab.entry import Entry, merge
from sessionlab.errors import CorruptStoreError, InvalidEntryError
from sessionlab.stores.directory import DirectoryStore
from tests.stores.directory_files import around, entry_file, read, replace, version_of, write
from tests.stores.sample_entries import ALPHA, NOW_MS, session, small_store

LONG = "agent:main:" + "x" * 300
ENTRY: Entry = {
    "sessionId": "id",
    "updatedAt": 5,
    "empty": {},
    "none": [],
    "large": {"text": 'a "quoted"\n    "line": {', "list": [1, {"deep": [None, True]}], "é\\": "\u2028"},
    "model": "m",
    "modelProvider": "p",
    "": "a blank name",
}
FORMS: dict[str, Callable[[str], str]] = {
    "ours": lambda key: json.dumps({"sessionKey": key, "entry": ENTRY}, indent=2, ensure_ascii=False),
    "codes": lambda key: json.dumps({"sessionKey": key, "entry": ENTRY}, indent=2),
    "compact": lambda key: json.dumps({"sessionKey": key, "entry": ENTRY}),
    "indented by four": lambda key: json.dumps({"sessionKey": key, "entry": ENTRY}, indent=4),
    "turned round": lambda key: json.dumps({"entry": ENTRY, "sessionKey": key}, indent=2),
    "more in it": lambda key: json.dumps({"sessionKey": key, "entry": ENTRY, "more": {}}, indent=2),
    "bare": lambda _: json.dumps(ENTRY, indent=2),
}
PATCHES: list[dict[str, Any]] = [
    {"label": "new"},
    {"model": "other", "large": msgspec.UNSET},
    {"large": {"text": "small"}, "updatedAt": 2.0},
    {},
]


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    """Return a store with three sessions."""
    made = DirectoryStore(tmp_path / "sessions.d")
    made.save(small_store())
    return made


@pytest.mark.parametrize(("form", "key"), [(form, key) for form in FORMS for key in ("k", "K", LONG) if (form, key) != ("bare", LONG)])
def test_merge_comes_out_the_same_whatever_the_file_looked_like(store: DirectoryStore, form: str, key: str) -> None:
    """C.20, F.1: read for the first time or again, updated or touched; what is written is a file as the format says (C.3)."""
    write(store.path, {})  # another program's state: there may be any spelling
    for patch in PATCHES:
        for is_touched in (False, True):
            for is_known in (False, True):
                name = key.lower()
                store.delete(name)
                replace(entry_file(store.path, key), FORMS[form](key).encode())
                write(store.path, {})
                if is_known:
                    assert store.get(name) == ENTRY
                expected = merge(ENTRY, patch, now_ms=NOW_MS)
                if is_touched:
                    assert store.touch(name, patch, now_ms=NOW_MS)
                else:
                    assert store.update(name, lambda _, patch=patch: patch, now_ms=NOW_MS) == expected  # type: ignore[misc]
                text = read(store.path)[name]
                assert list(json.loads(text).items()) == list(expected.items())
                if form != "codes":
                    start, end = around(name)
                    document = {"sessionKey": name, "entry": expected}
                    assert start + text + end == json.dumps(document, indent=2, ensure_ascii=False).encode()
                assert store.get(name) == DirectoryStore(store.path).get(name) == expected


def test_what_a_change_does_not_bring_keeps_its_bytes(store: DirectoryStore) -> None:
    """C.20: a number and a text stay as another program wrote them."""
    kept = '{\n    "sessionId": "id",\n    "cost": 1.50e0,\n    "name": "\\u00e9",\n    "label": "%s",\n    "updatedAt": %d\n  }'
    write(store.path, {"k": (kept % ("old", 5)).encode()})
    store.update("k", lambda _: {"label": "new"}, now_ms=7)
    assert read(store.path)["k"] == (kept % ("new", 7)).encode()
    store.touch("k", {"label": "newer"}, now_ms=8)
    assert read(store.path)["k"] == (kept % ("newer", 8)).encode()


def test_what_a_change_does_to_its_copy_is_not_stored(store: DirectoryStore) -> None:
    """C.20: nor returned; the entry that comes back is the caller's alone."""
    store.put("k", ENTRY)

    def spoil(entry: Entry) -> dict[str, Any]:
        entry["large"]["list"][1]["deep"].append("spoilt")
        entry["empty"]["x"] = 1
        return {"label": "new"}

    after = store.update("k", spoil, now_ms=NOW_MS)
    expected = merge(ENTRY, {"label": "new"}, now_ms=NOW_MS)
    assert after == expected
    after["large"]["list"].clear()
    assert store.get("k") == expected


def test_bad_patch_and_bad_file_are_refused(store: DirectoryStore) -> None:
    """C.8, C.24: by `touch` as well; the file stays as it is."""
    store.put("k", ENTRY)
    place = entry_file(store.path, "k")
    before = place.read_bytes()
    for patch in ({"x": float("nan")}, {"x": {1: 2}}, {"x": (1,)}):
        with pytest.raises(InvalidEntryError):
            store.touch("k", patch, now_ms=1)
        with pytest.raises(InvalidEntryError):
            store.update("k", lambda _, patch=patch: patch, now_ms=1)  # type: ignore[misc]
    assert place.read_bytes() == before
    bad = before.replace(b'"updatedAt"', b'"sessionId": "twice", "updatedAt"')
    replace(place, bad)
    for _ in range(2):
        with pytest.raises(CorruptStoreError, match="twice"):
            store.touch("k", {"x": 1}, now_ms=1)
    assert place.read_bytes() == bad


@pytest.mark.parametrize("is_in_place", [False, True])
def test_version_goes_on_from_what_another_program_wrote_meanwhile(store: DirectoryStore, *, is_in_place: bool) -> None:
    """C.14: one that does not mind the lock; its version is not given out a second time, and ours is not lost."""

    def change(_: Entry) -> dict[str, Any]:
        if is_in_place:
            state = store.path / "state.json"
            state.write_bytes(state.read_bytes().replace(b'"version": 1', b'"version": 2'))
        else:
            write(store.path, {"other": b'{"sessionId": "x"}'})
        return {"label": "new"}

    store.update(ALPHA, change, now_ms=NOW_MS)
    assert version_of(store.path) == 3


def test_removal_finds_a_session_that_a_crash_left_in_the_journal(store: DirectoryStore) -> None:
    """C.17, T1: it was decided, readers see it, and so it can be removed; what the journal removes is gone."""
    journal = store.path / "journal"
    journal.mkdir(mode=0o700)
    start, end = around("k")
    (journal / entry_file(store.path, "k").name).write_bytes(start + json.dumps(session(1)).encode() + end)
    manifest = {"version": 2, "removed": [entry_file(store.path, ALPHA).name]}
    (journal / "manifest.json").write_text(json.dumps(manifest))
    assert (store.get("k"), store.get(ALPHA)) == (session(1), None)
    assert not store.delete(ALPHA)
    assert store.delete("k")
    assert store.get("k") is None
    assert not journal.exists()
    assert version_of(store.path) == 3
