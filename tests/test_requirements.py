"""The table of `tests/README.md` is true: every requirement is proven by a test that exists, or listed as not yet proven."""

from __future__ import annotations

import pytest

from tests.requirements import README, TESTS, WANTED, listed, named_by_tests, written

AGAIN = "run: .venv/bin/python -m tests.requirements"


@pytest.mark.parametrize("requirement", WANTED)
def test_requirement_is_proven_or_listed_as_not_yet(requirement: str) -> None:
    rows, missing = listed(README.read_text(encoding="utf-8"))
    named = named_by_tests()[requirement]
    assert (requirement in rows) != (requirement in missing), AGAIN
    assert bool(rows.get(requirement)) == bool(named), AGAIN
    assert set(rows.get(requirement, [])) <= set(named), f"a listed test is gone, or no longer names it; {AGAIN}"


def test_table_lists_nothing_else() -> None:
    rows, missing = listed(README.read_text(encoding="utf-8"))
    assert set(rows) | set(missing) == set(WANTED)
    assert len(rows) + len(missing) == len(WANTED)


def test_table_names_files_that_are_there() -> None:
    rows, _ = listed(README.read_text(encoding="utf-8"))
    files = {test.partition("::")[0] for tests in rows.values() for test in tests}
    assert files
    assert {name for name in files if not (TESTS / name).is_file()} == set()


def test_written_table_is_read_back() -> None:
    text = written(README.read_text(encoding="utf-8"))
    rows, missing = listed(text)
    assert rows == {name: tests for name, tests in named_by_tests().items() if tests}
    assert missing == [name for name, tests in named_by_tests().items() if not tests]
