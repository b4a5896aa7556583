"""Which chats share a session: the session key of a message, by the isolation that is configured (A.7 to A.11)."""

from __future__ import annotations

from sessionlab import keys
from sessionlab.errors import UsageError
from sessionlab.parallel.records import checked_storable, checked_text
from sessionlab.settings import Isolation


def session_key(
    isolation: Isolation, *, channel_id: str, chat_id: str | None = None, peer_id: str | None = None, agent_id: str = "main"
) -> str:
    """Return the key of the session that a message belongs to.

    `per-channel` has one session for each channel, `per-chat` one for each chat (or peer) of a channel, `per-peer` one for each peer across
    all channels. `main` has one for all: our choice, since openclaw#22962 declares it and treats it as `per-channel` (A.9). Channel, chat
    and peer are lower-cased, the agent is not (A.8).

    Raises:
        UsageError: The channel is blank, or it or the agent holds a ":", which would give two chats one session; or one of them is no text
            that can be stored. All are looked at, in the key or not: of a session that cannot be stored nobody could take the place.
    """
    for name, given in (("channel_id", channel_id), ("chat_id", chat_id), ("peer_id", peer_id)):
        if given is not None and given != "":
            checked_storable(name, given)
    checked_text("agent_id", agent_id)
    channel = normal_channel(channel_id)
    if not channel:
        raise UsageError("channel_id: is blank; name the channel that the message came by")
    for name, part in (("channel_id", channel), ("agent_id", agent_id)):
        if ":" in part:
            raise UsageError(f"{name}={part!r}: holds a ':', which separates the parts of a session key")
    chat, peer = ((part or "").strip().lower() for part in (chat_id, peer_id))
    match isolation:
        case "main":
            rest = "main"
        case "per-channel":
            rest = channel
        case "per-chat":
            rest = f"{channel}:{chat or peer or 'default'}"
        case "per-peer":
            rest = f"peer:{peer or 'default'}"
    return keys.checked(f"agent:{agent_id}:parallel:{rest}")


def normal_channel(channel_id: str) -> str:
    """Return a channel as it is compared: without blanks around it, lower-cased (A.8)."""
    return checked_text("channel_id", channel_id).strip().lower()
