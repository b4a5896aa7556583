"""Records that differ from each other in what a test says."""

from __future__ import annotations

import sqlite3
from typing import Any

from sessionlab.parallel import Knowledge, Memory, SharedMemory


def remembered(content: str = "deploys are on Fridays", **more: Any) -> Memory:
    return Memory(**({"session_key": "s1", "channel_id": "telegram", "memory_type": "fact", "content": content} | more))


def known(content: str = "deploys are on Fridays", **more: Any) -> Knowledge:
    return Knowledge(**({"category": "fact", "content": content} | more))


def bare(memory: SharedMemory) -> sqlite3.Connection:
    """Open the file as another program does."""
    return sqlite3.connect(memory.path, isolation_level=None)
