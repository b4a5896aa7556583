"""The transcript reader: what is set aside, what is still counted, and that neither chunk size nor compression changes the answer."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from sessionlab import transcripts
from sessionlab.errors import CorruptStoreError, UnreadableError
from sessionlab.transcripts import BadLine, Decoded, decode, line_sizes, read

GOOD = b'{"type":"message","id":"a","message":{"role":"assistant","usage":{"input":3,"output":4,"cost":{"total":0.5}}}}'
HEADER = b'{"type":"session","id":"s","timestamp":"2026-11-20T00:00:00.000Z"}'


def whole(pieces: Iterator[Decoded]) -> Decoded:
    """Return all pieces as one."""
    result = Decoded()
    for piece in pieces:
        result.events += piece.events
        result.sizes += piece.sizes
        result.bad += piece.bad
        result.odd += piece.odd
        result.lines += piece.lines
    return result


def written(folder: Path, data: bytes, name: str = "t.jsonl") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def message(**usage: Any) -> bytes:
    return json.dumps({"type": "message", "message": {"role": "assistant", "usage": usage}}).encode()


@pytest.mark.parametrize("place", [1, 2, 3])
def test_a_bad_line_is_set_aside_with_its_number_and_the_rest_is_read(place: int) -> None:
    lines = [HEADER, GOOD, GOOD]
    lines[place - 1] = GOOD[:30]
    found = decode(b"\n".join(lines) + b"\n")
    assert [(bad.number, bad.is_unfinished) for bad in found.bad] == [(place, False)]
    assert "truncated" in found.bad[0].reason
    assert len(found.events) == 2
    assert found.sizes == [len(line) for line in lines if line != GOOD[:30]]


def test_a_last_line_without_its_newline_counts_when_it_is_whole() -> None:
    found = decode(HEADER + b"\n" + GOOD)
    assert [event.type for event in found.events] == ["session", "message"]
    assert (found.bad, found.lines, found.sizes) == ([], 2, [len(HEADER), len(GOOD)])


def test_a_last_line_that_stops_in_the_middle_is_unfinished_not_bad() -> None:
    found = decode(HEADER + b"\n" + GOOD[:40])
    assert found.bad == [BadLine(2, "is unfinished", is_unfinished=True)]
    assert len(found.events) == 1


def test_an_unfinished_line_cut_inside_a_character_is_unfinished() -> None:
    found = decode(HEADER + b"\n" + '{"type":"message","x":"ä'.encode()[:-1])
    assert [bad.is_unfinished for bad in found.bad] == [True]


def test_a_run_of_blank_lines_takes_no_memory_of_its_own() -> None:
    data = b"\n" * 3_000_000 + b"{oops}\n" + b"\n" * 1_000_000 + b'{"type": "a"}'
    tracemalloc.start()
    try:
        found = decode(data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert ([line.number for line in found.bad], len(found.events), found.lines) == ([3_000_001], 1, 4_000_002)
    assert peak < 16 << 20


def test_blank_lines_are_no_events_and_keep_the_numbers_true() -> None:
    found = decode(b"\n" + HEADER + b"\n\n  \n" + b"{oops}\n" + GOOD + b"\n")
    assert [event.type for event in found.events] == ["session", "message"]
    assert [bad.number for bad in found.bad] == [5]
    assert found.lines == 6


def test_windows_line_ends_change_nothing_but_the_bytes() -> None:
    found = decode(b"\r\n".join([HEADER, GOOD, b""]))
    assert [event.type for event in found.events] == ["session", "message"]
    assert (found.bad, found.sizes) == ([], [len(HEADER) + 1, len(GOOD) + 1])


def test_a_line_that_is_not_utf8_is_set_aside_alone() -> None:
    found = decode(HEADER + b'\n{"type":"message","x":"\xff"}\n' + GOOD + b"\n")
    assert [(bad.number, bad.reason) for bad in found.bad] == [(2, "holds bytes that are not UTF-8")]
    assert len(found.events) == 2


@pytest.mark.parametrize("half", [b'"\\ud83d"', b'"a \\ud83d b"', b'"\\ude00"'])
def test_half_an_emoji_in_a_text_does_not_lose_the_usage(half: bytes) -> None:
    line = (
        b'{"type":"message","message":{"role":"assistant","model":"m","content":' + half + b',"usage":{"input":7,"cost":{"total":0.25}}}}'
    )
    found = decode(HEADER + b"\n" + line + b"\n")
    assert found.bad == []
    event = found.events[1]
    assert event.message is not None
    assert event.message.usage is not None
    assert event.message.usage.cost is not None
    assert (event.message.usage.input, event.message.usage.cost.total, event.message.model) == (7, 0.25, "m")


def test_half_an_emoji_in_a_name_that_is_kept_becomes_something_that_can_be_encoded() -> None:
    (event,) = decode(b'{"type":"a\\ud83d","id":"\\ud83d","message":{"model":"m\\ude00"}}\n').events
    assert event.message is not None
    for text in (event.type, event.id, event.message.model):
        assert text is not None
        text.encode("utf-8")


@pytest.mark.parametrize(
    "data",
    [
        b'{"type":\n"a"}\n',
        b'{"type":"a"\n}\n{"type":"b"}{"type":"c"}\n',  # three events, three lines, and none of them one on one
        b'\n{"type":"b"}{"type":"c"}\n',
        b'{"type":"a","x":\n{}}{"type":"b"}\n',
    ],
)
def test_only_one_whole_event_on_one_line_counts(data: bytes) -> None:
    found = decode(data)
    assert found.events == []
    assert found.bad
    assert found.lines == data.count(b"\n")


@pytest.mark.parametrize("line", [b"[]", b"5", b'"type"', b"null", b"{}", b'{"type":5}', b'{"type":null}', b"[" * 100_000, b'{"a":' * 9000])
def test_what_is_no_event_is_set_aside(line: bytes) -> None:
    found = decode(HEADER + b"\n" + line + b"\n" + GOOD + b"\n")
    assert len(found.events) == 2
    assert [bad.number for bad in found.bad] == [2]
    assert "\n" not in found.bad[0].reason


@pytest.mark.parametrize("constant", [b"NaN", b"Infinity", b"-Infinity"])
def test_numbers_that_json_does_not_have_make_a_line_bad(constant: bytes) -> None:
    found = decode(b'{"type":"message","message":{"usage":{"input":' + constant + b"}}}\n")
    assert (found.events, [bad.number for bad in found.bad]) == ([], [1])


@pytest.mark.parametrize("value", [-1, -0.5, 10**12 + 1, 10**30, 1e300, "12", True, [], {}])
def test_a_count_that_is_none_is_absent_and_reported_and_the_rest_counts(value: Any) -> None:
    found = decode(HEADER + b"\n" + message(input=value, output=5, cacheRead=6) + b"\n")
    assert (found.odd, found.bad) == ([2], [])
    event = found.events[1]
    assert event.message is not None
    assert event.message.usage is not None
    assert (event.message.usage.input, event.message.usage.output, event.message.usage.cache_read) == (None, 5, 6)


@pytest.mark.parametrize("cost", [{"total": -1.0}, {"total": 1e7}, {"total": "1"}, {"total": True}, "1", [1]])
def test_a_price_that_is_none_is_absent_and_reported(cost: Any) -> None:
    (event,) = (found := decode(message(input=5, cost=cost) + b"\n")).events
    assert found.odd == [1]
    assert event.message is not None
    assert event.message.usage is not None
    assert event.message.usage.input == 5
    assert event.message.usage.cost is None


def test_null_is_absent_and_nothing_odd() -> None:
    found = decode(message(input=None, output=2, cost=None) + b"\n" + message(input=1, cost={"total": None}) + b"\n")
    assert (found.odd, found.bad, len(found.events)) == ([], [], 2)


EVENTS = st.sampled_from(
    [HEADER, GOOD, b"", b"  ", b"{oops", b'{"type":"x","t":"\xc3\xa4"}', b'{"type":"y","t":"\\ud83d"}', b"\xff", b"[]"]
)


@given(lines=st.lists(EVENTS, max_size=12), newline=st.booleans(), chunk=st.integers(1, 40))
def test_chunking_does_not_matter(lines: list[bytes], newline: bool, chunk: int, tmp_path_factory: pytest.TempPathFactory) -> None:  # noqa: FBT001
    data = b"\n".join(lines) + (b"\n" if newline and lines else b"")
    path = written(tmp_path_factory.mktemp("chunks"), data)
    at_once = whole(read(path))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transcripts, "CHUNK_BYTES", chunk)
        assert whole(read(path)) == at_once
    assert at_once == decode(data)


def test_lines_are_measured_without_their_newline() -> None:
    assert line_sizes(np.array([2, 3, 5])).tolist() == [2, 0, 1]


def test_a_line_beyond_the_limit_is_refused_and_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transcripts, "CHUNK_BYTES", 16)
    monkeypatch.setattr(transcripts, "MAX_LINE_BYTES", 200)
    path = written(tmp_path, HEADER + b"\n" + b"x" * 500)
    pieces = read(path)
    assert [event.type for event in next(pieces).events] == ["session"]
    with pytest.raises(CorruptStoreError, match="line 2 is longer"):
        list(pieces)


def test_a_compressed_archive_reads_like_the_plain_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = HEADER + b"\n" + (GOOD + b"\n") * 500 + GOOD[:20]
    expected = decode(data)
    one = written(tmp_path, zstandard.compress(data), "one.jsonl.deleted.2026-11-20T00-00-00.000Z.zst")
    two = written(tmp_path, zstandard.compress(data[:700]) + zstandard.compress(data[700:]), "two.jsonl.zst")
    # The size of the packed file is no limit on what is in it.
    assert whole(read(one, limit_bytes=one.stat().st_size)) == expected
    assert whole(read(two)) == expected
    monkeypatch.setattr(transcripts, "CHUNK_BYTES", 100)
    assert whole(read(one)) == expected


@pytest.mark.parametrize("cut", [0, 5, 200, -1])
def test_a_compressed_archive_that_was_cut_short_is_reported_never_shorter_in_silence(tmp_path: Path, cut: int) -> None:
    noise = b"".join(b'{"type":"m","n":"%064x"}\n' % (number * 7919**12 % 2**256) for number in range(3000))
    path = written(tmp_path, zstandard.compress(noise)[:cut], "t.jsonl.zst")
    with pytest.raises(CorruptStoreError, match="cut short"):
        list(read(path))


def test_a_compressed_archive_of_something_else_is_corrupt(tmp_path: Path) -> None:
    with pytest.raises(CorruptStoreError, match="does not decompress"):
        list(read(written(tmp_path, b"plain text", "t.jsonl.zst")))


def test_reading_stops_where_the_caller_saw_the_end(tmp_path: Path) -> None:
    first = HEADER + b"\n" + GOOD + b"\n"
    path = written(tmp_path, first + GOOD + b"\n" + GOOD + b"\n")
    assert whole(read(path, limit_bytes=len(first))) == decode(first)
    in_the_middle = whole(read(path, limit_bytes=len(first) + 10))
    assert (len(in_the_middle.events), in_the_middle.bad) == (2, [BadLine(3, "is unfinished", is_unfinished=True)])
    assert whole(read(path, limit_bytes=0)) == Decoded()


def test_what_is_appended_while_reading_is_left_for_the_next_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transcripts, "CHUNK_BYTES", 200)
    path = written(tmp_path, (GOOD + b"\n") * 20)
    pieces = read(path, limit_bytes=path.stat().st_size)
    found = next(pieces)
    with path.open("ab") as file:
        file.write(GOOD + b"\n" + GOOD[:9])
    rest = whole(pieces)
    assert len(found.events) + len(rest.events) == 20
    assert rest.bad == []


def test_an_empty_file_has_no_events(tmp_path: Path) -> None:
    assert whole(read(written(tmp_path, b""))) == Decoded()


def test_a_folder_or_nothing_at_all_is_unreadable_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").mkdir()
    for path in (tmp_path / "x.jsonl", tmp_path / "none.jsonl"):
        with pytest.raises(UnreadableError) as caught:
            list(read(path))
        assert "\n" not in str(caught.value)
        assert str(path) in str(caught.value)


def test_a_link_is_read_as_what_it_points_to(tmp_path: Path) -> None:
    path = written(tmp_path, HEADER + b"\n")
    (tmp_path / "link.jsonl").symlink_to(path)
    assert whole(read(tmp_path / "link.jsonl")) == decode(HEADER + b"\n")
