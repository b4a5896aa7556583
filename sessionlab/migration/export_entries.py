"""An entry as OpenClaw of the JSON era (2026.2 to 2026.7) expects it, made of what OpenClaw 2026.8+ keeps in its database.

Nothing is taken away: what the JSON era does not know (`delivery`, `memoryFlush`) stays beside what is made of it, as unknown fields do.
A field that is there already is left as it is. What the import dropped (the time of a memory flush, `resolvedSkills`) cannot come back.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from sessionlab.entry import Entry, normalise_legacy

_FROM_CONTEXT: Final = {
    "channel": "channel",
    "lastChannel": "channel",
    "lastTo": "to",
    "lastAccountId": "accountId",
    "lastThreadId": "threadId",
}
_HASH: Final = re.compile(r"[0-9a-f]{64}")
_WEB_CHAT: Final = {"channel": "webchat", "lastChannel": "webchat"}


def json_era(entry: Entry, *, session_file: str | None) -> Entry:
    """Return an entry with the fields of the JSON era; the argument is not changed, new fields come last.

    Args:
        entry: As OpenClaw's database has it.
        session_file: The name of the session's transcript beside the store; `None` when it has none.
    """
    result = normalise_legacy(entry)
    for name, value in (_routing(entry.get("delivery")) | _flush(entry.get("memoryFlush"))).items():
        result.setdefault(name, value)
    if session_file is not None:
        result.setdefault("sessionFile", session_file)  # by itself the JSON era looks for another name in a topic or a thread
    return result


def is_routed_anew(entry: Mapping[str, Any], exported: Mapping[str, Any]) -> bool:
    """Say whether the exported entry has a channel that the stored one did not have outside of `delivery`."""
    return "lastChannel" in exported and "lastChannel" not in entry


def prompt_hash(entry: Mapping[str, Any]) -> str:
    """Return by what hash an entry refers to a prompt in `skills-prompts/` (OpenClaw 2026.5+); "" when it holds its prompt itself."""
    snapshot = entry.get("skillsSnapshot")
    reference = snapshot.get("promptRef") if isinstance(snapshot, dict) else None
    name = reference.get("hash") if isinstance(reference, dict) else None
    return name if isinstance(name, str) and _HASH.fullmatch(name) else ""


def prompt_file(sessions_dir: Path, name: str) -> Path:
    """Return where the prompt of a hash lies."""
    return sessions_dir / "skills-prompts" / "sha256" / name[:2] / f"{name}.txt"


def _routing(delivery: object) -> dict[str, Any]:
    """Return the route's fields of the JSON era, from `delivery`."""
    if not isinstance(delivery, dict):
        return {}
    if delivery.get("kind") == "internal":  # that is what an import makes of a web chat
        return dict(_WEB_CHAT)
    context, origin = delivery.get("context"), delivery.get("origin")
    if not isinstance(context, dict) or delivery.get("kind") == "none":
        return {}
    found = {name: context[inner] for name, inner in _FROM_CONTEXT.items() if isinstance(context.get(inner), str | int | float)}
    found["deliveryContext"] = context
    return found | ({"origin": origin} if isinstance(origin, dict) else {})


def _flush(flush: object) -> dict[str, Any]:
    count = flush.get("compactionCount") if isinstance(flush, dict) else None
    return {"memoryFlushCompactionCount": count} if isinstance(count, int | float) else {}
