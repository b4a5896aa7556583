"""`sessionlab get`: which session, as which bytes, and what is said when there is none."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sessionlab.stores import locate, open_at
from sessionlab.stores.json_store import JSONStore
from tests.cli.made_states import KINDS, made_state, some_sessions, store_path
from tests.cli.program import ROOT, SAMPLE, one_line_error, printed_json, sessionlab
from tests.fixture_states import STATES, photo, shared_state

OPS = "agent:ops:main"


def written_entry(file: Path, key: str) -> str:
    """Return the lines of one entry of a store that OpenClaw wrote, the indentation of the store taken off."""
    lines = file.read_text(encoding="utf-8").split("\n")
    first = lines.index(f"  {json.dumps(key)}: {{")
    last = next(place for place in range(first, len(lines)) if lines[place] in ("  }", "  },"))
    return "\n".join(["{", *(line[2:] for line in lines[first + 1 : last]), "}"])


def test_entry_is_printed_as_openclaw_wrote_it_and_nothing_else(tmp_path_factory: pytest.TempPathFactory) -> None:
    state = shared_state("json-2026.3", tmp_path_factory)
    file = state / "agents/main/sessions/sessions.json"
    before = photo(state)
    keys = list(json.loads(file.read_bytes()))
    for key in (keys[0], keys[len(keys) // 2], "agent:main:slack:channel:Leg2"):
        done = sessionlab("get", key, state)
        assert (done.returncode, done.stdout, done.stderr) == (0, written_entry(file, key) + "\n", "")
    assert photo(state) == before


def test_bytes_do_not_depend_on_the_terminals_encoding(tmp_path: Path) -> None:
    state = made_state(tmp_path, "json", {"agent:main:main": {"sessionId": "a", "label": "Zürich 🙂"}})
    command = [sys.executable, "-m", "sessionlab", "get", "agent:main:main", str(state)]
    done = subprocess.run(command, cwd=ROOT, env={"PYTHONIOENCODING": "ascii"}, capture_output=True, check=True)
    assert '"Zürich 🙂"'.encode() in done.stdout


@pytest.mark.parametrize("name", STATES)
def test_every_kind_of_store_of_openclaw_is_asked(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    state = shared_state(name, tmp_path_factory)
    before = photo(state)
    (location,) = locate(state)
    with open_at(location) as store:
        key, entry = list(store.items())[7]
    found = printed_json(sessionlab("get", key, state, "--json"))
    assert found == {
        "schema_version": 1,
        "agent": "main",
        "key": key,
        "store": str(location.path),
        "kind": location.kind,
        "entry": entry,
    }
    assert json.loads(sessionlab("get", key, location.path).stdout) == entry
    assert photo(state) == before


@pytest.mark.parametrize("kind", KINDS)
def test_our_stores_answer_alike_and_nothing_is_written(kind: str, tmp_path: Path) -> None:
    sessions = some_sessions()
    state = made_state(tmp_path, kind, sessions)
    before = photo(state)
    key = "agent:main:telegram:direct:1"
    for path in (state, state / "agents/main", store_path(state, kind)):
        found = printed_json(sessionlab("get", f" {key.upper()} ", path, "--json"))
        assert (found["key"], found["kind"], found["entry"]) == (key, kind, sessions[key])
    assert "no session" in one_line_error(sessionlab("get", "agent:main:gone", state), 1)
    assert photo(state) == before


def test_of_several_spellings_the_one_asked_for_counts_else_the_newest_as_it_does_for_the_store(tmp_path: Path) -> None:
    key, other = "agent:main:direct:x", "agent:main:DIRECT:X"
    variants: list[dict[str, Any]] = [
        {key: {"sessionId": "old", "updatedAt": 7}, "agent:main:Direct:X": {"sessionId": "new", "updatedAt": 9}},
        {key: {"sessionId": "new", "updatedAt": 9}, "agent:main:Direct:X": {"sessionId": "old", "updatedAt": 7}},
        {"agent:main:Direct:X": {"sessionId": "silent"}, "agent:MAIN:direct:x": {"sessionId": "new", "updatedAt": 1}},
        {key: {"sessionId": "first", "updatedAt": 9}, "agent:main:Direct:X": {"sessionId": "new", "updatedAt": 9}},
    ]
    for number, variant in enumerate(variants):
        state = made_state(tmp_path / str(number), "json", variant)
        found = printed_json(sessionlab("get", other, state, "--json"))
        assert found["entry"]["sessionId"] == "new"
        assert variant[found["key"]] == found["entry"]
        for stored in variant:
            exact = printed_json(sessionlab("get", stored, state, "--json"))
            assert (exact["key"], exact["entry"]) == (stored, variant[stored])
        with JSONStore(store_path(state, "json")) as store:
            assert [store.get(asked) for asked in (other, *variant)] == [found["entry"], *variant.values()]


def test_fields_are_those_asked_for_in_the_entrys_order() -> None:
    done = sessionlab("get", OPS, SAMPLE, "--field", "updatedAt", "--field", "sessionId")
    assert done.stdout == '{\n  "sessionId": "6647ac5c-bbd0-43ee-8873-8dd77137eede",\n  "updatedAt": 1795121460389\n}\n'
    assert list(printed_json(sessionlab("get", OPS, SAMPLE, "--json", "--field", "model"))["entry"]) == ["model"]
    line = one_line_error(sessionlab("get", OPS, SAMPLE, "--field", "sessionid", "--field", "model"), 1)
    assert "has no field 'sessionid'; it has sessionId, updatedAt, " in line


@pytest.mark.parametrize(
    ("asked", "nearest"),
    [
        ("agent:ops:mian", "'agent:ops:main'"),
        ("main", "'agent:main:main'"),
        ("6647AC5C-bbd0-43ee-8873-8dd77137eede", "'agent:ops:main'"),
    ],
    ids=["misspelt", "a part of it", "a session id"],
)
def test_unknown_key_names_the_nearest_and_exits_with_one(asked: str, nearest: str) -> None:
    line = one_line_error(sessionlab("get", asked, SAMPLE), 1)
    assert line.startswith(f"sessionlab: {SAMPLE}: there is no session '{asked}'; nearest: ")
    assert nearest in line
    assert line.endswith("; 'sessionlab list' shows all")


def test_unknown_key_of_an_empty_store_and_with_json(tmp_path: Path) -> None:
    state = made_state(tmp_path, "json", {})
    done = sessionlab("get", "agent:main:\x1b[31m", state, "--json")
    error = json.loads(done.stdout)["error"]
    assert (done.returncode, error["exit_code"]) == (1, 1)
    assert error["message"] == f"{state}: there is no session 'agent:main:\\x1b[31m'; 'sessionlab list' shows all"


def test_key_that_no_store_holds_is_unknown_and_a_blank_one_a_mistake(tmp_path: Path) -> None:
    for kind in KINDS:
        state = made_state(tmp_path / kind, kind, some_sessions())
        for key in ("__proto__", "x" * 5000, b"agent:main:\xff".decode("utf-8", "surrogateescape"), "a\nb"):
            assert "there is no session" in one_line_error(sessionlab("get", key, state), 1)
        assert "KEY is blank" in one_line_error(sessionlab("get", " ", state), 2)


def test_all_agents_are_asked_and_two_that_have_the_session_must_be_told_apart(tmp_path: Path) -> None:
    made_state(tmp_path, "json", {"agent:main:main": {"sessionId": "a"}, "global": {"sessionId": "of main"}})
    made_state(tmp_path, "sqlite", {"agent:ops:main": {"sessionId": "b"}, "global": {"sessionId": "of ops"}}, agent="ops")
    found = printed_json(sessionlab("get", "agent:ops:main", "--json", "--state-dir", tmp_path))
    assert (found["agent"], found["entry"]) == ("ops", {"sessionId": "b"})
    assert "stores of main, ops; name one with --agent" in one_line_error(sessionlab("get", "global", tmp_path), 2)
    assert json.loads(sessionlab("get", "global", tmp_path, "--agent", "ops").stdout) == {"sessionId": "of ops"}
    assert "there are main, ops" in one_line_error(sessionlab("get", "global", tmp_path, "--agent", "nobody"), 10)


def test_store_that_cannot_be_read_is_never_taken_for_one_without_the_session(tmp_path: Path) -> None:
    state = Path(shutil.copytree(SAMPLE, tmp_path / "state"))
    store_path(state, "json", agent="research").write_text('{"a": 1')
    hit = sessionlab("get", OPS, state)
    assert hit.returncode == 3
    assert json.loads(hit.stdout)["sessionId"] == "6647ac5c-bbd0-43ee-8873-8dd77137eede"
    assert len(hit.stderr.splitlines()) == 1
    assert "research" in hit.stderr
    assert "truncated" in one_line_error(sessionlab("get", "agent:research:main", state), 3)
    store_path(state, "json", agent="main").unlink()
    made_state(state, "sqlite", some_sessions())
    store_path(state, "sqlite").write_bytes(b"SQLite format 3\0" + b"x" * 5000)
    both = sessionlab("get", "agent:main:main", state)
    assert (both.returncode, both.stdout, len(both.stderr.splitlines())) == (3, "", 2)


def test_broken_entry_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "sessions.json"
    path.write_text('{\n  "agent:main:a": {},\n  "agent:main:b": {\n    "n": 123456789012345678901234567890\n  }\n}')
    line = one_line_error(sessionlab("get", "agent:main:b", path), 3)
    assert f"{path}: line 4: integer of 30 digits is out of range" in line
    assert json.loads(sessionlab("get", "agent:main:a", path).stdout) == {}
