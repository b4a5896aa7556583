"""OpenClaw's `sessions.json`: one JSON object, session key -> entry, rewritten whole on every change.

Reading half. The file is opened once, so every answer of one store object is about the same bytes even when OpenClaw replaces the file
meanwhile. Listing maps the file and skips the big fields; looking for one session maps it as well; whatever concerns contents reads
strictly.

Whoever writes the file in place while it is read gets a `CorruptStoreError`, not a wrong answer. One case cannot be caught: a file that is
cut shorter during the few milliseconds in which it is mapped ends the process with SIGBUS. OpenClaw never does that (it replaces the
file), and reading instead of mapping makes listing a large store 1.3 times slower.
"""

from __future__ import annotations

import mmap
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final, Self

import msgspec

from sessionlab import codec, keys, layout
from sessionlab.entry import Entry, IndexFields, SessionSummary, canonical_digest, summarise
from sessionlab.errors import CorruptStoreError, InvalidJSONError, NoStoreError, UnreadableError
from sessionlab.stores.base import Fingerprint, Problem, SessionStore, StoreStats, closed, fingerprint_of, newest_first
from sessionlab.stores.checks import blocked_key_problem, entry_problems, worst_first
from sessionlab.stores.json_state import is_session, sessions_among

_INDEX: Final = msgspec.json.Decoder(dict[str, IndexFields])
_ONE_INDEX: Final = msgspec.json.Decoder(IndexFields)


class JSONFileStore(SessionStore):
    """A `sessions.json` opened for reading; see `SessionStore` for the contract.

    Entries that are no objects, and keys that JavaScript reserves, are not sessions: `check()` reports them, `left_out()` names
    them, nothing else sees them.
    """

    kind = "json"
    snapshot_method = "read in place, one open file"

    def __init__(self, path: Path, descriptor: int, *, agent_id: str) -> None:
        """Take over an open file; use `open`."""
        self.path = path
        self.agent_id = agent_id
        self._descriptor = descriptor
        self.found = os.fstat(descriptor)
        """What the system said about the file when it was opened."""
        self._identity = _identity(self.found)
        self._count: int | None = None
        self._has_others = False  # members that are no sessions, as far as the index has been read

    @classmethod
    def open(cls, path: Path, *, agent_id: str | None = None) -> Self:
        """Open a store file.

        Args:
            path: The file, whatever its name.
            agent_id: The agent it belongs to; by default read off the path (`agents/<id>/...`), else "main".

        Raises:
            NoStoreError: There is no such file, or it is not a regular file.
            UnreadableError: The system does not let us read it, or it is a link that leads nowhere.
            CorruptStoreError: It is larger than one document may be.
        """
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError as error:
            if path.is_symlink():
                raise UnreadableError(path, f"is a link to {path.readlink()}, which does not exist") from error
            raise NoStoreError(path, "there is no such file") from error
        except OSError as error:
            raise UnreadableError(path, f"cannot be read ({error.strerror})") from error
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            os.close(descriptor)
            raise NoStoreError(path, "is not a regular file")
        if found.st_size > codec.MAX_DOCUMENT_BYTES:
            os.close(descriptor)
            raise CorruptStoreError(path, f"is larger than {codec.MAX_DOCUMENT_BYTES >> 30} GiB, too large for one JSON document")
        return cls(path, descriptor, agent_id=agent_id or layout.agent_id_of(path.absolute()) or keys.DEFAULT_AGENT)

    def get(self, key: str) -> Entry | None:
        normal = keys.normalise(key)
        members = self._members()
        if key in members:
            return self._decode(key, bytes(members[key]))
        spelled = [(stored, self._decode(stored, bytes(raw))) for stored, raw in members.items() if keys.normalise(stored) == normal]
        if len(spelled) < 2:
            return spelled[0][1] if spelled else None
        from sessionlab.stores.writing import age_ms  # what writing needs, a listing need not load

        return max(reversed(spelled), key=lambda one: age_ms(*one))[1]  # the last of equally old ones, as when it is written

    def summaries(self) -> Iterator[SessionSummary]:
        return newest_first(summarise(key, fields) for key, fields in self._index().items())

    def items(self) -> Iterator[tuple[str, Entry]]:
        for key, raw in self.raw_items():
            yield key, self._decode(key, raw)

    def raw_items(self) -> Iterator[tuple[str, bytes]]:
        for key, raw in self._members().items():
            yield key, bytes(raw)

    def content(self) -> bytes:
        """Return the whole file."""
        pieces = list(self.pieces(self._size))
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def pieces(self, most_bytes: int) -> Iterator[bytes]:
        """Yield the whole file, so many bytes at a time or fewer."""
        self._refuse_moved()
        place = 0
        while place < self._size:
            try:
                piece = os.pread(self._descriptor, min(most_bytes, self._size - place), place)
            except OSError as error:
                raise UnreadableError(self.path, f"cannot be read ({error.strerror})") from error
            if not piece:
                break
            yield piece
            place += len(piece)
        self._unchanged()

    def spellings(self, key: str) -> dict[str, bytes]:
        """Return what is stored of one session: under the normalised key, and under those that differ in case or blanks only."""
        if self._size == 0:
            return {}
        self._unchanged()
        with mmap.mmap(self._descriptor, 0, access=mmap.ACCESS_READ) as data:
            found = self._cut(data, key)
        self._unchanged()
        return found

    def _cut(self, data: mmap.mmap, key: str) -> dict[str, bytes]:
        """Cut one session out of the mapped file; what borrows the mapping is gone when this returns."""
        if not data[:4096].strip() and not self.content().strip():
            return {}
        members = codec.split_members(data, path=self.path)
        return {name: bytes(raw) for name, raw in members.items() if keys.normalise(name) == key and is_session(name, raw)}

    def count(self) -> int:
        if self._count is None:
            self._index()
        else:
            self._refuse_moved()
            self._unchanged()
        return self._count or 0

    def left_out(self) -> tuple[str, ...]:
        """Return the names in the file that are no sessions, in its order; a file that has none is not read again for that."""
        self.count()
        if not self._has_others:
            return ()
        members = codec.split_members(self.content(), path=self.path)
        return tuple(key for key, raw in members.items() if not is_session(key, raw))

    def stats(self) -> StoreStats:
        return StoreStats(kind=self.kind, path=str(self.path), sessions=self.count(), store_bytes=self._size)

    def check(self) -> tuple[Problem, ...]:
        return self._check(lambda _key, _entry: None)

    def examine(self) -> tuple[Fingerprint, tuple[Problem, ...]]:
        digests: list[tuple[str, bytes]] = []
        problems = self._check(lambda key, entry: digests.append((key, canonical_digest(entry))))
        # An entry that cannot be read has no digest: then the fingerprint's own pass says what is wrong.
        return (fingerprint_of(digests) if len(digests) == self.count() else self.fingerprint()), problems

    def _check(self, see: Callable[[str, Entry], None]) -> tuple[Problem, ...]:
        """Return what is wrong, and show every sound entry to `see`."""
        data = self.content()
        where = str(self.path)
        if not data.strip():
            return (
                Problem(
                    code="blank_store",
                    severity="warning",
                    message="the store file is blank: no sessions",
                    path=where,
                    advice="restore a backup if there should be some",
                ),
            )
        try:
            members = codec.split_members(data, path=self.path)
        except InvalidJSONError as error:
            return (Problem(code="invalid_store", severity="error", message=error.reason, path=where, line=error.line),)
        found: list[Problem] = []
        lines: dict[str, int] = {}

        def sound() -> Iterator[tuple[str, Entry]]:
            # One entry at a time: all of them together take five times the file.
            nonlocal lines
            for key, raw in members.items():
                if keys.normalise(key) in keys.BLOCKED_KEYS:
                    found.append(blocked_key_problem(key, self.path))
                    continue
                try:
                    entry = codec.decode_entry(bytes(raw), path=self.path, key=key)
                except InvalidJSONError as error:
                    lines = lines or codec.member_lines(data, members)
                    found.append(_bad_entry(error, key, first_line=lines[key], is_object=_is_object(raw)))
                else:
                    see(key, entry)
                    yield key, entry

        odd = entry_problems(sound(), path=self.path)
        return worst_first([*found, *odd])

    def fingerprint(self) -> Fingerprint:
        return fingerprint_of((key, canonical_digest(entry)) for key, entry in self.items())

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _refuse_moved(self) -> None:
        """Raise when another store counts now, or this one is closed."""
        if self._descriptor < 0:
            raise closed(self.path)
        if self.guard is not None:
            self.guard.glance()

    @property
    def _size(self) -> int:
        return self._identity[0]

    def _index(self) -> dict[str, IndexFields]:
        """Return key -> index fields of every session, in one pass that builds nothing else."""
        self._refuse_moved()
        if self._size == 0:
            self._count = 0
            return {}
        self._unchanged()  # before mapping: bytes that were cut off would end the process
        before = codec.built_count()
        with mmap.mmap(self._descriptor, 0, access=mmap.ACCESS_READ) as data:
            try:
                index = _INDEX.decode(data)
            except msgspec.ValidationError:
                index = self._tolerant_index()
                self._has_others = True
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                if not data[:4096].strip() and not self.content().strip():
                    self._count = 0
                    return {}
                raise codec.invalid(data, self.path, error) from error
            else:
                if codec.built_count() - before != len(index):
                    codec.name_duplicate(data, path=self.path)
        self._unchanged()
        found = index
        if not keys.BLOCKED_KEYS.isdisjoint(keys.normalised(index)):
            found = {key: fields for key, fields in index.items() if keys.normalise(key) not in keys.BLOCKED_KEYS}
        self._count = len(found)
        self._has_others = self._has_others or len(found) < len(index)
        return found

    def _tolerant_index(self) -> dict[str, IndexFields]:
        """Return the same when some member is no object: those are left out."""
        index = {}
        for key, raw in self._members().items():
            try:
                index[key] = _ONE_INDEX.decode(raw)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                self._decode(key, bytes(raw))  # words it, with the line
                raise
        return index

    def _members(self) -> Mapping[str, msgspec.Raw]:
        """Return key -> the entry's bytes of every session, in file order."""
        data = self.content()
        if not data.strip():
            return {}
        members = codec.split_members(data, path=self.path)
        return sessions_among(members)

    def _decode(self, key: str, raw: bytes) -> Entry:
        """Decode one entry; an error names the line in the file, not in the entry."""
        try:
            return codec.decode_entry(raw, path=self.path, key=key)
        except InvalidJSONError:
            data = self.content()
            lines = codec.member_lines(data, codec.split_members(data, path=self.path))
            return codec.decode_entry(raw, path=self.path, key=key, line=lines[key])

    def _unchanged(self) -> None:
        """Raise when the open file was written in place since it was opened. OpenClaw replaces the file; an editor may not."""
        if _identity(os.fstat(self._descriptor)) != self._identity:
            raise CorruptStoreError(self.path, "was changed in place while it was being read", advice="run it again")


def _is_object(raw: msgspec.Raw) -> bool:
    return bytes(memoryview(raw)[:1]) == b"{"


def _bad_entry(error: InvalidJSONError, key: str, *, first_line: int, is_object: bool) -> Problem:
    """Word the finding that one entry cannot be read; `error` counts its lines from the entry's first."""
    return Problem(
        code="bad_entry",
        severity="error",
        message=error.reason,
        path=str(error.path),
        line=first_line + (error.line or 1) - 1,
        key=key,
        advice="mend it by hand, or restore a backup" if is_object else "not counted as a session",
    )


def _identity(found: os.stat_result) -> tuple[int, int]:
    return found.st_size, found.st_mtime_ns
