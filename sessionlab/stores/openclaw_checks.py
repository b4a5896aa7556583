"""What can be wrong with an OpenClaw agent database, and what fills it. Words each finding once, folding equal ones into one row.

Owns: the checks behind `OpenClawStore.check()` and `storage_parts()`. Must not: repair, or read the original.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from sessionlab import codec, keys
from sessionlab.entry import Entry, has_lost_route
from sessionlab.errors import InvalidJSONError
from sessionlab.stores.base import Problem, Severity
from sessionlab.stores.checks import blocked_key_problem, entry_problems, worst_first
from sessionlab.stores.openclaw_transcripts import TranscriptReader, columns_of

_SHOWN_KEYS: Final = 3
_KEYS_VALIDATED_FROM: Final = 23
_DOCTOR: Final = "run 'openclaw doctor --fix', on a backup first: it has removed model fields of sessions without a configured provider"


def check_store(connection: sqlite3.Connection, path: Path, *, reader: TranscriptReader | None, schema_version: int) -> tuple[Problem, ...]:
    """Read the store strictly and return what is wrong, worst first; its transcripts only when given their reader.

    Damaged pages end the check that met them, not the others.
    """
    found: list[Problem] = []
    checks: tuple[Callable[[], Iterator[Problem]], ...] = (
        lambda: _damage(connection, path),
        lambda: _entries(connection, path, schema_version=schema_version),
        lambda: _windows(connection, path),
        lambda: _transcripts(reader) if reader is not None else iter(()),
    )
    for check in checks:
        try:
            # Not one list per check: what was found before a damaged page must stay.
            found.extend(check())
        except sqlite3.DatabaseError as error:
            found.append(_row(path, "damaged_pages", "error", f"SQLite cannot read all of it ({error})", advice="restore it from a backup"))
    return worst_first(dict.fromkeys(found))


def storage_parts(connection: sqlite3.Connection, *, wal_bytes: int) -> Iterator[tuple[str, int]]:
    """Yield (part, bytes), largest first; see `OpenClawStore.storage_parts`."""
    (page_bytes,), (pages,), (free,) = (
        connection.execute(f"PRAGMA {name}").fetchone() for name in ("page_size", "page_count", "freelist_count")
    )
    sizes = {"free pages": free * page_bytes, "write-ahead log": wal_bytes}
    try:
        rows = connection.execute("SELECT name, pgsize FROM dbstat WHERE aggregate = TRUE").fetchall()
    except sqlite3.OperationalError as error:
        if "no such table" not in str(error):
            raise
        sizes["database file"] = (pages - free) * page_bytes
    else:
        indexes = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'index'")}
        for name, size_bytes in rows:
            part = _part_of(name, is_index=name in indexes)
            sizes[part] = sizes.get(part, 0) + size_bytes
        # Pages that belong to no table: auto_vacuum's map of pages.
        sizes["other"] = sizes.get("other", 0) + pages * page_bytes - sum(sizes.values()) + wal_bytes
    yield from sorted(((part, size) for part, size in sizes.items() if size), key=lambda one: (-one[1], one[0]))


def _part_of(name: str, *, is_index: bool) -> str:
    if "_fts" in name:
        return "search index"
    if is_index:
        return "other indexes"
    names = {
        "session_nodes": "entries",
        "transcript_events": "transcript events",
        "transcript_event_identities": "event identities",
        "session_transcript_archives": "archives",
        "session_transcript_cold_archives": "archives",
    }
    return names.get(name, "other")


def _damage(connection: sqlite3.Connection, path: Path) -> Iterator[Problem]:
    if sqlite3.sqlite_version_info < (3, 43):
        # A constraint of schema 23 calls this function, which older SQLite lacks: without it nothing could be checked.
        connection.create_function("octet_length", 1, _octet_length, deterministic=True)
    advice = "restore it from a backup, or recover a copy with 'sqlite3 .recover'"
    try:
        for (answer,) in connection.execute("PRAGMA quick_check(20)"):
            if answer != "ok":
                yield _row(path, "damaged_database", "error", f"SQLite's quick check: {answer}", advice=advice)
    except sqlite3.OperationalError as error:
        if "unknown function" not in str(error):
            raise
        yield _row(path, "integrity_not_checked", "warning", f"this SQLite ({sqlite3.sqlite_version}) cannot check the store: {error}")


def _octet_length(value: object) -> int | None:
    return None if value is None else len(value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogateescape"))


def _entries(connection: sqlite3.Connection, path: Path, *, schema_version: int) -> Iterator[Problem]:
    valid = "entry_valid" if "entry_valid" in columns_of(connection, "session_nodes") else "1"
    sql = (
        f"SELECT session_key, CAST(session_key AS BLOB), CAST(entry_json AS BLOB), {valid}, updated_at, current_session_id, "
        "EXISTS (SELECT 1 FROM session_windows AS w WHERE w.session_id = n.current_session_id) FROM session_nodes AS n ORDER BY rowid"
    )
    bad: list[Problem] = []
    folds = _Folds(path)

    def sound() -> Iterator[tuple[str, Entry]]:
        for key, key_bytes, raw, valid, updated_ms, session_id, has_window in connection.execute(sql):
            if keys.normalise(key) in keys.BLOCKED_KEYS:
                bad.append(blocked_key_problem(key, path))
                continue
            if key.encode("utf-8") != key_bytes:
                bad.append(_row(path, "key_not_utf8", "error", f"session key {key!r} is not UTF-8", key=key))
            try:
                entry = codec.decode_entry(raw, path=path, key=key)
            except InvalidJSONError as error:
                bad.append(
                    _row(path, "bad_entry", "error", error.reason, key=key, advice="the session is listed by its index columns only")
                )
                continue
            folds.add("entry_needs_repair", key, holds=valid != 1)
            folds.add("index_differs", key, holds=_differs(entry, updated_ms, session_id))
            folds.add("no_current_window", key, holds=not has_window)
            folds.add("route_lost", key, holds=has_lost_route(entry))
            folds.add("delivery_rewritten", key, holds="delivery" in entry)
            folds.add("memory_flush_rewritten", key, holds="memoryFlush" in entry)
            yield key, entry

    odd = entry_problems(sound(), path=path)
    yield from bad
    yield from (_stricter(problem, schema_version) if problem.code == "non_canonical_key" else problem for problem in odd)
    yield from folds.problems()


def _differs(entry: Entry, updated_ms: Any, session_id: Any) -> bool:
    return bool(entry.get("updatedAt") != updated_ms or entry.get("sessionId") != session_id)


def _stricter(problem: Problem, schema_version: int) -> Problem:
    """Raise the finding of a mixed-case key to what it means once it lies in this store (measured with 2026.9.6)."""
    refused = (
        f"this store's version ({schema_version})"
        if schema_version >= _KEYS_VALIDATED_FROM
        else "2026.9 (schema 23), once it upgrades this store,"
    )
    return msgspec.structs.replace(
        problem,
        severity="error",
        message=f"{problem.message}: {refused} then refuses to list any session",
        advice=f"stop OpenClaw and {_DOCTOR}; its import reports no issue",
    )


class _Folds:
    """Collects the keys of each kind of finding and words one row per kind."""

    _WORDS: Final[dict[str, tuple[Severity, str, str]]] = {
        "entry_needs_repair": (
            "error",
            "rows that OpenClaw marks as needing repair (entry_valid is not 1) and refuses to read",
            _DOCTOR,
        ),
        "index_differs": ("warning", "entries that disagree with their row about the session id or the time of the last update", _DOCTOR),
        "no_current_window": ("warning", "sessions that point to a transcript generation that does not exist", ""),
        "route_lost": (
            "warning",
            "sessions with their route under old names only (provider, lastProvider), which the import did not read: delivery says none",
            "rename them in the original sessions.json (to channel, lastChannel and, for room, groupChannel) and import it again",
        ),
        "delivery_rewritten": (
            "info",
            "entries that hold their route in delivery, where the JSON era had channel, origin, deliveryContext and last*",
            "",
        ),
        "memory_flush_rewritten": (
            "info",
            "entries that hold memoryFlush, where the JSON era had memoryFlushAt: the import drops the time of the flush",
            "",
        ),
    }

    def __init__(self, path: Path) -> None:
        self._path = path
        self._keys: dict[str, list[str]] = {}
        self._counts: dict[str, int] = {}

    def add(self, code: str, key: str, *, holds: bool) -> None:
        """Count `key` among the findings of this kind, when it holds."""
        if holds:
            self._counts[code] = self._counts.get(code, 0) + 1
            shown = self._keys.setdefault(code, [])
            if len(shown) < _SHOWN_KEYS:
                shown.append(key)

    def problems(self) -> Iterator[Problem]:
        """Yield one row per kind that was found."""
        for code, number in self._counts.items():
            severity, words, advice = self._WORDS[code]
            message = words
            if severity != "info":
                message += f": {_listed(self._keys[code], number)}"
            yield _row(self._path, code, severity, message, key=self._keys[code][0] if number == 1 else None, advice=advice, count=number)


def _windows(connection: sqlite3.Connection, path: Path) -> Iterator[Problem]:
    no_event = "NOT EXISTS (SELECT 1 FROM transcript_events AS e WHERE e.session_id = w.session_id)"
    if columns_of(connection, "session_transcript_cold_archives"):
        no_event += " AND NOT EXISTS (SELECT 1 FROM session_transcript_cold_archives AS c WHERE c.session_id = w.session_id)"
    no_node = "NOT EXISTS (SELECT 1 FROM session_nodes AS n WHERE n.session_key = w.session_key)"
    no_window = "NOT EXISTS (SELECT 1 FROM session_windows AS w WHERE w.session_id = e.session_id)"
    findings: tuple[tuple[str, Severity, str, str], ...] = (
        (
            "window_without_events",
            "info",
            "transcript generations without events",
            f"SELECT w.session_key FROM session_windows AS w WHERE {no_event} ORDER BY w.session_key",
        ),
        (
            "orphan_window",
            "warning",
            "transcript generations that belong to no session",
            f"SELECT w.session_key FROM session_windows AS w WHERE {no_node} ORDER BY w.session_key",
        ),
        (
            "orphan_events",
            "warning",
            "transcripts that belong to no transcript generation",
            f"SELECT DISTINCT session_id FROM transcript_events AS e WHERE {no_window} ORDER BY session_id",
        ),
    )
    for code, severity, words, sql in findings:
        names = [name for (name,) in connection.execute(sql)]
        if names:
            message = f"{words}: {_listed(names[:_SHOWN_KEYS], len(names))}"
            yield _row(path, code, severity, message, count=len(names))


def _transcripts(reader: TranscriptReader) -> Iterator[Problem]:
    for transcript, _ in reader.buffers():
        yield from transcript.problems


def _listed(names: list[str], number: int) -> str:
    return ", ".join(names) + (", ..." if number > len(names) else "")


def _row(path: Path, code: str, severity: Severity, message: str, *, key: str | None = None, advice: str = "", count: int = 1) -> Problem:
    return Problem(code=code, severity=severity, message=message, path=str(path), key=key, advice=advice, count=count)
