"""Transcripts: what lies in a `.jsonl` file or in the SQLite store's event rows, read without building the messages' text.

Form: OpenClaw's session version 1 to 3, one JSON object a line: a header (`type: "session"`), then messages with usage and cost, model
changes, compactions and custom lines. A line that cannot be read is set aside with its number and the rest is still read.
Nothing here writes, and no store operation calls it (F.25).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Final, Protocol

import msgspec
import numpy as np
import numpy.typing as npt

from sessionlab.errors import CorruptStoreError, UnreadableError

CHUNK_BYTES: Final = 32 << 20
"""How much of a transcript is held at a time; a single longer line is still read whole."""

MAX_LINE_BYTES: Final = 256 << 20
"""Longest line that is read; OpenClaw's SQLite store caps an event at 4 MiB."""

_LINES_BYTES: Final = 1 << 20

_MAX_TOKENS: Final = 10**12
_MAX_USD: Final = 1e6
Tokens = Annotated[int, msgspec.Meta(ge=0, le=_MAX_TOKENS)]
"""A count that one message can have. A larger or negative one is none: it counts as absent, so that every sum fits 64 bits."""


class Cost(msgspec.Struct, gc=False):
    """The price of one assistant message, in US dollars as the provider's price list gives it."""

    total: Annotated[float, msgspec.Meta(ge=0, le=_MAX_USD)] | None = None


class Usage(msgspec.Struct, gc=False, rename="camel"):
    """The tokens that one assistant message used. `total` is the writer's own sum."""

    input: Tokens | None = None
    output: Tokens | None = None
    cache_read: Tokens | None = None
    cache_write: Tokens | None = None
    total: Tokens | None = msgspec.field(default=None, name="totalTokens")
    cost: Cost | None = None


class Message(msgspec.Struct, gc=False, rename="camel"):
    """What a message says about itself; its content is skipped."""

    role: str | None = None
    provider: str | None = None
    model: str | None = None
    usage: Usage | None = None
    tool_name: str | None = None
    is_error: bool | None = None


class Event(msgspec.Struct, gc=False, rename="camel"):
    """One transcript line. `timestamp` is ISO 8601 UTC as written; `parent_session` stands in the header of a fork."""

    type: str
    id: str | None = None
    timestamp: str | None = None
    message: Message | None = None
    parent_session: str | None = None
    custom_type: str | None = None


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that was set aside: its 1-based number and why.

    `is_unfinished` marks a last line without its newline that is no whole document: somebody is writing it right now, or crashed.
    """

    number: int
    reason: str
    is_unfinished: bool = False


@dataclass(slots=True)
class Decoded:
    """The events of a run of lines, in order.

    Attributes:
        events: One per readable line.
        sizes: Bytes of each event's line, without the newline; as long as `events`.
        bad: The lines that were set aside.
        odd: Numbers of the lines whose event was read but holds a field of the wrong type, which counts as absent.
        lines: How many lines there were, blank ones included.
    """

    events: list[Event] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    bad: list[BadLine] = field(default_factory=list)
    odd: list[int] = field(default_factory=list)
    lines: int = 0


_FILLED: Final = re.compile(rb"[^\n]+")
EVENT_DECODER: Final = msgspec.json.Decoder(Event)


def decode(data: bytes, *, first_line: int = 1) -> Decoded:
    """Decode newline-separated events.

    What is not looked for, because it would cost every reader a second pass: a field that is written twice in one line (the last one
    counts, as in JavaScript), and deep nesting below the decoder's own limit of about a thousand levels.

    Args:
        data: Whole lines; only the last may lack its newline.
        first_line: The number of the first line, for `bad` and `odd`.
    """
    plain = decode_plain(data)
    if plain is None:
        return _line_by_line(data, first_line)
    events, ends = plain
    return Decoded(events, line_sizes(ends).tolist(), lines=len(ends))


def decode_plain(data: bytes | memoryview) -> tuple[list[Event], npt.NDArray[np.int64]] | None:
    """Decode lines that are all beyond doubt in one call: (events, the place of each newline); `None` where one needs a closer look.

    Several transcripts may stand behind one another in `data`: that is how many small ones are read fast.
    """
    if data[-1:] != b"\n" or not _is_utf8(data):
        return None
    try:
        events: list[Event] = EVENT_DECODER.decode_lines(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    text = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero(text == ord("\n"))
    # One event a line, or else the numbers would be off. Counting is not enough: a blank line and two events on one line cancel out.
    if len(events) != len(ends) or text[0] != ord("{"):
        return None
    is_object_a_line = (text[ends - 1] == ord("}")).all() and (text[ends[:-1] + 1] == ord("{")).all()
    return (events, ends) if is_object_a_line else None


def line_sizes(ends: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the length of each line, without its newline, from the places of the newlines."""
    return np.diff(ends, prepend=-1) - 1


def read(path: Path, *, limit_bytes: int | None = None) -> Iterator[Decoded]:
    """Yield a transcript file's events in pieces of at most about `CHUNK_BYTES`, so that a huge file needs little memory.

    Args:
        path: The `.jsonl` file; `.jsonl.*.zst` is decompressed on the way.
        limit_bytes: Read no further than this many bytes of the file: what was there when the caller looked. Somebody may be appending.
            A compressed archive is written once and read whole.

    Raises:
        UnreadableError: The system does not let us read it.
        CorruptStoreError: A compressed file that does not decompress to its end, or a line beyond `MAX_LINE_BYTES`.
    """
    try:
        with path.open("rb") as raw:
            if path.suffix != ".zst":
                yield from _chunks(raw, path, limit_bytes)
                return
            yield from _chunks(_Decompressed(raw, path), path, None)
    except OSError as error:
        raise UnreadableError(path, f"cannot be read ({error.strerror or error})") from error


def lines(path: Path) -> Iterator[bytes]:
    """Yield a transcript file's lines as they lie there, blank ones included, without their newlines; of an archive, decompressed.

    Raises:
        UnreadableError, CorruptStoreError: As `read`.
    """
    try:
        with path.open("rb") as raw:
            source: _Source = _Decompressed(raw, path) if path.suffix == ".zst" else raw
            waiting: list[bytes] = []  # the beginning of a line
            while piece := source.read(_LINES_BYTES):
                first, *others = piece.split(b"\n")
                waiting.append(first)
                if sum(map(len, waiting)) > MAX_LINE_BYTES:
                    raise CorruptStoreError(path, f"a line is longer than {MAX_LINE_BYTES >> 20} MiB")
                if others:
                    yield b"".join(waiting)
                    yield from others[:-1]
                    waiting = [others[-1]]
            if rest := b"".join(waiting):
                yield rest
    except OSError as error:
        raise UnreadableError(path, f"cannot be read ({error.strerror or error})") from error


class _Source(Protocol):
    """What bytes are read from."""

    def read(self, size: int, /) -> bytes:
        """Return up to about `size` bytes; none at the end."""


class _Decompressed:
    """A zstd file's plain bytes. zstandard's own stream reader takes a file that was cut short for one that ends there."""

    _PIECE_BYTES: Final = 4 << 10  # even a bomb, 128 KiB from every 4 bytes, then opens to no more than 128 MiB at a time

    def __init__(self, raw: BinaryIO, path: Path) -> None:
        import zstandard  # only compressed archives need it

        self._raw, self._path = raw, path
        self._error = zstandard.ZstdError
        self._new_frame = zstandard.ZstdDecompressor().decompressobj
        self._frame = self._new_frame()
        self._is_inside = True  # an empty file is no zstd file

    def read(self, size: int, /) -> bytes:
        """Return at least one byte and about `size`, as decompression yields them; none at the end of the last frame."""
        pieces: list[bytes] = []
        room = size
        while room > 0:
            packed = self._raw.read(self._PIECE_BYTES)
            if not packed:
                if self._is_inside and not any(pieces):
                    raise CorruptStoreError(self._path, "was cut short: it does not decompress to its end")
                break
            while packed:
                try:
                    pieces.append(self._frame.decompress(packed))
                except self._error as error:
                    raise CorruptStoreError(self._path, f"does not decompress ({error})") from error
                room -= len(pieces[-1])
                packed, self._is_inside = self._frame.unused_data, not self._frame.eof
                if self._frame.eof:
                    self._frame = self._new_frame()
        return b"".join(pieces)


def _chunks(file: _Source, path: Path, limit_bytes: int | None) -> Iterator[Decoded]:
    """Cut a stream into whole lines and decode them."""
    rest = b""
    number = 1
    left = limit_bytes
    while True:
        piece = file.read(CHUNK_BYTES if left is None else min(CHUNK_BYTES, left))
        if left is not None:
            left -= len(piece)
        data = rest + piece if rest else piece
        if not piece:
            if data:
                yield decode(data, first_line=number)
            return
        cut = data.rfind(b"\n") + 1
        if cut == 0 and len(data) > MAX_LINE_BYTES:
            raise CorruptStoreError(path, f"line {number} is longer than {MAX_LINE_BYTES >> 20} MiB")
        rest = data[cut:]
        if cut:
            decoded = decode(data[:cut] if rest else data, first_line=number)
            number += decoded.lines
            yield decoded


def _line_by_line(data: bytes, first_line: int) -> Decoded:
    """Decode with a verdict on each line: the slow path, taken only when the fast one stumbled."""
    result = Decoded()
    result.lines = data.count(b"\n") + (0 if data.endswith(b"\n") or not data else 1)
    number, counted = first_line, 0
    # Blank lines are passed over in bulk: a small archive may hold a hundred million of them.
    for match in _FILLED.finditer(data):
        line = match[0]
        number += data.count(b"\n", counted, match.start())
        counted = match.start()
        if not line.strip():
            continue
        try:
            event, is_odd = _decode_line(line)
        except ValueError as error:
            is_tail = match.end() == len(data)
            result.bad.append(BadLine(number, "is unfinished" if is_tail else str(error), is_unfinished=is_tail))
            continue
        if is_odd:
            result.odd.append(number)
        result.events.append(event)
        result.sizes.append(len(line))
    return result


def _decode_line(line: bytes) -> tuple[Event, bool]:
    """Return (event, whether some field had the wrong type); ValueError with the reason when the line is no event."""
    if not line.isascii() and not _is_utf8(line):
        raise ValueError("holds bytes that are not UTF-8")
    try:
        return EVENT_DECODER.decode(line), False
    except (msgspec.DecodeError, RecursionError) as error:
        reason = "is nested too deep" if isinstance(error, RecursionError) else str(error).removeprefix("JSON is malformed: ")
    # A field of the wrong type, or half a surrogate pair (JavaScript cuts an emoji in two and writes it so): the rest of the event counts.
    try:
        document = _LENIENT.decode(line.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError("ends in the middle of the document (truncated)" if "truncated" in reason else reason) from error
    if not isinstance(document, dict):
        raise ValueError("is not a JSON object")
    if not isinstance(document.get("type"), str):
        raise ValueError("has no type")
    return _tolerant(document), True


def _tolerant(document: dict[str, Any]) -> Event:
    """Build an event from what is of the right type in a document."""
    message = document.get("message")
    event = Event(type=_as_text(document["type"]) or "")
    for name in ("id", "timestamp", "parent_session", "custom_type"):
        setattr(event, name, _as_text(document.get(_camel(name))))
    if isinstance(message, dict):
        usage = message.get("usage")
        event.message = Message(
            role=_as_text(message.get("role")),
            provider=_as_text(message.get("provider")),
            model=_as_text(message.get("model")),
            tool_name=_as_text(message.get("toolName")),
            is_error=is_error if isinstance(is_error := message.get("isError"), bool) else None,
            usage=_tolerant_usage(usage) if isinstance(usage, dict) else None,
        )
    return event


def _tolerant_usage(usage: dict[str, Any]) -> Usage:
    cost = usage.get("cost")
    total = cost.get("total") if isinstance(cost, dict) else cost
    return Usage(
        input=_tokens(usage.get("input")),
        output=_tokens(usage.get("output")),
        cache_read=_tokens(usage.get("cacheRead")),
        cache_write=_tokens(usage.get("cacheWrite")),
        total=_tokens(usage.get("totalTokens")),
        cost=Cost(float(total)) if isinstance(total, int | float) and not isinstance(total, bool) and 0 <= total <= _MAX_USD else None,
    )


def _as_text(value: object) -> str | None:
    """Return a string that every later stage can encode: half a surrogate pair becomes a question mark."""
    return value.encode("utf-8", "replace").decode("utf-8") if isinstance(value, str) else None


def _tokens(value: object) -> int | None:
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= _MAX_TOKENS else None


def _camel(name: str) -> str:
    head, *tail = name.split("_")
    return head + "".join(word.title() for word in tail)


def _is_utf8(data: bytes | memoryview) -> bool:
    try:
        str(data, "utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


_LENIENT: Final = json.JSONDecoder(parse_constant=_refuse_constant)
