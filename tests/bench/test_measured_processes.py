"""What the processes of the long benches do and count: with stores that are watched, and clocks that are turned by hand."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sessionlab.bench import children, cycling, measure, proposing, rss
from sessionlab.bench.cycling import Cycling, Loop, Sample
from sessionlab.bench.peers_openclaw import ours
from sessionlab.bench.proposing import Proposed
from sessionlab.bench.surroundings import QUICK
from sessionlab.bench.writer import open_writable
from sessionlab.entry import Entry
from sessionlab.stores.json_cache import LIMIT_VARIABLE, TTL_VARIABLE
from sessionlab.stores.snapshot import Snapshot
from tests.cli.in_process import Call, caller
from tests.cli.program import printed_json


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Call:
    return caller(capsys)


class Clock:
    """Time that passes only when it is told to: of the clock, and of the processor."""

    def __init__(self) -> None:
        self.now_s = self.cpu_s = 0.0

    def perf_counter(self) -> float:
        return self.now_s

    def process_time(self) -> float:
        return self.cpu_s

    def take(self, ms: float, *, cpu_ms: float = 0.0) -> None:
        self.now_s += ms / 1000
        self.cpu_s += cpu_ms / 1000


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    for module in (measure, proposing, ours):
        monkeypatch.setattr(module, "time", made)
    return made


# rss: what a cycle does


class Watched:
    """A store, and what was done with it."""

    def __init__(self, store: Any, seen: list[Any]) -> None:
        self._store, self._seen = store, seen

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def __enter__(self) -> Any:
        self._store.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._store.__exit__(*error)

    def load(self) -> Any:
        self._seen.append(self._store.load())
        return self._seen[-1]

    def transform(self, change: Any, *, base: Any = None) -> Any:
        self._seen.append(("from", base))
        return self._store.transform(change, base=base)


@pytest.mark.parametrize("is_reusing", [False, True])
@pytest.mark.parametrize("is_cached", [False, True])
def test_cycle_reuses_what_it_loaded_and_keeps_its_store_as_it_was_told(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    is_reusing: bool,
    is_cached: bool,
) -> None:
    sizes: dict[str, Any] = {"sessions": 3, "payload_bytes": 50, "touches": 3, "cycles": 4, "sample_every": 9}
    task = Cycling(store="json", path=str(tmp_path / "s.json"), is_reusing=is_reusing, is_cached=is_cached, **sizes)
    cycling.make(task)
    seen: list[Any] = []
    opened: list[Any] = []

    def watched(*words: Any) -> Any:
        opened.append(Watched(open_writable(*words), seen))
        return opened[-1]

    monkeypatch.setattr(cycling, "open_writable", watched)
    monkeypatch.setattr(cycling, "gc", SimpleNamespace(collect=lambda: None))
    list(cycling.samples(task))
    loaded, updates = seen[::2], seen[1::2]
    assert [how for how, _ in updates] == ["from"] * 4
    assert all(base is (one if is_reusing else None) for one, (_, base) in zip(loaded, updates, strict=True))
    assert len(opened) == (1 if is_cached else 1 + 4), "without the cache each cycle opens the store anew"


def test_everything_is_decoded_where_that_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[str] = []
    before = Snapshot.__getitem__

    def watched(self: Snapshot, key: str) -> Entry:
        decoded.append(key)
        return before(self, key)

    monkeypatch.setattr(Snapshot, "__getitem__", watched)
    sizes: dict[str, Any] = {"sessions": 7, "payload_bytes": 50, "touches": 3, "cycles": 1, "sample_every": 9}
    ways: tuple[tuple[Loop, int], ...] = (("load", 1), ("decode", 7 + 1))
    for loop, looks in ways:
        task = Cycling(store="json", path=str(tmp_path / loop), loop=loop, **sizes)
        cycling.make(task)
        decoded.clear()
        list(cycling.samples(task))
        assert len(decoded) == looks


# rss: what the processes are told, and what is said of them

LOOKS = ((0, 20.0, 1_000), (25, 25.0, 2_000), (50, 30.0, 3_500))
"""Cycle, peak, elapsed: 50 ms a cycle; as much as 1,200 ms a cycle if the making of the store counted."""


def _looks(factor: float) -> list[Sample]:
    return [
        Sample(cycle=cycle, rss_mb=peak, heap_mb=1, external_mb=1, peak_mb=factor * peak, store_kb=7_600, elapsed_ms=ms, cpu_ms=1)
        for cycle, peak, ms in LOOKS
    ]


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Cycling, Any]]:
    """Answer for the processes of rss, JSON's a little larger when it is cached; return what they were told."""
    asked: list[tuple[Cycling, Any]] = []

    def answers(program: str, task: Cycling, kind: type[Any], *, environment: Any, timeout_s: float | None) -> list[Any]:
        assert (program, kind, timeout_s) == ("sessionlab.bench.cycling", Sample, None)
        asked.append((task, environment))
        return _looks(1.5 if task.is_cached else 1)

    monkeypatch.setattr(children, "answers", answers)
    monkeypatch.setattr(rss, "make", lambda task: Path(task.path).touch())
    return asked


def test_processes_of_rss_are_told_how_to_cache(tmp_path: Path, told: list[tuple[Cycling, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(TTL_VARIABLE, raising=False)
    monkeypatch.setenv("BESIDES", "kept")
    rss.measure(tmp_path / "", rss.Asked(stores=("json",)))
    ways = [(task.loop, task.is_reusing, task.is_cached) for task, _ in told]
    assert ways == [
        ("load", False, False),
        ("load", True, False),
        ("load", False, True),
        ("load", True, True),
        ("decode", True, False),
        ("summaries", False, False),
    ]
    for task, environment in told:
        assert (int(environment[LIMIT_VARIABLE]) > 7_600 * 1024) == task.is_cached
        assert (int(environment[LIMIT_VARIABLE]) == 0) != task.is_cached
        assert (environment["BESIDES"], TTL_VARIABLE in environment) == ("kept", False)


def test_flags_of_the_published_script_reach_the_processes(call: Call, told: list[tuple[Cycling, Any]]) -> None:
    words = ("--target-kb", "44", "--cycles", "7", "--sample-every", "3", "--payload-size", "300", "--unique-touches", "5")
    found = printed_json(call("bench", "rss", *words, "--cache-ttl-ms", "9", "--reuse-loaded-store", "--json"))
    assert [(task.store, task.loop, task.is_reusing, task.is_cached) for task, _ in told] == [
        ("json", "load", True, False),
        ("json", "load", True, True),
        ("json", "decode", True, False),
        ("sqlite", "load", True, False),
        ("sqlite", "decode", True, False),
        ("directory", "load", True, False),
        ("directory", "decode", True, False),
    ]
    for task, environment in told:
        assert (task.sessions, task.cycles, task.sample_every, task.payload_bytes, task.touches) == (100, 7, 3, 300, 5)
        assert environment[TTL_VARIABLE] == "9"
    assert {row["run"] for row in found["tables"]["samples"]} == {
        "load, update one from what was loaded",
        "load, update one from what was loaded, object cache",
        "load and decode all, update one from what was loaded",
    }
    assert any("--reuse-loaded-store" in sentence for sentence in found["conditions"])
    assert "--reuse-loaded-store" in call("bench", "rss", "--help").stdout


def test_cycle_is_what_lies_between_the_looks_and_is_held_against_the_published_table(
    tmp_path: Path, told: list[tuple[Cycling, Any]]
) -> None:
    found = rss.measure(tmp_path, rss.Asked(stores=("json", "sqlite")))
    assert len(told) == 6 + 4
    peaks = [(one.store, one.peak_mb, one.most, one.is_met) for one in found.figures if one.peak_mb is not None]
    cached = [("json", 45, 64, True)] * 2
    decoding = [(store, 30, None, None) for store in ("json", "sqlite")]
    ways = [("json", 30, 64, True)] * 2, cached, decoding[:1], [("json", 30, 64, True)]
    assert peaks == [*itertools.chain(*ways), *[("sqlite", 30, 32, True)] * 2, decoding[1], ("sqlite", 30, 32, True)]
    cycles = [(one.store, one.median_ms, one.most, one.is_met) for one in found.figures if one.median_ms is not None]
    assert cycles == [*[("json", 50, 25, False)] * 4, ("json", 50, None, None), ("json", 50, 25, False), *[("sqlite", 50, None, None)] * 4]
    json, sqlite = found.verdicts
    assert json.startswith("json: at most 45 MB where 1,237 and 890 MB were published, 27 and 20 times less; ")
    assert sqlite.startswith("sqlite: at most 30 MB where 1,237 and 890 MB were published, 41 and 30 times less; ")
    assert json.count(" 50 ms (") == 6
    assert "; from cycle 25 on it grew by 5.0 MB (359 and 150 published, from cycle 10); " in json
    assert json.endswith(", where 56 and 44 ms were published")
    assert QUICK not in found.conditions
    assert not [sentence for sentence in found.conditions if sentence.startswith("no bound")]


@pytest.mark.parametrize(
    ("asked", "is_judged", "is_quick"),
    [
        (rss.Asked(), True, False),
        (rss.Asked(cycles=50), True, False),
        (rss.Asked(cycles=49), True, True),
        (rss.Asked(target_kb=760), False, True),
        (rss.Asked(target_kb=76_000), False, False),
        (rss.Asked(payload_size=20), False, False),
    ],
)
def test_bounds_are_for_the_published_size(
    tmp_path: Path, told: list[tuple[Cycling, Any]], asked: rss.Asked, *, is_judged: bool, is_quick: bool
) -> None:
    found = rss.measure(tmp_path, asked)
    assert told
    assert any(one.most is not None for one in found.figures) == is_judged
    assert bool(found.document()["missed"]) == is_judged
    assert (found.conditions[0] == QUICK) == is_quick
    assert any(sentence.startswith("no bound is judged: they are for 7,600 KB") for sentence in found.conditions) != is_judged


# proposal: what a process times


@pytest.mark.parametrize("program", ["json", "bare"])
def test_process_of_the_proposal_times_each_thing_by_itself(monkeypatch: pytest.MonkeyPatch, clock: Clock, program: Any) -> None:
    peaks = iter([100.0, 130.0, 130.0])
    calls: list[str] = []
    listings = iter([700.0, 20.0, 30.0, 40.0])

    def listing() -> list[Any]:
        calls.append("list")
        clock.take(next(listings))
        return []

    def update(key: str, turn: int) -> Any:
        def store() -> None:
            calls.append(f"{key} {turn}")
            clock.take(3.0 if turn else 11.0, cpu_ms=2.0)

        clock.take(1_000, cpu_ms=1_000)  # making ready is not measured
        return store

    def opened(*_: Any) -> Any:
        clock.take(100)
        return listing, update

    monkeypatch.setattr(proposing, "_peak_mb", lambda: next(peaks))
    monkeypatch.setattr(proposing, "_bare" if program == "bare" else "_store", opened)
    took = proposing.go(Proposed(program=program, path="", durability="commit", keys=("a", "b"), updates=5))
    assert calls == ["list", "a 5", "list", "b 6", "list", "a 7", "list", "a 0", "b 1", "a 2", "b 3", "a 4"]
    assert [took.load_ms, took.list_ms, took.update_ms] == pytest.approx([800, 30, 3])
    assert took.cpu_ms == pytest.approx(2)
    assert took.peak_mb == pytest.approx(30)


def test_process_of_the_proposal_lists_and_updates_its_store(tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    with open_writable("json", path, "commit") as store:
        store.save({f"key {number}": {"sessionId": "s", "updatedAt": number} for number in range(3)})
    proposing.go(Proposed(program="json", path=str(path), durability="commit", keys=("key 0", "key 2"), updates=3))
    with open_writable("json", path, "commit") as store:
        assert [entry.get("totalTokens") for _, entry in store.items()] == [2, None, 1]


# peers: what ours does beside them


class Slow:
    """A store of three sessions in which each thing takes a time of its own."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._entries: dict[str, Any] = {key: {"sessionId": key} for key in "abc"}

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None: ...

    def summaries(self) -> list[Any]:
        self._clock.take(20)
        return [SimpleNamespace(key=key) for key in self._entries]

    def items(self) -> Iterator[tuple[str, Any]]:
        self._clock.take(50)
        yield from self._entries.items()

    def get(self, key: str) -> Any:
        self._clock.take(5)
        return self._entries[key]

    def update(self, key: str, change: Any, *, now_ms: int) -> None:
        self._clock.take(7)
        self._entries[key] = self._entries[key] | change({}) | {"updatedAt": now_ms}


def test_our_process_beside_theirs_times_each_thing_by_itself(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    monkeypatch.setattr(ours, "open_writable", lambda *_: Slow(clock))
    limits = {"rounds": 4, "updates": 4, "budget_ms": 10_000}
    seen = ours.look(ours.Task(store="json", path="", durability=None, key="b", word="w", **limits))
    assert (seen.listed, seen.is_updated) == (3, True)
    assert [seen.cold_list_ms, seen.warm_list_ms, seen.get_ms, seen.update_ms] == pytest.approx([20, 20, 5, 7])
    assert seen.whole_list_ms == pytest.approx(50)
