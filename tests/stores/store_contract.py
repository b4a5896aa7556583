"""What every store that lies in files promises. A backend's test subclasses `StoreContract`, and reads and writes its files in another way.

A subclass sets `backend` and overrides the five methods that raise `NotImplementedError`; `tests/torture/test_plain_store.py` is the
shortest example. They use `json`, `sqlite3` and `os` only, never the store.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import stat
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar

import pytest

from sessionlab.entry import Entry, summary_of
from sessionlab.errors import CorruptStoreError, SessionLabError, StoreError, StoreLockedError
from sessionlab.stores.base import Fingerprint
from sessionlab.stores.memory import MemoryStore
from sessionlab.stores.writing import WritableStore
from tests.fixture_states import photo
from tests.stores.sample_entries import ALPHA, BETA, EXACT, GAMMA, HOSTILE_BYTES, NOW_MS, session, small_store
from tests.stores.semantics_contract import BoomError, boom
from tests.stores.snapshot_contract import SnapshotContract, touch
from tests.stores.test_reading_contract import independent_digest
from tests.torture.backends import Backend

INCREMENT = """
print("ready", flush=True)
sys.stdin.readline()
key, times = sys.argv[2], int(sys.argv[3])
for _ in range(times):
    assert store.update(key, lambda entry: {"counter": entry["counter"] + 1}, now_ms=1) is not None
"""
HOLD = """
def change(entry):
    print("held", flush=True)
    sys.stdin.readline()
    return {"counter": 1}
store.update(sys.argv[2], change, now_ms=1)
"""
Damage = Callable[[Path], None]

_opened: list[str] | None = None


def _note_opened(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open" and _opened is not None:
        _opened.append(str(arguments[0]))


sys.addaudithook(_note_opened)


class StoreContract(SnapshotContract):
    """Every promise of `WritableStore`, for a store in files."""

    backend: ClassVar[Backend]
    plants_spellings: ClassVar[bool] = True
    """Whether its files may hold keys that are not trimmed and in lower case, as those of other programs do."""

    # -- what a subclass says

    def impatient(self, path: Path, *, timeout_ms: int) -> WritableStore:
        """Return the store at a path, made so that it waits this long for its lock."""
        raise NotImplementedError

    def read(self, path: Path) -> dict[str, bytes]:
        """Return key -> entry bytes as stored, in the store's own order."""
        raise NotImplementedError

    def plant(self, path: Path, entries: Mapping[str, bytes]) -> None:
        """Put these bytes as entries into an existing store, as another program would; they need not be JSON."""
        raise NotImplementedError

    def files(self, path: Path) -> list[Path]:
        """Return the files that hold the content: not locks, and nothing that the next reader may make anew."""
        raise NotImplementedError

    def damages(self) -> Mapping[str, Damage]:
        """Return name -> what makes a filled store unreadable as a whole: bytes cut, overwritten, another format, a folder in its place."""
        raise NotImplementedError

    # -- what follows from it

    def make(self, path: Path) -> WritableStore:
        """Return a store object on a path."""
        return self.backend.make(path)

    def fresh(self, folder: Path) -> WritableStore:
        return self.make(folder / self.backend.file_name)

    def content(self, path: Path) -> dict[str, Entry]:
        """Return key -> entry, read without the store."""
        return {key: json.loads(raw) for key, raw in self.read(path).items()}

    def bytes_of(self, path: Path) -> dict[str, tuple[int, int, int, bytes]]:
        """Return path -> (inode, mode, mtime in ns, bytes) of the files that hold the content."""
        found = {}
        for file in self.files(path):
            about = file.stat()
            found[str(file)] = (about.st_ino, about.st_mode, about.st_mtime_ns, file.read_bytes())
        return found

    # -- files

    def test_another_program_reads_what_was_written(self, filled: WritableStore) -> None:
        """B.4, B.5, F.4: in the store's own order, byte for byte what `raw_items` gives."""
        filled.save(small_store() | EXACT)
        filled.put(GAMMA, session(3))
        filled.update(ALPHA, lambda _: {"counter": 1}, now_ms=NOW_MS)
        filled.delete("numbers")
        assert dict(filled.raw_items()) == self.read(filled.path)
        assert list(filled.items()) == list(self.content(filled.path).items())

    def test_what_another_program_wrote_is_read_at_once(self, filled: WritableStore) -> None:
        """C.16, E.1: also when neither size nor seconds tell it."""
        assert filled.get(ALPHA) == small_store()[ALPHA]
        loaded = filled.load()
        for counter in (3, 4):
            entry = small_store()[ALPHA] | {"counter": counter}
            self.plant(filled.path, {ALPHA: json.dumps(entry).encode(), "agent:main:planted": b'{"sessionId":"p","updatedAt":1}'})
            assert filled.get(ALPHA) == dict(filled.items())[ALPHA] == dict(filled.load())[ALPHA] == entry
            assert filled.count() == 4
            expected = small_store() | {ALPHA: entry, "agent:main:planted": {"sessionId": "p", "updatedAt": 1}}
            assert filled.fingerprint() == Fingerprint(4, independent_digest(expected))
            assert {row.key: row for row in filled.summaries()} == {key: summary_of(key, entry) for key, entry in expected.items()}
        assert filled.transform(touch, base=loaded) is not loaded
        assert self.content(filled.path)["agent:main:planted"] == {"sessionId": "p", "updatedAt": 1}
        assert self.content(filled.path)[ALPHA]["counter"] == 5

    def test_spellings_of_one_session_are_found_and_merged_when_written(self, filled: WritableStore) -> None:
        """F.14, D.30: the newest counts; writing the session, or removing it, removes them all."""
        if not self.plants_spellings:
            pytest.skip(f"a {self.kind} store holds one spelling only")
        spellings = {
            key: json.dumps(session(number)).encode()
            for key, number in (("a:B:c", 3), ("A:b:c", 1), ("a:b:c", 2), ("d:E:f", 4), ("D:e:f", 5))
        }
        self.plant(filled.path, spellings)
        assert filled.count() == 8
        assert filled.get("A:B:C") == session(1)
        assert filled.updated_at("a:b:c") == session(1)["updatedAt"]
        assert {problem.code for problem in filled.check()} >= {"case_variant_keys"}
        assert filled.update("a:b:c", lambda _: {"counter": 1}, now_ms=NOW_MS) == session(1, counter=1, updatedAt=NOW_MS)
        assert self.content(filled.path).keys() == {*small_store(), "a:b:c", "d:E:f", "D:e:f"}
        assert filled.delete("d:e:f")
        assert self.content(filled.path) == small_store() | {"a:b:c": session(1, counter=1, updatedAt=NOW_MS)}

    def test_two_store_objects_see_each_others_writes_at_once(self, filled: WritableStore) -> None:
        """D.36."""
        with self.make(filled.path) as other:
            for counter in range(1, 5):
                writer, reader = (filled, other) if counter % 2 else (other, filled)
                writer.update(ALPHA, lambda entry: {"counter": entry["counter"] + 1}, now_ms=NOW_MS)
                assert (reader.get(ALPHA) or {})["counter"] == counter
                assert dict(reader.load())[ALPHA]["counter"] == counter
                assert next(reader.summaries()).updated_ms == NOW_MS
                assert reader.fingerprint() == writer.fingerprint()
                writer.put(f"agent:main:{counter}", session())
                assert reader.count() == writer.count() == 3 + counter
                assert reader.delete(f"AGENT:main:{counter}" if counter > 2 else "agent:main:absent") is (counter > 2)
                writer.put(f"agent:main:{counter}", session())

    def test_what_was_written_outlives_the_store_object(self, filled: WritableStore) -> None:
        filled.close()
        filled.close()
        with self.make(filled.path) as again:
            self.unchanged(again, small_store())

    @pytest.mark.parametrize("umask", [0o000, 0o022, 0o077], ids=oct)
    def test_files_are_private_whatever_the_umask(self, tmp_path: Path, umask: int) -> None:
        """B.43, C.43, D.43: 0600 and 0700, in a folder that the store makes as well."""
        before = os.umask(umask)
        try:
            with self.make(tmp_path / "new" / self.backend.file_name) as store:
                store.save(small_store())
                store.put(ALPHA, session())
                store.update(BETA, lambda _: {"counter": 1}, now_ms=NOW_MS)
                modes = {path: stat.S_IMODE(path.lstat().st_mode) for path in (tmp_path / "new").rglob("*")}
            assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700
        finally:
            os.umask(before)
        assert store.path in modes
        assert {path: oct(mode) for path, mode in modes.items() if mode != (0o700 if path.is_dir() else 0o600)} == {}

    def test_only_the_stores_own_files_are_made(self, filled: WritableStore) -> None:
        """D.43: no leftover stays, and every name begins with the store's."""
        filled.put(ALPHA, session())
        filled.delete(BETA)
        filled.close()
        assert {path.name for path in filled.path.parent.iterdir() if not path.name.startswith(filled.path.name)} == set()
        assert list(filled.path.parent.rglob("*.tmp")) == []

    def test_transcripts_are_never_opened_or_touched(self, filled: WritableStore) -> None:
        """B.44, F.25: neither those that entries name nor the others beside the store."""
        folder = filled.path.parent
        for name in ("id-1.jsonl", "id-2.jsonl", "id-9-topic-5.jsonl", "id-1.jsonl.deleted.2026-01-01T00-00-00Z", "notes.txt"):
            (folder / name).write_text("not a transcript at all\n", encoding="utf-8")
        beside = {path: photo(path) for path in folder.iterdir() if path.suffix != ".lock" and not path.name.startswith(filled.path.name)}
        global _opened  # noqa: PLW0603 - an audit hook cannot be taken away again
        _opened = []
        try:
            filled.put(ALPHA, session())
            filled.update(BETA, lambda _: {"counter": 1}, now_ms=NOW_MS)
            filled.transform(touch)
            filled.delete(GAMMA)
            filled.save(small_store())
            assert (len(list(filled.items())), len(list(filled.summaries())), filled.check()) == (3, 3, ())
            filled.fingerprint()
            filled.stats()
        finally:
            names, _opened = _opened, None
        assert {name for name in names if ".jsonl" in name or "notes" in name} == set()
        assert {path: photo(path) for path in beside} == beside
        assert len(beside) >= 5

    # -- what must write nothing

    def test_reading_leaves_every_byte_time_and_mode(self, filled: WritableStore) -> None:
        """B.38: neither opening, reading nor closing creates or writes anything."""
        filled.close()
        folder = filled.path.parent
        before = photo(folder)
        for _ in range(2):
            with self.make(filled.path) as store:
                self.read_all(store)
                assert photo(folder) == before
            assert photo(folder) == before

    def test_reading_a_missing_store_creates_nothing(self, tmp_path: Path) -> None:
        """B.3, D.47."""
        before = photo(tmp_path)
        for folder in (tmp_path, tmp_path / "absent"):
            with self.make(folder / self.backend.file_name) as store:
                self.read_all(store)
                assert (store.count(), dict(store.load()), store.check(), store.stats().store_bytes) == (0, {}, (), 0)
            assert photo(tmp_path) == before

    def read_all(self, store: WritableStore) -> None:
        """Read in every way there is."""
        for everything in (store.items, store.raw_items, store.summaries):
            assert sum(1 for _ in everything()) == store.count() == len(store.load())
        store.get(ALPHA)
        store.updated_at(ALPHA)
        store.get("agent:main:absent")
        store.stats()
        store.check()
        store.examine()
        assert store.fingerprint().count == store.count()

    def test_what_changes_nothing_writes_nothing(self, filled: WritableStore) -> None:
        """C.15, C.38, E.20: no byte, time, inode or mode of the content, nor a version in it."""
        base = filled.load()
        assert base[ALPHA]
        before = self.bytes_of(filled.path)
        assert not filled.save(small_store())
        assert not filled.save(filled.load())
        assert not filled.save(dict(reversed(list(small_store().items()))))
        assert filled.transform(lambda _: None, base=base) is base
        filled.transform(lambda draft: draft.update({ALPHA: small_store()[ALPHA]}))
        filled.update(ALPHA, lambda _: None, now_ms=NOW_MS)
        filled.update("agent:main:absent", boom, now_ms=NOW_MS)
        filled.delete("agent:main:absent")
        assert self.bytes_of(filled.path) == before
        assert before

    def test_what_raises_writes_nothing(self, filled: WritableStore) -> None:
        """B.6, C.24."""
        before = self.bytes_of(filled.path)
        for attempt in (
            lambda: filled.update(ALPHA, boom, now_ms=NOW_MS),
            lambda: filled.update(ALPHA, lambda _: {"x": float("nan")}, now_ms=NOW_MS),
            lambda: filled.transform(boom),
            lambda: filled.put(ALPHA, {}),
            lambda: filled.put("__proto__", session()),
            lambda: filled.save({"agent:main:new": session(), ALPHA: {}}),
        ):
            with pytest.raises((BoomError, SessionLabError)):
                attempt()
            assert self.bytes_of(filled.path) == before
        with self.impatient(filled.path, timeout_ms=1_000) as other:
            other.put("agent:main:new", session())  # the lock is free

    # -- bytes that are no store

    def attempts(self, store: WritableStore, key: str) -> dict[str, Callable[[], Any]]:
        """Return every way to read or write one session or all of them."""
        return {
            "get": lambda: store.get(key),
            "updated_at": lambda: store.updated_at(key),
            "items": lambda: list(store.items()),
            "load": lambda: dict(store.load()),
            "fingerprint": store.fingerprint,
            "update": lambda: store.update(key, lambda _: {"counter": 1}, now_ms=NOW_MS),
            "save": lambda: store.save({key: session(5)}),
            "transform": lambda: store.transform(lambda draft: draft[key].update(counter=1)),
        }

    def more_attempts(self, store: WritableStore, key: str) -> dict[str, Callable[[], Any]]:
        """Return the ways that need not look at every entry."""
        return {
            "raw_items": lambda: list(store.raw_items()),
            "summaries": lambda: list(store.summaries()),
            "count": store.count,
            "stats": store.stats,
            "put": lambda: store.put(key, session()),
            "put-new": lambda: store.put("agent:main:new", session()),
            "delete": lambda: store.delete(key),
            "save-nothing": lambda: store.save({}),
        }

    def test_store_that_is_damaged_is_never_shown_as_empty_nor_overwritten(self, tmp_path: Path) -> None:
        """B.8, B.19, B.21, D.47: every reading and every writing raises, and not one byte changes."""
        assert self.damages()
        for name, damage in self.damages().items():
            path = tmp_path / name / self.backend.file_name
            path.parent.mkdir()
            with self.make(path) as store:
                store.save(small_store())
            damage(path)
            kept = {str(file): file.read_bytes() for file in path.parent.rglob("*") if file.is_file() and file in self.files(path)}
            with self.make(path) as store:
                for way, attempt in (self.attempts(store, ALPHA) | self.more_attempts(store, ALPHA)).items():
                    with pytest.raises(StoreError) as caught:
                        pytest.fail(f"{name}: {way} gave {attempt()!r}")
                    assert caught.value.exit_code in (3, 10, 12), (name, way)
                    assert str(path) in str(caught.value), (name, way)
                with contextlib.suppress(StoreError):
                    assert {problem.severity for problem in store.check()} >= {"error"}, name
            assert {str(file): file.read_bytes() for file in self.files(path) if file.is_file()} == kept, name

    @pytest.mark.parametrize("name", HOSTILE_BYTES)
    def test_entry_that_is_no_json_object_raises_and_stays(self, filled: WritableStore, name: str) -> None:
        """T8, B.4, C.8: what cannot be read as an entry is neither skipped nor overwritten nor taken for something else."""
        self.plant(filled.path, {ALPHA: HOSTILE_BYTES[name]})
        before = {str(file): file.read_bytes() for file in self.files(filled.path)}
        with self.make(filled.path) as store:
            for way, attempt in self.attempts(store, ALPHA).items():
                with pytest.raises(CorruptStoreError):
                    pytest.fail(f"{way} gave {str(attempt())[:200]}")
            with contextlib.suppress(CorruptStoreError):
                assert {problem.severity for problem in store.check()} >= {"error"}
        assert {str(file): file.read_bytes() for file in self.files(filled.path)} == before

    def test_link_in_the_stores_place_is_refused_or_followed_never_replaced(self, tmp_path: Path) -> None:
        """T8: replacing it would leave two stores, one of them forgotten."""
        (tmp_path / "real").mkdir()
        (tmp_path / "linked").mkdir()
        real = tmp_path / "real" / self.backend.file_name
        link = tmp_path / "linked" / self.backend.file_name
        with self.make(real) as store:
            store.save(small_store())
        link.symlink_to(real)
        before = self.content(real)
        with self.make(link) as store:
            try:
                store.put("agent:main:new", session())
            except SessionLabError:
                assert self.content(real) == before
            else:
                assert self.content(real) == before | {"agent:main:new": session()}
                assert store.get("agent:main:new") == session()
        assert link.is_symlink()

    def test_link_that_leads_nowhere_is_no_empty_store(self, tmp_path: Path) -> None:
        """T8: written through, it would make a store wherever it points."""
        target = tmp_path / "elsewhere"
        path = tmp_path / self.backend.file_name
        path.symlink_to(target)
        with self.make(path) as store, contextlib.suppress(SessionLabError):
            store.put(ALPHA, session())
            assert store.get(ALPHA) == session()
        assert not target.exists()

    # -- many at once

    @pytest.mark.parametrize("shared", [True, False], ids=["one-object", "ten-objects"])
    def test_ten_threads_lose_no_update(self, store: WritableStore, shared: bool) -> None:  # noqa: FBT001 - pytest's
        """D.30, D.36: 10 threads, 50 increments each, on one entry and on an entry each."""
        store.save({ALPHA: session(1)} | {f"agent:main:{number}": session(1) for number in range(10)})

        def work(number: int) -> None:
            with contextlib.nullcontext(store) if shared else self.make(store.path) as mine:
                for _ in range(25):
                    mine.update(ALPHA, lambda entry: {"counter": entry["counter"] + 1}, now_ms=1)
                    mine.update(f"agent:main:{number}", lambda entry: {"counter": entry["counter"] + 1}, now_ms=1)

        with ThreadPoolExecutor(10) as pool:
            list(pool.map(work, range(10)))
        with self.make(store.path) as again:
            counters = {key: entry["counter"] for key, entry in again.items()}
        assert counters == {ALPHA: 250} | {f"agent:main:{number}": 25 for number in range(10)}

    def test_three_patches_at_once_all_survive(self, filled: WritableStore) -> None:
        """D.36."""
        meeting = threading.Barrier(3)

        def patch(name: str) -> None:
            meeting.wait()
            filled.update(ALPHA, lambda _: {name: name}, now_ms=NOW_MS)

        with ThreadPoolExecutor(3) as pool:
            list(pool.map(patch, ("one", "two", "three")))
        assert (filled.get(ALPHA) or {}).items() >= {"one": "one", "two": "two", "three": "three"}.items()

    @pytest.mark.parametrize("one_entry", [True, False], ids=["one-entry", "an-entry-each"])
    def test_eight_processes_lose_no_update(self, store: WritableStore, one_entry: bool) -> None:  # noqa: FBT001 - pytest's
        """D.38 and the lost-update freedom of section G: 8 processes, 50 increments each."""
        keys = [ALPHA if one_entry else f"agent:main:{number}" for number in range(8)]
        store.save({key: session(1) for key in keys})
        processes = [self.backend.start(store.path, INCREMENT, key, "50") for key in keys]
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n", process.communicate()[1]
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        ends = [(process.communicate(timeout=120)[1], process.returncode) for process in processes]
        assert ends == [("", 0)] * 8
        assert [entry["counter"] for _, entry in store.items()] == ([400] if one_entry else [50] * 8)
        assert {key: entry["counter"] for key, entry in self.content(store.path).items()} == dict.fromkeys(keys, 400 if one_entry else 50)

    # -- the lock

    @contextlib.contextmanager
    def held(self, path: Path) -> Iterator[Any]:
        """Let another process hold the store's lock, in the middle of an update of ALPHA that sets its counter to 1."""
        holder = self.backend.start(path, HOLD, ALPHA)
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n", holder.communicate()[1]
        try:
            yield holder
        finally:
            holder.kill()
            holder.communicate()

    def test_lock_that_is_not_had_in_time_is_an_error_and_nothing_is_done_later(self, filled: WritableStore) -> None:
        """D.33, D.34, B.20: after about the time that was set, for every way to write; readers go on meanwhile."""
        late: list[Any] = []
        with self.impatient(filled.path, timeout_ms=150) as store, self.held(filled.path) as holder:
            before = self.bytes_of(filled.path)
            for attempt in (
                lambda: store.update(ALPHA, late.append, now_ms=NOW_MS),
                lambda: store.put("agent:main:late", session()),
                lambda: store.delete(BETA),
                lambda: store.save({}),
                lambda: store.transform(lambda draft: late.append(dict(draft))),
            ):
                begun = time.monotonic()
                with pytest.raises(StoreLockedError) as caught:
                    attempt()
                assert 0.1 < time.monotonic() - begun < 5
                assert str(filled.path) in str(caught.value)
            assert dict(store.items()) == small_store()
            assert self.bytes_of(filled.path) == before
            assert holder.communicate("go on\n", timeout=30) == ("", "")
            assert holder.returncode == 0
            store.put("agent:main:new", session())
        assert late == []
        held = small_store()[ALPHA] | {"counter": 1}
        assert self.content(filled.path) == small_store() | {ALPHA: held, "agent:main:new": session()}

    def test_lock_held_by_a_thread_is_waited_for_in_time_only(self, filled: WritableStore) -> None:
        """D.34, D.35: what has begun is not interrupted, what waits in vain never runs."""
        late: list[Any] = []
        begun, go_on = threading.Event(), threading.Event()

        def slow(_: Entry) -> dict[str, Any]:
            begun.set()
            assert go_on.wait(30)
            return {"counter": 1}

        with self.impatient(filled.path, timeout_ms=100) as store, ThreadPoolExecutor(4) as pool:
            holder = pool.submit(store.update, ALPHA, slow, now_ms=NOW_MS)
            assert begun.wait(30)
            try:
                waiting = [pool.submit(store.update, BETA, late.append, now_ms=NOW_MS) for _ in range(3)]
                for one in waiting:
                    assert isinstance(one.exception(30), StoreLockedError)
                with self.impatient(filled.path, timeout_ms=100) as other, pytest.raises(StoreLockedError):
                    other.put(BETA, session())
            finally:
                go_on.set()
            assert (holder.result(30) or {})["counter"] == 1
            store.put("agent:main:new", session())
        assert late == []
        assert self.content(filled.path)[BETA] == small_store()[BETA]

    def test_lock_of_a_holder_that_died_is_free(self, filled: WritableStore) -> None:
        """D.39, D.40: whoever is killed in the middle of an update leaves no lock and no half of it."""
        for _ in range(2):
            with self.held(filled.path) as holder:
                holder.kill()
                holder.wait()
                with self.impatient(filled.path, timeout_ms=2_000) as store:
                    self.unchanged(store, small_store())

    def test_stores_in_different_places_do_not_wait_for_each_other(self, filled: WritableStore, tmp_path: Path) -> None:
        """D.30."""
        with self.held(filled.path), self.impatient(tmp_path / "other" / self.backend.file_name, timeout_ms=100) as other:
            other.put(ALPHA, session())
            assert other.count() == 1

    # -- the oracle

    def test_store_is_the_oracles_equal_in_every_respect(self, store: WritableStore) -> None:
        """Equal contents have equal listings and one fingerprint, whatever the backend."""
        oracle = MemoryStore()
        for one in (store, oracle):
            one.save(small_store() | EXACT)
            one.put("../x", session(3))
            one.update(GAMMA, lambda entry: {"counter": entry["counter"] + 5, "model": "other"}, now_ms=NOW_MS)
            one.delete("unicode")
        assert dict(store.items()) == dict(oracle.items())
        assert list(store.summaries()) == list(oracle.summaries())
        assert (store.count(), store.fingerprint(), store.stats().sessions) == (oracle.count(), oracle.fingerprint(), oracle.count())
        assert [problem.code for problem in store.check()] == [problem.code for problem in oracle.check()]
        copied = store.path.with_name("copied") / store.path.name
        copied.parent.mkdir()
        store.close()
        for file in store.path.parent.glob(f"{store.path.name}*"):
            (shutil.copytree if file.is_dir() else shutil.copy)(file, copied.with_name(file.name))
        with self.make(copied) as again:
            assert again.fingerprint() == oracle.fingerprint()
