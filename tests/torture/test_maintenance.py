"""The torture of maintenance in small: some points of each, the same ones every time. `./run torture maintenance` takes all of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sessionlab.cli import _run
from sessionlab.settings import StoreType
from tests.torture import tracing
from tests.torture.broken_maintenance import prelude
from tests.torture.full_disk_maintenance import fill_the_disk_of_a_maintenance
from tests.torture.stopped_maintenance import fail_maintenance, kill_maintenance, kill_next_maintenance
from tests.torture.tended import DEEDS, KINDS, Task, make


def named(task: Task) -> str:
    return str(task).replace(", ", "-").replace(" ", "-")


MAINTAIN, REAP = Task("json", "maintain"), Task("json", "reap")


@pytest.mark.parametrize(
    "task",
    [
        MAINTAIN,
        Task("directory", "maintain, little room"),
        Task("sqlite", "mark as archived"),
        Task("sqlite", "undo"),
        Task("json", "save"),
    ],
    ids=named,
)
@pytest.mark.usefixtures("strace")
def test_maintenance_that_is_killed_loses_nothing(task: Task, tmp_path: Path) -> None:
    """T1, D.17: entries are in the store or in the archive; undoing gives back what was there, the same command again finishes it."""
    tally = kill_maintenance(task, tmp_path, sample=2)
    assert tally.failures == []
    assert sum(tally.counts.values()) == 2


@pytest.mark.usefixtures("strace")
def test_next_run_may_be_killed_as_well(tmp_path: Path) -> None:
    """T1 twice, D.17."""
    accidents, tally = kill_next_maintenance(Task("directory", "reap"), tmp_path, first=2, accidents=1, sample=1)
    assert tally.failures == []
    assert accidents == 1
    assert sum(tally.counts.values()) == 1


@pytest.mark.parametrize("task", [Task("sqlite", "maintain"), Task("directory", "undo"), Task("json", "save")], ids=named)
@pytest.mark.usefixtures("strace")
def test_call_that_fails_is_an_error_in_one_line_and_loses_nothing(task: Task, tmp_path: Path) -> None:
    """T3, D.17."""
    tally = fail_maintenance(task, tmp_path, sample=2)
    assert tally.failures == []
    assert sum(tally.counts.values()) == 2


@pytest.mark.usefixtures("own_disk")
def test_disk_that_fills_up_loses_nothing(tmp_path: Path) -> None:
    """T4, D.50: which is when somebody maintains."""
    report = fill_the_disk_of_a_maintenance(MAINTAIN, tmp_path, pages=(0, 5))
    assert report["wrong"] == []
    assert report["counts"] == {"refused": 2}


# -- the torture itself


@pytest.mark.parametrize("kind", KINDS)
def test_every_reason_to_remove_something_is_met(kind: StoreType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Else, what is put to the torture would be less than it seems, when the rules change."""
    seen: dict[str, set[str]] = {}
    for deed in DEEDS[:3]:
        task, state = Task(kind, deed), tmp_path / deed
        make(task, state)
        assert _run([part.replace("STATE", str(state)) for part in [*task.arguments, "--dry-run", "--json"]]) == 0
        (way,) = json.loads(capsys.readouterr().out)["results"]
        seen[deed] = {*way["actions"]} | {one["action"] for one in way["files"]}
    assert seen["maintain"] >= {"keep", "prune-stale", "cap-overflow", "prune-missing", "archive", "expire", "evict"}
    assert seen["maintain, little room"] >= {"keep", "prune-stale", "cap-overflow", "evict-budget", "evict"}
    assert seen["mark as archived"] >= {"keep", "archive"}


@pytest.mark.parametrize(
    ("mistake", "task", "calls", "words"),
    [
        ("removes_before_archiving", MAINTAIN, ("openat",), "neither in the store nor in an archive"),
        ("syncs_no_archive", REAP, (), "was not on the disk before"),
        ("renames_first", REAP, tracing.RENAMES, "files changed before the entries"),
        ("forgets_renames", REAP, (), "was not on the disk at the end"),
        ("finishes_nothing", REAP, tracing.RENAMES, "a run is still unfinished"),
    ],
)
@pytest.mark.usefixtures("strace")
def test_killing_finds_the_maintenance_that_is_broken(mistake: str, task: Task, calls: tuple[str, ...], words: str, tmp_path: Path) -> None:
    tally = kill_maintenance(task, tmp_path, sample=4, calls=calls, prelude=prelude(mistake))
    assert any(words in failure for failure in tally.failures), tally.failures


@pytest.mark.parametrize(
    ("mistake", "words"),
    [("archives_what_is_in_use", "took transcripts away that are in use"), ("touches_other_files", "lost: notes.md")],
)
@pytest.mark.usefixtures("strace")
def test_maintenance_that_takes_what_it_must_not_is_found_at_once(mistake: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=words):
        kill_maintenance(MAINTAIN, tmp_path, sample=1, calls=(), prelude=prelude(mistake))


@pytest.mark.usefixtures("strace")
def test_failing_calls_find_the_maintenance_that_is_broken(tmp_path: Path) -> None:
    """An error that is swallowed is told by the acknowledgement that should not have come."""
    tally = fail_maintenance(REAP, tmp_path, sample=2, calls=("write",), prelude=prelude("swallows_errors"))
    assert any("neither in the store" in failure or "the disk refused it" in failure for failure in tally.failures), tally.failures
