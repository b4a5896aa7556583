"""What OpenClaw 2026.9 never touches, what it deletes, and what it archives: told from a session's key, and from rare fields of its entry.

2026.7 knows fewer of these rules. Found in the documentation of 2026.9.6, and by running the maintenance of both on small stores. Only its
running gateway knows which sessions have work in hand; what of that is not in an entry as `status: running` cannot be seen here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final, Literal

import msgspec

from sessionlab import keys
from sessionlab.entry import Entry, SessionSummary
from sessionlab.maintenance.policy import Policy

Protection = Literal["main session", "conversation", "pinned", "model locked", "running", "recently active"]
"""Why 2026.9 never touches a session; 2026.7 knows only conversations, and of those only groups, channels, topics and threads."""
Judgement = Protection | Literal["disposable"]

_UUID: Final = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_MODEL_RUN: Final = re.compile(rf"explicit:model-run-{_UUID}\Z")
_AUTOMATIC: Final = ("subagent:", "acp:", "acp-bridge:", "hook:", "node:")
_HEARTBEAT: Final = re.compile(r"(?:\A|:)heartbeat\Z|:heartbeat:")
_GROUP: Final = re.compile(r"[^:]+:(?:group|channel):.|telegram:(?:direct|dm):.+:topic:[^:]+\Z")
_CONVERSATION: Final = re.compile(r"direct:.|[^:]+:(?:group|channel):.|telegram:(?:direct|dm):.+:topic:[^:]+\Z")
_GROUPS: Final = frozenset({"group", "channel", "thread"})
_KEEPING: Final = frozenset({"running", *_GROUPS})
_PEERS: Final = frozenset({"direct", "dm", "group", "channel"})


class Traits(msgspec.Struct, frozen=True, gc=False):
    """What 2026.9 looks at of an entry and a summary does not hold.

    Attributes:
        active_ms: When it was last talked in, active or begun, epoch ms; 0 when it does not say. `updated_ms` counts besides.
        is_archived: Whether it is archived, since whenever.
        archived_ms: Since when, epoch ms.
        is_of_cap: Whether it was archived because there were too many: the disk budget may remove such, and no others.
        is_pinned: Whether it is pinned, and may be.
        is_locked: Whether its model is locked.
        is_conversation: Whether it talks to people in a chat outside, whatever its key says.
        is_from_group: Whether it came from a group, a channel or a thread, as 2026.7 has it where the entry does not name its own type.
    """

    active_ms: int = 0
    is_archived: bool = False
    archived_ms: int | None = None
    is_of_cap: bool = False
    is_pinned: bool = False
    is_locked: bool = False
    is_conversation: bool = False
    is_from_group: bool = False


PLAIN: Final = Traits()
NO_TRAITS: Final[Mapping[str, Traits]] = MappingProxyType({})


class _Fields(msgspec.Struct, gc=False, rename="camel"):
    """The fields of an entry that `Traits` are made from; `Any`, as one that is misspelt must not hide all others."""

    last_interaction_at: Any = None
    last_activity_at: Any = None
    session_started_at: Any = None
    archived_at: Any = msgspec.UNSET
    archive_reason: Any = None
    pinned_at: Any = msgspec.UNSET
    spawned_by: Any = None
    parent_session_key: Any = None
    model_selection_locked: Any = None
    delivery: Any = None
    chat_type: Any = None
    origin: Any = None


_DECODER: Final = msgspec.json.Decoder(_Fields)


def traits_of(entries: Iterable[tuple[str, bytes | memoryview | msgspec.Raw]]) -> dict[str, Traits]:
    """Return key -> traits of the entries that have any; those without are `PLAIN`.

    Args:
        entries: Key and JSON of each entry; one that is no object has no traits.
    """
    found = {}
    for key, raw in entries:
        try:
            traits = _traits(key, _DECODER.decode(raw))
        except msgspec.DecodeError:
            continue
        if traits != PLAIN:
            found[key] = traits
    return found


def traits_of_entry(key: str, entry: Entry) -> Traits:
    """Return the traits of one decoded entry."""
    return _traits(key, msgspec.convert(entry, _Fields))


def may_be_protected(entry: Entry) -> bool:
    """Say whether what an entry says besides its traits can make `judged` keep it: that it is running, or of a group.

    Of most it is told by this, which takes a tenth of the time.
    """
    return any(str(entry.get(name)).strip().lower() in _KEEPING for name in ("status", "chatType"))


def last_active_ms(one: SessionSummary, traits: Mapping[str, Traits]) -> int:
    """Return when something was last done in a session, epoch ms; 0 when it does not say."""
    own = traits.get(one.key)
    return max(one.updated_ms or 0, own.active_ms) if own is not None else one.updated_ms or 0


def is_archived(one: SessionSummary, traits: Mapping[str, Traits]) -> bool:
    """Say whether a session is archived already: it is left alone, and takes no place under the cap."""
    return one.archived or (one.key in traits and traits[one.key].is_archived)


def is_model_run(key: str) -> bool:
    """Say whether a session is one trial of a model, `agent:<id>:explicit:model-run-<uuid>`."""
    has_agent, rest = _parts(key)
    return has_agent and _MODEL_RUN.match(rest) is not None


def is_dashboard(key: str) -> bool:
    """Say whether a session is one of the dashboard, `agent:<id>:dashboard:<id>`."""
    if ":dashboard:" not in key.lower():  # most are none
        return False
    has_agent, rest = _parts(key)
    return has_agent and rest.startswith("dashboard:")


def judged(one: SessionSummary, policy: Policy, traits: Mapping[str, Traits], *, now_ms: int) -> Judgement | None:
    """Return why a session that is not archived is never touched, or that it is deleted when it has to go; `None`: it is archived then."""
    own = traits.get(one.key, PLAIN)
    if not policy.archives_in_place:
        return "conversation" if policy.protects and _is_group(one, own) else "disposable"
    if own.is_pinned:
        return "pinned"
    if own.is_locked:
        return "model locked"
    if one.status == "running":
        return "running"
    has_agent, rest = _parts(one.key)
    if _is_automatic(rest, has_agent=has_agent):
        return "disposable"
    if rest == ("main" if has_agent else "global"):
        return "main session"
    if own.is_conversation or (one.chat_type or "").lower() in _GROUPS or _is_conversation(rest, has_agent=has_agent):
        return "conversation"
    recent_ms, active_ms = policy.limits.preserve_recent_ms, last_active_ms(one, traits)
    return "recently active" if recent_ms is not None and active_ms and now_ms - active_ms <= recent_ms else None


def _is_group(one: SessionSummary, own: Traits) -> bool:
    """Say whether 2026.7 leaves a session alone: that of a group, a channel, a topic or a thread which is not automation's."""
    has_agent, rest = _parts(one.key)
    if _is_automatic(rest, has_agent=has_agent):
        return False
    is_named = _GROUP.match(rest) is not None or _has_thread(rest, has_agent=has_agent)
    return is_named or own.is_from_group or (one.chat_type or "").lower() in _GROUPS


def _parts(key: str) -> tuple[bool, str]:
    """Return whether a key names an agent, and what follows that, as `keys.parse` does; this is asked of 100,000 keys at a time."""
    normal = keys.normalise(key)
    if normal.startswith("agent:"):
        agent, _, rest = normal[6:].partition(":")
        if agent and rest and rest[0] != ":":
            return True, rest
    return False, normal


def _is_automatic(rest: str, *, has_agent: bool) -> bool:
    """Say whether a session is of a cron job, a subagent, a webhook, ACP, a node, a heartbeat or a model run."""
    if rest.startswith("cron:"):
        return has_agent
    if rest.startswith(_AUTOMATIC) or ("heartbeat" in rest and _HEARTBEAT.search(rest)):
        return True
    return has_agent and _MODEL_RUN.match(rest) is not None


def _is_conversation(rest: str, *, has_agent: bool) -> bool:
    """Say whether a key names people: `direct:<peer>`, `<channel>[:<account>]:direct|dm|group|channel:<peer>`, or a thread of whatever."""
    if _CONVERSATION.match(rest) or _has_thread(rest, has_agent=has_agent):
        return True
    words = [word.strip() for word in rest.split(":")]
    if not has_agent or words[0] in ("", "agent") or len(words) < 3:
        return False
    if len(words) > 3 and words[2] in ("direct", "dm"):
        return bool(words[1] and words[3])
    return words[1] in _PEERS and bool(words[2])


def _has_thread(rest: str, *, has_agent: bool) -> bool:
    if "thread:" not in rest:  # most have none
        return False
    _, marker, thread = f":{rest}".rpartition(":thread:") if has_agent else rest.rpartition(":thread:")
    return bool(marker and thread.strip())


def _traits(key: str, fields: _Fields) -> Traits:
    delivery, origin = fields.delivery, fields.origin
    is_archived = fields.archived_at is not msgspec.UNSET
    return Traits(
        active_ms=max(_ms(fields.last_interaction_at) or 0, _ms(fields.last_activity_at) or 0, _ms(fields.session_started_at) or 0),
        is_archived=is_archived,
        archived_ms=_ms(fields.archived_at) if is_archived else None,
        is_of_cap=is_archived and fields.archive_reason == "active-session-cap",
        is_pinned=fields.pinned_at is not msgspec.UNSET and _may_be_pinned(key, fields),
        is_locked=fields.model_selection_locked is True,
        is_conversation=isinstance(delivery, dict) and delivery.get("kind") == "external",
        is_from_group=fields.chat_type is None
        and isinstance(origin, dict)
        and str(origin.get("chatType") or "").strip().lower() in _GROUPS,
    )


def _ms(value: object) -> int | None:
    """Return a time as epoch ms; what is none that JavaScript could hold counts as absent."""
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1 << 53 else None


def _may_be_pinned(key: str, fields: _Fields) -> bool:
    """Say whether a pin counts: not on a subagent, nor on what another session spawned, nor below another than the main session."""
    has_agent, rest = _parts(key)
    parent = fields.parent_session_key.strip() if isinstance(fields.parent_session_key, str) else ""
    is_spawned = isinstance(fields.spawned_by, str) and bool(fields.spawned_by.strip())
    if rest.startswith("subagent:") or is_spawned:
        return False
    return not parent or (has_agent and parent == f"agent:{keys.parse(key).agent_id}:main")
