"""The plan of one session, and the time in which it happens. Records only."""

from __future__ import annotations

from typing import Literal

import msgspec

from sessionlab.synth.usage import Usage

Rhythm = Literal["burst", "spread", "growing"]


class Session(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One session as planned. Times are epoch ms; `model`, `first_model` index the catalogue; `usage` is that of its last model call.

    `last_ms` is the time of the transcript's last event and the entry's `updatedAt`.
    `size_class` says how big the entry gets; `flaws` names what the writers must do wrong.
    """

    agent: str
    key: str
    kind: str
    session_id: str
    file_name: str
    created_ms: int
    last_ms: int
    turns: int
    rhythm: Rhythm
    model: int
    first_model: int
    usage: Usage
    compactions: int
    size_class: Literal["small", "usual", "large"] = "usual"
    channel: str | None = None
    chat_type: str | None = None
    peer: str | None = None
    title: str = ""
    thread_id: str | int | None = None
    account: str = "default"
    spawned_by: str | None = None
    spawn_depth: int = 0
    parent_key: str | None = None
    flaws: frozenset[str] = frozenset()


class Window(msgspec.Struct, frozen=True):
    """The time in which everything happens: [start_ms, now_ms]."""

    start_ms: int
    now_ms: int

    def at(self, share: float) -> int:
        """Return the time that lies `share` (0 to 1) into the window."""
        return self.start_ms + int(share * (self.now_ms - self.start_ms))
