"""Which transcript files will be read for certain, so that reading them can begin while the sessions are still being looked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sessionlab.lab.columns import ParseJob
from sessionlab.lab.files import SeenFile, is_transcript
from sessionlab.stores.opening import StoreLocation

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True, slots=True)
class ReadingPlan:
    """The transcript files of a load.

    Attributes:
        numbers: Path -> number in the mirror, of every transcript file, from 1 on.
        jobs: Those that will be read for certain.
        started: The numbers of the jobs.
    """

    numbers: dict[str, int]
    jobs: tuple[ParseJob, ...]
    started: frozenset[int]


def plan_reading(con: duckdb.DuckDBPyConnection, files: Mapping[StoreLocation, Sequence[SeenFile]], *, has_old: bool) -> ReadingPlan:
    """Give the transcript files numbers and choose those to begin with: all that the old mirror does not show as they are now.

    Not chosen are files beside a SQLite store: only the store says whether it holds them already.

    Args:
        con: The mirror; with `has_old` the old one is attached as `old`.
        files: What lies in each agent's folders.
        has_old: Whether there is an old mirror.
    """
    known = set()
    if has_old:
        known = set(con.execute("SELECT agent_id, path, bytes, mtime_ns FROM old.transcripts WHERE mtime_ns > 0").fetchall())
    numbers: dict[str, int] = {}
    jobs = []
    for location, seen in files.items():
        for file in seen:
            if not is_transcript(file):
                continue
            number = numbers.setdefault(file.path, len(numbers) + 1)
            if location.kind == "json" and (location.agent_id, file.path, file.bytes, file.mtime_ns) not in known:
                jobs.append(ParseJob(number, Path(file.path), file.bytes))
    return ReadingPlan(numbers, tuple(jobs), frozenset(job.transcript_id for job in jobs))
