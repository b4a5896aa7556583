"""Parallel sessions and their memory, each against the least that the same thing can cost: a look into a dict, a bare insert or delete."""

from __future__ import annotations

import itertools
import statistics
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from sessionlab.bench import parallel_content as made
from sessionlab.bench.measure import Measurement, medians_ms, timed_ms
from sessionlab.bench.parallel_content import BareMemory, filled_memory, memories
from sessionlab.bench.parallel_many import many_processes
from sessionlab.bench.scope import NOW_MS, Scope
from sessionlab.bench.steps import Step, measured
from sessionlab.bench.stores import Findings, Progress
from sessionlab.bench.surroundings import QUICK, load_in_words, sync_in_words
from sessionlab.parallel import Memory, SessionManager, SharedMemory
from sessionlab.parallel.database import Database
from sessionlab.parallel.records import MemoryType
from sessionlab.parallel.remembering import knowledge_of
from sessionlab.parallel.search import Searching

_MEMORIES: Final = 100_000
_LIVE_MS, _BRIEFING_MS, _SEARCH_MS, _BOUND = 0.02, 2, 10, 1.5
_CALLS: Final = 100
"""Of what takes microseconds, in one measurement."""
_TRUTHS: Final = (
    "bare: the tables and indexes of openclaw#22962 as published, on a plain connection: WAL, synchronous=FULL, a transaction for each",
    "floor and figure are interleaved in one run; other work on the machine moves both, so ratios count",
    f"a third of all memories is in one channel, the rest spread over {made.CHANNELS - 1}; a tenth is promoted to knowledge",
)
_QUESTIONS: Final[dict[str, str]] = {
    "a text that all have": made.COMMON,
    "a text that some have": made.SOME,
    "a text that one has": made.RARE,
    "a text that none has": made.MISSING,
}
_SHORT: Final[dict[str, str]] = {"two letters that one has": made.PAIR, "two letters that none has": made.MISSING_PAIR}
_ASKED: Final[dict[str, tuple[dict[str, str], list[MemoryType] | None]]] = {
    "": ({}, None),
    ", in one channel": ({"channel_id": made.CHANNEL}, None),
    ", in the busy channel, decisions": ({"channel_id": made.BUSY_CHANNEL}, ["decision"]),
}


def measure(folder: Path, scope: Scope, *, on_progress: Progress | None = None) -> Findings:
    """Measure sessions, memories, briefings, searches, and processes that save at once.

    Args:
        folder: Empty; the databases are made in it. 0.2 GB.
        scope: How much.
        on_progress: Called with (what, done, total).
    """
    load = load_in_words()
    rows = measured(_steps(scope), folder, on_progress=on_progress)
    conditions = [*_TRUTHS, load, sync_in_words(folder)]
    if scope.is_quick:
        conditions.insert(0, QUICK)
    return Findings(rows, (), tuple(conditions))


def _steps(scope: Scope) -> Iterator[Step]:
    number = 500 if scope.is_quick else _MEMORIES
    yield "sessions", partial(_sessions, scope=scope)
    yield "saving", partial(_saving, scope=scope, number=number)
    yield "briefing and searching", partial(_reading, scope=scope, number=number)
    yield "many processes", partial(many_processes, scope=scope, bound=_BOUND)


def _sessions(folder: Path, *, scope: Scope) -> list[Measurement]:
    """Measure what a message costs whose session is awake, and what sleeping and waking cost."""
    runs, found = scope.fast_rounds, []
    with (
        closing(SharedMemory(folder / "memory.db")) as memory,
        closing(SharedMemory(folder / "shared.db")) as shared,
        SessionManager(memory=memory) as one,
        SessionManager(memory=shared, scope="database") as sharing,
        closing(BareMemory(folder / "bare.db")) as bare,
        closing(BareMemory(folder / "bare2.db")) as another,  # whose log is as new: a sync costs half as much when the log has been there
    ):
        managers = {"": one, ", places shared by processes": sharing}
        live = _live_ms(managers, runs=runs)
        row = partial(Measurement, store="session", floor_ms=live["bare"], floor="a look into a dict under an RLock", limit_ms=_LIVE_MS)
        found = [row(operation=f"get or create, awake already{name}", median_ms=live[name]) for name in managers]
        for (name, manager), floor in zip(managers.items(), (bare, another), strict=True):
            found += _sleeping(name, manager, floor, runs=runs)
    return found


def _live_ms(managers: dict[str, SessionManager], *, runs: int) -> dict[str, float]:
    """Return what a look at a session costs that is awake; "bare" for the floor."""
    known, lock = {made.CHANNEL: made.CHANNEL}, threading.RLock()

    def bare() -> str:
        with lock:
            return known[made.CHANNEL]

    def often(function: Callable[[], object]) -> Callable[[], None]:
        def call() -> None:
            for _ in range(_CALLS):
                function()

        return call

    ways: dict[str, Callable[[], object]] = {"bare": bare}
    ways |= {name: partial(one.get_or_create_session, made.CHANNEL) for name, one in managers.items()}
    for way in ways.values():
        way()
    return {name: ms / _CALLS for name, ms in medians_ms({name: often(way) for name, way in ways.items()}, runs=runs).items()}


def _sleeping(name: str, manager: SessionManager, bare: BareMemory, *, runs: int) -> list[Measurement]:
    """Measure a session that goes to sleep and wakes, each time in one durable transaction."""
    key = manager.get_or_create_session(made.CHANNEL).session_key
    session = manager.session(key)
    if session is None:
        raise AssertionError(key)

    def wake() -> None:
        if manager.get_or_create_session(made.CHANNEL).is_new:
            raise AssertionError(key)

    steps: dict[str, Callable[[], object]] = {
        "hibernate": lambda: manager.hibernate_session(key),
        "bare hibernate": lambda: bare.upsert_session(session),
        "resume": wake,
        "bare resume": lambda: bare.take_session(key),
    }
    times = medians_ms(steps, runs=runs)
    row = partial(Measurement, store="session", durability="commit", bound=_BOUND)
    return [
        row(operation=f"hibernate{name}", median_ms=times["hibernate"], floor_ms=times["bare hibernate"], floor="bare upsert"),
        row(operation=f"resume{name}", median_ms=times["resume"], floor_ms=times["bare resume"], floor="bare select and delete"),
    ]


def _saving(folder: Path, *, scope: Scope, number: int) -> list[Measurement]:
    """Measure a save, and one that all channels get to know, against the bare inserts of the same rows among as many."""
    with (
        closing(filled_memory(folder / "memory.db", number)) as memory,
        closing(BareMemory(folder / "bare.db", number)) as bare,
        SessionManager(memory=memory, clock=lambda: NOW_MS) as manager,
    ):
        ordinary = (replace(one, importance=5, created_ms=NOW_MS) for one in memories(1 << 30, seed=2))
        important = (replace(one, importance=9, created_ms=NOW_MS) for one in memories(1 << 30, seed=3))

        def promote(one: Memory) -> None:
            manager.save_memory(one.session_key, one.memory_type, one.content, importance=one.importance, channel_id=one.channel_id)

        def bare_promote(one: Memory) -> None:
            bare.insert(one, knowledge_of(one))

        steps: dict[str, Callable[[], object]] = {
            "save": lambda: memory.save_memory(next(ordinary)),
            "bare": lambda: bare.insert(next(ordinary)),
            "managed": lambda: promote(next(ordinary)),
            "promote": lambda: promote(next(important)),
            "bare promote": lambda: bare_promote(next(important)),
        }
        times = medians_ms(steps, runs=scope.fast_rounds)
    row = partial(Measurement, store="memory", sessions=number, durability="commit", bound=_BOUND)
    insert = partial(row, floor_ms=times["bare"], floor="bare insert")
    return [
        insert(operation="save", median_ms=times["save"]),
        insert(operation="save by a manager, listeners told", median_ms=times["managed"]),
        row(
            operation="save by a manager, promoted to knowledge",
            median_ms=times["promote"],
            floor_ms=times["bare promote"],
            floor="two bare inserts in one transaction",
        ),
    ]


def _reading(folder: Path, *, scope: Scope, number: int) -> list[Measurement]:
    """Measure briefings, and searches through the index and without it."""
    row = partial(Measurement, store="memory", sessions=number)
    with (
        closing(filled_memory(folder / "memory.db", number)) as memory,
        SessionManager(memory=memory, clock=lambda: NOW_MS) as manager,
        closing(Database(memory.path)) as database,
    ):
        keys = {name: manager.get_or_create_session(name).session_key for name in (made.CHANNEL, made.BUSY_CHANNEL)}
        briefings = medians_ms({name: partial(manager.briefing, key) for name, key in keys.items()}, runs=scope.fast_rounds)
        if not all(manager.briefing(key) for key in keys.values()):
            raise AssertionError(keys)
        found = [
            row(operation="briefing of a channel", median_ms=briefings[made.CHANNEL], limit_ms=_BRIEFING_MS),
            row(operation="briefing of the busy channel", median_ms=briefings[made.BUSY_CHANNEL], limit_ms=_BRIEFING_MS),
            row(operation="first search, which makes the index", median_ms=timed_ms(lambda: memory.search(made.MISSING))),
        ]
        database.initialize()
        found += _searching(database, row, runs=scope.slow_rounds)
        found.append(_searching_after_saves(memory, row, runs=scope.slow_rounds))
    return found


def _searching(database: Database, row: Callable[..., Measurement], *, runs: int) -> list[Measurement]:
    """Measure searches; one by one gives the same answers."""
    found = []
    for what, query in (_QUESTIONS | _SHORT).items():
        for how, (where, types) in _ASKED.items():
            ways: dict[str, Callable[[], list[Memory]]] = {
                "index": partial(_answers, Searching(database), query, where, types),
                "one by one": partial(_answers, Searching(database, use_index=False), query, where, types),
            }
            if ways["index"]() != ways["one by one"]():
                raise AssertionError(f"{query}{how}")
            times = medians_ms(ways, runs=runs)
            limit_ms = _SEARCH_MS if what in _QUESTIONS else None
            beside = {"floor_ms": times["one by one"], "floor": "looking at every row"}
            found.append(row(operation=f"search: {what}{how}", median_ms=times["index"], limit_ms=limit_ms, **beside))
    return found


def _answers(searching: Searching, query: str, where: dict[str, str], types: list[MemoryType] | None) -> list[Memory]:
    return list(searching.search(query, scope="channel", where=where, types=types, limit=10, now_ms=NOW_MS).memories)


def _searching_after_saves(memory: SharedMemory, row: Callable[..., Measurement], *, runs: int) -> Measurement:
    """Measure a search that has to take ten new memories into the index first."""
    new = memories(1 << 30, seed=4)
    times = []
    for _ in range(runs):
        for one in itertools.islice(new, 10):
            memory.save_memory(one)
        times.append(timed_ms(lambda: memory.search_memories(made.RARE)))
    return row(operation="search after ten saves", median_ms=statistics.median(times), limit_ms=_SEARCH_MS, durability="commit")
