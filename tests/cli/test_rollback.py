"""`sessionlab rollback`: the lines of openclaw#51946, and a way back that loses nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sessionlab.stores import open_for_writing
from tests.cli.made_states import made_state, some_sessions, store_path
from tests.cli.program import one_line_error, printed_json, sessionlab
from tests.cli.test_migrate import content
from tests.fixture_states import photo

BORN = {"sessionId": "later", "updatedAt": 1_795_132_900_000}


def moved(state: Path, old: str, new: str) -> Path:
    """Migrate a new state folder, and return the run's folder."""
    made_state(state, old, some_sessions())
    return Path(printed_json(sessionlab("migrate", state, "--to", new, "--json"))["results"][0]["runDir"])


def plain(text: str) -> list[str]:
    """Return the lines that are not details."""
    return [line for line in text.splitlines() if not line.startswith(" ")]


@pytest.mark.parametrize(("old", "new"), [("json", "sqlite"), ("json", "directory"), ("directory", "sqlite")])
def test_run_is_rolled_back_with_what_was_born_after_it(tmp_path: Path, old: str, new: str) -> None:
    """C.46, C.48, C.49: the second time there is nothing to do; the next migration migrates again."""
    run = moved(tmp_path, old, new)
    with open_for_writing(tmp_path) as store:
        store.put("agent:main:later", BORN)
    before = photo(tmp_path)
    planned = sessionlab("rollback", run, "--dry-run")
    path = store_path(tmp_path, old)
    assert (planned.returncode, plain(planned.stdout)) == (0, [f"would restore {path}", "Summary: restored 1, skipped 0"])
    assert photo(tmp_path) == before
    done = sessionlab("rollback", run)
    assert (done.returncode, done.stderr, plain(done.stdout)) == (0, "", [f"restored {path}", "Summary: restored 1, skipped 0"])
    assert content(tmp_path) == (old, {**some_sessions(), "agent:main:later": BORN})
    again = sessionlab("rollback", run)
    assert (again.returncode, plain(again.stdout)) == (0, [f"skipped {path}", "Summary: restored 0, skipped 1"])
    assert "has been rolled back" in again.stdout
    assert sessionlab("migrate", tmp_path, "--to", new).returncode == 0
    assert content(tmp_path)[0] == new


def test_stores_are_rolled_back_by_their_path(tmp_path: Path) -> None:
    """C.47, C.48: repeatable, with a dry run; one that is JSON already is skipped."""
    places = []
    for name in ("a", "b", "c"):
        state = tmp_path / name
        if name == "c":
            made_state(state, "json", some_sessions())
        else:
            moved(state, "json", "directory" if name == "a" else "sqlite")
        places.append(store_path(state, "json"))
    more = [word for place in places for word in ("--store", place)]
    before = photo(tmp_path)
    planned = sessionlab("rollback", *more, "--dry-run")
    a, b, c = places
    assert plain(planned.stdout) == [f"would restore {a}", f"would restore {b}", f"would skip {c}", "Summary: restored 2, skipped 1"]
    assert photo(tmp_path) == before
    done = sessionlab("rollback", *more)
    assert plain(done.stdout) == [f"restored {a}", f"restored {b}", f"skipped {c}", "Summary: restored 2, skipped 1"]
    assert [content(tmp_path / name) for name in ("a", "b", "c")] == [("json", some_sessions())] * 3
    (backup,) = a.parent.glob("sessions.d.bak.*")
    assert (backup / "state.json").is_file()


def test_all_agents_are_rolled_back_when_that_is_asked_for(tmp_path: Path) -> None:
    """C.47, deviating: not merely because nothing was named."""
    made_state(made_state(tmp_path, "json", some_sessions()), "json", some_sessions(agent="ops"), agent="ops")
    assert sessionlab("migrate", tmp_path, "--to", "sqlite", "--all-agents").returncode == 0
    before = photo(tmp_path)
    assert "say what to roll back" in one_line_error(sessionlab("rollback", "--state-dir", tmp_path), 2)
    assert photo(tmp_path) == before
    done = sessionlab("rollback", "--state-dir", tmp_path, "--all-agents")
    paths = [store_path(tmp_path, "json", agent=agent) for agent in ("main", "ops")]
    assert plain(done.stdout) == [*(f"restored {path}" for path in paths), "Summary: restored 2, skipped 0"]
    again = sessionlab("rollback", "--state-dir", tmp_path, "--all-agents")
    assert plain(again.stdout) == [*(f"skipped {path}" for path in paths), "Summary: restored 0, skipped 2"]
    assert again.stdout.count("  reason        is sessions.json already\n") == 2
    (tmp_path / "none" / "agents").mkdir(parents=True)
    nothing = sessionlab("rollback", "--state-dir", tmp_path / "none", "--all-agents")
    assert (nothing.returncode, nothing.stdout) == (0, "No session stores found.\n")


def test_one_store_that_fails_keeps_no_other_back(tmp_path: Path) -> None:
    """C.48: the error is one line on stderr, and the exit code its own."""
    moved(tmp_path / "a", "json", "directory")
    gone = tmp_path / "gone" / "sessions.json"
    gone.parent.mkdir()
    done = sessionlab("rollback", "--store", gone, "--store", store_path(tmp_path / "a", "json"))
    assert done.returncode == 10
    assert plain(done.stdout) == [f"restored {store_path(tmp_path / 'a', 'json')}", "Summary: restored 1, skipped 0"]
    assert done.stderr.startswith(f"sessionlab: {gone}: ")
    assert len(done.stderr.splitlines()) == 1


def test_old_file_that_was_written_since_is_not_replaced_unless_the_store_is_named(tmp_path: Path) -> None:
    run = moved(tmp_path, "json", "directory")
    (old,) = store_path(tmp_path, "json").parent.glob("sessions.json.bak.*")
    old.write_bytes(old.read_bytes().replace(b"main-0", b"main-x"))
    before = photo(tmp_path)
    assert "has been written since" in one_line_error(sessionlab("rollback", run), 4)
    assert photo(tmp_path) == before
    assert sessionlab("rollback", "--store", store_path(tmp_path, "directory")).returncode == 0
    assert content(tmp_path) == ("json", some_sessions())
    assert b"main-x" in old.read_bytes()


def test_store_that_cannot_be_read_is_not_taken_for_one_that_was_rolled_back(tmp_path: Path) -> None:
    run = moved(tmp_path, "json", "sqlite")
    store_path(tmp_path, "sqlite").write_bytes(b"SQLite format 3\0" + b"x" * 5_000)
    before = photo(tmp_path)
    assert "sessions.sqlite" in one_line_error(sessionlab("rollback", run), 3)
    assert photo(tmp_path) == before


def test_two_stores_that_disagree_are_not_chosen_between_unless_one_is_named(tmp_path: Path) -> None:
    moved(tmp_path, "json", "sqlite")
    file = store_path(tmp_path, "json")
    stranger = json.dumps(some_sessions(count=1))
    file.write_text(stranger)
    places: tuple[list[str | Path], ...] = (["--store", file], ["--state-dir", tmp_path, "--all-agents"])
    for place in places:
        done = sessionlab("rollback", *place)
        assert (done.returncode, plain(done.stdout)) == (4, ["Summary: restored 0, skipped 0"])
        assert "two stores hold sessions" in done.stderr
        assert f"'sessionlab rollback --store {store_path(tmp_path, 'sqlite')}' goes by the first" in done.stderr
        assert file.read_text() == stranger
    assert sessionlab("rollback", "--store", store_path(tmp_path, "sqlite")).returncode == 0
    assert content(tmp_path) == ("json", some_sessions())
    assert stranger in [path.read_text() for path in file.parent.glob("sessions.json.*") if not path.name.endswith(".lock")]


def test_session_that_only_the_old_file_holds_is_named_and_ends_with_3(tmp_path: Path) -> None:
    run = moved(tmp_path, "json", "sqlite")
    file = store_path(tmp_path, "json")
    file.write_text(json.dumps({**some_sessions(), "agent:main:theirs": BORN}))
    audited = sessionlab("audit", run)
    assert (audited.returncode, "has been written since" in audited.stdout, "To roll back" in audited.stdout) == (0, True, False)
    done = sessionlab("rollback", "--store", store_path(tmp_path, "sqlite"))
    assert done.returncode == 3
    assert "moved out of the way, holds, or holds newer: 1 ('agent:main:theirs')" in done.stdout
    (backup,) = file.parent.glob("sessions.json.bak.*")
    assert f"  displaced     what lay there is {backup} now\n" in done.stdout


def test_store_that_is_gone_is_not_called_rolled_back(tmp_path: Path) -> None:
    run = moved(tmp_path, "json", "sqlite")
    for path in store_path(tmp_path, "sqlite").parent.glob("sessions.sqlite*"):
        path.unlink()
    assert "is gone, and no later run has moved it" in one_line_error(sessionlab("rollback", run), 3)


def test_entry_that_was_left_out_is_named_again_on_the_way_back(tmp_path: Path) -> None:
    state = made_state(tmp_path, "json", some_sessions())
    file = store_path(state, "json")
    file.write_text(file.read_text().replace("{", '{\n  "agent:main:bad": {"updatedAt": 1},', 1))
    assert sessionlab("migrate", state, "--to", "sqlite", "--set-aside").returncode == 3
    (run,) = (state / ".sessionlab" / "runs").iterdir()
    done = sessionlab("rollback", run)
    assert done.returncode == 3
    (backup,) = file.parent.glob("sessions.json.bak.*")
    assert f"that do not come back: 1 ('agent:main:bad', ...); they lie in {backup}" in done.stdout


def test_json_says_the_same(tmp_path: Path) -> None:
    run = moved(tmp_path, "json", "sqlite")
    planned = printed_json(sessionlab("rollback", run, "--dry-run", "--json"))
    assert (planned["success"], planned["restored"], planned["skipped"], planned["dryRun"]) == (True, 1, 0, True)
    assert planned["results"][0]["plan"]["targetPath"] == str(store_path(tmp_path, "json"))
    done = printed_json(sessionlab("rollback", run, "--json"))
    (result,) = done["results"]
    assert (result["status"], result["path"], result["sessions"]) == ("restored", str(store_path(tmp_path, "json")), 3)
    assert (Path(result["runDir"]) / "report.json").is_file()
    failed = sessionlab("rollback", "--store", tmp_path / "gone.json", "--json")
    document = json.loads(failed.stdout)
    assert (failed.returncode, document["success"], document["results"][0]["error"]["exit_code"]) == (10, False, 10)


def test_run_is_found_by_its_name(tmp_path: Path) -> None:
    run = moved(tmp_path, "json", "sqlite")
    missing = one_line_error(sessionlab("rollback", "nonsense", "--state-dir", tmp_path), 10)
    assert f"has no run 'nonsense'; the latest are {run.name}" in missing
    assert sessionlab("rollback", run.name, OPENCLAW_STATE_DIR=str(tmp_path)).returncode == 0
    assert sessionlab("rollback", run.name, "--state-dir", tmp_path).stdout.startswith("skipped ")


def test_what_makes_no_sense_is_refused(tmp_path: Path) -> None:
    """C.47: `--store` without a value, and unknown arguments."""
    assert "requires an argument" in one_line_error(sessionlab("rollback", "--store"), 2)
    assert "No such option" in one_line_error(sessionlab("rollback", "--frobnicate"), 2)
    assert "unexpected extra argument" in one_line_error(sessionlab("rollback", "a", "b"), 2)
    assert "say what to roll back" in one_line_error(sessionlab("rollback"), 2)
    assert "say what to roll back" in one_line_error(sessionlab("rollback", "x", "--store", "y"), 2)
    assert "leave --state-dir out" in one_line_error(sessionlab("rollback", "--store", "y", "--state-dir", tmp_path), 2)
    assert "--store PATH" in sessionlab("rollback", "-h").stdout
