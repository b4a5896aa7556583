"""What the sessions of a manager remember: how long it holds, who gets to know it, and what a session is told (A.6, A.27 to A.39)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from sessionlab.parallel import briefing
from sessionlab.parallel.process_memory import ProcessMemory
from sessionlab.parallel.records import Knowledge, Memory, MemoryType, Session, checked_memory
from sessionlab.parallel.shared_memory import SharedMemory
from sessionlab.settings import ParallelSessionsSettings

_AUTOMATIC: Final[dict[MemoryType, str]] = {
    "summary": "summaries",
    "decision": "decisions",
    "preference": "preferences",
    "action": "action_items",
}
"""Sort of memory -> the switch of `autoSave` for those that are made without being asked; facts have none."""


class Remembering:
    """Memories and knowledge, in the database if there is one and in the process.

    Attributes:
        recent: What is in the process: all there is without a database, else a part of it.
    """

    def __init__(self, settings: ParallelSessionsSettings, memory: SharedMemory | None, *, clock: Callable[[], int]) -> None:
        """Begin with nothing in the process."""
        self.recent = ProcessMemory()
        self._settings, self._memory, self._clock = settings, memory, clock

    def save(self, memory: Memory, *, is_automatic: bool) -> tuple[Memory | None, Knowledge | None]:
        """Store a memory, and as knowledge too if it is important enough, in one step (A.28, A.30).

        Args:
            memory: What is to be remembered, made now. Without a time of its own it holds for `defaultTTLMs`, 0 being for ever.
            is_automatic: Nobody asked for it: it is remembered only if `autoSave` has its sort.

        Returns:
            Both as they are stored; `None` for what is not.
        """
        checked_memory(memory)
        switch = _AUTOMATIC.get(memory.memory_type)
        if is_automatic and switch is not None and not getattr(self._settings.auto_save, switch):
            return None, None
        ttl_ms = self._settings.memory.default_ttl_ms
        if memory.expires_ms is None and ttl_ms:
            memory = checked_memory(msgspec.structs.replace(memory, expires_ms=memory.created_ms + ttl_ms))
        knowledge = None
        if memory.importance >= self._settings.memory.auto_promote_threshold:
            memory, knowledge = self._promoted(msgspec.structs.replace(memory, promoted=True))
            self.recent.learn(knowledge)
        elif self._memory is not None:
            memory = msgspec.structs.replace(memory, id=self._memory.save_memory(memory))
        self.recent.remember(memory, now_ms=self._clock())
        return memory, knowledge

    def _promoted(self, memory: Memory) -> tuple[Memory, Knowledge]:
        knowledge = knowledge_of(memory)
        if self._memory is None:
            return memory, knowledge
        numbers = self._memory.promote(memory, knowledge)
        return msgspec.structs.replace(memory, id=numbers[0]), msgspec.structs.replace(knowledge, id=numbers[1])

    def search(self, query: str, **asked: Any) -> list[Memory]:
        """Return memories that hold a text; see `SharedMemory.search_memories`."""
        if self._memory is not None:
            return self._memory.search_memories(query, **asked)
        return list(self.recent.search(query, now_ms=self._clock(), **asked).memories)

    def briefing(self, session: Session) -> str:
        """Return what a session is to know of its channel and of all, as Markdown; "" when briefings are switched off."""
        settings = self._settings.briefing
        if not settings.enabled:
            return ""
        if self._memory is not None:
            return briefing.from_database(self._memory, session, settings)
        return briefing.from_process(self.recent, session, settings, now_ms=self._clock())


def knowledge_of(memory: Memory) -> Knowledge:
    """Return what all channels are to know of a memory: as certain as it is important (A.28)."""
    return Knowledge(
        category=memory.memory_type,
        content=memory.content,
        source_channel=memory.channel_id,
        source_session_key=memory.session_key,
        confidence=memory.importance / 10,
        created_ms=memory.created_ms,
        updated_ms=memory.created_ms,
    )
