"""Loading many transcripts into the mirror, loading again, and asking the mirror every question of the report."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Final

from sessionlab import transcripts
from sessionlab.bench.measure import Measurement, medians_ms
from sessionlab.lab import queries
from sessionlab.lab.connection import connect
from sessionlab.lab.mirror import load
from sessionlab.synth import write_state

_NOW_MS: Final = 1795132800000
_VALUES: Final[dict[str, object]] = {"now_ms": _NOW_MS, "stale_days": 30, "limit": 15}


def measure(folder: Path, *, sessions: int = 10_000, transcript_bytes: int = 86_000, runs: int = 3) -> list[Measurement]:
    """Measure a mirror of `sessions` transcripts; `folder` is empty and holds state and mirror afterwards."""
    state = folder / "state"
    write_state(state, seed=1, sessions=sessions, transcript_bytes=transcript_bytes, flaws=False)
    files = sorted(state.glob("agents/*/sessions/*.jsonl*"))
    size = sum(file.stat().st_size for file in files)
    # The files were just written: a mirror made within the clock's tick would distrust them, as it should.
    time.sleep(0.2)
    made = folder / "mirror.duckdb"

    def first_load() -> object:
        made.unlink(missing_ok=True)
        return load(state, made, now_ms=_NOW_MS)

    times = medians_ms({"load": first_load, "floor": lambda: _floor(files)}, runs=runs)
    again = medians_ms({"again": lambda: load(state, made, now_ms=_NOW_MS)}, runs=max(runs, 5))["again"]
    with contextlib.closing(connect(made)) as con:
        ((events,),) = con.execute("SELECT count(*) FROM events").fetchall()
    conditions = f"{len(files):,} transcripts, {size / 1e6:.0f} MB, {events:,} events"
    return [
        Measurement(
            store="mirror",
            operation="first load of transcripts",
            median_ms=times["load"],
            floor_ms=times["floor"],
            floor="read all + one typed pass a line",
            bound=2.0,
            sessions=sessions,
            conditions=conditions,
        ),
        Measurement(
            store="mirror", operation="load again, nothing changed", median_ms=again, bound=200, sessions=sessions, conditions=conditions
        ),
        *_queries(made, f"{events:,} events, {len(files):,} transcripts", sessions, runs=max(runs, 5)),
    ]


def _floor(files: list[Path]) -> int:
    """Read every file and decode every line as the loader does, keeping nothing."""
    decode = transcripts.EVENT_DECODER.decode
    count = 0
    for file in files:
        for line in file.read_bytes().split(b"\n"):
            if line:
                decode(line)
                count += 1
    return count


def _queries(mirror: Path, conditions: str, sessions: int, *, runs: int) -> list[Measurement]:
    """Time every query of the report, its DataFrame included."""
    rows = []
    with contextlib.closing(connect(mirror)) as con:
        for name in queries.names():
            values = {param.name: _VALUES[param.name] for param in queries.describe(name).params if param.name in _VALUES}
            queries.run(con, name, **values)
            median = medians_ms({name: lambda name=name, values=values: queries.run(con, name, **values)}, runs=runs)[name]  # type: ignore[misc]
            row = Measurement(store="query", operation=name, median_ms=median, bound=150, sessions=sessions, conditions=conditions)
            rows.append(row)
    return rows
