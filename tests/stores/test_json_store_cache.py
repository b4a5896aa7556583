"""What the JSON store keeps in memory, how often it reads its file, and what saves write (E.1 to E.31)."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sessionlab import codec
from sessionlab.stores import json_cache
from sessionlab.stores.json_cache import DEFAULT_LIMIT_BYTES, LIMIT_VARIABLE, TTL_VARIABLE, StateCache
from sessionlab.stores.json_file import JSONFileStore
from sessionlab.stores.json_state import Identity, State
from sessionlab.stores.json_store import JSONStore
from sessionlab.stores.snapshot import Snapshot
from tests.stores.sample_entries import ALPHA, BETA, GAMMA, NOW_MS, session, small_store

LARGE = {f"agent:main:{number}": session(number, payload="x" * 4_096) for number in range(320)}
"""About 1.3 MB, more than the default limit (E.8)."""


class Counts:
    """How often a store file was opened, and how often one was cut into its members."""

    def __init__(self) -> None:
        self.reads = self.parses = 0

    def during(self, act: Callable[[], object]) -> tuple[int, int]:
        """Return (reads, parses) while something is done."""
        self.reads = self.parses = 0
        act()
        return self.reads, self.parses


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch) -> Counts:
    """Count on from now; everything is done as usual."""
    counts = Counts()
    read, parse = JSONFileStore.open, codec.split_members

    def counted_read(*arguments: Any, **more: Any) -> JSONFileStore:
        counts.reads += 1
        return read(*arguments, **more)

    def counted_parse(*arguments: Any, **more: Any) -> Any:
        counts.parses += 1
        return parse(*arguments, **more)

    monkeypatch.setattr(JSONFileStore, "open", counted_read)
    monkeypatch.setattr(codec, "split_members", counted_parse)
    return counts


@pytest.fixture(autouse=True)
def usual_settings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv(LIMIT_VARIABLE, raising=False)
    monkeypatch.delenv(TTL_VARIABLE, raising=False)
    json_cache.forget_warnings()
    yield
    json_cache.forget_warnings()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sessions.json"


@pytest.fixture
def store(path: Path) -> JSONStore:
    return JSONStore(path, durable=False)


def settled(path: Path) -> None:
    """Wait until the file's last change is so long ago that its times prove it."""
    while not Identity.of(path.stat()).is_settled():
        time.sleep(0.005)


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


def changed_in_place(path: Path, data: bytes) -> None:
    with path.open("r+b") as file:
        file.write(data)


def replaced(path: Path, data: bytes) -> None:
    other = path.with_name("other")
    other.write_bytes(data)
    other.rename(path)


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


# -- saves without a difference


def photo(path: Path) -> tuple[int, int, int, bytes]:
    found = path.stat()
    return found.st_ino, found.st_mtime_ns, found.st_ctime_ns, path.read_bytes()


@pytest.mark.parametrize("content", [small_store(), LARGE], ids=["small", "oversized"])
def test_save_without_a_difference_writes_nothing(store: JSONStore, content: dict[str, Any]) -> None:
    """E.20: for oversized stores as well, and from whatever the caller holds."""
    store.save(content)
    before = photo(store.path)
    loaded = store.load()
    assert loaded[next(iter(loaded))]
    for same in (loaded, dict(loaded), dict(content), JSONStore(store.path).load()):
        assert not store.save(same)
    for key in list(content)[:2]:
        store.put(key, content[key])
    assert photo(store.path) == before


def test_save_of_what_was_stored_before_another_program_wrote_is_a_write(store: JSONStore, path: Path) -> None:
    """E.21 (a): what is kept in memory is not trusted without a look at the file."""
    store.save(small_store())
    loaded = store.load()
    path.write_bytes(codec.encode_indented({GAMMA: session(8)}))
    assert store.save(loaded)
    assert dict(JSONStore(path).items()) == small_store()


def test_snapshot_of_a_file_that_was_only_touched_is_used(store: JSONStore, path: Path, counts: Counts) -> None:
    """E.20, E.23: the bytes decide; and they are compared once, not every time."""
    for content in (small_store(), LARGE):
        store.save(content)
        for loaded in (store.load(), JSONStore(path).load()):
            os.utime(path, (1_000_000, 1_000_000))
            settled(path)
            assert counts.during(lambda base=loaded: store.save(base)) == (1, 0)  # type: ignore[misc]
            assert counts.during(lambda base=loaded: store.save(base)) == (0, 0)  # type: ignore[misc]


# -- updates with a base


def touch(draft: Snapshot) -> None:
    key = next(iter(draft))
    draft[key]["counter"] = draft[key].get("counter", 0) + 1


@pytest.mark.parametrize("content", [small_store(), LARGE], ids=["small", "oversized"])
def test_updates_in_a_row_with_one_base_parse_nothing(store: JSONStore, content: dict[str, Any], counts: Counts) -> None:
    """E.25, E.31."""
    store.save(content)
    base = store.load()
    for _ in range(3):
        assert counts.during(lambda: store.transform(touch, base=base)) == (0, 0)
    assert next(iter(base.values()))["counter"] == next(iter(content.values())).get("counter", 0) + 3
    assert store.path.read_bytes() == codec.encode_indented(dict(base)) == codec.encode_indented(dict(JSONStore(store.path).items()))


@pytest.mark.parametrize("content", [small_store(), LARGE], ids=["small", "oversized"])
def test_file_is_the_same_whatever_is_kept(tmp_path: Path, content: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """E.32: neither limit, nor age, nor a base has a say in the bytes."""

    def outcome(name: str, *, with_base: bool) -> list[bytes]:
        store, found = JSONStore(tmp_path / name, durable=False), []
        store.save(content)
        base = store.load() if with_base else None
        for change in (touch, lambda draft: draft.pop(next(iter(draft))), lambda draft: draft.update({"new": session()}), touch):
            store.transform(change, base=base)
            found.append(store.path.read_bytes())
        store.update("new", lambda _: {"label": "x"}, now_ms=NOW_MS)
        return [*found, store.path.read_bytes()]

    usual = outcome("usual", with_base=False)
    assert usual[-1] == codec.encode_indented(dict(JSONStore(tmp_path / "usual").items()))
    assert outcome("base", with_base=True) == usual
    for variable in (LIMIT_VARIABLE, TTL_VARIABLE):
        with monkeypatch.context() as here:
            here.setenv(variable, "0")
            assert outcome(f"{variable}-base", with_base=True) == outcome(variable, with_base=False) == usual


def test_base_of_a_file_just_written_by_another_program_is_compared_not_parsed(store: JSONStore, counts: Counts) -> None:
    """E.23 (a)."""
    store.path.write_bytes(codec.encode_indented(LARGE))
    base = store.load()
    reads, parses = counts.during(lambda: store.transform(touch, base=base))
    assert reads <= 1
    assert parses == 0


def test_concurrent_change_on_disk_survives(store: JSONStore, path: Path) -> None:
    """E.24: by another program, of the same size, in the same moment."""
    store.save({ALPHA: session(counter=0), BETA: session(counter=0)})
    base = store.load()
    path.write_bytes(path.read_bytes()[::-1].replace(b'0 :"retnuoc"', b'7 :"retnuoc"', 1)[::-1])
    found = store.transform(touch, base=base)
    assert found is not base
    assert {key: entry["counter"] for key, entry in store.items()} == {ALPHA: 1, BETA: 7}


def test_draft_of_a_base_whose_spellings_were_merged_is_loaded_anew(store: JSONStore, path: Path) -> None:
    """E.27: a store that a save normalises is not what the draft shows."""
    path.write_bytes(codec.encode_indented({"A:B:C": session(1), "a:b:c": session(2)}))
    base = store.load()
    found = store.transform(lambda draft: draft["a:b:c"].update(counter=9, updatedAt=NOW_MS), base=base)
    assert found is not base
    assert dict(found) == dict(store.items()) == {"a:b:c": session(2, counter=9, updatedAt=NOW_MS)}
    assert store.transform(touch, base=found) is found
    assert dict(store.items()) == dict(found)


def test_snapshot_shows_itself_in_a_line(store: JSONStore) -> None:
    assert repr(store.load()) == "<0 sessions, as loaded from no file>"
    store.save(LARGE)
    assert repr(store.load()).startswith("<320 sessions, as loaded from inode ")
    assert len(repr(store.load())) < 100


def test_file_that_changes_while_it_is_read_is_not_taken_for_certain(store: JSONStore, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading may take longer than a step of the clock: what counts is how old the file was before."""
    path.write_bytes(codec.encode_indented({ALPHA: session(counter=1)}))
    read = JSONFileStore.content

    def slow(reader: JSONFileStore) -> bytes:
        data = read(reader)
        settled(path)
        return data

    monkeypatch.setattr(JSONFileStore, "content", slow)
    origin = store.load().origin
    assert isinstance(origin, State)
    assert not origin.is_certain


def test_base_is_compared_while_the_clock_stands_still(store: JSONStore, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """E.23, E.24: a change in place, of the same size and in the same step of the clock, shows in nothing but the bytes."""
    monkeypatch.setattr(Identity, "of", lambda found: Identity(1, 1, found.st_size, 1, 1))
    monkeypatch.setattr(Identity, "is_settled", lambda _: False)
    path.write_bytes(codec.encode_indented({ALPHA: session(counter=0), BETA: session(counter=0)}))
    base = store.load()
    changed_in_place(path, codec.encode_indented({ALPHA: session(counter=0), BETA: session(counter=7)}))
    assert store.transform(touch, base=base) is not base
    assert {key: entry["counter"] for key, entry in store.items()} == {ALPHA: 1, BETA: 7}
