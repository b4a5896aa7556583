"""What is done to a store while it is killed, or while its calls fail; and what it holds before and after."""

from __future__ import annotations

import contextlib
import random
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sessionlab.entry import Entry
from sessionlab.stores.memory import MemoryStore
from sessionlab.stores.writing import WritableStore
from tests.torture.backends import Backend

NEXT: Final = "agent:main:next"
"""The session that is written after each accident, to see that writing still works."""

ENTRY: Final[Entry] = {"sessionId": "id-next", "updatedAt": 1}


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One thing that is done to a store.

    Attributes:
        name: What reports and test ids call it.
        body: Python that does it to `store`; run in a program of its own, and on the oracle to learn what it should lead to.
        before: What the store holds before; `None` for no store at all.
    """

    name: str
    body: str
    before: dict[str, Entry] | None

    @property
    def old(self) -> dict[str, Entry]:
        """What the store holds before."""
        return self.before or {}

    @property
    def new(self) -> dict[str, Entry]:
        """What the store holds afterwards."""
        oracle = MemoryStore()
        oracle.save(self.old)
        self.run(oracle)
        return dict(oracle.items())

    def run(self, store: WritableStore) -> None:
        """Do it in this process."""
        exec(self.body, {"store": store})


def _sessions() -> dict[str, Entry]:
    chance = random.Random(7)
    return {
        f"agent:main:{number}": {
            "sessionId": f"id-{number}",
            "updatedAt": 1_780_000_000_000 + number,
            "counter": 0,
            "skillsSnapshot": {"prompt": chance.randbytes(chance.randrange(200, 9_000)).hex()},
        }
        for number in range(6)
    }


_SAVE = """
content = dict(store.load())
content.pop("agent:main:5", None)
content["agent:main:0"]["counter"] = 7
content["agent:main:1"]["skillsSnapshot"] = None
content["agent:main:6"] = {"sessionId": "id-6", "updatedAt": 5, "text": "x" * 5_000}
content["agent:main:7"] = {"sessionId": "id-7", "updatedAt": 6}
store.save(content)
"""

FIRST_WRITE: Final = Operation(
    name="first write", body="store.put('agent:main:0', {'sessionId': 'id-0', 'updatedAt': 1, 'text': 'x' * 5_000})", before=None
)
SAVE: Final = Operation(name="save", body=_SAVE, before=_sessions())
OPERATIONS: Final = (
    FIRST_WRITE,
    Operation(name="update", body="store.update('agent:main:2', lambda entry: {'counter': 1}, now_ms=1)", before=_sessions()),
    SAVE,
    Operation(name="delete", body="store.delete('agent:main:3')", before=_sessions()),
)


class Stage:
    """One operation on one backend: makes its store anew as often as wanted, and knows what a run without accident leaves."""

    def __init__(self, backend: Backend, operation: Operation, folder: Path, *, original: Path | None = None) -> None:
        """Make the store once, in `folder`, which is this stage's own; or take it from `original`, a folder in which it lies already."""
        self.backend, self.operation, self._folder = backend, operation, folder
        self.old, self.new = operation.old, operation.new
        self._original = folder / "original"
        if original is not None:
            shutil.copytree(original, self._original, symlinks=True)
        else:
            self._original.mkdir(parents=True)
        if original is None and operation.before is not None:
            with backend.make(self._original / backend.file_name) as store:
                store.save(operation.before)
        with self.copy() as calm:
            with backend.make(calm / backend.file_name) as store:
                operation.run(store)
                store.put(NEXT, ENTRY)
            self.left = listing(calm)

    @contextlib.contextmanager
    def copy(self) -> Iterator[Path]:
        """Give a folder with the store in it; it goes afterwards."""
        folder = Path(tempfile.mkdtemp(prefix="copy-", dir=self._folder))
        try:
            yield Path(shutil.copytree(self._original, folder, symlinks=True, dirs_exist_ok=True))
        finally:
            shutil.rmtree(folder)

    def inspect(self, folder: Path, *, acknowledged: bool) -> str:
        """Look at the store after an accident.

        Returns:
            "old" or "new": what it holds.

        Raises:
            AssertionError: It holds neither, has findings, lost what was acknowledged, cannot be written, or something is left over.
        """
        path = folder / self.backend.file_name
        with self.backend.make(path) as store:
            found = dict(store.items())
            assert found in (self.old, self.new), f"neither the old nor the new state: {_difference(self.old, found)}"
            assert store.count() == len(found), f"counts {store.count()} of {len(found)} sessions"
            assert store.check() == (), f"check finds {store.check()}"
        state = "new" if found == self.new else "old"
        assert state == "new" or not acknowledged, "acknowledged, and lost"
        with self.backend.make(path) as store:
            store.put(NEXT, ENTRY)
            assert dict(store.items()) == found | {NEXT: ENTRY}, "the next write does not what it should"
            if state == "old":
                self.operation.run(store)
            assert {key: entry for key, entry in store.items() if key != NEXT} | {NEXT: ENTRY} == self.after_next(), (
                "the repetition differs"
            )
            assert store.check() == (), f"check finds {store.check()}"
        left = set(listing(folder)) ^ set(self.left)
        assert not left, f"left over, or missing: {sorted(left)}"
        return state

    def after_next(self) -> dict[str, Entry]:
        """Return what the store holds after the operation and the next write."""
        return self.new | {NEXT: ENTRY}


def listing(folder: Path) -> list[str]:
    """Return the names of everything below a folder."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def _difference(old: dict[str, Any], found: dict[str, Any]) -> str:
    changed = [key for key in found if found[key] != old.get(key)]
    return f"{len(found)} sessions; changed or added {changed}; gone {[key for key in old if key not in found]}"
