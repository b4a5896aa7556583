"""Comparing stores and folders: what is missing, extra, changed or unreadable, by key and path; the same wherever it lies."""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import zstandard

from sessionlab import codec, transcripts
from sessionlab.errors import CorruptStoreError, NoStoreError, SplitStoreError
from sessionlab.migration import verify as verifying
from sessionlab.migration.execute import execute
from sessionlab.migration.plan import plan_migration
from sessionlab.migration.verify import verify
from sessionlab.migration.verify_result import Difference, Verification
from sessionlab.settings import StoreType
from sessionlab.stores import open_for_writing
from tests.cli.made_states import KINDS, NAMES, made_state
from tests.fixture_states import own_state, photo, shared_state
from tests.stores.sample_entries import EXACT, KEPT_KEYS, session, small_store

SECRET = "sk-planted-4711"
ENTRIES: dict[str, Any] = {
    **small_store(),
    **{f"agent:main:exact:{name}": entry for name, entry in EXACT.items()},
    **{key: session(number) for number, key in enumerate(KEPT_KEYS, 1)},
}
ARCHIVE = "s1.jsonl.deleted.2026-11-19T20-00-00.000Z"

Edit = Callable[[dict[str, Any]], Any]


def plain(number: int, **more: Any) -> dict[str, Any]:
    return {"sessionId": f"s{number}", "updatedAt": number, "apiKey": SECRET, **more}


def json_state(folder: Path, entries: dict[str, Any]) -> Path:
    return made_state(folder, "json", entries)


def compared(a: Path, b: Path, **options: Any) -> Verification:
    """Compare, and make sure that nothing was touched, no value shows, and the sums are right."""
    before = photo(a), photo(b)
    found = verify(a, b, **options)
    assert (photo(a), photo(b)) == before
    assert SECRET not in msgspec.json.encode(found).decode()
    assert sum(found.counts.values()) >= len(found.differences)
    return found


def only(found: Verification) -> Difference:
    (one,) = found.differences
    assert found.counts == {f"{one.subject} {one.what}": 1}
    return one


@pytest.mark.parametrize("kind_a", KINDS)
@pytest.mark.parametrize("kind_b", KINDS)
def test_same_sessions_are_equal_in_any_two_kinds_of_store(kind_a: str, kind_b: str, tmp_path: Path) -> None:
    a, b = made_state(tmp_path / "a", kind_a, ENTRIES), made_state(tmp_path / "b", kind_b, ENTRIES)
    found = compared(a, b)
    assert (found.is_equal, found.exit_code) == (True, 0)
    assert (found.sessions, found.equal_sessions) == (len(ENTRIES), len(ENTRIES))


def test_what_each_side_lacks_is_named(tmp_path: Path) -> None:
    a = json_state(tmp_path / "a", {"agent:main:a": plain(1), "agent:main:b": plain(2)})
    b = made_state(tmp_path / "b", "sqlite", {"agent:main:b": plain(2), "agent:main:c": plain(3)})
    found = compared(a, b)
    assert found.counts == {"session missing": 1, "session extra": 1}
    assert [(one.what, one.name) for one in found.differences] == [("missing", "agent:main:a"), ("extra", "agent:main:c")]
    assert (found.exit_code, compared(b, a).exit_code) == (3, 3)


def test_what_is_only_in_b_loses_nothing(tmp_path: Path) -> None:
    a = json_state(tmp_path / "a", {"agent:main:a": plain(1)})
    b = made_state(tmp_path / "b", "directory", {"agent:main:a": plain(1), "agent:main:c": plain(3)})
    assert (only(compared(a, b)).what, compared(a, b).exit_code) == ("extra", 1)


EDITS: list[tuple[str, Edit, tuple[str, ...]]] = [
    ("value", lambda entry: entry.update(apiKey="other"), ("$.apiKey",)),
    ("gone", lambda entry: entry.pop("apiKey"), ("$.apiKey",)),
    ("deep", lambda entry: entry["skills"][1].update(name="x"), ("$.skills[1].name",)),
    ("shorter", lambda entry: entry["skills"].pop(), ("$.skills[1:]",)),
    ("type", lambda entry: entry.update(updatedAt="1"), ("$.updatedAt",)),
    ("true for 1", lambda entry: entry.update(one=True), ("$.one",)),
    ("odd name", lambda entry: entry["odd"].update({"a b": 2}), ('$.odd["a b"]',)),
]


@pytest.mark.parametrize(
    ("kinds", "edit", "paths"),
    [pytest.param(("json", "json"), edit, paths, id=name) for name, edit, paths in EDITS]
    + [
        pytest.param(kinds, *EDITS[2][1:], id="-".join(kinds))
        for kinds in (("json", "sqlite"), ("directory", "json"), ("sqlite", "directory"))
    ],
)
def test_changed_session_is_named_by_its_paths(kinds: tuple[str, str], edit: Edit, paths: tuple[str, ...], tmp_path: Path) -> None:
    entry = plain(1, skills=[{"name": "a"}, {"name": "b"}], one=1, odd={"a b": 1})
    changed = json.loads(json.dumps(entry))
    edit(changed)
    a = made_state(tmp_path / "a", kinds[0], {"agent:main:a": entry, "agent:main:b": plain(2)})
    b = made_state(tmp_path / "b", kinds[1], {"agent:main:a": changed, "agent:main:b": plain(2)})
    found = compared(a, b)
    one = only(found)
    assert (one.what, one.name, one.paths, found.exit_code) == ("changed", "agent:main:a", paths, 3)


def test_session_with_more_fields_in_b_is_extended(tmp_path: Path) -> None:
    a = json_state(tmp_path / "a", {"agent:main:a": plain(1, n={"x": 1})})
    b = json_state(tmp_path / "b", {"agent:main:a": plain(1, n={"x": 1.0, "y": 2})})
    found = compared(a, b)
    assert (only(found).what, only(found).paths, found.exit_code) == ("extended", ("$.n.y",), 1)


def test_many_changes_are_counted_and_the_first_ones_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verifying, "_AT_A_TIME", 7)
    monkeypatch.setattr(verifying, "_DETAILED", 21)
    a = json_state(tmp_path / "a", {f"agent:main:{n}": plain(n, skills=[n, n]) for n in range(1_100)})
    b = json_state(tmp_path / "b", {f"agent:main:{n}": plain(n, skills=[n, n + 1]) for n in range(1_100)})
    found = compared(a, b)
    assert (found.counts, len(found.differences)) == ({"session changed": 1_100}, 1_000)
    assert [one.paths for one in found.differences] == [("$.skills[1]",)] * 21 + [()] * 979
    assert [(one.path, one.count) for one in found.paths] == [("$.skills[]", 21)]


def test_entry_that_cannot_be_read_in_b_is_a_loss_and_in_a_is_none(tmp_path: Path) -> None:
    a = json_state(tmp_path / "a", {"agent:main:a": plain(1), "agent:main:b": plain(2)})
    b = json_state(tmp_path / "b", {"agent:main:a": plain(1), "agent:main:b": plain(2)})
    file = b / "agents/main/sessions/sessions.json"
    file.write_text(file.read_text().replace('"updatedAt": 2', '"updatedAt": 2, "updatedAt": 2'))
    found = compared(a, b)
    assert (only(found).what, only(found).name, found.exit_code) == ("unreadable", "agent:main:b", 3)
    back = compared(b, a)
    assert (only(back).what, back.exit_code) == ("unreadable before", 1)


def test_store_that_is_no_store_is_an_error(tmp_path: Path) -> None:
    a, b = json_state(tmp_path / "a", {"agent:main:a": plain(1)}), json_state(tmp_path / "b", {})
    (b / "agents/main/sessions/sessions.json").write_bytes(b'{\n  "agent:main:a": {"se')
    with pytest.raises(CorruptStoreError):
        verify(a, b)
    with pytest.raises(NoStoreError):
        verify(a, tmp_path / "nowhere")


def test_other_spelling_is_said_and_loses_nothing(tmp_path: Path) -> None:
    a = json_state(tmp_path / "a", {"agent:main:Telegram:A": plain(1)})
    b = made_state(tmp_path / "b", "sqlite", {"agent:main:telegram:a": plain(1)})
    found = compared(a, b)
    assert (only(found).what, only(found).name, found.exit_code) == ("spelling", "agent:main:Telegram:A", 1)


@pytest.mark.parametrize(("kept", "what"), [(2, "merged"), (1, "changed")])
def test_of_several_spellings_the_newest_must_be_there(kept: int, what: str, tmp_path: Path) -> None:
    a = json_state(tmp_path / "a", {"agent:main:A": plain(2), "agent:main:a": plain(1)})
    b = made_state(tmp_path / "b", "sqlite", {"agent:main:a": plain(kept)})
    assert only(compared(a, b)).what == what


def test_migration_that_renames_old_fields_loses_nothing(tmp_path: Path) -> None:
    entries = {"agent:main:a": {"sessionId": "s", "updatedAt": 1, "provider": "slack"}, "agent:main:b": plain(2)}
    a = json_state(tmp_path / "a", entries)
    b = Path(shutil.copytree(a, tmp_path / "b"))
    execute(plan_migration(b, "sqlite", now_ms=5), root=b, now_ms=5)
    found = compared(a, b)
    assert (only(found).what, only(found).name, found.equal_sessions, found.exit_code) == ("renamed", "agent:main:a", 1, 1)


def test_agents_are_paired_by_name_and_one_can_be_asked_for(tmp_path: Path) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    for agent in ("main", "ops"):
        made_state(a, "json", {f"agent:{agent}:a": plain(1)}, agent=agent)
    made_state(b, "sqlite", {"agent:ops:a": plain(1)}, agent="ops")
    found = compared(a, b)
    assert (found.agents, only(found).agent_id, only(found).what) == (("main", "ops"), "main", "missing")
    assert compared(a, b, agent="ops").is_equal


def test_transcripts_of_an_agent_that_lost_its_store_count(tmp_path: Path) -> None:
    a, b = (written(tmp_path / name, EVENTS) for name in ("a", "b"))
    for state in (a, b):
        shutil.copytree(state / "agents/main/sessions", state / "agents/ops/sessions")
        (state / "agents/ops/sessions/sessions.json").unlink()
    assert (compared(a, b).transcripts, compared(a, b).equal_transcripts) == (2, 2)
    (b / "agents/ops/sessions/s1.jsonl").unlink()
    assert (only(compared(a, b)).agent_id, only(compared(a, b)).what) == ("ops", "missing")


def test_agents_of_other_names_are_not_the_same_unless_their_stores_are_named(tmp_path: Path) -> None:
    sessions = {"global": plain(1)}
    a, b = made_state(tmp_path / "a", "json", sessions), made_state(tmp_path / "b", "json", sessions, agent="ops")
    assert compared(a, b).counts == {"session missing": 1, "session extra": 1}
    assert verify(a, b / "agents/ops").is_equal


def test_two_stores_that_both_hold_sessions_are_not_compared(tmp_path: Path) -> None:
    a = json_state(tmp_path / "a", {"agent:main:a": plain(1)})
    made_state(a, "directory", {"agent:main:b": plain(1)})
    with pytest.raises(SplitStoreError):
        verify(a, a)


def test_store_files_are_compared_without_transcripts(tmp_path: Path) -> None:
    a, b = json_state(tmp_path / "a", {"agent:main:a": plain(1)}), made_state(tmp_path / "b", "directory", {"agent:main:a": plain(1)})
    (a / "agents/main/sessions/s1.jsonl").write_text('{"type":"session","id":"s1"}\n')
    stores = [state / "agents/main/sessions" / NAMES[kind] for state, kind in ((a, "json"), (b, "directory"))]
    found = verify(*stores)
    assert (found.is_equal, found.has_transcripts) == (True, False)
    assert only(compared(a, b)).subject == "transcript"


def event(number: int, **more: Any) -> dict[str, Any]:
    return {"type": "message", "id": f"e{number}", "message": {"role": "user", "content": SECRET, "cost": 0.0, **more}}


EVENTS = [{"type": "session", "id": "s1", "version": 3}, *(event(number) for number in range(1, 9))]


def written(folder: Path, events: list[Any], name: str = "s1.jsonl") -> Path:
    """Make a state folder with one session and its transcript."""
    state = json_state(folder, {"agent:main:a": plain(1)})
    lines = [one if isinstance(one, bytes) else codec.encode_compact(one) for one in events]
    data = b"".join(line + b"\n" for line in lines)
    (state / "agents/main/sessions" / name).write_bytes(zstandard.compress(data) if name.endswith(".zst") else data)
    return state


CASES: list[tuple[str, list[Any], str, str, int]] = [
    ("lost event", [*EVENTS[:4], *EVENTS[5:]], "changed", "1 events missing (line 5 of A)", 3),
    ("lost end", EVENTS[:-2], "changed", "2 events missing (line 8, 9 of A)", 3),
    ("changed event", [*EVENTS[:4], event(4, role="system"), *EVENTS[5:]], "changed", "1 events changed (line 5 of A)", 3),
    ("other order", [*EVENTS[:4], EVENTS[5], EVENTS[4], *EVENTS[6:]], "changed", "events in another order", 3),
    ("bad line", [*EVENTS[:4], b'{"type":"mess', *EVENTS[5:]], "changed", "1 events missing (line 5 of A); 1 lines of B cannot be read", 3),
    ("later events", [*EVENTS, event(9)], "longer", "1 events only in B, behind the others", 1),
    ("inserted event", [*EVENTS[:4], event(9), *EVENTS[4:]], "longer", "1 events only in B, among the others", 1),
]


@pytest.mark.parametrize("kind", ["sqlite", "directory"])
def test_damaged_entry_of_b_hides_no_other(kind: StoreType, tmp_path: Path) -> None:
    entries = {f"agent:main:{name}": {"sessionId": name, "updatedAt": 1} for name in "abcd"}
    for side, stored in (("a", entries), ("b", {**entries, "agent:main:c": {"sessionId": "other", "updatedAt": 2}})):
        (tmp_path / side / "agents").mkdir(parents=True)
        with open_for_writing(tmp_path / side, store_type=kind) as store:
            store.save(stored)
    if kind == "sqlite":
        with contextlib.closing(sqlite3.connect(next((tmp_path / "b").rglob("sessions.sqlite")))) as connection, connection:
            connection.execute("UPDATE documents SET entry_json = '{' WHERE id = 2")
    else:
        next(path for path in (tmp_path / "b").rglob("entries/*") if b'"agent:main:b"' in path.read_bytes()).write_bytes(b"{")
    found = verify(tmp_path / "a", tmp_path / "b")
    assert (found.exit_code, found.equal_sessions) == (3, 2)
    assert {(one.name, one.what) for one in found.differences} == {("agent:main:b", "unreadable"), ("agent:main:c", "changed")}


def test_key_that_is_written_twice_in_b_cannot_be_read_there(tmp_path: Path) -> None:
    one = b'"agent:main:a": {"sessionId": "1", "updatedAt": 1}'
    (tmp_path / "a.json").write_bytes(b"{" + one + b"}")
    (tmp_path / "b.json").write_bytes(b"{" + one + b', "agent:main:a": {"sessionId": "2", "updatedAt": 2}}')
    found = verify(tmp_path / "a.json", tmp_path / "b.json")
    assert (found.exit_code, found.counts, found.differences[0].reason) == (3, {"session unreadable": 1}, "it is written twice in B")


def test_of_equally_old_spellings_the_last_is_the_one_that_a_migration_takes(tmp_path: Path) -> None:
    text = b'{"agent:main:Foo": {"sessionId": "1", "updatedAt": 5}, "agent:main:foo": {"sessionId": "2", "updatedAt": 5}}'
    (tmp_path / "a.json").write_bytes(text)
    (tmp_path / "b.json").write_bytes(b'{"agent:main:foo": {"sessionId": "2", "updatedAt": 5}}')
    assert verify(tmp_path / "a.json", tmp_path / "b.json").counts == {"session merged": 1}


@pytest.mark.parametrize(("events", "what", "reason", "code"), [pytest.param(*rest, id=name) for name, *rest in CASES])
def test_transcripts_are_compared_event_by_event(events: list[Any], what: str, reason: str, code: int, tmp_path: Path) -> None:
    found = compared(written(tmp_path / "a", EVENTS), written(tmp_path / "b", events))
    one = only(found)
    assert (one.subject, one.what, one.name, found.exit_code) == ("transcript", what, "s1.jsonl", code)
    assert one.reason.startswith(reason)
    assert found.equal_transcripts == 0


def test_changed_event_is_named_by_its_path(tmp_path: Path) -> None:
    found = compared(written(tmp_path / "a", EVENTS), written(tmp_path / "b", [*EVENTS[:4], event(4, content=1), *EVENTS[5:]]))
    assert only(found).paths == ("$.message.content",)
    assert (found.events, [(one.subject, one.path, one.count) for one in found.paths]) == (8, [("transcript", "$.message.content", 1)])


def test_line_that_is_bad_on_both_sides_is_equal_and_one_that_is_bad_in_a_is_no_loss(tmp_path: Path) -> None:
    bad = [*EVENTS[:4], b"\xff{", *EVENTS[4:]]
    assert compared(written(tmp_path / "a", bad), written(tmp_path / "b", bad)).is_equal
    found = compared(tmp_path / "a", written(tmp_path / "c", EVENTS))
    assert (only(found).what, found.exit_code) == ("unreadable before", 1)


def test_same_events_in_another_file_form_are_equal(tmp_path: Path) -> None:
    half = [*EVENTS, b'{"type":"custom","id":"x","data":"\\ud83d"}', b""]
    loose = [json.dumps(one).encode() if isinstance(one, dict) else one for one in half if one]
    a, b = written(tmp_path / "a", half, ARCHIVE), written(tmp_path / "b", loose, f"{ARCHIVE}.zst")
    found = compared(a, b)
    assert (found.is_equal, found.equal_transcripts, found.events) == (True, 1, 10)
    archive = b / "agents/main/sessions" / f"{ARCHIVE}.zst"
    archive.write_bytes(archive.read_bytes()[:-20])
    cut = compared(a, b)
    assert (only(cut).what, cut.exit_code) == ("changed", 3)


def test_transcripts_in_a_real_database_equal_the_files_that_it_was_made_from(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The topics' files have other names there, and 0.0 is 0."""
    found = compared(*(shared_state(name, tmp_path_factory) for name in ("json-2026.3", "sqlite-2026.8")))
    assert (found.transcripts, found.equal_transcripts, found.events) == (64, 64, 3_669)
    assert found.counts == {"session changed": 65}


def test_two_real_databases_differ_where_the_later_import_renames_a_provider(tmp_path_factory: pytest.TempPathFactory) -> None:
    found = compared(*(shared_state(name, tmp_path_factory) for name in ("sqlite-2026.8", "sqlite-2026.9")))
    assert (found.equal_sessions, found.counts) == (65, {"transcript changed": 7})
    assert {(one.path, one.count) for one in found.paths} == {("$.message.api", 315), ("$.message.provider", 315)}


def test_file_that_is_missing_in_a_copy_is_named(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> None:
    a, b = shared_state("json-2026.3", tmp_path_factory), own_state("json-2026.3", tmp_path_factory, tmp_path)
    assert compared(a, b).is_equal
    lost = sorted((b / "agents/main/sessions").glob("*.jsonl"))[3]
    lost.unlink()
    found = compared(a, b)
    assert (only(found).what, only(found).name, found.exit_code) == ("missing", lost.name, 3)
    assert (only(compared(b, a)).what, compared(b, a).exit_code) == ("extra", 1)


def test_lines_are_whole_however_the_file_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "x.jsonl"
    for data in (b"", b"a", b"a\n", b"\n\nabcdef\n\ngh\n", b"abcdefghij" * 3 + b"\nx"):
        file.write_bytes(data)
        wanted = data.split(b"\n") if not data.endswith(b"\n") and data else data.split(b"\n")[:-1]
        for size in (1, 2, 3, 7, 1 << 20):
            monkeypatch.setattr(transcripts, "_LINES_BYTES", size)
            assert list(transcripts.lines(file)) == wanted
    monkeypatch.setattr(transcripts, "MAX_LINE_BYTES", 8)
    with pytest.raises(CorruptStoreError, match="a line is longer"):
        list(transcripts.lines(file))
