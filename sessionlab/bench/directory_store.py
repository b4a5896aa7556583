"""The directory store, against the same system calls without a store around them."""

from __future__ import annotations

import itertools
import os
import time
from pathlib import Path

from sessionlab import codec
from sessionlab.bench import floors, memory
from sessionlab.bench.content import VARIANTS, Content, changing_entries, changing_fields, hot_fields
from sessionlab.bench.measure import Measurement, medians_ms
from sessionlab.bench.scope import NOW_MS, Scope
from sessionlab.entry import Entry
from sessionlab.stores.directory import DirectoryStore
from sessionlab.stores.directory_reading import SETTLED_NS


def measure(folder: Path, content: Content, scope: Scope) -> list[Measurement]:
    """Measure a directory store of all sessions in `folder`, which is empty."""
    path = folder / "sessions.d"
    store = DirectoryStore(path)
    store.save(content.entries)
    if not scope.is_quick:
        time.sleep(SETTLED_NS / 1e9)  # a listing remembers no file that is younger
    times = _listing_times(store, path, scope) | _reading_times(store, path, content, scope) | _writing_times(store, folder, content, scope)
    store.close()

    def row(
        operation: str, mine: str, against: str | None, floor: str, bound: float | None, *, durability: str | None = None
    ) -> Measurement:
        return Measurement(
            store="directory",
            operation=operation,
            median_ms=times[mine],
            floor_ms=None if against is None else times[against],
            floor=floor,
            bound=bound,
            sessions=len(content.entries),
            durability=durability,
            conditions=content.in_words,
        )

    write = "write + fsync + rename + fsync folder + stamp"
    read = "open + read + strict decode of one file"
    loosely = "open + read + msgspec decode, not strict"
    return [
        row("put one, every value changed", "put", "write", write, 1.6, durability="commit"),
        row("update one, a small field changed", "update", "write", write, 1.6, durability="commit"),
        row("touch: updatedAt and token counters", "touch", "write", write, None, durability="commit"),
        row("get one", "get", "read", read, 1.3),
        row("updated_at", "updated_at", "read", read, 1.3),
        row("(for scale: get one, against a reader that is not strict)", "get", "read loosely", loosely, None),
        row("get one that is at work", "get again", "read again", loosely, None),
        row("list summaries", "list", None, "", None),
        row("list summaries, opened anew", "list anew", "list files", "open + read + one msgspec pass, each file", None),
        memory.of_listing("directory", path, sessions=len(content.entries), is_kept=True, bound=None, conditions=content.in_words),
        memory.of_program("directory", path, content),
    ]


def _listing_times(store: DirectoryStore, path: Path, scope: Scope) -> dict[str, float]:
    list(store.summaries())
    return medians_ms(
        {
            "list files": lambda: floors.list_files(path / "entries"),
            "list anew": lambda: list(DirectoryStore(path).summaries()),
            "list": lambda: list(store.summaries()),
        },
        runs=scope.slow_rounds,
    )


def _reading_times(store: DirectoryStore, path: Path, content: Content, scope: Scope) -> dict[str, float]:
    """Read every session in turn, and one again and again. The store remembers some twenty that it has read strictly."""
    files = sorted((path / "entries").glob("*.json"))
    mine, theirs, stamps, key = itertools.cycle(content.entries), itertools.cycle(files), itertools.cycle(content.entries), content.middle
    loose = itertools.cycle(files)
    own = next(file for file in files if key == codec.decode_object(file.read_bytes(), path=file)["sessionKey"])
    times = medians_ms({"read again": lambda: floors.decode_file(own), "get again": lambda: store.get(key)}, runs=scope.fast_rounds)
    return times | medians_ms(
        {
            "read loosely": lambda: floors.decode_file(next(loose)),
            "read": lambda: floors.decode_file_strictly(next(theirs)),
            "get": lambda: store.get(next(mine)),
            "updated_at": lambda: store.updated_at(next(stamps)),
        },
        runs=scope.fast_rounds,
    )


def _writing_times(store: DirectoryStore, folder: Path, content: Content, scope: Scope) -> dict[str, float]:
    key, bare, stamp = content.middle, folder / "bare.json", folder / "stamp"
    whole, change, hot = changing_entries(content.entries[key]), changing_fields("run"), hot_fields()
    texts = itertools.cycle([_document(key, next(whole)) for _ in range(VARIANTS)])
    stamp_file = os.open(stamp, os.O_RDWR | os.O_CREAT, 0o600)

    def write() -> None:
        floors.replace(bare, next(texts))
        os.pwrite(stamp_file, time.time_ns().to_bytes(8, "big"), 0)

    def touch() -> None:
        fields, now_ms = next(hot)
        store.touch(key, fields, now_ms=now_ms)

    times = medians_ms(
        {
            "write": write,
            "put": lambda: store.put(key, next(whole)),
            "update": lambda: store.update(key, lambda _entry: next(change), now_ms=NOW_MS),
            "touch": touch,
        },
        runs=scope.fast_rounds,
    )
    os.close(stamp_file)
    return times


def _document(key: str, entry: Entry) -> bytes:
    return codec.encode_indented({"sessionKey": key, "entry": entry})
