"""`sessionlab maintain`: whose rules count, and what options make of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sessionlab import configuration
from sessionlab.units import MS_PER_DAY
from tests.cli.in_process import Call, caller
from tests.cli.made_states import store_path
from tests.cli.program import one_line_error, printed_json
from tests.cli.test_maintain import NOW_MS, actions, command, content, filled
from tests.fixture_states import own_state, photo


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Call:
    return caller(capsys)


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
