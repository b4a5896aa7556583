"""`sessionlab undo`: what comes back, what cannot, and which run is whose."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from sessionlab.stores import open_for_writing
from tests.cli.in_process import Call, caller
from tests.cli.made_states import KINDS, made_state, store_path
from tests.cli.program import one_line_error, printed_json
from tests.cli.test_maintain import command, content, entry, filled, key
from tests.fixture_states import photo

RUNS = Path(".sessionlab/runs")


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Call:
    return caller(capsys)


def maintained(call: Call, state: Path, *words: str, kind: str = "json") -> Path:
    """Make a state folder, maintain it, and return the run's folder."""
    filled(state, kind)
    result = printed_json(call(*command(state, "--enforce", "--json", *words)))["results"][0]
    return Path(result["run"]["runDir"])


@pytest.mark.parametrize("kind", KINDS)
def test_everything_comes_back_and_the_second_time_nothing_happens(tmp_path: Path, call: Call, kind: str) -> None:
    run = maintained(call, tmp_path, kind=kind)
    done = call("undo", run.name, "--state-dir", tmp_path)
    assert (done.returncode, done.stderr, done.stdout.splitlines()[0]) == (0, "", "2 sessions restored")
    assert "transcripts   1 have their old names again" in done.stdout
    assert len(content(tmp_path, kind)) == 5
    before = content(tmp_path, kind)
    again = printed_json(call("undo", run, "--json"))
    assert (again["success"], again["restored"], again["renamedFiles"]) == (True, 0, 0)
    assert content(tmp_path, kind) == before
    assert "sk-" not in done.stdout


def test_run_is_found_by_name_in_the_usual_folder_too(tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    run = maintained(call, tmp_path)
    monkeypatch.setenv("OPENCLAW_STATE_DIR", str(tmp_path))
    assert call("undo", run.name).returncode == 0
    assert f"has no run 'nothing'; the latest are {run.name}" in one_line_error(call("undo", "nothing"), 10)
    assert "RUN is blank" in one_line_error(call("undo", " "), 2)
    assert "is no run folder" in one_line_error(call("undo", tmp_path), 10)


def test_what_is_newer_stays_and_is_named_with_exit_code_one(tmp_path: Path, call: Call) -> None:
    run = maintained(call, tmp_path)
    newer = entry(0, "newer")
    with open_for_writing(tmp_path) as store:
        store.put(key("old-1"), newer)
    sessions = store_path(tmp_path, "json").parent
    (sessions / "old-0.jsonl").write_text("newer\n")
    done = call("undo", run)
    assert (done.returncode, done.stdout.splitlines()[0]) == (1, "1 session restored; not everything came back")
    assert f"  newer         {key('old-1')}: another entry has this key by now" in done.stdout
    assert "  occupied      old-0.jsonl: another file has this name by now" in done.stdout
    assert content(tmp_path)[key("old-1")] == newer
    assert (sessions / "old-0.jsonl").read_text() == "newer\n"


def test_what_was_removed_for_good_is_told_with_exit_code_one(tmp_path: Path, call: Call) -> None:
    filled(tmp_path)
    nobody = store_path(tmp_path, "json").parent / "nobody.jsonl"
    nobody.write_bytes(b"x" * 5_000)
    run = maintained(call, tmp_path, "--max-disk", "2kb")
    assert not nobody.exists()
    done = call("undo", run, "--json")
    found = json.loads(done.stdout)
    assert (done.returncode, found["success"], found["restored"]) == (1, False, 2)
    assert found["goneFiles"] >= 1
    assert found["goneBytes"] >= 5_000
    assert "removed for good by the maintenance" in call("undo", run).stdout


def test_archived_transcript_that_is_gone_is_a_loss_with_exit_code_three(tmp_path: Path, call: Call) -> None:
    run = maintained(call, tmp_path)
    for path in store_path(tmp_path, "json").parent.glob("*.deleted.*"):
        path.unlink()
    done = call("undo", run)
    assert done.returncode == 3
    assert "  lost          old-0.jsonl: is not among the archived transcripts any more" in done.stdout
    assert len(content(tmp_path)) == 5


def test_marks_of_2026_9_are_taken_away_again(tmp_path: Path, call: Call) -> None:
    run = maintained(call, tmp_path, "--profile", "2026.9")
    assert sum("archivedAt" in one for one in content(tmp_path).values()) == 2
    assert "2 entries not marked as archived any more" in call("undo", run).stdout
    assert sum("archivedAt" in one for one in content(tmp_path).values()) == 0


@pytest.mark.parametrize("kind", ["sqlite", "directory"])
def test_store_that_moved_to_another_kind_since_gets_its_sessions_back(tmp_path: Path, call: Call, kind: str) -> None:
    run = maintained(call, tmp_path)
    assert call("migrate", tmp_path, "--to", kind).returncode == 0
    done = call("undo", run)
    assert (done.returncode, str(store_path(tmp_path, kind)) in done.stdout) == (0, True)
    assert len(content(tmp_path, kind)) == 5


def test_copy_of_a_state_folder_does_not_touch_the_original(tmp_path: Path, call: Call) -> None:
    run = maintained(call, tmp_path / "state")
    shutil.copytree(tmp_path / "state", tmp_path / "copy")
    before = photo(tmp_path)
    assert "is a copy of the run" in one_line_error(call("undo", tmp_path / "copy" / RUNS / run.name), 2)
    assert photo(tmp_path) == before
    shutil.rmtree(tmp_path / "state")
    assert "put the store back" in one_line_error(call("undo", tmp_path / "copy" / RUNS / run.name), 10)


def test_store_that_the_configuration_keeps_elsewhere_gets_its_sessions_back(tmp_path: Path, call: Call) -> None:
    made_state(tmp_path / "files", "json", {key("old", "ops"): entry(50, "old"), key("young", "ops"): entry(1, "young")}, agent="ops")
    (tmp_path / "state/agents/ops/sessions").mkdir(parents=True)
    store = store_path(tmp_path / "files", "json", agent="{agentId}")
    (tmp_path / "state/openclaw.json").write_text(json.dumps({"session": {"store": str(store), "maintenance": {"mode": "enforce"}}}))
    run = Path(printed_json(call(*command(tmp_path / "state", "--json")))["results"][0]["run"]["runDir"])
    assert run.parent == tmp_path / "state" / RUNS
    undone = printed_json(call("undo", run.name, "--state-dir", tmp_path / "state", "--json"))
    assert (undone["success"], undone["restored"], undone["agentId"]) == (True, 1, "ops")
    assert len(content(tmp_path / "files", agent="ops")) == 2


def test_each_kind_of_run_names_its_own_way_back(tmp_path: Path, call: Call) -> None:
    """A migration is rolled back, a maintenance is undone."""
    run = maintained(call, tmp_path)
    for command_name in ("rollback", "audit"):
        for words in ((run,), (run.name, "--state-dir", tmp_path)):
            message = one_line_error(call(command_name, *words), 2)
            assert "is the run of a maintenance, not of a migration; 'sessionlab undo' brings back what it removed" in message
    assert call("migrate", tmp_path, "--to", "sqlite").returncode == 0
    (migration,) = (tmp_path / RUNS).glob("*-migrate-*")
    for place in ((migration,), (migration.name, "--state-dir", tmp_path)):
        assert "is a run of migrate, not a maintenance; 'sessionlab rollback' is its way back" in one_line_error(call("undo", *place), 2)
    assert call("audit", migration).returncode == 0


def test_entry_that_no_store_takes_keeps_no_other_back(tmp_path: Path, call: Call) -> None:
    """As another program may have written it: without a session id."""
    strange = {key("strange"): {"updatedAt": 1}, key("Old:Spelling"): entry(50, "spelling")}
    made_state(tmp_path, "json", strange | {key("young"): entry(1, "young")})
    run = Path(printed_json(call(*command(tmp_path, "--enforce", "--json")))["results"][0]["run"]["runDir"])
    assert set(content(tmp_path)) == {key("young")}
    done = call("undo", run)
    assert (done.returncode, done.stdout.splitlines()[0]) == (1, "1 session restored; not everything came back")
    assert f"  unstorable    {key('strange')}: no store takes this entry" in done.stdout
    assert set(content(tmp_path)) == {key("young"), key("old:spelling")}


def test_of_several_spellings_of_a_key_the_newest_comes_back_and_the_others_are_named(tmp_path: Path, call: Call) -> None:
    """To whoever writes they are one session; what is not in the store again is still in the run's folder."""
    made_state(tmp_path, "json", {key("Twin"): entry(50, "older"), key("twin"): entry(40, "newer"), key("young"): entry(1, "young")})
    run = Path(printed_json(call(*command(tmp_path, "--enforce", "--json")))["results"][0]["run"]["runDir"])
    done = json.loads(call("undo", run, "--json").stdout)
    assert (done["success"], done["restored"], done["newer"]) == (False, 1, [key("Twin")])
    assert content(tmp_path) == {key("young"): entry(1, "young"), key("twin"): entry(40, "newer")}
    assert "older" in (run / "removed.jsonl").read_text()


def test_damaged_run_is_an_error_of_its_own(tmp_path: Path, call: Call) -> None:
    run = maintained(call, tmp_path)
    (run / "removed.jsonl").write_text('{"key": 5}\n')
    before: dict[str, Any] = content(tmp_path)
    assert "removed.jsonl: is not what a run writes" in one_line_error(call("undo", run), 3)
    assert content(tmp_path) == before
