"""What a command looks at, and in which form it answers, when that is said elsewhere than among its own options."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.program import SAMPLE, one_line_error, printed_json, sessionlab

SAMPLE_LINE = "this is the bundled sample. For another folder: --state-dir DIR"


def one_session(state: Path) -> Path:
    """Make a state folder with one session."""
    store = state / "agents/main/sessions/sessions.json"
    store.parent.mkdir(parents=True)
    store.write_text('{"agent:main:main": {"sessionId": "a", "updatedAt": 1}}')
    return state


def test_query_answers_from_the_usual_folder_and_else_from_the_sample_and_says_so(tmp_path: Path) -> None:
    ask = ("query", "overview", "--json")
    nothing = sessionlab(*ask, HOME=str(tmp_path))
    assert printed_json(nothing)["rows"][0]["sessions"] == 300
    assert nothing.stderr == f"There is no {tmp_path / '.openclaw'}: {SAMPLE_LINE}\n"
    one_session(tmp_path / ".openclaw")
    usual = sessionlab(*ask, HOME=str(tmp_path))
    assert (printed_json(usual)["rows"][0]["sessions"], usual.stderr) == (1, "")
    asked_for = sessionlab(*ask, "--sample", HOME=str(tmp_path))
    assert (printed_json(asked_for)["rows"][0]["sessions"], asked_for.stderr) == (300, "")


def test_a_variable_that_leads_nowhere_is_named(tmp_path: Path) -> None:
    gone = str(tmp_path / "gone")
    commands: tuple[tuple[str, ...], ...] = ((), ("info",), ("query", "overview"), ("report",), ("report", "growth"))
    for command in commands:
        assert "it is what $OPENCLAW_STATE_DIR names" in one_line_error(sessionlab(*command, OPENCLAW_STATE_DIR=gone), 10)


def test_a_path_that_leads_nowhere_gets_no_advice_about_options() -> None:
    assert one_line_error(sessionlab("info", "/nope"), 10) == "sessionlab: /nope: there is no such file or folder"


def test_report_without_a_name_takes_the_options_of_growth(tmp_path: Path) -> None:
    assert "is a folder" in one_line_error(sessionlab("report", "-o", tmp_path), 2)
    assert "no such file" in one_line_error(sessionlab("report", "--state-dir", tmp_path / "gone", "-o", tmp_path / "x.html"), 10)
    assert "2026-13-01" in one_line_error(sessionlab("report", "--sample", "--since", "2026-13-01", "-o", tmp_path / "x.html"), 2)
    assert "Did you mean 'growth'" in one_line_error(sessionlab("report", "grwth"), 2)
    assert "growth" in sessionlab("report", "--help").stdout
    assert "--limit" in sessionlab("report", "-o", "x", "--help").stdout


def test_report_has_one_name_for_the_state_folder(tmp_path: Path) -> None:
    done = sessionlab("report", "--sample", "-p", f"state_dir={tmp_path}", "-o", tmp_path / "x.html")
    assert "--state-dir" in one_line_error(done, 2)


def test_json_may_be_asked_for_before_the_command() -> None:
    assert printed_json(sessionlab("--json", "info", SAMPLE))["count"] == 300
    for command in (("--json", "report"), ("report", "--json"), ("report", "--json", "growth"), ("--json", "report", "growth", "--json")):
        done = sessionlab(*command, OPENCLAW_STATE_DIR="/nope")
        assert json.loads(done.stdout)["error"]["exit_code"] == done.returncode == 10
    assert "only one of --csv and --json" in sessionlab("--json", "query", "overview", "--csv").stderr


def test_a_notebooks_path_is_the_callers_and_its_error_keeps_its_code(tmp_path: Path) -> None:
    one_session(tmp_path / "mine")
    done = sessionlab("run", "00_quickstart", "-p", "state_dir=mine", "-o", "out", "--json", cwd=tmp_path)
    assert printed_json(done)["notebooks"][0]["ok"] is True
    assert str(tmp_path / "mine") in (tmp_path / "out/00_quickstart.ipynb").read_text()
    assert done.stderr == ""
    done = sessionlab("run", "00_quickstart", "-p", "state_dir=gone", "-o", "out", cwd=tmp_path)
    assert done.returncode == 10
    assert f"NoStoreError: {tmp_path / 'gone'}" in done.stderr


def test_notebooks_keep_their_own_default_and_say_so_where_there_is_a_usual_folder(tmp_path: Path) -> None:
    usual = one_session(tmp_path / ".openclaw")
    done = sessionlab("run", "99_template", "-o", tmp_path / "out", HOME=str(tmp_path))
    assert done.returncode == 0
    assert done.stderr.startswith("99_template: with the default of state_dir, the bundled sample; ")
    assert done.stderr.endswith(f" -p state_dir={usual}\n")
    assert "161" in (tmp_path / "out/99_template.ipynb").read_text(encoding="utf-8")


@pytest.mark.parametrize("text", ["", " \n\n"])
def test_info_warns_of_a_blank_store(text: str, tmp_path: Path) -> None:
    (tmp_path / "agents/main/sessions").mkdir(parents=True)
    (tmp_path / "agents/main/sessions/sessions.json").write_text(text)
    assert "the store file is blank" in sessionlab("info", tmp_path).stdout
    assert "the store file is blank" in sessionlab(OPENCLAW_STATE_DIR=str(tmp_path)).stdout
    (warning,) = printed_json(sessionlab("info", tmp_path, "--json"))["stores"][0]["warnings"]
    assert "restore a backup" in warning
    assert printed_json(sessionlab("info", SAMPLE, "--json"))["stores"][0]["warnings"] == []
