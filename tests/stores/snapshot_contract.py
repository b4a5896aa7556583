"""What `load` and `transform` promise about snapshots of a store (E.22 to E.29); part of the store contract."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sessionlab.entry import Entry
from sessionlab.errors import InvalidEntryError
from sessionlab.stores.snapshot import Snapshot
from sessionlab.stores.writing import WritableStore
from tests.stores.entry_contract import BoomError, boom
from tests.stores.sample_entries import ALPHA, BETA, GAMMA, NOW_MS, session, small_store
from tests.stores.semantics_contract import SemanticsContract


def touch(draft: Snapshot) -> None:
    """Change one session, add one and remove one."""
    draft[ALPHA]["counter"] += 1
    draft["agent:main:new"] = session(4)
    draft.pop(GAMMA, None)


def touched(content: dict[str, Entry], counter: int = 1) -> dict[str, Entry]:
    """Return what a store holds after `touch`."""
    changed = content | {ALPHA: content[ALPHA] | {"counter": counter}, "agent:main:new": session(4)}
    changed.pop(GAMMA, None)
    return changed


class SnapshotContract(SemanticsContract):
    """What a caller may do with a loaded store, and what the store does with it when it comes back as `base`."""

    def test_transform_stores_what_the_draft_became(self, filled: WritableStore) -> None:
        """C.23, E.24."""
        found = filled.transform(touch)
        assert dict(found) == dict(filled.load()) == dict(filled.items()) == touched(small_store())
        self.unchanged(filled, touched(small_store()))

    def test_outcome_is_the_same_with_and_without_base(self, tmp_path: Path) -> None:
        """E.29."""
        outcomes = []
        for name, with_base in (("with", True), ("without", False)):
            (tmp_path / name).mkdir()
            with self.fresh(tmp_path / name) as store:
                store.save(small_store())
                base = store.load() if with_base else None
                for _ in range(3):
                    assert (store.transform(touch, base=base) is base) is with_base
                outcomes.append([*store.raw_items(), store.fingerprint(), *store.summaries()])
        assert outcomes[0] == outcomes[1]

    def test_base_is_brought_up_to_date_and_used_again(self, filled: WritableStore) -> None:
        """E.23, E.25: updates in a row with one and the same base."""
        base = filled.load()
        for counter in range(1, 4):
            assert filled.transform(touch, base=base) is base
            assert dict(base) == dict(filled.items()) == touched(small_store(), counter)
            assert not base.changed()
            assert not base.removed()

    def test_base_that_was_read_is_used(self, filled: WritableStore) -> None:
        base = filled.load()
        assert dict(base) == small_store()
        assert filled.transform(touch, base=base) is base
        assert dict(filled.items()) == touched(small_store())

    def test_base_serves_after_a_transform_that_changes_nothing(self, filled: WritableStore) -> None:
        base = filled.load()
        assert filled.transform(lambda draft: draft.update({ALPHA: small_store()[ALPHA]}), base=base) is base
        assert filled.transform(lambda _: None, base=base) is base
        assert dict(filled.items()) == small_store()

    @pytest.mark.parametrize(
        ("after", "error"),
        [
            pytest.param(boom, BoomError, id="change"),
            pytest.param(lambda draft: draft.update({BETA: {"sessionId": "x", "y": {1}}}), InvalidEntryError, id="encode"),
            pytest.param(lambda draft: draft.update({BETA: None}), InvalidEntryError, id="no-entry"),
        ],
    )
    @pytest.mark.parametrize("with_base", [True, False], ids=["base", "no-base"])
    def test_nothing_has_changed_when_transform_raises(
        self, filled: WritableStore, after: Callable[[Snapshot], Any], error: type[Exception], *, with_base: bool
    ) -> None:
        """B.6, E.26: neither the store nor the base, which serves the next time."""

        def change(draft: Snapshot) -> None:
            touch(draft)
            draft[BETA]["tag"]["unknown"].clear()
            after(draft)

        base = filled.load() if with_base else None
        if base is not None:
            assert base[ALPHA]["counter"] == 0
        with pytest.raises(error):
            filled.transform(change, base=base)
        assert dict(filled.items()) == small_store()
        if base is not None:
            assert dict(base) == small_store()
            assert not base.changed()
            assert filled.transform(touch, base=base) is base
            assert dict(filled.items()) == touched(small_store())

    @pytest.mark.parametrize(
        "mutate",
        [
            pytest.param(lambda base: base[BETA].update(leak=1), id="field"),
            pytest.param(lambda base: base[BETA]["tag"]["unknown"].append("leak"), id="inside"),
            pytest.param(lambda base: base.update({"agent:main:leak": session()}), id="added"),
            pytest.param(lambda base: base.pop(BETA), id="removed"),
        ],
    )
    def test_unsaved_changes_of_base_do_not_leak(self, filled: WritableStore, mutate: Callable[[Snapshot], Any]) -> None:
        """E.28."""
        base = filled.load()
        mutate(base)
        mutated = dict(base)
        found = filled.transform(touch, base=base)
        assert found is not base
        assert dict(found) == dict(filled.items()) == touched(small_store())
        assert dict(base) == mutated

    def test_transform_without_base_takes_nothing_of_what_the_caller_changed(self, filled: WritableStore) -> None:
        """E.28, though what the caller still holds is not read a second time."""
        loaded = filled.load()
        loaded[BETA].update(leak=1)
        loaded.pop("agent:main:other", None)
        mutated = dict(loaded)
        found = filled.transform(touch)
        assert found is not loaded
        assert dict(found) == dict(filled.items()) == touched(small_store())
        assert dict(loaded) == mutated
        found[BETA]["tag"] = "changed by the caller"
        filled.transform(lambda draft: draft[ALPHA].update(counter=2))
        assert dict(filled.items()) == touched(small_store(), 2)

    def test_stale_base_is_not_used(self, filled: WritableStore) -> None:
        """E.24, E.27: changes made meanwhile survive, whichever way they were made."""
        ways: list[Callable[[], Any]] = [
            lambda: filled.put("agent:main:other", session(7)),
            lambda: filled.update(BETA, lambda _: {"meanwhile": 1}, now_ms=NOW_MS),
            lambda: filled.delete("agent:main:other"),
            lambda: filled.save({**filled.load(), "agent:main:other": session(8)}),
            lambda: filled.transform(lambda draft: draft.__delitem__("agent:main:other")),
        ]
        for place, meanwhile in enumerate(ways):
            base, shown = filled.load(), dict(filled.load())
            meanwhile()
            now = dict(filled.items())

            def change(draft: Snapshot, *, place: int = place) -> None:
                draft[ALPHA]["place"] = place

            found = filled.transform(change, base=base)
            assert found is not base
            assert dict(found) == dict(filled.items()) == now | {ALPHA: now[ALPHA] | {"place": place}}
            assert dict(base) == shown

    def test_base_of_a_changed_and_restored_store_gives_the_right_outcome(self, filled: WritableStore) -> None:
        base = filled.load()
        filled.delete(GAMMA)
        filled.put(GAMMA, small_store()[GAMMA])
        filled.transform(touch, base=base)
        assert dict(filled.items()) == touched(small_store())

    def test_base_of_another_store_is_not_used(self, filled: WritableStore, tmp_path: Path) -> None:
        """E.27."""
        (tmp_path / "other").mkdir()
        with self.fresh(tmp_path / "other") as other:
            other.save(small_store() | {"agent:main:foreign": session(7)})
            base = other.load()
            assert filled.transform(touch, base=base) is not base
            assert dict(filled.items()) == touched(small_store())
            assert dict(other.items()) == dict(base) == small_store() | {"agent:main:foreign": session(7)}

    def test_base_that_was_not_loaded_is_not_used(self, filled: WritableStore) -> None:
        """E.27: a copy, or one that somebody made."""
        loaded = filled.load()
        for made in (Snapshot({}, decode=lambda *_: {}, origin=None), Snapshot({}, decode=lambda *_: {}, origin=object())):
            assert filled.transform(lambda _: None, base=made) is not made
            filled.transform(lambda draft: draft[ALPHA].update(counter=draft[ALPHA]["counter"] + 1), base=made)
        assert (filled.get(ALPHA) or {})["counter"] == 2
        assert filled.transform(lambda _: None, base=loaded) is not loaded

    def test_save_of_a_stale_snapshot_makes_the_store_hold_exactly_it(self, filled: WritableStore) -> None:
        stale = filled.load()
        stale[ALPHA]["counter"] = 5
        filled.put("agent:main:other", session(7))
        filled.delete(BETA)
        assert filled.save(stale)
        self.unchanged(filled, small_store() | {ALPHA: small_store()[ALPHA] | {"counter": 5}})

    def test_loaded_stores_are_independent(self, filled: WritableStore) -> None:
        """E.2."""
        first, second = filled.load(), filled.load()
        first[BETA]["tag"]["unknown"].clear()
        del first[ALPHA]
        first["agent:main:new"] = session()
        assert dict(second) == dict(filled.load()) == dict(filled.items()) == small_store()

    def test_draft_with_an_absent_key_is_a_mapping_like_any(self, filled: WritableStore) -> None:
        def change(draft: Snapshot) -> None:
            assert "agent:main:absent" not in draft
            assert draft.get("agent:main:absent") is None
            with pytest.raises(KeyError):
                del draft["agent:main:absent"]
            kept = draft.pop(ALPHA)
            assert ALPHA not in draft
            assert len(draft) == 2
            draft[ALPHA] = kept | {"counter": 9}

        filled.transform(change)
        self.unchanged(filled, small_store() | {ALPHA: small_store()[ALPHA] | {"counter": 9}})
