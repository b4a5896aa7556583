"""Undo among other spellings: one that only the plain key can be stored for, and one that another program has stored meanwhile."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sessionlab.maintenance.apply import apply_plan
from sessionlab.maintenance.planning import plan_store
from sessionlab.maintenance.policy import Policy
from sessionlab.maintenance.run_folder import maintenance_runs
from sessionlab.maintenance.undo import undo
from sessionlab.settings import MaintenanceSettings
from sessionlab.stores import locate
from tests.maintenance.test_apply import NOW_MS, entry
from tests.maintenance.test_spellings import ids, maintained, planted

A, OTHER_A = "agent:main:a", "agent:main:A"


@pytest.mark.parametrize("odd", ["\tagent:main:a", "agent:main:A\n", " " * 5_000 + "agent:main:a"], ids=["tab", "line end", "long"])
def test_spelling_that_no_store_takes_comes_back_under_the_plain_key(tmp_path: Path, odd: str) -> None:
    """And keeps no other back."""
    path = planted(tmp_path, {odd: entry(50, "odd"), "agent:main:B": entry(50, "b"), "agent:main:young": entry(1, "young")})
    maintained(tmp_path)
    assert ids(path) == {"agent:main:young": "young"}
    (run,) = maintenance_runs(tmp_path)
    report = undo(run)
    assert (report.restored, report.newer, report.unstorable) == (2, (), ())
    assert ids(path) == {"agent:main:young": "young", A: "odd", "agent:main:B": "b"}
    again = undo(run)
    assert (again.restored, again.newer) == (0, ())


def test_spelling_that_no_store_takes_beside_the_plain_key_is_named(tmp_path: Path) -> None:
    path = planted(tmp_path, {"\t" + A: entry(50, "odd"), A: entry(40, "plain"), "agent:main:young": entry(1, "young")})
    maintained(tmp_path)
    (run,) = maintenance_runs(tmp_path)
    report = undo(run)
    assert (report.restored, report.newer) == (1, ("\t" + A,))
    assert ids(path) == {"agent:main:young": "young", A: "plain"}


def test_taking_a_mark_off_leaves_a_spelling_that_came_since(tmp_path: Path) -> None:
    """Writing one would remove the other, which may be the newer session."""
    path = planted(tmp_path, {A: entry(90, "old"), "agent:main:b": entry(90, "b")})
    maintained(tmp_path, profile="2026.9")
    (run,) = maintenance_runs(tmp_path)
    path.write_text(json.dumps(json.loads(path.read_bytes()) | {OTHER_A: entry(0, "new")}), encoding="utf-8")
    assert undo(run).unmarked == 2
    assert ids(path) == {A: "old", "agent:main:b": "b", OTHER_A: "new"}
    assert not any("archivedAt" in one for one in json.loads(path.read_bytes()).values())


def test_one_that_got_another_spelling_since_the_plan_is_not_marked(tmp_path: Path) -> None:
    """Marking writes it, and a write removes the other spellings."""
    path = planted(tmp_path, {A: entry(90, "old"), "agent:main:b": entry(90, "b")})
    (location,) = locate(tmp_path)
    plan = plan_store(location, Policy(limits=MaintenanceSettings(mode="enforce"), profile="2026.9"), now_ms=NOW_MS)
    path.write_text(json.dumps(json.loads(path.read_bytes()) | {OTHER_A: entry(0, "new")}), encoding="utf-8")
    report = apply_plan(plan, location, root=tmp_path)
    assert (report.archived, report.kept_since) == (1, 1)
    assert ids(path) == {A: "old", "agent:main:b": "b", OTHER_A: "new"}
    assert {key for key, one in json.loads(path.read_bytes()).items() if "archivedAt" in one} == {"agent:main:b"}
