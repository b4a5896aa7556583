"""Where no command writes what it is asked to write: over a store, a transcript or the configuration, and beside a store's sessions.

A file in a sessions folder would count for the disk budget and pass for somebody's transcript; one in `.sessionlab` would lie among what
undoes a run. Reads only, and of what exists at most its beginning.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import Final

from sessionlab import layout
from sessionlab.errors import StoreError
from sessionlab.stores.looking import head

_OWN: Final = ".sessionlab"
_OF_AN_AGENT: Final = frozenset({"sessions", layout.IMPORT_ARCHIVE})
"""Folders in `agents/<id>/` that are OpenClaw's, whether they hold anything or not."""
_STORES: Final = (layout.JSON_STORE, layout.SQLITE_SESSIONS, layout.DIRECTORY_SESSIONS, layout.SQLITE_STORE)
_SQLITE: Final = b"SQLite format 3\0"
_JSON_STORE: Final = re.compile(rb'\s*\{\s*"(?:[^"\\]|\\.)*"\s*:\s*\{.*"(?:sessionId|updatedAt)"\s*:', re.DOTALL)
_EMPTY_STORE: Final = re.compile(rb"\s*\{\s*\}\s*")
_HEADER: Final = re.compile(rb'\s*\{[^{}]*"type"\s*:\s*"session"')
_A_TRANSCRIPTS: Final = re.compile(r".\.jsonl(?:\.|\Z)")
"""Transcripts by their name, with whatever copies, archives and compressed files of them are called."""
_LOGS: Final = (b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83", b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7", b"\x18\xe2\x2d\x00", b"\x00\x2d\xe2\x18")
"""How the files beside a SQLite database begin that hold what is not in it yet: write-ahead log, journal, and the log's index."""
_BESIDE: Final = re.compile(r"(?P<of>.+?)(?:-wal|-shm|-journal|\.lock|\.bak(?:\.\d+)?)\Z")
_GZIP: Final = b"\x1f\x8b\x08"
_ZSTD: Final = b"\x28\xb5\x2f\xfd"
_HEAD_BYTES: Final = 1 << 16
_WINDOW_BYTES: Final = 1 << 27


def off_limits(path: Path) -> str:
    """Return why no output may be written to a path, be it through a link: "is a session store" and the like; "" when it may be.

    Args:
        path: An absolute path; it need not exist.
    """
    for one in dict.fromkeys((path, Path(os.path.realpath(path)))):
        reason = _of_its_content(one) or _of_its_place(one)
        if reason:
            return reason
    return ""


def same_file(one: Path, other: Path) -> bool:
    """Say whether two paths lead to the same file, be it through a link, and whether it is there yet or not."""
    try:
        return os.path.samefile(one, other)  # noqa: PTH121  # as below: of a name that is too long, Path's raises
    except OSError:
        return os.path.realpath(one) == os.path.realpath(other)


def _of_its_place(path: Path) -> str:
    """Return why nothing may be put where a file lies, or would lie."""
    folders = path.parents
    if any(folder.name == _OWN for folder in folders):
        return f"lies in {_OWN}, which keeps the way back of what was done"
    for folder in folders:
        if folder.parent.parent.name == "agents" and folder.name in _OF_AN_AGENT:
            return f"lies in an agent's folder of sessions, {folder}"
        if _is_directory_store(folder):
            return f"lies in a session store, {folder}"
    stores = [name for name in _STORES if os.path.lexists(path.parent / name)]
    if any(path.name.startswith(name) for name in stores):
        return "has the name of what belongs to a session store: its log, its lock or a backup"
    beside = _BESIDE.fullmatch(path.name)
    if beside is not None and (_of_its_content(path.with_name(beside["of"])) or _is_directory_store(path.with_name(beside["of"]))):
        return f"has the name of what belongs to {path.with_name(beside['of'])}: its log, its lock or a backup"
    # A copy of a store is looked at in any folder; with its transcripts it is a folder of sessions.
    return f"lies in a folder of sessions, {path.parent}" if stores and _has_transcripts(path.parent) else ""


def _is_directory_store(folder: Path) -> bool:
    return all(os.path.lexists(folder / name) for name in ("state.json", "entries"))


def _has_transcripts(folder: Path) -> bool:
    try:
        return any(layout.part_of(name) in ("transcripts", "transcript archives") for name in os.listdir(folder))  # noqa: PTH208
    except OSError:
        return False


def _of_its_content(path: Path) -> str:
    """Return what a file is that is not to be replaced; "" for any other, and where there is none."""
    if path.name == layout.CONFIG_NAME:
        return "is OpenClaw's configuration"
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # noqa: PTH116
            return ""
        first = _unpacked(head(path, _HEAD_BYTES))
    except (OSError, StoreError):
        return ""  # writing to it says what is wrong with it
    if path.name in _STORES or first.startswith(_SQLITE) or _JSON_STORE.match(first) or _EMPTY_STORE.fullmatch(first):
        return "is a session store, or another database" if first.startswith(_SQLITE) else "is a session store"
    if first.startswith(_LOGS):
        return "is the log of a database"
    is_transcript = _HEADER.match(first) is not None or _A_TRANSCRIPTS.search(path.name) is not None
    return "is a transcript" if is_transcript else ""


def _unpacked(first: bytes) -> bytes:
    """Return how a file begins, be it compressed; as it is where it cannot be unpacked."""
    if first.startswith(_GZIP):
        import zlib

        try:
            return zlib.decompressobj(wbits=31).decompress(first, _HEAD_BYTES)
        except zlib.error:
            return first
    if first.startswith(_ZSTD):
        import zstandard

        try:
            return zstandard.ZstdDecompressor(max_window_size=_WINDOW_BYTES).stream_reader(first).read(_HEAD_BYTES)
        except (zstandard.ZstdError, MemoryError):
            return first
    return first
