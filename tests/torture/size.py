"""T8: more sessions than anybody has, in one save; then they are listed, and one is changed."""

from __future__ import annotations

import time
from itertools import pairwise
from pathlib import Path

from sessionlab.entry import Entry
from sessionlab.stores.memory import MemoryStore
from tests.torture.backends import Backend


def many_sessions(backend: Backend, folder: Path, *, number: int) -> tuple[str, list[str]]:
    """Save that many sessions into a new store, list them, update one, and compare with the store in memory.

    Returns:
        How long each step took, and what went wrong.
    """
    path, oracle, failures = folder / backend.file_name, MemoryStore(), []
    content: dict[str, Entry] = {f"agent:main:direct:{place}": {"sessionId": f"id-{place}", "updatedAt": place} for place in range(number)}
    key = f"agent:main:direct:{number // 2}"
    begun = [time.monotonic()]
    with backend.make(path) as store:
        store.save(content)
        begun.append(time.monotonic())
        listed = [row.key for row in store.summaries()]
        begun.append(time.monotonic())
        store.update(key, lambda _: {"counter": 1}, now_ms=number)
        begun.append(time.monotonic())
    oracle.save(content)
    if listed != [row.key for row in oracle.summaries()]:
        failures.append(f"listed {len(listed)} of {number} sessions, or in another order")
    oracle.update(key, lambda _: {"counter": 1}, now_ms=number)
    with backend.make(path) as store:
        if next(store.summaries()).key != key:
            failures.append("what was updated last is not listed first")
        if store.fingerprint() != oracle.fingerprint():
            failures.append("the store is not what was saved and updated")
    save_s, list_s, update_s = (end - start for start, end in pairwise(begun))
    return f"saved in {save_s:.1f} s, listed in {list_s:.1f} s, updated in {update_s:.2f} s", failures
