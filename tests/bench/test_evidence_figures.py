"""Figures, tables and sentences of recorded measurements: what they show, in the house's form, and that they follow the numbers."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
import plotly.graph_objects as go
import pytest

from sessionlab.bench import figures
from sessionlab.bench import figures_load as load_figures
from sessionlab.bench import figures_tables as tables
from sessionlab.bench import sentences as findings
from sessionlab.bench.evidence import Recorded, Records, open_records
from sessionlab.bench.peers import PEERS, Peer

Draw = Callable[[Records], go.Figure]


def sized(metric: str) -> Draw:
    return lambda records: figures.by_sessions(records["proposal"], metric, peers=records.peers)


DRAWN: dict[str, Draw] = {
    **{metric: sized(metric) for metric in figures.METRICS},
    "cycles": lambda records: figures.memory_over_cycles(records["rss"]),
    "cache": lambda records: figures.cached_loads(records["cache"]),
    "cache, kept": lambda records: figures.cached_loads(records["cache"], "retained_heap_delta_kb"),
    "throughput": lambda records: load_figures.throughput(records["contention"]),
    "waits": lambda records: load_figures.waits(records["contention"]),
    "list": lambda records: load_figures.growth(records["scale"], "list"),
    "update": lambda records: load_figures.growth(records["scale"], "update"),
}


@pytest.fixture(scope="module")
def records() -> Records:
    return open_records()


def changed(record: Recorded, table: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Recorded:
    """Return a copy of a record in which every row of a table is another."""
    rows = copy.deepcopy(record.document.tables)
    rows[table] = [row | change(row) for row in rows[table]]
    return Recorded(msgspec.structs.replace(record.document, tables=rows))


def _always(change: dict[str, Any], _row: dict[str, Any]) -> dict[str, Any]:
    return change


def traces(drawn: go.Figure, name: str) -> list[Any]:
    return [trace for trace in drawn.data if trace.name == name]


@pytest.mark.parametrize("name", DRAWN)
def test_figure_is_plain_the_same_twice_and_says_what_it_shows(name: str, records: Records) -> None:
    drawn = DRAWN[name](records)
    text = str(drawn.to_json())
    assert text == DRAWN[name](records).to_json()
    assert "bdata" not in text
    assert "NaN" not in text
    assert re.search(r"\d", drawn.layout.meta["alt"])
    assert drawn.layout.meta["alt"].endswith(".")
    assert drawn.layout.meta["caption"].endswith(".")
    assert all(trace.hovertemplate for trace in drawn.data)
    assert drawn.layout.yaxis.type == "log"
    assert all(value > 0 for trace in json.loads(text)["data"] for value in trace["y"])
    assert max(len(line) for line in drawn.layout.title.text.split("<br>")) <= 46


def test_costs_by_sessions_are_the_recorded_ones_with_openclaw_its_goal_and_the_floors(records: Records) -> None:
    drawn = figures.by_sessions(records["proposal"], "update_ms", peers=records.peers)
    for program, name in (("naive", "naive file"), ("json", "json"), ("sqlite", "sqlite"), ("directory", "directory")):
        shown = [(x, y) for trace in traces(drawn, name) for x, y in zip(trace.x, trace.y, strict=True)]
        rows = [row for row in records["proposal"].rows("proposal") if row["program"] == program]
        rows = [row for row in rows if row["durability"] == "commit" or program == "naive"]
        assert sorted(shown) == sorted((row["sessions"], round(row["update_ms"], 4)) for row in rows)
    assert traces(drawn, "sqlite, not synced")
    for peer in records.peers:
        (trace,) = traces(drawn, peer.name)
        assert (list(trace.x), list(trace.y)) == ([peer.sessions], [peer.update_ms])
    assert list(traces(drawn, "goal of the proposal")[0].y) == [5]
    floors = [row for row in records["proposal"].rows("floors") if row["durability"] == "commit"]
    shown = [(x, y) for trace in traces(drawn, "floor") for x, y in zip(trace.x, trace.y, strict=True)]
    assert sorted(shown) == sorted((row["sessions"], round(row["update_ms"], 4)) for row in floors)
    assert not traces(figures.by_sessions(records["proposal"], "load_ms"), "sqlite, not synced"), "it reads as the other does"


def test_stress_test_stands_beside_the_published_runs(records: Records) -> None:
    drawn = figures.memory_over_cycles(records["rss"])
    assert list(traces(drawn, "OpenClaw, without reuse")[0].y) == [668.7, 877.6, 1004.7, 1109.8, 1214.1, 1236.6]
    assert [len(traces(drawn, store)) for store in ("json", "sqlite", "directory")] == [6, 4, 4]
    assert [list(trace.y) for trace in traces(drawn, "our bounds")] == [[32, 32], [64, 64]]
    peaks = [row["peak_mb"] for row in records["rss"].rows("samples") if row["store"] == "json"]
    assert sorted(y for trace in traces(drawn, "json") for y in trace.y) == sorted(peaks)
    assert sum(bool(trace.showlegend) for trace in traces(drawn, "json")) == 1
    assert len(tables.cycles_table(records["rss"])) == 2 + 14


def test_waits_go_from_the_median_to_the_longest_and_backends_stand_side_by_side(records: Records) -> None:
    drawn = load_figures.waits(records["contention"])
    rows = [row for row in records["contention"].rows("writers") if row["store"] == "json"]
    points, marks = traces(drawn, "json")
    assert list(points.y) == [round(row["p50_ms"], 4) for row in rows]
    assert list(marks.y) == [round(row["p99_ms"], 4) for row in rows]
    longest = [y + above for y, above in zip(points.y, points.error_y.array, strict=True)]
    assert longest == pytest.approx([row["max_ms"] for row in rows], abs=0.001)
    places = [x for trace in drawn.data if trace.showlegend is not False for x in trace.x]
    assert len(set(places)) == len(places)


def test_fitted_line_goes_through_the_middle_with_the_recorded_exponent(records: Records) -> None:
    def lawful(row: dict[str, Any]) -> dict[str, Any]:
        return {"median_ms": 3 * row["sessions"] ** 0.5} if row["grows"] == "sessions" else {}

    made = changed(changed(records["scale"], "points", lawful), "fits", lambda _row: {"exponent": 0.5})
    drawn = load_figures.growth(made, "list")
    points, line = traces(drawn, "json")
    assert [points.y[0], points.y[-1]] == pytest.approx(list(line.y))
    assert list(traces(drawn, "comfortable: 250 ms")[0].y) == [250, 250]


def test_sentences_follow_the_numbers_also_when_ours_is_slower(records: Records) -> None:
    def slow(row: dict[str, Any]) -> dict[str, Any]:
        return {"load_ms": 10.0 if row["program"] == "naive" else 40.0}

    def fast(row: dict[str, Any]) -> dict[str, Any]:
        return {"load_ms": 10.0 if row["program"] == "naive" else 2.0}

    said = findings.sizes(changed(records["proposal"], "proposal", slow), "load_ms")
    assert "takes 4 times more than the naive file" in said
    assert "goal of 15 ms is missed" in said
    said = findings.sizes(changed(records["proposal"], "proposal", fast), "load_ms")
    assert "takes 5 times less than the naive file" in said
    assert "goal of 15 ms is met" in said
    most = {row["sessions"] for row in records["proposal"].rows("proposal") if row["entry_kb"] > 10}
    if max(most) == PEERS[0].sessions:
        assert "the best OpenClaw recorded" in said


def test_the_best_openclaw_is_the_one_that_takes_least(records: Records) -> None:
    most = max(row["sessions"] for row in records["proposal"].rows("proposal") if row["entry_kb"] > 10)
    peers = [Peer(name=name, cold_list_ms=ms, sessions=most) for name, ms in (("slow", 900.0), ("fast", 300.0))]
    said = findings.sizes(changed(records["proposal"], "proposal", lambda _row: {"load_ms": 3.0}), "load_ms", peers)
    assert "100 times less than the best OpenClaw recorded (300 ms, fast, which lists entries, not summaries)" in said


def test_the_answer_names_the_busiest_writers_and_the_laziest(records: Records) -> None:
    rates = {"naive": 2.0, "json": 20.0, "sqlite": 800.0, "directory": 100.0}
    made = changed(records["contention"], "writers", lambda row: {"updates_per_s": rates[row["store"]]})
    said = findings.answer(Records(None, [made.document if name == "contention" else one.document for name, one in records.items()]))
    assert "`sqlite` makes 800 updates a second, 400 times those of `naive`" in said


def test_an_expectation_holds_only_where_the_number_is_kept(records: Records) -> None:
    for ms, verdict in ((14.9, "holds"), (15.1, "does not hold")):
        table = tables.proposal_table(changed(records["proposal"], "proposal", partial(_always, {"load_ms": ms})))
        assert table.set_index("What").loc["Load, ms", "Expectation"] == verdict


def test_bounds_that_are_missed_are_said(records: Records) -> None:
    def bounded(ms: float) -> Recorded:
        rows = [
            row | {"median_ms": ms if row["median_ms"] else None, "peak_mb": 1.0 if row["peak_mb"] else None}
            for row in records["rss"].rows("figures")
        ]
        return Recorded(msgspec.structs.replace(records["rss"].document, rows=rows))

    assert "**5 figures are beyond their bounds**, of `json`" in findings.cycles(bounded(26))
    assert "Every run keeps its bounds." in findings.cycles(bounded(24))


def test_a_quick_record_is_said_to_be_one(records: Records) -> None:
    documents = [msgspec.structs.replace(one.document, is_quick=name == "rss") for name, one in records.items()]
    assert "**Recorded in a quick run, not to be quoted**: rss. With" in findings.answer(Records(None, documents))
    sizes = tables.records_table(Records(None, documents)).set_index("Measurement")["Size"]
    assert sizes["rss"] == "small, not to quote"
    assert set(sizes.drop("rss")) == {"full"}
    full = [msgspec.structs.replace(one, is_quick=False) for one in documents]
    assert "quick" not in findings.answer(Records(None, full))


def test_tables_name_every_program_and_the_published_trouble(records: Records) -> None:
    waits = tables.waits_table(records["contention"])
    assert waits["Store"].tolist() == [
        "naive file",
        "json",
        "sqlite",
        "sqlite, not synced",
        "directory",
        "OpenClaw, published, three hours",
    ]
    said = ["", "25", "157 sessions, 388 s on average, at most 1,031"]
    assert waits.iloc[-1][["Longest, ms", "Timeouts", "Stuck"]].tolist() == said
    assert tables.proposal_table(records["proposal"])["Expectation"].isin(["holds", "does not hold"]).all()
    assert len(tables.comfort_table(records["scale"])) == len(records["scale"].rows("comfortable"))
    assert len(tables.records_table(records)) == len(records)


def test_conditions_are_all_shown(records: Records) -> None:
    shown = findings.conditions(records, "rss", "cache").replace("\\", "")
    assert all(sentence.split("*")[0] in shown for name in ("rss", "cache") for sentence in records[name].conditions)


def test_without_a_measurement_here_nothing_is_drawn_of_it(records: Records) -> None:
    nothing = Records(None)
    assert figures.live(nothing) == load_figures.live(nothing) == []
    assert tables.live_table(records, nothing) is None
    assert "Nothing was measured here" in findings.here(nothing)
    live = Records(None, [records[name].document for name in ("proposal", "rss", "contention")])
    assert len(figures.live(live)) == len(figures.METRICS) + 1
    assert len(load_figures.live(live)) == 2
    table = tables.live_table(records, live)
    assert table is not None
    assert table["Load, ms"].str.contains("recorded").all(), "what has the recorded size stands beside it"
