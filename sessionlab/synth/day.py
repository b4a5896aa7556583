"""One day of an agent that people write to by many channels: who writes when and where, and what the agent makes a note of.

People write in conversations, by day, hardly at night; now and then something happens that all channels talk about at once. The same
arguments give the same day, on every machine. This module draws it; it knows no session, no store and no clock.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from sessionlab.errors import UsageError
from sessionlab.synth.day_words import Note, Notebook
from sessionlab.synth.dice import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, Dice
from sessionlab.synth.write import DEFAULT_NOW_MS

DAY_START_MS: Final = DEFAULT_NOW_MS - DAY_MS
"""Midnight before the day, UTC: a Thursday."""
CHANNELS: Final = (
    "telegram",
    "whatsapp",
    "slack",
    "discord",
    "signal",
    "matrix",
    "webchat",
    "imessage",
    "irc",
    "msteams",
    "zalo",
    "nostr",
    "feishu",
    "twitch",
    "mattermost",
    "nextcloud",
)
MOST_MESSAGES: Final = 20_000
MOST_PEERS: Final = 500
_NAMES: Final = (
    *("ada", "boris", "chloe", "dmitri", "elif", "farid", "greta", "hiro", "ines", "jonas", "kaya", "lars"),
    *("mina", "nils", "olga", "pavel", "qian", "rosa", "sven", "tara", "umut", "vera", "wim", "yara"),
)
_GROUPS: Final = 3
_GROUP_SHARE: Final = 0.4
_LONGEST: Final = 32
_GAP_MS: Final = 2 * MINUTE_MS
_COMMOTIONS: Final = 2
_COMMOTION_MS: Final = 20 * MINUTE_MS


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One message to the agent. `chat` is the group, `None` in a chat with one person; `note` is what it makes the agent remember."""

    at_ms: int
    channel: str
    chat: str | None
    peer: str
    note: Note | None = None


class _Conversation(msgspec.Struct, frozen=True):
    start_ms: int
    channel: str
    chat: str | None
    peer: str


def make_day(*, seed: int, messages: int, channels: int, peers: int, notes_percent: int) -> tuple[Message, ...]:
    """Return the messages of a day, in the order in which they come.

    Args:
        seed: Another seed is another day.
        messages: How many there are.
        channels: By how many channels.
        peers: From how many people; each writes by one channel or by several.
        notes_percent: Of a hundred messages, how many the agent makes a note of.

    Raises:
        UsageError: One of them makes no sense.
    """
    _within("messages", messages, 1, MOST_MESSAGES)
    _within("channels", channels, 1, len(CHANNELS))
    _within("peers", peers, 1, MOST_PEERS)
    _within("notes_percent", notes_percent, 0, 100)
    dice = Dice(seed)
    town = _Town(dice, CHANNELS[:channels], peers)
    drawn: list[Message] = []
    for conversation in town.conversations():
        drawn += _messages(dice, conversation, town)
        if len(drawn) >= messages:
            break
    drawn = sorted(drawn[:messages], key=lambda one: one.at_ms)  # of one moment: as drawn
    notebook = Notebook(dice)
    return tuple(msgspec.structs.replace(one, note=notebook.note()) if dice.chance(notes_percent / 100) else one for one in drawn)


class _Town:
    """The people, and by which channels they write."""

    def __init__(self, dice: Dice, channels: Sequence[str], peers: int) -> None:
        self._dice, self._channels = dice, channels
        self._peers = [_name(number) for number in range(peers)]
        # The first channels are those that most people use.
        self._used = {peer: sorted({channels[_early(dice, len(channels))] for _ in range(dice.between(1, 3))}) for peer in self._peers}

    def conversations(self) -> Iterator[_Conversation]:
        """Draw conversations without end: first those of the moments that everybody talks about, then those of everyday."""
        dice = self._dice
        for _ in range(_COMMOTIONS):
            start_ms = DAY_START_MS + dice.between(9 * HOUR_MS, 19 * HOUR_MS)
            for channel in self._channels:
                peer = dice.pick(self.writers(channel))
                yield _Conversation(start_ms + dice.below(_COMMOTION_MS), channel, self._group(channel), peer)
        while True:
            peer = self._peers[_early(dice, len(self._peers))]
            channel = dice.pick(self._used[peer])
            chat = self._group(channel) if dice.chance(_GROUP_SHARE) else None
            yield _Conversation(dice.waking_time(DAY_START_MS, DAY_START_MS + DAY_MS), channel, chat, peer)

    def writers(self, channel: str) -> list[str]:
        """Return who writes by a channel; one that nobody uses has a guest."""
        return [peer for peer in self._peers if channel in self._used[peer]] or [f"guest-{channel}"]

    def _group(self, channel: str) -> str:
        return f"{channel}-group-{self._dice.between(1, _GROUPS)}"


def _messages(dice: Dice, conversation: _Conversation, town: _Town) -> Iterator[Message]:
    """Draw the messages of a conversation, until it ends or the day does."""
    writers = town.writers(conversation.channel)
    at_ms, peer = conversation.start_ms, conversation.peer
    for _ in range(dice.skewed(2, _LONGEST)):
        if at_ms >= DAY_START_MS + DAY_MS:
            break
        yield Message(at_ms=at_ms, channel=conversation.channel, chat=conversation.chat, peer=peer)
        at_ms += 2 * SECOND_MS + dice.gap(_GAP_MS)
        if conversation.chat is not None:
            peer = dice.pick(writers)


def _early(dice: Dice, length: int) -> int:
    """Return a place in a row of so many, the first ones more often."""
    return min(dice.below(length), dice.below(length))


def _name(number: int) -> str:
    again, place = divmod(number, len(_NAMES))
    return _NAMES[place] if not again else f"{_NAMES[place]}-{again + 1}"


def _within(name: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise UsageError(f"{name}={value} makes no sense; give {least} to {most:,}")
