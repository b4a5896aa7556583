"""What every kind of run writes into its folder."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from sessionlab.errors import UnwritableError
from sessionlab.runs import EVENTS, Run


def test_event_that_only_half_fits_is_refused_and_spoils_no_other(tmp_path: Path) -> None:
    """T4: a disk that is nearly full takes less than it is given, and says nothing."""
    run = Run(tmp_path)
    run.note("begin", seconds=0.0)
    events = tmp_path / EVENTS
    before = events.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 3, hard))
    try:
        with pytest.raises(UnwritableError, match="No space left"):
            run.note("archive", seconds=0.0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert events.read_bytes() == before
    run.note("done", seconds=0.0)
    assert [event.act for event in run.events()] == ["begin", "done"]
