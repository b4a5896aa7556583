"""The simulated day: the same for the same arguments, people who write by day, and notes that can be told apart."""

from __future__ import annotations

from collections import Counter

import pytest

from sessionlab.errors import UsageError
from sessionlab.synth.day import CHANNELS, DAY_START_MS, Message, make_day
from sessionlab.synth.day_words import Notebook
from sessionlab.synth.dice import DAY_MS, HOUR_MS, Dice


def day(*, seed: int = 3, messages: int = 900, channels: int = 6, peers: int = 15, notes_percent: int = 50) -> tuple[Message, ...]:
    return make_day(seed=seed, messages=messages, channels=channels, peers=peers, notes_percent=notes_percent)


def test_same_arguments_give_the_same_day_and_another_seed_another() -> None:
    assert day() == day()
    assert day() != day(seed=4)


def test_as_many_messages_as_asked_for_come_in_order_within_the_day_by_all_channels() -> None:
    messages = day()
    assert len(messages) == 900
    times = [one.at_ms for one in messages]
    assert times == sorted(times)
    assert DAY_START_MS <= times[0] < times[-1] < DAY_START_MS + DAY_MS
    assert {one.channel for one in messages} == set(CHANNELS[:6])


def test_people_write_by_day_in_conversations_and_groups_have_several_of_them() -> None:
    messages = day()
    hours = Counter((one.at_ms - DAY_START_MS) // HOUR_MS for one in messages)
    assert sum(hours[hour] for hour in range(6)) < 900 / 10
    assert sum(hours[hour] for hour in range(8, 19)) > 900 / 2
    writers: dict[str, set[str]] = {}
    for one in messages:
        if one.chat is not None:
            assert one.chat.startswith(f"{one.channel}-group-")
            writers.setdefault(one.chat, set()).add(one.peer)
    assert max(map(len, writers.values())) > 2
    assert any(one.chat is None for one in messages)


def test_notes_are_of_all_sorts_and_importances_and_no_two_say_the_same() -> None:
    notes = [one.note for one in day(messages=3_000) if one.note is not None]
    assert 0.45 < len(notes) / 3_000 < 0.55
    assert {note.sort for note in notes} == {"decision", "preference", "summary", "fact", "action"}
    assert {note.importance for note in notes} == set(range(1, 11))
    assert len({note.content for note in notes}) == len(notes)
    assert any(note.holds_ms for note in notes)
    assert any(note.holds_ms is None for note in notes)
    assert any(note.is_automatic for note in notes)
    assert not any(note.is_automatic for note in notes if note.sort == "fact"), "no switch of autoSave is for facts"


def test_notes_stay_different_when_the_words_are_used_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sessionlab.synth.day_words.WORDS", ("harbour", "lantern"))
    notebook = Notebook(Dice(1))
    said = [notebook.note().content for _ in range(200)]
    assert len(set(said)) == 200


def test_none_or_all_of_the_messages_may_be_worth_a_note() -> None:
    assert not any(one.note for one in day(notes_percent=0))
    assert all(one.note for one in day(notes_percent=100))


@pytest.mark.parametrize(("messages", "channels", "peers"), [(1, 1, 1), (1, len(CHANNELS), 500), (20_000, 2, 1)])
def test_smallest_and_largest_days_are_days_too(messages: int, channels: int, peers: int) -> None:
    assert len(day(messages=messages, channels=channels, peers=peers)) == messages


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        ({"messages": 0}, "messages=0 makes no sense; give 1 to 20,000"),
        ({"channels": 17}, "channels=17 makes no sense; give 1 to 16"),
        ({"peers": 501}, "peers=501 makes no sense"),
        ({"notes_percent": 101}, "notes_percent=101 makes no sense; give 0 to 100"),
    ],
)
def test_what_makes_no_sense_is_refused(chosen: dict[str, int], said: str) -> None:
    with pytest.raises(UsageError, match=said.replace("(", r"\(")):
        day(**chosen)
