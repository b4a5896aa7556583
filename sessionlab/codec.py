"""Strict, fast JSON: bytes to documents and back, and a reason for everything that is refused.

Parsers disagree on duplicate keys, NaN, lone surrogates and the like, so one reader decides for the whole project. Two speeds:
`decode_document` is strict to the last nested key; `split_members` cuts a top-level object into its members' bytes without building them.
This module knows JSON, not session entries.
"""

from __future__ import annotations

import functools
import math
import mmap
import re
import threading
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec

from sessionlab import strict_json
from sessionlab.errors import InvalidJSONError
from sessionlab.strict_json import is_too_deep

MAX_DOCUMENT_BYTES: Final = 4 << 30
"""Largest file read as one document; beyond it a store is not one JSON file any more."""


class UnfaithfulError(ValueError):
    """A document that JSON would give back as something else."""


Buffer = bytes | bytearray | memoryview | mmap.mmap


class _Name:
    """A member's name, which equals no other: a dictionary of them keeps every member, those of one name as well."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


_RAW_MEMBERS: Final = msgspec.json.Decoder(dict[_Name, msgspec.Raw], dec_hook=lambda _type, text: _Name(text))
_DECODER: Final = msgspec.json.Decoder()
_ENCODER: Final = msgspec.json.Encoder()
_DECODER_ERRORS: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_SIXTY_FOUR_BITS: Final = msgspec.msgpack.Encoder()
_MOST_DIGITS: Final = 21
_LEAST_POINT: Final = -6
_PLAIN_LEVELS: Final = 7
"""Session entries are five levels deep."""
_UNSURE: Final = object()
_CANONICAL: Final = msgspec.json.Encoder(order="sorted")
# Expressions that begin with plain letters are four times as fast as one that does not. Up to e15 the encoder writes digits,
# from e20 on the integer would not fit 64 bits.
_POINT_ZERO: Final = re.compile(rb"\.0(?:[,}\]]|\Z)")
_LARGE_FLOAT: Final = re.compile(rb"e1[6-9](?:[,}\]]|\Z)")
_EXPONENT: Final = re.compile(rb"e-?[0-9]+(?:[,}\]]|\Z)")


def _fraction(number: str) -> float:
    """Read a number that JavaScript would not write as a whole one."""
    if number.endswith(".0"):
        raise ValueError(number)
    return float(number)


_FRACTIONS: Final = msgspec.json.Decoder(float_hook=_fraction)


def decode_document(data: bytes, *, path: Path, line: int | None = None, advice: str = "") -> Any:
    """Decode one JSON document, refusing everything that another parser might read differently.

    Refused: invalid UTF-8, a byte order mark, duplicate keys at any depth, NaN and Infinity, numbers out of range, lone surrogates,
    trailing commas and garbage, nesting beyond `strict_json.MAX_DEPTH`, control characters in strings.

    Args:
        data: The document's bytes.
        path: The file it came from, for messages.
        line: 1-based line at which `data` starts in that file; `None` when the document is the whole file.
        advice: What to do next, appended to the message.

    Raises:
        InvalidJSONError: With file, line and reason.
    """
    return _decode(data, path, line, advice)[0]


def _decode(data: bytes, path: Path, line: int | None, advice: str) -> tuple[Any, bytes]:
    """Return (the document, its bytes as `encode_faithful` gives them if they are known without asking for them, else b"")."""
    plain, encoded = _decode_plain(data)
    return (strict_json.decode(data, path=path, line=line, advice=advice), b"") if plain is _UNSURE else (plain, encoded)


def _decode_plain(data: bytes) -> tuple[Any, bytes]:
    """Decode a document that is beyond doubt at a fraction of the cost; what needs a closer look, or a reason, is for the strict parser.

    What was decoded is beyond doubt when it would be written with the same bytes, blanks aside: then nothing was shadowed or changed.
    Those bytes then are what writing it gives, and reading them gives it back; only a number such as 1.0 JavaScript writes in another way.
    """
    try:
        document = _plain_decoder().decode(data)
    except _DECODER_ERRORS:
        return _decode_odd(data), b""
    try:
        encoded = _ENCODER.encode(document)
    except (RecursionError, UnicodeEncodeError):
        return _UNSURE, b""
    if encoded == data or encoded == msgspec.json.format(data, indent=-1):
        return document, encoded
    return _decode_odd(data), b""


def _decode_odd(data: bytes) -> Any:
    r"""Do the same for a document that is deep, or written in another way, as 1.0 is, or `\\/`.

    Every member has a colon of its own. Where no character is written as a code, as many colons in what was decoded as in what was
    written therefore means that no member was shadowed by another of its name.
    """
    try:
        document = _DECODER.decode(data)
        _SIXTY_FOUR_BITS.encode(document)  # refuses larger integers
        colons = _ENCODER.encode(document).count(b":")
    except (*_DECODER_ERRORS, OverflowError, UnicodeEncodeError):
        return _UNSURE
    is_escaped = b"\\" in data and b"\\u" in data  # looking for one byte is much faster than for two
    if is_escaped or data.count(b":") != colons or is_too_deep(document, brackets=data.count(b"[") + data.count(b"{")):
        return _UNSURE
    return document


def decode_object(data: bytes, *, path: Path, line: int | None = None, what: str = "the document", advice: str = "") -> dict[str, Any]:
    """Decode strictly and require a JSON object; otherwise as `decode_document`."""
    return _decode_object(data, path, line, what, advice)[0]


def _decode_object(data: bytes, path: Path, line: int | None, what: str, advice: str) -> tuple[dict[str, Any], bytes]:
    document, encoded = _decode(data, path, line, advice)
    if not isinstance(document, dict):
        raise InvalidJSONError(path, f"{what} is {json_type_name(document)}, not an object", line=line or 1, advice=advice)
    return document, encoded


def decode_entry(data: bytes, *, path: Path, key: str, line: int | None = None) -> dict[str, Any]:
    """Decode one session entry strictly.

    Raises:
        InvalidJSONError: Naming the file and the session key.
    """
    return _decode_entry(data, path, key, line)[0]


def decode_and_compact(data: bytes, *, path: Path, key: str, line: int | None = None) -> tuple[dict[str, Any], bytes]:
    """Decode one session entry strictly, and return it with what `encode_faithful` would give of it, if reading it has told; else b"".

    Raises:
        InvalidJSONError: Naming the file and the session key.
    """
    entry, encoded = _decode_entry(data, path, key, line)
    return entry, b"" if _POINT_ZERO.search(encoded) else encoded


def _decode_entry(data: bytes, path: Path, key: str, line: int | None) -> tuple[dict[str, Any], bytes]:
    return _decode_object(data, path, line, f"the entry of {key[:80]!r}", f"session key {key[:80]!r}")


def raw_members(data: Buffer, *, path: Path) -> list[tuple[str, msgspec.Raw]]:
    """Cut a JSON object into its members: (name, the value's bytes exactly as written), in file order, a name written twice twice.

    The values are checked for well-formed JSON but not built; they borrow `data`, so keep it alive and unchanged.

    Raises:
        InvalidJSONError: Not an object, or malformed.
    """
    try:
        return [(name.text, value) for name, value in _RAW_MEMBERS.decode(data).items()]
    except _DECODER_ERRORS as error:
        raise invalid(data, path, error) from error


def split_members(data: Buffer, *, path: Path) -> dict[str, msgspec.Raw]:
    """Cut a JSON object into its members as `raw_members` does, name -> bytes.

    Raises:
        InvalidJSONError: Not an object, malformed, or a duplicate name.
    """
    written = raw_members(data, path=path)
    members = dict(written)
    if len(members) != len(written):
        members.clear()  # a mapped file cannot be closed while an error's frame borrows from it
        written.clear()
        name_duplicate(data, path=path)
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


def built_count() -> int:
    """Return how many `Counted` were built on this thread so far."""
    return _tally.built


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
    """Return the document as `JSON.stringify` writes it: UTF-8, no blanks, key order kept, 1.0 as 1, 1e16 in digits (F.10)."""
    data = _ENCODER.encode(document)
    # Hardly a document holds a number that the two write differently, and walking through each would cost more than the rest.
    if _POINT_ZERO.search(data) or _EXPONENT.search(data):
        return _ENCODER.encode(_with_javascript_numbers(document))
    return data


def encode_faithful(document: Any) -> bytes:
    """Return `encode_compact(document)` after making sure that strict reading gives the document back.

    At a third of the cost of doing the one, then the other: what one decoder and one search find beyond doubt needs no closer look.

    Raises:
        UnfaithfulError: JSON would give back something else (NaN as null, a tuple as an array, ...).
        InvalidJSONError: Strict reading refuses what would be written.
        TypeError, OverflowError, RecursionError, UnicodeEncodeError: It cannot be written at all.
    """
    data = _ENCODER.encode(document)
    try:
        read = _plain_decoder().decode(data)
        if _POINT_ZERO.search(data):  # in a number, or in a text
            _FRACTIONS.decode(data)
    except (*_DECODER_ERRORS, ValueError):
        read = _UNSURE
    if read is _UNSURE:
        data = encode_compact(document)
        read = decode_document(data, path=Path())
    if read != document:
        raise UnfaithfulError
    return data


@functools.cache
def _plain_decoder() -> msgspec.json.Decoder[Any]:
    """Return a decoder that refuses deep documents, integers of more than 63 bits, and numbers that the encoder may write with an exponent.

    It costs what one costs that takes anything. Building it takes 2 ms, which reading need not pay, and twice as long for each level more.
    """
    whole = Annotated[int, msgspec.Meta(ge=-(1 << 63), le=(1 << 63) - 1)]
    fraction = Annotated[float, msgspec.Meta(ge=1e-4, le=1e15)]
    leaf = None | bool | whole | fraction | str
    kind: Any = leaf
    for _ in range(_PLAIN_LEVELS):
        kind = leaf | dict[str, kind] | list[kind]
    return msgspec.json.Decoder(kind)


def encode_indented(document: Any) -> bytes:
    """Return the document as OpenClaw writes stores: two-space indent, UTF-8 unescaped, key order kept, no newline at the end (F.9)."""
    return msgspec.json.format(encode_compact(document), indent=2)


def copied(document: Any) -> Any:
    """Return an independent copy of a document made of dicts, lists and plain values."""
    if isinstance(document, dict):
        return {name: copied(value) if isinstance(value, dict | list) else value for name, value in document.items()}
    if isinstance(document, list):
        return [copied(value) if isinstance(value, dict | list) else value for value in document]
    return document


def copied_decoded(document: Any) -> Any:
    """Return an independent copy of a document that was decoded strictly, at a sixth of the cost of `copied`."""
    return msgspec.to_builtins(document)


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


_TYPE_NAMES: Final[tuple[tuple[type, str], ...]] = (
    (bool, "a boolean"),
    (int, "a number"),
    (float, "a number"),
    (str, "a string"),
    (list, "an array"),
    (dict, "an object"),
)


def _integral(document: Any) -> Any:
    """Return the document with every integral float as an integer."""
    if isinstance(document, float) and document.is_integer() and -(1 << 63) <= document < 1 << 64:
        return int(document)
    if isinstance(document, dict):
        return {name: _integral(value) for name, value in document.items()}
    if isinstance(document, list):
        return [_integral(value) for value in document]
    return document


def _with_javascript_numbers(document: Any) -> Any:
    """Return the document with every float as the text that JavaScript gives it."""
    if isinstance(document, float) and math.isfinite(document):
        return msgspec.Raw(javascript_number(document).encode())
    if isinstance(document, dict):
        return {name: _with_javascript_numbers(value) for name, value in document.items()}
    if isinstance(document, list):
        return [_with_javascript_numbers(value) for value in document]
    return document


def javascript_number(value: float) -> str:
    """Return a finite number as JavaScript prints it (ECMA-262, Number::toString): the shortest digits, in full from 1e-6 to below 1e21."""
    from decimal import Decimal  # hardly a document needs it

    if value == 0:
        return "0"
    sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    text, minus = "".join(map(str, digits)), "-" if sign else ""
    point = len(text) + int(exponent)  # how many digits stand before the decimal point
    if len(text) <= point <= _MOST_DIGITS:
        return minus + text.ljust(point, "0")
    if 0 < point <= _MOST_DIGITS:
        return f"{minus}{text[:point]}.{text[point:]}"
    if _LEAST_POINT < point <= 0:
        return f"{minus}0.{text.rjust(len(text) - point, '0')}"
    fraction = f".{text[1:]}" if len(text) > 1 else ""
    return f"{minus}{text[0]}{fraction}e{point - 1:+d}"
