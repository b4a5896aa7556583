"""What a maintenance would do to a store and to the files beside it, and why. Pure, and frozen: printing it is the dry run."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

from sessionlab import keys, layout
from sessionlab.entry import SessionSummary
from sessionlab.maintenance.decisions import Decision, decide, evictable, is_active
from sessionlab.maintenance.files import OLDEST_FIRST, File, SessionFiles
from sessionlab.maintenance.policy import Policy
from sessionlab.maintenance.protection import NO_TRAITS, Traits
from sessionlab.maintenance.warning import EvictionWarning, eviction_warning

FileAction = Literal["archive", "expire", "evict", "drop-backup"]
"""Renamed to `.jsonl.deleted.<time>`, because its session is removed; removed for good, because the archive is too old, because the disk
budget asks for it, or because there are three newer backups of the store."""

BACKUPS: int = 3
"""How many backups of `sessions.json` are kept (D.4)."""


class FileDecision(NamedTuple):
    """What becomes of one file beside the store; `key` is the session that it belongs to, if one is removed with it."""

    name: str
    bytes: int
    action: FileAction
    key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """How much there is: sessions in the store, bytes of its own files in use (afterwards: as expected), bytes of the files beside it."""

    sessions: int
    store_bytes: int
    file_bytes: int

    @property
    def bytes(self) -> int:
        """All of it."""
        return self.store_bytes + self.file_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class MaintenancePlan:
    """What a maintenance would do.

    Attributes:
        policy: The rules.
        now_ms: The clock, epoch ms.
        entries: What becomes of every entry, the latest update first.
        files: What becomes of files beside the store; those that are not named stay.
        before: What there is.
        after: What there would be.
        warning: That the active session would be removed, if it would.
        traits: Of the entries that are removed or archived, key -> what the rules looked at besides a summary, where there was any of it.
        old_runs: (name, bytes) of the folders of earlier maintenances that are removed for good.
    """

    policy: Policy
    now_ms: int
    entries: tuple[Decision, ...]
    files: tuple[FileDecision, ...]
    before: Totals
    after: Totals
    warning: EvictionWarning | None = None
    traits: Mapping[str, Traits] = field(default_factory=dict)
    old_runs: tuple[tuple[str, int], ...] = ()

    @property
    def removed(self) -> tuple[Decision, ...]:
        """The entries that leave the store."""
        return tuple(one for one in self.entries if one.is_removed)

    @property
    def is_over_budget(self) -> bool:
        """Whether what is left is still more than the disk budget allows."""
        most = self.policy.limits.max_disk_bytes
        return most is not None and self.after.bytes > most


def plan_maintenance(
    summaries: Iterable[SessionSummary],
    policy: Policy,
    *,
    now_ms: int,
    files: SessionFiles,
    store_bytes: int,
    active_key: str | None = None,
    missing: Collection[str] = (),
    undoable: bool = False,
    entry_bytes: Mapping[str, int] | None = None,
    traits: Mapping[str, Traits] = NO_TRAITS,
) -> MaintenancePlan:
    """Plan a maintenance. Transcripts of removed entries are archived, unless another entry refers to them (D.17, D.20, D.21).

    Args:
        summaries: Of the whole store.
        policy: The rules; in warn mode the plan is what would be done if they were enforced.
        now_ms: The clock, epoch ms.
        files: What lies beside the store.
        store_bytes: The size of the store's own files.
        active_key: The session that is being talked in, normalised; it is never removed.
        missing: Keys of entries that are to go because their transcript is not there.
        undoable: As for `decide`.
        entry_bytes: Key -> bytes of its entry in the store; by default every entry is taken to be as large as the average.
        traits: Key -> what 2026.9 looks at of an entry besides, for a policy that protects any.
    """
    held = list(summaries)
    decided = decide(held, policy, now_ms=now_ms, active_key=active_key, missing=missing, undoable=undoable, traits=traits)
    return plan_decided(
        held,
        decided,
        policy,
        now_ms=now_ms,
        files=files,
        store_bytes=store_bytes,
        active_key=active_key,
        undoable=undoable,
        entry_bytes=entry_bytes,
        traits=traits,
    )


def plan_decided(
    held: Sequence[SessionSummary],
    decided: list[Decision],
    policy: Policy,
    *,
    now_ms: int,
    files: SessionFiles,
    store_bytes: int,
    active_key: str | None = None,
    undoable: bool = False,
    entry_bytes: Mapping[str, int] | None = None,
    traits: Mapping[str, Traits] = NO_TRAITS,
) -> MaintenancePlan:
    """Plan what follows from decisions on the entries for the files beside the store, and for the disk budget.

    Args:
        held: The summaries of the whole store.
        decided: What becomes of each; the latest update first.
        policy: The rules for files.
        now_ms: The clock, epoch ms.
        files: What lies beside the store.
        store_bytes: The size of the store's own files.
        active_key: As for `plan_maintenance`.
        undoable: As for `decide`.
        entry_bytes: As for `plan_maintenance`.
        traits: As for `plan_maintenance`.
    """
    sizes = _Sizes(entry_bytes, store_bytes // len(held) if held else 0)
    before = Totals(sessions=len(held), store_bytes=store_bytes, file_bytes=files.total_bytes)
    draft = _Draft({one.key: one for one in held}, decided, files, sizes, before)
    draft.expire(policy, now_ms)
    if policy.limits.max_disk_bytes is not None and draft.totals().bytes > policy.limits.max_disk_bytes:
        places = evictable(draft.entries, draft.by_key, policy, now_ms=now_ms, active_key=active_key, undoable=undoable, traits=traits)
        draft.evict(policy, places, active_key)
    return MaintenancePlan(
        policy=policy,
        now_ms=now_ms,
        entries=tuple(draft.entries),
        files=draft.file_decisions(),
        before=before,
        after=draft.totals(),
        traits={one.key: traits[one.key] for one in draft.entries if one.action != "keep" and one.key in traits},
        warning=eviction_warning(held, policy, now_ms=now_ms, active_key=active_key, traits=traits),
    )


@dataclass(frozen=True, slots=True)
class _Sizes:
    known: Mapping[str, int] | None
    average: int

    def of(self, key: str) -> int:
        return self.average if self.known is None else self.known.get(key, self.average)

    def total(self, keys: Collection[str]) -> int:
        if self.known is None:
            return self.average * len(keys)
        return sum(self.known.get(key, self.average) for key in keys)


class _Draft:
    """A plan in the making: decisions are only ever added to."""

    def __init__(
        self, by_key: dict[str, SessionSummary], entries: list[Decision], files: SessionFiles, sizes: _Sizes, before: Totals
    ) -> None:
        self.entries, self.by_key = entries, by_key
        self._files, self._sizes, self._before = files, sizes, before
        self._gone: dict[str, FileDecision] = {}
        self._removed = [one.key for one in entries if one.is_removed]
        self._freed = sizes.total(self._removed)
        # Most stores have one transcript for each session, so that this is asked of every one of them.
        files_of = files.of if files.transcripts else _no_files
        self._referred = Counter(file.name for one in entries if not one.is_removed for file in files_of(by_key[one.key]))
        goes_with = files.archived_with if files.transcripts else _no_files
        for key in self._removed:
            for file in goes_with(by_key[key]):
                if file.name not in self._referred:
                    self._gone[file.name] = FileDecision(file.name, file.bytes, "archive", key)

    def expire(self, policy: Policy, now_ms: int) -> None:
        """Remove archives that are too old (D.22), and backups beyond the newest three (D.4)."""
        has_removed = bool(self._gone)
        for file in self._files.archives:
            parsed = layout.parse_transcript_name(file.name)
            kept_ms = policy.archive_limit_ms(parsed.source, has_removed=has_removed) if parsed is not None else None
            # Its name says since when it is an archive: it was last written while its session lived.
            since_ms = layout.archived_ms(file.name)
            if kept_ms is not None and (file.written_ms if since_ms is None else since_ms) < now_ms - kept_ms:
                self._gone[file.name] = FileDecision(file.name, file.bytes, "expire")
        for file in self._files.backups[:-BACKUPS] if policy.rotates else ():
            self._gone[file.name] = FileDecision(file.name, file.bytes, "drop-backup")

    def evict(self, policy: Policy, places: Iterable[int], active_key: str | None) -> None:
        """Bring everything down to the high water: archives and transcripts of nobody first, then sessions (D.50).

        Args:
            policy: The rules. 2026.9 takes all archives before what nobody refers to, others whatever is oldest.
            places: Which entries may go, in that order.
            active_key: The session that stays all the same.
        """
        over = self.totals().bytes - (policy.limits.high_water_bytes or policy.limits.max_disk_bytes or 0)
        # What was archived a moment ago is among the orphans: nobody refers to it any more.
        files = sorted((*self._files.archives, *self._files.orphans(self._referred)), key=OLDEST_FIRST)
        if policy.archives_in_place:
            files.sort(key=self._tier)
        for file in files:
            if over <= 0:
                return
            before = self._gone.get(file.name)
            if before is None or before.action == "archive":
                self._gone[file.name] = FileDecision(file.name, file.bytes, "evict", before.key if before is not None else "")
                over -= file.bytes
        # No session goes for what stays all the same: a store that was left behind, another one's files, copies of transcripts.
        over -= self._files.total_bytes - self._files.removable_bytes
        left = Counter(keys.normalise(one.key) for one in self.entries if not one.is_removed)
        older: defaultdict[str, list[int]] = defaultdict(list)
        for place in places:
            if over <= 0:
                return
            one = self.entries[place]
            if is_active(one.key, active_key):
                self.entries[place] = one._replace(why="active session")
                continue
            key = keys.normalise(one.key)
            older[key].append(place)
            left[key] -= 1
            if left[key]:  # goes with the newest spelling of it, or stays with it: removing one removes them all
                self.entries[place] = one._replace(why="has a newer spelling")
                continue
            over -= sum(self._evicted(which) for which in older[key])

    def _tier(self, file: File) -> int:
        """Return when it is a file's turn: archives, those made a moment ago, then what nobody refers to."""
        parsed = layout.parse_transcript_name(file.name)
        if parsed is not None and parsed.source != "live":
            return 0
        return 1 if file.name in self._gone else 2

    def _evicted(self, place: int) -> int:
        """Remove an entry, and its transcripts if no other refers to them; return how many bytes that frees."""
        one = self.entries[place]
        self.entries[place] = Decision(one.key, one.session_id, one.updated_ms, "evict-budget")
        size = self._sizes.of(one.key)
        self._removed.append(one.key)
        self._freed += size
        own = self._files.archived_with(self.by_key[one.key])
        for file in self._files.of(self.by_key[one.key]):
            self._referred[file.name] -= 1
            if not self._referred[file.name] and file.name not in self._gone and file in own:
                self._gone[file.name] = FileDecision(file.name, file.bytes, "evict", one.key)
                size += file.bytes
        return size

    def totals(self) -> Totals:
        """Return what there would be."""
        return replace(
            self._before,
            sessions=self._before.sessions - len(self._removed),
            store_bytes=max(self._before.store_bytes - self._freed, 0),
            file_bytes=self._before.file_bytes - sum(one.bytes for one in self._gone.values() if one.action != "archive"),
        )

    def file_decisions(self) -> tuple[FileDecision, ...]:
        """Return what becomes of the files, by name."""
        return tuple(self._gone[name] for name in sorted(self._gone))


def _no_files(_one: SessionSummary) -> tuple[File, ...]:
    return ()
