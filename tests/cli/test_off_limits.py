"""No output goes over a store, a transcript or the configuration, nor among them, whatever command is asked to write it."""

from __future__ import annotations

import itertools
import json
import os
from pathlib import Path

import pytest

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
}


@pytest.mark.parametrize(("output", "reason"), OUTPUTS.items())
def test_no_command_writes_over_sessions_or_among_them(tmp_path: Path, call: Call, output: str, reason: str) -> None:
    """As `check-growth --junit d/agents/main/sessions/sessions.json` once did, with exit code 0."""
    state = filled(tmp_path / "state")
    (state / "link.xml").symlink_to("agents/main/sessions/sessions.json")
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
