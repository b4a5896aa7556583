"""What every writable store promises a single program, wherever it keeps its bytes; `store_contract` adds what is promised of files."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

import msgspec
import pytest

from sessionlab.entry import Entry, summary_of
from sessionlab.errors import InvalidEntryError, UsageError
from sessionlab.stores.base import Fingerprint
from sessionlab.stores.memory import MemoryStore
from sessionlab.stores.writing import WritableStore
from tests.stores.entry_contract import BoomError, EntryContract, boom
from tests.stores.reading_contract import independent_digest
from tests.stores.sample_entries import (
    ALPHA,
    BETA,
    EXACT,
    GAMMA,
    NOW_MS,
    session,
    small_store,
)


class SemanticsContract(EntryContract):
    """Changes, listings, counts and identity."""

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

    @pytest.mark.parametrize("now_ms", [float("nan"), float("inf"), 1.5, True, None, "1"], ids=repr)
    def test_clock_that_says_no_whole_number_is_refused(self, filled: WritableStore, now_ms: Any) -> None:
        for attempt in (
            lambda: filled.update(ALPHA, lambda _: {"counter": 1}, now_ms=now_ms),
            lambda: filled.touch(ALPHA, {"counter": 1}, now_ms=now_ms),
            lambda: filled.touch(ALPHA, {"totalTokens": 1}, now_ms=now_ms),
            lambda: filled.touch(ALPHA, {"totalTokens": 1, "updatedAt": NOW_MS}, now_ms=now_ms),
        ):
            with pytest.raises(UsageError, match=r"now_ms=.*: must be a whole number of milliseconds"):
                attempt()
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
