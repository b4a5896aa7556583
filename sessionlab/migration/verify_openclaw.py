"""`verify openclaw`: what OpenClaw's import into SQLite set aside, compared with what its database holds now.

The originals are the truth: `session-sqlite-import-archive/` of each agent has the `sessions.json` and every transcript as they were, each
with the import's time in its name. The archive and the database are only read. What the database has beyond them was written after the
import, and is newer, not different.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from sessionlab import codec, keys, layout
from sessionlab.entry import Entry, summary_of
from sessionlab.errors import InvalidJSONError, NoStoreError, StoreError, UnreadableError
from sessionlab.migration.compare import decoded_event
from sessionlab.migration.json_stream import members
from sessionlab.migration.verify_events import Line, compare_events
from sessionlab.migration.verify_openclaw_entries import judge, rewritten_event
from sessionlab.migration.verify_openclaw_result import Findings, ImportVerification
from sessionlab.migration.verify_transcripts import Held, file_lines, held_transcripts
from sessionlab.stores.json_state import is_session
from sessionlab.stores.locating import locate, only
from sessionlab.stores.location import StoreLocation
from sessionlab.stores.openclaw import OpenClawStore

_ORIGINAL: Final = re.compile(r"(?P<name>.+)\.imported-(?P<ms>\d{1,16})\Z")


class _Originals(NamedTuple):
    """What an agent's import archive holds: stores and transcripts, each the latest import first; and when that was, epoch ms."""

    stores: tuple[Path, ...]
    transcripts: tuple[Path, ...]
    imported_ms: int = 0


def verify_openclaw(path: Path, *, agent: str | None = None) -> ImportVerification:
    """Compare the originals of OpenClaw's imports with its live databases.

    Args:
        path: A state folder or an agent's folder.
        agent: Only this agent.

    Raises:
        NoStoreError: There is no database of OpenClaw, or no agent has originals of an import.
        StoreError: A database cannot be read.
    """
    found = locate(path)
    found = found if agent is None else (only(found, path, agent=agent),)
    imported = [(one, _originals(one)) for one in found if one.kind == "openclaw"]
    with_originals = [(one, originals) for one, originals in imported if originals.stores or originals.transcripts]
    if not with_originals:
        lacks = f"holds no originals of an import ({layout.IMPORT_ARCHIVE})" if imported else "holds no SQLite store of OpenClaw"
        raise NoStoreError(path, lacks, advice="compare it with a backup: sessionlab verify BACKUP STATE_DIR")
    findings = Findings()
    for location, originals in with_originals:
        with OpenClawStore.open(location.path, agent_id=location.agent_id) as store:
            _Import(location, originals, store, findings).compare()
    agents = tuple(location.agent_id for location, _ in with_originals)
    return findings.result(str(path), agents)


def _originals(location: StoreLocation) -> _Originals:
    if location.root is None:
        return _Originals((), ())
    folder = location.root / layout.IMPORT_ARCHIVE
    try:
        with os.scandir(folder) as listing:
            matches = [(match, Path(entry.path)) for entry in listing if (match := _ORIGINAL.match(entry.name)) and entry.is_file()]
    except FileNotFoundError:
        matches = []
    except OSError as error:
        raise UnreadableError(folder, f"cannot be listed ({error.strerror})") from error
    matches.sort(key=lambda one: (-int(one[0]["ms"]), one[0]["name"]))
    stores = tuple(path for match, path in matches if match["name"].endswith(layout.JSON_STORE))
    transcripts = tuple(path for match, path in matches if match["name"].endswith(".jsonl"))
    return _Originals(stores, transcripts, max((int(match["ms"]) for match, _ in matches), default=0))


class _Import:
    """The comparison of one agent's originals with its database."""

    def __init__(self, location: StoreLocation, originals: _Originals, store: OpenClawStore, findings: Findings) -> None:
        self._location, self._originals, self._store, self._findings = location, originals, store, findings
        self._spellings: dict[str, list[str]] = {}
        for key, _ in store.raw_items():
            self._spellings.setdefault(keys.normalise(key), []).append(key)
        self._transcripts: dict[str, list[Held]] = {}
        for one in held_transcripts(location, store).values():
            self._transcripts.setdefault(one.session_id, []).append(one)
        self._session_ids: set[str] = set()
        self._named: set[str] = set()
        self._expected: dict[str, str] = {}

    def compare(self) -> None:
        seen: set[str] = set()
        for file in self._originals.stores:
            for key, entry in self._entries(file):
                if key not in seen:  # of several imports the latest counts
                    seen.add(key)
                    self._compare_entry(key, entry)
        for key, spelled in self._spellings.items():
            self._findings.live_sessions += 1
            if key not in self._named:
                self._findings.add("original_missing" if self._is_older(spelled[0]) else "newer_session", spelled[0])
        compared: set[str] = set()
        for file in self._originals.transcripts:
            self._compare_transcript(file, compared)
        for session_id, key in self._expected.items():
            if session_id not in compared and session_id not in self._transcripts:
                self._findings.add("transcript_unaccounted", key)

    def _is_older(self, key: str) -> bool:
        """Say whether a session that no original has was last updated before the import: then it was in an original."""
        try:
            entry = self._store.get(key)
        except InvalidJSONError:
            return False
        updated_ms = summary_of(key, entry).updated_ms if entry is not None else None
        return updated_ms is not None and updated_ms < self._originals.imported_ms

    def _entries(self, file: Path) -> Iterator[tuple[str, Entry]]:
        """Yield the sessions of an original store; what cannot be read is a finding."""
        try:
            for member in members(file):
                where = f"{file.name}, line {member.line}: {member.key}"
                self._named.add(keys.normalise(member.key))
                if not is_session(member.key, member.raw):
                    self._findings.add("original_unreadable", where)
                    continue
                try:
                    yield member.key, codec.decode_entry(member.raw, path=file, key=member.key)
                except InvalidJSONError:
                    self._findings.add("original_unreadable", where)
        except StoreError as error:
            self._findings.add("original_unreadable", f"{file.name}: {error.reason[:120]}")

    def _compare_entry(self, key: str, original: Entry) -> None:
        self._findings.sessions += 1
        session_id = original.get("sessionId")
        if isinstance(session_id, str):
            self._session_ids.add(session_id)
            if isinstance(original.get("sessionFile"), str):
                self._expected[session_id] = key
        spelled = self._spellings.get(keys.normalise(key))
        if spelled is None:
            archived = isinstance(session_id, str) and any(one.source != "live" for one in self._transcripts.get(session_id, ()))
            self._findings.add("session_removed" if archived else "session_missing", key)
            return
        found = key if key in spelled else spelled[0]
        if found != keys.normalise(found):
            self._findings.add("mixed_case_key", found)
        elif found != key:
            self._findings.add("key_respelled", key)
        try:
            live = self._store.get(found)
        except InvalidJSONError:
            live = None
        if live is None:
            self._findings.add("entry_unreadable", key)
            return
        judged = judge(original, live)
        for code in (*judged.rewritten, *judged.documented):
            self._findings.add(code, key)
        if judged.is_newer:
            self._findings.add("newer_entry", key)
        if judged.lost:
            self._findings.add("field_lost", key, paths=judged.lost)
        if judged.changed:
            self._findings.add("field_changed", key, paths=judged.changed)
        self._findings.kept_sessions += not (judged.lost or judged.changed or judged.documented)

    def _compare_transcript(self, file: Path, compared: set[str]) -> None:
        with contextlib.closing(file_lines(file)) as lines:
            first = next((line for line in lines if line.reason or line.data.strip()), None)
        session_id = self._session_of(file, first)
        if session_id in compared:
            return  # an older import of the same transcript
        compared.add(session_id)
        self._findings.transcripts += 1
        held = sorted(self._transcripts.get(session_id, ()), key=lambda one: one.source != "live")
        if not held:
            count = sum(1 for line in file_lines(file) if line.data.strip())
            if count:
                self._findings.add("transcript_missing", file.name)
                self._findings.lost_events += count
            return
        self._note(file.name, file, held[0])

    def _note(self, name: str, file: Path, held: Held) -> None:
        found = compare_events(file_lines(file), held.lines(self._store), rewritten=rewritten_event)
        findings = self._findings
        rewritten = sum(found.rewritten.values())
        findings.events += found.equal + rewritten + len(found.missing) + len(found.changed)
        findings.equal_events += found.equal
        findings.lost_events += len(found.missing)
        for code, number in found.rewritten.items():
            findings.add(code, name, count=number)
        places = [
            ("event_lost", found.missing),
            ("event_unreadable", [number for number, _ in found.unreadable_b]),
            ("original_line_unreadable", [number for number, _ in found.unreadable_a]),
        ]
        for code, numbers in places:
            if numbers:
                findings.add(code, f"{name}, line {numbers[0]}", count=len(numbers))
        for number, paths in found.changed:
            findings.add("event_changed", f"{name}, line {number}", paths=paths)
        if found.is_reordered:
            findings.add("events_reordered", name)
        if found.extra:
            findings.add("newer_event" if found.has_grown else "event_inserted", name, count=found.extra)
        if held.source != "live":
            findings.add("transcript_archived", name)
        findings.kept_transcripts += found.is_kept

    def _session_of(self, file: Path, first: Line | None) -> str:
        """Return whose transcript an original is: by its name, which ends with the session's, else by its header."""
        parts = file.name.partition(".jsonl.")[0].split(".")
        for place in range(len(parts) - 1, 0, -1):
            parsed = layout.parse_transcript_name(".".join(parts[place:]) + ".jsonl")
            if parsed is not None and (parsed.session_id in self._transcripts or parsed.session_id in self._session_ids):
                return parsed.session_id
        try:
            header = decoded_event(first.data) if first is not None else None
        except ValueError:
            header = None
        name = header.get("id") if isinstance(header, dict) else None
        return name if isinstance(name, str) else parts[-1]
