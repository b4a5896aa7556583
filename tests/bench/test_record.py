"""How measurements are recorded: whole files, what is in them, what the README's table makes of them, and what is refused."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import pytest
from click.testing import CliRunner, Result

from sessionlab import resources
from sessionlab.bench import readme_costs, readme_table, record, rss
from sessionlab.bench.peers import PEERS
from sessionlab.bench.peers_recorded import peers_of, recorded_peers
from sessionlab.bench.recorded import Document, read
from sessionlab.errors import UsageError
from sessionlab.resources import benchmarks_dir
from tests.conftest import system_program

ROOT = Path(__file__).parents[2]


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(record.main, [str(one) for one in arguments])


def printed_peers(folder: Path, version: str = "2026.8.1") -> Path:
    """Write a file as `sessionlab bench peers --openclaw DIR --json` prints it, with one operation of each kind."""
    program = f"OpenClaw {version}"
    spread = {"program": program, "unit": "ms", "sessions": 1_000, "least": 1.5, "most": 4.5, "processes": 3}
    figures = {
        "first list": 30.5,
        "list again": 2.5,
        "get one": 0.5,
        "update one": 7.25,
        "memory": 300.5,
        "size of a listed entry as JSON": 33.0,
    }
    ours = {"durability": None, "sessions": 1_000, "unit": "ms", "factor": 1.0, "program": "json", "theirs": 2.5, "ours": 2.5}
    document = {
        "schema_version": 1,
        "name": "peers",
        "date": "2026-11-01",
        "rows": [],
        "tables": {
            "beside": [ours | {"operation": name} for name in figures],
            "openclaw": [
                {"program": program, "operation": name, "unit": "ms", "median": value} | spread for name, value in figures.items()
            ],
        },
        "missed": [],
        "verdicts": [f"json beside {program}: about the same: all"],
        "conditions": ["made up"],
        "versions": {"sessionlab": "0", "python": "3", "sqlite": "3"},
    }
    path = folder / "printed.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def test_a_measurement_is_recorded_whole_and_readable(tmp_path: Path) -> None:
    (tmp_path / "parallel.json").write_text("what was here before, and longer than what comes" * 10_000, encoding="utf-8")
    done = run("parallel", "--quick", "--folder", tmp_path)
    assert (done.exit_code, done.output) == (0, "parallel.json: recorded\n")
    assert [path.name for path in tmp_path.iterdir()] == ["parallel.json"]
    found = read(tmp_path, "parallel")
    assert found.is_quick
    assert len(found.rows) > 10
    assert set(found.tables) <= {"contention", "peers", "factors"}
    assert found.machine.processors >= 1
    assert found.machine.memory_gb > 0
    assert re.fullmatch(r"Linux \d+\.\d+\.\d+", found.machine.kernel)
    assert found.machine.filesystem in Path("/proc/filesystems").read_text(encoding="utf-8").split()
    text = (tmp_path / "parallel.json").read_text(encoding="utf-8")
    assert text.endswith("}\n")
    assert all(f"\n  {json.dumps(row)}" in text for row in found.rows), "a line for each row"
    assert json.loads(text)["rows"] == found.rows


def test_tables_and_verdicts_of_a_measurement_are_recorded_as_it_left_them(tmp_path: Path) -> None:
    made = rss.measure(tmp_path, rss.Asked(target_kb=20, cycles=2, sample_every=1, payload_size=500, stores=("sqlite",)))
    document = record.document_of("rss", made, tmp_path, is_quick=True)
    record.write(tmp_path, document)
    found = read(tmp_path, "rss")
    told = made.document()
    assert found == document
    assert (found.tables, found.rows) == (told["tables"], told["rows"])
    assert (found.verdicts, found.conditions, found.date) == (told["verdicts"], told["conditions"], told["date"])


def test_a_record_says_which_commit_was_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "project_root", lambda: tmp_path)
    assert record.commit() == {}, "no checkout"
    program = str(system_program(("git",), package="git"))
    git = [program, "-C", str(tmp_path), "-c", "user.name=x", "-c", "user.email=x"]
    for words in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "first"]):
        subprocess.run([*git, *words], check=True)
    name = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout[:10]
    assert record.commit() == {"commit": name}
    (tmp_path / "new").touch()
    subprocess.run([*git, "add", "new"], check=True)
    assert record.commit() == {"commit": f"{name}+"}


def test_a_measurement_waits_for_a_quiet_machine_but_not_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    loads = iter((2.0, 0.6, 0.4))
    clock = SimpleNamespace(monotonic=lambda: float(len(slept)), sleep=slept.append)
    monkeypatch.setattr(record, "time", clock)
    monkeypatch.setattr(record, "os", SimpleNamespace(getloadavg=lambda: (next(loads), 9, 9)))
    monkeypatch.setattr(record, "record", lambda *_: (_ for _ in ()).throw(UsageError("measured")))
    assert run("cache", "--folder", tmp_path).output == "measured\n"
    assert slept == [1, 1]
    monkeypatch.setattr(record, "os", SimpleNamespace(getloadavg=lambda: (2.0, 9, 9)))
    assert run("cache", "--folder", tmp_path).output == "measured\n"
    assert 150 < len(slept) < 200


def test_what_bench_peers_printed_is_recorded_and_becomes_a_peer(tmp_path: Path) -> None:
    target = tmp_path / "records"
    done = run("--peers", printed_peers(tmp_path), "--folder", target)
    assert (done.exit_code, done.output) == (0, "peers-2026.8.1.json: recorded\n")
    names = [peer.name for peer in recorded_peers(target)]
    assert names == [PEERS[0].name, PEERS[1].name, "OpenClaw 2026.8.1", PEERS[2].name]
    (found,) = (peer for peer in recorded_peers(target) if peer.date)
    assert (found.date, found.cold_list_ms, found.warm_list_ms, found.get_ms) == ("2026-11-01", 30.5, 2.5, 0.5)
    assert (found.update_ms, found.memory_mb, found.is_synced) == (7.25, 300.5, False)
    run("--peers", printed_peers(tmp_path, "2026.3.31"), "--folder", target)
    old = recorded_peers(target)[0]
    assert (old.name, old.is_synced, old.update_ms) == (PEERS[0].name, True, 7.25), "measured again, in the place of the older figures"
    assert peers_of([])[0].update_ms == PEERS[0].update_ms


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nothing",), "nothing: no such measurement; there are proposal, rss, "),
        (("--readme", "rss"), "--readme and --peers measure nothing: give no NAME beside them"),
        (("--peers", "here.json"), "here.json: not what `sessionlab bench peers --openclaw DIR --json` prints"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here.json").write_text('{"tables": {"openclaw": []}}', encoding="utf-8")
    done = run(*arguments, "--folder", tmp_path / "records")
    assert done.exit_code == 2
    assert done.output.startswith(said)
    assert done.output.count("\n") == 1
    assert not list(tmp_path.rglob("records/*"))


def test_an_installation_keeps_the_records_that_came_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "project_root", lambda: None)
    done = run("--readme")
    assert (done.exit_code, done.output.count("\n")) == (2, 1)
    assert done.output.startswith("give --folder DIR: the records that came with this installation")


@pytest.fixture(scope="module")
def records() -> dict[str, Document]:
    return {name: read(benchmarks_dir(), name) for name in readme_table.NEEDED}


THEIRS: Final = readme_table.theirs_of(peers_of([]), [])


def cells(text: str, what: str) -> list[str]:
    """Return the cells of the table's row that begins with these words."""
    (row,) = (line for line in text.splitlines() if line.startswith(f"| {what}"))
    return [cell.strip() for cell in row.strip("|").split("|")[1:]]


def as_number(cell: str) -> float:
    return float(re.split("[ ;]", cell, maxsplit=1)[0].replace(",", ""))


def test_the_readme_s_tables_are_those_of_the_records() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert text == readme_table.with_tables(text, benchmarks_dir()), "python -m sessionlab.bench.record --readme"


def table_in(text: str, name: str = "benchmarks") -> str:
    begin, end = readme_table.marks(name)
    return text.partition(begin)[2].partition(end)[0]


def test_every_cell_of_the_table_is_the_number_that_was_recorded(records: dict[str, Document]) -> None:
    text = table_in((ROOT / "README.md").read_text(encoding="utf-8"))
    large = [row for row in records["proposal"].tables["proposal"] if row["entry_kb"] > 10]
    most = max(row["sessions"] for row in large)
    for position, program in enumerate(readme_table.PROGRAMS, start=2):
        wanted = "process" if program == "naive" else "commit"
        (row,) = (one for one in large if (one["program"], one["sessions"], one["durability"]) == (program, most, wanted))
        for what, metric in (
            (f"first list of {most:,}", "load_ms"),
            ("list again", "list_ms"),
            ("update one", "update_ms"),
            ("processor time", "cpu_ms"),
            ("memory of that process", "process_mb"),
        ):
            assert as_number(cells(text, what)[position]) == pytest.approx(row[metric], rel=0.06), (program, metric)
        writers = records["contention"].tables["writers"]
        (crowd,) = (one for one in writers if (one["store"], one["writers"], one["durability"]) == (program, 8, wanted))
        counts = f"{crowd['timeouts']}; {crowd['stuck']}; {crowd['lost']}"
        assert cells(text, "timeouts")[position] == counts
        assert as_number(cells(text, "8 writers")[position]) == pytest.approx(crowd["updates_per_s"], rel=0.06)
        if program != "naive":
            loading = [one for one in records["rss"].tables["samples"] if one["store"] == program and one["run"].startswith("load")]
            last = cells(text, "load all and update one")[position].split(" to ")[-1]
            assert float(last.replace(",", "")) == pytest.approx(max(one["peak_mb"] for one in loading), abs=0.51)


def test_a_readme_without_a_place_for_a_table_is_refused() -> None:
    begin, end = readme_table.marks("x")
    for text in ("", begin, f"{end}{begin}"):
        with pytest.raises(UsageError, match="the marks of the table are missing"):
            readme_table.between(text, "x", ["made"])
    assert readme_table.between(f"a\n{begin}old{end}\nz\n", "x", ["made"]) == f"a\n{begin}\n\nmade\n\n{end}\nz\n"


def test_the_table_follows_the_records(records: dict[str, Document]) -> None:
    rows: list[dict[str, Any]] = [row | {"load_ms": 12_345.0} for row in records["proposal"].tables["proposal"]]
    changed = Document(**{name: getattr(records["proposal"], name) for name in Document.__struct_fields__} | {"tables": {"proposal": rows}})
    lines = "\n".join(readme_table.lines(records | {"proposal": changed}, THEIRS))
    assert cells(lines, f"first list of {max(row['sessions'] for row in rows if row['entry_kb'] > 10):,}")[2:] == ["12,345"] * 4


def test_gets_and_whole_entries_are_those_measured_beside_the_newer_openclaw() -> None:
    theirs = readme_table.known(benchmarks_dir())
    record = read(benchmarks_dir(), f"peers-{theirs.sqlite.name.removeprefix('OpenClaw ').partition(',')[0]}")
    text = table_in((ROOT / "README.md").read_text(encoding="utf-8"))
    for what, operation in (("get one", "get one"), ("the same with whole entries", "list again (whole entries)")):
        found = {row["program"]: row for row in record.tables["beside"] if row["operation"] == operation}
        assert [as_number(cell) for cell in cells(text, what)[1:2] + cells(text, what)[3:]] == [
            pytest.approx(found["sqlite"]["theirs"], rel=0.06),
            *(pytest.approx(found[program]["ours"], rel=0.06) for program in ("json", "sqlite", "directory")),
        ]


@pytest.mark.parametrize("name", readme_costs.TABLES)
def test_tables_of_costs_say_what_is_missed(name: str) -> None:
    document = read(benchmarks_dir(), name)
    lines = list(readme_costs.TABLES[name](document))
    assert sum("*missed*" in line for line in lines) == len(document.missed)
    bounded = sum(row["bound"] is not None for row in document.rows)
    assert lines[0] == f"Recorded {document.date}: {bounded - len(document.missed)} of {bounded} figures keep their bounds."
    assert sum(line.startswith("| ") for line in lines) == 1 + (bounded if name == "stores" else len(document.rows))
