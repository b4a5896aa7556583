"""The lab as a notebook sees it: which folder, which clock, and the same facts on every machine for the sample."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path

import duckdb
import pytest

from sessionlab import resources, synth
from sessionlab.errors import NoStoreError, SessionLabError, UnreadableError, UsageError
from sessionlab.lab.session import SAMPLE_NAME, chosen_path, clock_of, open_lab
from tests.fixture_states import STATES, STORE, shared_state
from tests.lab.states import event, header, write_store, write_transcript

NOW_MS = synth.DEFAULT_NOW_MS


@pytest.fixture
def state(tmp_path: Path) -> Path:
    for agent in ("main", "ops"):
        write_store(tmp_path, agent, {f"agent:{agent}:main": {"sessionId": agent, "updatedAt": NOW_MS}})
        write_transcript(tmp_path, agent, f"{agent}.jsonl", [header(agent), event("e", cost=1)])
    return tmp_path


def test_nothing_named_is_the_sample_with_its_own_clock() -> None:
    with open_lab() as lab:
        assert (lab.source, lab.path, lab.now_ms) == (SAMPLE_NAME, resources.sample_dir(), NOW_MS)
        assert lab.clock.origin == "the synthetic folder's own clock"
        assert len(lab.query("sources")) == 3
        assert str(resources.sample_dir()) not in json.dumps(lab.facts())


def test_the_samples_facts_do_not_depend_on_where_it_lies(tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere"
    shutil.copytree(resources.sample_dir(), moved)
    with open_lab() as here, open_lab(moved) as there:
        assert {**there.facts(), "source": SAMPLE_NAME} == here.facts()
        for name in ("overview", "problems", "biggest_sessions"):
            assert here.query(name).equals(there.query(name))


def test_queries_take_the_labs_clock_unless_told_otherwise(state: Path) -> None:
    with open_lab(state, now_ms=NOW_MS + 40 * 86_400_000) as lab:
        later = lab.query("stale_share")
        at_once = lab.query("stale_share", now_ms=NOW_MS)
        assert not later.equals(at_once)
        with pytest.raises(UsageError, match="no query"):
            lab.query("drop_everything")
        with pytest.raises(UsageError, match="no parameter"):
            lab.query("overview", path="x")


def test_one_agent_of_several(state: Path) -> None:
    with open_lab(state, agent="ops", now_ms=NOW_MS) as lab:
        assert lab.agent == "ops"
        assert [agent["agent_id"] for agent in lab.facts()["agents"]] == ["ops"]
    with pytest.raises(UsageError, match="there are main, ops"):
        open_lab(state, agent="nobody", now_ms=NOW_MS)


@pytest.mark.parametrize("name", STATES)
def test_a_store_file_and_an_agents_folder_open_like_their_state(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    state = shared_state(name, tmp_path_factory)
    store = state / STORE if name.startswith("sqlite") else state / "agents/main/sessions/sessions.json"
    facts = []
    for path in (state, state / "agents" / "main", store):
        with open_lab(str(path), now_ms=NOW_MS) as lab:
            (agent,) = lab.facts()["agents"]
            facts.append((agent["fingerprint"], agent["sessions"], lab.query("usage_totals").to_dict("records")))
    assert facts[0] == facts[1] == facts[2]


def test_a_real_folder_is_seen_from_now(state: Path) -> None:
    before = time.time_ns() // 1_000_000
    clock = clock_of(state)
    assert before <= clock.now_ms <= time.time_ns() // 1_000_000
    assert clock.origin == "now"


@pytest.mark.parametrize(
    "marker",
    [
        *(b"", b"[]", b"{}", b"null", b'{"format":"sessionlab-synth"}', b'{"now_ms":5}', b"\xff", b"[" * 100_000),
        *(b'{"format":"sessionlab-synth","now_ms":%s}' % value for value in (b"-5", b"0", b"%d" % 10**30, b"true", b'"soon"')),
    ],
)
def test_a_marker_that_is_none_leaves_the_clock_at_now(marker: bytes, state: Path) -> None:
    (state / "synth.json").write_bytes(marker)
    assert clock_of(state).origin == "now"


@pytest.mark.parametrize("now_ms", [-1, 253_402_300_800_000, 10**30])
def test_a_clock_that_no_calendar_shows_is_refused(now_ms: int, state: Path) -> None:
    with pytest.raises(UsageError, match="epoch milliseconds"):
        open_lab(state, now_ms=now_ms)


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(NoStoreError) as caught:
            open_lab(path)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_user_that_does_not_exist_is_no_traceback() -> None:
    with pytest.raises(SessionLabError):
        chosen_path("~nobody-of-that-name/x")


def test_a_relative_path_and_a_home_are_understood(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(state.parent)
    assert chosen_path(state.name) == state
    monkeypatch.setenv("HOME", str(state.parent))
    assert chosen_path(f"~/{state.name}") == state


def test_progress_is_told_and_never_runs_backwards(state: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    open_lab(state, now_ms=NOW_MS, on_progress=lambda *told: seen.append(told)).close()
    stages = [stage for stage, _, _ in seen]
    assert stages == ["reading sessions of main", "reading sessions of ops", "reading transcripts"]
    assert seen[-1][1] == seen[-1][2] > 0
    assert all(0 <= done <= total for _, done, total in seen)


def test_a_closed_lab_answers_no_more(state: Path) -> None:
    with open_lab(state, now_ms=NOW_MS) as lab:
        pass
    with pytest.raises(duckdb.ConnectionException):
        lab.query("overview")


def test_pipe_in_place_of_the_synthetic_marker_is_passed_over_at_once(state: Path) -> None:
    os.mkfifo(state / "synth.json")
    assert clock_of(state).origin == "now"


def test_path_beyond_what_a_system_takes_is_unreadable() -> None:
    with pytest.raises(UnreadableError, match="File name too long"):
        chosen_path("x/" * 2500)
