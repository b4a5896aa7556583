"""The session-key grammar: parse, normalise, classify, refuse.

A key says what a conversation is: `agent:<agentId>:<rest>`, always lower case when OpenClaw writes it today. Older or foreign files hold
other spellings; classification reads those too, and `is_canonical` says which they are. Forms: openclaw-formats of 2026.3 to 2026.9.
This module knows text only: no files, no entries.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal, get_args

from sessionlab.errors import InvalidKeyError

Kind = Literal["main", "direct", "group", "channel", "thread", "cron", "cron-run", "subagent", "hook", "acp", "node", "parallel", "other"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
"""Every kind, in the order in which reports list them."""

BLOCKED_KEYS: Final = frozenset({"__proto__", "prototype", "constructor"})
"""Names that a JavaScript object cannot hold as plain keys; never loaded, never written."""

MAX_KEY_BYTES: Final = 4096
"""Longest key that is read or written, in UTF-8 bytes; OpenClaw's own stay below 300."""

DEFAULT_AGENT: Final = "main"

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_AGENT_ID: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}\Z")
_DIRECT_WORDS: Final = frozenset({"direct", "dm"})
_FIRST_WORD_KINDS: Final[dict[str, Kind]] = {
    "subagent": "subagent",
    "hook": "hook",
    "acp": "acp",
    "node": "node",
    "parallel": "parallel",
}


@dataclass(frozen=True, slots=True)
class ParsedKey:
    """A session key taken apart.

    Attributes:
        agent_id: The agent that the key names, or `None` for a key without the `agent:` prefix (it belongs to its store's agent).
        rest: What follows the agent, lower case.
        kind: What sort of conversation it is.
        channel: The chat channel that the key names ("telegram", "slack", ...), when it names one.
        cron_job_id: The job, for kinds cron and cron-run.
        is_canonical: Whether the key is spelled as OpenClaw 2026.9 wants it: trimmed, lower case, `agent:<id>:...`.
    """

    agent_id: str | None
    rest: str
    kind: Kind
    channel: str | None
    cron_job_id: str | None
    is_canonical: bool


def normalise(key: str) -> str:
    """Return the spelling under which OpenClaw looks a key up: trimmed and lower-cased. Case variants are the same session.

    Raises:
        InvalidKeyError: The key is no text.
    """
    try:
        return str.strip(key).lower()
    except TypeError:  # asked for in vain, it costs nothing
        raise InvalidKeyError(repr(key), "is no text") from None


def normalised(names: Iterable[str]) -> Iterator[str]:
    """Return the same of many texts, in a fraction of the time that one by one takes."""
    return map(str.lower, map(str.strip, names))


def are_normal(names: Collection[str]) -> bool:
    """Say whether all are spelled as OpenClaw looks them up."""
    return list(normalised(names)) == list(names)


def is_agent_id(text: str) -> bool:
    """Say whether `text` may name an agent's folder."""
    return _AGENT_ID.match(text) is not None


def refusal(key: str) -> str | None:
    """Return why a key may not be stored, or `None` when it may: blank, blocked, too long, with control characters or no text."""
    if not key.strip():
        return "is blank"
    if normalise(key) in BLOCKED_KEYS:
        return "is a name that JavaScript objects reserve"
    try:
        length = len(key.encode("utf-8"))
    except UnicodeEncodeError:
        return "holds half of a surrogate pair"
    if length > MAX_KEY_BYTES:
        return f"is longer than {MAX_KEY_BYTES} bytes"
    if _CONTROL.search(key):
        return "holds a control character"
    return None


def checked(key: str) -> str:
    """Return `key` itself when it may be stored.

    Raises:
        InvalidKeyError: With the reason of `refusal`.
    """
    reason = refusal(key)
    if reason is not None:
        raise InvalidKeyError(key, reason)
    return key


@lru_cache(maxsize=65_536)
def parse(key: str) -> ParsedKey:
    """Take a session key apart. Never raises: what fits no form has kind "other".

    Args:
        key: The key as it lies in a store, in any spelling.
    """
    normal = normalise(key)
    parts = normal.split(":")
    prefixed = parts[0] == "agent" and len(parts) >= 3 and all(parts[1:3])
    agent_id = parts[1] if prefixed else None
    words = parts[2:] if prefixed else parts
    kind, channel, job = _classify(words)
    canonical = prefixed and key == normal and is_agent_id(parts[1]) and all(words)
    return ParsedKey(agent_id, ":".join(words), kind, channel, job, canonical or key in ("global", "unknown"))


def is_cron_run(key: str) -> bool:
    """Say whether the key is one run of a cron job, `agent:<id>:cron:<job>:run:<uuid>`; the one predicate for it (F.16, D.23)."""
    parsed = parse(key)
    return parsed.kind == "cron-run" and parsed.agent_id is not None


def is_hook(key: str) -> bool:
    """Say whether the key is what a webhook left, `agent:<id>:hook:<id>`, of one word or several; the one predicate for it (D.29)."""
    parsed = parse(key)
    return parsed.kind == "hook" and parsed.agent_id is not None and all(parsed.rest.split(":"))


def _classify(words: list[str]) -> tuple[Kind, str | None, str | None]:
    """Return (kind, channel, cron job id) of a key's words after the agent."""
    first = words[0]
    if first.startswith("node-"):
        return "node", None, None
    if len(words) > 1 and first == "cron":
        is_run = len(words) == 4 and words[2] == "run" and all(words)
        return ("cron-run" if is_run else "cron"), None, words[1] or None
    if len(words) > 1 and first in _FIRST_WORD_KINDS:
        channel = words[1] if first == "parallel" and words[1] not in ("main", "peer") else None
        return _FIRST_WORD_KINDS[first], channel, None
    return _classify_chat(words)


def _classify_chat(words: list[str]) -> tuple[Kind, str | None, str | None]:
    """Classify what names a peer: `main`, `direct:<peer>`, `<channel>[:<account>]:direct|group|channel:<peer>`, with a thread or not."""
    for place, word in enumerate(words[:3]):
        is_peer_word = word in _DIRECT_WORDS or (place > 0 and word in ("group", "channel"))
        if not is_peer_word and not (place == 0 and word == "main"):
            continue
        if is_peer_word and place == len(words) - 1:
            break
        channel = words[0] if place > 0 else None
        if _has_thread(words[place + (2 if is_peer_word else 1) :]):
            return "thread", channel, None
        kinds: dict[str, Kind] = {"main": "main", "group": "group", "channel": "channel"}
        return kinds.get(word, "direct"), channel, None
    return "other", None, None


def _has_thread(words: list[str]) -> bool:
    """Say whether `:thread:<id>` or Telegram's `:topic:<id>` is among the words that follow a peer."""
    return any(word in ("thread", "topic") for word in words[:-1])
