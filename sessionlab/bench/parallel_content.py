"""Memories to search and to brief from: some hundred channels, one of them with a third of all, texts of common and rare words."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from sessionlab.bench.scope import NOW_MS
from sessionlab.parallel import Knowledge, Memory, Session, SharedMemory, rows
from sessionlab.parallel.remembering import knowledge_of
from sessionlab.parallel.schema import SHARED_TABLES
from sessionlab.units import MS_PER_DAY

CHANNELS: Final = 100
BUSY_CHANNEL, CHANNEL = "channel-000", "channel-042"
"""One that has a third of all memories, and one like the others."""
COMMON, RARE, MISSING = "the team", "quetzalcoatl", "xylophone orchestra"
SOME: Final = "orchid 17"
"""In one memory of some two hundred."""
PAIR, MISSING_PAIR = "qu", "qx"
_TYPES: Final = ("fact", "decision", "preference", "summary", "action")
_WORDS: Final = [f"{word} {number}" for number in range(100) for word in ("orchid", "harbour", "violin", "deploy", "budget", "letter")]
_DAYS: Final = 90
_UPSERT: Final = """
    INSERT INTO session_state (session_key, channel_id, status, created_at, last_activity_at) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (session_key) DO UPDATE SET status = excluded.status, last_activity_at = excluded.last_activity_at
"""


def memories(number: int, *, seed: int = 1) -> Iterator[Memory]:
    """Yield memories of ninety days, the oldest first, of some 100 characters."""
    dice = random.Random(seed)  # noqa: S311 - words, no secret
    step_ms = _DAYS * MS_PER_DAY / max(number, 1)
    for one in range(number):
        channel = BUSY_CHANNEL if dice.random() < 1 / 3 else f"channel-{dice.randrange(1, CHANNELS):03d}"
        text = f"on {1 + one % 28} May the team spoke of {', '.join(dice.choice(_WORDS) for _ in range(7))}"
        yield Memory(
            session_key=f"agent:main:parallel:{channel}",
            channel_id=channel,
            memory_type=_TYPES[dice.randrange(len(_TYPES))],
            content=f"{text}, and {RARE}" if one == number // 2 else text,
            importance=dice.randint(1, 10),
            created_ms=NOW_MS - int((number - one) * step_ms),
        )


def fill(connection: sqlite3.Connection, number: int) -> None:
    """Store memories, and what the most important of them are promoted to, in one transaction."""
    connection.execute("BEGIN IMMEDIATE")
    for one in memories(number):
        rows.insert(connection, "channel_memory", rows.of_memory(one))
        if one.importance == 10:
            rows.insert(connection, "global_knowledge", rows.of_knowledge(knowledge_of(one)))
    connection.execute("COMMIT")


def filled_memory(path: Path, number: int) -> SharedMemory:
    """Return a shared memory that holds as many memories, and a tenth as much knowledge."""
    memory = SharedMemory(path, clock=lambda: NOW_MS)
    memory.initialize()
    connection = sqlite3.connect(path, isolation_level=None)
    fill(connection, number)
    connection.close()
    return memory


class BareMemory:
    """The tables of openclaw#22962 on a plain connection: no lock, no check, no list of changes, no promise but SQLite's own."""

    def __init__(self, path: Path, number: int = 0) -> None:
        """Make the database, durable to the same degree, and fill it."""
        self.connection = sqlite3.connect(path, isolation_level=None)
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "cache_size=-16000", "busy_timeout=60000"):
            self.connection.execute(f"PRAGMA {pragma}")
        self.connection.executescript(SHARED_TABLES)
        if number:
            fill(self.connection, number)

    def insert(self, memory: Memory, knowledge: Knowledge | None = None) -> None:
        """Store a memory, and knowledge if there is any, in one transaction."""
        self.connection.execute("BEGIN IMMEDIATE")
        rows.insert(self.connection, "channel_memory", rows.of_memory(memory))
        if knowledge is not None:
            rows.insert(self.connection, "global_knowledge", rows.of_knowledge(knowledge))
        self.connection.execute("COMMIT")

    def upsert_session(self, one: Session) -> None:
        """Store the state of a session."""
        values = (one.session_key, one.channel_id, one.status, one.created_ms, one.last_activity_ms)
        self.connection.execute(_UPSERT, values)

    def take_session(self, key: str) -> object:
        """Return the state of a session, and store it no more, in one transaction."""
        self.connection.execute("BEGIN IMMEDIATE")
        found = self.connection.execute("SELECT * FROM session_state WHERE session_key = ?", (key,)).fetchone()
        self.connection.execute("DELETE FROM session_state WHERE session_key = ?", (key,))
        self.connection.execute("COMMIT")
        return found

    def close(self) -> None:
        """Close it."""
        self.connection.close()
