"""What every store that lies in files makes of bytes that are no store, and of links in its place (RELIABILITY.md, T8)."""

from __future__ import annotations

import contextlib
import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sessionlab.errors import CorruptStoreError, InvalidKeyError, SessionLabError, StoreError, UnwritableError
from sessionlab.stores.writing import WritableStore
from tests.stores.entry_contract import boom
from tests.stores.file_contract import FileContract
from tests.stores.sample_entries import ALPHA, BETA, GAMMA, HOSTILE_BYTES, NOW_MS, REFUSED_KEYS, session, small_store


class HostileContract(FileContract):
    """Nothing is taken for empty, nothing overwritten that cannot be read, nothing written that is not the store's."""

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

    def test_file_with_two_names_is_not_written_through(self, filled: WritableStore, tmp_path: Path) -> None:
        """T8: whoever made a hard link has a copy of the store as it was, not a second store that changes in part."""
        filled.close()
        others = {tmp_path / f"other-{number}": file for number, file in enumerate(self.files(filled.path))}
        for other, file in others.items():
            other.hardlink_to(file)
        before = {other: other.read_bytes() for other in others}
        with self.make(filled.path) as store:
            if self.backend.name.startswith("sqlite"):  # written in place, or not at all
                for write in (lambda: store.put(ALPHA, session()), lambda: store.touch(BETA, {"label": "new"}, now_ms=NOW_MS)):
                    with pytest.raises(UnwritableError, match="has 2 names"):
                        write()
                assert {other: other.read_bytes() for other in others} == before
                return
            store.update(ALPHA, lambda _: {"counter": 1}, now_ms=NOW_MS)
            store.touch(BETA, {"label": "new"}, now_ms=NOW_MS)
            store.save(dict(store.load()) | {"agent:main:new": session(), GAMMA: session(4)})
            store.delete(ALPHA)
            assert store.check() == ()
        assert {other: other.read_bytes() for other in others} == before
        assert self.content(filled.path).keys() == {BETA, GAMMA, "agent:main:new"}

    @pytest.mark.parametrize("mode", [0o777, 0o1777, 0o2770], ids=oct)
    def test_folder_around_it_that_others_may_write_in_is_the_users_matter(self, tmp_path: Path, mode: int) -> None:
        """T8: the store's own files are private in there, and the folder stays as it is; a folder of our own is refused (C.43)."""
        folder = tmp_path / "shared"
        folder.mkdir()
        folder.chmod(mode)
        with self.make(folder / self.backend.file_name) as store:
            store.save(small_store())
            store.update(ALPHA, lambda _: {"counter": 1}, now_ms=NOW_MS)
            modes = {path: stat.S_IMODE(path.lstat().st_mode) for path in folder.rglob("*")}
            assert store.check() == ()
        assert stat.S_IMODE(folder.stat().st_mode) == mode
        assert {path: oct(mode) for path, mode in modes.items() if mode & 0o077} == {}

    @pytest.mark.parametrize("name", ["nul", "newline", "escape", "ten-kilobytes", "just-too-long"])
    def test_hostile_key_that_another_program_wrote_is_shown_and_hurts_nobody(self, filled: WritableStore, name: str) -> None:
        """T8: it is a session that can be read, is reported, and can be removed; under its name nothing is written."""
        key, planted = REFUSED_KEYS[name], {"sessionId": "planted", "updatedAt": 1}
        self.plant(filled.path, {key: json.dumps(planted).encode()})
        expected = small_store() | {key: planted}
        assert (dict(filled.items()), filled.get(key), filled.count()) == (expected, planted, 4)
        assert {row.key for row in filled.summaries()} == set(expected)
        assert {(problem.code, problem.key) for problem in filled.check()} == {("odd_key", key)}
        filled.update(ALPHA, lambda _: {"counter": 1}, now_ms=NOW_MS)
        with pytest.raises(InvalidKeyError):
            filled.put(key, session())
        with pytest.raises(InvalidKeyError):
            filled.update(key, boom, now_ms=NOW_MS)
        assert filled.get(key) == planted
        assert filled.delete(key)
        assert self.content(filled.path).keys() == small_store().keys()
