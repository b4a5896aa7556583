"""Measuring one thing after the other, each in a folder of its own that goes away with it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

from sessionlab.bench.measure import Measurement
from sessionlab.bench.stores import Progress
from sessionlab.bench.surroundings import undisturbed

Step = tuple[str, Callable[[Path], list[Measurement]]]
"""What is measured, and what measures it in an empty folder."""


def measured(steps: Iterable[Step], folder: Path, *, on_progress: Progress | None) -> tuple[Measurement, ...]:
    """Carry out the steps, and return what they found.

    Args:
        steps: In their order.
        folder: Where their folders are made.
        on_progress: Called with (what, done, total).
    """
    rows: list[Measurement] = []
    known = list(steps)
    with undisturbed():
        for number, (what, step) in enumerate(known):
            if on_progress is not None:
                on_progress(what, number, len(known))
            place = folder / str(number)
            place.mkdir()
            rows += step(place)
            shutil.rmtree(place)
    return tuple(rows)
