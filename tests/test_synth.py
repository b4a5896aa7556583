"""The synthetic state folders: the same bytes for the same arguments, and a truth that a slow recount by plain `json` confirms."""

from __future__ import annotations

import json
import re
import stat
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from sessionlab import keys
from sessionlab.errors import NoStoreError, UsageError
from sessionlab.synth import (
    DEFAULT_NOW_MS,
    SAMPLE_ARGUMENTS,
    SynthArgumentError,
    SynthFolderError,
    SynthTruth,
    Tally,
    read_truth,
    write_state,
)

SAMPLE = Path(__file__).parents[1] / "data" / "sample"
DAY_MS = 86_400_000


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, SynthTruth]:
    folder = tmp_path_factory.mktemp("synth") / "state"
    return folder, write_state(folder, seed=7, sessions=220)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def stores(folder: Path) -> dict[str, dict[str, dict[str, Any]]]:
    return {path.parts[-3]: json.loads(path.read_bytes()) for path in sorted(folder.glob("agents/*/sessions/sessions.json"))}


def events_of(path: Path) -> tuple[list[dict[str, Any]], int, int]:
    """Return (whole events, bad lines, unfinished last lines)."""
    lines = path.read_text(encoding="utf-8").split("\n")
    unfinished = 1 if lines.pop() else 0
    events, bad = [], 0
    for line in lines:
        try:
            events.append(json.loads(line))
        except ValueError:
            bad += 1
    return events, bad, unfinished


def recount(paths: list[Path], said: set[tuple[str, str]]) -> dict[str, Any]:
    """Count transcripts in the order given; `said` holds the (id, timestamp) of every message met so far, so that copies count once."""
    total: Counter[str] = Counter(files=len(paths), bytes=sum(path.stat().st_size for path in paths))
    by_type: Counter[str] = Counter()
    by_role: Counter[str] = Counter()
    by_model: Counter[str] = Counter()
    for path in paths:
        events, bad, unfinished = events_of(path)
        total.update(events=len(events), bad_lines=bad, unfinished_lines=unfinished)
        for event in events:
            by_type[event["type"]] += 1
            copied = event["type"] != "session" and (event["id"], event["timestamp"]) in said
            total["copied_events"] += copied
            if event["type"] != "session":
                said.add((event["id"], event["timestamp"]))
            if event["type"] != "message":
                continue
            message = event["message"]
            by_role[message["role"]] += 1
            total["tool_errors"] += message.get("isError", False)
            if message["role"] != "assistant":
                continue
            if message["provider"] == "openclaw":
                total["mirrors"] += 1
                assert message["usage"]["totalTokens"] == 0
                continue
            usage = message["usage"]
            cost = round(usage["cost"]["total"] * 1_000_000) if "cost" in usage else 0
            total["calls_without_cost"] += "cost" not in usage
            total.update(naive_total=usage["totalTokens"], naive_cost=cost)
            if copied:
                total["copied_calls"] += 1
                continue
            by_model[f"{message['provider']}/{message['model']}"] += 1
            total.update(calls=1, total=usage["totalTokens"], cost=cost, input=usage["input"], output=usage["output"])
            total.update(cache_read=usage["cacheRead"], cache_write=usage["cacheWrite"])
    return {**total, "by_type": dict(by_type), "by_role": dict(by_role), "by_model": dict(by_model)}


def told(tally: Tally) -> dict[str, Any]:
    """Bring a tally into the form of `recount`."""
    usage, naive = tally.usage, tally.naive_usage
    numbers = {
        "files": tally.files, "bytes": tally.bytes, "events": tally.events, "bad_lines": tally.bad_lines, "calls": tally.calls,
        "unfinished_lines": tally.unfinished_lines, "copied_events": tally.copied_events, "copied_calls": tally.copied_calls,
        "mirrors": tally.mirrors, "tool_errors": tally.tool_errors, "calls_without_cost": tally.calls_without_cost,
        "naive_total": naive.total, "naive_cost": naive.cost_microusd, "total": usage.total, "cost": usage.cost_microusd,
        "input": usage.input, "output": usage.output, "cache_read": usage.cache_read, "cache_write": usage.cache_write,
    }  # fmt: skip
    by_model = {name: share.calls for name, share in tally.by_model.items()}
    return {**numbers, "by_type": tally.by_type, "by_role": tally.by_role, "by_model": by_model}


def without_zeros(counts: dict[str, Any]) -> dict[str, Any]:
    return {name: count for name, count in counts.items() if count}


def test_equal_arguments_give_equal_bytes(state: tuple[Path, SynthTruth], tmp_path: Path) -> None:
    folder, _ = state
    write_state(tmp_path, seed=7, sessions=220)
    assert contents(tmp_path) == contents(folder)


def test_another_seed_gives_other_sessions(state: tuple[Path, SynthTruth], tmp_path: Path) -> None:
    folder, _ = state
    write_state(tmp_path, seed=8, sessions=220)
    assert not set(stores(tmp_path)["main"]) & set(stores(folder)["main"]) - {"agent:main:main"}


def test_committed_sample_is_what_its_arguments_make(tmp_path: Path) -> None:
    write_state(tmp_path, **SAMPLE_ARGUMENTS)
    made, committed = contents(tmp_path), contents(SAMPLE)
    assert sorted(made) == sorted(committed)
    assert [name for name in made if made[name] != committed[name]] == []


def test_sample_is_small_and_covers_every_kind() -> None:
    truth = read_truth(SAMPLE)
    assert sum(map(len, contents(SAMPLE).values())) <= 3_000_000
    assert truth.sessions == 300
    assert len(truth.agents) == 3
    assert set(truth.kinds) == set(keys.KINDS)
    assert truth.stale_60d > 20
    assert truth.stale_30d > truth.stale_60d


def test_sample_shows_a_cron_flood_and_a_growing_group() -> None:
    store = stores(SAMPLE)["ops"]
    ages = [(DEFAULT_NOW_MS - entry["updatedAt"]) / DAY_MS for key, entry in store.items() if keys.is_cron_run(key)]
    assert 50 < max(ages) < 56
    last_week, week_before_half = sum(age < 7 for age in ages), sum(28 <= age < 35 for age in ages)
    assert last_week > 50
    assert last_week > 8 * week_before_half
    sizes = {path: path.stat().st_size for path in SAMPLE.rglob("*.jsonl")}
    biggest = max(sizes, key=lambda path: sizes[path])
    days = [
        int((DEFAULT_NOW_MS / 1000 - datetime.fromisoformat(event["timestamp"]).timestamp()) // 86_400) for event in events_of(biggest)[0]
    ]
    assert "whatsapp:group" in key_of(biggest)
    assert sum(day < 30 for day in days) > 2 * sum(day >= 60 for day in days) > 0


def key_of(transcript: Path) -> str:
    store = json.loads((transcript.parent / "sessions.json").read_bytes())
    return str(next(key for key, entry in store.items() if transcript.name.startswith(entry["sessionId"])))


def test_truth_equals_a_slow_recount_of_transcripts(state: tuple[Path, SynthTruth]) -> None:
    folder, truth = state
    said: set[tuple[str, str]] = set()
    live: Counter[str] = Counter()
    for agent, facts in truth.agents.items():
        # A fork's file name begins with the time of the fork; its parent comes first.
        paths = sorted(folder.glob(f"agents/{agent}/sessions/*.jsonl"), key=lambda path: ("_" in path.name, path.name))
        found = recount(paths, said)
        assert without_zeros(found) == without_zeros(told(facts.live))
        live.update({name: count for name, count in found.items() if isinstance(count, int)})
        archives = sorted(
            [*folder.glob(f"agents/{agent}/sessions/*.jsonl.deleted.*"), *folder.glob(f"agents/{agent}/sessions/*.jsonl.reset.*")]
        )
        assert without_zeros(recount(archives, said)) == without_zeros(told(facts.archives))
    assert live["cost"] == truth.live.usage.cost_microusd
    assert truth.live.naive_usage.cost_microusd > truth.live.usage.cost_microusd
    assert truth.everything.usage.cost_microusd == truth.live.usage.cost_microusd + truth.archives.usage.cost_microusd
    assert truth.archives.files == 220 // 25
    assert sum(share.tokens.cost_microusd for share in truth.everything.by_model.values()) == truth.everything.usage.cost_microusd


def test_truth_equals_a_slow_recount_of_stores(state: tuple[Path, SynthTruth]) -> None:
    folder, truth = state
    found = stores(folder)
    assert {agent: len(store) for agent, store in found.items()} == {agent: facts.sessions for agent, facts in truth.agents.items()}
    assert truth.sessions == 220 == sum(truth.kinds.values())
    for agent, store in found.items():
        facts, place = truth.agents[agent], folder / "agents" / agent / "sessions"
        assert facts.store_bytes == (place / "sessions.json").stat().st_size
        assert facts.kinds == dict(Counter(keys.parse(key).kind for key in store))
        assert {keys.parse(key).agent_id for key in store} == {agent}
        named = {Path(entry.get("sessionFile", f"{entry['sessionId']}.jsonl")).name for entry in store.values()}
        lying = {path.name for path in place.glob("*.jsonl")}
        assert facts.missing_transcripts == len(named - lying)
        assert facts.orphans == len(lying - named)
        assert facts.backups == len(list(place.glob("sessions.json.bak.*")))
    updated = [entry["updatedAt"] for store in found.values() for entry in store.values() if "updatedAt" in entry]
    assert truth.stale_30d == sum(truth.now_ms - time_ms > 30 * DAY_MS for time_ms in updated)
    assert truth.stale_60d == sum(truth.now_ms - time_ms > 60 * DAY_MS for time_ms in updated)


def test_flaws_are_where_the_truth_says(state: tuple[Path, SynthTruth]) -> None:
    folder, truth = state
    entries = {key: entry for store in stores(folder).values() for key, entry in store.items()}
    flaws = truth.flaws
    assert {name: len(found) for name, found in flaws.items()} == {
        "legacy": 2, "missing_transcript": 2, "mixed_case_key": 1, "case_variants": 1, "no_updated_at": 1, "future_updated_at": 1,
        "bad_line": 1, "unfinished_line": 1, "no_cost": 1, "orphan": 3, "forked": 1,
    }  # fmt: skip
    assert all(entries[flaw.keys[0]]["provider"] and entries[flaw.keys[0]]["room"] for flaw in flaws["legacy"])
    assert sorted(key for key, entry in entries.items() if "updatedAt" not in entry) == flaws["no_updated_at"][0].keys
    assert sorted(key for key, entry in entries.items() if entry.get("updatedAt", 0) > truth.now_ms) == flaws["future_updated_at"][0].keys
    odd = sorted(key for key in entries if not keys.parse(key).is_canonical)
    assert odd == sorted([*flaws["mixed_case_key"][0].keys, flaws["case_variants"][0].keys[1]])
    assert len({keys.normalise(key) for key in flaws["case_variants"][0].keys}) == 1
    for name in ("bad_line", "unfinished_line", "no_cost"):
        flaw = flaws[name][0]
        assert flaw.path is not None
        assert flaw.line is not None
        lines = (folder / flaw.path).read_text(encoding="utf-8").split("\n")
        if name == "no_cost":
            assert "cost" not in json.loads(lines[flaw.line - 1])["message"]["usage"]
        else:
            with pytest.raises(json.JSONDecodeError):
                json.loads(lines[flaw.line - 1])
            assert (flaw.line == len(lines)) is (name == "unfinished_line")
    child, parent = (entries[key] for key in flaws["forked"][0].keys)
    assert child["parentSessionKey"] == flaws["forked"][0].keys[1]
    place = folder / "agents" / "main" / "sessions"
    child_lines = (place / Path(child["sessionFile"]).name).read_text(encoding="utf-8").splitlines()
    parent_lines = (place / Path(parent["sessionFile"]).name).read_text(encoding="utf-8").splitlines()
    assert json.loads(child_lines[0])["parentSession"] == parent["sessionFile"]
    assert child_lines[1:][: truth.live.copied_events] == parent_lines[1 : 1 + truth.live.copied_events]
    assert truth.live.copied_calls > 0


def test_stores_are_written_as_openclaw_writes_them(state: tuple[Path, SynthTruth]) -> None:
    folder, _ = state
    for path in folder.glob("agents/*/sessions/sessions.json*"):
        data = path.read_bytes()
        assert json.dumps(json.loads(data), indent=2, ensure_ascii=False).encode() == data
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        for entry in json.loads(data).values():
            assert isinstance(entry.get("systemPromptReport", {}), dict)
            assert isinstance(entry.get("skillsSnapshot", {}), dict)


def test_entry_agrees_with_its_transcript(state: tuple[Path, SynthTruth]) -> None:
    folder, truth = state
    skipped = {
        key
        for name in ("legacy", "missing_transcript", "no_updated_at", "future_updated_at")
        for flaw in truth.flaws[name]
        for key in flaw.keys
    }
    checked = 0
    for agent, store in stores(folder).items():
        for key, entry in store.items():
            if key in skipped:
                continue
            events, _, _ = events_of(folder / "agents" / agent / "sessions" / Path(entry["sessionFile"]).name)
            assert events[0]["id"] == entry["sessionId"]
            times = [datetime.fromisoformat(event["timestamp"]).timestamp() for event in events]
            assert round(times[-1] * 1000) == entry["updatedAt"] <= truth.now_ms
            if "parentSession" not in events[0]:
                assert times == sorted(times)
            last = [
                event["message"] for event in events if event["type"] == "message" and event["message"].get("usage", {}).get("totalTokens")
            ][-1]
            assert (last["provider"], last["model"]) == (entry["modelProvider"], entry["model"])
            assert last["usage"]["input"] == entry["inputTokens"]
            assert last["usage"]["output"] == entry["outputTokens"]
            assert entry["compactionCount"] == sum(event["type"] == "compaction" for event in events)
            checked += 1
    assert checked == 220 - len(skipped)


def test_transcript_lines_have_no_blanks_and_one_chain(state: tuple[Path, SynthTruth]) -> None:
    folder, truth = state
    broken = {truth.flaws["bad_line"][0].path}
    for path in folder.rglob("*.jsonl*"):
        lines = path.read_text(encoding="utf-8").split("\n")[:-1]
        if path.relative_to(folder).as_posix() in broken:
            continue
        known: set[str | None] = {None}
        for line in lines:
            event = json.loads(line)
            # Numbers aside (Python writes 8e-05 where JavaScript writes 0.00008), a line is what JSON.stringify gives.
            assert json.dumps(event, separators=(",", ":"), ensure_ascii=False) == line or re.search(r"0\.0000\d", line)
            if event["type"] == "session":
                assert event["version"] == 3
                continue
            assert event["parentId"] in known
            known.add(event["id"])


@pytest.mark.parametrize("wanted_bytes", [1_000, 9_000, 42_000])
def test_entries_have_the_size_asked_for(wanted_bytes: int, tmp_path: Path) -> None:
    truth = write_state(tmp_path, seed=1, sessions=300, entry_bytes=wanted_bytes, transcripts=False)
    assert truth.store_bytes == pytest.approx(300 * wanted_bytes, rel=0.15 if wanted_bytes < 2_000 else 0.03)
    assert truth.missing_transcripts == 300
    assert not list(tmp_path.rglob("*.jsonl*"))


def test_transcripts_have_the_size_asked_for(tmp_path: Path) -> None:
    truth = write_state(tmp_path, seed=1, sessions=100, transcript_bytes=40_000)
    assert truth.live.bytes == pytest.approx(truth.live.files * 40_000, rel=0.2)


def test_folder_that_is_not_empty_is_refused_untouched(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(SynthFolderError, match="is not empty; give a new or an empty folder"):
        write_state(tmp_path, seed=1, sessions=60)
    assert contents(tmp_path) == {"notes.txt": b"mine"}
    with pytest.raises(UsageError, match="is a file"):
        write_state(tmp_path / "notes.txt", seed=1, sessions=60)
    with pytest.raises(SynthFolderError, match="cannot be written"):
        write_state(tmp_path / "notes.txt" / "below", seed=1, sessions=60)


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        ({"sessions": 0}, "at least 1"),
        ({"sessions": 20}, "without flaws"),
        ({"seed": -1}, "from 0"),
        ({"days": 0}, "at least 1"),
        ({"days": 30_000}, "fewer days"),
        ({"agents": ()}, "one or more"),
        ({"agents": ("main", "main")}, "different"),
        ({"agents": ("../main",)}, "lower-case"),
        ({"entry_bytes": 0}, "at least 1 byte"),
    ],
)
def test_senseless_argument_is_refused_before_anything_is_written(arguments: dict[str, Any], advice: str, tmp_path: Path) -> None:
    with pytest.raises(SynthArgumentError, match=advice):
        write_state(tmp_path / "state", **({"seed": 1, "sessions": 100} | arguments))
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize("sessions", [1, 5, 16, 40, 59])
def test_small_folder_without_flaws_has_exactly_the_sessions_asked_for(sessions: int, tmp_path: Path) -> None:
    truth = write_state(tmp_path, seed=3, sessions=sessions, flaws=False, agents=("solo",), days=10)
    assert truth.sessions == sessions == len(stores(tmp_path)["solo"])
    assert truth.flaws == {}
    assert (truth.orphans, truth.missing_transcripts, truth.live.bad_lines, truth.live.copied_events) == (0, 0, 0, 0)


@pytest.mark.parametrize("seed", range(6))
def test_least_number_of_sessions_holds_every_flaw(seed: int, tmp_path: Path) -> None:
    truth = write_state(tmp_path, seed=seed, sessions=60, agents=("main", "ops")[: 1 + seed % 2])
    assert len(truth.flaws) == 11
    assert truth.missing_transcripts == 2
    assert truth.live.bad_lines == 1
    assert truth.live.copied_calls > 0


def test_truth_is_read_back(state: tuple[Path, SynthTruth], tmp_path: Path) -> None:
    folder, truth = state
    assert read_truth(folder) == truth
    with pytest.raises(NoStoreError, match=r"synth\.json"):
        read_truth(tmp_path)
    (tmp_path / "synth.json").write_text("{}")
    with pytest.raises(NoStoreError, match="is not a synthetic folder's truth"):
        read_truth(tmp_path)
