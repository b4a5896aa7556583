"""Who was awake, idle or asleep when: the books that are kept of a manager's sessions from the events that it tells.

The manager's own counts are not asked, so that they can be held against these.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from sessionlab.parallel.records import Status

if TYPE_CHECKING:
    import pandas as pd

    from sessionlab.parallel import Event

Standing = Literal["active", "idle", "hibernated", "gone"]
STANDINGS: Final[tuple[Status, ...]] = ("active", "idle", "hibernated")


class Ledger:
    """The books of one day."""

    def __init__(self) -> None:
        """Begin without a session."""
        self._now: dict[str, tuple[Standing, int]] = {}
        self._stretches: list[tuple[str, Standing, int, int]] = []
        self._changes: list[tuple[int, tuple[int, ...]]] = []

    def hear(self, event: Event, at_ms: int) -> None:
        """Take down what a manager tells of a session."""
        if event.session is not None:
            self.enter(event.session.session_key, event.session.status, at_ms)

    def enter(self, key: str, standing: Standing, at_ms: int) -> None:
        """Take down how a session stands from now on; `gone` is nowhere, neither in a process nor on disk."""
        before = self._now.get(key)
        if before is not None and before[0] == standing:
            return
        if before is not None:
            self._stretches.append((key, *before, at_ms))
        self._now[key] = (standing, at_ms)
        self._changes.append((at_ms, tuple(self.number(one) for one in STANDINGS)))

    def number(self, standing: Standing) -> int:
        """Return how many sessions stand so now."""
        return sum(one == standing for one, _ in self._now.values())

    @property
    def most_active(self) -> int:
        """The most sessions that were active at once, within a moment, too."""
        return max((active for _, (active, *_) in self._changes), default=0)

    def standings(self) -> dict[str, Standing]:
        """Return every session that there ever was, in the order in which they came, with how it stands now."""
        return {key: standing for key, (standing, _) in self._now.items()}

    def changes(self, *, start_ms: int, end_ms: int) -> pd.DataFrame:
        """Return how many sessions stood how, from each change to the next.

        Returns:
            One row for each moment at which something changed, in order, and for start and end. Columns: `at_ms`, `active`, `idle`,
            `hibernated` (int).
        """
        import pandas as pd

        # Of several changes in one moment, the last is what it comes to: what is put to sleep for a message makes room for its session.
        by_moment = {start_ms: (0,) * len(STANDINGS), **dict(self._changes)}
        by_moment[end_ms] = list(by_moment.values())[-1]
        return pd.DataFrame([(at_ms, *counts) for at_ms, counts in by_moment.items()], columns=["at_ms", *STANDINGS])

    def stretches(self, *, end_ms: int) -> pd.DataFrame:
        """Return how each session stood, from when to when; those of no length are left out, and those in which it was gone.

        Returns:
            One row for each stretch, by session in the order in which they came, then by time. Columns: `session`, `standing` (str),
            `from_ms`, `to_ms` (int).
        """
        import pandas as pd

        order = {key: number for number, key in enumerate(self._now)}
        rows = [*self._stretches, *((key, standing, since_ms, end_ms) for key, (standing, since_ms) in self._now.items())]
        kept = [row for row in rows if row[1] != "gone" and row[3] > row[2]]
        return pd.DataFrame(sorted(kept, key=lambda row: (order[row[0]], row[2])), columns=["session", "standing", "from_ms", "to_ms"])
