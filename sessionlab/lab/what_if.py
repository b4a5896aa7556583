"""What a maintenance would do to the stores of a state folder, for any limits: read once, then asked as often as a slider moves.

Decides nothing itself: every answer is `maintenance.plan`'s, on summaries and files that were read when it was opened. Changes nothing.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Final

from sessionlab.entry import SessionSummary
from sessionlab.errors import UsageError
from sessionlab.lab.what_if_outcome import Ledger, Outcome, outcome_of
from sessionlab.lab.what_if_policy import PROFILES, Rules, checked_profile, rules_of
from sessionlab.maintenance.files import File, SessionFiles
from sessionlab.maintenance.neighbours import files_beside
from sessionlab.maintenance.plan import MaintenancePlan, plan_maintenance
from sessionlab.maintenance.policy import Policy, Profile
from sessionlab.maintenance.protection import Traits, traits_of
from sessionlab.migration.places import root_of
from sessionlab.stores.authority import refuse_split
from sessionlab.stores.locating import locate
from sessionlab.stores.location import StoreLocation, open_at
from sessionlab.units import MS_PER_DAY

if TYPE_CHECKING:
    import pandas as pd

    from sessionlab.lab.session import Lab

_AGES: Final = (1, 3, 7, 14, 30, 60, 90, 180, 365)
CAP_STEPS: Final = tuple(step * 10**power for power in range(7) for step in (1, 2, 5))
"""Numbers of entries that people think in."""
_MOST_CAPS: Final = 6


@dataclass(frozen=True, slots=True)
class LoadRate:
    """How fast this machine reads all entries of these stores, measured a moment ago; bytes of the stores' own files by millisecond."""

    bytes_per_ms: float

    def ms(self, store_bytes: int) -> float:
        """Return how long it would take to read stores of this size, milliseconds."""
        return store_bytes / self.bytes_per_ms if self.bytes_per_ms else 0.0


@dataclass(frozen=True, slots=True)
class _KnownFiles(SessionFiles):
    """Files of which it was looked up once whose they are: a plan asks it of every session."""

    by_key: Mapping[str, tuple[File, ...]]

    def of(self, one: SessionSummary) -> tuple[File, ...]:
        return self.by_key[one.key]


@dataclass(frozen=True, slots=True)
class Held:
    """What was read of one store."""

    location: StoreLocation
    summaries: tuple[SessionSummary, ...]
    files: SessionFiles
    store_bytes: int
    entry_bytes: Mapping[str, int]
    traits: Mapping[str, Traits]


class WhatIf:
    """The stores of a state folder as they were when they were read; use `open_what_if`.

    Attributes:
        source: What was read, as a report says it.
        rules: Profile -> its rules, with the reader's limits in place of those configured.
        policy: The policy that was asked for.
        now_ms: The clock, epoch ms.
        left_out: Agents whose store OpenClaw itself maintains.
        clock: The moment that ages are taken against.
        agent: The one agent that was asked for, or `None`.
    """

    def __init__(
        self,
        lab: Lab,
        held: Mapping[str, Held],
        *,
        rules: Mapping[Profile, Rules],
        profile: Profile,
        left_out: tuple[str, ...] = (),
    ) -> None:
        """Take over what was read."""
        self.source, self.clock, self.agent = lab.source, lab.clock, lab.agent
        self.now_ms = lab.now_ms
        self.rules, self.policy = rules, rules[profile].policy
        self.left_out = left_out
        self._held = held
        costs = lab.query("transcript_costs")
        by_agent: dict[str, dict[str, int]] = {agent: {} for agent in held}
        for agent, path, cost in zip(costs["agent_id"].tolist(), costs["path"].tolist(), costs["cost_microusd"].tolist(), strict=True):
            by_agent.setdefault(str(agent), {})[PurePath(path).name] = int(cost)
        self._ledgers = {
            agent: Ledger(agent, one.summaries, one.files, entry_bytes=one.entry_bytes, costs=by_agent[agent])
            for agent, one in held.items()
        }

    @property
    def agents(self) -> tuple[str, ...]:
        """Whose stores were read, ordered."""
        return tuple(self._held)

    @property
    def sessions(self) -> int:
        """The number of sessions in all stores."""
        return sum(len(one.summaries) for one in self._held.values())

    @property
    def largest(self) -> int:
        """The number of sessions in the store that has the most."""
        return max(len(one.summaries) for one in self._held.values())

    @property
    def oldest_days(self) -> int:
        """The age of the session that was not updated for the longest time, whole days; 0 when none says."""
        times = [one.updated_ms for held in self._held.values() for one in held.summaries if one.updated_ms is not None]
        return max((self.now_ms - min(times)) // MS_PER_DAY, 0) if times else 0

    def plans(self, policy: Policy) -> dict[str, MaintenancePlan]:
        """Return the plan for each store, by agent."""
        return {
            agent: plan_maintenance(
                one.summaries,
                policy,
                now_ms=self.now_ms,
                files=one.files,
                store_bytes=one.store_bytes,
                undoable=True,
                entry_bytes=one.entry_bytes,
                traits=one.traits,
            )
            for agent, one in self._held.items()
        }

    def at(self, policy: Policy) -> Outcome:
        """Return what comes of a policy."""
        return outcome_of(policy, self.plans(policy), self._ledgers)

    def versions(self) -> tuple[Outcome, ...]:
        """Return what comes of the rules of each profile, the oldest version first."""
        return tuple(self.at(rules.policy) for rules in self.rules.values())

    def grid(self, policy: Policy, *, days: Sequence[int] = (), caps: Sequence[int] = ()) -> pd.DataFrame:
        """Vary age and cap around a policy, its budget and its other rules as they are.

        Args:
            policy: The rules to vary.
            days: Ages to prune after; by default some that tell sessions of these stores apart.
            caps: Caps; by default some that do.

        Returns:
            One row per age and cap, ascending by both. Columns: `prune_after_ms` (int), `max_entries` (int), `sessions` (int: there are),
            `removed` (int), `archived` (int: marked in place), `bytes_after` (int: stores and the files beside them), `is_own` (bool: these
            are the policy's own age and cap).
        """
        import pandas as pd

        own, rules = policy.limits, self.rules[policy.profile]
        ages = sorted({own.prune_after_ms, *(age * MS_PER_DAY for age in days or self._telling_ages())})
        columns = ["prune_after_ms", "max_entries", "sessions", "removed", "archived", "bytes_after", "is_own"]
        rows = []
        for age in ages:
            done: dict[int, tuple[int, int, int, int]] = {}
            for cap in sorted({own.max_entries, *(caps or self._telling_caps())}):
                telling = min(cap, self.largest)  # all caps that no store reaches do the same
                if telling not in done:
                    varied = rules.limited(prune_after_ms=age, max_entries=cap, max_disk_bytes=own.max_disk_bytes)
                    plans = self.plans(varied).values()
                    done[telling] = (
                        sum(plan.before.sessions for plan in plans),
                        sum(plan.before.sessions - plan.after.sessions for plan in plans),
                        sum(one.action == "archive" for plan in plans for one in plan.entries),
                        sum(plan.after.bytes for plan in plans),
                    )
                rows.append((age, cap, *done[telling], (age, cap) == (own.prune_after_ms, own.max_entries)))
        return pd.DataFrame(rows, columns=columns)

    def measure_load(self, *, rounds: int = 3) -> LoadRate:
        """Read every entry of the stores, as a program that starts does, and return the fastest of some rounds.

        Raises:
            StoreError: A store cannot be read any more.
        """
        taken = []
        for _ in range(rounds):
            start = time.perf_counter()
            for one in self._held.values():
                with open_at(one.location) as store:
                    for _ in store.items():
                        pass
            taken.append(1000 * (time.perf_counter() - start))
        return LoadRate(sum(one.store_bytes for one in self._held.values()) / max(min(taken), 1e-6))

    def _telling_ages(self) -> tuple[int, ...]:
        beyond = next((age for age in _AGES if age > self.oldest_days), _AGES[-1])
        return tuple(age for age in _AGES if age <= beyond)

    def _telling_caps(self) -> tuple[int, ...]:
        beyond = next((cap for cap in CAP_STEPS if cap >= self.largest), CAP_STEPS[-1])
        return tuple(cap for cap in CAP_STEPS if cap <= beyond)[-_MOST_CAPS:]


def open_what_if(lab: Lab, *, profile: str = "2026.3", prune_after: str = "", max_entries: int = 0, max_disk: str = "") -> WhatIf:
    """Read the stores of a lab for planning.

    Args:
        lab: The lab; its folder, its agent and its clock count, and its costs of transcripts.
        profile: The OpenClaw version whose rules they are.
        prune_after: As for `rules_of`.
        max_entries: As for `rules_of`.
        max_disk: As for `rules_of`.

    Raises:
        UsageError: A limit makes no sense, or every store is OpenClaw's own database, which it maintains itself.
        SplitStoreError: Two stores of an agent both hold sessions.
        StoreError: A store cannot be read.
        SettingsError: As for `load_settings`.
    """
    chosen = checked_profile(profile)
    locations = [one for one in locate(lab.path) if lab.agent in (None, one.agent_id)]
    configured = root_of(locations[0])
    rules = {name: rules_of(configured, name, prune_after=prune_after, max_entries=max_entries, max_disk=max_disk) for name in PROFILES}
    held = {one.agent_id: _read(one) for one in locations if one.kind != "openclaw"}
    if not held:
        raise UsageError(f"{lab.source}: holds OpenClaw's own databases only; OpenClaw maintains them itself")
    left_out = tuple(one.agent_id for one in locations if one.kind == "openclaw")
    return WhatIf(lab, held, rules=rules, profile=chosen, left_out=left_out)


def _read(location: StoreLocation) -> Held:
    refuse_split(location)
    with open_at(location) as store:
        # In the order in which the rules take them, so that no plan has to sort them.
        summaries = tuple(sorted(store.summaries(), key=lambda one: float("inf") if one.updated_ms is None else -one.updated_ms))
        files = files_beside(location)
        sizes = {key: len(raw) for key, raw in store.raw_items()}
        known = _KnownFiles(
            folder=files.folder,
            transcripts=files.transcripts,
            archives=files.archives,
            backups=files.backups,
            total_bytes=files.total_bytes,
            of_others=files.of_others,
            by_key={one.key: files.of(one) for one in summaries},
        )
        return Held(location, summaries, known, store.stats().store_bytes, sizes, traits_of(store.raw_items()))
