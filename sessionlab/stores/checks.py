"""What can be wrong with a store's entries, whatever backend holds them. Words each finding once, folding equal ones into one row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from sessionlab import codec, keys
from sessionlab.entry import Entry, legacy_fields
from sessionlab.stores.base import Problem, Severity

_SEVERITY_ORDER: Final[dict[Severity, int]] = {"error": 0, "warning": 1, "info": 2}
_TEXT_FIELDS: Final = (
    *("sessionId", "channel", "chatType", "model", "modelProvider", "status", "label", "displayName", "sessionFile"),
    *("parentSessionKey", "spawnedBy"),
)
_NUMBER_FIELDS: Final = (
    *("updatedAt", "createdAt", "sessionStartedAt", "startedAt", "endedAt", "archivedAt"),
    *("inputTokens", "outputTokens", "totalTokens", "contextTokens", "compactionCount"),
)


def worst_first(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Order problems by severity, then code, then key: the order in which every face lists them."""
    return tuple(sorted(problems, key=lambda p: (_SEVERITY_ORDER[p.severity], p.code, p.key or "", p.path or "", p.line or 0)))


def entry_problems(items: Iterable[tuple[str, Entry]], *, path: Path) -> list[Problem]:
    """Return what is odd about the entries of one store: keys, session ids, times, field types, legacy names.

    Args:
        items: Every (key, entry) of the store.
        path: The store, for the rows.
    """
    found: list[Problem] = []
    spellings: dict[str, list[str]] = {}
    legacy: Counter[str] = Counter()
    where = str(path)
    for key, entry in items:
        spellings.setdefault(keys.normalise(key), []).append(key)
        found += _key_problems(key, where)
        found += _field_problems(key, entry, where)
        legacy.update(legacy_fields(entry))
    found += [
        Problem(
            code="case_variant_keys",
            severity="warning",
            message=f"spellings of one session: {', '.join(map(repr, sorted(variants)))}",
            path=where,
            key=normal,
            advice="save what you need of the older ones: OpenClaw keeps the newest and drops the others when it next writes this session",
            count=len(variants),
        )
        for normal, variants in spellings.items()
        if len(variants) > 1
    ]
    found += [
        Problem(
            code="legacy_field",
            severity="info",
            message=f"entries with the old field name {field!r}",
            path=where,
            advice="note the routes of these sessions: OpenClaw 2026.8+ does not read the old name and loses them; here it is read",
            count=number,
        )
        for field, number in sorted(legacy.items())
    ]
    return found


def blocked_key_problem(key: str, path: Path) -> Problem:
    """Word the finding that a key reserved by JavaScript lies in a store; such an entry is never loaded."""
    return Problem(
        code="blocked_key",
        severity="warning",
        message=f"session key {key!r} {keys.refusal(key)}: not loaded",
        path=str(path),
        key=key,
        advice="remove it: somebody put it there by hand",
    )


def _key_problems(key: str, where: str) -> list[Problem]:
    reason = keys.refusal(key)
    if reason is not None:
        return [Problem(code="odd_key", severity="warning", message=f"session key {key[:80]!r} {reason}", path=where, key=key)]
    parsed = keys.parse(key)
    if parsed.is_canonical or parsed.agent_id is None:
        return []
    if key == keys.normalise(key):
        reason = "is not of the form agent:<id>:<rest>, with no part empty"
        return [Problem(code="odd_key", severity="warning", message=f"session key {key!r} {reason}", path=where, key=key)]
    return [
        Problem(
            code="non_canonical_key",
            severity="warning",
            message=f"session key {key!r} is not trimmed and in lower case",
            path=where,
            key=key,
            advice="run 'openclaw doctor --fix' on a copy before an upgrade: OpenClaw 2026.8+ imports it, then lists no session at all",
        )
    ]


def _field_problems(key: str, entry: Entry, where: str) -> list[Problem]:
    found = []
    if not isinstance(entry.get("sessionId"), str) or not entry["sessionId"]:
        found.append(Problem(code="no_session_id", severity="warning", message="the entry has no sessionId", path=where, key=key))
    updated = entry.get("updatedAt")
    if updated is None:
        found.append(
            Problem(
                code="no_updated_at",
                severity="warning",
                message="the entry has no updatedAt: its age is unknown",
                path=where,
                key=key,
                advice="use this session once, or remove it: OpenClaw never prunes it by age and removes it first when it caps the store",
            )
        )
    wrong = [name for name, value in entry.items() if value is not None and name in _TYPED_FIELDS and not _TYPED_FIELDS[name](value)]
    found += [
        Problem(
            code="ill_typed_field",
            severity="warning",
            message=f"{name} holds {codec.json_type_name(entry[name])}: {_excerpt(entry[name])}; counted as absent",
            path=where,
            key=key,
        )
        for name in wrong
    ]
    return found


def _excerpt(value: object) -> str:
    return codec.encode_compact(value)[:40].decode("utf-8", "ignore")


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_number(value: object) -> bool:
    """Say whether a summary takes the value: a number that JavaScript holds exactly."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= 1 << 53


_TYPED_FIELDS: Final = dict.fromkeys(_TEXT_FIELDS, _is_text) | dict.fromkeys(_NUMBER_FIELDS, _is_number)
