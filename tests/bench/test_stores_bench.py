"""`sessionlab bench stores`: what it says and in which form. How long anything takes is no matter of tests."""

from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sessionlab import codec
from sessionlab.bench import crowd, peers, peers_recorded, stores, table
from sessionlab.bench.content import Content, changing_entries, hot_fields, make_content, small_entries
from sessionlab.bench.crowd import Contention
from sessionlab.bench.measure import Measurement
from sessionlab.bench.scope import NOW_MS, Scope
from sessionlab.bench.stores import Findings
from sessionlab.bench.writer import Task, increment, open_writable, write
from sessionlab.cli.bench import command
from sessionlab.resources import benchmarks_dir
from tests.cli.program import ROOT, one_line_error, printed_json, sessionlab

KEYS = ["store", "operation", "sessions", "durability", "median_ms", "floor_ms", "ratio", "bound", "peak_mb"]
EXPECTED = {
    ("json", None): ["list summaries", "get one, cold"],
    ("json", "commit"): ["update one, warm (from a loaded snapshot)", "update one, cold", "save without a change"],
    ("sqlite", None): ["get one, not decoded", "list summaries", "list summaries, rows not kept, peak memory"],
    ("sqlite", "commit"): ["put one, every value changed", "update one, a small field changed", "update one, any of many"],
    ("sqlite", "process"): ["touch: updatedAt and token counters", "3 processes updating, time for each update"],
    ("directory", None): ["get one", "updated_at", "list summaries, opened anew"],
    ("directory", "commit"): ["put one, every value changed", "update one, any of many", "3 processes updating, worst wait"],
}


@pytest.fixture(scope="module")
def printed() -> dict[str, Any]:
    done = sessionlab("bench", "stores", "--sessions", "20", "--quick", "--json")
    assert done.stderr == ""
    return printed_json(done)


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> Content:
    return make_content(tmp_path_factory.mktemp("content"), sessions=20)


def test_json_has_every_row_in_the_form_of_the_issue(printed: dict[str, Any]) -> None:
    rows = printed["rows"]
    for row in rows:
        assert list(row) == KEYS
        assert (row["median_ms"] is None) != (row["peak_mb"] is None)
        assert row["sessions"] >= 20
        floor = row["floor_ms"]
        assert row["ratio"] == (None if floor is None else pytest.approx(row["median_ms"] / floor))
    for (store, durability), operations in EXPECTED.items():
        found = [row["operation"] for row in rows if (row["store"], row["durability"]) == (store, durability)]
        assert set(operations) <= set(found)
    named = [(row["store"], row["operation"], row["sessions"], row["durability"]) for row in rows]
    assert len(set(named)) == len(named)


def test_json_carries_conditions_versions_and_other_programs(printed: dict[str, Any]) -> None:
    assert any("no figure to quote" in sentence for sentence in printed["conditions"])
    assert {"sessionlab", "python", "sqlite", "platform"} <= set(printed["versions"])
    known = [*peers_recorded.recorded_peers(benchmarks_dir()), peers.GOALS]
    assert [peer["memory_mb"] for peer in printed["peers"]] == [one.memory_mb for one in known]
    assert printed["factors"] == []  # other programs were measured with 1,000 sessions
    missed = {
        f"{row['store']}: {row['operation']}" for row in printed["rows"] if row["ratio"] and row["bound"] and row["ratio"] > row["bound"]
    }
    assert missed <= {name.partition(" [")[0] for name in printed["missed"]}


def test_no_update_of_many_processes_is_lost_or_refused(printed: dict[str, Any]) -> None:
    found = {(one["store"], one["durability"]): one for one in printed["contention"]}
    assert set(found) == {("json", "commit"), ("sqlite", "commit"), ("sqlite", "process"), ("directory", "commit")}
    for one in found.values():
        assert (one["writers"], one["errors"], one["lost"]) == (3, 0, 0)
        assert one["updates"] > 2 * 3


def test_an_update_that_is_not_in_the_store_counts_as_lost(content: Content, tmp_path: Path) -> None:
    keys = list(content.entries)
    path = tmp_path / "sessions.sqlite"
    with open_writable("sqlite", path, "commit") as store:
        store.save(content.entries)
        increment(store, keys[0], 0)
        told = write(Task("sqlite", str(path), "commit", (keys[0], keys[1]), 4), store)
        before = store.get(keys[1])
        increment(store, keys[1], 9)
        assert before is not None
        store.put(keys[1], before)  # what a writer does that does not hold the lock
    done = crowd._Round(writers=8, ms_each=1.0, worst_ms=told.worst_ms, errors=told.errors, updates=6)
    found = crowd._contention("sqlite", path, "commit", keys, one=[], many=[done])
    assert (found.updates, found.errors, found.lost) == (6, 0, 1)


@pytest.mark.parametrize(("errors", "lost", "code"), [(0, 0, 0), (2, 0, 1), (2, 1, 3)])
def test_lost_updates_are_an_error_and_slow_ones_are_not(
    errors: int, lost: int, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    slow = Measurement(store="sqlite", operation="put", median_ms=9, floor_ms=1, bound=1.3)
    left = Contention("sqlite", "commit", 8, 100, errors, lost, 1.0)
    monkeypatch.setattr(stores, "measure", lambda *_, **__: Findings((slow,), (left,), ()))
    assert (command.main(["stores"], standalone_mode=False) or 0) == code
    output = capsys.readouterr()
    assert "MISSED" in output.out
    assert "1 beyond their bound" in output.out
    assert len(output.err.splitlines()) == (code != 0)


def test_wrong_arguments_are_one_line_with_exit_code_two() -> None:
    line = one_line_error(sessionlab("bench", "stores", "--store", "postgres"), 2)
    assert "json" in line
    assert "directory" in line
    assert "--quick" in one_line_error(sessionlab("bench", "stores", "--quick", "--large"), 2)
    assert one_line_error(sessionlab("bench", "stores", "--sessions", "0"), 2)
    assert "No such command" in one_line_error(sessionlab("bench", "shops"), 2)


def test_chosen_stores_only_are_measured(content: Content, tmp_path: Path) -> None:
    steps = [what for what, _ in stores._steps(tmp_path, content, Scope(stores=("directory",)))]
    assert steps == ["directory store", "large directory stores", "many writers: directory"]


def test_help_says_what_is_measured_and_the_command_line_starts_without_it() -> None:
    words = " ".join(sessionlab("bench", "stores", "--help").stdout.split())
    for option in ("--sessions", "--store", "--quick", "--large", "--json"):
        assert option in words
    assert "floor" in words
    code = "import sys, sessionlab.cli; print([name for name in sys.modules if 'bench' in name or name.startswith('sessionlab.synth')])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_bound_holds_for_the_ratio_else_for_the_time_else_for_the_memory() -> None:
    assert Measurement(store="x", operation="x", median_ms=12, floor_ms=10, bound=1.3).is_met is True
    assert Measurement(store="x", operation="x", median_ms=14, floor_ms=10, bound=1.3).is_met is False
    assert Measurement(store="x", operation="x", median_ms=151, bound=150).is_met is False
    assert Measurement(store="x", operation="x", peak_mb=7.9, bound=8).is_met is True
    assert Measurement(store="x", operation="x", median_ms=14, floor_ms=10).is_met is None


def test_each_write_changes_every_value_and_the_size(content: Content) -> None:
    entry = content.entries[content.middle]
    forms = list(itertools.islice(changing_entries(entry), 25))
    texts = [codec.encode_compact(form) for form in forms]
    assert len(set(texts)) == len(texts)
    for before, after in itertools.pairwise(forms):
        assert len(codec.encode_compact(before)) != len(codec.encode_compact(after))
        same = {name for name in entry if before[name] == after[name]}
        assert all(isinstance(entry[name], bool) for name in same)
    assert len(texts[0]) > 20_000
    (first, early), (second, late) = itertools.islice(hot_fields(), 2)
    assert NOW_MS < early < late
    assert all(first[name] != second[name] for name in first)


def test_small_sessions_are_of_the_size_that_is_stated() -> None:
    sizes = [len(codec.encode_compact(entry)) for entry in small_entries(500).values()]
    assert 500 < sum(sizes) / len(sizes) < 900


def test_other_programs_are_compared_at_their_size_only_and_the_best_counts() -> None:
    def row(operation: str, sessions: int = 1000, **others: Any) -> Measurement:
        return Measurement(store="sqlite", operation=operation, sessions=sessions, **others)

    found = peers.compare(
        [
            row("list summaries, opened anew", median_ms=5.7),
            row("update one, a small field changed", median_ms=0.79, durability="commit"),
            row("update one, a small field changed", median_ms=0.79, durability="process"),
            row("get one, not decoded", median_ms=0.01),
            Measurement(store="directory", operation="list summaries", sessions=1000, median_ms=0.05),
            row("list, get, update: the whole process", peak_mb=26.4, durability="commit"),
            row("list summaries", sessions=20, median_ms=1),
        ],
        [
            peers.Peer(name="old", cold_list_ms=285, update_ms=80),
            peers.Peer(name="new", cold_list_ms=495, warm_list_ms=75, update_ms=3.95, get_ms=0.62, memory_mb=264),
        ],
    )
    assert [(one.peer, one.theirs, round(one.factor, 6), one.wanted, one.is_met) for one in found] == [
        ("old", 285, 50, 10, True),
        ("new", 3.95, 5, 6, False),
        ("new", 3.95, 5, 10, False),
    ], "what is not decoded, or not changed, and the memory that a whole process has besides, is compared with nothing"


def test_table_shows_each_figure_beside_its_floor_and_its_bound() -> None:
    rows = [
        Measurement(store="sqlite", operation="put", median_ms=2, floor_ms=1, floor="bare upsert", bound=1.3, durability="commit"),
        Measurement(store="sqlite", operation="worst wait", median_ms=2945.4, bound=150),
        Measurement(store="sqlite", operation="peak", peak_mb=1.7, bound=8, floor="above imports"),
    ]
    lines = list(table.table(rows))
    assert [" ".join(line.split()) for line in lines] == [
        "sqlite",
        "put [commit] 2.000 ms 2.00 x bare upsert (1.000 ms) at most 1.3 x MISSED",
        "worst wait 2,945 ms at most 150 ms MISSED",
        "peak 1.700 MB above imports at most 8 MB ok",
    ]
