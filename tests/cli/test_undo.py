"""`sessionlab undo`: what comes back, what cannot, and which run is whose."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from sessionlab.errors import UsageError
from sessionlab.maintenance.run_folder import MaintenanceRun
from sessionlab.maintenance.undo import undo
from sessionlab.stores import open_for_writing
from tests.cli.in_process import Call, caller
from tests.cli.made_states import KINDS, made_state, store_path
from tests.cli.program import one_line_error, printed_json
from tests.cli.test_maintain import NOW_MS, command, content, entry, filled, key
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
    assert "removed for good by this maintenance" in call("undo", run).stdout


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


@pytest.mark.parametrize("kind", KINDS)
def test_run_in_a_state_folder_that_was_copied_or_moved_means_the_store_that_lies_there(tmp_path: Path, call: Call, kind: str) -> None:
    run = maintained(call, tmp_path / "state", kind=kind)
    shutil.copytree(tmp_path / "state", tmp_path / "copy")
    before = photo(tmp_path / "state")
    done = call("undo", tmp_path / "copy" / RUNS / run.name)
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "2 sessions restored")
    assert len(content(tmp_path / "copy", kind)) == 5
    assert photo(tmp_path / "state") == before
    (tmp_path / "state").rename(tmp_path / "moved")
    assert call("undo", run.name, "--state-dir", tmp_path / "moved").returncode == 0
    assert len(content(tmp_path / "moved", kind)) == 5


def test_copy_of_a_run_alone_touches_no_store(tmp_path: Path, call: Call) -> None:
    run = maintained(call, tmp_path / "state")
    shutil.copytree(run, tmp_path / "run")
    before = photo(tmp_path)
    assert "is a copy of the run" in one_line_error(call("undo", tmp_path / "run"), 2)
    assert photo(tmp_path) == before
    shutil.rmtree(tmp_path / "state")
    assert "put the store back" in one_line_error(call("undo", tmp_path / "run"), 10)


def test_store_that_the_configuration_keeps_elsewhere_gets_its_sessions_back(tmp_path: Path, call: Call) -> None:
    made_state(tmp_path / "files", "json", {key("old", "ops"): entry(50, "old"), key("young", "ops"): entry(1, "young")}, agent="ops")
    (tmp_path / "state/agents/ops/sessions").mkdir(parents=True)
    store = store_path(tmp_path / "files", "json", agent="{agentId}")
    (tmp_path / "state/openclaw.json").write_text(json.dumps({"session": {"store": str(store), "maintenance": {"mode": "enforce"}}}))
    run = Path(printed_json(call(*command(tmp_path / "state", "--enforce", "--json")))["results"][0]["run"]["runDir"])
    assert run.parent == tmp_path / "state" / RUNS
    undone = printed_json(call("undo", run.name, "--state-dir", tmp_path / "state", "--json"))
    assert (undone["success"], undone["restored"], undone["agentId"]) == (True, 1, "ops")
    assert len(content(tmp_path / "files", agent="ops")) == 2


def outside(folder: Path) -> Path:
    """Make a state folder whose configuration keeps its store outside of it, and return where that lies."""
    made_state(folder / "files", "json", {key("old", "ops"): entry(50, "old"), key("young", "ops"): entry(1, "young")}, agent="ops")
    (folder / "state/agents/ops/sessions").mkdir(parents=True)
    store = store_path(folder / "files", "json", agent="{agentId}")
    (folder / "state/openclaw.json").write_text(json.dumps({"session": {"store": str(store)}}))
    return store_path(folder / "files", "json", agent="ops")


def test_copy_of_a_state_folder_touches_no_store_that_lies_outside_of_it(tmp_path: Path, call: Call) -> None:
    """That store is the original's, and in use: who is about to look into a backup means no harm to it."""
    store = outside(tmp_path)
    run = Path(printed_json(call(*command(tmp_path / "state", "--enforce", "--json")))["results"][0]["run"]["runDir"])
    shutil.copytree(tmp_path / "state", tmp_path / "copy")
    shutil.copytree(tmp_path / "files", tmp_path / "other")
    before = photo(tmp_path)
    error = one_line_error(call("undo", run.name, "--state-dir", tmp_path / "copy"), 2)
    assert f"{tmp_path / 'copy'}: the run was made in {tmp_path / 'state'}, of which this may be a copy" in error
    assert f"its store {store} lies outside of both; name the store that is meant with --store" in error
    with pytest.raises(UsageError, match="may be a copy"):
        undo(MaintenanceRun(tmp_path / "copy" / RUNS / run.name))
    assert photo(tmp_path) == before
    other = store_path(tmp_path / "other", "json", agent="ops")
    done = printed_json(call("undo", run.name, "--state-dir", tmp_path / "copy", "--store", other, "--json"))
    assert (done["success"], done["restored"], done["storePath"]) == (True, 1, str(other))
    assert (len(content(tmp_path / "other", agent="ops")), len(content(tmp_path / "files", agent="ops"))) == (2, 1)
    assert "no such store" in one_line_error(call("undo", run, "--store", tmp_path / "nowhere"), 10)


@pytest.mark.parametrize("by", ["move", "link", "nothing"])
def test_state_folder_that_is_the_same_still_means_the_store_outside_of_it(tmp_path: Path, call: Call, by: str) -> None:
    outside(tmp_path)
    run = Path(printed_json(call(*command(tmp_path / "state", "--enforce", "--json")))["results"][0]["run"]["runDir"])
    if by == "move":
        (tmp_path / "state").rename(tmp_path / "moved")
    elif by == "link":
        (tmp_path / "moved").symlink_to("state")
    place = tmp_path / ("state" if by == "nothing" else "moved")
    assert printed_json(call("undo", run.name, "--state-dir", place, "--json"))["restored"] == 1
    assert len(content(tmp_path / "files", agent="ops")) == 2


def test_folder_of_sessions_that_a_copied_link_leads_to_is_the_originals(tmp_path: Path, call: Call) -> None:
    run = maintained(call, tmp_path / "state")
    (tmp_path / "state/agents/main/sessions").rename(tmp_path / "sessions")
    (tmp_path / "state/agents/main/sessions").symlink_to(tmp_path / "sessions")
    shutil.copytree(tmp_path / "state", tmp_path / "copy", symlinks=True)
    before = photo(tmp_path)
    assert "may be a copy" in one_line_error(call("undo", run.name, "--state-dir", tmp_path / "copy"), 2)
    assert photo(tmp_path) == before
    assert call("undo", run.name, "--state-dir", tmp_path / "state").returncode == 0


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
    """As another program may have written it, and an earlier version removed it: without a session id."""
    made_state(tmp_path, "json", {key("Old:Spelling"): entry(50, "spelling"), key("young"): entry(1, "young")})
    run = Path(printed_json(call(*command(tmp_path, "--enforce", "--json")))["results"][0]["run"]["runDir"])
    assert set(content(tmp_path)) == {key("young")}
    with (run / "removed.jsonl").open("a") as archive:
        archive.write(json.dumps({"key": key("strange"), "entry": {"updatedAt": 1}}) + "\n")
    done = call("undo", run)
    assert (done.returncode, done.stdout.splitlines()[0]) == (1, "1 session restored; not everything came back")
    assert f"  unstorable    {key('strange')}: no store takes this entry" in done.stdout
    assert set(content(tmp_path)) == {key("young"), key("Old:Spelling")}


@pytest.mark.parametrize("kind", KINDS)
def test_several_spellings_of_a_key_come_back_where_the_store_can_hold_them(tmp_path: Path, call: Call, kind: str) -> None:
    """To whoever writes they are one session; where the newest alone comes back, the others are named, and are in the run's folder."""
    entries = {key("Twin"): entry(50, "older"), key("twin"): entry(40, "newer"), key("young"): entry(1, "young")}
    made_state(tmp_path, "json", entries)
    sessions = store_path(tmp_path, "json").parent
    for name in ("older", "newer"):
        (sessions / f"{name}.jsonl").write_text("{}\n")
    run = Path(printed_json(call(*command(tmp_path, "--enforce", "--json")))["results"][0]["run"]["runDir"])
    if kind != "json":
        assert call("migrate", tmp_path, "--to", kind).returncode == 0
    done = json.loads(call("undo", run, "--json").stdout)
    if kind == "sqlite":
        assert (done["success"], done["restored"], done["newer"]) == (False, 1, [key("Twin")])
        assert content(tmp_path, kind) == {one: entries[one] for one in entries if one != key("Twin")}
        assert "older" in (run / "removed.jsonl").read_text()
        return
    assert (done["success"], done["restored"], done["newer"], done["renamedFiles"]) == (True, 2, [], 2)
    assert content(tmp_path, kind) == entries
    again = json.loads(call("undo", run, "--json").stdout)
    assert (again["success"], again["restored"], again["newer"]) == (True, 0, [])
    with open_for_writing(tmp_path) as store:  # the next write knows them for one session
        store.put(key("twin"), entry(0, "newest"))
    assert content(tmp_path, kind) == {key("young"): entries[key("young")], key("twin"): entry(0, "newest")}


@pytest.mark.parametrize(
    ("damage", "words", "restored"),
    [
        (lambda data: b'{"key": 5}\n' + data.split(b"\n", 1)[1], "is not what a run writes in line 1", 1),
        (lambda data: data.split(b"\n", 1)[1], "holds 1 of the 2 entries that were removed", 1),
        (lambda data: data[:-5], "holds 1 of the 2 entries that were removed", 1),
        (lambda _: None, "holds 0 of the 2 entries that were removed", 0),
    ],
    ids=["garbage", "line-missing", "cut", "gone"],
)
def test_damaged_archive_is_no_success(
    tmp_path: Path, call: Call, damage: Callable[[bytes], bytes | None], words: str, restored: int
) -> None:
    """Nothing is changed before it is said; what can be read comes back when that is asked for, with another exit code than success."""
    run = maintained(call, tmp_path)
    archive = run / "removed.jsonl"
    data = damage(archive.read_bytes())
    archive.unlink()
    if data is not None:
        archive.write_bytes(data)
    before = photo(store_path(tmp_path, "json").parent)
    error = one_line_error(call("undo", run), 3)
    assert words in error
    assert "undo --partly" in error
    assert photo(store_path(tmp_path, "json").parent) == before
    done = call("undo", run, "--partly", "--json")
    found = json.loads(done.stdout)
    assert (done.returncode, found["success"], found["restored"]) == (3, False, restored)
    assert words in found["unreadable"][0]
    assert len(content(tmp_path)) == 3 + restored


@pytest.mark.parametrize(
    "changed",
    [
        {"renamed_to": "../../../victim"},
        {"renamed_to": "sessions.json"},
        {"renamed_to": "young-0.jsonl"},
        {"renamed_to": ""},
        {"name": "sessions.sqlite", "renamed_to": "sessions.sqlite.deleted.2026-01-01T00-00-00.000Z"},
        {"name": "sessions.d"},
        {"name": "../old-0.jsonl"},
        {"name": "a\0b.jsonl", "renamed_to": "a\0b.jsonl.deleted.2026-01-01T00-00-00.000Z"},
    ],
)
def test_name_that_is_no_transcripts_moves_nothing(tmp_path: Path, call: Call, changed: dict[str, str]) -> None:
    run = maintained(call, tmp_path)
    victim = tmp_path / "victim"
    victim.write_text("mine\n")
    files = run / "files.jsonl"
    lines = files.read_text().splitlines()
    lines[0] = json.dumps(json.loads(lines[0]) | changed)
    files.write_text("\n".join(lines) + "\n")
    before = content(tmp_path)
    assert "names what is no file beside the store" in one_line_error(call("undo", run), 3)
    assert (victim.read_text(), content(tmp_path)) == ("mine\n", before)


@pytest.mark.parametrize("damage", [b"", None], ids=["empty", "gone"])
def test_list_of_files_that_is_damaged_is_no_success(tmp_path: Path, call: Call, damage: bytes | None) -> None:
    """Else the entries would be back, and their transcripts in the archive until they are too old."""
    run = maintained(call, tmp_path)
    (run / "files.jsonl").unlink()
    if damage is not None:
        (run / "files.jsonl").write_bytes(damage)
    before = content(tmp_path)
    assert "holds 0 of the 1 files that were looked after" in one_line_error(call("undo", run), 3)
    assert content(tmp_path) == before
    assert call("undo", run, "--partly").returncode == 3
    assert len(content(tmp_path)) == 5


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "cut": lambda data: data[:-5],
    "garbage": lambda data: data + b"\0garbage\n",
    "garbage-at-first": lambda data: b"{}\n" + data,
    "no-text": lambda data: data + b"\xff\n",
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", ["events.jsonl", "manifest.jsonl", "files.jsonl"])
def test_damaged_line_of_a_runs_lists_keeps_back_only_what_it_tells_of(tmp_path: Path, call: Call, name: str, damage: str) -> None:
    """Without --partly nothing is changed; with it all comes back that whole lines tell of, and what was left out is named."""
    run = maintained(call, tmp_path, "--profile", "2026.9" if name == "manifest.jsonl" else "2026.3")
    data = (run / name).read_bytes()
    (run / name).write_bytes(DAMAGES[damage](data))
    if name == "events.jsonl" and damage == "cut":
        assert call("undo", run).returncode == 0  # as a crash leaves it
        return
    sessions = store_path(tmp_path, "json").parent
    before = photo(sessions)
    error = one_line_error(call("undo", run), 3)
    assert (name in error, "undo --partly" in error) == (True, True)
    assert photo(sessions) == before
    done = call("undo", run, "--partly", "--json")
    found = json.loads(done.stdout)
    assert (done.returncode, found["success"]) == (3, False)
    assert any(one.startswith(f"{name} ") for one in found["unreadable"])
    assert len(content(tmp_path)) == 5
    is_lost = damage == "cut"  # the only line of files.jsonl, and one of the two of manifest.jsonl
    assert (sessions / "old-0.jsonl").exists() is not (is_lost and name == "files.jsonl")
    marked = sum("archivedAt" in one for one in content(tmp_path).values())
    assert marked == (1 if is_lost and name == "manifest.jsonl" else 0)
    assert "sk-" not in done.stdout


def test_act_of_a_run_that_does_not_say_how_many_is_a_damage(tmp_path: Path, call: Call) -> None:
    run = maintained(call, tmp_path)
    events = run / "events.jsonl"
    events.write_text(events.read_text().replace("2 entries", "some entries"))
    assert "does not say how many it was that 'remove' was about" in one_line_error(call("undo", run), 3)
    assert call("undo", run, "--partly").returncode == 3
    assert len(content(tmp_path)) == 5


def test_damage_of_a_later_run_keeps_nothing_back(tmp_path: Path, call: Call) -> None:
    """It was only asked what that one removed for good, after all was done here."""
    run = maintained(call, tmp_path)
    for path in store_path(tmp_path, "json").parent.glob("*.deleted.*"):
        path.unlink()
    later = run.with_name(run.name.replace("2026", "2027", 1))
    shutil.copytree(run, later)
    (later / "files.jsonl").write_bytes(b"garbage\n")
    found = json.loads(call("undo", run, "--json").stdout)
    assert (found["restored"], found["lost"], found["unreadable"]) == (2, ["old-0.jsonl"], [])


def test_archive_that_a_later_maintenance_removed_for_good_is_no_loss_that_nobody_told_of(tmp_path: Path, call: Call) -> None:
    run = maintained(call, tmp_path)
    late = ("--now-ms", str(NOW_MS + 86_400_000), "--profile", "2026.3", "--max-disk", "325b", "--high-water", "320b")
    assert "1 file (20 B) removed for good: the disk budget" in call("maintain", tmp_path, "--enforce", *late).stdout
    done = call("undo", run)
    assert (done.returncode, done.stdout.splitlines()[0]) == (1, "2 sessions restored; not everything came back")
    assert "1 file (20 B) removed for good by this maintenance or a later one" in done.stdout
