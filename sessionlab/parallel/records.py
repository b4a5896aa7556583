"""What shared memory keeps: memories, knowledge, action items, persons, and the state of sessions that were put to sleep (A.2).

Every record is frozen. `id` is `None` until it is stored; `version` is that of what was read, for a write that must not overwrite another's
unseen, and 0 for what is not stored yet. `unread` names what another program has stored there that cannot be read, or not whole; such a
record is not stored again before its `unread` is empty. Times are epoch milliseconds.
"""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

from sessionlab.errors import UsageError

MemoryType = Literal["decision", "preference", "summary", "fact", "action"]
Status = Literal["active", "idle", "hibernated"]
ActionStatus = Literal["open", "in_progress", "completed", "cancelled"]
Act = Literal["written", "deleted"]

MEMORY_TYPES: Final = frozenset({"decision", "preference", "summary", "fact", "action"})
ACTION_STATUSES: Final = frozenset({"open", "in_progress", "completed", "cancelled"})
_MOST_BYTES: Final = 1 << 20
_MOST_SHOWN: Final = 60
_MOST: Final = (1 << 63) - 1
"""The greatest whole number of SQLite."""


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """Something that a session remembers for its channel; `expires_ms` is `None` for what is kept for good."""

    session_key: str
    channel_id: str
    memory_type: MemoryType
    content: str
    importance: int = 5
    created_ms: int = 0
    expires_ms: int | None = None
    promoted: bool = False
    id: int | None = None
    version: int = 0
    unread: tuple[str, ...] = ()

    def is_expired(self, now_ms: int) -> bool:
        """Say whether its time is over: at the very millisecond that it names, it is. The one rule for all that reads or removes."""
        return self.expires_ms is not None and self.expires_ms <= now_ms


class Knowledge(msgspec.Struct, frozen=True, kw_only=True):
    """Something that all channels know; `confidence` is 0 to 1."""

    category: str
    content: str
    source_channel: str | None = None
    source_session_key: str | None = None
    confidence: float = 0.5
    created_ms: int = 0
    updated_ms: int = 0
    id: int | None = None
    version: int = 0
    unread: tuple[str, ...] = ()


class ActionItem(msgspec.Struct, frozen=True, kw_only=True):
    """Something to do."""

    description: str
    session_key: str | None = None
    channel_id: str | None = None
    status: ActionStatus = "open"
    priority: int = 5
    due_ms: int | None = None
    created_ms: int = 0
    completed_ms: int | None = None
    id: int | None = None
    version: int = 0
    unread: tuple[str, ...] = ()


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody whom the agent talks to, under one id on all channels. What is known of their preferences is plain JSON."""

    canonical_id: str
    display_name: str | None = None
    relationship: str | None = None
    notes: str | None = None
    preferences: dict[str, Any] = msgspec.field(default_factory=dict)
    channel_ids: tuple[str, ...] = ()
    first_seen_ms: int = 0
    last_seen_ms: int = 0
    id: int | None = None
    version: int = 0
    unread: tuple[str, ...] = ()


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """One chat session of an agent."""

    session_key: str
    channel_id: str
    chat_id: str | None = None
    peer_id: str | None = None
    status: Status = "active"
    created_ms: int = 0
    last_activity_ms: int = 0
    message_count: int = 0


State = tuple[Session, dict[str, Any] | None]
"""A session, and what is stored beside it: anything that JSON can hold."""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One change that somebody made, in whichever process; of several changes of one record only the latest is told.

    Attributes:
        seq: Its number; later changes have greater ones.
        table: Of which table.
        row: The record's number in it, its rowid.
        act: Whether the record is there now, or gone.
        at_ms: When, by the clock of the machine that made it.
    """

    seq: int
    table: str
    row: int
    act: Act
    at_ms: int


def checked_memory(one: Memory) -> Memory:
    """Return a memory that may be stored.

    Raises:
        UsageError: It may not: naming the field and what is wrong with it.
    """
    _whole_record(one)
    _texts(one, "session_key", "channel_id", "content")
    _choice(one, "memory_type", MEMORY_TYPES)
    _whole(one, "importance", 1, 10)
    _times(one, "created_ms")
    _times_if_any(one, "expires_ms")
    _numbers_if_any(one, "id")
    promoted: object = one.promoted  # whoever makes a record need not keep to its types
    if not isinstance(promoted, bool):
        raise UsageError("promoted: must be true or false")
    return one


def checked_knowledge(one: Knowledge) -> Knowledge:
    """Return knowledge that may be stored; raises as `checked_memory`."""
    _whole_record(one)
    _texts(one, "category", "content")
    _texts_if_any(one, "source_channel", "source_session_key")
    _times(one, "created_ms", "updated_ms")
    _numbers_if_any(one, "id")
    confidence: object = one.confidence
    if isinstance(confidence, bool) or not isinstance(confidence, int | float) or not 0 <= confidence <= 1:
        raise UsageError(f"confidence={_shown(confidence)}: must be a number from 0 to 1")
    return one


def checked_action(one: ActionItem) -> ActionItem:
    """Return an action item that may be stored; raises as `checked_memory`."""
    _whole_record(one)
    _texts(one, "description")
    _texts_if_any(one, "session_key", "channel_id")
    _choice(one, "status", ACTION_STATUSES)
    _whole(one, "priority", 1, 10)
    _times(one, "created_ms")
    _times_if_any(one, "due_ms", "completed_ms")
    _numbers_if_any(one, "id")
    return one


def checked_person(one: Person) -> Person:
    """Return a person who may be stored; raises as `checked_memory`."""
    _whole_record(one)
    _texts(one, "canonical_id")
    _texts_if_any(one, "display_name", "relationship", "notes")
    _times(one, "first_seen_ms", "last_seen_ms")
    preferences: object = one.preferences
    if not isinstance(preferences, dict):
        raise UsageError("preferences: must be a JSON object")
    channels: object = one.channel_ids
    if not isinstance(channels, list | tuple) or not all(isinstance(channel, str) for channel in channels):
        raise UsageError("channel_ids: must be texts, in a tuple")
    return one


def checked_session(one: Session) -> Session:
    """Return a session that may be stored; raises as `checked_memory`."""
    _texts(one, "session_key", "channel_id", "status")
    _texts_if_any(one, "chat_id", "peer_id")
    _times(one, "created_ms", "last_activity_ms", "message_count")
    return one


def checked_number(name: str, value: object, least: int = -_MOST - 1, most: int = _MOST) -> int:
    """Return a whole number that SQLite can hold, within bounds; raises `UsageError`."""
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise UsageError(f"{name}={_shown(value)}: must be a whole number from {least} to {most}")
    return value


def checked_text(name: str, value: object) -> str:
    """Return a text; raises `UsageError` for anything else."""
    if not isinstance(value, str):
        raise UsageError(f"{name}: must be a text, not of type {type(value).__name__}")
    return value


def is_storable(text: str) -> bool:
    """Say whether a record may hold a text: SQLite cannot so much as be asked for half a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def shortened(value: object) -> str:
    """Return what was given as an error shows it: a text up to 60 characters, of anything else its type."""
    if not isinstance(value, str):
        return type(value).__name__
    return repr(value) if len(value) <= _MOST_SHOWN else f"{value[:_MOST_SHOWN]!r}..."


def _shown(value: object) -> str:
    return repr(value) if isinstance(value, int | float) else type(value).__name__


def _times(one: msgspec.Struct, *names: str) -> None:
    for name in names:
        checked_number(name, getattr(one, name), 0)


def _times_if_any(one: msgspec.Struct, *names: str) -> None:
    _times(one, *(name for name in names if getattr(one, name) is not None))


def _numbers_if_any(one: msgspec.Struct, *names: str) -> None:
    for name in names:
        if getattr(one, name) is not None:
            checked_number(name, getattr(one, name))


def _whole_record(one: Memory | Knowledge | ActionItem | Person) -> None:
    if one.unread:
        raise UsageError(f"{', '.join(one.unread)}: cannot be read as stored, and would be lost; give the record with unread=() to do so")


def checked_storable(name: str, value: object) -> str:
    """Return a text that a record may hold; raises `UsageError`."""
    if not isinstance(value, str) or not value:
        raise UsageError(f"{name}: must be a text that is not empty")
    if "\0" in value:
        raise UsageError(f"{name}: holds a NUL character, where every text of SQLite ends")
    try:
        size = len(value.encode())
    except UnicodeEncodeError as error:
        raise UsageError(f"{name}: holds half a surrogate pair, which is no text") from error
    if size > _MOST_BYTES:
        raise UsageError(f"{name}: is {size} bytes long; the most is {_MOST_BYTES}")
    return value


def _texts(one: msgspec.Struct, *names: str) -> None:
    for name in names:
        checked_storable(name, getattr(one, name))


def _texts_if_any(one: msgspec.Struct, *names: str) -> None:
    _texts(one, *(name for name in names if getattr(one, name) not in (None, "")))


def _whole(one: msgspec.Struct, name: str, least: int, most: int) -> None:
    checked_number(name, getattr(one, name), least, most)


def _choice(one: msgspec.Struct, name: str, known: frozenset[str]) -> None:
    value = getattr(one, name)
    if not isinstance(value, str) or value not in known:
        raise UsageError(f"{name}={shortened(value)}: must be one of {', '.join(sorted(known))}")
