"""The lists of `tests/README.md` are true: every requirement is proven by a test that exists, excused with a reason, or not yet proven."""

from __future__ import annotations

import pytest

from tests.requirements import NOT_HERE, README, TESTS, WANTED, listed, named_by_tests, written

AGAIN = "run: .venv/bin/python -m tests.requirements"


@pytest.mark.parametrize("requirement", WANTED)
def test_requirement_is_proven_or_excused_or_listed_as_not_yet(requirement: str) -> None:
    found = listed(README.read_text(encoding="utf-8"))
    named = named_by_tests()[requirement]
    assert [requirement in place for place in (found.tests, found.excused, found.missing)].count(True) == 1, AGAIN
    assert bool(found.tests.get(requirement)) == bool(named), AGAIN
    assert set(found.tests.get(requirement, [])) <= set(named), f"a listed test is gone, or no longer names it; {AGAIN}"


def test_what_is_excused_is_tested_nowhere() -> None:
    assert set(NOT_HERE) <= set(WANTED)
    assert {name for name in NOT_HERE if named_by_tests()[name]} == set(), "take them out of NOT_HERE"
    assert listed(README.read_text(encoding="utf-8")).excused == NOT_HERE, AGAIN


def test_lists_name_nothing_else() -> None:
    found = listed(README.read_text(encoding="utf-8"))
    assert {*found.tests, *found.excused, *found.missing} == set(WANTED)
    assert len(found.tests) + len(found.excused) + len(found.missing) == len(WANTED)


def test_table_names_files_that_are_there() -> None:
    files = {test.partition("::")[0] for tests in listed(README.read_text(encoding="utf-8")).tests.values() for test in tests}
    assert files
    assert {name for name in files if not (TESTS / name).is_file()} == set()


def test_written_lists_are_read_back() -> None:
    found = listed(written(README.read_text(encoding="utf-8")))
    named = named_by_tests()
    assert found.tests == {name: tests for name, tests in named.items() if tests}
    assert found.excused == NOT_HERE
    assert found.missing == [name for name, tests in named.items() if not tests and name not in NOT_HERE]
