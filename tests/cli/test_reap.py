"""`sessionlab reap`: the sessions that cron runs and webhooks left, once or for ever."""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from sessionlab.maintenance import reaper
from sessionlab.storage.files import replace_file
from tests.cli.in_process import Call, caller
from tests.cli.made_states import KINDS, made_state, store_path
from tests.cli.program import ROOT, one_line_error, printed_json
from tests.cli.test_maintain import NOW_MS, content, entry
from tests.cli.test_signals import stopped
from tests.fixture_states import own_state, photo

HOUR = 1 / 24


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Call:
    reaper.forget()
    return caller(capsys)


def cron(name: str, agent: str = "main") -> str:
    return f"agent:{agent}:cron:job-1:run:{name}"


def runs(agent: str = "main") -> dict[str, Any]:
    """Return runs that are 23, 25 and 200 hours old, and their job, which is old."""
    ages = {"fresh": 23, "expired": 25, "old": 200}
    return {cron(name, agent): entry(hours * HOUR, name) for name, hours in ages.items()} | {f"agent:{agent}:cron:job-1": entry(99, "job")}


def filled(state: Path, kind: str = "json", *, agent: str = "main", config: str = "") -> Path:
    made_state(state, kind, runs(agent), agent=agent)
    (store_path(state, kind, agent=agent).parent / "old.jsonl").write_text('{"type": "session"}\n')
    if config:
        (state / "openclaw.json").write_text(config)
    return state


def command(*words: str | Path) -> list[str | Path]:
    return ["reap", *words, "--now-ms", str(NOW_MS)]


def left(state: Path, kind: str = "json", agent: str = "main") -> set[str]:
    return {name.rpartition(":")[2] for name in content(state, kind, agent=agent)}


@pytest.mark.parametrize("kind", KINDS)
def test_only_runs_beyond_their_retention_go_and_come_back(tmp_path: Path, call: Call, kind: str) -> None:
    """D.23, D.24: a dry run says which, and writes nothing."""
    filled(tmp_path, kind)
    before = photo(tmp_path)
    told = call(*command(tmp_path, "--dry-run"))
    assert (told.returncode, "would remove 2 cron runs" in told.stdout, "kept for 24 h" in told.stdout) == (0, True, True)
    assert [line.split()[-1] for line in told.stdout.splitlines() if "prune-stale  2" in line] == [cron("expired"), cron("old")]
    planned = printed_json(call(*command(tmp_path, "--dry-run", "--json")))["results"][0]
    assert (planned["swept"], planned["wouldPrune"], [one["name"] for one in planned["files"]]) == (False, 2, ["old.jsonl"])
    assert photo(tmp_path) == before
    done = call(*command(tmp_path))
    assert (done.returncode, done.stderr, "removed 2 cron runs" in done.stdout) == (0, "", True)
    assert left(tmp_path, kind) == {"fresh", "job-1"}
    undone = call("undo", *(tmp_path / ".sessionlab/runs").iterdir())
    assert (undone.returncode, content(tmp_path, kind)) == (0, runs())


def test_transcripts_that_lie_elsewhere_or_are_still_referred_to_are_left_alone(tmp_path: Path, call: Call) -> None:
    """D.29; what webhooks left is kept for good unless its retention is set."""
    elsewhere = tmp_path / "elsewhere/away.jsonl"
    elsewhere.parent.mkdir()
    hook = "agent:main:hook:0123"
    sessions = {
        cron("away"): {**entry(9, "away"), "sessionFile": str(elsewhere)},
        cron("shared"): entry(9, "shared"),
        "agent:main:heir": entry(0, "shared"),
        hook: entry(99, "hook"),
    }
    made_state(tmp_path / "state", "json", sessions)
    shared = store_path(tmp_path / "state", "json").parent / "shared.jsonl"
    for path in (elsewhere, shared):
        path.write_text('{"type": "session"}\n')
    assert "removed 2 cron runs" in call(*command(tmp_path / "state")).stdout
    assert set(content(tmp_path / "state")) == {"agent:main:heir", hook}
    assert elsewhere.is_file()
    assert shared.is_file()


def with_hooks(state: Path, kind: str = "json", config: str = "") -> Path:
    """Make a state folder with the sessions of cron runs and webhooks, each 1, 3 and 30 hours old."""
    ages = {"new": 1, "middle": 3, "old": 30}
    sessions = {f"agent:main:hook:{name}": entry(hours * HOUR, f"hook-{name}") for name, hours in ages.items()}
    sessions |= {cron(name): entry(hours * HOUR, name) for name, hours in ages.items()}
    made_state(state, kind, sessions)
    (store_path(state, kind).parent / "hook-old.jsonl").write_text('{"type": "session"}\n')
    if config:
        (state / "openclaw.json").write_text(config)
    return state


HOOKS: dict[tuple[str, tuple[str, ...]], tuple[str, str]] = {
    ("", ()): ("hook:middle hook:new hook:old run:middle run:new", "removed 1 cron run\n"),
    ('{"hooks": {"sessionRetention": "2h"}}', ()): ("hook:new run:middle run:new", "removed 3 sessions\n"),
    ('{"hooks": {"sessionRetention": 2}, "cron": {"sessionRetention": false}}', ()): (
        "hook:new run:middle run:new run:old",
        "removed 2 hook sessions\n",
    ),
    ('{"hooks": {"sessionRetention": false}}', ("--hook-retention", "29", "--retention", "90m")): (
        "hook:middle hook:new run:new",
        "removed 3 sessions\n",
    ),
    ('{"hooks": {"sessionRetention": "2h"}}', ("--hook-retention", "off", "--retention", "off")): (
        "hook:middle hook:new hook:old run:middle run:new run:old",
        "skipped, cron runs and hook sessions are kept for good: their retention is off\n",
    ),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("asked", "found"), HOOKS.items(), ids=range(len(HOOKS)))
def test_what_webhooks_left_goes_after_a_retention_of_its_own(
    tmp_path: Path, call: Call, kind: str, asked: tuple[str, tuple[str, ...]], found: tuple[str, str]
) -> None:
    """D.29: `hooks.sessionRetention`, or the option; off unless one is given. The dry run, JSON and undo know of it."""
    (config, options), (kept, text) = asked, found
    state = with_hooks(tmp_path, kind, config)
    sessions, before = content(state, kind), photo(state)
    (planned,) = printed_json(call(*command(state, *options, "--dry-run", "--json")))["results"]
    assert photo(state) == before
    wanted = {name for name in sessions if not name.endswith(tuple(f":{one}" for one in kept.split()))}
    assert {one["key"] for one in planned.get("entries", [])} == wanted
    done = call(*command(state, *options))
    assert (done.returncode, done.stderr, text in done.stdout) == (0, "", True)
    assert set(content(state, kind)) == set(sessions) - wanted
    assert (store_path(state, kind).parent / "hook-old.jsonl").exists() == ("hook:old" in kept)
    if wanted:
        assert call("undo", *(state / ".sessionlab/runs").iterdir()).returncode == 0
    assert content(state, kind) == sessions


def test_dry_run_says_each_kinds_own_limit_and_the_same_words_do_it(tmp_path: Path, call: Call) -> None:
    """D.29."""
    with_hooks(tmp_path)
    told = call(*command(tmp_path, "--hook-retention", "2h", "--dry-run")).stdout
    assert "cron runs kept for 24 h, hook sessions kept for 2 h): would remove 3 sessions" in told
    limits = {line.split()[-1]: line.partition("limit ")[2].split()[:2] for line in told.splitlines() if "limit " in line}
    assert limits == {cron("old"): ["24", "h"], "agent:main:hook:middle": ["2", "h"], "agent:main:hook:old": ["2", "h"]}
    again = shlex.split(told.splitlines()[-1].partition("To do it: ")[2])
    assert again[1:] == ["reap", str(tmp_path), "--hook-retention", "2h", "--now-ms", str(NOW_MS)]
    (found,) = printed_json(call(*again[1:], "--json"))["results"]
    assert (found["retentionMs"], found["hookRetentionMs"], found["pruned"]) == (86_400_000, 7_200_000, 3)


RETENTIONS = {
    "": {"fresh", "job-1"},
    '{"cron": {"sessionRetention": "7d"}}': {"fresh", "expired", "job-1"},
    '{"cron": {"sessionRetention": 1}}': {"job-1"},
    '{"cron": {"sessionRetention": false}}': {"fresh", "expired", "old", "job-1"},
}


@pytest.mark.parametrize(("config", "kept"), RETENTIONS.items())
def test_retention_is_the_configurations_unless_it_is_given(tmp_path: Path, call: Call, config: str, kept: set[str]) -> None:
    """D.26."""
    filled(tmp_path, config=config)
    done = call(*command(tmp_path))
    assert (done.returncode, left(tmp_path)) == (0, kept)
    assert ("their retention is off" in done.stdout) == ("false" in config)
    reaper.forget()
    assert call(*command(tmp_path, "--retention", "off")).returncode == 0
    assert left(tmp_path) == kept
    assert call(*command(tmp_path, "--retention", "24", "--force")).returncode == 0
    assert left(tmp_path) == kept & {"fresh", "job-1"}


def test_every_agent_is_swept_and_one_that_fails_keeps_no_other_back(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, call: Call
) -> None:
    """D.27, D.28."""
    state = own_state("sqlite-2026.9", tmp_path_factory, tmp_path)
    for agent in ("ops", "research"):
        filled(state, agent=agent)
    store_path(state, "json", agent="ops").write_text('{"a": 1')
    done = call(*command(state))
    assert done.returncode == 3
    assert len(done.stderr.splitlines()) == 1
    assert "(agent main): skipped, is OpenClaw's own database" in done.stdout
    assert left(state, agent="research") == {"fresh", "job-1"}
    found = json.loads(call(*command(state, "--agent", "research", "--force", "--json")).stdout)
    assert [(one["swept"], one["pruned"]) for one in found["results"]] == [(True, 0)]
    assert "truncated" in one_line_error(call(*command(state, "--agent", "ops")), 3)


def test_mistakes_are_named(tmp_path: Path, call: Call) -> None:
    filled(tmp_path)
    assert "--retention: '1w' is not a duration" in one_line_error(call(*command(tmp_path, "--retention", "1w")), 2)
    assert "--hook-retention: '1w' is not a duration" in one_line_error(call(*command(tmp_path, "--hook-retention", "1w")), 2)
    assert "--every '0': give one second or more" in one_line_error(call("reap", tmp_path, "--watch", "--every", "0"), 2)
    for every in ("1s", "4m59s"):
        error = one_line_error(call("reap", tmp_path, "--watch", "--every", every), 2)
        assert f"--every '{every}': a store is looked at once in 5 min at most; give as much, or add --force" in error
    assert "leave --dry-run and --now-ms out" in one_line_error(call("reap", tmp_path, "--watch", "--dry-run"), 2)
    assert len(content(tmp_path)) == 4


def test_watch_ends_where_there_is_nothing_to_watch(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It once waited for ever on a place that is not there, an agent that is unknown, and with the retention off."""

    def wait(_seconds: float) -> None:
        raise AssertionError("it waits")

    monkeypatch.setattr(time, "sleep", wait)
    state = filled(tmp_path / "state", config='{"cron": {"sessionRetention": false}}')
    assert "no such file or folder" in one_line_error(call("reap", tmp_path / "none", "--watch"), 10)
    assert "no store of agent 'nobody'" in one_line_error(call("reap", state, "--watch", "--agent", "nobody"), 10)
    for words in ((state,), (own_state("sqlite-2026.9", tmp_path_factory, tmp_path),)):
        ended = call("reap", *words, "--watch")
        assert (ended.returncode, ended.stderr, "skipped, " in ended.stdout) == (0, "", True)
        assert printed_json(call("reap", *words, "--watch", "--json"))["results"][0]["swept"] is False
    (state / "openclaw.json").write_text('{"cron": {"sessionRetention": "soon"}}')
    assert "cron.sessionRetention: 'soon' is not a duration" in one_line_error(call("reap", state, "--watch"), 2)
    (state / "openclaw.json").unlink()
    with pytest.raises(AssertionError, match="it waits"):
        call("reap", state, "--watch")


def test_watch_goes_on_until_it_is_interrupted(tmp_path: Path) -> None:
    """D.25: looks again by itself; Ctrl-C ends it at once, in one line."""
    filled(tmp_path)
    code, lines, seconds = stopped(
        signal.SIGINT, "reap", tmp_path, "--watch", when=lambda: any((tmp_path / ".sessionlab/runs").glob("*/report.json")), tmp=tmp_path
    )
    told = [line for line in lines if line and "; what was removed by then" not in line]  # where it comes before the first sweep is told
    assert (code, told) == (130, ["sessionlab: interrupted"])
    assert seconds < 5
    assert left(tmp_path) == {"job-1"}


def test_watch_says_what_it_does_and_what_goes_wrong_once(tmp_path: Path) -> None:
    filled(tmp_path)
    words = [sys.executable, "-m", "sessionlab", "reap", str(tmp_path), "--watch", "--every", "1s", "--force", "--json"]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        assert program.stderr is not None
        line = json.loads(program.stdout.readline())
        store = store_path(tmp_path, "json")
        sound = store.read_bytes()
        replace_file(store, [b'{"a": 1'])
        error = program.stderr.readline()
        time.sleep(1.5)  # a further look, which has nothing new to say
        replace_file(store, [sound.replace(b'"agent:main:cron:job-1"', b'"agent:main:cron:job-1:run:new"')])
        second = json.loads(program.stdout.readline())
        program.send_signal(signal.SIGTERM)
        rest, errors = program.communicate(timeout=30)
    assert (line["schema_version"], line["agentId"], line["pruned"]) == (1, "main", 3)
    assert error.startswith("sessionlab: ")
    assert "truncated" in error
    assert (second["pruned"], rest) == (1, "")
    assert (program.returncode, errors.split("\n")) == (143, ["", "sessionlab: terminated", ""])
