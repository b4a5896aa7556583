"""The SQLite store, against a bare connection of the same settings to the same tables."""

from __future__ import annotations

import itertools
import sqlite3
from pathlib import Path

import msgspec

from sessionlab.bench import floors, memory
from sessionlab.bench.content import VARIANTS, Content, changing_entries, changing_fields, hot_fields
from sessionlab.bench.measure import Measurement, medians_ms
from sessionlab.bench.scope import NOW_MS, Scope
from sessionlab.stores.sqlite import SQLiteStore
from sessionlab.stores.sqlite_opening import Durability
from sessionlab.stores.sqlite_schema import SELECT_SUMMARIES


def measure(folder: Path, content: Content, scope: Scope) -> list[Measurement]:
    """Measure SQLite stores of all sessions in `folder`, which is empty."""
    rows = _reading(folder / "reading", content, scope)
    for durability in floors.SYNCHRONOUS:
        rows += _writing(folder / durability, content, scope, durability)
    return rows


def _writing(folder: Path, content: Content, scope: Scope, durability: Durability) -> list[Measurement]:
    folder.mkdir()
    pragma, key = floors.SYNCHRONOUS[durability], content.middle
    store = SQLiteStore(folder / "sessions.sqlite", durability=durability)
    store.save(content.entries)
    bare = floors.BareDatabase(folder / "bare.sqlite", content.entries, synchronous=pragma)
    whole, change, hot = changing_entries(content.entries[key]), changing_fields("run"), hot_fields()
    patches = changing_fields("patch")
    bare_hot = hot_fields()
    ready = [floors.Encoded.of(key, next(whole)) for _ in range(VARIANTS)]
    rows, documents = itertools.cycle(ready), itertools.cycle(ready)

    def patch() -> None:
        store.touch(key, next(patches), now_ms=NOW_MS)

    def touch() -> None:
        fields, now_ms = next(hot)
        store.touch(key, fields, now_ms=now_ms)

    times = medians_ms(
        {
            "document": lambda: bare.update_document(next(documents)),
            "upsert": lambda: bare.upsert(key, next(rows)),
            "put": lambda: store.put(key, next(whole)),
            "update": lambda: store.update(key, lambda _entry: next(change), now_ms=NOW_MS),
            "hot": lambda: bare.update_hot(key, *next(bare_hot)),
            "patch": patch,
            "touch": touch,
        },
        runs=scope.fast_rounds,
    )
    bare.close()
    store.close()

    def row(operation: str, mine: str, bound: float | None) -> Measurement:
        return Measurement(
            store="sqlite",
            operation=operation,
            median_ms=times[mine],
            floor_ms=times["upsert"],
            floor=f"bare upsert, {pragma}",
            bound=bound,
            sessions=len(content.entries),
            durability=durability,
            conditions=content.in_words,
        )

    return [
        row("put one, every value changed", "put", 1.3),
        row("update one, a small field changed", "update", 1.3),
        row("update one, the fields known beforehand", "patch", 1.3),
        row("touch: updatedAt and token counters", "touch", 0.15 if durability == "process" else None),
        row("(for scale: a bare update of the document alone)", "document", None),
        row("(for scale: a bare update of those columns alone)", "hot", None),
    ]


def _reading(folder: Path, content: Content, scope: Scope) -> list[Measurement]:
    folder.mkdir()
    file = folder / "sessions.sqlite"
    store = SQLiteStore(file)
    store.save(content.entries)
    bare = floors.BareDatabase(folder / "bare.sqlite", content.entries, synchronous="FULL")
    index = sqlite3.connect(file)
    mine, theirs = itertools.cycle(content.entries), itertools.cycle(content.entries)

    def list_anew() -> object:
        fresh = SQLiteStore(file)
        rows = list(fresh.summaries())
        fresh.close()
        return rows

    def fetch_anew() -> object:
        fresh = sqlite3.connect(file)
        rows = fresh.execute(SELECT_SUMMARIES).fetchall()
        fresh.close()
        return rows

    times = medians_ms(
        {"select": lambda: bare.select(next(theirs)), "raw": lambda: store.raw(next(mine))},
        runs=scope.fast_rounds,
    )
    times |= medians_ms(
        {"decoded": lambda: msgspec.json.decode(bare.select(next(theirs))), "get": lambda: store.get(next(mine))},
        runs=scope.fast_rounds,
    )
    times |= medians_ms(
        {
            "fetch anew": fetch_anew,
            "list anew": list_anew,
            "fetch": lambda: index.execute(SELECT_SUMMARIES).fetchall(),
            "list": lambda: list(store.summaries()),
        },
        runs=3 * scope.slow_rounds,
    )
    for database in (store, bare, index):
        database.close()

    def row(operation: str, name: str, against: str, floor: str, bound: float | None) -> Measurement:
        return Measurement(
            store="sqlite",
            operation=operation,
            median_ms=times[name],
            floor_ms=times[against],
            floor=floor,
            bound=bound,
            sessions=len(content.entries),
            conditions=content.in_words,
        )

    return [
        memory.of_listing("sqlite", file, sessions=len(content.entries), is_kept=True, bound=8, conditions=content.in_words),
        memory.of_program("sqlite", file, content),
        row("get one, not decoded", "raw", "select", "prepared select of the document", 1.5),
        row("get one", "get", "decoded", "prepared select + msgspec decode", None),
        row("list summaries", "list", "fetch", "bare fetchall of the same columns", 1.25),
        row("list summaries, opened anew", "list anew", "fetch anew", "connect + bare fetchall of the same columns", None),
    ]
