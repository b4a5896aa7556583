"""What the commands write and print: files that cannot be written are refused first, and what is printed can be pasted and understood."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import pytest

from tests.cli.program import SAMPLE, one_line_error, printed_json, sessionlab
from tests.cli.test_defaults import one_session


@pytest.mark.parametrize("command", [("report", "--sample"), ("load", SAMPLE)], ids=["report", "load"])
def test_an_output_that_cannot_be_written_is_refused_first(command: tuple[str | Path, ...], tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for output, words in [
        (tmp_path / "folder", "is a folder"),
        (tmp_path / "none" / "x", "cannot be written (there is no such folder)"),
        (Path("/proc/x"), "cannot be written"),
    ]:
        assert f"{output}: {words}" in one_line_error(sessionlab(*command, "-o", output), 2)
    assert list(tmp_path.rglob("*")) == [tmp_path / "folder"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_is_only_to_be_read_is_refused_first(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        assert "cannot be written" in one_line_error(sessionlab("load", SAMPLE, "-o", tmp_path / "x.duckdb"), 2)
        assert "cannot be written" in one_line_error(sessionlab("report", "--sample", "-o", tmp_path / "x.html"), 2)
    finally:
        tmp_path.chmod(0o700)


def test_the_kept_notebook_is_checked_like_the_page(tmp_path: Path) -> None:
    done = sessionlab("report", "--sample", "-o", tmp_path / "x.html", "--keep-notebook", tmp_path / "none" / "x.ipynb")
    assert str(tmp_path / "none" / "x.ipynb") in one_line_error(done, 2)


def test_load_never_advises_to_remove_a_file_that_is_not_a_mirror(tmp_path: Path) -> None:
    (tmp_path / "mine.json").write_text('{"a": 1')
    error = one_line_error(sessionlab("load", SAMPLE, "-o", tmp_path / "mine.json"), 2)
    assert "is not a mirror of sessionlab's" in error
    assert "name another file" in error
    assert "remove" not in error


def test_load_says_how_bad_the_problems_are_and_how_to_see_them(tmp_path: Path) -> None:
    mirror = tmp_path / "my mirror.duckdb"
    text = sessionlab("load", SAMPLE, "-o", mirror).stdout
    assert "problems: 12 warnings" in text
    command = shlex.split(text.splitlines()[-1])
    assert command == ["sessionlab", "query", "problems", "--mirror", str(mirror)]
    assert sessionlab(*command[1:]).returncode == 0
    (tmp_path / "sessions.json").write_text("{}")
    assert "no problems" in sessionlab("load", tmp_path / "sessions.json", "-o", tmp_path / "other.duckdb").stdout


def test_printed_commands_can_be_pasted(tmp_path: Path) -> None:
    state = one_session(tmp_path / "it's my state")
    for done in (sessionlab("info", state), sessionlab(OPENCLAW_STATE_DIR=str(state))):
        assert shlex.split(done.stdout.splitlines()[-1])[:5] == ["sessionlab", "report", "growth", "--state-dir", str(state)]
    made = sessionlab("synth", tmp_path / "a b", "--sessions", "1", "--no-flaws")
    assert str(tmp_path / "a b") in shlex.split(made.stdout.splitlines()[-1])


def test_query_says_what_a_question_takes_and_returns() -> None:
    described = sessionlab("query", "biggest_sessions", "--describe").stdout
    assert "limit  whole number  how many; 20 when not given" in described
    assert " bytes          size of the entry" in described
    assert "agent kind limit" in sessionlab("query").stdout
    found = printed_json(sessionlab("query", "biggest_sessions", "--describe", "--json"))
    assert [param["name"] for param in found["parameters"]] == ["agent", "kind", "limit"]
    listed = printed_json(sessionlab("query", "--json"))["queries"]
    assert found["parameters"] in [query["parameters"] for query in listed]


def test_a_single_row_is_printed_as_one_line_for_each_value() -> None:
    lines = sessionlab("query", "overview", "--sample").stdout.splitlines()
    assert lines[0].split() == ["agents", "3", "agents"]
    alone = sessionlab("query", "overview", "--sample", "--agent", "ops").stdout.splitlines()
    assert alone[0].split() == ["agents", "1", "agent"]
    assert max(map(len, lines)) < 80
    assert next(line for line in lines if line.startswith("entry_bytes")).endswith("bytes (1.0 MB)")
    assert next(line for line in lines if line.startswith("cost_microusd")).split()[1].startswith("$")


def test_mistakes_are_answered_with_what_to_write() -> None:
    assert "Did you mean 'info'" in one_line_error(sessionlab("inof"), 2)
    assert "only one of --csv and --json" in sessionlab("query", "overview", "--csv", "--json").stderr
    assert "--no-flaws" in one_line_error(sessionlab("synth", "/nope", "--sessions", "5"), 2)
    assert "10 no store" in sessionlab("--help").stdout
