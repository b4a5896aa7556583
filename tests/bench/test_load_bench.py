"""Many writers and growing stores: what the benches count, fit and say, and the baseline that they measure beside our stores."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sessionlab import codec
from sessionlab.bench import contention, growing, power_law, scale, transcripts_beside
from sessionlab.bench.content import sized_entries, small_entries, small_key
from sessionlab.bench.crowd import run_together
from sessionlab.bench.growing import Patience, Point, Size
from sessionlab.bench.many_writers import Round, Row, median_alone_ms, row_of, verdicts
from sessionlab.bench.naive import NaiveLock, NaiveStore
from sessionlab.bench.results import Results
from sessionlab.bench.scope import NOW_MS
from sessionlab.bench.transcripts_beside import UNREFERENCED, Difference, grow_by_turns
from sessionlab.bench.writer import COUNTER, Outcome, Task, increment, open_updatable, write
from sessionlab.cli import bench_load
from sessionlab.errors import SessionLabError, StoreLockedError
from tests.cli.in_process import Call, caller
from tests.cli.program import printed_json


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Call:
    return caller(capsys)


# The baseline


def test_naive_store_gives_back_what_it_got_as_the_others_do(tmp_path: Path) -> None:
    naive, ours = NaiveStore(tmp_path / "naive.json"), open_updatable("json", tmp_path / "sessions.json", None)
    for store in (naive, ours):
        store.save(sized_entries(5, 2_000))
        store.put(small_key(9), {"sessionId": "new", "updatedAt": 1})
        assert store.update(small_key(77), lambda _entry: {"label": "x"}, now_ms=NOW_MS) is None
        increment(store, small_key(3), 2)
    assert dict(naive.items()) == dict(ours.items())
    assert naive.get(small_key(3)) == ours.get(small_key(3))
    assert [row["key"] for row in naive.summaries()] == [row.key for row in ours.summaries() if not isinstance(row, dict)]
    assert all("skillsSnapshot" not in row for row in naive.summaries())
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith("naive")) == ["naive.json"]
    assert NaiveStore(tmp_path / "none.json").load() == {}


def _written_lock(path: Path, *, pid: int, age_s: float) -> None:
    created = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=age_s)
    path.write_text(json.dumps({"pid": pid, "createdAt": created.isoformat()}), encoding="utf-8")


def test_naive_lock_is_waited_for_and_then_refused(tmp_path: Path) -> None:
    lock = NaiveLock(tmp_path / "s.json", timeout_ms=60)
    _written_lock(lock.path, pid=os.getpid(), age_s=0)
    with pytest.raises(StoreLockedError, match="timeout 60ms"), lock.held():
        pass
    assert lock.path.exists(), "whoever did not get it leaves it alone"
    threading.Timer(0.1, lock.path.unlink).start()
    with NaiveLock(tmp_path / "s.json", timeout_ms=5_000).held():
        assert json.loads(lock.path.read_bytes())["pid"] == os.getpid()
    assert not lock.path.exists()


def test_naive_lock_is_taken_from_the_dead_the_old_and_the_unreadable(tmp_path: Path) -> None:
    lock = NaiveLock(tmp_path / "s.json", timeout_ms=0)
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    _written_lock(lock.path, pid=ended.pid, age_s=0)
    with lock.held():
        pass
    _written_lock(lock.path, pid=os.getpid(), age_s=31)
    with lock.held():
        pass
    for text in ("", "[]", '{"pid": 1}'):
        lock.path.write_text(text, encoding="utf-8")
        with lock.held():
            pass
    assert not lock.path.exists()


# Many writers


def test_writer_for_a_time_tells_every_wait_and_what_timed_out(tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    store = NaiveStore(path, timeout_ms=20)
    store.save(small_entries(2))
    free = write(Task("naive", str(path), None, (small_key(0), small_key(1)), 3), store)
    assert (len(free.waits_ms), free.errors, free.timeouts) == (3, 0, 0)
    assert free.worst_ms == max(free.waits_ms)
    _written_lock(NaiveLock(path).path, pid=os.getpid(), age_s=0)
    held = write(Task("naive", str(path), None, (small_key(0),), 1 << 30, seconds=0.05), store)
    assert held.errors == held.timeouts == len(held.waits_ms) >= 1
    assert min(held.waits_ms) >= 20
    assert [(store.get(small_key(number)) or {}).get(COUNTER) for number in range(2)] == [2, 1]


def test_writers_begin_one_after_the_other(tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    NaiveStore(path).save(small_entries(1))
    first, second = run_together([Task("naive", str(path), None, (small_key(0),), 1, seconds=5, later_s=later) for later in (0.0, 0.15)])
    assert second.start_ms - first.start_ms > 140
    assert [(one.errors, len(one.waits_ms)) for one in (first, second)] == [(0, 1)] * 2


def test_keys_are_drawn_with_skew_and_equally_for_equal_seeds() -> None:
    keys = [f"key {number}" for number in range(100)]
    drawn = contention.drawn(keys, seed=1, count=4_000)
    assert drawn == contention.drawn(keys, seed=1, count=4_000) != contention.drawn(keys, seed=2, count=4_000)
    often = Counter(drawn)
    harmonic = sum(1 / rank for rank in range(1, 101))
    assert often[keys[0]] == pytest.approx(4_000 / harmonic, rel=0.15)
    assert often[keys[0]] / often[keys[3]] == pytest.approx(4, rel=0.35)


def test_row_counts_what_the_writers_saw() -> None:
    fast = Outcome(0, 4_000, 0, 30, 0, tuple(map(float, range(1, 99))))
    slow = Outcome(500, 5_000, 3, 10_000, 2, (1_500.0, 10_000.0, 10_000.0, 5.0))
    row = row_of("json", "commit", [Round([fast, slow], counted=97)], lone_ms=300)
    assert (row.writers, row.seconds, row.updates, row.updates_per_s) == (2, 5.0, 99, 19.4), "what was lost is no update"
    assert (row.timeouts, row.refused, row.lost, row.stuck) == (2, 1, 2, 3)
    assert (row.p50_ms, row.max_ms, row.stuck_mean_ms) == (50.5, 10_000, 7_166.7)
    assert (row.p99_ms, row.rounds, row.lone_ms) == (10_000, 1, 300)
    quiet = row_of("naive", "process", [Round([fast], counted=97)], lone_ms=50)
    assert (quiet.stuck, quiet.stuck_mean_ms, quiet.lost) == (0, None, 1)
    assert contention.losses(Results("x", tables={"writers": [row, quiet]})) == (2, 1)


def test_rounds_give_medians_and_sums() -> None:
    def one(seconds: float, *waits: float, counted: int, timeouts: int = 0) -> Round:
        return Round([Outcome(0, seconds * 1000, timeouts, max(waits), timeouts, waits)], counted)

    rounds = [one(1, 10, 20, 60, counted=3), one(2, 30, 30, 30, 30, counted=3), one(1, 5, 5, 3_000, counted=2, timeouts=1)]
    row = row_of("directory", "commit", rounds, lone_ms=10)
    assert (row.rounds, row.seconds, row.updates, row.lost, row.timeouts, row.stuck) == (3, 4, 9, 1, 1, 1)
    assert (row.updates_per_s, row.least_per_s, row.most_per_s) == (2, 1.5, 3)
    assert (row.p50_ms, row.p99_ms, row.max_ms) == (20, 60, 3_000)
    assert median_alone_ms(rounds) == 20


def test_slow_store_alone_is_not_stuck() -> None:
    alone = Round([Outcome(0, 9_000, 0, 1_900, 0, (1_700.0, 1_800.0, 1_900.0))], counted=3)
    waited = Round([Outcome(0, 9_000, 0, 2_900, 0, (1_800.0, 2_790.0, 2_801.0))], counted=3)
    lone = median_alone_ms([alone])
    found = [row_of("naive", "process", [one], lone_ms=lone) for one in (alone, waited)]
    assert [(row.stuck, row.stuck_mean_ms) for row in found] == [(0, None), (1, 2_801)]


def _row(store: Any, writers: int, **values: Any) -> Row:
    outcome = Outcome(0, 1_000, 0, 9, 0, (5.0,) * 4)
    made = row_of(store, "process" if store == "naive" else "commit", [Round([outcome] * writers, counted=4 * writers)], lone_ms=5)
    return msgspec.structs.replace(made, **values)


def test_what_is_said_of_writers_follows_from_the_rows() -> None:
    naive, crowd = _row("naive", 1), _row("naive", 16, updates_per_s=1.51, timeouts=7, stuck=22, lost=10)
    json_alone, json_crowd = _row("json", 1), _row("json", 16, updates_per_s=6.2, stuck=21)
    directory = _row("directory", 16, updates_per_s=1_707.9, refused=1)
    first, second, third, times, published = verdicts([naive, crowd, json_alone, json_crowd, directory])
    assert first == (
        "naive: 4.0 updates a second by 1 writer, 1.5 by 16 writers; an update takes 5.00 ms and 5.00 ms (median), at most 5.00 ms; "
        "7 timeouts, 22 stuck, 10 lost of 68 acknowledged"
    )
    assert second.startswith("json: 4.0 updates a second by 1 writer, 6.2 by 16 writers; ")
    assert third == (
        "directory: 1,707.9 updates a second by 16 writers; an update takes 5.00 ms (median), at most 5.00 ms; "
        "0 timeouts, 0 stuck, 0 lost of 64 acknowledged, 1 refused"
    )
    assert times == "16 writers, updates a second, in round figures times those of the naive file: json 4.1, directory 1,100"
    assert published == (
        "published: 25 lock timeouts and 157 sessions reported as stuck, for 388 s in the mean, in three hours; here, in seconds: "
        "timeouts: naive 7; updates that took over 1 s longer than a lone writer's: naive 22, json 21"
    )
    assert list(verdicts([json_alone]))[-1].endswith("timeouts: none; updates that took over 1 s longer than a lone writer's: none")
    assert len(list(verdicts([_row("naive", 2, updates_per_s=0.0), _row("json", 2)]))) == 3, "no number of times nothing"


def test_writers_are_let_go_by_turns_and_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked_for: list[list[Task]] = []

    def carried_out(tasks: list[Task]) -> list[Outcome]:
        asked_for.append(tasks)
        with open_updatable("json", Path(tasks[0].path), "commit") as store:
            for task in tasks:
                increment(store, task.keys[0], 1)
        return [Outcome(0, 1_000, 0, 5, 0, (10.0 * len(tasks),)) for _ in tasks]

    monkeypatch.setattr(contention, "run_together", carried_out)
    found = contention.measure(tmp_path, contention.Asked(kinds=("json",), sessions=5, writers=(3,)))
    assert [len(tasks) for tasks in asked_for] == [1, 3] * 3, "one writer alone is always measured, though only told of when asked for"
    (row,) = found.document()["tables"]["writers"]
    assert (row["writers"], row["rounds"], row["updates"], row["lost"], row["lone_ms"], row["p50_ms"]) == (3, 3, 9, 0, 10, 30)
    latest = [task.later_s for task in asked_for[-1]]
    assert latest == pytest.approx([0, latest[2] / 2, latest[2]])
    assert 0.1 < latest[2] < 1
    assert {round(task.later_s + (task.seconds or 0), 6) for task in asked_for[-1]} == {contention.Asked().seconds("json")}
    assert len({task.keys for tasks in asked_for for task in tasks}) == 12, "every writer of every round draws sessions of its own"


def test_every_backend_is_written_to_by_growing_numbers(tmp_path: Path) -> None:
    asked = contention.Asked(kinds=("naive", "directory"), sessions=20, writers=(1, 2), is_quick=True)
    found = contention.measure(tmp_path, asked)
    rows = found.document()["tables"]["writers"]
    backends = [("naive", "process"), ("directory", "commit")]
    assert [(row["store"], row["durability"], row["writers"]) for row in rows] == [(*one, n) for one in backends for n in (1, 2)]
    assert all(row["updates"] + row["timeouts"] >= row["writers"] for row in rows)
    assert contention.losses(found) == (0, 0)
    assert [row["count"] for row in found.document()["tables"]["published"]] == [25, 157, 39]
    assert [verdict.partition(":")[0] for verdict in found.verdicts[:2]] == ["naive", "directory"]
    assert not list(tmp_path.glob("*-*")), "the stores are gone"
    every = [("naive", "process"), ("json", "commit"), ("sqlite", "commit"), ("sqlite", "process"), ("directory", "commit")]
    assert list(contention.Asked().backends) == every


@pytest.mark.parametrize(("lost", "refused", "code"), [(0, 0, 0), (0, 2, 1), (1, 2, 3)])
def test_lost_updates_are_an_error_and_timeouts_are_not(
    call: Call, monkeypatch: pytest.MonkeyPatch, lost: int, refused: int, code: int
) -> None:
    outcome = Outcome(0, 10, 4 + refused, 9, 4, (1.0,) * 20)
    row = row_of("sqlite", "commit", [Round([outcome], counted=20 - 4 - refused - lost)], lone_ms=1)
    monkeypatch.setattr(contention, "measure", lambda *_, **__: Results("contention", tables={"writers": [row]}))
    done = call("bench", "contention", "--json")
    assert done.returncode == code
    assert len(done.stderr.splitlines()) == (code != 0)
    assert json.loads(done.stdout)["tables"]["writers"][0]["timeouts"] == 4


# Growth


def test_power_law_is_found_again() -> None:
    points = [(float(size), 0.02 * size**1.5) for size in (100, 300, 1_000, 10_000)]
    assert tuple(power_law.fit(points)) == pytest.approx((1.5, 1.0))
    assert power_law.fit(points[:2]).r2 is None
    assert tuple(power_law.fit([(1, 3), (10, 3), (100, 3)])) == pytest.approx((0, 0)), "nothing grows: there is nothing to explain"
    bent = power_law.fit([(1, 1), (10, 1), (100, 10)])
    assert bent.exponent == pytest.approx(0.5)
    assert bent.r2 == pytest.approx(0.75)


@pytest.mark.parametrize(
    ("costs", "limit", "expected"),
    [
        ((1, 10, 100), 10**1.5, (10**2.5, "measured")),
        ((1, 10, 100), 10, (100, "measured")),  # at the limit it is comfortable still
        ((1, 10, 100), 0.5, (10, "at the smallest already")),
        ((1, 10, 100), 500, (5_000, "extrapolated")),
        ((1, 1, 10, 100), 200, (10_000 + 100 / 0.01, "extrapolated")),  # by the last two: what is fixed matters only at small sizes
        ((1, 1, 1, 1, 4, 1), 9, (None, "far beyond the largest")),  # chance is no growth
        ((1, 10, 100, 90), 180, (10_000 + 90 / 0.01, "extrapolated")),  # nor does it end one: by all
        ((1, 10, 100), 999, (9_990, "extrapolated")),
        ((1, 10, 100), 1_001, (None, "far beyond the largest")),
        ((3, 2, 1), 50, (None, "far beyond the largest")),
        ((1, 90, 20), 50, (1_000 + 30 / 0.0197, "extrapolated")),  # once too slow is not too slow for good
    ],
)
def test_limit_is_passed_where_the_cost_stays_above_it(costs: tuple[float, ...], limit: float, expected: tuple[Any, str]) -> None:
    found = power_law.passing([(10.0 ** (place + 1), cost) for place, cost in enumerate(costs)], limit)
    assert found == (None if expected[0] is None else pytest.approx(expected[0], rel=0.02), expected[1])


@pytest.mark.parametrize("fixed", [0.0, 1.0, 30.0])
def test_fixed_cost_does_not_make_the_extrapolated_size_too_large(fixed: float) -> None:
    points = [(size, fixed + 0.001 * size) for size in (100.0, 300.0, 1_000.0, 3_000.0, 10_000.0)]
    assert power_law.slope_beyond(points) == pytest.approx(0.001)
    beyond = power_law.passing(points, fixed + 25)
    assert beyond.size == pytest.approx(25_000)
    assert beyond.how == "extrapolated"
    assert power_law.passing(points, fixed + 101).size is None
    assert power_law.fit(points).exponent <= 1


def test_filled_up_entries_have_their_size_and_no_two_the_same_text() -> None:
    entries = sized_entries(20, 10_000)
    assert {len(codec.encode_compact(entry)) for entry in entries.values()} == {10_000}
    assert len({entry["skillsSnapshot"]["prompt"] for entry in entries.values()}) == 20
    assert list(entries) == [small_key(number) for number in range(20)]


@pytest.mark.parametrize("kind", ["naive", "json", "sqlite", "directory"])
def test_operations_do_what_they_are_called(tmp_path: Path, kind: Any) -> None:
    path = tmp_path / "made" / "store"
    growing.make(path, kind, Size(4, transcripts=6))
    assert sorted(found.name for found in path.parent.glob("*.jsonl")) == [f"0000000{number}.jsonl" for number in range(6)]
    with open_updatable(kind, path, "commit") as store:
        operations = transcripts_beside._operations(store, path, kind, 4)
        names = list(operations)
        assert [name for name in names if name != UNREFERENCED] == list(scale.LIMITS_MS)
        for listing in ("list", "list again", UNREFERENCED):
            assert names[names.index(listing) - 1] in ("put new", "list", "update"), (
                "a listing comes after a change, or after one of its own"
            )
        assert (operations["list"](), operations["list again"](), operations[UNREFERENCED]()) == (4, 4, 2)
        before = operations["get"]()
        operations["update"]()
        operations["put new"]()
        assert (operations["list"](), operations["list again"](), operations[UNREFERENCED]()) == (5, 5, 2)
    assert before is not None
    with open_updatable(kind, path, None) as store:
        after = dict(store.items())
    assert set(after) == {small_key(number) for number in range(5)}
    made = small_entries(4)
    assert len([key for key in made if after[key] != made[key]]) == 1


def test_large_store_is_made_in_a_process_of_its_own_whose_failure_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growing, "_IN_PROCESS_BYTES", 0)
    growing.make(tmp_path / "made" / "sessions.json", "json", Size(3, 900))
    with open_updatable("json", tmp_path / "made" / "sessions.json", None) as store:
        assert dict(store.items()) == sized_entries(3, 900)
    (tmp_path / "sessions.json").mkdir()
    with pytest.raises(SessionLabError, match=r"^a process that makes a store ended with 1: [^\n]+$"):
        growing.make(tmp_path / "sessions.json", "naive", Size(3))


class Clock:
    """Time that only passes while an operation is at work."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s

    def taking(self, *costs_ms: float) -> Callable[[], None]:
        """Return an operation that takes so long, each time it is called another of these; it cannot be called more often."""
        left = iter(costs_ms)

        def act() -> None:
            self.now_s += next(left) / 1000

        return act


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr("sessionlab.bench.measure.time.perf_counter", made)
    return made


def test_points_are_medians_of_the_rounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    costs = {
        "list": (99, 10, 30, 20),  # the first makes ready
        "get": (growing._WARM_MS + 1, 400, 300),  # or is one of three, where it takes long
        "update": (growing.SLOW_MS + 1,),  # or is all that there is time for
    }
    monkeypatch.setattr(growing, "operations_on", lambda *_: {name: clock.taking(*took) for name, took in costs.items()})
    points = growing.grow(tmp_path, "json", "sessions", [Size(3)], Patience(making_s=20, rounds_ms=1))
    found = [(point.operation, point.median_ms, point.rounds, point.least_ms, point.most_ms) for point in points]
    assert found == [("list", 20, 3, 10, 30), ("get", 300, 3, 251, 400), ("update", 5_001, 1, 5_001, 5_001)]
    assert Patience(making_s=1, rounds_ms=600).rounds({"list": 100, "get": 20}) == 5
    assert Patience(making_s=1, rounds_ms=600).rounds({"list": 1}) == 9


def test_machine_that_gets_slower_is_no_effect_of_transcripts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    def slower(base_ms: float) -> Callable[[], None]:
        def act() -> None:
            clock.now_s += base_ms * (1 + clock.now_s) / 1000

        return act

    def operations_of(_store: object, path: Path, *_: object) -> dict[str, Callable[[], None]]:
        number = int(path.parent.name)
        return {"list": slower(10), "update": slower(3 + 0.1 * number), "put new": slower(7)}

    monkeypatch.setattr(transcripts_beside, "operations_on", operations_of)
    monkeypatch.setattr(transcripts_beside, "_unreferenced", lambda *_: slower(5)())
    sizes = [Size(3, transcripts=number) for number in (1, 2, 4)]
    points, differences = grow_by_turns(tmp_path, "json", sizes, rounds=21)
    assert {point.rounds for point in points} == {21}
    listed = [point for point in points if point.operation == "list"]
    assert [point.size for point in listed] == [1, 2, 4]
    assert listed[0].most_ms > 1.5 * listed[0].least_ms, "the machine does get slower"
    by_name = {one.operation: one for one in differences}
    assert by_name["list"].is_noise
    assert by_name["list"].times == pytest.approx(1, abs=0.02)
    assert not by_name["update"].is_noise
    assert by_name["update"].times == pytest.approx(3.2 / 3, abs=0.02)
    assert (by_name["update"].least, by_name["update"].most) == (1, 4)


def test_transcripts_grow_beside_each_backend(tmp_path: Path) -> None:
    for kind in contention.KINDS:
        points, differences = grow_by_turns(tmp_path, kind, [Size(3, transcripts=1), Size(3, transcripts=4)], rounds=2)
        names = ["list", "list again", "get", "update", UNREFERENCED, "put new"]
        assert [(point.size, point.operation) for point in points] == [(size, name) for size in (1, 4) for name in names]
        assert [(one.operation, one.rounds) for one in differences] == [(name, 2) for name in names]
        assert all(one.low <= one.times <= one.high for one in differences)
    assert not list(tmp_path.iterdir())


def test_backend_stops_growing_where_it_gets_slow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes, patience = [Size(3), Size(6), Size(12)], Patience(making_s=20, rounds_ms=1)
    points = growing.grow(tmp_path, "naive", "sessions", sizes, patience)
    assert [point.size for point in points] == [3] * 5 + [6] * 5 + [12] * 5
    assert {point.note for point in points} == {None}
    assert {point.rounds for point in points} == {3}
    foretold = growing.grow(tmp_path, "naive", "sessions", sizes, Patience(making_s=-1, rounds_ms=1))
    assert [point.size for point in foretold] == [3] * 5
    assert all("making the next" in (point.note or "") for point in foretold)
    monkeypatch.setattr(growing, "SLOW_MS", 1e-6)
    slow = growing.grow(tmp_path, "json", "sessions", sizes, patience)
    assert [(point.size, point.rounds) for point in slow] == [(3, 1)] * 5
    assert all("at the next size" in (point.note or "") for point in slow)
    assert not list(tmp_path.iterdir())


def _points(grows: Any, store: Any, sizes: tuple[int, ...], ms: Mapping[str, tuple[float, ...]]) -> list[Point]:
    same: dict[str, Any] = {
        "grows": grows,
        "store": store,
        "durability": "commit",
        "made_s": 1.0,
        "rounds": 9,
        "least_ms": 0.5,
        "most_ms": 500.0,
    }
    rest = {"sessions": 100, "entry_bytes": 700, "transcripts": 5}
    return [
        Point(operation=operation, median_ms=cost, **same, **(rest | {grows: size}))
        for place, size in enumerate(sizes)
        for operation, costs in ms.items()
        for cost in (costs[place],)
    ]


def test_what_is_said_follows_from_the_points() -> None:
    flat = (1.0, 1.0, 1.0)
    sizes = (100, 1_000, 10_000)
    points = _points("sessions", "json", sizes, {"list": (1, 10, 100), "get": (1, 10, 100), "update": (1, 10, 100), "put new": flat})
    points += _points("sessions", "sqlite", sizes, dict.fromkeys(scale.LIMITS_MS, flat))
    fits, comforts = scale.fits_of(points), scale.comforts_of(points)
    assert len(fits) == 9
    assert (fits[0].exponent, fits[0].r2, fits[0].least, fits[0].most, fits[0].points) == (1.0, 1.0, 100, 10_000, 3)
    assert [(row.operation, row.size, row.how) for row in comforts if row.store == "json"] == [
        ("list", 25_000.0, "extrapolated"),  # 0.01 ms for each session more
        ("get", 5_000.0, "measured"),
        ("update", 5_000.0, "measured"),
        ("put new", None, "far beyond the largest"),
    ]
    assert {row.grows for row in comforts} == {"sessions"}
    limited, unlimited = scale._verdicts(fits, comforts)
    assert limited == (
        "json, more sessions: comfortable up to some 5,000 sessions, where get takes 50 ms; exponents: list 1.00, get 1.00, update 1.00, "
        "put new 0.00 (r2 0.00)"
    )
    assert unlimited.startswith("sqlite, more sessions: comfortable at 10,000 sessions, the most measured, and at 10 times as many if it")
    assert unlimited.endswith(f"; exponents: {', '.join(f'{name} 0.00 (r2 0.00)' for name in scale.LIMITS_MS)}")


def test_transcripts_are_said_to_cost_something_only_beyond_the_noise() -> None:
    rounds = {"list": (2.0, 1.1, 1.0, 1.2), "get": (120.4, 0.9, 0.8, 1.3), "update": (3.0, 0.5, 0.4, 0.6), "put new": (7, 1.1, 0.9, 1.1)}
    noisy = [
        Difference(
            store="sqlite", operation=name, least=10, most=1_000, least_ms=1.0, most_ms=ms, times=times, low=low, high=high, rounds=21
        )
        for name, (ms, times, low, high) in rounds.items()
    ]
    assert [one.is_noise for one in noisy] == [True, True, False, True]
    clear = [msgspec.structs.replace(one, store="json", low=1.05) for one in noisy if one.operation in ("list", "get")]
    beside = "beside 1,000 of them, not 10"
    assert list(scale._transcripts_in_words([*noisy, *clear])) == [
        f"sqlite, transcripts: {beside}, update takes 3 ms instead of 1 ms; list, get, put new: no difference beyond the noise",
        f"json, transcripts: {beside}, list takes 2 ms instead of 1 ms; get takes 120 ms instead of 1 ms",
    ]


def test_scale_grows_in_each_way_and_is_printed(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    ways = {
        "sessions": (Size(3), Size(6)),
        "entry_bytes": (Size(3, 1_000), Size(3, 2_000)),
        "transcripts": (Size(3, transcripts=1), Size(3, transcripts=2)),
    }
    monkeypatch.setattr(scale.Asked, "sizes", property(lambda _: ways))
    found = printed_json(call("bench", "scale", "--store", "sqlite", "--store", "naive", "--quick", "--json"))
    assert found["name"] == "scale"
    assert [(row["grows"], row["store"]) for row in found["tables"]["points"] if row["operation"] == "list"][::2] == [
        (way, kind) for way in ways for kind in ("naive", "sqlite")
    ]
    assert [len(found["tables"][name]) for name in ("points", "fits", "comfortable", "transcripts")] == [64, 32, 20, 12]
    assert all(value is None or isinstance(value, int | float | str) for row in found["tables"]["points"] for value in row.values())
    assert len(found["verdicts"]) == 6
    assert call("bench", "scale", "--quick", "--large").returncode == 2


def test_sizes_are_those_of_the_issue() -> None:
    counts = [size.sessions for size in scale.Asked(is_large=True).sizes["sessions"]]
    assert (counts[0], counts[-1], scale.Asked().sizes["sessions"][-1].sessions) == (100, 1_000_000, 100_000)
    assert [size.entry_bytes for size in scale.Asked().sizes["entry_bytes"]] == [1_000, 3_000, 10_000, 30_000, 100_000]
    assert (contention.SESSIONS, contention.WRITERS) == (1_159, (1, 2, 4, 8, 16))
    assert {"contention", "scale"} == {bench_load.contention.name, bench_load.scale.name}
