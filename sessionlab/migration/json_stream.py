"""The members of a `sessions.json` one after the other, however large the file: a migration must not hold it in memory.

OpenClaw indents the file by two spaces. A line break never lies inside a JSON string, so what begins a line with exactly two spaces and a
quotation mark is a member of the outermost object, or the file is indented in another way. A piece cut there wrongly is no JSON, for its
brackets do not match: then it is joined with the next one, in the worst case up to the whole file. When that is no JSON either, the pieces
are looked at one by one: one bad entry must not hide the others from a report.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

import msgspec

from sessionlab import codec
from sessionlab.errors import InvalidJSONError, NoStoreError, UnreadableError

_BLOCK_BYTES: Final = 1 << 20
_CUT: Final = b'\n  "'
_BLANKS: Final = b" \t\r\n"
_OUTLINE: Final = re.compile(rb'("[ !#-\[\]-~]*"): (\{\n    .*\n  \}|\{.*\}|[A-Za-z0-9.+-]+)', re.DOTALL)
"""What a member looks like that is no JSON, in a file indented as OpenClaw does: a plain name, and an object around whatever it is."""


class Member(NamedTuple):
    """One member of the file: its name, the value's bytes as they lie there, and the line (1-based) at which the member begins."""

    key: str
    raw: bytes
    line: int


def members(path: Path) -> Iterator[Member]:
    """Yield the members of a file in its order; a name that is written twice comes twice. A blank file has none.

    Raises:
        NoStoreError: There is no such file.
        UnreadableError: The system does not let us read it.
        InvalidJSONError: It is not a JSON object; naming the line.
    """
    try:
        with path.open("rb") as file:
            yield from _members(file, path)
    except FileNotFoundError as error:
        raise NoStoreError(path, "there is no such file") from error
    except OSError as error:
        raise UnreadableError(path, f"cannot be read ({error.strerror})") from error


def _members(file: BinaryIO, path: Path) -> Iterator[Member]:
    waiting: list[bytes] = []
    line, size, wanted = 1, 0, 0
    for piece, is_last in _pieces(file):
        waiting.append(piece)
        size += len(piece)
        if size < wanted and not is_last:
            continue
        text = b"".join(waiting)
        found = _parsed(text, path, is_first=line == 1, is_last=is_last)
        if found is None:
            wanted = 2 * size  # or a file that is indented in another way would be looked through again and again
            continue
        for key, raw in found:
            yield Member(key, raw, line + (text.count(b"\n", 0, text.find(b'"')) if line == 1 else 0))
        line += text.count(b"\n")
        waiting, size, wanted = [], 0, 0
    if b"".join(waiting).strip(_BLANKS):
        yield from _one_by_one(waiting, path, line=line)


def _one_by_one(pieces: list[bytes], path: Path, *, line: int) -> Iterator[Member]:
    """Yield the members in pieces that make no JSON together: those that are sound, and those that are not, as they lie there.

    Raises:
        InvalidJSONError: A piece has not even the outline of a member: the file is damaged, not one entry in it.
    """
    found: list[Member] = []
    for place, piece in enumerate(pieces):
        is_first, is_last = line == 1 and place == 0, place == len(pieces) - 1
        members = _parsed(piece, path, is_first=is_first, is_last=is_last)
        if members is None:
            outline = _OUTLINE.fullmatch(piece.strip(_BLANKS).removesuffix(b"}" if is_last else b",").rstrip(_BLANKS))
            if outline is None:
                _refuse(path)
            else:
                found.append(Member(msgspec.json.decode(outline[1], type=str), outline[2], line))
        else:
            found += [Member(key, raw, line) for key, raw in members]
        line += piece.count(b"\n")
    yield from found


def _pieces(file: BinaryIO) -> Iterator[tuple[bytes, bool]]:
    """Yield what the file consists of, cut before the quotation marks of its members, and whether it is the last piece."""
    rest = b""
    while block := file.read(_BLOCK_BYTES):
        whole = (rest + block).split(_CUT)
        rest = whole.pop()
        for place, piece in enumerate(whole):
            yield (b'"' if place else b"") + piece + _CUT[:-1], False
        if whole:
            rest = b'"' + rest
    yield rest, True


def _parsed(text: bytes, path: Path, *, is_first: bool, is_last: bool) -> list[tuple[str, bytes]] | None:
    """Return the members that a text consists of; `None` when it is only a part of one."""
    inner = text.strip(_BLANKS)
    if is_first:
        if not inner.startswith(b"{"):
            return None
        inner = inner[1:].lstrip(_BLANKS)
    if is_last:
        if not inner.endswith(b"}"):
            return None
        inner = inner[:-1].rstrip(_BLANKS)
    elif inner:
        if not inner.endswith(b","):
            return None
        inner = inner[:-1]
    try:
        return [(key, bytes(raw)) for key, raw in codec.raw_members(b"{" + inner + b"}", path=path)]
    except InvalidJSONError:
        return None


def _refuse(path: Path) -> None:
    """Name what is wrong with a file, which the strict reader finds."""
    codec.decode_object(path.read_bytes(), path=path)
    raise InvalidJSONError(path, "changed while it was read", advice="run it again")
