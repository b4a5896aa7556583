"""Session entries as OpenClaw 2026.3 writes them: the JSON value of one session key, fields in that program's order.

The two big fields, `skillsSnapshot` and `systemPromptReport`, are filled until the entry has the size that was asked for. A snapshot is
shared by all sessions of an agent in a week, as in real stores, where the same snapshot lies a thousand times.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from sessionlab.synth.catalogue import MODELS, TOOLS, WORDS, WORKSPACE_FILES, Salad
from sessionlab.synth.dice import DAY_MS, SECOND_MS, Dice
from sessionlab.synth.session import Session
from sessionlab.synth.usage import cost_microusd

HOME: Final = "/home/claw/.openclaw"
"""The state folder's path on the invented machine that "wrote" the files."""

_WEEK_MS: Final = 7 * DAY_MS
_FILE_BYTES, _TOOL_BYTES, _SKILL_BYTES, _REPORT_BYTES = (
    236,
    152,
    910,
    1_150,
)  # sizes in the indented file, measured on what this module writes


class EntryWriter:
    """Makes the entries of one folder.

    Args:
        dice: Chance for sizes and counters.
        salad: The text pool.
        now_ms: The end of the history.
        entry_bytes: Mean size of an entry in the file, or `None` for realistic sizes (1 to 6 KB, some 20 KB).
    """

    def __init__(self, dice: Dice, salad: Salad, *, now_ms: int, entry_bytes: int | None) -> None:
        self._dice, self._salad, self._now_ms, self._entry_bytes = dice, salad, now_ms, entry_bytes
        self._carried_bytes = self._wanted_bytes = 0
        self._snapshots: dict[tuple[str, int, int], msgspec.Raw] = {}
        most_bytes = 24_000 if entry_bytes is None else entry_bytes * 3 // 2
        self._skills = [self._draw_skill(number) for number in range(most_bytes // 700 + 4)]

    def text(self, session: Session) -> bytes:
        """Return `"key": {...}` as it lies in the file, indented by two spaces, without comma and line end."""
        document = {session.key: self.entry(session)}
        text = msgspec.json.format(msgspec.json.encode(document), indent=2)[2:-2]
        if self._entry_bytes is not None and "legacy" not in session.flaws:
            self._carried_bytes = max(-self._entry_bytes, min(self._entry_bytes, self._wanted_bytes - len(text)))
        return text

    def entry(self, session: Session) -> dict[str, Any]:
        """Return the entry of one session; the big fields are ready-made JSON."""
        if "legacy" in session.flaws:
            return self._legacy_entry(session)
        dice, model = self._dice, MODELS[session.model]
        entry: dict[str, Any] = {"sessionId": session.session_id}
        if "no_updated_at" not in session.flaws:
            entry["updatedAt"] = self._now_ms + 3 * DAY_MS if "future" in session.flaws else session.last_ms
        if dice.chance(0.15):
            entry["sessionStartedAt"] = session.created_ms
        entry |= {"systemSent": True, "abortedLastRun": dice.chance(0.02)}
        if session.spawned_by is not None:
            entry |= {"spawnedBy": session.spawned_by, "spawnDepth": session.spawn_depth}
        if session.parent_key is not None:
            entry |= {"parentSessionKey": session.parent_key, "forkedFromParent": True}
        if session.channel is not None:
            entry |= self._routing(session)
        elif session.title:
            entry["label"] = session.title
        entry |= self._run_state(session)
        if dice.chance(0.12):
            entry[dice.pick(("thinkingLevel", "reasoningLevel", "verboseLevel"))] = dice.pick(("off", "low", "on", "high"))
        if session.first_model != session.model:
            entry |= {"providerOverride": model.provider, "modelOverride": model.name}
        entry |= self._counters(session)
        self._fill(entry, session)
        if session.kind == "acp":
            entry["acp"] = {
                "backend": "acpx",
                "agent": "codex",
                "runtimeSessionName": f"{session.agent}-{session.session_id[:8]}",
                "mode": "persistent",
                "runtimeOptions": {"model": model.name, "cwd": workspace(session.agent)},
                "cwd": workspace(session.agent),
                "state": "idle",
                "lastActivityAt": session.last_ms,
            }
        entry["sessionFile"] = transcript_path(session)
        return entry

    def _counters(self, session: Session) -> dict[str, Any]:
        """Return the model and what its last call used."""
        dice, model = self._dice, MODELS[session.model]
        usage = session.usage
        counters: dict[str, Any] = {
            "modelProvider": model.provider,
            "model": model.name,
            "contextTokens": model.context_tokens,
            "inputTokens": usage.input,
            "outputTokens": usage.output,
            "cacheRead": usage.cache_read,
            "cacheWrite": usage.cache_write,
            "totalTokens": usage.input + usage.cache_read + usage.cache_write,
            "totalTokensFresh": dice.chance(0.95),
            "estimatedCostUsd": _dollars(sum(cost_microusd(session.model, usage))),
            "compactionCount": session.compactions,
        }
        if session.compactions:
            counters |= {"memoryFlushAt": session.last_ms - 5 * SECOND_MS, "memoryFlushCompactionCount": session.compactions - 1}
        return counters

    def _run_state(self, session: Session) -> dict[str, Any]:
        """Return how a subagent's run went; other sessions have no run of their own."""
        if session.kind != "subagent":
            return {}
        return {
            "status": "failed" if self._dice.chance(0.08) else "done",
            "startedAt": session.created_ms,
            "endedAt": session.last_ms,
            "runtimeMs": session.last_ms - session.created_ms,
        }

    def _legacy_entry(self, session: Session) -> dict[str, Any]:
        """Return an entry with the field names of before 2026.2."""
        return {
            "sessionId": session.session_id,
            "updatedAt": session.last_ms,
            "chatType": session.chat_type,
            "provider": session.channel,
            "lastProvider": session.channel,
            "lastTo": f"{session.channel}:{session.peer}",
            "room": "#general",
            "totalTokens": session.usage.input + session.usage.cache_read + session.usage.cache_write,
            "model": MODELS[session.model].name,
            "modelProvider": MODELS[session.model].provider,
        }

    def _routing(self, session: Session) -> dict[str, Any]:
        """Return who is talked to and where an answer goes."""
        channel, peer, kind, thread = session.channel, session.peer, session.chat_type, session.thread_id
        fields: dict[str, Any] = {"chatType": kind, "channel": channel}
        if kind != "direct":
            fields["groupId"] = f"{peer}:topic:{thread}" if channel == "telegram" and thread is not None else peer
            fields |= {"groupChannel": f"#{session.title}"} if kind == "channel" else {"subject": session.title}
        address = f"telegram:{peer}" if channel == "telegram" else f"channel:{peer}" if kind == "channel" else peer
        fields["origin"] = {
            "label": session.title or "webchat",
            "provider": channel,
            "surface": channel,
            "chatType": kind,
            "from": address,
            "to": address,
            "accountId": session.account,
        }
        route: dict[str, Any] = {"channel": channel, "to": address, "accountId": session.account}
        fields["deliveryContext"] = route | ({} if thread is None else {"threadId": thread})
        fields |= {"lastChannel": channel, "lastTo": address, "lastAccountId": session.account}
        if thread is not None:
            fields["lastThreadId"] = thread
        if kind != "direct":
            fields["displayName"] = f"{channel}:#{session.title}" if kind == "channel" else f"{channel}:g-{session.title.replace(' ', '-')}"
        return fields

    def _fill(self, entry: dict[str, Any], session: Session) -> None:
        """Add the two big fields, as big as the entry's size asks for."""
        dice = self._dice
        if self._entry_bytes is not None:
            self._wanted_bytes = self._entry_bytes * dice.between(80, 120) // 100 + self._carried_bytes
        elif session.size_class == "small":
            return
        elif session.size_class == "large":
            self._wanted_bytes = dice.between(18_000, 24_000)
        else:
            self._wanted_bytes = 2_900 + dice.skewed(0, 4_600)
        free = self._wanted_bytes - (1_950 if session.channel is not None else 1_150)
        if free < _REPORT_BYTES:
            return
        free -= _REPORT_BYTES
        files = min(len(WORKSPACE_FILES), max(1, free // 5 // _FILE_BYTES))
        tools = min(len(TOOLS), max(1, free // 5 // _TOOL_BYTES))
        skills = max(0, free - files * _FILE_BYTES - tools * _TOOL_BYTES + _SKILL_BYTES // 2) // _SKILL_BYTES
        skills = min(skills, len(self._skills))
        entry["skillsSnapshot"] = self._snapshot(session.agent, session.last_ms // _WEEK_MS, skills)
        entry["systemPromptReport"] = self._report(session, files=files, tools=tools, skills=skills)

    def _draw_skill(self, number: int) -> tuple[str, str, str]:
        """Return (name, description, other description); the second is what some weeks' snapshots say."""
        dice = self._dice
        name = f"{dice.pick(WORDS)}-{dice.pick(WORDS)}-{number}"
        return name, self._salad.words(dice, dice.between(10, 28)), self._salad.words(dice, dice.between(10, 28))

    def _snapshot(self, agent: str, week: int, count: int) -> msgspec.Raw:
        """Return the skills of an agent in a week."""
        known = self._snapshots.get((agent, week, count))
        if known is not None:
            return known
        base = f"{HOME}/skills"
        shown = [(name, other if (week + number) % 5 == 0 else text) for number, (name, text, other) in enumerate(self._skills[:count])]
        blocks = [
            f"  <skill>\n    <name>{name}</name>\n    <description>{text}</description>\n"
            f"    <location>{base}/{name}/SKILL.md</location>\n  </skill>"
            for name, text in shown
        ]
        document = {
            "prompt": "\n".join(("Skills that this agent may use:", "", "<available_skills>", *blocks, "</available_skills>")),
            "skills": [
                {"name": name, "primaryEnv": f"KEY_{number}"} if number % 6 == 5 else {"name": name}
                for number, (name, _) in enumerate(shown)
            ],
            "resolvedSkills": [
                {
                    "name": name,
                    "description": text,
                    "filePath": f"{base}/{name}/SKILL.md",
                    "baseDir": f"{base}/{name}",
                    "source": "openclaw-managed",
                    "disableModelInvocation": False,
                }
                for name, text in shown
            ],
            "version": week * _WEEK_MS,
        }
        made = self._snapshots[agent, week, count] = msgspec.Raw(msgspec.json.encode(document))
        return made

    def _report(self, session: Session, *, files: int, tools: int, skills: int) -> dict[str, Any]:
        """Return what OpenClaw notes about the system prompt of the last run."""
        dice, model = self._dice, MODELS[session.model]
        project = dice.between(9_000, 24_000)
        other = dice.between(14_000, 30_000)
        injected = []
        for name in WORKSPACE_FILES[:files]:
            chars = dice.between(400, 9_000)
            injected.append(
                {
                    "name": name,
                    "path": f"{workspace(session.agent)}/{name}",
                    "missing": False,
                    "rawChars": chars,
                    "injectedChars": chars,
                    "truncated": False,
                }
            )
        return {
            "source": "run",
            "generatedAt": session.last_ms,
            "sessionId": session.session_id,
            "sessionKey": session.key,
            "provider": model.provider,
            "model": model.name,
            "workspaceDir": workspace(session.agent),
            "bootstrapMaxChars": 20_000,
            "bootstrapTotalMaxChars": 150_000,
            "sandbox": {"mode": "off", "sandboxed": False},
            "systemPrompt": {"chars": project + other, "projectContextChars": project, "nonProjectContextChars": other},
            "injectedWorkspaceFiles": injected,
            "skills": {
                "promptChars": 120 + 240 * skills,
                "entries": [{"name": name, "blockChars": dice.between(180, 420)} for name, _, _ in self._skills[:skills]],
            },
            "tools": {
                "listChars": 140 * tools,
                "schemaChars": 1_700 * tools,
                "entries": [
                    {
                        "name": name,
                        "summaryChars": dice.between(40, 800),
                        "schemaChars": dice.between(300, 3_900),
                        "propertiesCount": dice.between(1, 18),
                    }
                    for name in TOOLS[:tools]
                ],
            },
        }


def _dollars(microusd: int) -> int | float:
    """Return dollars with four decimals, whole ones as an integer: JavaScript writes `1`, never `1.0`."""
    hundredths = (microusd + 50) // 100
    return hundredths // 10_000 if hundredths % 10_000 == 0 else hundredths / 10_000


def workspace(agent: str) -> str:
    """Return the folder in which an agent works, on the invented machine."""
    return f"{HOME}/workspace" if agent == "main" else f"{HOME}/workspace-{agent}"


def transcript_path(session: Session) -> str:
    """Return a session's transcript as its entry names it."""
    return f"{HOME}/agents/{session.agent}/sessions/{session.file_name}"
