"""Who talks to the agents, and when: the plan of every session of a synthetic folder, before a byte is written.

The shapes are those that real stores show: a cron job whose runs pile up faster and faster, a group that never stops, people who write
by day and forget the agent again, bursts of threads after an incident. This module draws sessions; it knows no file and no JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from sessionlab.synth.catalogue import CODEX, EVERYDAY_MODELS, GEMINI, MODELS, QWEN, SONNET, Salad
from sessionlab.synth.dice import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, Dice
from sessionlab.synth.session import Rhythm, Session, Window
from sessionlab.synth.shares import allot, ramp
from sessionlab.synth.usage import draw_usage

WINDOW_SHARE_BEFORE_FLOOD: Final = 35 / 90
"""The flooding cron job is set up this far into the window: day 35 of 90."""


class Planner:
    """Draws sessions for given agents: the first agent has the people, the second the cron jobs, the third the research."""

    def __init__(self, dice: Dice, window: Window, agents: Sequence[str], salad: Salad) -> None:
        self.dice, self.window, self.salad = dice, window, salad
        self.front, self.ops, self.research = agents[0], agents[1 % len(agents)], agents[2 % len(agents)]
        self.agents = tuple(agents)

    def plan(self, sessions: int) -> list[Session]:
        """Return exactly `sessions` sessions, in the order of their sorts."""
        counts = allot(sessions, agents=len(self.agents), days=max(1, (self.window.now_ms - self.window.start_ms) // DAY_MS))
        makers: dict[str, Callable[[int], Iterator[Session]]] = {
            "main": self._mains,
            "cron-run": self._flood,
            "daily-run": self._daily,
            "cron": self._cron_bases,
            "direct": self._directs,
            "group": self._groups,
            "topic": self._topics,
            "channel": self._channels,
            "thread": self._threads,
            "subagent": self._subagents,
            "hook": self._hooks,
            "acp": self._acps,
            "node": self._nodes,
            "parallel": self._parallels,
            "other": self._others,
        }
        dice = self.dice
        self.jobs = [dice.uuid() for _ in range(max(2, counts["cron"]))]
        return [session for sort, maker in makers.items() for session in maker(counts[sort])]

    def make(
        self,
        agent: str,
        rest: str,
        *,
        kind: str,
        created_ms: int,
        last_ms: int,
        turns: int,
        rhythm: Rhythm = "burst",
        model: int | None = None,
        suffix: str = "",
        **more: object,
    ) -> Session:
        """Return a session with a drawn id, model and last usage; `rest` is the key after `agent:<id>:`."""
        dice = self.dice
        number = dice.pick(EVERYDAY_MODELS) if model is None else model
        first = dice.pick(EVERYDAY_MODELS) if model is None and turns > 4 and dice.chance(0.08) else number
        session_id = dice.uuid()
        limit = min(MODELS[number].context_tokens, 160_000) - 12_000
        fields = {
            "agent": agent,
            "key": f"agent:{agent}:{rest}",
            "kind": kind,
            "session_id": session_id,
            "file_name": f"{session_id}{suffix}.jsonl",
            "created_ms": created_ms,
            "last_ms": max(created_ms + 30 * SECOND_MS, min(last_ms, self.window.now_ms - MINUTE_MS)),
            "turns": turns,
            "rhythm": rhythm,
            "model": number,
            "first_model": first,
            "usage": draw_usage(dice, number, 9_000 + dice.below(min(limit, 4_000 + 3_000 * turns))),
            "compactions": turns // 30,
        }
        return Session(**(fields | more))  # type: ignore[arg-type]

    def burst_end(self, created_ms: int, turns: int) -> int:
        """Return when a conversation of so many turns in one go is over."""
        return created_ms + turns * self.dice.between(25 * SECOND_MS, 4 * MINUTE_MS)

    def life(self, *, staying: float, longest_days: int) -> tuple[int, int]:
        """Return (created, last) of someone who writes now and then: a share of `staying` still does, the others stopped."""
        dice, window = self.dice, self.window
        created = dice.waking_time(window.start_ms, window.now_ms - 6 * HOUR_MS)
        if dice.chance(staying):
            return created, dice.waking_time(max(created, window.now_ms - 4 * DAY_MS), window.now_ms - 10 * MINUTE_MS)
        return created, min(created + dice.skewed(10 * MINUTE_MS, longest_days * DAY_MS), window.now_ms - 10 * MINUTE_MS)

    def _number(self, base: int, number: int) -> int:
        """Return a made-up peer number; different for each `number`, so that no two sessions get one key."""
        return base + number * 9_973 + self.dice.below(9_973)

    def _mains(self, count: int) -> Iterator[Session]:
        for agent in self.agents[:count]:
            last = self.window.now_ms - self.dice.between(2 * MINUTE_MS, 5 * HOUR_MS)
            yield self.make(
                agent,
                "main",
                kind="main",
                created_ms=self.window.start_ms + self.dice.below(HOUR_MS),
                last_ms=last,
                turns=22,
                rhythm="spread",
                size_class="large",
                channel="webchat",
                chat_type="direct",
                peer="webchat",
            )

    def _flood(self, count: int) -> Iterator[Session]:
        for time_ms in ramp(count, self.window.at(WINDOW_SHARE_BEFORE_FLOOD), self.window.now_ms - 5 * MINUTE_MS):
            turns = 1 if self.dice.chance(0.9) else 2
            yield self.make(
                self.ops,
                f"cron:{self.jobs[0]}:run:{self.dice.uuid()}",
                kind="cron-run",
                created_ms=time_ms,
                last_ms=time_ms + turns * self.dice.between(25, 100) * SECOND_MS,
                turns=turns,
                model=GEMINI,
                title="Cron: inbox sweep",
            )

    def _daily(self, count: int) -> Iterator[Session]:
        # One run a day per job, newest first; when there are more runs than days, more jobs share them.
        days = max(1, (self.window.now_ms - self.window.start_ms) // DAY_MS)
        for number in range(count):
            job, day = number // days, number % days
            time_ms = self.window.now_ms - day * DAY_MS - (17 - job % 12) * HOUR_MS + self.dice.below(40 * SECOND_MS)
            yield self.make(
                self.research,
                f"cron:{self.jobs[1 + job]}:run:{self.dice.uuid()}",
                kind="cron-run",
                created_ms=max(time_ms, self.window.start_ms),
                last_ms=time_ms + self.dice.between(40, 200) * SECOND_MS,
                turns=2,
                model=SONNET,
                title="Cron: morning digest",
            )

    def _cron_bases(self, count: int) -> Iterator[Session]:
        for number in range(count):
            agent = self.ops if number == 0 else self.research
            created = self.window.at(WINDOW_SHARE_BEFORE_FLOOD if number == 0 else 0.6)
            yield self.make(
                agent,
                f"cron:{self.jobs[number]}",
                kind="cron",
                created_ms=created,
                last_ms=self.window.now_ms - self.dice.between(1, 6) * HOUR_MS,
                turns=5,
                rhythm="spread",
                model=GEMINI if number == 0 else SONNET,
                title="Cron: inbox sweep" if number == 0 else "Cron: morning digest",
            )

    def _directs(self, count: int) -> Iterator[Session]:
        dice = self.dice
        for number in range(count):
            channel = ("telegram", "whatsapp", "signal")[number % 3]
            agent = self.research if number % 7 == 6 else self.front
            peer = str(self._number(3_000_000_000, number)) if channel == "telegram" else f"+49{self._number(1_500_000_000, number)}"
            account = "work" if channel == "telegram" and dice.chance(0.1) else "default"
            rest = f"{channel}:{account}:direct:{peer}" if account != "default" else f"{channel}:direct:{peer}"
            created, last = self.life(staying=0.4, longest_days=35)
            yield self.make(
                agent,
                rest,
                kind="direct",
                created_ms=created,
                last_ms=last,
                turns=2 + dice.skewed(0, 26),
                rhythm="spread",
                channel=channel,
                chat_type="direct",
                peer=peer,
                account=account,
                title=self.salad.words(dice, 2),
                size_class="large" if dice.chance(0.1) else "usual",
            )

    def _groups(self, count: int) -> Iterator[Session]:
        dice = self.dice
        for number in range(count):
            peer = f"{self._number(1_000_000_000, number)}@g.us"
            created, last = self.life(staying=0.5, longest_days=40)
            rhythm: Rhythm = "spread"
            turns = 3 + dice.skewed(0, 30)
            if number == 0:  # the group that grows and grows
                created, last = self.window.at(0.02), self.window.now_ms - 7 * MINUTE_MS
                turns, rhythm = 150, "growing"
            yield self.make(
                self.front,
                f"whatsapp:group:{peer}",
                kind="group",
                created_ms=created,
                last_ms=last,
                turns=turns,
                rhythm=rhythm,
                channel="whatsapp",
                chat_type="group",
                peer=peer,
                title=self.salad.words(dice, 2),
                size_class="large" if number == 0 else "usual",
            )

    def _topics(self, count: int) -> Iterator[Session]:
        dice = self.dice
        group = ""
        for number in range(count):
            if number % 10 == 0:
                group = f"-100{self._number(1_000_000_000, number)}"
                title = self.salad.words(dice, 2)
            topic = 2 + number * 7 + dice.below(7)
            created, last = self.life(staying=0.35, longest_days=30)
            yield self.make(
                self.front,
                f"telegram:group:{group}:topic:{topic}",
                kind="thread",
                created_ms=created,
                last_ms=last,
                turns=2 + dice.skewed(0, 18),
                rhythm="spread",
                suffix=f"-topic-{topic}",
                channel="telegram",
                chat_type="group",
                peer=group,
                thread_id=topic,
                title=title,
            )

    def _channels(self, count: int) -> Iterator[Session]:
        dice = self.dice
        for number in range(count):
            peer = str(self._number(900_000_000_000, number))
            created, last = self.life(staying=0.8, longest_days=60)
            yield self.make(
                self.front,
                f"discord:channel:{peer}",
                kind="channel",
                created_ms=created,
                last_ms=last,
                turns=12 + dice.skewed(0, 30),
                rhythm="spread",
                channel="discord",
                chat_type="channel",
                peer=peer,
                title=self.salad.words(dice, 1),
            )

    def _threads(self, count: int) -> Iterator[Session]:
        # Incidents: a few afternoons on which many threads start within hours.
        dice, window = self.dice, self.window
        incidents = [dice.waking_time(window.start_ms, window.now_ms - DAY_MS) for _ in range(max(2, count // 8))]
        rooms = [(f"c{dice.bits(36):09x}", self.salad.words(dice, 1)) for _ in range(max(2, count // 12))]
        for number in range(count):
            room, title = dice.pick(rooms)
            created = min(dice.pick(incidents) + dice.gap(2 * HOUR_MS), window.now_ms - 3 * HOUR_MS)
            stamp = f"{created // 1000}.{number % 1_000:03d}{dice.below(1_000):03d}"
            turns = 2 + dice.skewed(0, 10)
            yield self.make(
                self.ops if dice.chance(0.6) else self.front,
                f"slack:channel:{room}:thread:{stamp}",
                kind="thread",
                created_ms=created,
                last_ms=self.burst_end(created, turns),
                turns=turns,
                channel="slack",
                chat_type="channel",
                peer=room,
                thread_id=stamp,
                title=title,
            )

    def _subagents(self, count: int) -> Iterator[Session]:
        dice = self.dice
        parent = ""
        for number in range(count):
            agent = self.research if dice.chance(0.4) else self.front
            deep = number % 8 == 7 and parent
            rest = f"{parent.split(':', 2)[2]}:subagent:{dice.uuid()}" if deep else f"subagent:{dice.uuid()}"
            agent = parent.split(":")[1] if deep else agent
            created = dice.waking_time(self.window.start_ms, self.window.now_ms - HOUR_MS)
            turns = 2 + dice.below(4)
            session = self.make(
                agent,
                rest,
                kind="subagent",
                created_ms=created,
                last_ms=self.burst_end(created, turns),
                turns=turns,
                spawned_by=parent if deep else f"agent:{self.front}:main",
                spawn_depth=2 if deep else 1,
                title=self.salad.words(dice, 3),
            )
            parent = parent if deep else session.key
            yield session

    def _hooks(self, count: int) -> Iterator[Session]:
        return self._plain(count, self.ops, "hook", lambda _: f"hook:{self.dice.uuid()}", size_class="small")

    def _acps(self, count: int) -> Iterator[Session]:
        return self._plain(count, self.research, "acp", lambda _: f"acp:{self.dice.uuid()}", turns=5, model=CODEX)

    def _nodes(self, count: int) -> Iterator[Session]:
        return self._plain(
            count, self.front, "node", lambda number: f"node-{number:04x}{self.dice.bits(16):04x}", size_class="small", model=QWEN
        )

    def _parallels(self, count: int) -> Iterator[Session]:
        return self._plain(
            count, self.research, "parallel", lambda number: f"parallel:discord:{self._number(800_000_000_000, number)}", turns=4
        )

    def _others(self, count: int) -> Iterator[Session]:
        return self._plain(count, self.front, "other", lambda _: f"dashboard:{self.dice.uuid()}", turns=4)

    def _plain(self, count: int, agent: str, kind: str, rest: Callable[[int], str], *, turns: int = 1, **more: object) -> Iterator[Session]:
        for number in range(count):
            created = self.dice.waking_time(self.window.start_ms, self.window.now_ms - HOUR_MS)
            many = turns + self.dice.below(turns)
            yield self.make(agent, rest(number), kind=kind, created_ms=created, last_ms=self.burst_end(created, many), turns=many, **more)  # type: ignore[arg-type]
