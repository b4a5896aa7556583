"""What every writable store promises of single entries and their keys; `semantics_contract` adds what is promised of changes."""

from __future__ import annotations

import copy
import json
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar, NoReturn

import pytest
from hypothesis import HealthCheck, given, settings

from sessionlab.entry import Entry, summary_of
from sessionlab.errors import InvalidEntryError, InvalidKeyError
from sessionlab.stores.base import Fingerprint
from sessionlab.stores.writing import WritableStore
from tests.stores.reading_contract import independent_digest
from tests.stores.sample_entries import (
    ALPHA,
    BETA,
    ENTRIES,
    EXACT,
    KEPT_KEYS,
    NOW_MS,
    REFUSED_ENTRIES,
    REFUSED_KEYS,
    session,
    small_store,
)

NUMBERS = ("numbers", "whole-floats")
"""Entries whose floats JavaScript writes without a fraction; 1.0 comes back as 1, which is equal."""


class BoomError(Exception):
    """What a caller's own function raises."""


def boom(*_: Any) -> NoReturn:
    raise BoomError


class EntryContract:
    """A subclass says how an empty store is made; it inherits every promise that needs no file."""

    kind: ClassVar[str]
    keeps_places: ClassVar[bool] = True
    """Whether sessions keep their places when they are written again; `False` for a store whose own order is that of names."""

    def fresh(self, folder: Path) -> WritableStore:
        """Return an empty store in this empty folder."""
        raise NotImplementedError

    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[WritableStore]:
        """Return an empty store."""
        with self.fresh(tmp_path) as made:
            yield made

    @pytest.fixture
    def filled(self, store: WritableStore) -> WritableStore:
        """Return a store that holds `small_store()`."""
        assert store.save(small_store())
        return store

    def unchanged(self, store: WritableStore, expected: dict[str, Entry]) -> None:
        """Assert that the store holds exactly these entries, and still works."""
        assert dict(store.items()) == expected
        assert store.fingerprint() == Fingerprint(len(expected), independent_digest(expected))
        store.put("agent:main:probe", session())
        assert store.delete("agent:main:probe")

    # -- a store without sessions

    def test_empty_store_holds_nothing(self, store: WritableStore) -> None:
        assert (list(store.items()), list(store.raw_items()), list(store.summaries()), dict(store.load())) == ([], [], [], {})
        assert (store.count(), store.stats().sessions, store.check()) == (0, 0, ())
        assert store.fingerprint() == Fingerprint(0, independent_digest({}))
        assert store.get(ALPHA) is None
        assert store.updated_at(ALPHA) is None
        assert store.update(ALPHA, boom, now_ms=NOW_MS) is None
        assert not store.delete(ALPHA)

    def test_saving_nothing_into_an_empty_store_writes_nothing(self, store: WritableStore) -> None:
        assert not store.save({})
        assert store.count() == 0

    # -- put and get

    @pytest.mark.parametrize("name", EXACT)
    def test_entry_comes_back_field_for_field(self, store: WritableStore, name: str) -> None:
        """B.5, F.4: types, nulls, zeros, blanks, unknown fields and the order of fields are kept."""
        entry = EXACT[name]
        store.put(ALPHA, copy.deepcopy(entry))
        found = store.get(ALPHA)
        assert found is not None
        assert found == entry
        assert json.dumps(found) == json.dumps(entry if name not in NUMBERS else found), "an order or a type has changed"
        assert dict(store.items()) == dict(store.load()) == {ALPHA: entry}
        assert [json.loads(raw) for _, raw in store.raw_items()] == [entry]

    def test_any_json_object_comes_back(self, store: WritableStore) -> None:
        """B.5, B.7."""

        @settings(max_examples=60, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(first=ENTRIES, second=ENTRIES)
        def comes_back(first: Entry, second: Entry) -> None:
            store.put(ALPHA, first)
            store.put(BETA, second)
            store.put(ALPHA, second)
            store.put(BETA, first)
            assert store.get(ALPHA) == second
            assert store.get(BETA) == first
            assert {row.key: row for row in store.summaries()} == {ALPHA: summary_of(ALPHA, second), BETA: summary_of(BETA, first)}

        comes_back()

    def test_put_replaces_the_whole_entry(self, filled: WritableStore) -> None:
        """B.7: exactly one session is overwritten, and no field of the former entry comes back."""
        filled.put(ALPHA, {"sessionId": "new"})
        assert dict(filled.items()) == small_store() | {ALPHA: {"sessionId": "new"}}
        assert {row.key: row for row in filled.summaries()}[ALPHA] == summary_of(ALPHA, {"sessionId": "new"})

    def test_store_keeps_no_hold_of_what_it_was_given(self, store: WritableStore) -> None:
        entry = small_store()[BETA]
        store.put(ALPHA, entry)
        content = {BETA: small_store()[BETA], ALPHA: entry}
        store.save(content)
        entry["label"] = "changed"
        entry["skillsSnapshot"]["skills"].clear()
        content[BETA].clear()
        assert dict(store.items()) == {ALPHA: small_store()[BETA], BETA: small_store()[BETA]}

    def test_get_returns_independent_copies(self, filled: WritableStore) -> None:
        """E.2."""
        for found in (
            filled.get(BETA),
            dict(filled.items())[BETA],
            filled.load()[BETA],
            filled.update(BETA, lambda _: None, now_ms=NOW_MS),
        ):
            assert found is not None
            found["skillsSnapshot"]["skills"].clear()
            found.clear()
            assert filled.get(BETA) == small_store()[BETA]
        changed = filled.update(BETA, lambda entry: {"list": [entry["sessionId"]]}, now_ms=NOW_MS)
        assert changed is not None
        changed["list"].append("more")
        assert (filled.get(BETA) or {})["list"] == ["id-1"]

    def test_updated_at_is_the_entrys(self, filled: WritableStore) -> None:
        """C.19: in any spelling of the key."""
        assert filled.updated_at(ALPHA) == filled.updated_at(f" {ALPHA.upper()}\n") == NOW_MS - 2_000
        filled.put(ALPHA, {"sessionId": "id"})
        assert filled.updated_at(ALPHA) is None
        assert filled.updated_at("agent:main:absent") is None

    # -- keys

    def test_keys_are_trimmed_and_lower_cased_on_every_path(self, store: WritableStore) -> None:
        """C.6, F.14: a session is found, changed and removed in any spelling, and is stored under one."""
        spelling = f"  {ALPHA.upper()}\t"
        store.put(spelling, session())
        assert list(dict(store.items())) == list(store.load()) == [row.key for row in store.summaries()] == [ALPHA]
        assert store.get(spelling) == store.get(ALPHA) == session()
        assert (store.update(spelling, lambda _: {"counter": 1}, now_ms=NOW_MS) or {})["counter"] == 1
        assert (store.get(ALPHA) or {})["counter"] == 1
        assert store.save({"AGENT:main:MAIN": session(1, counter=2)})
        assert dict(store.items()) == {ALPHA: session(1, counter=2)}
        assert not store.save({"Agent:Main:Main": session(1, counter=2)})
        store.transform(lambda draft: draft.update({spelling: session(1, counter=3, updatedAt=NOW_MS)}))
        assert dict(store.items()) == {ALPHA: session(1, counter=3, updatedAt=NOW_MS)}
        assert store.delete(spelling)
        assert store.count() == 0

    def test_newest_spelling_counts(self, store: WritableStore) -> None:
        """C.30: of equally old ones the last."""
        store.save({"A:B:C": session(1), "a:b:C": session(5), "a:b:c": session(9)})
        assert dict(store.items()) == {"a:b:c": session(1)}
        store.save({"A:B:C": session(1, tag=1), "a:b:C": session(1, tag=2)})
        assert dict(store.items()) == {"a:b:c": session(1, tag=2)}

    def test_odd_keys_are_sessions_of_their_own(self, store: WritableStore) -> None:
        """C.4, F.15: nothing in a key is a path, a pattern or a query."""
        assert len({unicodedata.normalize("NFC", key) for key in KEPT_KEYS}) < len(KEPT_KEYS)
        content = {key: session(place) for place, key in enumerate(KEPT_KEYS)}
        for key, entry in content.items():
            store.put(key, entry)
        assert dict(store.items()) == content
        assert store.fingerprint() == Fingerprint(len(content), independent_digest(content))
        for key, entry in content.items():
            assert store.get(key) == entry
        assert not store.save(content)
        for key in KEPT_KEYS[::2]:
            assert store.delete(key)
            assert not store.delete(key)
        assert dict(store.items()) == {key: content[key] for key in KEPT_KEYS[1::2]}

    @pytest.mark.parametrize("name", REFUSED_KEYS)
    def test_hostile_key_is_refused_and_the_store_unchanged(self, filled: WritableStore, name: str) -> None:
        """B.47, C.6, C.10, F.15."""
        key = REFUSED_KEYS[name]
        for attempt in (
            lambda: filled.put(key, session()),
            lambda: filled.update(key, boom, now_ms=NOW_MS),
            lambda: filled.save({"agent:main:other": session(), key: session()}),
            lambda: filled.transform(lambda draft: draft.update({"agent:main:other": session(), key: session()})),
        ):
            with pytest.raises(InvalidKeyError):
                attempt()
        assert filled.get(key) is None
        assert filled.updated_at(key) is None
        assert not filled.delete(key)
        self.unchanged(filled, small_store())

    @pytest.mark.parametrize("key", [5, None, b"agent:main:main", ["x"]], ids=repr)
    def test_key_that_is_no_text_is_refused(self, filled: WritableStore, key: Any) -> None:
        attempts: list[Callable[[], object]] = [
            lambda: filled.get(key),
            lambda: filled.updated_at(key),
            lambda: filled.put(key, session()),
            lambda: filled.update(key, boom, now_ms=NOW_MS),
            lambda: filled.touch(key, {"counter": 1}, now_ms=NOW_MS),
            lambda: filled.delete(key),
        ]
        if not isinstance(key, list):
            attempts.append(lambda: filled.save({key: session()}))
        for attempt in attempts:
            with pytest.raises(InvalidKeyError, match="is no text"):
                attempt()
        self.unchanged(filled, small_store())

    def test_key_that_utf_8_cannot_carry_is_refused(self, filled: WritableStore) -> None:
        with pytest.raises(InvalidKeyError):
            filled.put("agent:main:\ud800", session())

    def test_looking_for_a_key_that_utf_8_cannot_carry_finds_nothing(self, filled: WritableStore) -> None:
        assert filled.get("agent:main:\ud800") is None
        assert not filled.delete("agent:main:\ud800")

    # -- refused entries

    @pytest.mark.parametrize("name", REFUSED_ENTRIES)
    def test_entry_that_would_not_survive_is_refused_and_the_store_unchanged(self, filled: WritableStore, name: str) -> None:
        make = REFUSED_ENTRIES[name]
        for attempt in (
            lambda: filled.put(ALPHA, make()),
            lambda: filled.save({"agent:main:other": session(), ALPHA: make()}),
            lambda: filled.transform(lambda draft: draft.update({"agent:main:other": session(), ALPHA: make()})),
        ):
            with pytest.raises(InvalidEntryError):
                attempt()
        self.unchanged(filled, small_store())
