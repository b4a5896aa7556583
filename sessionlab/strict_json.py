"""Strict JSON by the standard library's parser: refuses all that another parser might read differently, and says on which line.

It is slow, and the last word: `codec` asks it about every document that is not beyond doubt.
"""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any, Final

import msgspec

from sessionlab.errors import InvalidJSONError

MAX_DEPTH: Final = 200
"""Deepest nesting accepted; OpenClaw's own entries stay below 20."""

_BOM: Final = b"\xef\xbb\xbf"
_ESCAPE: Final = re.compile(r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u(?P<half>[dD][89a-fA-F][0-9a-fA-F]{2})|.)")
_STRING_OR_BRACKET: Final = re.compile(r'"(?:[^"\\]|\\.)*+"|[\[\]{}]')


class _RefusedError(ValueError):
    """A reason to refuse a document, before it is given a file and a line; `member` numbers the member of an object that it is about."""

    def __init__(self, reason: str, *, member: int | None = None) -> None:
        self.member = member
        super().__init__(reason)


def decode(data: bytes, *, path: Path, line: int | None = None, advice: str = "") -> Any:
    """Decode one JSON document; arguments and errors as of `codec.decode_document`."""
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
        reason, place = _reason_of(error, text)
        raise InvalidJSONError(path, reason, line=first_line + text.count("\n", 0, place), advice=advice) from error
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
    if is_too_deep(document, brackets=text.count("[") + text.count("{")):
        where = first_line + _line_of_depth(text)
        raise InvalidJSONError(path, f"is nested more than {MAX_DEPTH} levels deep", line=where, advice=advice)
    return document


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
        raise _RefusedError(f"number of {len(text)} characters is out of range")  # not which: values may be secrets
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


def _reason_of(error: json.JSONDecodeError, text: str) -> tuple[str, int]:
    """Word the standard library's complaint and say where it shows, telling a truncated document from a wrong one."""
    if not text.strip():
        return "holds no JSON document", error.pos
    if error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated string"):
        return "ends in the middle of the document (truncated)", error.pos
    # Python 3.13 says this itself, and points at the comma; before, it points at the bracket and asks for another value.
    before = text[: error.pos].rstrip()
    kind = {"}": "object", "]": "array"}.get(text[error.pos])
    if kind is not None and before.endswith(","):
        return f"illegal trailing comma before end of {kind}", len(before) - 1
    return error.msg[:1].lower() + error.msg[1:], error.pos


def _holds_surrogate(document: Any) -> bool:
    """Say whether a string holds half of a surrogate pair, which UTF-8 cannot carry."""
    try:
        msgspec.json.encode(document)
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


def is_too_deep(document: Any, *, brackets: int) -> bool:
    """Say whether a decoded document is nested beyond `MAX_DEPTH`; its opening brackets, counted before, spare most the walk."""
    if brackets <= MAX_DEPTH:
        return False
    level = [document] if isinstance(document, dict | list) else []
    for _ in range(MAX_DEPTH):
        level = [child for node in level for child in (node.values() if isinstance(node, dict) else node) if isinstance(child, dict | list)]
        if not level:
            return False
    return True
