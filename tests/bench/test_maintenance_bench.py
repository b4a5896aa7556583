"""The bench of maintenance: at small size everything is measured, and removes what it should."""

from __future__ import annotations

from pathlib import Path

from sessionlab.bench.maintenance import measure
from sessionlab.bench.scope import Scope


def test_every_figure_is_there(tmp_path: Path) -> None:
    found = measure(tmp_path, Scope(sessions=30, is_quick=True))
    assert [(row.store, row.sessions) for row in found.rows] == [
        ("maintenance", 1_000),
        *(("json", 200), ("json", 200)),
        *(("sqlite", 200), ("sqlite", 200)),
        *(("directory", 200), ("directory", 200)),
        ("json", 30),
    ]
    assert all(row.median_ms and row.median_ms > 0 for row in found.rows)
    assert [row.bound for row in found.rows] == [None, *(1.5, None) * 3, 1.05]
    assert found.conditions[0].startswith("a quick run")
