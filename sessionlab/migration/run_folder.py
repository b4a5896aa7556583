"""The folder of a migration or an export: besides what every run leaves, `manifest.jsonl` has a line for each session.

An export, which makes more than a store, has `files.jsonl` as well. Anyone can compute the report again from plan, events and manifest.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final, Self

import msgspec

from sessionlab.migration.records import EntryPlan, FileRecord, Operation, Plan
from sessionlab.runs import FILES, MANIFEST, PLAN, RUNS, Run, run_folders
from sessionlab.storage.files import make_folder

_OPERATIONS: Final[tuple[Operation, ...]] = ("migrate", "rollback", "export")


class RunFolder(Run):
    """The folder of one run."""

    @classmethod
    def create(cls, plan: Plan, *, root: Path) -> Self:
        """Make the folder of a new run below a state folder or a sessions folder, with its plan and manifest."""
        run = cls(root / RUNS / plan.run_id)
        make_folder(run.path)
        run.write_plan(plan)
        return run

    def write_plan(self, plan: Plan) -> None:
        """Write the plan. The sessions have a file of their own: a plan of ten thousand is read by people, too."""
        self.write(PLAN, msgspec.json.format(msgspec.json.encode(msgspec.structs.replace(plan, entries=())), indent=2))
        self.write(MANIFEST, b"".join(msgspec.json.encode(one) + b"\n" for one in plan.entries))

    def write_files(self, files: Iterable[FileRecord]) -> None:
        """Write which files were made."""
        self.write(FILES, b"".join(msgspec.json.encode(one) + b"\n" for one in files))

    def plan(self) -> Plan:
        """Return the plan, its entries included.

        Raises:
            CorruptStoreError: It, or the manifest, cannot be read.
        """
        return msgspec.structs.replace(self.head(), entries=tuple(self.lines(MANIFEST, EntryPlan)))

    def head(self) -> Plan:
        """Return the plan without its entries.

        Raises:
            CorruptStoreError: It cannot be read.
        """
        return self.decoded(PLAN, Plan)

    def files(self) -> tuple[FileRecord, ...]:
        """Return which files were made; none, unless it was an export.

        Raises:
            CorruptStoreError: That cannot be read.
        """
        return tuple(self.lines(FILES, FileRecord)) if (self.path / FILES).exists() else ()


def runs(root: Path) -> list[RunFolder]:
    """Return the migrations and exports below a state folder or a sessions folder, the oldest first.

    Raises:
        UnreadableError: The system does not let us look.
        CorruptStoreError: A plan cannot be read.
    """
    return [RunFolder(path) for path in run_folders(root, _OPERATIONS)]
