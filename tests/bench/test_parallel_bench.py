"""The bench of parallel sessions: at small size everything is measured, and no save is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from sessionlab.bench import parallel, parallel_many
from sessionlab.bench.parallel_content import BareMemory
from sessionlab.bench.scope import Scope
from sessionlab.bench.table import lines_of
from sessionlab.errors import SessionLabError

QUICK = Scope(is_quick=True)


def test_every_figure_is_there(tmp_path: Path) -> None:
    found = parallel.measure(tmp_path, QUICK)
    assert all(row.median_ms and row.median_ms > 0 for row in found.rows)
    named = [row.in_words for row in found.rows]
    assert len(set(named)) == len(named)
    bounds = {row.operation: (row.most, row.unit) for row in found.rows}
    assert bounds["get or create, awake already"] == bounds["get or create, awake already, places shared by processes"] == (0.02, "ms")
    for operation in (
        "hibernate",
        "resume",
        "save",
        "save by a manager, promoted to knowledge",
        "3 processes, 20 saves each, time for all",
    ):
        assert bounds[operation] == (1.5, "x")
    assert bounds["briefing of a channel"] == bounds["briefing of the busy channel"] == (2, "ms")
    assert sum(bound == (10, "ms") for bound in bounds.values()) == 13
    assert {row.sessions for row in found.rows if row.operation.startswith(("save", "search", "briefing"))} == {500}
    assert found.conditions[0].startswith("a quick run")
    assert any("search: a text that all have, in one channel" in line for line in lines_of(found))


def test_save_that_is_not_there_is_no_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is counted is what is in the database."""
    monkeypatch.setattr(parallel_many, "_WAYS", ("bare",))
    monkeypatch.setattr(parallel_many, "BareMemory", _HoldsOne)
    with pytest.raises(SessionLabError, match="bare: of 60 saves 0 were refused, and 61 are there"):
        parallel_many.many_processes(tmp_path, scope=QUICK, bound=1)


class _HoldsOne(BareMemory):
    """A database that is not empty at the start."""

    def __init__(self, path: Path, number: int = 1) -> None:
        super().__init__(path, number)
