"""The bytes in which an OpenClaw database keeps events, turned back into one line of JSON each.

Owns: zstd with a limit that no frame header talks it out of, checksums, and line breaks inside stored JSON. Must not: know tables.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Final

import msgspec

MAX_EVENT_BYTES: Final = 4 << 20
"""Largest event that the schema lets be compressed; a stored size beyond it is not believed."""

MAX_COLD_BYTES: Final = 64 << 20
"""Largest cold transcript, decompressed; OpenClaw itself reads no more."""

MAX_ARCHIVE_BYTES: Final = 256 << 20
"""Largest archived transcript, decompressed, that is held in memory."""

_BLANKS: Final = re.compile(r"[ \t\r\n]*")


class UnreadableEventError(ValueError):
    """Why one event or archive cannot be turned into lines."""


def event_line(text: bytes | None, packed: bytes | None, size_bytes: int | None) -> bytes:
    """Return one event's JSON as one line."""
    if text is None:
        if packed is None:
            raise UnreadableEventError("the event has neither event_json nor event_zstd")
        text = _unpack_event(packed, size_bytes)
    elif packed is not None:
        raise UnreadableEventError("the event has both event_json and event_zstd; which one is true is unknown")
    return text if b"\n" not in text else _compact(text)


def _compact(text: bytes) -> bytes:
    """Take the line breaks out of pretty-printed JSON; inside a string they would be escaped."""
    try:
        line = msgspec.json.format(text, indent=-1)
    except msgspec.DecodeError as error:
        raise UnreadableEventError(f"the event spans lines and is not JSON ({error})") from error
    if b"\n" in line:
        raise UnreadableEventError("the event holds a line break inside a string")
    return line


def _unpack_event(packed: bytes, size_bytes: int | None) -> bytes:
    if size_bytes is None or not 1 <= size_bytes <= MAX_EVENT_BYTES:
        raise UnreadableEventError(f"the compressed event says it has {size_bytes} bytes, which the format does not allow")
    text = unpack(packed, size_bytes)
    if len(text) != size_bytes:
        raise UnreadableEventError(f"the compressed event has {len(text)} bytes where the store says {size_bytes}")
    return text


def unpack(packed: bytes, limit_bytes: int) -> bytes:
    """Decompress one zstd frame of at most `limit_bytes`, whatever size its header claims."""
    import zstandard

    try:
        claimed = zstandard.frame_content_size(packed)
        if claimed > limit_bytes:
            raise UnreadableEventError(f"its zstd frame claims {claimed} bytes, more than the {limit_bytes} allowed")
        if claimed >= 0:
            return zstandard.ZstdDecompressor().decompress(packed, allow_extra_data=False)
        with zstandard.ZstdDecompressor().stream_reader(packed) as stream:
            text = stream.read(limit_bytes + 1)
    except zstandard.ZstdError as error:
        raise UnreadableEventError(f"zstd does not decode it ({error})") from error
    if len(text) > limit_bytes:
        raise UnreadableEventError(f"it decompresses to more than the {limit_bytes} bytes allowed")
    return text


def verify_sha256(blob: bytes, expected: str) -> None:
    """Raise `UnreadableEventError` when `blob` is not what the store recorded."""
    if hashlib.sha256(blob).hexdigest() != expected:
        raise UnreadableEventError("its SHA-256 is not the one that the store recorded")


def split_lines(text: bytes) -> list[bytes]:
    """Cut an archive into events: lines, except where an event was kept pretty-printed over several."""
    lines = [line for line in text.split(b"\n") if line.strip()]
    if all(line.startswith(b"{") and line.rstrip().endswith(b"}") for line in lines):
        return lines
    whole = text.decode("utf-8", "surrogateescape")
    scan, events, place = json.JSONDecoder().raw_decode, [], _skip_blanks(whole, 0)
    while place < len(whole):
        try:
            end = scan(whole, place)[1]
        except (ValueError, RecursionError):
            # Not framed as JSON from here on: leave the lines as they are, the transcript reader sets the bad ones aside.
            events += [line for line in whole[place:].split("\n") if line.strip()]
            break
        events.append(whole[place:end])
        place = _skip_blanks(whole, end)
    return [event.encode("utf-8", "surrogateescape") for event in events]


def _skip_blanks(text: str, place: int) -> int:
    found = _BLANKS.match(text, place)
    return found.end() if found else place
