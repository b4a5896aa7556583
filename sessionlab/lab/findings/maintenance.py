"""What a maintenance would do, in sentences: outcomes of `lab.what_if` in, Markdown out. Nothing here was done, and nothing says it was."""

from __future__ import annotations

import itertools
import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sessionlab.lab.findings.size import EMPTY
from sessionlab.lab.findings.words import count, listing, name, percent, usd
from sessionlab.lab.what_if_policy import shown_duration
from sessionlab.units import format_bytes, format_count, format_measured_ms

if TYPE_CHECKING:
    import pandas as pd

    from sessionlab.lab.what_if import LoadRate, WhatIf
    from sessionlab.lab.what_if_outcome import Group, Outcome
    from sessionlab.maintenance.decisions import Action
    from sessionlab.maintenance.policy import Policy


def rules(policy: Policy) -> str:
    """Say which rules were asked for, and whether anybody would follow them."""
    limits = policy.limits
    stale = "is marked as archived or, where automation left it, goes" if policy.archives_in_place else "goes"
    budget = "no disk budget" if limits.max_disk_bytes is None else f"at most {format_bytes(limits.max_disk_bytes)} on disk for an agent"
    text = (
        f"As OpenClaw {policy.profile} would do it: what was not updated for {shown_duration(limits.prune_after_ms)} {stale}, "
        f"at most {count(limits.max_entries, 'entry', 'entries')} in a store, {budget}."
    )
    if policy.archives_in_place:
        text += " Conversations, main sessions and what is pinned or running it never touches."
    if _first_over(policy) > limits.max_entries + 1:
        text += f" A save only cuts a store back from {format_count(_first_over(policy))} entries on."
    if policy.is_enforced:
        return f"{text} It **enforces** them: with the next save, OpenClaw does what follows."
    return f"{text} With `mode: warn` it does nothing of what follows by itself."


def left_out(what_if: WhatIf) -> str:
    """Say whose stores are not in this; "" for nobody's."""
    if not what_if.left_out:
        return ""
    return f"Left out: {listing([name(agent) for agent in what_if.left_out])}, whose database OpenClaw maintains itself."


def at_limits(outcome: Outcome) -> str:
    """Say what comes of the limits: how many sessions, why, what that leaves, and what history it costs."""
    total = outcome.before.sessions
    if not total:
        return EMPTY
    gone, aside = outcome.gone, outcome.aside
    lines = [f"- **{_heading(outcome)}**{_whys(outcome)}"]
    lines.append(
        f"- **What stays:** {count(outcome.after.sessions, 'session')}; the stores would weigh about "
        f"{format_bytes(outcome.after.store_bytes)} (now {format_bytes(outcome.before.store_bytes)}), all of it on disk "
        f"{format_bytes(outcome.after.bytes)} (now {format_bytes(outcome.before.bytes)})."
    )
    lines.append(f"- **Cost history:** {_history(outcome)}")
    most = max(outcome.groups, key=lambda one: one.gone.sessions + one.aside.sessions)
    if gone.sessions or aside.sessions:
        touched = most.gone.sessions + most.aside.sessions
        lines.append(f"- **Most of them:** {_group(most)}, {format_count(touched)} of {format_count(most.held.sessions)}.")
    if outcome.over_budget:
        lines.append(f"- **Over the budget all the same:** {listing([name(agent) for agent in outcome.over_budget])}.")
    return "\n".join(lines)


def versions(outcomes: Sequence[Outcome]) -> str:
    """Say what an upgrade would change."""
    if not outcomes[0].before.sessions:
        return EMPTY
    parts = []
    for one in outcomes:
        acts = [f"removes {format_count(one.gone.sessions)}"] if one.gone.sessions else []
        acts += [f"marks {format_count(one.aside.sessions)} as archived"] if one.aside.sessions else []
        parts.append(f"{one.policy.profile} {listing(acts) if acts else 'leaves them all as they are'}")
    text = f"Of {count(outcomes[0].before.sessions, 'session')}, {'; '.join(parts)}."
    enforcing = [one.policy.profile for one in outcomes if one.policy.is_enforced]
    if len(enforcing) == len(outcomes):
        return f"{text} Each does it by itself, with the next save."
    if not enforcing:
        return f"{text} None does it by itself: the configuration says `mode: warn`."
    others = [one.policy.profile for one in outcomes if not one.policy.is_enforced]
    return f"{text} By itself, with the next save, {listing(enforcing)} would do it; {listing(others)} would only warn."


def around(grid: pd.DataFrame) -> str:
    """Say how much the two limits matter around those asked for; `grid` is of `WhatIf.grid`."""
    if grid.empty or not int(grid["sessions"].iloc[0]):
        return EMPTY
    touched = (grid["removed"] + grid["archived"]).tolist()
    points = list(zip(grid["prune_after_ms"].tolist(), grid["max_entries"].tolist(), touched, grid["is_own"].tolist(), strict=True))
    own = next(point for point in points if point[3])
    ages = [(int(age), int(number)) for age, cap, number, _ in points if cap == own[1]]
    caps = [(int(cap), int(number)) for age, cap, number, _ in points if age == own[0]]
    others = [f"{format_count(number)} with {shown_duration(age)}" for age, number in _neighbours(ages, int(own[0]))]
    others += [f"{format_count(number)} with a cap of {format_count(cap)}" for cap, number in _neighbours(caps, int(own[1]))]
    return f"At the limits asked for it is {count(int(own[2]), 'session')}; with one of them moved a step, {listing(others)}."


def loading(rate: LoadRate, outcome: Outcome) -> str:
    """Say how fast this machine loads the stores, and would afterwards. Never in a committed notebook: it depends on the machine."""
    if not rate.bytes_per_ms or not outcome.before.store_bytes:
        return EMPTY
    before, after = (format_measured_ms(rate.ms(one.store_bytes)) for one in (outcome.before, outcome.after))
    return (
        f"This machine reads all entries in **{before}** ({format_bytes(1000 * rate.bytes_per_ms)} a second); "
        f"after the maintenance it would be roughly **{after}**."
    )


def command(what_if: WhatIf, policy: Policy) -> str:
    """Return the command that shows the same in a terminal, entry by entry, as a block of Markdown."""
    return f"```sh\n{command_line(what_if, policy)}\n```"


def command_line(what_if: WhatIf, policy: Policy) -> str:
    """Return that command; it changes nothing either."""
    from sessionlab.lab.session import SAMPLE_NAME

    place = "STATE_DIR" if what_if.source == SAMPLE_NAME else what_if.source
    whose = ["--agent", what_if.agent] if what_if.agent else ["--all-agents"] if len(what_if.agents) + len(what_if.left_out) > 1 else []
    clock = ["--now-ms", str(what_if.now_ms)] if what_if.clock.origin == "as given" else []
    return shlex.join(["sessionlab", "maintain", place, "--dry-run", *whose, *what_if.rules[policy.profile].options(policy), *clock])


def _heading(outcome: Outcome) -> str:
    total, gone, aside = count(outcome.before.sessions, "session"), outcome.gone.sessions, outcome.aside.sessions
    put = "would be marked as archived, and stay"
    if gone:
        text = f"{format_count(gone)} of {total} ({percent(gone, outcome.before.sessions)}) would go"
        return f"{text}; {format_count(aside)} {put}." if aside else f"{text}."
    return f"{format_count(aside)} of {total} {put}; none would go." if aside else f"None of {total} would go."


def _whys(outcome: Outcome) -> str:
    names: dict[Action, str] = {
        "prune-stale": "for their age",
        "cap-overflow": "because there are too many",
        "evict-budget": "for the disk budget",
    }
    found = [f"{format_count(outcome.actions[action])} {why}" for action, why in names.items() if outcome.actions.get(action)]
    return f" {listing(found)}." if found else ""


def _history(outcome: Outcome) -> str:
    whole, aside, gone = outcome.held.cost_microusd, outcome.aside.cost_microusd, outcome.gone.cost_microusd
    if not whole:
        return "no transcript records any."
    if not aside and not gone:
        return f"all of the recorded {usd(whole)} stays."
    retention_ms = outcome.policy.archive_limit_ms("archive-deleted", has_removed=True)
    until = "as long as nobody removes them" if retention_ms is None else f"for {shown_duration(retention_ms)} more, then it is gone"
    parts = [f"{usd(gone)} of the recorded {usd(whole)} would be lost at once"] if gone else []
    parts += (
        [f"{usd(aside)}{'' if gone else f' of the recorded {usd(whole)}'} would be kept in renamed transcripts {until}"] if aside else []
    )
    return f"{'; '.join(parts)}."


def _group(group: Group) -> str:
    return f"{name(group.kind)} of {name(group.agent)}"


def _neighbours(points: Sequence[tuple[int, int]], own: int) -> list[tuple[int, int]]:
    """Return the points before and after that of the policy's own limit."""
    here = [limit for limit, _ in points].index(own)
    return [points[place] for place in (here - 1, here + 1) if 0 <= place < len(points)]


def _first_over(policy: Policy) -> int:
    """Return from how many entries on a save cuts a store back."""
    return next(number for number in itertools.count(policy.limits.max_entries) if policy.is_over_cap(number, on_save=True))
