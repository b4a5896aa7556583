"""What is true about a generated state folder: the totals that a loader must find.

The writers count while they write; nothing here reads files, so that a test can compare these numbers with what a reader finds.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from sessionlab.errors import NoStoreError, UsageError

TRUTH_FILE: Final = "synth.json"
FORMAT: Final = "sessionlab-synth"
VERSION: Final = 1


class Tokens(msgspec.Struct, kw_only=True):
    """Tokens by type, and what they cost in micro-dollars (without messages that carry no cost)."""

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0
    total: int = 0
    cost_microusd: int = 0

    def add(self, other: Tokens) -> None:
        """Add another count to this one."""
        self.input += other.input
        self.output += other.output
        self.cache_read += other.cache_read
        self.cache_write += other.cache_write
        self.total += other.total
        self.cost_microusd += other.cost_microusd


class ModelUsage(msgspec.Struct, kw_only=True):
    """One model's calls (copies and delivery mirrors left out) and their usage."""

    calls: int = 0
    tokens: Tokens = msgspec.field(default_factory=Tokens)


class Tally(msgspec.Struct, kw_only=True):
    """What lies in a set of transcript files.

    `events`, `by_type`, `by_role`, `mirrors` and `tool_errors` count every line that is whole JSON, as it lies there: headers and copied
    lines too. `usage`, `calls` and `by_model` (key: "provider/model") count a message once, in the session where it was first said;
    `naive_usage` counts copies again.
    A call is an assistant message of a real model: delivery mirrors (provider "openclaw") are not calls.
    """

    files: int = 0
    bytes: int = 0
    events: int = 0
    by_type: dict[str, int] = msgspec.field(default_factory=dict)
    by_role: dict[str, int] = msgspec.field(default_factory=dict)
    calls: int = 0
    usage: Tokens = msgspec.field(default_factory=Tokens)
    naive_usage: Tokens = msgspec.field(default_factory=Tokens)
    by_model: dict[str, ModelUsage] = msgspec.field(default_factory=dict)
    copied_events: int = 0
    copied_calls: int = 0
    mirrors: int = 0
    tool_errors: int = 0
    calls_without_cost: int = 0
    bad_lines: int = 0
    unfinished_lines: int = 0

    def add(self, other: Tally) -> None:
        """Add another set of files to this one."""
        for field in self.__struct_fields__:
            mine, theirs = getattr(self, field), getattr(other, field)
            if isinstance(mine, int):
                setattr(self, field, mine + theirs)
            elif isinstance(mine, Tokens):
                mine.add(theirs)
            elif field == "by_model":
                for name, usage in theirs.items():
                    total = mine.setdefault(name, ModelUsage())
                    total.calls += usage.calls
                    total.tokens.add(usage.tokens)
            else:
                for name, count in theirs.items():
                    mine[name] = mine.get(name, 0) + count


class AgentTruth(msgspec.Struct, kw_only=True):
    """One agent's share. `live` are all `.jsonl` files (orphans among them), `archives` the `.deleted.`/`.reset.` ones."""

    sessions: int = 0
    kinds: dict[str, int] = msgspec.field(default_factory=dict)
    store_bytes: int = 0
    backups: int = 0
    backup_bytes: int = 0
    orphans: int = 0
    missing_transcripts: int = 0
    live: Tally = msgspec.field(default_factory=Tally)
    archives: Tally = msgspec.field(default_factory=Tally)


class Flaw(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One thing that was made wrong on purpose: where (path below the folder, 1-based line) and which sessions."""

    path: str | None = None
    line: int | None = None
    keys: list[str] = msgspec.field(default_factory=list)


class SynthTruth(msgspec.Struct, kw_only=True):
    """The true totals of a generated folder.

    `stale_30d` and `stale_60d` count entries whose `updatedAt` is more than 30 or 60 days before `now_ms`.
    `flaws` lists what was made wrong, by name; a name is absent when nothing of that sort was made.
    """

    now_ms: int
    sessions: int = 0
    agents: dict[str, AgentTruth] = msgspec.field(default_factory=dict)
    kinds: dict[str, int] = msgspec.field(default_factory=dict)
    store_bytes: int = 0
    backups: int = 0
    backup_bytes: int = 0
    orphans: int = 0
    missing_transcripts: int = 0
    stale_30d: int = 0
    stale_60d: int = 0
    live: Tally = msgspec.field(default_factory=Tally)
    archives: Tally = msgspec.field(default_factory=Tally)
    everything: Tally = msgspec.field(default_factory=Tally)
    flaws: dict[str, list[Flaw]] = msgspec.field(default_factory=dict)

    def close(self) -> None:
        """Sum the agents into the totals; called once, by the writer, when every file is written."""
        for agent in self.agents.values():
            for field in ("sessions", "store_bytes", "backups", "backup_bytes", "orphans", "missing_transcripts"):
                setattr(self, field, getattr(self, field) + getattr(agent, field))
            for kind, count in agent.kinds.items():
                self.kinds[kind] = self.kinds.get(kind, 0) + count
            self.live.add(agent.live)
            self.archives.add(agent.archives)
        self.everything.add(self.live)
        self.everything.add(self.archives)

    def note(self, name: str, *, path: str | None = None, line: int | None = None, keys: list[str] | None = None) -> None:
        """Record one flaw."""
        self.flaws.setdefault(name, []).append(Flaw(path=path, line=line, keys=keys or []))


class _File(msgspec.Struct, kw_only=True):
    format: str
    version: int
    truth: SynthTruth


def read_truth(folder: Path) -> SynthTruth:
    """Return the truth that `write_state` left in `folder`.

    Raises:
        NoStoreError: When the folder was not made by `write_state`.
        UsageError: When another version of it made the folder.
    """
    path = folder / TRUTH_FILE
    try:
        document = msgspec.json.decode(path.read_bytes(), type=_File)
    except FileNotFoundError as error:
        raise NoStoreError(folder, f"holds no {TRUTH_FILE}", advice="make a synthetic folder with 'sessionlab synth'") from error
    except msgspec.MsgspecError as error:
        raise NoStoreError(path, f"is not a synthetic folder's truth: {error}", advice="make the folder again") from error
    if (document.format, document.version) != (FORMAT, VERSION):
        raise UsageError(f"{path}: format {document.format} version {document.version} is unknown; make the folder again")
    return document.truth
