"""The first access under `session.storeType` moves the sessions, once, and never in silence an older store over a newer one."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sessionlab import codec
from sessionlab.errors import (
    CorruptStoreError,
    SettingsError,
    SplitStoreError,
    StoreError,
    StoreMovedError,
    UnwritableError,
)
from sessionlab.migration import automatic
from sessionlab.migration.automatic import open_migrated
from sessionlab.migration.plan import plan_from
from sessionlab.migration.records import Plan
from sessionlab.settings import StoreType
from sessionlab.stores import open_for_writing
from sessionlab.stores.location import StoreKind, StoreLocation
from tests.fixture_states import photo
from tests.migration.test_execute import NAMES, NOW_MS, PAIRS, content, filled, migrated, sessions_dir
from tests.stores.sample_entries import small_store

NEW = {"sessionId": "new", "updatedAt": NOW_MS}


@pytest.fixture(autouse=True)
def as_when_the_process_starts() -> Iterator[None]:
    automatic.forget()
    yield
    automatic.forget()


def configured(state: Path, kind: StoreType) -> Path:
    (state / "openclaw.json").write_text(f'{{"session": {{"storeType": "{kind}"}}}}')
    return state


def opened(state: Path) -> str:
    with open_migrated(state, now_ms=NOW_MS) as store:
        return store.kind


@pytest.mark.parametrize("pair", PAIRS, ids=str)
def test_first_access_moves_the_sessions_and_the_second_does_nothing(tmp_path: Path, pair: tuple[StoreType, StoreType]) -> None:
    """B.23, B.24, B.30, C.25, C.40: a JSON store that became a database stays byte for byte; a newer row is never overwritten."""
    old, new = pair
    state = configured(filled(tmp_path, old, small_store()), new)
    before = photo(sessions_dir(state))
    with open_migrated(state, now_ms=NOW_MS) as store:
        assert store.kind == new
        store.put("agent:main:new", NEW)
    if pair == ("json", "sqlite"):
        assert photo(sessions_dir(state))[NAMES["json"]] == before[NAMES["json"]]
    assert content(state) == (new, {**small_store(), "agent:main:new": NEW})
    automatic.forget()  # as another process
    seen = {name: found for name, found in photo(state).items() if not name.endswith((".lock", "-wal", "-shm"))}
    for _ in range(2):
        assert opened(state) == new
    assert {name: found[3] for name, found in photo(state).items() if name in seen} == {name: found[3] for name, found in seen.items()}
    assert len(list((state / ".sessionlab" / "runs").iterdir())) == 1


@pytest.mark.parametrize("text", [None, b"", b" \n", b"{}"])
@pytest.mark.parametrize("wanted", ["sqlite", "directory"])
def test_without_sessions_there_is_nothing_to_move(tmp_path: Path, text: bytes | None, wanted: StoreType) -> None:
    """B.25, C.37: and as soon as there are some, they are moved. C.39, deviating: the first write makes what is wanted."""
    state = configured(filled(tmp_path, "json", {}), wanted)
    file = sessions_dir(state) / "sessions.json"
    if text is None:
        file.unlink()
    else:
        file.write_bytes(text)
    before = photo(state)
    assert opened(state) == (wanted if text is None else "json")
    assert photo(state) == before
    with open_migrated(state, now_ms=NOW_MS) as store:
        store.put("agent:main:new", NEW)
    assert opened(state) == wanted
    assert content(state) == (wanted, {"agent:main:new": NEW})


@pytest.mark.parametrize(
    "text", [b'{"agent:main:a": {"sessionId": "a"', b"[1]", b'{"agent:main:a": {"sessionId": "a"}, "agent:main:b": null}']
)
def test_what_cannot_be_moved_is_raised_and_tried_again(tmp_path: Path, text: bytes) -> None:
    """B.26, B.28, C.24: distinct from no data. An entry that is null is no session to be skipped in silence (B.31, deviating).

    C.35, deviating: an array is never taken for an empty store, neither at start-up nor by the first write.
    """
    state = configured(filled(tmp_path, "json", {}), "sqlite")
    file = sessions_dir(state) / "sessions.json"
    file.write_bytes(text)
    before = photo(state)
    for _ in range(2):
        with pytest.raises(CorruptStoreError):
            opened(state)
        assert photo(state) == before
    file.write_bytes(codec.encode_indented({"agent:main:a": NEW}))
    assert opened(state) == "sqlite"
    assert content(state) == ("sqlite", {"agent:main:a": NEW})


def test_failure_to_write_is_raised_and_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """B.26, B.28, B.29: no rows are left, and the JSON store goes on to count."""
    state = configured(filled(tmp_path, "json", small_store()), "sqlite")

    def refused(*_args: object, **_options: object) -> None:
        raise UnwritableError(state, "there is no room")

    with monkeypatch.context() as patch:
        patch.setattr("sessionlab.migration.stage.SQLiteStage.add", refused)
        with pytest.raises(UnwritableError, match="no room"):
            opened(state)
    assert content(state) == ("json", small_store())
    assert not [path for path in sessions_dir(state).iterdir() if "sqlite" in path.name]
    assert opened(state) == "sqlite"


def test_unnecessary_migration_is_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """B.28: for the JSON path and the target path; what is rolled back meanwhile is left alone, until the process starts anew (C.49)."""
    state = configured(filled(tmp_path, "json", small_store()), "sqlite")
    assert opened(state) == "sqlite"
    migrated(state, "json", now_ms=NOW_MS + 1)
    assert opened(state) == "json"
    automatic.forget()
    with monkeypatch.context() as patch:
        planned = []

        def noted(location: StoreLocation, to: StoreKind, **options: Any) -> Plan:
            planned.append(to)
            return plan_from(location, to, **options)

        patch.setattr(automatic, "plan_from", noted)
        assert [opened(state) for _ in range(3)] == ["sqlite"] * 3
        assert len(planned) == 1


def test_without_a_store_type_nothing_is_moved(tmp_path: Path) -> None:
    """B.22."""
    state = filled(tmp_path, "json", small_store())
    before = photo(state)
    assert opened(state) == "json"
    assert photo(state) == before
    (state / "openclaw.json").write_text('{"session": {"storeType": "mysql"}}')
    with pytest.raises(SettingsError):
        opened(state)


def test_older_source_never_counts_again(tmp_path: Path) -> None:
    """B.30: a JSON store that was written after the move is neither chosen nor moved over the newer rows."""
    state = configured(filled(tmp_path, "json", small_store()), "sqlite")
    assert opened(state) == "sqlite"
    file = sessions_dir(state) / "sessions.json"
    file.write_bytes(codec.encode_indented({"agent:main:stranger": NEW}))
    for wanted in ("sqlite", "directory"):
        automatic.forget()
        configured(state, wanted)
        with pytest.raises(SplitStoreError):
            opened(state)


def test_store_may_be_named_by_its_file_and_by_its_agent(tmp_path: Path) -> None:
    state = configured(filled(tmp_path, "json", small_store()), "directory")
    file = sessions_dir(state) / "sessions.json"
    for place in (file, file, sessions_dir(state)):
        with open_migrated(place, now_ms=NOW_MS) as store:
            assert store.kind == "directory"
    with open_migrated(state, agent="other", now_ms=NOW_MS) as store:
        store.put("agent:other:new", NEW)
        assert store.kind == "directory"


def test_many_threads_migrate_once_and_all_their_writes_are_kept(tmp_path: Path) -> None:
    state = configured(filled(tmp_path, "json", small_store()), "sqlite")
    errors: list[BaseException] = []

    def write(number: int) -> None:
        try:
            with open_migrated(state, now_ms=NOW_MS) as store:
                store.put(f"agent:main:thread:{number}", NEW)
        except BaseException as error:  # noqa: BLE001 - told by the assertion below
            errors.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert errors == []
    assert content(state) == ("sqlite", {**small_store(), **{f"agent:main:thread:{number}": NEW for number in range(6)}})
    assert len(list((state / ".sessionlab" / "runs").iterdir())) == 1


@pytest.mark.parametrize("pair", [("json", "sqlite"), ("directory", "json"), ("sqlite", "directory")], ids=str)
def test_writes_that_were_acknowledged_meanwhile_are_in_the_new_store(tmp_path: Path, pair: tuple[StoreType, StoreType]) -> None:
    """B.18: whoever has the old store open gets an error for what would be lost, and goes on in the new one."""
    old, new = pair
    state = configured(filled(tmp_path, old, small_store()), new)
    acknowledged: list[str] = []
    pending = [f"agent:main:busy:{number}" for number in range(40)]

    def write_all() -> None:
        while pending:
            with contextlib.suppress(StoreError), open_for_writing(state) as store:  # moved away under it: not acknowledged, written again
                while pending:
                    store.put(pending[-1], NEW)
                    acknowledged.append(pending.pop())

    writer = threading.Thread(target=write_all)
    writer.start()
    with open_migrated(state, now_ms=NOW_MS) as store:  # however busy the old one is
        assert store.kind == new
    writer.join(timeout=60)
    assert not writer.is_alive()
    kind, found = content(state)
    assert kind == new
    assert found.keys() >= {*small_store(), *acknowledged}


def test_program_that_had_the_old_store_open_is_told(tmp_path: Path) -> None:
    """B.18: nothing is written to `sessions.json` any more."""
    state = configured(filled(tmp_path, "json", small_store()), "sqlite")
    with open_for_writing(state) as old:
        assert opened(state) == "sqlite"
        before = photo(sessions_dir(state))
        with pytest.raises(StoreMovedError, match=r"has moved: .*sessions\.sqlite counts now"):
            old.put("agent:main:late", NEW)
        assert photo(sessions_dir(state))["sessions.json"] == before["sessions.json"]
