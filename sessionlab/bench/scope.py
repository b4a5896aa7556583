"""How much is measured: sizes and rounds, from the size that is quoted down to what a test has time for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

StoreKind = Literal["json", "sqlite", "directory"]
STORES: Final[tuple[StoreKind, ...]] = ("json", "sqlite", "directory")
NAMES: Final[dict[StoreKind, str]] = {"json": "sessions.json", "sqlite": "sessions.sqlite", "directory": "sessions.d"}
ENTRY_BYTES: Final = 42_000
QUOTED_SESSIONS: Final = 1_000
NOW_MS: Final = 1795132800000
"""The clock of the first write: later than any time in the sessions."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What is to be measured.

    Attributes:
        sessions: Sessions of `ENTRY_BYTES` in each store.
        stores: Which stores.
        is_quick: Few rounds and small stores: shows that everything runs, and gives no figure to quote.
        is_large: The largest stores too, which take minutes to make.
    """

    sessions: int = QUOTED_SESSIONS
    stores: tuple[StoreKind, ...] = STORES
    is_quick: bool = False
    is_large: bool = False

    @property
    def slow_rounds(self) -> int:
        """Rounds of what takes tens of milliseconds."""
        return 2 if self.is_quick else 9

    @property
    def long_rounds(self) -> int:
        """Rounds of what takes seconds."""
        return 1 if self.is_quick else 3

    @property
    def fast_rounds(self) -> int:
        """Rounds of what takes less than one."""
        return 5 if self.is_quick else 300

    @property
    def listed_sizes(self) -> tuple[int, ...]:
        """Sizes of the SQLite stores of small entries that are listed."""
        if self.is_quick:
            return (10 * self.sessions,)
        return (100_000, 1_000_000) if self.is_large else (100_000,)

    @property
    def is_quoted(self) -> bool:
        """Whether times in seconds, which depend on the size, have the size that their bounds are for."""
        return self.sessions == QUOTED_SESSIONS and not self.is_quick

    @property
    def imported_sessions(self) -> int:
        """Sessions in the state of OpenClaw whose import is verified."""
        return 3 * self.sessions

    @property
    def streamed_sessions(self) -> int | None:
        """Sessions of the store whose moves must not take more memory than those of a small one; `None` for none."""
        return None if self.is_quick else 10 * self.sessions

    def grown_size(self, store: StoreKind) -> int:
        """Return the size at which an update is compared with one at `sessions`.

        A directory of 100,000 files takes a minute to make and to remove.
        """
        if self.is_quick:
            return 3 * self.sessions
        return 100 * self.sessions if store == "sqlite" or self.is_large else 10 * self.sessions

    @property
    def writers(self) -> int:
        """How many processes write at once."""
        return 3 if self.is_quick else 8

    def updates(self, store: StoreKind) -> int:
        """Return how many updates the writers make, all together."""
        if self.is_quick:
            return 2 * self.writers if store == "json" else 10 * self.writers
        return 3 * self.writers if store == "json" else 200 * self.writers
