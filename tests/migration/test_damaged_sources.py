"""A source of any kind with entries that cannot be read: refused whole, or moved without them, each named with its reason."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sessionlab.errors import CorruptStoreError
from sessionlab.migration.audit import audit_run
from sessionlab.migration.rehearsal import rehearse
from sessionlab.migration.run_folder import RunFolder
from sessionlab.runs import RUNS
from sessionlab.settings import StoreType
from sessionlab.stores import locate
from tests.fixture_states import photo
from tests.migration.test_execute import NAMES, content, filled, migrated, sessions_dir

BAD = "agent:main:bad"
ENTRIES: dict[str, Any] = {
    "agent:main:zulu": {"sessionId": "z", "updatedAt": 3},
    BAD: {"sessionId": "b", "updatedAt": 2, "skillsSnapshot": {"prompt": "planted " * 3_000}},
    "agent:main:alpha": {"sessionId": "a", "updatedAt": 1},
}


def altered(sql: str) -> Callable[[Path], None]:
    def alter(store: Path) -> None:
        with sqlite3.connect(store) as db:
            db.execute("PRAGMA foreign_keys=OFF")
            assert db.execute(sql).rowcount == 1
        db.close()

    return alter


def rewritten(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def rewrite(store: Path) -> None:
        (file,) = [path for path in (store / "entries").iterdir() if b"planted" in path.read_bytes()]
        file.write_bytes(change(file.read_bytes()))

    return rewrite


DAMAGE: dict[str, tuple[StoreType, Callable[[Path], None], str]] = {
    "letter of a big value": ("sqlite", altered("UPDATE big_fields SET value = replace(value, 'planted', 'slanted')"), "is not what was"),
    "big value is gone": ("sqlite", altered("DELETE FROM big_fields"), "is not what was written"),
    "document is gone": ("sqlite", altered("DELETE FROM documents WHERE id = 2"), "the entry of 'agent:main:bad' is missing"),
    "document is cut off": ("sqlite", altered("UPDATE documents SET entry_json = '{\"a' WHERE id = 2"), "is not what was written"),
    "file is cut off": ("directory", rewritten(lambda data: data[:-9]), "ends in the middle of the document"),
    "file is blank": ("directory", rewritten(lambda _: b" "), ".json: is blank"),
    "entry is a list": (
        "directory",
        rewritten(lambda data: data.replace(b'"entry": {', b'"entry": [{').replace(b"}\n}", b"}]}")),
        "is not an object",
    ),
    "another key": ("directory", rewritten(lambda data: data.replace(b":bad", b":dab", 1)), "does not belong under this name"),
    "key twice": ("directory", rewritten(lambda data: data.replace(b'"sessionId"', b'"updatedAt"', 1)), "'updatedAt' is written twice"),
}


@pytest.mark.parametrize(("name", "to"), [(name, to) for name, (kind, _, _) in DAMAGE.items() for to in NAMES if to != kind])
def test_damaged_entry_is_refused_or_set_aside_and_the_others_arrive(tmp_path: Path, name: str, to: StoreType) -> None:
    kind, damage, words = DAMAGE[name]
    state = filled(tmp_path, kind, ENTRIES)
    damage(sessions_dir(state) / NAMES[kind])
    before = photo(state)
    with pytest.raises(CorruptStoreError, match="--set-aside") as refused:
        migrated(state, to)
    assert words in str(refused.value)
    assert "planted" not in str(refused.value)
    assert photo(state) == before
    assert rehearse(locate(state)[0], to, now_ms=1, set_aside=True).comes_back
    assert photo(state) == before

    report = migrated(state, to, set_aside=True)
    assert report.has_loss
    (left,) = (one for one in report.differences if one.action == "set-aside")
    assert (left.key, words in left.reason) == (BAD, True)
    assert content(state) == (to, {key: entry for key, entry in ENTRIES.items() if key != BAD})
    run = state / RUNS / report.run_id
    assert audit_run(run).verdict == "holds"
    assert sum(len(one.in_source()) for one in RunFolder.open(run).plan().entries) == 3
