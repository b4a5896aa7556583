"""What the JSON store keeps in memory, and how often it reads its file (E.1 to E.19)."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sessionlab import codec
from sessionlab.stores import json_cache
from sessionlab.stores.json_cache import DEFAULT_LIMIT_BYTES, LIMIT_VARIABLE, TTL_VARIABLE, StateCache
from sessionlab.stores.json_state import Identity, State
from sessionlab.stores.json_store import JSONStore
from tests.stores.json_files import LARGE, Counts, changed_in_place, replaced, settled
from tests.stores.sample_entries import ALPHA, BETA, session, small_store

pytestmark = pytest.mark.usefixtures("usual_cache_settings")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sessions.json"


@pytest.fixture
def store(path: Path) -> JSONStore:
    return JSONStore(path, durable=False)


# -- settings


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        *[(None, 1_000_000), ("0", 0), ("1024", 1_024), (" 2000000 ", 2_000_000)],
        *[(text, 1_000_000) for text in ("-1", "not-a-number", "", "1.5", "1e6", "\u0663")],
    ],
)
def test_limit_is_a_whole_number_or_the_default(monkeypatch: pytest.MonkeyPatch, text: str | None, limit: int) -> None:
    """E.5, E.1 of the settings: read at use."""
    if text is not None:
        monkeypatch.setenv(LIMIT_VARIABLE, text)
    assert json_cache.limit() == limit


@pytest.mark.parametrize(("text", "ttl_ms"), [(None, 45_000), ("0", 0), ("10", 10), ("-5", 45_000), ("5s", 45_000)])
def test_age_is_a_whole_number_or_the_default(monkeypatch: pytest.MonkeyPatch, text: str | None, ttl_ms: int) -> None:
    """E.5."""
    if text is not None:
        monkeypatch.setenv(TTL_VARIABLE, text)
    assert json_cache.ttl_ms() == ttl_ms


# -- the cache


def test_two_loads_after_a_small_save_read_nothing(store: JSONStore, counts: Counts) -> None:
    """E.3: nor does a get."""
    store.save(small_store())
    assert counts.during(lambda: [store.load(), store.load(), store.get(ALPHA)]) == (0, 0)
    assert dict(store.load()) == small_store()


def test_first_look_reads_and_the_next_does_not(path: Path, store: JSONStore, counts: Counts) -> None:
    JSONStore(path).save(small_store())
    settled(path)
    assert counts.during(lambda: store.get(ALPHA)) == (1, 1)
    assert counts.during(lambda: [store.get(BETA), store.load()]) == (0, 0)


def test_loads_are_independent(store: JSONStore) -> None:
    """E.2."""
    store.save(small_store())
    for found in (store.load(), store.load()):
        found[ALPHA].clear()
        del found[BETA]
        entry = store.get(ALPHA)
        assert entry == small_store()[ALPHA]
        entry.clear()
    assert dict(store.load()) == small_store()


@pytest.mark.parametrize("write", [changed_in_place, replaced])
@pytest.mark.parametrize("after_ms", [0, 30])
def test_change_by_another_program_is_seen_at_once(
    store: JSONStore, path: Path, write: Callable[[Path, bytes], None], after_ms: int
) -> None:
    """E.1, E.4: though the size is the same, and the moment may be."""
    for counter in range(1, 6):
        store.save({ALPHA: session(counter=0)})
        assert (store.load()[ALPHA]["counter"], (store.get(ALPHA) or {})["counter"]) == (0, 0)
        time.sleep(after_ms / 1000)
        write(path, path.read_bytes().replace(b'"counter": 0', b'"counter": %d' % counter))
        assert (store.load()[ALPHA]["counter"], (store.get(ALPHA) or {})["counter"]) == (counter, counter)


def test_file_that_was_changed_a_moment_ago_is_not_kept(store: JSONStore, path: Path) -> None:
    """Its times do not tell another change at once: the kernel's clock comes in steps."""
    for counter in range(50):
        path.write_bytes(codec.encode_indented({ALPHA: session(counter=counter % 10)}))
        assert store.load()[ALPHA]["counter"] == counter % 10


def test_age_ends_what_is_kept() -> None:
    """E.1, E.18, E.19: later than the time that was set, not at it."""
    now = [100.0]
    path = Path("sessions.json")
    cache = StateCache(path, clock=lambda: now[0])
    state = State({}, Identity(1, 2, 3, 4, 5))
    os.environ[TTL_VARIABLE] = "10"
    try:
        cache.put(state)
        assert cache.get(state.identity) is state
        now[0] += 0.0099
        assert cache.get(state.identity) is state
        now[0] += 0.0011
        assert cache.get(state.identity) is None
        now[0] -= 0.0110
        assert cache.get(state.identity) is None, "what was dropped must not come back"
    finally:
        del os.environ[TTL_VARIABLE]


def test_without_age_every_load_reads(store: JSONStore, counts: Counts, monkeypatch: pytest.MonkeyPatch) -> None:
    """E.6."""
    monkeypatch.setenv(TTL_VARIABLE, "0")
    store.save(small_store())
    assert counts.during(lambda: [store.load(), store.load()]) == (2, 2)


def test_another_file_is_not_answered_for() -> None:
    """E.1, E.4: every part of the identity counts, and what does not fit is dropped."""
    identity = Identity(1, 2, 3, 4, 5)
    for place in range(5):
        cache = StateCache(Path("sessions.json"))
        cache.put(State({}, identity))
        other = Identity(*(number + (index == place) for index, number in enumerate(identity)))
        assert cache.get(other) is None
        assert cache.get(identity) is None
    cache.put(State({}, identity, is_certain=False))
    assert cache.get(identity) is None


# -- the limit


def test_store_above_the_default_limit_is_read_on_each_load(store: JSONStore, path: Path, counts: Counts) -> None:
    """E.7, E.8."""
    store.save(LARGE)
    assert DEFAULT_LIMIT_BYTES < path.stat().st_size < 2_000_000
    assert counts.during(lambda: [store.load(), store.load()]) == (2, 2)


def test_limit_of_nothing_reads_even_a_small_store(store: JSONStore, counts: Counts, monkeypatch: pytest.MonkeyPatch) -> None:
    """E.9."""
    monkeypatch.setenv(LIMIT_VARIABLE, "0")
    store.save(small_store())
    assert counts.during(lambda: [store.load(), store.load()]) == (2, 2)


def test_raised_limit_keeps_a_large_store(store: JSONStore, counts: Counts, monkeypatch: pytest.MonkeyPatch) -> None:
    """E.10."""
    monkeypatch.setenv(LIMIT_VARIABLE, "2000000")
    store.save(LARGE)
    assert counts.during(lambda: [store.load(), store.load()]) == (0, 0)


def test_store_that_grows_past_the_limit_is_dropped_at_once(store: JSONStore, counts: Counts, monkeypatch: pytest.MonkeyPatch) -> None:
    """E.11, E.14."""
    monkeypatch.setenv(LIMIT_VARIABLE, "20000")
    store.save(small_store())
    assert counts.during(store.load) == (0, 0)
    store.put(ALPHA, session(payload="x" * 30_000))
    monkeypatch.setenv(LIMIT_VARIABLE, "2000000")
    settled(store.path)
    assert counts.during(lambda: [store.load(), store.load()]) == (1, 1)


def test_lowered_limit_drops_what_is_kept(store: JSONStore, counts: Counts, monkeypatch: pytest.MonkeyPatch) -> None:
    """E.7, E.14."""
    store.save(small_store())
    monkeypatch.setenv(LIMIT_VARIABLE, "100")
    assert counts.during(store.load) == (1, 1)
    monkeypatch.delenv(LIMIT_VARIABLE)
    settled(store.path)
    assert counts.during(lambda: [store.load(), store.load()]) == (1, 1)


def test_loading_an_oversized_file_keeps_nothing(store: JSONStore, counts: Counts, monkeypatch: pytest.MonkeyPatch) -> None:
    """E.12."""
    JSONStore(store.path).save(LARGE)
    settled(store.path)
    store.load()
    monkeypatch.setenv(LIMIT_VARIABLE, "2000000")
    assert counts.during(store.load) == (1, 1)
    assert counts.during(store.load) == (0, 0)


def test_limit_is_on_the_files_bytes_exactly(store: JSONStore, counts: Counts, monkeypatch: pytest.MonkeyPatch) -> None:
    """E.7 (strictly larger), E.13."""
    store.save({ALPHA: session()})
    size = store.path.stat().st_size
    assert size < 1_024
    settled(store.path)
    for limit, reads in ((1_024, 0), (size, 0), (size - 1, 2)):
        monkeypatch.setenv(LIMIT_VARIABLE, str(max(limit, size)))
        store.load()
        monkeypatch.setenv(LIMIT_VARIABLE, str(limit))
        assert counts.during(lambda: [store.load(), store.load()]) == (reads, reads)


# -- the warning


@pytest.mark.parametrize("first", ["load", "save"])
def test_large_store_is_warned_about_once(path: Path, caplog: pytest.LogCaptureFixture, first: str) -> None:
    """E.15, E.16: whatever the first access is, and whichever object makes it."""
    if first == "load":
        path.write_bytes(codec.encode_indented(LARGE))
        JSONStore(path).load()
    else:
        JSONStore(path).save(LARGE)
    JSONStore(path).load()
    JSONStore(path).put(ALPHA, session())
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("sessions/store", logging.WARNING)
    assert record.getMessage() == "session object cache disabled for large store"
    fields = vars(record)
    assert (fields["storePath"], fields["limitBytes"], fields["envVar"]) == (str(path), 1_000_000, LIMIT_VARIABLE)
    assert 1_000_000 < fields["sizeBytes"] <= path.stat().st_size
    json_cache.forget_warnings()
    JSONStore(path).load()
    assert len(caplog.records) == 2


def test_each_path_is_warned_about(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """E.16."""
    for name in ("a", "b"):
        JSONStore(tmp_path / name).save(LARGE)
    assert [vars(record)["storePath"] for record in caplog.records] == [str(tmp_path / "a"), str(tmp_path / "b")]


@pytest.mark.parametrize("variable", [LIMIT_VARIABLE, TTL_VARIABLE])
def test_store_that_is_not_to_be_kept_is_not_warned_about(
    store: JSONStore, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """E.9, E.17."""
    monkeypatch.setenv(variable, "0")
    store.save(LARGE)
    store.load()
    assert caplog.records == []


def test_small_store_is_not_warned_about(store: JSONStore, caplog: pytest.LogCaptureFixture) -> None:
    """E.16."""
    store.save(small_store())
    store.load()
    assert caplog.records == []
