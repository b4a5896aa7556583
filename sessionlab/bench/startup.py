"""What a person waits for: the command line's answer, and the whole report."""

from __future__ import annotations

import sys
from pathlib import Path

from sessionlab.bench.measure import Measurement, command_ms


def measure(folder: Path, store: Path, *, runs: int = 9) -> list[Measurement]:
    """Measure the command line's start, `info` on the store file `store`, and the report of the sample, written into `folder`."""
    program = [sys.executable, "-m", "sessionlab"]
    times = command_ms(
        {
            "bare": [sys.executable, "-c", "pass"],
            "help": [*program, "--help"],
            "info": [*program, "info", str(store)],
        },
        runs=runs,
    )
    report = command_ms({"report": [*program, "report", "growth", "--sample", "-o", str(folder / "growth.html")]}, runs=1)["report"]
    bare = f"bare Python starts in {times['bare']:.0f} ms"
    size = f"{store.stat().st_size / 1e6:.1f} MB store; {bare}"
    return [
        Measurement(store="command line", operation="sessionlab --help", median_ms=times["help"], bound=90, conditions=bare),
        Measurement(store="command line", operation="sessionlab info STORE", median_ms=times["info"], bound=150, conditions=size),
        Measurement(
            store="report", operation="sessionlab report growth --sample", median_ms=report, bound=20_000, conditions="set up already"
        ),
    ]
