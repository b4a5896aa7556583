"""One state folder's sessions in every kind of store: the same content, the same answers, and what an update writes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from sessionlab.bench.side_by_side import SideBySide, side_by_side
from sessionlab.lab import figures, findings
from sessionlab.lab.figures import tables
from tests.fixture_states import photo
from tests.lab.loaded_mirror import NOW_MS
from tests.lab.states import write_store

STORES = ["sessions.json", "sessions.sqlite", "sessions.d"]


@pytest.fixture
def stores(state: Path) -> Iterator[SideBySide]:
    before = photo(state)
    made = side_by_side(state, now_ms=NOW_MS)
    yield made
    made.close()
    assert photo(state) == before


def test_every_store_holds_the_same(stores: SideBySide) -> None:
    contents = stores.contents()
    assert contents["store"].tolist() == STORES
    assert set(contents["sessions"]) == set(contents["given"]) == {5}
    assert len(set(contents["fingerprint"])) == 1
    assert contents["files"].tolist() == [2, 2, 2 + 5]
    assert findings.same_content(contents) == "Each of the 3 stores holds the same 5 sessions: their fingerprints are equal."
    assert tables.contents_table(contents)["Sessions"].tolist() == ["5", "5", "5"]


def test_every_store_answers_the_same_but_for_bytes(stores: SideBySide) -> None:
    answers = stores.answers(["stale_share", "cron_jobs"])
    assert answers["query"].tolist() == ["stale_share", "cron_jobs"]
    assert set(answers["stores"]) == {3}
    assert all("bytes" in column for text in answers["differs_in"] for column in text.split(", ") if column)
    assert "give the same answer in every store, but for the bytes of entries" in findings.same_answers(answers)


def test_an_update_writes_a_whole_file_only_where_the_store_is_one(stores: SideBySide) -> None:
    writes = stores.writes()
    whole, pages, one = writes["written_bytes"].tolist()
    assert whole >= writes["bytes"][0]
    assert 0 < pages < 10 * 4200
    assert 0 < one < 1000
    assert findings.updates(writes).endswith("`sessions.json` is written anew each time, whatever changed.")
    assert figures.bytes_per_update(writes).layout.meta["alt"].startswith("sessions.sqlite writes the most")


def test_one_agent_may_be_chosen(state: Path) -> None:
    made = side_by_side(state, agent="ops", now_ms=NOW_MS)
    assert set(made.contents()["sessions"]) == {2}
    made.close()
    made.close()


def test_times_and_memory_have_a_row_for_each_store(stores: SideBySide) -> None:
    times, memory = stores.times(rounds=2), stores.memory()
    assert [tuple(row) for row in times[["store", "operation"]].to_numpy()] == [
        (store, operation) for store in STORES for operation in ("list all", "get one", "update one")
    ]
    assert (times["median_ms"] > 0).all()
    assert memory["store"].tolist() == STORES
    assert (memory["peak_mb"] >= 0).all()
    assert "On this machine an update is fastest in" in findings.timed(times, memory)
    for drawn in (figures.operation_times(times), figures.listing_memory(memory)):
        assert drawn.layout.meta["alt"]


def test_empty_store_has_nothing_to_measure(tmp_path: Path) -> None:
    write_store(tmp_path, "main", {})
    made = side_by_side(tmp_path, now_ms=NOW_MS)
    assert set(made.contents()["sessions"]) == {0}
    assert findings.updates(made.writes()) == findings.timed(made.times(), made.memory()) == "The store holds no session in this selection."
    made.close()


def test_stores_that_differ_are_said_to() -> None:
    contents = pd.DataFrame({"store": STORES, "sessions": [3, 3, 2], "given": 4, "fingerprint": ["a", "a", "b"], "files": 1, "bytes": 1})
    assert findings.same_content(contents).startswith("**The stores do not hold the same**")
    assert "(of 4: spellings" in findings.same_content(contents.assign(fingerprint="a"))
    answers = pd.DataFrame({"query": ["a", "b"], "rows": 1, "stores": 3, "differs_in": ["bytes", "sessions, kind"]})
    assert findings.same_answers(answers) == "**The stores do not answer alike**: they differ in kind and sessions."
    assert findings.same_answers(answers.assign(differs_in="")) == "All 2 queries give the same answer in every store, value by value."
