"""What a session is told when it is opened: what its channel remembers, and what all channels know (A.35 to A.38)."""

from __future__ import annotations

from collections.abc import Iterable

from sessionlab.parallel import rows
from sessionlab.parallel.process_memory import ProcessMemory
from sessionlab.parallel.records import Knowledge, Memory, Session
from sessionlab.parallel.shared_memory import SharedMemory
from sessionlab.settings import BriefingSettings

CHANNEL, GLOBAL = "## Channel Context", "## Global Knowledge"


def from_database(memory: SharedMemory, session: Session, settings: BriefingSettings) -> str:
    """Return the briefing of a session from what is stored, also by other processes and before a restart."""
    most, least = settings.max_channel_memories, settings.min_importance
    # Two questions, each answered by an index in its order, however many memories a channel has.
    of_session = memory.memories(session_key=session.session_key, min_importance=least, limit=most)
    of_channel = memory.memories(channel_id=session.channel_id, min_importance=least, limit=most)
    found = {one.id: one for one in (*of_session, *of_channel)}
    memories = sorted(found.values(), key=lambda one: (rows.ranked(one.importance), rows.ranked(one.created_ms), one.id), reverse=True)
    knowledge = memory.knowledge(min_confidence=settings.min_confidence, limit=settings.max_global_knowledge)
    return worded(memories[:most], knowledge)


def from_process(memory: ProcessMemory, session: Session, settings: BriefingSettings, *, now_ms: int) -> str:
    """Return the briefing of a session from what this process remembers."""
    memories = [
        one
        for one in memory.memories(now_ms=now_ms)
        if one.importance >= settings.min_importance and (one.session_key == session.session_key or one.channel_id == session.channel_id)
    ]
    knowledge = [one for one in memory.knowledge() if one.confidence >= settings.min_confidence]
    return worded(memories[: settings.max_channel_memories], knowledge[: settings.max_global_knowledge])


def worded(memories: Iterable[Memory], knowledge: Iterable[Knowledge]) -> str:
    """Return both blocks as Markdown, in the order in which they are given; one without lines is left out (A.36).

    A text with several lines stays one item: what follows its first line is set in. Nothing remembered can begin a block of its own.
    """
    blocks = [(CHANNEL, [_item(one.memory_type, one.content) for one in memories])]
    blocks.append((GLOBAL, [_item(one.category, one.content) for one in knowledge]))
    return "\n\n".join("\n".join([heading, *lines]) for heading, lines in blocks if lines)


def _item(sort: str, content: str) -> str:
    first, *rest = _lines(content) or [""]
    return "\n".join([f"- [{' '.join(_lines(sort))}] {first}", *(f"  {line}" for line in rest)])


def _lines(text: object) -> list[str]:
    """Return the lines of a text, or of whatever another program has put in its place."""
    return str(text).splitlines()
