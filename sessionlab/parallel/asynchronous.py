"""The session manager for asyncio: the same core, called in threads, so that waiting for the disk keeps no other task waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

from sessionlab.parallel.manager import Opened, SessionManager, Stats
from sessionlab.parallel.records import Memory, MemoryType, Session


class AsyncSessionManager:
    """A `SessionManager` whose methods are awaited; arguments, answers and errors are the same. Listeners are told in threads."""

    def __init__(self, manager: SessionManager) -> None:
        """Take a manager; its own methods may be called as well."""
        self.manager = manager

    async def __aenter__(self) -> Self:
        try:
            await _to_its_end(self.manager.start)
        except asyncio.CancelledError:
            await _to_its_end(self.manager.shutdown)  # nobody else would: it was not entered
            raise
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.shutdown()

    async def get_or_create_session(self, channel_id: str, **asked: Any) -> Opened:
        """Return the session that a message belongs to, awake, with its briefing made; see `SessionManager.get_or_create_session`."""

        def get() -> Opened:
            opened = self.manager.get_or_create_session(channel_id, **asked)
            _ = opened.briefing  # made here, in the thread; who asks for it later does not wait
            return opened

        return await asyncio.to_thread(get)

    async def hibernate_session(self, key: str) -> bool:
        """Put a session to sleep; see `SessionManager.hibernate_session`."""
        return await asyncio.to_thread(self.manager.hibernate_session, key)

    async def count_message(self, key: str, number: int = 1) -> Session:
        """Count messages of a session; see `SessionManager.count_message`."""
        return await asyncio.to_thread(self.manager.count_message, key, number)

    async def context(self, key: str) -> dict[str, Any]:
        """Return what is stored beside a session; see `SessionManager.context`."""
        return await asyncio.to_thread(self.manager.context, key)

    async def set_context(self, key: str, context: Mapping[str, Any]) -> None:
        """Set what is to be stored beside a session; see `SessionManager.set_context`."""
        await asyncio.to_thread(self.manager.set_context, key, context)

    async def active_sessions(self) -> list[Session]:
        """Return the sessions that are active; see `SessionManager.active_sessions`."""
        return await asyncio.to_thread(self.manager.active_sessions)

    async def save_memory(self, key: str, memory_type: MemoryType, content: str, **more: Any) -> Memory | None:
        """Remember something; see `SessionManager.save_memory`."""
        return await asyncio.to_thread(self.manager.save_memory, key, memory_type, content, **more)

    async def search_memory(self, query: str, **asked: Any) -> list[Memory]:
        """Return memories that hold a text; see `SessionManager.search_memory`."""
        return await asyncio.to_thread(self.manager.search_memory, query, **asked)

    async def briefing(self, key: str) -> str:
        """Return what a session is to know; see `SessionManager.briefing`."""
        return await asyncio.to_thread(self.manager.briefing, key)

    async def check_idle(self) -> list[Session]:
        """Mark sessions as idle; see `SessionManager.check_idle`."""
        return await asyncio.to_thread(self.manager.check_idle)

    async def stats(self) -> Stats:
        """Count everything; see `SessionManager.stats`."""
        return await asyncio.to_thread(self.manager.stats)

    async def shutdown(self) -> None:
        """Put all that are awake to sleep; see `SessionManager.shutdown`. A task that is cancelled waits for its end first."""
        await _to_its_end(self.manager.shutdown)


async def _to_its_end(act: Callable[[], None]) -> None:
    """Do something in a thread. A task that is cancelled meanwhile waits for its end first."""
    done = asyncio.ensure_future(asyncio.to_thread(act))
    cancelled = False
    while not done.done():
        try:
            await asyncio.wait([done])
        except asyncio.CancelledError:
            cancelled = True
    done.result()
    if cancelled:
        raise asyncio.CancelledError
