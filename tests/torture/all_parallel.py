"""All of the torture of parallel sessions, as rows of the table."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tests.torture.crowded_parallel import crowd
from tests.torture.deeds import DEEDS, Deed
from tests.torture.full_disk import refusal_of_namespaces
from tests.torture.full_disk_parallel import fill_the_disk_of_a_deed, use_until_it_is_full
from tests.torture.rows import Rows, Work, counted, counted_twice, reported, worded
from tests.torture.stopped_parallel import SUBJECT, fail_deed, kill_deed, kill_next_deed

_PAGES: Final = (*range(0, 24, 2), *range(24, 72, 8))
"""Free on the disk: from where nothing can be begun to where all fits."""

_TWICE: Final = ("initialize", "promote", "search", "resume, another sleeps", "shutdown, shared")
"""What one commit leaves is like what another does."""


def add_parallel(rows: Rows) -> None:
    """Put parallel sessions to all of the torture."""
    for deed in DEEDS:
        rows.add(SUBJECT, deed.name, "killed", _killed(deed))
    for deed in DEEDS:
        if deed.name in _TWICE:
            rows.add(SUBJECT, deed.name, "killed twice", _killed_twice(deed))
    for deed in DEEDS:
        rows.add(SUBJECT, deed.name, "call fails", _failing(deed))
    if (reason := refusal_of_namespaces()) is not None:
        rows.add(SUBJECT, "all", "disk full", lambda _: (0, f"not done: {reason}", []))
    else:
        rows.add(SUBJECT, "used until it is full", "disk full", reported(use_until_it_is_full))
        for deed in DEEDS:
            rows.add(SUBJECT, deed.name, "disk full", _full_disk(deed))
    rows.add(SUBJECT, "8 processes, 4 places", "race", _crowded)


def _killed(deed: Deed) -> Work:
    return counted(lambda folder: kill_deed(deed, folder))


def _killed_twice(deed: Deed) -> Work:
    return counted_twice(lambda folder: kill_next_deed(deed, folder, first=24, accidents=6, sample=12))


def _failing(deed: Deed) -> Work:
    return counted(lambda folder: fail_deed(deed, folder))


def _full_disk(deed: Deed) -> Work:
    return reported(lambda folder: fill_the_disk_of_a_deed(deed.name, folder, pages=_PAGES))


def _crowded(folder: Path) -> tuple[int, str, list[str]]:
    counts, failures = crowd(folder, processes=8, times=20_000, kills=150)
    return counts.pop("kills"), worded(counts), failures
