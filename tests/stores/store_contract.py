"""What every store that lies in files promises. A backend's test subclasses `StoreContract`, and reads and writes its files in another way.

A subclass sets `backend` and overrides the five methods that raise `NotImplementedError`; `tests/torture/test_plain_store.py` is the
shortest example. They use `json`, `sqlite3` and `os` only, never the store.
"""

from __future__ import annotations

import shutil

from sessionlab.stores.memory import MemoryStore
from sessionlab.stores.writing import WritableStore
from tests.stores.crowd_contract import CrowdContract
from tests.stores.file_contract import Damage
from tests.stores.hostile_contract import HostileContract
from tests.stores.sample_entries import EXACT, GAMMA, NOW_MS, session, small_store

__all__ = ["Damage", "StoreContract"]


class StoreContract(HostileContract, CrowdContract):
    """Every promise of `WritableStore`, for a store in files."""

    def test_store_is_the_oracles_equal_in_every_respect(self, store: WritableStore) -> None:
        """Equal contents have equal listings and one fingerprint, whatever the backend."""
        oracle = MemoryStore()
        for one in (store, oracle):
            one.save(small_store() | EXACT)
            one.put("../x", session(3))
            one.update(GAMMA, lambda entry: {"counter": entry["counter"] + 5, "model": "other"}, now_ms=NOW_MS)
            one.delete("unicode")
        assert dict(store.items()) == dict(oracle.items())
        assert list(store.summaries()) == list(oracle.summaries())
        assert (store.count(), store.fingerprint(), store.stats().sessions) == (oracle.count(), oracle.fingerprint(), oracle.count())
        assert [problem.code for problem in store.check()] == [problem.code for problem in oracle.check()]
        copied = store.path.with_name("copied") / store.path.name
        copied.parent.mkdir()
        store.close()
        for file in store.path.parent.glob(f"{store.path.name}*"):
            (shutil.copytree if file.is_dir() else shutil.copy)(file, copied.with_name(file.name))
        with self.make(copied) as again:
            assert again.fingerprint() == oracle.fingerprint()
