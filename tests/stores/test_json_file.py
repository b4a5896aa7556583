"""`sessions.json`: what accidents, editors and hostile hands make of it, and what each operation then says."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sessionlab import codec
from sessionlab.errors import CorruptStoreError, InvalidJSONError, NoStoreError, StoreError, UnreadableError
from sessionlab.stores.base import Problem
from sessionlab.stores.json_file import JSONFileStore

MAIN = "agent:main:main"
SOUND = {"sessionId": "s1", "updatedAt": 1000}

Reading = Callable[[JSONFileStore], object]
LISTING: list[Reading] = [lambda store: list(store.summaries()), JSONFileStore.count, JSONFileStore.stats]
CONTENTS: list[Reading] = [lambda store: list(store.items()), JSONFileStore.fingerprint]
CUTTING: list[Reading] = [lambda store: list(store.raw_items()), lambda store: store.get("agent:main:absent")]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sessions.json"


def write(path: Path, store: bytes | dict[str, Any]) -> Path:
    path.write_bytes(store if isinstance(store, bytes) else codec.encode_indented(store))
    return path


def found(path: Path) -> dict[str, list[Problem]]:
    """Return what `check()` finds, by code."""
    problems: dict[str, list[Problem]] = {}
    with JSONFileStore.open(path) as store:
        for problem in store.check():
            problems.setdefault(problem.code, []).append(problem)
    return problems


def refusal(read: Reading, path: Path) -> InvalidJSONError:
    with JSONFileStore.open(path) as store, pytest.raises(InvalidJSONError) as caught:
        read(store)
    return caught.value


# name, the value of `agent:main:main`, the line of the fault in the file, reason, whether a listing (which skips big fields) meets it
FAULTS: list[tuple[str, bytes, int, str, bool]] = [
    ("invalid utf-8", b'{\n"skillsSnapshot": "\xff"}', 4, "is not UTF-8", False),
    ("invalid utf-8 in a listed field", b'{\n"label": "\xff"}', 4, "is not UTF-8", True),
    ("duplicate key", b'{"x": 1,\n"x": 2}', 4, "key 'x' is written twice", False),
    ("out of range", b'{\n\n"x": 1e999}', 5, "number of 5 characters is out of range", False),
    ("5,000 digits", b'{"x":\n' + b"9" * 5000 + b"}", 4, "integer of 5000 digits", False),
    ("too deep", b'{"x":\n' + b"[" * 300 + b"]" * 300 + b"}", 4, "nested more than 200 levels", False),
    ("lone surrogate", b'{"x":\n"\\ud800"}', 4, "half of a surrogate pair", True),
    ("NaN", b'{"x":\nNaN}', 4, "NaN is not JSON", True),
    ("trailing comma", b'{"x": 1,\n}', 0, "", True),
    ("control character", b'{"x":\n"\x01"}', 4, "invalid control character", True),
]


@pytest.mark.parametrize(("entry", "line", "reason", "is_listed"), [row[1:] for row in FAULTS], ids=[row[0] for row in FAULTS])
def test_contents_and_check_meet_every_fault_and_listings_those_they_read(
    path: Path,
    entry: bytes,
    line: int,
    reason: str,
    is_listed: bool,  # noqa: FBT001 - a column of the table
) -> None:
    write(path, b'{\n"agent:main:cron:a": {},\n"agent:main:main": ' + entry + b"\n}")
    for read in CONTENTS:
        error = refusal(read, path)
        assert reason in error.reason
        assert not line or error.line == line
        assert error.exit_code == 3
    (problem,) = [problem for problems in found(path).values() for problem in problems if problem.severity == "error"]
    assert reason in problem.message
    assert not line or problem.line == line
    assert problem.path == str(path)
    for read in LISTING:
        if is_listed:
            assert reason in refusal(read, path).reason
        else:
            with JSONFileStore.open(path) as store:
                read(store)
                assert store.count() == 2


DAMAGED: list[tuple[str, bytes, int, str]] = [
    ("byte order mark", b"\xef\xbb\xbf{}", 1, "starts with a byte order mark"),
    ("duplicate session", b'{\n"a": {},\n"a": {}\n}', 3, "key 'a' is written twice"),
    ("truncated", b'{\n"a": {\n"sessionId": "s', 3, "truncated"),
    ("trailing garbage", b"{}\n{}", 2, "extra data"),
    ("array", b"[]", 1, "the document is an array, not an object"),
    ("null", b"null", 1, "the document is null, not an object"),
    ("number", b"5", 1, "the document is a number, not an object"),
    ("NUL bytes", b"\0" * 4096, 1, "expecting value"),
    ("100,000 levels", b'{"a":' * 100_000, 1, "nested more than 200 levels"),
    ("SQLite", b"SQLite format 3\0", 1, "expecting value"),
]


@pytest.mark.parametrize(("data", "line", "reason"), [row[1:] for row in DAMAGED], ids=[row[0] for row in DAMAGED])
def test_damaged_file_is_refused_by_every_operation_and_reported_by_check(path: Path, data: bytes, line: int, reason: str) -> None:
    write(path, data)
    for read in LISTING + CONTENTS + CUTTING:
        error = refusal(read, path)
        assert reason in error.reason
        assert error.line == line
    (problem,) = found(path)["invalid_store"]
    assert (problem.severity, problem.line, problem.path) == ("error", line, str(path))
    assert reason in problem.message


@pytest.mark.parametrize("data", [b"", b" \n\t", b"\n" * 10_000])
def test_blank_file_holds_no_sessions_and_check_says_so(path: Path, data: bytes) -> None:
    with JSONFileStore.open(write(path, data)) as store:
        assert [*store.summaries(), *store.items(), *store.raw_items()] == []
        assert store.count() == store.fingerprint().count == 0
        assert store.get(MAIN) is None
        assert store.stats().store_bytes == len(data)
    (problem,) = found(path)["blank_store"]
    assert problem.severity == "warning"


def test_empty_object_is_a_sound_store(path: Path) -> None:
    with JSONFileStore.open(write(path, b"{}")) as store:
        assert store.count() == 0
        assert list(store.summaries()) == []
        assert store.check() == ()


@pytest.mark.parametrize("broken", ["null", "[1]", '"x"', "5", "true"])
def test_entry_that_is_no_object_is_reported_and_left_out(path: Path, broken: str) -> None:
    text = f'{{\n"agent:main:cron:a": {broken},\n"{MAIN}": {{"sessionId": "s1", "updatedAt": 1000}}\n}}'
    with JSONFileStore.open(write(path, text.encode())) as store:
        assert [summary.key for summary in store.summaries()] == [MAIN]
        assert [key for key, _ in store.items()] == [key for key, _ in store.raw_items()] == [MAIN]
        assert store.count() == store.fingerprint().count == 1
        assert store.get("agent:main:cron:a") is None
        assert store.get(MAIN) == SOUND
    (problem,) = found(path)["bad_entry"]
    assert (problem.key, problem.line, problem.severity) == ("agent:main:cron:a", 2, "error")
    assert "not an object" in problem.message


def test_every_bad_entry_is_reported_with_its_own_line(path: Path) -> None:
    write(path, b'{\n"a": null,\n"b": {"x": 1,\n"x": 2},\n"c": {"sessionId": "s", "updatedAt": 1},\n"d": {"x": 1e999}\n}')
    assert [(problem.key, problem.line) for problem in found(path)["bad_entry"]] == [("a", 2), ("b", 4), ("d", 6)]
    with JSONFileStore.open(path) as store:
        assert [summary.key for summary in store.summaries()] == ["c", "b", "d"]
        assert store.get("c") == {"sessionId": "s", "updatedAt": 1}
    assert refusal(lambda store: store.get("d"), path).line == 6


def test_listing_beside_an_entry_that_is_no_object_still_words_its_errors(path: Path) -> None:
    write(path, b'{\n"a": null,\n"b": {\n"updatedAt": 1e999}\n}')
    assert refusal(lambda store: list(store.summaries()), path).line == 4


@pytest.mark.parametrize("updated", ["yesterday", 1e300, None, [], True])
def test_unusable_time_is_listed_last_and_reported(path: Path, updated: Any) -> None:
    store = {"agent:main:a": {"sessionId": "s", "updatedAt": updated}, "agent:main:b": {"sessionId": "t", "updatedAt": -5}, MAIN: SOUND}
    with JSONFileStore.open(write(path, store)) as opened:
        assert [(row.key, row.updated_ms) for row in opened.summaries()] == [(MAIN, 1000), ("agent:main:b", -5), ("agent:main:a", None)]
        assert opened.get("agent:main:a") == store["agent:main:a"]
    (problem,) = found(path)["no_updated_at" if updated is None else "ill_typed_field"]
    assert problem.key == "agent:main:a"
    assert problem.severity == "warning"


def test_reserved_keys_are_never_loaded_and_reported(path: Path) -> None:
    blocked = ["__proto__", " Constructor ", "PROTOTYPE"]
    with JSONFileStore.open(write(path, {**dict.fromkeys(blocked, SOUND), MAIN: SOUND})) as store:
        assert store.count() == len(list(store.summaries())) == len(list(store.items())) == store.fingerprint().count == 1
        assert [store.get(key) for key in blocked] == [None] * 3
    assert {problem.key for problem in found(path)["blocked_key"]} == set(blocked)


def test_odd_keys_are_read_as_they_are_and_reported(path: Path) -> None:
    odd = [" ", "a\0b", "agent:main:" + "x" * 10_000, "agent:main:a::b"]
    fine = ["../x", "agent:main:direct:zo\u00eb", "agent:main:direct:zoe\u0308"]
    with JSONFileStore.open(write(path, dict.fromkeys([*odd, *fine], SOUND))) as store:
        assert [key for key, _ in store.items()] == [*odd, *fine]
        assert {row.key for row in store.summaries()} == {*odd, *fine}
        assert store.get("a\0b") == SOUND
    problems = found(path)
    assert set(problems) == {"odd_key"}
    assert {problem.key for problem in problems["odd_key"]} == set(odd)
    assert all("\n" not in problem.message and len(problem.message) < 250 for problem in problems["odd_key"])


def test_case_variants_are_two_rows_and_one_finding(path: Path) -> None:
    twins = ["agent:main:telegram:group:-1", "agent:main:Telegram:Group:-1"]
    with JSONFileStore.open(write(path, dict.fromkeys(twins, SOUND))) as store:
        assert store.count() == 2
    problems = found(path)
    assert set(problems) == {"case_variant_keys", "non_canonical_key"}
    assert (problems["case_variant_keys"][0].key, problems["case_variant_keys"][0].count) == (twins[0], 2)


def test_check_names_missing_ids_and_folds_legacy_names(path: Path) -> None:
    write(path, {MAIN: {**SOUND, "provider": "x"}, "agent:main:a": {"updatedAt": 1, "provider": "y", "room": "r"}})
    problems = found(path)
    assert {code: sum(problem.count for problem in rows) for code, rows in problems.items()} == {"no_session_id": 1, "legacy_field": 3}
    assert len(problems["legacy_field"]) == 2


def test_findings_come_worst_first(path: Path) -> None:
    write(path, {"Agent:main:b": SOUND, "agent:main:a": {**SOUND, "provider": "x"}, "agent:main:c": None})
    with JSONFileStore.open(path) as store:
        assert [problem.severity for problem in store.check()] == ["error", "warning", "info"]


def test_hundred_thousand_sessions_are_listed_in_seconds(path: Path) -> None:
    number = 100_000
    write(path, {f"agent:main:direct:{place}": {"sessionId": f"s{place}", "updatedAt": place, "note": "x" * 50} for place in range(number)})
    began = time.perf_counter()
    with JSONFileStore.open(path) as store:
        rows = list(store.summaries())
        assert store.count() == number
    assert [row.updated_ms for row in rows] == list(range(number - 1, -1, -1))
    assert time.perf_counter() - began < 10


def test_replaced_file_is_read_to_its_end_in_its_old_state(path: Path) -> None:
    write(path, {MAIN: SOUND, "agent:main:a": {**SOUND, "note": "old"}})
    with JSONFileStore.open(path) as store:
        items = store.items()
        first = next(items)
        before = store.fingerprint()
        os.replace(write(path.with_suffix(".tmp"), {MAIN: {**SOUND, "note": "new"}}), path)  # noqa: PTH105 - as OpenClaw does
        assert [first, *items] == [(MAIN, SOUND), ("agent:main:a", {**SOUND, "note": "old"})]
        assert store.count() == 2
        assert store.fingerprint() == before
        path.unlink()
        assert store.get("agent:main:a") == {**SOUND, "note": "old"}
    with pytest.raises(NoStoreError, match="there is no such file"):
        JSONFileStore.open(path)


@pytest.mark.parametrize("left_bytes", [0, 1, 40])
@pytest.mark.parametrize("read", [*LISTING, *CONTENTS, *CUTTING, JSONFileStore.check])
def test_file_cut_off_in_place_is_a_clear_error(path: Path, left_bytes: int, read: Reading) -> None:
    with JSONFileStore.open(write(path, {MAIN: SOUND})) as store:
        os.truncate(path, left_bytes)
        with pytest.raises(CorruptStoreError, match="was changed in place while it was being read; run it again"):
            read(store)


def test_file_overwritten_in_place_with_as_many_bytes_is_a_clear_error(path: Path) -> None:
    with JSONFileStore.open(write(path, {MAIN: SOUND})) as store:
        data = path.read_bytes()
        path.write_bytes(data.replace(b"1000", b"2000"))
        os.utime(path, ns=(1, 1))
        with pytest.raises(CorruptStoreError, match="changed in place"):
            list(store.summaries())


def test_truncated_download_is_never_an_empty_store(path: Path) -> None:
    whole = codec.encode_indented({MAIN: SOUND, "agent:main:a": SOUND})
    for size in range(1, len(whole)):
        error = refusal(lambda store: list(store.summaries()), write(path, whole[:size]))
        assert error.line == whole[:size].count(b"\n") + 1


def test_what_is_no_file_is_no_store(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    listener = socket.socket(socket.AF_UNIX)
    working = Path.cwd()
    os.chdir(tmp_path)  # the path of a socket may have 107 bytes only
    try:
        listener.bind("socket")
    finally:
        os.chdir(working)
    expected: dict[Path, type[StoreError]] = {
        tmp_path: NoStoreError,
        tmp_path / "fifo": NoStoreError,
        tmp_path / "missing": NoStoreError,
        tmp_path / "dangling": UnreadableError,
        Path(os.devnull): NoStoreError,
        tmp_path / "socket": UnreadableError,
        tmp_path / "loop": UnreadableError,
        tmp_path / "file" / "sessions.json": UnreadableError,
        tmp_path / ("x" * 300): UnreadableError,
    }
    for path, kind in expected.items():
        with pytest.raises(kind) as caught:
            JSONFileStore.open(path)
        assert str(caught.value).startswith(f"{path}: ")
        assert caught.value.exit_code == 10
    listener.close()


def test_no_descriptor_stays_open_after_a_refusal(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - a count, no paths
    for _ in range(20):
        with pytest.raises(NoStoreError):
            JSONFileStore.open(tmp_path)
        with JSONFileStore.open(write(tmp_path / "s.json", b"[")) as store, pytest.raises(InvalidJSONError):
            store.count()
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208 - a count, no paths


AS_NOBODY = """
import os, sys
sys.path[:0] = {path!r}
from pathlib import Path
from sessionlab.errors import StoreError
from sessionlab.stores.json_file import JSONFileStore
from sessionlab.stores.opening import open_store
os.setgid(65534)
os.setuid(65534)
for name in sys.argv[1:]:
    for action in (JSONFileStore.open, open_store):
        try:
            action(Path(name))
            print("opened")
        except StoreError as error:
            print(type(error).__name__, error)
"""


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Return a folder that other users may pass through, as those of `tmp_path` are not."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o711)
        yield Path(name)


@pytest.mark.skipif(os.getuid() != 0, reason="needs root, to become somebody who may not read")
def test_unreadable_file_and_folder_are_told_apart_from_missing_ones(open_folder: Path) -> None:
    state = open_folder / "state"
    sessions = state / "agents" / "main" / "sessions"
    sessions.mkdir(parents=True)
    store = write(sessions / "sessions.json", {MAIN: SOUND})

    def as_nobody(*paths: Path) -> list[str]:
        script = AS_NOBODY.format(path=[entry for entry in sys.path if entry])
        command = [sys.executable, "-c", script, *map(str, paths)]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.splitlines()

    store.chmod(0o600)
    refused = f"UnreadableError {store}: cannot be read (Permission denied)"
    assert as_nobody(store) == [refused, refused]
    sessions.chmod(0o700)
    listed = as_nobody(store, state, state / "agents" / "main")
    assert listed[0] == refused
    assert listed[1] == f"UnreadableError {store}: cannot be looked at (Permission denied)"
    assert listed[3] == listed[5] == refused
    (state / "agents").chmod(0o744)
    assert as_nobody(state)[1] == f"UnreadableError {state / 'agents' / 'main'}: cannot be looked at (Permission denied)"
    state.chmod(0o711)
    assert as_nobody(state)[1] == f"UnreadableError {state}: cannot be listed (Permission denied)"


JSON_VALUES = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9)
)
ENTRIES = st.dictionaries(
    st.sampled_from(["sessionId", "updatedAt", "channel", "delivery", "note"]), JSON_VALUES | st.lists(JSON_VALUES, max_size=2)
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.text(max_size=12), ENTRIES | JSON_VALUES, max_size=6))
def test_every_reading_agrees_on_which_sessions_there_are(path: Path, store: dict[str, Any]) -> None:
    path.write_text(json.dumps(store), encoding="utf-8")
    blocked = {"__proto__", "prototype", "constructor"}
    expected = {key: entry for key, entry in store.items() if isinstance(entry, dict) and key.strip().lower() not in blocked}
    with JSONFileStore.open(path) as opened:
        assert dict(opened.items()) == expected
        assert {key: json.loads(raw) for key, raw in opened.raw_items()} == expected
        assert {row.key for row in opened.summaries()} == set(expected)
        assert opened.count() == opened.fingerprint().count == len(expected)
        assert all(opened.get(key) == expected.get(key) for key in store)
        opened.check()
