"""What a day of parallel sessions shows, in sentences: its frames in, Markdown out. Every number is counted, none is promised."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from sessionlab.lab.findings.words import count, listing, name, percent
from sessionlab.lab.parallel_notes import lines_of
from sessionlab.lab.what_if_policy import shown_duration
from sessionlab.parallel.process_memory import MOST_KNOWLEDGE, MOST_MEMORIES
from sessionlab.units import format_count, format_ms_utc

if TYPE_CHECKING:
    import pandas as pd

    from sessionlab.lab.parallel_day import LivedDay
    from sessionlab.lab.parallel_own import Own
    from sessionlab.lab.parallel_restart import Restart
    from sessionlab.settings import ParallelSessionsSettings

_ISOLATION: Final = {
    "main": "One session for everything",
    "per-channel": "One session for each channel",
    "per-chat": "One session for each chat of a channel",
    "per-peer": "One session for each person across all channels",
}


def rules(settings: ParallelSessionsSettings) -> str:
    """Say what the settings come to."""
    memory, briefing = settings.memory, settings.briefing
    idle = f"idle after {_duration(settings.idle_timeout_ms)}" if settings.enabled else "never idle, for it is not enabled"
    ttl = f", for {_duration(memory.default_ttl_ms)} where they have no end of their own" if memory.default_ttl_ms else ""
    where = "in the process alone" if memory.backend == "memory" else f"in SQLite {'with' if memory.enable_wal else 'without'} WAL"
    told = "Briefings are switched off."
    if briefing.enabled:
        told = (
            f"A briefing has at most {count(briefing.max_channel_memories, 'memory', 'memories')} of the channel, from importance "
            f"{briefing.min_importance} on, and at most {briefing.max_global_knowledge} of what all channels know, from confidence "
            f"{briefing.min_confidence:g} on."
        )
    return (
        f"{_ISOLATION[settings.isolation]}, at most {settings.max_concurrent} of them active, {idle}. Memories are kept {where}{ttl}; from "
        f"importance {memory.auto_promote_threshold} on all channels get to know. {told}"
    )


def verdict(lived: LivedDay) -> str:
    """Say whether the day kept what parallel sessions promise: the limit, what was acknowledged, and the sessions."""
    return "\n".join(f"- {sentence}" for sentence in (_limit(lived), _kept(lived), _known(lived)))


def _limit(lived: LivedDay) -> str:
    limit = lived.settings.max_concurrent
    counted = f"counted {count(lived.looks, 'time')}, after each message and each look for idle ones"
    if lived.most_active > limit:
        return f"**Above the limit**: {lived.most_active} sessions were active at once, of at most {limit}."
    if not lived.is_as_told:
        return f"**The manager's counts are not those of its events**: {counted}."
    return f"**Never above the limit**: of {limit} places for active sessions never more than {lived.most_active} were taken, {counted}."


def _kept(lived: LivedDay) -> str:
    fates = lived.notes["fate"].value_counts().to_dict()
    acknowledged = len(lived.notes) - int(fates.get("left out by autoSave", 0))
    promoted = int(lived.notes["is_promoted"].sum())
    unknown = promoted - int(lived.notes["is_known"].sum())
    kept, expired = (int(fates.get(fate, 0)) for fate in ("kept", "removed when expired"))
    of = f"of {count(acknowledged, 'memory', 'memories')} acknowledged"
    if lived.settings.memory.backend == "memory":
        dropped = int(fates.get("dropped with the process", 0))
        return f"**Kept in the process alone**: {of}, {format_count(dropped)} are gone, dropped by the cap or forgotten in the restart."
    if lost := int(fates.get("lost", 0)):
        return f"**Lost**: {of}, {format_count(lost)} are not in the database as they were acknowledged."
    if unknown:
        return f"**Lost**: of {format_count(promoted)} promoted memories, {format_count(unknown)} are not known to all channels."
    return (
        f"**Nothing acknowledged is lost**: {of}, {format_count(kept)} are in the database word for word and {format_count(expired)} were "
        f"removed when their time was over; each of the {format_count(promoted)} promoted ones is known to all channels."
    )


def _known(lived: LivedDay) -> str:
    sessions = lived.sessions
    if lived.settings.memory.backend == "memory":
        return f"**Known until the process ends**: {count(len(sessions), 'session')} without a database to sleep in."
    is_gone = (sessions["found"] < 0) & (sessions["counted"] == 0)  # it had never slept when the manager died, and nobody wrote again
    other = sessions[(sessions["found"] != sessions["counted"]) & ~is_gone]
    if len(other):
        return f"**Not known as they were**: {count(len(other), 'session')} of {len(sessions)}, such as {name(other['session'].iloc[0])}."
    total, counted = int(sessions["messages"].sum()), int(sessions["counted"].sum())
    known = f"a manager that begins after the day knows {count(int((~is_gone).sum()), 'session')} of {len(sessions)}, with"
    if total == counted:
        return f"**Every session is known**: {known} all {count(counted, 'message')} between them."
    return (
        f"**Known but for what a crash took**: {known} {count(counted, 'message')} between them; {format_count(total - counted)} came "
        f"after their session had last slept and before the manager died."
    )


def standing(lived: LivedDay) -> str:
    """Say how often sessions had to sleep, and how often they were woken."""
    ends = lived.stretches["to_ms"].max()
    asleep = lived.stretches[lived.stretches["standing"] == "hibernated"]
    idle = lived.stretches[lived.stretches["standing"] == "idle"]
    full = lived.changes["active"] >= lived.settings.max_concurrent
    lengths = lived.changes["at_ms"].shift(-1, fill_value=lived.changes["at_ms"].iloc[-1]) - lived.changes["at_ms"]
    share = percent(int(lengths[full].sum()), int(lengths.sum()))
    woken = int((asleep["to_ms"] < ends).sum())
    return (
        f"Sessions were put to sleep {count(len(asleep), 'time')} before the day was over and woken {count(woken, 'time')}; they became "
        f"idle {count(len(idle), 'time')}. All places were taken for {share} of the day."
    )


def remembered(lived: LivedDay) -> str:
    """Say how far what is in the process and what is in the database part."""
    growth = lived.growth
    last = growth.iloc[-1]
    most, most_known = int(growth["in_process"].max()), int(growth["known_in_process"].max())
    full = [f"{MOST_MEMORIES} memories"] if most >= MOST_MEMORIES else []
    full += [f"{MOST_KNOWLEDGE} entries that all channels know"] if most_known >= MOST_KNOWLEDGE else []
    words = f"reached its cap of {listing(full)}" if full else "reached no cap"
    acknowledged = count(int(last["acknowledged"]), "memory was", "memories were")
    in_process = f"the process {format_count(int(last['in_process']))}"
    where = f"the database holds {format_count(int(last['stored']))} and {in_process}"
    if lived.settings.memory.backend == "memory":
        where = f"the process holds {format_count(int(last['in_process']))}, and nothing else does"
    return (
        f"{acknowledged} acknowledged, {format_count(int(last['promoted']))} of them promoted; {format_count(int(last['expired']))} "
        f"expired within the day. At its end {where}; in the day the process {words}."
    )


def shared(lived: LivedDay) -> str:
    """Say how much of what a channel learned was told on others."""
    read = int((lived.briefings["block"] == "").sum())
    known = lived.briefings[lived.briefings["block"] == "global"]
    promoted = int(lived.notes["is_promoted"].sum())
    if not read or known.empty:
        words = count(promoted, "memory was", "memories were")
        return f"In {count(read, 'briefing')} nothing was told that all channels know; {words} promoted."
    elsewhere = known[known["source"] != known["channel"]]["content"].nunique()
    told = known["content"].nunique()
    part = "all" if elsewhere == told else format_count(elsewhere)
    return (
        f"{count(read, 'briefing')} were read, each when a session began, woke or was idle no more. Of {format_count(promoted)} promoted "
        f"memories {format_count(told)} were told, {part} of them on other channels, too; "
        f"{format_count(promoted - told)} never had a place among the {lived.settings.briefing.max_global_knowledge} most certain."
    )


def briefing(lived: LivedDay, key: str) -> str:
    """Show what a session would be told after the day, and how much more there is."""
    text = lived.told[key]
    if not text:
        return f"{name(key)} would be told nothing."
    lines = lines_of(text)
    own = sum(line.block == "channel" for line in lines)
    notes: pd.DataFrame = lived.notes
    holding = format_count(int(((notes["fate"] == "kept") & ~notes["is_expired"]).sum()))
    known = format_count(int((notes["is_promoted"] & notes["is_known"]).sum()))
    return (
        f"{name(key)} would be told {count(len(lines), 'line')}: {own} of its channel, and {len(lines) - own} of the {known} that all "
        f"channels know. In all channels together {holding} memories hold.\n\n```md\n{text}\n```"
    )


def restart(found: Restart | None) -> str:
    """Say what a restart in the middle of the day kept."""
    if found is None:
        return "The manager was not started anew."
    sessions = found.sessions
    again = sessions[sessions["after"] == "known again"]
    same = int(sessions["is_briefing_equal"].sum())
    counts = int((again["messages_before"] == again["messages_after"]).sum())
    new = sessions[sessions["after"] == "new"]
    lost = f" {count(len(new), 'session')} that never slept would begin anew." if len(new) else ""
    how = "died" if found.is_crash else "was shut down"
    memories = _of(found.after.total_memories, found.before.total_memories)
    knowledge = _of(found.after.global_knowledge_count, found.before.global_knowledge_count)
    in_process = _of(found.after.memories_in_process, found.before.memories_in_process)
    return (
        f"At {format_ms_utc(found.at_ms)} the manager {how}. **{len(again)} of {count(len(sessions), 'session')} are known again** when "
        f"they are written to, {counts} of them with all their messages, and {same} are told the same as before.{lost} There are "
        f"{memories} memories and {knowledge} entries that all channels know; the new process begins with {in_process} memories."
    )


def _duration(ms: int) -> str:
    """Write a duration exactly, minutes so that they are not taken for metres: `5 min`."""
    return re.sub(r" m$", " min", shown_duration(ms))


def _of(part: int, whole: int) -> str:
    return f"{format_count(part)} of {format_count(whole)}"


def own(found: Own | None) -> str:
    """Say what a shared memory of the reader's own holds, in numbers."""
    if found is None:
        return "None was named. `own_memory_path` takes a `shared-memory.db` or a state folder, and is only counted, on a private copy."
    return (
        f"{count(found.memories, 'memory', 'memories')}, {format_count(found.expired)} of them expired; "
        f"{count(found.knowledge, 'entry', 'entries')} that all channels know; {count(found.sessions, 'session')} asleep. It was only read."
    )
