"""Listing a large `sessions.json`: against a bare typed pass over the mapped file, and against `json.loads`."""

from __future__ import annotations

import json
import mmap
from pathlib import Path
from typing import Final

import msgspec

from sessionlab.bench.measure import Measurement, medians_ms, peak_bytes
from sessionlab.stores.json_file import JSONFileStore
from sessionlab.synth import write_state


class FloorIndex(msgspec.Struct, gc=False, rename="camel"):
    """The twenty fields that a listing shows, as simply typed as they come."""

    session_id: str | None = None
    updated_at: int | None = None
    session_started_at: int | None = None
    started_at: int | None = None
    ended_at: int | None = None
    status: str | None = None
    chat_type: str | None = None
    channel: str | None = None
    last_channel: str | None = None
    last_thread_id: str | int | None = None
    label: str | None = None
    display_name: str | None = None
    model_provider: str | None = None
    model: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    total_tokens: int | None = None
    context_tokens: int | None = None
    compaction_count: int | None = None
    spawned_by: str | None = None
    session_file: str | None = None


FLOOR_INDEX: Final = msgspec.json.Decoder(dict[str, FloorIndex])
_SETUP: Final = "from pathlib import Path; from sessionlab.stores.json_file import JSONFileStore"
_STATEMENT: Final = "kept = list(JSONFileStore.open(Path(sys.argv[1])).summaries())"


def measure(folder: Path, *, sessions: int = 1000, entry_bytes: int = 42_000, runs: int = 9) -> list[Measurement]:
    """Measure listing one store of `sessions` entries; `folder` is empty and holds the store afterwards."""
    write_state(folder, seed=1, sessions=sessions, entry_bytes=entry_bytes, agents=("main",), transcripts=False, flaws=False)
    path = folder / "agents" / "main" / "sessions" / "sessions.json"
    size = path.stat().st_size
    times = medians_ms({"summaries": lambda: _summaries(path), "floor": lambda: _floor(path), "loads": lambda: _loads(path)}, runs=runs)
    conditions = f"{sessions:,} sessions, {size / 1e6:.1f} MB"
    name = "list sessions.json"
    return [
        Measurement(name, "summaries()", times["summaries"], "ms", times["floor"], "mmap + one msgspec pass", 1.3, conditions),
        Measurement(name, "summaries()", times["summaries"], "ms", times["loads"], "json.loads", 0.2, conditions),
        Measurement(
            name,
            "summaries(), peak memory",
            peak_bytes(_SETUP, _STATEMENT, arguments=[str(path)]) / 1e6,
            "MB",
            size / 1e6,
            "the file's size",
            1.2,
            conditions,
        ),
    ]


def _summaries(path: Path) -> object:
    with JSONFileStore.open(path) as store:
        return list(store.summaries())


def _floor(path: Path) -> object:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return FLOOR_INDEX.decode(data)


def _loads(path: Path) -> object:
    return json.loads(path.read_bytes())
