"""An installed OpenClaw and our stores on the same sessions: fresh processes, theirs and ours in turns, medians of what each saw."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from sessionlab import layout
from sessionlab.bench import children
from sessionlab.bench.peers_openclaw.comparing import rows_of, spread, verdicts
from sessionlab.bench.peers_openclaw.installed import OpenClaw, PeerError
from sessionlab.bench.peers_openclaw.ours import Seen, Task
from sessionlab.bench.results import Results
from sessionlab.bench.scope import ENTRY_BYTES, NAMES, STORES, StoreKind
from sessionlab.bench.stores import Progress
from sessionlab.bench.surroundings import QUICK, load_in_words, sync_in_words, undisturbed
from sessionlab.bench.writer import open_writable
from sessionlab.stores.json_file import JSONFileStore
from sessionlab.synth import write_state

AGENT: Final = "main"
_PROBED: Final = 3
_SETTINGS: Final = '{"session": {"maintenance": {"mode": "warn"}}}\n'
"""Nothing is removed from the store that is measured."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """How much is to be measured.

    Attributes:
        rounds: Fresh processes of each program.
        repeats: How often one process lists again at most; ten times as often it gets and updates.
        budget_ms: When this time is over, it begins no more of one kind.
        stores: Which of ours.
        is_quick: Whether that gives no figure to quote.
    """

    sessions: int
    rounds: int = 5
    repeats: int = 10
    budget_ms: float = 2_000
    stores: tuple[StoreKind, ...] = STORES
    is_quick: bool = False

    @classmethod
    def quick(cls, sessions: int, stores: tuple[StoreKind, ...] = STORES) -> Asked:
        """Return what shows that everything runs."""
        return cls(sessions=sessions, stores=stores, rounds=1, repeats=3, budget_ms=200, is_quick=True)


def measure(folder: Path, openclaw: OpenClaw, asked: Asked, *, on_progress: Progress | None = None) -> Results:
    """Measure one OpenClaw and our stores.

    Args:
        folder: Empty; five times the sessions at a time.
        openclaw: The program.
        asked: How much.
        on_progress: Called with (what, done, total).

    Raises:
        PeerError: It could not be measured: a function was not found or failed, or it does not see the sessions.
    """
    load = load_in_words()
    started = 0
    tasks: dict[str, Task] = {}

    def tell(what: str) -> None:
        nonlocal started
        if on_progress is not None:
            on_progress(what, started, asked.rounds * (1 + len(tasks)) + 2)
        started += 1

    tell(f"{openclaw.name}: which functions it has")
    is_importing = not _probe(folder / "probe", openclaw, asked).listed
    tell("stores")
    state = folder / "theirs" / "state"
    _make_state(state, asked.sessions)
    store = _json_store(state)
    with undisturbed():
        tasks, key = _our_tasks(folder / "ours", store, asked)
    import_ms = None
    if is_importing:
        start = time.perf_counter()
        openclaw.import_sessions(state=state, agent=AGENT)
        import_ms = (time.perf_counter() - start) * 1000
    theirs: list[Seen] = []
    ours: dict[str, list[Seen]] = {name: [] for name in tasks}
    for number in range(asked.rounds):
        tell(openclaw.name)
        theirs.append(_checked(openclaw, openclaw.run(_their_task(store, key, number, asked), state=state), asked.sessions))
        for name, task in tasks.items():
            tell(name)
            ours[name].append(_our_process(msgspec.structs.replace(task, word=f"round {number}")))
    rows = [row for name, task in tasks.items() for row in rows_of(task, ours[name], theirs, asked.sessions)]
    return Results(
        "peers",
        tables={"beside": rows, "openclaw": list(spread(openclaw.name, theirs, import_ms, asked.sessions))},
        conditions=list(_conditions(folder, openclaw, asked, theirs[0], load, is_importing=is_importing)),
        verdicts=list(verdicts(openclaw.name, rows)),
    )


def _probe(folder: Path, openclaw: OpenClaw, asked: Asked) -> Seen:
    """Return what it sees of a small `sessions.json`: nothing when it has a database of its own."""
    state = folder / "state"
    _make_state(state, _PROBED)
    store = _json_store(state)
    with JSONFileStore.open(store) as sessions:
        key = next(summary.key for summary in sessions.summaries())
    return openclaw.run(_their_task(store, key, 0, msgspec.structs.replace(asked, repeats=3)), state=state)


def _make_state(state: Path, sessions: int) -> None:
    state.mkdir(parents=True)
    write_state(state, seed=1, sessions=sessions, entry_bytes=ENTRY_BYTES, agents=(AGENT,), transcripts=False, flaws=False)
    (state / "openclaw.json").write_text(_SETTINGS, encoding="utf-8")


def _json_store(state: Path) -> Path:
    return layout.AgentFolder(AGENT, layout.agents_dir(state) / AGENT).json_store


def _our_tasks(folder: Path, source: Path, asked: Asked) -> tuple[dict[str, Task], str]:
    """Make our stores of the same sessions, and return what is to be done with each, and the key of the session that is updated."""
    folder.mkdir()
    with JSONFileStore.open(source) as sessions:
        entries = dict(sessions.items())
    key = list(entries)[len(entries) // 2]
    tasks = {}
    for store in asked.stores:
        for durability in ("commit", "process") if store == "sqlite" else ("commit",):
            place = folder / f"{store}-{durability}"
            place.mkdir()
            path = place / NAMES[store]
            with open_writable(store, path, "commit") as made:
                made.save(entries)
            tasks[f"{store}, {durability}"] = Task(
                store=store,
                path=str(path),
                durability=durability,
                key=key,
                word="",
                rounds=asked.repeats,
                updates=10 * asked.repeats,
                budget_ms=asked.budget_ms,
            )
    return tasks, key


def _their_task(store: Path, key: str, number: int, asked: Asked) -> dict[str, object]:
    return {
        "store": str(store),
        "agent": AGENT,
        "key": key,
        "word": f"round {number}",
        "rounds": asked.repeats,
        "updates": 10 * asked.repeats,
        "budget_ms": asked.budget_ms,
    }


def _our_process(task: Task) -> Seen:
    return children.answer("sessionlab.bench.peers_openclaw.ours", task, Seen)


def _checked(openclaw: OpenClaw, seen: Seen, sessions: int) -> Seen:
    if seen.listed != sessions:
        raise PeerError(openclaw.name, f"it lists {seen.listed:,} of {sessions:,} sessions, so nothing of it can be compared")
    if not seen.is_updated:
        raise PeerError(openclaw.name, "an update of it was not there when it was read again, so nothing of it can be compared")
    return seen


def _conditions(folder: Path, openclaw: OpenClaw, asked: Asked, seen: Seen, load: str, *, is_importing: bool) -> Iterator[str]:
    kept = "its own database, filled by its own import" if is_importing else "sessions.json"
    names = ", ".join(dict.fromkeys(seen.functions))
    yield f"{openclaw.name} on node {openclaw.node_version}, its functions {names}; what it keeps sessions in: {kept}"
    yield f"{asked.sessions:,} sessions of {ENTRY_BYTES // 1000} KB, the same in every store; its maintenance only warns"
    processes = "1 process" if asked.rounds == 1 else f"{asked.rounds} processes"
    yield f"{processes} of each program, theirs and ours in turns; medians, within a process and of the processes"
    yield "OpenClaw forces an update to disk up to 2026.4, and not from 2026.5.28 on; ours does where it says commit"
    yield "list again: after an update of one session each; its list gives entries, for it has no other; some fields may be left out"
    yield "ours gives summaries, and whole entries where that is said; the size of both is in the table"
    yield "times without the start of a process and its imports; memory: VmHWM of the whole process, MB of 10**6 bytes"
    yield machine_class()
    if asked.is_quick:
        yield QUICK
    yield load
    yield sync_in_words(folder)


def machine_class() -> str:
    """Say what kind of machine this is."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9
    return f"machine: {os.cpu_count()} processors ({platform.machine()}), {memory:.0f} GB of memory, {platform.system()}"
