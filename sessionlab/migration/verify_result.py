"""What a comparison of two stores found: counts of everything, and the first differences of each kind by name. No value of any entry."""

from __future__ import annotations

from collections import Counter
from typing import Final, Literal

import msgspec

from sessionlab.migration.compare import folded

Subject = Literal["session", "transcript"]
What = Literal["missing", "changed", "unreadable", "extra", "extended", "longer", "spelling", "merged", "renamed", "unreadable before"]
"""Not in B; in both, and not equal; in B, and cannot be read there; only in B; with more fields in B; a transcript that goes on in B;
the same under a key that differs in case or blanks; of several spellings of a key only the newest; the same but for old field names; cannot
be read in A."""

LOSSES: Final[frozenset[What]] = frozenset({"missing", "changed", "unreadable"})
MAX_LISTED: Final = 1_000
"""Differences of one kind that are listed by name; the others are counted."""


class Difference(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One session or transcript that is not the same on both sides.

    Attributes:
        agent_id: Whose.
        subject: What it is.
        what: What became of it.
        name: The session key as A spells it (as B does, when only B has it), or the transcript's file name.
        paths: Where it differs, as JSON paths; of a transcript within its events.
        reason: What else there is to say, in words.
    """

    agent_id: str
    subject: Subject
    what: What
    name: str
    paths: tuple[str, ...] = ()
    reason: str = ""


class PathCount(msgspec.Struct, frozen=True):
    """In how many sessions or events a path differs, list positions left out."""

    subject: Subject
    path: str
    count: int


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """What came of comparing A with B.

    Attributes:
        a: Where A lies.
        b: Where B lies.
        agents: Agents that A or B has.
        sessions: Session keys of A, every spelling of one counted once.
        equal_sessions: How many of them are the same in B under the same keys.
        has_transcripts: Whether transcripts were compared, too: only when A and B are folders.
        transcripts: Transcripts of A.
        equal_transcripts: How many of them are equal in B, event by event.
        events: Events of A that are equal in B.
        counts: "<subject> <what>" -> how many differences of that kind there are.
        paths: Where sessions and events differ, the most frequent first.
        differences: Them by name, at most `MAX_LISTED` of each kind.
    """

    a: str
    b: str
    agents: tuple[str, ...]
    sessions: int
    equal_sessions: int
    has_transcripts: bool
    transcripts: int
    equal_transcripts: int
    events: int
    counts: dict[str, int]
    paths: tuple[PathCount, ...]
    differences: tuple[Difference, ...]

    @property
    def has_loss(self) -> bool:
        """Whether something of A is missing, changed or unreadable in B."""
        return any(kind.partition(" ")[2] in LOSSES for kind in self.counts)

    @property
    def is_equal(self) -> bool:
        """Whether there is no difference at all."""
        return not self.counts

    @property
    def exit_code(self) -> int:
        """0 equal, 1 differences that lose nothing, 3 loss."""
        return 3 if self.has_loss else 0 if self.is_equal else 1


class Tally:
    """Collects differences while a comparison goes on."""

    _MAX_PATHS: Final = 200

    def __init__(self) -> None:
        """Begin with none."""
        self.counts: Counter[str] = Counter()
        self.listed: list[Difference] = []
        self.sessions = self.equal_sessions = self.transcripts = self.equal_transcripts = self.events = 0
        self._paths: Counter[tuple[Subject, str]] = Counter()

    def add(self, agent_id: str, subject: Subject, what: What, name: str, *, paths: tuple[str, ...] = (), reason: str = "") -> None:
        """Note a difference."""
        kind = f"{subject} {what}"
        self.counts[kind] += 1
        if self.counts[kind] <= MAX_LISTED:
            self.listed.append(Difference(agent_id=agent_id, subject=subject, what=what, name=name[:300], paths=paths, reason=reason))
        if subject == "session":
            self.add_paths(subject, paths)

    def add_paths(self, subject: Subject, paths: tuple[str, ...]) -> None:
        """Count the paths at which one session or event differs."""
        self._paths.update({(subject, folded(path)) for path in paths if path != "..."})

    def result(self, a: str, b: str, agents: tuple[str, ...], *, has_transcripts: bool) -> Verification:
        """Return what was found."""
        return Verification(
            a=a,
            b=b,
            agents=agents,
            sessions=self.sessions,
            equal_sessions=self.equal_sessions,
            has_transcripts=has_transcripts,
            transcripts=self.transcripts,
            equal_transcripts=self.equal_transcripts,
            events=self.events,
            counts=dict(sorted(self.counts.items())),
            paths=tuple(PathCount(*key, count) for key, count in self._paths.most_common(self._MAX_PATHS)),
            differences=tuple(self.listed),
        )
