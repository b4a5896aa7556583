"""What the sessions of a manager remember, who gets to know it, and what they are told (A.6, A.26 to A.39)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from sessionlab.errors import SettingsError, UsageError
from sessionlab.parallel import SharedMemory
from sessionlab.parallel.manager import SessionManager
from sessionlab.settings import ParallelSessionsSettings
from tests.parallel.clock import NOW_MS, Clock
from tests.parallel.managers import Make, either, heard, names


@either
def test_what_is_saved_is_told_and_stored_as_made_now(make: Make, disk: bool) -> None:  # noqa: FBT001
    """A.27."""
    manager = make(disk=disk)
    events = heard(manager)
    key = manager.get_or_create_session("a").session_key
    memory = manager.save_memory(key, "preference", "tea", importance=7)
    assert memory is not None
    assert (memory.created_ms, memory.promoted, memory.channel_id, memory.session_key) == (NOW_MS, False, "a", key)
    assert [event.memory for event in events if event.name == "memory:saved"] == [memory]
    assert manager.search_memory("tea") == ([memory] if manager.memory is None else manager.memory.memories())


@either
def test_everything_is_counted(make: Make, clock: Clock, disk: bool) -> None:  # noqa: FBT001
    """A.26: what is asleep, too."""
    manager = make(disk=disk, maxConcurrent=2, idleTimeoutMs=10_000)
    for channel in "abc":
        manager.get_or_create_session(channel)
    manager.save_memory("s", "fact", "x", importance=9, channel_id="a")
    manager.save_memory("s", "fact", "y", importance=1, channel_id="a")
    clock.now_ms += 10_001
    manager.get_or_create_session("c")
    manager.check_idle()
    found = manager.stats()
    assert (found.total_sessions, found.active_sessions, found.idle_sessions, found.hibernated_sessions) == (3, 1, 1, 1)
    assert (found.total_memories, found.global_knowledge_count) == (2, 1)
    assert [one.channel_id for one in manager.active_sessions()] == ["c"]


@either
def test_important_memories_become_known_to_all(make: Make, disk: bool) -> None:  # noqa: FBT001
    """A.28, A.29, A.30, A.37: 8 by default, and not 7; with a threshold of 5, 5 is half certain, and too little for a briefing."""
    manager = make(disk=disk)
    events = heard(manager)
    key = manager.get_or_create_session("a").session_key
    assert manager.save_memory(key, "decision", "seven", importance=7) is not None
    eight = manager.save_memory(key, "decision", "eight", importance=8)
    assert eight is not None
    assert eight.promoted
    assert names(events)[1:] == ["memory:saved", "memory:saved", "knowledge:promoted"]
    assert events[-1].knowledge is not None
    assert (events[-1].knowledge.category, events[-1].knowledge.confidence, events[-1].knowledge.source_channel) == ("decision", 0.8, "a")
    assert manager.get_or_create_session("b").briefing == "## Global Knowledge\n- [decision] eight"
    if manager.memory is not None:
        assert [one.promoted for one in manager.memory.memories()] == [True, False]
    low = make(disk=disk, memory={"autoPromoteThreshold": 5})
    events = heard(low)
    low.save_memory(low.get_or_create_session("c").session_key, "fact", "five", importance=5)
    assert events[-1].knowledge is not None
    assert events[-1].knowledge.confidence == 0.5
    assert "five" not in low.get_or_create_session("d").briefing


@either
def test_briefing_has_two_blocks_in_order(make: Make, clock: Clock, disk: bool) -> None:  # noqa: FBT001
    """A.11, A.34 to A.36: chats of a channel share what it remembers."""
    manager = make(disk=disk, isolation="per-chat", briefing={"maxChannelMemories": 3})
    one = manager.get_or_create_session("a", chat_id="1")
    assert (one.briefing, manager.briefing("nobody")) == ("", "")
    for importance, content in ((5, "five"), (9, "nine"), (4, "four"), (6, "six\nwith more"), (7, "seven")):
        clock.now_ms += 1
        manager.save_memory(one.session_key, "fact", content, importance=importance)
    manager.save_memory(one.session_key, "fact", "gone", importance=10, expires_ms=clock.now_ms)
    other = manager.get_or_create_session("a", chat_id="2")
    assert other.briefing == (
        "## Channel Context\n- [fact] nine\n- [fact] seven\n- [fact] six\n  with more\n\n## Global Knowledge\n- [fact] gone\n- [fact] nine"
    )
    assert make(disk=disk, briefing={"enabled": False}).get_or_create_session("a").briefing == ""


@either
def test_memories_are_searched(make: Make, disk: bool) -> None:  # noqa: FBT001
    """A.39: not what all channels know."""
    manager = make(disk=disk)
    key = manager.get_or_create_session("a").session_key
    manager.save_memory(key, "fact", "Tea at five", importance=9)
    manager.save_memory("elsewhere", "preference", "no TEA", channel_id="b")
    assert [one.content for one in manager.search_memory("tea")] == ["Tea at five", "no TEA"]
    assert [one.content for one in manager.search_memory("tea", channel_id="b")] == ["no TEA"]
    assert [one.content for one in manager.search_memory("tea", types=["fact"], session_key=key)] == ["Tea at five"]
    assert manager.search_memory("tea", limit=0) == []


@either
def test_505_memories_are_500_in_the_process_and_505_on_disk(make: Make, clock: Clock, disk: bool) -> None:  # noqa: FBT001
    """A.31, A.32, A.33: the least important go first, of those the oldest; of knowledge the least certain."""
    manager = make(disk=disk)
    key = manager.get_or_create_session("a").session_key
    for number in range(505):
        clock.now_ms += 1
        manager.save_memory(key, "fact", str(number), importance=1 if number in (100, 200, 300) else 2)
    for number in range(103):
        clock.now_ms += 1
        manager.save_memory(key, "fact", f"known {number}", importance=9 if number < 4 else 10)
    stats = manager.stats()
    assert (stats.memories_in_process, stats.knowledge_in_process) == (500, 100)
    assert (stats.total_memories, stats.global_knowledge_count) == ((608, 103) if disk else (500, 100))
    left = {one.content for one in manager.recent.memories(now_ms=clock.now_ms)}
    assert not left & {"100", "200", "300", "0", "1", "104"}
    assert {one.content for one in manager.recent.knowledge()} == {f"known {number}" for number in range(3, 103)}


@either
def test_what_may_not_be_stored_changes_nothing(make: Make, disk: bool) -> None:  # noqa: FBT001
    """A.33a."""
    manager = make(disk=disk)
    events = heard(manager)
    key = manager.get_or_create_session("a").session_key
    for wrong in ({"importance": 11}, {"importance": 0}, {"memory_type": "tag"}, {"content": ""}):
        with pytest.raises(UsageError):
            manager.save_memory(key, **({"memory_type": "fact", "content": "x"} | wrong))
    with pytest.raises(UsageError, match="name the channel"):
        manager.save_memory("nobody", "fact", "x")
    assert (manager.stats().total_memories, manager.stats().memories_in_process, names(events)) == (0, 0, ["session:created"])


# -- settings


def test_memories_expire_after_the_configured_time(make: Make, clock: Clock) -> None:
    """A.6: `defaultTTLMs`; 0 is never, and a time of its own wins."""
    manager = make(memory={"defaultTTLMs": 1_000})
    key = manager.get_or_create_session("a").session_key
    manager.save_memory(key, "fact", "by default")
    manager.save_memory(key, "fact", "own time", expires_ms=clock.now_ms + 5_000)
    clock.now_ms += 1_000
    assert [one.content for one in manager.search_memory("")] == ["own time"]
    forever = make().save_memory("s", "fact", "for ever", channel_id="a")
    assert forever is not None
    assert forever.expires_ms is None


@pytest.mark.parametrize(
    ("switch", "sort"), [("summaries", "summary"), ("decisions", "decision"), ("preferences", "preference"), ("actionItems", "action")]
)
def test_what_nobody_asked_for_is_remembered_only_if_its_sort_is(make: Make, switch: str, sort: Any) -> None:
    """A.6: `autoSave`; what somebody asked for always is."""
    manager = make(autoSave={switch: False})
    key = manager.get_or_create_session("a").session_key
    assert manager.save_memory(key, sort, "automatic", is_automatic=True) is None
    assert manager.save_memory(key, sort, "asked for") is not None
    assert manager.save_memory(key, "fact", "a fact", is_automatic=True) is not None
    assert manager.stats().total_memories == 2


def test_what_is_declared_and_not_supported_is_refused(tmp_path: Path) -> None:
    for given, words in (({"memory": {"backend": "lancedb"}}, "lancedb"), ({"workExecutor": {"enabled": True}}, "workExecutor")):
        with pytest.raises(SettingsError, match=words):
            SessionManager(msgspec.convert(given, ParallelSessionsSettings))
    settings = msgspec.convert({"memory": {"backend": "memory"}}, ParallelSessionsSettings)
    with pytest.raises(UsageError, match="takes no database"):
        SessionManager(settings, memory=SharedMemory(tmp_path / "m.db"))


def test_what_is_expired_crowds_out_nothing_in_the_process(make: Make, clock: Clock) -> None:
    """A.31, A.33: the least important goes first, but what is over before it."""
    manager = make(disk=False)
    for number in range(500):
        manager.save_memory("s", "fact", f"over {number}", importance=7, channel_id="c", expires_ms=NOW_MS + 1 + number % 2)
    manager.save_memory("s", "fact", "crowded out", importance=1, channel_id="c")
    assert manager.search_memory("crowded") == []
    clock.now_ms += 1
    manager.save_memory("s", "fact", "stays", importance=1, channel_id="c")
    assert manager.stats().total_memories == 251
    clock.now_ms += 1
    for number in range(249 + 250):
        manager.save_memory("s", "fact", f"stays {number}", importance=1, channel_id="c")
    assert len(manager.search_memory("stays", limit=1_000)) == 500
