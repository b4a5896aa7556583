"""The rules of OpenClaw 2026.9 for the sessions of a store, in the slowest way there is: entry by entry, as its documentation has them.

Written apart from `sessionlab.maintenance`, and shares nothing with it. Keys are lower case.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

Entries = dict[str, dict[str, Any]]
DAY_MS = 86_400_000
MODEL_RUN = re.compile(r"agent:[^:\s]+:explicit:model-run-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


class Limits(NamedTuple):
    """The settings, ms; `None` is off."""

    prune_after: int = 30 * DAY_MS
    most: int = 5_000
    dashboard_after: int | None = 7 * DAY_MS
    preserve_recent: int | None = None


def cleaned(entries: Entries, limits: Limits, *, now_ms: int, active: str | None) -> dict[str, str]:
    """Return what becomes of which key when maintenance is forced; keys that stay as they are have no place in it."""
    became: dict[str, str] = {}

    def may_go(key: str) -> bool:
        return (
            key not in became and "archivedAt" not in entries[key] and key != active and not is_protected(key, entries[key], limits, now_ms)
        )

    def left() -> list[str]:
        return [key for key, entry in entries.items() if key not in became and "archivedAt" not in entry]

    if len(left()) > limits.most:
        for key in filter(may_go, list(entries)):
            if MODEL_RUN.fullmatch(key) and is_older(entries[key], now_ms - DAY_MS):
                became[key] = "removed for its age"
    for key in filter(may_go, list(entries)):
        was_active = activity(entries[key])
        is_dashboard = rest_of(key)[0] and rest_of(key)[1].startswith("dashboard:")
        if is_dashboard and limits.dashboard_after is not None and 0 < was_active < now_ms - limits.dashboard_after:
            became[key] = "archived as a dashboard"
    for key in filter(may_go, list(entries)):
        if is_older(entries[key], now_ms - limits.prune_after):
            became[key] = "removed for its age" if is_automatic(key) else "archived for its age"
    while len(left()) > limits.most and any(map(may_go, left())):
        candidates = [key for key in reversed(list(entries)) if may_go(key)]
        oldest = min(candidates, key=lambda key: activity(entries[key]))  # the first of several, and so the last in the store
        became[oldest] = "removed for the cap" if is_automatic(oldest) else "archived for the cap"
    return became


def rest_of(key: str) -> tuple[bool, str]:
    """Return whether a key names an agent, and what follows that."""
    words = key.split(":")
    named = len(words) > 2 and words[0] == "agent" and bool(words[1]) and bool(words[2])
    return named, ":".join(words[2:]) if named else key


def activity(entry: dict[str, Any]) -> int:
    return max(entry.get(name) or 0 for name in ("updatedAt", "lastInteractionAt", "lastActivityAt", "sessionStartedAt"))


def is_older(entry: dict[str, Any], than_ms: int) -> bool:
    updated = entry.get("updatedAt")
    return updated is not None and updated < than_ms


def is_automatic(key: str) -> bool:
    named, rest = rest_of(key)
    words = rest.split(":")
    if len(words) > 1 and (words[0] in ("subagent", "acp", "acp-bridge", "hook", "node") or (words[0] == "cron" and named)):
        return True
    is_beat = any(word == "heartbeat" for word in words[1:]) or rest == "heartbeat"
    return is_beat or MODEL_RUN.fullmatch(key) is not None


def is_protected(key: str, entry: dict[str, Any], limits: Limits, now_ms: int) -> bool:
    named, rest = rest_of(key)
    words = rest.split(":")
    if entry.get("status") == "running" or entry.get("modelSelectionLocked") is True:
        return True
    if "pinnedAt" in entry and words[0] != "subagent" and not entry.get("spawnedBy"):
        parent = entry.get("parentSessionKey")
        if not parent or (named and parent == f"agent:{key.split(':')[1]}:main"):
            return True
    if is_automatic(key):
        return False
    if key == "global" or (named and rest == "main") or is_chat(key):
        return True
    if (entry.get("delivery") or {}).get("kind") == "external":
        return True
    if str(entry.get("chatType") or "").strip().lower() in ("group", "channel", "thread"):
        return True
    since = now_ms - activity(entry)
    return limits.preserve_recent is not None and activity(entry) > 0 and since <= limits.preserve_recent


def is_chat(key: str) -> bool:
    """Say whether a key names people in a chat, or a thread."""
    before, marker, thread = key.rpartition(":thread:")
    if marker and thread:
        return True
    named, rest = rest_of(before if marker else key)
    first, *others = rest.split(":")
    if first == "direct" and any(others):
        return True
    if first and len(others) > 1 and others[0] in ("group", "channel") and any(others[1:]):
        return True
    if first == "telegram" and "topic" in others[2:-1] and others[0] in ("direct", "dm"):
        return True
    if not named or not first or first == "agent":
        return False
    if len(others) > 2 and others[1] in ("direct", "dm"):
        return bool(others[0] and others[2])
    return len(others) > 1 and others[0] in ("direct", "dm", "group", "channel") and bool(others[1])
