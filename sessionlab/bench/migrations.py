"""All measurements of moving and verifying, each against reading and hashing the same bytes in the same run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from sessionlab.bench import moves, verifications
from sessionlab.bench.content import Content, make_content
from sessionlab.bench.scope import Scope
from sessionlab.bench.steps import Step, measured
from sessionlab.bench.stores import Findings, Progress
from sessionlab.bench.surroundings import QUICK, load_in_words, sync_in_words

_TRUTHS: Final = (
    "a move is all that the command does: plan, stage, verify, promote, record; its source lies on disk and in the page cache before",
    "bounds are of the time (ms) or of the memory (MB), not of the ratio; the floor is measured in the same process, by turns",
    "memory is the peak (VmHWM) of a fresh process above bare Python; MB are 10**6 bytes",
)


def measure(folder: Path, scope: Scope, *, content: Content | None = None, on_progress: Progress | None = None) -> Findings:
    """Measure the moves and verifications of a scope.

    Args:
        folder: Empty; the stores are made in it. 1.6 GB for 1,000 sessions, because of the ten times as many that show the memory.
        scope: How much; all kinds of stores are measured, whatever it says.
        content: What the stores are to hold; made when not given.
        on_progress: Called with (what, done, total).
    """
    load = load_in_words()
    content = content or make_content(folder / "content", sessions=scope.sessions)
    rows = measured(_steps(content, scope), folder, on_progress=on_progress)
    conditions = [f"stores of {content.in_words} (as indented JSON), unless said", *_TRUTHS, load, sync_in_words(folder)]
    if scope.is_quick:
        conditions.insert(0, QUICK)
    return Findings(rows, (), tuple(conditions))


def _steps(content: Content, scope: Scope) -> Iterator[Step]:
    """Yield what is to be done in a folder of its own."""
    yield "moves", lambda place: moves.measure(place, content, scope)
    yield "verify: two stores", lambda place: verifications.measure_stores(place, content, scope)
    yield "verify: an import", lambda place: verifications.measure_import(place, scope)
    many = scope.streamed_sessions
    if many is not None:
        yield f"moves of {many:,} sessions", lambda place: moves.measure_streamed(place, many)
