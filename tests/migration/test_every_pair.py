"""What a source may be, for every two kinds of store: empty, large, a link, or holding what no program of today writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sessionlab import codec
from sessionlab.entry import Entry
from sessionlab.migration.audit import audit_run
from sessionlab.migration.startup import Outcome, migrate_one
from sessionlab.settings import StoreType
from sessionlab.stores import locate, open_for_writing, open_store
from tests.fixture_states import photo
from tests.migration.test_execute import NAMES, NOW_MS, PAIRS, content, filled, sessions_dir

LEGACY = {"sessionId": "l", "updatedAt": 1, "provider": "telegram", "lastProvider": "telegram", "room": "x", "modelProvider": " "}
TODAYS = {"sessionId": "l", "updatedAt": 1, "channel": "telegram", "lastChannel": "telegram", "groupChannel": "x"}
UNKNOWN: Entry = {"sessionId": "u", "updatedAt": 2, "x-new": {"deep": [1.5, None, {"é": "\u2028"}]}, "memoryFlushAt": 0, "": "no name"}


def moved(state: Path, to: StoreType) -> Outcome:
    (location,) = locate(state)
    return migrate_one(location, to, now_ms=NOW_MS)


def written(state: Path, text: bytes) -> Path:
    file = sessions_dir(state) / "sessions.json"
    file.parent.mkdir(parents=True)
    file.write_bytes(text)
    return state


@pytest.mark.parametrize(("old", "new"), PAIRS)
def test_a_thousand_sessions_arrive(tmp_path: Path, old: StoreType, new: StoreType) -> None:
    entries: dict[str, Any] = {f"agent:main:n:{number}": {"sessionId": f"s{number}", "updatedAt": number} for number in range(1_000)}
    state = filled(tmp_path, old, entries)
    outcome = moved(state, new)
    assert (outcome.result, outcome.migrated_entries) == ("migrated", 1_000)
    assert content(state) == (new, entries)
    assert outcome.run_dir is not None
    assert audit_run(outcome.run_dir).verdict == "holds"


@pytest.mark.parametrize(("old", "new"), PAIRS)
def test_unknown_fields_stay_and_old_ones_become_todays(tmp_path: Path, old: StoreType, new: StoreType) -> None:
    state = filled(tmp_path, old, {"agent:main:legacy": LEGACY, "agent:main:unknown": UNKNOWN})
    outcome = moved(state, new)
    assert content(state) == (new, {"agent:main:legacy": TODAYS, "agent:main:unknown": UNKNOWN})
    assert outcome.report is not None
    assert outcome.report.actions == {"move": 1, "normalise": 1}
    assert [one.key for one in outcome.report.differences] == ["agent:main:legacy"]


@pytest.mark.parametrize(("old", "new"), PAIRS)
def test_store_without_sessions_stays_as_it_is(tmp_path: Path, old: StoreType, new: StoreType) -> None:
    state = filled(tmp_path, old, {"agent:main:a": {"sessionId": "a"}})
    with open_for_writing(state) as store:
        store.delete("agent:main:a")
    before = photo(state)
    assert moved(state, new).result == "skipped_empty"
    assert photo(state) == before


@pytest.mark.parametrize(("old", "new"), PAIRS)
def test_store_that_is_a_link_is_refused(tmp_path: Path, old: StoreType, new: StoreType) -> None:
    state = filled(tmp_path / "state", old, {"agent:main:a": {"sessionId": "a"}})
    place = sessions_dir(state) / NAMES[old]
    place.rename(tmp_path / NAMES[old])
    place.symlink_to(tmp_path / NAMES[old])
    before = photo(tmp_path)
    outcome = moved(state, new)
    assert outcome.result in ("failed", "skipped_invalid")
    assert "symbolic link" in str(outcome.error)
    assert photo(tmp_path) == before


@pytest.mark.parametrize("new", ["sqlite", "directory"])
@pytest.mark.parametrize(
    ("text", "result"), [(b"[]", "skipped_invalid"), (b'[{"sessionId": "a"}]', "skipped_invalid"), (b" \n", "skipped_empty")]
)
def test_file_that_is_no_object_is_no_store(tmp_path: Path, new: StoreType, text: bytes, result: str) -> None:
    state = written(tmp_path, text)
    before = photo(state)
    assert moved(state, new).result == result
    assert photo(state) == before


@pytest.mark.parametrize("new", ["sqlite", "directory"])
def test_spellings_of_one_key_become_the_newest(tmp_path: Path, new: StoreType) -> None:
    twins = {"agent:main:T": {"sessionId": "old", "updatedAt": 1}, "agent:main:t": {"sessionId": "new", "updatedAt": 2}}
    state = written(tmp_path, codec.encode_indented(twins))
    outcome = moved(state, new)
    assert content(state) == (new, {"agent:main:t": twins["agent:main:t"]})
    assert outcome.report is not None
    assert outcome.report.actions == {"merge": 1}
    assert outcome.report.differences[0].spellings == tuple(twins)


@pytest.mark.parametrize("new", ["sqlite", "directory"])
def test_store_beyond_64_mib_is_moved_too(tmp_path: Path, new: StoreType) -> None:
    """C.27, deviating: those are the ones that hurt."""
    text = "A skill's prompt. " * 4_000
    entries = {f"agent:main:big:{number}": {"sessionId": f"{number}", "skillsSnapshot": {"prompt": text}} for number in range(960)}
    state = written(tmp_path, codec.encode_indented(entries))
    assert (sessions_dir(state) / "sessions.json").stat().st_size > 64 << 20
    with open_store(state) as store:
        before = store.fingerprint()
    outcome = moved(state, new)
    assert outcome.report is not None
    assert (outcome.report.sessions, outcome.report.sha256) == (960, before.sha256)
