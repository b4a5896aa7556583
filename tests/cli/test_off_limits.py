"""No output goes over a store, a transcript or the configuration, nor among them, whatever command is asked to write it."""

from __future__ import annotations

import contextlib
import gzip
import itertools
import json
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from sessionlab.cli.off_limits import off_limits
from tests.cli.in_process import Call, caller
from tests.cli.made_states import made_state, store_path
from tests.cli.program import SAMPLE, one_line_error
from tests.cli.test_maintain import NOW_MS, entry
from tests.fixture_states import STATES, STORE, own_state, photo

LIMIT = ("--max-store", "1gb", "--now-ms", str(NOW_MS))


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Call:
    return caller(capsys)


def filled(state: Path, kind: str = "json") -> Path:
    made_state(state, kind, {"agent:main:a": entry(1, "a")})
    (store_path(state, kind).parent / "a.jsonl").write_text('{"type": "session"}\n')
    (state / "openclaw.json").write_text("{}")
    (state / ".sessionlab/runs/one").mkdir(parents=True)
    return state


def commands(state: Path, output: Path) -> list[list[str | Path]]:
    return [
        ["check-growth", state, *LIMIT, "--junit", output],
        ["check-growth", state, *LIMIT, "--summary", output],
        ["report", "--state-dir", state, "-o", output],
        ["report", "--state-dir", state, "-o", state.parent / "page.html", "--keep-notebook", output],
        ["load", state, "-o", output],
    ]


OUTPUTS = {
    "agents/main/sessions/sessions.json": "is a session store",
    "agents/main/sessions/a.jsonl": "is a transcript",
    "agents/main/sessions/new.xml": "lies in an agent's folder of sessions",
    "agents/main/sessions/sessions.json.bak.1": "lies in an agent's folder of sessions",
    "openclaw.json": "is OpenClaw's configuration",
    ".sessionlab/runs/one/new.xml": "lies in .sessionlab",
    "link.xml": "is a session store",
    "mine.json-wal": "has the name of what belongs to",
    "a.jsonl.gz": "is a transcript",
}


@pytest.mark.parametrize(("output", "reason"), OUTPUTS.items())
def test_no_command_writes_over_sessions_or_among_them(tmp_path: Path, call: Call, output: str, reason: str) -> None:
    """As `check-growth --junit d/agents/main/sessions/sessions.json` once did, with exit code 0."""
    state = filled(tmp_path / "state")
    (state / "link.xml").symlink_to("agents/main/sessions/sessions.json")
    (state / "mine.json").write_bytes((state / "link.xml").read_bytes())
    (state / "a.jsonl.gz").write_bytes(b"whatever")
    before = photo(tmp_path)
    for words in commands(state, state / output):
        option = next(str(word) for word, after in itertools.pairwise(words) if after == state / output)
        error = one_line_error(call(*words), 2)
        assert f"{state / output}: {reason}" in error
        assert error.rstrip().endswith(f"name another file with {option}")
    assert photo(tmp_path) == before


def test_notebooks_are_not_run_into_a_folder_of_sessions(tmp_path: Path, call: Call) -> None:
    state = filled(tmp_path)
    folder = state / "agents/main/sessions"
    before = photo(tmp_path)
    assert "00_quickstart.ipynb: lies in an agent's folder of sessions" in one_line_error(call("run", "00_quickstart", "-o", folder), 2)
    assert photo(tmp_path) == before
    plain = tmp_path / "plain"
    plain.mkdir()
    (plain / "00_quickstart.html").symlink_to(folder / "sessions.json")
    assert "00_quickstart.html: is a session store" in one_line_error(call("run", "00_quickstart", "--html", "-o", plain), 2)
    assert json.loads((folder / "sessions.json").read_text())


def test_no_folder_is_made_in_one_of_sessions(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, call: Call) -> None:
    state = filled(tmp_path / "state")
    source = own_state("sqlite-2026.9", tmp_path_factory, tmp_path)
    before = photo(tmp_path)
    for folder, reason in (
        (state / "agents/main/sessions/new", "lies in an agent's folder of sessions"),
        (state / ".sessionlab/x", "lies in .sessionlab"),
    ):
        synth, export = ("synth", folder, "--sessions", "1", "--no-flaws"), ("export", "openclaw", source, "--to", folder)
        assert f"{folder}: {reason}" in one_line_error(call(*synth), 2)
        assert "name another folder with --to" in one_line_error(call(*export), 2)
    for place in (state / "agents/main/sessions", state / "agents/main/sessions/new"):
        lab = call("lab", "--dir", place, "--json")
        assert (lab.returncode, "name another folder with --dir" in lab.stderr) == (2, True)
    assert photo(tmp_path) == before


@pytest.mark.parametrize("kind", ["sqlite", "directory"])
def test_stores_of_our_own_kinds_are_known_with_all_that_belongs_to_them(tmp_path: Path, kind: str) -> None:
    store = store_path(filled(tmp_path, kind), kind)
    files = [store, *store.parent.glob("sessions.sqlite*"), *store.rglob("*")]
    assert all(off_limits(file) for file in files)
    assert "lies in" in off_limits(store.with_name("new.xml"))
    moved = tmp_path / "elsewhere"
    store.rename(moved)
    assert off_limits(moved / "entries/new.html" if kind == "directory" else moved)


@pytest.mark.parametrize("state", STATES)
def test_stores_of_openclaw_are_known_wherever_they_were_put(state: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    own = own_state(state, tmp_path_factory, tmp_path)
    store = own / (STORE if "sqlite" in state else "agents/main/sessions/sessions.json")
    copy = tmp_path / "copy.xml"
    copy.write_bytes(store.read_bytes())
    assert "is a session store" in off_limits(copy)
    transcript = next((own / "agents/main").rglob("*.jsonl*"), None)
    if transcript is not None:
        copy.write_bytes(transcript.read_bytes())
        assert off_limits(copy) == "is a transcript"


def test_what_is_no_store_may_be_replaced(tmp_path: Path, call: Call) -> None:
    """An older report, a notebook, a mirror, a file elsewhere in the state folder, and what a pipe or a device is."""
    state = filled(tmp_path / "state")
    for name, text in (("a.xml", "<x/>"), ("b.md", "# x"), ("c.json", '{"metadata": {}, "cells": []}'), ("d.ipynb", '{"cells": []}')):
        (state / name).write_text(text)
        assert off_limits(state / name) == ""
        assert call("check-growth", state, *LIMIT, "--junit", state / name).returncode == 0
    os.mkfifo(tmp_path / "pipe")
    assert [off_limits(Path(path)) for path in (tmp_path / "pipe", "/dev/null", tmp_path / ("x" * 300), "/nowhere/x")] == [""] * 4
    (tmp_path / "loop").symlink_to("loop")
    assert off_limits(tmp_path / "loop") == ""
    (tmp_path / "other.xml").write_text(" {} ")
    assert off_limits(tmp_path / "other.xml") == "is a session store"


def test_folder_with_a_store_is_one_of_sessions_when_it_holds_their_transcripts(tmp_path: Path) -> None:
    """A copy of a store may lie anywhere, and its report beside it."""
    (tmp_path / "sessions.json").write_text('{"agent:main:a": {"sessionId": "a"}}')
    assert off_limits(tmp_path / "growth.html") == ""
    for name in ("sessions.json", "sessions.json.lock", "sessions.json.bak.1"):
        assert "session store" in off_limits(tmp_path / name)
    (tmp_path / "a.jsonl.deleted.2026-11-20T13-14-31.436Z").touch()
    assert "lies in a folder of sessions" in off_limits(tmp_path / "growth.html")


def test_two_outputs_are_two_files(tmp_path: Path, call: Call) -> None:
    state = filled(tmp_path / "state")
    one, other = tmp_path / "one.xml", tmp_path / "other.xml"
    other.symlink_to(one)
    for twin in (one, other, tmp_path / "state/../one.xml"):
        error = one_line_error(call("check-growth", state, *LIMIT, "--junit", one, "--summary", twin), 2)
        assert f"{twin}: is named twice, with --junit and --summary; name another file with --summary" in error
        assert "named twice" in one_line_error(call("report", "--state-dir", SAMPLE, "-o", one, "--keep-notebook", twin), 2)
    assert not one.exists()
    one.write_text("x")
    hard = tmp_path / "hard.xml"
    hard.hardlink_to(one)
    assert "named twice" in one_line_error(call("check-growth", state, *LIMIT, "--junit", one, "--summary", hard), 2)
    assert one.read_text() == "x"


@pytest.mark.parametrize("suffix", ["-wal", "-shm", "-journal", ".lock", ".bak", ".bak.1795132800000"])
@pytest.mark.parametrize("kind", ["json", "sqlite", "directory"])
def test_what_lies_beside_a_store_is_known_by_any_name_and_in_any_folder(tmp_path: Path, kind: str, suffix: str) -> None:
    """As `session.store` may call it: what is in a write-ahead log is in no other file yet. A name that is free now is not so later."""
    state = filled(tmp_path / "state", kind)
    store = tmp_path / "elsewhere" / "mine.store"
    store.parent.mkdir()
    store_path(state, kind).rename(store)
    beside = store.with_name(store.name + suffix)
    assert f"has the name of what belongs to {store}" in off_limits(beside)
    beside.write_bytes(b"what is not in the store yet")
    assert f"has the name of what belongs to {store}" in off_limits(beside)
    assert off_limits(beside.with_name(f"other.store{suffix}")) == ""


def test_log_of_a_database_is_known_without_the_database(tmp_path: Path) -> None:
    """Where somebody has put it by: nothing else holds what was written last."""
    with contextlib.closing(sqlite3.connect(tmp_path / "one.db", isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE a (b)")
        for suffix in ("-wal", "-shm"):
            copy = tmp_path / f"copy{suffix}.xml"
            copy.write_bytes((tmp_path / f"one.db{suffix}").read_bytes())
            assert off_limits(copy) == "is the log of a database"
    copy.write_bytes(b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7" + bytes(504))  # a rollback journal's first bytes
    assert off_limits(copy) == "is the log of a database"


@pytest.mark.parametrize(
    "name",
    [
        "a.jsonl",
        "a.jsonl.gz",
        "a.jsonl.zst",
        "a.trajectory.jsonl",
        "a.jsonl.bak.2026-01-01T00-00-00.000Z",
        "a.jsonl.deleted.1",
        "a.jsonl.old",
    ],
)
def test_copies_and_archives_of_transcripts_are_known_by_their_names(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"whatever")
    assert off_limits(tmp_path / name) == "is a transcript"


@pytest.mark.parametrize("compress", [gzip.compress, zstandard.compress], ids=["gzip", "zstd"])
def test_what_is_compressed_is_known_by_what_it_holds(tmp_path: Path, compress: Callable[[bytes], bytes]) -> None:
    file = tmp_path / "out.html"
    for content, reason in (
        (b'{"type":"session","version":3}\n', "is a transcript"),
        (b'{"agent:main:a": {"sessionId": "a"}}', "is a session store"),
        (b"SQLite format 3\0" + bytes(84), "is a session store, or another database"),
        (b"<html>" * 100_000, ""),
        (b"", ""),
    ):
        file.write_bytes(compress(content))
        assert off_limits(file) == reason
    file.write_bytes(compress(b"<html>")[:7] + b"garbage")
    assert off_limits(file) == ""
