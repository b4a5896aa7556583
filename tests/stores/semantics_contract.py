"""What every writable store promises a single program, wherever it keeps its bytes; `store_contract` adds what is promised of files."""

from __future__ import annotations

import copy
import json
import random
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, NoReturn

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings

from sessionlab.entry import Entry, summary_of
from sessionlab.errors import InvalidEntryError, InvalidKeyError
from sessionlab.stores.base import Fingerprint
from sessionlab.stores.memory import MemoryStore
from sessionlab.stores.writing import WritableStore
from tests.stores.sample_entries import (
    ALPHA,
    BETA,
    ENTRIES,
    EXACT,
    GAMMA,
    KEPT_KEYS,
    NOW_MS,
    REFUSED_ENTRIES,
    REFUSED_KEYS,
    session,
    small_store,
)
from tests.stores.test_reading_contract import independent_digest

NUMBERS = ("numbers", "whole-floats")
"""Entries whose floats JavaScript writes without a fraction; 1.0 comes back as 1, which is equal."""


class BoomError(Exception):
    """What a caller's own function raises."""


def boom(*_: Any) -> NoReturn:
    raise BoomError


class SemanticsContract:
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

    # -- update

    def test_update_lays_the_patch_over_the_entry(self, filled: WritableStore) -> None:
        """C.20, C.21, F.4: unknown fields and the order stay, new fields come last, one that is UNSET goes, the clock is the argument."""
        seen: list[Entry] = []

        def change(entry: Entry) -> dict[str, Any]:
            seen.append(copy.deepcopy(entry))
            return {"counter": 7, "new": [1], "label": msgspec.UNSET, "status": "running"}

        found = filled.update(ALPHA, change, now_ms=NOW_MS + 5)
        before = small_store()[ALPHA]
        expected = {name: value for name, value in before.items() if name != "label"}
        expected |= {"counter": 7, "status": "running", "updatedAt": NOW_MS + 5, "new": [1]}
        assert seen == [before]
        assert found == filled.get(ALPHA) == expected
        assert list(found or ()) == list(filled.get(ALPHA) or ()) == list(expected)
        assert dict(filled.items()) == small_store() | {ALPHA: expected}

    def test_update_never_makes_a_session_older(self, filled: WritableStore) -> None:
        filled.update(ALPHA, lambda _: {"counter": 1}, now_ms=5)
        assert filled.updated_at(ALPHA) == NOW_MS - 2_000

    def test_update_of_an_absent_session_calls_nothing(self, filled: WritableStore) -> None:
        """C.20."""
        assert filled.update("agent:main:absent", boom, now_ms=NOW_MS) is None
        self.unchanged(filled, small_store())

    def test_update_without_a_patch_writes_nothing(self, filled: WritableStore) -> None:
        """C.20: also when the caller's function changed the copy that it was given."""
        assert filled.update(BETA, lambda entry: entry["skillsSnapshot"].clear(), now_ms=NOW_MS) == small_store()[BETA]
        self.unchanged(filled, small_store())

    @pytest.mark.parametrize(
        ("change", "error"),
        [
            pytest.param(boom, BoomError, id="change"),
            pytest.param(lambda _: 5, TypeError, id="merge"),
            pytest.param(lambda _: {"x": float("nan")}, InvalidEntryError, id="encode"),
            pytest.param(lambda entry: entry.clear() or boom(), BoomError, id="change-after-damage"),
        ],
    )
    def test_update_leaves_the_store_unchanged_when_it_raises(self, filled: WritableStore, change: Any, error: type[Exception]) -> None:
        """B.6, C.24, D.31: the error is the caller's, and the next writer goes on."""
        for _ in range(3):
            with pytest.raises(error):
                filled.update(ALPHA, change, now_ms=NOW_MS)
        self.unchanged(filled, small_store())

    def test_update_of_an_entry_that_may_not_be_stored_is_no_update(self, filled: WritableStore) -> None:
        with pytest.raises(InvalidEntryError):
            filled.update(ALPHA, lambda _: {"x": object()}, now_ms=NOW_MS)
        self.unchanged(filled, small_store())

    # -- delete

    def test_delete_removes_one_session_and_says_so(self, filled: WritableStore) -> None:
        """B.7: silent for one that is not there."""
        assert filled.delete(ALPHA)
        assert not filled.delete(ALPHA)
        expected = {key: entry for key, entry in small_store().items() if key != ALPHA}
        assert filled.get(ALPHA) is None
        assert [row.key for row in filled.summaries()] == [BETA, GAMMA]
        self.unchanged(filled, expected)

    def test_last_session_may_go(self, store: WritableStore) -> None:
        store.put(ALPHA, session())
        assert store.delete(ALPHA)
        assert (store.count(), dict(store.load()), store.fingerprint().count) == (0, {}, 0)
        store.put(ALPHA, session(2))
        assert dict(store.items()) == {ALPHA: session(2)}

    # -- save and load

    def test_saved_is_what_is_loaded(self, store: WritableStore) -> None:
        """B.4, B.6, C.23, F.4: load-after-save equality, and a save replaces the full set."""
        first = small_store() | {f"agent:main:{name}": entry for name, entry in EXACT.items()}
        assert store.save(first)
        assert dict(store.load()) == dict(store.items()) == first
        second = {ALPHA: session(3), "agent:main:new": session(4), BETA: first[BETA]}
        assert store.save(second)
        assert dict(store.load()) == dict(store.items()) == second
        assert store.save({})
        assert (dict(store.load()), store.count()) == ({}, 0)

    def test_equal_save_changes_nothing(self, filled: WritableStore) -> None:
        """C.15, E.20: another order of keys or of fields alone is no difference."""
        shuffled = {key: dict(reversed(entry.items())) for key, entry in reversed(small_store().items())}
        for content in (small_store(), filled.load(), shuffled):
            before = filled.load()
            assert not filled.save(content)
            assert filled.transform(lambda _: None, base=before) is before
        self.unchanged(filled, small_store())

    def test_save_of_a_changed_snapshot_stores_the_change(self, filled: WritableStore) -> None:
        content = filled.load()
        content[ALPHA]["counter"] = 5
        content["agent:main:new"] = session(4)
        del content[GAMMA]
        assert filled.save(content)
        expected = small_store() | {ALPHA: small_store()[ALPHA] | {"counter": 5}, "agent:main:new": session(4)}
        del expected[GAMMA]
        self.unchanged(filled, expected)

    def test_sessions_keep_their_places(self, filled: WritableStore) -> None:
        """F.9: a session that is written again stays where it is, a new one comes last."""
        if not self.keeps_places:
            places = [key for key, _ in filled.items()]
            filled.put(ALPHA, session(7))
            assert [key for key, _ in filled.items()] == places
            return
        filled.put(GAMMA, session(7))
        filled.put("agent:main:new", session(8))
        filled.update(ALPHA, lambda _: {"counter": 1}, now_ms=NOW_MS)
        assert [key for key, _ in filled.items()] == list(filled.load()) == [GAMMA, ALPHA, BETA, "agent:main:new"]
        filled.delete(ALPHA)
        filled.put(ALPHA, session(9))
        filled.save(dict(reversed(list(filled.load().items()))))
        assert [key for key, _ in filled.items()] == [GAMMA, BETA, "agent:main:new", ALPHA]

    # -- listings, counts, identity

    def test_summaries_say_what_the_entries_say_newest_first(self, store: WritableStore) -> None:
        """B.11: equal to `summary_of` for every entry, latest update first, those without one last, then by key."""
        content = small_store() | {f"agent:main:{name}": entry for name, entry in EXACT.items()}
        content |= {"agent:main:old": session(updatedAt=-5), "agent:main:zero": session(updatedAt=0)}
        store.save(content)
        wanted = [summary_of(key, entry) for key, entry in content.items()]
        wanted.sort(key=lambda row: (row.updated_ms is None, -(row.updated_ms or 0), row.key))
        assert list(store.summaries()) == wanted

    def test_summaries_follow_every_write(self, filled: WritableStore) -> None:
        filled.update(GAMMA, lambda _: {"label": "new", "totalTokens": None}, now_ms=NOW_MS)
        row = next(filled.summaries())
        assert (row.key, row.label, row.total_tokens, row.updated_ms) == (GAMMA, "new", None, NOW_MS)

    def test_old_names_of_fields_are_understood_and_kept(self, store: WritableStore) -> None:
        """D.48: what is listed goes by them; a write elsewhere does not touch them, and nothing is lost when OpenClaw reads them."""
        store.save({ALPHA: session(provider="telegram", room="r"), BETA: session(lastProvider="slack"), GAMMA: session()})
        store.update(GAMMA, lambda _: {"provider": "sms", "channel": "whatsapp"}, now_ms=NOW_MS)
        assert {row.key: row.channel for row in store.summaries()} == {ALPHA: "telegram", BETA: "slack", GAMMA: "whatsapp"}
        assert store.get(ALPHA) == session(provider="telegram", room="r")
        assert store.get(BETA) == session(lastProvider="slack")

    def test_count_stats_and_fingerprint_are_the_oracles(self, store: WritableStore) -> None:
        """B.8."""
        oracle = MemoryStore()
        chance = random.Random(20_260_523)
        for step in range(40):
            key = f"agent:main:{chance.randrange(12)}"
            for one in (store, oracle):
                if step % 3 == 2:
                    one.delete(key)
                else:
                    one.put(key, EXACT[list(EXACT)[step % 12]])
            assert store.count() == store.stats().sessions == oracle.count()
            assert store.fingerprint() == oracle.fingerprint()
            assert store.examine()[0] == oracle.fingerprint()
        assert list(store.summaries()) == list(oracle.summaries())
        assert store.stats().kind == store.kind == self.kind
        assert store.stats().path == str(store.path)

    def test_fingerprint_forgets_history(self, store: WritableStore) -> None:
        content = small_store()
        for key in (GAMMA, BETA, "agent:main:gone", ALPHA):
            store.put(key, session(5))
        for key, entry in content.items():
            store.put(key, dict(reversed(entry.items())))
        store.delete("agent:main:gone")
        assert store.fingerprint() == Fingerprint(3, independent_digest(content))
        store.update(ALPHA, lambda _: {"counter": 1}, now_ms=NOW_MS)
        assert store.fingerprint() != Fingerprint(3, independent_digest(content))
        store.save(content)
        assert store.fingerprint() == Fingerprint(3, independent_digest(content))

    def test_sound_store_has_no_findings(self, filled: WritableStore) -> None:
        assert filled.check() == ()

    def test_odd_entries_are_findings_not_errors(self, store: WritableStore) -> None:
        store.put(ALPHA, EXACT["ill-typed-columns"])
        assert {problem.code for problem in store.check()} == {"ill_typed_field"}
        assert {problem.severity for problem in store.check()} == {"warning"}

    def test_reading_may_be_given_up_and_interleaved(self, filled: WritableStore) -> None:
        first, second = filled.items(), filled.items()
        assert next(first) == next(second)
        next(filled.summaries())
        next(filled.raw_items())
        assert len([*first, *second]) == 4

    def test_writing_goes_on_while_items_are_read(self, filled: WritableStore) -> None:
        """B.12: a reading that has begun shows one state, the one before."""
        for reading in (filled.items, lambda: ((key, json.loads(raw)) for key, raw in filled.raw_items())):
            filled.save({key: entry | {"counter": 0} for key, entry in small_store().items()})
            begun = reading()
            head = next(begun)
            filled.save({key: entry | {"counter": 1} for key, entry in small_store().items()} | {"agent:main:new": session(counter=1)})
            assert [entry["counter"] for _, entry in (head, *begun)] == [0, 0, 0]
            assert {entry["counter"] for _, entry in filled.items()} == {1}
