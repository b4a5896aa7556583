"""`sessionlab check-growth`: a gate, and the files that it leaves for the service that runs it."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.cli.in_process import Call, caller
from tests.cli.made_states import KINDS, made_state, store_path
from tests.cli.program import SAMPLE, one_line_error, printed_json
from tests.cli.test_maintain import NOW_MS, entry
from tests.fixture_states import photo

ALL = ("--max-growth", "20%/week", "--max-store", "2gb", "--max-disk", "3gb", "--max-stale", "50%")


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Call:
    return caller(capsys)


def grown(state: Path, kind: str = "json", *, new: int = 3, old: int = 10, agent: str = "main") -> Path:
    """Make sessions of which some began in the last week; the others are 20 days old."""
    sessions = {f"agent:{agent}:new:{n}": {**entry(1, f"n{n}"), "createdAt": NOW_MS - 86_400_000} for n in range(new)}
    sessions |= {f"agent:{agent}:old:{n}": entry(20, f"o{n}") for n in range(old)}
    return made_state(state, kind, sessions, agent=agent)


def command(*words: str | Path) -> list[str | Path]:
    return ["check-growth", *words, "--now-ms", str(NOW_MS)]


@pytest.mark.parametrize("kind", KINDS)
def test_gate_passes_and_fails_by_its_limits_and_writes_nothing_to_the_store(tmp_path: Path, call: Call, kind: str) -> None:
    grown(tmp_path, kind)
    before = photo(tmp_path)
    passed = call(*command(tmp_path, "--max-growth", "50%/week", "--max-store", "2gb", "--max-stale", "0%"))
    assert (passed.returncode, passed.stderr, passed.stdout.splitlines()[-1]) == (0, "", "3 limits kept")
    failed = call(*command(tmp_path, *ALL, "--max-growth", "29%/week", "--stale-after", "10d"))
    assert (failed.returncode, failed.stderr, failed.stdout.splitlines()[-1]) == (1, "", "2 of 4 limits broken")
    assert "+30% sessions" in failed.stdout
    assert "main, max-growth: 3 of 13 sessions began in the period" in failed.stdout
    assert "main, max-stale: 10 of 13 sessions were not updated for more than 10 days" in failed.stdout
    found = call(*command(tmp_path, *ALL, "--max-growth", "29%/week", "--json"))
    document = json.loads(found.stdout)
    assert (found.returncode, document["is_ok"], document["stores"][0]["new"]) == (1, False, 3)
    assert [one["verdict"] for one in document["findings"]] == ["breach", "ok", "ok", "ok"]
    assert photo(tmp_path) == before


def test_junit_has_a_test_case_for_each_limit_and_agent(tmp_path: Path, call: Call) -> None:
    """What services read of it: names, counts that add up, and where a failure lies."""
    state, junit = grown(grown(tmp_path / "state"), agent="ops", old=0), tmp_path / "report.xml"
    store_path(grown(state, agent="research"), "json", agent="research").write_text('{"a": 1')
    done = call(*command(state, *ALL, "--max-store", "10b", "--junit", junit))
    assert done.returncode == 3
    root = ET.parse(junit).getroot()
    (suite,) = root
    cases = list(suite)
    assert (root.tag, suite.tag, {case.tag for case in cases}) == ("testsuites", "testsuite", {"testcase"})
    assert [case.get("classname") for case in cases] == [
        f"sessionlab.check-growth.{name}" for name in ("main", "ops", "research") for _ in ALL[::2]
    ]
    assert [case.get("name") for case in cases[:4]] == ["max-growth 20%/week", "max-store 10 B", "max-disk 3.0 GB", "max-stale 50%"]
    assert [case.get("name") for case in cases] == [case.get("name") for case in cases[:4]] * 3  # of what cannot be read, too
    assert len({(case.get("classname"), case.get("name")) for case in cases}) == 12
    fates = [next((child.tag for child in case if child.tag != "system-out"), "passed") for case in cases]
    assert fates == ["failure", "failure", "passed", "passed", "skipped", "failure", "passed", "passed", *["error"] * 4]
    for element in (root, suite):
        assert [element.get(name) for name in ("tests", "failures", "errors", "skipped")] == ["12", "3", "4", "1"]
        assert float(element.get("time", "")) >= 0
    assert suite.get("timestamp") == "2026-11-20T00:00:00"
    assert all(float(case.get("time", "")) >= 0 for case in cases)
    failure = cases[0].find("failure")
    assert failure is not None
    assert failure.get("message", "").endswith("is more than 20%/week")
    assert all("truncated" in error.get("message", "") for error in suite.iter("error"))


def test_files_can_be_read_whatever_a_path_holds(tmp_path: Path, call: Call) -> None:
    """XML knows no control characters, and a table's cell no bar."""
    state = grown(tmp_path / "a\x01<b>&|\x1b[31m*c*")
    done = call(*command(state, *ALL, "--junit", tmp_path / "report.xml", "--summary", tmp_path / "report.md"))
    assert done.returncode == 1
    told = " ".join(ET.parse(tmp_path / "report.xml").getroot().itertext())
    assert r"a\x01<b>&|\x1b[31m*c*" in told
    store_path(state, "json").write_text('{"a": 1')
    assert call(*command(state, *ALL, "--summary", tmp_path / "report.md")).returncode == 3
    line = next(line for line in (tmp_path / "report.md").read_text().splitlines() if "cannot be read" in line and line.startswith("|"))
    assert r"a\\x01\<b\>&amp;\|\\x1b\[31m\*c\*" in line
    assert len([place for place, char in enumerate(line) if char == "|" and line[place - 1] != "\\"]) == 7


def test_summary_is_a_table_and_a_steps_own_is_written_on(tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    state, summary = grown(tmp_path / "state"), tmp_path / "summary.md"
    words = command(state, *ALL, "--summary", summary)
    for _ in range(2):
        assert call(*words).returncode == 1
    lines = summary.read_text().splitlines()
    assert lines[:4] == ["## Session stores", "", "1 of 4 limits broken", ""]
    assert len(lines) == 10
    assert {line.count("|") for line in lines[4:]} == {7}
    assert [line.split(" | ")[0] for line in lines[6:]] == ["| ❌", "| ✅", "| ✅", "| ✅"]
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    assert call(*words).returncode == 1
    assert summary.read_text().splitlines() == [*lines, *lines]
    link = tmp_path / "link.md"
    link.symlink_to(summary)
    assert call(*command(state, *ALL, "--summary", link)).returncode == 1
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(link))
    assert call(*words).returncode == 1
    assert summary.read_text().splitlines() == [*lines, *lines, *lines, *lines]


def test_unreadable_store_hides_no_other_and_its_code_is_the_highest(tmp_path: Path, call: Call) -> None:
    grown(grown(tmp_path), agent="ops")
    store_path(tmp_path, "json", agent="ops").write_text('{"a": 1')
    done = call(*command(tmp_path, *ALL, "--json"))
    document = json.loads(done.stdout)
    assert (done.returncode, [one["agent_id"] for one in document["stores"]], len(document["errors"])) == (3, ["main"], 1)
    assert "truncated" in done.stderr
    assert call(*command(tmp_path, *ALL, "--agent", "main")).returncode == 1


def test_sample_is_judged_by_its_own_clock(call: Call) -> None:
    found = printed_json(call("check-growth", SAMPLE, "--max-growth", "100%/week", "--json"))
    assert (found["now_ms"], found["is_ok"], [one["new"] for one in found["stores"]]) == (NOW_MS, True, [7, 69, 9])


MISTAKES = {
    (): "say what to check: --max-growth, --max-store, --max-disk or --max-stale",
    ("--max-growth", "20%"): "--max-growth: '20%' is no rate",
    ("--max-store", "2 pb"): "--max-store: '2 pb' is not a size",
    ("--max-stale", "half"): "--max-stale: 'half' is no percentage",
    ("--max-stale", "5%", "--stale-after", "1w"): "--stale-after: '1w' is not a duration",
    ("--max-stale", "5%", "--junit", "none/x.xml"): "there is no such folder",
    ("--max-stale", "5%", "--summary", "."): "is a folder; name a file with --summary",
}


@pytest.mark.parametrize(("words", "message"), MISTAKES.items())
def test_mistakes_are_named(tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], message: str) -> None:
    monkeypatch.chdir(tmp_path)
    assert message in one_line_error(call(*command(grown(tmp_path / "state"), *words)), 2)
    assert [path.name for path in tmp_path.iterdir()] == ["state"]
