"""The torture of moves in small: some points of each, the same ones every time. `./run torture moves` takes all of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from sessionlab.errors import SplitStoreError
from tests.torture import tracing
from tests.torture.broken_moves import prelude
from tests.torture.crowded_moves import move_among_writers
from tests.torture.full_disk_moves import fill_the_disk_of_a_move
from tests.torture.stopped_moves import fail_move, kill_move, kill_next_move
from tests.torture.trips import BACK, BUSY, Trip


def named(trip: Trip) -> str:
    return f"{trip.operation}-{trip}".replace(", ", "-").replace(" ", "-")


JSON_TO_SQLITE, JSON_TO_DIRECTORY = Trip("json", "sqlite"), Trip("json", "directory")
SQLITE_TO_JSON, SQLITE_TO_DIRECTORY = Trip("sqlite", "json"), Trip("sqlite", "directory")
DIRECTORY_TO_JSON, DIRECTORY_TO_SQLITE = Trip("directory", "json"), Trip("directory", "sqlite")


@pytest.mark.parametrize("trip", [JSON_TO_SQLITE, SQLITE_TO_DIRECTORY, DIRECTORY_TO_JSON, BACK[0], BUSY[0]], ids=named)
@pytest.mark.usefixtures("strace")
def test_move_that_is_killed_is_finished_or_made_again(trip: Trip, tmp_path: Path) -> None:
    """T1, B.29, C.31, C.33, C.46: one store counts and holds what it held; the same command again ends with everything in its place."""
    tally = kill_move(trip, tmp_path, sample=2)
    assert tally.failures == []
    assert sum(tally.counts.values()) == 2


@pytest.mark.usefixtures("strace")
def test_next_run_may_be_killed_as_well(tmp_path: Path) -> None:
    """T1 twice, C.33."""
    accidents, tally = kill_next_move(DIRECTORY_TO_JSON, tmp_path, first=4, accidents=1, sample=2)
    assert tally.failures == []
    assert accidents == 1
    assert sum(tally.counts.values()) == 2


@pytest.mark.parametrize("trip", [JSON_TO_DIRECTORY, SQLITE_TO_JSON, DIRECTORY_TO_SQLITE], ids=named)
@pytest.mark.usefixtures("strace")
def test_call_that_fails_is_an_error_and_the_old_store_or_the_new_one(trip: Trip, tmp_path: Path) -> None:
    """T3, B.29: and the same command again ends with everything in its place."""
    tally = fail_move(trip, tmp_path, sample=3)
    assert tally.failures == []
    assert sum(tally.counts.values()) == 3


@pytest.mark.usefixtures("own_disk")
def test_disk_that_fills_up_keeps_the_old_store_until_there_is_room(tmp_path: Path) -> None:
    """T4."""
    report = fill_the_disk_of_a_move(JSON_TO_SQLITE, tmp_path, pages=(9,))
    assert report["wrong"] == []
    assert report["counts"] == {"refused": 2}


def test_store_that_is_written_and_read_all_the_time_is_moved_and_loses_nothing(tmp_path: Path) -> None:
    """T5: six moves, between every two kinds."""
    counts, failures = move_among_writers(tmp_path)
    assert failures == []
    assert counts["writes"] > 0
    assert counts["readings"] > 0


def test_what_openclaw_writes_meanwhile_is_moved(tmp_path: Path) -> None:
    """T5, D.38: under its own lock, while the move waits."""
    counts, failures = move_among_writers(tmp_path, kinds=("json", "sqlite"), writers=1, with_openclaw=True)
    assert failures == []
    assert counts["moves"] == 1


# -- the torture itself


@pytest.mark.parametrize(
    ("mistake", "trip", "words"),
    [
        ("retires_first", JSON_TO_DIRECTORY, "no store counts: NoStoreError"),
        ("introduces_nobody", DIRECTORY_TO_JSON, "no store counts: SplitStoreError"),
        ("never_cleans_up", JSON_TO_SQLITE, "left over"),
        ("syncs_nothing", JSON_TO_SQLITE, "was not on the disk before rename"),
    ],
)
@pytest.mark.usefixtures("strace")
def test_killing_finds_the_mover_that_is_broken(mistake: str, trip: Trip, words: str, tmp_path: Path) -> None:
    tally = kill_move(trip, tmp_path, sample=6, calls=tracing.RENAMES, prelude=prelude(mistake))
    assert any(words in failure for failure in tally.failures), tally.failures


@pytest.mark.usefixtures("strace")
def test_move_that_is_not_recorded_is_found_at_once(tmp_path: Path) -> None:
    with pytest.raises(SplitStoreError):
        kill_move(JSON_TO_SQLITE, tmp_path, sample=1, prelude=prelude("records_nothing"))


@pytest.mark.parametrize(
    ("mistake", "words"),
    [("promotes_unverified", "check finds"), ("keeps_its_stage", "a stage is left"), ("drops_what_fails", "")],
)
@pytest.mark.usefixtures("strace")
def test_failing_calls_find_the_mover_that_is_broken(mistake: str, words: str, tmp_path: Path) -> None:
    """One that loses an entry and says nothing is stopped by its own verification; without that, it is found."""
    tally = fail_move(JSON_TO_DIRECTORY, tmp_path, sample=6, calls=("write",), prelude=prelude(mistake))
    assert [failure for failure in tally.failures if words in failure] if words else tally.failures == []
