"""Parallel sessions of one agent with a shared memory (openclaw#22962 as repaired by #23179)."""

from sessionlab.parallel.events import Event
from sessionlab.parallel.manager import Opened, SessionManager
from sessionlab.parallel.opening import open_manager
from sessionlab.parallel.records import ActionItem, Change, Knowledge, Memory, Person, Session
from sessionlab.parallel.search import Found
from sessionlab.parallel.shared_memory import SharedMemory

__all__ = [
    "ActionItem",
    "Change",
    "Event",
    "Found",
    "Knowledge",
    "Memory",
    "Opened",
    "Person",
    "Session",
    "SessionManager",
    "SharedMemory",
    "open_manager",
]
