"""What a measurement depends on besides the code: the machine, what else is at work on it, and what this process has around it."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import platform
import sqlite3
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from sessionlab import __version__
from sessionlab.bench.measure import timed_ms

QUICK: Final = "a quick run of few rounds: shows that everything works, no figure to quote"


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Measure as if this process were the program's own: nothing warns of sizes that are meant, no collector looks at our objects."""
    with _without_warnings(), _own_objects_apart():
        yield


@contextlib.contextmanager
def _without_warnings() -> Iterator[None]:
    """Let no store warn that it does not keep so large a file in memory: here it is to be large."""
    logger = logging.getLogger("sessions/store")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


@contextlib.contextmanager
def _own_objects_apart() -> Iterator[None]:
    """Let Python's collector leave alone what is here already: a million objects of ours that no program would have around a store."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def versions() -> dict[str, str]:
    """Return what was measured on what."""
    return {
        "sessionlab": __version__,
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "msgspec": msgspec.__version__,
        "platform": platform.platform(),
        "processors": str(os.cpu_count()),
    }


def load_in_words() -> str:
    """Say how much else is at work now."""
    return f"when it began, {os.getloadavg()[0]:.1f} processes were at work on {os.cpu_count()} processors (load average of a minute)"


def sync_in_words(folder: Path) -> str:
    """Say how long the disk takes to answer a sync. Leaves a small file in `folder`."""
    times = []
    with (folder / "synced").open("wb", buffering=0) as file:
        for _ in range(50):
            file.write(b"x" * 4096)
            times.append(timed_ms(lambda: os.fsync(file.fileno())))
    return (
        f"a sync of 4 KB takes {statistics.median(times):.2f} ms here; where that is fast, as on a virtual disk, times of durable writes "
        "are lower bounds, and so is the ratio of what syncs more often than its floor"
    )
