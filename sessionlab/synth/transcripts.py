"""Transcripts as pi's session format version 3 has them: one JSON object per line, the header first.

Lines are put together from text, because a benchmark folder needs a million of them in a minute; the only strings that come from outside
(the salad) are escaped already. Whoever writes a line counts it, so that the totals are true by construction.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from sessionlab.synth.catalogue import MODELS, TOOLS, Salad
from sessionlab.synth.dice import SECOND_MS, Dice, iso
from sessionlab.synth.session import Session
from sessionlab.synth.truth import ModelUsage, Tally, Tokens
from sessionlab.synth.usage import Usage, cost_microusd, draw_usage, usage_json

_TURN_BYTES, _TOOL_STEP_BYTES = 790, 860  # what a turn and a tool call need without their texts
_OVERDRAFT_BYTES: Final = 800  # a turn may cost so much more than its share; later turns then say less
_BYTES_PER_TURN: Final = 2_400
_GROWN: Final = 6  # so many times the mean has the session that grows all the time
_NO_USAGE: Final = Usage(0, 0, 0, 0)
_FREE: Final = (0, 0, 0, 0)


class Line(NamedTuple):
    """One written line and what it counts for."""

    text: str
    time_ms: int
    type: str
    role: str | None
    model: str | None
    usage: Usage
    cost: int


class Transcript(NamedTuple):
    """A finished transcript: its bytes, its totals, its lines when they were asked for, and the 1-based lines of its flaws."""

    data: bytes
    tally: Tally
    lines: list[Line]
    flaw_lines: dict[str, int]


class TranscriptWriter:
    """Writes one transcript, event by event.

    Args:
        session: The plan to follow.
        dice: Chance of this transcript alone, so that one transcript never changes another.
        salad: The text pool.
        mean_bytes: Mean size of a transcript, or `None` for a realistic one that follows the planned turns.
    """

    def __init__(self, session: Session, dice: Dice, salad: Salad, *, mean_bytes: int | None) -> None:
        self._session, self._dice, self._salad = session, dice, salad
        self._turns = session.turns
        self._target_bytes = 900 + int(session.turns * 1_100 * (0.6 + 0.8 * dice.random()))
        if mean_bytes is not None:
            self._target_bytes = int(mean_bytes * (0.4 + 1.2 * dice.random()) * (_GROWN if session.rhythm == "growing" else 1))
            self._turns = max(3 if session.flaws else 1, self._target_bytes // _BYTES_PER_TURN)
        self._step_ms = dice.between(2 * SECOND_MS, 8 * SECOND_MS)
        self._now_ms = session.created_ms
        self._parts: list[str] = []
        self._bytes = 0
        self._parent = "null"
        self._kept: list[Line] = []
        self._keeps = "fork_parent" in session.flaws
        self._tally = Tally(files=1)
        self._flaw_lines: dict[str, int] = {}

    def write(self, *, cwd: str, parent_path: str | None = None, copied: list[Line] | None = None) -> Transcript:
        """Return the transcript; a fork names its parent's file and begins with `copied`, the parent's own lines."""
        session = self._session
        forked = f',"parentSession":"{parent_path}"' if parent_path is not None else ""
        self._put(
            f'{{"type":"session","version":3,"id":"{session.session_id}","timestamp":"{iso(session.created_ms)}","cwd":"{cwd}"{forked}}}',
            "session",
        )
        if copied:
            self._copy(copied)
        else:
            self._begin(session.first_model)
        starts = self._turn_times()
        ending_turn = self._turns - 1
        for turn, start_ms in enumerate(starts):
            if session.first_model != session.model and turn == self._turns // 2:
                self._begin(session.model, again=True)
            if (
                session.compactions
                and turn
                and turn * (session.compactions + 1) // self._turns != (turn - 1) * (session.compactions + 1) // self._turns
            ):
                self._compact()
            self._now_ms = max(self._now_ms, start_ms)
            self._turn(turn, is_last=turn == ending_turn)
        if "unfinished" in session.flaws:
            self._flaw_lines["unfinished_line"] = len(self._parts) + 1
            self._tally.unfinished_lines += 1
            self._parts.append(
                f'{{"type":"message","id":"{self._dice.hex_id()}","parentId":{self._parent},"timestamp":"{iso(session.last_ms)}","mess'
            )
        else:
            self._parts.append("")
        data = "\n".join(self._parts).encode()
        self._tally.bytes = len(data)
        return Transcript(data, self._tally, self._kept, self._flaw_lines)

    def _turn_times(self) -> list[int]:
        """Return when each turn begins, ascending, in the rhythm of the session."""
        session, dice = self._session, self._dice
        low, high = session.created_ms + 2 * SECOND_MS, max(session.created_ms + 3 * SECOND_MS, session.last_ms - 4 * self._step_ms)
        if session.rhythm == "burst":
            times = [low + int(dice.random() * (high - low)) for _ in range(self._turns)]
        elif session.rhythm == "spread":
            times = [dice.waking_time(low, high) for _ in range(self._turns)]
        else:  # the later of two draws: twice as many turns in the second half as a steady group would have
            times = [max(dice.waking_time(low, high), dice.waking_time(low, high)) for _ in range(self._turns)]
        times.sort()
        times[0] = low
        return times

    def _context(self, turn: int) -> int:
        """Return how many tokens the prompt of a turn holds: it climbs, and falls at each compaction."""
        parts = self._session.compactions + 1
        part = turn * parts // self._turns
        last = self._session.usage
        top = last.cache_read + last.cache_write if part == parts - 1 else 60_000
        return 9_000 + max(0, top - 9_000) * (turn * parts - part * self._turns + 1) // (self._turns + 1)

    def _begin(self, model_number: int, *, again: bool = False) -> None:
        model = MODELS[model_number]
        self._event("model_change", f'"provider":"{model.provider}","modelId":"{model.name}"')
        if not again:
            self._event("thinking_level_change", f'"thinkingLevel":"{self._dice.pick(("off", "low", "low", "medium"))}"')
        self._event(
            "custom",
            f'"customType":"model-snapshot","data":{{"timestamp":{self._now_ms},"provider":"{model.provider}",'
            f'"modelApi":"{model.api}","modelId":"{model.name}"}}',
        )

    def _compact(self) -> None:
        dice = self._dice
        self._event(
            "compaction",
            f'"summary":"{self._salad.cut(dice, dice.between(200, 600))}","firstKeptEntryId":{self._parent},'
            f'"tokensBefore":{dice.between(48_000, 62_000)},'
            f'"details":{{"readFiles":[],"modifiedFiles":[]}},"fromHook":false',
        )

    def _turn(self, turn: int, *, is_last: bool) -> None:
        """Write a question, perhaps some tool calls, and the answer."""
        session, dice, salad = self._session, self._dice, self._salad
        number = session.model if turn >= self._turns // 2 else session.first_model
        left = max(0, self._target_bytes - self._bytes) // (self._turns - turn)
        steps = 0
        while steps < 3 and dice.chance(0.45) and left + _OVERDRAFT_BYTES > _TURN_BYTES + (steps + 1) * _TOOL_STEP_BYTES:
            steps += 1
        text_bytes = max(60, left - _TURN_BYTES - steps * _TOOL_STEP_BYTES)
        self._user(salad.cut(dice, text_bytes * (7 if steps else 25) // 100))
        context = self._context(turn)
        for _ in range(steps):
            self._tool_step(number, draw_usage(dice, number, context), text_bytes * 60 // 100 // steps)
            context += 400
        middle = turn == self._turns // 2
        text = salad.cut(dice, text_bytes * (33 if steps else 70) // 100)
        if is_last:
            self._now_ms = session.last_ms - self._step_ms
            self._assistant(number, session.usage, f'{{"type":"text","text":"{text}"}}', is_last=True)
            return
        failed = dice.chance(0.012) and not session.flaws
        self._assistant(
            number,
            draw_usage(dice, number, context),
            "" if failed else f'{{"type":"text","text":"{text}"}}',
            stop="error" if failed else "stop",
            flaw="bad_line" if middle and "bad_line" in session.flaws else "no_cost" if middle and "no_cost" in session.flaws else "",
        )
        model = MODELS[number]
        if failed:
            self._event(
                "custom",
                f'"customType":"openclaw:prompt-error","data":{{"timestamp":{self._now_ms},"provider":"{model.provider}",'
                f'"model":"{model.name}","api":"{model.api}","error":"503 upstream overloaded"}}',
            )
        elif session.channel is not None and dice.chance(0.06):
            self._mirror(text[:200] if "\\" not in text else salad.words(dice, 8))
        elif model.provider == "anthropic" and dice.chance(0.12):
            self._event(
                "custom",
                f'"customType":"openclaw.cache-ttl","data":{{"timestamp":{self._now_ms},"provider":"{model.provider}",'
                f'"modelId":"{model.name}"}}',
            )

    def _tool_step(self, number: int, usage: Usage, text_bytes: int) -> None:
        dice, salad = self._dice, self._salad
        tool, call = dice.pick(TOOLS), f"toolu_{dice.bits(64):016x}"
        thought = (
            f'{{"type":"thinking","thinking":"{salad.cut(dice, 60)}","thinkingSignature":"sig_{dice.hex_id()}"}},'
            if dice.chance(0.3)
            else ""
        )
        arguments = f'{{"path":"{salad.words(dice, 1)}.md","query":"{salad.words(dice, 3)}"}}'
        self._assistant(
            number, usage, f'{thought}{{"type":"toolCall","id":"{call}","name":"{tool}","arguments":{arguments}}}', stop="toolUse"
        )
        failed = dice.chance(0.05)
        self._tally.tool_errors += failed
        self._message(
            "toolResult",
            f'"toolCallId":"{call}","toolName":"{tool}","content":[{{"type":"text","text":"{salad.cut(dice, text_bytes)}"}}],'
            f'"isError":{"true" if failed else "false"}',
        )

    def _user(self, text: str) -> None:
        self._message("user", f'"content":[{{"type":"text","text":"{text}"}}]')

    def _assistant(self, number: int, usage: Usage, content: str, *, stop: str = "stop", flaw: str = "", is_last: bool = False) -> None:
        model = MODELS[number]
        costs = cost_microusd(number, usage)
        body = usage_json(usage, None if flaw == "no_cost" else costs)
        error = ',"errorMessage":"503 upstream overloaded"' if stop == "error" else ""
        self._message(
            "assistant",
            f'"content":[{content}],"api":"{model.api}","provider":"{model.provider}","model":"{model.name}","usage":{body},"stopReason":"{stop}"{error}',
            model=f"{model.provider}/{model.name}",
            usage=usage,
            cost=0 if flaw == "no_cost" else sum(costs),
            flaw=flaw,
            time_ms=self._session.last_ms if is_last else None,
        )

    def _mirror(self, text: str) -> None:
        """Write the copy of a message that was delivered elsewhere: no model was asked, so it has no usage."""
        self._tally.mirrors += 1
        self._message(
            "assistant",
            f'"content":[{{"type":"text","text":"{text}"}}],"api":"openai-responses","provider":"openclaw",'
            f'"model":"delivery-mirror","usage":{usage_json(_NO_USAGE, _FREE)},"stopReason":"stop"',
        )

    def _message(
        self,
        role: str,
        body: str,
        *,
        model: str | None = None,
        usage: Usage = _NO_USAGE,
        cost: int = 0,
        flaw: str = "",
        time_ms: int | None = None,
    ) -> None:
        written_ms = self._now_ms + self._dice.below(self._step_ms) if time_ms is None else time_ms
        self._event(
            "message",
            f'"message":{{"role":"{role}",{body},"timestamp":{self._now_ms}}}',
            role=role,
            model=model,
            usage=usage,
            cost=cost,
            flaw=flaw,
            time_ms=written_ms,
        )

    def _event(
        self,
        kind: str,
        body: str,
        *,
        role: str | None = None,
        model: str | None = None,
        usage: Usage = _NO_USAGE,
        cost: int = 0,
        flaw: str = "",
        time_ms: int | None = None,
    ) -> None:
        """Append one event after the last one; nothing but the final answer is later than one step before the end."""
        if time_ms is None:
            time_ms = self._now_ms + self._dice.below(400)
        if time_ms != self._session.last_ms:
            time_ms = min(time_ms, self._session.last_ms - self._step_ms)
        identity = self._dice.hex_id()
        text = f'{{"type":"{kind}","id":"{identity}","parentId":{self._parent},"timestamp":"{iso(time_ms)}",{body}}}'
        self._parent = f'"{identity}"'
        self._now_ms = time_ms + 1
        if flaw == "bad_line":
            self._parts.append(text[: len(text) * 3 // 5])
            self._tally.bad_lines += 1
            self._flaw_lines["bad_line"] = len(self._parts)
            return
        if flaw == "no_cost":
            self._flaw_lines["no_cost"] = len(self._parts) + 1
            self._tally.calls_without_cost += 1
        self._put(text, kind, role=role, model=model, usage=usage, cost=cost, time_ms=time_ms)

    def _put(
        self,
        text: str,
        kind: str,
        *,
        role: str | None = None,
        model: str | None = None,
        usage: Usage = _NO_USAGE,
        cost: int = 0,
        time_ms: int = 0,
        copied: bool = False,
    ) -> None:
        """Append a whole line and count it."""
        self._parts.append(text)
        self._bytes += len(text) + 1
        tally = self._tally
        tally.events += 1
        tally.by_type[kind] = tally.by_type.get(kind, 0) + 1
        tally.copied_events += copied
        if role is not None:
            tally.by_role[role] = tally.by_role.get(role, 0) + 1
        if model is not None:
            for tokens in self._accounts(model, copied=copied):
                tokens.input += usage.input
                tokens.output += usage.output
                tokens.cache_read += usage.cache_read
                tokens.cache_write += usage.cache_write
                tokens.total += usage.input + usage.output + usage.cache_read + usage.cache_write
                tokens.cost_microusd += cost
        if self._keeps:
            self._kept.append(Line(text, time_ms, kind, role, model, usage, cost))

    def _accounts(self, model: str, *, copied: bool) -> tuple[Tokens, ...]:
        """Return the counts that a call goes into: a copied one only into the naive total."""
        tally = self._tally
        if copied:
            tally.copied_calls += 1
            return (tally.naive_usage,)
        tally.calls += 1
        share = tally.by_model.get(model)
        if share is None:
            share = tally.by_model[model] = ModelUsage()
        share.calls += 1
        return tally.usage, tally.naive_usage, share.tokens

    def _copy(self, lines: list[Line]) -> None:
        for line in lines:
            # Salad has its quotes escaped, so these two can only be the fields themselves.
            self._tally.mirrors += '"model":"delivery-mirror"' in line.text
            self._tally.tool_errors += '"isError":true' in line.text
            self._put(
                line.text, line.type, role=line.role, model=line.model, usage=line.usage, cost=line.cost, time_ms=line.time_ms, copied=True
            )
            identity = line.text.split('"id":"', 1)[1][:8]
            self._parent = f'"{identity}"'
