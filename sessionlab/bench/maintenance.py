"""Planning and carrying out a maintenance, against the bare deletes and renames; and what a save pays that finds nothing to remove."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Final

from sessionlab.bench import content as made
from sessionlab.bench.content import Content, make_content
from sessionlab.bench.measure import Measurement, medians_ms, timed_ms
from sessionlab.bench.scope import NOW_MS, STORES, Scope, StoreKind
from sessionlab.bench.steps import Step, measured
from sessionlab.bench.stores import Findings, Progress
from sessionlab.bench.surroundings import QUICK, load_in_words, sync_in_words
from sessionlab.entry import SessionSummary
from sessionlab.maintenance.apply import apply_plan
from sessionlab.maintenance.files import SessionFiles
from sessionlab.maintenance.on_save import maintain_on_save
from sessionlab.maintenance.plan import plan_maintenance
from sessionlab.maintenance.planning import plan_store
from sessionlab.maintenance.policy import Policy
from sessionlab.settings import MaintenanceSettings
from sessionlab.stores.json_store import JSONStore
from sessionlab.stores.location import StoreLocation, open_for_writing_at

_NAMES: Final[dict[StoreKind, str]] = {"json": "sessions.json", "sqlite": "sessions.sqlite", "directory": "sessions.d"}
_LIMITS_MS: Final = {100_000: 500, 1_000_000: 5_000}
_APPLIED: Final = 10_000
Work = Callable[[StoreLocation, list[str], list[Path]], Callable[[], object]]
"""Gets a store, the keys of its older half and their transcripts; returns what is to be timed."""

_TRUTHS: Final = (
    "a plan is made from summaries that are there already; nothing of a store is read",
    "the bare deletes keep nothing: a maintenance reads what it removes, and forces it to disk elsewhere first",
)


def measure(folder: Path, scope: Scope, *, content: Content | None = None, on_progress: Progress | None = None) -> Findings:
    """Measure planning, carrying out, and saving with maintenance.

    Args:
        folder: Empty; the stores are made in it.
        scope: How much; all kinds of stores are measured, whatever it says.
        content: What the store that is saved is to hold; made when not given.
        on_progress: Called with (what, done, total).
    """
    load = load_in_words()
    content = content or make_content(folder / "content", sessions=scope.sessions)
    rows = measured(_steps(content, scope), folder, on_progress=on_progress)
    conditions = [*_TRUTHS, load, sync_in_words(folder)]
    if scope.is_quick:
        conditions.insert(0, QUICK)
    return Findings(rows, (), tuple(conditions))


def _steps(content: Content, scope: Scope) -> Iterator[Step]:
    for size in (1_000,) if scope.is_quick else (100_000, 1_000_000) if scope.is_large else (100_000,):
        yield f"plan of {size:,} sessions", partial(_planned, number=size)
    for kind in STORES:
        yield f"maintain: {kind}", partial(_applied, kind=kind, number=200 if scope.is_quick else _APPLIED)
    yield "save with maintenance", partial(_saved, content=content, scope=scope)


def _planned(_folder: Path, *, number: int) -> list[Measurement]:
    """Measure a plan from summaries; half of the sessions are beyond the cap."""
    held = [
        SessionSummary(key=f"agent:main:cron:job-{one % 97}:run:{one:08d}", session_id=f"s{one}", updated_ms=NOW_MS - one * 1000)
        for one in range(number)
    ]
    files = SessionFiles(Path("nowhere"), {}, (), (), 0)
    rules = _rules(number // 2)
    median = medians_ms({"plan": lambda: plan_maintenance(held, rules, now_ms=NOW_MS, files=files, store_bytes=700 * number)}, runs=3)[
        "plan"
    ]
    row = Measurement(
        store="maintenance", operation="plan, half beyond the cap", median_ms=median, limit_ms=_LIMITS_MS.get(number), sessions=number
    )
    return [row]


def _applied(folder: Path, *, kind: StoreKind, number: int) -> list[Measurement]:
    """Measure a maintenance that removes half of the sessions and archives their transcripts, against doing it without a thought."""
    ways: dict[str, Work] = {"mine": _maintained, "bare": _bare, "copied": _copied}
    times = [[_once(folder / name, kind, number, work) for name, work in ways.items()] for _ in range(3)]
    mine, bare, copied = (sorted(column)[1] for column in zip(*times, strict=True))
    row = partial(
        Measurement,
        store=kind,
        median_ms=mine,
        sessions=number,
        durability="commit",
        conditions=f"{number:,} sessions of 0.7 KB with a transcript each; planned already",
    )
    return [
        row(operation="maintain: half removed, their transcripts renamed", floor_ms=bare, floor="bare deletes and renames", bound=1.5),
        row(operation="the same", floor_ms=copied, floor="bare deletes and renames, what goes copied to a file first"),
    ]


def _once(folder: Path, kind: StoreKind, number: int, work: Work) -> float:
    """Make a store and transcripts, and return how long the work takes."""
    shutil.rmtree(folder, ignore_errors=True)
    place = folder / "sessions"
    place.mkdir(parents=True)
    location = StoreLocation("main", kind, place / _NAMES[kind], place)
    entries = made.small_entries(number)
    with open_for_writing_at(location, durability="commit", timeout_ms=30_000) as store:
        store.save(entries)
    oldest = sorted(entries, key=lambda key: (entries[key]["updatedAt"], key))[: number // 2]
    for entry in entries.values():
        (place / f"{entry['sessionId']}.jsonl").write_bytes(b'{"type": "session"}\n')
    os.sync()
    transcripts = [place / f"{entries[key]['sessionId']}.jsonl" for key in oldest]
    return timed_ms(work(location, oldest, transcripts))


def _maintained(location: StoreLocation, oldest: list[str], transcripts: list[Path]) -> Callable[[], object]:
    plan = plan_store(location, _rules(len(oldest)), now_ms=NOW_MS)

    def apply() -> None:
        report = apply_plan(plan, location, root=location.path.parent.parent)
        if (sum(report.removed.values()), report.renamed) != (len(oldest), len(transcripts)):
            raise AssertionError(report)

    return apply


def _bare(location: StoreLocation, oldest: list[str], transcripts: list[Path]) -> Callable[[], object]:
    return lambda: _BARE[location.kind](location, oldest, transcripts)


def _copied(location: StoreLocation, oldest: list[str], transcripts: list[Path]) -> Callable[[], object]:
    def copy() -> None:
        with (location.sessions_dir.parent / "removed").open("wb") as file:
            file.writelines(_READ[location.kind](location, oldest))
            file.flush()
            os.fsync(file.fileno())
        _BARE[location.kind](location, oldest, transcripts)

    return copy


def _bare_renames(transcripts: list[Path]) -> None:
    for path in transcripts:
        path.rename(f"{path}.deleted.2026-11-20T00-00-00.000Z")
    _sync(transcripts[0].parent)


def _read_sqlite(location: StoreLocation, oldest: list[str]) -> Iterator[bytes]:
    with contextlib.closing(sqlite3.connect(location.path)) as connection:
        query = "SELECT CAST(entry_json AS BLOB) FROM documents JOIN sessions USING (id) WHERE session_key = ?"
        for key in oldest:
            yield connection.execute(query, (key,)).fetchone()[0]


def _read_directory(location: StoreLocation, oldest: list[str]) -> Iterator[bytes]:
    from sessionlab.stores.directory_names import encode

    return ((location.path / "entries" / encode(key)).read_bytes() for key in oldest)


def _read_json(location: StoreLocation, oldest: list[str]) -> Iterator[bytes]:
    import msgspec

    members = msgspec.json.decode(location.path.read_bytes(), type=dict[str, msgspec.Raw])
    return (bytes(members[key]) for key in oldest)


def _bare_sqlite(location: StoreLocation, oldest: list[str], transcripts: list[Path]) -> None:
    connection = sqlite3.connect(location.path, isolation_level=None)
    for pragma in ("synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany("DELETE FROM sessions WHERE session_key = ?", [(key,) for key in oldest])
    connection.execute("COMMIT")
    connection.close()
    _bare_renames(transcripts)


def _bare_directory(location: StoreLocation, oldest: list[str], transcripts: list[Path]) -> None:
    from sessionlab.stores.directory_names import encode

    folder = location.path / "entries"
    for key in oldest:
        (folder / encode(key)).unlink()
    _sync(folder)
    _bare_renames(transcripts)


def _bare_json(location: StoreLocation, oldest: list[str], transcripts: list[Path]) -> None:
    """Do what a rewrite of the file without those members takes."""
    import msgspec

    gone = set(oldest)
    members = msgspec.json.decode(location.path.read_bytes(), type=dict[str, msgspec.Raw])
    data = msgspec.json.format(msgspec.json.encode({key: raw for key, raw in members.items() if key not in gone}), indent=2)
    temporary = location.path.with_suffix(".tmp")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(location.path)
    _sync(location.path.parent)
    _bare_renames(transcripts)


_READ: Final[dict[str, Callable[[StoreLocation, list[str]], Iterator[bytes]]]] = {
    "json": _read_json,
    "sqlite": _read_sqlite,
    "directory": _read_directory,
}
_BARE: Final[dict[str, Callable[[StoreLocation, list[str], list[Path]], None]]] = {
    "json": _bare_json,
    "sqlite": _bare_sqlite,
    "directory": _bare_directory,
}


def _saved(folder: Path, *, content: Content, scope: Scope) -> list[Measurement]:
    """Measure updates of a large `sessions.json` that is maintained with every save, and of one that is not."""
    stores: dict[str, JSONStore] = {}
    for name in ("plain", "maintained"):
        (folder / name).mkdir(parents=True)
        stores[name] = JSONStore(folder / name / "sessions.json")
        stores[name].save(content.entries)
    location = StoreLocation("main", "json", stores["maintained"].path, stores["maintained"].path.parent)
    limits = MaintenanceSettings(
        mode="enforce", prune_after_ms=10 * 365 * 86_400_000, max_entries=2 * len(content.entries), rotate_bytes=1 << 40
    )
    maintain_on_save(stores["maintained"], location, Policy(limits=limits), clock=lambda: NOW_MS, root=folder)
    fields: dict[str, Iterator[dict[str, object]]] = {name: made.changing_fields(name) for name in stores}

    def update(name: str) -> Callable[[], object]:
        store, changing = stores[name], fields[name]
        base = store.load()
        return lambda: store.transform(lambda draft: draft[content.middle].update(next(changing)), base=base)

    times = medians_ms({name: update(name) for name in stores}, runs=scope.slow_rounds)
    row = Measurement(
        store="json",
        operation="save with maintenance that removes nothing",
        median_ms=times["maintained"],
        floor_ms=times["plain"],
        floor="the same save without",
        bound=1.05,
        sessions=len(content.entries),
        durability="commit",
        conditions=content.in_words,
    )
    return [row]


def _rules(most: int) -> Policy:
    return Policy(limits=MaintenanceSettings(mode="enforce", prune_after_ms=10 * 365 * 86_400_000, max_entries=most))


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)
