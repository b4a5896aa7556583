"""What comes of a maintenance plan, added up by agent and kind of session: what stays, what is put aside, what goes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from sessionlab import keys
from sessionlab.entry import SessionSummary
from sessionlab.maintenance.decisions import Action
from sessionlab.maintenance.files import SessionFiles
from sessionlab.maintenance.plan import MaintenancePlan, Totals
from sessionlab.maintenance.policy import Policy

NO_SESSION: Final = "(no session)"
"""The kind under which archives, and transcripts that no session refers to, are counted."""


class Share(NamedTuple):
    """How much: sessions, bytes of their entries, bytes of their transcripts, and what the calls recorded there cost."""

    sessions: int = 0
    entry_bytes: int = 0
    file_bytes: int = 0
    cost_microusd: int = 0

    @property
    def bytes(self) -> int:
        """Entries and transcripts."""
        return self.entry_bytes + self.file_bytes


class Group(NamedTuple):
    """The sessions of one kind of one agent.

    Attributes:
        agent: Whose they are.
        kind: Which kind; `NO_SESSION` for transcripts of nobody.
        held: All of them.
        aside: Those that are put aside: entries marked as archived, transcripts renamed to archives.
        gone: Those that are removed: entries from the store, which the run's folder keeps, and files for good.
    """

    agent: str
    kind: str
    held: Share
    aside: Share = Share()
    gone: Share = Share()

    @property
    def is_touched(self) -> bool:
        """Whether anything of it goes or is put aside."""
        return any(self.aside) or any(self.gone)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What comes of one policy.

    Attributes:
        policy: The rules.
        before: What there is, in all stores.
        after: What there would be.
        actions: Action -> how many entries.
        groups: By agent and kind, in this order.
        over_budget: Agents whose store would still be larger than the disk budget.
    """

    policy: Policy
    before: Totals
    after: Totals
    actions: Mapping[Action, int]
    groups: tuple[Group, ...]
    over_budget: tuple[str, ...]

    @property
    def held(self) -> Share:
        """Everything."""
        return added(one.held for one in self.groups)

    @property
    def aside(self) -> Share:
        """What is put aside."""
        return added(one.aside for one in self.groups)

    @property
    def gone(self) -> Share:
        """What goes."""
        return added(one.gone for one in self.groups)


def added(shares: Iterable[Share]) -> Share:
    """Add up."""
    columns = tuple(zip(*shares, strict=True))
    return Share(*map(sum, columns)) if columns else Share()


class Ledger:
    """Which group each session and each file of one store counts for: made once, so that an outcome is a few sums."""

    def __init__(
        self,
        agent: str,
        summaries: Sequence[SessionSummary],
        files: SessionFiles,
        *,
        entry_bytes: Mapping[str, int],
        costs: Mapping[str, int],
    ) -> None:
        """Sort everything into groups.

        Args:
            agent: Whose store it is.
            summaries: Of the whole store.
            files: What lies beside it.
            entry_bytes: Key -> bytes of its entry.
            costs: Name of a transcript -> cost of the calls in it, micro-dollars.
        """
        self._agent = agent
        self._kinds = [*sorted({kind_of(one.key) for one in summaries}), NO_SESSION]
        places = {kind: place for place, kind in enumerate(self._kinds)}
        self._of_key = {one.key: (places[kind_of(one.key)], entry_bytes.get(one.key, 0)) for one in summaries}
        nobody = places[NO_SESSION]
        # A transcript that several sessions refer to counts for the first of them.
        everyone = [(file, nobody) for own in (files.archives, *files.transcripts.values()) for file in own]
        claimed = [(file, self._of_key[one.key][0]) for one in reversed(summaries) for file in files.of(one)]
        self._of_file = {file.name: (place, costs.get(file.name, 0)) for file, place in (*everyone, *claimed)}
        rows = [[0, 0, 0, 0] for _ in self._kinds]
        for place, size in self._of_key.values():
            rows[place][0] += 1
            rows[place][1] += size
        sizes = {file.name: file.bytes for file, _ in everyone}
        for name, (place, cost) in self._of_file.items():
            rows[place][2] += sizes[name]
            rows[place][3] += cost
        self._held = [Share(*row) for row in rows]

    def groups(self, plan: MaintenancePlan) -> tuple[Group, ...]:
        """Return what comes of a plan for this store, by kind; kinds that hold nothing are left out."""
        aside, gone = ([[0, 0, 0, 0] for _ in self._kinds] for _ in range(2))
        for decision in plan.entries:
            if decision.action != "keep":
                place, size = self._of_key[decision.key]
                row = (aside if decision.action == "archive" else gone)[place]
                row[0] += 1
                row[1] += size
        for file in plan.files:
            known = self._of_file.get(file.name)
            if known is not None:  # else a backup of the store
                row = (aside if file.action == "archive" else gone)[known[0]]
                row[2] += file.bytes
                row[3] += known[1]
        found = zip(self._kinds, self._held, aside, gone, strict=True)
        return tuple(
            Group(self._agent, kind, held, Share(*put), Share(*lost)) for kind, held, put, lost in found if held.sessions or held.file_bytes
        )


def kind_of(key: str) -> str:
    """Return the kind of a session, as everywhere else in the lab."""
    return keys.parse(key).kind


def outcome_of(policy: Policy, plans: Mapping[str, MaintenancePlan], ledgers: Mapping[str, Ledger]) -> Outcome:
    """Add up the plans for several stores under one policy.

    Args:
        policy: The rules.
        plans: Agent -> the plan for its store.
        ledgers: Agent -> its ledger.
    """
    actions: Counter[Action] = Counter()
    for plan in plans.values():
        actions.update(one.action for one in plan.entries)
    return Outcome(
        policy=policy,
        before=_total(plan.before for plan in plans.values()),
        after=_total(plan.after for plan in plans.values()),
        actions=actions,
        groups=tuple(group for agent, plan in plans.items() for group in ledgers[agent].groups(plan)),
        over_budget=tuple(agent for agent, plan in plans.items() if plan.is_over_budget),
    )


def _total(totals: Iterable[Totals]) -> Totals:
    every = list(totals)
    return Totals(
        sessions=sum(one.sessions for one in every),
        store_bytes=sum(one.store_bytes for one in every),
        file_bytes=sum(one.file_bytes for one in every),
    )
