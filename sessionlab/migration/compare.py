"""Comparing JSON documents: at which paths two of them differ. Never what stands there: values may be secrets."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

import msgspec

from sessionlab import codec

MAX_PATHS: Final = 30
"""Paths that are told of one document; what follows is counted as "..."."""

_PLAIN: Final = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]{0,63}\Z")
_MAX_NAME: Final = 64
_INDEX: Final = re.compile(r"\[\d+:?\]")
_DECODER: Final = msgspec.json.Decoder()


def differing_paths(before: Any, after: Any) -> tuple[str, ...]:
    """Return the JSON paths at which two documents differ, in the first one's order, `...` last when there are more than `MAX_PATHS`.

    A path leads to the highest value that only one of them has, or that differs as a whole: `$.origin.label`, `$.skills[3]`; `$.skills[3:]`
    where a list goes on in one of them only; `$` where they are of different types. JavaScript does not tell 1.0 from 1; nor does this.
    """
    found = list(islice(_differing(before, after), MAX_PATHS + 1))
    return tuple(found if len(found) <= MAX_PATHS else [*found[:MAX_PATHS], "..."])


def folded(path: str) -> str:
    """Return a path without its list positions, under which differences of many documents are counted: `$.skills[].name`."""
    return _INDEX.sub("[]", path)


def decoded_event(line: bytes) -> Any:
    """Return one transcript line as JSON reads it; half a surrogate pair, as JavaScript writes it, is kept.

    Raises:
        ValueError: It is no JSON.
    """
    try:
        return _DECODER.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    try:
        return json.loads(line.decode("utf-8"))
    except RecursionError as error:
        raise ValueError("is nested too deep") from error


def canonical(document: Any) -> bytes:
    """Return what is equal for two documents exactly when they are equal as JSON."""
    try:
        return codec.canonical_bytes(document)
    except (UnicodeEncodeError, ValueError, OverflowError, RecursionError):
        return json.dumps(document, sort_keys=True).encode()


def is_same(one: Any, other: Any) -> bool:
    """Say whether two documents are equal as JSON."""
    return one == other and canonical(one) == canonical(other) if type(one) is type(other) else canonical(one) == canonical(other)


def is_within(before: Any, after: Any) -> bool:
    """Say whether a document holds all of another one, unchanged, and perhaps more fields."""
    if isinstance(before, dict) and isinstance(after, dict):
        return all(name in after and is_within(value, after[name]) for name, value in before.items())
    return is_same(before, after)


def _differing(before: Any, after: Any) -> Iterator[str]:
    waiting: list[tuple[str, Any, Any]] = [("$", before, after)]
    while waiting:  # not by recursion: documents may be as deep as the reader lets them be
        path, one, other = waiting.pop()
        if isinstance(one, dict) and isinstance(other, dict):
            names = [*one, *(name for name in other if name not in one)]
            inner = [(path + _step(name), one.get(name, _ABSENT), other.get(name, _ABSENT)) for name in names]
            waiting += reversed(inner)
        elif isinstance(one, list) and isinstance(other, list):
            shared = min(len(one), len(other))
            if len(one) != len(other):
                waiting.append((f"{path}[{shared}:]", _ABSENT, None))
            waiting += [(f"{path}[{place}]", one[place], other[place]) for place in reversed(range(shared))]
        elif one is _ABSENT or other is _ABSENT or not is_same(one, other):
            yield path


class _Absent:
    """What stands where a document has nothing."""


_ABSENT: Final = _Absent()


def _step(name: str) -> str:
    if _PLAIN.match(name):
        return f".{name}"
    return f"[{json.dumps(name[:_MAX_NAME] + ('...' if len(name) > _MAX_NAME else ''))}]"
