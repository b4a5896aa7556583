"""T4 for parallel sessions: the disk fills up. What is refused changes nothing, who cannot sleep is awake; with room, all goes on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

from sessionlab.errors import StoreError
from tests.torture.deeds import DEEDS, NEXT, Crew
from tests.torture.parallel import Remembering
from tests.torture.remembered import snapshot
from tests.torture.small_disk import at_each_filling, filled, on_small_disk
from tests.torture.tracing import Outcome

_FIRST_BYTES: Final = 20_000
_LAST_BYTES: Final = 50
"""Of the memories that are saved until nothing fits: they fall in size, so that the end of the disk is met in many places."""

_PAGES: Final = 300
"""Free on the disk at the beginning."""


def fill_the_disk_of_a_deed(name: str, folder: Path, *, pages: tuple[int, ...]) -> dict[str, Any]:
    """Do a deed on a small disk of its own, each time with another number of free pages, then once more with room.

    Returns:
        `counts` ("refused", "uncertain" and "done" -> how often), `wrong` (what should not have been).
    """
    return on_small_disk(fill, folder, repr(name), repr(pages))


def fill(name: str, pages: tuple[int, ...], *, disk: Path, temporary: Path) -> dict[str, Any]:
    """Do that, on a disk that is there; what there has to be is kept elsewhere."""
    (deed,) = (deed for deed in (*DEEDS, NEXT) if deed.name == name)
    (disk / "scene").mkdir()
    scene = Remembering(deed, disk / "scene", elsewhere=temporary)

    def looked_at(scene: Remembering, state: Path, outcome: Outcome) -> str:
        which = scene.judged(state, outcome)
        scene.inspect(state, outcome, is_written=False)
        return which

    return at_each_filling(disk, ((free, scene) for free in pages), looked_at)


def use_until_it_is_full(folder: Path) -> dict[str, Any]:
    """Let one process save, sleep and wake on a small disk until nothing fits, and go on when there is room again.

    Returns:
        `counts` ("kept" and names of errors -> how often), `wrong` (what should not have been).
    """
    return on_small_disk(use, folder)


def use(*, disk: Path, temporary: Path) -> dict[str, Any]:  # noqa: ARG001 - nothing lies elsewhere
    """Do that, on a disk that is there."""
    crew = Crew(disk / "state", "process")
    crew.memory.initialize()
    key = crew.manager.get_or_create_session("a").session_key
    kept: dict[int | None, str] = {}
    counts: Counter[str] = Counter()
    wrong: list[str] = []

    def is_refused(what: Callable[[], object]) -> bool:
        try:
            what()
        except StoreError as error:
            counts[type(error).__name__] += 1
            return True
        return False

    def save(content: str) -> None:
        saved = crew.manager.save_memory(key, "fact", content, importance=9 if len(kept) % 2 else 5)
        assert saved is not None
        kept[saved.id] = content

    size, messages = _FIRST_BYTES, 0
    with filled(disk, _PAGES):
        while size > _LAST_BYTES:
            if is_refused(partial(save, "x" * size)):
                size //= 2
            if crew.seen()[0][1] == "active":
                crew.manager.count_message(key)
                messages += 1
                status = "active" if is_refused(partial(crew.manager.hibernate_session, key)) else "hibernated"
                wrong += [] if crew.seen() == [(key, status, messages)] else [f"{status} and {messages} messages, but sees {crew.seen()}"]
            is_refused(partial(crew.manager.get_or_create_session, "a"))
            wrong += [] if _contents(crew) == kept else [f"after {len(kept)} memories: not what was acknowledged"]
    crew.manager.get_or_create_session("a")
    crew.manager.hibernate_session(key)
    crew.memory.close()
    after = Crew(disk / "state", "process")
    after.memory.initialize()
    after.manager.get_or_create_session("a")
    wrong += [] if after.seen() == [(key, "active", messages)] else [f"{messages} messages were counted, and it sees {after.seen()}"]
    wrong += [] if _contents(after) == kept else ["with room again: not what was acknowledged"]
    after.memory.close()
    snapshot(after.path)
    return {"counts": Counter(kept=len(kept)) + counts, "wrong": wrong}


def _contents(crew: Crew) -> dict[int | None, str]:
    return {one.id: one.content for one in crew.memory.memories(limit=1_000_000)}
