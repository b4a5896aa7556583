"""What the manager remembers in its process: the most important memories and the most certain knowledge, never more than a fixed number.

With the backend `memory` that is all there is; else everything lies in the database as well, and this is only a part of it (A.31 to A.33).
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable, Collection
from typing import Final, Generic, TypeVar

from sessionlab.parallel.asking import checked_types
from sessionlab.parallel.forks import step_lock
from sessionlab.parallel.records import Knowledge, Memory, MemoryType, checked_knowledge, checked_memory, checked_number, checked_text
from sessionlab.parallel.search import Found, fold

MOST_MEMORIES: Final = 500
MOST_KNOWLEDGE: Final = 100
_Record = TypeVar("_Record", Memory, Knowledge)


class _Bounded(Generic[_Record]):
    """Records up to a number: one more drops the one of the lowest rank."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._heap: list[tuple[tuple[float, ...], int, _Record]] = []
        self._numbers = itertools.count()

    def add(self, rank: tuple[float, ...], one: _Record) -> None:
        item = (rank, next(self._numbers), one)
        if len(self._heap) < self._most:
            heapq.heappush(self._heap, item)
        else:
            heapq.heappushpop(self._heap, item)

    def best_first(self) -> list[_Record]:
        return [one for _, _, one in sorted(self._heap, reverse=True)]

    @property
    def is_full(self) -> bool:
        return len(self._heap) >= self._most

    def drop(self, is_over: Callable[[_Record], bool]) -> None:
        self._heap = [item for item in self._heap if not is_over(item[2])]
        heapq.heapify(self._heap)

    def __len__(self) -> int:
        return len(self._heap)


class ProcessMemory:
    """Memories and knowledge of this process, for any number of threads; the methods are those of `SharedMemory`.

    What is beyond the number goes: of memories what is expired, then the least important first, of equally important ones the oldest; of
    knowledge the least certain first, of equally certain the one that was updated longest ago (A.31).
    """

    def __init__(self) -> None:
        """Remember nothing yet."""
        self._memories: _Bounded[Memory] = _Bounded(MOST_MEMORIES)
        self._knowledge: _Bounded[Knowledge] = _Bounded(MOST_KNOWLEDGE)
        self._first_over_ms: float = math.inf
        self._lock = step_lock()

    def remember(self, memory: Memory, *, now_ms: int) -> None:
        """Keep a memory."""
        checked_memory(memory)
        with self._lock:
            if self._memories.is_full and self._first_over_ms <= now_ms:
                self._memories.drop(lambda one: one.is_expired(now_ms))
                self._first_over_ms = min(map(_over_ms, self._memories.best_first()), default=math.inf)
            self._first_over_ms = min(self._first_over_ms, _over_ms(memory))
            self._memories.add((memory.importance, memory.created_ms), memory)

    def learn(self, knowledge: Knowledge) -> None:
        """Keep knowledge."""
        checked_knowledge(knowledge)
        with self._lock:
            self._knowledge.add((knowledge.confidence, knowledge.updated_ms), knowledge)

    @property
    def memory_count(self) -> int:
        """How many memories there are."""
        return len(self._memories)

    @property
    def knowledge_count(self) -> int:
        """How much knowledge there is."""
        return len(self._knowledge)

    def memories(self, *, now_ms: int) -> list[Memory]:
        """Return what is not expired, the most important first, of equally important ones the newest."""
        with self._lock:
            return [one for one in self._memories.best_first() if not one.is_expired(now_ms)]

    def knowledge(self) -> list[Knowledge]:
        """Return all knowledge, the most certain first, of equally certain the latest."""
        with self._lock:
            return self._knowledge.best_first()

    def search(
        self,
        query: str,
        *,
        now_ms: int,
        session_key: str | None = None,
        channel_id: str | None = None,
        types: Collection[MemoryType] | None = None,
        limit: int = 10,
    ) -> Found:
        """Return what holds a text, whatever its case; see `Searching.search`. Raises `UsageError` for what cannot be asked for."""
        text = fold(checked_text("query", query))
        checked_number("limit", limit, 0)
        types = checked_types(types)
        for name, value in (("session_key", session_key), ("channel_id", channel_id)):
            if value is not None:
                checked_text(name, value)
        memories = [
            one
            for one in self.memories(now_ms=now_ms)
            if text in fold(one.content)
            and session_key in (None, one.session_key)
            and channel_id in (None, one.channel_id)
            and (types is None or one.memory_type in types)
        ]
        knowledge = [one for one in self.knowledge() if text in fold(one.content)]
        return Found(memories=tuple(memories[:limit]), knowledge=tuple(knowledge[:limit]))


def _over_ms(memory: Memory) -> float:
    return math.inf if memory.expires_ms is None else memory.expires_ms
