"""The command line as a program: what it prints where, and what it exits with."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from sessionlab.cli import _COMMANDS
from sessionlab.lab import queries
from sessionlab.stores import locate, open_at
from tests.cli.made_states import made_state, some_sessions
from tests.cli.program import ROOT, SAMPLE, one_line_error, printed_json, sessionlab
from tests.fixture_states import STATES, STORE, own_state, photo, shared_state


def test_bare_command_names_the_stores_found_and_what_to_do_next() -> None:
    done = sessionlab(OPENCLAW_STATE_DIR=str(SAMPLE))
    assert done.returncode == 0
    assert "holds 3 session stores" in done.stdout
    assert "161 sessions" in done.stdout
    assert f"sessionlab report growth --state-dir {SAMPLE}" in done.stdout
    assert [store["count"] for store in printed_json(sessionlab("--json", OPENCLAW_STATE_DIR=str(SAMPLE)))["stores"]] == [90, 161, 49]


def test_bare_command_without_any_store_is_no_error(tmp_path: Path) -> None:
    done = sessionlab(HOME=str(tmp_path))
    assert done.returncode == 0
    assert str(tmp_path / ".openclaw") in done.stdout
    assert "sessionlab report" in done.stdout
    assert printed_json(sessionlab("--json", HOME=str(tmp_path)))["stores"] == []


def test_bare_command_lists_a_store_that_cannot_be_read_beside_the_others(tmp_path: Path) -> None:
    state = Path(shutil.copytree(SAMPLE, tmp_path / "state"))
    (state / "agents/ops/sessions/sessions.json").write_text('{"a": 1')
    done = sessionlab(OPENCLAW_STATE_DIR=str(state))
    assert done.returncode == 0
    assert "cannot be read" in done.stdout
    assert "truncated" in done.stdout
    assert "90 sessions" in done.stdout


def test_help_lists_every_command_and_every_command_has_help_and_json() -> None:
    done = sessionlab("--help")
    assert done.returncode == 0
    for name, summary in _COMMANDS.items():
        assert f"{name} " in done.stdout
        assert summary in " ".join(done.stdout.split())
        own = sessionlab(*{"report": ["report", "growth"], "memory": ["memory", "stats"]}.get(name, [name]), "--help")
        assert own.returncode == 0
        assert "--json" in own.stdout


@pytest.mark.parametrize("name", STATES)
def test_info_describes_a_store_and_its_fingerprint_is_the_stores_own(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    state = shared_state(name, tmp_path_factory)
    (location,) = locate(state)
    with open_at(location) as store:
        stats, fingerprint = store.stats(), store.fingerprint().sha256
    before = photo(state)
    for path in (state, location.path):
        found = printed_json(sessionlab("info", path, "--json"))
        expected = {"kind": stats.kind, "count": 65, "bytes": stats.store_bytes, "fingerprint": fingerprint}
        assert {name: found[name] for name in expected} == expected
        assert found["stores"][0]["path"] == str(location.path)
    text = sessionlab("info", state).stdout
    assert f"{location.path}\n" in text
    assert "sessions  65" in text
    assert photo(state) == before


def test_info_of_several_stores_adds_them_up_and_agent_chooses_one() -> None:
    found = printed_json(sessionlab("info", SAMPLE, "--json"))
    assert found["count"] == sum(store["count"] for store in found["stores"]) == 300
    assert found["bytes"] == sum(store["bytes"] for store in found["stores"])
    assert found["kind"] == "json"
    one = printed_json(sessionlab("info", "--state-dir", SAMPLE, "--agent", "ops", "--json"))
    assert one["count"] == 161
    assert one["fingerprint"] == found["stores"][1]["fingerprint"] != found["fingerprint"]


def test_info_honours_the_state_dir_variable() -> None:
    assert printed_json(sessionlab("info", "--json", OPENCLAW_STATE_DIR=str(SAMPLE)))["count"] == 300


def test_missing_and_wrong_paths_are_one_line_with_exit_code_ten(tmp_path: Path) -> None:
    assert "there is no such file or folder" in one_line_error(sessionlab("info", tmp_path / "nothing"), 10)
    assert "holds no session store" in one_line_error(sessionlab("info", tmp_path), 10)
    assert "no store of agent 'nobody'" in one_line_error(sessionlab("info", SAMPLE, "--agent", "nobody"), 10)
    (tmp_path / "agents").write_text("a file where a folder should be")
    assert "agents" in one_line_error(sessionlab("info", tmp_path), 10)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"a": {"sessionId": "x"', "truncated"),
        ("[1, 2]", "an array"),
        ('{"a": {}, "a": {}}', "written twice"),
        ('{"a": {"b": NaN}}', "NaN"),
    ],
)
def test_a_store_that_is_not_strict_json_is_one_line_with_exit_code_three(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "sessions.json"
    path.write_text(text)
    commands: tuple[list[str | Path], ...] = (["info", path, "--json"], ["load", path, "-o", tmp_path / "x.duckdb"])
    for command in commands:
        done = sessionlab(*command)
        assert done.returncode == 3
        assert len(done.stderr.splitlines()) == 1
        assert str(path) in done.stderr
        assert "line 1" in done.stderr
        assert words in done.stderr
    assert not (tmp_path / "x.duckdb").exists()


def test_unknown_schema_version_exits_with_twelve(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    state = own_state("sqlite-2026.9", tmp_path_factory, tmp_path)
    with sqlite3.connect(state / STORE) as con:
        con.execute("PRAGMA user_version = 99")
        con.execute("UPDATE schema_meta SET schema_version = 99")
    con.close()
    assert "99" in one_line_error(sessionlab("info", state), 12)
    assert "99" in one_line_error(sessionlab("load", state, "-o", tmp_path / "x.duckdb"), 12)


def test_errors_with_json_are_an_object_on_stdout_too(tmp_path: Path) -> None:
    done = sessionlab("info", tmp_path / "nothing", "--json")
    assert done.returncode == 10
    error = json.loads(done.stdout)["error"]
    assert error["type"] == "NoStoreError"
    assert error["exit_code"] == 10
    assert error["message"] in done.stderr


def test_usage_errors_exit_with_two_and_point_to_the_help() -> None:
    assert "see 'sessionlab --help'" in one_line_error(sessionlab("frobnicate"), 2)
    assert "see 'sessionlab info --help'" in one_line_error(sessionlab("info", "--frobnicate"), 2)
    assert "not both" in one_line_error(sessionlab("info", SAMPLE, "--state-dir", SAMPLE), 2)


def test_load_makes_a_mirror_and_the_second_load_says_that_nothing_changed(tmp_path: Path) -> None:
    mirror = tmp_path / "mirror.duckdb"
    first = printed_json(sessionlab("load", SAMPLE, "-o", mirror, "--json"))
    assert (first["sessions"], first["is_unchanged"]) == (300, False)
    second = sessionlab("load", SAMPLE, "-o", mirror)
    assert "nothing changed" in second.stdout
    with duckdb.connect(str(mirror), read_only=True) as con:
        assert con.execute("SELECT count(*) FROM sessions").fetchall() == [(300,)]


def test_load_takes_one_store_or_one_agent(tmp_path: Path) -> None:
    store = SAMPLE / "agents" / "ops" / "sessions" / "sessions.json"
    assert printed_json(sessionlab("load", store, "-o", tmp_path / "a.duckdb", "--json"))["sessions"] == 161
    assert printed_json(sessionlab("load", SAMPLE, "--agent", "ops", "-o", tmp_path / "b.duckdb", "--json"))["sessions"] == 161


def test_load_refuses_to_replace_what_is_no_mirror(tmp_path: Path) -> None:
    target = tmp_path / "precious.txt"
    target.write_text("precious")
    assert str(target) in one_line_error(sessionlab("load", SAMPLE, "-o", target), 2)
    assert target.read_text() == "precious"


def test_query_lists_the_questions_and_answers_one_in_every_form(tmp_path: Path) -> None:
    listed = sessionlab("query")
    assert [line.split()[0] for line in listed.stdout.splitlines()] == list(queries.names())
    rows = printed_json(sessionlab("query", "bytes_by_kind", "--json"))["rows"]
    assert sum(row["sessions"] for row in rows) == 300
    csv = sessionlab("query", "bytes_by_kind", "--csv").stdout.splitlines()
    assert len(csv) == len(rows) + 1
    assert csv[0].startswith("kind,sessions,entry_bytes")
    mirror = tmp_path / "m.duckdb"
    sessionlab("load", SAMPLE, "-o", mirror)
    assert printed_json(sessionlab("query", "bytes_by_kind", "--mirror", mirror, "--json"))["rows"] == rows
    ops = printed_json(sessionlab("query", "bytes_by_kind", "--mirror", mirror, "--agent", "ops", "--json"))["rows"]
    assert sum(row["sessions"] for row in ops) == 161


def test_query_refuses_unknown_names_and_values() -> None:
    assert "there are activity_daily" in one_line_error(sessionlab("query", "nothing"), 2)
    assert "no parameter 'frob'" in one_line_error(sessionlab("query", "bytes_by_kind", "--sample", "-p", "frob=1"), 2)
    assert "whole number" in one_line_error(sessionlab("query", "biggest_sessions", "-p", "limit=ten"), 2)
    assert "NAME=VALUE" in one_line_error(sessionlab("query", "biggest_sessions", "-p", "limit"), 2)


def test_synth_writes_a_folder_that_info_reads_and_refuses_to_touch_a_full_one(tmp_path: Path) -> None:
    folder = tmp_path / "made"
    made = printed_json(sessionlab("synth", folder, "--sessions", "80", "--seed", "7", "--json"))
    assert made["sessions"] == 80
    assert printed_json(sessionlab("info", folder, "--json"))["count"] == 80
    before = photo(folder)
    assert "empty" in one_line_error(sessionlab("synth", folder), 2)
    assert photo(folder) == before


def test_run_executes_notebooks_and_a_failure_does_not_stop_the_others(tmp_path: Path) -> None:
    done = sessionlab("run", "99_template", "-o", tmp_path / "out", "--json")
    assert printed_json(done)["notebooks"][0]["ok"] is True
    assert (tmp_path / "out" / "99_template.ipynb").is_file()
    broken = json.loads((tmp_path / "out" / "99_template.ipynb").read_text())
    broken["cells"][-1]["source"] = "raise RuntimeError('by design')"
    (tmp_path / "broken.ipynb").write_text(json.dumps(broken))
    done = sessionlab("run", tmp_path / "broken.ipynb", "99_template", "-o", tmp_path / "again", "--json")
    assert done.returncode == 1
    assert [notebook["ok"] for notebook in json.loads(done.stdout)["notebooks"]] == [False, True]
    assert "by design" in done.stderr
    assert (tmp_path / "again" / "broken.ipynb").is_file()


def test_run_refuses_unknown_notebooks_and_parameters(tmp_path: Path) -> None:
    assert "01_growth" in one_line_error(sessionlab("run", "17_nothing"), 2)
    done = sessionlab("run", "99_template", "-p", "frob=1", "-o", tmp_path)
    assert done.returncode == 2
    assert "frob" in done.stderr


def test_report_of_a_state_folder_names_its_file_its_record_and_a_store_that_disagrees(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    state = own_state("sqlite-2026.9", tmp_path_factory, tmp_path)
    older = made_state(state, "json", some_sessions()) / "agents/main/sessions/sessions.json"
    output = tmp_path / "growth.html"
    command: list[str | Path] = [
        "report",
        "growth",
        "--state-dir",
        state,
        "-o",
        output,
        "--limit",
        "200mb",
        "--now-ms",
        "1795132800000",
        "--json",
    ]
    found = printed_json(sessionlab(*command))
    assert found["path"] == str(output)
    assert output.stat().st_size == found["bytes"] < 6_000_000
    assert found["record"]["agents"][0]["sessions"] == 65
    page = output.read_text(encoding="utf-8")
    assert "prompt" in page
    (warning,) = found["warnings"]
    assert f"two stores disagree: this one was read (65 sessions), {older} was not (3 sessions), and nothing says which" in warning
    assert "two stores disagree: the SQLite store was read, the sessions of sessions.json are not counted" in page


def test_report_refuses_bad_parameters_before_it_runs_anything(tmp_path: Path) -> None:
    output = tmp_path / "x.html"
    assert "frob" in one_line_error(sessionlab("report", "growth", "--sample", "-o", output, "-p", "frob=1"), 2)
    assert "stale_days" in one_line_error(sessionlab("report", "growth", "--sample", "-o", output, "-p", "stale_days=many"), 2)
    assert one_line_error(sessionlab("report", "growth", "--sample", "-o", output, "--limit", "huge"), 2)
    assert one_line_error(sessionlab("report", "growth", "--state-dir", tmp_path / "nothing", "-o", output), 10)
    assert not output.exists()


def test_lab_opens_the_notebooks_in_place_or_on_a_copy(tmp_path: Path) -> None:
    assert printed_json(sessionlab("lab", "--json"))["folder"] == str(ROOT / "notebooks")
    copy = tmp_path / "mine"
    found = printed_json(sessionlab("lab", "--dir", copy, "--json", "--no-browser"))
    assert found["command"][-1] == "--no-browser"
    assert {path.name for path in copy.iterdir()} >= {"00_quickstart.ipynb", "01_growth.ipynb"}


def test_info_lists_the_other_agents_when_one_cannot_be_read_and_exits_with_its_code(tmp_path: Path) -> None:
    state = Path(shutil.copytree(SAMPLE, tmp_path / "state"))
    (state / "agents/ops/sessions/sessions.json").write_text('{"a": 1')
    done = sessionlab("info", state)
    assert done.returncode == 3
    assert "sessions  90" in done.stdout
    assert len(done.stderr.splitlines()) == 1
    assert "ops" in done.stderr
    found = json.loads(sessionlab("info", state, "--json").stdout)
    assert ["error" in store for store in found["stores"]] == [False, True, False]
    assert "count" not in found


def test_agents_that_lost_their_store_are_named(tmp_path: Path) -> None:
    state = Path(shutil.copytree(SAMPLE, tmp_path / "state"))
    (state / "agents/ops/sessions/sessions.json").unlink()
    assert "no session store, of: ops." in sessionlab("info", state).stdout
    assert "no session store, of: ops." in sessionlab(OPENCLAW_STATE_DIR=str(state)).stdout
    assert printed_json(sessionlab("info", state, "--json"))["agents_without_store"] == ["ops"]


def test_bare_command_says_when_the_variable_names_no_state_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "is not a folder" in one_line_error(sessionlab(OPENCLAW_STATE_DIR=str(tmp_path / "file")), 10)
    assert "there is no such file or folder" in one_line_error(sessionlab(OPENCLAW_STATE_DIR=str(tmp_path / "gone")), 10)


def test_blank_path_is_a_mistake_and_not_the_sample(tmp_path: Path) -> None:
    assert "PATH is blank" in one_line_error(sessionlab("load", "", "-o", tmp_path / "x.duckdb"), 2)
    assert "PATH is blank" in one_line_error(sessionlab("info", " "), 2)
    assert "--state-dir is blank" in one_line_error(sessionlab("query", "overview", "--state-dir", ""), 2)
    assert "--state-dir is blank" in one_line_error(sessionlab("report", "growth", "--state-dir", "", "-o", tmp_path / "x.html"), 2)


def test_query_honours_the_state_dir_variable(tmp_path: Path) -> None:
    folder = tmp_path / "agents/main/sessions"
    folder.mkdir(parents=True)
    (folder / "sessions.json").write_text('{"agent:main:main": {"sessionId": "a", "updatedAt": 1}}')
    rows = printed_json(sessionlab("query", "bytes_by_kind", "--json", OPENCLAW_STATE_DIR=str(tmp_path)))["rows"]
    assert sum(row["sessions"] for row in rows) == 1
    rows = printed_json(sessionlab("query", "bytes_by_kind", "--sample", "--json", OPENCLAW_STATE_DIR=str(tmp_path)))["rows"]
    assert sum(row["sessions"] for row in rows) == 300


def test_query_of_a_file_that_is_no_mirror_is_one_line(tmp_path: Path) -> None:
    other = tmp_path / "other.duckdb"
    duckdb.connect(str(other)).close()
    assert "is no mirror" in one_line_error(sessionlab("query", "overview", "--mirror", other), 2)


def test_path_that_is_not_utf8_is_shown_escaped(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"caf\xe9")
    path.mkdir()
    (path / "sessions.json").write_bytes(b"{}")
    assert "caf\\udce9" in sessionlab("info", path, PYTHONUTF8="1").stdout
    assert printed_json(sessionlab("info", path, "--json", PYTHONUTF8="1"))["path"] == str(path)


def test_path_beyond_what_a_system_takes_is_one_line() -> None:
    assert "cannot be looked at" in one_line_error(sessionlab("info", "x/" * 2500), 10)


def test_report_alone_takes_json_and_a_bad_day_is_a_usage_error(tmp_path: Path) -> None:
    error = json.loads(sessionlab("report", "--json", OPENCLAW_STATE_DIR=str(tmp_path / "gone")).stdout)["error"]
    assert error["type"] == "NoStoreError"
    for option in ("--since", "--until"):
        done = sessionlab("report", "growth", "--sample", option, "2026-13-01", "-o", tmp_path / "x.html")
        assert "2026-13-01" in one_line_error(done, 2)


@pytest.mark.parametrize(("message", "code"), [("Query interrupted", 130), ("something else", 1)])
def test_interrupted_query_exits_as_interrupted(message: str, code: int) -> None:
    script = f"import sessionlab.cli as cli\ndef fail(**_): raise RuntimeError({message!r})\ncli.main_group.main = fail\ncli.main()"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == code
    assert (done.stderr == "sessionlab: interrupted\n") == (code == 130)
