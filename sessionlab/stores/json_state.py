"""One state of a `sessions.json`: which file it was, and the bytes of every member of it.

What is not changed is carried over as it is written, indentation and all; nothing here decodes an entry.
"""

from __future__ import annotations

import contextlib
import itertools
import operator
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

import msgspec

from sessionlab import codec, keys
from sessionlab.errors import InvalidJSONError

Member = bytes | msgspec.Raw
M = TypeVar("M", bound=Member)

_ENCODER: Final = msgspec.json.Encoder()
_VIEW: Final[Callable[[Member], memoryview]] = memoryview
_FIRST: Final = operator.itemgetter(0)
_BRACE: Final = {ord("{")}

_CLOCK_STEP_NS: Final = 20_000_000
"""More than the steps in which kernels stamp files: 1 to 10 ms."""
_COARSE_STEP_NS: Final = 2_000_000_000
"""The same for file systems that keep whole seconds only."""


class Identity(NamedTuple):
    """By what a file is known again: another file, or the same after a change, differs in one of these."""

    device: int
    inode: int
    size: int
    modified_ns: int
    changed_ns: int

    @classmethod
    def of(cls, found: os.stat_result) -> Identity:
        """Take the identity from what the system says about a file."""
        return cls(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)

    def is_settled(self) -> bool:
        """Say whether the file's last change is so long ago that another one now would show in its times."""
        step_ns = _CLOCK_STEP_NS if self.changed_ns % 1_000_000_000 else _COARSE_STEP_NS
        return time.time_ns() - self.changed_ns > step_ns


@dataclass(frozen=True, eq=False, repr=False)
class State:
    """What a store file holds at one moment.

    Attributes:
        members: Key -> the value's bytes as they lie in the file, in its order; what is no session (no object, or a name that JavaScript
            reserves) among them.
        identity: Which file it was; `None` for none at all.
        is_certain: Whether equal identity proves that the file still holds this. It does not for a file that was changed a moment before
            it was read, unless sessionlab itself wrote it, with a time to the nanosecond.
        is_indented: Whether the file is written as `JSON.stringify(store, null, 2)` writes it, as far as a cheap look tells: the frame to
            the byte, and the inside of three members.
        data: The file's bytes, where they were read: the members borrow them anyway.
    """

    members: Mapping[str, Member]
    identity: Identity | None
    is_certain: bool = True
    is_indented: bool = True
    data: bytes | None = None

    @classmethod
    def of_file(cls, data: bytes, identity: Identity, *, is_certain: bool, path: Path) -> State:
        """Cut what was read.

        Args:
            data: The whole file. The state borrows it.
            identity: Which file it was, and
            is_certain: whether that proves anything, both as they were before it was read.
            path: Where it lies, for messages.

        Raises:
            InvalidJSONError: It is not a JSON object.
        """
        members = codec.split_members(data, path=path) if data.strip() else {}
        return cls(members, identity, is_certain=is_certain, is_indented=_is_indented(members, len(data)), data=data)

    def __repr__(self) -> str:
        return "no file" if self.identity is None else f"inode {self.identity.inode} of {self.identity.size} bytes"

    @cached_property
    def sessions(self) -> Mapping[str, Member]:
        """The members that are sessions."""
        return sessions_among(self.members)

    @cached_property
    def _variants(self) -> frozenset[str]:
        """The normalised keys of members that are spelled otherwise; hardly a store has one."""
        if keys.are_normal(self.members):
            return frozenset()
        return frozenset(normal for key, normal in zip(self.members, keys.normalised(self.members), strict=True) if normal != key)

    def sessions_of(self, key: str) -> dict[str, bytes]:
        """Return what is stored of one session, spelling -> its bytes: under the normalised key, and where case or blanks differ."""
        return {name: bytes(self.sessions[name]) for name in self.spellings_of(key) if name in self.sessions}

    def spellings_of(self, key: str) -> Sequence[str]:
        """Return the names under which a session may be stored: the normalised key, or all spellings that there are of it."""
        return (key,) if key not in self._variants else [name for name in self.members if keys.normalise(name) == key]

    def replaced(self, written: Mapping[str, bytes], removed: frozenset[str]) -> dict[str, Member]:
        """Return the members with some replaced or added, and some left out, as OpenClaw would write them."""
        if self.is_indented:
            members = dict(self.members)
        else:
            members = {key: value if key in written or key in removed else _anew(bytes(value)) for key, value in self.members.items()}
        for key in removed:
            members.pop(key, None)
        members.update(written)
        return members

    def is_written_as(self, content: Iterable[bytes]) -> bool:
        """Say whether a file with this content is this state."""
        data = b"".join(pieces(self.members)) if self.data is None else self.data
        place = 0
        for piece in content:
            if not data.startswith(piece, place):
                return False
            place += len(piece)
        return place == len(data)


def is_session(key: str, value: Member) -> bool:
    """Say whether a member is a session: an object, under a name that JavaScript does not reserve."""
    return bytes(memoryview(value)[:1]) == b"{" and keys.normalise(key) not in keys.BLOCKED_KEYS


def sessions_among(members: Mapping[str, M]) -> Mapping[str, M]:
    """Return the members that are sessions: hardly ever not all of them. Every change asks this, so it is asked of all at once."""
    first_bytes = set(map(_FIRST, map(_VIEW, members.values())))
    if first_bytes <= _BRACE and keys.BLOCKED_KEYS.isdisjoint(keys.normalised(members)):
        return members
    return {key: value for key, value in members.items() if is_session(key, value)}


def pieces(members: Mapping[str, Member]) -> Iterator[Member]:
    """Return what `JSON.stringify(store, null, 2)` writes, from members that are written so themselves.

    Four pieces for each member, made and chained by C: a file of thousands is written as fast as the system takes it.
    """
    if not members:
        return iter((b"{}",))
    separated = zip(itertools.repeat(b",\n  "), map(_ENCODER.encode, members), itertools.repeat(b": "), members.values())
    without_first_comma = itertools.islice(itertools.chain.from_iterable(separated), 1, None)
    return itertools.chain((b"{\n  ",), without_first_comma, (b"\n}",))


def indented(value: bytes) -> bytes:
    """Return a JSON value as it is written as a member of the store. A line break within a string is written as a code."""
    return msgspec.json.format(value, indent=2).replace(b"\n", b"\n  ")


def _anew(value: bytes) -> bytes:
    """Write a member as OpenClaw would after reading it; of one that could not be read then, or cannot be now, only the blanks change."""
    with contextlib.suppress(InvalidJSONError, codec.UnfaithfulError):
        value = codec.encode_faithful(codec.decode_document(value, path=Path()))
    return indented(value)


def _is_indented(members: Mapping[str, Member], size: int) -> bool:
    if sum(map(len, pieces(members))) != size:
        return False
    names = list(members)
    looked_at = {names[place] for place in (0, len(names) // 2, -1)} if names else set()
    return all(indented(bytes(members[name])) == bytes(members[name]) for name in looked_at)
