"""`sessionlab list`: which sessions, in which order and form."""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sessionlab import keys
from sessionlab.lab.session import open_lab
from tests.cli.made_states import KINDS, made_state, some_sessions, store_path
from tests.cli.program import ROOT, SAMPLE, one_line_error, printed_json, sessionlab
from tests.fixture_states import STATES, photo, shared_state

SAMPLE_NOW_MS = 1_795_132_800_000
DAY_MS = 86_400_000
NOT_IN_THE_MIRROR = {"thread_id", "started_ms", "ended_ms", "session_file"}
# The mirror takes the first event of the transcript where there is one.
OTHERWISE_IN_THE_MIRROR = {"created_ms"}


def listed(*arguments: str | Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = printed_json(sessionlab("list", *arguments, "--json"))["sessions"]
    return rows


def sample_sessions() -> list[tuple[int, str, dict[str, Any]]]:
    """Return (time, key, entry) of the sample's sessions as its files say, the newest first; one without a time is the last."""
    sessions = [
        (entry.get("updatedAt", -1), key, entry)
        for store in SAMPLE.glob("agents/*/sessions/sessions.json")
        for key, entry in json.loads(store.read_bytes()).items()
    ]
    return sorted(sessions, key=lambda session: (-session[0], session[1]))


def test_newest_first_over_all_agents() -> None:
    found = printed_json(sessionlab("list", SAMPLE, "--json"))
    wanted = sample_sessions()
    assert [row["session_key"] for row in found["sessions"]] == [key for _, key, _ in wanted]
    assert [row["session_id"] for row in found["sessions"]] == [entry["sessionId"] for _, _, entry in wanted]
    assert (found["total"], found["path"], found["errors"]) == (300, str(SAMPLE), [])
    ops = [row["session_key"] for row in listed(SAMPLE, "--agent", "ops")]
    assert ops == [key for _, key, _ in wanted if key.startswith("agent:ops:")]
    assert listed(SAMPLE / "agents/ops") == listed(store_path(SAMPLE, "json", agent="ops")) == listed(SAMPLE, "--agent", "ops")


def test_columns_are_the_mirrors() -> None:
    rows = listed(SAMPLE)
    with open_lab(SAMPLE) as lab:
        names = [name for name in rows[0] if name not in NOT_IN_THE_MIRROR | OTHERWISE_IN_THE_MIRROR]
        mirrored = lab.con.execute(f"SELECT {', '.join(names)} FROM sessions ORDER BY agent_id, session_key").fetchall()
    ours = sorted(rows, key=lambda row: (row["agent_id"], row["session_key"]))
    assert [tuple(row[name] for name in names) for row in ours] == mirrored


@pytest.mark.parametrize("name", STATES)
def test_stores_of_openclaw_are_listed_and_left_as_they_are(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    state = shared_state(name, tmp_path_factory)
    before = photo(state)
    assert len(listed(state)) == 65
    assert len(sessionlab("list", state).stdout.splitlines()) == 66
    assert photo(state) == before


@pytest.mark.parametrize("kind", KINDS)
def test_our_stores_are_listed_alike_and_left_as_they_are(kind: str, tmp_path: Path) -> None:
    state = made_state(tmp_path, kind, some_sessions())
    before = photo(state)
    done = sessionlab("list", state)
    assert done.stdout.splitlines() == [
        "updated (UTC)     kind    channel   model  tokens  key",
        "2026-11-20 00:02  direct  telegram                 agent:main:telegram:direct:2",
        "2026-11-20 00:01  direct  telegram                 agent:main:telegram:direct:1",
        "2026-11-20 00:00  direct  telegram                 agent:main:telegram:direct:0",
    ]
    assert done.stderr == ""
    assert listed(state) == listed(store_path(state, kind))
    assert photo(state) == before


def test_several_agents_have_a_column_and_keys_are_whole_where_nobody_looks() -> None:
    lines = sessionlab("list", SAMPLE, "--kind", "cron-run", "--limit", "2").stdout.splitlines()
    assert lines[0].split() == ["updated", "(UTC)", "agent", "kind", "channel", "model", "tokens", "key"]
    assert lines[1].split()[2:4] == ["ops", "cron-run"]
    key = listed(SAMPLE, "--kind", "cron-run")[0]["session_key"]
    assert lines[1].endswith(f"  12,031  {key}")
    assert len(key) == 92


def test_filters_by_kind_and_channel() -> None:
    every = listed(SAMPLE)
    for kind in ("cron", "cron-run", "direct"):
        assert listed(SAMPLE, "--kind", kind.upper()) == [row for row in every if row["kind"] == kind] != []
    telegram = listed(SAMPLE, "--channel", "Telegram")
    assert telegram == [row for row in every if row["channel"] == "telegram"]
    assert listed(SAMPLE, "--channel", "telegram", "--kind", "thread") == [row for row in telegram if row["kind"] == "thread"]
    nothing = sessionlab("list", SAMPLE, "--channel", "pigeon")
    assert (nothing.returncode, nothing.stdout, nothing.stderr) == (0, "", "no session matches\n")


def test_channel_is_the_keys_where_the_entry_names_none(tmp_path: Path) -> None:
    state = made_state(tmp_path, "json", some_sessions(count=1))
    assert [row["channel"] for row in listed(state, "--channel", "telegram")] == ["telegram"]


def test_active_since_takes_ages_and_days() -> None:
    every = listed(SAMPLE)

    def since(ms: int) -> list[dict[str, Any]]:
        return [row for row in every if row["updated_ms"] is not None and row["updated_ms"] >= ms]

    week = since(SAMPLE_NOW_MS - 7 * DAY_MS)
    assert 0 < len(week) < len(every)
    for text in ("7d", "7", "168h", "2026-11-13", "2026-11-13T00:00", "2026-11-13T01:00+01:00"):
        assert listed(SAMPLE, "--active-since", text) == week, text
    far_away = sessionlab("list", SAMPLE, "--active-since", "2026-11-13", "--json", TZ="Pacific/Auckland")
    assert printed_json(far_away)["sessions"] == week
    newest = every[0]["updated_ms"]
    assert listed(SAMPLE, "--active-since", "0", "--now-ms", str(newest)) == every[:1]
    assert listed(SAMPLE, "--active-since", "0", "--now-ms", str(newest + 1)) == []
    # One that does not say when it was used is listed last, and was not active since any time.
    assert every[-1]["updated_ms"] is None
    assert len(listed(SAMPLE, "--active-since", "1970-01-01")) == 299


def test_real_folder_is_seen_from_now(tmp_path: Path) -> None:
    sessions = {"agent:main:main": {"sessionId": "a", "updatedAt": 4_102_444_800_000}, "agent:main:old": {"sessionId": "b", "updatedAt": 1}}
    state = made_state(tmp_path, "json", sessions)
    assert [row["session_id"] for row in listed(state, "--active-since", "1m")] == ["a"]


def test_bare_number_is_days_as_the_help_says() -> None:
    ask = ("--now-ms", str(SAMPLE_NOW_MS), "--active-since")
    assert listed(SAMPLE, *ask, "7") == listed(SAMPLE, *ask, "7d") != listed(SAMPLE)
    assert "7d (or 7)" in sessionlab("list", "--help").stdout


def test_limit_shows_the_newest_and_says_what_it_left_out() -> None:
    done = sessionlab("list", SAMPLE, "--limit", "8")
    assert (len(done.stdout.splitlines()), done.stderr) == (9, "8 of 300 sessions\n")
    found = sessionlab("list", SAMPLE, "--limit", "8", "--json")
    assert found.stderr == ""
    assert json.loads(found.stdout)["total"] == 300
    assert [row["session_key"] for row in json.loads(found.stdout)["sessions"]] == [key for _, key, _ in sample_sessions()[:8]]
    ops = sessionlab("list", SAMPLE, "--agent", "ops", "--kind", "cron-run", "--limit", "1")
    total = len(listed(SAMPLE, "--agent", "ops", "--kind", "cron-run"))
    assert 1 < total < 161
    assert ops.stderr == f"1 of {total} sessions\n"
    assert sessionlab("list", SAMPLE, "--limit", "300").stderr == ""


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--limit", "0", "--limit 0: give 1 or more"),
        ("--limit", "-3", "--limit -3: give 1 or more"),
        ("--limit", "ten", "'ten' is not a valid integer"),
        ("--kind", "frob", ", ".join(map(repr, keys.KINDS))),
        ("--active-since", "soon", "--active-since 'soon': is no time; write an age such as 7d"),
        ("--active-since", "-3d", "is no time"),
        ("--active-since", "", "is no time"),
        ("--active-since", "2026-13-01", "is no time"),
        ("--active-since", "20261101", "lies before 1970"),
    ],
)
def test_mistakes_are_one_line_with_exit_code_two(option: str, value: str, words: str) -> None:
    assert words in one_line_error(sessionlab("list", SAMPLE, option, value), 2)


def test_no_store_and_no_such_agent_are_one_line_with_exit_code_ten(tmp_path: Path) -> None:
    assert "holds no session store" in one_line_error(sessionlab("list", tmp_path), 10)
    assert "there are main, ops, research" in one_line_error(sessionlab("list", SAMPLE, "--agent", "nobody"), 10)
    assert "it is what $OPENCLAW_STATE_DIR names" in one_line_error(sessionlab("list", OPENCLAW_STATE_DIR=str(tmp_path / "gone")), 10)
    assert "not both" in one_line_error(sessionlab("list", SAMPLE, "--state-dir", SAMPLE), 2)
    assert len(printed_json(sessionlab("list", "--json", OPENCLAW_STATE_DIR=str(SAMPLE)))["sessions"]) == 300


def test_empty_store_is_no_error(tmp_path: Path) -> None:
    state = made_state(tmp_path, "json", {})
    done = sessionlab("list", state)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "no sessions\n")
    assert printed_json(sessionlab("list", state, "--json"))["sessions"] == []


def test_store_that_cannot_be_read_does_not_hide_the_others_and_nothing_is_added_up(tmp_path: Path) -> None:
    state = Path(shutil.copytree(SAMPLE, tmp_path / "state"))
    store_path(state, "json", agent="ops").write_text('{"a": 1')
    done = sessionlab("list", state, "--json")
    found = json.loads(done.stdout)
    assert done.returncode == 3
    assert len(found["sessions"]) == 139
    assert "total" not in found
    (error,) = found["errors"]
    assert done.stderr == f"sessionlab: {error}\n"
    assert "agents/ops" in error
    alone = sessionlab("list", state, "--agent", "ops", "--json")
    assert (alone.returncode, json.loads(alone.stdout)["error"]["type"]) == (3, "InvalidJSONError")


def test_two_stores_of_one_agent_are_not_chosen_between(tmp_path: Path) -> None:
    made_state(tmp_path, "json", some_sessions())
    made_state(tmp_path, "sqlite", some_sessions(count=2))
    made_state(tmp_path, "json", some_sessions(agent="ops"), agent="ops")
    before = photo(tmp_path)
    done = sessionlab("list", tmp_path)
    assert done.returncode == 4
    assert len(done.stdout.splitlines()) == 4
    assert len(done.stderr.splitlines()) == 1
    assert f"{store_path(tmp_path, 'json')} (3) and {store_path(tmp_path, 'sqlite')} (2)" in done.stderr
    assert photo(tmp_path) == before


def on_terminal(*arguments: str | Path, columns: int) -> list[str]:
    """Return the lines that a command writes to a terminal of that width."""
    controller, terminal = pty.openpty()
    command = [sys.executable, "-m", "sessionlab", *map(str, arguments)]
    environment = {**os.environ, "COLUMNS": str(columns)}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=terminal, stderr=subprocess.PIPE):
        os.close(terminal)
        pieces = []
        try:
            while piece := os.read(controller, 65536):
                pieces.append(piece)
        except OSError:  # Linux says so when the other side has closed
            pass
    os.close(controller)
    return b"".join(pieces).decode().splitlines()


def test_lines_fit_a_terminal_of_a_hundred_columns_and_keys_keep_both_ends() -> None:
    lines = on_terminal("list", SAMPLE, "--kind", "cron-run", "--limit", "20", columns=100)
    assert len(lines) == 21
    assert max(map(len, lines)) == 100
    assert all(re.search(r"  agent:\S{3,}\.\.\.\S{8,}$", line) for line in lines[1:])
    whole = on_terminal("list", SAMPLE, "--kind", "cron-run", "--limit", "20", columns=200)
    assert not any("..." in line for line in whole)


@pytest.mark.parametrize(("columns", "left_out"), [(80, {"model"}), (60, {"model", "channel", "kind"}), (50, {"model", "tokens"})])
def test_narrow_terminal_has_fewer_columns_and_the_key_stays(columns: int, left_out: set[str]) -> None:
    lines = on_terminal("list", SAMPLE, "--limit", "20", columns=columns)
    assert max(map(len, lines)) <= columns
    assert left_out.isdisjoint(lines[0].split())
    assert lines[0].split()[:3] == ["updated", "(UTC)", "agent"]
    assert lines[0].split()[-1] == "key"
    assert all(len(line.split()[-1]) >= 10 for line in lines[1:])


def test_text_of_a_store_cannot_command_the_terminal(tmp_path: Path) -> None:
    sessions = {"agent:main:\x1b[31mred\nx": {"sessionId": "a", "model": "m\tm", "channel": "c\x07"}}
    state = made_state(tmp_path, "json", sessions)
    done = sessionlab("list", state)
    assert done.stdout.splitlines()[1].split() == ["other", "c\\x07", "m\\tm", "agent:main:\\x1b[31mred\\nx"]
    assert listed(state)[0]["session_key"] in sessions


def test_name_of_the_command_hides_nothing_from_the_others() -> None:
    """The module `sessionlab.cli.list` becomes an attribute of its package, of the name of a builtin."""
    code = "import sessionlab.cli.list\nfrom sessionlab.cli import main_group\nmain_group.main(['--help'])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "store-info" in done.stdout
