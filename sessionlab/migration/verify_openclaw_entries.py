"""What OpenClaw's import into SQLite does to an entry: telling the documented rewrites and losses from what should not have happened.

Measured with 2026.8.1 and 2026.9.6. The fields of the route become `delivery`; those of the memory flush `memoryFlush`, without the time;
`sessionFile` and `skillsSnapshot.resolvedSkills` are dropped; a route under old names (`provider`, `lastProvider`) is not read and so lost.
`openclaw doctor --fix` afterwards may remove the model and what belongs to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from sessionlab.entry import Entry, has_lost_route
from sessionlab.migration.compare import differing_paths, is_same

ROUTE_FIELDS: Final = ("channel", "origin", "deliveryContext", "lastChannel", "lastTo", "lastAccountId", "lastThreadId")
DOCTORED_FIELDS: Final = ("model", "modelProvider", "contextTokens", "systemPromptReport")
"""What 'openclaw doctor --fix' removes where no provider is configured."""

_WEB_CHAT: Final = "webchat"
_FLUSH: Final = "memoryFlush"


@dataclass(slots=True)
class Judged:
    """What became of one entry.

    Attributes:
        rewritten: Codes of documented rewrites that lose nothing.
        documented: Codes of documented losses.
        lost: JSON paths of what is gone without being documented.
        changed: JSON paths of what differs without being documented.
        is_newer: Whether the session was used after the import: then its fields may differ, and are not compared.
    """

    rewritten: list[str] = field(default_factory=list)
    documented: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    is_newer: bool = False


def judge(original: Entry, live: Entry) -> Judged:
    """Compare an entry of the JSON era with what the database has of it."""
    found = Judged(is_newer=_updated(live) > _updated(original))
    gone = {name for name in original if name not in live}
    doctored = {name for name in DOCTORED_FIELDS if name in gone}
    if "model" in doctored and not any(name in live for name in ("model", "modelProvider")):
        found.documented.append("model_fields_removed")
        gone -= doctored
    if has_lost_route(live):
        found.documented.append("route_lost")
        gone.discard("lastTo")
        gone -= {name for name in gone if name in ("lastAccountId", "lastThreadId")}
    if found.is_newer:
        return found
    if "sessionFile" in gone:
        found.rewritten.append("session_file_dropped")
    gone -= {"sessionFile", *_route(original, live, found), *_flush(original, live, found)}
    found.lost += [f"$.{name}" for name in original if name in gone]
    for name, value in original.items():
        if name in live:
            _field(name, value, live[name], found)
    return found


def _updated(entry: Mapping[str, Any]) -> float:
    value = entry.get("updatedAt")
    return value if isinstance(value, int | float) and not isinstance(value, bool) else float("-inf")


def _field(name: str, before: Any, after: Any, found: Judged) -> None:
    """Compare one field that is on both sides."""
    if is_same(before, after):
        return
    if name == "skillsSnapshot" and isinstance(before, dict) and isinstance(after, dict) and "resolvedSkills" not in after:
        found.rewritten += ["resolved_skills_dropped"] if "resolvedSkills" in before else []
        before = {inner: value for inner, value in before.items() if inner != "resolvedSkills"}
    if name in ("model", "modelProvider") and isinstance(before, str) and before.strip() == after:
        found.rewritten.append("model_trimmed")
        return
    found.changed += [f"$.{name}{path[1:]}" for path in differing_paths(before, after)]


def _route(original: Entry, live: Entry, found: Judged) -> Iterable[str]:
    """Return the route's fields that are accounted for, because `delivery` has what they said, or because their loss is documented."""
    delivery = live.get("delivery")
    gone = [name for name in ROUTE_FIELDS if name in original and name not in live]
    if not gone or not isinstance(delivery, dict):
        return ()
    if delivery.get("kind") == "internal":  # a web chat has no route, and nothing else of it is kept
        is_web = all(original.get(name, _WEB_CHAT) == _WEB_CHAT for name in ("channel", "lastChannel"))
        if is_web:
            found.rewritten.append("delivery_rewritten")
            found.documented += ["web_chat_origin_lost"] if "origin" in gone else []
        return gone if is_web else ()
    if delivery.get("kind") == "none":
        return ("lastTo", "lastAccountId", "lastThreadId") if has_lost_route(live) else ()
    found.rewritten.append("delivery_rewritten")
    return [name for name in gone if _is_in(delivery, name, original[name])]


def _is_in(delivery: Mapping[str, Any], name: str, value: Any) -> bool:
    """Say whether `delivery` holds what a field of the JSON era said."""
    context, origin = delivery.get("context"), delivery.get("origin")
    context = context if isinstance(context, dict) else {}
    origin = origin if isinstance(origin, dict) else {}
    if name in ("origin", "deliveryContext"):
        there = origin if name == "origin" else context
        return isinstance(value, dict) and all(part is None or _is_at(there, inner, part) for inner, part in value.items())
    inner = {"channel": "channel", "lastChannel": "channel", "lastTo": "to", "lastAccountId": "accountId", "lastThreadId": "threadId"}[name]
    return value is None or _is_at(context, inner, value) or (name == "channel" and _is_at(origin, "provider", value))


def _is_at(place: Mapping[str, Any], name: str, value: Any) -> bool:
    """Say whether a value stands at a place; a thread's id may have become a text."""
    if name not in place:
        return False
    return is_same(value, place[name]) or (name == "threadId" and str(value) == str(place[name]))


def _flush(original: Entry, live: Entry, found: Judged) -> Iterable[str]:
    """Return the memory flush's fields that are accounted for."""
    gone = [name for name in original if name.startswith(_FLUSH) and name not in live]
    flush = live.get(_FLUSH)
    if not gone or not isinstance(flush, dict):
        return ()
    found.rewritten.append("memory_flush_rewritten")
    if "memoryFlushAt" in gone:
        found.documented.append("memory_flush_time_lost")
    count = original.get("memoryFlushCompactionCount")
    if "memoryFlushCompactionCount" in gone and not is_same(count, flush.get("compactionCount")):
        return [name for name in gone if name != "memoryFlushCompactionCount"]
    return gone


def rewritten_event(before: Any, after: Any) -> tuple[Any, tuple[str, ...]]:
    """Return an event with the names of providers that the import changed, as the one after shows them; see `verify_events.Rewritten`."""
    names: list[str] = []
    if not (isinstance(before, dict) and isinstance(after, dict)):
        return before, ()
    expected = _renamed(before, after, names)
    for name in ("message", "data"):
        if isinstance(expected.get(name), dict) and isinstance(after.get(name), dict):
            expected[name] = _renamed(expected[name], after[name], names)
    return expected, tuple(dict.fromkeys(names))


_RENAMED: Final = {"provider": ("openai-codex", "openai"), "api": ("openai-codex-responses", "openai-chatgpt-responses")}


def _renamed(before: dict[str, Any], after: dict[str, Any], names: list[str]) -> dict[str, Any]:
    result = dict(before)
    for name, (old, new) in _RENAMED.items():
        if before.get(name) == old and after.get(name) == new:
            result[name] = new
            names.append("provider_renamed")
    return result
