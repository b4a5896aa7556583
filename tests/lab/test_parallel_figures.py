"""Figures of a day of parallel sessions: what they show, in the house's form, with words for who cannot see them."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable
from typing import Any

import msgspec
import plotly.graph_objects as go
import pytest

from sessionlab.lab.figures import parallel as figures
from sessionlab.lab.figures import parallel_memory, parallel_tables
from sessionlab.lab.parallel_day import LivedDay, live_day
from sessionlab.lab.parallel_settings import chosen_settings
from sessionlab.synth.day import make_day

DRAWN: dict[str, Callable[[LivedDay], go.Figure]] = {
    "traffic": figures.traffic,
    "awake_and_asleep": figures.awake_and_asleep,
    "session_lives": figures.session_lives,
    "memories": parallel_memory.memory_growth,
    "knowledge": lambda lived: parallel_memory.memory_growth(lived, what="knowledge"),
    "shared_across_channels": parallel_memory.shared_across_channels,
}


@pytest.fixture(scope="module")
def lived() -> LivedDay:
    day = make_day(seed=4, messages=120, channels=9, peers=14, notes_percent=70)
    return live_day(day, chosen_settings(isolation="per-chat", max_concurrent=3), restart_hour=14)


def numbers(value: Any) -> list[float]:
    if isinstance(value, dict):
        return [number for inner in value.values() for number in numbers(inner)]
    if isinstance(value, list):
        return [number for inner in value for number in numbers(inner)]
    return [value] if isinstance(value, float) else []


@pytest.mark.parametrize("name", DRAWN)
def test_figure_is_plain_the_same_twice_and_says_what_it_shows(name: str, lived: LivedDay) -> None:
    drawn = DRAWN[name](lived)
    text = str(drawn.to_json())
    assert text == DRAWN[name](lived).to_json()
    assert "bdata" not in text
    document = json.loads(text)
    assert document["data"]
    assert not any("uid" in trace for trace in document["data"])
    assert all(round(number, 6) == number for number in numbers(document["data"]))
    assert re.search(r"\d", drawn.layout.meta["alt"])
    assert drawn.layout.meta["alt"].endswith(".")
    assert drawn.layout.meta["caption"].endswith(".")
    assert all(trace.hovertemplate for trace in drawn.data)
    assert drawn.layout.xaxis.title.text
    assert max(len(line) for line in drawn.layout.title.text.split("<br>")) <= 46


@pytest.mark.parametrize("name", DRAWN)
def test_figure_is_legible_on_light_and_dark_paper(name: str, lived: LivedDay) -> None:
    fonts = re.findall(r'"(\w*font)":\{[^}]*"color"', str(DRAWN[name](lived).to_json()))
    assert [font for font in fonts if font != "textfont"] == ["font"], "on coloured tiles the paper is no matter"


def test_every_message_is_in_its_hour_and_few_channels_have_a_colour_of_their_own(lived: LivedDay) -> None:
    drawn = figures.traffic(lived)
    assert [trace.name for trace in drawn.data][-1] == "(other channels)"
    assert len(drawn.data) == 7
    assert sum(sum(trace.y) for trace in drawn.data) == len(lived.messages)
    hour = (lived.messages[0].at_ms // 3_600_000) % 24
    assert sum(trace.y[hour] for trace in drawn.data) > 0
    assert sum(trace.y[max(hour - 1, 0)] for trace in drawn.data) == 0


def test_active_sessions_lie_under_the_line_of_the_limit(lived: LivedDay) -> None:
    drawn = figures.awake_and_asleep(lived)
    assert max(drawn.data[0].y) == 3
    assert (drawn.data[-1].name, set(drawn.data[-1].y)) == ("limit of active ones, 3", {3})
    assert {trace.stackgroup for trace in drawn.data[:-1]} == {"all"}
    assert drawn.layout.annotations[0].text == "restart"
    assert drawn.layout.annotations[0].x.endswith("14:00:00")


def test_sessions_far_above_the_limit_do_not_press_the_active_ones_flat(lived: LivedDay) -> None:
    few = dataclasses.replace(lived, changes=lived.changes.assign(idle=2, hibernated=3))
    names = [trace.name for trace in figures.awake_and_asleep(few).data]
    assert names == ["active", "idle", "hibernated", "limit of active ones, 3"]
    assert "Not drawn" not in figures.awake_and_asleep(few).layout.meta["caption"]
    many = figures.awake_and_asleep(dataclasses.replace(lived, changes=lived.changes.assign(idle=2, hibernated=40)))
    assert [trace.name for trace in many.data] == ["active", "idle", "limit of active ones, 3"]
    assert many.layout.meta["caption"].endswith("Not drawn, being far more: hibernated ones, up to 40.")


def test_of_many_sessions_the_busiest_are_drawn_each_from_its_first_message_on(lived: LivedDay) -> None:
    drawn = figures.session_lives(lived, top=4)
    labels = {label for trace in drawn.data for label in trace.y}
    busiest = lived.sessions.sort_values("messages", ascending=False, kind="stable")["session"].head(4)
    assert labels == {key.partition(":parallel:")[2] for key in busiest}
    assert drawn.layout.title.text == "The 4 busiest sessions, hour by hour"
    lengths = sum(sum(trace.x) for trace in drawn.data)
    chosen = lived.stretches[lived.stretches["session"].isin(set(busiest))]
    assert lengths == int((chosen["to_ms"] - chosen["from_ms"]).sum())
    assert all(len(label) <= 28 for label in labels)
    asleep = next(trace for trace in drawn.data if trace.name == "hibernated")
    assert list(asleep.base) == figures.times(chosen[chosen["standing"] == "hibernated"]["from_ms"])


def test_memory_is_drawn_against_its_caps_and_drops_at_the_restart(lived: LivedDay) -> None:
    memories, knowledge = (parallel_memory.memory_growth(lived, what=what) for what in ("memories", "knowledge"))
    assert memories.data[-1].name == "most in a process, 500"
    assert knowledge.data[-1].name == "most in a process, 100"
    in_process = next(trace for trace in memories.data if trace.name == "in the process")
    restart = [y for x, y in zip(in_process.x, in_process.y, strict=True) if x.endswith("14:00:00")]
    assert len(restart) == 2
    assert restart[0] > restart[1] == 0
    stored = next(trace for trace in memories.data if trace.name == "in the database")
    assert stored.y[-1] == int(lived.growth["stored"].iloc[-1])


def test_tiles_count_different_entries_by_who_learned_and_who_was_told(lived: LivedDay) -> None:
    tile = parallel_memory.shared_across_channels(lived).data[0]
    known = lived.briefings[lived.briefings["block"] == "global"]
    expected = [
        [known[(known["source"] == source) & (known["channel"] == channel)]["content"].nunique() for channel in tile.x] for source in tile.y
    ]
    assert [list(row) for row in tile.z] == expected
    assert expected != [list(row) for row in zip(*expected, strict=True)], "or it could not be told who learned and who was told"
    assert list(tile.x) == sorted({message.channel for message in lived.messages})


def test_without_a_database_no_line_of_it_is_drawn(lived: LivedDay) -> None:
    day = live_day(lived.messages, chosen_settings(memory_backend="memory"), restart_hour=-1)
    drawn = parallel_memory.memory_growth(day)
    assert "in the database" not in [trace.name for trace in drawn.data]
    assert "There is no database" in drawn.layout.meta["caption"]
    assert not drawn.layout.annotations


def test_a_day_without_notes_has_figures_that_say_why(lived: LivedDay) -> None:
    quiet = live_day([msgspec.structs.replace(one, note=None) for one in lived.messages[:10]], chosen_settings(), restart_hour=-1)
    for drawn, why in (
        (parallel_memory.memory_growth(quiet), "nothing was remembered"),
        (parallel_memory.memory_growth(quiet, what="knowledge"), "nothing was important enough to be promoted"),
        (parallel_memory.shared_across_channels(quiet), "no briefing held anything that all channels know"),
    ):
        assert drawn.layout.meta["alt"] == f"No data: {why}."
        assert len(drawn.data) == 0
    assert len(parallel_tables.memories_table(quiet)) == 1


def test_sessions_table_says_how_long_and_how_often(lived: LivedDay) -> None:
    table = parallel_tables.sessions_table(lived, 3)
    assert len(table) == 3
    first = table.iloc[0]
    rows = lived.stretches[lived.stretches["session"] == first["Session"]]
    asleep = rows[rows["standing"] == "hibernated"]
    assert first["Put to sleep"] == str(len(asleep))
    active = rows[rows["standing"] == "active"]
    assert first["Active"] == f"{int((active['to_ms'] - active['from_ms']).sum()) // 60_000:,} min"


def test_restart_table_begins_with_what_was_not_kept(lived: LivedDay) -> None:
    assert lived.restart is not None
    sessions = lived.restart.sessions.copy()
    sessions.loc[sessions.index[-1], ["after", "messages_after", "is_briefing_equal"]] = ["new", 0, False]
    table = parallel_tables.restart_table(dataclasses.replace(lived.restart, sessions=sessions), 2)
    assert table is not None
    assert table["Found"].tolist() == ["new", "known again"]
    assert table["Briefing"].iloc[0].endswith("ANOTHER")
