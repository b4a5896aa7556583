"""What a day remembers: every memory that a manager acknowledged, what became of it, and what sessions were told.

Knows what should be there from what was acknowledged alone, so that the database can be held against it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import msgspec

from sessionlab.parallel import Event, Knowledge, Memory, SessionManager, SharedMemory
from sessionlab.parallel.briefing import CHANNEL, GLOBAL
from sessionlab.synth.day import Message
from sessionlab.synth.day_words import Note

if TYPE_CHECKING:
    import pandas as pd

Fate = Literal["kept", "removed when expired", "left out by autoSave", "dropped with the process", "lost"]
_EVERYTHING: Final = -1
_BLOCKS: Final = {CHANNEL: "channel", GLOBAL: "global"}


class Line(NamedTuple):
    """One line of a briefing: of which block, and its text without the sort before it."""

    block: str
    content: str


def lines_of(briefing: str) -> list[Line]:
    """Return the items of a briefing, in their order; their texts have one line each."""
    found, block = [], ""
    for line in briefing.splitlines():
        block = _BLOCKS.get(line, block)
        if line.startswith("- ["):
            found.append(Line(block, line.partition("] ")[2]))
    return found


class _Taken(NamedTuple):
    message: Message
    note: Note
    key: str
    memory: Memory | None


class Notes:
    """The books of what is remembered in a day."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._taken: list[_Taken] = []
        self._knowledge: dict[str, Knowledge] = {}
        self._fates: list[tuple[Fate, bool]] = []
        self._growth: list[tuple[int, ...]] = []
        self._read: list[tuple[int, str, str, str, str, str]] = []
        self._removed = 0
        self._removed_until_ms = 0

    def hear(self, event: Event) -> None:
        """Take down what a manager tells of knowledge."""
        if event.knowledge is not None:
            self._knowledge[event.knowledge.content] = event.knowledge

    def save(self, manager: SessionManager, key: str, message: Message, note: Note) -> None:
        """Let a session remember something, and take down what the manager acknowledges."""
        memory = manager.save_memory(
            key,
            note.sort,
            note.content,
            importance=note.importance,
            channel_id=message.channel,
            expires_ms=message.at_ms + note.holds_ms if note.holds_ms is not None else None,
            is_automatic=note.is_automatic,
        )
        self._taken.append(_Taken(message, note, key, memory))

    def read(self, at_ms: int, key: str, channel: str, briefing: str) -> None:
        """Take down what a session was told when it was written to by a channel."""
        source = {one.content: one.source_channel or "" for one in self._knowledge.values()}
        self._read.append((at_ms, key, channel, "", "", ""))
        self._read += [(at_ms, key, channel, line.block, line.content, source.get(line.content, "")) for line in lines_of(briefing)]

    def expire(self, memory: SharedMemory | None, *, now_ms: int) -> None:
        """Remove what is expired from the database; a process drops it by itself, when it needs the place."""
        if memory is not None:
            self._removed += memory.expire()
            self._removed_until_ms = now_ms

    def sample(self, manager: SessionManager, memory: SharedMemory | None, *, now_ms: int) -> None:
        """Count what is remembered now."""
        known = [one.memory for one in self._taken if one.memory is not None]
        stored = memory.stats() if memory is not None else None
        self._growth.append(
            (
                now_ms,
                len(known),
                stored.channel_memory_count if stored else 0,
                manager.recent.memory_count,
                sum(one.is_expired(now_ms) for one in known),
                self._removed,
                len(self._knowledge),
                stored.global_knowledge_count if stored else 0,
                manager.recent.knowledge_count,
            )
        )

    def settle(self, manager: SessionManager, memory: SharedMemory | None, *, now_ms: int) -> None:
        """Look for all that was acknowledged, at the end of the day."""
        until_ms = self._removed_until_ms if memory is not None else now_ms
        if memory is not None:
            stored = {one.content: one for one in memory.memories(exclude_expired=False, limit=_EVERYTHING)}
            known = {one.content: one for one in memory.knowledge(limit=_EVERYTHING)}
        else:
            stored = {one.content: one for one in manager.recent.memories(now_ms=0)}
            known = {one.content: one for one in manager.recent.knowledge()}
        missing: Fate = "lost" if memory is not None else "dropped with the process"
        for one in self._taken:
            fate: Fate = missing
            if one.memory is None:
                fate = "left out by autoSave"
            elif _same(one.memory, stored.get(one.memory.content)):
                fate = "kept"
            elif one.memory.content not in stored and one.memory.is_expired(until_ms):
                fate = "removed when expired"
            knowledge = self._knowledge.get(one.note.content)
            self._fates.append((fate, knowledge is not None and _same(knowledge, known.get(one.note.content))))

    def frame(self) -> pd.DataFrame:
        """Return what was to be remembered.

        Returns:
            One row for each, in order. Columns: `at_ms` (int), `session`, `channel`, `sort`, `content` (str), `importance` (int),
            `is_automatic`, `is_promoted` (bool: as the manager acknowledged it), `is_expired` (bool: by the end of the day), `fate` (str:
            see `Fate`), `is_known` (bool: what was promoted is there for all channels).
        """
        import pandas as pd

        end_ms = self._growth[-1][0] if self._growth else 0
        rows = [
            (
                one.message.at_ms,
                one.key,
                one.message.channel,
                one.note.sort,
                one.note.content,
                one.note.importance,
                one.note.is_automatic,
                one.memory is not None and one.memory.promoted,
                one.memory is not None and one.memory.is_expired(end_ms),
                fate,
                is_known,
            )
            for one, (fate, is_known) in zip(self._taken, self._fates, strict=True)
        ]
        names = ["at_ms", "session", "channel", "sort", "content", "importance", "is_automatic", "is_promoted", "is_expired", "fate"]
        return pd.DataFrame(rows, columns=[*names, "is_known"])

    def growth(self) -> pd.DataFrame:
        """Return how much was remembered over the day.

        Returns:
            One row for each sample, in order; two of one moment are before and after something. Columns (int): `at_ms`; `acknowledged`,
            `stored` (rows of the database), `in_process`, `expired`, `removed` (memories); `promoted`, `known` (rows of the database),
            `known_in_process` (knowledge).
        """
        import pandas as pd

        names = ["at_ms", "acknowledged", "stored", "in_process", "expired", "removed", "promoted", "known", "known_in_process"]
        return pd.DataFrame(self._growth, columns=names)

    def briefings(self) -> pd.DataFrame:
        """Return what sessions were told.

        Returns:
            One row for each briefing, with an empty `block`, and one for each of its lines, in order. Columns: `at_ms` (int), `session`,
            `channel` (str: by which the session was written to), `block` (str: `channel` or `global`), `content` (str), `source` (str: the
            channel that a line comes from which all channels know).
        """
        import pandas as pd

        return pd.DataFrame(self._read, columns=["at_ms", "session", "channel", "block", "content", "source"])


def _same(one: Memory | Knowledge, found: Memory | Knowledge | None) -> bool:
    """Say whether what was acknowledged is what is there; a version is told only by what is read."""
    return found is not None and msgspec.structs.replace(found, version=0) == msgspec.structs.replace(one, version=0)
