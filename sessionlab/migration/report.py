"""The report of a run, computed from the run's folder alone: whoever has the folder gets the same."""

from __future__ import annotations

from collections import Counter

import msgspec

from sessionlab.migration.records import Operation, StoreIdentity
from sessionlab.migration.run_folder import RunFolder
from sessionlab.stores.base import fingerprint_of
from sessionlab.stores.location import StoreKind


class Difference(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One session that did not simply move. Keys, digests and reasons only; no value of an entry is ever in a report."""

    key: str
    action: str
    reason: str
    digest: str = ""
    source_digests: tuple[str, ...] = ()
    spellings: tuple[str, ...] = ()
    line: int | None = None


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a run.

    Attributes:
        run_id: Which run.
        operation: What it was for.
        agent_id: Whose sessions.
        is_complete: Whether it came to its end.
        source: The store that counted before.
        target_kind: What counts now, if it is complete.
        target_path: Where.
        retired_path: Where the old store lies now; where it lay before when it was kept in its place.
        sessions: How many the new store was verified to hold.
        sha256: The fingerprint of what it was verified to hold.
        bytes: Of their entries as compact JSON.
        actions: Action -> how many sessions.
        differences: The sessions that did not simply move, in the source's order.
        created_ms: When the plan was made, epoch ms.
        seconds: From the lock to the end.
        displaced_to: Where what lay in the new store's place lies now; "" for nothing.
        displaced_sessions: Keys of sessions that only it holds, or holds newer.
        warnings: Those of the plan.
        way_back: The command that leads back.
    """

    run_id: str
    operation: Operation
    agent_id: str
    is_complete: bool
    source: StoreIdentity
    target_kind: StoreKind
    target_path: str
    retired_path: str
    sessions: int
    sha256: str
    bytes: int
    actions: dict[str, int]
    differences: tuple[Difference, ...]
    created_ms: int
    seconds: float
    warnings: tuple[str, ...]
    way_back: str
    displaced_to: str = ""
    displaced_sessions: tuple[str, ...] = ()

    @property
    def has_loss(self) -> bool:
        """Whether an entry of the source is not in the target, nor one of what lay in its place."""
        return self.actions.get("set-aside", 0) > 0 or bool(self.displaced_sessions)


def make_report(folder: RunFolder) -> Report:
    """Compute the report of a run.

    Raises:
        CorruptStoreError: A file of the folder cannot be read.
    """
    plan, events = folder.plan(as_written=True), folder.events()
    return Report(
        run_id=plan.run_id,
        operation=plan.operation,
        agent_id=plan.agent_id,
        is_complete=bool(events) and events[-1].act == "done",
        source=plan.source,
        target_kind=plan.target_kind,
        target_path=plan.target_path,
        retired_path=plan.retired_path or plan.source.path,
        sessions=len(plan.moved),
        sha256=fingerprint_of((one.key, bytes.fromhex(one.digest)) for one in plan.moved).sha256,
        bytes=sum(one.bytes for one in plan.moved),
        actions=dict(sorted(Counter(one.action for one in plan.entries).items())),
        differences=tuple(
            Difference(
                key=one.key,
                action=one.action,
                reason=one.reason,
                digest=one.digest,
                source_digests=one.source_digests,
                spellings=one.spellings,
                line=one.line,
            )
            for one in plan.entries
            if one.action != "move"
        ),
        created_ms=plan.created_ms,
        seconds=events[-1].seconds if events else 0.0,
        displaced_to=plan.displaced_to,
        displaced_sessions=plan.displaced_sessions,
        warnings=plan.warnings,
        way_back=f"sessionlab rollback {plan.run_id}" if plan.operation == "migrate" else "",
    )


def write_report(folder: RunFolder) -> Report:
    """Compute the report of a run, write it into its folder, and return it."""
    report = make_report(folder)
    folder.write_report(msgspec.json.format(msgspec.json.encode(report), indent=2))
    return report
