"""What every store promises its readers, checked on real files against readers of the test's own (`json`, `sqlite3`, `hashlib`)."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from sessionlab.errors import InvalidKeyError, StoreError
from sessionlab.stores import SessionStore, open_store
from sessionlab.stores.base import Fingerprint
from sessionlab.stores.transcript_store import TranscriptStore
from sessionlab.stores.writing import WritableStore
from tests.fixture_states import photo

Raw = list[tuple[str, bytes]]


def independent_digest(entries: dict[str, Any]) -> str:
    """Return the fingerprint as its documentation defines it, slowly and with the standard library only."""
    total = hashlib.sha256()
    for key in sorted(entries, key=lambda key: key.encode("utf-8")):
        canonical = json.dumps(entries[key], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        total.update(key.encode("utf-8") + b"\0" + hashlib.sha256(canonical.encode("utf-8")).digest())
    return total.hexdigest()


class ReadingContract:
    """A subclass says where its store lies and reads it in another way; it inherits every promise."""

    kind: ClassVar[str]
    findings: ClassVar[frozenset[str]]
    errors: ClassVar[frozenset[str]] = frozenset()

    def folder(self, factory: pytest.TempPathFactory) -> Path:
        """Return the folder that reading must leave as it was."""
        raise NotImplementedError

    def path(self, folder: Path) -> Path:
        """Return the store file in it."""
        raise NotImplementedError

    def oracle(self, path: Path) -> Raw:
        """Return every (key, entry as stored) in the store's own order, read without sessionlab."""
        raise NotImplementedError

    def oracle_updated(self, path: Path) -> dict[str, Any]:
        """Return key -> the time that the store lists a session under."""
        return {key: json.loads(raw).get("updatedAt") for key, raw in self.oracle(path)}

    def store_bytes(self, path: Path) -> int:
        return path.stat().st_size

    @pytest.fixture
    def source(self, tmp_path_factory: pytest.TempPathFactory) -> Path:
        return self.folder(tmp_path_factory)

    @pytest.fixture
    def file(self, source: Path) -> Path:
        return self.path(source)

    @pytest.fixture
    def store(self, file: Path) -> Iterator[SessionStore]:
        with self.opened(file) as opened:
            yield opened

    @pytest.fixture
    def entries(self, file: Path) -> dict[str, Any]:
        found = {key: json.loads(raw) for key, raw in self.oracle(file)}
        assert len(found) > 10
        return found

    def test_get_returns_each_entry_whole(self, store: SessionStore, entries: dict[str, Any]) -> None:
        for key, entry in entries.items():
            found = store.get(key)
            assert found == entry
            assert found is not None
            assert list(found) == list(entry)

    def test_session_is_found_however_its_key_is_spelled(self, store: SessionStore, entries: dict[str, Any]) -> None:
        """F.14: of several spellings the one that is asked for, else the newest."""
        spellings: dict[str, list[str]] = {}
        for key in entries:
            spellings.setdefault(key.strip().lower(), []).append(key)
        for normal, stored in spellings.items():
            newest = max(stored, key=lambda key: entries[key].get("updatedAt") or 0)
            for asked in (f" {normal.upper()}\t", normal, normal.title()):
                assert store.get(asked) == entries[asked if asked in stored else newest]

    @pytest.mark.parametrize("key", [5, None, b"agent:main:main", ["x"], 1.5], ids=repr)
    def test_key_that_is_no_text_is_refused(self, store: SessionStore, key: Any) -> None:
        with pytest.raises(InvalidKeyError, match="is no text"):
            store.get(key)

    def test_absent_key_is_none(self, store: SessionStore, entries: dict[str, Any]) -> None:
        taken = next(iter(entries))
        for key in (
            "",
            "agent:main:absent",
            "__proto__",
            "constructor",
            f"{taken}\0",
            "'; --",
            "\ud800",
            "%",
            "x" * 10_000,
        ):
            assert store.get(key) is None

    def test_entry_belongs_to_the_caller(self, store: SessionStore, entries: dict[str, Any]) -> None:
        key = next(iter(entries))
        entry = store.get(key)
        assert entry is not None
        entry.clear()
        assert store.get(key) == entries[key]

    def test_items_are_every_entry_in_the_stores_order(self, store: SessionStore, file: Path) -> None:
        expected = [(key, json.loads(raw)) for key, raw in self.oracle(file)]
        assert list(store.items()) == expected
        assert list(store.items()) == expected

    def test_raw_items_are_the_bytes_as_stored(self, store: SessionStore, file: Path) -> None:
        assert list(store.raw_items()) == self.oracle(file)

    def test_two_readings_at_once_do_not_disturb_each_other(self, store: SessionStore, entries: dict[str, Any]) -> None:
        pairs = list(zip(store.items(), store.items(), store.raw_items(), strict=True))
        assert len(pairs) == len(entries)
        assert all(first == second and json.loads(third[1]) == first[1] for first, second, third in pairs)

    def test_reading_may_be_given_up(self, store: SessionStore, entries: dict[str, Any]) -> None:
        next(store.items())
        next(store.summaries())
        assert store.count() == len(entries)

    def test_summaries_come_newest_first_then_by_key(self, store: SessionStore, file: Path) -> None:
        updated = self.oracle_updated(file)
        order = sorted(updated, key=lambda key: (updated[key] is None, -(updated[key] or 0), key))
        rows = list(store.summaries())
        assert [row.key for row in rows] == order
        assert [row.updated_ms for row in rows] == [updated[key] for key in order]

    def test_summaries_say_what_the_entries_say(self, store: SessionStore, entries: dict[str, Any]) -> None:
        named = {
            "session_id": "sessionId",
            "status": "status",
            "label": "label",
            "display_name": "displayName",
            "model": "model",
            "started_ms": "startedAt",
            "ended_ms": "endedAt",
            "input_tokens": "inputTokens",
            "output_tokens": "outputTokens",
            "total_tokens": "totalTokens",
            "compaction_count": "compactionCount",
            "session_file": "sessionFile",
        }
        seen: set[str] = set()
        for row in store.summaries():
            for column, field in named.items():
                value = entries[row.key].get(field)
                # Blanks around a text are no part of it: the fixtures hold such a model name on purpose.
                assert getattr(row, column) == (value.strip() if isinstance(value, str) else value), (row.key, column)
                seen |= {column} if getattr(row, column) is not None else set()
        assert {"session_id", "status", "model", "input_tokens"} <= seen

    def test_count_and_stats_agree(self, store: SessionStore, file: Path, entries: dict[str, Any]) -> None:
        stats = store.stats()
        assert store.count() == stats.sessions == len(entries)
        assert (stats.kind, stats.path, stats.store_bytes) == (self.kind, str(file), self.store_bytes(file))
        assert (store.kind, store.path, store.agent_id) == (self.kind, file, "main")
        assert store.snapshot_method

    def test_fingerprint_is_the_documented_digest(self, store: SessionStore, entries: dict[str, Any]) -> None:
        found = store.fingerprint()
        assert found == Fingerprint(len(entries), independent_digest(entries))
        assert str(found) == f"{len(entries)}:{found.sha256[:16]}"

    def test_fingerprint_tells_any_change(self, store: SessionStore, entries: dict[str, Any]) -> None:
        found = store.fingerprint().sha256
        key = next(iter(entries))
        assert found != independent_digest({**entries, key: {**entries[key], "counter": 1}})
        assert found != independent_digest({name: entry for name, entry in entries.items() if name != key})
        assert found == independent_digest(dict(reversed(entries.items())))

    def test_check_finds_what_is_known_of_this_file_worst_first(self, store: SessionStore) -> None:
        problems = store.check()
        assert {problem.code for problem in problems} == self.findings
        order = ["error", "warning", "info"]
        ranks = [order.index(problem.severity) for problem in problems]
        assert ranks == sorted(ranks)
        assert {problem.code for problem in problems if problem.severity == "error"} == self.errors
        assert all(problem.path and problem.message and "\n" not in problem.message for problem in problems)
        assert store.check() == problems

    def test_closing_twice_does_nothing(self, file: Path) -> None:
        store = open_store(file)
        store.count()
        store.close()
        store.close()
        with open_store(file) as again:
            again.close()

    def test_store_that_was_closed_answers_nothing(self, file: Path) -> None:
        """Nor does it look like an empty one."""
        with self.opened(file) as store:
            keys = [key for key, _ in store.items()]
        started = self.opened(file)
        items, summaries = started.items(), started.summaries()
        started.close()
        questions: list[Callable[[], object]] = [
            *(lambda: store.get(keys[0]), lambda: store.get("agent:main:absent"), store.count, store.stats, store.check),
            *(
                store.fingerprint,
                store.examine,
                lambda: list(store.items()),
                lambda: list(store.raw_items()),
                lambda: list(store.summaries()),
            ),
        ]
        if isinstance(store, TranscriptStore):
            questions += [
                lambda: list(store.transcripts()),
                lambda: list(store.iter_transcript_buffers()),
                lambda: list(store.storage_parts()),
            ]
        if isinstance(store, WritableStore):
            questions += [lambda: store.updated_at(keys[0]), store.load]
        for question in questions:
            with pytest.raises(StoreError, match="is closed; open it again"):
                question()
        for begun in (items, summaries):  # what was read before may still be given out
            with contextlib.suppress(StoreError):
                assert len(list(begun)) == len(keys)

    def opened(self, path: Path) -> SessionStore:
        """Open the store at a path, as the fixture does."""
        return open_store(path)

    def test_reading_leaves_every_byte_time_and_mode(self, source: Path, file: Path) -> None:
        before = photo(source)
        with open_store(file) as store:
            key = next(iter(store.summaries())).key
            assert store.get(key) is not None
            for everything in (store.items, store.raw_items, store.summaries):
                assert sum(1 for _ in everything()) == store.count()
            store.stats()
            store.check()
            store.fingerprint()
            assert photo(source) == before
        assert photo(source) == before
