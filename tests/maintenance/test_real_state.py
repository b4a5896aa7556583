"""Maintenance of a state folder that OpenClaw 2026.3 wrote, against the rules worked out by hand in the slowest way there is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sessionlab.maintenance.planning import configured_policy, plan_store
from sessionlab.stores import locate, open_store
from tests.cli.in_process import caller
from tests.cli.program import printed_json
from tests.fixture_states import own_state, photo, shared_state

NOW_MS = 1_795_132_800_000
DAY_MS = 86_400_000
STATE = "json-2026.3"
SESSIONS = Path("agents/main/sessions")


def entries_of(state: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((state / SESSIONS / "sessions.json").read_bytes())
    return found


def removed_by_hand(entries: dict[str, Any], *, days: float, most: int) -> set[str]:
    """Work out D.1 and D.2: whatever was not updated since so many days goes, then the oldest, one after the other."""
    left = dict(entries)
    for key in list(left):
        if left[key].get("updatedAt") is not None and left[key]["updatedAt"] < NOW_MS - days * DAY_MS:
            del left[key]
    while len(left) > most:
        del left[min(reversed(left), key=lambda key: left[key].get("updatedAt", -1))]
    return set(entries) - set(left)


def archived_by_hand(state: Path, entries: dict[str, Any], removed: set[str]) -> set[str]:
    """Work out D.17, D.18 and D.21: the transcripts of removed entries' sessions to which no other entry refers."""
    found = set()
    for path in (state / SESSIONS).iterdir():
        owners = set()
        for key, entry in entries.items():
            own_file = str(entry.get("sessionFile") or "").rsplit("/", 1)[-1]
            is_named = path.name == entry["sessionId"] + ".jsonl" or path.name.startswith(entry["sessionId"] + "-topic-")
            if path.name.endswith(".jsonl") and (is_named or path.name == own_file):
                owners.add(key)
        if owners and owners <= removed:
            found.add(path.name)
    return found


def test_the_fixture_is_what_the_figures_of_this_test_are_about(tmp_path_factory: pytest.TempPathFactory) -> None:
    entries = entries_of(shared_state(STATE, tmp_path_factory))
    assert len(entries) == 65
    assert len(removed_by_hand(entries, days=20, most=99)) == 5
    assert len(removed_by_hand(entries, days=20, most=40)) == 25


@pytest.mark.parametrize("kind", ["json", "sqlite", "directory"])
def test_20_days_and_40_entries_remove_exactly_what_the_rules_say(
    kind: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    """D.1, D.2, D.6, D.9, D.17 to D.21: the dry run says it and writes nothing, enforcing does it, undoing gives all of it back."""
    call = caller(capsys)
    state = own_state(STATE, tmp_path_factory, tmp_path)
    entries = entries_of(state)
    removed = removed_by_hand(entries, days=20, most=40)
    archived = archived_by_hand(state, entries, removed)
    transcripts = {path.name: path.read_bytes() for path in (state / SESSIONS).glob("*.jsonl*")}
    if kind != "json":
        assert call("migrate", state, "--to", kind).returncode == 0
        with open_store(state) as store:  # a migration brings keys to one spelling
            entries = dict(store.items())
        removed = {key.lower() for key in removed}
    words = ("maintain", state, "--profile", "2026.3", "--prune-after", "20d", "--max-entries", "40", "--now-ms", str(NOW_MS), "--json")
    before = photo(state)
    (planned,) = printed_json(call(*words))["results"]
    assert {one["key"] for one in planned["entries"] if one["action"] != "keep"} == removed
    assert {one["name"] for one in planned["files"]} == archived
    assert (planned["pruned"], planned["capped"], planned["afterCount"]) == (5, 20, 40)
    assert photo(state) == before

    (done,) = printed_json(call(*words, "--enforce"))["results"]
    with open_store(state) as store:
        assert dict(store.items()) == {key: entry for key, entry in entries.items() if key not in removed}
    now = {path.name: path.read_bytes() for path in (state / SESSIONS).glob("*.jsonl*")}
    stamp = "2026-11-20T00-00-00.000Z"
    assert now == {f"{name}.deleted.{stamp}" if name in archived else name: data for name, data in transcripts.items()}
    assert (done["run"]["removed"], done["run"]["renamedFiles"]) == ({"prune-stale": 5, "cap-overflow": 20}, len(archived))

    assert call("undo", done["run"]["runDir"]).returncode == 0
    with open_store(state) as store:
        assert dict(store.items()) == entries
    assert {path.name: path.read_bytes() for path in (state / SESSIONS).glob("*.jsonl*")} == transcripts


@pytest.mark.parametrize("days", [0, 0.1, 1.49, 5, 13.2, 21, 90])
def test_every_age_and_cap_removes_what_the_rules_say(days: float, tmp_path_factory: pytest.TempPathFactory) -> None:
    """D.1, D.2, D.9."""
    state = shared_state(STATE, tmp_path_factory)
    entries = entries_of(state)
    (location,) = locate(state)
    for most in (1, 2, 39, 40, 64, 65, 66, 500):
        policy = configured_policy(state, "2026.3", over={"pruneAfter": f"{days}d", "maxEntries": most})
        plan = plan_store(location, policy, now_ms=NOW_MS)
        removed = {one.key for one in plan.removed}
        assert removed == removed_by_hand(entries, days=days, most=most)
        assert {one.name for one in plan.files if one.action == "archive"} == archived_by_hand(state, entries, removed)
