"""What changed between a plan and its execution: under the store's lock an entry is looked at again by all that its rules go by.

Whoever pins a session, or talks in it, while a plan is read does not write `updatedAt` each time. An entry that is no more what the plan
saw stays as it is: what is asked here is only whether to leave it alone.
"""

from __future__ import annotations

from functools import cached_property

from sessionlab.entry import Entry, summary_of
from sessionlab.maintenance.files import SessionFiles, session_files
from sessionlab.maintenance.missing import missing
from sessionlab.maintenance.neighbours import own_names
from sessionlab.maintenance.plan import MaintenancePlan
from sessionlab.maintenance.protection import PLAIN, judged, may_be_protected, traits_of_entry
from sessionlab.stores.location import StoreLocation


class JudgingAgain:
    """Says of one entry at a time whether what was decided on it still holds. Only for the holder of the store's lock."""

    def __init__(self, plan: MaintenancePlan, location: StoreLocation) -> None:
        """Take a plan for a store; nothing is read yet."""
        self._plan, self._location = plan, location
        self._missing = {one.key for one in plan.entries if one.action == "prune-missing"}

    def still_holds(self, key: str, entry: Entry) -> bool:
        """Say whether an entry that the plan removes, or marks as archived, is what it was by then; `updatedAt` is the caller's to ask."""
        is_missing, policy = key in self._missing, self._plan.policy
        if is_missing and key not in missing([summary_of(key, entry)], self._files).gone:
            return False
        if not policy.protects:
            return True
        traits = traits_of_entry(key, entry)
        if traits != self._plan.traits.get(key, PLAIN):
            return False
        if is_missing or not may_be_protected(entry):
            return True  # what has no transcript goes whatever it is; of the others, nothing else can have changed
        return judged(summary_of(key, entry), policy, {key: traits}, now_ms=self._plan.now_ms) in (None, "disposable")

    @cached_property
    def _files(self) -> SessionFiles:
        return session_files(self._location.sessions_dir, store_names=own_names(self._location))
