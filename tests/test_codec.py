"""Strict JSON: what is refused, on which line and why; what comes back as it was written; digests that JavaScript cannot change."""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionlab import codec, strict_json
from sessionlab.errors import InvalidJSONError

HERE = Path("sessions.json")
NOW = datetime(2026, 1, 1, tzinfo=UTC)

# JavaScript prints a whole number beyond 2^53 with its shortest digits, which as an integer is a neighbour of what the float is exactly.
FLOATS = st.floats(allow_nan=False, allow_infinity=False).filter(lambda number: not number.is_integer() or abs(number) <= 2**53)
SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | FLOATS | st.text()
DOCUMENTS = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5), max_leaves=25)


def member(inside: bytes) -> bytes:
    """Return a store of three lines whose one entry has a field on line 3."""
    return b'{\n  "agent:main:main": {\n    "note": ' + inside + b"\n  }\n}"


# name, document, line, reason, whether split_members (which does not build the members) refuses it, too
REFUSED: list[tuple[str, bytes, int, str, bool]] = [
    ("byte order mark", b"\xef\xbb\xbf{}", 1, "starts with a byte order mark", True),
    ("invalid utf-8 in a field", member(b'"\xff"'), 3, "byte 38 is not UTF-8", False),
    ("encoded surrogate", member(b'"\xed\xa0\x80"'), 3, "is not UTF-8", False),
    ("invalid utf-8 in a key", b'{\n"\xff": {}}', 2, "byte 3 is not UTF-8", True),
    ("duplicate at the top", b'{\n"a": {},\n"b": {},\n"a": {}\n}', 4, "key 'a' is written twice in one object", True),
    ("duplicate by escape", b'{\n"a": {},\n"\\u0061": {}\n}', 3, "key 'a' is written twice in one object", True),
    ("duplicate of a null", b'{\n"a": null,\n"a": null\n}', 3, "key 'a' is written twice in one object", True),
    ("duplicate in an entry", member(b'{"x": 1,\n\n"x": 2}'), 5, "key 'x' is written twice in one object", False),
    ("duplicate in an array", member(b'[{},\n{"x": 1, "x": 2}]'), 4, "key 'x' is written twice in one object", False),
    ("NaN", member(b"NaN"), 3, "NaN is not JSON", True),
    ("NaN in an array", member(b"[1,\n2,\nNaN]"), 5, "NaN is not JSON", True),
    ("Infinity", member(b"Infinity"), 3, "Infinity is not JSON", True),
    ("minus Infinity", member(b"-Infinity"), 3, "-Infinity is not JSON", True),
    ("1e999", member(b"1e999"), 3, "number of 5 characters is out of range", False),
    ("-1e999 in an array", member(b"[1,\n-1e999]"), 4, "number of 6 characters is out of range", False),
    ("5,000 digits", member(b"9" * 5000), 3, "integer of 5000 digits is out of range", False),
    ("2 to the 64", member(b"18446744073709551616"), 3, "integer of 20 digits is out of range", False),
    ("high surrogate", member(b'"\\ud83d"'), 3, "half of a surrogate pair", True),
    ("low surrogate", member(b'"\\uDE00"'), 3, "half of a surrogate pair", True),
    ("surrogates in the wrong order", member(b'["\\ud83d\\ude00",\n"\\ude00\\ud83d"]'), 4, "half of a surrogate pair", True),
    ("surrogate in a key", b'{\n\n"\\ud800": {}}', 3, "half of a surrogate pair", True),
    ("trailing comma in an object", b'{\n"a": {},\n}', 2, "illegal trailing comma before end of object", True),
    ("trailing comma in an array", member(b"[1,\n]"), 3, "illegal trailing comma before end of array", True),
    ("trailing garbage", b"{\n}\n\n{}", 4, "extra data", True),
    ("NUL bytes after the end", b"{}\n\0\0\0", 2, "extra data", True),
    ("nothing but NUL bytes", b"\0" * 512, 1, "expecting value", True),
    ("201 levels", member(b"[\n" + b"[" * 199 + b"]" * 200), 4, "is nested more than 200 levels deep", False),
    ("100,000 levels", member(b"[\n" * 100_000 + b"]" * 100_000), 201, "is nested more than 200 levels deep", True),
    ("truncated in an object", b'{\n"a": {\n"x": 1', 3, "ends in the middle of the document (truncated)", True),
    ("truncated in a string", b'{\n"a": {\n"x": "abc', 3, "ends in the middle of the document (truncated)", True),
    ("truncated in a word", b'{"a": tru', 1, "expecting value", True),
    ("empty", b"", 1, "holds no JSON document", True),
    ("blank", b" \r\n\t", 2, "holds no JSON document", True),
    ("control character", member(b'"a\x01b"'), 3, "invalid control character", True),
    ("line break in a string", member(b'"a\nb"'), 3, "invalid control character", True),
    ("unknown escape", member(b'"\\q"'), 3, "invalid \\escape", True),
    ("leading zero", member(b"01"), 3, "expecting ',' delimiter", True),
    ("hexadecimal", member(b"0x10"), 3, "expecting ',' delimiter", True),
    ("single quotes", member(b"'a'"), 3, "expecting value", True),
    ("comment", b'{\n// note\n"a": {}}', 2, "expecting property name", True),
    ("unquoted key", b"{\na: {}}", 2, "expecting property name", True),
]
NAMES = [row[0] for row in REFUSED]


def refusal(document: bytes, **options: Any) -> InvalidJSONError:
    with pytest.raises(InvalidJSONError) as caught:
        codec.decode_document(document, path=HERE, **options)
    assert str(caught.value).startswith("sessions.json: line ")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 250
    return caught.value


@pytest.mark.parametrize(("document", "line", "reason"), [row[1:4] for row in REFUSED], ids=NAMES)
def test_strict_reader_refuses_with_line_and_reason(document: bytes, line: int, reason: str) -> None:
    error = refusal(document)
    assert reason in error.reason
    assert error.line == line
    assert error.path == HERE
    assert error.exit_code == 3


@pytest.mark.parametrize(("document", "line"), [row[1:3] for row in REFUSED], ids=NAMES)
def test_line_counts_from_where_the_document_starts(document: bytes, line: int) -> None:
    assert refusal(document, line=1000, advice="look there").line == 999 + line


@pytest.mark.parametrize(("document", "line", "reason"), [row[1:4] for row in REFUSED if row[4]], ids=[row[0] for row in REFUSED if row[4]])
def test_cutting_into_members_refuses_with_line_and_reason(document: bytes, line: int, reason: str) -> None:
    with pytest.raises(InvalidJSONError) as caught:
        codec.split_members(document, path=HERE)
    assert reason in caught.value.reason
    assert caught.value.line == line


@pytest.mark.parametrize("document", [row[1] for row in REFUSED if not row[4]], ids=[row[0] for row in REFUSED if not row[4]])
def test_cutting_into_members_leaves_what_is_inside_to_the_strict_reader(document: bytes) -> None:
    (value,) = codec.split_members(document, path=HERE).values()
    with pytest.raises(InvalidJSONError):
        codec.decode_entry(bytes(value), path=HERE, key="agent:main:main")


@pytest.mark.parametrize(
    ("document", "kind"),
    [(b"[]", "an array"), (b"null", "null"), (b"5", "a number"), (b"1.5", "a number"), (b'"x"', "a string"), (b"true", "a boolean")],
)
def test_only_an_object_is_a_store(document: bytes, kind: str) -> None:
    for read in (codec.decode_object, codec.split_members):
        with pytest.raises(InvalidJSONError, match=f"line 1: the document is {kind}, not an object"):
            read(document, path=HERE)
    codec.decode_document(document, path=HERE)


def test_entry_that_is_refused_names_its_key_shortened() -> None:
    with pytest.raises(InvalidJSONError, match=r"the entry of 'kkk.* is null, not an object; session key 'kkk") as caught:
        codec.decode_entry(b"null", path=HERE, key="k" * 10_000)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b"18446744073709551615", 2**64 - 1),
        (b"-9223372036854775808", -(2**63)),
        (b"1.7976931348623157e308", 1.7976931348623157e308),
        (b'"\\ud83d\\ude00"', "\U0001f600"),
        (b'"\\\\ud83d"', "\\ud83d"),
        (b'"\\u0000"', "\0"),
        (b"[" * 200 + b"]" * 200, None),
        (b' \r\n{"__proto__": 1}\n', {"__proto__": 1}),
        (b'["[[[", "NaN", "1e999"]', ["[[[", "NaN", "1e999"]),
    ],
)
def test_odd_but_valid_json_is_read(text: bytes, value: Any) -> None:
    found = codec.decode_document(text, path=HERE)
    assert value is None or found == value


def test_many_brackets_side_by_side_are_not_deep() -> None:
    assert codec.decode_document(b"[" + b"[]," * 1000 + b"[]]", path=HERE) == [[]] * 1001


@pytest.mark.parametrize("broken", ["null", "[1]", '"x"'])
def test_duplicate_is_found_beside_members_that_are_no_objects(broken: str) -> None:
    document = f'{{"a": {broken}, "b": {{}}, "b": {{}}}}'.encode()
    with pytest.raises(InvalidJSONError, match="key 'b' is written twice"):
        codec.split_members(document, path=HERE)


@pytest.mark.parametrize("inside", ['{"x": 1, "x": 2}', '{"x": 1e999}', '{"x": ' + "9" * 5000 + "}"])
def test_one_broken_member_does_not_make_another_unreadable(inside: str) -> None:
    document = f'{{"a": null, "b": {inside}, "c": {{"y": 1}}}}'.encode()
    assert bytes(codec.split_members(document, path=HERE)["c"]) == b'{"y": 1}'


def test_counting_duplicates_is_not_disturbed_by_other_threads() -> None:
    document = codec.encode_compact({f"key-{number}": {} for number in range(2000)})
    failures: list[Exception] = []

    def read() -> None:
        try:
            for _ in range(20):
                assert len(codec.split_members(document, path=HERE)) == 2000
        except Exception as error:  # noqa: BLE001 - handed to the test's own thread
            failures.append(error)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_line_of_a_member_is_where_its_value_starts() -> None:
    document = b'{\n"a": {},\n"{}": {},\n\n"b": {\n"x": 1},\n"c":\n{"x": 2}}'
    members = codec.split_members(document, path=HERE)
    assert codec.member_lines(document, members) == {"a": 2, "{}": 3, "b": 5, "c": 8}


@given(DOCUMENTS)
def test_any_document_comes_back_as_it_was(document: Any) -> None:
    for encode in (codec.encode_indented, codec.encode_compact):
        assert codec.decode_document(encode(document), path=HERE) == document


def without_floats(document: Any) -> Any:
    """Replace floats, which Python and JavaScript spell differently ("1e-05", "0.00001")."""
    if isinstance(document, float):
        return None
    if isinstance(document, dict):
        return {name: without_floats(value) for name, value in document.items()}
    return [without_floats(value) for value in document] if isinstance(document, list) else document


@given(DOCUMENTS.map(without_floats))
def test_indented_text_is_what_json_stringify_writes(document: Any) -> None:
    assert codec.encode_indented(document).decode("utf-8") == json.dumps(document, indent=2, ensure_ascii=False)


def test_indented_text_has_openclaws_form() -> None:
    document = {"b": {}, "a": [], "é": [{"x": 1.5}, "\u2028\x01/"]}
    expected = '{\n  "b": {},\n  "a": [],\n  "é": [\n    {\n      "x": 1.5\n    },\n    "\u2028\\u0001/"\n  ]\n}'
    assert codec.encode_indented(document).decode("utf-8") == expected
    assert codec.encode_compact(document).decode("utf-8") == '{"b":{},"a":[],"é":[{"x":1.5},"\u2028\\u0001/"]}'


def reordered(document: Any) -> Any:
    if isinstance(document, dict):
        return {name: reordered(value) for name, value in reversed(document.items())}
    return [reordered(value) for value in document] if isinstance(document, list) else document


@given(DOCUMENTS)
def test_canonical_form_does_not_depend_on_key_order_and_keeps_the_value(document: Any) -> None:
    canonical = codec.canonical_bytes(document)
    assert codec.canonical_bytes(reordered(document)) == canonical
    assert json.loads(canonical) == document
    assert codec.canonical_digest(document) == hashlib.sha256(canonical).digest()
    assert codec.canonical_bytes(codec.decode_document(canonical, path=HERE)) == canonical


@given(st.integers(-(2**63), 2**64 - 1))
def test_integral_float_and_integer_are_one_number(number: int) -> None:
    whole = int(float(number))
    if -(2**63) <= whole < 2**64:
        assert codec.canonical_bytes({"n": [float(number)]}) == codec.canonical_bytes({"n": [whole]}) == f'{{"n":[{whole}]}}'.encode()


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        (b'{"n":1.0}', b'{"n":1}'),
        (b'{"n":-0.0}', b'{"n":0}'),
        (b"-0", b"0"),
        (b"1e16", b"10000000000000000"),
        (b"10000000000000000", b"10000000000000000"),
        (b"1.5e16", b"15000000000000000"),
        (b"[1e19]", b"[10000000000000000000]"),
        (b"1e22", b"1e22"),
        (b"0.5", b"0.5"),
        (b'["v1.0","1e16","a1.0,","1.0]"]', b'["v1.0","1e16","a1.0,","1.0]"]'),
        (b'{"z":1,"a":{"c":1,"b":2}}', b'{"a":{"b":2,"c":1},"z":1}'),
        ('{"\U0001f600":1,"\uffff":2}'.encode(), '{"\uffff":2,"\U0001f600":1}'.encode()),
        (b'"\\u00e9 \\/"', '"é /"'.encode()),
    ],
)
def test_canonical_form(written: bytes, canonical: bytes) -> None:
    assert codec.canonical_bytes(codec.decode_document(written, path=HERE)) == canonical


@given(st.dictionaries(st.text(), st.dictionaries(st.text(), DOCUMENTS, max_size=3), max_size=6), st.sampled_from([None, 1, "\t"]))
def test_members_are_cut_byte_for_byte(store: dict[str, Any], indent: int | str | None) -> None:
    pieces = {name: json.dumps(entry, indent=indent, ensure_ascii=indent is None).encode("utf-8") for name, entry in store.items()}
    body = b" ,\n".join(codec.encode_compact(name) + b" : " + piece for name, piece in pieces.items())
    members = codec.split_members(b"\n{ " + body + b" }\n", path=HERE)
    assert list(members) == list(store)
    assert {name: bytes(value) for name, value in members.items()} == pieces


@given(st.binary())
def test_arbitrary_bytes_are_read_or_refused_by_name(data: bytes) -> None:
    try:
        document = codec.decode_document(data, path=HERE)
    except InvalidJSONError as error:
        line = error.line
    else:
        assert msgspec.json.decode(data) == document
        return
    assert line is not None
    assert 1 <= line <= 1 + data.count(b"\n")


@given(DOCUMENTS, st.data())
def test_damaged_document_is_refused_by_name_if_at_all(document: Any, data: st.DataObject) -> None:
    text = bytearray(codec.encode_indented({"entry": document}))
    place = data.draw(st.integers(0, len(text) - 1))
    text[place] = data.draw(st.integers(0, 255))
    for read in (codec.decode_document, codec.split_members):
        with contextlib.suppress(InvalidJSONError):
            read(bytes(text), path=HERE)


NAMES_WRITTEN = st.sampled_from(['"a"', '"a:"', '"\\u0061"', '"a\\u003a"', '":"', '"\\":"', '"b"'])
PIECES = st.recursive(
    st.sampled_from(["1", "1.0", "-0", "18446744073709551616", "1e400", "null", '":"', '"\\u003a"', '"\\ud800"', '"é:"', "", "NaN"]),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda parts: f"[{','.join(parts)}]")
        | st.lists(st.tuples(NAMES_WRITTEN, st.sampled_from([":", " : "]), inner), max_size=4).map(
            lambda members: f"{{{','.join(''.join(member) for member in members)}}}"
        )
    ),
    max_leaves=12,
)


def read_or_refused(read: Any, document: bytes) -> str:
    """Return what a reader makes of a document, order of keys and kinds of number included, or its words of refusal."""
    try:
        return repr(read(document, path=HERE))
    except InvalidJSONError as error:
        return str(error)


@given(PIECES)
def test_the_fast_reader_says_what_the_strict_parser_says(written: str) -> None:
    document = written.encode()
    assert read_or_refused(codec.decode_document, document) == read_or_refused(strict_json.decode, document)


@given(DOCUMENTS, st.data())
def test_the_fast_reader_says_so_of_damaged_documents_too(document: Any, data: st.DataObject) -> None:
    text = bytearray(codec.encode_indented({"entry": document, "again": document}))
    for _ in range(data.draw(st.integers(0, 3))):
        text[data.draw(st.integers(0, len(text) - 1))] = data.draw(st.sampled_from(b'{}[]":,\\u0a1 \xff\n-.e'))
    assert read_or_refused(codec.decode_document, bytes(text)) == read_or_refused(strict_json.decode, bytes(text))


@pytest.mark.parametrize(
    ("number", "written"),
    [
        *(
            (1.0, "1"),
            (-0.0, "0"),
            (123.5, "123.5"),
            (1e15, "1000000000000000"),
            (1e16, "10000000000000000"),
            (-2.5e17, "-250000000000000000"),
        ),
        *((1e20, "100000000000000000000"), (1e21, "1e+21"), (-1.5e22, "-1.5e+22"), (1e-6, "0.000001"), (1.25e-5, "0.0000125")),
        *((1e-7, "1e-7"), (1.5e-7, "1.5e-7"), (5e-324, "5e-324"), (1.7976931348623157e308, "1.7976931348623157e+308")),
    ],
)
def test_numbers_are_written_as_javascript_writes_them(number: float, written: str) -> None:
    assert codec.encode_compact({"x": [number], "e-5,": "1.0,"}) == f'{{"x":[{written}],"e-5,":"1.0,"}}'.encode()
    assert codec.encode_indented(number) == written.encode()


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_written_is_the_number_read(number: float) -> None:
    assert float(codec.javascript_number(number)) == number


def test_many_brackets_are_no_reason_for_the_slow_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    document = {"tools": [{"name": f"t{number}", "args": []} for number in range(300)]}
    monkeypatch.setattr(strict_json, "decode", None)
    assert codec.decode_document(codec.encode_compact(document), path=HERE) == document
    assert codec.encode_faithful(document) == codec.encode_compact(document)


def test_a_text_that_looks_like_a_whole_number_is_no_reason_for_the_long_way(monkeypatch: pytest.MonkeyPatch) -> None:
    document = {"text": "since 2.0, or 1e16,", "cost": 0.25}
    expected = codec.encode_compact(document)
    monkeypatch.setattr(codec, "encode_compact", None)
    assert codec.encode_faithful(document) == expected


ODD = st.sampled_from(
    [(1,), b"x", {"x"}, float("nan"), float("inf"), 2**64, -(2**63) - 1, Decimal("0.5"), UUID(int=1), NOW, NOW.date(), 1e-5]
)
ODD_KEYS = st.sampled_from([1, 2.5, b"b", NOW])
ANYTHING = st.recursive(
    SCALARS | ODD | st.floats(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=3) | ODD_KEYS, inner, max_size=5),
    max_leaves=25,
)


@given(ANYTHING, st.integers(0, 12))
def test_what_is_written_faithfully_is_what_the_long_way_writes_and_refuses(document: Any, depth: int) -> None:
    for _ in range(depth):
        document = [document]

    def written(way: Callable[[Any], bytes]) -> object:
        try:
            return way(document)
        except (codec.UnfaithfulError, InvalidJSONError) as error:
            return type(error)

    def the_long_way(document: Any) -> bytes:
        data = codec.encode_compact(document)
        if codec.decode_document(data, path=HERE) != document:
            raise codec.UnfaithfulError
        return data

    assert written(codec.encode_faithful) == written(the_long_way)


@given(PIECES, st.sampled_from([None, 2]))
def test_compact_form_that_reading_tells_is_the_one_that_writing_gives(written: str, indent: int | None) -> None:
    data = f'{{"entry":{written}}}'.encode()
    with contextlib.suppress(InvalidJSONError, msgspec.DecodeError):
        data = data if indent is None else msgspec.json.format(data, indent=indent)
        entry, compact = codec.decode_and_compact(data, path=HERE, key="k")
        assert entry == codec.decode_entry(data, path=HERE, key="k")
        assert not compact or compact == codec.encode_faithful(entry)


def test_compact_form_of_a_plain_entry_is_told_however_it_is_indented() -> None:
    document = {"sessionId": "s", "updatedAt": 1795132800000, "cost": 0.25, "skills": [{"name": "é"}, None, True]}
    compact = codec.encode_compact(document)
    for data in (compact, codec.encode_indented(document)):
        assert codec.decode_and_compact(data, path=HERE, key="k") == (document, compact)
    for odd in (b'{"cost":1.0}', b'{"cost":1e-9}', b'{"name":"\\/"}', b'{"text":"v1.0"}'):
        assert codec.decode_and_compact(odd, path=HERE, key="k")[1] in (b"", codec.encode_compact(codec.decode_document(odd, path=HERE)))
    assert codec.decode_and_compact(b'{"cost":1.0}', path=HERE, key="k") == ({"cost": 1.0}, b"")
