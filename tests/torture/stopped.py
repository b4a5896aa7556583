"""T1 twice, whatever is done: what kills leave, and a kill of the next run on each of these leavings."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from tests.torture import tracing
from tests.torture.command_line import changes_something, relocated
from tests.torture.kill import Tally, sampled
from tests.torture.scene import Scene
from tests.torture.tracing import Point


class After(Protocol):
    """What an accident left."""

    @property
    def point(self) -> Point:
        """Before which call it came."""


@dataclass(frozen=True)
class Leaving:
    """What a kill left: the state folder, and whether what was done had come about ("old" or "new")."""

    point: Point
    state: Path
    which: str


_After = TypeVar("_After", bound=After)


def points(scene: Scene, calls: tuple[str, ...], *, may_do_nothing: bool = False) -> list[Point]:
    """Return the calls of a scene's program that touch the state folder, after which all is done."""
    with scene.copy() as state:
        found = tracing.points(scene.program, state, calls)
        assert found or may_do_nothing, "the program touches nothing in the state folder"
        assert scene.looked_at(state, acknowledged=True) == "new"
        return found


def leavings(
    scene: Scene, folder: Path, looks: Callable[[Path], object], *, first: int | None, accidents: int | None, seed: str
) -> list[Leaving]:
    """Kill a scene's program, and return everything different that this leaves.

    Args:
        scene: The scene.
        folder: Where the leavings are kept.
        looks: What tells one leaving from another.
        first: Before how many calls at most the kill comes; `None` for all.
        accidents: How many leavings at most; `None` for all.
        seed: Makes the choice the same every time.
    """
    changing = [point for point in points(scene, tracing.CHANGING) if changes_something(point)]
    left: dict[object, Leaving] = {}
    for number, point in enumerate(sampled(changing, first, seed=f"{seed} first")):
        with scene.copy() as state:
            tracing.kill(scene.program, state, point)
            kept = relocated(state, folder / f"left-{number}" / "state")
            left.setdefault(looks(kept), Leaving(point, kept, scene.looked_at(state, acknowledged=False)))
    return sampled(list(left.values()), accidents, seed=f"{seed} accidents")


def kill_again(total: Tally, left: Iterable[_After], folder: Path, kill: Callable[[_After, Path], Tally]) -> int:
    """Kill the next run on each leaving, in a folder of its own; count what came of it, and return on how many that was."""
    number = 0
    for number, leaving in enumerate(left, start=1):
        second = folder / f"second-{number}"
        second.mkdir()
        total.add(kill(leaving, second), after=f"after a kill before {leaving.point}")
    return number
