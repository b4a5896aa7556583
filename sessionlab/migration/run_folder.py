"""The folder of a migration or an export: besides what every run leaves, `manifest.jsonl` has a line for each session.

An export, which makes more than a store, has `files.jsonl` as well. Anyone can compute the report again from plan, events and manifest.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final, Self

import msgspec

from sessionlab.errors import CorruptStoreError
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
        run.write_plan(msgspec.structs.replace(plan, root=plan.root or str(root.absolute())))
        return run

    def write_plan(self, plan: Plan) -> None:
        """Write the plan. The sessions have a file of their own: a plan of ten thousand is read by people, too."""
        self.write(PLAN, msgspec.json.format(msgspec.json.encode(msgspec.structs.replace(plan, entries=())), indent=2))
        self.write(MANIFEST, b"".join(msgspec.json.encode(one) + b"\n" for one in plan.entries))

    def write_files(self, files: Iterable[FileRecord]) -> None:
        """Write which files were made."""
        self.write(FILES, b"".join(msgspec.json.encode(one) + b"\n" for one in files))

    def plan(self, *, as_written: bool = False) -> Plan:
        """Return the plan, its entries included.

        Args:
            as_written: With the paths that were written; else with those that they are where the folder lies now.

        Raises:
            CorruptStoreError: It, or the manifest, cannot be read.
        """
        entries = tuple(self.lines(MANIFEST, EntryPlan))
        for one in entries:
            if len(one.spellings or (one.key,)) != len(one.source_digests) and one.action != "set-aside":
                raise CorruptStoreError(self.path / MANIFEST, f"has not as many digests as spellings of {one.key[:80]!r}")
        return msgspec.structs.replace(self.head(as_written=as_written), entries=entries)

    def head(self, *, as_written: bool = False) -> Plan:
        """Return the plan without its entries; otherwise as `plan`.

        Raises:
            CorruptStoreError: It cannot be read.
        """
        found = self.decoded(PLAN, Plan)
        for path in (found.source.path, found.target_path, *filter(None, (found.retired_path, found.displaced_path, found.displaced_to))):
            if not Path(path).is_absolute() or not Path(path).name:
                raise CorruptStoreError(self.path / PLAN, "names a path that is none")
        here = self.path.absolute()
        is_in_place = here.parent.parts[-2:] == RUNS.parts
        return found if as_written or not is_in_place else found.at(str(here.parents[2]))

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
    return [RunFolder(path) for path in run_folders(root) if Run(path).operation() in _OPERATIONS]
