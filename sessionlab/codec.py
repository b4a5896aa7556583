"""Strict, fast JSON: bytes to documents and back, and a reason for everything that is refused.

Parsers disagree on duplicate keys, NaN, lone surrogates and the like, so one reader decides for the whole project. Two speeds:
`decode_document` is strict to the last nested key; `split_members` cuts a top-level object into its members' bytes without building them.
This module knows JSON, not session entries.
"""

from __future__ import annotations

import json
import math
import mmap
import re
import threading
from pathlib import Path
from typing import Any, Final

import msgspec

from sessionlab.errors import InvalidJSONError

MAX_DOCUMENT_BYTES: Final = 4 << 30
"""Largest file read as one document; beyond it a store is not one JSON file any more."""

MAX_DEPTH: Final = 200
"""Deepest nesting accepted; OpenClaw's own entries stay below 20."""

Buffer = bytes | bytearray | memoryview | mmap.mmap

_RAW_MEMBERS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ENCODER: Final = msgspec.json.Encoder()
_CANONICAL: Final = msgspec.json.Encoder(order="sorted")
# Two expressions that begin with plain letters are four times as fast as one that does not. Up to e15 the encoder writes digits,
# from e20 on the integer would not fit 64 bits.
_POINT_ZERO: Final = re.compile(rb"\.0(?:[,}\]]|\Z)")
_LARGE_FLOAT: Final = re.compile(rb"e1[6-9](?:[,}\]]|\Z)")
_BOM: Final = b"\xef\xbb\xbf"
_ESCAPE: Final = re.compile(r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u(?P<half>[dD][89a-fA-F][0-9a-fA-F]{2})|.)")
_STRING_OR_BRACKET: Final = re.compile(r'"(?:[^"\\]|\\.)*+"|[\[\]{}]')


class _RefusedError(ValueError):
    """A reason to refuse a document, before it is given a file and a line; `member` numbers the member of an object that it is about."""

    def __init__(self, reason: str, *, member: int | None = None) -> None:
        self.member = member
        super().__init__(reason)


def decode_document(data: bytes, *, path: Path, line: int | None = None, advice: str = "") -> Any:
    """Decode one JSON document, refusing everything that another parser might read differently.

    Refused: invalid UTF-8, a byte order mark, duplicate keys at any depth, NaN and Infinity, numbers out of range, lone surrogates,
    trailing commas and garbage, nesting beyond `MAX_DEPTH`, control characters in strings.

    Args:
        data: The document's bytes.
        path: The file it came from, for messages.
        line: 1-based line at which `data` starts in that file; `None` when the document is the whole file.
        advice: What to do next, appended to the message.

    Raises:
        InvalidJSONError: With file, line and reason.
    """
    first_line = 1 if line is None else line
    if data.startswith(_BOM):
        raise InvalidJSONError(path, "starts with a byte order mark", line=first_line, advice=advice)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        where = first_line + data.count(b"\n", 0, error.start)
        raise InvalidJSONError(path, f"byte {error.start} is not UTF-8", line=where, advice=advice) from error
    try:
        document = _STRICT.decode(text)
    except json.JSONDecodeError as error:
        where = first_line + error.lineno - 1
        reason = _reason_of(error, text)
        raise InvalidJSONError(path, reason, line=where, advice=advice) from error
    except _RefusedError as error:
        where = first_line + _line_of_refusal(text)
        raise InvalidJSONError(path, str(error), line=where, advice=advice) from error
    except RecursionError as error:
        where = first_line + _line_of_depth(text)
        raise InvalidJSONError(path, f"is nested more than {MAX_DEPTH} levels deep", line=where, advice=advice) from error
    # Only an escape can bring in a surrogate: the UTF-8 decoder refuses encoded ones.
    if "\\u" in text and _holds_surrogate(document):
        where = first_line + _line_of_surrogate(text)
        raise InvalidJSONError(path, "holds half of a surrogate pair (\\ud800 to \\udfff)", line=where, advice=advice)
    if _too_deep(text, document):
        where = first_line + _line_of_depth(text)
        raise InvalidJSONError(path, f"is nested more than {MAX_DEPTH} levels deep", line=where, advice=advice)
    return document


def decode_object(data: bytes, *, path: Path, line: int | None = None, what: str = "the document", advice: str = "") -> dict[str, Any]:
    """Decode strictly and require a JSON object; otherwise as `decode_document`."""
    document = decode_document(data, path=path, line=line, advice=advice)
    if not isinstance(document, dict):
        raise InvalidJSONError(path, f"{what} is {json_type_name(document)}, not an object", line=line or 1, advice=advice)
    return document


def decode_entry(data: bytes, *, path: Path, key: str, line: int | None = None) -> dict[str, Any]:
    """Decode one session entry strictly.

    Raises:
        InvalidJSONError: Naming the file and the session key.
    """
    return decode_object(data, path=path, line=line, what=f"the entry of {key[:80]!r}", advice=f"session key {key[:80]!r}")


def split_members(data: Buffer, *, path: Path) -> dict[str, msgspec.Raw]:
    """Cut a JSON object into its members: key -> the value's bytes exactly as written (whitespace inside it included), in file order.

    The values are checked for well-formed JSON but not built; they borrow `data`, so keep it alive and unchanged.

    Raises:
        InvalidJSONError: Not an object, malformed, or a duplicate name.
    """
    try:
        members = _RAW_MEMBERS.decode(data)
        refuse_duplicates(data, members, path=path)
    except _DECODER_ERRORS as error:
        raise invalid(data, path, error) from error
    return members


def member_lines(data: bytes, members: dict[str, msgspec.Raw]) -> dict[str, int]:
    """Return the 1-based line at which each member's value starts in `data`, of which `members` was cut. Only for messages."""
    lines, line, end = {}, 1, 0
    for name, value in members.items():
        raw = bytes(value)
        place = data.find(raw, end)
        line += data.count(b"\n", end, place)
        lines[name] = line
        end = place + len(raw)
        line += raw.count(b"\n")
    return lines


class Counted(msgspec.Struct, gc=False):
    """A Struct that counts how many of its kind were built on this thread, the ones that a duplicate key then shadowed included.

    msgspec answers a duplicate key with the last value; comparing this count with the dictionary's length is what tells, at no second pass.
    """

    def __post_init__(self) -> None:
        _tally.built += 1


class _Tally(threading.local):
    built = 0


_tally = _Tally()


class _Member(Counted, gc=False):
    """Any JSON object, nothing of it kept."""


_COUNTING: Final = msgspec.json.Decoder(dict[str, _Member])


def built_count() -> int:
    """Return how many `Counted` were built on this thread so far."""
    return _tally.built


def refuse_duplicates(data: Buffer, members: dict[str, Any], *, path: Path) -> None:
    """Raise when the object in `data` writes a member name twice, of which a decoder keeps only the last.

    Raises:
        InvalidJSONError: Naming the repeated key.
    """
    before = built_count()
    try:
        _COUNTING.decode(data)
    except msgspec.ValidationError:
        # A member that is no object cannot be counted. What is inside the members is not our business, so no strict reading yet.
        written = len(_NAMES_ONLY.decode(bytes(data).decode("utf-8", "replace")))
    else:
        written = built_count() - before
    if written != len(members):
        name_duplicate(data, path=path)


def name_duplicate(data: Buffer, *, path: Path) -> None:
    """Read `data` with the strict parser, which names a key that is written twice anywhere in it.

    Raises:
        InvalidJSONError: Naming the key, or any other reason to refuse the document.
    """
    decode_document(bytes(data), path=path)


def invalid(data: Buffer, path: Path, error: Exception) -> InvalidJSONError:
    """Turn a fast decoder's exception on `data` into the error that names file, line and reason, which the strict parser finds."""
    try:
        decode_object(bytes(data), path=path)
    except InvalidJSONError as strict:
        return strict
    return InvalidJSONError(path, str(error))


def encode_compact(document: Any) -> bytes:
    """Return the document as UTF-8 JSON without blanks, key order kept."""
    return _ENCODER.encode(document)


def encode_indented(document: Any) -> bytes:
    """Return the document as OpenClaw writes stores: two-space indent, UTF-8 unescaped, key order kept, no newline at the end (F.9)."""
    return msgspec.json.format(_ENCODER.encode(document), indent=2)


def canonical_bytes(document: Any) -> bytes:
    """Return the canonical form that digests are taken over: keys sorted by code point, no blanks, UTF-8, integral floats as integers.

    JavaScript does not tell 1.0 from 1, so a store that passed through it must not differ from one that did not.
    """
    canonical = _CANONICAL.encode(document)
    # Walking every document in Python would cost more than the rest together, and hardly one holds such a number.
    if _POINT_ZERO.search(canonical) or _LARGE_FLOAT.search(canonical):
        return _CANONICAL.encode(_integral(document))
    return canonical


def canonical_digest(document: Any) -> bytes:
    """Return the 32-byte SHA-256 of `canonical_bytes(document)`."""
    import hashlib  # loads OpenSSL, 4 ms that a listing need not pay

    return hashlib.sha256(canonical_bytes(document)).digest()


def json_type_name(value: object) -> str:
    """Name a decoded value's JSON type with its article, for messages."""
    if value is None:
        return "null"
    return next(name for kind, name in _TYPE_NAMES if isinstance(value, kind))


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Build an object, refusing a key that comes twice."""
    members = dict(pairs)
    if len(members) != len(pairs):
        seen: set[str] = set()
        for place, (name, _) in enumerate(pairs):
            if name in seen:
                raise _RefusedError(f"key {name[:80]!r} is written twice in one object", member=place)
            seen.add(name)
    return members


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise _RefusedError(f"number {text[:40]} is out of range")
    return value


def _bounded(text: str) -> int:
    # 64 bits hold every integer that JavaScript or SQLite can: a longer one would not survive either.
    if len(text) > 20 or not -(1 << 63) <= int(text) < 1 << 64:
        raise _RefusedError(f"integer of {len(text)} digits is out of range")
    return int(text)


def _refuse_constant(name: str) -> Any:
    raise _RefusedError(f"{name} is not JSON")


_STRICT: Final = json.JSONDecoder(
    object_pairs_hook=_unique, parse_float=_finite, parse_int=_bounded, parse_constant=_refuse_constant, strict=True
)
_NAMES_ONLY: Final = json.JSONDecoder(object_pairs_hook=list, parse_int=str, parse_float=str)
_DECODER_ERRORS: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_TYPE_NAMES: Final[tuple[tuple[type, str], ...]] = (
    (bool, "a boolean"),
    (int, "a number"),
    (float, "a number"),
    (str, "a string"),
    (list, "an array"),
    (dict, "an object"),
)


def _reason_of(error: json.JSONDecodeError, text: str) -> str:
    """Word the standard library's complaint, telling a truncated document from a wrong one."""
    if not text.strip():
        return "holds no JSON document"
    if error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated string"):
        return "ends in the middle of the document (truncated)"
    return error.msg[:1].lower() + error.msg[1:]


def _holds_surrogate(document: Any) -> bool:
    """Say whether a string holds half of a surrogate pair, which UTF-8 cannot carry."""
    try:
        _ENCODER.encode(document)
    except UnicodeEncodeError:
        return True
    return False


class _Locator(json.JSONDecoder):
    """The strict rules on the standard library's slow scanner, remembering where values begin: the last one, and those of open objects."""

    def __init__(self) -> None:
        super().__init__(object_pairs_hook=_unique, parse_float=_finite, parse_int=_bounded, parse_constant=_refuse_constant)
        self.value_at = 0
        self.members_at: list[list[int]] = []
        slow_object = json.decoder.JSONObject  # type: ignore[attr-defined]  # not in the stubs
        slow_array = json.decoder.JSONArray  # type: ignore[attr-defined]  # not in the stubs

        def following(scan: Any, starts: list[int]) -> Any:
            def scan_value(text: str, place: int) -> Any:
                starts.append(place)
                self.value_at = place
                return scan(text, place)

            return scan_value

        def parse_object(s_and_end: tuple[str, int], strict: Any, scan: Any, *hooks: Any) -> Any:
            self.members_at.append([])
            result = slow_object(s_and_end, strict, following(scan, self.members_at[-1]), *hooks)
            self.members_at.pop()
            return result

        def parse_array(s_and_end: tuple[str, int], scan: Any) -> Any:
            return slow_array(s_and_end, following(scan, []))

        self.parse_object, self.parse_array = parse_object, parse_array
        scan = json.scanner.py_make_scanner(self)  # type: ignore[attr-defined]  # not in the stubs
        self.scan_once = following(scan, [])


def _line_of_refusal(text: str) -> int:
    """Return how many lines precede the value with which `text` breaks a strict rule. Only for messages: it is slow."""
    locator = _Locator()
    try:
        locator.decode(text)
    except _RefusedError as error:
        place = locator.value_at if error.member is None else locator.members_at[-1][error.member]
    except RecursionError:
        place = locator.value_at
    return text.count("\n", 0, place)


def _line_of_surrogate(text: str) -> int:
    """Return how many lines precede the first escape of half a surrogate pair."""
    halves = (found for found in _ESCAPE.finditer(text) if found["half"])
    return text.count("\n", 0, next(halves).start())


def _line_of_depth(text: str) -> int:
    """Return how many lines precede the bracket that nests deeper than `MAX_DEPTH`."""
    depth = 0
    for found in _STRING_OR_BRACKET.finditer(text):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(found[0], 0)
        if depth > MAX_DEPTH:
            return text.count("\n", 0, found.start())
    return 0


def _too_deep(text: str, document: Any) -> bool:
    """Say whether the document is nested beyond `MAX_DEPTH`; counting brackets first spares most documents the walk."""
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return False
    level = [document] if isinstance(document, dict | list) else []
    for _ in range(MAX_DEPTH):
        level = [child for node in level for child in (node.values() if isinstance(node, dict) else node) if isinstance(child, dict | list)]
        if not level:
            return False
    return True


def _integral(document: Any) -> Any:
    """Return the document with every integral float as an integer."""
    if isinstance(document, float) and document.is_integer() and -(1 << 63) <= document < 1 << 64:
        return int(document)
    if isinstance(document, dict):
        return {name: _integral(value) for name, value in document.items()}
    if isinstance(document, list):
        return [_integral(value) for value in document]
    return document
