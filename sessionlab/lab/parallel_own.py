"""A shared memory of the reader's own, counted on a private copy: how much there is, never what it says."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sessionlab import layout
from sessionlab.lab.clock import clock_of
from sessionlab.parallel.reading import private_copy_of

_EVERYTHING: Final = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Own:
    """How much a shared memory holds. `by_sort` is of memories, the most first; `newest_age_ms` is the age of the latest of them."""

    memories: int
    expired: int
    promoted: int
    by_sort: dict[str, int]
    knowledge: int
    actions_open: int
    persons: int
    sessions: int
    newest_age_ms: int


def look_at(path: str | Path, *, now_ms: int = 0) -> Own | None:
    """Count what a shared memory holds; nothing beside it is written. `None` for no path.

    Args:
        path: Its file, or a state folder, of which it is the usual one.
        now_ms: The clock that ages are taken against, epoch ms; 0 for now.

    Raises:
        NoStoreError: There is none.
        CorruptStoreError: It is none, or damaged.
        UnsupportedSchemaError: It is of a newer version.
    """
    if not str(path):
        return None
    file = layout.expanded(Path(path))
    if file.is_dir():
        file = layout.shared_memory(file)
    clock = clock_of(file, now_ms)
    with private_copy_of(file, clock=lambda: clock.now_ms) as memory:
        all_of_them = memory.memories(exclude_expired=False, limit=_EVERYTHING)
        stats = memory.stats()
    sorts = Counter[str](one.memory_type for one in all_of_them)
    return Own(
        memories=len(all_of_them),
        expired=sum(one.is_expired(clock.now_ms) for one in all_of_them),
        promoted=sum(one.promoted for one in all_of_them),
        by_sort=dict(sorted(sorts.items(), key=lambda item: (-item[1], item[0]))),
        knowledge=stats.global_knowledge_count,
        actions_open=stats.action_items_open,
        persons=stats.person_count,
        sessions=stats.session_count,
        newest_age_ms=clock.now_ms - max((one.created_ms for one in all_of_them), default=clock.now_ms),
    )
