"""What is wrong in a synthetic folder on purpose: which planned sessions get which flaw.

Only the plan is changed here; the writers of entries and transcripts act on `Session.flaws`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from msgspec.structs import replace

from sessionlab.synth.catalogue import SONNET
from sessionlab.synth.dice import DAY_MS, HOUR_MS, iso
from sessionlab.synth.population import Planner
from sessionlab.synth.session import Session
from sessionlab.synth.truth import SynthTruth

LEAST_SESSIONS: Final = 60
"""Fewer sessions than this do not hold a session of every sort that a flaw needs."""

ORPHANS: Final = 3


def spoil(plan: list[Session], planner: Planner, truth: SynthTruth) -> list[Session]:
    """Return the plan with one session (or two) of each flaw, and note their keys in `truth`."""
    sessions = list(plan)

    def places(kind: str, channel: str | None = None) -> Iterator[int]:
        return (n for n, s in enumerate(plan) if s.kind == kind and channel in (None, s.channel) and s.agent == planner.front)

    def mark(place: int, flaw: str, **changes: object) -> None:
        sessions[place] = replace(sessions[place], flaws=sessions[place].flaws | {flaw}, **changes)

    directs, topics = places("direct"), places("thread", "telegram")
    for _ in range(2):
        place = next(directs)
        mark(place, "legacy", size_class="small")
        truth.note("legacy", keys=[plan[place].key])
    for _ in range(2):
        place = next(topics)
        mark(place, "missing")
        truth.note("missing_transcript", keys=[plan[place].key])

    place = next(directs)
    channel = str(plan[place].channel)
    odd_key = plan[place].key.replace(f":{channel}:", f":{channel.capitalize()}:")
    mark(place, "mixed_case", key=odd_key)
    truth.note("mixed_case_key", keys=[odd_key])

    name = planner.salad.words(planner.dice, 1)
    for spelling in (name, name.capitalize()):
        peer = f"@{spelling}:example.org"
        mark(
            next(directs), "case_variant", key=f"agent:{planner.front}:matrix:direct:{peer}", channel="matrix", peer=peer, account="default"
        )
    truth.note("case_variants", keys=[s.key for s in sessions if "case_variant" in s.flaws])

    place = next(places("node"))
    mark(place, "no_updated_at")
    truth.note("no_updated_at", keys=[plan[place].key])
    place = next(places("other"))
    mark(place, "future")
    truth.note("future_updated_at", keys=[plan[place].key])

    mark(next(places("group")), "bad_line")
    mark(next(places("main")), "unfinished")
    mark(next(n for n, s in enumerate(plan) if s.kind == "cron"), "no_cost")

    parent_place = next(places("channel"))
    child_place = next(n for n, s in enumerate(plan) if s.kind == "thread" and s.channel == "slack")
    fork(sessions, parent_place, child_place, planner)
    truth.note("forked", keys=[sessions[child_place].key, sessions[parent_place].key])
    return sessions


def fork(sessions: list[Session], parent_place: int, child_place: int, planner: Planner) -> None:
    """Turn one planned session into a thread forked off another one half-way through that one's life."""
    parent, child = sessions[parent_place], sessions[child_place]
    created = parent.created_ms + (parent.last_ms - parent.created_ms) // 2
    # A model that costs something, so that counting the copies twice shows in the money; no compaction that the copies could bring along.
    parent = replace(parent, model=SONNET, first_model=SONNET, compactions=0, flaws=parent.flaws | {"fork_parent"})
    sessions[parent_place] = parent
    sessions[child_place] = replace(
        child,
        agent=parent.agent,
        key=f"{parent.key}:thread:{child.session_id.replace('-', '')[:12]}",
        created_ms=created,
        last_ms=min(created + HOUR_MS, planner.window.now_ms),
        file_name=f"{iso(created).replace(':', '-').replace('.', '-')}_{child.session_id}.jsonl",
        channel=parent.channel,
        chat_type=parent.chat_type,
        peer=parent.peer,
        title=parent.title,
        thread_id=child.session_id.replace("-", "")[:12],
        parent_key=parent.key,
        model=SONNET,
        first_model=SONNET,
        flaws=child.flaws | {"fork"},
    )


def orphans(planner: Planner) -> Iterator[Session]:
    """Yield transcripts whose entry is gone: two conversations and a cron run."""
    window = planner.window
    for number in range(ORPHANS):
        created = window.at(0.2 + 0.2 * number)
        agent = planner.ops if number == ORPHANS - 1 else planner.front
        yield planner.make(agent, f"gone:{number}", kind="orphan", created_ms=created, last_ms=planner.burst_end(created, 3), turns=3)


def archives(planner: Planner, count: int) -> Iterator[tuple[Session, str]]:
    """Yield (session, suffix) of transcripts that were archived: deleted cron runs, and conversations that were reset."""
    dice, window = planner.dice, planner.window
    for number in range(count):
        reset = number % 3 == 2
        agent = planner.front if reset else planner.ops
        created = dice.waking_time(window.start_ms, window.at(0.96))
        turns = 2 + dice.below(6) if reset else 1
        session = planner.make(
            agent, f"gone:{number}", kind="archive", created_ms=created, last_ms=planner.burst_end(created, turns), turns=turns
        )
        put_away = min(session.last_ms + dice.between(HOUR_MS, 2 * DAY_MS), window.now_ms)
        yield session, f".{'reset' if reset else 'deleted'}.{iso(put_away).replace(':', '-')}"
