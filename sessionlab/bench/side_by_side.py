"""One state folder's sessions in each kind of store, side by side: what they hold, answer, write, and how long that takes.

Works on copies in a private folder that goes away with the object; the original is only read. What `contents`, `answers` and `writes`
return depends on the sessions alone, `times` and `memory` on the machine.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import shutil
import weakref
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from sessionlab import scratch
from sessionlab.bench.measure import medians_ms, peak_mb
from sessionlab.entry import Entry
from sessionlab.lab.session import open_lab
from sessionlab.stores import locate, open_at, open_for_writing
from sessionlab.stores.base import Fingerprint
from sessionlab.stores.writing import WritableStore

if TYPE_CHECKING:
    import pandas as pd

Kind = Literal["json", "sqlite", "directory"]
KINDS: Final[tuple[Kind, ...]] = ("json", "sqlite", "directory")
NAMES: Final[Mapping[Kind, str]] = {"json": "sessions.json", "sqlite": "sessions.sqlite", "directory": "sessions.d"}
_SHOWN_DIGITS: Final = 12
_LIST: Final = "from pathlib import Path; from sessionlab.stores import directory, open_for_writing, sqlite"
_LISTING: Final = "kept = [list(open_for_writing(Path(sys.argv[1]), agent=agent).summaries()) for agent in sys.argv[2:]]"


class _Seen(NamedTuple):
    inode: int
    mtime_ns: int
    size: int


class SideBySide:
    """Copies of the sessions at a path, one state folder for each kind of store."""

    def __init__(self, path: Path, *, agent: str | None, now_ms: int) -> None:
        """Make the copies.

        Args:
            path: As for `stores.locate`.
            agent: Only this agent; `None` for all.
            now_ms: The clock of what is written into the copies, epoch ms.

        Raises:
            StoreError: The original cannot be read, or there is no room for the copies.
        """
        self._now_ms = now_ms
        self._folder = scratch.make_folder("stores")
        self._remove = weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        self._entries: dict[str, dict[str, Entry]] = {}
        self._given = 0
        for location in locate(path):
            if agent in (None, location.agent_id):
                with open_at(location) as original:
                    entries = dict(original.items())
                self._given += len(entries)
                for kind in KINDS:
                    with self._opened(kind, location.agent_id) as copy:
                        copy.save(entries)
                        self._entries[location.agent_id] = dict(copy.items())

    def close(self) -> None:
        """Remove the copies. Calling it again does nothing."""
        self._remove()

    def contents(self) -> pd.DataFrame:
        """Return what each store holds, one row per kind.

        Columns: `store` (str), `sessions` (int), `given` (int: sessions of the original, keys that differ in case counted each),
        `fingerprint` (str, first digits), `files` (int), `bytes` (int).
        """
        import pandas as pd

        rows = []
        for kind in KINDS:
            found: dict[str, Fingerprint] = {}
            for agent in self._entries:
                with self._opened(kind, agent) as store:
                    found[agent] = store.fingerprint()
            files = [path for path in (self._folder / kind).rglob("*") if path.is_file() and path.stat().st_size]
            listing = "".join(f"{agent}\0{one.sha256}\n" for agent, one in sorted(found.items()))
            rows.append(
                {
                    "store": NAMES[kind],
                    "sessions": sum(one.count for one in found.values()),
                    "given": self._given,
                    "fingerprint": hashlib.sha256(listing.encode()).hexdigest()[:_SHOWN_DIGITS],
                    "files": len(files),
                    "bytes": sum(path.stat().st_size for path in files),
                }
            )
        return pd.DataFrame(rows)

    def answers(self, names: Sequence[str]) -> pd.DataFrame:
        """Ask each store the same queries of `lab.queries`, each through a mirror of its own.

        Returns:
            One row per query, in the order given. Columns: `query` (str), `rows` (int), `stores` (int: how many were asked), `differs_in`
            (str: the columns in which an answer is another, comma separated; "" when all are equal, value by value).
        """
        import pandas as pd

        answers: dict[str, list[pd.DataFrame]] = {name: [] for name in names}
        for kind in KINDS:
            with open_lab(self._folder / kind, now_ms=self._now_ms) as lab:
                for name in names:
                    answers[name].append(lab.query(name))
        return pd.DataFrame(
            [
                {"query": name, "rows": len(found[0]), "stores": len(found), "differs_in": ", ".join(_differing(found))}
                for name, found in answers.items()
            ]
        )

    def writes(self) -> pd.DataFrame:
        """Change one small field of one session in each store, and look at what that wrote.

        Returns:
            One row per kind. Columns: `store` (str), `bytes` (int: of the agent with the most sessions, all its files), `entry_bytes` (int:
            of the session, as compact JSON), `written_bytes` (int: what the files grew by that are appended to, and the size of those that
            were replaced), `part` (float: the written part of the store).
        """
        import msgspec
        import pandas as pd

        columns = ["store", "bytes", "entry_bytes", "written_bytes", "part"]
        if not self._given:
            return pd.DataFrame(columns=columns)
        agent, key = self._busiest()
        rows = []
        for kind in KINDS:
            with self._opened(kind, agent) as store:
                store.update(key, lambda _entry: {"label": "once"}, now_ms=self._now_ms)  # what is made once, is made here
                before = self._look(kind, agent)
                store.update(key, lambda _entry: {"label": "twice"}, now_ms=self._now_ms)
                written = _written(before, self._look(kind, agent))
            size = sum(one.size for one in before.values())
            row = {"store": NAMES[kind], "bytes": size, "entry_bytes": len(msgspec.json.encode(self._entries[agent][key]))}
            rows.append({**row, "written_bytes": written, "part": round(written / size, 6)})
        return pd.DataFrame(rows, columns=columns)

    def times(self, *, rounds: int = 20) -> pd.DataFrame:
        """Measure what a program waits for that keeps its stores open, the stores in turns.

        Returns:
            One row per kind and operation. Columns: `store` (str), `operation` (str), `median_ms` (float).
        """
        import pandas as pd

        columns = ["store", "operation", "median_ms"]
        if not self._given:
            return pd.DataFrame(columns=columns)
        agent, key = self._busiest()
        counted = itertools.count()
        operations: dict[str, Callable[[WritableStore], object]] = {
            "list all": lambda store: list(store.summaries()),
            "get one": lambda store: store.get(key),
            "update one": lambda store: store.update(key, lambda _entry: {"label": f"round {next(counted)}"}, now_ms=self._now_ms),
        }
        with contextlib.ExitStack() as stack:
            stores = {kind: stack.enter_context(self._opened(kind, agent)) for kind in KINDS}
            calls = {f"{kind} {name}": partial(one, stores[kind]) for name, one in operations.items() for kind in KINDS}
            times = medians_ms(calls, runs=rounds)
        return pd.DataFrame([(NAMES[kind], name, times[f"{kind} {name}"]) for kind in KINDS for name in operations], columns=columns)

    def memory(self) -> pd.DataFrame:
        """Measure what listing every session takes in a fresh process, above its imports. Linux only.

        Returns:
            One row per kind. Columns: `store` (str), `peak_mb` (float, MB of 10**6 bytes).
        """
        import pandas as pd

        rows = [
            {"store": NAMES[kind], "peak_mb": peak_mb(_LIST, _LISTING, arguments=[str(self._folder / kind), *self._entries])}
            for kind in (KINDS if self._given else ())
        ]
        return pd.DataFrame(rows, columns=["store", "peak_mb"])

    def _opened(self, kind: Kind, agent: str) -> WritableStore:
        (self._folder / kind / "agents").mkdir(parents=True, exist_ok=True)
        return open_for_writing(self._folder / kind, agent=agent, store_type=kind)

    def _busiest(self) -> tuple[str, str]:
        """Return the agent with the most sessions, and its session in the middle, by key."""
        agent = max(sorted(self._entries), key=lambda one: len(self._entries[one]))
        ordered = sorted(self._entries[agent])
        return agent, ordered[len(ordered) // 2]

    def _look(self, kind: Kind, agent: str) -> dict[Path, _Seen]:
        folder = self._folder / kind / "agents" / agent
        found = {path: path.stat() for path in folder.rglob("*") if path.is_file()}
        return {path: _Seen(one.st_ino, one.st_mtime_ns, one.st_size) for path, one in found.items() if one.st_size}


def side_by_side(path: Path, *, agent: str | None = None, now_ms: int) -> SideBySide:
    """Copy the sessions at a path into each kind of store; see `SideBySide`."""
    return SideBySide(path, agent=agent, now_ms=now_ms)


def _differing(frames: Sequence[pd.DataFrame]) -> list[str]:
    first, *others = frames
    if any(len(other) != len(first) for other in others):
        return ["number of rows"]
    return [name for name in first.columns if not all(first[name].equals(other[name]) for other in others)]


def _written(before: Mapping[Path, _Seen], after: Mapping[Path, _Seen]) -> int:
    """Return the bytes that were written between two looks, page for page in a shared index (`-shm`), which is memory, left out."""
    total = 0
    for path, now in after.items():
        then = before.get(path)
        if path.name.endswith("-shm") or then == now:
            continue
        total += now.size - then.size if path.name.endswith("-wal") and then is not None and now.inode == then.inode else now.size
    return total
