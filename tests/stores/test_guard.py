"""A store that is open while another takes its place refuses to be written: an acknowledged write must be where readers look."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sessionlab.errors import StoreMovedError
from sessionlab.migration.execute import execute
from sessionlab.migration.plan import plan_migration
from sessionlab.settings import StoreType
from sessionlab.stores import open_for_writing, open_store
from sessionlab.stores.snapshot import Snapshot
from sessionlab.stores.writing import WritableStore

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
