"""What a new manager finds: every session is asked for once more, on a private copy of the database, and answers what it still knows."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, Self

from sessionlab.parallel import SessionManager, SharedMemory
from sessionlab.parallel.manager import Stats
from sessionlab.parallel.reading import private_copy_of
from sessionlab.settings import ParallelSessionsSettings

if TYPE_CHECKING:
    import pandas as pd


KNOWN: Final = "known again"
NEW: Final = "new"


class Address(NamedTuple):
    """Where the messages of a session come from: enough to ask a manager for it."""

    channel: str
    chat: str | None
    peer: str


class State(NamedTuple):
    """What a manager knows of a session: how it stands, how many messages it has had, and what it is told."""

    standing: str
    messages: int
    briefing: str


def states(manager: SessionManager, keys: Iterable[str]) -> dict[str, State]:
    """Return what a manager knows of sessions, without waking one; those it does not know are left out."""
    known = ((key, manager.session(key)) for key in keys)
    return {key: State(one.status, one.message_count, manager.briefing(key)) for key, one in known if one is not None}


def found_by_another(
    database: Path | None, settings: ParallelSessionsSettings, addresses: Iterable[Address], *, clock: Callable[[], int]
) -> dict[str, State]:
    """Return what a new manager knows of sessions when they are written to: their standing is `known again` or `new`.

    Args:
        database: Of the manager before it; a copy is asked, so that nothing of it changes. `None` for the backend `memory`.
        settings: As it was configured.
        addresses: Where messages come from.
        clock: Gives the time, epoch ms.
    """
    copy: AbstractContextManager[SharedMemory | None] = nullcontext() if database is None else private_copy_of(database, clock=clock)
    with copy as memory:
        manager = SessionManager(settings, memory=memory, clock=clock)
        found = {}
        for address in addresses:
            opened = manager.get_or_create_session(address.channel, chat_id=address.chat, peer_id=address.peer)
            session = manager.session(opened.session_key)
            count = session.message_count if session is not None else 0
            found[opened.session_key] = State(NEW if opened.is_new else KNOWN, count, opened.briefing)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Restart:
    """One restart.

    Attributes:
        at_ms: When, epoch ms.
        is_crash: Whether the manager before it died, rather than being shut down.
        sessions: One row for each session, in the order in which they came. Columns: `session` (str), `before` (str: how it stood), `after`
            (str: `known again` or `new`), `messages_before`, `messages_after` (int), `lines` (int: of its briefing before),
            `is_briefing_equal` (bool).
        before: What the manager before it held.
        after: What the new one begins with.
    """

    at_ms: int
    is_crash: bool
    sessions: pd.DataFrame
    before: Stats
    after: Stats

    @classmethod
    def between(cls, before: dict[str, State], after: dict[str, State], held: Stats, holds: Stats, *, at_ms: int, is_crash: bool) -> Self:
        """Hold what a new manager knows against what the one before it knew."""
        import pandas as pd

        rows = []
        for key, was in before.items():
            now = after.get(key, State(NEW, 0, ""))
            lines = sum(line.startswith("- ") for line in was.briefing.splitlines())
            rows.append((key, was.standing, now.standing, was.messages, now.messages, lines, was.briefing == now.briefing))
        names = ["session", "before", "after", "messages_before", "messages_after", "lines", "is_briefing_equal"]
        return cls(at_ms=at_ms, is_crash=is_crash, sessions=pd.DataFrame(rows, columns=names), before=held, after=holds)
