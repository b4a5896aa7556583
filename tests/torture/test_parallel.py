"""The torture of parallel sessions in small: some points of each, the same ones every time. `./run torture parallel` takes all of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.torture.broken_parallel import prelude
from tests.torture.crowded_parallel import crowd
from tests.torture.deeds import DEEDS, Deed
from tests.torture.full_disk_parallel import fill_the_disk_of_a_deed, use_until_it_is_full
from tests.torture.stopped_parallel import fail_deed, kill_deed, kill_next_deed

BY_NAME = {deed.name: deed for deed in DEEDS}


def deeds(*names: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        "deed", [BY_NAME[name] for name in names], ids=lambda deed: deed.name.replace(", ", "-").replace(" ", "-")
    )


@deeds("initialize", "promote", "resume, shared")
@pytest.mark.usefixtures("strace")
def test_process_that_is_killed_leaves_every_step_done_or_not(deed: Deed, tmp_path: Path) -> None:
    """T1, A.17, A.30, A.50: what was acknowledged is there, and the next process goes on at once."""
    tally = kill_deed(deed, tmp_path, sample=2)
    assert tally.failures == []
    assert sum(tally.counts.values()) == 2


@pytest.mark.usefixtures("strace")
def test_next_process_may_be_killed_as_well(tmp_path: Path) -> None:
    """T1 twice."""
    accidents, tally = kill_next_deed(BY_NAME["promote"], tmp_path, first=2, accidents=1, sample=1)
    assert tally.failures == []
    assert accidents == 1
    assert sum(tally.counts.values()) == 1


@deeds("shutdown")
@pytest.mark.usefixtures("strace")
def test_call_that_fails_is_an_error_in_one_line_and_what_was_to_sleep_is_awake(deed: Deed, tmp_path: Path) -> None:
    """T3, A.17."""
    tally = fail_deed(deed, tmp_path, sample=2)
    assert tally.failures == []
    assert sum(tally.counts.values()) == 2


@pytest.mark.usefixtures("own_disk")
def test_disk_that_fills_up_loses_nothing(tmp_path: Path) -> None:
    """T4."""
    (tmp_path / "one").mkdir()
    report = fill_the_disk_of_a_deed("hibernate", tmp_path / "one", pages=(9,))
    assert report == {"counts": {"refused": 1}, "wrong": []}
    report = use_until_it_is_full(tmp_path)
    assert report["wrong"] == []
    assert report["counts"]["UnwritableError"] > 5


def test_processes_that_are_killed_at_random_share_the_places_and_lose_nothing(tmp_path: Path) -> None:
    """T5, A.20: over all processes that use the database."""
    counts, failures = crowd(tmp_path, processes=3, places=2, times=80, kills=2)
    assert failures == []
    assert counts["messages"] > 0
    assert counts["memories"] > 0


# -- the torture itself


@pytest.mark.parametrize(
    ("mistake", "name", "calls", "words"),
    [
        ("promotes_in_two_steps", "promote", ("fdatasync",), "half of a step is done: "),
        ("syncs_nothing", "expire", ("unlink",), "was not on the disk when it was acknowledged"),
    ],
)
@pytest.mark.usefixtures("strace")
def test_killing_finds_the_sessions_that_are_broken(mistake: str, name: str, calls: tuple[str, ...], words: str, tmp_path: Path) -> None:
    tally = kill_deed(BY_NAME[name], tmp_path, sample=3, calls=calls, prelude=prelude(mistake))
    assert any(words in failure for failure in tally.failures), tally.failures


@pytest.mark.usefixtures("strace")
def test_session_of_which_no_copy_is_kept_while_it_is_awake_is_found_at_once(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="sessionlab_woken"):
        kill_deed(BY_NAME["resume"], tmp_path, prelude=prelude("keeps_no_copy"))


@pytest.mark.parametrize(
    ("mistake", "calls", "words"),
    [
        ("swallows_errors", ("fdatasync",), "the disk refused it"),
        ("sleeps_too_early", ("pwrite64",), "and now it sees"),
        ("lets_errors_through", ("fdatasync",), "ended with 1"),
    ],
)
@pytest.mark.usefixtures("strace")
def test_failing_calls_find_the_sessions_that_are_broken(mistake: str, calls: tuple[str, ...], words: str, tmp_path: Path) -> None:
    tally = fail_deed(BY_NAME["hibernate"], tmp_path, sample=6, calls=calls, prelude=prelude(mistake))
    assert any(words in failure for failure in tally.failures), tally.failures


@pytest.mark.parametrize(("mistake", "words"), [("takes_what_others_have", "messages, "), ("has_always_room", "awake at once")])
def test_race_finds_the_processes_that_know_nothing_of_each_other(mistake: str, words: str, tmp_path: Path) -> None:
    failures: list[str] = []
    for turn in range(40):  # whether they meet is chance; the first time is enough
        place = tmp_path / str(turn)
        place.mkdir()
        failures += crowd(place, processes=2, places=1, times=100, kills=1, prelude=prelude(mistake))[1]
        if any(words in failure for failure in failures):
            break
    assert any(words in failure for failure in failures), failures
