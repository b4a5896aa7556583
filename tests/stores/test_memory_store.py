"""The store in memory keeps every promise that needs no file; the others are compared with it."""

from __future__ import annotations

from pathlib import Path

from sessionlab.stores.memory import MemoryStore
from sessionlab.stores.writing import WritableStore
from tests.stores.snapshot_contract import SnapshotContract


class TestMemoryStore(SnapshotContract):
    kind = "memory"

    def fresh(self, folder: Path) -> WritableStore:  # noqa: ARG002 - it needs none
        return MemoryStore()
