"""What a maintenance would do, for any limits: the same as planning the store, added up truly, fast, and with the command that says it."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sessionlab import resources
from sessionlab.entry import SessionSummary
from sessionlab.errors import SettingsError, SplitStoreError, UsageError
from sessionlab.lab.figures import maintenance as figures
from sessionlab.lab.figures import maintenance_tables as tables
from sessionlab.lab.findings import maintenance as findings
from sessionlab.lab.session import Lab, open_lab
from sessionlab.lab.what_if import Held, LoadRate, WhatIf, open_what_if
from sessionlab.lab.what_if_outcome import NO_SESSION, Share, added
from sessionlab.lab.what_if_policy import PROFILES, duration_text, rules_of, shown_duration, size_text
from sessionlab.maintenance.files import File, SessionFiles
from sessionlab.maintenance.planning import configured_policy, plan_store
from sessionlab.maintenance.policy import Policy
from sessionlab.migration.execute import execute
from sessionlab.migration.plan import plan_migration
from sessionlab.settings import StoreType
from sessionlab.stores import locate, open_for_writing
from sessionlab.units import MS_PER_DAY, MS_PER_HOUR
from tests.cli.in_process import caller
from tests.fixture_states import photo, shared_state
from tests.lab.states import event, header, write_store, write_transcript

NOW_MS = 1_795_132_800_000
LIMITS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("2026.3", {}),
    ("2026.4", {"prune_after": "12h", "max_entries": 40}),
    ("2026.3", {"max_disk": "600kb"}),
    ("2026.9", {"prune_after": "20d", "max_entries": 30, "max_disk": "off"}),
)


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with open_lab() as opened:
        yield opened


@pytest.fixture(scope="module")
def what_if(lab: Lab) -> WhatIf:
    return open_what_if(lab)


def days(number: float) -> int:
    return NOW_MS - round(number * MS_PER_DAY)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Make two agents; one has a stale, a shared and a fresh transcript, an old archive and a transcript of nobody."""
    folder = tmp_path / "state"
    entries = {
        "agent:main:main": {"sessionId": "fresh", "updatedAt": days(1)},
        "agent:main:telegram:direct:1": {"sessionId": "old", "updatedAt": days(40)},
        "agent:main:telegram:direct:2": {"sessionId": "shared", "updatedAt": days(50)},
        "agent:main:telegram:direct:3": {"sessionId": "shared", "updatedAt": days(2)},
    }
    write_store(folder, "main", entries)
    write_store(folder, "ops", {"agent:ops:main": {"sessionId": "ops", "updatedAt": days(3)}})
    spent = {"fresh": 1, "old": 2, "shared": 4, "nobody": 8}
    for name, dollars in spent.items():
        write_transcript(folder, "main", f"{name}.jsonl", [header(name), event(name, cost=dollars)])
    archive = "gone.jsonl.deleted.2026-09-01T00-00-00.000Z"
    write_transcript(folder, "main", archive, [header("gone"), event("gone", cost=16)])
    return folder


@pytest.mark.parametrize(("profile", "limits"), LIMITS)
def test_an_outcome_is_what_planning_each_store_gives(lab: Lab, profile: str, limits: dict[str, Any]) -> None:
    before = photo(resources.sample_dir())
    what_if = open_what_if(lab, profile=profile, **limits)
    outcome = what_if.at(what_if.policy)
    plans = [plan_store(location, what_if.policy, now_ms=lab.now_ms) for location in locate(lab.path)]
    assert outcome.gone.sessions == sum(len(plan.removed) for plan in plans)
    assert outcome.aside.sessions == sum(one.action == "archive" for plan in plans for one in plan.entries)
    mine = what_if.plans(what_if.policy).values()
    assert sorted(one for plan in mine for one in plan.entries) == sorted(one for plan in plans for one in plan.entries)
    assert sorted(one for plan in mine for one in plan.files) == sorted(one for plan in plans for one in plan.files)
    assert (outcome.before.bytes, outcome.after.file_bytes) == (sum(p.before.bytes for p in plans), sum(p.after.file_bytes for p in plans))
    assert photo(resources.sample_dir()) == before


def test_when_files_were_copied_does_not_matter(what_if: WhatIf, tmp_path: Path) -> None:
    """A clone of this project has other times than the sample was made with, and the same committed notebook."""
    copied = shutil.copytree(resources.sample_dir(), tmp_path / "copy", copy_function=shutil.copyfile)
    with open_lab(copied) as lab:
        assert open_what_if(lab).versions() == what_if.versions()


@pytest.mark.parametrize(("profile", "limits"), LIMITS)
def test_groups_add_up_to_everything(lab: Lab, profile: str, limits: dict[str, Any]) -> None:
    what_if = open_what_if(lab, profile=profile, **limits)
    outcome = what_if.at(what_if.policy)
    overview = lab.query("overview").iloc[0]
    assert outcome.held.sessions == outcome.before.sessions == what_if.sessions == int(overview["sessions"])
    assert outcome.held.cost_microusd == int(overview["cost_microusd"])
    assert outcome.held.file_bytes == int(overview["transcript_bytes"]) + int(overview["archive_bytes"])
    assert outcome.before.sessions - outcome.gone.sessions == outcome.after.sessions
    for group in outcome.groups:
        assert all(part <= whole for part, whole in zip(map(sum, zip(group.aside, group.gone, strict=True)), group.held, strict=True))
    # Without a budget nothing but archives and backups is removed for good.
    if outcome.policy.limits.max_disk_bytes is None:
        assert all(group.kind == NO_SESSION or not group.gone.file_bytes for group in outcome.groups)


def test_history_of_a_session_is_put_aside_and_that_of_an_old_archive_is_lost(state: Path) -> None:
    with open_lab(state, now_ms=NOW_MS) as lab:
        what_if = open_what_if(lab, prune_after="30d")
        outcome = what_if.at(what_if.policy)
        groups = {(one.agent, one.kind): one for one in outcome.groups}
        assert {key: one.held.cost_microusd // 10**6 for key, one in groups.items()} == {
            ("main", "direct"): 6,
            ("main", "main"): 1,
            ("main", NO_SESSION): 24,
            ("ops", "main"): 0,
        }
        # The shared transcript stays with the session that does.
        direct, nobody = groups["main", "direct"], groups["main", NO_SESSION]
        assert (direct.gone.sessions, direct.aside.cost_microusd, direct.gone.cost_microusd) == (2, 2_000_000, 0)
        assert (nobody.aside.cost_microusd, nobody.gone.cost_microusd) == (0, 16_000_000)
        assert not groups["ops", "main"].is_touched
        text = findings.at_limits(outcome)
        assert r"\$16.00 of the recorded \$31.00 would be lost at once; \$2.00 would be kept in renamed transcripts for 30 d more" in text
        assert "**2 of 5 sessions (40 %) would go.** 2 for their age." in text

        tight = what_if.rules["2026.3"].limited(prune_after_ms=90 * MS_PER_DAY, max_entries=500, max_disk_bytes=1)
        lost = what_if.at(tight)
        assert (lost.gone.cost_microusd, lost.aside.cost_microusd) == (31_000_000, 0)
        assert lost.actions == {"evict-budget": 5}
        assert lost.over_budget == ("main", "ops")
        assert "**Over the budget all the same:** `main` and `ops`." in findings.at_limits(lost)


@pytest.mark.parametrize("kind", ["sqlite", "directory"])
def test_every_kind_of_store_is_planned_for(state: Path, kind: StoreType) -> None:
    with open_lab(state, now_ms=NOW_MS) as lab:
        as_json = open_what_if(lab).versions()
    plan = plan_migration(state, kind, now_ms=NOW_MS, agent="main")
    execute(plan, root=state, now_ms=NOW_MS)
    with open_lab(state, now_ms=NOW_MS) as lab:
        what_if = open_what_if(lab)
        assert [one.actions for one in what_if.versions()] == [one.actions for one in as_json]
        assert [one.gone.cost_microusd for one in what_if.versions()] == [one.gone.cost_microusd for one in as_json]
        assert what_if.measure_load(rounds=1).bytes_per_ms > 0


def test_grid_is_what_each_of_its_points_gives(what_if: WhatIf) -> None:
    policy = what_if.rules["2026.9"].policy
    grid = what_if.grid(policy)
    assert [tuple(row) for row in grid[grid["is_own"]][["prune_after_ms", "max_entries"]].to_numpy()] == [(30 * MS_PER_DAY, 500)]
    for row in grid.itertuples():
        limits = {"prune_after_ms": int(row.prune_after_ms), "max_entries": int(row.max_entries)}
        outcome = what_if.at(what_if.rules["2026.9"].limited(**limits, max_disk_bytes=policy.limits.max_disk_bytes))
        found = (outcome.gone.sessions, outcome.aside.sessions, outcome.after.bytes)
        assert (row.removed, row.archived, row.bytes_after) == found, limits
    chosen = what_if.grid(what_if.policy, days=[2, 9], caps=[3])
    assert chosen["prune_after_ms"].tolist() == [age * MS_PER_DAY for age in (2, 2, 9, 9, 30, 30)]
    assert chosen["max_entries"].tolist() == [3, 500] * 3
    by_age = chosen[chosen["max_entries"] == 500]["removed"]
    assert by_age.is_monotonic_decreasing


def test_limits_win_over_the_configuration_and_the_rest_follows_it(tmp_path: Path) -> None:
    write_store(tmp_path, "main", {})
    config = {"session": {"maintenance": {"pruneAfter": "10d", "resetArchiveRetention": "60d", "maxDiskBytes": "1mb", "mode": "enforce"}}}
    (tmp_path / "openclaw.json").write_text(json.dumps(config), encoding="utf-8")
    as_configured, given = rules_of(tmp_path, "2026.4"), rules_of(tmp_path, "2026.4", prune_after="7", max_entries=9, max_disk="2mb")
    limits = as_configured.policy.limits
    assert (limits.prune_after_ms, limits.max_entries, limits.max_disk_bytes) == (10 * MS_PER_DAY, 500, 1 << 20)
    assert not as_configured.archives_follow
    moved = as_configured.limited(prune_after_ms=MS_PER_DAY, max_entries=500, max_disk_bytes=None).limits
    assert (moved.reset_archive_retention_ms, moved.max_disk_bytes, moved.high_water_bytes) == (60 * MS_PER_DAY, None, None)
    chosen = given.policy.limits
    assert (chosen.prune_after_ms, chosen.max_entries, chosen.max_disk_bytes) == (7 * MS_PER_DAY, 9, 2 << 20)
    assert chosen.high_water_bytes == (2 << 20) * 80 // 100
    assert as_configured.policy.is_enforced
    assert rules_of(tmp_path, "2026.3", max_disk="off").policy.limits.max_disk_bytes is None


@pytest.mark.parametrize("configured", [{}, {"resetArchiveRetention": "9d", "maxDiskBytes": "3mb", "highWaterBytes": "1mb"}])
@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("disk", [None, 1536 * 1024, 3 << 20])
def test_options_of_a_policy_give_the_policy(tmp_path: Path, configured: dict[str, str], profile: Any, disk: int | None) -> None:
    write_store(tmp_path, "main", {})
    (tmp_path / "openclaw.json").write_text(json.dumps({"session": {"maintenance": configured}}), encoding="utf-8")
    rules = rules_of(tmp_path, profile)
    policy = rules.limited(prune_after_ms=36 * MS_PER_HOUR, max_entries=7, max_disk_bytes=disk)
    words = rules.options(policy)
    said = dict(zip(words[::2], words[1::2], strict=True))
    over: dict[str, object] = {"pruneAfter": said["--prune-after"], "maxEntries": int(said["--max-entries"])}
    if "--max-disk" in said:
        over |= {"maxDiskBytes": False if said["--max-disk"] == "off" else said["--max-disk"], "highWaterBytes": said.get("--high-water")}
    assert said["--profile"] == profile
    assert configured_policy(tmp_path, profile, over=over) == policy


@pytest.mark.parametrize("max_disk", ["", "3mb", "2mb", "1mb", "off"])
@pytest.mark.parametrize("moved", [None, 0, 1 << 20, 3 << 20, 4 << 20])
def test_command_has_the_high_water_that_was_shown(
    tmp_path: Path, max_disk: str, moved: int | None, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where one is configured, a budget of the same size that was asked for comes with another one."""
    write_store(tmp_path, "main", {})
    config = {"session": {"maintenance": {"maxDiskBytes": "3mb", "highWaterBytes": "1mb"}}}
    (tmp_path / "openclaw.json").write_text(json.dumps(config), encoding="utf-8")
    rules = rules_of(tmp_path, "2026.4", max_disk=max_disk)
    limits, policy = rules.policy.limits, rules.policy
    if moved is not None:
        policy = rules.limited(prune_after_ms=limits.prune_after_ms, max_entries=limits.max_entries, max_disk_bytes=moved or None)
    done = caller(capsys)("maintain", tmp_path, "--json", *rules.options(policy))
    shown = json.loads(done.stdout)["results"][0]["policy"]
    assert (shown["maxDiskBytes"], shown["highWaterBytes"]) == (policy.limits.max_disk_bytes, policy.limits.high_water_bytes)


@pytest.mark.parametrize(("profile", "limits"), LIMITS)
def test_the_command_in_a_terminal_says_the_same(
    lab: Lab, capsys: pytest.CaptureFixture[str], profile: str, limits: dict[str, Any]
) -> None:
    what_if = open_what_if(lab, profile=profile, **limits)
    outcome = what_if.at(what_if.policy)
    line = findings.command_line(what_if, what_if.policy)
    assert line in findings.command(what_if, what_if.policy)
    words = [str(lab.path) if word == "STATE_DIR" else word for word in shlex.split(line)[1:]]
    before = photo(resources.sample_dir())
    done = caller(capsys)(*words, "--json")
    assert done.returncode == 0
    results = json.loads(done.stdout)["results"]
    assert len(results) == 3
    assert sum(one["beforeCount"] - one["afterCount"] for one in results) == outcome.gone.sessions
    assert sum(one["archived"] for one in results) == outcome.aside.sessions
    assert sum(one["after"]["fileBytes"] for one in results) == outcome.after.file_bytes
    assert photo(resources.sample_dir()) == before


def test_command_names_the_agent_the_folder_and_the_clock(state: Path) -> None:
    with open_lab(state, agent="ops", now_ms=NOW_MS) as lab:
        what_if = open_what_if(lab)
        words = shlex.split(findings.command_line(what_if, what_if.policy))
    assert words[:6] == ["sessionlab", "maintain", str(state), "--dry-run", "--agent", "ops"]
    assert words[-2:] == ["--now-ms", str(NOW_MS)]


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({"profile": "2026.5"}, 'profile="2026.5" is unknown; write one of 2026.3, 2026.4, 2026.7, 2026.9'),
        ({"prune_after": "soon"}, "'soon' is not a duration"),
        ({"prune_after": "0"}, 'prune_after="0" would leave nothing'),
        ({"max_entries": -1}, "max_entries=-1 makes no sense"),
        ({"max_disk": "much"}, "'much' is not a size"),
        ({"max_disk": "0"}, 'max_disk="0" would leave nothing'),
    ],
)
def test_a_limit_that_makes_no_sense_is_refused(lab: Lab, limits: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=re.escape(said)):
        open_what_if(lab, **limits)


def test_openclaws_own_database_is_left_out_and_nothing_else_is_refused(state: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    with open_lab(shared_state("sqlite-2026.9", tmp_path_factory), now_ms=NOW_MS) as lab:
        with pytest.raises(UsageError, match="OpenClaw maintains them itself"):
            open_what_if(lab)
        own = lab.path / "agents" / "main"
        (state / "agents" / "third").symlink_to(own)
    with open_lab(state, now_ms=NOW_MS) as mixed:
        what_if = open_what_if(mixed)
        assert (what_if.agents, what_if.left_out) == (("main", "ops"), ("third",))
        assert findings.left_out(what_if) == "Left out: `third`, whose database OpenClaw maintains itself."


def test_two_stores_that_both_hold_sessions_are_refused(state: Path) -> None:
    with open_lab(state, agent="ops", now_ms=NOW_MS) as lab:
        with open_for_writing(state / "agents/ops/sessions/sessions.d") as store:
            store.put("agent:ops:other", {"sessionId": "other", "updatedAt": NOW_MS})
        with pytest.raises(SplitStoreError):
            open_what_if(lab)


def test_a_configuration_that_is_wrong_is_named(state: Path) -> None:
    with open_lab(state, now_ms=NOW_MS) as lab:
        (state / "openclaw.json").write_text('{"session": {"maintenance": {"pruneafter": "3d"}}}', encoding="utf-8")
        with pytest.raises(SettingsError, match="pruneafter"):
            open_what_if(lab)


def test_a_point_is_recomputed_in_the_time_of_a_sliders_step(lab: Lab) -> None:
    """10,000 sessions with a transcript each: at most 50 ms of CPU, and twice that where others use the machine's caches."""
    ages = [(7_919 * number) % (90 * MS_PER_DAY) for number in range(10_000)]
    summaries = tuple(
        SessionSummary(key=f"agent:main:telegram:direct:{number}", session_id=f"s{number}", updated_ms=lab.now_ms - age)
        for number, age in enumerate(sorted(ages))
    )
    transcripts: dict[str, tuple[File, ...]] = {
        f"s{number}": (File(f"s{number}.jsonl", 4_000, lab.now_ms - age, f"s{number}"),) for number, age in enumerate(ages)
    }
    files = SessionFiles(folder=Path("sessions"), transcripts=transcripts, archives=(), backups=(), total_bytes=40_000_000)
    (location, *_) = locate(lab.path)
    held = Held(location, summaries, files, 30_000_000, dict.fromkeys((one.key for one in summaries), 3_000), {})
    large = WhatIf(lab, {"main": held}, rules={name: rules_of(lab.path, name) for name in PROFILES}, profile="2026.3")
    taken = []
    for cap in (100, 5_000, 10_000) * 5:
        policy = large.rules["2026.3"].limited(prune_after_ms=45 * MS_PER_DAY, max_entries=cap, max_disk_bytes=None)
        start = time.process_time()
        outcome = large.at(policy)
        taken.append(time.process_time() - start)
        assert outcome.after.sessions <= cap
    assert min(taken) < 0.1


def test_rate_is_that_of_the_stores_own_bytes(what_if: WhatIf) -> None:
    rate = what_if.measure_load(rounds=1)
    outcome = what_if.at(what_if.policy)
    assert rate.bytes_per_ms > 0
    assert rate.ms(outcome.before.store_bytes) > rate.ms(outcome.after.store_bytes) > 0
    said = findings.loading(LoadRate(1024.0), outcome)
    assert said.startswith("This machine reads all entries in **1,032 ms** (1000.0 KB a second)")
    assert "roughly **800 ms**" in said


def every_figure(what_if: WhatIf, policy: Policy) -> list[Any]:
    outcome = what_if.at(policy)
    return [
        *(figures.what_goes(outcome, measure=measure, by=by) for measure in ("Sessions", "Bytes", "Cost") for by in ("kind", "agent")),
        figures.versions_compared(what_if.versions()),
        figures.sensitivity(what_if.grid(policy)),
    ]


@pytest.mark.parametrize("profile", PROFILES)
def test_figures_are_the_same_twice_and_have_words_with_numbers(what_if: WhatIf, profile: Any) -> None:
    policy = what_if.rules[profile].policy
    for first, second in zip(every_figure(what_if, policy), every_figure(what_if, policy), strict=True):
        assert first.to_json() == second.to_json()
        assert "bdata" not in first.to_json()
        assert re.search(r"\d", first.layout.meta["alt"])
        assert first.layout.meta["alt"].endswith(".")
        assert first.layout.meta["caption"].endswith(".")
        assert all(trace.hovertemplate for trace in first.data)
        assert first.layout.xaxis.title.text


def test_bars_add_up_and_the_frame_is_around_the_policys_own_point(what_if: WhatIf) -> None:
    outcome = what_if.at(what_if.policy)
    by_kind, by_agent = (figures.what_goes(outcome, by=by) for by in ("kind", "agent"))
    for drawn in (by_kind, by_agent):
        assert {trace.name: sum(trace.x) for trace in drawn.data} == {"go": outcome.gone.sessions, "stay": outcome.after.sessions}
    cost = figures.what_goes(outcome, measure="Cost")
    assert sum(sum(trace.x) for trace in cost.data) == pytest.approx(outcome.held.cost_microusd / 1e6, abs=0.01)
    assert NO_SESSION in cost.data[0].y
    compared = figures.versions_compared(what_if.versions())
    assert [sum(parts) for parts in zip(*(trace.x for trace in compared.data), strict=True)] == [300] * 4
    map_ = figures.sensitivity(what_if.grid(what_if.policy))
    (frame,) = map_.layout.shapes
    column, row = round((frame.x0 + frame.x1) / 2), round((frame.y0 + frame.y1) / 2)
    assert (map_.data[0].x[column], map_.data[0].y[row], map_.data[0].z[row][column]) == ("500", "30 d", outcome.gone.sessions)


def test_figure_without_a_cost_says_that_it_is_the_cost_that_is_missing(tmp_path: Path) -> None:
    write_store(tmp_path, "main", {"agent:main:a": {"sessionId": "a", "updatedAt": NOW_MS}})
    write_store(tmp_path, "empty", {})
    alts = {}
    for agent in ("main", "empty"):
        with open_lab(tmp_path, agent=agent, now_ms=NOW_MS) as lab:
            what_if = open_what_if(lab)
            drawn = figures.what_goes(what_if.at(what_if.policy), measure="Cost")
        alts[agent] = drawn.layout.meta["alt"]
    assert alts == {"main": "No data: no transcript records a cost.", "empty": "No data: the stores hold no session."}


def test_tables_are_text_and_name_what_is_lost(what_if: WhatIf) -> None:
    outcome = what_if.at(what_if.policy)
    losses = tables.losses_table(outcome)
    assert losses["Agent and kind"].is_unique
    assert sum(int(text.partition(" of ")[0]) for text in losses["Sessions that go"] if text != "none") == outcome.gone.sessions
    assert "Marked as archived" not in losses
    assert "Marked as archived" in tables.losses_table(what_if.versions()[3])
    rules, results = tables.rules_table(what_if.versions()), tables.results_table(what_if.versions())
    assert rules["OpenClaw"].tolist() == results["OpenClaw"].tolist() == list(PROFILES)
    assert rules["Mode"].tolist() == ["only warns"] * 4
    assert results["Too old"].tolist() == ["71", "71", "58", "42"]
    assert results["Marked as archived"].tolist() == ["0", "0", "0", "5"]


def test_versions_say_who_would_do_it_by_itself(state: Path) -> None:
    """Of three stale sessions, 2026.9 leaves the two conversations alone."""
    write_store(state, "other", {"agent:other:explicit:1": {"sessionId": "x", "updatedAt": days(45)}})
    with open_lab(state, now_ms=NOW_MS) as lab:
        what_if = open_what_if(lab)
        said = findings.versions(what_if.versions())
        assert said == (
            "Of 6 sessions, 2026.3 removes 3; 2026.4 removes 3; 2026.7 removes 3; 2026.9 marks 1 as archived. "
            "By itself, with the next save, 2026.4, 2026.7 and 2026.9 would do it; 2026.3 would only warn."
        )
        assert "With `mode: warn` it does nothing" in findings.rules(what_if.rules["2026.3"].policy)
        assert "A save only cuts a store back from 550 entries on. It **enforces** them" in findings.rules(what_if.rules["2026.4"].policy)
        tight = what_if.at(what_if.rules["2026.9"].limited(prune_after_ms=MS_PER_DAY, max_entries=1, max_disk_bytes=None))
        assert findings.at_limits(tight).startswith("- **1 of 6 sessions would be marked as archived, and stay; none would go.**")


def test_an_empty_store_has_words_for_it(tmp_path: Path) -> None:
    write_store(tmp_path, "main", {})
    with open_lab(tmp_path, now_ms=NOW_MS) as lab:
        what_if = open_what_if(lab)
        outcome = what_if.at(what_if.policy)
        assert all(drawn.layout.meta["alt"].startswith("No data") for drawn in every_figure(what_if, what_if.policy))
        grid = what_if.grid(what_if.policy)
        said = {findings.at_limits(outcome), findings.versions(what_if.versions()), findings.around(grid)}
        said |= {findings.loading(LoadRate(0.0), outcome)}
        assert said == {"The store holds no session in this selection."}
        assert len(tables.losses_table(outcome)) == 0
        assert added([]) == Share()


def test_durations_and_sizes_are_written_exactly() -> None:
    assert [duration_text(ms) for ms in (0, 1, 1_000, 36 * MS_PER_HOUR, 30 * MS_PER_DAY)] == ["0ms", "1ms", "1s", "36h", "30d"]
    assert [shown_duration(ms) for ms in (1, 30 * MS_PER_DAY)] == ["1 ms", "30 d"]
    assert [size_text(size) for size in (0, 1, 1536, 1536 * 1024, 10 << 30)] == ["0b", "1b", "1536b", "1536kb", "10gb"]
