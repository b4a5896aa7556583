"""What is said of a store besides the answer: another one disagrees with it, or not all that lies in it was read."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from sessionlab.stores.json_file import JSONFileStore
from tests.cli.made_states import made_state, some_sessions, store_path
from tests.cli.program import one_line_error, printed_json, sessionlab
from tests.fixture_states import photo


@pytest.fixture
def moved(tmp_path: Path) -> Path:
    """Make a state folder whose sessions a migration has moved; the old sessions.json stays beside the database."""
    state = made_state(tmp_path / "state", "json", some_sessions())
    assert sessionlab("migrate", state, "--to", "sqlite").returncode == 0
    return state


def written_since(state: Path) -> Path:
    """Let an older program go on writing where the sessions were."""
    path = store_path(state, "json")
    path.write_text(json.dumps({**some_sessions(), "agent:main:new": {"sessionId": "n", "updatedAt": 1_795_280_000_000}}, indent=2))
    return state


def one_store(state: Path) -> dict[str, Any]:
    (store,) = printed_json(sessionlab("info", state, "--json"))["stores"]
    assert isinstance(store, dict)
    return store


def test_what_a_migration_left_behind_is_no_reason_to_be_careful(moved: Path) -> None:
    text = sessionlab("info", moved).stdout
    assert "careful" not in text
    assert f"  beside it  {store_path(moved, 'json')} (as the migration left it, not written since)\n" in text
    assert "sessionlab's SQLite store, schema 1\n" in text
    store = one_store(moved)
    assert store["warnings"] == []
    assert len(store["beside"]) == 1


@pytest.mark.parametrize("is_promoted", [True, False], ids=["written since the move", "nothing says which"])
def test_two_that_disagree_are_named_with_what_was_read_and_what_to_do(is_promoted: bool, moved: Path, tmp_path: Path) -> None:  # noqa: FBT001
    if is_promoted:
        state, read, other = written_since(moved), "sqlite", "json"
    else:
        state, read, other = made_state(tmp_path / "both", "json", some_sessions(count=4)), "json", "sqlite"
        made_state(state, "sqlite", some_sessions())
    before = photo(state)
    first, second = store_path(state, read), store_path(state, other)
    (warning,) = one_store(state)["warnings"]
    counts = ("3 sessions", "4 sessions") if is_promoted else ("4 sessions", "3 sessions")
    assert warning.startswith(f"two stores disagree: this one was read ({counts[0]}), {second} was not ({counts[1]})")
    assert f"sessionlab verify {second} {first}; then" in warning
    assert ("written since the sessions moved" in warning) == is_promoted
    assert f"  careful   {warning}\n" in sessionlab("info", state).stdout
    told = f"sessionlab: careful: {first}: {warning}\n"
    loaded = sessionlab("load", state, "-o", tmp_path / "m.duckdb")
    assert (loaded.returncode, loaded.stderr) == (0, told)
    again = sessionlab("load", state, "-o", tmp_path / "m.duckdb", "--json")
    assert printed_json(again)["warnings"] == [f"{first}: {warning}"]
    of_mirror = f"two stores disagree: {first.name} was read, the sessions of {second.name} are not counted; "
    for source in (("--state-dir", state), ("--mirror", tmp_path / "m.duckdb")):
        asked = sessionlab("query", "overview", *source)
        assert asked.returncode == 0
        assert of_mirror in asked.stderr
        (line,) = printed_json(sessionlab("query", "overview", *source, "--json"))["warnings"]
        assert of_mirror in line
    assert photo(state) == before


def test_notebook_on_stores_says_that_two_disagree(moved: Path, tmp_path: Path) -> None:
    done = sessionlab("run", "02_stores", "-p", f"state_dir={written_since(moved)}", "-p", "rounds=1", "-o", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    outputs = [cell.get("outputs", []) for cell in json.loads((tmp_path / "out/02_stores.ipynb").read_bytes())["cells"]]
    assert "**Not all of the sessions are here.**" in json.dumps(outputs)
    assert "two stores disagree: sessions.sqlite was read, the sessions of sessions.json are not counted" in json.dumps(outputs)


def test_other_store_that_cannot_be_read_hides_nothing(moved: Path) -> None:
    store_path(moved, "json").write_text('{"a": 1')
    store = one_store(moved)
    assert store["count"] == 3
    (warning,) = store["warnings"]
    assert "whether the stores beside it disagree with it cannot be said" in warning
    assert "truncated" in warning


def test_member_that_is_no_session_is_named_by_every_command(tmp_path: Path) -> None:
    state = made_state(tmp_path, "json", {"agent:main:a": 5, "agent:main:b": {"sessionId": "b", "updatedAt": 1}, "__proto__": {}})
    path = store_path(state, "json")
    before = photo(state)
    with JSONFileStore.open(path) as store:
        assert store.left_out() == ("agent:main:a", "__proto__")
    words = "2 members are no sessions and were left out: 'agent:main:a', '__proto__'; what is wrong with them: "
    warning = f"{words}sessionlab check {path}"
    assert one_store(state)["warnings"] == [warning]
    assert f"  careful   {warning}\n" in sessionlab("info", state).stdout
    listed = sessionlab("list", state)
    assert (listed.returncode, len(listed.stdout.splitlines()), listed.stderr) == (0, 2, f"sessionlab: careful: {path}: {warning}\n")
    assert printed_json(sessionlab("list", state, "--json"))["warnings"] == [f"{path}: {warning}"]
    assert f"Careful           {warning}\n" in sessionlab("store-info", state).stdout
    assert printed_json(sessionlab("store-info", state, "--json"))["warnings"] == [warning]
    for key in ("agent:main:a", "AGENT:main:A"):
        line = one_line_error(sessionlab("get", key, state), 1)
        assert f"{path}: what it holds under 'agent:main:a' is no session; what is wrong with it: sessionlab check {path}" in line
    assert "there is no session 'agent:main:c'" in one_line_error(sessionlab("get", "agent:main:c", state), 1)
    assert photo(state) == before


def test_blank_store_is_not_only_an_empty_one(tmp_path: Path) -> None:
    state = made_state(tmp_path, "json", {})
    store_path(state, "json").write_text(" \n")
    words = "the store file is blank: no sessions; restore a backup if there should be some"
    assert sessionlab("list", state).stderr == f"sessionlab: careful: {store_path(state, 'json')}: {words}\nno sessions\n"
    assert printed_json(sessionlab("store-info", state, "--json"))["warnings"] == [words]


def test_printed_commands_begin_with_what_was_called(tmp_path: Path, moved: Path) -> None:
    hint = sessionlab("info", moved, SESSIONLAB_CALLED_AS="/my work/run").stdout.splitlines()[-1]
    assert shlex.split(hint)[:3] == ["/my work/run", "report", "growth"]
    assert "see './run info --help'" in sessionlab("info", "--frob", SESSIONLAB_CALLED_AS="./run").stderr
    assert sessionlab("info", "--help", SESSIONLAB_CALLED_AS="./run").stdout.startswith("Usage: ./run info ")
    unknown = sessionlab("get", "agent:main:nobody", moved, SESSIONLAB_CALLED_AS="./run")
    assert "'./run list' shows all" in unknown.stderr
    mirror = sessionlab("query", "overview", "--mirror", tmp_path / "gone.duckdb", SESSIONLAB_CALLED_AS="./run")
    assert mirror.stderr.endswith("there is no such mirror; make it with './run load'\n")
    bare = sessionlab(HOME=str(tmp_path / "nobody"), SESSIONLAB_CALLED_AS="./run").stdout
    assert "./run info PATH" in bare
    assert "--state-dir" not in bare
    assert "sessionlab" not in bare
