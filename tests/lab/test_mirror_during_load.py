"""What may happen while a load runs: a reader, an error, a kill, a source that changes. The mirror is whole, or the old one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sessionlab.errors import CorruptStoreError, SessionLabError
from sessionlab.lab import mirror
from sessionlab.lab.connection import connect
from sessionlab.lab.mirror import load
from tests.lab.loaded_mirror import NOW_MS, SAMPLE, append, contents, from_scratch, loaded, look, look_inside, scalar, sessions
from tests.lab.states import write_store


def test_a_reader_keeps_the_old_mirror_and_the_load_tells_about_the_new_one(state: Path, tmp_path: Path) -> None:
    target = tmp_path / "m.duckdb"
    first = loaded(state, target)
    with connect(target) as reader:
        append(state)
        second = loaded(state, target)
        assert scalar(reader, "SELECT count(*) FROM events") == first.events
    assert second.events == first.events + 1
    with connect(target) as con:
        assert scalar(con, "SELECT count(*) FROM events") == second.events


@pytest.mark.parametrize("step", ["insert_agents", "insert_problems", "_verify"])
@pytest.mark.parametrize("error", [RuntimeError("killed"), KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_a_load_that_fails_in_the_middle_leaves_the_old_mirror_and_nothing_else(
    step: str, error: BaseException, state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    target = tmp_path / "m.duckdb"
    loaded(state, target)
    append(state)
    before = look_inside(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(mirror, step, fail)
        with pytest.raises((type(error), SessionLabError)):
            loaded(state, target)
    assert look_inside(tmp_path) == before
    assert loaded(state, target).transcripts_read == 1


def test_a_first_load_that_fails_leaves_no_file(state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("killed")

    before = look(tmp_path)
    monkeypatch.setattr(mirror, "insert_agents", fail)
    with pytest.raises(RuntimeError):
        loaded(state, tmp_path / "m.duckdb")
    assert set(look(tmp_path)) == set(before)


def test_a_store_replaced_while_it_is_read_shows_one_state_and_is_read_again_next_time(state: Path, tmp_path: Path) -> None:
    target = tmp_path / "m.duckdb"

    def replace_once(stage: str, done: int, total: int) -> None:
        if stage == "reading sessions of ops" and not (tmp_path / "new.json").exists():
            new = {f"agent:main:direct:{n}": {"sessionId": f"n{n}"} for n in range(50)}
            (tmp_path / "new.json").write_text(json.dumps(new), encoding="utf-8")
            shutil.copy(tmp_path / "new.json", tmp_path / "moving.json")
            (tmp_path / "moving.json").replace(sessions(state) / "sessions.json")
        assert done <= total

    first = load(state, target, now_ms=NOW_MS, on_progress=replace_once)
    assert first.sessions == 5
    assert loaded(state, target).sessions == 52
    with connect(target) as con:
        assert contents(con) == from_scratch(state)


def test_a_store_rewritten_in_place_while_it_is_read_is_an_error(state: Path, tmp_path: Path) -> None:
    def rewrite(stage: str, *_: int) -> None:
        if stage == "reading sessions of ops":
            write_store(state, "ops", {})
            write_store(state, "main", {})

    # Half of it is there already, under the old count and fingerprint: neither the old state nor the new one.
    with pytest.raises(CorruptStoreError) as caught:
        load(state, tmp_path / "m.duckdb", now_ms=NOW_MS, on_progress=rewrite)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "m.duckdb").exists()
    assert loaded(state, tmp_path / "m.duckdb").sessions == 0


def test_a_transcript_that_grows_while_it_is_read_counts_up_to_where_it_was_seen(state: Path, tmp_path: Path) -> None:
    target = tmp_path / "m.duckdb"
    grown: list[int] = []

    def grow(*_: object) -> None:
        if not grown:
            append(state)
            grown.append(1)

    first = load(state, target, now_ms=NOW_MS, on_progress=grow)
    second = loaded(state, target)
    assert (second.events, second.transcripts_read) == (first.events + 1, 1)


def test_what_a_killed_load_left_behind_is_removed_by_the_next(tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", "pass"])
    dead.wait()
    left, wal = tmp_path / f".m.duckdb.{dead.pid}.tmp", tmp_path / f".m.duckdb.{dead.pid}.tmp.wal"
    for path in (left, wal):
        path.write_bytes(b"half a mirror")
    alive = tmp_path / f".m.duckdb.{os.getppid()}.tmp"
    alive.write_bytes(b"somebody is at it")
    load(SAMPLE, tmp_path / "m.duckdb", now_ms=NOW_MS)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([alive.name, "m.duckdb"])
