"""The file of one session in the directory store: `{"sessionKey": key, "entry": {...}}`, indented by two (C.1, C.3).

Written that way always. Read, too, is the bare entry of the format's first version, whose key is in the file name (C.9).
A file whose name is meant for a session and which holds none is an error here, never a session less: a deviation from C.8.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple, NoReturn

import msgspec

from sessionlab import codec
from sessionlab.entry import INDEX_NAMES, Entry, IndexFields, SessionSummary, encode, summarise
from sessionlab.errors import CorruptStoreError, InvalidJSONError
from sessionlab.stores import directory_names as names

_START: Final = b'{\n  "sessionKey": %b,\n  "entry": '
_END: Final = b"\n}"
_FIRST: Final = b"{\n    "
_NEXT: Final = b",\n    "
_LAST: Final = b"\n  }\n}"
_TIDY: Final = re.compile(rb'\{\n  "sessionKey": "[^\n]*",\n  "entry": \{\n    "')
_ADVICE: Final = "mend it or move it away by hand: nothing writes over it"


class _Wrapped(msgspec.Struct, gc=False, rename="camel"):
    """A document, its entry not looked into."""

    session_key: str | msgspec.UnsetType = msgspec.UNSET
    entry: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class _Indexed(msgspec.Struct, gc=False, rename="camel"):
    """A document, of whose entry only what a listing needs is read."""

    session_key: str | msgspec.UnsetType = msgspec.UNSET
    entry: IndexFields | msgspec.UnsetType = msgspec.UNSET


class _Whole(msgspec.Struct, gc=False, rename="camel"):
    """A document, its entry built."""

    session_key: str | msgspec.UnsetType = msgspec.UNSET
    entry: Entry | msgspec.UnsetType = msgspec.UNSET


class _Cut(msgspec.Struct, gc=False, rename="camel"):
    """A document, its entry's fields as they are written."""

    entry: dict[str, msgspec.Raw] | msgspec.UnsetType = msgspec.UNSET


_WRAPPED: Final = msgspec.json.Decoder(_Wrapped)
_INDEXED: Final = msgspec.json.Decoder(_Indexed)
_WHOLE: Final = msgspec.json.Decoder(_Whole)
_CUT: Final = msgspec.json.Decoder(_Cut)
_ENTRY: Final = msgspec.json.Decoder(Entry)
_decode: Final = msgspec.json.Decoder().decode
_BARE: Final = msgspec.json.Decoder(IndexFields)
_REFUSALS: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def document(key: str, data: bytes) -> bytes:
    """Return the file of a session, whose entry is given as compact JSON."""
    return msgspec.json.format(b'{"sessionKey":' + msgspec.json.encode(key) + b',"entry":' + data + b"}", indent=2)


def split(name: str, data: bytes, *, path: Path) -> tuple[str, msgspec.Raw]:
    """Return the key in a file and its entry's bytes as they are; what is inside the entry is not checked but for its form.

    Args:
        name: The file's name, to which the key must belong.
        data: What is in it.
        path: The file, for messages.

    Raises:
        CorruptStoreError: It holds no session, or that of another name.
    """
    try:
        wrapped = _WRAPPED.decode(data)
    except _REFUSALS:
        _refuse(name, data, path)
    key, raw = wrapped.session_key, wrapped.entry
    if isinstance(key, str) and isinstance(raw, msgspec.Raw):
        # Where a name is written twice the decoder chooses one. In a file as we write it nothing lies beside the two: no need to look.
        start = _START % msgspec.json.encode(key)
        if not data.startswith(start) or len(start) + len(memoryview(raw)) + len(_END) != len(data):
            codec.decode_object(data, path=path, what="the file", advice=_ADVICE)
    else:
        key, raw = _bare_key(name, data, path), msgspec.Raw(data.strip())
    if bytes(memoryview(raw)[:1]) != b"{":
        raise CorruptStoreError(path, f"the entry of {key[:80]!r} is not an object", advice=_ADVICE)
    _agree(name, key, path)
    return key, raw


def decode(name: str, data: bytes, *, path: Path, is_sound: bool = False) -> tuple[str, Entry]:
    """Return the key and the entry in a file, read strictly; arguments and errors as of `split`.

    Args:
        name: As of `split`.
        data: As of `split`.
        path: As of `split`.
        is_sound: These very bytes were read strictly before: they need not be gone through again for what JSON leaves open.
    """
    if is_sound:
        whole = _WHOLE.decode(data)
        if isinstance(whole.session_key, str) and isinstance(whole.entry, dict):
            return whole.session_key, whole.entry
    else:
        found = _decode_whole(name, data, path)
        if found is not None:
            return found
    key, raw = split(name, data, path=path)
    if is_sound:
        return key, _ENTRY.decode(raw)
    line = 1 + data.count(b"\n", 0, data.find(raw))
    return key, codec.decode_entry(bytes(raw), path=path, key=key, line=line)


def _decode_whole(name: str, data: bytes, path: Path) -> tuple[str, Entry] | None:
    """Read a file strictly in one pass; `None` for one that needs a closer look, or is to be refused with its reason."""
    try:
        content = codec.decode_object(data, path=path)
    except InvalidJSONError:
        return None
    key, entry = content.get("sessionKey"), content.get("entry")
    if not isinstance(key, str) or not isinstance(entry, dict):
        return None
    _agree(name, key, path)
    return key, entry


class Sketch(NamedTuple):
    """A session in a file that is known to be sound, as a merge needs it.

    Attributes:
        key: The session.
        entry: Its entry; what a merge does not look at may be `msgspec.Raw` in there.
        written: The values as they are in the file; `None` when the file is not indented as we do it, and is to be written anew.
    """

    key: str
    entry: Entry
    written: Mapping[str, msgspec.Raw] | None


def sketch(name: str, data: bytes, *, path: Path) -> Sketch:
    """Read a file that is known to be sound; arguments as of `split`."""
    key, written = names.decode(name), written_fields(data)
    if key is None or written is None:
        return Sketch(*decode(name, data, path=path, is_sound=True), None)
    return Sketch(key, {field: _decode(raw) if field in INDEX_NAMES else raw for field, raw in written.items()}, written)


def patched(key: str, before: Sketch, after: Mapping[str, Any]) -> bytes:
    """Return the file of a session after a merge. What the merge carried over keeps its bytes: they were proven when they were read.

    Args:
        key: The session.
        before: What its file held.
        after: What became of its entry: what was carried over is the same object.

    Raises:
        InvalidEntryError: What the merge brought may not be stored.
    """
    if before.written is None:
        return document(key, encode(key, after))
    fresh = {name: value for name, value in after.items() if name not in before.entry or value is not before.entry[name]}
    brought = written_fields(document(key, encode(key, {"sessionId": after["sessionId"], **fresh}))) or {}
    parts: list[bytes | msgspec.Raw] = [_START % msgspec.json.encode(key)]
    separator = _FIRST
    for name in after:
        parts += (separator, msgspec.json.encode(name), b": ", brought[name] if name in fresh else before.written[name])
        separator = _NEXT
    parts.append(_LAST)
    return b"".join(parts)


def written_fields(data: bytes) -> dict[str, msgspec.Raw] | None:
    """Return the values in a sound file as they are written; `None` for one that is not indented as we do it, which is written anew."""
    if _TIDY.match(data) is None or not data.endswith(_LAST):
        return None
    fields = _CUT.decode(data).entry
    return fields if isinstance(fields, dict) else None


def summary(name: str, data: bytes, *, path: Path) -> SessionSummary:
    """Return the index columns of the session in a file, its big fields not built; arguments and errors as of `split`."""
    before = codec.built_count()
    try:
        indexed = _INDEXED.decode(data)
        key, fields = indexed.session_key, indexed.entry
        if not (isinstance(key, str) and isinstance(fields, IndexFields)):
            key, fields = _bare_key(name, data, path), _BARE.decode(data)
    except _REFUSALS:
        _refuse(name, data, path)
    if codec.built_count() - before != 1 or not data.startswith(_START % msgspec.json.encode(key)):
        decode(name, data, path=path)  # an entry is written twice, or it may be that a key is
    _agree(name, key, path)
    return summarise(key, fields)


def _bare_key(name: str, data: bytes, path: Path) -> str:
    """Return the key of a file that holds an entry without wrapping, by its name (C.9)."""
    key = names.decode(name)
    content = codec.decode_object(data, path=path, what="the file", advice=_ADVICE)
    if key is None or not isinstance(content.get("sessionId"), str):
        reason = "is neither a session with its key, nor an entry whose key is in the file name"
        raise CorruptStoreError(path, reason, advice=_ADVICE)
    return key


def _agree(name: str, key: str, path: Path) -> None:
    """Refuse a file that holds another session than its name says."""
    try:
        expected = names.encode(key)
    except UnicodeEncodeError as error:
        raise CorruptStoreError(path, "holds a key that is no text", advice=_ADVICE) from error
    if expected != name:
        raise CorruptStoreError(path, f"holds the session {key[:80]!r}, which does not belong under this name", advice=_ADVICE)


def _refuse(name: str, data: bytes, path: Path) -> NoReturn:
    """Say what is wrong with a file that a fast decoder refused."""
    if not data.strip():
        raise CorruptStoreError(path, "is blank", advice=_ADVICE)
    content: Any = codec.decode_object(data, path=path, what="the file", advice=_ADVICE)
    entry = content.get("entry", content)
    what = codec.json_type_name(entry)
    reason = f"its entry is {what}, not an object" if not isinstance(entry, dict) else f"holds no session that belongs under {name}"
    raise CorruptStoreError(path, reason, advice=_ADVICE)


def problem_of(error: CorruptStoreError) -> tuple[str, int | None]:
    """Return (reason, line) of what is wrong with a file."""
    return error.reason, error.line if isinstance(error, InvalidJSONError) else None


def all_of(errors: tuple[CorruptStoreError, ...]) -> CorruptStoreError:
    """Return one error for all files that hold no session."""
    if len(errors) == 1:
        return errors[0]
    first = min(errors, key=lambda error: str(error.path))
    return CorruptStoreError(first.path, f"{first.reason} (and {len(errors) - 1} more such files)", advice=first.advice)
