"""`sessionlab maintain`: what stays whatever the policy says: the active session, and what nobody could bring back or tell of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sessionlab.units import MS_PER_DAY
from tests.cli.in_process import Call, caller
from tests.cli.made_states import made_state, store_path
from tests.cli.program import printed_json
from tests.cli.test_maintain import NOW_MS, actions, command, content, entry, every_kind, filled, key
from tests.fixture_states import photo


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Call:
    return caller(capsys)


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
