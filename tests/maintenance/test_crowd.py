"""Ten processes write while their stores are maintained: whatever was acknowledged is in the store, or in the archive of a run."""

from __future__ import annotations

from pathlib import Path

from tests.maintenance.crowded import maintain_among_writers


def test_ten_writers_lose_nothing_to_a_maintenance(tmp_path: Path) -> None:
    """On a store of each kind, counter by counter; and undoing all runs gives every session back."""
    counts, failures = maintain_among_writers(tmp_path)
    assert failures == []
    assert counts["maintenances"] >= 6
    assert min(counts["removed"], counts["restored"], counts["again"]) > 0, counts


def test_writers_that_maintain_a_json_store_with_each_save_lose_nothing(tmp_path: Path) -> None:
    """D.7: each of them has a run of its own."""
    counts, failures = maintain_among_writers(tmp_path, kinds=["json"], writers=6, on_save=True, seconds=1)
    assert failures == []
    assert min(counts["removed"], counts["again"]) > 0, counts
