"""What a migration is made of: plans, the fate of every entry, events and reports. Frozen values that are written as JSON and read back."""

from __future__ import annotations

from typing import Literal

import msgspec

from sessionlab.stores.location import StoreKind

Operation = Literal["migrate", "rollback", "export"]
Action = Literal["move", "normalise", "merge", "set-aside"]
"""Moved as it is; moved under today's field names; the newest of several spellings moved; left out, because it cannot be read."""


class StoreIdentity(msgspec.Struct, frozen=True, kw_only=True):
    """A store at one moment.

    Attributes:
        kind: As in `StoreLocation.kind`.
        path: Absolute.
        sessions: Session keys in it, spellings counted each.
        store_bytes: The size of its files.
        sha256: The fingerprint of its contents; "" for a store that holds an entry which cannot be read.
    """

    kind: StoreKind
    path: str
    sessions: int
    store_bytes: int
    sha256: str


class EntryPlan(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What becomes of one session.

    Attributes:
        key: The key it will have; of one that is set aside, the key it has.
        action: See `Action`.
        digest: SHA-256 of the canonical entry that the target is to hold, hex; "" when set aside.
        bytes: Of that entry as compact JSON; as it lies in the source when set aside.
        reason: Why not simply moved; "" for `move`.
        source_digests: What the source holds, one digest for each spelling, in its order; "" for what cannot be read.
        spellings: The keys in the source, when they differ from `key`.
        line: Where it begins in a JSON file, 1-based; only when set aside.
    """

    key: str
    action: Action = "move"
    digest: str
    bytes: int
    reason: str = ""
    source_digests: tuple[str, ...] = ()
    spellings: tuple[str, ...] = ()
    line: int | None = None

    def in_source(self) -> tuple[tuple[str, str], ...]:
        """Return what the source holds of it: (key as spelled there, digest or "")."""
        if self.action == "set-aside":
            return ((self.key, ""),)
        return tuple(zip(self.spellings or (self.key,), self.source_digests, strict=True))


class FileRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A file that an export made.

    Attributes:
        name: Its path in the exported folder, with `/`.
        bytes: Its size.
        sha256: Of its bytes, hex.
    """

    name: str
    bytes: int
    sha256: str


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a migration would do. A plan is used once, and only as long as its source is what it was.

    Attributes:
        run_id: The name of its run folder.
        operation: What it is for.
        agent_id: Whose sessions.
        created_ms: When it was made, epoch ms.
        source: The store that counts now.
        target_kind: What is to count afterwards.
        target_path: Where, absolute.
        retired_path: Where the source's file or folder goes; "" when it stays where it is.
        displaced_path: What lies in the target's place now and is moved out of the way first; "" for nothing.
        displaced_to: Where that goes.
        displaced_sessions: Keys of sessions that only it holds, or holds newer: they are not taken along.
        entries: The sessions, in the source's order.
        bytes_needed: Of disk space, at most, until the run is over.
        bytes_free: On the target's file system.
        seconds_expected: Roughly, on a machine like those it was measured on.
        warnings: What its owner should know before saying yes.
        root: The state folder or sessions folder below which the run's own folder was made, absolute; "" before. With it a run is known
            again in a folder that was moved, and that of a copy means the copy.
    """

    run_id: str
    operation: Operation
    agent_id: str
    created_ms: int
    source: StoreIdentity
    target_kind: StoreKind
    target_path: str
    retired_path: str
    displaced_path: str = ""
    displaced_to: str = ""
    displaced_sessions: tuple[str, ...] = ()
    entries: tuple[EntryPlan, ...]
    bytes_needed: int
    bytes_free: int
    seconds_expected: float
    warnings: tuple[str, ...] = ()
    root: str = ""

    def at(self, root: str) -> Plan:
        """Return the plan as it reads where its root is called so by now."""
        if not self.root or root == self.root:
            return self

        def there(path: str) -> str:
            inside = path.removeprefix(f"{self.root}/")
            return path if inside == path else f"{root}/{inside}"

        return msgspec.structs.replace(
            self,
            source=msgspec.structs.replace(self.source, path=there(self.source.path)),
            target_path=there(self.target_path),
            retired_path=there(self.retired_path),
            displaced_path=there(self.displaced_path),
            displaced_to=there(self.displaced_to),
            root=root,
        )

    @property
    def moved(self) -> tuple[EntryPlan, ...]:
        """The sessions that the target will hold."""
        return tuple(one for one in self.entries if one.action != "set-aside")

    @property
    def set_aside(self) -> tuple[EntryPlan, ...]:
        """The entries that cannot be read."""
        return tuple(one for one in self.entries if one.action == "set-aside")
