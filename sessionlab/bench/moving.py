"""What the commands do that move a store, take one back, or verify an import: each one call, in a fresh process, too.

Imports the migrations and nothing else: what a process holds besides would count as theirs.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from sessionlab.migration.execute import execute
from sessionlab.migration.places import named_store, root_of, runs_of
from sessionlab.migration.rollback import plan_rollback
from sessionlab.migration.startup import migrate_one
from sessionlab.migration.verify_openclaw import verify_openclaw
from sessionlab.stores.location import StoreKind


def move(store: str | Path, to: StoreKind, now_ms: int) -> int:
    """Move a store to another kind as `sessionlab migrate` does: plan, stage, verify, promote, record. Return its sessions.

    Raises:
        RuntimeError: Nothing was moved, which no measurement means.
        SessionLabError: As for `execute`.
    """
    outcome = migrate_one(named_store(Path(store)), to, now_ms=now_ms)
    if outcome.error is not None:
        raise outcome.error
    if outcome.result != "migrated":
        raise RuntimeError(f"{store}: {outcome.result}")
    return outcome.migrated_entries


def roll_back(store: str | Path, now_ms: int) -> int:
    """Undo the latest run of a store as `sessionlab rollback RUN` does. Return its sessions.

    Raises:
        SessionLabError: As for `plan_rollback` and `execute`.
    """
    location = named_store(Path(store))
    planned = partial(plan_rollback, runs_of(location)[-1], now_ms=now_ms)
    return execute(planned(), root=root_of(location), now_ms=now_ms, replan=planned).sessions


def verify_import(state_dir: str | Path) -> int:
    """Verify OpenClaw's import as `sessionlab verify openclaw` does. Return the events that are there.

    Raises:
        RuntimeError: Something is lost, of which a state that was made to be measured holds nothing.
        SessionLabError: As for `verify_openclaw`.
    """
    found = verify_openclaw(Path(state_dir))
    if found.exit_code > 1:
        raise RuntimeError(f"{state_dir}: {found.lost_events} events and {found.sessions - found.kept_sessions} sessions are not there")
    return found.events
