"""A simulated day through the real manager and a real database: what is counted, what is said of it, and what is said when it is not so."""

from __future__ import annotations

import dataclasses
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from sessionlab.errors import CorruptStoreError, NoStoreError, UsageError
from sessionlab.lab.figures import parallel_tables as tables
from sessionlab.lab.findings import parallel as findings
from sessionlab.lab.parallel_day import DAY_END_MS, LivedDay, live_day
from sessionlab.lab.parallel_ledger import Ledger
from sessionlab.lab.parallel_notes import Line, Notes, lines_of
from sessionlab.lab.parallel_own import look_at
from sessionlab.lab.parallel_restart import KNOWN, Restart, State
from sessionlab.lab.parallel_settings import chosen_settings
from sessionlab.parallel import SessionManager, SharedMemory
from sessionlab.settings import ParallelSessionsSettings
from sessionlab.synth.day import DAY_START_MS, make_day
from tests.fixture_states import photo

HOUR_MS = 3_600_000
DAY = make_day(seed=5, messages=110, channels=7, peers=12, notes_percent=60)


@pytest.fixture(autouse=True)
def own_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert list(folder.iterdir()) == [], "a day leaves nothing behind"


def lived(settings: ParallelSessionsSettings | None = None, *, restart_hour: int = 13, is_crash: bool = False, expire: int = 6) -> LivedDay:
    return live_day(
        DAY, settings or chosen_settings(max_concurrent=2), restart_hour=restart_hour, is_crash=is_crash, expire_every_hours=expire
    )


@pytest.fixture(scope="module")
def day() -> LivedDay:
    return lived()


def test_defaults_are_those_of_openclaw_but_for_the_switch() -> None:
    assert chosen_settings() == msgspec.structs.replace(ParallelSessionsSettings(), enabled=True)


def test_a_day_keeps_limit_memories_and_sessions_and_is_the_same_twice(day: LivedDay) -> None:
    assert day.most_active == 2
    assert day.is_as_told
    assert day.looks == len(DAY) + 24 * 60
    assert set(day.notes["fate"]) == {"kept", "removed when expired"}
    assert day.notes["is_promoted"].tolist() == [importance >= 8 for importance in day.notes["importance"]]
    assert day.notes["is_known"].tolist() == day.notes["is_promoted"].tolist()
    assert day.sessions["messages"].to_dict() == day.sessions["found"].to_dict()
    assert int(day.sessions["messages"].sum()) == len(DAY)
    again = lived()
    for name in ("notes", "changes", "stretches", "growth", "briefings", "sessions"):
        assert getattr(day, name).equals(getattr(again, name)), name
    assert day.told == again.told


def test_stretches_fill_the_day_of_a_session_without_a_gap_and_come_to_the_changes(day: LivedDay) -> None:
    for _, rows in day.stretches.groupby("session"):
        assert rows["from_ms"].tolist()[1:] == rows["to_ms"].tolist()[:-1]
        assert rows["to_ms"].iloc[-1] == DAY_END_MS
    at_ms = DAY_START_MS + 12 * HOUR_MS
    at = day.stretches[(day.stretches["from_ms"] <= at_ms) & (day.stretches["to_ms"] > at_ms)]
    then = day.changes[day.changes["at_ms"] <= at_ms].iloc[-1]
    assert Counter(at["standing"]) == {name: int(then[name]) for name in ("active", "idle", "hibernated") if then[name]}


def test_sessions_become_idle_only_where_it_is_enabled(day: LivedDay) -> None:
    assert "idle" in set(day.stretches["standing"])
    still = lived(chosen_settings(max_concurrent=7, enabled=False))
    assert "idle" not in set(still.stretches["standing"])
    assert "never idle" in findings.rules(still.settings)


def test_what_is_expired_is_removed_at_its_time_and_counted(day: LivedDay) -> None:
    removed = day.notes[day.notes["fate"] == "removed when expired"]
    assert len(removed) == int(day.growth["removed"].iloc[-1]) > 0
    assert removed["is_expired"].all()
    last = day.growth.iloc[-1]
    assert last["stored"] == last["acknowledged"] - last["removed"]
    never = lived(expire=0)
    assert set(never.notes["fate"]) == {"kept"}
    assert int(never.growth["stored"].iloc[-1]) == len(never.notes)


def test_auto_save_leaves_out_what_nobody_asked_for() -> None:
    day = lived(chosen_settings(save_summaries=False, save_decisions=False, save_preferences=False, save_action_items=False))
    left_out = day.notes["fate"] == "left out by autoSave"
    assert left_out.tolist() == day.notes["is_automatic"].tolist()
    assert left_out.any()
    table = tables.memories_table(day)
    assert table["Left out by autoSave"].iloc[-1] == str(int(left_out.sum()))
    assert "Nothing acknowledged is lost" in findings.verdict(day)


def test_what_one_channel_learns_is_told_on_others(day: LivedDay) -> None:
    known = day.briefings[day.briefings["block"] == "global"]
    source = day.notes.set_index("content")["channel"].to_dict()
    assert known["source"].tolist() == [source[content] for content in known["content"]]
    assert (known["source"] != known["channel"]).any()
    assert known.groupby(["at_ms", "session"])["content"].count().max() == 5
    told = day.briefings[day.briefings["block"] == "channel"]
    assert [source[content] for content in told["content"]] == told["channel"].tolist(), "per channel, a session is told of its own"
    assert "told, all of them on other channels, too" in findings.shared(day)


def test_briefing_of_a_session_is_shown_with_where_its_lines_come_from(day: LivedDay) -> None:
    key = day.session("")
    assert day.sessions.set_index("session")["messages"].idxmax() == key
    assert day.session(key.rpartition(":")[2]) == key
    table = tables.briefing_table(day, key)
    assert [line.content for line in lines_of(day.told[key])] == table["Text"].tolist()
    assert set(table["Block"]) == {"Channel Context", "Global Knowledge"}
    assert f"would be told {len(table)} lines" in findings.briefing(day, key)
    silent = lived(chosen_settings(briefing_enabled=False))
    assert findings.briefing(silent, key).endswith("would be told nothing.")
    assert len(tables.briefing_table(silent, key)) == 0


def test_lines_of_a_briefing_know_their_block() -> None:
    text = "## Channel Context\n- [fact] a ] b\n\n## Global Knowledge\n- [decision] c"
    assert lines_of(text) == [Line("channel", "a ] b"), Line("global", "c")]
    assert lines_of("") == []


@pytest.mark.parametrize("isolation", ["main", "per-channel", "per-chat", "per-peer"])
def test_every_isolation_survives_a_restart_whole(isolation: str) -> None:
    day = lived(chosen_settings(isolation=isolation, max_concurrent=3))
    assert day.restart is not None
    assert set(day.restart.sessions["after"]) == {"known again"}
    assert day.restart.sessions["messages_before"].tolist() == day.restart.sessions["messages_after"].tolist()
    assert day.restart.sessions["is_briefing_equal"].all()
    assert (day.restart.after.total_memories, day.restart.after.memories_in_process) == (day.restart.before.total_memories, 0)
    assert "**Every session is known**" in findings.verdict(day)
    assert f"{len(day.restart.sessions)} of " in findings.restart(day.restart)


def test_what_a_new_manager_says_otherwise_is_not_equal(day: LivedDay) -> None:
    assert day.restart is not None
    held = day.restart.after
    before = {"a": State("idle", 3, "## Channel Context\n- [fact] x"), "b": State("active", 2, ""), "c": State("idle", 1, "")}
    after = {"a": State(KNOWN, 3, "## Channel Context\n- [fact] y"), "b": State(KNOWN, 1, "")}
    found = Restart.between(before, after, held, held, at_ms=DAY_START_MS, is_crash=True)
    assert found.sessions["is_briefing_equal"].tolist() == [False, True, True]
    assert found.sessions["after"].tolist() == [KNOWN, KNOWN, "new"]
    assert found.sessions["lines"].tolist() == [1, 0, 0]
    said = findings.restart(found)
    assert "**2 of 3 sessions are known again** when they are written to, 1 of them with all their messages, and 2 are told" in said
    assert "1 session that never slept would begin anew." in said


def test_a_crash_takes_no_memory_and_only_what_sessions_had_not_stored() -> None:
    day = lived(chosen_settings(isolation="per-chat", max_concurrent=4), is_crash=True)
    assert day.restart is not None
    assert "Nothing acknowledged is lost" in findings.verdict(day)
    assert "**Known but for what a crash took**" in findings.verdict(day)
    was_asleep = day.restart.sessions["before"] == "hibernated"
    assert set(day.restart.sessions[was_asleep]["after"]) == {"known again"}
    assert "the manager died" in findings.restart(day.restart)
    assert day.restart.after.total_memories == day.restart.before.total_memories


def test_without_a_database_the_process_keeps_what_it_may_and_a_restart_nothing() -> None:
    day = lived(chosen_settings(memory_backend="memory"))
    assert day.restart is not None
    assert set(day.restart.sessions["after"]) == {"new"}
    assert set(day.sessions["found"]) == {-1}
    assert "dropped with the process" in set(day.notes["fate"])
    said = findings.verdict(day)
    assert "**Kept in the process alone**" in said
    assert "without a database to sleep in" in said
    assert "nothing else does" in findings.remembered(day)
    assert "Dropped with the process" in tables.memories_table(day)


def test_a_day_without_a_restart_says_so_and_has_no_table() -> None:
    day = lived(restart_hour=-1)
    assert day.restart is None
    assert findings.restart(None) == "The manager was not started anew."
    assert tables.restart_table(None, 5) is None


def test_a_day_in_which_nothing_is_worth_remembering_has_words_for_it() -> None:
    quiet = live_day([msgspec.structs.replace(one, note=None) for one in DAY[:20]], chosen_settings())
    assert "In " in findings.shared(quiet)
    assert "nothing was told that all channels know; 0 memories were promoted." in findings.shared(quiet)
    assert "0 memories were acknowledged" in findings.remembered(quiet)


def test_what_is_not_as_it_must_be_is_said_first(day: LivedDay) -> None:
    assert "**Above the limit**: 3 sessions" in findings.verdict(dataclasses.replace(day, most_active=3))
    assert "**The manager's counts are not those" in findings.verdict(dataclasses.replace(day, is_as_told=False))
    lost = day.notes.assign(fate=["lost", *day.notes["fate"][1:]])
    assert "1 are not in the database as they were acknowledged" in findings.verdict(dataclasses.replace(day, notes=lost))
    assert tables.memories_table(dataclasses.replace(day, notes=lost))["Lost"].iloc[-1] == "1"
    unknown = day.notes.assign(is_known=False)
    assert "are not known to all channels" in findings.verdict(dataclasses.replace(day, notes=unknown))
    other = day.sessions.assign(found=day.sessions["found"] + 1)
    assert "**Not known as they were**: 7 sessions of 7" in findings.verdict(dataclasses.replace(day, sessions=other))


@pytest.mark.parametrize("is_gone", [True, False], ids=["gone", "changed"])
def test_a_memory_that_the_database_loses_or_changes_is_found(monkeypatch: pytest.MonkeyPatch, is_gone: bool) -> None:  # noqa: FBT001
    settle = Notes.settle

    def meddled(notes: Notes, manager: SessionManager, memory: SharedMemory | None, *, now_ms: int) -> None:
        assert memory is not None
        (one,) = memory.memories(limit=1)
        assert one.id is not None
        if is_gone:
            memory.delete_memory(one.id)
        else:
            memory.put_memory(msgspec.structs.replace(one, importance=1))
        settle(notes, manager, memory, now_ms=now_ms)

    monkeypatch.setattr(Notes, "settle", meddled)
    day = lived()
    assert day.notes["fate"].tolist().count("lost") == 1
    assert "**Lost**" in findings.verdict(day)


def test_ledger_takes_down_the_most_within_a_moment_too() -> None:
    ledger = Ledger()
    for key in "abc":
        ledger.enter(key, "active", 5)
    ledger.enter("a", "hibernated", 5)
    assert ledger.most_active == 3
    assert ledger.changes(start_ms=0, end_ms=9).to_dict("list") == {
        "at_ms": [0, 5, 9],
        "active": [0, 2, 2],
        "idle": [0, 0, 0],
        "hibernated": [0, 1, 1],
    }
    ledger.enter("b", "gone", 7)
    assert ledger.stretches(end_ms=9)["session"].tolist() == ["a", "b", "c"]


def test_a_database_that_is_named_is_made_stays_and_is_never_mixed_with_another(tmp_path: Path) -> None:
    file = tmp_path / "kept" / "shared-memory.db"
    settings = chosen_settings(memory_db_path=str(file))
    lived(settings)
    own = look_at(file, now_ms=DAY_END_MS)
    assert own is not None
    assert own.memories > 50
    before = photo(file.parent)
    with pytest.raises(UsageError, match="is there already, and a simulated day is not to be mixed"):
        lived(settings)
    assert photo(file.parent) == before


def test_own_memory_is_counted_and_stays_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "state" / "data" / "shared-memory.db"
    day = lived(chosen_settings(memory_db_path=str(file)), expire=0)
    before = photo(tmp_path / "state")
    own = look_at(tmp_path / "state", now_ms=DAY_END_MS)
    assert own is not None
    assert (own.memories, own.promoted) == (len(day.notes), int(day.notes["is_promoted"].sum()))
    assert own.expired == int(day.notes["is_expired"].sum())
    assert sum(own.by_sort.values()) == own.memories
    assert own.sessions == len(day.sessions)
    table = tables.own_table(own)
    assert table is not None
    said = " ".join([findings.own(own), *table.to_numpy().ravel().tolist()])
    assert not [content for content in day.notes["content"] if content in said], "numbers, never what it says"
    assert photo(tmp_path / "state") == before


def test_no_own_memory_is_no_table_and_a_wrong_one_is_refused(tmp_path: Path) -> None:
    assert look_at("") is None
    assert tables.own_table(None) is None
    assert findings.own(None).startswith("None was named.")
    with pytest.raises(NoStoreError, match="there is no shared memory"):
        look_at(tmp_path / "nothing.db")
    (tmp_path / "wrong.db").write_bytes(b"nothing of the kind" * 100)
    with pytest.raises(CorruptStoreError):
        look_at(tmp_path / "wrong.db")


def test_an_empty_own_memory_is_counted_too(tmp_path: Path) -> None:
    memory = SharedMemory(tmp_path / "empty.db")
    memory.initialize()
    memory.close()
    own = look_at(tmp_path / "empty.db")
    assert own is not None
    assert own.memories == 0
    table = tables.own_table(own)
    assert table is not None
    assert table["Number"].tolist()[-1] == "there is none"


@pytest.mark.parametrize(
    ("choose", "said"),
    [
        (lambda: chosen_settings(max_concurrent=51), r"agent\.parallelSessions\.maxConcurrent: .*<= 50"),
        (lambda: chosen_settings(isolation="per-planet"), "isolation: .*write main, per-channel, per-chat or per-peer"),
        (lambda: chosen_settings(idle_timeout_ms=9_999), "idleTimeoutMs"),
        (lambda: chosen_settings(min_confidence=1.5), r"briefing\.minConfidence"),
        (lambda: chosen_settings(work_poll_interval_ms=1), r"workExecutor\.pollIntervalMs"),
        (lambda: lived(chosen_settings(memory_backend="lancedb")), "lancedb is not supported"),
        (lambda: lived(chosen_settings(work_enabled=True)), "a background worker is not supported"),
        (lambda: lived(restart_hour=24), "restart_hour=24 makes no sense; give an hour from 0 to 23, or -1"),
        (lambda: lived(expire=25), "expire_every_hours=25 makes no sense; give 1 to 24 hours, or 0"),
        (lambda: lived().session("nobody"), 'session="nobody" is not one of the day\'s sessions: '),
    ],
)
def test_what_makes_no_sense_is_refused_and_named(choose: Callable[[], object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        choose()
