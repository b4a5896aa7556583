"""The JSON store: its floor is the file itself, read once or written once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from sessionlab.bench import floors
from sessionlab.bench.content import Content, changing_fields
from sessionlab.bench.measure import Measurement, medians_ms, peak_mb
from sessionlab.bench.scope import NOW_MS, Scope
from sessionlab.stores.json_store import JSONStore

_SETUP: Final = "from pathlib import Path; from sessionlab.stores.json_store import JSONStore; store = JSONStore(Path(sys.argv[1]))"
_LIST: Final = "kept = list(store.summaries())"
_UPDATE: Final = "store.update(sys.argv[2], lambda entry: {'label': 'peak'}, now_ms=1)"


def measure(folder: Path, content: Content, scope: Scope) -> list[Measurement]:
    """Measure a JSON store of all sessions in `folder`, which is empty."""
    path, scratch, other = folder / "sessions.json", folder / "floor.json", folder / "other.json"
    data, key, change = content.data, content.middle, changing_fields("run")
    path.write_bytes(data)
    other.write_bytes(data)
    warm = JSONStore(other)
    base = warm.load()

    def update_warm() -> None:
        warm.transform(lambda draft: draft[key].update(next(change)), base=base)

    times = medians_ms(
        {
            "pass": lambda: floors.one_pass(path),
            "list": lambda: list(JSONStore(path).summaries()),
            "get": lambda: JSONStore(path).get(key),
            "write": lambda: floors.replace(scratch, data),
            "warm": update_warm,
            "cold": lambda: JSONStore(path).update(key, lambda _entry: next(change), now_ms=NOW_MS),
            "compare": lambda: scratch.read_bytes() == data,
            "no-op": lambda: warm.save(base),
            "loads": lambda: json.loads(scratch.read_bytes()),
        },
        runs=scope.slow_rounds,
    )
    file_mb = len(data) / 1e6
    arguments = [str(path), key]

    def row(operation: str, mine: str, against: str, floor: str, bound: float, *, durability: str | None = None) -> Measurement:
        return Measurement(
            store="json",
            operation=operation,
            median_ms=times[mine],
            floor_ms=times[against],
            floor=floor,
            bound=bound,
            sessions=len(content.entries),
            durability=durability,
            conditions=content.in_words,
        )

    def peak(operation: str, statement: str, times_file: float, *, durability: str | None = None) -> Measurement:
        return Measurement(
            store="json",
            operation=operation,
            peak_mb=peak_mb(_SETUP, statement, arguments=arguments),
            bound=times_file * file_mb,
            floor=f"{times_file:g} x the file's {file_mb:.1f} MB",
            sessions=len(content.entries),
            durability=durability,
            conditions=content.in_words,
        )

    one_pass, write = "mmap + one msgspec pass", "write all + fsync + rename + fsync folder"
    return [
        row("list summaries", "list", "pass", one_pass, 1.3),
        row("list summaries, against json.loads", "list", "loads", "json.loads of the file", 0.2),
        row("get one, cold", "get", "pass", one_pass, 1.3),
        row("update one, warm (from a loaded snapshot)", "warm", "write", write, 1.3, durability="commit"),
        row("update one, cold", "cold", "write", write, 2.5, durability="commit"),
        row("save without a change", "no-op", "compare", "read and compare the file", 1.2, durability="commit"),
        peak("list summaries: peak memory", _LIST, 1.2),
        peak("update one, cold: peak memory", _UPDATE, 2.2, durability="commit"),
    ]
