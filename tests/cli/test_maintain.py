"""`sessionlab maintain`: what would go is said first, and only what was asked for is done."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import click
import pytest

from sessionlab.cli import _run
from sessionlab.errors import UnwritableError
from sessionlab.maintenance import apply, reaper
from sessionlab.maintenance.apply import Caretaker
from sessionlab.stores import open_store
from sessionlab.units import MS_PER_DAY
from tests.cli.in_process import Call, caller
from tests.cli.made_states import KINDS, made_state, store_path
from tests.cli.program import one_line_error, printed_json
from tests.fixture_states import own_state, photo

NOW_MS = 1_795_132_800_000
every_kind = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Call:
    return caller(capsys)


def key(name: str, agent: str = "main") -> str:
    return f"agent:{agent}:{name}"


def entry(days: float, session_id: str) -> dict[str, Any]:
    return {"sessionId": session_id, "updatedAt": NOW_MS - round(days * MS_PER_DAY), "token": f"sk-{session_id}"}


def mixed(agent: str = "main") -> dict[str, Any]:
    """Return two stale entries, two young ones, and one that does not say when it was updated."""
    days = {"old-0": 41, "old-1": 31, "young-0": 1, "young-1": 2}
    return {key(name, agent): entry(age, name) for name, age in days.items()} | {key("silent", agent): {"sessionId": "silent"}}


def filled(state: Path, kind: str = "json", *, agent: str = "main", config: dict[str, Any] | None = None) -> Path:
    """Make a state folder with a transcript for the first stale entry and the first young one."""
    made_state(state, kind, mixed(agent), agent=agent)
    for name in ("old-0", "young-0"):
        (store_path(state, kind, agent=agent).parent / f"{name}.jsonl").write_text('{"type": "session"}\n')
    if config is not None:
        (state / "openclaw.json").write_text(json.dumps({"session": {"maintenance": config}}))
    return state


def content(state: Path, kind: str = "json", *, agent: str = "main") -> dict[str, Any]:
    with open_store(store_path(state, kind, agent=agent)) as store:
        return dict(store.items())


def command(*words: str | Path) -> list[str | Path]:
    return ["maintain", *words, "--now-ms", str(NOW_MS)]


def actions(result: dict[str, Any]) -> dict[str, str]:
    return {one["key"].rpartition(":")[2]: one["action"] for one in result["entries"]}


@every_kind
def test_without_being_told_to_enforce_it_only_says_what_would_go(tmp_path: Path, call: Call, kind: str) -> None:
    """D.10, D.16, D.51: in warn mode, and as a dry run, nothing at all is written."""
    filled(tmp_path, kind)
    before = photo(tmp_path)
    told = call(*command(tmp_path, "--max-entries", "2"))
    assert (told.returncode, told.stderr) == (0, "")
    lines = [line.split("  ") for line in told.stdout.splitlines()]
    verdict = "OpenClaw 2026.3 only warns: by itself it removes nothing; enforced, it would remove 3 of 5 sessions"
    assert f"{store_path(tmp_path, kind)} (agent main): {verdict}\n" in told.stdout
    assert "as OpenClaw 2026.3 (nothing tells the version; --profile does), warn: prune after 30 d, at most 2 entries," in told.stdout
    assert "archives kept for 30 d, no disk budget" in told.stdout
    assert {line[1]: line[-1] for line in lines if line[-1].startswith("agent:")} == {
        "cap-overflow": key("silent"),
        "prune-stale": key("old-0"),
    }
    assert "not updated for 41 d, limit 30 d" in told.stdout
    assert "not among the 2 newest: does not say when it was updated" in told.stdout
    assert "1 cap-overflow, 2 keep, 2 prune-stale" in told.stdout
    assert "1 transcript (20 B) renamed to NAME.jsonl.deleted.TIME" in told.stdout
    assert "Nothing was changed: that takes --enforce. To do it: " in told.stdout
    found = printed_json(call(*command(tmp_path, "--max-entries", "2", "--dry-run", "--enforce", "--json")))
    (result,) = found["results"]
    assert (found["dryRun"], found["applied"], result["status"], result["mode"]) == (True, False, "planned", "enforce")
    assert actions(result) == {"silent": "cap-overflow", "old-0": "prune-stale", "old-1": "prune-stale"}
    counts = {name: result[name] for name in ("beforeCount", "afterCount", "missing", "pruned", "capped", "evicted", "archived")}
    assert list(counts.values()) == [5, 2, 0, 2, 1, 0, 0]
    assert [(one["name"], one["action"]) for one in result["files"]] == [("old-0.jsonl", "archive")]
    assert photo(tmp_path) == before
    assert "sk-" not in told.stdout + json.dumps(found)


@every_kind
def test_what_is_enforced_is_done_and_can_be_undone(tmp_path: Path, call: Call, kind: str) -> None:
    """D.17, D.50, D.51: the printed command undoes it."""
    filled(tmp_path, kind)
    sessions, entries = store_path(tmp_path, kind).parent, content(tmp_path, kind)
    done = call(*command(tmp_path, "--enforce"))
    assert (done.returncode, done.stderr) == (0, "")
    assert "removed 2 of 5 sessions" in done.stdout
    assert content(tmp_path, kind) == {name: one for name, one in entries.items() if "old" not in name}
    assert [path.name[:23] for path in sessions.glob("*.deleted.*")] == ["old-0.jsonl.deleted.202"]
    after = next(line for line in done.stdout.splitlines() if line.startswith("  after"))
    assert "3 sessions" in after
    assert "expected" not in after
    way_back = shlex.split(done.stdout.strip().splitlines()[-1].removeprefix("To undo: "))
    assert way_back[:2] == ["sessionlab", "undo"]
    assert call(*way_back[1:]).returncode == 0
    assert content(tmp_path, kind) == entries
    assert (sessions / "old-0.jsonl").is_file()


@every_kind
def test_two_at_once_say_what_each_of_them_did(tmp_path: Path, call: Call, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second, whose plan was made before the first was done, once said that entries were updated, and transcripts renamed."""
    filled(tmp_path, kind)
    real = apply.apply_plan

    def late(*args: Any, **options: Any) -> Any:
        monkeypatch.setattr(apply, "apply_plan", real)
        assert _run(["maintain", str(tmp_path), "--enforce", "--now-ms", str(NOW_MS)]) == 0
        return real(*args, **options)

    monkeypatch.setattr(apply, "apply_plan", late)
    first, second = call(*command(tmp_path, "--enforce")).stdout.split(" (agent main): ")[1:]
    assert first.startswith("removed 2 of 5 sessions\n")
    assert "1 transcript (20 B) renamed" in first
    assert "gone since" not in first
    assert second.startswith("did nothing: what was to be done has changed, or was done by another program\n")
    assert "2 prune-stale, as planned\n" in second
    assert "gone since    2 entries removed by another program since\n" in second
    assert "kept since" not in second
    assert "0 of 1 transcript (0 B) renamed" in second
    assert "old-0.jsonl: changed, gone or referred to since" in second


def test_what_no_undo_brings_back_is_said_where_the_way_back_is(tmp_path: Path, call: Call) -> None:
    filled(tmp_path)
    sessions = store_path(tmp_path, "json").parent
    (sessions / "past.jsonl.deleted.2026-01-01T00-00-00.000Z").write_bytes(b"x" * 2048)
    done = call(*command(tmp_path, "--enforce")).stdout.strip().splitlines()[-1]
    head, _, way_back = done.partition(": ")
    assert head == "To undo, but for 1 file (2.0 KB) removed for good"
    assert call(*shlex.split(way_back)[1:]).returncode == 1
    assert len(content(tmp_path)) == 5


def test_printed_command_does_what_was_said(tmp_path: Path, call: Call) -> None:
    filled(tmp_path / "it's mine")
    told = call(*command(tmp_path / "it's mine", "--prune-after", "1d", "--fix-missing", "--dry-run"))
    again = shlex.split(told.stdout.strip().splitlines()[-1].partition("To do it: ")[2])
    assert again[0] == "sessionlab"
    assert call(*again[1:]).returncode == 0
    assert set(content(tmp_path / "it's mine")) == {key("young-0")}


def test_nothing_is_removed_unless_the_command_line_says_so(tmp_path: Path, call: Call) -> None:
    """Whatever the configuration, a profile or what lies beside the store says."""
    filled(tmp_path, config={"mode": "enforce", "pruneAfter": "40d"})
    before = photo(tmp_path)
    for words in ((), *(("--profile", profile) for profile in ("2026.3", "2026.4", "2026.7", "2026.9"))):
        told = call(*command(tmp_path, *words))
        assert (told.returncode, "Nothing was changed: that takes --enforce." in told.stdout) == (0, True)
        found = printed_json(call(*command(tmp_path, *words, "--json")))
        assert (found["enforced"], found["applied"], found["results"][0]["wouldMutate"]) == (False, False, True)
    assert photo(tmp_path) == before
    found = printed_json(call(*command(tmp_path, "--enforce", "--json")))
    assert (found["enforced"], found["applied"], found["results"][0]["run"]["removed"]) == (True, True, {"prune-stale": 1})
    assert len(content(tmp_path)) == 4


def test_store_is_not_emptied_unless_that_is_allowed_by_name(tmp_path: Path, call: Call) -> None:
    made_state(tmp_path, "json", {key("old"): entry(40, "old")})
    before = photo(tmp_path)
    assert "would remove all of its 1 session; if that is meant, add --allow-empty" in one_line_error(
        call(*command(tmp_path, "--enforce")), 2
    )
    told = call(*command(tmp_path))
    assert (told.returncode, told.stdout.rstrip().endswith(" --enforce --allow-empty")) == (0, True)
    assert photo(tmp_path) == before
    assert call(*command(tmp_path, "--enforce", "--allow-empty")).returncode == 0
    assert content(tmp_path) == {}


def test_entries_without_a_transcript_go_when_that_is_asked_for(tmp_path: Path, call: Call) -> None:
    """D.51."""
    filled(tmp_path)
    (result,) = printed_json(call(*command(tmp_path, "--fix-missing", "--json")))["results"]
    assert actions(result) == {"young-1": "prune-missing", "silent": "prune-missing", "old-0": "prune-stale", "old-1": "prune-missing"}
    assert (result["missing"], result["pruned"], result["afterCount"]) == (3, 1, 1)


def test_disk_budget_is_told_in_full(tmp_path: Path, call: Call) -> None:
    """D.50: archives and transcripts of nobody first, then the oldest entries."""
    filled(tmp_path)
    sessions = store_path(tmp_path, "json").parent
    (sessions / "nobody.jsonl").write_bytes(b"x" * 5_000)
    total = sum(path.stat().st_size for path in sessions.iterdir())
    most = total - 4_000
    found = printed_json(call(*command(tmp_path, "--max-disk", str(most), "--high-water", str(most), "--prune-after", "90d", "--json")))
    budget = found["results"][0]["diskBudget"]
    assert budget == {
        "totalBytesBefore": total,
        "totalBytesAfter": total - 5_000,
        "removedFiles": 1,
        "removedEntries": 0,
        "freedBytes": 5_000,
        "maxBytes": most,
        "highWaterBytes": most,
        "overBudget": False,
    }
    words = command(tmp_path, "--max-disk", "10b", "--high-water", "10b", "--prune-after", "90d", "--active-key", key("old-0"), "--enforce")
    done = call(*words)
    assert "4 evict-budget" in done.stdout
    assert "to come down to 10 B" in done.stdout
    assert "evict nobody.jsonl (4.9 KB)" in done.stdout
    assert "over budget   more than 10 B all the same" in done.stdout
    assert set(content(tmp_path)) == {key("old-0")}


def test_agents_are_looked_after_by_name_or_all_of_them(tmp_path: Path, call: Call) -> None:
    filled(filled(tmp_path), agent="ops")
    done = call(*command(tmp_path, "--enforce"))
    assert "Other agents were left alone: ops. --all-agents looks after theirs, too." in done.stdout
    assert (len(content(tmp_path)), len(content(tmp_path, agent="ops"))) == (3, 5)
    store_path(tmp_path, "json").write_text('{"a": 1')
    failed = call(*command(tmp_path, "--enforce", "--all-agents", "--json"))
    found = json.loads(failed.stdout)
    assert (failed.returncode, found["success"], [one["status"] for one in found["results"]]) == (3, False, ["failed", "maintained"])
    assert len(failed.stderr.splitlines()) == 1
    assert "; restore a backup: the rest is not in the file" in found["results"][0]["error"]["message"]
    assert len(content(tmp_path, agent="ops")) == 3
    assert call(*command(tmp_path, "--enforce", "--agent", "ops")).stdout.startswith(f"{store_path(tmp_path, 'json', agent='ops')}")


@pytest.mark.parametrize("words", [("maintain", "--enforce"), ("reap",)])
@pytest.mark.parametrize("error", [KeyboardInterrupt(), UnwritableError(Path("x.jsonl"), "no room")])
def test_what_is_stopped_on_its_way_says_how_to_go_back(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    error: BaseException,
) -> None:
    """When the entries are gone, and their transcripts not yet renamed."""

    def fail(*_: object, **__: object) -> None:
        raise error

    reaper.forget()
    filled(tmp_path)
    made_state(tmp_path, "json", mixed() | {key("cron:job:run:1"): entry(50, "cron")})
    (store_path(tmp_path, "json").parent / "cron.jsonl").write_text('{"type": "session"}\n')
    entries = content(tmp_path)
    monkeypatch.setattr(Caretaker, "look_after", fail)
    capsys.readouterr()
    try:
        code = _run([*words, str(tmp_path), "--now-ms", str(NOW_MS)])
    except (KeyboardInterrupt, click.Abort):
        code = 130
    told = capsys.readouterr()
    assert code == getattr(error, "exit_code", 130)
    assert len(content(tmp_path)) < len(entries)
    way_back = next(line for line in told.err.splitlines() if "stopped on its way" in line).partition("comes back with: ")[2]
    assert _run(shlex.split(way_back)[1:]) == 0
    assert content(tmp_path) == entries


def test_openclaws_own_database_is_left_to_openclaw(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, call: Call) -> None:
    state = own_state("sqlite-2026.9", tmp_path_factory, tmp_path)
    before = photo(state)
    assert "OpenClaw maintains it itself" in one_line_error(call(*command(state, "--enforce")), 2)
    assert photo(state) == before
    filled(state, agent="ops")
    done = call(*command(state, "--enforce", "--all-agents"))
    assert (done.returncode, "skipped, is OpenClaw's own database" in done.stdout) == (0, True)
    assert sum("archivedAt" in one for one in content(state, agent="ops").values()) == 2
    alone = own_state("sqlite-2026.9", tmp_path_factory, tmp_path / "alone")
    assert "skipped, is OpenClaw's own database" in call(*command(alone, "--all-agents")).stdout
