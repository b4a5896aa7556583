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
        Measurement("command line", "sessionlab --help", times["help"], "ms", limit=90, conditions=bare),
        Measurement("command line", "sessionlab info STORE", times["info"], "ms", limit=150, conditions=size),
        Measurement("report", "sessionlab report growth --sample", report / 1000, "s", limit=20, conditions="set up already"),
    ]
