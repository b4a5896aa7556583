"""Maintenance with every save of a `sessions.json`, as OpenClaw does it (D.3 to D.7, D.10 to D.14): prune, cap, archive, rotate, write.

A save that removes nothing pays next to nothing: of what the same object wrote last it is known how old the oldest entry may be, so nothing
is looked through before one can be stale, or there are too many. Deviations:

- what is removed is put by in a run's folder first, and `undo` brings it back;
- a store is rotated by giving it a second name, so that no reader ever finds none (D.5), and only by a save that changes something (E.21b);
- archives expire (D.22), and the disk budget is kept (D.50), with a save that removes something: to look at the folder each time costs;
- what 2026.9 does in place, marking stale entries as archived, is left to a maintenance by hand.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import msgspec

from sessionlab.codec import decode_entry
from sessionlab.entry import Entry, IndexFields, SessionSummary, summarise, summary_of
from sessionlab.errors import SessionLabError, UnwritableError
from sessionlab.maintenance.apply import Caretaker
from sessionlab.maintenance.decisions import decide
from sessionlab.maintenance.neighbours import files_beside, summaries_beside
from sessionlab.maintenance.plan import BACKUPS, MaintenancePlan, plan_decided
from sessionlab.maintenance.policy import Policy
from sessionlab.maintenance.protection import NO_TRAITS, traits_of
from sessionlab.maintenance.run_folder import MaintenanceRun
from sessionlab.maintenance.warning import EvictionWarning, eviction_warning
from sessionlab.storage.files import refused
from sessionlab.stores.json_state import Member
from sessionlab.stores.json_store import JSONStore
from sessionlab.stores.location import StoreLocation

_LOGGER: Final = logging.getLogger("sessions/store")
_INDEX: Final = msgspec.json.Decoder(IndexFields)
_BACKUP: Final = re.compile(r"\.bak\.\d+\Z")
Warned = Callable[[EvictionWarning], None]


def maintain_on_save(
    store: JSONStore,
    location: StoreLocation,
    policy: Policy,
    *,
    clock: Callable[[], int],
    root: Path,
    active_key: str | None = None,
    on_warn: Warned | None = None,
) -> None:
    """Have a store maintained with every save from now on, until its `upkeep` is taken away again; see `JSONStore.skip_maintenance`.

    Args:
        store: The store.
        location: Where it lies.
        policy: The rules. In warn mode nothing is removed and nothing rotated.
        clock: Gives the time, epoch ms.
        root: As for `apply_plan`.
        active_key: The session that is being talked in, normalised.
        on_warn: Told, once for each distinct case, that the active session would be removed (D.13, D.14).
    """
    store.upkeep = _OnSave(location, policy, clock=clock, root=root, active_key=active_key, on_warn=on_warn)


class _OnSave:
    """What one store object does with its saves."""

    def __init__(
        self,
        location: StoreLocation,
        policy: Policy,
        *,
        clock: Callable[[], int],
        root: Path,
        active_key: str | None,
        on_warn: Warned | None,
    ) -> None:
        self._location, self._policy, self._clock, self._root = location, policy, clock, root
        self._active_key, self._on_warn = active_key, on_warn
        self._warned: set[EvictionWarning] = set()
        self._oldest_ms: int | None = None
        self._run: MaintenanceRun | None = None
        self._waiting: tuple[MaintenancePlan, list[SessionSummary]] | None = None

    def before_save(self, sessions: Mapping[str, Member], changed: Mapping[str, Entry], *, is_own: bool) -> frozenset[str]:
        now_ms = self._clock()
        self._waiting = None
        if not self._policy.is_enforced:
            self._warn(sessions, now_ms)
            return frozenset()
        if self._is_in_bounds(len(sessions), changed, now_ms, is_own=is_own):
            return frozenset()
        held = [_summary(key, raw) for key, raw in sessions.items()]
        traits = traits_of((key, memoryview(raw)) for key, raw in sessions.items()) if self._policy.protects else NO_TRAITS
        decided = [
            one._replace(action="keep", why="") if one.action == "archive" else one
            for one in decide(held, self._policy, now_ms=now_ms, active_key=self._active_key, on_save=True, undoable=True, traits=traits)
        ]
        removed = {one.key for one in decided if one.is_removed}
        never_stale = removed | {one.key for one in decided if one.why == "no way back"} | {self._active_key}
        self._oldest_ms = min((one.updated_ms for one in held if one.updated_ms is not None and one.key not in never_stale), default=now_ms)
        if not removed:
            return frozenset()
        files = files_beside(self._location)
        sizes = {key: len(memoryview(raw)) for key, raw in sessions.items()}
        plan = plan_decided(
            held,
            decided,
            self._policy,
            now_ms=now_ms,
            files=files,
            store_bytes=sum(sizes.values()),
            active_key=self._active_key,
            undoable=True,
            entry_bytes=sizes,
            traits=traits,
        )
        removed |= {one.key for one in plan.removed}  # the disk budget may ask for more
        self._put_by(plan, sessions)
        self._waiting = plan, [one for one in held if one.key not in removed]
        return frozenset(removed)

    def after_save(self, removed: frozenset[str]) -> None:
        if self._waiting is None or self._run is None:
            return
        plan, left = self._waiting
        self._waiting = None
        caretaker = Caretaker(self._location.sessions_dir, self._run)
        try:
            caretaker.look_after(plan.files, removed, (*left, *summaries_beside(self._location)))
            if caretaker.left_alone:
                _LOGGER.warning("transcripts of removed sessions were not archived: %s", ", ".join(caretaker.left_alone))
            self._run.note("done", seconds=0.0)
        except SessionLabError as error:  # it is saved by now, and the next maintenance by hand does the rest (D.22)
            _LOGGER.warning("transcripts of removed sessions were not archived: %s", error)

    def _is_in_bounds(self, number: int, changed: Mapping[str, Entry], now_ms: int, *, is_own: bool) -> bool:
        """Say whether nothing can be stale, and there are not too many; when in doubt, no."""
        if not is_own or self._oldest_ms is None:
            self._oldest_ms = None
            return False
        times = [summary_of(key, entry).updated_ms for key, entry in changed.items() if key != self._active_key]
        self._oldest_ms = min([self._oldest_ms, *(time for time in times if time is not None)])
        is_stale = self._oldest_ms < now_ms - self._policy.limits.prune_after_ms
        return not is_stale and not self._policy.is_over_cap(number, on_save=True)

    def _put_by(self, plan: MaintenancePlan, sessions: Mapping[str, Member]) -> None:
        """Write what goes into the folder of the run that this object's saves share."""
        if self._run is None:
            self._run = MaintenanceRun.create(plan, self._location, root=self._root, active_key=self._active_key)
        else:
            self._run.add(plan)
        path = self._location.path
        gone = [one.key for one in plan.removed]
        self._run.note("archive", seconds=0.0, detail=str(path))
        self._run.archive((key, decode_entry(bytes(sessions[key]), path=path, key=key)) for key in gone)
        self._run.note("remove", seconds=0.0, detail=f"{len(gone)} entries")

    def before_replace(self) -> None:
        """Give the store a second name when it has grown too large (D.3), and drop the oldest of such (D.4)."""
        most, path = self._policy.rotate_bytes, self._location.path
        if not self._policy.is_enforced:
            return
        try:
            if most is None or path.is_symlink() or path.stat().st_size <= most:
                return
            backup = path.with_name(f"{path.name}.bak.{self._clock()}")
            os.link(path, backup)
        except FileNotFoundError:
            return
        except FileExistsError as error:
            raise UnwritableError(path, f"cannot be rotated: {backup.name} is there already", advice="wait a moment") from error
        except OSError as error:
            raise refused(path, error) from error
        with contextlib.suppress(OSError):  # one too many is no reason to lose a save: the next one drops it
            found = [one for one in path.parent.iterdir() if one.name.startswith(f"{path.name}.bak.") and _BACKUP.search(one.name)]
            for old in sorted(found, key=lambda one: int(one.name.rpartition(".")[2]))[:-BACKUPS]:
                old.unlink()

    def _warn(self, sessions: Mapping[str, Member], now_ms: int) -> None:
        if self._active_key is None or self._active_key not in sessions:
            return
        active = _summary(self._active_key, sessions[self._active_key])
        held = [active]
        if len(sessions) > self._policy.limits.max_entries:
            held = [_summary(key, raw) for key, raw in sessions.items()]
        warning = eviction_warning(held, self._policy, now_ms=now_ms, active_key=self._active_key)
        if warning is None or warning in self._warned:
            return
        self._warned.add(warning)
        _LOGGER.warning("session maintenance would evict active session; skipping enforcement")
        if self._on_warn is not None:
            self._on_warn(warning)


def _summary(key: str, raw: Member) -> SessionSummary:
    return summarise(key, _INDEX.decode(memoryview(raw)))
