"""How many sessions of each sort there are, and how a flooding job's runs lie in time. Arithmetic without chance."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

_SHARES: Final = (
    ("cron-run", 0.46),
    ("daily-run", 0.08),
    ("direct", 0.12),
    ("thread", 0.10),
    ("subagent", 0.08),
    ("topic", 0.05),
    ("hook", 0.03),
    ("acp", 0.02),
    ("group", 0.02),
    ("main", 0.0),
    ("cron", 0.0),
    ("channel", 0.01),
    ("node", 0.01),
    ("parallel", 0.01),
    ("other", 0.01),
)
"""Share of each sort among the sessions, in the order in which sorts get their first session. "daily-run" and "topic" are sorts of
cron runs and threads; main and cron get one session per agent and job instead of a share."""


def allot(sessions: int, *, agents: int, days: int) -> dict[str, int]:
    """Return how many sessions of each sort make up `sessions` in all: every sort has one before any has its share."""
    counts = dict.fromkeys((sort for sort, _ in _SHARES), 0)
    for sort, _ in _SHARES[: min(len(_SHARES), sessions)]:
        counts[sort] = 1
    wanted = {sort: int(share * sessions) for sort, share in _SHARES}
    wanted["main"] = agents
    wanted["cron"] = 1 + max(1, -(-wanted["daily-run"] // days))
    left = sessions - sum(counts.values())
    for sort in ("main", "cron", *(sort for sort, _ in reversed(_SHARES))):
        more = min(left, max(0, wanted[sort] - counts[sort]))
        counts[sort] += more
        left -= more
    counts["direct" if sessions < 20 else "cron-run"] += left
    return counts


def ramp(count: int, start_ms: int, end_ms: int) -> Iterator[int]:
    """Yield `count` ascending times whose rate rises with the fourth power of time: 300 sessions end at a run every two hours."""
    steps = 4_000
    total = sum(0.04 + share * share * share * share for share in (step / steps for step in range(steps)))
    reached, made, width = 0.0, 0, (end_ms - start_ms) / steps
    for step in range(steps):
        share = step / steps
        rate = (0.04 + share * share * share * share) * count / total
        while made < count and made + 0.5 < reached + rate:
            yield start_ms + int(width * (step + (made + 0.5 - reached) / rate))
            made += 1
        reached += rate
    while made < count:
        yield end_ms
        made += 1
