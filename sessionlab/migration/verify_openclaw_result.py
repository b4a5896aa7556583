"""What verifying an import found: one row for each kind of finding, with count, first names and paths; no value of any entry."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final, Literal

import msgspec

from sessionlab.migration.compare import folded

Kind = Literal["loss", "documented", "odd", "rewritten", "newer"]
"""Lost or changed otherwise; a loss or fault that is known of the import; to be looked at, nothing lost; rewritten as documented; since."""

_SHOWN: Final = 20
_KINDS: Final[tuple[Kind, ...]] = ("loss", "documented", "odd", "rewritten", "newer")
_CODES: Final[dict[str, tuple[Kind, str]]] = {
    "session_missing": ("loss", "sessions that the database does not have"),
    "entry_unreadable": ("loss", "entries that cannot be read in the database"),
    "field_lost": ("loss", "entries that lack fields which the import is not known to drop"),
    "field_changed": ("loss", "entries that differ otherwise, though nobody used the session since"),
    "transcript_missing": ("loss", "transcripts that the database does not have"),
    "event_lost": ("loss", "events that the database does not have"),
    "event_unreadable": ("loss", "events that cannot be read in the database"),
    "event_changed": ("loss", "events that differ otherwise"),
    "events_reordered": ("loss", "transcripts whose events stand in another order"),
    "original_missing": ("loss", "sessions older than the import that no original has: originals are missing, or cut off"),
    "route_lost": ("documented", "sessions whose route stands under old names (provider, lastProvider), which the import does not read"),
    "memory_flush_time_lost": ("documented", "sessions whose time of the last memory flush was dropped"),
    "web_chat_origin_lost": ("documented", "web chats of which only 'internal' is kept, without their origin"),
    "model_fields_removed": ("documented", "sessions whose model fields 'openclaw doctor --fix' removed"),
    "mixed_case_key": ("documented", "keys with capitals: 2026.9 then refuses to list any session"),
    "original_unreadable": ("odd", "entries of an original that cannot be read, and so not compared"),
    "original_line_unreadable": ("odd", "lines of original transcripts that are no events, and so not compared"),
    "transcript_unaccounted": ("odd", "sessions whose entry names a transcript that is neither among the originals nor in the database"),
    "event_inserted": ("odd", "events that stand between those of the original"),
    "delivery_rewritten": ("rewritten", "routes that moved to 'delivery'"),
    "memory_flush_rewritten": ("rewritten", "memory flushes that moved to 'memoryFlush'"),
    "resolved_skills_dropped": ("rewritten", "entries without 'resolvedSkills', which OpenClaw makes anew"),
    "session_file_dropped": ("rewritten", "entries without 'sessionFile': their transcript lies in the database"),
    "model_trimmed": ("rewritten", "models without the blanks around them"),
    "key_respelled": ("rewritten", "keys in lower case that had capitals"),
    "provider_renamed": ("rewritten", "events whose provider openai-codex became openai"),
    "newer_session": ("newer", "sessions that began after the import"),
    "newer_entry": ("newer", "sessions that were used after the import; their fields are not compared"),
    "newer_event": ("newer", "events after the import"),
    "session_removed": ("newer", "sessions that were removed after the import; their transcript lies in an archive"),
    "transcript_archived": ("newer", "transcripts that lie in an archive now"),
}


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """All findings of one kind.

    Attributes:
        code: Stable.
        kind: How bad it is.
        message: What it is, in words.
        count: How many sessions, transcripts or events.
        names: The first of them: session keys, or file names with the line.
        paths: JSON paths concerned, list positions left out -> in how many.
    """

    code: str
    kind: Kind
    message: str
    count: int
    names: tuple[str, ...]
    paths: dict[str, int]


class ImportVerification(msgspec.Struct, frozen=True, kw_only=True):
    """What came of comparing the originals of an import with the database.

    Attributes:
        path: What was looked at.
        agents: Those that have originals.
        sessions: Entries of the originals that can be read.
        kept_sessions: Those of which everything is there, rewritten as documented or newer at most.
        live_sessions: Sessions of the database.
        transcripts: Transcripts of the originals.
        kept_transcripts: Those of which every event is there.
        events: Events of the originals.
        equal_events: Those that are equal as JSON in the database; others may be rewritten as documented.
        lost_events: Those that are not there.
        findings: The worst first.
    """

    path: str
    agents: tuple[str, ...]
    sessions: int
    kept_sessions: int
    live_sessions: int
    transcripts: int
    kept_transcripts: int
    events: int
    equal_events: int
    lost_events: int
    findings: tuple[Finding, ...]

    @property
    def exit_code(self) -> int:
        """3 loss that is not documented, 1 what is documented or odd, 0 nothing lost."""
        kinds = {one.kind for one in self.findings}
        return 3 if "loss" in kinds else 1 if kinds & {"documented", "odd"} else 0


class Findings:
    """Collects findings while the comparison goes on."""

    def __init__(self) -> None:
        """Begin with none."""
        self.sessions = self.kept_sessions = self.live_sessions = 0
        self.transcripts = self.kept_transcripts = self.events = self.equal_events = self.lost_events = 0
        self._counts: Counter[str] = Counter()
        self._names: dict[str, list[str]] = {}
        self._paths: dict[str, Counter[str]] = {}

    def add(self, code: str, name: str, *, count: int = 1, paths: Iterable[str] = ()) -> None:
        """Note a finding."""
        self._counts[code] += count
        names = self._names.setdefault(code, [])
        if len(names) < _SHOWN:
            names.append(name[:300])
        self._paths.setdefault(code, Counter()).update({folded(path) for path in paths if path != "..."})

    def result(self, path: str, agents: tuple[str, ...]) -> ImportVerification:
        """Return what was found."""
        findings = [
            Finding(
                code=code,
                kind=kind,
                message=message,
                count=self._counts[code],
                names=tuple(self._names[code]),
                paths=dict(self._paths[code].most_common(_SHOWN)),
            )
            for code, (kind, message) in _CODES.items()
            if code in self._counts
        ]
        return ImportVerification(
            path=path,
            agents=agents,
            sessions=self.sessions,
            kept_sessions=self.kept_sessions,
            live_sessions=self.live_sessions,
            transcripts=self.transcripts,
            kept_transcripts=self.kept_transcripts,
            events=self.events,
            equal_events=self.equal_events,
            lost_events=self.lost_events,
            findings=tuple(sorted(findings, key=lambda one: _KINDS.index(one.kind))),
        )
