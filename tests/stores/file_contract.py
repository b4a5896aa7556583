"""What every store that lies in files promises of them: what is written, what is read, and what is left alone."""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

from sessionlab.entry import Entry, summary_of
from sessionlab.errors import SessionLabError
from sessionlab.stores.base import Fingerprint
from sessionlab.stores.writing import WritableStore
from tests.fixture_states import photo
from tests.stores.entry_contract import BoomError, boom
from tests.stores.reading_contract import independent_digest
from tests.stores.sample_entries import ALPHA, BETA, EXACT, GAMMA, NOW_MS, session, small_store
from tests.stores.snapshot_contract import SnapshotContract, touch
from tests.torture.backends import Backend

Damage = Callable[[Path], None]

_opened: list[str] | None = None


def _note_opened(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open" and _opened is not None:
        _opened.append(str(arguments[0]))


sys.addaudithook(_note_opened)


class FileContract(SnapshotContract):
    """A subclass says how its files are read and written without it."""

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
        """F.14, D.30: the one that is asked for, else the newest; whoever writes goes by the newest, and that, or removal, removes all."""
        if not self.plants_spellings:
            pytest.skip(f"a {self.kind} store holds one spelling only")
        spellings = {
            key: json.dumps(session(number)).encode()
            for key, number in (("a:B:c", 3), ("A:b:c", 1), ("a:b:c", 2), ("d:E:f", 4), ("D:e:f", 5))
        }
        self.plant(filled.path, spellings)
        assert filled.count() == 8
        assert filled.get("A:B:C") == session(1)
        assert filled.updated_at("A:B:C") == session(1)["updatedAt"]
        for key, raw in spellings.items():
            assert filled.get(key) == json.loads(raw)
            assert filled.updated_at(key) == json.loads(raw)["updatedAt"]
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

    def test_closed_store_opens_anew_what_it_needs(self, filled: WritableStore) -> None:
        """Closing frees what is held between two operations, and is no end."""
        for number in range(3):
            filled.close()
            assert (filled.get(ALPHA) or {})["sessionId"] == small_store()[ALPHA]["sessionId"]
            filled.close()
            filled.put(ALPHA, small_store()[ALPHA] | {"counter": number})
            filled.close()
            assert self.content(filled.path)[ALPHA]["counter"] == number
        filled.put(ALPHA, small_store()[ALPHA])
        filled.close()
        assert (filled.count(), dict(filled.items()), dict(filled.load())) == (3, small_store(), small_store())

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
