"""`python -m sessionlab.bench.caching`: one process that loads a `sessions.json` twice, and what it keeps of it (E.37, E.38)."""

from __future__ import annotations

import gc
import logging
import os
import sys
import time
import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal, get_args

import click
import msgspec

from sessionlab.stores.json_cache import LIMIT_VARIABLE
from sessionlab.stores.json_store import JSONStore
from sessionlab.stores.snapshot import Snapshot

Mode = Literal["full-cache", "serialized-retained", "no-cache"]
MODES: Final[tuple[Mode, ...]] = get_args(Mode)
_EVERYTHING: Final = str(1 << 40)


class Loading(msgspec.Struct, frozen=True, kw_only=True):
    """What a process is to do.

    Attributes:
        path: The file.
        mode: "full-cache": the store keeps the file's state; "serialized-retained": the caller keeps what it has loaded, which is the text
            of every session; "no-cache": nobody keeps anything.
        is_traced: Whether what is kept is measured instead of the time: that takes time itself.
    """

    path: str
    mode: Mode
    is_traced: bool


class Loaded(msgspec.Struct, frozen=True):
    """What it saw: the two loads in ms, and by how many KB of 2**10 bytes its own memory had grown after them."""

    first_load_ms: float
    second_load_ms: float
    retained_kb: float | None


def load(task: Loading) -> Loaded:
    """Do it."""
    os.environ[LIMIT_VARIABLE] = _EVERYTHING if task.mode == "full-cache" else "0"
    store = JSONStore(Path(task.path))
    if task.is_traced:
        gc.collect()
        tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0] if task.is_traced else 0
    times: list[float] = []
    kept: list[Snapshot] = []
    for _ in range(2):
        start = time.perf_counter()
        snapshot = store.load()
        times.append((time.perf_counter() - start) * 1000)
        if task.mode == "serialized-retained":
            kept[:] = [snapshot]
        del snapshot
    gc.collect()
    retained = (tracemalloc.get_traced_memory()[0] - before) / 1024 if task.is_traced else None
    return Loaded(times[0], times[1], retained)


def main(arguments: Sequence[str]) -> None:
    """Be that process."""
    logging.disable(logging.WARNING)
    click.echo(msgspec.json.encode(load(msgspec.json.decode(arguments[0], type=Loading))))


if __name__ == "__main__":
    main(sys.argv[1:])
