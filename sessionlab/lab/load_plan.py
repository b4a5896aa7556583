"""Which transcript files will be read for certain, so that reading them can begin while the sessions are still being looked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sessionlab.lab.columns import ParseJob
from sessionlab.lab.files import SeenFile, is_transcript
from sessionlab.lab.insert import encodable
from sessionlab.stores.location import StoreLocation

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True, slots=True)
class ReadingPlan:
    """The transcript files of a load.

    Attributes:
        numbers: Path -> number in the mirror, of every transcript file, from 1 on; the paths of one file have one number.
        jobs: Those that will be read for certain.
        started: The numbers of the jobs.
    """

    numbers: dict[str, int]
    jobs: tuple[ParseJob, ...]
    started: frozenset[int]


def plan_reading(con: duckdb.DuckDBPyConnection, files: Mapping[StoreLocation, Sequence[SeenFile]], *, has_old: bool) -> ReadingPlan:
    """Give the transcript files numbers and choose those to begin with: all that the old mirror does not show as they are now.

    Not chosen are files beside OpenClaw's SQLite store: only the store says whether it holds them already.

    Args:
        con: The mirror; with `has_old` the old one is attached as `old`.
        files: What lies in each agent's folders.
        has_old: Whether there is an old mirror.
    """
    known = set()
    if has_old:
        known = set(con.execute("SELECT path, bytes, mtime_ns FROM old.transcripts WHERE mtime_ns > 0").fetchall())
    numbers: dict[str, int] = {}
    of_file: dict[tuple[int, int] | str, int] = {}
    jobs: dict[int, ParseJob] = {}
    held = set()
    for location, seen in files.items():
        for file in seen:
            if not is_transcript(file):
                continue
            number = numbers[file.path] = of_file.setdefault(file.identity, len(of_file) + 1)
            if location.kind == "openclaw" or (known and (encodable(file.path), file.bytes, file.mtime_ns) in known):
                held.add(number)
            else:
                jobs.setdefault(number, ParseJob(number, file.path, file.bytes))
    started = tuple(job for number, job in jobs.items() if number not in held)
    return ReadingPlan(numbers, started, frozenset(job.transcript_id for job in started))
