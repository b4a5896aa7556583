"""Loading again: right after any history of changes, and cheap when little changed."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from sessionlab.lab.connection import connect
from sessionlab.lab.mirror import load
from tests.fixture_states import SQLITE_STATES, STATES, STORE, own_state, shared_state
from tests.lab.loaded_mirror import NOW_MS, append, contents, from_scratch, loaded, look, scalar, sessions
from tests.lab.states import event, header, long_ago, settle, write_store, write_transcript


def counted(mirror_file: Path) -> int:
    """Return the micro-dollars that count."""
    with connect(mirror_file) as con:
        return int(scalar(con, "SELECT sum(cost_microusd) FROM events WHERE NOT is_copy"))


@pytest.mark.parametrize("name", STATES)
def test_loading_again_without_a_change_leaves_the_mirror_alone(
    name: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    state, target = shared_state(name, tmp_path_factory), tmp_path / "m.duckdb"
    first = loaded(state, target)
    before = look(tmp_path)
    again = loaded(state, target)
    assert (again.is_unchanged, again.transcripts_read) == (True, 0)
    assert (again.sessions, again.events, again.problems) == (first.sessions, first.events, first.problems)
    assert look(tmp_path) == before


def test_a_touched_transcript_is_the_only_one_read(state: Path, tmp_path: Path) -> None:
    target = tmp_path / "m.duckdb"
    first = loaded(state, target)
    assert first.transcripts_read == first.transcripts == 7
    long_ago(sessions(state) / "c.jsonl", seconds=50)
    again = loaded(state, target)
    assert (again.transcripts_read, again.is_unchanged, again.events) == (1, False, first.events)
    with connect(target) as con:
        assert contents(con) == from_scratch(state)


def change_entry(state: Path) -> None:
    write_store(
        state, "ops", {"agent:ops:direct:d": {"sessionId": "d", "updatedAt": NOW_MS, "model": "m9"}, "agent:ops:main": {"sessionId": "e"}}
    )


@pytest.mark.parametrize(
    ("change", "read", "added_microusd"),
    [
        (append, 1, 8_000_000),
        (lambda state: (sessions(state) / "c.jsonl").unlink(), 0, -750_000),
        (lambda state: (sessions(state) / "a.jsonl").unlink(), 0, 0),  # what was a copy is now the only one
        (lambda state: (sessions(state) / "b.jsonl").unlink(), 0, -1_000_000),
        (lambda state: (sessions(state) / "a.jsonl").rename(sessions(state) / "a.jsonl.deleted.2026-11-01T00-00-00.000Z"), 1, 0),
        (lambda state: write_store(state, "main", {"agent:main:direct:a": {"sessionId": "a", "updatedAt": NOW_MS}}), 0, 0),
        (lambda state: write_transcript(state, "ops", "new.jsonl", [header("new"), event("n", cost=16)]), 1, 16_000_000),
        (change_entry, 0, 0),
        (lambda state: shutil.rmtree(state / "agents" / "ops"), 0, -1_500_000 - 4_000_000),
    ],
)
def test_a_change_costs_what_it_touches_and_ends_like_a_fresh_mirror(
    change: Callable[[Path], object], read: int, added_microusd: int, state: Path, tmp_path: Path
) -> None:
    target = tmp_path / "m.duckdb"
    loaded(state, target)
    before = counted(target)
    assert before == 750_000 * 4 + 1_000_000 + 2_000_000 + 4_000_000
    change(state)
    settle(state, only_new=True)
    result = loaded(state, target)
    assert (result.transcripts_read, result.is_unchanged) == (read, False)
    assert counted(target) == before + added_microusd
    with connect(target) as con:
        assert contents(con) == from_scratch(state)


def test_a_fork_that_came_before_its_parent_counts_once_when_the_parent_comes(state: Path, tmp_path: Path) -> None:
    target, parent = tmp_path / "m.duckdb", sessions(state) / "a.jsonl"
    data = parent.read_bytes()
    parent.unlink()
    loaded(state, target)
    alone = counted(target)
    parent.write_bytes(data)
    settle(state, only_new=True)
    loaded(state, target)
    assert counted(target) == alone


def random_edit(state: Path, dice: random.Random, number: int) -> None:
    """Do one thing that a running OpenClaw, or a hand, does to a state folder."""
    agent = dice.choice(["main", "ops"])
    folder = sessions(state, agent)
    store = json.loads((folder / "sessions.json").read_bytes())
    files = sorted(path for path in folder.iterdir() if ".jsonl" in path.name)
    match dice.randrange(9):
        case 0 if files:
            with dice.choice(files).open("ab") as file:
                file.write(json.dumps(event(f"more{number}", cost=number)).encode() + dice.choice([b"\n", b"", b"\n{bad\n"]))
        case 1 if files:
            dice.choice(files).unlink()
        case 2 if files:
            path = dice.choice(files)
            path.rename(folder / f"{path.name.partition('.')[0]}.jsonl.deleted.2026-11-{number % 28 + 1:02}T00-00-00.000Z")
        case 3 if store:
            del store[dice.choice(sorted(store))]
        case 4 if store:
            store[dice.choice(sorted(store))]["updatedAt"] = NOW_MS + dice.randrange(-9000, 9000)
        case 5 if store:
            store[dice.choice(sorted(store))]["sessionId"] = dice.choice("abcdex")
        case 6:
            name = f"s{number}"
            store[f"agent:{agent}:cron:job:run:{name}"] = {"sessionId": name, "updatedAt": NOW_MS}
            write_transcript(state, agent, f"{name}.jsonl", [header(name), event(name, cost=1)])
        case 7 if files:
            parent = dice.choice(files)
            whole = [line for line in parent.read_bytes().splitlines()[1:] if line.endswith(b"}")]
            lines: list[dict[str, Any] | bytes] = [
                header(f"f{number}", parentSession=parent.name.partition(".")[0] + ".jsonl"),
                *whole,
                event(f"own{number}", cost=2),
            ]
            write_transcript(state, agent, f"f{number}.jsonl", lines)
        case 8 if files:
            path = dice.choice(files)
            path.write_bytes(path.read_bytes()[: dice.randrange(400)])
    write_store(state, agent, store)


@pytest.mark.parametrize("seed", range(3))
def test_any_history_of_changes_ends_like_a_mirror_made_from_scratch(seed: int, state: Path, tmp_path: Path) -> None:
    dice = random.Random(seed)
    target = tmp_path / "m.duckdb"
    loaded(state, target)
    for number in range(7):
        for turn in range(dice.randrange(1, 4)):
            random_edit(state, dice, number * 10 + turn)
        settle(state, only_new=True)
        loaded(state, target)
        with connect(target) as con:
            assert contents(con) == from_scratch(state)


def test_a_file_changed_just_before_the_load_is_read_again_by_the_next(state: Path, tmp_path: Path) -> None:
    path, target = sessions(state) / "c.jsonl", tmp_path / "m.duckdb"
    path.touch()
    stamp = path.stat().st_mtime_ns
    assert not loaded(state, target).is_unchanged
    data = path.read_bytes()
    # A second write within the same tick of the file system's clock: the same size, the same time, other contents.
    path.write_bytes(data.replace(b"0.25", b"0.75"))
    os.utime(path, ns=(stamp, stamp))
    again = loaded(state, target)
    assert (again.is_unchanged, again.transcripts_read) == (False, 1)
    with connect(target) as con:
        assert contents(con) == from_scratch(state)


def test_the_clock_alone_makes_a_new_mirror_when_it_changes_what_is_in_the_future(state: Path, tmp_path: Path) -> None:
    target = tmp_path / "m.duckdb"
    loaded(state, target)
    assert load(state, target, now_ms=NOW_MS + 1).is_unchanged
    earlier = load(state, target, now_ms=NOW_MS - 6000)
    assert not earlier.is_unchanged
    assert earlier.transcripts_read == 0
    with connect(target) as con:
        assert scalar(con, "SELECT count(*) FROM problems WHERE code = 'updated_in_future'") == 5


def test_a_mirror_of_another_form_is_built_anew(state: Path, tmp_path: Path) -> None:
    target = tmp_path / "m.duckdb"
    loaded(state, target)
    with duckdb.connect(str(target)) as con:
        con.execute("UPDATE meta SET value = 'old' WHERE name = 'schema_version'")
        con.execute("DROP VIEW calls; DROP VIEW events; DROP TABLE event_rows")
    assert loaded(state, target).transcripts_read == 7
    with connect(target) as con:
        assert contents(con) == from_scratch(state)


@pytest.mark.parametrize("name", SQLITE_STATES)
def test_transcripts_in_an_unchanged_database_are_taken_over(name: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    state, target = own_state(name, tmp_path_factory, tmp_path), tmp_path / "m.duckdb"
    settle(state)
    first = loaded(state, target)
    write_transcript(state, "main", "stray.jsonl", [header("stray"), event("s", cost=1)])
    settle(state, only_new=True)
    second = loaded(state, target)
    assert (second.transcripts_read, second.events) == (1, first.events + 2)
    long_ago(state / STORE, seconds=60)
    third = loaded(state, target)
    assert third.transcripts_read == 60
    with connect(target) as con:
        assert contents(con) == from_scratch(state)
