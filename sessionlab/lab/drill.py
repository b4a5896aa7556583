"""A rollback drill: sessions are moved, go on living, and are led back; whether every one came along is looked up byte by byte.

Everything happens in a private folder that goes away with the drill. The steps are called in order, each once.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from sessionlab import codec
from sessionlab.errors import SessionLabError, UsageError
from sessionlab.lab.clock import Clock
from sessionlab.lab.dossier import Dossier, PrivateFolder, dossier_of
from sessionlab.migration.execute import execute
from sessionlab.migration.plan import MIGRATABLE, plan_migration
from sessionlab.migration.records import Plan
from sessionlab.migration.rollback import plan_rollback
from sessionlab.migration.run_folder import RunFolder
from sessionlab.runs import RUNS
from sessionlab.settings import StoreType
from sessionlab.stores.locating import locate
from sessionlab.stores.location import StoreLocation, open_at, open_for_writing_at
from sessionlab.stores.opening import open_for_writing
from sessionlab.synth import DEFAULT_NOW_MS, write_state

if TYPE_CHECKING:
    import pandas as pd

SOURCE: Final = "a synthetic store in a private folder"
MAX_SESSIONS: Final = 10_000
_AGENT: Final = "main"
_SEED: Final = 20261121
_MINUTE_MS: Final = 60_000
_TIMEOUT_MS: Final = 30_000

Life = Literal["moved", "changed after the move", "born after the move", "deleted after the move"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """What came of rolling back although the old store had been written in between.

    Attributes:
        error: The error's class; "" when it was not refused, which it must be.
        message: What it says.
        counts: The name of the store that counts afterwards.
        is_unchanged: Whether it holds what it held before.
    """

    error: str
    message: str
    counts: str
    is_unchanged: bool


class Drill:
    """One drill."""

    def __init__(self, *, old: StoreType, new: StoreType, sessions: int, born: int) -> None:
        """Make a store; see `open_drill`."""
        self.old, self.new = old, new
        self.clock = Clock(DEFAULT_NOW_MS, "the drill's own clock")
        self._born = born
        self._private = PrivateFolder()
        write_state(self._private.path / "made", seed=_SEED, sessions=sessions, agents=(_AGENT,), transcripts=False, flaws=False)
        (made,) = locate(self._private.path / "made")
        with open_at(made) as store:
            self._entries = dict(store.items())
        self._state = self._started("drill")
        self._life: dict[str, Life] = dict.fromkeys(self._entries, "moved")
        self._runs: list[RunFolder] = []
        self._before: dict[str, str] = {}

    def migrate(self) -> Dossier:
        """Move the sessions, and return the run's dossier."""
        self._runs.append(_carried_out(self._state, plan_migration(self._state, self.new, now_ms=self.clock.now_ms)))
        return self.dossiers()[-1]

    def live(self) -> pd.DataFrame:
        """Let sessions be born, change one and delete one, in the store that counts now.

        Returns:
            One row for each. Columns: `session` (str), `life` (str).
        """
        import pandas as pd

        now_ms = self.clock.now_ms + _MINUTE_MS
        changed, deleted, *_ = self._life
        with open_for_writing(self._state) as store:
            for number in range(self._born):
                key = f"agent:{_AGENT}:telegram:direct:born-{number + 1}"
                store.put(key, {"sessionId": f"born-{number + 1}", "updatedAt": now_ms, "unknownField": {"of": "a later version"}})
                self._life[key] = "born after the move"
            store.update(changed, lambda _entry: {"label": "changed after the move"}, now_ms=now_ms)
            store.delete(deleted)
            self._life |= {changed: "changed after the move", deleted: "deleted after the move"}
        self._before = self._digests()
        written = [(key, life) for key, life in self._life.items() if life != "moved"]
        return pd.DataFrame(written, columns=["session", "life"])

    def roll_back(self) -> Dossier:
        """Roll the run back, and return the dossier of the run that did it."""
        plan = plan_rollback(self._runs[0], now_ms=self.clock.now_ms + 2 * _MINUTE_MS)
        self._runs.append(_carried_out(self._state, plan))
        return self.dossiers()[-1]

    def proof(self) -> pd.DataFrame:
        """Compare what was in the store before it was rolled back with what is in the old kind of store after it.

        Returns:
            One row for each session there ever was. Columns: `session` (str), `life` (str), `before` (str: SHA-256 of the entry's bytes as
            compact JSON, its fields in their order; "" for none), `after` (str), `is_equal` (bool).
        """
        import pandas as pd

        after = self._digests()
        rows: list[tuple[str, str, str, str]] = [
            (key, life, self._before.get(key, ""), after.get(key, "")) for key, life in self._life.items()
        ]
        rows += [(key, "from nowhere", "", digest) for key, digest in after.items() if key not in self._life]
        frame = pd.DataFrame(rows, columns=["session", "life", "before", "after"])
        return frame.assign(is_equal=frame["before"] == frame["after"])

    def counting(self) -> StoreLocation:
        """Return the store that counts now."""
        (location,) = locate(self._state)
        return location

    def refusal(self) -> Refusal:
        """Do the same in another folder, write the store that was left behind, and try to roll back."""
        state = self._started("refusal")
        run = _carried_out(state, plan_migration(state, self.new, now_ms=self.clock.now_ms))
        plan = run.head()
        left = Path(plan.retired_path or plan.source.path)
        somebody_else = StoreLocation(_AGENT, self.old, left, left.parent)
        with open_for_writing_at(somebody_else, durability="commit", timeout_ms=_TIMEOUT_MS) as store:
            store.update(next(iter(self._entries)), lambda _entry: {"label": "written in between"}, now_ms=self.clock.now_ms + _MINUTE_MS)
        before = _fingerprint(state)
        error = message = ""
        try:
            _carried_out(state, plan_rollback(run, now_ms=self.clock.now_ms + 2 * _MINUTE_MS))
        except SessionLabError as refused:
            error, message = type(refused).__name__, str(refused).replace(f"{state}/", "").replace(str(state), "the state folder")
        (counting,) = locate(state)
        return Refusal(error=error, message=message, counts=counting.path.name, is_unchanged=_fingerprint(state) == before)

    def dossiers(self) -> tuple[Dossier, ...]:
        """Return the dossiers of the runs so far, each audited anew."""
        place = (str(self._state / "agents"), "agents")
        found = (dossier_of(run, source=SOURCE, clock=self.clock) for run in self._runs)
        return tuple(replace(one, private=self._private, names=place) for one in found)

    def close(self) -> None:
        """Remove the private folder. Calling it again does nothing."""
        self._private.remove()

    def _started(self, name: str) -> Path:
        state = self._private.path / name
        (state / "agents").mkdir(parents=True)
        with open_for_writing(state, agent=_AGENT, store_type=self.old) as store:
            store.save(self._entries)
        return state

    def _digests(self) -> dict[str, str]:
        location = self.counting()
        with open_at(location) as store:
            entries = {key: codec.decode_entry(raw, path=location.path, key=key) for key, raw in store.raw_items()}
        return {key: hashlib.sha256(codec.encode_compact(entry)).hexdigest() for key, entry in entries.items()}


def open_drill(*, old: str = "json", new: str = "sqlite", sessions: int = 60, born: int = 3) -> Drill:
    """Make a store of synthetic sessions in a private folder, to be moved and led back.

    Args:
        old: The kind of store that the sessions come from: "json", "sqlite" or "directory".
        new: The kind that they are moved to.
        sessions: How many there are.
        born: How many come after the move.

    Raises:
        UsageError: One of them makes no sense.
    """
    if not 3 <= sessions <= MAX_SESSIONS:
        raise UsageError(f"sessions={sessions} makes no sense; give 3 to {MAX_SESSIONS:,}: one is changed, one deleted, one left alone")
    if not 1 <= born <= MAX_SESSIONS:
        raise UsageError(f"born={born} makes no sense; give 1 to {MAX_SESSIONS:,} sessions")
    kinds = {"old": _kind("old", old), "new": _kind("new", new)}
    if old == new:
        raise UsageError(f'old="{old}" and new="{new}" are the same; a drill moves sessions from one kind of store to another')
    return Drill(old=kinds["old"], new=kinds["new"], sessions=sessions, born=born)


def _kind(name: str, text: str) -> StoreType:
    kinds: dict[str, StoreType] = {"json": "json", "sqlite": "sqlite", "directory": "directory"}
    if text not in kinds:
        raise UsageError(f'{name}="{text}" is no kind of store; give {", ".join(MIGRATABLE)}')
    return kinds[text]


def _carried_out(state: Path, plan: Plan) -> RunFolder:
    execute(plan, root=state, now_ms=plan.created_ms)
    return RunFolder(state / RUNS / plan.run_id)


def _fingerprint(state: Path) -> str:
    (location,) = locate(state)
    with open_at(location) as store:
        return store.fingerprint().sha256
