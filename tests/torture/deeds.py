"""What is done to a shared memory and its sessions when they are put to the torture, step by step, and the program that does it.

The clock stands still, so that the same steps leave the same rows, byte for byte.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import msgspec

from sessionlab.errors import StoreError, VersionConflictError
from sessionlab.parallel import Knowledge, Memory, SessionManager, SharedMemory
from sessionlab.parallel.manager import Scope
from sessionlab.parallel.places import LEASE_MS
from sessionlab.settings import ParallelSessionsSettings
from tests.torture.backends import program_paths
from tests.torture.remembered import Looks, digest_of, snapshot
from tests.torture.tracing import ACKNOWLEDGED

PLACE: Final = Path("data", "shared-memory.db")
NOW_MS: Final = 1_795_000_000_000
LATER_MS: Final = NOW_MS + LEASE_MS + 1
"""When the places of who died at `NOW_MS` are free."""

CHANNELS: Final = ("a", "b", "c", "d")
_MESSAGES: Final = 5
"""Of every session that sleeps when a deed begins."""

_PATIENCE_MS: Final = 2_000
"""How long somebody waits for locks. After a kill there is nothing to wait for; only the machine may be busy."""


def key_of(channel: str) -> str:
    """Return the session of a channel."""
    return f"agent:main:parallel:{channel}"


class Crew:
    """A manager of at most three sessions on a shared memory, as one process has them."""

    def __init__(self, state: Path, scope: Scope, *, now_ms: int = NOW_MS) -> None:
        """Open nothing yet; the file lies in a folder of the state folder, which may be missing."""
        self.path = state / PLACE
        self.memory = SharedMemory(self.path, clock=lambda: now_ms, timeout_ms=_PATIENCE_MS)
        settings = msgspec.convert({"maxConcurrent": len(CHANNELS) - 1}, ParallelSessionsSettings)
        self.manager = SessionManager(settings, memory=self.memory, scope=scope, clock=lambda: now_ms)

    def seen(self) -> Looks:
        """Return the sessions as this process sees them: which it knows, whether they sleep, and how many messages they had."""
        found = [self.manager.session(key_of(channel)) for channel in CHANNELS]
        return [(one.session_key, one.status, one.message_count) for one in found if one is not None]


Step = Callable[[Crew], object]


@dataclass(frozen=True, kw_only=True)
class Deed:
    """Something that is done, in steps of one transaction each.

    Attributes:
        name: What reports and test ids call it.
        before: What was done before, in a process that has ended; `None` for no database at all.
        steps: What is done, each acknowledged when it returns. Whatever came of them before, they can be done again.
        last: For a last step that is several transactions: the steps of one transaction each that it stands for.
        scope: Of the manager.
        makes_index: Whether all that the last step writes is an index, which may be left for the next one: its answer is right without.
    """

    name: str
    before: Step | None
    steps: tuple[Step, ...]
    last: tuple[Step, ...] = ()
    scope: Scope = "process"
    makes_index: bool = False

    @property
    def all_steps(self) -> tuple[Step, ...]:
        """The opening, and the steps."""
        return initialize, *self.steps


def initialize(crew: Crew) -> None:
    """Open the database, or make it."""
    crew.memory.initialize()


def opening(channel: str) -> Step:
    """Have the session of a channel awake: it is the one that slept, and knows what it knew."""

    def step(crew: Crew) -> None:
        opened = crew.manager.get_or_create_session(channel)
        session = crew.manager.session(opened.session_key)
        assert session is not None
        assert not opened.is_new, f"{channel} is not known any more"
        assert session.message_count >= _MESSAGES, f"{channel} has forgotten {_MESSAGES - session.message_count} messages"

    return step


def counting(crew: Crew) -> None:
    """Let the session of the first channel have two messages more, which only its process knows; once."""
    session = crew.manager.session(key_of(CHANNELS[0]))
    if session is not None and session.message_count == _MESSAGES:
        crew.manager.count_message(session.session_key, 2)


def sleeping(channel: str) -> Step:
    """Put a session to sleep."""
    return lambda crew: crew.manager.hibernate_session(key_of(channel))


def saving(content: str, *, importance: int) -> Step:
    """Remember something."""
    return lambda crew: crew.manager.save_memory(key_of("a"), "fact", content, importance=importance, channel_id="a")


def searching(text: str, *, at_least: int) -> Step:
    """Search, which takes into the index what was written since."""

    def step(crew: Crew) -> None:
        found = len(crew.manager.search_memory(text))
        assert found >= at_least, f"finds {found}, not {at_least}"

    return step


def putting(crew: Crew) -> None:
    """Write a memory anew that nobody else has written since it was read; who reads an old one is refused."""
    found = crew.memory.memory(1)
    assert found is not None
    crew.memory.put_memory(msgspec.structs.replace(found, content="written anew"), expect_version=found.version)
    try:
        crew.memory.put_memory(found, expect_version=found.version)
    except VersionConflictError:
        return
    raise AssertionError("overwrites what is newer")


def _asleep(crew: Crew) -> None:
    for channel in CHANNELS:
        key = crew.manager.get_or_create_session(channel).session_key
        crew.manager.count_message(key, _MESSAGES)
        crew.manager.hibernate_session(key)
    for number, importance in enumerate((3, 6, 9)):
        crew.manager.save_memory(key_of("a"), "fact", f"memory no. {number} " + "é" * 400, importance=importance)


def _indexed(crew: Crew) -> None:
    _asleep(crew)
    searching("memory", at_least=3)(crew)


def _expired(crew: Crew) -> None:
    _asleep(crew)
    for number in range(3):
        crew.manager.save_memory(key_of("a"), "fact", f"old {number}", expires_ms=NOW_MS - number)


def _expire(crew: Crew) -> None:
    crew.memory.expire()


def _shut_down(crew: Crew) -> None:
    crew.manager.shutdown()


def _renew(crew: Crew) -> None:
    crew.manager.renew()


def _promote(crew: Crew) -> None:
    memory = Memory(session_key=key_of("b"), channel_id="b", memory_type="decision", content="everybody's")
    crew.memory.promote(memory, Knowledge(category="decision", content="everybody's", confidence=0.9))


_WAKING: Final = tuple(opening(channel) for channel in CHANNELS[:3])
_USED: Final = (opening("a"), counting, sleeping("a"))
_ASLEEP: Final = tuple(sleeping(channel) for channel in CHANNELS)
DEEDS: Final = (
    Deed(name="initialize", before=None, steps=()),
    Deed(name="save", before=_asleep, steps=(saving("a new one", importance=5), saving("another", importance=5))),
    Deed(name="promote", before=_asleep, steps=(saving("important", importance=9), _promote)),
    Deed(name="put, expect a version", before=_asleep, steps=(putting,)),
    Deed(name="expire", before=_expired, steps=(_expire,)),
    Deed(name="first search", before=_asleep, steps=(searching("memory", at_least=3),), makes_index=True),
    Deed(
        name="search",
        before=_indexed,
        steps=(saving("memory again", importance=5), searching("ory again", at_least=1)),
        makes_index=True,
    ),
    Deed(name="hibernate", before=_asleep, steps=_USED),
    Deed(name="resume", before=_asleep, steps=_WAKING[:1]),
    Deed(name="resume, another sleeps", before=_asleep, steps=(*_WAKING, opening("d"))),
    Deed(name="shutdown", before=_asleep, steps=(*_WAKING, counting, _shut_down), last=_ASLEEP),
    Deed(name="hibernate, shared", before=_asleep, steps=_USED, scope="database"),
    Deed(name="resume, shared", before=_asleep, steps=(*_WAKING, opening("d"), _renew), scope="database"),
    Deed(name="shutdown, shared", before=_asleep, steps=(*_WAKING, counting, _shut_down), last=_ASLEEP, scope="database"),
)
NEXT: Final = Deed(name="next", before=None, steps=(saving("after the accident", importance=9), searching("after", at_least=1)))
"""What the next process does on what a kill has left."""

_BY_NAME: Final = {deed.name: deed for deed in (*DEEDS, NEXT)}
_PROGRAM: Final = """\
import sys
sys.path[:0] = {paths!r}
from pathlib import Path
{prelude}
from tests.torture import deeds
deeds.play({name!r}, Path(sys.argv[1]), when_refused={when_refused!r})
"""


def program_of(deed: Deed, *, prelude: str = "", when_refused: Literal["stop", "again"] = "stop") -> str:
    """Return a Python program that does a deed in the state folder that its first argument names; see `play`."""
    return _PROGRAM.format(paths=program_paths(), prelude=prelude, name=deed.name, when_refused=when_refused)


def play(name: str, state: Path, *, when_refused: Literal["stop", "again"]) -> None:
    """Do a deed, and say of each step when it is done.

    A step that is refused is told, with what this process sees then. Either the program stops there; or what another process sees is told
    too, and the step is done once more, unless it is not certain whether it was done.
    """
    deed = _BY_NAME[name]
    crew = Crew(state, deed.scope)
    for number, step in enumerate(deed.all_steps):
        try:
            step(crew)
        except StoreError as error:
            is_over = when_refused == "stop"
            digest = "" if is_over else digest_of(snapshot(crew.path))
            refused = {"name": type(error).__name__, "says": str(error), "digest": digest, "seen": crew.seen()}
            print(json.dumps(refused), flush=True)  # noqa: T201 - a program's output
            if is_over or refused["name"] == "UncertainWriteError":
                crew.memory.close()
                return
            step(crew)
        print(f"done {number}", flush=True)  # noqa: T201 - a program's output
    print(ACKNOWLEDGED, flush=True)  # noqa: T201 - a program's output
    crew.memory.close()
