"""Bad input from end to end: one clear line or a row in `problems`, never a traceback, never a wrong total, never a write."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from sessionlab import synth
from sessionlab.errors import CorruptStoreError, NoStoreError, SessionLabError, UnreadableError, UnsupportedSchemaError
from sessionlab.lab import queries
from sessionlab.lab.connection import connect
from sessionlab.lab.mirror import load, load_into
from tests.fixture_states import SQLITE_STATES, STORE, own_state
from tests.lab.states import event, header, write_store, write_transcript

NOW_MS = synth.DEFAULT_NOW_MS


def sound_state(folder: Path) -> Path:
    """Write one sound session with one dollar and fifty of usage."""
    write_store(folder, "main", {"agent:main:main": {"sessionId": "a", "updatedAt": NOW_MS - 1000}})
    write_transcript(folder, "main", "a.jsonl", [header("a"), event("1", cost=1), event("2", cost=0.5)])
    return folder


def store_file(state: Path) -> Path:
    return state / "agents/main/sessions/sessions.json"


_open: list[duckdb.DuckDBPyConnection] = []


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    """Close the mirrors that a test opened."""
    yield
    while _open:
        _open.pop().close()


def mirrored(state: Path) -> duckdb.DuckDBPyConnection:
    _open.append(con := connect())
    load_into(con, state, now_ms=NOW_MS)
    return con


def cost_usd(con: duckdb.DuckDBPyConnection) -> float:
    row = con.execute("SELECT coalesce(sum(cost_microusd), 0) / 1e6 FROM events WHERE NOT is_copy").fetchone()
    assert row is not None
    return float(row[0])


def codes(con: duckdb.DuckDBPyConnection) -> dict[str, int]:
    return dict(con.execute("SELECT code, CAST(sum(count) AS BIGINT) FROM problems GROUP BY 1").fetchall())


def sessions_in(con: duckdb.DuckDBPyConnection) -> int:
    row = con.execute("SELECT count(*) FROM sessions").fetchone()
    assert row is not None
    return int(row[0])


def ask_everything(con: duckdb.DuckDBPyConnection) -> None:
    for name in queries.names():
        queries.run(con, name, **{param.name: NOW_MS for param in queries.describe(name).params if param.name == "now_ms"})


def spoil(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def gone(path: Path) -> Path:
    path.unlink()
    return path


BROKEN: list[tuple[str, Callable[[Path], object], type[SessionLabError]]] = [
    ("nothing there", lambda state: store_file(state).unlink(), NoStoreError),
    ("truncated", lambda state: spoil(store_file(state), store_file(state).read_bytes()[:-9]), CorruptStoreError),
    ("an array", lambda state: spoil(store_file(state), b"[]"), CorruptStoreError),
    ("a number", lambda state: spoil(store_file(state), b"5"), CorruptStoreError),
    ("null", lambda state: spoil(store_file(state), b"null"), CorruptStoreError),
    ("text", lambda state: spoil(store_file(state), b"hello"), CorruptStoreError),
    ("not UTF-8", lambda state: spoil(store_file(state), b'{"agent:main:main":{"label":"\xff"}}'), CorruptStoreError),
    ("NaN", lambda state: spoil(store_file(state), b'{"agent:main:main":{"updatedAt":NaN}}'), CorruptStoreError),
    ("nested too deep", lambda state: spoil(store_file(state), b'{"k":' + b'{"a":' * 50_000), CorruptStoreError),
    ("a folder in its place", lambda state: gone(store_file(state)).mkdir(), NoStoreError),
    ("a pipe in its place", lambda state: os.mkfifo(gone(store_file(state))), NoStoreError),
    ("a link to nowhere", lambda state: gone(store_file(state)).symlink_to("none"), UnreadableError),
    ("no agents", lambda state: (state / "agents").rename(state / "else"), NoStoreError),
    ("a file for agents", lambda state: ((state / "agents").rename(state / "x"), spoil(state / "agents", b"")), NoStoreError),
    ("broken settings", lambda state: spoil(state / "openclaw.json", b"{oops"), SessionLabError),
]


@pytest.mark.parametrize(("change", "error"), [case[1:] for case in BROKEN], ids=[case[0] for case in BROKEN])
def test_a_store_that_cannot_be_read_is_one_line_and_no_mirror(
    change: Callable[[Path], object], error: type[SessionLabError], tmp_path: Path
) -> None:
    state = sound_state(tmp_path / "state")
    change(state)
    with pytest.raises(error) as caught:
        load(state, tmp_path / "m.duckdb", now_ms=NOW_MS)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["state"]


@pytest.mark.parametrize("data", [b"", b"  \n", b"{}"])
def test_an_empty_store_is_an_empty_mirror_that_answers(data: bytes, tmp_path: Path) -> None:
    state = sound_state(tmp_path)
    spoil(store_file(state), data)
    con = mirrored(state)
    assert sessions_in(con) == 0
    # Its transcript is there still, and so is what it cost.
    assert (cost_usd(con), codes(con)["orphan_transcript"]) == (1.5, 1)
    ask_everything(con)


def test_a_state_without_any_transcript_answers_every_query(tmp_path: Path) -> None:
    write_store(tmp_path, "main", {})
    con = mirrored(tmp_path)
    ask_everything(con)
    assert (cost_usd(con), codes(con)) == (0, {})


def test_a_folder_that_may_not_be_listed_is_an_error_not_an_empty_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = sound_state(tmp_path / "state")
    hidden = store_file(state).parent / "hidden"
    hidden.mkdir()
    real = os.scandir

    def refuse(path: Any) -> Any:
        if Path(path) == hidden:  # a mode would not stop root, whom many test machines run as
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(UnreadableError, match="cannot be listed"):
        mirrored(state)


ODD_ENTRIES: dict[str, tuple[Any, str]] = {
    "no updatedAt": ({"sessionId": "a"}, "no_updated_at"),
    "a time as text": ({"sessionId": "a", "updatedAt": "yesterday"}, "ill_typed_field"),
    "a time in the future": ({"sessionId": "a", "updatedAt": NOW_MS + 10}, "updated_in_future"),
    "a time beyond every calendar": ({"sessionId": "a", "updatedAt": 2**53}, "updated_in_future"),
    "a time beyond JavaScript": ({"sessionId": "a", "updatedAt": 2**53 + 2}, "ill_typed_field"),
    "no sessionId": ({"updatedAt": NOW_MS}, "no_session_id"),
    "a session id of the wrong type": ({"sessionId": 5, "updatedAt": NOW_MS}, "ill_typed_field"),
    "a path as session id": ({"sessionId": "../../etc/passwd", "updatedAt": NOW_MS}, "missing_transcript"),
    "a huge counter": ({"sessionId": "a", "updatedAt": 1, "compactionCount": 2**40, "totalTokens": 2**53}, ""),
    "a counter beyond JavaScript": ({"sessionId": "a", "updatedAt": 1, "totalTokens": 2**60}, "ill_typed_field"),
    "a counter as text": ({"sessionId": "a", "updatedAt": 1, "inputTokens": "many"}, "ill_typed_field"),
    "not an object": ("hello", "bad_entry"),
    "null": (None, "bad_entry"),
}


@pytest.mark.parametrize(("entry", "code"), ODD_ENTRIES.values(), ids=ODD_ENTRIES)
def test_an_odd_entry_is_a_row_in_problems_and_the_others_and_the_usage_count(entry: Any, code: str, tmp_path: Path) -> None:
    state = sound_state(tmp_path)
    write_store(state, "main", {"agent:main:direct:odd": entry, "agent:main:main": {"sessionId": "a", "updatedAt": NOW_MS - 1000}})
    con = mirrored(state)
    assert sessions_in(con) == (1 if code == "bad_entry" else 2)
    assert cost_usd(con) == 1.5
    assert not code or code in codes(con)
    ask_everything(con)


@pytest.mark.parametrize(
    "key",
    [
        "",
        " ",
        "agent::",
        "agent:main:",
        "__proto__",
        "constructor",
        "../../x",
        "a\0b",
        "x" * 10_000,
        "agent:main:\u00e9",
        "agent:main:e\u0301",
        "'; DROP",
    ],
)
def test_a_hostile_key_ends_no_load_and_loses_no_other_session(key: str, tmp_path: Path) -> None:
    state = sound_state(tmp_path)
    good = {"sessionId": "a", "updatedAt": NOW_MS - 1000}
    write_store(state, "main", {key: {"sessionId": "h", "updatedAt": NOW_MS}, "agent:main:main": good})
    con = mirrored(state)
    assert con.execute("SELECT cost_microusd FROM sessions WHERE session_key = 'agent:main:main'").fetchall() == [(1_500_000,)]
    assert cost_usd(con) == 1.5
    ask_everything(con)


@pytest.mark.parametrize("text", ["\\ud83d", "\\ude00 x", "a\\u0000b"])
def test_text_that_cannot_be_encoded_is_no_traceback(text: str, tmp_path: Path) -> None:
    state = sound_state(tmp_path)
    raw = b'{"agent:main:main":{"sessionId":"a","updatedAt":5,"label":"%s"},"agent:main:%s":{"sessionId":"b"}}'
    spoil(store_file(state), raw % (text.encode(), text.encode()))
    try:
        con = mirrored(state)
    except SessionLabError as error:
        assert "\n" not in str(error)  # noqa: PT017  # a refusal in one line is as good as a load
    else:
        assert cost_usd(con) == 1.5
        ask_everything(con)


BAD_LINES: dict[str, tuple[bytes, str, float]] = {
    "truncated in the middle": (b'{"type":"message","mess\n', "bad_line", 0),
    "unfinished at the end": (b'{"type":"message","mess', "unfinished_line", 0),
    "not UTF-8": (b'{"type":"message","x":"\xff"}\n', "bad_line", 0),
    "NaN": (b'{"type":"message","message":{"usage":{"input":NaN}}}\n', "bad_line", 0),
    "no object": (b"[1]\n", "bad_line", 0),
    "half an emoji": (
        b'{"type":"message","message":{"role":"assistant","content":"\\ud83d","usage":{"cost":{"total":2}}}}\n',
        "odd_event",
        2,
    ),
    "half an emoji for a model": (b'{"type":"message","message":{"model":"\\ud83d","usage":{"cost":{"total":2}}}}\n', "odd_event", 2),
    "negative": (b'{"type":"message","message":{"usage":{"input":-5,"cost":{"total":-3}}}}\n', "odd_event", 0),
    "text for a price": (b'{"type":"message","message":{"usage":{"cost":{"total":"9"}}}}\n', "odd_event", 0),
    "too many tokens": (b'{"type":"message","message":{"usage":{"input":1%s,"cost":{"total":2}}}}\n' % (b"0" * 400), "odd_event", 2),
    "a number of 5,000 digits": (b'{"type":"message","message":{"usage":{"input":1%s,"cost":{"total":2}}}}\n' % (b"0" * 5000), "", -1),
    "no time": (b'{"type":"custom"}\n', "untimed_event", 0),
    "a time beyond every calendar": (b'{"type":"custom","timestamp":"9999-12-31T23:59:59.999-14:00"}\n', "", 0),
    "a time before 1970": (b'{"type":"custom","timestamp":"0001-01-01T00:00:00.000+14:00"}\n', "", 0),
}


@pytest.mark.parametrize(("line", "code", "more_usd"), BAD_LINES.values(), ids=BAD_LINES)
def test_a_bad_transcript_line_is_a_row_in_problems_and_the_rest_counts(line: bytes, code: str, more_usd: float, tmp_path: Path) -> None:
    state = sound_state(tmp_path)
    with (store_file(state).parent / "a.jsonl").open("ab") as file:
        file.write(line)
    con = mirrored(state)
    if more_usd < 0:  # read or set aside: either way it is said
        assert codes(con).keys() & {"bad_line", "odd_event"}
        assert cost_usd(con) in (1.5, 3.5)
    else:
        assert cost_usd(con) == 1.5 + more_usd
    if code:
        assert codes(con)[code] == 1
        (row,) = con.execute("SELECT path, line, session_key, message FROM problems WHERE code = ?", [code]).fetchall()
        assert row[0] == "agents/main/sessions/a.jsonl"
        assert row[1] == (4 if code in ("bad_line", "unfinished_line") else None)
        assert row[2] == "agent:main:main"
        assert "\n" not in row[3]
    ask_everything(con)


def test_a_thousand_bad_lines_are_all_counted_and_a_hundred_listed(tmp_path: Path) -> None:
    state = sound_state(tmp_path)
    with (store_file(state).parent / "a.jsonl").open("ab") as file:
        file.write(b"{oops}\n" * 1000)
    con = mirrored(state)
    assert (codes(con)["bad_line"], cost_usd(con)) == (1000, 1.5)
    assert con.execute("SELECT count(*) FROM problems").fetchone() == (101,)
    assert con.execute("SELECT bad_lines FROM transcripts").fetchone() == (1000,)


def test_among_the_transcripts_links_to_files_count_and_folders_and_pipes_do_not(tmp_path: Path) -> None:
    state = sound_state(tmp_path / "state")
    folder = store_file(state).parent
    (folder / "folder.jsonl").mkdir()
    (folder / "folder.jsonl" / "inner.jsonl").write_text(json.dumps(event("i", cost=50)) + "\n", encoding="utf-8")
    os.mkfifo(folder / "pipe.jsonl")
    outside = tmp_path / "outside.jsonl"
    outside.write_text(json.dumps(event("o", cost=70)) + "\n", encoding="utf-8")
    (folder / "link.jsonl").symlink_to(outside)
    (folder / "loop").symlink_to(folder)
    con = mirrored(state)
    assert cost_usd(con) == 71.5
    assert con.execute("SELECT count(*) FROM transcripts").fetchone() == (2,)


def test_a_file_name_that_is_not_utf8_is_counted_all_the_same(tmp_path: Path) -> None:
    state = sound_state(tmp_path / "state")
    name = os.fsencode(store_file(state).parent) + b"/caf\xe9.jsonl"
    Path(os.fsdecode(name)).write_text(json.dumps(event("c", cost=2)) + "\n", encoding="utf-8")
    for _ in range(2):
        load(state, tmp_path / "m.duckdb", now_ms=NOW_MS)
        with connect(tmp_path / "m.duckdb") as con:
            assert (cost_usd(con), codes(con)["orphan_transcript"]) == (3.5, 1)


def test_an_archive_cut_short_is_an_error_row_and_is_tried_again(tmp_path: Path) -> None:
    import zstandard

    state = sound_state(tmp_path / "state")
    lines = b"".join(json.dumps({**event(str(number), cost=1), "noise": os.urandom(200).hex()}).encode() + b"\n" for number in range(400))
    path = store_file(state).parent / "old.jsonl.deleted.2026-10-01T00-00-00.000Z.zst"
    packed = zstandard.compress(lines)
    path.write_bytes(packed[:-10])
    load(state, tmp_path / "m.duckdb", now_ms=NOW_MS)
    with connect(tmp_path / "m.duckdb") as con:
        assert con.execute("SELECT severity FROM problems WHERE code = 'unreadable_transcript'").fetchall() == [("error",)]
    path.write_bytes(packed)
    load(state, tmp_path / "m.duckdb", now_ms=NOW_MS)
    with connect(tmp_path / "m.duckdb") as con:
        assert (cost_usd(con), codes(con).get("unreadable_transcript")) == (401.5, None)


def test_a_hundred_thousand_keys_load_in_seconds(tmp_path: Path) -> None:
    store = {f"agent:main:cron:job:run:{number}": {"sessionId": f"s{number}", "updatedAt": NOW_MS - number} for number in range(100_000)}
    write_store(tmp_path, "main", store)
    con = mirrored(tmp_path)
    assert sessions_in(con) == 100_000
    assert codes(con) == {"missing_transcript": 100_000}
    assert con.execute("SELECT sum(entry_bytes) FROM sessions").fetchone() is not None


@pytest.mark.parametrize("name", SQLITE_STATES)
def test_a_database_of_an_unknown_version_is_refused(name: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    import sqlite3

    state = own_state(name, tmp_path_factory, tmp_path)
    con = sqlite3.connect(state / STORE)
    con.execute("PRAGMA user_version = 99")
    con.execute("UPDATE schema_meta SET schema_version = 99")
    con.commit()
    con.close()
    with pytest.raises(UnsupportedSchemaError, match="99"):
        mirrored(state)


@pytest.mark.parametrize("keep", [0, 50, 5000, 200_000])
def test_a_database_cut_short_is_an_error_or_says_what_is_damaged(
    keep: int, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    state = own_state("sqlite-2026.9", tmp_path_factory, tmp_path)
    path = state / STORE
    path.write_bytes(path.read_bytes()[:keep])
    try:
        con = mirrored(state)
    except SessionLabError as error:
        assert "\n" not in str(error)  # noqa: PT017  # a refusal in one line is as good as a row
    else:
        assert con.execute("SELECT count(*) FROM problems WHERE severity = 'error'").fetchone() != (0,)


def test_the_command_line_says_it_in_one_line_and_never_with_a_traceback(tmp_path: Path) -> None:
    state = sound_state(tmp_path / "state")
    spoil(store_file(state), b"[]")
    command = [sys.executable, "-m", "sessionlab", "load", str(state), "-o", str(tmp_path / "m.duckdb")]
    if subprocess.run([sys.executable, "-c", "import sessionlab.__main__"], capture_output=True, check=False).returncode:
        command = [sys.executable, "-c", "import sys; from sessionlab.cli import main; sys.exit(main())", *command[3:]]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert "Traceback" not in done.stderr
    assert str(store_file(state)) in done.stderr.replace("\n", "")
