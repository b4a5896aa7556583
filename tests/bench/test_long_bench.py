"""The tables that were published, measured again: what they hold, that their loops do what they say, and what is told of them."""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sessionlab.bench import cache, cycling, proposal, rss, stores
from sessionlab.bench.caching import MODES
from sessionlab.bench.cycling import Cycling
from sessionlab.bench.results import Results
from sessionlab.bench.surroundings import QUICK
from sessionlab.bench.table import lines_of_results, number
from sessionlab.bench.writer import open_writable
from tests.cli.in_process import Call, caller
from tests.cli.program import printed_json


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Call:
    return caller(capsys)


@pytest.fixture
def few_objects() -> Iterator[None]:
    """Have the collections of garbage pass over what all these tests hold: a third of a second each time, and no matter here."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.usefixtures("few_objects")
@pytest.mark.parametrize("store", ["json", "sqlite", "directory"])
@pytest.mark.parametrize(("loop", "is_reusing", "is_cached"), [("load", False, True), ("load", True, False), ("summaries", False, False)])
def test_loop_updates_sessions_in_turn(tmp_path: Path, store: Any, loop: Any, is_reusing: bool, is_cached: bool) -> None:  # noqa: FBT001
    task = Cycling(
        store=store,
        path=str(tmp_path / "store"),
        sessions=5,
        payload_bytes=100,
        touches=3,
        cycles=4,
        sample_every=3,
        loop=loop,
        is_reusing=is_reusing,
        is_cached=is_cached,
    )
    cycling.make(task)
    samples = list(cycling.samples(task))
    assert [one.cycle for one in samples] == [0, 3, 4]
    assert all(one.peak_mb >= one.rss_mb >= one.heap_mb > 0 for one in samples)
    assert all(one.store_kb * 1024 >= 5 * 100 - 1024 for one in samples)
    with open_writable(task.store, Path(task.path), None) as opened:
        labels = {key: entry["label"] for key, entry in opened.items()}
        assert all(len(entry["displayName"]) == 100 for _, entry in opened.items())
    assert labels == {f"session:{n}": label for n, label in enumerate(["cycle 4", "cycle 2", "cycle 3", "session 3", "session 4"])}


def test_every_store_is_measured_beside_the_published_table(tmp_path: Path) -> None:
    asked = rss.Asked(target_kb=20, cycles=2, sample_every=1, payload_size=500, stores=("json", "sqlite"))
    found = rss.measure(tmp_path, asked)
    assert asked.sessions == 20 * 1024 // 650
    runs = {(row["store"], row["run"]) for row in found.document()["tables"]["samples"]}
    assert len(runs) == 6 + 4
    assert {row["cycle"] for row in found.document()["tables"]["samples"]} == {0, 1, 2}
    assert {one.most for one in found.figures} == {None}, "the bounds are for another size"
    assert found.conditions[0] == QUICK
    assert [row["rss_mb"] for row in found.document()["tables"]["published"]][5] == 1236.6
    assert [verdict.partition(":")[0] for verdict in found.verdicts] == ["json", "sqlite"]
    assert not list(tmp_path.glob("[0-9]*")), "the stores are gone"


def test_cache_is_measured_in_each_mode(tmp_path: Path) -> None:
    found = cache.measure(tmp_path, (20,))
    assert found.conditions[0] == QUICK
    rows = found.document()["tables"]["cache"]
    assert [(row["mode"], row["entries"]) for row in rows] == [(mode, 20) for mode in MODES]
    full, retained, none = rows
    assert min(full["retained_heap_delta_kb"], retained["retained_heap_delta_kb"]) > full["file_kb"] * 0.9
    assert none["retained_heap_delta_kb"] < full["file_kb"] / 4


def test_proposal_is_measured_for_each_program(tmp_path: Path) -> None:
    found = proposal.measure(tmp_path, (5,), (8,), rounds=1, rest_s=0)
    rows = found.document()["tables"]["proposal"]
    programs = [("naive", "process"), ("json", "commit"), ("sqlite", "commit"), ("sqlite", "process"), ("directory", "commit")]
    assert [(row["sessions"], row["program"], row["durability"]) for row in rows] == [(size, *one) for size in (5, 8) for one in programs]
    assert all(row["load_ms"] > 0 and row["update_ms"] > 0 and row["cpu_percent"] == round(row["cpu_ms"] / 10, 2) for row in rows)
    floors = found.document()["tables"]["floors"]
    assert [(row["sessions"], row["durability"]) for row in floors] == [(size, one) for size in (5, 8) for one in ("commit", "process")]
    floor = {(row["sessions"], row["durability"]): row for row in floors}
    for row in rows:
        held = floor[row["sessions"], row["durability"]]
        for metric in ("load", "list", "update"):
            assert row[f"{metric}_ratio"] == pytest.approx(row[f"{metric}_ms"] / held[f"{metric}_ms"], abs=0.006)
    assert [verdict.partition(":")[0] for verdict in found.verdicts] == ["load", "update", "list", "memory", "CPU"]
    sqlite = next(row for row in rows if (row["program"], row["durability"]) == ("sqlite", "commit"))
    assert found.verdicts[1].startswith("update: expected 800 -> 5 ms; measured ")
    assert f" -> {number(sqlite['update_ms'])} ms, " in found.verdicts[1]
    assert all("not judged, for that was of 1,000 sessions, not 5" in verdict for verdict in found.verdicts)
    assert found.conditions[0] == QUICK
    assert list(tmp_path.iterdir()) == [tmp_path / "synced"]


def test_expectations_are_judged_at_the_size_that_they_are_of() -> None:
    def row(program: str, value: float) -> proposal.Row:
        names = ("load_ms", "list_ms", "update_ms", "cpu_ms", "cpu_percent", "peak_mb", "process_mb")
        values: dict[str, Any] = {"sessions": 1_000, "entry_kb": 42.0, **dict.fromkeys(names, value)}
        return proposal.Row(program=program, durability="process" if program == "naive" else "commit", **values)

    small = [msgspec.structs.replace(row(program, 1), entry_kb=0.7) for program in ("naive", "sqlite")]
    said = list(proposal._verdicts([row("naive", 50), row("sqlite", 5), *small], sessions=1_000))
    held = ["holds", "holds", "holds", "does not hold", "holds"]
    assert [verdict.rpartition(": ")[2] for verdict in said] == held, "15, 5, 20 ms, 2 MB, 5 percent"
    assert all("measured 50.0 -> 5.000 " in verdict and ", 10.0 times less: " in verdict for verdict in said)


def test_results_are_told_as_text_and_as_json(call: Call) -> None:
    done = call("bench", "rss", "--store", "json", "--target-kb", "5", "--cycles", "1")
    lines = done.stdout.splitlines()
    assert lines[2].split()[-8:] == ["cycle", "rss_mb", "heap_mb", "external_mb", "peak_mb", "store_kb", "elapsed_ms", "cpu_ms"]
    assert any(line.startswith("  json: at most ") for line in lines)
    assert done.stderr == ""
    found = printed_json(call("bench", "rss", "--store", "directory", "--target-kb", "5", "--cycles", "1", "--json"))
    assert (found["name"], len(found["tables"]["samples"]), len(found["rows"])) == ("rss", 8, 8)


def test_stores_are_measured_with_the_table_of_the_proposal(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[Any] = []

    def measured(_folder: Path, large: Any, small: Any, **_: Any) -> Results:
        sizes.append((large, small))
        return Results("proposal", tables={"proposal": [{"load_ratio": 2.5}]}, verdicts=["load: it holds"])

    monkeypatch.setattr(stores, "measure", lambda *_, **__: stores.Findings((), (), ()))
    monkeypatch.setattr(proposal, "measure", measured)
    lines = call("bench", "stores", "--quick", "--proposal").stdout.splitlines()
    assert "load_ratio" in lines[lines.index("proposal") + 1]
    assert "  load: it holds" in lines
    found = printed_json(call("bench", "stores", "--proposal", "--json"))
    assert (found["rows"], found["proposal"]["tables"]["proposal"]) == ([], [{"load_ratio": 2.5}])
    assert "proposal" not in printed_json(call("bench", "stores", "--json"))
    assert sizes == [((20,), (200,)), (proposal.LARGE, proposal.SMALL)]


def test_table_has_a_column_for_each_field() -> None:
    results = Results("x", tables={"t": [{"a": 1, "b": None, "c": 2.34, "d": True, "e": 12_345}]}, verdicts=["so it is"])
    assert list(lines_of_results(results)) == [
        "\nt",
        "  a  b    c     d       e",
        "  1     2.3  True  12,345",
        "\nwhat it says",
        "  so it is",
    ]
    assert json.loads(json.dumps(results.document()))["tables"]["t"][0]["c"] == 2.34
