"""`sessionlab maintain`: what would go is said first, and only what was asked for is done."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import click
import pytest

from sessionlab import configuration
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


def test_whose_rules_count_is_told_without_reading_the_configuration_again(
    tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it says is one state of it, whoever writes it meanwhile."""
    filled(tmp_path, config={"mode": "enforce"})
    reads = []
    read = configuration._read

    def counting(path: Path) -> bytes | None:
        reads.append(path)
        return read(path)

    monkeypatch.setattr(configuration, "_read", counting)
    assert call(*command(tmp_path, "--profile", "2026.3")).returncode == 0
    told = len(reads)
    assert call(*command(tmp_path)).returncode == 0
    assert len(reads) == 2 * told


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


def test_version_that_only_warns_would_remove_nothing_by_itself(tmp_path: Path, call: Call) -> None:
    filled(tmp_path)

    def verdict(*words: str) -> tuple[str, bool, bool]:
        line = call(*command(tmp_path, *words)).stdout.splitlines()[0].partition("(agent main): ")[2]
        (result,) = printed_json(call(*command(tmp_path, *words, "--json")))["results"]
        return line, result["wouldMutate"], result["wouldMutateEnforced"]

    enforced = "by itself it removes nothing; enforced, it would remove 2 of 5 sessions"
    assert verdict("--profile", "2026.3") == (f"OpenClaw 2026.3 only warns: {enforced}", False, True)
    assert verdict("--profile", "2026.4") == ("would remove 2 of 5 sessions", True, True)
    assert verdict("--profile", "2026.3", "--enforce", "--dry-run") == ("would remove 2 of 5 sessions", True, True)
    assert verdict("--profile", "2026.3", "--prune-after", "90d") == ("nothing to do for 5 sessions", False, False)
    (tmp_path / "openclaw.json").write_text('{"session": {"maintenance": {"mode": "warn"}}}')
    assert verdict("--profile", "2026.4") == (f"OpenClaw 2026.4 only warns, as configured: {enforced}", False, True)


TOLD: dict[str, tuple[str, str]] = {
    '{"meta": {"lastTouchedVersion": "2026.7.1-2"}}': ("2026.7", "openclaw.json was last written by 2026.7.1"),
    '{"meta": {"lastTouchedVersion": "2026.3.31"}}': ("2026.3", "openclaw.json was last written by 2026.3.31"),
    '{"meta": {"lastTouchedVersion": "2027.1"}}': ("2026.9", "openclaw.json was last written by 2027.1"),
    '{"meta": {"lastTouchedVersion": "2026.3.1"}, "session": {"maintenance": {"preserveRecent": 5}}}': (
        "2026.9",
        "openclaw.json has session.maintenance.preserveRecent, which came with it",
    ),
    '{"meta": {"lastTouchedVersion": "soon"}}': ("2026.3", "nothing tells the version; --profile does"),
    '{"meta": 5}': ("2026.3", "nothing tells the version; --profile does"),
}


@pytest.mark.parametrize(("config", "told"), TOLD.items())
def test_version_is_that_which_the_configuration_tells_of_unless_it_is_given(
    tmp_path: Path, call: Call, config: str, told: tuple[str, str]
) -> None:
    filled(tmp_path)
    (tmp_path / "openclaw.json").write_text(config)
    (result,) = printed_json(call(*command(tmp_path, "--json")))["results"]
    assert (result["profile"], result["profileReason"]) == told
    assert f"as OpenClaw {told[0]} ({told[1]}), " in call(*command(tmp_path)).stdout
    (result,) = printed_json(call(*command(tmp_path, "--profile", "2026.4", "--json")))["results"]
    assert (result["profile"], result["profileReason"]) == ("2026.4", "as --profile says")


def test_version_is_that_which_the_state_tells_of(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, call: Call) -> None:
    """OpenClaw's own database is of 2026.8 or later; prompts beside the store are of 2026.5 or later; an empty database is of nobody."""

    def told(state: Path) -> tuple[str, str]:
        (result,) = printed_json(call(*command(state, "--agent", "ops", "--json")))["results"]
        return result["profile"], result["profileReason"]

    state = filled(tmp_path / "json", agent="ops")
    (state / "agents/main/agent").mkdir(parents=True)
    (state / "agents/main/agent/openclaw-agent.sqlite").touch()
    assert told(state)[0] == "2026.3"
    (store_path(state, "json", agent="ops").parent / "skills-prompts").mkdir()
    assert told(state) == ("2026.7", "skills-prompts lies beside the store, of 2026.5 or later")
    own = filled(own_state("sqlite-2026.9", tmp_path_factory, tmp_path), agent="ops")
    assert told(own) == ("2026.9", "OpenClaw's own database, of 2026.8 or later, lies in the state folder")


def test_profile_shows_what_a_newer_openclaw_would_do(tmp_path: Path, call: Call) -> None:
    filled(tmp_path)
    policies = {}
    for profile in ("2026.3", "2026.4", "2026.7", "2026.9"):
        (result,) = printed_json(call(*command(tmp_path, "--profile", profile, "--json")))["results"]
        policies[profile] = result["mode"], result["policy"]["maxEntries"], result["policy"]["maxDiskBytes"], actions(result)
    stale = dict.fromkeys(("old-1", "old-0"), "prune-stale")
    assert policies == {
        "2026.3": ("warn", 500, None, stale),
        "2026.4": ("enforce", 500, None, stale),
        "2026.7": ("enforce", 500, None, stale),
        "2026.9": ("enforce", 5000, 10 << 30, dict.fromkeys(stale, "archive")),
    }
    done = call(*command(tmp_path, "--profile", "2026.9", "--enforce"))
    assert "marked 2 entries as archived" in done.stdout
    assert {name.rpartition(":")[2] for name, one in content(tmp_path).items() if one.get("archivedAt") == NOW_MS} == set(stale)
    assert "nothing to do for 5 sessions" in call(*command(tmp_path, "--profile", "2026.9", "--enforce")).stdout


def test_options_win_over_the_file_and_bring_their_companions(tmp_path: Path, call: Call) -> None:
    filled(tmp_path, config={"pruneDays": 3, "maxEntries": 9, "maxDiskBytes": "1gb", "highWaterBytes": "900mb"})

    def policy(*words: str) -> list[Any]:
        (result,) = printed_json(call(*command(tmp_path, *words, "--json")))["results"]
        return list(result["policy"].values())[:5]

    day, mb = MS_PER_DAY, 1 << 20
    assert policy() == [3 * day, 9, 3 * day, 1024 * mb, 900 * mb]
    assert policy("--prune-after", "20", "--max-entries", "4") == [20 * day, 4, 20 * day, 1024 * mb, 900 * mb]
    assert policy("--max-disk", "100mb") == [3 * day, 9, 3 * day, 100 * mb, 80 * mb]
    assert policy("--max-disk", "100mb", "--high-water", "10mb") == [3 * day, 9, 3 * day, 100 * mb, 10 * mb]
    assert policy("--max-disk", "off", "--archive-retention", "off") == [3 * day, 9, None, None, None]
    assert policy("--archive-retention", "1h30m")[2] == 5_400_000


MISTAKES = {
    ("--prune-after", "soon"): "--prune-after: 'soon' is not a duration",
    ("--archive-retention", "1w"): "--archive-retention: '1w' is not a duration",
    ("--max-disk", "10 pb"): "--max-disk: '10 pb' is not a size",
    ("--max-disk", "0"): "--max-disk: '0' would leave nothing; give more than nothing, or --max-disk off for no disk budget",
    ("--max-disk", "1mb", "--high-water", "0 kb"): "--high-water: '0 kb' would leave nothing",
    ("--high-water", "10mb"): "--high-water: there is no disk budget to come down from; give --max-disk, too",
    ("--max-disk", "5mb", "--high-water", "10mb"): "--high-water: must not be above the disk budget",
    ("--max-entries", "0"): "0 is not in the range x>=1",
    ("--profile", "2025.1"): "is not one of '2026.3', '2026.4', '2026.7', '2026.9'",
    ("--agent", "main", "--all-agents"): "give only one of --agent and --all-agents",
    ("--agent", "nobody"): "no store of agent 'nobody'",
}


@pytest.mark.parametrize(("words", "message"), MISTAKES.items(), ids=[" ".join(words) for words in MISTAKES])
def test_mistakes_are_named_and_nothing_is_done(tmp_path: Path, call: Call, words: tuple[str, ...], message: str) -> None:
    filled(tmp_path)
    before = photo(tmp_path)
    assert message in one_line_error(call(*command(tmp_path, "--enforce", *words)), 10 if "nobody" in words else 2)
    assert photo(tmp_path) == before


def test_clock_in_seconds_is_a_mistake(tmp_path: Path, call: Call) -> None:
    """With it every session is of the future, and nothing is stale."""
    filled(tmp_path)
    for name in ("maintain", "reap"):
        error = one_line_error(call(name, tmp_path, "--now-ms", str(NOW_MS // 1000)), 2)
        assert f"now_ms={NOW_MS // 1000} is before 2001; give epoch milliseconds, not seconds" in error


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


def test_active_session_is_kept_and_warned_of(tmp_path: Path, call: Call) -> None:
    """D.11 to D.15: the warning has its words, the age and the number that it is about."""
    filled(tmp_path)
    words = ("--active-key", key("OLD-0"), "--max-entries", "1")
    told = call(*command(tmp_path, *words))
    warning = (
        f"session maintenance would evict active session; skipping enforcement: {key('old-0')} was not updated for 41 d (limit 30 d) "
        "and is not among the 1 newest of 5 entries; maintenance is warn-only"
    )
    assert f"  warning       {warning}\n" in told.stdout
    found = printed_json(call(*command(tmp_path, *words, "--enforce", "--json")))["results"][0]
    assert {name: value for name, value in found["warning"].items() if name != "text"} == {
        "activeSessionKey": key("old-0"),
        "activeUpdatedAt": NOW_MS - 41 * MS_PER_DAY,
        "totalEntries": 5,
        "pruneAfterMs": 30 * MS_PER_DAY,
        "maxEntries": 1,
        "wouldPrune": True,
        "wouldCap": True,
    }
    assert set(content(tmp_path)) == {key("old-0")}


NOBODY = {
    key("nobody"): "--active-key agent:main:nobody: there is no such session in ",
    "nobody": "--active-key nobody: there is no such session in ",
    "": "--active-key '': is blank",
    "  ": "--active-key '  ': is blank",
    "__proto__": "is a name that JavaScript objects reserve",
    key("old-0", "ops"): "there is no such session in ",
}


@pytest.mark.parametrize(("wrong", "message"), NOBODY.items())
def test_active_session_that_is_not_there_is_a_mistake_before_anything_is_done(
    tmp_path: Path, call: Call, wrong: str, message: str
) -> None:
    filled(filled(tmp_path), agent="ops")
    before = photo(tmp_path)
    for more in ((), ("--enforce",), ("--json",), ("--enforce", "--json")):
        done = call(*command(tmp_path, "--agent", "main", "--active-key", wrong, *more))
        assert done.returncode == 2
        assert message in done.stderr
        assert len(done.stderr.splitlines()) == 1
    assert photo(tmp_path) == before


@every_kind
@pytest.mark.parametrize("spelling", [key("old-0"), " Agent:Main:OLD-0 ", "old-0", "OLD-0 "])
def test_active_session_is_found_in_any_spelling(tmp_path: Path, call: Call, kind: str, spelling: str) -> None:
    """A key without `agent:` is one of the store's own agent."""
    filled(tmp_path, kind)
    (result,) = printed_json(call(*command(tmp_path, "--enforce", "--active-key", spelling, "--json")))["results"]
    assert (actions(result), result["warning"]["activeSessionKey"]) == ({"old-0": "keep", "old-1": "prune-stale"}, key("old-0"))
    assert key("old-0") in content(tmp_path, kind)
    assert key("old-1") not in content(tmp_path, kind)


def test_old_store_may_hold_the_active_session_in_two_forms_and_the_newer_is_talked_in(tmp_path: Path, call: Call) -> None:
    """As do keys that are of no agent: `global` is not completed."""
    made_state(tmp_path, "json", {"old": entry(50, "a"), key("old"): entry(40, "b"), "global": entry(60, "c"), key("young"): entry(1, "d")})
    for given, kept in (("old", key("old")), ("global", "global"), (key("old"), key("old"))):
        (result,) = printed_json(call(*command(tmp_path, "--active-key", given, "--json")))["results"]
        assert [one["key"] for one in result["entries"] if one["action"] == "keep"] == [kept]


def test_every_agents_own_session_of_that_name_is_active_where_all_are_looked_after(tmp_path: Path, call: Call) -> None:
    filled(filled(tmp_path), agent="ops")
    call(*command(tmp_path, "--all-agents", "--enforce", "--active-key", "old-1"))
    assert key("old-1") in content(tmp_path)
    assert key("old-1", "ops") in content(tmp_path, agent="ops")
    broken = store_path(tmp_path, "json")
    broken.write_text('{"a": 1')
    words = command(tmp_path, "--all-agents")
    assert "truncated" in call(*words, "--active-key", "nobody").stderr  # it may be that one's
    assert "(agent ops): nothing to do" in call(*words, "--active-key", key("old-1", "ops")).stdout


def test_entries_without_a_transcript_go_when_that_is_asked_for(tmp_path: Path, call: Call) -> None:
    """D.51."""
    filled(tmp_path)
    (result,) = printed_json(call(*command(tmp_path, "--fix-missing", "--json")))["results"]
    assert actions(result) == {"young-1": "prune-missing", "silent": "prune-missing", "old-0": "prune-stale", "old-1": "prune-missing"}
    assert (result["missing"], result["pruned"], result["afterCount"]) == (3, 1, 1)


@pytest.mark.parametrize("profile", ["2026.3", "2026.4", "2026.7", "2026.9"])
def test_entry_that_could_not_be_brought_back_is_left_and_named(tmp_path: Path, call: Call, profile: str) -> None:
    """As another program may have written it: without a session id, or under a key that no store takes. None goes in its place."""
    left = {key("subagent:strange"): {"updatedAt": 1, "token": "sk-strange"}, key("subagent:a\nb"): entry(50, "control")}
    stale = {key("subagent:old"): entry(50, "old")}
    young = {key(f"subagent:young-{number}"): entry(number, f"young-{number}") for number in range(3)}
    made_state(tmp_path, "json", left | stale | young)
    words = ("--profile", profile, "--max-entries", "3", "--max-disk", "1b")
    (result,) = printed_json(call(*command(tmp_path, *words, "--json")))["results"]
    reasons = {one["key"]: (one["action"], one["reason"].partition(":")[0]) for one in result["entries"]}
    assert {reasons[name] for name in left} == {("keep", "left")}
    evicted = 0 if profile == "2026.9" else 3  # whose budget takes only what was archived for the cap
    assert (result["beforeCount"], result["afterCount"], result["pruned"], result["capped"], result["evicted"]) == (
        6,
        5 - evicted,
        1,
        0,
        evicted,
    )
    done = call(*command(tmp_path, *words, "--enforce"))
    assert (done.returncode, "sk-" in done.stdout) == (0, False)
    assert content_of(tmp_path).keys() == left.keys() | (young.keys() if profile == "2026.9" else set())


def content_of(state: Path) -> dict[str, Any]:
    """Return what the file says: under some keys of it no store gives anything."""
    found: dict[str, Any] = json.loads(store_path(state, "json").read_text())
    return found


def test_transcript_that_is_not_reachable_is_named_and_its_entry_stays(tmp_path: Path, call: Call) -> None:
    """D.51: its volume may be mounted tomorrow."""
    made_state(tmp_path, "json", {key("away"): entry(1, "away") | {"sessionFile": "/nowhere/volume/away.jsonl"}})
    done = call(*command(tmp_path, "--fix-missing", "--enforce"))
    assert (done.returncode, "nothing to do" in done.stdout) == (0, True)
    assert "its transcript is said to lie in a folder that is not there, or is empty: is a volume not mounted?" in done.stdout
    assert set(content(tmp_path)) == {key("away")}


def test_high_water_without_a_disk_budget_is_said_to_do_nothing(tmp_path: Path, call: Call) -> None:
    """As in OpenClaw, which had no budget of its own before 2026.9; it keeps no store from being looked after."""
    filled(tmp_path, config={"highWaterBytes": "1b"})
    for profile in ("2026.3", "2026.4", "2026.7"):
        told = call(*command(tmp_path, "--profile", profile))
        assert (told.returncode, "remove 2 of 5 sessions" in told.stdout, "no disk budget" in told.stdout) == (0, True, True)
        assert "note          session.maintenance.highWaterBytes: does nothing without maxDiskBytes" in told.stdout
    assert "does nothing" not in call(*command(tmp_path, "--max-disk", "1gb")).stdout
    assert "remove 2 of 5" in call(*command(tmp_path, "--max-disk", "off")).stdout
    message = one_line_error(call(*command(tmp_path, "--profile", "2026.9", "--max-disk", "off", "--high-water", "1mb")), 2)
    assert "--high-water: there is no disk budget to come down from" in message


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
